//! Secrets Manager.
//!
//! The version stage is always named: a stand-in that leaves it out gives an old
//! value, and a reader should not depend on a default. Values are not cached: a
//! password may rotate between two requests. Where one code of the service's has
//! several meanings, the secret is described and its state tells which it is.

mod again;
mod explained;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::types::{RotationRulesType, Tag};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use self::again::again;
use self::explained::explained;
use super::password::token;
use super::{
    Action, Answering, Described, NewSecret, Put, RotationRule, SecretError, SecretStore, Which,
};
use crate::aws::Aws;

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

    async fn client(&self) -> &Client {
        let make = || async {
            let config = aws_sdk_secretsmanager::config::Builder::from(self.aws.config().await);
            Client::from_conf(config.retry_config(RetryConfig::disabled()).build())
        };
        self.client.get_or_init(make).await
    }

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

    async fn current_text(&self, id: &str) -> Result<SecretString, SecretError> {
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

    async fn version_text(
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

    async fn described(&self, id: &str) -> Result<Option<Described>, SecretError> {
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

    async fn made(&self, new: &NewSecret) -> Result<String, SecretError> {
        let id = new.name.as_str();
        let request = self
            .client()
            .await
            .create_secret()
            .name(id)
            .description(&new.description)
            .secret_string(new.text.expose_secret())
            .client_request_token(&new.token)
            .set_kms_key_id(new.kms_key_id.clone())
            .set_tags(Some(tags(&new.tags)));
        let answer = again(Action::Create, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::Create, id, &it))
        });
        let error = match answer.await {
            Ok(output) => return Ok(output.arn.unwrap_or_default()),
            // What is not found is the key.
            Err(SecretError::NotFound(id)) => {
                return Err(SecretError::Key { action: Action::Create, id });
            }
            Err(error) => error,
        };
        let SecretError::Invalid { code, .. } = &error else { return Err(error) };
        let exists = code == "ResourceExistsException";
        if !exists && code != "InvalidRequestException" {
            return Err(error);
        }
        Err(match self.described(id).await? {
            Some(secret) if secret.deleted => SecretError::Deleted(id.to_owned()),
            Some(_) => SecretError::Exists(id.to_owned()),
            // A deletion by force takes its time, and keeps the name for it.
            None if exists => SecretError::Unavailable {
                action: Action::Create,
                id: id.to_owned(),
                why: "its name is not free yet".into(),
                heals: true,
            },
            None => error,
        })
    }

    async fn written(&self, id: &str, put: Put<'_>) -> Result<(), SecretError> {
        let stages = put.stages.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
        let request = self
            .client()
            .await
            .put_secret_value()
            .secret_id(id)
            .secret_string(put.text.expose_secret())
            .client_request_token(put.token)
            .set_version_stages(stages)
            .set_rotation_token(put.rotation_token.map(str::to_owned));
        let answer = again(Action::Put, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::Put, id, &it))
        });
        match answer.await {
            Ok(_) => Ok(()),
            Err(SecretError::Invalid { id, code, .. }) if code == "ResourceExistsException" => {
                Err(SecretError::TokenUsed(id))
            }
            Err(error) => Err(self.seen(id, error).await?),
        }
    }

    async fn restored(&self, id: &str) -> Result<(), SecretError> {
        let request = self.client().await.restore_secret().secret_id(id);
        let answer = again(Action::Restore, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::Restore, id, &it))
        });
        let Err(error) = answer.await else { return Ok(()) };
        if !matches!(error, SecretError::Invalid { .. }) {
            return Err(error);
        }
        match self.described(id).await? {
            Some(secret) if !secret.deleted => Ok(()),
            _ => Err(error),
        }
    }

    async fn tagged(&self, id: &str, with: &BTreeMap<String, String>) -> Result<(), SecretError> {
        if with.is_empty() {
            return Ok(());
        }
        let request = self.client().await.tag_resource().secret_id(id).set_tags(Some(tags(with)));
        let answer = again(Action::Tag, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::Tag, id, &it))
        });
        match answer.await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.seen(id, error).await?),
        }
    }

    async fn moved(
        &self,
        id: &str,
        stage: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), SecretError> {
        let request = self
            .client()
            .await
            .update_secret_version_stage()
            .secret_id(id)
            .version_stage(stage)
            .set_move_to_version_id(to.map(str::to_owned))
            .set_remove_from_version_id(from.map(str::to_owned));
        let answer = again(Action::MoveStage, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::MoveStage, id, &it))
        });
        let Err(error) = answer.await else { return Ok(()) };
        if !matches!(error, SecretError::Invalid { .. }) {
            return Err(error);
        }
        // The answer to a move that was carried out may be lost; asked again, the service refuses.
        match self.described(id).await? {
            Some(secret) if secret.deleted => Err(SecretError::Deleted(id.to_owned())),
            Some(secret) => {
                let holder = secret.holder(stage);
                let there = if to.is_some() { holder == to } else { holder != from };
                if there { Ok(()) } else { Err(error) }
            }
            None => Err(SecretError::NotFound(id.to_owned())),
        }
    }

    async fn rotating(&self, id: &str, rule: &RotationRule) -> Result<(), SecretError> {
        let rules = RotationRulesType::builder().automatically_after_days(rule.days.into());
        let request = self
            .client()
            .await
            .rotate_secret()
            .secret_id(id)
            // The same for each try: another token would be another rotation.
            .client_request_token(token())
            .rotation_lambda_arn(&rule.lambda_arn)
            .rotation_rules(rules.build())
            .rotate_immediately(rule.immediately);
        let answer = again(Action::SetUpRotation, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::SetUpRotation, id, &it))
        });
        match answer.await {
            Ok(_) => Ok(()),
            Err(error @ SecretError::NotFound(_)) => Err(match self.described(id).await? {
                Some(_) => SecretError::Invalid {
                    action: Action::SetUpRotation,
                    id: id.to_owned(),
                    code: "ResourceNotFoundException".into(),
                    why: format!("function `{}` does not exist", rule.lambda_arn),
                },
                None => error,
            }),
            Err(error) => Err(self.seen(id, error).await?),
        }
    }

    async fn removed(&self, id: &str, days: u8) -> Result<(), SecretError> {
        let request = self.client().await.delete_secret().secret_id(id);
        let request = request.recovery_window_in_days(days.clamp(7, 30).into());
        let answer = again(Action::Delete, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::Delete, id, &it))
        });
        match answer.await {
            Ok(_) | Err(SecretError::NotFound(_)) => Ok(()),
            Err(error @ SecretError::Invalid { .. }) => match self.described(id).await? {
                Some(secret) if !secret.deleted => Err(error),
                _ => Ok(()),
            },
            Err(error) => Err(error),
        }
    }

    /// A refusal seen in the light of the secret's state.
    async fn seen(&self, id: &str, error: SecretError) -> Result<SecretError, SecretError> {
        match &error {
            SecretError::Invalid { code, .. } if code == "InvalidRequestException" => {}
            _ => return Ok(error),
        }
        Ok(match self.described(id).await? {
            Some(secret) if secret.deleted => SecretError::Deleted(id.to_owned()),
            _ => error,
        })
    }
}

