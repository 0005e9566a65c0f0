//! Columns: added, dropped, renamed, retyped, and what they may be null about.
//!
//! `addColumn` gives several statements in Liquibase's order: the columns with
//! their constraints, then the values, then what must not be null, then remarks.
//! Where a column goes (`afterColumn`) cannot be said in PostgreSQL and is left
//! out; `primaryKeyName` of an added column is left out by Liquibase as well.

use super::given::Given;
use super::kind::Kind;
use super::name::{self, qualified, quoted};
use super::value;
use crate::changelog::ChangelogError;
use crate::sql::literal;

/// The name of a column, without which it is none.
pub fn name_of(column: &Given) -> Result<&str, ChangelogError> {
    column.filled("name").ok_or_else(|| column.error("`column` has no `name`"))
}

/// The type of a column.
pub fn kind_of(column: &Given) -> Result<Kind, ChangelogError> {
    let Some(text) = column.filled("type") else {
        let name = column.needed("name");
        return Err(column.error(format!("the column `{name}` has no `type`")));
    };
    Kind::of(text).map_err(|what| column.error(what))
}

/// ` GENERATED … AS IDENTITY (…)`.
pub fn identity(column: &Given) -> String {
    let when = match column.filled("generationType") {
        Some(text) if text.eq_ignore_ascii_case("always") => "ALWAYS",
        _ => "BY DEFAULT",
    };
    let mut options = Vec::new();
    options.extend(column.text("startWith").map(|start| format!("START WITH {start}")));
    options.extend(column.text("incrementBy").map(|step| format!("INCREMENT BY {step}")));
    let options =
        if options.is_empty() { String::new() } else { format!(" ({})", options.join(" ")) };
    format!(" GENERATED {when} AS IDENTITY{options}")
}

/// The constraints of a column that refers to another, with `"table"("column")` as SQL text. Of a new
/// table Liquibase writes `references` as it stands, so that the server folds the names.
pub fn reference(column: &Given, folded: bool) -> Result<Option<(&Given, String)>, ChangelogError> {
    let Some(constraints) = column.constraints() else { return Ok(None) };
    let target = match (constraints.filled("references"), constraints.filled("referencedTableName"))
    {
        (Some(text), _) => referenced(text, folded).ok_or_else(|| {
            constraints
                .error(format!("`references` is `{text}`; it must be a table with its columns"))
                .hint("Write it as `table(column)` or `schema.table(column)`.")
        })?,
        (None, Some(table)) => match constraints.filled("referencedColumnNames") {
            None => return Ok(None),
            Some(columns) => {
                let schema = constraints.text("referencedTableSchemaName");
                format!("{}({})", qualified(schema, table), name::list(columns))
            }
        },
        (None, None) => return Ok(None),
    };
    Ok(Some((constraints, target)))
}

/// `schema.table(a, b)`, each name by itself, quoted.
fn referenced(text: &str, folded: bool) -> Option<String> {
    let names = |text: &str, between: char| -> Option<Vec<String>> {
        text.split(between).map(|name| as_written(name.trim(), folded)).collect()
    };
    let (table, columns) = match text.trim().split_once('(') {
        Some((table, columns)) => (table, Some(names(columns.strip_suffix(')')?, ',')?)),
        None => (text.trim(), None),
    };
    let columns = columns.map(|columns| format!("({})", columns.join(", ")));
    Some(names(table, '.')?.join(".") + &columns.unwrap_or_default())
}

/// A name that may have its quotes already.
fn as_written(name: &str, folded: bool) -> Option<String> {
    let inside = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    match inside {
        Some(inside) => (!inside.replace("\"\"", "").contains('"')).then(|| name.to_owned()),
        None if name.is_empty() || name.contains(['(', ')', '"', '\0']) => None,
        None if folded => Some(format!("\"{}\"", name.to_ascii_lowercase())),
        None => Some(quoted(name)),
    }
}

