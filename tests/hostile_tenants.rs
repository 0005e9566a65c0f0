//! Tenants that attack the master, the product and the other tenants with all that they own: settings
//! of their databases, code in them, locks, connections and names.
//!
//! After each attack the master's rights are where they were, and the other tenants are done.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "stage/logins.rs"]
mod logins;
mod stage;
mod support;

use logins::{created, session, updated};
use serde_json::{Value, json};
use stage::{Stage, data};
use support::{Client, Server};

/// The attacker and one who comes after it.
const MALLORY: &str = "mallory";

fn properties(mallory: Value, nonce: &str) -> Value {
    let mut mallory_ = json!({"Name": MALLORY, "Owner": "tenant", "ConnectionLimit": 3});
    mallory_.as_object_mut().unwrap().extend(mallory.as_object().unwrap().clone());
    json!({"LockTimeout": 1, "Nonce": nonce, "Tenants": [mallory_, {"Name": "acme"}]})
}

/// What roles may, and who is a member of whom, but for tenants that are new.
fn rights(server: &Server) -> Vec<String> {
    let rows = server.admin("postgres").rows(
        "SELECT concat_ws(' ', rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication) \
         FROM pg_roles WHERE rolname !~ '^acme' \
         UNION ALL SELECT concat_ws(' ', m.roleid::regrole, m.member::regrole, m.admin_option, \
         to_jsonb(m)->>'inherit_option', to_jsonb(m)->>'set_option') FROM pg_auth_members m \
         WHERE m.roleid::regrole::text !~ '^acme' ORDER BY 1",
    );
    rows.into_iter().map(|mut row| row.pop().flatten().unwrap_or_default()).collect()
}

/// Settings by which the owner of a database can make sessions in it other than they seem.
const SETTINGS: [&str; 22] = [
    "search_path = evil, public, pg_catalog",
    "default_transaction_read_only = on",
    "password_encryption = 'md5'",
    "statement_timeout = '1ms'",
    "lock_timeout = '1ms'",
    "row_security = off",
    "standard_conforming_strings = off",
    "check_function_bodies = off",
    "synchronous_commit = off",
    "client_min_messages = error",
    "idle_session_timeout = '1ms'",
    "idle_in_transaction_session_timeout = '1ms'",
    "default_transaction_isolation = serializable",
    "default_transaction_deferrable = on",
    "role = mallory_user",
    "local_preload_libraries = nosuch",
    "exit_on_error = on",
    "quote_all_identifiers = on",
    "default_table_access_method = heap",
    "bytea_output = escape",
    "array_nulls = off",
    "client_encoding = 'LATIN1'",
];

#[test]
fn the_settings_that_an_owner_gives_its_database_and_role_do_not_reach_the_product() {
    for major in [15, 16, 17, 18] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut stack = stage.stack();
        created(&stage, &mut stack, properties(json!({}), "1"));
        let mallory = session(&server, &stage, MALLORY);
        mallory.exec("CREATE SCHEMA evil");
        for setting in SETTINGS {
            mallory.exec(&format!("ALTER DATABASE mallory SET {setting}"));
            mallory.exec(&format!("ALTER ROLE mallory_user SET {setting}"));
            mallory.exec(&format!("ALTER ROLE mallory_user IN DATABASE postgres SET {setting}"));
        }
        mallory.exec("ALTER DATABASE mallory IS_TEMPLATE true");
        drop(mallory);
        let before = rights(&server);
        // Work for the master and for the tenant's own login in it.
        let more = json!({
            "ConnectionLimit": 4,
            "Extensions": ["pgcrypto"],
            "Roles": [{"Name": "mallory_reader", "Access": "readonly"}],
        });
        updated(&stage, &mut stack, properties(more.clone(), "2"));
        let after = rights(&server);
        let new: Vec<_> = after.iter().filter(|it| !it.starts_with("mallory_reader")).collect();
        assert_eq!(new, before.iter().collect::<Vec<_>>(), "{major}");
        let second = updated(&stage, &mut stack, properties(more, "3"));
        assert_eq!(data(&second, "Plan"), "", "{major}");
        let stored = server.admin("postgres").value(
            "SELECT string_agg(DISTINCT left(rolpassword, 14), ',') FROM pg_authid WHERE rolname ~ '^mallory'",
        );
        assert_eq!(stored, "SCRAM-SHA-256$");
    }
}

