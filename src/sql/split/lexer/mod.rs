//! One lexer for PostgreSQL's SQL, for held texts and for streams alike.
//!
//! It is fed bytes and can stop between any two of them, so that it looks at each
//! byte once however the text is cut. It follows the manual's section 4.1
//! ("Lexical Structure"), and for psql's texts what psql adds: backslash commands
//! and `:variables`. It holds no text (the caller does), knows no statements (see
//! [`outline`](super::outline)), and takes any input: a pending token ends with
//! [`Lexer::flush`], an open quote or comment shows in [`Lexer::unclosed`].

mod special;
mod token;

pub use token::{Kind, Token, in_variable, is_space};
use token::{continues_word, is_operator, starts_word};

/// How many bytes were taken, and the token that has ended.
type Step = (usize, Option<Token>);

/// See the module.
#[derive(Debug, Clone)]
pub struct Lexer {
    /// Whether psql's own syntax counts.
    psql: bool,
    state: State,
    start: usize,
    at: usize,
    /// `$tag$` of the dollar quote that is open or being read.
    delimiter: Vec<u8>,
    escapes_go_on: GoesOn,
}

/// Where in a token the lexer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Space,
    LineComment,
    Comment {
        depth: usize,
        previous: u8,
    },
    Word,
    /// A letter that may start a string.
    Prefix {
        escapes: bool,
    },
    /// `U`, which may become `U&'`.
    PrefixU,
    /// `U&`.
    PrefixUAnd,
    Number,
    /// What sticks to a number.
    Junk,
    Operator {
        previous: u8,
    },
    Quote {
        quote: u8,
        escapes: bool,
    },
    /// After a backslash in `E''`.
    Escape,
    /// After a quote, which may be doubled.
    QuoteEnd {
        quote: u8,
        escapes: bool,
    },
    Dollar,
    DollarTag,
    DollarBody {
        matched: usize,
    },
    Colon,
    Variable,
    VariableQuoted {
        quote: u8,
    },
    VariableBrace,
    VariableTest,
    Backslash,
}

/// `E'a'`, a line end and `'b'` are one constant: the second part knows backslashes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoesOn {
    No,
    AfterLineEnd,
    Yes,
}

impl Lexer {
    /// For what the server gets: `\` and `:` are nothing special.
    pub const fn server() -> Self {
        Self::new(false)
    }

    /// For what psql reads.
    pub const fn psql() -> Self {
        Self::new(true)
    }

    const fn new(psql: bool) -> Self {
        let escapes_go_on = GoesOn::No;
        Self { psql, state: State::Between, start: 0, at: 0, delimiter: Vec::new(), escapes_go_on }
    }

    /// Reads from `input` until a token has ended; gives how many bytes it took, and the token.
    ///
    /// A token may end before the last bytes taken: these begin the next one. It starts and ends
    /// at ASCII characters, so between characters.
    pub fn next(&mut self, input: &[u8]) -> (usize, Option<Token>) {
        let mut used = 0;
        while used < input.len() {
            let (more, token) = self.step(&input[used..]);
            used += more;
            self.at += more;
            if token.is_some() {
                return (used, token);
            }
        }
        (used, None)
    }

    /// Ends a pending token, for no more text comes; to be called until it gives none.
    pub fn flush(&mut self) -> Option<Token> {
        // A byte that ends the pending token and is never taken.
        let stop = if self.state == State::Space { b"\0" } else { b"\n" };
        while !self.rests() {
            if let (_, Some(token)) = self.step(stop) {
                return Some(token);
            }
        }
        None
    }

    /// What is open, and the byte at which it starts.
    pub fn unclosed(&self) -> Option<(&'static str, usize)> {
        let what = match self.state {
            State::Quote { quote: b'"', .. } => "quoted name",
            State::Quote { .. } | State::Escape => "string",
            State::DollarBody { .. } => "dollar-quoted string",
            State::Comment { .. } => "comment",
            _ => return None,
        };
        Some((what, self.start))
    }

