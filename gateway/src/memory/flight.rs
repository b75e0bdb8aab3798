//! Those who ask the same at the same time: one reads, the others wait for what comes of it.
//!
//! Comes in: askers of one question. Goes out: the right to read, or to stand in line for a turn to
//! read, for all of them. It must never have two read at a time, or one of a higher rank wait behind
//! one of a lower rank who only stands in line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assay_guard::queue::Rank;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// One question at work.
#[derive(Debug, Default)]
pub struct Flight {
    state: Mutex<State>,
    /// One who read has ended.
    ended: Notify,
    /// One who stood in line does not any more.
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    reads: bool,
    /// The ranks of those who stand in line for all.
    line: Vec<Rank>,
}

impl Flight {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is heard of from now on.
    pub fn word(&self) -> Word<'_> {
        Word {
            ended: self.ended.notified(),
            left: self.left.notified(),
        }
    }

    /// Whether somebody reads.
    pub fn is_read(&self) -> bool {
        self.state().reads
    }

    /// Whether nobody reads or stands in line.
    pub fn is_idle(&self) -> bool {
        let state = self.state();
        !state.reads && state.line.is_empty()
    }

    /// Reads for all, unless somebody does.
    pub fn read(self: &Arc<Self>) -> Option<Reading> {
        let mut state = self.state();
        if std::mem::replace(&mut state.reads, true) {
            return None;
        }
        Some(Reading(Arc::clone(self)))
    }

    /// Stands in line for all, unless one of this rank or a higher one does.
    pub fn stand(self: &Arc<Self>, rank: Rank) -> Option<Standing> {
        let mut state = self.state();
        if state.line.iter().any(|other| *other <= rank) {
            return None;
        }
        state.line.push(rank);
        Some(Standing {
            flight: Arc::clone(self),
            rank,
        })
    }
}

/// What those hear of who do not read themselves.
pub struct Word<'a> {
    /// Whoever reads has come to an end, with an answer or without.
    pub ended: Notified<'a>,
    left: Notified<'a>,
}

impl Word<'_> {
    /// Whoever reads has come to an end, or whoever stands in line does not any more.
    pub async fn any(self) {
        tokio::select! {
            () = self.ended => {}
            () = self.left => {}
        }
    }
}

/// One reads, until this is dropped.
#[derive(Debug)]
pub struct Reading(Arc<Flight>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.state().reads = false;
        self.0.ended.notify_waiters();
    }
}

/// One stands in line, until this is dropped.
#[derive(Debug)]
pub struct Standing {
    flight: Arc<Flight>,
    rank: Rank,
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.flight.state().line.retain(|rank| *rank != self.rank);
        // Whoever left it to this one looks how it stands.
        self.flight.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reads_and_the_highest_stand_in_line() {
        let flight = Arc::new(Flight::default());
        let told = flight.stand(Rank::Subscriber).unwrap();
        assert!(flight.stand(Rank::Subscriber).is_none());
        assert!(flight.stand(Rank::Anonymous).is_none());
        let owner = flight.stand(Rank::Owner);
        assert!(owner.is_some(), "who goes first does not wait behind");
        drop(told);
        assert!(flight.stand(Rank::Subscriber).is_none(), "the owner stands");
        let reading = flight.read().unwrap();
        assert!(flight.is_read() && flight.read().is_none());
        drop((owner, reading));
        assert!(!flight.is_read() && flight.is_idle());
        let told = flight.stand(Rank::Anonymous);
        assert!(told.is_some() && !flight.is_idle());
    }
}
