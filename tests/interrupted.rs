//! Changelogs whose run is disturbed: killed, raced, locked out, taken apart. Each changeset runs
//! exactly once all the same, and what stands is known.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use std::fmt::Write as _;

use serde_json::{Value, json};
use stage::{Stage, data};
use support::{Bundle, GENEROUS, Invocation, Server, Settings, wait_until};

fn with(bundle: &Bundle) -> Stage {
    let folder = bundle.path().to_owned();
    Stage::with(Server::shared(), |it| it.env("LAMBDA_TASK_ROOT", &folder))
}

fn properties(stage: &Stage) -> Value {
    stage.properties(json!({ "Changelog": "a.sql", "LockTimeout": "3000" }))
}

/// Waits until somebody waits for a lock on `table`.
fn wait_for_waiter(stage: &Stage, table: &str) {
    let waiting = format!(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass"
    );
    wait_until("somebody stands at the lock", || stage.database.admin().value(&waiting) != "0");
}

#[test]
fn a_run_that_is_killed_at_every_changeset_applies_each_exactly_once() {
    const COUNT: usize = 30;
    let mut text = "--liquibase formatted sql\n".to_owned();
    for n in 0..COUNT {
        // Every third one runs outside of a transaction.
        let apart = if n % 3 == 2 { " runInTransaction:false" } else { "" };
        writeln!(text, "--changeset ann:{n}{apart}\nLOCK TABLE held_{n};").unwrap();
        writeln!(text, "INSERT INTO done VALUES ({n});\nCREATE TABLE t{n} ();").unwrap();
    }
    // In autocommit a lock is held for its own statement alone, and `LOCK` is refused there.
    let text = (0..COUNT).filter(|n| n % 3 == 2).fold(text, |text, n| {
        text.replace(&format!("LOCK TABLE held_{n};"), &format!("TRUNCATE held_{n};"))
    });
    let bundle = Bundle::of(&[("a.sql", &text)]);
    let stage = with(&bundle);
    let setup = stage.database.master();
    setup.exec("CREATE TABLE done (step int)");
    (0..COUNT).for_each(|n| setup.exec(&format!("CREATE TABLE held_{n} ()")));
    let mut stack = stage.stack();
    let create = stack.create(properties(&stage));
    for n in 0..COUNT {
        let holder = stage.database.master();
        holder.exec(&format!("BEGIN; LOCK TABLE held_{n}"));
        let pending = stage.function.start_invoke(create.to_string().as_bytes());
        wait_for_waiter(&stage, &format!("held_{n}"));
        stage.function.kill();
        assert_eq!(pending.wait(), Invocation::Died);
        let done = "SELECT coalesce(string_agg(step::text, ',' ORDER BY step), '') FROM done";
        let stands: Vec<_> = (0..n).map(|it| it.to_string()).collect();
        assert_eq!(stage.database.admin().value(done), stands.join(","));
    }
    stage.function.invoke(create.to_string().as_bytes()).returned();
    let answer = stage.receiver.answer_to(&create);
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let admin = stage.database.admin();
    assert_eq!(admin.value("SELECT count(*) || '/' || count(DISTINCT step) FROM done"), "30/30");
    let rows = "SELECT count(*) || '/' || count(DISTINCT id) || '/' || max(orderexecuted) FROM databasechangelog";
    assert_eq!(admin.value(rows), "30/30/30");
}

#[test]
fn ten_functions_that_start_at_once_on_an_empty_database_run_each_changeset_once() {
    let mut text = "--liquibase formatted sql\n".to_owned();
    for n in 0..20 {
        writeln!(text, "--changeset ann:{n}\nCREATE TABLE t{n} ();").unwrap();
    }
    let bundle = Bundle::of(&[("a.sql", &text)]);
    let stage = with(&bundle);
    let functions: Vec<_> = (0..10).map(|_| stage.another_function_over(bundle.path())).collect();
    let events: Vec<_> = (0..10)
        .map(|n| {
            let properties = stage.properties(json!({ "Changelog": "a.sql" }));
            json!({ "Action": "Apply", "Name": format!("n{n}"), "Properties": properties })
        })
        .collect();
    let pending: Vec<_> = functions
        .iter()
        .zip(&events)
        .map(|(function, event)| function.start_invoke(event.to_string().as_bytes()))
        .collect();
    let applied: usize = pending
        .into_iter()
        .map(|it| data(&it.wait().returned(), "ChangesetsApplied").parse::<usize>().unwrap())
        .sum();
    assert_eq!(applied, 20);
    let rows = "SELECT count(*) || '/' || count(DISTINCT id) FROM databasechangelog";
    assert_eq!(stage.database.admin().value(rows), "20/20");
}

