//! Changelogs through the function: what runs, once and in order, and what is told of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use std::fmt::Write as _;

use serde_json::json;
use stage::{Stage, data};
use support::{Bundle, Server};

const FIRST: &str = "\
--liquibase formatted sql

--changeset ann:1
--comment: the orders
CREATE TABLE orders (id int PRIMARY KEY);
--rollback DROP TABLE orders;

--changeset ann:2 labels:seed
INSERT INTO orders VALUES (1), (2);
";

/// A function that is deployed with these files.
fn with(bundle: &Bundle) -> Stage {
    let folder = bundle.path().to_owned();
    Stage::with(Server::shared(), |it| it.env("LAMBDA_TASK_ROOT", &folder))
}

/// The history as `id:exectype`, in order.
fn history(stage: &Stage) -> String {
    stage.database.admin().value(
        "SELECT coalesce(string_agg(id || ':' || exectype, ' ' ORDER BY orderexecuted), '') \
         FROM databasechangelog",
    )
}

fn has(stage: &Stage, table: &str) -> bool {
    stage.database.admin().value(&format!("SELECT to_regclass('{table}') IS NOT NULL")) == "t"
}

#[test]
fn a_changelog_is_applied_once_and_in_order_and_the_rest_of_it_later() {
    let bundle = Bundle::of(&[("db/changelog.sql", FIRST)]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let properties =
        |nonce: &str| stage.properties(json!({ "Changelog": "db/changelog.sql", "Nonce": nonce }));
    let create = stack.create(properties("1"));
    let answer = stage.succeed(&mut stack, &create);
    assert_eq!(data(&answer, "ChangesetsApplied"), "2");
    assert_eq!(data(&answer, "LastChangeset"), "ann:2");
    assert_eq!(data(&answer, "Changed"), "true");
    assert_eq!(history(&stage), "1:EXECUTED 2:EXECUTED");

    let again = stack.update(properties("2"));
    let answer = stage.succeed(&mut stack, &again);
    assert_eq!((data(&answer, "ChangesetsApplied"), data(&answer, "Changed")), ("0", "false"));
    assert_eq!(data(&answer, "LastChangeset"), "ann:2");

    bundle.write(
        "db/changelog.sql",
        format!("{FIRST}\n--changeset bob:3\nDROP TABLE orders;\n").as_bytes(),
    );
    let update = stack.update(properties("3"));
    let answer = stage.succeed(&mut stack, &update);
    assert_eq!(data(&answer, "ChangesetsApplied"), "1");
    assert_eq!(data(&answer, "LastChangeset"), "bob:3");
    assert_eq!(history(&stage), "1:EXECUTED 2:EXECUTED 3:EXECUTED");

    // The ledger has what Liquibase has no column for.
    let admin = stage.database.admin();
    let kept = "SELECT string_agg(rollback, ' ') || ' ' || count(*) || ' ' || \
         bool_and(sha256 = encode(sha256(convert_to(content, 'UTF8')), 'hex')) \
         FROM execute_sql.changeset";
    assert_eq!(admin.value(kept), "DROP TABLE orders; 3 true");
    assert_eq!(admin.value("SELECT locked FROM databasechangeloglock"), "f");

    // The stack goes; its schema stays.
    let delete = stack.delete();
    stage.succeed(&mut stack, &delete);
    assert_eq!(history(&stage), "1:EXECUTED 2:EXECUTED 3:EXECUTED");
}

#[test]
fn a_changeset_that_fails_leaves_what_came_before_it_and_says_where_it_stands() {
    let broken = "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE a ();\n\n\
         --changeset ann:2\nCREATE TABLE b ();\nCREATE TABLE\n  a ();\n--changeset ann:3\nSELECT 1;\n";
    let bundle = Bundle::of(&[("a.sql", broken)]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    let answer = stage.ask(&create);
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.starts_with(
            "changeset `ann:2` (a.sql:7:1) failed: relation \"a\" already exists (42P07); \
             1 changesets of this run before it stand. Hint: "
        ),
        "{reason}"
    );
    stack.settle(&answer);
    assert_eq!(history(&stage), "1:EXECUTED");
    assert!(has(&stage, "a") && !has(&stage, "b"));

    bundle.write("a.sql", broken.replace("\n  a ();", "\n  c ();").as_bytes());
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    let answer = stage.succeed(&mut stack, &create);
    assert_eq!(data(&answer, "ChangesetsApplied"), "2");
    assert!(has(&stage, "b") && has(&stage, "c"));
}

#[test]
fn the_place_of_a_syntax_error_is_the_one_in_the_file() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\n-- a comment\nSELECT 1;\nSELECT 'é',\n  nope;\n",
    )]);
    let reason = with(&bundle).refused(json!({ "Changelog": "a.sql" }));
    assert!(reason.contains("(a.sql:6:3)") && reason.contains("(42703)"), "{reason}");
}

