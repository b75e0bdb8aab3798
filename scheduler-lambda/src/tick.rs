//! One tick: asks for every run that is due.
//!
//! Comes in: an agenda, a place to ask for runs, the present instant and how long it may take. Goes
//! out: a report. It may be cut off, repeated, or run beside itself at any moment: a run has one key,
//! and the agenda keeps a look only where nobody else was first. It must never let one dataset stop
//! another, keep a look whose runs are not known to be there, or go on against a manager that is
//! away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use assay_model::dataset::Dataset;
use assay_registry::{AT_ONCE, Agenda, Cursor, Entry, Look, Marked, Page, Policy, RegistryError};
use futures::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::emit::{EmitError, Emitted, Emitter};
use crate::look::{Decision, Emission, Key, look};
use crate::report::{DETAILS_MAX, Detail, Failure, TickReport};

/// When a run that was refused is asked for again.
const AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What a tick may take.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// When it has to be over; what is begun then is given up.
    pub until: Instant,
    /// Datasets that are dealt with at once.
    pub at_once: usize,
    /// Entries of one page of the agenda.
    pub page: usize,
}

impl Budget {
    /// The usual one, for a tick that may take `longest`.
    #[must_use]
    pub fn of(longest: Duration) -> Self {
        Self {
            until: Instant::now() + longest,
            at_once: 16,
            page: 100,
        }
    }

