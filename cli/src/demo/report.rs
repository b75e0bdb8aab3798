//! What the demonstration shows at its end: each planted fault beside what was found.
//!
//! Comes in: the story, and the stored results. Goes out: for each fault the checks that found it,
//! with the measured value, the limits and where those come from; and whatever was flagged without
//! having been planted. It must never leave the latter out.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use assay_model::check::CheckOrigin;
use assay_model::dataset::Dataset;
use assay_model::metric::Metric;
use assay_model::outcome::{CheckResult, Outcome, OutcomeCounts, Span};
use assay_store::MetricStore;
use assay_store::port::{ResultFilter, ResultRow};
use serde_json::json;

use super::Written;
use super::story::{Day, Fault};
use crate::context::Context;
use crate::exit::Exit;
use crate::show::text;

/// Results that are read, at most.
const RESULTS_MAX: u32 = 1_000_000;

/// What was found, day by day.
pub struct Findings {
    days: Vec<(Day, Vec<ResultRow>)>,
    counts: OutcomeCounts,
    partitions: usize,
}

impl Findings {
    /// Reads what is stored.
    pub async fn read(store: &dyn MetricStore, dataset: &Dataset, days: &[Day]) -> Result<Self> {
        let filter = ResultFilter {
            limit: RESULTS_MAX,
            ..ResultFilter::default()
        };
        let rows = store.results(&dataset.id, &filter).await?;
        let counts = OutcomeCounts::of(rows.iter().map(|row| &row.result));
        let mut by_key: BTreeMap<String, Vec<ResultRow>> = BTreeMap::new();
        for row in rows {
            let key = row.partition.key.to_string();
            by_key.entry(key).or_default().push(row);
        }
        let partitions = by_key.len();
        let days = days
            .iter()
            .map(|day| {
                let rows = by_key.remove(&day.date.to_string()).unwrap_or_default();
                (*day, rows)
            })
            .collect();
        Ok(Self {
            days,
            counts,
            partitions,
        })
    }

    fn flagged(rows: &[ResultRow]) -> Vec<&CheckResult> {
        let mut flagged: Vec<&CheckResult> = rows
            .iter()
            .map(|row| &row.result)
            .filter(|result| {
                !matches!(
                    result.outcome,
                    Outcome::Pass | Outcome::Learning | Outcome::Skipped
                )
            })
            .collect();
        flagged.sort_by_key(|result| rank(result));
        flagged
    }

    /// Days that are flagged and were not planted.
    fn unplanted(&self) -> Vec<(&Day, Vec<&CheckResult>)> {
        self.days
            .iter()
            .filter(|(day, _)| day.fault.is_none())
            .map(|(day, rows)| (day, Self::flagged(rows)))
            .filter(|(_, flagged)| !flagged.is_empty())
            .collect()
    }

    /// What the next look at the data says, and why: a file that cannot be read is tried again.
    fn planted_corrupt(&self) -> String {
        let mut days = self.days.iter().map(|(day, _)| day);
        let corrupt = days.find(|day| day.fault == Some(Fault::Corrupt));
        corrupt.map_or_else(String::new, |day| {
            format!(
                "         (ends with exit code {}, could not evaluate: it tries the planted cut-off \
                 file of {} again)\n",
                Exit::NotEvaluated.code(),
                day.date
            )
        })
    }

    /// Whether every planted fault was found, and nothing else.
    pub fn is_as_told(&self) -> bool {
        let found = self
            .days
            .iter()
            .filter(|(day, _)| day.fault.is_some())
            .all(|(_, rows)| !Self::flagged(rows).is_empty());
        found && self.unplanted().is_empty()
    }
}

/// What is shown first: exact rules, declared ones, the row count, then the farthest outside its
/// limits.
fn rank(result: &CheckResult) -> (u8, i64) {
    let group = match (result.outcome, result.origin) {
        (Outcome::Missing, _) => 0,
        (Outcome::Error, _) => 5,
        (_, CheckOrigin::BuiltIn) => 1,
        (_, CheckOrigin::Declared | CheckOrigin::Implied) => 2,
        (_, CheckOrigin::Profiled) if result.metric.metric == Metric::RowCount => 3,
        (_, CheckOrigin::Profiled) => 4,
    };
    (group, -(overshoot(result) * 1e6).min(1e15) as i64)
}

/// How far outside its limits a value is, in half-widths of the limits.
fn overshoot(result: &CheckResult) -> f64 {
    let (Some(limits), Some(actual)) = (&result.limits, result.actual.as_f64()) else {
        return 0.0;
    };
    let (Some(lower), Some(upper)) = (limits.lower, limits.upper) else {
        return 0.0;
    };
    let middle = f64::midpoint(lower, upper);
    let half = ((upper - lower) / 2.0).max(middle.abs() * 1e-6).max(1e-9);
    ((actual - middle).abs() / half).min(1e6)
}

