//! Checks and their results.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assay_answers::check::{CheckResult, CheckRow, OutcomeSquare};
use assay_answers::facts::{Answer, ResultsQuery};
use assay_answers::value::MetricName;
use assay_answers::{List, Problem, Reader, Told};
use assay_model::check::{Check, CheckOrigin, Expectation};
use assay_model::dataset::Dataset;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::metric::MetricKey;
use assay_model::outcome::Outcome;
use assay_model::partition::PartitionKey;
use assay_store::port::{MetricHistory, ResultFilter, ResultRow};
use assay_store::standing::newest_of_each;

use super::{bounds, page_of};
use crate::api::Api;
use crate::convert;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{BAD_PARAMETER, Miss, no};
use crate::rights::Action;

/// Partitions that rows of checks and metrics look back over.
pub(crate) const RECENT: u32 = 30;
/// The most results that they look at.
const RESULTS_MAX: u64 = 20_000;
/// The most results that need a look which are looked through for those of other series.
const ELSEWHERE_MAX: u32 = 20_000;
/// The most results of one check.
const OF_CHECK_MAX: u32 = 10_000;

/// The last partitions of a dataset: what was measured and what was judged.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    pub(crate) history: MetricHistory,
    /// Newest partition first.
    pub(crate) results: Vec<ResultRow>,
    /// The checks that each metric was held against in them.
    checks: BTreeMap<MetricKey, BTreeSet<CheckId>>,
}

impl Recent {
    pub(crate) fn new(history: MetricHistory, results: Vec<ResultRow>) -> Self {
        let mut checks: BTreeMap<MetricKey, BTreeSet<CheckId>> = BTreeMap::new();
        for result in results.iter().map(|row| &row.result) {
            let of = match checks.get_mut(&result.metric) {
                Some(of) => of,
                None => checks.entry(result.metric.clone()).or_default(),
            };
            if !of.contains(&result.check) {
                of.insert(result.check.clone());
            }
        }
        Self {
            history,
            results,
            checks,
        }
    }

    /// The checks that a metric was held against.
    pub(crate) fn checks_of(&self, metric: &MetricKey) -> impl Iterator<Item = &CheckId> {
        self.checks.get(metric).into_iter().flatten()
    }
}

/// About how much memory the last partitions take.
fn weight(recent: &Recent) -> usize {
    let points: usize = recent.history.iter().map(|(_, points)| points.len()).sum();
    points * 160 + recent.results.len() * 800
}

