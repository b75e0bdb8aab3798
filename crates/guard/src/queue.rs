//! Whose turn it is: so many requests at once, a bounded queue before them, owners first.
//!
//! Comes in: requests with their rank. Goes out: places, and refusals. It must never let more work at
//! once than it is told, hold more waiting than it is told, or send a higher rank away while a lower
//! one waits. [`Line`] decides, and knows no clock; [`Queue`] carries it out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use assay_telemetry::Telemetry;
use assay_telemetry::series::SHORT_S;
use tokio::sync::oneshot;

/// Who goes first, and who is sent away last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Operators, and owners of what they ask for.
    Owner,
    /// Others who are known.
    Subscriber,
    /// Those without a credential.
    Anonymous,
}

impl Rank {
    /// From the first to the last.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Subscriber, Self::Anonymous];

    /// The word in series.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Subscriber => "subscriber",
            Self::Anonymous => "anonymous",
        }
    }

    const fn at(self) -> usize {
        match self {
            Self::Owner => 0,
            Self::Subscriber => 1,
            Self::Anonymous => 2,
        }
    }
}

/// What becomes of a request that arrives.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<T> {
    /// It goes at once.
    Goes(T),
    /// It waits.
    Waits,
    /// It waits, and this one of a lower rank is sent away for it.
    Sheds(T),
    /// It is sent away.
    Refused(T),
}

/// The decisions: who works, who waits, who goes.
#[derive(Debug)]
pub struct Line<T> {
    places: usize,
    most: usize,
    working: usize,
    waiting: [VecDeque<T>; 3],
}

impl<T> Line<T> {
    /// A line before so many places, with room for so many.
    #[must_use]
    pub fn new(places: usize, most: usize) -> Self {
        Self {
            places: places.max(1),
            most,
            working: 0,
            waiting: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
        }
    }

    /// A request arrives.
    pub fn arrive(&mut self, rank: Rank, request: T) -> Arrival<T> {
        if self.working < self.places {
            // Whoever leaves gives the place to who waits: nobody waits while there is one.
            self.working += 1;
            return Arrival::Goes(request);
        }
        if self.waiting() < self.most {
            self.waiting[rank.at()].push_back(request);
            return Arrival::Waits;
        }
        // The last one of the lowest rank has waited least.
        for lower in Rank::ALL
            .into_iter()
            .rev()
            .take_while(|lower| *lower > rank)
        {
            if let Some(shed) = self.waiting[lower.at()].pop_back() {
                self.waiting[rank.at()].push_back(request);
                return Arrival::Sheds(shed);
            }
        }
        Arrival::Refused(request)
    }

    /// A place becomes free: who gets it.
    pub fn leave(&mut self) -> Option<T> {
        let next = self.waiting.iter_mut().find_map(VecDeque::pop_front);
        if next.is_none() {
            self.working = self.working.saturating_sub(1);
        }
        next
    }

    /// Those that wait and are `gone` wait no more.
    pub fn withdraw(&mut self, rank: Rank, gone: impl Fn(&T) -> bool) {
        self.waiting[rank.at()].retain(|request| !gone(request));
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// How many of this rank wait.
    #[must_use]
    pub fn waiting_of(&self, rank: Rank) -> usize {
        self.waiting[rank.at()].len()
    }

    /// How many work.
    #[must_use]
    pub const fn working(&self) -> usize {
        self.working
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The queue is full of requests of this rank or a higher one.
    Queue,
    /// It waited, and one of a higher rank came.
    Shed,
    /// It waited for too long.
    Patience,
}

struct Ticket {
    number: u64,
    turn: oneshot::Sender<Result<Place, Full>>,
}

/// The queue of a gateway. Clones share it.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    line: Mutex<(Line<Ticket>, u64)>,
    patience: Duration,
    telemetry: Telemetry,
    series: Series,
}

/// The series of a queue, by the rank of who waits.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    /// How many wait.
    pub waiting: &'static str,
    /// How long who entered or was sent away had waited, in seconds.
    pub duration: &'static str,
}

