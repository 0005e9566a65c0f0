//! Liquibase's formatted SQL: comments that cut a file into changesets.

pub mod delimiter;

use super::{ChangelogError, Changeset, Files, Properties};

/// What a file gets from the includes above it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    /// Context expressions, from the innermost file outwards.
    pub contexts: Vec<String>,
    /// Lists of labels, from the innermost file outwards.
    pub labels: Vec<String>,
    /// The logical path that an include gives to its file.
    pub logical_path: Option<String>,
    /// `ignore` of an include.
    pub ignored: bool,
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// In the order of the file.
    pub changesets: Vec<Changeset>,
    /// What was understood otherwise than its author may have meant.
    pub warnings: Vec<String>,
}

/// Whether the first line that is not blank says `--liquibase formatted sql`.
pub fn is_formatted(_files: &dyn Files, _path: &str) -> Result<bool, ChangelogError> {
    Ok(false)
}

/// Reads a `.sql` file: a formatted one, or one that is a single changeset as a whole (`raw`).
/// Property lines are added to `properties`.
pub fn read(
    _files: &dyn Files,
    _path: &str,
    _properties: &mut Properties,
    _inherited: &Inherited,
) -> Result<Contents, Vec<ChangelogError>> {
    Ok(Contents::default())
}
