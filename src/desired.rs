//! What is asked for: the properties of one `Custom::ExecuteSQL` resource, typed.
//!
//! The same value comes from a CloudFormation request, a plain invocation and
//! the command line's file. It holds no secret, only the name of one.

pub mod tenant;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ident::Identifier;

/// One desired state: where, what, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Name or ARN of the secret with the login; `None` only with [`Auth::Iam`] or [`Auth::None`].
    pub secret: Option<String>,
    /// How the server is reached; what is given here overrides the secret.
    pub connection: Connection,
    /// The extensions, each name once, in the order of the template.
    pub extensions: Vec<Extension>,
    /// The changelog, if there is one.
    pub changelog: Option<Changelog>,
    /// How many transactions its changesets take.
    pub transaction_mode: TransactionMode,
    /// The tenants, no name of theirs twice, in the order of the template.
    pub tenants: Vec<tenant::Tenant>,
    /// On how many tenants is worked at once, at most.
    pub tenant_connections: u32,
    /// Statements for the moment of creation.
    pub on_create: Vec<String>,
    /// Statements for each later change of the properties.
    pub on_update: Vec<String>,
    /// What the end of the resource may remove, and what it runs.
    pub on_delete: OnDelete,
    /// Whether to act at all.
    pub mode: Mode,
    /// `lock_timeout` per attempt.
    pub lock_timeout: Duration,
    /// `statement_timeout`; `None` is all the time that is left.
    pub statement_timeout: Option<Duration>,
}

/// The map `Connection`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Host name, address, or the folder of a Unix socket.
    pub host: Option<String>,
    /// TCP port; 5432 where neither this nor the secret has one.
    pub port: Option<u16>,
    /// The target database; `postgres` where neither this nor the secret has one.
    pub database: Option<Identifier>,
    /// The login role.
    pub username: Option<String>,
    /// How far TLS is checked.
    pub ssl_mode: SslMode,
    /// A PEM file to trust instead of the built-in roots.
    pub ssl_root_cert: Option<String>,
    /// How the login is proven.
    pub auth: Auth,
    /// Limit of one try to connect, TLS and login included.
    pub connect_timeout: Duration,
    /// How long a server that will heal (starting, resuming, failing over) is waited for.
    pub wait_for: Duration,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            database: None,
            username: None,
            ssl_mode: SslMode::VerifyFull,
            ssl_root_cert: None,
            auth: Auth::Password,
            connect_timeout: Duration::from_secs(10),
            wait_for: Duration::from_secs(120),
        }
    }
}

/// libpq's `sslmode`, without the modes that may end unencrypted by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SslMode {
    /// Certificate and host name are checked.
    VerifyFull,
    /// The certificate is checked, the host name is not.
    VerifyCa,
    /// Encrypted, nothing is checked.
    Require,
    /// Not encrypted.
    Disable,
}

/// How the login is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// The secret's password.
    Password,
    /// A token of RDS IAM authentication.
    Iam,
    /// Nothing: the server trusts the peer.
    None,
}

/// One wanted extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Folded to lower case, as PostgreSQL folds an unquoted name.
    pub name: Identifier,
    /// The version.
    pub version: Version,
    /// The schema of its objects; `None` is wherever it is, or the server's choice.
    pub schema: Option<Identifier>,
    /// Whether the extensions that it requires may be installed too.
    pub cascade: bool,
    /// Overrides the resource's policy.
    pub on_delete: Option<Policy>,
}

/// Which version of an extension is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// Installed, whichever it is.
    Any,
    /// The newest that the server has.
    Latest,
    /// This one and no other.
    Exact(String),
}

/// The property `Changelog`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changelog {
    /// Where its files are.
    pub source: Source,
    /// The contexts of this run; none: every changeset counts.
    pub contexts: Option<String>,
    /// The label expression of this run.
    pub labels: Option<String>,
    /// Values of `${…}`, which go before all that files define.
    pub parameters: BTreeMap<String, String>,
    /// Changesets are run up to this tag.
    pub to_tag: Option<String>,
    /// The history table; its lock table is called the same with `lock` after it.
    pub table: Identifier,
    /// The schema of both; `None` is the first of the search path.
    pub schema: Option<Identifier>,
    /// Whether versions older than the newest applied one may still come (Flyway's rule).
    pub out_of_order: bool,
    /// What a database without a history counts as having: a version, a tag or `author:id`.
    pub baseline: Option<String>,
}

/// Where the files of a changelog are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or folder of the bundle.
    Path(String),
    /// A text in the properties.
    Inline(String),
    /// An object in S3: a zip, or one file.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// `VersionId`, where one is asked for.
        version: Option<String>,
        /// The root file or folder in the zip.
        path: Option<String>,
    },
}

/// `TransactionMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransactionMode {
    /// One transaction for each changeset.
    #[default]
    Changeset,
    /// One for all that allow it.
    All,
}

/// The property `OnDelete`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnDelete {
    /// What may be removed.
    pub policy: Policy,
    /// Statements to run first.
    pub sql: Vec<String>,
}

/// What the end of a resource removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Nothing.
    #[default]
    Retain,
    /// What this resource made and nobody else has.
    Drop,
}

/// Whether to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Bring the database to the desired state.
    #[default]
    Apply,
    /// Say what would change, change nothing.
    Plan,
    /// Fail if anything differs, change nothing.
    Verify,
}

impl Desired {
    /// The same server and the same limits, of which nothing is wanted. Nothing long is copied: it
    /// is made anew for each tenant.
    #[must_use]
    pub fn of_nothing(&self) -> Self {
        Self {
            secret: None,
            connection: self.connection.clone(),
            extensions: Vec::new(),
            changelog: None,
            transaction_mode: self.transaction_mode,
            tenants: Vec::new(),
            tenant_connections: self.tenant_connections,
            on_create: Vec::new(),
            on_update: Vec::new(),
            on_delete: OnDelete::default(),
            mode: self.mode,
            lock_timeout: self.lock_timeout,
            statement_timeout: self.statement_timeout,
        }
    }

    /// Whether the end of the resource has anything to do in the database.
    ///
    /// Where it has not, the database is not even connected to.
    pub fn acts_on_delete(&self) -> bool {
        let drops = self.on_delete.policy == Policy::Drop
            || self.extensions.iter().any(|it| it.on_delete == Some(Policy::Drop));
        let leave = self.tenants.iter().any(|it| it.on_remove.policy != tenant::Leaving::Retain);
        self.mode == Mode::Apply && (drops || leave || !self.on_delete.sql.is_empty())
    }
}
