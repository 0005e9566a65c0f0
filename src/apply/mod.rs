//! Carries out a plan, step by step, with no choices left to make.
//!
//! Steps run in one transaction; [`changesets`] have theirs. Every step is guarded: before it runs the server checks that no Delete came
//! meanwhile and that the transaction is still ours. A step that fails undoes
//! all of them. The caller writes the ledger and commits, so that what was done
//! and the memory of it are one.

pub mod changesets;
pub mod tenants;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use crate::budget::Budget;
use crate::ledger::{AuditRow, Entry};
use crate::observed::{Installed, Kind};
use crate::plan::ownership::{Left, Why};
use crate::plan::{Claim, Step};
use crate::postgres::{Session, SqlError};
use crate::sql::{line_and_column, literal};

/// What was done in a transaction that is not committed yet.
#[derive(Debug, Default)]
pub struct Applied {
    /// One row per step.
    pub rows: Vec<AuditRow>,
    /// What was made.
    pub created: Vec<Claim>,
    /// What was to be dropped and could not be.
    pub left: Vec<Left>,
    /// The extensions now.
    pub after: BTreeMap<String, Installed>,
}

/// A step failed; what came before it in the same transaction is undone.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct ApplyError {
    /// The step, as the plan shows it; `None` for the commit.
    pub step: Option<String>,
    /// The steps that had run and were undone.
    pub undone: usize,
    /// Whether the step is of our own making, rather than a text of the template.
    pub ours: bool,
    /// Line and column in the step's text.
    pub at: Option<(usize, usize)>,
    /// What the server said.
    #[source]
    pub source: SqlError,
}

impl ApplyError {
    /// An error of the transaction itself, after `undone` steps.
    pub fn outside(undone: usize, source: SqlError) -> Self {
        Self { step: None, undone, ours: true, at: None, source }
    }

    fn text(&self) -> String {
        let mut text = match (&self.step, self.at) {
            (Some(step), Some((line, column))) => {
                format!("`{step}` failed at {line}:{column}: {}", self.source)
            }
            (Some(step), None) => format!("`{step}` failed: {}", self.source),
            (None, _) => format!("the commit failed: {}", self.source),
        };
        if self.undone > 0 {
            let _infallible = write!(text, "; {} steps before it were undone", self.undone);
        }
        text
    }

    /// Whether the same work may succeed if it is tried again from the start.
    pub fn heals(&self) -> bool {
        self.source.heals() || (self.ours && self.source.is_catalog_race())
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self.source.sqlstate.as_deref() {
            Some(crate::ledger::TRANSACTION_ENDED) => Some(
                "Leave COMMIT, ROLLBACK, BEGIN, RESET ALL and DISCARD out of the statements."
                    .into(),
            ),
            _ => self.source.hint(),
        }
    }
}

/// Begins the transaction that steps run in.
pub async fn begin(session: &Session, entry: &Entry<'_>) -> Result<(), ApplyError> {
    let begun = session.run(&entry.begin()).await;
    begun.map(drop).map_err(|source| ApplyError::outside(0, source))
}

/// Runs `steps` in the transaction at hand and leaves it open.
pub async fn run(
    session: &Session,
    entry: &Entry<'_>,
    steps: &[Step],
    since: f64,
    budget: &Budget,
) -> Result<Applied, ApplyError> {
    let mut applied = Applied::default();
    for (undone, step) in steps.iter().enumerate() {
        let shown = step.to_string();
        budget.doing(format!("running `{shown}`"));
        tracing::info!(step = shown, "running");
        let started = Instant::now();
        let failed = |source: SqlError| {
            let text = if let Step::RunSql { sql, .. } = step { Some(sql) } else { None };
            let at = text.and_then(|sql| position(sql, &source));
            ApplyError { step: Some(shown.clone()), undone, ours: text.is_none(), at, source }
        };
        let guard = format!("{}{}", budget.set_local(), entry.assert_wanted(since));
        session.run(&guard).await.map_err(failed)?;
        let left = carry_out(session, step).await.map_err(failed)?;
        applied.rows.push(AuditRow {
            action: shown.clone(),
            status: if left.is_some() { "warning" } else { "success" },
            duration_ms: started.elapsed().as_millis(),
            message: left.as_ref().map(ToString::to_string),
        });
        applied.left.extend(left);
        applied.created.extend(created(step));
    }
    Ok(applied)
}

