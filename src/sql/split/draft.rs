//! The statement that is being read: its text so far, and where that comes from.

use super::place::{Mark, Place, place_of};
use super::{Copy, Statement};

/// See the module.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The text so far.
    pub text: String,
    /// The place up to which the stream is read.
    pub here: Place,
    /// Where the variable stands whose value is read.
    pub variable: Option<Place>,
    marks: Vec<Mark>,
    first: Option<Place>,
}

impl Default for Draft {
    fn default() -> Self {
        let text = String::new();
        Self { text, here: Place::START, variable: None, marks: Vec::new(), first: None }
    }
}

impl Draft {
    /// A new text, from here on.
    pub fn begin(&mut self) {
        self.text.clear();
        self.marks.clear();
        self.mark();
    }

    /// The text goes on with what stands here.
    pub fn mark(&mut self) {
        let place = self.variable.unwrap_or(self.here);
        let mark = Mark { at: self.text.len(), place, fixed: self.variable.is_some() };
        match self.marks.last_mut() {
            Some(last) if last.at == mark.at => *last = mark,
            _ => self.marks.push(mark),
        }
    }

    /// The place of a byte of the text.
    pub fn place(&self, at: usize) -> Place {
        place_of(&self.marks, &self.text, at)
    }

    /// There is a token at this byte of the text.
    pub fn found(&mut self, at: usize) {
        if self.first.is_none() {
            self.first = Some(self.place(at));
        }
    }

    /// Whether there is no token yet.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The statement that ends here, unless there is nothing but comments.
    pub fn statement(&mut self, copy: Option<Copy>) -> Option<Statement> {
        let statement = self.first.take().map(|first| {
            let mut text = std::mem::take(&mut self.text);
            text.truncate(text.trim_end_matches([' ', '\t', '\r', '\n']).len());
            Statement {
                text,
                line: first.line,
                column: first.column,
                span: first.offset..self.here.offset,
                copy,
                marks: std::mem::take(&mut self.marks),
            }
        });
        self.begin();
        statement
    }
}
