//! Seeds, mutants, and the ledger of seeds that once failed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Mutant, Report, run};

/// Seeds that found a defect of the core, each with its defect; they are run first, for ever.
///
/// A seed draws another world once the swarm has another fault; what it found stays a test.
const LEDGER: &[(u64, &str)] = &[
    (
        294,
        "a cancellation that came after the last success called the whole run cancelled",
    ),
    (
        5415,
        "the nodes of a zone that died in one commit were charged by that commit",
    ),
    (
        14040,
        "a copy that was stopped for a success that was none counted for a slot given to another",
    ),
    (
        14959,
        "a leader died between the second death of a zone and taking back the charges of the first",
    ),
];

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn passes(seed: u64) -> Report {
    match run(seed, &[]) {
        Ok(report) => report,
        Err(violation) => panic!("{violation}"),
    }
}

/// As many seeds as `ASSAY_SIM_SEEDS` says, or as fit into about twenty seconds.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time budget of the test itself"
)]
fn every_seed_keeps_every_promise() {
    let wanted = from_environment("ASSAY_SIM_SEEDS");
    let first = from_environment("ASSAY_SIM_FIRST").unwrap_or(0);
    let begin = Instant::now();
    let (mut seeds, mut steps, mut faults, mut slowest) = (0, 0, 0, 0);
    while wanted.map_or(begin.elapsed() < Duration::from_secs(20), |n| seeds < n) {
        let report = passes(first + seeds);
        seeds += 1;
        steps += report.steps;
        faults += report.faults;
        slowest = slowest.max(report.settled_ms);
    }
    let rate = seeds as f64 / begin.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds, {steps} steps, {faults} faults, {rate:.0} seeds/s, settled within {slowest} ms"
    );
    assert!(faults > 0, "a simulation without faults proves nothing");
}

/// One seed, for whoever repeats a failure: `ASSAY_SIM_SEED`, and `ASSAY_SIM_MUTANT` if need be.
#[test]
fn one_seed() {
    let seed = from_environment("ASSAY_SIM_SEED").unwrap_or(1);
    let mutants: Vec<Mutant> = std::env::var("ASSAY_SIM_MUTANT")
        .ok()
        .map(|m| m.split(',').map(|m| m.parse().unwrap()).collect())
        .unwrap_or_default();
    let mut world = super::world::World::new(seed, &mutants);
    world.loud = std::env::var("ASSAY_SIM_SEED").is_ok();
    if world.loud {
        println!("{:?}", world.swarm);
    }
    if let Err(violation) = world.run() {
        panic!("{violation}");
    }
}

#[test]
fn the_same_seed_twice_leaves_the_same_trace() {
    for seed in 0..40 {
        assert_eq!(passes(seed), passes(seed));
    }
    assert_ne!(passes(1).trace, passes(2).trace);
}

#[test]
fn seeds_that_once_failed_pass() {
    for (seed, defect) in LEDGER {
        if let Err(violation) = run(*seed, &[]) {
            panic!("{defect}: {violation}");
        }
    }
}

/// A million steps, each a message, a timer, a call of the store or a fault, and every promise
/// checked after every write. The steps are asserted, the time is a figure.
#[test]
#[expect(clippy::disallowed_methods, reason = "the figure is of the real clock")]
fn a_million_random_steps_break_no_promise() {
    let begin = Instant::now();
    let (mut seed, mut steps, mut faults, mut commits) = (1_000_000, 0_u64, 0, 0);
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    while steps < 1_000_000 {
        let report = passes(seed);
        seed += 1;
        steps += report.steps;
        faults += report.faults;
        commits += report.commits;
        for (what, n) in report.counts {
            *seen.entry(what).or_default() += n;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{steps} steps, {commits} commits, {faults} faults in {seconds:.1} s: {seen:?}");
    assert!(steps >= 1_000_000);
    // A promise that is never put to the test proves nothing.
    for what in [
        "tasks_copied",
        "copies_fenced",
        "charges_taken_back",
        "attempts_node_lost",
        "attempts_orphaned",
        "attempts_drained",
        "attempts_dispatch_lost",
        "attempts_dependency_down",
        "attempts_timed_out",
        "attempts_crashed",
        "attempts_cancelled",
        "changes_fenced",
        "commits_not_applied",
        "words_untrue",
        "nodes_dead",
        "runs_ended",
    ] {
        assert!(seen.contains_key(what), "{what} never happened");
    }
}

/// Seeds that a mutant may take to be found.
const MUTANT_SEEDS: u64 = 3_000;

#[test]
fn every_mutant_is_found() {
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        if Mutant::COVERED.contains(mutant) {
            continue;
        }
        let killed = (0..MUTANT_SEEDS).find_map(|seed| run(seed, &[*mutant]).err());
        match killed {
            Some(violation) => println!("{mutant}: {} at seed {}", violation.id, violation.seed),
            None => survivors.push(mutant.as_str()),
        }
    }
    assert!(
        survivors.is_empty(),
        "these defects are not found: {survivors:?}"
    );
    assert!(Mutant::ALL.len() - Mutant::COVERED.len() >= 25);
}

/// A defect that others cover is found together with the defect of the one that covers it: the
/// pair breaks a promise that the other defect alone does not break there.
#[test]
fn every_covered_mutant_is_found_in_a_pair() {
    for (mutant, cover) in Mutant::PAIRS {
        let found = (0..MUTANT_SEEDS).find_map(|seed| {
            let pair = run(seed, &[*mutant, *cover]).err()?;
            let alone = run(seed, &[*cover]).err();
            (alone.map(|v| v.id) != Some(pair.id)).then_some(pair)
        });
        match found {
            Some(v) => println!("{mutant} with {cover}: {} at seed {}", v.id, v.seed),
            None => panic!("{mutant} with {cover} is not found"),
        }
    }
    for mutant in Mutant::COVERED {
        let paired = Mutant::PAIRS.iter().any(|pair| pair.0 == *mutant);
        assert!(paired, "{mutant} needs a pair that is found");
    }
}
