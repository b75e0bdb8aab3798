//! What a look at a dataset means: the results in force that it has to answer for.
//!
//! Comes in: the runs of the look and the partitions that were named. Goes out: results and their
//! counts. The counts come from the verdicts, never from the results that were read: a bound on the
//! reading must not lose a failure. A verdict whose partition was cleared away, or whose name was
//! put right, is no finding.

use std::collections::BTreeSet;

use assay_model::ids::{CheckId, DatasetId, RunId};
use assay_model::ledger::{LedgerEntry, LedgerState};
use assay_model::outcome::OutcomeCounts;
use assay_model::partition::PartitionKey;

use crate::error::StoreError;
use crate::port::{MetricStore, ResultFilter, ResultRow, Verdict};

/// More verdicts than a dataset has.
const VERDICTS_MAX: u32 = i32::MAX as u32;

/// Which results of the partitions that a look judged are read; whatever is read, all are counted.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// Those that need a look, and those of these checks. Where partitions were named, all of them.
    Findings(&'a [CheckId]),
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The runs of the look.
    pub runs: &'a [RunId],
    /// The partitions that were named; empty is all.
    pub keys: &'a [String],
    /// Results that are read, at most; the counts have no bound.
    pub limit: u32,
    /// Which of them.
    pub which: Which<'a>,
}

/// The results in force that a look answers for.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The results, in the order of the partitions: those asked for of the partitions that the look
    /// judged (or that were named, or that the last run judged, when this one judged none), and those
    /// of other partitions that need a look.
    pub rows: Vec<ResultRow>,
    /// Partitions that the look answers for as a whole.
    pub judged: BTreeSet<PartitionKey>,
    /// The counts of their results, also of those beyond the bound.
    pub judged_counts: OutcomeCounts,
    /// Other partitions whose verdict in force needs a look.
    pub elsewhere: BTreeSet<PartitionKey>,
    /// The counts of what needs a look there, also beyond the bound.
    pub elsewhere_counts: OutcomeCounts,
    /// Whether no run of the look judged anything, so that earlier verdicts stand.
    pub unchanged: bool,
    /// Results that were asked for.
    asked: u64,
    /// Those of them that are here.
    here: u64,
}

impl Standing {
    /// The counts of all that the look answers for.
    #[must_use]
    pub fn counts(&self) -> OutcomeCounts {
        let mut counts = self.judged_counts;
        counts.merge(&self.elsewhere_counts);
        counts
    }

    /// Results beyond the bound; where findings are asked for, findings.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.asked.saturating_sub(self.here)
    }
}

/// The counts of what needs a look.
fn bad(counts: &OutcomeCounts) -> OutcomeCounts {
    let mut of = OutcomeCounts::default();
    for (outcome, n) in counts.by_outcome() {
        if outcome.needs_a_look() {
            of.add(outcome, n);
        }
    }
    of
}

/// Partitions that verdicts in force do not speak of: cleared away, or with a name put right.
#[must_use]
pub fn put_right(ledger: Vec<LedgerEntry>) -> BTreeSet<PartitionKey> {
    ledger
        .into_iter()
        .filter(|entry| entry.state == LedgerState::Gone && !entry.version.is_gone())
        .map(|entry| entry.partition.key)
        .collect()
}

