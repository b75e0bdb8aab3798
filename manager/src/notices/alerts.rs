//! From the log of events to what operators are told of the cluster's own work.
//!
//! Comes in: how runs ended, nodes that were lost, datasets without a good run, alerts whose hour has
//! come. Goes out: one decision for each. How far the log was read is noted after what follows from it is
//! kept: what is read twice is known by its place in the log, and nothing is left out. It must never tell
//! while the outbox is held, or hold up the messages about data.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_model::dataset::Dataset;
use assay_model::ids::Epoch;
use assay_model::node::NodeState;
use assay_model::notice::{Alert, NoticeKind, Notices};
use assay_model::run::{Run, RunState};
use assay_notify::alerts::{self, Happened, Known};
use assay_store::StoreError;
use assay_store::fleet::StepFilter;
use assay_store::moves::RunMove;
use assay_store::notices::AlertFilter;
use tokio::time::Instant;

use super::{Desk, Rounds, SWEEP_EVERY, is_held, stale};
use crate::handle::Shared;

/// Under what name it is noted how far the moves of runs were told; its row comes with the schema.
const LISTENER: &str = "operators";
/// The same for the lives of nodes.
const LISTENER_OF_NODES: &str = "operators of nodes";
/// Moves that are read at once.
const BATCH: u32 = 100;
/// Alerts that are due and told at once.
const DUE_MAX: u32 = 1_000;
/// Between two looks for datasets that are stale.
const STALE_EVERY: Duration = Duration::from_secs(300);

/// How far it has come, in which term.
#[derive(Default)]
pub(super) struct Watch {
    epoch: Option<Epoch>,
    told: Option<Told>,
    swept: Option<Instant>,
    stale: Option<Instant>,
}

/// The last places in the log that were told.
#[derive(Clone, Copy)]
struct Told {
    runs: u64,
    nodes: u64,
}

impl Rounds for Watch {
    const CANNOT: &'static str = "operators cannot be told";

    async fn round(&mut self, shared: &Shared, desk: &Desk) -> Result<bool, StoreError> {
        let Ok(seat) = shared.seats.seat() else {
            return Ok(false);
        };
        if self.epoch != Some(seat.epoch) {
            *self = Self {
                epoch: Some(seat.epoch),
                ..Self::default()
            };
        }
        let metrics = &shared.parts.metrics;
        let mut told = match self.told {
            Some(told) => told,
            None => Told {
                runs: metrics.begin_telling(seat.epoch, LISTENER).await?,
                nodes: metrics.begin_telling(seat.epoch, LISTENER_OF_NODES).await?,
            },
        };
        self.told = Some(told);
        let moves = metrics.moves_after(told.runs, BATCH).await?;
        let filter = StepFilter {
            after: told.nodes,
            limit: BATCH,
            ..StepFilter::default()
        };
        let steps = metrics.node_steps(&filter).await?;
        let is_due = |last: Option<Instant>, every| last.is_none_or(|at| at.elapsed() >= every);
        let sweeps = is_due(self.swept, SWEEP_EVERY);
        if (moves.is_empty() && steps.is_empty() && !sweeps) || is_held(shared).await? {
            return Ok(false);
        }
        for moved in &moves {
            ended(shared, desk, seat.epoch, moved).await?;
        }
        if let Some(last) = moves.last() {
            metrics.moves_told(seat.epoch, LISTENER, last.seq).await?;
            told.runs = last.seq;
        }
        for step in steps.iter().filter(|s| s.state == Some(NodeState::Dead)) {
            let lost = alerts::node_lost(&step.node, step.incarnation, step.seq, step.at);
            happens(shared, desk, seat.epoch, lost).await?;
        }
        if let Some(last) = steps.last() {
            let told = metrics.moves_told(seat.epoch, LISTENER_OF_NODES, last.seq);
            told.await?;
        }
        told.nodes = steps.last().map_or(told.nodes, |last| last.seq);
        self.told = Some(told);
        if sweeps {
            due(shared, desk, seat.epoch).await?;
            self.swept = Some(Instant::now());
        }
        if sweeps && is_due(self.stale, STALE_EVERY) {
            for stale in stale::found(shared).await? {
                happens(shared, desk, seat.epoch, stale).await?;
            }
            self.stale = Some(Instant::now());
        }
        Ok(moves.len() == BATCH as usize || steps.len() == BATCH as usize)
    }
}

