//! Queries as the work of a task process.
//!
//! In: a batch that asks the queries or a filter of a dataset, from the node. Out: a state with
//! their answers, and with the metrics of the rows that a filter keeps. A query that has no answer
//! is answered with the reason; only files that changed since they were listed fail the task, since
//! another look may find them settled.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use assay_datanode::runner::child::{self, ChildWork, Reaching};
use assay_metrics::{Answer as Stated, AnswerValue, TableState};
use assay_model::check::Check;
use assay_model::dataset::Dataset;
use assay_model::metric::{Metric, MetricKey};
use assay_model::output::{MeasuredPartition, TaskOutput};
use assay_model::partition::Partition;
use assay_model::task::{AttemptOutcome, MeasureSpec, TaskFailure};
use assay_scan::columnar::{Feed, Rows};
use assay_scan::plan::of_filter;
use assay_scan::{ErrorClass, ScanContext, ScanError};

use crate::error::QueryError;
use crate::request::{Answer, Limits, Number, Request, Source, Table, Want};
use crate::samples::{self, Samples};
use crate::{others, threads, within};

/// Longest time of one query.
const TIME: Duration = Duration::from_secs(120);
/// Rows that are shown of a failed-rows query.
const SAMPLE_ROWS: u32 = 5;
/// Bytes of JSON that they take at most.
const SAMPLE_BYTES: u64 = 4096;

/// Serves queries of the node that started this process; returns when the node leaves.
#[must_use]
pub fn serve() -> ExitCode {
    child::serve_prepared(
        work,
        Some(Reaching {
            make: assay_sources::reach,
            warm: assay_sources::warm,
        }),
        threads::prepare,
    )
}

/// The answers to what a batch asks.
///
/// # Errors
/// When the files are others than listed, or the work is no query.
pub fn work(work: &ChildWork<'_>, context: &ScanContext) -> Result<TaskOutput, TaskFailure> {
    let ChildWork::Measure { dataset, spec } = work else {
        return Err(permanent("this program answers SQL and nothing else"));
    };
    let [partition] = spec.partitions.as_slice() else {
        return Err(permanent("queries are put to one partition at a time"));
    };
    let asked = Asked {
        dataset,
        spec,
        context,
        partition,
    };
    let mut state = TableState::default();
    asked.rows(&mut state)?;
    let of_rows = |check: &Check| dataset.shows_rows(check) && check.metric.filter.is_empty();
    for check in dataset.asking().filter(|check| !of_rows(check)) {
        let name = check.metric.asked();
        if state.answers.contains_key(&name) || state.filtered.contains_key(&check.metric.filter) {
            continue;
        }
        asked.ask(check, name, &mut state)?;
    }
    Ok(TaskOutput::Measured(vec![MeasuredPartition {
        partition: partition.key.clone(),
        rows: state.rows,
        state: state.encode(),
    }]))
}

/// The reason that is the answer; what another look may mend fails the task instead.
fn told(error: QueryError) -> Result<String, TaskFailure> {
    match error {
        QueryError::Scan(error) => {
            let outcome = match error.class() {
                ErrorClass::Permanent => return Ok(error.to_string()),
                // Nobody's fault, and no attempt is charged for it.
                ErrorClass::Away => AttemptOutcome::DependencyDown,
                _ => AttemptOutcome::Retryable,
            };
            let message = error.to_string();
            Err(TaskFailure { outcome, message })
        }
        error => Ok(error.to_string()),
    }
}

/// What a filter keeps: the state of its rows, and those of them that break rules.
type Kept = (TableState, Vec<(String, Stated)>);

fn permanent(why: &str) -> TaskFailure {
    TaskFailure {
        outcome: AttemptOutcome::Permanent,
        message: why.to_owned(),
    }
}

struct Asked<'a> {
    dataset: &'a Dataset,
    spec: &'a MeasureSpec,
    context: &'a ScanContext,
    partition: &'a Partition,
}

