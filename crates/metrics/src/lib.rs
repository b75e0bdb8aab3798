//! Mergeable metric states: exact sums, moments, sketches, with a versioned encoding.
//!
//! A batch of a table yields a [`TableState`]; states merge; the merged state yields values. Every
//! number is independent of the order of batches, of how many there were, and of retries: merging
//! is associative and commutative bit for bit, with `default()` as its identity, and equal states
//! encode to equal bytes. The crate is pure and knows no file format: it takes scalars and slices.
//!
//! # For the author of a scan
//!
//! ```
//! use assay_metrics::{ColumnPlan, KeyBuilder, KeyPlan, TablePlan, TableState, Wants};
//!
//! let plan = TablePlan {
//!     columns: vec![ColumnPlan {
//!         name: "amount".into(),
//!         wants: Wants { sum: true, moments: true, range: true, ..Wants::default() },
//!         rules: vec![],
//!     }],
//!     keys: vec![KeyPlan { id: "pk".into(), columns: vec!["id".into(), "day".into()] }],
//!     ..TablePlan::default()
//! };
//! let mut state = TableState::new(&plan); // once per task, not per batch
//! state.rows += 4;
//! let column = state.columns.entry("amount".into()).or_default();
//! column.add_rows(4, 1); // four rows, one of them NULL
//! column.add_floats(&[1e16, 1.0, -1e16]); // the values that are not NULL
//! let mut key = KeyBuilder::default();
//! let pk = state.keys.get_mut("pk").unwrap();
//! for (id, day) in [(1, 20_000), (2, 20_000), (1, 20_001), (1, 20_000)] {
//!     pk.insert_key(key.int(id).date(day).finish());
//! }
//!
//! let bytes = state.encode();
//! let mut whole = TableState::default();
//! whole.merge(&TableState::decode(&bytes).unwrap());
//! let amount = &whole.columns["amount"];
//! assert_eq!(amount.mean().unwrap().unwrap().value, 1.0 / 3.0);
//! assert_eq!(whole.key("pk").unwrap().duplicates, 1);
//! ```
//!
//! - One feeder per type on [`ColumnState`]: `add_ints`, `add_unsigned`, `add_decimals`,
//!   `add_decimal_256`, `add_floats`, `add_text`, `add_binary`, `add_field` (CSV, NDJSON),
//!   `add_bools`, `add_dates`, `add_times_of_day`, `add_timestamps`, `add_others`; the `…_times`
//!   forms take a value of a dictionary with its number of rows. They feed every component that the
//!   plan switched on.
//! - A file that answers from its footer gives [`ColumnState::counts_only`]. Whatever needed the
//!   values is then [`Unavailable::Incomplete`] instead of a number over fewer rows.
//! - Every getter gives a value, `None` (there is nothing to sum, average or compare), or the
//!   reason why there is none. No getter gives 0 for "unknown".
//! - Rules and keys count every row shown to them (`RuleCount::rows`, `Uniqueness::add_nulls`), so
//!   that a batch which skipped one is found out.

mod answer;
mod codec;
mod column;
mod counts;
mod decimal_sum;
mod distinct;
mod exact;
mod feed;
mod float_sum;
pub mod hash;
mod hll;
mod int_sum;
mod moments;
mod plan;
mod pushed;
mod quantiles;
mod range;
mod schema;
mod slot;
mod squares;
mod table;
mod unavailable;
mod uniqueness;

pub use answer::{ANSWERED_TWICE, Answer, AnswerValue};
pub use codec::{DecodeError, State};
pub use column::{ColumnState, Kind, Partial};
pub use counts::{Counts, Extent, Lengths, RuleCount, RuleCounts, chars};
pub use decimal_sum::{DecimalSum, decimal_text};
pub use distinct::{DEFAULT_DISTINCT_LIMIT, Distinct};
pub use feed::Number;
pub use float_sum::FloatSum;
pub use hash::KeyBuilder;
pub use hll::HLL_STANDARD_ERROR;
pub use int_sum::IntSum;
pub use moments::{Squares, SumValue, Sums};
pub use num_bigint::BigInt;
pub use plan::{ColumnPlan, KeyPlan, RulePlan, RuleTest, TablePlan, Wants};
pub use pushed::{Extreme, Pushed};
pub use quantiles::{QUANTILE_ERROR_BOUND, Quantiles};
pub use range::{Range, Scalar, TEXT_LIMIT, TextBound};
pub use schema::{ColumnShape, Schema};
pub use slot::Slot;
pub use squares::{DecimalSquares, FloatSquares, IntSquares};
pub use table::{ENCODING_VERSION, TableState};
pub use unavailable::Unavailable;
pub use uniqueness::{DEFAULT_UNIQUENESS_LIMIT, KeyCounts, Uniqueness};
