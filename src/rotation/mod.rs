//! Rotates a login: Secrets Manager's four steps, for one role or for two that take turns.
//!
//! Every step may be repeated, and a rotation that ended anywhere goes on from
//! there: what is there already is found by looking (a pending version that has a
//! value, a password that works) and not by remembering. With `single` the role's
//! password changes, and a client that reads the secret and logs in between the
//! second step and the fourth meets a refusal. With `alternating` the other one of
//! two roles gets a new password while the current one keeps working.
//!
//! It is called by Secrets Manager alone, with the function's handler `rotation`.
//! What it may do on the server is the master's to do where there is one, and only
//! after the current login has worked: who can write a secret gets no password set
//! on a role of their choice.

mod alternating;
mod change;
pub mod checks;
mod error;
pub mod event;
mod login;
mod master;
pub mod role;
mod single;
pub mod sql;
mod steps;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::checks::{Credentials, Entry};
pub use self::error::RotationError;
use self::event::{Event, Step};
use crate::budget::Budget;
use crate::engine::World;
use crate::handler::{Call, Thrown};
use crate::redact::{remember, scrub};
use crate::response::{MAX_THROWN, Reason};
use crate::secrets::{Described, Login, SecretError, Which};

/// The stage of the version that is rotated to.
const PENDING: &str = "AWSPENDING";

/// What the function's environment says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `ROTATION_STRATEGY`, for secrets without a tag.
    pub strategy: Option<String>,
    /// `MASTER_SECRET_ARN`, for secrets without `masterarn`.
    pub master: Option<String>,
}

impl Settings {
    /// As the environment has it.
    pub fn of_function() -> Self {
        let set = |name| std::env::var(name).ok().filter(|it| !it.is_empty());
        Self { strategy: set("ROTATION_STRATEGY"), master: set("MASTER_SECRET_ARN") }
    }
}

/// Handles one event of Secrets Manager; what it returns is for people.
pub async fn handle(world: &World, settings: &Settings, call: &Call) -> Result<Value, Thrown> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_millis(call.deadline_ms).saturating_sub(now);
    let reserve = Duration::from_secs(1).min(left / 2);
    let budget = Budget::new(Instant::now() + left.saturating_sub(reserve));
    let work = AssertUnwindSafe(Box::pin(run(world, settings, &call.event, &budget)));
    let result = match tokio::time::timeout_at(budget.deadline, work.catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let what = budget.done_last();
            let text = format!("{} (while {what})", text.unwrap_or_default());
            Err(RotationError::Internal(text))
        }
        Err(_) => Err(RotationError::Deadline(budget.done_last())),
    };
    match result {
        Ok(done) => {
            tracing::info!("{done}");
            Ok(json!({ "Done": scrub(&done) }))
        }
        Err(error) => {
            tracing::error!(name = error.name(), "{error}");
            let reason = Reason {
                cause: scrub(&error.to_string()).into_owned(),
                hint: error.hint().map(|it| scrub(&it).into_owned()),
                trace: format!("request {}, log stream {}", call.request_id, call.log_stream),
            };
            Err(Thrown { name: error.name(), message: reason.fitted(MAX_THROWN) })
        }
    }
}

/// One step; gives what was done, as a sentence.
async fn run(
    world: &World,
    settings: &Settings,
    event: &str,
    budget: &Budget,
) -> Result<String, RotationError> {
    let event = Event::read(event).map_err(RotationError::Event)?;
    tracing::info!(secret = event.secret, token = event.token, "{}", event.step.as_str());
    budget.doing(format!("describing secret `{}`", event.secret));
    let described = world.secrets.describe(&event.secret).await?;
    let secret = described.ok_or_else(|| SecretError::NotFound(event.secret.clone()))?;
    if checks::entry(&secret, &event.token)? == Entry::Done {
        return Ok(format!("version `{}` is current already", event.token));
    }
    let rotation = Rotation { world, settings, event: &event, secret: &secret, budget };
    match event.step {
        Step::Create => steps::create(&rotation).await,
        Step::Set => steps::set(&rotation).await,
        Step::Test => steps::test(&rotation).await,
        Step::Finish => steps::finish(&rotation).await,
    }
}

/// One step under way.
struct Rotation<'a> {
    world: &'a World,
    settings: &'a Settings,
    event: &'a Event,
    secret: &'a Described,
    budget: &'a Budget,
}

impl Rotation<'_> {
    fn id(&self) -> &str {
        &self.event.secret
    }

    /// The text of the current version.
    async fn current_text(&self) -> Result<SecretString, RotationError> {
        self.budget.doing(format!("reading secret `{}`", self.id()));
        Ok(self.world.secrets.current(self.id()).await?)
    }

    async fn current(&self) -> Result<Credentials, RotationError> {
        let text = self.current_text().await?;
        self.credentials(&text)
    }

    /// The version of this rotation; `None` while it has no value.
    async fn pending(&self) -> Result<Option<Credentials>, RotationError> {
        self.version(Which::Token { token: &self.event.token, stage: PENDING }).await
    }

    async fn version(&self, which: Which<'_>) -> Result<Option<Credentials>, RotationError> {
        self.budget.doing(format!("reading secret `{}`", self.id()));
        let text = self.world.secrets.version(self.id(), which).await?;
        text.map(|text| self.credentials(&text)).transpose()
    }

    fn credentials(&self, text: &SecretString) -> Result<Credentials, RotationError> {
        let login = Login::read(text.expose_secret());
        let login = login.map_err(|it| SecretError::Login(self.id().to_owned(), it))?;
        let login = Credentials::of(self.id(), login)?;
        remember(&login.password);
        Ok(login)
    }
}
