//! Requests that were answered under a key of their sender.
//!
//! Comes in: a request with an `Idempotency-Key`. Goes out: its answer, the first time by doing it and
//! later the same again. It must never do under one key two different things, or one thing twice at
//! the same time. What is started by a key is also told apart by the managers: a repeat at another
//! gateway starts no second run.

use std::sync::Arc;
use std::time::Duration;

use assay_answers::Problem;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt as _;
use tokio::sync::Mutex;

use crate::problem::{INTERNAL, KEY_REUSED};

/// The header of the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The longest key.
pub const KEY_MAX: usize = 200;
/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Answers that are remembered.
const MOST: u64 = 20_000;

#[derive(Debug, Default)]
struct Slot {
    answer: Mutex<Option<Recorded>>,
}

#[derive(Debug, Clone)]
struct Recorded {
    request: u64,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// The answers that were given. Clones share them.
#[derive(Clone)]
pub struct Repeats(moka::sync::Cache<String, Arc<Slot>>);

impl Default for Repeats {
    fn default() -> Self {
        Self(
            moka::sync::Cache::builder()
                .max_capacity(MOST)
                .time_to_live(REMEMBERED)
                .build(),
        )
    }
}

impl Repeats {
    /// The answer under `key`, which holds who asks and where; `request` tells its content.
    ///
    /// # Errors
    /// What `work` refuses, which is not remembered; a key that is that of another request.
    pub async fn once(
        &self,
        key: String,
        request: u64,
        work: impl Future<Output = Result<Response, Problem>>,
    ) -> Result<Response, Problem> {
        let slot = self.0.get_with(key, Arc::default);
        let mut answer = slot.answer.lock().await;
        if let Some(recorded) = &*answer {
            if recorded.request != request {
                let what = "this key was sent before with another request; take a new one";
                return Err(KEY_REUSED.because(what));
            }
            let mut response = recorded.response();
            let yes = HeaderValue::from_static("true");
            response.headers_mut().insert(REPLAYED, yes);
            return Ok(response);
        }
        let (parts, body) = work.await?.into_parts();
        let body = body.collect().await;
        let body = body.map_err(|e| INTERNAL.because(e.to_string()))?;
        let recorded = Recorded {
            request,
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        };
        let response = recorded.response();
        *answer = Some(recorded);
        Ok(response)
    }
}

impl Recorded {
    fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn one_key_does_one_thing_once() {
        let repeats = Repeats::default();
        let done = AtomicU32::new(0);
        let work = || async {
            done.fetch_add(1, Ordering::SeqCst);
            Ok(Response::new(Body::from("done")))
        };
        let first = repeats.once("k".to_owned(), 1, work()).await.unwrap();
        assert!(first.headers().get(REPLAYED).is_none());
        let again = repeats.once("k".to_owned(), 1, work()).await.unwrap();
        assert_eq!(again.headers().get(REPLAYED).unwrap(), "true");
        let other = repeats.once("k".to_owned(), 2, work()).await.unwrap_err();
        assert_eq!(other.slug(), "idempotency-key-reused");
        assert_eq!(done.load(Ordering::SeqCst), 1);
        let refused = async { Err(INTERNAL.because("no")) };
        assert!(repeats.once("r".to_owned(), 1, refused).await.is_err());
        assert!(repeats.once("r".to_owned(), 1, work()).await.is_ok());
    }
}
