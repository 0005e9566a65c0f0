//! Every example in `migrations/`: apply, and the plan is empty; apply again, and
//! nothing is done; deprovision, and only what it made is gone.
//!
//! Tenants close the databases of their whole server, so an example with tenants
//! has a server of its own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stage::{FOLDER_OF_EXAMPLES, Stage};
use support::{Client, Server};

/// The examples, in the order of their numbers.
fn examples() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(FOLDER_OF_EXAMPLES);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|it| it.extension().is_some());
    files.sort();
    let read = |it: PathBuf| {
        let yaml = serde_yaml_ng::from_str(&fs::read_to_string(&it).unwrap()).unwrap();
        (it, yaml)
    };
    files.into_iter().map(read).collect()
}

fn stage(server: &Server) -> Stage {
    Stage::with(server, |it| it.env("LAMBDA_TASK_ROOT", FOLDER_OF_EXAMPLES))
}

/// A plain call of the function with these properties.
fn call(stage: &Stage, action: &str, properties: &Value) -> Value {
    let event = json!({ "Action": action, "Properties": stage.properties(properties.clone()) });
    stage.function.invoke(event.to_string().as_bytes()).returned()
}

#[test]
fn after_apply_every_examples_plan_is_empty() {
    let mut examples = examples();
    examples.retain(|(_, yaml)| yaml.get("Tenants").is_none());
    assert!(examples.len() >= 9);
    for (file, yaml) in examples {
        let stage = stage(Server::shared());
        let name = file.display();
        let planned = call(&stage, "Plan", &yaml);
        assert_ne!(planned["Steps"], json!([]), "{name}");
        let applied = call(&stage, "Apply", &yaml);
        assert_eq!(applied["Steps"], planned["Steps"], "{name}: what was planned is what was done");
        assert_eq!(call(&stage, "Plan", &yaml)["Steps"], json!([]), "{name}");
        call(&stage, "Verify", &yaml);
        assert_eq!(call(&stage, "Apply", &yaml)["Changed"], json!(false), "{name}");
        call(&stage, "Deprovision", &yaml);
        let dropped = yaml["OnDelete"] == "Drop";
        let gone = stage.extensions() == "hstore=1.8";
        assert_eq!(gone, dropped, "{name}: {}", stage.extensions());
    }
}

#[test]
fn after_apply_every_plan_of_tenants_is_empty_and_all_of_them_can_log_in() {
    let mut examples = examples();
    examples.retain(|(_, yaml)| yaml.get("Tenants").is_some());
    assert!(examples.len() >= 3);
    for (file, yaml) in examples {
        let server = Server::rds_like(15);
        let stage = stage(&server);
        let name = file.display();
        let planned = call(&stage, "Plan", &yaml);
        assert_ne!(planned["Steps"], json!([]), "{name}");
        assert_eq!(stage.secrets.names(), ["master"], "{name}: a plan makes nothing");
        let applied = call(&stage, "Apply", &yaml);
        assert_eq!(applied["Changed"], json!(true), "{name}");
        assert_eq!(call(&stage, "Plan", &yaml)["Steps"], json!([]), "{name}");
        call(&stage, "Verify", &yaml);
        assert_eq!(call(&stage, "Apply", &yaml)["Changed"], json!(false), "{name}");
        let tenants = stage.secrets.names().into_iter().filter(|it| it != "master");
        let logins: Vec<_> = tenants.map(|it| login(&stage, &server, &it)).collect();
        assert!(logins.len() >= yaml["Tenants"].as_array().unwrap().len(), "{name}: {logins:?}");
        call(&stage, "Deprovision", &yaml);
        for tenant in yaml["Tenants"].as_array().unwrap() {
            let policy = policy(&yaml, tenant);
            assert_eq!(left(&server, tenant, &yaml), expected(&policy), "{name}: {tenant}");
        }
    }
}

/// What is asked for when a tenant goes.
fn policy(yaml: &Value, tenant: &Value) -> String {
    let said = tenant.get("OnRemove").unwrap_or(&yaml["TenantDefaults"]["OnRemove"]);
    said.as_str().or(said["Policy"].as_str()).unwrap_or("Retain").to_owned()
}

/// Whether the tenant's role may log in, if there is one.
fn left(server: &Server, tenant: &Value, yaml: &Value) -> Vec<Vec<Option<String>>> {
    let name = tenant["Name"].as_str().unwrap();
    let pattern = yaml["TenantDefaults"]["Username"].as_str().unwrap_or("{name}_user");
    let role = pattern.replace("{name}", name);
    let sql = format!("SELECT rolcanlogin::text FROM pg_roles WHERE rolname = '{role}'");
    server.admin("postgres").rows(&sql)
}

fn expected(policy: &str) -> Vec<Vec<Option<String>>> {
    match policy {
        "Drop" => Vec::new(),
        "Disable" => vec![vec![Some("false".to_owned())]],
        _ => vec![vec![Some("true".to_owned())]],
    }
}

/// Logs in with a secret; gives the role.
fn login(stage: &Stage, server: &Server, secret: &str) -> String {
    let text = stage.secrets.text(secret, "AWSCURRENT").unwrap();
    let login: Value = serde_json::from_str(&text).unwrap();
    let text = |key: &str| login[key].as_str().unwrap().to_owned();
    let config = server.config(&text("username"), &text("password"), &text("dbname"));
    Client::connect(&config).value("SELECT session_user::text")
}
