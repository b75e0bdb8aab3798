//! Which faults a seed has, and how often: drawn, so that no two faults always come together.
//!
//! What comes in: dice. What goes out: rates. It must never look at what the rates do.

use super::rng::Dice;

/// The faults of one seed. Rates are per thousand; 0 switches a fault off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Managers: one or two.
    pub managers: usize,
    /// Nodes.
    pub nodes: usize,
    /// Failure zones; 0: nodes have none.
    pub zones: u64,
    /// Runs that are asked for.
    pub runs: u64,
    /// How long faults rage, in virtual milliseconds.
    pub chaos_ms: u64,
    /// The longest delay of a message.
    pub delay_ms: u64,
    /// Messages lost.
    pub loss: u64,
    /// Messages doubled.
    pub double: u64,
    /// Commits that are not applied.
    pub not_applied: u64,
    /// Writes that are applied and not confirmed.
    pub ack_lost: u64,
    /// Faults below: chance per half second.
    pub node_kill: u64,
    /// A node sleeps, past its lease or not, and goes on.
    pub node_pause: u64,
    /// All nodes of a zone die.
    pub zone_kill: u64,
    /// A node and the leader do not hear one another.
    pub split: u64,
    /// A node does not hear the leader.
    pub deaf: u64,
    /// The leader does not hear a node.
    pub mute: u64,
    /// A node cannot reach the store.
    pub node_cut: u64,
    /// A manager cannot reach the store.
    pub leader_cut: u64,
    /// The coordinator loses all that it holds.
    pub wipe: u64,
    /// The coordinator is away: no elections, no word of leases.
    pub etcd_away: u64,
    /// Attempts that are slow where they are, per thousand.
    pub straggle: u64,
    /// The clocks of nodes are wrong by up to ten minutes.
    pub skew: bool,
    /// A lease is said to be lost that is not.
    pub lease_lie: u64,
    /// A leader dies.
    pub leader_kill: u64,
    /// A leader sleeps and goes on.
    pub leader_pause: u64,
    /// Another manager is made leader though one leads.
    pub usurp: u64,
    /// The store is away.
    pub outage: u64,
    /// A node is drained.
    pub drain: u64,
    /// A run is cancelled.
    pub cancel: u64,
    /// A dataset's source is away.
    pub source_away: u64,
    /// Tasks that kill their process.
    pub poison: u64,
    /// Tasks that fail for good.
    pub permanent: u64,
    /// Tasks that fail at first.
    pub flaky: u64,
    /// Tasks that never end.
    pub hang: u64,
    /// Runs with a deadline that is short.
    pub short_deadline: u64,
    /// Ended runs that are retried.
    pub retry: u64,
    /// Successes that are told before they are committed, or that never are.
    pub lie: u64,
}

impl Swarm {
    /// Draws the faults of a seed.
    #[must_use]
    pub fn draw(dice: &mut Dice) -> Self {
        let mut rate = |permille: u64| {
            let on = dice.chance(450);
            let drawn = dice.range(1, permille);
            if on { drawn } else { 0 }
        };
        Self {
            loss: rate(200),
            double: rate(100),
            not_applied: rate(150),
            ack_lost: rate(50),
            node_kill: rate(60),
            node_pause: rate(40),
            zone_kill: rate(15),
            split: rate(40),
            deaf: rate(40),
            mute: rate(40),
            node_cut: rate(40),
            leader_cut: rate(20),
            wipe: rate(15),
            etcd_away: rate(20),
            straggle: rate(300),
            lease_lie: rate(60),
            leader_kill: rate(25),
            leader_pause: rate(25),
            usurp: rate(25),
            outage: rate(20),
            drain: rate(30),
            cancel: rate(15),
            source_away: rate(25),
            poison: rate(150),
            permanent: rate(100),
            flaky: rate(250),
            hang: rate(100),
            short_deadline: rate(250),
            retry: rate(500),
            lie: rate(200),
            skew: dice.chance(300),
            managers: 1 + usize::from(dice.chance(700)),
            nodes: usize::try_from(dice.range(1, 5)).unwrap_or(1),
            zones: dice.below(4),
            runs: dice.range(1, 5),
            chaos_ms: dice.range(10_000, 90_000),
            delay_ms: if dice.chance(500) { 20 } else { 2_000 },
        }
    }
}
