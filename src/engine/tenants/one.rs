//! The road of one tenant: look, plan, carry out, log in, write down.
//!
//! Each step is safe to repeat, and leaves behind what the next run needs to go
//! on: the secret is written before the role gets its password, role and ledger
//! are one transaction, a database that is begun carries a mark, and it takes no
//! connections before it is closed to all others.

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::SemaphorePermit;

use super::see::{self, Kept, Seen, Tried};
use super::{Work, inside, secrets};
use crate::apply::ApplyError;
use crate::apply::tenants::{as_member, database, role};
use crate::desired::tenant::{Owner, Place, Secret, Tenant};
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::ledger::AuditRow;
use crate::observed::tenant::{Found, HeldKind, LoginState, SecretState, is_same};
use crate::plan::Step;
use crate::plan::tenants::{self as plan, Change, Sight, TenantError};
use crate::postgres::{Row, Session, SqlError, scram};
use crate::rotation::sql::VERIFIER;
use crate::sql::literal;

/// What a tenant takes at least.
const LEAST: Duration = Duration::from_secs(2);

/// What came of one tenant.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What was changed, with milliseconds.
    pub(super) changes: Vec<(Change, u128)>,
    /// The ARN of its own secret.
    pub(super) secret_arn: String,
    /// What is to be said beyond that.
    pub(super) notes: Vec<String>,
}

impl Told {
    pub(super) fn took(&mut self, changes: &[Change], since: Instant) {
        let ms = since.elapsed().as_millis();
        self.changes.extend(changes.iter().map(|it| (it.clone(), ms)));
    }
}

/// Brings one tenant to what is asked for.
pub(super) async fn provision(
    work: &Work<'_>,
    tenant: &Tenant,
    found: &Found,
    mut careful: bool,
) -> Result<Told, Failure> {
    let mut turn = Some(work.turn().await);
    // One that cannot end any more is better not begun.
    if work.task.budget.left() < LEAST {
        return Err(Failure::Deadline("waiting for its turn".into()));
    }
    let mut told = Told::default();
    let mut seen = see::see(work, tenant, found, careful).await?;
    let mut outer = plan::outer(tenant, &sight(work, found, &seen))?;
    let restored: Vec<_> =
        outer.iter().filter(|it| matches!(it, Change::RestoreSecret { .. })).cloned().collect();
    if !restored.is_empty() {
        let started = Instant::now();
        secrets::restore(work, tenant, &restored, &seen).await?;
        told.took(&restored, started);
        careful = true;
        seen = see::see(work, tenant, found, careful).await?;
        outer = plan::outer(tenant, &sight(work, found, &seen))?;
    }
    let rotations = plan::rotations(tenant, &sight(work, found, &seen));
    secrets::write(work, tenant, &outer, &mut seen, &mut told).await?;
    roles(work, tenant, &outer, &seen, &mut told).await?;
    let is_new = match &tenant.place {
        Place::Database(name) => {
            of_database(work, tenant, name, (found, seen.mark), &outer, &mut turn, &mut told)
                .await?
        }
        Place::Schema(_) => false,
    };
    inside::settle(work, tenant, is_new, &mut seen, &mut told).await?;
    further_logins(work, tenant, &seen).await?;
    secrets::rotate(work, tenant, &rotations, &seen, &mut told).await?;
    if let Some(kept) = seen.kept.get(&tenant.username) {
        told.secret_arn.clone_from(&kept.arn);
    }
    if seen.logins.values().any(|it| *it == LoginState::Rotating) {
        told.notes.push(format!("tenant {}: a rotation is under way", tenant.name));
    }
    write_down(work, tenant, found, &told).await?;
    Ok(told)
}

/// What would be done, for people who ask first.
pub(super) async fn look(
    work: &Work<'_>,
    tenant: &Tenant,
    found: &Found,
) -> Result<(Vec<Change>, String), Failure> {
    let mut seen = see::see(work, tenant, found, true).await?;
    let sight = sight(work, found, &seen);
    let mut changes = plan::outer(tenant, &sight)?;
    let rotations = plan::rotations(tenant, &sight);
    let is_new = changes
        .iter()
        .any(|it| matches!(it, Change::CreateDatabase { .. } | Change::FinishDatabase { .. }));
    changes.extend(inside::look(work, tenant, is_new, &mut seen).await?);
    changes.extend(rotations);
    let arn = seen.kept.get(&tenant.username).map(|it| it.arn.clone());
    Ok((changes, arn.unwrap_or_default()))
}

