//! One at a time per database and ledger: a session advisory lock, and the tags by
//! which the sessions of a resource are found.
//!
//! The lock is tried and tried again rather than waited for: a blocked waiter
//! would hold a snapshot that others may wait for in turn. It ends with the
//! session, so a dead holder leaves nothing behind.

use sha2::{Digest, Sha256};

use crate::ident::Identifier;
use crate::inspect::tenants::is_tenants;
use crate::ledger;
use crate::postgres::{Session, SqlError};
use crate::request::hex;
use crate::sql::{literal, nullable, text_array};

/// The key of the usual ledger's lock: "execsql1" in ASCII.
const KEY: i64 = 0x6578_6563_7371_6c31;

/// The key of a ledger's lock: runs that share no ledger do not wait for each other.
fn key(ledger: &Identifier) -> i64 {
    if ledger.as_str() == ledger::DEFAULT {
        return KEY;
    }
    let hash = Sha256::digest(format!("execute-sql {ledger}"));
    hash.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

/// Raised by [`again`] if another run has the lock.
pub const GIVEN_UP: &str = "ES423";

/// Tries to take the lock; gives `t` or `f`. Taking it twice is harmless.
pub fn attempt(ledger: &Identifier) -> String {
    format!("SELECT pg_try_advisory_lock({})", key(ledger))
}

/// Takes the lock another time after a text that may have given it up; an error if somebody else
/// has it now.
pub fn again(ledger: &Identifier) -> String {
    format!(
        "DO $$ BEGIN IF NOT pg_try_advisory_lock({}) THEN RAISE EXCEPTION \
         'the changeset gave up the advisory locks of its session, and another run has begun' \
         USING ERRCODE = '{GIVEN_UP}'; END IF; END $$;\n",
        key(ledger)
    )
}

/// Who holds the lock, for people: process id, application and start.
pub async fn holder(session: &Session, ledger: &Identifier) -> Result<Option<String>, SqlError> {
    let key = key(ledger).cast_unsigned();
    let (high, low) = (key >> 32, key & 0xffff_ffff);
    session
        .value(&format!(
            "SELECT format('process %s (%s)', a.pid, a.application_name) \
             FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
             WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {high} AND l.objid = {low} \
             AND l.objsubid = 1 \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             LIMIT 1"
        ))
        .await
}

/// Ends the sessions of tenants that hold the lock or wait for it; gives how many there were.
///
/// Whoever may connect to a database can take any of its advisory locks, and tenants that are schemas
/// connect to this one. None of their sessions ever has a reason to take this one.
pub async fn end_tenants(session: &Session, ledger: &Identifier) -> Result<u32, SqlError> {
    let key = key(ledger).cast_unsigned();
    let (high, low) = (key >> 32, key & 0xffff_ffff);
    let may_end = "pg_has_role('pg_signal_backend', 'USAGE')";
    let sql = format!(
        "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM (SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = {high} \
         AND objid = {low} AND objsubid = 1 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) l \
         JOIN pg_stat_activity a USING (pid) JOIN pg_roles r ON r.oid = a.usesysid \
         WHERE {may_end} AND {}",
        is_tenants("r")
    );
    let count = session.value(&sql).await?;
    Ok(count.and_then(|it| it.parse().ok()).unwrap_or_default())
}

/// `execute-sql/<resource>/<request>`: hashes, for the name has room for 63 bytes.
pub fn application_name(stack_id: &str, logical_id: &str, request_id: &str) -> String {
    format!("{}{}", resource_prefix(stack_id, logical_id), short_hash(&[request_id]))
}

/// What all names begin with.
const PREFIX: &str = "execute-sql/";

fn resource_prefix(stack_id: &str, logical_id: &str) -> String {
    format!("{PREFIX}{}/", short_hash(&[stack_id, logical_id]))
}

fn short_hash(parts: &[&str]) -> String {
    let text = serde_json::json!(parts).to_string();
    hex(&Sha256::digest(text))[..16].to_owned()
}

/// Where sessions of a resource are looked for, beside the database at hand.
#[derive(Debug, Clone, Copy)]
pub enum Reach<'a> {
    /// Nowhere else but on these databases: the names of calls by hand are no one's own.
    Databases(&'a [String]),
    /// On all databases: no two stacks have an id in common.
    Cluster,
}

/// Sessions that were ended, and may take a moment to be gone.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// Their process ids.
    pub pids: Vec<String>,
    /// Whether one of them was of our own role. Any other role may call its sessions what it likes.
    pub ours: bool,
}

