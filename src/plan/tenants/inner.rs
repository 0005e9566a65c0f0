//! What would change inside of a tenant's database, or of its schema.
//!
//! Extensions are planned as the resource's own are; changesets by the engine,
//! over the tenant's login.

use super::{Change, TenantError};
use crate::desired::tenant::{Access, Owner, Place, Tenant};
use crate::ident::Identifier;
use crate::observed::tenant::Inside;

/// In a database that belongs to the tenant, this is the tenant.
pub const DATABASE_OWNER: &str = "pg_database_owner";

/// The changes inside.
pub fn inner(tenant: &Tenant, inside: &Inside) -> Result<Vec<Change>, TenantError> {
    let mut changes = Vec::new();
    if let (Place::Database(_), Ok(public)) = (&tenant.place, Identifier::new("public")) {
        let user = tenant.username.as_str();
        let is_right = match tenant.owner {
            Owner::Provider => inside.schema_owner == user,
            Owner::Tenant => [user, DATABASE_OWNER].contains(&inside.schema_owner.as_str()),
        };
        if !is_right && !inside.schema_owner.is_empty() {
            let (from, to) = (inside.schema_owner.clone(), tenant.username.clone());
            changes.push(Change::GiveSchema { name: public.clone(), from, to });
        }
        if inside.public_creates {
            changes.push(Change::CloseSchema { name: public });
        }
    }
    for role in tenant.roles.iter().filter(|it| it.access != Access::Migrate) {
        let lacks = inside.lacking.get(role.name.as_str());
        if lacks.is_some_and(|it| it.schemas + it.relations + it.excess > 0 || it.defaults) {
            changes.push(Change::GrantAccess { name: role.name.clone(), access: role.access });
        }
    }
    Ok(changes)
}
