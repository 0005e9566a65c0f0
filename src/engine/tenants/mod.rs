//! Tenants, one by one and several at a time.
//!
//! What all of them need comes first, then those that leave, then each of the
//! list. They are read in batches, and each is planned, carried out and told by
//! itself, so that memory does not grow with their number and one that fails
//! leaves the others done. At most so many are worked on at once, and never on
//! more connections than half of those that the server has left.

mod changelog;
mod inside;
mod master;
mod one;
mod secrets;
mod see;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures_util::StreamExt as _;
use tokio::sync::OnceCell;

use self::master::Master;
use self::one::Told;
use super::{Look, Task, Tries, World};
use crate::apply::ApplyError;
use crate::desired::tenant::{Place, Tenant};
use crate::desired::{Desired, OnDelete};
use crate::failure::{Failure, Trouble};
use crate::inspect;
use crate::ledger::{self, AuditRow, Entry};
use crate::observed::Offered;
use crate::observed::tenant::{Cluster, Held};
use crate::plan::Step;
use crate::plan::tenants::{self as plan, Asking, Change, TenantError};
use crate::postgres::Session;
use crate::request::RequestType;
use crate::sql::literal;

/// So many tenants are read at once.
const BATCH: usize = 64;

/// A tenant takes up to three connections: the target database, its own, its login.
const EACH: u32 = 3;

/// So many changes of tenants are kept for the answer; all of them are in the audit.
const KEPT: usize = 200;

/// What every tenant's work needs.
pub(super) struct Work<'a> {
    world: &'a World,
    task: &'a Task<'a>,
    entry: &'a Entry<'a>,
    since: f64,
    asking: Asking<'a>,
    cluster: Cluster,
    master: Master<'a>,
    shelf: changelog::Shelf,
    offered: OnceCell<Offered>,
    with_events: bool,
    /// What each tenant's own work starts from: all that the resource wants, but its tenants.
    base: Desired,
}

/// What came of all tenants.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What was changed, as far as it is kept.
    pub(super) steps: Vec<Step>,
    /// How many changes more there were.
    pub(super) more: usize,
    /// What is to be said beyond that.
    pub(super) notes: Vec<String>,
    /// The secrets of the tenants in the order of the list.
    pub(super) secrets: Vec<(String, String)>,
}

impl<'a> Work<'a> {
    async fn new(
        world: &'a World,
        task: &'a Task<'a>,
        main: &Session,
        entry: &'a Entry<'a>,
        since: f64,
        read_only: bool,
    ) -> Result<Work<'a>, Failure> {
        let cluster = inspect::tenants::cluster(main).await?;
        let master = Master::new(world, task, read_only).await?;
        Ok(Work {
            world,
            task,
            entry,
            since,
            asking: Asking {
                stack_id: entry.stack_id,
                logical_id: entry.logical_id,
                physical_id: entry.physical_id,
                incoming_id: entry.incoming_id,
            },
            cluster,
            master,
            shelf: changelog::Shelf::default(),
            offered: OnceCell::new(),
            with_events: true,
            base: base(task.desired),
        })
    }

    /// What each secret of a tenant is to say.
    fn keys_of(&self, tenant: &Tenant) -> BTreeMap<&'static str, String> {
        let endpoint = self.master.endpoint();
        let database = match &tenant.place {
            Place::Database(name) => name.to_string(),
            Place::Schema(_) => self.cluster.target.clone(),
        };
        let mut keys = BTreeMap::from([
            ("engine", "postgres".to_owned()),
            ("host", endpoint.host.clone()),
            ("port", endpoint.port.to_string()),
            ("dbname", database),
        ]);
        // The rotation sets passwords with the rights of the master.
        let master = self.task.desired.secret.clone().filter(|_| tenant.rotation.is_some());
        keys.extend(master.map(|it| ("masterarn", it)));
        keys
    }

    fn is_ours(&self, held: &Held) -> bool {
        held.stack_id == self.asking.stack_id && held.logical_id == self.asking.logical_id
    }

    fn ours(&self) -> String {
        format!(
            "stack_id = {} AND logical_id = {}",
            literal(self.asking.stack_id),
            literal(self.asking.logical_id)
        )
    }

    /// What the server offers of extensions; the same for each database without them.
    async fn offered(&self) -> Result<&Offered, Failure> {
        let read = || async {
            let session = self.master.session().await?;
            let all: BTreeMap<_, _> = self
                .task
                .desired
                .tenants
                .iter()
                .flat_map(|it| &it.extensions)
                .map(|it| (it.name.clone(), it.clone()))
                .collect();
            let all: Vec<_> = all.into_values().collect();
            let offered = inspect::extensions::offered(&session, &all).await?;
            self.master.give_back(session);
            Ok::<_, Failure>(offered)
        };
        self.offered.get_or_try_init(read).await
    }

    /// How many tenants are worked on at once.
    fn at_once(&self) -> usize {
        let half = self.cluster.free_slots / 2;
        let most = (half.saturating_sub(1) / EACH).max(1);
        self.task.desired.tenant_connections.min(most) as usize
    }
}

