//! What would change for a tenant that is a schema of the target database.
//!
//! Its logins find it by their `search_path`. The schema of its changelog's ledger
//! is beside it; the tenant may not make schemas, so that is made for it.

use super::database::{grant, is_set, privileges};
use super::standing::{Standing, There, mark, standing};
use super::{Change, Sight, TenantError};
use crate::desired::tenant::Tenant;
use crate::ident::Identifier;
use crate::ledger;
use crate::observed::tenant::HeldKind;

/// The changes of the schema itself, of its ledger and of what its logins need to get there.
pub(super) fn of_schema(
    tenant: &Tenant,
    name: &Identifier,
    sight: &Sight<'_>,
) -> Result<Vec<Change>, TenantError> {
    let schema = sight.found.schemas.get(name.as_str());
    let there =
        schema.map(|it| There { oid: it.oid, comment: it.comment.as_deref(), unfinished: None });
    let what = (HeldKind::Schema, name.as_str());
    let stands = standing(what, there, &sight.found.held, &sight.asking, tenant.adopt)?;
    // The search path of most roles begins with the schema of their own name, so what the tenant
    // puts there would be run by that role.
    let is_own = tenant.logins().any(|(login, ..)| login == name);
    let is_roles =
        sight.cluster.master == name.as_str() || sight.found.roles.contains_key(name.as_str());
    if is_roles && !is_own && matches!(stands, Standing::Missing | Standing::Adopted) {
        return Err(TenantError::SchemaOfRole(name.to_string()));
    }
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
    if let (Some(_), Ok(ledger)) = (&tenant.changelog, ledger::of_a_schema(name)) {
        changes.extend(of_ledger(tenant, &ledger, sight)?);
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

/// The schema with the ledger of the tenant's changelog, which the tenant could not make itself.
fn of_ledger(
    tenant: &Tenant,
    name: &Identifier,
    sight: &Sight<'_>,
) -> Result<Vec<Change>, TenantError> {
    let schema = sight.found.schemas.get(name.as_str());
    // Its comment is the ledger's own.
    let there = schema.map(|it| There { oid: it.oid, comment: None, unfinished: None });
    let what = (HeldKind::Schema, name.as_str());
    let stands = standing(what, there, &sight.found.held, &sight.asking, tenant.adopt)?;
    let own = || name.clone();
    let Some(schema) = schema else { return Ok(vec![Change::CreateSchema { name: own() }]) };
    let mut changes = Vec::new();
    if stands == Standing::Adopted {
        changes.push(Change::AdoptSchema { name: own() });
    }
    if schema.owner != tenant.username.as_str() {
        let (from, to) = (schema.owner.clone(), tenant.username.clone());
        changes.push(Change::GiveSchema { name: own(), from, to });
    }
    Ok(changes)
}

/// The settings of all roles of a tenant that is a schema, its search path among them.
pub fn schema_settings(tenant: &Tenant, schema: &Identifier) -> Vec<(String, String)> {
    let path = ("search_path".to_owned(), schema.to_string());
    let more = tenant.settings.iter().map(|(name, value)| (name.clone(), value.clone()));
    std::iter::once(path).chain(more).collect()
}
