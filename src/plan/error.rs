//! Why no plan can be made, and what to do about it.

use super::Edited;
use crate::changelog::ChangelogError;
use crate::ident::Identifier;

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
    /// The history has no room for a name.
    #[error("the {what} of the changeset at {place} has more than 255 characters")]
    TooLong {
        /// `file:line`.
        place: String,
        /// `id`, `author` or `path`.
        what: &'static str,
    },
    /// A text cannot be taken apart.
    #[error("changeset `{changeset}`: {what}")]
    Text {
        /// `author:id`.
        changeset: String,
        /// What is wrong, and where.
        what: String,
        /// The way out.
        hint: Option<&'static str>,
    },
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
            Self::TooLong { .. } => "Give it a shorter one; the history has no room for it.",
            Self::Text { hint, .. } => return *hint,
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
