//! `assay metric`: measured values with the limits that applied.
//!
//! Comes in: a dataset. Goes out: its values, from a running manager or straight from the store of
//! the data folder, which is opened for reading only. Both ways show the same.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use assay_model::history::with_gaps;
use assay_model::ids::{DatasetId, UnknownWord};
use assay_model::metric::{Metric, MetricKey, MetricStatus, MetricValue};
use assay_model::outcome::{CheckResult, Limits, Outcome};
use assay_model::partition::{Partition, PartitionVersion};
use assay_model::visible::one_line;
use assay_proto::WireError;
use assay_proto::convert;
use assay_proto::v1;
use assay_store::MetricStore;
use assay_store::port::{ResultFilter, RunFilter};
use serde_json::{Value, json};

mod named;

use named::{Wanted, wanted};

use super::by_prefix;
use crate::args::MetricCommand;
use crate::client::port::{Cluster, Why};
use crate::client::{coded, find};
use crate::context::Context;
use crate::dev::open_reader;
use crate::exit::{Exit, OrExit};
use crate::show::{spark, table, text};

/// Partitions that a list of metrics looks back over.
const LIST_PARTITIONS: u32 = 30;
/// The most partitions of a history.
const LAST_MAX: u32 = 2000;
/// Results that a history is joined with.
const RESULTS_MAX: u32 = 1_000_000;

/// One metric over partitions, oldest first.
struct Series {
    key: MetricKey,
    points: Vec<Point>,
}

/// One value with what became of it, or a partition that has none.
struct Point {
    partition: Partition,
    version: PartitionVersion,
    status: Status,
    value: MetricValue,
    /// For an estimate, its error relative to the value.
    error_bound: Option<f64>,
    outcome: Option<Outcome>,
    limits: Option<Limits>,
    /// What other checks on the value expect.
    also_expected: Vec<String>,
}

/// Whether there is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// The partition was measured, or could not be.
    Is(MetricStatus),
    /// It has not come.
    Missing,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Is(status) => status.as_str(),
            Self::Missing => Outcome::Missing.as_str(),
        }
    }
}

impl FromStr for Status {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "missing" => Ok(Self::Missing),
            word => word.parse().map(Self::Is),
        }
    }
}

/// Runs the command.
pub async fn run(command: MetricCommand, cx: &Context) -> Result<Exit> {
    match command {
        MetricCommand::List {
            dataset,
            metric,
            column,
        } => {
            let named = metric.map(|name| wanted(&name, column.clone()));
            list(&dataset, named.transpose()?, column.as_deref(), cx).await
        }
        MetricCommand::History {
            dataset,
            metric,
            column,
            last,
        } => {
            let wanted = wanted(&metric, column)?;
            if last == 0 || last > LAST_MAX {
                let why = format!("--last {last}: use 1 to {LAST_MAX}");
                return Err(coded(Exit::Usage, why));
            }
            history(&dataset, &wanted, last, cx).await
        }
    }
}

