//! The child's side: reads tasks from its standard input until that ends.
//!
//! In: frames of the node. Out: frames to the node, on what was the standard output; what anything
//! in the process prints goes to the standard error instead, so that it can never be taken for an
//! answer. The process ends when its node's pipe does: whatever it is at, nobody waits for it. It
//! holds no credential of the store and must never open a connection to it.

use std::fs::File;
use std::io::{BufReader, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use assay_model::output::TaskOutput;
use assay_model::task::TaskFailure;
use assay_scan::ScanContext;
use assay_scan::discover::discover_again;
use assay_scan::reach::{Access, MakeReach};

use super::frame;
use super::limits;
use super::message::{self, ChildTask, ChildWork, FromChild, PROTOCOL, ToChild, VERSION};
use crate::runner::scan_failure;

/// A node's messages are trusted; the bound only keeps a broken pipe from looking like a length.
const TASK_BYTES_MAX: u64 = 4 << 30;
/// The stack on which tasks run.
const STACK_BYTES: usize = 8 << 20;
/// Exit code of a child that the node's messages make no sense to.
const PROTOCOL_BROKEN: i32 = 3;

/// What a child does with a task.
pub type Work = fn(&ChildWork<'_>, &ScanContext) -> Result<TaskOutput, TaskFailure>;

/// How a child reaches sources beyond files.
#[derive(Debug, Clone, Copy)]
pub struct Reaching {
    /// Makes the way there.
    pub make: MakeReach,
    /// Makes every thread that the way needs: the child may make none once it has greeted.
    pub warm: fn() -> Result<(), String>,
}

/// Serves tasks of the node that started this process; returns when the node refuses or leaves.
///
/// To be called before anything else: while the process has one thread and no open file.
#[must_use]
pub fn serve_child(reach: Option<Reaching>) -> ExitCode {
    serve_with(scan, reach)
}

/// As [`serve_child`], with other work.
#[must_use]
pub fn serve_with(work: Work, reach: Option<Reaching>) -> ExitCode {
    serve_prepared(work, reach, || Ok(()))
}

/// As [`serve_with`]; `prepare` starts the threads that the work needs, once limits hold and before
/// no more can be started.
#[must_use]
pub fn serve_prepared(
    work: Work,
    reach: Option<Reaching>,
    prepare: fn() -> Result<(), String>,
) -> ExitCode {
    match Served::begin(work, reach, prepare) {
        Ok(served) => served.listen(),
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(2)
        }
    }
}

/// The work of a data node: a listing or the scan of a batch.
///
/// # Errors
/// The scan's error, with whether a retry helps.
pub fn scan(work: &ChildWork<'_>, context: &ScanContext) -> Result<TaskOutput, TaskFailure> {
    let ended = match work {
        ChildWork::Discover {
            dataset,
            ledger,
            selection,
            now,
            redo,
        } => discover_again(dataset, ledger, selection, *now, context, redo)
            .map(TaskOutput::Discovered),
        ChildWork::Measure { dataset, spec } => {
            assay_scan::measure::measure(dataset, spec, context).map(TaskOutput::Measured)
        }
    };
    ended.map_err(|error| scan_failure(&error))
}

/// Where answers go; whole frames only.
#[derive(Clone)]
struct Mouth(Arc<Mutex<File>>);

impl Mouth {
    fn say_bytes(&self, bytes: &[u8]) {
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pipe.write_all(bytes).is_err() {
            // The node is gone.
            std::process::exit(0);
        }
    }

    fn say(&self, message: &FromChild) {
        match frame::encode(message, std::iter::empty(), u64::from(u32::MAX)) {
            Ok(bytes) => self.say_bytes(&bytes),
            Err(error) => end(&error.to_string()),
        }
    }
}

/// Ends a process that cannot go on.
fn end(reason: &str) -> ! {
    eprintln!("{reason}");
    std::process::exit(PROTOCOL_BROKEN)
}

struct Served {
    ears: BufReader<File>,
    mouth: Mouth,
    tasks: mpsc::Sender<(ChildTask<'static>, ScanContext)>,
    reach: Option<Reaching>,
}

impl Served {
    fn begin(
        work: Work,
        reach: Option<Reaching>,
        prepare: fn() -> Result<(), String>,
    ) -> Result<Self, String> {
        let broken = |error: std::io::Error| format!("no pipe to a node: {error}");
        let ears = std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(broken)?;
        let pipe = std::io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(broken)?;
        rustix::stdio::dup2_stdout(std::io::stderr()).map_err(|e| broken(e.into()))?;
        let mut ears = BufReader::new(File::from(ears));
        let mouth = Mouth(Arc::new(Mutex::new(File::from(pipe))));
        let hello = frame::read(&mut ears, TASK_BYTES_MAX).map_err(|e| e.to_string())?;
        let hello = hello.ok_or("this sub-command is for a data node to call, not for people")?;
        let begun = greet(&hello)
            .and_then(|()| prepare())
            .and_then(|()| worker(work, mouth.clone(), reach));
        match begun {
            Ok(tasks) => {
                mouth.say(&FromChild::Ready {
                    protocol: PROTOCOL,
                    version: VERSION.to_owned(),
                });
                Ok(Self {
                    ears,
                    mouth,
                    tasks,
                    reach,
                })
            }
            Err(reason) => {
                mouth.say(&FromChild::Refused {
                    reason: reason.clone(),
                });
                Err(reason)
            }
        }
    }

    /// Takes messages until the pipe ends.
    fn listen(mut self) -> ExitCode {
        let mut at_work = ScanContext::default();
        loop {
            let frame = match frame::read(&mut self.ears, TASK_BYTES_MAX) {
                Ok(Some(frame)) => frame,
                // Whatever is at work is for nobody: returning would wait for nothing either.
                Ok(None) => std::process::exit(0),
                Err(error) => end(&error.to_string()),
            };
            match frame.message::<ToChild<'static>>() {
                Ok(ToChild::Task(mut task)) => {
                    at_work = ScanContext::new(task.memory_bytes);
                    let access = task.access.take();
                    at_work.files = access.as_ref().and_then(Access::files);
                    let reach = self.reach.zip(access);
                    at_work.reach = reach.map(|(reach, access)| (reach.make)(access));
                    if self.tasks.send((*task, at_work.clone())).is_err() {
                        end("the working thread is gone");
                    }
                }
                Ok(ToChild::Look) => self.mouth.say(&FromChild::Progress {
                    rows: at_work.progress.rows.load(Ordering::Relaxed),
                    bytes: at_work.progress.bytes.load(Ordering::Relaxed),
                }),
                Ok(ToChild::Stop) => at_work.cancelled.store(true, Ordering::Relaxed),
                Ok(ToChild::Hello { .. }) => end("a second hello"),
                Err(error) => end(&error.to_string()),
            }
        }
    }
}

/// Looks at the hello and sets its limits.
fn greet(hello: &frame::Frame) -> Result<(), String> {
    let ours = format!("protocol {PROTOCOL} of version {VERSION}");
    match hello.message::<ToChild<'static>>() {
        Ok(ToChild::Hello {
            protocol,
            version,
            limits,
        }) => {
            if protocol != PROTOCOL || version != VERSION {
                return Err(format!(
                    "the node speaks protocol {protocol} of version {version}, this program {ours}; \
                     install one version and start the node again"
                ));
            }
            limits::hold(limits)
        }
        Ok(_) => Err("the first message was no hello".to_owned()),
        Err(error) => Err(format!("{error}; this program speaks {ours}")),
    }
}

