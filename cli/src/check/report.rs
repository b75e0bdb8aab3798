//! What a check found, for people and programs, and the exit code that it means.
//!
//! Comes in: the rows that a run committed. Goes out: lines that begin with what needs a look, or
//! JSON. It must never leave a result out silently: what is not shown is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use assay_model::dataset::Dataset;
use assay_model::ids::{CheckId, RunId};
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::{CheckResult, Outcome, OutcomeCounts};
use assay_model::output::Remarks;
use assay_model::partition::PartitionKey;
use assay_model::run::{Run, RunState};
use assay_model::task::TaskState;
use assay_model::visible::one_line;
use assay_store::MetricStore;
use assay_store::port::ResultRow;
use assay_store::standing::{Look, standing};
use serde_json::json;

use crate::args::{CheckArgs, FailOn};
use crate::check::annotate::annotate;
use crate::check::shown::Shown;
use crate::commands::partition_key;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::columns::{self, Line};
use crate::show::text;

/// Results of one run that are read, at most.
const RESULTS_MAX: u32 = 1_000_000;
/// Row counts that are read, at most: more than a dataset has partitions.
const ROW_COUNTS_MAX: u32 = i32::MAX as u32;
/// Ignored files that the JSON names, at most.
const IGNORED_MAX: usize = 1000;
/// Lines of findings that are shown without `--all`.
const LINES_MAX: usize = 60;

/// Which results are looked at.
#[derive(Debug, Default)]
pub struct Filter {
    checks: Vec<String>,
    tags: Vec<String>,
    dimensions: Vec<String>,
    partitions: Vec<String>,
}

impl Filter {
    /// The filter of the flags.
    pub fn new(args: &CheckArgs) -> Self {
        Self {
            checks: args.checks.clone(),
            tags: args.tags.clone(),
            dimensions: args.dimensions.clone(),
            partitions: args.partitions.clone(),
        }
    }

    /// The keys of the partitions that were named, as those of `dataset` are spelt.
    pub fn partitions_of(&self, dataset: &Dataset) -> Vec<String> {
        let named = self.partitions.iter();
        named.map(|named| partition_key(dataset, named)).collect()
    }

    /// Why the filter cannot be what its author meant: it names a check that no dataset has, or
    /// chooses none. A misspelt filter must not be green for ever.
    pub fn misfit(&self, all: &[Checked]) -> Option<String> {
        for wanted in &self.checks {
            let names = all.iter().flat_map(|checked| &checked.names);
            if !names.clone().any(|name| name == wanted) {
                let near = names.max_by(|a, b| {
                    let likeness = |name: &str| strsim::jaro_winkler(name, wanted);
                    likeness(a).total_cmp(&likeness(b))
                });
                let hint = near.map(|name| format!("; did you mean `{name}`?"));
                return Some(format!("no check `{wanted}`{}", hint.unwrap_or_default()));
            }
        }
        let chosen = all.iter().any(|checked| checked.counts.planned > 0);
        let filters = !self.tags.is_empty() || !self.dimensions.is_empty();
        let judged = all.iter().any(|checked| !checked.names.is_empty());
        (filters && judged && !chosen)
            .then(|| "no check has such a tag or dimension; nothing was evaluated".to_owned())
    }

    /// What was asked for and has no result: silence must not be green.
    pub fn unmet(&self, all: &[Checked]) -> Vec<String> {
        let rows = || all.iter().flat_map(|checked| &checked.rows);
        let mut unmet: Vec<String> = self
            .checks
            .iter()
            .filter(|wanted| !rows().any(|row| row.result.check.as_str() == wanted.as_str()))
            .map(|wanted| format!("the check `{wanted}` has no result: it was not evaluated"))
            .collect();
        unmet.extend(
            self.partitions
                .iter()
                .filter(|wanted| {
                    let named = |checked: &Checked| {
                        let key = partition_key(&checked.dataset, wanted);
                        let mut rows = checked.rows.iter();
                        rows.any(|row| row.partition.key.as_str() == key)
                    };
                    !all.iter().any(named)
                })
                .map(|wanted| format!("the partition {wanted} has no result that was asked for")),
        );
        unmet
    }

    /// Whether every result is looked at.
    fn is_open(&self) -> bool {
        self.checks.is_empty() && self.tags.is_empty() && self.dimensions.is_empty()
    }

    fn takes(&self, dataset: &Dataset, result: &CheckResult) -> bool {
        if self.is_open() {
            return true;
        }
        if self.checks.iter().any(|id| id == result.check.as_str()) {
            return true;
        }
        dataset
            .checks
            .iter()
            .find(|check| check.id == result.check)
            .is_some_and(|check| {
                check.tags.iter().any(|tag| self.tags.contains(tag))
                    || check
                        .dimension
                        .as_ref()
                        .is_some_and(|d| self.dimensions.contains(d))
            })
    }
}

