//! The text that Liquibase's checksum of a change is made of.
//!
//! Every field that has a value on a line of its own, sorted, four blanks deeper
//! for each level; columns as a list in brackets; `constraints` without its name.
//! The form is Liquibase's (`StringChangeLogSerializer`), to the last comma: a
//! checksum in somebody's history was computed from it.

use super::given::{Given, Value};
use crate::changelog::checksum;

/// What an index's columns say and Liquibase forgets before it computes the checksum.
const FORGOTTEN: [&str; 9] = [
    "type",
    "autoIncrement",
    "constraints",
    "defaultValue",
    "value",
    "startWith",
    "incrementBy",
    "encoding",
    "remarks",
];

/// The checksum of the text.
pub fn checksum(given: &Given) -> String {
    checksum::of_text(9, &text(given))
}

/// `createTable:[` and so on.
pub fn text(given: &Given) -> String {
    let mut out = String::with_capacity(256);
    out.push_str(given.shape.name);
    out.push(':');
    object(&mut out, given, given, 1);
    out
}

fn object(out: &mut String, change: &Given, given: &Given, depth: usize) {
    let mut lines: Vec<_> = given
        .values()
        .filter(|(field, _)| field.counts && !forgets(change, given, field.name))
        // Only `dropColumn` can do without columns, and then says nothing of them.
        .filter(|(_, value)| !matches!(value, Value::List(list) if list.is_empty()))
        .map(|(field, value)| match value {
            // It has no name there, and a bracket comes before every letter.
            Value::Group(_) => ("", value),
            _ => (field.name, value),
        })
        .collect();
    lines.sort_unstable_by_key(|(name, _)| *name);
    out.push('[');
    for (name, value) in &lines {
        out.push('\n');
        indent(out, depth);
        line(out, change, given, name, value, depth);
    }
    if !lines.is_empty() {
        out.push('\n');
    }
    indent(out, depth - 1);
    out.push(']');
}

fn line(out: &mut String, change: &Given, given: &Given, name: &str, value: &Value, depth: usize) {
    match value {
        Value::Text(text) => {
            out.extend([name, "=\""]);
            out.extend(schema_before(change, given, name));
            out.extend([text.as_str(), "\""]);
        }
        Value::Flag(flag) => out.extend([name, if *flag { "=\"true\"" } else { "=\"false\"" }]),
        Value::Group(group) => object(out, change, group, depth + 1),
        Value::List(list) => {
            out.extend([name, "=["]);
            for (at, item) in list.iter().enumerate() {
                out.push_str(if at == 0 { "\n" } else { ",\n" });
                indent(out, depth + 1);
                object(out, change, item, depth + 2);
            }
            out.push('\n');
            indent(out, depth);
            out.push(']');
        }
    }
}

fn forgets(change: &Given, given: &Given, field: &str) -> bool {
    change.shape.name == "createIndex" && change != given && FORGOTTEN.contains(&field)
}

/// Where rows are written, Liquibase puts the change's schema before a sequence, and does so before
/// it computes the checksum.
fn schema_before<'a>(change: &'a Given, given: &Given, field: &str) -> [&'a str; 2] {
    let sequence = matches!(field, "valueSequenceNext" | "valueSequenceCurrent");
    match change.text("schemaName") {
        Some(schema)
            if sequence
                && matches!(change.shape.name, "insert" | "update")
                && takes_its_value_from(given, field) =>
        {
            [schema, "."]
        }
        _ => ["", ""],
    }
}

/// Whether no other kind of value comes first.
fn takes_its_value_from(column: &Given, field: &str) -> bool {
    super::value::VALUES.iter().find(|name| column.value(name).is_some()) == Some(&field)
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("    ");
    }
}
