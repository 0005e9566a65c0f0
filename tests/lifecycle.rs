//! The life of a resource, driven through the real `bootstrap`: Create, Update,
//! replacement, rollback, Delete; each event twice; a Delete while its Create runs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use serde_json::json;
use stage::{Stage, data};
use support::Server;

#[test]
fn every_event_may_come_twice() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let twice = |event: &serde_json::Value| {
        stage.function.invoke(event.to_string().as_bytes()).returned();
        let between = stage.extensions();
        stage.function.invoke(event.to_string().as_bytes()).returned();
        let answers = stage.receiver.accepted(event);
        assert_eq!(answers.len(), 2);
        assert_eq!(answers[0], answers[1], "the same answer");
        assert_eq!(stage.extensions(), between, "and the same state");
        answers[0].clone()
    };
    let wanted =
        |names: &[&str]| stage.properties(json!({ "Extensions": names, "OnDelete": "Drop" }));
    let create = stack.create(wanted(&["hstore"]));
    stack.settle(&twice(&create));
    let update = stack.update(wanted(&["hstore", "citext"]));
    stack.settle(&twice(&update));
    let rollback = stack.roll_back();
    stack.settle(&twice(&rollback));
    let delete = stack.delete();
    assert_eq!(twice(&delete)["Status"], "SUCCESS");
    assert_eq!(stage.extensions(), "");
}

#[test]
fn the_published_example_is_created_updated_and_deleted() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "PluginsMap": {"PostGIS": "3.3.2", "pgcrypto": "1.3", "PG_Trgm": "1.5"},
    })));
    let created = stage.succeed(&mut stack, &create);
    assert_eq!(stage.extensions(), "pg_trgm=1.5,pgcrypto=1.3,postgis=3.3.2");
    assert_eq!(data(&created, "ExtensionsBefore"), "plpgsql=1.0");
    assert_eq!(
        data(&created, "ExtensionsAfter"),
        "pg_trgm=1.5,pgcrypto=1.3,plpgsql=1.0,postgis=3.3.2"
    );
    assert_eq!(data(&created, "Changed"), "true");
    assert_eq!(data(&created, "Database"), stage.database.name);
    let log = stage.function.log();
    assert!(log.contains("plpgsql=1.0") && log.contains("postgis=3.3.2"), "{log}");

    let update = stack.update(stage.properties(json!({
        "PluginsMap": {"PostGIS": "3.3.2", "pgcrypto": "1.3", "PG_Trgm": "1.6"},
    })));
    let updated = stage.succeed(&mut stack, &update);
    assert_eq!(updated["PhysicalResourceId"], created["PhysicalResourceId"]);
    assert_eq!(stage.extensions(), "pg_trgm=1.6,pgcrypto=1.3,postgis=3.3.2");
    let keys = |answer: &serde_json::Value| {
        answer["Data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&created), keys(&updated));

    let delete = stack.delete();
    let deleted = stage.succeed(&mut stack, &delete);
    assert_eq!(deleted["PhysicalResourceId"], created["PhysicalResourceId"]);
    assert_eq!(
        stage.extensions(),
        "pg_trgm=1.6,pgcrypto=1.3,postgis=3.3.2",
        "Retain is the default"
    );
}

#[test]
fn a_repeated_create_is_answered_again_without_running() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    stage.database.admin().exec("CREATE TABLE count (n int); ALTER TABLE count OWNER TO postgres");
    let create = stack.create(stage.properties(json!({
        "Extensions": ["pgcrypto"], "OnCreate": "INSERT INTO count VALUES (1)",
    })));
    let body = create.to_string();
    stage.function.invoke(body.as_bytes()).returned();
    stage.function.invoke(body.as_bytes()).returned();
    let answers = stage.receiver.accepted(&create);
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(stage.database.admin().value("SELECT count(*) FROM count"), "1");
}

#[test]
fn two_deliveries_at_once_end_like_one() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    stage.database.admin().exec("CREATE TABLE count (n int); ALTER TABLE count OWNER TO postgres");
    let create = stack.create(stage.properties(json!({
        "Extensions": ["postgis"], "OnCreate": "INSERT INTO count VALUES (1)",
    })));
    let body = create.to_string();
    let second = stage.another_function();
    let pending = second.start_invoke(body.as_bytes());
    stage.function.invoke(body.as_bytes()).returned();
    pending.wait().returned();
    let answers = stage.receiver.accepted(&create);
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(stage.database.admin().value("SELECT count(*) FROM count"), "1");
}