impl Api {
    /// The last partitions of a dataset.
    pub(crate) async fn recent(&self, id: &DatasetId) -> Result<Found<Recent>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let dataset = id.clone();
        let load = async move {
            let history = store.history(&dataset, None, RECENT).await?;
            let verdicts = store.verdicts(&dataset, None, RECENT).await?;
            let planned: u64 = verdicts.iter().map(|verdict| verdict.counts.planned).sum();
            let filter = ResultFilter {
                limit: u32::try_from(planned.clamp(1, RESULTS_MAX)).unwrap_or(u32::MAX),
                ..ResultFilter::default()
            };
            let results = store.results(&dataset, &filter).await?;
            Ok::<_, Miss>(Recent::new(history, results))
        };
        self.memory
            .value(
                Source::Store,
                Key::of(id, "recent"),
                Good::UntilTold,
                weight,
                load,
            )
            .await
    }

    /// The checks of a dataset: failing ones first, then by column.
    pub(crate) async fn check_rows(
        &self,
        who: &Reader,
        dataset: &str,
    ) -> Result<Found<List<CheckRow>>, Problem> {
        let known = self.permitted(who, Action::Read, dataset).await?;
        let (api, dataset) = (self.clone(), Arc::clone(&known.dataset));
        let question = format!("checks by {}", known.digest);
        let load = async move {
            let recent = api.recent(&dataset.id).await?.in_force()?;
            let ledger = api.ledger(&dataset.id).await?.in_force()?;
            let newest = newest_of_each(&ledger).into_iter();
            let newest: BTreeSet<PartitionKey> = newest.map(|e| e.partition.key.clone()).collect();
            let elsewhere = elsewhere(&api, &dataset.id, &newest, &recent).await?;
            let items = rows_of(&dataset, (&recent.results, &elsewhere), &newest);
            let total = Some(items.len() as u64);
            Ok(List {
                items,
                next_cursor: None,
                total,
            })
        };
        let key = Key::of(&known.dataset.id, question);
        self.memory
            .answer(Source::Store, key, Good::UntilTold, load)
            .await
    }

    /// One check of a dataset.
    pub(crate) async fn check_row(
        &self,
        who: &Reader,
        dataset: &str,
        check: &str,
    ) -> Answer<CheckRow> {
        let found = self.check_rows(who, dataset).await?;
        let row = found.it.items.iter().find(|row| row.id == check);
        if let Some(row) = row {
            return Ok(Told {
                it: row.clone(),
                as_of: found.as_of,
                stale_s: found.stale_s,
            });
        }
        // One that has no result among the last partitions may have earlier ones.
        let results = self.results_of(who, dataset, check, false).await?;
        let items = rows_of_results(&results.it.items);
        let row = items.into_iter().next().ok_or_else(|| no("check", check))?;
        Ok(Told {
            it: row,
            as_of: results.as_of,
            stale_s: results.stale_s,
        })
    }

    /// All results of a check, newest partition first.
    async fn results_of(
        &self,
        who: &Reader,
        dataset: &str,
        check: &str,
        superseded: bool,
    ) -> Result<Found<List<CheckResult>>, Problem> {
        let known = self.permitted(who, Action::Read, dataset).await?;
        let store = Arc::clone(&self.parts.store);
        let (id, check) = (known.dataset.id.clone(), CheckId::new(check));
        let key = Key::of(&id, format!("results of {check} {superseded}"));
        let load = async move {
            let filter = ResultFilter {
                check: Some(check),
                superseded,
                limit: OF_CHECK_MAX,
                ..ResultFilter::default()
            };
            let rows = store.results(&id, &filter).await?;
            Ok::<_, Miss>(List {
                items: rows.iter().map(convert::result).collect(),
                next_cursor: None,
                total: None,
            })
        };
        self.memory
            .answer(Source::Store, key, Good::UntilTold, load)
            .await
    }

    /// The results of a check that a query leaves, in parts.
    pub(crate) async fn result_list(
        &self,
        who: &Reader,
        dataset: &str,
        check: &str,
        query: &ResultsQuery,
    ) -> Answer<List<CheckResult>> {
        let found = self
            .results_of(who, dataset, check, query.superseded)
            .await?;
        if found.it.items.is_empty() {
            // A check that was never judged has no results; one that does not exist is none.
            self.check_row(who, dataset, check).await?;
        }
        let outcome: Option<Outcome> = match query.outcome.as_deref() {
            None => None,
            Some(word) => Some(word.parse().map_err(|_| {
                let known: Vec<&str> = Outcome::ALL.iter().map(|o| o.as_str()).collect();
                BAD_PARAMETER.because(format!("`outcome`: use one of {}", known.join(", ")))
            })?),
        };
        let keys: Vec<&str> = found
            .it
            .items
            .iter()
            .map(|r| r.partition.as_str())
            .collect();
        let range = range(&keys, query.from.as_deref(), query.to.as_deref())?;
        let kept = found.it.items.get(range).unwrap_or_default().iter();
        let kept = kept.filter(|row| outcome.is_none_or(|o| row.outcome == o));
        let name = |row: &CheckResult| format!("{}\u{0}{}", row.partition, row.run_id);
        let list = page_of(kept, &query.cut, name)?;
        Ok(Told {
            it: list,
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }
}

/// Which items, whose partitions are `keys` with the newest first, lie from one partition to another.
/// The order is that of the list, which is that of the partitions; a key that is no partition of it
/// is compared as text.
fn range(
    keys: &[&str],
    from: Option<&str>,
    to: Option<&str>,
) -> Result<std::ops::Range<usize>, Problem> {
    bounds::checked(&keys.iter().copied(), from, to)?;
    let start = match to {
        None => 0,
        Some(to) => keys
            .iter()
            .position(|key| *key == to)
            .or_else(|| keys.iter().position(|key| *key <= to))
            .unwrap_or(keys.len()),
    };
    let end = match from {
        None => keys.len(),
        Some(from) => keys
            .iter()
            .rposition(|key| *key == from)
            .or_else(|| keys.iter().rposition(|key| *key >= from))
            .map_or(0, |at| at + 1),
    };
    if from.is_some() && to.is_some() && start > end {
        return Err(BAD_PARAMETER.because("`from` is after `to`"));
    }
    Ok(start.min(end)..end)
}

/// The order of rows: what failed, what could not be told, what warns; then by column and name.
fn order(row: &CheckRow) -> (u8, String, String) {
    let gravity = row
        .newest
        .as_ref()
        .map_or(9, |newest| newest.outcome.gravity());
    (gravity, row.of.column.clone(), row.id.clone())
}

/// What needs a look in the newest partitions of series that are not among the last partitions.
async fn elsewhere(
    api: &Api,
    id: &DatasetId,
    newest: &BTreeSet<PartitionKey>,
    recent: &Recent,
) -> Result<Vec<ResultRow>, Miss> {
    let rows = recent.results.iter();
    let here: BTreeSet<&PartitionKey> = rows.map(|row| &row.partition.key).collect();
    if newest.iter().all(|key| here.contains(key)) {
        return Ok(Vec::new());
    }
    let filter = ResultFilter {
        bad: true,
        limit: ELSEWHERE_MAX,
        ..ResultFilter::default()
    };
    let mut rows = api.parts.store.results(id, &filter).await?;
    rows.retain(|row| {
        let key = &row.partition.key;
        newest.contains(key) && !here.contains(key)
    });
    Ok(rows)
}

/// The results of a check, newest partition first.
#[derive(Default)]
struct Of<'a> {
    /// Those of the last partitions.
    recent: Vec<&'a ResultRow>,
    /// Those of the newest partitions of other series that need a look.
    elsewhere: Vec<&'a ResultRow>,
}

