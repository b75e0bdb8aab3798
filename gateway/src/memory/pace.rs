//! How many questions are worked at a time, by how long answers take.
//!
//! Comes in: what was answered, how long it took, how much of that was work here, whether somebody
//! waited for a place. Goes out: a number of places. It must never go below what it is told or above
//! what the store has connections for, and knows no clock.
//!
//! A store beside this process answers as fast as questions are made and answers drawn: one question
//! for each core keeps both at work, and leaves the core time for what is kept and for saying no. One
//! that is far away has more to do at a time before any of them waits for another one.
//!
//! More at a time help as long as each takes as long as before: whoever answers has room. Once they
//! take longer, more at a time answer no more, and each waits for the others. So one more place is
//! tried while questions wait, and given up when answers become slower; what failed is tried again
//! ever more seldom. This is congestion control by delay (as TCP Vegas does it), and as there nothing
//! is learned from places that are not used.

use std::collections::HashMap;
use std::time::Duration;

/// Answers by which it is decided.
const WINDOW: u32 = 32;
/// Answers that take so many times as long as they usually do say that there is no room.
const SLOWER: f64 = 1.25;
/// The share of the cores that questions may take before more of them are tried.
const WORK: f64 = 0.5;
/// Windows until more places are tried, once they were found too many; doubled each time.
const RESTS: u32 = 4;
/// The most of them.
const RESTS_MAX: u32 = 1024;
/// How many answers of a kind are usual.
const USUAL: u32 = 100;
/// By how much the least that was usual is forgotten with each answer: it doubles within 70,000. A
/// store that has become slower for good is known by minutes under load; faster, and places would
/// creep up, each of them a little slower than the one before.
const FORGOTTEN: f64 = 1.000_01;
/// Kinds of questions that are told apart. The program names them, not whoever asks.
const KINDS: usize = 64;

/// How long one kind of question takes, in seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Usual {
    answers: u32,
    lately: f64,
    least: f64,
}

impl Usual {
    /// How many times as long as usual this one took; `None` while too few are known.
    fn compare(&mut self, took: f64) -> Option<f64> {
        self.answers = (self.answers + 1).min(USUAL);
        self.lately += (took - self.lately) / f64::from(self.answers);
        if self.answers < WINDOW {
            return None;
        }
        self.least = match self.least > 0.0 {
            true => (self.least * FORGOTTEN).min(self.lately),
            false => self.lately,
        };
        Some(took / self.least)
    }
}

/// The number of places.
#[derive(Debug)]
pub struct Pace {
    least: usize,
    most: usize,
    places: usize,
    usual: HashMap<String, Usual>,
    /// The sum of how many times as long as usual answers took, and their number.
    window: (f64, u32),
    /// How long they took, and how much of it was work here, in seconds.
    times: (f64, f64),
    /// Of these, those after which somebody waited.
    wanted: u32,
    /// Whether the last decision was to try one more place.
    tries: bool,
    rests: u32,
    rest: u32,
}

impl Pace {
    /// From `least` to `most` places, for as many cores as the least; the least at first.
    pub fn new(least: usize, most: usize) -> Self {
        let least = least.max(1);
        Self {
            least,
            most: most.max(least),
            places: least,
            usual: HashMap::new(),
            window: (0.0, 0),
            times: (0.0, 0.0),
            wanted: 0,
            tries: false,
            rests: RESTS,
            rest: 0,
        }
    }

    /// How many places there are.
    pub const fn places(&self) -> usize {
        self.places
    }

    /// A question of this kind was answered; `work` is the time of it that was spent here, and
    /// `is_wanted`: others wait for its place.
    pub fn answered(&mut self, kind: &str, took: Duration, work: Duration, is_wanted: bool) {
        if !self.usual.contains_key(kind) {
            if self.usual.len() == KINDS {
                return;
            }
            self.usual.insert(kind.to_owned(), Usual::default());
        }
        let took = took.as_secs_f64().max(1e-6);
        let slower = self
            .usual
            .get_mut(kind)
            .and_then(|usual| usual.compare(took));
        let Some(slower) = slower else { return };
        self.times.0 += took;
        self.times.1 += work.as_secs_f64();
        self.window.0 += slower;
        self.window.1 += 1;
        self.wanted += u32::from(is_wanted);
        if self.window.1 == WINDOW {
            let slower = self.window.0 / f64::from(WINDOW);
            let is_wanted = self.wanted * 2 > WINDOW;
            let (took, work) = std::mem::take(&mut self.times);
            (self.window, self.wanted) = ((0.0, 0), 0);
            self.decide(slower, work / took, is_wanted);
        }
    }

