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
use assay_model::beside::Beside;
use assay_model::check::Check;
use assay_model::dataset::{Dataset, Location};
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::ASKED_AGAIN;
use assay_model::output::{MeasuredPartition, TaskOutput};
use assay_model::partition::Partition;
use assay_model::task::{AttemptOutcome, MeasureSpec, TaskFailure};
use assay_rows::As;
use assay_scan::columnar::{Feed, Rows};
use assay_scan::plan::of_filter;
use assay_scan::text::written::{self, Written};
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

/// The reason that is the answer; what another look may mend fails the task instead. `is_final`:
/// whether what cannot be read for good is so as long as the partition is as it is. A server that
/// refuses (a login, a right) does so until someone mends that, and not the partition.
fn told(error: &QueryError, is_final: bool) -> Result<String, TaskFailure> {
    let scan = match error {
        // Another hour may leave it more of the machine.
        QueryError::Time { .. } => return Ok(again(error)),
        QueryError::Scan(scan) => scan,
        _ => return Ok(error.to_string()),
    };
    let outcome = match scan.class() {
        ErrorClass::Permanent if is_final => return Ok(scan.to_string()),
        ErrorClass::Permanent => return Ok(again(error)),
        // Nobody's fault, and no attempt is charged for it.
        ErrorClass::Away => AttemptOutcome::DependencyDown,
        _ => AttemptOutcome::Retryable,
    };
    let message = scan.to_string();
    Err(TaskFailure { outcome, message })
}

/// A reason that may pass.
fn again(error: &QueryError) -> String {
    format!("{error}; {ASKED_AGAIN}")
}

/// What a filter keeps: the state of its rows, and those of them that break rules.
type Kept = (TableState, Vec<(String, Stated)>);

fn permanent(why: &str) -> TaskFailure {
    TaskFailure {
        outcome: AttemptOutcome::Permanent,
        message: why.to_owned(),
    }
}

/// What measures the rows that a filter keeps: text as it is written, as it is without a filter.
enum Fed<'a> {
    Written(Box<Written<'a>>),
    Typed(Box<Feed<'a>>),
}

struct Asked<'a> {
    dataset: &'a Dataset,
    spec: &'a MeasureSpec,
    context: &'a ScanContext,
    partition: &'a Partition,
}

impl Asked<'_> {
    fn told(&self, error: &QueryError) -> Result<String, TaskFailure> {
        let location = &self.dataset.source.location;
        told(error, matches!(location, Location::Local { .. }))
    }

    fn ask(&self, check: &Check, name: String, state: &mut TableState) -> Result<(), TaskFailure> {
        let sql = check.metric.sql();
        let text = sql.as_deref().unwrap_or(&check.metric.filter);
        let (beside, others) = self.others(text);
        if !beside.is_empty() {
            let samples = beside.iter().map(ToString::to_string).collect();
            let value = Ok(AnswerValue::Null);
            let read = Stated { value, samples };
            state.answers.insert(check.metric.beside(), read);
        }
        let others = match others {
            Ok(others) => others,
            Err(error) => {
                let why = told(&error, false)?;
                state.answers.insert(name, Stated::failed(why));
                return Ok(());
            }
        };
        let ended = match &sql {
            Some(sql) => self.query(check, sql, others).map(|answer| {
                state.answers.insert(name.clone(), answer);
            }),
            None => self.filtered(text, others).map(|(kept, shown)| {
                state.filtered.insert(text.to_owned(), kept);
                state.answers.extend(shown);
            }),
        };
        if let Err(error) = ended {
            state
                .answers
                .insert(name, Stated::failed(self.told(&error)?));
        }
        Ok(())
    }

    fn query(&self, check: &Check, sql: &str, others: Vec<Table>) -> Result<Stated, QueryError> {
        let want = if check.metric.metric == Metric::FailedRows {
            Want::Rows { cap: SAMPLE_ROWS }
        } else {
            Want::Number
        };
        let mut request = self.request(sql, want, others);
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
                let why = self.told(&QueryError::Scan(error))?;
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
                self.told(&error)?;
                for metric in metrics {
                    match read(&[metric], false) {
                        Ok(found) => state.answers.extend(found),
                        Err(error) => {
                            let why = self.told(&error)?;
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
        let (of, as_) = (Some(self.partition), As::Written);
        assay_rows::open_as(self.dataset, &listed, of, as_, self.context)
    }

    /// The rows that a filter keeps.
    fn filtered(&self, condition: &str, others: Vec<Table>) -> Result<Kept, QueryError> {
        let metrics = self.showing(condition);
        let mut shown: Option<Samples> = None;
        let own = of_filter(self.dataset, condition);
        let want = Want::Filter {
            columns: Vec::new(),
            written: true,
        };
        let request = self.request(condition, want, others);
        let path = format!("rows where {condition}");
        let mut feed: Option<Fed<'_>> = None;
        within(&request, self.limits(), self.context, |batch| {
            let fed = match &mut feed {
                Some(feed) => feed,
                None => {
                    let schema = batch.schema();
                    shown = Some(Samples::new(self.dataset, &metrics, &schema, true));
                    feed.insert(if written::is_of(own.source.format.kind) {
                        Fed::Written(Box::new(Written::new(&own, &schema, self.context)?))
                    } else {
                        let rows = Rows::Of(self.partition.key.clone());
                        let feed = Feed::new(&own, &schema, rows, &path, self.context)?;
                        Fed::Typed(Box::new(feed))
                    })
                }
            };
            if let Some(shown) = &mut shown {
                shown.take(&batch, self.context)?;
            }
            match fed {
                Fed::Written(feed) => feed.add(&batch)?,
                Fed::Typed(feed) => feed.add(&batch)?,
            }
            Ok(())
        })?;
        let kept = match feed {
            Some(Fed::Written(feed)) => feed.finish(),
            Some(Fed::Typed(feed)) => {
                let mut states = feed.finish(0, true);
                states.remove(&self.partition.key).unwrap_or_default()
            }
            None => TableState::default(),
        };
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

    /// The tables of the other servers that a text names, and what is read of them.
    fn others(&self, sql: &str) -> (Vec<Beside>, Result<Vec<Table>, QueryError>) {
        let (mut read, mut tables) = (Vec::new(), Ok(Vec::new()));
        // Who does not name it does not wait for it, nor fail with it.
        let others = self.dataset.others.iter();
        for other in others.filter(|other| child::names(sql, &other.server)) {
            let (beside, table) = others::table(self.dataset, other, self.partition, self.context);
            read.extend(beside);
            match (table, &mut tables) {
                (Ok(table), Ok(tables)) => tables.push(table),
                (Err(error), Ok(_)) => tables = Err(error),
                (_, Err(_)) => {}
            }
        }
        (read, tables)
    }

    fn request(&self, sql: &str, want: Want, others: Vec<Table>) -> Request {
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
        tables.extend(others);
        Request {
            tables,
            object,
            property: None,
            partition: self.partition.key.as_str().to_owned(),
            sql: sql.to_owned(),
            want,
            masked: self.masked(),
        }
    }
}