impl<'a> Of<'a> {
    /// The newest result: of several series the gravest of those of their `newest` partitions, so that
    /// what passes in one does not hide what fails in another.
    fn newest(&self, newest: &BTreeSet<PartitionKey>) -> Option<&'a ResultRow> {
        let all = || self.recent.iter().chain(&self.elsewhere).copied();
        all()
            .filter(|row| newest.contains(&row.partition.key))
            .min_by_key(|row| row.result.outcome.gravity())
            .or_else(|| all().next())
    }
}

/// The rows of the checks of a definition and of its last results, and of those elsewhere that need a
/// look.
fn rows_of(
    dataset: &Dataset,
    (recent, elsewhere): (&[ResultRow], &[ResultRow]),
    newest: &BTreeSet<PartitionKey>,
) -> Vec<CheckRow> {
    let mut by_check: BTreeMap<&str, Of<'_>> = BTreeMap::new();
    for row in recent {
        let of = by_check.entry(row.result.check.as_str()).or_default();
        of.recent.push(row);
    }
    for row in elsewhere {
        let of = by_check.entry(row.result.check.as_str()).or_default();
        of.elsewhere.push(row);
    }
    let mut rows: Vec<CheckRow> = dataset
        .checks
        .iter()
        .map(|check| {
            let of = by_check.remove(check.id.as_str()).unwrap_or_default();
            declared(check, &of, newest)
        })
        .collect();
    // Checks of the profile and built-in ones stand in no document.
    for (id, of) in by_check {
        rows.extend(judged(id, &of, newest));
    }
    rows.sort_by_cached_key(order);
    rows
}

/// The row of a check of which only results are known.
fn rows_of_results(results: &[CheckResult]) -> Vec<CheckRow> {
    let mut seen = BTreeSet::new();
    let of_each = results.iter();
    let of_each = of_each.filter(|row| seen.insert(row.series.as_str()));
    let Some(newest) = of_each.min_by_key(|row| row.outcome.gravity()) else {
        return Vec::new();
    };
    let strip = results.iter().take(RECENT as usize).rev();
    let strip = strip.map(|row| OutcomeSquare {
        partition: row.partition.clone(),
        outcome: row.outcome,
    });
    vec![CheckRow {
        id: newest.check.clone(),
        of: newest.of.clone(),
        severity: newest.severity,
        origin: newest.origin,
        rule: newest.expected.clone(),
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
        strip: strip.collect(),
        newest: Some(newest.clone()),
        in_force: false,
    }]
}

fn strip(results: &[&ResultRow]) -> Vec<OutcomeSquare> {
    let last = results.iter().take(RECENT as usize).rev();
    last.map(|row| OutcomeSquare {
        partition: row.partition.key.to_string(),
        outcome: row.result.outcome,
    })
    .collect()
}

fn declared(check: &Check, of: &Of<'_>, newest: &BTreeSet<PartitionKey>) -> CheckRow {
    CheckRow {
        id: check.id.to_string(),
        of: MetricName::from(&check.metric),
        severity: check.severity,
        origin: check.origin,
        rule: match &check.expect {
            Expectation::NotRunHere { reason } => format!("not run here: {reason}"),
            expect => assay_judge::in_words(expect),
        },
        dimension: check.dimension.clone(),
        description: check.description.clone(),
        line: check.line,
        tags: check.tags.clone(),
        newest: of.newest(newest).map(convert::result),
        strip: strip(&of.recent),
        in_force: true,
    }
}

