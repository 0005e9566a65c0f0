//! Writing: making, changing, deleting and restoring a secret.
//!
//! What an earlier try or run has done already is no error. Nothing is deleted
//! without a recovery window.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::types::Tag;
use secrecy::ExposeSecret;

use super::SecretsManager;
use super::again::again;
use super::explained::explained;
use crate::secrets::{Action, NewSecret, Put, SecretError};

impl SecretsManager {
    pub(super) async fn made(&self, new: &NewSecret) -> Result<String, SecretError> {
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

    pub(super) async fn written(&self, id: &str, put: Put<'_>) -> Result<(), SecretError> {
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
            Err(error) => Err(self.seen(id, error).await),
        }
    }

    pub(super) async fn restored(&self, id: &str) -> Result<(), SecretError> {
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

    pub(super) async fn tagged(
        &self,
        id: &str,
        with: &BTreeMap<String, String>,
    ) -> Result<(), SecretError> {
        if with.is_empty() {
            return Ok(());
        }
        let request = self.client().await.tag_resource().secret_id(id).set_tags(Some(tags(with)));
        let answer = again(Action::Tag, id, || async {
            request.clone().send().await.map_err(|it| explained(Action::Tag, id, &it))
        });
        match answer.await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.seen(id, error).await),
        }
    }

    pub(super) async fn removed(&self, id: &str, days: u8) -> Result<(), SecretError> {
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
}

fn tags(of: &BTreeMap<String, String>) -> Vec<Tag> {
    of.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}
