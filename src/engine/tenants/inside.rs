//! Inside of a tenant's database: extensions, schema `public`, privileges, the changelog.
//!
//! The master does what takes its rights, in a session in which nothing of the
//! tenant's runs. All the rest is done over the tenant's own login, so that its
//! triggers and functions are nobody else than the tenant.

use std::time::Instant;

use super::one::{self, Told, failed, run};
use super::see::Seen;
use super::{Work, changelog};
use crate::apply::{self, tenants::inside as texts};
use crate::desired::Desired;
use crate::desired::tenant::{Access, Place, Tenant};
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::inspect;
use crate::observed::Observed;
use crate::observed::tenant::{Inside, Lacking, LoginState};
use crate::plan::tenants::inner::DATABASE_OWNER;
use crate::plan::tenants::{self as plan, Change, TenantError};
use crate::plan::{Step, changes as changes_of_extensions};
use crate::postgres::Session;

/// The end of the whole request waits for the disk, and so for this too.
const LAZY: &str = "SET LOCAL synchronous_commit = off;\n";

/// So many connections a database needs for the master and the tenant at once.
const ROOM: u32 = 3;

/// Brings the inside to what is asked for, and proves that the tenant's login works.
pub(super) async fn settle(
    work: &Work<'_>,
    tenant: &Tenant,
    is_new: bool,
    seen: &mut Seen,
    told: &mut Told,
) -> Result<(), Failure> {
    let mut session = None;
    let inside = of(work, tenant, is_new, seen, &mut session).await?;
    let inner = plan::inner::inner(tenant, &inside)?;
    let (mut of_master, of_tenant): (Vec<_>, Vec<_>) =
        inner.into_iter().partition(|it| !texts::of_master(it, tenant).is_empty());
    let extensions = extensions(work, tenant, is_new, seen, &mut session).await?;
    make_room(tenant, seen).await;
    let started = Instant::now();
    // Not at once with the login: the first session in a new database builds the cache that the
    // second one reads.
    master(work, tenant, session, &extensions, &of_master).await?;
    let own = own(work, tenant, seen).await?;
    // Of a new database nobody needs to hear that its `public` was given away.
    of_master.retain(|it| !is_new || !matches!(it, Change::GiveSchema { .. }));
    told.took(&of_master, started);
    told.took(
        &extensions.into_iter().map(|step| Change::Extension { step }).collect::<Vec<_>>(),
        started,
    );
    if own.is_none() && (tenant.changelog.is_some() || !of_tenant.is_empty()) {
        let username = seen.kept.get(&tenant.username).map(|it| &it.username);
        let state = username.and_then(|it| seen.logins.get(it));
        return Err(match state {
            Some(LoginState::Rotating) => TenantError::Rotating(tenant.secret.id().to_owned()),
            _ => TenantError::Full(format!("role `{}`", tenant.username)),
        }
        .into());
    }
    if let Some(own) = own.as_ref().filter(|_| !of_tenant.is_empty()) {
        let started = Instant::now();
        for change in &of_tenant {
            let sql = format!("BEGIN; {LAZY}{}COMMIT", texts::of_tenant(change, tenant));
            run(own, &change.to_string(), &sql).await?;
        }
        told.took(&of_tenant, started);
    }
    if let Some(own) = own {
        own.close().await;
    }
    changelog::apply(work, tenant, seen, told).await
}

/// Where there is room for one only, the tenant's session makes way for the master's.
async fn make_room(tenant: &Tenant, seen: &mut Seen) {
    if tenant.database_limit() >= ROOM {
        return;
    }
    if let Some(own) = seen.own.take() {
        own.close().await;
        // It is tried once more afterwards.
        let username = seen.kept.get(&tenant.username).map(|it| it.username.clone());
        seen.logins.retain(|it, _| Some(it) != username.as_ref());
    }
}

