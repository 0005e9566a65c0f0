//! What every event is first: who called, and where the answer goes.
//!
//! [`open`] cannot fail. A damaged event still gives up its answer address and
//! ids where they can be found at all, so that CloudFormation hears of it
//! instead of waiting for an hour.

use serde_json::{Map, Value};

use super::Ids;
use super::response_url::ResponseUrl;

/// An event, opened.
#[derive(Debug)]
pub struct Envelope {
    /// Who called, and so how to answer.
    pub caller: Caller,
    /// For whom.
    pub ids: Ids,
    /// The event itself, or why it could not be read.
    pub event: Result<Value, String>,
}

/// Who called.
#[derive(Debug)]
pub enum Caller {
    /// CloudFormation itself, by itself or through a topic: the answer is PUT to the address.
    CloudFormation(ResponseUrl),
    /// CloudFormation, but it gave no address that an answer could go to.
    Unanswerable(String),
    /// The CDK's provider framework: the answer is what the function returns or throws.
    Framework,
    /// A plain invocation or a task of a state machine: likewise.
    Invocation,
}

/// Opens an event. `function_arn` is the ARN that this function was invoked by.
pub fn open(text: &str, function_arn: &str) -> Envelope {
    let event = match serde_json::from_str::<Value>(text) {
        Ok(event) => event,
        Err(error) => return damaged(text, &error),
    };
    // An SNS notification always holds one record, and the event in it is a text.
    let message = event.pointer("/Records/0/Sns/Message").and_then(Value::as_str);
    match message.map(|text| (text, serde_json::from_str(text))) {
        Some((_, Ok(inner))) => opened((inner, true), function_arn),
        Some((text, Err(error))) => damaged(text, &error),
        None => opened((event, false), function_arn),
    }
}

fn opened((event, by_topic): (Value, bool), function_arn: &str) -> Envelope {
    let Value::Object(map) = &event else {
        let what = Err("the event is not a JSON object".to_owned());
        return Envelope { caller: Caller::Invocation, ids: Ids::default(), event: what };
    };
    let concerns_a_stack = ["RequestType", "ResponseURL", "StackId", "LogicalResourceId"]
        .iter()
        .any(|key| map.contains_key(*key));
    let url = map.get("ResponseURL").and_then(Value::as_str).map(ResponseUrl::new);
    let ids = ids(map, url.as_ref().and_then(|url| url.as_ref().ok()));
    let caller = if !concerns_a_stack {
        Caller::Invocation
    } else if !by_topic && is_framework(map, function_arn) {
        Caller::Framework
    } else {
        match url {
            Some(Ok(url)) => Caller::CloudFormation(url),
            Some(Err(error)) => Caller::Unanswerable(error.to_string()),
            None => Caller::Unanswerable("the request has no `ResponseURL`".into()),
        }
    };
    Envelope { caller, ids, event: Ok(event) }
}

/// The framework hands on CloudFormation's event with its address in it, so only
/// the service token tells: there it is the framework's function, not this one.
fn is_framework(event: &Map<String, Value>, function_arn: &str) -> bool {
    let token = event
        .get("ResourceProperties")
        .and_then(|properties| properties.get("ServiceToken"))
        .or_else(|| event.get("ServiceToken"))
        .and_then(Value::as_str);
    // Without a token the caller is unknown; CloudFormation must not be left waiting.
    token.is_some_and(|token| unqualified(token) != unqualified(function_arn))
}

/// A function's ARN without version or alias: the first seven of its fields.
fn unqualified(arn: &str) -> &str {
    arn.match_indices(':').nth(6).map_or(arn, |(at, _)| &arn[..at])
}

fn ids(event: &Map<String, Value>, url: Option<&ResponseUrl>) -> Ids {
    let field = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
    let spare = url.and_then(ResponseUrl::ids).unwrap_or_default();
    Ids {
        stack_id: field("StackId").unwrap_or(spare.stack_id),
        request_id: field("RequestId").unwrap_or(spare.request_id),
        logical_resource_id: field("LogicalResourceId").unwrap_or(spare.logical_resource_id),
        physical_resource_id: field("PhysicalResourceId").filter(|id| !id.is_empty()),
    }
}