fn sight<'a>(work: &'a Work<'_>, found: &'a Found, seen: &'a Seen) -> Sight<'a> {
    Sight {
        asking: work.asking,
        cluster: &work.cluster,
        found,
        secrets: &seen.secrets,
        logins: &seen.logins,
        keys: &seen.keys,
        tags: &seen.tags,
    }
}

/// Runs SQL for a change, so that an error says for which.
pub(super) async fn run(session: &Session, change: &str, sql: &str) -> Result<Vec<Row>, Failure> {
    session.run(sql).await.map_err(|source| failed(change, source))
}

pub(super) fn failed(change: &str, source: SqlError) -> Failure {
    let (step, at) = (Some(change.to_owned()), None);
    Failure::Apply(ApplyError { step, undone: 0, ours: true, at, source })
}

/// The beginning of a transaction with what it must hold for.
pub(super) fn begin(work: &Work<'_>) -> String {
    format!("{}{}", work.entry.begin(), guards(work))
}

/// What must hold for a transaction that has begun.
pub(super) fn guards(work: &Work<'_>) -> String {
    let self_grant = if work.cluster.version_num >= 160_000 {
        // Or the server may make us a member of each role that we make.
        "SET LOCAL createrole_self_grant = '';\n"
    } else {
        ""
    };
    format!(
        "{}\n{}\n{self_grant}",
        work.task.budget.set_local(),
        work.entry.assert_wanted(work.since)
    )
}

/// Roles, secrets' rows, and what else is one transaction in the target database.
async fn roles(
    work: &Work<'_>,
    tenant: &Tenant,
    outer: &[Change],
    seen: &Seen,
    told: &mut Told,
) -> Result<(), Failure> {
    let started = Instant::now();
    let mark = plan::mark(&work.asking, &tenant.name);
    let verifier = |name: &Identifier| -> Option<SecretString> {
        let kept = seen.kept.values().find(|it| it.username == *name)?;
        kept.password.as_ref().map(scram::verifier)
    };
    let target = Identifier::new(&work.cluster.target).ok();
    let (mut sql, mut settings) = (String::new(), Vec::new());
    let mut done = Vec::new();
    for change in outer {
        let verifier = match change {
            Change::CreateRole { name, .. } | Change::SetPassword { name } => verifier(name),
            _ => None,
        };
        let setting = verifier.map(|it| {
            settings.push(it);
            format!("{VERIFIER}_{}", settings.len())
        });
        let mut statements =
            role::statements(change, tenant, work.entry, &mark, setting.as_deref());
        if let Some(target) = &target {
            statements += &database::schema_statements(change, tenant, work.entry, &mark, target);
        }
        if !statements.is_empty() {
            done.push(change.clone());
        }
        sql += &statements;
    }
    let asking = &work.asking;
    let made = |login: &Identifier| match seen.secrets.get(login) {
        // What another resource made is none that this one may delete.
        Some(SecretState::Here(known)) => {
            known.made && is_same(known.owner.as_ref(), asking.stack_id, asking.logical_id)
        }
        _ => false,
    };
    let is_given = |login: &Identifier| {
        let mut logins = tenant.logins();
        logins.any(|it| it.0 == login && matches!(it.2, Secret::Given(_)))
    };
    let written = outer.iter().filter_map(|it| match it {
        Change::CreateSecret { login, .. } => Some((login, true)),
        Change::TagSecret { login, .. } if !is_given(login) => Some((login, made(login))),
        _ => None,
    });
    for (login, created) in written {
        if let Some(kept) = seen.kept.get(login) {
            let held = (HeldKind::Secret, kept.arn.as_str(), "NULL");
            sql += &work.entry.holds(tenant, held, created, None);
        }
    }
    if let Some(name) = new_database(outer) {
        sql += &database::begun(work.entry, tenant, name, seen.mark);
    }
    if sql.is_empty() {
        return Ok(());
    }
    let what = done.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    // CREATE DATABASE waits for the disk, and so for this too.
    let lazy =
        if new_database(outer).is_some() { "SET LOCAL synchronous_commit = off;\n" } else { "" };
    let session = work.master.session().await?;
    // By themselves, and not in the text of the transaction, which a server that logs commands or
    // errors writes down.
    if !settings.is_empty() {
        run(&session, &what, &set_all(&settings)).await?;
    }
    let sql = format!("{}{lazy}{sql}COMMIT;\n{}", begin(work), clear_all(settings.len()));
    work.master.alone(run(&session, &what, &sql)).await?;
    work.master.give_back(session);
    let written = |arn: &String| seen.kept.values().any(|it| it.arn == *arn);
    work.unwritten().retain(|it| !written(it));
    told.took(&done, started);
    Ok(())
}