#[test]
fn a_changeset_waits_for_its_lock_and_tries_again() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE a ();\n\
         --changeset ann:2\nALTER TABLE held ADD x int;\n",
    )]);
    let stage = with(&bundle);
    let holder = stage.database.master();
    holder.exec("CREATE TABLE held ()");
    holder.exec("BEGIN; LOCK TABLE held");
    let mut stack = stage.stack();
    let create =
        stack.create(stage.properties(json!({ "Changelog": "a.sql", "LockTimeout": "1" })));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    wait_until("it has given up twice", || {
        stage.function.log().matches("(55P03); trying again").count() >= 2
    });
    holder.exec("COMMIT");
    pending.wait().returned();
    let answer = stage.receiver.answer_to(&create);
    assert_eq!((data(&answer, "ChangesetsApplied"), &answer["Status"]), ("2", &json!("SUCCESS")));
}

#[test]
fn an_index_is_built_concurrently_and_an_invalid_leftover_goes_first() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE t (a int, b int);\n\
         INSERT INTO t VALUES (1, 1), (1, 2);\n\
         --changeset ann:2\nCREATE INDEX CONCURRENTLY t_b ON t (b);\n\
         CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a);\n",
    )]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    let answer = stage.ask(&create);
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("changeset `ann:2` (a.sql:7:1)"), "{reason}");
    assert!(reason.contains("(23505); 1 statements of it stand"), "{reason}");
    stack.settle(&answer);
    let admin = stage.database.admin();
    let valid = "SELECT string_agg(indexrelid::regclass || ':' || indisvalid, ' ' ORDER BY indexrelid::regclass::text) \
         FROM pg_index WHERE indrelid = 't'::regclass";
    assert_eq!(admin.value(valid), "t_a:false t_b:true");
    admin.exec("DELETE FROM t WHERE b = 2");

    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    assert_eq!(admin.value(valid), "t_a:true t_b:true");
    assert_eq!(admin.value("SELECT count(*) FROM databasechangelog"), "2");
}

#[test]
fn a_concurrent_build_that_is_killed_goes_on_where_it_stopped() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE t (a int);\n\
         --changeset ann:2 runInTransaction:false\nCREATE TABLE before ();\n\
         CREATE INDEX CONCURRENTLY t_a ON t (a);\nCREATE TABLE after ();\n",
    )]);
    let stage = with(&bundle);
    let holder = stage.database.master();
    holder.exec("BEGIN ISOLATION LEVEL REPEATABLE READ");
    holder.exec("SELECT 1");
    let mut stack = stage.stack();
    let create = stack.create(properties(&stage));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    let building = "SELECT count(*) FROM pg_stat_progress_create_index \
         WHERE datname = current_database() AND phase LIKE 'waiting for%'";
    wait_until("the build waits", || stage.database.admin().value(building) == "1");
    stage.function.kill();
    assert_eq!(pending.wait(), Invocation::Died);
    let gone = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name LIKE 'execute-sql/%'";
    wait_until("its backend is gone", || stage.database.admin().value(gone) == "0");
    holder.exec("COMMIT");
    stage.function.invoke(create.to_string().as_bytes()).returned();
    let answer = stage.receiver.answer_to(&create);
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let valid = "SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 't'::regclass";
    assert_eq!(stage.database.admin().value(valid), "t");
}

