//! Secrets, servers and networks that do not behave: what heals is waited for, what
//! does not is named at once, with what to do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use stage::Stage;
use support::{Certificate, Failure, Mode, Proxy, Server, Settings, Side, wait_until};

#[test]
fn each_secret_that_is_no_login_is_named_with_what_is_wrong() {
    let stage = Stage::new();
    let whole = Server::shared().secret_json(&stage.database);
    let lacking = |key: &str| {
        let mut secret = whole.clone();
        secret.as_object_mut().unwrap().remove(key);
        secret.to_string()
    };
    let plan = |secret: &str| stage.refused(json!({ "Mode": "Plan", "DBSecret": secret }));
    for (name, text, said) in [
        ("text", "hunter22".to_owned(), "secret `text` is not a JSON object"),
        ("empty", String::new(), "is not a JSON object"),
        ("hostless", lacking("host"), "secret `hostless` has no `host`"),
        ("nameless", lacking("username"), "secret `nameless` has no `username`"),
        ("open", lacking("password"), "secret `open` has no `password`"),
        ("mysql", r#"{"engine":"mysql"}"#.into(), "is for engine `mysql`"),
        ("port", r#"{"port":"x"}"#.into(), "has a `port` that is no port number"),
    ] {
        stage.secrets.put(name, text);
        let reason = plan(name);
        assert!(reason.contains(said) && reason.contains("Hint: "), "{name}: {reason}");
        assert!(!reason.contains("hunter22"));
    }
    stage.secrets.put_binary("binary", b"\x00\xff");
    assert!(plan("binary").starts_with("secret `binary` is binary"));
    for (failure, said) in [
        (Failure::NotFound, "secret `broken` does not exist"),
        (Failure::ScheduledForDeletion, "secret `broken` is scheduled for deletion"),
        (Failure::AccessDenied, "reading secret `broken` is not allowed"),
        (Failure::Decryption, "reading secret `broken` is not allowed"),
    ] {
        stage.secrets.fail("broken", failure);
        let reason = plan("broken");
        assert!(reason.starts_with(said) && reason.contains("Hint: "), "{reason}");
    }
    stage.secrets.assert_only_current_asked();
}

#[test]
fn a_secret_of_login_alone_takes_its_host_from_the_connection() {
    let stage = Stage::new();
    let (whole, port) = (Server::shared().secret_json(&stage.database), Server::shared().port());
    let managed = json!({ "username": whole["username"], "password": whole["password"] });
    stage.secrets.put("rds!db-managed", &managed);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "DBSecret": "rds!db-managed",
        "Connection": {"Host": "localhost", "Port": port, "Database": stage.database.name},
        "Mode": "Plan",
    })));
    stage.succeed(&mut stack, &create);
}

#[test]
fn a_throttled_secret_store_is_asked_again() {
    let stage = Stage::new();
    let login = Server::shared().secret_json(&stage.database).to_string();
    let failures = (0..4).map(|_| Err(Failure::Throttled));
    stage.secrets.answers("slow", failures.chain([Ok(login)]).collect());
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "DBSecret": "slow", "Mode": "Plan" })));
    stage.succeed(&mut stack, &create);
}

#[test]
fn a_password_that_was_rotated_in_between_is_read_once_more() {
    let stage = Stage::new();
    let server = Server::shared();
    let old = server.secret_json_for("postgres", "0ld-passw0rd", &stage.database.name);
    let new = server.secret_json(&stage.database);
    stage.secrets.answers("rotating", vec![Ok(old.to_string()), Ok(new.to_string())]);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "DBSecret": "rotating", "Mode": "Plan" })));
    stage.succeed(&mut stack, &create);

    stage.secrets.put("wrong", &old);
    let calls = stage.secrets.calls().len();
    let reason = stage.refused(json!({ "DBSecret": "wrong" }));
    assert!(reason.contains("refuses the login") && reason.contains("(28P01)"), "{reason}");
    assert!(!reason.contains("0ld-passw0rd"));
    assert_eq!(stage.secrets.calls().len() - calls, 2, "once, and once more");
}