/// Functions, operators, views and casts that note whoever runs them, and try to give their owner
/// more.
fn traps(mallory: &Client) {
    mallory.exec(
        "CREATE TABLE public.loot (who text, what text); GRANT ALL ON public.loot TO PUBLIC; \
         CREATE FUNCTION public.spring(what text) RETURNS bool LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog AS $$ \
         BEGIN INSERT INTO public.loot VALUES (session_user || '/' || current_user, what); \
         BEGIN EXECUTE 'ALTER ROLE mallory_user CREATEROLE CREATEDB'; EXCEPTION WHEN OTHERS THEN NULL; END; \
         BEGIN EXECUTE 'GRANT rds_superuser TO mallory_user'; EXCEPTION WHEN OTHERS THEN NULL; END; \
         RETURN true; END $$",
    );
    for (name, arguments) in [
        ("lower", "text"),
        ("format", "text, text"),
        ("literal", "text"),
        ("quote_ident", "name"),
        ("quote_ident", "text"),
        ("starts_with", "text, text"),
        ("pg_has_role", "text, oid, text"),
        ("pg_has_role", "name, text"),
        ("has_table_privilege", "oid, oid, text"),
        ("current_setting", "text"),
        ("pg_advisory_unlock", "int"),
        ("concat", "text, text"),
        ("coalesce_", "text"),
        ("to_jsonb", "pg_catalog.pg_auth_members"),
        ("pg_get_userbyid", "int"),
        ("aclexplode", "text"),
    ] {
        mallory.exec(&format!(
            "CREATE FUNCTION public.{name}({arguments}) RETURNS bool LANGUAGE sql \
             AS 'SELECT public.spring(''{name}'')'"
        ));
    }
    for (operator, left, right) in [
        ("=", "name", "text"),
        ("=", "text", "name"),
        ("=", "oid", "int8"),
        ("||", "name", "text"),
        ("~", "name", "name"),
        ("!~", "name", "name"),
        ("<>", "name", "text"),
        ("=", "char", "text"),
    ] {
        let function =
            format!("op_{}", operator.bytes().map(|it| it.to_string()).collect::<String>());
        mallory.exec(&format!(
            "CREATE OR REPLACE FUNCTION public.{function}(\"{left}\", \"{right}\") RETURNS bool LANGUAGE sql \
             AS 'SELECT public.spring(''operator {operator}'')'; \
             CREATE OPERATOR public.{operator} (LEFTARG = \"{left}\", RIGHTARG = \"{right}\", FUNCTION = public.{function})"
        ));
    }
    for view in [
        "pg_database",
        "pg_roles",
        "pg_namespace",
        "pg_class",
        "pg_extension",
        "pg_auth_members",
        "pg_default_acl",
        "pg_available_extensions",
    ] {
        mallory.exec(&format!(
            "CREATE VIEW public.{view} AS SELECT *, public.spring('view {view}') AS sprung FROM pg_catalog.{view}"
        ));
    }
    mallory.exec("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC");
    // They do spring.
    mallory
        .exec("BEGIN; SET LOCAL search_path = public, pg_catalog; SELECT lower('A'::text); COMMIT");
    assert_eq!(loot(mallory), [Some("mallory_user/mallory_user".to_owned())]);
    mallory.exec(
        "DELETE FROM public.loot; ALTER ROLE mallory_user SET search_path = public, pg_catalog",
    );
}

/// Who ran the attacker's code.
fn loot(mallory: &Client) -> Vec<Option<String>> {
    let rows = mallory.rows("SELECT DISTINCT who FROM public.loot");
    rows.into_iter().flatten().collect()
}

/// Without the rights of the roles that are new.
fn rights_before(server: &Server) -> Vec<String> {
    let is_new =
        |it: &String| ["mallory_reader", "mallory_writer"].iter().any(|new| it.contains(new));
    rights(server).into_iter().filter(|it| !is_new(it)).collect()
}

