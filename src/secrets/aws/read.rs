//! Reading: versions, and what is known about a secret.
//!
//! `ResourceNotFoundException` is the answer for a missing secret, a missing
//! version and one without a value alike; the last is how a rotation begins.

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::types::RotationRulesType;
use secrecy::SecretString;

use super::SecretsManager;
use super::again::again;
use super::explained::explained;
use crate::secrets::{Action, Described, RotationRule, SecretError, Which};

impl SecretsManager {
    /// `None` if the version has no value.
    async fn read(&self, id: &str, which: Which<'_>) -> Result<Option<SecretString>, SecretError> {
        let (token, stage) = match which {
            Which::Stage(stage) => (None, stage),
            Which::Token { token, stage } => (Some(token.to_owned()), stage),
        };
        let request = self.client().await.get_secret_value().secret_id(id);
        let request = request.version_stage(stage).set_version_id(token);
        let output = again(Action::Read, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::Read, id, &it))
        });
        let output = output.await?;
        match (output.secret_string, output.secret_binary) {
            (Some(text), _) => Ok(Some(text.into())),
            (None, Some(_)) => Err(SecretError::Binary(id.to_owned())),
            (None, None) => Ok(None),
        }
    }

    pub(super) async fn current_text(&self, id: &str) -> Result<SecretString, SecretError> {
        match self.read(id, Which::Stage("AWSCURRENT")).await {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(SecretError::Binary(id.to_owned())),
            // A secret that waits for its deletion is the one state in which it cannot be read.
            Err(SecretError::Invalid { id, code, .. }) if code == "InvalidRequestException" => {
                Err(SecretError::Deleted(id))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn version_text(
        &self,
        id: &str,
        which: Which<'_>,
    ) -> Result<Option<SecretString>, SecretError> {
        let error = match self.read(id, which).await {
            Err(SecretError::NotFound(_)) => return Ok(None),
            Err(error @ SecretError::Invalid { .. }) => error,
            answer => return answer,
        };
        match (self.described(id).await?, which) {
            (None, _) => Ok(None),
            (Some(secret), _) if secret.deleted => Err(SecretError::Deleted(id.to_owned())),
            // Both must be of one version, and they are not.
            (Some(secret), Which::Token { token, stage })
                if secret.holder(stage) != Some(token) =>
            {
                Ok(None)
            }
            _ => Err(error),
        }
    }

    pub(super) async fn described(&self, id: &str) -> Result<Option<Described>, SecretError> {
        let request = self.client().await.describe_secret().secret_id(id);
        let output = again(Action::Describe, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::Describe, id, &it))
        });
        match output.await {
            Ok(output) => Ok(Some(as_described(output))),
            Err(SecretError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A refusal seen in the light of the secret's state, as far as that can be told.
    pub(super) async fn seen(&self, id: &str, error: SecretError) -> SecretError {
        match &error {
            SecretError::Invalid { code, .. } if code == "InvalidRequestException" => {}
            _ => return error,
        }
        match self.described(id).await {
            Ok(Some(secret)) if secret.deleted => SecretError::Deleted(id.to_owned()),
            _ => error,
        }
    }
}

fn as_described(output: DescribeSecretOutput) -> Described {
    let rotation = (output.rotation_enabled == Some(true)).then(|| RotationRule {
        lambda_arn: output.rotation_lambda_arn.clone().unwrap_or_default(),
        days: output.rotation_rules.as_ref().map_or(0, days),
        immediately: false,
    });
    let tags = output.tags.unwrap_or_default().into_iter();
    Described {
        arn: output.arn.unwrap_or_default(),
        name: output.name.unwrap_or_default(),
        deleted: output.deleted_date.is_some(),
        tags: tags.filter_map(|it| Some((it.key?, it.value.unwrap_or_default()))).collect(),
        kms_key_id: output.kms_key_id,
        owning_service: output.owning_service,
        rotation,
        versions: output.version_ids_to_stages.unwrap_or_default().into_iter().collect(),
    }
}

/// The service answers in days, or with the `rate(30 days)` that somebody set.
fn days(rules: &RotationRulesType) -> u32 {
    let rate = || {
        let rate = rules.schedule_expression()?.trim().strip_prefix("rate(")?;
        let (count, unit) = rate.strip_suffix(')')?.split_once(' ')?;
        matches!(unit.trim(), "day" | "days").then(|| count.parse().ok())?
    };
    rules.automatically_after_days().or_else(rate).and_then(|it| it.try_into().ok()).unwrap_or(0)
}
