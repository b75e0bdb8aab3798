//! Broken files by the thousand, each read by a child: an answer, or an error that names the file.
//!
//! Whole files of other projects and of our own are damaged in ways that hurt readers. No child may
//! die of one, none may take longer than a task may, and the node goes on. `ASSAY_HOSTILE_FILES`
//! says how many files, `ASSAY_HOSTILE_SEED` which; with `ASSAY_HOSTILE_TELL` every error is shown.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use assay_datanode::runner::child::ChildRunner;
use assay_datanode::runner::{TaskRunner, TaskWatch};
use assay_model::dataset::{Dataset, FormatKind, Layout};
use assay_model::metric::Metric;
use assay_model::output::TaskOutput;
use assay_model::task::{AttemptOutcome, TaskFailure, TaskSpec};

use crate::support::{job_of, runner};

/// Files in a run of the suite.
const FILES: u64 = 4000;
/// The longest that a task of such a small file may take on a machine that does much else.
const TASK_MAX: Duration = Duration::from_secs(60);
/// Files above this size are left to other tests.
const SEED_BYTES_MAX: u64 = 200_000;

/// Numbers that look drawn and are the same again for the same seed (splitmix64).
struct Drawn(u64);

impl Drawn {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// A sound file, to be damaged.
struct Seed {
    name: String,
    kind: FormatKind,
    bytes: Vec<u8>,
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

fn shared() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let data = std::env::var_os("ASSAY_SHARED").map_or(root, PathBuf::from);
    let data = data.join("data/parquet-testing");
    assert!(
        data.is_dir(),
        "no reference data at {}: set ASSAY_SHARED",
        data.display()
    );
    data
}

fn parquet_seeds(seeds: &mut Vec<Seed>) {
    for folder in ["data", "bad_data"] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(shared().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "parquet"))
            .filter(|path| path.metadata().unwrap().len() <= SEED_BYTES_MAX)
            .collect();
        files.sort();
        for file in files {
            seeds.push(Seed {
                name: file.file_name().unwrap().to_string_lossy().into_owned(),
                kind: FormatKind::Parquet,
                bytes: std::fs::read(&file).unwrap(),
            });
        }
    }
    assert!(seeds.len() > 40, "{} files are no corpus", seeds.len());
}

fn text_seeds(seeds: &mut Vec<Seed>) {
    let (mut csv, mut json) = (String::from("id,amount,note,at\n"), String::new());
    for row in 0..400 {
        let note = [
            "plain",
            "\"a, b\"",
            "\"two\nlines\"",
            "",
            "\"\"\"q\"\"\"",
            "käse",
        ][row % 6];
        writeln!(
            csv,
            "{row},{}.{row},{note},2026-01-{:02}T00:00:00Z",
            row * 7,
            row % 28 + 1
        )
        .unwrap();
        let text = ["x", "\\u00fc", "\\\"", "\\ud83d\\ude00"][row % 4];
        writeln!(
            json,
            r#"{{"id":{row},"amount":{row}.5e{},"note":"{text}","in":{{"a":[1,2,{{}}]}}}}"#,
            row % 9
        )
        .unwrap();
    }
    let gzip = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (kind, text) in [(FormatKind::Csv, &csv), (FormatKind::Ndjson, &json)] {
        let files = [
            (format!("a.{kind}"), text.clone().into_bytes()),
            (format!("a.{kind}.gz"), gzip(text)),
            (format!("a.{kind}.zst"), zstd(text)),
            (
                format!("crlf.{kind}"),
                text.replace('\n', "\r\n").into_bytes(),
            ),
        ];
        // As many as there are Parquet files, so that each format has its share.
        for (name, bytes) in files.into_iter().cycle().take(32) {
            seeds.push(Seed { name, kind, bytes });
        }
    }
}

/// Numbers that lengths, counts and offsets are replaced by.
const EXTREMES: [u64; 8] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

