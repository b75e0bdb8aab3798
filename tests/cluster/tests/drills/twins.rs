//! The cluster on Postgres with its processes, and the embedded one on SQLite: the same findings.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::embedded::Embedded;
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_model::dataset::{Cadence, Dataset, FormatKind, Layout, Profile};
use assay_model::metric::Metric;
use assay_store::dump::dump_final;
use assay_store::{PostgresOptions, PostgresStore};

use crate::drill;

/// One dataset, and how it changes between its runs.
struct Scenario {
    name: &'static str,
    runs: u32,
    /// Writes what is there at a run, from 1.
    write: fn(&Path, u32),
    tweak: fn(&mut Dataset),
    /// What its owner changes of the definition before each further run.
    then: fn(&mut Dataset),
}

const AS_IT_IS: fn(&mut Dataset) = |_| {};

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Rows of a day that differ from day to day.
fn rows(day: u32, n: u32) -> String {
    let mut text = String::from("id,amount,note\n");
    for id in 0..n {
        let amount = (id * 37 + day * 11) % 500;
        writeln!(text, "{id},{amount}.5,n{}", id % 13).unwrap();
    }
    text
}

fn days(folder: &Path, from: u32, to: u32) {
    for day in from..=to {
        let name = format!("dt=2026-01-{day:02}/a.csv");
        put(folder, &name, &rows(day, 200 + day * 3 % 17));
    }
}

fn json(folder: &Path, name: &str, lines: &[&str]) {
    put(folder, name, &lines.join("\n"));
}

fn shared() -> PathBuf {
    let named = std::env::var_os("ASSAY_SHARED").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let data = named.unwrap_or(root).join("data");
    assert!(
        data.is_dir(),
        "no reference data at {}: set ASSAY_SHARED",
        data.display()
    );
    data
}