fn base(desired: &Desired) -> Desired {
    Desired {
        secret: None,
        connection: desired.connection.clone(),
        extensions: Vec::new(),
        changelog: None,
        tenants: Vec::new(),
        on_create: Vec::new(),
        on_update: Vec::new(),
        on_delete: OnDelete::default(),
        ..*desired
    }
}

/// Names of a batch, to look for.
fn names<'t>(batch: &[&'t Tenant], target: &'t str) -> inspect::tenants::Names<'t> {
    let mut names = inspect::tenants::Names::default();
    for tenant in batch {
        names.tenants.push(&tenant.name);
        match &tenant.place {
            Place::Database(name) => names.databases.push(name.as_str()),
            Place::Schema(name) => {
                names.schemas.push(name.to_string());
                names.schemas.extend(ledger::of_a_schema(name).ok().map(|it| it.to_string()));
                names.databases.push(target);
            }
        }
        for (login, ..) in tenant.logins() {
            names.roles.push(login.to_string());
            if tenant.alternates() {
                names.roles.push(Tenant::clone_of(login));
            }
        }
    }
    names
}

/// Brings all tenants to what is asked for; `main` holds the lock of the target database.
pub(super) async fn run(
    world: &World,
    task: &Task<'_>,
    main: &Session,
    entry: &Entry<'_>,
    since: f64,
) -> Result<Done, Failure> {
    let work = Work::new(world, task, main, entry, since, false).await?;
    main.run(&entry.has_tenants()).await.map_err(Failure::Ledger)?;
    let mut done = Done::default();
    let tenants: Vec<_> = task.desired.tenants.iter().collect();
    if !tenants.is_empty() {
        close(&work, main, &mut done).await?;
    }
    let mut troubles = Vec::new();
    let (mut ended, all) = (0, tenants.len());
    for batch in tenants.chunks(BATCH) {
        let names = names(batch, &work.cluster.target);
        let found = inspect::tenants::found(main, &names, Some(work.ours())).await?;
        let (work, found) = (&work, &found);
        let each = batch.iter().map(|&tenant| async move {
            let first = Box::pin(one::provision(work, tenant, found, false)).await;
            (tenant, Box::pin(again(work, tenant, first)).await)
        });
        let mut each = futures_util::stream::iter(each).buffered(work.at_once());
        while let Some((tenant, result)) = each.next().await {
            ended += 1;
            match result {
                Ok(told) => take(&mut done, tenant, told),
                Err(failure) => {
                    tracing::error!(tenant = tenant.name, "{failure}");
                    let (tenant, failure) = (tenant.name.clone(), Box::new(failure));
                    troubles.push(Trouble { tenant, failure });
                }
            }
            tracing::info!(ended, all, "tenants");
        }
    }
    if troubles.is_empty() {
        return Ok(done);
    }
    Err(Failure::Tenants { troubles, all })
}

/// What heals is tried again, from a fresh look.
async fn again(
    work: &Work<'_>,
    tenant: &Tenant,
    first: Result<Told, Failure>,
) -> Result<Told, Failure> {
    /// The template of a new database is in use.
    const IN_USE: &str = "55006";
    /// So often what passes by itself is looked at again.
    const MOST_LOOKS: u32 = 3;
    let (mut tries, mut looks) = (Tries::default(), 0);
    let mut result = first;
    loop {
        let failure = match result.map_err(Failure::recognised) {
            Ok(told) => return Ok(told),
            Err(failure) => failure,
        };
        let taken = matches!(&failure, Failure::Secret(error) if error.is_taken());
        // Sessions of a moment ago may still count, and a rotation takes a moment.
        let passes =
            matches!(&failure, Failure::Tenant(TenantError::Full(_) | TenantError::Rotating(_)));
        looks += u32::from(passes);
        let heals = failure.heals()
            || taken
            || failure.sqlstate() == Some(IN_USE)
            || (passes && looks <= MOST_LOOKS);
        if !heals || !tries.again(work.task.budget, &failure).await {
            return Err(failure);
        }
        result = Box::pin(fresh(work, tenant)).await;
    }
}

