//! Looks at a folder, a file, a bucket or a table and tells what a first definition of it could say.
//!
//! In: a source and the time. Out: the format, the layout, the columns with their types and NULLs in
//! a sample, an estimate of the rows, and checks worth having. Everything is a suggestion drawn
//! from a sample of at most [`SAMPLED`] partitions; the row estimate scales the sample by bytes.

mod decimals;
mod sniff;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use assay_metrics::{ColumnState, Kind, Scalar, TableState};
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, KeySpec, Layout, LimitPolicy, Location,
    LogicalType, Partitioning, Profile, RunPolicy, ScanPolicy, Source, StoragePolicy,
};
use assay_model::ids::{CheckId, DatasetId};
use assay_model::metric::{Metric, MetricKey};
use assay_model::output::Discovery;
use assay_model::partition::ObjectRef;
use assay_model::run::Selection;
use assay_model::task::MeasureSpec;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::context::ScanContext;
use crate::discover::layout::{format_by_name, is_hidden};
use crate::discover::{discover, shape};
use crate::error::{Place, ScanError};
use crate::object::{Objects, ReadAt};
use crate::text::{csv, ndjson, values};

/// Partitions that are read at most: the first, the last and some between.
pub const SAMPLED: usize = 5;
/// Bytes that are read of each at most, as far as its format lets itself be cut.
const SAMPLE_BYTES: u64 = 32 << 20;
/// Most values of a column whose values are listed.
const FEW: u64 = 12;

/// What is told of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// The type that all of its values have.
    pub logical_type: Option<LogicalType>,
    /// The type that keeps their digits, where texts are decimals.
    pub physical_type: Option<String>,
    /// NULLs per hundred rows of the sample; `None` without rows.
    pub null_percent: Option<f64>,
    /// Whether no sampled partition has a NULL.
    pub required: bool,
    /// Whether no sampled partition (of 20 rows or more) has a value twice.
    pub unique: bool,
    /// Its values, when they are texts, few, and each is met often.
    pub allowed: Option<Vec<String>>,
}

/// What a look at a location tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Introspection {
    /// The format of the files.
    pub format: Format,
    /// The layout.
    pub layout: Layout,
    /// The parts of the partition key.
    pub keys: Vec<KeySpec>,
    /// Partitions found.
    pub partitions: usize,
    /// Bytes found, as stored.
    pub bytes: u64,
    /// Rows of the sample.
    pub sampled_rows: u64,
    /// About how many rows there are in all.
    pub row_estimate: u64,
    /// The columns, in the order of the files.
    pub columns: Vec<ColumnFacts>,
    /// Checks worth having, besides `required` and `unique` of the columns.
    pub checks: Vec<Check>,
    /// What was passed over, with the reason.
    pub ignored: Vec<String>,
}

