//! The tokens of a text that is held, comments and white space left out: as far as
//! one must tell them apart to know what is text, what is a name, and where a
//! statement starts.
//!
//! It does not parse: the server does that. Any input gives tokens; an unclosed
//! quote reaches to the end. The rules are [`Lexer`]'s, in the server's dialect.

use super::split::lexer::{Kind, Lexer};

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

impl Token<'_> {
    /// Whether it is this key word.
    pub fn is(self, word: &str) -> bool {
        matches!(self, Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    /// What it is to who counts statements.
    pub(super) fn kind(self) -> Kind {
        match self {
            Token::Word(_) => Kind::Word,
            Token::Literal(_) => Kind::Literal,
            Token::Quoted(_) => Kind::Quoted,
            Token::Semicolon => Kind::Semicolon,
            Token::Other("(") => Kind::Open,
            Token::Other(")") => Kind::Close,
            Token::Other(_) => Kind::Other,
        }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Token::Word(text) | Token::Literal(text) | Token::Quoted(text) | Token::Other(text) => {
                text
            }
            Token::Semicolon => ";",
        }
    }
}

/// All tokens of `sql`.
pub fn tokens(sql: &str) -> Vec<Token<'_>> {
    Tokens::of(sql).collect()
}

/// The tokens of a text, one by one: who needs the first few pays for these.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    sql: &'a str,
    lexer: Lexer,
    used: usize,
}

impl<'a> Tokens<'a> {
    /// The tokens of `sql`.
    pub fn of(sql: &'a str) -> Self {
        let sql = sql.strip_prefix('\u{feff}').unwrap_or(sql);
        Self { sql, lexer: Lexer::server(), used: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let (used, token) = self.lexer.next(&self.sql.as_bytes()[self.used..]);
            self.used += used;
            let Some(token) = token.or_else(|| self.lexer.flush()) else {
                let (_, start) = self.lexer.unclosed()?;
                self.lexer = Lexer::server();
                let rest = &self.sql[start..];
                return match rest.as_bytes() {
                    [b'/', ..] => None,
                    [b'"', ..] | [_, b'&', b'"', ..] => Some(Token::Quoted(rest)),
                    _ => Some(Token::Literal(rest)),
                };
            };
            let text = &self.sql[token.start..token.end];
            return Some(match token.kind {
                Kind::Space | Kind::LineComment | Kind::Comment => continue,
                Kind::Word => Token::Word(text),
                Kind::Literal => Token::Literal(text),
                Kind::Quoted => Token::Quoted(text),
                Kind::Semicolon => Token::Semicolon,
                _ => Token::Other(text),
            });
        }
    }
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
                Other("$1"),
            ]
        );
    }

    #[test]
    fn what_is_unclosed_reaches_to_the_end() {
        for (sql, last) in [
            ("a 'abc;", Some(Literal("'abc;"))),
            ("a \"abc;", Some(Quoted("\"abc;"))),
            ("a u&\"abc;", Some(Quoted("u&\"abc;"))),
            ("a $$ abc;", Some(Literal("$$ abc;"))),
            ("a e'\\", Some(Literal("e'\\"))),
            ("a /* abc;", None),
        ] {
            assert_eq!(
                tokens(sql),
                [Some(Word("a")), last].into_iter().flatten().collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn what_only_psql_knows_is_nothing_here() {
        assert_eq!(tokens(r"\;:'a'"), [Other("\\"), Semicolon, Other(":"), Literal("'a'")]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_tokens(sql in "\\PC*|[-'\"$;/*eE\\\\ \na]*") {
            tokens(&sql);
        }
    }
}
