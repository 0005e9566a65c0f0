//! Reads what there is of tenants: the cluster once, and some tenants by name in one round trip.
//!
//! Everything read here is in the catalogs that all databases share, but for the
//! schemas and the ledger of the target database. Rows are JSON, each with a word in
//! front that says what it is.

use std::fmt::Write as _;

use serde_json::Value;

use super::InspectError;
use crate::desired::tenant::CLONE;
use crate::observed::tenant::{
    Cluster, Database, Found, Held, HeldKind, Inside, Lacking, Open, Role, Schema,
};
use crate::postgres::{Row, Session};
use crate::sql::{literal, text_array};

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Names<'a> {
    /// Databases.
    pub databases: Vec<&'a str>,
    /// Schemas of the target database.
    pub schemas: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Tenants, of which everything that the ledger has is wanted.
    pub tenants: Vec<&'a str>,
    /// Secrets, by name or ARN.
    pub secrets: Vec<&'a str>,
}

/// Privileges by grantee, of an ACL; `""` is PUBLIC.
fn grants(acl: &str, kind: char, owner: &str) -> String {
    format!(
        "(SELECT json_object_agg(who, what) FROM (SELECT coalesce(g.rolname, '') AS who, \
         string_agg(CASE a.privilege_type WHEN 'CREATE' THEN 'C' WHEN 'TEMPORARY' THEN 'T' \
         WHEN 'CONNECT' THEN 'c' WHEN 'USAGE' THEN 'U' END, '' ORDER BY a.privilege_type) AS what \
         FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) a \
         LEFT JOIN pg_roles g ON g.oid = a.grantee GROUP BY 1) acl)"
    )
}

/// `name=value` texts as an object; names get `prefix` in front.
fn settings(config: &str) -> String {
    format!("array_to_json({config})")
}

/// Whether a member has more than ADMIN; before 16 there is no less.
const MORE_THAN_ADMIN: &str = "(coalesce((to_jsonb(m)->>'inherit_option')::bool, true) \
     OR coalesce((to_jsonb(m)->>'set_option')::bool, true))";

/// SQL that tells whether a row of `pg_roles` is a tenant's login: by its comment, or as the second
/// login of one that has it. Only who made a role, or a superuser, can comment on it.
pub fn is_tenants(role: &str) -> String {
    let marked = |it: &str| {
        format!(
            "coalesce(starts_with(shobj_description({it}.oid, 'pg_authid'), 'execute-sql tenant '), false)"
        )
    };
    format!(
        "({} OR EXISTS (SELECT FROM pg_roles b WHERE {role}.rolname = b.rolname || '{CLONE}' AND {} \
         AND pg_has_role({role}.oid, b.oid, 'MEMBER')))",
        marked(role),
        marked("b")
    )
}

