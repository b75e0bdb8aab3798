//! Answers that do not end: how many of them there are.
//!
//! Comes in: who wants one. Goes out: a place that is held as long as the answer lasts, or a refusal.
//! It must never count a stream after it has ended, however it did.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use hyper::body::{Frame, SizeHint};

/// The streams of a gateway. Clones share them.
#[derive(Debug, Clone)]
pub struct Streams {
    each: usize,
    all: usize,
    held: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

/// Why there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The principal has as many as it may.
    Yours,
    /// All together do.
    All,
}

/// A stream, counted until it is dropped.
#[derive(Debug)]
pub struct Stream {
    streams: Streams,
    who: Arc<str>,
}

impl Streams {
    /// So many of each principal, so many of all.
    #[must_use]
    pub fn new(each: usize, all: usize) -> Self {
        Self {
            each,
            all,
            held: Arc::default(),
        }
    }

    /// One more of `who`.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn open(&self, who: &Arc<str>) -> Result<Stream, Refused> {
        // The counts are whole after each statement.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.values().sum::<usize>() >= self.all {
            return Err(Refused::All);
        }
        let mine = held.get(who).copied().unwrap_or(0);
        if mine >= self.each {
            return Err(Refused::Yours);
        }
        held.insert(Arc::clone(who), mine + 1);
        Ok(Stream {
            streams: self.clone(),
            who: Arc::clone(who),
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().sum()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut held = self
            .streams
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.who) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.who);
            }
        }
    }
}

/// Whether an answer with this head is a stream of events.
#[must_use]
pub fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// A body that holds its place among the streams.
pub fn held(body: Body, stream: Stream) -> Body {
    Body::new(Held {
        body,
        _stream: stream,
    })
}

struct Held {
    body: Body,
    _stream: Stream,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_bounded_and_counted_until_they_end() {
        let streams = Streams::new(2, 3);
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("a"), Arc::from("b"));
        let (one, two) = (streams.open(&a).unwrap(), streams.open(&a).unwrap());
        assert_eq!(streams.open(&a).err(), Some(Refused::Yours));
        let three = streams.open(&b).unwrap();
        assert_eq!(streams.open(&b).err(), Some(Refused::All));
        drop(one);
        let body = held(Body::empty(), streams.open(&b).unwrap());
        assert_eq!(streams.count(), 3);
        drop((two, three, body));
        assert_eq!(streams.count(), 0);
        assert!(
            streams.held.lock().unwrap().is_empty(),
            "nobody is remembered"
        );
    }
}
