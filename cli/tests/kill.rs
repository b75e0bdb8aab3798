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
const DAYS: u32 = 60;
/// How often the process is killed.
const KILLS: u32 = 20;
/// The runs of a new dataset: its past, and what has arrived.
const RUNS: usize = 2;

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

/// Days of orders with a bad day among them, and their definition: the same in every place.
fn write_data(place: &Place) {
    let mut numbers = Numbers(7);
    for day in 0..DAYS {
        let mut text = String::from("id,amount,note\n");
        let rows = if day == 41 { 900 } else { 2500 };
        for row in 0..rows {
            let cents = 1000 + numbers.below(90_000);
            let note = if numbers.below(20) == 0 { "" } else { "ok" };
            let _ = writeln!(text, "{row},{}.{:02},{note}", cents / 100, cents % 100);
        }
        let (month, day) = (1 + day / 28, 1 + day % 28);
        place.write(&format!("data/date=2026-{month:02}-{day:02}.csv"), text);
    }
    let definition = Definition::new("orders", place.path("data"), "csv")
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

/// The findings without what depends on the folder they were made in and on its clock.
async fn findings(place: &Place) -> String {
    let store = place.store().await;
    all_well(&store).await;
    let unsettled = check_settled(&store).await.unwrap();
    assert!(unsettled.is_empty(), "{unsettled:#?}");
    let text = dump_final(&store).await.unwrap();
    store.close().await;
    text
}

#[tokio::test]
async fn twenty_kills_in_the_middle_of_a_run_change_nothing_of_what_is_found() {
    let seed = 20_261_121;
    let mut numbers = Numbers(seed);
    let calm = Place::new();
    write_data(&calm);
    let began = Instant::now();
    let dev = start(&calm);
    calm.settled(RUNS, Duration::from_secs(60)).await;
    let calm_ms = began.elapsed().as_millis();
    dev.kill();
    println!("seed {seed}; undisturbed: {calm_ms} ms");

    let place = Place::new();
    write_data(&place);
    // The same bytes with the same times: the version of an object knows its last change.
    same_times(&calm, &place);
    let mut in_the_middle = 0;
    for kill in 1..=KILLS {
        let dev = start(&place);
        // Late enough to have begun, early enough not to end within all of them.
        tokio::time::sleep(Duration::from_millis(80 + numbers.below(400))).await;
        dev.kill();
        let (ended, all) = progress(&place).await;
        println!("kill {kill}: {ended} of {all} tasks ended");
        in_the_middle += u32::from(ended < all || all == 0);
        if let Some(store) = place.try_store().await {
            all_well(&store).await;
            store.close().await;
        }
    }
    assert!(
        in_the_middle >= KILLS / 2,
        "only {in_the_middle} kills came before the end: the run is too short for this test"
    );
    let dev = start(&place);
    place.settled(RUNS, Duration::from_secs(60)).await;
    dev.kill();
    let (expected, got) = (findings(&calm).await, findings(&place).await);
    let differs = expected.lines().zip(got.lines()).find(|(a, b)| a != b);
    assert!(
        expected == got,
        "{differs:#?}\n{} lines, {} lines",
        expected.lines().count(),
        got.lines().count()
    );
    assert!(expected.contains("2026-02-14"), "the bad day was judged");
}

fn same_times(from: &Place, to: &Place) {
    for entry in std::fs::read_dir(from.path("data")).unwrap() {
        let entry = entry.unwrap();
        let time = entry.metadata().unwrap().modified().unwrap();
        let file = std::fs::File::options()
            .write(true)
            .open(to.path("data").join(entry.file_name()))
            .unwrap();
        file.set_modified(time).unwrap();
    }
}
