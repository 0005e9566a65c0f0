//! One role whose password changes.
//!
//! By the master where there is one: under `rds.restrict_password_commands` no
//! other may, and a role whose slots are all taken cannot log in for it. Without
//! one the role changes its own. Either way the current login must work first, or
//! the previous one: after a secret was restored or written by hand that is the
//! password that the server still has.

use super::change::{By, Change, carry_out};
use super::checks::{self, Credentials};
use super::error::RotationError;
use super::login::prove;
use super::role::{self, Role};
use super::steps::refused;
use super::{Rotation, master, sql};
use crate::ident::Identifier;
use crate::postgres::{ConnectError, scram};
use crate::secrets::Which;

/// Brings the role to the pending password.
pub(super) async fn set(
    step: &Rotation<'_>,
    current: &Credentials,
    pending: &Credentials,
) -> Result<String, RotationError> {
    let secret = &step.secret.name;
    checks::matches(secret, "pending", pending, current, &current.username)?;
    let role = Identifier::new(pending.username.as_str())
        .map_err(|it| RotationError::Refused(it.to_string(), "Correct the secret's username."))?;
    if works(step, pending).await?.is_ok() {
        return Ok(format!("role `{role}` has the pending password already"));
    }
    let known = proven(step, current, pending).await?;
    let by = match master::named(step, current) {
        Some(id) => By::Master(id, current),
        None => By::Itself(&known),
    };
    let by_master = matches!(by, By::Master(..));
    let judge = |roles: &[Role]| {
        let check = if by_master { role::may_be_set_by_master } else { role::may_be_set };
        roles.iter().try_for_each(check)
    };
    let change = Change {
        role: &role,
        verifier: &scram::verifier(&pending.password),
        by,
        look: &[&role],
        judge: &judge,
        statement: sql::set_password(&role, sql::VERIFIER),
    };
    carry_out(step, &change).await?.close().await;
    works(step, pending).await?.map_err(|error| refused(&error, "pending", &pending.username))?;
    Ok(format!("role `{role}` has the pending password"))
}

/// Whether a login works; the inner error is the server's refusal.
async fn works(
    step: &Rotation<'_>,
    login: &Credentials,
) -> Result<Result<(), ConnectError>, RotationError> {
    let proof = prove(step.world, step.budget, login).await?;
    Ok(proof.closed().await.map(drop))
}

/// The current login, or the previous one, whichever works.
async fn proven(
    step: &Rotation<'_>,
    current: &Credentials,
    pending: &Credentials,
) -> Result<Credentials, RotationError> {
    let Err(error) = works(step, current).await? else { return Ok(current.clone()) };
    let previous = step.version(Which::Stage("AWSPREVIOUS")).await?;
    let name = &step.secret.name;
    let same = |it: &Credentials| {
        checks::matches(name, "previous", it, current, &pending.username).is_ok()
    };
    if let Some(previous) = previous.filter(same) {
        if works(step, &previous).await?.is_ok() {
            let user = &current.username;
            tracing::warn!("the current password of `{user}` is wrong; the previous one is right");
            return Ok(previous);
        }
    }
    Err(refused(&error, "current", &current.username))
}
