//! The tree that a root changelog is, whatever it was written in.
//!
//! YAML, JSON and XML become the same tree, so one reader serves all three. An
//! attribute in XML and a key with a plain value in YAML are the same thing: a
//! child with a text. A list of maps gives the entries of those maps as children,
//! so `columns: [column: {...}]` and `<column .../>` are the same too. Names are
//! compared without regard to case, and `true`, `"true"`, 5 and `"5"` are texts.

use std::sync::Arc;

use crate::changelog::{ChangelogError, Place};

/// A map, an element, an attribute or a key: all the same here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    name: String,
    file: Arc<str>,
    line: u32,
    text_line: u32,
    /// One text, or those of a list of plain values.
    texts: Vec<String>,
    children: Vec<Node>,
}

impl Node {
    /// A node without text and children; `line` is counted from 1, 0 is not known.
    pub fn new(name: impl Into<String>, file: &Arc<str>, line: u32) -> Self {
        Self {
            name: name.into(),
            file: Arc::clone(file),
            line,
            text_line: 0,
            texts: Vec::new(),
            children: Vec::new(),
        }
    }

    /// A node of the same file.
    #[must_use]
    pub fn below(&self, name: impl Into<String>, line: u32) -> Self {
        Self::new(name, &self.file, line)
    }

    /// The document of a file, by its extension: `xml`, or else YAML, of which JSON is a part.
    /// It has no name; `databaseChangeLog` is one of its children.
    pub fn document(text: &str, file: &str) -> Result<Self, ChangelogError> {
        let is_xml = file.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("xml"));
        if is_xml { super::xml::document(text, file) } else { super::yaml::document(text, file) }
    }

    /// The element's or key's name, as written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        Place { file: self.file.to_string(), line: self.line as usize }
    }

    /// Its own value; `None` for null, and if it has none or several.
    pub fn text(&self) -> Option<&str> {
        match self.texts.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The line of the first character of its text that is not blank, where the lines of the text
    /// are those of the file from there on; 0 is not known.
    pub fn text_line(&self) -> u32 {
        self.text_line
    }

    /// Its own values: several where a list of plain values was given.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// All that stands below it, attributes too, in the order of the file.
    pub fn children(&self) -> &[Node] {
        &self.children
    }

    /// The children of a name, in any case.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.is(name))
    }

    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.is(name))
    }

    /// The text of a child: an attribute in XML, a key with a plain value in YAML.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.child(name)?.text()
    }

    /// The same, trimmed; an empty one is none.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.attr(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// An attribute without which nothing can be done.
    pub fn required(&self, name: &str) -> Result<&str, ChangelogError> {
        self.filled(name).ok_or_else(|| self.error(format!("`{}` has no `{name}`", self.name)))
    }

    /// A yes or no; anything but `true` and `false` is refused.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ChangelogError> {
        Ok(self.flag_if_given(name)?.unwrap_or(default))
    }

    /// The same without a default.
    pub fn flag_if_given(&self, name: &str) -> Result<Option<bool>, ChangelogError> {
        let Some(child) = self.child(name) else { return Ok(None) };
        match child.text().map(str::trim) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => {
                let name = &child.name;
                Err(child.error(format!("`{name}` is `{text}`; it must be true or false")))
            }
        }
    }

    /// An error that is about this node.
    pub fn error(&self, what: impl Into<String>) -> ChangelogError {
        ChangelogError::at(&self.place(), what)
    }

    /// Refuses every child whose name is not among `known`, with the closest that is.
    pub fn only(&self, known: &[&str]) -> Result<(), ChangelogError> {
        let is_known = |child: &Node| known.iter().any(|name| child.is(name));
        match self.children.iter().find(|child| !is_known(child)) {
            None => Ok(()),
            Some(child) => Err(child.unknown(&format!("in `{}`", self.name), known)),
        }
    }

    /// The error for a name that is not known here.
    pub fn unknown(&self, inside: &str, known: &[&str]) -> ChangelogError {
        let error = self.error(format!("`{}` is not known {inside}", self.name));
        match closest(&self.name, known) {
            Some(name) => error.hint(format!("Did you mean `{name}`?")),
            None => error,
        }
    }

    /// Puts `with(text)` in the place of every text, however deep.
    pub fn expand(&mut self, with: impl Fn(&str) -> String + Copy) {
        for text in &mut self.texts {
            if text.contains("${") {
                *text = with(text);
            }
        }
        for child in &mut self.children {
            child.expand(with);
        }
    }

    /// Takes a child out.
    pub fn take(&mut self, name: &str) -> Option<Node> {
        let at = self.children.iter().position(|child| child.is(name))?;
        Some(self.children.remove(at))
    }

    /// Its children by value.
    pub fn into_children(self) -> Vec<Node> {
        self.children
    }

    /// Says where its text begins.
    pub fn set_text_line(&mut self, line: u32) {
        self.text_line = line;
    }

    /// Adds a value of its own.
    pub fn push_text(&mut self, text: impl Into<String>) {
        self.texts.push(text.into());
    }

    /// Adds a child behind the others.
    pub fn push(&mut self, child: Node) {
        self.children.push(child);
    }
}

