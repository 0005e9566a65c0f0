//! Killed at each step, raced by a Create, delivered twice.

use std::sync::mpsc;

use serde_json::json;

use crate::scene::{MAJORS, Scene, acme, globex, reason};
use crate::stage::function;
use crate::support::{Client, Function, Invocation, Server, wait_until};

/// What holds the function up at a step, and the step.
type Gate = (&'static str, &'static str, &'static str);

/// A statement in a transaction left open in a database, in the order of the steps that wait for it.
const GATES: [Gate; 5] = [
    ("the roles lose their login", "postgres", "ALTER ROLE acme_user CONNECTION LIMIT 49"),
    ("the database becomes the master's", "postgres", "ALTER DATABASE acme CONNECTION LIMIT 49"),
    ("the database is dropped", "postgres", "COMMENT ON DATABASE acme IS NULL"),
    (
        "the database is forgotten",
        "",
        "SELECT FROM execute_sql.tenant WHERE kind = 'database' AND name = 'acme' FOR UPDATE",
    ),
    (
        "the role is dropped",
        "",
        "SELECT FROM execute_sql.tenant WHERE kind = 'role' AND name = 'acme_user' FOR UPDATE",
    ),
];

impl Scene<'_> {
    /// Starts the event, kills the function where it stands at the gate, and opens that again.
    fn kill_at(&self, event: &serde_json::Value, (step, database, sql): Gate) {
        let database = if database.is_empty() { &self.stage.database.name } else { database };
        let gate = self.server.admin(database);
        gate.exec("BEGIN");
        gate.exec(sql);
        let pending = self.stage.function.start_invoke(event.to_string().as_bytes());
        let admin = self.admin();
        let waiting = "SELECT count(*) FROM pg_stat_activity \
             WHERE application_name LIKE 'execute-sql/%' AND wait_event_type = 'Lock'";
        wait_until(step, || admin.value(waiting) != "0");
        self.stage.function.kill();
        assert_eq!(pending.wait(), Invocation::Died);
        gate.exec("ROLLBACK");
        let left =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'execute-sql/%'";
        wait_until("its sessions are gone", || admin.value(left) == "0");
    }

    /// All of acme is gone, and told of once.
    #[track_caller]
    fn assert_acme_is_gone(&self) {
        assert!(!self.has_database("acme") && !self.has_role("acme_user"));
        assert!(self.is_deleted("acme"));
        assert!(!self.held().contains("acme"), "{}", self.held());
        self.assert_no_membership();
    }
}

#[test]
fn the_function_killed_at_each_step_of_a_drop_ends_it_when_it_runs_again() {
    for (major, by_delete) in [(MAJORS[0], true), (MAJORS[1], false)] {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let whole = json!({ "Name": "acme", "Owner": "tenant", "OnRemove": "Drop" });
        let mut stack = scene.stack(json!([whole, globex()]));
        let event = if by_delete {
            stack.delete()
        } else {
            stack.update(scene.properties(json!([globex()])))
        };
        for gate in GATES {
            scene.kill_at(&event, gate);
        }
        // Killed before the secret is deleted, and after that.
        for _ in 0..2 {
            let (reached, at) = mpsc::channel();
            let (go, gone) = mpsc::channel::<()>();
            scene.stage.secrets.on("DeleteSecret", 1, move || {
                reached.send(()).unwrap();
                let _killed = gone.recv();
            });
            let pending = scene.stage.function.start_invoke(event.to_string().as_bytes());
            at.recv().unwrap();
            scene.stage.function.kill();
            assert_eq!(pending.wait(), Invocation::Died);
            drop(go);
            wait_until("the call is carried out", || scene.is_deleted_at_all("acme"));
            scene.stage.secrets.change("/execute-sql/db/acme", |it| it.deleted = None);
        }
        let answer = scene.stage.succeed(&mut stack, &event);
        assert!(reason(&answer).contains("- tenant acme: secret"), "{answer:#}");
        scene.assert_acme_is_gone();
    }
}

#[test]
fn the_function_killed_while_it_disables_ends_the_sessions_when_it_runs_again() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([acme("Disable"), globex()]));
    let session = scene.login("acme");
    let update = stack.update(scene.properties(json!([globex()])));
    scene.kill_at(
        &update,
        ("the login is taken", "postgres", "ALTER ROLE acme_user CONNECTION LIMIT 49"),
    );
    // As if it had come to its commit, and no further.
    scene.admin().exec("ALTER ROLE acme_user NOLOGIN");
    session.exec("SELECT 1");
    let answer = scene.stage.succeed(&mut stack, &update);
    assert!(reason(&answer).contains("role acme_user may not log in"), "{answer:#}");
    assert!(session.try_rows("SELECT 1").is_err());
}

