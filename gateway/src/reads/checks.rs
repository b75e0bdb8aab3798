//! Checks and their results.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_answers::check::{CheckResult, CheckRow, OutcomeSquare};
use assay_answers::facts::{Answer, ResultsQuery};
use assay_answers::value::MetricName;
use assay_answers::{List, Problem, Reader, Told};
use assay_model::check::{Check, CheckOrigin, Expectation};
use assay_model::dataset::Dataset;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::outcome::Outcome;
use assay_store::port::{MetricHistory, ResultFilter, ResultRow};

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
/// The most results of one check.
const OF_CHECK_MAX: u32 = 10_000;

/// The last partitions of a dataset: what was measured and what was judged.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    pub(crate) history: MetricHistory,
    /// Newest partition first.
    pub(crate) results: Vec<ResultRow>,
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
            Ok::<_, Miss>(Recent { history, results })
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
            let items = rows_of(&dataset, &recent.results);
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
    bounds::checked(keys.iter().copied(), from, to)?;
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

/// The rows of the checks of a definition and of its last results.
pub(crate) fn rows_of(dataset: &Dataset, results: &[ResultRow]) -> Vec<CheckRow> {
    let mut by_check: BTreeMap<&str, Vec<&ResultRow>> = BTreeMap::new();
    for row in results {
        by_check
            .entry(row.result.check.as_str())
            .or_default()
            .push(row);
    }
    let mut rows: Vec<CheckRow> = dataset
        .checks
        .iter()
        .map(|check| {
            let results = by_check.remove(check.id.as_str()).unwrap_or_default();
            declared(check, &results)
        })
        .collect();
    // Checks of the profile and built-in ones stand in no document.
    for (id, results) in by_check {
        rows.extend(judged(id, &results));
    }
    rows.sort_by_cached_key(order);
    rows
}

/// The row of a check of which only results are known.
fn rows_of_results(results: &[CheckResult]) -> Vec<CheckRow> {
    let Some(newest) = results.first() else {
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

fn declared(check: &Check, results: &[&ResultRow]) -> CheckRow {
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
        newest: results.first().map(|row| convert::result(row)),
        strip: strip(results),
        in_force: true,
    }
}

fn judged(id: &str, results: &[&ResultRow]) -> Option<CheckRow> {
    let newest = results.first()?;
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
        strip: strip(results),
        // One that the document declared and does so no more keeps its results.
        in_force: !declared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