/// What a check of one dataset found.
pub struct Checked {
    /// The dataset's file.
    pub file: PathBuf,
    /// The definition.
    pub dataset: Dataset,
    /// Its runs, ended: its own, then those that an earlier check had left unfinished.
    pub runs: Vec<Run>,
    /// Its results, in the order of the partitions.
    pub rows: Vec<ResultRow>,
    /// Their counts.
    pub counts: OutcomeCounts,
    /// Partitions that it answers for.
    pub partitions: usize,
    /// Those among them that have not come: there was nothing to judge.
    pub missing: usize,
    /// Whether nothing was new, so that earlier verdicts stand.
    pub unchanged: bool,
    /// Partitions that an earlier look judged and whose verdict in force needs a look.
    pub elsewhere: BTreeSet<PartitionKey>,
    /// Tasks that did not succeed, with the reason.
    pub broken: Vec<String>,
    /// What its discoveries have to say besides the plan.
    pub remarks: Remarks,
    /// The names of all its checks, whatever the filter.
    names: BTreeSet<String>,
    /// Rows of the partitions that it judged.
    pub row_count: u64,
    /// Bytes of them, as stored.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl Checked {
    /// Reads what `runs` committed: every result, or, where not all are `shown` in some way, those that
    /// are.
    pub async fn read(
        store: &dyn MetricStore,
        file: &Path,
        dataset: Dataset,
        runs: Vec<Run>,
        filter: &Filter,
        shown: Shown,
        elapsed: Duration,
    ) -> Result<Self> {
        let (mut broken, mut remarks) = (Vec::new(), Remarks::default());
        for run in &runs {
            broken.extend(broken_tasks(store, run).await?);
            remarks.merge(store.remarks(run.id, IGNORED_MAX).await?);
        }
        let keys = filter.partitions_of(&dataset);
        let declared: Vec<CheckId> = dataset.checks.iter().map(|c| c.id.clone()).collect();
        let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
        let look = Look {
            runs: &ids,
            keys: &keys,
            limit: RESULTS_MAX,
            which: shown.which(filter.is_open(), &declared),
        };
        let standing = standing(store, &dataset.id, look).await?;
        let unchanged = standing.unchanged && broken.is_empty();
        let (left_out, whole) = (standing.left_out(), standing.counts());
        let mut rows = standing.rows;
        let names = rows
            .iter()
            .map(|row| row.result.check.to_string())
            .chain(dataset.checks.iter().map(|check| check.id.to_string()))
            .collect();
        rows.retain(|row| filter.takes(&dataset, &row.result));
        let counts = if filter.is_open() {
            whole
        } else {
            OutcomeCounts::of(rows.iter().map(|row| &row.result))
        };
        if left_out > 0 {
            tell_left_out(left_out, filter, &mut remarks, &mut broken);
        }
        let chosen: BTreeSet<&PartitionKey> = rows.iter().map(|row| &row.partition.key).collect();
        let judged = standing.judged.iter();
        let keys: BTreeSet<&PartitionKey> = judged
            .filter(|key| filter.is_open() || chosen.contains(key))
            .collect();
        let missing: BTreeSet<&PartitionKey> = rows
            .iter()
            .filter(|row| row.result.outcome == Outcome::Missing)
            .map(|row| &row.partition.key)
            .filter(|key| keys.contains(key))
            .collect();
        let (row_count, bytes) = volume(store, &dataset, &keys).await?;
        Ok(Self {
            file: file.to_owned(),
            partitions: keys.len(),
            missing: missing.len(),
            broken,
            dataset,
            runs,
            counts,
            rows,
            unchanged,
            elsewhere: standing.elsewhere,
            remarks,
            names,
            row_count,
            bytes,
            elapsed,
        })
    }

    /// The exit code that the results mean.
    pub fn exit(&self, fail_on: FailOn) -> Exit {
        let not_evaluated = self.counts.error + self.counts.overflow > 0
            || self.runs.iter().any(|run| run.state != RunState::Succeeded)
            || !self.broken.is_empty();
        let bad = match fail_on {
            FailOn::Never => 0,
            FailOn::Error => self.counts.fail + self.counts.missing,
            FailOn::Warning => self.counts.fail + self.counts.missing + self.counts.warn,
        };
        if not_evaluated {
            Exit::NotEvaluated
        } else if bad > 0 {
            Exit::BadData
        } else {
            Exit::Ok
        }
    }
}

/// Says that results are beyond the bound of what is read.
fn tell_left_out(left_out: u64, filter: &Filter, remarks: &mut Remarks, broken: &mut Vec<String>) {
    let n = text::count(left_out);
    remarks.notices.push(format!(
        "{n} more results are counted and not listed; name partitions to see them"
    ));
    // A filter looks at what was read, which may not be all that it would choose.
    if !filter.is_open() {
        broken.push(format!("{n} results are beyond what a filter can look at"));
    }
}

