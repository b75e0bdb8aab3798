//! The partition ledger: what is known of each partition, whether it was judged or not.

use askama::Template;
use assay_answers::dataset::PartitionRow;

use super::{Body, Part};
use crate::Pages;
use crate::frame::{Cx, Frame, Section, dataset_path, sh};

#[derive(Template)]
#[template(path = "partitions.html")]
struct Page {
    frame: Frame,
    dataset: String,
    current: &'static str,
    rows: Vec<PartitionRow>,
    part: Part,
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, dataset: &str) -> Body {
    let path = dataset_path(dataset, "/partitions");
    let mut frame = Frame::new(cx, format!("Partitions of {dataset}"), Section::Datasets)
        .crumb("Datasets", "/datasets")
        .crumb(dataset, dataset_path(dataset, ""))
        .same(
            format!("/api/v1{path}"),
            format!("assay metric history {} rowCount", sh(dataset)),
        )
        .poll(15);
    let list = frame.take(
        pages
            .facts
            .partitions(cx.who, dataset, &super::cut(cx, 100))
            .await?,
    );
    super::render(&Page {
        part: Part::of(
            list.items.len(),
            list.total,
            list.next_cursor.as_deref(),
            &path,
            &[],
        ),
        dataset: dataset.to_owned(),
        current: "Partitions",
        rows: list.items,
        frame,
    })
}
