//! Runs on a whole cluster in one process.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cluster;

use std::sync::atomic::Ordering;
use std::time::Duration;

use assay_model::run::{RunState, Selection, Trigger};
use assay_model::task::TaskState;
use assay_proto::link::{Door, unary};
use assay_proto::v1;
use cluster::{Cluster, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_over_a_folder_of_files_ends_with_the_right_row_counts() {
    let cluster = Cluster::new().await;
    cluster.write_days(12);
    let manager = cluster.manager("m1");
    let door = Door::Local(manager.doorway());
    let nodes: Vec<_> = (1..=3)
        .map(|n| cluster.node(&format!("n{n}"), vec![door.clone()]))
        .collect();
    within("leadership", manager.leads()).await;
    let submit = || {
        manager.submit(
            cluster.dataset(),
            Trigger::Manual,
            Selection::default(),
            Some("first"),
        )
    };
    let run = submit().await.unwrap();
    assert!(!run.existed);
    let ended = within("the end", manager.wait(run.run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    assert_eq!(ended.planned_tasks, 24);
    cluster.assert_right(12).await;
    let again = submit().await.unwrap();
    assert_eq!((again.run, again.existed), (run.run, true));

    // Nothing has changed: a second run reads nothing.
    let second = manager
        .submit(
            cluster.dataset(),
            Trigger::Manual,
            Selection::default(),
            None,
        )
        .await
        .unwrap();
    let ended = within("the end", manager.wait(second.run)).await.unwrap();
    assert_eq!((ended.state, ended.planned_tasks), (RunState::Succeeded, 0));

    let verdicts = cluster
        .metrics
        .verdicts(&cluster.dataset().id, None, 100)
        .await
        .unwrap();
    assert_eq!(verdicts.len(), 12);
    assert!(
        verdicts
            .iter()
            .all(|v| v.counts.is_complete() && v.counts.planned > 5)
    );
    for node in &nodes {
        within("a drain", node.handle.drain("the test is over")).await;
    }
    within("a shutdown", manager.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_over_tcp_submits_watches_and_reads() {
    let cluster = Cluster::new().await;
    cluster.write_days(5);
    let manager = cluster.manager("m1");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let door = Door::Tcp(format!("http://{}", listener.local_addr().unwrap()));
    manager.serve(listener);
    within("leadership", manager.leads()).await;
    let _node = cluster.node("n1", vec![door.clone()]);
    let channel = within("a channel", door.open()).await.unwrap();
    let mut runs = v1::run_service_client::RunServiceClient::new(channel.clone());
    let json = serde_json::to_string(&cluster.dataset()).unwrap();
    let submitted = runs
        .submit(unary(v1::SubmitRequest {
            what: Some(v1::submit_request::What::DefinitionJson(json)),
            trigger: "manual".to_owned(),
            idempotency_key: "k".to_owned(),
            ..v1::SubmitRequest::default()
        }))
        .await
        .unwrap()
        .into_inner();
    let run_id = submitted.run_id;
    let request = v1::WatchRequest {
        run_id: run_id.clone(),
    };
    let mut events = runs.watch(request).await.unwrap().into_inner();
    let mut states = Vec::new();
    while let Some(event) = within("an event", events.message()).await.unwrap() {
        if let Some(v1::run_event::Kind::Run(moved)) = event.kind {
            states.push(moved.state);
        }
    }
    assert_eq!(
        states.last().map(String::as_str),
        Some("succeeded"),
        "{states:?}"
    );
    let got = runs.get(unary(v1::GetRunRequest { run_id })).await.unwrap();
    let tasks = got.into_inner().tasks;
    assert_eq!(tasks.len(), 11);
    assert!(
        tasks
            .iter()
            .all(|t| t.state == "succeeded" && t.attempts.len() == 1)
    );

    let mut metrics = v1::metric_service_client::MetricServiceClient::new(channel.clone());
    let history = metrics
        .history(unary(v1::HistoryRequest {
            dataset: "orders".to_owned(),
            metric: "rowCount".to_owned(),
            column: None,
            limit: 0,
        }))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(history.series.len(), 1);
    assert_eq!(history.series[0].points.len(), 5);
    assert!(
        history.series[0]
            .points
            .iter()
            .all(|p| !p.outcome.is_empty())
    );
    let mut clusters = v1::cluster_service_client::ClusterServiceClient::new(channel);
    let status = clusters
        .status(unary(v1::StatusRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((status.leader.as_str(), status.nodes.len()), ("m1", 1));
    let unknown = runs
        .submit(unary(v1::SubmitRequest {
            what: Some(v1::submit_request::What::DatasetId("nope".to_owned())),
            trigger: "manual".to_owned(),
            ..v1::SubmitRequest::default()
        }))
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_stops_its_tasks() {
    let cluster = Cluster::new().await;
    cluster.write_days(3);
    let manager = cluster.manager("m1");
    let node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    node.gate.closed.send_replace(true);
    within("leadership", manager.leads()).await;
    let run = manager
        .submit(
            cluster.dataset(),
            Trigger::Manual,
            Selection::default(),
            None,
        )
        .await
        .unwrap()
        .run;
    node.is_stuck().await;
    within("a cancel", manager.cancel(run, "by the test"))
        .await
        .unwrap();
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Cancelled);
    let mut holding = node.handle.holding();
    within("idle slots", holding.wait_for(|n| *n == 0))
        .await
        .unwrap();
    assert!(manager.cancel(run, "again").await.is_err());

    // What was cancelled can be taken up again.
    node.gate.closed.send_replace(false);
    within("a retry", manager.retry(run)).await.unwrap();
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    cluster.assert_right(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_crashes_twice_is_quarantined_and_its_checks_are_errors() {
    let cluster = Cluster::new().await;
    cluster.write_days(1);
    let manager = cluster.manager("m1");
    let node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    node.gate.crashes.store(true, Ordering::SeqCst);
    within("leadership", manager.leads()).await;
    let run = manager
        .submit(
            cluster.dataset(),
            Trigger::Manual,
            Selection::default(),
            None,
        )
        .await
        .unwrap()
        .run;
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Partial, "{ended:?}");
    let tasks = cluster.metrics.tasks(run).await.unwrap();
    let (measure, attempts) = &tasks[1];
    assert_eq!(measure.state, TaskState::Quarantined);
    assert_eq!(attempts.len(), 2);
    let verdicts = cluster
        .metrics
        .verdicts(&cluster.dataset().id, None, 9)
        .await
        .unwrap();
    let counts = verdicts[0].counts;
    assert_eq!(counts.error, counts.planned);
    assert!(counts.planned > 0);

    // Once its input does no harm, a retry measures it, and judges it by what was measured.
    node.gate.crashes.store(false, Ordering::SeqCst);
    within("a retry", manager.retry(run)).await.unwrap();
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    let id = cluster.dataset().id;
    let verdicts = cluster.metrics.verdicts(&id, None, 9).await.unwrap();
    let counts = verdicts[0].counts;
    assert_eq!((counts.error, verdicts[0].revision), (0, 2), "{counts:?}");
    let open = cluster.metrics.incidents(Some(&id), true, 9).await.unwrap();
    assert!(open.is_empty(), "{open:?}");
    cluster.assert_right(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_no_node_can_take_says_so_to_who_asks_for_its_run() {
    let cluster = Cluster::new().await;
    cluster.write_days(2);
    let manager = cluster.manager("m1");
    within("leadership", manager.leads()).await;
    let run = manager
        .submit(
            cluster.dataset(),
            Trigger::Manual,
            Selection::default(),
            None,
        )
        .await
        .unwrap()
        .run;
    let door = Door::Local(manager.doorway());
    let channel = within("a channel", door.open()).await.unwrap();
    let mut runs = v1::run_service_client::RunServiceClient::new(channel);
    let request = v1::GetRunRequest {
        run_id: run.to_string(),
    };
    // Before its turn, which it gets a commit later, it waits for that.
    let waits = async {
        loop {
            let got = runs.get(unary(request.clone())).await.unwrap().into_inner();
            let [task] = &got.tasks[..] else {
                panic!("{:?}", got.tasks);
            };
            assert_eq!(task.state, "ready");
            if task.wait == "no_node" {
                return task.reason.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reason = within("the reason", waits).await;
    assert!(reason.contains("no node"), "{reason}");
}
