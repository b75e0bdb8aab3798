//! The server that tests start is a real one, and leaves nothing behind.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assay_test_servers::postgres::{Options, Postgres, shared};

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}/exe")).exists()
}

#[test]
fn a_database_is_a_copy_of_its_template() {
    let server = shared();
    let first = server.create_database();
    server.sql(&first, "CREATE TABLE t AS SELECT 7 AS x");
    let name = first.rsplit('/').next().unwrap();
    let copy = server.create_database_like(name);
    assert_eq!(server.sql(&copy, "SELECT x FROM t"), "7");
    assert_ne!(first, copy);
}

#[test]
fn what_was_committed_is_there_after_a_kill_and_a_restart() {
    let server = Postgres::start(Options {
        fsync: true,
        settings: vec![("max_connections".to_owned(), "20".to_owned())],
        ..Options::default()
    });
    let url = server.create_database();
    server.sql(&url, "CREATE TABLE t (x int); INSERT INTO t VALUES (1)");
    server.kill();
    assert_eq!(server.id(), None);
    server.restart();
    assert_eq!(server.sql(&url, "SELECT x FROM t"), "1");
    assert_eq!(server.sql(&url, "SHOW max_connections"), "20");
    server.stop();
    server.restart();
    assert_eq!(server.sql(&url, "SELECT x FROM t"), "1");
}

#[test]
fn a_paused_server_answers_when_it_goes_on() {
    let server = Postgres::start(Options::default());
    let url = server.url();
    server.pause();
    let pid = server.id().unwrap();
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert!(state.contains(") T "), "{state}");
    server.resume();
    assert_eq!(server.sql(&url, "SELECT 1"), "1");
}

#[test]
fn the_server_ends_with_its_guard() {
    let server = Postgres::start(Options::default());
    let pid = server.id().unwrap();
    assert!(runs(pid));
    drop(server);
    assert!(!runs(pid));
}

/// This test, run again as a program that is killed.
const CHILD: &str = "ASSAY_STARTS_A_SERVER_AND_IS_KILLED";

#[test]
fn the_server_ends_with_its_program_however_that_ends() {
    use std::io::{BufRead, BufReader};
    if std::env::var(CHILD).is_ok() {
        println!("\nserver {}", shared().id().unwrap());
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("the_server_ends_with_its_program_however_that_ends")
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let pid = lines
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("server ")?.parse().ok())
        .unwrap();
    assert!(runs(pid));
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    eventually("the server still runs", || !runs(pid));
    eventually("its folder is still there", || !folder.exists());
}
