//! What a run has come to, as the manager counts it: one computation for every list and report.
//!
//! Comes in: counts of tasks and outcomes. Goes out: words. It must never call a run good whose
//! tasks or checks were not.

use std::collections::BTreeMap;

use assay_model::outcome::{Outcome, OutcomeCounts};
use assay_model::run::RunState;
use assay_model::task::TaskState;
use assay_proto::WireError;
use assay_proto::convert;
use assay_proto::v1;
use serde_json::{Value, json};

use crate::show::text;

/// The order of the words: what needs a look first.
const WORST_FIRST: [Outcome; 8] = [
    Outcome::Error,
    Outcome::Overflow,
    Outcome::Fail,
    Outcome::Missing,
    Outcome::Warn,
    Outcome::Pass,
    Outcome::Learning,
    Outcome::Skipped,
];
/// How many of them need a look.
const BAD: usize = 5;

/// What a run has come to.
#[derive(Debug, Default)]
pub struct Sum {
    tasks: BTreeMap<TaskState, u64>,
    partitions: u64,
    counts: OutcomeCounts,
}

impl Sum {
    /// Reads the manager's counts; a manager that sends none has counted nothing.
    ///
    /// # Errors
    /// [`WireError`] naming the field.
    pub fn read(wire: Option<v1::RunSum>) -> Result<Self, WireError> {
        let wire = wire.unwrap_or_default();
        let mut tasks = BTreeMap::new();
        for count in wire.tasks {
            let state: TaskState = convert::word("sum.tasks.state", count.state)?;
            *tasks.entry(state).or_default() += count.tasks;
        }
        Ok(Self {
            tasks,
            partitions: wire.partitions,
            counts: convert::counts(wire.outcomes.unwrap_or_default())?,
        })
    }

    /// The outcomes of its checks.
    pub const fn counts(&self) -> OutcomeCounts {
        self.counts
    }

    /// All its tasks, that of discovery with the others.
    pub fn tasks(&self) -> u64 {
        self.tasks.values().sum()
    }

    /// `25 (24 succeeded, 1 failed)`.
    pub fn task_states(&self) -> String {
        let parts: Vec<String> = self
            .tasks
            .iter()
            .map(|(state, n)| format!("{} {state}", text::count(*n)))
            .collect();
        match parts.as_slice() {
            [] => "none yet".to_owned(),
            [one] => one.clone(),
            many => format!("{} ({})", text::count(self.tasks()), many.join(", ")),
        }
    }

    /// The outcomes of its checks in few words, the worst first.
    pub fn outcome(&self, state: RunState) -> String {
        let of = |outcome: &Outcome| {
            let counted = self.counts.by_outcome();
            let n = counted.iter().find(|(o, _)| o == outcome);
            let n = n.map_or(0, |(_, n)| *n);
            (n > 0).then(|| format!("{} {outcome}", text::count(n)))
        };
        let not_judged = match self.counts.learning + self.counts.skipped {
            0 => String::new(),
            n => format!(", {} not judged", text::count(n)),
        };
        let bad: Vec<String> = WORST_FIRST[..BAD].iter().filter_map(of).collect();
        if !bad.is_empty() {
            return bad.join(", ") + &not_judged;
        }
        if let Some(pass) = of(&Outcome::Pass) {
            return pass + &not_judged;
        }
        match WORST_FIRST[BAD..].iter().find_map(of) {
            Some(good) => good,
            None if state == RunState::Succeeded => "nothing new".to_owned(),
            None if state.is_terminal() => "not evaluated".to_owned(),
            None => "-".to_owned(),
        }
    }

    /// Adds its counts to the JSON of a run.
    pub fn add_to(&self, item: &mut Value) {
        item["taskStates"] = json!(self.tasks);
        item["taskCount"] = json!(self.tasks());
        item["partitions"] = json!(self.partitions);
        item["counts"] = json!(self.counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(outcomes: &[(Outcome, u64)]) -> Sum {
        let mut sum = Sum::default();
        for (outcome, n) in outcomes {
            sum.counts.add(*outcome, *n);
        }
        sum
    }

    #[test]
    fn what_needs_a_look_is_named_first_and_alone() {
        let sum = of(&[
            (Outcome::Pass, 900),
            (Outcome::Warn, 2),
            (Outcome::Error, 1),
        ]);
        assert_eq!(sum.outcome(RunState::Succeeded), "1 error, 2 warn");
        let sum = of(&[(Outcome::Pass, 900), (Outcome::Learning, 2)]);
        assert_eq!(sum.outcome(RunState::Succeeded), "900 pass, 2 not judged");
        let sum = of(&[(Outcome::Fail, 1), (Outcome::Skipped, 3)]);
        assert_eq!(sum.outcome(RunState::Succeeded), "1 fail, 3 not judged");
        let sum = of(&[(Outcome::Learning, 2)]);
        assert_eq!(sum.outcome(RunState::Succeeded), "2 learning");
    }

    #[test]
    fn a_run_without_outcomes_is_not_called_good() {
        let sum = Sum::default();
        assert_eq!(sum.outcome(RunState::Succeeded), "nothing new");
        assert_eq!(sum.outcome(RunState::Failed), "not evaluated");
        assert_eq!(sum.outcome(RunState::Running), "-");
    }
}
