//! The data after `COPY … FROM STDIN`, up to a line `\.`, in pieces of bounded size.
//!
//! Where the pieces end depends on the data alone, not on how the stream is cut. As
//! in psql, the end of the text ends the data too, and a `\.` in the midst of a line
//! is data.

/// The most bytes of one piece, but for the start of a line.
pub const PIECE: usize = 1 << 16;

/// What may be the line that ends the data, as far as it must be kept back.
const END: &str = "\\.\r";

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct CopyData {
    piece: String,
    line: Line,
}

/// Where in a line the data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// So much of [`END`] was read, and nothing before it.
    Start(usize),
    /// Behind it.
    Inside,
}

impl Default for Line {
    fn default() -> Self {
        Self::Start(0)
    }
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A full piece.
    Piece(String),
    /// The line that ends the data.
    End,
    /// The input is used up.
    More,
}

impl CopyData {
    /// Takes data from the front of `input`.
    pub fn take(&mut self, input: &mut &str) -> Found {
        while let Some(&first) = input.as_bytes().first() {
            let Line::Start(read) = self.line else {
                let line = input.find('\n').map_or(input.len(), |at| at + 1);
                let fits = PIECE.saturating_sub(self.piece.len());
                let taken = if line <= fits { line } else { input.floor_char_boundary(fits) };
                self.piece.push_str(&input[..taken]);
                *input = &input[taken..];
                if taken < line {
                    return Found::Piece(std::mem::take(&mut self.piece));
                }
                if self.piece.ends_with('\n') {
                    self.line = Line::Start(0);
                }
                continue;
            };
            match first {
                b'\n' if read >= 2 => {
                    *input = &input[1..];
                    self.line = Line::default();
                    return Found::End;
                }
                _ if END.as_bytes().get(read) == Some(&first) => {
                    *input = &input[1..];
                    self.line = Line::Start(read + 1);
                }
                _ => self.not_the_end(read),
            }
        }
        Found::More
    }

    /// No more data comes.
    pub fn finish(&mut self) {
        if let Line::Start(read @ ..2) = self.line {
            self.not_the_end(read);
        }
        self.line = Line::default();
    }

    /// What is left when the data has ended.
    pub fn rest(&mut self) -> Option<String> {
        Some(std::mem::take(&mut self.piece)).filter(|piece| !piece.is_empty())
    }

    fn not_the_end(&mut self, read: usize) {
        self.piece.push_str(&END[..read]);
        self.line = Line::Inside;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(data: &str, step: usize) -> (Vec<String>, String) {
        let (mut copy, mut found, mut at) = (CopyData::default(), Vec::new(), 0);
        while at < data.len() {
            let end = data.ceil_char_boundary(at + step);
            let mut input = &data[at..end];
            at = end;
            loop {
                match copy.take(&mut input) {
                    Found::Piece(piece) => found.push(piece),
                    Found::More => break,
                    Found::End => {
                        found.extend(copy.rest());
                        return (found, format!("{input}{}", &data[at..]));
                    }
                }
            }
        }
        copy.finish();
        found.extend(copy.rest());
        (found, String::new())
    }

    #[test]
    fn data_goes_up_to_its_last_line() {
        for (text, data, rest) in [
            ("1\n2\n\\.\nx", "1\n2\n", "x"),
            ("1\r\n\\.\r\nx", "1\r\n", "x"),
            ("\\.\n", "", ""),
            ("a\\.\n\\.b\n\\\\.\n\\N\n\\.", "a\\.\n\\.b\n\\\\.\n\\N\n", ""),
            ("\\.\r\r\n\\", "\\.\r\r\n\\", ""),
            ("no end", "no end", ""),
        ] {
            for step in [1, 2, 100] {
                let (pieces, left) = pieces(text, step);
                assert_eq!((pieces.concat().as_str(), left.as_str()), (data, rest), "{text:?}");
            }
        }
    }

    #[test]
    fn pieces_are_bounded_and_end_where_the_data_says() {
        let data = format!("{}\n{}é", "\u{20ac}".repeat(PIECE), "x\n".repeat(PIECE));
        let whole = pieces(&data, data.len()).0;
        assert!(whole.len() > 3 && whole.iter().all(|piece| piece.len() <= PIECE + END.len()));
        assert_eq!(whole.concat(), data);
        assert_eq!(pieces(&data, 1).0, whole);
        assert_eq!(pieces(&data, 4099).0, whole);
    }
}
