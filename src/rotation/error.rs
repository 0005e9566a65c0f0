//! Why a step of a rotation was not done, for people and for programs.
//!
//! Secrets Manager tries the whole rotation again whatever the error is, and
//! shows the text to whoever looks; so the text says what is wrong, the hint how
//! to mend it, and the name whether trying again is enough.

use crate::postgres::{ConnectError, SqlError};
use crate::secrets::SecretError;

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The event is no step of a rotation.
    #[error("{0}")]
    Event(String),
    /// Secrets Manager, or what a secret holds.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The secret is not in the state that the step needs.
    #[error("{0}")]
    State(String, &'static str),
    /// What is asked for must not be done.
    #[error("{0}")]
    Refused(String, &'static str),
    /// There is no session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused the change.
    #[error("changing role `{role}` failed: {error}")]
    Sql {
        /// The role.
        role: String,
        /// What the server said.
        #[source]
        error: SqlError,
    },
    /// The time is over.
    #[error("the time ran out while {0}")]
    Deadline(String),
    /// A mistake in this program.
    #[error("internal error: {0}")]
    Internal(String),
}

/// For a pending version that cannot become current any more.
pub const DISCARD: &str = "Take AWSPENDING from this version (UpdateSecretVersionStage with \
                           RemoveFromVersionId), then rotate again; the role was not changed.";

impl RotationError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Event(_) => {
                "The function with handler `rotation` is called by Secrets Manager alone."
            }
            Self::Secret(SecretError::Login(..)) => {
                "Store JSON text with engine, host, port, username, password and dbname."
            }
            Self::Secret(error) => error.hint(),
            Self::State(_, hint) | Self::Refused(_, hint) => hint,
            Self::Connect(ConnectError::NoTls(_)) => {
                "Rotation logs in over TLS only: turn TLS on at the server."
            }
            Self::Connect(ConnectError::Certificate(..)) => {
                "Let the secret's host be a name of the server's certificate, or give its CA to the \
                 function in SSL_CERT_FILE."
            }
            Self::Connect(error) => return error.hint(),
            Self::Sql { error, .. } if error.sqlstate.as_deref() == Some("42501") => {
                "The login that changes the role needs CREATEROLE and, from PostgreSQL 16 on, ADMIN \
                 OPTION on the role and its second one; under rds.restrict_password_commands it must \
                 be a member of rds_password: name the master's secret in `masterarn`."
            }
            Self::Sql { error, .. } => return error.hint(),
            Self::Deadline(_) => "Raise the function's timeout.",
            Self::Internal(_) => "Please report it with the function's log.",
        };
        Some(hint.to_owned())
    }

    /// `Retryable…` where a later try may succeed by itself.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Event(_) => "PermanentInvalidRequest",
            Self::Secret(error) if error.heals() => "RetryableSecretUnavailable",
            Self::Secret(_) => "PermanentSecret",
            Self::State(..) => "PermanentRotation",
            Self::Refused(..) => "PermanentRefused",
            Self::Connect(error) if error.heals() => "RetryableServerUnavailable",
            Self::Connect(_) => "PermanentConnection",
            Self::Sql { error, .. } if error.heals() || error.is_catalog_race() => {
                "RetryableDatabase"
            }
            Self::Sql { .. } => "PermanentDatabase",
            Self::Deadline(_) => "RetryableDeadline",
            Self::Internal(_) => "PermanentInternal",
        }
    }
}
