//! Each policy, by leaving the list and by a Delete.

use serde_json::json;

use crate::scene::{MAJORS, Scene, acme, globex, reason};
use crate::stage::data;
use crate::support::Server;

#[test]
fn a_tenant_that_is_retained_stays_and_can_come_back() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let mut stack = scene.stack(json!([acme("Retain"), globex()]));
        assert!(scene.plan(json!([globex()]), &mut stack).contains("leaves the list"));
        assert!(!scene.held().contains('*'), "a plan changes nothing");
        let reason = scene.update(&mut stack, json!([globex()]));
        assert!(
            reason.contains("~ tenant acme: it leaves the list and stays as it is"),
            "{reason}"
        );
        assert_eq!(
            scene.held(),
            "database acme*, database globex, role acme_user*, role globex_user, \
             secret /execute-sql/db/acme*, secret /execute-sql/db/globex"
        );
        scene.login("acme");
        let reason = scene.update(&mut stack, json!([globex(), acme("Drop")]));
        assert!(!reason.contains("leaves"), "{reason}");
        assert!(!scene.held().contains('*'));
        scene.delete(&mut stack);
        assert!(!scene.has_database("acme") && scene.has_database("globex"));
    }
}

#[test]
fn a_tenant_that_is_dropped_takes_its_database_roles_and_secrets_along() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let whole = json!({
            "Name": "acme", "OnRemove": "Drop",
            "Roles": [{"Name": "acme_reader", "Access": "readonly"}, {"Name": "acme_dba", "Access": "migrate"}],
        });
        let owner = json!({ "Name": "owner", "Owner": "tenant", "OnRemove": "Drop" });
        let mut stack = scene.stack(json!([whole, owner, globex()]));
        scene.login("acme").exec("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
        scene.login("owner").exec("CREATE SCHEMA s; CREATE TABLE s.t (id int)");
        let reason = scene.update(&mut stack, json!([globex()]));
        for said in [
            "- tenant acme: database acme;",
            "- tenant acme: role acme_user;",
            "- tenant acme: role acme_reader;",
            "- tenant owner: database owner;",
            "- tenant owner: role owner_user;",
            "- tenant owner: secret arn:",
        ] {
            assert!(reason.contains(said), "{said}: {reason}");
        }
        for gone in ["acme", "owner"] {
            assert!(!scene.has_database(gone) && !scene.has_role(&format!("{gone}_user")));
            assert!(scene.is_deleted(gone));
        }
        assert!(!scene.has_role("acme_reader") && !scene.has_role("acme_dba"));
        assert_eq!(
            scene.held(),
            "database globex, role globex_user, secret /execute-sql/db/globex"
        );
        let reason = scene.update(&mut stack, json!([globex()]));
        assert!(!reason.contains("acme"), "{reason}");
        scene.assert_no_membership();
        // It comes back, empty, with its secret.
        scene.update(&mut stack, json!([globex(), whole]));
        assert_eq!(
            scene.login("acme").value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
            "0"
        );
    }
}

#[test]
fn a_tenant_that_is_disabled_keeps_its_data_and_works_again_when_it_comes_back() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let mut stack = scene.stack(json!([acme("Disable"), globex()]));
        let session = scene.login("acme");
        session.exec("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
        let reason = scene.update(&mut stack, json!([globex()]));
        assert!(reason.contains("~ tenant acme: role acme_user may not log in"), "{reason}");
        assert!(session.try_rows("SELECT 1").is_err(), "its session is ended");
        assert_eq!(scene.try_login("acme").err().unwrap().sqlstate, "28000");
        assert!(!scene.held().contains('*'));
        // Nothing of it in the next run.
        let mut nonce = scene.properties(json!([globex()]));
        nonce["Nonce"] = "2".into();
        let update = stack.update(nonce);
        let answer = scene.stage.succeed(&mut stack, &update);
        assert_eq!((data(&answer, "Changed"), data(&answer, "Plan")), ("false", ""), "{answer:#}");
        scene.update(&mut stack, json!([globex(), acme("Drop")]));
        assert_eq!(scene.login("acme").value("SELECT id FROM t"), "7");
        scene.update(&mut stack, json!([globex()]));
        assert!(!scene.has_database("acme") && !scene.has_role("acme_user"));
        scene.assert_no_membership();
    }
}

