//! What a line of a formatted file says: a directive, or a line of SQL.
//!
//! Liquibase tries some twenty patterns on every line; here the first characters
//! decide, and the same lines come out. A directive is a line as a whole, without
//! regard to case. Lines that almost are one are refused, as there: they would
//! silently become SQL comments.

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive<'a> {
    /// A line of SQL.
    Text,
    /// A line of SQL that looks like a directive.
    Doubtful(&'static str),
    /// `--liquibase formatted sql`. Within a changeset it is a line of SQL, too.
    Header,
    /// `--property name:x value:y`.
    Property,
    /// `--ignoreLines:…`.
    IgnoreLines(&'a str),
    /// `--changeset author:id …`.
    Changeset(Head<'a>),
    /// `--comment …`.
    Comment(&'a str),
    /// `--validCheckSum …`.
    ValidCheckSum(&'a str),
    /// `--rollback …`.
    Rollback(&'a str),
    /// `/* liquibase rollback`, until a line that ends in `*/`.
    RollbackBlock,
    /// `--preconditions …`.
    Preconditions(&'a str),
    /// `--precondition-sql-check …`.
    Precondition {
        /// Which one.
        kind: &'a str,
        /// The rest, if there is one.
        body: Option<&'a str>,
    },
    /// Almost a directive.
    Wrong(Wrong),
}

/// Author and id of a changeset, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// With its quotes.
    pub author: &'a str,
    /// With its quotes.
    pub id: &'a str,
    /// What Liquibase before 4.5 or so took for the id: up to a blank, whatever its quotes.
    pub plain_id: &'a str,
}

/// Which directive a line almost is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// `-changeset`, or without `author:id`.
    Changeset,
    /// Without `name:` and `value:`.
    Property,
    /// `-ignoreLines`, `--ignore:2`.
    Ignore,
    /// `-comment`, `--comments`.
    Comment,
    /// `-validCheckSum`.
    ValidCheckSum,
    /// `-rollback`.
    Rollback,
    /// `-preconditions`, `-precondition-…`.
    Precondition,
}

impl Wrong {
    /// How it is written; and whether it counts outside of changesets, too.
    pub fn form(self) -> (&'static str, bool) {
        match self {
            Self::Changeset => ("--changeset author:id", true),
            Self::Property => ("--property name:x value:y", true),
            Self::Ignore => ("--ignoreLines:start", true),
            Self::Comment => ("--comment text", false),
            Self::ValidCheckSum => ("--validCheckSum: 9:…", false),
            Self::Rollback => ("--rollback statement", false),
            Self::Precondition => ("--precondition-sql-check expectedResult:0 SELECT …", false),
        }
    }
}

/// Reads a line.
pub fn of(line: &str) -> Directive<'_> {
    let body = line.trim_start_matches(is_space);
    let indented = body.len() < line.len();
    let found = match body.as_bytes() {
        [b'-', b'-', ..] => two_dashes(&body[2..], indented),
        [b'-', ..] => one_dash(&body[1..], indented),
        [b'/', b'*', ..] => block(&body[2..]),
        _ => Directive::Text,
    };
    match found {
        Directive::Text | Directive::Doubtful(_) | Directive::Changeset(_) => found,
        // To Java these end a line, so they stand in no pattern's rest.
        _ if line.contains(ENDS) => Directive::Text,
        _ => found,
    }
}

const ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Java's `\s`.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// The rest after a word, without regard to case.
pub fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.as_bytes().get(..word.len())?;
    head.eq_ignore_ascii_case(word.as_bytes()).then(|| &text[word.len()..])
}

fn two_dashes(rest: &str, indented: bool) -> Directive<'_> {
    let rest = rest.trim_start_matches(is_space);
    // Inside of `match`, so that a plain comment costs one comparison.
    match rest.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'l') if is_header(rest) => Directive::Header,
        Some(b'-') => {
            let word = rest.trim_start_matches('-').trim_start_matches(is_space);
            wrong_property(word)
        }
        Some(b'p') => properties_and_preconditions(rest),
        Some(b'i') => ignore(rest, indented),
        Some(b'c') => changeset_or_comment(rest, indented),
        Some(b'v') => valid_checksum(rest, indented),
        Some(b'r') => match after(rest, "rollback").and_then(|it| it.strip_prefix(' ')) {
            Some(text) => Directive::Rollback(text),
            None => Directive::Text,
        },
        _ => Directive::Text,
    }
}

fn is_header(rest: &str) -> bool {
    after(rest, "liquibase")
        .is_some_and(|it| after(it.trim_start_matches(is_space), "formatted").is_some())
}

fn wrong_property(rest: &str) -> Directive<'_> {
    match after(rest, "property") {
        Some(it) if it.starts_with(is_space) => Directive::Wrong(Wrong::Property),
        _ => Directive::Text,
    }
}

