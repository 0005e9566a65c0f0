//! What a changeset does: its changes, each with its SQL.
//!
//! A structural change (`createTable`) is read by its [`shape`], and becomes
//! statements, a description and a checksum as Liquibase 4.28 makes them for
//! PostgreSQL. What runs means the same as Liquibase's SQL, but names are always
//! quoted and every value is a literal. `sql` and `sqlFile` are read elsewhere.

mod cell;
mod column;
mod constraint;
mod csv;
mod data;
mod date;
mod default;
mod given;
mod kind;
mod load;
mod name;
mod number;
mod object;
mod serial;
mod shape;
mod squeeze;
mod table;
mod value;
mod view;
mod watched;

use std::borrow::Cow;

pub use load::Load;
pub use shape::NAMES;

use super::expression::dbms_matches;
use super::root::node::{Node, closest};
use super::{ChangelogError, Files, Place, Text, files};
use given::Given;

/// One change of a changeset.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its name in Liquibase: `sql`, `sqlFile`, `createTable`.
    pub kind: String,
    /// Liquibase's description of it.
    pub description: String,
    /// Whether its own `dbms` is ours; otherwise it does not run and counts in no checksum of version 9.
    pub applies: bool,
    /// What it runs.
    pub work: Work,
    /// Its part of the changeset's checksum of version 9: `9:` and 32 hex digits.
    pub checksum: String,
    /// The same by the rules of older versions, where they are known.
    pub older: Vec<String>,
    /// Whether `checksum` follows Liquibase's rule for sure.
    pub certain: bool,
}

/// What a change runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Somebody's SQL.
    Sql(Text),
    /// Statements that were made here from a structural change.
    Statements(Vec<String>),
    /// Rows of a file, made into statements as it is read.
    Load(Load),
    /// `tagDatabase`.
    Tag(String),
    /// `empty`, `output`.
    Nothing,
}

impl Change {
    /// Its SQL, unless it is too long to hold.
    pub fn content(&self) -> Option<Cow<'_, str>> {
        match &self.work {
            Work::Sql(text) => text.held.as_deref().map(Cow::Borrowed),
            Work::Statements(statements) => Some(Cow::Owned(statements.join(";\n"))),
            Work::Load(_) => None,
            Work::Tag(_) | Work::Nothing => Some(Cow::Borrowed("")),
        }
    }

    /// Where its text is not UTF-8.
    pub fn damaged(&self) -> Option<&Place> {
        match &self.work {
            Work::Sql(text) => text.damaged.as_ref(),
            Work::Load(load) => load.damaged(),
            _ => None,
        }
    }
}
/// Where a change stands.
pub struct Context<'a> {
    /// The files of the bundle.
    pub files: &'a dyn Files,
    /// The changelog file that the change is in, as found in the bundle.
    pub changelog: &'a str,
    /// Puts the properties into the text of a file.
    pub expand: &'a dyn Fn(&str) -> String,
}

impl Context<'_> {
    /// The path of a file that a change names.
    fn path(&self, given: &Given, path: &str) -> Result<String, ChangelogError> {
        let whole = if given.is("relativeToChangelogFile") {
            format!("{}/{path}", files::folder(self.changelog))
        } else {
            path.to_owned()
        };
        files::normal(&whole).map_err(|error| view::at(given, error))
    }
}

/// Whether a change of this name is read here.
pub fn is_known(name: &str) -> bool {
    shape::of(name).is_some()
}

