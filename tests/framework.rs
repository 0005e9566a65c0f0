//! The real provider framework of `aws-cdk-lib` drives the real `bootstrap`.
//!
//! `tests/framework/drive.mjs` runs the framework's published handler under Node;
//! here its calls to Lambda's Invoke API are answered by the function, and its PUT
//! goes to the receiver.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use stage::{Stage, data};
use support::http::{Connection, Listener};
use support::{Function, Invocation, Stack};

/// The framework's own function; its ARN is the service token.
const FRAMEWORK_ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:framework-onEvent";

/// Plays Lambda's Invoke API with one function.
fn invoke_api(function: &Arc<Function>) -> Listener {
    let function = function.clone();
    Listener::start(move |mut connection: Connection| {
        while let Some(request) = connection.read() {
            let (headers, body) = match function.invoke(&request.body) {
                Invocation::Returned(value) => (Vec::new(), value),
                Invocation::Threw { error_type, error_message } => (
                    vec![("X-Amz-Function-Error", "Unhandled")],
                    json!({ "errorType": error_type, "errorMessage": error_message }),
                ),
                other => panic!("{other:?}"),
            };
            connection.answer(200, &headers, body.to_string().as_bytes());
        }
    })
}

struct Framework {
    stage: Stage,
    function: Arc<Function>,
    api: Listener,
}

impl Framework {
    fn new() -> Framework {
        let stage = Stage::new();
        let function = Arc::new(stage.another_function());
        let api = invoke_api(&function);
        Framework { stage, function, api }
    }

    fn stack(&self) -> Stack<'_> {
        Stack::new(&self.stage.receiver, FRAMEWORK_ARN, stage::LOGICAL_ID)
    }

    /// Runs one of the framework's handlers over an event.
    fn run(&self, handler: &str, event: &Value) -> Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/framework");
        let modules = format!("{folder}/node_modules/aws-cdk-lib");
        assert!(
            std::path::Path::new(&modules).exists(),
            "aws-cdk-lib is missing; run `npm ci` in tests/framework, or .ci/setup"
        );
        let receiver = event["ResponseURL"].as_str().unwrap().split('/').nth(2).unwrap();
        // The framework only knows https; the harness brings its PUT to the receiver.
        let mut event = event.clone();
        let url = event["ResponseURL"].as_str().unwrap().replacen("http:", "https:", 1);
        event["ResponseURL"] = json!(url);
        let mut child = Command::new("node")
            .arg(format!("{folder}/drive.mjs"))
            .env("AWS_ENDPOINT_URL_LAMBDA", self.api.origin())
            .env("RESPONSE_RECEIVER", receiver)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node is installed");
        let with_is_complete = handler == "isComplete";
        let job = json!({ "handler": handler, "event": event, "withIsComplete": with_is_complete });
        child.stdin.take().unwrap().write_all(job.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The framework's answer to CloudFormation.
    fn ask(&self, event: &Value) -> Value {
        let outcome = self.run("onEvent", event);
        assert_eq!(outcome, json!({ "ok": null }), "{}", self.function.log());
        self.stage.receiver.answer_to(event)
    }
}

#[test]
fn a_resource_behind_the_framework_lives_and_dies() {
    let framework = Framework::new();
    let stage = &framework.stage;
    let mut stack = framework.stack();
    let create = stack.create(stage.properties(json!({
        "PluginsMap": {"PostGIS": "3.3.2", "pgcrypto": "1.3"}, "OnDelete": "Drop",
    })));
    let created = framework.ask(&create);
    assert_eq!(created["Status"], "SUCCESS", "{created:#}");
    assert_eq!(data(&created, "ExtensionsAfter"), "pgcrypto=1.3,plpgsql=1.0,postgis=3.3.2");
    stack.settle(&created);
    let update = stack.update(stage.properties(json!({
        "PluginsMap": {"PostGIS": "3.3.2", "pgcrypto": "1.3", "hstore": "1.8"}, "OnDelete": "Drop",
    })));
    let updated = framework.ask(&update);
    assert_eq!(updated["PhysicalResourceId"], created["PhysicalResourceId"]);
    stack.settle(&updated);
    let delete = stack.delete();
    assert_eq!(framework.ask(&delete)["Status"], "SUCCESS");
    assert_eq!(stage.extensions(), "");
}

#[test]
fn a_failed_create_behind_the_framework_leaves_nothing_for_nobody_asks_again() {
    let framework = Framework::new();
    let stage = &framework.stage;
    let mut stack = framework.stack();
    let long = "🐘\"\\\n".repeat(900);
    let create = stack.create(stage.properties(json!({
        "Extensions": ["pgcrypto"],
        "OnCreate": ["CREATE TABLE t ()", format!("DO $x$ BEGIN RAISE EXCEPTION '%', $y${long}$y$; END $x$")],
    })));
    let answer = framework.ask(&create);
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains("OnCreate statement 2"), "{answer:#}");
    for request in stage.receiver.requests() {
        assert!(request.body.len() <= 4096, "{} bytes", request.body.len());
    }
    assert_eq!(stage.extensions(), "");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(stage.database.admin().value(tables), "0");
}

#[test]
fn the_frameworks_poll_finds_the_work_done() {
    let framework = Framework::new();
    let stage = &framework.stage;
    let mut stack = framework.stack();
    let create = stack.create(stage.properties(json!({ "Extensions": ["pgcrypto"] })));
    let returned = framework.function.invoke(create.to_string().as_bytes()).returned();
    assert!(stage.receiver.requests().is_empty(), "it never PUTs by itself");
    // What onEvent returned comes along in the event of isComplete.
    let mut poll = create.clone();
    poll.as_object_mut().unwrap().extend(returned.as_object().cloned().unwrap());
    framework.run("isComplete", &poll);
    let answer = stage.receiver.answer_to(&create);
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["PhysicalResourceId"], returned["PhysicalResourceId"]);
    assert_eq!(data(&answer, "ExtensionsAfter"), "pgcrypto=1.3,plpgsql=1.0");
}
