//! A cluster that nothing happens to.

use assay_cluster_tests::Plan;
use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::data::Shape;

use crate::usual::{begun, ends_right};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_on_a_cluster_finds_the_truth_and_charges_nothing() {
    let name = "a_run_on_a_cluster_finds_the_truth_and_charges_nothing";
    let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
    let facts = Facts {
        nothing_charged: true,
        ..Facts::default()
    };
    ends_right(&cluster, &data, &run, &facts).await;
    let nodes = "SELECT count(DISTINCT node)::text FROM task_attempt";
    assert_eq!(cluster.database.text(nodes).await.unwrap(), "3");
    assert_eq!(cluster.wire.unknown(), 0, "connections of nobody");
}
