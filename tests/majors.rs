//! What the product relies on in PostgreSQL 15 to 18, tried with the restricted master of RDS.
//!
//! These tests know nothing of the product. Each is one rule about roles, databases and schemas
//! on which tenants are built; a major that breaks one breaks the product, and says where.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::processes::unique;
use support::{Client, MAJORS, MASTER, MASTER_PASSWORD, Server};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// Insufficient privilege.
const DENIED: &str = "42501";
const PASSWORD: &str = "tenant-Zq3vN8";

/// One test's names on the server of one major: role `$t`, which the master made, and database
/// `$d`, which a test makes if it needs it.
struct Place {
    server: Server,
    major: u32,
    name: String,
}

/// A session in whose statements `$t` and `$d` stand for the test's names.
struct Session<'a> {
    client: Client,
    place: &'a Place,
}

impl Place {
    /// With this test's names.
    fn text(&self, sql: &str) -> String {
        sql.replace('$', &format!("{}_", self.name))
    }

    fn master(&self, database: &str) -> Session<'_> {
        self.master_with(database, "").expect("the master gets in")
    }

    /// A session of the master's that sends `options` when it starts.
    fn master_with(&self, database: &str, options: &str) -> Result<Session<'_>, String> {
        let mut config = self.server.config(MASTER, MASTER_PASSWORD, &self.text(database));
        config.options(self.text(options));
        let client = Client::try_connect(&config).map_err(|refused| refused.sqlstate)?;
        Ok(Session { client, place: self })
    }

    fn log_in(&self, user: &str, database: &str) -> Session<'_> {
        let client = self.server.database_named(&self.text(database));
        Session { client: client.client(&self.text(user), PASSWORD), place: self }
    }

    /// The SQLSTATE that refuses a login.
    fn no_login(&self, user: &str, password: &str, database: &str) -> String {
        let config = self.server.config(&self.text(user), password, &self.text(database));
        match Client::try_connect(&config) {
            Ok(_) => panic!("`{user}` gets into `{database}`"),
            Err(refused) => refused.sqlstate,
        }
    }
}

impl Session<'_> {
    #[track_caller]
    fn exec(&self, sql: &str) {
        self.client.exec(&self.place.text(sql));
    }

    /// One value, in which the test's names are `$t` and `$d` again.
    #[track_caller]
    fn value(&self, sql: &str) -> String {
        self.client.value(&self.place.text(sql)).replace(&format!("{}_", self.place.name), "$")
    }

    #[track_caller]
    fn refused(&self, sql: &str) -> String {
        self.client.refused(&self.place.text(sql)).sqlstate
    }

    #[track_caller]
    fn denied(&self, sql: &str) {
        assert_eq!(self.refused(sql), DENIED, "{sql}");
    }
}

/// Runs `test` on each major.
fn on_each(test: impl Fn(&Place)) {
    for major in MAJORS {
        // Captured, and shown when a test fails.
        eprintln!("PostgreSQL {major}");
        let name = format!("m{}", unique());
        let place = Place { server: Server::shared_rds_like(major), major, name };
        let password = format!("LOGIN PASSWORD '{PASSWORD}'");
        place.master("postgres").exec(&format!("CREATE ROLE $t {password}"));
        test(&place);
    }
}

/// With the master as a member of `$t` in the transaction, and in no committed state.
fn as_member(work: &str) -> String {
    format!("BEGIN; GRANT $t TO CURRENT_USER; {work}; REVOKE $t FROM CURRENT_USER; COMMIT")
}

const OF_DATABASE: &str = "SELECT datdba::regrole || ' ' || datallowconn || ' ' || datconnlimit \
                           || ' ' || coalesce(datacl::text, 'default') \
                           FROM pg_database WHERE datname = '$d'";

#[test]
fn each_server_is_of_its_major_and_has_the_restricted_master() {
    on_each(|place| {
        let mut config = Config::new();
        config.user(MASTER).password(MASTER_PASSWORD).dbname("postgres");
        config.host("localhost").port(place.server.port()).ssl_mode(SslMode::Require);
        let master = Client::connect(&config);
        let version: u32 = master.value("SHOW server_version_num").parse().unwrap();
        assert_eq!(version / 10_000, place.major);
        assert_eq!(master.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "t");
        let rights = "SELECT rolsuper || ' ' || rolcreaterole || ' ' || rolcreatedb \
                      FROM pg_roles WHERE rolname = CURRENT_USER";
        assert_eq!(master.value(rights), "false true true");
        let master = place.master("postgres");
        master.denied("SELECT FROM pg_authid");
        master.exec("CREATE DATABASE $d");
        let inside = place.master("$d");
        inside.exec("CREATE EXTENSION hstore");
        inside.denied("CREATE EXTENSION dblink");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "rdsadmin"), DENIED);
        assert!(place.server.log().contains("statement: CREATE EXTENSION hstore"));
    });
}

