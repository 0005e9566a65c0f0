//! From a file's lines to the text that the server gets, and its checksums.
//!
//! Trimmed, properties expanded, trimmed again, delimiters made `;`: in Liquibase's
//! order. A short text is gathered and made at its end; a long one goes through
//! in pieces, and only its digests stay.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::{HELD, Source, Text};
use crate::changelog::Properties;
use crate::changelog::checksum::{self, Folded, Older, Sql, Squeezed, hex};
use crate::changelog::formatted::delimiter::{Replacer, prepared};
use crate::changelog::properties::Expander;

/// How a text is made from a file's lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `endDelimiter`, as it counts for the server's text.
    pub end_delimiter: Option<String>,
    /// The same as it counts for checksums of version 8.
    pub written_delimiter: Option<String>,
    /// `splitStatements`.
    pub split: bool,
    /// `stripComments`.
    pub strip: bool,
}

/// What expands `${name}`: the properties, and the file they are looked up for.
pub type Expand<'a> = Option<(&'a Properties, &'a str)>;

/// What came of a text.
#[derive(Debug)]
pub struct Made {
    /// As the server gets it; without a source.
    pub text: Text,
    /// Its checksum of version 9.
    pub checksum: String,
    /// Its changeset's older checksums, if it is the only change.
    pub older: Older,
}

/// Java's `trim`: all characters up to the blank.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

fn is_blank(c: char) -> bool {
    c <= ' '
}

/// A copy of SQL longer than this (in bytes) is not kept for checksums of version 8; they are made at
/// once.
const COPIED: usize = 16 << 10;

/// Gathers the lines of one text after the other.
#[derive(Default)]
pub struct Gathered {
    raw: String,
    lines: Vec<u32>,
    continues: bool,
    long: Option<Box<Long>>,
}

impl Gathered {
    /// Whether there was no line at all.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.long.is_none()
    }

    /// Whether properties are already expanded, so that further definitions come too late.
    pub fn is_long(&self) -> bool {
        self.long.is_some()
    }

    /// Takes a line, or a piece of one. The error says why a long text cannot be made.
    pub fn push(
        &mut self,
        piece: &str,
        number: u32,
        ends: bool,
        rules: &Rules,
        expand: Expand<'_>,
    ) -> Result<(), &'static str> {
        if let Some(long) = &mut self.long {
            return long.line(piece, ends, expand);
        }
        if !self.continues {
            self.lines.push(number);
        }
        self.continues = !ends;
        self.raw.push_str(piece);
        if ends {
            self.raw.push('\n');
        }
        if self.raw.len() > HELD {
            let mut long = Box::new(Long::new(rules));
            for line in self.raw.split_inclusive('\n') {
                let text = line.strip_suffix('\n');
                long.line(text.unwrap_or(line), text.is_some(), expand)?;
            }
            self.raw.clear();
            self.lines.clear();
            (self.continues, self.long) = (false, Some(long));
        }
        Ok(())
    }

    /// Makes the text; `None` if nothing is left of it. `last` is for the last changeset of a formatted
    /// file: a line with only `/` at its end makes `/` its delimiter.
    pub fn finish(&mut self, rules: &mut Rules, last: bool, expand: Expand<'_>) -> Option<Made> {
        if let Some(long) = self.long.take() {
            return long.finish(rules, last);
        }
        let made = self.short(rules, last, expand);
        // Kept for the next text: most are short, and there are many.
        self.raw.clear();
        self.lines.clear();
        made
    }

    fn short(&self, rules: &mut Rules, last: bool, expand: Expand<'_>) -> Option<Made> {
        let start = self.raw.len() - self.raw.trim_start_matches(is_blank).len();
        let skipped = self.raw[..start].matches('\n').count();
        let raw = trimmed(&self.raw);
        let lines = self.lines.get(skipped..).unwrap_or_default();
        let (expanded, lines) = match expand.filter(|_| raw.contains("${")) {
            None => (Cow::Borrowed(raw), Cow::Borrowed(lines)),
            Some((properties, file)) => {
                let (text, lines) = expanded(raw, lines, properties, file);
                (Cow::Owned(text), Cow::Owned(lines))
            }
        };
        let skipped = expanded.len() - expanded.trim_start_matches(is_blank).len();
        let skipped = expanded[..skipped].matches('\n').count();
        let sql = trimmed(&expanded);
        if sql.is_empty() {
            return None;
        }
        slash(rules, last && sql.ends_with("\n/"));
        let parts = || Sql {
            sql: sql.to_owned(),
            end_delimiter: rules.written_delimiter.clone(),
            split: rules.split,
            strip: rules.strip,
        };
        let older = match sql.len() {
            ..=COPIED => Older::Sql(Box::new(parts())),
            _ => Older::Known { sums: parts().sums().to_vec(), eight: true },
        };
        let checksum = checksum::squeezed_md5(sql);
        let count = sql.matches('\n').count() + 1;
        let lines: Vec<u32> = lines.iter().skip(skipped).take(count).copied().collect();
        let prepared = prepared(sql, rules.end_delimiter.as_deref(), rules.split).into_owned();
        Some(Made { text: Text::of(prepared, lines, Source::Inline), checksum, older })
    }
}

