//! Data whose truth is known.
//!
//! Comes in: how much of it. Goes out: folders of CSV files, a partition a day, the dataset's
//! definition, and what must be found in it. It must never be random: the same shape gives the same
//! bytes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use assay_model::dataset::{
    Column, Dataset, DatasetStatus, Format, FormatKind, Layout, LimitPolicy, Location, LogicalType,
    Partitioning, Profile, RunPolicy, ScanPolicy, Sealing, Source,
};
use assay_model::ids::DatasetId;
use assay_model::metric::Metric;

/// How much data.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Partitions, one a day.
    pub days: u32,
    /// Files of each; each becomes a task.
    pub files: u32,
    /// Rows of each file of the first day; each later day has one more.
    pub rows: u64,
}

impl Shape {
    /// A few seconds of work, in tasks of a fraction of a second.
    pub const USUAL: Self = Self {
        days: 6,
        files: 6,
        rows: 120_000,
    };
    /// As little as there can be.
    pub const SMALL: Self = Self {
        days: 4,
        files: 2,
        rows: 200,
    };

    /// The tasks of a run over it.
    #[must_use]
    pub const fn tasks(&self) -> u32 {
        1 + self.days * (self.files + 1)
    }
}

/// What must be found in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The partition.
    pub partition: String,
    /// `(metric, column, value)`.
    pub metrics: Vec<(&'static str, &'static str, String)>,
}

/// Generated data.
#[derive(Debug, Clone)]
pub struct Data {
    /// Its folder.
    pub folder: PathBuf,
    /// Its dataset.
    pub dataset: Dataset,
    /// What must be found.
    pub truth: Vec<Truth>,
}

/// Writes data of `shape` into the folder `name` below `parent`; the dataset is called `name`, too.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn generate(parent: &Path, name: &str, shape: Shape) -> Data {
    let folder = parent.join(name);
    let mut truth = Vec::new();
    for day in 1..=shape.days {
        truth.push(write_day(&folder, day, shape));
    }
    let last = folder.join(format!("dt=2026-01-{:02}", shape.days));
    let files = std::fs::read_dir(last).expect("it has just been written");
    let bytes = files.map(|file| file.expect("as above").metadata().expect("as above").len());
    // Each file is a task of its own.
    let target = bytes.max().expect("a day has a file");
    Data {
        dataset: dataset(&folder, name, target),
        folder,
        truth,
    }
}

/// Writes one day; gives its truth.
///
/// # Panics
/// When it cannot be written.
pub fn write_day(folder: &Path, day: u32, shape: Shape) -> Truth {
    let key = format!("2026-01-{day:02}");
    let place = folder.join(format!("dt={key}"));
    std::fs::create_dir_all(&place).expect("a folder");
    let rows = shape.rows + u64::from(day);
    let (mut sum, mut cents, mut nulls) = (0_u64, 0_u64, 0_u64);
    for file in 0..shape.files {
        let first = u64::from(file) * rows;
        let mut text = String::from("id,amount,note\n");
        for id in first..first + rows {
            let amount = id * 7 % 1000 + u64::from(day);
            sum += id;
            cents += amount * 100 + 25;
            if id % 11 == 0 {
                nulls += 1;
                writeln!(text, "{id},{amount}.25,").expect("texts grow");
            } else {
                writeln!(text, "{id},{amount}.25,note {}", id % 97).expect("texts grow");
            }
        }
        std::fs::write(place.join(format!("part-{file}.csv")), text).expect("a file");
    }
    let all = rows * u64::from(shape.files);
    let amount = format!("{}.{:02}", cents / 100, cents % 100);
    Truth {
        partition: key,
        metrics: vec![
            ("rowCount", "", all.to_string()),
            ("sum", "id", sum.to_string()),
            ("min", "id", "0".to_owned()),
            ("max", "id", (all - 1).to_string()),
            ("sum", "amount", trimmed(&amount)),
            ("nullCount", "note", nulls.to_string()),
            ("distinctCount", "note", 97.min(all).to_string()),
        ],
    }
}

/// A decimal without zeros at its end.
fn trimmed(number: &str) -> String {
    number
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// The definition of a dataset of CSV files in `folder`, a task for each `target_bytes`.
///
/// # Panics
/// When `name` is no name of a dataset.
#[must_use]
pub fn dataset(folder: &Path, name: &str, target_bytes: u64) -> Dataset {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        logical_type: Some(kind),
        physical_type: None,
        required: false,
        unique: false,
        primary_key: None,
        masked: false,
    };
    Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new(name).expect("a good name"),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: Some("drills".to_owned()),
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "files".to_owned(),
            location: Location::Local {
                path: folder.to_str().expect("paths of tests are text").to_owned(),
            },
            format: Format::of(FormatKind::Csv),
        },
        partitions: Partitioning {
            layout: Layout::Hive,
            sealing: Sealing::Immediately,
            ..Partitioning::default()
        },
        columns: vec![
            column("id", LogicalType::Integer),
            column("amount", LogicalType::Number),
            column("note", LogicalType::String),
        ],
        checks: Vec::new(),
        profile: Profile {
            metrics: vec![
                Metric::NullCount,
                Metric::DistinctCount,
                Metric::Sum,
                Metric::Min,
                Metric::Max,
                Metric::Mean,
                Metric::Quantile,
            ],
            ..Profile::default()
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy {
            target_bytes,
            ..ScanPolicy::default()
        },
    }
}
