//! Opens the session: reads the login, connects, and waits for what heals.
//!
//! The secret is read when it is needed and never kept. A refused password is
//! read once more, for it may have been rotated in between; a second refusal
//! ends it. A server that starts, resumes or fails over is waited for until
//! `WaitFor`; a name that does not resolve only for a short while, because it is
//! most often a wrong name.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::World;
use crate::budget::Budget;
use crate::desired::{Auth, Connection, Desired};
use crate::failure::Failure;
use crate::postgres::{self, ConnectError, Endpoint, Session, SessionOptions, iam};
use crate::redact;
use crate::secrets::{Login, LoginError, SecretError};

/// How long a name that does not resolve is tried again.
const WAIT_FOR_NAME: Duration = Duration::from_secs(15);

/// Opens a session on the target of `desired`.
pub async fn open(
    world: &World,
    desired: &Desired,
    options: &SessionOptions,
    budget: &Budget,
) -> Result<Session, Failure> {
    let started = Instant::now();
    let mut endpoint = endpoint(world, desired, budget, started).await?;
    let mut read_again = false;
    let mut told = false;
    let mut wait = Duration::from_millis(200);
    loop {
        budget.doing(format!("connecting to `{}`", endpoint.place()));
        endpoint.limit = desired.connection.connect_timeout.min(budget.left());
        let error = match Box::pin(postgres::connect(&endpoint, options, &world.connectors)).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        if error.is_wrong_password() && !read_again {
            read_again = true;
            let renewed = self::endpoint(world, desired, budget, started).await?;
            if !same_login(&renewed, &endpoint) {
                tracing::info!(
                    "the password was refused and has changed since; trying the new one"
                );
                endpoint = renewed;
                continue;
            }
        }
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
    if let Some(password) = &login.password {
        redact::remember(password);
    }
    let mut endpoint = merged(desired, &login)?;
    endpoint.region.clone_from(&world.region);
    match desired.connection.auth {
        Auth::Password if endpoint.password.is_none() => {
            return Err(missing(desired, "password"));
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
fn merged(desired: &Desired, login: &Login) -> Result<Endpoint, Failure> {
    let Connection { host, port, database, username, .. } = &desired.connection;
    let host = host.clone().or_else(|| login.host.clone());
    let username = username.clone().or_else(|| login.username.clone());
    let database = database.as_ref().map(|it| it.as_str().to_owned());
    let host = host.ok_or_else(|| missing(desired, "host"))?;
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
        username: username.ok_or_else(|| missing(desired, "username"))?,
        password: login.password.clone(),
        ssl_mode: desired.connection.ssl_mode,
        ssl_root_cert: desired.connection.ssl_root_cert.clone(),
        region: None,
        limit: desired.connection.connect_timeout,
    })
}

/// `name.proxy-id.region.rds.amazonaws.com`, endpoints of a proxy included.
fn is_rds_proxy(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.contains(".proxy-") && host.contains(".rds.amazonaws.com")
}

fn missing(desired: &Desired, what: &'static str) -> Failure {
    match &desired.secret {
        Some(id) => SecretError::Login(id.clone(), LoginError::Missing(what)).into(),
        None => ConnectError::Setup(format!(
            "the connection has no {what}; set it in `Connection`, or name a secret in `DBSecret`"
        ))
        .into(),
    }
}

async fn iam_token(world: &World, endpoint: &Endpoint) -> Result<SecretString, Failure> {
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
