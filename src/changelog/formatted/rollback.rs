//! How a changeset of formatted SQL is undone: nothing to do, another changeset, or SQL.

use crate::changelog::Rollback;
use crate::changelog::text::pipe::{Rules, trimmed};

use super::attributes;
use super::delimiter::prepared;

/// Reads the lines of all `--rollback`s and rollback blocks. The error says what is missing.
pub fn read(
    text: &str,
    rules: &Rules,
    expand: &dyn Fn(&str) -> String,
) -> Result<Rollback, String> {
    let text = trimmed(text);
    if text.is_empty() {
        return Ok(Rollback::Unknown);
    }
    let lower = text.to_lowercase();
    let nothing = lower.starts_with("not required") || lower.starts_with("empty");
    if nothing && !text.contains('\n') {
        return Ok(Rollback::Nothing);
    }
    if lower.contains("changesetid") {
        let joined = text.replace('\n', "");
        let value = |name: &str| {
            let found = attributes::text(&joined, name).filter(|it| !it.is_empty());
            found.map(str::to_owned).ok_or_else(|| format!("the rollback names no `{name}`"))
        };
        return Ok(Rollback::Changeset {
            id: value("changesetId")?,
            author: value("changesetAuthor")?,
            path: value("changesetPath").ok(),
        });
    }
    let sql = expand(text);
    let sql = prepared(trimmed(&sql), rules.end_delimiter.as_deref(), rules.split);
    Ok(Rollback::Sql(sql.into_owned()))
}
