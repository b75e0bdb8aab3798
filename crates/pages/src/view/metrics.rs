//! The metrics of a dataset as small multiples.

use std::collections::BTreeSet;

use askama::Template;
use assay_answers::metric::MetricRow;

use super::{Body, Choice, Part, with_query};
use crate::Pages;
use crate::chart::small::multiple;
use crate::chart::{Chart, Point, Unit};
use crate::frame::{Cx, Frame, Section, dataset_path, metric_path, sh};
use crate::html::Markup;
use crate::show;

struct Small {
    name: String,
    series: String,
    value: String,
    chart: Markup,
    href: String,
    outcome: Option<assay_model::outcome::Outcome>,
}

#[derive(Template)]
#[template(path = "metrics.html")]
struct Page {
    frame: Frame,
    dataset: String,
    current: &'static str,
    smalls: Vec<Small>,
    columns: Vec<Choice>,
    part: Part,
    filtered: bool,
}

/// The small chart of a metric: its values, and the newest one's limits and outcome.
fn small(dataset: &str, row: &MetricRow) -> Small {
    let mut points: Vec<Point> = row
        .spark
        .iter()
        .map(|value| Point {
            value: *value,
            ..Point::default()
        })
        .collect();
    let newest = row.newest.as_ref();
    if let (Some(last), Some(newest)) = (points.last_mut(), newest) {
        (last.lower, last.upper, last.outcome) = (newest.lower, newest.upper, newest.outcome);
    }
    let value = newest.map_or_else(
        || "–".to_owned(),
        |p| match p.status.as_str() {
            "computed" => show::measured(&p.value, &row.key.name),
            other => other.to_owned(),
        },
    );
    let title = format!(
        "{}: last {} partitions, newest {value}",
        row.key.name,
        row.spark.len()
    );
    let chart = Chart {
        title: &title,
        points: &points,
        windows: &[],
        median: None,
        from_zero: false,
        unit: Unit::of(row.key.metric.as_str()),
    };
    Small {
        chart: multiple(&chart),
        href: with_query(
            &metric_path(dataset, &row.key.name),
            &[("group", Some(&row.series))],
        ),
        name: row.key.name.clone(),
        series: row.series.clone(),
        outcome: newest.and_then(|p| p.outcome),
        value,
    }
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, dataset: &str) -> Body {
    let path = dataset_path(dataset, "/metrics");
    let column = cx.asked.q("column");
    let mut frame = Frame::new(cx, format!("Metrics of {dataset}"), Section::Datasets)
        .crumb("Datasets", "/datasets")
        .crumb(dataset, dataset_path(dataset, ""))
        .same(
            with_query(&format!("/api/v1{path}"), &[("column", column)]),
            column.map_or_else(
                || format!("assay metric list {}", sh(dataset)),
                |c| format!("assay metric list {} --column {}", sh(dataset), sh(c)),
            ),
        )
        .poll(30);
    let detail = frame.take(pages.facts.dataset(cx.who, dataset).await?);
    let list = frame.take(
        pages
            .facts
            .metrics(cx.who, dataset, column, &super::cut(cx, 200))
            .await?,
    );
    let mut columns = vec![Choice {
        name: "all".to_owned(),
        href: path.clone(),
        chosen: column.is_none(),
    }];
    // Every column is measured, whether or not the definition names it.
    let declared = detail.columns.iter().map(|c| c.name.as_str());
    let checked = detail.check_rows.iter().map(|c| c.of.column.as_str());
    let measured = list.items.iter().map(|m| m.key.column.as_str());
    let names: BTreeSet<&str> = declared.chain(checked).chain(measured).collect();
    let names = names.into_iter().filter(|name| !name.is_empty());
    columns.extend(names.map(|name| Choice {
        name: name.to_owned(),
        href: with_query(&path, &[("column", Some(name))]),
        chosen: column == Some(name),
    }));
    super::render(&Page {
        part: Part::of(
            list.items.len(),
            list.total,
            list.next_cursor.as_deref(),
            &path,
            &[("column", column)],
        ),
        smalls: list.items.iter().map(|row| small(dataset, row)).collect(),
        dataset: dataset.to_owned(),
        current: "Metrics",
        filtered: column.is_some(),
        columns,
        frame,
    })
}
