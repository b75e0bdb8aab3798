//! Defects that the simulator must find: each is a way in which this protocol could be wrong.
//!
//! What comes in: nothing. What goes out: the list. A mutant sits in the store, the driver or the
//! numbers around the core; it must never be a switch inside the core itself.

// The macro derives by this name.
use serde as _;

assay_model::words! {
    /// One defect.
    pub enum Mutant {
        /// The store completes any attempt of a task that is at work.
        NoAttemptFence = "no_attempt_fence",
        /// The store takes the writes of deposed leaders.
        NoEpochFence = "no_epoch_fence",
        /// A repeated completion writes its rows again.
        DoubleMetrics = "double_metrics",
        /// A repeated submission replaces the run.
        SubmitOverwrites = "submit_overwrites",
        /// The store assigns a task whatever its state.
        AssignIgnoresState = "assign_ignores_state",
        /// A node that registers anew gets the incarnation that it had.
        IncarnationReused = "incarnation_reused",
        /// Registering releases nothing.
        RegisterReleasesNothing = "register_releases_nothing",
        /// A drain counts against the retries.
        DrainCharged = "drain_charged",
        /// The loss of a zone counts against the retries.
        ZoneLossCharged = "zone_loss_charged",
        /// A crash is counted as an error.
        CrashNotCounted = "crash_not_counted",
        /// One retry more than allowed.
        RetryOffByOne = "retry_off_by_one",
        /// Evaluations do not wait for their measurements.
        DependencyIgnored = "dependency_ignored",
        /// A plan loses its last task.
        PlanCutShort = "plan_cut_short",
        /// Nodes seem to hold whatever they should.
        NoOrphanCheck = "no_orphan_check",
        /// Nobody looks at the time of attempts.
        NoTimeouts = "no_timeouts",
        /// There is no pause before the next attempt.
        NoBackoff = "no_backoff",
        /// The store ends a run whatever the states of its tasks.
        RunEndsOnAWord = "run_ends_on_a_word",
        /// The store assigns what judges whatever the states of what it needs.
        AssignIgnoresNeeds = "assign_ignores_needs",
        /// A cancellation is lost.
        CancelLost = "cancel_lost",
        /// Two runs of a dataset are at work at once.
        TwoRunsAtOnce = "two_runs_at_once",
        /// A run that is tried again is at work at once.
        RetryJumpsTheQueue = "retry_jumps_the_queue",
        /// A run that is tried again measures what failed and judges nothing again.
        RetryJudgesNothing = "retry_judges_nothing",
        /// The leader believes in one slot more than there is.
        SlotsOvercounted = "slots_overcounted",
        /// A node's later life is taken for its earlier one.
        OldIncarnationKept = "old_incarnation_kept",
        /// Tasks are given to nodes whatever their state and life.
        AssignIgnoresNode = "assign_ignores_node",
        /// An attempt that was ended may complete still.
        EndedAttemptCompletes = "ended_attempt_completes",
        /// The end of one of two copies ends the task's work.
        HandOverForgotten = "hand_over_forgotten",
        /// The copy that lost stays open.
        OtherCopyForgotten = "other_copy_forgotten",
        /// The end of one of two copies counts against the retries.
        CopyCharged = "copy_charged",
        /// A charge that is taken back stands.
        ForgiveIgnored = "forgive_ignored",
        /// A source that is away counts against the retries.
        OutageCharged = "outage_charged",
        /// Sources that are away are asked all the time.
        NoBreaker = "no_breaker",
        /// Runs have no deadline.
        DeadlineIgnored = "deadline_ignored",
        /// A drain is lost.
        DrainLost = "drain_lost",
        /// Deaths at the same time are looked at one by one.
        NoCorrelation = "no_correlation",
    }
}

impl Mutant {
    /// Defects that other defences cover, so that alone they change nothing that can be seen:
    /// the epoch fence keeps two leaders from assigning one task, the core releases the attempts of
    /// earlier lives itself, and heartbeats find what a reused incarnation hides.
    pub const COVERED: &'static [Self] = &[
        Self::AssignIgnoresState,
        Self::IncarnationReused,
        Self::RegisterReleasesNothing,
    ];

    /// Each covered defect, and the defect of what covers it: together they are found.
    pub const PAIRS: &'static [(Self, Self)] = &[
        (Self::AssignIgnoresState, Self::NoEpochFence),
        (Self::IncarnationReused, Self::NoOrphanCheck),
        (Self::RegisterReleasesNothing, Self::OldIncarnationKept),
    ];
}
