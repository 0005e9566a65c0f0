//! The databases of a cluster that were there before its tenants, or that come later: who can get
//! in, and who still has to.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "stage/logins.rs"]
mod logins;
mod stage;
mod support;

use logins::{created, updated};
use serde_json::{Value, json};
use stage::{Stage, data};
use support::{Client, Server};

const PASSWORD: &str = "somebody-Tq5wB1";

/// Whether a role gets into a database; any other refusal than that of a closed one is a mistake.
#[track_caller]
fn gets_in(server: &Server, user: &str, password: &str, database: &str) -> bool {
    match Client::try_connect(&server.config(user, password, database)) {
        Ok(_) => true,
        Err(refused) if refused.sqlstate == "42501" => false,
        Err(refused) => panic!("{user} at {database}: {refused}"),
    }
}

/// The databases that the tenant's own login gets into.
fn reach(server: &Server, stage: &Stage, tenant: &str) -> Vec<String> {
    let tenant = logins::own(stage, tenant, "");
    let all = server
        .admin("postgres")
        .rows("SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname COLLATE \"C\"");
    let names = all.into_iter().filter_map(|mut row| row.pop().flatten());
    names.filter(|it| gets_in(server, &tenant.user, &tenant.password, it)).collect()
}

fn acme() -> Value {
    json!({"Tenants": [{"Name": "acme", "ConnectionLimit": 5}]})
}

fn with(mut properties: Value, key: &str, value: &str) -> Value {
    properties[key] = value.into();
    properties
}

#[test]
fn a_tenant_gets_into_no_database_that_was_there_before() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let master = server.database_named("postgres").master();
        master.exec("CREATE DATABASE \"Sales \"\"EU\"\" {x} 'y'\"");
        master.exec(&format!("CREATE DATABASE {}", "n".repeat(63)));
        let stage = Stage::on(&server);
        created(&stage, &mut stage.stack(), acme());
        assert_eq!(reach(&server, &stage, "acme"), ["acme"], "{major}");
    }
}

#[test]
fn whoever_got_in_by_public_alone_still_does_and_nobody_gets_more() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let admin = server.admin("postgres");
        let login = format!("LOGIN PASSWORD '{PASSWORD}'");
        admin.exec(&format!(
            "CREATE ROLE \"App \"\"one\"\"\" {login}; \
             CREATE ROLE granted {login}; CREATE ROLE team; CREATE ROLE member {login} IN ROLE team; \
             CREATE ROLE loner {login} NOINHERIT IN ROLE team; CREATE ROLE asleep NOLOGIN; \
             CREATE ROLE boss {login} SUPERUSER"
        ));
        let master = server.database_named("postgres").master();
        master.exec("CREATE DATABASE sales");
        master.exec("CREATE DATABASE closed");
        master.exec(
            "GRANT CONNECT ON DATABASE sales TO granted, team; REVOKE ALL ON DATABASE closed FROM PUBLIC",
        );
        let stage = Stage::on(&server);
        let answer = created(&stage, &mut stage.stack(), acme());
        let plan = data(&answer, "Plan");
        assert!(plan.contains("sales"), "{plan}");
        for role in ["App \"one\"", "granted", "member", "loner", "boss"] {
            for database in ["postgres", "template1", "sales", &stage.database.name] {
                assert!(
                    gets_in(&server, role, PASSWORD, database),
                    "{major}: {role} at {database}"
                );
            }
            let more = gets_in(&server, role, PASSWORD, "closed");
            assert_eq!(more, role == "boss", "{major}: {role}");
            assert_eq!(gets_in(&server, role, PASSWORD, "acme"), role == "boss", "{major}: {role}");
        }
        let acl = |role: &str| {
            server.admin("postgres").value(&format!(
                "SELECT count(*) FROM pg_database, aclexplode(datacl) WHERE datname = 'sales' \
                 AND grantee = '{role}'::regrole"
            ))
        };
        assert_eq!(acl("member"), "0", "it gets in as a member");
        assert_eq!(acl("loner"), "1", "it does not inherit what its team may");
        assert_eq!(acl("asleep"), "0");
    }
}

