//! What would change, and in which order.
//!
//! [`changes`] compares what is wanted with what is there and returns a
//! [`Plan`]: plain data, printable, and free of secrets. It opens no connection
//! and reads no clock, so the same two states always give the same plan. `plan`
//! prints it, `verify` fails if it is not empty, `apply` carries it out.

pub mod changesets;
mod extensions;
pub mod ownership;
mod postgis;
pub mod version;

use std::fmt;

use crate::changelog::{Changelog, ChangelogError};
use crate::desired::Desired;
use crate::ident::Identifier;
use crate::observed::{Kind, Observed};
use crate::request::value::closest;
use crate::sql::without_verifiers;

pub use changesets::{Edited, Ran, Why};
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

/// A disagreement that no sequence of steps can settle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The server has no such extension.
    #[error("extension `{name}` is not available on this server{}", did_you_mean(.closest.as_deref()))]
    Unavailable {
        /// The wanted name.
        name: Identifier,
        /// A name that the server has.
        closest: Option<String>,
    },
    /// RDS has it, but the parameter group leaves it out.
    #[error("extension `{name}` is not in `{setting}` of this server")]
    NotAllowed {
        /// The wanted name.
        name: Identifier,
        /// The setting.
        setting: &'static str,
    },
    /// The server has the extension, but not the version.
    #[error("extension `{name}` has no version {wanted} on this server; to be had: {}", listed(.available))]
    NoSuchVersion {
        /// The wanted name.
        name: Identifier,
        /// The wanted version.
        wanted: String,
        /// What could be installed, oldest first.
        available: Vec<String>,
    },
    /// It is installed and there is no way to the wanted version.
    #[error("extension `{name}` is installed at {installed}, and the server has no update path from there to {wanted}; it can go to: {}", listed(.reachable))]
    NoUpdatePath {
        /// The name.
        name: Identifier,
        /// The installed version.
        installed: String,
        /// The wanted version.
        wanted: String,
        /// The versions that can be reached.
        reachable: Vec<String>,
    },
    /// The wanted version is older than the installed one.
    #[error(
        "extension `{name}` is installed at {installed}; going back to {wanted} is not done, for PostgreSQL has no way back that keeps data"
    )]
    Downgrade {
        /// The name.
        name: Identifier,
        /// The installed version.
        installed: String,
        /// The wanted version.
        wanted: String,
    },
    /// A required extension is missing and may not be added.
    #[error(
        "extension `{name}` needs `{required}`, which is not installed, and `Cascade` is false"
    )]
    MissingRequirement {
        /// The wanted name.
        name: Identifier,
        /// What it requires.
        required: String,
    },
    /// It insists on one schema.
    #[error("extension `{name}` can only live in schema `{fixed}`, not in `{wanted}`")]
    FixedSchema {
        /// The name.
        name: Identifier,
        /// The schema of its control file.
        fixed: String,
        /// The wanted schema.
        wanted: Identifier,
    },
    /// It is in another schema and cannot be moved.
    #[error(
        "extension `{name}` is installed in schema `{installed}` and cannot be moved to `{wanted}`"
    )]
    NotRelocatable {
        /// The name.
        name: Identifier,
        /// The schema that it is in.
        installed: String,
        /// The wanted schema.
        wanted: Identifier,
    },
    /// Parts of PostGIS at different versions do not work together.
    #[error(
        "extension `{name}` is asked for at {wanted}, but `postgis` at {lead}; they are parts of one thing and only work at the same version"
    )]
    PostgisSplit {
        /// The part.
        name: Identifier,
        /// Its wanted version.
        wanted: String,
        /// The version of `postgis`.
        lead: String,
    },
    /// The run's own contexts or labels cannot be understood.
    #[error("{0}")]
    Selection(String),
    /// The history would be in a schema that is not there.
    #[error("schema `{0}`, which the history of changesets belongs in, does not exist")]
    NoSuchSchema(String),
    /// The first schema of the search path is another one than it was.
    #[error(
        "the history of this resource is {there}, but the first schema of the search path is \
         `{here}` now, and has none; every changeset would run again"
    )]
    HistoryElsewhere {
        /// The table, as the ledger has it.
        there: String,
        /// The schema now.
        here: String,
    },
    /// Changesets that ran were changed since.
    #[error("{}", edited(.0))]
    Edited(Vec<Edited>),
    /// A text that would run is not UTF-8.
    #[error(
        "changeset `{changeset}` is not UTF-8 at {place}, so its text is not what it was meant to be"
    )]
    NotUtf8 {
        /// `author:id`.
        changeset: String,
        /// `file:line` of the first bad byte.
        place: String,
    },
    /// Flyway's history and the scripts do not agree.
    #[error("{}", ChangelogError::listed(.0))]
    Flyway(Vec<ChangelogError>),
    /// `ToTag` names nothing.
    #[error("tag `{0}` of `ToTag` is neither in the changelog nor in the history")]
    NoSuchTag(String),
    /// `Baseline` names nothing.
    #[error("`Baseline` is `{0}`, and no version, tag or changeset of the changelog is called so")]
    NoSuchBaseline(String),
    /// The one update that extension scripts cannot do.
    #[error(
        "extension `{name}` is installed at {installed}; the step from PostGIS 2 to 3 splits raster from it and needs a hand"
    )]
    PostgisMajor {
        /// `postgis` or a part of it.
        name: Identifier,
        /// The installed version.
        installed: String,
    },
}

