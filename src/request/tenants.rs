//! `Tenants` and `TenantDefaults`: a list of maps to whole tenants.
//!
//! Each map is read by itself ([`given`]), made whole with the defaults ([`complete`])
//! and held against all others ([`collisions`]). Every mistake names its tenant. All
//! are found at once, but only so many are told, for one in the defaults' spirit may
//! come back a thousand times. Nothing is known here of what the server has.

mod collisions;
mod complete;
mod given;
mod names;
mod parts;
mod pattern;
mod secret;

use serde_json::{Map, Value};

use self::collisions::{Kind, Names};
use self::given::{Given, Speaker};
use super::value::{self, PropertyError};
use crate::desired::tenant::{OnRemove, Tenant};

pub use self::given::{KEYS, MORE_DEFAULTS};
pub use self::parts::{ON_REMOVE_KEYS, ROLE_KEYS, ROTATION_KEYS};

/// How many mistakes are told.
const MOST_ERRORS: usize = 20;

const LIST: &str = "Tenants";
const DEFAULTS: &str = "TenantDefaults";

/// Reads both properties; what is wrong goes to `errors`.
pub fn read(properties: &Map<String, Value>, errors: &mut Vec<PropertyError>) -> Vec<Tenant> {
    let list = List::read(properties);
    let of_entries = list.entries.iter().flat_map(|it| &it.errors);
    let mut told = list.errors.iter().chain(of_entries);
    errors.extend(told.by_ref().take(MOST_ERRORS).cloned());
    match told.count() {
        0 => {}
        1 => errors.push(PropertyError(format!("`{LIST}`: one more mistake"))),
        rest => errors.push(PropertyError(format!("`{LIST}`: {rest} more mistakes"))),
    }
    list.entries.into_iter().filter_map(|it| it.tenant).collect()
}

/// Reads what a Delete needs; a tenant that is not wholly readable stays as it is.
///
/// So do all where the defaults are not readable. A tenant whose names cannot be
/// told is left out, and nothing happens to it either.
pub fn read_for_delete(properties: &Map<String, Value>) -> Vec<Tenant> {
    let list = List::read(properties);
    let all_stay = !list.errors.is_empty();
    let kept = list.entries.into_iter().filter_map(|entry| {
        let mut tenant = entry.tenant?;
        if all_stay || entry.is_doubtful || !entry.errors.is_empty() {
            tenant.on_remove = OnRemove::default();
        }
        Some(tenant)
    });
    kept.collect()
}

/// Both properties, as far as they can be read.
#[derive(Default)]
struct List {
    entries: Vec<Entry>,
    /// What is wrong with the list as a whole, or with the defaults.
    errors: Vec<PropertyError>,
}

#[derive(Default)]
struct Entry {
    tenant: Option<Tenant>,
    /// Whether another tenant claims a name of it.
    is_doubtful: bool,
    errors: Vec<PropertyError>,
}

impl List {
    fn read(properties: &Map<String, Value>) -> Self {
        let mut list = Self::default();
        let given = |name| properties.get(name).filter(|value: &&Value| !value.is_null());
        let defaults = given(DEFAULTS).map(|it| list.defaults(it)).unwrap_or_default();
        let items = match given(LIST) {
            None => return list,
            Some(Value::Array(items)) => items,
            Some(_) => {
                list.errors.push(PropertyError(format!("`{LIST}` takes a list of maps")));
                return list;
            }
        };
        let mut names = resource(properties);
        for (at, item) in items.iter().enumerate() {
            let entry = list.entry(at, item, &defaults, &mut names);
            list.entries.push(entry);
        }
        list.check_templates(&names);
        list
    }

    fn defaults(&mut self, value: &Value) -> Given {
        match value::map(DEFAULTS, value) {
            Ok(map) => {
                let has_environment = map.get("Environment").is_some_and(|it| !it.is_null());
                given::read(DEFAULTS, &map, Speaker::Defaults, has_environment, &mut self.errors)
            }
            Err(error) => {
                self.errors.push(error);
                Given::default()
            }
        }
    }

    fn entry(&mut self, at: usize, item: &Value, defaults: &Given, names: &mut Names) -> Entry {
        let mut entry = Entry::default();
        let map = match value::map(&format!("{LIST}[{at}]"), item) {
            Ok(map) => map,
            Err(error) => {
                entry.errors.push(error);
                return entry;
            }
        };
        let called = called(at, &map);
        let has_environment = defaults.environment.is_some();
        let own = given::read(&called, &map, Speaker::Tenant, has_environment, &mut entry.errors);
        if map.get("Name").is_none_or(Value::is_null) {
            entry.errors.push(PropertyError(format!("`{called}.Name` is missing")));
        }
        entry.tenant = complete::complete(&called, &own, defaults, &mut entry.errors);
        // Names that are only half known would collide where the right ones do not.
        let is_certain = !own.names_unreadable && !defaults.names_unreadable;
        if let Some(tenant) = entry.tenant.as_ref().filter(|_| is_certain) {
            for collision in names.add_tenant(at, &called, tenant) {
                if let Some(other) = collision.with.and_then(|it| self.entries.get_mut(it)) {
                    other.is_doubtful = true;
                }
                entry.errors.push(PropertyError(collision.message));
            }
        }
        entry
    }

    /// A database that is made as a copy of a tenant's would have that tenant's data.
    fn check_templates(&mut self, names: &Names) {
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let Some(tenant) = &entry.tenant else { continue };
            if let Some(whose) = names.database(tenant.template.as_str()) {
                entry.errors.push(PropertyError(format!(
                    "`{LIST}[{at}] ({}).Template` is `{}`, the database of `{whose}`",
                    tenant.name, tenant.template
                )));
            }
        }
    }
}

/// How errors name a tenant: by its place, and by its name where that is one.
fn called(at: usize, map: &Map<String, Value>) -> String {
    let name = map.get("Name").and_then(Value::as_str);
    match name.filter(|it| names::tenant("Name", it).is_ok()) {
        Some(name) => format!("{LIST}[{at}] ({name})"),
        None => format!("{LIST}[{at}]"),
    }
}

/// The names that the resource has for itself, as far as its properties tell them.
fn resource(properties: &Map<String, Value>) -> Names {
    let mut names = Names::default();
    if let Some(Value::String(secret)) = properties.get("DBSecret") {
        names.reserve(Kind::Secret, secret, "DBSecret");
    }
    let connection = properties.get("Connection").and_then(|it| value::map("Connection", it).ok());
    let text = |key| connection.as_ref().and_then(|it| it.get(key)).and_then(Value::as_str);
    if let Some(database) = text("Database") {
        names.reserve(Kind::Database, database, "Connection.Database");
    }
    if let Some(username) = text("Username") {
        names.reserve(Kind::Login, username, "Connection.Username");
    }
    names
}

#[cfg(test)]
mod tests;
