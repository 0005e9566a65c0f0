//! Logs in, and tells what came of it: a session, a right password without one, or no.
//!
//! Always over TLS with the certificate checked in full; a secret's `ssl` key
//! turns nothing off. A server that starts, resumes, fails over or has no free
//! slot is waited for while there is time: none of that says anything about a
//! password. A name that does not resolve is most often a wrong one, and is
//! waited for only a short while.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::checks::Credentials;
use super::error::RotationError;
use super::sql;
use crate::budget::Budget;
use crate::desired::SslMode;
use crate::engine::World;
use crate::postgres::{self, ConnectError, Endpoint, Extra, Session, SessionOptions};
use crate::redact;

/// How long a name that does not resolve is tried again.
const WAIT_FOR_NAME: Duration = Duration::from_secs(15);

/// The limit of one try.
const TRY: Duration = Duration::from_secs(10);

/// What came of a login.
pub enum Proof {
    /// It works.
    In(Session),
    /// The password is right, but there is no session to be had: the role or the database is full,
    /// or closed to the role.
    Right(ConnectError),
    /// The server refuses it.
    Refused(ConnectError),
}

impl Proof {
    /// Ends the session, so that its slot is free at once: nothing if there was one, else why there
    /// was none though the password is right; an error is the server's refusal.
    pub async fn closed(self) -> Result<Option<ConnectError>, ConnectError> {
        match self {
            Self::In(session) => {
                session.close().await;
                Ok(None)
            }
            Self::Right(error) => Ok(Some(error)),
            Self::Refused(error) => Err(error),
        }
    }
}

/// Logs in as an application would; an error is one that says nothing about the login.
pub async fn prove(
    world: &World,
    budget: &Budget,
    who: &Credentials,
) -> Result<Proof, RotationError> {
    enter(world, budget, who, Extra::default()).await
}

async fn enter(
    world: &World,
    budget: &Budget,
    who: &Credentials,
    extra: Extra<'_>,
) -> Result<Proof, RotationError> {
    let mut endpoint = endpoint(world, who);
    redact::remember(&who.password);
    let started = Instant::now();
    let mut wait = Duration::from_millis(200);
    let mut told = false;
    loop {
        budget.doing(format!("logging in to `{}` as `{}`", endpoint.place(), who.username));
        endpoint.limit = TRY.min(budget.left());
        let options = options(budget, !extra.settings.is_empty());
        let connecting = postgres::connect_with(&endpoint, &options, &world.connectors, extra);
        let error = match Box::pin(connecting).await {
            Ok(session) => return Ok(Proof::In(session)),
            Err(error) => error,
        };
        if error.proves_password() {
            return Ok(Proof::Right(error));
        }
        let late =
            matches!(error, ConnectError::Resolve(..)) && started.elapsed() + wait >= WAIT_FOR_NAME;
        if error.heals() && !late {
            if budget.pause(wait).await {
                if !told {
                    tracing::warn!("{error}; trying again");
                }
                told = true;
                wait = (wait * 2).min(Duration::from_secs(5));
                continue;
            }
            return Err(error.into());
        }
        return match error {
            ConnectError::Refused(..) => Ok(Proof::Refused(error)),
            // The driver has one word for both.
            ConnectError::NoTls(place) if extra.bound => Err(ConnectError::Protocol(
                place,
                "it does not speak TLS, or does not prove by it that it knows the password".into(),
            )
            .into()),
            _ => Err(error.into()),
        };
    }
}

/// A session for the change itself, or the server's refusal. With it comes the verifier, which is
/// in no statement. What is only full is waited for.
pub async fn with_verifier(
    world: &World,
    budget: &Budget,
    who: &Credentials,
    verifier: &SecretString,
    bound: bool,
) -> Result<Result<Session, ConnectError>, RotationError> {
    redact::remember(verifier);
    let settings = [(sql::VERIFIER, verifier)];
    let extra = Extra { settings: &settings, bound };
    let mut wait = Duration::from_millis(500);
    loop {
        let error = match enter(world, budget, who, extra).await? {
            Proof::In(session) => return Ok(Ok(session)),
            Proof::Refused(error) => return Ok(Err(error)),
            Proof::Right(error) => error,
        };
        if !(error.heals() && budget.pause(wait).await) {
            return Err(error.into());
        }
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

fn endpoint(world: &World, who: &Credentials) -> Endpoint {
    Endpoint {
        host: who.host.clone(),
        port: who.port,
        database: who.database.clone(),
        username: who.username.clone(),
        password: Some(who.password.clone()),
        ssl_mode: SslMode::VerifyFull,
        ssl_root_cert: None,
        region: world.region.clone(),
        limit: TRY,
    }
}

/// A session that changes something meets nothing that others made: no schema of theirs is searched,
/// no setting of theirs holds, no role is taken on.
fn options(budget: &Budget, changes: bool) -> SessionOptions {
    SessionOptions {
        application_name: "execute-sql rotation".to_owned(),
        lock_timeout: Duration::from_secs(5),
        statement_timeout: budget.statement_timeout(),
        read_only: false,
        search_path: changes.then(|| "pg_catalog".to_owned()),
        guarded: changes,
    }
}
