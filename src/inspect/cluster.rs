//! Reads what of a server is the same for all tenants: once, in one round trip.
//!
//! Whom PUBLIC lets in or lets create, with the roles that have it by nothing else,
//! for those are to keep it. What is done about it is `plan::tenants::cluster`'s.

use super::InspectError;
use super::tenants::{json_rows, number, text, texts};
use crate::desired::tenant::CLONE;
use crate::observed::tenant::{Cluster, Open};
use crate::postgres::Session;

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

/// The server, as far as it is the same for all tenants.
pub async fn observe(session: &Session) -> Result<Cluster, InspectError> {
    let sql = format!(
        "SELECT 'cluster', json_build_object('version', current_setting('server_version_num')::int, \
         'master', current_user, 'target', current_database(), \
         'rds_iam', EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam'), \
         'free', current_setting('max_connections')::int \
           - current_setting('superuser_reserved_connections')::int \
           - coalesce(current_setting('reserved_connections', true)::int, 0) \
           - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'));\n\
         SELECT 'open', {} FROM pg_database d WHERE d.datallowconn AND {} ORDER BY d.datname;\n\
         SELECT 'public', {} FROM pg_namespace n WHERE n.nspname = 'public' AND {}",
        open("d.datname", "d.datdba", "d.datacl", 'd'),
        by_public("d.datdba", "d.datacl", 'd'),
        open("n.nspname", "n.nspowner", "n.nspacl", 'n'),
        by_public("n.nspowner", "n.nspacl", 'n'),
    );
    let mut cluster = Cluster::default();
    for (tag, it) in json_rows(session.run(&sql).await?)? {
        if tag == "cluster" {
            cluster.version_num = number(&it["version"])?;
            cluster.master = text(&it["master"])?;
            cluster.target = text(&it["target"])?;
            cluster.free_slots = it["free"].as_i64().unwrap_or_default().try_into().unwrap_or(0);
            cluster.has_rds_iam = it["rds_iam"] == true;
            continue;
        }
        let open = Open {
            name: text(&it["name"])?,
            owner: text(&it["owner"])?,
            ours: it["ours"] == true,
            others: texts(&it["by"]),
            relying: texts(&it["relying"]),
        };
        if tag == "open" {
            cluster.open.push(open);
        } else {
            cluster.public = Some(open);
        }
    }
    Ok(cluster)
}

/// The privilege by which PUBLIC gets into a database (`d`), or makes something in a schema (`n`).
fn privilege(kind: char) -> &'static str {
    if kind == 'd' { "CONNECT" } else { "CREATE" }
}

fn acl(owner: &str, acl: &str, kind: char) -> String {
    format!(
        "aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) a WHERE a.privilege_type = '{}'",
        privilege(kind)
    )
}

fn by_public(owner: &str, acl: &str, kind: char) -> String {
    format!("EXISTS (SELECT FROM {} AND a.grantee = 0)", self::acl(owner, acl, kind))
}

/// An [`Open`] as JSON.
fn open(name: &str, owner: &str, acl: &str, kind: char) -> String {
    let acl = self::acl(owner, acl, kind);
    let reaches = match kind {
        'd' => "",
        _ => "AND has_database_privilege(r.oid, current_database(), 'CONNECT')",
    };
    format!(
        "json_build_object('name', {name}, 'owner', pg_get_userbyid({owner}), \
         'ours', pg_has_role({owner}, 'USAGE'), \
         'by', (SELECT json_agg(DISTINCT pg_get_userbyid(a.grantor)) FROM {acl} \
           AND a.grantee = 0 AND a.grantor <> {owner}), \
         'relying', (SELECT json_agg(r.rolname ORDER BY r.rolname) FROM pg_roles r WHERE r.rolcanlogin \
           AND NOT r.rolsuper AND NOT pg_has_role(r.oid, {owner}, 'USAGE') {reaches} AND NOT EXISTS \
           (SELECT FROM {acl} AND a.grantee <> 0 AND pg_has_role(r.oid, a.grantee, 'USAGE')) AND NOT {}))",
        is_tenants("r")
    )
}
