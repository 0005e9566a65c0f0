//! Changelogs: files to changesets, in the order in which they run.
//!
//! Everything here is pure. Files come through [`Files`], the database's history
//! is compared in [`plan`](crate::plan), and the statements are run by
//! [`apply`](crate::apply). What is read is Liquibase's formatted SQL, root changelogs in
//! YAML, JSON and XML, Flyway's directories, and plain SQL files; what is not
//! understood is refused with its file and line before anything runs.

pub mod change;
pub mod checksum;
pub mod expression;
pub mod files;
pub mod flyway;
pub mod formatted;
pub mod plain;
pub mod precondition;
pub mod properties;
mod read;
pub mod root;
pub mod text;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::request::hex;

pub use change::{Change, Work};
pub use files::{FileError, Files};
pub use precondition::Preconditions;
pub use properties::Properties;
pub use read::read;
use text::Source;
pub use text::Text;

/// The database's short name in `dbms` attributes.
pub const DBMS: &str = "postgresql";

/// All changesets of a changelog.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changelog {
    /// Whose rules it follows.
    pub style: Style,
    /// In running order; filters (contexts, labels, dbms) are not applied yet.
    pub changesets: Vec<Changeset>,
    /// `preConditions` of the changelog files themselves; they are asked before anything runs.
    pub preconditions: Vec<Preconditions>,
    /// What was understood otherwise than the author may have meant.
    pub warnings: Vec<String>,
}

/// A changelog that was read, and the files that its long texts are read from again.
#[derive(Clone)]
pub struct Loaded {
    /// The changesets.
    pub changelog: Changelog,
    /// The files.
    pub files: Arc<dyn Files>,
}

/// Whose rules a changelog follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Liquibase: formatted SQL, a root changelog, or a directory in `includeAll` order.
    #[default]
    Liquibase,
    /// Flyway's file names, versions and checksums.
    Flyway,
}

/// What tells a changeset from all others. Compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The `id`.
    pub id: String,
    /// The `author`.
    pub author: String,
    /// The file as the history stores it (`FILENAME`), or the `logicalFilePath`.
    pub path: String,
}

/// Where something stands, for messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file, as found in the bundle.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// One changeset.
#[derive(Debug, Clone, PartialEq)]
pub struct Changeset {
    /// What tells it apart.
    pub identity: Identity,
    /// Identities under which older programs may have stored it.
    pub legacy: Vec<Identity>,
    /// Where it begins.
    pub place: Place,
    /// What it does, in order.
    pub changes: Vec<Change>,
    /// How it is undone, if its author said so.
    pub rollback: Rollback,
    /// When it counts at all.
    pub filter: Filter,
    /// How it runs.
    pub run: Run,
    /// What must hold before it runs.
    pub preconditions: Option<Preconditions>,
    /// `validCheckSum`, as written.
    pub valid_checksums: Vec<String>,
    /// `comment`, trimmed.
    pub comments: String,
    /// Liquibase's description, at most 250 characters.
    pub description: String,
    /// Of its `tagDatabase` change, if it has one.
    pub tag: Option<String>,
    /// The checksums by which the history knows it.
    pub checksum: checksum::Checksum,
    /// What Flyway's history knows of it; only with [`Style::Flyway`].
    pub flyway: Option<flyway::Script>,
}

