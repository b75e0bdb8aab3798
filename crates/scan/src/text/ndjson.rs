//! One JSON object a line into metric states.
//!
//! In: a part of an object whose ends are line ends. Out: the states of its partitions. Columns are
//! the names of the objects' members; a member that a line lacks is NULL there, as is `null`.
//! Whole numbers stay exact, other numbers are the nearest double, strings are text (or what their
//! declared type reads), nested values are text as written.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use assay_metrics::{Number, TableState};
use assay_model::dataset::Dataset;
use assay_model::partition::{Partition, PartitionKey};
use jiff::tz::TimeZone;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::feed::{Feeder, Role, Scratch, feed_key};
use super::keyed::Keyed;
use super::lines::Blocks;
use super::{States, values};
use crate::context::ScanContext;
use crate::discover::keys::{Key, zone};
use crate::error::ScanError;
use crate::object::ReadAt;
use crate::plan::{ScanPlan, table_plan};
use crate::rules::Cell as RuleCell;

/// A value of a member, as written or without its escapes.
#[derive(Debug, Clone, PartialEq)]
enum Value<'b> {
    Null,
    Bool(bool),
    Int(i64),
    Wide(i128),
    Float(f64),
    Text(Cow<'b, str>),
    /// An object or a list.
    Nested(&'b str),
}

impl Value<'_> {
    /// The value as a key or a text sees it; `None` is NULL.
    fn text(&self) -> Option<Cow<'_, [u8]>> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(true) => Cow::Borrowed(&b"true"[..]),
            Self::Bool(false) => Cow::Borrowed(&b"false"[..]),
            Self::Int(value) => Cow::Owned(value.to_string().into_bytes()),
            Self::Wide(value) => Cow::Owned(value.to_string().into_bytes()),
            Self::Float(value) => Cow::Owned(value.to_string().into_bytes()),
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Nested(text) => Cow::Borrowed(text.as_bytes()),
        })
    }
}

/// The members of one object, given to columns as they are met.
struct Members<'v, 'b> {
    columns: &'v mut Columns<'b>,
}

/// The values of a block by column.
#[derive(Default)]
struct Columns<'b> {
    places: BTreeMap<String, usize>,
    names: Vec<String>,
    values: Vec<Vec<Value<'b>>>,
    rows: usize,
}

impl<'b> Columns<'b> {
    fn place(&mut self, name: &str, hint: usize) -> usize {
        // Members mostly come in the same order on every line.
        if self.names.get(hint).is_some_and(|known| known == name) {
            return hint;
        }
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.names.len();
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        self.values.push(Vec::new());
        place
    }

    fn value(&self, row: usize, place: usize) -> &Value<'b> {
        self.values[place].get(row).unwrap_or(&Value::Null)
    }
}

impl<'de, 'v> serde::de::DeserializeSeed<'de> for Members<'v, 'de> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, 'v> Visitor<'de> for Members<'v, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object a line")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let row = self.columns.rows;
        let mut hint = 0;
        while let Some(name) = map.next_key_seed(Name)? {
            let raw: &'de RawValue = map.next_value()?;
            let place = self.columns.place(&name, hint);
            hint = place + 1;
            let values = &mut self.columns.values[place];
            if values.len() > row {
                return Err(M::Error::custom(format!("the member {name:?} comes twice")));
            }
            values.resize(row, Value::Null);
            values.push(value(raw.get()).map_err(M::Error::custom)?);
        }
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name;

impl<'de> serde::de::DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }
    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Reads a value that is known to be sound JSON.
fn value(raw: &str) -> Result<Value<'_>, serde_json::Error> {
    let bytes = raw.as_bytes();
    Ok(match bytes.first() {
        Some(b'"') => {
            let inner = &raw[1..raw.len() - 1];
            if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
                Value::Text(Cow::Borrowed(inner))
            } else {
                Value::Text(Cow::Owned(serde_json::from_str::<String>(raw)?))
            }
        }
        Some(b'{' | b'[') => Value::Nested(raw),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Null,
        Some(_) => match values::short_int(bytes) {
            Some(short) => Value::Int(short),
            None => match values::number(bytes) {
                Number::Int(wide) => i64::try_from(wide).map_or(Value::Wide(wide), Value::Int),
                Number::Float(float) => Value::Float(float),
                Number::Decimal(..) | Number::None => Value::Text(Cow::Borrowed(raw)),
            },
        },
    })
}

