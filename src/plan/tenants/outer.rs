//! What would change for a tenant outside of its database: secrets, roles, the database itself.
//!
//! The order is the order in which it is done: a secret is written before its
//! role gets the password, so that no crash in between loses one.

use super::schema::of_schema;
use super::secret::{is_renewed, of_secret};
use super::standing::{Standing, There, mark, standing};
use super::{Change, Sight, TenantError};
use crate::desired::tenant::{Access, Owner, Place, Secret, Tenant};
use crate::ident::Identifier;
use crate::observed::tenant::{Database, HeldKind, LoginState, Role};

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
    let has_iam = role.member_of.iter().any(|it| it == "rds_iam");
    if tenant.iam_auth && !has_iam {
        changes.push(Change::GrantIam { name: name() });
    }
    if !tenant.iam_auth && has_iam {
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

/// What a login needs of its database: letters of an ACL.
pub(super) fn privileges(access: Option<Access>, own_database: bool) -> &'static str {
    match access {
        None if own_database => "CTc",
        None | Some(Access::Readwrite | Access::Migrate) => "Tc",
        Some(Access::Readonly) => "c",
    }
}

/// Who may do what with a tenant's own database: letters of an ACL.
pub fn database_grants(tenant: &Tenant, master: &str) -> Vec<(Identifier, &'static str)> {
    let each = |(login, access, _): (&Identifier, _, _)| (login.clone(), privileges(access, true));
    let mut grants: Vec<_> = tenant.logins().map(each).collect();
    // The owner is not us, and PUBLIC has nothing.
    if let (Owner::Tenant, Ok(master)) = (tenant.owner, Identifier::new(master)) {
        grants.push((master, "CTc"));
    }
    grants
}

fn of_database(
    tenant: &Tenant,
    name: &Identifier,
    sight: &Sight<'_>,
) -> Result<Vec<Change>, TenantError> {
    if name.as_str() == sight.cluster.target {
        return Err(TenantError::IsTarget(name.to_string()));
    }
    let database = sight.found.databases.get(name.as_str());
    let there = database.map(|it| There {
        oid: it.oid,
        comment: it.comment.as_deref(),
        unfinished: (!it.allows_connections).then_some(it.limit),
    });
    let what = (HeldKind::Database, name.as_str());
    let stands = standing(what, there, &sight.found.held, &sight.asking, tenant.adopt)?;
    let Some(database) = database else {
        return Ok(vec![Change::CreateDatabase { name: name.clone() }]);
    };
    let mut changes = Vec::new();
    match stands {
        Standing::Missing => return Ok(vec![Change::CreateDatabase { name: name.clone() }]),
        Standing::Begun => return Ok(vec![Change::FinishDatabase { name: name.clone() }]),
        Standing::Adopted => changes.push(Change::AdoptDatabase { name: name.clone() }),
        Standing::Ours if database.comment.as_ref() != Some(&mark(&sight.asking, &tenant.name)) => {
            changes.push(Change::Mark { kind: "database", name: name.clone() });
        }
        Standing::Ours => {}
    }
    if let Some(wanted) = &tenant.locale {
        if plain(wanted) != plain(&database.locale) {
            let (name, has) = (name.to_string(), database.locale.clone());
            return Err(TenantError::Locale { name, has, wanted: wanted.clone() });
        }
    }
    changes.extend(of_attributes_of_database(tenant, name, database, sight));
    Ok(changes)
}

/// `de_DE.UTF-8` and `de_DE.utf8` are one locale.
fn plain(locale: &str) -> String {
    locale.to_ascii_lowercase().replace('-', "")
}

fn of_attributes_of_database(
    tenant: &Tenant,
    name: &Identifier,
    database: &Database,
    sight: &Sight<'_>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let own = || name.clone();
    let owner = match tenant.owner {
        Owner::Tenant => tenant.username.as_str(),
        Owner::Provider => &sight.cluster.master,
    };
    if let (true, Ok(to)) = (database.owner != owner, Identifier::new(owner)) {
        changes.push(Change::GiveDatabase { name: own(), from: database.owner.clone(), to });
    }
    let limit = tenant.database_limit();
    if i64::from(database.limit) != i64::from(limit) {
        changes.push(Change::LimitDatabase { name: own(), from: database.limit, to: limit });
    }
    if database.grants.contains_key("") {
        changes.push(Change::CloseDatabase { name: own() });
    }
    for (to, letters) in database_grants(tenant, &sight.cluster.master) {
        let has = database.grants.get(to.as_str()).map(String::as_str);
        changes.extend(grant(name, to, letters, has));
    }
    for (setting, value) in &tenant.settings {
        if !is_set(database.settings.get(setting), value) {
            changes.push(Change::Set { setting: setting.clone(), value: value.clone() });
        }
    }
    changes
}

/// The grant that makes `letters` of what there is.
pub(super) fn grant(
    on: &Identifier,
    to: Identifier,
    letters: &str,
    has: Option<&str>,
) -> Option<Change> {
    let has = has.unwrap_or_default();
    let differs = letters.len() != has.len() || letters.chars().any(|it| !has.contains(it));
    differs.then(|| Change::GrantDatabase { name: on.clone(), to, privileges: letters.to_owned() })
}

/// PostgreSQL keeps lists of names with quotes where they need them.
pub(super) fn is_set(has: Option<&String>, wanted: &str) -> bool {
    let plain = |it: &str| it.replace(['"', ' '], "");
    has.is_some_and(|it| it == wanted || plain(it) == plain(wanted))
}
