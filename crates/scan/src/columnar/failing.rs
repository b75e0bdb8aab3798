//! Which rows of a batch a metric counts.
//!
//! In: a metric that counts rows, each of which breaks a rule by itself, and batches in the order
//! of the partition's rows. Out: places of the first such rows. They are found by counting halves
//! of a batch with the very code that counts the partition, so that what is shown is what was
//! counted. It must never show a row that the metric does not count.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use assay_metrics::KeyBuilder;
use assay_model::dataset::Dataset;
use assay_model::metric::MetricKey;
use assay_model::partition::PartitionKey;

use super::cells::Cells;
use super::{Feed, Rows, types};
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::parquet::rows::add_to_key;
use crate::plan::key_columns;
use crate::points::broken_rows;
use crate::text::written::{self, Written};

/// Keys of which it is remembered that they were met; later rows are not looked at.
const KEYS_MAX: usize = 1 << 21;
/// What errors call the place.
const PATH: &str = "rows that break a check";

/// Finds the rows that a metric counts.
#[derive(Debug)]
pub struct Failing {
    key: MetricKey,
    /// The definition with nothing but the metric.
    dataset: Dataset,
    columns: Vec<usize>,
    schema: SchemaRef,
    met: Option<HashSet<u128>>,
    /// Whether the columns hold text as it is written.
    is_written: bool,
}

impl Failing {
    /// For batches of this schema, of text files with the values [as they are
    /// written](crate::text::written); `None` where the metric counts no rows, or its columns are not
    /// there.
    #[must_use]
    pub fn new(dataset: &Dataset, key: &MetricKey, schema: &Schema) -> Option<Self> {
        if !key.metric.is_of_single_rows() {
            return None;
        }
        let place = |name: &str| schema.index_of(name).ok();
        let parts = key_columns(&key.column, |name| place(name).is_some());
        let columns: Option<Vec<usize>> = parts.into_iter().map(place).collect();
        let columns = columns.filter(|columns| !columns.is_empty())?;
        let schema = Arc::new(schema.project(&columns).ok()?);
        let mut own = dataset.clone();
        own.profile.metrics.clear();
        own.checks.retain(|check| check.metric == *key);
        own.checks.truncate(1);
        let key = MetricKey {
            filter: String::new(),
            ..key.clone()
        };
        for check in &mut own.checks {
            check.metric = key.clone();
        }
        let is_of_keys = key.metric.is_of_keys();
        Some(Self {
            key,
            dataset: own,
            columns,
            schema,
            met: is_of_keys.then(HashSet::new),
            is_written: written::is_of(dataset.source.format.kind),
        })
    }

    /// The places of its columns.
    #[must_use]
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The first `most` rows of the next batch that the metric counts.
    ///
    /// # Errors
    /// [`ScanError`] when values cannot be read, or the scan was stopped.
    pub fn find(
        &mut self,
        batch: &RecordBatch,
        most: usize,
        context: &ScanContext,
    ) -> Result<Vec<usize>, ScanError> {
        let own = batch.project(&self.columns);
        let own = own.map_err(|error| corrupt(&error))?;
        let mut found = Vec::new();
        if self.met.is_some() {
            context.check(PATH)?;
            self.met_before(&own, most, context, &mut found)?;
        } else {
            let quiet = ScanContext {
                cancelled: Arc::clone(&context.cancelled),
                ..ScanContext::new(context.memory_bytes)
            };
            self.narrow(&own, (0, own.num_rows()), most, &quiet, &mut found)?;
        }
        Ok(found)
    }

    /// Halves the rows until what is counted is single rows.
    fn narrow(
        &self,
        batch: &RecordBatch,
        (from, rows): (usize, usize),
        most: usize,
        context: &ScanContext,
        found: &mut Vec<usize>,
    ) -> Result<(), ScanError> {
        if found.len() >= most || rows == 0 {
            return Ok(());
        }
        if self.count(&batch.slice(from, rows), context)? == 0 {
            return Ok(());
        }
        if rows == 1 {
            found.push(from);
            return Ok(());
        }
        let half = rows / 2;
        self.narrow(batch, (from, half), most, context, found)?;
        self.narrow(batch, (from + half, rows - half), most, context, found)
    }

    /// How many of the rows the metric counts.
    fn count(&self, batch: &RecordBatch, context: &ScanContext) -> Result<u64, ScanError> {
        let state = if self.is_written {
            let mut feed = Written::new(&self.dataset, &self.schema, context)?;
            feed.add(batch)?;
            feed.finish()
        } else {
            let all = PartitionKey::all();
            let of = Rows::Of(all.clone());
            let mut feed = Feed::new(&self.dataset, &self.schema, of, PATH, context)?;
            feed.add(batch)?;
            feed.finish(0, true).remove(&all).unwrap_or_default()
        };
        let Some(column) = state.columns.get(&self.key.column) else {
            return Ok(0);
        };
        // What has no count has no rows to show; the metric says why.
        Ok(broken_rows(&self.key, column).unwrap_or(0))
    }

    /// Rows whose key was met before.
    fn met_before(
        &mut self,
        batch: &RecordBatch,
        most: usize,
        context: &ScanContext,
        found: &mut Vec<usize>,
    ) -> Result<(), ScanError> {
        let keys = match self.is_written {
            true => Written::new(&self.dataset, &self.schema, context)?.keys(batch)?,
            false => self.keys(batch)?,
        };
        let Some(met) = &mut self.met else {
            return Ok(());
        };
        for (row, key) in keys.into_iter().enumerate() {
            if found.len() >= most || (key.is_some() && met.len() >= KEYS_MAX) {
                return Ok(());
            }
            if key.is_some_and(|key| !met.insert(key)) {
                found.push(row);
            }
        }
        Ok(())
    }

    /// The key of each row; `None` with a NULL in it.
    fn keys(&self, batch: &RecordBatch) -> Result<Vec<Option<u128>>, ScanError> {
        let mut parts = Vec::with_capacity(batch.num_columns());
        for (array, field) in batch.columns().iter().zip(self.schema.fields()) {
            let cells = Cells::of(array).map_err(|what| corrupt(&what))?;
            parts.push((cells, types::meaning(field.data_type())));
        }
        let mut at = vec![0usize; parts.len()];
        let mut key = KeyBuilder::default();
        let mut keys = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let mut whole = true;
            for ((cells, meaning), at) in parts.iter().zip(&mut at) {
                if cells.is_valid(row) {
                    add_to_key(&mut key, *meaning, &cells.values, *at);
                    *at += 1;
                } else {
                    whole = false;
                }
            }
            keys.push(whole.then(|| key.finish()));
            key.clear();
        }
        Ok(keys)
    }
}

fn corrupt(what: &dyn std::fmt::Display) -> ScanError {
    ScanError::corrupt(PATH, Place::file(), what.to_string())
}
