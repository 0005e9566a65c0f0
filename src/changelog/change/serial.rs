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

/// The checksum of the text, with its version.
pub fn checksum(version: u8, given: &Given) -> String {
    checksum::of_text(version, &text(given))
}

/// `createTable:[` and so on.
pub fn text(given: &Given) -> String {
    format!("{}:{}", given.shape.name, object(given, given, 1))
}

fn object(change: &Given, given: &Given, depth: usize) -> String {
    let mut lines: Vec<String> = given
        .values()
        .filter(|(field, _)| field.counts && !forgets(change, given, field.name))
        .filter_map(|(field, value)| line(change, given, field.name, value, depth))
        .collect();
    // By the name, for no two lines have the same: `=` and `[` are smaller than any letter, as in
    // Liquibase's sorted set.
    lines.sort_unstable();
    let mut text = String::from("[");
    if !lines.is_empty() {
        text.push('\n');
        text.push_str(&lines.join("\n"));
        text.push('\n');
    }
    text.push_str(&indent(depth - 1));
    text.push(']');
    text
}

fn line(change: &Given, given: &Given, name: &str, value: &Value, depth: usize) -> Option<String> {
    let before = indent(depth);
    Some(match value {
        Value::Text(text) => {
            format!("{before}{name}=\"{}\"", with_schema(change, given, name, text))
        }
        Value::Flag(flag) => format!("{before}{name}=\"{flag}\""),
        Value::Group(group) => format!("{before}{}", object(change, group, depth + 1)),
        // Only `dropColumn` can do without, and then says nothing of them.
        Value::List(list) if list.is_empty() => return None,
        Value::List(list) => {
            let inside = indent(depth + 1);
            let items: Vec<_> =
                list.iter().map(|item| inside.clone() + &object(change, item, depth + 2)).collect();
            format!("{before}{name}=[\n{}\n{before}]", items.join(",\n"))
        }
    })
}

fn forgets(change: &Given, given: &Given, field: &str) -> bool {
    change.shape.name == "createIndex" && change != given && FORGOTTEN.contains(&field)
}

/// Where rows are written, Liquibase puts the change's schema before a sequence, and does so before
/// it computes the checksum.
fn with_schema(change: &Given, given: &Given, field: &str, text: &str) -> String {
    let sequence = matches!(field, "valueSequenceNext" | "valueSequenceCurrent");
    match change.text("schemaName") {
        Some(schema)
            if sequence
                && matches!(change.shape.name, "insert" | "update")
                && takes_its_value_from(given, field) =>
        {
            format!("{schema}.{text}")
        }
        _ => text.to_owned(),
    }
}

/// Whether no other kind of value comes first.
fn takes_its_value_from(column: &Given, field: &str) -> bool {
    super::value::VALUES.iter().find(|name| column.value(name).is_some()) == Some(&field)
}

fn indent(depth: usize) -> String {
    " ".repeat(4 * depth)
}
