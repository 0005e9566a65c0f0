//! `plan --rehearse`: what is pending is run in one transaction, which is rolled back.

use super::{Look, Task, World, lock_and_observe, login};
use crate::apply;
use crate::apply::changesets::{Run, rehearse, tables};
use crate::changelog::Loaded;
use crate::failure::Failure;
use crate::history::Deployment;
use crate::inspect;
use crate::ledger;
use crate::outcome::Rehearsed;
use crate::plan::{self, Ran, Step};
use crate::request::RequestType;

/// The plan, and what came of its changesets.
pub(super) async fn run(
    world: &World,
    task: &Task<'_>,
    loaded: &Loaded,
) -> Result<(Look, Vec<Rehearsed>), Failure> {
    let session = login::open(world, task, &task.options(false)).await?;
    let observed = lock_and_observe(&session, task, &mut None).await?;
    let moment = task.moment(observed.ledger.as_ref());
    let plan = plan::changes(task.desired, Some(&loaded.changelog), &observed, moment, true)?;
    let look = Look { observed, plan, secrets: Vec::new() };
    let (Some(wanted), Some(history)) = (&task.desired.changelog, &look.observed.history) else {
        return Ok((look, Vec::new()));
    };
    let table = inspect::history::table(wanted, history)?;
    let entry = task.entry(RequestType::Update);
    let since = look.observed.server.now;
    let before_all = tables(&session).await.map_err(Failure::Ledger)?;
    // Ledger and tables are made in the same transaction, and go with it.
    let begin = format!(
        "BEGIN;{}{}{}{}",
        ledger::schema(&task.ledger),
        entry.running(),
        table.create(),
        entry.marked()
    );
    session.run(&begin).await.map_err(Failure::Ledger)?;
    let first = look.plan.steps.iter().position(Step::is_of_a_changelog);
    let before = &look.plan.steps[..first.unwrap_or(look.plan.steps.len())];
    apply::run(&session, &entry, before, since, task.budget).await?;
    let ran = Ran::new(history);
    let mut run = Run {
        session: &session,
        entry: &entry,
        loaded,
        table: &table,
        deployment: Deployment::new(since, 0),
        since,
        ran: &ran,
        budget: task.budget,
        interrupted: &[],
        came_to: None,
        flyway: None,
        own_rows: 0,
        stand: 0,
    };
    let changesets: Vec<_> = look
        .plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::RunChangeset { number, why, .. } => Some((*number, *why)),
            _ => None,
        })
        .collect();
    let told = rehearse(&mut run, &changesets, before_all).await?;
    session.run("ROLLBACK").await.map_err(Failure::Ledger)?;
    session.close().await;
    Ok((look, told))
}
