//! What became of a run: its tasks, its results, and the exit code they mean.
//!
//! Comes in: what the manager stores of a run. Goes out: text that begins with what failed, or
//! JSON. Results are read to the last: a run with more than one answer holds is read partition by
//! partition.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use assay_model::check::CheckOrigin;
use assay_model::ids::RunId;
use assay_model::outcome::{CheckResult, Outcome, OutcomeCounts};
use assay_model::output::Remarks;
use assay_model::run::{Run, RunState};
use assay_model::visible::one_line;
use assay_proto::convert;
use assay_proto::v1;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::sum::Sum;
use super::tasks;
use crate::client::port::Cluster;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::columns::{self, Line};
use crate::show::text;

/// The most results of one answer.
const RESULTS_MAX: u32 = 10_000;
/// Lines of findings that are shown.
const LINES_MAX: usize = 60;

/// One result that needs a look, or any.
struct Finding {
    partition: String,
    result: CheckResult,
}

/// What became of a run.
pub struct Report {
    run: Run,
    tasks: Vec<v1::Task>,
    tasks_left_out: u32,
    /// What the discovery has to say besides its plan.
    remarks: Remarks,
    sum: Sum,
    counts: OutcomeCounts,
    partitions: usize,
    /// Those among them that have not come.
    missing: usize,
    findings: Vec<Finding>,
    /// Whether nothing was new, so that earlier verdicts stand.
    unchanged: bool,
    /// Partitions that other runs judged and whose verdict in force needs a look.
    elsewhere: u64,
}

/// Whether a report tells what earlier verdicts say besides those of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// It does: the run was a look at the dataset.
    Too,
    /// Only when the run judged nothing.
    WhenAlone,
}

impl Stands {
    /// Whether earlier verdicts are told beside `own` results of a run in `state`. A run that did not
    /// get to its end has found nothing about what it did not judge, not even that nothing is new.
    fn told(self, state: RunState, own: usize) -> bool {
        state == RunState::Succeeded && (self == Self::Too || own == 0)
    }
}

impl Report {
    /// Reads what the manager stores of `run`.
    ///
    /// # Errors
    /// When the manager cannot be asked, or its answer cannot be read.
    pub async fn read(cluster: &dyn Cluster, run: RunId, stands: Stands) -> Result<Self> {
        let answer = cluster.run(run).await?;
        let (run, sum) = convert::present("run", answer.run)
            .and_then(|mut wire| {
                let sum = Sum::read(wire.sum.take())?;
                Ok((convert::run(wire)?, sum))
            })
            .context("the manager's answer cannot be read; compare: assay version")?;
        let mut report = Self {
            run,
            tasks: answer.tasks,
            tasks_left_out: answer.left_out,
            remarks: Remarks {
                ignored: answer.ignored,
                ignored_count: answer.ignored_count,
                notices: answer.notices,
            },
            sum,
            counts: OutcomeCounts::default(),
            partitions: 0,
            missing: 0,
            findings: Vec::new(),
            unchanged: false,
            elsewhere: 0,
        };
        let results = report.results(cluster).await?;
        report.counts = report.sum.counts();
        let missing = results
            .iter()
            .filter(|result| result.outcome == Outcome::Missing.as_str())
            .filter_map(|result| result.partition.as_ref().map(|p| p.key.as_str()));
        report.missing = missing.collect::<BTreeSet<&str>>().len();
        let standing = if stands.told(report.run.state, results.len()) {
            report.stand(cluster, &results).await?
        } else {
            Vec::new()
        };
        report.keep(results.into_iter().chain(standing))?;
        Ok(report)
    }

    async fn results(&mut self, cluster: &dyn Cluster) -> Result<Vec<v1::Result>> {
        let mut query = v1::ResultsRequest {
            dataset: self.run.dataset.to_string(),
            run_id: self.run.id.to_string(),
            superseded: true,
            limit: RESULTS_MAX,
            ..v1::ResultsRequest::default()
        };
        let all = cluster.results(&query).await?;
        if all.len() < RESULTS_MAX as usize {
            return Ok(all);
        }
        // More than one answer holds: each partition of the plan is asked for by itself.
        let partitions: BTreeSet<&String> = self
            .tasks
            .iter()
            .filter(|task| task.kind == "evaluate")
            .map(|task| &task.partition)
            .collect();
        let mut all = Vec::new();
        for partition in partitions {
            query.partition.clone_from(partition);
            all.extend(cluster.results(&query).await?);
        }
        Ok(all)
    }

