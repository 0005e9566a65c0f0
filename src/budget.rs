//! How much time is left, and what it is being spent on.
//!
//! Lambda kills a function at its deadline without a word, so every wait and
//! every statement is bounded by what is left, and the reason of a late end can
//! say what was going on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time for one request.
#[derive(Debug)]
pub struct Budget {
    /// When the work must have ended, one way or the other.
    pub deadline: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    statement: Option<Duration>,
    doing: String,
}

impl Budget {
    /// Until `deadline`.
    pub fn new(deadline: Instant) -> Self {
        let state = State { statement: None, doing: "reading the request".into() };
        Self { deadline, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on each statement has this limit (`StatementTimeout`), if there is one.
    pub fn limit_statements(&self, limit: Option<Duration>) {
        self.state().statement = limit;
    }

    /// What is left.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// `statement_timeout` for a statement that starts now: the server stops it a
    /// moment before we would, so that the reason is its own. At least 1 ms, for 0
    /// is no limit to PostgreSQL.
    pub fn statement_timeout(&self) -> Duration {
        let left = self.left().mul_f64(0.95).max(Duration::from_millis(1));
        self.state().statement.map_or(left, |limit| limit.min(left))
    }

    /// The same as SQL, for the transaction at hand.
    pub fn set_local(&self) -> String {
        format!("SET LOCAL statement_timeout = {};", self.statement_timeout().as_millis().max(1))
    }

    /// Notes what is going on.
    pub fn doing(&self, what: impl Into<String>) {
        self.state().doing = what.into();
    }

    /// What was going on last.
    pub fn done_last(&self) -> String {
        self.state().doing.clone()
    }

    /// Waits `for_about` (between half of it and all), but not past the deadline;
    /// `false` if there is no time left to go on.
    pub async fn pause(&self, for_about: Duration) -> bool {
        let wait = for_about.mul_f64(0.5 + fastrand::f64() / 2.0);
        if wait >= self.left() {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }
}
