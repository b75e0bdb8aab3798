//! One JSON object a line into metric states.
//!
//! In: a part of an object whose ends are line ends. Out: the states of its partitions. Columns are
//! the names of the objects' members, whatever file or part they are met in; a member that a line
//! lacks is NULL there, as is `null`. A state counts only the rows that name a column; the others
//! are added when all parts are merged (`TableState::fill_unnamed`), so that it does not matter how
//! the rows were cut. Whole numbers stay exact, other numbers are the nearest double, strings are
//! text (or what their declared type reads), nested values are text as written.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use assay_metrics::{
    ColumnState, KeyBuilder, Number, RuleCount, TablePlan, TableState, Uniqueness, Wants,
};
use assay_model::dataset::Dataset;
use assay_model::partition::{Partition, PartitionKey};
use jiff::tz::TimeZone;

use super::States;
use super::feed::{Feeder, Role, Scratch};
use super::keyed::Keyed;
use super::lines::Blocks;
use super::members::{Columns, MOST_COLUMNS, Names, Value};
use super::values;
use crate::context::ScanContext;
use crate::discover::keys::{Key, zone};
use crate::error::ScanError;
use crate::object::ReadAt;
use crate::plan::{ColumnRules, composite_keys, table_plan};
use crate::rules::{Cell as RuleCell, Rule};

/// Reads blocks of whole lines and gives the values of each to `each`.
fn blocks(
    reader: &dyn ReadAt,
    range: (u64, u64),
    context: &ScanContext,
    mut each: impl FnMut(&Names, &Columns<'_>, &Blocks<'_>, &[u32]) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let failed = Cell::new(None);
    let mut blocks = Blocks::open(reader, range, context, &failed)?;
    let mut names = Names::default();
    let mut lengths = Vec::new();
    let mut whole = 0;
    let mut first = range.0 == 0;
    while blocks.advance(whole)? {
        let end = loop {
            match memchr::memrchr(b'\n', blocks.bytes()) {
                Some(at) => break at + 1,
                None => blocks.grow("")?,
            }
        };
        let text = blocks.text(end)?;
        let bytes = text.as_bytes();
        let mut columns = Columns::like(&lengths);
        let mut starts = Vec::new();
        let mut at = if std::mem::take(&mut first) && bytes.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
            let line = &text[at..at + length];
            if !line.as_bytes().trim_ascii().is_empty() {
                columns
                    .read_line(line, &mut names)
                    .map_err(|error| unreadable(&blocks, at, names.full, &error))?;
                starts.push(at as u32);
            }
            at += length + 1;
        }
        each(&names, &columns, &blocks, &starts)?;
        lengths = columns.lengths();
        drop(columns);
        context.progress.add_rows(starts.len() as u64);
        whole = end;
    }
    Ok(())
}

/// The error of the line that begins at `at`.
fn unreadable(blocks: &Blocks<'_>, at: usize, full: bool, error: &serde_json::Error) -> ScanError {
    if full {
        let what = format!("its lines name more than {MOST_COLUMNS} columns");
        return match blocks.corrupt(at, what) {
            ScanError::Corrupt { path, place, what } => ScanError::Unsupported {
                path,
                place,
                what,
                remedy: "names that are data belong into a value: write them as one member"
                    .to_owned(),
            },
            other => other,
        };
    }
    // The parser's own place is within the line.
    let column = error.column();
    let text = error.to_string();
    let what = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(what, _)| what);
    let what = format!("not a JSON object: {what}, at character {column} of the line");
    blocks.corrupt(at, what)
}

/// Measures a part of an object of JSON lines.
pub(super) fn measure(
    dataset: &Dataset,
    partitions: &[Partition],
    reader: &dyn ReadAt,
    range: (u64, u64),
    context: &ScanContext,
) -> Result<States, ScanError> {
    let mut keyed = Keyed::of(dataset)?;
    let mut measure = Measure::new(dataset)?;
    let mut states = States::new();
    for partition in partitions {
        let state = states.entry(partition.key.clone()).or_default();
        if range.0 == 0 {
            state.files += 1;
            state.schema.add_file();
        }
    }
    blocks(reader, range, context, |names, columns, blocks, starts| {
        measure.learn(names);
        let split = match &mut keyed {
            None => {
                let only = partitions
                    .first()
                    .map_or_else(PartitionKey::all, |p| p.key.clone());
                BTreeMap::from([(only, (0..columns.rows).collect())])
            }
            Some(keyed) => split(keyed, names, columns, Some(partitions), blocks, starts)?,
        };
        measure.feed(names, columns, split, &mut states);
        Ok(())
    })?;
    Ok(states)
}

