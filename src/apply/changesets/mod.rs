//! Runs changesets, each with its row in the history.
//!
//! A changeset that may is one message: its transaction, its text, its row and
//! the ledger's, and the commit ([`whole`]). One that copies data, or that is too
//! long to hold, goes statement by statement within one transaction; one that PostgreSQL refuses in
//! a transaction goes statement by statement outside of one, and the ledger knows how far it
//! came ([`stepwise`]). What waits for a lock too long is tried again.

mod error;
mod index;
mod pieces;
mod precondition;
mod rehearse;
mod stepwise;
mod whole;

use std::time::{Duration, Instant};

pub use error::{Cause, ChangesetError};
pub use rehearse::{rehearse, tables};

use crate::budget::Budget;
use crate::changelog::flyway;
use crate::changelog::precondition::Otherwise;
use crate::changelog::{Change, Changeset, Identity, Loaded, Work};
use crate::history::{Deployment, Executed, Table};
use crate::ident::Identifier;
use crate::ledger::{AuditRow, Entry, Progress};
use crate::observed::Interrupted;
use crate::plan::{Ran, Why};
use crate::postgres::{Session, SqlError};
use whole::Shape;

/// What all changesets of a run share.
pub struct Run<'a> {
    /// The session; it holds the lock.
    pub session: &'a Session,
    /// For whom.
    pub entry: &'a Entry<'a>,
    /// The changelog.
    pub loaded: &'a Loaded,
    /// The history.
    pub table: &'a Table,
    /// The run's number and place in the order.
    pub deployment: Deployment,
    /// The server's clock when this invocation first looked.
    pub since: f64,
    /// What ran before this run.
    pub ran: &'a Ran<'a>,
    /// The time for it.
    pub budget: &'a Budget,
    /// What was begun earlier and did not end.
    pub interrupted: &'a [Interrupted],
    /// How far the attempts of this run came with the changeset that failed last, if it goes
    /// statement by statement outside of a transaction.
    pub came_to: Option<(Identity, Progress)>,
    /// Flyway's table as SQL, where there is one: it goes on, so that one can return to it.
    pub flyway: Option<String>,
    /// How many changesets of this run are committed.
    pub stand: usize,
    /// How many rows the statements around changesets gave or wrote.
    pub own_rows: u64,
}

/// Whose transaction a changeset is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// Its own.
    Own,
    /// One that is open already, and that somebody else commits.
    Open,
}

/// How a changeset ended that did not end the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It ran.
    Ran,
    /// A precondition says that it counts as run.
    MarkedRan(String),
    /// It did not run, and is asked again next time.
    Skipped(String),
}

