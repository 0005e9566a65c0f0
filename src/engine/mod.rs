//! The road: from a typed request to an outcome, over one session.
//!
//! The custom resource, the command line and a plain invocation all come here.
//! [`run`] takes the lock, looks, plans, and applies or only tells; a Delete
//! goes by [`delete`]. Whatever heals by itself (a server that fails over, a lock
//! that is taken, two sessions that met in the catalog) is tried again from the
//! start, for everything is one transaction and nothing of a failed try remains.

mod apply;
mod changelog;
mod changesets;
pub mod delete;
pub mod login;
mod rehearse;
mod tenants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::aws::Aws;
use crate::budget::Budget;
use crate::changelog::Loaded;
use crate::desired::{Desired, Mode};
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::inspect::{self, Question};
use crate::invocation::NO_STACK;
use crate::ledger::{Entry, Labels};
use crate::lock;
use crate::observed::{Ledger, Observed, Status};
use crate::outcome::{Facts, Outcome, data};
use crate::plan::{self, Moment, Plan};
use crate::postgres::{Connectors, Session, SessionOptions};
use crate::request::{Ids, RequestType};
use crate::secrets::{Login, SecretStore};
use crate::source::Places;

/// What the work needs of the outside; its parts may be shared.
#[derive(Clone)]
pub struct World {
    /// Where logins come from.
    pub secrets: Arc<dyn SecretStore>,
    /// TLS to PostgreSQL.
    pub connectors: Arc<Connectors>,
    /// Region and credentials, for IAM logins.
    pub aws: Arc<Aws>,
    /// The region that the function runs in.
    pub region: Option<String>,
    /// A login that was given by hand, and that no secret is read for.
    pub login: Option<Login>,
    /// Where changelogs are.
    pub places: Places,
}

/// Who asks for the work, and so what "new" and "changed" mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// CloudFormation says it.
    Stack(RequestType),
    /// Somebody calls; the ledger tells whether the properties are new or changed.
    Call,
}

/// One piece of work for one resource.
pub struct Task<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// For whom; `physical_resource_id` is the one that came in.
    pub ids: &'a Ids,
    /// The id to answer with.
    pub physical_id: String,
    /// Hash of the properties.
    pub properties_sha256: String,
    /// Who asks.
    pub trigger: Trigger,
    /// The schema of the ledger that remembers it.
    pub ledger: Identifier,
    /// A login that goes before all others, and that no secret is read for.
    pub login: Option<&'a Login>,
    /// `search_path` of its sessions, as PostgreSQL reads it; `None` is what the server has.
    pub search_path: Option<String>,
    /// Whether a plan tries its changesets out.
    pub rehearse: bool,
    /// When CloudFormation asked, in seconds since 1970.
    pub event_at: Option<u64>,
    /// For the audit.
    pub labels: Labels,
    /// When the work began.
    pub started: Instant,
    /// The time for it.
    pub budget: &'a Budget,
}

/// A finished look at the database: what is there and what would change.
pub struct Look {
    /// What is there.
    pub observed: Observed,
    /// What would change.
    pub plan: Plan,
    /// The secrets of the tenants, as far as they are there, in the order of the list.
    pub secrets: Vec<(String, String)>,
}

impl Look {
    /// `author:id` of the newest changeset in the history.
    fn last_changeset(&self) -> Option<String> {
        let row = self.observed.history.as_ref()?.rows.last()?;
        Some(format!("{}:{}", row.author, row.id))
    }
}

