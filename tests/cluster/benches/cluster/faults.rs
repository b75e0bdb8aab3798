//! How soon work goes on after a fault: of a node, of the leader, of a member of etcd.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::Signal;

use crate::stage::{Ground, PATIENCE, Stage};
use crate::{cost, figures, noop};

/// Trials of a fault whose recovery takes a moment, or longer.
const TRIALS: usize = 20;
const FEW: usize = 6;
/// What a drill of leaders has always waiting.
const BACKLOG: usize = 40_000;
/// How long after the loss of a member of etcd gaps are looked for.
const WINDOW: Duration = Duration::from_secs(6);

/// All faults.
pub async fn measure(ground: &mut Ground) {
    let told = std::env::var("ASSAY_BENCH_FAULTS").unwrap_or_default();
    let wants = |fault: &str| told.is_empty() || told.split(',').any(|t| t == fault);
    if wants("kill-node") {
        Box::pin(nodes(ground, Signal::KILL, TRIALS, 4_000)).await;
    }
    if wants("stop-node") {
        Box::pin(nodes(ground, Signal::STOP, FEW, 30_000)).await;
    }
    if wants("kill-leader") {
        Box::pin(leaders(ground, Signal::KILL, TRIALS)).await;
    }
    if wants("stop-leader") {
        Box::pin(leaders(ground, Signal::STOP, FEW)).await;
    }
    if wants("kill-etcd") {
        Box::pin(etcd(ground)).await;
    }
}

/// Milliseconds since an instant of the database's clock, which is this machine's.
fn since(at: Timestamp, expression: &str) -> String {
    format!("(extract(epoch FROM {expression} - '{at}'::timestamptz) * 1000)::text")
}

/// One node of three is killed or stopped while it works.
async fn nodes(ground: &mut Ground, signal: Signal, trials: usize, task_ms: u64) {
    let mut stage = Stage::begin(ground, 1, 4).await;
    for _ in 0..3 {
        stage.node_outside().await;
    }
    let (mut seen, mut elsewhere, mut void) = (Vec::new(), Vec::new(), 0);
    while seen.len() < trials {
        let trial = seen.len() + void;
        if let Some((ended, again)) = trial_of(&mut stage, signal, trial, task_ms).await {
            seen.push(ended);
            elsewhere.push(again);
        } else {
            void += 1;
            println!("  trial {trial} is repeated: its tasks ended before their node did");
            assert!(void <= trials, "this machine is too busy for it");
        }
    }
    let what = if signal == Signal::KILL {
        "kill -9"
    } else {
        "SIGSTOP"
    };
    println!(
        "{what} of a node: its attempts are ended: {}; all of its work runs elsewhere: {}; load {}",
        figures::spread(&seen),
        figures::spread(&elsewhere),
        cost::load()
    );
    stage.end().await;
}

/// One trial: after how many milliseconds the first attempt of the victim was ended, and all of its
/// work ran elsewhere; none, when tasks ended before there was something to see, as they may on a
/// machine that does other work too.
async fn trial_of(
    stage: &mut Stage<'_>,
    signal: Signal,
    trial: usize,
    task_ms: u64,
) -> Option<(f64, f64)> {
    let run = stage
        .submit(&noop::dataset(&format!("trial-{trial}"), 6, task_ms))
        .await;
    let all = format!(
        "SELECT CASE WHEN bool_or(state = 'succeeded') THEN 'void' ELSE 'all' END FROM task \
         WHERE kind = 'measure' AND run_word(run_id) = '{run}' HAVING bool_or(state = 'succeeded') \
         OR count(*) FILTER (WHERE state = 'running') = 6"
    );
    if stage.until("work on all nodes", &all).await == "void" {
        stage.cancel(&run).await;
        return None;
    }
    let victim = stage.nodes.remove(0);
    let (at, begun) = (Timestamp::now(), Instant::now());
    victim.signal(signal);
    let held = format!(
        "(SELECT h.*, (SELECT min(b.started_at) FROM task_attempt b WHERE b.task_id = h.task_id \
          AND b.attempt >= h.attempt AND b.node <> h.node) AS again \
          FROM task_attempt h JOIN task t ON t.id = h.task_id WHERE run_word(t.run_id) = '{run}' \
          AND h.node = '{}' AND h.assigned_at < '{at}' AND h.outcome IS DISTINCT FROM 'ok') h",
        victim.name
    );
    let again = format!(
        "SELECT CASE WHEN count(*) = 0 THEN 'void' ELSE 'again' END FROM {held} \
         HAVING count(*) = 0 OR bool_and(again IS NOT NULL)"
    );
    let found = stage.until("work elsewhere", &again).await;
    let elsewhere = begun.elapsed().as_secs_f64() * 1000.0;
    let mut figures = None;
    if found == "again" {
        let ended = format!("SELECT {} FROM {held}", since(at, "min(h.ended_at)"));
        let ended = stage.until("end of attempts", &ended).await;
        figures = Some((ended.parse().expect("a number"), elsewhere));
    }
    victim.resume();
    drop(victim);
    stage.cancel(&run).await;
    stage.node_outside().await;
    figures
}

