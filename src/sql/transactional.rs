//! What PostgreSQL refuses inside of a transaction block, and what begins or ends one.
//!
//! A statement is known by its first tokens, so that words of comments, literals and
//! quoted names count for nothing. The list is that of the server's own checks in
//! versions 12 to 18 (and `REPACK`, which is newer). What only the catalog can tell is
//! not known here: a `CALL` of a procedure that commits, a `REINDEX` or `CLUSTER` of a
//! partitioned table. These the server refuses with SQLSTATE 25001 or 2D000.

mod index;

pub use index::{ConcurrentIndex, Rebuilt, concurrent_index};

use super::scan::{Token, Tokens};

/// The command that PostgreSQL refuses in a transaction block, as it names it; `None` if
/// `statement` (one, without those around it) can run in one.
pub fn refused_in_transaction(statement: &str) -> Option<&'static str> {
    let mut words = Words::of(statement);
    match words.any(&[
        "vacuum", "create", "drop", "alter", "reindex", "cluster", "repack", "discard", "commit",
        "rollback",
    ])? {
        "vacuum" => Some("VACUUM"),
        "create" => created(words),
        "drop" => dropped(words),
        "alter" => altered(words),
        "reindex" => reindexed(words),
        "cluster" => {
            words.options();
            words.take("verbose");
            words.ended().then_some("CLUSTER")
        }
        "repack" => {
            let options = words.options();
            if flag(&options, "concurrently") == Some(true) {
                return Some("REPACK (CONCURRENTLY)");
            }
            (words.ended() || words.take("using")).then_some("REPACK")
        }
        "discard" => words.take("all").then_some("DISCARD ALL"),
        "commit" => words.take("prepared").then_some("COMMIT PREPARED"),
        _ => words.take("prepared").then_some("ROLLBACK PREPARED"),
    }
}

