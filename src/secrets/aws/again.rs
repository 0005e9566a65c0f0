//! Trying again: what the service or the network may do better the next time.
//!
//! The SDK's own tries are off, so that the two do not multiply, and so that a
//! lost answer of a write is judged here. Every request that comes by may be
//! repeated: it carries a token, or asks for a state.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::secrets::{Action, SecretError};

const TRIES: u32 = 5;
const LIMIT: Duration = Duration::from_secs(20);
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The first answer that is no passing failure, or the last one.
pub async fn again<T, F>(
    action: Action,
    id: &str,
    mut attempt: impl FnMut() -> F,
) -> Result<T, SecretError>
where
    F: Future<Output = Result<T, SecretError>>,
{
    let deadline = Instant::now() + LIMIT;
    let mut wait = FIRST_WAIT;
    for tried in 1.. {
        let Ok(answer) = timeout_at(deadline, attempt()).await else { break };
        match answer {
            Err(error) if error.heals() && tried < TRIES => {
                // Half of the wait by chance, so that those who were throttled together part.
                let pause = wait.mul_f64(0.5 + fastrand::f64() / 2.0);
                if Instant::now() + pause >= deadline {
                    return Err(error);
                }
                tracing::debug!("{error}; trying again");
                sleep(pause).await;
                wait *= 2;
            }
            answer => return answer,
        }
    }
    Err(SecretError::Unavailable {
        action,
        id: id.to_owned(),
        why: "Secrets Manager did not answer in time".into(),
        heals: true,
    })
}
