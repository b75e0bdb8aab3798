//! Plain counters: rows and nulls, odd numbers, lengths of text, hits of rules.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use std::collections::BTreeMap;

/// Counters of a column. `rows` and `nulls` are always known; the others only for the values that
/// were read (`read`), and [`crate::ColumnState`] gives them only if that is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the column.
    pub rows: u64,
    /// Rows that are NULL.
    pub nulls: u64,
    /// Non-null values that were looked at, not only counted in a file's footer.
    pub read: u64,
    /// Values that are NaN.
    pub nan: u64,
    /// Values that are +inf.
    pub pos_inf: u64,
    /// Values that are −inf.
    pub neg_inf: u64,
    /// Texts of length 0.
    pub empty: u64,
    /// Values that are numbers, or fields of a text format that read as one.
    pub numeric: u64,
    /// Fields of a text format that do not read as numbers.
    pub nonnumeric: u64,
}

impl Counts {
    /// Rows that are not NULL.
    #[must_use]
    pub fn non_null(&self) -> u64 {
        self.rows.saturating_sub(self.nulls)
    }

    fn fields(&self) -> [u64; 9] {
        [
            self.rows,
            self.nulls,
            self.read,
            self.nan,
            self.pos_inf,
            self.neg_inf,
            self.empty,
            self.numeric,
            self.nonnumeric,
        ]
    }

    fn of(
        [
            rows,
            nulls,
            read,
            nan,
            pos_inf,
            neg_inf,
            empty,
            numeric,
            nonnumeric,
        ]: [u64; 9],
    ) -> Self {
        Self {
            rows,
            nulls,
            read,
            nan,
            pos_inf,
            neg_inf,
            empty,
            numeric,
            nonnumeric,
        }
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        let mut fields = self.fields();
        for (own, other) in fields.iter_mut().zip(other.fields()) {
            *own = own.saturating_add(other);
        }
        *self = Self::of(fields);
    }
}

impl Codec for Counts {
    fn write(&self, to: &mut Writer) {
        for field in self.fields() {
            to.u64(field);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut fields = [0; 9];
        for field in &mut fields {
            *field = from.u64("column counter")?;
        }
        Ok(Self::of(fields))
    }
}

/// Lengths of texts, in characters (Unicode scalar values) and in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lengths {
    count: u64,
    chars: Extent,
    bytes: Extent,
}

/// Smallest, largest and total length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Smallest length; 0 when nothing was counted.
    pub min: u64,
    /// Largest length.
    pub max: u64,
    /// Sum of the lengths.
    pub total: u128,
}

impl Extent {
    fn add(&mut self, first: bool, length: u64, times: u64) {
        self.min = if first { length } else { self.min.min(length) };
        self.max = self.max.max(length);
        self.total = self
            .total
            .saturating_add(u128::from(length) * u128::from(times));
    }

    fn absorb(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.total = self.total.saturating_add(other.total);
    }
}

/// Characters of a text: bytes that do not continue one. Bytes that are not UTF-8 count each by
/// the same rule.
#[must_use]
pub fn chars(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64
}

impl Lengths {
    /// Adds a text.
    #[inline]
    pub fn add(&mut self, text: &[u8]) {
        self.add_times(text, 1);
    }

    /// Adds a text that is in `times` rows.
    pub fn add_times(&mut self, text: &[u8], times: u64) {
        if times > 0 {
            let first = self.count == 0;
            self.chars.add(first, chars(text), times);
            self.bytes.add(first, text.len() as u64, times);
            self.count = self.count.saturating_add(times);
        }
    }

    /// The lengths of `count` texts, measured elsewhere: in characters and in bytes.
    #[must_use]
    pub fn known(count: u64, chars: Extent, bytes: Extent) -> Self {
        if count == 0 {
            return Self::default();
        }
        Self {
            count,
            chars,
            bytes,
        }
    }

    /// How many texts were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Lengths in characters; `None` when there was no text.
    #[must_use]
    pub fn chars(&self) -> Option<Extent> {
        (self.count > 0).then_some(self.chars)
    }

    /// Lengths in bytes; `None` when there was no text.
    #[must_use]
    pub fn bytes(&self) -> Option<Extent> {
        (self.count > 0).then_some(self.bytes)
    }

    /// Mean length in characters; `None` when there was no text.
    #[must_use]
    pub fn mean_chars(&self) -> Option<f64> {
        self.chars()
            .map(|chars| crate::exact::ratio(&chars.total.into(), &self.count.into()))
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            self.clone_from(other);
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.chars.absorb(&other.chars);
        self.bytes.absorb(&other.bytes);
    }
}

impl Codec for Lengths {
    fn write(&self, to: &mut Writer) {
        to.u64(self.count);
        if self.count > 0 {
            for extent in [self.chars, self.bytes] {
                to.u64(extent.min);
                to.u64(extent.max);
                to.u128(extent.total);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut lengths = Self {
            count: from.u64("number of texts")?,
            ..Self::default()
        };
        if lengths.count > 0 {
            for extent in [&mut lengths.chars, &mut lengths.bytes] {
                extent.min = from.u64("length of text")?;
                extent.max = from.u64("length of text")?;
                extent.total = from.u128("length of text")?;
            }
        }
        Ok(lengths)
    }
}

/// Rows that a rule looked at. The rule itself is evaluated by the scan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// Rows met, tested or passed over (NULL): at the end, all rows of the column or table.
    pub rows: u64,
    /// Rows that the rule applied to.
    pub tested: u64,
    /// Tested rows that satisfy the rule's predicate.
    pub matched: u64,
}

impl RuleCount {
    /// Tested rows that do not satisfy the predicate.
    #[must_use]
    pub fn unmatched(&self) -> u64 {
        self.tested.saturating_sub(self.matched)
    }
}

/// Counts by rule id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleCounts {
    rules: BTreeMap<String, RuleCount>,
}

impl RuleCounts {
    /// Adds a batch's counts to a rule.
    pub fn add(&mut self, id: &str, batch: RuleCount) {
        if let Some(own) = self.rules.get_mut(id) {
            own.rows = own.rows.saturating_add(batch.rows);
            own.tested = own.tested.saturating_add(batch.tested);
            own.matched = own.matched.saturating_add(batch.matched);
        } else {
            self.rules.insert(id.to_owned(), batch);
        }
    }

    /// Adds rows that no rule applies to, to every rule.
    pub(crate) fn add_rows(&mut self, rows: u64) {
        for count in self.rules.values_mut() {
            count.rows = count.rows.saturating_add(rows);
        }
    }

    /// A rule's counts; `None` when no batch had it.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<RuleCount> {
        self.rules.get(id).copied()
    }

    /// All rules in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, RuleCount)> {
        self.rules.iter().map(|(id, count)| (id.as_str(), *count))
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        for (id, count) in other.iter() {
            self.add(id, count);
        }
    }
}

impl Codec for RuleCounts {
    fn write(&self, to: &mut Writer) {
        to.u64(self.rules.len() as u64);
        for (id, count) in self.iter() {
            to.text(id);
            to.u64(count.rows);
            to.u64(count.tested);
            to.u64(count.matched);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut rules = BTreeMap::new();
        for _ in 0..from.count(4, "rules")? {
            let id = from.text("rule id")?;
            let count = RuleCount {
                rows: from.u64("rule rows")?,
                tested: from.u64("rule rows")?,
                matched: from.u64("rule rows")?,
            };
            if rules.insert(id, count).is_some() {
                return Err(from.invalid("rule id"));
            }
        }
        Ok(Self { rules })
    }
}

impl_state!(Counts, Lengths, RuleCounts);
