//! The reads of people: any manager answers them from the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::history::with_gaps;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::ledger::LedgerEntry;
use assay_model::metric::MetricKey;
use assay_model::outcome::CheckResult;
use assay_model::partition::{PartitionKey, PartitionVersion};
use assay_proto::convert;
use assay_proto::limits::KEYS_MAX;
use assay_proto::v1;
use assay_proto::v1::metric_service_server::MetricService;
use assay_store::port::{MetricHistory, ResultFilter, ResultRow};
use assay_store::standing::{Look, Which, standing};
use tonic::{Request, Response, Status};

use super::{ASKERS, bound, only, rows, store_status};
use crate::handle::Shared;

/// Results that a history is joined with.
const JOINED_MAX: u32 = 200_000;
/// Partitions that the list of metrics looks back over.
const LISTED: u32 = 30;

/// The service.
pub(crate) struct Metrics {
    shared: Arc<Shared>,
}

impl Metrics {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    async fn history(&self, dataset: &DatasetId, limit: u32) -> Result<MetricHistory, Status> {
        let history = self.shared.parts.metrics.history(dataset, None, limit);
        history.await.map_err(|error| store_status(&error))
    }

    /// An answer without anything in it: right of a dataset that is known, and of no other.
    async fn known(&self, dataset: &DatasetId, is_empty: bool) -> Result<(), Status> {
        if is_empty {
            self.shared.definition(dataset.clone()).await?;
        }
        Ok(())
    }

    async fn results(
        &self,
        dataset: &DatasetId,
        filter: &ResultFilter,
    ) -> Result<Vec<ResultRow>, Status> {
        let results = self.shared.parts.metrics.results(dataset, filter);
        results.await.map_err(|error| store_status(&error))
    }
}

