//! What is changed from outside is seen by a plan and brought back by the next run.

use serde_json::{Value, json};

use crate::stage::{Stage, data};
use crate::support::{Client, Server};
use crate::tenancy::{Life, secret, secret_of, session};

fn acme() -> Value {
    json!({"Tenants": [{
        "Name": "acme",
        "ConnectionLimit": 10,
        "Settings": {"work_mem": "8MB"},
        "Roles": [
            {"Name": "acme_reader", "Access": "readonly"},
            {"Name": "acme_writer", "Access": "readwrite"},
            {"Name": "acme_migrator", "Access": "migrate"},
        ],
    }]})
}

/// Where it is done, what is done, and what the plan says then.
const DRIFTS: [(&str, &str, &str); 27] = [
    (
        "postgres",
        "ALTER ROLE acme_user CONNECTION LIMIT 3",
        "role acme_user connection limit 3 -> 10",
    ),
    ("postgres", "ALTER ROLE acme_user NOLOGIN", "role acme_user may log in"),
    ("postgres", "ALTER ROLE acme_user VALID UNTIL '2020-01-01'", "its password does not expire"),
    ("postgres", "ALTER ROLE acme_user PASSWORD NULL", "acme_user gets the password of its secret"),
    ("postgres", "ALTER ROLE acme_reader PASSWORD NULL", "acme_reader gets the password of its"),
    (
        "postgres",
        "ALTER DATABASE acme CONNECTION LIMIT 3",
        "database acme connection limit 3 -> 10",
    ),
    ("postgres", "GRANT CONNECT ON DATABASE acme TO PUBLIC", "database acme: nothing for PUBLIC"),
    ("postgres", "REVOKE CONNECT ON DATABASE acme FROM acme_reader", "acme: c for acme_reader"),
    ("postgres", "GRANT CREATE ON DATABASE acme TO acme_reader", "acme: c for acme_reader"),
    ("postgres", "ALTER DATABASE acme OWNER TO acme_user", "acme owner acme_user -> postgres"),
    ("postgres", "COMMENT ON DATABASE acme IS NULL", "database acme: its comment"),
    ("postgres", "COMMENT ON ROLE acme_user IS 'x'", "role acme_user: its comment"),
    ("postgres", "ALTER DATABASE acme SET work_mem = '1MB'", "work_mem = 8MB"),
    ("postgres", "ALTER DATABASE acme RESET ALL", "work_mem = 8MB"),
    ("by the master", "GRANT rds_iam TO acme_user", "role acme_user logs in with a password"),
    (
        "by the master",
        "REVOKE acme_user FROM acme_migrator",
        "role acme_migrator acts as acme_user",
    ),
    (
        "by the master",
        "ALTER ROLE acme_migrator RESET role",
        "role acme_migrator acts as acme_user",
    ),
    ("acme", "ALTER SCHEMA public OWNER TO postgres", "schema public owner postgres -> acme_user"),
    ("acme", "GRANT CREATE ON SCHEMA public TO PUBLIC", "public: PUBLIC makes nothing in it"),
    ("acme", "REVOKE SELECT ON t FROM acme_reader", "acme_reader: its readonly privileges"),
    ("acme", "GRANT INSERT ON t TO acme_reader", "acme_reader: its readonly privileges"),
    (
        "acme",
        "GRANT UPDATE (id) ON t TO acme_reader; GRANT TRUNCATE ON t TO acme_writer",
        "acme_writer: its readwrite privileges",
    ),
    (
        "acme",
        "REVOKE USAGE ON SCHEMA more FROM acme_writer",
        "acme_writer: its readwrite privileges",
    ),
    (
        "acme",
        "REVOKE USAGE ON SEQUENCE more.u_id_seq FROM acme_writer",
        "acme_writer: its readwrite",
    ),
    (
        "acme",
        "ALTER DEFAULT PRIVILEGES FOR ROLE acme_user REVOKE SELECT ON TABLES FROM acme_reader",
        "acme_reader: its readonly privileges",
    ),
    (
        "acme",
        "ALTER DEFAULT PRIVILEGES FOR ROLE acme_user GRANT INSERT ON TABLES TO acme_reader",
        "acme_reader: its readonly privileges",
    ),
    ("acme", "DROP OWNED BY acme_reader; DROP ROLE acme_reader", "role acme_reader (readonly)"),
];