/// Prints the findings.
pub fn print(
    findings: &Findings,
    written: &Written,
    nodes: u32,
    elapsed: Duration,
    folder: &Path,
    cx: &Context,
) -> Result<()> {
    let mut out = String::new();
    out.push_str(&format!(
        "orders: {} rows in {} daily partitions ({}), judged by 1 manager and {nodes} data nodes in {}\n\n",
        text::count(written.rows),
        findings.partitions,
        text::bytes(written.bytes),
        text::span(elapsed.as_millis() as u64),
    ));
    for (day, rows) in &findings.days {
        if let Some(fault) = day.fault {
            describe(
                day,
                fault,
                &Findings::flagged(rows),
                cx.screen.color,
                &mut out,
            );
        }
    }
    let unplanted = findings.unplanted();
    if unplanted.is_empty() {
        out.push_str("Nothing was flagged that was not planted.\n");
    }
    for (day, flagged) in &unplanted {
        out.push_str(&format!(
            "{}  flagged, but nothing was planted:\n",
            day.date
        ));
        for result in flagged.iter().take(3) {
            out.push_str(&found(result, cx.screen.color));
        }
    }
    let counts = text::counts(&findings.counts);
    out.push_str(&format!("All checks of all days: {counts}.\n\n"));
    let data_dir = folder.join(".assay").display().to_string();
    let file = folder.join("orders.odcs.yaml").display().to_string();
    out.push_str(&format!(
        "Next:  assay --data-dir {data_dir} metric history orders rowCount --last 60\n       \
         assay --data-dir {data_dir} check {file}\n{}       \
         assay dataset init ./your/files\n",
        findings.planted_corrupt()
    ));
    cx.screen.text(&out)?;
    let exit = if findings.is_as_told() {
        Exit::Ok
    } else {
        Exit::BadData
    };
    cx.screen.items("DemoFindingList", &items(findings), &json!({ "counts": findings.counts, "rows": written.rows, "bytes": written.bytes, "unplanted": unplanted.len(), "seconds": elapsed.as_secs_f64() }), exit)
}

fn items(findings: &Findings) -> Vec<serde_json::Value> {
    findings
        .days
        .iter()
        .filter_map(|(day, rows)| {
            let flagged = Findings::flagged(rows);
            if day.fault.is_none() && flagged.is_empty() {
                return None;
            }
            Some(json!({
                "partition": day.date,
                "planted": day.fault.map(Fault::title),
                "found": flagged,
            }))
        })
        .collect()
}

fn describe(day: &Day, fault: Fault, flagged: &[&CheckResult], color: bool, out: &mut String) {
    let date = text::paint(&day.date.to_string(), "1", color);
    out.push_str(&format!("{date}  planted: {}\n", fault.title()));
    if flagged.is_empty() {
        out.push_str("  NOT FOUND\n");
    }
    // Where nothing could be measured, every check says the same.
    let whole = |result: &&CheckResult| matches!(result.outcome, Outcome::Missing | Outcome::Error);
    let shown = if flagged.iter().all(whole) { 1 } else { 2 };
    for result in flagged.iter().take(shown) {
        out.push_str(&found(result, color));
    }
    if flagged.len() > shown {
        let more = flagged.len() - shown;
        let checks = if more == 1 { "check" } else { "checks" };
        out.push_str(&format!("           and {more} more {checks}\n"));
    }
    out.push('\n');
}

fn found(result: &CheckResult, color: bool) -> String {
    if matches!(result.outcome, Outcome::Missing | Outcome::Error) {
        let reason = result.reason.as_deref().unwrap_or("no reason was given");
        return format!("  {} {reason}\n", text::badge(result.outcome, color));
    }
    let mut line = format!(
        "  {} {}: measured {}, expected {}\n",
        text::badge(result.outcome, color),
        result.metric,
        text::measured(&result.actual, result.error_bound),
        text::phrase(&result.expected)
    );
    let told = text::told(result);
    if !told.is_empty() {
        line.push_str(&format!("           {told}\n"));
    }
    if let Some(limits) = &result.limits
        && let (Some(first), Some(last)) = (limits.learned_from.first(), limits.learned_from.last())
    {
        line.push_str(&format!(
            "           limits by {} from {} earlier partitions, {} to {}{}\n",
            limits.model,
            Span::count(&limits.learned_from),
            first.first,
            last.last,
            if limits.provisional {
                ", provisional"
            } else {
                ""
            }
        ));
    }
    line
}
