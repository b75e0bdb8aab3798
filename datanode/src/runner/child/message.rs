//! What a node and its children say to each other.
//!
//! In: a task and what it needs from the store. Out: a result, taken only when it is one that this
//! task can have. Nothing here holds a credential of the store (but that of storage, for a task that
//! writes there), and nothing that a child says
//! reaches beyond its task.

use std::borrow::Cow;
use std::collections::BTreeSet;

use assay_metrics::TableState;
use assay_model::dataset::Dataset;
use assay_model::ledger::LedgerEntry;
use assay_model::output::{Discovery, MeasuredPartition, TaskOutput};
use assay_model::partition::PartitionKey;
use assay_model::run::Selection;
use assay_model::task::{AttemptOutcome, MeasureSpec, TaskFailure};
use assay_scan::discover::decide::Redo;
use assay_scan::reach::Access;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::frame::{self, Frame, FrameError};
use super::limits::ChildLimits;
use crate::runner::failure;

/// The shape of the messages; raised with every change of them.
pub(super) const PROTOCOL: u32 = 3;
/// The program's version: a node talks to children of its own version only.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Bytes of a failure's message that are kept.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Said by the node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ToChild<'a> {
    /// First of all.
    Hello {
        protocol: u32,
        version: String,
        limits: ChildLimits,
    },
    /// A task; one at a time.
    Task(Box<ChildTask<'a>>),
    /// Asks how far the task has come.
    Look,
    /// Asks the task to end soon.
    Stop,
}

/// Said by a child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum FromChild {
    /// Limits hold, tasks may come.
    Ready { protocol: u32, version: String },
    /// It cannot serve.
    Refused { reason: String },
    /// The answer to `Look`; both counts only grow.
    Progress { rows: u64, bytes: u64 },
    /// The end of a task, with all that it has read; the blob holds the states.
    Done {
        seq: u64,
        answer: Answer,
        #[serde(default)]
        rows: u64,
        #[serde(default)]
        bytes: u64,
    },
}

/// Rows and bytes that a task has read.
pub(super) type Read = (u64, u64);

/// A task as a child is told it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildTask<'a> {
    /// Its number among the child's tasks.
    pub seq: u64,
    /// Memory that its buffers may take, in bytes.
    pub memory_bytes: u64,
    /// Processor time after which the kernel ends the child, in seconds.
    pub cpu_seconds: u64,
    /// The longest answer, in bytes.
    pub answer_bytes_max: u64,
    /// What is to be done.
    pub work: ChildWork<'a>,
    /// What it may reach beyond files, and what logs in there; it is written nowhere.
    #[serde(default)]
    pub access: Option<Access>,
}

/// Work that touches bytes of the source.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ChildWork<'a> {
    /// Lists the source and plans the run.
    Discover {
        /// The definition.
        dataset: Cow<'a, Dataset>,
        /// What the store knows of the dataset's partitions.
        ledger: Cow<'a, [LedgerEntry]>,
        /// Which partitions the run looks at.
        selection: Cow<'a, Selection>,
        /// The present instant.
        now: Timestamp,
        /// The partitions whose verdict holds no more.
        redo: Cow<'a, Redo>,
    },
    /// Measures one batch.
    Measure {
        /// The definition.
        dataset: Cow<'a, Dataset>,
        /// The batch.
        spec: Cow<'a, MeasureSpec>,
    },
}

/// How a task ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Answer {
    Discovered(Box<Discovery>),
    Measured(Vec<MeasuredHead>),
    Failed(TaskFailure),
    /// The child goes on, but nobody knows what the panic left behind.
    Panicked {
        message: String,
    },
}

/// A measured partition; its state lies in the blob, in the order of the heads.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeasuredHead {
    partition: PartitionKey,
    rows: u64,
    state_bytes: u64,
}

