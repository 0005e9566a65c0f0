//! The lines of a file, decoded as Liquibase decodes them.
//!
//! UTF-8, or what a byte order mark says (UTF-16 and UTF-32 of both orders); the
//! mark is dropped. Lines end at `\n`, `\r\n` or `\r`. What is no character
//! becomes U+FFFD, as in Java, so that checksums match; a line says whether that
//! happened. A file is never held: a very long line comes in pieces.

use std::borrow::Cow;
use std::io::{self, Read};

use crate::changelog::{FileError, Files};

/// A longer line (in bytes) comes in pieces.
const PIECE: usize = 1 << 20;
const CHUNK: usize = 64 << 10;

/// Reads a file's lines.
pub struct Lines<R> {
    from: Decoder<R>,
    buffer: Vec<u8>,
    /// Where what was not given yet starts.
    at: usize,
    ended: bool,
    /// The last line ended in `\r`: a `\n` that follows belongs to it.
    after_return: bool,
    /// The last piece did not end its line.
    continues: bool,
    number: u32,
}

/// A line, or a piece of a long one.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Without its end.
    pub text: Cow<'a, str>,
    /// From 1.
    pub number: u32,
    /// Whether it begins here.
    pub begins: bool,
    /// Whether it ends here.
    pub ends: bool,
    /// Whether some of its bytes were no characters.
    pub damaged: bool,
}

impl Line<'_> {
    /// Whether it holds U+0000, which no text in PostgreSQL can.
    pub fn has_nul(&self) -> bool {
        self.text.as_bytes().contains(&0)
    }

    /// Whether this is all of it.
    pub fn whole(&self) -> bool {
        self.begins && self.ends
    }
}

/// The lines of a file of a bundle.
pub fn open<'a>(files: &'a dyn Files, path: &str) -> Result<Lines<impl Read + 'a>, FileError> {
    Ok(Lines::new(files.open(path)?))
}

impl<R: Read> Lines<R> {
    /// From the file's bytes.
    pub fn new(reader: R) -> Self {
        Self {
            from: Decoder { reader, encoding: None, raw: Vec::new() },
            buffer: Vec::new(),
            at: 0,
            ended: false,
            after_return: false,
            continues: false,
            number: 0,
        }
    }

    /// The next line, or piece of one.
    pub fn read(&mut self) -> io::Result<Option<Line<'_>>> {
        let Some((start, end, ends)) = self.find()? else { return Ok(None) };
        let begins = !self.continues;
        self.continues = !ends;
        self.number += u32::from(begins);
        let (text, clean) = decoded(&self.buffer[start..end]);
        Ok(Some(Line { text, number: self.number, begins, ends, damaged: !clean }))
    }

    /// Where the next piece stands in the buffer, and whether its line ends there.
    fn find(&mut self) -> io::Result<Option<(usize, usize, bool)>> {
        let mut searched = 0;
        loop {
            if self.after_return && self.at < self.buffer.len() {
                self.at += usize::from(self.buffer[self.at] == b'\n');
                self.after_return = false;
            }
            let rest = &self.buffer[self.at..];
            let start = self.at;
            if let Some(len) = rest[searched..].iter().position(|it| matches!(it, b'\n' | b'\r')) {
                let end = start + searched + len;
                self.after_return = self.buffer[end] == b'\r';
                self.at = end + 1;
                return Ok(Some((start, end, true)));
            }
            searched = rest.len();
            if searched >= PIECE {
                let end = start + boundary(rest);
                self.at = end;
                return Ok(Some((start, end, false)));
            }
            if self.ended {
                if rest.is_empty() && !self.continues {
                    return Ok(None);
                }
                self.at = self.buffer.len();
                return Ok(Some((start, self.at, true)));
            }
            self.buffer.drain(..start);
            self.at = 0;
            self.ended = !self.from.fill(&mut self.buffer)?;
        }
    }
}

/// Where to cut a long line so that no character is torn.
fn boundary(bytes: &[u8]) -> usize {
    let lead = bytes.iter().rev().take(4).position(|byte| byte & 0xC0 != 0x80);
    lead.map_or(bytes.len(), |back| bytes.len() - back - 1)
}