/// Looks at a file, a folder or what lies below a bucket's prefix; the format that `source` names is
/// not taken for granted.
///
/// # Errors
/// [`ScanError`] when there is no data or the sample cannot be read; those of
/// [`ScanContext::reach`].
pub fn introspect(
    source: &Source,
    now: Timestamp,
    context: &ScanContext,
) -> Result<Introspection, ScanError> {
    let Overview {
        dataset,
        plan,
        layout,
        keys,
    } = overview(source.clone(), now, context)?;
    let format = dataset.source.format.clone();
    let wanted: Vec<_> = plan
        .evaluations
        .iter()
        .filter(|e| !e.measured_by.is_empty())
        .collect();
    let bytes: u64 = wanted.iter().map(|e| e.bytes).sum();
    let places = spread(wanted.len());
    let others = (0..wanted.len()).filter(|at| !places.contains(at));
    let mut sample = Sample::default();
    for (looked_at, at) in places.iter().copied().chain(others).enumerate() {
        // The other partitions are read only for as long as none could be.
        if looked_at >= places.len() && !sample.states.is_empty() {
            break;
        }
        let number = wanted[at].measured_by[0] as usize;
        if let Some(spec) = plan.measures.get(number - 1) {
            sample.add(&dataset, spec, context)?;
        }
    }
    let Sample {
        states: samples,
        specs,
        objects,
        read,
        unreadable,
        first_error,
    } = sample;
    if let (true, Some(error)) = (samples.is_empty(), first_error) {
        return Err(error);
    }
    let mut ignored = plan.ignored;
    ignored.extend(unreadable);
    let sampled_rows: u64 = samples.iter().map(|state| state.rows).sum();
    let row_estimate = match read {
        0 => 0,
        read => (u128::from(sampled_rows) * u128::from(bytes) / u128::from(read)) as u64,
    };
    let mut columns = columns(&dataset, &samples, &objects, context);
    add_decimals(&mut columns, &dataset, &specs, context);
    let nameless = |state: &TableState| state.columns.keys().any(|name| is_nameless(name));
    if samples.iter().any(nameless) {
        ignored.push("a column without a name: no definition can name it".to_owned());
    }
    let checks = checks(&columns, &samples, now);
    Ok(Introspection {
        format,
        layout,
        keys,
        partitions: wanted.len(),
        bytes,
        sampled_rows,
        row_estimate,
        columns,
        checks,
        ignored,
    })
}

/// A source before any of its rows is read.
struct Overview {
    dataset: Dataset,
    plan: Discovery,
    layout: Layout,
    keys: Vec<KeySpec>,
}

fn overview(
    mut source: Source,
    now: Timestamp,
    context: &ScanContext,
) -> Result<Overview, ScanError> {
    if matches!(source.location, Location::Database(_)) {
        source.format = Format::of(FormatKind::Table);
        let mut dataset = sample_dataset(source)?;
        let plan = table::layout(&mut dataset, now, context)?;
        return Ok(Overview {
            layout: dataset.partitions.layout.clone(),
            keys: Vec::new(),
            dataset,
            plan,
        });
    }
    let objects = Objects::open(&source, context)?;
    source.format = guess_format(&objects, &source.location.address())?;
    let dataset = sample_dataset(source)?;
    let plan = discover(&dataset, &[], &Selection::default(), now, context)?;
    let (layout, keys) = shape(&dataset, context)?;
    Ok(Overview {
        dataset,
        plan,
        layout,
        keys,
    })
}

/// What was read of the sampled partitions.
#[derive(Default)]
struct Sample {
    states: Vec<TableState>,
    /// What they were read by.
    specs: Vec<MeasureSpec>,
    objects: Vec<ObjectRef>,
    /// Bytes, as stored.
    read: u64,
    /// Objects that could not be read, with the reason.
    unreadable: Vec<String>,
    first_error: Option<ScanError>,
}

impl Sample {
    /// Reads a batch; where that fails, each of its slices alone, so that one broken file does not
    /// keep the others from being looked at.
    fn add(
        &mut self,
        dataset: &Dataset,
        spec: &MeasureSpec,
        context: &ScanContext,
    ) -> Result<(), ScanError> {
        match crate::measure::states(dataset, spec, context) {
            Ok(states) => {
                self.states.extend(states.into_values());
                self.specs.push(spec.clone());
                self.read += spec.bytes;
                let objects = spec.slices.iter().map(|slice| slice.object.clone());
                self.objects.extend(objects);
            }
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => match spec.slices.as_slice() {
                [slice] => {
                    let path = &slice.object.path;
                    self.unreadable
                        .push(format!("{path}: not looked at: {error}"));
                    self.first_error.get_or_insert(error);
                }
                slices => {
                    for slice in slices {
                        let alone = MeasureSpec {
                            queries: false,
                            slices: vec![slice.clone()],
                            bytes: slice.object.size,
                            ..spec.clone()
                        };
                        self.add(dataset, &alone, context)?;
                    }
                }
            },
        }
        Ok(())
    }
}

