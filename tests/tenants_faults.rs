//! Tenants while something goes wrong: the function is killed, Secrets Manager stumbles, others want
//! the same at the same time. The next run, or the very same one, brings all to what is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;
mod tenancy;

use std::time::Duration;

use serde_json::{Value, json};
use stage::{Stage, data, function};
use support::secrets::Text;
use support::{
    Client, FUNCTION_ARN, Fault, Function, Invocation, MASTER, Server, Stack, wait_until,
};
use tenancy::{Life, login, secret, secret_of, session};

/// A tenant with a bit of everything.
fn rich(name: &str) -> Value {
    json!({
        "Name": name,
        "Owner": "tenant",
        "Extensions": ["hstore"],
        "Settings": {"work_mem": "8MB"},
        "Roles": [{"Name": format!("{name}_r"), "Access": "readonly"}],
        "Changelog": {"Inline": "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE t (id int)\n"},
        "Rotation": {"LambdaArn": "arn:aws:lambda:eu-west-1:123456789012:function:rotate"},
    })
}

#[track_caller]
fn assert_whole(server: &Server, stage: &Stage, name: &str) {
    let own = session(server, &stage.secrets, &secret(name));
    own.exec("SELECT FROM t; SELECT 'a=>1'::hstore; CREATE SCHEMA x; DROP SCHEMA x");
    let reader = session(server, &stage.secrets, &secret_of(name, &format!("{name}_r")));
    reader.exec("SELECT FROM t");
    assert_eq!(reader.refused("INSERT INTO t VALUES (1)").sqlstate, "42501");
    let names = stage.secrets.names();
    let mut once = names.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), names.len(), "each secret is there once: {names:?}");
}

fn killed_after_each_step(major: u32) {
    // Each is in the server's log when its step begins; the function is killed then.
    const STEPS: [&str; 10] = [
        "INSERT INTO execute_sql.tenant",
        "CREATE ROLE \"{}_user\"",
        "CREATE DATABASE \"{}\"",
        "ALTER DATABASE \"{}\" WITH ALLOW_CONNECTIONS true",
        "{}> LOG:  statement: SELECT",
        "@{}> LOG:  statement: BEGIN",
        "CREATE EXTENSION \"hstore\"",
        "ALTER DEFAULT PRIVILEGES FOR ROLE \"{}_user\"",
        "CREATE TABLE t (id int)",
        "tenant {}: secret /execute-sql/db/{} rotates",
    ];
    let server = Server::rds_like(major);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let mut all = Vec::new();
    for (at, step) in STEPS.iter().enumerate() {
        let name = format!("acme{at}");
        all.push(rich(&name));
        let step = step.replace("{}", &name);
        let length = server.log().len();
        let event = life.event(&json!({"Tenants": [rich(&name)]}), json!({}));
        let pending = stage.function.start_invoke(event.to_string().as_bytes());
        wait_until(&step, || server.log()[length..].contains(&step) || pending.is_done());
        stage.function.kill();
        pending.wait();
        assert!(server.log()[length..].contains(&step), "{step} is a step");
        life.apply(&json!({"Tenants": [rich(&name)]}));
        life.assert_done(&json!({"Tenants": [rich(&name)]}));
        assert_whole(&server, &stage, &name);
    }
    let open = server.admin("postgres").value(
        "SELECT count(*) FROM pg_database WHERE NOT datallowconn AND datname <> 'template0'",
    );
    assert_eq!(open, "0");
}

#[test]
fn a_function_that_is_killed_at_any_step_goes_on_the_next_time() {
    killed_after_each_step(15);
}

#[test]
fn a_function_that_is_killed_at_any_step_goes_on_the_next_time_on_17() {
    killed_after_each_step(17);
}