/// Text of bytes, and whether all of them were characters. Java takes a surrogate in UTF-8 (three
/// bytes) for one lost character, Rust for three; otherwise they agree.
fn decoded(mut bytes: &[u8]) -> (Cow<'_, str>, bool) {
    let mut text = String::new();
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) if text.is_empty() => return (Cow::Borrowed(rest), true),
            Ok(rest) => {
                text.push_str(rest);
                return (Cow::Owned(text), false);
            }
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                text.push_str(&String::from_utf8_lossy(good));
                text.push(char::REPLACEMENT_CHARACTER);
                let lost = match bad {
                    [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..] => 3,
                    [0xED, 0xA0..=0xBF, ..] => 2,
                    _ => error.error_len().unwrap_or(bad.len()),
                };
                bytes = &bad[lost..];
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    /// With the order of bytes.
    Utf16(fn([u8; 2]) -> u16),
    Utf32(fn([u8; 4]) -> u32),
}

/// Gives any encoding as UTF-8. What is no character in UTF-16 or UTF-32 becomes a byte that is none
/// in UTF-8, so that it is found like all others.
struct Decoder<R> {
    reader: R,
    encoding: Option<Encoding>,
    /// Bytes that are not decoded yet.
    raw: Vec<u8>,
}

const LOST: u8 = 0xFF;

impl<R: Read> Decoder<R> {
    /// Appends some bytes; `false` at the end of the file.
    fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let Some(encoding) = self.encoding else {
            return self.begin(out);
        };
        match encoding {
            Encoding::Utf8 => self.more(out),
            Encoding::Utf16(unit) => {
                let more = self.more_raw()?;
                self.utf16(unit, more, out);
                Ok(more)
            }
            Encoding::Utf32(unit) => {
                let more = self.more_raw()?;
                self.utf32(unit, more, out);
                Ok(more)
            }
        }
    }

    /// Looks for the byte order mark.
    fn begin(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        while self.raw.len() < 4 && self.more_raw()? {}
        let (encoding, mark) = match self.raw.as_slice() {
            [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
            [0xFE, 0xFF, ..] => (Encoding::Utf16(u16::from_be_bytes), 2),
            [0xFF, 0xFE, 0, 0, ..] => (Encoding::Utf32(u32::from_le_bytes), 4),
            [0xFF, 0xFE, ..] => (Encoding::Utf16(u16::from_le_bytes), 2),
            [0, 0, 0xFE, 0xFF, ..] => (Encoding::Utf32(u32::from_be_bytes), 4),
            _ => (Encoding::Utf8, 0),
        };
        self.encoding = Some(encoding);
        self.raw.drain(..mark);
        if let Encoding::Utf8 = encoding {
            out.append(&mut self.raw);
            return Ok(true);
        }
        self.fill(out)
    }

    fn more_raw(&mut self) -> io::Result<bool> {
        let mut raw = std::mem::take(&mut self.raw);
        let more = self.more(&mut raw);
        self.raw = raw;
        more
    }

    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let before = out.len();
        out.resize(before + CHUNK, 0);
        loop {
            match self.reader.read(&mut out[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    out.truncate(before);
                    return Err(error);
                }
                Ok(len) => {
                    out.truncate(before + len);
                    return Ok(len > 0);
                }
            }
        }
    }

    /// Decodes what is whole; a high surrogate waits for its partner unless this is the end.
    fn utf16(&mut self, unit: fn([u8; 2]) -> u16, more: bool, out: &mut Vec<u8>) {
        let units: Vec<u16> = self.raw.chunks_exact(2).map(|it| unit([it[0], it[1]])).collect();
        let waits = more && units.last().is_some_and(|it| (0xD800..0xDC00).contains(it));
        let units = &units[..units.len() - usize::from(waits)];
        char::decode_utf16(units.iter().copied()).for_each(|it| push(it.ok(), out));
        self.raw.drain(..units.len() * 2);
        self.rest(more, out);
    }

    fn utf32(&mut self, unit: fn([u8; 4]) -> u32, more: bool, out: &mut Vec<u8>) {
        let whole = self.raw.len() / 4 * 4;
        let units = self.raw[..whole].chunks_exact(4).map(|it| unit([it[0], it[1], it[2], it[3]]));
        units.for_each(|it| push(char::from_u32(it), out));
        self.raw.drain(..whole);
        self.rest(more, out);
    }

    fn rest(&mut self, more: bool, out: &mut Vec<u8>) {
        if !more && !self.raw.is_empty() {
            self.raw.clear();
            out.push(LOST);
        }
    }
}

