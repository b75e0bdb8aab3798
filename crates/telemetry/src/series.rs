//! Counters, gauges and histograms, and their text for Prometheus.
//!
//! Comes in: a series' name, its labels and a number. Goes out: the text exposition format 0.0.4.
//! It must never lose a count to a race, print a name that a scraper refuses, or hold series
//! without end: a family that is full takes no new labels, and that is counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The series of a process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    // Held for one map operation; series are touched per event, never per value.
    families: Arc<Mutex<BTreeMap<String, Family>>>,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    samples: BTreeMap<String, f64>,
    histograms: BTreeMap<String, Histogram>,
}

/// How many observations were at most each bound, all of them, and their sum.
#[derive(Debug)]
struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    count: u64,
    sum: f64,
    labels: Vec<(String, String)>,
}

/// Bounds for durations of calls and short waits, in seconds.
pub const SHORT_S: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Bounds for durations of tasks, in seconds.
pub const TASK_S: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];
/// Bounds for detection, recovery and hand-over, in seconds.
pub const RECOVERY_S: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0,
];
/// Bounds for attempts per task.
pub const ATTEMPTS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 20.0];

/// Label sets of one family; more are not taken.
const FAMILY_MAX: usize = 2_000;
/// Counts what a full family did not take.
const DROPPED: &str = "assay_telemetry_series_dropped_total";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What a histogram has taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// How many observations; never zero.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The least bound that the share of them that is asked for does not exceed; `None` beyond the
    /// greatest.
    pub within: Option<f64>,
}

