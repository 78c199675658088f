//! What a failed attempt means.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use platform::PlatformError;

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing happened, nor will; later it may go.
    Refused(String),
    /// It may have taken effect, or still may.
    Unknown(String),
    /// Another attempt will fare no better.
    Final(PlatformError),
}

/// Codes of refusals that pass by themselves.
const REFUSALS: [&str; 16] = [
    "BandwidthLimitExceeded",
    "ConditionalRequestConflict",
    "KMSThrottlingException",
    "KmsThrottled",
    "LimitExceededException",
    "OperationAborted",
    "OverLimit",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionConflictException",
];

/// Codes that name something the operator has to put right, though their status is 400 or 404.
const DENIALS: [&str; 18] = [
    "AWS.SimpleQueueService.NonExistentQueue",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "NoSuchBucket",
    "NotFound",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "KmsDisabled",
];

/// An error's code, empty where it has none.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default()
}

/// The answer's status, 0 where there was none.
pub(crate) fn status<E>(error: &SdkError<E, HttpResponse>) -> u16 {
    error.raw_response().map_or(0, |response| response.status().as_u16())
}

/// What an attempt of `what` that failed so has come to.
pub(crate) fn judge<E>(error: &SdkError<E, HttpResponse>, what: &str) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let operation = what.to_owned();
    match error {
        // Before anything was sent: no credentials, most likely.
        SdkError::ConstructionFailure(_) => {
            Failure::Final(PlatformError::Denied { operation, reason: chain(error) })
        }
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            Failure::Final(PlatformError::Denied { operation, reason: chain(error) })
        }
        SdkError::DispatchFailure(_) if never_connected(error) => Failure::Refused(chain(error)),
        SdkError::ServiceError(_) => judge_answer(code(error), status(error), answer(error), operation),
        // Sent, and no answer or one that cannot be read.
        _ => Failure::Unknown(chain(error)),
    }
}

/// What an answer means by its code and status.
fn judge_answer(code: &str, status: u16, reason: String, operation: String) -> Failure {
    // 409: another operation on the same key is under way. A HEAD has no code to say more.
    if REFUSALS.contains(&code) || matches!(status, 409 | 429) {
        Failure::Refused(reason)
    } else if status >= 500 || matches!(code, "RequestTimeout" | "RequestTimeoutException") {
        Failure::Unknown(reason)
    } else if status == 401 || status == 403 || DENIALS.contains(&code) {
        Failure::Final(PlatformError::Denied { operation, reason })
    } else {
        Failure::Final(PlatformError::Invalid { operation, reason })
    }
}

/// The service's own words.
fn answer<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> String {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    let status = status(error);
    match (code(error), message) {
        ("", "") => format!("status {status}"),
        ("", message) => format!("status {status}: {message}"),
        (code, "") => format!("{code} (status {status})"),
        (code, message) => format!("{code}: {message}"),
    }
}

/// An error and what caused it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        next = error.source();
    }
    words.join(": ")
}

/// Whether no connection came about, so that nothing can have been sent.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable,
    };
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            let kinds =
                [AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable];
            return kinds.contains(&error.kind());
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str, status: u16) -> &'static str {
        match judge_answer(code, status, "reason".to_owned(), "create a".to_owned()) {
            Failure::Refused(_) => "refused",
            Failure::Unknown(_) => "unknown",
            Failure::Final(PlatformError::Denied { .. }) => "denied",
            Failure::Final(PlatformError::Invalid { .. }) => "invalid",
            Failure::Final(_) => "other",
        }
    }

    #[test]
    fn answers_mean_what_the_services_documentation_says() {
        for (code, status, expected) in [
            ("SlowDown", 503, "refused"),
            ("ProvisionedThroughputExceededException", 400, "refused"),
            ("ThrottlingException", 400, "refused"),
            ("ConditionalRequestConflict", 409, "refused"),
            ("", 429, "refused"),
            ("InternalError", 500, "unknown"),
            ("ServiceUnavailable", 503, "unknown"),
            ("RequestTimeout", 400, "unknown"),
            ("AccessDenied", 403, "denied"),
            ("AccessDeniedException", 400, "denied"),
            ("ResourceNotFoundException", 400, "denied"),
            ("NoSuchBucket", 404, "denied"),
            ("QueueDoesNotExist", 400, "denied"),
            ("ExpiredTokenException", 400, "denied"),
            ("ValidationException", 400, "invalid"),
            ("EntityTooLarge", 400, "invalid"),
        ] {
            assert_eq!(kind(code, status), expected, "{code} {status}");
        }
    }

    #[test]
    fn only_a_connection_that_never_was_is_known_to_have_sent_nothing() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(never_connected(&refused));
        assert!(!never_connected(&reset));
    }
}
