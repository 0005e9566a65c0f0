//! What can go wrong with a secret.
//!
//! Each error names what was attempted, and its hint the permission that it
//! takes. None repeats a secret's text: of the service's own words only those of
//! known shape get here (`aws::explained`).

use std::fmt;

use super::LoginError;

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `GetSecretValue`.
    Read,
    /// `DescribeSecret`.
    Describe,
    /// `CreateSecret`.
    Create,
    /// `PutSecretValue`.
    Put,
    /// `RestoreSecret`.
    Restore,
    /// `TagResource`.
    Tag,
    /// `UpdateSecretVersionStage`.
    MoveStage,
    /// `RotateSecret`.
    SetUpRotation,
    /// `DeleteSecret`.
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "reading",
            Self::Describe => "describing",
            Self::Create => "creating",
            Self::Put => "writing",
            Self::Restore => "restoring",
            Self::Tag => "tagging",
            Self::MoveStage => "moving a stage of",
            Self::SetUpRotation => "setting up the rotation of",
            Self::Delete => "deleting",
        })
    }
}

impl Action {
    fn permission(self) -> &'static str {
        match self {
            Self::Read => {
                "Allow the function's role secretsmanager:GetSecretValue on it and kms:Decrypt on its \
                 key."
            }
            Self::Describe => "Allow the function's role secretsmanager:DescribeSecret on it.",
            Self::Create => {
                "Allow the function's role secretsmanager:CreateSecret and secretsmanager:TagResource \
                 on it, and kms:GenerateDataKey and kms:Decrypt on its key."
            }
            Self::Put => {
                "Allow the function's role secretsmanager:PutSecretValue on it, and \
                 kms:GenerateDataKey and kms:Decrypt on its key."
            }
            Self::Restore => "Allow the function's role secretsmanager:RestoreSecret on it.",
            Self::Tag => "Allow the function's role secretsmanager:TagResource on it.",
            Self::MoveStage => {
                "Allow the function's role secretsmanager:UpdateSecretVersionStage on it."
            }
            Self::SetUpRotation => {
                "Allow the function's role secretsmanager:RotateSecret on it and \
                 lambda:InvokeFunction on the rotation's function, whose own policy must allow \
                 lambda:InvokeFunction for secretsmanager.amazonaws.com."
            }
            Self::Delete => "Allow the function's role secretsmanager:DeleteSecret on it.",
        }
    }
}

/// Why a secret is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is none of that name.
    #[error("secret `{0}` does not exist")]
    NotFound(String),
    /// It waits for its deletion.
    #[error("secret `{0}` is scheduled for deletion")]
    Deleted(String),
    /// The name is taken.
    #[error("secret `{0}` exists already")]
    Exists(String),
    /// There is a version of this token with another text.
    #[error("secret `{0}` has a version of the same token with another text")]
    TokenUsed(String),
    /// The function's role may not do it, or not use its key.
    #[error("{action} secret `{id}` is not allowed")]
    Denied {
        /// What was attempted.
        action: Action,
        /// The secret.
        id: String,
    },
    /// Its key cannot be used.
    #[error("{action} secret `{id}` failed: its KMS key cannot be used")]
    Key {
        /// What was attempted.
        action: Action,
        /// The secret.
        id: String,
    },
    /// Secrets Manager refuses the request.
    #[error("{action} secret `{id}` was refused: {why}")]
    Invalid {
        /// What was attempted.
        action: Action,
        /// The secret.
        id: String,
        /// Secrets Manager's error code.
        code: String,
        /// Its own words, where their shape is known; else the code.
        why: String,
    },
    /// It holds bytes instead of a text.
    #[error("secret `{0}` is binary")]
    Binary(String),
    /// Its text does not say how to log in.
    #[error("secret `{0}` {1}")]
    Login(String, #[source] LoginError),
    /// Secrets Manager did not answer, or answered something else.
    #[error("{action} secret `{id}` failed: {why}")]
    Unavailable {
        /// What was attempted.
        action: Action,
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
            Self::Exists(_) => "Name another, or use the one that exists by its ARN.",
            Self::TokenUsed(_) => "Something else wrote that version; deploy again.",
            Self::Denied { action, .. } => action.permission(),
            Self::Key { .. } => {
                "The key must exist and be enabled, and the function's role needs \
                 kms:GenerateDataKey and kms:Decrypt on it."
            }
            Self::Invalid { code, .. } if code == "LimitExceededException" => {
                "Ask AWS for a higher quota, or remove what is not needed."
            }
            Self::Invalid { action: Action::SetUpRotation, .. } => {
                "A rotation that did not end must be tried again or cancelled (CancelRotateSecret, and \
                 AWSPENDING taken from its version) before it can be set up anew."
            }
            Self::Invalid { action: Action::Create, .. } => {
                "A name has letters, digits and /_+=.@- only, and does not end in a hyphen and six \
                 characters; the KMS key must exist."
            }
            Self::Invalid { .. } => "Look at the secret in Secrets Manager.",
            Self::Binary(_) | Self::Login(..) => {
                "Store JSON text with host, port, username, password and dbname; a secret that RDS \
                 manages has only the login, then set `Connection.Host`."
            }
            Self::Unavailable { .. } => {
                "In a VPC the function needs NAT or an endpoint for Secrets Manager."
            }
        }
    }

    /// Whether there is a secret of the name that was to be made.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Exists(_) | Self::Deleted(_))
    }

    /// Whether a later try may succeed.
    pub fn heals(&self) -> bool {
        matches!(self, Self::Unavailable { heals: true, .. })
    }
}
