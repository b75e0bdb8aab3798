//! A wish to stop, by Ctrl-C or SIGTERM, ends every command in order: it says so, ends with the
//! documented code, and leaves a data folder that the next command goes on with.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Definition, Place, Running, Said};

/// Asks process `pid` to stop.
fn ask(pid: u32, signal: &str) {
    let mut kill = Command::new("kill");
    let sent = kill.args([signal, &pid.to_string()]).status().unwrap();
    assert!(sent.success(), "no process {pid}");
}

/// Waits until `ready`.
fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !ready() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts `args`, sends `signal` once `ready`, and gives what was said.
fn stopped(place: &Place, args: &[&str], signal: &str, mut ready: impl FnMut() -> bool) -> Said {
    let mut command = place.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    until("its work", || {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was asked to"
        );
        ready()
    });
    ask(child.id(), signal);
    let asked = Instant::now();
    let said = Said::of(&child.wait_with_output().unwrap());
    assert!(asked.elapsed() < Duration::from_secs(20), "{}", said.all());
    said
}

/// A definition of `days` daily files, one text under many names.
fn many(place: &Place, days: u32) -> Definition {
    let mut text = String::from("id,amount\n");
    for id in 0..100_000 {
        let _ = writeln!(text, "{id},{id}.25");
    }
    let first = place.write("data/date=2025-01-01.csv", text);
    let start = jiff::civil::date(2025, 1, 1);
    for day in 1..days {
        let date = start + jiff::Span::new().days(day);
        std::fs::hard_link(&first, place.path(&format!("data/date={date}.csv"))).unwrap();
    }
    Definition::new("orders", place.path("data"), "csv")
}

fn exists(path: &Path) -> bool {
    path.exists()
}

#[tokio::test]
async fn a_check_that_is_asked_to_stop_says_so_and_the_next_goes_on() {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new();
        place.write("orders.yaml", many(&place, 300).text());
        let args = ["check", "orders.yaml", "--slots", "1"];
        let store = place.path(".assay/assay.sqlite");
        let said = stopped(&place, &args, signal, || exists(&store)).ended(130);
        assert!(
            said.err.contains("the same command goes on"),
            "{}",
            said.err
        );
        assert!(said.err.contains("exit code 130"), "{}", said.err);
        let store = place.store().await;
        let broken = assay_store::invariants::check_invariants(&store).await;
        let broken = broken.unwrap();
        assert!(broken.is_empty(), "{broken:#?}");
    }
}

#[test]
fn a_demonstration_that_is_asked_to_stop_says_so_and_can_be_told_anew() {
    let place = Place::new();
    let orders = place.path("assay-demo/orders");
    let said = stopped(&place, &["demo"], "-TERM", || exists(&orders)).ended(130);
    assert!(said.err.contains("not at its end"), "{}", said.err);
    assert!(said.err.contains("assay-demo"), "{}", said.err);
    assert!(said.out.is_empty(), "{}", said.out);
}

#[test]
fn a_cluster_that_is_asked_to_stop_finishes_and_ends_well() {
    let place = Place::new();
    std::fs::create_dir(place.path("datasets")).unwrap();
    let holder = place.path(".assay/holder.json");
    for signal in ["-TERM", "-INT"] {
        let args = ["dev", "--grpc-port", "0"];
        let listens =
            || std::fs::read_to_string(&holder).is_ok_and(|text| text.contains("http://"));
        // The address of the life before must not be taken for this one's.
        let _ = std::fs::remove_file(&holder);
        let said = stopped(&place, &args, signal, listens).ended(0);
        assert!(said.err.contains("running tasks finish"), "{}", said.err);
    }
}

#[tokio::test]
async fn a_wait_that_is_asked_to_stop_leaves_the_run_alone() {
    let place = Place::new();
    let text = many(&place, 200).text();
    place.write("datasets/orders.odcs.yaml", text);
    let dev = ["dev", "--grpc-port", "0", "--nodes", "1"];
    let dev = Running::start(place.command(&dev), &place.path("log"));
    let start = Instant::now();
    while place.runs().await.is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "no run is started"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let run = place.runs().await.remove(0).id.to_string();
    let begun = Instant::now();
    let waits = || begun.elapsed() > Duration::from_millis(300);
    let said = stopped(&place, &["run", "watch", &run], "-TERM", waits).ended(130);
    assert!(said.err.contains("the run goes on"), "{}", said.err);
    dev.kill();
}