/// Rows and bytes of the partitions `keys`.
async fn volume(
    store: &dyn MetricStore,
    dataset: &Dataset,
    keys: &BTreeSet<&PartitionKey>,
) -> Result<(u64, u64)> {
    let bytes = store
        .ledger(&dataset.id)
        .await?
        .iter()
        .filter(|entry| keys.contains(&entry.partition.key))
        .map(|entry| entry.bytes)
        .sum();
    let rows_key = MetricKey::table(Metric::RowCount);
    let counts = store.values_of_metric(&dataset.id, &rows_key, ROW_COUNTS_MAX);
    let rows = counts
        .await?
        .iter()
        .filter(|(key, _)| keys.contains(key))
        .filter_map(|(_, value)| value.to_string().parse::<u64>().ok())
        .sum();
    Ok((rows, bytes))
}

async fn broken_tasks(store: &dyn MetricStore, run: &Run) -> Result<Vec<String>> {
    if run.state == RunState::Succeeded {
        return Ok(Vec::new());
    }
    let mut broken = Vec::new();
    for (task, _) in store.tasks(run.id).await? {
        if matches!(task.state, TaskState::Failed | TaskState::Quarantined) {
            let reason = task.reason.as_deref().unwrap_or("no reason was given");
            let about = task
                .spec
                .partition()
                .map(|key| format!(" of {key}"))
                .unwrap_or_default();
            broken.push(format!("{}{about}: {reason}", task.spec.kind()));
        }
    }
    if broken.is_empty() {
        let reason = run.reason.as_deref().unwrap_or("no reason was given");
        broken.push(format!("the run is {}: {reason}", run.state));
    }
    Ok(broken)
}

/// Prints everything.
pub fn print(all: &[Checked], exit: Exit, args: &CheckArgs, cx: &Context) -> Result<()> {
    let mut out = String::new();
    for checked in all {
        describe(checked, args.all, cx, &mut out);
    }
    out.push_str(&last_line(all, exit));
    cx.screen.text(&out)?;
    let items: Vec<serde_json::Value> = all.iter().flat_map(items).collect();
    let mut total = OutcomeCounts::default();
    for checked in all {
        total.merge(&checked.counts);
    }
    let broken: Vec<&String> = all.iter().flat_map(|c| &c.broken).collect();
    let summary = json!({
        "counts": total,
        "partitions": all.iter().map(|c| c.partitions).sum::<usize>(),
        "missingPartitions": all.iter().map(|c| c.missing).sum::<usize>(),
        "rows": all.iter().map(|c| c.row_count).sum::<u64>(),
        "bytes": all.iter().map(|c| c.bytes).sum::<u64>(),
        "couldNotEvaluate": broken,
        "ignored": all.iter().flat_map(|c| &c.remarks.ignored).collect::<Vec<_>>(),
        "ignoredCount": all.iter().map(|c| c.remarks.ignored_count).sum::<u64>(),
        "notices": all.iter().flat_map(|c| &c.remarks.notices).collect::<Vec<_>>(),
    });
    cx.screen.items("CheckResultList", &items, &summary, exit)?;
    if args.ci || std::env::var_os("GITHUB_ACTIONS").is_some() {
        annotate(all);
    }
    Ok(())
}

fn items(checked: &Checked) -> Vec<serde_json::Value> {
    checked
        .rows
        .iter()
        .map(|row| {
            let result = &row.result;
            json!({
                "dataset": checked.dataset.id,
                "partition": row.partition.key,
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
                "samples": result.samples(),
            })
        })
        .collect()
}

fn describe(checked: &Checked, all: bool, cx: &Context, out: &mut String) {
    let dataset = &checked.dataset;
    let location = &dataset.source.location;
    let path = location
        .local()
        .map_or_else(|| location.address(), str::to_owned);
    let head = if checked.unchanged {
        "nothing new; earlier verdicts stand".to_owned()
    } else {
        format!(
            "{}, {} rows, {} in {}",
            text::judged(checked.partitions, checked.missing),
            text::count(checked.row_count),
            text::bytes(checked.bytes),
            text::span(checked.elapsed.as_millis() as u64)
        )
    };
    out.push_str(&format!(
        "{} {}  {path}   {head}\n\n",
        dataset.id, dataset.version
    ));
    for broken in &checked.broken {
        let word = text::paint("ERROR   ", "35", cx.screen.color);
        out.push_str(&format!("  {word} {}\n", one_line(broken)));
    }
    for remark in checked.remarks.lines() {
        out.push_str(&text::remark(&remark, cx.screen.color));
    }
    let (lines, hidden) = lines_of(checked, all, cx.screen.color);
    out.push_str(&columns::aligned(&lines));
    if hidden > 0 {
        out.push_str(&format!(
            "  showing {} of {}; --all shows the rest\n",
            lines.len(),
            lines.len() + hidden
        ));
    }
    if !lines.is_empty() {
        out.push('\n');
    }
    if !checked.elsewhere.is_empty() {
        out.push_str(&format!(
            "{} of earlier looks still {} a look\n",
            text::counted(checked.elsewhere.len(), "partition"),
            if checked.elsewhere.len() == 1 {
                "needs"
            } else {
                "need"
            }
        ));
    }
    out.push_str(&format!("{}\n", text::counts(&checked.counts)));
}

