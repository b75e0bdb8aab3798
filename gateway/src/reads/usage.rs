//! How much this gateway is asked, and how much the store holds.
//!
//! Comes in: who asks. Goes out: what the gateway counted since it started, which is always known, and
//! what the store says of itself, kept for a while. It must never keep the first back because the
//! second is not known.

use std::sync::Arc;
use std::time::Duration;

use assay_answers::facts::Answer;
use assay_answers::usage::{GatewayUsage, QueueUsage, StoreUsage, TableUsage, Usage};
use assay_answers::{Problem, Reader, Told};
use assay_guard::load::{Load, Waits};
use assay_store::port::Health;
use assay_store::size::StoreSize;

use crate::api::Api;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::Miss;
use crate::rights::Action;

/// How long a size is in force: it is counted, and changes slowly.
const HELD: Duration = Duration::from_secs(30);

impl Api {
    /// How much this gateway is asked, and how much the store holds.
    pub(crate) async fn usage_of(&self, who: &Reader) -> Answer<Usage> {
        self.may_cluster(who, Action::Look)?;
        let (store, store_unknown, stale_s) = match self.store_usage().await {
            Ok(found) => (Some(found.it.as_ref().clone()), None, found.stale_s),
            Err(problem) if problem.status == 503 => (None, Some(problem.detail), None),
            Err(problem) => return Err(problem),
        };
        let now = (self.parts.now)();
        let usage = Usage {
            gateway: gateway(&Load::of(&self.parts.telemetry), self.started),
            store,
            store_unknown,
        };
        Ok(Told {
            stale_s,
            ..Told::fresh(usage, now)
        })
    }

    async fn store_usage(&self) -> Result<Found<StoreUsage>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let load = async move {
            let health = store.health().await?;
            let size = store.size().await?;
            Ok::<_, Miss>(of_store(health, size))
        };
        let key = Key::about_all("usage");
        self.memory
            .answer(Source::Store, key, Good::For(HELD), load)
            .await
    }
}

fn of_store(health: Health, size: StoreSize) -> StoreUsage {
    let tables = size.tables.into_iter().map(|of| TableUsage {
        table: of.table,
        rows: of.rows,
        more: of.more,
    });
    StoreUsage {
        server: health.server,
        schema: health.schema,
        bytes: size.bytes,
        free_bytes: size.free_bytes,
        tables: tables.collect(),
    }
}

fn gateway(load: &Load, since: jiff::Timestamp) -> GatewayUsage {
    let rejected = load.rejected.iter();
    GatewayUsage {
        since,
        active: load.active,
        allowed: load.allowed,
        exceeded: load.exceeded,
        rejected: rejected
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect(),
        queues: load.queues.iter().map(queue).collect(),
    }
}

fn queue(of: &Waits) -> QueueUsage {
    // What was measured in seconds is told to the microsecond.
    let ms = |seconds: f64| (seconds * 1e6).round() / 1e3;
    QueueUsage {
        queue: of.rank.word().to_owned(),
        waiting: of.waiting,
        came: of.came,
        mean_wait_ms: of.mean_s.map(ms),
        p99_wait_ms: of.most_s.map(ms),
    }
}
