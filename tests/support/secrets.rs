//! A Secrets Manager on the loopback: AWS JSON 1.1 with versions, stages, tokens, tags, keys,
//! deletion windows and rotations, and with the service's errors.
//!
//! The function is pointed at it with `AWS_ENDPOINT_URL_SECRETS_MANAGER`. Signatures are not
//! checked. Every call is recorded, so that tests can tell what was asked for, and how often. What
//! reads of a secret's current version answer can be written down beforehand ([`Secrets::fail`],
//! [`Secrets::answers`]); any operation can be made to misbehave ([`Secrets::fault`]).

mod fault;
mod operations;
mod rotation;
mod state;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{Connection, Listener};
use super::lambda::{lock, uuid};
use fault::{Effect, error};
pub use fault::{Failure, Fault};
pub use rotation::Rotation;
use state::State;
pub use state::{RotationRules, Secret, Text, Version};

const ARN_PREFIX: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:";
/// The six characters at the end of the ARN of each secret that a test put here by hand.
const ARN_SUFFIX: &str = "-AbCdEf";
const TARGET: &str = "secretsmanager.";

type Hook = Box<dyn FnOnce() + Send>;

pub struct Secrets {
    listener: Listener,
    store: Arc<Store>,
}

#[derive(Default)]
struct Store {
    state: Mutex<State>,
    control: Mutex<Control>,
    changed: Condvar,
}

/// What is written down of the calls, and what shall become of the next ones.
#[derive(Default)]
struct Control {
    /// Answers to reads of the current version by name; the last one of a sequence stays.
    scripts: BTreeMap<String, VecDeque<Answer>>,
    calls: Vec<(String, Value)>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    /// With the number of calls of the operation before which they run.
    hooks: Vec<(String, usize, Hook)>,
    hangs: bool,
}

#[derive(Clone)]
enum Answer {
    Text(Text),
    Failure(Failure),
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

    /// The full ARN of a secret that was put here by hand, by its name.
    pub fn arn(name: &str) -> String {
        format!("{ARN_PREFIX}{name}{ARN_SUFFIX}")
    }

    /// A secret with a `SecretString`, or a new current version of the one that is there; gives
    /// its ARN.
    pub fn put(&self, name_or_arn: &str, secret: impl ToString) -> String {
        self.set(name_or_arn, Text::String(secret.to_string()))
    }

    pub fn put_binary(&self, name_or_arn: &str, secret: &[u8]) -> String {
        self.set(name_or_arn, Text::Binary(secret.to_vec()))
    }

    /// From now on reads of this secret give an error.
    pub fn fail(&self, name_or_arn: &str, failure: Failure) {
        self.script(name_or_arn, vec![Answer::Failure(failure)]);
    }

    /// One answer per read, the last for all further ones: an old password and then the new one,
    /// `Err(Throttled)` and then a secret.
    pub fn answers(&self, name_or_arn: &str, answers: Vec<Result<String, Failure>>) -> String {
        let text = |it| Answer::Text(Text::String(it));
        let answer = |it: Result<_, _>| it.map_or_else(Answer::Failure, text);
        self.script(name_or_arn, answers.into_iter().map(answer).collect());
        Self::arn(&name_of(name_or_arn))
    }

    /// From now on no call is answered (as without a route to the service).
    pub fn hang(&self) {
        lock(&self.store.control).hangs = true;
    }

