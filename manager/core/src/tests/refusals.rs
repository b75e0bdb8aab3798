//! What the store refuses for what it holds: it is found, told, and holds up nothing else.

use super::*;

#[test]
fn a_run_whose_plan_the_store_never_takes_has_failed_and_says_why() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    bench.unplannable = true;
    let run = bench.planned(2);
    bench.wait(1_000);
    // Nobody has cancelled it, and nothing of it was judged.
    assert_eq!(bench.moved[&run], RunState::Failed);
    let reason = bench.store.runs[&run].reason.clone().unwrap_or_default();
    assert!(reason.contains("its plan cannot be stored"), "{reason}");
    // Its dataset goes on.
    bench.unplannable = false;
    let next = bench.submit("orders", "two");
    bench.complete(next, 0, &TaskOutput::Discovered(batches(1)));
    assert_eq!(bench.state(next, 1), TaskState::Assigned);
}