#[test]
fn a_failed_create_leaves_nothing_and_its_delete_succeeds() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "Extensions": ["pgcrypto"], "OnCreate": ["CREATE TABLE t ()", "SELECT\n  nope()"], "OnDelete": "Drop",
    })));
    let reason = stage.fail(&create);
    assert!(reason.contains("`! OnCreate statement 2: SELECT…` failed at 2:3"), "{reason}");
    assert!(reason.contains("(42883)") && reason.contains("Hint: "), "{reason}");
    assert_eq!(stage.extensions(), "");
    let answer = stage.receiver.answer_to(&create);
    let delete = stack.settle(&answer).event();
    assert_eq!(delete["PhysicalResourceId"], answer["PhysicalResourceId"]);
    stage.succeed(&mut stack, &delete);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(stage.database.admin().value(tables), "0");
}

#[test]
fn a_failed_request_that_comes_again_is_tried_again() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "OnCreate": "SELECT * FROM late" })));
    stage.fail(&create);
    stage.database.admin().exec("CREATE TABLE late (); GRANT ALL ON late TO postgres");
    stage.function.invoke(create.to_string().as_bytes()).returned();
    let answers = stage.receiver.accepted(&create);
    assert_eq!(
        (&answers[0]["Status"], &answers[1]["Status"]),
        (&json!("FAILED"), &json!("SUCCESS"))
    );
}

#[test]
fn a_failed_update_is_rolled_back_with_the_old_properties() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "PluginsMap": {"pg_trgm": "1.5"} })));
    stage.succeed(&mut stack, &create);
    let update = stack.update(stage.properties(json!({
        "PluginsMap": {"pg_trgm": "1.6"}, "OnUpdate": "SELECT nope()",
    })));
    stage.fail(&update);
    assert_eq!(stage.extensions(), "pg_trgm=1.5");
    let rollback = stack.settle(&stage.receiver.answer_to(&update)).event();
    stage.succeed(&mut stack, &rollback);
    assert_eq!(stage.extensions(), "pg_trgm=1.5");
}

#[test]
fn a_stack_rolls_back_after_an_update_that_had_succeeded() {
    let stage = Stage::new();
    stage.database.admin().exec("CREATE TABLE count (n int); ALTER TABLE count OWNER TO postgres");
    let wanted = |version: &str, statement: &str| {
        stage.properties(json!({ "PluginsMap": {"pg_trgm": version}, "OnUpdate": statement }))
    };
    let mut stack = stage.stack();
    let create = stack.create(wanted("1.4", "SELECT 1"));
    stage.succeed(&mut stack, &create);
    let update = stack.update(wanted("1.5", "INSERT INTO count VALUES (1)"));
    stage.succeed(&mut stack, &update);
    let update = stack.update(wanted("1.6", "INSERT INTO count VALUES (2)"));
    stage.succeed(&mut stack, &update);
    // Another resource failed. The version cannot go back, and what ran then must not run again.
    let rollback = stack.roll_back();
    let answer = stage.ask(&rollback);
    assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("extension pg_trgm stays at 1.6, newer than 1.5"), "{reason}");
    let rows = "SELECT string_agg(n::text, ',' ORDER BY n) FROM count";
    assert_eq!(stage.database.admin().value(rows), "1,2");
    assert_eq!(data(&answer, "ExtensionsAfter"), "pg_trgm=1.6,plpgsql=1.0");
}

#[test]
fn a_request_id_that_is_used_again_later_is_not_taken_for_a_repetition() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let wanted = |names: &[&str]| stage.properties(json!({ "Extensions": names }));
    let create = stack.create(wanted(&["hstore"]));
    stage.succeed(&mut stack, &create);
    let first = stack.update(wanted(&["hstore", "citext"]));
    stage.succeed(&mut stack, &first);
    let back = stack.roll_back();
    stack.settle(&stage.ask(&back));
    stage.database.master().exec("DROP EXTENSION citext");
    let mut again = stack.update(wanted(&["hstore", "citext"]));
    again["RequestId"] = first["RequestId"].clone();
    assert_eq!(stage.ask(&again)["Status"], "SUCCESS");
    assert_eq!(stage.extensions(), "citext=1.6,hstore=1.8");
}

