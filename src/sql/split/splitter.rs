//! The splitter: what comes next in the stream, and which piece that makes.

use super::command::Variables;
use super::copy::{CopyData, Found};
use super::draft::Draft;
use super::lexer::{Kind, Lexer, Token};
use super::outline::Outline;
use super::place::Place;
use super::{Copy, Piece, SplitError};

/// Tells the pieces of a text apart while it streams by; see the [module](super).
///
/// ```
/// use execute_sql::sql::split::{Piece, Splitter};
///
/// let mut splitter = Splitter::default();
/// let mut pieces = Vec::new();
/// for mut chunk in ["SELECT ';", "'; SELECT 2"] {
///     while let Some(piece) = splitter.next(&mut chunk).unwrap() {
///         pieces.push(piece);
///     }
/// }
/// while let Some(piece) = splitter.finish().unwrap() {
///     pieces.push(piece);
/// }
/// let Piece::Statement(last) = &pieces[1] else { panic!() };
/// assert_eq!((last.text.as_str(), last.line, last.column), ("SELECT 2", 1, 14));
/// ```
#[derive(Debug, Clone)]
pub struct Splitter {
    /// It counts the bytes of the draft.
    pub(super) lexer: Lexer,
    pub(super) outline: Outline,
    pub(super) draft: Draft,
    pub(super) mode: Mode,
    pub(super) frames: Vec<Frame>,
    /// The bytes of variables that were read for this statement.
    pub(super) expanded: usize,
    pub(super) variables: Variables,
    pub(super) commands: usize,
    copy: CopyData,
}

/// What the stream holds at this point.
#[derive(Debug, Clone)]
pub(super) enum Mode {
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
pub(super) struct Frame {
    pub(super) text: String,
    pub(super) at: usize,
    /// The variable whose value it is; `None` for the rest of a command's line.
    pub(super) variable: Option<String>,
}

/// What a turn gave.
pub(super) enum Turn {
    Piece(Piece),
    Again,
    More,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            lexer: Lexer::psql(),
            outline: Outline::default(),
            draft: Draft::default(),
            mode: Mode::Start,
            frames: Vec::new(),
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
            let turn = self.turn(input);
            match self.kept(turn)? {
                Turn::Again => {}
                Turn::More => return Ok(None),
                Turn::Piece(piece) => return Ok(Some(piece)),
            }
        }
    }

    /// The pieces at the end of the text, until it gives none.
    pub fn finish(&mut self) -> Result<Option<Piece>, SplitError> {
        loop {
            if let Some(piece) = self.next(&mut "")? {
                return Ok(Some(piece));
            }
            let turn = self.end();
            match self.kept(turn)? {
                Turn::Again => {}
                Turn::More => return Ok(None),
                Turn::Piece(piece) => return Ok(Some(piece)),
            }
        }
    }

    /// How many commands of psql there were so far, `\;` and `\:` included.
    pub fn commands(&self) -> usize {
        self.commands
    }

    fn kept(&mut self, turn: Result<Turn, SplitError>) -> Result<Turn, SplitError> {
        if let Err(error) = &turn {
            self.mode = Mode::Failed(error.clone());
        }
        turn
    }

    fn turn(&mut self, input: &mut &str) -> Result<Turn, SplitError> {
        if input.is_empty() && self.frames.is_empty() && !matches!(self.mode, Mode::CopyEnd) {
            return Ok(Turn::More);
        }
        match &mut self.mode {
            Mode::Start => {
                if let Some(rest) = input.strip_prefix('\u{feff}') {
                    self.draft.skip_mark();
                    *input = rest;
                }
                self.mode = Mode::Sql;
                self.begin();
                Ok(Turn::Again)
            }
            Mode::Sql => loop {
                match self.read(input) {
                    None => return Ok(Turn::Again),
                    Some(token) if self.belongs(token) => {}
                    Some(token) => return self.take(token),
                }
            },
            Mode::Command { line, .. } => {
                let complete = collect(line, &mut self.frames, input);
                if complete { self.command() } else { Ok(Turn::More) }
            }
            Mode::AfterCopy { line, .. } => {
                let complete = collect(line, &mut self.frames, input);
                if complete { self.after_copy(input) } else { Ok(Turn::More) }
            }
            Mode::CopyData => {
                let before = *input;
                let found = self.copy.take(input);
                self.draft.skip(&before[..before.len() - input.len()]);
                Ok(match found {
                    Found::Piece(piece) => Turn::Piece(Piece::CopyData(piece)),
                    Found::More => Turn::More,
                    Found::End => self.copy_ends(),
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
                    let Place { line, column, .. } = self.draft.place(at);
                    return Err(SplitError::Unclosed { what, line, column });
                }
                Ok(self.statement().map_or(Turn::More, Turn::Piece))
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
            let (text, rest) = input.split_at(used);
            self.draft.push(text);
            *input = rest;
            return token;
        };
        let rest = &frame.text[frame.at..];
        if rest.is_empty() {
            return self.frame_ends();
        }
        let (used, token) = self.lexer.next(rest.as_bytes());
        if frame.variable.is_none() {
            self.draft.push(&rest[..used]);
        } else {
            self.draft.text.push_str(&rest[..used]);
        }
        frame.at += used;
        token
    }

    /// Counts a token that just belongs to the statement, as most do; gives whether it does.
    fn belongs(&mut self, token: Token) -> bool {
        match token.kind {
            Kind::Space | Kind::LineComment | Kind::Comment => token.start > 0,
            Kind::Word | Kind::Literal | Kind::Quoted | Kind::Open | Kind::Close | Kind::Other => {
                self.outline.take(token.kind, &self.draft.text[token.start..token.end]);
                self.draft.found(token.start);
                true
            }
            _ => false,
        }
    }

    fn take(&mut self, token: Token) -> Result<Turn, SplitError> {
        match token.kind {
            _ if self.belongs(token) => {}
            // Before a statement these are nothing, as in psql.
            Kind::Space | Kind::LineComment => self.begin(),
            Kind::Variable => return self.variable(token),
            Kind::VariableLiteral | Kind::VariableName | Kind::VariableTest => self.insert(token),
            Kind::Escaped => self.escaped(token),
            Kind::Backslash => return self.backslash(token),
            Kind::Semicolon if self.outline.take(token.kind, ";") => {
                self.draft.cut(token.start);
                return Ok(self.statement().map_or(Turn::Again, Turn::Piece));
            }
            // In parentheses or a body; or a comment before the statement, which psql keeps.
            _ => {}
        }
        Ok(Turn::Again)
    }

    /// A new statement, from here on.
    pub(super) fn begin(&mut self) {
        self.draft.begin();
        self.lexer.rewind(0);
    }

    /// The statement that ends here, unless there is nothing but comments.
    fn statement(&mut self) -> Option<Piece> {
        let copy = self.outline.copy();
        let statement = self.draft.statement(copy);
        self.lexer.rewind(0);
        self.outline = Outline::default();
        if self.draft.variable.is_none() {
            self.expanded = 0;
        }
        if copy == Some(Copy::In) {
            self.mode = Mode::AfterCopy { line: String::new(), place: self.draft.here() };
        }
        statement.map(Piece::Statement)
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
        self.draft.variable = None;
        self.draft.skip(&line);
        if let Some(rest) = input.strip_prefix('\n') {
            self.draft.skip("\n");
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
    let (text, rest) = input.split_at(end.unwrap_or(input.len()));
    line.push_str(text);
    *input = rest;
    end.is_some()
}
