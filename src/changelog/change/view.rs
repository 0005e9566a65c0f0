//! Views and procedures: SQL of the author's, in a file or in the changelog.
//!
//! Their checksum has two parts: the fields, and the text without its white
//! space. A file's text is read here, with its properties expanded; it is held as
//! a whole, for a view is as long as somebody wrote it.

use std::io::Read;

use super::given::Given;
use super::name::{qualified, quoted};
use super::{Context, serial};
use crate::changelog::text::{NUL, NUL_HINT};
use crate::changelog::{ChangelogError, checksum};
use crate::sql::literal;

/// The statements of a change, and its checksum.
pub struct Made {
    /// What runs.
    pub statements: Vec<String>,
    /// Of version 9.
    pub checksum: String,
}

/// `createView`.
pub fn create(given: &Given, context: &Context<'_>) -> Result<Made, ChangelogError> {
    let text = text(given, "selectQuery", context)?;
    let query = text.trim();
    let replace = given.is("replaceIfExists") && !query.to_ascii_uppercase().contains("OR REPLACE");
    let view = qualified(given.text("schemaName"), given.needed("viewName"));
    let sql = if given.is("fullDefinition") {
        if replace { replaced(query) } else { query.to_owned() }
    } else {
        format!("CREATE {}VIEW {view} AS {query}", if replace { "OR REPLACE " } else { "" })
    };
    let remarks = given.filled("remarks");
    let remarks = remarks.map(|text| format!("COMMENT ON VIEW {view} IS {}", literal(text)));
    let statements = [sql].into_iter().chain(remarks).collect();
    Ok(Made { statements, checksum: sum(given, &text) })
}

/// The first `CREATE` made `CREATE OR REPLACE`.
fn replaced(query: &str) -> String {
    let is_create =
        |at: &usize| query.get(*at..at + 6).is_some_and(|word| word.eq_ignore_ascii_case("create"));
    match (0..query.len()).find(is_create) {
        Some(at) => format!("{}CREATE OR REPLACE{}", &query[..at], &query[at + 6..]),
        None => query.to_owned(),
    }
}

/// `dropView`.
pub fn drop(given: &Given) -> String {
    let there = if given.is("ifExists") { "IF EXISTS " } else { "" };
    format!("DROP VIEW {there}{}", qualified(given.text("schemaName"), given.needed("viewName")))
}

/// `createProcedure`.
pub fn procedure(given: &Given, context: &Context<'_>) -> Result<Made, ChangelogError> {
    given.refuse(
        "replaceIfExists",
        "Liquibase refuses it for PostgreSQL too. Write `CREATE OR REPLACE` in the text.",
    )?;
    let inside =
        if given.value("procedureText").is_some() { "procedureText" } else { "procedureBody" };
    let text = text(given, inside, context)?;
    let mut sql = text.trim().to_owned();
    if let Some(schema) = given.filled("schemaName") {
        sql = in_schema(&sql, schema);
    }
    Ok(Made { statements: vec![sql], checksum: sum(given, &text) })
}

/// The name behind the first `PROCEDURE` put into a schema.
fn in_schema(sql: &str, schema: &str) -> String {
    use crate::sql::scan::{Token, tokens};
    let tokens = tokens(sql);
    let at = |part: &str| part.as_ptr() as usize - sql.as_ptr() as usize;
    let is_keyword = |token: &Token<'_>| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("procedure"));
    let Some(keyword) = tokens.iter().position(is_keyword) else { return sql.to_owned() };
    let (Some(Token::Word(name) | Token::Quoted(name)), next) =
        (tokens.get(keyword + 1), tokens.get(keyword + 2))
    else {
        return sql.to_owned();
    };
    // A schema that is there already is replaced.
    let name = match (next, tokens.get(keyword + 3)) {
        (Some(Token::Other(".")), Some(Token::Word(second) | Token::Quoted(second))) => second,
        _ => name,
    };
    let start = at(match tokens[keyword + 1] {
        Token::Word(first) | Token::Quoted(first) => first,
        _ => name,
    });
    format!("{}{}.{name}{}", &sql[..start], quoted(schema), &sql[at(name) + name.len()..])
}

/// The text, from the file or the change.
fn text(given: &Given, inside: &str, context: &Context<'_>) -> Result<String, ChangelogError> {
    match (given.filled("path"), given.filled(inside)) {
        (Some(_), Some(_)) => {
            let what = format!("`{}` has both a `path` and a text", given.shape.name);
            Err(given.error(what))
        }
        (None, None) => {
            let what = format!("`{}` has neither a `path` nor a text", given.shape.name);
            Err(given.error(what))
        }
        (None, Some(_)) => Ok(given.needed(inside).to_owned()),
        (Some(path), None) => {
            super::only_utf8(given)?;
            let path = context.path(given, path)?;
            let mut bytes = Vec::new();
            let mut file = context.files.open(&path).map_err(|error| at(given, error))?;
            file.read_to_end(&mut bytes)
                .map_err(|error| given.error(format!("`{path}` cannot be read: {error}")))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| given.error(format!("`{path}` is not UTF-8")))?;
            if text.contains('\0') {
                return Err(given.error(format!("`{path}`: {NUL}")).hint(NUL_HINT));
            }
            Ok((context.expand)(text.strip_prefix('\u{feff}').unwrap_or(&text)))
        }
    }
}

/// A file's error, where the change stands that names it.
pub fn at(given: &Given, error: crate::changelog::FileError) -> ChangelogError {
    let mut made = given.error(error.to_string());
    made.hint = error.hint().map(str::to_owned);
    made
}

fn sum(given: &Given, text: &str) -> String {
    let parts = format!("{}:{}", serial::checksum(given), checksum::squeezed_md5(text));
    checksum::of_text(9, &parts)
}