#[test]
fn a_delete_that_comes_while_its_create_runs_stops_it_and_removes_what_it_made() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    // The Create waits for a lock that this session holds.
    let other = stage.database.master();
    other.exec("CREATE TABLE held ()");
    other.exec("BEGIN; LOCK TABLE held");
    let create = stack.create(stage.properties(json!({
        "Extensions": ["pgcrypto"], "OnCreate": "SELECT * FROM held", "OnDelete": "Drop",
        "LockTimeout": "3000",
    })));
    let creating = stage.function.start_invoke(create.to_string().as_bytes());
    let waiting = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    support::wait_until("the Create waits", || stage.database.admin().value(waiting) == "1");

    let delete = stack.invented_delete();
    let second = stage.another_function();
    second.invoke(delete.to_string().as_bytes()).returned();
    let deleted = stage.receiver.answer_to(&delete);
    assert_eq!(deleted["Status"], "SUCCESS", "{deleted:#}");
    assert_eq!(deleted["PhysicalResourceId"], delete["PhysicalResourceId"]);

    creating.wait().returned();
    let created = stage.receiver.answer_to(&create);
    assert_eq!(created["Status"], "FAILED");
    assert!(created["Reason"].as_str().unwrap().starts_with("a Delete of this resource came"));
    assert_eq!(stage.extensions(), "");
    // The Create is delivered once more, late.
    stage.function.invoke(create.to_string().as_bytes()).returned();
    assert_eq!(stage.receiver.accepted(&create)[1]["Status"], "FAILED");
    assert_eq!(stage.extensions(), "");
}

#[test]
fn a_delete_that_overtakes_its_create_wins() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create =
        stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"], "OnDelete": "Drop" })));
    let delete = stack.invented_delete();
    stage.succeed(&mut stack, &delete);
    let reason = stage.fail(&create);
    assert!(reason.starts_with("a Delete of this resource came"), "{reason}");
    assert_eq!(stage.extensions(), "");
}

#[test]
fn a_delete_with_retain_touches_nothing_and_needs_nothing() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"] })));
    stage.succeed(&mut stack, &create);
    let calls = stage.secrets.calls().len();
    stage.secrets.fail("master", support::Failure::NotFound);
    let delete = stack.delete();
    let deleted = stage.succeed(&mut stack, &delete);
    assert_eq!(stage.secrets.calls().len(), calls, "not even the secret is read");
    assert!(deleted["Reason"].as_str().unwrap().starts_with("everything is retained"));
}

#[test]
fn a_request_that_was_overtaken_by_a_newer_one_changes_nothing() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "PluginsMap": {"pg_trgm": "1.5"} })));
    stage.succeed(&mut stack, &create);
    let now = std::time::SystemTime::now();
    stack.sign_at(now + std::time::Duration::from_secs(10));
    let late = stack.update(stage.properties(json!({ "PluginsMap": {"pg_trgm": "1.6"} })));
    stack.sign_at(now + std::time::Duration::from_secs(20));
    let rollback = stack.update(stage.properties(json!({ "PluginsMap": {"pg_trgm": "1.5"} })));
    stage.ask(&rollback);
    let reason = stage.fail(&late);
    assert!(reason.starts_with("a later request for this resource"), "{reason}");
    assert_eq!(stage.extensions(), "pg_trgm=1.5");
}

