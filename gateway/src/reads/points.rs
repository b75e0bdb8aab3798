//! The points of one metric over partitions.
//!
//! Comes in: a metric of a dataset and a range. Goes out: its values with the limits that applied
//! then, and a point for each partition of the range that has not come. It must never draw a line
//! over a partition that is missing, or a limit that never applied.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use assay_answers::facts::PointsQuery;
use assay_answers::incident::IncidentWindow;
use assay_answers::metric::{DefinitionChange, Point, Points};
use assay_answers::value::{MetricName, Value};
use assay_answers::{Problem, Reader};
use assay_model::dataset::Dataset;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::incident::Incident;
use assay_model::ledger::LedgerEntry;
use assay_model::metric::MetricKey;
use assay_model::notice::shown_as;
use assay_model::outcome::Outcome;
use assay_model::partition::PartitionKey;
use assay_store::port::{HistoryPoint, MetricHistory, ResultFilter, ResultRow, Verdict};

use super::bounds;
use super::checks::Recent;
use super::metrics::{judged, point};
use crate::api::Api;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{BAD_PARAMETER, Miss, no};
use crate::rights::Action;

/// Partitions that are read when no range is asked for.
const USUAL: u32 = 400;
/// The most partitions that are read.
const MOST: u32 = 2000;
/// Results that values are joined with, as the managers do.
const JOINED_MAX: u32 = 200_000;
/// Incidents that windows are made of.
const INCIDENTS: u32 = 1000;

/// Whether `key` is what `name` means: its whole spelling, or its metric and `column`.
fn is_meant(key: &MetricKey, name: &str, column: Option<&str>) -> bool {
    let whole = key.to_string() == name;
    let plain = key.metric.as_str() == name && key.args.is_empty() && key.filter.is_empty();
    match column {
        None => whole || (plain && key.column.is_empty()),
        Some(column) => (whole || plain) && key.column == column,
    }
}

impl Api {
    /// The points of a metric.
    pub(crate) async fn point_list(
        &self,
        who: &Reader,
        dataset: &str,
        metric: &str,
        query: &PointsQuery,
    ) -> Result<Found<Points>, Problem> {
        let known = self.permitted(who, Action::Read, dataset).await?;
        if query.max_points.is_some_and(|most| most == 1) {
            return Err(BAD_PARAMETER.because("`maxPoints`: use 0 for all, or 2 and more"));
        }
        let api = self.clone();
        let id = known.dataset.id.clone();
        let question = format!("points {metric}\u{0}{query:?}");
        let key = Key::of(&id, question);
        let (metric, query) = (metric.to_owned(), query.clone());
        let before = self.memory.last::<Points>(&key);
        let load = async move { load(&api, &id, &metric, &query, before.as_deref()).await };
        self.memory
            .answer(Source::Store, key, Good::UntilTold, load)
            .await
    }
}

/// What the points of every metric of a dataset are made of.
pub(super) struct Past {
    pub(super) history: MetricHistory,
    verdicts: Vec<Verdict>,
}

/// About how much memory that takes.
fn weight(past: &Past) -> usize {
    let values: usize = past.history.iter().map(|(_, values)| values.len()).sum();
    // A partition is shared by the values of all metrics.
    values * size_of::<HistoryPoint>() + past.verdicts.len() * 1000
}

impl Api {
    /// The last partitions of a dataset: one question to the store, whichever metrics are asked for.
    pub(super) async fn past(&self, id: &DatasetId, limit: u32) -> Result<Found<Past>, Problem> {
        let (store, dataset) = (Arc::clone(&self.parts.store), id.clone());
        let load = async move {
            let history = store.history(&dataset, None, limit).await?;
            let verdicts = store.verdicts(&dataset, None, limit).await?;
            Ok::<_, Miss>(Past { history, verdicts })
        };
        let key = Key::of(id, format!("past {limit}"));
        self.memory
            .value(Source::Store, key, Good::UntilTold, weight, load)
            .await
    }

    /// The incidents of a dataset, which the charts of all of its metrics show.
    async fn charted_incidents(&self, id: &DatasetId) -> Result<Found<Vec<Incident>>, Problem> {
        let (store, dataset) = (Arc::clone(&self.parts.store), id.clone());
        let load = async move {
            let all = store.incidents(Some(&dataset), false, INCIDENTS).await?;
            Ok::<_, Miss>(all)
        };
        let bytes = |all: &Vec<Incident>| all.len() * 800;
        let key = Key::of(id, "charted incidents");
        self.memory
            .value(Source::Store, key, Good::UntilTold, bytes, load)
            .await
    }