fn created(mut words: Words<'_>) -> Option<&'static str> {
    words.take("unique");
    match words.any(&["index", "database", "tablespace", "subscription"])? {
        "index" => words.take("concurrently").then_some("CREATE INDEX CONCURRENTLY"),
        "database" => Some("CREATE DATABASE"),
        "tablespace" => Some("CREATE TABLESPACE"),
        _ => {
            let options = words.last_options();
            let slot = |name| flag(&options, name) != Some(false);
            (slot("connect") && slot("create_slot"))
                .then_some("CREATE SUBSCRIPTION ... WITH (create_slot = true)")
        }
    }
}

fn dropped(mut words: Words<'_>) -> Option<&'static str> {
    match words.any(&["index", "database", "tablespace", "subscription"])? {
        "index" => words.take("concurrently").then_some("DROP INDEX CONCURRENTLY"),
        "database" => Some("DROP DATABASE"),
        "tablespace" => Some("DROP TABLESPACE"),
        // Without a slot it could, but only the catalog tells.
        _ => Some("DROP SUBSCRIPTION"),
    }
}

fn altered(mut words: Words<'_>) -> Option<&'static str> {
    match words.any(&["system", "database", "subscription", "table"])? {
        "system" => Some("ALTER SYSTEM"),
        "database" => {
            words.next();
            (words.take("set") && words.take("tablespace"))
                .then_some("ALTER DATABASE SET TABLESPACE")
        }
        "subscription" => {
            words.next();
            match words.any(&["refresh", "set", "add", "drop"])? {
                "refresh" => Some("ALTER SUBSCRIPTION ... REFRESH"),
                "set" if words.next_is("(") => {
                    let options = words.options();
                    let two_phase = flag(&options, "two_phase").is_some();
                    let failover = flag(&options, "failover").is_some();
                    (two_phase || failover).then_some("ALTER SUBSCRIPTION ... SET")
                }
                _ if words.take("publication") => {
                    let refresh = flag(&words.last_options(), "refresh") != Some(false);
                    refresh.then_some("ALTER SUBSCRIPTION with refresh")
                }
                _ => None,
            }
        }
        _ => detached(words),
    }
}

/// `DETACH PARTITION name CONCURRENTLY`.
fn detached(mut words: Words<'_>) -> Option<&'static str> {
    while let Some(token) = words.next() {
        if token.is("detach") && words.take("partition") {
            words.name();
            return words.take("concurrently").then_some("ALTER TABLE ... DETACH CONCURRENTLY");
        }
    }
    None
}

fn reindexed(mut words: Words<'_>) -> Option<&'static str> {
    let options = words.options();
    let what = words.any(&["index", "table", "schema", "database", "system"])?;
    if flag(&options, "concurrently") == Some(true) || words.take("concurrently") {
        return Some("REINDEX CONCURRENTLY");
    }
    match what {
        "schema" => Some("REINDEX SCHEMA"),
        "database" => Some("REINDEX DATABASE"),
        "system" => Some("REINDEX SYSTEM"),
        _ => None,
    }
}

/// A command that begins or ends a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// `BEGIN`, `START TRANSACTION`.
    Begin {
        /// It says nothing of modes (`ISOLATION LEVEL` and the like).
        plain: bool,
    },
    /// `COMMIT`, `END`.
    Commit {
        /// It starts no other transaction (`AND CHAIN`).
        plain: bool,
    },
    /// `ROLLBACK`, `ABORT`; not `ROLLBACK TO` a savepoint.
    Rollback,
    /// `PREPARE TRANSACTION`.
    Prepare,
    /// `COMMIT PREPARED`.
    CommitPrepared,
    /// `ROLLBACK PREPARED`.
    RollbackPrepared,
}

impl Control {
    /// Its key words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begin { .. } => "BEGIN",
            Self::Commit { .. } => "COMMIT",
            Self::Rollback => "ROLLBACK",
            Self::Prepare => "PREPARE TRANSACTION",
            Self::CommitPrepared => "COMMIT PREPARED",
            Self::RollbackPrepared => "ROLLBACK PREPARED",
        }
    }
}

/// What a statement does to the transaction; savepoints leave it as it is.
pub fn control(statement: &str) -> Option<Control> {
    controlled(Words::of(statement))
}

/// The same for a statement whose tokens are known.
pub(super) fn control_of(tokens: &[Token<'_>]) -> Option<Control> {
    controlled(Words(tokens.iter().copied()))
}

fn controlled<'a>(
    mut words: Words<'a, impl Iterator<Item = Token<'a>> + Clone>,
) -> Option<Control> {
    let first = words.any(&["begin", "start", "commit", "end", "rollback", "abort", "prepare"])?;
    match first {
        "start" | "prepare" if !words.take("transaction") => return None,
        "prepare" => return Some(Control::Prepare),
        "commit" if words.take("prepared") => return Some(Control::CommitPrepared),
        "rollback" if words.take("prepared") => return Some(Control::RollbackPrepared),
        _ => {}
    }
    if !words.take("work") {
        words.take("transaction");
    }
    match first {
        "begin" | "start" => Some(Control::Begin { plain: words.ended() }),
        "commit" | "end" => {
            if words.take("and") && words.take("no") {
                words.take("chain");
            }
            Some(Control::Commit { plain: words.ended() })
        }
        _ if words.take("to") => None,
        _ => Some(Control::Rollback),
    }
}

/// Whether a statement sets something for the rest of the session, so that statements after it
/// may mean something else without it: `SET`, `RESET`, `SELECT set_config(…)`.
pub fn sets_session(statement: &str) -> bool {
    let mut words = Words::of(statement);
    match words.any(&["set", "reset", "select"]) {
        // These are of a transaction, and end with it.
        Some("set") => !["local", "constraints", "transaction"].iter().any(|it| words.take(it)),
        Some("reset") => true,
        Some(_) => {
            let name = words.name();
            let parts: Vec<_> = name.iter().map(String::as_str).collect();
            matches!(parts[..], ["set_config"] | ["pg_catalog", "set_config"]) && words.next_is("(")
        }
        None => false,
    }
}

/// Tokens that are read one by one.
#[derive(Debug, Clone)]
struct Words<'a, I: Iterator<Item = Token<'a>> + Clone = Tokens<'a>>(I);

impl<'a> Words<'a> {
    fn of(statement: &'a str) -> Self {
        Self(Tokens::of(statement))
    }
}

impl<'a, I: Iterator<Item = Token<'a>> + Clone> Words<'a, I> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.0.next()
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.0.clone().next()
    }

    /// Whether nothing follows but the end of the statement.
    fn ended(&self) -> bool {
        let mut rest = self.0.clone();
        matches!((rest.next(), rest.next()), (None, _) | (Some(Token::Semicolon), None))
    }

    fn next_is(&self, text: &str) -> bool {
        self.peek() == Some(Token::Other(text))
    }

    /// Takes the key word if it is the next token.
    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(word));
        if found {
            self.next();
        }
        found
    }

    /// Takes the next token if it is one of these key words.
    fn any(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let next = self.peek()?;
        let found = words.iter().copied().find(|word| next.is(word))?;
        self.next();
        Some(found)
    }

    /// Takes `(…)`, if it is next; gives what is in it.
    fn options(&mut self) -> Vec<Token<'a>> {
        let mut inside = Vec::new();
        if self.next_is("(") {
            self.next();
            let close = |token: &Token<'_>| *token == Token::Other(")");
            inside.extend(std::iter::from_fn(|| self.next().filter(|token| !close(token))));
        }
        inside
    }

    /// The options behind `WITH`.
    fn last_options(&mut self) -> Vec<Token<'a>> {
        while let Some(token) = self.next() {
            if token.is("with") {
                return self.options();
            }
        }
        Vec::new()
    }

    /// Takes a name of one or more parts; gives them as PostgreSQL stores them.
    fn name(&mut self) -> Vec<String> {
        let mut parts = Vec::new();
        while let Some(part) = self.peek().and_then(index::stored) {
            self.next();
            parts.push(part);
            if !self.next_is(".") {
                break;
            }
            self.next();
        }
        parts
    }
}

