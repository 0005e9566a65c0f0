//! The SQL text of a change: as it runs, and where its lines come from.
//!
//! A small text is held; a large one is read again when it runs, so that a
//! file of any size takes the same memory.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::checksum::hex;
use super::flyway::{self, Placeholders};
use super::{ChangelogError, Files, Place};

/// A text longer than this (in bytes) is not held.
pub const HELD: usize = 1 << 20;

/// SQL of a changeset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// As the server gets it, properties expanded and Liquibase's delimiters made `;`; `None` if it is
    /// too long to hold.
    pub held: Option<String>,
    /// The line of the file for each line of the text, as far as they are held; empty for what no
    /// file has.
    pub lines: Vec<u32>,
    /// Its length in bytes.
    pub len: u64,
    /// SHA-256 of it, in hex.
    pub sha256: String,
    /// How to read it again.
    pub source: Source,
    /// Whether the file's bytes were not UTF-8, so that some characters are lost.
    pub damaged: Option<Place>,
}

/// How a text that is not held is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is only in memory.
    Inline,
    /// The n-th changeset (from 0) of a formatted file.
    Formatted {
        /// The file.
        path: String,
        /// Which one.
        nth: usize,
    },
    /// A whole file.
    Whole {
        /// The file.
        path: String,
    },
    /// A whole script of Flyway's, its placeholders replaced.
    Flyway {
        /// The file.
        path: String,
        /// What stands for the placeholders.
        placeholders: Arc<Placeholders>,
    },
}

impl Text {
    /// A text that is held, with the line of the file for each of its lines.
    pub fn of(sql: String, lines: Vec<u32>, source: Source) -> Self {
        let sha256 = hex(&Sha256::digest(&sql));
        Self { len: sql.len() as u64, held: Some(sql), lines, sha256, source, damaged: None }
    }

    /// Gives the text to `sink` in pieces that end between characters, until it says `false`.
    pub fn read(
        &self,
        files: &dyn Files,
        sink: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), ChangelogError> {
        if let Some(text) = &self.held {
            sink(text);
        } else if let Source::Flyway { path, placeholders } = &self.source {
            flyway::reread(files, path, placeholders, sink)?;
        }
        Ok(())
    }
}