impl Asked<'_> {
    fn ask(&self, check: &Check, name: String, state: &mut TableState) -> Result<(), TaskFailure> {
        let ended = match check.metric.sql() {
            Some(sql) => self.query(check, &sql).map(|answer| {
                state.answers.insert(name.clone(), answer);
            }),
            None => self.filtered(&check.metric.filter).map(|(kept, shown)| {
                state.filtered.insert(check.metric.filter.clone(), kept);
                state.answers.extend(shown);
            }),
        };
        if let Err(error) = ended {
            state.answers.insert(name, Stated::failed(told(error)?));
        }
        Ok(())
    }

    fn query(&self, check: &Check, sql: &str) -> Result<Stated, QueryError> {
        let want = if check.metric.metric == Metric::FailedRows {
            Want::Rows { cap: SAMPLE_ROWS }
        } else {
            Want::Number
        };
        let mut request = self.request(sql, want)?;
        request.property = (!check.metric.column.is_empty()).then(|| check.metric.column.clone());
        Ok(
            match within(&request, self.limits(), self.context, |_| Ok(()))? {
                Answer::Number { value, notes } => Stated {
                    value: Ok(match value {
                        None => AnswerValue::Null,
                        Some(Number::Exact(digits)) => AnswerValue::Exact(digits),
                        Some(Number::Double(value)) => AnswerValue::Float(value),
                    }),
                    samples: notes,
                },
                Answer::Rows {
                    total,
                    columns,
                    sample,
                    ..
                } => {
                    let object = |row| samples::object(&columns, row);
                    Stated {
                        value: Ok(AnswerValue::Exact(total.to_string())),
                        samples: sample.into_iter().map(object).collect(),
                    }
                }
                Answer::Filtered { .. } => Stated::failed("a filter was answered to a query"),
            },
        )
    }

    /// The checks of the rows that `filter` keeps of which some are to be shown.
    fn showing<'a>(&'a self, filter: &str) -> Vec<&'a MetricKey> {
        let shown = self.dataset.asking().filter(|c| self.dataset.shows_rows(c));
        let metrics = shown.map(|check| &check.metric);
        metrics.filter(|metric| metric.filter == filter).collect()
    }

    /// Rows that break rules on rows, where they are to be shown. All are looked for in one
    /// reading; if a column cannot be read, each rule's own columns by themselves.
    fn rows(&self, state: &mut TableState) -> Result<(), TaskFailure> {
        let metrics = self.showing("");
        if metrics.is_empty() {
            return Ok(());
        }
        let rows = match self.open() {
            Ok(rows) => rows,
            Err(error) => {
                let why = told(error.into())?;
                for metric in metrics {
                    state
                        .answers
                        .insert(metric.rows(), Stated::failed(why.as_str()));
                }
                return Ok(());
            }
        };
        let read = |metrics: &[&MetricKey], around| {
            let shown = Samples::new(self.dataset, metrics, &rows.schema(), around);
            shown.read(rows.as_ref(), self.context)
        };
        match read(&metrics, true) {
            Ok(found) => state.answers.extend(found),
            Err(error) => {
                told(error)?;
                for metric in metrics {
                    match read(&[metric], false) {
                        Ok(found) => state.answers.extend(found),
                        Err(error) => {
                            let why = told(error)?;
                            state.answers.insert(metric.rows(), Stated::failed(why));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn open(&self) -> Result<Arc<dyn assay_rows::Rows>, ScanError> {
        let slices = self.spec.slices.iter();
        let listed: Vec<_> = slices.map(|slice| slice.object.clone()).collect();
        assay_rows::open(self.dataset, &listed, Some(self.partition), self.context)
    }

    /// The rows that a filter keeps.
    fn filtered(&self, condition: &str) -> Result<Kept, QueryError> {
        let metrics = self.showing(condition);
        let mut shown: Option<Samples> = None;
        let own = of_filter(self.dataset, condition);
        let request = self.request(
            condition,
            Want::Filter {
                columns: Vec::new(),
            },
        )?;
        let path = format!("rows where {condition}");
        let mut feed: Option<Feed<'_>> = None;
        within(&request, self.limits(), self.context, |batch| {
            let fed = match &mut feed {
                Some(feed) => feed,
                None => {
                    let (rows, schema) = (Rows::Of(self.partition.key.clone()), batch.schema());
                    shown = Some(Samples::new(self.dataset, &metrics, &schema, true));
                    feed.insert(Feed::new(&own, &schema, rows, &path, self.context)?)
                }
            };
            if let Some(shown) = &mut shown {
                shown.take(&batch, self.context)?;
            }
            Ok(fed.add(&batch)?)
        })?;
        let mut states = feed.map(|feed| feed.finish(0, true)).unwrap_or_default();
        let kept = states.remove(&self.partition.key).unwrap_or_default();
        Ok((kept, shown.map(Samples::finish).unwrap_or_default()))
    }

    fn limits(&self) -> Limits {
        Limits {
            memory_bytes: self.context.memory_bytes,
            time: TIME,
            answer_bytes: SAMPLE_BYTES,
        }
    }

    fn masked(&self) -> Vec<String> {
        let masked = self.dataset.columns.iter().filter(|column| column.masked);
        masked.map(|column| column.name.clone()).collect()
    }

    fn request(&self, sql: &str, want: Want) -> Result<Request, QueryError> {
        let object = self.dataset.id.as_str().to_owned();
        let listed = self.spec.slices.iter().map(|slice| slice.object.clone());
        let mut tables = vec![Table {
            name: object.clone(),
            rows: Source::Files {
                dataset: Box::new(self.dataset.clone()),
                objects: listed.collect(),
                partition: Some(Box::new(self.partition.clone())),
            },
        }];
        for other in &self.dataset.others {
            // Who does not name it does not wait for it, nor fail with it.
            if child::names(sql, &other.server) {
                let table = others::table(self.dataset, other, self.partition, self.context)?;
                tables.push(table);
            }
        }
        Ok(Request {
            tables,
            object,
            property: None,
            partition: self.partition.key.as_str().to_owned(),
            sql: sql.to_owned(),
            want,
            masked: self.masked(),
        })
    }
}
