//! Which earlier partition is the same weekday's.
//!
//! In: the days of partitions. Out: the median of the same weekday in the weeks before. It must
//! never use the value at the asked position or a later one.

use jiff::civil::Date;

use crate::predict::median_of_eight;
use crate::series::Point;

const WEEK: i32 = 7;
const WEEKS: usize = 8;
/// A calendar longer than this many days is not searched for a season.
const SPAN_MAX: i32 = 20_000;

/// The calendar that the series of a partition share; made anew when one has other days.
#[derive(Default)]
pub(crate) struct Days {
    dates: Vec<Option<Date>>,
    calendar: Option<Calendar>,
}

impl Days {
    /// The calendar of these points and the judged day after them.
    pub(crate) fn of(&mut self, points: &[Point], judged: Option<Date>) -> &Calendar {
        let known = self.dates.len() == points.len() + 1
            && self.dates.last() == Some(&judged)
            && points.iter().zip(&self.dates).all(|(p, d)| p.date == *d);
        if !known {
            self.dates.clear();
            self.dates.extend(points.iter().map(|p| p.date));
            self.dates.push(judged);
            self.calendar = None;
        }
        self.calendar.get_or_insert_with(|| {
            let days: Vec<Option<i32>> = self.dates.iter().map(|d| d.map(day_number)).collect();
            Calendar::new(&days)
        })
    }
}

/// Days since 1970-01-01.
fn day_number(date: Date) -> i32 {
    (date - jiff::civil::date(1970, 1, 1)).get_days()
}

/// Where each day of a daily calendar is found; empty when the partitions are not daily.
pub(crate) struct Calendar {
    first: i32,
    position: Vec<u32>,
    days: Vec<i32>,
    /// Whether each partition is of the day after the one before.
    every_day: bool,
}

impl Calendar {
    /// The calendar of partitions at these days (in order; `None` where undated).
    pub(crate) fn new(days: &[Option<i32>]) -> Self {
        let none = Self {
            first: 0,
            position: Vec::new(),
            days: Vec::new(),
            every_day: false,
        };
        let Some(days) = days.iter().copied().collect::<Option<Vec<i32>>>() else {
            return none;
        };
        let mut gaps: Vec<i32> = days.windows(2).map(|w| w[1].saturating_sub(w[0])).collect();
        let middle = gaps.len() / 2;
        if gaps.is_empty() || *gaps.select_nth_unstable(middle).1 != 1 {
            return none;
        }
        let (Some(&first), Some(&last)) = (days.iter().min(), days.iter().max()) else {
            return none;
        };
        if last.saturating_sub(first) > SPAN_MAX {
            return none;
        }
        let mut position = vec![u32::MAX; usize::try_from(last - first).unwrap_or(0) + 1];
        for (at, day) in days.iter().enumerate() {
            let slot = usize::try_from(day - first).unwrap_or(0);
            position[slot] = u32::try_from(at).unwrap_or(u32::MAX);
        }
        Self {
            first,
            position,
            every_day: days.windows(2).all(|w| w[0].checked_add(1) == Some(w[1])),
            days,
        }
    }

    /// Whether no day is missing and none is there twice: a week is seven positions.
    pub(crate) fn has_every_day(&self) -> bool {
        self.every_day
    }

    pub(crate) fn is_daily(&self) -> bool {
        !self.position.is_empty()
    }

    /// The median of the same weekday in the eight weeks before position `at`.
    pub(crate) fn weekday_median(&self, values: &[f64], at: usize) -> f64 {
        let mut same = [f64::INFINITY; WEEKS];
        let mut n = 0;
        let mut day = self.days[at] - WEEK;
        for _ in 0..WEEKS {
            let Ok(slot) = usize::try_from(day - self.first) else {
                break;
            };
            let found = self.position[slot] as usize;
            if found < at && !values[found].is_nan() {
                same[n] = values[found];
                n += 1;
            }
            day -= WEEK;
        }
        if n < 3 {
            f64::NAN
        } else {
            median_of_eight(same, n)
        }
    }
}
