//! The checks of a dataset, by column, failing ones first.

use askama::Template;
use assay_answers::check::CheckRow;

use super::Body;
use super::dataset::{Group, by_column, needs_a_look};
use crate::Pages;
use crate::chart::small::{Square, strip};
use crate::frame::{Cx, Frame, Section, check_path, dataset_path, sh};
use crate::html::Markup;

#[derive(Template)]
#[template(path = "checks.html")]
struct Page {
    frame: Frame,
    dataset: String,
    current: &'static str,
    groups: Vec<Group>,
    shown: u64,
    total: u64,
    only_failing: bool,
}

/// The last results of a check, each a link to the check.
#[must_use]
pub fn strip_of(dataset: &str, row: &CheckRow) -> Markup {
    let href = check_path(dataset, &row.id);
    let squares: Vec<Square> = row
        .strip
        .iter()
        .map(|square| Square {
            outcome: Some(square.outcome),
            title: format!("{}: {}", square.partition, square.outcome),
            href: href.clone(),
        })
        .collect();
    strip(&squares)
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, dataset: &str) -> Body {
    let mut frame = Frame::new(cx, format!("Checks of {dataset}"), Section::Datasets)
        .crumb("Datasets", "/datasets")
        .crumb(dataset, dataset_path(dataset, ""))
        .same(
            format!("/api/v1{}", dataset_path(dataset, "/checks")),
            format!("assay dataset get {}", sh(dataset)),
        )
        .poll(15);
    let list = frame.take(pages.facts.checks(cx.who, dataset).await?);
    let only_failing = cx.asked.q("only") == Some("failing");
    let total = list.total.unwrap_or(list.items.len() as u64);
    let rows = list
        .items
        .into_iter()
        .filter(|row| !only_failing || needs_a_look(row));
    let groups = by_column(rows);
    super::render(&Page {
        shown: groups.iter().map(|g| g.rows.len() as u64).sum(),
        dataset: dataset.to_owned(),
        current: "Checks",
        groups,
        total,
        only_failing,
        frame,
    })
}