/// The frame that ends a task. A result too long for a frame is a failure that says so.
pub(super) fn done(
    seq: u64,
    (rows, bytes): Read,
    ended: Result<TaskOutput, TaskFailure>,
    max: u64,
) -> Result<Vec<u8>, FrameError> {
    let mut states = Vec::new();
    let answer = match ended {
        Ok(TaskOutput::Discovered(discovery)) => Answer::Discovered(Box::new(discovery)),
        Ok(TaskOutput::Measured(measured)) => {
            let head = |partition: MeasuredPartition| {
                let state_bytes = partition.state.len() as u64;
                states.push(partition.state);
                MeasuredHead {
                    partition: partition.partition,
                    rows: partition.rows,
                    state_bytes,
                }
            };
            Answer::Measured(measured.into_iter().map(head).collect())
        }
        Ok(TaskOutput::Evaluated(_) | TaskOutput::EvaluatedMany(_)) => Answer::Failed(failure(
            AttemptOutcome::Permanent,
            "an evaluation is no work for a child process",
        )),
        Err(failure) => Answer::Failed(failure),
    };
    let end = |answer| FromChild::Done {
        seq,
        answer,
        rows,
        bytes,
    };
    let message = end(answer);
    let encoded = frame::encode(&message, states.iter().map(Vec::as_slice), max);
    let Err(FrameError::TooLong { bytes: long, max }) = encoded else {
        return encoded;
    };
    let answer = Answer::Failed(failure(
        AttemptOutcome::Permanent,
        format!(
            "the result takes {long} bytes, more than the {max} that a task may answer; \
             select fewer partitions per run or profile fewer columns"
        ),
    ));
    frame::encode(&end(answer), std::iter::empty(), max)
}

/// What a task may answer.
#[derive(Debug)]
pub(super) enum Expected {
    /// A plan.
    Discovery,
    /// States of these partitions.
    Measures(BTreeSet<PartitionKey>),
}

/// How an answer is taken.
#[derive(Debug)]
pub(super) enum Taken {
    /// The task's own end.
    Ended(Result<TaskOutput, TaskFailure>),
    /// The task panicked: a crash of the attempt.
    Panicked(String),
}

/// Ways in which a task may end, beside its result and failures of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// It was asked to stop.
    pub(super) stopped: bool,
    /// Its source may be away.
    pub(super) remote: bool,
}

/// Takes the answer of task `seq`. The error says what is wrong with it: a crash of the attempt.
pub(super) fn take(
    frame: &Frame,
    seq: u64,
    expected: &Expected,
    ends: Ends,
) -> Result<(Taken, Read), String> {
    let message: FromChild = frame.message().map_err(|error| error.to_string())?;
    let FromChild::Done {
        seq: of,
        answer,
        rows,
        bytes,
    } = message
    else {
        return Err("a message that nobody asked for".to_owned());
    };
    if of != seq {
        return Err(format!("an answer to task {of} instead of {seq}"));
    }
    if !frame.blob.is_empty() && !matches!(answer, Answer::Measured(_)) {
        return Err("states of a task that has none".to_owned());
    }
    let taken = match (answer, expected) {
        (Answer::Panicked { message }, _) => Ok(Taken::Panicked(clean(&message))),
        (Answer::Failed(ended), _) => match ended.outcome {
            AttemptOutcome::Retryable | AttemptOutcome::Permanent => Ok(failed(&ended)),
            AttemptOutcome::Cancelled if ends.stopped => Ok(failed(&ended)),
            AttemptOutcome::DependencyDown if ends.remote => Ok(failed(&ended)),
            other => Err(format!("an end that is not the task's to tell: {other}")),
        },
        (Answer::Discovered(discovery), Expected::Discovery) => {
            plan_holds_together(&discovery)?;
            Ok(Taken::Ended(Ok(TaskOutput::Discovered(*discovery))))
        }
        (Answer::Measured(heads), Expected::Measures(partitions)) => {
            let states = states(heads, &frame.blob, partitions)?;
            Ok(Taken::Ended(Ok(TaskOutput::Measured(states))))
        }
        (Answer::Discovered(_) | Answer::Measured(_), _) => {
            Err("an answer of another kind of task".to_owned())
        }
    };
    taken.map(|taken| (taken, (rows, bytes)))
}

