//! The statements of a rotation, as text.
//!
//! A server that logs statements logs these, and may repeat them in an error.
//! So a verifier is in none of them: it comes with the session, as the setting
//! [`VERIFIER`], and a `DO` block puts it in its place on the server. Settings
//! that one role has and another gets stay on the server for the same reason.
//! Names of roles are the only outside text here.

use crate::ident::Identifier;
use crate::sql::literal;

/// The setting of the session in which the verifier comes.
pub const VERIFIER: &str = "execute_sql.verifier";

/// One row per role of `names` that is there; [`Role::read`](super::role::Role::read) reads it.
pub fn roles(names: &[&Identifier]) -> String {
    let names = crate::sql::text_array(names.iter().map(|it| it.as_str()));
    format!(
        "SELECT r.rolname, \
           r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls \
             OR EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.rolname = 'rds_superuser' \
                          AND pg_catalog.pg_has_role(r.oid, s.oid, 'MEMBER')), \
           EXISTS (SELECT FROM pg_catalog.pg_roles i WHERE i.rolname = 'rds_iam' \
                     AND pg_catalog.pg_has_role(r.oid, i.oid, 'MEMBER')), \
           r.rolname = session_user, \
           (SELECT pg_catalog.json_agg(DISTINCT g.rolname)::text \
              FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
              WHERE m.member = r.oid), \
           (SELECT pg_catalog.json_agg(g.rolname)::text FROM pg_catalog.pg_roles g \
              WHERE g.oid <> r.oid AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')) \
         FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ({names}::text[])"
    )
}

/// Gives a role its password, whose verifier is in `setting` of the session.
pub fn set_password(role: &Identifier, setting: &str) -> String {
    let body = format!(
        "BEGIN EXECUTE pg_catalog.format('ALTER ROLE %I PASSWORD %L', {role}, \
         pg_catalog.current_setting({setting})); {SILENT} END",
        role = literal(role.as_str()),
        setting = literal(setting),
    );
    block(&body)
}

/// Gives the second role of a login its password, and all that the first one has: its grants by
/// membership, its limits, and its settings.
///
/// What the second role makes belongs to the first, for it takes on that role when it logs in; or
/// the role that the first one itself takes on.
pub fn set_clone(base: &Identifier, clone: &Identifier) -> String {
    let body = format!(
        r#"DECLARE
  base_name CONSTANT text := {base};
  clone_name CONSTANT text := {clone};
  base pg_roles%ROWTYPE;
  setting record;
BEGIN
  SELECT * INTO STRICT base FROM pg_roles WHERE rolname = base_name;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = clone_name) THEN
    EXECUTE format('CREATE ROLE %I LOGIN INHERIT', clone_name);
    EXECUTE format('COMMENT ON ROLE %I IS %L', clone_name,
      format('the second login of role "%s", for rotation', base_name));
  END IF;
  EXECUTE format('ALTER ROLE %I LOGIN INHERIT CONNECTION LIMIT %s VALID UNTIL %L PASSWORD %L',
    clone_name, base.rolconnlimit, coalesce(base.rolvaliduntil, 'infinity'),
    current_setting('{VERIFIER}'));
  IF current_setting('server_version_num')::int < 160000 THEN
    EXECUTE format('GRANT %I TO %I', base_name, clone_name);
  ELSE
    EXECUTE format('GRANT %I TO %I WITH INHERIT TRUE, SET TRUE', base_name, clone_name);
  END IF;
  FOR setting IN
    SELECT d.datname FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
      LEFT JOIN pg_database d ON d.oid = s.setdatabase WHERE r.rolname = clone_name
  LOOP
    EXECUTE format('ALTER ROLE %I%s RESET ALL', clone_name,
      coalesce(' IN DATABASE ' || quote_ident(setting.datname), ''));
  END LOOP;
  EXECUTE format('ALTER ROLE %I SET role = %L', clone_name, base_name);
  FOR setting IN
    SELECT d.datname, split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value
      FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase,
        unnest(s.setconfig) AS c WHERE s.setrole = base.oid
  LOOP
    -- A list of names is kept as one text, and would be taken for one name.
    IF lower(setting.name) IN ('search_path', 'temp_tablespaces', 'local_preload_libraries',
        'session_preload_libraries') THEN
      SELECT string_agg(quote_literal(CASE WHEN m[1] LIKE '"%'
          THEN replace(substr(m[1], 2, length(m[1]) - 2), '""', '"') ELSE rtrim(m[1]) END), ', ')
        INTO setting.value FROM regexp_matches(setting.value, '("(?:[^"]|"")*"|[^",\s][^,]*)', 'g') m;
    ELSE
      setting.value := quote_literal(setting.value);
    END IF;
    BEGIN
      EXECUTE format('ALTER ROLE %I%s SET %s = %s', clone_name,
        coalesce(' IN DATABASE ' || quote_ident(setting.datname), ''),
        (SELECT string_agg(quote_ident(part), '.') FROM regexp_split_to_table(setting.name, '\.') part),
        setting.value);
    -- What only a superuser may set, or what the server does not know (any more).
    EXCEPTION WHEN insufficient_privilege OR undefined_object OR undefined_file
        OR invalid_parameter_value OR cant_change_runtime_param THEN NULL;
    END;
  END LOOP;
{SILENT} END"#,
        base = literal(base.as_str()),
        clone = literal(clone.as_str()),
    );
    block(&body)
}

