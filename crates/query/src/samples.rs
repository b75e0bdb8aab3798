//! Rows that break a rule on rows.
//!
//! In: the rows of a partition, and checks whose metric counts rows. Out: for each the first rows
//! that it counts. Whether a row counts is told by the measuring itself, of ever smaller parts of a
//! batch: what is shown breaks the very rule that is judged.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use assay_metrics::{Answer as Stated, AnswerValue};
use assay_model::check::Check;
use assay_model::dataset::Dataset;
use assay_model::metric::MetricKey;
use assay_model::partition::Partition;
use assay_rows::Rows;
use assay_scan::columnar::{Feed, Rows as Whose};
use assay_scan::points::broken_rows;
use assay_scan::{Place, ScanContext, ScanError};

use crate::answer::Sample;
use crate::error::QueryError;

/// Columns of a row that are shown, where no key tells it.
const COLUMNS: usize = 20;
/// Bytes of JSON that the rows of a check take at most.
const BYTES: u64 = 4096;

/// The rows that break a check, as JSON objects, in the order of the files.
pub(crate) fn of_check(
    dataset: &Dataset,
    check: &Check,
    partition: &Partition,
    rows: &Arc<dyn Rows>,
    context: &ScanContext,
) -> Result<Stated, QueryError> {
    let schema = rows.schema();
    let columns = shown(dataset, &check.metric, rows.as_ref())?;
    let hidden = columns.iter().map(|at| {
        let name = schema.field(*at).name();
        dataset.columns.iter().any(|c| c.name == *name && c.masked)
    });
    let mut own = dataset.clone();
    own.profile.metrics.clear();
    own.checks = vec![check.clone()];
    let cap = dataset.scan.sample_rows as usize;
    let mut finding = Finding {
        dataset: &own,
        key: &check.metric,
        partition,
        context,
        sample: Sample::new(cap, hidden.collect(), BYTES),
    };
    let mut failed = None;
    rows.read(&columns, context, &mut |batch| match finding.look(&batch) {
        Ok(()) => finding.sample.wants_more(),
        Err(error) => {
            failed = Some(error);
            false
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let names = columns.iter().map(|at| schema.field(*at).name().clone());
    let names: Vec<String> = names.collect();
    let sample = finding.sample;
    Ok(Stated {
        value: Ok(AnswerValue::Exact(sample.rows.len().to_string())),
        samples: sample
            .rows
            .into_iter()
            .map(|row| object(&names, row))
            .collect(),
    })
}

/// A row as a JSON object, its columns in their order.
pub(crate) fn object(columns: &[String], row: Vec<serde_json::Value>) -> String {
    let member = |(name, value): (&String, serde_json::Value)| {
        format!("{}:{value}", serde_json::Value::from(name.as_str()))
    };
    let members: Vec<String> = columns.iter().zip(row).map(member).collect();
    format!("{{{}}}", members.join(","))
}

/// The columns that are shown: the key and that of the rule; without a key, the first ones.
fn shown(dataset: &Dataset, key: &MetricKey, rows: &dyn Rows) -> Result<Vec<usize>, ScanError> {
    let schema = rows.schema();
    let of_rule = schema.index_of(&key.column).map_err(|_| {
        let place = Place::file().in_column(&key.column);
        let what = "the column of the rule is not among those of the rows";
        ScanError::corrupt(dataset.source.location.address(), place, what)
    })?;
    let of_key = dataset.columns.iter().filter(|c| c.primary_key.is_some());
    let mut columns: Vec<usize> = of_key
        .filter_map(|column| schema.index_of(&column.name).ok())
        .collect();
    if columns.is_empty() {
        columns = (0..schema.fields().len().min(COLUMNS)).collect();
    }
    if !columns.contains(&of_rule) {
        columns.push(of_rule);
    }
    Ok(columns)
}

struct Finding<'a> {
    dataset: &'a Dataset,
    key: &'a MetricKey,
    partition: &'a Partition,
    context: &'a ScanContext,
    sample: Sample,
}

impl Finding<'_> {
    /// Takes the rows of a batch that break the rule, as long as more are wanted.
    fn look(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let rows = batch.num_rows();
        if rows == 0 || !self.sample.wants_more() || !self.has_any(batch)? {
            return Ok(());
        }
        if rows == 1 {
            return self.sample.take(batch);
        }
        let half = rows / 2;
        self.look(&batch.slice(0, half))?;
        self.look(&batch.slice(half, rows - half))
    }

    fn has_any(&self, batch: &RecordBatch) -> Result<bool, QueryError> {
        let whose = Whose::Of(self.partition.key.clone());
        let schema = batch.schema();
        let mut feed = Feed::new(self.dataset, &schema, whose, "rows of a rule", self.context)?;
        feed.add(batch)?;
        let mut states = feed.finish(0, true);
        let state = states.remove(&self.partition.key).unwrap_or_default();
        let column = state.columns.get(&self.key.column);
        Ok(column.and_then(|column| broken_rows(self.key, column)) > Some(0))
    }
}
