//! A text of the properties as a bundle of one file, and an object that is one file.
//!
//! A text has no name that would tell its format, so its first characters do.

use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::Arc;

use super::temp::Reader;
use crate::changelog::files::{FileError, Files};

/// A bundle of one file.
pub struct One {
    name: String,
    content: Content,
}

enum Content {
    Text(String),
    File(Arc<File>),
}

impl One {
    /// A text, named after its format.
    pub fn of_text(text: &str) -> Self {
        Self { name: name(text).to_owned(), content: Content::Text(text.to_owned()) }
    }

    /// A file that was fetched.
    pub fn of_file(name: String, file: Arc<File>) -> Self {
        Self { name, content: Content::File(file) }
    }

    /// The name of the one file.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What a text is called, by its first characters that are not blank.
fn name(text: &str) -> &'static str {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_root = |line: &str| {
        let key = line.trim_start_matches(['"', '\'']);
        key.strip_prefix("databaseChangeLog")
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
    };
    let is_yaml = || {
        let mut lines = text.lines().map(str::trim_end);
        let first = lines.find(|it| !it.is_empty() && *it != "---" && !it.starts_with('#'));
        first.is_some_and(is_root)
    };
    match text.chars().next() {
        Some('<') => "inline.xml",
        Some('{') => "inline.json",
        _ if is_yaml() => "inline.yaml",
        _ => "inline.sql",
    }
}

impl Files for One {
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, FileError> {
        if path != self.name {
            return Err(FileError::Missing(path.to_owned()));
        }
        Ok(match &self.content {
            Content::Text(text) => Box::new(Cursor::new(text.as_bytes())),
            Content::File(file) => Box::new(Reader::new(file.clone(), 0)),
        })
    }

    fn list(&self, folder: &str) -> Result<Option<Vec<String>>, FileError> {
        Ok(folder.is_empty().then(|| vec![self.name.clone()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_named_after_its_first_characters() {
        for (text, wanted) in [
            ("--liquibase formatted sql\n", "inline.sql"),
            ("", "inline.sql"),
            ("CREATE TABLE t (a int)", "inline.sql"),
            ("\u{feff}\n  <?xml version=\"1.0\"?>", "inline.xml"),
            ("\n{\"databaseChangeLog\": []}", "inline.json"),
            ("databaseChangeLog:\n- changeSet:\n", "inline.yaml"),
            ("---\n# ours\n\n\"databaseChangeLog\" : []", "inline.yaml"),
            ("--- \ndatabaseChangeLog: []", "inline.yaml"),
            ("databaseChangeLogs: 1", "inline.sql"),
        ] {
            let one = One::of_text(text);
            assert_eq!(one.name(), wanted, "{text}");
            let mut read = String::new();
            one.open(wanted).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
            assert_eq!(one.list("").unwrap().unwrap(), [wanted]);
            assert_eq!(one.list("db").unwrap(), None);
            assert!(matches!(one.open("other.sql"), Err(FileError::Missing(_))));
        }
    }
}
