//! The texts and tags of tenants' secrets.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::desired::tenant::Tenant;
use crate::plan::tenants::{Asking, ROTATION};

/// The tag with the stack that has a secret.
pub const STACK: &str = "execute-sql:stack";
/// The tag with the resource in it.
pub const RESOURCE: &str = "execute-sql:resource";
/// The tag with the physical id.
pub const PHYSICAL_ID: &str = "execute-sql:physical-id";
/// The tag with the tenant.
pub const TENANT: &str = "execute-sql:tenant";
/// The tag that says whether that resource made the secret.
pub const MADE: &str = "execute-sql:made";

/// The text of a new secret.
pub fn text(
    keys: &BTreeMap<&'static str, String>,
    username: &str,
    password: Option<&SecretString>,
) -> SecretString {
    let mut map = Map::new();
    for (key, value) in keys {
        map.insert((*key).to_owned(), value_of(key, value));
    }
    map.insert("username".into(), username.into());
    if let Some(password) = password {
        map.insert("password".into(), password.expose_secret().into());
    }
    Value::Object(map).to_string().into()
}

/// As AWS's own secrets have it: the port is a number.
pub fn value_of(key: &str, value: &str) -> Value {
    match value.parse::<u16>() {
        Ok(port) if key == "port" => port.into(),
        _ => value.into(),
    }
}

/// All tags of a tenant's secret, the template's among them.
pub fn tags(tenant: &Tenant, asking: &Asking<'_>) -> BTreeMap<String, String> {
    let mut tags = tenant.tags.clone();
    let strategy = tenant.rotation.as_ref().map(|it| it.strategy.as_str());
    let ours = [
        (STACK, Some(asking.stack_id)),
        (RESOURCE, Some(asking.logical_id)),
        (PHYSICAL_ID, Some(asking.physical_id)),
        (TENANT, Some(tenant.name.as_str())),
        (ROTATION, strategy),
    ];
    for (key, value) in ours {
        tags.extend(value.map(|it| (key.to_owned(), cut(it))));
    }
    tags
}

/// A tag's value has at most 256 characters.
fn cut(value: &str) -> String {
    value.chars().take(256).collect()
}
