//! What stays, and why: what others made or have, what is in use elsewhere.

use serde_json::json;

use crate::scene::{MAJORS, Scene, acme, globex, reason, secret};
use crate::support::{Client, Next, Server};

#[test]
fn what_this_resource_did_not_make_or_does_not_have_any_more_is_left_and_named() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        scene
            .stage
            .database
            .master()
            .exec("CREATE ROLE old_user LOGIN; CREATE ROLE half_user LOGIN");
        scene.stage.database.master().exec("CREATE DATABASE old");
        let names = ["replaced", "renamed", "marked", "forged", "template", "tagged"];
        let mut tenants: Vec<_> =
            names.iter().map(|it| json!({ "Name": it, "OnRemove": "Drop" })).collect();
        for tenant in &mut tenants[3..5] {
            tenant["Owner"] = "tenant".into();
        }
        for name in ["old", "half"] {
            tenants.push(json!({ "Name": name, "OnRemove": "Drop", "Adopt": true }));
        }
        tenants.push(globex());
        let mut stack = scene.stack(json!(tenants));
        scene.login("old").exec("CREATE TABLE precious (id int)");
        scene.login("forged").exec(
            "COMMENT ON DATABASE forged IS 'execute-sql tenant forged of X in y (Other-1)'; \
             CREATE TABLE kept (id int)",
        );
        scene.login("template").exec("ALTER DATABASE template IS_TEMPLATE true");
        for name in names {
            scene.wait_for_no_session(name);
        }
        let admin = scene.admin();
        admin.exec("DROP DATABASE replaced");
        admin.exec("CREATE DATABASE replaced");
        admin.exec("ALTER ROLE renamed_user RENAME TO other_user; CREATE ROLE renamed_user LOGIN");
        admin
            .exec("COMMENT ON ROLE marked_user IS 'execute-sql tenant marked of X in y (Other-1)'");
        scene.stage.secrets.change(&secret("tagged"), |it| {
            it.tags.insert("execute-sql:physical-id".into(), "Other-1".into());
        });
        let reason = scene.update(&mut stack, json!([globex()]));
        for said in [
            "left database old: it was there before this resource",
            "left role old_user: it was there before this resource",
            "left role half_user: it was there before this resource",
            "left database replaced: it is another one than the one this resource made",
            "left role renamed_user: it is another one than the one this resource made",
            "left role marked_user: its comment says that `Other-1` has it",
            "left database forged: its comment says that `Other-1` has it",
            "- tenant template: database template",
            "- tenant half: database half",
            "- tenant tagged: role tagged_user",
            "(tenant tagged)",
        ] {
            assert!(reason.contains(said), "{said}: {reason}");
        }
        for stays in ["old", "replaced", "forged"] {
            assert!(scene.has_database(stays), "{stays}: {reason}");
        }
        for stays in ["old_user", "half_user", "renamed_user", "other_user", "marked_user"] {
            assert!(scene.has_role(stays), "{stays}: {reason}");
        }
        for gone in ["template", "half", "tagged", "renamed", "marked"] {
            assert!(!scene.has_database(gone), "{gone}: {reason}");
        }
        assert!(!scene.has_role("forged_user") && !scene.has_role("replaced_user"), "{reason}");
        for stays in ["old", "half", "marked", "renamed", "tagged"] {
            assert!(!scene.is_deleted_at_all(stays), "{stays}: {reason}");
        }
        // What is left is the master's, with all that is in it.
        let forged = scene.server.database_named("forged").admin();
        assert_eq!(
            forged.value(
                "SELECT concat_ws(' ', pg_get_userbyid(datdba), (SELECT tableowner FROM pg_tables \
                 WHERE tablename = 'kept')) FROM pg_database WHERE datname = 'forged'"
            ),
            "postgres postgres"
        );
        // It is told once.
        let reason = scene.update(&mut stack, json!([globex(), {"Name": "initech"}]));
        assert!(!reason.contains("left"), "{reason}");
        scene.assert_no_membership();
    }
}