fn failed(ended: &TaskFailure) -> Taken {
    Taken::Ended(Err(failure(ended.outcome, clean(&ended.message))))
}

/// A plan names its own batches only.
fn plan_holds_together(plan: &Discovery) -> Result<(), String> {
    let measures = plan.measures.len() as u64;
    let mut judged = BTreeSet::new();
    for evaluation in &plan.evaluations {
        let mut numbers = evaluation.measured_by.iter();
        if let Some(no) = numbers.find(|no| **no == 0 || u64::from(**no) > measures) {
            return Err(format!(
                "a plan of {measures} batches that names batch {no}"
            ));
        }
        if !judged.insert(&evaluation.partition.key) {
            let key = &evaluation.partition.key;
            return Err(format!("a plan that judges the partition {key} twice"));
        }
    }
    Ok(())
}

/// States of planned partitions, each once, each of them one that can be read.
fn states(
    heads: Vec<MeasuredHead>,
    mut blob: &[u8],
    partitions: &BTreeSet<PartitionKey>,
) -> Result<Vec<MeasuredPartition>, String> {
    let mut seen = BTreeSet::new();
    let mut measured = Vec::with_capacity(heads.len().min(partitions.len()));
    for head in heads {
        let key = head.partition;
        if !partitions.contains(&key) {
            return Err(format!(
                "a state of the partition {key}, which was not asked for"
            ));
        }
        if !seen.insert(key.clone()) {
            return Err(format!("two states of the partition {key}"));
        }
        let bytes = usize::try_from(head.state_bytes).ok();
        let Some((state, rest)) = bytes.and_then(|n| blob.split_at_checked(n)) else {
            return Err(format!("a state of {key} that is not there"));
        };
        blob = rest;
        match TableState::decode(state) {
            Ok(decoded) if decoded.rows == head.rows => {}
            Ok(decoded) => {
                return Err(format!(
                    "a state of {key} with {} rows, said to be {}",
                    decoded.rows, head.rows
                ));
            }
            Err(error) => return Err(format!("a state of {key} that cannot be read: {error}")),
        }
        measured.push(MeasuredPartition {
            partition: key,
            rows: head.rows,
            state: state.to_vec(),
        });
    }
    if !blob.is_empty() {
        return Err(format!("{} bytes after the last state", blob.len()));
    }
    Ok(measured)
}

