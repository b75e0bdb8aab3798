//! Managers: the driver of the real core, and elections that can be wrong.
//!
//! What comes in: the core's commands. What goes out: calls of the store and messages, with faults.
//! It must never decide for the core: it is the driver that the core's documentation demands.

use assay_model::change::{Answer, Change};
use assay_model::ids::{Epoch, NodeId};
use assay_model::node::Progress;
use assay_model::task::{AttemptOutcome, TaskState};
use jiff::Timestamp;

use super::world::{Item, World};
use super::{Mutant, Violation};
use crate::time::after;
use crate::{Command, Core, Event, SeededIds};

/// A manager's process.
#[derive(Default)]
pub(super) struct Manager {
    /// Bumped when the core is dropped: what was meant for the old one is not for the new one.
    pub life: u64,
    pub core: Option<Core>,
    pub down_until: u64,
    pub paused_until: u64,
    /// It cannot reach the store.
    pub cut_until: u64,
    /// The timer that is set.
    timer: u64,
    timer_at: Option<Timestamp>,
}

impl World {
    /// The manager that leads, if one does and is awake.
    pub(super) fn leader(&self) -> Option<usize> {
        let newest = self.store.epoch();
        self.managers.iter().position(|m| {
            m.paused_until <= self.now && m.core.as_ref().is_some_and(|c| c.epoch() == newest)
        })
    }

    /// Whether a manager cannot reach the store.
    fn store_is_away_from(&self, manager: usize) -> bool {
        self.outage_until > self.now || self.managers[manager].cut_until > self.now
    }

    pub(super) fn drop_core(&mut self, manager: usize) {
        let m = &mut self.managers[manager];
        m.core = None;
        m.life += 1;
        m.timer_at = None;
    }

    pub(super) fn take_over(&mut self, manager: usize) {
        if self.store_is_away_from(manager) {
            return;
        }
        self.drop_core(manager);
        let epoch = self.store.mint_epoch();
        let held = self.config().tasks_held;
        let Ok(snapshot) = self.store.load(epoch, held) else {
            return;
        };
        let ids = Box::new(SeededIds::new(self.dice.below(u64::MAX)));
        let (core, commands) = Core::new(epoch, self.config(), ids, snapshot, self.at());
        self.managers[manager].core = Some(core);
        self.execute(manager, commands);
        self.arm(manager);
        for node in 0..self.nodes.len() {
            let life = self.nodes[node].life;
            let ms = self.dice.range(10, 1_500);
            self.push(ms, Item::Hello { node, life });
        }
    }

    pub(super) fn on_event(&mut self, manager: usize, life: u64, event: Event) {
        let m = &self.managers[manager];
        if m.life != life {
            return;
        }
        if m.paused_until > self.now {
            let ms = m.paused_until - self.now;
            self.push(
                ms,
                Item::ToManager {
                    manager,
                    life,
                    event,
                },
            );
            return;
        }
        let Some(event) = self.distort(event) else {
            return;
        };
        let now = self.at();
        let Some(core) = self.managers[manager].core.as_mut() else {
            return;
        };
        let commands = core.handle(now, event);
        self.execute(manager, commands);
        self.arm(manager);
    }

    pub(super) fn on_tick(&mut self, manager: usize, life: u64, number: u64) {
        if self.managers[manager].timer == number {
            self.managers[manager].timer_at = None;
            self.on_event(manager, life, Event::Tick);
        }
    }

    fn arm(&mut self, manager: usize) {
        let now = self.at();
        let m = &mut self.managers[manager];
        let Some(core) = &m.core else {
            return;
        };
        let timeout = core.poll_timeout().map(|t| t.0);
        if timeout == m.timer_at {
            return;
        }
        m.timer += 1;
        m.timer_at = timeout;
        let Some(at) = timeout else {
            return;
        };
        assert!(at > now, "a timer in the past would spin the driver");
        let (number, life) = (m.timer, m.life);
        let ms = crate::time::ms_between(now, at).max(1);
        self.push(
            ms,
            Item::Tick {
                manager,
                life,
                number,
            },
        );
    }