fn properties_and_preconditions(rest: &str) -> Directive<'_> {
    if let Some(it) = after(rest, "property").filter(|it| it.starts_with(is_space)) {
        // Two pairs: white space between the first colon and the last.
        let between = it.find(':').zip(it.rfind(':')).map(|(first, last)| &it[first..last]);
        let pairs = between.is_some_and(|it| it.contains(is_space));
        return if pairs { Directive::Property } else { Directive::Wrong(Wrong::Property) };
    }
    let Some(it) = after(rest, "precondition") else { return Directive::Text };
    if let Some(body) = it.strip_prefix(['s', 'S']) {
        return Directive::Preconditions(body);
    }
    let Some(kind) = it.strip_prefix('-') else { return Directive::Text };
    let end = kind.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(kind.len());
    let (kind, body) = kind.split_at(end);
    match (kind, body.strip_prefix(' ')) {
        ("", _) => Directive::Text,
        (_, Some(body)) => Directive::Precondition { kind, body: Some(body) },
        (_, None) if body.is_empty() => Directive::Precondition { kind, body: None },
        _ => Directive::Text,
    }
}

fn ignore(rest: &str, indented: bool) -> Directive<'_> {
    let word = |it: &str| !it.is_empty() && it.bytes().all(is_word);
    if let Some(it) = after(rest, "ignoreLines:") {
        return match it {
            _ if !indented && word(it) => Directive::IgnoreLines(it),
            _ => Directive::Doubtful("--ignoreLines"),
        };
    }
    match after(rest, "ignore:") {
        Some(it) if !indented && word(it) => Directive::Wrong(Wrong::Ignore),
        _ => Directive::Text,
    }
}

fn changeset_or_comment(rest: &str, indented: bool) -> Directive<'_> {
    if let Some(it) = after(rest, "changeset") {
        return match head(it) {
            Some(head) => Directive::Changeset(head),
            None if rest.contains(ENDS) => Directive::Text,
            None => Directive::Wrong(Wrong::Changeset),
        };
    }
    let Some(it) = after(rest, "comment").filter(|_| !indented) else { return Directive::Text };
    let text = |it: &'_ str| it.strip_prefix(':').unwrap_or(it).starts_with(' ');
    if text(it) {
        return Directive::Comment(&it[it.find(' ').map_or(0, |at| at + 1)..]);
    }
    match it.strip_prefix(['s', 'S']) {
        Some(plural) if text(plural) => Directive::Wrong(Wrong::Comment),
        _ => Directive::Text,
    }
}

/// `author:id`; quotes may hold blanks and, around the author, colons.
fn head(rest: &str) -> Option<Head<'_>> {
    let it = rest.trim_start_matches(is_space);
    if it.len() == rest.len() {
        return None;
    }
    let quoted = |text: &str| {
        let end = text.strip_prefix('"')?.find('"').filter(|&end| end > 0)?;
        Some(end + 2)
    };
    let colon = quoted(it).filter(|&end| it[end..].starts_with(':')).or_else(|| it.find(':'))?;
    let (author, id) = (&it[..colon], &it[colon + 1..]);
    let plain_id = &id[..id.find(is_space).unwrap_or(id.len())];
    let id = quoted(id).map_or(plain_id, |end| &id[..end]);
    let rest = &it[colon + 1 + id.len()..];
    // A blank after the colon is refused by Liquibase, and so is an empty id.
    let valid = !author.is_empty() && !plain_id.is_empty() && !rest.contains(ENDS);
    valid.then_some(Head { author, id, plain_id })
}

fn valid_checksum(rest: &str, indented: bool) -> Directive<'_> {
    let Some(it) = after(rest, "validCheckSum") else { return Directive::Text };
    match it.strip_prefix(':').unwrap_or(it).strip_prefix(' ') {
        Some(text) if !indented => Directive::ValidCheckSum(text),
        _ => Directive::Doubtful("--validCheckSum"),
    }
}

fn one_dash(rest: &str, indented: bool) -> Directive<'_> {
    let rest = rest.trim_start_matches(is_space);
    let spaced = |word| after(rest, word).is_some_and(|it| it.starts_with(is_space));
    let comment = || {
        let it = after(rest, "comment")?;
        it.strip_prefix(':').unwrap_or(it).strip_prefix(' ')
    };
    let wrong = match rest.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'p') if spaced("property") => Wrong::Property,
        Some(b'p') if spaced("preconditions") => Wrong::Precondition,
        Some(b'p') if !indented && after(rest, "precondition").is_some() => Wrong::Precondition,
        Some(b'r') if spaced("rollback") => Wrong::Rollback,
        Some(b'c') if !indented && spaced("changeset") => Wrong::Changeset,
        Some(b'c') if !indented && comment().is_some() => Wrong::Comment,
        Some(b'v') if !indented && after(rest, "validCheckSum").is_some() => Wrong::ValidCheckSum,
        Some(b'i') if !indented => {
            let number = after(rest, "ignoreLines:").and_then(|it| it.bytes().next());
            match number {
                Some(byte) if is_word(byte) => Wrong::Ignore,
                _ => return Directive::Text,
            }
        }
        _ => return Directive::Text,
    };
    Directive::Wrong(wrong)
}

