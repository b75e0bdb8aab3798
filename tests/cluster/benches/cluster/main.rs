//! The figures of the cluster: throughput, take-over, recovery after faults, and a run of a million
//! tasks.
//!
//! Comes in: the parts to measure, as arguments (`throughput`, `takeover`, `faults`; all of these
//! without; `embedded`, `million`).
//! Goes out: a line per figure, with the machine's load. It must never print what it did not measure.

#![allow(missing_docs, reason = "a program")]

mod cost;
mod embedded;
mod faults;
mod figures;
mod million;
mod node;
mod stage;
mod takeover;
mod throughput;

use assay_cluster_tests::noop;
use stage::Ground;
use throughput::Case;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if let Ok(words) = std::env::var(node::VARIABLE) {
        return runtime.block_on(node::live(&words));
    }
    // Cargo adds flags of its own.
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let names = |part: &str| asked.iter().any(|a| a == part);
    let wants = |part: &str| asked.is_empty() || names(part);
    if names("embedded") {
        let case = |case| runtime.block_on(Box::pin(embedded::measure(case)));
        cases().into_iter().filter(|c| c.nodes == 1).for_each(case);
        if asked.len() == 1 {
            return;
        }
    }
    let mut ground = Ground::new();
    runtime.block_on(async {
        if wants("throughput") {
            for case in cases() {
                Box::pin(throughput::measure(&mut ground, case)).await;
            }
        }
        if wants("takeover") {
            Box::pin(takeover::measure(&mut ground)).await;
        }
        if wants("faults") {
            Box::pin(faults::measure(&mut ground)).await;
        }
        if names("million") {
            Box::pin(million::measure(&mut ground)).await;
        }
    });
}

/// `ASSAY_BENCH_CASES`, as `nodes:slots:runs:tasks` each; or the usual ones.
fn cases() -> Vec<Case> {
    let usual = "1:4:10:2000,1:64:10:2000,10:16:10:2000,50:4:10:2000";
    let told = std::env::var("ASSAY_BENCH_CASES").unwrap_or_else(|_| usual.to_owned());
    let case = |text: &str| {
        let numbers: Vec<usize> = text
            .split(':')
            .map(|n| n.parse().expect("a number"))
            .collect();
        let [nodes, slots, runs, tasks] = numbers[..] else {
            panic!("a case is nodes:slots:runs:tasks, not `{text}`");
        };
        let slots = u32::try_from(slots).expect("a few slots");
        Case {
            nodes,
            slots,
            runs,
            tasks,
        }
    };
    told.split(',').map(case).collect()
}
