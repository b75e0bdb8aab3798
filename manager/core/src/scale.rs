//! How many nodes the fleet should have: a pure function of the backlog, with hysteresis.
//!
//! What comes in: tasks that wait or run, slots per node, the bounds. What goes out: a change of
//! the wanted number, once the need for it has lasted. It must never ask for fewer nodes than the
//! least or more than the most, nor for fewer because of a short lull.

use jiff::Timestamp;

use crate::config::ScaleConfig;
use crate::time::{after, earlier};

/// What the fleet has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Tasks that could be assigned at once.
    pub waiting: usize,
    /// Tasks at work.
    pub running: usize,
    /// Nodes whose life is not over.
    pub nodes: u32,
    /// Slots of those nodes.
    pub slots: u32,
}

/// A change of the wanted number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Nodes wanted before.
    pub from: u32,
    /// Nodes wanted from now on.
    pub to: u32,
    /// Why, for people.
    pub reason: String,
}

/// The wanted number of nodes, and since when another would be better.
#[derive(Debug, Clone)]
pub struct Scaler {
    config: ScaleConfig,
    desired: u32,
    /// Since when more are needed.
    short_since: Option<Timestamp>,
    /// Since when fewer would do, and the most that were needed since.
    spare_since: Option<(Timestamp, u32)>,
}

impl Scaler {
    /// A fleet of `nodes`, to be kept within the bounds of `config`.
    #[must_use]
    pub fn new(config: ScaleConfig, nodes: u32) -> Self {
        let desired = nodes.clamp(config.min, config.max.max(config.min));
        Self {
            config,
            desired,
            short_since: None,
            spare_since: None,
        }
    }

    /// Nodes wanted.
    #[must_use]
    pub const fn desired(&self) -> u32 {
        self.desired
    }

    /// Sets the bounds.
    pub fn set_bounds(&mut self, min: u32, max: u32) {
        self.config.min = min;
        self.config.max = max.max(min);
    }

    /// Nodes that `demand` needs, within the bounds.
    #[must_use]
    pub fn needed(&self, demand: Demand) -> u32 {
        let slots_per_node = demand
            .slots
            .checked_div(demand.nodes)
            .unwrap_or(self.config.slots_per_node)
            .max(1);
        let per_node = u64::from(slots_per_node) * u64::from(self.config.tasks_per_slot.max(1));
        let tasks = (demand.waiting + demand.running) as u64;
        u32::try_from(tasks.div_ceil(per_node))
            .unwrap_or(u32::MAX)
            .clamp(self.config.min, self.config.max.max(self.config.min))
    }

    /// Looks at the demand; gives a change once it is due. The change counts when
    /// [`Scaler::apply`] is called with it.
    pub fn observe(&mut self, now: Timestamp, demand: Demand) -> Option<Decision> {
        let needed = self.needed(demand);
        self.short_since = (needed > self.desired).then(|| self.short_since.unwrap_or(now));
        self.spare_since = (needed < self.desired).then(|| {
            let (since, most) = self.spare_since.unwrap_or((now, needed));
            (since, most.max(needed))
        });
        let work = format!(
            "{} waiting and {} running tasks",
            demand.waiting, demand.running
        );
        let outside = self.desired < self.config.min || self.desired > self.config.max;
        if outside {
            return Some(self.decision(needed, format!("the bounds have changed; {work}")));
        }
        let up = self
            .short_since
            .map(|at| after(at, self.config.up_after_ms));
        if up.is_some_and(|at| at <= now) {
            return Some(self.decision(needed, work));
        }
        let (since, most) = self.spare_since?;
        (after(since, self.config.down_after_ms) <= now).then(|| self.decision(most, work))
    }

    fn decision(&self, to: u32, reason: String) -> Decision {
        Decision {
            from: self.desired,
            to,
            reason,
        }
    }

    /// Makes a decided change count.
    pub fn apply(&mut self, to: u32) {
        self.desired = to;
        self.short_since = None;
        self.spare_since = None;
    }

    /// When a change may be due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let up = self
            .short_since
            .map(|at| after(at, self.config.up_after_ms));
        let down = self
            .spare_since
            .map(|(at, _)| after(at, self.config.down_after_ms));
        earlier(up, down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaler() -> Scaler {
        let config = ScaleConfig {
            min: 1,
            max: 4,
            ..ScaleConfig::default()
        };
        Scaler::new(config, 1)
    }

    fn waiting(waiting: usize, nodes: u32) -> Demand {
        Demand {
            waiting,
            nodes,
            slots: nodes * 4,
            ..Demand::default()
        }
    }

    #[test]
    fn a_lasting_backlog_grows_the_fleet_and_a_short_one_does_not() {
        let mut scaler = scaler();
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!(scaler.observe(start, waiting(100, 1)), None);
        assert_eq!(scaler.observe(after(start, 1_000), waiting(2, 1)), None);
        assert_eq!(scaler.observe(after(start, 4_000), waiting(100, 1)), None);
        let grown = scaler
            .observe(after(start, 7_000), waiting(100, 1))
            .unwrap();
        assert_eq!((grown.from, grown.to), (1, 4));
    }

    #[test]
    fn the_fleet_shrinks_to_the_most_that_was_needed_meanwhile() {
        let mut scaler = scaler();
        scaler.apply(4);
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!(scaler.observe(start, waiting(0, 4)), None);
        assert_eq!(scaler.observe(after(start, 30_000), waiting(16, 4)), None);
        let shrunk = scaler.observe(after(start, 60_000), waiting(0, 4)).unwrap();
        assert_eq!(shrunk.to, 2);
    }

    #[test]
    fn new_bounds_hold_at_once() {
        let mut scaler = scaler();
        scaler.set_bounds(3, 5);
        let up = scaler
            .observe(Timestamp::UNIX_EPOCH, waiting(0, 1))
            .unwrap();
        assert_eq!(up.to, 3);
    }
}
