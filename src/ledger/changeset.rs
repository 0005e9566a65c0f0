//! What the ledger keeps of a changeset beside its row in the history.

use super::Entry;
use crate::changelog::{Changeset, Rollback};
use crate::history::Table;
use crate::sql::check::holds_password;
use crate::sql::{literal, nullable};

/// A text longer than this (in bytes) is known by its hash alone.
const KEPT: usize = 256 * 1024;

/// How far a changeset came that runs statement by statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many of its statements stand.
    pub done: usize,
    /// SHA-256 of those, in hex.
    pub sha256: String,
    /// Whether the next one is sent before anybody can know that it ran.
    pub doubtful: bool,
}

impl Entry<'_> {
    /// The changeset ran; `started` is what the server calls the beginning.
    pub fn changeset_ran(&self, table: &Table, changeset: &Changeset, started: &str) -> String {
        let millis = format!("(extract(epoch FROM clock_timestamp() - {started}) * 1000)::bigint");
        format!(
            "{} ON CONFLICT (history, path, author, id) DO UPDATE SET status = EXCLUDED.status, \
             sha256 = EXCLUDED.sha256, content = EXCLUDED.content, rollback = EXCLUDED.rollback, \
             stack_id = EXCLUDED.stack_id, logical_id = EXCLUDED.logical_id, \
             request_id = EXCLUDED.request_id, duration_ms = EXCLUDED.duration_ms, \
             doubtful = false, ran_at = EXCLUDED.ran_at;\n",
            self.insert_changeset(table, changeset, "applied", &millis)
        )
    }

    /// The changeset is begun, statement by statement.
    pub fn changeset_began(&self, table: &Table, changeset: &Changeset) -> String {
        format!(
            "{} ON CONFLICT (history, path, author, id) DO UPDATE SET status = EXCLUDED.status, \
             sha256 = EXCLUDED.sha256, content = EXCLUDED.content, rollback = EXCLUDED.rollback, \
             stack_id = EXCLUDED.stack_id, logical_id = EXCLUDED.logical_id, \
             request_id = EXCLUDED.request_id, statements_done = 0, done_sha256 = '', \
             doubtful = false, ran_at = EXCLUDED.ran_at;\n",
            self.insert_changeset(table, changeset, "running", "NULL")
        )
    }

    /// So far it came.
    pub fn changeset_progress(
        &self,
        table: &Table,
        changeset: &Changeset,
        progress: &Progress,
    ) -> String {
        let schema = self.schema();
        let it = &changeset.identity;
        format!(
            "UPDATE {schema}.changeset SET statements_done = {}, done_sha256 = '{}', \
             doubtful = {} WHERE (history, path, author, id) = ({}, {}, {}, {});\n",
            progress.done,
            progress.sha256,
            progress.doubtful,
            literal(&table.quoted()),
            literal(&it.path),
            literal(&it.author),
            literal(&it.id),
        )
    }

    fn insert_changeset(
        &self,
        table: &Table,
        changeset: &Changeset,
        status: &str,
        millis: &str,
    ) -> String {
        let schema = self.schema();
        let it = &changeset.identity;
        let content =
            changeset.content().filter(|text| text.len() <= KEPT && !holds_password(text));
        let rollback = match &changeset.rollback {
            Rollback::Unknown | Rollback::Changeset { .. } => None,
            Rollback::Nothing => Some(""),
            Rollback::Sql(sql) => Some(sql.as_str()).filter(|text| !holds_password(text)),
        };
        format!(
            "INSERT INTO {schema}.changeset (history, path, author, id, status, sha256, content, \
             rollback, stack_id, logical_id, request_id, duration_ms) \
             VALUES ({}, {}, {}, {}, '{status}', '{}', {}, {}, {}, {millis})",
            literal(&table.quoted()),
            literal(&it.path),
            literal(&it.author),
            literal(&it.id),
            changeset.sha256(),
            nullable(content.as_deref()),
            nullable(rollback),
            self.key(),
        )
    }
}
