//! What the product relies on in PostgreSQL 15 to 18, tried with the restricted master of RDS.
//!
//! These tests know nothing of the product. Each is one rule about roles, databases and schemas
//! on which tenants are built; a major that breaks one breaks the product, and says where.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{Client, MAJORS, MASTER, MASTER_PASSWORD, Server};
use tokio_postgres::config::SslMode;

/// Insufficient privilege.
const DENIED: &str = "42501";
const PASSWORD: &str = "tenant-Zq3vN8";

/// A server of one major with role `t` that the master made.
struct Place {
    server: Server,
    major: u32,
}

impl Place {
    fn master(&self, database: &str) -> Client {
        self.server.database_named(database).master()
    }

    fn log_in(&self, user: &str, database: &str) -> Client {
        self.server.database_named(database).client(user, PASSWORD)
    }

    /// The SQLSTATE that refuses a login.
    fn no_login(&self, user: &str, password: &str, database: &str) -> String {
        match Client::try_connect(&self.server.config(user, password, database)) {
            Ok(_) => panic!("`{user}` gets into `{database}`"),
            Err(refused) => refused.sqlstate,
        }
    }

    /// A session of the master's that sends `options` when it starts.
    fn master_with(&self, database: &str, options: &str) -> Result<Client, String> {
        let mut config = self.server.config(MASTER, MASTER_PASSWORD, database);
        config.options(options);
        Client::try_connect(&config).map_err(|refused| refused.sqlstate)
    }
}

#[track_caller]
fn denied(client: &Client, sql: &str) {
    assert_eq!(client.refused(sql).sqlstate, DENIED, "{sql}");
}

/// Runs `test` on each major.
fn on_each(test: impl Fn(&Place)) {
    for major in MAJORS {
        // Captured, and shown when a test fails.
        println!("PostgreSQL {major}");
        let place = Place { server: Server::rds_like(major), major };
        let password = format!("LOGIN PASSWORD '{PASSWORD}'");
        place.master("postgres").exec(&format!("CREATE ROLE t {password}"));
        place.server.admin("postgres").exec(&format!("CREATE ROLE foreign_role {password}"));
        place.server.admin("postgres").exec("CREATE DATABASE foreign_db OWNER foreign_role");
        test(&place);
    }
}

/// With the master as a member of `t` in the transaction, and in no committed state.
fn as_member(work: &str) -> String {
    format!("BEGIN; GRANT t TO CURRENT_USER; {work}; REVOKE t FROM CURRENT_USER; COMMIT")
}

const OF_DATABASE: &str = "SELECT datdba::regrole || ' ' || datallowconn || ' ' || datconnlimit \
                           || ' ' || coalesce(datacl::text, 'default') \
                           FROM pg_database WHERE datname = 'd'";

#[test]
fn each_server_is_of_its_major_and_has_the_restricted_master() {
    on_each(|place| {
        let mut config = place.server.config(MASTER, MASTER_PASSWORD, "postgres");
        config = {
            let mut tls = tokio_postgres::Config::new();
            tls.user(MASTER).password(MASTER_PASSWORD).dbname("postgres");
            tls.host("localhost").port(config.get_ports()[0]).ssl_mode(SslMode::Require);
            tls
        };
        let master = Client::connect(&config);
        let version: u32 = master.value("SHOW server_version_num").parse().unwrap();
        assert_eq!(version / 10_000, place.major);
        assert_eq!(master.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "t");
        let rights = "SELECT rolsuper || ' ' || rolcreaterole || ' ' || rolcreatedb \
                      FROM pg_roles WHERE rolname = CURRENT_USER";
        assert_eq!(master.value(rights), "false true true");
        denied(&master, "SELECT FROM pg_authid");
        master.exec("CREATE EXTENSION hstore");
        denied(&master, "CREATE EXTENSION dblink");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "rdsadmin"), DENIED);
        assert!(place.server.log().contains("statement: CREATE EXTENSION hstore"));
    });
}

