//! Where logins come from, and where they are kept.
//!
//! [`SecretStore`] is one of the two things with a second world for tests;
//! [`Login`] is what a secret's text means. Nothing here prints a secret, and
//! no error repeats a secret's text. Every method may be repeated: what was done
//! already is not done twice.

pub mod aws;
mod error;
pub mod http;
mod login;
mod password;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use secrecy::SecretString;

pub use error::{Action, SecretError};
pub use login::{Login, LoginError, with};
pub use password::password;
pub(crate) use password::token;

/// A store of secrets, by name or ARN.
pub trait SecretStore: Send + Sync {
    /// The text of the current version (`AWSCURRENT`).
    fn current<'a>(&'a self, id: &'a str) -> Answering<'a, SecretString>;
    /// The text of one version; `None` if there is no such version or it has no value yet.
    fn version<'a>(&'a self, id: &'a str, which: Which<'a>) -> Answering<'a, Option<SecretString>>;
    /// What is known about a secret; `None` if there is none of that name. One that waits for its
    /// deletion is `Some` with `deleted`.
    fn describe<'a>(&'a self, id: &'a str) -> Answering<'a, Option<Described>>;
    /// Makes a secret; gives its ARN. [`SecretError::Exists`] or [`SecretError::Deleted`] if the
    /// name is taken.
    fn create<'a>(&'a self, new: &'a NewSecret) -> Answering<'a, String>;
    /// A new version. Same token with the same text: nothing happens; with another text:
    /// [`SecretError::TokenUsed`].
    fn put<'a>(&'a self, id: &'a str, put: Put<'a>) -> Answering<'a, ()>;
    /// Takes back a scheduled deletion; of one that is not scheduled: fine.
    fn restore<'a>(&'a self, id: &'a str) -> Answering<'a, ()>;
    /// Adds or changes tags.
    fn tag<'a>(&'a self, id: &'a str, tags: &'a BTreeMap<String, String>) -> Answering<'a, ()>;
    /// `UpdateSecretVersionStage`; of a stage that is there already: fine.
    fn move_stage<'a>(
        &'a self,
        id: &'a str,
        stage: &'a str,
        to: Option<&'a str>,
        from: Option<&'a str>,
    ) -> Answering<'a, ()>;
    /// `RotateSecret` as a set-up.
    fn set_up_rotation<'a>(&'a self, id: &'a str, rotation: &'a RotationRule) -> Answering<'a, ()>;
    /// `DeleteSecret` with a recovery window of `days` (7 to 30); never by force. Of one that is
    /// gone or already scheduled: fine.
    fn delete<'a>(&'a self, id: &'a str, days: u8) -> Answering<'a, ()>;
}

/// What a method of [`SecretStore`] gives.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, SecretError>> + Send + 'a>>;

/// Which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one with this stage.
    Stage(&'a str),
    /// The one of this token, if it has this stage.
    Token {
        /// The version's id.
        token: &'a str,
        /// A stage that it must have.
        stage: &'a str,
    },
}

/// A secret as `DescribeSecret` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// Its ARN, with the six characters at the end.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Whether it waits for its deletion.
    pub deleted: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its key; `None` is the account's own for Secrets Manager.
    pub kms_key_id: Option<String>,
    /// `rds` for a master secret that RDS manages.
    pub owning_service: Option<String>,
    /// Set while rotation is enabled; `immediately` is false here. `days` is 0 with a schedule of
    /// another kind, `lambda_arn` empty where the service rotates by itself.
    pub rotation: Option<RotationRule>,
    /// Stages by version id.
    pub versions: BTreeMap<String, Vec<String>>,
}

impl Described {
    /// The version that has a stage.
    pub fn holder(&self, stage: &str) -> Option<&str> {
        let holds = |stages: &Vec<String>| stages.iter().any(|it| it == stage);
        self.versions.iter().find(|(_, stages)| holds(stages)).map(|(version, _)| version.as_str())
    }
}

/// A secret to make.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its first text.
    pub text: SecretString,
    /// Its key; `None` is the account's own for Secrets Manager.
    pub kms_key_id: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// 32 to 64 characters; the same request with the same token is one request.
    pub token: String,
}

/// A version to add.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// Its text.
    pub text: &'a SecretString,
    /// Its id, 32 to 64 characters.
    pub token: &'a str,
    /// `None`: `AWSCURRENT`.
    pub stages: Option<&'a [&'a str]>,
    /// Of the rotation event, where it has one.
    pub rotation_token: Option<&'a str>,
}

/// How a secret rotates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationRule {
    /// The function that does it.
    pub lambda_arn: String,
    /// The days between two rotations.
    pub days: u32,
    /// Whether the first one is now.
    pub immediately: bool,
}
