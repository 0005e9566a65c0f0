//! Tenants: databases, schemas, logins and secrets, through the real function.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use serde_json::{Value, json};
use stage::{Stage, data};
use support::{Client, Secrets, Server};

/// The login in a secret.
fn login(secrets: &Secrets, name: &str) -> Value {
    serde_json::from_str(&secrets.text(name, "AWSCURRENT").unwrap()).unwrap()
}

/// A session with the login in a secret.
fn session(server: &Server, secrets: &Secrets, name: &str) -> Client {
    let login = login(secrets, name);
    let text = |key: &str| login[key].as_str().unwrap().to_owned();
    Client::connect(&server.config(&text("username"), &text("password"), &text("dbname")))
}

/// Creates a stack with these properties, checks that a second run finds nothing to do, and gives
/// the first answer.
#[track_caller]
fn created(stage: &Stage, properties: &Value) -> Value {
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(properties.clone()));
    let answer = stage.succeed(&mut stack, &create);
    let mut again = properties.clone();
    again["Nonce"] = "2".into();
    let update = stack.update(stage.properties(again));
    let second = stage.succeed(&mut stack, &update);
    assert_eq!(data(&second, "Changed"), "false", "{second:#}");
    assert_eq!(data(&second, "Plan"), "", "{second:#}");
    answer
}

#[test]
fn a_tenant_gets_its_database_its_login_and_its_secret() {
    for major in [15, 16, 17, 18] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let tenants = json!({"Tenants": [
            {"Name": "acme"},
            {"Name": "globex", "Owner": "tenant", "ConnectionLimit": 7},
        ]});
        let answer = created(&stage, &tenants);
        assert_eq!(data(&answer, "Tenants"), "2");
        assert_eq!(data(&answer, "TenantsOmitted"), "0");
        for (tenant, owner, limit) in [("acme", "postgres", 50), ("globex", "globex_user", 7)] {
            let secret = format!("/execute-sql/db/{tenant}");
            let arn = data(&answer, &format!("Tenant.{tenant}.SecretArn")).to_owned();
            assert_eq!(login(&stage.secrets, &arn), login(&stage.secrets, &secret));
            let found = login(&stage.secrets, &secret);
            assert_eq!(found["username"], format!("{tenant}_user"));
            assert_eq!(found["dbname"], tenant);
            assert_eq!(found["port"], server.port());
            let session = session(&server, &stage.secrets, &secret);
            session
                .exec("CREATE TABLE t (id int); CREATE SCHEMA more; CREATE TEMP TABLE x (y int)");
            let facts = session.value(
                "SELECT concat_ws(' ', pg_get_userbyid(datdba), datconnlimit, \
                 (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)) \
                 FROM pg_database WHERE datname = current_database()",
            );
            assert_eq!(facts, format!("{owner} {limit} {limit}"), "{major}");
        }
        let member = server.admin("postgres").value(
            "SELECT count(*) FROM pg_auth_members m WHERE pg_get_userbyid(m.member) = 'postgres' \
             AND pg_get_userbyid(m.roleid) ~ '_user$' AND coalesce((to_jsonb(m)->>'set_option')::bool, true)",
        );
        assert_eq!(member, "0", "the master left the tenants' roles");
    }
}
