//! What would change, and in which order.
//!
//! [`changes`] compares what is wanted with what is there and returns a
//! [`Plan`]: plain data, printable, and free of secrets. It opens no connection
//! and reads no clock, so the same two states always give the same plan. `plan`
//! prints it, `verify` fails if it is not empty, `apply` carries it out.

pub mod changesets;
mod error;
mod extensions;
pub mod ownership;
mod pending;
mod postgis;
pub mod tenants;
pub mod version;

use std::fmt;

use crate::changelog::Changelog;
use crate::desired::Desired;
use crate::ident::Identifier;
use crate::observed::{Kind, Observed};
use crate::request::value::closest;
use crate::sql::without_verifiers;

pub use changesets::{Edited, Ran, Why};
pub use error::PlanError;
pub use extensions::needs_offer;
pub use postgis::PARTS as POSTGIS_PARTS;

/// The steps from what is there to what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Plan {
    /// In this order, in one transaction.
    pub steps: Vec<Step>,
    /// What the resource has afterwards, as the ledger is to say.
    pub claims: Vec<Claim>,
    /// What differs from the wish and is left so on purpose.
    pub notes: Vec<String>,
}

/// An object that a resource has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Claim {
    /// Extension or schema.
    pub kind: Kind,
    /// Its name.
    pub name: Identifier,
}

/// One change, small enough to be tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "step", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    /// `CREATE SCHEMA`.
    CreateSchema {
        /// Its name.
        name: Identifier,
    },
    /// `CREATE EXTENSION`.
    CreateExtension {
        /// Its name.
        name: Identifier,
        /// The version, always said: what is planned is what comes.
        version: String,
        /// The schema, where one is asked for.
        schema: Option<Identifier>,
        /// The wanted extension that needs this one.
        required_by: Option<Identifier>,
    },
    /// `ALTER EXTENSION … UPDATE`.
    UpdateExtension {
        /// Its name.
        name: Identifier,
        /// The installed version.
        from: String,
        /// The wanted version.
        to: String,
    },
    /// `ALTER EXTENSION … SET SCHEMA`.
    MoveExtension {
        /// Its name.
        name: Identifier,
        /// The schema that it is in.
        from: String,
        /// The wanted schema.
        to: Identifier,
    },
    /// Rows of the history get the checksums that they lack.
    RecordChecksums {
        /// The changesets, by their number in the changelog.
        #[serde(serialize_with = "count")]
        numbers: Vec<usize>,
    },
    /// Changesets that count as run without running.
    RecordChangesets {
        /// The changesets, by their number in the changelog.
        #[serde(serialize_with = "count")]
        numbers: Vec<usize>,
        /// Why they do.
        because: String,
    },
    /// A changeset with its row in the history.
    RunChangeset {
        /// Its number in the changelog, from 0.
        #[serde(skip)]
        number: usize,
        /// `author:id`.
        changeset: String,
        /// `file:line`.
        at: String,
        /// Why it runs.
        why: Why,
    },
    /// A text of `OnCreate`, `OnUpdate` or `OnDelete.Sql`.
    RunSql {
        /// Which list it is from.
        moment: Moment,
        /// Its place in the list, from 1.
        number: usize,
        /// The text; shown without verifiers.
        #[serde(serialize_with = "shown")]
        sql: String,
    },
    /// CONNECT is taken from PUBLIC, and kept for the roles that get in by nothing else.
    CloseDatabase {
        /// The database.
        name: Identifier,
        /// The roles.
        keep: Vec<Identifier>,
    },
    /// CREATE on a schema of the target database is taken from PUBLIC, and kept for the roles that
    /// have it by nothing else.
    CloseSchema {
        /// The schema.
        name: Identifier,
        /// The roles.
        keep: Vec<Identifier>,
    },
    /// A change for one tenant.
    Tenant {
        /// The tenant.
        tenant: String,
        /// The change.
        change: Box<tenants::Change>,
    },
    /// `DROP EXTENSION`, without `CASCADE`: what something depends on stays.
    DropExtension {
        /// Its name.
        name: Identifier,
        /// It is dropped only while it still has this OID.
        oid: u32,
    },
    /// `DROP SCHEMA`, without `CASCADE`: one that holds anything stays.
    DropSchema {
        /// Its name.
        name: Identifier,
        /// It is dropped only while it still has this OID.
        oid: u32,
    },
}

/// When the statements of a list run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Moment {
    /// The resource is new.
    OnCreate,
    /// Its properties changed.
    OnUpdate,
    /// It goes.
    OnDelete,
}

