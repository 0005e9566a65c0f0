//! What a rotation must not do, and says so; and what may be seen nowhere.

use serde_json::{Value, json};

use crate::stage::{Alternating, FIRST_PASSWORD, Single, Stage};
use crate::support::{
    Client, Invocation, MASTER, MASTER_PASSWORD, MASTER_PASSWORD_MARK, Server, Settings,
};

fn master(stage: &Stage<'_>) -> Client {
    Client::connect(&stage.server.config(MASTER, MASTER_PASSWORD, "postgres"))
}

/// What the server has of passwords.
fn verifiers(stage: &Stage<'_>) -> String {
    let of = format!(
        "SELECT coalesce(string_agg(rolname || '=' || coalesce(rolpassword, ''), ',' \
         ORDER BY rolname), '') FROM pg_authid WHERE rolname LIKE '{}%' OR rolname = '{MASTER}'",
        stage.database.name
    );
    stage.server.admin("postgres").value(&of)
}

#[test]
fn an_event_that_lacks_something_is_refused_by_name() {
    let stage = Stage::new(Single);
    let whole = json!({"Step": "setSecret", "SecretId": stage.secret, "ClientRequestToken": "t"});
    for key in ["Step", "SecretId", "ClientRequestToken"] {
        let mut event = whole.clone();
        event.as_object_mut().unwrap().remove(key);
        let Err(Invocation::Threw { error_type, error_message }) = stage.invoke(&event) else {
            panic!("{key}")
        };
        assert_eq!(error_type, "PermanentInvalidRequest");
        assert!(error_message.contains(&format!("the event has no `{key}`")), "{error_message}");
    }
    let mut event = whole.clone();
    event["Step"] = json!("dropSecret");
    let Err(Invocation::Threw { error_message, .. }) = stage.invoke(&event) else { panic!() };
    assert!(error_message.contains("`dropSecret`, which is none of the four"), "{error_message}");
    let Err(Invocation::Threw { error_message, .. }) = stage.invoke(&whole) else { panic!() };
    assert!(error_message.contains("has no version `t`"), "{error_message}");
    event["Step"] = json!("setSecret");
    event["SecretId"] = json!("nowhere");
    let Err(Invocation::Threw { error_message, .. }) = stage.invoke(&event) else { panic!() };
    assert!(error_message.contains("secret `nowhere` does not exist"), "{error_message}");
}

#[test]
fn a_secret_without_rotation_is_not_rotated() {
    let stage = Stage::new(Single);
    stage.secrets.change(&stage.secret, |it| it.rotation = None);
    let (name, why) = stage.refused("createSecret");
    assert_eq!(name, "PermanentRotation");
    assert!(why.contains("has no rotation enabled"), "{why}");
    stage.take_pending_away();
    crate::stage::enable(&stage.secrets, &stage.secret);
    stage.secrets.put(&stage.secret, stage.current());
    let id = |it: &str| stage.secrets.get(&stage.secret).unwrap().at(it).unwrap().id.clone();
    let event = json!({
        "Step": "createSecret", "SecretId": stage.secret, "ClientRequestToken": id("AWSPREVIOUS"),
    });
    let Err(Invocation::Threw { error_message, .. }) = stage.invoke(&event) else { panic!() };
    assert!(error_message.contains("is not pending"), "{error_message}");
}

#[test]
fn a_pending_login_for_another_role_or_host_is_refused_and_can_be_discarded() {
    for strategy in [Single, Alternating] {
        let stage = Stage::new(strategy);
        let before = verifiers(&stage);
        for (key, value) in [
            ("username", json!(MASTER)),
            ("username", json!(format!("{}_x", stage.user))),
            ("host", json!("evil.invalid")),
            ("port", json!(1)),
            ("dbname", json!("postgres")),
        ] {
            let mut text = stage.current();
            if strategy == Alternating {
                text["username"] = json!(stage.clone_name());
            }
            text["password"] = json!("chosen-Zz8kLm");
            text[key] = value;
            stage.leave_pending(&text);
            let (name, why) = stage.refused("setSecret");
            assert_eq!(name, "PermanentRefused", "{why}");
            assert!(why.contains("the pending version of secret `tenant` is for"), "{why}");
            assert!(why.contains("Hint: Take AWSPENDING from this version"), "{why}");
            assert_eq!(verifiers(&stage), before);
            stage.take_pending_away();
        }
        stage.rotate().done();
    }
}

#[test]
fn who_can_write_a_secret_gets_no_password_set_on_a_role_of_their_choice() {
    for strategy in [Single, Alternating] {
        let stage = Stage::new(strategy);
        let victim = format!("{}_victim", stage.database.name);
        master(&stage).exec(&format!("CREATE ROLE {victim} LOGIN"));
        let before = verifiers(&stage);
        for username in [&victim, MASTER] {
            let mut text = stage.current();
            text["username"] = json!(username);
            stage.secrets.put(&stage.secret, &text);
            let (name, why) = stage.refused("setSecret");
            assert_eq!(name, "PermanentRefused", "{why}");
            stage.take_pending_away();
        }
        assert_eq!(verifiers(&stage), before);
        // A role that merely has the name of a sibling.
        if strategy == Alternating {
            let mut text = stage.current();
            text["username"] = json!(stage.user);
            stage.secrets.put(&stage.secret, &text);
            master(&stage).exec(&format!("CREATE ROLE {} LOGIN", stage.clone_name()));
            let (_, why) = stage.refused("setSecret");
            assert!(why.contains("exists, and is not the second one of"), "{why}");
            master(&stage).exec(&format!("CREATE ROLE {victim}_clone LOGIN"));
            let of_clone = format!("{victim}_clone");
            let admin = stage.server.admin("postgres");
            admin.exec(&format!("ALTER ROLE {of_clone} PASSWORD 'known-Ll2pRt'"));
            admin.exec(&format!("GRANT CONNECT ON DATABASE {} TO {of_clone}", stage.database.name));
            text["username"] = json!(of_clone);
            text["password"] = json!("known-Ll2pRt");
            stage.take_pending_away();
            stage.secrets.put(&stage.secret, &text);
            let (_, why) = stage.refused("setSecret");
            assert!(why.contains(&format!("`{of_clone}` exists, and is not")), "{why}");
        }
    }
}

