//! Makes one session: resolve, connect, TLS, log in, all within one limit.
//!
//! One try only; who calls decides whether the error is worth another
//! ([`ConnectError::heals`]). The name is resolved anew each time, for a failover
//! shows in DNS first.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode as DriverSslMode};
use tokio_postgres::{Config, NoTls};

use super::fault::ConnectError;
use super::session::{self, Session};
use crate::desired::SslMode;
use crate::trust::{Connectors, Tier, is_unverified, region_of};

/// Where to connect to and as whom.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Host name, address, or the folder of a Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The login role.
    pub username: String,
    /// Its password or token; `None` if the server trusts the peer.
    pub password: Option<SecretString>,
    /// How far TLS is checked.
    pub ssl_mode: SslMode,
    /// A PEM file to trust alone.
    pub ssl_root_cert: Option<String>,
    /// The region whose roots to try first where the host's name tells none.
    pub region: Option<String>,
    /// Limit of the whole try.
    pub limit: Duration,
}

impl Endpoint {
    /// `host:port`, for messages.
    pub fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// What holds for a session from its first moment.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Seen in `pg_stat_activity`; at most 63 bytes.
    pub application_name: String,
    /// `lock_timeout`.
    pub lock_timeout: Duration,
    /// `statement_timeout`.
    pub statement_timeout: Duration,
    /// Whether the server refuses all writes.
    pub read_only: bool,
    /// `search_path` as PostgreSQL reads it, names in quotes where they need them; `None` is what
    /// the server has for the role and the database. `RESET` goes back to it.
    pub search_path: Option<String>,
    /// Whether settings that somebody else gave the database or the role are kept out: the owner
    /// of a database decides on settings of everybody who connects to it.
    pub guarded: bool,
}

/// What could make a session other than it seems, or impossible.
const GUARDS: &str = " -c role=none -c local_preload_libraries= -c row_security=on \
    -c password_encryption=scram-sha-256 -c check_function_bodies=on -c synchronous_commit=on \
    -c idle_session_timeout=0 -c default_transaction_isolation=read\\ committed \
    -c default_transaction_deferrable=off -c exit_on_error=off -c quote_all_identifiers=off";

impl SessionOptions {
    /// As the startup packet's `options`, so that no statement ever runs without them.
    ///
    /// With `checks_client` the server notices a dead client during a long statement:
    /// a function that was killed must not hold its locks until the statement ends.
    fn startup(&self, checks_client: bool) -> String {
        let check = if checks_client { "-c client_connection_check_interval=2000 " } else { "" };
        let path = self.search_path.as_deref();
        let path = path.map(|it| format!(" -c search_path={}", escaped(it))).unwrap_or_default();
        let guards = if self.guarded { GUARDS } else { "" };
        format!(
            "{check}-c lock_timeout={} -c statement_timeout={} \
             -c idle_in_transaction_session_timeout=60000 \
             -c default_transaction_read_only={} -c standard_conforming_strings=on \
             -c client_min_messages=notice{path}{guards}",
            self.lock_timeout.as_millis(),
            self.statement_timeout.as_millis().max(1),
            if self.read_only { "on" } else { "off" },
        )
    }
}

/// A value within the startup packet's `options`, where spaces divide and a backslash protects.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        // As C's `isspace` has it.
        if matches!(character, ' ' | '\t'..='\r' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// What few sessions need.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extra<'a> {
    /// Settings with values that may be in no statement, for the server writes those down. They
    /// travel in the startup packet, which it does not.
    pub settings: &'a [(&'a str, &'a SecretString)],
    /// Whether the server must prove that it knows the password, on this very TLS channel: for a
    /// host that is not known to be the right one, which could ask for the password as it is.
    pub bound: bool,
}

impl Extra<'_> {
    fn startup(&self, options: &str) -> String {
        self.settings.iter().fold(options.to_owned(), |text, (name, value)| {
            text + " -c " + name + "=" + &escaped(value.expose_secret())
        })
    }
}

/// Tries once.
pub async fn connect(
    endpoint: &Endpoint,
    options: &SessionOptions,
    connectors: &Connectors,
) -> Result<Session, ConnectError> {
    connect_with(endpoint, options, connectors, Extra::default()).await
}

/// The same, with more.
pub async fn connect_with(
    endpoint: &Endpoint,
    options: &SessionOptions,
    connectors: &Connectors,
    extra: Extra<'_>,
) -> Result<Session, ConnectError> {
    let tried = timeout(endpoint.limit, tries(endpoint, options, connectors, extra)).await;
    tried.unwrap_or_else(|_| Err(ConnectError::Timeout(endpoint.place(), endpoint.limit)))
}

