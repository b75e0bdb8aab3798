//! The leader's own tick: the same function as the scheduled one, on the same agenda.
//!
//! Comes in: an agenda, and how often to look at it. Goes out: the runs that are due, while this
//! manager leads, and what each tick came to. It is no other way to the same end: the same code asks
//! for the same runs under the same keys, so that both may tick at once. It must never go on when the
//! lead is lost.

use std::sync::Arc;
use std::time::Duration;

use assay_model::dataset::Dataset;
use assay_registry::Agenda;
use assay_scheduler::{Budget, Emission, EmitError, Emitted, Emitter, Key, TickReport, tick};
use assay_store::StoreError;
use assay_telemetry::Telemetry;
use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::handle::{ManagerHandle, SubmitError};
use crate::seat::Role;

/// What the last tick of this manager came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticked {
    /// When it began.
    pub at: Timestamp,
    /// `ok`, `partial`, `away` or `failed`.
    pub outcome: &'static str,
    /// What it did, in words.
    pub words: String,
}

/// Ticks every `every` while the manager leads, until it stops.
pub(crate) async fn keep(manager: ManagerHandle, agenda: Arc<dyn Agenda>, every: Duration) {
    let mut roles = manager.roles();
    loop {
        let leads = roles.wait_for(|role| !matches!(role, Role::Standby { .. }));
        match leads.await.as_deref() {
            Ok(Role::Leading { .. }) => {}
            _ => return,
        }
        let began = Instant::now();
        let lost = roles.wait_for(|role| !matches!(role, Role::Leading { .. }));
        tokio::select! {
            () = once(&manager, agenda.as_ref(), every) => {}
            _ = lost => continue,
        }
        let lost = roles.wait_for(|role| !matches!(role, Role::Leading { .. }));
        // The lead that is lost ends the pause, and the next leader ticks at once.
        let _ = tokio::time::timeout_at(began + every, lost).await;
    }
}

async fn once(manager: &ManagerHandle, agenda: &dyn Agenda, longest: Duration) {
    let parts = &manager.shared().parts;
    let now = (parts.now)();
    let ticked = tick(agenda, manager, now, Budget::of(longest)).await;
    let (outcome, words) = match ticked {
        Ok(report) => {
            count(&parts.telemetry, &report);
            (report.outcome(), report.to_string())
        }
        Err(error) => {
            tracing::warn!(%error, "the agenda cannot be read: the next tick looks again");
            ("failed", error.to_string())
        }
    };
    let labels = [("outcome", outcome)];
    parts
        .telemetry
        .count("assay_schedule_ticks_total", &labels, 1);
    manager.shared().ticked.send_replace(Some(Ticked {
        at: now,
        outcome,
        words,
    }));
}

/// Counts what a tick did.
fn count(telemetry: &Telemetry, report: &TickReport) {
    telemetry.count("assay_schedule_emitted_total", &[], report.emitted);
    for (reason, count) in &report.skipped {
        let labels = [("reason", reason.word())];
        telemetry.count("assay_schedule_skipped_total", &labels, *count);
    }
    for (failure, count) in &report.failed {
        let labels = [("failure", failure.word())];
        telemetry.count("assay_schedule_failed_total", &labels, *count);
    }
    telemetry.set("assay_schedule_lag_seconds", &[], report.lag_s);
}

#[async_trait]
impl Emitter for ManagerHandle {
    async fn emit(&self, dataset: &Dataset, emission: &Emission) -> Result<Emitted, EmitError> {
        let submitted = match &emission.key {
            Key::Slot(slot) => self.submit_slot(dataset.clone(), *slot).await,
            Key::Text(key) => {
                let (trigger, selection) = (emission.trigger, emission.selection.clone());
                self.submit(dataset.clone(), trigger, selection, Some(key))
                    .await
            }
        };
        match submitted {
            Ok(submitted) if submitted.existed => Ok(Emitted::Existed),
            Ok(_) => Ok(Emitted::Begun),
            Err(error) => Err(refusal(&error)),
        }
    }
}

fn refusal(error: &SubmitError) -> EmitError {
    let of_this_run = matches!(
        error,
        SubmitError::UnknownDataset(_)
            | SubmitError::UnknownNode(_)
            | SubmitError::Refused(_)
            | SubmitError::Store(
                StoreError::Corrupt { .. }
                    | StoreError::NotFound { .. }
                    | StoreError::Refused { .. }
            )
    );
    if of_this_run {
        EmitError::Refused(error.to_string())
    } else {
        EmitError::Away(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_refused_does_not_stop_the_tick_for_others() {
        let definition = StoreError::Refused {
            what: "definition",
            detail: "a value that no column takes".to_owned(),
        };
        for error in [
            SubmitError::Refused("no definition".to_owned()),
            SubmitError::Store(definition),
        ] {
            let told = refusal(&error);
            assert!(matches!(told, EmitError::Refused(_)), "{told:?}");
        }
        let away = StoreError::Unavailable("no connection".into());
        for error in [SubmitError::NoAnswer, SubmitError::Store(away)] {
            let told = refusal(&error);
            assert!(matches!(told, EmitError::Away(_)), "{told:?}");
        }
    }
}
