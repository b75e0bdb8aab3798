//! One child process, as its node holds it: started, spoken to, ended.
//!
//! In: a program, limits, tasks. Out: answers, or how the process died. It must never wait for a
//! child without an end, believe it, or leave a process behind.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_scan::ScanProgress;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::ChildConfig;
use super::frame::{self, Frame, FrameReader};
use super::limits::ChildLimits;
use super::message::{self, Expected, FromChild, PROTOCOL, Read, Taken, ToChild, VERSION};
use super::words;

/// Between two looks at a task's progress.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a process that has closed its pipe may take to be gone.
const LAST_BREATH: Duration = Duration::from_millis(500);
/// Bytes of the standard error that are kept.
const TAIL_BYTES: usize = 4096;
/// An answer longer than this is taken apart on a thread of its own.
const LONG_ANSWER: usize = 256 << 10;

/// What the child last said on its standard error.
type Tail = Arc<Mutex<VecDeque<u8>>>;

/// A living child process.
pub(super) struct TaskChild {
    process: Child,
    pid: Pid,
    says: ChildStdin,
    hears: FrameReader<ChildStdout>,
    tail: Tail,
    tail_ends: JoinHandle<()>,
    /// The memory of its tasks, in bytes.
    pub(super) memory_bytes: u64,
    /// What it may write to, in bytes.
    memory_cap: u64,
    /// Tasks that it was given.
    pub(super) served: u64,
    /// It was asked for its progress and has answered with the end of its task: the answer to the
    /// question is still to come.
    owes: bool,
}

/// A task for a child.
pub(super) struct Order {
    /// The frame; its task has this number.
    pub(super) frame: Vec<u8>,
    pub(super) seq: u64,
    pub(super) expected: Expected,
    /// Whether its source is beyond this machine's files, and may be away.
    pub(super) remote: bool,
}

/// Why no answer came.
#[derive(Debug)]
pub(super) enum Broken {
    /// The pipe ended: the process is dead or dying.
    Ended,
    /// It said something that makes no sense.
    Nonsense(String),
}