    fn is_spent(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// Asks for every run that is due at `now`.
///
/// # Errors
/// [`RegistryError`] when the agenda cannot be read at all: nothing was asked for.
pub async fn tick(
    agenda: &dyn Agenda,
    emitter: &dyn Emitter,
    now: Timestamp,
    budget: Budget,
) -> Result<TickReport, RegistryError> {
    let began = Instant::now();
    let work = Work {
        agenda,
        emitter,
        now,
        budget,
        away: AtomicBool::new(false),
    };
    let mut report = TickReport::new(now);
    let mut after: Option<Cursor> = None;
    let mut first = true;
    loop {
        if work.is_over() {
            report.more_left = true;
            break;
        }
        let page = page_of(agenda, now, after.as_ref(), budget.page);
        let (page, policy) = match tokio::time::timeout_at(budget.until, page).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) if first => return Err(error),
            Ok(Err(error)) => {
                report.fail(Failure::Registry);
                report.more_left = true;
                report.stopped = Some(format!("the agenda was not read to its end: {error}"));
                break;
            }
            Err(_) => {
                report.more_left = true;
                break;
            }
        };
        first = false;
        let outcomes = stream::iter(page.entries)
            .map(|entry| work.deal_with(entry, &policy))
            .buffer_unordered(budget.at_once.max(1));
        outcomes
            .for_each(|outcome| {
                outcome.tell(&mut report);
                std::future::ready(())
            })
            .await;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if report.stopped.is_none() && (report.left > 0 || report.more_left) {
        report.stopped = Some(if work.away.load(Ordering::Relaxed) {
            "the manager is away: nothing more was asked for, the next tick catches up".to_owned()
        } else {
            "the time was up: the next tick goes on".to_owned()
        });
    }
    report.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// What the looks of one tick share.
struct Work<'a> {
    agenda: &'a dyn Agenda,
    emitter: &'a dyn Emitter,
    now: Timestamp,
    budget: Budget,
    away: AtomicBool,
}

/// A page, and from where the data of those in it may come.
pub(crate) async fn page_of(
    agenda: &dyn Agenda,
    now: Timestamp,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<(Page, Policy), RegistryError> {
    let page = agenda.due(now, after, limit).await?;
    let owners = page.entries.iter().flat_map(Entry::owners).collect();
    // Nobody's data is asked about where nobody is due.
    let policy = match page.entries.is_empty() {
        true => Policy::default(),
        false => agenda.policy_of(&owners).await?,
    };
    Ok((page, policy))
}

/// What became of one entry.
struct Outcome {
    entry: Entry,
    now: Timestamp,
    decision: Option<Decision>,
    /// In the order of the decision's emissions.
    taken: Vec<Emitted>,
    failed: Option<(Failure, String)>,
    marked: Option<Marked>,
    /// Whether it was left for the next tick.
    left: bool,
}

impl Work<'_> {
    fn is_over(&self) -> bool {
        self.away.load(Ordering::Relaxed) || self.budget.is_spent()
    }

    async fn deal_with(&self, entry: Entry, policy: &Policy) -> Outcome {
        let mut outcome = Outcome {
            entry,
            now: self.now,
            decision: None,
            taken: Vec::new(),
            failed: None,
            marked: None,
            left: true,
        };
        if self.is_over() {
            return outcome;
        }
        let decision = look(&outcome.entry, policy, self.now);
        let mut kept = decision.look.clone();
        if let Ok(definition) = &outcome.entry.definition {
            let dataset = definition.dataset.clone();
            self.emit(&dataset, &decision, &mut outcome).await;
        }
        let whole = outcome.taken.len() == decision.emissions.len();
        if let (false, Some((Failure::Refused, why))) = (whole, &outcome.failed) {
            kept = self.up_to_refusal(&outcome.entry, &decision, outcome.taken.len(), why);
        } else if !whole {
            outcome.decision = Some(decision);
            return outcome;
        }
        outcome.left = false;
        let mark = self.agenda.mark(&outcome.entry, &kept);
        match tokio::time::timeout_at(self.budget.until, mark).await {
            Ok(Ok(marked)) => outcome.marked = Some(marked),
            Ok(Err(error)) => {
                outcome.failed = Some((Failure::Registry, format!("not marked: {error}")));
            }
            Err(_) => outcome.left = true,
        }
        outcome.decision = Some(decision);
        outcome
    }

    async fn emit(&self, dataset: &Dataset, decision: &Decision, outcome: &mut Outcome) {
        for emission in &decision.emissions {
            if self.is_over() {
                return;
            }
            let asked = self.emitter.emit(dataset, emission);
            match tokio::time::timeout_at(self.budget.until, asked).await {
                Ok(Ok(emitted)) => outcome.taken.push(emitted),
                Ok(Err(EmitError::Refused(why))) => {
                    outcome.failed = Some((Failure::Refused, why));
                    return;
                }
                Ok(Err(EmitError::Away(why))) => {
                    self.away.store(true, Ordering::Relaxed);
                    outcome.failed = Some((Failure::Away, why));
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// The look to keep when a run was refused: what was taken before it stays taken.
    fn up_to_refusal(&self, entry: &Entry, decision: &Decision, taken: usize, why: &str) -> Look {
        let last = decision.emissions[..taken].iter().rev().find_map(slot_of);
        Look {
            through: last.max(entry.emitted_through),
            registered: entry.registered,
            next: self.now.checked_add(AGAIN).ok(),
            note: Some(format!("its run was refused: {why}")),
        }
    }
}

const fn slot_of(emission: &Emission) -> Option<Timestamp> {
    match emission.key {
        Key::Slot(slot) => Some(slot),
        Key::Text(_) => None,
    }
}

impl Outcome {
    fn tell(self, report: &mut TickReport) {
        report.left += u64::from(self.left);
        let Some(decision) = &self.decision else {
            return;
        };
        report.looked += 1;
        // What has just been defined was never late.
        if let Some(since) = self.entry.due_at.filter(|since| *since != AT_ONCE) {
            report.lag_s = report
                .lag_s
                .max(self.now.duration_since(since).as_secs_f64());
        }
        match self.marked {
            Some(Marked::Kept) => report.marked += 1,
            Some(Marked::Overtaken) => report.overtaken += 1,
            None => {}
        }
        self.tell_runs(decision, report);
        for skipped in &decision.skipped {
            tracing::info!(dataset = %self.entry.key, reason = %skipped.reason, slot = skipped.slot.map(tracing::field::display), why = %skipped.text, "not run");
        }
        if let Some(skipped) = decision.skipped.last() {
            let count = u64::try_from(decision.skipped_count).unwrap_or(u64::MAX);
            report.skip(skipped.reason, count);
            report.detail(Detail {
                dataset: self.entry.key.clone(),
                what: skipped.reason.word().to_owned(),
                slot: skipped.slot,
                run: None,
                why: skipped.text.clone(),
            });
        }
        if let Some((failure, why)) = self.failed {
            tracing::warn!(dataset = %self.entry.key, failure = failure.word(), %why, "a look failed");
            report.fail(failure);
            report.detail(Detail {
                dataset: self.entry.key,
                what: failure.word().to_owned(),
                slot: None,
                run: None,
                why,
            });
        }
    }

    fn tell_runs(&self, decision: &Decision, report: &mut TickReport) {
        let Ok(definition) = &self.entry.definition else {
            return;
        };
        for (emission, emitted) in decision.emissions.iter().zip(&self.taken) {
            let run = emission.run_of(&definition.dataset.id);
            let what = match emitted {
                Emitted::Begun => "emitted",
                Emitted::Existed => "existed",
            };
            match emitted {
                Emitted::Begun => report.emitted += 1,
                Emitted::Existed => report.existed += 1,
            }
            tracing::info!(dataset = %self.entry.key, %run, trigger = %emission.trigger, what, "a run was asked for");
            // What went wrong is to find room.
            if report.details.len() >= DETAILS_MAX / 2 {
                continue;
            }
            report.detail(Detail {
                dataset: self.entry.key.clone(),
                what: what.to_owned(),
                slot: slot_of(emission),
                run: Some(run.to_string()),
                why: emission.trigger.to_string(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
