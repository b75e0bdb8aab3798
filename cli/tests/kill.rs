//! `kill -9` in the middle of everything: the cluster goes on where it was, and in the end knows
//! exactly what one knows that was never disturbed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use assay_store::dump::dump_final;
use assay_store::invariants::{check_invariants, check_settled};
use assay_store::{MetricStore, SqliteStore};
use common::{Definition, Place, Running};

/// Days of data.
const DAYS: u32 = 160;
/// How often the process is killed in the middle of a run.
const KILLS: u32 = 20;
/// The runs of a new dataset: its past, and what has arrived.
const RUNS: usize = 2;
/// The longest that anything may take.
const LONGEST: Duration = Duration::from_secs(60);

/// A reproducible stream of numbers (SplitMix64, Steele et al. 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Days of orders, one of them bad, each of two batches.
fn write_data(place: &Place) {
    let mut numbers = Numbers(7);
    for day in 0..DAYS {
        let mut text = String::from("id,amount,note\n");
        let rows = if day == 141 { 900 } else { 6000 };
        for row in 0..rows {
            let cents = 1000 + numbers.below(90_000);
            let note = if numbers.below(20) == 0 { "" } else { "ok" };
            let _ = writeln!(text, "{row},{}.{:02},{note}", cents / 100, cents % 100);
        }
        let (month, day) = (1 + day / 28, 1 + day % 28);
        place.write(&format!("data/date=2026-{month:02}-{day:02}.csv"), text);
    }
}

/// The dataset of the data in `data`.
fn define(place: &Place, data: &Place) {
    let definition = Definition::new("orders", data.path("data"), "csv")
        .check("{ id: enough, metric: rowCount, mustBeGreaterThan: 1000 }")
        .set("assayScan", "{ targetBytes: 65536 }")
        .set("assayLimits", "{ learned: true }");
    place.write("datasets/orders.odcs.yaml", definition.text());
}

fn start(place: &Place) -> Running {
    let args = ["dev", "--nodes", "2", "--grpc-port", "0", "--poll-s", "1"];
    Running::start(place.command(&args), &place.path("log"))
}

/// Tasks that have ended, of all.
async fn progress(place: &Place) -> (usize, usize) {
    let Some(store) = place.try_store().await else {
        return (0, 0);
    };
    let (mut ended, mut all) = (0, 0);
    for run in place.runs().await {
        for (task, _) in store.tasks(run.id).await.unwrap_or_default() {
            all += 1;
            ended += usize::from(task.state.is_terminal());
        }
    }
    store.close().await;
    (ended, all)
}

async fn all_well(store: &SqliteStore) {
    let broken = check_invariants(store).await.unwrap();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// All that was found in `place`, which must be at rest and well. The age of the data when it was
/// judged is the clock's, not the data's, and left out.
async fn findings(place: &Place) -> String {
    let store = place.store().await;
    all_well(&store).await;
    let unsettled = check_settled(&store).await.unwrap();
    assert!(unsettled.is_empty(), "{unsettled:#?}");
    let text = dump_final(&store).await.unwrap();
    store.close().await;
    let lines = text
        .lines()
        .filter(|line| !line.contains("\"lastModifiedAge\""));
    lines.collect::<Vec<_>>().join("\n")
}

/// Starts the cluster on `place` and lets it come to rest.
async fn finish(place: &Place) {
    let before = place.runs().await.len();
    let dev = start(place);
    place.settled(RUNS.max(before + 1), LONGEST).await;
    dev.kill();
}

/// Kills a cluster on a new place again and again until it is at rest or `kills` are used up;
/// gives how many came in the middle.
async fn disturb(place: &Place, kills: u32, longest_ms: u64, numbers: &mut Numbers) -> u32 {
    for kill in 0..kills {
        let dev = start(place);
        let wait_ms = 30 + numbers.below(longest_ms);
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        dev.kill();
        let (ended, all) = progress(place).await;
        println!("killed after {wait_ms} ms: {ended} of {all} tasks ended");
        if let Some(store) = place.try_store().await {
            all_well(&store).await;
            store.close().await;
        }
        let runs = place.runs().await;
        if runs.len() >= RUNS && runs.iter().all(|run| run.state.is_terminal()) {
            return kill;
        }
    }
    kills
}

#[tokio::test]
async fn twenty_kills_in_the_middle_of_runs_change_nothing_of_what_is_found() {
    let seed = 20_261_121;
    let mut numbers = Numbers(seed);
    let calm = Place::new();
    write_data(&calm);
    define(&calm, &calm);
    let began = Instant::now();
    finish(&calm).await;
    let calm_ms = began.elapsed().as_millis() as u64;
    println!("seed {seed}; undisturbed: {calm_ms} ms");
    let expected = findings(&calm).await;
    assert!(expected.contains("\"fail\""), "the bad day is found");

    let mut kills = 0;
    while kills < KILLS {
        let place = Place::new();
        define(&place, &calm);
        let more = disturb(&place, KILLS - kills, calm_ms / 4, &mut numbers).await;
        kills += more;
        finish(&place).await;
        let got = findings(&place).await;
        let differs = expected.lines().zip(got.lines()).find(|(a, b)| a != b);
        assert!(
            expected == got,
            "after {more} kills: {differs:#?}\n{}",
            std::fs::read_to_string(place.path("log")).unwrap()
        );
        println!("after {more} kills the same is found");
    }
}
