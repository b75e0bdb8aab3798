//! What went wrong with a connection or a call, in words for people.
//!
//! Comes in: errors of the transport, which by themselves say only that there was one. Goes out: all
//! causes in one line, and what to do about a certificate. It must never hide a cause.

use std::error::Error;

use tonic::Status;

/// What the alerts of TLS mean for the one who reads them.
const ALERTS: [(&str, &str); 4] = [
    (
        "received fatal alert: CertificateExpired",
        "this end's certificate has expired, or does not hold yet by the other end's clock: renew its file",
    ),
    (
        "received fatal alert: UnknownCA",
        "the other end does not believe the authority of this end's certificate",
    ),
    (
        "received fatal alert: DecryptError",
        "the other end does not believe the authority of this end's certificate",
    ),
    (
        "received fatal alert: CertificateRequired",
        "the other end asks for a certificate",
    ),
];

/// What the transport says of every error of its own.
const NOTHING: &str = "transport error";

/// An error with all its causes.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    with_causes(error.to_string(), error.source())
}

/// Why a call was refused, or did not come through.
#[must_use]
pub fn why(status: &Status) -> String {
    with_causes(status.message().to_owned(), status.source())
}

fn with_causes(mut text: String, mut cause: Option<&(dyn Error + 'static)>) -> String {
    while let Some(present) = cause {
        let more = present.to_string();
        if !text.contains(&more) {
            text = if text.is_empty() || text == NOTHING {
                more
            } else {
                format!("{text}: {more}")
            };
        }
        cause = present.source();
    }
    for (alert, meaning) in ALERTS {
        if text.contains(alert) {
            return format!("{text} ({meaning})");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("transport error")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn all_causes_are_told_and_an_alert_is_explained() {
        let alert = std::io::Error::other("received fatal alert: CertificateExpired");
        let told = causes(&Outer(alert));
        assert!(told.starts_with("received"), "{told}");
        assert!(
            told.contains("has expired") && told.contains("renew"),
            "{told}"
        );
        assert_eq!(why(&Status::not_found("no such run")), "no such run");
        let refused = Outer(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        let status = Status::from_error(Box::new(refused));
        assert!(why(&status).contains("refused"), "{}", why(&status));
    }
}
