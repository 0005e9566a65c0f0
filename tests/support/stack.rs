//! One custom resource in a stack, from CloudFormation's side: makes the events it would send, and
//! knows what it does after each answer.
//!
//! The lifecycle is that of `facts/cloudformation.md`, 1.5: a failed Create is followed by a
//! Delete, a failed Update by an Update with swapped properties, a new physical id by a Delete of
//! the old one with the OLD properties. Answers that CloudFormation would not take make `settle`
//! panic, as the function must never give one.

use std::collections::VecDeque;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::cloudformation::Receiver;
use super::lambda::uuid;
use super::processes::unique;

const RESOURCE_TYPE: &str = "Custom::ExecuteSQL";

pub struct Stack<'a> {
    receiver: &'a Receiver,
    service_token: String,
    logical_id: String,
    name: String,
    id: String,
    signed_at: Option<SystemTime>,
    /// The id from the last accepted answer.
    physical_id: Option<String>,
    /// What the resource was last brought to, with success.
    properties: Value,
    /// And what it was before; for the rollback of an Update that succeeded.
    before: Option<Value>,
    pending: Option<Sent>,
    /// Deletes that come after what is pending: old id and its properties.
    cleanup: VecDeque<(String, Value)>,
}

/// A request that waits for its answer.
struct Sent {
    request_id: String,
    kind: Kind,
    physical_id: Option<String>,
    properties: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Create,
    Update,
    Rollback,
    Delete,
    /// Of an id that was replaced; the resource itself stays.
    Cleanup,
}

/// What CloudFormation does after an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// The resource is as it should be, or gone.
    Nothing,
    /// It sends this event.
    Send(Value),
    /// Somebody has to act: `UPDATE_ROLLBACK_FAILED`, `DELETE_FAILED`.
    Stuck(&'static str),
    /// Nobody waits for this answer (any more).
    Ignored,
}

impl Next {
    /// The event to be sent; panics when there is none.
    #[track_caller]
    pub fn event(self) -> Value {
        match self {
            Next::Send(event) => event,
            other => panic!("CloudFormation sends nothing: {other:?}"),
        }
    }
}

