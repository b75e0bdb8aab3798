//! Answers that are made of kept ones, and are kept with them.
//!
//! Comes in: a question, the readings that its answer is made of, and how to make it. Goes out: the
//! answer with its bytes, made and printed once for the same readings. It must never give one that was
//! made of other readings than those that are in force.

use std::any::Any;
use std::sync::Arc;

use assay_answers::Problem;
use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use serde::Serialize;

use super::kept::{Found, Printed, Stamp};
use super::{ENTRY_BYTES, Key};
use crate::problem::INTERNAL;

/// Bytes of made answers, together.
const MADE_BYTES: u64 = 32 << 20;

/// What an answer is made of.
pub struct Made {
    /// The readings, in an order of their own for each question.
    pub of: Vec<Stamp>,
    /// When the first of them was read.
    pub as_of: Timestamp,
    /// Seconds since all of them could last be confirmed, while one cannot.
    pub stale_s: Option<u64>,
}

struct Entry {
    of: Vec<Stamp>,
    stamp: Stamp,
    it: Arc<dyn Any + Send + Sync>,
    json: Bytes,
    tag: Option<HeaderValue>,
    as_of: Timestamp,
    weight: u32,
}

/// The made answers.
pub(super) struct Makings(moka::sync::Cache<Key, Arc<Entry>>);

impl Default for Makings {
    fn default() -> Self {
        let made = moka::sync::Cache::builder()
            .max_capacity(MADE_BYTES)
            .weigher(|_: &Key, entry: &Arc<Entry>| entry.weight)
            .build();
        Self(made)
    }
}

impl Makings {
    /// The answer to `key`: the kept one, if it was made of the same and `holds`, or what `make`
    /// makes.
    ///
    /// # Errors
    /// [`Problem`] when it cannot be printed, which is a defect.
    pub(super) fn of<T: Serialize + Send + Sync + 'static>(
        &self,
        key: Key,
        made: Made,
        holds: impl FnOnce(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> Result<Found<T>, Problem> {
        let known = self.0.get(&key).filter(|entry| entry.of == made.of);
        if let Some(entry) = known
            && let Ok(it) = Arc::clone(&entry.it).downcast::<T>()
            && holds(&it)
        {
            return Ok(Found {
                stamp: entry.stamp,
                it,
                json: entry.json.clone(),
                tag: entry.tag.clone(),
                as_of: entry.as_of,
                stale_s: made.stale_s,
            });
        }
        let it = Arc::new(make());
        let printed = Printed::of(&*it, made.as_of).map_err(|e| INTERNAL.because(e.to_string()))?;
        let weight = printed.weight + key.bytes() + ENTRY_BYTES;
        let entry = Entry {
            of: made.of,
            stamp: Stamp::next(),
            it: it.clone(),
            json: printed.json,
            tag: printed.tag,
            as_of: made.as_of,
            weight: u32::try_from(weight).unwrap_or(u32::MAX),
        };
        let found = Found {
            stamp: entry.stamp,
            it,
            json: entry.json.clone(),
            tag: entry.tag.clone(),
            as_of: entry.as_of,
            stale_s: made.stale_s,
        };
        self.0.insert(key, Arc::new(entry));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Serialize)]
    struct Numbered {
        n: u32,
    }

    #[test]
    fn an_answer_is_made_again_when_what_it_is_made_of_was_read_again() {
        let (makings, made) = (Makings::default(), Cell::new(0));
        let ask = |of: &[Stamp], stale_s, holds: bool| {
            let made_of = Made {
                of: of.to_vec(),
                as_of: Timestamp::UNIX_EPOCH,
                stale_s,
            };
            let make = || {
                made.set(made.get() + 1);
                Numbered { n: made.get() }
            };
            let found = makings.of(Key::about_all("it"), made_of, |_| holds, make);
            let found = found.unwrap_or_else(|problem| panic!("{problem:?}"));
            (found.it.n, found.json, found.stale_s)
        };
        let [one, two, three] = [(); 3].map(|()| Stamp::next());
        let (first, json, _) = ask(&[one, two], None, true);
        assert_eq!(first, 1);
        let again = ask(&[one, two], Some(7), true);
        assert_eq!(again, (1, json, Some(7)), "its age is told anew");
        assert_eq!(ask(&[one, three], None, true).0, 2, "another reading");
        assert_eq!(ask(&[one, two], None, true).0, 3, "only the last is kept");
        assert_eq!(ask(&[one, two], None, false).0, 4, "it does not hold");
        assert_eq!(ask(&[one, two], None, true).0, 4);
    }
}
