//! Sends an answer to CloudFormation.
//!
//! One PUT to a pre-signed S3 address, with nothing that the signature does not
//! know: an empty content type, a length, no other header of ours. A server
//! error, a reset or silence is tried again; a refusal is final.

use std::time::Duration;

use tokio::time::Instant;

use crate::request::response_url::ResponseUrl;
use crate::trust::Https;

/// How often an answer is sent at most.
pub const TRIES: u32 = 5;

/// Limit of one try; S3 answers within a fraction of it or not at all.
const TRY_LIMIT: Duration = Duration::from_secs(5);

/// Why an answer was not delivered. It never repeats the address.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The address is not one.
    #[error("the ResponseURL is no address")]
    Address,
    /// S3 refused; another try would be refused too.
    #[error("the answer was refused with HTTP status {0}")]
    Refused(u16),
    /// Nobody took it in time.
    #[error("the answer was not taken in {tries} tries: {last}")]
    Undelivered {
        /// How often it was sent.
        tries: u32,
        /// What the last try met.
        last: String,
    },
}

impl AnswerError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Address => "",
            Self::Refused(_) => "The address expires after two hours.",
            Self::Undelivered { .. } => {
                "In a VPC the function needs NAT, or a gateway endpoint for S3 whose policy allows \
                 cloudformation-custom-resource-response-<region>."
            }
        }
    }
}

/// Sends `body` until it is taken, at most [`TRIES`] times and until `deadline`.
pub async fn put(
    https: &Https,
    url: &ResponseUrl,
    body: &str,
    deadline: Instant,
) -> Result<(), AnswerError> {
    let address: reqwest::Url = url.expose().parse().map_err(|_| AnswerError::Address)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let limit = TRY_LIMIT.min(deadline.saturating_duration_since(Instant::now()));
        let mut request = reqwest::Request::new(reqwest::Method::PUT, address.clone());
        request
            .headers_mut()
            .insert(reqwest::header::CONTENT_TYPE, reqwest::header::HeaderValue::from_static(""));
        *request.body_mut() = Some(body.to_owned().into());
        *request.timeout_mut() = Some(limit);
        let last = match https.send(request).await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => match response.status().as_u16() {
                status @ (408 | 429 | 500..) => format!("HTTP status {status}"),
                status => return Err(AnswerError::Refused(status)),
            },
            Err(error) => trouble(&error),
        };
        let wait = Duration::from_millis(200) * 2_u32.pow(tries);
        let wait = wait.mul_f64(0.5 + fastrand::f64() / 2.0);
        if tries == TRIES || Instant::now() + wait >= deadline {
            return Err(AnswerError::Undelivered { tries, last });
        }
        tracing::warn!(tries, "the answer was not taken ({last}); trying again");
        tokio::time::sleep(wait).await;
    }
}

/// What went wrong, without the address, which `reqwest` would add.
fn trouble(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    crate::trust::causes(error).last().map(ToString::to_string).unwrap_or_default()
}
