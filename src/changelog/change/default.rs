//! Defaults of columns that are there: set, dropped, or taken from a sequence.
//!
//! A sequence that a column takes its default from belongs to that column from
//! then on, as Liquibase has it, so that both are dropped together.

use super::given::Given;
use super::name::{self, qualified, quoted};
use super::{column, date, number, value};
use crate::changelog::ChangelogError;
use crate::sql::literal;

/// `addDefaultValue`.
pub fn add(given: &Given) -> Result<Vec<String>, ChangelogError> {
    let mut there = value::DEFAULTS.into_iter().filter(|field| given.value(field).is_some());
    let (field, more) = (there.next(), there.next());
    let Some(field) = field else {
        return Err(given.error("`addDefaultValue` has no default value"));
    };
    if let Some(more) = more {
        return Err(given.error(format!("`addDefaultValue` has both `{field}` and `{more}`")));
    }
    let text = given.needed(field);
    let default = match field {
        "defaultValue" if text.eq_ignore_ascii_case("null") => "NULL".into(),
        "defaultValue" => literal(text),
        "defaultValueBoolean" => value::flag(given.is(field)).into(),
        // Liquibase takes the number at the beginning, and forgets what comes behind it.
        "defaultValueNumeric" => match number::first(text) {
            Some((number, _)) => number::shortest(&number).to_owned(),
            None => value::expression(text),
        },
        "defaultValueDate" => match date::iso(text) {
            Some(date) => literal(&date::in_sql(&date)),
            None => value::expression(text),
        },
        "defaultValueComputed" => value::expression(text),
        _ => return Ok(from_sequence(given, text)),
    };
    Ok(vec![format!("{} SET DEFAULT {default}", column::altered(given))])
}

/// `dropDefaultValue`.
pub fn drop(given: &Given) -> String {
    format!("{} DROP DEFAULT", column::altered(given))
}

/// `addAutoIncrement`: a sequence of its own.
pub fn increment(given: &Given) -> Vec<String> {
    let (table, column) = (given.needed("tableName"), given.needed("columnName"));
    let mut sequence = format!("{table}_{column}_seq");
    // Liquibase asks whether it would quote the names, and if not, folds what it makes of them.
    let folded = |name: &str| name::stored(name) == name.to_lowercase();
    if folded(table) && folded(column) {
        sequence = sequence.to_lowercase();
    }
    let schema = given.text("schemaName");
    let mut create = format!("CREATE SEQUENCE IF NOT EXISTS {}", qualified(schema, &sequence));
    if let Some(start) = given.text("startWith") {
        create.extend([" START WITH ", start]);
    }
    if let Some(step) = given.text("incrementBy") {
        create.extend([" INCREMENT BY ", step]);
    }
    let mut statements = vec![create, format!("{} SET NOT NULL", column::altered(given))];
    statements.extend(from_sequence(given, &sequence));
    statements
}

fn from_sequence(given: &Given, sequence: &str) -> Vec<String> {
    let schema = given.text("schemaName");
    let next = value::sequence("nextval", schema, sequence);
    let (table, column) = (name::table(given), quoted(given.needed("columnName")));
    let sequence = qualified(schema, sequence);
    vec![
        format!("{} SET DEFAULT {next}", column::altered(given)),
        format!("ALTER SEQUENCE {sequence} OWNED BY {table}.{column}"),
    ]
}
