//! Tenants, one by one and several at a time.
//!
//! What all of them need comes first, then those that leave, then each of the
//! list. They are read in batches, and each is planned, carried out and told by
//! itself, so that memory does not grow with their number and one that fails
//! leaves the others done. At most so many are worked on at once, and never on
//! more connections than half of those that the server has left.

mod changelog;
mod done;
mod inside;
pub(super) mod leaving;
mod master;
mod one;
mod secrets;
mod see;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

pub(super) use self::done::{All, Done};
use self::master::Master;
use self::one::Told;
use super::{Look, Task, Tries, World};
use crate::apply::ApplyError;
use crate::desired::tenant::{Place, Tenant};
use crate::failure::{Failure, Trouble};
use crate::inspect;
use crate::ledger::{self, AuditRow, Entry};
use crate::observed::Offered;
use crate::observed::tenant::{Cluster, Found, Held};
use crate::plan::Step;
use crate::plan::tenants::{self as plan, Asking, Change, TenantError};
use crate::postgres::Session;
use crate::request::RequestType;
use crate::sql::literal;

/// So many tenants are read at once.
const BATCH: usize = 64;

/// A tenant takes up to three connections: the target database, its own, its login. While its
/// database is being made it takes one, and another tenant has its turn.
const EACH: u32 = 4;

/// So often a lock that was not to be had in `LockTimeout` is tried again for a tenant.
const LOCKED: u32 = 3;

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
    /// ARNs of secrets that were made and are not in the ledger yet.
    unwritten: Mutex<BTreeSet<String>>,
    with_events: bool,
    /// So many tenants are worked on at once; of as many others the database is being made.
    at_once: usize,
    turns: Semaphore,
    making: Semaphore,
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
        let cluster = inspect::cluster::observe(main).await?;
        let master = Master::new(world, task, read_only).await?;
        let most = ((cluster.free_slots / 2).saturating_sub(1) / EACH).max(1);
        let at_once = task.desired.tenant_connections.min(most) as usize;
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
            unwritten: Mutex::default(),
            with_events: true,
            at_once,
            turns: Semaphore::new(at_once),
            making: Semaphore::new(at_once),
        })
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Waits until this tenant may be worked on. To be given back while its database is made.
    async fn turn(&self) -> SemaphorePermit<'_> {
        self.turns.acquire().await.expect("it is never closed")
    }

    /// Waits until one more database may be made.
    async fn making(&self) -> SemaphorePermit<'_> {
        self.making.acquire().await.expect("it is never closed")
    }
}

/// Names of a batch, to look for.
fn names<'t>(batch: &'t [Tenant], target: &'t str) -> inspect::tenants::Names<'t> {
    let mut names = inspect::tenants::Names::default();
    for tenant in batch {
        names.tenants.push(&tenant.name);
        match &tenant.place {
            Place::Database(name) => names.databases.push(name.as_str()),
            Place::Schema(name) => {
                names.schemas.push(name.to_string());
                names.schemas.extend(ledger::of_a_schema(name).ok().map(|it| it.to_string()));
                names.databases.push(target);
                // A role of the same name would have the schema in its search path.
                names.roles.push(name.to_string());
            }
        }
        for (login, _, secret) in tenant.logins() {
            names.secrets.push(secret.id());
            names.roles.push(login.to_string());
            if tenant.alternates() {
                names.roles.push(Tenant::clone_of(login));
            }
        }
    }
    names
}