/// Reads blocks of whole lines and gives the values of each to `each`.
fn blocks(
    reader: &dyn ReadAt,
    range: (u64, u64),
    context: &ScanContext,
    mut each: impl FnMut(&Columns<'_>, &Blocks<'_>, &[u32]) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let failed = Cell::new(None);
    let mut blocks = Blocks::open(reader, range, context, &failed)?;
    let mut whole = 0;
    let mut first = range.0 == 0;
    while blocks.advance(whole)? {
        let end = loop {
            match memchr::memrchr(b'\n', blocks.bytes()) {
                Some(at) => break at + 1,
                None => blocks.grow("")?,
            }
        };
        blocks.check_utf8(end)?;
        let bytes = &blocks.bytes()[..end];
        let mut columns = Columns::default();
        let mut starts = Vec::new();
        let mut at = if std::mem::take(&mut first) && bytes.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
            let line = &bytes[at..at + length];
            if !line.trim_ascii().is_empty() {
                read_line(line, &mut columns).map_err(|error| {
                    // The parser's own place is within the line.
                    let column = error.column();
                    let text = error.to_string();
                    let what = text
                        .rsplit_once(" at line ")
                        .map_or(text.as_str(), |(what, _)| what);
                    let what =
                        format!("not a JSON object: {what}, at character {column} of the line");
                    blocks.corrupt(at, what)
                })?;
                starts.push(at as u32);
            }
            at += length + 1;
        }
        each(&columns, &blocks, &starts)?;
        drop(columns);
        context.progress.add_rows(starts.len() as u64);
        whole = end;
    }
    Ok(())
}

fn read_line<'b>(line: &'b [u8], columns: &mut Columns<'b>) -> Result<(), serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_slice(line);
    serde::de::DeserializeSeed::deserialize(Members { columns }, &mut parser)?;
    parser.end()?;
    columns.rows += 1;
    Ok(())
}

/// Measures a part of an object of JSON lines.
pub(super) fn measure(
    dataset: &Dataset,
    partitions: &[Partition],
    reader: &dyn ReadAt,
    range: (u64, u64),
    context: &ScanContext,
) -> Result<States, ScanError> {
    let zone = zone(&dataset.partitions)?;
    let mut keyed = Keyed::of(dataset)?;
    let mut measure = Measure {
        dataset,
        zone,
        names: Vec::new(),
        plan: ScanPlan::default(),
        scratch: Scratch::default(),
    };
    let mut states = States::new();
    for partition in partitions {
        let state = states.entry(partition.key.clone()).or_default();
        if range.0 == 0 {
            state.files += 1;
            state.schema.add_file();
        }
    }
    blocks(reader, range, context, |columns, blocks, starts| {
        measure.learn(columns, &mut states);
        let all: Vec<u32> = (0..columns.rows as u32).collect();
        let split = match &mut keyed {
            None => {
                let only = partitions
                    .first()
                    .map_or_else(PartitionKey::all, |p| p.key.clone());
                BTreeMap::from([(only, all)])
            }
            Some(keyed) => split(keyed, columns, Some(partitions), blocks, starts)?,
        };
        for (key, rows) in split {
            measure.feed(columns, &rows, states.entry(key).or_default());
        }
        Ok(())
    })?;
    measure.finish(&mut states, range.0 == 0);
    Ok(states)
}

fn split(
    keyed: &mut Keyed,
    columns: &Columns<'_>,
    planned: Option<&[Partition]>,
    blocks: &Blocks<'_>,
    starts: &[u32],
) -> Result<BTreeMap<PartitionKey, Vec<u32>>, ScanError> {
    let place = columns.places.get(&keyed.column).copied();
    let texts: Vec<Option<Cow<'_, [u8]>>> = (0..columns.rows)
        .map(|row| place.and_then(|place| columns.value(row, place).text()))
        .collect();
    let fault = |row: usize, what: String| {
        blocks.corrupt(starts.get(row).map_or(0, |start| *start as usize), what)
    };
    keyed.split(texts.iter().map(Option::as_deref), planned, fault)
}

/// The keys of the rows of an object of JSON lines, for discovery.
///
/// # Errors
/// [`ScanError`] when the object cannot be read, or a value is no key.
pub fn keys(
    dataset: &Dataset,
    reader: &dyn ReadAt,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, Key>, ScanError> {
    let Some(mut keyed) = Keyed::of(dataset)? else {
        return Ok(BTreeMap::new());
    };
    blocks(
        reader,
        (0, reader.size()),
        context,
        |columns, blocks, starts| split(&mut keyed, columns, None, blocks, starts).map(|_| ()),
    )?;
    Ok(keyed.met)
}

struct Measure<'a> {
    dataset: &'a Dataset,
    zone: TimeZone,
    /// Every column met so far, in the order of meeting.
    names: Vec<String>,
    plan: ScanPlan,
    scratch: Scratch,
}

