//! What further roles may do.

use serde_json::{Value, json};

use crate::stage::Stage;
use crate::support::{Client, Server};
use crate::tenancy::{Life, secret, secret_of, session};

fn with_roles(roles: &[(&str, &str)]) -> Value {
    let roles: Vec<_> =
        roles.iter().map(|(name, access)| json!({"Name": name, "Access": access})).collect();
    json!({"Tenants": [{"Name": "acme", "Roles": roles}]})
}

#[track_caller]
fn denied(client: &Client, sql: &str) {
    assert_eq!(client.refused(sql).sqlstate, "42501", "{sql}");
}

#[test]
fn further_roles_may_what_their_access_says_now_and_later() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        life.bring(&with_roles(&[]));
        let own = session(&server, &stage.secrets, &secret("acme"));
        own.exec(
            "CREATE TABLE before (id serial); CREATE SCHEMA more; CREATE TABLE more.before (id serial); \
             CREATE VIEW v AS SELECT 1 AS one; CREATE MATERIALIZED VIEW more.m AS SELECT 1 AS one",
        );
        let all = [("r", "readonly"), ("w", "readwrite"), ("m", "migrate")];
        let all = all.map(|(name, access)| (format!("acme_{name}"), access));
        let all: Vec<_> = all.iter().map(|(name, access)| (name.as_str(), *access)).collect();
        life.bring(&with_roles(&all));
        let role = |name: &str| session(&server, &stage.secrets, &secret_of("acme", name));
        let (reader, writer, migrator) = (role("acme_r"), role("acme_w"), role("acme_m"));
        own.exec("CREATE TABLE after (id serial); CREATE TABLE more.after (id serial)");
        own.exec("CREATE SCHEMA late; CREATE TABLE late.after (id serial)");
        migrator.exec("CREATE TABLE migrated (id serial); CREATE SCHEMA late2; CREATE TABLE late2.x (id serial)");
        for table in ["migrated", "late2.x"] {
            let owner = own.value(&format!(
                "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = '{table}'::regclass"
            ));
            assert_eq!(owner, "acme_user");
        }
        for table in
            ["before", "more.before", "after", "more.after", "late.after", "migrated", "late2.x"]
        {
            writer.exec(&format!("INSERT INTO {table} DEFAULT VALUES; UPDATE {table} SET id = 3"));
            assert_eq!(reader.value(&format!("SELECT id FROM {table}")), "3");
            for verb in
                ["INSERT INTO {} DEFAULT VALUES", "DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}"]
            {
                denied(&reader, &verb.replace("{}", table));
            }
            denied(&writer, &format!("TRUNCATE {table}"));
            writer.exec(&format!("DELETE FROM {table}"));
        }
        reader.exec("SELECT FROM v, more.m");
        for client in [&reader, &writer] {
            denied(client, "CREATE TABLE mine (id int)");
            denied(client, "CREATE SCHEMA mine");
        }
        denied(&reader, "CREATE TEMP TABLE mine (id int)");
        writer.exec("CREATE TEMP TABLE mine (id int)");
        migrator.exec("ALTER TABLE before ADD c int; DROP TABLE more.before");
        assert_eq!(life.bring(&with_roles(&all)), "", "{major}");
    }
}

#[test]
fn a_role_with_another_access_has_no_more_than_that() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        life.bring(&with_roles(&[("acme_x", "migrate"), ("acme_y", "readwrite")]));
        let role = |name: &str| session(&server, &stage.secrets, &secret_of("acme", name));
        role("acme_x").exec("CREATE TABLE t (id serial)");
        let all_readonly = with_roles(&[("acme_x", "readonly"), ("acme_y", "readonly")]);
        let done = life.bring(&all_readonly);
        assert!(done.contains("role acme_x acts as acme_user no more"), "{done}");
        session(&server, &stage.secrets, &secret("acme")).exec("CREATE TABLE later (id serial)");
        for name in ["acme_x", "acme_y"] {
            let client = role(name);
            for table in ["t", "later"] {
                client.exec(&format!("SELECT FROM {table}"));
                denied(&client, &format!("INSERT INTO {table} DEFAULT VALUES"));
                denied(&client, &format!("SELECT nextval('{table}_id_seq')"));
            }
            denied(&client, "CREATE TABLE mine (id int)");
            denied(&client, "CREATE TEMP TABLE mine (id int)");
        }
        let done = life.bring(&with_roles(&[("acme_x", "readwrite"), ("acme_y", "migrate")]));
        assert!(done.contains("role acme_y acts as acme_user"), "{done}");
        role("acme_x").exec("INSERT INTO later DEFAULT VALUES");
        role("acme_y").exec("DROP TABLE t");
    }
}

#[test]
fn what_belongs_to_an_extension_does_not_stop_the_grants() {
    let server = Server::rds_like(15);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let tenant = json!({"Tenants": [{
        "Name": "acme",
        "Extensions": ["postgis"],
        "Roles": [{"Name": "acme_r", "Access": "readonly"}],
    }]});
    life.bring(&tenant);
    session(&server, &stage.secrets, &secret("acme"))
        .exec("CREATE TABLE t (p geometry); INSERT INTO t VALUES ('POINT(1 2)')");
    let reader = session(&server, &stage.secrets, &secret_of("acme", "acme_r"));
    assert_eq!(reader.value("SELECT st_x(p) FROM t"), "1");
    assert_eq!(life.bring(&tenant), "");
}
