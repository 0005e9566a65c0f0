//! Flyway's placeholders: `${name}` and what stands for it, in a stream of text.
//!
//! They are replaced everywhere, in comments and strings too, and their names are
//! compared without regard to case. As in Flyway, a `$` takes the character after
//! it along: `$${name}` is not replaced, `$$${name}$$` is. Of Flyway's own only
//! `flyway:filename` and `flyway:table` are known here; the others are known only to
//! a running Flyway, and are taken from the given ones.

use std::collections::{BTreeMap, HashMap};

/// Flyway's name for its history, unless it is told another.
pub const TABLE: &str = "flyway_schema_history";

/// A name that is longer is none.
const LONGEST: usize = 256;

/// Names, in lower case, and their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholders(HashMap<String, String>);

impl Placeholders {
    /// Those that are given, and Flyway's own.
    pub fn new(given: &BTreeMap<String, String>) -> Self {
        let mut all = HashMap::from([("flyway:table".to_owned(), TABLE.to_owned())]);
        all.extend(given.iter().map(|(name, value)| (name.to_lowercase(), value.clone())));
        Self(all)
    }

    fn value<'a>(&'a self, name: &str, file_name: &'a str) -> Option<&'a str> {
        let name = name.to_lowercase();
        if name == "flyway:filename" {
            return Some(file_name);
        }
        self.0.get(&name).map(String::as_str)
    }
}

/// Where a piece of replaced text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It stands in the file.
    File,
    /// It is a placeholder's value.
    Value,
}

/// A placeholder that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The line of the file, from 1.
    pub line: usize,
    /// Its name; `None` if its bracket is not closed.
    pub name: Option<String>,
}

/// Replaces placeholders piece by piece.
#[derive(Debug)]
pub struct Replacer<'a> {
    placeholders: &'a Placeholders,
    file_name: &'a str,
    at: At,
    name: String,
    line: usize,
    /// Whether anything was replaced.
    pub replaced: bool,
    /// What could not be; their text stays.
    pub unknown: Vec<Unknown>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Text,
    Dollar,
    Name,
}

impl<'a> Replacer<'a> {
    /// For one file.
    pub fn new(placeholders: &'a Placeholders, file_name: &'a str) -> Self {
        let (name, unknown) = (String::new(), Vec::new());
        let (at, line, replaced) = (At::Text, 1, false);
        Self { placeholders, file_name, at, name, line, replaced, unknown }
    }

