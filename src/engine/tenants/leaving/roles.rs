//! The end of roles: they may not log in, their sessions end, and what they have in any
//! database of the cluster becomes the master's before they are dropped.
//!
//! Nothing of a tenant's runs for that: REASSIGN OWNED and DROP OWNED call no function.

use std::time::{Duration, Instant};

use super::look::Seen;
use super::{audit, stays};
use crate::apply::tenants::leaving as texts;
use crate::engine::tenants::one::{self, Told, begin};
use crate::engine::tenants::{Work, one::run};
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::inspect;
use crate::lock;
use crate::observed::tenant::HeldKind;
use crate::plan::tenants::Change;
use crate::plan::tenants::leaving::{Leaver, Left, Why, clone_of};

/// How long ended sessions are waited for.
const GONE: Duration = Duration::from_secs(15);

/// Takes the login from roles, and ends their sessions.
pub(super) async fn disable(
    work: &Work<'_>,
    leaver: &Leaver,
    changes: &[Change],
    seen: &Seen,
    told: &mut Told,
) -> Result<Vec<Left>, Failure> {
    let started = Instant::now();
    let names: Vec<_> = changes
        .iter()
        .filter_map(|it| match it {
            Change::Disable { name } => Some(name.clone()),
            _ => None,
        })
        .collect();
    let audit: String = changes.iter().map(|it| audit(work, leaver, it, started)).collect();
    // The audit tells of it with the first of the two transactions; the second is found by sessions.
    let barred = bar(work, &names, seen, &audit).await?;
    if barred.is_empty() {
        super::write(work, &audit).await?;
    }
    let left = end_sessions(work, &names).await?;
    told.took(changes, started);
    let kind = HeldKind::Role;
    let open = |name: &Identifier| Left { kind, name: name.to_string(), why: Why::Sessions(left) };
    Ok(names.first().filter(|_| left > 0).map(open).into_iter().collect())
}

/// Takes the login from those of the roles that have it; gives these.
pub(super) async fn bar(
    work: &Work<'_>,
    names: &[Identifier],
    seen: &Seen,
    more: &str,
) -> Result<Vec<Identifier>, Failure> {
    let may = |it: &&Identifier| seen.found.roles.get(it.as_str()).is_some_and(|it| it.login);
    let names: Vec<_> = names.iter().filter(may).cloned().collect();
    if !names.is_empty() {
        let sql: String = names.iter().map(|it| texts::login(it, false)).collect();
        one::alone(work, "NOLOGIN", &format!("{}{sql}{more}COMMIT", begin(work))).await?;
    }
    Ok(names)
}

/// Gives the login back.
pub(super) async fn unbar(work: &Work<'_>, names: &[Identifier]) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let sql: String = names.iter().map(|it| texts::login(it, true)).collect();
    one::alone(work, "LOGIN", &format!("{}{sql}COMMIT", begin(work))).await.map(drop)
}

/// Ends all sessions of roles that may not log in, and waits for them; gives how many remain.
pub(super) async fn end_sessions(work: &Work<'_>, names: &[Identifier]) -> Result<u32, Failure> {
    let count = sessions(work, names, None).await?;
    if count == 0 {
        return Ok(0);
    }
    let sql: String = names.iter().map(texts::end_sessions).collect();
    let what = "end its sessions";
    one::alone(work, what, &format!("{}{sql}COMMIT", begin(work))).await?;
    let since = Instant::now();
    loop {
        let count = sessions(work, names, None).await?;
        let goes_on = count > 0 && since.elapsed() < GONE;
        if !goes_on || !work.task.budget.pause(Duration::from_millis(20)).await {
            return Ok(count);
        }
    }
}

/// Ends what an earlier request left running for this resource, and waits for it.
pub(super) async fn end_strays(
    work: &Work<'_>,
    names: &[Identifier],
    database: Option<&Identifier>,
) -> Result<(), Failure> {
    let failed = |error| Failure::Inspect(inspect::InspectError::Sql(error));
    let (stack, logical) = (work.asking.stack_id, work.asking.logical_id);
    let roles: Vec<_> = names.iter().map(ToString::to_string).collect();
    let database = database.map(Identifier::as_str);
    let session = work.master.session().await?;
    let ended = lock::end_strays(&session, stack, logical, database, &roles).await;
    let ended = ended.map_err(failed)?;
    let since = Instant::now();
    while !ended.pids.is_empty() && since.elapsed() < GONE {
        let is_gone = lock::remaining(&session, &ended).await.map_err(failed)? == 0;
        if is_gone || !work.task.budget.pause(Duration::from_millis(20)).await {
            break;
        }
    }
    work.master.give_back(session);
    Ok(())
}

