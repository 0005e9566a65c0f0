//! Liquibase's custom delimiters (`endDelimiter`), made `;` for the server.
//!
//! The server and psql know `;` only. A delimiter is looked for where PostgreSQL
//! reads statements: not in quotes, comments or function bodies, where Liquibase
//! looks, too, and breaks them. It is replaced in place, so that positions and
//! lines stay right. One of several characters may be a regular expression, as
//! in `\nGO`; it is held against a word or sign and what stands before it.

use std::borrow::Cow;

use regex_lite::Regex;

/// The text with its delimiters replaced by `;`. Without `split` nothing is one.
pub fn prepared<'a>(sql: &'a str, end_delimiter: Option<&str>, split: bool) -> Cow<'a, str> {
    let Some(replacer) = Replacer::new(end_delimiter, split) else {
        return Cow::Borrowed(sql);
    };
    Cow::Owned(replacer.all(sql))
}

/// The text with Liquibase's usual delimiters made `;`: lines of `GO` or `/`, which may as well be
/// the end of a name and a division; borrowed if it has no such line.
pub fn usual(sql: &str) -> Cow<'_, str> {
    if !sql.lines().any(is_usual) {
        return Cow::Borrowed(sql);
    }
    Cow::Owned(Replacer::of(Delimiter::Usual).all(sql))
}

/// Replaces the delimiters of a text that comes line by line.
pub struct Replacer {
    delimiter: Delimiter,
    within: Within,
    /// What stood before: white space of the lines before (`\n`), or the last sign.
    before: String,
}

enum Delimiter {
    /// A line of `GO` or `/`.
    Usual,
    /// `/`: at the start of a line only.
    Slash,
    Literal(String),
    Pattern(Box<Regex>),
}

/// Where a line begins.
#[derive(Default)]
enum Within {
    #[default]
    Statement,
    Quote {
        mark: char,
        escapes: bool,
    },
    Comment(usize),
    Dollar(String),
}

impl Replacer {
    /// `None` if the delimiter is PostgreSQL's own, or can never be found: `--` begins a comment.
    pub fn new(end_delimiter: Option<&str>, split: bool) -> Option<Self> {
        let text = end_delimiter.filter(|it| split && !it.is_empty() && *it != ";")?;
        if text.starts_with("--") || text.starts_with("/*") {
            return None;
        }
        let delimiter = match text {
            "/" => Delimiter::Slash,
            "\n/$" => Delimiter::Slash,
            _ if text.chars().count() > 1
                && text.contains(['\\', '[', '(', '*', '+', '?', '\n', '\r']) =>
            {
                match Regex::new(&format!(r"(?is)^\s*(?:{text})$")) {
                    Ok(pattern) => Delimiter::Pattern(Box::new(pattern)),
                    Err(_) => Delimiter::Literal(text.to_owned()),
                }
            }
            _ => Delimiter::Literal(text.to_owned()),
        };
        Some(Self::of(delimiter))
    }

    fn of(delimiter: Delimiter) -> Self {
        Self { delimiter, within: Within::Statement, before: "\n".to_owned() }
    }

    fn all(mut self, sql: &str) -> String {
        let mut out = String::with_capacity(sql.len());
        for line in sql.split_inclusive('\n') {
            self.line(line, &mut out);
        }
        out
    }

    /// Takes a line with its end.
    pub fn line(&mut self, line: &str, out: &mut String) {
        let mut at = 0;
        while at < line.len() {
            let rest = &line[at..];
            let len = match &self.within {
                Within::Statement => self.statement(line, at, out),
                Within::Quote { mark, escapes } => {
                    let end = quote_end(rest, *mark, *escapes);
                    self.leave(rest, end, out)
                }
                Within::Comment(depth) => {
                    let (depth, len) = comment(rest, *depth);
                    out.push_str(&rest[..len]);
                    self.within = match depth {
                        0 => Within::Statement,
                        _ => Within::Comment(depth),
                    };
                    len
                }
                Within::Dollar(tag) => {
                    let end = rest.find(tag.as_str()).map(|it| it + tag.len());
                    self.leave(rest, end, out)
                }
            };
            at += len.max(1);
        }
    }