#[test]
fn a_database_that_allows_no_connections_is_set_up_before_anybody_gets_in() {
    on_each(|place| {
        let master = place.master("postgres");
        assert_eq!(
            master.refused("BEGIN; CREATE DATABASE $d"),
            "25001",
            "a database is not made in a transaction"
        );
        master.exec("ROLLBACK");
        master.exec("CREATE DATABASE $d ALLOW_CONNECTIONS false CONNECTION LIMIT 7");
        assert_eq!(master.value(OF_DATABASE), "postgres false 7 default");
        assert_eq!(place.no_login("$t", PASSWORD, "$d"), "55000");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "$d"), "55000");
        master.exec("REVOKE ALL ON DATABASE $d FROM PUBLIC");
        master.exec("ALTER DATABASE $d ALLOW_CONNECTIONS true");
        assert_eq!(master.value(OF_DATABASE), "postgres true 7 {postgres=CTc/postgres}");
        assert_eq!(place.no_login("$t", PASSWORD, "$d"), DENIED);
        // The limit of a database holds for the master too.
        master.exec("ALTER DATABASE $d CONNECTION LIMIT 0");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "$d"), "53300");
    });
}

#[test]
fn a_database_is_given_away_and_taken_back_without_a_committed_membership() {
    on_each(|place| {
        let master = place.master("postgres");
        master.denied("CREATE DATABASE $d OWNER $t");
        master.exec("CREATE DATABASE $d");
        master.exec("REVOKE ALL ON DATABASE $d FROM PUBLIC");
        master.denied("ALTER DATABASE $d OWNER TO $t");
        master.exec(&as_member("ALTER DATABASE $d OWNER TO $t"));
        // What the master had as the owner went with it.
        assert_eq!(master.value(OF_DATABASE), "$t true -1 {$t=CTc/$t}");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "$d"), DENIED);
        for sql in [
            "GRANT CONNECT ON DATABASE $d TO CURRENT_USER",
            "ALTER DATABASE $d CONNECTION LIMIT 9",
            "ALTER DATABASE $d ALLOW_CONNECTIONS false",
            "ALTER DATABASE $d SET work_mem = '8MB'",
            "COMMENT ON DATABASE $d IS 'mark'",
            "DROP DATABASE $d",
        ] {
            master.denied(sql);
        }
        master.exec(&as_member(
            "GRANT CONNECT ON DATABASE $d TO CURRENT_USER; ALTER DATABASE $d CONNECTION LIMIT 9; \
             COMMENT ON DATABASE $d IS 'mark'; ALTER DATABASE $d ALLOW_CONNECTIONS false; \
             ALTER DATABASE $d ALLOW_CONNECTIONS true",
        ));
        assert_eq!(master.value(OF_DATABASE), "$t true 9 {$t=CTc/$t,postgres=c/$t}");
        drop(place.master("$d"));

        // Its owner can make it a template, which cannot be dropped.
        place.log_in("$t", "$d").exec("ALTER DATABASE $d IS_TEMPLATE true");
        master.exec(&as_member("ALTER DATABASE $d OWNER TO CURRENT_USER"));
        assert_eq!(master.refused("DROP DATABASE $d WITH (FORCE)"), "42809");
        master.exec("ALTER DATABASE $d IS_TEMPLATE false");
        master.exec("GRANT CONNECT ON DATABASE $d TO $t");
        let open = place.log_in("$t", "$d");
        assert_eq!(master.refused("DROP ROLE $t"), "2BP01", "the database's ACL names it");
        master.exec("DROP DATABASE $d WITH (FORCE)");
        master.exec("DROP ROLE $t");
        drop(open);
    });
}

