//! Two roles that take turns: the second one has what the first one has, and keeps nothing.

use serde_json::json;

use crate::stage::{Alternating, Stage};
use crate::support::{Client, MAJORS, MASTER, MASTER_PASSWORD, Server};

fn settings(stage: &Stage<'_>, role: &str) -> String {
    stage.server.admin("postgres").value(&format!(
        "SELECT coalesce(string_agg(coalesce(d.datname, '*') || ' ' || c, ' | ' \
           ORDER BY d.datname, c), '') \
         FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase, \
           unnest(s.setconfig) c WHERE s.setrole = '{role}'::regrole"
    ))
}

fn attributes(stage: &Stage<'_>, role: &str) -> String {
    stage.server.admin("postgres").value(&format!(
        "SELECT concat_ws(' ', rolcanlogin, rolinherit, rolsuper, rolcreaterole, rolcreatedb, \
           rolreplication, rolbypassrls, rolconnlimit, \
           to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD')) \
         FROM pg_roles WHERE rolname = '{role}'"
    ))
}

#[test]
fn the_second_role_has_the_grants_limits_and_settings_of_the_first_on_each_major() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server, Alternating);
        let (user, database) = (&stage.user, &stage.database.name);
        let admin = server.admin("postgres");
        let master = Client::connect(&server.config(MASTER, MASTER_PASSWORD, "postgres"));
        master.exec(&format!(
            r#"ALTER ROLE {user} CONNECTION LIMIT 7 VALID UNTIL '2099-12-31 12:00+00';
               ALTER ROLE {user} SET search_path = "My, ""odd"" schema", "$user", public;
               ALTER ROLE {user} SET statement_timeout = '30s';
               ALTER ROLE {user} SET DateStyle = 'German, DMY';
               ALTER ROLE {user} SET "TimeZone" = 'Europe/Paris';
               ALTER ROLE {user} IN DATABASE {database} SET search_path = '';
               ALTER ROLE {user} IN DATABASE {database} SET work_mem = '8MB'"#
        ));
        // Two that the master may not set.
        admin.exec(&format!("ALTER ROLE {user} SET log_min_duration_statement = 1000"));
        admin.exec(&format!(r"ALTER ROLE {user} SET application.key = 'it''s; a \ value'"));
        stage.rotate().done();

        let clone = stage.clone_name();
        let left = ["log_min_duration_statement=", "application.key="];
        let wanted = settings(&stage, user) + &format!(" | * role={user}");
        let copied = |it: &&str| !left.iter().any(|left| it.contains(left));
        let mut wanted: Vec<_> = wanted.split(" | ").filter(copied).collect();
        let has = settings(&stage, &clone);
        let mut has: Vec<_> = has.split(" | ").collect();
        wanted.sort_unstable();
        has.sort_unstable();
        assert_eq!(has, wanted, "PostgreSQL {major}");
        assert_eq!(attributes(&stage, &clone), "t t f f f f f 7 2099-12-31");
        assert!(stage.function.log().contains("lacks: `application.key`, `log_min_duration"));

        // Whatever is made belongs to the first role, also after a pool has reset the session.
        let session = stage.login(&stage.current());
        session.exec("CREATE TABLE public.made (id int)");
        session.exec("DISCARD ALL");
        session.exec("CREATE TABLE public.made_later (id int)");
        assert_eq!(
            session.value("SELECT current_user || ' ' || session_user"),
            format!("{user} {clone}")
        );
        let owners = "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables \
                      WHERE schemaname = 'public'";
        assert_eq!(stage.database.admin().value(owners), *user);
        // The master has become a member of neither.
        let member = format!("SELECT pg_has_role('{MASTER}', '{user}', 'USAGE')::text");
        assert_eq!(admin.value(&member), "false");
    }
}

#[test]
fn a_second_role_that_was_changed_is_brought_back_in_line() {
    let stage = Stage::new(Alternating);
    let (user, clone, database) = (&stage.user, stage.clone_name(), &stage.database.name);
    for _ in 0..2 {
        stage.rotate().done();
    }
    let master = Client::connect(&stage.server.config(MASTER, MASTER_PASSWORD, "postgres"));
    master.exec(&format!(
        "ALTER ROLE {clone} NOLOGIN NOINHERIT CONNECTION LIMIT 1 VALID UNTIL '2001-01-01';
         ALTER ROLE {clone} SET statement_timeout = '1ms';
         ALTER ROLE {clone} RESET role;
         ALTER ROLE {clone} IN DATABASE {database} SET work_mem = '64kB';
         ALTER ROLE {user} SET lock_timeout = '9s'"
    ));
    stage.rotate().done();
    assert_eq!(settings(&stage, &clone), format!("* lock_timeout=9s | * role={user}"));
    assert_eq!(attributes(&stage, &clone), "t t f f f f f 20");
    stage.login(&stage.current()).exec("SET statement_timeout = 0; CREATE TABLE made ()");
}

