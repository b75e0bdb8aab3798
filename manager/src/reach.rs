//! Whether the store answers, as this manager found when it last asked.
//!
//! Comes in: the end of each question that only asks. Goes out: since when, and why, there is no
//! answer. It must never call a store reachable that has not answered since.

use assay_store::StoreError;
use jiff::Timestamp;
use tokio::sync::watch;

/// A store that does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Since when.
    pub since: Timestamp,
    /// Why, in words.
    pub reason: String,
}

/// What is known of the store.
pub(crate) struct Reach {
    away: watch::Sender<Option<Away>>,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            away: watch::Sender::new(None),
        }
    }
}

impl Reach {
    /// Notes how a question ended.
    pub(crate) fn note<T>(&self, now: Timestamp, answer: &Result<T, StoreError>) {
        match answer {
            Err(error) if error.is_retryable() => self.silent(now, &error.to_string()),
            // A refusal is an answer, too.
            _ => self.answers(),
        }
    }

    /// Notes that the store answered.
    fn answers(&self) {
        if self.away.send_replace(None).is_some() {
            tracing::info!("the store answers again");
        }
    }

    /// Notes that it did not.
    pub(crate) fn silent(&self, now: Timestamp, reason: &str) {
        self.away.send_if_modified(|away| {
            if let Some(away) = away {
                away.reason = reason.to_owned();
                return true;
            }
            tracing::warn!(%reason, "the store does not answer: nothing is assigned or judged meanwhile, and nothing is lost");
            *away = Some(Away {
                since: now,
                reason: reason.to_owned(),
            });
            true
        });
    }

    /// Since when and why it does not answer; `None` while it does.
    pub(crate) fn away(&self) -> Option<Away> {
        self.away.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<Away>> {
        self.away.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_away_from_its_first_silence_until_it_answers() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let away = || Err::<(), _>(StoreError::Unavailable("gone".into()));
        let reach = Reach::default();
        assert_eq!(reach.away(), None);
        reach.note(at(1), &away());
        reach.silent(at(2), "late");
        let told = reach.away().unwrap();
        assert_eq!((told.since, told.reason.as_str()), (at(1), "late"));
        reach.note(at(3), &Err::<(), _>(StoreError::FencedEpoch { epoch: 7 }));
        assert_eq!(reach.away(), None);
    }
}
