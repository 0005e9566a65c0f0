//! What is there of the tenants: roles, databases, secrets, and the ledger's word on whose they are.
//!
//! Types only; `inspect` and `engine` fill them. Passwords are not among them:
//! whether one is right is all that a plan needs to know.

use std::collections::BTreeMap;

/// The server, as far as it is the same for all tenants.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// `server_version_num`.
    pub version_num: u32,
    /// The role that the resource logs in as.
    pub master: String,
    /// The target database.
    pub target: String,
    /// The databases that let every role in.
    pub open: Vec<Open>,
    /// Connections that are neither reserved nor taken.
    pub free_slots: u32,
    /// Whether there is a role `rds_iam`.
    pub has_rds_iam: bool,
}

/// A database that PUBLIC may connect to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Open {
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: String,
    /// Whether we have the owner's rights.
    pub ours: bool,
    /// Who else than the owner let PUBLIC in: what one role granted no other takes back.
    pub others: Vec<String>,
    /// Login roles that get in by nothing else; tenants' are not among them.
    pub relying: Vec<String>,
}

/// What there is of some tenants, by name; names that are not there are not in it.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Databases.
    pub databases: BTreeMap<String, Database>,
    /// Schemas of the target database.
    pub schemas: BTreeMap<String, Schema>,
    /// Roles.
    pub roles: BTreeMap<String, Role>,
    /// What the ledger has under these names, or for these tenants of this resource.
    pub held: Vec<Held>,
}

/// A database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// Its OID.
    pub oid: u32,
    /// Its owner.
    pub owner: String,
    /// `datconnlimit`.
    pub limit: i32,
    /// `datallowconn`.
    pub allows_connections: bool,
    /// Privileges by grantee, `""` is PUBLIC: letters as in an ACL (`CTc`), sorted.
    pub grants: BTreeMap<String, String>,
    /// `ALTER DATABASE … SET`, by setting.
    pub settings: BTreeMap<String, String>,
    /// The comment on it.
    pub comment: Option<String>,
    /// `datcollate`.
    pub locale: String,
}

/// A schema of the target database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// Its OID.
    pub oid: u32,
    /// Its owner.
    pub owner: String,
    /// Privileges by grantee, `""` is PUBLIC.
    pub grants: BTreeMap<String, String>,
    /// The comment on it.
    pub comment: Option<String>,
}

/// A role.
#[allow(clippy::struct_excessive_bools, reason = "each is an attribute of its own")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// Its OID.
    pub oid: u32,
    /// `rolcanlogin`.
    pub login: bool,
    /// `rolconnlimit`.
    pub limit: i32,
    /// Whether it has an attribute that no tenant has: superuser, CREATEDB, CREATEROLE, REPLICATION,
    /// BYPASSRLS; or is a member of a role that has, or of one that reaches beyond a database.
    pub mighty: bool,
    /// The roles that it is a member of.
    pub member_of: Vec<String>,
    /// Whether the master is a member of it with more than ADMIN.
    pub has_master: bool,
    /// Whether it has a `VALID UNTIL`.
    pub expires: bool,
    /// `ALTER ROLE … SET`, by `database/setting`, with an empty database for all of them.
    pub settings: BTreeMap<String, String>,
    /// The comment on it.
    pub comment: Option<String>,
}

impl Role {
    /// Whether it logs in with tokens of RDS IAM authentication.
    pub fn has_iam(&self) -> bool {
        self.member_of.iter().any(|it| it == "rds_iam")
    }
}

/// What the ledger says of one object of a tenant's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The stack.
    pub stack_id: String,
    /// The resource in it.
    pub logical_id: String,
    /// The physical id that has it.
    pub physical_id: String,
    /// The tenant.
    pub tenant: String,
    /// What it is.
    pub kind: HeldKind,
    /// Its name; of a secret its ARN.
    pub name: String,
    /// Its OID; `None` while it is being made, and of a secret.
    pub oid: Option<u32>,
    /// The connection limit by which a database that is being made is known.
    pub mark: Option<i32>,
    /// Whether the resource made it.
    pub created: bool,
    /// `OnRemove` as it was last deployed.
    pub policy: String,
    /// Its `Force`.
    pub force: bool,
    /// Whether its resource has let it go: it stays, and nobody has it.
    pub released: bool,
}

/// Kinds of objects of a tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeldKind {
    /// A database.
    Database,
    /// A schema of the target database.
    Schema,
    /// A login role.
    Role,
    /// A secret.
    Secret,
}

impl HeldKind {
    /// As the ledger writes it, and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Role => "role",
            Self::Secret => "secret",
        }
    }
}

/// What there is of a login's secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SecretState {
    /// None of that name.
    #[default]
    Absent,
    /// It waits for its deletion.
    Deleted(KnownSecret),
    /// It can be read.
    Here(KnownSecret),
}

/// A secret, without its password.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownSecret {
    /// Its ARN.
    pub arn: String,
    /// Whose it is, by its tags: stack and logical id.
    pub owner: Option<(String, String)>,
    /// Whether that resource made it.
    pub made: bool,
    /// `host`, `port`, `dbname`, `username`, `engine`, `masterarn` as it has them.
    pub keys: BTreeMap<String, String>,
    /// Whether it has a password.
    pub has_password: bool,
    /// Rotation as it is set up: the function and the days.
    pub rotation: Option<(String, u32)>,
    /// All of its tags.
    pub tags: BTreeMap<String, String>,
}

/// What came of logging in with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginState {
    /// It was not tried: there is no secret, no role or no database yet.
    #[default]
    Untried,
    /// It works, or only a limit stands in its way.
    Works,
    /// The password is another one.
    Refused,
    /// The password is right, and the database does not let the role in.
    Closed,
    /// The secret's next version works: a rotation is under way.
    Rotating,
}

/// What there is inside of a tenant's database, or of its schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inside {
    /// The owner of schema `public`, or of the tenant's own.
    pub schema_owner: String,
    /// Whether PUBLIC may create in it.
    pub public_creates: bool,
    /// For each further role: what it lacks.
    pub lacking: BTreeMap<String, Lacking>,
}

/// What a further role lacks of its access.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Schemas without USAGE.
    pub schemas: u32,
    /// Tables and sequences without the privileges.
    pub relations: u32,
    /// Default privileges of the tenant's role that are not there.
    pub defaults: bool,
    /// Schemas, tables, sequences and default privileges with more than it is to have.
    pub excess: u32,
}

/// Whether a secret's tags and a mark say that it is this resource's.
pub fn is_same(owner: Option<&(String, String)>, stack_id: &str, logical_id: &str) -> bool {
    owner.is_some_and(|it| it.0 == stack_id && it.1 == logical_id)
}
