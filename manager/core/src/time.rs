//! Arithmetic on instants that cannot overflow.
//!
//! What comes in: an instant and milliseconds. What goes out: an instant, clamped to what can be
//! told. It must never read a clock.

use jiff::{SignedDuration, Timestamp};

/// `at` and `ms` milliseconds; the end of time when that cannot be told.
pub(crate) fn after(at: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    at.checked_add(SignedDuration::from_millis(ms))
        .unwrap_or(Timestamp::MAX)
}

/// Milliseconds from `from` to `to`; 0 when `to` is not later.
pub(crate) fn ms_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

/// The earlier of two instants, where there are any.
pub(crate) fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