impl Task<'_> {
    fn question<'q>(&'q self, first: &'q str) -> Question<'q> {
        Question {
            ledger: &self.ledger,
            extensions: &self.desired.extensions,
            stack_id: &self.ids.stack_id,
            logical_id: &self.ids.logical_resource_id,
            request_id: &self.ids.request_id,
            properties_sha256: &self.properties_sha256,
            first,
            removing: self.trigger == Trigger::Stack(RequestType::Delete),
            returning: self.trigger == Trigger::Stack(RequestType::Update),
            // Changesets stay when their resource goes.
            changelog: self
                .desired
                .changelog
                .as_ref()
                .filter(|_| self.trigger != Trigger::Stack(RequestType::Delete)),
        }
    }

    fn entry(&self, kind: RequestType) -> Entry<'_> {
        Entry {
            ledger: &self.ledger,
            stack_id: &self.ids.stack_id,
            logical_id: &self.ids.logical_resource_id,
            request_id: &self.ids.request_id,
            kind,
            properties_sha256: self.properties_sha256.clone(),
            incoming_id: self.ids.physical_resource_id.as_deref(),
            physical_id: &self.physical_id,
            event_at: self.event_at,
            labels: &self.labels,
            goes_on: false,
        }
    }

    /// Whether there are tenants to see to, those that left among them.
    fn has_tenants(&self, ledger: Option<&Ledger>) -> bool {
        let had = ledger.is_some_and(|it| it.has_tenants == Some(true));
        had || !self.desired.tenants.is_empty()
    }

    /// Where sessions of this resource may be, beside the target database and `more`.
    ///
    /// A task with a login of its own works beside others of the same request.
    fn reach<'r>(&self, more: &'r [String]) -> lock::Reach<'r> {
        if self.ids.stack_id == NO_STACK || self.login.is_some() {
            lock::Reach::Databases(more)
        } else {
            lock::Reach::Cluster
        }
    }

    fn options(&self, read_only: bool) -> SessionOptions {
        SessionOptions {
            application_name: lock::application_name(
                &self.ids.stack_id,
                &self.ids.logical_resource_id,
                &self.ids.request_id,
            ),
            lock_timeout: self.desired.lock_timeout,
            statement_timeout: self.budget.statement_timeout(),
            read_only,
            search_path: self.search_path.clone(),
            guarded: false,
        }
    }

    /// The statements that are due, from who asks and what the ledger remembers.
    fn moment(&self, ledger: Option<&Ledger>) -> Option<Moment> {
        match self.trigger {
            Trigger::Stack(RequestType::Create) => Some(Moment::OnCreate),
            // Going back to what it was is no new change: its statements ran then, and a stack that
            // rolls back must get there.
            Trigger::Stack(RequestType::Update) => {
                let back = ledger.is_some_and(|it| {
                    it.returning || it.applied_sha256.as_ref() == Some(&self.properties_sha256)
                });
                (!back).then_some(Moment::OnUpdate)
            }
            Trigger::Stack(RequestType::Delete) => Some(Moment::OnDelete),
            Trigger::Call => match ledger.and_then(|it| it.applied_sha256.as_deref()) {
                None => Some(Moment::OnCreate),
                Some(applied) if applied != self.properties_sha256 => Some(Moment::OnUpdate),
                Some(_) => None,
            },
        }
    }

    fn outcome(&self, look: &Look, changed: bool, reason: String) -> Outcome {
        let facts = Facts {
            before: &look.observed,
            after: &look.observed.installed,
            plan: &look.plan,
            changed,
            changesets: 0,
            last_changeset: look.last_changeset(),
            tenants: self.desired.tenants.len(),
            secrets: &look.secrets,
            duration_ms: self.started.elapsed().as_millis(),
        };
        Outcome {
            data: data(&facts),
            reason,
            changed,
            plan: look.plan.clone(),
            rehearsal: Vec::new(),
        }
    }
}

/// Brings the database to what is wanted, or says what that would take.
pub async fn run(world: &World, task: &Task<'_>) -> Result<Outcome, Failure> {
    let loaded = changelog::load(world, task).await?;
    let loaded = loaded.as_deref();
    match task.desired.mode {
        Mode::Apply => Box::pin(apply::run(world, task, loaded)).await,
        Mode::Plan => {
            let (look, rehearsal) = match loaded.filter(|_| task.rehearse) {
                Some(loaded) => Box::pin(rehearse::run(world, task, loaded)).await?,
                None => (look(world, task, loaded, true).await?, Vec::new()),
            };
            let steps = look.plan.steps.len();
            let reason = match steps {
                0 => "nothing to do".to_owned(),
                _ => format!("{steps} steps would be taken; nothing was changed"),
            };
            let reason = with_notes(reason, &look.plan);
            Ok(Outcome { rehearsal, ..task.outcome(&look, false, reason) })
        }
        Mode::Verify => {
            let look = look(world, task, loaded, false).await?;
            if look.plan.steps.is_empty() {
                let reason = with_notes("the database is as wanted".into(), &look.plan);
                Ok(task.outcome(&look, false, reason))
            } else {
                Err(Failure::Differs(look.plan))
            }
        }
    }
}

