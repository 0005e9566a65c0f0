//! The logins of tenants, as their secrets have them.

#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use serde_json::Value;

use super::stage::Stage;
use super::support::probes::Tenant;
use super::support::{Client, Server, Stack};

/// What is in a secret of the product's.
#[track_caller]
pub fn login(stage: &Stage, secret: &str) -> Value {
    let text = stage.secrets.text(secret, "AWSCURRENT");
    serde_json::from_str(&text.unwrap_or_else(|| panic!("no secret {secret}"))).unwrap()
}

/// As a tenant of the probes, with the login of a secret.
#[track_caller]
pub fn of_secret(stage: &Stage, secret: &str, schema: &str) -> Tenant {
    let login = login(stage, secret);
    let text = |key: &str| login[key].as_str().unwrap().to_owned();
    Tenant::new(&text("username"), &text("password"), &text("dbname"), schema)
}

/// A tenant's own login.
#[track_caller]
pub fn own(stage: &Stage, name: &str, schema: &str) -> Tenant {
    of_secret(stage, &format!("/execute-sql/db/{name}"), schema)
}

/// That of a further role.
#[track_caller]
pub fn role(stage: &Stage, name: &str, role: &str, schema: &str) -> Tenant {
    of_secret(stage, &format!("/execute-sql/db/{name}/{role}"), schema)
}

/// A session of a tenant's own login in its database.
#[track_caller]
pub fn session(server: &Server, stage: &Stage, name: &str) -> Client {
    let tenant = own(stage, name, "");
    Client::connect(&server.config(&tenant.user, &tenant.password, &tenant.database))
}

/// Creates a resource with these properties; gives the answer.
#[track_caller]
pub fn created(stage: &Stage, stack: &mut Stack<'_>, properties: Value) -> Value {
    let create = stack.create(stage.properties(properties));
    stage.succeed(stack, &create)
}

/// Updates it.
#[track_caller]
pub fn updated(stage: &Stage, stack: &mut Stack<'_>, properties: Value) -> Value {
    let update = stack.update(stage.properties(properties));
    stage.succeed(stack, &update)
}
