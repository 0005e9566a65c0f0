//! The SQL text of a change: as it runs, and where its lines come from.
//!
//! A small text is held; a large one is read again when it runs, so that a
//! file of any size takes the same memory.

pub mod lines;
pub mod pipe;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::checksum::hex;
use super::flyway::{self, Placeholders};
use super::{ChangelogError, FileError, Files, Place, Properties, formatted};
use lines::Line;
use pipe::{Expand, Gathered, Made, Pipe, Rules};

/// What is wrong with a text that PostgreSQL cannot take.
pub const NUL: &str = "it holds the character U+0000";
/// And what to do about it.
pub const NUL_HINT: &str =
    "PostgreSQL takes no such character. If the file is in UTF-16, store it in UTF-8.";

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
    /// How to make it from its file.
    pub(super) again: Option<Arc<Again>>,
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

/// What it takes to make a text again from its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// How it is made.
    pub rules: Rules,
    /// As they were when it was read first, and the file they are looked up for.
    pub properties: Option<(Arc<Properties>, String)>,
}

impl Again {
    fn expand(&self) -> Expand<'_> {
        self.properties.as_ref().map(|(properties, file)| (&**properties, file.as_str()))
    }
}

/// Pieces are gathered up to this length (in bytes) before they are given.
const GATHERED: usize = 64 << 10;

impl Text {
    /// A text that is held, with the line of the file for each of its lines.
    pub fn of(sql: String, lines: Vec<u32>, source: Source) -> Self {
        let sha256 = hex(&Sha256::digest(&sql));
        let len = sql.len() as u64;
        Self { held: Some(sql), lines, len, sha256, source, damaged: None, again: None }
    }

    /// The same text, read again from its file whenever it is asked for.
    #[must_use]
    pub fn from_file(mut self, source: Source, again: Arc<Again>) -> Self {
        (self.held, self.lines) = (None, Vec::new());
        (self.source, self.again) = (source, Some(again));
        self
    }

    /// The line of the file for a line (from 1) of the text, where that is known.
    pub fn line(&self, line: usize) -> Option<usize> {
        let found = self.lines.get(line.checked_sub(1)?)?;
        usize::try_from(*found).ok()
    }

    /// Gives the text to `sink` in pieces that end between characters, until it says `false`.
    pub fn read(
        &self,
        files: &dyn Files,
        sink: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), ChangelogError> {
        if let Some(text) = &self.held {
            sink(text);
            return Ok(());
        }
        if let Source::Flyway { path, placeholders } = &self.source {
            return flyway::reread(files, path, placeholders, sink);
        }
        let (Some(again), Source::Formatted { path, .. } | Source::Whole { path }) =
            (&self.again, &self.source)
        else {
            let what = "its text is neither held nor in a file";
            return Err(ChangelogError::at(&Place::default(), what));
        };
        let mut place = Place { file: path.clone(), line: 0 };
        let mut pipe = Pipe::new(&again.rules);
        let mut gathered = String::new();
        let mut failed = None;
        let mut wants = true;
        let mut take = |piece: &str, number: u32, ends: bool| {
            if let Err(why) = pipe.line(piece, ends, again.expand()) {
                place.line = number as usize;
                failed = Some(ChangelogError::at(&place, why));
                return false;
            }
            gathered.push_str(&pipe.ready);
            if gathered.len() > GATHERED {
                wants = sink(&gathered);
                gathered.clear();
            }
            wants
        };
        match &self.source {
            Source::Formatted { nth, .. } => formatted::replay(files, path, *nth, &mut take)?,
            _ => each_line(files, path, &mut |it| take(&it.text, it.number, it.ends))?,
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if wants {
            // What is still open is shorter than a line, so this cannot fail.
            let _ = pipe.finish();
            gathered.push_str(&pipe.ready);
            sink(&gathered);
        }
        Ok(())
    }
}

/// A whole file as one text: `None` if it is empty. Checksums are of the text as expanded.
pub fn whole(
    files: &dyn Files,
    path: &str,
    mut rules: Rules,
    expand: Expand<'_>,
) -> Result<Option<Made>, ChangelogError> {
    let mut gathered = Gathered::default();
    let mut failed = None;
    let mut damaged = None;
    each_line(files, path, &mut |it| {
        let place = || Place { file: path.to_owned(), line: it.number as usize };
        if it.damaged && damaged.is_none() {
            damaged = Some(place());
        }
        if it.has_nul() {
            failed = Some(ChangelogError::at(&place(), NUL).hint(NUL_HINT));
            return false;
        }
        match gathered.push(&it.text, it.number, it.ends, &rules, expand) {
            Ok(()) => true,
            Err(why) => {
                failed = Some(ChangelogError::at(&place(), why));
                false
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let Some(mut made) = gathered.finish(&mut rules, false, expand) else { return Ok(None) };
    let source = Source::Whole { path: path.to_owned() };
    if made.text.held.is_none() {
        let properties = expand.map(|(it, file)| (Arc::new(it.clone()), file.to_owned()));
        made.text = made.text.from_file(source, Arc::new(Again { rules, properties }));
    } else {
        made.text.source = source;
    }
    made.text.damaged = damaged;
    Ok(Some(made))
}

/// Gives every line of a file to `take`, until it says `false`.
pub fn each_line(
    files: &dyn Files,
    path: &str,
    take: &mut dyn FnMut(&Line<'_>) -> bool,
) -> Result<(), ChangelogError> {
    let mut lines = lines::open(files, path)?;
    let unreadable = |error: std::io::Error| FileError::Unreadable(path.into(), error.to_string());
    while let Some(line) = lines.read().map_err(unreadable)? {
        if !take(&line) {
            break;
        }
    }
    Ok(())
}