/// What would be done inside.
pub(super) async fn look(
    work: &Work<'_>,
    tenant: &Tenant,
    is_new: bool,
    seen: &mut Seen,
) -> Result<Vec<Change>, Failure> {
    if is_new {
        // All of it is new, and said in one line each.
        let mut changes = plan::inner::inner(tenant, &fresh(tenant))?;
        changes.retain(|it| !matches!(it, Change::GiveSchema { .. }));
        let steps = extensions_of_a_new(work, tenant).await?;
        changes.splice(..0, steps.into_iter().map(|step| Change::Extension { step }));
        changes.extend(changelog::all(work, tenant).await?);
        return Ok(changes);
    }
    let mut session = None;
    let inside = of(work, tenant, is_new, seen, &mut session).await?;
    let steps = extensions(work, tenant, is_new, seen, &mut session).await?;
    let mut changes: Vec<_> = steps.into_iter().map(|step| Change::Extension { step }).collect();
    // The changelog is looked at over a session of its own.
    if let Some(own) = seen.own.take() {
        own.close().await;
    }
    if let Some(session) = session {
        session.close().await;
    }
    changes.extend(plan::inner::inner(tenant, &inside)?);
    changes.extend(changelog::look(work, tenant, seen).await?);
    Ok(changes)
}

/// What a database of `template0` has inside.
fn fresh(tenant: &Tenant) -> Inside {
    let lacking = Lacking { defaults: true, ..Lacking::default() };
    Inside {
        schema_owner: DATABASE_OWNER.into(),
        public_creates: false,
        lacking: tenant.roles.iter().map(|it| (it.name.to_string(), lacking.clone())).collect(),
    }
}

/// What there is inside; a session of the master's is opened only if there is no other way.
async fn of(
    work: &Work<'_>,
    tenant: &Tenant,
    is_new: bool,
    seen: &Seen,
    session: &mut Option<Session>,
) -> Result<Inside, Failure> {
    if is_new && tenant.template.as_str() == "template0" {
        return Ok(fresh(tenant));
    }
    let (schema, database) = match &tenant.place {
        Place::Database(name) => ("public", Some(name)),
        Place::Schema(name) => (name.as_str(), None),
    };
    let roles: Vec<_> = tenant
        .roles
        .iter()
        .filter(|it| it.access != Access::Migrate)
        .map(|it| (it.name.as_str(), it.access == Access::Readwrite))
        .collect();
    let user = tenant.username.as_str();
    let inside = match (&seen.own, database) {
        (Some(own), _) => inspect::tenants::inside(own, schema, user, &roles).await,
        (None, Some(database)) => {
            let own = opened(work, database, session).await?;
            inspect::tenants::inside(own, schema, user, &roles).await
        }
        (None, None) => {
            let target = work.master.session().await?;
            let inside = inspect::tenants::inside(&target, schema, user, &roles).await;
            work.master.give_back(target);
            inside
        }
    };
    let mut inside = inside?;
    // Further roles that are made in this run have nothing yet.
    for role in &tenant.roles {
        let lacking = || Lacking { defaults: true, ..Lacking::default() };
        inside.lacking.entry(role.name.to_string()).or_insert_with(lacking);
    }
    Ok(inside)
}

async fn opened<'s>(
    work: &Work<'_>,
    database: &Identifier,
    session: &'s mut Option<Session>,
) -> Result<&'s Session, Failure> {
    if session.is_none() {
        *session = Some(work.master.inside(database).await?);
    }
    Ok(session.as_ref().expect("it was opened above"))
}

