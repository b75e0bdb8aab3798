//! A clock that goes as the server's does.
//!
//! Comes in: readings of the server's clock. Goes out: the present instant, by the last reading and
//! the machine's monotonic clock. It must never follow the machine's own wall clock: a machine whose
//! clock is wrong, or is set, must not declare nodes silent, nor stamp rows with its error.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{PostgresStore, errors};
use crate::error::StoreError;

/// Between two readings.
const EVERY: Duration = Duration::from_secs(30);
/// The most that one reading moves the clock: much more than clocks drift, and too little for
/// anything to seem late.
const STEP: SignedDuration = SignedDuration::from_millis(100);
/// A reading that took longer says too little.
const PROMPT: Duration = Duration::from_secs(1);

/// What the server said, and when.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    at: Instant,
    said: Timestamp,
}

impl Anchor {
    fn now(self, at: Instant) -> Timestamp {
        let past = SignedDuration::try_from(at.saturating_duration_since(self.at));
        let now = past.ok().and_then(|past| self.said.checked_add(past).ok());
        now.unwrap_or(Timestamp::MAX)
    }

    /// Moves towards another reading, by a step at most.
    fn towards(self, other: Self) -> Self {
        let present = self.now(other.at);
        let off = other.said.duration_since(present).clamp(-STEP, STEP);
        Self {
            at: other.at,
            said: present.checked_add(off).unwrap_or(present),
        }
    }
}

impl PostgresStore {
    /// A clock that is set by the server's once and kept by the monotonic one; it follows the
    /// server's by small steps, and leaps never.
    ///
    /// # Errors
    /// When the server does not say what time it is.
    pub async fn clock(&self) -> Result<Arc<dyn Fn() -> Timestamp + Send + Sync>, StoreError> {
        let anchor = Arc::new(Mutex::new(self.reading().await?));
        let (store, follows) = (self.clone(), Arc::downgrade(&anchor));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                // Whoever asked for the clock has dropped it.
                if follows.strong_count() == 0 {
                    return;
                }
                let reading = store.reading().await;
                let (Some(anchor), Ok(reading)) = (follows.upgrade(), reading) else {
                    continue;
                };
                if reading.at.elapsed() < PROMPT {
                    let mut anchor = anchor.lock().unwrap_or_else(PoisonError::into_inner);
                    *anchor = anchor.towards(reading);
                }
            }
        });
        Ok(Arc::new(move || {
            let anchor = *anchor.lock().unwrap_or_else(PoisonError::into_inner);
            anchor.now(Instant::now())
        }))
    }

    async fn reading(&self) -> Result<Anchor, StoreError> {
        let asked = Instant::now();
        let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let micros: i64 = sqlx::query_scalar(query)
            .fetch_one(&self.inner.readers)
            .await
            .map_err(|error| errors::of_read(&self.inner.place, error))?;
        let said = Timestamp::from_microsecond(micros).map_err(|error| StoreError::Corrupt {
            what: "clock",
            detail: error.to_string(),
        })?;
        Ok(Anchor {
            at: asked + asked.elapsed() / 2,
            said,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_moved_by_small_steps() {
        let begun = Instant::now();
        let said: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let mut anchor = Anchor { at: begun, said };
        let later = begun + EVERY;
        // The server's clock was set ten minutes ahead in between.
        let reading = Anchor {
            at: later,
            said: said + SignedDuration::from_secs(630),
        };
        anchor = anchor.towards(reading);
        assert_eq!(
            anchor.now(later),
            said + SignedDuration::from_secs(30) + STEP
        );
        // A small error is gone at once.
        let reading = Anchor {
            at: later,
            said: anchor.now(later) - SignedDuration::from_millis(40),
        };
        assert_eq!(anchor.towards(reading).now(later), reading.said);
    }
}