#[test]
fn a_function_that_is_killed_at_a_call_of_secrets_manager_goes_on_the_next_time() {
    let server = Server::rds_like(17);
    let secrets: &'static Stage = Box::leak(Box::new(Stage::on(&server)));
    let stage = secrets;
    let mut life = Life::new(stage);
    for (at, (operation, n)) in
        [("CreateSecret", 1), ("CreateSecret", 2), ("RotateSecret", 1), ("RotateSecret", 2)]
            .into_iter()
            .enumerate()
    {
        let name = format!("acme{at}");
        let tenants = json!({"Tenants": [rich(&name)]});
        stage.secrets.on(operation, n, || stage.function.kill());
        let event = life.event(&tenants, json!({}));
        assert_eq!(stage.function.invoke(event.to_string().as_bytes()), Invocation::Died);
        life.apply(&tenants);
        life.assert_done(&tenants);
        assert_whole(&server, stage, &name);
    }
    // Changes of secrets: a deletion is taken back, then the tags; keys are written anew.
    let name = "acme0";
    let tenants = json!({"Tenants": [rich(name)]});
    for operation in ["RestoreSecret", "TagResource", "PutSecretValue"] {
        stage.secrets.change(&secret(name), |it| {
            it.deleted = Some(30);
            // Whoever deleted it was another one.
            it.tags.insert("execute-sql:resource".into(), "Other".into());
        });
        stage.secrets.on(operation, 1, || stage.function.kill());
        if operation == "PutSecretValue" {
            stage.secrets.change(&secret(name), |it| it.deleted = None);
            stage.secrets.change(&secret(name), |it| it.tags.clear());
            let mut text = login(&stage.secrets, &secret(name));
            text["host"] = "elsewhere".into();
            text.as_object_mut().unwrap().remove("password");
            stage.secrets.put(&secret(name), text);
        }
        let event = life.event(&tenants, json!({}));
        assert_eq!(stage.function.invoke(event.to_string().as_bytes()), Invocation::Died);
        life.apply(&tenants);
        life.assert_done(&tenants);
        assert_whole(&server, stage, name);
        let found = stage.secrets.get(&secret(name)).unwrap();
        assert_eq!(found.tags["execute-sql:resource"], stage::LOGICAL_ID, "{operation}");
        assert_eq!(found.deleted, None);
    }
}

#[test]
fn whatever_secrets_manager_does_one_run_is_enough() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let faults = [
        Fault::Throttle(2),
        Fault::Internal(2),
        Fault::Unavailable(1),
        Fault::FailAfter(1),
        Fault::CutBefore(1),
        Fault::CutAfter(1),
        Fault::Torn(1),
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        let name = format!("acme{at}");
        let tenants = json!({"Tenants": [rich(&name)]});
        for operation in ["CreateSecret", "RotateSecret"] {
            stage.secrets.fault(operation, fault.clone());
        }
        life.apply(&tenants);
        for operation in
            ["DescribeSecret", "GetSecretValue", "RestoreSecret", "TagResource", "PutSecretValue"]
        {
            stage.secrets.fault(operation, fault.clone());
        }
        stage.secrets.change(&secret(&name), |it| it.deleted = Some(7));
        let mut text = login(&stage.secrets, &secret_of(&name, &format!("{name}_r")));
        text.as_object_mut().unwrap().remove("password");
        stage.secrets.put(&secret_of(&name, &format!("{name}_r")), text);
        life.apply(&tenants);
        stage.secrets.heal();
        life.assert_done(&tenants);
        assert_whole(&server, &stage, &name);
    }
    stage.secrets.fault("CreateSecret", Fault::Slow(Duration::from_millis(1500)));
    life.apply(&json!({"Tenants": [rich("slow1"), rich("slow2")]}));
    stage.secrets.heal();
    stage.secrets.fault("CreateSecret", Fault::Denied);
    let two = json!({"Tenants": [rich("slow1"), rich("denied")]});
    let reason = life.fail(&two);
    assert!(
        // The one that left the list is among those that are done.
        reason.starts_with("1 of 3 tenants failed, the other 2 are done: `denied`: "),
        "{reason}"
    );
    assert!(reason.contains("secretsmanager:CreateSecret"), "{reason}");
    let roles =
        server.admin("postgres").value("SELECT count(*) FROM pg_roles WHERE rolname ~ 'denied'");
    assert_eq!(roles, "0", "the secret comes first");
    stage.secrets.heal();
    let answer = life.apply(&two);
    assert!(!data(&answer, "Plan").contains("slow1"), "{answer:#}");
}