#[test]
fn what_a_tenant_puts_in_its_database_is_run_by_nobody_but_itself() {
    for (major, owner) in [(15, "tenant"), (15, "provider"), (17, "tenant"), (17, "provider")] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut stack = stage.stack();
        created(&stage, &mut stack, properties(json!({"Owner": owner, "ConnectionLimit": 5}), "1"));
        let mallory = session(&server, &stage, MALLORY);
        traps(&mallory);
        if owner == "tenant" {
            mallory.exec("ALTER DATABASE mallory SET search_path = public, pg_catalog");
        }
        let before = rights(&server);
        let more = json!({
            "Owner": owner,
            "ConnectionLimit": 6,
            "Extensions": ["hstore", "pgcrypto"],
            "Roles": [
                {"Name": "mallory_reader", "Access": "readonly"},
                {"Name": "mallory_writer", "Access": "readwrite"},
            ],
        });
        updated(&stage, &mut stack, properties(more.clone(), "2"));
        mallory.exec(
            "GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE TABLE public.more (); \
             REVOKE ALL ON public.more FROM mallory_reader",
        );
        updated(&stage, &mut stack, properties(more.clone(), "3"));
        let mut verify = properties(more, "4");
        verify["Mode"] = "Verify".into();
        updated(&stage, &mut stack, verify);
        assert_eq!(loot(&mallory), Vec::new(), "{major} {owner}");
        assert_eq!(rights_before(&server), before, "{major} {owner}");
    }
}

#[test]
fn triggers_on_a_tenants_ledger_and_history_run_with_its_own_rights() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut stack = stage.stack();
        let changelog = |more: &str| {
            let first = "--changeset ann:1\nCREATE TABLE orders (id int);\n";
            json!({"Changelog": {"Inline": format!("--liquibase formatted sql\n{first}{more}")}})
        };
        created(&stage, &mut stack, properties(changelog(""), "1"));
        let mallory = session(&server, &stage, MALLORY);
        let tables = mallory.rows(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
             WHERE schemaname ~ '^execute_sql' OR tablename ~ '^databasechangelog'",
        );
        assert!(tables.len() > 2, "{tables:?}");
        traps(&mallory);
        mallory.exec("ALTER ROLE mallory_user RESET search_path");
        mallory.exec(
            "CREATE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM public.spring('trigger'); RETURN NEW; END $$",
        );
        for table in tables.iter().map(|row| row[0].as_deref().unwrap()) {
            mallory.exec(&format!(
                "CREATE TRIGGER trap BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW \
                 EXECUTE FUNCTION public.trap()"
            ));
        }
        let before = rights(&server);
        let more = changelog("--changeset ann:2\nCREATE TABLE more (id int);\n");
        updated(&stage, &mut stack, properties(more, "2"));
        assert_eq!(loot(&mallory), [Some("mallory_user/mallory_user".to_owned())], "{major}");
        assert_eq!(rights(&server), before, "{major}");
    }
}

/// How many statements of the product waited in vain.
fn in_vain(stage: &Stage) -> usize {
    stage.function.log().matches("trying again").count()
}

#[test]
fn a_tenant_that_holds_locks_fails_alone_and_is_not_waited_for_to_the_end() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut stack = stage.stack();
        created(&stage, &mut stack, properties(json!({}), "1"));
        let mallory = session(&server, &stage, MALLORY);
        mallory.exec(
            "BEGIN; ALTER ROLE mallory_user SET work_mem = '1MB'; \
             ALTER DATABASE mallory SET work_mem = '1MB'; COMMENT ON DATABASE mallory IS 'mine'; \
             GRANT CONNECT ON DATABASE mallory TO PUBLIC",
        );
        let mut more = properties(json!({"ConnectionLimit": 4}), "2");
        let others = (0..20).map(|it| json!({"Name": format!("acme_{it}")}));
        more["Tenants"].as_array_mut().unwrap().extend(others);
        more["TenantConnections"] = 2.into();
        let update = stack.update(stage.properties(more.clone()));
        let reason = stage.fail(&update);
        assert!(reason.contains("1 of 22 tenants failed"), "{reason}");
        assert!(reason.contains("mallory") && reason.contains("55P03"), "{reason}");
        assert!(in_vain(&stage) <= 3, "{}", stage.function.log());
        let made = server
            .admin("postgres")
            .value("SELECT count(*) FROM pg_database WHERE datname ~ '^acme'");
        assert_eq!(made, "21", "{major}");
        mallory.exec("ROLLBACK");
        more["Nonce"] = "3".into();
        updated(&stage, &mut stack, more);
    }
}

