//! The probes themselves: on tenants that nobody protected they find the holes, on tenants that
//! are set up by hand as they should be they find none but those that cannot be closed.
//!
//! Whether the product sets up tenants like that is for other tests, which use the same probes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::probes::{Found, Model, Outcome, PROBES, Tenant, World, expected, run};
use support::probes::{succeeded, surprises};
use support::{Client, Server};

const PASSWORD: &str = "tenant-Zq3vN8";
const MAJORS: [u32; 2] = [15, 17];

/// Runs `sql` with `$` as the tenant, once for each of two.
fn for_both(master: &Client, sql: &[&str]) {
    for tenant in ["acme", "globex"] {
        for statement in sql {
            let statement = statement.replace('$', tenant);
            master.exec(&statement.replace("LOGIN", &format!("LOGIN PASSWORD '{PASSWORD}'")));
        }
    }
}

fn tenant(name: &str, database: &str, schema: &str) -> Tenant {
    Tenant::new(&format!("{name}_user"), PASSWORD, database, schema)
}

fn databases<'a>(server: &'a Server, schema_of_victim: &str) -> World<'a> {
    let a = tenant("acme", "acme", "public");
    let b = tenant("globex", "globex", schema_of_victim);
    World::new(server, a, b, "platform")
}

/// A server of this major, with a database of the provider's.
fn server(major: u32) -> (Server, Client) {
    eprintln!("PostgreSQL {major}");
    let server = Server::rds_like(major);
    let master = server.database_named("postgres").master();
    master.exec("CREATE DATABASE platform");
    (server, master)
}

/// What every server with tenants needs, once.
const CLOSED: &str = "REVOKE ALL ON DATABASE postgres, template1, platform FROM PUBLIC";

