//! What a text gives, however it is cut.

use super::*;
use crate::sql::scan::{Token, tokens};

/// All pieces of a text that comes in chunks of about `step` bytes.
fn pieces(sql: &str, step: usize) -> Result<Vec<Piece>, SplitError> {
    let (mut splitter, mut found, mut at) = (Splitter::default(), Vec::new(), 0);
    while at < sql.len() {
        let end = sql.ceil_char_boundary((at + step).min(sql.len()));
        let mut chunk = &sql[at..end];
        at = end;
        while let Some(piece) = splitter.next(&mut chunk)? {
            found.push(piece);
        }
        assert!(chunk.is_empty());
    }
    while let Some(piece) = splitter.finish()? {
        found.push(piece);
    }
    Ok(found)
}

/// The same, told in a few words: statements, `<data>`, `.` for its end, `!notice`.
fn told(sql: &str) -> Vec<String> {
    let whole = pieces(sql, sql.len().max(1)).unwrap();
    for step in 1..4 {
        assert_eq!(pieces(sql, step).unwrap(), whole, "{sql}");
    }
    let tell = |piece: &Piece| match piece {
        Piece::Statement(statement) => statement.text.clone(),
        Piece::CopyData(data) => format!("<{data}>"),
        Piece::CopyEnd => ".".to_owned(),
        Piece::Notice { text, line } => format!("!{line}:{text}"),
    };
    whole.iter().map(tell).collect()
}

#[test]
fn statements_end_where_psql_ends_them() {
    for (sql, statements) in [
        ("", vec![]),
        (" \n-- only\n /* comments */ ;; -- x", vec![]),
        ("SELECT 1; ; SELECT 2", vec!["SELECT 1", "SELECT 2"]),
        ("-- a\n/* b */ SELECT -- c\n 1 /* d */; -- e\n", vec!["/* b */ SELECT -- c\n 1 /* d */"]),
        ("SELECT ';' \"a;\" $$;$$;b", vec!["SELECT ';' \"a;\" $$;$$", "b"]),
        ("\u{feff}SELECT 1;\r\nSELECT\r2\r", vec!["SELECT 1", "SELECT\r2"]),
        (
            "CREATE RULE r AS ON INSERT TO t DO (a; b); c",
            vec!["CREATE RULE r AS ON INSERT TO t DO (a; b)", "c"],
        ),
        (
            "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; END; SELECT 1;",
            vec!["CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; END", "SELECT 1"],
        ),
        ("SELECT 1 \\; SELECT 2; SELECT '\\;'", vec!["SELECT 1 ; SELECT 2", "SELECT '\\;'"]),
        ("\\; ;\\;", vec![]),
        ("\\; SELECT 1", vec!["; SELECT 1"]),
        ("SELECT (1; x", vec!["SELECT (1; x"]),
        ("SELECT '{}' ?| a @- b #>> '{;}';x", vec!["SELECT '{}' ?| a @- b #>> '{;}'", "x"]),
    ] {
        assert_eq!(told(sql), statements, "{sql}");
    }
}

#[test]
fn variables_are_replaced_where_psql_replaces_them() {
    for (sql, statements) in [
        (
            "\\set a 1\nSELECT :a, :b, ':a', $$:a$$, x::a, y[1:2];",
            vec!["SELECT 1, :b, ':a', $$:a$$, x::a, y[1:2]"],
        ),
        (
            "\\set a 'it''s \\\\ \"'\nSELECT :'a', :\"a\", :'b', :\"b\";",
            vec!["SELECT  E'it''s \\\\ \"', \"it's \\ \"\"\", :'b', :\"b\""],
        ),
        ("\\set a 1\nSELECT :{?a}, :{?b};", vec!["SELECT TRUE, FALSE"]),
        ("\\set a 'SELECT 1; SELECT'\n:a 2; -- :a\n", vec!["SELECT 1", "SELECT 2"]),
        ("\\set a ':b'\n\\set b ':a + 1'\nSELECT :a;", vec!["SELECT :a + 1"]),
        ("\\set a 1\n\\unset a\nSELECT :a;", vec!["SELECT :a"]),
        ("SELECT\n\\set a 1\n:a\n;", vec!["SELECT\n\n1"]),
        ("\\set a 1 \\\\ SELECT :a; \\set b 2\nSELECT :b", vec!["SELECT 1", "SELECT 2"]),
        ("\\set a ''\n:a;:a", vec![]),
        ("\\set a (\n:a;);", vec!["(;)"]),
        ("\\set a -\n:a- 1;\n", vec!["-- 1"]),
        (
            "\\echo hi  there\n\\restrict aB\n\\warn 'x'\nSELECT 1;\n\\unrestrict aB",
            vec!["!1:hi there", "!3:x", "SELECT 1"],
        ),
    ] {
        assert_eq!(told(sql), statements, "{sql}");
    }
}