/// Eight functions at once, with five tenants each; gives the answers.
fn eight_at_once(
    server: &Server,
    stage: &Stage,
    masters: &[String],
    tenants: impl Fn(usize) -> Vec<Value> + Sync,
) -> Vec<Value> {
    std::thread::scope(|scope| {
        let run = |n: usize| {
            let tenants = tenants(n);
            let master = &masters[n % masters.len()];
            scope.spawn(move || {
                let function = Function::start(function(server, &stage.secrets));
                let mut stack = Stack::new(&stage.receiver, FUNCTION_ARN, &format!("Of{n}"));
                let event = stack.create(json!({"DBSecret": master, "Tenants": tenants}));
                let end = function.invoke(event.to_string().as_bytes());
                assert!(matches!(end, Invocation::Returned(_)), "{end:?}\n{}", function.log());
                stage.receiver.answer_to(&event)
            })
        };
        let threads: Vec<_> = (0..8).map(run).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

fn forty_tenants_by_eight(major: u32, targets: usize) {
    let server = Server::rds_like(major);
    let stage = Stage::on(&server);
    let databases: Vec<_> = (0..targets).map(|_| server.database()).collect();
    let masters: Vec<_> = databases
        .iter()
        .enumerate()
        .map(|(n, it)| stage.secrets.put(&format!("master{n}"), server.secret_json(it)))
        .collect();
    let tenants = |n: usize| {
        (0..5).map(|m| json!({"Name": format!("t{n}_{m}"), "Extensions": ["hstore"]})).collect()
    };
    for answer in eight_at_once(&server, &stage, &masters, tenants) {
        assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
    }
    for n in 0..8 {
        for m in 0..5 {
            session(&server, &stage.secrets, &secret(&format!("t{n}_{m}")))
                .exec("SELECT 'a=>1'::hstore");
        }
    }
    let log = server.log();
    assert!(!log.contains("tuple concurrently updated"), "writes to the shared catalogs met");
}

#[test]
fn eight_functions_make_forty_tenants_from_one_database() {
    forty_tenants_by_eight(15, 1);
}

#[test]
fn eight_functions_make_forty_tenants_from_eight_databases() {
    forty_tenants_by_eight(17, 8);
}

#[test]
fn of_two_stacks_that_want_the_same_tenant_at_once_one_gets_it() {
    for (major, targets) in [(15, 2), (17, 1)] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let databases: Vec<_> = (0..targets).map(|_| server.database()).collect();
        let masters: Vec<_> = databases
            .iter()
            .enumerate()
            .map(|(n, it)| stage.secrets.put(&format!("master{n}"), server.secret_json(it)))
            .collect();
        // Eight want the same five; some by secrets of other names.
        let wanted = |n: usize| {
            let tenant = |m: usize| match n % 2 {
                0 => json!({"Name": format!("same{m}")}),
                _ => json!({"Name": format!("same{m}"), "SecretName": format!("/by/{n}/{m}")}),
            };
            (0..5).map(tenant).collect()
        };
        let answers = eight_at_once(&server, &stage, &masters, wanted);
        let mut winners = 0;
        for (n, answer) in answers.iter().enumerate() {
            let reason = answer["Reason"].as_str().unwrap();
            for m in 0..5 {
                let name = format!("same{m}");
                if answer["Status"] == "SUCCESS" || !reason.contains(&format!("`{name}`: ")) {
                    winners += 1;
                    let secret = if n % 2 == 0 { secret(&name) } else { format!("/by/{n}/{m}") };
                    session(&server, &stage.secrets, &secret);
                }
            }
            if answer["Status"] != "SUCCESS" {
                assert!(
                    reason.contains("belongs to") || reason.contains("did not make"),
                    "{reason}"
                );
            }
        }
        assert_eq!(winners, 5, "{answers:#?}");
        assert!(!server.log().contains("tuple concurrently updated"));
    }
}

#[test]
fn a_session_in_template1_is_waited_for_only_by_those_who_copy_it() {
    let server = Server::rds_like(15);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let sits = server.admin("template1");
    let first = json!({"Name": "acme"});
    life.apply(&json!({"Tenants": [first]}));
    let both = json!({"Tenants": [first, {"Name": "globex", "Template": "template1"}]});
    let event = life.event(&both, json!({}));
    let pending = stage.function.start_invoke(event.to_string().as_bytes());
    let said = "source database \"template1\" is being accessed by other users";
    wait_until(said, || server.log().contains(said));
    drop(sits);
    pending.wait().returned();
    let answer = stage.receiver.answer_to(&event);
    assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
    life.stack.settle(&answer);
    life.assert_done(&both);
    session(&server, &stage.secrets, &secret("globex")).exec("CREATE TABLE t (id int)");
}

#[test]
fn a_tenant_without_a_free_connection_is_named_and_the_others_are_done() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let of = |limit: u32| json!({"Tenants": [{"Name": "acme", "ConnectionLimit": limit}, {"Name": "globex"}]});
    life.apply(&json!({"Tenants": [{"Name": "acme", "ConnectionLimit": 2}]}));
    let full: Vec<_> = (0..2).map(|_| session(&server, &stage.secrets, &secret("acme"))).collect();
    let before = login(&stage.secrets, &secret("acme"));
    let reason = life.fail(&of(2));
    assert!(
        reason.starts_with("1 of 2 tenants failed, the other 1 are done: `acme`: "),
        "{reason}"
    );
    assert!(reason.contains("has all the connections that it may have"), "{reason}");
    session(&server, &stage.secrets, &secret("globex"));
    assert_eq!(login(&stage.secrets, &secret("acme")), before);
    life.apply(&of(6));
    life.assert_done(&of(6));
    drop(full);
}

#[test]
fn a_master_password_that_rotates_in_the_middle_does_not_end_the_run() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let old = server.secret_json(&stage.database);
    let mut new = old.clone();
    new["password"] = "rotated-Hq4".into();
    let (old, new) = (old.to_string(), new.to_string());
    // The target's session and the tenants' each read it once.
    stage.secrets.answers("master", vec![Ok(old.clone()), Ok(old), Ok(new)]);
    let admin = server.config(support::postgres::ADMIN, support::ADMIN_PASSWORD, "postgres");
    stage.secrets.on("CreateSecret", 1, move || {
        Client::connect(&admin).exec(&format!("ALTER ROLE {MASTER} PASSWORD 'rotated-Hq4'"));
    });
    let tenants: Vec<_> = (0..6).map(|n| rich(&format!("acme{n}"))).collect();
    let tenants = json!({"Tenants": tenants});
    life.apply(&tenants);
    assert_eq!(stage.secrets.count("CreateSecret"), 12);
    life.assert_done(&tenants);
    for n in 0..6 {
        assert_whole(&server, &stage, &format!("acme{n}"));
    }
}

