//! Fields of one column into its state.
//!
//! In: the fields of one column of some rows of a block. Out: the column's state, fed in bulk.
//! Numbers are gathered into slices and summed there; texts go value by value into what needs the
//! text. A field of a declared type that does not read as that type stays a text and raises a flag
//! (`unread <type>: <column>`).

use assay_metrics::KeyBuilder;
use assay_metrics::{ColumnState, Kind, Number, RuleCount, TableState, Wants, hash};
use assay_model::dataset::{Dataset, LogicalType};
use assay_model::metric::Metric;
use jiff::tz::TimeZone;

use super::values;
use crate::rules::{Cell, Rule};

/// How the fields of a column are read.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// As numbers if all of them are, else as text.
    Untyped,
    /// As numbers; others are counted apart.
    Number,
    /// As numbers that are whole; others are counted apart.
    Integer,
    /// As decimals with the digits as written.
    Decimal,
    /// As text.
    Text,
    /// As truth values.
    Bool,
    /// As dates.
    Date,
    /// As times of day.
    Time,
    /// As instants; without an offset on the clock of this zone.
    Timestamp(TimeZone),
}

impl Role {
    /// The role of `column` by its declared types.
    #[must_use]
    pub fn of(dataset: &Dataset, column: &str, zone: &TimeZone) -> Self {
        let declared = dataset.columns.iter().find(|c| c.name == column);
        let physical = declared
            .and_then(|c| c.physical_type.as_deref())
            .unwrap_or_default();
        let physical = physical.to_ascii_lowercase();
        match declared.and_then(|c| c.logical_type) {
            Some(LogicalType::Number)
                if physical.starts_with("decimal") || physical.starts_with("numeric") =>
            {
                Self::Decimal
            }
            Some(LogicalType::Number) => Self::Number,
            Some(LogicalType::Integer) => Self::Integer,
            Some(LogicalType::String | LogicalType::Object | LogicalType::Array) => Self::Text,
            Some(LogicalType::Boolean) => Self::Bool,
            Some(LogicalType::Date) => Self::Date,
            Some(LogicalType::Time) => Self::Time,
            Some(LogicalType::Timestamp) => Self::Timestamp(zone.clone()),
            // What latency is asked of is a time, or an error.
            None if asks_latency(dataset, column) => Self::Timestamp(zone.clone()),
            None => Self::Untyped,
        }
    }

    /// Whether fields are read as values of a declared type other than numbers.
    pub(super) const fn is_typed(&self) -> bool {
        matches!(
            self,
            Self::Bool | Self::Date | Self::Time | Self::Timestamp(_)
        )
    }

    /// What it is called in the flags of a state.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp(_) => "timestamp",
            Self::Untyped | Self::Text => "text",
            Self::Number | Self::Integer | Self::Decimal => "number",
        }
    }

    /// Adds a field to a key, by value where its type is declared.
    pub(super) fn key<'k>(&self, text: &[u8], key: &'k mut KeyBuilder) -> &'k mut KeyBuilder {
        match self.cell(text) {
            Cell::Number(text) => key.number(self.identity(text), text),
            Cell::Bool(value) => key.boolean(value),
            Cell::Date(days) => key.date(days),
            Cell::Time(nanos) => key.int(i128::from(nanos)),
            Cell::Timestamp(nanos) => key.timestamp(nanos),
            _ => key.text(text),
        }
    }

    /// Adds a JSON string to a key: text, unless a time is declared and it reads as one.
    pub(super) fn string_key<'k>(
        &self,
        text: &[u8],
        key: &'k mut KeyBuilder,
    ) -> &'k mut KeyBuilder {
        self.of_strings().key(text, key)
    }

    /// How JSON strings are read: as text, even where one looks like a number, unless a time is
    /// declared.
    pub(super) fn of_strings(&self) -> &Self {
        match self {
            Self::Date | Self::Time | Self::Timestamp(_) => self,
            _ => &Self::Text,
        }
    }

    /// What tells a number apart from others.
    fn identity(&self, text: &[u8]) -> Number {
        match self {
            Self::Decimal => values::decimal(text),
            _ => values::identity(text, values::number(text)),
        }
    }

    /// What a rule sees of a field: what it reads as, where its type is declared.
    pub(super) fn cell<'t>(&self, text: &'t [u8]) -> Cell<'t> {
        let read = match self {
            Self::Bool => values::boolean(text).map(Cell::Bool),
            Self::Date => values::date(text).map(Cell::Date),
            Self::Time => values::time_of_day(text).map(Cell::Time),
            Self::Timestamp(zone) => values::timestamp(text, zone).map(Cell::Timestamp),
            Self::Number | Self::Integer | Self::Decimal => Some(Cell::Number(text)),
            Self::Untyped | Self::Text => None,
        };
        read.unwrap_or(Cell::Text(text))
    }
}

