//! What an author wrote in a change, read by its shape.
//!
//! Values become what Liquibase makes of them before it computes a checksum: a
//! number without its leading zeros, a date in one form, an expression where a
//! number was expected. What is not known is refused with its place, and so is a
//! change without what it needs.

use super::date;
use super::number;
use super::shape::{self, Field, Holds, Shape};
use crate::changelog::root::node::Node;
use crate::changelog::{ChangelogError, Place};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text, a number, an expression.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// `constraints`.
    Group(Box<Given>),
    /// Columns or parameters.
    List(Vec<Given>),
}

/// A change, a column or its constraints, with the fields that have a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What it is.
    pub shape: &'static Shape,
    /// Where it stands.
    pub place: Place,
    values: Vec<(Field, Value)>,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Field {}

impl Given {
    /// Reads a change.
    pub fn change(node: &Node, shape: &'static Shape) -> Result<Self, ChangelogError> {
        let mut given = Self::read(node, shape)?;
        // The older word for it; it is turned into the newer one before a checksum is made.
        if shape.name == "addForeignKeyConstraint"
            && given.is("deleteCascade")
            && given.value("onDelete").is_none()
        {
            given.set("onDelete", Value::Text("CASCADE".into()));
        }
        for field in shape.fields().filter(|field| field.needed) {
            let there = match given.value(field.name) {
                Some(Value::Text(text)) => !text.trim().is_empty(),
                Some(Value::List(list)) => !list.is_empty(),
                other => other.is_some(),
            };
            if !there {
                return Err(node.error(format!("`{}` has no `{}`", shape.name, field.name)));
            }
        }
        Ok(given)
    }

    fn read(node: &Node, shape: &'static Shape) -> Result<Self, ChangelogError> {
        let mut given = Self { shape, place: node.place(), values: Vec::new() };
        let fields: Vec<_> = shape.fields().collect();
        let lists = fields.iter().any(|field| matches!(field.holds, Holds::Columns(_)));
        let mut known: Vec<_> = fields.iter().map(|field| field.name).collect();
        known.extend(lists.then_some("column"));
        node.only(&known)?;
        for field in fields {
            given.take(node, field)?;
        }
        Ok(given)
    }

    fn take(&mut self, node: &Node, field: Field) -> Result<(), ChangelogError> {
        if let Holds::Columns(shape) = field.holds {
            let columns = listed(node, field.name, "column")?;
            let columns: Result<Vec<_>, _> =
                columns.into_iter().map(|column| Self::column(column, shape)).collect();
            self.values.push((field, Value::List(columns?)));
            return Ok(());
        }
        if field.holds == Holds::Params {
            let params: Result<Vec<_>, _> = match node.child(field.name) {
                None => return Ok(()),
                Some(params) => {
                    params.only(&["param"])?;
                    let params = params.children_named("param");
                    params.map(|param| Self::column(param, &shape::COLUMN)).collect()
                }
            };
            self.values.push((field, Value::List(params?)));
            return Ok(());
        }
        let mut named = node.children_named(field.name);
        let child = named.next();
        if let Some(second) = named.next() {
            return Err(second.error(format!("`{}` is there twice", second.name())));
        }
        if field.holds == Holds::Constraints {
            if let Some(child) = child {
                let group = Self::read(child, &shape::CONSTRAINTS)?;
                self.values.push((field, Value::Group(Box::new(group))));
            }
            return Ok(());
        }
        if field.holds == Holds::Flag {
            if let Some(flag) = node.flag_if_given(field.name)? {
                self.set(field.name, Value::Flag(flag));
            }
            return Ok(());
        }
        if let Some(child) =
            child.filter(|child| !child.children().is_empty() || child.texts().len() > 1)
        {
            return Err(child.error(format!("`{}` must be one value", child.name())));
        }
        let own = || node.text().map(str::trim).filter(|text| field.own_text && !text.is_empty());
        let Some(text) = child.and_then(Node::text).or_else(own) else { return Ok(()) };
        let text = match field.holds {
            Holds::Whole => number::whole(text).ok_or_else(|| {
                let at = child.unwrap_or(node);
                at.error(format!("`{}` is `{text}`; it must be a whole number", field.name))
            })?,
            Holds::Number => {
                self.number(field, text);
                return Ok(());
            }
            Holds::Date => {
                self.date(field, text);
                return Ok(());
            }
            _ => text.to_owned(),
        };
        self.set(field.name, Value::Text(text));
        Ok(())
    }

