//! What a task does to its process stays there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use assay_datanode::runner::child::ChildConfig;
use assay_datanode::runner::{TaskRunner, TaskWatch};
use assay_model::task::AttemptOutcome;

use crate::support::{children, failure, job, run, runner, runner_with};

pub async fn a_poisoned_task_is_a_crash_and_its_slot_serves_the_next_one() {
    let runner = runner(1, None).await;
    for (poison, words) in [
        ("panic", "a rule of the reader is broken"),
        ("abort", "SIGABRT"),
        ("stack", "ran out of stack"),
        ("files", "Too many open files"),
        ("memory", "ran out of memory: it may write to 112 MiB"),
        ("exit", "exit code 0 and no answer"),
        ("fork", "SIGABRT"),
        ("write", "SIGXFSZ"),
    ] {
        let began = Instant::now();
        let failure = failure(&runner, poison).await;
        println!("  {poison}: {:?}: {}", began.elapsed(), failure.message);
        assert_eq!(
            failure.outcome,
            AttemptOutcome::Crashed,
            "{poison}: {failure:?}"
        );
        // A limit on processes binds everyone but root.
        let refused = poison == "fork" && failure.message.contains("a process more");
        assert!(
            failure.message.contains(words) || refused,
            "{poison}: {failure:?}"
        );
        assert!(run(&runner, "nothing").await.is_ok(), "after {poison}");
        assert!(began.elapsed() < Duration::from_secs(5), "{poison}");
    }
}

pub async fn an_endless_loop_is_killed_after_its_grace() {
    let runner = runner(1, None).await;
    let watch = TaskWatch::default();
    let stop = Arc::clone(&watch.stop);
    let stopped = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.store(true, Ordering::Relaxed);
    });
    let began = Instant::now();
    let failure = runner.run(job("spin"), watch).await.unwrap_err();
    stopped.await.unwrap();
    assert_eq!(failure.outcome, AttemptOutcome::Crashed);
    assert!(failure.message.contains("was killed"), "{failure:?}");
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(600) && took < Duration::from_secs(3),
        "{took:?}"
    );
    assert!(run(&runner, "nothing").await.is_ok());
}

pub async fn a_task_that_listens_is_stopped_and_its_child_stays() {
    let runner = runner(1, None).await;
    runner.warm(crate::support::MEMORY).await.unwrap();
    let before = children();
    let watch = TaskWatch::default();
    let (stop, progress) = (Arc::clone(&watch.stop), Arc::clone(&watch.progress));
    let working = tokio::spawn(async move {
        let ended = runner.run(job("listen"), watch).await;
        (runner, ended)
    });
    let began = Instant::now();
    while progress.rows.load(Ordering::Relaxed) == 0 {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "no progress is told"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let (runner, ended) = working.await.unwrap();
    assert_eq!(ended.unwrap_err().outcome, AttemptOutcome::Cancelled);
    assert!(run(&runner, "nothing").await.is_ok());
    assert_eq!(children(), before, "the same child");
}

pub async fn processor_time_is_bounded_by_the_kernel_too() {
    let mut config = ChildConfig::own(1);
    config.cpu_grace_s = 1;
    let runner = runner_with(config).await;
    let failure = failure(&runner, "spin").await;
    assert_eq!(failure.outcome, AttemptOutcome::Crashed);
    assert!(failure.message.contains("SIGXCPU"), "{failure:?}");
}

pub async fn a_panic_of_one_task_leaves_its_neighbour_at_work() {
    let runner = runner(2, None).await;
    let (slow, abort) = tokio::join!(run(&runner, "slow"), run(&runner, "abort"));
    assert_eq!(abort.unwrap_err().outcome, AttemptOutcome::Crashed);
    assert_eq!(slow.unwrap_err().outcome, AttemptOutcome::Permanent);
}

pub async fn a_child_killed_from_outside_is_a_crash_at_once() {
    let runner = runner(1, None).await;
    runner.warm(crate::support::MEMORY).await.unwrap();
    let pid = rustix::process::Pid::from_raw(children()[0]).unwrap();
    let kill = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        Instant::now()
    };
    let (ended, killed) = tokio::join!(run(&runner, "slow"), kill);
    let failure = ended.unwrap_err();
    assert!(
        killed.elapsed() < Duration::from_millis(500),
        "{:?}",
        killed.elapsed()
    );
    assert_eq!(failure.outcome, AttemptOutcome::Crashed);
    assert!(failure.message.contains("SIGKILL"), "{failure:?}");
    assert!(run(&runner, "nothing").await.is_ok());
}

pub async fn nonsense_is_a_crash_of_the_attempt() {
    for (lie, words) in [
        ("garbage", "at most"),
        ("length", "at most"),
        ("text", "no message"),
        ("trailing", "no message"),
        ("unasked", "nobody asked for"),
        ("another", "instead of 0"),
        ("unknown", "no message"),
        ("excuse", "not the task's to tell"),
        ("exit", "exit code 0"),
        ("flood", "no message"),
    ] {
        let runner = runner(1, Some(lie)).await;
        let began = Instant::now();
        let failure = failure(&runner, "nothing").await;
        assert_eq!(
            failure.outcome,
            AttemptOutcome::Crashed,
            "{lie}: {failure:?}"
        );
        assert!(failure.message.contains(words), "{lie}: {failure:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{lie}");
    }
    // A child that stops in the middle of a word is waited for until the task's time is over.
    let runner = runner(1, Some("torn")).await;
    let watch = TaskWatch::default();
    let torn = runner.run(job("nothing"), watch.clone());
    assert!(
        tokio::time::timeout(Duration::from_millis(500), torn)
            .await
            .is_err()
    );
}

pub async fn what_a_library_prints_is_no_answer() {
    let runner = runner(1, None).await;
    assert_eq!(failure(&runner, "print").await.message, "it printed");
    assert!(run(&runner, "nothing").await.is_ok());
}
