//! Where decoded values go: the metric state of a column and the tallies of its rules.
//!
//! In: non-null values of one column, in blocks or as a value and how often it is there. Out:
//! nothing; the state has them. The meaning of the column decides which feeder takes them.

use assay_metrics::{ColumnState, RuleCount};

use jiff::tz::TimeZone;

use super::columns::Meaning;
use crate::clock;
use crate::plan::ColumnRules;
use crate::rules::Cell;

/// Decoded values in the representation that their feeder takes.
#[derive(Debug, Clone)]
pub(crate) enum Decoded {
    /// Integers, dates, times.
    Ints(Vec<i64>),
    /// Unsigned integers of 64 bits.
    Unsigned(Vec<u64>),
    /// Numbers with a fraction.
    Floats(Vec<f64>),
    /// Decimals up to 128 bits; nanoseconds of 96-bit timestamps.
    Wide(Vec<i128>),
    /// Decimals up to 256 bits.
    Widest(Vec<[u8; 32]>),
    /// Texts and bytes: where each ends in the bytes that follow one another.
    Bytes(Vec<u8>, Vec<usize>),
    /// Truth values.
    Bools(Vec<bool>),
}

impl Decoded {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::Unsigned(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::Wide(values) => values.len(),
            Self::Widest(values) => values.len(),
            Self::Bytes(_, ends) => ends.len(),
            Self::Bools(values) => values.len(),
        }
    }

    /// Room for values of the same kind.
    pub(crate) fn empty(&self) -> Self {
        match self {
            Self::Ints(_) => Self::Ints(Vec::new()),
            Self::Unsigned(_) => Self::Unsigned(Vec::new()),
            Self::Floats(_) => Self::Floats(Vec::new()),
            Self::Wide(_) => Self::Wide(Vec::new()),
            Self::Widest(_) => Self::Widest(Vec::new()),
            Self::Bytes(..) => Self::Bytes(Vec::new(), Vec::new()),
            Self::Bools(_) => Self::Bools(Vec::new()),
        }
    }

    /// Appends a value of the same kind.
    pub(crate) fn push_from(&mut self, other: &Self, at: usize) {
        match (self, other) {
            (Self::Ints(own), Self::Ints(values)) => own.push(values[at]),
            (Self::Unsigned(own), Self::Unsigned(values)) => own.push(values[at]),
            (Self::Floats(own), Self::Floats(values)) => own.push(values[at]),
            (Self::Wide(own), Self::Wide(values)) => own.push(values[at]),
            (Self::Widest(own), Self::Widest(values)) => own.push(values[at]),
            (Self::Bools(own), Self::Bools(values)) => own.push(values[at]),
            (Self::Bytes(own, ends), other) => {
                own.extend_from_slice(other.bytes_at(at));
                ends.push(own.len());
            }
            // A column has one kind of value; see `decode_plain`.
            _ => {}
        }
    }

    /// The text or bytes at `index` of [`Decoded::Bytes`].
    pub(crate) fn bytes_at(&self, index: usize) -> &[u8] {
        match self {
            Self::Bytes(bytes, ends) => {
                let from = if index == 0 { 0 } else { ends[index - 1] };
                &bytes[from..ends[index]]
            }
            _ => &[],
        }
    }
}

/// A float as a rule sees it; single precision was widened, which loses nothing.
fn float_cell(meaning: Meaning, value: f64) -> Cell<'static> {
    match meaning {
        Meaning::Single => Cell::Single(value as f32),
        _ => Cell::Float(value),
    }
}

