//! The fleet's figures as metrics of CloudWatch, in its embedded metric format: one JSON object a
//! line, which CloudWatch Logs reads metrics from.
//!
//! Comes in: figures of a moment. Goes out: a line, without its end. It must never hold a dimension
//! that grows with runs or nodes: each is a metric that costs.

use std::fmt;

use jiff::Timestamp;
use serde_json::json;

use crate::fleet::Fleet;

/// Characters of a namespace, and of the value of a dimension (CloudWatch's bounds).
const NAMESPACE_MAX: usize = 256;
const DIMENSION_MAX: usize = 256;

/// Under which names metrics are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emf {
    namespace: String,
    cluster: String,
}

/// A name that CloudWatch does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} `{name}` of metrics: CloudWatch takes 1 to {max} characters of {of}")]
pub struct BadName {
    what: &'static str,
    name: String,
    max: usize,
    of: &'static str,
}

impl Emf {
    /// Metrics of `cluster` in `namespace`.
    ///
    /// # Errors
    /// [`BadName`] when CloudWatch would drop them.
    pub fn new(namespace: &str, cluster: &str) -> Result<Self, BadName> {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_/#".contains(c);
        let printable = |c: char| c.is_ascii_graphic() || c == ' ';
        if namespace.is_empty() || namespace.len() > NAMESPACE_MAX || !namespace.chars().all(plain)
        {
            return Err(BadName {
                what: "namespace",
                name: namespace.to_owned(),
                max: NAMESPACE_MAX,
                of: "A-Z, a-z, 0-9 and .-_/#",
            });
        }
        let named = !cluster.trim().is_empty() && !cluster.starts_with(':');
        if !named || cluster.len() > DIMENSION_MAX || !cluster.chars().all(printable) {
            return Err(BadName {
                what: "cluster",
                name: cluster.to_owned(),
                max: DIMENSION_MAX,
                of: "ASCII, not all blank, with no colon before",
            });
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            cluster: cluster.to_owned(),
        })
    }

    /// The line of one moment.
    #[must_use]
    pub fn line(&self, fleet: &Fleet, at: Timestamp) -> String {
        let figures = [
            ("BacklogPerNode", json!(fleet.backlog_per_node())),
            ("SlotsDemanded", json!(fleet.slots_demanded())),
            ("SlotsFree", json!(fleet.slots_free())),
            ("NodesLive", json!(fleet.nodes_live)),
            ("NodesDesired", json!(fleet.nodes_desired)),
            ("RunsUnfinished", json!(fleet.runs_unfinished)),
        ];
        let metrics: Vec<_> = figures
            .iter()
            .map(|(name, _)| json!({"Name": name, "Unit": "Count"}))
            .collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": at.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": self.namespace,
                    "Dimensions": [["Cluster"]],
                    "Metrics": metrics,
                }],
            },
            "Cluster": self.cluster,
        });
        for (name, value) in figures {
            line[name] = value;
        }
        line.to_string()
    }
}

impl fmt::Display for Emf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of cluster {}", self.namespace, self.cluster)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;

    const FLEET: Fleet = Fleet {
        nodes_live: 4,
        nodes_desired: 6,
        slots_used: 7,
        slots_live: 8,
        queued: 11,
        runs_unfinished: 3,
    };

    #[test]
    fn the_backlog_is_what_is_at_work_and_ready_for_each_live_node() {
        assert_eq!(FLEET.slots_demanded(), 18);
        assert!((FLEET.backlog_per_node() - 4.5).abs() < 1e-9);
        let none = Fleet {
            nodes_live: 0,
            ..FLEET
        };
        assert!((none.backlog_per_node() - 18.0).abs() < 1e-9);
    }

    #[test]
    fn a_line_is_one_object_of_the_embedded_metric_format() {
        let at: Timestamp = "2026-11-21T12:00:00.5Z".parse().unwrap();
        let line = Emf::new("Assay", "staging").unwrap().line(&FLEET, at);
        assert!(!line.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            read,
            json!({
                "_aws": {
                    "Timestamp": 1_795_262_400_500_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Assay",
                        "Dimensions": [["Cluster"]],
                        "Metrics": [
                            {"Name": "BacklogPerNode", "Unit": "Count"},
                            {"Name": "SlotsDemanded", "Unit": "Count"},
                            {"Name": "SlotsFree", "Unit": "Count"},
                            {"Name": "NodesLive", "Unit": "Count"},
                            {"Name": "NodesDesired", "Unit": "Count"},
                            {"Name": "RunsUnfinished", "Unit": "Count"},
                        ],
                    }],
                },
                "Cluster": "staging",
                "BacklogPerNode": 4.5,
                "SlotsDemanded": 18,
                "SlotsFree": 1,
                "NodesLive": 4,
                "NodesDesired": 6,
                "RunsUnfinished": 3,
            })
        );
    }

    #[test]
    fn names_that_cloudwatch_drops_are_refused() {
        for bad in ["", "a b", "é", "AWS:x", &"a".repeat(257)] {
            assert!(Emf::new(bad, "c").is_err(), "{bad}");
        }
        for bad in ["", "  ", ":c", "a\nb"] {
            assert!(Emf::new("Assay", bad).is_err(), "{bad}");
        }
    }
}
