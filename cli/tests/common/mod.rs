//! What the tests of the command share: a place of their own for each, the binary, definitions,
//! and the store as it was left.
//!
//! Comes in: arguments. Goes out: what the program said and its exit code. It must never read the
//! caller's settings: every test has a home of its own.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "each test file uses a part of it; a test fails by panicking"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use assay_model::run::Run;
use assay_store::port::RunFilter;
use assay_store::{MetricStore, OpenOptions, SqliteStore};
use serde_json::Value;

/// A folder of one test: its working directory, home and data folder.
pub struct Place {
    folder: tempfile::TempDir,
}

/// A process that goes on in the background, and is killed when it is dropped.
pub struct Running(pub Child);

impl Running {
    /// Starts `command`; what it says goes to `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    /// `kill -9`, and its end.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// From now on it works for a tenth of the time, until what is returned is dropped: what it does
    /// is then seen in the making, on however fast a machine.
    pub fn slowed(&self) -> Slowed {
        let (end, ended) = std::sync::mpsc::channel();
        let pid = self.0.id().to_string();
        let signal = move |name: &str| {
            let sent = Command::new("kill").args([name, &pid]).status();
            assert!(sent.unwrap().success(), "{name}");
        };
        let beats = std::thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(Duration::from_millis(20))
            {
                signal("-STOP");
                std::thread::sleep(Duration::from_millis(180));
                signal("-CONT");
            }
        });
        Slowed {
            end: Some(end),
            beats: Some(beats),
        }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

/// A process that is slowed; dropped, it is not any more.
pub struct Slowed {
    end: Option<std::sync::mpsc::Sender<()>>,
    beats: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Slowed {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(beats) = self.beats.take() {
            // One that failed to send a signal has said so.
            let _ = beats.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and that is well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command said.
pub struct Said {
    /// Its exit code; 128 + the signal when it was killed.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Place {
    /// A new one.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// `name` in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and its folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The program with `args`, ready to be started here.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ASSAY_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("GITHUB_ACTIONS")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn assay(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }

    /// The store of the data folder `.assay`, to be read only.
    pub async fn store(&self) -> SqliteStore {
        self.try_store().await.expect("the store can be read")
    }

    /// The store of the data folder `.assay`, once it can be read.
    pub async fn try_store(&self) -> Option<SqliteStore> {
        let options = OpenOptions {
            read_only: true,
            ..OpenOptions::default()
        };
        let path = self.path(".assay/assay.sqlite");
        SqliteStore::open(path, options).await.ok()
    }

    /// The runs that were made, newest first; none as long as there is no store.
    pub async fn runs(&self) -> Vec<Run> {
        let Some(store) = self.try_store().await else {
            return Vec::new();
        };
        let filter = RunFilter {
            limit: 100,
            ..RunFilter::default()
        };
        let runs = store.runs(&filter).await.unwrap_or_default();
        store.close().await;
        runs
    }

    /// Waits until there are `count` runs and all have ended.
    pub async fn settled(&self, count: usize, longest: Duration) {
        let deadline = Instant::now() + longest;
        loop {
            let runs = self.runs().await;
            if runs.len() >= count && runs.iter().all(|run| run.state.is_terminal()) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{} runs, and they do not end",
                runs.len()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Said {
    /// Of a process that ended.
    pub fn of(output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let signal = || output.status.signal().map(|s| 128 + s);
        Self {
            code: output.status.code().or_else(signal).unwrap(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// Both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.err, self.out)
    }

    /// Ended with `code`, or fails with all that was said.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            code,
            "exit code {} instead of {code}:\n{}",
            self.code,
            self.all()
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}:\n{}", self.all()))
    }

    /// A message for people: one screen, each of `words` in it, and nothing of the program's insides.
    #[track_caller]
    pub fn kind(self, words: &[&str]) -> Self {
        let all = self.all();
        assert!(all.lines().count() <= 40, "more than a screen:\n{all}");
        for word in words {
            assert!(all.contains(word), "`{word}` is not said:\n{all}");
        }
        for inside in [
            "panicked",
            "Some(",
            "None,",
            "Error {",
            "RUST_BACKTRACE",
            "Os {",
        ] {
            assert!(!all.contains(inside), "`{inside}` is said:\n{all}");
        }
        self
    }
}

/// The folder of data with ground truth.
pub fn shared() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = std::env::var_os("ASSAY_SHARED").map_or_else(default, PathBuf::from);
    let data = root.join("data");
    assert!(
        data.is_dir(),
        "there is no data at {}: set ASSAY_SHARED to the folder that has `data` with the ground truth",
        data.display()
    );
    data.canonicalize().unwrap()
}

/// A definition, written line by line.
#[derive(Clone)]
pub struct Definition {
    /// The dataset's id.
    pub id: String,
    /// Where its data is.
    pub path: String,
    /// `csv`, `parquet`.
    pub format: &'static str,
    /// Lines of `properties`, as flow mappings.
    pub columns: Vec<String>,
    /// Lines of `quality`, as flow mappings.
    pub quality: Vec<String>,
    /// `customProperties`: name and value.
    pub settings: Vec<(&'static str, String)>,
}

impl Definition {
    /// One with a check of the row count, and no limits that are learned.
    pub fn new(id: &str, path: impl AsRef<Path>, format: &'static str) -> Self {
        Self {
            id: id.to_owned(),
            path: path.as_ref().display().to_string(),
            format,
            columns: Vec::new(),
            quality: vec!["{ id: rows, metric: rowCount, mustBeGreaterThan: 0 }".to_owned()],
            settings: vec![("assayLimits", "{ learned: false }".to_owned())],
        }
    }

    /// With a rule.
    pub fn check(mut self, rule: &str) -> Self {
        self.quality.push(rule.to_owned());
        self
    }

    /// With a setting.
    pub fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    /// The document.
    pub fn text(&self) -> String {
        let mut text = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: {id}\nversion: 1.0.0\nstatus: active\n\
             servers:\n  - {{ server: local, type: local, path: '{}', format: {} }}\n\
             schema:\n  - name: {id}\n",
            self.path,
            self.format,
            id = self.id
        );
        for (title, lines) in [("properties", &self.columns), ("quality", &self.quality)] {
            if !lines.is_empty() {
                let _ = writeln!(text, "    {title}:");
            }
            for line in lines {
                let _ = writeln!(text, "      - {line}");
            }
        }
        if !self.settings.is_empty() {
            text.push_str("customProperties:\n");
        }
        for (name, value) in &self.settings {
            let _ = writeln!(text, "  - property: {name}\n    value: {value}");
        }
        text
    }
}