#[test]
fn an_edited_changeset_stops_everything_and_shows_what_was_edited() {
    let bundle = Bundle::of(&[("a.sql", FIRST)]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    let edited = FIRST.replace("VALUES (1), (2)", "VALUES (1), (3)");
    bundle
        .write("a.sql", format!("{edited}\n--changeset ann:3\nCREATE TABLE late ();\n").as_bytes());
    let update = stack.update(stage.properties(json!({ "Changelog": "a.sql", "Nonce": "2" })));
    let answer = stage.ask(&update);
    let reason = answer["Reason"].as_str().unwrap();
    assert_eq!(answer["Status"], "FAILED");
    assert!(
        reason.contains("changeset `ann:2` (a.sql:8) ran before and was changed since"),
        "{reason}"
    );
    assert!(reason.contains("VALUES (1), (2)") && reason.contains("VALUES (1), (3)"), "{reason}");
    assert!(!has(&stage, "late"));
}

#[test]
fn a_stack_that_rolls_back_brings_the_older_changelog_and_gets_there() {
    let bundle = Bundle::of(&[("a.sql", FIRST)]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    let newer =
        format!("{FIRST}\n--changeset ann:3\nCREATE TABLE c ();\n--changeset ann:4\nnonsense;\n");
    bundle.write("a.sql", newer.as_bytes());
    let update = stack.update(stage.properties(json!({ "Changelog": "a.sql", "Nonce": "2" })));
    let failed = stage.ask(&update);
    assert_eq!(failed["Status"], "FAILED");
    bundle.write("a.sql", FIRST.as_bytes());
    let back = stack.settle(&failed).event();
    let answer = stage.succeed(&mut stack, &back);
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("1 changesets of the history are not in this changelog"), "{reason}");
    assert!(has(&stage, "c"));
}

#[test]
fn what_a_changeset_sets_does_not_reach_the_next() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n\
         --changeset ann:1\nCREATE SCHEMA other; SET search_path = ''; SET ROLE pg_monitor; \
         SET work_mem = '1MB'; SET timezone = 'Asia/Tokyo'; SET my.own = 'x';\n\
         --changeset ann:2\nCREATE TABLE seen AS SELECT current_user AS me, \
         current_setting('work_mem') AS mem, current_setting('my.own', true) AS own, \
         current_setting('timezone') AS zone;\n",
    )]);
    let stage = with(&bundle);
    stage.database.admin().exec("GRANT pg_monitor TO postgres");
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    let row = "SELECT me || ' ' || (mem = '1MB') || ' ' || coalesce(own, '') || (zone = 'Asia/Tokyo') FROM public.seen";
    assert_eq!(stage.database.admin().value(row), "postgres false false");
}

