//! Indexes that are built concurrently: an invalid leftover goes first, and only a valid one counts.
//!
//! A build that is interrupted or fails leaves an index that costs every write and
//! serves no query, and `IF NOT EXISTS` takes it for done.

use super::Cause;
use crate::ident::Identifier;
use crate::postgres::{Session, SqlError};
use crate::sql::literal;
use crate::sql::transactional::{ConcurrentIndex, concurrent_index};

/// The index that a statement builds concurrently, if it names one.
pub(super) fn named(statement: &str) -> Option<ConcurrentIndex> {
    concurrent_index(statement).filter(|it| it.name.is_some() && it.rebuilt.is_none())
}

/// What is known of an index of that name.
struct Found {
    valid: bool,
    /// On the same table.
    same_table: bool,
    /// Somebody builds it right now.
    being_built: bool,
    /// As SQL.
    name: String,
}

/// Drops an invalid leftover of the same name on the same table; gives whether the index is
/// there and valid already, after a build whose end is in `doubt`.
pub(super) async fn prepare(
    session: &Session,
    index: &ConcurrentIndex,
    doubt: bool,
) -> Result<bool, Cause> {
    let Some(found) = look(session, index).await? else { return Ok(false) };
    if found.valid {
        return Ok(doubt && found.same_table);
    }
    if found.same_table && !found.being_built {
        tracing::warn!(index = found.name, "dropping an invalid leftover of an earlier build");
        session.run(&format!("DROP INDEX CONCURRENTLY {}", found.name)).await?;
    }
    Ok(false)
}

/// Refuses an index that was built and is not valid.
pub(super) async fn check(session: &Session, index: &ConcurrentIndex) -> Result<(), Cause> {
    match look(session, index).await? {
        Some(found) if !found.valid => Err(Cause::InvalidIndex(found.name)),
        _ => Ok(()),
    }
}

async fn look(session: &Session, index: &ConcurrentIndex) -> Result<Option<Found>, SqlError> {
    let Some(name) = &index.name else { return Ok(None) };
    // An index is made in its table's schema.
    let table = index.table.as_deref().map(|it| qualified(index.schema.as_deref(), it));
    let Some(table) = table.map(|it| literal(&it)) else { return Ok(None) };
    let sql = format!(
        "SELECT i.indisvalid, i.indrelid = to_regclass({table}), EXISTS \
         (SELECT FROM pg_stat_progress_create_index p \
         WHERE p.index_relid = c.oid AND p.pid <> pg_backend_pid()), c.oid::regclass \
         FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid \
         WHERE c.relname = {} AND c.relnamespace = \
         (SELECT relnamespace FROM pg_class WHERE oid = to_regclass({table}))",
        literal(name)
    );
    let row = session.run(&sql).await?.pop();
    let Some(row) = row else { return Ok(None) };
    let flag = |at: usize| row.get(at).is_some_and(|it| it.as_deref() == Some("t"));
    Ok(Some(Found {
        valid: flag(0),
        same_table: flag(1),
        being_built: flag(2),
        name: row.get(3).cloned().flatten().unwrap_or_default(),
    }))
}

fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
        None => quoted(name),
    }
}

fn quoted(name: &str) -> String {
    Identifier::new(name)
        .map_or_else(|_| format!("\"{}\"", name.replace('"', "\"\"")), |it| it.quoted())
}