/// Reads a structural change: from its node, properties expanded, to what runs.
pub fn read(node: &Node, context: &Context<'_>) -> Result<Change, ChangelogError> {
    let Some(shape) = shape::of(node.name()) else {
        let error = node.error(format!("the change `{}` is not supported", node.name()));
        return Err(match closest(node.name(), &NAMES) {
            Some(name) => error.hint(format!("Did you mean `{name}`?")),
            None => error.hint("Write it as an `sql` change."),
        });
    };
    let given = Given::change(node, shape)?;
    let applies = dbms_matches(given.text("dbms"));
    let text_counts =
        !matches!(shape.name, "loadData" | "loadUpdateData" | "createView" | "createProcedure");
    let mut checksum = if text_counts { serial::checksum(&given) } else { String::new() };
    let work = match shape.name {
        _ if !applies => Work::Nothing,
        "empty" => Work::Nothing,
        "loadData" | "loadUpdateData" => {
            let (load, sum) = Load::of(&given, context)?;
            checksum = sum;
            Work::Load(load)
        }
        "createView" | "createProcedure" => {
            let made = match shape.name {
                "createView" => view::create(&given, context)?,
                _ => view::procedure(&given, context)?,
            };
            checksum = made.checksum;
            Work::Statements(made.statements)
        }
        _ => Work::Statements(statements(&given)?),
    };
    // The text was the same for version 8, but where files or SQL are a part of it.
    let older = checksum.strip_prefix("9:").filter(|_| text_counts).map(|sum| format!("8:{sum}"));
    let description = description(&given);
    Ok(Change {
        kind: shape.name.to_owned(),
        description,
        applies,
        work,
        checksum,
        older: older.into_iter().collect(),
        certain: true,
    })
}

fn statements(given: &Given) -> Result<Vec<String>, ChangelogError> {
    let one = |sql: String| Ok(vec![sql]);
    match given.shape.name {
        "addAutoIncrement" => Ok(default::increment(given)),
        "addColumn" => column::add(given),
        "addDefaultValue" => default::add(given),
        "addForeignKeyConstraint" => one(constraint::add_foreign_key(given)?),
        "addNotNullConstraint" => column::forbid_null(given),
        "addPrimaryKey" => Ok(constraint::add_primary_key(given)),
        "addUniqueConstraint" => one(constraint::add_unique(given)?),
        "alterSequence" => one(object::alter_sequence(given)?),
        "createIndex" => object::create_index(given),
        "createSequence" => one(object::create_sequence(given)?),
        "createTable" => table::create(given),
        "delete" => one(data::delete(given)?),
        "dropColumn" => column::drop(given),
        "dropDefaultValue" => one(default::drop(given)),
        "dropForeignKeyConstraint" => one(constraint::drop_foreign_key(given)),
        "dropIndex" => Ok(object::drop_index(given)),
        "dropNotNullConstraint" => one(column::allow_null(given)),
        "dropPrimaryKey" => one(constraint::drop_primary_key(given)),
        "dropSequence" => one(object::drop_sequence(given)),
        "dropTable" => one(table::drop(given)),
        "dropUniqueConstraint" => one(constraint::drop_unique(given)),
        "dropView" => one(view::drop(given)),
        "insert" => one(data::insert(given)?),
        "modifyDataType" => one(column::retype(given)?),
        "renameColumn" => one(column::rename(given)),
        "renameSequence" => {
            one(table::rename(given, "SEQUENCE", "oldSequenceName", "newSequenceName"))
        }
        "renameTable" => one(table::rename(given, "TABLE", "oldTableName", "newTableName")),
        "renameView" => one(table::rename(given, "TABLE", "oldViewName", "newViewName")),
        "setColumnRemarks" => one(column::set_remarks(given)),
        "setTableRemarks" => one(table::remark_on_table(given)),
        "update" => one(data::update(given)?),
        name => Err(given.error(format!("the change `{name}` is not supported"))),
    }
}

/// The name, and every field that is one: `createIndex indexName=i, tableName=t`.
fn description(given: &Given) -> String {
    let mut names: Vec<String> = given
        .values()
        .filter_map(|(field, _)| {
            let lower = field.name.to_ascii_lowercase();
            let named = lower.ends_with("name") && !lower.contains("schema");
            let shown = named && !lower.contains("catalog") || lower == "path";
            shown.then(|| Some(format!("{}={}", field.name, given.text(field.name)?)))?
        })
        .collect();
    names.sort_unstable();
    let between = if names.is_empty() { "" } else { " " };
    format!("{}{between}{}", given.shape.name, names.join(", "))
}

/// Files are UTF-8; what says otherwise is refused.
fn only_utf8(given: &Given) -> Result<(), ChangelogError> {
    match given.filled("encoding") {
        Some(text) if !matches!(text.to_ascii_uppercase().as_str(), "UTF-8" | "UTF8") => {
            let what = format!("the encoding `{text}` is not supported");
            Err(given.error(what).hint("Store the file as UTF-8."))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
