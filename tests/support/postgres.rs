//! PostgreSQL as on RDS: a real server whose master role is not a superuser.
//!
//! [`Server::shared`] is one server for the whole test run, with a database per test; roles belong
//! to the server, so tests prefix theirs with [`Database::name`]. [`Server::private`] is for tests
//! that stop or kill the server, or need other settings, [`Server::rds_like`] for those that hold on
//! each of [`MAJORS`]. The superuser is `rdsadmin`, the master is
//! `postgres`, and extensions go through pgextwlist: on the list they are created as the superuser,
//! others are refused.
//!
//! `TEST_DATABASE_URL` replaces the shared server (private ones always need the programs). It is
//! the URL of a superuser that is *not* called `postgres` (with docker: `POSTGRES_USER=rdsadmin`);
//! the server has pgextwlist and answers at `localhost` with TLS. `TEST_DATABASE_CA` is the path of
//! its CA (PEM), `TEST_DATABASE_LOG` of its log, with `log_statement = all` and `log_line_prefix =
//! '<%m %p %u@%d> '`; tests that need them fail without.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::client::Client;
use super::cluster::{Cluster, Run};
use super::instance::Instance;
use super::{processes, tls};

pub use super::embedded::MAJORS;
pub use super::instance::{Settings, Stop};

pub const ADMIN: &str = "rdsadmin";
pub const ADMIN_PASSWORD: &str = "admin-Vb8nT4yLq6";
pub const MASTER: &str = "postgres";
/// A quote, percent signs that look like an encoding, and a part that stays the same however the
/// rest is quoted or encoded.
pub const MASTER_PASSWORD: &str = "it's%20Kx7mQ2zR9pW4%";
/// What to look for where no password may be.
pub const MASTER_PASSWORD_MARK: &str = "Kx7mQ2zR9pW4";

/// What the master may create, as `rds.extensions`; not `file_fdw`, `dblink`, `adminpack`.
pub const EXTENSIONS: [&str; 21] = [
    "postgis",
    "postgis_raster",
    "postgis_topology",
    "postgis_tiger_geocoder",
    "fuzzystrmatch",
    "address_standardizer",
    "address_standardizer_data_us",
    "pgcrypto",
    "pg_trgm",
    "hstore",
    "citext",
    "ltree",
    "uuid-ossp",
    "btree_gin",
    "btree_gist",
    "unaccent",
    "tablefunc",
    "intarray",
    "cube",
    "earthdistance",
    "pg_stat_statements",
];

pub struct Server {
    access: Access,
    instance: Option<Instance>,
}

/// A database of one test, owned by the master.
pub struct Database {
    pub name: String,
    access: Access,
}

/// How the tests themselves get in.
#[derive(Clone)]
struct Access {
    admin: Config,
    host: String,
    port: u16,
}

