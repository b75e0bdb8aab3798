//! The loss of a zone: it charges nobody, the first of its nodes included.
//!
//! What comes in: deaths of nodes, one after another. What goes out: charges that are taken back. It
//! must never hold up a retry: an attempt that its node's death ended is given out again at once, and
//! only the charge is open, until a second node of the zone is known to have fallen in the same
//! window or can no longer be. A task is not given up while a charge of it is open.

use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, Incarnation, NodeId};
use assay_model::task::AttemptOutcome;
use jiff::Timestamp;

use crate::Core;
use crate::batch::Batch;
use crate::copies::Copy;
use crate::state::{Death, NodeRecord, TaskRecord};
use crate::time::after;

/// When a node was lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    /// It was last heard: it fell no earlier.
    pub fell_at: Timestamp,
    /// Its death was found out.
    pub died_at: Timestamp,
}

impl When {
    /// Whether two nodes were lost within a window, by either measure.
    fn is_near(self, other: Self, window_ms: u64) -> bool {
        let near = |a: Timestamp, b: Timestamp| after(a.min(b), window_ms) > a.max(b);
        near(self.fell_at, other.fell_at) || near(self.died_at, other.died_at)
    }
}

/// A node that died.
#[derive(Debug, Clone)]
pub(crate) struct Fallen {
    node: NodeId,
    incarnation: Incarnation,
    zone: String,
    when: When,
    /// When nothing more can be learned of it.
    open_until: Timestamp,
    /// Why its charges are to be taken back, once that is known.
    forgive: Option<String>,
}

/// An attempt that is charged to a node's death.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    pub token: AttemptToken,
    zone: String,
    when: When,
    pub open_until: Timestamp,
    /// Why the charge is to be taken back, once that is known.
    forgive: Option<String>,
}

impl Core {
    /// From now on, how long another node's death may show that the two fell together.
    pub(crate) fn correlation_ends(&self) -> Timestamp {
        let ms = self.config.correlation_window_ms;
        after(self.now, ms.saturating_add(self.config.dead_after_ms))
    }

    /// Notes that an attempt was charged to the death of its node, which may have begun another life
    /// since.
    pub(crate) fn note_loss(&mut self, token: AttemptToken, node: &NodeId, life: Incarnation) {
        let mut known = self.deaths.iter();
        let Some(death) = known.find(|d| d.node == *node && d.incarnation == life) else {
            return;
        };
        let record = self.nodes.get(node).filter(|r| r.node.incarnation == life);
        let excused = record
            .and_then(|record| record.death.as_ref())
            .filter(|death| death.outcome != AttemptOutcome::NodeLost)
            .map(|death| death.reason.clone());
        let loss = Loss {
            token,
            zone: death.zone.clone(),
            when: death.when,
            open_until: death.open_until,
            // Its zone may have been recognised in the very commit that charged it.
            forgive: death.forgive.clone().or(excused),
        };
        self.losses.push(loss);
    }

    /// A node is lost, and this is about to be written or has been: it may be the second of its zone.
    ///
    /// What fell together with it is taken back in the commit that writes its death, so that no
    /// leader can die between the two; and it is known by then, because the node may be back before
    /// the commit is.
    pub(crate) fn note_fallen(&mut self, id: &NodeId) {
        let Some(record) = self.nodes.get(id) else {
            return;
        };
        // The instant of its decision, however long the store is away before it is written.
        let decided = record.death.as_ref().map(|d| (d.when, d.open_until));
        let (when, open_until) =
            decided.unwrap_or_else(|| (self.lost_now(record), self.correlation_ends()));
        let fallen = Fallen {
            node: id.clone(),
            incarnation: record.node.incarnation,
            zone: record.node.zone.clone(),
            when,
            open_until,
            forgive: None,
        };
        let now = self.now;
        self.deaths.retain(|death| death.open_until > now);
        self.forgive_what_fell_with(&fallen);
        let known = |death: &Fallen| (&death.node, death.incarnation) == (id, fallen.incarnation);
        if !self.deaths.iter().any(known) {
            self.deaths.push_back(fallen);
        }
    }

    fn forgive_what_fell_with(&mut self, fallen: &Fallen) {
        let death = self.nodes.get(&fallen.node).and_then(|r| r.death.as_ref());
        let reason = death.and_then(|death| match death.outcome {
            AttemptOutcome::Orphaned => Some(death.reason.clone()),
            _ => None,
        });
        let mut known = self.deaths.iter();
        let second = known.any(|other| self.same_zone(other, fallen));
        let many = reason.as_deref().is_some_and(|r| r.starts_with(MANY));
        if second || many {
            let reason = match reason {
                Some(reason) if many => reason,
                _ => format!("zone {} is being lost with it", fallen.zone),
            };
            self.forgive_with(fallen, many, &reason);
        }
    }