#[test]
fn a_changesets_own_transaction_commands_behave_as_in_psql() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n\
         --changeset ann:1\nBEGIN;\nCREATE TABLE a (x int);\nCOMMIT;\n\
         --changeset ann:2\nINSERT INTO a VALUES (1);\nBEGIN;\nINSERT INTO a VALUES (2);\nCOMMIT;\n\
         BEGIN;\nINSERT INTO a VALUES (3);\nROLLBACK;\nINSERT INTO a VALUES (4);\n\
         --changeset ann:3\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO a VALUES (5); COMMIT; INSERT INTO a VALUES (6); END $$;\nCALL p();\n",
    )]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    let rows = "SELECT string_agg(x::text, ',' ORDER BY x) FROM a";
    assert_eq!(stage.database.admin().value(rows), "1,2,4,5,6");
    assert_eq!(history(&stage), "1:EXECUTED 2:EXECUTED 3:EXECUTED");
}

#[test]
fn a_changeset_that_ends_its_session_is_named() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nSELECT pg_terminate_backend(pg_backend_pid());\n",
    )]);
    let stage = with(&bundle);
    let create = stage.stack().create(stage.properties(json!({ "Changelog": "a.sql" })));
    let reason = stage.fail(&create);
    assert!(reason.contains("changeset `ann:1` (a.sql:3:1)"), "{reason}");
}

#[test]
fn a_history_that_would_be_lost_from_sight_stops_the_run() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nCREATE SCHEMA postgres; CREATE TABLE t ();\n",
    )]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    // The schema is called like the login, and so comes first in its search path now.
    let update = stack.update(stage.properties(json!({ "Changelog": "a.sql", "Nonce": "2" })));
    let reason = stage.fail(&update);
    assert!(reason.contains("the history of this resource is \"public\""), "{reason}");
    let told = json!({ "Path": "a.sql", "Schema": "public" });
    let update = stack.update(stage.properties(json!({ "Changelog": told })));
    assert_eq!(data(&stage.succeed(&mut stack, &update), "ChangesetsApplied"), "0");
    let reason = stage.refused(json!({ "Changelog": { "Path": "a.sql", "Schema": "nowhere" } }));
    assert!(reason.starts_with("schema `nowhere`"), "{reason}");
}

#[test]
fn what_cannot_be_run_rightly_is_refused_with_the_way_out() {
    for (sql, said) in [
        ("SET standard_conforming_strings = off; SELECT 1;", "`standard_conforming_strings` off"),
        ("SET TRANSACTION READ ONLY; SELECT 1;", "must not make its transaction read only"),
        ("COPY (SELECT 1) TO STDOUT;", "copies to the client"),
        ("SELECT ${nope};", "Nothing stands for `${nope}`; give it in `Parameters`"),
    ] {
        let text = format!("--liquibase formatted sql\n--changeset ann:1\n{sql}\n");
        let bundle = Bundle::of(&[("a.sql", &text)]);
        let reason = with(&bundle).refused(json!({ "Changelog": "a.sql" }));
        assert!(reason.contains(said), "{reason}");
    }
}

#[test]
fn data_is_copied_as_psql_does_it() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE t (a int, b text);\n\
         COPY t (a, b) FROM stdin;\n1\tone; two\n2\t$$ -- 'x\n\\.\nINSERT INTO t VALUES (3, 'x');\n",
    )]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    let rows = "SELECT string_agg(a || b, '|' ORDER BY a) FROM t";
    assert_eq!(stage.database.admin().value(rows), "1one; two|2$$ -- 'x|3x");
}