/// A cluster of two managers and two nodes that has always work waiting.
async fn busy(ground: &mut Ground) -> Stage<'_> {
    let mut stage = Stage::begin(ground, 2, 2).await;
    for _ in 0..2 {
        stage.node_outside().await;
    }
    stage.submit(&noop::dataset("backlog", BACKLOG, 40)).await;
    stage
        .until(
            "work",
            "SELECT 'x' FROM task WHERE kind = 'measure' AND state = 'running'",
        )
        .await;
    stage
}

/// The leader is killed or stopped while it assigns.
async fn leaders(ground: &mut Ground, signal: Signal, trials: usize) {
    let mut stage = busy(ground).await;
    let (mut minted, mut acts) = (Vec::new(), Vec::new());
    for _ in 0..trials {
        let (place, epoch) = stage.leader().await;
        let (at, begun) = (Timestamp::now(), Instant::now());
        stage.managers[place].signal(signal);
        let next = format!(
            "SELECT {} FROM leader_epoch l JOIN event e ON e.epoch = l.epoch AND e.kind = 'task_assigned' \
             WHERE l.epoch > {epoch} GROUP BY l.minted_at",
            since(at, "l.minted_at")
        );
        let elected = stage.until("assignment", &next).await;
        acts.push(begun.elapsed().as_secs_f64() * 1000.0);
        minted.push(elected.parse().expect("a number"));
        if signal == Signal::KILL {
            stage.managers[place].kill();
            stage.managers[place].start();
        } else {
            stage.managers[place].resume();
        }
        stage
            .client
            .leader(PATIENCE)
            .await
            .expect("a manager leads");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let what = if signal == Signal::KILL {
        "kill -9"
    } else {
        "SIGSTOP"
    };
    println!(
        "{what} of the leader: another one has its epoch: {}; its first assignment is committed: {}; load {}",
        figures::spread(&minted),
        figures::spread(&acts),
        cost::load()
    );
    stage.end().await;
}

/// Each member of etcd in turn is killed; the leader of etcd is among them.
async fn etcd(ground: &mut Ground) {
    let stage = busy(ground).await;
    let (mut usual, mut gaps, mut terms) = (Vec::new(), Vec::new(), 0);
    for member in [0, 1, 2, 0, 1, 2] {
        let (_, epoch) = stage.leader().await;
        usual.push(gap(&stage, Timestamp::now() - WINDOW).await);
        let led = stage.ground.etcd.leader() == Some(member);
        let at = Timestamp::now();
        stage.ground.etcd.kill(member);
        tokio::time::sleep(WINDOW).await;
        let longest = gap(&stage, at).await;
        println!("  etcd member {member} killed (led: {led}): longest gap {longest:.0} ms");
        gaps.push(longest);
        terms += stage.leader().await.1 - epoch;
        stage.ground.etcd.restart(member);
        stage.ground.etcd.await_ready();
        tokio::time::sleep(WINDOW + Duration::from_secs(1)).await;
    }
    println!(
        "kill -9 of a member of etcd: longest time without an assignment, before: {}; after: {}; \
         changes of the leader: {terms}; load {}",
        figures::spread(&usual),
        figures::spread(&gaps),
        cost::load()
    );
    stage.end().await;
}

/// The longest time without an assignment after `at`, in milliseconds.
async fn gap(stage: &Stage<'_>, at: Timestamp) -> f64 {
    let query = format!(
        "SELECT (extract(epoch FROM max(gap)) * 1000)::text FROM (SELECT at - lag(at) OVER (ORDER BY at) AS gap \
         FROM event WHERE kind = 'task_assigned' AND at > '{at}') g"
    );
    stage
        .until("assignments", &query)
        .await
        .parse()
        .expect("a number")
}
