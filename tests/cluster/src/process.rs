//! One process of the cluster.
//!
//! Comes in: a program, its environment, its log. Goes out: a running process that is killed,
//! paused and asked to leave by its id. It must never outlive the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use assay_test_servers::supervised::Supervised;
use rustix::process::Signal;

use crate::machine::{children_of, signal};

/// A process of the cluster, running or not.
#[derive(Debug)]
pub struct Process {
    /// Its name: `manager-1`, `node-2`.
    pub name: String,
    program: PathBuf,
    environment: Vec<(String, String)>,
    log: PathBuf,
    running: Option<Supervised>,
    /// Its port of telemetry.
    pub telemetry: u16,
}

impl Process {
    /// A process that is not yet started; its log lies in `folder`.
    #[must_use]
    pub fn new(
        name: &str,
        program: PathBuf,
        environment: Vec<(String, String)>,
        folder: &Path,
        telemetry: u16,
    ) -> Self {
        Self {
            name: name.to_owned(),
            program,
            environment,
            log: folder.join(format!("{name}.log")),
            running: None,
            telemetry,
        }
    }

    /// Starts it; the answer is its id.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&mut self) -> u32 {
        let log = File::options().create(true).append(true).open(&self.log);
        let environment: Vec<(&str, &str)> = self
            .environment
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        let program = self.program.to_str().expect("paths of tests are text");
        let process = Supervised::start(program, &[], &environment, log.expect("a log file"));
        let process = process.expect("the program can be started");
        let id = process.id();
        self.running = Some(process);
        id
    }

    /// Changes an environment variable for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(n, _)| n != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// An environment variable of it.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Has what it logs from the next start on go to a file in another folder.
    pub fn log_in(&mut self, folder: &Path) {
        self.log = folder.join(format!("{}.log", self.name));
    }

    /// Its id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(Supervised::id)
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.running.as_mut().is_some_and(Supervised::runs)
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, which: Signal) {
        if let Some(id) = self.id() {
            signal(id, which);
        }
    }

    /// Stops it, and the children that run its tasks, as a machine that hangs.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        for child in self.children() {
            signal(child, Signal::STOP);
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        for child in self.children() {
            signal(child, Signal::CONT);
        }
        self.signal(Signal::CONT);
    }

    /// The children that run its tasks.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let program = self.program.to_str().unwrap_or_default();
        self.id()
            .map_or_else(Vec::new, |id| children_of(id, program))
    }

    /// Waits until it has ended by itself; `false` when it has not within `limit`.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while self.runs() {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What is stopped would not notice that its pipes are gone.
        self.resume();
    }
}