    fn execute(&mut self, manager: usize, commands: Vec<Command>) {
        let life = self.managers[manager].life;
        let Some(epoch) = self.managers[manager].core.as_ref().map(Core::epoch) else {
            return;
        };
        for command in commands {
            match command {
                Command::Commit { id, changes } => self.commit(manager, epoch, id, changes),
                Command::Send {
                    node,
                    incarnation,
                    message,
                } => {
                    let Some(node) = self.nodes.iter().position(|n| n.id == node) else {
                        continue;
                    };
                    let n = &self.nodes[node];
                    if n.split_until <= self.now && n.deaf_until <= self.now {
                        let life = self.nodes[node].life;
                        self.post(&Item::ToNode {
                            node,
                            life,
                            epoch,
                            incarnation,
                            message,
                        });
                    }
                }
                Command::ReadPlan { .. } | Command::ReadTasks(_) | Command::ReloadRun { .. } => {
                    let ms = self.dice.range(1, 20);
                    self.push(
                        ms,
                        Item::Read {
                            manager,
                            life,
                            command,
                        },
                    );
                }
                Command::Submitted { run, .. } => {
                    self.answered.insert(run);
                }
                Command::Count { what, n } => *self.counts.entry(what).or_default() += n,
                Command::DesiredNodes { .. }
                | Command::Refused { .. }
                | Command::Retried { .. }
                | Command::NodeMoved { .. }
                | Command::RunMoved { .. } => {}
            }
        }
    }

    fn commit(&mut self, manager: usize, epoch: Epoch, id: u64, changes: Vec<Change>) {
        let life = self.managers[manager].life;
        let changes: Vec<Change> = changes
            .into_iter()
            .map(|c| self.distort_change(c))
            .collect();
        let away = self.store_is_away_from(manager);
        let lost = !self.calm && self.dice.chance(self.swarm.not_applied);
        let ms = self.dice.range(1, 20);
        if away || lost {
            let event = Event::CommitNotApplied { commit: id };
            self.push(
                ms,
                Item::ToManager {
                    manager,
                    life,
                    event,
                },
            );
            return;
        }
        let ack = self.calm || !self.dice.chance(self.swarm.ack_lost);
        // A commit may be on its way for long: past a take-over, too.
        let late = !self.calm && self.dice.chance(20);
        let ms = if late { self.dice.range(20, 5_000) } else { ms };
        let apply = Item::Apply {
            manager,
            life,
            epoch,
            id,
            changes,
            ack,
        };
        self.push(ms, apply);
    }

    pub(super) fn on_apply(
        &mut self,
        manager: usize,
        life: u64,
        epoch: Epoch,
        id: u64,
        changes: &[Change],
        ack: bool,
    ) -> Result<(), Violation> {
        self.dirty = true;
        // Half of the writes without an answer never arrived.
        let arrived = ack || self.dice.chance(500);
        self.commits += u64::from(arrived);
        let result = if arrived {
            self.store.commit(epoch, changes)
        } else {
            Ok(Vec::new())
        };
        for (change, answer) in changes.iter().zip(result.iter().flatten()) {
            if *answer == Answer::Ok {
                self.check_change(epoch, change)?;
            }
        }
        if self.managers[manager].life != life {
            return Ok(());
        }
        match result {
            Ok(answers) if ack => {
                let ms = self.dice.range(1, 20);
                let event = Event::Committed {
                    commit: id,
                    answers,
                };
                self.push(
                    ms,
                    Item::ToManager {
                        manager,
                        life,
                        event,
                    },
                );
            }
            Ok(_) | Err(_) => self.drop_core(manager),
        }
        Ok(())
    }