    /// Says that the text read so far is now `at` bytes long; only between tokens.
    pub fn rewind(&mut self, at: usize) {
        self.at = at;
        self.start = at;
    }

    /// Whether nothing is pending: between tokens, or inside of what only more text closes.
    fn rests(&self) -> bool {
        self.state == State::Between || self.unclosed().is_some()
    }

    fn step(&mut self, input: &[u8]) -> Step {
        let first = input[0];
        match self.state {
            State::Between => self.begin(first),
            State::Space => {
                let step = self.run(input, is_space, Kind::Space);
                let line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
                if self.escapes_go_on == GoesOn::AfterLineEnd
                    && input[..step.0].iter().any(line_end)
                {
                    self.escapes_go_on = GoesOn::Yes;
                }
                step
            }
            State::LineComment => {
                self.run(input, |byte| !matches!(byte, b'\n' | b'\r'), Kind::LineComment)
            }
            State::Comment { depth, previous } => self.comment(input, depth, previous),
            State::Word => self.run(input, continues_word, Kind::Word),
            State::Prefix { escapes } if first == b'\'' => {
                self.go(1, State::Quote { quote: b'\'', escapes })
            }
            State::PrefixU if first == b'&' => self.go(1, State::PrefixUAnd),
            State::Prefix { .. } | State::PrefixU => self.go(0, State::Word),
            State::PrefixUAnd if matches!(first, b'\'' | b'"') => {
                self.go(1, State::Quote { quote: first, escapes: false })
            }
            State::PrefixUAnd => {
                self.split(0, Kind::Word, self.at - 1, State::Operator { previous: b'&' })
            }
            State::Number => match input.iter().position(|byte| !byte.is_ascii_digit()) {
                None => (input.len(), None),
                Some(n) if starts_word(input[n]) => self.go(n, State::Junk),
                Some(n) => self.ended(n, Kind::Other),
            },
            State::Junk => self.run(input, continues_word, Kind::Other),
            State::Operator { previous } => self.operator(first, previous),
            State::Quote { quote, escapes } => {
                let stop = |byte: &u8| *byte == quote || (escapes && *byte == b'\\');
                match input.iter().position(stop) {
                    None => (input.len(), None),
                    Some(n) if input[n] == quote => {
                        self.go(n + 1, State::QuoteEnd { quote, escapes })
                    }
                    Some(n) => self.go(n + 1, State::Escape),
                }
            }
            State::Escape => self.go(1, State::Quote { quote: b'\'', escapes: true }),
            State::QuoteEnd { quote, escapes } if first == quote => {
                self.go(1, State::Quote { quote, escapes })
            }
            State::QuoteEnd { quote, escapes } => {
                let kind = if quote == b'"' { Kind::Quoted } else { Kind::Literal };
                let step = self.ended(0, kind);
                if escapes {
                    self.escapes_go_on = GoesOn::AfterLineEnd;
                }
                step
            }
            State::Dollar | State::DollarTag | State::DollarBody { .. } => self.dollar(input),
            State::Colon
            | State::Variable
            | State::VariableQuoted { .. }
            | State::VariableBrace
            | State::VariableTest => self.variable(input),
            State::Backslash if matches!(first, b';' | b':') => self.ended(1, Kind::Escaped),
            State::Backslash => self.ended(0, Kind::Backslash),
        }
    }

    fn begin(&mut self, first: u8) -> Step {
        self.start = self.at;
        let single = match first {
            b';' => Kind::Semicolon,
            b'(' => Kind::Open,
            b')' => Kind::Close,
            _ => Kind::Other,
        };
        let state = match first {
            // Taken as a whole, for a line end among it may count.
            _ if is_space(first) => return self.go(0, State::Space),
            b'\'' => {
                let escapes = self.escapes_go_on == GoesOn::Yes;
                State::Quote { quote: b'\'', escapes }
            }
            b'"' => State::Quote { quote: b'"', escapes: false },
            b'$' => State::Dollar,
            b'e' | b'E' => State::Prefix { escapes: true },
            b'b' | b'B' | b'n' | b'N' | b'x' | b'X' => State::Prefix { escapes: false },
            b'u' | b'U' => State::PrefixU,
            _ if starts_word(first) => State::Word,
            b'0'..=b'9' => State::Number,
            b':' if self.psql => State::Colon,
            b'\\' if self.psql => State::Backslash,
            _ if is_operator(first) => State::Operator { previous: first },
            _ => return self.ended(1, single),
        };
        self.go(1, state)
    }

