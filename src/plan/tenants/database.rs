//! What would change about a tenant's own database.

use super::standing::{Standing, There, mark, standing};
use super::{Change, Sight, TenantError};
use crate::desired::tenant::{Access, Owner, Tenant};
use crate::ident::Identifier;
use crate::observed::tenant::{Database, HeldKind};

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

/// The changes of a tenant's own database.
pub(super) fn of_database(
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
