//! The owner's SQL, each statement in a process of its own.
//!
//! In: a batch that asks the queries and the filters of a dataset. Out: one state with their
//! answers. A query whose process dies, of memory, of time or of a fault, is the answer of the
//! checks that asked it, and of nothing else: the task, its other queries and the node go on.
//!
//! The engine is not linked into nodes. It is in a program of its own, `assay-query`, which is
//! looked for beside the program at work; without it every query has an answer that says so.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use assay_metrics::{Answer, TableState};
use assay_model::dataset::Dataset;
use assay_model::outcome::ASKED_AGAIN;
use assay_model::output::{MeasuredPartition, TaskOutput};
use assay_model::task::{AttemptOutcome, MeasureSpec, TaskFailure};
use assay_scan::reach::Access;

use tokio::time::{Instant, timeout};

use super::frame;
use super::mentions::names;
use super::message::{ChildTask, ChildWork, Expected, ToChild};
use super::pool::Pool;
use super::process::Order;
use super::{ChildConfig, TaskJob, TaskWatch};
use crate::runner::access::Sources;
use crate::runner::failure;

/// The program that answers SQL.
pub const QUERY_PROGRAM: &str = "assay-query";
/// The variable that names it, where it is not beside the program at work.
pub const QUERY_VARIABLE: &str = "ASSAY_QUERY_PROGRAM";
/// Memory of a query's process beyond its task's: its stack, its readers, the engine itself.
const OWN_BYTES: u64 = 384 << 20;
/// Processor time beyond the task's time-out after which the kernel ends a query, in seconds.
const GRACE_S: u64 = 5;
/// The longest time of a query, beyond that of its own process.
const LONGEST: Duration = Duration::from_secs(150);
/// The way to the program that answers SQL.
#[derive(Clone)]
pub struct Queries {
    pool: Result<Arc<Pool>, String>,
    seq: Arc<AtomicU64>,
}

impl Queries {
    /// The program that [`QUERY_VARIABLE`] names, else the one beside the program at work; at most
    /// `slots` processes at a time, each with `env` as its whole environment.
    #[must_use]
    pub fn beside(slots: u32, env: Vec<(OsString, OsString)>) -> Self {
        let named = std::env::var_os(QUERY_VARIABLE).map(PathBuf::from);
        let own = std::env::current_exe().ok();
        let folder = own.as_deref().and_then(Path::parent);
        let found = named.or_else(|| folder.map(|folder| folder.join(QUERY_PROGRAM)));
        match found {
            Some(program) => Self::at(&program, slots, env),
            None => Self::without("the folder of this program is not known"),
        }
    }

    /// This program; at most `slots` processes at a time, each with `env` as its whole environment.
    #[must_use]
    pub fn at(program: &Path, slots: u32, env: Vec<(OsString, OsString)>) -> Self {
        if !program.is_file() {
            return Self::without(&format!("there is no {}", program.display()));
        }
        let mut config = ChildConfig::of(program, slots);
        config.memory_own_bytes = OWN_BYTES;
        config.cpu_grace_s = GRACE_S;
        config.env = env;
        // A fresh process for each query: what one leaves behind is no other's.
        config.tasks_max = 1;
        Self {
            pool: Ok(Arc::new(Pool::new(config))),
            seq: Arc::new(AtomicU64::new(0)),
        }
    }

