//! Everything that can end a request badly, for two audiences.
//!
//! A person reads [`Failure::reason`]: the cause with the object it is about,
//! and apart from it what to do. A program reads [`Failure::name`], which says
//! by its first word whether a later try may succeed. Errors are told apart by
//! type and SQLSTATE, never by their text.

use crate::apply::ApplyError;
use crate::apply::changesets::ChangesetError;
use crate::changelog::ChangelogError;
use crate::inspect::InspectError;
use crate::ledger;
use crate::plan::tenants::TenantError;
use crate::plan::{Plan, PlanError};
use crate::postgres::{ConnectError, SqlError};
use crate::request::RequestError;
use crate::request::value::PropertyError;
use crate::secrets::SecretError;
use crate::source::SourceError;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The event is no request.
    #[error("{0}")]
    Event(String),
    /// The request cannot be understood.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The properties are wrong.
    #[error("{}", joined(.0))]
    Properties(Vec<PropertyError>),
    /// The login could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The changelog's files are not to be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The changelog cannot be understood.
    #[error("{}", ChangelogError::listed(.0))]
    Changelog(Vec<ChangelogError>),
    /// There is no session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The state could not be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// What is wanted cannot be had.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A tenant cannot be had as it is asked for.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// Some tenants are not as they are asked for.
    #[error("{}", in_trouble(.troubles, *.all, *.done))]
    Tenants {
        /// Those, with the reason of each.
        troubles: Vec<Trouble>,
        /// How many there are in all.
        all: usize,
        /// Whether the others were brought to what is asked for, rather than looked at.
        done: bool,
    },
    /// A step failed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A changeset failed.
    #[error(transparent)]
    Changeset(#[from] ChangesetError),
    /// Somebody holds Liquibase's lock.
    #[error("{table} is held by {holder}")]
    LiquibaseLocked {
        /// The lock table.
        table: String,
        /// Its `LOCKEDBY` and `LOCKGRANTED`.
        holder: String,
    },
    /// Another program wrote the history while this one waited for its lock.
    #[error("the history of changesets was written by another program")]
    HistoryMoved,
    /// The ledger could not be written.
    #[error("writing the ledger failed: {0}")]
    Ledger(#[source] SqlError),
    /// `Mode: Verify` found something.
    #[error("the database differs from what is wanted: {}", .0.to_string().replace('\n', "; "))]
    Differs(Plan),
    /// A Delete took the resource away; so many changesets stand.
    #[error("a Delete of this resource came while it was being made; {}", remains(*.0))]
    Gone(usize),
    /// A later request was there first.
    #[error("a later request for this resource was taken up already; this one came too late")]
    Superseded,
    /// The time is over.
    #[error("the time ran out while {0}; what was not committed is undone")]
    Deadline(String),
    /// Another run holds the lock.
    #[error("another run holds the lock on database `{database}`{}", held_by(.holder.as_deref()))]
    Locked {
        /// The database.
        database: String,
        /// Its process and application name.
        holder: Option<String>,
    },
    /// A pooler stands between.
    #[error(
        "a connection pooler stands before database `{0}`: the session does not keep the settings \
         that it was started with"
    )]
    Pooler(String),
    /// The server takes no writes.
    #[error("`{0}` is a reader, or still becoming the writer")]
    Reader(String),
    /// A mistake in this program.
    #[error("internal error: {0}")]
    Internal(String),
}

