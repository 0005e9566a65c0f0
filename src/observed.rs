//! What is there: the state of one database as the catalog and the ledger tell it.
//!
//! Types only; `inspect` fills them. What the server offers comes as JSON; the
//! rest can be read from JSON too, which is how tests write it down.

pub mod leaving;
pub mod tenant;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::changelog::flyway;

/// One database at one moment.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Observed {
    /// The server and the session.
    pub server: Server,
    /// Installed extensions by name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub installed: BTreeMap<String, Installed>,
    /// The OIDs of those of the schemas asked about that exist.
    #[serde(default, deserialize_with = "null_as_default")]
    pub schemas: BTreeMap<String, u32>,
    /// What the server offers; read only where the plan depends on it.
    #[serde(default)]
    pub offered: Option<Offered>,
    /// What the ledger knows of this resource; `None` where there is no ledger.
    #[serde(default)]
    pub ledger: Option<Ledger>,
    /// Which changesets ran; read only where there is a changelog.
    #[serde(skip)]
    pub history: Option<History>,
}

/// Which changesets ran, as Liquibase's tables, Flyway's, and the ledger tell it.
#[allow(clippy::struct_excessive_bools, reason = "each tells of another table")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The schema that the tables are in, or will be.
    pub schema: String,
    /// Whether there is such a schema.
    pub has_schema: bool,
    /// Whether there is a history table.
    pub exists: bool,
    /// Where the ledger says that this resource's history is, if it is not here.
    pub elsewhere: Option<String>,
    /// Whether there is a lock table.
    pub has_lock_table: bool,
    /// Who holds Liquibase's lock, and since when, if anybody does.
    pub locked_by: Option<String>,
    /// Whether the ledger has its table of changesets.
    pub has_ledger: bool,
    /// Oldest first.
    pub rows: Vec<HistoryRow>,
    /// The rows of `flyway_schema_history`; `None` where there is no such table.
    pub flyway: Option<Vec<flyway::Row>>,
    /// Changesets that were begun outside of a transaction and did not end.
    pub interrupted: Vec<Interrupted>,
}

/// One row of `databasechangelog`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryRow {
    /// `ID`.
    pub id: String,
    /// `AUTHOR`.
    pub author: String,
    /// `FILENAME`.
    pub path: String,
    /// `MD5SUM`.
    pub checksum: Option<String>,
    /// `ORDEREXECUTED`.
    pub order: i32,
    /// `TAG`.
    pub tag: Option<String>,
}

/// A changeset that was begun statement by statement and did not end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interrupted {
    /// `ID`.
    pub id: String,
    /// `AUTHOR`.
    pub author: String,
    /// `FILENAME`.
    pub path: String,
    /// How many of its statements stand.
    pub done: usize,
    /// SHA-256 of those statements, in hex.
    pub done_sha256: String,
    /// Whether the next one was sent, and nobody knows if it ran.
    pub doubtful: bool,
}

/// The server and our session on it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Server {
    /// As `server_version` has it.
    pub version: String,
    /// `server_version_num`.
    pub version_num: u32,
    /// The database that the session is in.
    pub database: String,
    /// The role that the session runs as.
    pub role: String,
    /// A standby, or a reader of a cluster: it takes no writes.
    pub in_recovery: bool,
    /// The server's clock in seconds since 1970, with fractions.
    pub now: f64,
    /// Whether the session has the settings that it was started with. A pooler that hands sessions
    /// around drops them, and with them the lock would not hold.
    #[serde(default = "yes")]
    pub is_ours: bool,
}

/// An installed extension.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Installed {
    /// Its version.
    pub version: String,
    /// The schema of its objects.
    pub schema: String,
    /// Its OID, by which the ledger knows it again.
    pub oid: u32,
    /// Whether `ALTER EXTENSION … SET SCHEMA` may move it.
    pub relocatable: bool,
}

/// What the server could install.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Offered {
    /// The names of all extensions that the server has files of.
    #[serde(default, deserialize_with = "null_as_default")]
    pub names: Vec<String>,
    /// Details of those asked about and of all that they require.
    #[serde(default, deserialize_with = "null_as_default")]
    pub extensions: BTreeMap<String, OfferedExtension>,
    /// `rds.allowed_extensions`, where the server has such a setting.
    #[serde(default)]
    pub allowed: Option<String>,
    /// `rds.extensions`, likewise.
    #[serde(default)]
    pub supported: Option<String>,
}

