//! The ledger: its tables, and the statements that write to it.
//!
//! Each function returns SQL text, so that a step, its ledger rows and the
//! commit travel in one round trip. Reading is [`inspect`](crate::inspect)'s.

mod changeset;
mod schema;
mod tenant;

pub use changeset::Progress;
pub use schema::{DEFAULT, default_schema, schema};
pub use tenant::of_a_schema;

use crate::ident::Identifier;
use crate::observed::{Kind, Ledger};
use crate::outcome::Outcome;
use crate::plan::Claim;
use crate::request::RequestType;
use crate::sql::{literal, nullable, text_array};

/// Raised by `assert_wanted` if a Delete came meanwhile.
pub const GONE: &str = "ES410";

/// Raised by `assert_wanted` if the transaction is not ours any more.
pub const TRANSACTION_ENDED: &str = "ES409";

/// The request whose work is written down.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The ledger's schema.
    pub ledger: &'a Identifier,
    /// The stack, or what stands for one.
    pub stack_id: &'a str,
    /// The resource in it.
    pub logical_id: &'a str,
    /// The request.
    pub request_id: &'a str,
    /// What it is.
    pub kind: RequestType,
    /// Hash of its properties.
    pub properties_sha256: String,
    /// The physical id that it came with, if any.
    pub incoming_id: Option<&'a str>,
    /// The physical id that it is answered with.
    pub physical_id: &'a str,
    /// When CloudFormation made it, in seconds since 1970.
    pub event_at: Option<u64>,
    /// Who runs it, for the audit.
    pub labels: &'a Labels,
    /// Whether tenants follow, with which the request ends.
    pub goes_on: bool,
}

/// Free labels of a run, for the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// `--environment`.
    pub environment: Option<String>,
    /// `--build-id`.
    pub build_id: Option<String>,
    /// `--run-id`.
    pub run_id: Option<String>,
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// The step.
    pub action: String,
    /// `success`, `no_change`, `warning` or `error`.
    pub status: &'static str,
    /// How long it took.
    pub duration_ms: u128,
    /// What there is to say.
    pub message: Option<String>,
}

/// Notes the time of a resource's newest event, and the ids that it makes known.
const SEEN: &str = "physical_ids = \
     ARRAY(SELECT DISTINCT unnest(resource.physical_ids || EXCLUDED.physical_ids)), \
     last_event_at = greatest(resource.last_event_at, EXCLUDED.last_event_at), \
     updated_at = EXCLUDED.updated_at";