impl SecretStore for SecretsManager {
    fn current<'a>(&'a self, id: &'a str) -> Answering<'a, SecretString> {
        Box::pin(self.current_text(id))
    }

    fn version<'a>(&'a self, id: &'a str, which: Which<'a>) -> Answering<'a, Option<SecretString>> {
        Box::pin(self.version_text(id, which))
    }

    fn describe<'a>(&'a self, id: &'a str) -> Answering<'a, Option<Described>> {
        Box::pin(self.described(id))
    }

    fn create<'a>(&'a self, new: &'a NewSecret) -> Answering<'a, String> {
        Box::pin(self.made(new))
    }

    fn put<'a>(&'a self, id: &'a str, put: Put<'a>) -> Answering<'a, ()> {
        Box::pin(self.written(id, put))
    }

    fn restore<'a>(&'a self, id: &'a str) -> Answering<'a, ()> {
        Box::pin(self.restored(id))
    }

    fn tag<'a>(&'a self, id: &'a str, tags: &'a BTreeMap<String, String>) -> Answering<'a, ()> {
        Box::pin(self.tagged(id, tags))
    }

    fn move_stage<'a>(
        &'a self,
        id: &'a str,
        stage: &'a str,
        to: Option<&'a str>,
        from: Option<&'a str>,
    ) -> Answering<'a, ()> {
        Box::pin(self.moved(id, stage, to, from))
    }

    fn set_up_rotation<'a>(&'a self, id: &'a str, rotation: &'a RotationRule) -> Answering<'a, ()> {
        Box::pin(self.rotating(id, rotation))
    }

    fn delete<'a>(&'a self, id: &'a str, days: u8) -> Answering<'a, ()> {
        Box::pin(self.removed(id, days))
    }
}

fn tags(of: &BTreeMap<String, String>) -> Vec<Tag> {
    of.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
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
