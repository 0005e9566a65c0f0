//! Rows: `insert`, `update` and `delete`.
//!
//! `where` is SQL by its author's word. Its `:name` and `:value` (or `?`) are
//! filled from `whereParams` in order, each as a name or a literal; without
//! parameters they stay as they are.

use super::given::Given;
use super::name::{self, quoted};
use super::{column, value};
use crate::changelog::ChangelogError;

/// `insert`.
pub fn insert(given: &Given) -> Result<String, ChangelogError> {
    let schema = given.text("schemaName");
    let (mut names, mut values) = (Vec::new(), Vec::new());
    // A column that counts up by itself gets its value from the server.
    for it in given.columns().iter().filter(|it| !it.is("autoIncrement")) {
        names.push(quoted(column::name_of(it)?));
        values.push(value::of(it, schema)?);
    }
    let table = name::table(given);
    if names.is_empty() {
        return Ok(format!("INSERT INTO {table} DEFAULT VALUES"));
    }
    Ok(format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", ")))
}

/// `update`.
pub fn update(given: &Given) -> Result<String, ChangelogError> {
    let schema = given.text("schemaName");
    let mut set = Vec::new();
    for it in given.columns().iter().filter(|it| !it.is("autoIncrement")) {
        set.push(format!("{} = {}", quoted(column::name_of(it)?), value::of(it, schema)?));
    }
    let condition = condition(given)?;
    Ok(format!("UPDATE {} SET {}{condition}", name::table(given), set.join(", ")))
}

/// `delete`.
pub fn delete(given: &Given) -> Result<String, ChangelogError> {
    Ok(format!("DELETE FROM {}{}", name::table(given), condition(given)?))
}

/// ` WHERE …`, with its parameters filled in.
fn condition(given: &Given) -> Result<String, ChangelogError> {
    let Some(text) = given.filled("where") else { return Ok(String::new()) };
    let params = given.list("whereParams");
    let mut names = params.iter().filter_map(|param| param.text("name"));
    let mut values = params.iter();
    let mut sql = String::from(" WHERE ");
    let mut rest = text;
    while let Some(at) = rest.find([':', '?']) {
        let (before, place) = rest.split_at(at);
        sql.push_str(before);
        let len = [":name", ":value", "?"]
            .into_iter()
            .find(|it| place.starts_with(it))
            .map_or(1, str::len);
        let (place, behind) = place.split_at(len);
        let filled = match place {
            ":name" => names.next().map(quoted),
            ":value" | "?" => match values.next() {
                Some(param) => Some(value::of(param, None)?),
                None => None,
            },
            _ => None,
        };
        sql.push_str(filled.as_deref().unwrap_or(place));
        rest = behind;
    }
    sql.push_str(rest);
    Ok(sql)
}
