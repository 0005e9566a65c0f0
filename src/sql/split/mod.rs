//! Tells the statements of a text apart as psql does, while the text streams by.
//!
//! [`Splitter`] takes the text in chunks of any size and gives [`Piece`]s: statements
//! with the place of each, the data of `COPY … FROM STDIN`, notices. It holds one
//! statement at a time. [`look`](look()) tells beforehand whether a text needs to be
//! split at all. What is special about psql's texts (`\set`, `:variables`, `\;`) is
//! done here; what needs files, connections or programs is refused by name. It sends
//! nothing and knows no grammar: what a statement means is the server's to say. One
//! difference to psql: a text has `standard_conforming_strings` on throughout.

mod command;
mod copy;
pub mod lexer;
mod look;
pub mod outline;
mod place;

use std::ops::Range;

use command::Variables;
use copy::CopyData;
use lexer::{Kind, Lexer, Token};
pub use look::{Command, Look, Shape, look, nth, without_own_transaction};
pub use outline::Copy;
use outline::Outline;
use place::{Mark, Place, place_of};

/// The most that variables may add to a statement, in bytes read.
const EXPANSION: usize = 1 << 24;

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

    /// The way out.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Command { hint, .. } => Some(hint),
            Self::AfterCopy { .. } => {
                Some("Put it on a line of its own, after the line `\\.` that ends the data.")
            }
            Self::Unclosed { .. } | Self::Argument { .. } | Self::Expansion { .. } => None,
        }
    }
}

/// See the module.
///
/// ```
/// use execute_sql::sql::split::{Piece, Splitter};
///
/// let mut splitter = Splitter::default();
/// let mut statements = Vec::new();
/// for mut chunk in ["SELECT ';", "'; SELECT 2"] {
///     while let Some(piece) = splitter.next(&mut chunk).unwrap() {
///         statements.push(piece);
///     }
/// }
/// while let Some(piece) = splitter.finish().unwrap() {
///     statements.push(piece);
/// }
/// let Piece::Statement(last) = &statements[1] else { panic!() };
/// assert_eq!((last.text.as_str(), last.line, last.column), ("SELECT 2", 1, 14));
/// ```
#[derive(Debug, Clone)]
pub struct Splitter {
    lexer: Lexer,
    outline: Outline,
    /// Of the statement so far; the lexer counts its bytes.
    text: String,
    marks: Vec<Mark>,
    first: Option<Place>,
    here: Place,
    mode: Mode,
    frames: Vec<Frame>,
    /// Where the variable stands whose value is read.
    outermost: Option<Place>,
    expanded: usize,
    variables: Variables,
    commands: usize,
    copy: CopyData,
}

#[derive(Debug, Clone)]
enum Mode {
    Start,
    Sql,
    /// Behind a backslash: the line is collected.
    Command {
        line: String,
        place: Place,
    },
    /// Behind the semicolon of a `COPY`: the line is collected.
    AfterCopy {
        line: String,
        place: Place,
    },
    CopyData,
    CopyEnd,
    Failed(SplitError),
}

/// Text that is read before the stream goes on.
#[derive(Debug, Clone)]
struct Frame {
    text: String,
    at: usize,
    /// The variable whose value it is; `None` for the rest of a command's line.
    variable: Option<String>,
}

/// What a turn gave.
enum Turn {
    Piece(Piece),
    Again,
    More,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            lexer: Lexer::psql(),
            outline: Outline::default(),
            text: String::new(),
            marks: Vec::new(),
            first: None,
            here: Place::START,
            mode: Mode::Start,
            frames: Vec::new(),
            outermost: None,
            expanded: 0,
            variables: Variables::default(),
            commands: 0,
            copy: CopyData::default(),
        }
    }
}