#[test]
fn a_warm_function_follows_a_secret_that_changed_between_two_events() {
    let stage = Stage::new();
    let server = Server::shared();
    let admin = stage.database.admin();
    let role = format!("w_{}", &stage.database.name[stage.database.name.len() - 12..]);
    let login = |password: &str| {
        admin.exec(&format!("ALTER ROLE {role} PASSWORD '{password}'"));
        stage.secrets.put("moving", server.secret_json_for(&role, password, &stage.database.name));
    };
    admin.exec(&format!("CREATE ROLE {role} LOGIN"));
    login("first-passw0rd");
    let properties = || stage.properties(json!({ "DBSecret": "moving", "Mode": "Plan" }));
    let mut stack = stage.stack();
    let create = stack.create(properties());
    stage.succeed(&mut stack, &create);
    login("second-passw0rd");
    let update = stack.update(properties());
    stage.succeed(&mut stack, &update);
    // It moves to another database under the same name.
    let other = server.database();
    stage.secrets.put("moving", server.secret_json(&other));
    let update = stack.update(properties());
    let moved = stage.succeed(&mut stack, &update);
    assert_eq!(stage::data(&moved, "Database"), other.name);
    // And then it is gone; the login of before must not count.
    stage.secrets.fail("moving", Failure::NotFound);
    let update = stack.update(properties());
    assert!(stage.fail(&update).starts_with("secret `moving` does not exist"));
}

#[test]
fn a_server_that_does_not_behave_is_named_with_what_to_do() {
    let stage = Stage::new();
    let proxy = Proxy::start(&format!("127.0.0.1:{}", Server::shared().port()));
    let plan = |connection: Value| {
        let mut connection = connection;
        let defaults = json!({ "WaitFor": "1", "ConnectTimeout": "1", "Port": proxy.port() });
        for (key, value) in defaults.as_object().unwrap() {
            connection.as_object_mut().unwrap().entry(key).or_insert(value.clone());
        }
        stage.refused(json!({ "Mode": "Plan", "Connection": connection }))
    };
    let reason = plan(json!({ "Host": "no-such-host.invalid" }));
    assert!(reason.starts_with("host `no-such-host.invalid` cannot be resolved"), "{reason}");
    proxy.set(Mode::Refuse);
    let reason = plan(json!({}));
    assert!(
        reason.contains("Connection refused") && reason.contains("Hint: Check host"),
        "{reason}"
    );
    proxy.set(Mode::Blackhole);
    let reason = plan(json!({}));
    assert!(
        reason.contains("did not answer within 1 s") && reason.contains("security group"),
        "{reason}"
    );
    proxy.set(Mode::Garbage);
    let reason = plan(json!({}));
    assert!(reason.contains("TLS") || reason.contains("does not answer like"), "{reason}");
    proxy.set(Mode::CloseAfter { from: Side::Server, bytes: 1 });
    let reason = plan(json!({}));
    assert!(reason.contains("failed"), "{reason}");
}

#[test]
fn a_certificate_is_checked_in_full() {
    for (certificate, said) in [
        (Certificate::WrongName, "the certificate of `localhost:"),
        (Certificate::Expired, "expired"),
    ] {
        let server = Server::private(&Settings::default().certificate(certificate));
        let stage = Stage::on(&server);
        let reason = stage.refused(json!({ "Mode": "Plan" }));
        assert!(reason.contains("is not trusted") && reason.contains(said), "{reason}");
        let mut stack = stage.stack();
        let without = stack.create(stage.properties(json!({
            "Mode": "Plan", "Connection": {"SslMode": "require"},
        })));
        stage.succeed(&mut stack, &without);
    }
    let server = Server::shared();
    let other = server.other_ca_pem_path();
    let stage = Stage::new();
    let reason = stage.refused(json!({ "Connection": {"SslRootCert": other.to_str().unwrap()} }));
    assert!(reason.contains("is not trusted"), "{reason}");
    let reason = stage.refused(json!({ "Connection": {"SslRootCert": "/nowhere.pem"} }));
    assert!(reason.contains("reading `/nowhere.pem` failed"), "{reason}");
}

