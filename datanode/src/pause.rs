//! Growing pauses between questions to a store that does not answer, and reads that are asked again.
//!
//! Comes in: a read. Goes out: its answer, or its error once patience has ended. It must never ask
//! again what asking again cannot mend.

use std::time::Duration;

use assay_store::StoreError;
use uuid::Uuid;

/// The first pause before the store is asked again; doubles, with full jitter.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often a read is put before its attempt is given up: about five seconds in the mean. Beyond,
/// the store is away, and the leader says when the task is tried again.
const READS: u32 = 10;

/// Growing pauses with full jitter.
pub(crate) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(PAUSE)
    }
}

impl Pause {
    pub(crate) async fn wait(&mut self) {
        // 62 random bits of a UUID, cut to thousandths.
        let permille = u32::try_from(Uuid::new_v4().as_u64_pair().1 % 1000).unwrap_or_default();
        tokio::time::sleep(self.0 * permille / 1000).await;
        self.0 = (self.0 * 2).min(PAUSE_MAX);
    }
}

/// Puts a read again while its error may pass: one lost answer on the way to the store is no reason
/// to do a whole task anew, and says nothing about the source of the dataset.
pub(crate) async fn asked<T, F>(mut read: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = Pause::default();
    for _ in 1..READS {
        match read().await {
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, "a read is put again");
                pause.wait().await;
            }
            answer => return answer,
        }
    }
    read().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn after(lost: u32, error: fn() -> StoreError) -> (Result<u32, StoreError>, u32) {
        let reads = Cell::new(0);
        let answer = asked(async || {
            reads.set(reads.get() + 1);
            if reads.get() <= lost {
                Err(error())
            } else {
                Ok(7)
            }
        });
        (answer.await, reads.get())
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_whose_answers_are_lost_is_put_again_and_not_for_ever() {
        let away = || StoreError::Unavailable("away".into());
        assert!(matches!(after(3, away).await, (Ok(7), 4)));
        assert!(matches!(after(READS, away).await, (Err(_), READS)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_stays_is_told_at_once() {
        let refused = || StoreError::Refused {
            what: "read",
            detail: "never".to_owned(),
        };
        assert!(matches!(after(1, refused).await, (Err(_), 1)));
    }
}
