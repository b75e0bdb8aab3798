//! Hears of commits, for as long as the gateway runs.
//!
//! Comes in: the store's news. Goes out: what answers are told of, and whether the store is there. It
//! must never take up the thread again where it was lost: whoever missed a word forgets everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_store::{News, StoreError};
use assay_telemetry::repeat::Repeat;

use crate::memory::{Memory, Source};

/// Between two attempts to hear: one is a connection that is refused, and answers are in force again
/// with the one that is not.
const AGAIN: Duration = Duration::from_millis(100);

/// The same where the store lets nobody else in: nothing comes back by asking more often.
const REFUSED_AGAIN: Duration = Duration::from_secs(1);

/// One who was heard for so long may be asked again without a pause.
const SETTLED: Duration = Duration::from_secs(1);

/// Follows the store until dropped.
pub async fn follow(news: Arc<dyn News>, memory: Memory) {
    let mut refused = Repeat::default();
    loop {
        match news.follow().await {
            Ok(mut words) => {
                refused.ends();
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
            // It is there, and may answer those whom it has let in: whether it does is found out by who
            // asks. Word of it again and again would let nobody ask.
            Err(error) => {
                if let Some(again) = refused.fails() {
                    tracing::warn!(%error, "commits are not heard of, and nothing is kept for long; trying again{again}");
                }
                tokio::time::sleep(REFUSED_AGAIN).await;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use assay_model::ids::DatasetId;
    use assay_telemetry::Telemetry;
    use async_trait::async_trait;
    use jiff::Timestamp;
    use tokio::sync::mpsc;

    use super::*;
    use crate::memory::{Good, Key};
    use crate::problem::Miss;

    /// A server with as many connections as it takes: it answers on those, and lets nobody else in.
    struct Full;

    #[async_trait]
    impl News for Full {
        async fn follow(&self) -> Result<mpsc::Receiver<DatasetId>, StoreError> {
            Err(StoreError::Open {
                place: "here".to_owned(),
                detail: "there is no connection left".to_owned(),
            })
        }
    }

    #[tokio::test]
    async fn a_store_that_lets_nobody_else_in_is_still_asked() {
        let memory = Memory::new(Arc::new(Timestamp::now), Telemetry::default());
        let following = tokio::spawn(follow(Arc::new(Full), memory.clone()));
        for n in 0..10_u32 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let load = async move { Ok::<_, Miss>(n) };
            let (key, bytes): (_, fn(&u32) -> usize) = (Key::about_all("number"), |_| 4);
            let found = memory.value(Source::Store, key, Good::UntilTold, bytes, load);
            let found = found.await.map(|found| (*found.it, found.stale_s));
            assert_eq!(found.ok(), Some((n, None)));
        }
        following.abort();
    }
}
