//! How a changeset of formatted SQL is undone: nothing to do, another changeset, or SQL.

use crate::changelog::Rollback;
use crate::changelog::text::pipe::{Rules, trimmed};

use super::attributes::Attributes;
use super::delimiter::prepared;
use super::directive::after;

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
    let nothing = after(text, "not required").or_else(|| after(text, "empty")).is_some();
    if nothing && !text.contains('\n') {
        return Ok(Rollback::Nothing);
    }
    if contains(text, "changesetid") {
        let joined = text.replace('\n', "");
        let all = Attributes::of(&joined);
        let value = |name: &str| {
            let found = all.text(name).filter(|it| !it.is_empty());
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

fn contains(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|it| it.eq_ignore_ascii_case(word.as_bytes()))
}
