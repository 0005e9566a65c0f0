//! One pass over a script: its checksums, its length, its text if that is short.
//!
//! Flyway's checksum is the CRC-32 of all lines without what ends them, so it is
//! that of all bytes but CR and LF. The byte order mark is dropped; bytes that are
//! no UTF-8 are refused, as Flyway refuses them. No more of a long script is in
//! memory than a piece of it.

use std::io::{ErrorKind, Read};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::name::of_path;
use super::placeholder::{Origin, Placeholders, Replacer, Unknown};
use crate::changelog::checksum::{Squeezed, hex};
use crate::changelog::text::{HELD, NUL, NUL_HINT, Source};
use crate::changelog::{ChangelogError, FileError, Files, Place, Text};

/// Most scripts are shorter than the first piece.
const FIRST_PIECE: usize = 4 * 1024;
const PIECE: usize = 64 * 1024;

/// What a pass over a script finds.
#[derive(Debug)]
pub struct Scanned {
    /// Of the file as it is.
    pub written: Sums,
    /// Of the text with its placeholders replaced, if that was asked for.
    pub replaced: Option<Sums>,
    /// The text with its placeholders replaced.
    pub text: Text,
}

/// The checksums of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Flyway's.
    pub crc: i32,
    /// Liquibase's, version 9, of a change with this SQL.
    pub squeezed: String,
}

/// Reads the script at `path`; without `placeholders`, nothing is replaced. Checksums of the
/// replaced text are made if `sum_replaced`.
pub fn scan(
    files: &dyn Files,
    path: &str,
    placeholders: Option<&Arc<Placeholders>>,
    sum_replaced: bool,
) -> Result<Scanned, Vec<ChangelogError>> {
    let mut reader = files.open(path).map_err(|error| vec![error.into()])?;
    let mut written = Summing::default();
    let mut sink = Sink { sums: sum_replaced.then(Summing::default), ..Sink::default() };
    let Some(placeholders) = placeholders else {
        pieces(&mut *reader, path, &mut |piece| {
            written.put(piece);
            sink.put(piece, Origin::File);
            true
        })
        .map_err(|error| vec![error])?;
        return Ok(sink.finish(written, Source::Whole { path: path.to_owned() }));
    };
    let mut replacer = Replacer::new(placeholders, of_path(path));
    pieces(&mut *reader, path, &mut |piece| {
        written.put(piece);
        replacer.push(piece, &mut |out, origin| sink.put(out, origin));
        true
    })
    .map_err(|error| vec![error])?;
    replacer.finish(&mut |out, origin| sink.put(out, origin));
    if !replacer.unknown.is_empty() {
        return Err(replacer.unknown.into_iter().map(|it| unknown(path, it)).collect());
    }
    let path = path.to_owned();
    let source = if replacer.replaced {
        Source::Flyway { path, placeholders: Arc::clone(placeholders) }
    } else {
        Source::Whole { path }
    };
    Ok(sink.finish(written, source))
}

/// Gives a script's text, its placeholders replaced, to `sink` until that says `false`.
pub fn reread(
    files: &dyn Files,
    path: &str,
    placeholders: &Placeholders,
    sink: &mut dyn FnMut(&str) -> bool,
) -> Result<(), ChangelogError> {
    let mut reader = files.open(path)?;
    let mut replacer = Replacer::new(placeholders, of_path(path));
    let mut goes_on = true;
    pieces(&mut *reader, path, &mut |piece| {
        replacer.push(piece, &mut |out, _| goes_on = goes_on && sink(out));
        goes_on
    })?;
    replacer.finish(&mut |out, _| goes_on = goes_on && sink(out));
    Ok(())
}

/// Gives the file's text to `sink` in pieces that end between characters, until it says `false`.
pub fn pieces(
    reader: &mut dyn Read,
    path: &str,
    sink: &mut dyn FnMut(&str) -> bool,
) -> Result<(), ChangelogError> {
    let mut buffer = vec![0; FIRST_PIECE];
    let (mut kept, mut line, mut begins) = (0, 1, true);
    loop {
        let read = match reader.read(&mut buffer[kept..]) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(FileError::Unreadable(path.into(), error.to_string()).into()),
        };
        let len = kept + read;
        let (text, broken) = match std::str::from_utf8(&buffer[..len]) {
            Ok(text) => (text, false),
            Err(error) => {
                let valid = error.valid_up_to();
                let text = std::str::from_utf8(&buffer[..valid]).unwrap_or_default();
                (text, error.error_len().is_some() || read == 0)
            }
        };
        if let Some(nul) = text.bytes().position(|byte| byte == 0) {
            let before = text[..nul].matches('\n').count();
            let place = Place { file: path.to_owned(), line: line + before };
            return Err(ChangelogError::at(&place, NUL).hint(NUL_HINT));
        }
        line += text.bytes().filter(|byte| *byte == b'\n').count();
        if broken {
            let place = Place { file: path.to_owned(), line };
            let hint = "Save the script as UTF-8. Its checksum stays the same, for Flyway's counts \
                        characters, not bytes.";
            return Err(ChangelogError::at(&place, "the script is not UTF-8").hint(hint));
        }
        let taken = text.len();
        let text = if begins { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        begins &= taken == 0;
        if read == 0 || !(text.is_empty() || sink(text)) {
            return Ok(());
        }
        buffer.copy_within(taken..len, 0);
        kept = len - taken;
        buffer.resize(PIECE, 0);
    }
}

