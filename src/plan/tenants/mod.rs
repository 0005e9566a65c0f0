//! What would change for one tenant.
//!
//! [`outer`] compares what is asked for with what the cluster and Secrets Manager
//! have; [`inner`] with what is inside of its database. They are apart because the
//! inside can be looked at only when the outside is there. [`cluster`] is about
//! what all tenants need, [`leaving`] about those that go. A tenant is planned by
//! itself: another one's trouble is not its own.

mod change;
pub mod cluster;
mod database;
mod error;
pub mod inner;
pub mod leaving;
mod outer;
mod schema;
mod secret;
mod standing;

use std::collections::BTreeMap;

use crate::ident::Identifier;
use crate::observed::tenant::{Cluster, Found, LoginState, SecretState};

pub use change::Change;
pub use database::database_grants;
pub use error::TenantError;
pub use outer::outer;
pub use schema::schema_settings;
pub use secret::rotations;
pub use standing::{Standing, mark};

/// The tag of a secret with the strategy, which the rotation reads.
pub const ROTATION: &str = "execute-sql:rotation";

/// The resource that asks.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The stack.
    pub stack_id: &'a str,
    /// The resource in it.
    pub logical_id: &'a str,
    /// Its physical id from now on.
    pub physical_id: &'a str,
    /// The one that the request came with.
    pub incoming_id: Option<&'a str>,
}

/// What a tenant's plan looks at.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// Who asks.
    pub asking: Asking<'a>,
    /// The server.
    pub cluster: &'a Cluster,
    /// Its objects.
    pub found: &'a Found,
    /// The secrets by the login that they keep.
    pub secrets: &'a BTreeMap<Identifier, SecretState>,
    /// What came of logging in, by role.
    pub logins: &'a BTreeMap<Identifier, LoginState>,
    /// What each of its secrets is to say: `engine`, `host`, `port`, `dbname`, and `masterarn` where
    /// there is one.
    pub keys: &'a BTreeMap<&'static str, String>,
    /// The tags of those that are made.
    pub tags: &'a BTreeMap<String, String>,
}
