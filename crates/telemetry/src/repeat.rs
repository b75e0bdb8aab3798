//! Messages of what fails again and again.
//!
//! Comes in: each failure. Goes out: whether it is worth a line: the first one is, and then one in
//! [`EVERY`], which says how many there were. It must never keep the first one back.

use std::fmt;
use std::time::{Duration, Instant};

/// Between two lines about the same.
pub const EVERY: Duration = Duration::from_secs(10);

/// What has been failing.
#[derive(Debug, Default)]
pub struct Repeat {
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    told: Instant,
    times: u64,
}

/// A failure that is worth a line; shown, it ends the line: nothing for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// How often it has failed.
    pub times: u64,
    /// Since the first time.
    pub lasts: Duration,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.times {
            1 => Ok(()),
            times => write!(f, " ({times} times in {} s)", self.lasts.as_secs()),
        }
    }
}

impl Repeat {
    /// Notes a failure; tells whether it is worth a line.
    pub fn fails(&mut self) -> Option<Told> {
        self.fails_at(Instant::now())
    }

    fn fails_at(&mut self, now: Instant) -> Option<Told> {
        let Some(failing) = &mut self.failing else {
            self.failing = Some(Failing {
                since: now,
                told: now,
                times: 1,
            });
            return Some(Told {
                times: 1,
                lasts: Duration::ZERO,
            });
        };
        failing.times += 1;
        let due = now.saturating_duration_since(failing.told) >= EVERY;
        due.then(|| {
            failing.told = now;
            Told {
                times: failing.times,
                lasts: now.saturating_duration_since(failing.since),
            }
        })
    }

    /// It works again: the next failure is a first one.
    pub fn ends(&mut self) {
        self.failing = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_and_then_one_in_ten_seconds_with_their_number() {
        let (mut repeat, start) = (Repeat::default(), Instant::now());
        let told: Vec<String> = (0..60)
            .filter_map(|half| repeat.fails_at(start + Duration::from_millis(500 * half)))
            .map(|told| told.to_string())
            .collect();
        assert_eq!(told, ["", " (21 times in 10 s)", " (41 times in 20 s)"]);
        repeat.ends();
        let anew = repeat.fails_at(start + Duration::from_secs(31));
        assert_eq!(anew.map(|told| told.times), Some(1));
    }
}