/// Reads what `look` answers for.
///
/// # Errors
/// [`StoreError`] of the store.
pub async fn standing(
    store: &dyn MetricStore,
    dataset: &DatasetId,
    look: Look<'_>,
) -> Result<Standing, StoreError> {
    let put_right = put_right(store.ledger(dataset).await?);
    let mut verdicts = store.verdicts(dataset, None, VERDICTS_MAX).await?;
    verdicts.retain(|verdict| !put_right.contains(&verdict.partition.key));
    let mut standing = Standing {
        unchanged: !verdicts.iter().any(|v| look.runs.contains(&v.run)),
        ..Standing::default()
    };
    let last = verdicts.iter().max_by_key(|v| v.judged_at).map(|v| v.run);
    let by: Vec<RunId> = if standing.unchanged {
        last.into_iter().collect()
    } else {
        look.runs.to_vec()
    };
    let named = |verdict: &Verdict| {
        look.keys
            .iter()
            .any(|k| k == verdict.partition.key.as_str())
    };
    for verdict in &verdicts {
        let key = verdict.partition.key.clone();
        let whole = if look.keys.is_empty() {
            by.contains(&verdict.run)
        } else {
            named(verdict)
        };
        let bad = bad(&verdict.counts);
        if whole {
            standing.judged_counts.merge(&verdict.counts);
            standing.judged.insert(key);
        } else if look.keys.is_empty() && bad.planned > 0 {
            standing.elsewhere_counts.merge(&bad);
            standing.elsewhere.insert(key);
        }
    }
    let is_finding = |row: &&ResultRow| row.result.outcome.needs_a_look();
    let counts = standing.counts();
    match look.which {
        Which::Findings(checks) if look.keys.is_empty() => {
            standing.rows = findings(store, dataset, look, checks, &by, &standing).await?;
            standing.asked = bad(&counts).planned;
            standing.here = standing.rows.iter().filter(is_finding).count() as u64;
        }
        Which::All | Which::Findings(_) => {
            standing.rows = rows(store, dataset, look, &by, &standing).await?;
            standing.asked = counts.planned;
            standing.here = standing.rows.len() as u64;
        }
    }
    let place = |row: &ResultRow| (row.partition.order.clone(), row.partition.key.clone());
    standing.rows.sort_by_cached_key(place);
    Ok(standing)
}

/// What needs a look, and the results of `checks`.
async fn findings(
    store: &dyn MetricStore,
    dataset: &DatasetId,
    look: Look<'_>,
    checks: &[CheckId],
    by: &[RunId],
    standing: &Standing,
) -> Result<Vec<ResultRow>, StoreError> {
    let base = ResultFilter {
        limit: look.limit,
        ..ResultFilter::default()
    };
    let bad = ResultFilter {
        bad: true,
        ..base.clone()
    };
    let mut rows = Vec::new();
    if !standing.elsewhere.is_empty() || self::bad(&standing.judged_counts).planned > 0 {
        rows = store.results(dataset, &bad).await?;
        rows.retain(|row| {
            let key = &row.partition.key;
            standing.judged.contains(key) || standing.elsewhere.contains(key)
        });
    }
    for run in by {
        for check in checks {
            let room = u64::from(look.limit).saturating_sub(rows.len() as u64);
            let of_check = ResultFilter {
                run: Some(*run),
                check: Some(check.clone()),
                limit: u32::try_from(room).unwrap_or(u32::MAX),
                ..base.clone()
            };
            let found = store.results(dataset, &of_check).await?.into_iter();
            rows.extend(found.filter(|row| {
                let is_good = !row.result.outcome.needs_a_look();
                is_good && standing.judged.contains(&row.partition.key)
            }));
        }
    }
    Ok(rows)
}

async fn rows(
    store: &dyn MetricStore,
    dataset: &DatasetId,
    look: Look<'_>,
    by: &[RunId],
    standing: &Standing,
) -> Result<Vec<ResultRow>, StoreError> {
    let base = ResultFilter {
        limit: look.limit,
        ..ResultFilter::default()
    };
    let mut rows: Vec<ResultRow> = Vec::new();
    // What needs a look is read first: a bound cuts off what is good.
    if !standing.elsewhere.is_empty() {
        let filter = ResultFilter {
            bad: true,
            ..base.clone()
        };
        rows = store.results(dataset, &filter).await?;
        rows.retain(|row| standing.elsewhere.contains(&row.partition.key));
    }
    let mut filters = Vec::new();
    if look.keys.is_empty() {
        filters.extend(by.iter().map(|run| ResultFilter {
            run: Some(*run),
            ..base.clone()
        }));
    } else {
        filters.extend(standing.judged.iter().map(|key| ResultFilter {
            partition: Some(key.clone()),
            ..base.clone()
        }));
    }
    for filter in filters {
        let room = u64::from(look.limit).saturating_sub(rows.len() as u64);
        let limit = u32::try_from(room).unwrap_or(u32::MAX);
        let filter = ResultFilter { limit, ..filter };
        let found = store.results(dataset, &filter).await?.into_iter();
        rows.extend(found.filter(|row| standing.judged.contains(&row.partition.key)));
    }
    Ok(rows)
}