fn damage(bytes: &mut Vec<u8>, other: &[u8], drawn: &mut Drawn) {
    let hits = 1 + drawn.below(3);
    // Half of the files keep their length, so that their ends and offsets still hold.
    let kept = [1, 2, 3, 8];
    let in_place = drawn.below(2) == 0;
    for _ in 0..hits {
        let at = drawn.below(bytes.len());
        let way = if in_place {
            kept[drawn.below(kept.len())]
        } else {
            drawn.below(9)
        };
        match way {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << drawn.below(8),
            2 if !bytes.is_empty() => bytes[at] = drawn.next() as u8,
            3 => {
                let number = EXTREMES[drawn.below(EXTREMES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][drawn.below(4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            4 => {
                let end = (at + drawn.below(64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let end = (at + drawn.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            6 => {
                // The tail of another file: a footer that speaks of other bytes.
                let tail = other.len().min(8 + drawn.below(600));
                let keep = bytes.len().saturating_sub(tail);
                bytes.truncate(keep);
                bytes.extend_from_slice(&other[other.len() - tail..]);
            }
            7 => {
                let marks = [
                    &b"\""[..],
                    b"\0",
                    b"\xff\xfe",
                    b"\n",
                    b"{",
                    b"1e999",
                    b"\\u",
                ];
                let mark = marks[drawn.below(marks.len())];
                bytes.splice(at..at, mark.repeat(1 + drawn.below(40)));
            }
            _ => {
                let fill = drawn.next() as u8;
                let end = (at + drawn.below(200)).min(bytes.len());
                bytes[at..end].fill(fill);
            }
        }
    }
}

fn dataset(file: &Path, kind: FormatKind) -> Dataset {
    let mut dataset = crate::cluster::dataset(file);
    dataset.source.format.kind = kind;
    dataset.partitions.layout = Layout::Single;
    dataset.columns.clear();
    dataset.checks.clear();
    dataset.profile.metrics = vec![
        Metric::Sum,
        Metric::Stddev,
        Metric::Min,
        Metric::DistinctCount,
        Metric::DuplicateCount,
        Metric::Quantile,
        Metric::LengthMean,
        Metric::NanCount,
    ];
    dataset.scan.target_bytes = 20_000;
    dataset
}

/// Lists and measures a file as a run does.
async fn read(runner: &ChildRunner, dataset: &Dataset) -> Result<u64, TaskFailure> {
    let ask = async |spec| {
        let ended = runner.run(job_of(dataset, spec), TaskWatch::default());
        tokio::time::timeout(TASK_MAX, ended)
            .await
            .expect("a task ends in its time")
    };
    let TaskOutput::Discovered(found) = ask(TaskSpec::Discover).await? else {
        panic!("a discovery discovers");
    };
    let mut rows = 0;
    for spec in found.measures {
        if let TaskOutput::Measured(parts) = ask(TaskSpec::Measure(spec)).await? {
            rows += parts.iter().map(|part| part.rows).sum::<u64>();
        }
    }
    Ok(rows)
}

#[derive(Default)]
struct Tally {
    read: u64,
    refused: u64,
    wrong: Vec<String>,
}

/// Damages and reads every second file of the corpus.
async fn lane(
    runner: Arc<ChildRunner>,
    seeds: Arc<Vec<Seed>>,
    lane: u64,
    files: u64,
    seed: u64,
) -> Tally {
    let folder = tempfile::tempdir().unwrap();
    let mut tally = Tally::default();
    for case in (lane..files).step_by(2) {
        let mut drawn = Drawn(seed.wrapping_mul(1_000_003).wrapping_add(case));
        let from = &seeds[(case % seeds.len() as u64) as usize];
        let other = &seeds[drawn.below(seeds.len())];
        let mut bytes = from.bytes.clone();
        damage(&mut bytes, &other.bytes, &mut drawn);
        let file = folder.path().join(&from.name);
        std::fs::write(&file, &bytes).unwrap();
        let what = format!("case {case} of seed {seed}, {} ({})", from.name, from.kind);
        match read(&runner, &dataset(&file, from.kind)).await {
            Ok(_) => tally.read += 1,
            Err(failure) if failure.outcome == AttemptOutcome::Crashed => {
                tally
                    .wrong
                    .push(format!("{what}: died: {}", failure.message));
            }
            Err(failure) if !failure.message.contains(&from.name) => {
                tally
                    .wrong
                    .push(format!("{what}: unnamed: {}", failure.message));
            }
            Err(failure) => {
                if std::env::var_os("ASSAY_HOSTILE_TELL").is_some() {
                    println!("  {what}: {}", failure.message);
                }
                tally.refused += 1;
            }
        }
        std::fs::remove_file(&file).unwrap();
    }
    tally
}

pub async fn a_broken_file_is_an_answer_or_an_error_that_names_it() {
    let (files, seed) = (
        number("ASSAY_HOSTILE_FILES", FILES),
        number("ASSAY_HOSTILE_SEED", 1),
    );
    let mut seeds = Vec::new();
    parquet_seeds(&mut seeds);
    text_seeds(&mut seeds);
    let (runner, seeds) = (Arc::new(runner(2, None).await), Arc::new(seeds));
    let lanes = [0, 1].map(|no| {
        let (runner, seeds) = (Arc::clone(&runner), Arc::clone(&seeds));
        tokio::spawn(lane(runner, seeds, no, files, seed))
    });
    let mut all = Tally::default();
    for one in lanes {
        let one = one.await.unwrap();
        all.read += one.read;
        all.refused += one.refused;
        all.wrong.extend(one.wrong);
    }
    println!(
        "  {} read, {} refused, {} wrong",
        all.read,
        all.refused,
        all.wrong.len()
    );
    assert!(all.wrong.is_empty(), "{}", all.wrong.join("\n"));
    assert_eq!(all.read + all.refused, files);
    assert!(all.refused > files / 4, "hardly anything was damaged");
    assert!(all.read > files / 20, "hardly anything was read");
}