    pub(super) fn on_read(&mut self, manager: usize, life: u64, command: Command) {
        if self.store_is_away_from(manager) {
            self.push(
                200,
                Item::Read {
                    manager,
                    life,
                    command,
                },
            );
            return;
        }
        let event = match command {
            Command::ReadPlan { task, from } => Event::PlanRead {
                run: task.run,
                page: self.store.plan_page(task, from).map(Box::new),
            },
            Command::ReadTasks(asked) => {
                let read = self.store.more_tasks(&asked);
                Event::TasksRead { asked, read }
            }
            Command::ReloadRun { run, most } => {
                let rows = self.store.rows_of(run, most).map(Box::new);
                Event::RunLoaded { run, rows }
            }
            _ => return,
        };
        let ms = self.dice.range(1, 50);
        self.push(
            ms,
            Item::ToManager {
                manager,
                life,
                event,
            },
        );
    }

    /// Mutants of what the core is told; `None` when it is not told.
    fn distort(&self, mut event: Event) -> Option<Event> {
        match &mut event {
            Event::CancelRun { .. } if self.has(Mutant::CancelLost) => return None,
            Event::DrainNode { .. } if self.has(Mutant::DrainLost) => return None,
            Event::PlanRead {
                page: Some(found), ..
            } if self.has(Mutant::DependencyIgnored) => {
                let tasks = found.tasks.iter_mut();
                tasks.for_each(|task| task.depends_on.clear());
            }
            Event::NodeHeartbeat { node, load, .. } if self.has(Mutant::NoOrphanCheck) => {
                load.running = self.all_that_it_should_hold(node);
            }
            Event::NodeHello { node, .. } if self.has(Mutant::SlotsOvercounted) => {
                node.slots += 1;
            }
            Event::NodeHello { node, .. } if self.has(Mutant::OldIncarnationKept) => {
                node.incarnation.0 = 1;
            }
            Event::RunSubmitted { run } if self.has(Mutant::NoTimeouts) => {
                run.task_timeout_ms = u64::MAX / 4;
            }
            Event::RunSubmitted { run } if self.has(Mutant::DeadlineIgnored) => {
                run.deadline_at = after(run.created_at, 7_200_000);
            }
            _ => {}
        }
        Some(event)
    }

    fn all_that_it_should_hold(&self, node: &NodeId) -> Vec<Progress> {
        let held = self
            .store
            .tasks
            .values()
            .filter(|t| t.node.as_ref() == Some(node));
        let moving = held.map(|task| Progress {
            task: task.id,
            attempt: task.attempt,
            rows: self.now,
            bytes: self.now,
        });
        moving.collect()
    }

    /// Mutants of what the core writes.
    fn distort_change(&self, change: Change) -> Change {
        match change {
            Change::EndAttempt {
                token,
                outcome,
                mut next,
                mut not_before,
                wait,
                reason,
                at,
            } => {
                let zone = outcome == AttemptOutcome::Orphaned && reason.starts_with("zone");
                let drained = outcome == AttemptOutcome::Drained;
                let spent = next == TaskState::Failed && reason.contains("retries are spent");
                if self.has(Mutant::RetryOffByOne) && spent {
                    next = TaskState::Ready;
                }
                if self.has(Mutant::NoBackoff) {
                    not_before = None;
                }
                let copy = reason.starts_with("one of two copies");
                let away = outcome == AttemptOutcome::DependencyDown;
                let outcome = match () {
                    () if self.has(Mutant::DrainCharged) && drained => AttemptOutcome::Retryable,
                    () if self.has(Mutant::ZoneLossCharged) && zone => AttemptOutcome::NodeLost,
                    () if self.has(Mutant::CopyCharged) && copy => AttemptOutcome::TimedOut,
                    () if self.has(Mutant::OutageCharged) && away => AttemptOutcome::Retryable,
                    () => outcome,
                };
                Change::EndAttempt {
                    token,
                    outcome,
                    next,
                    not_before,
                    wait,
                    reason,
                    at,
                }
            }
            Change::PlanRun { run, mut tasks } if self.has(Mutant::PlanCutShort) => {
                tasks.pop();
                Change::PlanRun { run, tasks }
            }
            change => change,
        }
    }
}
