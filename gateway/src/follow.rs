//! Hears of commits, for as long as the gateway runs.
//!
//! Comes in: the store's news. Goes out: what answers are told of. It must never take up the thread
//! again where it was lost: whoever missed a word forgets everything.

use std::sync::Arc;
use std::time::Duration;

use assay_store::News;

use crate::memory::{Memory, Source};

/// Between two attempts to hear.
const AGAIN: Duration = Duration::from_millis(100);

/// Follows the store until dropped.
pub async fn follow(news: Arc<dyn News>, memory: Memory) {
    loop {
        match news.follow().await {
            Ok(mut words) => {
                memory.follows();
                while let Some(dataset) = words.recv().await {
                    memory.told(&dataset);
                }
                memory.lost();
            }
            Err(error) => memory.reach(Source::Store).failed(&error.to_string()),
        }
        tokio::time::sleep(AGAIN).await;
    }
}
