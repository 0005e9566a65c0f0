//! `plan`, `apply` and `verify`: the same road as the custom resource takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::cli::{Format, RunLabels, Source};
use super::desired_state::{Wanted, wanted};
use super::{Exit, print};
use crate::budget::Budget;
use crate::desired::Mode;
use crate::engine::{self, Task, Trigger};
use crate::failure::Failure;
use crate::invocation::NO_STACK;
use crate::ledger::{self, Labels};
use crate::outcome::Outcome;
use crate::request::Ids;
use crate::trust::Https;
use crate::world;

/// People wait at a terminal; nobody kills the program at a deadline.
const DAY: Duration = Duration::from_secs(86_400);

/// Prints what `apply` would do.
pub async fn plan(source: &Source, rehearse: bool, format: Format) -> Result<Exit> {
    let mut wanted = wanted(source)?;
    wanted.desired.mode = Mode::Plan;
    Ok(match go(&wanted, Labels::default(), rehearse).await {
        Ok(outcome) => print::plan(&outcome, format),
        Err(failure) => print::failure(&failure, format),
    })
}

/// Does it.
pub async fn apply(source: &Source, run: &RunLabels, format: Format) -> Result<Exit> {
    approve(run)?;
    let mut wanted = wanted(source)?;
    wanted.desired.mode = Mode::Apply;
    let labels = Labels {
        environment: run.environment.clone(),
        build_id: run.build_id.clone(),
        run_id: run.run_id.clone(),
    };
    Ok(match go(&wanted, labels, false).await {
        Ok(outcome) => print::applied(&outcome, format),
        Err(failure) => print::failure(&failure, format),
    })
}

/// Compares.
pub async fn verify(source: &Source, format: Format) -> Result<Exit> {
    let mut wanted = wanted(source)?;
    wanted.desired.mode = Mode::Verify;
    Ok(match go(&wanted, Labels::default(), false).await {
        Ok(outcome) => print::verified(&outcome, format),
        Err(Failure::Differs(plan)) => print::differs(&plan, format),
        Err(failure) => print::failure(&failure, format),
    })
}

fn approve(run: &RunLabels) -> Result<()> {
    let environment = run.environment.as_deref().unwrap_or_default();
    let allowed = std::env::var("ALLOW_DB_PROVISION").is_ok_and(|it| it == "true");
    if run.require_approval && environment != "dev" && !allowed {
        bail!(
            "environment `{environment}` needs an approval: set ALLOW_DB_PROVISION=true once \
             somebody has read the plan"
        );
    }
    Ok(())
}

async fn go(wanted: &Wanted, labels: Labels, rehearse: bool) -> Result<Outcome, Failure> {
    let https = Https::default();
    let login = wanted.given.as_ref().map(|it| it.login.clone());
    if let Some(given) = &wanted.given {
        tracing::info!("the server is the one given by {}", given.by);
    }
    let world = world::real(Arc::new(https), login, wanted.places.clone());
    let budget = Budget::new(tokio::time::Instant::now() + DAY);
    budget.limit_statements(wanted.desired.statement_timeout);
    let ids = Ids {
        stack_id: NO_STACK.into(),
        request_id: labels.run_id.clone().unwrap_or_else(fresh_id),
        logical_resource_id: wanted.logical_id.clone(),
        physical_resource_id: None,
    };
    let task = Task {
        desired: &wanted.desired,
        ids: &ids,
        physical_id: wanted.physical_id.clone(),
        properties_sha256: wanted.properties_sha256.clone(),
        trigger: Trigger::Call,
        rehearse,
        ledger: ledger::default_schema(),
        login: None,
        search_path: None,
        event_at: None,
        labels,
        started: Instant::now(),
        budget: &budget,
    };
    engine::run(&world, &task).await
}

fn fresh_id() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}
