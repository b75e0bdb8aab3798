//! The wish to stop: Ctrl-C at a terminal, SIGTERM from whoever manages the process.
//!
//! Comes in: signals, from the moment it listens; one that comes while nobody waits is kept. Goes
//! out: the wish, once per signal. It must never end the process itself, except at a second wish.

use std::future::Future;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// Signals that ask to stop.
#[derive(Debug)]
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Takes the signals over from the operating system, which would end the process.
    pub fn listen() -> Result<Self> {
        let of = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
        })
    }

    /// Ends with the next wish, and says in a word which it was.
    pub async fn asked(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupted",
            _ = self.terminate.recv() => "asked to stop (SIGTERM)",
        }
    }

    /// Sees `last` through; a second wish ends the process at once.
    pub async fn or_now<T>(&mut self, last: impl Future<Output = T>) -> T {
        tokio::select! {
            done = last => done,
            _ = self.asked() => std::process::exit(i32::from(Exit::Interrupted.code())),
        }
    }
}
