//! Statements inside of a tenant's database.
//!
//! The master gives schema `public` away; all privileges on what is in it are
//! granted over the tenant's own login, which owns it.

use super::as_member;
use crate::desired::tenant::{Access, Tenant};
use crate::ident::Identifier;
use crate::plan::tenants::Change;
use crate::sql::literal;

/// What the master does inside; empty for other changes.
pub fn of_master(change: &Change, tenant: &Tenant) -> String {
    let owner = &tenant.username;
    match change {
        Change::GiveSchema { name, to, .. } => {
            as_member(owner, &format!("ALTER SCHEMA {} OWNER TO {};\n", name.quoted(), to.quoted()))
        }
        Change::CloseSchema { name } => {
            as_member(owner, &format!("REVOKE CREATE ON SCHEMA {} FROM PUBLIC;\n", name.quoted()))
        }
        _ => String::new(),
    }
}

/// What the tenant's own login does inside; empty for other changes.
pub fn of_tenant(change: &Change, tenant: &Tenant) -> String {
    let Change::GrantAccess { name, access } = change else { return String::new() };
    let (tables, sequences) = match access {
        Access::Readonly => ("SELECT", "SELECT"),
        Access::Readwrite => ("SELECT, INSERT, UPDATE, DELETE", "SELECT, USAGE, UPDATE"),
        Access::Migrate => return String::new(),
    };
    existing(&tenant.username, name, tables, sequences)
        + &defaults(&tenant.username, name, tables, sequences)
}

/// What a role had with another access goes first. One by one: `ON ALL TABLES` stops at the first that belongs to an extension.
fn existing(owner: &Identifier, role: &Identifier, tables: &str, sequences: &str) -> String {
    let (role, user) = (literal(role.as_str()), literal(owner.as_str()));
    format!(
        "DO $grant$ DECLARE it record; BEGIN\n\
         FOR it IN SELECT n.nspname FROM pg_catalog.pg_namespace n \
           WHERE pg_catalog.pg_has_role({user}, n.nspowner, 'USAGE') AND n.nspname !~ '^(pg_|execute_sql)' LOOP\n\
           EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA %I FROM %I', it.nspname, {role});\n\
           EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', it.nspname, {role}); END LOOP;\n\
         FOR it IN SELECT n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c \
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles u ON u.oid = c.relowner \
           WHERE u.rolname = {user} AND n.nspname !~ '^(pg_|execute_sql)' \
           AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') LOOP\n\
           EXECUTE pg_catalog.format('REVOKE ALL ON TABLE %I.%I FROM %I', it.nspname, it.relname, {role});\n\
           IF it.relkind = 'S' THEN \
             EXECUTE pg_catalog.format('GRANT {sequences} ON SEQUENCE %I.%I TO %I', it.nspname, it.relname, {role}); \
           ELSE \
             EXECUTE pg_catalog.format('GRANT {tables} ON TABLE %I.%I TO %I', it.nspname, it.relname, {role}); \
           END IF; END LOOP;\n\
         END $grant$;\n"
    )
}

fn defaults(owner: &Identifier, role: &Identifier, tables: &str, sequences: &str) -> String {
    let (owner, role) = (owner.quoted(), role.quoted());
    let of = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT");
    let not = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} REVOKE ALL");
    format!(
        "{not} ON TABLES FROM {role};\n{not} ON SEQUENCES FROM {role};\n{of} {tables} ON TABLES TO {role};\n{of} {sequences} ON SEQUENCES TO {role};\n\
         {of} USAGE ON SCHEMAS TO {role};\n"
    )
}
