//! Who has what: only what a resource made, and alone has, goes with it, and only when
//! that is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use serde_json::json;
use stage::Stage;
use support::Next;

#[test]
fn what_came_along_with_an_extension_goes_with_the_resource_after_a_replacement() {
    let stage = Stage::new();
    let wanted = |connection: serde_json::Value| {
        stage.properties(json!({
            "Extensions": [{"Name": "earthdistance", "Schema": "geo"}], "OnDelete": "Drop",
            "Connection": connection,
        }))
    };
    let mut stack = stage.stack();
    let create = stack.create(wanted(json!({})));
    stage.succeed(&mut stack, &create);
    let update = stack.update(wanted(json!({ "Host": "127.0.0.1" })));
    let cleanup = stack.settle(&stage.ask(&update)).event();
    stage.succeed(&mut stack, &cleanup);
    assert_eq!(stage.extensions(), "cube=1.5,earthdistance=1.1");
    let delete = stack.delete();
    stage.succeed(&mut stack, &delete);
    assert_eq!(stage.extensions(), "");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'geo'";
    assert_eq!(stage.database.admin().value(schemas), "0");
}

#[test]
fn calls_by_hand_are_told_apart_by_name_and_end_only_what_they_name() {
    let stage = Stage::new();
    let call = |action: &str, run: &str, name: &str, extension: &str| {
        let event = json!({
            "Action": action, "RunId": run, "Name": name,
            "Properties": stage.properties(json!({ "Extensions": [extension], "OnDelete": "Drop" })),
        });
        stage.function.invoke(event.to_string().as_bytes()).returned()
    };
    call("Apply", "1", "a", "hstore");
    call("Apply", "2", "b", "citext");
    call("Apply", "3", "b", "pg_trgm");
    // The same run ends what another task of it had begun; it is another request.
    assert_eq!(call("Deprovision", "3", "b", "pg_trgm")["Changed"], true);
    assert_eq!(stage.extensions(), "citext=1.6,hstore=1.8");
    call("Deprovision", "4", "a", "hstore");
    assert_eq!(stage.extensions(), "citext=1.6");
}

#[test]
fn a_replacement_cleans_up_only_what_the_new_one_does_not_have() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "Extensions": ["hstore", "pgcrypto"], "OnDelete": "Drop",
    })));
    let created = stage.succeed(&mut stack, &create);
    // Another name for the same database is another target to CloudFormation.
    let update = stack.update(stage.properties(json!({
        "Extensions": ["hstore"], "OnDelete": "Drop", "Connection": {"Host": "127.0.0.1"},
    })));
    let updated = stage.ask(&update);
    assert_ne!(updated["PhysicalResourceId"], created["PhysicalResourceId"]);
    let cleanup = stack.settle(&updated).event();
    assert_eq!(cleanup["PhysicalResourceId"], created["PhysicalResourceId"]);
    let cleaned = stage.succeed(&mut stack, &cleanup);
    assert_eq!(stage.extensions(), "hstore=1.8");
    let reason = cleaned["Reason"].as_str().unwrap();
    assert!(reason.contains("left extension hstore: this resource still has it"), "{reason}");
    // The very same clean-up once more.
    stage.function.invoke(cleanup.to_string().as_bytes()).returned();
    assert_eq!(stage.extensions(), "hstore=1.8");
    let delete = stack.delete();
    stage.succeed(&mut stack, &delete);
    assert_eq!(stage.extensions(), "");
}

#[test]
fn a_replacement_that_is_rolled_back_loses_nothing() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create =
        stack.create(stage.properties(json!({ "Extensions": ["hstore"], "OnDelete": "Drop" })));
    stage.succeed(&mut stack, &create);
    let update = stack.update(stage.properties(json!({
        "Extensions": ["hstore"], "OnDelete": "Drop", "Connection": {"Host": "127.0.0.1"},
    })));
    stack.settle(&stage.ask(&update));
    // Another resource failed: back to the old target, then the new id is cleaned up.
    let rollback = stack.roll_back();
    let rolled_back = stage.ask(&rollback);
    assert_eq!(rolled_back["Status"], "SUCCESS");
    if let Next::Send(cleanup) = stack.settle(&rolled_back) {
        stage.succeed(&mut stack, &cleanup);
    }
    assert_eq!(stage.extensions(), "hstore=1.8");
}

#[test]
fn what_was_there_before_is_adopted_and_never_dropped() {
    let stage = Stage::new();
    stage.database.master().exec("CREATE EXTENSION hstore");
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "Extensions": ["hstore", "pgcrypto"], "OnDelete": "Drop",
    })));
    stage.succeed(&mut stack, &create);
    let delete = stack.delete();
    let deleted = stage.succeed(&mut stack, &delete);
    assert_eq!(stage.extensions(), "hstore=1.8");
    let reason = deleted["Reason"].as_str().unwrap();
    assert!(reason.contains("- extension pgcrypto"), "{reason}");
    assert!(reason.contains("left extension hstore: it was there before"), "{reason}");
}

#[test]
fn what_another_stack_has_too_is_not_dropped() {
    let stage = Stage::new();
    let wanted = json!({ "Extensions": ["hstore"], "OnDelete": "Drop" });
    let (mut first, mut second) = (stage.stack(), stage.stack());
    let create = first.create(stage.properties(wanted.clone()));
    stage.succeed(&mut first, &create);
    let create = second.create(stage.properties(wanted));
    stage.succeed(&mut second, &create);
    let delete = first.delete();
    let deleted = stage.succeed(&mut first, &delete);
    assert_eq!(stage.extensions(), "hstore=1.8");
    assert!(deleted["Reason"].as_str().unwrap().contains("another resource has it too"));
}

#[test]
fn what_something_depends_on_is_not_dropped() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create =
        stack.create(stage.properties(json!({ "Extensions": ["hstore"], "OnDelete": "Drop" })));
    stage.succeed(&mut stack, &create);
    stage.database.master().exec("CREATE TABLE precious (h hstore)");
    let delete = stack.delete();
    let deleted = stage.succeed(&mut stack, &delete);
    assert_eq!(stage.extensions(), "hstore=1.8");
    let reason = deleted["Reason"].as_str().unwrap();
    assert!(reason.contains("column h of table precious depends on type hstore"), "{reason}");
}

#[test]
fn a_namesake_of_what_was_made_is_not_dropped() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create =
        stack.create(stage.properties(json!({ "Extensions": ["hstore"], "OnDelete": "Drop" })));
    stage.succeed(&mut stack, &create);
    stage.database.master().exec("DROP EXTENSION hstore; CREATE EXTENSION hstore");
    let delete = stack.delete();
    let deleted = stage.succeed(&mut stack, &delete);
    assert_eq!(stage.extensions(), "hstore=1.8");
    assert!(deleted["Reason"].as_str().unwrap().contains("it is another one"));
}