    /// Takes the next piece, and gives what is certain of it.
    pub fn push(&mut self, piece: &str, out: &mut dyn FnMut(&str, Origin)) {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = match self.at {
                At::Text => self.text(rest, out),
                At::Dollar => self.dollar(rest, out),
                At::Name => self.name(rest, out),
            };
        }
    }

    /// Gives what is left at the end.
    pub fn finish(&mut self, out: &mut dyn FnMut(&str, Origin)) {
        match self.at {
            At::Text => {}
            At::Dollar => out("$", Origin::File),
            At::Name => self.unclosed(out),
        }
        self.at = At::Text;
    }

    fn text<'t>(&mut self, rest: &'t str, out: &mut dyn FnMut(&str, Origin)) -> &'t str {
        let end = rest.find('$').unwrap_or(rest.len());
        let (before, after) = rest.split_at(end);
        self.pass(before, out);
        after.strip_prefix('$').map_or(after, |after| {
            self.at = At::Dollar;
            after
        })
    }

    fn dollar<'t>(&mut self, rest: &'t str, out: &mut dyn FnMut(&str, Origin)) -> &'t str {
        if let Some(after) = rest.strip_prefix('{') {
            self.at = At::Name;
            self.name.clear();
            return after;
        }
        self.at = At::Text;
        out("$", Origin::File);
        let second = rest.chars().next().map_or(0, char::len_utf8);
        self.pass(&rest[..second], out);
        &rest[second..]
    }

    fn name<'t>(&mut self, rest: &'t str, out: &mut dyn FnMut(&str, Origin)) -> &'t str {
        let end = rest.find(['}', '\n']).unwrap_or(rest.len());
        self.name.push_str(&rest[..end]);
        let after = &rest[end..];
        if after.starts_with('\n') || self.name.len() > LONGEST {
            self.unclosed(out);
            return after;
        }
        after.strip_prefix('}').map_or(after, |after| {
            self.close(out);
            after
        })
    }

    fn close(&mut self, out: &mut dyn FnMut(&str, Origin)) {
        self.at = At::Text;
        if let Some(value) = self.placeholders.value(&self.name, self.file_name) {
            self.replaced = true;
            if !value.is_empty() {
                out(value, Origin::Value);
            }
        } else {
            let name = Some(std::mem::take(&mut self.name));
            self.unknown.push(Unknown { line: self.line, name });
        }
    }

    fn unclosed(&mut self, out: &mut dyn FnMut(&str, Origin)) {
        self.at = At::Text;
        self.unknown.push(Unknown { line: self.line, name: None });
        out("${", Origin::File);
        out(&self.name, Origin::File);
    }

    fn pass(&mut self, text: &str, out: &mut dyn FnMut(&str, Origin)) {
        if !text.is_empty() {
            self.line += text.bytes().filter(|it| *it == b'\n').count();
            out(text, Origin::File);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replaced(pieces: &[&str]) -> (String, Vec<Unknown>) {
        let given = [("Schema", "app"), ("empty", ""), ("flyway:user", "ann")];
        let given = given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let placeholders = Placeholders::new(&given.collect());
        let mut replacer = Replacer::new(&placeholders, "V1__x.sql");
        let mut text = String::new();
        let mut out = |piece: &str, _| text.push_str(piece);
        for piece in pieces {
            replacer.push(piece, &mut out);
        }
        replacer.finish(&mut out);
        (text, replacer.unknown)
    }

    #[test]
    fn placeholders_are_replaced_wherever_they_stand() {
        for (text, out) in [
            ("CREATE TABLE ${schema}.t;", "CREATE TABLE app.t;"),
            ("-- ${SCHEMA}\n'${schema}'", "-- app\n'app'"),
            ("${empty}${schema}${empty}", "app"),
            ("${flyway:filename} ${flyway:table}", "V1__x.sql flyway_schema_history"),
            ("${flyway:user}", "ann"),
            ("a $1 $ {x} $", "a $1 $ {x} $"),
            // A `$` takes the next character along.
            ("$${schema}", "$${schema}"),
            ("$$${schema}$$", "$$app$$"),
            ("$a${schema}", "$aapp"),
        ] {
            assert_eq!(replaced(&[text]), (out.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn what_stands_for_nothing_is_found_with_its_line() {
        let unknown = |line, name: &str| Unknown { line, name: Some(name.to_owned()) };
        let (_, found) = replaced(&["a\n${x} ${schema}\r\n$\n${flyway:timestamp}"]);
        assert_eq!(found, [unknown(2, "x"), unknown(4, "flyway:timestamp")]);
        let (text, found) = replaced(&["\n${never closed\n more"]);
        assert_eq!(found, [Unknown { line: 2, name: None }]);
        assert_eq!(text, "\n${never closed\n more");
    }

    #[test]
    fn an_unclosed_name_is_not_gathered_without_end() {
        let long = "x".repeat(LONGEST + 1);
        let (text, found) = replaced(&["${", &long, "${schema}"]);
        assert_eq!(found.len(), 1);
        assert_eq!(text, format!("${{{long}app"));
    }

    proptest! {
        #[test]
        fn cutting_a_text_into_pieces_changes_nothing(text in "[${}a\n]{0,20}(\\$\\{schema\\})?[$é]{0,3}", at: prop::sample::Index) {
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let (left, right) = text.split_at(places[at.index(places.len())]);
            prop_assert_eq!(replaced(&[left, right]), replaced(&[&text]));
        }

        #[test]
        fn any_text_passes(text in "(?s).*") {
            replaced(&[&text]);
        }
    }
}