fn brings_back(major: u32) {
    let server = Server::rds_like(major);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    life.bring(&acme());
    session(&server, &stage.secrets, &secret("acme"))
        .exec("CREATE TABLE t (id int); CREATE SCHEMA more; CREATE TABLE more.u (id serial)");
    for (database, sql, said) in DRIFTS {
        match database {
            "by the master" => stage.database.master().exec(sql),
            database => server.admin(database).exec(sql),
        }
        let planned = life.plan(&acme());
        assert!(planned.contains(said), "{sql}\n{planned}");
        let answer = life.apply(&acme());
        assert_eq!(data(&answer, "Plan"), planned, "{sql}");
        assert_eq!(life.plan(&acme()), "", "{sql}");
    }
    life.assert_done(&acme());
    session(&server, &stage.secrets, &secret("acme"));
    let reader = session(&server, &stage.secrets, &secret_of("acme", "acme_reader"));
    assert_eq!(reader.refused("INSERT INTO t VALUES (1)").sqlstate, "42501");
    reader.exec("SELECT FROM t, more.u");
}

#[test]
fn whatever_is_changed_outside_is_seen_and_brought_back() {
    brings_back(15);
}

#[test]
fn whatever_is_changed_outside_is_seen_and_brought_back_on_17() {
    brings_back(17);
}

#[test]
fn a_password_that_the_tenant_changed_itself_becomes_the_one_of_its_secret_again() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let acme = json!({"Tenants": [{"Name": "acme"}]});
    life.bring(&acme);
    let own = session(&server, &stage.secrets, &secret("acme"));
    own.exec(
        "ALTER ROLE acme_user PASSWORD 'my own one'; ALTER ROLE acme_user SET search_path = evil",
    );
    let done = life.bring(&acme);
    assert_eq!(done, "~ tenant acme: role acme_user gets the password of its secret");
    let refused = Client::try_connect(&server.config("acme_user", "my own one", "acme")).err();
    assert_eq!(refused.unwrap().sqlstate, "28P01");
}

#[test]
fn a_membership_that_a_run_left_to_the_master_is_given_back() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        let acme = json!({"Tenants": [{"Name": "acme"}]});
        life.bring(&acme);
        stage.database.master().exec("GRANT acme_user TO CURRENT_USER");
        assert_eq!(life.bring(&acme), "~ tenant acme: role acme_user: the master leaves it");
    }
}

#[test]
fn what_is_gone_is_made_again() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let acme = acme();
    life.bring(&acme);
    stage.secrets.forget(&secret("acme"));
    stage.secrets.forget(&secret_of("acme", "acme_migrator"));
    let done = life.bring(&acme);
    assert!(done.contains("acme_user gets the password of its secret"), "{done}");
    assert!(done.contains("acme_migrator gets the password of its secret"), "{done}");
    server.admin("postgres").exec("DROP DATABASE acme");
    let done = life.bring(&acme);
    assert!(done.contains("+ tenant acme: database acme"), "{done}");
    session(&server, &stage.secrets, &secret("acme")).exec("CREATE TABLE t (id int)");
    // A secret that waits for its deletion comes back as it was.
    let before = stage.secrets.text(&secret("acme"), "AWSCURRENT");
    stage.secrets.change(&secret("acme"), |it| it.deleted = Some(30));
    let done = life.bring(&acme);
    assert!(done.contains("secret /execute-sql/db/acme is restored"), "{done}");
    assert_eq!(stage.secrets.text(&secret("acme"), "AWSCURRENT"), before);
    // Another one of the same name is another one.
    let admin = server.admin("postgres");
    admin.exec("DROP DATABASE acme; ");
    admin.exec("CREATE DATABASE acme");
    let reason = life.fail(&acme);
    assert!(
        reason.contains("database `acme` is another one than the one that this resource made"),
        "{reason}"
    );
}

#[test]
fn what_a_tenant_does_to_the_database_that_it_owns_is_brought_back() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        let acme =
            json!({"Tenants": [{"Name": "acme", "Owner": "tenant", "Extensions": ["hstore"]}]});
        life.bring(&acme);
        let own = session(&server, &stage.secrets, &secret("acme"));
        for (sql, said) in [
            ("GRANT CONNECT ON DATABASE acme TO PUBLIC", "database acme: nothing for PUBLIC"),
            ("REVOKE ALL ON DATABASE acme FROM postgres", "database acme: CTc for postgres"),
            ("COMMENT ON DATABASE acme IS 'mine'", "database acme: its comment"),
            (
                "ALTER DATABASE acme CONNECTION LIMIT 1000",
                "database acme connection limit 1000 -> 50",
            ),
            (
                "GRANT CREATE ON SCHEMA public TO PUBLIC",
                "schema public: PUBLIC makes nothing in it",
            ),
            (
                "REVOKE ALL ON DATABASE acme FROM postgres; ALTER DATABASE acme SET search_path = x; \
              DROP EXTENSION IF EXISTS hstore",
                "database acme: CTc for postgres",
            ),
        ] {
            for sql in sql.split("; ") {
                drop(own.try_rows(sql));
            }
            let done = life.bring(&acme);
            assert!(done.contains(said), "{major}: {sql}\n{done}");
        }
    }
}