impl<'a> Stack<'a> {
    pub fn new(receiver: &'a Receiver, function_arn: &str, logical_id: &str) -> Stack<'a> {
        let name = format!("stack-{}", unique());
        Stack {
            receiver,
            service_token: function_arn.to_owned(),
            logical_id: logical_id.to_owned(),
            id: format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/{name}/{}", uuid()),
            name,
            signed_at: None,
            physical_id: None,
            properties: Value::Null,
            before: None,
            pending: None,
            cleanup: VecDeque::new(),
        }
    }

    /// Signs the URLs of the following events at `date` instead of now: a stale event.
    pub fn sign_at(&mut self, date: SystemTime) {
        self.signed_at = Some(date);
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// As CloudFormation has recorded it.
    pub fn physical_id(&self) -> Option<&str> {
        self.physical_id.as_deref()
    }

    #[track_caller]
    pub fn create(&mut self, properties: Value) -> Value {
        assert!(self.physical_id.is_none(), "the resource is there already");
        self.properties = self.declared(properties);
        self.send(Kind::Create, None, self.properties.clone(), None)
    }

    #[track_caller]
    pub fn update(&mut self, properties: Value) -> Value {
        let id = self.physical_id.clone().expect("only what was created is updated");
        let properties = self.declared(properties);
        let old = self.properties.clone();
        self.send(Kind::Update, Some(id), properties, Some(old))
    }

    #[track_caller]
    pub fn delete(&mut self) -> Value {
        let id = self.physical_id.clone().expect("only what was created is deleted");
        self.send(Kind::Delete, Some(id), self.properties.clone(), None)
    }

    /// Another resource failed after the Update of this one had succeeded: it goes back, and what
    /// a new physical id had replaced is not cleaned up.
    #[track_caller]
    pub fn roll_back(&mut self) -> Value {
        let id = self.physical_id.clone().expect("only what was created is rolled back");
        let back_to = self.before.take().expect("an Update went before");
        self.cleanup.clear();
        let old = self.properties.clone();
        self.send(Kind::Rollback, Some(id), back_to, Some(old))
    }

    /// The Create is cancelled before it is answered: a Delete with an id that CloudFormation
    /// makes up, and from here on nobody waits for the answer to the Create.
    #[track_caller]
    pub fn invented_delete(&mut self) -> Value {
        let creating = self.pending.as_ref().is_some_and(|sent| sent.kind == Kind::Create);
        assert!(creating, "a Create is under way");
        let suffix = unique().to_uppercase();
        let id = format!("{}-{}-{suffix}", self.name, self.logical_id);
        self.send(Kind::Delete, Some(id), self.properties.clone(), None)
    }

    /// Applies an answer and tells what CloudFormation does next.
    #[track_caller]
    pub fn settle(&mut self, answer: &Value) -> Next {
        let is_awaited = |sent: &Sent| answer["RequestId"] == sent.request_id.as_str();
        if !self.pending.as_ref().is_some_and(is_awaited) {
            return Next::Ignored;
        }
        self.check(answer);
        let sent = self.pending.take().expect("looked at above");
        let succeeded = answer["Status"] == "SUCCESS";
        let answered_id = answer["PhysicalResourceId"].as_str().expect("checked").to_owned();
        match (sent.kind, succeeded) {
            (Kind::Create, true) => {
                self.physical_id = Some(answered_id);
                Next::Nothing
            }
            (Kind::Create, false) => {
                self.physical_id = Some(answered_id.clone());
                Next::Send(self.send(Kind::Delete, Some(answered_id), sent.properties, None))
            }
            (Kind::Update | Kind::Rollback, true) => {
                let before = std::mem::replace(&mut self.properties, sent.properties);
                let old_id = self.physical_id.replace(answered_id.clone());
                if let Some(old_id) = old_id.filter(|old_id| *old_id != answered_id) {
                    self.cleanup.push_front((old_id, before.clone()));
                }
                self.before = Some(before);
                self.next_cleanup()
            }
            (Kind::Update, false) => {
                if sent.physical_id.as_deref() != Some(answered_id.as_str()) {
                    // A new id makes it a replacement, also in a failure.
                    self.cleanup.push_back((answered_id, sent.properties.clone()));
                }
                let back_to = self.properties.clone();
                let old = Some(sent.properties);
                Next::Send(self.send(Kind::Rollback, sent.physical_id, back_to, old))
            }
            (Kind::Rollback, false) => Next::Stuck("UPDATE_ROLLBACK_FAILED"),
            (Kind::Delete, true) => {
                self.physical_id = None;
                Next::Nothing
            }
            (Kind::Delete, false) => {
                self.physical_id = sent.physical_id;
                Next::Stuck("DELETE_FAILED")
            }
            // A cleanup that fails is reported and forgotten.
            (Kind::Cleanup, _) => self.next_cleanup(),
        }
    }

    fn next_cleanup(&mut self) -> Next {
        match self.cleanup.pop_front() {
            Some((id, properties)) => {
                Next::Send(self.send(Kind::Cleanup, Some(id), properties, None))
            }
            None => Next::Nothing,
        }
    }

    /// What CloudFormation demands of an answer.
    #[track_caller]
    fn check(&self, answer: &Value) {
        let sent = self.pending.as_ref().expect("something is awaited");
        let size = answer.to_string().len();
        assert!(size <= 4096, "Response object is too long: {size} bytes");
        assert_eq!(answer["StackId"], self.id.as_str(), "StackId is copied");
        assert_eq!(answer["LogicalResourceId"], self.logical_id.as_str(), "the id is copied");
        let status = answer["Status"].as_str().unwrap_or_default();
        assert!(["SUCCESS", "FAILED"].contains(&status), "Status is {status:?}");
        let reason = answer["Reason"].as_str().unwrap_or_default();
        assert!(status == "SUCCESS" || !reason.is_empty(), "a failure needs a Reason");
        let id = answer["PhysicalResourceId"].as_str().unwrap_or_default();
        assert!(!id.is_empty() && id.len() <= 1024, "Invalid PhysicalResourceId {id:?}");
        let is_delete = matches!(sent.kind, Kind::Delete | Kind::Cleanup);
        if is_delete {
            assert_eq!(Some(id), sent.physical_id.as_deref(), "a Delete keeps the id");
        }
        if let Some(data) = answer.get("Data") {
            assert!(data.is_object(), "Data is an object, not {data}");
        }
    }

    fn send(
        &mut self,
        kind: Kind,
        physical_id: Option<String>,
        properties: Value,
        old: Option<Value>,
    ) -> Value {
        let request_id = uuid();
        let key = format!("{}|{}|{request_id}", self.id, self.logical_id);
        let signed_at = self.signed_at.unwrap_or_else(SystemTime::now);
        let mut event = json!({
            "RequestType": match kind {
                Kind::Create => "Create",
                Kind::Update | Kind::Rollback => "Update",
                Kind::Delete | Kind::Cleanup => "Delete",
            },
            "ServiceToken": self.service_token,
            "ResponseURL": self.receiver.url_dated(&key, signed_at),
            "StackId": self.id,
            "RequestId": request_id,
            "LogicalResourceId": self.logical_id,
            "ResourceType": RESOURCE_TYPE,
            "ResourceProperties": properties,
        });
        if let Some(id) = &physical_id {
            event["PhysicalResourceId"] = json!(id);
        }
        if let Some(old) = old {
            event["OldResourceProperties"] = old;
        }
        self.pending = Some(Sent { request_id, kind, physical_id, properties });
        event
    }

    /// The properties as they arrive at the function.
    fn declared(&self, properties: Value) -> Value {
        let mut declared = stringified(properties);
        declared["ServiceToken"] = json!(self.service_token);
        declared
    }
}

/// CloudFormation makes every scalar a string, at any depth, and knows no null.
fn stringified(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            let fields = fields.map(|(name, value)| (name, stringified(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(stringified).collect()),
        Value::String(text) => Value::String(text),
        scalar => Value::String(scalar.to_string()),
    }
}

/// The event as Lambda gets it when the resource's ServiceToken is an SNS topic.
pub fn sns(event: &Value) -> Value {
    let topic = "arn:aws:sns:eu-west-1:123456789012:custom-resources";
    let mut message = event.clone();
    message["TopicArn"] = json!(topic);
    json!({
        "Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": format!("{topic}:{}", uuid()),
            "Sns": {
                "Type": "Notification",
                "MessageId": uuid(),
                "TopicArn": topic,
                "Subject": "AWS CloudFormation custom resource request",
                "Message": message.to_string(),
                "Timestamp": "2026-01-31T12:00:00.000Z",
                "SignatureVersion": "1",
                "Signature": "EXAMPLE",
                "SigningCertUrl": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService.pem",
                "UnsubscribeUrl": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
                "MessageAttributes": {}
            }
        }]
    })
}
