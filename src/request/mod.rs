//! From the text of an event to a typed request.
//!
//! Reading goes in two stages, so that a mistake can always be answered:
//! [`envelope`] takes out where the answer goes and for whom, and cannot fail;
//! [`Request::read`] and [`properties`] then read the rest and may.

pub mod changelog;
pub mod envelope;
mod extensions;
pub mod properties;
pub mod response_url;
pub mod tenants;
pub mod value;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The names that CloudFormation gave to a request; an answer repeats them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ids {
    /// ARN of the stack.
    pub stack_id: String,
    /// One delivery of one request keeps this id, however often it comes.
    pub request_id: String,
    /// The resource's name in the template.
    pub logical_resource_id: String,
    /// The id that came in; absent on Create.
    pub physical_resource_id: Option<String>,
}

/// What CloudFormation wants to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum RequestType {
    /// The resource is new.
    Create,
    /// Its properties changed.
    Update,
    /// It goes.
    Delete,
}

impl RequestType {
    /// The word in the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
        }
    }
}

/// A request for one resource, its properties not yet typed.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is to happen.
    pub kind: RequestType,
    /// For whom.
    pub ids: Ids,
    /// The properties to bring about, or on Delete those that were.
    pub properties: Map<String, Value>,
    /// When CloudFormation made the request, in seconds since 1970, if the response URL tells.
    pub event_at: Option<u64>,
}

/// Why an event is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// `RequestType` is none of CloudFormation's three.
    #[error("unknown request type {0}; known are Create, Update, Delete")]
    UnknownType(String),
    /// A field that cannot be done without.
    #[error("the request has no `{0}`")]
    Missing(&'static str),
}

impl Request {
    /// Reads an event of CloudFormation.
    pub fn read(event: &Value, ids: &Ids, event_at: Option<u64>) -> Result<Self, RequestError> {
        let kind = match event.get("RequestType") {
            Some(Value::String(kind)) if kind == "Create" => RequestType::Create,
            Some(Value::String(kind)) if kind == "Update" => RequestType::Update,
            Some(Value::String(kind)) if kind == "Delete" => RequestType::Delete,
            None => return Err(RequestError::Missing("RequestType")),
            Some(other) => {
                return Err(RequestError::UnknownType(
                    other.to_string().chars().take(60).collect(),
                ));
            }
        };
        let properties = match event.get("ResourceProperties") {
            Some(Value::Object(map)) => map.clone(),
            // With no properties a resource has no target, so there is nothing that it could have made.
            _ if kind == RequestType::Delete => Map::new(),
            _ => return Err(RequestError::Missing("ResourceProperties")),
        };
        let needed = [
            ("StackId", &ids.stack_id),
            ("RequestId", &ids.request_id),
            ("LogicalResourceId", &ids.logical_resource_id),
        ];
        for (name, id) in needed {
            if id.is_empty() {
                return Err(RequestError::Missing(name));
            }
        }
        if kind != RequestType::Create && ids.physical_resource_id.is_none() {
            return Err(RequestError::Missing("PhysicalResourceId"));
        }
        Ok(Self { kind, ids: ids.clone(), properties, event_at })
    }

    /// The id of the resource at the target that this request names.
    pub fn physical_id(&self) -> String {
        physical_id(&self.ids.stack_id, &self.ids.logical_resource_id, &self.properties)
    }

    /// The id that a FAILED answer, or one to a Delete, carries: the one that came in.
    ///
    /// A failed Update that answered with another id would make CloudFormation
    /// delete that one later.
    pub fn echoed_id(&self) -> String {
        self.ids.physical_resource_id.clone().unwrap_or_else(|| self.physical_id())
    }

    /// A hash of the properties, to tell a repeated delivery from a changed request.
    pub fn properties_sha256(&self) -> String {
        properties_sha256(&self.properties)
    }
}

/// `<logical id>-<8 hex>` over stack, logical id and the target as the request names it.
///
/// It is a pure function of the request: the same on every retry and on every
/// update of the same target, with no look-up. Scalars count by their text, for
/// CloudFormation makes strings of them.
pub fn physical_id(stack_id: &str, logical_id: &str, properties: &Map<String, Value>) -> String {
    let connection = properties.get("Connection").and_then(|it| value::map("Connection", it).ok());
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let key = |name: &str| text(connection.as_ref().and_then(|map| map.get(name)));
    let identity = serde_json::json!([
        stack_id,
        logical_id,
        text(properties.get("DBSecret")),
        key("Host"),
        key("Port"),
        key("Database"),
    ]);
    let hash = hex(&Sha256::digest(identity.to_string()));
    format!("{logical_id}-{}", &hash[..8])
}

/// A hash of properties; `serde_json` keeps a map's keys sorted, so order does not matter.
pub fn properties_sha256(properties: &Map<String, Value>) -> String {
    hex(&Sha256::digest(Value::Object(properties.clone()).to_string()))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(properties: &Value) -> String {
        physical_id("stack", "Db", properties.as_object().unwrap())
    }

    #[test]
    fn the_physical_id_names_the_target_and_nothing_else() {
        let first = id(&json!({"DBSecret": "s", "Extensions": ["a"]}));
        assert_eq!(first, id(&json!({"DBSecret": "s", "Extensions": ["b"], "Date": "x"})));
        assert_eq!(
            id(&json!({"DBSecret": "s", "Connection": {"Port": 5432}})),
            id(&json!({"DBSecret": "s", "Connection": {"Port": "5432", "WaitFor": 5}}))
        );
        assert_eq!(
            id(&json!({"DBSecret": "s", "Connection": {"Host": "h"}})),
            id(&json!({"DBSecret": "s", "Connection": "{\"Host\":\"h\"}"}))
        );
        let others = [
            json!({"DBSecret": "t"}),
            json!({"DBSecret": "s", "Connection": {"Host": "h"}}),
            json!({"DBSecret": "s", "Connection": {"Database": "h"}}),
        ];
        for other in others {
            assert_ne!(first, id(&other), "{other}");
        }
        insta::assert_snapshot!(first, @"Db-59f24602");
    }

    #[test]
    fn the_order_of_properties_does_not_change_their_hash() {
        let hash = |text| properties_sha256(&serde_json::from_str(text).unwrap());
        assert_eq!(
            hash(r#"{"a": 1, "b": {"c": 1, "d": 2}}"#),
            hash(r#"{"b": {"d": 2, "c": 1}, "a": 1}"#)
        );
    }

    #[test]
    fn a_delete_without_properties_is_still_a_request() {
        let ids = Ids {
            stack_id: "s".into(),
            request_id: "r".into(),
            logical_resource_id: "l".into(),
            physical_resource_id: Some("p".into()),
        };
        assert!(Request::read(&json!({"RequestType": "Delete"}), &ids, None).is_ok());
        let create = Request::read(&json!({"RequestType": "Create"}), &ids, None);
        assert_eq!(create.unwrap_err(), RequestError::Missing("ResourceProperties"));
        let other = Request::read(&json!({"RequestType": "Destroy"}), &ids, None);
        assert_eq!(other.unwrap_err(), RequestError::UnknownType("\"Destroy\"".into()));
    }
}
