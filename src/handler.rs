//! One event in, exactly one answer out.
//!
//! The answer's address and ids are taken out first; everything after that runs
//! inside a guard that turns errors, panics and the end of the time into an
//! answer too. Whom the answer goes to depends on the caller: CloudFormation
//! gets a PUT, the CDK's provider framework and a plain call get what the
//! function returns or throws. A delivered answer ends the invocation well, also
//! if it says FAILED, or Lambda would run all of it again; one that could not be
//! delivered ends it badly, so that Lambda's retry is another chance.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer;
use crate::budget::Budget;
use crate::desired::Desired;
use crate::engine::{self, Task, Trigger, World, delete};
use crate::failure::Failure;
use crate::invocation::{self, Action};
use crate::ledger::{self, Labels};
use crate::outcome::Outcome;
use crate::redact::{remember, scrub};
use crate::request::envelope::{self, Caller, Envelope};
use crate::request::response_url::ResponseUrl;
use crate::request::{Ids, Request, RequestType, physical_id, properties};
use crate::response::{MAX_THROWN, Reason, Response, Status};
use crate::trust::Https;

/// One invocation, as Lambda tells it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The event's text.
    pub event: String,
    /// The ARN by which the function was invoked.
    pub function_arn: String,
    /// Lambda's id of the invocation.
    pub request_id: String,
    /// When Lambda ends the function, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// Where the log goes.
    pub log_stream: String,
}

/// What a function throws: a name for programs, a message for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Thrown {
    /// `Retryable…` or `Permanent…`.
    pub name: &'static str,
    /// At most 2,000 bytes in JSON.
    pub message: String,
}

/// What the answer needs to be ready before Lambda ends the function.
const RESERVE: Duration = Duration::from_millis(8500);

/// The rest of the time, in which nothing is started any more.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// An address is not used in the last moments of its life.
const ADDRESS_RESERVE: u64 = 30;

/// Handles one event.
pub async fn handle(world: &World, https: &Https, call: &Call) -> Result<Value, Thrown> {
    let started = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let lambda_left = Duration::from_millis(call.deadline_ms).saturating_sub(now);
    let envelope = envelope::open(&call.event, &call.function_arn);
    if let Caller::CloudFormation(url) = &envelope.caller {
        remember(url.secret());
    }
    let Envelope { caller, ids, event } = envelope;
    let job = Job { world, call, caller: &caller, ids: &ids, started, now, lambda_left };
    let event = match event {
        Ok(event) => event,
        Err(why) => return job.answer(https, Err(Failure::Event(why)), None).await,
    };
    match &caller {
        Caller::Invocation => job.invoked(&event).await,
        Caller::Framework if is_poll(&event) => Ok(json!({ "IsComplete": true })),
        Caller::Unanswerable(why) => {
            let thrown = Failure::Event(why.clone());
            tracing::error!("{thrown}");
            Err(job.thrown(&thrown))
        }
        Caller::Framework | Caller::CloudFormation(_) => job.requested(https, &event).await,
    }
}

/// The framework's `isComplete` handler gets what `onEvent` returned beside the
/// request; our mark is among it. All work is done by then.
fn is_poll(event: &Value) -> bool {
    event.pointer("/Job/State").is_some()
}

struct Job<'a> {
    world: &'a World,
    call: &'a Call,
    caller: &'a Caller,
    ids: &'a Ids,
    started: Instant,
    now: Duration,
    lambda_left: Duration,
}

