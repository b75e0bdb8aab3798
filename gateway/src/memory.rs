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

mod marks;
mod reach;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_answers::{Problem, Told};
use assay_model::ids::DatasetId;
use assay_telemetry::Telemetry;
use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::error::Elapsed;
use xxhash_rust::xxh3::xxh3_64;

use crate::parts::Clock;
use crate::problem::{INTERNAL, Kind, Miss, NO_LEADER, REGISTRY_AWAY, STORE_AWAY};
pub use marks::Mark;
use marks::Marks;
pub use reach::Reach;

/// Bytes of kept answers, together.
const KEPT_BYTES: u64 = 256 << 20;
/// The last known answer is forgotten after so long without a question.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Questions at work at the same time whose askers are brought together.
const FLIGHTS: u64 = 10_000;
/// How long a reader waits for a new answer while an older one is known.
const KNOWN_WAITS: Duration = Duration::from_millis(700);
/// The same where whoever answers is there, and is only slow.
const SLOW_WAITS: Duration = Duration::from_secs(3);
/// How long a reader waits when nothing is known.
const UNKNOWN_WAITS: Duration = Duration::from_secs(8);
/// A kept answer and its typed form take so many times the bytes of its JSON, about.
const WEIGHT_FACTOR: usize = 3;
/// Bytes of a kept answer besides its content, about.
const ENTRY_BYTES: usize = 512;

/// An answer as it is sent, made once.
struct Printed {
    json: Bytes,
    /// The ETag of these bytes.
    tag: Option<HeaderValue>,
    /// About how much memory it takes.
    weight: usize,
}

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
    /// For so long.
    For(Duration),
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
}

/// A kept answer.
struct Entry {
    it: Arc<dyn Any + Send + Sync>,
    json: Bytes,
    tag: Option<HeaderValue>,
    weight: u32,
    /// When its reading began, and when it had ended.
    begun_at: Instant,
    read_at: Instant,
    as_of: Timestamp,
    mark: Mark,
}

/// An answer, as it is found.
pub struct Found<T> {
    /// The answer.
    pub it: Arc<T>,
    /// The same as JSON, with `asOf`; empty for what is no answer by itself.
    pub json: Bytes,
    /// The ETag of these bytes, if there are any.
    pub tag: Option<HeaderValue>,
    /// When it was read.
    pub as_of: Timestamp,
    /// Seconds since it could last be confirmed, while it cannot.
    pub stale_s: Option<u64>,
}

impl<T> Found<T> {
    /// The answer, if it is in force: what another answer may be made of and kept.
    ///
    /// # Errors
    /// [`Miss::Old`].
    pub fn in_force(self) -> Result<Arc<T>, Miss> {
        match self.stale_s {
            None => Ok(self.it),
            Some(_) => Err(Miss::Old),
        }
    }
}

impl<T: Clone> Found<T> {
    /// The answer by itself.
    #[must_use]
    pub fn told(&self) -> Told<T> {
        Told {
            it: T::clone(&self.it),
            as_of: self.as_of,
            stale_s: self.stale_s,
        }
    }
}

/// The kept answers. Clones share them.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

struct Inner {
    kept: moka::sync::Cache<Key, Arc<Entry>>,
    flights: moka::sync::Cache<Key, Arc<Mutex<()>>>,
    marks: Marks,
    store: Reach,
    managers: Reach,
    registry: Reach,
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
        Self {
            inner: Arc::new(Inner {
                kept,
                flights: moka::sync::Cache::new(FLIGHTS),
                marks: Marks::default(),
                store: Reach::default(),
                managers: Reach::default(),
                registry: Reach::default(),
                now,
                telemetry,
            }),
        }
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
            let told = Told::fresh(T::clone(it), as_of);
            let json = serde_json::to_vec(&told).map(Bytes::from)?;
            let weight = json.len().saturating_mul(WEIGHT_FACTOR);
            let tag = format!("\"{:016x}\"", xxh3_64(&json));
            let tag = HeaderValue::from_str(&tag).ok();
            Ok(Printed { json, tag, weight })
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
        let flight = self.inner.flights.get_with(key.clone(), Arc::default);
        let work = async {
            let place = flight.lock_owned().await;
            // Whoever held the place before has left an answer, or the word that there is none. What
            // was read after this asker came is an answer to them, also if more was committed since:
            // else each of a crowd would read for themselves while commits come in.
            if let Some(entry) = self.inner.kept.get(&key)
                && (entry.begun_at >= asked_at || self.in_force(&key, &entry, good))
            {
                self.count("shared");
                return Ok(entry);
            }
            if let Some(why) = self.reach(source).blocked(false) {
                return Err(Miss::Away(why));
            }
            self.count("miss");
            let loading = self.clone().load(source, key.clone(), load, print, place);
            // A reader that goes away leaves the work to those who come after it.
            match tokio::spawn(loading).await {
                Ok(loaded) => loaded,
                Err(error) => Err(INTERNAL.because(error.to_string()).into()),
            }
        };
        // On the heap: it is large, and what is kept never comes here.
        match self.waited(source, patience, Box::pin(work)).await {
            Ok(Ok(entry)) => found(&entry, None),
            Ok(Err(Miss::Problem(problem))) => Err(*problem),
            Ok(Err(Miss::Away(why))) => self.last_known(source, &key, known.as_ref(), &why),
            Ok(Err(Miss::Old)) => {
                let why = "what it is made of is only known as it was";
                self.last_known(source, &key, known.as_ref(), why)
            }
            Err(_) => {
                let why = format!("no answer within {} ms", asked_at.elapsed().as_millis());
                if source == Source::Store && !self.inner.marks.hears() {
                    // Neither commits nor answers come.
                    reach.failed(&why);
                }
                self.last_known(source, &key, known.as_ref(), &why)
            }
        }
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