/// The server, as far as it is the same for all tenants. `comment` is how marks of ours begin.
pub async fn cluster(session: &Session) -> Result<Cluster, InspectError> {
    let by_public = "FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a \
         WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT'";
    let by_more = "EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a \
         WHERE a.grantee <> 0 AND a.privilege_type = 'CONNECT' AND pg_has_role(r.oid, a.grantee, 'USAGE'))";
    let sql = format!(
        "SELECT 'cluster', json_build_object('version', current_setting('server_version_num')::int, \
         'master', current_user, 'target', current_database(), \
         'rds_iam', EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam'), \
         'free', current_setting('max_connections')::int \
           - current_setting('superuser_reserved_connections')::int \
           - coalesce(current_setting('reserved_connections', true)::int, 0) \
           - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'));\n\
         SELECT 'open', json_build_object('name', d.datname, 'owner', pg_get_userbyid(d.datdba), \
         'ours', pg_has_role(d.datdba, 'USAGE'), \
         'by', (SELECT json_agg(DISTINCT pg_get_userbyid(a.grantor)) {by_public} AND a.grantor <> d.datdba), \
         'relying', (SELECT json_agg(r.rolname ORDER BY r.rolname) FROM pg_roles r WHERE r.rolcanlogin \
           AND NOT r.rolsuper AND NOT pg_has_role(r.oid, d.datdba, 'USAGE') AND NOT {by_more} \
           AND NOT {})) \
         FROM pg_database d WHERE d.datallowconn AND EXISTS (SELECT {by_public}) ORDER BY d.datname",
        is_tenants("r"),
    );
    let mut cluster = Cluster::default();
    for (tag, it) in json_rows(session.run(&sql).await?)? {
        if tag == "cluster" {
            cluster.version_num = number(&it["version"])?;
            cluster.master = text(&it["master"])?;
            cluster.target = text(&it["target"])?;
            cluster.free_slots = it["free"].as_i64().unwrap_or_default().try_into().unwrap_or(0);
            cluster.has_rds_iam = it["rds_iam"] == true;
        } else {
            cluster.open.push(Open {
                name: text(&it["name"])?,
                owner: text(&it["owner"])?,
                ours: it["ours"] == true,
                others: texts(&it["by"]),
                relying: texts(&it["relying"]),
            });
        }
    }
    Ok(cluster)
}

/// Roles that give to their members what no tenant has.
const MIGHTY: &str = "ARRAY['rds_superuser', 'rdsadmin', 'rds_replication', 'rds_password', \
     'pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', \
     'pg_execute_server_program', 'pg_signal_backend', 'pg_maintain', 'pg_create_subscription', \
     'pg_read_all_stats', 'pg_monitor', 'pg_checkpoint']";

/// What there is under some names, and what the ledger says of it.
///
/// `ours` is SQL that tells this resource's rows; `None` where there is no ledger yet.
pub async fn found(
    session: &Session,
    names: &Names<'_>,
    ours: Option<String>,
) -> Result<Found, InspectError> {
    let databases = text_array(names.databases.iter().copied());
    let schemas = text_array(names.schemas.iter().map(String::as_str));
    let roles = text_array(names.roles.iter().map(String::as_str));
    let mut sql = format!(
        "SELECT 'database', json_build_object('name', d.datname, 'oid', d.oid::int8, \
         'owner', pg_get_userbyid(d.datdba), 'limit', d.datconnlimit, 'open', d.datallowconn, \
         'comment', shobj_description(d.oid, 'pg_database'), 'locale', d.datcollate, \
         'settings', (SELECT {} FROM pg_db_role_setting s WHERE s.setdatabase = d.oid AND s.setrole = 0), \
         'grants', {}) FROM pg_database d WHERE d.datname = ANY ({databases});\n\
         SELECT 'role', json_build_object('name', r.rolname, 'oid', r.oid::int8, 'login', r.rolcanlogin, \
         'limit', r.rolconnlimit, 'comment', shobj_description(r.oid, 'pg_authid'), \
         'expires', coalesce(r.rolvaliduntil, 'infinity') <> 'infinity', \
         'mighty', r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls \
           OR EXISTS (SELECT FROM pg_roles g WHERE pg_has_role(r.oid, g.oid, 'MEMBER') AND (g.rolsuper \
           OR g.rolcreaterole OR g.rolcreatedb OR g.rolbypassrls OR g.rolname = current_user OR g.rolname = ANY ({MIGHTY}))), \
         'of', (SELECT json_agg(DISTINCT pg_get_userbyid(m.roleid)) FROM pg_auth_members m WHERE m.member = r.oid), \
         'master', EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid \
           AND pg_get_userbyid(m.member) = current_user AND {MORE_THAN_ADMIN}), \
         'settings', (SELECT json_agg(json_build_array(coalesce(d.datname, ''), {})) FROM pg_db_role_setting s \
           LEFT JOIN pg_database d ON d.oid = s.setdatabase WHERE s.setrole = r.oid)) \
         FROM pg_roles r WHERE r.rolname = ANY ({roles});\n",
        settings("s.setconfig"),
        grants("d.datacl", 'd', "d.datdba"),
        settings("s.setconfig"),
    );
    if !names.schemas.is_empty() {
        let _infallible = writeln!(
            sql,
            "SELECT 'schema', json_build_object('name', n.nspname, 'oid', n.oid::int8, \
             'owner', pg_get_userbyid(n.nspowner), 'comment', obj_description(n.oid, 'pg_namespace'), \
             'grants', {}) FROM pg_namespace n WHERE n.nspname = ANY ({schemas});",
            grants("n.nspacl", 'n', "n.nspowner"),
        );
    }
    if let Some(ours) = ours {
        let tenants = text_array(names.tenants.iter().copied());
        let secrets = text_array(names.secrets.iter().copied());
        let _infallible = writeln!(
            sql,
            "SELECT 'held', to_json(t) FROM execute_sql.tenant t WHERE ({ours} AND tenant = ANY ({tenants})) \
             OR (kind = 'database' AND name = ANY ({databases})) OR (kind = 'role' AND name = ANY ({roles})) \
             OR (kind = 'schema' AND name = ANY ({schemas})) OR (kind = 'secret' \
             AND (name = ANY ({secrets}) OR substring(name FROM ':secret:(.+)-.{{6}}$') = ANY ({secrets})));"
        );
    }
    let mut found = Found::default();
    for (tag, it) in json_rows(session.run(&sql).await?)? {
        match tag.as_str() {
            "database" => drop(found.databases.insert(text(&it["name"])?, database(&it)?)),
            "schema" => drop(found.schemas.insert(text(&it["name"])?, schema(&it)?)),
            "role" => drop(found.roles.insert(text(&it["name"])?, role(&it)?)),
            _ => found.held.push(held(&it)?),
        }
    }
    Ok(found)
}

