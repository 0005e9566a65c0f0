//! Liquibase's formatted SQL: comments that cut a file into changesets.
//!
//! It follows Liquibase 4.28 line by line, so that a history that Liquibase wrote
//! is found again and a file means the same to both. A `.sql` file without the
//! heading is one changeset as a whole (`raw`). Where Liquibase silently does
//! something that nobody means, there is a warning.

pub mod attributes;
pub mod delimiter;
pub mod directive;
mod header;
mod precondition;
mod reader;
mod rollback;
mod walk;

use super::checksum::{Checksum, v9};
use super::expression::{join, join_labels};
use super::text::pipe::{Made, Rules, trimmed};
use super::text::{each_line, whole};
use super::{
    Change, ChangelogError, Changeset, Files, Filter, Identity, Place, Properties, Rollback, Run,
    Work, plain,
};
use directive::Directive;
pub use walk::replay;

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
pub fn is_formatted(files: &dyn Files, path: &str) -> Result<bool, ChangelogError> {
    let mut formatted = false;
    each_line(files, path, &mut |line| {
        let blank = trimmed(&line.text).is_empty();
        formatted = !blank && matches!(directive::of(&line.text), Directive::Header);
        blank
    })?;
    Ok(formatted)
}

/// Reads a `.sql` file: a formatted one, or one that is a single changeset as a whole (`raw`).
/// Property lines are added to `properties`. All errors of the file are given at once.
pub fn read(
    files: &dyn Files,
    path: &str,
    properties: &mut Properties,
    inherited: &Inherited,
) -> Result<Contents, Vec<ChangelogError>> {
    if is_formatted(files, path).map_err(|error| vec![error])? {
        return reader::read(files, path, properties, inherited);
    }
    let commented = plain::look(files, path).map_err(|error| vec![error])?;
    let changeset = raw(files, path, inherited).map_err(|error| vec![error])?;
    let warnings = commented.map(|line| {
        format!(
            "{path}:{line}: `--changeset` is only a comment here, for the file does not begin with \
             `--liquibase formatted sql`; all of it is one changeset"
        )
    });
    let warnings = warnings.into_iter().collect();
    Ok(Contents { changesets: vec![changeset], warnings })
}

/// A file that is one changeset, as Liquibase reads it: properties are not expanded, and nothing is
/// split.
fn raw(files: &dyn Files, path: &str, inherited: &Inherited) -> Result<Changeset, ChangelogError> {
    let place = Place { file: path.to_owned(), line: 1 };
    let Some(made) = whole(files, path, Rules::default(), None)? else {
        let hint = "Write its SQL, or remove the file.";
        return Err(ChangelogError::at(&place, "the file is empty").hint(hint));
    };
    let Made { text, checksum: inner, older } = made;
    let stored = inherited.logical_path.as_deref().unwrap_or(path);
    let identity =
        |id: String| Identity { id, author: "includeAll".into(), path: header::stored(stored) };
    Ok(Changeset {
        // One release of Liquibase made the path a part of the id.
        legacy: vec![identity(format!("raw_{}", path.replace('/', "_")))],
        identity: identity("raw".into()),
        place,
        changes: vec![change(Work::Sql(text), inner.clone())],
        rollback: Rollback::Unknown,
        filter: Filter {
            contexts: inherited.contexts.clone(),
            labels: inherited.labels.clone(),
            dbms: None,
            ignored: inherited.ignored,
            contexts_column: join(&inherited.contexts, ""),
            labels_column: join_labels(&inherited.labels, ""),
        },
        run: Run::default(),
        preconditions: None,
        valid_checksums: Vec::new(),
        comments: String::new(),
        description: "sql".into(),
        tag: None,
        checksum: Checksum { current: v9(&[&inner]), older, certain: true },
        flyway: None,
    })
}

/// The one change of a changeset, with its checksum.
fn change(work: Work, checksum: String) -> Change {
    Change {
        kind: "sql".into(),
        description: "sql".into(),
        applies: true,
        work,
        checksum,
        // The changeset's own are made from its SQL once somebody asks.
        older: Vec::new(),
        certain: true,
    }
}

#[cfg(test)]
mod tests;