/// How many sessions roles have, and a database.
pub(super) async fn sessions(
    work: &Work<'_>,
    names: &[Identifier],
    database: Option<&Identifier>,
) -> Result<u32, Failure> {
    let session = work.master.session().await?;
    let sql = texts::count_sessions(names, database);
    let rows = run(&session, "count its sessions", &sql).await?;
    work.master.give_back(session);
    let count = rows.into_iter().flatten().flatten().next();
    Ok(count.and_then(|it| it.parse().ok()).unwrap_or_default())
}

/// Drops a role with its second one, if they can be dropped; otherwise why not.
pub(super) async fn drop_role(
    work: &Work<'_>,
    leaver: &Leaver,
    change: &Change,
    seen: &Seen,
) -> Result<Option<Why>, Failure> {
    let Change::DropRole { name, oid } = change else { return Ok(None) };
    let started = Instant::now();
    let clone = clone_of(name, &seen.found);
    let clone = clone.and_then(|it| Some((seen.found.roles.get(it.as_str())?.oid, it)));
    let both: Vec<_> = clone.iter().map(|it| &it.1).chain([name]).collect();
    let give_up: String = both.iter().map(|it| texts::give_up(it)).collect();
    let what = change.to_string();
    let elsewhere = elsewhere(work, &both).await?;
    if !elsewhere.is_empty() {
        // Databases that it owns are ours then, so that we get in.
        let sql = format!("{}{give_up}COMMIT", begin(work));
        if let Some(why) = stays(one::alone(work, &what, &sql).await)? {
            return Ok(Some(why));
        }
    }
    for database in elsewhere {
        if let Some(why) = in_database(work, &database, &what, &give_up).await? {
            return Ok(Some(why));
        }
    }
    let drops = clone.iter().map(|(oid, it)| texts::drop_role(it, *oid)).collect::<String>();
    let sql = format!(
        "{}{give_up}{drops}{}{}{}COMMIT",
        begin(work),
        texts::drop_role(name, *oid),
        work.entry.forgets(HeldKind::Role, name.as_str()),
        audit(work, leaver, change, started),
    );
    stays(one::alone(work, &what, &sql).await)
}

/// The databases but the target in which the roles have something.
async fn elsewhere(work: &Work<'_>, roles: &[&Identifier]) -> Result<Vec<Identifier>, Failure> {
    let names: Vec<_> = roles.iter().map(ToString::to_string).collect();
    let session = work.master.session().await?;
    let ties = inspect::leaving::ties(&session, (&[], &names, &[]), "false").await?;
    work.master.give_back(session);
    let mut all: Vec<_> = ties.traces.into_values().flatten().collect();
    all.sort();
    all.dedup();
    all.retain(|it| *it != work.cluster.target);
    Ok(all.iter().filter_map(|it| Identifier::new(it).ok()).collect())
}

async fn in_database(
    work: &Work<'_>,
    database: &Identifier,
    what: &str,
    give_up: &str,
) -> Result<Option<Why>, Failure> {
    const NO_DATABASE: &str = "3D000";
    /// No privilege, no connections allowed, too many of them, no line in `pg_hba.conf`.
    const CLOSED: [&str; 4] = ["42501", "55000", "53300", "28000"];
    let named = |error: &str| format!("it has something in database `{database}`: {error}");
    let session = match work.master.inside(database).await {
        Ok(session) => session,
        Err(failure) => match failure.sqlstate() {
            // It was dropped in between.
            Some(NO_DATABASE) => return Ok(None),
            Some(state) if CLOSED.contains(&state) => {
                return Ok(Some(Why::Refused(named(&failure.to_string()))));
            }
            _ => return Err(failure),
        },
    };
    let sql = format!("BEGIN; {}\n{give_up}COMMIT", work.task.budget.set_local());
    let done = work.master.alone(run(&session, what, &sql)).await;
    session.close().await;
    Ok(stays(done)?.map(|why| match why {
        Why::Refused(why) => Why::Refused(named(&why)),
        why => why,
    }))
}
