//! The service's errors, as ours.
//!
//! They are told apart by code and status. The SDK's own text may repeat the
//! whole response, and a message of the service's may repeat what was sent:
//! its words are passed on where none of ours was a secret, or where they begin
//! as its known ones do.

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::secrets::{Action, SecretError};

/// How messages begin that are about a request's form or a secret's state.
const KNOWN: [&str; 9] = [
    "A resource with the ID ",
    "Invalid name",
    "KMS key ",
    "Secrets Manager can't ",
    "Tag ",
    "The name ",
    "You can't ",
    "You have exceeded ",
    "You've exceeded ",
];

/// Codes of what passes.
const PASSING: [&str; 7] = [
    "InternalFailure",
    "InternalServiceError",
    "RequestTimeout",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Codes of what the service refuses.
const REFUSED: [&str; 7] = [
    "InvalidParameterException",
    "InvalidRequestException",
    "LimitExceededException",
    "PreconditionNotMetException",
    "ResourceExistsException",
    "SerializationException",
    "ValidationException",
];

/// An error of the SDK's as one of ours.
pub fn explained<E>(action: Action, id: &str, error: &SdkError<E, HttpResponse>) -> SecretError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let unavailable =
        |why: String, heals| SecretError::Unavailable { action, id: id.to_owned(), why, heals };
    let status = error.raw_response().map(|it| it.status().as_u16());
    match error {
        SdkError::TimeoutError(_) => {
            unavailable("Secrets Manager did not answer in time".into(), true)
        }
        SdkError::DispatchFailure(failure) => {
            let heals = failure.is_io() || failure.is_timeout();
            let source = failure.as_connector_error().and_then(std::error::Error::source);
            unavailable(why(source.map(innermost).unwrap_or_default()), heals)
        }
        SdkError::ConstructionFailure(_) => unavailable(
            "the request could not be made; are region and credentials set?".into(),
            false,
        ),
        _ => by_code(action, id, error.code().unwrap_or_default(), status, error.message()),
    }
}

fn by_code(
    action: Action,
    id: &str,
    code: &str,
    status: Option<u16>,
    message: Option<&str>,
) -> SecretError {
    let id = id.to_owned();
    match code {
        "ResourceNotFoundException" => SecretError::NotFound(id),
        "AccessDeniedException"
        | "AccessDenied"
        | "UnrecognizedClientException"
        | "KMSAccessDeniedException" => SecretError::Denied { action, id },
        "DecryptionFailure" if action == Action::Read => SecretError::Denied { action, id },
        "DecryptionFailure" | "EncryptionFailure" => SecretError::Key { action, id },
        code if REFUSED.contains(&code) => {
            let why = words(action, message).map_or_else(|| code.to_owned(), why);
            SecretError::Invalid { action, id, code: code.to_owned(), why }
        }
        code => {
            let broken = status.is_some_and(|it| it >= 500 || it == 429);
            let heals = broken || PASSING.contains(&code);
            let text = match status {
                Some(status) if code.is_empty() => format!("HTTP status {status}"),
                _ => code.to_owned(),
            };
            SecretError::Unavailable { action, id, why: why(text), heals }
        }
    }
}

/// The service's words, where they cannot repeat a secret.
fn words(action: Action, message: Option<&str>) -> Option<String> {
    let message = message?.trim_end_matches('.');
    let sent_text = matches!(action, Action::Create | Action::Put);
    let known = KNOWN.iter().any(|it| message.starts_with(it));
    // A value comes back with no error, but with reading there is nothing to explain either.
    let passed = action != Action::Read && !message.is_empty() && (!sent_text || known);
    passed.then(|| message.to_owned())
}

fn why(text: String) -> String {
    let text = if text.is_empty() { "no answer".to_owned() } else { text };
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(300).collect()
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    crate::trust::causes(error).last().map(ToString::to_string).unwrap_or_default()
}
