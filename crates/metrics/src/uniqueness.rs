//! Exact duplicates by 128-bit keys within a bound on memory.
//!
//! In: one 128-bit hash per row with a full key ([`crate::hash::KeyBuilder`]), and the number of
//! rows without one. Out: distinct keys and duplicate rows, or [`Unavailable::TooMany`]; never an
//! estimate. Two different keys share a hash with probability below 3·10^-26 among 4 million.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::unavailable::Unavailable;

/// Distinct keys that are held unless the plan says otherwise: 64 MB at 16 bytes each.
pub const DEFAULT_UNIQUENESS_LIMIT: u64 = 4_000_000;

/// Keys that are gathered before they are sorted into the rest.
const FEWEST_RECENT: usize = 1 << 14;
/// Slots that remember keys just met, so that a column of few values is not sorted again and again.
const FILTER: usize = 1 << 10;

/// What a uniqueness state counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCounts {
    /// Rows with a full (non-null) key.
    pub rows: u64,
    /// Rows where the key, or a part of it, is NULL. They are neither unique nor duplicate.
    pub nulls: u64,
    /// Different keys.
    pub distinct: u64,
    /// Rows whose key was in an earlier row: `rows − distinct`.
    pub duplicates: u64,
}

/// The set of keys met, up to a limit. Merged limits meet at the smaller one; the default has none.
#[derive(Debug, Clone)]
pub struct Uniqueness {
    limit: u64,
    rows: u64,
    nulls: u64,
    too_many: bool,
    sorted: Vec<u128>,
    recent: Vec<u128>,
    filter: Vec<u128>,
}

impl Default for Uniqueness {
    fn default() -> Self {
        Self::with_limit(u64::MAX)
    }
}

impl Uniqueness {
    /// Holds up to `limit` distinct keys.
    #[must_use]
    pub fn with_limit(limit: u64) -> Self {
        Self {
            limit,
            rows: 0,
            nulls: 0,
            too_many: false,
            sorted: Vec::new(),
            recent: Vec::new(),
            filter: Vec::new(),
        }
    }

    /// Adds a row by the hash of its key.
    #[inline]
    pub fn insert_key(&mut self, key: u128) {
        self.insert_key_times(key, 1);
    }

    /// Adds `times` rows with the same key.
    #[inline]
    pub fn insert_key_times(&mut self, key: u128, times: u64) {
        self.rows = self.rows.saturating_add(times);
        if self.too_many || times == 0 {
            return;
        }
        if self.filter.is_empty() {
            self.filter.resize(FILTER, 0);
        }
        let slot = &mut self.filter[key as usize % FILTER];
        if *slot == key && key != 0 {
            return;
        }
        *slot = key;
        self.recent.push(key);
        if self.recent.len() >= FEWEST_RECENT.max(self.sorted.len() / 4) {
            self.settle();
        }
    }

    /// Adds rows by the hashes of their keys.
    pub fn insert_keys(&mut self, keys: &[u128]) {
        for key in keys {
            self.insert_key(*key);
        }
    }

    /// Adds rows whose key is NULL or has a NULL part.
    pub fn add_nulls(&mut self, rows: u64) {
        self.nulls = self.nulls.saturating_add(rows);
    }

    /// All rows met, with or without a key.
    #[must_use]
    pub fn all_rows(&self) -> u64 {
        self.rows.saturating_add(self.nulls)
    }

    /// Distinct keys and duplicate rows.
    ///
    /// # Errors
    /// [`Unavailable::TooMany`] when there are more distinct keys than the limit.
    pub fn counts(&self) -> Result<KeyCounts, Unavailable> {
        let distinct = self.keys().map_or(u64::MAX, |keys| keys.len() as u64);
        if distinct > self.limit || self.too_many {
            return Err(Unavailable::TooMany { limit: self.limit });
        }
        let duplicates = self
            .rows
            .checked_sub(distinct)
            .ok_or(Unavailable::Inconsistent)?;
        Ok(KeyCounts {
            rows: self.rows,
            nulls: self.nulls,
            distinct,
            duplicates,
        })
    }

    /// Every key once, in order; `None` beyond the limit.
    fn keys(&self) -> Option<Vec<u128>> {
        if self.too_many {
            return None;
        }
        let mut recent = self.recent.clone();
        recent.sort_unstable();
        recent.dedup();
        let keys = union(&self.sorted, &recent);
        (keys.len() as u64 <= self.limit).then_some(keys)
    }

    fn settle(&mut self) {
        let mut recent = std::mem::take(&mut self.recent);
        recent.sort_unstable();
        recent.dedup();
        self.sorted = union(&self.sorted, &recent);
        recent.clear();
        self.recent = recent;
        if self.sorted.len() as u64 > self.limit {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.too_many = true;
        self.sorted = Vec::new();
        self.recent = Vec::new();
        self.filter = Vec::new();
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.nulls = self.nulls.saturating_add(other.nulls);
        self.limit = self.limit.min(other.limit);
        match other.keys() {
            Some(keys) if !self.too_many => {
                self.recent.extend_from_slice(&keys);
                self.settle();
            }
            _ => self.give_up(),
        }
    }
}

/// Merges two ascending slices without repeats into one.
fn union(left: &[u128], right: &[u128]) -> Vec<u128> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (0, 0);
    while l < left.len() && r < right.len() {
        all.push(left[l].min(right[r]));
        let (step_left, step_right) = (left[l] <= right[r], right[r] <= left[l]);
        l += usize::from(step_left);
        r += usize::from(step_right);
    }
    all.extend_from_slice(&left[l..]);
    all.extend_from_slice(&right[r..]);
    all
}

impl PartialEq for Uniqueness {
    fn eq(&self, other: &Self) -> bool {
        (self.limit, self.rows, self.nulls) == (other.limit, other.rows, other.nulls)
            && self.keys() == other.keys()
    }
}

impl Codec for Uniqueness {
    fn write(&self, to: &mut Writer) {
        to.u64(self.limit);
        to.u64(self.rows);
        to.u64(self.nulls);
        let keys = self.keys();
        to.bool(keys.is_none());
        let Some(keys) = keys else { return };
        to.u64(keys.len() as u64);
        for key in keys {
            to.raw(&key.to_le_bytes());
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut state = Self::with_limit(from.u64("limit of keys")?);
        state.rows = from.u64("rows with a key")?;
        state.nulls = from.u64("rows without a key")?;
        state.too_many = from.bool("key overflow")?;
        if state.too_many {
            return Ok(state);
        }
        let count = from.count(16, "keys")?;
        if count as u64 > state.limit.min(state.rows) {
            return Err(from.invalid("number of keys"));
        }
        state.sorted.reserve_exact(count);
        for _ in 0..count {
            let key = u128::from_le_bytes(from.array("key")?);
            if state.sorted.last().is_some_and(|last| *last >= key) {
                return Err(from.invalid("order of keys"));
            }
            state.sorted.push(key);
        }
        Ok(state)
    }
}

impl_state!(Uniqueness);
