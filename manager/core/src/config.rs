//! The numbers that the decisions rest on. Defaults are the project's decided figures.
//!
//! What comes in: nothing. What goes out: one [`Config`]. It must never be changed while a core
//! runs on it; a new configuration is a new core.

use assay_model::unfinished::TasksHeld;

/// The numbers that the decisions rest on. Durations are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Config {
    /// After a take-over, no silent node is declared dead for this long: the lease of a node
    /// (9 s) and one second.
    pub grace_ms: u64,
    /// A node that is silent for this long gets no new work.
    pub suspect_after_ms: u64,
    /// A node that is silent for this long is dead, whatever its lease says.
    pub dead_after_ms: u64,
    /// Deaths within this window are looked at together (mass loss of leases, loss of a zone).
    pub correlation_window_ms: u64,
    /// An assignment that is not started within this time is taken back, uncharged.
    pub dispatch_timeout_ms: u64,
    /// A measurement whose counters do not move for this long has timed out.
    pub stall_timeout_ms: u64,
    /// A draining node that holds work for longer than this has it taken back, uncharged.
    pub drain_grace_ms: u64,
    /// The pause after the first charged attempt that the task's own error ended; doubles.
    pub task_backoff_ms: u64,
    /// The longest such pause.
    pub task_backoff_max_ms: u64,
    /// The pause after the first attempt that its node's death ended; doubles.
    pub node_backoff_ms: u64,
    /// Attempts of a task that may end without counting against its retries.
    pub uncharged_max: u32,
    /// Crashes of its process after which a task is quarantined.
    pub crashes_max: u32,
    /// Runs of one dataset that are at work at once.
    pub max_running_runs_per_dataset: u32,
    /// Runs of all datasets that are at work at once.
    pub max_running_runs: u32,
    /// Changes in one commit, at most; the rest follows in the next.
    pub max_changes_per_commit: usize,
    /// Tasks that the leader holds in memory.
    pub tasks_held: TasksHeld,
    /// The pause before a commit that was not applied is tried again; doubles up to 16 times.
    pub commit_retry_ms: u64,
    /// The first pause of a source that is away; doubles.
    pub breaker_ms: u64,
    /// The longest such pause.
    pub breaker_max_ms: u64,
    /// Failures of a node, of tasks that others did well, after which it is excluded.
    pub exclude_after: usize,
    /// The window in which those failures are counted.
    pub exclude_window_ms: u64,
    /// How long a node stays excluded.
    pub exclude_for_ms: u64,
    /// The share of all nodes that may be excluded, in percent.
    pub exclude_max_percent: u32,
    /// What every task costs beside its bytes, in bytes: fairness and load both use it.
    pub task_overhead_bytes: u64,
    /// Second copies of stragglers.
    pub copies: CopyConfig,
    /// Elasticity.
    pub scale: ScaleConfig,
}

/// When a measurement that is slower than its peers gets a second copy on another node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct CopyConfig {
    /// Whether there are second copies at all.
    pub enabled: bool,
    /// Never before it has run for this long.
    pub after_ms: u64,
    /// Only when it takes this many thousandths of what its peers took for their bytes.
    pub slower_permille: u64,
    /// Peers that must have been done before anything is called slow.
    pub peers_min: usize,
    /// Second copies at once, in percent of all slots; at least one.
    pub max_percent: u32,
}

impl Default for CopyConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            after_ms: 30_000,
            slower_permille: 3_000,
            peers_min: 3,
            max_percent: 10,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            grace_ms: 10_000,
            suspect_after_ms: 5_000,
            dead_after_ms: 15_000,
            correlation_window_ms: 10_000,
            dispatch_timeout_ms: 10_000,
            stall_timeout_ms: 60_000,
            drain_grace_ms: 60_000,
            task_backoff_ms: 5_000,
            task_backoff_max_ms: 300_000,
            node_backoff_ms: 500,
            uncharged_max: 20,
            crashes_max: 2,
            max_running_runs_per_dataset: 1,
            max_running_runs: 256,
            max_changes_per_commit: 256,
            tasks_held: TasksHeld::default(),
            commit_retry_ms: 100,
            breaker_ms: 5_000,
            breaker_max_ms: 60_000,
            exclude_after: 3,
            exclude_window_ms: 600_000,
            exclude_for_ms: 900_000,
            exclude_max_percent: 30,
            task_overhead_bytes: 1 << 20,
            copies: CopyConfig::default(),
            scale: ScaleConfig::default(),
        }
    }
}

