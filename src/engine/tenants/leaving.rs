//! The end of tenants: of those that left the list, and of all when the resource goes.
//!
//! Which they are and what may be done is planned by [`plan`]; here it is looked at,
//! carried out and told. Each tenant by itself: one whose end fails leaves the others
//! ended. What stays is no failure, for the stack has to get on; it is told, and
//! a later run finds it in the ledger, unless there is no resource any more to run for.

mod drop;
mod look;
mod roles;

use std::time::Instant;

use futures_util::StreamExt as _;

use self::look::Seen;
use super::one::{Told, begin, step};
use super::{Done, Work};
use crate::apply::tenants::leaving as texts;
use crate::engine::{Task, Tries, World};
use crate::failure::{Failure, Trouble};
use crate::ident::Identifier;
use crate::inspect;
use crate::ledger::{AuditRow, Entry};
use crate::observed::Ledger;
use crate::observed::tenant::HeldKind;
use crate::plan::Step;
use crate::plan::ownership::Scope;
use crate::plan::tenants::Change;
use crate::plan::tenants::leaving::{self as plan, Leaver, Left, Why};
use crate::postgres::Session;

/// Whose end it is, beside the tenants' own.
pub(super) struct Run<'a> {
    /// The physical ids under which the resource may have made what goes.
    ids: &'a [String],
    /// All that it has or had.
    known: &'a [String],
    /// Whether nobody comes again for what stays.
    is_last: bool,
}

/// Ends the tenants that the list does not have any more; gives how many they are.
pub(super) async fn settle(
    work: &Work<'_>,
    main: &Session,
    done: &mut Done,
    troubles: &mut Vec<Trouble>,
) -> Result<usize, Failure> {
    let (leavers, passed) = of_update(work, main).await?;
    if !passed.is_empty() {
        let goes_over = |it: &plan::Passed| work.entry.passes(it.kind, &it.name, &it.to);
        let sql: String = passed.iter().map(goes_over).collect();
        let sql = format!("{}{sql}COMMIT", begin(work));
        main.run(&sql).await.map_err(Failure::Ledger)?;
    }
    let ids = ids(work);
    let run = Run { ids: &ids, known: &ids, is_last: false };
    each(work, &run, &leavers, done, troubles).await;
    Ok(leavers.len())
}

/// What would be done for tenants that the list does not have any more, and what would stay.
pub(super) async fn look(
    work: &Work<'_>,
    main: &Session,
) -> Result<(Vec<Step>, Vec<String>), Failure> {
    let (leavers, _) = of_update(work, main).await?;
    let ids = ids(work);
    let run = Run { ids: &ids, known: &ids, is_last: false };
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    for leaver in &leavers {
        let seen = look::see(work, main, leaver).await?;
        let end = plan::end(leaver, &seen.scene(work, &run));
        steps.extend(end.changes.iter().map(|it| step(&leaver.tenant, it)));
        notes.extend(end.left.iter().map(|it| note(leaver, it)));
    }
    Ok((steps, notes))
}