/// The name that someone may have meant.
pub fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str, file: &str) -> Node {
        let document = Node::document(text, file).unwrap();
        document.child("databaseChangeLog").unwrap().child("createTable").unwrap().clone()
    }

    #[test]
    fn the_three_formats_give_the_same_tree() {
        let yaml = "databaseChangeLog:\n- createTable:\n    tableName: t\n    remarks: 5\n    \
                    columns:\n    - column: {name: a, nullable: true}\n    - column:\n        \
                    name: 'b'\n        nullable: \"true\"\n";
        let json = r#"{"databaseChangeLog": [{"createTable": {"tableName": "t", "remarks": "5",
            "columns": [{"column": {"name": "a", "nullable": true}},
                        {"column": {"name": "b", "nullable": "true"}}]}}]}"#;
        let xml = r#"<databaseChangeLog xmlns="http://www.liquibase.org/xml/ns/dbchangelog"
            ><createTable tableName="t" remarks="5"><column name="a" nullable="true"/>
            <column name="b" nullable="true"/></createTable></databaseChangeLog>"#;
        for (text, file) in [(yaml, "a.yaml"), (json, "a.json"), (xml, "a.XML")] {
            let table = change(text, file);
            assert_eq!((table.attr("TABLENAME"), table.attr("remarks")), (Some("t"), Some("5")));
            let columns = table.child("columns").unwrap_or(&table);
            let names: Vec<_> = columns.children_named("column").map(|c| c.attr("name")).collect();
            assert_eq!(names, [Some("a"), Some("b")], "{file}");
            for column in columns.children_named("column") {
                assert_eq!(column.flag("nullable", false), Ok(true));
            }
        }
        assert_eq!(change(yaml, "a.yaml").child("columns").unwrap().place().line, 5);
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_line_and_the_closest_name() {
        let table = change(
            "databaseChangeLog:\n- createTable:\n    tablename: t\n    tabelSpace: x\n",
            "a.yml",
        );
        let error = table.only(&["tableName", "tablespace"]).unwrap_err();
        assert_eq!(error.to_string(), "a.yml:4: `tabelSpace` is not known in `createTable`");
        assert_eq!(error.hint.as_deref(), Some("Did you mean `tablespace`?"));
        assert_eq!(closest("entirelyElse", &["sql", "sqlFile"]), None);
    }

    #[test]
    fn a_flag_is_true_or_false_and_nothing_else() {
        let node = change(
            "databaseChangeLog:\n- createTable: {a: yes, b: 'TRUE', c: 'yes', d: ~}",
            "a.yml",
        );
        assert_eq!(node.flag("a", false), Ok(true));
        assert_eq!(node.flag("b", false), Ok(true));
        assert!(node.flag("c", false).is_err());
        assert_eq!(node.flag("d", true), Ok(true));
    }
}
