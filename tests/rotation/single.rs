//! One role whose password changes, by the master or by itself.

use serde_json::{Value, json};

use crate::stage::{FIRST_PASSWORD, Single, Stage, enable};
use crate::support::{Client, MAJORS, MASTER, MASTER_PASSWORD, Server, Settings};

/// Without a master the role changes its own password.
fn without_master(stage: &Stage<'_>) {
    let mut text = stage.current();
    text.as_object_mut().unwrap().remove("masterarn");
    stage.secrets.put(&stage.secret, &text);
}

fn with_password(stage: &Stage<'_>, password: &str) -> Value {
    let mut text = stage.current();
    text["password"] = json!(password);
    text
}

#[test]
fn a_role_without_a_master_sets_its_own_password_on_each_major() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server, Single);
        without_master(&stage);
        for _ in 0..2 {
            stage.rotate().done();
            stage.login(&stage.current()).exec("SELECT 1");
        }
        assert_eq!(
            stage.secrets.calls().iter().filter(|it| it.1["SecretId"] == "master").count(),
            0
        );
    }
}

#[test]
fn the_masters_own_secret_rotates_by_itself() {
    let server = Server::private(&Settings::default());
    let stage = Stage::on(&server, Single);
    // Also where the function names it as the master of all.
    let mut text: Value =
        serde_json::from_str(&stage.secrets.text(&stage.master, "AWSCURRENT").unwrap()).unwrap();
    text["masterarn"] = json!(stage.master);
    stage.secrets.put(&stage.master, &text);
    enable(&stage.secrets, &stage.master);
    stage.secrets.rotate(&stage.master, |event| stage.invoke(&event)).done();
    let now: Value =
        serde_json::from_str(&stage.secrets.text(&stage.master, "AWSCURRENT").unwrap()).unwrap();
    assert_ne!(now["password"], MASTER_PASSWORD);
    stage.login(&now).exec("SELECT 1");
    // The tenant's rotation goes on with it.
    stage.rotate().done();
}

#[test]
fn a_master_that_rds_manages_has_no_host_of_its_own() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server, Single);
        let managed = json!({"username": MASTER, "password": MASTER_PASSWORD});
        let managed = stage.secrets.put("rds!cluster-0a1b2c3d", &managed);
        let mut text = stage.current();
        text["masterarn"] = json!(managed);
        stage.secrets.put(&stage.secret, &text);
        stage.rotate().done();
        stage.login(&stage.current()).exec("SELECT 1");
        // RDS rotates such a secret itself.
        enable(&stage.secrets, &managed);
        let (name, why) = stage.refused_of(&managed, "createSecret");
        assert_eq!(name, "PermanentRefused");
        assert!(why.contains("is managed by `rds`"), "{why}");
    }
}

#[test]
fn a_host_that_asks_for_the_masters_password_as_it_is_does_not_get_it() {
    let server = Server::private(&Settings::default().hba("hostssl all postgres all password"));
    let stage = Stage::on(&server, Single);
    let managed = json!({"username": MASTER, "password": MASTER_PASSWORD});
    let managed = stage.secrets.put("rds!cluster-0a1b2c3d", &managed);
    let mut text = stage.current();
    text["masterarn"] = json!(managed);
    stage.secrets.put(&stage.secret, &text);
    let (_, why) = stage.refused("setSecret");
    assert!(why.contains("does not prove by it that it knows the password"), "{why}");
    stage.login(&stage.current()).exec("SELECT 1");
}

