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

/// How many work and wait at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Requests at work, of any rank.
    pub places: usize,
    /// More of owners: none of them waits for others while these are free.
    pub spare: usize,
    /// Requests that wait.
    pub waiting: usize,
}

/// The decisions: who works, who waits, who goes.
#[derive(Debug)]
pub struct Line<T> {
    places: usize,
    spare: usize,
    most: usize,
    working: usize,
    waiting: [VecDeque<T>; 3],
}

impl<T> Line<T> {
    /// A line before such a room.
    #[must_use]
    pub fn new(room: Room) -> Self {
        Self {
            places: room.places.max(1),
            spare: room.spare,
            most: room.waiting,
            working: 0,
            waiting: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
        }
    }

    /// How many may work when one of this rank begins.
    const fn places_for(&self, rank: Rank) -> usize {
        match rank {
            Rank::Owner => self.places + self.spare,
            Rank::Subscriber | Rank::Anonymous => self.places,
        }
    }

    /// Whether one of this rank that arrives would be sent away.
    #[must_use]
    pub fn refuses(&self, rank: Rank) -> bool {
        let mut lower = Rank::ALL.into_iter().filter(|lower| *lower > rank);
        self.working >= self.places_for(rank)
            && self.waiting() >= self.most
            && lower.all(|lower| self.waiting[lower.at()].is_empty())
    }

    /// A request arrives.
    pub fn arrive(&mut self, rank: Rank, request: T) -> Arrival<T> {
        if self.working < self.places_for(rank) {
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

    /// From here on so many work at a time: who goes at once because there are more.
    pub fn set_places(&mut self, places: usize) -> Vec<T> {
        self.places = places.max(1);
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Who goes now: the first of the highest rank for which there is a place.
    fn next(&mut self) -> Option<T> {
        let rank = Rank::ALL
            .into_iter()
            .find(|rank| !self.waiting[rank.at()].is_empty())?;
        if self.working >= self.places_for(rank) {
            return None;
        }
        self.working += 1;
        self.waiting[rank.at()].pop_front()
    }

    /// From here on there is room for so many; those that wait already stay.
    pub const fn set_room(&mut self, most: usize) {
        self.most = most;
    }

    /// A place becomes free: who gets it. Nobody does while more work than are to.
    pub fn leave(&mut self) -> Option<T> {
        self.working = self.working.saturating_sub(1);
        self.next()
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

impl Full {
    /// Why, in words for people, and what to do.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Queue => "the queue is full; ask again",
            Self::Shed => "the queue is full, and requests of owners go first; ask again",
            Self::Patience => "the request waited for too long; ask again",
        }
    }
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
    line: Mutex<Held>,
    telemetry: Telemetry,
    series: Series,
}

/// What a queue decides by.
struct Held {
    line: Line<Ticket>,
    /// The number of the last ticket.
    number: u64,
    patience: Duration,
    /// Since when there was always somebody who waited.
    stands: Option<Instant>,
}

impl Held {
    /// For how long one of this rank may wait. A queue that was empty lately holds a burst, which it
    /// works off. One that has stood for longer than anybody may wait is asked for more than is
    /// answered: whoever waits the whole time in it only makes all wait as long, so that those who
    /// are sent away first are so early.
    fn patience(&self, rank: Rank, now: Instant) -> Duration {
        let stood = self.stands.map(|since| now.duration_since(since));
        let is_overrun = stood.is_some_and(|stood| stood >= self.patience);
        match rank {
            Rank::Subscriber | Rank::Anonymous if is_overrun => self.patience / EARLY,
            _ => self.patience,
        }
    }

    /// Looks whether anybody waits.
    fn look(&mut self, now: Instant) {
        self.stands = match self.line.waiting() {
            0 => None,
            _ => self.stands.or(Some(now)),
        };
    }
}

/// What part of their patience others than owners have in a queue that is asked for too much.
const EARLY: u32 = 8;

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
        let next = self.queue.with(|held| held.line.leave());
        if let Some(ticket) = next {
            self.queue.goes(ticket);
        }
    }
}

/// A place that may be given back before its request ends: one who waits for somebody else keeps
/// nobody from working. Clones share it; without any, it is free.
#[derive(Clone)]
pub struct Seat(Arc<Mutex<Option<Place>>>);

impl Seat {
    /// A seat that holds this place.
    #[must_use]
    pub fn of(place: Place) -> Self {
        Self(Arc::new(Mutex::new(Some(place))))
    }