#[test]
fn a_database_that_allows_no_connections_is_set_up_before_anybody_gets_in() {
    on_each(|place| {
        let master = place.master("postgres");
        assert_eq!(
            master.refused("BEGIN; CREATE DATABASE d").sqlstate,
            "25001",
            "a database is not made in a transaction"
        );
        master.exec("ROLLBACK");
        master.exec("CREATE DATABASE d ALLOW_CONNECTIONS false CONNECTION LIMIT 7");
        assert_eq!(master.value(OF_DATABASE), "postgres false 7 default");
        assert_eq!(place.no_login("t", PASSWORD, "d"), "55000");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "d"), "55000");
        master.exec("REVOKE ALL ON DATABASE d FROM PUBLIC");
        master.exec("ALTER DATABASE d ALLOW_CONNECTIONS true");
        assert_eq!(master.value(OF_DATABASE), "postgres true 7 {postgres=CTc/postgres}");
        assert_eq!(place.no_login("t", PASSWORD, "d"), DENIED);
        // The limit of a database holds for the master too.
        master.exec("ALTER DATABASE d CONNECTION LIMIT 0");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "d"), "53300");
    });
}

#[test]
fn a_database_is_given_away_and_taken_back_without_a_committed_membership() {
    on_each(|place| {
        let master = place.master("postgres");
        denied(&master, "CREATE DATABASE d OWNER t");
        master.exec("CREATE DATABASE d");
        master.exec("REVOKE ALL ON DATABASE d FROM PUBLIC");
        denied(&master, "ALTER DATABASE d OWNER TO t");
        master.exec(&as_member("ALTER DATABASE d OWNER TO t"));
        // What the master had as the owner went with it.
        assert_eq!(master.value(OF_DATABASE), "t true -1 {t=CTc/t}");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "d"), DENIED);
        for sql in [
            "GRANT CONNECT ON DATABASE d TO CURRENT_USER",
            "ALTER DATABASE d CONNECTION LIMIT 9",
            "ALTER DATABASE d ALLOW_CONNECTIONS false",
            "ALTER DATABASE d SET work_mem = '8MB'",
            "COMMENT ON DATABASE d IS 'mark'",
            "DROP DATABASE d",
        ] {
            denied(&master, sql);
        }
        master.exec(&as_member(
            "GRANT CONNECT ON DATABASE d TO CURRENT_USER; ALTER DATABASE d CONNECTION LIMIT 9; \
             COMMENT ON DATABASE d IS 'mark'; ALTER DATABASE d ALLOW_CONNECTIONS false; \
             ALTER DATABASE d ALLOW_CONNECTIONS true",
        ));
        assert_eq!(master.value(OF_DATABASE), "t true 9 {t=CTc/t,postgres=c/t}");
        drop(place.master("d"));

        // Its owner can make it a template, which cannot be dropped.
        place.log_in("t", "d").exec("ALTER DATABASE d IS_TEMPLATE true");
        master.exec(&as_member("ALTER DATABASE d OWNER TO CURRENT_USER"));
        assert_eq!(master.refused("DROP DATABASE d WITH (FORCE)").sqlstate, "42809");
        master.exec("ALTER DATABASE d IS_TEMPLATE false");
        let session = master.rows("SELECT 1 FROM pg_auth_members WHERE roleid = 't'::regrole");
        assert_eq!(session.len(), usize::from(place.major > 15), "only the row that 16 adds");
        master.exec("GRANT CONNECT ON DATABASE d TO t");
        let open = place.log_in("t", "d");
        assert_eq!(master.refused("DROP ROLE t").sqlstate, "2BP01", "the database's ACL names it");
        master.exec("DROP DATABASE d WITH (FORCE)");
        master.exec("DROP ROLE t");
        drop(open);
    });
}