    fn go(&mut self, taken: usize, state: State) -> Step {
        self.state = state;
        (taken, None)
    }

    /// Ends the token; the next one starts where it ends.
    fn end(&mut self, kind: Kind, end: usize) -> Token {
        let token = Token { kind, start: self.start, end };
        self.state = State::Between;
        self.start = end;
        if !matches!(kind, Kind::Space | Kind::LineComment) {
            self.escapes_go_on = GoesOn::No;
        }
        token
    }

    /// Ends the token with the bytes that are taken.
    fn ended(&mut self, taken: usize, kind: Kind) -> Step {
        (taken, Some(self.end(kind, self.at + taken)))
    }

    /// Ends the token where the next one has begun already.
    fn split(&mut self, taken: usize, kind: Kind, end: usize, then: State) -> Step {
        let ended = self.end(kind, end);
        self.state = then;
        (taken, Some(ended))
    }

    /// Takes bytes as long as they belong to the token.
    fn run(&mut self, input: &[u8], belongs: impl Fn(u8) -> bool, kind: Kind) -> Step {
        match input.iter().position(|&byte| !belongs(byte)) {
            None => (input.len(), None),
            Some(n) => self.ended(n, kind),
        }
    }

    /// An operator stops where a comment starts, for `+--x` is not one operator.
    fn operator(&mut self, first: u8, previous: u8) -> Step {
        let comment = match (previous, first) {
            (b'-', b'-') => State::LineComment,
            (b'/', b'*') => State::Comment { depth: 0, previous: 0 },
            _ if is_operator(first) => return self.go(1, State::Operator { previous: first }),
            _ => return self.ended(0, Kind::Other),
        };
        match self.at - 1 {
            start if start > self.start => self.split(1, Kind::Other, start, comment),
            _ => self.go(1, comment),
        }
    }

    fn comment(&mut self, input: &[u8], mut depth: usize, mut previous: u8) -> Step {
        for (at, &byte) in input.iter().enumerate() {
            match (previous, byte) {
                (b'*', b'/') if depth == 0 => {
                    return self.ended(at + 1, Kind::Comment);
                }
                (b'*', b'/') => (depth, previous) = (depth - 1, 0),
                (b'/', b'*') => (depth, previous) = (depth + 1, 0),
                _ => previous = byte,
            }
        }
        self.go(input.len(), State::Comment { depth, previous })
    }
}

#[cfg(test)]
mod tests {
    use super::Kind::{
        Backslash, Close, Comment, Escaped, LineComment, Literal, Open, Other, Quoted, Semicolon,
        Variable, VariableLiteral, VariableName, VariableTest, Word,
    };
    use super::*;

