//! Statements about a tenant's database, and about a schema in its place.

use std::fmt::Write as _;

use super::{as_member, assignment};
use crate::desired::tenant::{Owner, Place, Tenant};
use crate::ident::Identifier;
use crate::ledger::Entry;
use crate::observed::tenant::HeldKind;
use crate::plan::tenants::{Change, database_grants};
use crate::sql::literal;

/// `CREATE DATABASE`, which runs alone. Nobody can connect to it, and `mark` tells that it is ours.
pub fn create(tenant: &Tenant, name: &Identifier, mark: i32) -> String {
    let locale = tenant.locale.as_ref().map(|it| format!(" LOCALE {}", literal(it)));
    format!(
        "CREATE DATABASE {} TEMPLATE {}{} ALLOW_CONNECTIONS false CONNECTION LIMIT {mark}",
        name.quoted(),
        tenant.template.quoted(),
        locale.unwrap_or_default(),
    )
}

/// The row by which an interrupted `CREATE DATABASE` is known again.
pub fn begun(entry: &Entry<'_>, tenant: &Tenant, name: &Identifier, mark: i32) -> String {
    entry.holds(tenant, (HeldKind::Database, name.as_str(), "NULL"), true, Some(mark))
}

/// All that makes a new database the tenant's, its opening included.
pub fn finish(
    entry: &Entry<'_>,
    tenant: &Tenant,
    name: &Identifier,
    master: &str,
    comment: &str,
) -> String {
    let mut sql = close(name) + &self::comment(name, comment);
    sql += &grants(tenant, name, master);
    for (setting, value) in &tenant.settings {
        sql += &set(name, setting, value);
    }
    let limit = tenant.database_limit();
    let open = "ALLOW_CONNECTIONS true CONNECTION LIMIT";
    let _infallible = writeln!(sql, "ALTER DATABASE {} WITH {open} {limit};", name.quoted());
    if tenant.owner == Owner::Tenant {
        sql += &as_member(&tenant.username, &give(tenant, name, &tenant.username, master));
    }
    sql + &entry.holds_database(name.as_str())
}

/// Gives a row for each privilege that PUBLIC has on a database, with [`PUBLIC`] in front.
pub fn public_privileges(name: &Identifier) -> String {
    format!(
        "SELECT '{PUBLIC}', a.privilege_type FROM pg_catalog.pg_database d, pg_catalog.aclexplode(coalesce(d.datacl, \
         pg_catalog.acldefault('d', d.datdba))) a WHERE d.datname = {} AND a.grantee = 0;\n",
        literal(name.as_str())
    )
}

/// What the rows of [`public_privileges`] begin with.
pub const PUBLIC: &str = "privilege of PUBLIC";

/// What a change of a database that is there takes; empty for other changes.
pub fn statements(change: &Change, tenant: &Tenant, entry: &Entry<'_>, mark: &str) -> String {
    let Place::Database(own) = &tenant.place else { return String::new() };
    match change {
        Change::AdoptDatabase { name } => {
            let oid = format!(
                "(SELECT oid FROM pg_catalog.pg_database WHERE datname = {})",
                literal(name.as_str())
            );
            comment(name, mark)
                + &entry.holds(tenant, (HeldKind::Database, name.as_str(), &oid), false, None)
        }
        Change::Mark { kind: "database", name } => comment(name, mark),
        Change::LimitDatabase { name, to, .. } => {
            format!("ALTER DATABASE {} CONNECTION LIMIT {to};\n", name.quoted())
        }
        Change::CloseDatabase { name } => close(name),
        Change::GrantDatabase { name, to, privileges } => grant_only(name, to, privileges),
        Change::Set { setting, value } => set(own, setting, value),
        _ => String::new(),
    }
}

/// `ALTER DATABASE … OWNER TO`. The privileges of the old owner become the new one's, so all that
/// anybody needs there is granted again.
pub fn give(tenant: &Tenant, name: &Identifier, to: &Identifier, master: &str) -> String {
    let own = format!("ALTER DATABASE {} OWNER TO {};\n", name.quoted(), to.quoted());
    database_grants(tenant, master)
        .iter()
        .fold(own, |sql, (login, letters)| sql + &grant(name, login, letters))
}

