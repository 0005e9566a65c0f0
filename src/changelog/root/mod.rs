//! Root changelogs in YAML, JSON and XML, and what they include.
//!
//! [`read`] takes a root file of any kind or a folder, follows its includes in the order of
//! the text, and gives all changesets in running order. A file that includes itself, a
//! changeset that stands twice, and every name that is not known are refused; all
//! that is wrong is told at once.

mod changes;
mod changeset;
mod conditions;
pub mod node;
mod property;
mod rollback;
mod scalar;
#[cfg(test)]
mod tests;
mod walk;
mod xml;
mod yaml;

use std::collections::HashMap;

pub use node::Node;

use super::{
    Changelog, ChangelogError, Changeset, FileError, Files, Identity, Order, Properties, Rollback,
    Style, expression,
};

/// Reads a root file (`.yaml`, `.yml`, `.json`, `.xml`, `.sql`) or a folder, which is taken in the
/// order of `includeAll` or, if all its files begin with one, of their numbers.
pub fn read(
    files: &dyn Files,
    path: &str,
    properties: &mut Properties,
) -> Result<Changelog, Vec<ChangelogError>> {
    let mut walk = walk::Walk::new(files, properties);
    walk.root(path);
    let walk::Walk { mut changesets, preconditions, warnings, mut errors, .. } = walk;
    errors.extend(twice(&changesets, properties));
    errors.extend(dangling(&changesets));
    if !errors.is_empty() {
        return Err(errors);
    }
    changesets.sort_by_key(|changeset| match changeset.run.order {
        Order::First => 0,
        Order::AsWritten => 1,
        Order::Last => 2,
    });
    Ok(Changelog { style: Style::Liquibase, changesets, preconditions, warnings })
}

/// An identity as it is compared.
fn key(identity: &Identity) -> (String, String, String) {
    (identity.id.to_lowercase(), identity.author.to_lowercase(), identity.path.to_lowercase())
}

/// The changesets that stand twice. Those that this run leaves out do not count: the same identity
/// may be written once for each context or database.
fn twice(changesets: &[Changeset], properties: &Properties) -> Vec<ChangelogError> {
    let mut seen: HashMap<_, &Changeset> = HashMap::with_capacity(changesets.len());
    let mut errors = Vec::new();
    for changeset in changesets {
        let filter = &changeset.filter;
        match properties.selection().takes(filter) {
            Ok(true) if expression::dbms_matches(filter.dbms.as_deref()) && !filter.ignored => {}
            Ok(_) => continue,
            Err(what) => {
                errors.push(ChangelogError::at(&changeset.place, what));
                continue;
            }
        }
        if let Some(first) = seen.insert(key(&changeset.identity), changeset) {
            let identity = &changeset.identity;
            let what = format!(
                "the changeset `{identity}` of `{}` stands here and in {}",
                identity.path, first.place
            );
            let hint = "Give one of them another id, or include its file only once.";
            errors.push(ChangelogError::at(&changeset.place, what).hint(hint));
        }
    }
    errors
}

/// Rollbacks that name a changeset which is not there.
fn dangling(changesets: &[Changeset]) -> Vec<ChangelogError> {
    let mut known = None;
    let mut errors = Vec::new();
    for changeset in changesets {
        let Rollback::Changeset { id, author, path } = &changeset.rollback else { continue };
        let known = known.get_or_insert_with(|| {
            changesets.iter().map(|it| key(&it.identity)).collect::<std::collections::HashSet<_>>()
        });
        let path = path.as_ref().unwrap_or(&changeset.identity.path).clone();
        let named = Identity { id: id.clone(), author: author.clone(), path };
        if !known.contains(&key(&named)) {
            let what =
                format!("its rollback names `{named}` of `{}`, which is not there", named.path);
            errors.push(ChangelogError::at(&changeset.place, what));
        }
    }
    errors
}

/// All of a file.
pub(crate) fn bytes(files: &dyn Files, path: &str) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    match files.open(path)?.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(FileError::Unreadable(path.to_owned(), error.to_string())),
    }
}

/// Without what Java's `trim` takes away at both ends: blanks and control characters.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}
