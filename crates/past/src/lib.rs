//! The past of a dataset as limits are learned from it.
//!
//! Comes in: the stored history of a series of partitions, the verdicts and broken checks on
//! record, and what people answered back. Goes out: the training set of a judged partition, the
//! checks that are due for it, and a backtest of what would have been alerted on before and after
//! an answer. It must never read a clock, do I/O, let a partition or a later one into its own
//! training set, or let a value teach that a broken check makes suspect and nobody has answered for.
//!
//! [`known`] is what comes in, [`answers`] what people said, [`teaches`] which values teach,
//! [`mod@line`] the histories that follow, [`numbers`] their values, [`checks`] and [`shape`] what
//! the judged partition is held against, [`types`] which types of a source a declared one stands
//! for, [`mod@backtest`] the judging of the past again, [`ask`] how an answer is made of what
//! somebody typed, [`words`] how all that is told.

pub mod answers;
pub mod ask;
pub mod backtest;
pub mod book;
pub mod checks;
pub mod known;
pub mod line;
pub mod numbers;
pub mod shape;
pub mod teaches;
pub mod types;
pub mod words;

pub use answers::Answers;
pub use ask::{Draft, Misfit};
pub use backtest::{Change, backtest};
pub use book::{Book, Stored};
pub use known::Known;
pub use line::Line;
pub use numbers::Numbers;
pub use teaches::{Lesson, Teaches};
