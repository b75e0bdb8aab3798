//! Answers that are kept, and the work that is shared to make them.
//!
//! ```text
//! question ──> kept and in force? ──yes──────────────────────────────> answer
//!                  │no                                                    ▲
//!                  └──> one asker loads, the others wait ──> kept ────────┤
//!                             └── where it is kept is away ──> the last known, with its age
//! ```
//!
//! Comes in: questions, each about one dataset or about none, and how to answer them. Goes out: an
//! answer in force; or the last known one with its age, when where it is kept does not answer. It must
//! never call an answer in force that was read before a commit it has heard of, nor hold up a known
//! answer for one that may come.

mod flight;
mod kept;
mod made;
mod marks;
mod pace;
mod reach;
pub(crate) mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_answers::Problem;
use assay_model::ids::DatasetId;
use assay_telemetry::Telemetry;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::error::Elapsed;

use crate::parts::Clock;
use crate::problem::{INTERNAL, Kind, Miss, NO_LEADER, OVERLOADED, REGISTRY_AWAY, STORE_AWAY};
use flight::{Flight, Reading, Word};
pub use kept::Found;
use kept::{Entry, Printed, Stamp, found};
pub use made::Made;
use made::Makings;
pub use marks::Mark;
use marks::Marks;
pub use reach::Reach;
use turns::{Turn, Turns};

/// Bytes of kept answers, together.
const KEPT_BYTES: u64 = 256 << 20;
/// The last known answer is forgotten after so long without a question.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Bytes of the questions at work whose askers are brought together.
const FLIGHT_BYTES: u64 = 8 << 20;
/// Bytes of one of them besides its question, about.
const FLIGHT: usize = 256;
/// How long a reader waits for a new answer while an older one is known.
const KNOWN_WAITS: Duration = Duration::from_millis(700);
/// The same where whoever answers is there, and is only slow.
const SLOW_WAITS: Duration = Duration::from_secs(3);
/// How long a reader waits when nothing is known.
const UNKNOWN_WAITS: Duration = Duration::from_secs(8);
/// Bytes of a kept answer besides its content and its question, about.
const ENTRY_BYTES: usize = 512;

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The state of record.
    Store,
    /// The manager that leads.
    Managers,
    /// Where definitions are kept.
    Registry,
}

/// For how long an answer is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Good {
    /// Until a commit about its dataset is heard of.
    UntilTold,
    /// For so long, or until such a commit is heard of.
    For(Duration),
    /// For so long: of what no commit changes.
    Besides(Duration),
    /// The same, if its reading began after something was changed from here.
    Since(Instant, Duration),
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The dataset that it is about.
    pub dataset: Option<DatasetId>,
    /// What is asked.
    pub question: String,
}

impl Key {
    /// A question about one dataset.
    pub fn of(dataset: &DatasetId, question: impl Into<String>) -> Self {
        Self {
            dataset: Some(dataset.clone()),
            question: question.into(),
        }
    }

    /// A question about no dataset, or about all.
    pub fn about_all(question: impl Into<String>) -> Self {
        Self {
            dataset: None,
            question: question.into(),
        }
    }

    /// What kind of question it is: its first word, which the program chooses.
    fn kind(&self) -> &str {
        self.question.split([' ', '\0']).next().unwrap_or_default()
    }

    /// How much memory it takes: who asks chooses its words.
    fn bytes(&self) -> usize {
        let dataset = self.dataset.as_ref().map_or(0, |id| id.as_str().len());
        dataset + self.question.len()
    }
}

/// The kept answers. Clones share them.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

struct Inner {
    kept: moka::sync::Cache<Key, Arc<Entry>>,
    /// Each of the times between two that hearing began or ended: what was asked before the store
    /// went away may wait for it long after it came back.
    flights: moka::sync::Cache<(Key, u64), Arc<Flight>>,
    makings: Makings,
    marks: Marks,
    store: Reach,
    managers: Reach,
    registry: Reach,
    turns: Turns,
    now: Clock,
    telemetry: Telemetry,
}

