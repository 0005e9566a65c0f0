//! What stands in the way of the end of tenants: sessions, traces in other databases, strangers.
//!
//! Types only; `inspect::leaving` fills them. Whose the objects are is told by
//! [`tenant`](super::tenant).

use std::collections::{BTreeMap, BTreeSet};

/// What ties databases, roles and schemas to the rest of the cluster; what has no ties is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ties {
    /// Databases that are templates, and so cannot be dropped.
    pub templates: BTreeSet<String>,
    /// How many sessions there are on a database.
    pub on: BTreeMap<String, u32>,
    /// How many sessions a role has.
    pub of: BTreeMap<String, u32>,
    /// The databases in which a role owns something, or was granted something.
    pub traces: BTreeMap<String, Vec<String>>,
    /// The owners of what is in a schema.
    pub owners: BTreeMap<String, Vec<String>>,
}

/// A secret, as far as its end depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tagged {
    /// It is gone, or waits for its deletion.
    Gone,
    /// Its tags name a resource: stack, logical id, physical id. What lacks is empty.
    As(String, String, String),
}