#[test]
fn a_database_with_sessions_on_it_stays_until_they_are_gone_or_force_is_asked_for() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let forced = json!({ "Name": "forced", "OnRemove": {"Policy": "Drop", "Force": true} });
        let mut stack = scene.stack(json!([acme("Drop"), forced, globex()]));
        let (session, ended) = (scene.login("acme"), scene.login("forced"));
        let plan = scene.plan(json!([globex()]), &mut stack);
        assert!(!plan.contains("tenant acme:"), "{plan}");
        assert!(plan.contains("- tenant forced: database forced, with its sessions"), "{plan}");
        let reason = scene.update(&mut stack, json!([globex()]));
        assert!(reason.contains("left database acme: 1 session is on it"), "{reason}");
        assert!(!reason.contains("tenant acme:"), "{reason}");
        assert!(ended.try_rows("SELECT 1").is_err());
        assert!(!scene.has_database("forced") && !scene.has_role("forced_user"));
        session.exec("CREATE TABLE t (id int)");
        drop(scene.login("acme"));
        assert!(!scene.is_deleted("acme"));
        drop(session);
        scene.wait_for_no_session("acme");
        let reason = scene.update(&mut stack, json!([globex(), {"Name": "initech"}]));
        assert!(reason.contains("- tenant acme: database acme"), "{reason}");
        assert!(!scene.has_role("acme_user") && scene.is_deleted("acme"));
    }
}

#[test]
fn a_delete_ends_each_tenant_by_its_policy_and_lets_go_of_the_rest() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([
        acme("Drop"), {"Name": "globex", "OnRemove": "Disable"}, {"Name": "initech"},
        {"Name": "busy", "OnRemove": "Drop"},
    ]));
    let globex = scene.login("globex");
    let _busy = scene.login("busy");
    let reason = scene.delete(&mut stack);
    for said in [
        "- tenant acme: database acme",
        "- tenant acme: secret arn:",
        "~ tenant globex: role globex_user may not log in",
        "left tenant initech: its policy is Retain",
        "left database busy: 1 session is on it",
    ] {
        assert!(reason.contains(said), "{said}: {reason}");
    }
    assert!(globex.try_rows("SELECT 1").is_err());
    assert!(!scene.has_database("acme") && scene.is_deleted("acme"));
    assert!(scene.has_database("globex") && !scene.may_log_in("globex_user"));
    assert!(scene.may_log_in("initech_user") && scene.may_log_in("busy_user"));
    assert!(scene.held().split(", ").all(|it| it.ends_with('*')), "{}", scene.held());
    let audit = scene.stage.database.admin().value(
        "SELECT string_agg(coalesce(message, action), '; ' ORDER BY id) FROM execute_sql.audit \
         WHERE request_id = (SELECT request_id FROM execute_sql.request WHERE request_type = 'Delete')",
    );
    assert!(audit.contains("- tenant acme: role acme_user"), "{audit}");
    assert!(audit.contains("left database busy: 1 session is on it"), "{audit}");
    // Another stack may have what was let go, if it says so.
    let refused = scene.stage.refused(json!({ "Tenants": [{"Name": "initech"}] }));
    assert!(refused.contains("which let it go"), "{refused}");
    let mut second = scene.stack(json!([{"Name": "initech", "Adopt": true, "OnRemove": "Drop"}]));
    let reason = scene.delete(&mut second);
    assert!(
        reason.contains("left database initech: it was there before this resource"),
        "{reason}"
    );
    assert!(reason.contains("left role initech_user: it was there"), "{reason}");
    assert!(scene.has_database("initech") && scene.may_log_in("initech_user"));
    assert!(!scene.is_deleted_at_all("initech"));
}

#[test]
fn a_delete_is_as_careful_as_the_more_careful_of_ledger_and_properties() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([
        acme("Drop"), {"Name": "globex", "OnRemove": "Disable"}, {"Name": "unnamed", "OnRemove": "Drop"},
        {"Name": "calm", "OnRemove": "Drop"},
    ]));
    let session = scene.login("calm");
    let mut delete = stack.delete();
    delete["ResourceProperties"]["Tenants"] = json!([
        acme("Disable"), {"Name": "globex", "OnRemove": "Drop"},
        {"Name": "calm", "OnRemove": {"Policy": "Drop", "Force": "true"}},
    ]);
    let reason = reason(&scene.stage.succeed(&mut stack, &delete));
    assert!(reason.contains("~ tenant acme: role acme_user may not log in"), "{reason}");
    assert!(reason.contains("~ tenant globex: role globex_user may not log in"), "{reason}");
    assert!(reason.contains("- tenant unnamed: database unnamed"), "{reason}");
    assert!(reason.contains("left database calm: 1 session is on it"), "{reason}");
    session.exec("SELECT 1");
    assert!(scene.has_database("acme") && scene.has_database("globex"));
}
