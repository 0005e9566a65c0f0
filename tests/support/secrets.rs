//! A Secrets Manager on the loopback: `GetSecretValue` in AWS JSON 1.1, with its errors.
//!
//! The function is pointed at it with `AWS_ENDPOINT_URL_SECRETS_MANAGER`. Signatures are not
//! checked. Every call is recorded, so that tests can tell what was asked for, and how often.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Connection, Listener};
use super::lambda::{lock, uuid};

const ARN_PREFIX: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:";
/// The six characters that Secrets Manager adds to each ARN.
const ARN_SUFFIX: &str = "-AbCdEf";
const TARGET: &str = "secretsmanager.GetSecretValue";

/// An error of the service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    NotFound,
    AccessDenied,
    /// Of a key that the function may not use.
    Decryption,
    ScheduledForDeletion,
    Throttled,
    Internal,
}

#[derive(Clone)]
enum Answer {
    Text(String),
    Binary(Vec<u8>),
    Failure(Failure),
}

pub struct Secrets {
    listener: Listener,
    store: Arc<Store>,
}

#[derive(Default)]
struct Store {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By name; the last answer of a sequence stays.
    answers: HashMap<String, VecDeque<Answer>>,
    calls: Vec<(String, Value)>,
    hangs: bool,
}

impl Secrets {
    pub fn start() -> Secrets {
        let store = Arc::new(Store::default());
        let of_thread = Arc::clone(&store);
        Secrets { listener: Listener::start(move |it| of_thread.serve(it)), store }
    }

    /// For `AWS_ENDPOINT_URL_SECRETS_MANAGER`.
    pub fn endpoint(&self) -> String {
        self.listener.origin()
    }

    /// The full ARN of a secret by its name.
    pub fn arn(name: &str) -> String {
        format!("{ARN_PREFIX}{name}{ARN_SUFFIX}")
    }

    /// A secret with a `SecretString`; returns its ARN.
    pub fn put(&self, name_or_arn: &str, secret: impl ToString) -> String {
        self.set(name_or_arn, vec![Answer::Text(secret.to_string())])
    }

    pub fn put_binary(&self, name_or_arn: &str, secret: &[u8]) -> String {
        self.set(name_or_arn, vec![Answer::Binary(secret.to_vec())])
    }

    /// From now on this secret gives an error.
    pub fn fail(&self, name_or_arn: &str, failure: Failure) {
        self.set(name_or_arn, vec![Answer::Failure(failure)]);
    }

    /// One answer per call, the last for all further calls: an old password and then the new one,
    /// `Err(Throttled)` and then a secret.
    pub fn answers(&self, name_or_arn: &str, answers: Vec<Result<String, Failure>>) -> String {
        let answer = |it: Result<_, _>| it.map_or_else(Answer::Failure, Answer::Text);
        self.set(name_or_arn, answers.into_iter().map(answer).collect())
    }

    /// From now on no call is answered (as without a route to the service).
    pub fn hang(&self) {
        lock(&self.store.state).hangs = true;
    }

    /// Target and body of each call.
    pub fn calls(&self) -> Vec<(String, Value)> {
        lock(&self.store.state).calls.clone()
    }

    /// Panics unless every call so far was a `GetSecretValue` of the current version.
    #[track_caller]
    pub fn assert_only_current_asked(&self) {
        for (target, body) in self.calls() {
            assert_eq!(target, TARGET);
            assert_eq!(body["VersionStage"], "AWSCURRENT", "{body}");
            assert!(body.get("VersionId").is_none(), "{body}");
        }
    }

    fn set(&self, name_or_arn: &str, answers: Vec<Answer>) -> String {
        assert!(!answers.is_empty(), "at least one answer");
        let name = name_of(name_or_arn);
        let arn = Self::arn(&name);
        lock(&self.store.state).answers.insert(name, answers.into());
        arn
    }
}

impl Store {
    fn serve(&self, mut connection: Connection) {
        while let Some(request) = connection.read() {
            let target = request.header("x-amz-target").unwrap_or_default().to_owned();
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let (status, answer) = self.answer(&target, body);
            let mut state = lock(&self.state);
            while state.hangs && !connection.is_stopped() {
                let waited = self.changed.wait_timeout(state, Duration::from_millis(100));
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            drop(state);
            let id = uuid();
            let headers =
                [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", id.as_str())];
            connection.answer(status, &headers, answer.to_string().as_bytes());
        }
    }

    fn answer(&self, target: &str, body: Value) -> (u16, Value) {
        let mut state = lock(&self.state);
        state.calls.push((target.to_owned(), body.clone()));
        if target != TARGET {
            return (400, json!({"__type": "UnknownOperationException"}));
        }
        let Some(id) = body["SecretId"].as_str() else {
            return (400, json!({"__type": "ValidationException", "message": "no SecretId"}));
        };
        let stage = body["VersionStage"].as_str().unwrap_or("AWSCURRENT");
        let name = name_of(id);
        let known = state.answers.get_mut(&name);
        let answer = match known {
            // There is only this version.
            Some(answers) if stage == "AWSCURRENT" => {
                if answers.len() > 1 {
                    answers.pop_front()
                } else {
                    answers.front().cloned()
                }
            }
            _ => None,
        };
        let secret = match answer.unwrap_or(Answer::Failure(Failure::NotFound)) {
            Answer::Text(text) => ("SecretString", text),
            Answer::Binary(bytes) => ("SecretBinary", openssl::base64::encode_block(&bytes)),
            Answer::Failure(failure) => return error(failure, id),
        };
        let value = json!({
            "ARN": Secrets::arn(&name),
            "Name": name,
            "VersionId": "01234567-89ab-4cde-8f01-23456789abcd",
            "VersionStages": ["AWSCURRENT"],
            "CreatedDate": 1_767_225_600.123,
            secret.0: secret.1,
        });
        (200, value)
    }
}

fn error(failure: Failure, id: &str) -> (u16, Value) {
    let (status, kind, message) = match failure {
        Failure::NotFound => (
            400,
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.".to_owned(),
        ),
        Failure::AccessDenied => (
            400,
            "AccessDeniedException",
            format!(
                "User: arn:aws:sts::123456789012:assumed-role/role/execute-sql is not authorized \
                 to perform: secretsmanager:GetSecretValue on resource: {id} because no \
                 identity-based policy allows the secretsmanager:GetSecretValue action"
            ),
        ),
        Failure::Decryption => {
            (400, "AccessDeniedException", "Access to KMS is not allowed".to_owned())
        }
        Failure::ScheduledForDeletion => (
            400,
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion."
                .to_owned(),
        ),
        Failure::Throttled => (400, "ThrottlingException", "Rate exceeded".to_owned()),
        Failure::Internal => {
            (500, "InternalServiceError", "An internal error occurred.".to_owned())
        }
    };
    // The service writes `Message` or `message`, by the kind; SDKs take both.
    (status, json!({"__type": kind, "Message": message}))
}

/// The name in an ARN, with or without its suffix; anything else is a name.
fn name_of(name_or_arn: &str) -> String {
    match name_or_arn.strip_prefix(ARN_PREFIX) {
        Some(name) => name.strip_suffix(ARN_SUFFIX).unwrap_or(name).to_owned(),
        None => name_or_arn.to_owned(),
    }
}