#[test]
fn a_delete_during_a_create_leaves_nothing_of_its_tenants() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let mut stack = scene.stage.stack();
        let sleeper = json!({
            "Name": "acme", "OnRemove": "Drop",
            "Changelog": {"Inline": "--liquibase formatted sql\n--changeset ann:1\nSELECT pg_sleep(600);\n"},
        });
        let globex = json!({ "Name": "globex", "OnRemove": "Drop" });
        let create = stack.create(scene.properties(json!([sleeper, globex])));
        let pending = scene.stage.function.start_invoke(create.to_string().as_bytes());
        let admin = scene.admin();
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'acme' AND query LIKE '%pg_sleep%'";
        wait_until("it is in the tenant's database", || admin.value(asleep) == "1");
        wait_until("the other one is done", || {
            scene.exists("SELECT FROM pg_database WHERE datname = 'globex' AND datallowconn")
        });
        let delete = stack.invented_delete();
        let second = Function::start(function(&server, &scene.stage.secrets));
        second.invoke(delete.to_string().as_bytes()).returned();
        let deleted = scene.stage.receiver.answer_to(&delete);
        assert_eq!(deleted["Status"], "SUCCESS", "{deleted:#}");
        pending.wait().returned();
        let created = scene.stage.receiver.answer_to(&create);
        assert_eq!(created["Status"], "FAILED", "{created:#}");
        scene.assert_acme_is_gone();
        assert!(!scene.has_database("globex") && !scene.has_role("globex_user"), "{deleted:#}");
        assert_eq!(scene.held(), "");
    }
}

#[test]
fn a_secret_that_is_made_after_the_delete_is_taken_back() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stage.stack();
    let create = stack.create(scene.properties(json!([acme("Drop")])));
    let (reached, at) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    scene.stage.secrets.on("CreateSecret", 1, move || {
        reached.send(()).unwrap();
        let _deleted = gone.recv();
    });
    let pending = scene.stage.function.start_invoke(create.to_string().as_bytes());
    at.recv().unwrap();
    let delete = stack.invented_delete();
    let second = Function::start(function(&server, &scene.stage.secrets));
    second.invoke(delete.to_string().as_bytes()).returned();
    assert_eq!(scene.stage.receiver.answer_to(&delete)["Status"], "SUCCESS");
    drop(go);
    pending.wait().returned();
    assert_eq!(scene.stage.receiver.answer_to(&create)["Status"], "FAILED");
    scene.assert_acme_is_gone();
}

#[test]
fn a_database_that_a_killed_create_had_begun_goes_too() {
    for (major, is_made) in [(MAJORS[0], true), (MAJORS[1], true), (MAJORS[1], false)] {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let mut stack = scene.stage.stack();
        let create = stack.create(scene.properties(json!([acme("Drop")])));
        let gate = scene.server.admin("postgres");
        gate.exec("BEGIN; COMMENT ON DATABASE template0 IS 'held'");
        let waiting = "SELECT count(*) FROM pg_stat_activity \
             WHERE application_name LIKE 'execute-sql/%' AND wait_event_type = 'Lock'";
        let pending = scene.stage.function.start_invoke(create.to_string().as_bytes());
        let admin = scene.admin();
        wait_until("it is about to make the database", || admin.value(waiting) == "1");
        if is_made {
            // What makes it the tenant's waits for the lock of the cluster.
            let lock = scene.server.admin("postgres");
            lock.exec("SELECT pg_advisory_lock(x'6578656373716c63'::bigint)");
            gate.exec("ROLLBACK");
            let made = "SELECT FROM pg_database WHERE datname = 'acme' AND NOT datallowconn";
            wait_until("it is made", || scene.exists(made));
            scene.stage.function.kill();
        } else {
            scene.stage.function.kill();
            wait_until("it is given up", || admin.value(waiting) == "0");
            gate.exec("ROLLBACK");
        }
        assert_eq!(pending.wait(), Invocation::Died);
        assert_eq!(scene.has_database("acme"), is_made);
        let delete = stack.invented_delete();
        let second = Function::start(function(&server, &scene.stage.secrets));
        second.invoke(delete.to_string().as_bytes()).returned();
        assert_eq!(scene.stage.receiver.answer_to(&delete)["Status"], "SUCCESS");
        assert!(!scene.has_database("acme") && !scene.has_role("acme_user"));
        assert_eq!(scene.held(), "");
    }
}

#[test]
fn a_delete_twice_is_one_delete() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([acme("Drop"), {"Name": "globex", "OnRemove": "Drop"}]));
    let busy = scene.login("globex");
    let delete = stack.delete();
    let first = scene.stage.ask(&delete);
    scene.stage.function.invoke(delete.to_string().as_bytes()).returned();
    let answers = scene.stage.receiver.accepted(&delete);
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["Status"], answers[1]["Status"]);
    assert!(reason(&answers[1]).contains("- tenant acme: database acme"), "{first:#}");
    // What was let go is not looked at again by another one.
    drop(busy);
    let mut again = delete.clone();
    again["RequestId"] = "11111111-2222-4333-8444-555555555555".into();
    scene.stage.function.invoke(again.to_string().as_bytes());
    assert!(scene.has_database("globex"));
}

#[test]
fn a_tenant_that_calls_its_sessions_as_ours_are_called_stops_no_delete() {
    let server = Server::rds_like(15);
    let scene = Scene::on(&server);
    let mut stack = scene.stack(json!([acme("Drop")]));
    let id = stack.id().to_owned();
    let name = execute_sql::lock::application_name(&id, crate::stage::LOGICAL_ID, "forged");
    let forged: Client = scene.login("acme");
    forged.exec(&format!("SET application_name = '{name}'"));
    let reason = scene.delete(&mut stack);
    assert!(reason.contains("- tenant acme: database acme"), "{reason}");
    assert!(forged.try_rows("SELECT 1").is_err());
}
