//! The figures of the gateway: cached and uncached reads, the way from a commit to its answer, and
//! five times the load that can be served.
//!
//! Comes in: the parts to measure, as arguments (`cached`, `uncached`, `told`, `overload`; all
//! without). Goes out: a line per figure, with the machine's load, and at the end each goal with
//! whether it is met. It must never print what it did not measure. The gateway has a core of its own; Postgres shares the load generator's.

#![allow(missing_docs, reason = "a program")]

mod ask;
mod cached;
mod far;
mod figures;
mod goals;
mod overload;
mod server;
mod told;
mod world;
mod wrk;

use goals::Goals;
use world::World;

fn main() {
    // The generator has a core of its own, the gateway the other one.
    server::pin(std::process::id(), server::GENERATOR);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    // Cargo adds flags of its own.
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wants = |part: &str| asked.is_empty() || asked.iter().any(|a| a == part);
    runtime.block_on(async {
        let world = World::new().await;
        let mut goals = Goals::default();
        if wants("cached") {
            Box::pin(cached::measure(&world, &mut goals)).await;
        }
        if wants("uncached") {
            Box::pin(cached::measure_uncached(&world)).await;
        }
        if wants("told") {
            Box::pin(told::measure(&world, &mut goals)).await;
        }
        if wants("overload") {
            Box::pin(overload::measure(&world, &mut goals)).await;
        }
        goals.print();
    });
}
