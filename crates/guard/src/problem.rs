//! Refusals, as problem details (RFC 9457).
//!
//! Comes in: a kind of problem and what happened. Goes out: an answer with its headers. It must never
//! say more of an object to somebody who may not see it than of one that does not exist.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::session;

/// The kinds of refusals that are the guard's. Each has a page at `/problems/{slug}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nobody is known, or the credential does not hold.
    Unauthorized,
    /// It may not be done by this principal.
    Forbidden,
    /// Embedded mode, and not from this machine or by another site.
    LoopbackOnly,
    /// There is none, or none to see.
    NotFound,
    /// The principal's quota is used up.
    RateLimited,
    /// Too many streams of the principal.
    TooManyStreams,
    /// Our capacity is.
    Overloaded,
    /// This gateway is about to stop.
    Draining,
    /// The body is longer than the limit.
    BodyTooLarge,
    /// The body did not come in time.
    BodyTooSlow,
    /// The body broke off.
    BodyCut,
    /// The keys of the identity provider cannot be had.
    IdentityUnavailable,
    /// The change cannot be written down, so that it is not made.
    AuditUnavailable,
    /// A handler failed in a way that is ours to mend.
    Internal,
}

/// The words in `assay_requests_rejected_total{reason}`.
pub(crate) const REASONS: [&str; 5] = [
    "rate_limited",
    "overloaded",
    "draining",
    "unauthorized",
    "invalid",
];

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::LoopbackOnly,
        Self::NotFound,
        Self::RateLimited,
        Self::TooManyStreams,
        Self::Overloaded,
        Self::Draining,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::BodyCut,
        Self::IdentityUnavailable,
        Self::AuditUnavailable,
        Self::Internal,
    ];

    /// The slug, the title and the status.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::Unauthorized => ("unauthorized", "Who are you?", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("forbidden", "Not yours to do", StatusCode::FORBIDDEN),
            Self::LoopbackOnly => (
                "loopback-only",
                "For this machine only",
                StatusCode::FORBIDDEN,
            ),
            Self::NotFound => ("not-found", "Not found", StatusCode::NOT_FOUND),
            Self::RateLimited => (
                "rate-limited",
                "Too many requests",
                StatusCode::TOO_MANY_REQUESTS,
            ),
            Self::TooManyStreams => (
                "too-many-streams",
                "Too many streams",
                StatusCode::TOO_MANY_REQUESTS,
            ),
            Self::Overloaded => ("overloaded", "Too busy", StatusCode::SERVICE_UNAVAILABLE),
            Self::Draining => ("draining", "About to stop", StatusCode::SERVICE_UNAVAILABLE),
            Self::BodyTooLarge => (
                "too-large",
                "The body is too large",
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            Self::BodyTooSlow => (
                "body-too-slow",
                "The body did not come",
                StatusCode::REQUEST_TIMEOUT,
            ),
            Self::BodyCut => ("body-cut", "The body broke off", StatusCode::BAD_REQUEST),
            Self::IdentityUnavailable => (
                "identity-unavailable",
                "The identity provider does not answer",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::AuditUnavailable => (
                "audit-unavailable",
                "Changes cannot be written down",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::Internal => ("internal", "Our fault", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The word in `assay_requests_rejected_total{reason}`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unauthorized | Self::Forbidden | Self::LoopbackOnly | Self::NotFound => {
                "unauthorized"
            }
            Self::RateLimited | Self::TooManyStreams => "rate_limited",
            Self::Overloaded
            | Self::IdentityUnavailable
            | Self::AuditUnavailable
            | Self::Internal => "overloaded",
            Self::Draining => "draining",
            Self::BodyTooLarge | Self::BodyTooSlow | Self::BodyCut => "invalid",
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub kind: Kind,
    /// What happened, and what to do next.
    pub detail: String,
    /// The limit that was passed.
    pub limit: Option<u64>,
    /// When it may work.
    pub retry_after: Option<Duration>,
    /// Whether the browser is to forget its session.
    pub ends_session: bool,
}

/// As it is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            limit: None,
            retry_after: None,
            ends_session: false,
        }
    }

    /// With the limit that was passed.
    #[must_use]
    pub const fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// With the time after which it may work.
    #[must_use]
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// With word to the browser that its session has ended.
    #[must_use]
    pub const fn ends_session(mut self) -> Self {
        self.ends_session = true;
        self
    }

    /// The answer to a request for `path` of the trace `trace`.
    #[must_use]
    pub fn answer(&self, path: &str, trace: Option<&str>) -> Response {
        let (slug, title, status) = self.kind.words();
        let sent = Sent {
            r#type: format!("/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            instance: path,
            limit: self.limit,
            retry_after_ms: self
                .retry_after
                .map(|after| u64::try_from(after.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)),
            trace_id: trace,
        };
        // Texts and numbers always have a spelling in JSON.
        let body = serde_json::to_vec(&sent).unwrap_or_default();
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after {
            // Whole seconds, and never sooner than told in milliseconds.
            let seconds = after.as_millis().div_ceil(1_000).max(1);
            if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string()) {
                headers.insert(RETRY_AFTER, seconds);
            }
        }
        if self.ends_session {
            headers.insert(SET_COOKIE, session::forget());
        }
        match self.kind {
            Kind::Unauthorized => {
                let how = HeaderValue::from_static("Bearer realm=\"assay\"");
                headers.insert(WWW_AUTHENTICATE, how);
            }
            // What is left of the body is not read; another gateway takes the next request.
            Kind::BodyTooLarge | Kind::BodyTooSlow | Kind::BodyCut | Kind::Draining => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_problem_is_sent_with_its_headers() {
        let problem = Problem::new(Kind::RateLimited, "20 requests per second")
            .limit(20)
            .retry_after(Duration::from_micros(1_729_001));
        let answer = problem.answer("/api/v1/runs", Some("4bf9"));
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()[RETRY_AFTER], "2");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "type": "/problems/rate-limited", "title": "Too many requests", "status": 429,
            "detail": "20 requests per second", "instance": "/api/v1/runs", "limit": 20,
            "retryAfterMs": 1730, "traceId": "4bf9"
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn every_kind_has_a_slug_of_its_own_and_a_status_of_an_error() {
        let slugs: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.words().0).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            let status = kind.words().2;
            assert!(status.is_client_error() || status.is_server_error());
            assert!(REASONS.contains(&kind.reason()));
        }
        let open = Problem::new(Kind::Unauthorized, "").answer("/", None);
        assert!(open.headers().contains_key(WWW_AUTHENTICATE));
    }
}