#[test]
fn what_may_fail_is_skipped_and_preconditions_decide() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n\
         --changeset ann:may-fail failOnError:false\nSELECT nope;\n\
         --changeset ann:skipped\n--preconditions onFail:CONTINUE\n\
         --precondition-sql-check expectedResult:1 SELECT 0\nCREATE TABLE skipped ();\n\
         --changeset ann:marked\n--preconditions onFail:MARK_RAN\n\
         --precondition-sql-check expectedResult:1 SELECT 0\nCREATE TABLE marked ();\n\
         --changeset ann:warned\n--preconditions onFail:WARN\n\
         --precondition-sql-check expectedResult:1 SELECT 0\nCREATE TABLE warned ();\n\
         --changeset ann:always runAlways:true\nCREATE TABLE IF NOT EXISTS runs (n int); \
         INSERT INTO runs VALUES (1);\n",
    )]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    let answer = stage.succeed(&mut stack, &create);
    assert_eq!(history(&stage), "marked:MARK_RAN warned:EXECUTED always:EXECUTED");
    assert!(has(&stage, "warned") && !has(&stage, "skipped") && !has(&stage, "marked"));
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("changeset ann:may-fail: it failed and may"), "{reason}");

    let verify = json!({ "Action": "Apply", "Properties": stage.properties(json!({ "Changelog": "a.sql" })) });
    stage.function.invoke(verify.to_string().as_bytes()).returned();
    assert_eq!(stage.database.admin().value("SELECT count(*) FROM runs"), "2");
    assert_eq!(history(&stage), "marked:MARK_RAN warned:EXECUTED always:RERAN");

    bundle.write(
        "a.sql",
        b"--liquibase formatted sql\n--changeset ann:halts\n--preconditions onFailMessage:because\n\
          --precondition-sql-check expectedResult:1 SELECT 0\nSELECT 1;\n",
    );
    let reason = stage.refused(json!({ "Changelog": "a.sql" }));
    assert!(
        reason.contains("changeset `ann:halts`") && reason.contains("precondition"),
        "{reason}"
    );
}

#[test]
fn a_changed_run_on_change_changeset_runs_again() {
    let view = |n: u8| {
        format!(
            "--liquibase formatted sql\n--changeset ann:v runOnChange:true\n\
         CREATE OR REPLACE VIEW v AS SELECT {n} AS n;\n"
        )
    };
    let bundle = Bundle::of(&[("a.sql", &view(1))]);
    let stage = with(&bundle);
    let call = |action: &str| {
        let properties = stage.properties(json!({ "Changelog": "a.sql" }));
        let event = json!({ "Action": action, "Properties": properties });
        stage.function.invoke(event.to_string().as_bytes()).returned()
    };
    call("Apply");
    bundle.write("a.sql", view(2).as_bytes());
    let planned = call("Plan");
    assert!(planned.to_string().contains("changed"), "{planned}");
    call("Apply");
    assert_eq!(stage.database.admin().value("SELECT n FROM v"), "2");
    assert_eq!(history(&stage), "v:RERAN");
    assert_eq!(call("Apply")["Changed"], json!(false));
}

#[test]
fn all_in_one_transaction_is_all_or_nothing() {
    let text = |last: &str| {
        format!(
            "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE a ();\n\
         --changeset ann:2 failOnError:false\nSELECT nope;\n--changeset ann:3\n{last};\n"
        )
    };
    let bundle = Bundle::of(&[("a.sql", &text("SELECT nope"))]);
    let stage = with(&bundle);
    let properties = json!({
        "Changelog": "a.sql", "TransactionMode": "All", "Extensions": ["hstore"],
        "OnCreate": "CREATE TABLE late ()",
    });
    let reason = stage.refused(properties.clone());
    assert!(reason.contains("changeset `ann:3`") && !reason.contains("stand"), "{reason}");
    assert!(!has(&stage, "a") && stage.extensions().is_empty());
    bundle.write("a.sql", text("CREATE TABLE b ()").as_bytes());
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(properties));
    stage.succeed(&mut stack, &create);
    assert!(has(&stage, "a") && has(&stage, "b") && has(&stage, "late"));
    assert_eq!(history(&stage), "1:EXECUTED 3:EXECUTED");
    assert_eq!(stage.extensions(), "hstore=1.8");
}

