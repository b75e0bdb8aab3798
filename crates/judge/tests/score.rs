//! The score of the learner on ten data sets with known faults, against the anchors it has to beat.
//!
//! The rules of scoring are those of the benchmark's own `score.py`: the unit of decision is the
//! partition, a fault counts as found only if an alarmed metric is one that it changed, every data
//! set of a family shares one vote, and every family has one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use assay_judge::Policy;
use assay_judge::series_file::judge_file;

/// The share of faulty partitions that precision and F1 are stated for.
const FAULTY_SHARE: f64 = 0.05;

/// The most alarmed clean partitions per hundred: those of the best anchor (`ref_max`).
const FALSE_ALARMS_MAX: f64 = 2.7;
/// The least F1: that of the best anchor (`ref_max`).
const F1_MIN: f64 = 0.640;

/// Data set, column, metric and position of a point.
type Place = (String, String, String, usize);

fn inputs() -> PathBuf {
    let root = std::env::var_os("ASSAY_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let folder = root.join("thresholds/series/OPEN");
    assert!(
        folder.is_dir(),
        "no series in {}: set ASSAY_SHARED",
        folder.display()
    );
    folder
}

/// The rows of a CSV text without quotes, each by the names of its header.
fn rows(text: &str) -> impl Iterator<Item = BTreeMap<&str, &str>> {
    assert!(!text.contains('"'), "quoted fields are not expected");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines.map(move |line| {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), header.len(), "{line}");
        header.iter().copied().zip(fields).collect()
    })
}

fn place(row: &BTreeMap<&str, &str>) -> Place {
    let text = |key: &str| row[key].to_owned();
    (
        text("dataset"),
        text("column"),
        text("metric"),
        row["idx"].parse().unwrap(),
    )
}

fn number(text: &str) -> Option<f64> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

/// Limits of a point; an absent side is unbounded.
#[derive(Clone, Copy)]
struct Bounds {
    lower: f64,
    upper: f64,
}

/// Whether a point alarms: outside its limits, or not computable although the one before was.
fn alarms(value: Option<f64>, bounds: Bounds, before: Option<f64>) -> bool {
    match value {
        None => before.is_some(),
        Some(value) => {
            let tolerance = 1e-9 * value.abs().max(1e-12);
            value > bounds.upper + tolerance || value < bounds.lower - tolerance
        }
    }
}

/// A data set's family: those of one origin share a vote.
fn family(dataset: &str) -> &str {
    if dataset.starts_with("nab_") {
        "nab"
    } else {
        dataset
    }
}

/// The mean of each group, by the key that `up` makes of a finer one.
fn means<K: Ord, U: Ord>(
    finer: impl IntoIterator<Item = (K, f64)>,
    up: impl Fn(&K) -> U,
) -> BTreeMap<U, f64> {
    let mut groups: BTreeMap<U, (f64, f64)> = BTreeMap::new();
    for (key, value) in finer {
        let (sum, count) = groups.entry(up(&key)).or_default();
        *sum += value;
        *count += 1.0;
    }
    groups.into_iter().map(|(k, (s, n))| (k, s / n)).collect()
}

fn mean_of(groups: &BTreeMap<String, f64>) -> f64 {
    assert!(!groups.is_empty());
    groups.values().sum::<f64>() / groups.len() as f64
}

/// The headline figures.
#[derive(Debug)]
struct Score {
    recall: f64,
    /// Alarmed clean partitions per hundred.
    false_alarms: f64,
    f1: f64,
}

/// What the benchmark holds.
struct Benchmark {
    values: BTreeMap<Place, Option<f64>>,
    /// Partitions with a documented natural fault.
    natural: BTreeSet<(String, usize)>,
    warmup: BTreeMap<String, usize>,
    injections: String,
}

