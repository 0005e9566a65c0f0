//! Statements for the end of tenants.
//!
//! Each drop has a guard in front that looks once more whether the object is still
//! the one that was planned; it raises a SQLSTATE of our own. A schema is dropped
//! with all that is in it, and not if that takes anything outside of it along.

use super::as_member;
use crate::ident::Identifier;
use crate::sql::{literal, text_array};

/// Raised where there is another object of the name by now.
pub const REPLACED: &str = "ES404";

/// Raised where a schema's end would take along what is outside of it.
pub const NEEDED_OUTSIDE: &str = "ES424";

/// A role may not log in any more, or may again.
pub fn login(role: &Identifier, may: bool) -> String {
    format!("ALTER ROLE {} {};\n", role.quoted(), if may { "LOGIN" } else { "NOLOGIN" })
}

/// Ends the sessions of a role. A member may do that without `pg_signal_backend`.
pub fn end_sessions(role: &Identifier) -> String {
    let end = format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
         WHERE usename = {} AND pid <> pg_catalog.pg_backend_pid();\n",
        literal(role.as_str())
    );
    as_member(role, &end)
}

/// How many sessions there are of roles, and on a database.
pub fn count_sessions<'r>(
    roles: impl IntoIterator<Item = &'r Identifier>,
    database: Option<&Identifier>,
) -> String {
    format!(
        "SELECT count(*) FROM {} AND (a.usename = ANY ({}) OR a.datname = {})",
        crate::inspect::leaving::SESSIONS,
        text_array(roles.into_iter().map(Identifier::as_str)),
        database.map_or("NULL".into(), |it| literal(it.as_str())),
    )
}

/// An anonymous block; whatever names are in it, they cannot end it.
fn block(body: &str) -> String {
    let mut tag = "$block$".to_owned();
    while body.contains(&tag) {
        tag.insert(1, 'x');
    }
    format!("DO {tag} {body} {tag};\n")
}

/// Fails unless the catalog's row of that name has the OID.
fn guard(catalog: &str, column: &str, name: &Identifier, oid: u32) -> String {
    block(&format!(
        "BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.{catalog} WHERE {column} = {} AND oid = {oid}) \
         THEN RAISE EXCEPTION 'it is another one by now' USING ERRCODE = '{REPLACED}'; END IF; END",
        literal(name.as_str()),
    ))
}

/// Makes a database ours to drop. `owner` is `None` where it is ours already.
pub fn take_database(
    name: &Identifier,
    oid: u32,
    owner: Option<&Identifier>,
    is_template: bool,
) -> String {
    let database = name.quoted();
    let plain = format!("ALTER DATABASE {database} IS_TEMPLATE false;\n");
    let plain = if is_template { plain.as_str() } else { "" };
    let take = match owner {
        Some(owner) => {
            as_member(owner, &format!("ALTER DATABASE {database} OWNER TO CURRENT_USER;\n{plain}"))
        }
        None => plain.to_owned(),
    };
    guard("pg_database", "datname", name, oid) + &take
}

/// `DROP DATABASE`, which runs alone.
pub fn drop_database(name: &Identifier, force: bool) -> String {
    let force = if force { " WITH (FORCE)" } else { "" };
    format!("DROP DATABASE IF EXISTS {}{force}", name.quoted())
}

/// `DROP SCHEMA … CASCADE` of a schema and of a ledger beside it, with the rights of their owners.
///
/// What there is outside of them is counted before and after, in one snapshot.
pub fn drop_schema(
    name: &Identifier,
    oid: u32,
    ledger: Option<&Identifier>,
    owners: &[Identifier],
) -> String {
    let all: Vec<_> = std::iter::once(name).chain(ledger).collect();
    let outside = outside(&text_array(all.iter().map(|it| it.as_str())));
    let drops = all.iter().map(|it| format!("DROP SCHEMA {} CASCADE;\n", it.quoted()));
    let drop = block(&format!(
        "DECLARE before bigint; later bigint; BEGIN\n\
         SELECT {outside} INTO before;\n{}SELECT {outside} INTO later;\n\
         IF before <> later THEN RAISE EXCEPTION \
         'objects outside of it depend on what is in it' USING ERRCODE = '{NEEDED_OUTSIDE}'; END IF; END",
        drops.collect::<String>()
    ));
    let sql = format!(
        "SET LOCAL search_path = pg_catalog;\n{}{drop}",
        guard("pg_namespace", "nspname", name, oid)
    );
    owners.iter().fold(sql, |sql, owner| as_member(owner, &sql))
}

/// Counts what could be taken along by a cascade, in all schemas but some.
fn outside(names: &str) -> String {
    let spaces = format!(
        "(SELECT oid FROM pg_namespace WHERE nspname <> ALL ({names}) AND nspname !~ '^pg_(toast|temp)')"
    );
    let own = [
        ("pg_class", "relnamespace"),
        ("pg_proc", "pronamespace"),
        ("pg_type", "typnamespace"),
        ("pg_operator", "oprnamespace"),
        ("pg_opclass", "opcnamespace"),
        ("pg_collation", "collnamespace"),
        ("pg_conversion", "connamespace"),
        ("pg_ts_config", "cfgnamespace"),
        ("pg_ts_dict", "dictnamespace"),
        ("pg_statistic_ext", "stxnamespace"),
        ("pg_extension", "extnamespace"),
        ("pg_constraint", "connamespace"),
    ];
    let parts = [
        ("pg_attribute", "attrelid", " AND NOT x.attisdropped"),
        ("pg_attrdef", "adrelid", ""),
        ("pg_trigger", "tgrelid", " AND NOT x.tgisinternal"),
        ("pg_rewrite", "ev_class", ""),
        ("pg_policy", "polrelid", ""),
        ("pg_inherits", "inhrelid", ""),
    ];
    let own = own.map(|(catalog, space)| {
        format!("(SELECT count(*) FROM {catalog} x WHERE x.{space} IN {spaces})")
    });
    let parts = parts.map(|(catalog, relation, more)| {
        format!(
            "(SELECT count(*) FROM {catalog} x JOIN pg_class c ON c.oid = x.{relation} \
             WHERE c.relnamespace IN {spaces}{more})"
        )
    });
    let all: Vec<_> = own.into_iter().chain(parts).collect();
    all.join(" + ")
}

/// What a role owns in the session's database becomes the master's, the databases that it owns too;
/// what it was granted there is taken back.
pub fn give_up(role: &Identifier) -> String {
    let quoted = role.quoted();
    as_member(
        role,
        &format!("REASSIGN OWNED BY {quoted} TO CURRENT_USER;\nDROP OWNED BY {quoted};\n"),
    )
}

/// `DROP ROLE`, of a role that has nothing any more.
pub fn drop_role(role: &Identifier, oid: u32) -> String {
    guard("pg_roles", "rolname", role, oid) + &format!("DROP ROLE {};\n", role.quoted())
}
