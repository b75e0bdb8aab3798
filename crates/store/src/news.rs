//! Word of what was committed, for those who keep answers.
//!
//! Comes in: the wish to follow a store. Goes out: the dataset of each commit that changes what is
//! known of partitions, after that commit. It must never pass over a commit without a word: a gap
//! ends the stream, and whoever follows it forgets everything and follows anew.

use assay_model::ids::DatasetId;
use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc};

use crate::error::StoreError;

/// Words that a slow reader may have waiting; one that falls behind further is cut off.
const WAITING: usize = 1024;

/// A store that tells what was committed.
#[async_trait]
pub trait News: Send + Sync {
    /// Follows the store from here on: each word is a dataset whose ledger or verdicts have changed.
    /// The stream ends when a word may have been lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store cannot be followed at present; [`StoreError::Open`] when
    /// it is there and lets nobody else in.
    async fn follow(&self) -> Result<mpsc::Receiver<DatasetId>, StoreError>;
}

/// A teller inside the process of the only writer.
#[derive(Debug, Clone)]
pub(crate) struct Teller(broadcast::Sender<DatasetId>);

impl Default for Teller {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Teller {
    /// Tells everybody who follows; nobody need.
    pub(crate) fn tell(&self, dataset: DatasetId) {
        let _ = self.0.send(dataset);
    }

    /// Follows from here on.
    pub(crate) fn follow(&self) -> mpsc::Receiver<DatasetId> {
        let mut words = self.0.subscribe();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let word = tokio::select! {
                    // One that fell behind has lost words: its stream ends.
                    word = words.recv() => word,
                    () = sender.closed() => return,
                };
                let Ok(word) = word else { return };
                if sender.send(word).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }
}