/// The settings that the first role has and the second lacks: what only a superuser may set.
pub fn settings_left_out(base: &Identifier, clone: &Identifier) -> String {
    let of = |role: &Identifier| {
        format!(
            "SELECT s.setdatabase, c FROM pg_catalog.pg_db_role_setting s \
             JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, pg_catalog.unnest(s.setconfig) c \
             WHERE r.rolname = {}",
            literal(role.as_str())
        )
    };
    format!(
        "SELECT DISTINCT pg_catalog.split_part(c, '=', 1) FROM ({} EXCEPT {}) d ORDER BY 1",
        of(base),
        of(clone)
    )
}

/// In a session of the second role: the role that it takes on, how many objects it owns itself
/// (those of the server as a whole among them), and how many in other databases.
pub const OWNED: &str = "SELECT current_user, \
    pg_catalog.count(*) FILTER (WHERE s.dbid IN (0, d.oid)), \
    pg_catalog.count(*) FILTER (WHERE s.dbid NOT IN (0, d.oid)) \
    FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_shdepend s \
      ON s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.deptype = 'o' \
      AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user) \
    WHERE d.datname = pg_catalog.current_database()";

/// In a session of the second role: hands over what it owns here. Nobody waits behind it for long.
pub fn hand_over(clone: &Identifier, to: &Identifier) -> String {
    format!(
        "BEGIN; SET LOCAL search_path = pg_catalog; SET LOCAL ROLE NONE; \
         SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '3s'; REASSIGN OWNED BY {} TO {}; COMMIT",
        clone.quoted(),
        to.quoted()
    )
}

/// Errors are raised anew: one that comes through tells its context, which is the statement.
const SILENT: &str = "EXCEPTION WHEN OTHERS THEN \
                      RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;";

fn block(body: &str) -> String {
    format!("DO {}", literal(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name() {
        let role = Identifier::new(r#"a'b$$ "; DROP ROLE x; --\"#).unwrap();
        let sql = set_password(&role, VERIFIER);
        // Once for the block's own text, once for the text in it.
        assert!(sql.starts_with("DO E'BEGIN EXECUTE pg_catalog.format(''ALTER ROLE %I"), "{sql}");
        assert!(sql.contains(r#"E''a''''b$$ "; DROP ROLE x; --\\\\''"#), "{sql}");
        assert!(hand_over(&role, &role).contains(r#"REASSIGN OWNED BY "a'b$$ ""; DROP"#));
    }
}