#[test]
fn a_master_elsewhere_is_not_asked() {
    for strategy in [Single, Alternating] {
        let stage = Stage::new(strategy);
        let mut text = stage.server.secret_json(&stage.server.database_named("postgres"));
        text["host"] = json!("other.example.com");
        stage.secrets.put("master", &text);
        let (name, why) = stage.refused("setSecret");
        assert_eq!(name, "PermanentRefused");
        assert!(why.contains("is for `other.example.com:"), "{why}");
    }
}

#[test]
fn a_role_that_logs_in_with_tokens_gets_no_password() {
    for strategy in [Single, Alternating] {
        let stage = Stage::new(strategy);
        let group = format!("{}_g", stage.database.name);
        // Not directly.
        let sql = format!(
            "CREATE ROLE {group}; GRANT rds_iam TO {group}; GRANT {group} TO {}",
            stage.user
        );
        master(&stage).exec(&sql);
        let before = verifiers(&stage);
        let (name, why) = stage.refused("setSecret");
        assert_eq!(name, "PermanentRefused");
        assert!(why.contains("is a member of `rds_iam`"), "{why}");
        assert_eq!(verifiers(&stage), before);
    }
}

#[test]
fn a_role_that_can_make_others_is_not_set_by_the_master() {
    let stage = Stage::new(Single);
    stage.server.admin("postgres").exec(&format!("ALTER ROLE {} CREATEROLE", stage.user));
    let (name, why) = stage.refused("setSecret");
    assert_eq!(name, "PermanentRefused");
    assert!(why.contains("may make or become other roles"), "{why}");
}

#[test]
fn two_roles_need_a_master_that_may_grant_the_first() {
    let stage = Stage::new(Alternating);
    let mut text = stage.current();
    text.as_object_mut().unwrap().remove("masterarn");
    stage.secrets.put(&stage.secret, &text);
    let (_, why) = stage.refused("setSecret");
    assert!(why.contains("names no master") && why.contains("MASTER_SECRET_ARN"), "{why}");

    // From 16 on it takes ADMIN OPTION, which who made the role has.
    let server = Server::rds_like(16);
    let stage = Stage::on(&server, Alternating);
    let revoke = format!("REVOKE {} FROM {MASTER} CASCADE", stage.user);
    server.admin("postgres").exec(&revoke);
    let (name, why) = stage.refused("setSecret");
    assert_eq!(name, "PermanentDatabase");
    assert!(why.contains("(42501)") && why.contains("ADMIN OPTION"), "{why}");
}

#[test]
fn a_name_that_leaves_no_room_for_a_second_one_is_refused_at_once() {
    let stage = Stage::new(Alternating);
    let mut text = stage.current();
    text["username"] = json!("é".repeat(29));
    stage.secrets.put(&stage.secret, &text);
    let (_, why) = stage.refused("createSecret");
    assert!(why.contains("cannot take turns with another"), "{why}");
}

#[test]
fn tls_cannot_be_turned_off() {
    let server = Server::private(&Settings::default().conf("ssl = off"));
    let stage = Stage::on(&server, Single);
    let mut text = stage.current();
    text["ssl"] = json!(false);
    stage.secrets.put(&stage.secret, &text);
    let (_, why) = stage.refused("setSecret");
    assert!(why.contains("does not speak TLS") && why.contains("over TLS only"), "{why}");
}

#[test]
fn no_password_and_no_verifier_is_seen_anywhere() {
    for strategy in [Single, Alternating] {
        let server = Server::private(&Settings::default());
        let stage = Stage::with(&server, strategy, |options| {
            options.env("EXECUTE_SQL_LOG", "trace").env("RUST_LOG", "trace")
        });
        let mut passwords = vec![FIRST_PASSWORD.to_owned(), MASTER_PASSWORD_MARK.to_owned()];
        for _ in 0..3 {
            stage.rotate().done();
            passwords.push(stage.current()["password"].as_str().unwrap().to_owned());
        }
        // And where it fails half way: a trigger for the log, an error of the server's own.
        let admin = server.admin("postgres");
        admin.exec(&format!("ALTER ROLE {} CREATEROLE", stage.user));
        stage.refused("setSecret");
        passwords.push(stage.version("AWSPENDING")["password"].as_str().unwrap().to_owned());
        admin.exec(&format!("ALTER ROLE {} NOCREATEROLE", stage.user));
        admin.exec(&format!("ALTER ROLE {MASTER} NOCREATEROLE"));
        let (_, why) = stage.refused("setSecret");
        assert!(why.contains("(42501)"), "{why}");
        let texts = [server.log(), stage.function.log(), why];
        for text in &texts {
            for password in &passwords {
                assert!(!text.contains(password), "a password is in: {text}");
            }
            assert!(!text.contains("SCRAM-SHA-256$"), "a verifier is in: {text}");
        }
        let _: Value = stage.current();
    }
}