#[test]
fn a_tenant_that_uses_all_its_connections_up_holds_nobody_up() {
    let server = Server::rds_like(15);
    let stage = Stage::on(&server);
    let mut stack = stage.stack();
    created(&stage, &mut stack, properties(json!({}), "1"));
    let sessions: Vec<_> = (0..3).map(|_| session(&server, &stage, MALLORY)).collect();
    let mut more = properties(json!({"Extensions": ["pgcrypto"]}), "2");
    more["Tenants"].as_array_mut().unwrap().push(json!({"Name": "acme_2"}));
    let reason = stage.fail(&stack.update(stage.properties(more.clone())));
    assert!(reason.contains("1 of 3 tenants failed") && reason.contains("mallory"), "{reason}");
    let made =
        server.admin("postgres").value("SELECT count(*) FROM pg_database WHERE datname = 'acme_2'");
    assert_eq!(made, "1");
    drop(sessions);
    more["Nonce"] = "3".into();
    updated(&stage, &mut stack, more);
}

#[test]
fn a_schema_tenant_that_takes_the_lock_of_the_resource_loses_its_sessions() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut stack = stage.stack();
        let tenants = |nonce: &str| {
            json!({"Nonce": nonce, "Tenants": [
                {"Name": "hooli", "Schema": "hooli"}, {"Name": "piper", "Schema": "piper"}, {"Name": "acme"}
            ]})
        };
        created(&stage, &mut stack, tenants("1"));
        // "execsql1" and "execsqlc" in ASCII.
        let keys = [0x6578_6563_7371_6c31_i64, 0x6578_6563_7371_6c63];
        let holders: Vec<_> = keys
            .iter()
            .map(|key| {
                let hooli = session(&server, &stage, "hooli");
                hooli.exec(&format!("SELECT pg_advisory_lock({key})"));
                hooli
            })
            .collect();
        let waiting = session(&server, &stage, "hooli");
        let running = waiting.begin_blocking(&format!("SELECT pg_advisory_lock({})", keys[0]));
        let mut more = tenants("2");
        more["Tenants"].as_array_mut().unwrap().push(json!({"Name": "globex"}));
        updated(&stage, &mut stack, more);
        assert_eq!(holders[0].refused("SELECT 1").sqlstate.len() % 5, 0);
        assert!(running.wait().is_err(), "{major}");
        assert!(stage.function.log().contains("ended sessions of tenants"));
    }
}

#[test]
fn a_comment_or_a_name_that_looks_like_anothers_takes_nothing_over() {
    let server = Server::rds_like(15);
    let stage = Stage::on(&server);
    let mut stack = stage.stack();
    created(&stage, &mut stack, properties(json!({}), "1"));
    let mark = server.admin("postgres").value(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'acme'",
    );
    let mallory = session(&server, &stage, MALLORY);
    mallory.exec(&format!("COMMENT ON DATABASE mallory IS '{mark}'"));
    assert_eq!(
        mallory
            .refused("COMMENT ON ROLE mallory_user IS 'execute-sql tenant x of y in z (Z-1)'")
            .sqlstate,
        "42501"
    );
    // Another resource with the physical id of the comment's: it works from another database.
    let other = server.database();
    let secret = stage.secrets.put("other", server.secret_json(&other));
    let mut second = stage.stack();
    let mut asked = stage.properties(json!({"Tenants": [
        {"Name": "thief", "Database": "mallory"}, {"Name": "user", "Username": "acme_user"}
    ]}));
    asked["DBSecret"] = secret.into();
    let create = second.create(asked);
    let reason = stage.fail(&create);
    assert!(reason.contains("2 of 2 tenants failed"), "{reason}");
    let answer = updated(&stage, &mut stack, properties(json!({}), "2"));
    assert!(data(&answer, "Plan").contains("its comment"), "{answer:#}");
}