/// Starts the thread that works; what it is sent is done in turn.
fn worker(
    work: Work,
    mouth: Mouth,
    reach: Option<Reaching>,
) -> Result<mpsc::Sender<(ChildTask<'static>, ScanContext)>, String> {
    let (tasks, queue) = mpsc::channel::<(ChildTask<'static>, ScanContext)>();
    std::thread::Builder::new()
        .name("task".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            while let Ok((task, context)) = queue.recv() {
                if let Err(reason) = limits::allow_cpu(task.cpu_seconds) {
                    end(&reason);
                }
                mouth.say_bytes(&ended(work, &task, &context));
            }
        })
        .map_err(|error| format!("no thread to work on: {error}"))?;
    if let Some(reach) = reach {
        (reach.warm)()?;
    }
    limits::no_more_processes()?;
    Ok(tasks)
}

/// Does a task, panics included.
fn ended(work: Work, task: &ChildTask<'_>, context: &ScanContext) -> Vec<u8> {
    let done = catch_unwind(AssertUnwindSafe(|| work(&task.work, context)));
    let read = (
        context.progress.rows.load(Ordering::Relaxed),
        context.progress.bytes.load(Ordering::Relaxed),
    );
    let bytes = match done {
        Ok(ended) => message::done(task.seq, read, ended, task.answer_bytes_max),
        Err(payload) => {
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned());
            let answer = message::Answer::Panicked {
                message: message::clean(&text.unwrap_or_default()),
            };
            let message = FromChild::Done {
                seq: task.seq,
                answer,
                rows: read.0,
                bytes: read.1,
            };
            frame::encode(&message, std::iter::empty(), u64::from(u32::MAX))
        }
    };
    bytes.unwrap_or_else(|error| end(&error.to_string()))
}