impl Memory {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(now: Clock, telemetry: Telemetry) -> Self {
        let kept = moka::sync::Cache::builder()
            .max_capacity(KEPT_BYTES)
            .weigher(|_: &Key, entry: &Arc<Entry>| entry.weight)
            .time_to_idle(FORGOTTEN_AFTER)
            .build();
        let flights = moka::sync::Cache::builder()
            .max_capacity(FLIGHT_BYTES)
            .weigher(|(key, _): &(Key, u64), _| {
                u32::try_from(key.bytes() + FLIGHT).unwrap_or(u32::MAX)
            })
            .build();
        Self {
            inner: Arc::new(Inner {
                kept,
                flights,
                makings: Makings::default(),
                marks: Marks::default(),
                store: Reach::default(),
                managers: Reach::default(),
                registry: Reach::default(),
                turns: Turns::new(UNKNOWN_WAITS, telemetry.clone()),
                now,
                telemetry,
            }),
        }
    }

    /// The turns at the store, and who waits for them.
    pub(crate) fn turns(&self) -> &Turns {
        &self.inner.turns
    }

    /// A commit about a dataset was heard of.
    pub fn told(&self, dataset: &DatasetId) {
        self.inner.marks.told(dataset);
    }

    /// From here on every commit is heard of.
    pub fn follows(&self) {
        self.inner.marks.follows();
        self.inner.store.worked();
    }

    /// From here on commits may pass unheard: nothing that was read before is in force.
    pub fn lost(&self) {
        self.inner.marks.lost();
    }

    /// Forgets what rests on a definition, which was changed here.
    pub fn redefined(&self, dataset: &DatasetId) {
        self.inner.marks.told(dataset);
        self.inner.marks.told_all();
    }

    /// Whether there is anything to answer with when the store is away.
    #[must_use]
    pub fn knows_anything(&self) -> bool {
        self.inner.kept.iter().next().is_some()
    }

    /// Whether a source answers.
    #[must_use]
    pub fn reach(&self, source: Source) -> &Reach {
        match source {
            Source::Store => &self.inner.store,
            Source::Managers => &self.inner.managers,
            Source::Registry => &self.inner.registry,
        }
    }