impl Job<'_> {
    /// A request of CloudFormation, direct or through the framework.
    async fn requested(&self, https: &Https, event: &Value) -> Result<Value, Thrown> {
        let address = event.get("ResponseURL").and_then(Value::as_str).map(ResponseUrl::new);
        let times = address.and_then(Result::ok).map(|url| url.signed_and_expires());
        let (event_at, expires_at) = times.unwrap_or_default();
        let request = match Request::read(event, self.ids, event_at) {
            Ok(request) => request,
            Err(error) => return self.answer(https, Err(error.into()), None).await,
        };
        tracing::info!(
            request_type = request.kind.as_str(),
            stack = request.ids.stack_id,
            logical_id = request.ids.logical_resource_id,
            request_id = request.ids.request_id,
            "request"
        );
        let left = self.time_for(&request, expires_at);
        let budget = Budget::new(self.started + left);
        let work = Box::pin(fulfil(self.world, &request, &budget, self.started));
        let result = guarded(&budget, work).await;
        self.answer(https, result, Some(&request)).await
    }

    /// What may be spent on a request: less than Lambda gives, and only while
    /// somebody still listens.
    fn time_for(&self, request: &Request, expires_at: Option<u64>) -> Duration {
        let seconds = |at: u64| Duration::from_secs(at).saturating_sub(self.now);
        let service_timeout = match request.properties.get("ServiceTimeout") {
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
            None => None,
        };
        let address = expires_at.map(|at| seconds(at.saturating_sub(ADDRESS_RESERVE)));
        let service = request.event_at.zip(service_timeout).map(|(at, limit)| {
            let end = at.saturating_add(limit);
            seconds(end.saturating_sub(10))
        });
        let reserve = RESERVE.min(self.lambda_left / 2);
        [Some(self.lambda_left.saturating_sub(reserve)), address, service]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_default()
    }

    /// A plain invocation, or a task of a state machine.
    async fn invoked(&self, event: &Value) -> Result<Value, Thrown> {
        let invocation = match invocation::read(event, &self.call.request_id) {
            Ok(invocation) => invocation,
            Err(failure) => return Err(self.thrown(&failure)),
        };
        tracing::info!(action = ?invocation.action, request_id = invocation.ids.request_id, "invocation");
        let reserve = Duration::from_secs(1).min(self.lambda_left / 2);
        let budget = Budget::new(self.started + self.lambda_left.saturating_sub(reserve));
        budget.limit_statements(invocation.desired.statement_timeout);
        let task = Task {
            desired: &invocation.desired,
            ids: &invocation.ids,
            physical_id: invocation.physical_id.clone(),
            properties_sha256: invocation.properties_sha256.clone(),
            rehearse: false,
            trigger: match invocation.action {
                Action::Deprovision => Trigger::Stack(RequestType::Delete),
                _ => Trigger::Call,
            },
            ledger: ledger::default_schema(),
            login: None,
            search_path: None,
            event_at: None,
            labels: invocation.labels.clone(),
            started: self.started.into_std(),
            budget: &budget,
        };
        let work = async {
            match invocation.action {
                Action::Deprovision if !task.desired.acts_on_delete() => Ok(retained()),
                Action::Deprovision => delete::run(self.world, &task).await,
                _ => engine::run(self.world, &task).await,
            }
        };
        match guarded(&budget, Box::pin(work)).await {
            Ok(outcome) => Ok(invocation.report(&outcome)),
            Err(failure) => Err(self.thrown(&failure)),
        }
    }

    fn reason(&self, cause: String, hint: Option<String>) -> Reason {
        let request = match self.ids.request_id.as_str() {
            "" => &self.call.request_id,
            id => id,
        };
        let cause = scrub(&cause).into_owned();
        let hint = hint.map(|it| scrub(&it).into_owned());
        Reason {
            cause,
            hint,
            trace: format!("request {request}, log stream {}", self.call.log_stream),
        }
    }

    fn thrown(&self, failure: &Failure) -> Thrown {
        let message = self.reason(failure.to_string(), failure.hint()).fitted(MAX_THROWN);
        Thrown { name: failure.name(), message }
    }

    async fn answer(
        &self,
        https: &Https,
        result: Result<Outcome, Failure>,
        request: Option<&Request>,
    ) -> Result<Value, Thrown> {
        if let Err(failure) = &result {
            tracing::error!(name = failure.name(), "{failure}");
        }
        let Caller::CloudFormation(url) = self.caller else {
            return result
                .map(|outcome| self.returned(request, outcome))
                .map_err(|failure| self.thrown(&failure));
        };
        let response = self.response(request, result);
        let end = self.started + self.lambda_left.saturating_sub(LAST_BREATH);
        match answer::put(https, url, &response.body(), end).await {
            Ok(()) => {
                tracing::info!(status = ?response.status, "answered");
                Ok(json!({ "Answered": format!("{:?}", response.status) }))
            }
            Err(error) => {
                tracing::error!(hint = error.hint(), "{error}");
                let message = format!("{error}. {}", error.hint());
                Err(Thrown { name: "RetryableAnswerUndelivered", message })
            }
        }
    }

    fn response(&self, request: Option<&Request>, result: Result<Outcome, Failure>) -> Response {
        let mut ids = self.ids.clone();
        ids.physical_resource_id = Some(self.answered_id(request, result.is_ok()));
        match result {
            Ok(outcome) => {
                let reason = self.reason(outcome.reason, None);
                Response { status: Status::Success, ids, reason, data: outcome.data }
            }
            Err(failure) => {
                let reason = self.reason(failure.to_string(), failure.hint());
                Response {
                    status: Status::Failed,
                    ids,
                    reason,
                    data: std::collections::BTreeMap::new(),
                }
            }
        }
    }

    /// On success the id of the target; on failure and on Delete the one that came in.
    fn answered_id(&self, request: Option<&Request>, success: bool) -> String {
        match request {
            Some(request) if success && request.kind != RequestType::Delete => {
                request.physical_id()
            }
            Some(request) => request.echoed_id(),
            None => self.ids.physical_resource_id.clone().unwrap_or_else(|| {
                let ids = self.ids;
                physical_id(&ids.stack_id, &ids.logical_resource_id, &serde_json::Map::new())
            }),
        }
    }

    fn returned(&self, request: Option<&Request>, outcome: Outcome) -> Value {
        json!({
            "PhysicalResourceId": self.answered_id(request, true),
            "Data": outcome.data,
            "Job": { "State": "done" },
        })
    }
}

