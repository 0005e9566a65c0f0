//! Indexes and sequences.
//!
//! A column of an index may be an expression, if its author says so (`computed`)
//! or it has a bracket, as Liquibase takes it. A sequence is created only if there
//! is none, which is Liquibase's doing too.

use super::column;
use super::given::Given;
use super::name::{self, qualified, quoted};
use crate::changelog::ChangelogError;

/// What an index is there for already, so that none is made.
const OF_CONSTRAINTS: [&str; 3] = ["primaryKey", "uniqueConstraint", "foreignKey"];

/// `createIndex`.
pub fn create_index(given: &Given) -> Result<Vec<String>, ChangelogError> {
    if associated(given) {
        return Ok(Vec::new());
    }
    let table = name::table(given);
    let name = given.filled("indexName").map(quoted);
    let mut columns = Vec::new();
    for it in given.columns() {
        let name = column::name_of(it)?;
        let computed = it.flag("computed").unwrap_or(name.contains('('));
        let order = if it.is("descending") { " DESC" } else { "" };
        let key = if computed { expression(name) } else { quoted(name) };
        columns.push(format!("{key}{order}"));
    }
    let unique = if given.is("unique") { "UNIQUE " } else { "" };
    let shown = name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
    let mut sql = format!("CREATE {unique}INDEX {shown}ON {table}({})", columns.join(", "));
    if let Some(space) = given.filled("tablespace") {
        sql.extend([" TABLESPACE ", &quoted(space)]);
    }
    let mut statements = vec![sql];
    if given.is("clustered") {
        let Some(name) = name else {
            return Err(given.error("a clustered index needs an `indexName`"));
        };
        statements.push(format!("CLUSTER {table} USING {name}"));
    }
    Ok(statements)
}

/// An expression as its author wrote it; the author gives the brackets that it needs.
fn expression(text: &str) -> String {
    text.trim().to_owned()
}

/// `dropIndex`.
pub fn drop_index(given: &Given) -> Vec<String> {
    if associated(given) {
        return Vec::new();
    }
    vec![format!("DROP INDEX {}", qualified(given.text("schemaName"), given.needed("indexName")))]
}

fn associated(given: &Given) -> bool {
    let with = given.text("associatedWith").unwrap_or_default();
    name::split(with).any(|it| OF_CONSTRAINTS.contains(&it))
}

/// `createSequence`.
pub fn create_sequence(given: &Given) -> Result<String, ChangelogError> {
    refuse_ordered(given)?;
    let mut sql = format!("CREATE SEQUENCE IF NOT EXISTS {}", sequence(given));
    if let Some(kind) = given.filled("dataType") {
        sql.extend([" AS ", kind]);
    }
    option(&mut sql, given, "startValue", "START WITH");
    options(&mut sql, given);
    if given.text("cacheSize") != Some("0") {
        option(&mut sql, given, "cacheSize", "CACHE");
    }
    sql.push_str(if given.is("cycle") { " CYCLE" } else { "" });
    Ok(sql)
}

/// `alterSequence`.
pub fn alter_sequence(given: &Given) -> Result<String, ChangelogError> {
    refuse_ordered(given)?;
    let mut sql = format!("ALTER SEQUENCE {}", sequence(given));
    if let Some(kind) = given.filled("dataType") {
        sql.extend([" AS ", kind]);
    }
    options(&mut sql, given);
    option(&mut sql, given, "cacheSize", "CACHE");
    match given.flag("cycle") {
        Some(true) => sql.push_str(" CYCLE"),
        Some(false) => sql.push_str(" NO CYCLE"),
        None => {}
    }
    Ok(sql)
}

/// `dropSequence`.
pub fn drop_sequence(given: &Given) -> String {
    format!("DROP SEQUENCE {} CASCADE", sequence(given))
}

fn sequence(given: &Given) -> String {
    qualified(given.text("schemaName"), given.needed("sequenceName"))
}

fn options(sql: &mut String, given: &Given) {
    option(sql, given, "incrementBy", "INCREMENT BY");
    option(sql, given, "minValue", "MINVALUE");
    option(sql, given, "maxValue", "MAXVALUE");
}

fn option(sql: &mut String, given: &Given, field: &str, word: &str) {
    if let Some(number) = given.text(field) {
        sql.extend([" ", word, " ", number]);
    }
}

fn refuse_ordered(given: &Given) -> Result<(), ChangelogError> {
    given.refuse("ordered", "PostgreSQL has no ordered sequences. Leave it out.")
}
