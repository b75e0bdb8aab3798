//! Queries as the work of a task process.
//!
//! In: a batch that asks the queries or a filter of a dataset, from the node. Out: a state with
//! their answers, and with the metrics of the rows that a filter keeps. A query that has no answer
//! is answered with the reason; only files that changed since they were listed fail the task, since
//! another look may find them settled.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use assay_datanode::runner::child::{self, ChildWork, Reaching};
use assay_metrics::{Answer as Stated, AnswerValue, TableState};
use assay_model::check::Check;
use assay_model::dataset::{Dataset, Location, Source as Server};
use assay_model::metric::Metric;
use assay_model::output::{MeasuredPartition, TaskOutput};
use assay_model::partition::{ObjectRef, PartitionKey};
use assay_model::task::{AttemptOutcome, MeasureSpec, TaskFailure};
use assay_scan::columnar::{Feed, Rows};
use assay_scan::discover::pattern::Pattern;
use assay_scan::object::Objects;
use assay_scan::plan::of_filter;
use assay_scan::{ErrorClass, ScanContext, ScanError};

use crate::error::QueryError;
use crate::request::{Answer, Limits, Number, Request, Source, Table, Want};
use crate::{filter, run, threads};

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
        key: &partition.key,
    };
    let mut state = TableState::default();
    for check in dataset.asking() {
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
    key: &'a PartitionKey,
}

impl Asked<'_> {
    fn ask(&self, check: &Check, name: String, state: &mut TableState) -> Result<(), TaskFailure> {
        let ended = match check.metric.sql() {
            Some(sql) => self.query(check, &sql).map(|answer| {
                state.answers.insert(name.clone(), answer);
            }),
            None => self.filtered(&check.metric.filter).map(|kept| {
                state.filtered.insert(check.metric.filter.clone(), kept);
            }),
        };
        match ended {
            Ok(()) => Ok(()),
            Err(QueryError::Scan(error)) if error.class() != ErrorClass::Permanent => {
                Err(TaskFailure {
                    outcome: AttemptOutcome::Retryable,
                    message: error.to_string(),
                })
            }
            Err(error) => {
                state
                    .answers
                    .insert(name, Stated::failed(error.to_string()));
                Ok(())
            }
        }
    }

    fn query(&self, check: &Check, sql: &str) -> Result<Stated, QueryError> {
        let want = if check.metric.metric == Metric::FailedRows {
            Want::Rows {
                cap: SAMPLE_ROWS,
                masked: self.masked(),
            }
        } else {
            Want::Number
        };
        let mut request = self.request(sql, want)?;
        request.property = (!check.metric.column.is_empty()).then(|| check.metric.column.clone());
        Ok(match run(&request, self.limits())? {
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
                let object = |row: Vec<serde_json::Value>| {
                    let named = columns.iter().cloned().zip(row);
                    serde_json::Value::Object(named.collect()).to_string()
                };
                Stated {
                    value: Ok(AnswerValue::Exact(total.to_string())),
                    samples: sample.into_iter().map(object).collect(),
                }
            }
            Answer::Filtered { .. } => Stated::failed("a filter was answered to a query"),
        })
    }

    /// The state of the rows that a filter keeps.
    fn filtered(&self, condition: &str) -> Result<TableState, QueryError> {
        let own = of_filter(self.dataset, condition);
        let request = self.request(
            condition,
            Want::Filter {
                columns: Vec::new(),
            },
        )?;
        let path = format!("rows where {condition}");
        let mut feed: Option<Feed<'_>> = None;
        filter(&request, self.limits(), |batch| {
            let fed = match &mut feed {
                Some(feed) => feed,
                None => {
                    let rows = Rows::Of(self.key.clone());
                    feed.insert(Feed::new(&own, &batch.schema(), rows, &path, self.context)?)
                }
            };
            Ok(fed.add(&batch)?)
        })?;
        let mut states = feed.map(|feed| feed.finish(0, true)).unwrap_or_default();
        Ok(states.remove(self.key).unwrap_or_default())
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
                partition: self.spec.partitions.first().cloned().map(Box::new),
            },
        }];
        for other in &self.dataset.others {
            // Who does not name it does not wait for it, nor fail with it.
            if sql.contains(&other.server) {
                tables.push(self.other(other)?);
            }
        }
        Ok(Request {
            tables,
            object,
            property: None,
            partition: self.key.as_str().to_owned(),
            sql: sql.to_owned(),
            want,
        })
    }

    /// Another server of the document: all of its files, as they are at present.
    fn other(&self, server: &Server) -> Result<Table, QueryError> {
        let mut dataset = self.dataset.clone();
        dataset.source = server.clone();
        dataset.columns.clear();
        dataset.partitions.layout = assay_model::dataset::Layout::Single;
        Ok(Table {
            name: server.server.clone(),
            rows: Source::Files {
                objects: listed(server, self.context)?,
                dataset: Box::new(dataset),
                partition: None,
            },
        })
    }
}

/// The files of a server, in the order of their names.
fn listed(server: &Server, context: &ScanContext) -> Result<Vec<ObjectRef>, ScanError> {
    let objects = Objects::open(server, context)?;
    let pattern = objects
        .pattern()
        .map(|text| Pattern::new(text, &[]))
        .transpose()?;
    let mut all = Vec::new();
    for object in objects.walk("") {
        let object = object?;
        let name = object.path.rsplit('/').next().unwrap_or_default();
        let is_data = match &pattern {
            Some(pattern) => pattern.captures(&object.path).is_some(),
            None => objects.single().is_some() || !name.starts_with(['_', '.']),
        };
        if is_data {
            all.push(object);
        }
    }
    let paths: BTreeSet<&str> = all.iter().map(|object| object.path.as_str()).collect();
    if paths.is_empty() && matches!(server.location, Location::Local { .. }) {
        return Err(ScanError::Definition {
            path: server.location.address(),
            place: assay_scan::error::Place::file(),
            what: format!("the server {} has no file", server.server),
            remedy: "correct the path under `servers`".to_owned(),
        });
    }
    all.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}
