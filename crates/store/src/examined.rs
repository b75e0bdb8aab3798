//! Stores whose rows can be examined behind the ports.
//!
//! Comes in: a query of ours in the dialect of the store. Goes out: texts. It must never write.

use async_trait::async_trait;

use crate::dump::Part;
use crate::error::StoreError;
use crate::invariants::Questions;

/// The SQL that a store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// Postgres'.
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Dialect {
    pub(crate) const fn questions(self) -> &'static Questions {
        match self {
            Self::Sqlite => &crate::invariants::SQLITE,
            #[cfg(feature = "postgres")]
            Self::Postgres => &crate::invariants::postgres::QUESTIONS,
        }
    }

    pub(crate) const fn parts(self) -> &'static [Part] {
        match self {
            Self::Sqlite => crate::dump::SQLITE,
            #[cfg(feature = "postgres")]
            Self::Postgres => crate::dump::postgres::PARTS,
        }
    }
}

/// A store that [invariants](crate::invariants::check_invariants) and a
/// [dump](crate::dump::dump_final) can be read from.
#[async_trait]
pub trait Examined: Sync {
    /// The SQL that it speaks.
    fn dialect(&self) -> Dialect;

    /// The first column of every row of `query`, as text.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn texts(&self, query: &'static str) -> Result<Vec<String>, StoreError>;
}
