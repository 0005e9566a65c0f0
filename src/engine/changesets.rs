//! Create and Update with changesets to run: what comes before them, they, and what comes after.
//!
//! Each part is committed with the ledger's memory of it, so a run that is
//! interrupted goes on where it stopped. With `TransactionMode: All` they are one
//! transaction, as far as PostgreSQL lets them.

use std::time::Duration;

use super::apply::{Work as Done, commit, converged, new_claims, schema};
use super::{Look, Task};
use crate::apply::changesets::{Ended, RESET_SESSION, Run, Within};
use crate::apply::{self, Applied, ApplyError};
use crate::changelog::Loaded;
use crate::desired::TransactionMode;
use crate::failure::Failure;
use crate::history::{Deployment, Table};
use crate::inspect;
use crate::ledger::{AuditRow, Entry};
use crate::observed::{History, HistoryRow};
use crate::outcome::Outcome;
use crate::plan::{Ran, Step};
use crate::postgres::Session;

/// So many changesets are written into the audit at once: a long run must neither hold nor lose many.
const TOLD_AT_ONCE: usize = 100;

/// The steps of a plan, by when they run.
struct Phases<'a> {
    before: &'a [Step],
    changesets: &'a [Step],
    after: &'a [Step],
}

impl<'a> Phases<'a> {
    fn of(steps: &'a [Step]) -> Self {
        let first = steps.iter().position(Step::is_of_a_changelog).unwrap_or(steps.len());
        let rest = &steps[first..];
        let count = rest.iter().position(|it| !it.is_of_a_changelog()).unwrap_or(rest.len());
        let (changesets, after) = rest.split_at(count);
        Self { before: &steps[..first], changesets, after }
    }
}

/// Carries out a plan that has changesets in it.
pub(super) async fn run(
    session: &Session,
    task: &Task<'_>,
    loaded: &Loaded,
    entry: &Entry<'_>,
    look: &Look,
    since: f64,
    stand: &mut usize,
) -> Result<Outcome, Failure> {
    let (Some(wanted), Some(history)) = (&task.desired.changelog, &look.observed.history) else {
        return Err(Failure::Internal("changesets are planned without a changelog".into()));
    };
    let table = inspect::history::table(wanted, history)?;
    take_up(session, task, entry, look, history, &table).await?;
    let last = history.rows.iter().map(|it| it.order).max().unwrap_or_default();
    let ran = Ran::new(history);
    let run = Run {
        session,
        entry,
        loaded,
        table: &table,
        deployment: Deployment::new(look.observed.server.now, last),
        since,
        ran: &ran,
        budget: task.budget,
        interrupted: &history.interrupted,
        came_to: None,
        flyway: inspect::history::flyway_table(history)?,
        stand: *stand,
        own_rows: 0,
    };
    let mut work = Work {
        session,
        task,
        entry,
        look,
        since,
        run,
        applied: Applied::default(),
        untold: Vec::new(),
        open: false,
        group: 0,
        ended: Vec::new(),
    };
    let done = work.all(&Phases::of(&look.plan.steps), history, &table).await;
    *stand = work.run.stand;
    if done.is_err() {
        // What stands is told in the audit all the same; the lock is given back with it.
        let told =
            format!("{RESET_SESSION} BEGIN; {}{}COMMIT", entry.audit(&work.untold), table.unlock());
        if let Err(error) = session.run(&told).await {
            tracing::debug!("the lock of the history could not be given back: {error}");
        }
    }
    done
}

/// The ledger learns of the request, the tables are made, and Liquibase's lock is taken.
async fn take_up(
    session: &Session,
    task: &Task<'_>,
    entry: &Entry<'_>,
    look: &Look,
    history: &History,
    table: &Table,
) -> Result<(), Failure> {
    task.budget.doing("writing the ledger");
    let tables =
        if history.exists && history.has_lock_table { String::new() } else { table.create() };
    let sql = format!("{}{}{tables}{}", schema(task, look), entry.running(), table.lock());
    let took = |rows: &[crate::postgres::Row]| {
        rows.iter().any(|row| row.first().is_some_and(|it| it.as_deref() == Some("locked")))
    };
    if took(&session.run(&sql).await.map_err(Failure::Ledger)?) {
        return Ok(());
    }
    let holder = history.locked_by.clone().unwrap_or_else(|| "another program".into());
    task.budget.doing(format!("waiting for Liquibase's lock, held by {holder}"));
    tracing::warn!(holder, "waiting for Liquibase's lock");
    loop {
        if inspect::history::is_alone(session).await? {
            // A Liquibase that runs has a session on this database, and there is none but ours.
            tracing::warn!(holder, "the holder of Liquibase's lock is dead; taking it");
            session.run(&table.lock_anyway()).await.map_err(Failure::Ledger)?;
            break;
        }
        if !task.budget.pause(Duration::from_secs(2)).await {
            return Err(Failure::LiquibaseLocked { table: table.lock_quoted(), holder });
        }
        if took(&session.run(&table.lock()).await.map_err(Failure::Ledger)?) {
            break;
        }
    }
    // Whoever held it may have run changesets meanwhile. It is taken again if there is work left;
    // until then no failure may leave it taken.
    session.run(&table.unlock()).await.map_err(Failure::Ledger)?;
    Err(Failure::HistoryMoved)
}

struct Work<'w, 'a> {
    session: &'w Session,
    task: &'w Task<'w>,
    entry: &'w Entry<'w>,
    look: &'w Look,
    since: f64,
    run: Run<'a>,
    /// What was done; its rows are those of the transaction at hand.
    applied: Applied,
    /// What stands and is not yet in the audit.
    untold: Vec<AuditRow>,
    /// Whether a transaction is open.
    open: bool,
    /// How many changesets ran in it.
    group: usize,
    /// The changesets by number, with whether they are in the history now.
    ended: Vec<(usize, bool)>,
}

