//! A plain call: `{"Action", "Name", "Properties", "Environment", "BuildId", "RunId"}`.
//!
//! State machines, pipelines and people call the function like this. There is no
//! stack, so the ledger keeps such work, like that of the command line, under
//! a stack name of its own, and `Name` tells several desired states of one
//! database apart. A `RunId` that comes twice is the same request.

use serde_json::{Map, Value, json};

use crate::desired::{Desired, Mode};
use crate::failure::Failure;
use crate::ledger::Labels;
use crate::outcome::Outcome;
use crate::request::value::{PropertyError, closest};
use crate::request::{Ids, physical_id, properties, properties_sha256};

/// What stands for a stack where there is none.
pub const NO_STACK: &str = "execute-sql";

/// What stands for a logical id where none is given.
pub const NO_LOGICAL_ID: &str = "default";

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Say what would change.
    Plan,
    /// Change it.
    Apply,
    /// Fail if anything differs.
    Verify,
    /// End it, as a Delete would.
    Deprovision,
}

const ACTIONS: [(&str, Action); 4] = [
    ("Plan", Action::Plan),
    ("Apply", Action::Apply),
    ("Verify", Action::Verify),
    ("Deprovision", Action::Deprovision),
];

const KEYS: [&str; 6] = ["Action", "Name", "Properties", "Environment", "BuildId", "RunId"];

/// A call, read.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// What is to happen.
    pub action: Action,
    /// With what.
    pub desired: Desired,
    /// For whom.
    pub ids: Ids,
    /// The id of the target.
    pub physical_id: String,
    /// Hash of the properties.
    pub properties_sha256: String,
    /// For the audit.
    pub labels: Labels,
}

/// Reads a call; `request_id` stands in for a missing `RunId`.
pub fn read(event: &Value, request_id: &str) -> Result<Invocation, Failure> {
    let map = event.as_object().ok_or_else(|| wrong("the event is not a JSON object"))?;
    for key in map.keys() {
        if !KEYS.contains(&key.as_str()) {
            let closest = closest(key, KEYS).map(|it| format!("; did you mean `{it}`?"));
            let shown: String = key.chars().take(64).collect();
            return Err(wrong(&format!("unknown key `{shown}`{}", closest.unwrap_or_default())));
        }
    }
    let action = map.get("Action").and_then(Value::as_str).unwrap_or_default();
    let action = ACTIONS.iter().find(|(name, _)| *name == action).map(|&(_, action)| action);
    let action =
        action.ok_or_else(|| wrong("`Action` is none of Plan, Apply, Verify, Deprovision"))?;
    let empty = Map::new();
    let properties = match map.get("Properties") {
        Some(Value::Object(properties)) => properties,
        None if action == Action::Deprovision => &empty,
        _ => return Err(wrong("`Properties` is missing or no map")),
    };
    let label = |key: &str| match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(wrong(&format!("`{key}` is no text"))),
    };
    let run_id = label("RunId")?;
    let ids = Ids {
        stack_id: NO_STACK.into(),
        request_id: run_id.clone().unwrap_or_else(|| request_id.to_owned()),
        logical_resource_id: label("Name")?.unwrap_or_else(|| NO_LOGICAL_ID.into()),
        physical_resource_id: None,
    };
    let labels = Labels { environment: label("Environment")?, build_id: label("BuildId")?, run_id };
    Ok(Invocation {
        action,
        desired: desired(action, properties).map_err(Failure::Properties)?,
        physical_id: physical_id(&ids.stack_id, &ids.logical_resource_id, properties),
        ids,
        properties_sha256: properties_sha256(properties),
        labels,
    })
}

fn wrong(why: &str) -> Failure {
    Failure::Event(why.to_owned())
}

/// The action decides; a `Mode` among the properties does not.
fn desired(action: Action, properties: &Map<String, Value>) -> Result<Desired, Vec<PropertyError>> {
    let mut desired = match action {
        Action::Deprovision => properties::read_for_delete(properties),
        _ => properties::read(properties)?,
    };
    desired.mode = match action {
        Action::Plan => Mode::Plan,
        Action::Verify => Mode::Verify,
        Action::Apply | Action::Deprovision => Mode::Apply,
    };
    Ok(desired)
}

impl Invocation {
    /// What the function returns.
    pub fn report(&self, outcome: &Outcome) -> Value {
        json!({
            "Action": format!("{:?}", self.action),
            "Name": self.ids.logical_resource_id,
            "RunId": self.ids.request_id,
            "Changed": outcome.changed,
            "Reason": outcome.reason,
            "Steps": outcome.plan.steps,
            "Data": outcome.data,
        })
    }
}
