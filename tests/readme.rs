//! README and code say the same: its examples are read by the code, those with tenants
//! are applied, its tables name what the code knows, and the rights that it lists are
//! those of the template and enough for what the function asks for.

#![allow(clippy::unwrap_used)]

mod stage;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use execute_sql::commands::cli::Cli;
use execute_sql::request::{changelog, properties, tenants};
use serde_json::{Map, Value, json};
use stage::Stage;
use support::{Client, Function, Invocation, MASTER, MASTER_PASSWORD, Secrets, Server};

const README: &str = include_str!("../README.md");
const TENANTS: &str = include_str!("../cfn/tenants.yaml");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = README.split(fence.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

fn read(properties: &Map<String, Value>) {
    if let Err(errors) = properties::read(properties) {
        panic!("{errors:?} in {properties:?}");
    }
}

/// The properties of each example.
fn examples() -> Vec<Value> {
    let each = |example: &str| {
        // CloudFormation's short tags need no resolving here.
        let plain = example.replace("!GetAtt ", "").replace("!Ref ", "");
        let value: Value = serde_yaml_ng::from_str(&plain).unwrap();
        value.pointer("/Resources/InstallPlugins/Properties").unwrap_or(&value).clone()
    };
    blocks("yaml").into_iter().map(each).collect()
}

#[test]
fn every_yaml_example_is_understood() {
    let examples = examples();
    assert!(examples.len() >= 8);
    for example in examples {
        read(example.as_object().unwrap());
    }
}

#[test]
fn every_example_with_tenants_is_applied_once_and_with_no_more_rights_than_those_listed() {
    let mut examples = examples();
    examples.retain(|it| it.get("Tenants").is_some());
    assert!(examples.len() >= 5);
    let policies = policies();
    for mut properties in examples {
        // Tenants close the databases of their whole server.
        let server = Server::rds_like(15);
        let stage = Stage::on(&server);
        let name = properties["DBSecret"].as_str().unwrap().to_owned();
        stage.secrets.put(&name, server.secret_json(&stage.database));
        for tenant in properties["Tenants"].as_array().unwrap() {
            if let Some(given) = tenant["Secret"].as_str() {
                stage.secrets.put(given, json!({"password": "hunter2-of-ours"}));
            }
        }
        let mut stack = stage.stack();
        let create = stack.create(properties.clone());
        let answer = stage.succeed(&mut stack, &create);
        let count = properties["Tenants"].as_array().unwrap().len();
        assert_eq!(stage::data(&answer, "Tenants"), count.to_string());
        for tenant in properties["Tenants"].as_array().unwrap() {
            let key = format!("Tenant.{}.SecretArn", tenant["Name"].as_str().unwrap());
            assert!(stage::data(&answer, &key).starts_with("arn:"), "{answer:#}");
        }
        properties["Nonce"] = "2".into();
        let update = stack.update(properties);
        let answer = stage.succeed(&mut stack, &update);
        assert_eq!(stage::data(&answer, "Plan"), "", "{answer:#}");
        assert_enough(&stage.secrets, 0, &policies[0]);
        rotate(&server, &stage.secrets, &policies[1]);
    }
}

/// Panics unless the policy allows all calls but the first so many.
fn assert_enough(secrets: &Secrets, first: usize, policy: &BTreeMap<String, BTreeSet<String>>) {
    for (target, _) in secrets.calls().into_iter().skip(first) {
        let action = target.replace('.', ":");
        assert!(policy.values().any(|it| it.contains(&action)), "{action} is not listed");
    }
}

/// Rotates what is set up to rotate, twice, as the service does.
fn rotate(server: &Server, secrets: &Secrets, policy: &BTreeMap<String, BTreeSet<String>>) {
    let options = stage::function(server, secrets).env("_HANDLER", "rotation");
    let mut names = secrets.names();
    names.retain(|it| secrets.get(it).unwrap().rotation.is_some());
    if names.is_empty() {
        return;
    }
    let function = Function::start(options);
    let before = secrets.calls().len();
    for name in names.iter().chain(&names) {
        let invoke = |event: Value| match function.invoke(event.to_string().as_bytes()) {
            Invocation::Returned(_) => Ok(()),
            other => Err(other),
        };
        secrets.rotate(name, invoke).done();
        let text = secrets.text(name, "AWSCURRENT").unwrap();
        let login: Value = serde_json::from_str(&text).unwrap();
        let text = |key: &str| login[key].as_str().unwrap().to_owned();
        let config = server.config(&text("username"), &text("password"), &text("dbname"));
        Client::connect(&config).exec("CREATE TABLE IF NOT EXISTS t ()");
    }
    assert_enough(secrets, before, policy);
}

#[test]
fn the_plan_of_tenants_is_what_the_command_line_prints() {
    let server = Server::rds_like(15);
    let database = server.database();
    let secrets = Secrets::start();
    let properties = examples().into_iter().find(|it| it.get("Tenants").is_some()).unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme-tenants.json");
    std::fs::write(&path, properties.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_execute-sql"))
        .env_clear()
        .envs([("PGHOST", server.host()), ("PGUSER", MASTER), ("PGPASSWORD", MASTER_PASSWORD)])
        .envs([("PGPORT", server.port().to_string()), ("PGDATABASE", database.name.clone())])
        .env("PGSSLROOTCERT", server.ca_pem_path())
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.endpoint())
        .envs([("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "any")])
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .arg("plan")
        .arg("--file")
        .arg(&path)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let (heading, plan) = printed.split_once('\n').unwrap();
    assert!(heading.starts_with("Database "), "{heading}");
    let shown = blocks("text").concat();
    assert_eq!(shown, plan.replace(&database.name, "shop"));
}

/// The actions of each statement of the policies, by the statement's `Sid`.
fn policies() -> Vec<BTreeMap<String, BTreeSet<String>>> {
    let all = blocks("json").into_iter().map(|it| serde_json::from_str::<Value>(it).unwrap());
    let all: Vec<_> = all.filter_map(|it| it.get("Statement").map(statements)).collect();
    assert_eq!(all.len(), 2);
    all
}

fn statements(list: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let each = list.as_array().unwrap().iter().map(|statement| {
        // In a template it may depend on a condition: `!If`, without its tag.
        let statement = statement.get(1).unwrap_or(statement);
        assert_eq!(statement["Effect"], "Allow");
        assert_ne!(statement["Resource"], "*");
        let actions = match &statement["Action"] {
            Value::Array(actions) => actions.iter().map(text).collect(),
            action => BTreeSet::from([text(action)]),
        };
        (text(&statement["Sid"]), actions)
    });
    each.collect()
}

#[test]
fn the_rights_are_those_of_the_template() {
    let tags =
        ["!And", "!Condition", "!Equals", "!GetAtt", "!If", "!Not", "!Ref", "!Select", "!Sub"];
    let plain = tags.iter().fold(TENANTS.to_owned(), |text, tag| text.replace(tag, ""));
    let template: Value = serde_yaml_ng::from_str(&plain).unwrap();
    for (role, listed) in ["ProvisioningRole", "RotationRole"].iter().zip(policies()) {
        let path = format!("/Resources/{role}/Properties/Policies/0/PolicyDocument/Statement");
        let mut given = statements(template.pointer(&path).unwrap());
        // These are told in words.
        for told in ["WriteLogs", "DecryptTheMastersLogin"] {
            assert!(given.remove(told).is_some(), "{told}");
        }
        assert_eq!(given, listed, "{role}");
    }
}

#[test]
fn the_plain_call_is_understood() {
    let calls = blocks("json").into_iter().map(|it| serde_json::from_str::<Value>(it).unwrap());
    for event in calls.filter(|it| it.get("Statement").is_none()) {
        execute_sql::invocation::read(&event, "request").unwrap();
    }
}

#[test]
fn every_property_is_in_the_reference() {
    let keys = properties::CONNECTION_KEYS.iter().chain(&changelog::KEYS);
    for name in properties::KNOWN.iter().chain(keys) {
        assert!(README.contains(&format!("`{name}`")), "{name} is not in the README");
    }
}

#[test]
fn every_key_of_a_tenant_is_in_the_reference_of_tenants() {
    let section = README.split("## Tenants\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: BTreeSet<_> = section
        .lines()
        .filter(|it| it.starts_with("| `"))
        .flat_map(|it| it.split(" | ").next().unwrap().split('`').skip(1).step_by(2))
        .collect();
    let keys = tenants::KEYS.iter().chain(&tenants::MORE_DEFAULTS).chain(&tenants::ROLE_KEYS);
    for name in keys.chain(&tenants::ROTATION_KEYS) {
        assert!(rows.contains(name), "{name} is in no table of the README");
    }
    for name in tenants::ON_REMOVE_KEYS {
        assert!(section.contains(name), "{name} is not in the README");
    }
}

#[test]
fn every_command_and_option_of_the_examples_exists() {
    use clap::Parser;
    for line in blocks("sh").concat().lines().filter(|line| line.starts_with("execute-sql ")) {
        let words = line.split('#').next().unwrap().split_whitespace();
        let parsed = Cli::try_parse_from(words);
        assert!(parsed.is_ok(), "{line}: {}", parsed.err().unwrap());
    }
}

#[test]
fn the_commands_that_work_are_in_the_readme() {
    use clap::CommandFactory;
    for command in Cli::command().get_subcommands().filter(|it| !it.is_hide_set()) {
        let name = command.get_name();
        assert!(README.contains(&format!("execute-sql {name}")), "{name} is not in the README");
    }
}
