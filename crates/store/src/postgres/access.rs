//! How connections are let in: by what the address says, or by passwords that hold for a while.
//!
//! Comes in: options, and where passwords come from. Goes out: options of a connection that is made
//! at once. It must never show a password, hold the present one past its time while a new one can be
//! had, or give up a present one that still holds because a new one cannot.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;

use super::lane::connect;
use crate::error::StoreError;

/// The longest that one password may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts to have a password that does not come.
const AGAIN: Duration = Duration::from_secs(5);

/// A password that holds for a while.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// The password.
    pub text: String,
    /// For how long new connections may be made with it. Connections that are there go on.
    pub holds: Duration,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password")
            .field("holds", &self.holds)
            .finish_non_exhaustive()
    }
}

/// Where passwords come from that hold for a while only, as those of IAM do.
#[async_trait]
pub trait Passwords: Send + Sync {
    /// A new password. Those before hold until their time is over.
    ///
    /// # Errors
    /// Why there is none, for people.
    async fn password(&self) -> Result<Password, String>;
}

/// How connections are let in.
pub(super) struct Access {
    passwords: Option<Arc<dyn Passwords>>,
    /// Held while a password is fetched, so that all wait for the same one.
    present: Mutex<Option<Present>>,
}

struct Present {
    password: Password,
    since: Instant,
}

impl Present {
    /// New ones are fetched with a third of its time to spare.
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < self.password.holds.mul_f64(2.0 / 3.0)
    }

    fn holds(&self) -> bool {
        self.since.elapsed() < self.password.holds
    }
}

impl Access {
    pub(super) fn new(passwords: Option<Arc<dyn Passwords>>) -> Self {
        Self {
            passwords,
            present: Mutex::new(None),
        }
    }

    /// `base` with what lets a connection in at this moment.
    pub(super) async fn options(
        &self,
        base: &PgConnectOptions,
    ) -> Result<PgConnectOptions, StoreError> {
        let Some(passwords) = &self.passwords else {
            return Ok(base.clone());
        };
        let mut present = self.present.lock().await;
        if let Some(present) = &*present
            && present.is_fresh()
        {
            return Ok(base.clone().password(&present.password.text));
        }
        // Another one asked for it later would be younger, never older.
        let since = Instant::now();
        let asked = tokio::time::timeout(PATIENCE, passwords.password()).await;
        let asked = asked.unwrap_or_else(|_| Err(format!("none within {} s", PATIENCE.as_secs())));
        match (asked, &*present) {
            (Ok(password), _) => {
                let options = base.clone().password(&password.text);
                *present = Some(Present { password, since });
                Ok(options)
            }
            (Err(why), Some(before)) if before.holds() => {
                tracing::warn!(%why, "no new password for the store; the present one still holds");
                Ok(base.clone().password(&before.password.text))
            }
            (Err(why), _) => Err(StoreError::Unavailable(
                format!("there is no password for the store: {why}").into(),
            )),
        }
    }

    /// A new connection. One that is refused is tried once more with a new password, if they change.
    pub(super) async fn connect(
        &self,
        place: &str,
        base: &PgConnectOptions,
        limit: Duration,
    ) -> Result<PgConnection, StoreError> {
        match connect(place, &self.options(base).await?, limit).await {
            Err(StoreError::Open { .. }) if self.passwords.is_some() => {
                self.present.lock().await.take();
                connect(place, &self.options(base).await?, limit).await
            }
            connected => connected,
        }
    }

    /// How long until a new password is due; `None` when they do not change.
    pub(super) async fn due_in(&self) -> Option<Duration> {
        self.passwords.as_ref()?;
        let present = self.present.lock().await;
        let due = present.as_ref().map(|present| {
            let after = present.password.holds.mul_f64(2.0 / 3.0);
            after.saturating_sub(present.since.elapsed())
        });
        // One that was asked for in vain is asked for again soon.
        Some(due.filter(|due| !due.is_zero()).unwrap_or(AGAIN))
    }
}
