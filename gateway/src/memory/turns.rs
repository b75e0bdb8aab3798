//! Whose turn it is to have the store asked.
//!
//! Comes in: questions that nothing kept answers, with the rank of who asks. Goes out: turns, owners
//! first. It must never hold up what is kept, or a question that another one's answer is made of: who
//! waits for that has a turn already, and would wait for ever.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use assay_guard::queue::{Full, Place, Queue, Rank, Room, Seat, Series};
use assay_telemetry::Telemetry;

use super::pace::Pace;

/// Questions that wait, until the guard's settings say how many.
const WAITING: usize = 256;
/// Turns in hand for owners, beside those that there are for all: none of them waits until a question
/// of somebody else is answered.
const SPARE: usize = 1;
/// The most at a time, with those in hand: the store has so many connections for them.
const MOST: usize = 8;
/// The series of those who wait.
const SERIES: Series = Series {
    waiting: "assay_store_questions_queued",
    duration: "assay_store_question_queue_duration_seconds",
};
/// How many have a turn at a time.
const PLACES: &str = "assay_store_question_places";

/// Who asks.
#[derive(Clone)]
enum Asker {
    /// Somebody of this rank, from a seat at the guard.
    Of(Rank, Option<Seat>),
    /// One who makes an answer, of other answers.
    Maker,
}

tokio::task_local! {
    static ASKER: Asker;
}

/// Has everything that `work` asks be asked by somebody of this rank, who leaves `seat` when others
/// have to be waited for.
pub async fn by<F: Future>(rank: Rank, seat: Option<Seat>, work: F) -> F::Output {
    ASKER.scope(Asker::Of(rank, seat), work).await
}

/// Has everything that `work` asks be a part of what it makes.
pub async fn making<F: Future>(work: F) -> F::Output {
    ASKER.scope(Asker::Maker, work).await
}

/// The rank of who asks; `None` is one who makes an answer, and waits for no turn.
pub fn rank() -> Option<Rank> {
    match ASKER.try_with(Clone::clone) {
        Ok(Asker::Maker) => None,
        Ok(Asker::Of(rank, _)) => Some(rank),
        // A stream of events, or one who asks in process.
        Err(_) => Some(Rank::Subscriber),
    }
}

/// Whoever asks here waits for others from now on, and leaves their seat to those who need none.
pub fn leave_seat() {
    if let Ok(Asker::Of(_, Some(seat))) = ASKER.try_with(Clone::clone) {
        seat.leave();
    }
}

/// Work, and the time that this process worked on it, not counting where it waited.
pub async fn timed<F: Future>(work: F) -> (F::Output, Duration) {
    let (mut work, mut worked) = (std::pin::pin!(work), Duration::ZERO);
    let done = std::future::poll_fn(|context| {
        let begun = Instant::now();
        let polled = work.as_mut().poll(context);
        worked += begun.elapsed();
        polled
    });
    let done = done.await;
    (done, worked)
}

/// The turns at the store. Clones share them.
#[derive(Clone)]
pub struct Turns {
    queue: Queue,
    // Held for one look.
    pace: Arc<Mutex<Pace>>,
    telemetry: Telemetry,
}

/// A turn, until it is dropped.
pub struct Turn {
    turns: Turns,
    begun: Instant,
    _place: Place,
}

impl Turn {
    /// A question of this kind was answered: the time that it took counts, and how much of that was
    /// `work` here.
    pub fn answered(self, kind: &str, work: Duration) {
        let is_wanted = self.turns.queue.waiting() > 0;
        self.turns
            .paced(kind, (self.begun.elapsed(), work), is_wanted);
    }
}

