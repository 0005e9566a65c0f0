//! Liquibase's checksums, versions 8 and 9, and how a stored one is compared.
//!
//! A checksum is `version:md5`. A changeset's is made of its changes' checksums;
//! those of SQL leave white space out (9) or fold it (8). Versions 1 to 7 cannot
//! be computed here: what they stand for is adopted with a warning. Nothing here
//! rewrites a history; the verdict says what a run may do with a row.

use md5::{Digest, Md5};
use unicode_normalization::UnicodeNormalization;

use super::Change;

/// The checksums of a changeset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checksum {
    /// What is stored: `9:` and 32 hex digits.
    pub current: String,
    /// What other programs or versions may have stored for the same changeset.
    pub older: Older,
    /// Whether `current` follows Liquibase's rule. Where the rule is not known for sure, a stored
    /// checksum that differs is adopted with a warning, and nothing runs again.
    pub certain: bool,
}

/// What older versions stored, or how to compute it once somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Older {
    /// These, of any version.
    Known {
        /// Each with its version.
        sums: Vec<String>,
        /// Whether version 8 is among them. If not, a stored one of version 8 says nothing.
        eight: bool,
    },
    /// Those of a changeset that is one change of SQL.
    Sql(Box<Sql>),
}

/// The parts of a change of SQL that its checksum of version 8 is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// Trimmed and expanded.
    pub sql: String,
    /// `endDelimiter`, as written.
    pub end_delimiter: Option<String>,
    /// `splitStatements`.
    pub split: bool,
    /// `stripComments`.
    pub strip: bool,
}

impl Default for Older {
    fn default() -> Self {
        Self::Known { sums: Vec::new(), eight: false }
    }
}

/// What a stored checksum says of a changeset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the same changeset.
    Same,
    /// It is, by the rules of another version; the row may be upgraded.
    Older,
    /// Nobody can say; it is adopted with a warning.
    Uncertain,
    /// The row has none; it may be written.
    Unset,
    /// The changeset was changed since.
    Differs,
}

impl Checksum {
    /// Compares with what is stored. `valid` is the changeset's `validCheckSum`s as written: `any`,
    /// `all` and `*` accept everything, others accept if they are the stored or the computed one.
    pub fn accepts(&self, stored: Option<&str>, valid: &[String]) -> Verdict {
        if stored == Some(self.current.as_str()) {
            return Verdict::Same;
        }
        let Some((version, hex)) = stored.map(str::trim).filter(|it| !it.is_empty()).map(parsed)
        else {
            return Verdict::Unset;
        };
        let same = if version == 9 { Verdict::Same } else { Verdict::Older };
        if version == 9 && is(&self.current, 9, hex) {
            return Verdict::Same;
        }
        let valid: Vec<_> = valid.iter().map(|it| parsed(it.trim())).collect();
        let anything = |&(version, text): &(u32, &str)| {
            version == 1
                && ["any", "all", "*", "1:*"].iter().any(|it| text.eq_ignore_ascii_case(it))
        };
        if valid.iter().any(anything) || valid.contains(&(version, hex)) {
            return same;
        }
        let (older, eight) = self.older.sums();
        if older.iter().any(|it| is(it, version, hex)) {
            return Verdict::Older;
        }
        let mut computed = older.iter().chain([&self.current]).map(|it| parsed(it));
        if computed.any(|it| it.0 == version && valid.contains(&it)) {
            return same;
        }
        match version {
            8 if !eight => Verdict::Uncertain,
            8 | 9 if self.certain => Verdict::Differs,
            _ => Verdict::Uncertain,
        }
    }
}

impl Older {
    /// All of them, and whether version 8 is among them.
    fn sums(&self) -> (Vec<String>, bool) {
        match self {
            Self::Known { sums, eight } => (sums.clone(), *eight),
            Self::Sql(it) => (it.sums().to_vec(), true),
        }
    }
}

impl Sql {
    /// The changeset's checksums of version 8: as written, and with the other `splitStatements`,
    /// which some versions took by mistake.
    pub fn sums(&self) -> [String; 2] {
        [self.split, !self.split].map(|split| {
            v8(&[&v8_sql(&self.sql, self.end_delimiter.as_deref(), split, self.strip)])
        })
    }
}