    /// Gives the place back, if it was not yet.
    pub fn leave(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = held.take();
        // Whoever is next takes it up: not under this lock.
        drop(held);
        drop(place);
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
            .with(|held| held.line.withdraw(self.rank, |t| t.number == self.number));
        self.queue.show(self.rank);
    }
}

impl Inner {
    fn with<R>(&self, act: impl FnOnce(&mut Held) -> R) -> R {
        // The line is whole between two calls of it.
        let mut held = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let done = act(&mut held);
        held.look(Instant::now());
        done
    }

    /// Whoever holds this ticket has a place.
    fn goes(self: &Arc<Self>, ticket: Ticket) {
        let place = Place {
            queue: Arc::clone(self),
        };
        // One that has gone away gives the place on, by dropping it.
        drop(ticket.turn.send(Ok(place)));
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a queue is far shorter than 2^53"
    )]
    fn show(&self, rank: Rank) {
        let waiting = self.with(|held| held.line.waiting_of(rank)) as f64;
        let labels = [("queue", rank.word())];
        self.telemetry.set(self.series.waiting, &labels, waiting);
    }
}

impl Queue {
    /// A queue before `places`, with room for `waiting`, in which nobody waits longer than `patience`.
    #[must_use]
    pub fn new(places: usize, waiting: usize, patience: Duration, telemetry: Telemetry) -> Self {
        let room = Room {
            places,
            spare: 0,
            waiting,
        };
        Self::of(REQUESTS, room, patience, telemetry)
    }

    /// The same before something else than handlers, with series of its own.
    #[must_use]
    pub fn of(series: Series, room: Room, patience: Duration, telemetry: Telemetry) -> Self {
        let inner = Inner {
            line: Mutex::new(Held {
                line: Line::new(room),
                number: 0,
                patience,
                stands: None,
            }),
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

    /// Why one of this rank would be sent away at once.
    #[must_use]
    pub fn refusal(&self, rank: Rank) -> Option<Full> {
        self.inner
            .with(|held| held.line.refuses(rank).then_some(Full::Queue))
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
        let (arrival, number, patience) = self.inner.with(|held| {
            held.number += 1;
            let number = held.number;
            let patience = held.patience(rank, Instant::now());
            let arrival = held.line.arrive(rank, Ticket { number, turn });
            (arrival, number, patience)
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
        let answer = tokio::time::timeout(patience, came).await;
        drop(waiting);
        match answer {
            Ok(Ok(turn)) => turn,
            // A ticket is only taken out of the line by whoever waits for it.
            Ok(Err(_)) => Err(Full::Shed),
            Err(_) => Err(Full::Patience),
        }
    }

    /// From here on so many work at a time; those at work beyond that go on to their end.
    pub fn set_places(&self, places: usize) {
        let go = self.inner.with(|held| held.line.set_places(places));
        for ticket in go {
            self.inner.goes(ticket);
        }
    }

    /// From here on so many wait, none longer than `patience`.
    pub fn set_room(&self, waiting: usize, patience: Duration) {
        self.inner.with(|held| {
            held.line.set_room(waiting);
            held.patience = patience;
        });
    }

    /// How many work.
    #[must_use]
    pub fn working(&self) -> usize {
        self.inner.with(|held| held.line.working())
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.with(|held| held.line.waiting())
    }
}

#[cfg(test)]
mod tests;
