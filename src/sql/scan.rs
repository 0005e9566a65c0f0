//! Tells the tokens of PostgreSQL's SQL apart, as far as one must to know what
//! is text, what is comment, and where a statement starts.
//!
//! It follows the lexical rules of the PostgreSQL manual, section 4.1 ("Lexical
//! Structure"): nested comments, dollar quotes, `E''`, doubled quotes. It does
//! not parse: the server does that. Any input gives tokens; an unclosed quote or
//! comment reaches to the end.

/// What a piece of SQL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A key word or an unquoted name.
    Word(&'a str),
    /// A string constant, quotes and prefix included.
    Literal(&'a str),
    /// A name in double quotes.
    Quoted(&'a str),
    /// The end of a statement.
    Semicolon,
    /// An operator, a bracket, a number: anything else that is not white space or comment.
    Other(&'a str),
}

/// The tokens of `sql`, comments and white space left out.
pub fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (len, token) = next(rest, first);
        tokens.extend(token.map(|kind| kind(&rest[..len])));
        rest = &rest[len..];
    }
    tokens
}

type Kind<'a> = fn(&'a str) -> Token<'a>;

/// The length in bytes of what stands first in `rest`, and what it is (`None`: nothing).
fn next(rest: &str, first: char) -> (usize, Option<Kind<'_>>) {
    if first.is_whitespace() || first == '\u{feff}' {
        (first.len_utf8(), None)
    } else if rest.starts_with("--") {
        (rest.find('\n').unwrap_or(rest.len()), None)
    } else if rest.starts_with("/*") {
        (comment(rest), None)
    } else if first == '\'' {
        (quoted(rest, '\'', false), Some(Token::Literal))
    } else if first == '"' {
        (quoted(rest, '"', false), Some(Token::Quoted))
    } else if let Some(len) = prefixed_string(rest) {
        (len, Some(Token::Literal))
    } else if let Some(len) = dollar_quoted(rest) {
        (len, Some(Token::Literal))
    } else if starts_word(first) {
        (rest.find(|c| !continues_word(c)).unwrap_or(rest.len()), Some(Token::Word))
    } else if first == ';' {
        (1, Some(|_| Token::Semicolon))
    } else if first.is_ascii_digit() {
        (rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()), Some(Token::Other))
    } else {
        (first.len_utf8(), Some(Token::Other))
    }
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn continues_word(c: char) -> bool {
    starts_word(c) || c.is_ascii_digit() || c == '$'
}

/// `/* … */`, which nests.
fn comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => (depth, at) = (depth + 1, at + 2),
            (b'*', Some(b'/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// From a quote to its partner; a doubled quote does not end it.
fn quoted(rest: &str, quote: char, escapes: bool) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote && chars.next_if(|&(_, next)| next == quote).is_none() {
            return at + c.len_utf8();
        }
    }
    rest.len()
}

/// `E'…'`, `B'…'`, `X'…'`, `N'…'`, `U&'…'`; only the first knows backslash escapes.
fn prefixed_string(rest: &str) -> Option<usize> {
    let prefix = match rest.as_bytes() {
        [b'e' | b'E' | b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'', ..] => 1,
        [b'u' | b'U', b'&', b'\'', ..] => 2,
        _ => return None,
    };
    let escapes = matches!(rest.as_bytes()[0], b'e' | b'E');
    Some(prefix + quoted(&rest[prefix..], '\'', escapes))
}

/// `$$…$$` and `$tag$…$tag$`; `$1` is a parameter.
fn dollar_quoted(rest: &str) -> Option<usize> {
    let tag = rest.strip_prefix('$')?;
    let end = tag.find('$')?;
    let name = &tag[..end];
    let valid = name.chars().next().is_none_or(starts_word)
        && name.chars().all(|c| starts_word(c) || c.is_ascii_digit());
    if !valid {
        return None;
    }
    let open = end + 2;
    let close = rest[open..].find(&rest[..open]);
    Some(close.map_or(rest.len(), |at| open + at + open))
}

#[cfg(test)]
mod tests {
    use super::Token::{Literal, Other, Quoted, Semicolon, Word};
    use super::*;

    #[test]
    fn quotes_and_comments_hide_what_they_hold() {
        assert_eq!(
            tokens("a /* ; /* ' */ ; */ 'it''s;' \"x\"\"y\" -- ;\n; E'\\';' $f$ ; $$ ; $f$ $1"),
            [
                Word("a"),
                Literal("'it''s;'"),
                Quoted("\"x\"\"y\""),
                Semicolon,
                Literal("E'\\';'"),
                Literal("$f$ ; $$ ; $f$"),
                Other("$"),
                Other("1"),
            ]
        );
    }

    #[test]
    fn what_is_unclosed_reaches_to_the_end() {
        for sql in ["'abc;", "\"abc;", "/* abc;", "$$ abc;", "e'\\"] {
            assert!(!tokens(sql).contains(&Semicolon), "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_tokens(sql in "\\PC*|[-'\"$;/*eE\\\\ \na]*") {
            tokens(&sql);
        }
    }
}
