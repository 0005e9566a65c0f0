//! Extensions and changelogs of tenants, and what a tenant of ill will makes of them.

use serde_json::{Value, json};

use crate::stage::{Stage, data};
use crate::support::{Folder, Server};
use crate::tenancy::{Life, secret, session};

fn tenant(more: Value) -> Value {
    let mut tenant = json!({"Name": "acme"});
    tenant.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    json!({"Tenants": [tenant]})
}

#[test]
fn extensions_come_to_the_databases_of_tenants() {
    for (major, list, call) in [
        (
            15,
            json!(["postgis", {"Name": "hstore", "Schema": "ext"}]),
            "st_x('POINT(3 4)'::geometry)",
        ),
        (
            17,
            json!(["pgcrypto", {"Name": "hstore", "Schema": "ext"}]),
            "length(gen_salt('bf')) - 26",
        ),
    ] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        let two = json!({"TenantDefaults": {"Extensions": list}, "Tenants": [
            {"Name": "acme", "Roles": [{"Name": "acme_r", "Access": "readonly"}]},
            {"Name": "globex", "Owner": "tenant"},
        ]});
        life.bring(&two);
        for name in ["acme", "globex"] {
            let own = session(&server, &stage.secrets, &secret(name));
            assert_eq!(own.value(&format!("SELECT {call}")), "3");
            assert_eq!(own.value("SELECT ('a=>1'::ext.hstore) OPERATOR(ext.->) 'a'"), "1");
            own.exec("CREATE TABLE t (id int)");
        }
        // One more later, and one taken away by the superuser.
        server.admin("acme").exec("DROP EXTENSION hstore");
        let mut more = two.clone();
        more["TenantDefaults"]["Extensions"].as_array_mut().unwrap().push("citext".into());
        let done = life.bring(&more);
        for line in [
            "tenant acme: extension hstore",
            "tenant acme: extension citext",
            "tenant globex: extension citext",
        ] {
            assert!(done.contains(line), "{done}");
        }
        session(&server, &stage.secrets, &secret("globex")).exec("SELECT 'a'::citext");
        // What the server has not is told for each of them, before anything is made.
        let unknown = json!({"Tenants": [{"Name": "late", "Extensions": ["nosuch"]}]});
        let reason = life.fail(&unknown);
        assert!(reason.contains("`late`") && reason.contains("nosuch"), "{reason}");
    }
}

#[test]
fn a_version_that_is_pinned_is_brought_and_kept() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let pinned = |version| tenant(json!({"Extensions": [{"Name": "hstore", "Version": version}]}));
    life.bring(&pinned("1.7"));
    let own = session(&server, &stage.secrets, &secret("acme"));
    let version = "SELECT extversion FROM pg_extension WHERE extname = 'hstore'";
    assert_eq!(own.value(version), "1.7");
    let done = life.bring(&pinned("1.8"));
    assert!(done.contains("tenant acme: extension hstore 1.7 -> 1.8"), "{done}");
    let reason = life.fail(&pinned("1.7"));
    assert!(reason.contains("`acme`") && reason.contains("hstore"), "{reason}");
}

#[test]
fn a_changelog_for_all_runs_as_each_tenant_itself() {
    let files = Folder::new();
    files.write(
        "tenant.sql",
        "--liquibase formatted sql\n--changeset ann:1\n\
         CREATE TABLE t AS SELECT current_user::text AS who, session_user::text AS login;\n\
         --changeset ann:2\nCREATE INDEX ON t (who);\n",
    );
    let server = Server::rds_like(17);
    let root = files.0.to_str().unwrap().to_owned();
    let stage = Stage::with(&server, |it| it.env("LAMBDA_TASK_ROOT", &root));
    let mut life = Life::new(&stage);
    let all = json!({"TenantDefaults": {"Changelog": "tenant.sql"}, "Tenants": [
        {"Name": "acme", "ConnectionLimit": 1},
        {"Name": "globex", "Owner": "tenant", "ConnectionLimit": 2, "Roles": [{"Name": "globex_m", "Access": "migrate"}]},
        {"Name": "initech", "Schema": "initech"},
    ]});
    assert!(life.plan(&all).contains("+ tenant acme: 2 changesets"));
    life.bring(&all);
    for name in ["acme", "globex", "initech"] {
        let own = session(&server, &stage.secrets, &secret(name));
        assert_eq!(
            own.value("SELECT who || ' ' || login FROM t"),
            format!("{name}_user {name}_user")
        );
        assert_eq!(own.value("SELECT count(*) FROM databasechangelog"), "2");
    }
    files.write(
        "tenant.sql",
        "--liquibase formatted sql\n--changeset ann:1\n\
         CREATE TABLE t AS SELECT current_user::text AS who, session_user::text AS login;\n\
         --changeset ann:2\nCREATE INDEX ON t (who);\n--changeset ann:3\nDROP TABLE nosuch;\n",
    );
    session(&server, &stage.secrets, &secret("globex")).exec("CREATE TABLE nosuch (id int)");
    let reason = life.fail(&all);
    assert!(
        reason.starts_with("2 of 3 tenants failed, the other 1 are done: `acme`: "),
        "{reason}"
    );
    assert!(reason.contains("ann:3") && reason.contains("42P01"), "{reason}");
    assert!(reason.contains("`initech`") && !reason.contains("`globex`"), "{reason}");
    for name in ["acme", "initech"] {
        session(&server, &stage.secrets, &secret(name)).exec("CREATE TABLE nosuch (id int)");
    }
    let answer = life.apply(&all);
    assert!(!data(&answer, "Plan").contains("globex"), "{answer:#}");
    life.assert_done(&all);
}

