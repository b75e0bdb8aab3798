//! One check: its values over partitions, what was expected of each, and answering back.

use askama::Template;
use assay_answers::Problem;
use assay_answers::check::{CheckResult, CheckRow};
use assay_answers::facts::{Cut, IncidentsQuery, PointsQuery, ResultsQuery};
use assay_answers::incident::Incident;
use assay_answers::metric::{Point, Points};
use assay_answers::value::Limits;

use super::curve::{self, Curve, Range};
use super::{Body, Choice};
use crate::Pages;
use crate::frame::{Cx, Frame, Section, check_path, dataset_path, metric_path, sh};
use crate::html::part;
use crate::seams::{Kept, Saying};

/// Results that one page shows, at most.
const MOST: u32 = 1000;

#[derive(Template)]
#[template(path = "check.html")]
struct Page {
    frame: Frame,
    dataset: String,
    current: &'static str,
    of: CheckRow,
    metric: String,
    curve: Option<Curve>,
    choices: Vec<Choice>,
    range: Range,
    results: Vec<CheckResult>,
    more_results: bool,
    incidents: Vec<Incident>,
    answering: bool,
    kept: Vec<Kept>,
    suggested: String,
}

/// The points of the metric, judged as by this check alone: its own outcomes and limits.
fn by_check(mut points: Points, check: &str, results: &[CheckResult]) -> Points {
    for point in &mut points.points {
        let of = |r: &&CheckResult| r.partition == point.partition && r.series == point.series;
        if let Some(result) = results.iter().find(of) {
            point.outcome = Some(result.outcome);
            point.check = Some(check.to_owned());
            point.lower = result.limits.as_ref().and_then(|l| l.lower);
            point.expected = result.limits.as_ref().and_then(|l| l.expected);
            point.upper = result.limits.as_ref().and_then(|l| l.upper);
            point.run_id = Some(result.run_id.clone());
        } else if !matches!(point.status.as_str(), "missing" | "error") {
            // Measured, and not judged by this check: it had not been written yet, or was skipped.
            (point.outcome, point.lower, point.expected, point.upper) = (None, None, None, None);
        }
    }
    points.incidents.retain(|incident| incident.check == check);
    points
}

/// Points of results alone, of a check whose metric has no history of its own.
fn of_results(dataset: &str, row: &CheckRow, results: &[CheckResult]) -> Points {
    let point = |r: &CheckResult| Point {
        partition: r.partition.clone(),
        t: None,
        series: r.series.clone(),
        status: "computed".to_owned(),
        value: r.actual.clone(),
        lower: r.limits.as_ref().and_then(|l| l.lower),
        expected: r.limits.as_ref().and_then(|l| l.expected),
        upper: r.limits.as_ref().and_then(|l| l.upper),
        model: None,
        outcome: Some(r.outcome),
        check: Some(r.check.clone()),
        also_expected: Vec::new(),
        error_bound: r.error_bound,
        version: r.version.clone(),
        run_id: Some(r.run_id.clone()),
        judged_at: Some(r.judged_at),
        definition: None,
    };
    Points {
        dataset: dataset.to_owned(),
        key: row.of.clone(),
        points: results.iter().rev().map(point).collect(),
        total: results.len() as u64,
        older: false,
        changes: Vec::new(),
        incidents: Vec::new(),
    }
}

async fn points_of(
    pages: &Pages,
    cx: &Cx<'_>,
    frame: &mut Frame,
    row: &CheckRow,
    dataset: &str,
    range: &Range,
    results: &[CheckResult],
) -> Result<Points, Problem> {
    let query = PointsQuery {
        from: range.from.clone(),
        to: range.to.clone(),
        ..PointsQuery::default()
    };
    match pages
        .facts
        .points(cx.who, dataset, &row.of.name, &query)
        .await
    {
        Ok(told) => Ok(by_check(frame.take(told), &row.id, results)),
        Err(problem) if problem.status == 404 => Ok(of_results(dataset, row, results)),
        Err(problem) => Err(problem),
    }
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, dataset: &str, check: &str) -> Body {
    let path = check_path(dataset, check);
    let range = Range::of(cx);
    let mut frame = Frame::new(cx, check, Section::Datasets)
        .crumb("Datasets", "/datasets")
        .crumb(dataset, dataset_path(dataset, ""))
        .crumb("Checks", dataset_path(dataset, "/checks"))
        .poll(30);
    let of = frame.take(pages.facts.check(cx.who, dataset, check).await?);
    let metric = &of.of.name;
    frame = frame.same(
        format!("/api/v1{path}/results"),
        format!("assay metric history {} {}", sh(dataset), sh(metric)),
    );
    let query = ResultsQuery {
        from: range.from.clone(),
        to: range.to.clone(),
        cut: Cut {
            limit: Some(MOST),
            cursor: None,
        },
        ..ResultsQuery::default()
    };
    let list = frame.take(pages.facts.results(cx.who, dataset, check, &query).await?);
    let points = points_of(pages, cx, &mut frame, &of, dataset, &range, &list.items).await?;
    let curve = Some(curve::of(
        &points,
        &range,
        &format!("{metric} of {dataset}, as {check} judged it"),
    ));
    let incidents = IncidentsQuery {
        dataset: Some(dataset.to_owned()),
        ..IncidentsQuery::default()
    };
    let mut incidents = frame
        .take(pages.facts.incidents(cx.who, &incidents).await?)
        .items;
    incidents.retain(|incident| {
        let mut failing = incident.failing_checks.iter();
        incident.check == check || failing.any(|failing| failing == check)
    });
    let kept = match &pages.seams.answering {
        Some(answering) => answering.kept(cx.who, dataset, check).await?,
        None => Vec::new(),
    };
    let keep = range.last.unwrap_or(list.items.len());
    let more_results = list.next_cursor.is_some() || list.items.len() > keep;
    let results: Vec<CheckResult> = list.items.into_iter().take(keep).collect();
    let suggested = results
        .iter()
        .find(|r| r.outcome.needs_a_look())
        .or_else(|| results.first());
    super::render(&Page {
        dataset: dataset.to_owned(),
        current: "Checks",
        metric: metric_path(dataset, metric),
        choices: range.choices(&path, &[]),
        suggested: suggested.map_or_else(String::new, |r| r.partition.clone()),
        answering: pages.seams.answering.is_some(),
        curve,
        range,
        results,
        more_results,
        incidents,
        kept,
        frame,
        of,
    })
}

/// A value is a link only to what is behind it: the run that measured it.
#[must_use]
pub fn run_path(run: &str) -> String {
    format!("/runs/{}", part(run))
}

/// One row of failing values as text.
#[must_use]
pub fn sample(row: &serde_json::Value) -> String {
    crate::html::shortened(&row.to_string(), 300)
}

/// What limits were learned from, in a line; the spans in full are in the API's answer.
#[must_use]
pub fn learned(limits: &Limits) -> String {
    const STEADY: u64 = assay_model::outcome::Limits::STEADY as u64;
    let spans = limits.learned_from.iter();
    let count: u64 = spans.map(|span| u64::from(span.partitions)).sum();
    let partitions = crate::words::counted(count, "partition", "partitions");
    match (count, limits.provisional) {
        (0, _) => "the rule itself".to_owned(),
        (_, false) => partitions,
        // Few have taught them, or what they were held against was not whole.
        (1..STEADY, true) => format!("{count} of the {STEADY} partitions that make them steady"),
        (_, true) => format!("{partitions}; the judged one may still grow"),
    }
}

/// The sayings to choose from.
#[must_use]
pub fn sayings() -> [Saying; 3] {
    Saying::ALL
}
