//! Limits learned from history and the evaluation of checks against them.
//!
//! What comes in: the earlier values of each metric of a dataset, the values of one partition, and
//! the checks. What goes out: limits, one outcome per check, and what a rule would have alerted
//! on in the past. It must never read a clock, draw a random number, do I/O of its own, or look at
//! the judged value while it learns the limits that the value is held against.

pub mod backtest;
mod calendar;
mod choice;
pub mod compare;
pub mod evaluate;
pub mod exact;
mod explain;
mod fit;
mod follow;
mod learner;
mod middles;
mod predict;
mod regimes;
mod scale;
pub mod schema;
pub mod series;
pub mod series_file;
pub mod suspect;
#[cfg(test)]
mod twin;
mod width;
mod words;

pub use backtest::{Alert, backtest};
pub use evaluate::{Context, History, PartitionJudgement, evaluate};
pub use learner::{MODEL_VERSION, judge_partition, judge_series};
pub use series::{Learned, Limits, Point, Policy, SeriesInput, SeriesKind};
pub use suspect::makes_suspect;
pub use words::in_words;