#[test]
fn what_is_left_of_a_membership_is_seen_by_its_use_and_not_by_its_name() {
    on_each(|place| {
        let master = place.master("postgres");
        // From 16 on, who makes a role is a member that may only administer it.
        let is_new = if place.major > 15 { "t" } else { "f" };
        let has = |how: &str| master.value(&format!("SELECT pg_has_role('t', '{how}')"));
        assert_eq!((has("MEMBER").as_str(), has("USAGE").as_str()), (is_new, "f"));
        denied(&master, "SET ROLE t");
        assert_eq!(place.master_with("postgres", "-c role=t").err().as_deref(), Some(DENIED));

        master.exec("GRANT t TO CURRENT_USER");
        assert_eq!((has("MEMBER").as_str(), has("USAGE").as_str()), ("t", "t"));
        let acting = place.master_with("postgres", "-c role=t").unwrap();
        assert_eq!(acting.value("SELECT CURRENT_USER || ' ' || SESSION_USER"), "t postgres");
        acting.exec("RESET ROLE");
        assert_eq!(acting.value("SELECT CURRENT_USER"), "t", "a reset goes back to the option");
        denied(&acting, "SET SESSION AUTHORIZATION t");

        // The second time is only a warning.
        master.exec("REVOKE t FROM CURRENT_USER");
        master.exec("REVOKE t FROM CURRENT_USER");
        assert_eq!((has("MEMBER").as_str(), has("USAGE").as_str()), (is_new, "f"));

        master.exec("CREATE ROLE member_at_once ROLE CURRENT_USER");
        master.exec("CREATE DATABASE of_member OWNER member_at_once");
        let admin = master.try_rows("CREATE ROLE admin_at_once ADMIN CURRENT_USER");
        let expected = (place.major > 15).then_some("0LP01");
        assert_eq!(admin.err().map(|refused| refused.sqlstate).as_deref(), expected);
    });
}

#[test]
fn the_master_changes_its_roles_without_being_a_member() {
    on_each(|place| {
        let master = place.master("postgres");
        master.exec("CREATE ROLE other");
        for sql in [
            "ALTER ROLE t CONNECTION LIMIT 5",
            "ALTER ROLE t NOLOGIN",
            "ALTER ROLE t LOGIN NOCREATEDB NOCREATEROLE VALID UNTIL 'infinity'",
            "ALTER ROLE t SET statement_timeout = '5s'",
            "ALTER ROLE t IN DATABASE postgres SET search_path = acme",
            "ALTER ROLE t RESET ALL",
            "COMMENT ON ROLE t IS 'mark'",
            "GRANT rds_iam TO t",
            "REVOKE rds_iam FROM t",
            "GRANT t TO other",
            "REVOKE t FROM other",
        ] {
            master.exec(sql);
        }
        assert_eq!(master.value("SELECT shobj_description('t'::regrole, 'pg_authid')"), "mark");
        // Said again in ALTER ROLE, these are refused although they change nothing.
        for word in ["NOSUPERUSER", "NOREPLICATION", "NOBYPASSRLS"] {
            denied(&master, &format!("ALTER ROLE t {word}"));
            master.exec(&format!("CREATE ROLE said_at_first {word}"));
            master.exec("DROP ROLE said_at_first");
        }
        // The role itself may change its settings and its password, and nothing else.
        let tenant = place.log_in("t", "postgres");
        tenant.exec("ALTER ROLE t SET work_mem = '8MB'");
        tenant.exec(&format!("ALTER ROLE t PASSWORD '{PASSWORD}'"));
        for sql in ["ALTER ROLE t CONNECTION LIMIT 9", "COMMENT ON ROLE t IS 'another mark'"] {
            denied(&tenant, sql);
        }
    });
}