impl Benchmark {
    fn read(folder: &Path) -> Self {
        let series = fs::read_to_string(folder.join("series.csv")).unwrap();
        let mut values = BTreeMap::new();
        let mut natural = BTreeSet::new();
        for row in rows(&series) {
            let place = place(&row);
            if row["label"] != "0" {
                natural.insert((place.0.clone(), place.3));
            }
            values.insert(place, number(row["value"]));
        }
        let meta: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join("meta.json")).unwrap()).unwrap();
        let warmup = meta
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, about)| (name.clone(), about["warmup"].as_u64().unwrap() as usize))
            .collect();
        Self {
            values,
            natural,
            warmup,
            injections: fs::read_to_string(folder.join("injections.csv")).unwrap(),
        }
    }

    fn before(&self, place: &Place) -> Option<f64> {
        let position = place.3.checked_sub(1)?;
        let (dataset, column, metric, _) = place.clone();
        self.values
            .get(&(dataset, column, metric, position))
            .copied()
            .flatten()
    }

    /// Alarmed clean partitions, as a share, by family.
    fn false_alarms(&self, limits: &BTreeMap<Place, Bounds>) -> f64 {
        let mut partitions: BTreeMap<(String, usize), bool> = BTreeMap::new();
        for (place, bounds) in limits {
            let partition = (place.0.clone(), place.3);
            if place.3 >= self.warmup[&place.0] && !self.natural.contains(&partition) {
                *partitions.entry(partition).or_default() |=
                    alarms(self.values[place], *bounds, self.before(place));
            }
        }
        let shares = partitions.into_iter().map(|(k, a)| (k, f64::from(a)));
        let datasets = means(shares, |(dataset, _)| dataset.clone());
        mean_of(&means(datasets, |dataset| family(dataset).to_owned()))
    }

    /// Found faults, as a share: by fault and magnitude, then data set, then family.
    fn recall(&self, limits: &BTreeMap<Place, Bounds>) -> f64 {
        let mut cases: BTreeMap<&str, (String, String, bool)> = BTreeMap::new();
        for row in rows(&self.injections) {
            let place = place(&row);
            let Some(bounds) = limits.get(&place) else {
                continue;
            };
            if place.3 < self.warmup[&place.0] || row["fault"] == "natural_dirty" {
                continue;
            }
            let found = alarms(number(row["value"]), *bounds, self.before(&place));
            let kind = format!("{} {}", row["fault"], row["magnitude"]);
            cases.entry(row["case"]).or_insert((place.0, kind, false)).2 |= found;
        }
        let found = cases.into_values().map(|(d, k, f)| ((d, k), f64::from(f)));
        let kinds = means(found, Clone::clone);
        let datasets = means(kinds, |(dataset, _)| dataset.clone());
        mean_of(&means(datasets, |dataset| family(dataset).to_owned()))
    }

    fn score(&self, limits: &BTreeMap<Place, Bounds>) -> Score {
        let (recall, clean) = (self.recall(limits), self.false_alarms(limits));
        let found = FAULTY_SHARE * recall;
        let precision = found / (found + (1.0 - FAULTY_SHARE) * clean);
        Score {
            recall,
            false_alarms: 100.0 * clean,
            f1: 2.0 * precision * recall / (precision + recall),
        }
    }
}

/// The learner's limits for every point from the ninth on, through the file format of its users.
fn learned(folder: &Path) -> BTreeMap<Place, Bounds> {
    let mut out = Vec::new();
    let series = fs::File::open(folder.join("series.csv")).unwrap();
    judge_file(series, &mut out, &Policy::default()).unwrap();
    let text = String::from_utf8(out).unwrap();
    rows(&text)
        .map(|row| {
            let bounds = Bounds {
                lower: number(row["lower"]).unwrap_or(f64::NEG_INFINITY),
                upper: number(row["upper"]).unwrap_or(f64::INFINITY),
            };
            (place(&row), bounds)
        })
        .collect()
}

#[test]
fn the_learner_beats_the_best_anchor_in_f1_without_more_false_alarms() {
    let folder = inputs();
    let score = Benchmark::read(&folder).score(&learned(&folder));
    println!("{score:.4?}");
    assert!(
        score.false_alarms <= FALSE_ALARMS_MAX,
        "more than {FALSE_ALARMS_MAX} alarmed clean partitions per hundred: {score:?}"
    );
    assert!(score.f1 >= F1_MIN, "F1 below {F1_MIN}: {score:?}");
}

#[test]
fn limits_that_never_alarm_find_only_what_cannot_be_computed() {
    // The scorer itself: without limits only metrics that vanished alarm, and no clean partition has one.
    let folder = inputs();
    let open = Bounds {
        lower: f64::NEG_INFINITY,
        upper: f64::INFINITY,
    };
    let limits = learned(&folder).into_keys().map(|p| (p, open)).collect();
    let score = Benchmark::read(&folder).score(&limits);
    println!("{score:.4?}");
    assert!(score.recall < 0.2, "{score:?}");
    assert!(score.false_alarms < 1.0, "{score:?}");
}
