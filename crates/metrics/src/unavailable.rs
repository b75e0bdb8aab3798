//! Why a value cannot be given although its state exists. Never replaced by a number.

use thiserror::Error;

/// The reason that a metric has no value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// The plan did not ask for this metric.
    #[error("not collected: the scan plan does not ask for it")]
    NotCollected,
    /// Some values were not looked at, or were looked at under another plan.
    #[error("incomplete: {}", of_values(*read, *expected))]
    Incomplete {
        /// Values that were read.
        read: u64,
        /// Values that there are.
        expected: u64,
    },
    /// The exact result does not fit its type.
    #[error("overflow: the exact result does not fit its type")]
    Overflow,
    /// The column holds values that are not numbers, and no declared type says to pass them over.
    #[error("not numeric: {nonnumeric} values are not numbers")]
    NotNumeric {
        /// How many values are not numbers.
        nonnumeric: u64,
    },
    /// The values have types without a common order (text in one file, dates in another).
    #[error("the column's values have types that do not compare: {kinds}")]
    MixedTypes {
        /// The kinds met.
        kinds: String,
    },
    /// More distinct keys than the memory bound allows.
    #[error("more than {limit} distinct keys: the memory bound; raise it or test fewer columns")]
    TooMany {
        /// The bound on distinct keys.
        limit: u64,
    },
    /// The state's parts contradict each other, as only damaged or forged bytes can.
    #[error("the state contradicts itself; scan the partition again")]
    Inconsistent,
}

fn of_values(read: u64, expected: u64) -> String {
    if read == expected {
        return "it cannot be told of values of such types, or so many digits".to_owned();
    }
    format!("{read} of {expected} values were read for it; scan the partition again")
}
