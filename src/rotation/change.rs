//! The change itself: one role's password, in one transaction, by whom it takes.
//!
//! What the roles are is looked at in the session that changes them. Two sessions
//! that meet in the catalog, and what else heals, are tried again from the start;
//! nothing of a failed try remains. The statements hold no secret.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::checks::Credentials;
use super::error::RotationError;
use super::login::with_verifier;
use super::role::Role;
use super::steps::refused;
use super::{Rotation, master, sql};
use crate::ident::Identifier;
use crate::postgres::{Session, SqlError};

/// How long what heals is tried.
const LIMIT: Duration = Duration::from_secs(15);

/// Who changes the role.
pub enum By<'a> {
    /// The master, whose secret this is, at the server of the current login.
    Master(&'a str, &'a Credentials),
    /// The role itself, by a login that works.
    Itself(&'a Credentials),
}

/// A change of a role.
pub struct Change<'a> {
    /// Whose password it is.
    pub role: &'a Identifier,
    /// Of the new password.
    pub verifier: &'a SecretString,
    /// Who does it.
    pub by: By<'a>,
    /// The roles that are looked at first.
    pub look: &'a [&'a Identifier],
    /// Whether they are as they must be.
    pub judge: &'a (dyn Fn(&[Role]) -> Result<(), RotationError> + Send + Sync),
    /// What is then done.
    pub statement: String,
}

/// Carries a change out; gives the session in which it was done.
pub async fn carry_out(step: &Rotation<'_>, change: &Change<'_>) -> Result<Session, RotationError> {
    let started = Instant::now();
    let mut wait = Duration::from_millis(20);
    let mut kept = None;
    loop {
        let session = match kept.take() {
            Some(session) => session,
            None => open(step, change).await?,
        };
        step.budget.doing(format!("changing role `{}`", change.role));
        let error = match look_and_change(&session, change).await {
            Ok(()) => return Ok(session),
            Err(RotationError::Sql { error, .. })
                if (error.heals() || error.is_catalog_race()) && started.elapsed() < LIMIT =>
            {
                error
            }
            Err(error) => {
                session.close().await;
                return Err(error);
            }
        };
        if !step.budget.pause(wait).await {
            return Err(failed(change, error));
        }
        tracing::info!("changing role `{}` failed: {error}; trying again", change.role);
        // After a failover another host answers to the name.
        kept = error.is_catalog_race().then_some(session);
        wait = (wait * 2).min(Duration::from_millis(500));
    }
}

async fn open(step: &Rotation<'_>, change: &Change<'_>) -> Result<Session, RotationError> {
    match change.by {
        By::Master(id, current) => master::open(step, id, current, change.verifier).await,
        By::Itself(login) => {
            let opened = with_verifier(step.world, step.budget, login, change.verifier, false);
            opened.await?.map_err(|error| refused(&error, "current", &login.username))
        }
    }
}

async fn look_and_change(session: &Session, change: &Change<'_>) -> Result<(), RotationError> {
    let rows = session.run(&sql::roles(change.look)).await.map_err(|it| failed(change, it))?;
    let roles: Option<Vec<_>> = rows.iter().map(|row| Role::read(row)).collect();
    let unread = || SqlError::unexpected("the server does not tell what a role is".to_owned());
    (change.judge)(&roles.ok_or_else(|| failed(change, unread()))?)?;
    session.execute(&change.statement).await.map_err(|it| failed(change, it))
}

fn failed(change: &Change<'_>, error: SqlError) -> RotationError {
    RotationError::Sql { role: change.role.to_string(), error }
}