fn flights(folder: &Path, kind: &str, n: usize) {
    let place = shared().join(format!("nycflights13/flights_{kind}"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(&place)
        .unwrap_or_else(|error| panic!("{}: {error}", place.display()))
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    std::fs::create_dir_all(folder).unwrap();
    for file in files.iter().take(n) {
        std::fs::copy(file, folder.join(file.file_name().unwrap())).unwrap();
    }
}

const SCENARIOS: [Scenario; 22] = [
    Scenario {
        name: "plain",
        runs: 1,
        write: |folder, _| days(folder, 1, 5),
        tweak: AS_IT_IS,
        then: AS_IT_IS,
    },
    Scenario {
        name: "many_batches",
        runs: 1,
        write: |folder, _| {
            for file in 0..9 {
                put(
                    folder,
                    &format!("dt=2026-01-01/{file}.csv"),
                    &rows(file, 300),
                );
            }
        },
        tweak: |dataset| dataset.scan.target_bytes = 1_000,
        then: AS_IT_IS,
    },
    Scenario {
        name: "a_file_in_slices",
        runs: 1,
        write: |folder, _| put(folder, "dt=2026-01-01/a.csv", &rows(1, 30_000)),
        tweak: |dataset| dataset.scan.target_bytes = 40_000,
        then: AS_IT_IS,
    },
    Scenario {
        name: "nulls_and_tokens",
        runs: 1,
        write: |folder, _| {
            put(
                folder,
                "dt=2026-01-01/a.csv",
                "id,amount,note\n1,,x\n2,NA,\n,3.5,NA\n",
            );
        },
        tweak: |dataset| dataset.source.format.null_tokens = vec![String::new(), "NA".to_owned()],
        then: AS_IT_IS,
    },
    Scenario {
        name: "quotes",
        runs: 1,
        write: |folder, _| {
            put(
                folder,
                "dt=2026-01-01/a.csv",
                "id,amount,note\n1,1.5,\"a, b\"\n2,2.5,\"two\nlines\"\n3,3,\"\"\"q\"\"\"\n",
            );
        },
        tweak: AS_IT_IS,
        then: AS_IT_IS,
    },
    Scenario {
        name: "header_only",
        runs: 1,
        write: |folder, _| {
            days(folder, 1, 2);
            put(folder, "dt=2026-01-03/a.csv", "id,amount,note\n");
        },
        tweak: AS_IT_IS,
        then: AS_IT_IS,
    },
    Scenario {
        name: "one_partition",
        runs: 2,
        write: |folder, run| put(folder, &format!("part-{run}.csv"), &rows(run, 50 * run)),
        tweak: |dataset| dataset.partitions.layout = Layout::Single,
        then: AS_IT_IS,
    },
    Scenario {
        name: "by_template",
        runs: 1,
        write: |folder, _| {
            for month in 1..=4 {
                put(
                    folder,
                    &format!("orders_2026-{month:02}.csv"),
                    &rows(month, 40 + month),
                );
            }
        },
        tweak: |dataset| {
            dataset.partitions.layout = Layout::Template("orders_{year}-{month}.csv".to_owned());
        },
        then: AS_IT_IS,
    },
    Scenario {
        name: "two_keys",
        runs: 1,
        write: |folder, _| {
            for (day, region) in [(1, "eu"), (1, "us"), (2, "eu")] {
                put(
                    folder,
                    &format!("dt=2026-01-{day:02}/region={region}/a.csv"),
                    &rows(day, 30),
                );
            }
        },
        tweak: AS_IT_IS,
        then: AS_IT_IS,
    },
    Scenario {
        name: "not_a_number",
        runs: 1,
        write: |folder, _| {
            put(
                folder,
                "dt=2026-01-01/a.csv",
                "id,amount,note\n1,2.5,a\nx,abc,b\n3,1e400,c\n",
            );
        },
        tweak: AS_IT_IS,
        then: AS_IT_IS,
    },
    Scenario {
        name: "torn_lines",
        runs: 1,
        write: |folder, _| {
            json(
                folder,
                "dt=2026-01-01/a.json",
                &["{\"id\":1}", "{\"id\":2}"],
            );
            json(folder, "dt=2026-01-02/a.json", &["{\"id\":1}", "{\"id\":"]);
        },
        tweak: |dataset| dataset.source.format.kind = FormatKind::Ndjson,
        then: AS_IT_IS,
    },
    Scenario {
        name: "json_lines",
        runs: 1,
        write: |folder, _| {
            json(
                folder,
                "dt=2026-01-01/a.json",
                &[
                    "{\"id\":1,\"amount\":0.1}",
                    "{\"note\":\"\\u00fc\"}",
                    "{\"id\":3,\"amount\":null,\"note\":\"x\"}",
                ],
            );
        },
        tweak: |dataset| dataset.source.format.kind = FormatKind::Ndjson,
        then: AS_IT_IS,
    },
    Scenario {
        name: "duplicates_and_gaps",
        runs: 1,
        write: |folder, _| {
            put(
                folder,
                "dt=2026-01-01/a.csv",
                "id,amount,note\n1,1,a\n1,2,b\n,3,c\n",
            );
        },
        tweak: |dataset| {
            dataset.columns[0].unique = true;
            dataset.columns[0].required = true;
        },
        then: AS_IT_IS,
    },
    Scenario {
        name: "rewritten",
        runs: 2,
        write: |folder, run| {
            days(folder, 1, 4);
            put(folder, "dt=2026-01-02/a.csv", &rows(2, 100 * run));
        },
        tweak: AS_IT_IS,
        then: AS_IT_IS,
    },
    Scenario {
        name: "late",
        runs: 2,
        write: |folder, run| match run {
            1 => {
                days(folder, 1, 3);
                days(folder, 5, 6);
            }
            _ => days(folder, 4, 4),
        },
        tweak: AS_IT_IS,
        then: AS_IT_IS,
    },
    Scenario {
        name: "taken_away",
        runs: 2,
        write: |folder, run| match run {
            1 => days(folder, 1, 4),
            _ => std::fs::remove_dir_all(folder.join("dt=2026-01-03")).unwrap(),
        },
        tweak: AS_IT_IS,
        then: AS_IT_IS,
    },
    Scenario {
        name: "missing_days",
        runs: 1,
        write: |folder, _| {
            // All that is missing until this day is told, so it is not long ago.
            let today = jiff::Zoned::now()
                .with_time_zone(jiff::tz::TimeZone::UTC)
                .date();
            for ago in [9_i64, 8, 7, 4, 3, 2] {
                let day = today.saturating_sub(jiff::Span::new().days(ago));
                put(folder, &format!("dt={day}/a.csv"), &rows(1, 100));
            }
        },
        tweak: |dataset| dataset.partitions.cadence = Some(Cadence::Daily),
        then: AS_IT_IS,
    },
    Scenario {
        name: "learned",
        runs: 2,
        write: |folder, run| match run {
            1 => days(folder, 1, 20),
            _ => put(folder, "dt=2026-01-21/a.csv", &rows(21, 9_000)),
        },
        tweak: AS_IT_IS,
        then: AS_IT_IS,
    },
    Scenario {
        name: "flights_parquet",
        runs: 1,
        write: |folder, _| flights(folder, "parquet", 12),
        tweak: |dataset| {
            dataset.source.format.kind = FormatKind::Parquet;
            dataset.partitions.layout = Layout::Auto;
            dataset.columns.clear();
            dataset.profile = Profile::default();
        },
        then: AS_IT_IS,
    },
    Scenario {
        name: "flights_csv",
        runs: 1,
        write: |folder, _| flights(folder, "csv", 12),
        tweak: |dataset| {
            dataset.partitions.layout = Layout::Auto;
            dataset.columns.clear();
            dataset.profile = Profile::default();
        },
        then: AS_IT_IS,
    },
    Scenario {
        name: "another_definition_judges",
        runs: 2,
        write: |folder, run| {
            if run == 1 {
                days(folder, 1, 4);
            }
        },
        tweak: AS_IT_IS,
        then: |dataset| dataset.limits.alarms_per_partition = 0.5,
    },
    Scenario {
        name: "another_definition_measures",
        runs: 2,
        write: |folder, run| {
            if run == 1 {
                days(folder, 1, 4);
            }
        },
        tweak: |dataset| dataset.profile.metrics = vec![Metric::NullPercent],
        then: |dataset| dataset.profile.metrics = vec![Metric::NullPercent, Metric::Sum],
    },
];

/// The lines of a dump that speak of a dataset.
fn of<'a>(dump: &'a str, dataset: &str) -> Vec<&'a str> {
    let named = format!("\"{dataset}\"");
    dump.lines().filter(|line| line.contains(&named)).collect()
}