/// `addColumn`.
pub fn add(given: &Given) -> Result<Vec<String>, ChangelogError> {
    let table = name::table(given);
    let (mut statements, mut values, mut filled) = (Vec::new(), Vec::new(), Vec::new());
    for column in given.columns() {
        let name = quoted(name_of(column)?);
        let mut sql = format!("ALTER TABLE {table} ADD {name} ");
        let kind = kind_of(column)?;
        sql.push_str(&kind.sql);
        if kind.increments || column.is("autoIncrement") {
            sql.push_str(&identity(column));
        }
        if let Some(default) = value::default(column, Some(&kind)) {
            sql.extend([" DEFAULT ", &default]);
        }
        let constraints = column.constraints();
        let must = constraints.is_some_and(|it| it.flag("nullable") == Some(false));
        if must && !value::has_one(column) {
            sql.push_str(" NOT NULL");
        } else if must {
            filled.push(format!("ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL"));
        }
        if constraints.is_some_and(|it| it.is("primaryKey")) {
            sql.push_str(" PRIMARY KEY");
        }
        statements.push(sql);
        if let Some(constraints) = constraints.filter(|it| it.is("unique")) {
            let constraint = constraint(constraints.filled("uniqueConstraintName"));
            statements.push(format!("ALTER TABLE {table} ADD {constraint}UNIQUE ({name})"));
        }
        if let Some((constraints, target)) = reference(column, false)? {
            let constraint = constraint(constraints.filled("foreignKeyName"));
            let cascade = if constraints.is("deleteCascade") { " ON DELETE CASCADE" } else { "" };
            let unchecked = constraints.flag("validateForeignKey") == Some(false);
            let valid = if unchecked { " NOT VALID" } else { "" };
            statements.push(format!(
                "ALTER TABLE {table} ADD {constraint}FOREIGN KEY ({name}) REFERENCES \
                 {target}{cascade}{valid}"
            ));
        }
        if value::has_one(column) {
            let value = value::of(column, None)?;
            values.push(format!("UPDATE {table} SET {name} = {value}"));
        }
    }
    statements.extend(values);
    statements.extend(filled);
    statements.extend(remarks(given));
    Ok(statements)
}

/// `CONSTRAINT "name" `, if it has a name.
fn constraint(name: Option<&str>) -> String {
    name.map(|name| format!("CONSTRAINT {} ", quoted(name))).unwrap_or_default()
}

/// The remarks of a change's columns.
pub fn remarks(given: &Given) -> Vec<String> {
    let table = name::table(given);
    let remarked = given.columns().iter().filter_map(|column| {
        let (name, remarks) = (column.filled("name")?, column.filled("remarks")?);
        Some(format!("COMMENT ON COLUMN {table}.{} IS {}", quoted(name), literal(remarks)))
    });
    remarked.collect()
}

/// `setColumnRemarks`.
pub fn set_remarks(given: &Given) -> String {
    let remarks = literal(given.text("remarks").unwrap_or_default().trim());
    let column = quoted(given.needed("columnName"));
    format!("COMMENT ON COLUMN {}.{column} IS {remarks}", name::table(given))
}

/// `dropColumn`, of one or several.
pub fn drop(given: &Given) -> Result<Vec<String>, ChangelogError> {
    let table = name::table(given);
    let sql = |name: &str| format!("ALTER TABLE {table} DROP COLUMN {}", quoted(name));
    let columns: Result<Vec<_>, _> = given.columns().iter().map(name_of).collect();
    let columns = columns?;
    match given.filled("columnName") {
        _ if !columns.is_empty() => Ok(columns.into_iter().map(sql).collect()),
        Some(name) => Ok(vec![sql(name)]),
        None => Err(given.error("`dropColumn` has no `columnName`")),
    }
}

/// `renameColumn`.
pub fn rename(given: &Given) -> String {
    let (old, new) = (quoted(given.needed("oldColumnName")), quoted(given.needed("newColumnName")));
    format!("ALTER TABLE {} RENAME COLUMN {old} TO {new}", name::table(given))
}

/// `modifyDataType`.
pub fn retype(given: &Given) -> Result<String, ChangelogError> {
    let kind = Kind::of(given.needed("newDataType")).map_err(|what| given.error(what))?;
    let column = quoted(given.needed("columnName"));
    let kind = kind.sql;
    Ok(format!("{} TYPE {kind} USING ({column}::{kind})", altered(given)))
}

/// `addNotNullConstraint`.
pub fn forbid_null(given: &Given) -> Result<Vec<String>, ChangelogError> {
    let mut statements = Vec::new();
    let filling = given.text("defaultNullValue").filter(|it| !it.eq_ignore_ascii_case("null"));
    if let Some(text) = filling {
        let value = value::string(text).ok_or_else(|| {
            given.error("a `defaultNullValue` that begins with `to_date(` is an expression")
        })?;
        let (table, column) = (name::table(given), quoted(given.needed("columnName")));
        statements.push(format!("UPDATE {table} SET {column} = {value} WHERE {column} IS NULL"));
    }
    statements.push(format!("{} SET NOT NULL", altered(given)));
    Ok(statements)
}

/// `dropNotNullConstraint`.
pub fn allow_null(given: &Given) -> String {
    format!("{} DROP NOT NULL", altered(given))
}

/// `ALTER TABLE … ALTER COLUMN …`.
pub fn altered(given: &Given) -> String {
    let column = quoted(given.needed("columnName"));
    format!("ALTER TABLE {} ALTER COLUMN {column}", name::table(given))
}