    async fn load<T, L, P>(
        self,
        source: Source,
        key: Key,
        load: L,
        print: P,
        place: OwnedMutexGuard<()>,
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
            Err(Miss::Old) => {}
            _ => self.reach(source).worked(),
        }
        let it = Arc::new(loaded?);
        let printed = print(&it, as_of).map_err(|e| INTERNAL.because(e.to_string()))?;
        let weight = printed.weight.saturating_add(ENTRY_BYTES);
        let entry = Arc::new(Entry {
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
        drop(place);
        Ok(entry)
    }

    fn in_force(&self, key: &Key, entry: &Entry, good: Good) -> bool {
        match good {
            Good::UntilTold => self.inner.marks.holds(key.dataset.as_ref(), &entry.mark),
            Good::For(time) => {
                entry.read_at.elapsed() < time
                    && self.inner.marks.same(key.dataset.as_ref(), &entry.mark)
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

fn found<T: Send + Sync + 'static>(
    entry: &Arc<Entry>,
    stale_s: Option<u64>,
) -> Result<Found<T>, Problem> {
    // A question has one type of answer; another one would be a defect, not a wrong answer.
    let it = Arc::clone(&entry.it)
        .downcast::<T>()
        .map_err(|_| INTERNAL.because("a kept answer is of another type"))?;
    Ok(Found {
        it,
        json: entry.json.clone(),
        tag: entry.tag.clone(),
        as_of: entry.as_of,
        stale_s,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// An answer that takes so long, after another one was known.
    async fn late(memory: &Memory, name: &str, takes: Duration) -> Found<u32> {
        let orders = DatasetId::new("orders").unwrap();
        let ask = |answer: u32, takes: Duration| {
            let load = async move {
                tokio::time::sleep(takes).await;
                Ok(answer)
            };
            let (key, bytes): (_, fn(&u32) -> usize) = (Key::of(&orders, name), |_| 4);
            memory.value(Source::Store, key, Good::UntilTold, bytes, load)
        };
        ask(1, Duration::ZERO).await.unwrap();
        memory.told(&orders);
        ask(2, takes).await.unwrap()
    }

    #[tokio::test]
    async fn one_who_is_slow_is_waited_for_and_one_who_is_not_heard_is_not() {
        let slow = KNOWN_WAITS + Duration::from_millis(200);
        let memory = Memory::new(Arc::new(Timestamp::now), Telemetry::default());
        memory.follows();
        let found = late(&memory, "slow", slow).await;
        assert_eq!((*found.it, found.stale_s.is_some()), (2, false));
        // Nobody is held up for ever, and that an answer is late makes nobody away.
        let found = late(&memory, "never", SLOW_WAITS * 2).await;
        assert_eq!((*found.it, found.stale_s.is_some()), (1, true));
        assert!(memory.reach(Source::Store).is_away().is_none());
        memory.lost();
        let found = late(&memory, "unheard", slow).await;
        assert_eq!((*found.it, found.stale_s.is_some()), (1, true));
        assert!(memory.reach(Source::Store).is_away().is_some());
    }

    #[tokio::test]
    async fn a_crowd_is_one_read_also_while_commits_come_in() {
        let memory = Memory::new(Arc::new(Timestamp::now), Telemetry::default());
        memory.follows();
        let orders = DatasetId::new("orders").unwrap();
        let reads = Arc::new(AtomicU32::new(0));
        let ask = || {
            let (heard, told, reads) = (memory.clone(), orders.clone(), Arc::clone(&reads));
            let load = async move {
                let read = reads.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                heard.told(&told);
                Ok(read)
            };
            let (key, bytes): (_, fn(&u32) -> usize) = (Key::of(&orders, "crowd"), |_| 4);
            memory.value(Source::Store, key, Good::UntilTold, bytes, load)
        };
        // All have asked before the first one reads.
        for answer in futures::future::join_all((0..100).map(|_| ask())).await {
            assert_eq!(answer.map(|found| *found.it).ok(), Some(0));
        }
        // One that asks after the commit is not told what was read before it.
        assert_eq!(ask().await.map(|found| *found.it).ok(), Some(1));
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }
}