impl Measure<'_> {
    /// Plans for columns that were not met before; the rows before them are NULL in them.
    fn learn(&mut self, columns: &Columns<'_>, states: &mut States) {
        let new: Vec<String> = columns
            .names
            .iter()
            .filter(|name| !self.names.contains(name))
            .cloned()
            .collect();
        if new.is_empty() && !self.names.is_empty() {
            return;
        }
        self.names.extend(new);
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        self.plan = table_plan(self.dataset, &names);
        for state in states.values_mut() {
            self.extend(state);
        }
    }

    /// Gives a state the columns and keys of the plan that it lacks.
    fn extend(&self, state: &mut TableState) {
        let empty = TableState::new(&self.plan.table);
        for (name, mut column) in empty.columns {
            if !state.columns.contains_key(&name) {
                column.add_rows(state.rows, state.rows);
                for rule in self.plan.rules(&name) {
                    let rows = state.rows;
                    let count = assay_metrics::RuleCount {
                        rows,
                        tested: 0,
                        matched: 0,
                    };
                    column.rules.add(rule.id(), count);
                }
                state.columns.insert(name, column);
            }
        }
        for (id, mut key) in empty.keys {
            if !state.keys.contains_key(&id) {
                key.add_nulls(state.rows);
                state.keys.insert(id, key);
            }
        }
    }

    fn feed(&mut self, columns: &Columns<'_>, rows: &[u32], state: &mut TableState) {
        self.extend(state);
        state.rows += rows.len() as u64;
        for name in &self.names {
            let rules = self.plan.rules(name);
            let role = Role::of(self.dataset, name, &self.zone);
            let wants = self.plan.wants(name);
            let Some(own) = state.columns.get_mut(name) else {
                continue;
            };
            let place = columns.places.get(name).copied();
            let value =
                |row: &u32| place.map_or(&Value::Null, |place| columns.value(*row as usize, place));
            let feeder = Feeder {
                role: &role,
                wants,
                rules,
            };
            let unread = feed_values(&feeder, &rows.iter().map(value), own, &mut self.scratch);
            if unread > 0 {
                state.flag(&format!("unread by its declared type: {name}"), unread);
            }
        }
        for key in &self.plan.table.keys {
            let places: Vec<Option<usize>> = key
                .columns
                .iter()
                .map(|part| columns.places.get(part).copied())
                .collect();
            let texts: Vec<Vec<Option<Cow<'_, [u8]>>>> = places
                .iter()
                .map(|place| {
                    let text = |row: &u32| {
                        place.and_then(|place| columns.value(*row as usize, place).text())
                    };
                    rows.iter().map(text).collect()
                })
                .collect();
            let cell = |row: usize, part: usize| texts[part][row].as_deref();
            feed_key(&key.id, 0..rows.len(), places.len(), cell, state);
        }
    }

    /// Notes the columns of the file with each of its states.
    fn finish(&self, states: &mut States, from_start: bool) {
        for state in states.values_mut().filter(|_| from_start) {
            for (name, ordinal) in self.names.iter().zip(0u32..) {
                state.schema.add_column(name, "json", true, ordinal);
            }
        }
    }
}

/// Feeds the values of one column by their own JSON types.
fn feed_values<'v, 'b: 'v>(
    feeder: &Feeder<'_>,
    values: &(impl Iterator<Item = &'v Value<'b>> + Clone),
    state: &mut assay_metrics::ColumnState,
    scratch: &mut Scratch,
) -> u64 {
    let (mut rows, mut nulls) = (0u64, 0u64);
    let counts_only = feeder.counts_only();
    let (mut ints, mut floats, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut trues, mut falses) = (0u64, 0u64);
    for value in values.clone() {
        rows += 1;
        match value {
            Value::Null => nulls += 1,
            _ if counts_only => {}
            Value::Bool(true) => trues += 1,
            Value::Bool(false) => falses += 1,
            Value::Int(value) => ints.push(*value),
            Value::Wide(value) => state.add_int_times(*value, 1),
            Value::Float(value) => floats.push(*value),
            Value::Text(text) => texts.push(Some(text.as_bytes())),
            Value::Nested(text) => state.add_text(text.as_bytes(), 1),
        }
    }
    if counts_only {
        state.add_rows(rows, nulls);
        return 0;
    }
    for rule in feeder.rules {
        let mut count = assay_metrics::RuleCount {
            rows,
            ..Default::default()
        };
        for value in values.clone() {
            let met = match value {
                Value::Null => None,
                Value::Bool(value) => rule.test(&RuleCell::Bool(*value)),
                Value::Int(value) => rule.test(&RuleCell::Int(i128::from(*value))),
                Value::Wide(value) => rule.test(&RuleCell::Int(*value)),
                Value::Float(value) => rule.test(&RuleCell::Float(*value)),
                Value::Text(text) => rule.test(&feeder.cell(text.as_bytes())),
                Value::Nested(text) => rule.test(&RuleCell::Text(text.as_bytes())),
            };
            if let Some(met) = met {
                count.tested += 1;
                count.matched += u64::from(met);
            }
        }
        state.rules.add(rule.id(), count);
    }
    state.add_ints(&ints);
    state.add_floats(&floats);
    state.add_bools(trues, falses);
    state.add_rows(rows - texts.len() as u64, nulls);
    // A string is text, even where it looks like a number, unless a time is declared.
    let role = match feeder.role {
        Role::Date | Role::Time | Role::Timestamp(_) => feeder.role,
        _ => &Role::Text,
    };
    let strings = Feeder {
        role,
        wants: feeder.wants,
        rules: &[],
    };
    if strings.counts_only() {
        // Only rules were asked: the strings were looked at all the same.
        texts
            .iter()
            .flatten()
            .for_each(|text| state.add_text(text, 1));
        state.add_rows(texts.len() as u64, 0);
        return 0;
    }
    strings.feed(texts.into_iter(), state, scratch)
}