/// Text that is no JSON: takes what stands in it as whole string fields.
fn damaged(text: &str, error: &serde_json::Error) -> Envelope {
    let fields: Map<String, Value> =
        ["ResponseURL", "StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), string_field(text, name)?)))
            .collect();
    let url = fields.get("ResponseURL").and_then(Value::as_str).map(ResponseUrl::new);
    let found = url.and_then(Result::ok);
    let ids = ids(&fields, found.as_ref());
    let caller = found.map_or(Caller::Invocation, Caller::CloudFormation);
    let why = format!("the event is no JSON: {:?} at column {}", error.classify(), error.column());
    Envelope { caller, ids, event: Err(why) }
}

fn string_field(text: &str, name: &str) -> Option<Value> {
    let (_, after) = text.split_once(&format!("\"{name}\""))?;
    let value = after.trim_start().strip_prefix(':')?.trim_start();
    let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
    values.next()?.ok().map(Value::String)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:execute-sql";

    fn event(token: &str) -> Value {
        json!({
            "RequestType": "Create",
            "ResponseURL": "https://example.org/x",
            "StackId": "s",
            "RequestId": "r",
            "LogicalResourceId": "l",
            "ResourceProperties": {"ServiceToken": token},
        })
    }

    fn caller(event: &Value) -> Caller {
        open(&event.to_string(), &format!("{ARN}:live")).caller
    }

    #[test]
    fn the_service_token_tells_who_called() {
        assert!(matches!(caller(&event(ARN)), Caller::CloudFormation(_)));
        assert!(matches!(caller(&event(&format!("{ARN}:2"))), Caller::CloudFormation(_)));
        assert!(matches!(caller(&event(&format!("{ARN}-framework"))), Caller::Framework));
        let mut unknown = event("");
        unknown["ResourceProperties"] = json!({});
        assert!(matches!(caller(&unknown), Caller::CloudFormation(_)));
        assert!(matches!(caller(&json!({"Action": "Plan"})), Caller::Invocation));
    }

    #[test]
    fn an_event_that_came_by_a_topic_is_answered_directly() {
        let inner = event("arn:aws:sns:eu-west-1:123456789012:topic").to_string();
        let outer = json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": inner}}]});
        let opened = open(&outer.to_string(), ARN);
        assert!(matches!(opened.caller, Caller::CloudFormation(_)));
        assert_eq!(opened.ids.logical_resource_id, "l");
    }

    #[test]
    fn a_damaged_message_of_a_topic_still_gives_up_its_address() {
        let whole = event(ARN).to_string();
        let outer = json!({"Records": [{"Sns": {"Message": &whole[..whole.len() - 1]}}]});
        let opened = open(&outer.to_string(), ARN);
        assert!(matches!(opened.caller, Caller::CloudFormation(_)));
        assert!(opened.event.is_err());
    }

    #[test]
    fn a_truncated_event_still_gives_up_its_address() {
        let whole = event(ARN).to_string();
        let opened = open(&whole[..whole.len() - 1], ARN);
        assert!(matches!(opened.caller, Caller::CloudFormation(_)));
        assert_eq!((opened.ids.stack_id.as_str(), opened.ids.request_id.as_str()), ("s", "r"));
        assert_eq!(opened.event.unwrap_err(), "the event is no JSON: Eof at column 214");
    }

    #[test]
    fn missing_ids_are_read_from_the_address() {
        let mut event = event(ARN);
        event["ResponseURL"] = json!("https://h/arn%3Aaws%3Acf%3Ax%7CLogical%7Creq?x=y");
        event.as_object_mut().unwrap().remove("RequestId");
        assert_eq!(open(&event.to_string(), ARN).ids.request_id, "req");
    }

    proptest::proptest! {
        #[test]
        fn any_text_opens(text in "\\PC*|[{}\":,a-zA-Z ]*") {
            open(&text, ARN);
        }

        #[test]
        fn any_piece_of_an_event_opens(from in 0_usize..200, to in 0_usize..200) {
            let text = event(ARN).to_string();
            let piece: String = text.chars().skip(from).take(to).collect();
            open(&piece, ARN);
        }
    }
}
