//! How much a store holds, as it says itself.
//!
//! Comes in: a question of an operator. Goes out: bytes, and rows by table. It must never read a table
//! to its end for that: rows are counted up to a bound, and what goes beyond says so.

use async_trait::async_trait;

use crate::error::StoreError;

/// Rows of a table that are counted, at most.
pub const COUNTED: u64 = 100_000;

/// How many rows a table has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    /// The table.
    pub table: String,
    /// Rows, at most [`COUNTED`].
    pub rows: u64,
    /// Whether there are more than were counted.
    pub more: bool,
}

impl TableRows {
    /// A table of which `counted` rows were seen, when it was looked for one more than the bound.
    pub(crate) fn of(table: String, counted: u64) -> Self {
        Self {
            table,
            rows: counted.min(COUNTED),
            more: counted > COUNTED,
        }
    }
}

/// How much a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSize {
    /// Bytes of its tables with their indexes.
    pub bytes: u64,
    /// Bytes among them that are free to be written again, where the store knows.
    pub free_bytes: Option<u64>,
    /// The tables that grow, those of runs first.
    pub tables: Vec<TableRows>,
}

/// A store that says how much it holds.
#[async_trait]
pub trait Size: Send + Sync {
    /// How much there is now.
    async fn size(&self) -> Result<StoreSize, StoreError>;
}

macro_rules! counted {
    ($first:literal $(, $table:literal)*) => {
        concat!(
            "SELECT '", $first, "' AS name, ",
            "(SELECT count(*) FROM (SELECT 1 FROM ", $first, " LIMIT 100001) t) AS rows",
            $(
                " UNION ALL SELECT '", $table, "', ",
                "(SELECT count(*) FROM (SELECT 1 FROM ", $table, " LIMIT 100001) t)",
            )*
        )
    };
}

/// The tables that grow with what is done, and one row more than is told of each: in both dialects.
pub(crate) const ROWS: &str = counted!(
    "run",
    "task",
    "task_attempt",
    "event",
    "ledger",
    "metric",
    "verdict",
    "check_result",
    "incident",
    "delivery",
    "audit_log"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_reached_its_bound_says_that_there_is_more() {
        assert!(ROWS.contains(&format!("LIMIT {})", COUNTED + 1)));
        let all = TableRows::of("run".to_owned(), COUNTED);
        assert_eq!((all.rows, all.more), (COUNTED, false));
        let more = TableRows::of("run".to_owned(), COUNTED + 1);
        assert_eq!((more.rows, more.more), (COUNTED, true));
    }
}
