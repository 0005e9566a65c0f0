//! What a plain SQL text in a template may not hold: an inline password, and
//! commands that end the transaction it runs in.
//!
//! Both are seen in the tokens, never in comments or inside strings. The check
//! is for honest mistakes; what gets past it is still caught when it runs, for
//! the transaction is checked again before its commit.

use super::scan::{Token, tokens};
use super::split::outline::statements;
use super::transactional::control_of;

/// Why a statement of a template is refused before it runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A password in clear text would be stored in the template and in the server's log.
    #[error("it holds a password in clear text")]
    InlinePassword,
    /// The text would end the transaction that protects it.
    #[error("it holds `{0}`, but the list runs in one transaction of its own")]
    TransactionCommand(String),
    /// There is no data stream beside the text.
    #[error("it copies from or to the client (`STDIN`, `STDOUT`), which is not here")]
    ClientCopy,
    /// PostgreSQL cannot store the character U+0000.
    #[error("it holds the character U+0000")]
    Nul,
}

/// Checks one text, which may hold several statements.
pub fn statement(sql: &str) -> Result<(), Refused> {
    if sql.contains('\0') {
        return Err(Refused::Nul);
    }
    let tokens = tokens(sql);
    if password_in(&tokens, DEEPEST) {
        return Err(Refused::InlinePassword);
    }
    for (statement, copy) in statements(&tokens) {
        if copy.is_some() {
            return Err(Refused::ClientCopy);
        }
        if let Some(control) = control_of(statement) {
            return Err(Refused::TransactionCommand(control.name().to_owned()));
        }
    }
    Ok(())
}

/// Whether a text holds, or seems to hold, a password in clear text: also in the body of a function,
/// in a statement that is put together from strings, or in a connection string. For what is kept.
pub fn holds_password(sql: &str) -> bool {
    holds(sql, DEEPEST)
}

/// Bodies in bodies are looked into so deep; deeper ones are taken to hold one.
const DEEPEST: usize = 8;

fn holds(sql: &str, deep: usize) -> bool {
    let tokens = tokens(sql);
    password_in(&tokens, 0)
        || named_secret(&tokens)
        || tokens.iter().any(|it| match body(*it) {
            Some(body) => deep == 0 || holds(body, deep - 1),
            None => hides_password(*it),
        })
}

