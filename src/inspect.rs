//! Reads the state of a database: catalog and ledger, in at most two round trips, and one more for
//! the history of a changelog.
//!
//! The first question is the cheap one and assumes that there is a ledger. Only
//! if there is none, or if the plan depends on what the server offers, a second
//! one is asked; it reads the files of every extension of the server, which
//! takes tens of milliseconds. A question is several plain statements in one
//! message, each row with a word in front that says what it is. In a session that
//! has just begun every function, type and table costs a look into the catalog, so
//! they are few, and what can be computed here is.

pub mod cluster;
pub mod extensions;
pub mod history;
pub mod leaving;
pub mod tenants;

use std::collections::BTreeMap;

use crate::desired::{Changelog, Extension};
use crate::ident::Identifier;
use crate::observed::{
    Installed, Kind, Ledger, Object, Observed, Origin, Server, Status, StoredRequest, Tombstone,
};
use crate::plan;
use crate::postgres::{Row, Session, SqlError};
use crate::sql::{literal, text_array};

/// The rules of the ledger's rows that this program knows; newer rows are not touched.
pub const LEDGER_VERSION: u32 = 1;

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The ledger's schema.
    pub ledger: &'a Identifier,
    /// The wanted extensions.
    pub extensions: &'a [Extension],
    /// The resource, as the ledger names it.
    pub stack_id: &'a str,
    /// Its logical id.
    pub logical_id: &'a str,
    /// The request at hand.
    pub request_id: &'a str,
    /// Hash of its properties.
    pub properties_sha256: &'a str,
    /// SQL that runs first in the same round trip, for its effect and one value.
    pub first: &'a str,
    /// Whether objects are to be removed, so that it matters who else has them.
    pub removing: bool,
    /// Whether it matters if the resource was like this before.
    pub returning: bool,
    /// The changelog whose history is asked for.
    pub changelog: Option<&'a Changelog>,
}

impl Question<'_> {
    fn ours(&self) -> String {
        format!(
            "stack_id = {} AND logical_id = {}",
            literal(self.stack_id),
            literal(self.logical_id)
        )
    }
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
    Answer(String),
    /// A newer release of this program has written the ledger.
    #[error(
        "the ledger in schema `{0}` is of version {1}; this program knows versions up to {LEDGER_VERSION}"
    )]
    NewerLedger(Identifier, u32),
}

/// Looks.
pub async fn observe(session: &Session, question: &Question<'_>) -> Result<Answer, InspectError> {
    let mut answer = catalog(session, question).await?;
    if let (Some(changelog), Some(history)) = (question.changelog, &mut answer.observed.history) {
        history::rows(session, question, changelog, history).await?;
    }
    Ok(answer)
}

async fn catalog(session: &Session, question: &Question<'_>) -> Result<Answer, InspectError> {
    const UNDEFINED_TABLE: &str = "42P01";
    let cheap = ask(session, question, true, false).await;
    let has_ledger = match cheap {
        Err(InspectError::Sql(error)) if error.sqlstate.as_deref() == Some(UNDEFINED_TABLE) => {
            false
        }
        Err(error) => return Err(error),
        Ok(answer) if !plan::needs_offer(question.extensions, &answer.observed) => {
            return checked(question, answer);
        }
        Ok(_) => true,
    };
    // What the server offers takes a look at all its extension files.
    let with_offer = !question.extensions.is_empty();
    checked(question, ask(session, question, has_ledger, with_offer).await?)
}

fn checked(question: &Question<'_>, answer: Answer) -> Result<Answer, InspectError> {
    match answer.observed.ledger.as_ref().map(|it| it.version) {
        Some(version) if version > LEDGER_VERSION => {
            Err(InspectError::NewerLedger(question.ledger.clone(), version))
        }
        _ => Ok(answer),
    }
}