/// No duration of a configuration is longer: a year.
const MS_MAX: u64 = 365 * 24 * 3_600 * 1_000;

impl Config {
    /// Whether a core can run on these numbers.
    ///
    /// # Errors
    /// The first number that it cannot run on, and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let durations = [
            ("grace_ms", self.grace_ms),
            ("suspect_after_ms", self.suspect_after_ms),
            ("dead_after_ms", self.dead_after_ms),
            ("correlation_window_ms", self.correlation_window_ms),
            ("dispatch_timeout_ms", self.dispatch_timeout_ms),
            ("stall_timeout_ms", self.stall_timeout_ms),
            ("task_backoff_ms", self.task_backoff_ms),
            ("task_backoff_max_ms", self.task_backoff_max_ms),
            ("node_backoff_ms", self.node_backoff_ms),
            ("commit_retry_ms", self.commit_retry_ms),
            ("breaker_ms", self.breaker_ms),
            ("breaker_max_ms", self.breaker_max_ms),
            ("exclude_window_ms", self.exclude_window_ms),
            ("exclude_for_ms", self.exclude_for_ms),
            ("copies.after_ms", self.copies.after_ms),
        ];
        for (name, ms) in durations {
            if !(1..=MS_MAX).contains(&ms) {
                return Err(format!("{name} is {ms}; it may be 1 to {MS_MAX}"));
            }
        }
        let counts = [
            ("crashes_max", u64::from(self.crashes_max)),
            (
                "max_running_runs_per_dataset",
                u64::from(self.max_running_runs_per_dataset),
            ),
            ("max_running_runs", u64::from(self.max_running_runs)),
            ("max_changes_per_commit", self.max_changes_per_commit as u64),
            ("exclude_after", self.exclude_after as u64),
            ("tasks_held.per_run", self.tasks_held.per_run as u64),
            ("scale.slots_per_node", u64::from(self.scale.slots_per_node)),
            ("scale.tasks_per_slot", u64::from(self.scale.tasks_per_slot)),
        ];
        for (name, count) in counts {
            if count == 0 {
                return Err(format!("{name} is 0; it is at least 1"));
            }
        }
        if self.suspect_after_ms > self.dead_after_ms {
            return Err("suspect_after_ms is more than dead_after_ms".to_owned());
        }
        if self.exclude_max_percent > 100 {
            return Err("exclude_max_percent is more than 100".to_owned());
        }
        if self.scale.min > self.scale.max {
            return Err("scale.min is more than scale.max".to_owned());
        }
        Ok(())
    }
}

/// How the number of nodes follows the backlog.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ScaleConfig {
    /// Nodes, at least.
    pub min: u32,
    /// Nodes, at most. Equal to `min`: the fleet has a fixed size.
    pub max: u32,
    /// Slots of a node that is yet to come, when no node is there to ask.
    pub slots_per_node: u32,
    /// Tasks per slot, waiting ones included, that the fleet is sized for.
    pub tasks_per_slot: u32,
    /// More nodes are asked for once the need has lasted this long.
    pub up_after_ms: u64,
    /// Fewer nodes are asked for once the surplus has lasted this long.
    pub down_after_ms: u64,
}

impl Default for ScaleConfig {
    fn default() -> Self {
        Self {
            min: 1,
            max: 1,
            slots_per_node: 4,
            tasks_per_slot: 2,
            up_after_ms: 3_000,
            down_after_ms: 60_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_run_on_and_numbers_that_would_stop_the_core_cannot() {
        let good = Config::default();
        assert_eq!(good.check(), Ok(()));
        let still = Config {
            max_changes_per_commit: 0,
            ..good.clone()
        };
        assert!(
            still
                .check()
                .unwrap_err()
                .contains("max_changes_per_commit")
        );
        let hasty = Config {
            suspect_after_ms: 20_000,
            ..good.clone()
        };
        assert!(hasty.check().is_err());
        let endless = Config {
            stall_timeout_ms: u64::MAX,
            ..good
        };
        assert!(endless.check().unwrap_err().contains("stall_timeout_ms"));
    }
}
