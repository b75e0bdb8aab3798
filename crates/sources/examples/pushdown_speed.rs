//! Times what is measured by the database itself beside the same SQL put by hand through `psql`:
//! `pushdown_speed [ROWS] [ROUNDS]`
//!
//! Two yardsticks. *The same*: the very statements over the rows that the server was sent, replayed by `psql`.
//! *By hand*: one statement with the same aggregates of the columns, as a person would write it,
//! which neither pins the rows nor checks that they are those of the listing. Rounds are pairs, one
//! after the other; the ratio is of medians.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/postgres_source/table.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
mod table;

use std::process::{Command, Stdio};
use std::time::Instant;

use assay_model::dataset::Layout;
use assay_model::metric::Metric;
use assay_scan::measure::states;
use assay_test_servers::postgres::{Options, Postgres, programs};

use self::table::{Home, list, trusted};

/// What a person would write for the rows, NULLs, sums and extremes of the columns.
const BY_HAND: &str = "SELECT count(*), count(id), sum(id), min(id), max(id), \
    count(passengers), sum(passengers), min(passengers), max(passengers), \
    count(fare), sum(fare), min(fare), max(fare), \
    count(distance), min(distance), max(distance), \
    count(flag), min(flag), max(flag), count(at), min(at), max(at) FROM t";

const TABLE: &str = "CREATE TABLE t (id int8, passengers int4, fare numeric(10,2), distance float8, \
    flag text COLLATE \"C\", at timestamp); \
    INSERT INTO t SELECT g, CASE WHEN g % 17 = 0 THEN NULL ELSE g % 7 END, (g % 9973) / 100.0, \
    (g % 1009) / 7.0::float8, CASE g % 3 WHEN 0 THEN 'Y' WHEN 1 THEN 'N' END, \
    timestamp '2024-01-01' + g * interval '1 second' FROM generate_series(1, ROWS) AS g; \
    VACUUM (FREEZE, ANALYZE) t";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |or: u64| arguments.next().map_or(Ok(or), |text| text.parse::<u64>());
    let (rows, rounds) = (number(3_000_000)?, number(7)?);
    let settings = [
        ("log_statement", "all"),
        ("log_line_prefix", "STATEMENT-OF %p "),
        ("max_parallel_workers_per_gather", "0"),
        ("shared_buffers", "1GB"),
    ];
    let server = Box::leak(Box::new(Postgres::start(Options {
        settings: settings.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        ..Options::default()
    })));
    let url = server.create_database();
    let home = Home::at(server, url);
    for statement in TABLE.replace("ROWS", &rows.to_string()).split("; ") {
        home.sql(statement);
    }
    let mut dataset = home.dataset();
    dataset.partitions.layout = Layout::Single;
    dataset.scan.target_bytes = 1 << 40;
    dataset.profile.metrics = vec![Metric::NullCount, Metric::Sum, Metric::Min, Metric::Max];
    // The sum of doubles is not the database's to give: it would depend on the order of rows.
    dataset.profile.columns = Some(
        ["id", "passengers", "fare", "flag", "at"]
            .map(str::to_owned)
            .into(),
    );
    let plan = list(&dataset, &trusted())?;
    let spec = plan.measures.first().ok_or("nothing was planned")?;
    let before = server.log().len();
    drop(states(&dataset, spec, &trusted())?);
    // What looks at the rows; the rest asks the catalogue.
    let mut replay = statements(server.log().get(before..).unwrap_or_default());
    replay.retain(|statement| statement.contains("FROM ONLY \"public\".\"t\""));
    println!("statements over {rows} rows: {}", replay.join("\n"));
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let began = Instant::now();
        drop(states(&dataset, spec, &trusted())?);
        times[0].push(began.elapsed().as_secs_f64());
        times[1].push(psql(&home, &replay.join(";\n")));
        times[2].push(psql(&home, BY_HAND));
    }
    let [ours, same, by_hand] = times.map(median);
    println!(
        "assay {ours:.3} s; the same statements by psql {same:.3} s, ratio {:.2}; \
         by hand {by_hand:.3} s, ratio {:.2}",
        ours / same,
        ours / by_hand
    );
    Ok(())
}

/// The statements of a session, from the server's log.
fn statements(log: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in log.lines() {
        let told = line.split_once("statement: ").or_else(|| {
            let (_, rest) = line.split_once("execute ")?;
            rest.split_once(": ")
        });
        match told {
            Some((_, text)) => all.push(text.to_owned()),
            None if !line.starts_with("STATEMENT-OF") => {
                if let Some(last) = all.last_mut() {
                    last.push('\n');
                    last.push_str(line);
                }
            }
            None => {}
        }
    }
    all
}

fn psql(home: &Home, statements: &str) -> f64 {
    let began = Instant::now();
    let done = Command::new(programs().join("psql"))
        .args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &home.url,
        ])
        .args(["-c", statements])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "psql failed over {statements}");
    began.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