    /// A definition that judged, by its digest, which tells all of it: what was read once is in force
    /// for ever. `None`: nobody remembers it.
    async fn judged_by(&self, digest: &str) -> Result<Option<Arc<Dataset>>, Miss> {
        let (store, of) = (Arc::clone(&self.parts.store), digest.to_owned());
        let load = async move {
            let found = store.definition_by(&of).await?;
            found.ok_or_else(|| no("definition", &of).into())
        };
        let bytes = |dataset: &Dataset| 2000 + dataset.checks.len() * 500;
        let key = Key::about_all(format!("definition by {digest}"));
        let good = Good::Besides(Duration::MAX);
        let found = self.memory.value(Source::Store, key, good, bytes, load);
        match found.await {
            // Also as it was known before the store went away.
            Ok(found) => Ok(Some(found.it)),
            Err(problem) if problem.status == 404 => Ok(None),
            Err(problem) if problem.status == 503 => Err(Miss::Away(problem.detail)),
            Err(problem) => Err(problem.into()),
        }
    }
}

/// The checks that a metric was ever held against: those of every definition that judged, and those
/// that stand in no document.
async fn checks_of(
    api: &Api,
    id: &DatasetId,
    key: &MetricKey,
    verdicts: &[Verdict],
) -> Result<BTreeSet<CheckId>, Miss> {
    let digests: BTreeSet<&str> = verdicts.iter().map(|v| v.definition.as_str()).collect();
    let mut checks = BTreeSet::new();
    for digest in digests {
        let definition = api.judged_by(digest).await?;
        let declared = definition.iter().flat_map(|d| &d.checks);
        let declared = declared.filter(|check| check.metric == *key);
        checks.extend(declared.map(|check| check.id.clone()));
    }
    let recent = api.recent(id).await?.in_force()?;
    checks.extend(recent.checks_of(key).cloned());
    Ok(checks)
}

/// The results on a metric: check by check, which reads no other metric's; or all that there are, as
/// the managers join them, when that leaves a value without one.
async fn results_on(
    api: &Api,
    id: &DatasetId,
    key: &MetricKey,
    values: &[HistoryPoint],
    verdicts: &[Verdict],
) -> Result<Vec<ResultRow>, Miss> {
    let mut results = Vec::new();
    for check in checks_of(api, id, key, verdicts).await? {
        let filter = ResultFilter {
            check: Some(check),
            limit: JOINED_MAX,
            ..ResultFilter::default()
        };
        results.extend(api.parts.store.results(id, &filter).await?);
    }
    results.retain(|row| row.result.metric == *key);
    let judged: BTreeSet<&PartitionKey> = results.iter().map(|row| &row.partition.key).collect();
    if values
        .iter()
        .all(|value| judged.contains(&value.partition.key))
    {
        return Ok(results);
    }
    let filter = ResultFilter {
        limit: JOINED_MAX,
        ..ResultFilter::default()
    };
    let mut results = api.parts.store.results(id, &filter).await?;
    results.retain(|row| row.result.metric == *key);
    Ok(results)
}

/// The points of a metric's values, and the checks that they were held against.
struct Drawn {
    points: Vec<Point>,
    checks: BTreeSet<CheckId>,
}

/// The values with all that they were held against, as the store has it.
async fn drawn(
    api: &Api,
    id: &DatasetId,
    (key, values): (&MetricKey, &[HistoryPoint]),
    past: &Past,
) -> Result<Drawn, Miss> {
    let results = results_on(api, id, key, values, &past.verdicts).await?;
    let (judged, of) = (judged(&results), past.by_partition());
    let points = values.iter().map(|value| {
        let verdict = of.get(&value.partition.key).copied();
        point(key, value, &judged, verdict)
    });
    Ok(Drawn {
        points: points.collect(),
        checks: results.iter().map(|row| row.result.check.clone()).collect(),
    })
}

