//! Secrets Manager.
//!
//! The version stage is always named: a stand-in that leaves it out gives an old
//! value, and a reader should not depend on a default. Values are not cached: a
//! password may rotate between two requests.

use aws_sdk_secretsmanager::Client;
use std::sync::Arc;

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::aws::Aws;

use super::{Reading, SecretError, SecretStore};

/// Secrets Manager, by the SDK; its client is made with the first request.
pub struct SecretsManager {
    aws: Arc<Aws>,
    client: OnceCell<Client>,
}

impl SecretsManager {
    /// Over a configuration that may not be loaded yet.
    pub fn new(aws: Arc<Aws>) -> Self {
        Self { aws, client: OnceCell::new() }
    }

    async fn read(&self, id: &str) -> Result<SecretString, SecretError> {
        let client =
            self.client.get_or_init(|| async { Client::new(self.aws.config().await) }).await;
        let request = client.get_secret_value().secret_id(id).version_stage("AWSCURRENT");
        let output = request.send().await.map_err(|error| explained(id, &error))?;
        match output.secret_string {
            Some(text) => Ok(text.into()),
            None => Err(SecretError::Binary(id.to_owned())),
        }
    }
}

impl SecretStore for SecretsManager {
    fn current<'a>(&'a self, id: &'a str) -> Reading<'a> {
        Box::pin(self.read(id))
    }
}

/// Errors are told apart by code. The SDK's own text may repeat the whole
/// response, so only codes and messages of known shape are used.
fn explained<E, R>(id: &str, error: &SdkError<E, R>) -> SecretError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let code = error.code().unwrap_or_default();
    let id = id.to_owned();
    let why = |text: String| {
        let text = if text.is_empty() { "no answer".to_owned() } else { text };
        text.chars().take(200).collect::<String>()
    };
    match (error, code) {
        (_, "ResourceNotFoundException") => SecretError::NotFound(id),
        (_, "AccessDeniedException" | "AccessDenied" | "UnrecognizedClientException") => {
            SecretError::Denied(id)
        }
        (_, "DecryptionFailure" | "KMSAccessDeniedException") => SecretError::Denied(id),
        // A secret that waits for its deletion is the one state in which it cannot be read.
        (_, "InvalidRequestException") => SecretError::Deleted(id),
        (SdkError::TimeoutError(_), _) => SecretError::Unavailable {
            id,
            why: "Secrets Manager did not answer in time".into(),
            heals: true,
        },
        (SdkError::DispatchFailure(failure), _) => {
            let heals = failure.is_io() || failure.is_timeout();
            let source = failure.as_connector_error().and_then(std::error::Error::source);
            let why = why(source.map(innermost).unwrap_or_default());
            SecretError::Unavailable { id, why, heals }
        }
        (SdkError::ConstructionFailure(_), _) => SecretError::Unavailable {
            id,
            why: "the request could not be made; are region and credentials set?".into(),
            heals: false,
        },
        (_, code) => {
            let throttled = ["ThrottlingException", "InternalServiceError", "InternalFailure"];
            SecretError::Unavailable {
                id,
                why: why(code.to_owned()),
                heals: throttled.contains(&code),
            }
        }
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    crate::trust::causes(error).last().map(ToString::to_string).unwrap_or_default()
}