impl Run<'_> {
    /// Runs one changeset. Everything that a retry can heal on the same session is healed here.
    pub async fn changeset(
        &mut self,
        number: usize,
        why: Why,
        within: Within,
    ) -> Result<(Ended, AuditRow), ChangesetError> {
        let loaded = self.loaded;
        let changeset = &loaded.changelog.changesets[number];
        let shown = format!("changeset {}", changeset.identity);
        self.budget.doing(format!("running {shown} ({})", changeset.place));
        let started = Instant::now();
        let ended = self.checked(changeset, why, within).await.map_err(|mut error| {
            error.stand = self.stand;
            error
        })?;
        if ended == Ended::Ran && within == Within::Own {
            self.stand += 1;
        }
        let duration_ms = started.elapsed().as_millis();
        let (status, message) = match &ended {
            Ended::Ran => ("success", None),
            Ended::MarkedRan(why) | Ended::Skipped(why) => ("warning", Some(why.clone())),
        };
        match &message {
            None => tracing::info!(changeset = shown, duration_ms, "ran"),
            Some(why) => tracing::warn!(changeset = shown, "{why}"),
        }
        Ok((ended, AuditRow { action: shown, status, duration_ms, message }))
    }

    /// Asks its preconditions first.
    async fn checked(
        &mut self,
        changeset: &Changeset,
        why: Why,
        within: Within,
    ) -> Result<Ended, ChangesetError> {
        // One that was begun met its conditions then, and may have unmade them since.
        let asked = changeset.preconditions.as_ref().filter(|_| why != Why::Interrupted);
        let mut warning = None;
        if let Some(preconditions) = asked {
            let unmet = precondition::unmet(self.session, self.table, preconditions, within).await;
            if let Some(unmet) = unmet.map_err(|it| ChangesetError::new(changeset, None, it))? {
                match unmet.otherwise {
                    Otherwise::Halt => {
                        let cause =
                            Cause::Precondition { shown: unmet.shown, message: unmet.message };
                        return Err(ChangesetError::new(changeset, None, cause));
                    }
                    Otherwise::Continue => return Ok(Ended::Skipped(unmet.text())),
                    Otherwise::MarkRan => {
                        self.mark(changeset, within)
                            .await
                            .map_err(|it| ChangesetError::new(changeset, None, it))?;
                        return Ok(Ended::MarkedRan(unmet.text()));
                    }
                    Otherwise::Warn => warning = Some(unmet.text()),
                }
            }
        }
        if let Some(warning) = warning {
            tracing::warn!(changeset = changeset.identity.to_string(), "{warning}; it runs anyway");
        }
        // Of a script that ran in Flyway's time there is no row to write anew.
        let how = self.ran.row(changeset).map_or(Executed::First, Executed::Again);
        match self.patiently(changeset, how, within).await {
            Ok(()) => Ok(Ended::Ran),
            Err(error) if may_fail(changeset, &error) => Ok(Ended::Skipped(format!(
                "it failed and may (failOnError is false): {}",
                error.cause
            ))),
            Err(error) => Err(error),
        }
    }

    /// Tries again while a lock is not to be had in time; each time from the beginning, for a
    /// changeset that waits keeps others waiting.
    async fn patiently(
        &mut self,
        changeset: &Changeset,
        how: Executed<'_>,
        within: Within,
    ) -> Result<(), ChangesetError> {
        let mut wait = Duration::from_millis(100);
        let mut stepwise = false;
        loop {
            let error = match self.once(changeset, how, within, stepwise).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let state = error.sql().and_then(|it| it.sqlstate.as_deref()).unwrap_or_default();
            if within == Within::Own && !stepwise && refuses_transaction(state) {
                // Nothing of it stands, and now it is known that it needs none.
                stepwise = true;
                continue;
            }
            let again = within == Within::Own && waits(state);
            if !again || !self.budget.pause(wait).await {
                return Err(error);
            }
            tracing::warn!(changeset = error.changeset, "{error}; trying again");
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

    async fn once(
        &mut self,
        changeset: &Changeset,
        how: Executed<'_>,
        within: Within,
        apart: bool,
    ) -> Result<(), ChangesetError> {
        let next = self.deployment.next;
        let fail = |it| ChangesetError::new(changeset, None, it);
        let shape =
            if apart { Shape::Outside } else { self.shape(changeset).await.map_err(fail)? };
        let ran = match shape {
            Shape::OneMessage(parts) => self.whole(changeset, how, within, &parts).await,
            Shape::Pieces => self.inside(changeset, how, within).await,
            Shape::Outside => self.outside(changeset, how).await,
        };
        if ran.is_err() {
            self.deployment.next = next;
        }
        ran
    }

    /// Whether a changeset cannot be part of a transaction.
    pub async fn needs_outside(&self, number: usize) -> Result<bool, ChangesetError> {
        let changeset = &self.loaded.changelog.changesets[number];
        let shape = self.shape(changeset).await;
        let shape = shape.map_err(|it| ChangesetError::new(changeset, None, it))?;
        Ok(matches!(shape, Shape::Outside))
    }

    async fn shape<'c>(&self, changeset: &'c Changeset) -> Result<Shape<'c>, Cause> {
        if !changeset.run.in_transaction {
            return Ok(Shape::Outside);
        }
        let shape = whole::shape(changeset)?;
        let long = changeset
            .changes
            .iter()
            .any(|it| matches!(&it.work, Work::Sql(text) if text.held.is_none()));
        let fits = pieces::fits_a_transaction(self.session, changeset, &self.loaded.files);
        if matches!(shape, Shape::Pieces) && long && !fits.await? {
            return Ok(Shape::Outside);
        }
        Ok(shape)
    }

    /// What follows a changeset's text in the same transaction: the session is as before, nobody
    /// took the resource away, and the row says that it ran.
    fn recorded(&mut self, changeset: &Changeset, how: Executed<'_>, started: &str) -> String {
        // The mark, the guard, the history's row and the ledger's.
        self.own_rows += 4;
        let flyway = match (&self.flyway, &changeset.flyway) {
            (Some(table), Some(script)) => flyway::history_insert(table, script, 0),
            _ => String::new(),
        };
        let texts = changeset.changes.iter().filter_map(Change::content);
        let ledger = self.entry.ledger;
        let kept =
            texts.map(|it| keeps_lock(&it, ledger)).find(|it| !it.is_empty()).unwrap_or_default();
        format!(
            "{RESET}{kept}{}{}{}{}{flyway}",
            self.entry.marked(),
            self.entry.assert_wanted(self.since),
            self.table.ran(changeset, how, &mut self.deployment),
            self.entry.changeset_ran(self.table, changeset, started),
        )
    }

    /// Records changesets as run without running them, in the transaction at hand.
    pub fn record(&mut self, numbers: &[usize]) -> String {
        let loaded = self.loaded;
        let one = |number: &usize| {
            let changeset = &loaded.changelog.changesets[*number];
            self.table.ran(changeset, Executed::First, &mut self.deployment)
        };
        numbers.iter().map(one).collect()
    }

    /// Records checksums where the history has none.
    pub fn record_checksums(&self, numbers: &[usize]) -> String {
        let changesets = &self.loaded.changelog.changesets;
        let one = |number: &usize| {
            let changeset = &changesets[*number];
            Some(self.table.checksum(changeset, self.ran.row(changeset)?))
        };
        numbers.iter().filter_map(one).collect()
    }

    async fn mark(&mut self, changeset: &Changeset, within: Within) -> Result<(), SqlError> {
        let row = self.table.ran(changeset, Executed::MarkedRan, &mut self.deployment);
        let (begin, end) = within.brackets();
        self.session.run(&format!("{begin}{row}{end}")).await.map(drop)
    }
}

