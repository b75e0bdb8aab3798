//! Which child serves whom, what it holds, and when it ends.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assay_datanode::runner::child::{ChildConfig, SUBCOMMAND};
use assay_datanode::runner::{TaskRunner, TaskWatch};
use assay_model::task::AttemptOutcome;

use crate::support::{MEMORY, children, failure, job, run, runner, runner_with};

pub async fn a_warm_child_serves_task_after_task_at_little_cost() {
    const TASKS: usize = 900;
    let runner = runner(1, None).await;
    runner.warm(MEMORY).await.unwrap();
    let before = children();
    let mut took = Vec::new();
    for _ in 0..TASKS {
        let began = Instant::now();
        run(&runner, "nothing").await.unwrap();
        took.push(began.elapsed());
    }
    assert_eq!(children(), before, "one child for all");
    took.sort_unstable();
    let (median, p99) = (took[TASKS / 2], took[TASKS * 99 / 100]);
    println!("  overhead of a warm child per task: p50 {median:?}, p99 {p99:?}");
    // A hundred microseconds on an idle machine; tests share theirs.
    assert!(median < Duration::from_millis(2), "{median:?}");
}

pub async fn a_child_holds_nothing_of_its_node() {
    let secret = std::env::var("PATH").unwrap();
    assert!(!secret.is_empty());
    let mut config = ChildConfig::own(1);
    config.env = vec![("ONLY_THIS".into(), "1".into())];
    let runner = runner_with(config).await;
    let told = failure(&runner, "tell").await.message;
    let environment: Vec<&str> = told.split("; ").filter(|l| l.starts_with("env ")).collect();
    assert_eq!(environment, ["env ONLY_THIS=1"]);
    for line in [
        "NoNewPrivs: 1",
        "Max core file size 0 0",
        "Max file size 0 0",
        "Max processes 0 0",
        "Max open files 256 256",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    let cap = (MEMORY * 3 / 2) + (64 << 20);
    assert!(
        told.contains(&format!("Max data size {cap} {cap}")),
        "{told}"
    );
    // Pipes, the folder that is being listed, and what its own runtime waits at: no file and no
    // connection of the node's.
    let of_node: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .map(|link| link.display().to_string())
        .collect();
    for file in told.split("; ").filter_map(|l| l.strip_prefix("file ")) {
        if file.starts_with("socket:") {
            assert!(!of_node.iter().any(|own| own == file), "{file} in {told}");
            continue;
        }
        let known = ["pipe:", "/proc/", "/dev/null", "anon_inode:[event"];
        assert!(
            file.is_empty() || known.iter().any(|k| file.starts_with(k)),
            "{file} in {told}"
        );
    }
}

pub async fn a_suspect_runs_in_a_fresh_child_with_no_second_suspect_beside_it() {
    let runner = runner(3, None).await;
    runner.warm(MEMORY).await.unwrap();
    let warm = children();
    let suspect = || {
        let mut job = job("slow");
        job.suspect = true;
        job.memory_bytes = MEMORY / 2;
        runner.run(job, TaskWatch::default())
    };
    let began = Instant::now();
    let fresh = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        children()
            .into_iter()
            .filter(|pid| !warm.contains(pid))
            .count()
    };
    let (first, second, fresh) = tokio::join!(suspect(), suspect(), fresh);
    assert_eq!(fresh, 1, "one suspect at a time, in a child of its own");
    assert!(
        began.elapsed() > Duration::from_millis(600),
        "one after the other"
    );
    for ended in [first, second] {
        assert_eq!(ended.unwrap_err().message, format!("memory {}", MEMORY / 2));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        children().len(),
        3,
        "the warm ones stay, the fresh ones are gone"
    );
    assert!(warm.iter().all(|pid| children().contains(pid)));
}

pub async fn a_program_of_another_version_is_refused() {
    for (lie, words) in [
        ("old", "version 0.0.1"),
        ("newer", "colour"),
        ("mute", "says nothing"),
    ] {
        let mut config = ChildConfig::own(1);
        config.args.push(lie.into());
        // Longer than a busy machine needs for a greeting.
        config.start_timeout = Duration::from_secs(2);
        let runner = runner_with(config).await;
        let reason = runner.warm(MEMORY).await.unwrap_err();
        assert!(reason.contains(words), "{lie}: {reason}");
    }
    let runner = runner_with(ChildConfig::of("/no/such/program", 1)).await;
    let reason = runner.warm(MEMORY).await.unwrap_err();
    assert!(reason.contains("/no/such/program"), "{reason}");
    // A node whose children do not start is at fault, not the task: no crash.
    let failure = failure(&runner, "nothing").await;
    assert_eq!(failure.outcome, AttemptOutcome::Retryable, "{failure:?}");
}

pub async fn a_child_ends_with_the_pipe_of_its_node() {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program)
        .arg(SUBCOMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut says = child.stdin.take().unwrap();
    let hello = format!(
        r#"{{"hello":{{"protocol":3,"version":"{}","limits":{{"memory_bytes":200000000,"open_files":64}}}}}}"#,
        env!("CARGO_PKG_VERSION")
    );
    let mut frame = u32::try_from(hello.len()).unwrap().to_le_bytes().to_vec();
    frame.extend([0; 4]);
    frame.extend(hello.as_bytes());
    says.write_all(&frame).unwrap();
    let mut ready = [0; 8];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    let dataset = serde_json::to_value(crate::support::poisoned("spin")).unwrap();
    let assay_model::task::TaskSpec::Measure(spec) = crate::support::measure() else {
        panic!("a measurement");
    };
    let work = serde_json::json!({ "measure": { "dataset": dataset, "spec": spec } });
    let task = serde_json::json!({ "task": {
        "seq": 0, "memory_bytes": 1000, "cpu_seconds": 60, "answer_bytes_max": 1000, "work": work,
    }})
    .to_string();
    let mut frame = u32::try_from(task.len()).unwrap().to_le_bytes().to_vec();
    frame.extend([0; 4]);
    frame.extend(task.as_bytes());
    says.write_all(&frame).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(child.try_wait().unwrap().is_none(), "it is at work");
    drop(says);
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "it lives on without a node"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn a_caller_that_goes_away_takes_its_task_along() {
    let runner = runner(1, None).await;
    runner.warm(MEMORY).await.unwrap();
    let before = children();
    let given_up = runner.run(job("spin"), TaskWatch::default());
    let _ = tokio::time::timeout(Duration::from_millis(100), given_up).await;
    // The slot is free again when the child is dead, not before.
    let began = Instant::now();
    run(&runner, "nothing").await.unwrap();
    assert!(
        began.elapsed() > Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(children().iter().all(|pid| !before.contains(pid)));
}

pub async fn a_look_that_crosses_the_end_of_a_task_is_no_word_about_the_next_one() {
    let runner = runner(1, Some("crossing")).await;
    for task in 0..2 {
        let ended = failure(&runner, "nothing").await;
        assert_eq!(ended.outcome, AttemptOutcome::Retryable, "{ended:?}");
        assert_eq!(ended.message, format!("end {task}"));
    }
}
