//! The command line as its user meets it: exit code, standard output, standard error.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::{Database, MASTER_PASSWORD_MARK, Server, command_line};

const PROGRAM: &str = env!("CARGO_BIN_EXE_execute-sql");

/// The program over a fresh database, named by libpq's variables.
fn on(database: &Database) -> Command {
    command_line(database)
}

fn bare() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    command
}

fn file(name: &str, text: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(command: &mut Command, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(!out.contains(MASTER_PASSWORD_MARK) && !err.contains(MASTER_PASSWORD_MARK));
    (status.code(), out, err)
}

#[test]
fn plan_apply_and_verify_tell_what_they_see_and_exit_by_it() {
    let database = Server::shared().database();
    let path = file("a.yaml", "Extensions: [hstore]\nOnCreate: CREATE TABLE t ()\n");
    let arguments = |command: &'static str| vec![command, "--file", path.as_str()];

    let (code, out, _) = run(&mut on(&database), &arguments("plan"));
    assert_eq!(code, Some(0));
    let (first, rest) = out.split_once('\n').unwrap();
    assert!(first.starts_with(&format!("Database {}, PostgreSQL ", database.name)), "{first}");
    insta::assert_snapshot!(rest, @r"
      + extension hstore 1.8
      ! OnCreate statement 1: CREATE TABLE t ()
    2 steps. Nothing was changed.
    ");
    let (code, out, _) = run(&mut on(&database), &arguments("verify"));
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(out, @r"
    The database differs; to mend it, apply would do:
      + extension hstore 1.8
    ");
    let (code, out, err) = run(&mut on(&database), &arguments("apply"));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("+ extension hstore 1.8") && out.contains("Done in "), "{out}");
    let (code, out, _) = run(&mut on(&database), &arguments("apply"));
    assert_eq!(code, Some(0));
    assert!(out.ends_with("Nothing to do; everything was as wanted.\n"), "{out}");
    let (code, out, _) = run(&mut on(&database), &arguments("verify"));
    assert_eq!((code, out.ends_with("The database is as wanted.\n")), (Some(0), true));

    let (code, out, _) = run(on(&database).args(["--format", "json"]), &arguments("plan"));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, report["Steps"].as_array().unwrap().len()), (Some(0), 0));
}

#[test]
fn the_audit_carries_the_labels_of_the_run() {
    let database = Server::shared().database();
    let path = file("b.json", r#"{"Extensions": ["hstore"]}"#);
    let labels =
        ["apply", "--file", &path, "--environment", "dev", "--build-id", "7", "--run-id", "r1"];
    assert_eq!(run(&mut on(&database), &labels).0, Some(0));
    let audit =
        "SELECT environment || build_id || run_id || action || status FROM execute_sql.audit";
    assert_eq!(database.admin().value(audit), "dev7r1+ extension hstore 1.8success");
}

#[test]
fn an_environment_that_needs_approval_is_refused_without_it() {
    let database = Server::shared().database();
    let path = file("c.yaml", "Extensions: [hstore]");
    let gated = |environment| {
        ["apply", "--file", path.as_str(), "--require-approval", "--environment", environment]
    };
    let (code, _, err) = run(&mut on(&database), &gated("prod"));
    assert_eq!(code, Some(1));
    assert!(err.contains("environment `prod` needs an approval"), "{err}");
    assert_eq!(run(&mut on(&database), &gated("dev")).0, Some(0));
    assert_eq!(run(on(&database).env("ALLOW_DB_PROVISION", "true"), &gated("prod")).0, Some(0));
}

#[test]
fn a_template_gives_one_resource_with_its_parameters() {
    let database = Server::shared().database();
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/cfn/quickstart.yaml");
    let (code, out, err) = run(&mut on(&database), &["plan", "--template", template]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("+ extension postgis 3.3.2") && out.contains("+ extension pgcrypto"),
        "{out}"
    );
    let arguments = ["plan", "--template", template, "--parameter", "PgcryptoVersion=9"];
    let (code, _, err) = run(&mut on(&database), &arguments);
    assert_eq!(code, Some(1));
    assert!(err.contains("extension `pgcrypto` has no version 9"), "{err}");
}

#[test]
fn a_failure_says_what_is_wrong_and_what_to_do() {
    let path = file("d.yaml", "Extensions: [hstore]\nConnection: {WaitFor: 0}");
    let url = "postgresql://postgres:hunter22@localhost:1/x";
    let (code, out, err) = run(&mut bare(), &["plan", "--file", &path, "--database-url", url]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("error: connecting to `localhost:1` failed"), "{err}");
    assert!(err.contains("hint: Check host and port") && !err.contains("hunter22"), "{err}");
    let (code, _, err) = run(&mut bare(), &["plan", "--file", "/nowhere.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("reading `/nowhere.yaml`"), "{err}");
    let path = file("e.yaml", "Extentions: [hstore]\nDBSecret: x");
    let (code, _, err) = run(&mut bare(), &["plan", "--file", &path]);
    assert_eq!(code, Some(1));
    assert!(err.contains("did you mean `Extensions`?"), "{err}");
}

#[test]
fn wrong_arguments_exit_with_64_and_what_comes_later_is_named() {
    for arguments in [&["plan"][..], &["destroy"], &["plan", "--fil", "x"], &[]] {
        assert_eq!(run(&mut bare(), arguments).0, Some(64), "{arguments:?}");
    }
    let (code, _, err) = run(&mut bare(), &["history"]);
    assert_eq!((code, err.as_str()), (Some(1), "error: `history` is not supported yet\n"));
    let (code, out, _) = run(&mut bare(), &["--help"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("Exit codes: 0 done or the same, 1 failed, 2 verify"), "{out}");
}

#[test]
fn an_event_runs_locally_through_the_same_handler() {
    let database = Server::shared().database();
    let receiver = support::Receiver::start();
    let secrets = support::Secrets::start();
    let secret = secrets.put("master", Server::shared().secret_json(&database));
    let mut stack = support::Stack::new(&receiver, support::FUNCTION_ARN, "Plugins");
    let event = stack.create(serde_json::json!({ "DBSecret": secret, "Extensions": ["hstore"] }));
    let mut child = bare()
        .args(["invoke", "-"])
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.endpoint())
        .envs([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
        ])
        .env("SSL_CERT_FILE", Server::shared().ca_pem_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(event.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(receiver.answer_to(&event)["Status"], "SUCCESS");
}
