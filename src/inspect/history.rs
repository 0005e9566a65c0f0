//! Reads which changesets ran: Liquibase's tables, Flyway's, and the ledger's.
//!
//! The catalog's question tells which of the tables there are; what is in them is
//! asked for in one more round trip, and only what the plan needs.

use super::{Columns, InspectError, Question};
use crate::changelog::{Identity, flyway};
use crate::desired::Changelog;
use crate::history::Table;
use crate::ident::Identifier;
use crate::observed::{History, HistoryRow, Interrupted};
use crate::postgres::{Row, Session};
use crate::sql::literal;

/// Flyway's table, by its default name.
pub const FLYWAY: &str = "flyway_schema_history";

/// Which tables there are, as one row of the catalog's question.
pub(super) fn tables(changelog: &Changelog, ledger: &Identifier) -> String {
    let schema = match &changelog.schema {
        Some(schema) => literal(schema.as_str()),
        None => "coalesce(current_schema(), 'public')".to_owned(),
    };
    let table = changelog.table.as_str();
    let there = |name: &str| format!("to_regclass(quote_ident(s) || '.' || quote_ident({name}))");
    format!(
        "SELECT 'history', s, {} IS NOT NULL, {} IS NOT NULL, {} IS NOT NULL, \
         to_regclass({}) IS NOT NULL, \
         to_regnamespace(quote_ident(s)) IS NOT NULL FROM (SELECT {schema}::text AS s) AS here;\n",
        there(&literal(table)),
        there(&literal(&format!("{table}lock"))),
        there(&literal(FLYWAY)),
        literal(&format!("{}.changeset", ledger.quoted())),
    )
}

/// The row of [`tables`].
pub(super) fn read_tables(row: &Columns<'_>) -> Result<History, InspectError> {
    Ok(History {
        schema: row.text(1)?,
        exists: row.flag(2)?,
        has_lock_table: row.flag(3)?,
        flyway: row.flag(4)?.then(Vec::new),
        has_ledger: row.flag(5)?,
        has_schema: row.flag(6)?,
        ..History::default()
    })
}

/// The table that a changelog's history is in.
pub fn table(changelog: &Changelog, history: &History) -> Result<Table, InspectError> {
    let schema = Identifier::new(&history.schema)
        .map_err(|error| InspectError::Answer(error.to_string()))?;
    Ok(Table::new(schema, changelog.table.clone()))
}

/// Flyway's table as SQL, where there is one.
pub fn flyway_table(history: &History) -> Result<Option<String>, InspectError> {
    if history.flyway.is_none() {
        return Ok(None);
    }
    let schema = Identifier::new(&history.schema)
        .map_err(|error| InspectError::Answer(error.to_string()))?;
    Ok(Some(format!("{}.{FLYWAY}", schema.quoted())))
}

/// Fills in what the tables hold, in one round trip; in none if there are no tables.
pub async fn rows(
    session: &Session,
    question: &Question<'_>,
    changelog: &Changelog,
    history: &mut History,
) -> Result<(), InspectError> {
    let table = table(changelog, history)?;
    let ledger = question.ledger.quoted();
    let mut questions = Vec::new();
    if !history.exists && history.has_ledger {
        questions.push(format!(
            "SELECT 'elsewhere', history FROM {ledger}.changeset WHERE {} \
             AND history <> {} ORDER BY ran_at DESC LIMIT 1;\n",
            question.ours(),
            literal(&table.quoted())
        ));
    }
    if history.exists {
        questions.push(format!(
            "SELECT 'ran', id, author, filename, md5sum, orderexecuted, tag FROM {} \
             ORDER BY dateexecuted, orderexecuted;\n",
            table.quoted()
        ));
    }
    if history.has_lock_table {
        questions.push(format!(
            "SELECT 'locked', coalesce(lockedby, '?') || coalesce(' since ' || lockgranted, '') \
             FROM {} WHERE locked;\n",
            table.lock_quoted()
        ));
    }
    if let Some(flyway) = flyway_table(history)? {
        questions.push(format!(
            "SELECT 'flyway', installed_rank, version, description, type, script, checksum, success \
             FROM {flyway} ORDER BY installed_rank;\n"
        ));
    }
    if history.has_ledger {
        questions.push(format!(
            "SELECT 'interrupted', id, author, path, statements_done, done_sha256, doubtful \
             FROM {ledger}.changeset WHERE history = {} AND status = 'running';\n",
            literal(&table.quoted())
        ));
    }
    if questions.is_empty() {
        return Ok(());
    }
    for row in session.run(&questions.concat()).await? {
        read_row(history, &row)?;
    }
    Ok(())
}

fn read_row(history: &mut History, row: &Row) -> Result<(), InspectError> {
    let row = Columns(row);
    match row.text(0)?.as_str() {
        "ran" => history.rows.push(HistoryRow {
            id: row.text(1)?,
            author: row.text(2)?,
            path: row.text(3)?,
            checksum: row.optional(4),
            order: row.number(5)?,
            tag: row.optional(6),
        }),
        "elsewhere" => history.elsewhere = Some(row.text(1)?),
        "locked" => history.locked_by = Some(row.text(1)?),
        "flyway" => {
            let checksum = row.optional(6).map(|_| row.number(6)).transpose()?;
            history.flyway.get_or_insert_default().push(flyway::Row {
                installed_rank: row.number(1)?,
                version: row.optional(2),
                description: row.text(3)?,
                kind: row.text(4)?,
                script: row.text(5)?,
                checksum,
                success: row.flag(7)?,
            });
        }
        "interrupted" => history.interrupted.push(Interrupted {
            id: row.text(1)?,
            author: row.text(2)?,
            path: row.text(3)?,
            done: row.number(4)?,
            done_sha256: row.text(5)?,
            doubtful: row.flag(6)?,
        }),
        tag => return Err(InspectError::Answer(format!("a row `{tag}` was not asked for"))),
    }
    Ok(())
}

/// Whether no other client has a session on this database.
pub async fn is_alone(session: &Session) -> Result<bool, InspectError> {
    // A worker of autovacuum has no role; that it is one is hidden from ordinary roles.
    let others = session
        .value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND usesysid IS NOT NULL",
        )
        .await?;
    Ok(others.as_deref() == Some("0"))
}

/// The text of a changeset as it ran, if the ledger kept it.
pub async fn content(
    session: &Session,
    ledger: &Identifier,
    table: &Table,
    identity: &Identity,
) -> Result<Option<String>, InspectError> {
    let sql = format!(
        "SELECT content FROM {}.changeset WHERE history = {} AND status = 'applied' \
         AND lower(id) = lower({}) AND lower(author) = lower({}) AND lower(path) = lower({})",
        ledger.quoted(),
        literal(&table.quoted()),
        literal(&identity.id),
        literal(&identity.author),
        literal(&identity.path),
    );
    Ok(session.value(&sql).await?)
}
