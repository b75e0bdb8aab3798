//! The child's side: what the tags of a dataset tell it to do instead of a scan.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use assay_datanode::runner::child::{ChildWork, Reaching, scan, serve_with};
use assay_model::output::TaskOutput;
use assay_model::task::{AttemptOutcome, TaskFailure};
use assay_scan::ScanContext;

/// Serves tasks, or lies.
pub fn child(lie: Option<&str>) -> ExitCode {
    match lie {
        None => serve_with(
            work,
            Some(Reaching {
                make: assay_sources::reach,
                warm: assay_sources::warm,
            }),
        ),
        Some("old") => {
            read_frame();
            say(br#"{"ready":{"protocol":3,"version":"0.0.1"}}"#);
            std::thread::sleep(Duration::from_secs(60));
            ExitCode::SUCCESS
        }
        Some("newer") => {
            read_frame();
            say(br#"{"ready":{"protocol":3,"version":"0.1.0","colour":"red"}}"#);
            std::thread::sleep(Duration::from_secs(60));
            ExitCode::SUCCESS
        }
        Some("mute") => {
            std::thread::sleep(Duration::from_secs(60));
            ExitCode::SUCCESS
        }
        Some(lie) => {
            read_frame();
            let hello = format!(
                r#"{{"ready":{{"protocol":3,"version":"{}"}}}}"#,
                env!("CARGO_PKG_VERSION")
            );
            say(hello.as_bytes());
            read_frame();
            answer(lie)
        }
    }
}

fn answer(lie: &str) -> ExitCode {
    match lie {
        "garbage" => out(&[b'#'; 4096]),
        "length" => out(&[0xff; 8]),
        "text" => say(b"once upon a time"),
        "trailing" => say(br#"{"progress":{"rows":1,"bytes":1}} {}"#),
        "unasked" => say(br#"{"progress":{"rows":1,"bytes":1}}"#),
        "another" => say(br#"{"done":{"seq":77,"answer":{"measured":[]}}}"#),
        "unknown" => say(br#"{"done":{"seq":0,"answer":{"measured":[]},"and":1}}"#),
        "excuse" => {
            say(
                br#"{"done":{"seq":0,"answer":{"failed":{"outcome":"drained","message":"free"}}}}"#,
            );
        }
        "crossing" => {
            // Asked for its progress, and done before it answers.
            read_frame();
            end_of(0);
            std::thread::sleep(Duration::from_millis(50));
            say(br#"{"progress":{"rows":1,"bytes":1}}"#);
            read_frame();
            end_of(1);
        }
        "torn" => out(&[200, 0, 0, 0, 0, 0, 0, 0, b'{']),
        "exit" => return ExitCode::SUCCESS,
        "flood" => loop {
            out(&[0; 1 << 16]);
        },
        other => panic!("no such lie: {other}"),
    }
    std::thread::sleep(Duration::from_secs(60));
    ExitCode::SUCCESS
}

fn end_of(task: u32) {
    let ended = format!(
        r#"{{"done":{{"seq":{task},"answer":{{"failed":{{"outcome":"retryable","message":"end {task}"}}}}}}}}"#
    );
    say(ended.as_bytes());
}

fn out(bytes: &[u8]) {
    let mut pipe = std::io::stdout().lock();
    if pipe.write_all(bytes).and_then(|()| pipe.flush()).is_err() {
        std::process::exit(0);
    }
}

fn say(head: &[u8]) {
    let mut frame = u32::try_from(head.len()).unwrap().to_le_bytes().to_vec();
    frame.extend([0; 4]);
    frame.extend(head);
    out(&frame);
}

fn read_frame() {
    let mut header = [0; 8];
    std::io::stdin().read_exact(&mut header).unwrap();
    let length = u32::from_le_bytes(header[..4].try_into().unwrap());
    let mut head = vec![0; length as usize];
    std::io::stdin().read_exact(&mut head).unwrap();
}

/// Does what the dataset's tag says; with a second tag, to that partition only.
fn work(work: &ChildWork<'_>, context: &ScanContext) -> Result<TaskOutput, TaskFailure> {
    let dataset = match work {
        ChildWork::Discover { dataset, .. } | ChildWork::Measure { dataset, .. } => dataset,
    };
    let tags: Vec<&str> = dataset.tags.iter().map(String::as_str).collect();
    let only = |key: &str| match work {
        ChildWork::Discover { .. } => false,
        ChildWork::Measure { spec, .. } => spec.partitions.iter().any(|p| p.key.as_str() == key),
    };
    match tags[..] {
        // A suspect has half the memory.
        ["abort-when-full", key] if only(key) && context.memory_bytes >= FULL => {
            std::process::abort()
        }
        [poison @ ("abort" | "spin"), key] if only(key) => take(poison, context),
        [poison] => take(poison, context),
        _ => scan(work, context),
    }
}

fn tell(message: String) -> Result<TaskOutput, TaskFailure> {
    Err(TaskFailure {
        outcome: AttemptOutcome::Permanent,
        message,
    })
}

#[expect(clippy::infinite_loop, reason = "it is meant to be endless")]
fn take(poison: &str, context: &ScanContext) -> Result<TaskOutput, TaskFailure> {
    match poison {
        "nothing" => Ok(TaskOutput::Measured(Vec::new())),
        "panic" => panic!("a rule of the reader is broken"),
        "abort" => std::process::abort(),
        "stack" => tell(deeper(u64::MAX).to_string()),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "listen" => {
            while context.check("f").is_ok() {
                context.progress.add_rows(1);
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TaskFailure {
                outcome: AttemptOutcome::Cancelled,
                message: "stopped".to_owned(),
            })
        }
        "slow" => {
            std::thread::sleep(Duration::from_millis(300));
            tell(format!("memory {}", context.memory_bytes))
        }
        "files" => {
            let mut open = Vec::new();
            loop {
                open.push(std::fs::File::open("/dev/null").expect("a file more"));
            }
        }
        "memory" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
                context.progress.rows.fetch_add(1, Ordering::Relaxed);
            }
        }
        "exit" => std::process::exit(0),
        "fork" => {
            let sleep = |_| {
                let mut sleep = std::process::Command::new("/bin/sleep");
                sleep
                    .arg(crate::support::SLEEP)
                    .spawn()
                    .expect("a process more")
            };
            let _kept: Vec<_> = (0..20).map(sleep).collect();
            std::process::abort()
        }
        "write" => {
            let path = std::env::temp_dir().join(format!("assay-child-{}", std::process::id()));
            std::fs::write(path, "x").expect("a file");
            tell("it wrote a file".to_owned())
        }
        "print" => {
            println!("a library says hello");
            print!("\0\0\0\0");
            std::io::stdout().flush().unwrap();
            tell("it printed".to_owned())
        }
        "tell" => tell(told()),
        other => panic!("no such poison: {other}"),
    }
}

/// Memory of an attempt that is no suspect's, in the tests of a whole cluster.
pub const FULL: u64 = 64 << 20;

#[expect(unconditional_recursion, reason = "it is meant to overflow the stack")]
fn deeper(n: u64) -> u64 {
    let block = std::hint::black_box([n; 64]);
    deeper(block[7] - 1) + block[3]
}

/// All that the process holds.
fn told() -> String {
    let mut told: Vec<String> = std::env::vars()
        .map(|(k, v)| format!("env {k}={v}"))
        .collect();
    for file in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = std::fs::read_link(file.unwrap().path()).unwrap_or_default();
        told.push(format!("file {}", path.display()));
    }
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    told.extend(
        status
            .lines()
            .filter(|l| l.starts_with("NoNewPrivs"))
            .map(str::to_owned),
    );
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    told.extend(limits.lines().map(|l| {
        let words: Vec<&str> = l.split_whitespace().collect();
        words.join(" ")
    }));
    told.join("; ")
}
