//! The definition of a dataset, its versions, and what changed between two.

use askama::Template;
use assay_answers::definition::{Definition, Diff, LineKind, VersionRow};

use super::Body;
use crate::Pages;
use crate::frame::{Cx, Frame, Section, dataset_path, sh};
use crate::html::Markup;

#[derive(Template)]
#[template(path = "definition.html")]
struct Page {
    frame: Frame,
    dataset: String,
    current: &'static str,
    of: Definition,
    lines: Vec<Markup>,
    versions: Vec<VersionRow>,
    diff: Option<Diff>,
    from: Option<u64>,
    to: Option<u64>,
    shown: Option<u64>,
    apply: String,
}

/// The class of a line of a diff.
#[must_use]
pub const fn line_class(kind: &LineKind) -> &'static str {
    match kind {
        LineKind::Same => "same",
        LineKind::Added => "added",
        LineKind::Removed => "removed",
    }
}

/// The mark of a line of a diff, for those who do not see its colour.
#[must_use]
pub const fn line_mark(kind: &LineKind) -> &'static str {
    match kind {
        LineKind::Same => " ",
        LineKind::Added => "+",
        LineKind::Removed => "−",
    }
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, dataset: &str) -> Body {
    let number = |name: &str| cx.asked.q(name).and_then(|n| n.parse::<u64>().ok());
    let (from, to, shown) = (number("from"), number("to"), number("revision"));
    let path = dataset_path(dataset, "/definition");
    let history = format!("assay dataset history {}", sh(dataset));
    let (api, cli) = match (from, shown) {
        (Some(from), _) => (
            super::with_query(
                &format!("/api/v1{}/{from}/diff", dataset_path(dataset, "/versions")),
                &[("to", cx.asked.q("to"))],
            ),
            history,
        ),
        (None, Some(revision)) => (
            format!("/api/v1{}/{revision}", dataset_path(dataset, "/versions")),
            format!("{history} --revision {revision}"),
        ),
        (None, None) => (
            format!("/api/v1{path}"),
            format!("assay dataset get {}", sh(dataset)),
        ),
    };
    let mut frame = Frame::new(cx, format!("Definition of {dataset}"), Section::Datasets)
        .crumb("Datasets", "/datasets")
        .crumb(dataset, dataset_path(dataset, ""))
        .same(api, cli);
    let of = match shown {
        Some(revision) => pages.facts.version_of(cx.who, dataset, revision).await?,
        None => pages.facts.definition(cx.who, dataset).await?,
    };
    let of = frame.take(of);
    let versions = frame
        .take(pages.facts.versions(cx.who, dataset).await?)
        .items;
    let diff = match from {
        Some(from) => Some(frame.take(pages.facts.diff(cx.who, dataset, from, to).await?)),
        None => None,
    };
    super::render(&Page {
        dataset: dataset.to_owned(),
        current: "Definition",
        lines: of.text.lines().map(super::yaml::line).collect(),
        apply: format!(
            "assay dataset apply -f {}",
            sh(of.file.rsplit('/').next().unwrap_or("dataset.odcs.yaml"))
        ),
        versions,
        diff,
        from,
        to,
        shown,
        frame,
        of,
    })
}
