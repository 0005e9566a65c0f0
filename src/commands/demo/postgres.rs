//! A throw-away PostgreSQL that is set up as on RDS, and what an application sees in it.
//!
//! As there, the superuser is `rdsadmin`, the master `postgres` is not a
//! superuser, passwords are checked by SCRAM and connections by TLS. The server
//! listens on loopback only. Data are not flushed to disk: nobody needs them
//! after the demo.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use secrecy::{ExposeSecret, SecretString};
use tokio::process::Child;
use tokio::time::Instant;

use super::certificates;
use super::guard::{Guard, Owner, give};
use super::missing::{self, Programs};
use crate::desired::SslMode;
use crate::postgres::{Connectors, Endpoint, Session, SessionOptions, connect};
use crate::sql::literal;

/// The database that the demo is about.
pub const DATABASE: &str = "app";
const ADMIN: &str = "rdsadmin";
/// The role that the stack uses.
pub const MASTER: &str = "postgres";

/// What the master may install though it is no superuser, as `rds.extensions` says it on RDS.
const EXTENSIONS: &str = "postgis,postgis_raster,postgis_topology,postgis_tiger_geocoder,\
    fuzzystrmatch,address_standardizer,pgcrypto,pg_trgm,hstore,citext,unaccent";

/// How long a start may take; a loaded machine needs a few seconds.
const START_LIMIT: Duration = Duration::from_secs(40);

/// A running server.
pub struct Server {
    /// Its TCP port on `localhost`.
    pub port: u16,
    /// The certificate of the authority that signed the server's, in PEM form.
    pub authority: String,
    /// The master's password.
    pub password: SecretString,
    /// As the server says it, without what the packager adds.
    pub version: String,
    /// Whether the master is as restricted as on RDS.
    pub restricted: bool,
}

/// The versions that the server can install.
pub struct Offer {
    /// Of PostGIS.
    pub postgis: String,
    /// Of pgcrypto.
    pub pgcrypto: String,
}

/// Starts the server and makes the roles and the database.
pub async fn start(guard: &Guard, programs: &Programs) -> Result<Server> {
    let owner = programs.postgres_owner;
    let folder = guard.make_folder("postgres", owner)?;
    let authority = guard.folder().join("ca.pem");
    let made = certificates::make().context("make certificates")?;
    write(&authority, &made.authority, None)?;
    write(&folder.join("server.crt"), &made.server, owner)?;
    write(&folder.join("server.key"), &made.key, owner)?;
    let admin_password = password()?;
    let password_file = folder.join("password");
    write(&password_file, admin_password.expose_secret().as_bytes(), owner)?;
    initdb(&folder, programs).await?;
    fs::remove_file(&password_file)?;

    let port = super::free_port()?;
    let settings = SETTINGS.replace("PORT", &port.to_string());
    let log = fs::File::create(folder.join("log")).context("make the server's log")?;
    let mut process = Guard::command(&folder, "QUIT", &programs.postgres.join("postgres"), owner)
        .args(["-D", "data"])
        .args(settings.lines().flat_map(|line| ["-c", line]))
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start `postgres`")?;
    let mut server = Server {
        port,
        authority: authority.display().to_string(),
        password: password()?,
        version: String::new(),
        restricted: true,
    };
    let admin = server.wait_for(&mut process, &admin_password, &folder).await?;
    set_up(&mut server, &admin).await?;
    admin.close().await;
    Ok(server)
}

/// `hostssl` alone, so that a client that does without TLS is turned away.
const ACCESS: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\n";

const SETTINGS: &str = "listen_addresses=127.0.0.1
port=PORT
unix_socket_directories=
ssl=on
ssl_cert_file=../server.crt
ssl_key_file=../server.key
password_encryption=scram-sha-256
dynamic_shared_memory_type=mmap
shared_buffers=32MB
max_connections=30
fsync=off
synchronous_commit=off
full_page_writes=off
autovacuum=off
jit=off
cluster_name=execute-sql demo";