#[test]
fn a_server_without_tls_is_refused_unless_that_is_asked_for() {
    let server = Server::private(&Settings::default().conf("ssl = off"));
    let stage = Stage::on(&server);
    let reason = stage.refused(json!({ "Mode": "Plan" }));
    assert!(reason.contains("does not speak TLS"), "{reason}");
    let mut stack = stage.stack();
    let create = stack
        .create(stage.properties(json!({ "Mode": "Plan", "Connection": {"SslMode": "disable"} })));
    stage.succeed(&mut stack, &create);
}

#[test]
fn a_server_that_is_still_starting_is_waited_for() {
    let server = Server::private(&Settings::default());
    let stage = Stage::on(&server);
    server.stop(support::Stop::Fast);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"] })));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    wait_until("it tries again", || stage.function.log().contains("trying again"));
    server.restart();
    pending.wait().returned();
    assert_eq!(stage.receiver.answer_to(&create)["Status"], "SUCCESS");
}

#[test]
fn the_delete_after_a_create_that_never_had_a_chance_succeeds() {
    let stage = Stage::new();
    let server = Server::shared();
    let admin = stage.database.admin();
    let role = format!("r_{}", &stage.database.name[stage.database.name.len() - 12..]);
    admin.exec(&format!("CREATE ROLE {role} LOGIN PASSWORD 'weak-passw0rd'"));
    let weak = server.secret_json_for(&role, "weak-passw0rd", &stage.database.name);
    stage.secrets.put("weak", &weak);
    let mut nowhere = server.secret_json(&stage.database);
    nowhere["dbname"] = json!("no_such_database");
    stage.secrets.put("nowhere", &nowhere);
    let fails_and_goes = |secret: &str| {
        let mut stack = stage.stack();
        let create = stack.create(stage.properties(json!({
            "DBSecret": secret, "Extensions": ["hstore"], "OnDelete": "Drop",
        })));
        let reason = stage.fail(&create);
        let delete = stack.settle(&stage.receiver.answer_to(&create)).event();
        stage.succeed(&mut stack, &delete);
        reason
    };
    assert!(fails_and_goes("weak").contains("(42501)"));
    assert!(fails_and_goes("nowhere").contains("(3D000)"));
    // Now there is a ledger, and it belongs to the master.
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"] })));
    stage.succeed(&mut stack, &create);
    assert!(fails_and_goes("weak").contains("belongs to the role that used this database first"));
}

#[test]
fn a_reader_is_connected_to_once_more_and_then_named() {
    let settings = Settings::default().conf("log_connections = on").conf("wal_level = replica");
    let server = Server::private(&settings);
    let stage = Stage::on(&server);
    server.restart_as_reader();
    let before = server.log().matches("connection authorized: user=postgres").count();
    let reason = stage.refused(json!({ "Extensions": ["pgcrypto"] }));
    assert!(reason.contains("is a reader") && reason.contains("Hint: Name the writer"), "{reason}");
    let after = server.log().matches("connection authorized: user=postgres").count();
    assert_eq!(after - before, 2);
    // Looking is what readers are for.
    let mut stack = stage.stack();
    let plan =
        stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"], "Mode": "Plan" })));
    stage.succeed(&mut stack, &plan);
    stage.database.admin().exec("SELECT pg_promote()");
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"] })));
    stage.succeed(&mut stack, &create);
}

#[test]
fn a_secret_store_that_does_not_answer_ends_in_an_answer() {
    let stage = Stage::with(Server::shared(), |it| it.timeout(Duration::from_secs(20)));
    stage.secrets.hang();
    let reason = stage.refused(json!({ "Mode": "Plan" }));
    assert!(reason.contains("secret"), "{reason}");
}

#[test]
fn a_pooler_that_hands_sessions_around_is_named() {
    let stage = Stage::new();
    let port = support::pooler::start(format!("127.0.0.1:{}", Server::shared().port()));
    let through = |connection| stage.refused(json!({ "Connection": connection }));
    let reason = through(json!({ "Host": "127.0.0.1", "Port": port, "SslMode": "disable" }));
    assert!(reason.starts_with("a connection pooler stands before database"), "{reason}");
    let reason = through(json!({ "Host": "app.proxy-abc.eu-west-1.rds.amazonaws.com" }));
    assert!(reason.contains("is an RDS Proxy"), "{reason}");
}