#[test]
fn what_the_second_role_owns_goes_to_the_first() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server, Alternating);
        stage.rotate().done();
        let session = stage.login(&stage.current());
        session.exec(
            "SET ROLE NONE; CREATE TABLE public.own (); CREATE SEQUENCE public.own_ids;
             CREATE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        );
        let clone = stage.clone_name();
        let objects = format!(
            "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = '{clone}'::regrole"
        );
        let admin = server.admin(&stage.database.name);
        assert_eq!(admin.value(&objects), "3");
        drop(session);
        stage.rotate().done();
        assert_eq!(admin.value(&objects), "0", "PostgreSQL {major}");
        let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'own'";
        assert_eq!(admin.value(owner), stage.user);
    }
}

#[test]
fn objects_that_somebody_uses_are_handed_over_next_time() {
    let stage = Stage::new(Alternating);
    stage.rotate().done();
    let session = stage.login(&stage.current());
    session.exec("SET ROLE NONE; CREATE TABLE public.own ()");
    session.exec("BEGIN; LOCK public.own");
    stage.rotate().done();
    assert!(stage.function.log().contains("was not handed over"));
    session.exec("COMMIT");
    stage.rotate().done();
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'own'";
    assert_eq!(stage.database.admin().value(owner), stage.user);
}

#[test]
fn a_full_tenant_rotates() {
    let stage = Stage::new(Alternating);
    let (user, database) = (&stage.user, &stage.database.name);
    let admin = stage.server.admin("postgres");
    let master = Client::connect(&stage.server.config(MASTER, MASTER_PASSWORD, "postgres"));
    master.exec(&format!("ALTER ROLE {user} CONNECTION LIMIT 1"));
    let first = stage.login(&stage.current());
    // The first is full, the second one has a slot.
    stage.rotate().done();
    let second = stage.login(&stage.current());
    // Both are full.
    stage.rotate().done();
    assert_eq!(stage.current()["username"], user.as_str());
    // And the database is.
    master.exec(&format!("ALTER DATABASE {database} CONNECTION LIMIT 2"));
    master.exec(&format!("ALTER ROLE {user} CONNECTION LIMIT 20"));
    stage.rotate().done();
    drop((first, second));
    admin.exec(&format!("ALTER DATABASE {database} CONNECTION LIMIT -1"));
    stage.login(&stage.current()).exec("SELECT 1");
}

#[test]
fn a_role_that_acts_as_another_has_a_second_one_that_does_too() {
    // A further login of a tenant's, with `Access: migrate`.
    let stage = Stage::new(Alternating);
    let (owner, migrator) = (&stage.user, format!("{}_m", stage.database.name));
    let master = Client::connect(&stage.server.config(MASTER, MASTER_PASSWORD, "postgres"));
    master.exec(&format!(
        "CREATE ROLE {migrator} LOGIN; GRANT {owner} TO {migrator};
         ALTER ROLE {migrator} SET role TO '{owner}';
         GRANT CONNECT ON DATABASE {} TO {migrator}",
        stage.database.name
    ));
    let password = "migrator-Vv4nQw";
    stage.server.admin("postgres").exec(&format!("ALTER ROLE {migrator} PASSWORD '{password}'"));
    let mut text = stage.current();
    text["username"] = json!(migrator);
    text["password"] = json!(password);
    stage.secrets.put(&stage.secret, &text);
    stage.rotate().done();
    // As provisioning does on its next run.
    master.exec(&format!("GRANT {owner} TO {migrator}_clone"));
    stage.rotate().done();
    stage.rotate().done();
    assert_eq!(stage.current()["username"], format!("{migrator}_clone"));
    stage.login(&stage.current()).exec("CREATE TABLE public.migrated ()");
    let of = "SELECT tableowner FROM pg_tables WHERE tablename = 'migrated'";
    assert_eq!(stage.database.admin().value(of), *owner);
}

#[test]
fn a_role_with_any_name_takes_turns() {
    let stage = Stage::new(Alternating);
    // Roles belong to the server, so the name is unlike any other's.
    let odd = format!("Ö'd\"\\ $$;-- {}", &stage.database.name[stage.database.name.len() - 12..]);
    let (quoted, user) = (odd.replace('"', "\"\""), &stage.user);
    let master = Client::connect(&stage.server.config(MASTER, MASTER_PASSWORD, "postgres"));
    master.exec(&format!("ALTER ROLE {user} RENAME TO \"{quoted}\""));
    let mut text = stage.current();
    text["username"] = json!(odd);
    stage.secrets.put(&stage.secret, &text);
    for name in [format!("{odd}_clone"), odd] {
        stage.rotate().done();
        assert_eq!(stage.current()["username"], name);
        stage.login(&stage.current()).exec("CREATE TABLE IF NOT EXISTS made ()");
    }
}