#[test]
fn a_plan_reads_and_writes_nothing_and_verify_tells_the_difference() {
    let bundle = Bundle::of(&[("a.sql", FIRST)]);
    let stage = with(&bundle);
    let call = |action: &str| {
        let properties = stage.properties(json!({ "Changelog": "a.sql" }));
        let event = json!({ "Action": action, "Properties": properties });
        stage.function.invoke(event.to_string().as_bytes())
    };
    let planned = call("Plan").returned();
    assert_eq!(
        planned["Steps"][0],
        json!({
            "step": "runChangeset", "changeset": "ann:1", "at": "a.sql:3", "why": "new",
        })
    );
    assert!(!has(&stage, "databasechangelog") && !has(&stage, "execute_sql.request"));
    assert!(matches!(call("Verify"), support::Invocation::Threw { .. }));
    call("Apply").returned();
    call("Verify").returned();
}

#[test]
fn the_readmes_changelog_runs() {
    let readme = include_str!("../README.md");
    let example = readme.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let bundle = Bundle::of(&[("a.sql", example)]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    assert_eq!(history(&stage), "orders:EXECUTED orders-total:EXECUTED");
}

#[test]
fn nothing_to_do_costs_at_most_three_round_trips_and_one_changeset_three_more() {
    let mut text = "--liquibase formatted sql\n".to_owned();
    for n in 0..500 {
        writeln!(text, "--changeset ann:{n}\nSELECT {n};").unwrap();
    }
    let bundle = Bundle::of(&[("a.sql", &text)]);
    let stage = with(&bundle);
    let proxied = support::Proxy::start(&format!("127.0.0.1:{}", Server::shared().port()));
    let admin = stage.database.admin();
    let sessions = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid > 0";
    let call = |action: &str, changelog: &[&str]| {
        // Without TLS, whose tickets come when they like.
        let connection = json!({ "Port": proxied.port(), "SslMode": "disable" });
        let mut properties = json!({ "Connection": connection });
        if let [path] = changelog {
            properties["Changelog"] = json!(path);
        }
        let event = json!({ "Action": action, "Properties": stage.properties(properties) });
        let before = proxied.round_trips();
        stage.function.invoke(event.to_string().as_bytes()).returned();
        support::wait_until("the session has said good-bye", || admin.value(sessions) == "0");
        proxied.round_trips() - before
    };
    call("Apply", &["a.sql"]);
    // A plan without a changelog is connecting and one look.
    let connecting = call("Plan", &[]) - 1;
    assert!(call("Apply", &["a.sql"]) <= connecting + 3);
    bundle.write("a.sql", format!("{text}--changeset ann:more\nSELECT 1;\n").as_bytes());
    assert!(call("Apply", &["a.sql"]) <= connecting + 6);
}

#[test]
fn a_row_under_an_older_path_is_the_one_that_is_written_anew() {
    let text = |n: u8| {
        format!(
            "--liquibase formatted sql\n--changeset ann:v runOnChange:true\n\
             CREATE OR REPLACE VIEW v AS SELECT {n} AS n;\n--changeset ann:w\nSELECT 1;\n"
        )
    };
    let bundle = Bundle::of(&[("a.sql", &text(1))]);
    let stage = with(&bundle);
    let apply = || {
        let properties = stage.properties(json!({ "Changelog": "a.sql" }));
        let event = json!({ "Action": "Apply", "Properties": properties });
        stage.function.invoke(event.to_string().as_bytes()).returned()
    };
    apply();
    let admin = stage.database.admin();
    admin.exec("UPDATE databasechangelog SET filename = 'classpath:' || filename");
    bundle.write("a.sql", text(2).as_bytes());
    apply();
    assert_eq!(history(&stage), "w:EXECUTED v:RERAN");
    assert_eq!(apply()["Changed"], json!(false));
    admin.exec("UPDATE databasechangelog SET md5sum = NULL");
    apply();
    assert_eq!(admin.value("SELECT count(md5sum) FROM databasechangelog"), "2");
    assert_eq!(apply()["Changed"], json!(false));
}

#[test]
fn a_tag_on_a_changeset_that_runs_again_is_still_where_it_ends() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1 runAlways:true\nSELECT 1;\n",
    )]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    stage.database.admin().exec("UPDATE databasechangelog SET tag = 'v1'");
    let to_tag = json!({ "Changelog": { "Path": "a.sql", "ToTag": "v1" } });
    let update = stack.update(stage.properties(to_tag));
    stage.succeed(&mut stack, &update);
    assert_eq!(history(&stage), "1:RERAN");
}

