//! Whether something answers, as the last questions to it went.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two questions to something that is away.
const AGAIN: Duration = Duration::from_millis(250);
/// The same for one who has something to answer with.
const PATIENTLY: Duration = Duration::from_millis(1000);

/// Whether something answers.
#[derive(Debug, Default)]
pub struct Reach {
    // Held for one look.
    away: Mutex<Option<Away>>,
}

#[derive(Debug)]
struct Away {
    why: String,
    since: Instant,
    ask_at: Instant,
}

impl Reach {
    fn away(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has answered.
    pub fn worked(&self) {
        if let Some(away) = self.away().take() {
            let for_ms = away.since.elapsed().as_millis();
            tracing::info!(for_ms, why = away.why, "it answers again");
        }
    }

    /// It has not.
    pub fn failed(&self, why: &str) {
        let mut away = self.away();
        let now = Instant::now();
        if away.is_none() {
            tracing::warn!(why, "no answer; what is known is shown with its age");
        }
        let since = away.as_ref().map_or(now, |away| away.since);
        *away = Some(Away {
            why: why.to_owned(),
            since,
            ask_at: now + AGAIN,
        });
    }

    /// Why it should not be asked at this moment. One who can do without (`patient`) asks less often:
    /// somebody else does.
    #[must_use]
    pub fn blocked(&self, patient: bool) -> Option<String> {
        let away = self.away();
        let away = away.as_ref()?;
        let more = if patient {
            PATIENTLY - AGAIN
        } else {
            Duration::ZERO
        };
        (Instant::now() < away.ask_at + more).then(|| away.why.clone())
    }

    /// Since when it has not answered, and why.
    #[must_use]
    pub fn is_away(&self) -> Option<(Duration, String)> {
        let away = self.away();
        away.as_ref()
            .map(|away| (away.since.elapsed(), away.why.clone()))
    }
}
