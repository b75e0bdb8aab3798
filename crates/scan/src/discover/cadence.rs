//! How often partitions come, and which are expected.
//!
//! In: the wall-clock beginnings of the partitions of one series. Out: the rhythm that they keep
//! (declared, or learned when at least four in five expected ones are there over a long enough
//! time, or else between long gaps), and the beginnings that the rhythm expects in a range. A
//! rhythm is never guessed from a handful of keys: a feed of working days must not look daily
//! before its first weekend.

use assay_model::dataset::Cadence;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use super::value::Unit;

/// The share of expected partitions that must be there for a rhythm to be believed.
const REGULAR: f64 = 0.8;

/// A step longer than so many usual ones is a gap, and not the rhythm.
const GAP: i64 = 4;
/// A rhythm that is learned between gaps is believed when at most so many partitions are expected
/// for one that is there: what comes in one season only is not missing in the others.
const GAPS_MAX: usize = 3;

/// When partitions are expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    step: Unit,
    /// For a daily rhythm, the weekdays that have partitions, from Monday.
    weekdays: [bool; 7],
}

impl Rhythm {
    /// The rhythm that a definition declares, for keys of `unit`; keys that are longer than the
    /// cadence keep their own length.
    #[must_use]
    pub fn declared(cadence: Cadence, unit: Unit) -> Self {
        let step = match cadence {
            Cadence::Hourly => Unit::Hour,
            Cadence::Daily => Unit::Day,
            Cadence::Weekly => Unit::Week,
            Cadence::Monthly => Unit::Month,
        };
        Self::every(step.max(unit))
    }

    /// One partition per `step`.
    #[must_use]
    pub const fn every(step: Unit) -> Self {
        Self {
            step,
            weekdays: [true; 7],
        }
    }

    /// The rhythm that `starts` (sorted, without duplicates) keep, if they keep one.
    #[must_use]
    pub fn learned(starts: &[DateTime], unit: Unit) -> Option<Self> {
        Self::of_run(starts, unit).or_else(|| Self::between_gaps(starts, unit))
    }

    /// The rhythm that nearly all partitions keep in runs between gaps: an outage, however long,
    /// does not make a feed irregular.
    fn between_gaps(starts: &[DateTime], unit: Unit) -> Option<Self> {
        let mut rhythms = runs(starts)
            .into_iter()
            .filter_map(|run| Self::of_run(run, unit));
        let rhythm = rhythms.next()?;
        if rhythms.any(|other| other != rhythm) {
            return None;
        }
        let expected: Vec<DateTime> = rhythm.expected(*starts.first()?, *starts.last()?).collect();
        let kept = starts
            .iter()
            .filter(|at| expected.binary_search(at).is_ok());
        let regular = kept.count() as f64 >= REGULAR * starts.len() as f64;
        (regular && expected.len() <= GAPS_MAX * starts.len()).then_some(rhythm)
    }

    fn of_run(starts: &[DateTime], unit: Unit) -> Option<Self> {
        let (first, last) = (*starts.first()?, *starts.last()?);
        let regular = |rhythm: Self, least: usize| {
            let expected = rhythm.expected(first, last).count();
            let share = starts.len() as f64 / expected.max(1) as f64;
            (starts.len() >= least && (REGULAR..=1.0).contains(&share)).then_some(rhythm)
        };
        match unit {
            Unit::Hour => regular(Self::every(Unit::Hour), 48),
            Unit::Day => Self::of_days(starts, first.date(), last.date())
                .or_else(|| regular(Self::every(Unit::Week), 4).filter(|_| same_weekday(starts)))
                .or_else(|| regular(Self::every(Unit::Month), 4).filter(|_| same_day(starts))),
            Unit::Week => regular(Self::every(Unit::Week), 4),
            Unit::Month => regular(Self::every(Unit::Month), 4),
            Unit::Year => regular(Self::every(Unit::Year), 4),
        }
    }

    /// Days: each weekday either has nearly always a partition or nearly never.
    fn of_days(starts: &[DateTime], first: Date, last: Date) -> Option<Self> {
        let days = first.until(last).ok()?.get_days() + 1;
        if days < 14 {
            return None;
        }
        let (mut there, mut could) = ([0u32; 7], [0u32; 7]);
        let place = |date: Date| usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
        for start in starts {
            there[place(start.date())] += 1;
        }
        for date in first
            .series(1.day())
            .take(usize::try_from(days).unwrap_or(0))
        {
            could[place(date)] += 1;
        }
        let mut weekdays = [false; 7];
        for day in 0..7 {
            let share = f64::from(there[day]) / f64::from(could[day].max(1));
            // A few weeks have few of each weekday: one hole must not make a day irregular.
            weekdays[day] = share >= 0.5;
            if share > 1.0 - REGULAR && share < 0.5 {
                return None;
            }
        }
        // One weekday alone is a weekly rhythm and needs more weeks to be told.
        let rhythm = Self {
            step: Unit::Day,
            weekdays,
        };
        let expected = rhythm
            .expected(first.at(0, 0, 0, 0), last.at(0, 0, 0, 0))
            .count();
        let regular = starts.len() as f64 >= REGULAR * expected as f64;
        (regular && weekdays.iter().filter(|on| **on).count() > 1).then_some(rhythm)
    }