#[test]
fn what_somebody_else_made_is_out_of_reach_and_a_revoke_says_nothing() {
    on_each(|place| {
        let master = place.master("postgres");
        for sql in [
            "ALTER ROLE foreign_role CONNECTION LIMIT 5",
            "COMMENT ON ROLE foreign_role IS 'mark'",
            "GRANT foreign_role TO CURRENT_USER",
        ] {
            if place.major > 15 {
                denied(&master, sql);
            } else {
                master.exec(sql);
            }
        }
        let acl = "SELECT string_agg(datname || coalesce(datacl::text, '-'), ' ' ORDER BY oid) \
                   FROM pg_database WHERE datname IN ('foreign_db', 'rdsadmin', 'template0')";
        let before = place.server.admin("postgres").value(acl);
        for database in ["foreign_db", "rdsadmin", "template0"] {
            // A member of the owner has its rights.
            master.exec("RESET ROLE; REVOKE foreign_role FROM CURRENT_USER") // on 15 it became one
        }
        for database in ["foreign_db", "rdsadmin", "template0"] {
            master.exec(&format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"));
            denied(&master, &format!("COMMENT ON DATABASE {database} IS 'mark'"));
        }
        assert_eq!(master.value(acl), before);

        master.exec("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC");
        assert_eq!(place.no_login("t", PASSWORD, "postgres"), DENIED);
        assert_eq!(place.no_login("t", PASSWORD, "template1"), DENIED);
    });
}

#[test]
fn the_schema_public_is_given_to_a_tenant_that_may_create_nothing_else() {
    on_each(|place| {
        place.master("postgres").exec("CREATE DATABASE d");
        let master = place.master("d");
        master.exec("REVOKE ALL ON DATABASE d FROM PUBLIC");
        master.exec("GRANT CONNECT, TEMPORARY ON DATABASE d TO t");
        denied(&master, "ALTER SCHEMA public OWNER TO t");
        master.exec(&as_member("ALTER SCHEMA public OWNER TO t"));
        let acl = "SELECT nspowner::regrole || ' ' || nspacl::text FROM pg_namespace \
                   WHERE nspname = 'public'";
        assert_eq!(master.value(acl), "t {t=UC/t,=U/t}");
        // Too late for the owner of the database, and only a warning tells.
        master.exec("REVOKE ALL ON SCHEMA public FROM PUBLIC");
        assert_eq!(master.value(acl), "t {t=UC/t,=U/t}");
        master.exec(&as_member("REVOKE ALL ON SCHEMA public FROM PUBLIC"));
        assert_eq!(master.value(acl), "t {t=UC/t}");

        let tenant = place.log_in("t", "d");
        tenant.exec("CREATE TABLE public.orders (); CREATE TEMPORARY TABLE scratch ()");
        for sql in [
            "CREATE SCHEMA more",
            "ALTER DATABASE d CONNECTION LIMIT 99",
            "ALTER DATABASE d SET search_path = evil",
        ] {
            denied(&tenant, sql);
        }
        // It may drop what it owns, and not make it again.
        tenant.exec("DROP SCHEMA public CASCADE");
        denied(&tenant, "CREATE SCHEMA public");
        master.exec("GRANT CREATE ON DATABASE d TO t");
        tenant.exec("CREATE SCHEMA public; CREATE SCHEMA more");
        // The database's owner is no master over what is inside.
        denied(&master, "CREATE TABLE public.mine ()");
        denied(&master, "DROP SCHEMA more");
        tenant.exec("GRANT CONNECT ON DATABASE d TO PUBLIC");
        let acl = "SELECT datacl FROM pg_database WHERE datname = 'd'";
        assert_eq!(master.value(acl), "{postgres=CTc/postgres,t=CTc/postgres}");
    });
}

#[test]
fn a_schema_for_a_tenant_is_made_and_marked_by_a_temporary_member() {
    on_each(|place| {
        let master = place.master("postgres");
        denied(&master, "CREATE SCHEMA acme AUTHORIZATION t");
        master.exec(&as_member(
            "CREATE SCHEMA acme AUTHORIZATION t; COMMENT ON SCHEMA acme IS 'mark'",
        ));
        denied(&master, "COMMENT ON SCHEMA acme IS 'another mark'");
        denied(&master, "DROP SCHEMA acme");
        place.log_in("t", "postgres").exec("CREATE TABLE acme.orders ()");
        master.exec(&as_member("DROP SCHEMA acme CASCADE"));
    });
}

#[test]
fn default_privileges_and_owned_objects_are_a_matter_of_members() {
    on_each(|place| {
        let master = place.master("postgres");
        master.exec("CREATE DATABASE d; ");
        master.exec("CREATE ROLE reader");
        master.exec("GRANT ALL ON DATABASE d TO t");
        let tenant = place.log_in("t", "d");
        tenant.exec("CREATE SCHEMA s; CREATE TABLE s.orders ()");
        drop(tenant);
        let inside = place.master("d");
        let default = "ALTER DEFAULT PRIVILEGES FOR ROLE t GRANT SELECT ON TABLES TO reader";
        for sql in [default, "REASSIGN OWNED BY t TO CURRENT_USER", "DROP OWNED BY t"] {
            denied(&inside, sql);
        }
        inside.exec(&as_member(default));
        assert_eq!(inside.value("SELECT defaclrole::regrole FROM pg_default_acl"), "t");
        inside.exec(&as_member("REASSIGN OWNED BY t TO CURRENT_USER; DROP OWNED BY t"));
        let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'orders'";
        assert_eq!(inside.value(owner), MASTER);
        // Its rights on databases go along, also on others than this one.
        let acl = "SELECT datacl FROM pg_database WHERE datname = 'd'";
        assert_eq!(inside.value(acl), "{=Tc/postgres,postgres=CTc/postgres}");
        inside.exec("DROP ROLE t");
    });
}

#[test]
fn the_owner_of_a_database_sets_what_the_masters_sessions_start_with() {
    on_each(|place| {
        let master = place.master("postgres");
        master.exec("CREATE DATABASE d");
        master.exec(&as_member(
            "ALTER DATABASE d OWNER TO t; GRANT CONNECT ON DATABASE d TO CURRENT_USER",
        ));
        let tenant = place.log_in("t", "d");
        for setting in [
            "search_path = evil",
            "standard_conforming_strings = off",
            "default_transaction_read_only = on",
            "password_encryption = md5",
            "row_security = off",
            "role = t",
        ] {
            tenant.exec(&format!("ALTER DATABASE d SET {setting}"));
        }
        for setting in [
            "session_preload_libraries = 'x'",
            "log_statement = 'none'",
            "log_min_messages = 'panic'",
            "execute_sql.working = 'x'",
        ] {
            denied(&tenant, &format!("ALTER DATABASE d SET {setting}"));
        }
        let state = "SELECT concat_ws(' ', CURRENT_USER, current_setting('search_path'), \
                     current_setting('standard_conforming_strings'), \
                     current_setting('default_transaction_read_only'))";
        assert_eq!(place.master("d").value(state), "postgres evil off on");
        let own = "-c search_path=pg_catalog -c standard_conforming_strings=on \
                   -c default_transaction_read_only=off -c role=none";
        let right = "postgres pg_catalog on off";
        assert_eq!(place.master_with("d", own).unwrap().value(state), right);
        // A member even becomes the tenant without a word.
        master.exec("GRANT t TO CURRENT_USER");
        assert_eq!(place.master("d").value(state), "t evil off on");
        assert_eq!(place.master_with("d", own).unwrap().value(state), right);
        master.exec("REVOKE t FROM CURRENT_USER");

        // A library that is not there keeps everybody out.
        master.exec(&as_member("ALTER DATABASE d RESET ALL"));
        tenant.exec("SET default_transaction_read_only = off");
        tenant.exec("ALTER DATABASE d SET local_preload_libraries = 'nosuch'");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "d"), "58P01");
        assert!(place.master_with("d", "-c local_preload_libraries=").is_ok());
        master.exec(&as_member("ALTER DATABASE d RESET ALL"));
        drop(place.master("d"));
    });
}