/// Places of a sample of `count` partitions.
fn spread(count: usize) -> BTreeSet<usize> {
    let last = count.saturating_sub(1);
    (0..SAMPLED.min(count))
        .map(|i| i * last / (SAMPLED.min(count) - 1).max(1))
        .collect()
}

fn sample_dataset(source: Source) -> Result<Dataset, ScanError> {
    let id = DatasetId::new("introspection").map_err(|error| ScanError::Definition {
        path: "introspection".to_owned(),
        place: Place::file(),
        what: error.to_string(),
        remedy: "report this".to_owned(),
    })?;
    Ok(Dataset {
        id,
        version: "0.1.0".to_owned(),
        status: DatasetStatus::Draft,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source,
        others: Vec::new(),
        storage: StoragePolicy::default(),
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile {
            metrics: vec![
                Metric::NullPercent,
                Metric::DistinctCount,
                Metric::Min,
                Metric::Sum,
            ],
            ..Profile::default()
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy {
            target_bytes: SAMPLE_BYTES,
            distinct_limit: 1_000_000,
            ..ScanPolicy::default()
        },
    })
}

/// The format by the names of the files, else by the first bytes of the first.
fn guess_format(objects: &Objects, path: &str) -> Result<Format, ScanError> {
    let mut by_kind: BTreeMap<FormatKind, usize> = BTreeMap::new();
    let mut listing: Vec<ObjectRef> = Vec::new();
    for item in objects.walk("") {
        match item {
            Ok(object) if crate::delta::log::is_of_log(&object.path) => {
                return Ok(Format::of(FormatKind::Delta));
            }
            Ok(object) if !is_hidden(&object.path) => listing.push(object),
            Ok(_) | Err(ScanError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    for object in &listing {
        if let Some(kind) = format_by_name(&object.path) {
            *by_kind.entry(kind).or_default() += 1;
        }
    }
    let named = by_kind
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(kind, _)| kind);
    let readable: Vec<&ObjectRef> = listing
        .iter()
        .filter(|object| object.size > 0)
        .filter(|object| named.is_none() || format_by_name(&object.path) == named)
        .collect();
    let mut examples = readable.iter().map(|object| head(objects, object));
    // The first that can be read; the reason of the first that cannot, when none can.
    let Some(first) = examples.next() else {
        return Err(ScanError::Definition {
            path: path.to_owned(),
            place: Place::file(),
            what: "no file with data was found".to_owned(),
            remedy: "name a folder or file with Parquet, CSV, JSON lines, Avro or Arrow".to_owned(),
        });
    };
    let head_of_first = match first {
        Ok(head) => head,
        Err(error) => examples.find_map(Result::ok).ok_or(error)?,
    };
    let kind = named.unwrap_or(match head_of_first.trim_ascii_start() {
        [b'P', b'A', b'R', b'1', ..] => FormatKind::Parquet,
        [b'O', b'b', b'j', 1, ..] => FormatKind::Avro,
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => FormatKind::Arrow,
        [b'{', ..] => FormatKind::Ndjson,
        _ => FormatKind::Csv,
    });
    let mut format = Format::of(kind);
    if kind == FormatKind::Csv {
        sniff::marks(&head_of_first, &mut format);
        let others = spread(readable.len()).into_iter().skip(1);
        let others = others.filter_map(|at| head(objects, readable[at]).ok());
        let heads = std::iter::once(head_of_first).chain(others);
        sniff::null_tokens(heads, &mut format);
    }
    Ok(format)
}

/// The first plain bytes of an object.
///
/// # Errors
/// [`ScanError`] when it cannot be read or unpacked.
pub(crate) fn head(objects: &Objects, object: &ObjectRef) -> Result<Vec<u8>, ScanError> {
    let reader = objects.reader(object)?;
    let failed = std::cell::Cell::new(None);
    let mut plain = crate::compress::Plain::open(&reader, 0, reader.size(), &failed)?;
    let mut head = vec![0; 64 << 10];
    let length = plain.fill(&mut head)?;
    head.truncate(length);
    Ok(head)
}

fn columns(
    dataset: &Dataset,
    samples: &[TableState],
    objects: &[ObjectRef],
    context: &ScanContext,
) -> Vec<ColumnFacts> {
    let mut merged = TableState::default();
    samples.iter().for_each(|sample| merged.merge(sample));
    merged.fill_unnamed();
    let mut names: Vec<&String> = merged.columns.keys().collect();
    names.retain(|name| !is_nameless(name));
    let shapes = &merged.schema.columns;
    names.sort_by_key(|name| {
        shapes
            .get(*name)
            .and_then(|shape| shape.ordinals.first().copied())
    });
    let texts = crate::text::written::is_of(dataset.source.format.kind);
    let facts = |name: &String| {
        let column = &merged.columns[name];
        let each = || samples.iter().filter_map(|sample| sample.columns.get(name));
        let logical_type = logical_type(column, texts);
        let exact =
            |c: &ColumnState| matches!(c.distinct_count(), Ok((n, None)) if n == c.counts.rows);
        let unique = merged.rows >= 20 && each().all(exact);
        let few = matches!(column.distinct_count(), Ok((n, None)) if n > 0 && n <= FEW && n * 10 <= column.counts.non_null());
        let allowed = (few && logical_type == Some(LogicalType::String))
            .then(|| allowed(dataset, name, objects, context))
            .flatten();
        ColumnFacts {
            name: name.clone(),
            logical_type,
            physical_type: None,
            null_percent: column.null_percent(),
            required: merged.rows > 0 && column.counts.nulls == 0 && merged.rows_without(name) == 0,
            unique,
            allowed,
        }
    };
    names.into_iter().map(facts).collect()
}

/// Names the types that keep the digits of columns of numbers.
fn add_decimals(
    columns: &mut [ColumnFacts],
    dataset: &Dataset,
    specs: &[MeasureSpec],
    context: &ScanContext,
) {
    let is_number = |c: &&ColumnFacts| c.logical_type == Some(LogicalType::Number);
    let numbers = columns.iter().filter(is_number);
    let numbers: Vec<String> = numbers.map(|c| c.name.clone()).collect();
    let mut decimals = decimals::of_sample(dataset, &numbers, specs, context);
    for column in columns {
        column.physical_type = decimals.remove(&column.name);
    }
}

fn is_nameless(column: &str) -> bool {
    column.trim().is_empty()
}

/// The type that all values of a column have; `None` for a column without values or of mixed kinds.
/// Where texts are all that a format has, what they read as is their type.
fn logical_type(column: &ColumnState, texts: bool) -> Option<LogicalType> {
    if column.counts.non_null() == 0 {
        return None;
    }
    let kinds: Vec<Kind> = column.kinds.iter().copied().collect();
    let numeric = |c: &ColumnState| match c.extremes().ok().flatten().map(|e| e.value) {
        Some((Scalar::Int(_), Scalar::Int(_)))
            if c.sums.get().is_some_and(|s| s.floats.count() == 0) =>
        {
            LogicalType::Integer
        }
        _ => LogicalType::Number,
    };
    match kinds.as_slice() {
        [Kind::Int] => Some(LogicalType::Integer),
        [Kind::Untyped] if column.is_numeric() => Some(numeric(column)),
        [Kind::Untyped | Kind::Text] if texts => Some(text_type(column)),
        [Kind::Text] => Some(LogicalType::String),
        [Kind::Bool] => Some(LogicalType::Boolean),
        [Kind::Date] => Some(LogicalType::Date),
        [Kind::Time] => Some(LogicalType::Time),
        [Kind::Timestamp] => Some(LogicalType::Timestamp),
        [Kind::Binary] => Some(LogicalType::String),
        _ if column.is_numeric() => Some(LogicalType::Number),
        _ => None,
    }
}

/// The type of texts by the first and the last of them in their order.
fn text_type(column: &ColumnState) -> LogicalType {
    let Some((Scalar::Text(low), Scalar::Text(high))) =
        column.extremes().ok().flatten().map(|e| e.value)
    else {
        return LogicalType::String;
    };
    let both = |test: &dyn Fn(&[u8]) -> bool| test(&low.bytes) && test(&high.bytes);
    if both(&|text| text.len() == 10 && values::date(text).is_some()) {
        LogicalType::Date
    } else if both(&|text| text.len() > 10 && values::timestamp(text, &TimeZone::UTC).is_some()) {
        LogicalType::Timestamp
    } else if both(&|text| text.len() > 3 && values::boolean(text).is_some()) {
        LogicalType::Boolean
    } else {
        LogicalType::String
    }
}

/// The values of a column of a text format: the keys that it would cut the sample into.
fn allowed(
    dataset: &Dataset,
    column: &str,
    objects: &[ObjectRef],
    context: &ScanContext,
) -> Option<Vec<String>> {
    let mut dataset = dataset.clone();
    dataset.partitions.layout = Layout::Column {
        column: column.to_owned(),
        granularity: None,
    };
    let source = Objects::open(&dataset.source, context).ok()?;
    let mut met = BTreeSet::new();
    for object in objects
        .iter()
        .filter(|object| object.size <= 2 * SAMPLE_BYTES)
    {
        let reader = source.reader(object).ok()?;
        let keys = match dataset.source.format.kind {
            FormatKind::Csv => csv::keys(&dataset, &reader, context).ok()?,
            FormatKind::Ndjson => ndjson::keys(&dataset, &reader, context).ok()?,
            _ => return None,
        };
        met.extend(keys.into_keys().map(|key| key.0));
    }
    met.remove(crate::discover::value::NULL_KEY);
    (!met.is_empty() && met.len() as u64 <= FEW).then(|| met.into_iter().collect())
}

fn checks(columns: &[ColumnFacts], samples: &[TableState], now: Timestamp) -> Vec<Check> {
    let check = |id: String, metric: MetricKey, expect: Expectation, dimension: &str| Check {
        id: CheckId::new(id),
        metric,
        expect,
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: Some(dimension.to_owned()),
        description: None,
        line: None,
        tags: Vec::new(),
    };
    let rows = MetricKey::table(Metric::RowCount);
    let some = Expectation::MustBeGreaterThan(Bound::from(0));
    let mut checks = vec![check("row_count".to_owned(), rows, some, "completeness")];
    for column in columns {
        if let Some(values) = &column.allowed {
            let metric = MetricKey::column(Metric::InvalidCount, column.name.clone())
                .with_args(&serde_json::json!({ "validValues": values }));
            let none = Expectation::MustBe(Bound::from(0));
            checks.push(check(
                format!("{}_known", column.name),
                metric,
                none,
                "conformity",
            ));
        }
    }
    let latest = |name: &str| {
        let latest = |s: &TableState| s.columns.get(name)?.latest().ok().flatten();
        samples.iter().filter_map(latest).max()
    };
    const DAY: i128 = 86_400 * 1_000_000_000;
    for column in columns
        .iter()
        .filter(|c| c.logical_type == Some(LogicalType::Timestamp))
    {
        // Data that has ended years ago is not late, and what lies ahead is no time of arrival.
        let age = latest(&column.name).map(|at| now.as_nanosecond() - at);
        if age.is_some_and(|age| (-DAY..7 * DAY).contains(&age)) {
            let metric = MetricKey::column(Metric::Latency, column.name.clone());
            let two_days = Expectation::MustBeLessThan(Bound::from(2 * 86_400));
            checks.push(check(
                format!("{}_fresh", column.name),
                metric,
                two_days,
                "timeliness",
            ));
            break;
        }
    }
    checks
}