    fn leave(&mut self, rest: &str, end: Option<usize>, out: &mut String) -> usize {
        if end.is_some() {
            self.within = Within::Statement;
            "'".clone_into(&mut self.before);
        }
        let end = end.unwrap_or(rest.len());
        out.push_str(&rest[..end]);
        end
    }

    /// One word, sign, quote or comment from `at` on; how long it is.
    fn statement(&mut self, line: &str, at: usize, out: &mut String) -> usize {
        let rest = &line[at..];
        if let Some(len) = self.delimiter_at(line, at, out) {
            return len;
        }
        let (len, within) = token(rest);
        out.push_str(&rest[..len]);
        let token = &rest[..len];
        if let Some(within) = within {
            self.within = within;
        } else if token.trim().is_empty() && self.before.trim().is_empty() {
            self.before.push_str(token);
            let long = self.before.len().saturating_sub(64);
            self.before.drain(..long);
        } else {
            token.clone_into(&mut self.before);
        }
        len
    }

    /// If a delimiter stands at `at`, writes a `;` for it.
    fn delimiter_at(&mut self, line: &str, at: usize, out: &mut String) -> Option<usize> {
        let rest = &line[at..];
        let len = match &self.delimiter {
            Delimiter::Slash => {
                let alone = at == 0 && rest.trim_end() == "/";
                alone.then_some(1)?
            }
            Delimiter::Usual => (at == 0 && is_usual(line)).then(|| rest.trim_end().len())?,
            Delimiter::Literal(text) => {
                let head = rest.get(..text.len())?;
                let ends = |c: Option<char>| !c.is_some_and(is_word);
                let whole = !text.ends_with(is_word) || ends(rest[text.len()..].chars().next());
                (head.eq_ignore_ascii_case(text) && whole).then_some(text.len())?
            }
            Delimiter::Pattern(pattern) => {
                let (len, within) = token(rest);
                let token = &rest[..len];
                let visible = within.is_none() && !token.trim().is_empty() && token != ";";
                if !visible || !pattern.is_match(&format!("{}{token}", self.before)) {
                    return None;
                }
                let before = self.before.trim();
                if !before.is_empty() && out.ends_with(before) {
                    out.truncate(out.len() - before.len());
                    before.chars().for_each(|_| out.push(' '));
                }
                len
            }
        };
        out.push(';');
        rest[..len].chars().skip(1).for_each(|_| out.push(' '));
        ";".clone_into(&mut self.before);
        Some(len)
    }
}

/// Whether a line ends a statement where no delimiter was given.
fn is_usual(line: &str) -> bool {
    let word = line.trim_end();
    word == "/" || word.eq_ignore_ascii_case("go")
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// The length of what stands first in `rest`, and what it opens. A quote is opened, not read: it may
/// end on another line.
fn token(rest: &str) -> (usize, Option<Within>) {
    let first = rest.chars().next().unwrap_or(' ');
    let quote = |len, mark, escapes| (len, Some(Within::Quote { mark, escapes }));
    match rest.as_bytes() {
        [b'-', b'-', ..] => (rest.find('\n').unwrap_or(rest.len()), None),
        [b'/', b'*', ..] => (2, Some(Within::Comment(1))),
        [b'\'', ..] => quote(1, '\'', false),
        [b'"', ..] => quote(1, '"', false),
        [b'e' | b'E', b'\'', ..] => quote(2, '\'', true),
        [b'$', ..] => match dollar(rest) {
            Some(tag) => (tag.len(), Some(Within::Dollar(tag.to_owned()))),
            None => (1, None),
        },
        _ if first.is_whitespace() => {
            (rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len()), None)
        }
        _ if is_word(first) => (rest.find(|c| !is_word(c) && c != '$').unwrap_or(rest.len()), None),
        _ => (first.len_utf8(), None),
    }
}