/// What the ledger has for a resource's tenants that are not among `wanted`.
pub async fn leaving(
    session: &Session,
    ours: &str,
    wanted: &[&str],
) -> Result<Vec<Held>, InspectError> {
    let wanted = text_array(wanted.iter().copied());
    let sql = format!(
        "SELECT 'held', to_json(t) FROM execute_sql.tenant t WHERE {ours} \
         AND tenant <> ALL ({wanted}) ORDER BY tenant, kind, name"
    );
    json_rows(session.run(&sql).await?)?.iter().map(|(_, it)| held(it)).collect()
}

fn database(it: &Value) -> Result<Database, InspectError> {
    Ok(Database {
        oid: number(&it["oid"])?,
        owner: text(&it["owner"])?,
        limit: signed(&it["limit"])?,
        allows_connections: it["open"] == true,
        grants: map(&it["grants"]),
        settings: config(&it["settings"]),
        comment: it["comment"].as_str().map(str::to_owned),
        locale: text(&it["locale"])?,
    })
}

fn schema(it: &Value) -> Result<Schema, InspectError> {
    Ok(Schema {
        oid: number(&it["oid"])?,
        owner: text(&it["owner"])?,
        grants: map(&it["grants"]),
        comment: it["comment"].as_str().map(str::to_owned),
    })
}

fn role(it: &Value) -> Result<Role, InspectError> {
    let mut settings = std::collections::BTreeMap::new();
    for pair in it["settings"].as_array().into_iter().flatten() {
        let database = text(&pair[0])?;
        settings.extend(config(&pair[1]).into_iter().map(|(k, v)| (format!("{database}/{k}"), v)));
    }
    Ok(Role {
        oid: number(&it["oid"])?,
        login: it["login"] == true,
        limit: signed(&it["limit"])?,
        mighty: it["mighty"] == true,
        member_of: texts(&it["of"]),
        has_master: it["master"] == true,
        expires: it["expires"] == true,
        settings,
        comment: it["comment"].as_str().map(str::to_owned),
    })
}