    /// The beginnings that are expected from `first` up to `last`, both included.
    pub fn expected(self, first: DateTime, last: DateTime) -> impl Iterator<Item = DateTime> {
        let step = move |i: i64| match self.step {
            Unit::Hour => first.checked_add(i.hours()),
            Unit::Day => first.checked_add(i.days()),
            Unit::Week => first.checked_add(i.weeks()),
            Unit::Month => first.checked_add(i.months()),
            Unit::Year => first.checked_add(i.years()),
        };
        // The index is bounded well below the range of a span's units.
        (0..4_000_000i64)
            .map_while(move |i| step(i).ok().filter(|at| *at <= last))
            .filter(move |at| {
                let day = usize::from(at.weekday().to_monday_zero_offset().unsigned_abs());
                self.step != Unit::Day || self.weekdays[day]
            })
    }

    /// How long a step is, roughly, in seconds.
    #[must_use]
    pub const fn period_s(self) -> i64 {
        match self.step {
            Unit::Hour => 3600,
            Unit::Day => 86_400,
            Unit::Week => 7 * 86_400,
            Unit::Month => 31 * 86_400,
            Unit::Year => 366 * 86_400,
        }
    }
}

/// The runs of `starts` (sorted, without duplicates) between gaps.
#[must_use]
pub fn runs(starts: &[DateTime]) -> Vec<&[DateTime]> {
    let step = |a: &DateTime, b: &DateTime| b.duration_since(*a).as_secs();
    let mut steps: Vec<i64> = starts.windows(2).map(|w| step(&w[0], &w[1])).collect();
    steps.sort_unstable();
    let Some(usual) = steps.get(steps.len().saturating_sub(1) / 2).copied() else {
        return vec![starts];
    };
    let together = |a: &DateTime, b: &DateTime| step(a, b) <= GAP * usual;
    starts.chunk_by(together).collect()
}

fn same_weekday(starts: &[DateTime]) -> bool {
    starts
        .windows(2)
        .all(|pair| pair[0].weekday() == pair[1].weekday())
}

fn same_day(starts: &[DateTime]) -> bool {
    starts.windows(2).all(|pair| pair[0].day() == pair[1].day())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn days(count: usize, wanted: impl Fn(Date) -> bool) -> Vec<DateTime> {
        let all = date(2024, 1, 1).series(1.day()).take(count);
        all.filter(|d| wanted(*d))
            .map(|d| d.at(0, 0, 0, 0))
            .collect()
    }

    #[test]
    fn working_days_are_learned_as_such_and_five_days_are_not_enough() {
        let working = |d: Date| d.weekday().to_monday_zero_offset() < 5;
        let starts = days(60, working);
        let rhythm = Rhythm::learned(&starts, Unit::Day).unwrap();
        let expected: Vec<_> = rhythm
            .expected(starts[0], starts[starts.len() - 1])
            .collect();
        assert_eq!(expected, starts);
        assert_eq!(Rhythm::learned(&days(5, |_| true), Unit::Day), None);
    }

    #[test]
    fn a_daily_feed_with_a_few_holes_is_daily_and_a_random_one_is_nothing() {
        let starts = days(40, |d| d.day() != 9);
        assert_eq!(
            Rhythm::learned(&starts, Unit::Day),
            Some(Rhythm::every(Unit::Day))
        );
        let starts = days(90, |d| {
            (i32::from(d.day()) * 7 + i32::from(d.month())) % 3 == 0
        });
        assert_eq!(Rhythm::learned(&starts, Unit::Day), None);
    }

    #[test]
    fn a_daily_feed_with_a_long_outage_is_daily_and_a_season_is_nothing() {
        let daily = Some(Rhythm::every(Unit::Day));
        let outage =
            |from: i32, to: i32| move |d: Date| !(from..=to).contains(&i32::from(d.day_of_year()));
        assert_eq!(Rhythm::learned(&days(52, outage(21, 51)), Unit::Day), daily);
        assert_eq!(Rhythm::learned(&days(90, outage(31, 60)), Unit::Day), daily);
        assert_eq!(
            Rhythm::learned(&days(390, outage(25, 366)), Unit::Day),
            None
        );
        let working = |d: Date| d.weekday().to_monday_zero_offset() < 5 && outage(29, 70)(d);
        let learned = Rhythm::learned(&days(98, working), Unit::Day);
        assert!(learned.is_some() && learned != daily, "{learned:?}");
    }

    #[test]
    fn weekly_and_monthly_days_are_told_from_daily_ones() {
        let weekly = days(70, |d| d.weekday().to_monday_zero_offset() == 2);
        assert_eq!(
            Rhythm::learned(&weekly, Unit::Day),
            Some(Rhythm::every(Unit::Week))
        );
        let monthly = days(300, |d| d.day() == 1);
        assert_eq!(
            Rhythm::learned(&monthly, Unit::Day),
            Some(Rhythm::every(Unit::Month))
        );
    }
}