    /// What the next calls of an operation (`"CreateSecret"`) meet, after the faults that it has
    /// already.
    pub fn fault(&self, operation: &str, fault: Fault) {
        let mut control = lock(&self.store.control);
        control.faults.entry(operation.to_owned()).or_default().push_back(fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        lock(&self.store.control).faults.clear();
    }

    /// Runs `hook` before the `n`th call of an operation from now on, counted from 1; the call is
    /// carried out afterwards, whether or not its caller still lives. With [`Fault::CutBefore`] it
    /// is not.
    pub fn on(&self, operation: &str, n: usize, hook: impl FnOnce() + Send + 'static) {
        let due = self.count(operation) + n;
        lock(&self.store.control).hooks.push((operation.to_owned(), due, Box::new(hook)));
    }

    /// Target and body of each call.
    pub fn calls(&self) -> Vec<(String, Value)> {
        lock(&self.store.control).calls.clone()
    }

    /// The bodies of an operation's calls.
    pub fn calls_of(&self, operation: &str) -> Vec<Value> {
        let is = |target: &str| target.strip_prefix(TARGET) == Some(operation);
        self.calls().into_iter().filter(|(target, _)| is(target)).map(|(_, body)| body).collect()
    }

    /// How many calls of an operation there were.
    pub fn count(&self, operation: &str) -> usize {
        lock(&self.store.control).count(operation)
    }

    /// Panics unless every call so far was a `GetSecretValue` of the current version.
    #[track_caller]
    pub fn assert_only_current_asked(&self) {
        for (target, body) in self.calls() {
            assert_eq!(target, format!("{TARGET}GetSecretValue"));
            assert_eq!(body["VersionStage"], "AWSCURRENT", "{body}");
            assert!(body.get("VersionId").is_none(), "{body}");
        }
    }

    /// The names of all secrets, those that wait for their deletion included.
    pub fn names(&self) -> Vec<String> {
        lock(&self.store.state).secrets.iter().map(|it| it.name.clone()).collect()
    }

    /// A secret as it is now, by name or ARN.
    pub fn get(&self, id: &str) -> Option<Secret> {
        lock(&self.store.state).find(id).cloned()
    }

    /// The text of the version with this stage.
    pub fn text(&self, id: &str, stage: &str) -> Option<String> {
        match self.get(id)?.at(stage)?.value.clone()? {
            Text::String(text) => Some(text),
            Text::Binary(_) => None,
        }
    }

    /// Changes a secret behind the function's back: its tags, its key, its deletion, its versions.
    #[track_caller]
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Secret)) {
        let mut state = lock(&self.store.state);
        change(state.find_mut(id).unwrap_or_else(|| panic!("there is no secret {id}")));
    }

    /// Takes a secret away without a trace, as `ForceDeleteWithoutRecovery` does.
    pub fn forget(&self, id: &str) {
        lock(&self.store.state).forget(id);
    }

    fn set(&self, name_or_arn: &str, text: Text) -> String {
        let name = name_of(name_or_arn);
        lock(&self.store.control).scripts.remove(&name);
        let mut state = lock(&self.store.state);
        let known = state.find(name_or_arn).or(state.find(&name)).map(|it| it.arn.clone());
        let arn = known.unwrap_or_else(|| {
            let arn = Self::arn(&name);
            state.secrets.push(Secret::new(&name, &arn));
            arn
        });
        let secret = state.find_mut(&arn).expect("it is there now");
        secret.add(&uuid(), Some(text), &["AWSCURRENT"]);
        arn
    }

    fn script(&self, name_or_arn: &str, answers: Vec<Answer>) {
        assert!(!answers.is_empty(), "at least one answer");
        lock(&self.store.control).scripts.insert(name_of(name_or_arn), answers.into());
    }
}

impl Control {
    fn count(&self, operation: &str) -> usize {
        let is = |target: &str| target.strip_prefix(TARGET) == Some(operation);
        self.calls.iter().filter(|(target, _)| is(target)).count()
    }

    /// The next answer that was written down for a read of a current version.
    fn scripted(&mut self, operation: &str, body: &Value) -> Option<Answer> {
        let stage = body["VersionStage"].as_str().unwrap_or("AWSCURRENT");
        if operation != "GetSecretValue" || stage != "AWSCURRENT" || body.get("VersionId").is_some()
        {
            return None;
        }
        let answers = self.scripts.get_mut(&name_of(body["SecretId"].as_str()?))?;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }

