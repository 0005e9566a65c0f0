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
        if shape.name == "addForeignKeyConstraint" && given.value("deleteCascade").is_some() {
            given.cascade();
        }
        for field in shape.fields().iter().filter(|field| field.needed) {
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
        let mut found = Vec::with_capacity(node.children().len());
        for child in node.children() {
            match shape.fields().iter().position(|field| is_for(child, field)) {
                Some(at) => found.push((at, child)),
                None => return Err(unknown(node, child, shape)),
            }
        }
        // In the shape's order: an expression in its own field comes after one in a number's field.
        found.sort_by_key(|(at, _)| *at);
        let mut last = None;
        for (at, child) in found {
            let field = shape.fields()[at];
            let repeats = matches!(field.holds, Holds::Columns(_));
            if last == Some(at) && !repeats {
                return Err(child.error(format!("`{}` is there twice", child.name())));
            }
            last = Some(at);
            given.take(node, child, field)?;
        }
        for field in shape.fields().iter().filter(|field| field.own_text) {
            let text = node.text().map(str::trim).filter(|text| !text.is_empty());
            if let Some(text) = text.filter(|_| given.value(field.name).is_none()) {
                given.values.push((*field, Value::Text(text.to_owned())));
            }
        }
        Ok(given)
    }

    /// `deleteCascade` is the older word for `onDelete`. Liquibase reads it last: where both are there,
    /// or it is false, there is no action at all. Its checksum is of what came of it.
    fn cascade(&mut self) {
        let both = self.value("onDelete").is_some();
        self.values.retain(|(field, _)| field.name != "onDelete");
        if self.is("deleteCascade") && !both {
            self.set("onDelete", Value::Text("CASCADE".into()));
        }
    }

    fn take(&mut self, node: &Node, child: &Node, field: Field) -> Result<(), ChangelogError> {
        let value = match field.holds {
            Holds::Columns(shape) => return self.take_columns(child, field, shape),
            Holds::Params => {
                child.only(&["param"])?;
                let params = child.children().iter().map(|it| Self::read(it, &shape::COLUMN));
                Value::List(params.collect::<Result<_, _>>()?)
            }
            Holds::Constraints => Value::Group(Box::new(Self::read(child, &shape::CONSTRAINTS)?)),
            Holds::Flag => match node.flag_if_given(field.name)? {
                Some(flag) => Value::Flag(flag),
                None => return Ok(()),
            },
            _ => {
                if !child.children().is_empty() || child.texts().len() > 1 {
                    return Err(child.error(format!("`{}` must be one value", child.name())));
                }
                match (child.text(), field.holds) {
                    (None, _) => return Ok(()),
                    (Some(text), Holds::Number) => {
                        self.number(field, text);
                        return Ok(());
                    }
                    (Some(text), Holds::Date) => {
                        self.date(field, text);
                        return Ok(());
                    }
                    (Some(text), Holds::Whole) => {
                        Value::Text(number::whole(text).ok_or_else(|| {
                            let name = child.name();
                            child.error(format!("`{name}` is `{text}`; it must be a whole number"))
                        })?)
                    }
                    (Some(text), _) => Value::Text(text.to_owned()),
                }
            }
        };
        self.values.retain(|(other, _)| other.name != field.name);
        self.values.push((field, value));
        Ok(())
    }

    /// Columns stand in `columns` or right below.
    fn take_columns(
        &mut self,
        child: &Node,
        field: Field,
        shape: &'static Shape,
    ) -> Result<(), ChangelogError> {
        let columns = if child.is("column") || !child.children().iter().any(|it| it.is("column")) {
            std::slice::from_ref(child)
        } else {
            child.only(&["column"])?;
            child.children()
        };
        let columns = columns.iter().filter(|it| !it.children().is_empty() || it.text().is_some());
        let mut list = columns.map(|it| Self::read(it, shape)).collect::<Result<Vec<_>, _>>()?;
        match self.values.iter_mut().find(|(other, _)| other.name == field.name) {
            Some((_, Value::List(all))) => all.append(&mut list),
            _ => self.values.push((field, Value::List(list))),
        }
        Ok(())
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
        if let Some(field) = self.shape.fields().iter().find(|field| field.name == name) {
            self.values.push((*field, value));
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

fn is_for(child: &Node, field: &Field) -> bool {
    child.is(field.name) || matches!(field.holds, Holds::Columns(_)) && child.is("column")
}

fn unknown(node: &Node, child: &Node, shape: &Shape) -> ChangelogError {
    let mut known: Vec<_> = shape.fields().iter().map(|field| field.name).collect();
    let lists = shape.fields().iter().any(|field| matches!(field.holds, Holds::Columns(_)));
    known.extend(lists.then_some("column"));
    child.unknown(&format!("in `{}`", node.name()), &known)
}
