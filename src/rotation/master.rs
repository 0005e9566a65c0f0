//! The session that may change roles: the master's.
//!
//! It goes to the master's own database, never into a tenant's, where a statement
//! could meet what a tenant made. A master secret names its host, which must be
//! the tenant's; one that RDS manages has none, so the host is the tenant's word,
//! and there the login is bound to the TLS channel: a host that merely claims to be
//! the server gets no password. A refused password is read once more, for RDS
//! rotates it too.

use secrecy::{ExposeSecret, SecretString};

use super::Rotation;
use super::checks::{Credentials, is_named, same_host};
use super::error::RotationError;
use super::login::with_verifier;
use super::steps::refused;
use crate::postgres::Session;
use crate::secrets::{Login, LoginError, SecretError};

/// The master's secret; `None` if there is none, or it is this one, which then changes itself.
pub(super) fn named<'a>(step: &'a Rotation<'_>, current: &'a Credentials) -> Option<&'a str> {
    let id = current.master.as_deref().or(step.settings.master.as_deref());
    id.filter(|id| !is_named(step.secret, id))
}

/// A session of the master's at the server of `current`, with the verifier in its settings.
pub(super) async fn open(
    step: &Rotation<'_>,
    id: &str,
    current: &Credentials,
    verifier: &SecretString,
) -> Result<Session, RotationError> {
    let (master, bound) = read(step, id, current).await?;
    let (world, budget) = (step.world, step.budget);
    let error = match with_verifier(world, budget, &master, verifier, bound).await? {
        Ok(session) => return Ok(session),
        Err(error) => error,
    };
    let (renewed, bound) = read(step, id, current).await?;
    let changed = renewed.password.expose_secret() != master.password.expose_secret();
    if !(error.is_wrong_password() && changed) {
        return Err(refused(&error, "master's", &master.username));
    }
    tracing::info!("the master's password was refused and has changed since; trying the new one");
    let opened = with_verifier(world, budget, &renewed, verifier, bound).await?;
    opened.map_err(|error| refused(&error, "master's", &renewed.username))
}

/// The master's login, and whether its host is somebody else's word.
async fn read(
    step: &Rotation<'_>,
    id: &str,
    current: &Credentials,
) -> Result<(Credentials, bool), RotationError> {
    step.budget.doing(format!("reading secret `{id}`"));
    let text = step.world.secrets.current(id).await?;
    let wrong = |error: LoginError| SecretError::Login(id.to_owned(), error);
    let mut login = Login::read(text.expose_secret()).map_err(wrong)?;
    let bound = login.host.is_none();
    if let Some(host) = &login.host {
        let port = login.port.unwrap_or(5432);
        if !same_host(host, &current.host) || port != current.port {
            return Err(RotationError::Refused(
                format!(
                    "the master's secret `{id}` is for `{host}:{port}`, and secret `{}` for `{}:{}`",
                    step.secret.name, current.host, current.port
                ),
                "Both must name the same host, the writer's, and port.",
            ));
        }
    }
    login.host = Some(current.host.clone());
    login.port = Some(current.port);
    // A schema's tenant lives in the master's own database.
    login.database = login.database.filter(|it| *it != current.database);
    let master = Credentials::of(id, login)?;
    Ok((master, bound))
}
