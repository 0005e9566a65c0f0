//! Reads what stands in the way of the end of tenants, in one round trip.
//!
//! Sessions are counted for all roles: whose they are is shown to everybody, what
//! they do is not asked for. What is in a schema can be seen from its own database
//! only, so the session must be on the target.

use std::fmt::Write as _;

use super::InspectError;
use super::tenants::{json_rows, number, text, texts};
use crate::observed::leaving::Ties;
use crate::observed::tenant::Held;
use crate::postgres::Session;
use crate::sql::{literal, text_array};

/// What has an owner in a schema: catalog, column of the schema, column of the owner.
const OWNED: [(&str, &str, &str); 12] = [
    ("pg_class", "relnamespace", "relowner"),
    ("pg_proc", "pronamespace", "proowner"),
    ("pg_type", "typnamespace", "typowner"),
    ("pg_operator", "oprnamespace", "oprowner"),
    ("pg_opclass", "opcnamespace", "opcowner"),
    ("pg_opfamily", "opfnamespace", "opfowner"),
    ("pg_collation", "collnamespace", "collowner"),
    ("pg_conversion", "connamespace", "conowner"),
    ("pg_ts_config", "cfgnamespace", "cfgowner"),
    ("pg_ts_dict", "dictnamespace", "dictowner"),
    ("pg_statistic_ext", "stxnamespace", "stxowner"),
    ("pg_extension", "extnamespace", "extowner"),
];

/// Sessions of people and programs; the server's own helpers end by themselves.
pub const SESSIONS: &str = "pg_catalog.pg_stat_activity a WHERE a.pid <> pg_catalog.pg_backend_pid() \
     AND a.usesysid IS NOT NULL AND a.backend_type IS DISTINCT FROM 'parallel worker'";

/// What ties databases, roles and schemas of the target database. Sessions for which `ignored` holds,
/// as SQL about `pg_stat_activity a`, do not count.
pub async fn ties(
    session: &Session,
    (databases, roles, schemas): (&[&str], &[String], &[String]),
    ignored: &str,
) -> Result<Ties, InspectError> {
    let mut sql = format!(
        "SELECT 'database', json_build_object('name', d.datname, 'template', d.datistemplate, \
         'sessions', (SELECT count(*) FROM {SESSIONS} AND NOT {ignored} AND a.datid = d.oid)) \
         FROM pg_database d WHERE d.datname = ANY ({});\n\
         SELECT 'role', json_build_object('name', r.rolname, \
         'sessions', (SELECT count(*) FROM {SESSIONS} AND NOT {ignored} AND a.usesysid = r.oid), \
         'traces', (SELECT json_agg(DISTINCT d.datname) FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid \
           WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid)) \
         FROM pg_roles r WHERE r.rolname = ANY ({});\n",
        text_array(databases.iter().copied()),
        text_array(roles.iter().map(String::as_str)),
    );
    if !schemas.is_empty() {
        let each = OWNED.map(|(catalog, schema, owner)| {
            format!("SELECT {owner} AS owner FROM {catalog} WHERE {schema} = n.oid")
        });
        let _infallible = writeln!(
            sql,
            "SELECT 'schema', json_build_object('name', n.nspname, \
             'owners', (SELECT json_agg(DISTINCT pg_get_userbyid(owner)) FROM ({}) owned)) \
             FROM pg_namespace n WHERE n.nspname = ANY ({});",
            each.join(" UNION "),
            text_array(schemas.iter().map(String::as_str)),
        );
    }
    let mut ties = Ties::default();
    for (tag, it) in json_rows(session.run(&sql).await?)? {
        let name = text(&it["name"])?;
        match tag.as_str() {
            "database" => {
                if it["template"] == true {
                    ties.templates.insert(name.clone());
                }
                ties.on.insert(name, number(&it["sessions"])?);
            }
            "role" => {
                ties.of.insert(name.clone(), number(&it["sessions"])?);
                ties.traces.insert(name, texts(&it["traces"]));
            }
            _ => drop(ties.owners.insert(name, texts(&it["owners"]))),
        }
    }
    Ok(ties)
}

/// What the ledger has for a resource's tenants and has not let go, in the order of the tenants.
pub async fn held(
    session: &Session,
    stack_id: &str,
    logical_id: &str,
) -> Result<Vec<Held>, InspectError> {
    const UNDEFINED_TABLE: &str = "42P01";
    let ours = format!(
        "stack_id = {} AND logical_id = {} AND NOT released",
        literal(stack_id),
        literal(logical_id)
    );
    match super::tenants::leaving(session, &ours, &[]).await {
        // An earlier release's ledger knows of no tenants.
        Err(InspectError::Sql(error)) if error.sqlstate.as_deref() == Some(UNDEFINED_TABLE) => {
            Ok(Vec::new())
        }
        held => held,
    }
}