async fn list(
    dataset: &str,
    wanted: Option<Wanted>,
    column: Option<&str>,
    cx: &Context,
) -> Result<Exit> {
    let metric = wanted.as_ref().map(|wanted| wanted.metric);
    let (dataset, mut series) = read(dataset, metric, LIST_PARTITIONS, cx).await?;
    for series in &mut series {
        drop_missing(&mut series.points);
    }
    series.retain(|s| match &wanted {
        Some(wanted) => wanted.takes(&s.key),
        None => column.is_none_or(|c| s.key.column == c),
    });
    if series.is_empty() {
        let of = column
            .map(|c| format!(" of column `{c}`"))
            .unwrap_or_default();
        cx.screen.text(&format!(
            "No values{of} are stored of {dataset}. Measure it: assay check FILE, or assay run start {dataset}\n"
        ))?;
    } else {
        let mut table = table::table(&["METRIC", "NEWEST", "PARTITION", "OUTCOME", "LAST VALUES"]);
        for series in &series {
            let Some(newest) = series.points.last() else {
                continue;
            };
            table.add_row([
                series.key.to_string(),
                shown(newest),
                newest.partition.key.to_string(),
                newest.outcome.map_or("-", Outcome::as_str).to_owned(),
                spark::sparkline(&numbers(series)),
            ]);
        }
        cx.screen.text(&table::print(&table))?;
    }
    let items: Vec<Value> = series
        .iter()
        .map(|series| {
            json!({
                "dataset": dataset,
                "key": key_json(&series.key),
                "points": series.points.len(),
                "newest": series.points.last().map(point_json),
            })
        })
        .collect();
    let summary = json!({"metrics": series.len()});
    cx.screen.items("MetricList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

/// Leaves out partitions that have not come: they are nobody's newest value. Where nothing else is left
/// they stay, so that the metric is still shown with what is known of it.
fn drop_missing(points: &mut Vec<Point>) {
    let has_come = |point: &Point| point.status != Status::Missing;
    if points.iter().any(has_come) {
        points.retain(has_come);
    }
}

async fn history(dataset: &str, wanted: &Wanted, last: u32, cx: &Context) -> Result<Exit> {
    let (dataset, mut series) = read(dataset, Some(wanted.metric), last, cx).await?;
    series.retain(|s| wanted.takes(&s.key));
    if series.is_empty() {
        return Err(coded(
            Exit::Usage,
            format!(
                "no values of {wanted} are stored of {dataset}; see: assay metric list {dataset}"
            ),
        ));
    }
    let mut out = String::new();
    for series in &series {
        describe(series, &dataset, &mut out);
    }
    cx.screen.text(&out)?;
    if let Some(note) = cut_off(&series, last) {
        cx.screen.note(&note);
    }
    let items: Vec<Value> = series
        .iter()
        .map(|series| {
            let points: Vec<Value> = series.points.iter().map(point_json).collect();
            json!({"dataset": dataset, "key": key_json(&series.key), "points": points})
        })
        .collect();
    let summary = json!({"series": series.len()});
    cx.screen
        .items("MetricHistoryList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

/// What to know of a history whose partitions are of several series: those that are furthest back may
/// be cut off as a whole.
fn cut_off(series: &[Series], last: u32) -> Option<String> {
    let points = || series.iter().flat_map(|series| &series.points);
    let keys: BTreeSet<&str> = points().map(|p| p.partition.key.as_str()).collect();
    let of: BTreeSet<&str> = points().map(|p| p.partition.series.as_str()).collect();
    let has_series = of.iter().any(|series| !series.is_empty());
    (has_series && keys.len() >= last as usize).then(|| {
        let of: Vec<&str> = of.into_iter().collect();
        format!(
            "the last {last} partitions of all series together: here of {}; partitions of others may \
             be further back: --last {}",
            of.join(", "),
            last.saturating_mul(10).min(LAST_MAX)
        )
    })
}

fn describe(series: &Series, dataset: &DatasetId, out: &mut String) {
    out.push_str(&format!(
        "{dataset}  {}   {}\n{}\n",
        one_line(&series.key.to_string()),
        text::counted(series.points.len(), "partition"),
        spark::sparkline(&numbers(series))
    ));
    let head = [
        "PARTITION",
        "VALUE",
        "LOWER",
        "UPPER",
        "OUTCOME",
        "BAND",
        "NOTE",
    ];
    let mut table = table::table(&head);
    let held_back = held_back(series);
    for point in &series.points {
        let held = held_back.get(point.partition.key.as_str());
        let held = held.map(|by| format!("learning held back by {by}"));
        let also = point.also_expected.iter().map(|e| format!("also {e}"));
        let note: Vec<String> = also.chain(held).collect();
        let limits = point.limits.as_ref();
        let (lower, upper) = (limits.and_then(|l| l.lower), limits.and_then(|l| l.upper));
        let bound = |bound: Option<f64>| bound.map_or_else(|| "-".to_owned(), text::float);
        table.add_row([
            point.partition.key.to_string(),
            shown(point),
            bound(lower),
            bound(upper),
            point.outcome.map_or("-", Outcome::as_str).to_owned(),
            spark::band(point.value.as_f64(), lower, upper),
            note.join("; "),
        ]);
    }
    out.push_str(&table::print(&table));
    out.push('\n');
}

/// The checks that keep partitions of a series from teaching its limits, by partition: what the
/// newest limits that were not learned from it say.
fn held_back(series: &Series) -> BTreeMap<&str, &str> {
    let limits = series.points.iter().filter_map(|p| p.limits.as_ref());
    limits
        .flat_map(|limits| &limits.held_back)
        .map(|held| (held.partition.as_str(), held.by.as_str()))
        .collect()
}

fn shown(point: &Point) -> String {
    match point.status {
        Status::Is(MetricStatus::Computed) => text::measured(&point.value, point.error_bound),
        status => status.as_str().to_owned(),
    }
}

fn numbers(series: &Series) -> Vec<Option<f64>> {
    series.points.iter().map(|p| p.value.as_f64()).collect()
}

fn key_json(key: &MetricKey) -> Value {
    json!({"metric": key.metric, "column": key.column, "args": key.args, "filter": key.filter})
}

fn point_json(point: &Point) -> Value {
    json!({
        "partition": point.partition.key,
        "version": point.version,
        "status": point.status.as_str(),
        "value": point.value,
        "errorBound": point.error_bound,
        "outcome": point.outcome,
        "limits": point.limits,
        "alsoExpected": point.also_expected,
    })
}

/// Reads through the manager when there is one, else from the store.
async fn read(
    dataset: &str,
    metric: Option<Metric>,
    limit: u32,
    cx: &Context,
) -> Result<(DatasetId, Vec<Series>)> {
    if let Some(cluster) = find(cx).await? {
        return from_cluster(cluster.as_ref(), dataset, metric, limit).await;
    }
    let folder = cx.data_dir();
    let Some(store) = open_reader(&folder).await? else {
        return Err(coded(
            Exit::NoServer,
            format!(
                "nothing is stored in {} and no manager runs on it\n  \
                 measure something: assay check FILE; or name a manager: --server URL",
                folder.display()
            ),
        ));
    };
    let id = stored_dataset(store.as_ref(), dataset).await?;
    let series = from_store(store.as_ref(), &id, limit).await?;
    Ok((id, series))
}

async fn from_cluster(
    cluster: &dyn Cluster,
    dataset: &str,
    metric: Option<Metric>,
    limit: u32,
) -> Result<(DatasetId, Vec<Series>)> {
    let known = cluster.datasets().await?;
    let names: Vec<String> = known.into_iter().map(|d| d.id).collect();
    // A dataset that is no longer defined still has its history, under its whole name.
    let id = match by_prefix("dataset", dataset, &names) {
        Ok(name) => DatasetId::new(name)?,
        Err(error) => DatasetId::new(dataset).map_err(|_| error)?,
    };
    let which = v1::HistoryRequest {
        dataset: id.to_string(),
        metric: metric.map(|m| m.to_string()).unwrap_or_default(),
        column: None,
        limit,
    };
    let series = match cluster.history(which).await {
        Ok(series) => series,
        Err(refusal) => {
            if refusal.why == Why::NotFound {
                // Says what may have been meant.
                by_prefix("dataset", dataset, &names)?;
            }
            return Err(refusal.into());
        }
    };
    let series: Result<Vec<Series>, WireError> = series.into_iter().map(series_of_wire).collect();
    let series = series.context("the manager's answer cannot be read; compare: assay version")?;
    Ok((id, series))
}

fn series_of_wire(series: v1::MetricSeries) -> Result<Series, WireError> {
    let points: Result<Vec<Point>, WireError> = series
        .points
        .into_iter()
        .map(|point| {
            Ok(Point {
                partition: convert::partition(point.partition)?,
                version: PartitionVersion(point.version),
                status: convert::word("status", point.status)?,
                value: convert::value(point.value)?,
                error_bound: point.error_bound,
                also_expected: point.also_expected,
                outcome: convert::opt_text("outcome", point.outcome)?
                    .map(|word| convert::word("outcome", word))
                    .transpose()?,
                limits: point.limits.map(convert::limits).transpose()?,
            })
        })
        .collect();
    Ok(Series {
        key: convert::key(series.key)?,
        points: points?,
    })
}

/// The dataset of the store that `wanted` names.
async fn stored_dataset(store: &dyn MetricStore, wanted: &str) -> Result<DatasetId> {
    let exact = DatasetId::new(wanted).or_exit(Exit::Usage)?;
    if !store.ledger(&exact).await?.is_empty() {
        return Ok(exact);
    }
    let filter = RunFilter {
        limit: 1000,
        ..RunFilter::default()
    };
    let runs = store.runs(&filter).await?;
    let mut names: Vec<String> = runs
        .into_iter()
        .map(|run| run.dataset.to_string())
        .collect();
    names.sort();
    names.dedup();
    Ok(DatasetId::new(by_prefix("dataset", wanted, &names)?)?)
}

async fn from_store(store: &dyn MetricStore, id: &DatasetId, limit: u32) -> Result<Vec<Series>> {
    let history = store.history(id, None, limit).await?;
    let ledger = store.ledger(id).await?;
    let filter = ResultFilter {
        limit: RESULTS_MAX,
        ..ResultFilter::default()
    };
    let results = store.results(id, &filter).await?;
    let mut judged: BTreeMap<_, Vec<&CheckResult>> = BTreeMap::new();
    for row in &results {
        let of = (&row.result.metric, &row.partition.key, &row.version);
        judged.entry(of).or_default().push(&row.result);
    }
    let mut all = Vec::new();
    for (key, points) in history {
        let points = with_gaps(points, &ledger, limit as usize)
            .into_iter()
            .map(|place| {
                let status = match place.gap {
                    Some(Outcome::Missing) => Status::Missing,
                    _ => Status::Is(place.point.status),
                };
                let (gap, point) = (place.gap, place.point);
                let results = judged.get(&(&key, &point.partition.key, &*point.version));
                let shown = results.and_then(|results| CheckResult::shown(results));
                let (outcome, limits, also_expected) = match shown {
                    Some((result, others)) => (Some(result.outcome), result.limits.clone(), others),
                    None => (None, None, Vec::new()),
                };
                Point {
                    partition: Arc::unwrap_or_clone(point.partition),
                    version: Arc::unwrap_or_clone(point.version),
                    status,
                    value: point.value,
                    error_bound: point.error_bound,
                    outcome: gap.or(outcome),
                    limits,
                    also_expected,
                }
            })
            .collect();
        all.push(Series { key, points });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(key: &str, limits: Option<Limits>) -> Point {
        Point {
            partition: Partition {
                key: assay_model::partition::PartitionKey(key.to_owned()),
                ..Partition::all()
            },
            version: PartitionVersion("v".to_owned()),
            status: Status::Is(MetricStatus::Computed),
            value: MetricValue::integer(1),
            error_bound: None,
            outcome: None,
            limits,
            also_expected: vec!["> 0".to_owned()],
        }
    }

    #[test]
    fn a_history_that_is_cut_off_names_the_series_that_it_shows() {
        let of = |series: &str, key: &str| {
            let mut point = point(key, None);
            point.partition.series = series.to_owned();
            point
        };
        let key = MetricKey::table(Metric::RowCount);
        let shown = |points| {
            [Series {
                key: key.clone(),
                points,
            }]
        };
        let two = || vec![of("us", "us/d1"), of("us", "us/d2")];
        let note = cut_off(&shown(two()), 2).unwrap();
        assert!(
            note.contains("here of us;") && note.contains("--last 20"),
            "{note}"
        );
        assert_eq!(cut_off(&shown(two()), 3), None);
        assert_eq!(cut_off(&shown(vec![of("", "d1")]), 1), None);
    }

    #[test]
    fn a_metric_of_which_nothing_came_of_late_is_still_listed() {
        let missing = |key: &str| Point {
            status: Status::Missing,
            ..point(key, None)
        };
        let shown = |mut points: Vec<Point>| -> Vec<String> {
            drop_missing(&mut points);
            let keys = points.iter().map(|point| point.partition.key.to_string());
            keys.collect()
        };
        let some = vec![point("d1", None), missing("d2"), missing("d3")];
        assert_eq!(shown(some), ["d1"]);
        assert_eq!(shown(vec![missing("d2"), missing("d3")]), ["d2", "d3"]);
    }

    #[test]
    fn a_history_names_the_check_that_kept_a_partition_from_teaching() {
        let limits = Limits {
            held_back: vec![assay_model::outcome::HeldBack {
                partition: "d1".to_owned(),
                by: assay_model::ids::CheckId::new("half"),
            }],
            ..Limits::default()
        };
        let series = Series {
            key: MetricKey::table(Metric::RowCount),
            points: vec![point("d1", None), point("d2", Some(limits))],
        };
        let mut out = String::new();
        describe(&series, &DatasetId::new("orders").unwrap(), &mut out);
        let line = |key: &str| {
            out.lines()
                .find(|l| l.trim_start().starts_with(key))
                .unwrap()
        };
        assert!(
            line("d1").ends_with("also > 0; learning held back by half"),
            "{out}"
        );
        assert!(line("d2").ends_with("also > 0"), "{out}");
    }
}
