//! Tenants that are schemas of the target database.

use serde_json::{Value, json};

use crate::stage::Stage;
use crate::support::{Client, Server};
use crate::tenancy::{Life, secret, secret_of, session};

fn two(more: Value) -> Value {
    let mut tenants =
        json!([{"Name": "acme", "Schema": "acme"}, {"Name": "globex", "Schema": "globex"}]);
    for tenant in tenants.as_array_mut().unwrap() {
        tenant.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    }
    json!({"Tenants": tenants})
}

#[track_caller]
fn denied(client: &Client, sql: &str) {
    assert_eq!(client.refused(sql).sqlstate, "42501", "{sql}");
}

#[test]
fn tenants_in_schemas_find_their_own_and_nobody_elses() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        life.bring(&two(json!({})));
        let acme = session(&server, &stage.secrets, &secret("acme"));
        let globex = session(&server, &stage.secrets, &secret("globex"));
        assert_eq!(acme.value("SHOW search_path"), "acme");
        acme.exec("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
        globex.exec("CREATE TABLE t (id int); INSERT INTO t VALUES (2)");
        assert_eq!(acme.value("SELECT id FROM acme.t"), "1");
        denied(&acme, "SELECT FROM globex.t");
        denied(&acme, "CREATE TABLE globex.mine (id int)");
        denied(&acme, "CREATE TABLE public.mine (id int)");
        denied(&acme, "CREATE SCHEMA mine");
        denied(&acme, "SELECT FROM execute_sql.tenant");
        let settings = json!({"Settings": {"statement_timeout": "9s"}, "ConnectionLimit": 4});
        let done = life.bring(&two(settings.clone()));
        assert!(done.contains("tenant acme: statement_timeout = 9s"), "{done}");
        let acme = session(&server, &stage.secrets, &secret("acme"));
        assert_eq!(acme.value("SHOW statement_timeout"), "9s");
        let target = &stage.database.name;
        for (sql, said) in [
            (format!("ALTER ROLE acme_user IN DATABASE {target} RESET ALL"), "search_path = acme"),
            (format!("REVOKE CONNECT ON DATABASE {target} FROM acme_user"), "cT for acme_user"),
            (format!("GRANT CREATE ON DATABASE {target} TO acme_user"), "cT for acme_user"),
            (format!("GRANT CONNECT ON DATABASE {target} TO PUBLIC"), "nothing for PUBLIC"),
            (
                "ALTER SCHEMA acme OWNER TO postgres".into(),
                "schema acme owner postgres -> acme_user",
            ),
            ("GRANT USAGE ON SCHEMA acme TO PUBLIC".into(), "schema acme: PUBLIC"),
            ("COMMENT ON SCHEMA acme IS NULL".into(), "schema acme: its comment"),
        ] {
            stage.database.admin().exec(&sql);
            let done = life.bring(&two(settings.clone()));
            let said = said.replace("cT", "Tc");
            assert!(done.contains(&said) || done.contains("CONNECT"), "{sql}\n{done}");
        }
        let roles = json!({"Roles": [{"Name": "{name}_r", "Access": "readonly"}, {"Name": "{name}_m", "Access": "migrate"}]});
        life.bring(&two(roles.clone()));
        let reader = session(&server, &stage.secrets, &secret_of("acme", "acme_r"));
        let migrator = session(&server, &stage.secrets, &secret_of("acme", "acme_m"));
        assert_eq!(reader.value("SELECT id FROM t"), "1");
        migrator.exec("CREATE TABLE n (id int)");
        reader.exec("SELECT FROM acme.n");
        denied(&reader, "INSERT INTO t VALUES (2)");
        denied(&reader, "SELECT FROM globex.t");
        assert_eq!(life.bring(&two(roles)), "", "{major}");
    }
}

#[test]
fn changelogs_of_schemas_have_a_ledger_each() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        let changelog = json!({"Changelog": {"Inline":
            "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE t AS SELECT current_user::text AS who\n"}});
        life.bring(&two(json!({})));
        let done = life.bring(&two(changelog.clone()));
        assert!(done.contains("schema execute_sql_acme"), "{done}");
        for tenant in ["acme", "globex"] {
            let own = session(&server, &stage.secrets, &secret(tenant));
            assert_eq!(own.value("SELECT who FROM t"), format!("{tenant}_user"));
            assert_eq!(own.value("SELECT count(*) FROM databasechangelog"), "1");
            let ledger = format!("SELECT count(*) FROM execute_sql_{tenant}.changeset");
            assert_eq!(own.value(&ledger), "1");
        }
        let acme = session(&server, &stage.secrets, &secret("acme"));
        denied(&acme, "SELECT FROM execute_sql_globex.changeset");
        // All at once, too.
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        let mut all = two(changelog);
        for (tenant, name) in all["Tenants"].as_array_mut().unwrap().iter_mut().zip(["a1", "a2"]) {
            tenant["Name"] = name.into();
            tenant["Schema"] = name.into();
        }
        life.bring(&all);
    }
}