#[test]
fn plan_and_verify_change_nothing() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let wanted = json!({ "Extensions": ["postgis_topology"], "OnCreate": "SELECT 1" });
    let mode = |mode: &str| {
        let mut wanted = stage.properties(wanted.clone());
        wanted["Mode"] = json!(mode);
        wanted
    };
    let create = stack.create(mode("Plan"));
    let planned = stage.succeed(&mut stack, &create);
    assert_eq!(data(&planned, "Changed"), "false");
    assert_eq!(
        data(&planned, "Plan"),
        "+ extension postgis 3.3.2 (required by postgis_topology); \
         + extension postgis_topology 3.3.2; ! OnCreate statement 1: SELECT 1"
    );
    let verify = stack.update(mode("Verify"));
    let reason = stage.fail(&verify);
    assert!(reason.contains("differs from what is wanted: + extension postgis 3.3.2"), "{reason}");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'execute_sql'";
    assert_eq!(stage.database.admin().value(schemas), "0", "not even a ledger");

    stack.settle(&stage.receiver.answer_to(&verify));
    let mut other = stage.stack();
    let create = other.create(mode("Apply"));
    stage.succeed(&mut other, &create);
    let verify = other.update(mode("Verify"));
    let verified = stage.succeed(&mut other, &verify);
    assert_eq!(data(&verified, "Plan"), "");
}

#[test]
fn two_stacks_at_once_do_not_collide() {
    let stage = Stage::new();
    let wanted = json!({ "Extensions": ["postgis", "pgcrypto", "hstore"] });
    let functions: Vec<_> = (0..4).map(|_| stage.another_function()).collect();
    let mut stacks: Vec<_> = functions.iter().map(|_| stage.stack()).collect();
    let events: Vec<_> =
        stacks.iter_mut().map(|stack| stack.create(stage.properties(wanted.clone()))).collect();
    let pending: Vec<_> = functions
        .iter()
        .zip(&events)
        .map(|(function, event)| function.start_invoke(event.to_string().as_bytes()))
        .collect();
    for invocation in pending {
        invocation.wait().returned();
    }
    for event in &events {
        let answer = stage.receiver.answer_to(event);
        assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
    }
    let created = "SELECT count(*) FROM execute_sql.object WHERE origin = 'created'";
    assert_eq!(stage.database.admin().value(created), "3", "each was made by one of them");
}

#[test]
fn an_event_that_came_by_a_topic_is_answered_too() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"] })));
    stage.function.invoke(support::sns(&create).to_string().as_bytes()).returned();
    assert_eq!(stage.receiver.answer_to(&create)["Status"], "SUCCESS");
}

#[test]
fn a_plain_call_plans_applies_verifies_and_deprovisions() {
    let stage = Stage::new();
    let call = |action: &str, run: &str| {
        let event = json!({
            "Action": action, "RunId": run, "Environment": "dev", "BuildId": "7",
            "Properties": stage.properties(json!({ "Extensions": ["pgcrypto"], "OnDelete": "Drop" })),
        });
        stage.function.invoke(event.to_string().as_bytes())
    };
    assert_eq!(call("Plan", "1").returned()["Steps"][0]["step"], "createExtension");
    match call("Verify", "2") {
        support::Invocation::Threw { error_type, error_message } => {
            assert_eq!(error_type, "PermanentDiffers");
            assert!(error_message.contains("+ extension pgcrypto"), "{error_message}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(call("Apply", "3").returned()["Changed"], true);
    assert_eq!(call("Apply", "4").returned()["Changed"], false);
    assert_eq!(call("Verify", "5").returned()["Changed"], false);
    let audit =
        "SELECT string_agg(DISTINCT environment || build_id || run_id, ',') FROM execute_sql.audit";
    assert_eq!(stage.database.admin().value(audit), "dev73,dev74");
    assert_eq!(call("Deprovision", "6").returned()["Changed"], true);
    assert_eq!(stage.extensions(), "");
    assert!(stage.receiver.requests().is_empty());
}

#[test]
fn an_inspection_costs_at_most_two_round_trips() {
    let proxied = support::Proxy::start(&format!("127.0.0.1:{}", Server::shared().port()));
    let stage = Stage::new();
    let mut stack = stage.stack();
    let properties = |extensions: serde_json::Value| {
        stage.properties(json!({
            "Extensions": extensions, "Connection": {"Port": proxied.port()}, "Mode": "Plan",
        }))
    };
    let event = stack.create(properties(json!([])));
    stage.ask(&event);
    let first = proxied.round_trips();
    stack.settle(&stage.receiver.answer_to(&event));
    let event = stack.update(properties(json!(["postgis", "hstore", "pgcrypto", "citext"])));
    stage.ask(&event);
    let with_many = proxied.round_trips() - first;
    assert!(with_many <= first + 1, "{with_many} instead of {first}");
}