impl PlanError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        Some(match self {
            Self::Flyway(errors) => return errors.first()?.hint.as_deref(),
            Self::Unavailable { .. } => {
                "Check the name, or the engine version: see `SELECT * FROM pg_available_extensions`."
            }
            Self::NotAllowed { .. } => {
                "Add it to that parameter in the parameter group, or leave it out."
            }
            Self::NoSuchVersion { .. } => {
                "Pin one of these, leave the version out, or upgrade the engine."
            }
            Self::NoUpdatePath { .. } => "Pin one of these, or go in two deployments.",
            Self::Downgrade { .. } => "Pin the installed version or a newer one.",
            Self::MissingRequirement { .. } => "Ask for it too, or leave `Cascade` out.",
            Self::FixedSchema { .. } | Self::NotRelocatable { .. } => {
                "Leave `Schema` out, or name the schema that it is in."
            }
            Self::Selection(_) => {
                "Write `Contexts` and `Labels` with `and`, `or`, `not` and brackets."
            }
            Self::NoSuchSchema(_) => "Make it first, or leave `Schema` out.",
            Self::HistoryElsewhere { .. } => {
                "Name the schema of the history in `Changelog.Schema`, or set the login's search_path."
            }
            Self::Edited(_) => {
                "Take the edit back and put it into a new changeset; or, if the text means the \
                 same, add `validCheckSum` with the stored checksum to the changeset."
            }
            Self::NotUtf8 { .. } => "Convert the file to UTF-8.",
            Self::NoSuchTag(_) => "Check the tag, or leave `ToTag` out.",
            Self::NoSuchBaseline(_) => "Name a version, a tag or `author:id` of the changelog.",
            Self::PostgisSplit { .. } => "Pin `postgis` alone; its parts follow.",
            Self::PostgisMajor { .. } => {
                "Run `SELECT postgis_extensions_upgrade()` twice, as the RDS manual says, then deploy."
            }
        })
    }
}

fn did_you_mean(closest: Option<&str>) -> String {
    closest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// At most the newest twelve, for an error must stay readable.
fn listed(versions: &[String]) -> String {
    const SHOWN: usize = 12;
    match versions {
        [] => "none".to_owned(),
        _ if versions.len() <= SHOWN => versions.join(", "),
        _ => {
            let (older, newest) = versions.split_at(versions.len() - SHOWN);
            format!("{} ({} older)", newest.join(", "), older.len())
        }
    }
}

/// At most three of them, for an error must stay readable.
fn edited(edited: &[Edited]) -> String {
    const SHOWN: usize = 3;
    let one = |it: &Edited| {
        let difference = it.difference.as_ref().map(|it| format!(":\n{it}")).unwrap_or_default();
        format!(
            "changeset `{}` ({}) ran before and was changed since (was {}, is {}){difference}",
            it.changeset, it.place, it.was, it.now
        )
    };
    let mut texts: Vec<_> = edited.iter().take(SHOWN).map(one).collect();
    if edited.len() > SHOWN {
        texts.push(format!("and {} more", edited.len() - SHOWN));
    }
    texts.join("; ")
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
            Self::DropExtension { name, .. } => write!(f, "- extension {name}"),
            Self::DropSchema { name, .. } => write!(f, "- schema {name}"),
        }
    }
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
