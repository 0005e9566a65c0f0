//! Where a statement ends: which semicolons are inside of it.
//!
//! psql's own rules, so that a text means here what it means there: a semicolon in
//! parentheses ends nothing (`CREATE RULE … DO (a; b)`), and neither does one in the
//! body of an SQL-standard function (`BEGIN ATOMIC … END`), which only the first words
//! `CREATE [OR REPLACE] FUNCTION|PROCEDURE` make possible. Beside it, whether the
//! statement is a `COPY` whose data follow. It is a count of tokens, not a parser.

use super::lexer::Kind;
use crate::sql::scan::Token;

/// Data that goes beside the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// `COPY … FROM STDIN`: the text goes on with data.
    In,
    /// `COPY … TO STDOUT`: the server sends data.
    Out,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    parentheses: usize,
    /// Open `BEGIN`s and `CASE`s of a function's body.
    bodies: usize,
    /// Words so far; what counts are the first four.
    words: usize,
    lead: [u8; 4],
    copy: CopyWords,
}

/// How far the words of a `COPY` were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum CopyWords {
    #[default]
    No,
    Copy,
    From,
    To,
    Is(Copy),
}

impl Outline {
    /// Counts one token; gives whether it ends the statement.
    pub fn take(&mut self, kind: Kind, text: &str) -> bool {
        match kind {
            Kind::Open => self.parentheses += 1,
            Kind::Close => self.parentheses = self.parentheses.saturating_sub(1),
            Kind::Word => self.word(text),
            Kind::Semicolon if self.parentheses == 0 && self.bodies == 0 => return true,
            Kind::Literal if matches!(self.copy, CopyWords::From | CopyWords::To) => {
                self.copy = CopyWords::No;
            }
            _ => {}
        }
        false
    }

    /// A new statement, as far as its first words count: after a semicolon that was sent with it.
    pub fn restart(&mut self) {
        self.words = 0;
    }

    /// What data goes beside the statement so far.
    pub fn copy(&self) -> Option<Copy> {
        match self.copy {
            CopyWords::Is(copy) => Some(copy),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) {
        let nth = self.words;
        self.words += 1;
        if nth == 0 {
            self.lead = [0; 4];
            if self.copy == CopyWords::No && word.eq_ignore_ascii_case("copy") {
                self.copy = CopyWords::Copy;
            }
        }
        if let Some(lead) = self.lead.get_mut(nth) {
            *lead = ["create", "or", "replace", "function", "procedure"]
                .iter()
                .find(|known| word.eq_ignore_ascii_case(known))
                .map_or(0, |known| known.as_bytes()[0]);
        }
        if self.parentheses > 0 {
            return;
        }
        if matches!(self.lead, [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p']) {
            self.body(word);
        }
        self.copied(word);
    }

    /// A word of a function's definition.
    fn body(&mut self, word: &str) {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if is("begin") || (is("case") && self.bodies > 0) {
            self.bodies += 1;
        } else if is("end") {
            self.bodies = self.bodies.saturating_sub(1);
        }
    }

    /// A word of a `COPY`.
    fn copied(&mut self, word: &str) {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        self.copy = match self.copy {
            CopyWords::No | CopyWords::Is(_) => return,
            _ if is("from") => CopyWords::From,
            _ if is("to") => CopyWords::To,
            CopyWords::From if is("stdin") || is("stdout") => CopyWords::Is(Copy::In),
            CopyWords::To if is("stdin") || is("stdout") => CopyWords::Is(Copy::Out),
            CopyWords::From | CopyWords::To if is("program") => CopyWords::No,
            _ => CopyWords::Copy,
        };
    }
}

/// The statements of a text whose tokens are held, semicolons included, and the data that goes
/// beside each.
pub fn statements<'t, 'a>(
    tokens: &'t [Token<'a>],
) -> impl Iterator<Item = (&'t [Token<'a>], Option<Copy>)> {
    let mut rest = tokens;
    std::iter::from_fn(move || {
        let mut outline = Outline::default();
        let ends = |token: &Token<'_>| outline.take(token.kind(), token.text());
        let len = rest.iter().position(ends).map_or(rest.len(), |at| at + 1);
        let statement;
        (statement, rest) = rest.split_at(len);
        (!statement.is_empty()).then(|| (statement, outline.copy()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan::tokens;

    fn outline(sql: &str) -> (Outline, usize) {
        let mut outline = Outline::default();
        let mut ends =
            |token: &crate::sql::scan::Token<'_>| outline.take(token.kind(), token.text());
        let ends = tokens(sql).iter().filter(|&token| ends(token)).count();
        (outline, ends)
    }

    #[test]
    fn a_semicolon_inside_of_a_statement_does_not_end_it() {
        for (sql, ends) in [
            ("a; b;", 2),
            ("CREATE RULE r AS ON INSERT TO t DO (a; b);", 1),
            (") ;", 1),
            ("CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END;", 1),
            ("create or replace procedure p() begin atomic a; end; b;", 2),
            ("CREATE VIEW v AS SELECT begin; END;", 2),
            ("CREATE OR REPLACE VIEW begin; END;", 2),
            ("SELECT 1 AS begin; x;", 2),
            ("CREATE FUNCTION f(begin int, x int DEFAULT (begin)) RETURNS int RETURN 1;", 1),
        ] {
            assert_eq!(outline(sql).1, ends, "{sql}");
        }
    }

    #[test]
    fn a_copy_tells_where_its_data_goes() {
        for (sql, copy) in [
            ("COPY t FROM STDIN", Some(Copy::In)),
            ("COPY t (a, \"from\") FROM stdin WITH (FORMAT csv)", Some(Copy::In)),
            ("copy s.from FROM stdout", Some(Copy::In)),
            ("COPY stdin FROM 'x' WHERE a IS DISTINCT FROM stdin", None),
            ("COPY t FROM PROGRAM 'x'", None),
            ("COPY (SELECT a FROM stdin) TO STDOUT", Some(Copy::Out)),
            ("COPY t TO 's3'", None),
            ("SELECT 1 FROM stdin", None),
            ("COMMENT ON TABLE t IS 'COPY t FROM STDIN'", None),
        ] {
            assert_eq!(outline(sql).0.copy(), copy, "{sql}");
        }
    }
}
