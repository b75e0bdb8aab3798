//! Hears of commits, for as long as the gateway runs.
//!
//! Comes in: the store's news. Goes out: what answers are told of, and whether the store is there. It
//! must never take up the thread again where it was lost: whoever missed a word forgets everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_store::{News, StoreError};

use crate::memory::{Memory, Source};

/// Between two attempts to hear: one is a connection that is refused, and answers are in force again
/// with the one that is not.
const AGAIN: Duration = Duration::from_millis(100);

/// One who was heard for so long may be asked again without a pause.
const SETTLED: Duration = Duration::from_secs(1);

/// Follows the store until dropped.
pub async fn follow(news: Arc<dyn News>, memory: Memory) {
    loop {
        match news.follow().await {
            Ok(mut words) => {
                memory.follows();
                let begun = Instant::now();
                while let Some(dataset) = words.recv().await {
                    memory.told(&dataset);
                }
                memory.lost();
                // Whether the store is still there is known at once; one that breaks off again and
                // again is asked by and by.
                if begun.elapsed() > SETTLED {
                    continue;
                }
            }
            Err(error @ StoreError::Unavailable(_)) => {
                memory.reach(Source::Store).asks_for_all(&error.to_string());
            }
            Err(error) => memory.reach(Source::Store).failed(&error.to_string()),
        }
        tokio::time::sleep(AGAIN).await;
    }
}