fn asks_latency(dataset: &Dataset, column: &str) -> bool {
    let mut asked = dataset.checks.iter().map(|check| &check.metric);
    asked.any(|key| key.metric == Metric::Latency && key.column == column)
}

/// Buffers that are used for one column after another.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) ints: Vec<i64>,
    pub(super) floats: Vec<f64>,
    key: KeyBuilder,
}

impl Scratch {
    pub(super) fn clear(&mut self) {
        self.ints.clear();
        self.floats.clear();
    }
}

/// What is done with the fields of one column.
#[derive(Debug)]
pub struct Feeder<'a> {
    /// How fields are read.
    pub role: &'a Role,
    /// What the plan asks for.
    pub wants: Wants,
    /// Its rules.
    pub rules: &'a [Rule],
}

impl Feeder<'_> {
    /// Whether rows and NULLs are all that is asked.
    #[must_use]
    pub fn counts_only(&self) -> bool {
        self.wants.counts_only() && self.rules.is_empty()
    }

    /// Feeds `fields`; `None` is NULL. Gives the number of fields that did not read as declared.
    pub fn feed<'f>(
        &self,
        fields: impl Iterator<Item = Option<&'f [u8]>> + Clone,
        state: &mut ColumnState,
        scratch: &mut Scratch,
    ) -> u64 {
        let (mut rows, mut nulls) = (0u64, 0u64);
        if self.counts_only() {
            for field in fields {
                rows += 1;
                nulls += u64::from(field.is_none());
            }
            state.add_rows(rows, nulls);
            return 0;
        }
        // What a field reads as is found once, not once more for the rule that asks for it.
        let is_read = self.role.is_typed() || *self.role == Role::Integer;
        let (of_type, others): (Vec<&Rule>, Vec<&Rule>) = self
            .rules
            .iter()
            .partition(|rule| is_read && rule.asks_for_type_alone());
        if !others.is_empty() {
            self.test(&others, fields.clone(), state);
        }
        let texts = fields.filter_map(|field| {
            rows += 1;
            nulls += u64::from(field.is_none());
            field
        });
        let unread = match self.role {
            Role::Untyped => self.numbers(texts, Kind::Untyped, state, scratch),
            Role::Number | Role::Integer => self.numbers(texts, Kind::Numeric, state, scratch),
            Role::Decimal => {
                texts.for_each(|text| state.add_field(text, values::decimal(text), true, 1));
                0
            }
            Role::Text => {
                state.add_texts(texts);
                0
            }
            Role::Bool => self.typed(texts, values::boolean, state, |state, values| {
                let trues = values.iter().filter(|value| **value).count();
                state.add_bools(trues as u64, (values.len() - trues) as u64);
            }),
            Role::Date => self.typed(texts, values::date, state, |s, v| s.add_dates(v)),
            Role::Time => self.typed(texts, values::time_of_day, state, |s, v| {
                s.add_times_of_day(v);
            }),
            Role::Timestamp(zone) => {
                let read = |text: &[u8]| values::timestamp(text, zone);
                self.typed(texts, read, state, add_timestamps)
            }
        };
        for rule in of_type {
            let count = RuleCount {
                rows,
                tested: rows - nulls,
                matched: rows - nulls - unread,
            };
            state.rules.add(rule.id(), count);
        }
        state.add_rows(rows, nulls);
        // A number that is not whole was read all the same.
        if self.role.is_typed() { unread } else { 0 }
    }

    /// Shows every field to each of `rules`.
    fn test<'f>(
        &self,
        rules: &[&Rule],
        fields: impl Iterator<Item = Option<&'f [u8]>>,
        state: &mut ColumnState,
    ) {
        let mut counts = vec![RuleCount::default(); rules.len()];
        let mut rows = 0;
        for field in fields {
            rows += 1;
            let Some(cell) = field.map(|text| self.role.cell(text)) else {
                continue;
            };
            for (rule, count) in rules.iter().zip(&mut counts) {
                if let Some(met) = rule.test(&cell) {
                    count.tested += 1;
                    count.matched += u64::from(met);
                }
            }
        }
        for (rule, count) in rules.iter().zip(counts) {
            state.rules.add(rule.id(), RuleCount { rows, ..count });
        }
    }

    fn typed<'f, T>(
        &self,
        texts: impl Iterator<Item = &'f [u8]>,
        read: impl Fn(&[u8]) -> Option<T>,
        state: &mut ColumnState,
        add: impl Fn(&mut ColumnState, &[T]),
    ) -> u64 {
        let (mut typed, mut unread) = (Vec::new(), 0);
        for text in texts {
            match read(text) {
                Some(value) => typed.push(value),
                None => {
                    state.add_text(text, 1);
                    unread += 1;
                }
            }
        }
        add(state, &typed);
        unread
    }

    /// Gives the number of fields that are no whole numbers, where they should be.
    fn numbers<'f>(
        &self,
        texts: impl Iterator<Item = &'f [u8]>,
        kind: Kind,
        state: &mut ColumnState,
        scratch: &mut Scratch,
    ) -> u64 {
        let declared = kind == Kind::Numeric;
        let is_told = self.wants.distinct || self.wants.uniqueness;
        let needs_text = self.wants.range || self.wants.lengths || is_told;
        let (mut nonnumeric, mut empty, mut broken) = (0u64, 0u64, 0u64);
        let whole = *self.role == Role::Integer;
        scratch.clear();
        for text in texts {
            let number = values::quick_number(text);
            match number {
                Number::Int(value) => match i64::try_from(value) {
                    Ok(value) => scratch.ints.push(value),
                    Err(_) => {
                        // Beyond 64 bits: rare, and exact all the same.
                        state.add_field(text, number, declared, 1);
                        continue;
                    }
                },
                Number::Wide(..) | Number::TooWide | Number::Decimal(..) => {
                    state.add_field(text, number, declared, 1);
                    continue;
                }
                Number::Float(value) => {
                    broken += u64::from(whole && !values::is_whole(text));
                    scratch.floats.push(value);
                }
                Number::None => {
                    nonnumeric += 1;
                    broken += u64::from(whole);
                    empty += u64::from(text.is_empty());
                }
            }
            if needs_text {
                // Fields of no declared type may turn out to be texts: they are told apart as such.
                let told = match declared && is_told {
                    true => values::identity(text, number),
                    false => Number::None,
                };
                add_text(text, told, state, &mut scratch.key);
            }
        }
        let numeric = (scratch.ints.len() + scratch.floats.len()) as u64;
        if numeric + nonnumeric > 0 {
            state.kinds.insert(kind);
        }
        state.counts.read += numeric + nonnumeric;
        state.counts.numeric += numeric;
        state.counts.nonnumeric += nonnumeric;
        state.counts.empty += empty;
        add_ints(&scratch.ints, state);
        add_floats(&scratch.floats, state);
        broken
    }
}