fn unknown(path: &str, found: Unknown) -> ChangelogError {
    let place = Place { file: path.to_owned(), line: found.line };
    let or = format!("set `placeholderReplacement=false` in `{}.conf`", of_path(path));
    let Some(name) = found.name else {
        let what = "the placeholder that begins with `${` is not closed with `}` on its line";
        return ChangelogError::at(&place, what).hint(format!("Close it, or {or}."));
    };
    let what = if name.to_lowercase().starts_with("flyway:") {
        format!("the value of `${{{name}}}` is known only to a running Flyway")
    } else {
        format!("the placeholder `${{{name}}}` has no value")
    };
    ChangelogError::at(&place, what).hint(format!("Give `{name}` in `Parameters`, or {or}."))
}

/// Sums up a text that comes in pieces.
#[derive(Default)]
struct Summing {
    crc: crc32fast::Hasher,
    squeezed: Squeezed,
}

impl Summing {
    fn put(&mut self, piece: &str) {
        for line in piece.as_bytes().split(|byte| matches!(byte, b'\r' | b'\n')) {
            self.crc.update(line);
        }
        self.squeezed.push(piece);
    }

    fn finish(self) -> Sums {
        Sums { crc: self.crc.finalize().cast_signed(), squeezed: self.squeezed.finish() }
    }
}

/// What the pieces of the replaced text come to.
#[derive(Default)]
struct Sink {
    sums: Option<Summing>,
    sha256: Sha256,
    len: u64,
    held: String,
    lines: Vec<u32>,
    line: u32,
}

impl Sink {
    fn put(&mut self, piece: &str, origin: Origin) {
        if let Some(sums) = &mut self.sums {
            sums.put(piece);
        }
        self.sha256.update(piece);
        self.len += piece.len() as u64;
        if self.len > HELD as u64 {
            (self.held, self.lines) = Default::default();
            return;
        }
        self.held.push_str(piece);
        for _ in piece.bytes().filter(|byte| *byte == b'\n') {
            self.lines.push(self.line + 1);
            self.line += u32::from(origin == Origin::File);
        }
    }