    fn same_zone(&self, a: &Fallen, b: &Fallen) -> bool {
        !a.zone.is_empty()
            && a.zone == b.zone
            && a.node != b.node
            && a.when.is_near(b.when, self.config.correlation_window_ms)
    }

    /// A node that is lost at this instant.
    pub(crate) const fn lost_now(&self, record: &NodeRecord) -> When {
        When {
            fell_at: record.last_heard,
            died_at: self.now,
        }
    }

    /// What fell together with `fallen` is nobody's fault: charges that are written are taken back,
    /// those that are not are never made.
    fn forgive_with(&mut self, fallen: &Fallen, many: bool, reason: &str) {
        let window = self.config.correlation_window_ms;
        let together = |zone: &str, when: When| {
            let zone = many || (!zone.is_empty() && zone == fallen.zone);
            zone && when.is_near(fallen.when, window)
        };
        for loss in &mut self.losses {
            if together(&loss.zone, loss.when) {
                loss.forgive.get_or_insert_with(|| reason.to_owned());
            }
        }
        for death in &mut self.deaths {
            if together(&death.zone, death.when) {
                death.forgive.get_or_insert_with(|| reason.to_owned());
            }
        }
        for record in self.nodes.values_mut() {
            let zone = record.node.zone.clone();
            if let Some(death) = record.death.as_mut()
                && death.outcome == AttemptOutcome::NodeLost
                && together(&zone, death.when)
            {
                death.outcome = AttemptOutcome::Orphaned;
                death.reason = format!("{reason}: {}", death.reason);
            }
        }
    }

    /// Takes back the charges that have turned out to be nobody's fault, and forgets the rest once
    /// nothing more can be learned of them.
    pub(crate) fn decide_forgiveness(&mut self, batch: &mut Batch) {
        let now = self.now;
        self.losses
            .retain(|loss| loss.forgive.is_some() || loss.open_until > now);
        for loss in &self.losses {
            let Some(reason) = &loss.forgive else {
                continue;
            };
            if batch.is_full() {
                return;
            }
            let reloading = self
                .runs
                .get(&loss.token.task.run)
                .is_some_and(|r| r.reloading);
            if reloading || batch.touches_task(loss.token.task) {
                continue;
            }
            let change = Change::Forgive {
                token: loss.token,
                reason: reason.clone(),
                at: now,
            };
            batch.push_task(loss.token.task, change);
        }
    }

    pub(crate) fn apply_forgive(&mut self, token: &AttemptToken, answer: Answer) {
        self.losses.retain(|loss| loss.token != *token);
        if answer != Answer::Ok {
            return;
        }
        self.count("charges_taken_back", 1);
        let now = self.now;
        if let Some(run) = self.runs.get_mut(&token.task.run) {
            run.update(token.task.no, now, |record| {
                record.task.charged = record.task.charged.saturating_sub(1);
            });
        }
    }

    /// Whether a charge of the task, or the one that the end of this copy would be, is open.
    pub(crate) fn may_be_forgiven(&self, record: &TaskRecord, copy: Copy) -> bool {
        let open = |loss: &Loss| loss.token.task == record.task.id;
        let node = record.place_of(copy).and_then(|(id, _)| self.nodes.get(id));
        let death = node.and_then(|node| node.death.as_ref());
        self.losses.iter().any(open)
            || death.is_some_and(|death| {
                death.outcome == AttemptOutcome::NodeLost && death.open_until > self.now
            })
    }

    /// How a death counts: charged when it stands alone; not when the node was leaving, when a
    /// zone is failing, or when leases vanish by the dozen.
    pub(crate) fn death_counts(&self, record: &NodeRecord, reason: &str) -> Death {
        use assay_model::node::NodeState;
        let zone = &record.node.zone;
        let (when, window) = (self.lost_now(record), self.config.correlation_window_ms);
        let fallen = self.deaths.iter().filter(|d| {
            d.zone == *zone && d.node != record.node.id && when.is_near(d.when, window)
        });
        let failing = self.alive().filter(|r| {
            r.node.zone == *zone
                && r.node.id != record.node.id
                && (r.reset || self.is_silent(r))
                && after(r.last_heard.min(when.fell_at), window) > r.last_heard.max(when.fell_at)
        });
        let zone_lost = !zone.is_empty() && fallen.count() + failing.count() >= 1;
        let (outcome, reason) = if record.node.state == NodeState::Draining {
            (AttemptOutcome::Drained, format!("its node left: {reason}"))
        } else if zone_lost {
            let reason = format!("zone {zone} is being lost: {reason}");
            (AttemptOutcome::Orphaned, reason)
        } else if self.lost_leases().count() >= self.many() {
            (AttemptOutcome::Orphaned, format!("{MANY}: {reason}"))
        } else {
            (AttemptOutcome::NodeLost, format!("its node died: {reason}"))
        };
        Death {
            outcome,
            reason,
            when,
            open_until: self.correlation_ends(),
        }
    }
}

/// How the reason of a death begins that is one of many.
const MANY: &str = "many nodes at once";
