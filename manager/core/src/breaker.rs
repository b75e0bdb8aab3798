//! A source that is away: its tasks wait, one at a time asks again.
//!
//! What comes in: failures of a dependency and successes. What goes out: whether a task of the
//! dataset may be assigned. It must never count anything against a task.

use assay_model::ids::AttemptToken;
use jiff::Timestamp;

use crate::config::Config;
use crate::time::after;

/// The breaker of one dataset's source, while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breaker {
    /// Nothing is assigned before this instant, then one probe.
    pub until: Timestamp,
    pause_ms: u64,
    /// The attempt that asks whether the source is back.
    pub probe: Option<AttemptToken>,
}

impl Breaker {
    /// The breaker after a failure at `now`: opened, or opened again for twice as long when the
    /// pause was over.
    pub(crate) fn after_failure(previous: Option<&Self>, config: &Config, now: Timestamp) -> Self {
        match previous {
            Some(open) if open.until > now => Self {
                probe: None,
                ..open.clone()
            },
            Some(open) => {
                let pause_ms = open.pause_ms.saturating_mul(2).min(config.breaker_max_ms);
                Self::open(now, pause_ms)
            }
            None => Self::open(now, config.breaker_ms),
        }
    }

    fn open(now: Timestamp, pause_ms: u64) -> Self {
        Self {
            until: after(now, pause_ms),
            pause_ms,
            probe: None,
        }
    }

    /// Whether the pause is over, so that a probe may ask.
    pub(crate) fn is_half_open(&self, now: Timestamp) -> bool {
        self.until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_stays_away_is_asked_more_and_more_rarely() {
        let config = Config::default();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut breaker: Option<Breaker> = None;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let next = Breaker::after_failure(breaker.as_ref(), &config, now);
            assert!(!next.is_half_open(now));
            pauses.push(next.pause_ms);
            now = next.until;
            assert!(next.is_half_open(now));
            breaker = Some(next);
        }
        assert_eq!(pauses, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    }
}
