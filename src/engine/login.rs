//! Opens the session: reads the login, connects, and waits for what heals.
//!
//! The secret is read for every event, and only what was read counts; the last
//! login is kept in memory merely to connect ahead. A refused password is
//! read once more, for it may have been rotated in between; a second refusal
//! ends it. A server that starts, resumes or fails over is waited for until
//! `WaitFor`; a name that does not resolve only for a short while, because it is
//! most often a wrong name.

use std::sync::PoisonError;
use std::time::Duration;

use futures_util::future::{Either, select};
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
    let (mut endpoint, mut first) = read_and_connect(world, desired, options, budget).await?;
    let mut read_again = false;
    let mut told = false;
    let mut wait = Duration::from_millis(200);
    loop {
        budget.doing(format!("connecting to `{}`", endpoint.place()));
        endpoint.limit = desired.connection.connect_timeout.min(budget.left());
        let tried = match first.take() {
            Some(tried) => tried,
            None => Box::pin(postgres::connect(&endpoint, options, &world.connectors)).await,
        };
        let error = match tried {
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

/// What came of a try to connect.
type Tried = Result<Session, ConnectError>;

/// Reads the login, and while that is under way connects with the one of the last
/// event: a function that is still warm mostly finds it unchanged. The session is
/// used only if what was read says the same; otherwise nothing was lost but a try.
async fn read_and_connect(
    world: &World,
    desired: &Desired,
    options: &SessionOptions,
    budget: &Budget,
) -> Result<(Endpoint, Option<Tried>), Failure> {
    let reading = Box::pin(endpoint(world, desired, budget, Instant::now()));
    let Some(guess) = guessed(world, desired, budget) else { return Ok((reading.await?, None)) };
    let connecting = Box::pin(postgres::connect(&guess, options, &world.connectors));
    let (endpoint, tried) = match select(reading, connecting).await {
        Either::Left((endpoint, connecting)) => {
            let endpoint = endpoint?;
            if !same_login(&endpoint, &guess) {
                return Ok((endpoint, None));
            }
            (endpoint, connecting.await)
        }
        Either::Right((tried, reading)) => (reading.await?, tried),
    };
    let is_right = same_login(&endpoint, &guess);
    Ok((endpoint, is_right.then_some(tried)))
}

/// The endpoint by the login of the last event, if that had the same secret.
fn guessed(world: &World, desired: &Desired, budget: &Budget) -> Option<Endpoint> {
    let last = world.last_login.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (id, login) = last?;
    let fits = desired.connection.auth == Auth::Password && desired.secret.as_ref() == Some(&id);
    let mut guess = merged(desired, &login).ok().filter(|it| fits && it.password.is_some())?;
    guess.region.clone_from(&world.region);
    guess.limit = desired.connection.connect_timeout.min(budget.left());
    Some(guess)
}

fn same_login(a: &Endpoint, b: &Endpoint) -> bool {
    use secrecy::ExposeSecret;
    let password = |it: &Endpoint| it.password.as_ref().map(|it| it.expose_secret().to_owned());
    (&a.host, a.port, &a.username, &a.database) == (&b.host, b.port, &b.username, &b.database)
        && password(a) == password(b)
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
                let login = login.map_err(|error| SecretError::Login(id.clone(), error))?;
                let mut last = world.last_login.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some((id.clone(), login.clone()));
                return Ok(login);
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
    Ok(Endpoint {
        host: host.ok_or_else(|| missing(desired, "host"))?,
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
