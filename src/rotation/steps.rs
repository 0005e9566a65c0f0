//! The four steps.
//!
//! Creating writes a pending version, and only where there is none. Setting
//! brings the server to it; how is told by the strategy. Testing logs in with it.
//! Finishing makes it current. `RotateSecret` with `RotateImmediately: false`
//! calls for the test alone, of a version without a value: then it is the current
//! login that is tested.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::checks::{self, Credentials, Pair};
use super::error::{DISCARD, RotationError};
use super::login::{Proof, prove};
use super::{PENDING, Rotation, alternating, single};
use crate::desired::tenant::Strategy;
use crate::postgres::ConnectError;
use crate::redact::remember;
use crate::secrets::{self, Put, SecretError};

/// `createSecret`: a pending version with a fresh password and all else as it is.
pub(super) async fn create(step: &Rotation<'_>) -> Result<String, RotationError> {
    let text = step.current_text().await?;
    let current = step.credentials(&text)?;
    if is_written(step, &current).await? {
        return Ok("the pending version is there already".to_owned());
    }
    let username = match checks::strategy(step.secret, step.settings.strategy.as_deref())? {
        Strategy::Single => Value::Null,
        Strategy::Alternating => json!(Pair::of(&current.username)?.next().as_str()),
    };
    let password = secrets::password();
    remember(&password);
    let changes = [("username", username), ("password", json!(password.expose_secret()))];
    let text = secrets::with(text.expose_secret(), &changes)
        .map_err(|it| SecretError::Login(step.id().to_owned(), it))?;
    let put = Put {
        text: &text,
        token: &step.event.token,
        stages: Some(&[PENDING]),
        rotation_token: step.event.rotation_token.as_deref(),
    };
    step.budget.doing(format!("writing secret `{}`", step.id()));
    match step.world.secrets.put(step.id(), put).await {
        Ok(()) => Ok("a pending version with a fresh password is written".to_owned()),
        // Another call of this step was faster; its password is as good.
        Err(SecretError::TokenUsed(_)) if is_written(step, &current).await? => {
            Ok("the pending version is there already".to_owned())
        }
        Err(SecretError::TokenUsed(id)) => Err(RotationError::Refused(
            format!("the pending version of secret `{id}` has the current password"),
            DISCARD,
        )),
        Err(error) => Err(error.into()),
    }
}

/// Whether the pending version has a password of its own; with a copy of the current version nothing
/// would rotate.
async fn is_written(step: &Rotation<'_>, current: &Credentials) -> Result<bool, RotationError> {
    let pending = step.pending().await?;
    let differs = |it: Credentials| it.password.expose_secret() != current.password.expose_secret();
    Ok(pending.is_some_and(differs))
}

/// `setSecret`: the server takes the pending login.
pub(super) async fn set(step: &Rotation<'_>) -> Result<String, RotationError> {
    let current = step.current().await?;
    let pending = step.pending().await?.ok_or_else(|| without_value(step))?;
    match checks::strategy(step.secret, step.settings.strategy.as_deref())? {
        Strategy::Single => single::set(step, &current, &pending).await,
        Strategy::Alternating => alternating::set(step, &current, &pending).await,
    }
}

/// `testSecret`: the pending login works.
pub(super) async fn test(step: &Rotation<'_>) -> Result<String, RotationError> {
    let (which, login) = match step.pending().await? {
        Some(pending) => ("pending", pending),
        None => ("current", step.current().await?),
    };
    match prove(step.world, step.budget, &login).await? {
        Proof::In(session) => {
            let role = login.username.clone();
            session.run("SELECT 1").await.map_err(|error| RotationError::Sql { role, error })?;
            session.close().await;
            Ok(format!("the {which} login of `{}` works", login.username))
        }
        Proof::Right(why) => {
            tracing::warn!("the {which} password is right, though there is no session: {why}");
            Ok(format!("the {which} password of `{}` is right", login.username))
        }
        Proof::Refused(error) => Err(refused(&error, which, &login.username)),
    }
}

/// `finishSecret`: the pending version becomes current.
pub(super) async fn finish(step: &Rotation<'_>) -> Result<String, RotationError> {
    // An empty version would leave the secret without a login.
    if step.pending().await?.is_none() {
        return Err(without_value(step));
    }
    let token = step.event.token.as_str();
    let from = step.secret.holder("AWSCURRENT");
    step.budget.doing(format!("moving AWSCURRENT of secret `{}`", step.id()));
    step.world.secrets.move_stage(step.id(), "AWSCURRENT", Some(token), from).await?;
    Ok(format!("version `{token}` is current"))
}

fn without_value(step: &Rotation<'_>) -> RotationError {
    let (id, token) = (step.id(), &step.event.token);
    RotationError::State(
        format!("version `{token}` of secret `{id}` has no value"),
        "The step createSecret writes it; rotate again from the start.",
    )
}

/// A login that was refused, when it must not be.
pub(super) fn refused(error: &ConnectError, which: &str, username: &str) -> RotationError {
    RotationError::Refused(
        format!("the {which} login of `{username}` does not work: {error}"),
        "Bring the role's password and the secret together: deploy the resource that made them, or \
         set one to the other by hand; look also at the role's LOGIN, VALID UNTIL and `rds_iam`.",
    )
}