/// The lines of the results that are to be shown, and how many more there are.
fn lines_of(checked: &Checked, all: bool, color: bool) -> (Vec<Line>, usize) {
    let dataset = &checked.dataset;
    let declared_only_last = checked.rows.last().map(|row| row.partition.key.clone());
    let mut lines = Vec::new();
    let mut hidden = 0;
    let mut told = BTreeSet::new();
    let mut alike: BTreeMap<Cause<'_>, usize> = BTreeMap::new();
    for cause in checked.rows.iter().filter_map(cause_of_partition) {
        *alike.entry(cause).or_default() += 1;
    }
    // The worst first within a partition, so that what is cut off is never worse than what is shown.
    let mut rows: Vec<&ResultRow> = checked.rows.iter().collect();
    rows.sort_by_key(|row| !row.result.outcome.needs_a_look());
    for row in rows {
        let newest = Some(&row.partition.key) == declared_only_last.as_ref();
        let declared = dataset.checks.iter().any(|c| c.id == row.result.check);
        let wanted = all
            || row.result.outcome.needs_a_look()
            || (declared && (newest || leaves_out(&row.result)));
        if !wanted {
            continue;
        }
        // A partition that did not come, or could not be read, says so once, not per check.
        let cause = cause_of_partition(row);
        let alike = cause.and_then(|cause| alike.get(&cause)).copied();
        let one_line =
            alike.is_some_and(|n| n > 3 || row.result.outcome == Outcome::Missing) && !all;
        if one_line && cause.is_some_and(|cause| !told.insert(cause)) {
            continue;
        }
        if lines.len() == LINES_MAX && !all {
            hidden += 1;
            continue;
        }
        let of_partition = alike.filter(|_| one_line);
        lines.push(line(row, of_partition, color));
    }
    (lines, hidden)
}

/// Whether a value that was judged is not that of all rows: a note on NULLs says who counted them.
fn leaves_out(result: &CheckResult) -> bool {
    let of_nulls = matches!(
        result.metric.metric,
        Metric::NullCount | Metric::NullPercent | Metric::MissingCount | Metric::MissingPercent
    );
    result.note.is_some() && !of_nulls && result.samples().is_empty()
}

/// A partition with the reason that several of its checks may share.
type Cause<'a> = (&'a PartitionKey, Option<&'a str>);

/// Why a result has no value, where the reason may be its partition's.
fn cause_of_partition(row: &ResultRow) -> Option<Cause<'_>> {
    match row.result.outcome {
        Outcome::Missing => Some((&row.partition.key, None)),
        Outcome::Error => Some((&row.partition.key, row.result.reason.as_deref())),
        _ => None,
    }
}

/// The line of a result, or that of a partition whose `of_partition` checks say the same.
fn line(row: &ResultRow, of_partition: Option<usize>, color: bool) -> Line {
    let result = &row.result;
    let badge = text::badge(result.outcome, color);
    let key = one_line(row.partition.key.as_str());
    if let Some(checks) = of_partition {
        let reason = result.reason.as_deref();
        let reason = reason.unwrap_or("the partition has not come");
        return Line {
            head: format!("  {badge} {key:<12} "),
            cells: Vec::new(),
            tail: format!("{}: {reason}", text::counted(checks, "check")),
        };
    }
    Line {
        head: format!("  {badge} {key:<12} "),
        cells: vec![
            result.check.to_string(),
            result.metric.to_string(),
            text::phrase(&result.expected),
            text::found(result),
        ],
        tail: text::told(result),
    }
}

fn last_line(all: &[Checked], exit: Exit) -> String {
    let mut total = OutcomeCounts::default();
    for checked in all {
        total.merge(&checked.counts);
    }
    let mut line = format!("exit code {}", exit.code());
    if total.learning > 0 {
        line.push_str(&format!(
            "; {} still learning (too little history before the partition): not judged",
            text::counted(total.learning as usize, "result")
        ));
    }
    if total.planned == 0 {
        line.push_str("; nothing was evaluated");
    }
    line.push('\n');
    line
}
