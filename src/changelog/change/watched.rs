//! A file that is read for something else, and looked at on its way: whether all of it is text.
//!
//! What it finds is only told; the reader gets the bytes as they are, for checksums are made
//! of them. No more of the file is kept than the beginning of a character.

use std::io::{self, Read};

/// Passes bytes on, and sees the first that are no text.
pub struct Watched<R> {
    reader: R,
    /// The bytes of a character whose end was not read yet.
    begun: Vec<u8>,
    line: usize,
    nul: Option<usize>,
    damaged: Option<usize>,
    ended: bool,
}

impl<R: Read> Watched<R> {
    /// Nothing is read yet.
    pub fn new(reader: R) -> Self {
        Self { reader, begun: Vec::new(), line: 1, nul: None, damaged: None, ended: false }
    }

    /// The line (from 1) of the first U+0000.
    pub fn nul(&self) -> Option<usize> {
        self.nul
    }

    /// The line (from 1) of the first bytes that are not UTF-8.
    pub fn damaged(&self) -> Option<usize> {
        self.damaged.or((self.ended && !self.begun.is_empty()).then_some(self.line))
    }

    fn see(&mut self, bytes: &[u8]) {
        let lines = |part: &[u8]| part.split(|byte| *byte == b'\n').count() - 1;
        if self.nul.is_none() {
            let nul = bytes.iter().position(|byte| *byte == 0);
            self.nul = nul.map(|at| self.line + lines(&bytes[..at]));
        }
        if self.damaged.is_none() {
            let begun = std::mem::take(&mut self.begun);
            let joined = [begun.as_slice(), bytes].concat();
            if let Err(error) = std::str::from_utf8(&joined) {
                let (good, bad) = joined.split_at(error.valid_up_to());
                match error.error_len() {
                    Some(_) => self.damaged = Some(self.line + lines(good)),
                    None => self.begun = bad.to_vec(),
                }
            }
        }
        self.line += lines(bytes);
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.see(&buffer[..read]);
        self.ended |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives some bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.0.len().min(self.1).min(buffer.len());
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    #[test]
    fn the_first_bytes_that_are_no_text_are_found_however_they_come() {
        for (bytes, nul, damaged) in [
            ("a\né€\u{1f600}\n".as_bytes(), None, None),
            (b"a\nb\xe4c\n\xe4", None, Some(2)),
            (b"a\n\xe2\x82", None, Some(2)),
            (b"\xff\xfea\0", Some(1), Some(1)),
            (b"a\n\nb\0\n\0", Some(3), None),
        ] {
            for step in 1..5 {
                let mut file = Watched::new(Slow(bytes, step));
                let mut read = Vec::new();
                file.read_to_end(&mut read).unwrap();
                assert_eq!((file.nul(), file.damaged(), &*read), (nul, damaged, bytes));
            }
        }
    }
}
