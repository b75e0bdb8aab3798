//! Finished results that wait for the store: bounded, so that an outage cannot fill the memory.
//!
//! Comes in: the size of a result that waits. Goes out: a place in the spool until it is committed,
//! and the word whether new work may start.

use std::sync::Arc;

use assay_model::output::{Evaluation, TaskOutput};
use tokio::sync::watch;

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Waiting {
    results: usize,
    bytes: u64,
}

/// The spool.
#[derive(Debug)]
pub(crate) struct Spool {
    results_max: usize,
    bytes_max: u64,
    waiting: watch::Sender<Waiting>,
}

/// A result's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    spool: Arc<Spool>,
    bytes: u64,
}

impl Spool {
    pub(crate) fn new(results_max: usize, bytes_max: u64) -> Self {
        Self {
            results_max,
            bytes_max,
            waiting: watch::Sender::default(),
        }
    }

    /// Takes a finished result in: always, since the work is done.
    pub(crate) fn put(self: &Arc<Self>, output: &TaskOutput) -> Place {
        let bytes = size_of_output(output);
        self.waiting.send_modify(|waiting| {
            waiting.results += 1;
            waiting.bytes += bytes;
        });
        Place {
            spool: Arc::clone(self),
            bytes,
        }
    }

    /// Waits until new work may start.
    pub(crate) async fn room(&self) {
        let mut waiting = self.waiting.subscribe();
        // The sender is a field of `self`.
        let _ = waiting
            .wait_for(|w| w.results < self.results_max && w.bytes < self.bytes_max)
            .await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.spool.waiting.send_modify(|waiting| {
            waiting.results = waiting.results.saturating_sub(1);
            waiting.bytes = waiting.bytes.saturating_sub(self.bytes);
        });
    }
}

fn rows_of(evaluation: &Evaluation) -> usize {
    evaluation.metrics.len() + evaluation.results.len()
}

/// About how many bytes an output takes in memory.
fn size_of_output(output: &TaskOutput) -> u64 {
    const ROW_BYTES: usize = 256;
    let bytes = match output {
        TaskOutput::Measured(partitions) => partitions
            .iter()
            .map(|p| p.state.len() + ROW_BYTES)
            .sum::<usize>(),
        TaskOutput::Discovered(discovery) => {
            let slices: usize = discovery.measures.iter().map(|m| m.slices.len() + 1).sum();
            (discovery.sightings.len() + discovery.evaluations.len() + slices) * ROW_BYTES
        }
        TaskOutput::Evaluated(evaluation) => rows_of(evaluation) * ROW_BYTES,
        TaskOutput::EvaluatedMany(all) => all.iter().map(rows_of).sum::<usize>() * ROW_BYTES,
    };
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::output::MeasuredPartition;
    use assay_model::partition::PartitionKey;

    fn output(bytes: usize) -> TaskOutput {
        TaskOutput::Measured(vec![MeasuredPartition {
            partition: PartitionKey::all(),
            rows: 1,
            state: vec![0; bytes],
        }])
    }

    #[tokio::test]
    async fn a_full_spool_stops_new_work_until_a_result_is_committed() {
        let spool = Arc::new(Spool::new(256, 1000));
        spool.room().await;
        let first = spool.put(&output(2000));
        let second = spool.put(&output(1));
        let wait = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(wait, spool.room()).await.is_err());
        drop(first);
        spool.room().await;
        drop(second);
        assert_eq!(*spool.waiting.borrow(), Waiting::default());
    }
}