#[test]
fn what_a_role_has_in_other_databases_becomes_the_masters() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        scene.stage.database.master().exec("CREATE DATABASE shop");
        scene.stage.database.master().exec("CREATE DATABASE shut");
        let mut stack =
            scene.stack(json!([acme("Drop"), {"Name": "initech", "OnRemove": "Drop"}, globex()]));
        let shop = scene.server.database_named("shop").master();
        for sql in [
            "CREATE TABLE orders (id int); GRANT SELECT ON orders TO acme_user",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO acme_user",
            "GRANT CONNECT ON DATABASE shop TO acme_user",
            "CREATE SCHEMA corner; GRANT ALL ON SCHEMA corner TO acme_user",
            "GRANT acme_user TO globex_user",
        ] {
            shop.exec(sql);
        }
        let mine = scene.server.admin("shop");
        mine.exec("SET ROLE acme_user; CREATE TABLE corner.mine (id int); RESET ROLE");
        let target = scene.stage.database.admin();
        target.exec("CREATE TABLE here (id int); ALTER TABLE here OWNER TO acme_user");
        let shut = scene.server.database_named("shut").master();
        shut.exec("CREATE TABLE t (id int); GRANT SELECT ON t TO initech_user");
        drop(shut);
        scene.admin().exec("ALTER DATABASE shut ALLOW_CONNECTIONS false");
        let reason = scene.update(&mut stack, json!([globex()]));
        assert!(reason.contains("- tenant acme: role acme_user"), "{reason}");
        assert!(
            reason.contains("left role initech_user: it has something in database `shut`"),
            "{reason}"
        );
        assert!(reason.contains("it is the login of role `initech_user`, which stays"), "{reason}");
        assert_eq!(
            mine.value("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'"),
            "postgres"
        );
        assert_eq!(
            target.value("SELECT tableowner FROM pg_tables WHERE tablename = 'here'"),
            "postgres"
        );
        assert!(!scene.has_role("acme_user") && scene.has_role("initech_user"));
        scene.admin().exec("ALTER DATABASE shut ALLOW_CONNECTIONS true");
        let reason = scene.update(&mut stack, json!([globex(), {"Name": "hooli"}]));
        assert!(reason.contains("- tenant initech: role initech_user"), "{reason}");
        assert!(scene.is_deleted("initech"));
        scene.assert_no_membership();
    }
}

#[test]
fn the_second_login_of_a_rotation_goes_with_the_first() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let mut stack = scene.stack(json!([
            acme("Drop"), {"Name": "initech", "OnRemove": "Drop"}, {"Name": "globex", "OnRemove": "Disable"},
        ]));
        let master = scene.stage.database.master();
        for name in ["acme", "globex"] {
            master.exec(&format!(
                "CREATE ROLE {name}_user_clone LOGIN PASSWORD 'pw'; GRANT {name}_user TO {name}_user_clone; \
                 ALTER ROLE {name}_user_clone SET role = '{name}_user'"
            ));
        }
        // Nobody's second login: it only has the name.
        master.exec("CREATE ROLE initech_user_clone LOGIN");
        let clone = Client::connect(&server.config("globex_user_clone", "pw", "globex"));
        let orders = Client::connect(&server.config("acme_user_clone", "pw", "acme"));
        orders.exec("CREATE TABLE orders (id int)");
        drop(orders);
        scene.wait_for_no_session("acme");
        let reason = scene.update(&mut stack, json!([{"Name": "hooli"}]));
        assert!(reason.contains("- tenant acme: role acme_user"), "{reason}");
        assert!(
            reason.contains("~ tenant globex: role globex_user_clone may not log in"),
            "{reason}"
        );
        assert!(!scene.has_role("acme_user") && !scene.has_role("acme_user_clone"));
        assert!(!scene.has_role("initech_user") && scene.has_role("initech_user_clone"));
        assert!(!scene.may_log_in("globex_user_clone"));
        assert!(clone.try_rows("SELECT 1").is_err());
    }
}

#[test]
fn what_another_tenant_of_the_list_names_goes_over_to_it() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([acme("Drop"), globex()]));
    scene.login("acme").exec("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
    // The tenant gets another name, and keeps its database, its role and its secret.
    let renamed = json!({
        "Name": "anvils", "Database": "acme", "Username": "acme_user",
        "SecretName": secret("acme"), "OnRemove": "Drop",
    });
    let reason = scene.update(&mut stack, json!([globex(), renamed]));
    assert!(!reason.contains("- tenant"), "{reason}");
    assert_eq!(scene.login("acme").value("SELECT id FROM t"), "7");
    scene.wait_for_no_session("acme");
    let tenants = "SELECT string_agg(DISTINCT tenant, ',' ORDER BY tenant) FROM execute_sql.tenant";
    assert_eq!(scene.stage.database.admin().value(tenants), "anvils,globex");
    let reason = scene.delete(&mut stack);
    assert!(reason.contains("- tenant anvils: database acme"), "{reason}");
    assert!(scene.is_deleted("acme") && !scene.has_role("acme_user"));
}

