//! Tables: `createTable`, `dropTable`, `renameTable`, and what is remarked of them.
//!
//! Keys and constraints of a new table are written behind its columns, in
//! Liquibase's order, so that the names which the server makes up are the same.
//! `checkConstraint` says nothing here, as in Liquibase without its Pro edition.

use super::column;
use super::given::Given;
use super::kind::Kind;
use super::name::{self, qualified, quoted};
use super::value;
use crate::changelog::ChangelogError;
use crate::sql::literal;

/// `createTable`.
pub fn create(given: &Given) -> Result<Vec<String>, ChangelogError> {
    let kind = given.filled("tableType").unwrap_or_default();
    let table = if kind.to_ascii_lowercase().contains("temp") {
        // A temporary table is in a schema of its own.
        quoted(given.needed("tableName"))
    } else {
        name::table(given)
    };
    let mut parts = Vec::new();
    for column in given.columns() {
        parts.push(defined(column)?);
    }
    parts.extend(primary_key(given));
    parts.extend(foreign_keys(given)?);
    parts.extend(unique(given));
    let mut sql = format!("CREATE {}", kind.to_ascii_uppercase());
    sql.push_str(if kind.is_empty() { "TABLE " } else { " TABLE " });
    sql.push_str(if given.is("ifNotExists") { "IF NOT EXISTS " } else { "" });
    sql.extend([&table, " (", &parts.join(", "), ")"]);
    if let Some(space) = given.filled("tablespace") {
        sql.extend([" TABLESPACE ", &quoted(space)]);
    }
    let mut statements = vec![sql];
    statements.extend(given.filled("remarks").map(|_| remark_on_table(given)));
    statements.extend(column::remarks(given));
    Ok(statements)
}

/// A column of a new table.
fn defined(column: &Given) -> Result<String, ChangelogError> {
    let name = column::name_of(column)?;
    if column.is("computed") && column.filled("type").is_none() {
        // The name is the whole definition.
        return Ok(if name.contains('(') { name.to_owned() } else { quoted(name) });
    }
    let kind = column::kind_of(column)?;
    let mut sql = format!("{} {}", quoted(name), kind.sql);
    sql.push_str(&default(column, &kind));
    if kind.increments || column.is("autoIncrement") {
        sql.push_str(&column::identity(column));
    }
    if column.constraints().is_some_and(|it| it.flag("nullable") == Some(false)) {
        sql.push_str(" NOT NULL");
    }
    Ok(sql)
}

fn default(column: &Given, kind: &Kind) -> String {
    match value::default(column, Some(kind)) {
        Some(default) if default.starts_with("GENERATED ALWAYS ") => format!(" {default}"),
        Some(default) => format!(" DEFAULT {default}"),
        None => String::new(),
    }
}

fn primary_key(given: &Given) -> Option<String> {
    let keys: Vec<_> = given
        .columns()
        .iter()
        .filter_map(|column| Some((column, column.constraints().filter(|it| it.is("primaryKey"))?)))
        .collect();
    // The first column of the key speaks for all.
    let (_, first) = keys.first()?;
    let made_up = || name::primary_key(given.needed("tableName"));
    let constraint = first.filled("primaryKeyName").map_or_else(made_up, str::to_owned);
    let columns: Vec<_> = keys.iter().map(|(column, _)| quoted(column.needed("name"))).collect();
    let mut sql =
        format!("CONSTRAINT {} PRIMARY KEY ({})", quoted(&constraint), columns.join(", "));
    if let Some(space) = first.filled("primaryKeyTablespace") {
        sql.extend([" USING INDEX TABLESPACE ", &quoted(space)]);
    }
    sql.push_str(&deferred(first));
    Some(sql)
}

fn foreign_keys(given: &Given) -> Result<Vec<String>, ChangelogError> {
    let mut keys = Vec::new();
    for column in given.columns() {
        let Some((constraints, target)) = column::reference(column, true)? else { continue };
        let Some(constraint) = constraints.filled("foreignKeyName") else {
            return Err(constraints.error("a reference needs a `foreignKeyName`"));
        };
        let mut sql = format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {target}",
            quoted(constraint),
            quoted(column.needed("name")),
        );
        sql.push_str(if constraints.is("deleteCascade") { " ON DELETE CASCADE" } else { "" });
        sql.push_str(&deferred(constraints));
        keys.push(sql);
    }
    Ok(keys)
}

fn unique(given: &Given) -> Vec<String> {
    let mut unnamed = Vec::new();
    let mut named: Vec<(&str, Vec<String>)> = Vec::new();
    for column in given.columns() {
        let Some(constraints) = column.constraints().filter(|it| it.is("unique")) else { continue };
        let column = quoted(column.needed("name"));
        match constraints.text("uniqueConstraintName") {
            None => unnamed.push(format!("UNIQUE ({column})")),
            // Columns that share a name share the constraint.
            Some(name) => match named.iter_mut().find(|(it, _)| *it == name) {
                Some((_, columns)) => columns.push(column),
                None => named.push((name, vec![column])),
            },
        }
    }
    let named = named.into_iter().map(|(name, columns)| {
        format!("CONSTRAINT {} UNIQUE ({})", quoted(name), columns.join(", "))
    });
    unnamed.into_iter().chain(named).collect()
}

fn deferred(constraints: &Given) -> String {
    let mut sql = String::new();
    sql.push_str(if constraints.is("deferrable") { " DEFERRABLE" } else { "" });
    sql.push_str(if constraints.is("initiallyDeferred") { " INITIALLY DEFERRED" } else { "" });
    sql
}

/// `dropTable`.
pub fn drop(given: &Given) -> String {
    let cascade = if given.is("cascadeConstraints") { " CASCADE" } else { "" };
    format!("DROP TABLE {}{cascade}", name::table(given))
}

/// `renameTable`, `renameView` and `renameSequence`, which are renamed alike.
pub fn rename(given: &Given, kind: &str, old: &str, new: &str) -> String {
    let old = qualified(given.text("schemaName"), given.needed(old));
    format!("ALTER {kind} {old} RENAME TO {}", quoted(given.needed(new)))
}

/// `setTableRemarks`, and the remarks of a new table.
pub fn remark_on_table(given: &Given) -> String {
    let remarks = given.text("remarks").unwrap_or_default().trim();
    format!("COMMENT ON TABLE {} IS {}", name::table(given), literal(remarks))
}
