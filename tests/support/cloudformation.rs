//! The receiver of CloudFormation's answers: what S3 does with the PUT to a `ResponseURL`.
//!
//! It records every request exactly as sent and answers 200, or misbehaves as told. Its URLs look
//! like CloudFormation's pre-signed ones, but for scheme and host; the signature is not checked.
//! The events are in [`super::stack`].

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::http::{Connection, Listener, Request};
use super::lambda::lock;

/// What to do with one request; without any, the answer is 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Status(u16),
    /// Takes the request, then cuts the connection.
    Reset,
    /// Takes the request and never answers.
    Hang,
    /// Answers 200 after so many milliseconds.
    Slow(u64),
}

/// A request that came, and what became of it.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: String,
    /// The request target, byte for byte.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When it had come in whole.
    pub at: Instant,
    pub behaviour: Behaviour,
}

pub struct Receiver {
    listener: Listener,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    behaviours: VecDeque<Behaviour>,
    requests: Vec<Recorded>,
}

impl Receiver {
    pub fn start() -> Receiver {
        let record = Arc::new(Record::default());
        let of_thread = Arc::clone(&record);
        Receiver { listener: Listener::start(move |it| of_thread.serve(it)), record }
    }

    /// What to do with the next requests, one each, after those told before.
    pub fn behave(&self, behaviours: &[Behaviour]) {
        lock(&self.record.state).behaviours.extend(behaviours);
    }

    /// A `ResponseURL` signed now. The key is as CloudFormation's: `<stack id>|<logical id>|<request
    /// id>`.
    pub fn url(&self, key: &str) -> String {
        self.url_dated(key, SystemTime::now())
    }

    /// A `ResponseURL` signed at `date`; S3 takes answers for two hours from then.
    pub fn url_dated(&self, key: &str, date: SystemTime) -> String {
        let date = amz_date(date);
        format!(
            "{}/{}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-SignedHeaders=host\
             &X-Amz-Expires=7200&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F{}%2Feu-west-1%2Fs3\
             %2Faws4_request&X-Amz-Signature=\
             8b2f0c4d6e1a3957bd0f2468ace13579bdf02468ace13579bdf02468ace13579",
            self.listener.origin(),
            percent_encoded(key),
            &date[..8],
        )
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.record.state).requests.clone()
    }

    /// Waits for at least `count` requests and returns all; panics when they do not come.
    #[track_caller]
    pub fn wait_for(&self, count: usize, timeout: Duration) -> Vec<Recorded> {
        let state = lock(&self.record.state);
        let waited =
            self.record.changed.wait_timeout_while(state, timeout, |it| it.requests.len() < count);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let came = state.requests.len();
        assert!(came >= count, "{came} answers instead of {count} in {timeout:?}");
        state.requests.clone()
    }

    /// The answers that S3 accepted (200) for this event, oldest first. Later ones overwrite the
    /// object, but CloudFormation has read the first by then.
    pub fn accepted(&self, event: &Value) -> Vec<Value> {
        let url = event["ResponseURL"].as_str().expect("an event has a ResponseURL");
        let target = url.strip_prefix(&self.listener.origin()).expect("a URL of this receiver's");
        let accepted = |it: &&Recorded| it.target == target && it.is_accepted();
        self.requests().iter().filter(accepted).map(Recorded::json).collect()
    }

    /// The one accepted answer to `event`; panics when there is none or a second.
    #[track_caller]
    pub fn answer_to(&self, event: &Value) -> Value {
        let mut accepted = self.accepted(event);
        assert_eq!(accepted.len(), 1, "one answer to {}: {accepted:#?}", event["RequestType"]);
        accepted.remove(0)
    }
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error} in the answer {:?}", String::from_utf8_lossy(&self.body))
        })
    }

    /// Whether the sender was told that it is delivered.
    pub fn is_accepted(&self) -> bool {
        matches!(self.behaviour, Behaviour::Status(200) | Behaviour::Slow(_))
    }

    /// What S3 or CloudFormation would object to.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut must = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        must(self.method == "PUT", format!("the method is {}", self.method));
        // SigV2 URLs sign an empty content type.
        let content_type = self.header("content-type").unwrap_or_default();
        must(content_type.is_empty(), format!("content-type is {content_type}"));
        must(self.header("transfer-encoding").is_none(), "it is chunked".to_owned());
        must(self.header("content-length").is_some(), "there is no content-length".to_owned());
        must(self.header("authorization").is_none(), "there is an authorization".to_owned());
        let amz = self.headers.iter().find(|(name, _)| name.to_lowercase().starts_with("x-amz-"));
        must(amz.is_none(), format!("there is a header {amz:?}"));
        must(self.body.len() <= 4096, format!("the body has {} bytes", self.body.len()));
        problems
    }
}

impl Record {
    fn serve(&self, mut connection: Connection) {
        while let Some(request) = connection.read() {
            match self.note(request) {
                Behaviour::Status(status) => connection.answer(status, &[], &[]),
                Behaviour::Reset => return connection.reset(),
                Behaviour::Hang => self.wait_while_open(&connection, None),
                Behaviour::Slow(milliseconds) => {
                    self.wait_while_open(&connection, Some(Duration::from_millis(milliseconds)));
                    connection.answer(200, &[], &[]);
                }
            }
        }
    }

    fn note(&self, request: Request) -> Behaviour {
        let mut state = lock(&self.state);
        let behaviour = state.behaviours.pop_front().unwrap_or(Behaviour::Status(200));
        let Request { method, target, headers, body } = request;
        let at = Instant::now();
        state.requests.push(Recorded { method, target, headers, body, at, behaviour });
        drop(state);
        self.changed.notify_all();
        behaviour
    }

    fn wait_while_open(&self, connection: &Connection, limit: Option<Duration>) {
        let start = Instant::now();
        let mut state = lock(&self.state);
        while !connection.is_stopped() {
            let left = limit.map_or(Duration::MAX, |limit| limit.saturating_sub(start.elapsed()));
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left.min(Duration::from_millis(100)));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// As CloudFormation encodes a key: slashes stay.
fn percent_encoded(key: &str) -> String {
    let mut encoded = String::new();
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes all");
        }
    }
    encoded
}

/// `20260131T235959Z`
fn amz_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).expect("a date after 1970").as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil_from_days: years begin in March, so the leap day is the last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}
