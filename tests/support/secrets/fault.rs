//! How the service and the network misbehave.

use std::time::Duration;

use serde_json::{Value, json};

/// An error that reads of a secret give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    NotFound,
    AccessDenied,
    /// Of a key that the function may not use.
    Decryption,
    ScheduledForDeletion,
    Throttled,
    Internal,
}

/// What calls of an operation meet; those with a number so many calls.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Refused with `ThrottlingException`, and not carried out.
    Throttle(usize),
    /// Refused with a 500 of the service's, and not carried out.
    Internal(usize),
    /// Refused with a 503 without the service's form, and not carried out.
    Unavailable(usize),
    /// Carried out, and then answered with a 500.
    FailAfter(usize),
    /// Not carried out; the connection is reset.
    CutBefore(usize),
    /// Carried out; the connection is reset in place of an answer.
    CutAfter(usize),
    /// Carried out; half of the answer comes.
    Torn(usize),
    /// Carried out, and answered so much later; all further calls.
    Slow(Duration),
    /// The role has no permission; all further calls.
    Denied,
    /// Any error, on all further calls.
    Refuse { code: &'static str, message: String },
}

/// What becomes of one call.
pub(super) enum Effect {
    /// In place of the work.
    Answer(u16, Value),
    CutBefore,
    CutAfter,
    FailAfter,
    Torn,
    Slow(Duration),
}

impl Fault {
    fn left(&mut self) -> Option<&mut usize> {
        match self {
            Fault::Throttle(n)
            | Fault::Internal(n)
            | Fault::Unavailable(n)
            | Fault::FailAfter(n)
            | Fault::CutBefore(n)
            | Fault::CutAfter(n)
            | Fault::Torn(n) => Some(n),
            Fault::Slow(_) | Fault::Denied | Fault::Refuse { .. } => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.clone().left() == Some(&mut 0)
    }

    pub(super) fn next(&mut self) -> Effect {
        if let Some(left) = self.left() {
            *left = left.saturating_sub(1);
        }
        let answer = |(status, value)| Effect::Answer(status, value);
        match self {
            Fault::Throttle(_) => answer(Failure::Throttled.answer("")),
            Fault::Internal(_) => answer(Failure::Internal.answer("")),
            Fault::Unavailable(_) => answer((503, json!("Service Unavailable"))),
            Fault::FailAfter(_) => Effect::FailAfter,
            Fault::CutBefore(_) => Effect::CutBefore,
            Fault::CutAfter(_) => Effect::CutAfter,
            Fault::Torn(_) => Effect::Torn,
            Fault::Slow(delay) => Effect::Slow(*delay),
            Fault::Denied => answer(Failure::AccessDenied.answer("")),
            Fault::Refuse { code, message } => answer(error(400, code, message)),
        }
    }
}

impl Failure {
    pub(super) fn answer(self, id: &str) -> (u16, Value) {
        match self {
            Failure::NotFound => error(
                400,
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret.",
            ),
            Failure::AccessDenied => error(
                400,
                "AccessDeniedException",
                &format!(
                    "User: arn:aws:sts::123456789012:assumed-role/role/execute-sql is not \
                     authorized to perform: secretsmanager:GetSecretValue on resource: {id} because \
                     no identity-based policy allows the secretsmanager:GetSecretValue action"
                ),
            ),
            Failure::Decryption => {
                error(400, "AccessDeniedException", "Access to KMS is not allowed")
            }
            Failure::ScheduledForDeletion => error(
                400,
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            ),
            Failure::Throttled => error(400, "ThrottlingException", "Rate exceeded"),
            Failure::Internal => error(500, "InternalServiceError", "An internal error occurred."),
        }
    }
}

/// The service writes `Message` or `message`, by the kind; SDKs take both.
pub(super) fn error(status: u16, kind: &str, message: &str) -> (u16, Value) {
    (status, json!({"__type": kind, "Message": message}))
}
