//! What most drills do before and after their fault.

use std::sync::Arc;
use std::time::Duration;

use assay_cluster_tests::checker::{self, Facts};
use assay_cluster_tests::data::{self, Data, Shape};
use assay_cluster_tests::{Cluster, Drill, Plan};

/// How long a run may take in all.
pub const RUN: Duration = Duration::from_secs(120);

/// A cluster with data of `shape`, and nothing to do.
pub async fn stands(name: &str, plan: Plan, shape: Shape) -> (Arc<Drill>, Cluster, Data) {
    let drill = Drill::begin(name).await;
    let data = data::generate(drill.folder(), "orders", shape);
    let cluster = Cluster::start(&drill, plan).await;
    (drill, cluster, data)
}

/// A cluster with data of `shape`, and a run over it that has begun.
pub async fn begun(name: &str, plan: Plan, shape: Shape) -> (Cluster, Data, String) {
    let (_, cluster, data) = stands(name, plan, shape).await;
    let run = cluster.submit(&data, "first").await;
    (cluster, data, run)
}

/// A cluster in the middle of a run with slow commits, and the place of a node that measures.
pub async fn busied(name: &str, plan: Plan) -> (Cluster, Data, String, usize) {
    let (cluster, data, run) = begun(name, plan, Shape::USUAL).await;
    slow_commits(&cluster);
    let node = cluster.busy("measure").await;
    (cluster, data, run, node)
}

/// Waits for the run's end, and has the checker look at everything.
pub async fn ends_right(cluster: &Cluster, data: &Data, run: &str, facts: &Facts) {
    let state = cluster.ended(run, RUN).await;
    if !facts.may_be_partial {
        assert_eq!(state, "succeeded", "{}", cluster.tails());
    }
    is_right(cluster, &[data], facts).await;
}

/// Has the checker look at everything, once nothing is at work any more.
pub async fn is_right(cluster: &Cluster, data: &[&Data], facts: &Facts) {
    let quiet =
        "SELECT 'quiet' WHERE NOT EXISTS (SELECT 1 FROM task_attempt WHERE ended_at IS NULL)";
    cluster.until("quiet", Duration::from_secs(30), quiet).await;
    let broken = checker::check(&cluster.database, data, facts)
        .await
        .unwrap();
    let shown: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(
        broken.is_empty(),
        "{}\n{}",
        shown.join("\n"),
        cluster.tails()
    );
}

/// Makes every statement of the nodes take its time, so that whatever happens next hits tasks that
/// are at work, results that are under way, and commits whose answer is not yet there.
pub fn slow_commits(cluster: &Cluster) {
    for node in &cluster.nodes {
        cluster.wire.change(&node.name, "postgres", |rule| {
            rule.delay = Duration::from_millis(60);
            rule.jitter = Duration::from_millis(60);
        });
    }
}

/// How long it took from `fault` until a result was committed, which must be at most `limit`.
pub async fn recovers(cluster: &Cluster, fault: jiff::Timestamp, limit: Duration) {
    let patience = limit + Duration::from_secs(20);
    let first = cluster.first_result_after(fault, patience).await;
    let took = Duration::try_from(first.duration_since(fault)).unwrap_or_default();
    cluster
        .drill
        .note(format!("the first result came after {took:?}"));
    assert!(
        took <= limit,
        "the first result came after {took:?}, and {limit:?} are allowed\n{}",
        cluster.tails()
    );
}

/// The run goes on within `limit` of `healed`.
pub async fn goes_on(cluster: &Cluster, healed: jiff::Timestamp, limit: Duration) {
    let ended = "SELECT 'x' FROM run WHERE finished_at IS NOT NULL";
    let ended = cluster.database.texts(ended).await;
    if ended.is_ok_and(|rows| rows.is_empty()) {
        recovers(cluster, healed, limit).await;
    }
}

/// Rows as `a|b`, each of texts, for assertions.
pub async fn texts(cluster: &Cluster, query: &str) -> Vec<String> {
    cluster.database.texts(query).await.unwrap()
}

/// Nothing of what happened is charged.
pub fn uncharged() -> Facts {
    Facts {
        nothing_charged: true,
        ..Facts::default()
    }
}

/// A drill's name: that of its test.
#[macro_export]
macro_rules! drill {
    ($(#[$doc:meta])* $name:ident, $body:expr) => {
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let body = $body;
            Box::pin(body(stringify!($name))).await;
        }
    };
}