fn split(
    keyed: &mut Keyed,
    names: &Names,
    columns: &Columns<'_>,
    planned: Option<&[Partition]>,
    blocks: &Blocks<'_>,
    starts: &[u32],
) -> Result<BTreeMap<PartitionKey, Vec<u32>>, ScanError> {
    let values = columns.by_row(names.get(&keyed.column));
    let texts: Vec<Option<Cow<'_, [u8]>>> = values.into_iter().map(Value::text).collect();
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
    let range = (0, reader.size());
    blocks(reader, range, context, |names, columns, blocks, starts| {
        split(&mut keyed, names, columns, None, blocks, starts).map(|_| ())
    })?;
    Ok(keyed.met)
}

/// What is done with the values of a column.
struct Known {
    role: Role,
    wants: Wants,
    rules: ColumnRules,
}

pub(super) struct Measure<'a> {
    dataset: &'a Dataset,
    zone: TimeZone,
    limits: TablePlan,
    /// Every column met so far, by place.
    known: Vec<Known>,
    /// Keys of several columns: their ids and parts.
    keys: Vec<(String, Vec<String>)>,
    scratch: Scratch,
}

impl<'a> Measure<'a> {
    pub(super) fn new(dataset: &'a Dataset) -> Result<Self, ScanError> {
        Ok(Self {
            dataset,
            zone: zone(&dataset.partitions)?,
            limits: table_plan(dataset, &[]).table,
            known: Vec::new(),
            keys: composite_keys(dataset),
            scratch: Scratch::default(),
        })
    }

    /// Plans for columns that were not met before. What is asked of a column depends on its name
    /// alone, not on what else was met.
    pub(super) fn learn(&mut self, names: &Names) {
        for name in &names.list[self.known.len()..] {
            let plan = table_plan(self.dataset, &[name]);
            self.known.push(Known {
                role: Role::of(self.dataset, name, &self.zone),
                wants: plan.wants(name),
                rules: plan.rules(name).clone(),
            });
        }
    }

    pub(super) fn feed(
        &mut self,
        names: &Names,
        columns: &Columns<'_>,
        split: BTreeMap<PartitionKey, Vec<u32>>,
        states: &mut States,
    ) {
        let mut owners = vec![0u32; columns.rows as usize];
        let mut targets = Vec::with_capacity(split.len());
        for ((key, rows), at) in split.into_iter().zip(0u32..) {
            rows.iter().for_each(|row| owners[*row as usize] = at);
            let mut state = states.remove(&key).unwrap_or_default();
            state.rows += rows.len() as u64;
            targets.push((key, rows, state));
        }
        let mut own: Vec<(u32, &Value<'_>)> = Vec::new();
        for place in &columns.named {
            if let [(_, _, state)] = targets.as_mut_slice() {
                let values = columns.of(*place).iter().map(|(_, value)| value);
                self.feed_column(&names.list[*place], *place, &values, state);
                continue;
            }
            own.clear();
            let values = columns.of(*place).iter();
            own.extend(values.map(|(row, value)| (owners[*row as usize], value)));
            own.sort_by_key(|(owner, _)| *owner);
            for own in own.chunk_by(|left, right| left.0 == right.0) {
                let state = &mut targets[own[0].0 as usize].2;
                let values = own.iter().map(|(_, value)| *value);
                self.feed_column(&names.list[*place], *place, &values, state);
            }
        }
        for (id, parts) in &self.keys {
            let Some(places) = parts
                .iter()
                .map(|part| names.get(part))
                .collect::<Option<Vec<_>>>()
            else {
                continue;
            };
            let parts: Vec<(Vec<&Value<'_>>, &Role)> = places
                .iter()
                .map(|place| (columns.by_row(Some(*place)), &self.known[*place].role))
                .collect();
            for (_, rows, state) in &mut targets {
                feed_key(id, rows, &parts, self.limits.uniqueness_limit, state);
            }
        }
        states.extend(targets.into_iter().map(|(key, _, state)| (key, state)));
    }

    fn feed_column<'v, 'b: 'v>(
        &mut self,
        name: &str,
        place: usize,
        values: &(impl Iterator<Item = &'v Value<'b>> + Clone),
        state: &mut TableState,
    ) {
        let known = &self.known[place];
        if !state.columns.contains_key(name) {
            state.schema.add_named(name, "json");
            let empty = ColumnState::new(&known.wants, &self.limits);
            state.columns.insert(name.to_owned(), empty);
        }
        let Some(own) = state.columns.get_mut(name) else {
            return;
        };
        let feeder = Feeder {
            role: &known.role,
            wants: known.wants,
            rules: &known.rules,
        };
        let unread = feed_values(&feeder, values, own, &mut self.scratch);
        if unread > 0 {
            state.flag(&format!("unread {}: {name}", known.role.word()), unread);
        }
    }
}

/// Feeds a key of several columns. Rows that lack a part of it are told by their absence.
fn feed_key(
    id: &str,
    rows: &[u32],
    parts: &[(Vec<&Value<'_>>, &Role)],
    limit: u64,
    state: &mut TableState,
) {
    let mut key = KeyBuilder::default();
    let mut keys = Vec::new();
    for row in rows {
        key.clear();
        let whole = parts
            .iter()
            .all(|(values, role)| add_to_key(values[*row as usize], role, &mut key));
        if whole {
            keys.push(key.finish());
        }
    }
    if keys.is_empty() {
        return;
    }
    if !state.keys.contains_key(id) {
        let empty = Uniqueness::with_limit(limit);
        state.keys.insert(id.to_owned(), empty);
    }
    if let Some(own) = state.keys.get_mut(id) {
        keys.into_iter().for_each(|key| own.insert_key(key));
    }
}

/// Adds a value to a key; `false` for NULL, with which there is none.
pub(super) fn add_to_key(value: &Value<'_>, role: &Role, key: &mut KeyBuilder) -> bool {
    match value {
        Value::Null => return false,
        Value::Bool(value) => key.boolean(*value),
        Value::Int(value) => key.int(i128::from(*value)),
        Value::Wide(value) => key.int(**value),
        Value::Huge(text) => key.number(values::number(text.as_bytes()), text.as_bytes()),
        Value::Float(value) => key.float(*value),
        Value::Text(text) => role.string_key(text.as_bytes(), key),
        Value::Nested(text) => key.text(text.as_bytes()),
    };
    true
}

/// What a rule sees of a value; `None` is NULL.
fn cell<'v>(value: &'v Value<'_>, role: &Role) -> Option<RuleCell<'v>> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => RuleCell::Bool(*value),
        Value::Int(value) => RuleCell::Int(i128::from(*value)),
        Value::Wide(value) => RuleCell::Int(**value),
        Value::Huge(text) => RuleCell::Number(text.as_bytes()),
        Value::Float(value) => RuleCell::Float(*value),
        Value::Text(text) => role.of_strings().cell(text.as_bytes()),
        Value::Nested(text) => RuleCell::Text(text.as_bytes()),
    })
}

