//! One question to a gateway: sent, repeated where that does no harm, answered or refused.
//!
//! Comes in: a question. Goes out: a whole answer of the API, or a refusal. The decision to repeat is
//! pure ([`pause`]); it must never make a wish be carried out twice.

use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::super::port::{Answer, Refusal};
use super::problem::{Refused, broken, unreadable};
use super::{Http, words_of};

/// The header by which repeats are one request.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Seconds since an answer could last be confirmed.
const STALE: HeaderName = HeaderName::from_static("assay-stale");
/// Attempts at one question.
const ATTEMPTS: u32 = 5;
/// The pause before the first repeat; each is twice the one before.
const FIRST: Duration = Duration::from_millis(200);
/// Bytes of an answer, at most.
const ANSWER_MAX: usize = 256 << 20;

/// What a repeat would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// No harm, whatever became of the first.
    Harmless,
    /// Harm, unless the first was surely not carried out.
    Harmful,
}

/// A question.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: &'a [&'a str],
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) repeat: Repeat,
}

impl<'a> Ask<'a> {
    /// A read.
    pub(super) const fn get(path: &'a [&'a str]) -> Self {
        Self {
            method: Method::GET,
            path,
            query: Vec::new(),
            body: None,
            headers: Vec::new(),
            repeat: Repeat::Harmless,
        }
    }

    /// A wish with a body, under a key of its own.
    pub(super) fn post<T: Serialize>(path: &'a [&'a str], body: &T, repeat: Repeat) -> Self {
        // What is sent has text keys and whole numbers, so it always prints.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let key = uuid::Uuid::new_v4().to_string();
        Self {
            method: Method::POST,
            body: Some(("application/json", body)),
            headers: vec![(KEY, key)],
            repeat,
            ..Self::get(path)
        }
    }

    /// With a parameter, if there is one.
    pub(super) fn with(mut self, name: &'static str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (name, value)));
        self
    }

    /// With a header in place of any of the same name.
    pub(super) fn header(mut self, name: HeaderName, value: String) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }
}

/// An answer that was read whole.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) body: Vec<u8>,
    /// Whether it was given before to somebody who used the same key.
    pub(super) replayed: bool,
    /// When it was asked for, and when its head was there.
    pub(super) asked: jiff::Timestamp,
    pub(super) answered: jiff::Timestamp,
}

/// A part of a list, whatever else the list tells.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

/// What became of one attempt that has no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// It did not reach the gateway.
    Unsent,
    /// It may have.
    Lost,
    /// It was refused with this status; surely nothing was done.
    Refused(u16),
    /// It was refused with this status by somebody who does not know what was done.
    Unsure(u16),
}

/// How long to wait before asking again after `attempt` attempts; `None`: not at all. `after` is what
/// was asked for by the other end, `left` the time that remains.
pub(super) fn pause(
    repeat: Repeat,
    failed: Failed,
    attempt: u32,
    after: Option<Duration>,
    left: Duration,
) -> Option<Duration> {
    let passing = |status| matches!(status, 429 | 502 | 503 | 504);
    let may = match failed {
        Failed::Unsent => true,
        Failed::Lost => repeat == Repeat::Harmless,
        Failed::Refused(status) => passing(status),
        Failed::Unsure(status) => passing(status) && repeat == Repeat::Harmless,
    };
    let usual = FIRST * 2_u32.saturating_pow(attempt.saturating_sub(1));
    let wait = after.unwrap_or(usual).max(usual);
    (may && attempt < ATTEMPTS && wait < left).then_some(wait)
}

/// The seconds of `Retry-After`.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

