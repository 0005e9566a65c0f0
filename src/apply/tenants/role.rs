//! Statements about a tenant's roles.

use std::fmt::Write as _;

use crate::desired::tenant::{Access, Tenant};
use crate::ident::Identifier;
use crate::ledger::Entry;
use crate::observed::tenant::HeldKind;
use crate::plan::tenants::Change;
use crate::rotation::sql::set_password;
use crate::sql::literal;

/// What a change of a role takes, with the ledger's memory of it; empty for other changes.
///
/// `verifier` is the setting of the session that holds the verifier of the password in the role's
/// secret: a server that logs statements logs these. `mark` is the comment.
pub fn statements(
    change: &Change,
    tenant: &Tenant,
    entry: &Entry<'_>,
    mark: &str,
    verifier: Option<&str>,
) -> String {
    match change {
        Change::CreateRole { name, access } => {
            create(name, *access, tenant, verifier)
                + &comment(name, mark)
                + &entry.holds(tenant, held(name, &oid(name)), true, None)
        }
        Change::AdoptRole { name } => {
            comment(name, mark) + &entry.holds(tenant, held(name, &oid(name)), false, None)
        }
        Change::Mark { kind: "role", name } => comment(name, mark),
        Change::SetPassword { name } => {
            let Some(verifier) = verifier else { return String::new() };
            set_password(name, verifier)
                + ";
"
        }
        Change::AllowLogin { name } => format!("ALTER ROLE {} LOGIN;\n", name.quoted()),
        Change::LimitRole { name, to, .. } => {
            format!("ALTER ROLE {} CONNECTION LIMIT {to};\n", name.quoted())
        }
        Change::GrantIam { name } => format!("GRANT rds_iam TO {};\n", name.quoted()),
        Change::RevokeIam { name } => format!("REVOKE rds_iam FROM {};\n", name.quoted()),
        Change::ActAs { name, tenant } => act_as(name, tenant),
        Change::ActAsItself { name, tenant } => {
            let (name, tenant) = (name.quoted(), tenant.quoted());
            format!("ALTER ROLE {name} RESET role;\nREVOKE {tenant} FROM {name};\n")
        }
        Change::NeverExpires { name } => {
            format!("ALTER ROLE {} VALID UNTIL 'infinity';\n", name.quoted())
        }
        Change::LeaveRole { name } => format!("REVOKE {} FROM CURRENT_USER;\n", name.quoted()),
        _ => String::new(),
    }
}

fn held<'a>(name: &'a Identifier, oid: &'a str) -> (HeldKind, &'a str, &'a str) {
    (HeldKind::Role, name.as_str(), oid)
}

fn oid(name: &Identifier) -> String {
    format!("(SELECT oid FROM pg_catalog.pg_roles WHERE rolname = {})", literal(name.as_str()))
}

fn comment(name: &Identifier, mark: &str) -> String {
    format!("COMMENT ON ROLE {} IS {};\n", name.quoted(), literal(mark))
}

fn create(
    name: &Identifier,
    access: Option<Access>,
    tenant: &Tenant,
    verifier: Option<&str>,
) -> String {
    let quoted = name.quoted();
    let mut sql = format!(
        "CREATE ROLE {quoted} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS \
         INHERIT CONNECTION LIMIT {};\n",
        tenant.connection_limit,
    );
    if let Some(setting) = verifier {
        sql += &(set_password(name, setting) + ";\n");
    }
    if tenant.iam_auth {
        let _infallible = writeln!(sql, "GRANT rds_iam TO {quoted};");
    }
    if access == Some(Access::Migrate) {
        sql += &act_as(name, &tenant.username);
    }
    sql
}

/// What the role makes then belongs to the tenant's role, and follows its default privileges.
fn act_as(name: &Identifier, tenant: &Identifier) -> String {
    let name = name.quoted();
    format!(
        "GRANT {} TO {name};\nALTER ROLE {name} SET role TO {};\n",
        tenant.quoted(),
        literal(tenant.as_str())
    )
}
