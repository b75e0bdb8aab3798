//! Whose turn it is to have the store asked.
//!
//! Comes in: questions that nothing kept answers, with the rank of who asks. Goes out: turns, owners
//! first. It must never hold up what is kept, or a question that another one's answer is made of: who
//! waits for that has a turn already, and would wait for ever.

use std::time::Duration;

use assay_guard::queue::{Place, Queue, Rank, Series};
use assay_telemetry::Telemetry;

/// Questions that wait: handlers at work are fewer by far.
const WAITING: usize = 10_000;
/// Questions at a time for each core: one is computed while one waits for the store.
const EACH_CORE: usize = 2;
/// The most at a time: the store has so many connections for them.
const MOST: usize = 8;
/// The series of those who wait.
const SERIES: Series = Series {
    waiting: "assay_store_questions_queued",
    duration: "assay_store_question_queue_duration_seconds",
};

/// Who asks.
#[derive(Debug, Clone, Copy)]
enum Asker {
    /// Somebody of this rank.
    Of(Rank),
    /// One who makes an answer, of other answers.
    Maker,
}

tokio::task_local! {
    static ASKER: Asker;
}

/// Has everything that `work` asks be asked by somebody of this rank.
pub async fn by<F: Future>(rank: Rank, work: F) -> F::Output {
    ASKER.scope(Asker::Of(rank), work).await
}

/// Has everything that `work` asks be a part of what it makes.
pub async fn making<F: Future>(work: F) -> F::Output {
    ASKER.scope(Asker::Maker, work).await
}

/// The turns at the store.
#[derive(Clone)]
pub struct Turns(Queue);

impl Turns {
    /// Turns for as many questions as the cores and the store take at a time; nobody waits longer
    /// than `patience`.
    #[must_use]
    pub fn new(patience: Duration, telemetry: Telemetry) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let places = (cores * EACH_CORE).min(MOST);
        Self(Queue::of(SERIES, (places, WAITING), patience, telemetry))
    }

    /// Waits for a turn; a part of what is being made needs none.
    ///
    /// # Errors
    /// That none came in time.
    pub async fn next(&self) -> Result<Option<Place>, String> {
        let rank = match ASKER.try_with(|asker| *asker) {
            Ok(Asker::Maker) => return Ok(None),
            Ok(Asker::Of(rank)) => rank,
            // A stream of events, or one who asks in process.
            Err(_) => Rank::Subscriber,
        };
        let place = self.0.enter(rank).await;
        place
            .map(Some)
            .map_err(|_| "the store is asked too much at the moment".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn owners_are_first_and_a_part_of_an_answer_waits_for_nobody() {
        let queue = Queue::of(
            SERIES,
            (1, 8),
            Duration::from_secs(60),
            Telemetry::default(),
        );
        let turns = Turns(queue.clone());
        let first = by(Rank::Anonymous, turns.next()).await.unwrap();
        assert!(first.is_some());
        assert!(making(turns.next()).await.unwrap().is_none());
        let order = Arc::new(Mutex::new(Vec::new()));
        let waits = |rank| {
            let (turns, order) = (turns.clone(), Arc::clone(&order));
            tokio::spawn(by(rank, async move {
                let place = turns.next().await.unwrap();
                order.lock().unwrap().push(rank);
                drop(place);
            }))
        };
        let mut waiting = Vec::new();
        for (n, rank) in (1..).zip([Rank::Anonymous, Rank::Subscriber, Rank::Owner]) {
            waiting.push(waits(rank));
            while queue.waiting() < n {
                tokio::task::yield_now().await;
            }
        }
        drop(first);
        for one in waiting {
            one.await.unwrap();
        }
        let ranks = [Rank::Owner, Rank::Subscriber, Rank::Anonymous];
        assert_eq!(*order.lock().unwrap(), ranks);
        assert_eq!((queue.working(), queue.waiting()), (0, 0));
    }
}
