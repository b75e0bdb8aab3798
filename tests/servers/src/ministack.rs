//! A stand-in for AWS on loopback: DynamoDB, S3, SNS, Secrets Manager, a Lambda that runs the real
//! program.
//!
//! Comes in: nothing. Goes out: its address, and the environment that turns any AWS client to it. It
//! must never let a client reach the real AWS: the keys it gives are nobody's, and files of the
//! user's own identity are out of sight.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::etcd::{http, sweeper};
use crate::port;
use crate::supervised::Supervised;

/// The region of everything in it.
pub const REGION: &str = "eu-west-1";
/// The variable that names the program.
pub const PROGRAM: &str = "ASSAY_MINISTACK";

/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Starts that may fail because somebody took the port in between.
const STARTS: u32 = 5;

/// A running stand-in; it ends with this guard, or with the program.
#[derive(Debug)]
pub struct Ministack {
    port: u16,
    folder: PathBuf,
    process: Option<Supervised>,
    sweeper: Child,
}

/// The one that all tests of a program share: each takes names of its own.
///
/// # Panics
/// When it is not installed, or does not start.
#[must_use]
pub fn shared() -> &'static Ministack {
    static SHARED: OnceLock<Ministack> = OnceLock::new();
    SHARED.get_or_init(Ministack::start)
}

impl Ministack {
    /// Starts one, and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        let program = program();
        for _ in 1..STARTS {
            if let Ok(this) = Self::try_start(&program) {
                return this;
            }
        }
        Self::try_start(&program).unwrap_or_else(|log| panic!("ministack does not start:\n{log}"))
    }

    fn try_start(program: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("assay-ministack-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let mut this = Self {
            port: port::free(),
            sweeper: sweeper(&folder),
            folder,
            process: None,
        };
        this.spawn(program);
        let until = Instant::now() + PATIENCE;
        while !this.is_ready() {
            if !this.process.as_mut().is_some_and(Supervised::runs) || Instant::now() > until {
                return Err(this.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(this)
    }

    fn spawn(&mut self, program: &Path) {
        let log = File::create(self.folder.join("log")).expect("a log file");
        let (port, folder) = (self.port.to_string(), self.folder.display().to_string());
        let name = program.display().to_string();
        let environment = [
            ("BIND_HOST", "127.0.0.1"),
            ("GATEWAY_PORT", &port),
            ("MINISTACK_HOST", "127.0.0.1"),
            ("MINISTACK_REGION", REGION),
            ("LOG_LEVEL", "WARNING"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("HOME", &folder),
            ("TMPDIR", &folder),
        ];
        let process = Supervised::start(&name, &[], &environment, log);
        self.process = Some(process.unwrap_or_else(|error| panic!("{name}: {error}")));
    }

    fn is_ready(&self) -> bool {
        http(self.port, "/_ministack/health").is_some_and(|text| text.contains(" 200 "))
    }

    /// Its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients reach it (`AWS_ENDPOINT_URL`).
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The environment of a program whose AWS is this one.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(&self.url())
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Kills it (SIGKILL): whoever asks it gets no answer. A repeat does nothing.
    pub fn kill(&mut self) {
        self.process = None;
    }
}

/// The environment of a program whose AWS is at `url`, with the keys of nobody.
#[must_use]
pub fn environment(url: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

impl Drop for Ministack {
    fn drop(&mut self) {
        self.kill();
        drop(self.sweeper.stdin.take());
        // Its only work is to remove the folder.
        let _ = self.sweeper.wait();
    }
}

/// Where the program is: what [`PROGRAM`] names, or where `make tools` puts it.
fn program() -> PathBuf {
    let named = std::env::var_os(PROGRAM).map(PathBuf::from);
    let home = std::env::var_os("HOME").unwrap_or_default();
    let usual = Path::new(&home).join(".cache/assay/tools/cloud/bin/ministack");
    let path = named.unwrap_or(usual);
    assert!(
        path.is_file(),
        "ministack, which stands in for AWS, is not at {}: run `make tools`, or name it with {PROGRAM}",
        path.display()
    );
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_answers_until_it_is_killed_and_leaves_no_folder() {
        let mut stack = Ministack::start();
        let folder = stack.folder.clone();
        assert!(folder.exists() && stack.is_ready());
        let environment = stack.environment();
        assert!(environment.contains(&("AWS_ENDPOINT_URL".to_owned(), stack.url())));
        stack.kill();
        assert!(http(stack.port(), "/_ministack/health").is_none());
        drop(stack);
        assert!(!folder.exists());
    }
}
