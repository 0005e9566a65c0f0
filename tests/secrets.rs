//! A known password goes in; it must come out nowhere: not in the function's log,
//! not in the server's (which writes down every statement), not in an answer or
//! error, not in the ledger.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use serde_json::json;
use stage::Stage;
use support::{FunctionOptions, MASTER_PASSWORD, MASTER_PASSWORD_MARK, Server, Settings};

#[test]
fn a_password_is_seen_nowhere() {
    // Everything that the function could be brought to say.
    let loud = |options: FunctionOptions| {
        options
            .env("EXECUTE_SQL_LOG", "trace")
            .env("RUST_LOG", "trace")
            .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
    };
    let stage = Stage::with(Server::shared(), loud);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "Extensions": ["pgcrypto"], "OnCreate": "CREATE TABLE t ()", "OnDelete": "Drop",
    })));
    stage.succeed(&mut stack, &create);
    // A statement that repeats what it was given, and one that fails with it.
    let quoted = MASTER_PASSWORD.replace('\'', "''");
    let update = stack.update(stage.properties(json!({
        "OnUpdate": [
            format!("DO $x$ BEGIN RAISE NOTICE '%', '{quoted}'; END $x$"),
            format!("DO $x$ BEGIN RAISE EXCEPTION '%', '{quoted}'; END $x$"),
        ],
    })));
    let reason = stage.fail(&update);
    assert!(reason.contains("****"), "{reason}");
    stack.settle(&stage.receiver.answer_to(&update));
    stage.secrets.put("broken", format!("{{\"password\": \"{MASTER_PASSWORD}"));
    let broken = stack.update(stage.properties(json!({ "DBSecret": "broken" })));
    stage.fail(&broken);
    stack.settle(&stage.receiver.answer_to(&broken));
    let delete = stack.delete();
    stage.succeed(&mut stack, &delete);

    let log = stage.function.log();
    assert!(
        log.contains("before") && log.contains("connecting") || log.contains("request"),
        "{log}"
    );
    assert!(!log.contains(MASTER_PASSWORD_MARK), "in the function's log");
    for url in [&create, &update, &delete].map(|it| it["ResponseURL"].as_str().unwrap()) {
        assert!(!log.contains(url), "a ResponseURL in the function's log");
    }
    assert!(!log.contains("X-Amz-Signature"), "a signature in the function's log");
    for request in stage.receiver.requests() {
        let body = String::from_utf8(request.body).unwrap();
        assert!(!body.contains(MASTER_PASSWORD_MARK), "in an answer: {body}");
    }
    let admin = stage.database.admin();
    for table in ["request", "audit", "object", "resource"] {
        let rows = admin.value(&format!(
            "SELECT coalesce(string_agg(t::text, '|'), '') FROM execute_sql.{table} t"
        ));
        assert!(!rows.contains(MASTER_PASSWORD_MARK), "in execute_sql.{table}: {rows}");
    }
}

#[test]
fn a_password_is_in_no_statement_that_the_server_writes_down() {
    let server = Server::private(&Settings::default().conf("log_min_duration_statement = 0"));
    let stage = Stage::on(&server);
    let mut stack = stage.stack();
    let create =
        stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"], "OnDelete": "Drop" })));
    stage.succeed(&mut stack, &create);
    let delete = stack.delete();
    stage.succeed(&mut stack, &delete);
    let log = server.log();
    assert!(
        log.contains("CREATE EXTENSION") && log.contains("DROP EXTENSION"),
        "it writes them down"
    );
    assert!(!log.contains(MASTER_PASSWORD_MARK));
}