/// Each tenant with its place in the list and with what there is under its names. A batch is read
/// when the first of it has its turn.
fn with_found<'s>(
    work: &'s Work<'_>,
    main: &'s Session,
    ours: Option<&'s str>,
) -> impl Stream<Item = Result<(usize, &'s Tenant, Arc<Found>), Failure>> + 's {
    let tenants = &work.task.desired.tenants;
    let batches = stream::try_unfold(0, move |at| async move {
        let batch = &tenants[at..tenants.len().min(at + BATCH)];
        if batch.is_empty() {
            return Ok(None);
        }
        let names = names(batch, &work.cluster.target);
        let found = inspect::tenants::found(main, &names, ours.map(str::to_owned)).await?;
        let found = Arc::new(found);
        let each = move |(n, tenant)| Ok((at + n, tenant, Arc::clone(&found)));
        Ok::<_, Failure>(Some((stream::iter(batch.iter().enumerate().map(each)), at + batch.len())))
    });
    batches.try_flatten()
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
    let all = task.desired.tenants.len();
    if all > 0 {
        close(&work, main, &mut done).await?;
    }
    let mut leaving = Vec::new();
    let leavers = leaving::settle(&work, main, &mut done, &mut leaving).await?;
    let (mut ended, all) = (leavers, leavers + all);
    let ours = work.ours();
    let work = &work;
    let each = with_found(work, main, Some(&ours)).map(|next| async move {
        let (at, tenant, found) = next?;
        let first = Box::pin(one::provision(work, tenant, &found, false)).await;
        // What was read for a whole batch does not wait for the slowest of it.
        drop(found);
        Ok::<_, Failure>((at, tenant, Box::pin(again(work, tenant, first)).await))
    });
    let mut each = pin!(each.buffer_unordered(2 * work.at_once));
    let (mut troubles, mut unread) = (Vec::new(), None);
    while let Some(next) = each.next().await {
        match next {
            Ok((at, tenant, Ok(told))) => done.take(at, tenant, told),
            Ok((at, tenant, Err(failure))) => {
                tracing::error!(tenant = tenant.name, "{failure}");
                let (tenant, failure) = (tenant.name.clone(), Box::new(failure));
                troubles.push((at, Trouble { tenant, failure }));
            }
            // Those that have begun are not stopped in the middle.
            Err(failure) => {
                unread = Some(failure);
                continue;
            }
        }
        ended += 1;
        tracing::info!(ended, all, "tenants");
    }
    if troubles.iter().any(|it| matches!(*it.1.failure, Failure::Gone(_))) {
        secrets::take_back(work).await;
    }
    if let Some(failure) = unread {
        return Err(failure);
    }
    if troubles.is_empty() && leaving.is_empty() {
        return Ok(done);
    }
    troubles.sort_by_key(|it| it.0);
    let troubles: Vec<_> = leaving.into_iter().chain(troubles.into_iter().map(|it| it.1)).collect();
    Err(Failure::Tenants { troubles, all, done: true })
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
    let (mut tries, mut looks, mut locked) = (Tries::default(), 0, 0);
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
        // What is locked here is the tenant's, and it may keep its locks for as long as it likes.
        locked += u32::from(failure.is_lock_timeout());
        let heals = failure.heals()
            || taken
            || failure.sqlstate() == Some(IN_USE)
            || (passes && looks <= MOST_LOOKS);
        if !heals || locked > LOCKED || !tries.again(work.task.budget, &failure).await {
            return Err(failure);
        }
        result = Box::pin(fresh(work, tenant)).await;
    }
}

async fn fresh(work: &Work<'_>, tenant: &Tenant) -> Result<Told, Failure> {
    let names = names(std::slice::from_ref(tenant), &work.cluster.target);
    let session = work.master.session().await?;
    let found = inspect::tenants::found(&session, &names, Some(work.ours())).await?;
    work.master.give_back(session);
    one::provision(work, tenant, &found, true).await
}

/// Databases that let every role in are closed, as far as they are ours.
async fn close(work: &Work<'_>, main: &Session, done: &mut Done) -> Result<(), Failure> {
    let (steps, notes) = plan::cluster::cluster(&work.cluster, &work.task.desired.tenants);
    for note in notes {
        tracing::warn!("{note}");
        done.note(note);
    }
    for step in steps {
        let (privilege, on, keep) = match &step {
            Step::CloseDatabase { name, keep } => {
                ("CONNECT", format!("DATABASE {}", name.quoted()), keep)
            }
            Step::CloseSchema { name, keep } => {
                ("CREATE", format!("SCHEMA {}", name.quoted()), keep)
            }
            _ => continue,
        };
        let started = std::time::Instant::now();
        let keep = keep.iter().fold(String::new(), |mut sql, it| {
            let _infallible = writeln!(sql, "GRANT {privilege} ON {on} TO {};", it.quoted());
            sql
        });
        let audit = AuditRow {
            action: step.to_string(),
            status: "success",
            duration_ms: started.elapsed().as_millis(),
            message: None,
        };
        let sql = format!(
            "{}{}{keep}REVOKE {privilege} ON {on} FROM PUBLIC;\n{}COMMIT",
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
        done.step(step);
    }
    Ok(())
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
    let (steps, notes) = plan::cluster::cluster(&work.cluster, &task.desired.tenants);
    look.plan.steps.extend(steps);
    look.plan.notes.extend(notes);
    if has_tenants == Some(true) {
        let (steps, notes) = leaving::look(&work, main).await?;
        look.plan.steps.extend(steps);
        look.plan.notes.extend(notes);
    }
    let ours = has_tenants.map(|_| work.ours());
    let work = &work;
    let each = with_found(work, main, ours.as_deref()).map(|next| async move {
        let (_, tenant, found) = next?;
        Ok::<_, Failure>((tenant, Box::pin(one::look(work, tenant, &found)).await))
    });
    let mut each = pin!(each.buffered(work.at_once));
    let mut troubles = Vec::new();
    while let Some(next) = each.next().await {
        let (tenant, result) = next?;
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
    let all = task.desired.tenants.len();
    if troubles.is_empty() { Ok(()) } else { Err(Failure::Tenants { troubles, all, done: false }) }
}