/// Text of a child, fit for a log and a page: bounded, one line, no control characters.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(MESSAGE_BYTES_MAX));
    for c in text.trim().chars() {
        if clean.len() >= MESSAGE_BYTES_MAX {
            clean.push('…');
            break;
        }
        clean.push(if c.is_control() { ' ' } else { c });
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(keys: &[&str], rows: u64) -> Vec<u8> {
        let state = TableState::default();
        let one = |key: &&str| MeasuredPartition {
            partition: PartitionKey((*key).to_owned()),
            rows,
            state: state.encode(),
        };
        let output = TaskOutput::Measured(keys.iter().map(one).collect());
        done(7, (0, 0), Ok(output), 1 << 20).unwrap()
    }

    fn taken(bytes: &[u8], stopped: bool) -> Result<Taken, String> {
        let ends = Ends {
            stopped,
            remote: false,
        };
        taken_as(bytes, ends)
    }

    fn taken_as(bytes: &[u8], ends: Ends) -> Result<Taken, String> {
        let frame = frame::read(&mut &bytes[..], 1 << 20).unwrap().unwrap();
        let asked = ["a", "b"].map(|key| PartitionKey(key.to_owned()));
        take(&frame, 7, &Expected::Measures(asked.into()), ends).map(|(taken, _)| taken)
    }

    #[test]
    fn states_of_the_partitions_asked_for_are_taken_as_they_are() {
        let Ok(Taken::Ended(Ok(TaskOutput::Measured(states)))) =
            taken(&measured(&["a", "b"], 0), false)
        else {
            panic!("not taken");
        };
        assert_eq!(states.len(), 2);
        assert_eq!(states[1].state, TableState::default().encode());
    }

    #[test]
    fn what_a_task_cannot_answer_is_refused() {
        let of_another = measured(&["a", "c"], 0);
        assert!(
            taken(&of_another, false)
                .unwrap_err()
                .contains("not asked for")
        );
        let twice = measured(&["a", "a"], 0);
        assert!(taken(&twice, false).unwrap_err().contains("two states"));
        let other_rows = measured(&["a"], 5);
        assert!(taken(&other_rows, false).unwrap_err().contains("rows"));
        let plan = done(
            7,
            (0, 0),
            Ok(TaskOutput::Discovered(Discovery::default())),
            1 << 20,
        )
        .unwrap();
        assert!(taken(&plan, false).unwrap_err().contains("another kind"));
        let late = done(
            6,
            (0, 0),
            Err(failure(AttemptOutcome::Permanent, "x")),
            1 << 20,
        )
        .unwrap();
        assert!(taken(&late, false).unwrap_err().contains("instead of 7"));
    }

    #[test]
    fn a_state_with_a_flipped_byte_is_refused_or_says_the_same_rows() {
        let whole = measured(&["a"], 0);
        let head_ends = 8 + u32::from_le_bytes(whole[..4].try_into().unwrap()) as usize;
        for at in head_ends..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 0x55;
            // Never a panic; what is taken has been decoded.
            let _ = taken(&bad, false);
        }
        let mut short = whole.clone();
        short.pop();
        let blob = u32::from_le_bytes(whole[4..8].try_into().unwrap()) - 1;
        short[4..8].copy_from_slice(&blob.to_le_bytes());
        assert!(taken(&short, false).is_err());
    }

    #[test]
    fn a_child_cannot_say_that_it_was_cancelled_or_drained_by_itself() {
        for outcome in [
            AttemptOutcome::Ok,
            AttemptOutcome::Drained,
            AttemptOutcome::NodeLost,
        ] {
            let bytes = done(7, (0, 0), Err(failure(outcome, "x")), 1 << 20).unwrap();
            assert!(taken(&bytes, true).is_err(), "{outcome}");
        }
        let cancelled = done(
            7,
            (0, 0),
            Err(failure(AttemptOutcome::Cancelled, "x")),
            1 << 20,
        )
        .unwrap();
        assert!(taken(&cancelled, false).is_err());
        assert!(taken(&cancelled, true).is_ok());
    }

    #[test]
    fn only_a_source_beyond_this_machine_can_be_away() {
        let down = failure(AttemptOutcome::DependencyDown, "no answer");
        let bytes = done(7, (0, 0), Err(down), 1 << 20).unwrap();
        let of = |remote| {
            let ends = Ends {
                stopped: false,
                remote,
            };
            taken_as(&bytes, ends)
        };
        let Ok(Taken::Ended(Err(failure))) = of(true) else {
            panic!("not taken");
        };
        assert_eq!(failure.outcome, AttemptOutcome::DependencyDown);
        assert!(of(false).is_err());
    }

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let long = "a\u{1b}[31m\nb".repeat(10_000);
        let clean = clean(&long);
        assert!(clean.len() < MESSAGE_BYTES_MAX + 8);
        assert!(!clean.contains(|c: char| c.is_control()));
    }

    #[test]
    fn a_result_too_long_for_a_frame_is_a_failure_that_says_so() {
        let state = TaskOutput::Measured(vec![MeasuredPartition {
            partition: PartitionKey("a".to_owned()),
            rows: 0,
            state: vec![0; 5000],
        }]);
        let bytes = done(7, (0, 0), Ok(state), 4000).unwrap();
        let Ok(Taken::Ended(Err(failure))) = taken(&bytes, false) else {
            panic!("not a failure");
        };
        assert_eq!(failure.outcome, AttemptOutcome::Permanent);
        assert!(
            failure.message.contains("more than the 4000"),
            "{failure:?}"
        );
    }
}
