//! The wish to stop: the first signal asks, the second one does not.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The wish to stop, from here on.
#[derive(Debug, Clone)]
pub struct Stop {
    signals: watch::Receiver<u32>,
}

impl Stop {
    /// Listens for SIGTERM and SIGINT.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn on_signals() -> std::io::Result<Self> {
        let (sender, signals) = watch::channel(0);
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                sender.send_modify(|n| *n += 1);
            }
        });
        Ok(Self { signals })
    }

    /// Returns when the program is asked to finish and leave.
    pub async fn asked(&self) {
        self.at_least(1).await;
    }

    /// Returns when the program is asked a second time: it stops where it is.
    pub async fn insisted(&self) {
        self.at_least(2).await;
    }

    /// Does `leaving`, unless a second signal cuts it short; says whether it was done.
    pub async fn unless_insisted(&self, leaving: impl Future<Output = ()>) -> bool {
        tokio::select! {
            () = self.insisted() => {
                tracing::warn!("asked a second time: stops where it is");
                false
            }
            () = leaving => true,
        }
    }

    async fn at_least(&self, n: u32) {
        let mut signals = self.signals.clone();
        if signals.wait_for(|seen| *seen >= n).await.is_err() {
            // Nobody listens for signals: nobody asks.
            std::future::pending::<()>().await;
        }
    }
}