impl TaskChild {
    /// Starts a child and waits until its limits hold.
    pub(super) async fn start(config: &ChildConfig, memory_bytes: u64) -> Result<Self, String> {
        let mut command = Command::new(&config.program);
        command
            .args(&config.args)
            .env_clear()
            .envs(config.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for the node, which drains.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(name) = &config.name {
            command.arg0(name);
        }
        let program = config.program.display();
        let mut process = command
            .spawn()
            .map_err(|error| format!("cannot start {program} as a task process: {error}"))?;
        let pipes = (
            process.id().and_then(|id| Pid::from_raw(id.cast_signed())),
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        );
        let (Some(pid), Some(says), Some(stdout), Some(stderr)) = pipes else {
            return Err(format!(
                "cannot start {program} as a task process: it has no pipes"
            ));
        };
        let tail = Tail::default();
        let mut child = Self {
            process,
            pid,
            says,
            hears: FrameReader::new(stdout, config.answer_bytes_max),
            tail_ends: tokio::spawn(follow(stderr, Arc::clone(&tail))),
            tail,
            memory_bytes,
            memory_cap: config.memory_cap(memory_bytes),
            served: 0,
            owes: false,
        };
        let limits = ChildLimits {
            memory_bytes: child.memory_cap,
            open_files: config.open_files,
        };
        let refused = match timeout(config.start_timeout, child.greet(limits)).await {
            Ok(Ok(())) => return Ok(child),
            Ok(Err(reason)) => reason,
            Err(_) => "it says nothing".to_owned(),
        };
        let how = child.end().await;
        Err(format!(
            "{program} does not serve as a task process: {refused} ({how})"
        ))
    }

    async fn greet(&mut self, limits: ChildLimits) -> Result<(), String> {
        let hello = ToChild::Hello {
            protocol: PROTOCOL,
            version: VERSION.to_owned(),
            limits,
        };
        self.say(&hello).await?;
        let frame = self.hears.next().await.map_err(|error| error.to_string())?;
        let frame = frame.ok_or("it ended before its first word")?;
        match frame.message().map_err(|error| error.to_string())? {
            FromChild::Ready { protocol, version }
                if protocol == PROTOCOL && version == VERSION =>
            {
                Ok(())
            }
            FromChild::Ready { protocol, version } => Err(format!(
                "it speaks protocol {protocol} of version {version}, the node protocol {PROTOCOL} \
                 of version {VERSION}; install one version and start the node again",
                version = message::clean(&version),
            )),
            FromChild::Refused { reason } => Err(message::clean(&reason)),
            FromChild::Progress { .. } | FromChild::Done { .. } => {
                Err("its first word is no greeting".to_owned())
            }
        }
    }

    async fn say(&mut self, message: &ToChild<'_>) -> Result<(), String> {
        let bytes = frame::encode(message, std::iter::empty(), u64::from(u32::MAX));
        let bytes = bytes.map_err(|error| error.to_string())?;
        self.write(&bytes)
            .await
            .map_err(|_| "its pipe is closed".to_owned())
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.says.write_all(bytes).await?;
        self.says.flush().await
    }

    /// Gives it a task and waits for the answer; `stop` asks it to end soon.
    pub(super) async fn work(
        &mut self,
        order: Order,
        progress: &ScanProgress,
        stop: &CancellationToken,
    ) -> Result<Taken, Broken> {
        self.served += 1;
        if self.hears.has_more() {
            return Err(Broken::Nonsense(
                "words before the task was given".to_owned(),
            ));
        }
        if self.write(&order.frame).await.is_err() {
            return Err(Broken::Ended);
        }
        let first = tokio::time::Instant::now() + LOOK_EVERY;
        let mut looks = interval_at(first, LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut asked, mut stopped) = (false, false);
        let mut seen = (0, 0);
        loop {
            let say = tokio::select! {
                biased;
                frame = self.hears.next() => {
                    let frame = match frame {
                        Ok(Some(frame)) => frame,
                        Ok(None) => return Err(Broken::Ended),
                        Err(frame::FrameError::Torn | frame::FrameError::Io(_)) => {
                            return Err(Broken::Ended);
                        }
                        Err(error) => return Err(Broken::Nonsense(error.to_string())),
                    };
                    if !asked || !heard(&frame, progress, &mut seen) {
                        self.owes = asked;
                        let (taken, read) = taken(frame, order, stopped).await?;
                        advance(progress, &mut seen, read);
                        return Ok(taken);
                    }
                    asked = false;
                    continue;
                }
                () = stop.cancelled(), if !stopped => {
                    stopped = true;
                    ToChild::Stop
                }
                // One question at a time: a child that does not answer cannot fill its pipe.
                _ = looks.tick(), if !asked => {
                    asked = true;
                    ToChild::Look
                }
            };
            if self.say(&say).await.is_err() {
                return Err(Broken::Ended);
            }
        }
    }

    /// Takes the progress that was asked for while the task ended, so that it is not taken for a
    /// word about the next one; `false` when it does not come.
    pub(super) async fn settles(&mut self) -> bool {
        if !self.owes {
            return true;
        }
        let last = timeout(LAST_BREATH, self.hears.next()).await;
        let Ok(Ok(Some(frame))) = last else {
            return false;
        };
        self.owes = !matches!(frame.message(), Ok(FromChild::Progress { .. }));
        !self.owes
    }

    /// Whether it is still there and holds little memory.
    pub(super) fn is_fit(&mut self, tasks_max: u64) -> bool {
        let resident =
            std::fs::read_to_string(format!("/proc/{}/statm", self.pid.as_raw_nonzero()))
                .ok()
                .and_then(|statm| statm.split(' ').nth(1)?.parse::<u64>().ok())
                .unwrap_or_default()
                .saturating_mul(rustix::param::page_size() as u64);
        self.served < tasks_max && resident < self.memory_bytes.max(64 << 20) / 2 && self.is_alive()
    }

    /// Whether it is still there.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Ends it and whatever it has started, and says how it died and what it said last.
    pub(super) async fn end(mut self) -> String {
        // A process that has closed its pipe is about to leave a status of its own; it is looked at
        // without being collected, so that its number cannot become another process's.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let look = async {
            while let Ok(None) = rustix::process::waitid(WaitId::Pid(self.pid), options) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let own = timeout(LAST_BREATH, look).await.is_ok();
        let how = self.kill().await;
        let mut told = match how {
            Some(status) if own => words::status(status),
            _ => "it closed its pipe and did not end".to_owned(),
        };
        let _ = timeout(LAST_BREATH, &mut self.tail_ends).await;
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let (front, back) = tail.as_slices();
        let last = words::last_lines(&[front, back].concat());
        if let Some(cause) = words::cause(&last, self.memory_cap) {
            told = cause;
        }
        if !last.is_empty() {
            told = format!("{told}; its last words: {last}");
        }
        told
    }

    /// Kills it and whatever it has started.
    pub(super) async fn kill(&mut self) -> Option<std::process::ExitStatus> {
        // Not collected yet: the number is still its own.
        if self.process.id().is_some() {
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
        let _ = self.process.start_kill();
        self.process.wait().await.ok()
    }
}

/// Takes a progress report; `false` when the frame is none.
fn heard(frame: &Frame, progress: &ScanProgress, seen: &mut Read) -> bool {
    let Ok(FromChild::Progress { rows, bytes }) = frame.message() else {
        return false;
    };
    advance(progress, seen, (rows, bytes));
    true
}

/// Counts only grow, whatever a child says.
fn advance(progress: &ScanProgress, seen: &mut Read, (rows, bytes): Read) {
    progress.add_rows(rows.saturating_sub(seen.0));
    progress.add_bytes(bytes.saturating_sub(seen.1));
    *seen = (rows.max(seen.0), bytes.max(seen.1));
}

async fn taken(frame: Frame, order: Order, stopped: bool) -> Result<(Taken, Read), Broken> {
    let long = frame.head.len() + frame.blob.len() > LONG_ANSWER;
    let ends = message::Ends {
        stopped,
        remote: order.remote,
    };
    let take = move || message::take(&frame, order.seq, &order.expected, ends);
    let taken = if long {
        match tokio::task::spawn_blocking(take).await {
            Ok(taken) => taken,
            Err(error) => Err(error.to_string()),
        }
    } else {
        take()
    };
    taken.map_err(Broken::Nonsense)
}

/// Reads what a child says on its standard error, keeping the end.
async fn follow(mut stderr: ChildStderr, tail: Tail) {
    let mut buffer = [0; 1024];
    while let Ok(n @ 1..) = stderr.read(&mut buffer).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(&buffer[..n]);
        let excess = tail.len().saturating_sub(TAIL_BYTES);
        tail.drain(..excess);
    }
}
