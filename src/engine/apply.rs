//! Create and Update: look, plan, carry out, write down, commit.

use std::borrow::Cow;

use super::changelog::explained;
use super::{
    Look, Task, Tries, Trigger, World, changesets, is_gone, is_stale, lock_and_observe, login,
    replayed, tenants,
};
use crate::apply::changesets::RESET_SESSION;
use crate::apply::{self, Applied, ApplyError};
use crate::changelog::Loaded;
use crate::failure::Failure;
use crate::history;
use crate::inspect;
use crate::ledger::{self, AuditRow, Entry};
use crate::observed::{History, Kind, Object, Observed};
use crate::outcome::{Facts, Outcome, data, versions};
use crate::plan::{self, Claim, Step};
use crate::postgres::Session;
use crate::redact::scrub;
use crate::request::RequestType;

/// Applies; what heals is tried again.
pub(super) async fn run(
    world: &World,
    task: &Task<'_>,
    loaded: Option<&Loaded>,
) -> Result<Outcome, Failure> {
    let mut tries = Tries::default();
    let mut memory = Memory::default();
    loop {
        let done = Box::pin(once(world, task, loaded, &mut memory)).await;
        match done.map_err(Failure::recognised) {
            // A login that came with the task is a tenant's, which is tried again as a whole.
            Err(failure) if task.login.is_some() => return Err(failure),
            Err(failure) if failure.heals() && tries.again(task.budget, &failure).await => {}
            Err(Failure::Gone(_)) => return Err(Failure::Gone(memory.stand)),
            result => return result,
        }
    }
}

/// What is kept from one try to the next.
#[derive(Default)]
struct Memory {
    /// The server's clock at the first look.
    since: Option<f64>,
    /// How many changesets stand.
    stand: usize,
}

async fn once(
    world: &World,
    task: &Task<'_>,
    loaded: Option<&Loaded>,
    memory: &mut Memory,
) -> Result<Outcome, Failure> {
    let options = task.options(false);
    let session = Box::pin(login::open(world, task, &options)).await?;
    let observed = lock_and_observe(&session, task, &mut memory.since).await?;
    if observed.server.in_recovery {
        return Err(Failure::Reader(observed.server.database));
    }
    let since = *memory.since.get_or_insert(observed.server.now);
    if let Some(ledger) = &observed.ledger {
        if let Some(outcome) = replayed(task, ledger, kind(task, &observed)) {
            return Ok(outcome);
        }
        let refused = if is_gone(task, ledger, since) {
            Some(Failure::Gone(0))
        } else {
            is_stale(task, ledger).then_some(Failure::Superseded)
        };
        if let Some(failure) = refused {
            give_back(&session, task, &observed).await?;
            return Err(failure);
        }
    }
    let goes_on = task.has_tenants(observed.ledger.as_ref());
    let entry = Entry { goes_on, ..task.entry(kind(task, &observed)) };
    let moment = task.moment(observed.ledger.as_ref());
    tracing::info!(extensions = versions(&observed.installed).join(","), "before");
    let changelog = loaded.map(|it| &it.changelog);
    let plan = plan::changes(task.desired, changelog, &observed, moment, true);
    let plan = match plan.map_err(Failure::from) {
        Ok(plan) => plan,
        Err(failure) => {
            let failure = explained(&session, task, loaded, &observed, failure).await;
            // What is refused before anything runs does not even make a ledger.
            if observed.ledger.is_some() {
                record_failure(&session, &entry, &failure).await;
            }
            give_back(&session, task, &observed).await?;
            session.close().await;
            return Err(failure);
        }
    };
    let look = Look { observed, plan, secrets: Vec::new() };
    let done = match loaded {
        _ if look.plan.steps.is_empty() => keep(&session, task, &entry, &look, since).await,
        Some(loaded) if look.plan.steps.iter().any(Step::is_of_a_changelog) => {
            let stand = &mut memory.stand;
            Box::pin(changesets::run(&session, task, loaded, &entry, &look, since, stand)).await
        }
        _ => change(&session, task, &entry, &look, since).await,
    };
    let done = match done {
        Ok(outcome) if goes_on => {
            Box::pin(with_tenants(world, task, (&session, &entry, since), outcome)).await
        }
        done => done,
    };
    if let Err(failure) = &done {
        record_failure(&session, &entry, failure).await;
    }
    session.close().await;
    done
}