fn with_notes(reason: String, plan: &Plan) -> String {
    plan.notes.iter().fold(reason, |said, note| format!("{said}; {note}"))
}

/// Looks and plans on a session that the server keeps from writing.
///
/// `with_events` adds what belongs to the moment rather than to a state, and so is no
/// difference: what `OnCreate` or `OnUpdate` would run, and changesets that run always.
async fn look(
    world: &World,
    task: &Task<'_>,
    loaded: Option<&Loaded>,
    with_events: bool,
) -> Result<Look, Failure> {
    let mut tries = Tries::default();
    loop {
        let looked = Box::pin(look_once(world, task, loaded, with_events)).await;
        match looked {
            Err(failure) if failure.heals() && tries.again(task.budget, &failure).await => {}
            looked => return looked,
        }
    }
}

async fn look_once(
    world: &World,
    task: &Task<'_>,
    loaded: Option<&Loaded>,
    with_events: bool,
) -> Result<Look, Failure> {
    let session = login::open(world, task, &task.options(true)).await?;
    task.budget.doing("reading the catalog");
    let answer = inspect::observe(&session, &task.question("SELECT 1")).await?;
    let observed = refused_pooler(answer.observed)?;
    let moment = task.moment(observed.ledger.as_ref()).filter(|_| with_events);
    let changelog = loaded.map(|it| &it.changelog);
    let plan = plan::changes(task.desired, changelog, &observed, moment, with_events);
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            let failure = error.into();
            return Err(changelog::explained(&session, task, loaded, &observed, failure).await);
        }
    };
    let mut look = Look { observed, plan, secrets: Vec::new() };
    if task.has_tenants(look.observed.ledger.as_ref()) {
        Box::pin(tenants::look(world, task, &session, &mut look, with_events)).await?;
    }
    session.close().await;
    Ok(look)
}

/// How long an earlier delivery of the same request may hold the lock before its session is ended.
const PREDECESSOR: Duration = Duration::from_secs(10);

/// A session that is not ours alone loses the lock without a word.
fn refused_pooler(observed: Observed) -> Result<Observed, Failure> {
    if observed.server.is_ours {
        Ok(observed)
    } else {
        Err(Failure::Pooler(observed.server.database))
    }
}

/// Takes the ledger's lock of the database and looks, both under it.
///
/// `since` becomes the server's clock at the first look, before any wait.
async fn lock_and_observe(
    session: &Session,
    task: &Task<'_>,
    since: &mut Option<f64>,
) -> Result<Observed, Failure> {
    let attempt = lock::attempt(&task.ledger);
    let mut wait = Duration::from_millis(50);
    let mut told = false;
    // Once only: two deliveries that live must not end each other for ever.
    let mut breaks_in = Some(Instant::now() + PREDECESSOR);
    loop {
        task.budget.doing("reading the catalog");
        let answer = inspect::observe(session, &task.question(&attempt)).await?;
        since.get_or_insert(answer.observed.server.now);
        let observed = refused_pooler(answer.observed)?;
        if answer.first.as_deref() == Some("t") {
            return Ok(observed);
        }
        let database = observed.server.database;
        task.budget.doing(format!("waiting for another run on database `{database}`"));
        loop {
            if !task.budget.pause(wait).await {
                let holder = lock::holder(session, &task.ledger)
                    .await
                    .map_err(inspect::InspectError::from)?;
                return Err(Failure::Locked { database, holder });
            }
            wait = (wait * 2).min(Duration::from_secs(1));
            if wait > Duration::from_millis(200) && !told {
                told = true;
                let holder = lock::holder(session, &task.ledger)
                    .await
                    .map_err(inspect::InspectError::from)?;
                tracing::warn!(database, holder, "waiting for another run to end");
            }
            if breaks_in.take_if(|at| Instant::now() >= *at).is_some() {
                let Ids { stack_id, logical_resource_id: id, request_id, .. } = task.ids;
                let reach = task.reach(&[]);
                let ended = lock::end_predecessors(session, stack_id, id, request_id, reach).await;
                if ended.map_err(inspect::InspectError::from)? > 0 {
                    tracing::warn!("ended the session of an earlier delivery of this request");
                }
            }
            if told {
                let ended = lock::end_tenants(session, &task.ledger).await;
                if ended.map_err(inspect::InspectError::from)? > 0 {
                    tracing::warn!("ended sessions of tenants that held the lock of the resource");
                }
            }
            let got = session.value(&attempt).await.map_err(inspect::InspectError::from)?;
            if got.as_deref() == Some("t") {
                break;
            }
        }
    }
}