    fn column(node: &Node, shape: &'static Shape) -> Result<Self, ChangelogError> {
        Self::read(node, shape)
    }

    /// A number, or else the expression it must be.
    fn number(&mut self, field: Field, text: &str) {
        if text.eq_ignore_ascii_case("null") {
            return;
        }
        if field.name == "defaultValueNumeric" && text == "GENERATED_BY_DEFAULT" {
            return self.set("autoIncrement", Value::Flag(true));
        }
        let bare = match text.strip_prefix('(') {
            Some(inside) => inside.strip_suffix(')').unwrap_or(inside),
            None => text,
        };
        if number::starts_with_one(bare) {
            self.set(field.name, Value::Text(bare.to_owned()));
        } else {
            let text = if field.name == "valueNumeric" { text } else { bare };
            self.set(computed(field.name), Value::Text(text.to_owned()));
        }
    }

    /// A date, or else the expression it must be.
    fn date(&mut self, field: Field, text: &str) {
        match date::iso(text) {
            Some(date) => self.set(field.name, Value::Text(date)),
            None => self.set(computed(field.name), Value::Text(text.to_owned())),
        }
    }

    fn set(&mut self, name: &str, value: Value) {
        self.values.retain(|(field, _)| field.name != name);
        if let Some(field) = self.shape.fields().find(|field| field.name == name) {
            self.values.push((field, value));
        }
    }

    /// A field's value.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }

    /// All fields that have a value.
    pub fn values(&self) -> impl Iterator<Item = (&Field, &Value)> {
        self.values.iter().map(|(field, value)| (field, value))
    }

    /// A text as it is written.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A text, trimmed; an empty one is none.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// A text without which the change was not read.
    pub fn needed(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// `true` or `false`, if it is given.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.value(name) {
            Some(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// Whether it is `true`.
    pub fn is(&self, name: &str) -> bool {
        self.flag(name) == Some(true)
    }

    /// Columns or parameters.
    pub fn list(&self, name: &str) -> &[Self] {
        match self.value(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// The columns.
    pub fn columns(&self) -> &[Self] {
        self.list("columns")
    }

    /// A column's `constraints`.
    pub fn constraints(&self) -> Option<&Self> {
        match self.value("constraints") {
            Some(Value::Group(group)) => Some(group),
            _ => None,
        }
    }

    /// An error that is about this.
    pub fn error(&self, what: impl Into<String>) -> ChangelogError {
        ChangelogError::at(&self.place, what)
    }

    /// Refuses what Liquibase has, but not for PostgreSQL or not here.
    pub fn refuse(&self, name: &str, hint: &str) -> Result<(), ChangelogError> {
        if self.value(name).is_none() {
            return Ok(());
        }
        let what = format!("`{name}` of `{}` is not supported", self.shape.name);
        Err(self.error(what).hint(hint))
    }
}

/// The field that holds an expression instead.
fn computed(name: &str) -> &'static str {
    if name.starts_with("default") { "defaultValueComputed" } else { "valueComputed" }
}

/// The columns, in `columns` or right below.
fn listed<'a>(node: &'a Node, list: &str, one: &str) -> Result<Vec<&'a Node>, ChangelogError> {
    let mut found = Vec::new();
    for child in node.children() {
        if child.is(list) {
            if child.children().iter().any(|it| it.is(one)) {
                child.only(&[one])?;
                found.extend(child.children());
            } else if !child.children().is_empty() {
                found.push(child);
            }
        } else if child.is(one) {
            found.push(child);
        }
    }
    Ok(found)
}