/// What a list of options says: `name`, `name on`, `name = false`.
fn flag(options: &[Token<'_>], name: &str) -> Option<bool> {
    let at = options.iter().position(|token| token.is(name))?;
    let value = match &options[at + 1..] {
        [Token::Other("="), value, ..] => *value,
        [value, ..] => *value,
        [] => return Some(true),
    };
    let value = value.text().trim_matches('\'');
    Some(!["false", "off", "0", "no"].iter().any(|off| value.eq_ignore_ascii_case(off)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_run_in_a_transaction_is_known_by_its_first_words() {
        for (sql, name) in [
            ("create /* ; */ unique\nindex concurrently i on t (a)", "CREATE INDEX CONCURRENTLY"),
            ("DROP INDEX CONCURRENTLY IF EXISTS i", "DROP INDEX CONCURRENTLY"),
            ("REINDEX TABLE CONCURRENTLY t", "REINDEX CONCURRENTLY"),
            ("REINDEX (VERBOSE, CONCURRENTLY) INDEX i", "REINDEX CONCURRENTLY"),
            ("REINDEX (CONCURRENTLY on) TABLE t", "REINDEX CONCURRENTLY"),
            ("REINDEX DATABASE d", "REINDEX DATABASE"),
            ("REINDEX (VERBOSE) SYSTEM d", "REINDEX SYSTEM"),
            ("REINDEX SCHEMA s", "REINDEX SCHEMA"),
            ("-- x\nVACUUM (ANALYZE) t", "VACUUM"),
            ("ALTER SYSTEM SET a = 1", "ALTER SYSTEM"),
            ("CREATE DATABASE d", "CREATE DATABASE"),
            ("DROP DATABASE d", "DROP DATABASE"),
            ("CREATE TABLESPACE s LOCATION '/x'", "CREATE TABLESPACE"),
            ("DROP TABLESPACE s", "DROP TABLESPACE"),
            ("ALTER DATABASE \"set\" SET TABLESPACE s", "ALTER DATABASE SET TABLESPACE"),
            (
                "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p",
                "CREATE SUBSCRIPTION ... WITH (create_slot = true)",
            ),
            ("DROP SUBSCRIPTION s", "DROP SUBSCRIPTION"),
            ("ALTER SUBSCRIPTION s REFRESH PUBLICATION", "ALTER SUBSCRIPTION ... REFRESH"),
            ("ALTER SUBSCRIPTION s SET PUBLICATION p", "ALTER SUBSCRIPTION with refresh"),
            (
                "ALTER SUBSCRIPTION s ADD PUBLICATION p WITH (copy_data = false)",
                "ALTER SUBSCRIPTION with refresh",
            ),
            ("ALTER SUBSCRIPTION s SET (failover = true)", "ALTER SUBSCRIPTION ... SET"),
            (
                "ALTER TABLE s.\"T\" DETACH PARTITION s.p CONCURRENTLY",
                "ALTER TABLE ... DETACH CONCURRENTLY",
            ),
            ("DISCARD ALL", "DISCARD ALL"),
            ("CLUSTER", "CLUSTER"),
            ("CLUSTER (VERBOSE);", "CLUSTER"),
            ("CLUSTER VERBOSE", "CLUSTER"),
            ("REPACK", "REPACK"),
            ("REPACK USING INDEX", "REPACK"),
            ("REPACK (CONCURRENTLY) t", "REPACK (CONCURRENTLY)"),
            ("COMMIT PREPARED 'x'", "COMMIT PREPARED"),
            ("ROLLBACK PREPARED 'x'", "ROLLBACK PREPARED"),
        ] {
            assert_eq!(refused_in_transaction(sql), Some(name), "{sql}");
        }
        for sql in [
            "",
            "CREATE INDEX i ON t (a) -- CONCURRENTLY",
            "CREATE INDEX \"concurrently\" ON t (a)",
            "REINDEX TABLE t",
            "REINDEX (CONCURRENTLY false) INDEX i",
            "ANALYZE t",
            "CLUSTER t USING i",
            "CLUSTER VERBOSE t",
            "REPACK t USING INDEX i",
            "DISCARD PLANS",
            "DROP OWNED BY a",
            "ALTER TYPE t ADD VALUE 'x'",
            "ALTER DATABASE d SET search_path = 'tablespace'",
            "ALTER TABLE t DETACH PARTITION p",
            "ALTER TABLE t DETACH PARTITION p FINALIZE",
            "ALTER SUBSCRIPTION s DISABLE",
            "ALTER SUBSCRIPTION s SET (slot_name = NONE)",
            "ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = false)",
            "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (connect = false)",
            "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (create_slot = 'off')",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "SELECT 'VACUUM'",
            "\"vacuum\" t",
            "COMMENT ON TABLE t IS 'DROP DATABASE d'",
            "DO $$ BEGIN EXECUTE 'VACUUM'; END $$",
        ] {
            assert_eq!(refused_in_transaction(sql), None, "{sql}");
        }
    }

    #[test]
    fn commands_that_begin_or_end_a_transaction_are_told_apart() {
        for (sql, found) in [
            ("begin", Some(Control::Begin { plain: true })),
            ("START TRANSACTION READ ONLY;", Some(Control::Begin { plain: false })),
            ("END WORK", Some(Control::Commit { plain: true })),
            ("COMMIT AND NO CHAIN;", Some(Control::Commit { plain: true })),
            ("COMMIT TRANSACTION AND CHAIN", Some(Control::Commit { plain: false })),
            ("ABORT", Some(Control::Rollback)),
            ("ROLLBACK WORK AND CHAIN", Some(Control::Rollback)),
            ("PREPARE TRANSACTION 'x'", Some(Control::Prepare)),
            ("COMMIT PREPARED 'x'", Some(Control::CommitPrepared)),
            ("ROLLBACK PREPARED 'x'", Some(Control::RollbackPrepared)),
            ("ROLLBACK TRANSACTION TO SAVEPOINT a", None),
            ("PREPARE p AS SELECT 1", None),
            ("SAVEPOINT a", None),
            ("\"commit\"", None),
            ("", None),
        ] {
            assert_eq!(control(sql), found, "{sql}");
        }
    }

    #[test]
    fn what_is_set_for_the_session_is_told_from_what_is_of_a_transaction() {
        for (sql, sets) in [
            ("set search_path = a;", true),
            ("SET SESSION AUTHORIZATION x", true),
            ("/* x */ SET ROLE x", true),
            ("RESET ALL", true),
            ("SELECT pg_catalog.set_config('search_path', '', false);", true),
            ("SELECT set_config('a.b', 'x', false)", true),
            ("SET LOCAL search_path = a", false),
            ("SET TRANSACTION READ ONLY", false),
            ("SET CONSTRAINTS ALL DEFERRED", false),
            ("SELECT set_config FROM t", false),
            ("UPDATE t SET a = 1", false),
            ("", false),
        ] {
            assert_eq!(sets_session(sql), sets, "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_an_answer(sql in "\\PC*|((create|reindex|drop|alter|index|concurrently|on|u&\"x\\\\00e9\"|with|[(). ;'\"]) ?){0,12}") {
            refused_in_transaction(&sql);
            control(&sql);
            sets_session(&sql);
            concurrent_index(&sql);
        }
    }
}
