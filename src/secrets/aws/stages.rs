//! The stages of versions, and the rotation that moves them.
//!
//! A move names where the stage is now, as the service demands: whoever moved it
//! in between is not overruled.

use aws_sdk_secretsmanager::types::RotationRulesType;

use super::SecretsManager;
use super::again::again;
use super::explained::explained;
use crate::secrets::password::token;
use crate::secrets::{Action, RotationRule, SecretError};

impl SecretsManager {
    pub(super) async fn moved(
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

    pub(super) async fn rotating(&self, id: &str, rule: &RotationRule) -> Result<(), SecretError> {
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
            Err(error) => Err(self.seen(id, error).await),
        }
    }
}
