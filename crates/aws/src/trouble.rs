//! What an SDK error means: one answer for all services.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// The kinds of trouble that call for different answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nobody, or nobody that AWS knows, has asked.
    Identity,
    /// The identity may not do it.
    Denied,
    /// What was asked for is not there (a table, a function, a secret).
    Missing,
    /// Too many calls; the retries were throttled too.
    Throttled,
    /// The service cannot be reached, does not answer in time, or fails.
    Away,
    /// The service refused the call itself.
    Refused,
}

/// What went wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The kind.
    pub cause: Cause,
    /// The code that the service gave, if it answered (`ThrottlingException`).
    pub code: Option<String>,
    /// What it said, for people.
    pub text: String,
}

impl Trouble {
    /// Whether the same call may work later without anybody's doing.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.cause, Cause::Throttled | Cause::Away)
    }

    /// Whether it is certain that a call which changes something has changed nothing: an attempt whose
    /// answer was lost may have been made before the one that failed.
    #[must_use]
    pub fn nothing_happened(&self) -> bool {
        !self.is_passing()
    }

    /// What to do about it. `what` is the thing that was asked for: `the table datasets`.
    #[must_use]
    pub fn remedy(&self, what: &str) -> String {
        match self.cause {
            Cause::Identity => {
                "log in (aws sso login), set AWS_PROFILE, or give the service a role; \
                 see who you are: aws sts get-caller-identity"
                    .to_owned()
            }
            Cause::Denied => format!("give the identity that right on {what}, or take another"),
            Cause::Missing => format!("check the name and the region of {what}"),
            Cause::Throttled => format!("{what} is busier than its limits allow: try later"),
            Cause::Away => format!("check that {what} can be reached from here, and try again"),
            Cause::Refused => "this is a mistake of the caller: please report it".to_owned(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) if !self.text.is_empty() => write!(f, "{code}: {}", self.text),
            Some(code) => f.write_str(code),
            None => f.write_str(&self.text),
        }
    }
}

/// What `error` means.
#[must_use]
pub fn trouble<E>(error: &SdkError<E, HttpResponse>) -> Trouble
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = error.code().map(str::to_owned);
    let status = error.raw_response().map(|response| response.status());
    let cause = match (&code, status) {
        (Some(code), status) => of_code(code, status.is_some_and(|s| s.is_server_error())),
        (None, Some(status)) if !status.is_server_error() && !status.is_success() => Cause::Refused,
        // A success that cannot be read may have been cut off.
        (None, Some(_)) => Cause::Away,
        (None, None) if chain(error).any(|e| e.downcast_ref::<CredentialsError>().is_some()) => {
            Cause::Identity
        }
        (None, None) if matches!(error, SdkError::ConstructionFailure(_)) => Cause::Refused,
        (None, None) => Cause::Away,
    };
    let text = match (error.message(), cause) {
        (Some(message), _) => message.to_owned(),
        (None, Cause::Identity) => "no AWS identity was found".to_owned(),
        (None, _) => told(error),
    };
    Trouble { cause, code, text }
}

fn of_code(code: &str, is_server_error: bool) -> Cause {
    match code {
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidClientTokenId"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => Cause::Identity,
        "AccessDeniedException" | "AccessDenied" | "KMSAccessDeniedException" => Cause::Denied,
        "ResourceNotFoundException" | "NoSuchBucket" => Cause::Missing,
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "SlowDown" => Cause::Throttled,
        _ if is_server_error => Cause::Away,
        _ => Cause::Refused,
    }
}

/// The error and everything that it comes from.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        error.source()
    })
}

/// The chain in one line, each message once.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in chain(error).map(ToString::to_string) {
        if parts.last().is_none_or(|last| !last.contains(&part)) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_may_have_happened_and_what_does_not_has_not() {
        for (code, server_error, cause) in [
            (
                "ProvisionedThroughputExceededException",
                false,
                Cause::Throttled,
            ),
            ("RequestLimitExceeded", false, Cause::Throttled),
            ("InternalServerError", true, Cause::Away),
            ("AccessDeniedException", false, Cause::Denied),
            ("ExpiredTokenException", false, Cause::Identity),
            ("ResourceNotFoundException", false, Cause::Missing),
            ("ValidationException", false, Cause::Refused),
        ] {
            assert_eq!(of_code(code, server_error), cause, "{code}");
            let trouble = Trouble {
                cause,
                code: Some(code.to_owned()),
                text: "words".to_owned(),
            };
            assert_ne!(trouble.is_passing(), trouble.nothing_happened());
            assert_eq!(trouble.to_string(), format!("{code}: words"));
            assert!(!trouble.remedy("the table t").is_empty());
        }
    }
}
