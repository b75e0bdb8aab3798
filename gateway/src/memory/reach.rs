//! Whether something answers, as the last questions to it went.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two questions to something that is away.
const AGAIN: Duration = Duration::from_millis(250);
/// The same for one who has something to answer with.
const PATIENTLY: Duration = Duration::from_millis(1000);

/// How long one who asks for everybody is waited for: longer than a connection may take to be made.
const FOR_ALL: Duration = Duration::from_secs(8);

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
    /// Until then nobody else need ask.
    asked_for_all: Option<Instant>,
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
        self.went(why, None);
    }

    /// It has not answered one who asks again and again, for everybody: questions besides would only
    /// wait in line for what comes back.
    pub fn asks_for_all(&self, why: &str) {
        self.went(why, Some(Instant::now() + FOR_ALL));
    }

    fn went(&self, why: &str, for_all: Option<Instant>) {
        let mut away = self.away();
        let now = Instant::now();
        if away.is_none() {
            tracing::warn!(why, "no answer; what is known is shown with its age");
        }
        let (since, before) = away
            .as_ref()
            .map_or((now, None), |away| (away.since, away.asked_for_all));
        *away = Some(Away {
            why: why.to_owned(),
            since,
            ask_at: now + AGAIN,
            asked_for_all: for_all.or(before),
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
        let now = Instant::now();
        let waits = now < away.ask_at + more || away.asked_for_all.is_some_and(|until| now < until);
        waits.then(|| away.why.clone())
    }

    /// Since when it has not answered, and why.
    #[must_use]
    pub fn is_away(&self) -> Option<(Duration, String)> {
        let away = self.away();
        away.as_ref()
            .map(|away| (away.since.elapsed(), away.why.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_beside_one_who_asks_for_all_until_it_answers() {
        let reach = Reach::default();
        assert_eq!(reach.blocked(false), None);
        reach.asks_for_all("refused");
        // What was under way when it went tells nothing new.
        reach.failed("lost");
        std::thread::sleep(AGAIN + Duration::from_millis(20));
        for patient in [false, true] {
            assert_eq!(reach.blocked(patient).as_deref(), Some("lost"));
        }
        reach.worked();
        assert_eq!(reach.blocked(false), None);
        // Where nobody asks for all, everybody does again, one who can do without later.
        reach.failed("late");
        assert!(reach.blocked(false).is_some());
        std::thread::sleep(AGAIN + Duration::from_millis(20));
        assert_eq!(reach.blocked(false), None);
        assert!(reach.blocked(true).is_some());
    }
}