    /// What the look of an ended run answers for besides its own results: verdicts of earlier runs
    /// that need a look, or all of the last run that judged when this one judged nothing.
    async fn stand(
        &mut self,
        cluster: &dyn Cluster,
        own: &[v1::Result],
    ) -> Result<Vec<v1::Result>> {
        let which = v1::StandingRequest {
            dataset: self.run.dataset.to_string(),
            run_ids: vec![self.run.id.to_string()],
            keys: self.run.selection.keys.clone(),
            limit: RESULTS_MAX,
        };
        let answer = cluster.standing(which).await?;
        let (judged, elsewhere) = convert::present("judged", answer.judged)
            .and_then(convert::counts)
            .and_then(|judged| {
                let elsewhere = convert::present("elsewhere", answer.elsewhere)?;
                Ok((judged, convert::counts(elsewhere)?))
            })
            .context("the manager's answer cannot be read; compare: assay version")?;
        self.elsewhere = answer.elsewhere_partitions;
        self.counts.merge(&elsewhere);
        self.unchanged = own.is_empty();
        let named = !self.run.selection.keys.is_empty();
        if own.is_empty() {
            self.counts.merge(&judged);
        }
        let of = |result: &v1::Result| {
            let key = result.partition.as_ref().map(|p| p.key.as_str());
            key.unwrap_or_default().to_owned()
        };
        let known: BTreeSet<String> = own.iter().map(of).collect();
        let mut results = answer.results;
        results.retain(|result| !known.contains(&of(result)));
        if !own.is_empty() && named {
            // A named partition that this run did not judge has its verdict from before.
            for result in &results {
                let outcome = convert::word("outcome", result.outcome.clone())?;
                self.counts.add(outcome, 1);
            }
        }
        Ok(results)
    }

    fn keep(&mut self, results: impl Iterator<Item = v1::Result>) -> Result<()> {
        let mut partitions = BTreeSet::new();
        for wire in results {
            let partition = wire.partition.clone().map(|p| p.key).unwrap_or_default();
            let result = convert::check_result(wire)
                .context("a result of the manager cannot be read; compare: assay version")?;
            partitions.insert(partition.clone());
            self.findings.push(Finding { partition, result });
        }
        self.partitions = partitions
            .len()
            .saturating_sub(usize::try_from(self.elsewhere).unwrap_or(usize::MAX));
        self.findings
            .sort_by_key(|finding| gravity(finding.result.outcome));
        Ok(())
    }

    fn broken(&self) -> impl Iterator<Item = &v1::Task> {
        self.tasks
            .iter()
            .filter(|task| matches!(task.state.as_str(), "failed" | "quarantined"))
    }

    /// Whether the run has ended, as far as this was told.
    pub const fn has_ended(&self) -> bool {
        self.run.state.is_terminal()
    }

    /// The exit code that the run means, once it has ended.
    pub fn exit(&self) -> Exit {
        let unseen = self.tasks_left_out > 0;
        let broken = self.broken().count();
        exit_of(self.run.state, &self.counts, broken, unseen)
    }

    /// Shows this run alone.
    pub fn print(&self, exit: Exit, cx: &Context) -> Result<()> {
        print_all(std::slice::from_ref(self), exit, cx)
    }