/// Version and rest; without a version it is 1, as Liquibase has it.
fn parsed(text: &str) -> (u32, &str) {
    let versioned = text.split_once(':').and_then(|(version, rest)| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let digits = version.bytes().all(|it| it.is_ascii_digit()) && end > 0;
        Some((version.parse().ok().filter(|_| digits)?, &rest[..end]))
    });
    versioned.unwrap_or((1, text))
}

fn is(checksum: &str, version: u32, hex: &str) -> bool {
    parsed(checksum) == (version, hex)
}

/// A changeset's checksum from its changes' (version 9).
pub fn v9(parts: &[&str]) -> String {
    of_parts(9, parts)
}

/// A changeset's checksum from its changes' (version 8).
pub fn v8(parts: &[&str]) -> String {
    of_parts(8, parts)
}

fn of_parts(version: u8, parts: &[&str]) -> String {
    // A changeset's parts are checksums: plain already.
    if parts.iter().all(|it| is_plain(it)) {
        let mut md5 = Md5::new();
        for part in parts {
            md5.update(part);
            md5.update(":");
        }
        return finish(version, md5);
    }
    of_text(version, &parts.iter().flat_map(|it| [*it, ":"]).collect::<String>())
}

/// Liquibase's checksum of a text: line ends made `\n`, U+FFFD left out, in Unicode's form NFC.
pub fn of_text(version: u8, text: &str) -> String {
    if is_plain(text) {
        return finish(version, Md5::new_with_prefix(text));
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\u{fffd}', "");
    finish(version, Md5::new_with_prefix(text.nfc().collect::<String>()))
}

fn is_plain(text: &str) -> bool {
    text.is_ascii() && !text.contains('\r')
}

/// The checksum of SQL (version 9): blanks, tabs and line ends left out.
pub fn squeezed_md5(text: &str) -> String {
    let mut squeezed = Squeezed::default();
    squeezed.push(text);
    squeezed.finish()
}

/// [`squeezed_md5`] of a text that comes in pieces.
#[derive(Clone, Default)]
pub struct Squeezed(Md5);

impl Squeezed {
    /// Takes a piece.
    pub fn push(&mut self, piece: &str) {
        let mut words = Buffered::new(&mut self.0);
        piece.bytes().filter(|byte| !is_space(*byte)).for_each(|byte| words.push(byte));
        words.flush();
    }

    /// The checksum.
    pub fn finish(self) -> String {
        finish(9, self.0)
    }
}

/// The checksum of SQL (version 8): white space made one blank, ends trimmed, after a head of the
/// change's attributes.
pub fn v8_sql(sql: &str, end_delimiter: Option<&str>, split: bool, strip: bool) -> String {
    let mut folded = Folded::new(end_delimiter, split, strip);
    folded.push(sql);
    folded.finish()
}

/// [`v8_sql`] of a text that comes in pieces.
#[derive(Clone)]
pub struct Folded {
    md5: Md5,
    seen: bool,
    space: bool,
}

impl Folded {
    /// Begins with the change's attributes.
    pub fn new(end_delimiter: Option<&str>, split: bool, strip: bool) -> Self {
        let head = format!("{}:{split}:{strip}:", end_delimiter.unwrap_or("null"));
        Self { md5: Md5::new_with_prefix(head), seen: false, space: false }
    }

    /// Takes a piece.
    pub fn push(&mut self, piece: &str) {
        let mut words = Buffered::new(&mut self.md5);
        for byte in piece.bytes() {
            if is_space(byte) {
                self.space = true;
                continue;
            }
            if self.space && self.seen {
                words.push(b' ');
            }
            (self.seen, self.space) = (true, false);
            words.push(byte);
        }
        words.flush();
    }

    /// The checksum.
    pub fn finish(self) -> String {
        finish(8, self.md5)
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Gives bytes to a digest by the hundred.
struct Buffered<'a> {
    md5: &'a mut Md5,
    bytes: [u8; 512],
    len: usize,
}

impl<'a> Buffered<'a> {
    fn new(md5: &'a mut Md5) -> Self {
        Self { md5, bytes: [0; 512], len: 0 }
    }

    fn push(&mut self, byte: u8) {
        if self.len == self.bytes.len() {
            self.flush();
        }
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn flush(&mut self) {
        self.md5.update(&self.bytes[..self.len]);
        self.len = 0;
    }
}

fn finish(version: u8, md5: Md5) -> String {
    let mut text = String::with_capacity(34);
    text.push(char::from(b'0' + version));
    text.push(':');
    push_hex(&md5.finalize(), &mut text);
    text
}

/// Bytes in hex, lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(bytes, &mut text);
    text
}

fn push_hex(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
}

/// A changeset's checksums from its changes. Version 9 leaves changes out whose `dbms` is not ours;
/// version 8 does not. Of each change's older checksums, the n-th belong together.
pub fn of_changes(changes: &[Change]) -> Checksum {
    let counted: Vec<_> = changes.iter().filter(|it| it.applies).collect();
    let parts: Vec<_> = counted.iter().map(|it| it.checksum.as_str()).collect();
    let mut sums = Vec::new();
    let of = |change: &'_ Change, version: u8| -> Vec<String> {
        let prefix = format!("{version}:");
        change.older.iter().filter(|it| it.starts_with(&prefix)).cloned().collect()
    };

    let other: Vec<Vec<_>> = counted.iter().map(|it| of(it, 9)).collect();
    for nth in 0..other.iter().map(Vec::len).max().unwrap_or_default() {
        let chosen = other
            .iter()
            .zip(&parts)
            .map(|(sums, current)| sums.get(nth).or(sums.last()).map_or(*current, String::as_str));
        sums.push(v9(&chosen.collect::<Vec<_>>()));
    }

    let other: Vec<Vec<_>> = changes.iter().map(|it| of(it, 8)).collect();
    let eight = other.iter().all(|it| !it.is_empty());
    let ways = other.iter().map(Vec::len).max().unwrap_or_default();
    for nth in (0..ways.max(1)).filter(|_| eight) {
        let chosen = other.iter().filter_map(|it| it.get(nth).or(it.last()));
        sums.push(v8(&chosen.map(String::as_str).collect::<Vec<_>>()));
    }

    Checksum {
        current: v9(&parts),
        older: Older::Known { sums, eight },
        certain: counted.iter().all(|it| it.certain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changelog::Work;

    #[test]
    fn sql_has_the_checksums_that_liquibase_wrote_or_took() {
        // Of 4.28.0: the first column it wrote, the second it took for the same and upgraded.
        for (sql, delimiter, nine, eight) in [
            (
                "select 1;",
                None,
                "a7ca957848b7a2d82c733ec390529b49",
                "07d7d7a28c35b80d36e41424401a2f3e",
            ),
            (
                "select 2\n/\nselect 3\n/",
                Some("\n/$"),
                "ba7c26d50d13eae9a65bab29c9455c98",
                "965baf014e019feab182b7c4ac52b226",
            ),
            (
                "select 1\nGO\nselect 2\ngo",
                Some("\\nGO"),
                "7bb4d41c96ee330e7916d18994ac920d",
                "a73ffd48c9b1991b6796c8a770a27878",
            ),
            (
                "select 1; select 2;",
                Some("--"),
                "d0ac68cf3699decff59c77fea078a7a8",
                "f04b2ab0e59bd8ba6f4095de389c280a",
            ),
        ] {
            assert_eq!(v9(&[&squeezed_md5(sql)]), format!("9:{nine}"));
            assert_eq!(v8(&[&v8_sql(sql, delimiter, true, true)]), format!("8:{eight}"));
        }
        assert_eq!(v8_sql(" \r\na \t b\n", None, true, true), v8_sql("a b", None, true, true));
        assert_ne!(squeezed_md5("a\u{b}"), squeezed_md5("a"));
    }

    #[test]
    fn a_text_is_normal_before_it_is_summed() {
        assert_eq!(of_text(9, "e\u{301}\r\n\r\u{fffd}"), of_text(9, "\u{e9}\n\n"));
        assert_eq!(of_text(9, ""), "9:d41d8cd98f00b204e9800998ecf8427e");
    }

    fn change(checksum: &str, older: &[&str], applies: bool) -> Change {
        Change {
            kind: "sql".into(),
            description: "sql".into(),
            applies,
            work: Work::Nothing,
            checksum: checksum.into(),
            older: older.iter().map(|&it| it.into()).collect(),
            certain: true,
        }
    }

    #[test]
    fn a_stored_checksum_gets_its_verdict() {
        let sum = of_changes(&[
            change("9:a", &["8:b", "8:c", "9:d"], true),
            change("9:x", &["8:y"], false),
        ]);
        let [nine, eight, other, expanded] =
            [v9(&["9:a"]), v8(&["8:b", "8:y"]), v8(&["8:c", "8:y"]), v9(&["9:d"])];
        for (stored, valid, verdict) in [
            (Some(nine.as_str()), &[][..], Verdict::Same),
            (Some(&eight), &[], Verdict::Older),
            (Some(&other), &[], Verdict::Older),
            (Some(&expanded), &[], Verdict::Older),
            (Some("9:00"), &[], Verdict::Differs),
            (Some("8:00"), &[], Verdict::Differs),
            (Some("7:00"), &[], Verdict::Uncertain),
            (Some("10:00"), &[], Verdict::Uncertain),
            (Some("00"), &[], Verdict::Uncertain),
            (None, &[], Verdict::Unset),
            (Some(" "), &["any"], Verdict::Unset),
            (Some("9:00"), &["any"], Verdict::Same),
            (Some("9:00"), &["1:ALL"], Verdict::Same),
            (Some("9:00"), &["*"], Verdict::Same),
            (Some("9:00"), &["1:*"], Verdict::Same),
            (Some("8:00"), &["1:any"], Verdict::Older),
            (Some("9:00"), &["9:11", " 9:00 "], Verdict::Same),
            (Some("9:00"), &["9:11"], Verdict::Differs),
            (Some("9:00"), &["9:any"], Verdict::Differs),
            (Some("9:00"), &[&nine], Verdict::Same),
            (Some("8:00"), &[&eight], Verdict::Older),
            (Some("8:00"), &[&nine], Verdict::Differs),
        ] {
            let valid: Vec<_> = valid.iter().map(|&it| it.to_owned()).collect();
            assert_eq!(sum.accepts(stored, &valid), verdict, "{stored:?} {valid:?}");
        }
    }

    #[test]
    fn what_has_no_known_rule_is_never_said_to_differ() {
        let mut unsure = change("9:a", &[], true);
        unsure.certain = false;
        let sum = of_changes(&[unsure]);
        assert_eq!(sum.accepts(Some("9:00"), &[]), Verdict::Uncertain);
        assert_eq!(sum.accepts(Some("8:00"), &[]), Verdict::Uncertain);
        let sum = of_changes(&[change("9:a", &[], true)]);
        assert_eq!(sum.accepts(Some("8:00"), &[]), Verdict::Uncertain);
        assert_eq!(of_changes(&[]).current, v9(&[]));
    }

    proptest::proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(parts in proptest::collection::vec("[ \t\r\na\u{e9}]{0,5}", 0..9)) {
            let whole = parts.concat();
            let (mut nine, mut eight) = (Squeezed::default(), Folded::new(None, true, false));
            for part in &parts {
                nine.push(part);
                eight.push(part);
            }
            proptest::prop_assert_eq!(nine.finish(), squeezed_md5(&whole));
            proptest::prop_assert_eq!(eight.finish(), v8_sql(&whole, None, true, false));
        }

        #[test]
        fn any_stored_text_gets_a_verdict(stored in "\\PC{0,20}|[0-9]{0,12}:.{0,4}") {
            of_changes(&[]).accepts(Some(&stored), std::slice::from_ref(&stored));
        }
    }
}