    fn all(mut lexer: Lexer, text: &str, step: usize) -> Vec<(Kind, &str)> {
        let mut found = Vec::new();
        for chunk in text.as_bytes().chunks(step) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let (used, token) = lexer.next(rest);
                rest = &rest[used..];
                found.extend(token);
            }
        }
        found.extend(std::iter::from_fn(|| lexer.flush()));
        let kinds = found.iter().filter(|token| token.kind != Kind::Space);
        kinds.map(|token| (token.kind, &text[token.start..token.end])).collect()
    }

    #[test]
    fn tokens_end_where_postgresql_ends_them() {
        for (text, tokens) in [
            ("a/* x /* ; */*/b", vec![(Word, "a"), (Comment, "/* x /* ; */*/"), (Word, "b")]),
            ("/*/;*/ /***/", vec![(Comment, "/*/;*/"), (Comment, "/***/")]),
            ("1+--;\n2", vec![(Other, "1"), (Other, "+"), (LineComment, "--;"), (Other, "2")]),
            ("@-/*;*/1", vec![(Other, "@-"), (Comment, "/*;*/"), (Other, "1")]),
            ("--a\r;", vec![(LineComment, "--a"), (Semicolon, ";")]),
            (r"'\';", vec![(Literal, r"'\'"), (Semicolon, ";")]),
            (r"E'\';'", vec![(Literal, r"E'\';'")]),
            ("E'a'\n'b\\';'", vec![(Literal, "E'a'"), (Literal, "'b\\';'")]),
            ("E'a' 'b\\';", vec![(Literal, "E'a'"), (Literal, "'b\\'"), (Semicolon, ";")]),
            (
                "E'a' --x\n '\\';'",
                vec![(Literal, "E'a'"), (LineComment, "--x"), (Literal, "'\\';'")],
            ),
            ("U&'\\';", vec![(Literal, "U&'\\'"), (Semicolon, ";")]),
            ("u&\"a\"\"b\"", vec![(Quoted, "u&\"a\"\"b\"")]),
            ("u&x u", vec![(Word, "u"), (Other, "&"), (Word, "x"), (Word, "u")]),
            ("$a$;$$;$a$$a", vec![(Literal, "$a$;$$;$a$"), (Other, "$"), (Word, "a")]),
            ("$$$x$$$1", vec![(Literal, "$$$x$$"), (Other, "$1")]),
            ("a$$;", vec![(Word, "a$$"), (Semicolon, ";")]),
            ("1a$$;", vec![(Other, "1a$$"), (Semicolon, ";")]),
            ("1$$;$$", vec![(Other, "1"), (Literal, "$$;$$")]),
            ("$é$;$é$", vec![(Literal, "$é$;$é$")]),
            ("$é;", vec![(Other, "$"), (Word, "é"), (Semicolon, ";")]),
            ("(b'1')", vec![(Open, "("), (Literal, "b'1'"), (Close, ")")]),
        ] {
            for step in 1..4 {
                assert_eq!(all(Lexer::psql(), text, step), tokens, "{text}");
                assert_eq!(all(Lexer::server(), text, step), tokens, "{text}");
            }
        }
    }

    #[test]
    fn psql_knows_colons_and_backslashes() {
        for (text, tokens) in [
            ("a::int", vec![(Word, "a"), (Other, "::"), (Word, "int")]),
            (":::x", vec![(Other, "::"), (Variable, ":x")]),
            (":=x", vec![(Other, ":="), (Word, "x")]),
            ("[1:2]", vec![(Other, "["), (Other, "1"), (Variable, ":2"), (Other, "]")]),
            (":'a':\"b\"", vec![(VariableLiteral, ":'a'"), (VariableName, ":\"b\"")]),
            (":'a ;'", vec![(Other, ":"), (Literal, "'a ;'")]),
            (":''", vec![(Other, ":"), (Literal, "''")]),
            (":{?a}", vec![(VariableTest, ":{?a}")]),
            (":{?a;", vec![(Other, ":{?"), (Word, "a"), (Semicolon, ";")]),
            (":{?--;\n", vec![(Other, ":{?"), (LineComment, "--;")]),
            (":{;", vec![(Other, ":{"), (Semicolon, ";")]),
            (r"\;\:\x", vec![(Escaped, r"\;"), (Escaped, r"\:"), (Backslash, "\\"), (Word, "x")]),
            ("\\", vec![(Backslash, "\\")]),
            (":a", vec![(Variable, ":a")]),
            (":", vec![(Other, ":")]),
        ] {
            for step in 1..4 {
                assert_eq!(all(Lexer::psql(), text, step), tokens, "{text}");
            }
        }
    }
}
