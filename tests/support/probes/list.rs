//! The attacks, and why some of them stay open.

use super::Attack::{Login, Run, Show, Special};
use super::Exposure::{Always, In, Never};
use super::{At, Attack, Exposure, Model, Probe, special};

const SCHEMA: &[Model] = &[Model::Schema];
const OWNER: &[Model] = &[Model::Tenant];

const ONE_DATABASE: &str = "tenants that are schemas share a database";
const OPEN_CATALOGS: &str = "the catalogs of a database are open to all that connect to it";
const SHARED_CATALOGS: &str = "the catalogs of a server are open to all of its roles; so no names \
                               of customers in names of databases and roles";

const fn probe(number: u32, what: &'static str, attack: Attack, exposure: Exposure) -> Probe {
    Probe { number, what, attack, exposure }
}

/// In the order in which they are made.
pub const PROBES: [Probe; 49] = [
    probe(1, "connect to B's database", Login(At::Victims), In(SCHEMA, ONE_DATABASE)),
    probe(2, "connect to `postgres`", Login(At::Postgres), Never),
    probe(3, "connect to `template1`", Login(At::Template1), Never),
    probe(4, "connect to `rdsadmin`", Login(At::Rdsadmin), Never),
    probe(
        5,
        "make a temporary table in B's database",
        Run(At::Victims, "CREATE TEMPORARY TABLE {new} ()"),
        In(SCHEMA, ONE_DATABASE),
    ),
    probe(
        6,
        "read of B's tables in `pg_class`",
        Show(At::Victims, "SELECT 1 FROM pg_class WHERE relname = '{table}'"),
        In(SCHEMA, OPEN_CATALOGS),
    ),
    probe(7, "read B's table", Run(At::Victims, "SELECT * FROM {b_schema}.{table}"), Never),
    probe(
        8,
        "call B's function that has B's rights",
        Run(At::Victims, "SELECT {b_schema}.{function}()"),
        Never,
    ),
    probe(9, "read B's large object", Run(At::Victims, "SELECT lo_get({object})"), Never),
    probe(
        10,
        "make a large object in B's database",
        Run(At::Victims, "BEGIN; SELECT lo_create(0); ROLLBACK"),
        In(SCHEMA, "large objects are in no schema, and only a superuser can take lo_create away"),
    ),
    probe(
        11,
        "read the text of B's function",
        Show(At::Victims, "SELECT prosrc FROM pg_proc WHERE proname = '{function}'"),
        In(SCHEMA, OPEN_CATALOGS),
    ),
    probe(
        12,
        "make a table in B's schema",
        Run(At::Victims, "BEGIN; CREATE TABLE {b_schema}.{new} (); ROLLBACK"),
        Never,
    ),
    probe(
        13,
        "make a table in `public` of the provider's database",
        Run(At::Admin, "BEGIN; CREATE TABLE public.{new} (); ROLLBACK"),
        Never,
    ),
    probe(
        14,
        "make a schema in the provider's database",
        Run(At::Admin, "BEGIN; CREATE SCHEMA {new}; ROLLBACK"),
        Never,
    ),
    probe(
        15,
        "read a table of the provider's",
        Run(At::Admin, "SELECT * FROM public.{platform}"),
        Never,
    ),
    probe(
        16,
        "take an advisory lock in B's database",
        Run(At::Victims, "SELECT pg_advisory_lock(1)"),
        In(SCHEMA, "advisory locks belong to the database, and anybody can take any"),
    ),
    probe(
        17,
        "see what B's session is running",
        Show(At::Own, "SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND query LIKE '%{mark}%'"),
        Never,
    ),
    probe(
        18,
        "see that B has a session",
        Show(
            At::Own,
            "SELECT 1 FROM pg_stat_activity WHERE (pid, usename, datname) = ({pid}, '{b}', '{b_db}')",
        ),
        Always("pg_stat_activity shows everybody whose sessions there are, not what they do"),
    ),
    probe(19, "end B's session", Run(At::Own, "SELECT pg_terminate_backend({pid})"), Never),
    probe(
        20,
        "list the databases",
        Show(At::Own, "SELECT 1 FROM pg_database WHERE datname = 'rdsadmin'"),
        Always(SHARED_CATALOGS),
    ),
    probe(
        21,
        "list the roles",
        Show(At::Own, "SELECT 1 FROM pg_roles WHERE rolname = '{b}'"),
        Always(SHARED_CATALOGS),
    ),
    probe(
        22,
        "read the stored passwords",
        Run(At::Own, "SELECT rolpassword FROM pg_authid"),
        Never,
    ),
    probe(
        23,
        "learn the size of B's database",
        Run(At::Own, "SELECT pg_database_size('{b_db}')"),
        In(SCHEMA, ONE_DATABASE),
    ),
    probe(
        24,
        "learn how busy B's database is",
        Show(At::Own, "SELECT xact_commit FROM pg_stat_database WHERE datname = '{b_db}'"),
        Always("pg_stat_database shows everybody the counts of all databases"),
    ),
    probe(
        25,
        "read the settings of roles and databases",
        Run(At::Own, "SELECT setconfig FROM pg_db_role_setting"),
        Always(SHARED_CATALOGS),
    ),
    probe(26, "become B", Run(At::Own, "SET ROLE {b}"), Never),
    probe(27, "become the master", Run(At::Own, "SET ROLE {master}"), Never),
    probe(
        28,
        "change B's password",
        Run(At::Own, "BEGIN; ALTER ROLE {b} PASSWORD 'guessed'; ROLLBACK"),
        Never,
    ),
    probe(29, "make a role", Run(At::Own, "BEGIN; CREATE ROLE {new}; ROLLBACK"), Never),
    probe(30, "make a database", Special(special::create_database), Never),
    probe(31, "copy B's database", Special(special::copy_database), Never),
    probe(32, "run a program", Run(At::Own, "COPY (SELECT 1) TO PROGRAM 'true'"), Never),
    probe(33, "read a file", Run(At::Own, "SELECT pg_read_file('PG_VERSION')"), Never),
    probe(34, "install `dblink`", Run(At::Own, "BEGIN; CREATE EXTENSION dblink; ROLLBACK"), Never),
    probe(
        35,
        "install `postgres_fdw`",
        Run(At::Own, "BEGIN; CREATE EXTENSION postgres_fdw; ROLLBACK"),
        Never,
    ),
    probe(
        36,
        "install an extension that PostgreSQL trusts",
        Run(At::Own, "BEGIN; CREATE EXTENSION isn SCHEMA {a_schema}; ROLLBACK"),
        In(
            &[Model::Provider, Model::Tenant],
            "whoever may create in a database may; rds.allowed_extensions narrows which",
        ),
    ),
    probe(
        37,
        "raise its own connection limit",
        Run(At::Own, "BEGIN; ALTER ROLE {a} CONNECTION LIMIT 1000; ROLLBACK"),
        Never,
    ),
    probe(
        38,
        "change its own password, away from the secret's",
        Run(At::Own, "BEGIN; ALTER ROLE {a} PASSWORD 'of its own'; ROLLBACK"),
        Always("every role may; rds.restrict_password_commands closes it"),
    ),
    probe(
        39,
        "raise the connection limit of its database",
        Run(At::Own, "BEGIN; ALTER DATABASE {a_db} CONNECTION LIMIT 1000; ROLLBACK"),
        In(OWNER, "the owner of a database may; the limit of the role holds"),
    ),
    probe(40, "drop its database from another", Special(special::drop_own_database), Never),
    probe(
        41,
        "let everybody into its database",
        Special(special::open_own_database),
        In(OWNER, "the owner of a database grants what it likes on it"),
    ),
    probe(
        42,
        "make a table in its own schema",
        Run(At::Own, "BEGIN; CREATE TABLE {a_schema}.{new} (); ROLLBACK"),
        Always("this is no attack, it is what a tenant is for"),
    ),
    probe(43, "exceed its connection limit", Special(special::exceed_the_limit), Never),
    probe(
        44,
        "change the server's configuration",
        Run(At::Own, "ALTER SYSTEM SET work_mem = '64MB'"),
        Never,
    ),
    probe(
        45,
        "keep its statements from the log",
        Run(At::Own, "SET log_statement = 'none'"),
        Never,
    ),
    probe(
        46,
        "take more memory than others",
        Run(At::Own, "SET work_mem = '4GB'"),
        Always("every session may set it; the settings of a role are only what it starts with"),
    ),
    probe(
        47,
        "connect to the provider's database",
        Login(At::Admin),
        In(SCHEMA, "the schemas of tenants are in it"),
    ),
    probe(
        48,
        "set what the master's sessions in its database start with",
        Run(At::Own, "BEGIN; ALTER DATABASE {a_db} SET search_path = {a_schema}; ROLLBACK"),
        In(OWNER, "the owner of a database may; a session that sends its own settings is safe"),
    ),
    probe(
        49,
        "make its database a template, which cannot be dropped",
        Run(At::Own, "BEGIN; ALTER DATABASE {a_db} IS_TEMPLATE true; ROLLBACK"),
        In(OWNER, "the owner of a database may; so may the master, as a member of it"),
    ),
];
