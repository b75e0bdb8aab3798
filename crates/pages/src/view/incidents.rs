//! Incidents: their list, and one with the chart of its metric.

use askama::Template;
use assay_answers::Problem;
use assay_answers::check::{CheckResult, CheckRow};
use assay_answers::facts::{IncidentsQuery, PointsQuery, ResultsQuery};
use assay_answers::incident::{Incident, IncidentDetail};
use assay_model::check::Severity;
use assay_model::incident::IncidentStatus;

use super::curve::{self, Curve, Range};
use super::problem::{absent, of as problem};
use super::{Body, Choice, Part, with_query};
use crate::Pages;
use crate::frame::{Cx, Frame, Section, sh};
use crate::html::{part, shortened};
use crate::seams::Change;

#[derive(Template)]
#[template(path = "incidents.html")]
struct ListPage {
    frame: Frame,
    items: Vec<Incident>,
    part: Part,
    statuses: Vec<Choice>,
    severities: Vec<Choice>,
    dataset: String,
    filtered: bool,
}

#[derive(Template)]
#[template(path = "incident.html")]
struct Page {
    frame: Frame,
    of: Incident,
    more: IncidentDetail,
    /// Whether there is a page of its check.
    has_check: bool,
    curve: Option<Curve>,
    results: Vec<CheckResult>,
    may: bool,
    open: bool,
}

/// The page of the list.
///
/// # Errors
/// What the reads answer.
pub async fn list(pages: &Pages, cx: &Cx<'_>) -> Body {
    let (dataset, status, severity) = (
        cx.asked.q("dataset"),
        cx.asked.q("status"),
        cx.asked.q("severity"),
    );
    let filters = [
        ("status", status),
        ("severity", severity),
        ("dataset", dataset),
    ];
    let mut frame = Frame::new(cx, "Incidents", Section::Incidents)
        .same(
            with_query("/api/v1/incidents", &filters),
            "assay incident list",
        )
        .poll(15);
    let query = IncidentsQuery {
        dataset: dataset.map(str::to_owned),
        status: status.map(str::to_owned),
        severity: severity.map(str::to_owned),
        cut: super::cut(cx, 100),
    };
    let list = frame.take(pages.facts.incidents(cx.who, &query).await?);
    let link = |name: &str, status, severity| Choice {
        name: name.to_owned(),
        href: with_query(
            "/incidents",
            &[
                ("status", status),
                ("severity", severity),
                ("dataset", dataset),
            ],
        ),
        chosen: false,
    };
    let chosen = |choice: Choice, chosen| Choice { chosen, ..choice };
    let mut statuses = vec![chosen(link("all", None, severity), status.is_none())];
    statuses.extend(IncidentStatus::ALL.iter().map(|word| {
        let name = word.as_str();
        chosen(link(name, Some(name), severity), status == Some(name))
    }));
    let any = link("any severity", status, None);
    let mut severities = vec![chosen(any, severity.is_none())];
    severities.extend(Severity::ALL.iter().rev().map(|word| {
        let name = word.as_str();
        chosen(link(name, status, Some(name)), severity == Some(name))
    }));
    super::render(&ListPage {
        part: Part::of(
            list.items.len(),
            list.total,
            list.next_cursor.as_deref(),
            "/incidents",
            &filters,
        ),
        items: list.items,
        dataset: dataset.unwrap_or_default().to_owned(),
        filtered: filters.iter().any(|f| f.1.is_some()),
        statuses,
        severities,
        frame,
    })
}

/// The check of an incident. It may have left the definition since, or be none of a value: that a
/// partition has not come, or could not be measured. Then there is no chart, and the rest stays.
async fn check_of(
    pages: &Pages,
    cx: &Cx<'_>,
    frame: &mut Frame,
    of: &Incident,
) -> Result<Option<CheckRow>, Problem> {
    match pages.facts.check(cx.who, &of.dataset, &of.check).await {
        Err(problem) if problem.status == 404 => Ok(None),
        Err(problem) => Err(problem),
        Ok(check) => Ok(Some(frame.take(check))),
    }
}

