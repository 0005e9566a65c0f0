//! Opens sessions: reads the login, connects, and waits for what heals.
//!
//! The secret is read when it is needed and never kept. A refused password is
//! read once more, for it may have been rotated in between; a second refusal
//! ends it, and so does the first one of a login that was given with the task: whose
//! it is, it is not in the resource's secret. A server that starts, resumes or fails over
//! is waited for until `WaitFor`; a name that does not resolve only for a short while,
//! because it is most often a wrong name.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::{Task, World};
use crate::budget::Budget;
use crate::desired::{Auth, Connection, Desired};
use crate::failure::Failure;
use crate::postgres::{self, ConnectError, Endpoint, Session, SessionOptions, iam};
use crate::redact;
use crate::secrets::{Login, LoginError, SecretError};

/// How long a name that does not resolve is tried again.
const WAIT_FOR_NAME: Duration = Duration::from_secs(15);

/// Opens a session for `task`: on the target of what it wants, or with the login that it has.
pub async fn open(
    world: &World,
    task: &Task<'_>,
    options: &SessionOptions,
) -> Result<Session, Failure> {
    let (desired, budget) = (task.desired, task.budget);
    let started = Instant::now();
    let endpoint = match task.login {
        Some(login) => given(world, desired, login).await?,
        None => endpoint(world, desired, budget, started).await?,
    };
    let refused = match since(started, world, &endpoint, desired, options, budget).await {
        Err(Failure::Connect(error)) if error.is_wrong_password() && task.login.is_none() => error,
        opened => return opened,
    };
    let renewed = self::endpoint(world, desired, budget, started).await?;
    if same_login(&renewed, &endpoint) {
        return Err(refused.into());
    }
    tracing::info!("the password was refused and has changed since; trying the new one");
    since(started, world, &renewed, desired, options, budget).await
}

/// The target of `desired` and the login to it, read once for sessions [`at`] it.
///
/// A token of an IAM login is among it, and is good for 15 minutes.
pub async fn resolve(
    world: &World,
    desired: &Desired,
    budget: &Budget,
) -> Result<Endpoint, Failure> {
    endpoint(world, desired, budget, Instant::now()).await
}

/// Opens a session at an endpoint; the limits are those of `desired`. No secret is read.
pub async fn at(
    world: &World,
    endpoint: &Endpoint,
    desired: &Desired,
    options: &SessionOptions,
    budget: &Budget,
) -> Result<Session, Failure> {
    since(Instant::now(), world, endpoint, desired, options, budget).await
}