/// Session settings and role as they were: what a changeset sets is its own affair.
///
/// Each is durable at the latest with the run's last commit, which waits for the disk; a crash before it
/// loses changesets and their rows together.
const RESET: &str = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; \
                     SET LOCAL synchronous_commit = off;\n";

/// The session as it was, whatever a changeset that failed left of it.
pub const RESET_SESSION: &str = "ROLLBACK; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL;";

/// What follows a text that may give up the session's locks, and with them the one that keeps
/// other runs away.
fn keeps_lock(text: &str, ledger: &Identifier) -> String {
    let has = |word: &str| {
        text.as_bytes().windows(word.len()).any(|it| it.eq_ignore_ascii_case(word.as_bytes()))
    };
    if has("pg_advisory_unlock") || has("discard") {
        crate::lock::again(ledger)
    } else {
        String::new()
    }
}

impl Within {
    fn brackets(self) -> (&'static str, &'static str) {
        match self {
            Self::Own => ("BEGIN;\n", "COMMIT"),
            Self::Open => ("", ""),
        }
    }
}

/// 25001: "cannot run inside a transaction block"; 2D000: a procedure that commits.
fn refuses_transaction(sqlstate: &str) -> bool {
    matches!(sqlstate, "25001" | "2D000")
}

/// A lock that is not to be had in time, a deadlock, a serialization failure.
fn waits(sqlstate: &str) -> bool {
    matches!(sqlstate, "55P03" | "40P01" | "40001")
}

/// `failOnError: false` forgives what the server says of a statement, not the loss of the server.
fn may_fail(changeset: &Changeset, error: &ChangesetError) -> bool {
    const GUARDS: [&str; 3] =
        [crate::ledger::GONE, crate::ledger::TRANSACTION_ENDED, crate::lock::GIVEN_UP];
    !changeset.run.fail_on_error
        && error.sql().is_some_and(|it| {
            !it.is_lost() && !GUARDS.contains(&it.sqlstate.as_deref().unwrap_or_default())
        })
}