/// Back to an owner whose other privileges were left as they are.
pub fn give_back(name: &Identifier, to: &Identifier, master: &str) -> String {
    let kept = Identifier::new(master).map(|it| grant(name, &it, "CTc")).unwrap_or_default();
    format!("ALTER DATABASE {} OWNER TO {};\n{kept}", name.quoted(), to.quoted())
}

/// All that is granted on a tenant's database.
pub fn grants(tenant: &Tenant, name: &Identifier, master: &str) -> String {
    let each = database_grants(tenant, master).into_iter();
    each.map(|(to, letters)| grant(name, &to, letters)).collect()
}

fn comment(name: &Identifier, mark: &str) -> String {
    format!("COMMENT ON DATABASE {} IS {};\n", name.quoted(), literal(mark))
}

fn close(name: &Identifier) -> String {
    format!("REVOKE ALL ON DATABASE {} FROM PUBLIC;\n", name.quoted())
}

fn set(name: &Identifier, setting: &str, value: &str) -> String {
    format!("ALTER DATABASE {} {};\n", name.quoted(), assignment(setting, value))
}

fn grant_only(name: &Identifier, to: &Identifier, letters: &str) -> String {
    let all = format!("REVOKE ALL ON DATABASE {} FROM {};\n", name.quoted(), to.quoted());
    all + &grant(name, to, letters)
}

fn grant(name: &Identifier, to: &Identifier, letters: &str) -> String {
    let words: Vec<_> = letters
        .chars()
        .map(|it| match it {
            'C' => "CREATE",
            'T' => "TEMPORARY",
            _ => "CONNECT",
        })
        .collect();
    format!("GRANT {} ON DATABASE {} TO {};\n", words.join(", "), name.quoted(), to.quoted())
}

/// What a change of a schema in the target database takes; empty for other changes.
pub fn schema_statements(
    change: &Change,
    tenant: &Tenant,
    entry: &Entry<'_>,
    mark: &str,
    target: &Identifier,
) -> String {
    let Place::Schema(own) = &tenant.place else { return String::new() };
    let owner = &tenant.username;
    let held = |name: &Identifier, created| {
        let oid = format!(
            "(SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {})",
            literal(name.as_str())
        );
        entry.holds(tenant, (HeldKind::Schema, name.as_str(), &oid), created, None)
    };
    // The ledger's own schema has a comment of the ledger's.
    let comment = |name: &Identifier| {
        if name == own {
            format!("COMMENT ON SCHEMA {} IS {};\n", own.quoted(), literal(mark))
        } else {
            String::new()
        }
    };
    match change {
        Change::CreateSchema { name } => {
            let create =
                format!("CREATE SCHEMA {} AUTHORIZATION {};\n", name.quoted(), owner.quoted());
            as_member(owner, &(create + &comment(name))) + &held(name, true)
        }
        Change::AdoptSchema { name } => as_member(owner, &comment(name)) + &held(name, false),
        Change::Mark { kind: "schema", name } => as_member(owner, &comment(name)),
        Change::GiveSchema { name, to, .. } => {
            let give = format!("ALTER SCHEMA {} OWNER TO {};\n", name.quoted(), to.quoted());
            as_member(owner, &give)
        }
        Change::CloseSchema { name } => {
            as_member(owner, &format!("REVOKE ALL ON SCHEMA {} FROM PUBLIC;\n", name.quoted()))
        }
        Change::GrantDatabase { name, to, privileges } => grant_only(name, to, privileges),
        // All settings of all roles, for which lacks one is not worth a change of its own.
        Change::Set { setting, value } => {
            let mut sql = String::new();
            for (login, ..) in tenant.logins() {
                let (login, target) = (login.quoted(), target.quoted());
                let set = assignment(setting, value);
                let _infallible = writeln!(sql, "ALTER ROLE {login} IN DATABASE {target} {set};");
            }
            sql
        }
        _ => String::new(),
    }
}
