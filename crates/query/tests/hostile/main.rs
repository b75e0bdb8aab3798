//! SQL that means harm: each statement ends soon, with an answer or a precise error; nothing is
//! written, and nothing but the tables is read.
//!
//! What is only checked before planning runs in this process; what needs memory or time goes
//! through the program that serves queries (`tests/child.rs`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod forbidden;
mod generated;
mod odd;

use std::time::{Duration, Instant};

use assay_model::dataset::FormatKind;
use assay_query::{Answer, Limits, QueryError, Want};
use common::{file, files, limits, request};
use forbidden::forbidden;
use odd::odd;

/// A word that lies in a file beside the table, and must never be in an answer.
const CANARY: &str = "canary-7f3a";

fn tables(folder: &std::path::Path) -> Vec<assay_query::Table> {
    vec![files(folder, FormatKind::Csv, &[])]
}

/// A folder with the file of the table.
fn folder() -> tempfile::TempDir {
    file(
        "a.csv",
        "Id,amount,email\n1,10,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n2,,b@x\n3,-4,c\n",
    )
}

/// Puts the word beside the table's file, which is listed already.
fn with_canary(folder: &std::path::Path) {
    std::fs::write(folder.join("secret.csv"), format!("word\n{CANARY}\n")).unwrap();
}

#[test]
fn what_is_forbidden_is_refused_with_a_reason_and_at_once() {
    let folder = folder();
    let tables = tables(folder.path());
    with_canary(folder.path());
    let (mut count, mut wrong) = (0, Vec::new());
    for (kind, statements) in forbidden() {
        for sql in statements {
            count += 1;
            let short: String = sql.chars().take(120).collect();
            let begun = Instant::now();
            let want = Want::Rows { cap: 10 };
            let ended = assay_query::run(&request(tables.clone(), &sql, want), limits());
            assert!(!format!("{ended:?}").contains(CANARY), "{kind}: {short}");
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(20), "{kind}: {short}: {took:?}");
            let is_told = matches!(&ended, Err(
                QueryError::Refused { what, next, .. } | QueryError::Invalid { what, next, .. },
            ) if !what.is_empty() && !next.is_empty());
            if !is_told {
                wrong.push(format!("{kind}: {short}: {ended:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 300, "{count}");
    nothing_but(folder.path(), &["a.csv", "secret.csv"]);
    assert!(!std::path::Path::new("/tmp/assay-hostile.csv").exists());
    assert!(!std::path::Path::new("/tmp/assay-hostile.parquet").exists());
}

#[test]
fn what_is_odd_ends_soon_with_an_answer_or_an_error_that_says_why() {
    let folder = folder();
    let tables = tables(folder.path());
    with_canary(folder.path());
    let mut leaks = Vec::new();
    for sql in odd() {
        let short: String = sql.chars().take(120).collect();
        let begun = Instant::now();
        let mut request = request(tables.clone(), &sql, Want::Rows { cap: 3 });
        request.masked = vec!["email".to_owned()];
        let ended = assay_query::run(&request, limits());
        assert!(!format!("{ended:?}").contains(CANARY), "{short}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(40), "{short}: {took:?}");
        match ended {
            Ok(Answer::Rows { sample, .. }) => {
                let shown = serde_json::to_string(&sample).unwrap();
                assert!(shown.len() < 1 << 17, "{short}");
                if shown.contains("aaaaaaaaaaaaaaaa") {
                    leaks.push(format!("{short}: {shown}"));
                }
            }
            Ok(other) => panic!("{short}: {other:?}"),
            Err(error) => {
                let told = error.to_string();
                assert!(told.len() > 10 && told.len() < 40_000, "{short}: {told}");
                if told.contains("aaaaaaaaaaaaaaaa") {
                    leaks.push(format!("{short}: {told}"));
                }
            }
        }
    }
    assert!(
        leaks.is_empty(),
        "values of the data:\n{}",
        leaks.join("\n")
    );
    nothing_but(folder.path(), &["a.csv", "secret.csv"]);
}

/// A number from the environment.
fn set(name: &str, usual: u64) -> u64 {
    let set = std::env::var(name).ok().filter(|text| !text.is_empty());
    set.map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn statements_by_dice_end_with_an_answer_or_an_error_that_says_why() {
    let folder = folder();
    let tables = tables(folder.path());
    with_canary(folder.path());
    let seed = set("ASSAY_HOSTILE_SEED", 1);
    let few = Limits {
        memory_bytes: 32 << 20,
        time: Duration::from_secs(10),
        answer_bytes: 1 << 16,
    };
    let (mut answered, mut wrong, mut broke) = (0, Vec::new(), Vec::new());
    let statements = set("ASSAY_HOSTILE_SQL", 8_000);
    for number in 0..statements {
        let sql = generated::statement(seed, number);
        let mut request = request(tables.clone(), &sql, Want::Rows { cap: 3 });
        request.masked = vec!["email".to_owned()];
        let begun = Instant::now();
        let ended = assay_query::run(&request, few);
        let said = format!("{ended:?}");
        let short: String = sql.chars().take(300).collect();
        let mut fault =
            |what: &str| wrong.push(format!("{seed}/{number}: {what}: {short}: {said}"));
        if begun.elapsed() > few.time + Duration::from_secs(10) {
            fault("too late");
        }
        if said.contains(CANARY) || said.contains("root:") || said.contains("aaaaaaaaaaaaaaaa") {
            fault("it shows what it may not");
        }
        match &ended {
            Ok(_) if generated::writes(&sql) => fault("it was obeyed"),
            Ok(_) => answered += 1,
            Err(QueryError::Broke(_)) => broke.push(short),
            Err(error) if !(10..40_000).contains(&error.to_string().len()) => fault("no reason"),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Most are no queries; those that are must be among them, too.
    assert!(answered * 50 > statements, "{answered} of {statements}");
    assert!(
        broke.len() as u64 * 100 <= statements,
        "{}",
        broke.join("\n")
    );
    nothing_but(folder.path(), &["a.csv", "secret.csv"]);
    assert!(!std::path::Path::new("/tmp/assay-hostile.csv").exists());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    assert!(peak.unwrap() < 2 << 20, "{peak:?} KiB");
}

#[test]
fn a_depth_and_a_number_of_operators_at_the_bound_are_read_and_one_more_is_refused() {
    let folder = folder();
    let run = |sql: String| {
        let want = Want::Rows { cap: 1 };
        assay_query::run(&request(tables(folder.path()), &sql, want), limits())
    };
    let nested = |n: usize| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n));
    let chained = |n: usize| format!("SELECT 1 WHERE true{}", " OR true".repeat(n));
    for at in [
        nested(assay_query::DEPTH_MAX),
        chained(assay_query::OPERATORS_MAX),
    ] {
        run(at).unwrap();
    }
    for over in [
        nested(assay_query::DEPTH_MAX + 1),
        chained(assay_query::OPERATORS_MAX + 1),
    ] {
        assert!(matches!(run(over), Err(QueryError::Refused { .. })));
    }
}

fn nothing_but(folder: &std::path::Path, names: &[&str]) {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, names);
}