/// The verifiers become settings of the session.
fn set_all(verifiers: &[SecretString]) -> String {
    let set = |(at, it): (usize, &SecretString)| {
        let verifier = literal(it.expose_secret());
        format!("SELECT pg_catalog.set_config('{VERIFIER}_{}', {verifier}, false);\n", at + 1)
    };
    verifiers.iter().enumerate().map(set).collect()
}

fn clear_all(count: usize) -> String {
    let clear = |at| format!("SELECT pg_catalog.set_config('{VERIFIER}_{at}', '', false);\n");
    (1..=count).map(clear).collect()
}

/// One transaction over a session on the target database, while nobody else writes what the
/// cluster shares.
pub(super) async fn alone(work: &Work<'_>, what: &str, sql: &str) -> Result<Vec<Row>, Failure> {
    let session = work.master.session().await?;
    let rows = work.master.alone(run(&session, what, sql)).await?;
    work.master.give_back(session);
    Ok(rows)
}

fn new_database(outer: &[Change]) -> Option<&Identifier> {
    outer.iter().find_map(|it| match it {
        Change::CreateDatabase { name } => Some(name),
        _ => None,
    })
}

/// The database and its attributes; whether it is new.
async fn of_database<'w>(
    work: &'w Work<'_>,
    tenant: &Tenant,
    name: &Identifier,
    (found, mark): (&Found, i32),
    outer: &[Change],
    turn: &mut Option<SemaphorePermit<'w>>,
    told: &mut Told,
) -> Result<bool, Failure> {
    let started = Instant::now();
    let comment = plan::mark(&work.asking, &tenant.name);
    let is_new =
        |it: &&Change| matches!(it, Change::CreateDatabase { .. } | Change::FinishDatabase { .. });
    if let Some(change) = outer.iter().find(is_new) {
        let what = change.to_string();
        if matches!(change, Change::CreateDatabase { .. }) {
            // The server copies for a while, and another tenant has its turn.
            *turn = None;
            let making = work.making().await;
            let session = work.master.session().await?;
            // It takes no guard along. A Delete that this one does not see ends this very session.
            run(&session, &what, &format!("{}COMMIT", begin(work))).await?;
            let sql = database::create(tenant, name, mark);
            run(&session, &what, &sql).await?;
            work.master.give_back(session);
            drop(making);
            *turn = Some(work.turn().await);
        }
        let master = &work.cluster.master;
        let sql = format!(
            "{}SET LOCAL synchronous_commit = off;\n{}{}COMMIT",
            begin(work),
            database::finish(work.entry, tenant, name, master, &comment),
            database::public_privileges(name),
        );
        closed(name, &alone(work, &what, &sql).await?)?;
        told.took(std::slice::from_ref(change), started);
        return Ok(true);
    }
    let mut sql = String::new();
    let mut done = Vec::new();
    for change in outer {
        let statements = database::statements(change, tenant, work.entry, &comment);
        if !statements.is_empty() {
            sql += &statements;
            done.push(change.clone());
        }
    }
    let given = outer.iter().find(|it| matches!(it, Change::GiveDatabase { .. }));
    if let Some(change @ Change::GiveDatabase { name, to, .. }) = given {
        sql += &database::give(tenant, name, to, &work.cluster.master);
        done.push(change.clone());
    }
    if sql.is_empty() {
        return Ok(false);
    }
    let owner = found.databases.get(name.as_str()).map(|it| it.owner.as_str());
    let takes_membership = tenant.owner == Owner::Tenant || owner == Some(tenant.username.as_str());
    if takes_membership {
        sql = as_member(&tenant.username, &sql);
    }
    let what = done.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let sql = format!("{}{sql}{}COMMIT", begin(work), database::public_privileges(name));
    closed(name, &alone(work, &what, &sql).await?)?;
    told.took(&done, started);
    Ok(false)
}