#[test]
fn what_is_left_of_a_membership_is_seen_by_its_use_and_not_by_its_name() {
    on_each(|place| {
        let master = place.master("postgres");
        // From 16 on, who makes a role is a member that may only administer it.
        let is_new = if place.major > 15 { "t" } else { "f" };
        let has = |how: &str| master.value(&format!("SELECT pg_has_role('$t', '{how}')"));
        assert_eq!((has("MEMBER").as_str(), has("USAGE").as_str()), (is_new, "f"));
        master.denied("SET ROLE $t");
        assert_eq!(place.master_with("postgres", "-c role=$t").err().as_deref(), Some(DENIED));

        master.exec("GRANT $t TO CURRENT_USER");
        assert_eq!((has("MEMBER").as_str(), has("USAGE").as_str()), ("t", "t"));
        let acting = place.master_with("postgres", "-c role=$t").unwrap();
        assert_eq!(acting.value("SELECT CURRENT_USER || ' ' || SESSION_USER"), "$t postgres");
        acting.exec("RESET ROLE");
        assert_eq!(acting.value("SELECT CURRENT_USER"), "$t", "a reset goes back to the option");
        acting.denied("SET SESSION AUTHORIZATION $t");

        // The second time is only a warning.
        master.exec("REVOKE $t FROM CURRENT_USER");
        master.exec("REVOKE $t FROM CURRENT_USER");
        assert_eq!((has("MEMBER").as_str(), has("USAGE").as_str()), (is_new, "f"));

        master.exec("CREATE ROLE $member ROLE CURRENT_USER");
        master.exec("CREATE DATABASE $of_member OWNER $member");
        if place.major > 15 {
            assert_eq!(master.refused("CREATE ROLE $admin ADMIN CURRENT_USER"), "0LP01");
        } else {
            master.exec("CREATE ROLE $admin ADMIN CURRENT_USER");
        }
    });
}

#[test]
fn the_master_changes_its_roles_without_being_a_member() {
    on_each(|place| {
        let master = place.master("postgres");
        master.exec("CREATE ROLE $other");
        for sql in [
            "ALTER ROLE $t CONNECTION LIMIT 5",
            "ALTER ROLE $t NOLOGIN",
            "ALTER ROLE $t LOGIN NOCREATEDB NOCREATEROLE VALID UNTIL 'infinity'",
            "ALTER ROLE $t SET statement_timeout = '5s'",
            "ALTER ROLE $t IN DATABASE postgres SET search_path = $acme",
            "ALTER ROLE $t RESET ALL",
            "COMMENT ON ROLE $t IS 'mark'",
            "GRANT rds_iam TO $t",
            "REVOKE rds_iam FROM $t",
            "GRANT $t TO $other",
            "REVOKE $t FROM $other",
        ] {
            master.exec(sql);
        }
        assert_eq!(master.value("SELECT shobj_description('$t'::regrole, 'pg_authid')"), "mark");
        // Said again in ALTER ROLE, these are refused although they change nothing.
        for word in ["NOSUPERUSER", "NOREPLICATION", "NOBYPASSRLS"] {
            master.denied(&format!("ALTER ROLE $t {word}"));
            master.exec(&format!("CREATE ROLE $said {word}"));
            master.exec("DROP ROLE $said");
        }
        // The role itself may change its settings and its password, and nothing else.
        let tenant = place.log_in("$t", "postgres");
        tenant.exec("ALTER ROLE $t SET work_mem = '8MB'");
        tenant.exec(&format!("ALTER ROLE $t PASSWORD '{PASSWORD}'"));
        for sql in ["ALTER ROLE $t CONNECTION LIMIT 9", "COMMENT ON ROLE $t IS 'another mark'"] {
            tenant.denied(sql);
        }
    });
}

