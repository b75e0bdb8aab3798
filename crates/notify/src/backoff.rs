//! When a message that was not taken is tried again.
//!
//! Comes in: how many attempts there were, a jitter, what the receiver said. Goes out: the next
//! moment, or that it is given up. Pure.

use jiff::{SignedDuration, Timestamp};

/// The first pause.
pub const FIRST: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(6);
/// Attempts before a message is given up: about a day and a half.
pub const ATTEMPTS: u32 = 20;

/// When attempt `attempt` (from 1) that ended at `now` is followed by another; `None` when it was
/// the last. `jitter_permille` draws the pause between half and three halves of its length;
/// `asked` is the pause that the receiver asked for.
#[must_use]
pub fn next(
    attempt: u32,
    jitter_permille: u64,
    asked: Option<SignedDuration>,
    now: Timestamp,
) -> Option<Timestamp> {
    if attempt >= ATTEMPTS {
        return None;
    }
    let doublings = attempt.saturating_sub(1).min(30);
    let plain = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let permille = i32::try_from(500 + jitter_permille % 1_001).unwrap_or(1_000);
    let drawn = plain.saturating_mul(permille) / 1_000;
    let pause = drawn.max(asked.unwrap_or_default()).min(LONGEST);
    now.checked_add(pause).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(attempt: u32, jitter: u64, asked: Option<SignedDuration>) -> Option<SignedDuration> {
        let now = Timestamp::UNIX_EPOCH;
        next(attempt, jitter, asked, now).map(|at| at.duration_since(now))
    }

    #[test]
    fn pauses_double_from_a_second_to_six_hours_and_then_end() {
        let middle = |attempt| pause(attempt, 500, None);
        assert_eq!(middle(1), Some(SignedDuration::from_secs(1)));
        assert_eq!(middle(5), Some(SignedDuration::from_secs(16)));
        assert_eq!(middle(16), Some(LONGEST));
        assert_eq!(middle(ATTEMPTS - 1), Some(LONGEST));
        assert_eq!(middle(ATTEMPTS), None);
        assert_eq!(middle(u32::MAX), None);
    }

    #[test]
    fn the_jitter_is_half_of_it_and_no_pause_is_longer_than_the_longest() {
        for jitter in [0, 1, 999, 1_000, u64::MAX] {
            let drawn = pause(4, jitter, None).unwrap();
            assert!(drawn >= SignedDuration::from_secs(4), "{drawn}");
            assert!(drawn <= SignedDuration::from_secs(12), "{drawn}");
            assert!(pause(19, jitter, None).unwrap() <= LONGEST);
        }
    }

    #[test]
    fn a_receiver_that_asks_for_more_time_gets_it_within_bounds() {
        let asked = Some(SignedDuration::from_secs(90));
        assert_eq!(pause(1, 0, asked), asked);
        assert_eq!(
            pause(1, 0, Some(SignedDuration::from_hours(90))),
            Some(LONGEST)
        );
    }
}
