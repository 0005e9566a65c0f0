//! What would change for a tenant outside of its database: secrets, roles, the database itself.
//!
//! The order is the order in which it is done: a secret is written before its
//! role gets the password, so that no crash in between loses one.

use super::database::of_database;
use super::schema::of_schema;
use super::secret::{is_renewed, of_secret};
use super::standing::{Standing, There, mark, standing};
use super::{Change, Sight, TenantError};
use crate::desired::tenant::{Access, Place, Secret, Tenant};
use crate::ident::Identifier;
use crate::ledger;
use crate::observed::tenant::{HeldKind, LoginState, Role};

/// Before PostgreSQL 15 everybody may create in every schema `public`, and its owner is the server's.
const OLDEST: u32 = 150_000;

/// The changes, or why the tenant cannot be had.
pub fn outer(tenant: &Tenant, sight: &Sight<'_>) -> Result<Vec<Change>, TenantError> {
    if sight.cluster.version_num < OLDEST {
        return Err(TenantError::TooOld(sight.cluster.version_num));
    }
    if tenant.iam_auth && !sight.cluster.has_rds_iam {
        return Err(TenantError::NoIam);
    }
    stays(tenant, sight)?;
    // All of them are looked at before the first is changed.
    let mut changes = Vec::new();
    for (login, _, secret) in tenant.logins() {
        changes.extend(of_secret(tenant, login, secret, sight)?);
    }
    for (login, access, secret) in tenant.logins() {
        changes.extend(of_role(tenant, login, (access, secret), sight)?);
    }
    match &tenant.place {
        Place::Database(name) => changes.extend(of_database(tenant, name, sight)?),
        Place::Schema(name) => changes.extend(of_schema(tenant, name, sight)?),
    }
    Ok(changes)
}

/// A tenant's data stay where they are: a new name would be a new and empty place.
fn stays(tenant: &Tenant, sight: &Sight<'_>) -> Result<(), TenantError> {
    let (kind, wanted) = match &tenant.place {
        Place::Database(name) => (HeldKind::Database, name),
        Place::Schema(name) => (HeldKind::Schema, name),
    };
    let other = sight.found.held.iter().find(|it| {
        let ours = it.stack_id == sight.asking.stack_id && it.logical_id == sight.asking.logical_id;
        // The schema of its changelog's ledger is beside its own.
        let is_place = match it.kind {
            HeldKind::Database => true,
            HeldKind::Schema => !it.name.starts_with(ledger::DEFAULT),
            HeldKind::Role | HeldKind::Secret => false,
        };
        ours && is_place
            && it.tenant == tenant.name
            && (it.kind, it.name.as_str()) != (kind, wanted.as_str())
    });
    match other {
        Some(it) => Err(TenantError::Moved {
            tenant: tenant.name.clone(),
            kind: it.kind,
            has: it.name.clone(),
            wanted: wanted.to_string(),
        }),
        None => Ok(()),
    }
}

fn of_role(
    tenant: &Tenant,
    name: &Identifier,
    (access, secret): (Option<Access>, &Secret),
    sight: &Sight<'_>,
) -> Result<Vec<Change>, TenantError> {
    if name.as_str() == sight.cluster.master {
        return Err(TenantError::IsMaster(name.to_string()));
    }
    let role = sight.found.roles.get(name.as_str());
    let there =
        role.map(|it| There { oid: it.oid, comment: it.comment.as_deref(), unfinished: None });
    let what = (HeldKind::Role, name.as_str());
    let stands = standing(what, there, &sight.found.held, &sight.asking, tenant.adopt)?;
    let Some(role) = role.filter(|_| stands != Standing::Missing) else {
        return Ok(vec![Change::CreateRole { name: name.clone(), access }]);
    };
    if role.mighty {
        return Err(TenantError::Mighty(name.to_string()));
    }
    let mut changes = Vec::new();
    if stands == Standing::Adopted {
        changes.push(Change::AdoptRole { name: name.clone() });
    } else if role.comment.as_ref() != Some(&mark(&sight.asking, &tenant.name)) {
        changes.push(Change::Mark { kind: "role", name: name.clone() });
    }
    changes.extend(of_attributes(tenant, name, role));
    // A token is refused where the role does not log in with tokens yet.
    let is_refused = |it| !tenant.iam_auth && sight.logins.get(it) == Some(&LoginState::Refused);
    if is_refused(name) || is_renewed(tenant, name, secret, sight.secrets.get(name)) {
        changes.push(Change::SetPassword { name: name.clone() });
    }
    changes.extend(of_acting(tenant, name, access, role));
    // The secret may be the clone's at the moment; then it is the clone that has the password.
    let clone = sight.found.roles.get(&Tenant::clone_of(name)).filter(|_| tenant.alternates());
    if let (Some(clone), Ok(clone_name)) = (clone, Identifier::new(Tenant::clone_of(name))) {
        changes.extend(of_attributes(tenant, &clone_name, clone));
        if is_refused(&clone_name) {
            changes.push(Change::SetPassword { name: clone_name });
        }
    }
    Ok(changes)
}

/// A role for migrations acts as the tenant's, and no other one does.
fn of_acting(
    tenant: &Tenant,
    name: &Identifier,
    access: Option<Access>,
    role: &Role,
) -> Option<Change> {
    let owner = &tenant.username;
    let is_set = role.settings.get("/role").map(String::as_str) == Some(owner.as_str());
    let is_member = role.member_of.iter().any(|it| it == owner.as_str());
    let (name, tenant) = (name.clone(), owner.clone());
    match access {
        Some(Access::Migrate) if !(is_set && is_member) => Some(Change::ActAs { name, tenant }),
        Some(Access::Readonly | Access::Readwrite) if is_set || is_member => {
            Some(Change::ActAsItself { name, tenant })
        }
        _ => None,
    }
}

fn of_attributes(tenant: &Tenant, name: &Identifier, role: &Role) -> Vec<Change> {
    let mut changes = Vec::new();
    let name = || name.clone();
    if !role.login {
        changes.push(Change::AllowLogin { name: name() });
    }
    if i64::from(role.limit) != i64::from(tenant.connection_limit) {
        let (from, to) = (role.limit, tenant.connection_limit);
        changes.push(Change::LimitRole { name: name(), from, to });
    }
    if tenant.iam_auth && !role.has_iam() {
        changes.push(Change::GrantIam { name: name() });
    }
    if !tenant.iam_auth && role.has_iam() {
        changes.push(Change::RevokeIam { name: name() });
    }
    if role.expires {
        changes.push(Change::NeverExpires { name: name() });
    }
    if role.has_master {
        changes.push(Change::LeaveRole { name: name() });
    }
    changes
}
