//! What a look at a dataset means: the results in force that it has to answer for.
//!
//! Comes in: the runs of the look and the partitions that were named. Goes out: results and their
//! counts. The counts come from the verdicts, never from the results that were read: a bound on the
//! reading must not lose a failure. A verdict whose partition was cleared away, or whose name was
//! put right, is no finding.

use std::collections::BTreeSet;

use assay_model::ids::{DatasetId, RunId};
use assay_model::ledger::{LedgerEntry, LedgerState};
use assay_model::outcome::OutcomeCounts;
use assay_model::partition::PartitionKey;

use crate::error::StoreError;
use crate::port::{MetricStore, ResultFilter, ResultRow, Verdict};

/// More verdicts than a dataset has.
const VERDICTS_MAX: u32 = i32::MAX as u32;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The runs of the look.
    pub runs: &'a [RunId],
    /// The partitions that were named; empty is all.
    pub keys: &'a [String],
    /// Results that are read, at most; the counts have no bound.
    pub limit: u32,
}

/// The results in force that a look answers for.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The results, in the order of the partitions: all of the partitions that the look judged (or
    /// that were named, or that the last run judged, when this one judged none), and those of other
    /// partitions that need a look.
    pub rows: Vec<ResultRow>,
    /// Partitions whose results are all here.
    pub judged: BTreeSet<PartitionKey>,
    /// The counts of their results, also of those beyond the bound.
    pub judged_counts: OutcomeCounts,
    /// Other partitions whose verdict in force needs a look.
    pub elsewhere: BTreeSet<PartitionKey>,
    /// The counts of what needs a look there, also beyond the bound.
    pub elsewhere_counts: OutcomeCounts,
    /// Whether no run of the look judged anything, so that earlier verdicts stand.
    pub unchanged: bool,
}

impl Standing {
    /// The counts of all that the look answers for.
    #[must_use]
    pub fn counts(&self) -> OutcomeCounts {
        let mut counts = self.judged_counts;
        counts.merge(&self.elsewhere_counts);
        counts
    }

    /// Results beyond the bound.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        let planned = self.counts().planned;
        planned.saturating_sub(self.rows.len() as u64)
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
fn put_right(ledger: Vec<LedgerEntry>) -> BTreeSet<PartitionKey> {
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
    standing.rows = rows(store, dataset, look, &by, &standing).await?;
    Ok(standing)
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
    rows.sort_by(|a, b| {
        (&a.partition.order, &a.partition.key).cmp(&(&b.partition.order, &b.partition.key))
    });
    Ok(rows)
}
