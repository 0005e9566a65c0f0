//! One resource with tenants, and the life that a stack gives it.
//!
//! [`Life::bring`] is the rule of all: what a plan says before is what is done, and a second run
//! finds nothing to do.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::stage::{Stage, data};
use crate::support::{Client, Secrets, Server, Stack};

/// The login in a secret.
#[track_caller]
pub fn login(secrets: &Secrets, name: &str) -> Value {
    serde_json::from_str(&secrets.text(name, "AWSCURRENT").unwrap()).unwrap()
}

/// How the login in a secret connects.
#[track_caller]
pub fn config(server: &Server, secrets: &Secrets, name: &str) -> tokio_postgres::Config {
    let login = login(secrets, name);
    let text = |key: &str| login[key].as_str().unwrap().to_owned();
    server.config(&text("username"), &text("password"), &text("dbname"))
}

/// A session with the login in a secret.
#[track_caller]
pub fn session(server: &Server, secrets: &Secrets, name: &str) -> Client {
    Client::connect(&config(server, secrets, name))
}

/// The name of a tenant's own secret.
pub fn secret(tenant: &str) -> String {
    format!("/execute-sql/db/{tenant}")
}

/// The name of the secret of a tenant's further role.
pub fn secret_of(tenant: &str, role: &str) -> String {
    format!("/execute-sql/db/{tenant}/{role}")
}

pub struct Life<'a> {
    pub stage: &'a Stage,
    pub stack: Stack<'a>,
    nonce: u32,
}

impl<'a> Life<'a> {
    pub fn new(stage: &'a Stage) -> Life<'a> {
        Life { stage, stack: stage.stack(), nonce: 0 }
    }

    /// The event of a Create or Update with these properties.
    pub fn event(&mut self, properties: &Value, more: Value) -> Value {
        self.nonce += 1;
        let mut properties = self.stage.properties(properties.clone());
        properties["Nonce"] = self.nonce.into();
        properties.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        match self.stack.physical_id() {
            None => self.stack.create(properties),
            Some(_) => self.stack.update(properties),
        }
    }

    #[track_caller]
    pub fn apply(&mut self, properties: &Value) -> Value {
        let event = self.event(properties, json!({}));
        self.stage.succeed(&mut self.stack, &event)
    }

    /// What would be done.
    #[track_caller]
    pub fn plan(&mut self, properties: &Value) -> String {
        let event = self.event(properties, json!({"Mode": "Plan"}));
        let answer = self.stage.succeed(&mut self.stack, &event);
        assert_eq!(data(&answer, "Changed"), "false");
        data(&answer, "Plan").to_owned()
    }

    /// The reason of a failure.
    #[track_caller]
    pub fn fail(&mut self, properties: &Value) -> String {
        let event = self.event(properties, json!({}));
        self.stage.fail(&event)
    }

    /// Brings the tenants to what is asked for; gives what was done.
    #[track_caller]
    pub fn bring(&mut self, properties: &Value) -> String {
        let planned = self.plan(properties);
        let answer = self.apply(properties);
        let done = data(&answer, "Plan").to_owned();
        if let (Some(planned), Some(done)) = (lines(&planned), lines(&done)) {
            assert_eq!(planned, done, "what was planned is what is done");
        }
        assert_eq!(data(&answer, "Changed"), (!done.is_empty()).to_string());
        self.assert_done(properties);
        done
    }

    /// There is nothing more to do: an Update says so, and `Verify` is content.
    #[track_caller]
    pub fn assert_done(&mut self, properties: &Value) {
        let second = self.apply(properties);
        assert_eq!(data(&second, "Plan"), "", "{second:#}");
        assert_eq!(data(&second, "Changed"), "false", "{second:#}");
        let verify = self.event(properties, json!({"Mode": "Verify"}));
        self.stage.succeed(&mut self.stack, &verify);
    }
}

/// Lines in any order; `None` where not all are told, or a changelog of a database that is not there
/// yet is told as a whole.
fn lines(plan: &str) -> Option<BTreeSet<&str>> {
    let is_short = plan.contains(" more)") || plan.contains(" changesets");
    (!is_short).then(|| plan.split("; ").collect())
}