#[test]
fn the_server_stopped_in_the_middle_costs_nothing_but_time() {
    let server = Server::private(&Settings::default());
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE a ();\n\
         --changeset ann:2\nLOCK TABLE held; CREATE TABLE b ();\n",
    )]);
    let folder = bundle.path().to_owned();
    let stage = Stage::with(&server, |it| it.env("LAMBDA_TASK_ROOT", &folder));
    let holder = stage.database.master();
    holder.exec("CREATE TABLE held ()");
    holder.exec("BEGIN; LOCK TABLE held");
    let mut stack = stage.stack();
    let create = stack.create(properties(&stage));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    wait_for_waiter(&stage, "held");
    server.restart();
    pending.wait().returned();
    let answer = stage.receiver.answer_to(&create);
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(data(&answer, "ChangesetsApplied"), "2");
    assert_eq!(stage.database.admin().value("SELECT count(*) FROM databasechangelog"), "2");
}

#[test]
fn liquibases_lock_is_honoured_until_its_holder_is_gone() {
    let bundle =
        Bundle::of(&[("a.sql", "--liquibase formatted sql\n--changeset ann:1\nSELECT 1;\n")]);
    let stage = with(&bundle);
    let liquibase = stage.database.master();
    liquibase.exec(
        "CREATE TABLE databasechangeloglock (id int PRIMARY KEY, locked boolean NOT NULL, \
         lockgranted timestamp, lockedby varchar(255)); \
         INSERT INTO databasechangeloglock VALUES (1, true, now(), 'build-7 (10.0.0.7)')",
    );
    let mut stack = stage.stack();
    let create = stack.create(properties(&stage));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    wait_until("it waits", || stage.function.log().contains("waiting for Liquibase's lock"));
    assert_eq!(stage.receiver.requests().len(), 0);
    // Its session is all that shows that it lives.
    drop(liquibase);
    pending.wait().returned();
    let answer = stage.receiver.answer_to(&create);
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let locked = "SELECT locked || coalesce(lockedby, '') FROM databasechangeloglock";
    assert_eq!(stage.database.admin().value(locked), "false");
    let _ = GENEROUS;
}

#[test]
fn a_lock_that_a_killed_run_of_ours_left_is_taken_over() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nLOCK TABLE held;\n",
    )]);
    let stage = with(&bundle);
    let holder = stage.database.master();
    holder.exec("CREATE TABLE held ()");
    holder.exec("BEGIN; LOCK TABLE held");
    let mut stack = stage.stack();
    let create = stack.create(properties(&stage));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    wait_for_waiter(&stage, "held");
    stage.function.kill();
    assert_eq!(pending.wait(), Invocation::Died);
    let locked = "SELECT locked FROM databasechangeloglock";
    assert_eq!(stage.database.admin().value(locked), "t");
    // Even a run that is refused gives it back.
    let text = "--liquibase formatted sql\n--changeset ann:0\nSELECT 1;\n";
    stage.database.admin().exec(
        "INSERT INTO databasechangelog (id, author, filename, dateexecuted, orderexecuted, \
         exectype, md5sum) VALUES ('0', 'ann', 'a.sql', now(), 1, 'EXECUTED', '9:no')",
    );
    let before = std::fs::read_to_string(format!("{}/a.sql", bundle.path())).unwrap();
    bundle.write("a.sql", text.as_bytes());
    stage.refused(json!({ "Changelog": "a.sql" }));
    assert_eq!(stage.database.admin().value(locked), "f");
    bundle.write("a.sql", before.as_bytes());
    holder.exec("COMMIT");
    stage.function.invoke(create.to_string().as_bytes()).returned();
    assert_eq!(stage.receiver.answer_to(&create)["Status"], "SUCCESS");
    assert_eq!(stage.database.admin().value(locked), "f");
}

#[test]
fn what_stands_of_a_changeset_does_not_run_again_while_it_waits_for_a_lock() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1 runInTransaction:false\n\
         INSERT INTO done VALUES (1);\nALTER TABLE held ADD x int;\nINSERT INTO done VALUES (2);\n",
    )]);
    let stage = with(&bundle);
    let holder = stage.database.master();
    holder.exec("CREATE TABLE done (step int); CREATE TABLE held ()");
    holder.exec("BEGIN; LOCK TABLE held");
    let mut stack = stage.stack();
    let create =
        stack.create(stage.properties(json!({ "Changelog": "a.sql", "LockTimeout": "1" })));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    wait_until("it has given up twice", || {
        stage.function.log().matches("trying again").count() >= 2
    });
    holder.exec("COMMIT");
    pending.wait().returned();
    assert_eq!(stage.receiver.answer_to(&create)["Status"], "SUCCESS");
    let done = "SELECT string_agg(step::text, ',' ORDER BY step) FROM done";
    assert_eq!(stage.database.admin().value(done), "1,2");
}

