//! The checksum of a CSV file: its bytes without empty lines and comments.
//!
//! Liquibase reads the file through a filter that drops `\r`, runs of `\n`, those
//! at both ends, and lines that begin with the comment's first character. The
//! filter looks ahead, and where comments and empty lines meet at the end it lets
//! a line end through. This is that filter, byte by byte, oddities included, for
//! the checksum in somebody's history was made by it. The file is not held.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};

use md5::{Digest, Md5};

/// The checksum (version 9) of what the filter lets through.
pub fn checksum(file: &mut dyn Read, comment: Option<char>) -> std::io::Result<String> {
    let mut filter = Filter::new(file, comment);
    let (mut md5, mut block) = (Md5::new(), Vec::with_capacity(4096));
    while let Some(byte) = filter.next()? {
        block.push(byte);
        if block.len() == block.capacity() {
            md5.update(&block);
            block.clear();
        }
    }
    md5.update(&block);
    let sum = md5.finalize();
    Ok(sum.iter().fold("9:".to_owned(), |hex, byte| hex + &format!("{byte:02x}")))
}

struct Filter<'a> {
    file: &'a mut dyn Read,
    block: Box<[u8]>,
    /// Where the block is read, and where it ends.
    at: usize,
    end: usize,
    /// Bytes since the mark, if there is one, and how many of them were read again.
    marked: Option<VecDeque<u8>>,
    again: VecDeque<u8>,
    /// A byte, as Java compares it with a character.
    comment: Option<u8>,
    last: Option<u8>,
}

impl<'a> Filter<'a> {
    fn new(file: &'a mut dyn Read, comment: Option<char>) -> Self {
        Self {
            file,
            block: vec![0; 64 * 1024].into(),
            at: 0,
            end: 0,
            marked: None,
            again: VecDeque::new(),
            comment: comment.and_then(|it| u8::try_from(u32::from(it)).ok()),
            last: None,
        }
    }

    /// The next byte of the file.
    fn byte(&mut self) -> std::io::Result<Option<u8>> {
        let byte = if let Some(byte) = self.again.pop_front() {
            byte
        } else {
            while self.at == self.end {
                match self.file.read(&mut self.block) {
                    Ok(0) => return Ok(None),
                    Ok(len) => (self.at, self.end) = (0, len),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.at += 1;
            self.block[self.at - 1]
        };
        if let Some(marked) = &mut self.marked {
            marked.push_back(byte);
        }
        Ok(Some(byte))
    }

    /// Goes back to the mark, which stays.
    fn reset(&mut self) {
        if let Some(mut marked) = self.marked.replace(VecDeque::new()) {
            marked.append(&mut self.again);
            self.again = marked;
        }
    }

    /// The next byte that is let through.
    fn next(&mut self) -> std::io::Result<Option<u8>> {
        // How many line ends wait for what comes behind them.
        let mut waiting = 0_usize;
        let (mut last, mut ahead) = (self.last, false);
        let found = loop {
            let Some(mut byte) = self.byte()? else { break None };
            if Some(byte) == self.comment && matches!(last, None | Some(b'\n')) {
                byte = loop {
                    match self.byte()? {
                        None => break 0,
                        Some(byte @ (b'\n' | b'\r' | 0)) => break byte,
                        Some(_) => {}
                    }
                };
                if byte == 0 && self.is_at_end()? {
                    break None;
                }
            }
            match byte {
                b'\r' => (last, ahead) = (self.last, false),
                b'\n' if matches!(last, None | Some(b'\n')) => (last, ahead) = (self.last, false),
                b'\n' => {
                    self.marked = Some(VecDeque::new());
                    waiting += 1;
                    (last, ahead) = (Some(b'\n'), true);
                }
                _ => {
                    if !ahead {
                        self.last = Some(byte);
                    }
                    break Some(byte);
                }
            }
        };
        if waiting == 0 {
            return Ok(found);
        }
        if found.is_none() {
            return Ok(None);
        }
        self.reset();
        self.marked = None;
        self.last = Some(b'\n');
        Ok(Some(b'\n'))
    }

    fn is_at_end(&mut self) -> std::io::Result<bool> {
        let kept = self.marked.take();
        let next = self.byte()?;
        self.marked = kept;
        if let Some(byte) = next {
            self.again.push_front(byte);
        }
        Ok(next.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &str, comment: Option<char>) -> String {
        let mut bytes = text.as_bytes();
        let mut filter = Filter::new(&mut bytes, comment);
        let mut out = Vec::new();
        while let Some(byte) = filter.next().unwrap() {
            out.push(byte);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn empty_lines_and_comments_are_dropped_as_liquibase_drops_them() {
        for (text, expected) in [
            ("a\r\nb\r\n", "a\nb"),
            ("\n\na\n\n\nb\n\n", "a\nb"),
            ("#x\na\n#y\nb#z\n", "a\nb#z"),
            ("a\n#x", "a"),
            ("a\n#x\n", "a"),
            ("a\n#x\n\nb", "a\nb"),
            // The filter's own oddity: the line end before the last comment stays.
            ("a\n\n#c\n", "a\n"),
            ("", ""),
            ("\n\n", ""),
        ] {
            assert_eq!(through(text, Some('#')), expected, "{text:?}");
        }
        assert_eq!(through("#a\n\n#b\n", None), "#a\n#b");
    }

    #[test]
    fn ten_thousand_empty_lines_are_no_burden() {
        let text = format!("a{}b", "\n".repeat(10_000));
        assert_eq!(through(&text, Some('#')), "a\nb");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_to_an_end(text in "[ab#\r\n\u{0}]{0,40}") {
            proptest::prop_assert!(through(&text, Some('#')).len() <= text.len());
        }
    }
}
