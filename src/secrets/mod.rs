//! Where logins come from.
//!
//! [`SecretStore`] is one of the two things with a second world for tests;
//! [`Login`] is what a secret's text means. Nothing here prints a secret, and
//! no error repeats a secret's text.

pub mod aws;
pub mod http;
mod login;

use std::future::Future;
use std::pin::Pin;

use secrecy::SecretString;

pub use login::{Login, LoginError};

/// A store of secrets, by name or ARN.
pub trait SecretStore: Send + Sync {
    /// The text of the current version.
    fn current<'a>(&'a self, id: &'a str) -> Reading<'a>;
}

/// What [`SecretStore::current`] gives.
pub type Reading<'a> = Pin<Box<dyn Future<Output = Result<SecretString, SecretError>> + Send + 'a>>;

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is none of that name.
    #[error("secret `{0}` does not exist")]
    NotFound(String),
    /// It waits for its deletion.
    #[error("secret `{0}` is scheduled for deletion")]
    Deleted(String),
    /// The function's role may not read it, or not use its key.
    #[error("reading secret `{0}` is not allowed")]
    Denied(String),
    /// It holds bytes instead of a text.
    #[error("secret `{0}` is binary")]
    Binary(String),
    /// Its text does not say how to log in.
    #[error("secret `{0}` {1}")]
    Login(String, #[source] LoginError),
    /// Secrets Manager did not answer, or answered something else.
    #[error("reading secret `{id}` failed: {why}")]
    Unavailable {
        /// The secret.
        id: String,
        /// Secrets Manager's error code, or what the network said.
        why: String,
        /// Whether a later try may succeed.
        heals: bool,
    },
}

impl SecretError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "Check the name and the region.",
            Self::Deleted(_) => "Restore it (RestoreSecret), or name another.",
            Self::Denied(_) => {
                "Allow the function's role secretsmanager:GetSecretValue on it and kms:Decrypt on its key."
            }
            Self::Binary(_) | Self::Login(..) => {
                "Store JSON text with host, port, username, password and dbname; a secret that RDS \
                 manages has only the login, then set `Connection.Host`."
            }
            Self::Unavailable { .. } => {
                "In a VPC the function needs NAT or an endpoint for Secrets Manager."
            }
        }
    }

    /// Whether a later try may succeed.
    pub fn heals(&self) -> bool {
        matches!(self, Self::Unavailable { heals: true, .. })
    }
}
