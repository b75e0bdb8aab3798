//! Rows that break a rule on rows.
//!
//! In: metrics that count rows, and the rows that they were measured of. Out: for each the first
//! rows that it counts, in the order of the files, without what is masked. Whether a row counts is
//! told by the measuring itself, of ever smaller parts of a batch: what is shown breaks the very
//! rule that is judged.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use assay_metrics::{Answer as Stated, AnswerValue};
use assay_model::dataset::{Dataset, FormatKind};
use assay_model::metric::MetricKey;
use assay_rows::Rows;
use assay_scan::ScanContext;
use assay_scan::columnar::Failing;
use assay_scan::text::written;

use crate::answer::{Sample, cut};
use crate::error::QueryError;

/// Columns of a row that are shown, where no key tells it.
const COLUMNS: usize = 20;
/// Bytes of JSON that the rows of a check take at most.
const BYTES: u64 = 4096;

/// A row as a JSON object, its columns in their order.
pub(crate) fn object(columns: &[String], row: Vec<serde_json::Value>) -> String {
    let member = |(name, value): (&String, serde_json::Value)| {
        format!("{}:{value}", serde_json::Value::from(name.as_str()))
    };
    let members: Vec<String> = columns.iter().zip(row).map(member).collect();
    format!("{{{}}}", members.join(","))
}

/// Gathers the rows of several metrics in one reading.
pub(crate) struct Samples {
    schema: SchemaRef,
    /// The columns that are read, by their places in the schema.
    read: Vec<usize>,
    each: Vec<OfMetric>,
    /// The format of text files, whose values are shown as they are written.
    written: Option<FormatKind>,
}

struct OfMetric {
    key: MetricKey,
    failing: Failing,
    /// The columns that are shown, by their places in the schema.
    columns: Vec<usize>,
    sample: Sample,
}

impl Samples {
    /// For rows of this schema. `around` shows other columns beside those that a metric looks at.
    pub(crate) fn new(
        dataset: &Dataset,
        metrics: &[&MetricKey],
        schema: &SchemaRef,
        around: bool,
    ) -> Self {
        let most = dataset.scan.sample_rows as usize;
        let is_written = written::is_of(dataset.source.format.kind);
        // Names of text as it is written say so where types are beside it.
        let plain = |field: &FieldRef| match is_written {
            true => Arc::new(written::field(written::plain(field.name()))),
            false => Arc::clone(field),
        };
        let schema = &Arc::new(Schema::new(
            schema.fields().iter().map(plain).collect::<Vec<_>>(),
        ));
        let is_masked = |at: &usize| dataset.is_masked(schema.field(*at).name());
        let mut each = Vec::new();
        let mut read = Vec::new();
        for key in metrics {
            // Of a column that is not there the metric itself says so.
            let Some(failing) = Failing::new(dataset, key, schema) else {
                continue;
            };
            let columns = match around {
                true => shown(dataset, failing.columns(), schema),
                false => failing.columns().to_vec(),
            };
            read.extend(columns.iter().chain(failing.columns()).copied());
            let hidden = columns.iter().map(is_masked).collect();
            each.push(OfMetric {
                key: (*key).clone(),
                failing,
                columns,
                sample: Sample::new(most, hidden, BYTES),
            });
        }
        read.sort_unstable();
        read.dedup();
        Self {
            schema: Arc::clone(schema),
            read,
            each,
            written: Some(dataset.source.format.kind).filter(|_| is_written),
        }
    }

    /// Reads rows until there are enough.
    pub(crate) fn read(
        mut self,
        rows: &dyn Rows,
        context: &ScanContext,
    ) -> Result<Vec<(String, Stated)>, QueryError> {
        if self.each.is_empty() {
            return Ok(Vec::new());
        }
        let mut ended = Ok(());
        rows.read(&self.read.clone(), context, &mut |batch| {
            let whole = self.whole(&batch);
            ended = whole.and_then(|batch| self.take(&batch, context));
            ended.is_ok() && self.each.iter().any(|of| of.sample.wants_more())
        })?;
        ended?;
        Ok(self.finish())
    }