async fn ask(
    session: &Session,
    question: &Question<'_>,
    with_ledger: bool,
    with_offer: bool,
) -> Result<Answer, InspectError> {
    let mut sql = format!("{};\n{SERVER};\n{INSTALLED};\n", question.first);
    sql += &schemas(question, with_ledger);
    let history = question.changelog.map(|it| history::tables(it, question.ledger));
    sql += &history.unwrap_or_default();
    if with_ledger {
        sql += &ledger(question);
    }
    if with_offer {
        sql += &extensions::offer(question);
    }
    let mut rows = session.run(&sql).await?.into_iter();
    // What runs first may give rows of its own; its last one counts.
    let mut first = None;
    let mut observed =
        Observed { ledger: with_ledger.then(Ledger::default), ..Observed::default() };
    for row in rows.by_ref() {
        let tagged = read_row(&mut observed, &row)?;
        if !tagged {
            first = row.into_iter().next().flatten();
        }
    }
    place(&mut observed);
    Ok(Answer { observed, first })
}

const SERVER: &str = "SELECT 'server', current_setting('server_version'), \
    current_setting('server_version_num'), current_database(), current_user, \
    pg_is_in_recovery(), extract(epoch FROM clock_timestamp()), \
    current_setting('idle_in_transaction_session_timeout') = '1min'";

const INSTALLED: &str = "SELECT 'extension', extname, extversion, extnamespace::regnamespace, \
    oid, extrelocatable FROM pg_extension";

/// The schemas that are wanted, and those that the resource has.
fn schemas(question: &Question<'_>, with_ledger: bool) -> String {
    let mut names = question
        .extensions
        .iter()
        .filter_map(|it| it.schema.as_ref())
        .map(Identifier::as_str)
        .peekable();
    let had = if with_ledger && question.removing {
        format!(
            " OR nspname IN (SELECT name FROM {}.object WHERE kind = 'schema' AND {})",
            question.ledger.quoted(),
            question.ours()
        )
    } else {
        String::new()
    };
    if names.peek().is_none() && had.is_empty() {
        return String::new();
    }
    let wanted = text_array(names);
    format!(
        "SELECT 'schema', nspname, oid FROM pg_namespace WHERE nspname = ANY ({wanted}){had};\n"
    )
}

fn ledger(question: &Question<'_>) -> String {
    let schema = question.ledger.quoted();
    let ours = question.ours();
    let request = literal(question.request_id);
    let shared = if question.removing {
        format!(
            "EXISTS (SELECT FROM {schema}.object other WHERE other.kind = object.kind \
             AND other.name = object.name AND (other.stack_id, other.logical_id) \
             <> (object.stack_id, object.logical_id))"
        )
    } else {
        // Only a removal asks; it is a look at every row.
        "true".to_owned()
    };
    let returning = if question.returning {
        format!(
            "SELECT 'returning' FROM {schema}.request WHERE {ours} AND status = 'success' \
             AND properties_sha256 = {} AND request_id <> {request} LIMIT 1;\n",
            literal(question.properties_sha256)
        )
    } else {
        String::new()
    };
    let ids = if question.removing { "array_to_json(physical_ids)" } else { "NULL" };
    format!(
        "SELECT 'resource', version, current_physical_id, {ids}, \
         extract(epoch FROM last_event_at), applied_sha256, tombstone_by, \
         {request} = ANY (tombstone_for), extract(epoch FROM tombstone_event_at), \
         extract(epoch FROM tombstone_at), to_jsonb(resource)->>'has_tenants' FROM {schema}.resource WHERE {ours};\n\
         SELECT 'object', kind, name, oid, origin, physical_id, {shared}, id \
         FROM {schema}.object WHERE {ours};\n\
         SELECT 'request', status, properties_sha256, data, reason, request_type \
         FROM {schema}.request WHERE {ours} AND request_id = {request};\n{returning}"
    )
}

