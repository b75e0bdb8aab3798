//! Why a query has no answer.
//!
//! Every message says what is wrong, where it is known to be, and what to do next. None repeats a
//! value of the data: a message is shown to more people than the data is.

use assay_scan::ScanError;
use thiserror::Error;

/// A place in the text of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The line, from 1.
    pub line: u64,
    /// The character in it, from 1.
    pub column: u64,
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, character {}", self.line, self.column)
    }
}

/// Why a query has no answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The text asks for something that no query may do.
    #[error("{}{what}; {next}", place(*.at))]
    Refused {
        /// Where.
        at: Option<At>,
        /// What is refused.
        what: String,
        /// What to write instead.
        next: String,
    },
    /// The text is no query over these tables.
    #[error("{}{what}; {next}", place(*.at))]
    Invalid {
        /// Where.
        at: Option<At>,
        /// What is wrong.
        what: String,
        /// What to write instead.
        next: String,
    },
    /// A value cannot be computed exactly, or not at all.
    #[error("{what}; {next}")]
    Value {
        /// Which.
        what: String,
        /// What to write instead.
        next: String,
    },
    /// The query gives something else than is wanted of it.
    #[error("{what}; {next}")]
    Shape {
        /// What it gives.
        what: String,
        /// What to write instead.
        next: String,
    },
    /// Rows cannot be read.
    #[error("{0}")]
    Scan(#[from] ScanError),
    /// It needs more memory than it may take.
    #[error(
        "it needs more than the {mib} MiB that a query may take ({what}); group or filter earlier, or raise the memory of a query"
    )]
    Memory {
        /// The limit, in MiB.
        mib: u64,
        /// What needed it.
        what: String,
    },
    /// It took too long.
    #[error(
        "it had not ended after {seconds} s, the longest that a query may take; filter earlier, join on an equality, or raise the time-out of the run"
    )]
    Time {
        /// The limit.
        seconds: u64,
    },
    /// The engine broke.
    #[error("the query engine broke ({0}); please report the query, and write it more simply")]
    Broke(String),
}

fn place(at: Option<At>) -> String {
    at.map_or_else(String::new, |at| format!("{at}: "))
}

impl QueryError {
    pub(crate) fn refused(
        at: Option<At>,
        what: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::Refused {
            at,
            what: what.into(),
            next: next.into(),
        }
    }

    pub(crate) fn shape(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Shape {
            what: what.into(),
            next: next.into(),
        }
    }

    /// Whether the same query over the same rows ends the same way.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        !matches!(self, Self::Time { .. } | Self::Scan(_))
    }
}