/// `$$` or `$tag$`.
fn dollar(rest: &str) -> Option<&str> {
    let end = rest[1..].find('$')? + 1;
    let tag = &rest[1..end];
    let valid = tag.chars().all(is_word) && !tag.starts_with(|c: char| c.is_ascii_digit());
    valid.then(|| &rest[..=end])
}

/// Where a quote ends. A doubled one ends it and opens the next: that is the same here.
fn quote_end(rest: &str, mark: char, escapes: bool) -> Option<usize> {
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == mark && chars.next_if(|&(_, it)| it == mark).is_none() {
            return Some(at + 1);
        }
    }
    None
}

/// Comments nest: the depth after the line, or 0 where the comment ends.
fn comment(rest: &str, mut depth: usize) -> (usize, usize) {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => (depth, at) = (depth + 1, at + 2),
            (b'*', Some(b'/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return (0, at);
        }
    }
    (depth, rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_becomes_a_semicolon_in_its_place() {
        for (delimiter, sql, expected) in [
            ("/", "select 4/2\n/\nselect 1\n/  \n", "select 4/2\n;\nselect 1\n;  \n"),
            ("\n/$", "select 2\n/\nselect 3\n/", "select 2\n;\nselect 3\n;"),
            ("//", "select 1 // select 2//", "select 1 ;  select 2; "),
            ("\\nGO", "select 1\nGO\nselect 2\r\n go\n", "select 1\n; \nselect 2\r\n go\n"),
            ("\\nGO", "select 1 as go, 2 \n\nGO", "select 1 as go, 2 \n\n; "),
            ("go", "select ago, go1, go_2 GO", "select ago, go1, go_2 ; "),
            (
                "@@",
                "select '@@' @@\n/* @@ */ -- @@\n\"@@\" @@",
                "select '@@' ; \n/* @@ */ -- @@\n\"@@\" ; ",
            ),
            ("#", "$a$ # $$ # $a$ #", "$a$ # $$ # $a$ ;"),
            ("#", "'\n#''#\n' # E'\\'#' # $1 #", "'\n#''#\n' ; E'\\'#' ; $1 ;"),
            ("#", "/* /* # */ #\n# */ # e", "/* /* # */ #\n# */ ; e"),
            ("$$", "select 1 $$ select 2 $$", "select 1 ;  select 2 ; "),
            (";;", "a;;b;;", "a; b; "),
            ("^", "a ^ b ^", "a ; b ;"),
            ("||", "a || b", "a ;  b"),
            ("END;", "a end; b END ;", "a ;    b END ;"),
            (r"\/\/", "a // b", "a  ; b"),
            (r"\s*/\s*", "a\n/\nb\n/\n", "a\n;\nb\n;\n"),
            (r";\s*$", "a; b;\n", "a; b;\n"),
            ("§§", "a §§ é §§", "a ;  é ; "),
            ("(", "a ( b", "a ; b"),
            ("((", "a (( b", "a ;  b"),
        ] {
            assert_eq!(prepared(sql, Some(delimiter), true), expected, "{delimiter}");
            assert_eq!(prepared(sql, Some(delimiter), false), sql);
        }
    }

    #[test]
    fn what_the_server_knows_or_nobody_finds_is_left() {
        let sql = "select 1; -- x\nGO\n/\n";
        for delimiter in [None, Some(""), Some(";"), Some("--"), Some("--GO"), Some("/*")] {
            assert!(matches!(prepared(sql, delimiter, true), Cow::Borrowed(_)), "{delimiter:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_keeps_its_lines_and_its_length_in_characters(
            sql in "[-'\"$;/*eE\\\\ \nago#é]{0,40}", delimiter in "[-'\"$;/*\\\\ngo#é(\\[]{1,3}"
        ) {
            let out = prepared(&sql, Some(&delimiter), true);
            proptest::prop_assert_eq!(out.chars().count(), sql.chars().count());
            let ends = |text: &str| text.match_indices('\n').map(|(at, _)| text[..at].chars().count()).collect::<Vec<_>>();
            if !delimiter.contains('\n') {
                proptest::prop_assert_eq!(ends(&out), ends(&sql));
            }
        }
    }
}
