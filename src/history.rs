//! Liquibase's tables, and the statements that write to them.
//!
//! `databasechangelog` and `databasechangeloglock` are made and written as
//! Liquibase 4.28 does it, so that it can be run beside this program, or again in
//! its place. Like the [`ledger`](crate::ledger), each function returns SQL text: a
//! changeset, its row and the commit travel in one round trip.

use crate::changelog::Changeset;
use crate::ident::Identifier;
use crate::observed::HistoryRow;
use crate::sql::{literal, nullable};

/// What the column `LIQUIBASE` says: the release whose rules a row follows. Liquibase reads it to
/// know by which rule a checksum was made.
const RULES: &str = "4.28.0";

/// How the lock table's `LOCKEDBY` begins where this program holds the lock. Whoever has the
/// advisory lock of the database knows that a row of this kind is a dead run's.
pub const LOCKED_BY: &str = "execute-sql";

/// The history of one changelog: a table, and a lock table beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    schema: Identifier,
    name: Identifier,
}

/// How a changeset came to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed<'a> {
    /// It ran for the first time, or counts as run.
    First,
    /// It ran again; its row may have an older identity.
    Again(&'a HistoryRow),
    /// A precondition said that it counts as run.
    MarkedRan,
}

/// One run: its place in the order, and its number.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// `DEPLOYMENT_ID`: the last ten digits of the milliseconds since 1970.
    pub id: String,
    /// The `ORDEREXECUTED` that comes next.
    pub next: i32,
}

impl Deployment {
    /// A run that begins at `now` (seconds since 1970) after the row `last`.
    pub fn new(now: f64, last: i32) -> Self {
        let digits = format!("{:010.0}", now * 1000.0);
        Self { id: digits[digits.len() - 10..].to_owned(), next: last + 1 }
    }
}

impl Table {
    /// The table `name` in `schema`.
    pub fn new(schema: Identifier, name: Identifier) -> Self {
        Self { schema, name }
    }

    /// Its name as SQL, with its schema.
    pub fn quoted(&self) -> String {
        format!("{}.{}", self.schema.quoted(), self.name.quoted())
    }

    /// The lock table's name as SQL.
    pub fn lock_quoted(&self) -> String {
        let name = derived(&format!("{}lock", self.name.as_str()));
        format!("{}.{name}", self.schema.quoted())
    }

    /// Makes the tables where they are missing.
    pub fn create(&self) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS {} (id varchar(255) NOT NULL, author varchar(255) NOT NULL, \
             filename varchar(255) NOT NULL, dateexecuted timestamp NOT NULL, \
             orderexecuted integer NOT NULL, exectype varchar(10) NOT NULL, md5sum varchar(35), \
             description varchar(255), comments varchar(255), tag varchar(255), \
             liquibase varchar(20), contexts varchar(255), labels varchar(255), \
             deployment_id varchar(10));\n\
             CREATE TABLE IF NOT EXISTS {lock} (id integer NOT NULL, locked boolean NOT NULL, \
             lockgranted timestamp, lockedby varchar(255), \
             CONSTRAINT {pkey} PRIMARY KEY (id));\n\
             INSERT INTO {lock} (id, locked) SELECT 1, false \
             WHERE NOT EXISTS (SELECT FROM {lock} WHERE id = 1);\n",
            self.quoted(),
            lock = self.lock_quoted(),
            pkey = derived(&format!("{}lock_pkey", self.name.as_str())),
        )
    }

    /// Takes Liquibase's lock where it is free, or held by a dead run of this program; gives a row if
    /// it was taken. The advisory lock must be held.
    pub fn lock(&self) -> String {
        format!(
            "UPDATE {} SET locked = true, lockgranted = now(), \
             lockedby = '{LOCKED_BY} (process ' || pg_backend_pid() || ')' \
             WHERE id = 1 AND (NOT locked OR lockedby LIKE '{LOCKED_BY} (%') RETURNING 'locked';\n",
            self.lock_quoted()
        )
    }

    /// Takes the lock whoever holds it: it was shown that its holder is dead.
    pub fn lock_anyway(&self) -> String {
        format!(
            "UPDATE {} SET locked = true, lockgranted = now(), \
             lockedby = '{LOCKED_BY} (process ' || pg_backend_pid() || ')' WHERE id = 1;\n",
            self.lock_quoted()
        )
    }

    /// Gives the lock back, if it is ours.
    pub fn unlock(&self) -> String {
        format!(
            "UPDATE {} SET locked = false, lockgranted = NULL, lockedby = NULL \
             WHERE id = 1 AND lockedby LIKE '{LOCKED_BY} (%';\n",
            self.lock_quoted()
        )
    }

    /// The row of a changeset that ran, or counts as run.
    pub fn ran(&self, changeset: &Changeset, how: Executed<'_>, run: &mut Deployment) -> String {
        let order = run.next;
        run.next += 1;
        let identity = &changeset.identity;
        let checksum = literal(&changeset.checksum.current);
        let deployment = literal(&run.id);
        let tag = nullable(changeset.tag.as_deref());
        if let Executed::Again(row) = how {
            return format!(
                "UPDATE {} SET dateexecuted = now(), orderexecuted = {order}, exectype = 'RERAN', \
                 md5sum = {checksum}, deployment_id = {deployment}, tag = coalesce({tag}, tag), \
                 description = {}, comments = {}, contexts = {}, labels = {}, liquibase = '{RULES}' \
                 WHERE id = {} AND author = {} AND filename = {};\n",
                self.quoted(),
                cut(&changeset.description),
                cut(&changeset.comments),
                filled(&changeset.filter.contexts_column),
                filled(&changeset.filter.labels_column),
                literal(&row.id),
                literal(&row.author),
                literal(&row.path),
            );
        }
        let kind = if how == Executed::MarkedRan { "MARK_RAN" } else { "EXECUTED" };
        format!(
            "INSERT INTO {} (id, author, filename, dateexecuted, orderexecuted, exectype, md5sum, \
             description, comments, tag, liquibase, contexts, labels, deployment_id) \
             VALUES ({}, {}, {}, now(), {order}, '{kind}', {checksum}, {}, {}, {tag}, '{RULES}', \
             {}, {}, {deployment});\n",
            self.quoted(),
            literal(&identity.id),
            literal(&identity.author),
            literal(&identity.path),
            cut(&changeset.description),
            cut(&changeset.comments),
            filled(&changeset.filter.contexts_column),
            filled(&changeset.filter.labels_column),
        )
    }

    /// Gives a row that has no checksum (`clear-checksums` took it) the one that it has now.
    pub fn checksum(&self, changeset: &Changeset, row: &HistoryRow) -> String {
        format!(
            "UPDATE {} SET md5sum = {} WHERE id = {} AND author = {} AND filename = {} \
             AND md5sum IS NULL;\n",
            self.quoted(),
            literal(&changeset.checksum.current),
            literal(&row.id),
            literal(&row.author),
            literal(&row.path),
        )
    }
}

/// A name made of one that was checked.
fn derived(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value for a column of 255 characters, shortened as Liquibase does it.
fn cut(text: &str) -> String {
    const ROOM: usize = 250;
    if text.chars().count() <= ROOM {
        return literal(text);
    }
    literal(&(text.chars().take(ROOM - 3).collect::<String>() + "..."))
}

/// [`cut`], or NULL for an empty text, as Liquibase has it.
fn filled(text: &str) -> String {
    if text.is_empty() { "NULL".into() } else { cut(text) }
}
