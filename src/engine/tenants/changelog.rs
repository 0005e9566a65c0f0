//! A tenant's changelog: the same engine, over the tenant's own login.
//!
//! Ledger and history are the tenant's: in its database, or beside its schema. A
//! changelog that several tenants share is read once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::super::{Task, Trigger, World, apply as engine, changelog as reading, look as looking};
use super::Work;
use super::one::Told;
use super::see::Seen;
use crate::budget::Budget;
use crate::changelog::Loaded;
use crate::desired::tenant::{Place, Tenant};
use crate::desired::{Auth, Changelog, Connection, Desired, Mode};
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::ledger;
use crate::observed::tenant::LoginState;
use crate::plan::tenants::{Change, TenantError};
use crate::request::properties_sha256;
use crate::secrets::Login;

/// Changelogs that were read, each once.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Vec<(Changelog, Arc<Loaded>)>>);

impl Shelf {
    async fn get(
        &self,
        world: &World,
        task: &Task<'_>,
        wanted: &Changelog,
    ) -> Result<Arc<Loaded>, Failure> {
        let mut read = self.0.lock().await;
        if let Some((_, loaded)) = read.iter().find(|it| it.0 == *wanted) {
            return Ok(loaded.clone());
        }
        let loaded = reading::load_this(world, task, wanted).await?;
        read.push((wanted.clone(), loaded.clone()));
        Ok(loaded)
    }
}

/// Schema of the ledger of a tenant that is a schema.
pub fn ledger_of(schema: &Identifier) -> Result<Identifier, Failure> {
    ledger::of_a_schema(schema).map_err(|error| Failure::Internal(error.to_string()))
}

/// Runs what is pending.
pub(super) async fn apply(
    work: &Work<'_>,
    tenant: &Tenant,
    seen: &Seen,
    told: &mut Told,
) -> Result<(), Failure> {
    let Some(wanted) = &tenant.changelog else { return Ok(()) };
    let started = Instant::now();
    let loaded = work.shelf.get(work.world, work.task, wanted).await?;
    let (login, desired) = parts(work, tenant, seen, Mode::Apply)?;
    let budget = budget(work);
    let task = task(work, tenant, (&login, &desired), &budget)?;
    let outcome = Box::pin(engine::run(work.world, &task, Some(&loaded))).await?;
    let steps =
        outcome.plan.steps.into_iter().map(|step| Change::Changeset { step }).collect::<Vec<_>>();
    if outcome.changed {
        told.took(&steps, started);
    }
    Ok(())
}

/// What would run.
pub(super) async fn look(
    work: &Work<'_>,
    tenant: &Tenant,
    seen: &Seen,
) -> Result<Vec<Change>, Failure> {
    let Some(wanted) = &tenant.changelog else { return Ok(Vec::new()) };
    let works =
        |kept: &super::see::Kept| seen.logins.get(&kept.username) == Some(&LoginState::Works);
    if !seen.kept.get(&tenant.username).is_some_and(works) {
        return all(work, tenant).await;
    }
    let loaded = work.shelf.get(work.world, work.task, wanted).await?;
    let (login, desired) = parts(work, tenant, seen, Mode::Plan)?;
    let budget = budget(work);
    let task = task(work, tenant, (&login, &desired), &budget)?;
    let look = Box::pin(looking(work.world, &task, Some(&loaded), work.with_events)).await?;
    Ok(look.plan.steps.into_iter().map(|step| Change::Changeset { step }).collect())
}

/// All of it, of a tenant that is not there yet.
pub(super) async fn all(work: &Work<'_>, tenant: &Tenant) -> Result<Vec<Change>, Failure> {
    let Some(wanted) = &tenant.changelog else { return Ok(Vec::new()) };
    let loaded = work.shelf.get(work.world, work.task, wanted).await?;
    Ok(vec![Change::Changelog { changesets: loaded.changelog.changesets.len() }])
}

fn parts(
    work: &Work<'_>,
    tenant: &Tenant,
    seen: &Seen,
    mode: Mode,
) -> Result<(Login, Desired), Failure> {
    let kept = seen.kept.get(&tenant.username);
    let kept = kept.ok_or_else(|| TenantError::SecretAbsent(tenant.secret.id().to_owned()))?;
    let endpoint = work.master.endpoint();
    let database = match &tenant.place {
        Place::Database(name) => name.to_string(),
        Place::Schema(_) => work.cluster.target.clone(),
    };
    let login = Login {
        host: Some(endpoint.host),
        port: Some(endpoint.port),
        username: Some(kept.username.to_string()),
        password: kept.password.clone(),
        database: Some(database),
        ..Login::default()
    };
    let auth = if tenant.iam_auth { Auth::Iam } else { Auth::Password };
    let desired = Desired {
        connection: Connection { auth, ..work.task.desired.connection.clone() },
        changelog: tenant.changelog.clone(),
        mode,
        ..work.task.desired.of_nothing()
    };
    Ok((login, desired))
}

/// A changeset waits for locks until its time is over, and who holds them may be the tenant. There
/// must be time left then to say which one it was, and that the others are done.
fn budget(work: &Work<'_>) -> Budget {
    let whole = work.task.budget;
    let rest = (whole.left() / 10).min(Duration::from_secs(10));
    let budget = Budget::new(whole.deadline.checked_sub(rest).unwrap_or(whole.deadline));
    budget.limit_statements(work.task.desired.statement_timeout);
    budget
}

fn task<'t>(
    work: &'t Work<'_>,
    tenant: &Tenant,
    (login, desired): (&'t Login, &'t Desired),
    budget: &'t Budget,
) -> Result<Task<'t>, Failure> {
    let (ledger, search_path) = match &tenant.place {
        Place::Database(_) => (ledger::default_schema(), None),
        Place::Schema(name) => (ledger_of(name)?, Some(name.quoted())),
    };
    // Its own properties, so that another tenant's change is none of this one.
    let shown = format!("{:?}", tenant.changelog);
    let map = std::iter::once(("Changelog".to_owned(), shown.into())).collect();
    Ok(Task {
        desired,
        ids: work.task.ids,
        physical_id: work.task.physical_id.clone(),
        properties_sha256: properties_sha256(&map),
        trigger: Trigger::Call,
        ledger,
        login: Some(login),
        search_path,
        rehearse: false,
        event_at: None,
        labels: work.task.labels.clone(),
        started: work.task.started,
        budget,
    })
}
