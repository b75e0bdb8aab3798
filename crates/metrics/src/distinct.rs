//! Count of distinct values: exact up to a limit, estimated beyond it, with the error stated.
//!
//! In: 64-bit hashes ([`crate::hash`]). Out: the count. The state is a function of the set of
//! hashes and the limit alone: the set itself while it has at most `limit` members, and the
//! HyperLogLog of all of them afterwards. Two different values share a hash with probability
//! 2^-64; among 10,000 values some pair does with probability below 3·10^-12.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::hll::{HLL_STANDARD_ERROR, Hll};

/// Distinct values that are counted exactly unless the plan says otherwise.
pub const DEFAULT_DISTINCT_LIMIT: u64 = 10_000;

/// Count of distinct values. The default state has no limit of its own and takes the other's at a
/// merge; two limits meet at the smaller one.
#[derive(Debug, Clone)]
pub struct Distinct {
    limit: u64,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Exact(HashTable),
    Sketch(Hll),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::with_limit(u64::MAX)
    }
}

impl Distinct {
    /// Counts exactly up to `limit` distinct values.
    #[must_use]
    pub fn with_limit(limit: u64) -> Self {
        Self {
            limit,
            form: Form::Exact(HashTable::default()),
        }
    }

    /// Adds the hash of a value.
    #[inline]
    pub fn insert_hash(&mut self, hash: u64) {
        match &mut self.form {
            Form::Exact(table) => {
                if table.insert(hash) && table.len > self.limit {
                    self.spill();
                }
            }
            Form::Sketch(hll) => hll.insert(hash),
        }
    }

    /// Adds the hashes of values.
    pub fn insert_hashes(&mut self, hashes: &[u64]) {
        let mut rest = hashes.iter();
        if let Form::Exact(_) = self.form {
            for hash in rest.by_ref() {
                self.insert_hash(*hash);
                if let Form::Sketch(_) = self.form {
                    break;
                }
            }
        }
        if let Form::Sketch(hll) = &mut self.form {
            for hash in rest {
                hll.insert(*hash);
            }
        }
    }

    /// The count and, when it is an estimate, its standard error relative to the count.
    #[must_use]
    pub fn count(&self) -> (u64, Option<f64>) {
        match &self.form {
            Form::Exact(table) => (table.len, None),
            Form::Sketch(hll) => (hll.estimate().round() as u64, Some(HLL_STANDARD_ERROR)),
        }
    }

    fn spill(&mut self) {
        if let Form::Exact(table) = &self.form {
            let mut hll = Hll::default();
            for hash in table.hashes() {
                hll.insert(hash);
            }
            self.form = Form::Sketch(hll);
        }
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.limit = self.limit.min(other.limit);
        match &other.form {
            Form::Exact(table) => {
                for hash in table.hashes() {
                    self.insert_hash(hash);
                }
            }
            Form::Sketch(theirs) => {
                self.spill();
                if let Form::Sketch(hll) = &mut self.form {
                    hll.absorb(theirs);
                }
            }
        }
        self.keep_limit();
    }

    fn keep_limit(&mut self) {
        if matches!(&self.form, Form::Exact(table) if table.len > self.limit) {
            self.spill();
        }
    }
}

impl PartialEq for Distinct {
    fn eq(&self, other: &Self) -> bool {
        self.limit == other.limit
            && match (&self.form, &other.form) {
                (Form::Exact(own), Form::Exact(other)) => own.sorted() == other.sorted(),
                (Form::Sketch(own), Form::Sketch(other)) => own == other,
                _ => false,
            }
    }
}

impl Codec for Distinct {
    fn write(&self, to: &mut Writer) {
        to.u64(self.limit);
        match &self.form {
            Form::Exact(table) => {
                to.u8(0);
                let hashes = table.sorted();
                to.u64(hashes.len() as u64);
                for hash in hashes {
                    to.raw(&hash.to_le_bytes());
                }
            }
            Form::Sketch(hll) => {
                to.u8(1);
                hll.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut distinct = Self::with_limit(from.u64("distinct limit")?);
        match from.u8("distinct form")? {
            0 => {
                let count = from.count(8, "distinct hashes")?;
                if count as u64 > distinct.limit {
                    return Err(from.invalid("distinct count above its limit"));
                }
                let mut last = None;
                for _ in 0..count {
                    let hash = u64::from_le_bytes(from.array("distinct hash")?);
                    if last.is_some_and(|last| last >= hash) {
                        return Err(from.invalid("order of distinct hashes"));
                    }
                    last = Some(hash);
                    distinct.insert_hash(hash);
                }
            }
            1 => distinct.form = Form::Sketch(Hll::read(from)?),
            _ => return Err(from.invalid("distinct form")),
        }
        Ok(distinct)
    }
}

impl_state!(Distinct);

/// Open addressing over hashes that are already mixed. The hash 0 marks a free slot, and is itself
/// kept as a flag.
#[derive(Debug, Clone, Default)]
struct HashTable {
    slots: Vec<u64>,
    len: u64,
    has_zero: bool,
}

impl HashTable {
    /// Whether the hash is new.
    #[inline]
    fn insert(&mut self, hash: u64) -> bool {
        if hash == 0 {
            let new = !self.has_zero;
            self.has_zero = true;
            self.len += u64::from(new);
            return new;
        }
        if self.len as usize * 2 >= self.slots.len() {
            self.grow();
        }
        let new = place(&mut self.slots, hash);
        self.len += u64::from(new);
        new
    }

    #[cold]
    fn grow(&mut self) {
        let mut wider = vec![0; (self.slots.len() * 2).max(64)];
        for hash in self.slots.iter().filter(|hash| **hash != 0) {
            place(&mut wider, *hash);
        }
        self.slots = wider;
    }

    fn hashes(&self) -> impl Iterator<Item = u64> {
        let zero = self.has_zero.then_some(0);
        zero.into_iter()
            .chain(self.slots.iter().copied().filter(|hash| *hash != 0))
    }

    fn sorted(&self) -> Vec<u64> {
        let mut hashes: Vec<u64> = self.hashes().collect();
        hashes.sort_unstable();
        hashes
    }
}

/// Puts a hash into a table whose length is a power of two and which has a free slot.
#[inline]
fn place(slots: &mut [u64], hash: u64) -> bool {
    let mask = slots.len() - 1;
    // The high bits number the sketch's registers; the low ones are as good for a table.
    let mut at = hash as usize & mask;
    loop {
        match slots[at] {
            0 => {
                slots[at] = hash;
                return true;
            }
            found if found == hash => return false,
            _ => at = (at + 1) & mask,
        }
    }
}