impl Http {
    /// The headers that every request has.
    async fn headers(&self, ask: &Ask<'_>, accept: &'static str) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        let text = |value: &str| {
            HeaderValue::from_str(value).map_err(|_| broken(self, "a header cannot be sent"))
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let (_, span) = uuid::Uuid::new_v4().as_u64_pair();
        let trace = format!("00-{}-{span:016x}-01", self.trace);
        headers.insert("traceparent", text(&trace)?);
        if let Some(token) = self.bearer().await? {
            let held = HeaderValue::from_str(&format!("Bearer {token}"));
            // What is in it is not said: it may be a secret of something else.
            let mut held = held.map_err(|_| broken(self, "what server.token names is no token"))?;
            held.set_sensitive(true);
            headers.insert(AUTHORIZATION, held);
        }
        if let Some((kind, _)) = &ask.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, value) in &ask.headers {
            headers.insert(name.clone(), text(value)?);
        }
        Ok(headers)
    }

    /// Sends a question once, and gives the head of its answer.
    pub(super) async fn send(
        &self,
        ask: &Ask<'_>,
        accept: &'static str,
    ) -> Result<Result<Response, reqwest::Error>, Refusal> {
        let url = self.url(ask.path, &ask.query);
        let mut request = self.client.request(ask.method.clone(), url);
        request = request.headers(self.headers(ask, accept).await?);
        if let Some((_, body)) = &ask.body {
            request = request.body(body.clone());
        }
        Ok(request.send().await)
    }

    /// Asks, until there is an answer or it makes no sense to ask again.
    pub(super) async fn told(&self, ask: &Ask<'_>) -> Answer<Told> {
        let until = Instant::now() + self.budget;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let asked = jiff::Timestamp::now();
            let once = tokio::time::timeout_at(until, self.once(ask, asked)).await;
            let (failed, refused) = match once {
                Ok(Ok(Ok(mut told))) => {
                    // A repeat of ours finds what its first attempt did.
                    told.replayed &= attempt == 1;
                    return Ok(told);
                }
                Ok(Ok(Err(refused))) => (refused.failed, refused),
                Ok(Err(refusal)) => return Err(refusal),
                Err(_) => {
                    let refused = Refused::silent(self);
                    (refused.failed, refused)
                }
            };
            let left = until.saturating_duration_since(Instant::now());
            let after = refused.after;
            match pause(ask.repeat, failed, attempt, after, left) {
                Some(wait) if !refused.hopeless => tokio::time::sleep(wait).await,
                _ => return Err(refused.meaning(self, ask)),
            }
        }
    }

    /// One attempt: a good answer, or why there is none.
    async fn once(
        &self,
        ask: &Ask<'_>,
        asked: jiff::Timestamp,
    ) -> Result<Result<Told, Refused>, Refusal> {
        let mut response = match self.send(ask, "application/json").await? {
            Ok(response) => response,
            Err(error) => return Ok(Err(Refused::unreached(self, &error))),
        };
        let answered = jiff::Timestamp::now();
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_MAX => {
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => return Err(unreadable(self, "it has no end")),
                Ok(None) => break,
                Err(error) => return Ok(Err(Refused::cut(self, &words_of(&error)))),
            }
        }
        if !status.is_success() {
            return Ok(Err(Refused::answered(self, status, &headers, &body)));
        }
        if status != StatusCode::NO_CONTENT && !is_json(&headers) {
            return Ok(Err(Refused::answered(self, status, &headers, &body)));
        }
        if let Some(seconds) = headers.get(STALE).and_then(|value| value.to_str().ok()) {
            self.note(&format!(
                "{}: what the cluster is made of does not answer; this is what was known {seconds} s ago",
                self.address
            ));
        }
        let replayed = headers.get(REPLAYED).is_some_and(|value| value == "true");
        Ok(Ok(Told {
            body,
            replayed,
            asked,
            answered,
        }))
    }

    /// Asks for JSON of a type.
    pub(super) async fn ask<T: DeserializeOwned>(&self, ask: &Ask<'_>) -> Answer<T> {
        let told = self.told(ask).await?;
        serde_json::from_slice(&told.body).map_err(|why| unreadable(self, &why.to_string()))
    }

    /// All items of a list, part by part, up to `most`.
    pub(super) async fn list(
        &self,
        path: &[&str],
        query: Vec<(&'static str, String)>,
        most: usize,
    ) -> Answer<Vec<Value>> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = most.saturating_sub(items.len()).clamp(1, 1000);
            let mut ask = Ask::get(path).with("limit", Some(limit.to_string()));
            ask = ask.with("cursor", cursor.take());
            ask.query.extend(query.iter().cloned());
            let part: Part = self.ask(&ask).await?;
            items.extend(part.items);
            cursor = part.next_cursor;
            if cursor.is_none() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Duration = Duration::from_secs(10);

    #[test]
    fn a_wish_that_may_have_been_carried_out_is_not_repeated() {
        let of = |repeat, failed| pause(repeat, failed, 1, None, LEFT).is_some();
        use Failed::{Lost, Refused, Unsent, Unsure};
        use Repeat::{Harmful, Harmless};
        for (failed, harmful, harmless) in [
            (Unsent, true, true),
            (Lost, false, true),
            (Refused(503), true, true),
            (Refused(429), true, true),
            (Refused(409), false, false),
            (Refused(401), false, false),
            (Unsure(503), false, true),
            (Unsure(502), false, true),
            (Unsure(500), false, false),
        ] {
            assert_eq!(of(Harmful, failed), harmful, "{failed:?}");
            assert_eq!(of(Harmless, failed), harmless, "{failed:?}");
        }
    }

    #[test]
    fn pauses_grow_and_are_as_long_as_was_asked_for_and_end() {
        let wait = |attempt, after| {
            let failed = Failed::Refused(503);
            pause(Repeat::Harmless, failed, attempt, after, LEFT)
        };
        assert_eq!(wait(1, None), Some(Duration::from_millis(200)));
        assert_eq!(wait(3, None), Some(Duration::from_millis(800)));
        let asked = Duration::from_secs(3);
        assert_eq!(wait(1, Some(asked)), Some(asked));
        // Longer than there is time for, or than makes sense.
        assert_eq!(wait(1, Some(Duration::from_secs(60))), None);
        assert_eq!(wait(ATTEMPTS, None), None);
    }
}