    /// Takes the hook that is due and the fault that comes with a call.
    fn begin(&mut self, operation: &str) -> (Vec<Hook>, Option<Effect>) {
        let number = self.count(operation);
        let (due, later) = std::mem::take(&mut self.hooks)
            .into_iter()
            .partition(|(of, at, _)| of == operation && *at == number);
        self.hooks = later;
        let hooks: Vec<(String, usize, Hook)> = due;
        let faults = self.faults.get_mut(operation);
        let effect = faults.and_then(|faults| {
            let effect = faults.front_mut()?.next();
            if faults.front().is_some_and(Fault::is_over) {
                faults.pop_front();
            }
            Some(effect)
        });
        (hooks.into_iter().map(|(_, _, hook)| hook).collect(), effect)
    }
}

impl Store {
    fn serve(&self, mut connection: Connection) {
        while let Some(request) = connection.read() {
            let target = request.header("x-amz-target").unwrap_or_default().to_owned();
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let operation = target.strip_prefix(TARGET).unwrap_or_default().to_owned();
            let (hooks, effect) = {
                let mut control = lock(&self.control);
                control.calls.push((target, body.clone()));
                control.begin(&operation)
            };
            // Outside the lock: it may look at the secrets.
            for hook in hooks {
                hook();
            }
            let (status, answer) = match &effect {
                Some(Effect::CutBefore) => return connection.reset(),
                Some(Effect::Answer(status, answer)) => (*status, answer.clone()),
                _ => self.answer(&operation, &body),
            };
            let (status, answer) = match effect {
                Some(Effect::CutAfter) => return connection.reset(),
                Some(Effect::FailAfter) => error(500, "InternalServiceError", "An error occurred"),
                Some(Effect::Slow(delay)) => {
                    self.wait(&connection, delay);
                    (status, answer)
                }
                Some(Effect::Torn) => {
                    let text = answer.to_string();
                    let length = text.len().to_string();
                    let half = &text.as_bytes()[..text.len() / 2];
                    connection.answer(status, &[("content-length", &length)], half);
                    return;
                }
                _ => (status, answer),
            };
            while lock(&self.control).hangs && !connection.is_stopped() {
                self.wait(&connection, Duration::from_millis(100));
            }
            let id = uuid();
            let headers =
                [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", id.as_str())];
            connection.answer(status, &headers, answer.to_string().as_bytes());
        }
    }

    /// Ends early with the stand-in.
    fn wait(&self, connection: &Connection, delay: Duration) {
        let end = Instant::now() + delay;
        let mut control = lock(&self.control);
        while Instant::now() < end && !connection.is_stopped() {
            let step = (end - Instant::now()).min(Duration::from_millis(100));
            let waited = self.changed.wait_timeout(control, step);
            control = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn answer(&self, operation: &str, body: &Value) -> (u16, Value) {
        let scripted = lock(&self.control).scripted(operation, body);
        match scripted {
            None => match lock(&self.state).carry_out(operation, body) {
                Ok(answer) => (200, answer),
                Err(refusal) => error(400, refusal.0, &refusal.1),
            },
            Some(Answer::Failure(failure)) => {
                failure.answer(body["SecretId"].as_str().unwrap_or_default())
            }
            Some(Answer::Text(text)) => {
                let name = name_of(body["SecretId"].as_str().unwrap_or_default());
                let mut value = json!({
                    "ARN": Secrets::arn(&name),
                    "Name": name,
                    "VersionId": "01234567-89ab-4cde-8f01-23456789abcd",
                    "VersionStages": ["AWSCURRENT"],
                    "CreatedDate": 1_767_225_600.123,
                });
                text.write(&mut value);
                (200, value)
            }
        }
    }
}

/// The name in an ARN, with or without the suffix of those put by hand; anything else is a name.
fn name_of(name_or_arn: &str) -> String {
    match name_or_arn.strip_prefix(ARN_PREFIX) {
        Some(name) => name.strip_suffix(ARN_SUFFIX).unwrap_or(name).to_owned(),
        None => name_or_arn.to_owned(),
    }
}