/// The series of requests before handlers.
pub(crate) const REQUESTS: Series = Series {
    waiting: "assay_requests_queued",
    duration: "assay_request_queue_duration_seconds",
};

/// A place, given back when it is dropped.
pub struct Place {
    queue: Arc<Inner>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = self.queue.with(|line, _| line.leave());
        if let Some(ticket) = next {
            let place = Self {
                queue: Arc::clone(&self.queue),
            };
            // One that has gone away gives the place on, by dropping it.
            drop(ticket.turn.send(Ok(place)));
        }
    }
}

/// Takes a ticket out of the line when whoever waited goes away.
struct Waiting<'a> {
    queue: &'a Arc<Inner>,
    rank: Rank,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue
            .with(|line, _| line.withdraw(self.rank, |ticket| ticket.number == self.number));
        self.queue.show(self.rank);
    }
}

impl Inner {
    fn with<R>(&self, act: impl FnOnce(&mut Line<Ticket>, &mut u64) -> R) -> R {
        // The line is whole between two calls of it.
        let mut held = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let (line, number) = &mut *held;
        act(line, number)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a queue is far shorter than 2^53"
    )]
    fn show(&self, rank: Rank) {
        let waiting = self.with(|line, _| line.waiting_of(rank)) as f64;
        let labels = [("queue", rank.word())];
        self.telemetry.set(self.series.waiting, &labels, waiting);
    }
}

impl Queue {
    /// A queue before `places`, with room for `waiting`, in which nobody waits longer than `patience`.
    #[must_use]
    pub fn new(places: usize, waiting: usize, patience: Duration, telemetry: Telemetry) -> Self {
        Self::of(REQUESTS, (places, waiting), patience, telemetry)
    }

    /// The same before something else than handlers, with series of its own.
    #[must_use]
    pub fn of(
        series: Series,
        (places, waiting): (usize, usize),
        patience: Duration,
        telemetry: Telemetry,
    ) -> Self {
        let inner = Inner {
            line: Mutex::new((Line::new(places, waiting), 0)),
            patience,
            telemetry,
            series,
        };
        // A series that is there from the start tells nothing from nobody.
        for rank in Rank::ALL {
            inner.show(rank);
        }
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`Full`], when there is none to be had.
    pub async fn enter(&self, rank: Rank) -> Result<Place, Full> {
        let began = Instant::now();
        let entered = self.wait(rank).await;
        self.inner.telemetry.observe_duration(
            self.inner.series.duration,
            &[("queue", rank.word())],
            SHORT_S,
            began.elapsed(),
        );
        entered
    }

    async fn wait(&self, rank: Rank) -> Result<Place, Full> {
        let (turn, came) = oneshot::channel();
        let (arrival, number) = self.inner.with(|line, number| {
            *number += 1;
            let ticket = Ticket {
                number: *number,
                turn,
            };
            (line.arrive(rank, ticket), *number)
        });
        let place = || Place {
            queue: Arc::clone(&self.inner),
        };
        match arrival {
            Arrival::Goes(_) => return Ok(place()),
            Arrival::Refused(_) => return Err(Full::Queue),
            Arrival::Waits => {}
            Arrival::Sheds(ticket) => drop(ticket.turn.send(Err(Full::Shed))),
        }
        self.inner.show(rank);
        let waiting = Waiting {
            queue: &self.inner,
            rank,
            number,
        };
        let answer = tokio::time::timeout(self.inner.patience, came).await;
        drop(waiting);
        match answer {
            Ok(Ok(turn)) => turn,
            // A ticket is only taken out of the line by whoever waits for it.
            Ok(Err(_)) => Err(Full::Shed),
            Err(_) => Err(Full::Patience),
        }
    }

