//! The metric explorer: one metric in full, its series side by side, its points as a table and CSV.

use std::collections::BTreeSet;

use askama::Template;
use assay_answers::Problem;
use assay_answers::facts::PointsQuery;
use assay_answers::metric::Points;

use super::curve::{self, Curve, Range};
use super::{Body, Choice, with_query};
use crate::Pages;
use crate::chart::lines::{self, Line};
use crate::chart::{Size, Unit};
use crate::frame::{Cx, Frame, Section, dataset_path, metric_path, sh};
use crate::html::Markup;
use askama::filters::Safe;

#[derive(Template)]
#[template(path = "metric.html")]
struct Page {
    frame: Frame,
    dataset: String,
    current: &'static str,
    metric: String,
    curve: Curve,
    /// Lines of several series, with their legend, where there are several.
    lines: Option<Markup>,
    series: Vec<Choice>,
    choices: Vec<Choice>,
    range: Range,
    group: String,
    csv: String,
}

/// The part of a key that is shared by the series: what is left of it without the series' own parts.
fn place(partition: &str, series: &str) -> String {
    let own: BTreeSet<&str> = series.split('/').collect();
    let parts: Vec<&str> = partition
        .split('/')
        .filter(|part| !own.contains(part))
        .collect();
    if parts.is_empty() {
        partition.to_owned()
    } else {
        parts.join("/")
    }
}

/// The series of points as lines over the places that any of them has.
fn by_series(points: &Points, range: &Range) -> Option<Markup> {
    let names: BTreeSet<&str> = points.points.iter().map(|p| p.series.as_str()).collect();
    if names.len() < 2 {
        return None;
    }
    let mut places: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    for point in &points.points {
        let place = place(&point.partition, &point.series);
        if known.insert(place.clone()) {
            places.push(place);
        }
    }
    // Series come one after the other or mixed: places that are times sort as texts.
    places.sort();
    let keep = range.last.unwrap_or(places.len()).min(places.len());
    let places = places.split_off(places.len() - keep);
    let lines: Vec<Line> = names
        .iter()
        .map(|name| Line {
            name: if name.is_empty() {
                "no series".to_owned()
            } else {
                (*name).to_owned()
            },
            values: places
                .iter()
                .map(|at| {
                    let here = |p: &&assay_answers::metric::Point| {
                        p.series == *name && place(&p.partition, &p.series) == *at
                    };
                    points
                        .points
                        .iter()
                        .find(here)
                        .and_then(|p| p.value.as_f64())
                })
                .collect(),
        })
        .collect();
    let unit = Unit::of(points.key.metric.as_str());
    let title = format!("{} by series", points.key.name);
    let draw = |size| lines::svg(&title, &places, &lines, unit, false, size).0;
    Some(Safe(format!(
        "<div class=\"chart-wide\">{}</div><div class=\"chart-narrow\">{}</div>{}",
        draw(Size::WIDE),
        draw(Size::NARROW),
        lines::legend(&lines).0
    )))
}

fn query(cx: &Cx<'_>, range: &Range) -> PointsQuery {
    PointsQuery {
        column: cx.asked.q("column").map(str::to_owned),
        series: cx.asked.q("group").map(str::to_owned),
        from: range.from.clone(),
        to: range.to.clone(),
        max_points: None,
    }
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, dataset: &str, metric: &str) -> Body {
    let range = Range::of(cx);
    let path = metric_path(dataset, metric);
    let query = query(cx, &range);
    let mut frame = Frame::new(cx, metric, Section::Datasets)
        .crumb("Datasets", "/datasets")
        .crumb(dataset, dataset_path(dataset, ""))
        .crumb("Metrics", dataset_path(dataset, "/metrics"))
        .poll(30);
    let points = frame.take(pages.facts.points(cx.who, dataset, metric, &query).await?);
    let filters = [
        ("column", cx.asked.q("column")),
        ("group", query.series.as_deref()),
    ];
    let asked = [
        ("series", query.series.as_deref()),
        ("from", range.from.as_deref()),
        ("to", range.to.as_deref()),
    ];
    let last = range.last.unwrap_or(points.points.len());
    frame = frame.same(
        with_query(&format!("/api/v1{path}/points"), &asked),
        format!(
            "assay metric history {} {} --last {last}",
            sh(dataset),
            sh(&points.key.name)
        ),
    );
    let series = series(&points, &path, query.series.as_deref());
    let mut values = filters.to_vec();
    values.extend([
        ("from", range.from.as_deref()),
        ("to", range.to.as_deref()),
        ("format", Some("csv")),
    ]);
    super::render(&Page {
        curve: curve::of(
            &points,
            &range,
            &format!("{} of {dataset}", points.key.name),
        ),
        lines: by_series(&points, &range),
        csv: with_query(&path, &values),
        choices: range.choices(&path, &filters),
        group: query.series.clone().unwrap_or_default(),
        dataset: dataset.to_owned(),
        current: "Metrics",
        metric: metric.to_owned(),
        series,
        range,
        frame,
    })
}

/// The series to choose from; none where the dataset is one.
fn series(points: &Points, path: &str, chosen: Option<&str>) -> Vec<Choice> {
    let names: BTreeSet<&str> = points
        .points
        .iter()
        .map(|p| p.series.as_str())
        .filter(|s| !s.is_empty())
        .collect();
    let mut series: Vec<Choice> = names
        .iter()
        .map(|name| Choice {
            name: (*name).to_owned(),
            href: with_query(path, &[("group", Some(name))]),
            chosen: chosen == Some(*name),
        })
        .collect();
    if !series.is_empty() {
        series.insert(
            0,
            Choice {
                name: "all series".to_owned(),
                href: path.to_owned(),
                chosen: chosen.is_none(),
            },
        );
    }
    series
}

/// The points as CSV.
///
/// # Errors
/// What the reads answer.
pub async fn csv(
    pages: &Pages,
    cx: &Cx<'_>,
    dataset: &str,
    metric: &str,
) -> Result<String, Problem> {
    let query = query(cx, &Range::of(cx));
    let told = pages.facts.points(cx.who, dataset, metric, &query).await?;
    Ok(curve::csv(&told.it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_share_places() {
        assert_eq!(
            place("region=eu/day=2026-11-20", "region=eu"),
            "day=2026-11-20"
        );
        assert_eq!(place("2026-11-20", ""), "2026-11-20");
        assert_eq!(place("region=eu", "region=eu"), "region=eu");
    }
}