fn joined(errors: &[PropertyError]) -> String {
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

impl From<Vec<ChangelogError>> for Failure {
    fn from(errors: Vec<ChangelogError>) -> Self {
        Self::Changelog(errors)
    }
}

fn remains(changesets: usize) -> String {
    match changesets {
        0 => "nothing of this request remains".into(),
        count => format!("nothing of this request remains but {count} changesets that stand"),
    }
}

/// A tenant that failed.
#[derive(Debug)]
pub struct Trouble {
    /// The tenant.
    pub tenant: String,
    /// Why.
    pub failure: Box<Failure>,
}

/// At most so many of them, for a reason must stay readable.
fn in_trouble(troubles: &[Trouble], all: usize, is_done: bool) -> String {
    const SHOWN: usize = 5;
    let (failed, done) = (troubles.len(), all.saturating_sub(troubles.len()));
    let one = |it: &Trouble| format!("`{}`: {}", it.tenant, it.failure);
    let mut texts: Vec<_> = troubles.iter().take(SHOWN).map(one).collect();
    if failed > SHOWN {
        let more = troubles[SHOWN..].iter().take(20).map(|it| format!("`{}`", it.tenant));
        texts.push(format!("and {}", more.collect::<Vec<_>>().join(", ")));
    }
    let others = match done {
        0 => String::new(),
        _ if is_done => format!(", the other {done} are done"),
        _ => String::new(),
    };
    format!("{failed} of {all} tenants failed{others}: {}", texts.join("; "))
}

fn held_by(holder: Option<&str>) -> String {
    holder.map(|it| format!(": {it}")).unwrap_or_default()
}

impl Failure {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Event(_) | Self::Request(_) => {
                "The function takes requests of CloudFormation, of the CDK's Provider framework, and \
                 {\"Action\", \"Properties\"}."
            }
            Self::Properties(_) | Self::Gone(_) | Self::Superseded => return None,
            Self::Secret(error) => error.hint(),
            Self::Source(error) => return error.hint(),
            Self::Connect(error) => return error.hint(),
            Self::Inspect(InspectError::Sql(error))
                if error.sqlstate.as_deref() == Some("42501") =>
            {
                "The ledger's schema belongs to the role that used this database first: use its \
                 login, or GRANT that role to this one."
            }
            Self::Inspect(InspectError::Sql(error)) | Self::Ledger(error) => return error.hint(),
            Self::Inspect(InspectError::NewerLedger(..)) => {
                "Deploy the newer release of the function."
            }
            Self::Inspect(InspectError::Answer(_)) | Self::Internal(_) => {
                "Please report it with the function's log."
            }
            Self::Plan(error) => return error.hint().map(str::to_owned),
            Self::Tenant(error) => error.hint(),
            Self::Tenants { troubles, .. } => {
                return troubles.first().and_then(|it| it.failure.hint());
            }
            Self::Apply(error) => return error.hint(),
            Self::Changeset(error) => return error.hint(),
            Self::Changelog(errors) => return errors.first().and_then(|it| it.hint.clone()),
            Self::LiquibaseLocked { .. } => {
                "If no Liquibase runs any more, run its `release-locks` command and deploy again."
            }
            Self::HistoryMoved => "Deploy again.",
            Self::Differs(_) => "Deploy with `Mode: Apply`, or look at what changed the database.",
            Self::Deadline(_) => "Raise the function's timeout and `ServiceTimeout`.",
            Self::Locked { .. } => "Wait for it to end, or end its session, and deploy again.",
            Self::Pooler(_) => {
                "Name the server's own host and port; PgBouncer and RDS Proxy hand sessions around, \
                 and locks with them."
            }
            Self::Reader(_) => "Name the writer (cluster) endpoint.",
        };
        Some(hint.to_owned())
    }

    /// Whether the same request may succeed if it is tried again from the start,
    /// within the same invocation.
    pub fn heals(&self) -> bool {
        match self {
            Self::Inspect(InspectError::Sql(error)) => error.heals(),
            Self::Ledger(error) => error.heals() || error.is_catalog_race(),
            Self::Apply(error) => error.heals(),
            // A server that became a reader ends its sessions; a changeset's own `READ ONLY` does not.
            Self::Changeset(error) => {
                error.sql().is_some_and(|it| it.heals() && it.sqlstate.as_deref() != Some("25006"))
            }
            Self::Reader(_) | Self::HistoryMoved => true,
            _ => false,
        }
    }

    /// Whether a lock was not to be had in time, or two sessions waited for each other.
    pub fn is_lock_timeout(&self) -> bool {
        matches!(self.sqlstate(), Some("55P03" | "40P01"))
    }

    /// What the server called it.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Connect(ConnectError::Refused(_, error)) => error.sqlstate.as_deref(),
            Self::Apply(error) => error.source.sqlstate.as_deref(),
            Self::Changeset(error) => error.sql()?.sqlstate.as_deref(),
            Self::Ledger(error) | Self::Inspect(InspectError::Sql(error)) => {
                error.sqlstate.as_deref()
            }
            _ => None,
        }
    }

    /// A name for state machines: `Retryable…` where a later try may succeed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Event(_) | Self::Request(_) => "PermanentInvalidRequest",
            Self::Properties(_) => "PermanentInvalidProperties",
            Self::Secret(error) if error.heals() => "RetryableSecretUnavailable",
            Self::Secret(_) => "PermanentSecret",
            Self::Source(error) if error.heals() => "RetryableSourceUnavailable",
            Self::Source(_) => "PermanentSource",
            Self::Connect(error) if error.heals() => "RetryableServerUnavailable",
            Self::Connect(_) | Self::Pooler(_) => "PermanentConnection",
            Self::Plan(_) | Self::Tenant(_) => "PermanentPlan",
            Self::Tenants { troubles, .. } => {
                let passes = |it: &Trouble| it.failure.name().starts_with("Retryable");
                if troubles.iter().all(passes) { "RetryableTenants" } else { "PermanentTenants" }
            }
            Self::Differs(_) => "PermanentDiffers",
            Self::Gone(_) | Self::Superseded => "PermanentSuperseded",
            Self::Deadline(_) => "RetryableDeadline",
            Self::Changelog(_) => "PermanentChangelog",
            Self::Locked { .. } | Self::LiquibaseLocked { .. } => "RetryableLocked",
            Self::Reader(_) => "RetryableReader",
            Self::Internal(_) => "PermanentInternal",
            Self::HistoryMoved => "RetryableDatabase",
            Self::Inspect(_) | Self::Apply(_) | Self::Changeset(_) | Self::Ledger(_) => {
                if self.heals() { "RetryableDatabase" } else { "PermanentDatabase" }
            }
        }
    }

    /// The same failure, known by what the ledger's guard raised.
    #[must_use]
    pub fn recognised(self) -> Self {
        if self.sqlstate() == Some(ledger::GONE) { Self::Gone(0) } else { self }
    }
}
