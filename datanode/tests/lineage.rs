//! Lineage of whole runs: every move is told, in order, over a sink that is away and over a change of
//! leaders, and no run waits for it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cluster;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use assay_lineage::{LineageSink, SinkError};
use assay_manager::{Lineage, ManagerHandle};
use assay_model::run::{Run, RunState, Selection, Trigger};
use assay_proto::link::Door;
use async_trait::async_trait;
use cluster::{Cluster, within};
use serde_json::Value;

/// Keeps what it takes, while it is there.
#[derive(Default)]
struct Shelf {
    away: AtomicBool,
    offers: Mutex<u32>,
    taken: Mutex<Vec<Value>>,
}

#[async_trait]
impl LineageSink for Shelf {
    async fn take(&self, event: &Value) -> Result<(), SinkError> {
        *self.offers.lock().unwrap() += 1;
        if self.away.load(Ordering::SeqCst) {
            return Err(SinkError::Away("not now".to_owned()));
        }
        self.taken.lock().unwrap().push(event.clone());
        Ok(())
    }
}

impl Shelf {
    /// The kinds of the events of each run, in order.
    fn runs(&self) -> BTreeMap<String, Vec<String>> {
        let mut runs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in self.taken.lock().unwrap().iter() {
            let run = event["run"]["runId"].as_str().unwrap().to_owned();
            let kind = event["eventType"].as_str().unwrap().to_owned();
            runs.entry(run).or_default().push(kind);
        }
        runs
    }

    /// Waits until the last event of a run was taken.
    async fn has_ended(&self, run: &Run) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let id = run.id.0.to_string();
        loop {
            let runs = self.runs();
            let last = runs.get(&id).and_then(|kinds| kinds.last().cloned());
            if last.is_some_and(|kind| kind == "COMPLETE" || kind == "FAIL") {
                return;
            }
            assert!(Instant::now() < deadline, "{runs:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn lineage(shelf: &Arc<Shelf>) -> Lineage {
    Lineage {
        sink: Arc::clone(shelf) as Arc<dyn LineageSink>,
        namespace: "shop".to_owned(),
    }
}

async fn run(manager: &ManagerHandle, cluster: &Cluster) -> Run {
    let selection = Selection {
        rescan: true,
        ..Selection::default()
    };
    let submitted = manager.submit(cluster.dataset(), Trigger::Manual, selection, None);
    let run = submitted.await.unwrap().run;
    within("the end", manager.wait(run)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_told_in_order_over_a_sink_that_is_away_and_a_change_of_leaders() {
    let cluster = Cluster::new().await;
    cluster.write_days(3);
    let shelf = Arc::new(Shelf::default());
    let manager = cluster.manager("m1");
    let door = Door::Local(manager.doorway());
    let node = cluster.node("n1", vec![door]);
    within("leadership", manager.leads()).await;
    manager.tell_lineage(lineage(&shelf));
    let first = run(&manager, &cluster).await;
    assert_eq!(first.state, RunState::Succeeded, "{first:?}");
    shelf.has_ended(&first).await;
    // While nobody takes events, runs go on.
    shelf.away.store(true, Ordering::SeqCst);
    let second = run(&manager, &cluster).await;
    assert_eq!(second.state, RunState::Succeeded, "{second:?}");
    let deadline = Instant::now() + Duration::from_secs(30);
    let before = *shelf.offers.lock().unwrap();
    while *shelf.offers.lock().unwrap() == before {
        assert!(Instant::now() < deadline, "nothing is offered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    within("a drain", node.handle.drain("the leader changes")).await;
    within("a shutdown", manager.shutdown()).await;
    shelf.away.store(false, Ordering::SeqCst);
    // The next leader goes on where the other stopped.
    let manager = cluster.manager("m2");
    let door = Door::Local(manager.doorway());
    let node = cluster.node("n2", vec![door]);
    within("leadership", manager.leads()).await;
    manager.tell_lineage(lineage(&shelf));
    let third = run(&manager, &cluster).await;
    shelf.has_ended(&third).await;
    let runs = shelf.runs();
    assert_eq!(runs.len(), 3, "{runs:?}");
    for (run, kinds) in &runs {
        assert_eq!(kinds[..], ["START", "RUNNING", "COMPLETE"], "{run}");
    }
    let taken = shelf.taken.lock().unwrap().clone();
    let last = taken.last().unwrap();
    assert_eq!(last["job"]["namespace"], "shop");
    let input = &last["inputs"][0];
    let facets = &input["inputFacets"];
    assert!(
        facets["dataQualityMetrics"]["rowCount"].is_u64(),
        "{last:#}"
    );
    let assertions = facets["dataQualityAssertions"]["assertions"].as_array();
    assert!(!assertions.unwrap().is_empty(), "{last:#}");
    let tests = last["run"]["facets"]["test"]["tests"].as_array().unwrap();
    assert!(tests.len() > 5, "{last:#}");
    within("a drain", node.handle.drain("the test is over")).await;
    within("a shutdown", manager.shutdown()).await;
}