/// The steps that bring the extensions to what is asked for.
async fn extensions(
    work: &Work<'_>,
    tenant: &Tenant,
    is_new: bool,
    seen: &Seen,
    session: &mut Option<Session>,
) -> Result<Vec<Step>, Failure> {
    let Place::Database(database) = &tenant.place else { return Ok(Vec::new()) };
    if tenant.extensions.is_empty() {
        return Ok(Vec::new());
    }
    let offered = if is_new { Some(work.offered().await?) } else { None };
    // What there is can be seen by the tenant as well.
    let session = match &seen.own {
        Some(own) => own,
        None => opened(work, database, session).await?,
    };
    let observed = inspect::extensions::alone(session, &tenant.extensions, offered).await?;
    planned(work, tenant, &observed)
}

async fn extensions_of_a_new(work: &Work<'_>, tenant: &Tenant) -> Result<Vec<Step>, Failure> {
    if tenant.extensions.is_empty() {
        return Ok(Vec::new());
    }
    let offered = Some(work.offered().await?.clone());
    planned(work, tenant, &Observed { offered, ..Observed::default() })
}

fn planned(work: &Work<'_>, tenant: &Tenant, observed: &Observed) -> Result<Vec<Step>, Failure> {
    let desired =
        Desired { extensions: tenant.extensions.clone(), ..work.task.desired.of_nothing() };
    Ok(changes_of_extensions(&desired, None, observed, None, false)?.steps)
}

/// The master's part, in one transaction. Extensions come before `public` is given away: nobody
/// else can have put anything in their way.
async fn master(
    work: &Work<'_>,
    tenant: &Tenant,
    mut session: Option<Session>,
    extensions: &[Step],
    changes: &[Change],
) -> Result<(), Failure> {
    let Place::Database(database) = &tenant.place else { return Ok(()) };
    if extensions.is_empty() && changes.is_empty() {
        return Ok(());
    }
    let session = opened(work, database, &mut session).await?;
    let mut begin = format!("BEGIN; {LAZY}{}\n", work.task.budget.set_local());
    let give: String = changes.iter().map(|it| texts::of_master(it, tenant)).collect();
    let what = changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if extensions.is_empty() {
        return run(session, &what, &(begin + &give + "COMMIT")).await.map(drop);
    }
    begin += "SET LOCAL search_path = public;\n";
    run(session, "begin", &begin).await?;
    for step in extensions {
        let done = apply::carry_out(session, step).await;
        done.map_err(|source| failed(&step.to_string(), source))?;
        if let Step::CreateSchema { name } = step {
            // It is the master's, and in this database all are the tenant's logins.
            let usage = format!("GRANT USAGE ON SCHEMA {} TO PUBLIC", name.quoted());
            run(session, &step.to_string(), &usage).await?;
        }
    }
    run(session, &what, &(give + "COMMIT")).await.map(drop)
}

/// The session of the tenant's own login, which has to work; `None` if it is full.
async fn own(
    work: &Work<'_>,
    tenant: &Tenant,
    seen: &mut Seen,
) -> Result<Option<Session>, Failure> {
    if let Some(own) = seen.own.take() {
        return Ok(Some(own));
    }
    let database = match &tenant.place {
        Place::Database(name) => name.as_str(),
        Place::Schema(_) => work.cluster.target.as_str(),
    };
    let Some(kept) = seen.kept.get(&tenant.username) else { return Ok(None) };
    if kept.password.is_none() && !tenant.iam_auth {
        return Ok(None);
    }
    // What needs the login of a full tenant, or of one that is being rotated, says so itself.
    if let Some(LoginState::Works | LoginState::Rotating) = seen.logins.get(&kept.username) {
        return Ok(None);
    }
    let tried = one::works(work, tenant, database, kept, tenant.secret.id()).await;
    // What is done inside needs the login; that of an IAM role is another right of the function's.
    let is_needed = !tenant.roles.is_empty() || tenant.changelog.is_some();
    match tried {
        Err(Failure::Tenant(TenantError::LoginRefused { why, .. }))
            if tenant.iam_auth && !is_needed =>
        {
            tracing::warn!(tenant = tenant.name, "the IAM login could not be tried: {why}");
            Ok(None)
        }
        tried => tried,
    }
}
