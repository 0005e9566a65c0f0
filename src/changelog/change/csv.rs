//! Records of a CSV file, one at a time.
//!
//! Quotes are doubled inside of quotes (RFC 4180), a value may have line ends, and
//! empty lines and comments are passed over. A comment is told by the first value
//! of a record, as Liquibase tells it.

use std::io::Read;

use super::given::Given;
use crate::changelog::ChangelogError;

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    separator: u8,
    quote: Option<u8>,
    /// What a line of comment begins with.
    pub comment: Option<String>,
}

impl Form {
    /// As a change says.
    pub fn of(given: &Given) -> Result<Self, ChangelogError> {
        let ascii = |field: &str, text: &str| match text.as_bytes() {
            [byte, ..] if byte.is_ascii() => Ok(*byte),
            _ => Err(given.error(format!("`{field}` must begin with an ASCII character"))),
        };
        let separator = match given.text("separator") {
            None => b',',
            Some("\\t") => b'\t',
            Some(text) => ascii("separator", text)?,
        };
        let quote = match given.text("quotchar") {
            None => Some(b'"'),
            Some(text) if text.trim().is_empty() => None,
            Some(text) => Some(ascii("quotchar", text)?),
        };
        let comment = match given.text("commentLineStartsWith") {
            None => Some("#".to_owned()),
            Some("") => None,
            Some(text) => Some(text.to_owned()),
        };
        Ok(Self { separator, quote, comment })
    }
}

/// A file that is read.
pub struct Csv<'a> {
    reader: ::csv::Reader<Quotes<'a>>,
    record: ::csv::ByteRecord,
    comment: Option<String>,
    first: bool,
}

/// Sees whether quotes come in pairs.
struct Quotes<'a> {
    file: Box<dyn Read + Send + 'a>,
    quote: Option<u8>,
    is_odd: bool,
    ended: bool,
}

impl Read for Quotes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        let quotes = buffer[..read].iter().filter(|byte| Some(**byte) == self.quote).count();
        self.is_odd ^= quotes % 2 == 1;
        self.ended |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

impl<'a> Csv<'a> {
    /// Begins to read.
    pub fn new(file: Box<dyn Read + Send + 'a>, form: &Form) -> Self {
        let reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(form.separator)
            .quoting(form.quote.is_some())
            .quote(form.quote.unwrap_or(b'"'))
            .from_reader(Quotes { file, quote: form.quote, is_odd: false, ended: false });
        let comment = form.comment.clone();
        Self { reader, record: ::csv::ByteRecord::new(), comment, first: true }
    }

    /// The line where the record began that was read last.
    pub fn line(&self) -> u64 {
        // The reader is behind it: one line on, unless the file ended without a line end. Where the
        // record itself says it began, empty lines may come first.
        let behind = self.reader.position().line() - u64::from(!self.reader.is_done());
        let inside = self.record.as_slice().split(|byte| *byte == b'\n').count() - 1;
        behind.saturating_sub(inside as u64)
    }

    /// The next record that says something; an error says what is wrong.
    pub fn next(&mut self) -> Result<Option<Vec<String>>, String> {
        loop {
            let more = self.reader.read_byte_record(&mut self.record);
            if !more.map_err(|error| error.to_string())? {
                return Ok(None);
            }
            // A quote that is not closed makes one value of all that follows.
            let reaches_on = self.record.as_slice().contains(&b'\n');
            let file = self.reader.get_ref();
            if reaches_on && file.ended && file.is_odd {
                let begins = self.record.position().map_or(0, ::csv::Position::line);
                return Err(format!("a quote in line {begins} is not closed"));
            }
            let mut values = Vec::with_capacity(self.record.len());
            for value in &self.record {
                let text = std::str::from_utf8(value)
                    .map_err(|_| format!("line {} is not UTF-8", self.line()))?;
                values.push(text.replace("\r\n", "\n"));
            }
            if let Some(first) = values.first_mut().filter(|_| std::mem::take(&mut self.first)) {
                if let Some(bare) = first.strip_prefix('\u{feff}') {
                    *first = bare.to_owned();
                }
            }
            let empty = matches!(values.as_slice(), [] | [_])
                && values.iter().all(|it| it.trim().is_empty());
            let is_comment = |text: &String| {
                self.comment.as_ref().is_some_and(|comment| text.starts_with(comment.as_str()))
            };
            if !empty && !values.first().is_some_and(is_comment) {
                return Ok(Some(values));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<usize, String> {
        let form = Form { separator: b',', quote: Some(b'"'), comment: None };
        let mut csv = Csv::new(Box::new(text.as_bytes()), &form);
        let mut rows = 0;
        while csv.next()?.is_some() {
            rows += 1;
        }
        Ok(rows)
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_and_takes_no_rows_in_silence() {
        for (text, expected) in [
            ("a\n\"1\n2\n3\n", Err("a quote in line 2 is not closed".to_owned())),
            ("a\n\"1\n2\"\n3\n", Ok(3)),
            ("a\n\"1\"\"\n2\"", Ok(2)),
            ("a\n5\" pipe\n3\n", Ok(3)),
        ] {
            assert_eq!(rows(text), expected, "{text:?}");
        }
    }
}