fn held(it: &Value) -> Result<Held, InspectError> {
    Ok(Held {
        stack_id: text(&it["stack_id"])?,
        logical_id: text(&it["logical_id"])?,
        physical_id: text(&it["physical_id"])?,
        tenant: text(&it["tenant"])?,
        kind: match it["kind"].as_str() {
            Some("database") => HeldKind::Database,
            Some("schema") => HeldKind::Schema,
            Some("role") => HeldKind::Role,
            _ => HeldKind::Secret,
        },
        name: text(&it["name"])?,
        oid: oid(&it["oid"])?,
        mark: it["mark"].as_i64().and_then(|it| it.try_into().ok()),
        created: it["origin"] == "created",
        policy: text(&it["policy"])?,
        force: it["force"] == true,
        released: it["released"] == true,
    })
}

/// `to_json` writes an OID as text.
fn oid(it: &Value) -> Result<Option<u32>, InspectError> {
    match it {
        Value::Null => Ok(None),
        Value::String(it) => it.parse().map(Some).map_err(|_| odd(&format!("`{it}` is no OID"))),
        it => number(it).map(Some),
    }
}

/// What is inside of the session's database: schema `schema` with its owner, and what further
/// roles lack of `roles`, each with whether it may write. `user` is the tenant's role.
pub async fn inside(
    session: &Session,
    schema: &str,
    user: &str,
    roles: &[(&str, bool)],
) -> Result<Inside, InspectError> {
    let mut sql = format!(
        "SELECT 'schema', json_build_object('owner', pg_get_userbyid(n.nspowner), 'public', \
         EXISTS (SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a \
         WHERE a.grantee = 0 AND a.privilege_type = 'CREATE')) FROM pg_namespace n WHERE n.nspname = {};\n",
        literal(schema)
    );
    for (role, writes) in roles {
        sql += &lacking(user, role, *writes);
    }
    let mut inside = Inside::default();
    for (tag, it) in json_rows(session.run(&sql).await?)? {
        if tag == "schema" {
            inside.schema_owner = text(&it["owner"])?;
            inside.public_creates = it["public"] == true;
        } else {
            let lacking = Lacking {
                schemas: number(&it["schemas"])?,
                relations: number(&it["relations"])?,
                defaults: it["defaults"] == true,
                excess: number(&it["excess"])?,
            };
            inside.lacking.insert(text(&it["role"])?, lacking);
        }
    }
    Ok(inside)
}

/// What a role lacks, of all that belongs to `user`; a role that is not there lacks everything.
fn lacking(user: &str, role: &str, writes: bool) -> String {
    let (tables, sequences, defaults) = if writes {
        ("SELECT,INSERT,UPDATE,DELETE", "SELECT,USAGE,UPDATE", ("arwd", "rwU"))
    } else {
        ("SELECT", "SELECT", ("r", "r"))
    };
    let all = |function: &str, object: &str, privileges: &str| -> String {
        let each = |it: &str| format!("{function}(w.oid, {object}, '{it}')");
        privileges.split(',').map(each).collect::<Vec<_>>().join(" AND ")
    };
    let default = |kind: char, letters: &str| {
        let has = letters.chars().map(|it| {
            let word = match it {
                'r' => "SELECT",
                'a' => "INSERT",
                'w' => "UPDATE",
                'd' => "DELETE",
                _ => "USAGE",
            };
            format!(
                "EXISTS (SELECT FROM pg_default_acl p, aclexplode(p.defaclacl) a WHERE p.defaclrole = u.oid \
                 AND p.defaclnamespace = 0 AND p.defaclobjtype = '{kind}' AND a.grantee = w.oid \
                 AND a.privilege_type = '{word}')"
            )
        });
        has.collect::<Vec<_>>().join(" AND ")
    };
    format!(
        "SELECT 'lacking', json_build_object('role', w.rolname, \
         'schemas', (SELECT count(*) FROM pg_namespace n WHERE pg_has_role(u.oid, n.nspowner, 'USAGE') \
           AND n.nspname !~ '^(pg_|execute_sql)' AND NOT has_schema_privilege(w.oid, n.oid, 'USAGE')), \
         'relations', (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
           WHERE c.relowner = u.oid AND n.nspname !~ '^(pg_|execute_sql)' AND CASE \
           WHEN c.relkind IN ('r', 'v', 'm', 'f', 'p') THEN NOT ({}) WHEN c.relkind = 'S' THEN NOT ({}) END), \
         'defaults', NOT ({} AND {} AND {}), 'excess', {}) \
         FROM pg_roles w, pg_roles u WHERE w.rolname = {} AND u.rolname = {};\n",
        all("has_table_privilege", "c.oid", tables),
        all("has_sequence_privilege", "c.oid", sequences),
        default('r', defaults.0),
        default('S', defaults.1),
        default('n', "U"),
        excess(tables, sequences),
        literal(role),
        literal(user),
    )
}