    /// Whether the cores have time for one more, by the share of a question's time that is work here.
    fn has_time(&self, work: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a few places")]
        let (more, cores) = ((self.places + 1) as f64, self.least as f64);
        more * work <= cores * WORK
    }

    fn decide(&mut self, slower: f64, work: f64, is_wanted: bool) {
        let tried = std::mem::take(&mut self.tries);
        if slower > SLOWER {
            if self.places > self.least {
                self.places -= 1;
                self.rest = self.rests;
                self.rests = (self.rests * 2).min(RESTS_MAX);
            }
            return;
        }
        if tried {
            // It held.
            self.rests = RESTS;
        }
        if !is_wanted {
            // What helps is found again when there is load again.
            self.places = self.least.max(self.places - 1);
        } else if self.rest > 0 {
            self.rest -= 1;
        } else if self.places < self.most && self.has_time(work) {
            self.places += 1;
            self.tries = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of a store that works on so many at a time, each of which takes 10 ms, more or less;
    /// the sum of the places that there were over them.
    fn answers(pace: &mut Pace, at_once: f64, n: u32, is_wanted: bool) -> f64 {
        let mut seed = 17_u32;
        let mut places = 0.0;
        for _ in 0..n {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let more_or_less = 0.5 + f64::from(seed >> 16) / 65_536.0;
            #[expect(clippy::cast_precision_loss, reason = "a few places")]
            let at_work = if is_wanted { pace.places() as f64 } else { 1.0 };
            places += at_work;
            let took = 0.010 * more_or_less * (at_work / at_once).max(1.0);
            let took = Duration::from_secs_f64(took);
            pace.answered("points", took, Duration::from_millis(1), is_wanted);
        }
        places / f64::from(n)
    }

    #[test]
    fn places_follow_the_room_that_there_is() {
        let mut pace = Pace::new(2, 8);
        answers(&mut pace, 6.0, 3_000, true);
        let many = answers(&mut pace, 6.0, 3_000, true);
        assert!((6.0..=7.5).contains(&many), "{many}");
        // It becomes slower: a machine beside it works on something else.
        answers(&mut pace, 2.0, 3_000, true);
        let few = answers(&mut pace, 2.0, 3_000, true);
        assert!((2.0..=2.2).contains(&few), "{few}");
        // Nobody asks for more than one at a time.
        answers(&mut pace, 6.0, 3_000, false);
        assert_eq!(pace.places(), 2);
    }

    #[test]
    fn where_there_is_no_room_more_is_tried_seldom() {
        let mut pace = Pace::new(2, 8);
        let first = answers(&mut pace, 2.0, 2_000, true);
        let later = answers(&mut pace, 2.0, 20_000, true);
        assert!(first < 2.3 && later < 2.05, "{first} {later}");
    }

    #[test]
    fn a_slow_kind_of_question_is_no_slow_store() {
        let mut pace = Pace::new(2, 8);
        for n in 0..6_000_u64 {
            let (kind, ms) = if n % 5 == 0 {
                ("history", 200)
            } else {
                ("points", 5)
            };
            pace.answered(kind, Duration::from_millis(ms), Duration::ZERO, true);
        }
        assert_eq!(pace.places(), 8);
    }

    #[test]
    fn questions_leave_half_of_the_cores_to_others() {
        // A fifth of each is work here: two at a time take two fifths of a core, three more than half.
        let (took, work) = (Duration::from_millis(5), Duration::from_millis(1));
        let mut pace = Pace::new(1, 8);
        for _ in 0..6_000 {
            pace.answered("points", took, work, true);
        }
        assert_eq!(pace.places(), 2);
        let mut near = Pace::new(1, 8);
        for _ in 0..6_000 {
            near.answered("points", took, took / 3, true);
        }
        assert_eq!(near.places(), 1);
    }

    #[test]
    fn the_bounds_hold_whatever_comes() {
        let (mut pace, mut seed) = (Pace::new(3, 5), 1_u32);
        for n in 0..50_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let took = Duration::from_micros(u64::from(seed >> 12));
            pace.answered(
                &format!("kind {}", n % 200),
                took,
                took / 16,
                seed & 64 == 0,
            );
            assert!((3..=5).contains(&pace.places()));
            assert!(pace.usual.len() <= KINDS);
        }
        let mut one = Pace::new(0, 0);
        answers(&mut one, 1.0, 1_000, true);
        assert_eq!(one.places(), 1);
    }
}