/// Expands, and says where each line of the result comes from: values may hold line ends.
fn expanded(raw: &str, lines: &[u32], properties: &Properties, file: &str) -> (String, Vec<u32>) {
    let (mut out, mut expander) = (String::with_capacity(raw.len()), Expander::default());
    let mut numbers = Vec::with_capacity(lines.len());
    let mut seen = 0;
    let last = lines.last().copied().unwrap_or_default();
    for (nth, line) in raw.split_inclusive('\n').enumerate() {
        expander.push(properties, file, line, &mut out);
        let ends = out[seen..].matches('\n').count();
        seen = out.len();
        numbers.extend(std::iter::repeat_n(lines.get(nth).copied().unwrap_or(last), ends));
    }
    expander.finish(&mut out);
    // The last line has no end; what was still open ends here, too.
    numbers.extend(std::iter::repeat_n(last, out[seen..].matches('\n').count() + 1));
    (out, numbers)
}

fn slash(rules: &mut Rules, slash: bool) {
    if slash && rules.written_delimiter.is_none() {
        rules.written_delimiter = Some("\n/$".to_owned());
        rules.end_delimiter = Some("\n/$".to_owned());
    }
}

/// Trims what comes in pieces.
#[derive(Default)]
struct Trim {
    begun: bool,
    tail: String,
}

impl Trim {
    fn push(&mut self, piece: &str, out: &mut String) {
        let piece = if self.begun { piece } else { piece.trim_start_matches(is_blank) };
        let body = piece.trim_end_matches(is_blank);
        if !body.is_empty() {
            self.begun = true;
            out.push_str(&self.tail);
            self.tail.clear();
            out.push_str(body);
        }
        self.tail.push_str(&piece[body.len()..]);
        if self.tail.len() > HELD {
            out.push_str(&self.tail);
            self.tail.clear();
        }
    }
}

/// Makes a text in pieces.
pub struct Pipe {
    outer: Trim,
    expander: Expander,
    inner: Trim,
    replacer: Option<Replacer>,
    /// The line that the replacer waits for.
    line: String,
    /// After the second trimming: what checksums are made of.
    pub plain: String,
    /// As the server gets it.
    pub ready: String,
}

impl Pipe {
    /// Begins a text.
    pub fn new(rules: &Rules) -> Self {
        Self {
            outer: Trim::default(),
            expander: Expander::default(),
            inner: Trim::default(),
            replacer: Replacer::new(rules.end_delimiter.as_deref(), rules.split),
            line: String::new(),
            plain: String::new(),
            ready: String::new(),
        }
    }

