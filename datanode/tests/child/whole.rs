//! A whole cluster whose node works in child processes.

use std::sync::Arc;
use std::time::Duration;

use assay_datanode::runner::child::{ChildConfig, ChildRunner};
use assay_datanode::{DataNode, NodeConfig, NodeHandle, NodeParts, NodeStatus};
use assay_manager::{ManagerHandle, system_clock};
use assay_model::ids::RunId;
use assay_model::run::{RunState, Selection, Trigger};
use assay_model::task::TaskState;
use assay_proto::link::Door;

use crate::cluster::{Cluster, within};
use crate::fixture::FULL;
use crate::support::children;

fn node(cluster: &Cluster, manager: &ManagerHandle) -> NodeHandle {
    let config = NodeConfig {
        slots: 2,
        memory_bytes: 2 * FULL,
        heartbeat: Duration::from_millis(200),
        ..NodeConfig::new("n1", vec![Door::Local(manager.doorway())])
    };
    let runner = ChildRunner::new(cluster.metrics.clone(), ChildConfig::own(config.slots));
    DataNode::start(NodeParts {
        store: cluster.store.clone(),
        coordinator: Some(Arc::new(cluster.coordinator.clone())),
        runner: Arc::new(runner),
        config,
        now: system_clock(),
        telemetry: assay_telemetry::Telemetry::default(),
    })
    .unwrap()
}

/// A cluster over so many days, whose manager leads.
async fn led(days: u32) -> (Cluster, ManagerHandle, NodeHandle) {
    let cluster = Cluster::new().await;
    cluster.write_days(days);
    let manager = cluster.manager("m1");
    within("leadership", manager.leads()).await;
    let node = node(&cluster, &manager);
    (cluster, manager, node)
}

/// The run ends, and one task of it was quarantined after two deaths.
async fn quarantines(cluster: &Cluster, manager: &ManagerHandle, run: RunId) {
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Partial, "{ended:?}");
    let crashed = ["crashed", "crashed"].map(str::to_owned).to_vec();
    assert_eq!(
        troubled(cluster, run).await,
        [(TaskState::Quarantined, crashed)]
    );
}

async fn submit(cluster: &Cluster, manager: &ManagerHandle, tags: &[&str]) -> RunId {
    let mut dataset = cluster.dataset();
    dataset.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let submitted = manager.submit(dataset, Trigger::Manual, Selection::default(), None);
    submitted.await.unwrap().run
}

/// Outcomes of the attempts of every task that had one which did not end with `ok`.
async fn troubled(cluster: &Cluster, run: RunId) -> Vec<(TaskState, Vec<String>)> {
    let tasks = cluster.metrics.tasks(run).await.unwrap();
    let of = |(task, rows): (assay_model::task::Task, Vec<_>)| {
        let outcomes: Vec<String> = rows
            .into_iter()
            .filter_map(|row: assay_store::port::AttemptRow| row.outcome)
            .collect();
        (task.state, outcomes)
    };
    let mut all: Vec<_> = tasks.into_iter().map(of).collect();
    all.retain(|(_, outcomes)| outcomes.iter().any(|o| o != "ok"));
    all
}

pub async fn poison_is_quarantined_after_two_deaths_and_the_rest_of_the_run_stands() {
    let (cluster, manager, node) = led(6).await;
    let run = submit(&cluster, &manager, &["abort", "2026-10-03"]).await;
    quarantines(&cluster, &manager, run).await;
    let counted = cluster.row_counts().await;
    let days: Vec<&str> = counted.iter().map(|(day, _)| &day[8..]).collect();
    assert_eq!(days, ["01", "02", "04", "05", "06"]);
    // The node is there, and in its first life.
    let status = *node.status().borrow();
    let NodeStatus::Live { incarnation, .. } = status else {
        panic!("{status:?}");
    };
    assert_eq!(incarnation.0, 1);
    node.kill().await;
}

pub async fn what_loops_for_ever_is_quarantined_after_two_deaths() {
    let (cluster, manager, node) = led(3).await;
    let mut dataset = cluster.dataset();
    dataset.tags = ["spin", "2026-10-02"].map(str::to_owned).to_vec();
    dataset.run.timeout_s = 1;
    let submitted = manager.submit(dataset, Trigger::Manual, Selection::default(), None);
    let run = submitted.await.unwrap().run;
    quarantines(&cluster, &manager, run).await;
    node.kill().await;
}

pub async fn a_killed_child_costs_one_attempt() {
    let (cluster, manager, node) = led(3).await;
    // The first attempt dies, the second, a suspect's with half the memory, does not.
    let run = submit(&cluster, &manager, &["abort-when-full", "2026-10-02"]).await;
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    let attempts = ["crashed", "ok"].map(str::to_owned).to_vec();
    assert_eq!(
        troubled(&cluster, run).await,
        [(TaskState::Succeeded, attempts)]
    );
    cluster.assert_right(3).await;
    assert!(!children().is_empty());
    node.drain("the test is over").await;
}