/// What was taken from PUBLIC is read back: a server only warns if it was not ours to take.
fn closed(name: &Identifier, rows: &[Row]) -> Result<(), Failure> {
    let is_open = |row: &Row| row.first().and_then(Option::as_deref) == Some(database::PUBLIC);
    if rows.iter().any(is_open) {
        return Err(TenantError::StillOpen(name.to_string()).into());
    }
    Ok(())
}

/// A tenant counts as done when each of its logins works.
async fn further_logins(work: &Work<'_>, tenant: &Tenant, seen: &Seen) -> Result<(), Failure> {
    let database = match &tenant.place {
        Place::Database(name) => name.as_str(),
        Place::Schema(_) => work.cluster.target.as_str(),
    };
    for (login, _, secret) in tenant.logins().skip(1).filter(|_| !tenant.iam_auth) {
        let Some(kept) = seen.kept.get(login) else { continue };
        let worked = [Some(&LoginState::Works), Some(&LoginState::Rotating)];
        if !worked.contains(&seen.logins.get(&kept.username)) {
            works(work, tenant, database, kept, secret.id()).await?;
        }
    }
    Ok(())
}

/// Logs in; the session is given if there is one to be had.
pub(super) async fn works(
    work: &Work<'_>,
    tenant: &Tenant,
    database: &str,
    kept: &Kept,
    secret: &str,
) -> Result<Option<Session>, Failure> {
    match see::try_login(work, tenant, database, kept).await? {
        Tried::Works(session) => Ok(Some(session)),
        Tried::Full => Ok(None),
        Tried::Refused(why) | Tried::Barred(why) | Tried::Closed(why) => {
            Err(TenantError::LoginRefused {
                role: kept.username.to_string(),
                secret: secret.to_owned(),
                why: why.to_string(),
            }
            .into())
        }
    }
}

/// The ledger and its audit learn what there was to do; of nothing they learn nothing.
async fn write_down(
    work: &Work<'_>,
    tenant: &Tenant,
    found: &Found,
    told: &Told,
) -> Result<(), Failure> {
    let ours = found.held.iter().filter(|it| it.tenant == tenant.name && work.is_ours(it));
    let differs = |it: &crate::observed::tenant::Held| {
        it.released
            || it.physical_id != work.asking.physical_id
            || it.policy != tenant.on_remove.policy.as_str()
            || it.force != tenant.on_remove.force
    };
    let stale = ours.into_iter().any(differs);
    if told.changes.is_empty() && !stale {
        return Ok(());
    }
    let rows: Vec<_> = told
        .changes
        .iter()
        .map(|(change, ms)| AuditRow {
            action: step(&tenant.name, change).to_string(),
            status: "success",
            duration_ms: *ms,
            message: None,
        })
        .collect();
    let holds = if stale { work.entry.still_holds(tenant) } else { String::new() };
    let sql = format!(
        "BEGIN; SET LOCAL synchronous_commit = off;\n{holds}{}COMMIT",
        work.entry.audit(&rows)
    );
    let session = work.master.session().await?;
    session.run(&sql).await.map_err(Failure::Ledger)?;
    work.master.give_back(session);
    Ok(())
}

/// A change as the plan shows it.
pub(super) fn step(tenant: &str, change: &Change) -> Step {
    Step::Tenant { tenant: tenant.to_owned(), change: Box::new(change.clone()) }
}
