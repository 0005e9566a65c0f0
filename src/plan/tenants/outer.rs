//! What would change for a tenant outside of its database: secrets, roles, the database itself.
//!
//! The order is the order in which it is done: a secret is written before its
//! role gets the password, so that no crash in between loses one.

use super::standing::{Standing, There, mark, standing};
use super::{Change, Sight, TenantError};
use crate::desired::tenant::{Access, Owner, Place, Secret, Tenant};
use crate::ident::Identifier;
use crate::observed::tenant::{
    Database, HeldKind, KnownSecret, LoginState, Role, SecretState, is_same,
};

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
    for (login, access, _) in tenant.logins() {
        changes.extend(of_role(tenant, login, access, sight)?);
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
        let is_place = matches!(it.kind, HeldKind::Database | HeldKind::Schema);
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

fn of_secret(
    tenant: &Tenant,
    login: &Identifier,
    secret: &Secret,
    sight: &Sight<'_>,
) -> Result<Vec<Change>, TenantError> {
    let id = secret.id().to_owned();
    let state = sight.secrets.get(login).unwrap_or(&SecretState::Absent);
    let made = matches!(secret, Secret::Made(_));
    let login = login.clone();
    match state {
        SecretState::Absent if made => Ok(vec![Change::CreateSecret { login, name: id }]),
        SecretState::Absent => Err(TenantError::SecretAbsent(id)),
        SecretState::Deleted(_) if !made => Err(TenantError::SecretDeleted(id)),
        SecretState::Deleted(known) => {
            may_have(tenant, known, &id, true, sight)?;
            Ok(vec![Change::RestoreSecret { login, name: id }])
        }
        SecretState::Here(known) => {
            if made {
                may_have(tenant, known, &id, false, sight)?;
            }
            let mut changes = Vec::new();
            let clone = Tenant::clone_of(&login);
            match known.keys.get("username") {
                Some(has) if has == login.as_str() => {}
                Some(has) if tenant.alternates() && *has == clone => {}
                None if made => {}
                None if !tenant.iam_auth && !known.has_password => {
                    return Err(TenantError::SecretEmpty(id));
                }
                None => {}
                Some(has) => {
                    let (has, wanted) = (has.clone(), login.to_string());
                    return Err(TenantError::SecretOfAnother { id, has, wanted });
                }
            }
            if made {
                let mut keys: Vec<_> = sight
                    .keys
                    .iter()
                    .filter(|(key, value)| known.keys.get(**key) != Some(*value))
                    .map(|(key, _)| *key)
                    .collect();
                if !known.keys.contains_key("username") {
                    keys.push("username");
                }
                if known.has_password == tenant.iam_auth {
                    keys.push("password");
                }
                if !keys.is_empty() {
                    let (login, name) = (login.clone(), id.clone());
                    changes.push(Change::UpdateSecret { login, name, keys });
                }
            } else if !known.has_password && !tenant.iam_auth {
                return Err(TenantError::SecretEmpty(id));
            }
            let strategy = tenant.rotation.as_ref().map(|it| it.strategy.as_str());
            let tags_differ = made
                && (!is_same(known.owner.as_ref(), sight.asking.stack_id, sight.asking.logical_id)
                    || known.tenant.as_ref() != Some(&tenant.name)
                    || known.physical_id.as_deref() != Some(sight.asking.physical_id)
                    || !is_held(&known.arn, sight));
            if tags_differ || (strategy.is_some() && known.strategy.as_deref() != strategy) {
                changes.push(Change::TagSecret { login, name: id });
            }
            Ok(changes)
        }
    }
}

/// Whether the ledger has the secret: a run that was killed after it had made it left no row.
fn is_held(arn: &str, sight: &Sight<'_>) -> bool {
    sight.found.held.iter().any(|it| it.kind == HeldKind::Secret && it.name == arn)
}

/// Whether a secret of the wanted name may be this tenant's.
fn may_have(
    tenant: &Tenant,
    known: &KnownSecret,
    name: &str,
    deleted: bool,
    sight: &Sight<'_>,
) -> Result<(), TenantError> {
    let asking = &sight.asking;
    if is_same(known.owner.as_ref(), asking.stack_id, asking.logical_id) {
        return Ok(());
    }
    let kind = HeldKind::Secret;
    let name = name.to_owned();
    let row = sight.found.held.iter().find(|it| it.kind == kind && it.name == known.arn);
    let released = row.is_some_and(|it| it.released);
    match &known.owner {
        // Whoever deleted it has no use for it.
        _ if deleted || (tenant.adopt && released) => Ok(()),
        Some((stack, logical)) => {
            let stack = stack.split('/').nth(1).unwrap_or(stack);
            let owner = format!("resource `{logical}` of stack `{stack}`");
            Err(if released {
                TenantError::Released { kind, name, owner }
            } else {
                TenantError::Taken { kind, name, owner }
            })
        }
        None if tenant.adopt => Ok(()),
        None => Err(TenantError::Exists { kind, name }),
    }
}

fn of_role(
    tenant: &Tenant,
    name: &Identifier,
    access: Option<Access>,
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
    changes.extend(of_attributes(tenant, name, access, role, sight));
    // The secret may be the clone's at the moment; then it is the clone that has the password.
    let clone = sight.found.roles.get(&Tenant::clone_of(name)).filter(|_| tenant.alternates());
    if let (Some(clone), Ok(clone_name)) = (clone, Identifier::new(Tenant::clone_of(name))) {
        changes.extend(of_attributes(tenant, &clone_name, access, clone, sight));
    }
    Ok(changes)
}

fn of_attributes(
    tenant: &Tenant,
    name: &Identifier,
    access: Option<Access>,
    role: &Role,
    sight: &Sight<'_>,
) -> Vec<Change> {
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
    if !tenant.iam_auth && sight.logins.get(&name()) == Some(&LoginState::Refused) {
        changes.push(Change::SetPassword { name: name() });
    }
    let owner = &tenant.username;
    let acts = role.settings.get("/role").map(String::as_str) == Some(owner.as_str())
        && role.member_of.iter().any(|it| it == owner.as_str());
    if access == Some(Access::Migrate) && !acts {
        changes.push(Change::ActAs { name: name(), tenant: owner.clone() });
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

/// The grant that makes up what is missing of `letters`.
fn grant(on: &Identifier, to: Identifier, letters: &str, has: Option<&str>) -> Option<Change> {
    let has = has.unwrap_or_default();
    let lacks = letters.chars().any(|it| !has.contains(it));
    lacks.then(|| Change::GrantDatabase { name: on.clone(), to, privileges: letters.to_owned() })
}

fn of_schema(
    tenant: &Tenant,
    name: &Identifier,
    sight: &Sight<'_>,
) -> Result<Vec<Change>, TenantError> {
    let schema = sight.found.schemas.get(name.as_str());
    let there =
        schema.map(|it| There { oid: it.oid, comment: it.comment.as_deref(), unfinished: None });
    let what = (HeldKind::Schema, name.as_str());
    let stands = standing(what, there, &sight.found.held, &sight.asking, tenant.adopt)?;
    let own = || name.clone();
    let mut changes = Vec::new();
    match (stands, schema) {
        (Standing::Missing, _) | (_, None) => changes.push(Change::CreateSchema { name: own() }),
        (stands, Some(schema)) => {
            if stands == Standing::Adopted {
                changes.push(Change::AdoptSchema { name: own() });
            } else if schema.comment.as_ref() != Some(&mark(&sight.asking, &tenant.name)) {
                changes.push(Change::Mark { kind: "schema", name: own() });
            }
            if schema.owner != tenant.username.as_str() {
                let (from, to) = (schema.owner.clone(), tenant.username.clone());
                changes.push(Change::GiveSchema { name: own(), from, to });
            }
            if schema.grants.contains_key("") {
                changes.push(Change::CloseSchema { name: own() });
            }
        }
    }
    let target = Identifier::new(&sight.cluster.target);
    let grants = sight.found.databases.get(&sight.cluster.target).map(|it| &it.grants);
    for (login, access, _) in tenant.logins() {
        if let Ok(target) = &target {
            let has = grants.and_then(|it| it.get(login.as_str())).map(String::as_str);
            changes.extend(grant(target, login.clone(), privileges(access, false), has));
        }
        let role = sight.found.roles.get(login.as_str());
        for (setting, value) in schema_settings(tenant, name) {
            let key = format!("{}/{setting}", sight.cluster.target);
            let has = role.and_then(|it| it.settings.get(&key));
            let planned = Change::Set { setting, value: value.clone() };
            if !is_set(has, &value) && !changes.contains(&planned) {
                changes.push(planned);
            }
        }
    }
    Ok(changes)
}

/// The settings of all roles of a tenant that is a schema, its search path among them.
pub fn schema_settings(tenant: &Tenant, schema: &Identifier) -> Vec<(String, String)> {
    let path = ("search_path".to_owned(), schema.to_string());
    let more = tenant.settings.iter().map(|(name, value)| (name.clone(), value.clone()));
    std::iter::once(path).chain(more).collect()
}

/// PostgreSQL keeps lists of names with quotes where they need them.
fn is_set(has: Option<&String>, wanted: &str) -> bool {
    let plain = |it: &str| it.replace(['"', ' '], "");
    has.is_some_and(|it| it == wanted || plain(it) == plain(wanted))
}

/// The set-ups of rotation that are missing or other than wanted, in the order of the logins.
pub fn rotations(tenant: &Tenant, sight: &Sight<'_>) -> Vec<Change> {
    let Some(wanted) = &tenant.rotation else { return Vec::new() };
    let is_set_up = |login: &Identifier| match sight.secrets.get(login) {
        Some(SecretState::Here(known)) => known
            .rotation
            .as_ref()
            .is_some_and(|(lambda, days)| *lambda == wanted.lambda_arn && *days == wanted.days),
        _ => false,
    };
    let missing = tenant.logins().filter(|(login, ..)| !is_set_up(login));
    missing.map(|(_, _, it)| Change::rotation(it.id(), wanted.days, wanted.strategy)).collect()
}