/// One extension that the server could install.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct OfferedExtension {
    /// What `CREATE EXTENSION` installs without a version.
    pub default_version: Option<String>,
    /// Every version that can be installed afresh.
    #[serde(default, deserialize_with = "null_as_default")]
    pub versions: Vec<OfferedVersion>,
    /// The pairs of versions between which an update path exists.
    #[serde(default, deserialize_with = "null_as_default")]
    pub updates: Vec<(String, String)>,
}

/// One version of it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct OfferedVersion {
    /// The version.
    pub version: String,
    /// The extensions that must be there first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub requires: Vec<String>,
    /// The schema that it insists on.
    #[serde(default)]
    pub schema: Option<String>,
}

/// What the ledger knows of one resource.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Ledger {
    /// By which rules the row was written.
    pub version: u32,
    /// The physical id that is current, if the resource was ever applied and not deleted.
    #[serde(default)]
    pub current_physical_id: Option<String>,
    /// Every physical id that it had; read only for a removal.
    #[serde(default, deserialize_with = "null_as_default")]
    pub physical_ids: Vec<String>,
    /// When the newest request that was taken up was made, in seconds since 1970.
    #[serde(default)]
    pub last_event_at: Option<u64>,
    /// The hash of the properties that were last applied with success.
    #[serde(default)]
    pub applied_sha256: Option<String>,
    /// Whether it ever had tenants; `None` if the ledger is from before there were any.
    #[serde(default)]
    pub has_tenants: Option<bool>,
    /// The objects that this resource has.
    #[serde(default, deserialize_with = "null_as_default")]
    pub objects: Vec<Object>,
    /// This very request, if it came before.
    #[serde(default)]
    pub request: Option<StoredRequest>,
    /// Whether the resource was brought to these very properties before, by another request:
    /// a stack rolls back, or its owner goes back.
    #[serde(default)]
    pub returning: bool,
    /// The newest Delete's mark for what came before it.
    #[serde(default)]
    pub tombstone: Option<Tombstone>,
}

/// An object that a resource has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Object {
    /// Its place in the ledger.
    #[serde(default)]
    pub id: u64,
    /// `extension` or `schema`.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its OID when the ledger wrote it down.
    pub oid: u32,
    /// Whether the resource made it.
    pub origin: Origin,
    /// The physical id that has it.
    pub physical_id: String,
    /// Whether another resource has it too.
    pub shared: bool,
    /// The OID of the object of that name now; `None` where there is none.
    pub oid_now: Option<u32>,
}

/// Kinds of objects that the ledger keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An extension.
    Extension,
    /// A schema.
    Schema,
}

/// How a resource came to have an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It made it.
    Created,
    /// It was there.
    Adopted,
}

/// A request that was taken up before.
#[derive(Debug, Clone, Deserialize)]
pub struct StoredRequest {
    /// `Create`, `Update` or `Delete`.
    pub request_type: String,
    /// Whether it ended, and how.
    pub status: Status,
    /// Hash of the properties it had then.
    pub properties_sha256: String,
    /// `Data` of its answer.
    #[serde(default, deserialize_with = "null_as_default")]
    pub data: BTreeMap<String, String>,
    /// `Reason` of its answer.
    #[serde(default)]
    pub reason: Option<String>,
}

/// How far a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being worked on, or was when its worker died.
    Running,
    /// Done.
    Success,
    /// Not done; a failure is never answered again without trying.
    Failed,
}

/// The mark that a Delete leaves for a Create or Update that may still run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Tombstone {
    /// The Delete that left it.
    pub by: String,
    /// Whether the request at hand was known when it was made.
    #[serde(default)]
    pub names_us: bool,
    /// When CloudFormation made the Delete, in seconds since 1970.
    #[serde(default)]
    pub event_at: Option<u64>,
    /// When it was written, by the server's clock.
    pub written_at: f64,
}

fn yes() -> bool {
    true
}

/// PostgreSQL's aggregates give `null` for no rows.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