/// Shows every value, of which there are `rows`, to a rule.
fn tested<'v, 'b: 'v>(
    rule: &Rule,
    role: &Role,
    values: impl Iterator<Item = &'v Value<'b>>,
    rows: u64,
) -> RuleCount {
    let mut count = RuleCount {
        rows,
        ..RuleCount::default()
    };
    for value in values {
        if let Some(met) = cell(value, role).and_then(|cell| rule.test(&cell)) {
            count.tested += 1;
            count.matched += u64::from(met);
        }
    }
    count
}

/// Feeds the values of one column by their own JSON types; gives how many strings did not read as
/// their column declares.
fn feed_values<'v, 'b: 'v>(
    feeder: &Feeder<'_>,
    values: &(impl Iterator<Item = &'v Value<'b>> + Clone),
    state: &mut assay_metrics::ColumnState,
    scratch: &mut Scratch,
) -> u64 {
    let (mut rows, mut nulls, mut texts, mut wide) = (0u64, 0u64, 0u64, 0u64);
    if feeder.counts_only() {
        for value in values.clone() {
            rows += 1;
            nulls += u64::from(matches!(value, Value::Null));
        }
        state.add_rows(rows, nulls);
        return 0;
    }
    let (mut trues, mut falses) = (0u64, 0u64);
    scratch.clear();
    for value in values.clone() {
        rows += 1;
        match value {
            Value::Null => nulls += 1,
            Value::Bool(true) => trues += 1,
            Value::Bool(false) => falses += 1,
            Value::Int(value) => scratch.ints.push(*value),
            Value::Wide(value) => {
                wide += 1;
                state.add_int_times(**value, 1);
            }
            Value::Huge(text) => match values::number(text.as_bytes()) {
                Number::Wide(wide, scale) => state.add_decimal_256(&wide, scale, 1),
                _ => state.add_too_wide(text.as_bytes(), 1),
            },
            Value::Float(value) => scratch.floats.push(*value),
            Value::Text(_) => texts += 1,
            Value::Nested(text) => state.add_nested(text.as_bytes(), 1),
        }
    }
    let all_whole = rows == nulls + wide + scratch.ints.len() as u64;
    state.add_ints(&scratch.ints);
    state.add_floats(&scratch.floats);
    state.add_bools(trues, falses);
    state.add_rows(rows - texts, nulls);
    // What a string reads as is found once, not once more for the rule that asks for it.
    let strings = feeder.role.of_strings();
    // Where rules alone are asked, strings are not read but by them.
    let reads = strings.is_typed() && !feeder.wants.counts_only();
    let whole = all_whole && *feeder.role == Role::Integer;
    let known = whole || (reads && rows == nulls + texts);
    let (of_type, others): (Vec<&Rule>, Vec<&Rule>) = feeder
        .rules
        .iter()
        .partition(|rule| known && rule.asks_for_type_alone());
    for rule in others {
        let count = tested(rule, feeder.role, values.clone(), rows);
        state.rules.add(rule.id(), count);
    }
    let unread = feed_strings(feeder, strings, values, texts, state, scratch);
    for rule in of_type {
        let count = RuleCount {
            rows,
            tested: rows - nulls,
            matched: rows - nulls - unread,
        };
        state.rules.add(rule.id(), count);
    }
    unread
}