async fn embedded_and_cluster(cluster: &Cluster, embedded: &Embedded, scenario: &Scenario) {
    let folder = cluster.drill.folder().join(scenario.name);
    let mut dataset = data::dataset(&folder, scenario.name, 1 << 20);
    (scenario.tweak)(&mut dataset);
    for run in 1..=scenario.runs {
        if run > 1 {
            (scenario.then)(&mut dataset);
        }
        (scenario.write)(&folder, run);
        let key = format!("{} {run}", scenario.name);
        let limit = Duration::from_secs(60);
        let id = cluster.client.submit(&dataset, &key, limit).await;
        let id = id.unwrap_or_else(|why| panic!("{key}: {why}"));
        let theirs = cluster.ended(&id, limit).await;
        let ours = embedded.run(&dataset, &key).await;
        assert_eq!(theirs, ours.to_string(), "{key}");
    }
}

drill!(
    a_cluster_finds_what_the_embedded_program_finds,
    async |name| {
        let drill = Drill::begin(name).await;
        let cluster = Cluster::start(&drill, Plan::default()).await;
        let embedded = Embedded::start().await;
        for scenario in &SCENARIOS {
            embedded_and_cluster(&cluster, &embedded, scenario).await;
        }
        let usual = data::generate(drill.folder(), "generated", Shape::SMALL);
        let run = cluster.submit(&usual, "generated").await;
        cluster.ended(&run, Duration::from_secs(60)).await;
        embedded.run(&usual.dataset, "generated").await;
        let store = PostgresStore::connect(PostgresOptions::new(cluster.database.url.clone()));
        let theirs = dump_final(&store.await.unwrap()).await.unwrap();
        let ours = embedded.dump().await;
        for scenario in &SCENARIOS {
            let (theirs, ours) = (of(&theirs, scenario.name), of(&ours, scenario.name));
            assert!(
                ours.len() > 3,
                "{}: nothing was found out: {ours:?}",
                scenario.name
            );
            for (theirs, ours) in theirs.iter().zip(&ours) {
                assert_eq!(theirs, ours, "{}", scenario.name);
            }
            assert_eq!(theirs.len(), ours.len(), "{}", scenario.name);
        }
        assert_eq!(theirs, ours);
    }
);
