//! Where things stand: lines and columns of a stream, and of a statement whose text
//! is not all from one piece of it.
//!
//! A line ends with `\n`, `\r\n` or `\r`, as PostgreSQL counts them; a column counts
//! characters, as the server does when it reports a position.

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it.
    pub offset: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Whether the character before it is `\r`, which with a `\n` is one line end.
    after_cr: bool,
}

impl Place {
    /// The first.
    pub const START: Place = Place { offset: 0, line: 1, column: 1, after_cr: false };

    /// The place after `text`.
    pub fn advance(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.offset += bytes.len();
        if self.after_cr || bytes.contains(&b'\r') {
            for &byte in bytes {
                self.after(byte);
            }
            return;
        }
        let last = match text.rfind('\n') {
            Some(end) => {
                self.line += text.matches('\n').count();
                self.column = 1;
                &text[end + 1..]
            }
            None => text,
        };
        self.column += last.chars().count();
    }

    fn after(&mut self, byte: u8) {
        match byte {
            b'\n' if self.after_cr => self.column = 1,
            b'\n' | b'\r' => (self.line, self.column) = (self.line + 1, 1),
            // All but the first byte of a character.
            0x80..=0xbf => {}
            _ => self.column += 1,
        }
        self.after_cr = byte == b'\r';
    }

    /// The place after a byte order mark, which is in no column.
    pub fn skip(&mut self, bytes: usize) {
        self.offset += bytes;
    }
}

/// From which byte of a statement's text on it stands where in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The byte of the text.
    pub at: usize,
    /// Its place.
    pub place: Place,
    /// All of it stands there: it is a variable's value.
    pub fixed: bool,
}

/// The place of a byte of `text`; the marks are in order, and the first is at 0.
pub fn place_of(marks: &[Mark], text: &str, at: usize) -> Place {
    let mark = marks.iter().rfind(|mark| mark.at <= at);
    let Some(mark) = mark else { return Place::START };
    let mut place = mark.place;
    if !mark.fixed {
        place.advance(&text[mark.at..at]);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_as_people_see_them() {
        for (text, line, column) in [
            ("", 1, 1),
            ("é", 1, 2),
            ("a\nb", 2, 2),
            ("a\r\nb", 2, 2),
            ("a\r\rb", 3, 2),
            ("\n\n", 3, 1),
        ] {
            let (mut whole, mut cut) = (Place::START, Place::START);
            whole.advance(text);
            for c in text.chars() {
                cut.advance(c.encode_utf8(&mut [0; 4]));
            }
            assert_eq!(
                (whole.line, whole.column, whole.offset),
                (line, column, text.len()),
                "{text:?}"
            );
            assert_eq!(whole, cut);
        }
    }
}
