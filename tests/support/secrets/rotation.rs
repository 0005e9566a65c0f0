//! Rotations, driven as the service drives them.
//!
//! What the service does by itself some time after `RotateSecret`, or on schedule, a test does here
//! when it wants: it gives what invokes the function, and sees each step.

use serde_json::{Value, json};

use super::state::Version;
use super::{Secrets, lock, uuid};

/// How a rotation went.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation<E> {
    /// The id of its version.
    pub token: String,
    /// The step that failed, with what the function threw.
    pub failed: Option<(&'static str, E)>,
}

impl<E: std::fmt::Debug> Rotation<E> {
    /// The token; panics if a step failed.
    #[track_caller]
    pub fn done(self) -> String {
        assert!(self.failed.is_none(), "{:?}", self.failed);
        self.token
    }
}

impl Secrets {
    /// Makes an EMPTY version with `AWSPENDING` (or takes the one of a rotation that did not end)
    /// and calls `invoke` with the event of each step, until one fails.
    #[track_caller]
    pub fn rotate<E>(&self, id: &str, invoke: impl FnMut(Value) -> Result<(), E>) -> Rotation<E> {
        let (arn, token) = {
            let mut state = lock(&self.store.state);
            let secret = state.find_mut(id).unwrap_or_else(|| panic!("there is no secret {id}"));
            let due = secret.due.take().filter(|(_, immediately)| *immediately);
            let pending = secret.at("AWSPENDING").filter(|it| !it.has("AWSCURRENT"));
            let token = due.map(|it| it.0).or(pending.map(|it| it.id.clone()));
            let token = token.unwrap_or_else(uuid);
            if secret.version(&token).is_none() {
                secret.add(&token, None, &["AWSPENDING"]);
            }
            (secret.arn.clone(), token)
        };
        let steps = ["createSecret", "setSecret", "testSecret", "finishSecret"];
        Self::drive(&arn, token, &steps, invoke)
    }

    /// What `RotateSecret` with `RotateImmediately: false` leads to: `testSecret` on an empty
    /// `AWSPENDING` version that is made for it and taken away afterwards.
    #[track_caller]
    pub fn test_only<E>(
        &self,
        id: &str,
        invoke: impl FnMut(Value) -> Result<(), E>,
    ) -> Rotation<E> {
        let (arn, token, before) = {
            let mut state = lock(&self.store.state);
            let secret = state.find_mut(id).unwrap_or_else(|| panic!("there is no secret {id}"));
            let before = secret.at("AWSPENDING").map(|it| it.id.clone());
            let token = secret.due.take().map_or_else(uuid, |it| it.0);
            secret.add(&token, None, &["AWSPENDING"]);
            (secret.arn.clone(), token, before)
        };
        let rotation = Self::drive(&arn, token, &["testSecret"], invoke);
        let mut state = lock(&self.store.state);
        if let Some(secret) = state.find_mut(&arn) {
            let made = |it: &Version| it.id == rotation.token && !it.has("AWSCURRENT");
            secret.versions.retain(|it| !made(it));
            if let Some(before) = before.filter(|it| secret.version(it).is_some()) {
                secret.attach("AWSPENDING", &before);
            }
        }
        rotation
    }

    fn drive<E>(
        arn: &str,
        token: String,
        steps: &[&'static str],
        mut invoke: impl FnMut(Value) -> Result<(), E>,
    ) -> Rotation<E> {
        let event =
            |step| json!({"Step": step, "SecretId": arn, "ClientRequestToken": token.as_str()});
        let failed = steps.iter().find_map(|&step| Some((step, invoke(event(step)).err()?)));
        Rotation { token, failed }
    }
}
