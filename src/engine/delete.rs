//! Delete: stop what still runs for the resource, then remove what may be removed.
//!
//! It is called only where the policy or a statement gives it something to do;
//! with `Retain` nobody connects. A Delete may arrive while its Create runs. It
//! then leaves a tombstone, which the Create meets before its next step and
//! before its commit, ends the Create's session, waits for it to be gone, and
//! removes whatever had been committed.

use std::time::Duration;

use super::apply::record_failure;
use super::{Look, Task, Tries, World, is_stale, lock_and_observe, login, replayed, tenants};
use crate::apply::{self, ApplyError};
use crate::failure::Failure;
use crate::inspect;
use crate::ledger;
use crate::lock;
use crate::observed::{Ledger, Observed};
use crate::outcome::Outcome;
use crate::plan::ownership::{self, Removal, Scope};
use crate::postgres::Session;
use crate::request::RequestType;

/// Ends the resource, or an earlier physical id of it.
pub async fn run(world: &World, task: &Task<'_>) -> Result<Outcome, Failure> {
    let mut tries = Tries::default();
    loop {
        match Box::pin(once(world, task)).await.map_err(Failure::recognised) {
            Err(failure) if failure.heals() && tries.again(task.budget, &failure).await => {}
            result => return result,
        }
    }
}

/// How long a Delete that retains everything tries to let go of its tenants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets go of the tenants of a resource that retains everything, so that another may adopt them.
///
/// The server may be gone by now, and the stack has to get through; so it is tried for a short
/// while, and a failure is only told.
pub async fn release(world: &World, task: &Task<'_>) {
    let limit = PATIENCE.min(task.budget.left() / 3);
    let released = tokio::time::timeout(limit, Box::pin(let_go(world, task))).await;
    match released {
        Ok(Ok(())) => tracing::info!("the tenants stay, and nobody has them"),
        Ok(Err(failure)) => tracing::warn!("the tenants stay the resource's: {failure}"),
        Err(_) => tracing::warn!("the tenants stay the resource's: the server did not answer"),
    }
}

async fn let_go(world: &World, task: &Task<'_>) -> Result<(), Failure> {
    let session = Box::pin(login::open(world, task, &task.options(false))).await?;
    let names = task.desired.tenants.iter().map(|it| it.name.as_str());
    let entry = task.entry(RequestType::Delete);
    session.run(&entry.releases_all(names)).await.map_err(Failure::Ledger)?;
    session.close().await;
    Ok(())
}

/// How often sessions of other roles are ended before they are left to themselves.
const ROUNDS: u32 = 20;

const NO_DATABASE: &str = "3D000";
const NO_PRIVILEGE: &str = "42501";

fn nothing_here(task: &Task<'_>, observed: Observed) -> Outcome {
    let reason = "this resource had nothing here".to_owned();
    task.outcome(&look_of(observed, Removal::default()), false, reason)
}

fn incoming<'a>(task: &'a Task<'_>) -> Option<&'a str> {
    task.ids.physical_resource_id.as_deref()
}

async fn once(world: &World, task: &Task<'_>) -> Result<Outcome, Failure> {
    let options = task.options(false);
    let opened = Box::pin(login::open(world, task, &options)).await;
    let session = match opened {
        Err(failure) if failure.sqlstate() == Some(NO_DATABASE) => {
            return Ok(Outcome {
                reason: "the database does not exist".into(),
                ..Outcome::default()
            });
        }
        opened => opened?,
    };
    task.budget.doing("reading the ledger");
    let looked = inspect::observe(&session, &task.question("SELECT 1")).await;
    let observed = match looked.map_err(Failure::from) {
        // Without the ledger's word nothing may be dropped, and a Create that failed for the same
        // reason made nothing; so this is told, and no reason to hold up the stack.
        Err(failure) if failure.sqlstate() == Some(NO_PRIVILEGE) => {
            let reason = format!("nothing was removed: {failure}");
            return Ok(Outcome { reason, ..Outcome::default() });
        }
        looked => looked?.observed,
    };
    if observed.server.in_recovery {
        return Err(Failure::Reader(observed.server.database));
    }
    if let Some(ledger) = &observed.ledger {
        if let Some(outcome) = replayed(task, ledger, RequestType::Delete) {
            return Ok(outcome);
        }
        if is_stale(task, ledger) {
            let reason = "it came too late: a later request was taken up; nothing was removed";
            return Ok(task.outcome(&look_of(observed, Removal::default()), false, reason.into()));
        }
    }
    if !matches!(scope(observed.ledger.as_ref(), task), Scope::Earlier(_)) {
        stop_others(&session, task, observed.ledger.is_some()).await?;
    }
    let observed = lock_and_observe(&session, task, &mut None).await?;
    let entry = task.entry(RequestType::Delete);
    if observed.ledger.is_none() {
        // Nothing was ever made here. The tombstone is for a Create that comes late; one that was
        // not allowed to write a ledger either needs none.
        let sql = format!("{}\n{}", ledger::schema(&task.ledger), entry.tombstone());
        if let Err(error) = session.run(&sql).await {
            tracing::warn!("no tombstone was left: {error}");
            return Ok(nothing_here(task, observed));
        }
    }
    let removed = Box::pin(remove(world, &session, task, observed)).await;
    if let Err(failure) = &removed {
        record_failure(&session, &entry, failure).await;
    }
    session.close().await;
    removed
}