/// Label names with their values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Telemetry {
    /// Adds `n` to a counter, whose name ends in `_total`.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 counts")]
    pub fn count(&self, name: &str, labels: Labels<'_>, n: u64) {
        self.change(Kind::Counter, name, labels, |value| *value += n as f64);
    }

    /// Adds a fraction to a counter, such as seconds.
    pub fn add(&self, name: &str, labels: Labels<'_>, n: f64) {
        self.change(Kind::Counter, name, labels, |value| *value += n);
    }

    /// Sets a gauge.
    pub fn set(&self, name: &str, labels: Labels<'_>, value: f64) {
        self.change(Kind::Gauge, name, labels, |old| *old = value);
    }

    /// Sets a counter that is kept elsewhere, such as by the kernel.
    pub fn set_total(&self, name: &str, labels: Labels<'_>, value: f64) {
        self.change(Kind::Counter, name, labels, |old| *old = value);
    }

    /// Takes an observation into a histogram with these bounds, ascending.
    pub fn observe(&self, name: &str, labels: Labels<'_>, bounds: &'static [f64], value: f64) {
        let key = spell(labels);
        self.within(Kind::Histogram, name, |family| {
            if let Some(histogram) = family.histograms.get_mut(&key) {
                histogram.take(value);
                return true;
            }
            if family.histograms.len() >= FAMILY_MAX {
                return false;
            }
            let mut histogram = Histogram::new(bounds, labels);
            histogram.take(value);
            family.histograms.insert(key, histogram);
            true
        });
    }

    /// Takes a duration into a histogram with these bounds, in seconds.
    pub fn observe_duration(
        &self,
        name: &str,
        labels: Labels<'_>,
        bounds: &'static [f64],
        value: std::time::Duration,
    ) {
        self.observe(name, labels, bounds, value.as_secs_f64());
    }

    /// How many observations a histogram has taken.
    #[must_use]
    pub fn observations(&self, name: &str, labels: Labels<'_>) -> u64 {
        let families = self.families();
        let found = families
            .get(name)
            .and_then(|family| family.histograms.get(&spell(labels)));
        found.map_or(0, |histogram| histogram.count)
    }

    /// Takes away the samples of a gauge family that are not among `present`, so that what is gone
    /// is not shown for ever.
    pub fn keep_only(&self, name: &str, present: &[Labels<'_>]) {
        let present: Vec<String> = present.iter().map(|labels| spell(labels)).collect();
        if let Some(family) = self.families().get_mut(name) {
            family.samples.retain(|labels, _| present.contains(labels));
        }
    }

    /// Takes away one series of a gauge: what it told holds no more.
    pub fn remove(&self, name: &str, labels: Labels<'_>) {
        if let Some(family) = self.families().get_mut(name) {
            family.samples.remove(&spell(labels));
        }
    }

    /// The value of a series, if it has one.
    #[must_use]
    pub fn value(&self, name: &str, labels: Labels<'_>) -> Option<f64> {
        let families = self.families();
        families.get(name)?.samples.get(&spell(labels)).copied()
    }

    /// The values of a family, added up; zero while there is none.
    #[must_use]
    pub fn total(&self, name: &str) -> f64 {
        let families = self.families();
        let values = families.get(name).map(|family| family.samples.values());
        values.map_or(0.0, |values| values.sum())
    }

    /// What a histogram has taken, if it has taken anything, and the bound that `share` of it lies
    /// within.
    #[must_use]
    pub fn observed(&self, name: &str, labels: Labels<'_>, share: f64) -> Option<Observed> {
        let families = self.families();
        let found = families.get(name)?.histograms.get(&spell(labels))?;
        if found.count == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 observations")]
        let enough = |count: u64| count as f64 >= share * found.count as f64;
        let mut bounds = found.bounds.iter().zip(&found.counts);
        let within = bounds.find(|(_, count)| enough(**count));
        Some(Observed {
            count: found.count,
            sum: found.sum,
            within: within.map(|(bound, _)| *bound),
        })
    }

    /// All series as the text that Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.families().iter() {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE {name} {kind}");
            for (labels, value) in &family.samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
            for histogram in family.histograms.values() {
                histogram.render(name, &mut text);
            }
        }
        text
    }

    fn change(&self, kind: Kind, name: &str, labels: Labels<'_>, with: impl FnOnce(&mut f64)) {
        let key = spell(labels);
        self.within(kind, name, |family| {
            if let Some(sample) = family.samples.get_mut(&key) {
                with(sample);
                return true;
            }
            if family.samples.len() >= FAMILY_MAX {
                return false;
            }
            with(family.samples.entry(key).or_insert(0.0));
            true
        });
    }

    /// Changes the family of this name; `false` of `change` is a label set that was not taken. A
    /// family that is there is found without memory being asked for.
    fn within(&self, kind: Kind, name: &str, change: impl FnOnce(&mut Family) -> bool) {
        let mut families = self.families();
        let taken = match families.get_mut(name) {
            Some(family) => change(family),
            None => {
                let new = || Family::new(kind);
                change(families.entry(plain(name)).or_insert_with(new))
            }
        };
        if !taken {
            dropped(&mut families);
        }
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        // Each map operation leaves the map whole, so a panic elsewhere leaves it usable.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Family {
    const fn new(kind: Kind) -> Self {
        Self {
            kind,
            samples: BTreeMap::new(),
            histograms: BTreeMap::new(),
        }
    }
}

impl Histogram {
    fn new(bounds: &'static [f64], labels: Labels<'_>) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            bounds,
            counts: vec![0; bounds.len()],
            count: 0,
            sum: 0.0,
            labels: labels.iter().map(owned).collect(),
        }
    }

    fn take(&mut self, value: f64) {
        for (bound, count) in self.bounds.iter().zip(&mut self.counts) {
            *count += u64::from(value <= *bound);
        }
        self.count += 1;
        self.sum += value;
    }

    fn render(&self, name: &str, text: &mut String) {
        let spelt = |le: Option<&str>| {
            let mut labels: Vec<(&str, &str)> = self
                .labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            labels.extend(le.map(|le| ("le", le)));
            spell(&labels)
        };
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            let labels = spelt(Some(&bound.to_string()));
            let _ = writeln!(text, "{name}_bucket{labels} {count}");
        }
        let _ = writeln!(text, "{name}_bucket{} {}", spelt(Some("+Inf")), self.count);
        let _ = writeln!(text, "{name}_sum{} {}", spelt(None), self.sum);
        let _ = writeln!(text, "{name}_count{} {}", spelt(None), self.count);
    }
}

/// Counts a label set that a full family did not take.
fn dropped(families: &mut BTreeMap<String, Family>) {
    let family = families
        .entry(DROPPED.to_owned())
        .or_insert_with(|| Family::new(Kind::Counter));
    *family.samples.entry(String::new()).or_insert(0.0) += 1.0;
}

