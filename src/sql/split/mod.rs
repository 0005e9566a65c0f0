//! Tells the statements of a text apart as psql does, while the text streams by.
//!
//! [`Splitter`] takes the text in chunks of any size and gives [`Piece`]s: statements
//! with the place of each, the data of `COPY … FROM STDIN`, notices. It holds one
//! statement at a time. [`look`](look()) tells beforehand whether a text needs to be
//! split at all. What is special about psql's texts (`\set`, `:variables`, `\;`) is
//! done here; what needs files, connections or programs is refused by name. It sends
//! nothing and knows no grammar: what a statement means is the server's to say.
//!
//! Two differences to psql: `standard_conforming_strings` counts as on throughout, and
//! an `E''` string that goes on in the next line is read as the server reads it.

mod command;
mod copy;
mod draft;
mod expand;
pub mod lexer;
mod look;
pub mod outline;
mod place;
mod splitter;

use std::ops::Range;

pub use look::{Command, Look, Shape, look, nth, without_own_transaction};
pub use outline::Copy;
use place::{Mark, place_of};
pub use splitter::Splitter;

/// What a text is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// To be sent to the server.
    Statement(Statement),
    /// Data for the `COPY … FROM STDIN` before it: a part, cut anywhere between characters.
    CopyData(String),
    /// There is no more of that data.
    CopyEnd,
    /// What `\echo`, `\qecho` or `\warn` says.
    Notice {
        /// Its words.
        text: String,
        /// The line of the command.
        line: usize,
    },
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text without the final semicolon. Comments inside and a `/* … */` before it stay, as in psql.
    pub text: String,
    /// The line of its first token in the stream, from 1.
    pub line: usize,
    /// The column of its first token in characters, from 1.
    pub column: usize,
    /// The bytes of the stream from its first token to behind its semicolon.
    pub span: Range<usize>,
    /// Whether data goes beside it.
    pub copy: Option<Copy>,
    marks: Vec<Mark>,
}

impl Statement {
    /// A text that is one statement.
    pub fn whole(text: String) -> Self {
        let span = 0..text.len();
        Self { text, line: 1, column: 1, span, copy: None, marks: Vec::new() }
    }

    /// The line and the column in the stream of a position in the text, as the server reports it
    /// (in characters, from 1).
    pub fn place(&self, position: u32) -> (usize, usize) {
        let characters = (position as usize).saturating_sub(1);
        let at = self.text.char_indices().nth(characters).map_or(self.text.len(), |(at, _)| at);
        let place = place_of(&self.marks, &self.text, at);
        (place.line, place.column)
    }

    /// Whether the stream holds it as it is, without variables and commands.
    fn is_verbatim(&self) -> bool {
        self.marks.len() == 1 && !self.marks[0].fixed
    }
}

/// Why a text cannot be split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The text ends inside of something.
    #[error("the {what} that starts in line {line}, column {column}, is not closed")]
    Unclosed {
        /// What it is.
        what: &'static str,
        /// The line of its start.
        line: usize,
        /// The column of its start.
        column: usize,
    },
    /// A command of psql that cannot run here.
    #[error("psql's command `\\{command}` in line {line} is not available here")]
    Command {
        /// Its name.
        command: String,
        /// Its line.
        line: usize,
        /// Its column.
        column: usize,
        /// The way out.
        hint: &'static str,
    },
    /// A command of psql that is wrong in itself.
    #[error("psql's command `\\{command}` in line {line}: {what}")]
    Argument {
        /// Its name.
        command: String,
        /// Its line.
        line: usize,
        /// Its column.
        column: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// psql would read the data first and go on here after it.
    #[error("text follows `COPY ... FROM STDIN;` in line {line}, where only its data can follow")]
    AfterCopy {
        /// The line.
        line: usize,
        /// The column behind the semicolon.
        column: usize,
    },
    /// Variables in variables.
    #[error("the variable `{variable}` in line {line} grows beyond 16 MiB in one statement")]
    Expansion {
        /// Which.
        variable: String,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
}

impl SplitError {
    /// The line and the column, both from 1.
    pub fn place(&self) -> (usize, usize) {
        match *self {
            Self::Unclosed { line, column, .. }
            | Self::Command { line, column, .. }
            | Self::Argument { line, column, .. }
            | Self::AfterCopy { line, column }
            | Self::Expansion { line, column, .. } => (line, column),
        }
    }

    /// The error with the place as `at` has it, which may be another one than in the text: a file's.
    pub fn told(&self, at: &str) -> String {
        match self {
            Self::Unclosed { what, .. } => format!("the {what} that starts at {at} is not closed"),
            Self::Command { command, .. } => {
                format!("psql's command `\\{command}` at {at} is not available here")
            }
            Self::Argument { command, what, .. } => {
                format!("psql's command `\\{command}` at {at}: {what}")
            }
            Self::AfterCopy { .. } => {
                format!(
                    "text follows `COPY ... FROM STDIN;` at {at}, where only its data can follow"
                )
            }
            Self::Expansion { variable, .. } => {
                format!("the variable `{variable}` at {at} grows beyond 16 MiB in one statement")
            }
        }
    }

    /// The way out.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Command { hint, .. } => Some(hint),
            Self::AfterCopy { .. } => {
                Some("Put it on a line of its own, after the line `\\.` that ends the data.")
            }
            Self::Unclosed { .. } => Some("Close it; a quote in a text is written twice."),
            Self::Argument { .. } | Self::Expansion { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