#[test]
fn a_role_that_is_set_to_another_logs_in_as_it() {
    on_each(|place| {
        let master = place.master("postgres");
        master.exec("CREATE DATABASE d");
        master.exec("REVOKE ALL ON DATABASE d FROM PUBLIC");
        master.exec(&as_member("ALTER DATABASE d OWNER TO t"));
        master.exec(&format!("CREATE ROLE clone LOGIN PASSWORD '{PASSWORD}'"));
        master.exec("GRANT t TO clone");
        // There is a notice that it will be refused, which is about the master.
        master.exec("ALTER ROLE clone SET role = t");
        let who = "SELECT CURRENT_USER || ' ' || SESSION_USER";
        let clone = place.log_in("clone", "d");
        assert_eq!(clone.value(who), "t clone");
        clone.exec("CREATE TABLE public.orders ()");
        let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'orders'";
        assert_eq!(clone.value(owner), "t");
        clone.exec("DISCARD ALL");
        assert_eq!(clone.value(who), "t clone");
        denied(&clone, "ALTER ROLE clone RESET role");
        clone.exec("SET ROLE NONE");
        assert_eq!(clone.value(who), "clone clone");
        // That the other may not log in, or is at its limit, does not matter.
        master.exec("ALTER ROLE t NOLOGIN CONNECTION LIMIT 0");
        assert_eq!(place.log_in("clone", "d").value(who), "t clone");
        master.exec("REVOKE t FROM clone");
        assert_eq!(place.no_login("clone", PASSWORD, "d"), DENIED);
    });
}
