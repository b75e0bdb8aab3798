//! What follows from the end of an attempt: the task's next state and the pause before it.
//!
//! What comes in: the task's counters, how the attempt ended, a jitter. What goes out: the next
//! state. It must never look at anything else.

use assay_model::task::{AttemptOutcome, TaskState, WaitReason};

use crate::config::Config;

/// Why a task is given up that has had all its tries.
pub(crate) const SPENT: &str = "its retries are spent";

/// The counters of a task before the end of its attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub charged: u32,
    pub crashes: u32,
    /// Attempts that did not count, this one included.
    pub uncharged: u32,
    /// Retries that its run allows.
    pub retries: u32,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    pub state: TaskState,
    pub pause_ms: u64,
    pub wait: Option<WaitReason>,
    /// Why it is given up, where the outcome alone does not say.
    pub given_up: Option<&'static str>,
}

impl Next {
    const fn end(state: TaskState, given_up: Option<&'static str>) -> Self {
        Self {
            state,
            pause_ms: 0,
            wait: None,
            given_up,
        }
    }

    const fn again(pause_ms: u64, wait: WaitReason) -> Self {
        Self {
            state: TaskState::Ready,
            pause_ms,
            wait: Some(wait),
            given_up: None,
        }
    }
}

/// What follows for a task whose attempt ended with `outcome`.
///
/// Backoff of the k-th charged attempt: the base doubled k − 1 times, capped, times the jitter.
pub(crate) fn next(
    config: &Config,
    spent: Spent,
    outcome: AttemptOutcome,
    jitter_permille: u64,
) -> Next {
    use AttemptOutcome as O;
    let charged = spent.charged + u32::from(outcome.is_charged());
    let crashes = spent.crashes + u32::from(outcome == O::Crashed);
    match outcome {
        O::Ok => return Next::end(TaskState::Succeeded, None),
        O::Permanent => return Next::end(TaskState::Failed, None),
        O::Cancelled => return Next::end(TaskState::Cancelled, None),
        _ => {}
    }
    if crashes >= config.crashes_max {
        return Next::end(
            TaskState::Quarantined,
            Some("it crashed its process twice; look at its input, then retry the run"),
        );
    }
    if outcome.is_charged() {
        if charged > spent.retries {
            return Next::end(TaskState::Failed, Some(SPENT));
        }
        let (base, cap) = match outcome {
            O::NodeLost => (config.node_backoff_ms, config.task_backoff_max_ms),
            _ => (config.task_backoff_ms, config.task_backoff_max_ms),
        };
        let pause = jittered(doubled(base, charged, cap), jitter_permille);
        return Next::again(pause, WaitReason::Backoff);
    }
    if spent.uncharged > config.uncharged_max {
        return Next::end(
            TaskState::Failed,
            Some("it was interrupted too often through no fault of its own"),
        );
    }
    match outcome {
        O::DependencyDown => Next::again(0, WaitReason::DependencyDown),
        // Once or twice is a node that leaves. Again and again is one that takes nothing, and is still offered
        // it: without a pause, all its tries would be gone before anything can change.
        O::Drained if spent.uncharged <= 2 => Next::again(0, WaitReason::NoCapacity),
        O::Drained => {
            let k = spent.uncharged - 2;
            let pause = jittered(doubled(HANDED_BACK_MS, k, 10_000), jitter_permille);
            Next::again(pause, WaitReason::Backoff)
        }
        _ => {
            let k = spent.uncharged.max(1);
            let pause = jittered(doubled(config.node_backoff_ms, k, 10_000), jitter_permille);
            Next::again(pause, WaitReason::Backoff)
        }
    }
}

/// The first pause of what was handed back three times.
const HANDED_BACK_MS: u64 = 100;

/// `base` doubled `k` − 1 times, at most `cap`.
pub(crate) fn doubled(base: u64, k: u32, cap: u64) -> u64 {
    let factor = 1_u64.checked_shl(k.saturating_sub(1)).unwrap_or(u64::MAX);
    base.saturating_mul(factor).min(cap)
}

fn jittered(ms: u64, permille: u64) -> u64 {
    ms.saturating_mul(permille) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(charged: u32, crashes: u32, uncharged: u32) -> Spent {
        Spent {
            charged,
            crashes,
            uncharged,
            retries: 2,
        }
    }

    #[test]
    fn the_third_charged_attempt_is_the_last() {
        let config = Config::default();
        let end = |charged, outcome| next(&config, spent(charged, 0, 0), outcome, 1_000);
        assert_eq!(end(0, AttemptOutcome::Retryable).pause_ms, 5_000);
        assert_eq!(end(1, AttemptOutcome::TimedOut).pause_ms, 10_000);
        assert_eq!(end(2, AttemptOutcome::Retryable).state, TaskState::Failed);
        assert_eq!(end(0, AttemptOutcome::NodeLost).pause_ms, 500);
        assert_eq!(end(1, AttemptOutcome::NodeLost).pause_ms, 1_000);
        assert_eq!(end(2, AttemptOutcome::NodeLost).state, TaskState::Failed);
    }

    #[test]
    fn a_second_crash_quarantines_and_a_permanent_error_is_final() {
        let config = Config::default();
        let first = next(&config, spent(0, 0, 0), AttemptOutcome::Crashed, 1_000);
        assert_eq!(first.state, TaskState::Ready);
        let second = next(&config, spent(1, 1, 0), AttemptOutcome::Crashed, 1_000);
        assert_eq!(second.state, TaskState::Quarantined);
        let bad = next(&config, spent(0, 0, 0), AttemptOutcome::Permanent, 1_000);
        assert_eq!(bad.state, TaskState::Failed);
    }

    #[test]
    fn uncharged_attempts_are_bounded_too() {
        let config = Config::default();
        for outcome in [
            AttemptOutcome::Drained,
            AttemptOutcome::Orphaned,
            AttemptOutcome::DispatchLost,
            AttemptOutcome::DependencyDown,
        ] {
            let last = next(&config, spent(2, 1, 20), outcome, 1_000);
            assert_eq!(last.state, TaskState::Ready, "{outcome}");
            let over = next(&config, spent(2, 1, 21), outcome, 1_000);
            assert_eq!(over.state, TaskState::Failed, "{outcome}");
        }
    }

    #[test]
    fn what_is_handed_back_again_and_again_waits_longer_each_time() {
        let config = Config::default();
        let pause = |uncharged| {
            let spent = spent(0, 0, uncharged);
            next(&config, spent, AttemptOutcome::Drained, 1_000).pause_ms
        };
        assert_eq!((1..=4).map(pause).collect::<Vec<_>>(), [0, 0, 100, 200]);
        let longest: u64 = (1..=config.uncharged_max).map(pause).sum();
        assert!(longest >= 60_000, "{longest} ms until it is given up");
    }

    #[test]
    fn a_pause_grows_to_its_cap_and_never_overflows() {
        assert_eq!(doubled(5_000, 1, 300_000), 5_000);
        assert_eq!(doubled(5_000, 7, 300_000), 300_000);
        assert_eq!(doubled(5_000, 200, 300_000), 300_000);
    }
}