/// The results of each value.
type Judged<'a> =
    BTreeMap<(&'a MetricKey, &'a PartitionKey, &'a PartitionVersion), Vec<&'a CheckResult>>;

/// The last places of each metric with what they were held against.
fn series(
    history: MetricHistory,
    ledger: &[LedgerEntry],
    last: usize,
    results: &[ResultRow],
) -> Vec<v1::MetricSeries> {
    let mut judged: Judged<'_> = BTreeMap::new();
    for row in results {
        let of = (&row.result.metric, &row.partition.key, &row.version);
        judged.entry(of).or_default().push(&row.result);
    }
    history
        .into_iter()
        .map(|(key, points)| v1::MetricSeries {
            key: Some(convert::key_of(&key)),
            points: with_gaps(points, ledger, last)
                .iter()
                .map(|place| {
                    let point = &place.point;
                    let mut wire = rows::place(place);
                    let results = judged.get(&(&key, &point.partition.key, &*point.version));
                    if let Some((result, others)) = results.and_then(|r| CheckResult::shown(r)) {
                        wire.outcome = result.outcome.to_string();
                        wire.limits = result.limits.as_ref().map(convert::limits_of);
                        wire.also_expected = others;
                    }
                    wire
                })
                .collect(),
        })
        .collect()
}

#[tonic::async_trait]
impl MetricService for Metrics {
    async fn list_metrics(
        &self,
        request: Request<v1::ListMetricsRequest>,
    ) -> Result<Response<v1::ListMetricsResponse>, Status> {
        only(&request, ASKERS)?;
        let dataset = convert::dataset_id(request.into_inner().dataset)?;
        let history = self.history(&dataset, LISTED).await?;
        self.known(&dataset, history.is_empty()).await?;
        let filter = ResultFilter {
            limit: JOINED_MAX,
            ..ResultFilter::default()
        };
        let results = self.results(&dataset, &filter).await?;
        // What is newest of a metric is its newest value.
        let metrics = series(history, &[], LISTED as usize, &results)
            .into_iter()
            .map(|series| v1::MetricSummary {
                key: series.key,
                points: u32::try_from(series.points.len()).unwrap_or(u32::MAX),
                newest: series.points.last().cloned(),
            })
            .collect();
        Ok(Response::new(v1::ListMetricsResponse { metrics }))
    }

    async fn history(
        &self,
        request: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let dataset = convert::dataset_id(request.dataset)?;
        let metric = match request.metric.as_str() {
            "" => None,
            _ => Some(convert::word("metric", request.metric)?),
        };
        let column = request.column.map(|column| convert::text("column", column));
        let column = column.transpose()?;
        let limit = bound(request.limit, 30, 2000);
        let mut history = self.history(&dataset, limit).await?;
        self.known(&dataset, history.is_empty()).await?;
        history.retain(|(key, _)| {
            metric.is_none_or(|metric| key.metric == metric)
                && column.as_ref().is_none_or(|c| key.column == *c)
        });
        let filter = ResultFilter {
            limit: JOINED_MAX,
            ..ResultFilter::default()
        };
        let results = self.results(&dataset, &filter).await?;
        let ledger = self.shared.parts.metrics.ledger(&dataset).await;
        let ledger = ledger.map_err(|error| store_status(&error))?;
        Ok(Response::new(v1::HistoryResponse {
            series: series(history, &ledger, limit as usize, &results),
        }))
    }

    async fn results(
        &self,
        request: Request<v1::ResultsRequest>,
    ) -> Result<Response<v1::ResultsResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let dataset = convert::dataset_id(request.dataset)?;
        let run = match request.run_id.as_str() {
            "" => None,
            _ => Some(convert::run_id(request.run_id)?),
        };
        let filter = ResultFilter {
            run,
            partition: convert::opt_text("partition", request.partition)?.map(PartitionKey),
            check: convert::opt_text("check", request.check)?.map(CheckId::new),
            superseded: request.superseded,
            bad: false,
            limit: bound(request.limit, 500, 10_000),
        };
        let results = self.results(&dataset, &filter).await?;
        self.known(&dataset, results.is_empty()).await?;
        Ok(Response::new(v1::ResultsResponse {
            results: results.iter().map(rows::result).collect(),
        }))
    }

    async fn standing(
        &self,
        request: Request<v1::StandingRequest>,
    ) -> Result<Response<v1::StandingResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let dataset = convert::dataset_id(request.dataset)?;
        let runs = convert::list("run_ids", request.run_ids, KEYS_MAX, convert::run_id)?;
        let keys = convert::list("keys", request.keys, KEYS_MAX, |k| convert::name("keys", k))?;
        let look = Look {
            runs: &runs,
            keys: &keys,
            limit: bound(request.limit, 500, 10_000),
            which: Which::All,
        };
        let found = standing(self.shared.parts.metrics.as_ref(), &dataset, look).await;
        let found = found.map_err(|error| store_status(&error))?;
        let nothing = found.judged.is_empty() && found.elsewhere.is_empty();
        self.known(&dataset, nothing).await?;
        Ok(Response::new(v1::StandingResponse {
            results: found.rows.iter().map(rows::result).collect(),
            judged: Some(convert::counts_of(&found.judged_counts)),
            elsewhere: Some(convert::counts_of(&found.elsewhere_counts)),
            judged_partitions: found.judged.len() as u64,
            elsewhere_partitions: found.elsewhere.len() as u64,
            unchanged: found.unchanged,
        }))
    }

    async fn verdicts(
        &self,
        request: Request<v1::VerdictsRequest>,
    ) -> Result<Response<v1::VerdictsResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let dataset = convert::dataset_id(request.dataset)?;
        let limit = bound(request.limit, 30, 2000);
        let verdicts = self
            .shared
            .parts
            .metrics
            .verdicts(&dataset, None, limit)
            .await;
        let verdicts = verdicts.map_err(|error| store_status(&error))?;
        self.known(&dataset, verdicts.is_empty()).await?;
        Ok(Response::new(v1::VerdictsResponse {
            verdicts: verdicts.iter().map(rows::verdict).collect(),
        }))
    }

    async fn incidents(
        &self,
        request: Request<v1::IncidentsRequest>,
    ) -> Result<Response<v1::IncidentsResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let dataset = rows::opt_dataset(request.dataset)?;
        let limit = bound(request.limit, 100, 1000);
        let metrics = &self.shared.parts.metrics;
        let incidents = metrics
            .incidents(dataset.as_ref(), request.only_open, limit)
            .await
            .map_err(|error| store_status(&error))?;
        if let Some(dataset) = &dataset {
            self.known(dataset, incidents.is_empty()).await?;
        }
        Ok(Response::new(v1::IncidentsResponse {
            incidents: incidents.iter().map(convert::incident_of).collect(),
        }))
    }

    async fn ledger(
        &self,
        request: Request<v1::LedgerRequest>,
    ) -> Result<Response<v1::LedgerResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let dataset = convert::dataset_id(request.dataset)?;
        let ledger = self.shared.parts.metrics.ledger(&dataset).await;
        let ledger = ledger.map_err(|error| store_status(&error))?;
        self.known(&dataset, ledger.is_empty()).await?;
        let limit = bound(request.limit, 100, 10_000) as usize;
        let left_out = ledger.len().saturating_sub(limit);
        Ok(Response::new(v1::LedgerResponse {
            entries: ledger
                .iter()
                .skip(left_out)
                .map(convert::ledger_entry_of)
                .collect(),
            left_out: left_out as u64,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::check::{CheckOrigin, Severity};
    use assay_model::ids::{CheckId, RunId};
    use assay_model::metric::{Metric, MetricStatus, MetricValue};
    use assay_model::outcome::Outcome;
    use assay_model::partition::Partition;
    use assay_store::port::HistoryPoint;

    #[test]
    fn of_two_checks_on_one_value_the_gravest_is_shown() {
        let key = MetricKey::table(Metric::RowCount);
        let version = PartitionVersion("v".to_owned());
        let row = |check: &str, outcome: Outcome| ResultRow {
            run: RunId(uuid::Uuid::nil()),
            partition: Partition::all(),
            version: version.clone(),
            judged_at: jiff::Timestamp::UNIX_EPOCH,
            result: CheckResult {
                check: CheckId::new(check),
                metric: key.clone(),
                severity: Severity::Error,
                origin: CheckOrigin::Declared,
                outcome,
                actual: MetricValue::integer(1),
                error_bound: None,
                note: None,
                expected: String::new(),
                limits: None,
                reason: None,
            },
        };
        let point = HistoryPoint {
            at: 0,
            partition: Arc::new(Partition::all()),
            version: Arc::new(version.clone()),
            status: MetricStatus::Computed,
            value: MetricValue::integer(1),
            error_bound: None,
        };
        let history = vec![(key.clone(), vec![point])];
        for results in [
            [row("a", Outcome::Fail), row("b", Outcome::Pass)],
            [row("a", Outcome::Pass), row("b", Outcome::Fail)],
        ] {
            let shown = series(history.clone(), &[], 30, &results);
            assert_eq!(shown[0].points[0].outcome, "fail");
        }
    }
}