impl Server {
    /// The server of this test run; the first test to ask starts it.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("TEST_DATABASE_URL") {
            Ok(url) if !url.is_empty() => Self::given(&url),
            _ => {
                let cluster = Cluster::system();
                let _lock = cluster.run.lock();
                let instance = Instance::join(cluster, "shared")
                    .unwrap_or_else(|| Instance::start(cluster, "shared", &Settings::default()));
                Self::of(instance)
            }
        })
    }

    /// A server of this test's own; it goes away with the value.
    pub fn private(settings: &Settings) -> Server {
        Self::start(Cluster::system(), settings)
    }

    /// A private server of this major version, with the same master, from a package of
    /// tests/embedded.
    ///
    /// It has no pgextwlist, so the master creates only the extensions that PostgreSQL trusts
    /// (`pgcrypto`, `hstore`, `citext` …; no PostGIS), and no programs but `initdb` and `postgres`.
    pub fn embedded(major: u32) -> Server {
        Self::start(Cluster::embedded(major), &Settings::default())
    }

    /// A private server of one of [`MAJORS`]: 15 is the machine's own where it is that version,
    /// the others are [`Server::embedded`].
    pub fn rds_like(major: u32) -> Server {
        Self::start(Self::cluster_of(major), &Settings::default())
    }

    /// As [`Server::rds_like`], but one server for all tests of the run: it starts once. What
    /// holds for a whole server is not one test's to change there.
    pub fn shared_rds_like(major: u32) -> Server {
        let cluster = Self::cluster_of(major);
        let _lock = cluster.run.lock();
        let name = format!("shared-{major}");
        let instance = Instance::join(cluster, &name)
            .unwrap_or_else(|| Instance::start(cluster, &name, &Settings::default()));
        Self::of(instance)
    }

    fn cluster_of(major: u32) -> &'static Cluster {
        if major == MAJORS[0] && Run::get().programs.major() == major {
            return Cluster::system();
        }
        Cluster::embedded(major)
    }

    fn start(cluster: &'static Cluster, settings: &Settings) -> Server {
        let name = format!("private-{}", processes::unique());
        Self::of(Instance::start(cluster, &name, settings))
    }

    fn of(instance: Instance) -> Server {
        let mut admin = Config::new();
        admin.user(ADMIN).password(ADMIN_PASSWORD).dbname("postgres");
        admin.host_path(instance.socket_folder()).port(instance.port()).ssl_mode(SslMode::Disable);
        let access = Access { admin, host: "localhost".into(), port: instance.port() };
        Server { access, instance: Some(instance) }
    }

    fn given(url: &str) -> Server {
        let admin: Config = url.parse().expect("TEST_DATABASE_URL is a URL of PostgreSQL's");
        assert_ne!(admin.get_user(), Some(MASTER), "the master of the tests is no superuser");
        let host = match admin.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            _ => "localhost".into(),
        };
        let port = admin.get_ports().first().copied().unwrap_or(5432);
        let server = Server { access: Access { admin, host, port }, instance: None };
        let client = server.admin("postgres");
        // One test process at a time, and the session's end frees it.
        client.exec("SELECT pg_advisory_lock(7305)");
        for sql in setup_sql() {
            client.exec(&sql);
        }
        if client.rows("SELECT FROM pg_database WHERE datname = 'rdsadmin'").is_empty() {
            for sql in RDSADMIN_DATABASE {
                client.exec(sql);
            }
        }
        client.exec("ALTER ROLE postgres SET session_preload_libraries = 'pgextwlist'");
        let list = EXTENSIONS.join(",");
        client.exec(&format!("ALTER ROLE postgres SET extwlist.extensions = '{list}'"));
        drop(client);
        let mut master = server.access.admin.clone();
        master.user(MASTER).password(MASTER_PASSWORD).dbname("postgres");
        if let Err(refused) = Client::try_connect(&master) {
            let major = server.admin("postgres").value("SHOW server_version_num");
            let major = major[..major.len() - 4].to_owned();
            panic!(
                "the master cannot log in: {refused}\nif it is for pgextwlist: apt-get install \
                 postgresql-{major}-pgextwlist"
            );
        }
        server
    }

    /// A fresh database; its name starts with the test's.
    pub fn database(&self) -> Database {
        let name = format!("{}_{}", test_name(), processes::unique());
        self.admin("postgres").exec(&format!("CREATE DATABASE {name} OWNER {MASTER}"));
        Database { name, access: self.access.clone() }
    }

    /// A database by its name, whoever made it.
    pub fn database_named(&self, name: &str) -> Database {
        Database { name: name.to_owned(), access: self.access.clone() }
    }

    /// The superuser. What it runs is not in the server's log.
    pub fn admin(&self, database: &str) -> Client {
        self.access.admin_at(database)
    }

    /// How to log in as `user`; for [`Client::connect`] and [`Client::try_connect`].
    pub fn config(&self, user: &str, password: &str, database: &str) -> Config {
        self.access.config(user, password, database)
    }

    pub fn host(&self) -> &str {
        &self.access.host
    }

    pub fn port(&self) -> u16 {
        self.access.port
    }

    /// The master's secret as RDS writes it.
    pub fn secret_json(&self, database: &Database) -> Value {
        self.secret_json_for(MASTER, MASTER_PASSWORD, &database.name)
    }

    pub fn secret_json_for(&self, user: &str, password: &str, database: &str) -> Value {
        json!({
            "engine": "postgres",
            "host": self.access.host,
            "port": self.access.port,
            "username": user,
            "password": password,
            "dbname": database,
        })
    }

    pub fn ca_pem_path(&self) -> PathBuf {
        match self.instance {
            Some(_) => tls::ca_path(&Run::get().tls()),
            None => given_path("TEST_DATABASE_CA"),
        }
    }

    /// A CA that did not sign the server's certificate.
    pub fn other_ca_pem_path(&self) -> PathBuf {
        tls::other_ca_path(&Run::get().tls())
    }

    /// The server's log so far, with every statement but the superuser's.
    pub fn log(&self) -> String {
        let path = match &self.instance {
            Some(instance) => instance.log_path(),
            None => given_path("TEST_DATABASE_LOG"),
        };
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The part of the log that is about one database; of the shared server's log, a test's own.
    pub fn log_of(&self, database: &Database) -> String {
        let of = format!("@{}> ", database.name);
        let mut taken = false;
        let mut lines = String::new();
        for line in self.log().lines() {
            // The lines after the first of an entry start with a tab.
            if line.starts_with('<') {
                taken = line.contains(&of);
            }
            if taken {
                lines.push_str(line);
                lines.push('\n');
            }
        }
        lines
    }

    /// The postmaster's process id.
    pub fn pid(&self) -> u32 {
        self.own().pid()
    }

    /// SIGKILL to the postmaster and all its children at once; sessions end without a word.
    pub fn kill(&self) {
        self.own().kill();
    }

    pub fn stop(&self, how: Stop) {
        self.own().stop(how);
    }

    /// Starts again on the same port, with the same data; stops first if need be.
    pub fn restart(&self) {
        self.own().restart();
    }

    /// Starts again as a reader; `SELECT pg_promote()` makes it the writer.
    pub fn restart_as_reader(&self) {
        self.own().restart_as_reader();
    }

    #[track_caller]
    fn own(&self) -> &Instance {
        let instance = self.instance.as_ref().expect("not a server given by TEST_DATABASE_URL");
        assert!(instance.is_private(), "the shared server is not one test's to stop");
        instance
    }
}

