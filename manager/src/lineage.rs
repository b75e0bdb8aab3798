//! Lineage: what runs do, told to a sink as OpenLineage events.
//!
//! Comes in: the moves of runs, from the log of events that they were written with. Goes out: their
//! events, in order, each until it is taken; how far this has come is noted under the leader's epoch,
//! so that the next leader goes on there. At least once: a repeat is the same event. It must never
//! hold up a run, step over a move because a sink is away, or tell anything while another manager
//! leads.

use std::sync::Arc;
use std::time::Duration;

use assay_lineage::{LineageSink, SinkError};
use assay_model::ids::Epoch;
use assay_store::StoreError;
use assay_store::moves::RunMove;
use serde_json::Value;

use crate::handle::Shared;

/// Under what name it is noted how far this has come.
const LISTENER: &str = "lineage";
/// Moves that are read at once.
const BATCH: u32 = 50;
/// Between two looks when nothing moves.
const IDLE: Duration = Duration::from_secs(1);
/// The longest pause while the sink is away.
const AWAY_MAX: Duration = Duration::from_secs(300);

/// Where runs are told of, and as whose.
#[derive(Clone)]
pub struct Lineage {
    /// Where events go.
    pub sink: Arc<dyn LineageSink>,
    /// The namespace of the jobs.
    pub namespace: String,
}

impl std::fmt::Debug for Lineage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lineage")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// How a look ended.
enum Look {
    /// There may be more to tell at once.
    More,
    /// Nothing moves, or another manager leads.
    Idle,
    /// The sink or the store is away.
    Away,
}

/// Tells of runs until the manager stops.
pub(crate) async fn tell(shared: Arc<Shared>, lineage: Lineage) {
    let mut stop = shared.stop.subscribe();
    let mut teller = Teller {
        shared: Arc::clone(&shared),
        lineage,
        told: None,
    };
    let mut pause = IDLE;
    while !*stop.borrow() {
        match teller.look().await {
            Look::More => {
                pause = IDLE;
                continue;
            }
            Look::Idle => pause = IDLE,
            Look::Away => pause = (pause * 2).min(AWAY_MAX),
        }
        // Ends early when the manager stops.
        let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
    }
}

struct Teller {
    shared: Arc<Shared>,
    lineage: Lineage,
    /// How far it has come, and in which term that was read.
    told: Option<(Epoch, u64)>,
}

impl Teller {
    async fn look(&mut self) -> Look {
        let Ok(seat) = self.shared.seats.seat() else {
            self.told = None;
            return Look::Idle;
        };
        match self.tell_some(seat.epoch).await {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(%error, "lineage is not told; trying again");
                self.told = None;
                Look::Away
            }
        }
    }

    async fn tell_some(&mut self, epoch: Epoch) -> Result<Look, StoreError> {
        let metrics = Arc::clone(&self.shared.parts.metrics);
        let from = match self.told {
            Some((known, seq)) if known == epoch => seq,
            _ => metrics.begin_telling(epoch, LISTENER).await?,
        };
        self.told = Some((epoch, from));
        let moves = metrics.moves_after(from, BATCH).await?;
        for moved in &moves {
            for event in self.events(moved).await? {
                if !self.taken(moved, &event).await {
                    return Ok(Look::Away);
                }
            }
            metrics.moves_told(epoch, LISTENER, moved.seq).await?;
            self.told = Some((epoch, moved.seq));
        }
        Ok(if moves.len() == BATCH as usize {
            Look::More
        } else {
            Look::Idle
        })
    }

    /// Whether the sink is done with an event: it has taken it, or never will.
    async fn taken(&self, moved: &RunMove, event: &Value) -> bool {
        let run = moved.run;
        let (done, outcome) = match self.lineage.sink.take(event).await {
            Ok(()) => (true, "taken"),
            Err(SinkError::Refused(why)) => {
                tracing::error!(%run, why, "an event of lineage was refused for good; it is left out");
                (true, "refused")
            }
            Err(SinkError::Away(why)) => {
                tracing::warn!(%run, why, "an event of lineage was not taken; it is offered again");
                (false, "away")
            }
        };
        let telemetry = &self.shared.parts.telemetry;
        telemetry.count("assay_lineage_events_total", &[("outcome", outcome)], 1);
        done
    }

    /// What is to be told of a move.
    async fn events(&self, moved: &RunMove) -> Result<Vec<Value>, StoreError> {
        let metrics = &self.shared.parts.metrics;
        let Some(mut run) = metrics.run(moved.run).await? else {
            return Ok(Vec::new());
        };
        // It may have moved on since.
        run.state = moved.state;
        let namespace = &self.lineage.namespace;
        assay_lineage::events(metrics.as_ref(), &run, moved.at, namespace).await
    }
}