/// Ends the sessions of a resource's other requests, as far as we may.
pub async fn end_others(
    session: &Session,
    stack_id: &str,
    logical_id: &str,
    request_id: &str,
    reach: Reach<'_>,
) -> Result<Ended, SqlError> {
    let which = format!(
        "{} AND application_name <> {}",
        is_of(stack_id, logical_id),
        literal(&application_name(stack_id, logical_id, request_id)),
    );
    end(session, &which, reach).await
}

/// Ends what runs for a resource on a database, or as one of some roles: requests that nobody waits
/// for any more. Ours must not be among them.
pub async fn end_strays(
    session: &Session,
    stack_id: &str,
    logical_id: &str,
    database: Option<&str>,
    roles: &[String],
) -> Result<Ended, SqlError> {
    let which = format!(
        "{} AND (a.datname = {} OR a.usename = ANY ({}))",
        is_of(stack_id, logical_id),
        nullable(database),
        text_array(roles.iter().map(String::as_str)),
    );
    end(session, &which, Reach::Cluster).await
}

/// SQL that tells a resource's sessions in `pg_stat_activity a`; never unknown.
pub fn is_of(stack_id: &str, logical_id: &str) -> String {
    let prefix = literal(&resource_prefix(stack_id, logical_id));
    format!("coalesce(starts_with(a.application_name, {prefix}), false)")
}

/// Ends the sessions that an earlier delivery of this very request left; gives how many there were.
///
/// One that lives comes back and waits its turn; one whose function was killed or frozen would hold
/// the lock until the server finds out.
pub async fn end_predecessors(
    session: &Session,
    stack_id: &str,
    logical_id: &str,
    request_id: &str,
    reach: Reach<'_>,
) -> Result<usize, SqlError> {
    let ours = literal(&application_name(stack_id, logical_id, request_id));
    let ended = end(session, &format!("application_name = {ours}"), reach).await?;
    Ok(ended.pids.len())
}

/// How many of the sessions that were ended are still there.
pub async fn remaining(session: &Session, ended: &Ended) -> Result<u32, SqlError> {
    let pids = ended.pids.join(",");
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid IN ({pids}) \
         AND starts_with(application_name, {})",
        literal(PREFIX)
    );
    let count = session.value(&sql).await?;
    Ok(count.and_then(|it| it.parse().ok()).unwrap_or_default())
}

async fn end(session: &Session, which: &str, reach: Reach<'_>) -> Result<Ended, SqlError> {
    let place = match reach {
        Reach::Cluster => String::new(),
        Reach::Databases(more) => format!(
            "AND (a.datname = current_database() OR a.datname = ANY ({})) ",
            text_array(more.iter().map(String::as_str))
        ),
    };
    // What may not be ended is not counted either; a superuser's session may not be by anybody else.
    let rows = session
        .run(&format!(
            "SELECT a.pid, a.usename = current_user, pg_terminate_backend(a.pid) \
             FROM pg_stat_activity a \
             JOIN pg_roles r ON r.oid = a.usesysid \
             WHERE a.pid <> pg_backend_pid() {place}AND {which} \
             AND (NOT r.rolsuper OR current_setting('is_superuser') = 'on') \
             AND (pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))"
        ))
        .await?;
    let mut ended = Ended::default();
    for row in rows {
        if let [Some(pid), ours, _] = row.as_slice() {
            ended.pids.push(pid.clone());
            ended.ours |= ours.as_deref() == Some("t");
        }
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_resource_and_request_apart_and_fits() {
        let name = application_name("stack", "Db", "r1");
        assert!(name.len() <= 63);
        assert_eq!(name[..29], application_name("stack", "Db", "r2")[..29]);
        assert_ne!(name, application_name("stack", "Db", "r2"));
        assert_ne!(name[..29], application_name("stackD", "b", "r1")[..29]);
    }
}