impl Database {
    /// A new session of the master's.
    pub fn master(&self) -> Client {
        Client::connect(&self.access.config(MASTER, MASTER_PASSWORD, &self.name))
    }

    /// A new session of the superuser's. What it runs is not in the server's log.
    pub fn admin(&self) -> Client {
        self.access.admin_at(&self.name)
    }

    pub fn client(&self, user: &str, password: &str) -> Client {
        Client::connect(&self.access.config(user, password, &self.name))
    }
}

impl Access {
    fn config(&self, user: &str, password: &str, database: &str) -> Config {
        let mut config = self.admin.clone();
        config.user(user).password(password).dbname(database);
        config
    }

    fn admin_at(&self, database: &str) -> Client {
        let mut config = self.admin.clone();
        config.dbname(database);
        config.options("-c log_statement=none -c log_min_error_statement=panic");
        Client::connect(&config)
    }
}

/// RDS's own database, closed to everybody else.
pub const RDSADMIN_DATABASE: [&str; 2] =
    ["CREATE DATABASE rdsadmin", "REVOKE CONNECT ON DATABASE rdsadmin FROM PUBLIC"];

/// Makes the roles as on RDS; also on a server that has them already.
pub fn setup_sql() -> Vec<String> {
    let password = MASTER_PASSWORD.replace('\'', "''");
    vec![
        "DO $$ DECLARE r text; BEGIN
         FOREACH r IN ARRAY '{rds_superuser,rds_password,rds_iam,rds_replication,postgres}'::text[]
         LOOP IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r)
         THEN EXECUTE format('CREATE ROLE %I NOLOGIN', r); END IF; END LOOP; END $$"
            .to_owned(),
        format!(
            "ALTER ROLE {MASTER} LOGIN NOSUPERUSER INHERIT CREATEDB CREATEROLE NOREPLICATION \
             NOBYPASSRLS PASSWORD '{password}' VALID UNTIL 'infinity'"
        ),
        "GRANT pg_monitor, pg_signal_backend, rds_replication, rds_password TO rds_superuser \
         WITH ADMIN OPTION"
            .to_owned(),
        // RDS lets the master grant these two; ADMIN OPTION is how stock PostgreSQL allows it.
        format!("GRANT rds_superuser, rds_iam, rds_password TO {MASTER} WITH ADMIN OPTION"),
        format!("ALTER DATABASE postgres OWNER TO {MASTER}"),
        format!("ALTER DATABASE template1 OWNER TO {MASTER}"),
    ]
}

/// The running test's name as the start of an identifier.
fn test_name() -> String {
    // libtest names the thread after the test; under nextest the test runs on `main`.
    let thread = std::thread::current().name().filter(|name| *name != "main").map(str::to_owned);
    let exact = || {
        let mut arguments = std::env::args().skip_while(|argument| argument != "--exact").skip(1);
        arguments.find(|argument| !argument.starts_with('-'))
    };
    let first = || std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let name = std::env::var("NEXTEST_TEST_NAME").ok().or(thread).or_else(exact).or_else(first);
    let name = name.unwrap_or_default().to_lowercase();
    let name = name.rsplit("::").next().unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    format!("t_{}", name.chars().take(24).collect::<String>().trim_end_matches('_'))
}

fn given_path(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("with TEST_DATABASE_URL this test also needs {variable}"))
        .into()
}