impl Entry<'_> {
    /// The ledger's schema as SQL.
    fn schema(&self) -> String {
        self.ledger.quoted()
    }

    fn key(&self) -> String {
        format!(
            "{}, {}, {}",
            literal(self.stack_id),
            literal(self.logical_id),
            literal(self.request_id)
        )
    }

    fn resource(&self) -> String {
        format!("{}, {}", literal(self.stack_id), literal(self.logical_id))
    }

    fn event_at(&self) -> String {
        self.event_at.map_or("NULL::timestamptz".into(), |at| format!("to_timestamp({at})"))
    }

    /// Fails the statement batch if the work is not wanted any more.
    ///
    /// `since` is the server's clock when this invocation first looked.
    pub fn assert_wanted(&self, since: f64) -> String {
        let schema = self.schema();
        format!(
            "SELECT {schema}.assert_wanted({}, {}, to_timestamp({since:.6}));",
            self.key(),
            self.event_at(),
        )
    }

    /// Begins the transaction that the work is done in, and marks it as ours.
    pub fn begin(&self) -> String {
        format!("BEGIN; {}", self.marked())
    }

    /// Marks the transaction at hand as ours.
    pub fn marked(&self) -> String {
        format!("SELECT set_config('execute_sql.working', {}, true);", literal(self.request_id))
    }

    /// Takes the request up: from now on a Delete knows it.
    pub fn running(&self) -> String {
        format!(
            "{}{} ON CONFLICT (stack_id, logical_id) DO UPDATE SET {};\n",
            self.request("'running'", "NULL", "NULL"),
            self.insert_resource("NULL", "NULL"),
            SEEN,
        )
    }

    /// The request's row; every column of an earlier attempt is overwritten.
    fn request(&self, status: &str, data: &str, reason: &str) -> String {
        format!(
            "{} ON CONFLICT (stack_id, logical_id, request_id) DO UPDATE SET \
             status = EXCLUDED.status, request_type = EXCLUDED.request_type, \
             properties_sha256 = EXCLUDED.properties_sha256, \
             physical_id = EXCLUDED.physical_id, event_at = EXCLUDED.event_at, \
             data = EXCLUDED.data, reason = EXCLUDED.reason, finished_at = EXCLUDED.finished_at, \
             attempts = request.attempts + CASE EXCLUDED.status WHEN 'failed' THEN 0 ELSE 1 END, \
             started_at = CASE EXCLUDED.status WHEN 'failed' THEN request.started_at \
             ELSE EXCLUDED.started_at END;\n",
            self.insert_request(status, data, reason),
        )
    }

    fn insert_request(&self, status: &str, data: &str, reason: &str) -> String {
        let schema = self.schema();
        let finished = if status == "'running'" { "NULL" } else { "clock_timestamp()" };
        format!(
            "INSERT INTO {schema}.request (stack_id, logical_id, request_id, request_type, \
             properties_sha256, physical_id, event_at, status, data, reason, finished_at) \
             VALUES ({}, {}, {}, {}, {}, {status}, {data}, {reason}, {finished})",
            self.key(),
            literal(self.kind.as_str()),
            literal(&self.properties_sha256),
            literal(self.physical_id),
            self.event_at(),
        )
    }

    fn insert_resource(&self, current: &str, applied: &str) -> String {
        let schema = self.schema();
        format!(
            "INSERT INTO {schema}.resource (stack_id, logical_id, last_event_at, \
             current_physical_id, applied_sha256, physical_ids) \
             VALUES ({}, {}, {current}, {applied}, {})",
            self.resource(),
            self.event_at(),
            self.ids(),
        )
    }

    /// The ids that the request makes known: what it came with, and what it is answered with.
    /// The id that a Delete comes with may be made up, so a Delete makes none known.
    fn ids(&self) -> String {
        match self.kind {
            RequestType::Delete => text_array([]),
            _ => text_array(self.incoming_id.into_iter().chain([self.physical_id])),
        }
    }

    /// Everything was as wanted, of a resource that the ledger knows under the same id:
    /// request and resource in one plain statement, for no request is more common.
    ///
    /// Gives a row if the resource is still wanted; without one nothing is written. The
    /// tombstone was looked at before; another one since then is another Delete.
    pub fn kept(&self, outcome: &Outcome, known: &Ledger) -> String {
        let schema = self.schema();
        let data = serde_json::to_string(&outcome.data).expect("strings always serialize");
        let seen = nullable(known.tombstone.as_ref().map(|it| it.by.as_str()));
        format!(
            "WITH kept AS (UPDATE {schema}.resource \
             SET last_event_at = greatest(last_event_at, {}), applied_sha256 = {}, \
             updated_at = clock_timestamp() WHERE stack_id = {} AND logical_id = {} \
             AND tombstone_by IS NOT DISTINCT FROM {seen} RETURNING 'kept') \
             INSERT INTO {schema}.request (stack_id, logical_id, request_id, request_type, \
             properties_sha256, physical_id, event_at, status, data, reason, finished_at) \
             SELECT {}, {}, {}, {}, {}, 'success', {}::jsonb, {}, clock_timestamp() FROM kept \
             ON CONFLICT (stack_id, logical_id, request_id) DO UPDATE SET \
             status = EXCLUDED.status, request_type = EXCLUDED.request_type, \
             properties_sha256 = EXCLUDED.properties_sha256, \
             physical_id = EXCLUDED.physical_id, event_at = EXCLUDED.event_at, \
             data = EXCLUDED.data, reason = EXCLUDED.reason, finished_at = EXCLUDED.finished_at, \
             attempts = request.attempts + 1 RETURNING 'kept';\n",
            self.event_at(),
            literal(&self.properties_sha256),
            literal(self.stack_id),
            literal(self.logical_id),
            self.key(),
            literal(self.kind.as_str()),
            literal(&self.properties_sha256),
            literal(self.physical_id),
            self.event_at(),
            literal(&data),
            literal(&outcome.reason),
        )
    }

    /// Whether [`kept`](Self::kept) is enough for what the ledger knows.
    pub fn is_known(&self, ledger: &Ledger) -> bool {
        !self.goes_on
            && ledger.current_physical_id.as_deref() == Some(self.physical_id)
            && self.incoming_id.is_none_or(|id| id == self.physical_id)
    }

    /// What a resource has, after a Create or Update: made by it if `created` says so.
    pub fn claims(&self, claims: &[Claim], created: &[Claim]) -> String {
        let schema = self.schema();
        let claim = |claim: &Claim| {
            let (catalog, kind, column) = match claim.kind {
                Kind::Extension => ("pg_extension", "extension", "extname"),
                Kind::Schema => ("pg_namespace", "schema", "nspname"),
            };
            let origin = if created.contains(claim) { "created" } else { "adopted" };
            format!(
                "INSERT INTO {schema}.object (stack_id, logical_id, physical_id, kind, name, oid, \
                 origin) SELECT {}, {}, '{kind}', {column}, oid, '{origin}' FROM {catalog} \
                 WHERE {column} = {} \
                 ON CONFLICT (stack_id, logical_id, kind, name) DO UPDATE SET \
                 physical_id = EXCLUDED.physical_id, oid = EXCLUDED.oid, \
                 origin = CASE WHEN object.oid = EXCLUDED.oid THEN object.origin \
                 ELSE EXCLUDED.origin END;\n",
                self.resource(),
                literal(self.physical_id),
                literal(claim.name.as_str()),
            )
        };
        claims.iter().map(claim).collect()
    }

    /// The request, taken up before, ended well: its answer is kept, and the resource is as it asked.
    /// Nothing while it goes on.
    pub fn applied(&self, outcome: &Outcome) -> String {
        if self.goes_on {
            return String::new();
        }
        let schema = self.schema();
        format!(
            "{}UPDATE {schema}.resource SET current_physical_id = {}, applied_sha256 = {}, \
             updated_at = clock_timestamp() WHERE (stack_id, logical_id) = ({});\n",
            self.ended(outcome),
            literal(self.physical_id),
            literal(&self.properties_sha256),
            self.resource(),
        )
    }

    fn ended(&self, outcome: &Outcome) -> String {
        let schema = self.schema();
        let data = serde_json::to_string(&outcome.data).expect("strings always serialize");
        format!(
            "UPDATE {schema}.request SET status = 'success', data = {}::jsonb, reason = {}, \
             finished_at = clock_timestamp() \
             WHERE (stack_id, logical_id, request_id) = ({});\n",
            literal(&data),
            literal(&outcome.reason),
            self.key(),
        )
    }

    /// The resource ended well, and what it had is nobody's now. Of an earlier id
    /// (`only`) what is still there goes over to the current one.
    pub fn deleted(&self, outcome: &Outcome, only: Option<&str>) -> String {
        let schema = self.schema();
        let resource = self.resource();
        let ours = format!("(stack_id, logical_id) = ({resource})");
        let end = match only.map(literal) {
            Some(id) => format!(
                "DELETE FROM {schema}.object WHERE {ours} AND physical_id = {id} AND oid NOT IN \
                 (SELECT oid FROM pg_extension UNION ALL SELECT oid FROM pg_namespace);\n\
                 UPDATE {schema}.object SET physical_id = resource.current_physical_id \
                 FROM {schema}.resource WHERE (resource.stack_id, resource.logical_id) = ({resource}) \
                 AND (object.stack_id, object.logical_id) = ({resource}) \
                 AND object.physical_id = {id} AND resource.current_physical_id IS NOT NULL;\n"
            ),
            None => format!(
                "DELETE FROM {schema}.object WHERE {ours};\n\
                 UPDATE {schema}.resource SET current_physical_id = NULL, applied_sha256 = NULL \
                 WHERE {ours};\n"
            ),
        };
        format!("{}{end}", self.ended(outcome))
    }

    /// The request failed; the reason is kept for people, never answered again.
    pub fn failed(&self, reason: &str) -> String {
        self.request("'failed'", "NULL", &literal(reason))
    }

    /// Stops every request for the resource that came before this Delete.
    pub fn tombstone(&self) -> String {
        let schema = self.schema();
        format!(
            "{} ON CONFLICT (stack_id, logical_id) DO NOTHING;\n\
             UPDATE {schema}.resource SET tombstone_by = {}, tombstone_event_at = {}, \
             tombstone_at = clock_timestamp(), tombstone_for = ARRAY(SELECT request_id \
             FROM {schema}.request WHERE (stack_id, logical_id) = ({}) \
             AND request_type <> 'Delete') WHERE (stack_id, logical_id) = ({});\n",
            self.insert_resource("NULL", "NULL"),
            literal(self.request_id),
            self.event_at(),
            self.resource(),
            self.resource(),
        )
    }

    /// The steps, as the audit tells them.
    pub fn audit(&self, rows: &[AuditRow]) -> String {
        if rows.is_empty() {
            return String::new();
        }
        let schema = self.schema();
        let row = |row: &AuditRow| {
            let message = nullable(row.message.as_deref());
            format!("({}, '{}', {}, {message})", literal(&row.action), row.status, row.duration_ms)
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        format!(
            "INSERT INTO {schema}.audit (stack_id, logical_id, request_id, environment, \
             build_id, run_id, action, status, duration_ms, message) \
             SELECT {}, {}, {}, {}, action, status, millis, message::text \
             FROM (VALUES {}) AS step (action, status, millis, message);\n",
            self.key(),
            nullable(self.labels.environment.as_deref()),
            nullable(self.labels.build_id.as_deref()),
            nullable(self.labels.run_id.as_deref()),
            rows.join(",\n"),
        )
    }
}