fn shown(found: &[Found]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn tenants_made_by_create_database_and_grant_are_not_kept_apart() {
    for major in MAJORS {
        let (server, master) = server(major);
        for_both(
            &master,
            &[
                "CREATE DATABASE $",
                "CREATE ROLE $_user LOGIN CONNECTION LIMIT 5 VALID UNTIL 'infinity'",
                "GRANT ALL PRIVILEGES ON DATABASE $ TO $_user",
                "GRANT CONNECT ON DATABASE $ TO $_user",
            ],
        );
        // As the provider's database is another one than `postgres`, 47 comes with 2.
        let found = run(&databases(&server, "own"));
        let holes = [1, 2, 3, 5, 6, 10, 11, 16, 18, 20, 21, 23, 24, 25, 36, 38, 46, 47];
        assert_eq!(succeeded(&found), holes, "{}", shown(&found));
        let unused = found.iter().find(|it| it.number == 41).unwrap();
        assert_eq!(unused.outcome, Outcome::NoEffect);
        // Not even a table can be made.
        let control = found.iter().find(|it| it.number == 42).unwrap();
        assert_eq!(control.outcome, Outcome::Refused("42501".to_owned()));
        assert_ne!(surprises(&found, Model::Provider), Vec::<String>::new());
    }
}

#[test]
fn tenants_that_own_their_databases_and_no_more_are_not_kept_apart() {
    for major in MAJORS {
        let (server, master) = server(major);
        for_both(
            &master,
            &[
                "CREATE ROLE $_user LOGIN CREATEDB",
                "GRANT $_user TO CURRENT_USER",
                "CREATE DATABASE $ OWNER $_user",
                "GRANT ALL PRIVILEGES ON DATABASE $ TO $_user",
            ],
        );
        // The grants of a tenant's database, made in the provider's by mistake.
        for_both(
            &server.database_named("platform").master(),
            &[
                "GRANT ALL ON SCHEMA public TO $_user",
                "GRANT ALL ON ALL TABLES IN SCHEMA public TO $_user",
                "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO $_user",
            ],
        );
        let found = run(&databases(&server, "public"));
        let holes = [
            1, 2, 3, 5, 6, 8, 10, 11, 13, 15, 16, 18, 20, 21, 23, 24, 25, 30, 36, 38, 39, 40, 41,
            42, 43, 46, 47, 48, 49,
        ];
        assert_eq!(succeeded(&found), holes, "{}", shown(&found));
        assert_ne!(surprises(&found, Model::Tenant), Vec::<String>::new());
    }
}

#[test]
fn of_databases_that_the_provider_keeps_only_what_cannot_be_closed_is_open() {
    for major in MAJORS {
        let (server, master) = server(major);
        master.exec(CLOSED);
        for_both(
            &master,
            &[
                "CREATE ROLE $_user LOGIN CONNECTION LIMIT 5",
                "CREATE DATABASE $ CONNECTION LIMIT 20",
                "REVOKE ALL ON DATABASE $ FROM PUBLIC",
                "GRANT CREATE, CONNECT, TEMPORARY ON DATABASE $ TO $_user",
            ],
        );
        for name in ["acme", "globex"] {
            server.database_named(name).master().exec(&format!(
                "BEGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
                 GRANT {name}_user TO CURRENT_USER; ALTER SCHEMA public OWNER TO {name}_user; \
                 REVOKE {name}_user FROM CURRENT_USER; COMMIT"
            ));
        }
        let found = run(&databases(&server, "public"));
        assert_eq!(surprises(&found, Model::Provider), Vec::<String>::new());
        assert_eq!(succeeded(&found), [18, 20, 21, 24, 25, 36, 38, 42, 46]);
    }
}

#[test]
fn of_databases_that_tenants_own_only_what_cannot_be_closed_is_open() {
    for major in MAJORS {
        let (server, master) = server(major);
        master.exec(CLOSED);
        for_both(
            &master,
            &[
                "CREATE ROLE $_user LOGIN CONNECTION LIMIT 5",
                "CREATE DATABASE $ CONNECTION LIMIT 20",
                "REVOKE ALL ON DATABASE $ FROM PUBLIC",
                "BEGIN; GRANT $_user TO CURRENT_USER; ALTER DATABASE $ OWNER TO $_user; \
                 REVOKE $_user FROM CURRENT_USER; COMMIT",
            ],
        );
        let found = run(&databases(&server, "public"));
        assert_eq!(surprises(&found, Model::Tenant), Vec::<String>::new());
        assert_eq!(succeeded(&found), [18, 20, 21, 24, 25, 36, 38, 39, 41, 42, 46, 48, 49]);
    }
}

#[test]
fn of_schemas_in_one_database_the_catalogs_are_open_and_the_data_are_not() {
    for major in MAJORS {
        let (server, master) = server(major);
        master.exec(CLOSED);
        let platform = server.database_named("platform").master();
        for_both(
            &platform,
            &[
                "CREATE ROLE $_user LOGIN CONNECTION LIMIT 5",
                "GRANT CONNECT, TEMPORARY ON DATABASE platform TO $_user",
                "BEGIN; GRANT $_user TO CURRENT_USER; CREATE SCHEMA $ AUTHORIZATION $_user; \
                 REVOKE $_user FROM CURRENT_USER; COMMIT",
            ],
        );
        let (a, b) = (tenant("acme", "platform", "acme"), tenant("globex", "platform", "globex"));
        let found = run(&World::new(&server, a, b, "platform"));
        assert_eq!(surprises(&found, Model::Schema), Vec::<String>::new());
    }
}

#[test]
fn every_probe_that_stays_open_says_why() {
    for model in [Model::Provider, Model::Tenant, Model::Schema] {
        assert!(expected(model).iter().filter_map(|(_, why)| *why).all(|why| why.len() > 20));
    }
    let numbers: Vec<u32> = PROBES.iter().map(|probe| probe.number).collect();
    assert_eq!(numbers, (1..=49).collect::<Vec<_>>());
}
