//! Clocks that are wrong, and that are set during a run (row 24 of the matrix): nothing changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::process::Process;
use assay_cluster_tests::{Cluster, Drill, Plan};
use rustix::process::Signal;

use crate::drill;
use crate::usual::{ends_right, goes_on, slow_commits, texts, uncharged};

/// What makes a process see another time.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    let found = folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists());
    found.unwrap_or_else(|| panic!("libfaketime is not installed: apt-get install faketime"))
}

/// A process sees a time of its own from its next start on: what its file says.
fn give(process: &mut Process, library: &Path, folder: &Path, says: &str) {
    set(folder, &process.name, says);
    let file = clock_of(folder, &process.name);
    process.set("LD_PRELOAD", library.to_str().unwrap());
    process.set("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap());
    process.set("FAKETIME_CACHE_DURATION", "1");
    // Only the wall clock is wrong: nothing sets the clock that counts from the start of the machine.
    process.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    process.set("DONT_FAKE_MONOTONIC", "1");
}

fn clock_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.clock"))
}

/// Sets a clock, at once.
fn set(folder: &Path, name: &str, says: &str) {
    let file = clock_of(folder, name);
    let beside = file.with_extension("new");
    std::fs::write(&beside, format!("{says}\n")).unwrap();
    std::fs::rename(beside, file).unwrap();
}

drill!(
    clocks_that_are_wrong_and_are_set_change_nothing,
    async |name| {
        let drill = Drill::begin(name).await;
        let data = data::generate(drill.folder(), "orders", Shape::USUAL);
        let library = library();
        let folder = drill.folder().to_owned();
        let wrong = |process: &mut Process| {
            let says = match process.name.as_str() {
                "manager-1" | "node-2" => "+10m",
                "manager-2" | "node-1" => "-10m",
                _ => "+0",
            };
            give(process, &library, &folder, says);
        };
        let cluster = Cluster::start_with(&drill, Plan::default(), wrong).await;
        let begun = drill.note("clocks are ten minutes before and behind");
        let run = cluster.submit(&data, "first").await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let leader = cluster.leader().await;
        let name = cluster.managers[leader].name.clone();
        let jumps = [
            (name.as_str(), "+25m"),
            ("node-1", "+1d"),
            ("node-2", "-12m"),
            (name.as_str(), "-25m"),
        ];
        for (who, says) in jumps {
            set(&folder, who, says);
            let at = drill.note(format!("the clock of {who} is set to {says}"));
            drill.pause(1_200, 2_000).await;
            goes_on(&cluster, at, Duration::from_secs(8)).await;
        }
        let moved = "SELECT node || ' ' || state FROM event WHERE kind = 'node_moved' \
                     AND state IN ('suspect', 'dead', 'excluded')";
        assert!(texts(&cluster, moved).await.is_empty(), "a node was lost");
        // The other manager's clock is wrong another way.
        cluster.managers[leader].signal(Signal::TERM);
        let asked = drill.note("the leader is asked to leave");
        goes_on(&cluster, asked, Duration::from_secs(8)).await;
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
        let off = format!(
            "SELECT kind || ' at ' || at FROM event WHERE at < timestamptz '{begun}' - interval '1 minute' \
             OR at > clock_timestamp() + interval '5 seconds'"
        );
        let off = texts(&cluster, &off).await;
        assert!(off.is_empty(), "stamps are the server's: {off:?}");
    }
);
