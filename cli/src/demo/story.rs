//! The demonstration's story: which days there are, what is wrong with which, and how it shows.
//!
//! Comes in: the last day. Goes out: one [`Day`] per partition, with the planted faults. Nothing
//! here is drawn at random or read from a clock, so that two runs on one day tell one story.

use jiff::ToSpan;
use jiff::civil::Date;

/// Partitions of the story.
pub const DAYS: usize = 90;

/// What is wrong with a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Half of the rows did not arrive.
    HalfTheRows,
    /// Every sixth e-mail address is NULL.
    NullSpike,
    /// Amounts are in cents.
    TimesHundred,
    /// `discount` is called `discount_pct`.
    RenamedColumn,
    /// The folder never came.
    NeverCame,
    /// A file without a row.
    Empty,
    /// The file is cut off in its middle.
    Corrupt,
    /// The day is delivered again, with a tenth more rows, after it was judged.
    Rewritten,
}

impl Fault {
    /// One line for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::HalfTheRows => "half of the rows are gone",
            Self::NullSpike => "every sixth customer_email is NULL",
            Self::TimesHundred => "amount is in cents (×100)",
            Self::RenamedColumn => "column discount is renamed to discount_pct",
            Self::NeverCame => "the partition never came",
            Self::Empty => "the partition is empty",
            Self::Corrupt => "the file is cut off in its middle",
            Self::Rewritten => "delivered again after it was judged, with more rows",
        }
    }
}

/// The faults, by days before the last one.
const PLANTED: [(usize, Fault); 8] = [
    (34, Fault::HalfTheRows),
    (30, Fault::NullSpike),
    (26, Fault::TimesHundred),
    (22, Fault::RenamedColumn),
    (18, Fault::NeverCame),
    (14, Fault::Empty),
    (10, Fault::Corrupt),
    (5, Fault::Rewritten),
];

/// One day of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Its place, from 0.
    pub index: usize,
    /// The date.
    pub date: Date,
    /// What is wrong with it.
    pub fault: Option<Fault>,
    /// Rows of an average day.
    pub rows_per_day: u32,
}

impl Day {
    /// The rows that the shop sold: trend, weekly season, and the noise that `noise` (a standard
    /// normal) stands for.
    pub fn rows(&self, noise: f64) -> usize {
        let trend = 1.0 + 0.0015 * self.index as f64;
        // Monday to Sunday.
        let season = [0.92, 0.90, 0.94, 1.00, 1.16, 1.24, 0.84]
            [usize::from(self.date.weekday().to_monday_zero_offset().unsigned_abs())];
        let rows = f64::from(self.rows_per_day) / 1.067 * trend * season * (0.018 * noise).exp();
        rows.round() as usize
    }
}

/// The days that end with `last`, of so many rows on the average, oldest first.
pub fn days(last: Date, rows_per_day: u32) -> Vec<Day> {
    (0..DAYS)
        .map(|index| {
            let back = DAYS - 1 - index;
            Day {
                index,
                date: last - (back as i64).days(),
                fault: PLANTED
                    .iter()
                    .find(|(days, _)| *days == back)
                    .map(|(_, fault)| *fault),
                rows_per_day,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_planted_once_and_late_enough_to_be_judged() {
        let story = days(jiff::civil::date(2026, 11, 20), 56_000);
        assert_eq!(story.len(), DAYS);
        let faults: Vec<_> = story.iter().filter(|d| d.fault.is_some()).collect();
        assert_eq!(faults.len(), PLANTED.len());
        assert!(faults.iter().all(|d| d.index >= 40));
    }

    #[test]
    fn the_story_has_about_five_million_rows() {
        let rows: usize = days(jiff::civil::date(2026, 11, 20), 56_000)
            .iter()
            .map(|d| d.rows(0.0))
            .sum();
        assert!((4_800_000..5_400_000).contains(&rows), "{rows}");
    }
}