/// How many objects of `u` give `w` more than these privileges. What somebody else granted on is
/// not counted, for `u` cannot take it back.
fn excess(tables: &str, sequences: &str) -> String {
    let list = |it: &str| text_array(it.split(','));
    let more = |acl: &str, allowed: String| {
        format!(
            "EXISTS (SELECT FROM aclexplode({acl}) a WHERE a.grantee = w.oid AND a.grantor = u.oid \
             AND a.privilege_type <> ALL ({allowed}))"
        )
    };
    format!(
        "(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relowner = u.oid AND n.nspname !~ '^(pg_|execute_sql)' AND CASE \
         WHEN c.relkind IN ('r', 'v', 'm', 'f', 'p') THEN {} WHEN c.relkind = 'S' THEN {} END) \
         + (SELECT count(*) FROM pg_namespace n WHERE n.nspowner = u.oid AND {}) \
         + (SELECT count(*) FROM pg_default_acl p WHERE p.defaclrole = u.oid AND p.defaclnamespace = 0 \
         AND CASE p.defaclobjtype WHEN 'r' THEN {} WHEN 'S' THEN {} END)",
        more("c.relacl", list(tables)),
        more("c.relacl", list(sequences)),
        more("n.nspacl", list("USAGE")),
        more("p.defaclacl", list(tables)),
        more("p.defaclacl", list(sequences)),
    )
}

/// Rows of a word and a JSON value.
pub(super) fn json_rows(rows: Vec<Row>) -> Result<Vec<(String, Value)>, InspectError> {
    let row = |row: Row| {
        let mut row = row.into_iter();
        let tag = row.next().flatten().unwrap_or_default();
        let json = row.next().flatten().unwrap_or_default();
        let json = serde_json::from_str(&json).map_err(|error| odd(&error.to_string()))?;
        Ok((tag, json))
    };
    rows.into_iter().map(row).collect()
}

fn odd(what: &str) -> InspectError {
    InspectError::Answer(what.to_owned())
}

pub(super) fn text(it: &Value) -> Result<String, InspectError> {
    it.as_str().map(str::to_owned).ok_or_else(|| odd(&format!("{it} is no text")))
}

pub(super) fn number(it: &Value) -> Result<u32, InspectError> {
    let number = it.as_u64().and_then(|it| u32::try_from(it).ok());
    number.ok_or_else(|| odd(&format!("{it} is no number")))
}

fn signed(it: &Value) -> Result<i32, InspectError> {
    let number = it.as_i64().and_then(|it| i32::try_from(it).ok());
    number.ok_or_else(|| odd(&format!("{it} is no number")))
}

pub(super) fn texts(it: &Value) -> Vec<String> {
    it.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn map(it: &Value) -> std::collections::BTreeMap<String, String> {
    let pairs = it.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// `setconfig`: a list of `name=value`.
fn config(it: &Value) -> std::collections::BTreeMap<String, String> {
    let pair = |it: String| it.split_once('=').map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned()));
    texts(it).into_iter().filter_map(pair).collect()
}