/// Runs the work; whatever it does, there is a result, and in time.
async fn guarded(
    budget: &Budget,
    work: impl std::future::Future<Output = Result<Outcome, Failure>>,
) -> Result<Outcome, Failure> {
    let caught = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout_at(budget.deadline, caught).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let what = budget.done_last();
            Err(Failure::Internal(format!("{} (while {what})", text.unwrap_or_default())))
        }
        Err(_) => Err(Failure::Deadline(budget.done_last())),
    }
}

/// A Delete that has nothing to do in the database.
fn retained() -> Outcome {
    Outcome {
        reason: "everything is retained; the database was not touched".into(),
        ..Outcome::default()
    }
}

/// Types the properties and does what the request asks.
async fn fulfil(
    world: &World,
    request: &Request,
    budget: &Budget,
    started: Instant,
) -> Result<Outcome, Failure> {
    let desired = match request.kind {
        RequestType::Delete => properties::read_for_delete(&request.properties),
        _ => properties::read(&request.properties).map_err(Failure::Properties)?,
    };
    let is_retained = request.kind == RequestType::Delete && !has_work(&desired);
    if is_retained && (desired.tenants.is_empty() || !has_target(&desired)) {
        return Ok(retained());
    }
    if budget.left().is_zero() && !is_retained {
        return Err(Failure::Deadline("the request waited to be taken up".into()));
    }
    budget.limit_statements(desired.statement_timeout);
    let task = Task {
        desired: &desired,
        ids: &request.ids,
        physical_id: match request.kind {
            RequestType::Delete => request.echoed_id(),
            _ => request.physical_id(),
        },
        properties_sha256: request.properties_sha256(),
        trigger: Trigger::Stack(request.kind),
        rehearse: false,
        ledger: ledger::default_schema(),
        login: None,
        search_path: None,
        event_at: request.event_at,
        labels: Labels::default(),
        started: started.into_std(),
        budget,
    };
    match request.kind {
        RequestType::Delete if is_retained => {
            delete::release(world, &task).await;
            Ok(Outcome { reason: "everything is retained".into(), ..Outcome::default() })
        }
        RequestType::Delete => delete::run(world, &task).await,
        _ => engine::run(world, &task).await,
    }
}

/// A Delete whose target cannot be told has never made anything.
fn has_work(desired: &Desired) -> bool {
    desired.acts_on_delete() && has_target(desired)
}

fn has_target(desired: &Desired) -> bool {
    desired.secret.is_some() || desired.connection.host.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(limit: Duration) -> Budget {
        Budget::new(Instant::now() + limit)
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_like_any_other() {
        let budget = within(Duration::from_secs(60));
        budget.doing("dividing");
        let result = guarded(&budget, async { panic!("by zero") }).await;
        assert_eq!(result.unwrap_err().to_string(), "internal error: by zero (while dividing)");
    }

    #[tokio::test]
    async fn work_that_does_not_end_is_a_failure_that_says_what_it_was() {
        let budget = within(Duration::from_millis(10));
        budget.doing("waiting");
        let result = guarded(&budget, std::future::pending()).await;
        assert!(result.unwrap_err().to_string().starts_with("the time ran out while waiting"));
    }
}
