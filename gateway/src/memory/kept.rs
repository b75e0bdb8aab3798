//! Answers as they are kept, and as they are found.
//!
//! Comes in: what was read. Goes out: the same with its bytes, printed once. It must never give the
//! bytes of one answer for another.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use assay_answers::{Problem, Told};
use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::marks::Mark;
use crate::problem::{INTERNAL, Miss};

/// A kept answer and its typed form take so many times the bytes of its JSON, about.
const WEIGHT_FACTOR: usize = 3;

/// An answer as it is sent, made once.
pub(super) struct Printed {
    pub(super) json: Bytes,
    /// The ETag of these bytes.
    pub(super) tag: Option<HeaderValue>,
    /// About how much memory it takes.
    pub(super) weight: usize,
}

impl Printed {
    pub(super) fn of(it: &impl Serialize, as_of: Timestamp) -> Result<Self, serde_json::Error> {
        let json = serde_json::to_vec(&Told::fresh(it, as_of)).map(Bytes::from)?;
        let weight = json.len().saturating_mul(WEIGHT_FACTOR);
        let tag = format!("\"{:016x}\"", xxh3_64(&json));
        let tag = HeaderValue::from_str(&tag).ok();
        Ok(Self { json, tag, weight })
    }
}

/// Which reading an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64);

impl Stamp {
    /// One that no other reading has.
    pub(super) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// A kept answer.
pub(super) struct Entry {
    pub(super) stamp: Stamp,
    pub(super) it: Arc<dyn Any + Send + Sync>,
    pub(super) json: Bytes,
    pub(super) tag: Option<HeaderValue>,
    pub(super) weight: u32,
    /// When its reading began, and when it had ended.
    pub(super) begun_at: Instant,
    pub(super) read_at: Instant,
    pub(super) as_of: Timestamp,
    pub(super) mark: Mark,
}

/// An answer, as it is found.
pub struct Found<T> {
    /// Which reading it came from.
    pub stamp: Stamp,
    /// The answer.
    pub it: Arc<T>,
    /// The same as JSON, with `asOf`; empty for what is no answer by itself.
    pub json: Bytes,
    /// The ETag of these bytes, if there are any.
    pub tag: Option<HeaderValue>,
    /// When it was read.
    pub as_of: Timestamp,
    /// Seconds since it could last be confirmed, while it cannot.
    pub stale_s: Option<u64>,
}

impl<T> Found<T> {
    /// The answer, if it is in force: what another answer may be made of and kept.
    ///
    /// # Errors
    /// [`Miss::Old`].
    pub fn in_force(self) -> Result<Arc<T>, Miss> {
        match self.stale_s {
            None => Ok(self.it),
            Some(_) => Err(Miss::Old),
        }
    }
}

impl<T: Serialize> Found<T> {
    /// An answer that is made of `other` and is not kept.
    ///
    /// # Errors
    /// [`Problem`] when it cannot be printed, which is a defect.
    pub fn made_of<U>(other: &Found<U>, it: T) -> Result<Self, Problem> {
        let printed = Printed::of(&it, other.as_of);
        let printed = printed.map_err(|e| INTERNAL.because(e.to_string()))?;
        Ok(Self {
            stamp: Stamp::next(),
            it: Arc::new(it),
            json: printed.json,
            tag: printed.tag,
            as_of: other.as_of,
            stale_s: other.stale_s,
        })
    }
}

impl<T: Clone> Found<T> {
    /// The answer by itself.
    #[must_use]
    pub fn told(&self) -> Told<T> {
        Told {
            it: T::clone(&self.it),
            as_of: self.as_of,
            stale_s: self.stale_s,
        }
    }
}

/// An entry, found by a question of its type.
pub(super) fn found<T: Send + Sync + 'static>(
    entry: &Arc<Entry>,
    stale_s: Option<u64>,
) -> Result<Found<T>, Problem> {
    // A question has one type of answer; another one would be a defect, not a wrong answer.
    let it = Arc::clone(&entry.it)
        .downcast::<T>()
        .map_err(|_| INTERNAL.because("a kept answer is of another type"))?;
    Ok(Found {
        stamp: entry.stamp,
        it,
        json: entry.json.clone(),
        tag: entry.tag.clone(),
        as_of: entry.as_of,
        stale_s,
    })
}
