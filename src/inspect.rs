//! Reads the state of a database: catalog and ledger, in at most two round trips.
//!
//! The first question is the cheap one and assumes that there is a ledger. Only
//! if there is none, or if the plan depends on what the server offers, a second
//! one is asked; it reads the files of every extension of the server, which
//! takes tens of milliseconds. Each answer is one JSON value, so its size in
//! round trips does not grow with what is there.

use std::collections::BTreeMap;

use crate::desired::Extension;
use crate::observed::{Installed, Observed};
use crate::plan;
use crate::postgres::{Session, SqlError};
use crate::sql::{literal, text_array};

/// The version of the ledger's tables that this program reads and writes.
pub const LEDGER_VERSION: u32 = 1;

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The wanted extensions.
    pub extensions: &'a [Extension],
    /// The resource, as the ledger names it.
    pub stack_id: &'a str,
    /// Its logical id.
    pub logical_id: &'a str,
    /// The request at hand.
    pub request_id: &'a str,
    /// SQL that runs first in the same round trip, for its effect and one value.
    pub first: &'a str,
}

/// What was seen, and the value of [`Question::first`].
#[derive(Debug)]
pub struct Answer {
    /// The state.
    pub observed: Observed,
    /// The first column of what ran first.
    pub first: Option<String>,
}

/// Why the state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The server refused a query.
    #[error("reading the catalog failed: {0}")]
    Sql(#[from] SqlError),
    /// The server answered something that is not understood.
    #[error("the catalog's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    /// A newer release of this program has written the ledger.
    #[error(
        "the ledger in schema `execute_sql` is of version {0}; this program knows versions up to {LEDGER_VERSION}"
    )]
    NewerLedger(u32),
}

/// Looks.
pub async fn observe(session: &Session, question: &Question<'_>) -> Result<Answer, InspectError> {
    const UNDEFINED_TABLE: &str = "42P01";
    let cheap = ask(session, question, true, false).await;
    let has_ledger = match cheap {
        Err(InspectError::Sql(error)) if error.sqlstate.as_deref() == Some(UNDEFINED_TABLE) => {
            false
        }
        Err(error) => return Err(error),
        Ok(answer) if !plan::needs_offer(question.extensions, &answer.observed) => {
            return checked(answer);
        }
        Ok(_) => true,
    };
    checked(ask(session, question, has_ledger, true).await?)
}

fn checked(answer: Answer) -> Result<Answer, InspectError> {
    match answer.observed.ledger.as_ref().map(|it| it.version) {
        Some(version) if version > LEDGER_VERSION => Err(InspectError::NewerLedger(version)),
        _ => Ok(answer),
    }
}

async fn ask(
    session: &Session,
    question: &Question<'_>,
    with_ledger: bool,
    with_offer: bool,
) -> Result<Answer, InspectError> {
    let ledger = if with_ledger { ledger(question) } else { "NULL".into() };
    let offer = if with_offer { offer(question) } else { "NULL".into() };
    let sql = format!(
        "{};\nSELECT json_build_object('server', {SERVER}, 'installed', {INSTALLED}, \
         'schemas', {}, 'offered', {offer}, 'ledger', {ledger})",
        question.first,
        schemas(question),
    );
    let mut rows = session.run(&sql).await?;
    let text = rows.pop().and_then(|mut row| row.pop()).flatten().unwrap_or_default();
    let first = rows.pop().and_then(|row| row.into_iter().next()).flatten();
    Ok(Answer { observed: serde_json::from_str(&text)?, first })
}

const SERVER: &str = "json_build_object(
    'version', current_setting('server_version'),
    'version_num', current_setting('server_version_num')::int,
    'database', current_database(),
    'database_oid', (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
    'role', current_user,
    'in_recovery', pg_is_in_recovery(),
    'now', extract(epoch FROM clock_timestamp()))";

const INSTALLED: &str = "(SELECT json_object_agg(e.extname, json_build_object(
    'version', e.extversion, 'schema', n.nspname, 'oid', e.oid::int8,
    'relocatable', e.extrelocatable))
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace)";

fn schemas(question: &Question<'_>) -> String {
    let names = question.extensions.iter().filter_map(|it| it.schema.as_ref());
    let names = text_array(names.map(crate::ident::Identifier::as_str));
    format!("(SELECT json_agg(nspname) FROM pg_namespace WHERE nspname = ANY ({names}))")
}

