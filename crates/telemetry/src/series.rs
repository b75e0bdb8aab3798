//! Counters and gauges, and their text for Prometheus.
//!
//! Comes in: a series' name, its labels and a number. Goes out: the text exposition format 0.0.4.
//! It must never lose a count to a race, or print a name that a scraper refuses.

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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// Label names with their values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Telemetry {
    /// Adds `n` to a counter, whose name ends in `_total`.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 counts")]
    pub fn count(&self, name: &str, labels: Labels<'_>, n: u64) {
        self.change(Kind::Counter, name, labels, |value| *value += n as f64);
    }

    /// Sets a gauge.
    pub fn set(&self, name: &str, labels: Labels<'_>, value: f64) {
        self.change(Kind::Gauge, name, labels, |old| *old = value);
    }

    /// The value of a series, if it has one.
    #[must_use]
    pub fn value(&self, name: &str, labels: Labels<'_>) -> Option<f64> {
        let families = self.families();
        families.get(name)?.samples.get(&spell(labels)).copied()
    }

    /// All series as the text that Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.families().iter() {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE {name} {kind}");
            for (labels, value) in &family.samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        }
        text
    }

    fn change(&self, kind: Kind, name: &str, labels: Labels<'_>, with: impl FnOnce(&mut f64)) {
        let mut families = self.families();
        let family = families.entry(plain(name)).or_insert_with(|| Family {
            kind,
            samples: BTreeMap::new(),
        });
        with(family.samples.entry(spell(labels)).or_insert(0.0));
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        // Each map operation leaves the map whole, so a panic elsewhere leaves it usable.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

fn spell(labels: Labels<'_>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{}=\"{value}\"", plain(name))
        })
        .collect();
    format!("{{{}}}", parts.join(","))
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