    fn finish(mut self, written: Summing, source: Source) -> Scanned {
        let is_held = self.len <= HELD as u64;
        if is_held && !self.held.is_empty() && !self.held.ends_with('\n') {
            self.lines.push(self.line + 1);
        }
        let text = Text {
            held: is_held.then_some(self.held),
            lines: self.lines,
            len: self.len,
            sha256: hex(&self.sha256.finalize()),
            source,
            damaged: None,
            again: None,
        };
        let (written, replaced) = (written.finish(), self.sums.map(Summing::finish));
        Scanned { written, replaced, text }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::changelog::files::memory::Memory;

    const VECTORS: [(&str, i32); 5] = [
        ("", 0),
        ("SELECT 1;", 78_787_420),
        ("CREATE TABLE person (\n    id int NOT NULL,\n    name varchar(100)\n);\n", 1_334_921_196),
        ("-- é € 𝄞\r\nSELECT '\t';\r\n\r\nSELECT 2", 3_335_644),
        ("\u{feff}CREATE VIEW v AS SELECT 1;\rSELECT 3;\n", -325_738_041),
    ];

    fn of(bytes: &[u8]) -> Scanned {
        scanned(bytes).unwrap()
    }

    fn scanned(bytes: &[u8]) -> Result<Scanned, Vec<ChangelogError>> {
        let files = Memory(BTreeMap::from([("R__a.sql".to_owned(), bytes.to_vec())]));
        let given = BTreeMap::from([("schema".to_owned(), "app\nx".to_owned())]);
        scan(&files, "R__a.sql", Some(&Arc::new(Placeholders::new(&given))), true)
    }

    /// The numbers are from another program: zlib's `crc32` over the lines without their ends.
    #[test]
    fn the_checksum_is_flyways() {
        for (text, crc) in VECTORS {
            assert_eq!(of(text.as_bytes()).written.crc, crc, "{text:?}");
        }
    }

    #[test]
    fn line_ends_and_the_byte_order_mark_do_not_count() {
        let one = of("SELECT 1;\nSELECT 2;\n".as_bytes()).written.crc;
        for text in
            ["SELECT 1;\r\nSELECT 2;", "SELECT 1;\rSELECT 2;\r", "\u{feff}SELECT 1;\n\n\nSELECT 2;"]
        {
            assert_eq!(of(text.as_bytes()).written.crc, one, "{text:?}");
        }
        assert_ne!(of("\u{feff}\u{feff}SELECT 1;SELECT 2;".as_bytes()).written.crc, one);
        assert_eq!(of("\u{feff}a".as_bytes()).text.held.unwrap(), "a");
    }

    #[test]
    fn both_texts_are_summed_up_and_lines_lead_back_to_the_file() {
        let scanned = of(b"-- ${schema}\nSELECT '${schema}'\n;");
        assert_eq!(scanned.text.held.as_deref(), Some("-- app\nx\nSELECT 'app\nx'\n;"));
        assert_eq!(scanned.text.lines, [1, 1, 2, 2, 3]);
        assert_eq!(scanned.replaced.unwrap().crc, of(b"-- app\nx\nSELECT 'app\nx'\n;").written.crc);
        assert_eq!(
            scanned.written.crc,
            crc32fast::hash(b"-- ${schema}SELECT '${schema}';").cast_signed()
        );
    }

    #[test]
    fn a_placeholder_without_a_value_is_refused_with_its_line_and_the_way_out() {
        let errors = scanned(b"\n${nope} ${flyway:timestamp}\n${").unwrap_err();
        let shown: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "R__a.sql:2: the placeholder `${nope}` has no value",
                "R__a.sql:2: the value of `${flyway:timestamp}` is known only to a running Flyway",
                "R__a.sql:3: the placeholder that begins with `${` is not closed with `}` on its line",
            ]
        );
        assert_eq!(
            errors[0].hint.as_deref(),
            Some(
                "Give `nope` in `Parameters`, or set `placeholderReplacement=false` in `R__a.sql.conf`."
            )
        );
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_refused_with_their_line() {
        for bytes in [&b"a\nb\xffc"[..], b"a\n\xc3", b"a\n\xe2\x82"] {
            assert_eq!(
                scanned(bytes).unwrap_err()[0].to_string(),
                "R__a.sql:2: the script is not UTF-8"
            );
        }
        assert_eq!(of("é€𝄞".as_bytes()).text.len, 9);
    }

    #[test]
    fn a_long_script_is_not_held() {
        let long = "-- é\n".repeat(HELD / 4);
        let scanned = of(long.as_bytes());
        assert_eq!((scanned.text.held, scanned.text.lines.len()), (None, 0));
        assert_eq!(scanned.text.len, long.len() as u64);
        let lines = long.replace('\n', "");
        assert_eq!(scanned.written.crc, crc32fast::hash(lines.as_bytes()).cast_signed());
        assert_eq!(Some(scanned.written), scanned.replaced);
    }

    #[test]
    fn a_long_script_with_placeholders_is_replaced_again_when_it_is_read() {
        let long = "-- ${schema}\n".repeat(HELD / 8);
        let text = of(long.as_bytes()).text;
        assert_eq!(text.held, None);
        let files = Memory::of(&[("R__a.sql", &long)]);
        let (mut again, mut pieces) = (String::new(), 0);
        let all = &mut |piece: &str| {
            again.push_str(piece);
            true
        };
        text.read(&files, all).unwrap();
        assert_eq!(again, "-- app\nx\n".repeat(HELD / 8));
        assert_eq!(again.len() as u64, text.len);
        let three = &mut |_: &str| {
            pieces += 1;
            pieces < 3
        };
        text.read(&files, three).unwrap();
        assert_eq!(pieces, 3);
    }

    /// Gives three bytes at a time.
    struct Three<'a>(&'a [u8]);

    impl Read for Three<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let len = self.0.len().min(3).min(out.len());
            out[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    proptest! {
        #[test]
        fn pieces_make_up_the_text(text in "[a€é𝄞\n]{0,40}") {
            let mut whole = String::new();
            pieces(&mut Three(text.as_bytes()), "a", &mut |piece| {
                whole.push_str(piece);
                true
            })
            .unwrap();
            prop_assert_eq!(whole, text);
        }

        #[test]
        fn any_bytes_are_summed_up_or_refused(bytes: Vec<u8>) {
            let _ = scanned(&bytes);
        }
    }
}