#[test]
fn an_earlier_physical_id_takes_along_only_what_the_current_one_does_not_have() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([acme("Drop"), {"Name": "globex", "OnRemove": "Drop"}]));
    // The same database under another name is another target to CloudFormation.
    let elsewhere = |tenants| {
        let mut properties = scene.properties(tenants);
        properties["Connection"] = json!({ "Host": "127.0.0.1" });
        properties
    };
    let globex = json!({ "Name": "globex", "OnRemove": "Drop" });
    let update = stack.update(elsewhere(json!([globex])));
    let updated = scene.stage.ask(&update);
    assert_eq!(updated["Status"], "SUCCESS", "{updated:#}");
    assert!(scene.has_database("acme"), "a rollback would need it");
    let cleanup = stack.settle(&updated).event();
    let cleaned = reason(&scene.stage.succeed(&mut stack, &cleanup));
    assert!(cleaned.contains("- tenant acme: database acme"), "{cleaned}");
    assert!(!cleaned.contains("globex"), "{cleaned}");
    assert!(scene.has_database("globex") && !scene.is_deleted_at_all("globex"));
    drop(scene.login("globex"));
    scene.wait_for_no_session("globex");
    let reason = scene.delete(&mut stack);
    assert!(reason.contains("- tenant globex: database globex"), "{reason}");
    assert!(scene.is_deleted("globex"));
}

#[test]
fn a_replacement_that_is_rolled_back_has_lost_no_tenant() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([acme("Drop"), globex()]));
    scene.login("acme").exec("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
    let mut properties = scene.properties(json!([globex()]));
    properties["Connection"] = json!({ "Host": "127.0.0.1" });
    let updated = scene.stage.ask(&stack.update(properties));
    assert_eq!(updated["Status"], "SUCCESS", "{updated:#}");
    stack.settle(&updated);
    let back = stack.roll_back();
    let back = scene.stage.ask(&back);
    assert_eq!(back["Status"], "SUCCESS", "{back:#}");
    if let Next::Send(cleanup) = stack.settle(&back) {
        scene.stage.succeed(&mut stack, &cleanup);
    }
    assert_eq!(scene.login("acme").value("SELECT id FROM t"), "7");
    assert!(!scene.is_deleted_at_all("acme"));
}

#[test]
fn a_call_by_hand_ends_only_the_tenants_that_it_names() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let call = |action: &str, run: &str, tenants: serde_json::Value| {
        let properties = scene.properties(tenants);
        let event = json!({ "Action": action, "RunId": run, "Properties": properties });
        scene.stage.function.invoke(event.to_string().as_bytes()).returned()
    };
    let globex = json!({ "Name": "globex", "OnRemove": "Drop" });
    call("Apply", "1", json!([acme("Drop"), globex]));
    let report = call("Deprovision", "2", json!([acme("Drop")]));
    assert!(reason(&report).contains("- tenant acme: database acme"), "{report:#}");
    assert!(!scene.has_database("acme") && scene.has_database("globex"));
    let report = call("Deprovision", "3", json!([acme("Drop")]));
    assert!(!reason(&report).contains("acme"), "{report:#}");
    call("Deprovision", "4", json!([globex]));
    assert!(!scene.has_database("globex") && scene.is_deleted("globex"));
}

#[test]
fn a_server_whose_database_is_gone_is_no_reason_to_keep_the_stack() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([acme("Drop")]));
    let name = &scene.stage.database.name;
    scene.wait_for_no_session(name);
    scene.admin().exec(&format!("DROP DATABASE {name}"));
    let reason = scene.delete(&mut stack);
    assert!(reason.contains("the database does not exist"), "{reason}");
}

#[test]
fn what_a_deleted_resource_retained_can_be_adopted_by_another() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let tenant = json!([{"Name": "acme"}]);
    let mut stack = scene.stack(tenant.clone());
    scene.login("acme").exec("CREATE TABLE precious (id int)");
    let password = scene.stage.secrets.text(&secret("acme"), "AWSCURRENT");
    assert!(scene.delete(&mut stack).starts_with("everything is retained ("));
    let mut another = scene.stage.stack();
    let refused = scene.stage.fail(&another.create(scene.properties(tenant)));
    assert!(refused.contains("which let it go"), "{refused}");
    assert!(refused.contains("Set `Adopt: true`"), "{refused}");
    let mut another = scene.stage.stack();
    let adopts = json!([{"Name": "acme", "Adopt": true, "OnRemove": "Drop"}]);
    let create = another.create(scene.properties(adopts));
    scene.stage.succeed(&mut another, &create);
    scene.login("acme").exec("TABLE precious");
    assert_eq!(scene.stage.secrets.text(&secret("acme"), "AWSCURRENT"), password);
    scene.delete(&mut another);
    scene.admin().exec("SELECT 1");
    assert!(scene.has_database("acme"), "what was adopted is never dropped");
}

#[test]
fn a_delete_that_retains_its_tenants_succeeds_without_a_server() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([{"Name": "acme"}]));
    server.stop(crate::support::Stop::Fast);
    assert!(scene.delete(&mut stack).starts_with("everything is retained ("));
}