    fn describe(&self, now: Timestamp, cx: &Context, out: &mut String) {
        let run = &self.run;
        out.push_str(&format!(
            "{}  {}  {}   {}, {}, took {}\n",
            run.dataset,
            run.id,
            run.state,
            run.trigger,
            text::when(run.created_at, now, cx.screen.times),
            took(run, now)
        ));
        if let Some(reason) = &run.reason {
            out.push_str(&format!("  {reason}\n"));
        }
        out.push_str(&format!("  tasks  {}\n\n", self.sum.task_states()));
        out.push_str(&tasks::lines(&self.tasks, now, cx.screen.color));
        let worth: Vec<&Finding> = self
            .findings
            .iter()
            .filter(|finding| gravity(finding.result.outcome) < 5)
            .collect();
        let lines: Vec<Line> = worth
            .iter()
            .take(LINES_MAX)
            .map(|finding| finding_line(finding, cx.screen.color))
            .collect();
        out.push_str(&columns::aligned(&lines));
        if worth.len() > LINES_MAX {
            out.push_str(&format!(
                "  showing {LINES_MAX} of {}; all of them: assay run get {} -o json\n",
                worth.len(),
                run.id
            ));
        }
        for remark in self.remarks.lines() {
            out.push_str(&text::remark(&remark, cx.screen.color));
        }
        out.push_str(&self.total());
        if self.elsewhere > 0 {
            out.push_str(&format!(
                "  {} of earlier looks still {} a look\n",
                text::counted(
                    usize::try_from(self.elsewhere).unwrap_or(usize::MAX),
                    "partition"
                ),
                if self.elsewhere == 1 { "needs" } else { "need" }
            ));
        }
        let listed = self.findings.len() as u64;
        if listed < self.counts.planned {
            out.push_str(&format!(
                "  {} of {} results are listed; all are counted\n",
                text::count(listed),
                text::count(self.counts.planned)
            ));
        }
        if self.tasks_left_out > 0 {
            out.push_str(&format!(
                "{} tasks are not shown: the run has more than one answer holds\n",
                self.tasks_left_out
            ));
        }
    }

    /// The line of all outcomes.
    fn total(&self) -> String {
        let state = self.run.state;
        if self.counts.planned == 0 && state.is_terminal() && state != RunState::Succeeded {
            return format!("nothing judged: the run is {state}\n");
        }
        let what = if self.unchanged {
            "nothing new; earlier verdicts stand: ".to_owned()
        } else {
            format!("{}: ", text::judged(self.partitions, self.missing))
        };
        format!("{what}{}\n", text::counts(&self.counts))
    }

    fn json(&self) -> Value {
        let mut item = run_json(&self.run);
        let tasks: Vec<Value> = self.tasks.iter().map(tasks::json_of).collect();
        let results: Vec<Value> = self.findings.iter().map(finding_json).collect();
        self.sum.add_to(&mut item);
        item["tasks"] = Value::Array(tasks);
        item["tasksLeftOut"] = json!(self.tasks_left_out);
        item["partitions"] = json!(self.partitions);
        item["missingPartitions"] = json!(self.missing);
        item["unchanged"] = json!(self.unchanged);
        item["standingElsewhere"] = json!(self.elsewhere);
        item["ignored"] = json!(self.remarks.ignored);
        item["ignoredCount"] = json!(self.remarks.ignored_count);
        item["notices"] = json!(self.remarks.notices);
        item["counts"] = json!(self.counts);
        item["results"] = Value::Array(results);
        item
    }
}

/// Shows runs, and what they mean together.
pub fn print_all(reports: &[Report], exit: Exit, cx: &Context) -> Result<()> {
    let now = Timestamp::now();
    let mut out = String::new();
    let mut total = OutcomeCounts::default();
    for report in reports {
        report.describe(now, cx, &mut out);
        total.merge(&report.counts);
    }
    if exit != Exit::Ok {
        out.push_str(&format!("exit code {}\n", exit.code()));
    }
    cx.screen.text(&out)?;
    let items: Vec<Value> = reports.iter().map(Report::json).collect();
    let summary = json!({"counts": total, "runs": reports.len()});
    cx.screen.items("RunReportList", &items, &summary, exit)
}

/// What an ended run means. Could-not-evaluate wins over bad data: what was not looked at may be
/// worse than what was.
fn exit_of(state: RunState, counts: &OutcomeCounts, broken: usize, unseen: bool) -> Exit {
    let not_evaluated =
        state != RunState::Succeeded || broken > 0 || unseen || counts.error + counts.overflow > 0;
    if not_evaluated {
        Exit::NotEvaluated
    } else if counts.fail + counts.missing > 0 {
        Exit::BadData
    } else {
        Exit::Ok
    }
}

/// The order of the screen: what needs a look first.
const fn gravity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Fail => 0,
        Outcome::Missing => 1,
        Outcome::Error => 2,
        Outcome::Overflow => 3,
        Outcome::Warn => 4,
        Outcome::Learning => 5,
        Outcome::Skipped => 6,
        Outcome::Pass => 7,
    }
}

