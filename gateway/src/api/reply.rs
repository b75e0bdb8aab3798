//! Answers as HTTP: JSON, documents, problems, and the age of what is told.

use assay_answers::{Problem, Told};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
    VARY,
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::memory::Found;
use crate::problem::INTERNAL;

/// Seconds since an answer could last be confirmed; absent while it is in force.
pub const STALE: HeaderName = HeaderName::from_static("assay-stale");
/// What problems are.
pub const PROBLEM: &str = "application/problem+json";
/// What other answers are.
pub const JSON: &str = "application/json";
/// What documents are.
pub const YAML: &str = "application/yaml";

/// An answer of this type.
#[must_use]
pub fn of_type(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// Says how old an answer is.
#[must_use]
pub fn aged(mut response: Response, stale_s: Option<u64>) -> Response {
    if let Some(seconds) = stale_s {
        let headers = response.headers_mut();
        headers.insert(STALE, HeaderValue::from(seconds));
        headers.insert(AGE, HeaderValue::from(seconds));
    }
    response
}

/// Nothing but the word that whoever asks has the answer, which is of this type.
#[must_use]
pub fn unchanged(kind: &'static str) -> Response {
    of_type(StatusCode::NOT_MODIFIED, kind, Body::empty())
}

/// Says that the answer is another one for another `Accept`.
#[must_use]
pub fn by_accept(mut response: Response) -> Response {
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(VARY, vary);
    response
}

/// A kept answer, as its bytes are; 304 to one who has these very bytes.
#[must_use]
pub fn found<T>(found: Found<T>, asked: &HeaderMap) -> Response {
    let has_it = |tag: &HeaderValue| {
        asked.contains_key(IF_NONE_MATCH) && {
            let tag = tag.to_str().unwrap_or_default().trim_matches('"');
            let known = tags(asked, IF_NONE_MATCH);
            known.iter().any(|known| known == "*" || known == tag)
        }
    };
    let mut response = if found.tag.as_ref().is_some_and(has_it) {
        unchanged(JSON)
    } else {
        of_type(StatusCode::OK, JSON, found.json)
    };
    if let Some(tag) = found.tag {
        response.headers_mut().insert(ETAG, tag);
    }
    aged(response, found.stale_s)
}

/// An answer with the instant that it was read at.
///
/// # Errors
/// [`Problem`] when it cannot be printed, which is a defect.
pub fn told<T: Serialize>(told: &Told<T>) -> Result<Response, Problem> {
    Ok(aged(json(StatusCode::OK, told)?, told.stale_s))
}

/// An answer without an age.
///
/// # Errors
/// As [`told`].
pub fn json<T: Serialize>(status: StatusCode, answer: &T) -> Result<Response, Problem> {
    let body = serde_json::to_vec(answer).map_err(|e| INTERNAL.because(e.to_string()))?;
    Ok(of_type(status, JSON, Bytes::from(body)))
}

/// A problem.
#[must_use]
pub fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Texts and numbers always print.
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = of_type(status, PROBLEM, Bytes::from(body));
    if let Some(ms) = problem.retry_after_ms {
        let seconds = HeaderValue::from(ms.div_ceil(1000).max(1));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// Adds the ETag of a definition.
#[must_use]
pub fn with_etag(mut response: Response, digest: &str) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{digest}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The digests that a header lists; `*` is itself. Weak tags are compared as strong ones: a digest is
/// of the whole document.
#[must_use]
pub fn tags(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether a request wants the document itself rather than JSON: what is named with the greater
/// weight, and JSON when nothing is said. `None`: it wants neither.
#[must_use]
pub fn wants_yaml(headers: &HeaderMap) -> Option<bool> {
    let mut best: Option<(f32, bool)> = None;
    let mut said = false;
    for value in headers.get_all(http::header::ACCEPT) {
        for part in value.to_str().unwrap_or_default().split(',') {
            said = true;
            let mut pieces = part.split(';').map(str::trim);
            let kind = pieces.next().unwrap_or_default();
            let weight = pieces.find_map(|p| p.strip_prefix("q=")?.parse().ok());
            let weight: f32 = weight.unwrap_or(1.0);
            let yaml = match kind {
                "application/yaml" | "application/x-yaml" | "text/yaml" => true,
                "application/json" | "application/*" | "*/*" => false,
                "text/*" => true,
                _ => continue,
            };
            if weight > 0.0 && best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, yaml));
            }
        }
    }
    if said {
        best.map(|(_, yaml)| yaml)
    } else {
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_with_the_greater_weight() {
        let of = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::ACCEPT, accept.parse().unwrap());
            wants_yaml(&headers)
        };
        assert_eq!(wants_yaml(&HeaderMap::new()), Some(false));
        assert_eq!(of("application/yaml"), Some(true));
        assert_eq!(of("*/*"), Some(false));
        assert_eq!(of("application/json;q=0.5, application/yaml"), Some(true));
        assert_eq!(of("image/png"), None);
    }
}
