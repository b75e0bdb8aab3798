//! The list of metrics, with their newest values.

use std::collections::{BTreeMap, HashMap};

use assay_answers::facts::Cut;
use assay_answers::metric::{MetricRow, Point};
use assay_answers::value::{MetricName, Value};
use assay_answers::{List, Problem, Reader, Told};
use assay_model::metric::MetricKey;
use assay_model::outcome::CheckResult;
use assay_model::partition::{PartitionKey, PartitionVersion};
use assay_store::port::{HistoryPoint, ResultRow, Verdict};

use super::page_of;
use crate::api::Api;
use crate::memory::{Found, Good, Key, Source};
use crate::rights::Action;

/// Points of a small chart.
const SPARK: usize = 30;

/// The results of each value.
pub(crate) type Judged<'a> =
    HashMap<(&'a MetricKey, &'a PartitionKey, &'a PartitionVersion), Vec<&'a CheckResult>>;

/// The results of each value.
pub(crate) fn judged<'a>(results: impl IntoIterator<Item = &'a ResultRow>) -> Judged<'a> {
    let mut judged: Judged<'_> = HashMap::new();
    for row in results {
        let of = (&row.result.metric, &row.partition.key, &row.version);
        judged.entry(of).or_default().push(&row.result);
    }
    judged
}

/// A value with what it was held against, as the command shows it.
pub(crate) fn point(
    key: &MetricKey,
    of: &HistoryPoint,
    judged: &Judged<'_>,
    verdict: Option<&Verdict>,
) -> Point {
    let results = judged.get(&(key, &of.partition.key, &*of.version));
    let shown = results.and_then(|results| CheckResult::shown(results));
    let (result, also_expected) = match shown {
        Some((result, others)) => (Some(result), others),
        None => (None, Vec::new()),
    };
    let limits = result.and_then(|result| result.limits.as_ref());
    let bound = |bound: Option<f64>| bound.filter(|b| b.is_finite());
    Point {
        partition: of.partition.key.to_string(),
        t: of.partition.start,
        series: of.partition.series.clone(),
        status: of.status.to_string(),
        value: Value::from(&of.value),
        lower: limits.and_then(|l| bound(l.lower)),
        expected: limits.and_then(|l| bound(l.expected)),
        upper: limits.and_then(|l| bound(l.upper)),
        model: limits.map(|l| l.model.clone()),
        outcome: result.map(|result| result.outcome),
        check: result.map(|result| result.check.to_string()),
        also_expected,
        error_bound: of.error_bound,
        version: of.version.to_string(),
        run_id: verdict.map(|v| v.run.to_string()),
        judged_at: verdict.map(|v| v.judged_at),
        definition: verdict.map(|v| v.definition.clone()),
    }
}

impl Api {
    /// All metrics of a dataset.
    async fn metric_rows(
        &self,
        who: &Reader,
        dataset: &str,
    ) -> Result<Found<List<MetricRow>>, Problem> {
        let known = self.permitted(who, Action::Read, dataset).await?;
        let (api, id) = (self.clone(), known.dataset.id.clone());
        let key = Key::of(&id, "metrics");
        let load = async move {
            let (recent, standing) = tokio::join!(api.recent(&id), api.standing(&id));
            let (shown, last) = (recent?.in_force()?, standing?.in_force()?);
            let judged = judged(&shown.results);
            let verdicts: BTreeMap<&PartitionKey, &Verdict> =
                last.last.iter().map(|v| (&v.partition.key, v)).collect();
            let mut items = Vec::new();
            for (key, points) in &shown.history {
                let mut series: BTreeMap<&str, Vec<&HistoryPoint>> = BTreeMap::new();
                for point in points {
                    series
                        .entry(&point.partition.series)
                        .or_default()
                        .push(point);
                }
                for (series, points) in series {
                    let skip = points.len().saturating_sub(SPARK);
                    let newest = points.last().map(|newest| {
                        let verdict = verdicts.get(&newest.partition.key).copied();
                        point(key, newest, &judged, verdict)
                    });
                    let spark = points.iter().skip(skip);
                    items.push(MetricRow {
                        key: MetricName::from(key),
                        series: series.to_owned(),
                        points: points.len() as u64,
                        newest,
                        spark: spark.map(|p| Value::from(&p.value).as_f64()).collect(),
                    });
                }
            }
            Ok(List {
                total: Some(items.len() as u64),
                items,
                next_cursor: None,
            })
        };
        self.memory
            .answer(Source::Store, key, Good::UntilTold, load)
            .await
    }

    /// The metrics of a dataset, or of one of its columns, in parts.
    pub(crate) async fn metric_list(
        &self,
        who: &Reader,
        dataset: &str,
        column: Option<&str>,
        cut: &Cut,
    ) -> assay_answers::facts::Answer<List<MetricRow>> {
        let found = self.metric_rows(who, dataset).await?;
        let rows = found.it.items.iter();
        let rows = rows.filter(|row| column.is_none_or(|c| row.key.column == c));
        let name = |row: &MetricRow| format!("{}\u{0}{}", row.key.name, row.series);
        Ok(Told {
            it: page_of(rows, cut, name)?,
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }
}