/// The tenants, and the end of the request.
async fn with_tenants(
    world: &World,
    task: &Task<'_>,
    (session, entry, since): (&Session, &Entry<'_>, f64),
    mut outcome: Outcome,
) -> Result<Outcome, Failure> {
    let mut done = tenants::run(world, task, session, entry, since).await?.all();
    if done.more > 0 {
        done.notes.push(format!("{} more changes of tenants", done.more));
    }
    if !done.steps.is_empty() {
        let mut said: Vec<_> = done.steps.iter().map(ToString::to_string).collect();
        if outcome.changed {
            said.insert(0, outcome.reason);
        }
        outcome.changed = true;
        outcome.reason = said.join("; ");
        outcome.plan.steps.append(&mut done.steps);
    }
    for note in done.notes {
        outcome.reason = format!("{}; {note}", outcome.reason);
        outcome.plan.notes.push(note);
    }
    outcome.tell_tenants(task.desired.tenants.len(), &done.secrets);
    outcome.tell_duration(task.started.elapsed().as_millis());
    let entry = Entry { goes_on: false, ..entry.clone() };
    let sql =
        format!("{}{}{}COMMIT", entry.begin(), entry.assert_wanted(since), entry.applied(&outcome));
    session.run(&sql).await.map_err(Failure::Ledger)?;
    Ok(outcome)
}

fn kind(task: &Task<'_>, observed: &Observed) -> RequestType {
    let known = observed.ledger.as_ref().is_some_and(|it| it.current_physical_id.is_some());
    match task.trigger {
        Trigger::Stack(kind) => kind,
        Trigger::Call if known => RequestType::Update,
        Trigger::Call => RequestType::Create,
    }
}

/// Everything is as wanted; only the ledger learns of the request, in one round trip.
async fn keep(
    session: &Session,
    task: &Task<'_>,
    entry: &Entry<'_>,
    look: &Look,
    since: f64,
) -> Result<Outcome, Failure> {
    let mut reason = look.plan.notes.clone();
    if reason.is_empty() {
        reason.push("everything was as wanted".into());
    }
    let outcome = task.outcome(look, false, reason.join("; "));
    // A stack's request has its own row and no step to tell of; a run by hand has labels.
    let by_hand = (task.trigger == Trigger::Call).then(|| AuditRow {
        action: "apply".into(),
        status: "no_change",
        duration_ms: task.started.elapsed().as_millis(),
        message: None,
    });
    let claims = new_claims(look, entry.physical_id);
    let ledger = look.observed.ledger.as_ref().filter(|it| entry.is_known(it) && claims.is_empty());
    let work = match ledger {
        Some(ledger) => vec![entry.kept(&outcome, ledger)],
        None => vec![
            entry.assert_wanted(since),
            entry.claims(&claims, &[]),
            entry.running(),
            entry.applied(&outcome),
        ],
    };
    // Losing these rows in a crash of the server costs a second look, no more.
    let sql = format!(
        "{}{}SET LOCAL synchronous_commit = off;{}{}COMMIT",
        schema(task, look),
        if ledger.is_some() { "BEGIN;".to_owned() } else { entry.begin() },
        work.concat(),
        entry.audit(by_hand.as_slice()),
    );
    task.budget.doing("writing the ledger");
    let sql = format!("{}{sql}", left_lock(task, &look.observed)?);
    let rows = session.run(&sql).await.map_err(Failure::Ledger)?;
    if rows.is_empty() {
        return Err(Failure::Gone(0));
    }
    tracing::info!(extensions = versions(&look.observed.installed).join(","), "after");
    Ok(outcome)
}

/// [`left_lock`] for a run that does nothing else.
async fn give_back(session: &Session, task: &Task<'_>, observed: &Observed) -> Result<(), Failure> {
    let left = left_lock(task, observed)?;
    if !left.is_empty() {
        session.run(&left).await.map_err(Failure::Ledger)?;
    }
    Ok(())
}

/// Gives back a lock of the history that a dead run of this program left.
fn left_lock(task: &Task<'_>, observed: &Observed) -> Result<String, Failure> {
    let (Some(wanted), Some(history)) = (&task.desired.changelog, &observed.history) else {
        return Ok(String::new());
    };
    match &history.locked_by {
        Some(holder) if holder.starts_with(history::LOCKED_BY) => {
            Ok(inspect::history::table(wanted, history)?.unlock())
        }
        _ => Ok(String::new()),
    }
}

/// The ledger's tables, where there are none.
pub(super) fn schema(task: &Task<'_>, look: &Look) -> Cow<'static, str> {
    // An earlier release's ledger has no table of changesets.
    let before_tenants = look
        .observed
        .ledger
        .as_ref()
        .is_some_and(|it| it.current_physical_id.is_some() && it.has_tenants.is_none());
    let older = before_tenants || look.observed.history.as_ref().is_some_and(|it| !it.has_ledger);
    let missing = look.observed.ledger.is_none() || older;
    if missing { ledger::schema(&task.ledger) } else { Cow::Borrowed("") }
}

/// The claims that the ledger does not have yet as they are.
pub(super) fn new_claims(look: &Look, physical_id: &str) -> Vec<Claim> {
    let objects = look.observed.ledger.as_ref().map(|it| it.objects.as_slice()).unwrap_or_default();
    let known = |claim: &&Claim| {
        let same = |it: &&Object| it.kind == claim.kind && it.name == claim.name.as_str();
        objects
            .iter()
            .find(same)
            .is_some_and(|it| it.physical_id == physical_id && it.oid_now == Some(it.oid))
    };
    look.plan.claims.iter().filter(|claim| !known(claim)).cloned().collect()
}

async fn change(
    session: &Session,
    task: &Task<'_>,
    entry: &Entry<'_>,
    look: &Look,
    since: f64,
) -> Result<Outcome, Failure> {
    task.budget.doing("writing the ledger");
    // Taken up in a transaction of its own, so that a Delete sees it.
    let take_up = format!("{}{}", schema(task, look), entry.running());
    session.run(&take_up).await.map_err(Failure::Ledger)?;
    apply::begin(session, entry).await?;
    let mut applied = apply::run(session, entry, &look.plan.steps, since, task.budget).await?;
    let after = inspect::installed(session, "").await;
    applied.after = after
        .map_err(|source| Failure::Apply(ApplyError::outside(look.plan.steps.len(), source)))?;
    converged(task, None, look, &applied, None, &[])?;
    commit(session, task, entry, look, &Work { applied, ..Work::default() }, since).await
}

/// What was done, and is to be committed with the memory of it.
#[derive(Default)]
pub(super) struct Work {
    /// Of the steps.
    pub(super) applied: Applied,
    /// How many changesets stand.
    pub(super) stand: usize,
    /// The newest of them.
    pub(super) last: Option<String>,
    /// SQL that belongs to the end.
    pub(super) end: String,
}

/// The ledger learns that the request ended well, in the transaction at hand, which ends with that.
pub(super) async fn commit(
    session: &Session,
    task: &Task<'_>,
    entry: &Entry<'_>,
    look: &Look,
    work: &Work,
    since: f64,
) -> Result<Outcome, Failure> {
    let Work { applied, .. } = work;
    let outcome = outcome(task, look, work);
    task.budget.doing("committing");
    let sql = [
        task.budget.set_local(),
        entry.claims(&look.plan.claims, &applied.created),
        entry.applied(&outcome),
        entry.audit(&applied.rows),
        entry.assert_wanted(since),
        work.end.clone(),
        "COMMIT".into(),
    ];
    session
        .run(&sql.concat())
        .await
        .map_err(|source| Failure::Apply(ApplyError::outside(look.plan.steps.len(), source)))?;
    tracing::info!(extensions = versions(&applied.after).join(","), "after");
    Ok(outcome)
}

/// After the steps the plan must be empty; a server that says otherwise is not believed.
///
/// Changesets that were skipped by their own rules are asked again next time, so they may remain.
pub(super) fn converged(
    task: &Task<'_>,
    loaded: Option<&Loaded>,
    look: &Look,
    applied: &Applied,
    history: Option<History>,
    skipped: &[usize],
) -> Result<(), Failure> {
    let mut after = Observed { installed: applied.after.clone(), history, ..look.observed.clone() };
    let schemas = applied.created.iter().filter(|it| it.kind == Kind::Schema);
    // That they are there is what counts here, not their OIDs.
    after.schemas.extend(schemas.map(|it| (it.name.as_str().to_owned(), 0)));
    let changelog = loaded.map(|it| &it.changelog);
    let mut rest = plan::changes(task.desired, changelog, &after, None, false)?;
    let is_skipped =
        |step: &Step| matches!(step, Step::RunChangeset { number, .. } if skipped.contains(number));
    rest.steps.retain(|step| !is_skipped(step));
    if rest.steps.is_empty() {
        return Ok(());
    }
    let rest = rest.to_string().replace('\n', "; ");
    Err(Failure::Internal(format!("the steps ran, and yet there is more to do: {rest}")))
}

fn outcome(task: &Task<'_>, look: &Look, work: &Work) -> Outcome {
    let facts = Facts {
        before: &look.observed,
        after: &work.applied.after,
        plan: &look.plan,
        changed: true,
        changesets: work.stand,
        last_changeset: work.last.clone().or_else(|| look.last_changeset()),
        tenants: task.desired.tenants.len(),
        secrets: &[],
        duration_ms: task.started.elapsed().as_millis(),
    };
    let mut steps: Vec<_> = look.plan.steps.iter().map(ToString::to_string).collect();
    // What did not go as planned is told apart.
    let odd = work.applied.rows.iter().filter(|row| row.status == "warning");
    steps.extend(odd.filter_map(|it| Some(format!("{}: {}", it.action, it.message.as_ref()?))));
    steps.extend(look.plan.notes.iter().cloned());
    Outcome {
        data: data(&facts),
        reason: steps.join("; "),
        changed: true,
        plan: look.plan.clone(),
        rehearsal: Vec::new(),
    }
}

/// For people who look into the ledger; a failure to write it changes nothing.
pub(super) async fn record_failure(session: &Session, entry: &Entry<'_>, failure: &Failure) {
    let reason = scrub(&failure.to_string()).into_owned();
    let row = AuditRow {
        action: entry.kind.as_str().to_lowercase(),
        status: "error",
        duration_ms: 0,
        message: Some(reason.clone()),
    };
    let sql =
        format!("{RESET_SESSION} BEGIN; {}{}COMMIT", entry.failed(&reason), entry.audit(&[row]));
    if let Err(error) = session.run(&sql).await {
        tracing::debug!("the failure could not be written down: {error}");
    }
}