async fn fresh(work: &Work<'_>, tenant: &Tenant) -> Result<Told, Failure> {
    let names = names(&[tenant], &work.cluster.target);
    let session = work.master.session().await?;
    let found = inspect::tenants::found(&session, &names, Some(work.ours())).await?;
    work.master.give_back(session);
    one::provision(work, tenant, &found, true).await
}

fn take(done: &mut Done, tenant: &Tenant, told: Told) {
    for (change, ms) in told.changes {
        tracing::info!(tenant = tenant.name, ms, "{change}");
        if done.steps.len() < KEPT {
            done.steps.push(one::step(&tenant.name, &change));
        } else {
            done.more += 1;
        }
    }
    done.notes.extend(told.notes);
    // The answer has room for a few only.
    if done.secrets.len() < 64 {
        done.secrets.push((tenant.name.clone(), told.secret_arn));
    }
}

/// Databases that let every role in are closed, as far as they are ours.
async fn close(work: &Work<'_>, main: &Session, done: &mut Done) -> Result<(), Failure> {
    let (steps, notes) = plan::cluster::cluster(&work.cluster, &own_databases(work));
    for note in notes {
        tracing::warn!("{note}");
        done.notes.push(note);
    }
    for step in steps {
        let Step::CloseDatabase { name, keep } = &step else { continue };
        let started = std::time::Instant::now();
        let database = name.quoted();
        let keep = keep.iter().fold(String::new(), |mut sql, it| {
            let _infallible =
                writeln!(sql, "GRANT CONNECT ON DATABASE {database} TO {};", it.quoted());
            sql
        });
        let audit = AuditRow {
            action: step.to_string(),
            status: "success",
            duration_ms: started.elapsed().as_millis(),
            message: None,
        };
        let sql = format!(
            "{}{}{keep}REVOKE CONNECT ON DATABASE {database} FROM PUBLIC;\n{}COMMIT",
            work.entry.begin(),
            work.entry.assert_wanted(work.since),
            work.entry.audit(&[audit]),
        );
        let what = step.to_string();
        work.master
            .alone(async {
                let done = main.run(&sql).await;
                done.map_err(|source| {
                    let step = Some(what.clone());
                    Failure::Apply(ApplyError { step, undone: 0, ours: true, at: None, source })
                })
            })
            .await?;
        done.steps.push(step);
    }
    Ok(())
}

fn own_databases<'a>(work: &'a Work<'_>) -> Vec<&'a str> {
    let own = |it: &'a Tenant| match &it.place {
        Place::Database(name) => Some(name.as_str()),
        Place::Schema(_) => None,
    };
    work.task.desired.tenants.iter().filter_map(own).collect()
}

/// Adds what would be done for all tenants to what was seen.
pub(super) async fn look(
    world: &World,
    task: &Task<'_>,
    main: &Session,
    look: &mut Look,
    with_events: bool,
) -> Result<(), Failure> {
    let entry = task.entry(RequestType::Update);
    let has_tenants = look.observed.ledger.as_ref().and_then(|it| it.has_tenants);
    let mut work = Work::new(world, task, main, &entry, 0.0, true).await?;
    work.with_events = with_events;
    let (steps, notes) = plan::cluster::cluster(&work.cluster, &own_databases(&work));
    look.plan.steps.extend(steps);
    look.plan.notes.extend(notes);
    let tenants: Vec<_> = task.desired.tenants.iter().collect();
    let mut troubles = Vec::new();
    let all = tenants.len();
    for batch in tenants.chunks(BATCH) {
        let names = names(batch, &work.cluster.target);
        let found = inspect::tenants::found(main, &names, has_tenants.map(|_| work.ours())).await?;
        let (work, found) = (&work, &found);
        let each =
            batch.iter().map(|&it| async move { (it, Box::pin(one::look(work, it, found)).await) });
        let mut each = futures_util::stream::iter(each).buffered(work.at_once());
        while let Some((tenant, result)) = each.next().await {
            let name = tenant.name.clone();
            match result {
                Ok((changes, arn)) => {
                    let steps = changes.iter().map(|it: &Change| one::step(&name, it));
                    look.plan.steps.extend(steps);
                    look.secrets.push((name, arn));
                }
                Err(failure) => {
                    troubles.push(Trouble { tenant: name, failure: Box::new(failure) });
                }
            }
        }
    }
    if troubles.is_empty() { Ok(()) } else { Err(Failure::Tenants { troubles, all }) }
}