#[test]
fn what_somebody_else_made_is_out_of_reach_and_a_revoke_does_not_say_so() {
    on_each(|place| {
        let admin = place.server.admin("postgres");
        for sql in ["CREATE ROLE $other", "CREATE DATABASE $others OWNER $other"] {
            admin.exec(&place.text(sql));
        }
        let master = place.master("postgres");
        let acl = "SELECT string_agg(concat_ws(' ', datname, privilege_type, grantee), ', ' \
                   ORDER BY datname, privilege_type, grantee) \
                   FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) \
                   WHERE datname IN ('$others', 'rdsadmin', 'template0')";
        let before = master.value(acl);
        for database in ["$others", "rdsadmin", "template0"] {
            master.exec(&format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"));
            master.denied(&format!("COMMENT ON DATABASE {database} IS 'mark'"));
        }
        assert_eq!(master.value(acl), before);
        // Before 16, CREATEROLE reached every role that is no superuser.
        for sql in [
            "ALTER ROLE $other CONNECTION LIMIT 5",
            "COMMENT ON ROLE $other IS 'mark'",
            "GRANT $other TO CURRENT_USER",
        ] {
            if place.major > 15 {
                master.denied(sql);
            } else {
                master.exec(sql);
            }
        }
        // RDS gives these two to the master.
        let closed = "BEGIN; REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC; \
                      SELECT bool_and(datacl::text !~ '[{,]=') FROM pg_database \
                      WHERE datname IN ('postgres', 'template1'); ROLLBACK";
        assert_eq!(master.value(closed), "t");
    });
}

#[test]
fn the_schema_public_is_given_to_a_tenant_that_may_create_nothing_else() {
    on_each(|place| {
        place.master("postgres").exec("CREATE DATABASE $d");
        let master = place.master("$d");
        master.exec("REVOKE ALL ON DATABASE $d FROM PUBLIC");
        master.exec("GRANT CONNECT, TEMPORARY ON DATABASE $d TO $t");
        master.denied("ALTER SCHEMA public OWNER TO $t");
        master.exec(&as_member("ALTER SCHEMA public OWNER TO $t"));
        let acl = "SELECT nspowner::regrole || ' ' || nspacl::text FROM pg_namespace \
                   WHERE nspname = 'public'";
        assert_eq!(master.value(acl), "$t {$t=UC/$t,=U/$t}");
        // Too late for the owner of the database, and only a warning tells.
        master.exec("REVOKE ALL ON SCHEMA public FROM PUBLIC");
        assert_eq!(master.value(acl), "$t {$t=UC/$t,=U/$t}");
        master.exec(&as_member("REVOKE ALL ON SCHEMA public FROM PUBLIC"));
        assert_eq!(master.value(acl), "$t {$t=UC/$t}");

        let tenant = place.log_in("$t", "$d");
        tenant.exec("CREATE TABLE public.orders (); CREATE TEMPORARY TABLE scratch ()");
        for sql in [
            "CREATE SCHEMA more",
            "ALTER DATABASE $d CONNECTION LIMIT 99",
            "ALTER DATABASE $d SET search_path = evil",
        ] {
            tenant.denied(sql);
        }
        // It may drop what it owns, and not make it again.
        tenant.exec("DROP SCHEMA public CASCADE");
        tenant.denied("CREATE SCHEMA public");
        master.exec("GRANT CREATE ON DATABASE $d TO $t");
        tenant.exec("CREATE SCHEMA public; CREATE SCHEMA more");
        // The database's owner is no master over what is inside.
        master.denied("CREATE TABLE public.mine ()");
        master.denied("DROP SCHEMA more");
        tenant.exec("GRANT CONNECT ON DATABASE $d TO PUBLIC");
        let acl = "SELECT datacl FROM pg_database WHERE datname = '$d'";
        assert_eq!(master.value(acl), "{postgres=CTc/postgres,$t=CTc/postgres}");
    });
}

#[test]
fn a_schema_for_a_tenant_is_made_and_marked_by_a_temporary_member() {
    on_each(|place| {
        let master = place.master("postgres");
        master.denied("CREATE SCHEMA $acme AUTHORIZATION $t");
        master.exec(&as_member(
            "CREATE SCHEMA $acme AUTHORIZATION $t; COMMENT ON SCHEMA $acme IS 'mark'",
        ));
        master.denied("COMMENT ON SCHEMA $acme IS 'another mark'");
        master.denied("DROP SCHEMA $acme");
        place.log_in("$t", "postgres").exec("CREATE TABLE $acme.orders ()");
        master.exec(&as_member("DROP SCHEMA $acme CASCADE"));
    });
}

#[test]
fn default_privileges_and_owned_objects_are_a_matter_of_members() {
    on_each(|place| {
        let master = place.master("postgres");
        master.exec("CREATE DATABASE $d");
        master.exec("CREATE ROLE $reader");
        master.exec("GRANT ALL ON DATABASE $d TO $t");
        let tenant = place.log_in("$t", "$d");
        tenant.exec("CREATE SCHEMA s; CREATE TABLE s.orders ()");
        drop(tenant);
        let inside = place.master("$d");
        let default = "ALTER DEFAULT PRIVILEGES FOR ROLE $t GRANT SELECT ON TABLES TO $reader";
        for sql in [default, "REASSIGN OWNED BY $t TO CURRENT_USER", "DROP OWNED BY $t"] {
            inside.denied(sql);
        }
        inside.exec(&as_member(default));
        assert_eq!(inside.value("SELECT defaclrole::regrole FROM pg_default_acl"), "$t");
        inside.exec(&as_member("REASSIGN OWNED BY $t TO CURRENT_USER; DROP OWNED BY $t"));
        let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'orders'";
        assert_eq!(inside.value(owner), MASTER);
        // Its rights on databases go along, wherever it is run.
        let acl = "SELECT datacl FROM pg_database WHERE datname = '$d'";
        assert_eq!(inside.value(acl), "{=Tc/postgres,postgres=CTc/postgres}");
        inside.exec("DROP ROLE $t");
    });
}

#[test]
fn the_owner_of_a_database_sets_what_the_masters_sessions_start_with() {
    on_each(|place| {
        let master = place.master("postgres");
        master.exec("CREATE DATABASE $d");
        master.exec(&as_member(
            "ALTER DATABASE $d OWNER TO $t; GRANT CONNECT ON DATABASE $d TO CURRENT_USER",
        ));
        let tenant = place.log_in("$t", "$d");
        for setting in [
            "search_path = evil",
            "standard_conforming_strings = off",
            "default_transaction_read_only = on",
            "password_encryption = md5",
            "row_security = off",
            "role = $t",
        ] {
            tenant.exec(&format!("ALTER DATABASE $d SET {setting}"));
        }
        for setting in [
            "session_preload_libraries = 'x'",
            "log_statement = 'none'",
            "log_min_messages = 'panic'",
            "execute_sql.working = 'x'",
        ] {
            tenant.denied(&format!("ALTER DATABASE $d SET {setting}"));
        }
        let state = "SELECT concat_ws(' ', CURRENT_USER, current_setting('search_path'), \
                     current_setting('standard_conforming_strings'), \
                     current_setting('default_transaction_read_only'))";
        assert_eq!(place.master("$d").value(state), "postgres evil off on");
        let own = "-c search_path=pg_catalog -c standard_conforming_strings=on \
                   -c default_transaction_read_only=off -c role=none";
        let right = "postgres pg_catalog on off";
        assert_eq!(place.master_with("$d", own).unwrap().value(state), right);
        // A member even becomes the tenant without a word.
        master.exec("GRANT $t TO CURRENT_USER");
        assert_eq!(place.master("$d").value(state), "$t evil off on");
        assert_eq!(place.master_with("$d", own).unwrap().value(state), right);
        master.exec("REVOKE $t FROM CURRENT_USER");

        // A library that is not there keeps everybody out.
        master.exec(&as_member("ALTER DATABASE $d RESET ALL"));
        tenant.exec("SET default_transaction_read_only = off");
        tenant.exec("ALTER DATABASE $d SET local_preload_libraries = 'nosuch'");
        assert_eq!(place.no_login(MASTER, MASTER_PASSWORD, "$d"), "58P01");
        assert!(place.master_with("$d", "-c local_preload_libraries=").is_ok());
        master.exec(&as_member("ALTER DATABASE $d RESET ALL"));
        drop(place.master("$d"));
    });
}

#[test]
fn a_role_that_is_set_to_another_logs_in_as_it() {
    on_each(|place| {
        let master = place.master("postgres");
        master.exec("CREATE DATABASE $d");
        master.exec("REVOKE ALL ON DATABASE $d FROM PUBLIC");
        master.exec(&as_member("ALTER DATABASE $d OWNER TO $t"));
        master.exec(&format!("CREATE ROLE $clone LOGIN PASSWORD '{PASSWORD}'"));
        master.exec("GRANT $t TO $clone");
        // There is a notice that it will be refused, which is about the master.
        master.exec("ALTER ROLE $clone SET role = $t");
        let who = "SELECT CURRENT_USER || ' ' || SESSION_USER";
        let clone = place.log_in("$clone", "$d");
        assert_eq!(clone.value(who), "$t $clone");
        clone.exec("CREATE TABLE public.orders ()");
        let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'orders'";
        assert_eq!(clone.value(owner), "$t");
        clone.exec("DISCARD ALL");
        assert_eq!(clone.value(who), "$t $clone");
        clone.denied("ALTER ROLE $clone RESET role");
        clone.exec("SET ROLE NONE");
        assert_eq!(clone.value(who), "$clone $clone");
        // That the other may not log in, or is at its limit, does not matter.
        master.exec("ALTER ROLE $t NOLOGIN CONNECTION LIMIT 0");
        assert_eq!(place.log_in("$clone", "$d").value(who), "$t $clone");
        master.exec("REVOKE $t FROM $clone");
        assert_eq!(place.no_login("$clone", PASSWORD, "$d"), DENIED);
    });
}
