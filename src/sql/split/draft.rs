//! The statement that is being read: its text so far, and where that comes from.

use super::place::{Mark, Place, place_of};
use super::{Copy, Statement};

/// Room for a statement, in bytes: most need no more.
const FIRST: usize = 256;

/// See the module.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The text so far.
    pub text: String,
    /// The place up to which the stream is read, but for the last bytes of the text.
    here: Place,
    /// How many these are: they are counted at once, when the place is asked for.
    behind: usize,
    /// Where the variable stands whose value is read.
    pub variable: Option<Place>,
    marks: Vec<Mark>,
    first: Option<Place>,
}

impl Default for Draft {
    fn default() -> Self {
        let text = String::new();
        Self { text, here: Place::START, behind: 0, variable: None, marks: Vec::new(), first: None }
    }
}

impl Draft {
    /// The text goes on with this part of the stream.
    pub fn push(&mut self, text: &str) {
        if self.text.capacity() == 0 {
            self.text.reserve(FIRST);
        }
        self.text.push_str(text);
        self.behind += text.len();
    }

    /// The place up to which the stream is read.
    pub fn here(&mut self) -> Place {
        self.here.advance(&self.text[self.text.len() - self.behind..]);
        self.behind = 0;
        self.here
    }

    /// This part of the stream is read, and is no part of the text.
    pub fn skip(&mut self, text: &str) {
        self.here();
        self.here.advance(text);
    }

    /// There is a byte order mark.
    pub fn skip_mark(&mut self) {
        self.here.skip('\u{feff}'.len_utf8());
    }

    /// The end of the text is read, and no part of it any more.
    pub fn cut(&mut self, at: usize) {
        self.here();
        self.text.truncate(at);
    }

    /// A new text, from here on.
    pub fn begin(&mut self) {
        self.here();
        self.text.clear();
        self.marks.clear();
        self.mark();
    }

    /// The text goes on with what stands here.
    pub fn mark(&mut self) {
        let here = self.here();
        let place = self.variable.unwrap_or(here);
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
        let end = self.here().offset;
        let statement = self.first.take().map(|first| {
            let mut text = std::mem::take(&mut self.text);
            text.truncate(text.trim_end_matches([' ', '\t', '\r', '\n']).len());
            Statement {
                text,
                line: first.line,
                column: first.column,
                span: first.offset..end,
                copy,
                marks: std::mem::take(&mut self.marks),
            }
        });
        self.begin();
        statement
    }
}