/// What the server could install: the wanted extensions with all that they
/// require, and for installed ones the versions that they can go to.
fn offer(question: &Question<'_>) -> String {
    let wanted = question.extensions.iter().map(|it| it.name.as_str());
    let wanted = text_array(wanted.chain(plan::POSTGIS_PARTS));
    format!(
        "(WITH RECURSIVE version AS (
            SELECT name::text, version, requires, schema::text FROM pg_available_extension_versions
        ), asked(name) AS (
            SELECT unnest({wanted}) COLLATE \"C\"
            UNION
            SELECT required::text COLLATE \"C\" FROM asked JOIN version USING (name), unnest(requires) required
        ), path AS (
            SELECT extname::text AS name, json_agg(json_build_array(source, target)) AS updates
            FROM pg_extension CROSS JOIN LATERAL pg_extension_update_paths(extname)
            WHERE extname IN (SELECT name FROM asked) AND source = extversion AND path IS NOT NULL
            GROUP BY extname
        ), offered AS (
            SELECT asked.name, json_build_object(
                'default_version', available.default_version,
                'versions', (SELECT json_agg(json_build_object('version', version.version,
                    'requires', requires, 'schema', schema))
                    FROM version WHERE version.name = asked.name),
                'updates', (SELECT updates FROM path WHERE path.name = asked.name)) AS it
            FROM asked JOIN pg_available_extensions available ON available.name = asked.name
        )
        SELECT json_build_object(
            'names', (SELECT json_agg(name ORDER BY name) FROM pg_available_extensions),
            'extensions', (SELECT json_object_agg(name, it) FROM offered),
            'allowed', current_setting('rds.allowed_extensions', true),
            'supported', current_setting('rds.extensions', true)))"
    )
}

fn ledger(question: &Question<'_>) -> String {
    let stack = literal(question.stack_id);
    let logical = literal(question.logical_id);
    let request = literal(question.request_id);
    let ours = format!("stack_id = {stack} AND logical_id = {logical}");
    format!(
        "(SELECT json_build_object(
            'version', (SELECT max(version) FROM execute_sql.ledger),
            'current_physical_id', resource.current_physical_id,
            'last_event_at', extract(epoch FROM resource.last_event_at)::int8,
            'applied_sha256', resource.applied_sha256,
            'physical_ids', (SELECT json_agg(physical_id) FROM execute_sql.physical_id WHERE {ours}),
            'objects', (SELECT json_agg(json_build_object(
                'kind', kind, 'name', name, 'oid', oid::int8, 'origin', origin,
                'physical_id', physical_id,
                'shared', EXISTS (SELECT FROM execute_sql.object other
                    WHERE other.kind = object.kind AND other.name = object.name
                      AND (other.stack_id, other.logical_id) <> ({stack}, {logical})),
                'oid_now', CASE kind
                    WHEN 'extension' THEN
                        (SELECT e.oid::int8 FROM pg_extension e WHERE e.extname = object.name)
                    ELSE (SELECT n.oid::int8 FROM pg_namespace n WHERE n.nspname = object.name) END
                ) ORDER BY id) FROM execute_sql.object WHERE {ours}),
            'request', (SELECT json_build_object('status', status,
                'properties_sha256', properties_sha256, 'data', data, 'reason', reason)
                FROM execute_sql.request WHERE {ours} AND request_id = {request}),
            'tombstones', (SELECT json_agg(json_build_object('requests', requests,
                'event_at', extract(epoch FROM event_at)::int8,
                'written_at', extract(epoch FROM written_at)))
                FROM execute_sql.tombstone WHERE {ours} AND request_id <> {request}))
        FROM (SELECT) one LEFT JOIN execute_sql.resource ON {ours})"
    )
}

/// The installed extensions as they are now, within the transaction at hand.
pub async fn installed(session: &Session) -> Result<BTreeMap<String, Installed>, SqlError> {
    let text =
        session.value(&format!("SELECT coalesce({INSTALLED}, '{{}}')")).await?.unwrap_or_default();
    serde_json::from_str(&text).map_err(|error| SqlError {
        sqlstate: None,
        message: format!("the catalog's answer is not understood: {error}"),
        detail: None,
        server_hint: None,
        position: None,
    })
}