#[test]
fn a_trigger_that_never_ends_is_stopped_by_the_statement_timeout() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut stack = stage.stack();
    let changelog = |more: &str| json!({"Inline": format!("--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE orders (id int);\n{more}")});
    created(&stage, &mut stack, properties(json!({"Changelog": changelog("")}), "1"));
    let mallory = session(&server, &stage, MALLORY);
    mallory.exec(
        "CREATE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$; \
         CREATE TRIGGER trap BEFORE INSERT OR UPDATE ON databasechangelog FOR EACH ROW EXECUTE FUNCTION public.trap()",
    );
    let more = changelog("--changeset ann:2\nCREATE TABLE more (id int);\n");
    let mut more = properties(json!({"Changelog": more}), "2");
    more["StatementTimeout"] = 5.into();
    more["Tenants"].as_array_mut().unwrap().push(json!({"Name": "acme_2"}));
    let reason = stage.fail(&stack.update(stage.properties(more)));
    assert!(reason.contains("1 of 3 tenants failed") && reason.contains("57014"), "{reason}");
    let made =
        server.admin("postgres").value("SELECT count(*) FROM pg_database WHERE datname = 'acme_2'");
    assert_eq!(made, "1");
}

#[test]
fn errors_that_a_tenant_makes_up_do_not_keep_the_others_waiting() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut stack = stage.stack();
    let changelog = |more: &str| json!({"Inline": format!("--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE orders (id int);\n{more}")});
    created(&stage, &mut stack, properties(json!({"Changelog": changelog("")}), "1"));
    let mallory = session(&server, &stage, MALLORY);
    for (at, state) in ["28P01", "57P01", "53300", "42501", "XX000", "08006"].iter().enumerate() {
        mallory.exec(&format!(
            "CREATE OR REPLACE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{state}'; END $$; \
             DROP TRIGGER IF EXISTS trap ON databasechangelog; \
             CREATE TRIGGER trap BEFORE INSERT OR UPDATE ON databasechangelog FOR EACH ROW EXECUTE FUNCTION public.trap()",
        ));
        let more = changelog("--changeset ann:2\nCREATE TABLE more (id int);\n");
        let mut more = properties(json!({"Changelog": more}), &format!("n{at}"));
        more["Tenants"].as_array_mut().unwrap().push(json!({"Name": format!("acme_{at}")}));
        let reason = stage.fail(&stack.update(stage.properties(more)));
        assert!(reason.starts_with("1 of ") && reason.contains("mallory"), "{state}: {reason}");
        let made = server
            .admin("postgres")
            .value(&format!("SELECT count(*) FROM pg_database WHERE datname = 'acme_{at}'"));
        assert_eq!(made, "1", "{state}");
    }
}

#[test]
fn a_changelog_that_waits_for_its_tenants_locks_is_named_when_the_time_is_over() {
    let server = Server::rds_like(17);
    let stage = Stage::with(&server, |options| options.timeout(std::time::Duration::from_secs(20)));
    let mut stack = stage.stack();
    let changelog = |more: &str| json!({"Inline": format!("--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE orders (id int);\n{more}")});
    created(&stage, &mut stack, properties(json!({"Changelog": changelog("")}), "1"));
    let mallory = session(&server, &stage, MALLORY);
    mallory.exec("BEGIN; LOCK TABLE orders");
    let more = changelog("--changeset ann:2\nALTER TABLE orders ADD COLUMN more int;\n");
    let mut more = properties(json!({"Changelog": more}), "2");
    let others = (0..10).map(|it| json!({"Name": format!("acme_{it}")}));
    more["Tenants"].as_array_mut().unwrap().extend(others);
    more["TenantConnections"] = 2.into();
    let reason = stage.fail(&stack.update(stage.properties(more)));
    assert!(reason.contains("1 of 12 tenants failed") && reason.contains("`mallory`"), "{reason}");
    let made =
        server.admin("postgres").value("SELECT count(*) FROM pg_database WHERE datname ~ '^acme'");
    assert_eq!(made, "11");
}