#[test]
fn the_audit_tells_what_stands_and_the_lock_is_given_back_whatever_role_was_set() {
    let bundle = Bundle::of(&[(
        "a.sql",
        "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE a (x int);\n\
         --changeset ann:2\nCREATE INDEX CONCURRENTLY i ON a (x);\n\
         --changeset ann:3\nCREATE TABLE c ();\n--changeset ann:4\nSELECT nope;\n",
    )]);
    let stage = with(&bundle);
    stage.refused(json!({ "Changelog": "a.sql", "TransactionMode": "All" }));
    let admin = stage.database.admin();
    let told = "SELECT string_agg(action || ':' || status, ' ' ORDER BY action) \
         FROM execute_sql.audit WHERE action LIKE 'changeset%'";
    assert_eq!(admin.value(told), "changeset ann:1:success changeset ann:2:success");
    assert_eq!(history(&stage), "1:EXECUTED 2:EXECUTED");

    bundle.write(
        "a.sql",
        b"--liquibase formatted sql\n--changeset ann:5 runInTransaction:false\n\
          SET ROLE pg_monitor;\nSELECT 1;\nSELECT 'unclosed;\n",
    );
    admin.exec("GRANT pg_monitor TO postgres");
    stage.refused(json!({ "Changelog": "a.sql" }));
    assert_eq!(admin.value("SELECT locked FROM databasechangeloglock"), "f");
    assert_eq!(admin.value("SELECT bool_and(status = 'failed') FROM execute_sql.request"), "t");
}

#[test]
fn a_changeset_that_gives_up_all_locks_does_not_let_another_run_in() {
    let held = "count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    let bundle = Bundle::of(&[(
        "a.sql",
        &format!(
            "--liquibase formatted sql\n--changeset ann:1\nDISCARD ALL;\n\
             CREATE TABLE one AS SELECT {held};\n\
             --changeset ann:2\nSELECT pg_advisory_unlock_all();\n\
             --changeset ann:3\nCREATE TABLE three AS SELECT {held};\n"
        ),
    )]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    let counts = "SELECT one.count || ' ' || three.count FROM one, three";
    assert_eq!(stage.database.admin().value(counts), "1 1");
}

#[test]
fn what_is_pending_and_wrong_is_refused_before_anything_runs() {
    let long = "x".repeat(300);
    for (last, said) in [
        (
            "--changeset ann:2\nSELECT 'unclosed;\n".to_owned(),
            "that starts at a.sql:5:8 is not closed",
        ),
        ("--changeset ann:2\n\\i other.sql\n".to_owned(), "command `\\i` at a.sql:5:1"),
        (format!("--changeset ann:{long}\nSELECT 1;\n"), "more than 255 characters"),
    ] {
        let text =
            format!("--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE a ();\n{last}");
        let bundle = Bundle::of(&[("a.sql", &text)]);
        let stage = with(&bundle);
        let reason = stage.refused(json!({ "Changelog": "a.sql" }));
        assert!(reason.contains(said), "{reason}");
        assert!(!has(&stage, "a") && !has(&stage, "databasechangelog"));
    }
}

#[test]
fn a_changeset_that_was_moved_runs_again_and_that_is_said() {
    let text = "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE IF NOT EXISTS a ();\n";
    let bundle = Bundle::of(&[("a.sql", text), ("b.sql", text)]);
    let stage = with(&bundle);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Changelog": "a.sql" })));
    stage.succeed(&mut stack, &create);
    let update = stack.update(stage.properties(json!({ "Changelog": "b.sql" })));
    let answer = stage.succeed(&mut stack, &update);
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("one of that name ran from a.sql"), "{reason}");
}
