//! One test's world: a database, its secret, a function that runs the real
//! `bootstrap`, and the receiver of its answers.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use serde_json::{Value, json};

use crate::support::{
    Database, FUNCTION_ARN, Function, FunctionOptions, GENEROUS, Invocation, Receiver, Secrets,
    Server, Stack,
};

pub const LOGICAL_ID: &str = "Plugins";

/// The examples, and the changelogs that they name.
pub const FOLDER_OF_EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");

pub struct Stage {
    pub database: Database,
    pub secrets: Secrets,
    pub receiver: Receiver,
    pub function: Function,
    pub secret: String,
}

impl Stage {
    pub fn new() -> Stage {
        Self::on(Server::shared())
    }

    pub fn on(server: &Server) -> Stage {
        Self::with(server, |options| options)
    }

    /// `change` has the last word on the function's environment and timeout.
    pub fn with(server: &Server, change: impl FnOnce(FunctionOptions) -> FunctionOptions) -> Stage {
        let database = server.database();
        let secrets = Secrets::start();
        let secret = secrets.put("master", server.secret_json(&database));
        let options = function(server, &secrets);
        Stage {
            database,
            secret,
            receiver: Receiver::start(),
            function: Function::start(change(options)),
            secrets,
        }
    }

    /// Another function over the same database and secrets, as a second container of the same.
    pub fn another_function(&self) -> Function {
        Function::start(function(Server::shared(), &self.secrets))
    }

    /// The same with these files.
    pub fn another_function_over(&self, files: &str) -> Function {
        let options = function(Server::shared(), &self.secrets);
        Function::start(options.env("LAMBDA_TASK_ROOT", files))
    }

    pub fn stack(&self) -> Stack<'_> {
        Stack::new(&self.receiver, FUNCTION_ARN, LOGICAL_ID)
    }

    /// Properties with the secret filled in.
    pub fn properties(&self, more: Value) -> Value {
        let mut properties = json!({ "DBSecret": self.secret });
        properties.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        properties
    }

    /// Sends an event and gives its one answer.
    #[track_caller]
    pub fn ask(&self, event: &Value) -> Value {
        let end = self.function.invoke(event.to_string().as_bytes());
        assert!(matches!(end, Invocation::Returned(_)), "{end:?}\n{}", self.function.log());
        let answer = self.receiver.answer_to(event);
        for request in self.receiver.requests() {
            assert_eq!(request.problems(), Vec::<String>::new());
        }
        answer
    }

    /// Sends an event that succeeds, and tells the stack.
    #[track_caller]
    pub fn succeed(&self, stack: &mut Stack<'_>, event: &Value) -> Value {
        let answer = self.ask(event);
        assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
        stack.settle(&answer);
        answer
    }

    /// The reason of a FAILED answer to a Create with these properties.
    #[track_caller]
    pub fn refused(&self, properties: Value) -> String {
        let create = self.stack().create(self.properties(properties));
        self.fail(&create)
    }

    /// Sends an event that fails; gives the reason.
    #[track_caller]
    pub fn fail(&self, event: &Value) -> String {
        let answer = self.ask(event);
        assert_eq!(answer["Status"], "FAILED", "{answer:#}");
        answer["Reason"].as_str().unwrap().to_owned()
    }

    /// See [`extensions`].
    pub fn extensions(&self) -> String {
        extensions(&self.database)
    }
}

/// `name=version` of all extensions, but plpgsql.
pub fn extensions(database: &Database) -> String {
    database.admin().value(
        "SELECT coalesce(string_agg(extname || '=' || extversion, ',' ORDER BY extname), '') \
         FROM pg_extension WHERE extname <> 'plpgsql'",
    )
}

pub fn function(server: &Server, secrets: &Secrets) -> FunctionOptions {
    FunctionOptions::new(env!("CARGO_BIN_EXE_bootstrap"))
        .timeout(GENEROUS)
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets.endpoint())
        .env("SSL_CERT_FILE", server.ca_pem_path().to_str().unwrap())
}

/// A part of an answer's `Data`.
#[track_caller]
pub fn data<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer["Data"][key].as_str().unwrap_or_else(|| panic!("no {key} in {answer:#}"))
}
