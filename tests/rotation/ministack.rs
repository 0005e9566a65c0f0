//! A rotation against a Secrets Manager that is not ours: `MiniStack`'s.
//!
//! Its `RotateSecret` calls nobody and makes a copy of the current version current at once, so that
//! version is made the pending one, and the test drives the steps. All other calls are as in the
//! service, but for a token that may be used twice.

use std::path::Path;

use execute_sql::commands::demo::aws::Aws;
use execute_sql::commands::demo::guard::Guard;
use execute_sql::commands::demo::ministack;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::stage::{FIRST_PASSWORD, tenant};
use crate::support::{FUNCTION_ARN, Function, FunctionOptions, GENEROUS, Invocation, Server};

struct Service {
    aws: Aws,
    guard: Option<Guard>,
    runtime: Runtime,
}

impl Service {
    fn start() -> Service {
        let program = ministack()
            .unwrap_or_else(|why| panic!("this test needs {why}; .ci/setup installs it"));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (guard, aws) = runtime.block_on(async {
            let guard = Guard::start().unwrap();
            let authority = Server::shared().ca_pem_path();
            let aws = Aws::start(&guard, Path::new(&program), &authority).await.unwrap();
            (guard, aws)
        });
        Service { aws, guard: Some(guard), runtime }
    }

    fn create(&self, name: &str, text: &Value) -> String {
        self.runtime.block_on(self.aws.create_secret(name, &text.to_string())).unwrap()
    }

    #[track_caller]
    fn call(&self, operation: &str, input: &Value) -> Value {
        let (url, target) = (&self.aws.url, format!("secretsmanager.{operation}"));
        let answer = self.runtime.block_on(async {
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = http.post(url).header("x-amz-target", target);
            let request = request.header("content-type", "application/x-amz-json-1.1");
            let answer = request.body(input.to_string()).send().await.unwrap();
            (answer.status(), answer.text().await.unwrap())
        });
        assert!(answer.0.is_success(), "{operation}: {} {}", answer.0, answer.1);
        serde_json::from_str(&answer.1).unwrap_or_default()
    }

    fn text(&self, id: &str, stage: &str) -> Value {
        let value = self.call("GetSecretValue", &json!({"SecretId": id, "VersionStage": stage}));
        serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap()
    }

    fn holder(&self, id: &str, stage: &str) -> String {
        let described = self.call("DescribeSecret", &json!({"SecretId": id}));
        let versions = described["VersionIdsToStages"].as_object().unwrap().clone();
        let has = |stages: &Value| stages.as_array().unwrap().iter().any(|it| it == stage);
        versions.into_iter().find(|(_, stages)| has(stages)).map(|it| it.0).unwrap_or_default()
    }

    fn move_stage(&self, id: &str, stage: &str, to: &str) {
        let mut input = json!({"SecretId": id, "VersionStage": stage, "MoveToVersionId": to});
        let from = self.holder(id, stage);
        if !from.is_empty() {
            input["RemoveFromVersionId"] = json!(from);
        }
        self.call("UpdateSecretVersionStage", &input);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            let stopped = self.runtime.block_on(guard.stop());
            assert!(stopped.is_ok() || std::thread::panicking(), "{stopped:?}");
        }
    }
}

#[test]
fn a_secret_of_ministacks_rotates_with_either_strategy() {
    let (service, server) = (Service::start(), Server::shared());
    let master = service.create("master", &server.secret_json(&server.database_named("postgres")));
    for strategy in ["single", "alternating"] {
        let database = server.database();
        let user = format!("{}_u", database.name);
        tenant(server, &database, &user);
        let mut text = server.secret_json_for(&user, FIRST_PASSWORD, &database.name);
        text["masterarn"] = json!(master);
        let secret = service.create(&database.name, &text);
        let options = FunctionOptions::new(env!("CARGO_BIN_EXE_bootstrap"))
            .timeout(GENEROUS)
            .env("_HANDLER", "rotation")
            .env("ROTATION_STRATEGY", strategy)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &service.aws.url)
            .env("SSL_CERT_FILE", server.ca_pem_path().to_str().unwrap());
        let function = Function::start(options);
        for _ in 0..2 {
            let current = service.holder(&secret, "AWSCURRENT");
            let token = crate::support::lambda::uuid();
            service.call(
                "RotateSecret",
                &json!({
                    "SecretId": secret, "ClientRequestToken": token,
                    "RotationLambdaARN": FUNCTION_ARN,
                    "RotationRules": {"AutomaticallyAfterDays": 30},
                }),
            );
            let made = service.holder(&secret, "AWSCURRENT");
            assert_ne!(made, current);
            service.move_stage(&secret, "AWSCURRENT", &current);
            service.move_stage(&secret, "AWSPENDING", &made);
            for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
                let event =
                    json!({"Step": step, "SecretId": secret, "ClientRequestToken": made.as_str()});
                for _ in 0..2 {
                    let end = function.invoke(event.to_string().as_bytes());
                    assert!(matches!(end, Invocation::Returned(_)), "{step}: {end:?}");
                }
            }
            assert_eq!(service.holder(&secret, "AWSCURRENT"), made);
            assert_eq!(service.holder(&secret, "AWSPREVIOUS"), current);
            let (now, before) =
                (service.text(&secret, "AWSCURRENT"), service.text(&secret, "AWSPREVIOUS"));
            assert_ne!(now["password"], before["password"]);
            let password = now["password"].as_str().unwrap();
            database.client(now["username"].as_str().unwrap(), password).exec("SELECT 1");
        }
        let wanted = if strategy == "single" { &text["username"] } else { &json!(user) };
        assert_eq!(service.text(&secret, "AWSCURRENT")["username"], *wanted);
    }
}
