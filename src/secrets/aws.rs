//! Secrets Manager.
//!
//! The version stage is always named: a stand-in that leaves it out gives an old
//! value, and a reader should not depend on a default. Values are not cached: a
//! password may rotate between two requests. Where one code of the service's has
//! several meanings, the secret is described and its state tells which it is.

mod again;
mod explained;
mod read;
mod stages;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use super::{Answering, Described, NewSecret, Put, RotationRule, SecretStore, Which};
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