/// Puts one row where it belongs; `false` if it is none of ours.
fn read_row(observed: &mut Observed, row: &Row) -> Result<bool, InspectError> {
    let Some(Some(tag)) = row.first() else { return Ok(false) };
    let row = Columns(row);
    let mut nobody = Ledger::default();
    let ledger = observed.ledger.as_mut().unwrap_or(&mut nobody);
    match tag.as_str() {
        "server" => {
            observed.server = Server {
                version: row.text(1)?,
                version_num: row.number(2)?,
                database: row.text(3)?,
                role: row.text(4)?,
                in_recovery: row.flag(5)?,
                now: row.number(6)?,
                is_ours: row.flag(7)?,
            };
        }
        "extension" => {
            let installed = Installed {
                version: row.text(2)?,
                schema: unquoted(&row.text(3)?),
                oid: row.number(4)?,
                relocatable: row.flag(5)?,
            };
            observed.installed.insert(row.text(1)?, installed);
        }
        "schema" => {
            observed.schemas.insert(row.text(1)?, row.number(2)?);
        }
        "resource" => {
            ledger.version = row.number(1)?;
            ledger.current_physical_id = row.optional(2);
            ledger.physical_ids =
                row.optional(3).map(|_| row.json(3)).transpose()?.unwrap_or_default();
            ledger.last_event_at = row.seconds(4)?;
            ledger.applied_sha256 = row.optional(5);
            ledger.has_tenants = row.optional(10).map(|it| it == "true");
            if let Some(by) = row.optional(6) {
                ledger.tombstone = Some(Tombstone {
                    by,
                    names_us: row.flag(7)?,
                    event_at: row.seconds(8)?,
                    written_at: row.number(9)?,
                });
            }
        }
        "object" => ledger.objects.push(Object {
            id: row.number(7)?,
            kind: match row.text(1)?.as_str() {
                "extension" => Kind::Extension,
                _ => Kind::Schema,
            },
            name: row.text(2)?,
            oid: row.number(3)?,
            origin: match row.text(4)?.as_str() {
                "created" => Origin::Created,
                _ => Origin::Adopted,
            },
            physical_id: row.text(5)?,
            shared: row.flag(6)?,
            oid_now: None,
        }),
        "request" => {
            ledger.request = Some(StoredRequest {
                request_type: row.text(5)?,
                status: match row.text(1)?.as_str() {
                    "success" => Status::Success,
                    "failed" => Status::Failed,
                    _ => Status::Running,
                },
                properties_sha256: row.text(2)?,
                data: row.optional(3).map(|_| row.json(3)).transpose()?.unwrap_or_default(),
                reason: row.optional(4),
            });
        }
        "returning" => ledger.returning = true,
        "history" => observed.history = Some(history::read_tables(&row)?),
        "offered" => observed.offered = Some(row.json(1)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// A name as PostgreSQL prints one of its `reg…` types: in quotes if it needs them.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// The objects of the ledger in the order in which they were written down, as they are now.
fn place(observed: &mut Observed) {
    let Observed { installed, schemas, ledger, .. } = observed;
    let Some(ledger) = ledger else { return };
    ledger.objects.sort_by_key(|it| it.id);
    for object in &mut ledger.objects {
        object.oid_now = match object.kind {
            Kind::Extension => installed.get(&object.name).map(|it| it.oid),
            Kind::Schema => schemas.get(&object.name).copied(),
        };
    }
}

/// One row's values, read by their place.
struct Columns<'a>(&'a Row);

impl Columns<'_> {
    fn optional(&self, at: usize) -> Option<String> {
        self.0.get(at).cloned().flatten()
    }

    fn text(&self, at: usize) -> Result<String, InspectError> {
        self.optional(at).ok_or_else(|| InspectError::Answer(format!("column {at} is missing")))
    }

    fn flag(&self, at: usize) -> Result<bool, InspectError> {
        Ok(self.text(at)? == "t")
    }

    fn number<T: std::str::FromStr>(&self, at: usize) -> Result<T, InspectError> {
        let text = self.text(at)?;
        text.parse().map_err(|_| InspectError::Answer(format!("`{text}` is no number")))
    }

    /// Whole seconds, of an epoch that the server gives with fractions.
    fn seconds(&self, at: usize) -> Result<Option<u64>, InspectError> {
        let Some(text) = self.optional(at) else { return Ok(None) };
        let whole = text.split('.').next().unwrap_or_default();
        let number = whole.parse();
        number.map(Some).map_err(|_| InspectError::Answer(format!("`{text}` is no time")))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, at: usize) -> Result<T, InspectError> {
        serde_json::from_str(&self.text(at)?)
            .map_err(|error| InspectError::Answer(error.to_string()))
    }
}

/// The installed extensions as they are now, within the transaction at hand; in the same round
/// trip, `before` runs first for its effect.
pub async fn installed(
    session: &Session,
    before: &str,
) -> Result<BTreeMap<String, Installed>, SqlError> {
    let mut observed = Observed::default();
    for row in session.run(&format!("{before}{INSTALLED}")).await? {
        read_row(&mut observed, &row).map_err(|error| SqlError::unexpected(error.to_string()))?;
    }
    Ok(observed.installed)
}
