//! Tenants as the product makes them, one attacking the other: the probes of `support::probes`, for
//! each way to keep tenants, on each major version.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "stage/logins.rs"]
mod logins;
mod stage;
mod support;

use logins::{own, role};
use serde_json::{Value, json};
use stage::{Stage, data};
use support::probes::{self, Model, Tenant, World};
use support::{Client, Server};

/// Two tenants of each model, so that each can attack the other of its kind.
fn tenants() -> Value {
    let roles = |name: &str| {
        json!([
            {"Name": format!("{name}_reader"), "Access": "readonly"},
            {"Name": format!("{name}_writer"), "Access": "readwrite"},
            {"Name": format!("{name}_mover"), "Access": "migrate"},
        ])
    };
    json!({
        "TenantDefaults": {"ConnectionLimit": 4},
        "Tenants": [
            {"Name": "acme", "Roles": roles("acme")},
            {"Name": "globex"},
            {"Name": "initech", "Owner": "tenant", "Roles": roles("initech")},
            {"Name": "umbrella", "Owner": "tenant"},
            {"Name": "hooli", "Schema": "hooli", "Roles": roles("hooli")},
            {"Name": "piper", "Schema": "piper"},
        ]
    })
}

fn schema_of(name: &str, model: Model) -> &str {
    if model == Model::Schema { name } else { "public" }
}

fn isolated(server: &Server, stage: &Stage, pairs: &[(&str, &str, Model)]) {
    for &(a, b, model) in pairs {
        let (a, b) = (own(stage, a, schema_of(a, model)), own(stage, b, schema_of(b, model)));
        probes::assert_isolated(&World::new(server, a, b, &stage.database.name), model);
    }
}

/// The attacks of a further role succeed only where those of the tenant's own login do.
fn roles_are_isolated(server: &Server, stage: &Stage, a: &str, b: &str, model: Model) {
    for access in ["reader", "writer", "mover"] {
        let attacker = role(stage, a, &format!("{a}_{access}"), schema_of(a, model));
        no_more_than_the_tenant(server, stage, attacker, b, model);
    }
}

fn no_more_than_the_tenant(server: &Server, stage: &Stage, a: Tenant, b: &str, model: Model) {
    let user = a.user.clone();
    let world = World::new(server, a, own(stage, b, schema_of(b, model)), &stage.database.name);
    let mut surprises = probes::surprises(&probes::run(&world), model);
    // It may do less.
    surprises.retain(|it| !it.contains("although"));
    assert!(surprises.is_empty(), "{user} ({model:?}):\n{}", surprises.join("\n"));
}

/// As the rotation makes the second login of two that take turns.
fn second_login(server: &Server, stage: &Stage, name: &str, schema: &str) -> Tenant {
    let first = own(stage, name, schema);
    let master = server.database_named("postgres").master();
    let (base, clone) = (&first.user, format!("{}_clone", first.user));
    master.exec(&format!(
        "CREATE ROLE {clone} LOGIN CONNECTION LIMIT 4 PASSWORD '{}'; GRANT {base} TO {clone}; \
         ALTER ROLE {clone} SET role = '{base}'",
        first.password
    ));
    Tenant::new(&clone, &first.password, &first.database, schema)
}

fn a_major(major: u32) {
    let server = Server::rds_like(major);
    let stage = Stage::on(&server);
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(tenants()));
    stage.succeed(&mut stack, &create);
    isolated(
        &server,
        &stage,
        &[
            ("acme", "globex", Model::Provider),
            ("initech", "umbrella", Model::Tenant),
            ("hooli", "piper", Model::Schema),
        ],
    );
    for (a, b, model) in [
        ("acme", "globex", Model::Provider),
        ("initech", "umbrella", Model::Tenant),
        ("hooli", "piper", Model::Schema),
    ] {
        roles_are_isolated(&server, &stage, a, b, model);
    }
    let second = second_login(&server, &stage, "acme", "public");
    // A database that lets everybody in when the second login is there.
    server.database_named("postgres").master().exec("CREATE DATABASE later");
    let mut again = tenants();
    again["Nonce"] = "2".into();
    let update = stack.update(stage.properties(again));
    let answer = stage.succeed(&mut stack, &update);
    let closes = "~ database later: CONNECT is taken from PUBLIC";
    assert_eq!(data(&answer, "Plan"), closes, "{major}: {answer:#}");
    let there = Client::try_connect(&server.config(&second.user, &second.password, "later"));
    assert_eq!(there.err().expect("it is closed").sqlstate, "42501");
    no_more_than_the_tenant(&server, &stage, second, "globex", Model::Provider);
    isolated(
        &server,
        &stage,
        &[
            ("globex", "acme", Model::Provider),
            ("umbrella", "initech", Model::Tenant),
            ("piper", "hooli", Model::Schema),
            // What a tenant owns does not let it into another's of another model.
            ("initech", "acme", Model::Tenant),
            ("globex", "umbrella", Model::Provider),
        ],
    );
}

