//! Which tenants leave, and by which policy: of a list that shrank, or of a resource that goes.
//!
//! The policy is that of the last deployment, for the properties at hand do not
//! name who left. Where a Delete's properties name a tenant, the more careful one
//! of the two counts. What becomes of each object is [`end`]'s.

mod end;
mod left;

use std::collections::BTreeMap;

use crate::desired::tenant::{Leaving, OnRemove, Place, Secret, Tenant};
use crate::observed::tenant::{Held, HeldKind};
use crate::plan::ownership::Scope;

pub use end::{End, Scene, clone_of, cut, end, own_roles};
pub use left::{Left, Why, keeps_logins};

/// A tenant that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaver {
    /// Its name.
    pub tenant: String,
    /// What becomes of it.
    pub on_remove: OnRemove,
    /// What the ledger has of it.
    pub held: Vec<Held>,
}

/// An object that goes over to another tenant of the same resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// What it is.
    pub kind: HeldKind,
    /// Its name; of a secret its ARN.
    pub name: String,
    /// The tenant that names it now.
    pub to: String,
}

/// The tenants that an Update ends: those that the ledger has and the list has not. What another
/// tenant of the list names goes over to that one.
///
/// What an earlier physical id has, `replaced` by this very Update, is left to the Delete of that id:
/// an Update that is rolled back then has lost nothing.
pub fn of_update(
    held: Vec<Held>,
    tenants: &[Tenant],
    replaced: Option<&str>,
) -> (Vec<Leaver>, Vec<Passed>) {
    let mut passed = Vec::new();
    let leaves = |it: &Held| !tenants.iter().any(|tenant| tenant.name == it.tenant);
    let mut rows = Vec::new();
    for row in held.into_iter().filter(leaves) {
        if let Some(tenant) = tenants.iter().find(|tenant| names(tenant, row.kind, &row.name)) {
            passed.push(Passed { kind: row.kind, name: row.name, to: tenant.name.clone() });
        } else if Some(row.physical_id.as_str()) != replaced {
            rows.push(row);
        }
    }
    (leavers(rows, &[]), passed)
}

/// The tenants that a Delete ends. `tenants` are those of its properties, whose policies count
/// where they are more careful.
pub fn of_delete(held: Vec<Held>, tenants: &[Tenant], scope: &Scope) -> Vec<Leaver> {
    let is_meant = |row: &Held| match scope {
        Scope::Whole => true,
        Scope::Earlier(id) => row.physical_id == *id,
        Scope::Named => tenants.iter().any(|it| it.name == row.tenant),
    };
    leavers(held.into_iter().filter(is_meant).collect(), tenants)
}

fn leavers(held: Vec<Held>, tenants: &[Tenant]) -> Vec<Leaver> {
    let mut leavers: BTreeMap<String, Leaver> = BTreeMap::new();
    for row in held {
        let of_row = OnRemove { policy: policy(&row.policy), force: row.force };
        let named = tenants.iter().find(|it| it.name == row.tenant).map(|it| it.on_remove);
        let new = || Leaver {
            tenant: row.tenant.clone(),
            on_remove: named.map_or(of_row, |it| more_careful(it, of_row)),
            held: Vec::new(),
        };
        let leaver = leavers.entry(row.tenant.clone()).or_insert_with(new);
        // An Update that failed half way leaves rows of two policies.
        leaver.on_remove = more_careful(leaver.on_remove, of_row);
        leaver.held.push(row);
    }
    leavers.into_values().collect()
}

fn policy(text: &str) -> Leaving {
    let all = [Leaving::Disable, Leaving::Drop];
    all.into_iter().find(|it| it.as_str() == text).unwrap_or_default()
}

fn more_careful(a: OnRemove, b: OnRemove) -> OnRemove {
    let rank = |it: &OnRemove| match it.policy {
        Leaving::Retain => 0,
        Leaving::Disable => 1,
        Leaving::Drop => 2,
    };
    let policy = if rank(&a) <= rank(&b) { a.policy } else { b.policy };
    OnRemove { policy, force: a.force && b.force }
}

/// Whether a tenant of the list names an object.
fn names(tenant: &Tenant, kind: HeldKind, name: &str) -> bool {
    match kind {
        HeldKind::Database => {
            matches!(&tenant.place, Place::Database(it) if it.as_str() == name)
        }
        HeldKind::Schema => matches!(&tenant.place, Place::Schema(it) if it.as_str() == name),
        HeldKind::Role => tenant.logins().any(|(login, ..)| login.as_str() == name),
        HeldKind::Secret => tenant.logins().any(|(_, _, secret)| match secret {
            Secret::Made(it) | Secret::Given(it) => it == name || is_arn_of(name, it),
        }),
    }
}

/// A secret's ARN ends with its name and seven characters more.
fn is_arn_of(arn: &str, name: &str) -> bool {
    let rest = arn.split_once(":secret:").map(|(_, rest)| rest);
    let rest = rest.and_then(|rest| rest.strip_prefix(name));
    rest.is_some_and(|rest| rest.len() == 7 && rest.starts_with('-'))
}

#[cfg(test)]
mod tests;
