//! `rollback` of a changeset in a root changelog: a text, changes whose statements
//! undo it, another changeset, or nothing.
//!
//! It becomes one text of SQL, so that the history can keep it without the files.

use super::changeset::{Around, logical};
use super::node::Node;
use super::{changes, trimmed};
use crate::changelog::{ChangelogError, Rollback, Work};

/// Reads one `rollback`.
pub fn read(node: &Node, around: &Around) -> Result<Rollback, ChangelogError> {
    const REFERENCE: [&str; 3] = ["changeSetId", "changeSetAuthor", "changeSetPath"];
    if let Some(id) = node.filled("changeSetId") {
        node.only(&REFERENCE)?;
        return Ok(Rollback::Changeset {
            id: id.to_owned(),
            author: node.required("changeSetAuthor")?.to_owned(),
            path: node.filled("changeSetPath").map(logical),
        });
    }
    let mut sql = String::new();
    for text in node.texts().iter().map(|text| trimmed(text)).filter(|text| !text.is_empty()) {
        let lower = text.to_lowercase();
        if lower != "empty" && !lower.starts_with("not required") {
            statement(&mut sql, text);
        }
    }
    for child in node.children().iter().filter(|child| !child.is("comment")) {
        let change = changes::read(child, around)?;
        if !change.applies {
            continue;
        }
        match change.work {
            Work::Sql(text) => {
                // A long one is not held, but it must be kept all the same.
                let mut whole = String::new();
                text.read(around.files, &mut |piece| {
                    whole.push_str(piece);
                    true
                })?;
                statement(&mut sql, &whole);
            }
            Work::Statements(all) => all.iter().for_each(|one| statement(&mut sql, one)),
            Work::Nothing => {}
            Work::Tag(_) | Work::Load(_) => {
                return Err(child.error(format!("`{}` cannot stand in a rollback", child.name())));
            }
        }
    }
    Ok(if sql.is_empty() { Rollback::Nothing } else { Rollback::Sql(sql) })
}

/// A changeset may have several; they run one after the other.
pub fn add(all: &mut Rollback, more: Rollback) {
    match (&mut *all, more) {
        (Rollback::Sql(sql), Rollback::Sql(more)) => statement(sql, &more),
        (Rollback::Sql(_) | Rollback::Changeset { .. }, Rollback::Nothing) => {}
        (_, more) => *all = more,
    }
}

/// Adds a statement on lines of its own.
fn statement(sql: &mut String, more: &str) {
    if !sql.is_empty() {
        sql.push('\n');
    }
    sql.push_str(more);
    // A comment at the end would take the semicolon with it.
    let last = more.lines().next_back().unwrap_or_default();
    if last.contains("--") {
        sql.push_str("\n;");
    } else if !last.trim_end().ends_with(';') {
        sql.push(';');
    }
}
