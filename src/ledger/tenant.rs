//! What the ledger remembers of tenants, as statements.
//!
//! One row for each database, schema, role and secret; a name can have one holder
//! only, so that nobody takes over what another resource made. A database cannot
//! be made in a transaction: its row is written before with a `mark`, a random
//! connection limit that it is made with, and is known by that after a crash.

use super::Entry;
use crate::desired::tenant::{OnRemove, Tenant};
use crate::ident::{Identifier, IdentifierError};
use crate::observed::tenant::HeldKind;
use crate::sql::{literal, text_array};

/// The schema with the ledger of a tenant that is a schema itself.
pub fn of_a_schema(schema: &Identifier) -> Result<Identifier, IdentifierError> {
    Identifier::new(format!("{}_{schema}", super::DEFAULT))
}

impl Entry<'_> {
    /// The resource has tenants from now on.
    pub fn has_tenants(&self) -> String {
        format!(
            "UPDATE execute_sql.resource SET has_tenants = true \
             WHERE (stack_id, logical_id) = ({}, {}) AND NOT has_tenants;\n",
            literal(self.stack_id),
            literal(self.logical_id),
        )
    }

    /// This resource has the object from now on. `oid` is SQL that gives its OID, or `NULL`.
    pub fn holds(
        &self,
        tenant: &Tenant,
        (kind, name, oid): (HeldKind, &str, &str),
        created: bool,
        mark: Option<i32>,
    ) -> String {
        let OnRemove { policy, force } = tenant.on_remove;
        format!(
            "INSERT INTO execute_sql.tenant AS it (stack_id, logical_id, physical_id, tenant, kind, name, \
             oid, mark, origin, policy, force) VALUES ({}, {}, {}, {}, '{}', {}, {oid}, {}, '{}', '{}', {force}) \
             ON CONFLICT (kind, name) DO UPDATE SET stack_id = EXCLUDED.stack_id, \
             logical_id = EXCLUDED.logical_id, physical_id = EXCLUDED.physical_id, \
             tenant = EXCLUDED.tenant, oid = EXCLUDED.oid, mark = EXCLUDED.mark, \
             origin = CASE WHEN it.oid IS NOT DISTINCT FROM EXCLUDED.oid \
             AND (it.stack_id, it.logical_id) = (EXCLUDED.stack_id, EXCLUDED.logical_id) \
             THEN it.origin ELSE EXCLUDED.origin END, policy = EXCLUDED.policy, \
             force = EXCLUDED.force, released = false;\n",
            literal(self.stack_id),
            literal(self.logical_id),
            literal(self.physical_id),
            literal(&tenant.name),
            kind.as_str(),
            literal(name),
            mark.map_or("NULL".into(), |it| it.to_string()),
            if created { "created" } else { "adopted" },
            policy.as_str(),
        )
    }

    /// A database that was begun is whole.
    pub fn holds_database(&self, name: &str) -> String {
        format!(
            "UPDATE execute_sql.tenant SET mark = NULL, oid = (SELECT oid FROM pg_catalog.pg_database \
             WHERE datname = {0}) WHERE kind = 'database' AND name = {0};\n",
            literal(name)
        )
    }

    /// What the resource has of a tenant is as its properties say now.
    pub fn still_holds(&self, tenant: &Tenant) -> String {
        format!(
            "UPDATE execute_sql.tenant SET physical_id = {}, policy = '{}', force = {}, released = false \
             WHERE (stack_id, logical_id) = ({}, {}) AND tenant = {};\n",
            literal(self.physical_id),
            tenant.on_remove.policy.as_str(),
            tenant.on_remove.force,
            literal(self.stack_id),
            literal(self.logical_id),
            literal(&tenant.name),
        )
    }

    /// The resource lets go of tenants: what they have stays, and is nobody's.
    pub fn releases<'n>(&self, tenants: impl IntoIterator<Item = &'n str>) -> String {
        format!(
            "UPDATE execute_sql.tenant SET released = true \
             WHERE (stack_id, logical_id) = ({}, {}) AND tenant = ANY ({});\n",
            literal(self.stack_id),
            literal(self.logical_id),
            text_array(tenants),
        )
    }

    /// The same for a resource that retains all of them; what a later physical id has it keeps.
    pub fn releases_all<'n>(&self, tenants: impl IntoIterator<Item = &'n str>) -> String {
        let names = self.releases(tenants);
        format!(
            "{} AND physical_id = {};\n",
            names.trim_end_matches([';', '\n']),
            literal(self.physical_id)
        )
    }

    /// An object stays and is nobody's, while others of its tenant may still go.
    pub fn releases_one(&self, kind: HeldKind, name: &str) -> String {
        format!(
            "UPDATE execute_sql.tenant SET released = true \
             WHERE (stack_id, logical_id) = ({}, {}) AND kind = '{}' AND name = {};\n",
            literal(self.stack_id),
            literal(self.logical_id),
            kind.as_str(),
            literal(name)
        )
    }

    /// Another tenant of the resource has an object from now on.
    pub fn passes(&self, kind: HeldKind, name: &str, to: &str) -> String {
        format!(
            "UPDATE execute_sql.tenant SET tenant = {} \
             WHERE (stack_id, logical_id) = ({}, {}) AND kind = '{}' AND name = {};\n",
            literal(to),
            literal(self.stack_id),
            literal(self.logical_id),
            kind.as_str(),
            literal(name)
        )
    }

    /// An object is gone.
    pub fn forgets(&self, kind: HeldKind, name: &str) -> String {
        format!(
            "DELETE FROM execute_sql.tenant WHERE kind = '{}' AND name = {};\n",
            kind.as_str(),
            literal(name)
        )
    }
}
