//! What psql adds to SQL: variables in the midst of a statement, and commands.

use super::SplitError;
use super::command;
use super::lexer::{Kind, Token};
use super::place::Place;
use super::splitter::{Frame, Mode, Splitter, Turn};
use crate::sql::split::Piece;

/// The most that variables may add to a statement, in bytes read.
const EXPANSION: usize = 1 << 24;

/// What a variable in a variable counts for beside its value: a few of them can stand for billions.
const NESTED: usize = 1 << 8;

impl Splitter {
    /// `:name`: its value is read in its place, unless it is being read already.
    pub(super) fn variable(&mut self, token: Token) -> Result<Turn, SplitError> {
        let name = &self.draft.text[token.start + 1..token.end];
        let is_read = |frame: &Frame| frame.variable.as_deref() == Some(name);
        let value = self.variables.get(name).filter(|_| !self.frames.iter().any(is_read));
        let Some(value) = value else {
            self.outline.take(Kind::Other, "");
            self.draft.found(token.start);
            return Ok(Turn::Again);
        };
        let (value, name) = (value.to_owned(), name.to_owned());
        let place = self.draft.place(token.start);
        let nested = self.frames.iter().any(|frame| frame.variable.is_some());
        self.expanded += value.len() + if nested { NESTED } else { 0 };
        if self.expanded > EXPANSION {
            let Place { line, column, .. } = place;
            return Err(SplitError::Expansion { variable: name, line, column });
        }
        self.cut(token.start);
        self.draft.variable.get_or_insert(place);
        self.draft.mark();
        self.frames.push(Frame { text: value, at: 0, variable: Some(name) });
        Ok(Turn::Again)
    }

    /// The text of a frame is used up. A token ends with the value that it is from.
    pub(super) fn frame_ends(&mut self) -> Option<Token> {
        if self.frames.last()?.variable.is_some() {
            if let Some(token) = self.lexer.flush() {
                return Some(token);
            }
        }
        self.frames.pop();
        if self.frames.iter().all(|frame| frame.variable.is_none()) {
            self.draft.variable = None;
            if self.draft.is_empty() {
                self.expanded = 0;
            }
        }
        self.draft.mark();
        None
    }

    /// `:'name'`, `:"name"`, `:{?name}`: the value is one token.
    pub(super) fn insert(&mut self, token: Token) {
        let written = &self.draft.text[token.start..token.end];
        let name = &written[2..written.len() - 1];
        let (kind, value) = match token.kind {
            Kind::VariableTest => {
                let name = name.trim_start_matches('?');
                (Kind::Other, Some(command::test(&self.variables, name).to_owned()))
            }
            Kind::VariableName => (Kind::Quoted, self.variables.name(name)),
            _ => (Kind::Literal, self.variables.literal(name)),
        };
        self.outline.take(kind, value.as_deref().unwrap_or_default());
        self.draft.found(token.start);
        if let Some(value) = value {
            let outer = self.draft.variable;
            let place = self.draft.place(token.start);
            self.draft.cut(token.start);
            self.draft.variable.get_or_insert(place);
            self.draft.mark();
            self.draft.text.push_str(&value);
            self.draft.variable = outer;
            self.draft.mark();
            self.lexer.rewind(self.draft.text.len());
        }
    }

    /// `\;` and `\:`: the character stands for itself.
    pub(super) fn escaped(&mut self, token: Token) {
        self.commands += 1;
        self.draft.here();
        self.draft.text.remove(token.start);
        if self.draft.text.ends_with(';') {
            self.outline.restart();
        }
        self.outline.take(Kind::Other, "");
        self.draft.found(token.start);
        self.draft.mark();
        self.lexer.rewind(self.draft.text.len());
    }

    /// The start of a command.
    pub(super) fn backslash(&mut self, token: Token) -> Result<Turn, SplitError> {
        self.commands += 1;
        let place = self.draft.place(token.start);
        self.cut(token.start);
        if self.draft.variable.is_some() {
            let Place { line, column, .. } = place;
            let hint = "A variable's value cannot hold a command; write it out.";
            return Err(SplitError::Command { command: String::new(), line, column, hint });
        }
        self.mode = Mode::Command { line: String::new(), place };
        Ok(Turn::Again)
    }

    /// Carries out the command whose line is complete.
    pub(super) fn command(&mut self) -> Result<Turn, SplitError> {
        let Mode::Command { line, place } = std::mem::replace(&mut self.mode, Mode::Sql) else {
            return Ok(Turn::Again);
        };
        let done = command::run(&line, place, &mut self.variables)?;
        let (own, rest) = line.split_at(done.used);
        self.draft.skip(own);
        if !rest.is_empty() {
            self.frames.push(Frame { text: rest.to_owned(), at: 0, variable: None });
        }
        if self.draft.text.is_empty() {
            self.begin();
        } else {
            self.draft.mark();
        }
        let notice = done.notice.map(|text| Piece::Notice { text, line: place.line });
        Ok(notice.map_or(Turn::Again, Turn::Piece))
    }

    /// Takes the end of the text away.
    fn cut(&mut self, at: usize) {
        self.draft.cut(at);
        self.lexer.rewind(at);
    }
}