    /// How many work.
    #[must_use]
    pub fn working(&self) -> usize {
        self.inner.with(|line, _| line.working())
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.with(|line, _| line.waiting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Rank::{Anonymous, Owner, Subscriber};

    #[test]
    fn the_lowest_are_sent_away_first_and_the_highest_go_first() {
        let mut line = Line::new(1, 3);
        assert_eq!(line.arrive(Anonymous, 1), Arrival::Goes(1));
        for n in 2..=4 {
            assert_eq!(line.arrive(Anonymous, n), Arrival::Waits);
        }
        assert_eq!(line.arrive(Anonymous, 5), Arrival::Refused(5));
        assert_eq!(
            line.arrive(Subscriber, 6),
            Arrival::Sheds(4),
            "the last that came"
        );
        assert_eq!(line.arrive(Owner, 7), Arrival::Sheds(3));
        assert_eq!(line.arrive(Owner, 8), Arrival::Sheds(2));
        assert_eq!(
            line.arrive(Subscriber, 9),
            Arrival::Refused(9),
            "no lower one waits"
        );
        assert_eq!(
            line.arrive(Owner, 10),
            Arrival::Sheds(6),
            "then the subscribers"
        );
        assert_eq!(
            line.arrive(Owner, 11),
            Arrival::Refused(11),
            "owners only among owners"
        );
        let gone: Vec<_> = std::iter::from_fn(|| line.leave()).collect();
        assert_eq!(gone, [7, 8, 10]);
        assert_eq!((line.working(), line.waiting()), (0, 0));
        assert_eq!(line.leave(), None);
        assert_eq!(line.working(), 0);
    }

    #[test]
    fn nobody_waits_while_a_place_is_free_and_the_bounds_hold() {
        let mut line = Line::new(4, 7);
        let (mut seed, mut working) = (12_345_u32, 0);
        for n in 0..100_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let rank = Rank::ALL[(seed >> 24) as usize % 3];
            if (seed >> 16) & 1 == 0 {
                working += u32::from(matches!(line.arrive(rank, n), Arrival::Goes(_)));
            } else if working > 0 {
                working -= u32::from(line.leave().is_none());
            }
            assert_eq!(usize::try_from(working).unwrap(), line.working());
            assert!(line.working() <= 4 && line.waiting() <= 7);
            assert!(line.waiting() == 0 || line.working() == 4);
        }
    }

    fn queue(places: usize, waiting: usize, patience: u64) -> Queue {
        let patience = Duration::from_millis(patience);
        Queue::new(places, waiting, patience, Telemetry::default())
    }

    #[tokio::test]
    async fn a_waiter_that_goes_away_leaves_its_room_and_no_place_is_lost() {
        let queue = queue(1, 1, 60_000);
        let first = queue.enter(Owner).await.unwrap_or_else(|_| panic!("free"));
        for _ in 0..50 {
            let waits = queue.enter(Anonymous);
            let gone = tokio::time::timeout(Duration::from_millis(1), waits).await;
            assert!(gone.is_err());
            assert_eq!(queue.waiting(), 0);
        }
        let (other, turn) = (queue.clone(), tokio::sync::Notify::new());
        let second = async {
            turn.notify_one();
            other.enter(Subscriber).await.is_ok()
        };
        let release = async {
            turn.notified().await;
            drop(first);
        };
        let (entered, ()) = tokio::join!(second, release);
        assert!(entered);
        assert_eq!((queue.working(), queue.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn who_waits_too_long_is_sent_away() {
        let queue = queue(1, 8, 20);
        let _first = queue.enter(Owner).await.unwrap_or_else(|_| panic!("free"));
        assert_eq!(queue.enter(Owner).await.err(), Some(Full::Patience));
        let telemetry = &queue.inner.telemetry;
        let labels = [("queue", "owner")];
        assert_eq!(telemetry.value("assay_requests_queued", &labels), Some(0.0));
        let name = "assay_request_queue_duration_seconds";
        assert_eq!(telemetry.observations(name, &labels), 2);
    }
}