fn password_in(tokens: &[Token<'_>], deep: usize) -> bool {
    tokens.windows(2).any(|pair| is_password(pair[0], pair[1]))
        || (deep > 0
            && tokens
                .iter()
                .filter_map(|it| body(*it))
                .any(|body| password_in(&self::tokens(body), deep - 1)))
}

/// The body of a function or of `DO`: what stands in dollar quotes.
fn body(token: Token<'_>) -> Option<&str> {
    let Token::Literal(text) = token else { return None };
    let tag = text.strip_prefix('$')?.find('$')? + 2;
    text.get(tag..text.len().checked_sub(tag)?)
}

/// `pwd = '…'`, `password => '…'`.
fn named_secret(tokens: &[Token<'_>]) -> bool {
    let names = |it: &Token<'_>| ["password", "passwd", "pwd"].iter().any(|name| it.is(name));
    let sets = |it: &Token<'_>| matches!(it, Token::Other(text) if text.chars().all(|c| matches!(c, ':' | '=' | '>')));
    let (mut after_name, mut set) = (false, false);
    tokens.iter().any(|it| {
        let is_value = set && matches!(it, Token::Literal(_));
        set = (after_name || set) && sets(it);
        after_name = names(it);
        is_value
    })
}

/// Whether a string has a password in it.
fn hides_password(token: Token<'_>) -> bool {
    let Token::Literal(text) = token else { return false };
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('\'').unwrap_or(&text);
    ["password", "passwd", "pwd"].iter().any(|word| {
        text.match_indices(word).any(|(at, _)| {
            let rest = text[at + word.len()..].trim_start();
            // At the end of other words: the password comes in the next string.
            let goes_on = rest.is_empty() && text[..at].ends_with(char::is_whitespace);
            let is_verifier = rest.starts_with("''scram-sha-256$");
            goes_on || (rest.starts_with(['\'', '=', '%', '$']) && !is_verifier)
        })
    })
}

/// Whether a text turns `standard_conforming_strings` off: what follows would be read otherwise than
/// it is taken apart here.
pub fn stops_conforming(sql: &str) -> bool {
    const OFF: [&str; 4] = ["off", "false", "no", "0"];
    // Most texts do not have the word at all.
    if !sql.to_ascii_lowercase().contains("standard_conforming_strings") {
        return false;
    }
    let tokens = tokens(sql);
    let is_off = |it: &Token<'_>| {
        let text = it.text().trim_matches('\'').to_ascii_lowercase();
        OFF.contains(&text.as_str())
    };
    tokens.iter().enumerate().any(|(at, it)| {
        it.text().trim_matches('\'').eq_ignore_ascii_case("standard_conforming_strings")
            && tokens[at + 1..].iter().take(2).any(is_off)
    })
}

/// `PASSWORD '…'`, but for a SCRAM verifier, which is no password.
fn is_password(word: Token<'_>, value: Token<'_>) -> bool {
    word.is("password")
        && matches!(value, Token::Literal(text) if !text.starts_with("'SCRAM-SHA-256$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_the_old_kind_are_seen() {
        for sql in [
            "SET standard_conforming_strings = off;",
            "set local STANDARD_CONFORMING_STRINGS to 'off'",
            "SELECT set_config('standard_conforming_strings', 'off', false)",
        ] {
            assert!(stops_conforming(sql), "{sql}");
        }
        for sql in ["SET standard_conforming_strings = on;", "-- standard_conforming_strings = off"]
        {
            assert!(!stops_conforming(sql), "{sql}");
        }
    }

    #[test]
    fn a_password_in_clear_text_is_refused() {
        for sql in [
            "CREATE ROLE a LOGIN PASSWORD 'x'",
            "alter user a with encrypted password /* why */ $$x$$",
            "ALTER ROLE a PASSWORD E'x'",
        ] {
            assert_eq!(statement(sql), Err(Refused::InlinePassword), "{sql}");
        }
        for sql in [
            "ALTER ROLE a PASSWORD NULL",
            "ALTER ROLE a PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$a:b'",
            "INSERT INTO t VALUES ('password ''x''')",
            "SELECT 1 -- PASSWORD 'x'",
        ] {
            assert_eq!(statement(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn what_is_kept_holds_no_password_however_it_is_written() {
        for sql in [
            "CREATE ROLE a LOGIN PASSWORD 'x'",
            "DO $do$ BEGIN IF true THEN CREATE ROLE a PASSWORD 'x'; END IF; END $do$",
            "CREATE FUNCTION f() RETURNS void AS $a$ DO $b$ ALTER ROLE a PASSWORD 'x' $b$ $a$",
            "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''x'''; END $$",
            "DO $$ BEGIN EXECUTE format('ALTER ROLE a PASSWORD %L', 'x'); END $$",
            "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ' || quote_literal('x'); END $$",
            "SELECT dblink_connect('host=h Password = x')",
            "CREATE SUBSCRIPTION s CONNECTION 'host=h password=x' PUBLICATION p",
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password 'x')",
            "UPDATE t SET pwd = 'x'",
            "SELECT f(password => 'x')",
        ] {
            assert!(holds_password(sql), "{sql}");
        }
        for sql in [
            "DELETE FROM settings WHERE name = 'password_policy' OR name = 'password'",
            "CREATE TABLE t (password text DEFAULT NULL)",
            "COMMENT ON COLUMN t.password IS 'a password, hashed'",
            "ALTER ROLE a PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$a:b'",
            "SELECT $$ $$, $x$",
        ] {
            assert!(!holds_password(sql), "{sql}");
        }
        let tags = (0..10_000).chain((0..10_000).rev());
        let deep = tags.fold(String::new(), |text, it| text + &format!("$a{it}$ "));
        assert!(holds_password(&deep) && statement(&deep).is_ok());
        let inner = "DO $$ BEGIN CREATE ROLE a PASSWORD 'x'; END $$";
        assert_eq!(statement(inner), Err(Refused::InlinePassword));
    }

    #[test]
    fn a_copy_that_needs_a_client_is_refused() {
        let refused = Err(Refused::ClientCopy);
        assert_eq!(statement("SELECT 1; COPY t (a) FROM stdin;"), refused);
        assert_eq!(statement("COPY t TO STDOUT"), refused);
        assert_eq!(statement("COPY t FROM 's3'; SELECT 'stdin'"), Ok(()));
    }

    #[test]
    fn a_command_that_ends_the_transaction_is_refused() {
        for sql in ["COMMIT", "SELECT 1; commit;", "BEGIN; SELECT 1", "SELECT 1;\n-- x\nrollback"] {
            assert!(matches!(statement(sql), Err(Refused::TransactionCommand(_))), "{sql}");
        }
        for sql in [
            "SELECT 'commit'; SELECT 1",
            "PREPARE p AS SELECT 1",
            "SAVEPOINT a; ROLLBACK TO a; ROLLBACK TO SAVEPOINT a",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; \
             SELECT 2; END; SELECT 3",
            "DO $$ BEGIN PERFORM 1; END $$",
            "CREATE TABLE \"commit\" (begin_at date)",
        ] {
            assert_eq!(statement(sql), Ok(()), "{sql}");
        }
    }
}