/// The state of one column, with what its values mean.
pub(crate) struct Sink<'a> {
    pub(crate) meaning: Meaning,
    pub(crate) state: &'a mut ColumnState,
    rules: &'a ColumnRules,
    /// The zone of the wall clock that times without a zone were read from.
    zone: Option<&'a TimeZone>,
    tallies: Vec<RuleCount>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(
        meaning: Meaning,
        state: &'a mut ColumnState,
        rules: &'a ColumnRules,
        zone: Option<&'a TimeZone>,
    ) -> Self {
        // Nothing of a nested value is tested: its rows must not count as if it had been.
        static NONE: ColumnRules = Vec::new();
        let rules = if meaning == Meaning::Nested {
            &NONE
        } else {
            rules
        };
        Self {
            meaning,
            state,
            rules,
            zone,
            tallies: vec![RuleCount::default(); rules.len()],
        }
    }

    /// Counts rows; the values of those that are not NULL follow or went before.
    pub(crate) fn rows(&mut self, rows: u64, nulls: u64) {
        self.state.add_rows(rows, nulls);
        for tally in &mut self.tallies {
            tally.rows += rows;
        }
    }

    /// Gives the tallies of the rules to the state.
    pub(crate) fn finish(self) {
        for (rule, tally) in self.rules.iter().zip(self.tallies) {
            self.state.rules.add(rule.id(), tally);
        }
    }

    #[inline]
    fn test(&mut self, cell: &Cell<'_>, times: u64) {
        for (rule, tally) in self.rules.iter().zip(&mut self.tallies) {
            if let Some(matched) = rule.test(cell) {
                tally.tested += times;
                tally.matched += if matched { times } else { 0 };
            }
        }
    }

    fn test_all<T: Copy>(&mut self, values: &[T], cell: impl Fn(T) -> Cell<'static>) {
        if !self.tallies.is_empty() {
            for value in values {
                self.test(&cell(*value), 1);
            }
        }
    }

    pub(crate) fn ints(&mut self, values: &[i64]) {
        match self.meaning {
            Meaning::Date => {
                self.state.add_dates(values);
                self.test_all(values, Cell::Date);
            }
            Meaning::Time(1) => self.times(values),
            Meaning::Time(nanos) => {
                let mut scaled = [0; 1024];
                for block in values.chunks(1024) {
                    for (scaled, value) in scaled.iter_mut().zip(block) {
                        *scaled = value.saturating_mul(nanos);
                    }
                    self.times(&scaled[..block.len()]);
                }
            }
            Meaning::Timestamp(nanos) => {
                self.state.add_timestamps(values, nanos);
                self.test_all(values, |value| {
                    Cell::Timestamp(i128::from(value) * i128::from(nanos))
                });
            }
            Meaning::LocalTimestamp(nanos) => {
                // The extremes are brought to UTC with the metrics: readings keep their order, and
                // two that the clock shows at one instant stay two values.
                self.state.add_timestamps(values, nanos);
                let zone = self.zone;
                self.test_all(values, |value| {
                    let reading = i128::from(value) * i128::from(nanos);
                    let instant = zone.and_then(|zone| clock::instant(reading, zone));
                    Cell::Timestamp(instant.unwrap_or(reading))
                });
            }
            _ => {
                self.state.add_ints(values);
                self.test_all(values, |value| Cell::Int(i128::from(value)));
            }
        }
    }

    fn times(&mut self, nanos: &[i64]) {
        self.state.add_times_of_day(nanos);
        self.test_all(nanos, Cell::Time);
    }

    pub(crate) fn unsigned(&mut self, values: &[u64]) {
        self.state.add_unsigned(values);
        self.test_all(values, |value| Cell::Int(i128::from(value)));
    }

    pub(crate) fn floats(&mut self, values: &[f64]) {
        self.state.add_floats(values);
        let meaning = self.meaning;
        self.test_all(values, |value| float_cell(meaning, value));
    }

    pub(crate) fn wide(&mut self, values: &[i128]) {
        match self.meaning {
            Meaning::Decimal(scale) => {
                self.state.add_decimals(values, scale);
                self.test_all(values, |value| Cell::Decimal(value, scale));
            }
            _ => {
                for nanos in values {
                    self.timestamp_96(*nanos);
                }
            }
        }
    }

    /// A timestamp of 96 bits reaches further than nanoseconds in 64 bits do; beyond that it is
    /// taken to the microsecond.
    fn timestamp_96(&mut self, nanos: i128) {
        match (i64::try_from(nanos), i64::try_from(nanos.div_euclid(1000))) {
            (Ok(exact), _) => self.state.add_timestamps(&[exact], 1),
            (_, Ok(micros)) => self.state.add_timestamps(&[micros], 1000),
            _ => self.state.add_others(1),
        }
        self.test(&Cell::Timestamp(nanos), 1);
    }

    pub(crate) fn widest(&mut self, value: &[u8; 32], times: u64) {
        if let Meaning::Decimal(scale) = self.meaning {
            self.state.add_decimal_256(value, scale, times);
            self.test(&Cell::Decimal256(value, scale), times);
        }
    }

    pub(crate) fn bytes(&mut self, value: &[u8], times: u64) {
        if self.meaning == Meaning::Text {
            self.state.add_text(value, times);
        } else {
            self.state.add_binary(value, times);
        }
        if !self.tallies.is_empty() {
            self.test(&Cell::Text(value), times);
        }
    }

    pub(crate) fn bools(&mut self, trues: u64, falses: u64) {
        self.state.add_bools(trues, falses);
        self.test(&Cell::Bool(true), trues);
        self.test(&Cell::Bool(false), falses);
    }

    /// Feeds every value once.
    pub(crate) fn all(&mut self, values: &Decoded) {
        match values {
            Decoded::Ints(values) => self.ints(values),
            Decoded::Unsigned(values) => self.unsigned(values),
            Decoded::Floats(values) => self.floats(values),
            Decoded::Wide(values) => self.wide(values),
            Decoded::Widest(values) => values.iter().for_each(|value| self.widest(value, 1)),
            Decoded::Bytes(_, ends) => {
                (0..ends.len()).for_each(|index| self.bytes(values.bytes_at(index), 1));
            }
            Decoded::Bools(values) => {
                let trues = values.iter().filter(|value| **value).count() as u64;
                self.bools(trues, values.len() as u64 - trues);
            }
        }
    }

    /// Feeds each value of a dictionary as often as it was met.
    pub(crate) fn counted(&mut self, values: &Decoded, counts: &[u32]) {
        for (index, times) in counts.iter().enumerate().filter(|(_, times)| **times > 0) {
            self.entry(values, index, u64::from(*times));
        }
    }

    /// Feeds the value of a dictionary at `index`, which is in `times` rows.
    pub(crate) fn entry(&mut self, values: &Decoded, index: usize, times: u64) {
        match values {
            Decoded::Ints(values) => self.int_times(values[index], times),
            Decoded::Unsigned(values) => {
                self.state.add_int_times(i128::from(values[index]), times);
                self.test(&Cell::Int(i128::from(values[index])), times);
            }
            Decoded::Floats(values) => {
                self.state.add_float_times(values[index], times);
                self.test(&float_cell(self.meaning, values[index]), times);
            }
            Decoded::Wide(values) => self.wide_times(values[index], times),
            Decoded::Widest(values) => self.widest(&values[index], times),
            Decoded::Bytes(..) => self.bytes(values.bytes_at(index), times),
            Decoded::Bools(values) if values[index] => self.bools(times, 0),
            Decoded::Bools(_) => self.bools(0, times),
        }
    }

    fn int_times(&mut self, value: i64, times: u64) {
        if matches!(self.meaning, Meaning::Int | Meaning::Unsigned32) {
            self.state.add_int_times(i128::from(value), times);
            self.test(&Cell::Int(i128::from(value)), times);
            return;
        }
        // Dates and times have no sums: a value counts once, and as often as it is there.
        self.repeat(times, |sink| sink.ints(&[value]));
    }

    fn wide_times(&mut self, value: i128, times: u64) {
        if let Meaning::Decimal(scale) = self.meaning {
            self.state.add_decimal_times(value, scale, times);
            self.test(&Cell::Decimal(value, scale), times);
            return;
        }
        self.repeat(times, |sink| sink.wide(&[value]));
    }

    /// Feeds a value `times` times. Exact duplicates need each of them; everything else that a
    /// date or time has is the same for the second, so that only the counts are raised.
    fn repeat(&mut self, times: u64, feed: impl Fn(&mut Self)) {
        let each = self.state.uniqueness.get().is_some() || !self.tallies.is_empty();
        let fed = if each { times } else { 1 };
        (0..fed).for_each(|_| feed(self));
        self.state.counts.read += times - fed;
    }
}