#[test]
fn a_changeset_that_goes_on_has_the_settings_that_it_made_before() {
    let text = "--liquibase formatted sql\n--changeset ann:1 runInTransaction:false\n\
         CREATE SCHEMA app;\nSET search_path = app;\nCREATE TABLE first ();\n\
         SELECT 1 / count(*) FROM public.gate;\nCREATE TABLE last ();\n";
    let bundle = Bundle::of(&[("a.sql", text)]);
    let stage = with(&bundle);
    let admin = stage.database.admin();
    stage.database.master().exec("CREATE TABLE gate (a int)");
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    let answer = stage.ask(&create);
    assert!(answer["Reason"].as_str().unwrap().contains("3 statements of it stand"), "{answer}");
    stack.settle(&answer);
    // An edit of what stands is found, and what stands is still known afterwards.
    bundle.write("a.sql", text.replace("TABLE first", "TABLE other").as_bytes());
    let reason = stage.refused(json!({ "Changelog": "a.sql" }));
    assert!(reason.contains("interrupted after 3 statements"), "{reason}");
    bundle.write("a.sql", text.as_bytes());
    stage.database.master().exec("INSERT INTO gate VALUES (1)");
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    assert_eq!(admin.value("SELECT to_regclass('app.last') IS NOT NULL"), "t");
}

#[test]
fn a_frozen_delivery_of_the_same_request_does_not_keep_the_lock() {
    let bundle =
        Bundle::of(&[("a.sql", "--liquibase formatted sql\n--changeset ann:1\nSELECT 1;\n")]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(properties(&stage));
    let id = |key: &str| create[key].as_str().unwrap();
    let name = execute_sql::lock::application_name(
        id("StackId"),
        id("LogicalResourceId"),
        id("RequestId"),
    );
    // Its function is frozen: the session is there, and nobody answers for it.
    let frozen = stage.database.master();
    frozen.exec(&format!("SET application_name = '{name}'"));
    assert_eq!(
        frozen.value(&execute_sql::lock::attempt(&execute_sql::ledger::default_schema())),
        "t"
    );
    stage.succeed(&mut stack, &create);
    assert!(frozen.try_rows("SELECT 1").is_err());
}

#[test]
fn a_delete_that_comes_in_the_middle_stops_the_changesets_and_what_stands_stays() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE a ();\n\
         --changeset ann:2\nLOCK TABLE held;\n--changeset ann:3\nCREATE TABLE c ();\n",
    )]);
    let stage = with(&bundle);
    let holder = stage.database.master();
    holder.exec("CREATE TABLE held ()");
    holder.exec("BEGIN; LOCK TABLE held");
    let mut stack = stage.stack();
    let create = stack
        .create(stage.properties(
            json!({ "Changelog": "a.sql", "LockTimeout": "3000", "OnDelete": "Drop" }),
        ));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    wait_for_waiter(&stage, "held");
    let delete = stack.invented_delete();
    let second = stage.another_function_over(bundle.path());
    second.invoke(delete.to_string().as_bytes()).returned();
    assert_eq!(stage.receiver.answer_to(&delete)["Status"], "SUCCESS");
    holder.exec("COMMIT");
    pending.wait().returned();
    let answer = stage.receiver.answer_to(&create);
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("remains but 1 changesets that stand"), "{reason}");
    let admin = stage.database.admin();
    let rows = "SELECT string_agg(id, ',' ORDER BY orderexecuted) FROM databasechangelog";
    assert_eq!(admin.value(rows), "1");
    assert_eq!(admin.value("SELECT locked FROM databasechangeloglock"), "f");
    assert_eq!(admin.value("SELECT to_regclass('c') IS NULL"), "t");
}