/// What a tenant may do with its own database to whoever comes there.
const TRAPS: [&str; 6] = [
    "ALTER DATABASE acme SET search_path = evil, public, pg_catalog",
    "ALTER DATABASE acme SET default_transaction_read_only = on",
    "ALTER DATABASE acme SET standard_conforming_strings = off",
    "ALTER DATABASE acme SET password_encryption = md5",
    "ALTER DATABASE acme SET statement_timeout = '1ms'",
    "ALTER DATABASE acme SET local_preload_libraries = 'nosuch'",
];

#[test]
fn a_hostile_tenant_never_runs_anything_with_the_masters_rights() {
    for (major, owner) in [(15, "tenant"), (17, "tenant"), (17, "provider")] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        let first = tenant(json!({"Owner": owner, "Changelog": {"Inline":
            "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE t (id int)\n"}}));
        life.bring(&first);
        let own = session(&server, &stage.secrets, &secret("acme"));
        own.exec("CREATE SCHEMA evil; CREATE TABLE evil.said (who text); GRANT ALL ON SCHEMA evil TO PUBLIC; GRANT ALL ON evil.said TO PUBLIC");
        own.exec(
            "CREATE FUNCTION evil.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO evil.said VALUES (current_user), (session_user); RETURN NEW; END $$; \
             CREATE TRIGGER tell BEFORE INSERT ON databasechangelog FOR EACH ROW EXECUTE FUNCTION evil.tell(); \
             CREATE TRIGGER tell BEFORE INSERT ON execute_sql.request FOR EACH ROW EXECUTE FUNCTION evil.tell()",
        );
        for name in [
            "format(text, text)",
            "has_table_privilege(oid, oid, text)",
            "pg_has_role(oid, oid, text)",
        ] {
            let (name, arguments) = name.split_once('(').unwrap();
            for schema in ["evil", "public"] {
                own.exec(&format!(
                    "CREATE FUNCTION {schema}.{name}({arguments} RETURNS bool LANGUAGE plpgsql AS $$ BEGIN \
                     INSERT INTO evil.said VALUES (current_user), (session_user); RETURN true; END $$"
                ));
            }
        }
        own.exec("CREATE VIEW evil.pg_namespace AS SELECT * FROM pg_catalog.pg_namespace WHERE evil.has_table_privilege(1, 1, '')");
        if owner == "tenant" {
            for trap in TRAPS {
                own.exec(trap);
            }
        } else {
            own.exec("ALTER ROLE acme_user SET search_path = evil, public, pg_catalog");
        }
        drop(own);
        let next = tenant(json!({
            "Owner": owner,
            "Extensions": ["hstore"],
            "Roles": [{"Name": "acme_r", "Access": "readonly"}],
            "Changelog": {"Inline": "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE t (id int)\n\
                --changeset ann:2\nCREATE TABLE u (id int)\n"},
        }));
        // Whether or not the tenant spoiled it for itself, the master's rights are not to be had.
        let event = life.event(&next, json!({}));
        stage.ask(&event);
        // Another tenant does not suffer from it.
        let mut both = next.clone();
        both["Tenants"].as_array_mut().unwrap().push(json!({"Name": "globex"}));
        let event = life.event(&both, json!({}));
        let answer = stage.ask(&event);
        let reason = answer["Reason"].as_str().unwrap();
        assert!(!reason.contains("`globex`"), "{reason}");
        session(&server, &stage.secrets, &secret("globex"));
        let admin = server.admin("postgres");
        admin.exec("ALTER DATABASE acme RESET ALL");
        admin.exec("ALTER ROLE acme_user RESET ALL");
        let told = server.admin("acme");
        let who = told.rows("SELECT DISTINCT who FROM evil.said WHERE who <> 'acme_user'");
        assert_eq!(who, Vec::<Vec<Option<String>>>::new(), "{major} {owner}");
        let mighty = admin.value(
            "SELECT count(*) FROM pg_roles WHERE (rolsuper OR rolcreaterole OR rolcreatedb) \
             AND rolname ~ '^acme'",
        );
        assert_eq!(mighty, "0");
        // With its traps away it is as it should be by the next run.
        told.exec("DROP SCHEMA evil CASCADE");
        drop(told);
        life.apply(&both);
        life.assert_done(&both);
    }
}