/// A statement is sent as it stands, so the server's position is one in its text.
fn position(sql: &str, error: &SqlError) -> Option<(usize, usize)> {
    error.position.map(|at| line_and_column(sql, at))
}

fn created(step: &Step) -> Option<Claim> {
    match step {
        Step::CreateExtension { name, .. } => {
            Some(Claim { kind: Kind::Extension, name: name.clone() })
        }
        Step::CreateSchema { name } => Some(Claim { kind: Kind::Schema, name: name.clone() }),
        _ => None,
    }
}

/// Does one step in the transaction at hand; gives what it had to leave.
pub async fn carry_out(session: &Session, step: &Step) -> Result<Option<Left>, SqlError> {
    match step {
        Step::CreateSchema { name } => {
            session.run(&format!("CREATE SCHEMA {}", name.quoted())).await?;
        }
        Step::CreateExtension { name, version, schema, .. } => {
            let schema = schema.as_ref().map(|it| format!(" SCHEMA {}", it.quoted()));
            let schema = schema.unwrap_or_default();
            let version = literal(version);
            session
                .run(&format!("CREATE EXTENSION {}{schema} VERSION {version}", name.quoted()))
                .await?;
        }
        Step::UpdateExtension { name, to, .. } => {
            let to = literal(to);
            session.run(&format!("ALTER EXTENSION {} UPDATE TO {to}", name.quoted())).await?;
        }
        Step::MoveExtension { name, to, .. } => {
            let (name, to) = (name.quoted(), to.quoted());
            session.run(&format!("ALTER EXTENSION {name} SET SCHEMA {to}")).await?;
        }
        Step::RunSql { sql, .. } => {
            session.run(sql).await?;
            // What a statement sets must not change how the next one is understood.
            session.run("RESET SESSION AUTHORIZATION; RESET ROLE; RESET search_path").await?;
        }
        Step::RecordChecksums { .. }
        | Step::RecordChangesets { .. }
        | Step::RunChangeset { .. }
        | Step::CloseDatabase { .. }
        | Step::CloseSchema { .. }
        | Step::Tenant { .. } => {
            return Err(SqlError::unexpected("this is no step of this transaction".into()));
        }
        Step::DropExtension { name, oid } => {
            let look = format!(
                "SELECT oid::int8 FROM pg_extension WHERE extname = {}",
                literal(name.as_str())
            );
            let drop = format!("DROP EXTENSION {}", name.quoted());
            return drop_alone(session, Kind::Extension, name.as_str(), *oid, &look, &drop).await;
        }
        Step::DropSchema { name, oid } => {
            let look = format!(
                "SELECT oid::int8 FROM pg_namespace WHERE nspname = {}",
                literal(name.as_str())
            );
            let drop = format!("DROP SCHEMA {}", name.quoted());
            return drop_alone(session, Kind::Schema, name.as_str(), *oid, &look, &drop).await;
        }
    }
    Ok(None)
}

/// Drops an object if it is still the same and nothing depends on it.
async fn drop_alone(
    session: &Session,
    kind: Kind,
    name: &str,
    oid: u32,
    look: &str,
    drop: &str,
) -> Result<Option<Left>, SqlError> {
    const DEPENDENTS: &str = "2BP01";
    let left = |why| Ok(Some(Left { kind, name: name.to_owned(), why }));
    match session.value(look).await?.and_then(|it| it.parse::<u32>().ok()) {
        None => return Ok(None),
        Some(now) if now != oid => return left(Why::Replaced),
        Some(_) => {}
    }
    session.run("SAVEPOINT before_drop").await?;
    match session.run(drop).await {
        Ok(_) => session.run("RELEASE SAVEPOINT before_drop").await.map(|_| None),
        Err(error) if error.sqlstate.as_deref() == Some(DEPENDENTS) => {
            session.run("ROLLBACK TO SAVEPOINT before_drop").await?;
            let detail = error.detail.unwrap_or(error.message);
            left(Why::NeededBy(detail.lines().next().unwrap_or_default().to_owned()))
        }
        Err(error) => Err(error),
    }
}
