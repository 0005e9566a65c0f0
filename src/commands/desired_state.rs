//! Reads what is wanted, from a file or a template, and where.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::cli::Source;
use super::server::{self, Given};
use super::template;
use crate::desired::{Auth, Desired};
use crate::invocation::{NO_LOGICAL_ID, NO_STACK};
use crate::request::{physical_id, properties, properties_sha256};
use crate::source::Places;

/// A desired state with its name, and the server if it was given by hand.
pub struct Wanted {
    /// The state.
    pub desired: Desired,
    /// The logical id in the template, or what stands for one.
    pub logical_id: String,
    /// The id of the target.
    pub physical_id: String,
    /// Hash of the properties.
    pub properties_sha256: String,
    /// The server, if it was given by hand.
    pub given: Option<Given>,
    /// Where its changelog is.
    pub places: Places,
}

/// Reads it.
pub fn wanted(source: &Source) -> Result<Wanted> {
    let given = server::given(source.database_url.as_deref())?;
    let (logical_id, properties) = properties_of(source, given.is_some())?;
    let mut desired = desired(&properties, given.is_some())?;
    if let Some(given) = &given {
        override_connection(&mut desired, given);
    }
    Ok(Wanted {
        physical_id: physical_id(NO_STACK, &logical_id, &properties),
        properties_sha256: properties_sha256(&properties),
        desired,
        logical_id,
        given,
        places: Places::of_command(file(source)),
    })
}

/// The file that the properties come from.
fn file(source: &Source) -> &Path {
    source.file.as_deref().or(source.template.as_deref()).unwrap_or(Path::new("."))
}

fn properties_of(source: &Source, server_is_given: bool) -> Result<(String, Map<String, Value>)> {
    if let Some(path) = &source.file {
        let Value::Object(properties) = read(path)? else {
            bail!("`{}` is no map of properties", path.display());
        };
        return Ok((source.name.clone().unwrap_or_else(|| NO_LOGICAL_ID.to_owned()), properties));
    }
    let Some(path) = &source.template else { bail!("name a --file or a --template") };
    let mut parameters = BTreeMap::new();
    for pair in &source.parameters {
        let (name, value) = pair
            .split_once('=')
            .with_context(|| format!("--parameter takes NAME=VALUE, not `{pair}`"))?;
        parameters.insert(name.to_owned(), value.to_owned());
    }
    let mut content = read(path)?;
    if server_is_given {
        forget_secrets(&mut content);
    }
    let found = template::properties(&content, source.resource.as_deref(), &parameters);
    let (logical_id, properties) =
        found.with_context(|| format!("reading `{}`", path.display()))?;
    Ok((source.name.clone().unwrap_or(logical_id), properties))
}

/// With a server given by hand nobody needs to know what `DBSecret` would resolve to.
fn forget_secrets(template: &mut Value) {
    let resources = template.get_mut("Resources").and_then(Value::as_object_mut);
    for resource in resources.into_iter().flat_map(|it| it.values_mut()) {
        let properties = resource.get_mut("Properties").and_then(Value::as_object_mut);
        if let Some(secret) = properties.and_then(|it| it.get_mut("DBSecret")) {
            if secret.is_object() {
                *secret = Value::Null;
            }
        }
    }
}

fn read(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
    template::parsed(&text).with_context(|| format!("reading `{}`", path.display()))
}

fn desired(properties: &Map<String, Value>, server_is_given: bool) -> Result<Desired> {
    let mut properties = properties.clone();
    let has_secret = properties.get("DBSecret").is_some_and(|it| !it.is_null());
    if server_is_given && !has_secret {
        let connection = properties.entry("Connection").or_insert(json!({}));
        if let Value::Object(map) = connection {
            map.insert("Auth".into(), json!("none"));
        }
    }
    properties::read(&properties).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

fn override_connection(desired: &mut Desired, given: &Given) {
    let connection = &mut desired.connection;
    connection.host = None;
    connection.port = None;
    connection.username = None;
    if given.login.database.is_some() {
        connection.database = None;
    }
    connection.ssl_mode = given.ssl_mode.unwrap_or(connection.ssl_mode);
    if given.ssl_root_cert.is_some() {
        connection.ssl_root_cert.clone_from(&given.ssl_root_cert);
    }
    connection.auth = match given.login.password {
        Some(_) => Auth::Password,
        None => Auth::None,
    };
}
