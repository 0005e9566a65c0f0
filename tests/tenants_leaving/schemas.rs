//! Tenants that are a schema of the target database.

use serde_json::json;

use crate::scene::{MAJORS, Scene};
use crate::support::Server;

#[test]
fn a_tenants_schema_goes_with_all_that_is_its_own() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let target = scene.stage.database.admin();
        let schema = |name: &str| json!({ "Name": name, "Schema": name, "OnRemove": "Drop" });
        let forced = json!({ "Name": "forced", "Schema": "forced", "OnRemove": {"Policy": "Drop", "Force": true} });
        let names = ["acme", "shared", "needed", "busy"];
        let mut tenants: Vec<_> = names.iter().map(|it| schema(it)).collect();
        tenants.push(forced);
        tenants.push(schema("stays"));
        let mut stack = scene.stack(json!(tenants));
        for name in names {
            scene.login(name).exec(
                "CREATE TABLE t (id int PRIMARY KEY); CREATE TYPE mood AS ENUM ('ok'); \
                 CREATE VIEW v AS SELECT id FROM t; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
                 CREATE SEQUENCE s; CREATE TABLE u (t int REFERENCES t, m mood)",
            );
        }
        target.exec("CREATE TABLE shared.provider (id int)");
        target.exec("CREATE VIEW public.report AS SELECT id FROM needed.t");
        target.exec("CREATE SCHEMA execute_sql_acme AUTHORIZATION acme_user");
        target.exec("SET ROLE acme_user; CREATE TABLE execute_sql_acme.audit (id int); RESET ROLE");
        let (busy, forced) = (scene.login("busy"), scene.login("forced"));
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = ANY ('{acme_user,shared_user,needed_user}')";
        crate::support::wait_until("they are gone", || target.value(sessions) == "0");
        let reason = scene.update(&mut stack, json!([schema("stays")]));
        for said in [
            "- tenant acme: schema acme",
            "- tenant acme: role acme_user",
            "- tenant forced: schema forced",
            "left schema shared: it holds objects of role `rdsadmin`",
            "left schema needed: objects outside of it depend on what is in it (ES424)",
            "left role busy_user: 1 session is open",
        ] {
            assert!(reason.contains(said), "{said}: {reason}");
        }
        assert!(forced.try_rows("SELECT 1").is_err());
        busy.exec("INSERT INTO t VALUES (1)");
        let schemas = "SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace \
             WHERE nspname !~ '^(pg_|information_schema|public$|execute_sql$)'";
        assert_eq!(target.value(schemas), "busy needed shared stays");
        for name in ["shared_user", "needed_user", "busy_user", "stays_user"] {
            assert!(scene.may_log_in(name), "{name}");
        }
        assert!(!scene.has_role("acme_user") && !scene.has_role("forced_user"));
        target.exec("DROP VIEW public.report; DROP TABLE shared.provider");
        drop(busy);
        crate::support::wait_until("it is gone", || {
            target.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'busy_user'") == "0"
        });
        let reason = scene.delete(&mut stack);
        for name in ["shared", "needed", "busy", "stays"] {
            let said = format!("- tenant {name}: schema {name}");
            assert!(reason.contains(&said), "{reason}");
            assert!(scene.is_deleted(name));
        }
        assert_eq!(target.value("SELECT count(*) FROM pg_roles WHERE rolname ~ '_user$'"), "0");
        scene.assert_no_membership();
    }
}