/// The stored answer, if this very request succeeded before with the same properties
/// and the resource is still as it left it.
///
/// A request id may be used again: by CloudFormation when a failed deployment is
/// retried, by a state machine for its next task.
fn replayed(task: &Task<'_>, ledger: &Ledger, kind: RequestType) -> Option<Outcome> {
    let stored = ledger.request.as_ref().filter(|it| {
        it.status == Status::Success
            && it.properties_sha256 == task.properties_sha256
            // By hand the first run is a Create and the next an Update, whatever is asked.
            && (it.request_type == RequestType::Delete.as_str()) == (kind == RequestType::Delete)
    })?;
    let holds = kind == RequestType::Delete
        || (ledger.applied_sha256.as_ref() == Some(&task.properties_sha256)
            && ledger.current_physical_id.as_ref() == Some(&task.physical_id));
    if !holds {
        return None;
    }
    tracing::info!("this request succeeded before; its answer is given again");
    Some(Outcome {
        data: stored.data.clone(),
        reason: stored.reason.clone().unwrap_or_default(),
        plan: Plan::default(),
        ..Outcome::default()
    })
}

/// Whether a Delete took the resource away from this request: the rule of the
/// ledger's `is_gone`, asked before any work is done.
fn is_gone(task: &Task<'_>, ledger: &Ledger, since: f64) -> bool {
    let Some(tombstone) = &ledger.tombstone else { return false };
    let by_another = tombstone.by != task.ids.request_id;
    by_another
        && match (tombstone.event_at, task.event_at) {
            (Some(theirs), Some(ours)) => ours <= theirs,
            _ => tombstone.names_us || tombstone.written_at >= since,
        }
}

/// Whether a newer request was taken up already.
fn is_stale(task: &Task<'_>, ledger: &Ledger) -> bool {
    matches!((task.event_at, ledger.last_event_at), (Some(ours), Some(last)) if ours < last)
}

/// Counts the tries of work that failed in a way that heals.
#[derive(Default)]
struct Tries(u32);

impl Tries {
    /// Waits a little, longer each time; `false` if it is no use to go on.
    async fn again(&mut self, budget: &Budget, failure: &Failure) -> bool {
        const MOST: u32 = 6;
        let most = match failure {
            // One more session finds the writer after a failover; a second reader is a wrong endpoint.
            Failure::Reader(_) => 1,
            // Another program wrote the history; that ends with its lock.
            Failure::HistoryMoved => u32::MAX,
            // Locks are given back some time; that is worth all the time there is.
            failure if failure.is_lock_timeout() => u32::MAX,
            _ => MOST,
        };
        self.0 += 1;
        if self.0 > most {
            return false;
        }
        tracing::warn!(attempt = self.0, "{failure}; trying again");
        budget.pause(Duration::from_millis(100) * 2_u32.pow(self.0.min(6))).await
    }
}