/// Most years fit nanoseconds of 64 bits and go in bulk; 9999 does not.
fn add_timestamps(state: &mut ColumnState, nanos: &[i128]) {
    let mut narrow = Vec::with_capacity(nanos.len());
    for nanos in nanos {
        match i64::try_from(*nanos) {
            Ok(nanos) => narrow.push(nanos),
            Err(_) => state.add_timestamp_nanos(*nanos),
        }
    }
    state.add_timestamps(&narrow, 1);
}

/// Feeds a field to the components over texts; `told` is the number that it is told apart by.
#[inline]
fn add_text(text: &[u8], told: Number, state: &mut ColumnState, key: &mut KeyBuilder) {
    if let Some(range) = state.range.get_mut() {
        range.add_text(text);
    }
    if let Some(lengths) = state.lengths.get_mut() {
        lengths.add(text);
    }
    if let Some(distinct) = state.distinct.get_mut() {
        distinct.insert_hash(hash::number(told, text));
    }
    if let Some(uniqueness) = state.uniqueness.get_mut() {
        uniqueness.insert_key(key.number(told, text).finish());
    }
}

fn add_ints(values: &[i64], state: &mut ColumnState) {
    if let Some(sums) = state.sums.get_mut() {
        sums.ints.add_i64_slice(values);
    }
    if let Some(squares) = state.squares.get_mut() {
        squares.ints.add_i64_slice(values);
    }
    if let Some(range) = state.range.get_mut() {
        range.add_i64_slice(values);
    }
    if let Some(quantiles) = state.quantiles.get_mut() {
        quantiles.add_i64_slice(values);
    }
}

fn add_floats(values: &[f64], state: &mut ColumnState) {
    for value in values {
        match *value {
            f64::INFINITY => state.counts.pos_inf += 1,
            f64::NEG_INFINITY => state.counts.neg_inf += 1,
            value if value.is_nan() => state.counts.nan += 1,
            _ => {}
        }
    }
    if let Some(sums) = state.sums.get_mut() {
        sums.floats.add_slice(values);
    }
    if let Some(squares) = state.squares.get_mut() {
        squares.floats.add_slice(values);
    }
    if let Some(range) = state.range.get_mut() {
        range.add_f64_slice(values);
    }
    if let Some(quantiles) = state.quantiles.get_mut() {
        quantiles.add_slice(values);
    }
}

/// Feeds a key of several columns; a row with a NULL in it is counted apart.
pub fn feed_key<'f>(
    id: &str,
    rows: impl Iterator<Item = usize>,
    parts: &[&Role],
    field: impl Fn(usize, usize) -> Option<&'f [u8]>,
    state: &mut TableState,
) {
    let Some(uniqueness) = state.keys.get_mut(id) else {
        return;
    };
    let mut key = KeyBuilder::default();
    'rows: for row in rows {
        key.clear();
        for (part, role) in parts.iter().enumerate() {
            let Some(text) = field(row, part) else {
                uniqueness.add_nulls(1);
                continue 'rows;
            };
            role.key(text, &mut key);
        }
        uniqueness.insert_key(key.finish());
    }
}
