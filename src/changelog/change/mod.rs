//! What a changeset does: its changes, each with its SQL.

use std::borrow::Cow;

use super::{Place, Text};

/// One change of a changeset.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its name in Liquibase: `sql`, `sqlFile`, `createTable`.
    pub kind: String,
    /// Liquibase's description of it.
    pub description: String,
    /// Whether its own `dbms` is ours; otherwise it does not run and counts in no checksum of version 9.
    pub applies: bool,
    /// What it runs.
    pub work: Work,
    /// Its part of the changeset's checksum of version 9: `9:` and 32 hex digits.
    pub checksum: String,
    /// The same by the rules of older versions, where they are known.
    pub older: Vec<String>,
    /// Whether `checksum` follows Liquibase's rule for sure.
    pub certain: bool,
}

/// What a change runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Somebody's SQL.
    Sql(Text),
    /// Statements that were made here from a structural change.
    Statements(Vec<String>),
    /// `tagDatabase`.
    Tag(String),
    /// `empty`, `output`.
    Nothing,
}

impl Change {
    /// Its SQL, unless it is too long to hold.
    pub fn content(&self) -> Option<Cow<'_, str>> {
        match &self.work {
            Work::Sql(text) => text.held.as_deref().map(Cow::Borrowed),
            Work::Statements(statements) => Some(Cow::Owned(statements.join(";\n"))),
            Work::Tag(_) | Work::Nothing => Some(Cow::Borrowed("")),
        }
    }

    /// Where its text is not UTF-8.
    pub fn damaged(&self) -> Option<&Place> {
        match &self.work {
            Work::Sql(text) => text.damaged.as_ref(),
            _ => None,
        }
    }
}
