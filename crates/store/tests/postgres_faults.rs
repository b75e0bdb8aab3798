//! What a cluster does to its store: callers that go away, servers that are killed, leaders that are
//! deposed, and thousands of lifecycles a second.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pg;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, Incarnation, NodeId, RunId};
use assay_model::node::{Node, NodeState};
use assay_model::output::TaskOutput;
use assay_model::task::{AttemptOutcome, TaskState};
use assay_model::unfinished::PLAN_PAGE;
use assay_store::conformance::fixtures::{ALL, Bench, at, discovery, measured, ok, tasks};
use assay_store::fleet::{FleetLog, StepFilter};
use assay_store::invariants::check_invariants;
use assay_store::{
    Feedback, JobStore, MetricStore, Moves, PostgresOptions, PostgresStore, StoreError,
};
use assay_test_servers::postgres::{Options, Postgres, shared};

/// A run of `count` batches of one day.
async fn wide_run(bench: &Bench, key: &str, count: u32) -> RunId {
    let days = vec![("2026-11-20", "v1"); count as usize];
    let mut plan = discovery(&days);
    plan.sightings.truncate(1);
    plan.evaluations.clear();
    for (n, measure) in (1..).zip(&mut plan.measures) {
        measure.batch = n;
        measure.batches = count;
    }
    let run = bench.submit(key).await;
    bench
        .finish(run, 0, &TaskOutput::Discovered(plan.clone()))
        .await;
    let tasks = tasks(run, &plan);
    assert_eq!(
        bench.change(Change::PlanRun { run, tasks }).await,
        Answer::Ok
    );
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_puts_right_is_no_fault_of_what_is_written() {
    let url = pg::database().await;
    let store = ok(PostgresStore::connect(options(&url, 1)).await);
    let epoch = ok(store.mint_epoch("manager-1").await);
    let rename = |from: &str, to: &str| {
        let of = "(bigint, jsonb, uuid[], bigint[])";
        let query = format!("ALTER FUNCTION {from}{of} RENAME TO {to}");
        shared().sql(&url, &query);
    };
    rename("commit_changes", "put_aside");
    let away = store.commit(epoch, &[]).await.unwrap_err();
    assert!(away.is_retryable(), "{away}");
    rename("put_aside", "commit_changes");
    assert_eq!(ok(store.commit(epoch, &[]).await), []);
}

/// Gives all tasks of a run to the node.
async fn assign_all(bench: &Bench, run: RunId, count: u32) -> Vec<AttemptToken> {
    let mut all = Vec::new();
    let numbers: Vec<u32> = (1..=count).collect();
    for some in numbers.chunks(256) {
        let (tokens, changes): (Vec<_>, Vec<_>) =
            some.iter().map(|no| bench.assignment(run, *no, 1)).unzip();
        let answers = bench.commit(&changes).await;
        assert!(answers.iter().all(|a| *a == Answer::Ok));
        all.extend(tokens);
    }
    all
}

fn options(url: &str, connections: u32) -> PostgresOptions {
    PostgresOptions {
        writer_connections: connections,
        leader_connections: 1,
        ..PostgresOptions::new(url)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completions_that_are_aborted_leave_no_session_in_a_transaction() {
    for connections in [1, 4] {
        let url = pg::database().await;
        let store = ok(PostgresStore::connect(options(&url, connections)).await);
        let bench = Bench::new(Arc::new(store.clone())).await;
        let run = wide_run(&bench, "wide", 1000).await;
        let tokens = assign_all(&bench, run, 1000).await;
        for (n, token) in (0_u64..).zip(&tokens) {
            let (bench, token) = (bench.clone(), *token);
            let caller = tokio::spawn(async move {
                ok(bench.store.start(&token, at(2)).await);
                bench
                    .complete(&token, &measured("2026-11-20", b"state"))
                    .await
            });
            tokio::time::sleep(Duration::from_micros(n * 7919 % 2500)).await;
            caller.abort();
        }
        let idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
        assert_eq!(shared().sql(&url, idle), "0");
        for token in &tokens {
            ok(store.start(token, at(2)).await);
            let output = measured("2026-11-20", b"state");
            let answer = ok(store.complete(token, &output, at(3)).await);
            assert_ne!(answer, Answer::Fenced, "{token:?}");
        }
        assert_eq!(shared().sql(&url, idle), "0");
        assert_eq!(check_invariants(&store).await.unwrap(), []);
    }
}

/// Starts and completes until it is confirmed; the answer is how it ended.
async fn insist(store: &PostgresStore, token: &AttemptToken) -> Answer {
    let output = measured("2026-11-20", b"state");
    loop {
        let done = async {
            store.start(token, at(2)).await?;
            store.complete(token, &output, at(3)).await
        };
        match done.await {
            Ok(answer) => return answer,
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Who goes by the numbers of moves would not look for one that is committed after a greater one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_of_a_commit_that_is_under_way_is_not_stepped_over() {
    let url = pg::database().await;
    let store = ok(PostgresStore::connect(options(&url, 1)).await);
    let bench = Bench::new(Arc::new(store.clone())).await;
    // Another session is in the middle of a commit by which a node is lost.
    let program = assay_test_servers::postgres::programs().join("psql");
    let mut psql = std::process::Command::new(program)
        .args(["-qAtX", url.as_str()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let lost = format!(
        "[{{\"do\": \"move_node\", \"node\": \"{}\", \"incarnation\": {}, \"state\": \"dead\", \
         \"at\": 500000000, \"reason\": \"it is silent\"}}]",
        bench.node, bench.incarnation.0
    );
    let epoch = bench.epoch;
    let commit = format!(
        "BEGIN; SELECT commit_changes({}, '{lost}', '{{}}', '{{}}');\n",
        epoch.0
    );
    let mut input = psql.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, commit.as_bytes()).unwrap();
    let made = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND state = 'idle in transaction' AND query LIKE '%commit_changes%'";
    let begun = Instant::now();
    while shared().sql(&url, made) != "1" {
        assert!(begun.elapsed() < Duration::from_secs(20), "no commit");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let another = Node {
        id: NodeId::new("another"),
        incarnation: Incarnation(0),
        state: NodeState::Live,
        slots: 1,
        memory_bytes: 1 << 30,
        zone: String::new(),
    };
    let other = store.clone();
    let registered = tokio::spawn(async move { other.register(epoch, &another).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let steps = async || -> Vec<Option<NodeState>> {
        let all = StepFilter {
            limit: 10,
            ..StepFilter::default()
        };
        let steps = ok(store.node_steps(&all).await);
        steps.into_iter().map(|step| step.state).collect()
    };
    assert_eq!(steps().await, [None::<NodeState>], "what is later waits");
    std::io::Write::write_all(&mut input, b"COMMIT;\n").unwrap();
    drop(input);
    assert!(psql.wait().unwrap().success());
    ok(registered.await.unwrap());
    assert_eq!(steps().await, [None, Some(NodeState::Dead), None]);
}

/// A node that is lost between two of them leaves the ones that it kept.
#[tokio::test]
async fn pages_of_a_plan_that_was_lost_go_when_another_one_is_there() {
    let url = pg::database().await;
    let store = ok(PostgresStore::connect(options(&url, 1)).await);
    let bench = Bench::new(Arc::new(store.clone())).await;
    let run = bench.submit("wide").await;
    let lost = bench.assign(run, 0, 1).await;
    for first in [0, 1] {
        let (run, nonce) = (run.0, lost.nonce);
        let keep = format!("SELECT keep_plan_page('{run}', 0, 1, '{nonce}', {first}, '[]')");
        assert_eq!(shared().sql(&url, &keep), "ok");
    }
    let pages = "SELECT string_agg(attempt::text, ' ' ORDER BY attempt, first) FROM task_plan";
    assert_eq!(shared().sql(&url, pages), "1 1");
    let ends = bench.end(&lost, AttemptOutcome::NodeLost, TaskState::Ready);
    assert_eq!(bench.change(ends).await, Answer::Ok);
    let days = vec![("2026-11-20", "v1"); PLAN_PAGE as usize];
    let mut plan = discovery(&days);
    plan.sightings.truncate(1);
    // One task more than there are in a page.
    plan.evaluations.truncate(1);
    let second = bench.assign(run, 0, 2).await;
    let output = TaskOutput::Discovered(plan);
    assert_eq!(bench.complete(&second, &output).await, Answer::Ok);
    assert_eq!(shared().sql(&url, pages), "2 2 2");
}

#[tokio::test]
async fn a_node_whose_clock_is_wrong_judges_by_the_clock_of_the_server() {
    let url = pg::database().await;
    let store = ok(PostgresStore::connect(options(&url, 1)).await);
    let bench = Bench::new(Arc::new(store.clone())).await;
    let run = bench.submit("orders").await;
    let token = bench.assign(run, 0, 1).await;
    let started = ok(store.start(&token, at(2)).await).unwrap();
    let off = started.at.duration_since(jiff::Timestamp::now()).abs();
    assert!(off < jiff::SignedDuration::from_mins(1), "{}", started.at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_the_server_under_load_loses_nothing_that_was_answered() {
    const TASKS: u32 = 3000;
    let server = Arc::new(Postgres::start(Options {
        fsync: true,
        ..Options::default()
    }));
    let url = server.create_database();
    let store = ok(PostgresStore::connect(options(&url, 4)).await);
    let bench = Bench::new(Arc::new(store.clone())).await;
    let run = wide_run(&bench, "wide", TASKS).await;
    let tokens = Arc::new(assign_all(&bench, run, TASKS).await);
    let next = Arc::new(AtomicU32::new(0));
    let nodes: Vec<_> = (0..32)
        .map(|_| {
            let (store, tokens, next) = (store.clone(), Arc::clone(&tokens), Arc::clone(&next));
            tokio::spawn(async move {
                while let Some(token) = tokens.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    assert_ne!(insist(&store, token).await, Answer::Fenced, "{token:?}");
                }
            })
        })
        .collect();
    for kill in 1..=2 {
        while next.load(Ordering::Relaxed) < kill * TASKS / 3 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let server = Arc::clone(&server);
        let begun = Instant::now();
        tokio::task::spawn_blocking(move || {
            server.kill();
            server.restart();
        })
        .await
        .unwrap();
        println!("answers again after {:?}", begun.elapsed());
    }
    for node in nodes {
        node.await.unwrap();
    }
    assert_eq!(check_invariants(&store).await.unwrap(), []);
    let listed = ok(store.tasks(run).await);
    let done =
        |task: &assay_model::task::Task| task.state == assay_model::task::TaskState::Succeeded;
    assert!(
        listed
            .iter()
            .all(|(task, attempts)| done(task) && attempts.len() == 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_leader_writes_nothing_however_many_lead_at_once() {
    let url = pg::database().await;
    let first = pg::connect(&url).await;
    let bench = Bench::new(Arc::new(first.clone())).await;
    let mut leaders = Vec::new();
    for leader in 0..4 {
        let (store, bench) = (pg::connect(&url).await, bench.clone());
        leaders.push({
            tokio::spawn(async move {
                let (mut written, mut refused) = (0, 0);
                for round in 0..8 {
                    let epoch = ok(store.mint_epoch(&format!("manager-{leader}")).await);
                    for n in 0..20 {
                        let run = bench.run_of(&format!("{leader} {round} {n}"), n);
                        match store.commit(epoch, &[bench.submission(&run)]).await {
                            Ok(_) => written += 1,
                            Err(StoreError::FencedEpoch { epoch: of }) => {
                                assert_eq!(of, epoch.0);
                                refused += 1;
                                break;
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                (written, refused)
            })
        });
    }
    let (mut written, mut refused) = (0, 0);
    for leader in leaders {
        let (wrote, was_refused) = leader.await.unwrap();
        written += wrote;
        refused += was_refused;
    }
    println!("{written} commits, {refused} refused");
    assert!(refused > 0, "nobody was deposed");
    assert_eq!(check_invariants(&first).await.unwrap(), []);
    let epoch = ok(first.mint_epoch("last").await);
    assert_eq!(ok(first.load(epoch, ALL).await).runs.len(), written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_of_another_program_is_fenced() {
    let url = pg::database().await;
    let (ours, theirs) = (pg::connect(&url).await, pg::connect(&url).await);
    let bench = Bench::new(Arc::new(ours.clone())).await;
    let run = wide_run(&bench, "wide", 40).await;
    let tokens = assign_all(&bench, run, 40).await;
    let output = measured("2026-11-20", b"state");
    for zombie in &tokens {
        ok(theirs.start(zombie, at(2)).await);
        let end = bench.end(
            zombie,
            assay_model::task::AttemptOutcome::NodeLost,
            assay_model::task::TaskState::Ready,
        );
        assert_eq!(bench.change(end).await, Answer::Ok);
        let (again, mut assign) = bench.assignment(run, zombie.task.no, 2);
        if let Change::Assign { at: when, .. } = &mut assign {
            *when = at(4);
        }
        assert_eq!(bench.change(assign).await, Answer::Ok);
        let (late, right) = tokio::join!(
            theirs.complete(zombie, &output, at(5)),
            ours.complete(&again, &output, at(5)),
        );
        assert_eq!((ok(late), ok(right)), (Answer::Fenced, Answer::Ok));
    }
    assert_eq!(check_invariants(&ours).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_lifecycles_take_seconds() {
    const TASKS: u32 = 8000;
    let url = pg::database().await;
    let leader = pg::connect(&url).await;
    let bench = Bench::new(Arc::new(leader.clone())).await;
    let run = wide_run(&bench, "wide", TASKS).await;
    let begun = Instant::now();
    let tokens = Arc::new(assign_all(&bench, run, TASKS).await);
    let assigned = begun.elapsed();
    let next = Arc::new(AtomicU32::new(0));
    let mut slots = Vec::new();
    for _ in 0..4 {
        let store = ok(PostgresStore::connect(options(&url, 4)).await);
        for _ in 0..32 {
            let (store, tokens, next) = (store.clone(), Arc::clone(&tokens), Arc::clone(&next));
            slots.push(tokio::spawn(async move {
                while let Some(token) = tokens.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    assert!(ok(store.start(token, at(2)).await).is_some());
                    let state = measured("2026-11-20", &[7; 400]);
                    assert_eq!(ok(store.complete(token, &state, at(3)).await), Answer::Ok);
                }
            }));
        }
    }
    let begun = Instant::now();
    for slot in slots {
        slot.await.unwrap();
    }
    let took = begun.elapsed();
    let rate = f64::from(TASKS) / took.as_secs_f64();
    let whole = f64::from(TASKS) / (took + assigned).as_secs_f64();
    println!(
        "{TASKS} starts and completions in {took:?}: {rate:.0}/s; with their assignment {whole:.0}/s"
    );
    assert!(rate > 200.0, "{rate:.0}/s");
    assert_eq!(check_invariants(&leader).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_grows_is_read_whole() {
    let url = pg::database().await;
    shared().sql(&url, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET enable_seqscan = off', current_database()); END $$");
    let store = pg::connect(&url).await;
    let bench = Bench::new(Arc::new(store.clone())).await;
    let verdict = assay_store::conformance::fixtures::evaluation(
        "2026-11-20",
        "v1",
        1,
        assay_model::outcome::Outcome::Fail,
    );
    let run = bench.judged("a", verdict).await;
    let node = assay_store::conformance::fixtures::live(&bench.node);
    ok(store.register(bench.epoch, &node).await);
    ok(store.load(bench.epoch, ALL).await);
    let id = bench.id();
    let day = assay_store::conformance::fixtures::day("2026-11-21");
    ok(store.ledger(id).await);
    ok(store.history(id, Some(&day), 5).await);
    ok(store.history(id, None, 5).await);
    ok(store.verdicts(id, None, 5).await);
    ok(store.breaches(id, "", 5).await);
    ok(store.tasks(run).await);
    ok(store.outbox(5).await);
    ok(store.feedback(id, 5).await);
    ok(store.moves_after(0, 5).await);
    ok(store.sent(bench.epoch, &["k".to_owned()], at(5)).await);
    ok(store.schedule_watermark(id).await);
    for only in [true, false] {
        for dataset in [None, Some(id)] {
            ok(store.incidents(dataset, only, 5).await);
            let filter = assay_store::port::RunFilter {
                dataset: dataset.cloned(),
                unfinished: only,
                limit: 5,
            };
            ok(store.runs(&filter).await);
            let filter = assay_store::port::ResultFilter {
                run: only.then_some(run),
                partition: dataset.map(|_| day.key.clone()),
                superseded: only,
                limit: 5,
                ..Default::default()
            };
            ok(store.results(id, &filter).await);
            let filter = assay_store::port::ResultFilter {
                check: Some(assay_model::ids::CheckId::new("rows_exist")),
                superseded: only,
                limit: 5,
                ..Default::default()
            };
            ok(store.results(id, &filter).await);
        }
    }
    store.close().await;
    let read = "SELECT coalesce(string_agg(relname || ' ' || seq_scan, ', '), '') \
         FROM pg_stat_user_tables WHERE seq_scan > 0 AND relname NOT IN \
         ('_sqlx_migrations', 'leader_epoch', 'node')";
    let begun = Instant::now();
    // The sessions tell of their reads when they end.
    while shared().sql(
        &url,
        "SELECT count(*) FROM pg_stat_user_tables WHERE idx_scan > 0 AND relname = 'outbox'",
    ) == "0"
    {
        assert!(begun.elapsed() < Duration::from_secs(20), "no statistics");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(shared().sql(&url, read), "");
}