    fn without(why: &str) -> Self {
        Self {
            pool: Err(format!(
                "SQL is answered by the program {QUERY_PROGRAM}, and {why}: put it beside assay \
                 (cargo build --release -p {QUERY_PROGRAM}), or name it in {QUERY_VARIABLE}; \
                 {ASKED_AGAIN}"
            )),
            seq: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Answers what the dataset asks of a partition.
    pub(crate) async fn answer(
        &self,
        job: &TaskJob,
        spec: &MeasureSpec,
        sources: Option<&Sources>,
        watch: &TaskWatch,
    ) -> Result<TaskOutput, TaskFailure> {
        let [partition] = spec.partitions.as_slice() else {
            let what = "queries are put to one partition at a time";
            return Err(failure(AttemptOutcome::Permanent, what));
        };
        let mut state = TableState::default();
        let asked: BTreeSet<String> = job.dataset.asking().map(|c| c.metric.asked()).collect();
        let ends = Instant::now() + Duration::from_millis(job.run.task_timeout_ms) * 9 / 10;
        let mut left = asked.len() as u32;
        for asked in asked {
            // One that does not end must leave the others their time.
            let time = ends.saturating_duration_since(Instant::now()) / left.max(1);
            left -= 1;
            let asking = self.ask(job, spec, &asked, sources, watch);
            let answered = match timeout(time.min(LONGEST), asking).await {
                Ok(answered) => answered?,
                Err(_) => Err(late(time.min(LONGEST))),
            };
            match answered {
                Ok(answered) => state.merge(&answered),
                Err(why) => {
                    state.answers.insert(asked, Answer::failed(why));
                }
            }
        }
        Ok(TaskOutput::Measured(vec![MeasuredPartition {
            partition: partition.key.clone(),
            rows: state.rows,
            state: state.encode(),
        }]))
    }

    /// Puts one query, or one filter with all that is measured of its rows; the inner error is the
    /// answer of who asked.
    async fn ask(
        &self,
        job: &TaskJob,
        spec: &MeasureSpec,
        asked: &str,
        sources: Option<&Sources>,
        watch: &TaskWatch,
    ) -> Result<Result<TableState, String>, TaskFailure> {
        let pool = match &self.pool {
            Ok(pool) => Arc::clone(pool),
            Err(why) => return Ok(Err(why.clone())),
        };
        let dataset = of_asked(&job.dataset, asked);
        let access = match sources {
            None => None,
            Some(sources) => match sources.access_of_query(&dataset).await {
                Ok(access) => Some(access),
                Err(refused) if refused.outcome == AttemptOutcome::Permanent => {
                    // The secret, or the right to it, is mended elsewhere than in the definition.
                    return Ok(Err(again(&refused.message)));
                }
                Err(away) => return Err(away),
            },
        };
        let put = self.put(&pool, job, spec, &dataset, access.clone(), watch);
        let answered = put.await?;
        if !is_asked_again(&answered) {
            return Ok(answered);
        }
        // A login that was refused is tried once more with the secret that is there by now.
        let renewed = match (sources, &access) {
            (Some(sources), Some(used)) => sources.renewed_of_query(&dataset, used).await,
            _ => None,
        };
        match renewed {
            Some(access) => {
                self.put(&pool, job, spec, &dataset, Some(access), watch)
                    .await
            }
            None => Ok(answered),
        }
    }

    /// Puts it to one process.
    async fn put(
        &self,
        pool: &Arc<Pool>,
        job: &TaskJob,
        spec: &MeasureSpec,
        dataset: &Dataset,
        access: Option<Access>,
        watch: &TaskWatch,
    ) -> Result<Result<TableState, String>, TaskFailure> {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed);
        let task = ChildTask {
            seq,
            memory_bytes: job.memory_bytes,
            cpu_seconds: (job.run.task_timeout_ms / 1000).saturating_add(pool.config.cpu_grace_s),
            answer_bytes_max: pool.config.answer_bytes_max,
            work: ChildWork::Measure {
                dataset: Cow::Borrowed(dataset),
                spec: Cow::Borrowed(spec),
            },
            access,
        };
        let message = ToChild::Task(Box::new(task));
        let frame = frame::encode(&message, std::iter::empty(), u64::from(u32::MAX));
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Ok(Err(format!("too much to ask: {error}"))),
        };
        let order = Order {
            frame,
            seq,
            remote: true,
            expected: Expected::Measures(spec.partitions.iter().map(|p| p.key.clone()).collect()),
        };
        let ended = Arc::clone(pool)
            .run(order, job.memory_bytes, job.suspect, watch.clone())
            .await;
        match ended {
            Ok(TaskOutput::Measured(measured)) => Ok(one(&measured)),
            Ok(_) => Ok(Err("it answered as another kind of task".to_owned())),
            Err(ended) => match ended.outcome {
                AttemptOutcome::Crashed => {
                    Ok(Err(again(&format!("the query ended: {}", ended.message))))
                }
                AttemptOutcome::Permanent => Ok(Err(ended.message)),
                // The last attempt: the partition's other checks are judged without it.
                AttemptOutcome::Retryable if job.task.charged >= job.run.retries => {
                    Ok(Err(again(&ended.message)))
                }
                // What is away is waited for as long as the run has time for another attempt; then
                // the partition's other checks are judged without it.
                AttemptOutcome::DependencyDown if has_no_time(job) => {
                    Ok(Err(again(&ended.message)))
                }
                _ => Err(ended),
            },
        }
    }
}

/// Whether the run ends before an attempt that began later could.
fn has_no_time(job: &TaskJob) -> bool {
    let left = job.run.deadline_at.duration_since(job.now).as_millis();
    left < i128::from(job.run.task_timeout_ms) * 2
}

/// An error that may pass, in the words by which the next discovery knows it.
fn again(message: &str) -> String {
    format!("{message}; {ASKED_AGAIN}")
}

/// Whether there is no answer for a reason that may pass.
fn is_asked_again(answered: &Result<TableState, String>) -> bool {
    match answered {
        Ok(state) => {
            let mut reasons = state
                .answers
                .values()
                .filter_map(|a| a.value.as_ref().err());
            reasons.any(|why| why.contains(ASKED_AGAIN))
        }
        Err(why) => why.contains(ASKED_AGAIN),
    }
}

fn late(time: Duration) -> String {
    format!(
        "it had not ended after {} s, all the time that it may take of its task's; filter earlier, \
         join on an equality, or raise the time-out of the run (assayRun: timeout); {ASKED_AGAIN}",
        time.as_secs()
    )
}

fn one(measured: &[MeasuredPartition]) -> Result<TableState, String> {
    let [measured] = measured else {
        return Err("it answered for another number of partitions".to_owned());
    };
    let state = TableState::decode(&measured.state).map_err(|error| error.to_string())?;
    if state.rows == 0 && state.columns.is_empty() {
        Ok(state)
    } else {
        Err("it answered with rows that nobody asked for".to_owned())
    }
}

/// The definition with nothing but what is asked.
fn of_asked(dataset: &Dataset, asked: &str) -> Dataset {
    let mut own = dataset.clone();
    own.profile.metrics.clear();
    let kept: Vec<_> = dataset
        .asking()
        .filter(|c| c.metric.asked() == asked)
        .cloned()
        .collect();
    // Of the other servers those that it names: nothing else is reached, or logged in to.
    let texts: Vec<String> = kept
        .iter()
        .map(|check| {
            check
                .metric
                .sql()
                .unwrap_or_else(|| check.metric.filter.clone())
        })
        .collect();
    own.others
        .retain(|other| texts.iter().any(|text| names(text, &other.server)));
    own.checks = kept;
    own
}
