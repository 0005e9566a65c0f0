//! Drops what a tenant has: database or schema, then its roles, then its secrets.
//!
//! Nobody may come in between: its roles lose their login first, and get it back if
//! the database or schema then has to stay after all. Each object and its row
//! in the ledger go together, or, where PostgreSQL has no transaction for that, the row
//! goes after; what is gone already is then found and forgotten by the next run.

use std::time::Instant;

use super::look::{Seen, ledger_of};
use super::{audit, dropped_roles, roles, stays, write};
use crate::apply::tenants::{database, leaving as texts};
use crate::engine::tenants::Work;
use crate::engine::tenants::one::{self, Told, begin, run as run_sql};
use crate::engine::tenants::secrets::WINDOW;
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::observed::tenant::HeldKind;
use crate::plan::tenants::Change;
use crate::plan::tenants::leaving::{Leaver, Left, Why, keeps_logins, own_roles};

/// Carries the plan out; gives what stayed.
pub(super) async fn run(
    work: &Work<'_>,
    leaver: &Leaver,
    changes: &[Change],
    seen: &Seen,
    told: &mut Told,
) -> Result<Vec<Left>, Failure> {
    let is_place =
        |it: &&Change| matches!(it, Change::DropDatabase { .. } | Change::DropSchema { .. });
    let names = dropped_roles(changes, seen);
    let barred = roles::bar(work, &names, seen, "").await?;
    if let Some(left) = busy(work, leaver, changes, &names).await? {
        roles::unbar(work, &barred).await?;
        return Ok(vec![left]);
    }
    for change in changes.iter().filter(is_place) {
        let started = Instant::now();
        let why = match change {
            Change::DropDatabase { .. } => drop_database(work, leaver, change, seen).await?,
            _ => drop_schema(work, leaver, change, seen).await?,
        };
        if let Some(why) = why {
            roles::unbar(work, &barred).await?;
            return Ok(vec![left(change, why)]);
        }
        told.took(std::slice::from_ref(change), started);
    }
    let mut stay = Vec::new();
    for change in changes.iter().filter(|it| matches!(it, Change::DropRole { .. })) {
        let started = Instant::now();
        match roles::drop_role(work, leaver, change, seen).await? {
            Some(why) => stay.push(left(change, why)),
            None => told.took(std::slice::from_ref(change), started),
        }
    }
    let why = keeps_logins(&stay);
    for change in changes {
        let Change::DeleteSecret { arn } = change else { continue };
        if let Some(why) = &why {
            stay.push(left(change, why.clone()));
            continue;
        }
        let started = Instant::now();
        work.world.secrets.delete(arn, WINDOW).await?;
        let forgets = work.entry.forgets(HeldKind::Secret, arn);
        write(work, &(forgets + &audit(work, leaver, change, started))).await?;
        told.took(std::slice::from_ref(change), started);
    }
    Ok(stay)
}

fn left(change: &Change, why: Why) -> Left {
    let (kind, name) = match change {
        Change::DropDatabase { name, .. } => (HeldKind::Database, name.to_string()),
        Change::DropSchema { name, .. } => (HeldKind::Schema, name.to_string()),
        Change::DeleteSecret { arn } => (HeldKind::Secret, arn.clone()),
        Change::DropRole { name, .. } => (HeldKind::Role, name.to_string()),
        other => (HeldKind::Role, other.to_string()),
    };
    Left { kind, name, why }
}

/// Who came in before the door was shut. With `Force` they are sent away.
async fn busy(
    work: &Work<'_>,
    leaver: &Leaver,
    changes: &[Change],
    names: &[Identifier],
) -> Result<Option<Left>, Failure> {
    let Some(first) = changes.first() else { return Ok(None) };
    let database = match first {
        Change::DropDatabase { name, .. } => Some(name),
        _ => None,
    };
    roles::end_strays(work, names, database).await?;
    let count = if leaver.on_remove.force {
        roles::end_sessions(work, names).await?
    } else {
        roles::sessions(work, names, database).await?
    };
    Ok((count > 0).then(|| left(first, Why::Sessions(count))))
}

async fn drop_database(
    work: &Work<'_>,
    leaver: &Leaver,
    change: &Change,
    seen: &Seen,
) -> Result<Option<Why>, Failure> {
    let Change::DropDatabase { name, oid, force } = change else { return Ok(None) };
    let started = Instant::now();
    let what = change.to_string();
    let owner = seen.found.databases.get(name.as_str()).map(|it| it.owner.as_str());
    let owner = owner.filter(|it| *it != work.cluster.master);
    let owner = owner.and_then(|it| Identifier::new(it).ok());
    let is_template = seen.ties.templates.contains(name.as_str());
    let take = texts::take_database(name, *oid, owner.as_ref(), is_template);
    let taken = one::alone(work, &what, &format!("{}{take}COMMIT", begin(work))).await;
    if let Some(why) = stays(taken)? {
        return Ok(Some(why));
    }
    let session = work.master.session().await?;
    let dropped = run_sql(&session, &what, &texts::drop_database(name, *force)).await;
    if let Some(why) = stays(dropped)? {
        if let Some(owner) = &owner {
            let give = database::give_back(name, owner, &work.cluster.master);
            let give = crate::apply::tenants::as_member(owner, &give);
            one::alone(work, &what, &format!("{}{give}COMMIT", begin(work))).await?;
        }
        return Ok(Some(why));
    }
    work.master.give_back(session);
    let forgets = work.entry.forgets(HeldKind::Database, name.as_str());
    write(work, &(forgets + &audit(work, leaver, change, started))).await?;
    Ok(None)
}

async fn drop_schema(
    work: &Work<'_>,
    leaver: &Leaver,
    change: &Change,
    seen: &Seen,
) -> Result<Option<Why>, Failure> {
    let Change::DropSchema { name, oid } = change else { return Ok(None) };
    let started = Instant::now();
    let own = own_roles(leaver, &seen.found);
    let is_own = |it: &String| own.contains(it);
    // A ledger that anybody else writes to is not only this tenant's.
    let ledger = ledger_of(name.as_str()).filter(|it| {
        let owner = seen.found.schemas.get(it.as_str()).map(|it| &it.owner);
        let owners = seen.ties.owners.get(it.as_str());
        owner.is_some_and(is_own) && owners.is_none_or(|it| it.iter().all(is_own))
    });
    let both = std::iter::once(name).chain(&ledger);
    let owners = both.filter_map(|it| seen.found.schemas.get(it.as_str()).map(|it| &it.owner));
    let mut owners: Vec<_> = owners.filter(|it| is_own(it)).collect();
    owners.dedup();
    let owners: Vec<_> = owners.into_iter().filter_map(|it| Identifier::new(it).ok()).collect();
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; {}{}{}{}{}COMMIT",
        work.entry.marked(),
        one::guards(work),
        texts::drop_schema(name, *oid, ledger.as_ref(), &owners),
        work.entry.forgets(HeldKind::Schema, name.as_str()),
        audit(work, leaver, change, started),
    );
    stays(one::alone(work, &change.to_string(), &sql).await)
}
