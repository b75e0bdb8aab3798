//! The values of metrics over the last partitions, with all that they were held against.
//!
//! Comes in: a dataset, perhaps a metric. Goes out: one series a metric, as `assay metric` shows them.

use assay_answers::dataset::Partition;
use assay_answers::metric::{MetricSeries, PastValue};
use assay_answers::value::{Limits, MetricName, Value};
use assay_answers::{List, Problem, Reader};
use assay_model::history::{Place, with_gaps};
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::CheckResult;
use assay_store::port::{MetricHistory, ResultFilter};

use super::incidents::word;
use super::metrics::{Judged, judged};
use crate::api::Api;
use crate::convert;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{BAD_PARAMETER, Miss};
use crate::rights::Action;

/// Partitions when nobody says how many.
const USUAL: u32 = 30;
/// Results that values are joined with, as the managers do.
const JOINED_MAX: u32 = 200_000;

fn past(key: &MetricKey, place: &Place, judged: &Judged<'_>) -> PastValue {
    let of = &place.point;
    let results = judged.get(&(key, &of.partition.key, &*of.version));
    let shown = results.and_then(|results| CheckResult::shown(results));
    let (result, also_expected) = match shown {
        Some((result, others)) => (Some(result), others),
        None => (None, Vec::new()),
    };
    let partition: Partition = convert::partition(&of.partition);
    PastValue {
        partition,
        version: of.version.to_string(),
        status: place.status().to_owned(),
        value: Value::from(&of.value),
        error_bound: of.error_bound,
        outcome: place.gap.or(result.map(|result| result.outcome)),
        limits: result.and_then(|result| result.limits.as_ref().map(Limits::from)),
        also_expected,
    }
}

/// Whether a metric is asked for.
fn is_meant(key: &MetricKey, metric: Option<Metric>, column: Option<&str>) -> bool {
    metric.is_none_or(|metric| key.metric == metric)
        && column.is_none_or(|column| key.column == column)
}

/// Whether there is anything of what is asked for.
fn shown(history: &MetricHistory, metric: Option<Metric>, column: Option<&str>) -> bool {
    let mut keys = history.iter().map(|(key, _)| key);
    keys.any(|key| is_meant(key, metric, column))
}

fn list(items: Vec<MetricSeries>) -> List<MetricSeries> {
    List {
        total: Some(items.len() as u64),
        items,
        next_cursor: None,
    }
}

impl Api {
    /// The values of a metric, or of all, over the last partitions of a dataset.
    pub(crate) async fn history_of(
        &self,
        who: &Reader,
        dataset: &str,
        metric: Option<&str>,
        column: Option<&str>,
        last: Option<u32>,
    ) -> Result<Found<List<MetricSeries>>, Problem> {
        let known = self.permitted(who, Action::Read, dataset).await?;
        let metric: Option<Metric> = word("metric", metric)?;
        let column = column.map(str::to_owned);
        let (api, id) = (self.clone(), known.dataset.id.clone());
        let limit = last.unwrap_or(USUAL);
        // Who asks chooses the words: for what is not there nothing is kept, and the store not asked.
        if let Ok(past) = self.past(&id, limit).await
            && !shown(&past.it.history, metric, column.as_deref())
        {
            return Found::made_of(&past, list(Vec::new()));
        }
        let key = Key::of(&id, format!("history {metric:?} {column:?} {limit}"));
        let load = async move {
            let store = &api.parts.store;
            let read = api.past(&id, limit).await?.in_force()?;
            let history = read.history.iter();
            let history = history.filter(|(key, _)| is_meant(key, metric, column.as_deref()));
            let history: Vec<_> = history.collect();
            let filter = ResultFilter {
                limit: JOINED_MAX,
                ..ResultFilter::default()
            };
            let results = store.results(&id, &filter).await?;
            // They come newest first: what lies beyond the last of so many would look unjudged.
            let full = results.len() >= JOINED_MAX as usize;
            if let Some(last) = results.last().filter(|_| full) {
                let mut points = history.iter().flat_map(|(_, points)| points);
                if points.any(|point| point.partition.order <= last.partition.order) {
                    let what = format!(
                        "the verdicts of so many partitions are more than {JOINED_MAX}: ask for fewer by `last`"
                    );
                    return Err(Miss::from(BAD_PARAMETER.because(what)));
                }
            }
            let judged = judged(&results);
            let ledger = api.ledger(&id).await?.in_force()?;
            let series = history.into_iter().map(|(key, points)| MetricSeries {
                key: MetricName::from(key),
                points: with_gaps(points.clone(), &ledger, limit as usize)
                    .iter()
                    .map(|place| past(key, place, &judged))
                    .collect(),
            });
            Ok(list(series.collect()))
        };
        self.memory
            .answer(Source::Store, key, Good::UntilTold, load)
            .await
    }
}