fn judged(id: &str, of: &Of<'_>, newest: &BTreeSet<PartitionKey>) -> Option<CheckRow> {
    let newest = of.newest(newest)?;
    let result = &newest.result;
    let declared = matches!(result.origin, CheckOrigin::Declared | CheckOrigin::Implied);
    Some(CheckRow {
        id: id.to_owned(),
        of: MetricName::from(&result.metric),
        severity: result.severity,
        origin: result.origin,
        rule: match result.origin {
            CheckOrigin::Profiled => assay_judge::in_words(&Expectation::Learned),
            _ => result.expected.clone(),
        },
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
        newest: Some(convert::result(newest)),
        strip: strip(&of.recent),
        // One that the document declared and does so no more keeps its results.
        in_force: !declared,
    })
}

#[cfg(test)]
mod tests {
    use assay_model::check::Severity;
    use assay_model::ids::RunId;
    use assay_model::metric::{Metric, MetricKey, MetricValue};
    use assay_model::outcome as judgement;
    use assay_model::partition::{Partition, PartitionVersion};

    use super::*;

    fn row(partition: &str, outcome: Outcome) -> ResultRow {
        let judged_at = "2026-11-20T12:00:00Z".parse().unwrap();
        ResultRow {
            run: RunId(uuid::Uuid::from_u128(1)),
            partition: Partition {
                key: PartitionKey(partition.to_owned()),
                ..Partition::all()
            },
            version: PartitionVersion("v1".to_owned()),
            judged_at,
            result: judgement::CheckResult {
                check: CheckId::new("enough"),
                metric: MetricKey::table(Metric::RowCount),
                severity: Severity::Error,
                origin: CheckOrigin::Declared,
                outcome,
                actual: MetricValue::Exact("1".to_owned()),
                error_bound: None,
                note: None,
                expected: "> 0".to_owned(),
                limits: None,
                reason: None,
            },
        }
    }

    #[test]
    fn what_passes_in_one_series_does_not_hide_what_fails_in_another() {
        use Outcome::{Fail, Pass};
        let told = |recent: &[ResultRow], elsewhere: &[ResultRow], keys: &[&str]| {
            let of = Of {
                recent: recent.iter().collect(),
                elsewhere: elsewhere.iter().collect(),
            };
            let keys = keys.iter().map(|key| PartitionKey((*key).to_owned()));
            let newest: BTreeSet<PartitionKey> = keys.collect();
            let found = of.newest(&newest)?;
            Some((found.partition.key.to_string(), found.result.outcome))
        };
        let is = |key: &str, outcome| Some((key.to_owned(), outcome));
        // Newest partitions first.
        let both = [row("us/2", Pass), row("us/1", Fail), row("eu/2", Fail)];
        assert_eq!(told(&both, &[], &["us/2", "eu/2"]), is("eu/2", Fail));
        let far = [row("eu/2", Fail)];
        assert_eq!(told(&both[..2], &far, &["us/2", "eu/2"]), is("eu/2", Fail));
        // What is mended in the newest partition of each is over.
        let mended = [row("us/2", Pass), row("eu/2", Pass), row("eu/1", Fail)];
        assert_eq!(told(&mended, &[], &["us/2", "eu/2"]), is("us/2", Pass));
        // One that was taken away, of however late a day, hides none that is there.
        let gone = [row("eu/9", Outcome::Skipped), row("eu/2", Fail)];
        assert_eq!(told(&gone, &[], &["eu/2"]), is("eu/2", Fail));
        // A check that the newest partitions do not have.
        assert_eq!(told(&far, &[], &["eu/3"]), is("eu/2", Fail));
        assert_eq!(told(&[], &[], &["eu/3"]), None);
    }

    #[test]
    fn a_range_follows_the_order_of_the_partitions() {
        let keys = ["2026-01-05", "2026-01-04", "2026-01-04", "2026-01-02"];
        let of = |from, to| range(&keys, from, to);
        assert_eq!(of(None, None), Ok(0..4));
        assert_eq!(of(Some("2026-01-04"), None), Ok(0..3));
        assert_eq!(of(None, Some("2026-01-04")), Ok(1..4));
        assert_eq!(of(Some("2026-01-03"), Some("2026-01-04")), Ok(1..3));
        assert_eq!(of(Some("2026-02-01"), None), Ok(0..0));
        assert!(of(Some("2026-01-05"), Some("2026-01-02")).is_err());
    }
}
