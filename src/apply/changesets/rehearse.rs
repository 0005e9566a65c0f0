//! Rehearses changesets: runs them for real in a transaction that is rolled back.
//!
//! Only so one sees what the server itself would say: its errors, the locks that are
//! taken on tables that others use, the tables that are written anew, the time. The locks are
//! held until the end of the rehearsal, and what knows no transaction (sequences) moves on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{ChangesetError, Ended, Run, Within, refuses_transaction};
use crate::outcome::Rehearsed;
use crate::plan::Why;
use crate::postgres::{Session, SqlError};

/// The files of tables, by OID.
pub type Tables = BTreeMap<u32, String>;

/// Rehearses in the transaction at hand; an error ends one changeset, not the rehearsal.
pub async fn rehearse(
    run: &mut Run<'_>,
    changesets: &[(usize, Why)],
    mut before: Tables,
) -> Result<Vec<Rehearsed>, ChangesetError> {
    let loaded = run.loaded;
    let mut known = BTreeSet::new();
    let mut told = Vec::new();
    for &(number, why) in changesets {
        let changeset = &loaded.changelog.changesets[number];
        let failed = |error: SqlError| ChangesetError::new(changeset, None, error);
        let mut it = Rehearsed {
            changeset: changeset.identity.to_string(),
            at: changeset.place.to_string(),
            result: "ran",
            message: None,
            duration_ms: 0,
            rows: 0,
            locks: Vec::new(),
            rewritten: Vec::new(),
        };
        if run.needs_outside(number).await? {
            it.result = "left out";
            it.message = Some("PostgreSQL does not run it in a transaction".into());
            told.push(it);
            continue;
        }
        run.session.run("SAVEPOINT rehearsal").await.map_err(failed)?;
        let rows = run.session.rows_affected() - run.own_rows;
        let started = Instant::now();
        match run.changeset(number, why, Within::Open).await {
            Ok((Ended::Ran, _)) => {}
            Ok((Ended::MarkedRan(why) | Ended::Skipped(why), _)) => {
                it.result = "skipped";
                it.message = Some(why);
            }
            Err(error) if error.sql().is_some_and(SqlError::is_lost) => return Err(error),
            Err(error) => {
                run.session.run("ROLLBACK TO SAVEPOINT rehearsal").await.map_err(failed)?;
                let state = error.sql().and_then(|it| it.sqlstate.as_deref());
                if state.is_some_and(refuses_transaction) {
                    // Only now it is known (a procedure that commits); a run takes it apart then.
                    it.result = "left out";
                    it.message = Some("PostgreSQL does not run it in a transaction".into());
                } else {
                    it.result = "failed";
                    it.message = Some(error.to_string());
                }
            }
        }
        it.duration_ms = started.elapsed().as_millis();
        it.rows = (run.session.rows_affected() - run.own_rows).saturating_sub(rows);
        let found = locks(run, &before, &mut known).await.map_err(failed)?;
        it.rewritten = rewritten(run, &mut before, &found).await.map_err(failed)?;
        it.locks = found.into_iter().map(|lock| lock.shown).collect();
        told.push(it);
    }
    Ok(told)
}

struct Lock {
    table: u32,
    shown: String,
}

/// The locks that were not held before, on tables that were there before.
async fn locks(
    run: &Run<'_>,
    before: &Tables,
    known: &mut BTreeSet<(u32, String)>,
) -> Result<Vec<Lock>, SqlError> {
    let rows = run
        .session
        .run(
            "SELECT relation, mode, mode || ' on ' || relation::regclass || ' (' || \
             pg_size_pretty(pg_total_relation_size(relation)) || ')' FROM pg_locks \
             WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted AND mode IN \
             ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', \
             'AccessExclusiveLock') ORDER BY 3",
        )
        .await?;
    let mut found = Vec::new();
    for row in rows {
        let mut columns = row.into_iter().flatten();
        let (Some(table), Some(mode), Some(shown)) =
            (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let Ok(table) = table.parse() else { continue };
        if before.contains_key(&table) && known.insert((table, mode)) {
            found.push(Lock { table, shown });
        }
    }
    Ok(found)
}

/// Those of the locked tables whose file is another one now.
async fn rewritten(
    run: &Run<'_>,
    before: &mut Tables,
    locks: &[Lock],
) -> Result<Vec<String>, SqlError> {
    if locks.is_empty() {
        return Ok(Vec::new());
    }
    let only: Vec<_> = locks.iter().map(|it| it.table.to_string()).collect();
    let now = files(run.session, &format!("oid IN ({})", only.join(","))).await?;
    let mut names = Vec::new();
    for (table, file) in now {
        if before.insert(table, file.clone()).is_some_and(|it| it != file) {
            let name = run.session.value(&format!("SELECT {table}::regclass")).await?;
            names.extend(name);
        }
    }
    Ok(names)
}

/// The files of all tables, indexes and sequences that are not the system's.
pub async fn tables(session: &Session) -> Result<Tables, SqlError> {
    files(session, "oid >= 16384 AND relkind IN ('r', 'm', 'p', 'i', 'S')").await
}

async fn files(session: &Session, which: &str) -> Result<Tables, SqlError> {
    let sql = format!("SELECT oid, relfilenode FROM pg_class WHERE {which}");
    let pair = |row: Vec<Option<String>>| {
        let mut columns = row.into_iter().flatten();
        Some((columns.next()?.parse().ok()?, columns.next()?))
    };
    Ok(session.run(&sql).await?.into_iter().filter_map(pair).collect())
}
