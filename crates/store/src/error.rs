//! How a store says no: with what to do next, and whether anything may have happened.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The leader's epoch has been superseded: step down.
    #[error("a newer leader has taken over (epoch {epoch} is fenced)")]
    FencedEpoch {
        /// The epoch that was refused.
        epoch: u64,
    },
    /// Certainly not applied; the same call may be repeated.
    #[error("the store is not reachable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// May or may not have been applied: reload before deciding anything.
    #[error("the store did not confirm the write: {0}")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk or database is full: certainly not applied.
    #[error("the store at {place} is full: free some space there")]
    Full {
        /// Where the store is.
        place: String,
    },
    /// A stored row cannot be read: wrong version of the program, or damage.
    #[error(
        "a stored {what} cannot be read ({detail}); it was written by another version, or damaged"
    )]
    Corrupt {
        /// What kind of row.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// What was to be written contradicts itself or what is stored: nothing was written, and a
    /// repeat is refused again.
    #[error("the store refuses a {what} ({detail}); this is a defect of the program, report it")]
    Refused {
        /// What kind of thing.
        what: &'static str,
        /// What it contradicts.
        detail: String,
    },
    /// What was asked for does not exist.
    #[error("no {what} `{name}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The store could not be opened.
    #[error("cannot open the store at {place}: {detail}")]
    Open {
        /// Where the store is.
        place: String,
        /// What went wrong and what to do.
        detail: String,
    },
}

impl StoreError {
    /// Whether it is certain that nothing was written.
    #[must_use]
    pub const fn is_certainly_not_applied(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Unknown(_) | Self::Full { .. }
        )
    }
}