    /// Takes a batch with all columns of the schema.
    pub(crate) fn take(
        &mut self,
        batch: &RecordBatch,
        context: &ScanContext,
    ) -> Result<(), QueryError> {
        let broke = |error: arrow::error::ArrowError| QueryError::Broke(error.to_string());
        for of in &mut self.each {
            if !of.sample.wants_more() {
                continue;
            }
            let found = of.failing.find(batch, of.sample.room(), context)?;
            if found.is_empty() {
                continue;
            }
            let places: UInt64Array = found.iter().map(|row| *row as u64).collect();
            let shown = batch.project(&of.columns).map_err(broke)?;
            let shown = take_record_batch(&shown, &places).map_err(broke)?;
            match self.written {
                None => of.sample.take(&shown)?,
                Some(kind) => {
                    let cell = |at, row| written_cell(kind, shown.column(at), row);
                    of.sample.take_cells(&shown, cell);
                }
            }
        }
        Ok(())
    }

    /// The rows of each metric, by what they are called in a state.
    pub(crate) fn finish(self) -> Vec<(String, Stated)> {
        let schema = self.schema;
        let stated = |of: OfMetric| {
            let name = |at: &usize| schema.field(*at).name().clone();
            let names: Vec<String> = of.columns.iter().map(name).collect();
            let rows = of.sample.rows.into_iter();
            let samples: Vec<String> = rows.map(|row| object(&names, row)).collect();
            let value = Ok(AnswerValue::Exact(samples.len().to_string()));
            (of.key.rows(), Stated { value, samples })
        };
        self.each.into_iter().map(stated).collect()
    }

    /// A batch with all columns of the schema, those that were not read as NULL.
    fn whole(&self, batch: &RecordBatch) -> Result<RecordBatch, QueryError> {
        let column = |at: usize| match self.read.binary_search(&at) {
            Ok(place) => Arc::clone(batch.column(place)),
            Err(_) => {
                let of = self.schema.field(at).data_type();
                arrow::array::new_null_array(of, batch.num_rows())
            }
        };
        let fields = self.schema.fields().iter();
        let nullable = fields.map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Schema::new(nullable.collect::<Vec<_>>());
        let columns = (0..self.schema.fields().len()).map(column).collect();
        RecordBatch::try_new(Arc::new(schema), columns)
            .map_err(|error| QueryError::Broke(error.to_string()))
    }
}

/// A value as it is written: a number where it is spelt as JSON spells it, else a text.
fn written_cell(kind: FormatKind, column: &ArrayRef, row: usize) -> serde_json::Value {
    let text = String::from_utf8_lossy(column.as_binary::<i32>().value(row));
    let read = serde_json::from_str::<serde_json::Value>(&text).ok();
    let is_exact = |number: &serde_json::Number| {
        number.as_i64().is_some_and(|n| n.unsigned_abs() <= 1 << 53) || number.is_f64()
    };
    match read {
        // Beyond that a reader of JSON may lose digits.
        Some(serde_json::Value::Number(number))
            if is_exact(&number) && number.to_string() == text =>
        {
            number.into()
        }
        Some(value @ (serde_json::Value::Bool(_) | serde_json::Value::Null))
            if kind == FormatKind::Ndjson =>
        {
            value
        }
        Some(serde_json::Value::String(text)) if kind == FormatKind::Ndjson => cut(&text).into(),
        _ => cut(&text).into(),
    }
}

/// The columns that are shown: the key and those of the rule; without a key, the first ones.
fn shown(dataset: &Dataset, of_rule: &[usize], schema: &Schema) -> Vec<usize> {
    let of_key = dataset.columns.iter().filter(|c| c.primary_key.is_some());
    let mut columns: Vec<usize> = of_key
        .filter_map(|column| schema.index_of(&column.name).ok())
        .collect();
    if columns.is_empty() {
        columns = (0..schema.fields().len().min(COLUMNS)).collect();
    }
    for at in of_rule {
        if !columns.contains(at) {
            columns.push(*at);
        }
    }
    columns
}