fn finding_line(finding: &Finding, color: bool) -> Line {
    let result = &finding.result;
    // A check of the profile is named after its metric; once is enough.
    let check = match result.origin {
        CheckOrigin::Profiled => "",
        _ => result.check.as_str(),
    };
    Line {
        head: format!(
            "  {} {:<12} ",
            text::badge(result.outcome, color),
            one_line(&finding.partition.to_string())
        ),
        cells: vec![
            check.to_owned(),
            result.metric.to_string(),
            text::phrase(&result.expected),
            text::found(result),
        ],
        tail: text::told(result),
    }
}

/// How long a run took, or takes so far.
pub fn took(run: &Run, now: Timestamp) -> String {
    let Some(started) = run.started_at else {
        return "-".to_owned();
    };
    let ended = run.finished_at.unwrap_or(now);
    let milliseconds = ended.as_millisecond() - started.as_millisecond();
    text::span(u64::try_from(milliseconds).unwrap_or(0))
}

/// A run for programs.
pub fn run_json(run: &Run) -> Value {
    json!({
        "id": run.id,
        "dataset": run.dataset,
        "definition": run.definition,
        "trigger": run.trigger,
        "priority": run.priority,
        "slot": run.slot,
        "state": run.state,
        "reason": run.reason,
        "selection": {
            "keys": run.selection.keys,
            "lastDays": run.selection.last_days,
            "rescan": run.selection.rescan,
        },
        "createdAt": run.created_at,
        "startedAt": run.started_at,
        "finishedAt": run.finished_at,
        "deadlineAt": run.deadline_at,
        "plannedTasks": run.planned_tasks,
    })
}

fn finding_json(finding: &Finding) -> Value {
    let result = &finding.result;
    json!({
        "partition": finding.partition,
        "check": result.check,
        "metric": result.metric.metric,
        "column": result.metric.column,
        "outcome": result.outcome,
        "severity": result.severity,
        "origin": result.origin,
        "actual": result.actual,
        "errorBound": result.error_bound,
        "expected": result.expected,
        "limits": result.limits,
        "reason": result.reason,
        "note": result.note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[Outcome]) -> OutcomeCounts {
        let mut counts = OutcomeCounts::default();
        for outcome in of {
            counts.add(*outcome, 1);
        }
        counts
    }

    #[test]
    fn a_run_that_did_not_get_to_its_end_shows_no_verdict_of_another() {
        for state in [RunState::Cancelled, RunState::Failed, RunState::Running] {
            for stands in [Stands::Too, Stands::WhenAlone] {
                assert!(!stands.told(state, 0), "{state}");
            }
        }
        assert!(Stands::Too.told(RunState::Succeeded, 9));
        assert!(Stands::WhenAlone.told(RunState::Succeeded, 0));
        assert!(!Stands::WhenAlone.told(RunState::Succeeded, 9));
    }

    #[test]
    fn bad_data_is_one_and_what_could_not_be_evaluated_wins_as_four() {
        let of = |outcomes: &[Outcome]| exit_of(RunState::Succeeded, &counts(outcomes), 0, false);
        assert_eq!(
            of(&[Outcome::Pass, Outcome::Learning, Outcome::Skipped]),
            Exit::Ok
        );
        assert_eq!(of(&[Outcome::Warn]), Exit::Ok);
        assert_eq!(of(&[Outcome::Pass, Outcome::Fail]), Exit::BadData);
        assert_eq!(of(&[Outcome::Missing]), Exit::BadData);
        assert_eq!(of(&[Outcome::Fail, Outcome::Error]), Exit::NotEvaluated);
        assert_eq!(of(&[Outcome::Fail, Outcome::Overflow]), Exit::NotEvaluated);
    }

    #[test]
    fn a_run_that_was_not_seen_to_its_end_is_never_good() {
        let good = counts(&[Outcome::Pass]);
        for state in [
            RunState::Partial,
            RunState::Failed,
            RunState::Cancelled,
            RunState::SkippedStale,
        ] {
            assert_eq!(
                exit_of(state, &good, 0, false),
                Exit::NotEvaluated,
                "{state}"
            );
        }
        assert_eq!(
            exit_of(RunState::Succeeded, &good, 1, false),
            Exit::NotEvaluated
        );
        assert_eq!(
            exit_of(RunState::Succeeded, &good, 0, true),
            Exit::NotEvaluated
        );
    }
}