/// The same from the last answer and the last partitions, without asking the store for results: a
/// verdict is never changed, only replaced, so that the point of one that is still there is as it was.
/// `None` where that does not tell all.
fn redrawn(
    (key, values): (&MetricKey, &[HistoryPoint]),
    past: &Past,
    recent: &Recent,
    before: &Points,
) -> Option<Vec<Point>> {
    if before.points.len() as u64 != before.total {
        // It is reduced.
        return None;
    }
    let of = past.by_partition();
    let known = before.points.iter().map(|p| (p.partition.as_str(), p));
    let known: HashMap<&str, &Point> = known.collect();
    let stands = |value: &HistoryPoint, verdict: &Verdict| {
        known
            .get(value.partition.key.as_str())
            .copied()
            .filter(|point| {
                point.version == value.version.0
                    && point.judged_at == Some(verdict.judged_at)
                    && point.definition.as_ref() == Some(&verdict.definition)
                    && point.run_id.as_deref() == Some(verdict.run.to_string().as_str())
            })
    };
    let mut points = Vec::with_capacity(values.len());
    for value in values {
        let verdict = *of.get(&value.partition.key)?;
        if let Some(point) = stands(value, verdict) {
            points.push(point.clone());
            continue;
        }
        let rows = recent.results.iter().filter(|row| {
            row.partition.key == value.partition.key
                && row.version == *value.version
                && row.run == verdict.run
                && row.judged_at == verdict.judged_at
        });
        let rows: Vec<&ResultRow> = rows.collect();
        if verdict.version != *value.version || rows.len() as u64 != verdict.counts.planned {
            // They were read at another time, or are not all there.
            return None;
        }
        points.push(point(key, value, &judged(rows), Some(verdict)));
    }
    Some(points)
}

impl Past {
    fn by_partition(&self) -> BTreeMap<&PartitionKey, &Verdict> {
        let verdicts = self.verdicts.iter();
        verdicts.map(|v| (&v.partition.key, v)).collect()
    }
}

async fn load(
    api: &Api,
    id: &DatasetId,
    metric: &str,
    query: &PointsQuery,
    before: Option<&Points>,
) -> Result<Points, Miss> {
    let bounded = query.from.is_none() && query.to.is_none();
    let limit = if bounded { USUAL } else { MOST };
    // One after the other: a turn at the store is one question at a time.
    let past = api.past(id, limit).await?.in_force()?;
    let recent = api.recent(id).await?.in_force()?;
    let ledger = api.ledger(id).await?.in_force()?;
    let incidents = api.charted_incidents(id).await?.in_force()?;
    let column = query.column.as_deref();
    let found = past
        .history
        .iter()
        .find(|(key, _)| is_meant(key, metric, column));
    let Some((key, values)) = found else {
        return Err(no("metric", metric).into());
    };
    let again = before.and_then(|before| {
        let points = redrawn((key, values), &past, &recent, before)?;
        Some((points, before))
    });
    let drawn = match again {
        None => drawn(api, id, (key, values), &past).await?,
        Some((points, before)) => {
            let mut checks = checks_of(api, id, key, &past.verdicts).await?;
            checks.extend(before.incidents.iter().map(|w| CheckId::new(&w.check)));
            Drawn { points, checks }
        }
    };
    let points = in_range(with_gaps(drawn.points, (values, &past), &ledger), query)?;
    let changes = changes(api, &points).await?;
    let windows = incidents
        .iter()
        .filter(|incident| drawn.checks.contains(&incident.check))
        .map(|incident| IncidentWindow {
            id: shown_as("inc", incident.id),
            check: incident.check.to_string(),
            severity: incident.severity,
            status: incident.status,
            first_partition: incident.first_partition.to_string(),
            last_partition: incident.last_partition.to_string(),
        });
    let total = points.len() as u64;
    Ok(Points {
        dataset: id.to_string(),
        key: MetricName::from(key),
        total,
        older: past.verdicts.len() == limit as usize,
        changes,
        incidents: windows.collect(),
        points: reduced(points, query.max_points.unwrap_or(0) as usize),
    })
}