#[test]
fn tenants_that_the_product_makes_are_kept_apart_on_15() {
    a_major(15);
}

#[test]
fn tenants_that_the_product_makes_are_kept_apart_on_16() {
    a_major(16);
}

#[test]
fn tenants_that_the_product_makes_are_kept_apart_on_17() {
    a_major(17);
}

#[test]
fn tenants_that_the_product_makes_are_kept_apart_on_18() {
    a_major(18);
}

/// A session of a further role.
fn session(server: &Server, stage: &Stage, tenant: &str, name: &str) -> Client {
    let it = role(stage, tenant, name, "");
    Client::connect(&server.config(&it.user, &it.password, &it.database))
}

#[test]
fn a_readonly_role_reads_what_its_tenant_has_and_changes_nothing() {
    for major in [15, 18] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut stack = stage.stack();
        let create = stack.create(stage.properties(tenants()));
        stage.succeed(&mut stack, &create);
        for (name, schema) in [("acme", "public"), ("initech", "public"), ("hooli", "hooli")] {
            let owner = logins::session(&server, &stage, name);
            owner.exec(&format!(
                "CREATE TABLE {schema}.orders (id serial, name text); INSERT INTO {schema}.orders VALUES (1, 'x'); \
                 CREATE VIEW {schema}.some AS SELECT * FROM {schema}.orders"
            ));
            let reader = session(&server, &stage, name, &format!("{name}_reader"));
            assert_eq!(reader.value(&format!("SELECT name FROM {schema}.orders")), "x");
            assert_eq!(reader.value(&format!("SELECT name FROM {schema}.some")), "x");
            let attempts = [
                "INSERT INTO $.orders VALUES (2)",
                "UPDATE $.orders SET name = 'y'",
                "UPDATE $.some SET name = 'y'",
                "DELETE FROM $.orders",
                "TRUNCATE $.orders",
                "DROP TABLE $.orders",
                "ALTER TABLE $.orders ADD COLUMN z int",
                "CREATE TABLE $.mine ()",
                "CREATE FUNCTION $.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "CREATE SCHEMA mine",
                "CREATE TEMPORARY TABLE mine ()",
                "SELECT nextval('$.orders_id_seq')",
                "CREATE TRIGGER t BEFORE INSERT ON $.orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
                "DO 'BEGIN LOCK TABLE $.orders IN ACCESS EXCLUSIVE MODE; END'",
            ];
            for attempt in attempts {
                let attempt = attempt.replace('$', schema);
                // Of the target database PUBLIC has TEMPORARY; what is made there is gone at the end.
                if schema != "public" && attempt.contains("TEMPORARY") {
                    continue;
                }
                let refused = reader.refused(&attempt);
                assert_eq!(refused.sqlstate, "42501", "{major} {name}: {attempt}: {refused}");
            }
            let become_owner = reader.refused(&format!("SET ROLE {name}_user"));
            assert_eq!(become_owner.sqlstate, "42501");
            let writer = session(&server, &stage, name, &format!("{name}_writer"));
            writer.exec(&format!("UPDATE {schema}.orders SET name = 'y'"));
            let refused = writer.refused(&format!("DROP TABLE {schema}.orders"));
            assert_eq!(refused.sqlstate, "42501", "{refused}");
        }
    }
}
