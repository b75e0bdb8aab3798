//! The port of those who are told when runs move.
//!
//! Comes in: the name of a listener, and how far it has been told. Goes out: the moves after that, in
//! the order in which they were written. The log of events is the outbox: a move and its line are one
//! transaction. It must never leave out a move, or let a leader that was deposed say that one was told.

use assay_model::ids::{Epoch, RunId};
use assay_model::run::RunState;
use async_trait::async_trait;
use jiff::Timestamp;

use crate::error::StoreError;

/// A run that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMove {
    /// Its place among all events.
    pub seq: u64,
    /// The run.
    pub run: RunId,
    /// The state that it moved to; `queued` of one that is tried again.
    pub state: RunState,
    /// When.
    pub at: Timestamp,
}

/// Who is told of moves.
#[async_trait]
pub trait Moves: Send + Sync {
    /// How far `listener` has been told; one that is new begins with what moves from here on.
    ///
    /// # Errors
    /// [`StoreError::FencedEpoch`].
    async fn begin_telling(&self, epoch: Epoch, listener: &str) -> Result<u64, StoreError>;

    /// The moves after `seq`, oldest first, at most `limit`.
    async fn moves_after(&self, seq: u64, limit: u32) -> Result<Vec<RunMove>, StoreError>;

    /// `listener` was told of all up to `seq`; it never goes back.
    ///
    /// # Errors
    /// [`StoreError::FencedEpoch`].
    async fn moves_told(&self, epoch: Epoch, listener: &str, seq: u64) -> Result<(), StoreError>;
}