/// The points of values, and among them those of the partitions that have none, in their order.
fn with_gaps(
    points: Vec<Point>,
    (values, past): (&[HistoryPoint], &Past),
    ledger: &[LedgerEntry],
) -> Vec<Point> {
    let (of, values) = (past.by_partition(), values.iter());
    let values = values.map(|v| (v.partition.order.as_str(), v.partition.key.as_str()));
    let mut all: BTreeMap<(&str, &str), Point> = values.zip(points).collect();
    let first = past.verdicts.first().map(|v| v.partition.order.as_str());
    let gaps = ledger
        .iter()
        .filter_map(|entry| Some((entry, entry.gap()?)));
    for (entry, outcome) in gaps {
        let at = (entry.partition.order.as_str(), entry.partition.key.as_str());
        if first.is_none_or(|first| at.0 >= first) {
            let verdict = of.get(&entry.partition.key).copied();
            all.entry(at)
                .or_insert_with(|| without_value(entry, outcome, verdict));
        }
    }
    all.into_values().collect()
}

/// The point of a partition that has no values.
fn without_value(entry: &LedgerEntry, outcome: Outcome, verdict: Option<&Verdict>) -> Point {
    Point {
        partition: entry.partition.key.to_string(),
        t: entry.partition.start,
        series: entry.partition.series.clone(),
        status: outcome.to_string(),
        value: Value::Null,
        lower: None,
        expected: None,
        upper: None,
        model: None,
        outcome: Some(outcome),
        check: None,
        also_expected: Vec::new(),
        error_bound: None,
        version: entry.version.to_string(),
        run_id: verdict.map(|v| v.run.to_string()),
        judged_at: verdict.map(|v| v.judged_at),
        definition: verdict.map(|v| v.definition.clone()),
    }
}

/// The points of the series and the range that are asked for, oldest first.
fn in_range(mut points: Vec<Point>, query: &PointsQuery) -> Result<Vec<Point>, Problem> {
    let keys = points.iter().map(|point| point.partition.as_str());
    bounds::checked(&keys, query.from.as_deref(), query.to.as_deref())?;
    if let Some(series) = &query.series {
        points.retain(|point| point.series == *series);
    }
    let place = |key: &String| points.iter().position(|point| point.partition == *key);
    let start = match &query.from {
        None => 0,
        Some(from) => place(from)
            .or_else(|| points.iter().position(|point| point.partition >= *from))
            .unwrap_or(points.len()),
    };
    let end = match &query.to {
        None => points.len(),
        Some(to) => place(to)
            .or_else(|| points.iter().rposition(|point| point.partition <= *to))
            .map_or(0, |at| at + 1),
    };
    if start > end && query.from.is_some() && query.to.is_some() && query.from > query.to {
        return Err(BAD_PARAMETER.because("`from` is after `to`"));
    }
    points.truncate(end);
    Ok(points.split_off(start.min(end)))
}

/// Where another definition begins to judge.
async fn changes(api: &Api, points: &[Point]) -> Result<Vec<DefinitionChange>, Miss> {
    let judged = points
        .iter()
        .filter_map(|p| Some((p, p.definition.as_ref()?)));
    let judged: Vec<(&Point, &String)> = judged.collect();
    let mut changes = Vec::new();
    for pair in judged.windows(2) {
        let [(_, before), (point, after)] = pair else {
            continue;
        };
        if before != after {
            let definition = api.judged_by(after).await?;
            changes.push(DefinitionChange {
                partition: point.partition.clone(),
                definition: (*after).clone(),
                version: definition.map(|d| d.version.clone()),
            });
        }
    }
    Ok(changes)
}

/// At most `most` points: of each stretch the least and the greatest, and all that needs a look.
fn reduced(points: Vec<Point>, most: usize) -> Vec<Point> {
    if most == 0 || points.len() <= most {
        return points;
    }
    let stretches = (most / 2).max(1);
    let length = points.len().div_ceil(stretches);
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    for (n, stretch) in points.chunks(length).enumerate() {
        let numbers = stretch.iter().enumerate();
        let numbers: Vec<(usize, f64)> = numbers
            .filter_map(|(at, point)| Some((n * length + at, point.value.as_f64()?)))
            .collect();
        let least = numbers.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let greatest = numbers.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        kept.extend(least.into_iter().chain(greatest).map(|(at, _)| *at));
        if numbers.is_empty() {
            kept.insert(n * length);
        }
    }
    let of = |at: &usize| kept.contains(at);
    let points = points.into_iter().enumerate().filter(|(at, _)| of(at));
    points.map(|(_, point)| point).collect()
}

#[cfg(test)]
mod tests;
