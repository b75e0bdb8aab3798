//! One dataset: how it stands, what fails, and what is known of it.

use askama::Template;
use assay_answers::check::CheckRow;
use assay_answers::dataset::DatasetDetail;
use assay_answers::facts::{PointsQuery, RunsQuery};
use assay_answers::incident::Incident;
use assay_answers::run::{Run, StartRun};

use super::Body;
use super::curve::{self, Curve, Range};
use crate::frame::{Cx, Frame, Section, dataset_path, sh};
use crate::html::Markup;
use crate::{Pages, show};

/// Pages of a dataset: name and path below its own.
pub const TABS: [(&str, &str); 6] = [
    ("Overview", ""),
    ("Checks", "/checks"),
    ("Metrics", "/metrics"),
    ("Partitions", "/partitions"),
    ("Definition", "/definition"),
    ("Backfill", "/backfill"),
];

/// Checks of one column.
pub(super) struct Group {
    pub(super) column: String,
    pub(super) rows: Vec<CheckRow>,
}

/// Checks by column, in the order in which columns come.
pub(super) fn by_column(rows: impl Iterator<Item = CheckRow>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|g| g.column == row.of.column) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group {
                column: row.of.column.clone(),
                rows: vec![row],
            }),
        }
    }
    groups
}

/// Whether the newest result of a check needs a look.
pub(super) fn needs_a_look(row: &CheckRow) -> bool {
    row.newest
        .as_ref()
        .is_some_and(|result| result.outcome.needs_a_look())
}

#[derive(Template)]
#[template(path = "dataset.html")]
struct Page {
    frame: Frame,
    dataset: String,
    current: &'static str,
    of: DatasetDetail,
    failing: Vec<Group>,
    strip: Markup,
    curve: Option<Curve>,
    active: Vec<Run>,
    key: String,
    may_run: bool,
}

/// What makes two sendings of one form one run.
pub(super) fn key_of(cx: &Cx<'_>) -> String {
    format!("page-{}-{:x}", cx.who.id, cx.now.as_nanosecond())
}

/// What is open although the newest partition is in order.
#[must_use]
pub fn elsewhere(open: &[Incident]) -> String {
    match open.len() {
        0 => String::new(),
        1 => " One incident is open all the same: see below.".to_owned(),
        n => format!(" {n} incidents are open all the same: see below."),
    }
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, dataset: &str) -> Body {
    let mut frame = Frame::new(cx, dataset, Section::Datasets)
        .crumb("Datasets", "/datasets")
        .same(
            format!("/api/v1{}", dataset_path(dataset, "")),
            format!("assay dataset get {}", sh(dataset)),
        )
        .poll(10);
    let of = frame.take(pages.facts.dataset(cx.who, dataset).await?);
    let query = RunsQuery {
        dataset: Some(dataset.to_owned()),
        state: Some("active".to_owned()),
        ..RunsQuery::default()
    };
    let active = frame.take(pages.facts.runs(cx.who, &query).await?).items;
    let range = Range {
        last: Some(60),
        from: None,
        to: None,
        zero: false,
    };
    // A dataset without a judged partition has no row count yet: no chart, then, and no refusal.
    let curve = match pages
        .facts
        .points(cx.who, dataset, "rowCount", &PointsQuery::default())
        .await
    {
        Ok(told) => {
            Some(curve::of(&frame.take(told), &range, "Row count")).filter(|c| !c.rows.is_empty())
        }
        Err(problem) if problem.status == 404 => None,
        Err(problem) => return Err(problem),
    };
    let failing = by_column(
        of.check_rows
            .iter()
            .filter(|row| needs_a_look(row))
            .cloned(),
    );
    super::render(&Page {
        dataset: dataset.to_owned(),
        current: "Overview",
        failing,
        strip: super::datasets::squares(&of.row),
        curve,
        active,
        key: key_of(cx),
        may_run: pages.deeds.is_some(),
        frame,
        of,
    })
}

/// Starts a run that was asked for by the button.
///
/// # Errors
/// What the wish answers.
pub async fn start(
    pages: &Pages,
    cx: &Cx<'_>,
    dataset: &str,
) -> Result<String, assay_answers::Problem> {
    let what = StartRun {
        partition: cx.asked.f("partition").map(str::to_owned),
        rescan: cx.asked.f("rescan") == Some("1"),
        ..StartRun::default()
    };
    let key = cx.asked.f("key").map_or_else(|| key_of(cx), str::to_owned);
    let started = pages
        .deeds()?
        .start_run(cx.who, dataset, &what, &key)
        .await?;
    let done = if started.existed {
        "run-existed"
    } else {
        "run"
    };
    Ok(format!("/runs/{}?done={done}", show::part(&started.run_id)))
}
