//! SQL text: how a literal is written, and how a statement's tokens are told apart.
//!
//! Utility statements (`CREATE EXTENSION`, `SET`) take no bind parameters, so
//! outside text reaches them through [`literal`] and
//! [`Identifier::quoted`](crate::ident::Identifier::quoted), and in no other way.

pub mod check;
pub mod difference;
pub mod scan;
pub mod split;
pub mod transactional;

/// A string as an SQL literal, whatever `standard_conforming_strings` says.
///
/// A text in PostgreSQL cannot hold NUL; it is left out here, and refused with a
/// message where the text comes in.
pub fn literal(text: &str) -> String {
    let text = text.replace('\0', "");
    let quoted = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// [`literal`], or `NULL`.
pub fn nullable(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), literal)
}

/// The texts as one SQL array of type `text[]`.
pub fn text_array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<_> = texts.into_iter().map(literal).collect();
    format!("ARRAY[{}]::text[]", items.join(","))
}

/// The text with SCRAM verifiers blotted out: no password, but what one can be tried against.
pub fn without_verifiers(text: &str) -> String {
    const MARK: &str = "SCRAM-SHA-256$";
    let mut parts = text.split(MARK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '\'' || c == '"' || c.is_whitespace());
        out.push_str("****");
        out.push_str(end.map_or("", |at| &part[at..]));
    }
    out
}

/// The line and the column (both from 1, in characters) of a character position
/// (from 1, as PostgreSQL reports it) in `text`.
pub fn line_and_column(text: &str, position: u32) -> (usize, usize) {
    let before = text.chars().take((position as usize).saturating_sub(1));
    before.fold((1, 1), |(line, column), c| match c {
        '\n' => (line + 1, 1),
        _ => (line, column + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_ends_where_it_should() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"\'; DROP TABLE t; --"), r"E'\\''; DROP TABLE t; --'");
        assert_eq!(literal("a\0b"), "'ab'");
        assert_eq!(text_array(["a", "b'c"]), "ARRAY['a','b''c']::text[]");
        assert_eq!(text_array([]), "ARRAY[]::text[]");
    }

    #[test]
    fn a_verifier_is_blotted_out() {
        let sql = "ALTER ROLE a PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$a:b'; SELECT 1";
        assert_eq!(without_verifiers(sql), "ALTER ROLE a PASSWORD '****'; SELECT 1");
        assert_eq!(without_verifiers("SELECT 1"), "SELECT 1");
    }

    #[test]
    fn a_position_becomes_line_and_column() {
        assert_eq!(line_and_column("select é,\n  nope", 13), (2, 3));
        assert_eq!(line_and_column("x", 1), (1, 1));
        assert_eq!(line_and_column("", 9), (1, 1));
    }
}