#[test]
fn copy_data_goes_beside_its_statement() {
    for (sql, found) in [
        (
            "COPY t FROM stdin;\n1\n\\N\n\\.\nSELECT 1;",
            vec!["COPY t FROM stdin", "<1\n\\N\n>", ".", "SELECT 1"],
        ),
        ("COPY t FROM stdin; -- x\r\n;'\r\n\\.\r\n", vec!["COPY t FROM stdin", "<;'\r\n>", "."]),
        ("COPY t FROM stdin;\n\\.\n", vec!["COPY t FROM stdin", "."]),
        ("COPY t FROM stdin;", vec!["COPY t FROM stdin", "."]),
        ("COPY t FROM stdin;\nx", vec!["COPY t FROM stdin", "<x>", "."]),
        ("COPY t FROM 'x';\n\nSELECT 1", vec!["COPY t FROM 'x'", "SELECT 1"]),
        ("\\set s ' FROM stdin; '\nCOPY t :s \n1\n", vec!["COPY t  FROM stdin", "<1\n>", "."]),
    ] {
        assert_eq!(told(sql), found, "{sql}");
    }
    let pieces = pieces("COPY t TO STDOUT", 100).unwrap();
    assert!(matches!(&pieces[0], Piece::Statement(it) if it.copy == Some(Copy::Out)));
}

#[test]
fn what_cannot_be_split_is_an_error_with_its_place() {
    let unclosed = |what, line, column| SplitError::Unclosed { what, line, column };
    for (sql, error) in [
        ("SELECT 1;\n 'a", unclosed("string", 2, 2)),
        ("\r\n\r\n\u{e9}, E'\\'", unclosed("string", 3, 4)),
        ("a \"b", unclosed("quoted name", 1, 3)),
        ("a\n/* /* */", unclosed("comment", 2, 1)),
        ("a $x$ $$", unclosed("dollar-quoted string", 1, 3)),
        ("\\set a ''''\n\n b :a", unclosed("string", 3, 4)),
        ("COPY t FROM STDIN; SELECT 1;\n", SplitError::AfterCopy { line: 1, column: 19 }),
    ] {
        for step in [1, 2, 100] {
            assert_eq!(pieces(sql, step), Err(error.clone()), "{sql}");
        }
    }
    for (sql, place) in [
        ("SELECT 1;\n  \\i x", (2, 3)),
        ("\\.\n", (1, 1)),
        ("\\set x '\\\\i y'\nSELECT\n:x;", (3, 1)),
        ("SELECT '\n' \\gexec\n", (2, 3)),
        ("\\set a :b\n\\set 'a b' 1", (2, 1)),
        ("a\\", (1, 2)),
    ] {
        let error = pieces(sql, 100).unwrap_err();
        assert_eq!(error.place(), place, "{sql}: {error}");
        assert_eq!(pieces(sql, 1), Err(error), "{sql}");
    }
    let mut splitter = Splitter::default();
    assert!(splitter.next(&mut "\\x\n").is_err() && splitter.next(&mut "SELECT 1;").is_err());
    assert!(splitter.finish().is_err());
}

#[test]
fn variables_that_grow_without_end_are_stopped() {
    let mut sql = String::new();
    for (a, b) in ('a'..='y').zip('b'..='z') {
        sql.extend(["\\set ", &a.to_string(), " '"]);
        sql.extend([":", &b.to_string()].repeat(3));
        sql.push_str("'\n");
    }
    sql.push_str("\\set z ''\nSELECT :a;");
    let error = pieces(&sql, sql.len()).unwrap_err();
    assert!(matches!(error, SplitError::Expansion { line: 27, column: 8, .. }), "{error}");
}