async fn initdb(folder: &Path, programs: &Programs) -> Result<()> {
    let output =
        Guard::command(folder, "KILL", &programs.postgres.join("initdb"), programs.postgres_owner)
            .args(["--pgdata=data", "--no-sync", "--auth=scram-sha-256", "--pwfile=password"])
            .args([
                &format!("--username={ADMIN}"),
                "--encoding=UTF8",
                "--locale=C",
                "--wal-segsize=1",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .await
            .context("run `initdb`")?;
    if !output.status.success() {
        bail!("`initdb` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let access = folder.join("data/pg_hba.conf");
    fs::write(&access, ACCESS).with_context(|| format!("write `{}`", access.display()))
}

async fn set_up(server: &mut Server, admin: &Session) -> Result<()> {
    let version = admin.value("SHOW server_version").await?.unwrap_or_default();
    server.version = version.split(' ').take(1).collect();
    let master_password = literal(server.password.expose_secret());
    admin
        .run(&format!(
            "CREATE ROLE {MASTER} LOGIN NOSUPERUSER CREATEDB CREATEROLE PASSWORD {master_password}"
        ))
        .await?;
    admin.run(&format!("CREATE DATABASE {DATABASE} OWNER {MASTER}")).await?;
    // PostGIS can only be created by a superuser. RDS lets its master do it all the same, for the
    // extensions on a list; pgextwlist does that for other servers, so it comes first. Without it
    // the master of the demo has to be a superuser.
    server.restricted = admin.run("LOAD 'pgextwlist'").await.is_ok();
    let sql = if server.restricted {
        let list = literal(EXTENSIONS);
        format!(
            "ALTER ROLE {MASTER} SET session_preload_libraries = 'pgextwlist';
             ALTER ROLE {MASTER} SET extwlist.extensions = {list}"
        )
    } else {
        format!("ALTER ROLE {MASTER} SUPERUSER")
    };
    admin.run(&sql).await?;
    Ok(())
}

impl Server {
    /// The master's secret, with the keys that RDS gives it.
    pub fn secret(&self) -> String {
        serde_json::json!({
            "engine": "postgres", "host": "localhost", "port": self.port, "username": MASTER,
            "password": self.password.expose_secret(), "dbname": DATABASE,
        })
        .to_string()
    }

    /// A session of the master, in the demo's database.
    pub async fn session(&self) -> Result<Session> {
        let endpoint = self.endpoint(MASTER, &self.password, DATABASE);
        Ok(connect(&endpoint, &options(), &Connectors::default()).await?)
    }

    /// The newest versions that the server has of what the demo shows.
    pub async fn offer(&self) -> Result<Offer> {
        let session = self.session().await?;
        let sql = "SELECT name, default_version FROM pg_available_extensions";
        let rows = session.run(sql).await?;
        session.close().await;
        let version = |name: &str| {
            let row = rows.iter().find(|row| row.first() == Some(&Some(name.to_owned())));
            row.and_then(|row| row.get(1).cloned().flatten()).ok_or_else(|| {
                let major = self.version.split('.').next();
                let line = missing::install_line(major);
                anyhow!("the server does not offer extension `{name}`: {line}")
            })
        };
        version("pg_trgm")?;
        Ok(Offer { postgis: version("postgis")?, pgcrypto: version("pgcrypto")? })
    }

    fn endpoint(&self, user: &str, password: &SecretString, database: &str) -> Endpoint {
        Endpoint {
            host: "localhost".into(),
            port: self.port,
            database: database.into(),
            username: user.into(),
            password: Some(password.clone()),
            ssl_mode: SslMode::VerifyFull,
            ssl_root_cert: Some(self.authority.clone()),
            region: None,
            limit: Duration::from_secs(10),
        }
    }

    /// Connects as soon as the server lets in.
    async fn wait_for(
        &self,
        process: &mut Child,
        password: &SecretString,
        folder: &Path,
    ) -> Result<Session> {
        let endpoint = self.endpoint(ADMIN, password, "postgres");
        let end = Instant::now() + START_LIMIT;
        loop {
            let error = match connect(&endpoint, &options(), &Connectors::default()).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            let has_ended = process.try_wait()?.is_some();
            if has_ended || !error.heals() || Instant::now() > end {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(error).context(format!("PostgreSQL did not start:\n{}", log.trim()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn options() -> SessionOptions {
    SessionOptions {
        application_name: "execute-sql demo".into(),
        lock_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(30),
        read_only: false,
        search_path: None,
        guarded: false,
    }
}

/// Hex digits, so that it needs no quoting anywhere.
fn password() -> Result<SecretString> {
    let mut bytes = [0; 16];
    openssl::rand::rand_bytes(&mut bytes).context("make a password")?;
    Ok(SecretString::from(bytes.map(|byte| format!("{byte:02x}")).concat()))
}

/// Readable for its owner alone, as the server demands of its key.
fn write(path: &Path, content: &[u8], owner: Option<Owner>) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let what = || format!("write `{}`", path.display());
    fs::write(path, content).with_context(what)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).with_context(what)?;
    give(path, owner)
}