impl Turns {
    /// A turn for each core, and more while the cores have time and the store answers as fast; nobody
    /// waits longer than `patience`.
    #[must_use]
    pub fn new(patience: Duration, telemetry: Telemetry) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let most = MOST - SPARE;
        Self::of(Pace::new(cores.min(most), most), patience, telemetry)
    }

    fn of(pace: Pace, patience: Duration, telemetry: Telemetry) -> Self {
        let room = Room {
            places: pace.places(),
            spare: SPARE,
            waiting: WAITING,
        };
        let turns = Self {
            queue: Queue::of(SERIES, room, patience, telemetry.clone()),
            pace: Arc::new(Mutex::new(pace)),
            telemetry,
        };
        turns.show(room.places);
        turns
    }

    fn paced(&self, kind: &str, (took, work): (Duration, Duration), is_wanted: bool) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let before = pace.places();
        pace.answered(kind, took, work, is_wanted);
        if pace.places() != before {
            // Under the lock: what was decided last is what holds.
            self.places(&pace);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a few places")]
    fn show(&self, places: usize) {
        self.telemetry.set(PLACES, &[], places as f64);
    }

    /// From here on so many wait, none longer than `patience`.
    pub fn set_room(&self, waiting: usize, patience: Duration) {
        self.queue.set_room(waiting, patience);
    }

    /// From here on there are so many, however fast answers come.
    pub fn set_places(&self, places: usize) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        *pace = Pace::new(places, places);
        self.places(&pace);
    }

    fn places(&self, pace: &Pace) {
        self.queue.set_places(pace.places());
        self.show(pace.places());
    }

    /// Why one of this rank could not even wait for a turn.
    pub fn refusal(&self, rank: Rank) -> Option<Full> {
        self.queue.refusal(rank)
    }

    /// Waits for a turn of this rank.
    ///
    /// # Errors
    /// That none came in time, or that there is no room to wait.
    pub async fn next(&self, rank: Rank) -> Result<Turn, Full> {
        let place = self.queue.enter(rank).await?;
        Ok(Turn {
            turns: self.clone(),
            begun: Instant::now(),
            _place: place,
        })
    }

    /// How many have a turn, and how many wait for one.
    #[cfg(test)]
    pub fn taken(&self) -> (usize, usize) {
        (self.queue.working(), self.queue.waiting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(places: usize) -> Turns {
        let patience = Duration::from_secs(60);
        Turns::of(Pace::new(places, places), patience, Telemetry::default())
    }

    #[tokio::test]
    async fn owners_are_first_and_a_part_of_an_answer_waits_for_nobody() {
        let turns = turns(1);
        let first = turns.next(Rank::Anonymous).await.ok();
        let beside = turns.next(Rank::Owner).await.ok();
        assert!(first.is_some() && beside.is_some());
        assert_eq!(turns.taken(), (2, 0), "an owner does not wait for others");
        assert!(making(async { rank() }).await.is_none());
        let asks = by(Rank::Owner, None, async { rank() }).await;
        assert_eq!(asks, Some(Rank::Owner));
        let order = Arc::new(Mutex::new(Vec::new()));
        let waits = |rank| {
            let (turns, order) = (turns.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                let turn = turns.next(rank).await;
                order.lock().unwrap().push(rank);
                drop(turn);
            })
        };
        let mut waiting = Vec::new();
        for (n, rank) in (1..).zip([Rank::Anonymous, Rank::Subscriber, Rank::Owner]) {
            waiting.push(waits(rank));
            while turns.taken().1 < n {
                tokio::task::yield_now().await;
            }
        }
        drop((first, beside));
        for one in waiting {
            one.await.unwrap();
        }
        let ranks = [Rank::Owner, Rank::Subscriber, Rank::Anonymous];
        assert_eq!(*order.lock().unwrap(), ranks);
        assert_eq!(turns.taken(), (0, 0));
    }

    #[tokio::test]
    async fn whoever_waits_leaves_the_seat() {
        let patience = Duration::from_secs(60);
        let guard = Queue::new(1, 1, patience, Telemetry::default());
        let place = guard.enter(Rank::Owner).await.ok();
        let seat = place.map(Seat::of);
        by(Rank::Owner, seat.clone(), async {
            assert_eq!(guard.working(), 1);
            // What is made for somebody has no seat of its own.
            making(async { leave_seat() }).await;
            assert_eq!(guard.working(), 1);
            leave_seat();
            assert_eq!(guard.working(), 0);
        })
        .await;
        drop(seat);
        assert_eq!(guard.working(), 0);
    }

    #[tokio::test]
    async fn more_have_a_turn_while_answers_come_as_fast() {
        let telemetry = Telemetry::default();
        let pace = Pace::new(1, 3);
        let turns = Turns::of(pace, Duration::from_secs(60), telemetry.clone());
        let first = turns.next(Rank::Owner).await.ok();
        let waits = {
            let turns = turns.clone();
            tokio::spawn(async move { turns.next(Rank::Subscriber).await.is_ok() })
        };
        while turns.taken().1 == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..200 {
            turns.paced("points", (Duration::from_millis(5), Duration::ZERO), true);
        }
        assert!(waits.await.unwrap(), "beside the first");
        assert_eq!(telemetry.value(PLACES, &[]), Some(3.0));
        turns.set_places(2);
        for _ in 0..200 {
            turns.paced("points", (Duration::from_millis(5), Duration::ZERO), true);
        }
        assert_eq!(telemetry.value(PLACES, &[]), Some(2.0), "as it was said");
        drop(first);
    }
}