#[test]
fn a_masters_password_that_was_rotated_in_between_is_read_once_more() {
    let stage = Stage::new(Single);
    let right = stage.server.secret_json(&stage.server.database_named("postgres")).to_string();
    let wrong = right.replace("Kx7mQ2zR9pW4", "outdated-Bn6tYw");
    stage.secrets.answers("master", vec![Ok(wrong.clone()), Ok(right.clone())]);
    stage.rotate().done();
    stage.secrets.answers("master", vec![Ok(wrong)]);
    let (name, why) = stage.refused("setSecret");
    assert_eq!(name, "PermanentRefused");
    assert!(why.contains("the master's login of `postgres` does not work"), "{why}");
    assert!(!why.contains("Bn6tYw"), "{why}");
    // Nothing was changed, and the same rotation goes on when it is mended.
    stage.login(&stage.current()).exec("SELECT 1");
    stage.secrets.answers("master", vec![Ok(right)]);
    stage.rotate().done();
}

#[test]
fn the_functions_setting_names_the_master_of_secrets_that_do_not() {
    let stage = Stage::with(Server::shared(), Single, |it| it.env("MASTER_SECRET_ARN", "master"));
    without_master(&stage);
    // Only the master gets in for a role that is full.
    let limit = format!("ALTER ROLE {} CONNECTION LIMIT 1", stage.user);
    let master = Client::connect(&stage.server.config(MASTER, MASTER_PASSWORD, "postgres"));
    master.exec(&limit);
    let held = stage.login(&stage.current());
    stage.rotate().done();
    drop(held);
}

#[test]
fn the_previous_login_serves_where_the_secret_was_written_by_hand() {
    for with_master in [true, false] {
        let stage = Stage::new(Single);
        if !with_master {
            without_master(&stage);
        }
        stage.secrets.put(&stage.secret, with_password(&stage, "by-hand-Ww3rTz"));
        assert_eq!(stage.version("AWSPREVIOUS")["password"], FIRST_PASSWORD);
        stage.rotate().done();
        stage.login(&stage.current()).exec("SELECT 1");
        stage.take_pending_away();
        // If neither works, nothing is set: the secret's writer must have known a password.
        stage.secrets.put(&stage.secret, with_password(&stage, "by-hand-Ww3rTz"));
        stage.secrets.put(&stage.secret, with_password(&stage, "by-hand-Qq9mXc"));
        let (_, why) = stage.refused("setSecret");
        assert!(why.contains("the current login of") && why.contains("Hint: Bring"), "{why}");
    }
}

#[test]
fn a_full_tenant_and_a_full_database_rotate() {
    let stage = Stage::new(Single);
    let (user, database) = (&stage.user, &stage.database.name);
    let master = Client::connect(&stage.server.config(MASTER, MASTER_PASSWORD, "postgres"));
    master.exec(&format!("ALTER ROLE {user} CONNECTION LIMIT 1"));
    let held = stage.login(&stage.current());
    stage.rotate().done();
    master.exec(&format!("ALTER ROLE {user} CONNECTION LIMIT 20"));
    master.exec(&format!("ALTER DATABASE {database} CONNECTION LIMIT 1"));
    stage.rotate().done();
    drop(held);
    stage.login(&stage.current()).exec("SELECT 1");
}

#[test]
fn a_server_without_a_free_slot_is_waited_for_and_proves_nothing() {
    let settings = Settings::default()
        .conf("max_connections = 8")
        .conf("superuser_reserved_connections = 0")
        .conf("max_wal_senders = 0");
    let server = Server::private(&settings);
    let stage = Stage::on(&server, Single);
    // The pending password is wrong, and the server says 53300 to everybody.
    let mut held = Vec::new();
    while let Ok(client) = Client::try_connect(&server.config(MASTER, MASTER_PASSWORD, "postgres"))
    {
        held.push(client);
    }
    let rotation = stage.secrets.rotate(&stage.secret, |event| {
        if event["Step"] != "setSecret" {
            return stage.invoke(&event);
        }
        let pending = stage.function.start_invoke(event.to_string().as_bytes());
        crate::support::wait_until("it waits for a slot", || {
            stage.function.log().contains("trying again")
        });
        held.clear();
        match pending.wait() {
            crate::support::Invocation::Returned(_) => Ok(()),
            other => Err(other),
        }
    });
    rotation.done();
    stage.login(&stage.current()).exec("SELECT 1");
}