fn block(rest: &str) -> Directive<'_> {
    let rest = rest.trim_start_matches(is_space);
    let begins = after(rest, "liquibase")
        .and_then(|it| after(it.trim_start_matches(is_space), "rollback"))
        .is_some_and(|it| it.chars().all(is_space));
    if begins { Directive::RollbackBlock } else { Directive::Text }
}

/// Java's `\w`.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changeset<'a>(author: &'a str, id: &'a str, plain_id: &'a str) -> Directive<'a> {
        Directive::Changeset(Head { author, id, plain_id })
    }

    #[test]
    fn a_line_is_read_as_liquibase_reads_it() {
        use Directive::{Comment, Doubtful, Header, Precondition, Preconditions, Rollback, Text};
        for (line, expected) in [
            ("select 1; --changeset a:1", Text),
            ("", Text),
            ("--", Text),
            ("-", Text),
            ("/", Text),
            ("--liquibase formatted sql", Header),
            (" -- LiquiBaseFormatted sqlx", Header),
            ("--liquibase", Text),
            ("--changeset a:1", changeset("a", "1", "1")),
            ("\t--\t CHANGESET\ta b:1:2 context:x", changeset("a b", "1:2", "1:2")),
            ("--changeset \"a: b\":\"c d\" x", changeset("\"a: b\"", "\"c d\"", "\"c")),
            ("--changeset \"a\" b:\"\"", changeset("\"a\" b", "\"\"", "\"\"")),
            ("--changeset a:2\u{2028}", changeset("a", "2\u{2028}", "2\u{2028}")),
            ("--changeset a:2 \u{2028}", Text),
            ("--changeset a: 1", Directive::Wrong(Wrong::Changeset)),
            ("--changeset a:", Directive::Wrong(Wrong::Changeset)),
            ("--changeset :1", Directive::Wrong(Wrong::Changeset)),
            ("--changeset", Directive::Wrong(Wrong::Changeset)),
            ("-- changesets are nice", Directive::Wrong(Wrong::Changeset)),
            ("-changeset a:1", Directive::Wrong(Wrong::Changeset)),
            (" -changeset a:1", Text),
            ("--property name:a value:b", Directive::Property),
            ("--property name:a:b", Directive::Wrong(Wrong::Property)),
            ("-- property name=a value=b", Directive::Wrong(Wrong::Property)),
            ("  ----- property x", Directive::Wrong(Wrong::Property)),
            (" -property x", Directive::Wrong(Wrong::Property)),
            ("--propertyx", Text),
            ("--ignoreLines:start", Directive::IgnoreLines("start")),
            ("-- ignoreLines:12", Directive::IgnoreLines("12")),
            ("--ignoreLines:1 ", Doubtful("--ignoreLines")),
            (" --ignoreLines:1", Doubtful("--ignoreLines")),
            ("--ignore:2", Directive::Wrong(Wrong::Ignore)),
            ("--ignore:2 ", Text),
            ("-ignoreLines:2 x", Directive::Wrong(Wrong::Ignore)),
            ("--comment x ", Comment("x ")),
            ("-- comment:  x", Comment(" x")),
            ("--comment:", Text),
            ("--Comment:x", Text),
            ("  --comment x", Text),
            ("--comments x", Directive::Wrong(Wrong::Comment)),
            ("--commentsx", Text),
            ("-comment: x", Directive::Wrong(Wrong::Comment)),
            ("--comment x\u{85}y", Text),
            ("--validCheckSum: 1:any", Directive::ValidCheckSum("1:any")),
            ("--validchecksum ANY", Directive::ValidCheckSum("ANY")),
            ("--validCheckSum:any", Doubtful("--validCheckSum")),
            ("-validCheckSum", Directive::Wrong(Wrong::ValidCheckSum)),
            ("  -- rollback  x", Rollback(" x")),
            ("--rollback", Text),
            ("--rollback\tx", Text),
            ("--rollback a\u{2029}b", Text),
            (" - rollback x", Directive::Wrong(Wrong::Rollback)),
            (" /* liquibase rollback ", Directive::RollbackBlock),
            ("/*LIQUIBASErollback", Directive::RollbackBlock),
            ("/* liquibase rollback x", Text),
            ("--preconditions onFail:HALT", Preconditions(" onFail:HALT")),
            (" --preconditions", Preconditions("")),
            ("--precondition-sql-check 1 x", Precondition { kind: "sql-check", body: Some("1 x") }),
            ("--precondition-sql-check", Precondition { kind: "sql-check", body: None }),
            ("--precondition-sql-check\t1 x", Text),
            ("--precondition x", Text),
            ("--precondition-", Text),
            ("-precondition-sql", Directive::Wrong(Wrong::Precondition)),
            ("é", Text),
            ("--é", Text),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read(line in "[-/* ]{0,4}(changeset|property|comment|ignoreLines|precondition|rollback)?\\PC{0,20}") {
            of(&line);
        }
    }
}