#[test]
fn a_database_of_somebody_else_is_told_with_the_statement_that_closes_it() {
    let server = Server::rds_like(15);
    let admin = server.admin("postgres");
    admin.exec(&format!("CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}'"));
    admin.exec("CREATE DATABASE \"Ann's \"\"own\"\"\" OWNER ann");
    let stage = Stage::on(&server);
    let mut stack = stage.stack();
    let answer = created(&stage, &mut stack, acme());
    let statement = "REVOKE CONNECT ON DATABASE \"Ann's \"\"own\"\"\" FROM PUBLIC";
    let said = answer["Reason"].as_str().unwrap_or_default();
    assert!(said.contains(statement), "{answer:#}");
    assert!(stage.function.log().contains("as its owner: REVOKE"), "{}", stage.function.log());
    assert_eq!(reach(&server, &stage, "acme"), ["Ann's \"own\"", "acme"]);
    // It is no difference that a deployment could end, so there is nothing to do about it.
    let plan = with(with(acme(), "Mode", "Plan"), "Nonce", "2");
    let planned = updated(&stage, &mut stack, plan);
    assert!(planned["Reason"].as_str().unwrap_or_default().contains(statement), "{planned:#}");
    let verify = with(with(acme(), "Mode", "Verify"), "Nonce", "3");
    updated(&stage, &mut stack, verify);
    // The statement is good as it stands.
    server.database_named("postgres").client("ann", PASSWORD).exec(statement);
    assert_eq!(reach(&server, &stage, "acme"), ["acme"]);
    let again = with(acme(), "Nonce", "4");
    let answer = updated(&stage, &mut stack, again);
    assert!(!answer["Reason"].as_str().unwrap_or_default().contains("REVOKE"), "{answer:#}");
}

#[test]
fn what_another_role_granted_to_public_is_told_too() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        server.admin("postgres").exec(&format!("CREATE ROLE joe LOGIN PASSWORD '{PASSWORD}'"));
        let master = server.database_named("postgres").master();
        master.exec("CREATE DATABASE sales");
        master.exec(
            "REVOKE ALL ON DATABASE sales FROM PUBLIC; \
             GRANT CONNECT ON DATABASE sales TO joe WITH GRANT OPTION",
        );
        let joe = server.database_named("sales").client("joe", PASSWORD);
        joe.exec("GRANT CONNECT ON DATABASE sales TO PUBLIC");
        let stage = Stage::on(&server);
        let mut stack = stage.stack();
        let answer = created(&stage, &mut stack, acme());
        let said = answer["Reason"].as_str().unwrap_or_default();
        assert!(said.contains("as `joe`, who granted it: REVOKE"), "{answer:#}");
        let again = with(acme(), "Nonce", "2");
        let second = updated(&stage, &mut stack, again);
        assert_eq!(data(&second, "Plan"), "", "{second:#}");
        joe.exec("REVOKE CONNECT ON DATABASE \"sales\" FROM PUBLIC");
        assert_eq!(reach(&server, &stage, "acme"), ["acme"], "{major}");
    }
}

#[test]
fn a_database_that_is_made_or_opened_later_is_found_and_closed() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut stack = stage.stack();
    created(&stage, &mut stack, acme());
    let master = server.database_named("postgres").master();
    master.exec("CREATE DATABASE \"Later\"");
    master
        .exec("GRANT CONNECT ON DATABASE postgres TO PUBLIC; GRANT ALL ON DATABASE acme TO PUBLIC");
    assert_eq!(reach(&server, &stage, "acme"), ["Later", "acme", "postgres"]);
    let verify = with(with(acme(), "Mode", "Verify"), "Nonce", "2");
    let differs = stage.fail(&stack.update(stage.properties(verify)));
    for name in ["Later", "postgres", "database acme"] {
        assert!(differs.contains(name), "{name}: {differs}");
    }
    let again = with(acme(), "Nonce", "3");
    updated(&stage, &mut stack, again);
    assert_eq!(reach(&server, &stage, "acme"), ["acme"]);
    let verify = with(with(acme(), "Mode", "Verify"), "Nonce", "4");
    updated(&stage, &mut stack, verify);
}