/// Servers before PostgreSQL 14 do not know the setting that checks the client.
async fn tries(
    endpoint: &Endpoint,
    options: &SessionOptions,
    connectors: &Connectors,
    extra: Extra<'_>,
) -> Result<Session, ConnectError> {
    const UNKNOWN_SETTING: &str = "42704";
    let config = |checks_client| {
        let mut config = config(endpoint, &extra.startup(&options.startup(checks_client)), options);
        if extra.bound {
            config.channel_binding(ChannelBinding::Require);
        }
        config
    };
    match attempt(endpoint, config(true), connectors).await {
        Err(ConnectError::Refused(_, error))
            if error.sqlstate.as_deref() == Some(UNKNOWN_SETTING) =>
        {
            attempt(endpoint, config(false), connectors).await
        }
        other => other,
    }
}

async fn attempt(
    endpoint: &Endpoint,
    mut config: Config,
    connectors: &Connectors,
) -> Result<Session, ConnectError> {
    if endpoint.is_socket() {
        config.host_path(&endpoint.host).ssl_mode(DriverSslMode::Disable);
        return plain(endpoint, &config).await;
    }
    let place = (endpoint.host.as_str(), endpoint.port);
    let addresses = tokio::net::lookup_host(place).await;
    let addresses =
        addresses.map_err(|error| ConnectError::Resolve(endpoint.host.clone(), error))?;
    let addresses: Vec<_> = addresses.collect();
    // An address that swallows packets must leave time for the next one.
    config.connect_timeout(endpoint.limit / u32::try_from(addresses.len().max(1)).unwrap_or(1));
    for address in addresses {
        config.host(&endpoint.host).hostaddr(address.ip());
    }
    if endpoint.ssl_mode == SslMode::Disable {
        config.ssl_mode(DriverSslMode::Disable);
        return plain(endpoint, &config).await;
    }
    config.ssl_mode(DriverSslMode::Require);
    let setup = |error: native_tls::Error| ConnectError::Setup(format!("set up TLS: {error}"));
    if let Some(path) = &endpoint.ssl_root_cert {
        let connector = connectors.of_file(&root_certificates(path)?, endpoint.ssl_mode);
        let connector = connector.map_err(setup)?.ok_or_else(|| {
            let why =
                format!("`Connection.SslRootCert`: `{path}` holds no certificate in PEM form");
            ConnectError::Setup(why)
        })?;
        return over_tls(endpoint, &config, connector).await.map_err(|(error, _)| error);
    }
    let region = region_of(&endpoint.host).or(endpoint.region.as_deref());
    let made = |tier| connectors.built_in(tier, endpoint.ssl_mode, region).map_err(setup);
    match over_tls(endpoint, &config, made(Tier::Few)?).await {
        Err((_, true)) => {
            over_tls(endpoint, &config, made(Tier::All)?).await.map_err(|(error, _)| error)
        }
        other => other.map_err(|(error, _)| error),
    }
}

fn config(endpoint: &Endpoint, startup: &str, options: &SessionOptions) -> Config {
    let mut config = Config::new();
    config
        .port(endpoint.port)
        .dbname(&endpoint.database)
        .user(&endpoint.username)
        .application_name(&options.application_name)
        .options(startup)
        .keepalives_idle(Duration::from_secs(15))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(30));
    if let Some(password) = &endpoint.password {
        config.password(password.expose_secret());
    }
    config
}

fn root_certificates(path: &str) -> Result<String, ConnectError> {
    std::fs::read_to_string(path).map_err(|error| {
        ConnectError::Setup(format!("`Connection.SslRootCert`: reading `{path}` failed: {error}"))
    })
}

async fn plain(endpoint: &Endpoint, config: &Config) -> Result<Session, ConnectError> {
    let connected = config.connect(NoTls).await;
    let (client, connection) =
        connected.map_err(|error| ConnectError::sorted(&endpoint.place(), &error))?;
    Ok(session::started(client, connection))
}

/// The flag tells whether more roots might help.
async fn over_tls(
    endpoint: &Endpoint,
    config: &Config,
    connector: native_tls::TlsConnector,
) -> Result<Session, (ConnectError, bool)> {
    let tls = postgres_native_tls::MakeTlsConnector::new(connector);
    let (client, connection) = config.connect(tls).await.map_err(|error| {
        (ConnectError::sorted(&endpoint.place(), &error), is_unverified(&error))
    })?;
    Ok(session::started(client, connection))
}