#[test]
fn a_position_in_a_statement_is_found_in_the_text() {
    let sql =
        "\\set x 'a b'\n-- \u{e9}\n\n /* c */ SELECT '\u{e9}', :x,\r\n :'x', nope\n\\set y 1\n, z;";
    let pieces = pieces(sql, 5).unwrap();
    let [Piece::Statement(statement)] = pieces.as_slice() else { panic!("{pieces:?}") };
    assert_eq!(statement.text, "/* c */ SELECT '\u{e9}', a b,\r\n 'a b', nope\n\n, z");
    assert_eq!((statement.line, statement.column), (4, 10));
    assert_eq!(&sql[statement.span.clone()], &sql[sql.find("SELECT").unwrap()..]);
    for (word, place) in [
        ("SELECT", (4, 10)),
        ("'\u{e9}'", (4, 17)),
        ("a b,", (4, 22)),
        ("b,", (4, 22)),
        (",\r", (4, 24)),
        ("'a b'", (5, 2)),
        ("nope", (5, 8)),
        ("z", (7, 3)),
    ] {
        let before = &statement.text[..statement.text.find(word).unwrap()];
        let position = u32::try_from(before.chars().count()).unwrap() + 1;
        assert_eq!(statement.place(position), place, "{word}");
    }
    assert_eq!(statement.place(10_000), (7, 4));
    assert_eq!(statement.place(0), (4, 2));
}

#[test]
fn a_long_text_is_read_in_time_that_grows_with_it() {
    let statement = "INSERT INTO t VALUES (1, 'it''s', $x$ ; $x$); -- done\n";
    let long = statement.repeat(20_000);
    assert_eq!(pieces(&long, 1 << 16).unwrap().len(), 20_000);
    let body = format!("SELECT $x${}$x$; SELECT {}'", "$x ".repeat(300_000), "+".repeat(100_000));
    assert!(pieces(&body, 3).is_err());
}

/// Everything that means something to the splitter, in any order.
const ANYTHING: &str = concat!(
    "((create|or|replace|function|begin|atomic|case|end|select|copy t from stdin|e|u&|1|a|é) ?",
    "|:a|:'a'|:\"a\"|:\\{\\?a\\}|[-;:'\"$()/*\\\\ \r\n+?]|\\$\\$|\\$a\\$|/\\*|\\*/|--|;\n",
    "|\\\\set a .{0,9}\n|\\\\\\.\n){0,40}"
);

/// Texts in which every quote is closed, and that mean the same to psql and the server.
const CLOSED: &str = concat!(
    "([a-z1-9é,.=+]{1,3}|[ \r\n]|'[^'\\\\]{0,3}'|\\$a\\$.{0,3}\\$a\\$|\"[^\"]{1,3}\"",
    "|/\\* ;\\*/|--[^\n]{0,3}\n|[;()]){0,30}"
);

fn without_semicolons(sql: &str) -> Vec<String> {
    let kept = tokens(sql).into_iter().filter(|&token| token != Token::Semicolon);
    kept.map(|token| token.text().to_owned()).collect()
}

proptest::proptest! {
    #[test]
    fn any_text_gives_the_same_pieces_in_any_chunks(sql in ANYTHING, step in 1_usize..9) {
        let whole = pieces(&sql, sql.len().max(1));
        assert_eq!(pieces(&sql, step), whole);
        assert_eq!(look(&sql).is_ok(), whole.is_ok());
        assert_eq!(without_own_transaction(&sql).is_ok(), whole.is_ok());
    }

    #[test]
    fn nothing_is_lost_but_what_stands_between(sql in CLOSED) {
        // At the start of a text it is a byte order mark, and within one a part of a name.
        proptest::prop_assume!(!sql.contains('\u{feff}'));
        let mut found = Vec::new();
        for piece in pieces(&sql, 3).into_iter().flatten() {
            let Piece::Statement(statement) = piece else { panic!("{piece:?}") };
            let own = without_semicolons(&statement.text);
            assert!(sql[statement.span].starts_with(&own[0]));
            found.extend(own);
        }
        if look(&sql).is_ok() {
            assert_eq!(found, without_semicolons(&sql));
        }
    }
}
