//! The ledger: its tables, and the statements that write to it.
//!
//! Each function returns SQL text, so that a step, its ledger rows and the
//! commit travel in one round trip. Reading is [`inspect`](crate::inspect)'s.

use crate::observed::Kind;
use crate::outcome::Outcome;
use crate::plan::Claim;
use crate::request::RequestType;
use crate::sql::{literal, nullable, text_array};

/// The statements that make the ledger; they may run again.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Raised by `assert_wanted` if a Delete came meanwhile.
pub const GONE: &str = "ES410";

/// Raised by `assert_wanted` if the transaction is not ours any more.
pub const TRANSACTION_ENDED: &str = "ES409";

/// The request whose work is written down.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
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

impl Entry<'_> {
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
        format!(
            "SELECT execute_sql.assert_wanted({}, {}, to_timestamp({since:.6}));",
            self.key(),
            self.event_at(),
        )
    }

    /// Begins the transaction that the work is done in, and marks it as ours.
    pub fn begin(&self) -> String {
        let mark = literal(self.request_id);
        format!("BEGIN; SELECT set_config('execute_sql.working', {mark}, true);")
    }

    /// Takes the request up: from now on a Delete knows it.
    pub fn running(&self) -> String {
        format!(
            "{} ON CONFLICT (stack_id, logical_id, request_id) DO UPDATE SET status = 'running', \
             request_type = EXCLUDED.request_type, properties_sha256 = EXCLUDED.properties_sha256, \
             physical_id = EXCLUDED.physical_id, attempts = request.attempts + 1, \
             event_at = EXCLUDED.event_at, started_at = clock_timestamp(), \
             data = NULL, reason = NULL, finished_at = NULL;\n{}",
            self.insert(),
            self.seen(),
        )
    }

    fn insert(&self) -> String {
        format!(
            "INSERT INTO execute_sql.request (stack_id, logical_id, request_id, request_type, \
             properties_sha256, physical_id, status, event_at) \
             VALUES ({}, {}, {}, {}, 'running', {})",
            self.key(),
            literal(self.kind.as_str()),
            literal(&self.properties_sha256),
            literal(self.physical_id),
            self.event_at(),
        )
    }

    /// Notes the resource, the time of its newest event, and the id that came in.
    fn seen(&self) -> String {
        let ids = self.incoming_id.map(|id| {
            format!(
                "INSERT INTO execute_sql.physical_id (stack_id, logical_id, physical_id) \
                 VALUES ({}, {}) ON CONFLICT DO NOTHING;\n",
                self.resource(),
                literal(id),
            )
        });
        // The id that a Delete comes with may be made up; only a Create or Update makes ids known.
        let ids = ids.filter(|_| self.kind != RequestType::Delete).unwrap_or_default();
        format!(
            "{ids}INSERT INTO execute_sql.resource (stack_id, logical_id, last_event_at) \
             VALUES ({}, {}) ON CONFLICT (stack_id, logical_id) DO UPDATE SET \
             last_event_at = greatest(resource.last_event_at, EXCLUDED.last_event_at), \
             updated_at = clock_timestamp();\n",
            self.resource(),
            self.event_at(),
        )
    }

    /// What a resource has, after a Create or Update: made by it if `created` says so.
    pub fn claims(&self, claims: &[Claim], created: &[Claim]) -> String {
        let claim = |claim: &Claim| {
            let (catalog, kind, column) = match claim.kind {
                Kind::Extension => ("pg_extension", "extension", "extname"),
                Kind::Schema => ("pg_namespace", "schema", "nspname"),
            };
            let origin = if created.contains(claim) { "created" } else { "adopted" };
            format!(
                "INSERT INTO execute_sql.object (stack_id, logical_id, physical_id, kind, name, oid, \
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
    pub fn applied(&self, outcome: &Outcome) -> String {
        format!(
            "{}INSERT INTO execute_sql.physical_id (stack_id, logical_id, physical_id) \
             VALUES ({}, {}) ON CONFLICT DO NOTHING;\n\
             UPDATE execute_sql.resource SET current_physical_id = {}, applied_sha256 = {} \
             WHERE (stack_id, logical_id) = ({});\n",
            self.success(outcome),
            self.resource(),
            literal(self.physical_id),
            literal(self.physical_id),
            literal(&self.properties_sha256),
            self.resource(),
        )
    }

    fn success(&self, outcome: &Outcome) -> String {
        let data = serde_json::to_string(&outcome.data).expect("strings always serialize");
        format!(
            "UPDATE execute_sql.request SET status = 'success', data = {}::jsonb, reason = {}, \
             finished_at = clock_timestamp() \
             WHERE (stack_id, logical_id, request_id) = ({});\n",
            literal(&data),
            literal(&outcome.reason),
            self.key(),
        )
    }

    /// The resource ended well. What it had is nobody's now; with an earlier id
    /// (`only`) that holds for that id alone.
    pub fn deleted(&self, outcome: &Outcome, only: Option<&str>) -> String {
        let resource = self.resource();
        let (objects, end) = match only {
            Some(id) => (format!(" AND physical_id = {}", literal(id)), String::new()),
            None => (
                String::new(),
                format!(
                    "UPDATE execute_sql.resource SET current_physical_id = NULL, \
                     applied_sha256 = NULL WHERE (stack_id, logical_id) = ({resource});\n"
                ),
            ),
        };
        format!(
            "{}DELETE FROM execute_sql.object WHERE (stack_id, logical_id) = ({resource}){objects};\n\
             {end}",
            self.success(outcome),
        )
    }

    /// The request failed; the reason is kept for people, never answered again.
    pub fn failed(&self, reason: &str) -> String {
        format!(
            "{} ON CONFLICT DO NOTHING;\n\
             UPDATE execute_sql.request SET status = 'failed', reason = {}, \
             finished_at = clock_timestamp() \
             WHERE (stack_id, logical_id, request_id) = ({});\n",
            self.insert(),
            literal(reason),
            self.key(),
        )
    }

    /// Stops every request for the resource that came before this Delete.
    pub fn tombstone(&self) -> String {
        format!(
            "INSERT INTO execute_sql.tombstone (stack_id, logical_id, request_id, requests, event_at) \
             SELECT {}, coalesce(array_agg(request_id), {}), {} FROM execute_sql.request \
             WHERE (stack_id, logical_id) = ({}) AND request_type <> 'Delete' \
             ON CONFLICT DO NOTHING;",
            self.key(),
            text_array([]),
            self.event_at(),
            self.resource(),
        )
    }

    /// The steps, as the audit tells them.
    pub fn audit(&self, rows: &[AuditRow]) -> String {
        let row = |row: &AuditRow| {
            format!(
                "INSERT INTO execute_sql.audit (stack_id, logical_id, request_id, environment, \
                 build_id, run_id, action, status, duration_ms, message) \
                 VALUES ({}, {}, {}, {}, {}, '{}', {}, {});\n",
                self.key(),
                nullable(self.labels.environment.as_deref()),
                nullable(self.labels.build_id.as_deref()),
                nullable(self.labels.run_id.as_deref()),
                literal(&row.action),
                row.status,
                row.duration_ms,
                nullable(row.message.as_deref()),
            )
        };
        rows.iter().map(row).collect()
    }
}
