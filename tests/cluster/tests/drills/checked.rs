//! The checker finds what is wrong: the rows of a real drill, corrupted by hand, one way at a time.

use std::time::Duration;

use assay_cluster_tests::checker::{self, Broken, Facts};
use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::{Data, Shape};
use assay_cluster_tests::database::Database;
use assay_cluster_tests::{Cluster, Plan};

use crate::usual::{begun, ends_right, slow_commits};

/// An id of the protocol, what is done to the rows, and the statements.
type Corruption = (&'static str, &'static str, &'static str);

const CORRUPTIONS: &[Corruption] = &[
    (
        "I1",
        "a second attempt succeeded",
        "UPDATE task_attempt SET outcome = 'ok', charged = false WHERE outcome = 'node_lost'",
    ),
    (
        "I1",
        "a task forgets that it succeeded",
        "UPDATE task SET state = 'failed', reason = 'x' WHERE no = 3",
    ),
    (
        "I1",
        "a completion is told twice",
        "INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, state) SELECT at, epoch, \
         kind, run_id, task_id, attempt, state FROM event WHERE kind = 'task_succeeded' LIMIT 1",
    ),
    (
        "I2",
        "a state is of another attempt",
        "UPDATE metric_state SET attempt = attempt + 7",
    ),
    (
        "I2",
        "a state is gone",
        "DELETE FROM metric_state WHERE task_id IN (SELECT min(task_id) FROM metric_state)",
    ),
    (
        "I3",
        "a task that succeeded left nothing",
        "DELETE FROM task_output WHERE task_id IN (SELECT min(id) FROM task WHERE kind = 'measure')",
    ),
    (
        "I3",
        "a task that did not succeed left its result",
        "UPDATE task SET state = 'cancelled', reason = 'x' WHERE kind = 'evaluate'",
    ),
    (
        "I4",
        "a metric is gone",
        "DELETE FROM metric WHERE ctid IN (SELECT ctid FROM metric LIMIT 1)",
    ),
    (
        "I4",
        "every sum is doubled, with its page and its chart",
        "UPDATE metric SET value = (value::numeric * 2)::text, number = number * 2 WHERE series_id \
         IN (SELECT id FROM metric_series WHERE metric = 'sum'); \
         UPDATE metric_page SET page = page_of(verdict_id)",
    ),
    (
        "I4",
        "one NULL is counted twice",
        "UPDATE metric SET value = (value::numeric + 1)::text, number = number + 1 WHERE ctid IN \
         (SELECT m.ctid FROM metric m JOIN metric_series s ON s.id = m.series_id \
         WHERE s.metric = 'nullCount' AND s.column_name = 'note' LIMIT 1); \
         UPDATE metric_page SET page = page_of(verdict_id)",
    ),
    (
        "I4",
        "a batch has read a row more than its partition counts",
        "UPDATE metric_state SET rows = rows + 1",
    ),
    (
        "I5",
        "a run has planned a task that is not there",
        "UPDATE run SET planned_tasks = planned_tasks + 1",
    ),
    (
        "I5",
        "a partition is not judged",
        "UPDATE verdict SET superseded = true WHERE partition = '2026-01-02'",
    ),
    (
        "I5",
        "a partition is judged that is not there",
        "UPDATE verdict SET partition = '2026-02-30' WHERE partition = '2026-01-02'",
    ),
    (
        "I6",
        "a run has not ended",
        "UPDATE run SET state = 'running', finished_at = NULL",
    ),
    (
        "I7",
        "a task is charged more than its attempts",
        "UPDATE task SET charged = charged + 1 WHERE no = 2",
    ),
    (
        "I7",
        "a task has failed without its retries",
        "UPDATE task SET state = 'failed', reason = 'x' WHERE no = 1",
    ),
    (
        "I8",
        "a hand-back is charged",
        "UPDATE task_attempt SET outcome = 'drained' WHERE outcome = 'node_lost'",
    ),
    (
        "I8",
        "a death is forgiven",
        "UPDATE task_attempt SET charged = false WHERE outcome = 'node_lost'",
    ),
    (
        "I9",
        "a leader wrote before it was minted",
        "UPDATE event SET epoch = epoch + 1 WHERE kind = 'task_assigned'",
    ),
    (
        "I9",
        "an epoch is minted twice",
        "UPDATE event SET epoch = 1 WHERE kind = 'epoch_minted'",
    ),
    (
        "I10",
        "an attempt is skipped",
        "UPDATE task SET attempt = attempt + 1 WHERE no = 4",
    ),
    (
        "I10",
        "two attempts were at work at once",
        "UPDATE task_attempt SET assigned_at = assigned_at - interval '1 hour' WHERE attempt = 2",
    ),
    (
        "I11",
        "a dead node was given tasks",
        "UPDATE event SET kind = 'node_moved', state = 'dead' WHERE kind = 'node_registered'",
    ),
    (
        "I12",
        "a node has gone with a task",
        "UPDATE node SET state = 'gone' WHERE id = (SELECT min(node) FROM task_attempt WHERE outcome = 'ok'); \
         UPDATE task_attempt SET outcome = NULL, ended_at = NULL WHERE node = (SELECT min(node) FROM task_attempt WHERE outcome = 'ok')",
    ),
    (
        "I13",
        "a healthy task is quarantined",
        "UPDATE task SET state = 'quarantined', reason = 'x', crashes = 2 WHERE no = 1",
    ),
    (
        "I14",
        "a task was tried while its source was away",
        "UPDATE task_attempt SET outcome = 'dependency_down', charged = false, \
         retry_at = retry_at + interval '1 hour' WHERE outcome = 'node_lost'",
    ),
    (
        "I15",
        "a task did not wait for its time",
        "UPDATE task_attempt SET retry_at = retry_at + interval '1 hour' WHERE charged",
    ),
    (
        "I16",
        "an attempt was open for a day",
        "UPDATE task_attempt SET ended_at = ended_at + interval '1 day' WHERE attempt = 1",
    ),
    (
        "I17",
        "a message was sent before it was written",
        "INSERT INTO outbox (key, event, dataset_id, body, created_at, sent_at) VALUES \
         ('k', 'e', 'orders', '{}', now(), now() - interval '1 day')",
    ),
    (
        "I18",
        "a definition is of another tenant",
        "UPDATE definition SET tenant = 'somebody'",
    ),
    (
        "I18",
        "metrics are of another dataset",
        "UPDATE metric_series SET dataset_id = 'other'",
    ),
    (
        "I19",
        "a node is not what was recorded of it",
        "UPDATE node SET state = 'suspect'",
    ),
    (
        "I20",
        "an assignment is not on record",
        "DELETE FROM event WHERE kind = 'task_assigned'",
    ),
    (
        "I20",
        "a task is gone with all that it left",
        "DELETE FROM task_spec WHERE task_id IN (SELECT id FROM task WHERE no = 5); \
         DELETE FROM task WHERE no = 5",
    ),
    (
        "D1",
        "a verdict has one more pass",
        "UPDATE verdict SET pass = pass + 1",
    ),
    (
        "D2",
        "a partition has a revision that was never judged",
        "UPDATE ledger SET revision = revision + 1",
    ),
];

/// Rows of a run in which a node and a leader were killed.
async fn rows() -> (Cluster, Data) {
    let name = "every_corruption_is_found_under_its_id";
    let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
    slow_commits(&cluster);
    let node = cluster.busy("measure").await;
    cluster.nodes[node].kill();
    cluster.drill.note("kill -9 of a node");
    let lost = "SELECT 'lost' FROM task_attempt WHERE outcome = 'node_lost'";
    cluster
        .until("lost attempt", Duration::from_secs(15), lost)
        .await;
    cluster.wire.heal();
    let leader = cluster.leader().await;
    cluster.managers[leader].kill();
    cluster.drill.note("kill -9 of the leader");
    ends_right(&cluster, &data, &run, &Facts::default()).await;
    let ends =
        "SELECT node || ' ' || outcome || ' ' || count(*) FROM task_attempt GROUP BY node, outcome";
    let ends = cluster.database.texts(ends).await.unwrap();
    assert!(ends.iter().any(|end| end.contains("node_lost")), "{ends:?}");
    cluster.kill_all();
    (cluster, data)
}

async fn corrupted(
    cluster: &Cluster,
    template: &str,
    data: &Data,
    statements: &str,
) -> (Database, Vec<Broken>) {
    let server = cluster.servers.postgres();
    let url = blocking(|| server.create_database_like(template));
    let database = Database::at(&url);
    // The server keeps some of the rules itself.
    let unguarded = format!(
        "SET session_replication_role = replica; DO $$ DECLARE c record; BEGIN FOR c IN SELECT \
         conname, conrelid::regclass AS place FROM pg_constraint WHERE contype = 'c' \
         AND conrelid <> 0 LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.place, \
         c.conname); END LOOP; END $$; {statements}; SET session_replication_role = DEFAULT"
    );
    database.execute(&unguarded).await.unwrap();
    let found = checker::check(&database, &[data], &Facts::default()).await;
    (database, found.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_corruption_is_found_under_its_id() {
    let (cluster, data) = rows().await;
    cluster.database.close().await;
    let template = cluster.database.url.rsplit('/').next().unwrap().to_owned();
    let others = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{template}'");
    let server = cluster.servers.postgres();
    while blocking(|| server.sql(&server.url(), &others)) != "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (database, found) = corrupted(&cluster, &template, &data, "SELECT 1").await;
    assert_eq!(found, [], "nothing is wrong before");
    database.close().await;
    let mut missed = Vec::new();
    for (id, what, statements) in CORRUPTIONS {
        let (database, found) = corrupted(&cluster, &template, &data, statements).await;
        if !found.iter().any(|broken| broken.id == *id) {
            missed.push(format!("{id}, {what}: {found:?}"));
        }
        database.close().await;
    }
    assert!(missed.is_empty(), "not found:\n{}", missed.join("\n"));

    let (database, _) = corrupted(&cluster, &template, &data, "SELECT 1").await;
    let idle = Database::at(&database.url);
    idle.execute("BEGIN").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let found = checker::check(&database, &[&data], &Facts::default()).await;
    let ids: Vec<String> = found.unwrap().into_iter().map(|b| b.id).collect();
    assert_eq!(ids, ["I21"], "a session that sits in a transaction");
}
