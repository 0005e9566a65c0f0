//! One at a time per database and ledger: a session advisory lock, and the tags by
//! which the sessions of a resource are found.
//!
//! The lock is tried and tried again rather than waited for: a blocked waiter
//! would hold a snapshot that others may wait for in turn. It ends with the
//! session, so a dead holder leaves nothing behind.

use sha2::{Digest, Sha256};

use crate::ident::Identifier;
use crate::ledger;
use crate::postgres::{Session, SqlError};
use crate::request::hex;
use crate::sql::literal;

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

/// `execute-sql/<resource>/<request>`: hashes, for the name has room for 63 bytes.
pub fn application_name(stack_id: &str, logical_id: &str, request_id: &str) -> String {
    format!("{}{}", resource_prefix(stack_id, logical_id), short_hash(&[request_id]))
}

fn resource_prefix(stack_id: &str, logical_id: &str) -> String {
    format!("execute-sql/{}/", short_hash(&[stack_id, logical_id]))
}

fn short_hash(parts: &[&str]) -> String {
    let text = serde_json::json!(parts).to_string();
    hex(&Sha256::digest(text))[..16].to_owned()
}

/// Ends the sessions of a resource's other requests; gives how many there were.
pub async fn end_others(
    session: &Session,
    stack_id: &str,
    logical_id: &str,
    request_id: &str,
) -> Result<u32, SqlError> {
    let ended = "count(*) FILTER (WHERE pg_terminate_backend(pid))";
    count(session, ended, &others(stack_id, logical_id, request_id)).await
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
) -> Result<u32, SqlError> {
    let ended = "count(*) FILTER (WHERE pg_terminate_backend(pid))";
    let ours = literal(&application_name(stack_id, logical_id, request_id));
    count(session, ended, &format!("{NOT_THIS} AND application_name = {ours}")).await
}

/// How many such sessions there still are.
pub async fn count_others(
    session: &Session,
    stack_id: &str,
    logical_id: &str,
    request_id: &str,
) -> Result<u32, SqlError> {
    count(session, "count(*)", &others(stack_id, logical_id, request_id)).await
}

async fn count(session: &Session, what: &str, from: &str) -> Result<u32, SqlError> {
    let count = session.value(&format!("SELECT {what} {from}")).await?;
    Ok(count.and_then(|it| it.parse().ok()).unwrap_or_default())
}

/// The sessions on this database but for the one that asks.
const NOT_THIS: &str = "FROM pg_stat_activity WHERE datname = current_database() \
                        AND pid <> pg_backend_pid()";

fn others(stack_id: &str, logical_id: &str, request_id: &str) -> String {
    format!(
        "{NOT_THIS} AND starts_with(application_name, {}) AND application_name <> {}",
        literal(&resource_prefix(stack_id, logical_id)),
        literal(&application_name(stack_id, logical_id, request_id)),
    )
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