impl Work<'_, '_> {
    async fn all(
        &mut self,
        phases: &Phases<'_>,
        history: &History,
        table: &Table,
    ) -> Result<Outcome, Failure> {
        let together = self.task.desired.transaction_mode == TransactionMode::All;
        if !phases.before.is_empty() {
            self.begin().await?;
            self.steps(phases.before).await?;
            if !together {
                self.claims_and_commit().await?;
            }
        }
        for step in phases.changesets {
            self.changeset_step(step, together).await?;
        }
        if !self.open && !phases.after.is_empty() {
            self.begin().await?;
        }
        self.steps(phases.after).await?;
        let begin = if self.open { String::new() } else { self.entry.begin() };
        let after = inspect::installed(self.session, &begin).await;
        self.applied.after = after.map_err(|it| Failure::Apply(ApplyError::outside(0, it)))?;
        let mut now = history.clone();
        now.rows.extend(self.ended.iter().filter(|it| it.1).map(|it| self.row(it.0)));
        let skipped: Vec<_> = self.ended.iter().filter(|it| !it.1).map(|it| it.0).collect();
        converged(self.task, Some(self.run.loaded), self.look, &self.applied, Some(now), &skipped)?;
        self.run.stand += std::mem::take(&mut self.group);
        let last = self.ended.iter().rev().find(|it| it.1).map(|it| it.0);
        let last = last.map(|it| self.run.loaded.changelog.changesets[it].identity.to_string());
        let mut applied = std::mem::take(&mut self.applied);
        applied.rows.splice(..0, self.untold.iter().cloned());
        let done = Done { applied, stand: self.run.stand, last, end: table.unlock() };
        commit(self.session, self.task, self.entry, self.look, &done, self.since).await
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        apply::begin(self.session, self.entry).await?;
        self.open = true;
        Ok(())
    }

    async fn steps(&mut self, steps: &[Step]) -> Result<(), Failure> {
        let more =
            apply::run(self.session, self.entry, steps, self.since, self.task.budget).await?;
        self.applied.rows.extend(more.rows);
        self.applied.created.extend(more.created);
        self.applied.left.extend(more.left);
        Ok(())
    }

    /// Commits what stands so far, with the claims on what it made.
    async fn claims_and_commit(&mut self) -> Result<(), Failure> {
        let claims = new_claims(self.look, self.entry.physical_id);
        let sql = format!(
            "{}{}{}{}COMMIT",
            self.entry.claims(&claims, &self.applied.created),
            self.entry.audit(&self.untold),
            self.entry.audit(&std::mem::take(&mut self.applied.rows)),
            self.entry.assert_wanted(self.since),
        );
        let committed = self.session.run(&sql).await;
        committed.map_err(|it| Failure::Apply(ApplyError::outside(0, it)))?;
        self.open = false;
        self.untold.clear();
        self.run.stand += std::mem::take(&mut self.group);
        Ok(())
    }

    async fn changeset_step(&mut self, step: &Step, together: bool) -> Result<(), Failure> {
        match step {
            Step::RecordChecksums { numbers } => {
                let sql = self.run.record_checksums(numbers);
                self.record(sql, numbers, together).await
            }
            Step::RecordChangesets { numbers, .. } => {
                let sql = self.run.record(numbers);
                self.record(sql, numbers, together).await
            }
            Step::RunChangeset { number, why, .. } => {
                let within = if together && !self.run.needs_outside(*number).await? {
                    if !self.open {
                        self.begin().await?;
                    }
                    Within::Open
                } else {
                    if self.open {
                        self.claims_and_commit().await?;
                    }
                    Within::Own
                };
                let (ended, row) = self.run.changeset(*number, *why, within).await?;
                match within {
                    Within::Own => self.untold.push(row),
                    Within::Open => self.applied.rows.push(row),
                }
                if within == Within::Own && self.untold.len() >= TOLD_AT_ONCE {
                    self.tell().await?;
                }
                if ended == Ended::Ran && within == Within::Open {
                    self.group += 1;
                }
                self.ended.push((*number, !matches!(ended, Ended::Skipped(_))));
                Ok(())
            }
            _ => Err(Failure::Internal("a step is not where it belongs".into())),
        }
    }

    /// Writes what stands into the audit.
    async fn tell(&mut self) -> Result<(), Failure> {
        // As durable as the changesets themselves: with the next commit that waits for the disk.
        let rows = self.entry.audit(&self.untold);
        let sql = format!("BEGIN; SET LOCAL synchronous_commit = off; {rows}COMMIT");
        self.session.run(&sql).await.map_err(Failure::Ledger)?;
        self.untold.clear();
        Ok(())
    }

    async fn record(
        &mut self,
        sql: String,
        numbers: &[usize],
        together: bool,
    ) -> Result<(), Failure> {
        if !self.open {
            self.begin().await?;
        }
        self.session.run(&sql).await.map_err(Failure::Ledger)?;
        self.ended.extend(numbers.iter().map(|&number| (number, true)));
        if together { Ok(()) } else { self.claims_and_commit().await }
    }

    fn row(&self, number: usize) -> HistoryRow {
        let changeset = &self.run.loaded.changelog.changesets[number];
        HistoryRow {
            id: changeset.identity.id.clone(),
            author: changeset.identity.author.clone(),
            path: changeset.identity.path.clone(),
            checksum: Some(changeset.checksum.current.clone()),
            order: 0,
            tag: changeset.tag.clone(),
        }
    }
}