    /// Takes a line or a piece of one; `plain` and `ready` hold what came of it.
    pub fn line(
        &mut self,
        piece: &str,
        ends: bool,
        expand: Expand<'_>,
    ) -> Result<(), &'static str> {
        let mut text = String::new();
        self.outer.push(piece, &mut text);
        if ends {
            self.outer.push("\n", &mut text);
        }
        self.through(&text, expand)
    }

    /// Ends the text.
    pub fn finish(&mut self) -> Result<(), &'static str> {
        let mut rest = String::new();
        self.expander.finish(&mut rest);
        self.through_trim(&rest)?;
        if let Some(replacer) = &mut self.replacer {
            replacer.line(&std::mem::take(&mut self.line), &mut self.ready);
        }
        Ok(())
    }

    fn through(&mut self, text: &str, expand: Expand<'_>) -> Result<(), &'static str> {
        match expand {
            None => self.through_trim(text),
            Some((properties, file)) => {
                let mut out = String::with_capacity(text.len());
                self.expander.push(properties, file, text, &mut out);
                self.through_trim(&out)
            }
        }
    }

    fn through_trim(&mut self, text: &str) -> Result<(), &'static str> {
        self.plain.clear();
        self.ready.clear();
        self.inner.push(text, &mut self.plain);
        let Some(replacer) = &mut self.replacer else {
            self.ready.push_str(&self.plain);
            return Ok(());
        };
        self.line.push_str(&self.plain);
        if let Some(end) = self.line.rfind('\n') {
            for line in self.line[..=end].split_inclusive('\n') {
                replacer.line(line, &mut self.ready);
            }
            self.line.drain(..=end);
        }
        if self.line.len() > HELD {
            return Err("a line longer than 1 MiB in a changeset with an `endDelimiter`");
        }
        Ok(())
    }
}

/// The digests of a long text.
struct Long {
    pipe: Pipe,
    squeezed: Squeezed,
    folded: [Folded; 2],
    sha256: Sha256,
    len: u64,
    /// The last bytes of the text.
    tail: [u8; 2],
    empty: bool,
}

impl Long {
    fn new(rules: &Rules) -> Self {
        let delimiter = rules.written_delimiter.as_deref();
        let folded =
            [rules.split, !rules.split].map(|split| Folded::new(delimiter, split, rules.strip));
        Self {
            pipe: Pipe::new(rules),
            squeezed: Squeezed::default(),
            folded,
            sha256: Sha256::new(),
            len: 0,
            tail: [0; 2],
            empty: true,
        }
    }

    fn line(&mut self, piece: &str, ends: bool, expand: Expand<'_>) -> Result<(), &'static str> {
        self.pipe.line(piece, ends, expand)?;
        self.digest();
        Ok(())
    }

    fn digest(&mut self) {
        let plain = &self.pipe.plain;
        self.squeezed.push(plain);
        self.folded.iter_mut().for_each(|it| it.push(plain));
        for byte in plain.as_bytes().iter().rev().take(2).rev() {
            self.tail = [self.tail[1], *byte];
        }
        self.empty &= plain.is_empty();
        self.sha256.update(&self.pipe.ready);
        self.len += self.pipe.ready.len() as u64;
    }

    fn finish(mut self, rules: &mut Rules, last: bool) -> Option<Made> {
        // What is still open is shorter than a line, so this cannot fail.
        let _ = self.pipe.finish();
        self.digest();
        if self.empty {
            return None;
        }
        let ends_in_slash = last && self.tail == *b"\n/";
        // A delimiter that shows only at the end of a long text came too late for version 8.
        let eight = !(ends_in_slash && rules.written_delimiter.is_none());
        slash(rules, ends_in_slash);
        let sums = self.folded.map(|it| checksum::v8(&[&it.finish()]));
        let older = Older::Known { sums: if eight { sums.to_vec() } else { Vec::new() }, eight };
        let text = Text {
            held: None,
            lines: Vec::new(),
            len: self.len,
            sha256: hex(&self.sha256.finalize()),
            source: Source::Inline,
            damaged: None,
            again: None,
        };
        Some(Made { text, checksum: self.squeezed.finish(), older })
    }
}