impl Splitter {
    /// The next piece. It takes what it needs from the front of `input`; `None` is to be answered
    /// with the next chunk, or with [`finish`](Self::finish). After an error there is only the error.
    pub fn next(&mut self, input: &mut &str) -> Result<Option<Piece>, SplitError> {
        loop {
            match self.turn(input) {
                Ok(Turn::Again) => {}
                Ok(Turn::More) => return Ok(None),
                Ok(Turn::Piece(piece)) => return Ok(Some(piece)),
                Err(error) => {
                    self.mode = Mode::Failed(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// The pieces at the end of the text, until it gives none.
    pub fn finish(&mut self) -> Result<Option<Piece>, SplitError> {
        loop {
            if let Some(piece) = self.next(&mut "")? {
                return Ok(Some(piece));
            }
            match self.end() {
                Ok(Turn::Again) => {}
                Ok(Turn::More) => return Ok(None),
                Ok(Turn::Piece(piece)) => return Ok(Some(piece)),
                Err(error) => {
                    self.mode = Mode::Failed(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// How many commands of psql there were so far, `\;` and `\:` included.
    pub fn commands(&self) -> usize {
        self.commands
    }

    fn turn(&mut self, input: &mut &str) -> Result<Turn, SplitError> {
        if input.is_empty() && self.frames.is_empty() && !matches!(self.mode, Mode::CopyEnd) {
            return Ok(Turn::More);
        }
        match &mut self.mode {
            Mode::Start => {
                if let Some(rest) = input.strip_prefix('\u{feff}') {
                    self.here.skip('\u{feff}'.len_utf8());
                    *input = rest;
                }
                self.mode = Mode::Sql;
                self.begin();
                Ok(Turn::Again)
            }
            Mode::Sql => match self.read(input) {
                Some(token) => self.take(token),
                None => Ok(Turn::Again),
            },
            Mode::Command { line, .. } => match collect(line, &mut self.frames, input) {
                false => Ok(Turn::More),
                true => self.command(),
            },
            Mode::AfterCopy { line, .. } => match collect(line, &mut self.frames, input) {
                false => Ok(Turn::More),
                true => self.after_copy(input),
            },
            Mode::CopyData => {
                let before = *input;
                let found = self.copy.take(input);
                self.here.advance(&before[..before.len() - input.len()]);
                Ok(match found {
                    copy::Found::Piece(piece) => Turn::Piece(Piece::CopyData(piece)),
                    copy::Found::More => Turn::More,
                    copy::Found::End => self.copy_ends(),
                })
            }
            Mode::CopyEnd => {
                self.mode = Mode::Sql;
                self.begin();
                Ok(Turn::Piece(Piece::CopyEnd))
            }
            Mode::Failed(error) => Err(error.clone()),
        }
    }

    /// One turn when no more text comes.
    fn end(&mut self) -> Result<Turn, SplitError> {
        match &self.mode {
            Mode::Start => Ok(Turn::More),
            Mode::Sql => {
                if let Some(token) = self.lexer.flush() {
                    return self.take(token);
                }
                if let Some((what, at)) = self.lexer.unclosed() {
                    let Place { line, column, .. } = place_of(&self.marks, &self.text, at);
                    return Err(SplitError::Unclosed { what, line, column });
                }
                Ok(match self.statement() {
                    Some(statement) => Turn::Piece(statement),
                    None => Turn::More,
                })
            }
            Mode::Command { .. } => self.command(),
            Mode::AfterCopy { .. } => self.after_copy(&mut ""),
            Mode::CopyData => {
                self.copy.finish();
                Ok(self.copy_ends())
            }
            Mode::CopyEnd => Ok(Turn::Again),
            Mode::Failed(error) => Err(error.clone()),
        }
    }

    /// Reads on, up to the end of a token.
    fn read(&mut self, input: &mut &str) -> Option<Token> {
        let Some(frame) = self.frames.last_mut() else {
            let (used, token) = self.lexer.next(input.as_bytes());
            let (taken, rest) = input.split_at(used);
            self.text.push_str(taken);
            self.here.advance(taken);
            *input = rest;
            return token;
        };
        let rest = &frame.text[frame.at..];
        if !rest.is_empty() {
            let (used, token) = self.lexer.next(rest.as_bytes());
            self.text.push_str(&rest[..used]);
            if frame.variable.is_none() {
                self.here.advance(&rest[..used]);
            }
            frame.at += used;
            return token;
        }
        // A token ends with the value that it is from.
        if frame.variable.is_some() {
            if let Some(token) = self.lexer.flush() {
                return Some(token);
            }
        }
        self.frames.pop();
        if self.frames.iter().all(|frame| frame.variable.is_none()) {
            self.outermost = None;
            if self.first.is_none() {
                self.expanded = 0;
            }
        }
        self.mark();
        None
    }

    fn take(&mut self, token: Token) -> Result<Turn, SplitError> {
        match token.kind {
            // Before a statement these are nothing, as in psql.
            Kind::Space | Kind::LineComment if token.start == 0 => self.begin(),
            Kind::Space | Kind::LineComment | Kind::Comment => {}
            Kind::Variable => return self.variable(token),
            Kind::VariableLiteral | Kind::VariableName | Kind::VariableTest => self.insert(token),
            Kind::Escaped => {
                self.commands += 1;
                self.outline.take(Kind::Other, "");
                self.text.remove(token.start);
                if self.text.ends_with(';') {
                    self.outline.restart();
                }
                self.lexer.rewind(self.text.len());
                self.found(token.start);
                self.mark();
            }
            Kind::Backslash => {
                self.commands += 1;
                let place = place_of(&self.marks, &self.text, token.start);
                self.text.truncate(token.start);
                self.lexer.rewind(token.start);
                if self.outermost.is_some() {
                    let Place { line, column, .. } = place;
                    let hint = "A variable's value cannot hold a command; write it out.";
                    return Err(SplitError::Command { command: String::new(), line, column, hint });
                }
                self.mode = Mode::Command { line: String::new(), place };
            }
            kind => {
                let text = &self.text[token.start..token.end];
                if self.outline.take(kind, text) {
                    self.text.truncate(token.start);
                    return Ok(self.statement().map_or(Turn::Again, Turn::Piece));
                }
                self.found(token.start);
            }
        }
        Ok(Turn::Again)
    }

    /// There is a token of the statement at this byte of its text.
    fn found(&mut self, at: usize) {
        if self.first.is_none() {
            self.first = Some(place_of(&self.marks, &self.text, at));
        }
    }

    /// A new statement, from here on.
    fn begin(&mut self) {
        self.text.clear();
        self.lexer.rewind(0);
        self.marks.clear();
        self.mark();
    }

    /// The text goes on with what stands here.
    fn mark(&mut self) {
        let place = self.outermost.unwrap_or(self.here);
        let mark = Mark { at: self.text.len(), place, fixed: self.outermost.is_some() };
        match self.marks.last_mut() {
            Some(last) if last.at == mark.at => *last = mark,
            _ => self.marks.push(mark),
        }
    }

    /// The statement that ends here, unless there is nothing but comments.
    fn statement(&mut self) -> Option<Piece> {
        let copy = self.outline.copy();
        self.outline = Outline::default();
        let found = self.first.take().map(|first| {
            let mut text = std::mem::take(&mut self.text);
            text.truncate(text.trim_end_matches([' ', '\t', '\r', '\n']).len());
            Piece::Statement(Statement {
                text,
                line: first.line,
                column: first.column,
                span: first.offset..self.here.offset,
                copy,
                marks: std::mem::take(&mut self.marks),
            })
        });
        self.begin();
        if self.outermost.is_none() {
            self.expanded = 0;
        }
        if copy == Some(Copy::In) {
            self.mode = Mode::AfterCopy { line: String::new(), place: self.here };
        }
        found
    }

    /// `:name`: its value is read in its place, unless it is being read already.
    fn variable(&mut self, token: Token) -> Result<Turn, SplitError> {
        let name = &self.text[token.start + 1..token.end];
        let is_read = |frame: &Frame| frame.variable.as_deref() == Some(name);
        let Some(value) = self.variables.get(name).filter(|_| !self.frames.iter().any(is_read))
        else {
            self.outline.take(Kind::Other, "");
            self.found(token.start);
            return Ok(Turn::Again);
        };
        let place = place_of(&self.marks, &self.text, token.start);
        let (value, name) = (value.to_owned(), name.to_owned());
        self.expanded += value.len() + 1;
        if self.expanded > EXPANSION {
            let Place { line, column, .. } = place;
            return Err(SplitError::Expansion { variable: name, line, column });
        }
        self.text.truncate(token.start);
        self.lexer.rewind(token.start);
        self.outermost.get_or_insert(place);
        self.mark();
        self.frames.push(Frame { text: value, at: 0, variable: Some(name) });
        Ok(Turn::Again)
    }

    /// `:'name'`, `:"name"`, `:{?name}`: the value is one token.
    fn insert(&mut self, token: Token) {
        let written = &self.text[token.start..token.end];
        let (kind, value) = match token.kind {
            Kind::VariableTest => {
                let name = &written[3..written.len() - 1];
                (Kind::Word, Some(command::test(&self.variables, name).to_owned()))
            }
            Kind::VariableName => {
                (Kind::Quoted, self.variables.name(&written[2..written.len() - 1]))
            }
            _ => (Kind::Literal, self.variables.literal(&written[2..written.len() - 1])),
        };
        self.outline.take(kind, value.as_deref().unwrap_or_default());
        self.found(token.start);
        if let Some(value) = value {
            let outermost = self.outermost;
            let place = place_of(&self.marks, &self.text, token.start);
            self.text.truncate(token.start);
            self.outermost.get_or_insert(place);
            self.mark();
            self.text.push_str(&value);
            self.outermost = outermost;
            self.lexer.rewind(self.text.len());
            self.mark();
        }
    }

    /// Carries out the command whose line is complete.
    fn command(&mut self) -> Result<Turn, SplitError> {
        let Mode::Command { line, place } = std::mem::replace(&mut self.mode, Mode::Sql) else {
            return Ok(Turn::Again);
        };
        let done = command::run(&line, place, &mut self.variables)?;
        let (taken, rest) = line.split_at(done.used);
        self.here.advance(taken);
        if !rest.is_empty() {
            self.frames.push(Frame { text: rest.to_owned(), at: 0, variable: None });
        }
        match self.text.is_empty() {
            true => self.begin(),
            false => self.mark(),
        }
        let notice = done.notice.map(|text| Piece::Notice { text, line: place.line });
        Ok(notice.map_or(Turn::Again, Turn::Piece))
    }

    /// The rest of a `COPY`'s line is complete: data starts with the next line.
    fn after_copy(&mut self, input: &mut &str) -> Result<Turn, SplitError> {
        let Mode::AfterCopy { line, place } = std::mem::replace(&mut self.mode, Mode::CopyData)
        else {
            return Ok(Turn::Again);
        };
        let behind = line.trim_matches([' ', '\t', '\r']);
        if !behind.is_empty() && !behind.starts_with("--") {
            return Err(SplitError::AfterCopy { line: place.line, column: place.column });
        }
        self.outermost = None;
        self.here.advance(&line);
        if let Some(rest) = input.strip_prefix('\n') {
            self.here.advance("\n");
            *input = rest;
        }
        Ok(Turn::Again)
    }

    fn copy_ends(&mut self) -> Turn {
        self.mode = Mode::CopyEnd;
        self.copy.rest().map_or(Turn::Again, |piece| Turn::Piece(Piece::CopyData(piece)))
    }
}

/// Moves text into `line` up to the end of the line; gives whether it is there.
fn collect(line: &mut String, frames: &mut Vec<Frame>, input: &mut &str) -> bool {
    while let Some(frame) = frames.pop() {
        let rest = &frame.text[frame.at..];
        // White space of a variable's value is not the stream's.
        if frame.variable.is_none() || !rest.trim().is_empty() {
            line.push_str(rest);
        }
    }
    let end = input.find('\n');
    let (taken, rest) = input.split_at(end.unwrap_or(input.len()));
    line.push_str(taken);
    *input = rest;
    end.is_some()
}

#[cfg(test)]
mod tests;