impl Changeset {
    /// Its whole text, unless a part of it is too long to hold.
    pub fn content(&self) -> Option<Cow<'_, str>> {
        if let [Change { work: Work::Sql(text), .. }] = self.changes.as_slice() {
            return text.held.as_deref().map(Cow::Borrowed);
        }
        let parts: Option<Vec<_>> = self.changes.iter().map(Change::content).collect();
        Some(Cow::Owned(parts?.join(";\n")))
    }

    /// `file:line:column` for a place in the text of one of its changes.
    pub fn place_in(&self, change: usize, line: usize, column: usize) -> String {
        let text = match self.changes.get(change).map(|it| &it.work) {
            Some(Work::Sql(text)) => Some(text),
            _ => None,
        };
        let known = text.and_then(|it| it.line(line));
        match (known, text.map(|it| &it.source)) {
            (Some(line), Some(Source::Whole { path } | Source::Formatted { path, .. })) => {
                format!("{path}:{line}:{column}")
            }
            (Some(line), _) => format!("{}:{line}:{column}", self.place.file),
            (None, Some(Source::Whole { path })) => format!("{path}:{line}:{column}"),
            (None, _) => format!("{}, line {line}, column {column} of its text", self.place),
        }
    }

    /// SHA-256 of its text, in hex.
    pub fn sha256(&self) -> String {
        if let [Change { work: Work::Sql(text), .. }] = self.changes.as_slice() {
            return text.sha256.clone();
        }
        let mut hash = Sha256::new();
        for change in &self.changes {
            match &change.work {
                Work::Sql(text) => hash.update(&text.sha256),
                _ => hash.update(change.content().unwrap_or_default().as_bytes()),
            }
            hash.update([0]);
        }
        hex(&hash.finalize())
    }
}

/// When a changeset counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Its own context expression and those of the includes above it; all must match.
    pub contexts: Vec<String>,
    /// Its own labels and those of the includes above it; all must match.
    pub labels: Vec<String>,
    /// `dbms`, as written.
    pub dbms: Option<String>,
    /// `ignore:true`.
    pub ignored: bool,
    /// The column `CONTEXTS` as Liquibase writes it; empty is NULL.
    pub contexts_column: String,
    /// The column `LABELS`; empty is NULL.
    pub labels_column: String,
}

/// How a changeset runs.
#[allow(clippy::struct_excessive_bools, reason = "the author's words, each by itself")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// `runAlways`.
    pub always: bool,
    /// `runOnChange`.
    pub on_change: bool,
    /// `runInTransaction`.
    pub in_transaction: bool,
    /// `failOnError`.
    pub fail_on_error: bool,
    /// `runOrder`.
    pub order: Order,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            always: false,
            on_change: false,
            in_transaction: true,
            fail_on_error: true,
            order: Order::AsWritten,
        }
    }
}

/// `runOrder`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Before all that have no order.
    First,
    /// Where it stands.
    #[default]
    AsWritten,
    /// After all that have no order.
    Last,
}

/// How a changeset is undone.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Rollback {
    /// Nobody said.
    #[default]
    Unknown,
    /// There is nothing to undo (`not required`, `empty`).
    Nothing,
    /// These statements.
    Sql(String),
    /// The changes of another changeset.
    Changeset {
        /// `changeSetId`.
        id: String,
        /// `changeSetAuthor`.
        author: String,
        /// `changeSetPath`.
        path: Option<String>,
    },
}

/// A changelog that cannot be read; where, what, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ChangelogError {
    /// Where.
    pub place: Place,
    /// What is wrong, in one sentence without a period.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ChangelogError {
    /// An error at a line.
    pub fn at(place: &Place, what: impl Into<String>) -> Self {
        Self { place: place.clone(), what: what.into(), hint: None }
    }

    /// The first of several, and how many more there are.
    pub fn listed(errors: &[Self]) -> String {
        const SHOWN: usize = 5;
        let mut texts: Vec<_> = errors.iter().take(SHOWN).map(ToString::to_string).collect();
        if errors.len() > SHOWN {
            texts.push(format!("and {} more", errors.len() - SHOWN));
        }
        texts.join("; ")
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<FileError> for ChangelogError {
    fn from(error: FileError) -> Self {
        let place = Place { file: error.path().to_owned(), line: 0 };
        Self { place, what: error.what(), hint: error.hint().map(str::to_owned) }
    }
}

/// `author:id`, as people name a changeset.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.author, self.id)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}
