//! Two roles that take turns: the other one gets a new password, the current one keeps its own.
//!
//! The second role is made with the first rotation, by the master alone: a member
//! of the first, with its limits and settings, that takes on the first when it logs
//! in, so that what it makes belongs to the first. What it has made as itself all
//! the same (`SET ROLE NONE`) it hands over in its own session; for that nobody is
//! made to wait, and a rotation does not fail.

use super::change::{By, Change, carry_out};
use super::checks::{self, Credentials, Pair};
use super::error::RotationError;
use super::login::{Proof, prove};
use super::role::{self, Role};
use super::steps::refused;
use super::{Rotation, master, sql};
use crate::ident::Identifier;
use crate::postgres::{ConnectError, Session, SqlError, scram};

/// Brings the other role to the pending password.
pub(super) async fn set(
    step: &Rotation<'_>,
    current: &Credentials,
    pending: &Credentials,
) -> Result<String, RotationError> {
    let pair = Pair::of(&current.username)?;
    let next = pair.next();
    checks::matches(&step.secret.name, "pending", pending, current, next.as_str())?;
    let done = format!("role `{next}` has the pending password");
    match login(step, pending, !pair.clone_is_current, &pair).await? {
        Ok(None) => return Ok(done),
        Ok(Some(error)) if is_full(&error) => return Ok(done),
        Ok(Some(_)) | Err(_) => {}
    }
    let now = login(step, current, pair.clone_is_current, &pair).await?;
    let now = now.map_err(|error| refused(&error, "current", &current.username))?;
    let Some(id) = master::named(step, current) else {
        return Err(RotationError::State(
            format!("secret `{}` names no master, which makes the second role", step.secret.name),
            "Put the ARN of the master's secret into `masterarn`, or into the function's \
             MASTER_SECRET_ARN; or rotate with `single`.",
        ));
    };
    let judge = |roles: &[Role]| role::take_turns(roles, &pair);
    let change = Change {
        role: next,
        verifier: &scram::verifier(&pending.password),
        by: By::Master(id, current),
        look: &[&pair.base, &pair.clone],
        judge: &judge,
        statement: if pair.clone_is_current {
            sql::set_password(next, sql::VERIFIER)
        } else {
            sql::set_clone(&pair.base, &pair.clone)
        },
    };
    let session = carry_out(step, &change).await?;
    tell_left_out(&session, &pair).await;
    session.close().await;
    match login(step, pending, !pair.clone_is_current, &pair).await? {
        Ok(None) => Ok(done),
        Ok(Some(error)) if is_full(&error) || now.is_some() => Ok(done),
        // The current login gets in, this one would not.
        Ok(Some(error)) | Err(error) => Err(refused(&error, "pending", next.as_str())),
    }
}

/// Logs in, and out again; in between the second role hands over what it owns.
async fn login(
    step: &Rotation<'_>,
    who: &Credentials,
    is_clone: bool,
    pair: &Pair,
) -> Result<Result<Option<ConnectError>, ConnectError>, RotationError> {
    let proof = prove(step.world, step.budget, who).await?;
    if let Proof::In(session) = &proof {
        if is_clone {
            if let Err(error) = hand_over(session, pair).await {
                tracing::warn!("what `{}` owns was not handed over: {error}", pair.clone);
            }
        }
    }
    Ok(proof.closed().await)
}

/// Gives the objects that the second role owns to the role that it takes on.
async fn hand_over(session: &Session, pair: &Pair) -> Result<(), SqlError> {
    let rows = session.run(sql::OWNED).await?;
    let Some([Some(acting), Some(here), Some(elsewhere)]) = rows.last().map(Vec::as_slice) else {
        return Err(SqlError::unexpected("the server does not tell what a role owns".to_owned()));
    };
    if elsewhere != "0" {
        tracing::warn!("`{}` owns {elsewhere} objects in other databases", pair.clone);
    }
    if here == "0" {
        return Ok(());
    }
    let acting = Identifier::new(acting.as_str()).ok().filter(|it| *it != pair.clone);
    let to = acting.unwrap_or_else(|| pair.base.clone());
    session.execute(&sql::hand_over(&pair.clone, &to)).await?;
    tracing::info!("{here} objects of `{}` belong to `{to}` now", pair.clone);
    Ok(())
}

/// What only a superuser may set is not set for the second role, and is told.
async fn tell_left_out(session: &Session, pair: &Pair) {
    if pair.clone_is_current {
        return;
    }
    let left = session.run(&sql::settings_left_out(&pair.base, &pair.clone)).await;
    let names: Vec<_> = left.unwrap_or_default().into_iter().flatten().flatten().collect();
    if !names.is_empty() {
        let names = names.join("`, `");
        tracing::warn!("`{}` has settings that `{}` lacks: `{names}`", pair.base, pair.clone);
    }
}

fn is_full(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Refused(_, error) if error.sqlstate.as_deref() == Some("53300"))
}