#[test]
fn a_login_that_is_taken_over_keeps_no_way_into_other_databases() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let master = server.database_named("postgres").master();
        master.exec(&format!("CREATE ROLE acme_user LOGIN PASSWORD '{PASSWORD}'"));
        master.exec("CREATE DATABASE sales");
        let stage = Stage::on(&server);
        let login = json!({"username": "acme_user", "password": PASSWORD});
        let secret = stage.secrets.put("/execute-sql/db/acme", login);
        let adopted = json!({"Tenants": [{"Name": "acme", "Adopt": true, "Secret": secret}]});
        created(&stage, &mut stage.stack(), adopted);
        // Its secret names no database.
        assert!(gets_in(&server, "acme_user", PASSWORD, "acme"));
        let closed = ["postgres", "template1", "sales", &stage.database.name];
        assert!(!closed.iter().any(|it| gets_in(&server, "acme_user", PASSWORD, it)), "{major}");
    }
}

#[test]
fn the_second_login_of_a_rotation_gets_into_no_other_database() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut stack = stage.stack();
    created(&stage, &mut stack, acme());
    let master = server.database_named("postgres").master();
    master.exec(&format!(
        "CREATE ROLE acme_user_clone LOGIN PASSWORD '{PASSWORD}'; GRANT acme_user TO acme_user_clone"
    ));
    // A role of that name alone is nobody's second login.
    master.exec(&format!("CREATE ROLE ann_clone LOGIN PASSWORD '{PASSWORD}'"));
    master.exec("CREATE DATABASE later");
    let again = with(acme(), "Nonce", "2");
    updated(&stage, &mut stack, again);
    for database in ["later", "postgres", &stage.database.name] {
        assert!(!gets_in(&server, "acme_user_clone", PASSWORD, database), "{database}");
    }
    assert!(gets_in(&server, "acme_user_clone", PASSWORD, "acme"));
    assert!(gets_in(&server, "ann_clone", PASSWORD, "later"));
}

#[test]
fn a_login_that_reaches_beyond_its_database_is_not_taken_over() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let admin = server.admin("postgres");
        for (at, role) in ["rds_superuser", "pg_read_all_data", "rds_superuser"].iter().enumerate()
        {
            let user = format!("mighty_{at}");
            admin.exec(&format!("CREATE ROLE team_{at} IN ROLE {role}; CREATE ROLE {user} LOGIN"));
            // The last is a member of a member.
            let direct = if at == 2 { format!("team_{at}") } else { (*role).to_owned() };
            admin.exec(&format!("GRANT {direct} TO {user}"));
            let stage = Stage::on(&server);
            let adopted =
                json!({"Tenants": [{"Name": format!("t{at}"), "Username": user, "Adopt": true}]});
            let reason = stage.refused(adopted);
            assert!(reason.contains("reaches beyond a database"), "{major} {role}: {reason}");
        }
    }
}

#[test]
fn a_schema_is_not_called_like_a_role_that_would_look_there_first() {
    let server = Server::rds_like(15);
    server.admin("postgres").exec("CREATE ROLE ann LOGIN");
    let stage = Stage::on(&server);
    for name in ["postgres", "ann"] {
        let reason = stage.refused(json!({"Tenants": [{"Name": "acme", "Schema": name}]}));
        assert!(reason.contains("first in the search path"), "{reason}");
    }
    let own = json!({"Tenants": [{"Name": "acme", "Schema": "acme", "Username": "acme"}]});
    created(&stage, &mut stage.stack(), own);
}
