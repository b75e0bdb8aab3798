//! One drill: its folder, its seed, its log, and what is said when it fails.
//!
//! Comes in: a name. Goes out: a place for everything that the drill leaves. On a failure the folder
//! stays and the command that repeats the drill is printed; else nothing is left, and what was done is
//! printed when `ASSAY_DRILL_SHOW` is set.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::log::ChaosLog;

/// Drills at a time: each is a cluster of its own on the same few cores.
const AT_ONCE: usize = 2;

/// A drill under way.
#[derive(Debug)]
pub struct Drill {
    /// Its name: the test's.
    pub name: String,
    /// What its timings are drawn from.
    pub seed: u64,
    /// Where everything lies.
    pub folder: PathBuf,
    /// What was done.
    pub log: Arc<ChaosLog>,
    random: Mutex<StdRng>,
    _turn: OwnedSemaphorePermit,
}

impl Drill {
    /// Begins a drill, when it is its turn.
    ///
    /// # Panics
    /// When no folder can be made, or `ASSAY_DRILL_SEED` is no number.
    pub async fn begin(name: &str) -> Arc<Self> {
        static TURNS: Mutex<Option<Arc<Semaphore>>> = Mutex::new(None);
        let turns = {
            let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
            let at_once = number("ASSAY_DRILLS").map_or(AT_ONCE, |n| n as usize);
            Arc::clone(turns.get_or_insert_with(|| Arc::new(Semaphore::new(at_once))))
        };
        let turn = turns.acquire_owned().await.expect("it is never closed");
        let folder = tempfile::Builder::new()
            .prefix(&format!("assay-drill-{name}-"))
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let seed = number("ASSAY_DRILL_SEED").unwrap_or(1);
        let log = Arc::new(ChaosLog::new(&folder));
        log.note(format!("drill {name}, seed {seed}"));
        Arc::new(Self {
            name: name.to_owned(),
            seed,
            folder,
            log,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            _turn: turn,
        })
    }

    /// A number from `least` to `most`, drawn from the seed.
    pub fn draw(&self, least: u64, most: u64) -> u64 {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.random_range(least..=most)
    }

    /// Waits for `least` to `most` milliseconds.
    pub async fn pause(&self, least: u64, most: u64) {
        tokio::time::sleep(Duration::from_millis(self.draw(least, most))).await;
    }

    /// Notes what happens at this moment.
    pub fn note(&self, what: impl Into<String>) -> Timestamp {
        self.log.note(what)
    }

    /// A folder of the drill.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Drill {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.log.note("FAILED");
            eprintln!("the drill's folder is kept: {}", self.folder.display());
            for entry in self.log.entries() {
                eprintln!("  {:9.3} {}", entry.since.as_secs_f64(), entry.what);
            }
            eprintln!(
                "repeat it: ASSAY_DRILL_SEED={} cargo test -p assay-cluster-tests --test drills {}",
                self.seed, self.name
            );
        } else {
            if std::env::var_os("ASSAY_DRILL_SHOW").is_some() {
                eprintln!("{}, seed {}", self.name, self.seed);
                for entry in self.log.entries() {
                    eprintln!("  {:9.3} {}", entry.since.as_secs_f64(), entry.what);
                }
            }
            // What is left of a good drill is of no use.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// A number of the environment.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is `{text}`, and should be a number")),
    )
}
