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
    if password_in(&tokens) {
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

/// Whether a text holds a password in clear text.
pub fn holds_password(sql: &str) -> bool {
    password_in(&tokens(sql))
}

fn password_in(tokens: &[Token<'_>]) -> bool {
    tokens.windows(2).any(|pair| is_password(pair[0], pair[1]))
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
