//! What a task has to know of the past to judge partitions: as much as bears on them, and no more.
//!
//! Comes in: the partitions, one or several of a series in their order. Goes out: the [`Book`] that
//! they are judged by. It must never leave out what could change a verdict; what it costs must not
//! grow with what else the dataset has.

use assay_model::dataset::Dataset;
use assay_model::partition::{Partition, PartitionKey};
use assay_model::task::{EvaluateSpec, TaskFailure};
use assay_past::book::named;
use assay_past::known::{INCIDENTS_MAX, PAST_MAX};
use assay_past::line::just_after;
use assay_past::{Book, Stored};
use assay_store::feedback::READ_MAX;
use assay_store::{MetricStore, StoreError};
use jiff::Timestamp;

use super::store_failure;
use crate::pause::asked;

/// Partitions of the ledger between the first and the last of a stretch, at most: where more lie
/// between, each partition is judged by a book of its own.
const STRETCH_MAX: u32 = 4_096;

/// The book that partitions of a series are judged by one after another; `None` where too much lies
/// between several. `from` is the first that the task judges, in this book or another.
pub(super) async fn read(
    metrics: &dyn MetricStore,
    dataset: &Dataset,
    specs: &[&EvaluateSpec],
    from: &Partition,
    now: Timestamp,
) -> Result<Option<Book>, TaskFailure> {
    let stored = stored(metrics, dataset, specs, now).await;
    let stored = stored.map_err(|error| store_failure(&error))?;
    Ok(stored.map(|stored| Book::new(stored, from)))
}

/// What is stored around `specs`, which follow each other in one series.
async fn stored(
    metrics: &dyn MetricStore,
    dataset: &Dataset,
    specs: &[&EvaluateSpec],
    now: Timestamp,
) -> Result<Option<Stored>, StoreError> {
    let (Some(first), Some(last)) = (specs.first(), specs.last()) else {
        return Ok(None);
    };
    let (first, last) = (&first.partition, &last.partition);
    let id = &dataset.id;
    // Side by side: a store may be far away.
    let (within, later, open, answered) = tokio::try_join!(
        asked(|| metrics.ledger_between(id, first, last, STRETCH_MAX + 1)),
        asked(|| metrics.later(id, last, now)),
        asked(|| metrics.incidents(Some(id), true, INCIDENTS_MAX)),
        asked(|| metrics.feedback(id, READ_MAX)),
    )?;
    if specs.len() > 1 && within.len() > STRETCH_MAX as usize {
        return Ok(None);
    }
    let mut keys = named(&dataset.limits, &first.series, &open, &answered);
    keys.extend(specs.iter().map(|spec| spec.partition.key.clone()));
    let keys: Vec<PartitionKey> = keys.into_iter().collect();
    // Whatever of the stretch was judged, as many as are looked at lie before it.
    let most = u32::try_from(within.len()).unwrap_or(u32::MAX);
    let most = PAST_MAX.saturating_add(most);
    let after = just_after(last);
    let (judged, named) = tokio::try_join!(
        asked(|| metrics.judged_before(id, &after, most)),
        asked(|| metrics.ledger_of(id, &keys)),
    )?;
    let broken = judged.verdicts.iter();
    let broken = broken.filter(|verdict| verdict.counts.fail > 0 || verdict.counts.warn > 0);
    let broken: Vec<PartitionKey> = broken.map(|v| v.partition.key.clone()).collect();
    let breaches = if broken.is_empty() {
        Vec::new()
    } else {
        asked(|| metrics.breaches_of(id, &broken)).await?
    };
    Ok(Some(Stored {
        within,
        later,
        judged,
        breaches,
        named,
        open,
        answered,
    }))
}