#[test]
fn a_rotation_under_way_is_left_alone() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let acme = json!({"Tenants": [{"Name": "acme"}]});
    life.bring(&acme);
    // Between setSecret and finishSecret the next version has the password.
    let mut next = login(&stage.secrets, &secret("acme"));
    next["password"] = "next-Jw8".into();
    let token = "11111111-1111-4111-8111-111111111111";
    stage.secrets.change(&secret("acme"), |it| {
        it.add(token, Some(Text::String(next.to_string())), &["AWSPENDING"]);
    });
    server.admin("postgres").exec("ALTER ROLE acme_user PASSWORD 'next-Jw8'");
    let answer = life.apply(&acme);
    assert_eq!(data(&answer, "Plan"), "", "{answer:#}");
    assert!(answer["Reason"].as_str().unwrap().contains("a rotation is under way"), "{answer:#}");
    Client::connect(&server.config("acme_user", "next-Jw8", "acme"));
    // What takes the tenant's own login has to wait.
    let more =
        json!({"Tenants": [{"Name": "acme", "Changelog": {"Inline": "CREATE TABLE t (id int)"}}]});
    let reason = life.fail(&more);
    assert!(
        reason.contains("a rotation of secret `/execute-sql/db/acme` is under way"),
        "{reason}"
    );
    stage.secrets.change(&secret("acme"), |it| {
        it.attach("AWSCURRENT", token);
        it.detach("AWSPENDING");
    });
    life.bring(&more);
}