/// Feeds the strings among the values, of which there are `count`.
fn feed_strings<'v, 'b: 'v>(
    feeder: &Feeder<'_>,
    role: &Role,
    values: &(impl Iterator<Item = &'v Value<'b>> + Clone),
    count: u64,
    state: &mut assay_metrics::ColumnState,
    scratch: &mut Scratch,
) -> u64 {
    if count == 0 {
        return 0;
    }
    let texts = values.clone().filter_map(|value| match value {
        Value::Text(text) => Some(text.as_bytes()),
        _ => None,
    });
    let feeder = Feeder {
        role,
        wants: feeder.wants,
        rules: &[],
    };
    if feeder.counts_only() {
        // Only rules were asked: the strings were looked at all the same.
        state.add_texts(texts);
        state.add_rows(count, 0);
        return 0;
    }
    feeder.feed(texts.map(Some), state, scratch)
}

/// A value of a line, for readers that want the values themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Json<'v> {
    /// `null`, or no such member.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A whole number beyond 128 bits, as written.
    Huge(&'v str),
    /// Any other number: the nearest double.
    Float(f64),
    /// A string.
    Text(&'v str),
    /// An object or a list, as written.
    Nested(&'v str),
}

/// A block of lines as values.
pub struct Lines<'b> {
    names: &'b Names,
    columns: &'b Columns<'b>,
    blocks: &'b Blocks<'b>,
    starts: &'b [u32],
}

impl Lines<'_> {
    /// How many lines.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.rows as usize
    }

    /// The columns met so far, in the order of meeting.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names.list
    }

    /// The values of a column, one for each line.
    #[must_use]
    pub fn column(&self, name: &str) -> Vec<Json<'_>> {
        let values = self.columns.by_row(self.names.get(name));
        let json = |value| match value {
            &Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::Int(i128::from(*value)),
            Value::Wide(value) => Json::Int(**value),
            Value::Huge(text) => Json::Huge(text),
            Value::Float(value) => Json::Float(*value),
            Value::Text(text) => Json::Text(text),
            Value::Nested(text) => Json::Nested(text),
        };
        values.into_iter().map(json).collect()
    }

    /// The values of a column as JSON, one for each line; `None` where the line lacks the member.
    #[must_use]
    pub fn written(&self, name: &str) -> Vec<Option<Vec<u8>>> {
        let mut all = vec![None; self.rows()];
        if let Some(place) = self.names.get(name) {
            for (row, value) in self.columns.of(place) {
                all[*row as usize] = Some(value.json());
            }
        }
        all
    }

    /// The values of a column as texts, one for each line: what a partition's key is cut from.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<Option<Cow<'_, [u8]>>> {
        let values = self.columns.by_row(self.names.get(name));
        values.into_iter().map(Value::text).collect()
    }

    /// Where a line begins, in a column.
    #[must_use]
    pub fn place(&self, row: usize, column: &str) -> crate::error::Place {
        let start = self.starts.get(row).copied().unwrap_or(0);
        self.blocks.place(start as usize).in_column(column)
    }
}

/// Reads every line of an object, block by block; `each` says whether more are wanted.
///
/// # Errors
/// [`ScanError`] when the object cannot be read to its end, or that of `each`.
pub fn read(
    reader: &dyn ReadAt,
    context: &ScanContext,
    each: &mut dyn FnMut(&Lines<'_>) -> Result<bool, ScanError>,
) -> Result<(), ScanError> {
    let mut wanted = true;
    let range = (0, reader.size());
    blocks(reader, range, context, |names, columns, blocks, starts| {
        if wanted {
            wanted = each(&Lines {
                names,
                columns,
                blocks,
                starts,
            })?;
        }
        Ok(())
    })
}
