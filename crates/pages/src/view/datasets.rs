//! The list of datasets.

use askama::Template;
use assay_answers::dataset::{DatasetList, DatasetRow, Rows};
use assay_answers::facts::DatasetsQuery;
use assay_model::outcome::Health;

use super::{Body, Choice, Part, with_query};
use crate::Pages;
use crate::chart::small::{Square, spark, strip};
use crate::frame::{Cx, Frame, Section};
use crate::html::Markup;
use crate::{mark, show};

const ON_A_PAGE: u32 = 50;

struct Row {
    of: DatasetRow,
    strip: Markup,
    spark: Markup,
}

#[derive(Template)]
#[template(path = "datasets.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    list: DatasetList,
    part: Part,
    choices: Vec<Choice>,
    search: String,
    tag: String,
    owner: String,
    sort: String,
    health: String,
    filtered: bool,
}

/// The outcomes of a dataset's last partitions, each with the run that judged it.
pub(super) fn squares(row: &DatasetRow) -> Markup {
    let squares: Vec<Square> = row
        .strip
        .iter()
        .map(|square| Square {
            outcome: Some(show::gravest(&square.counts).unwrap_or(mark::of_health(square.health))),
            title: format!(
                "{}: {}",
                square.partition,
                square.health.as_str().replace('_', " ")
            ),
            href: format!("/runs/{}", show::part(&square.run_id)),
        })
        .collect();
    strip(&squares)
}

/// The rows of the same partitions.
pub(super) fn rows_spark(rows: &[Rows]) -> Markup {
    let number = |rows: &Rows| {
        rows.rows
            .as_ref()
            .and_then(|digits| digits.parse::<f64>().ok())
    };
    let values: Vec<Option<f64>> = rows.iter().map(number).collect();
    let newest = rows
        .iter()
        .rev()
        .find_map(|r| r.rows.as_deref())
        .unwrap_or("unknown");
    spark(
        &values,
        &format!(
            "rows of the last {} partitions, newest {}",
            rows.len(),
            crate::words::grouped(newest)
        ),
    )
}

fn choices(filters: &[(&str, Option<&str>)], chosen: Option<&str>) -> Vec<Choice> {
    let link = |health: Option<&str>| {
        let mut values: Vec<_> = filters
            .iter()
            .filter(|f| f.0 != "health")
            .copied()
            .collect();
        values.push(("health", health));
        with_query("/datasets", &values)
    };
    let mut all = vec![Choice {
        name: "all".to_owned(),
        href: link(None),
        chosen: chosen.is_none(),
    }];
    all.extend(Health::ALL.iter().map(|health| Choice {
        name: health.as_str().replace('_', " "),
        href: link(Some(health.as_str())),
        chosen: chosen == Some(health.as_str()),
    }));
    all
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>) -> Body {
    let q = |name: &str| cx.asked.q(name).map(str::to_owned);
    let query = DatasetsQuery {
        search: q("search"),
        tag: q("tag"),
        owner: q("owner"),
        health: q("health"),
        sort: q("sort").or_else(|| Some("health".to_owned())),
        cut: super::cut(cx, ON_A_PAGE),
    };
    let filters: Vec<(&str, Option<&str>)> = ["search", "tag", "owner", "health", "sort"]
        .into_iter()
        .map(|name| (name, cx.asked.q(name)))
        .collect();
    let mut frame = Frame::new(cx, "Datasets", Section::Datasets)
        .same(
            with_query("/api/v1/datasets", &filters),
            "assay dataset list",
        )
        .poll(15);
    let list = frame.take(pages.facts.datasets(cx.who, &query).await?);
    let part = Part::of(
        list.items.len(),
        list.total,
        list.next_cursor.as_deref(),
        "/datasets",
        &filters,
    );
    let rows = list.items.iter().map(|row| Row {
        strip: squares(row),
        spark: rows_spark(&row.rows),
        of: row.clone(),
    });
    super::render(&Page {
        rows: rows.collect(),
        choices: choices(&filters, query.health.as_deref()),
        filtered: filters.iter().any(|f| f.0 != "sort" && f.1.is_some()),
        search: query.search.unwrap_or_default(),
        tag: query.tag.unwrap_or_default(),
        owner: query.owner.unwrap_or_default(),
        sort: query.sort.unwrap_or_default(),
        health: query.health.unwrap_or_default(),
        frame,
        list,
        part,
    })
}