/// The chart of what an incident is about, with its window alone.
async fn curve_of(
    pages: &Pages,
    cx: &Cx<'_>,
    frame: &mut Frame,
    of: &Incident,
    series: Option<String>,
    metric: &str,
) -> Result<Option<Curve>, Problem> {
    let query = PointsQuery {
        series: series.filter(|s| !s.is_empty()),
        ..PointsQuery::default()
    };
    let told = pages.facts.points(cx.who, &of.dataset, metric, &query);
    let mut points = match told.await {
        Err(problem) if problem.status == 404 => return Ok(None),
        Err(problem) => return Err(problem),
        Ok(points) => frame.take(points),
    };
    points.incidents.retain(|i| i.check == of.check);
    let range = Range {
        last: Some(90),
        from: None,
        to: None,
        zero: false,
    };
    let title = format!("{metric} of {}", of.dataset);
    Ok(Some(curve::of(&points, &range, &title)))
}

/// The results of its partitions up to `last`, newest first; none where none is kept any more.
async fn results_of(
    pages: &Pages,
    cx: &Cx<'_>,
    frame: &mut Frame,
    of: &Incident,
    last: String,
) -> Result<Vec<CheckResult>, Problem> {
    let query = ResultsQuery {
        from: Some(of.first_partition.clone()),
        to: Some(last),
        cut: super::cut(cx, 100),
        ..ResultsQuery::default()
    };
    let found = pages
        .facts
        .results(cx.who, &of.dataset, &of.check, &query)
        .await;
    match found {
        Err(problem) if problem.status == 404 => Ok(Vec::new()),
        Err(problem) => Err(problem),
        Ok(results) => Ok(frame.take(results).items),
    }
}

/// The page of one.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, incident: &str) -> Body {
    let told = pages.facts.incident(cx.who, incident).await?;
    let of = &told.it.incident;
    let mut frame = Frame::new(cx, shortened(&of.message, 80), Section::Incidents)
        .crumb("Incidents", "/incidents")
        .same(
            format!("/api/v1/incidents/{}", part(&of.id)),
            format!("assay incident get {}", sh(&of.id)),
        )
        .poll(30);
    let more = frame.take(told);
    let of = more.incident.clone();
    let broken = more.checks.iter().find(|broken| broken.check == of.check);
    let check = check_of(pages, cx, &mut frame, &of).await?;
    let curve = match &check {
        None => None,
        Some(check) => {
            let series = broken.map(|broken| broken.series.clone());
            curve_of(pages, cx, &mut frame, &of, series, &check.of.name).await?
        }
    };
    let last = broken.map_or_else(|| of.partition.clone(), |b| b.last_partition.clone());
    let results = results_of(pages, cx, &mut frame, &of, last).await?;
    super::render(&Page {
        may: pages.seams.incidents.is_some(),
        open: of.status != IncidentStatus::Resolved,
        has_check: check.is_some(),
        curve,
        results,
        frame,
        more,
        of,
    })
}

/// Changes one.
///
/// # Errors
/// What the port answers; 422 for hours that are no number.
pub async fn change(
    pages: &Pages,
    cx: &Cx<'_>,
    incident: &str,
    verb: &str,
) -> Result<String, Problem> {
    let (change, done) = match verb {
        "acknowledge" => (Change::Acknowledge, "acknowledged"),
        "resolve" => (Change::Resolve, "resolved"),
        "note" => {
            // A browser sends the ends of lines in its own way.
            let text = cx.asked.f("text").unwrap_or_default().replace("\r\n", "\n");
            (
                Change::Note {
                    text: text.trim().to_owned(),
                },
                "noted",
            )
        }
        "mute" => {
            let hours = cx
                .asked
                .f("hours")
                .and_then(|h| h.parse().ok())
                .filter(|h| (1..=24 * 365).contains(h));
            let bad = || {
                problem(
                    422,
                    "invalid",
                    "The incident cannot be muted so long",
                    "Give hours, from 1 to 8760.",
                )
            };
            (
                Change::Mute {
                    hours: hours.ok_or_else(bad)?,
                },
                "muted",
            )
        }
        _ => return Err(super::problem::no_page(&cx.asked.path)),
    };
    let port = pages.seams.incidents.as_ref();
    let port = port.ok_or_else(|| {
        absent(
            "Incidents cannot be changed here.",
            "They close by themselves when the data recovers.",
        )
    })?;
    port.change(cx.who, incident, &change).await?;
    Ok(format!("/incidents/{}?done={done}", part(incident)))
}
