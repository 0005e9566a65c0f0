//! What can go wrong with an event and its work, one by one: damaged events, an answer
//! that nobody takes, a function or server that dies in the middle. Each ends in one
//! answer that names what is wrong, and nothing half done.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use std::time::Duration;

use serde_json::json;
use stage::Stage;
use support::{Behaviour, GENEROUS, Invocation, Server, Settings, wait_until};

fn threw(invocation: Invocation) -> (String, String) {
    match invocation {
        Invocation::Threw { error_type, error_message } => (error_type, error_message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_truncated_or_broken_event_is_answered_if_it_says_where() {
    let stage = Stage::new();
    let create = stage.stack().create(stage.properties(json!({})));
    let text = create.to_string();
    let cut = text.find("\"StackId\"").unwrap() + 5;
    for (count, body) in [
        (1, text.as_bytes()[..text.len() - 1].to_vec()),
        (2, [&text.as_bytes()[..text.len() - 1], b"\xff\xfe}"].concat()),
        (3, text.replace("\"RequestType\":\"Create\"", "\"RequestType\":\"Cr\u{1}").into_bytes()),
    ] {
        stage.function.invoke(&body).returned();
        let answers = stage.receiver.accepted(&create);
        assert_eq!(answers.len(), count);
        let answer = answers.last().unwrap();
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(answer["StackId"], create["StackId"]);
        assert!(answer["Reason"].as_str().unwrap().starts_with("the event is no JSON"), "{answer}");
    }
    // The ids are gone with the rest, but for those in the address.
    stage.function.invoke(&text.as_bytes()[..cut]);
    for garbage in [&b""[..], b"null", b"[]", b"\"x\"", b"\xff", b"{", b"{}", b"7"] {
        let (name, message) = threw(stage.function.invoke(garbage));
        assert_eq!(name, "PermanentInvalidRequest", "{message}");
    }
}

#[test]
fn a_request_that_lacks_a_field_is_answered_with_its_name() {
    let stage = Stage::new();
    for (field, said) in [
        ("ResourceProperties", "the request has no `ResourceProperties`"),
        ("RequestType", "the request has no `RequestType`"),
    ] {
        let mut create = stage.stack().create(stage.properties(json!({})));
        create.as_object_mut().unwrap().remove(field);
        let reason = stage.fail(&create);
        assert!(reason.starts_with(said), "{reason}");
    }
    let mut create = stage.stack().create(stage.properties(json!({})));
    create["RequestType"] = json!("Destroy");
    assert!(stage.fail(&create).starts_with("unknown request type \"Destroy\""));

    // A RequestId that is missing is read from the address.
    let mut create = stage.stack().create(stage.properties(json!({ "Mode": "Plan" })));
    let id = create.as_object_mut().unwrap().remove("RequestId").unwrap();
    assert_eq!(stage.ask(&create)["RequestId"], id);

    let mut create = stage.stack().create(stage.properties(json!({})));
    create.as_object_mut().unwrap().remove("ResponseURL");
    let (_, message) = threw(stage.function.invoke(create.to_string().as_bytes()));
    assert!(message.starts_with("the request has no `ResponseURL`"), "{message}");
}

#[test]
fn a_delete_succeeds_whatever_its_properties_are() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({})));
    stage.succeed(&mut stack, &create);
    for properties in [
        json!(null),
        json!({}),
        json!({ "OnDelete": "Explode", "Colour": "blue" }),
        json!({ "OnDelete": "Drop", "Connection": {"Port": "many"} }),
        json!({ "DBSecret": {"Ref": "x"}, "OnDelete": "Drop" }),
    ] {
        let mut delete = stack.delete();
        delete["ResourceProperties"] = properties;
        let answer = stage.ask(&delete);
        assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
        assert_eq!(answer["PhysicalResourceId"], delete["PhysicalResourceId"]);
    }
}

#[test]
fn an_answer_is_sent_again_until_it_is_taken() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Mode": "Plan" })));
    stage.receiver.behave(&[Behaviour::Status(503), Behaviour::Reset, Behaviour::Status(500)]);
    stage.function.invoke(create.to_string().as_bytes()).returned();
    let sent = stage.receiver.requests();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|it| it.body == sent[0].body && it.problems().is_empty()));
    let target = create["ResponseURL"].as_str().unwrap().splitn(4, '/').nth(3).unwrap();
    assert_eq!(sent[0].target, format!("/{target}"), "byte for byte");
}

#[test]
fn an_answer_that_is_refused_is_not_sent_again() {
    let stage = Stage::new();
    let create = stage.stack().create(stage.properties(json!({ "Mode": "Plan" })));
    stage.receiver.behave(&[Behaviour::Status(403)]);
    let (name, message) = threw(stage.function.invoke(create.to_string().as_bytes()));
    assert_eq!(stage.receiver.requests().len(), 1);
    assert_eq!(name, "RetryableAnswerUndelivered");
    assert!(message.contains("HTTP status 403"), "{message}");
}

