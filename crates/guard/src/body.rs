//! The body of a request, read whole within bounds.
//!
//! Comes in: a body as it arrives. Goes out: its bytes, or how it broke the bounds. It must never
//! hold more than the limit, or wait for a client for longer than it is told.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

/// The bounds of a body.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes.
    pub bytes: usize,
    /// Between two pieces.
    pub idle: Duration,
    /// For all of it.
    pub whole: Duration,
}

/// How a body broke its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It is longer than the limit, or says so.
    TooLong,
    /// It does not come.
    TooSlow,
    /// The connection broke, or what came is no body.
    Cut,
}

/// Whether a request with this head has a body.
#[must_use]
pub fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|v| v != "0")
}

/// Reads a body whole.
///
/// # Errors
/// [`Broken`].
pub async fn read(mut body: Body, headers: &HeaderMap, bounds: Bounds) -> Result<Bytes, Broken> {
    let said = headers.get(header::CONTENT_LENGTH);
    let said = said.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let most = u64::try_from(bounds.bytes).unwrap_or(u64::MAX);
    if said.is_some_and(|said| said > most) {
        return Err(Broken::TooLong);
    }
    let end = Instant::now() + bounds.whole;
    let mut read = BytesMut::new();
    loop {
        let until = end.min(Instant::now() + bounds.idle);
        let frame = match timeout_at(until, body.frame()).await {
            Err(_) => return Err(Broken::TooSlow),
            Ok(None) => return Ok(read.freeze()),
            Ok(Some(Err(_))) => return Err(Broken::Cut),
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(piece) = frame.into_data() {
            if read.len() + piece.len() > bounds.bytes {
                return Err(Broken::TooLong);
            }
            read.extend_from_slice(&piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        bytes: 10,
        idle: Duration::from_millis(30),
        whole: Duration::from_millis(200),
    };

    async fn of(body: Body) -> Result<Bytes, Broken> {
        read(body, &HeaderMap::new(), BOUNDS).await
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_to_the_byte() {
        assert_eq!(of(Body::from("0123456789")).await.unwrap(), "0123456789");
        assert_eq!(of(Body::from("01234567890")).await, Err(Broken::TooLong));
        assert_eq!(of(Body::empty()).await.unwrap(), "");
        let mut said = HeaderMap::new();
        said.insert(header::CONTENT_LENGTH, "11".parse().unwrap());
        let refused = read(Body::empty(), &said, BOUNDS).await;
        assert_eq!(refused, Err(Broken::TooLong));
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_cut() {
        use futures::StreamExt as _;
        let stops = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"a"))])
            .chain(futures::stream::pending());
        assert_eq!(of(Body::from_stream(stops)).await, Err(Broken::TooSlow));
        let trickles = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, std::io::Error>(Bytes::new()), ()))
        });
        assert_eq!(of(Body::from_stream(trickles)).await, Err(Broken::TooSlow));
    }
}