/// Ends the tenants of a resource, or of an earlier physical id of it.
pub(in crate::engine) async fn end(
    world: &World,
    task: &Task<'_>,
    main: &Session,
    (entry, since): (&Entry<'_>, f64),
    (scope, ledger): (&Scope, &Ledger),
) -> Result<Done, Failure> {
    let held = inspect::leaving::held(main, entry.stack_id, entry.logical_id).await?;
    let leavers = plan::of_delete(held, &task.desired.tenants, scope);
    let mut done = Done::default();
    if leavers.is_empty() {
        return Ok(done);
    }
    let work = Work::new(world, task, main, entry, since, false).await?;
    let only: Vec<_> = match scope {
        Scope::Earlier(id) => vec![id.clone()],
        Scope::Whole | Scope::Named => ledger.physical_ids.clone(),
    };
    let run = Run { ids: &only, known: &ledger.physical_ids, is_last: true };
    let mut troubles = Vec::new();
    each(&work, &run, &leavers, &mut done, &mut troubles).await;
    if troubles.is_empty() {
        return Ok(done);
    }
    Err(Failure::Tenants { troubles, all: leavers.len(), done: true })
}

/// The databases of a resource's tenants, in which something may still run for it.
pub(in crate::engine) async fn databases(
    main: &Session,
    entry: &Entry<'_>,
) -> Result<Vec<String>, Failure> {
    let held = inspect::leaving::held(main, entry.stack_id, entry.logical_id).await?;
    let databases = held.into_iter().filter(|it| it.kind == HeldKind::Database);
    Ok(databases.map(|it| it.name).collect())
}

async fn of_update(
    work: &Work<'_>,
    main: &Session,
) -> Result<(Vec<Leaver>, Vec<plan::Passed>), Failure> {
    let asking = &work.asking;
    let held = inspect::leaving::held(main, asking.stack_id, asking.logical_id).await?;
    let replaced = asking.incoming_id.filter(|it| *it != asking.physical_id);
    Ok(plan::of_update(held, &work.task.desired.tenants, replaced))
}

fn ids(work: &Work<'_>) -> Vec<String> {
    let asking = &work.asking;
    asking.incoming_id.into_iter().chain([asking.physical_id]).map(str::to_owned).collect()
}

fn note(leaver: &Leaver, left: &Left) -> String {
    match left.kind {
        // Its name tells nothing of the tenant.
        HeldKind::Secret => format!("left {left} (tenant {})", leaver.tenant),
        _ => format!("left {left}"),
    }
}

async fn each(
    work: &Work<'_>,
    run: &Run<'_>,
    leavers: &[Leaver],
    done: &mut Done,
    troubles: &mut Vec<Trouble>,
) {
    let all = leavers.len();
    let one = |leaver| async move {
        let mut told = Told::default();
        let ended = Box::pin(again(work, run, leaver, &mut told)).await;
        (leaver, told, ended)
    };
    let mut ended = futures_util::stream::iter(leavers.iter().map(one)).buffered(work.at_once);
    let mut count = 0;
    while let Some((leaver, told, result)) = ended.next().await {
        count += 1;
        tracing::info!(ended = count, all, "tenants that leave");
        for (change, ms) in told.changes {
            tracing::info!(tenant = leaver.tenant, ms, "{change}");
            done.step(step(&leaver.tenant, &change));
        }
        told.notes.into_iter().for_each(|it| done.note(it));
        if let Err(failure) = result {
            tracing::error!(tenant = leaver.tenant, "{failure}");
            let (tenant, failure) = (leaver.tenant.clone(), Box::new(failure));
            troubles.push(Trouble { tenant, failure });
        }
    }
}

/// What heals is tried again, from a fresh look. A lock that somebody keeps is a reason to stay, and
/// so is what the server refuses.
async fn again(
    work: &Work<'_>,
    run: &Run<'_>,
    leaver: &Leaver,
    told: &mut Told,
) -> Result<(), Failure> {
    const LOCKED: u32 = 3;
    let mut tries = Tries::default();
    let mut locked = 0;
    loop {
        work.task.budget.doing(format!("ending tenant `{}`", leaver.tenant));
        let failure = match Box::pin(once(work, run, leaver, told)).await {
            Ok(left) => return write_down(work, run, leaver, &left, told).await,
            Err(failure) => failure.recognised(),
        };
        locked += u32::from(failure.is_lock_timeout());
        if locked >= LOCKED || is_refusal(&failure) {
            let place = leaver.held.iter().min_by_key(|it| it.kind);
            let left = place.map(|it| {
                let why = Why::Refused(failure.to_string());
                Left { kind: it.kind, name: it.name.clone(), why }
            });
            return write_down(work, run, leaver, &Vec::from_iter(left), told).await;
        }
        if !failure.heals() || !tries.again(work.task.budget, &failure).await {
            return Err(failure);
        }
    }
}

/// One try; gives what stays.
async fn once(
    work: &Work<'_>,
    run: &Run<'_>,
    leaver: &Leaver,
    told: &mut Told,
) -> Result<Vec<Left>, Failure> {
    let session = work.master.session().await?;
    let seen = look::see(work, &session, leaver).await?;
    work.master.give_back(session);
    let mut end = plan::end(leaver, &seen.scene(work, run));
    if !end.gone.is_empty() {
        let forgets = |(kind, name): &(HeldKind, String)| work.entry.forgets(*kind, name);
        let forgets: String = end.gone.iter().map(forgets).collect();
        write(work, &forgets).await?;
    }
    if end.changes == [Change::Release] {
        let started = Instant::now();
        let tenant = leaver.tenant.as_str();
        let change = Change::Release;
        let audit = audit(work, leaver, &change, started);
        write(work, &(work.entry.releases([tenant]) + &audit)).await?;
        if run.is_last {
            told.notes.push(format!("left tenant {tenant}: its policy is Retain"));
        } else {
            told.took(&[change], started);
        }
        return Ok(end.left);
    }
    let is_disable = |it: &Change| matches!(it, Change::Disable { .. });
    if end.changes.iter().any(is_disable) {
        end.left.extend(roles::disable(work, leaver, &end.changes, &seen, told).await?);
    } else if !end.changes.is_empty() {
        end.left.extend(drop::run(work, leaver, &end.changes, &seen, told).await?);
    }
    Ok(end.left)
}

/// What stays is told; and let go, if nobody will ever come again for it.
async fn write_down(
    work: &Work<'_>,
    run: &Run<'_>,
    leaver: &Leaver,
    left: &[Left],
    told: &mut Told,
) -> Result<(), Failure> {
    let find = |kind, name: &str| left.iter().find(|it| it.kind == kind && it.name == name);
    let is_over = |why: Option<&Why>| match why {
        Some(Why::StillHad) => false,
        Some(why) => why.is_final() || run.is_last,
        None => run.is_last,
    };
    let over = leaver.held.iter().filter(|it| is_over(find(it.kind, &it.name).map(|it| &it.why)));
    let mut sql: String = over.map(|it| work.entry.releases_one(it.kind, &it.name)).collect();
    let rows: Vec<_> = left
        .iter()
        .map(|it| AuditRow {
            action: format!("tenant {}", leaver.tenant),
            status: "warning",
            duration_ms: 0,
            message: Some(note(leaver, it)),
        })
        .collect();
    told.notes.extend(left.iter().map(|it| note(leaver, it)));
    sql += &work.entry.audit(&rows);
    if sql.is_empty() {
        return Ok(());
    }
    write(work, &sql).await
}

/// What the ledger is to remember, in a transaction of its own.
async fn write(work: &Work<'_>, sql: &str) -> Result<(), Failure> {
    let session = work.master.session().await?;
    let sql = format!("{}{sql}COMMIT", begin(work));
    session.run(&sql).await.map_err(Failure::Ledger)?;
    work.master.give_back(session);
    Ok(())
}

/// A change as the audit tells it.
fn audit(work: &Work<'_>, leaver: &Leaver, change: &Change, since: Instant) -> String {
    let row = AuditRow {
        action: step(&leaver.tenant, change).to_string(),
        status: "success",
        duration_ms: since.elapsed().as_millis(),
        message: None,
    };
    work.entry.audit(&[row])
}

/// In use, not allowed, needed by others, not in the right state, a template by now; or needed from
/// outside.
const REFUSALS: [&str; 6] = ["55006", "42501", "2BP01", "55000", "42809", texts::NEEDED_OUTSIDE];

fn is_refusal(failure: &Failure) -> bool {
    let state = if let Failure::Apply(_) = failure { failure.sqlstate() } else { None };
    state.is_some_and(|it| REFUSALS.contains(&it))
}

/// Why an object stays that the server does not let go; other errors are errors.
fn stays<T>(done: Result<T, Failure>) -> Result<Option<Why>, Failure> {
    match done {
        Ok(_) => Ok(None),
        Err(Failure::Apply(error)) => match error.source.sqlstate.as_deref() {
            Some(texts::REPLACED) => Ok(Some(Why::Replaced)),
            Some(state) if REFUSALS.contains(&state) => {
                let detail = error.source.detail.as_deref().and_then(|it| it.lines().next());
                let detail = detail.map(|it| format!(": {it}")).unwrap_or_default();
                Ok(Some(Why::Refused(format!("{}{detail} ({state})", error.source.message))))
            }
            _ => Err(Failure::Apply(error)),
        },
        Err(failure) => Err(failure),
    }
}

/// The roles of a plan to drop, each with its second one.
fn dropped_roles(changes: &[Change], seen: &Seen) -> Vec<Identifier> {
    let names = changes.iter().filter_map(|it| match it {
        Change::DropRole { name, .. } => Some(name.clone()),
        _ => None,
    });
    names
        .flat_map(|it| {
            let clone = plan::clone_of(&it, &seen.found);
            std::iter::once(it).chain(clone)
        })
        .collect()
}