fn scope(ledger: Option<&Ledger>, task: &Task<'_>) -> Scope {
    ledger.map_or(Scope::Whole, |ledger| ownership::scope(ledger, incoming(task)))
}

/// Marks the resource as gone, and ends the sessions that still work for it.
async fn stop_others(session: &Session, task: &Task<'_>, has_ledger: bool) -> Result<(), Failure> {
    let failed = |error| Failure::Inspect(inspect::InspectError::Sql(error));
    if has_ledger {
        let tombstone = task.entry(RequestType::Delete).tombstone();
        session.run(&tombstone).await.map_err(Failure::Ledger)?;
    }
    let (stack, logical) = (&task.ids.stack_id, &task.ids.logical_resource_id);
    let request = &task.ids.request_id;
    let databases = if has_ledger {
        tenants::leaving::databases(session, &task.entry(RequestType::Delete)).await?
    } else {
        Vec::new()
    };
    let reach = task.reach(&databases);
    task.budget.doing("waiting for the sessions of an earlier request to end");
    // One that lives comes back until it meets the tombstone. A tenant may call its own sessions as
    // ours are called; those are ended too, but not waited for without end.
    for round in 0.. {
        let ended = lock::end_others(session, stack, logical, request, reach).await;
        let ended = ended.map_err(failed)?;
        if ended.pids.is_empty() {
            break;
        }
        tracing::info!(sessions = ended.pids.len(), "ended what still ran for this resource");
        while lock::remaining(session, &ended).await.map_err(failed)? > 0 {
            if !task.budget.pause(Duration::from_millis(50)).await {
                return Err(Failure::Deadline(task.budget.done_last()));
            }
        }
        if !ended.ours && round >= ROUNDS {
            tracing::warn!("some sessions come back again and again; they are not waited for");
            break;
        }
    }
    Ok(())
}

fn look_of(observed: Observed, removal: Removal) -> Look {
    Look { observed, plan: removal.plan, secrets: Vec::new() }
}

async fn remove(
    world: &World,
    session: &Session,
    task: &Task<'_>,
    observed: Observed,
) -> Result<Outcome, Failure> {
    let nothing = Ledger::default();
    let ledger = observed.ledger.as_ref().unwrap_or(&nothing);
    let mut removal = ownership::removal(task.desired, ledger, incoming(task));
    let entry = task.entry(RequestType::Delete);
    // A Delete has no predecessor that could take it away but an older Delete, which it outlives.
    let since = observed.server.now;
    session.run(&entry.running()).await.map_err(Failure::Ledger)?;
    // A database is dropped outside of any transaction, so tenants go by themselves, and first: what
    // they have may need what the resource has, and the statements for the end run only once.
    let gone = match &observed.ledger {
        Some(ledger) if ledger.has_tenants == Some(true) => {
            let about = (&removal.scope, ledger);
            tenants::leaving::end(world, task, session, (&entry, since), about).await?
        }
        _ => tenants::Done::default(),
    };
    let gone = gone.all();
    apply::begin(session, &entry).await?;
    let mut applied = apply::run(session, &entry, &removal.plan.steps, since, task.budget).await?;
    removal.left.extend(applied.left.iter().cloned());
    let undone = removal.plan.steps.len();
    let after = inspect::installed(session, "").await;
    applied.after = after.map_err(|source| ApplyError::outside(undone, source))?;
    let reason = reason(&gone, &removal, &applied.left);
    removal.plan.steps.splice(..0, gone.steps);
    let changed = !removal.plan.steps.is_empty();
    let only = match &removal.scope {
        Scope::Whole | Scope::Named => None,
        Scope::Earlier(id) => Some(id.clone()),
    };
    let mut outcome = task.outcome(&look_of(observed, removal), changed, reason);
    outcome.set_after(&applied.after);
    task.budget.doing("committing");
    let sql = [
        task.budget.set_local(),
        entry.deleted(&outcome, only.as_deref()),
        entry.audit(&applied.rows),
        "COMMIT".into(),
    ];
    session
        .run(&sql.concat())
        .await
        .map_err(|source| Failure::Apply(ApplyError::outside(undone, source)))?;
    Ok(outcome)
}

fn reason(gone: &tenants::All, removal: &Removal, not_dropped: &[ownership::Left]) -> String {
    let stayed = |step: &crate::plan::Step| {
        not_dropped.iter().any(|left| step.to_string().ends_with(&format!(" {}", left.name)))
    };
    let done = removal.plan.steps.iter().filter(|step| !stayed(step)).map(ToString::to_string);
    let left = removal.left.iter().map(|it| format!("left {it}"));
    let of_tenants = gone.steps.iter().map(ToString::to_string);
    let more = (gone.more > 0).then(|| format!("{} more changes of tenants", gone.more));
    let left = gone.notes.iter().cloned().chain(left);
    let all: Vec<_> = of_tenants.chain(more).chain(done).chain(left).collect();
    if all.is_empty() { "this resource had nothing here".to_owned() } else { all.join("; ") }
}