#[test]
fn an_answer_that_nobody_takes_is_an_error_in_time_and_the_retry_delivers_it() {
    let stage = Stage::with(Server::shared(), |it| it.timeout(Duration::from_secs(20)));
    let create = stage.stack().create(stage.properties(json!({ "Extensions": ["pgcrypto"] })));
    stage.receiver.behave(&[Behaviour::Hang; 5]);
    let (name, _) = threw(stage.function.invoke_as("one", create.to_string().as_bytes()));
    assert_eq!(name, "RetryableAnswerUndelivered");
    let hung = stage.receiver.requests().len();
    assert!((1..=5).contains(&hung), "{hung}");
    stage.receiver.behave(&[Behaviour::Status(200)]);
    // What is left of the hanging ones goes to nobody; Lambda's retry finds the stored answer.
    while stage.receiver.accepted(&create).is_empty() {
        stage.function.invoke_as("one", create.to_string().as_bytes());
    }
    assert_eq!(stage.receiver.accepted(&create)[0]["Status"], "SUCCESS");
}

#[test]
fn a_placeholder_or_password_in_the_properties_is_refused() {
    let stage = Stage::new();
    let resolve = "{{resolve:secretsmanager:db:SecretString:password}}";
    assert!(stage.refused(json!({ "DBSecret": resolve })).contains("does not resolve"));
    let reason = stage.refused(json!({ "Connection": {"Password": "hunter22"} }));
    assert!(reason.contains("a password never travels in properties"), "{reason}");
    assert!(!reason.contains("hunter22") && !stage.function.log().contains("hunter22"));
}

#[test]
fn an_extension_or_version_that_is_not_to_be_had_is_refused_before_anything_runs() {
    let stage = Stage::new();
    for (plugins, said) in [
        (json!({ "pgvectr": "1" }), "extension `pgvectr` is not available on this server"),
        (json!({ "PostGIS": "9.9.9" }), "extension `postgis` has no version 9.9.9"),
        (json!({ "a\"b": "1" }), "must not hold quotes"),
        (json!({ "a;b": "1" }), "must not hold quotes"),
        (json!({ "hstore": "1'; DROP TABLE t; --" }), "must not hold"),
        (json!({ "a\u{0}b": "1" }), "control character"),
        (json!({ "x".repeat(70): "1" }), "is 70 bytes long"),
    ] {
        let reason = stage.refused(json!({ "PluginsMap": plugins }));
        assert!(reason.contains(said), "{reason}");
    }
    let reason = stage.refused(json!({ "PluginsMap": {"pgcrypto": "1.3", "nope_none": "1"} }));
    assert!(reason.starts_with("extension `nope_none` is not available"), "{reason}");
    assert_eq!(stage.extensions(), "");
}

#[test]
fn a_server_that_dies_in_the_middle_of_a_statement_is_waited_for_and_the_work_done_once() {
    let server = Server::private(&Settings::default());
    let stage = Stage::on(&server);
    let admin = stage.database.admin();
    admin.exec("CREATE TABLE count (n int); ALTER TABLE count OWNER TO postgres");
    let lock = stage.database.master();
    lock.exec("CREATE TABLE held ()");
    lock.exec("BEGIN; LOCK TABLE held");
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "Extensions": ["pgcrypto"],
        "OnCreate": ["INSERT INTO count VALUES (1)", "SELECT * FROM held"],
        "LockTimeout": "3000",
    })));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    let waiting = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    wait_until("the statement runs", || admin.value(waiting) == "1");
    server.kill();
    server.restart();
    pending.wait().returned();
    let answer = stage.receiver.answer_to(&create);
    assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
    assert_eq!(stage.database.admin().value("SELECT count(*) FROM count"), "1");
}

#[test]
fn a_lock_is_waited_for_in_attempts_that_let_others_pass() {
    let stage = Stage::new();
    let holder = stage.database.master();
    holder.exec("CREATE TABLE held ()");
    holder.exec("BEGIN; LOCK TABLE held");
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "OnCreate": "LOCK TABLE held", "LockTimeout": "1",
    })));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    wait_until("it has given up twice", || {
        stage.function.log().matches("(55P03); trying again").count() >= 2
    });
    holder.exec("COMMIT");
    pending.wait().returned();
    assert_eq!(stage.receiver.answer_to(&create)["Status"], "SUCCESS");
}

#[test]
fn the_end_of_the_time_leaves_no_session_behind() {
    let stage = Stage::with(Server::shared(), |it| it.timeout(Duration::from_secs(12)));
    // Each statement is short enough for the server's own limit; all of them are not.
    let sleeps = "SELECT pg_sleep(4);".repeat(8);
    let create = stage.stack().create(stage.properties(json!({ "OnCreate": sleeps })));
    let reason = stage.fail(&create);
    assert!(reason.contains("the time ran out while running"), "{reason}");
    let sessions = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'execute-sql/%'";
    wait_until("its session is gone", || stage.database.admin().value(sessions) == "0");
}