fn push(c: Option<char>, out: &mut Vec<u8>) {
    match c {
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.push(LOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> (Vec<String>, Option<u32>) {
        let mut lines = Lines::new(bytes);
        let (mut texts, mut damaged) = (Vec::new(), None);
        while let Some(line) = lines.read().unwrap() {
            assert!(line.whole());
            assert_eq!(line.number as usize, texts.len() + 1);
            if line.damaged {
                damaged = damaged.or(Some(line.number));
            }
            texts.push(line.text.into_owned());
        }
        (texts, damaged)
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        all(bytes).0
    }

    #[test]
    fn lines_end_at_any_of_three_ends() {
        assert_eq!(texts(b"a\nb\r\nc\rd\r\r\n\ne"), ["a", "b", "c", "d", "", "", "e"]);
        assert_eq!(texts(b"a\n"), ["a"]);
        assert_eq!(texts(b"\n\n"), ["", ""]);
        assert_eq!(texts(b""), Vec::<String>::new());
        assert_eq!(texts("a\u{85}\u{2028}\u{b}b".as_bytes()), ["a\u{85}\u{2028}\u{b}b"]);
    }

    #[test]
    fn a_byte_order_mark_tells_the_encoding_and_is_dropped() {
        let text = "é\u{1F600}\r\nx";
        let sixteen: Vec<u16> = format!("\u{feff}{text}").encode_utf16().collect();
        let thirty_two: Vec<u32> = format!("\u{feff}{text}").chars().map(u32::from).collect();
        for bytes in [
            format!("\u{feff}{text}").into_bytes(),
            sixteen.iter().flat_map(|it| it.to_le_bytes()).collect(),
            sixteen.iter().flat_map(|it| it.to_be_bytes()).collect(),
            thirty_two.iter().flat_map(|it| it.to_le_bytes()).collect(),
            thirty_two.iter().flat_map(|it| it.to_be_bytes()).collect(),
        ] {
            assert_eq!(all(&bytes), (vec!["é\u{1F600}".into(), "x".into()], None));
        }
        assert_eq!(texts("\u{feff}\u{feff}".as_bytes()), ["\u{feff}"]);
        assert_eq!(all(b"\xff\xfea\0\0\xd8b\0c"), (vec!["a\u{fffd}b\u{fffd}".into()], Some(1)));
    }

    #[test]
    fn what_is_no_character_is_replaced_as_java_does_it() {
        let lossy = |bytes| decoded(bytes).0.chars().filter(|&it| it == '\u{fffd}').count();
        for (bytes, lost) in [
            (b"\xff".as_slice(), 1),
            (b"\xc3 ", 1),
            (b"\xe2\x82 ", 1),
            (b"\xf0\x9f\x98", 1),
            (b"\xc0\x80", 2),
            (b"\xed\xa0\x80", 1),
            (b"\xed\xa0 ", 1),
            (b"\xf8\x88\x80\x80\x80", 5),
            (b"\xf4\x90\x80\x80", 4),
        ] {
            assert_eq!(lossy(bytes), lost, "{bytes:x?}");
        }
        assert_eq!(
            all(b"a\nb\n\xe4\n\xe4"),
            (texts("a\nb\n\u{fffd}\n\u{fffd}".as_bytes()), Some(3))
        );
    }

    /// Gives a byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.0.len().min(1);
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_tear_no_character() {
        let long = format!("a{}\nb", "é".repeat(PIECE));
        let mut lines = Lines::new(long.as_bytes());
        let (mut text, mut pieces) = (String::new(), 0);
        loop {
            let line = lines.read().unwrap().unwrap();
            assert_eq!(line.begins, pieces == 0);
            text.push_str(&line.text);
            pieces += 1;
            assert!(!line.damaged);
            if line.ends {
                break;
            }
        }
        assert!(pieces > 1);
        assert_eq!(text, long[..long.len() - 2]);
        assert_eq!(lines.read().unwrap().unwrap().number, 2);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_lines_however_they_come(
            bytes in proptest::collection::vec(proptest::sample::select(&b"\n\ra\xc3\xa9\xed\xa0\x00\xfe\xff\xef\xbb\xbf"[..]), 0..40)
        ) {
            let mut lines = Lines::new(Slow(&bytes));
            let mut slow = Vec::new();
            while let Some(line) = lines.read().unwrap() {
                slow.push(line.text.into_owned());
            }
            proptest::prop_assert_eq!(slow, texts(&bytes));
        }
    }
}