/// Connects, and waits for what heals until `WaitFor` after `started`.
async fn since(
    started: Instant,
    world: &World,
    endpoint: &Endpoint,
    desired: &Desired,
    options: &SessionOptions,
    budget: &Budget,
) -> Result<Session, Failure> {
    let mut endpoint = endpoint.clone();
    let mut told = false;
    let mut wait = Duration::from_millis(200);
    loop {
        budget.doing(format!("connecting to `{}`", endpoint.place()));
        endpoint.limit = desired.connection.connect_timeout.min(budget.left());
        let error = match Box::pin(postgres::connect(&endpoint, options, &world.connectors)).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let limit = match error {
            ConnectError::Resolve(..) => desired.connection.wait_for.min(WAIT_FOR_NAME),
            _ => desired.connection.wait_for,
        };
        let goes_on = error.heals() && started.elapsed() + wait < limit;
        if !goes_on || !budget.pause(wait).await {
            return Err(error.into());
        }
        if told {
            tracing::info!("{error}; trying again");
        } else {
            told = true;
            tracing::warn!("{error}; trying again for up to {} s", limit.as_secs());
        }
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

fn same_login(a: &Endpoint, b: &Endpoint) -> bool {
    use secrecy::ExposeSecret;
    let password = |it: &Endpoint| it.password.as_ref().map(|it| it.expose_secret().to_owned());
    (&a.host, a.port, &a.username) == (&b.host, b.port, &b.username) && password(a) == password(b)
}

async fn endpoint(
    world: &World,
    desired: &Desired,
    budget: &Budget,
    started: Instant,
) -> Result<Endpoint, Failure> {
    let login = login(world, desired, budget, started).await?;
    proven(world, &desired.connection, desired.secret.as_deref(), &login).await
}

/// What a login has that came with the task goes before `Connection`, which was written for another
/// login; so does its password before `Connection.Auth`.
async fn given(world: &World, desired: &Desired, login: &Login) -> Result<Endpoint, Failure> {
    let mut connection = desired.connection.clone();
    connection.host = connection.host.filter(|_| login.host.is_none());
    connection.port = connection.port.filter(|_| login.port.is_none());
    connection.username = connection.username.filter(|_| login.username.is_none());
    connection.database = connection.database.filter(|_| login.database.is_none());
    if login.password.is_some() {
        connection.auth = Auth::Password;
    }
    proven(world, &connection, None, login).await
}

/// The endpoint with what proves the login there.
async fn proven(
    world: &World,
    connection: &Connection,
    secret: Option<&str>,
    login: &Login,
) -> Result<Endpoint, Failure> {
    if let Some(password) = &login.password {
        redact::remember(password);
    }
    let mut endpoint = merged(connection, secret, login)?;
    endpoint.region.clone_from(&world.region);
    match connection.auth {
        Auth::Password if endpoint.password.is_none() => {
            return Err(missing(secret, "password"));
        }
        Auth::Password => {}
        Auth::None => endpoint.password = None,
        Auth::Iam => endpoint.password = Some(iam_token(world, &endpoint).await?),
    }
    Ok(endpoint)
}

async fn login(
    world: &World,
    desired: &Desired,
    budget: &Budget,
    started: Instant,
) -> Result<Login, Failure> {
    if let Some(login) = &world.login {
        return Ok(login.clone());
    }
    let Some(id) = &desired.secret else {
        return Ok(Login::default());
    };
    let mut wait = Duration::from_millis(500);
    loop {
        budget.doing(format!("reading secret `{id}`"));
        let error = match world.secrets.current(id).await {
            Ok(text) => {
                use secrecy::ExposeSecret;
                let login = Login::read(text.expose_secret());
                return login.map_err(|error| SecretError::Login(id.clone(), error).into());
            }
            Err(error) => error,
        };
        let limit = desired.connection.wait_for.min(Duration::from_secs(60));
        let goes_on = error.heals() && started.elapsed() + wait < limit;
        if !goes_on || !budget.pause(wait).await {
            return Err(error.into());
        }
        tracing::info!("{error}; trying again");
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

/// Properties first, then the secret, then PostgreSQL's defaults.
fn merged(
    connection: &Connection,
    secret: Option<&str>,
    login: &Login,
) -> Result<Endpoint, Failure> {
    let Connection { host, port, database, username, .. } = connection;
    let host = host.clone().or_else(|| login.host.clone());
    let username = username.clone().or_else(|| login.username.clone());
    let database = database.as_ref().map(|it| it.as_str().to_owned());
    let host = host.ok_or_else(|| missing(secret, "host"))?;
    if is_rds_proxy(&host) {
        return Err(ConnectError::Setup(format!(
            "`{host}` is an RDS Proxy, which hands sessions around, and locks with them; name the \
             cluster's or instance's own endpoint in `Connection.Host`"
        ))
        .into());
    }
    Ok(Endpoint {
        host,
        port: port.or(login.port).unwrap_or(5432),
        database: database.or_else(|| login.database.clone()).unwrap_or_else(|| "postgres".into()),
        username: username.ok_or_else(|| missing(secret, "username"))?,
        password: login.password.clone(),
        ssl_mode: connection.ssl_mode,
        ssl_root_cert: connection.ssl_root_cert.clone(),
        region: None,
        limit: connection.connect_timeout,
    })
}

/// `name.proxy-id.region.rds.amazonaws.com`, endpoints of a proxy included.
fn is_rds_proxy(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.contains(".proxy-") && host.contains(".rds.amazonaws.com")
}

fn missing(secret: Option<&str>, what: &'static str) -> Failure {
    match secret {
        Some(id) => SecretError::Login(id.to_owned(), LoginError::Missing(what)).into(),
        None => ConnectError::Setup(format!(
            "the connection has no {what}; set it in `Connection`, or name a secret in `DBSecret`"
        ))
        .into(),
    }
}

/// A token that proves an IAM login at an endpoint.
pub(super) async fn iam_token(world: &World, endpoint: &Endpoint) -> Result<SecretString, Failure> {
    let config = world.aws.config().await;
    let region = crate::trust::region_of(&endpoint.host).or(config.region().map(AsRef::as_ref));
    let region = region.ok_or_else(|| {
        ConnectError::Setup("an IAM login needs a region; set AWS_REGION".to_owned())
    })?;
    let token = iam::token(config, &endpoint.host, endpoint.port, &endpoint.username, region);
    let token = token.await.map_err(|error| {
        ConnectError::Setup(format!("making a token for an IAM login failed: {error}"))
    })?;
    redact::remember(&token);
    Ok(token)
}