/// A name with nothing in it that a scraper refuses.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Labels as they are printed, which is also how they are found: in one piece of memory, since a
/// request of the gateway has several of them spelt.
fn spell(labels: Labels<'_>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let room = |(name, value): &(&str, &str)| name.len() + value.len() + 4;
    let mut text = String::with_capacity(2 + labels.iter().map(room).sum::<usize>());
    for (n, (name, value)) in labels.iter().enumerate() {
        text.push(if n == 0 { '{' } else { ',' });
        if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            text.push_str(name);
        } else {
            text.push_str(&plain(name));
        }
        text.push_str("=\"");
        if value.bytes().any(|b| matches!(b, b'\\' | b'"' | b'\n')) {
            for c in value.chars() {
                match c {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    c => text.push(c),
                }
            }
        } else {
            text.push_str(value);
        }
        text.push('"');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_gauges_are_replaced() {
        let telemetry = Telemetry::default();
        telemetry.count("assay_task_retries_total", &[("kind", "measure")], 2);
        telemetry.count("assay_task_retries_total", &[("kind", "measure")], 3);
        telemetry.set("assay_nodes", &[("state", "live")], 4.0);
        telemetry.set("assay_nodes", &[("state", "live")], 2.0);
        let text = telemetry.render();
        assert!(text.contains("# TYPE assay_task_retries_total counter\n"));
        assert!(text.contains("assay_task_retries_total{kind=\"measure\"} 5\n"));
        assert!(text.contains("assay_nodes{state=\"live\"} 2\n"));
        telemetry.count("assay_task_retries_total", &[("kind", "evaluate")], 4);
        assert_eq!(telemetry.total("assay_task_retries_total"), 9.0);
    }

    #[test]
    fn a_histogram_counts_what_is_at_most_each_bound() {
        let telemetry = Telemetry::default();
        let labels: Labels<'_> = &[("kind", "measure")];
        for value in [0.5, 1.0, 7.0] {
            telemetry.observe("assay_x_seconds", labels, &[1.0, 5.0], value);
        }
        assert_eq!(
            telemetry.render(),
            "# TYPE assay_x_seconds histogram\n\
             assay_x_seconds_bucket{kind=\"measure\",le=\"1\"} 2\n\
             assay_x_seconds_bucket{kind=\"measure\",le=\"5\"} 2\n\
             assay_x_seconds_bucket{kind=\"measure\",le=\"+Inf\"} 3\n\
             assay_x_seconds_sum{kind=\"measure\"} 8.5\n\
             assay_x_seconds_count{kind=\"measure\"} 3\n"
        );
        assert_eq!(telemetry.observations("assay_x_seconds", labels), 3);
        let within = |share| telemetry.observed("assay_x_seconds", labels, share);
        let half = within(0.5).unwrap();
        assert_eq!((half.count, half.sum, half.within), (3, 8.5, Some(1.0)));
        assert_eq!(within(0.99).unwrap().within, None);
        assert_eq!(telemetry.observed("assay_y_seconds", labels, 0.5), None);
        assert_eq!(telemetry.total("assay_x_seconds"), 0.0);
    }

    #[test]
    fn a_full_family_takes_no_new_labels_and_says_so() {
        let telemetry = Telemetry::default();
        for n in 0..FAMILY_MAX + 3 {
            telemetry.count("assay_a_total", &[("dataset", &n.to_string())], 1);
        }
        assert_eq!(telemetry.value(DROPPED, &[]), Some(3.0));
        telemetry.count("assay_a_total", &[("dataset", "0")], 1);
        assert_eq!(
            telemetry.value("assay_a_total", &[("dataset", "0")]),
            Some(2.0)
        );
    }

    #[test]
    fn a_label_value_cannot_break_out_of_its_quotes() {
        let telemetry = Telemetry::default();
        telemetry.set("a-b", &[("l", "x\"} 1\ny\\")], 1.0);
        assert_eq!(
            telemetry.render(),
            "# TYPE a_b gauge\na_b{l=\"x\\\"} 1\\ny\\\\\"} 1\n"
        );
    }
}