    /// What was read last in answer to a question, in force or not: for what no commit changes of it.
    #[must_use]
    pub fn last<T: Send + Sync + 'static>(&self, key: &Key) -> Option<Arc<T>> {
        let entry = self.inner.kept.get(key)?;
        found(&entry, None).ok().map(|found| found.it)
    }

    /// The answer to a question: kept, or from `load`.
    ///
    /// # Errors
    /// What `load` refuses; or that where it is kept is away and nothing is known.
    pub async fn answer<T, L>(
        &self,
        source: Source,
        key: Key,
        good: Good,
        load: L,
    ) -> Result<Found<T>, Problem>
    where
        T: Serialize + Clone + Send + Sync + 'static,
        L: Future<Output = Result<T, Miss>> + Send + 'static,
    {
        self.find(source, key, good, load, |it: &Arc<T>, as_of| {
            Printed::of(&**it, as_of)
        })
        .await
    }

    /// The same of something that answers are made of, and that is never sent itself; `bytes` tells
    /// about how much memory it takes.
    ///
    /// # Errors
    /// As [`Memory::answer`].
    pub async fn value<T, L>(
        &self,
        source: Source,
        key: Key,
        good: Good,
        bytes: fn(&T) -> usize,
        load: L,
    ) -> Result<Found<T>, Problem>
    where
        T: Send + Sync + 'static,
        L: Future<Output = Result<T, Miss>> + Send + 'static,
    {
        let print = move |it: &Arc<T>, _| {
            let (json, tag, weight) = (Bytes::new(), None, bytes(it));
            Ok(Printed { json, tag, weight })
        };
        self.find(source, key, good, load, print).await
    }

    /// An answer that is made of kept ones: made and printed once for the same readings, as long as it
    /// `holds`.
    ///
    /// # Errors
    /// [`Problem`] when it cannot be printed, which is a defect.
    pub fn made<T: Serialize + Send + Sync + 'static>(
        &self,
        key: Key,
        of: Made,
        holds: impl FnOnce(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> Result<Found<T>, Problem> {
        self.inner.makings.of(key, of, holds, make)
    }

    async fn find<T, L, P>(
        &self,
        source: Source,
        key: Key,
        good: Good,
        load: L,
        print: P,
    ) -> Result<Found<T>, Problem>
    where
        T: Send + Sync + 'static,
        L: Future<Output = Result<T, Miss>> + Send + 'static,
        P: FnOnce(&Arc<T>, Timestamp) -> Result<Printed, serde_json::Error> + Send + 'static,
    {
        let asked_at = Instant::now();
        let known = self.inner.kept.get(&key);
        if let Some(entry) = known.as_ref().filter(|e| self.in_force(&key, e, good)) {
            self.count("hit");
            return found(entry, None);
        }
        let reach = self.reach(source);
        // While commits are not heard of, whoever tries to hear asks the store for everybody.
        let patient = source == Source::Store && known.is_some() && !self.inner.marks.hears();
        if let Some(why) = reach.blocked(patient) {
            return self.last_known(source, &key, known.as_ref(), &why);
        }
        let patience = patience(known.is_some());
        let work = async {
            self.has_room(source, &key)?;
            let flight = self.flight(&key);
            loop {
                // Whoever ends from here on is heard of.
                let word = flight.word();
                if let Some(settled) = self.settled(source, &key, good, asked_at) {
                    return settled;
                }
                let Some(places) = self.places(source, &flight, word).await? else {
                    continue;
                };
                if let Some(settled) = self.settled(source, &key, good, asked_at) {
                    return settled;
                }
                self.count("miss");
                let reading = self.clone();
                let loading = reading.load_in_turn(source, key.clone(), load, print, places);
                // A reader that goes away leaves the work to those who come after it.
                return match tokio::spawn(loading).await {
                    Ok(loaded) => loaded,
                    Err(error) => Err(INTERNAL.because(error.to_string()).into()),
                };
            }
        };
        // On the heap: it is large, and what is kept never comes here.
        match self.waited(source, patience, Box::pin(work)).await {
            Ok(Ok(entry)) => found(&entry, None),
            Ok(Err(Miss::Problem(problem))) => Err(*problem),
            Ok(Err(Miss::Away(why))) => self.last_known(source, &key, known.as_ref(), &why),
            Ok(Err(Miss::Busy(why))) => {
                let last = self.last_known(source, &key, known.as_ref(), why);
                last.map_err(|_| self.too_busy(why))
            }
            Ok(Err(Miss::Old)) => {
                let why = "what it is made of is only known as it was";
                self.last_known(source, &key, known.as_ref(), why)
            }
            Err(_) => {
                let why = self.late(source, asked_at);
                self.last_known(source, &key, known.as_ref(), &why)
            }
        }
    }

    /// That a question need not be put in line at all: there is no room for whoever asks, and nobody
    /// else asks the same. It costs far less to say so at once, and it is said most when there is most
    /// to do.
    fn has_room(&self, source: Source, key: &Key) -> Result<(), Miss> {
        let rank = turns::rank().filter(|_| source == Source::Store);
        let Some(full) = rank.and_then(|rank| self.inner.turns.refusal(rank)) else {
            return Ok(());
        };
        let flight = (key.clone(), self.inner.marks.of(None).period());
        match self.inner.flights.get(&flight) {
            Some(flight) if !flight.is_idle() => Ok(()),
            _ => Err(Miss::Busy(full.words())),
        }
    }

    /// That an answer did not come in time: of a store of which no commits are heard, either, it says
    /// that it is away.
    fn late(&self, source: Source, asked_at: Instant) -> String {
        let why = format!("no answer within {} ms", asked_at.elapsed().as_millis());
        if source == Source::Store && !self.inner.marks.hears() {
            self.reach(source).failed(&why);
        }
        why
    }

    /// What `work` comes to within the patience of a reader: a longer one where whoever answers is
    /// there, and is only slow.
    async fn waited<W: Future + Unpin>(
        &self,
        source: Source,
        patience: Duration,
        mut work: W,
    ) -> Result<W::Output, Elapsed> {
        let ended = tokio::time::timeout(patience, &mut work).await;
        if ended.is_err() && patience < SLOW_WAITS && self.is_there(source) {
            return tokio::time::timeout(SLOW_WAITS - patience, work).await;
        }
        ended
    }

    /// Whether a source answers, as far as is known: one that does not answer this question is slow.
    fn is_there(&self, source: Source) -> bool {
        let hears = source != Source::Store || self.inner.marks.hears();
        hears && self.reach(source).is_away().is_none()
    }

    /// The askers of a question in one of the times between two that hearing began or ended.
    fn flight(&self, key: &Key) -> Arc<Flight> {
        let period = self.inner.marks.of(None).period();
        let flight = (key.clone(), period);
        self.inner.flights.get_with(flight, Arc::default)
    }

    /// What somebody else has read for this asker, or the word that there is no answer. What was read
    /// after they came is an answer to them, also if more was committed since: else each of a crowd
    /// would read for themselves while commits come in.
    fn settled(
        &self,
        source: Source,
        key: &Key,
        good: Good,
        asked_at: Instant,
    ) -> Option<Result<Arc<Entry>, Miss>> {
        let kept = self.inner.kept.get(key);
        let answers = |e: &Arc<Entry>| e.begun_at >= asked_at || self.in_force(key, e, good);
        if let Some(entry) = kept.filter(answers) {
            self.count("shared");
            return Some(Ok(entry));
        }
        let blocked = self.reach(source).blocked(false);
        blocked.map(|why| Err(Miss::Away(why)))
    }

    /// The right to read for all who ask the same, with a turn where the store is asked: only one who
    /// reads has one, and one of each rank at most waits for it. `None`: somebody else has come to an
    /// end, with an answer or without.
    async fn places(
        &self,
        source: Source,
        flight: &Arc<Flight>,
        word: Word<'_>,
    ) -> Result<Option<(Reading, Option<Turn>)>, Miss> {
        turns::leave_seat();
        if flight.is_read() {
            word.ended.await;
            return Ok(None);
        }
        let rank = turns::rank().filter(|_| source == Source::Store);
        let Some(rank) = rank else {
            let Some(reading) = flight.read() else {
                word.ended.await;
                return Ok(None);
            };
            return Ok(Some((reading, None)));
        };
        let Some(_standing) = flight.stand(rank) else {
            word.any().await;
            return Ok(None);
        };
        let turn = tokio::select! {
            biased;
            // Somebody of another rank had a turn before.
            () = word.ended => return Ok(None),
            turn = self.inner.turns.next(rank) => turn.map_err(|full| Miss::Busy(full.words()))?,
        };
        let reading = flight.read();
        Ok(reading.map(|reading| (reading, Some(turn))))
    }

    /// Loads, and tells the turns how long that took.
    async fn load_in_turn<T, L, P>(
        self,
        source: Source,
        key: Key,
        load: L,
        print: P,
        (reading, turn): (Reading, Option<Turn>),
    ) -> Result<Arc<Entry>, Miss>
    where
        T: Send + Sync + 'static,
        L: Future<Output = Result<T, Miss>> + Send,
        P: FnOnce(&Arc<T>, Timestamp) -> Result<Printed, serde_json::Error>,
    {
        let kind = key.kind().to_owned();
        let loading = turns::making(self.load(source, key, load, print, reading));
        let (loaded, work) = turns::timed(loading).await;
        if let (Some(turn), Ok(_)) = (turn, &loaded) {
            turn.answered(&kind, work);
        }
        loaded
    }

    async fn load<T, L, P>(
        self,
        source: Source,
        key: Key,
        load: L,
        print: P,
        reading: Reading,
    ) -> Result<Arc<Entry>, Miss>
    where
        T: Send + Sync + 'static,
        L: Future<Output = Result<T, Miss>> + Send,
        P: FnOnce(&Arc<T>, Timestamp) -> Result<Printed, serde_json::Error>,
    {
        let begun_at = Instant::now();
        // What is heard of while it is read makes it old.
        let mark = self.inner.marks.of(key.dataset.as_ref());
        let as_of = (self.inner.now)();
        let loaded = load.await;
        match &loaded {
            Err(Miss::Away(why)) => self.reach(source).failed(why),
            Err(Miss::Old | Miss::Busy(_)) => {}
            _ => self.reach(source).worked(),
        }
        let it = Arc::new(loaded?);
        let printed = print(&it, as_of).map_err(|e| INTERNAL.because(e.to_string()))?;
        let asked = key.bytes().saturating_add(ENTRY_BYTES);
        let weight = printed.weight.saturating_add(asked);
        let entry = Arc::new(Entry {
            stamp: Stamp::next(),
            it,
            json: printed.json,
            tag: printed.tag,
            weight: u32::try_from(weight).unwrap_or(u32::MAX),
            begun_at,
            read_at: Instant::now(),
            as_of,
            mark,
        });
        self.inner.kept.insert(key, Arc::clone(&entry));
        drop(reading);
        Ok(entry)
    }

    fn in_force(&self, key: &Key, entry: &Entry, good: Good) -> bool {
        match good {
            Good::UntilTold => self.inner.marks.holds(key.dataset.as_ref(), &entry.mark),
            Good::For(time) => {
                entry.read_at.elapsed() < time
                    && self.inner.marks.same(key.dataset.as_ref(), &entry.mark)
            }
            Good::Besides(time) => {
                entry.read_at.elapsed() < time && self.inner.marks.undisturbed(&entry.mark)
            }
            Good::Since(changed, time) => {
                entry.begun_at >= changed && self.in_force(key, entry, Good::Besides(time))
            }
        }
    }

    /// The last known answer with its age, or that there is none.
    fn last_known<T: Send + Sync + 'static>(
        &self,
        source: Source,
        key: &Key,
        known: Option<&Arc<Entry>>,
        why: &str,
    ) -> Result<Found<T>, Problem> {
        // Somebody else may have had an answer since this one was looked for: a reader that has seen
        // the newer one is not shown the older one.
        let newest = self.inner.kept.get(key);
        let Some(entry) = newest.as_ref().or(known) else {
            self.count("none");
            let kind: Kind = match source {
                Source::Store => STORE_AWAY,
                Source::Managers => NO_LEADER,
                Source::Registry => REGISTRY_AWAY,
            };
            return Err(kind.because(why));
        };
        self.count("stale");
        let marks = &self.inner.marks;
        let confirmed = marks.confirmed(key.dataset.as_ref(), &entry.mark);
        let since = confirmed.unwrap_or(entry.read_at).max(entry.read_at);
        found(entry, Some(since.elapsed().as_secs()))
    }

    /// Nothing is known, and there is no turn to be had.
    fn too_busy(&self, why: &str) -> Problem {
        let reason = [("reason", "overloaded")];
        let telemetry = &self.inner.telemetry;
        telemetry.count("assay_requests_rejected_total", &reason, 1);
        OVERLOADED.because(why)
    }

    fn count(&self, outcome: &str) {
        let labels = [("outcome", outcome)];
        let telemetry = &self.inner.telemetry;
        telemetry.count("assay_gateway_reads_total", &labels, 1);
    }
}

/// How long a reader waits for a new answer.
const fn patience(known: bool) -> Duration {
    if known { KNOWN_WAITS } else { UNKNOWN_WAITS }
}

#[cfg(test)]
mod tests;