#[test]
fn the_function_killed_between_commit_and_answer_answers_when_it_is_run_again() {
    let stage = Stage::new();
    stage.database.admin().exec("CREATE TABLE count (n int); ALTER TABLE count OWNER TO postgres");
    let mut stack = stage.stack();
    let create =
        stack.create(stage.properties(json!({ "OnCreate": "INSERT INTO count VALUES (1)" })));
    stage.receiver.behave(&[Behaviour::Hang]);
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    stage.receiver.wait_for(1, GENEROUS);
    stage.function.kill();
    assert_eq!(pending.wait(), Invocation::Died);
    stage.function.invoke(create.to_string().as_bytes()).returned();
    assert_eq!(stage.receiver.answer_to(&create)["Status"], "SUCCESS");
    assert_eq!(stage.database.admin().value("SELECT count(*) FROM count"), "1");
}

#[test]
fn the_function_killed_at_any_step_leaves_nothing_half_done_and_the_retry_finishes() {
    // Each statement waits for its own lock, so the function can be killed while it stands there.
    const STEPS: usize = 4;
    let stage = Stage::new();
    let setup = stage.database.master();
    setup.exec("CREATE TABLE done (step int)");
    (0..STEPS).for_each(|step| setup.exec(&format!("CREATE TABLE held_{step} ()")));
    let statements: Vec<_> = (0..STEPS)
        .map(|step| format!("LOCK TABLE held_{step}; INSERT INTO done VALUES ({step})"))
        .collect();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "Extensions": ["pgcrypto"], "OnCreate": statements, "LockTimeout": "3000",
    })));
    let admin = stage.database.admin();
    for step in 0..STEPS {
        let holder = stage.database.master();
        holder.exec(&format!("BEGIN; LOCK TABLE held_{step}"));
        let pending = stage.function.start_invoke(create.to_string().as_bytes());
        let waiting = format!(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'held_{step}'::regclass"
        );
        wait_until("it stands at the step", || admin.value(&waiting) == "1");
        stage.function.kill();
        assert_eq!(pending.wait(), Invocation::Died);
        assert_eq!(admin.value("SELECT count(*) FROM done"), "0");
        assert_eq!(stage.extensions(), "");
    }
    stage.function.invoke(create.to_string().as_bytes()).returned();
    assert_eq!(stage.receiver.answer_to(&create)["Status"], "SUCCESS");
    let done = "SELECT string_agg(step::text, ',' ORDER BY step) FROM done";
    assert_eq!(admin.value(done), "0,1,2,3");
}

#[test]
fn the_end_of_the_time_is_answered_before_lambda_ends_the_function() {
    let timeout = Duration::from_secs(12);
    let stage = Stage::with(Server::shared(), |it| it.timeout(timeout));
    let create =
        stage.stack().create(stage.properties(json!({ "OnCreate": "SELECT pg_sleep(60)" })));
    let started = std::time::Instant::now();
    let reason = stage.fail(&create);
    let took = stage.receiver.requests()[0].at - started;
    assert!(took <= timeout / 2 + Duration::from_secs(1), "{took:?}");
    assert!(reason.contains("57014") || reason.contains("the time ran out"), "{reason}");
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' \
         AND datname = current_database() AND pid <> pg_backend_pid()";
    wait_until("the statement is stopped", || stage.database.admin().value(running) == "0");
}

#[test]
fn a_stale_event_is_not_executed() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    stack.sign_at(std::time::SystemTime::now() - Duration::from_secs(3 * 3600));
    let create = stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"] })));
    let reason = stage.fail(&create);
    assert!(reason.starts_with("the time ran out while the request waited"), "{reason}");
    assert_eq!(stage.extensions(), "");
}

#[test]
fn a_statement_that_ends_its_transaction_is_found_out() {
    let stage = Stage::new();
    let hidden = "DO $$ BEGIN EXECUTE 'SELECT 1'; COMMIT; END $$";
    let reason = stage.refused(json!({ "Extensions": ["pgcrypto"], "OnCreate": hidden }));
    // PostgreSQL itself forbids it inside of a transaction block.
    assert!(reason.contains("(2D000)"), "{reason}");
    assert_eq!(stage.extensions(), "");
}

#[test]
fn an_error_text_of_five_thousand_bytes_fits_into_an_answer() {
    let stage = Stage::new();
    let long = "🐘\"\\".repeat(900);
    let sql = format!("DO $x$ BEGIN RAISE EXCEPTION '%', $y${long}$y$; END $x$");
    let create = stage.stack().create(stage.properties(json!({ "OnCreate": sql })));
    let reason = stage.fail(&create);
    assert!(reason.contains("🐘") && reason.contains("request "), "{reason}");
    assert!(stage.receiver.requests()[0].body.len() > 4000);
}