fn closest_name(name: &str, names: &[String]) -> Option<String> {
    closest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// The plan that brings `observed` to `desired`, with the statements of `moment`.
///
/// Without a moment no statements are planned: they belong to an event, not to a
/// state, so they cannot differ. An extension that is installed but not wanted
/// stays: removing it can take columns with it, so removal is only ever asked
/// for by name.
///
/// `changelog` is what `desired` names, read. Its changesets that run always are
/// planned only with a moment, for the same reason.
pub fn changes(
    desired: &Desired,
    changelog: Option<&Changelog>,
    observed: &Observed,
    moment: Option<Moment>,
    always: bool,
) -> Result<Plan, PlanError> {
    let (wanted, kept) = extensions::settled(&desired.extensions, observed);
    let mut plan = extensions::plan(&wanted, observed)?;
    plan.notes = kept;
    if let (Some(wanted), Some(changelog), Some(history)) =
        (&desired.changelog, changelog, &observed.history)
    {
        let found = changesets::plan(changelog, wanted, history, always)?;
        plan.steps.extend(found.steps);
        plan.notes.extend(found.notes);
    }
    if let Some(moment) = moment {
        plan.steps.extend(statements(desired, moment));
    }
    Ok(plan)
}

fn statements(desired: &Desired, moment: Moment) -> impl Iterator<Item = Step> + '_ {
    let texts = match moment {
        Moment::OnCreate => &desired.on_create,
        Moment::OnUpdate => &desired.on_update,
        Moment::OnDelete => &desired.on_delete.sql,
    };
    let step = move |(at, sql): (usize, &String)| Step::RunSql {
        moment,
        number: at + 1,
        sql: sql.clone(),
    };
    texts.iter().enumerate().map(step)
}

impl Step {
    /// Whether it is about changesets.
    pub fn is_of_a_changelog(&self) -> bool {
        matches!(
            self,
            Self::RecordChecksums { .. }
                | Self::RecordChangesets { .. }
                | Self::RunChangeset { .. }
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateSchema { name } => write!(f, "+ schema {name}"),
            Self::CreateExtension { name, version, schema, required_by } => {
                write!(f, "+ extension {name} {version}")?;
                if let Some(schema) = schema {
                    write!(f, " in schema {schema}")?;
                }
                match required_by {
                    Some(wanted) => write!(f, " (required by {wanted})"),
                    None => Ok(()),
                }
            }
            Self::UpdateExtension { name, from, to } => {
                write!(f, "~ extension {name} {from} -> {to}")
            }
            Self::MoveExtension { name, from, to } => {
                write!(f, "~ extension {name} schema {from} -> {to}")
            }
            Self::RecordChecksums { numbers } => {
                write!(f, "~ checksums of {} changesets are recorded", numbers.len())
            }
            Self::RecordChangesets { numbers, because } => {
                write!(f, "+ {} changesets are recorded as run ({because})", numbers.len())
            }
            Self::RunChangeset { changeset, at, why, .. } => {
                let (sign, why) = match why {
                    Why::New => ("+", ""),
                    Why::Changed => ("~", ", changed"),
                    Why::Always => ("!", ", runs always"),
                    Why::Interrupted => ("+", ", goes on where it was interrupted"),
                };
                write!(f, "{sign} changeset {changeset} ({at}{why})")
            }
            Self::RunSql { moment, number, sql } => {
                write!(f, "! {moment:?} statement {number}: {}", first_line(sql))
            }
            Self::CloseDatabase { name, keep } => {
                write!(f, "~ database {name}: CONNECT is taken from PUBLIC{}", kept(keep))
            }
            Self::CloseSchema { name, keep } => {
                write!(f, "~ schema {name}: CREATE is taken from PUBLIC{}", kept(keep))
            }
            Self::Tenant { tenant, change } => {
                // The sign stays in front.
                let change = change.to_string();
                let (sign, rest) = change.split_at(change.find(' ').unwrap_or_default());
                write!(f, "{sign} tenant {tenant}:{rest}")
            }
            Self::DropExtension { name, .. } => write!(f, "- extension {name}"),
            Self::DropSchema { name, .. } => write!(f, "- schema {name}"),
        }
    }
}

fn kept(roles: &[Identifier]) -> String {
    let roles: Vec<_> = roles.iter().map(Identifier::as_str).collect();
    if roles.is_empty() { String::new() } else { format!(", kept for {}", roles.join(", ")) }
}

fn count<S: serde::Serializer>(numbers: &[usize], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(numbers.len() as u64)
}

fn shown<S: serde::Serializer>(sql: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&without_verifiers(sql))
}

fn first_line(sql: &str) -> String {
    let sql = without_verifiers(sql);
    let line = sql.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(60).collect();
    if short.len() < sql.trim().len() { short + "…" } else { short }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str("nothing to do");
        }
        for (at, step) in self.steps.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{step}")?;
        }
        Ok(())
    }
}