/// What follows from a move of a run, if it has ended by it.
async fn ended(
    shared: &Shared,
    desk: &Desk,
    epoch: Epoch,
    moved: &RunMove,
) -> Result<(), StoreError> {
    // Of one that somebody stopped nothing follows.
    if !moved.state.is_terminal() || moved.state == RunState::Cancelled {
        return Ok(());
    }
    let metrics = &shared.parts.metrics;
    let Some(mut run) = metrics.run(moved.run).await? else {
        return Ok(());
    };
    // It may have been tried again since.
    run.state = moved.state;
    match failure(shared, &run, moved).await? {
        Some(happened) => happens(shared, desk, epoch, happened).await,
        None => over(shared, desk, epoch, (&run, moved.seq)).await,
    }
}

/// That a run left something without a verdict. What could be judged, as an error too, is told as an
/// incident.
async fn failure(
    shared: &Shared,
    run: &Run,
    moved: &RunMove,
) -> Result<Option<Happened>, StoreError> {
    if run.state == RunState::Succeeded {
        return Ok(None);
    }
    let (tasks, unjudged) = shared.parts.metrics.unjudged(run.id).await?;
    let tells = alerts::is_told(run.state, unjudged);
    Ok(tells.then(|| alerts::run_failed(run, (tasks, unjudged), moved.seq, moved.at)))
}

async fn known(desk: &Desk, key: String) -> Result<Option<Alert>, StoreError> {
    let filter = AlertFilter {
        key: Some(key),
        limit: 1,
        ..AlertFilter::default()
    };
    Ok(desk.parts.store.alerts(&filter).await?.pop())
}

/// Takes in what happened.
async fn happens(
    shared: &Shared,
    desk: &Desk,
    epoch: Epoch,
    happened: Happened,
) -> Result<(), StoreError> {
    let before = known(desk, happened.key()).await?;
    match alerts::after(before.as_ref(), happened) {
        Some(alert) => tell(shared, desk, epoch, alert).await,
        None => Ok(()),
    }
}

/// Takes in that a run of the dataset was evaluated, at that place of the log.
async fn over(
    shared: &Shared,
    desk: &Desk,
    epoch: Epoch,
    (run, seq): (&Run, u64),
) -> Result<(), StoreError> {
    let key = Alert::key_of(NoticeKind::RunFailed, run.dataset.as_str());
    let before = known(desk, key).await?;
    match before.and_then(|before| alerts::over(&before, seq)) {
        Some(alert) => tell(shared, desk, epoch, alert).await,
        None => Ok(()),
    }
}

/// Tells what waited for its hour.
async fn due(shared: &Shared, desk: &Desk, epoch: Epoch) -> Result<(), StoreError> {
    let filter = AlertFilter {
        due: Some((shared.parts.now)()),
        limit: DUE_MAX,
        ..AlertFilter::default()
    };
    for alert in desk.parts.store.alerts(&filter).await? {
        tell(shared, desk, epoch, alert).await?;
    }
    Ok(())
}

/// Keeps an alert with the messages that follow from it.
async fn tell(shared: &Shared, desk: &Desk, epoch: Epoch, alert: Alert) -> Result<(), StoreError> {
    let turn = desk.turn.lock().await;
    let now = (shared.parts.now)();
    let mut datasets: BTreeMap<String, Dataset> = BTreeMap::new();
    if let Some(id) = &alert.dataset
        && let Some(dataset) = shared.parts.metrics.definition(id).await?
    {
        datasets.insert(id.to_string(), dataset);
    }
    let store = &desk.parts.store;
    let subscriptions = store.subscriptions(alert.dataset.as_ref()).await?;
    let known = Known {
        origin: &desk.parts.origin,
        subscriptions: &subscriptions,
        datasets: &datasets,
        now,
    };
    let mut notices = Notices::default();
    alerts::tell(&mut notices, alert, &known);
    desk.settle(&turn, epoch, &notices, now).await
}
