//! What lies in etcd: keys and JSON values.
//!
//! Comes in: bytes that anybody with access may have written. Goes out: records, or nothing and a
//! warning. It must never fail on bytes, nor take in more of them than a record of ours has.

use std::sync::Arc;

use assay_model::ids::{Incarnation, NodeId};
use assay_model::node::Load;
use serde::{Deserialize, Serialize};

use super::follow::{Entry, Listing};
use crate::port::{Advert, Candidate, CoordinationError};

/// No record of ours is longer, the configuration apart.
const RECORD_BYTES_MAX: usize = 64 << 10;
/// A name in a key is no longer.
const NAME_BYTES_MAX: usize = 256;

/// The keys under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn under(prefix: &str) -> Self {
        Self {
            prefix: prefix.trim_end_matches('/').to_owned(),
        }
    }

    pub(super) fn leaders(&self) -> String {
        format!("{}/leader/", self.prefix)
    }

    pub(super) fn leader(&self, lease: i64) -> String {
        format!("{}/leader/{lease:016x}", self.prefix)
    }

    /// The lease that a candidate's key is bound to.
    pub(super) fn lease_in(&self, key: &str) -> Option<i64> {
        i64::from_str_radix(key.strip_prefix(&self.leaders())?, 16).ok()
    }

    pub(super) fn nodes(&self) -> String {
        format!("{}/nodes/", self.prefix)
    }

    pub(super) fn node(&self, node: &NodeId) -> Result<String, CoordinationError> {
        let name = node.as_str();
        if name.is_empty() || name.contains('/') || name.len() > NAME_BYTES_MAX {
            let short: String = name.chars().take(40).collect();
            return Err(CoordinationError::Refused(format!(
                "a node's name is 1 to {NAME_BYTES_MAX} bytes without a slash; `{short}` is not"
            )));
        }
        Ok(format!("{}/nodes/{name}", self.prefix))
    }

    /// The key of the load beside a node's key.
    pub(super) fn load_of(node_key: &str) -> String {
        format!("{node_key}/load")
    }

    /// The node whose key this is.
    pub(super) fn node_in(&self, key: &str) -> Option<NodeId> {
        let name = key.strip_prefix(&self.nodes())?;
        let ours = !name.is_empty() && !name.contains('/') && name.len() <= NAME_BYTES_MAX;
        ours.then(|| NodeId::new(name))
    }

    pub(super) fn config(&self) -> String {
        format!("{}/config", self.prefix)
    }
}

#[derive(Serialize, Deserialize)]
struct CandidateRecord {
    name: String,
    address: String,
}

#[derive(Serialize, Deserialize)]
struct NodeRecord {
    incarnation: u64,
    slots: u32,
    zone: String,
}

#[derive(Serialize, Deserialize)]
struct LoadRecord {
    incarnation: u64,
    load: Load,
}

fn written(record: &impl Serialize) -> Vec<u8> {
    // Structs of numbers and texts have no key that JSON cannot write.
    serde_json::to_vec(record).unwrap_or_default()
}

fn read<'a, T: Deserialize<'a>>(what: &str, name: &str, bytes: &'a [u8]) -> Option<T> {
    if bytes.len() > RECORD_BYTES_MAX {
        tracing::warn!(what, name, bytes = bytes.len(), "too long in etcd: ignored");
        return None;
    }
    match serde_json::from_slice(bytes) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::warn!(what, name, %error, "unreadable in etcd: ignored");
            None
        }
    }
}

pub(super) fn candidate(candidate: &Candidate) -> Vec<u8> {
    written(&CandidateRecord {
        name: candidate.name.clone(),
        address: candidate.address.clone(),
    })
}

pub(super) fn candidate_of(key: &str, entry: &Entry) -> Option<Candidate> {
    let record: CandidateRecord = read("candidate", key, &entry.value)?;
    Some(Candidate {
        name: record.name,
        address: record.address,
    })
}

pub(super) fn advert(advert: &Advert) -> Vec<u8> {
    written(&NodeRecord {
        incarnation: advert.incarnation.0,
        slots: advert.slots,
        zone: advert.zone.clone(),
    })
}

pub(super) fn advert_of(node: &NodeId, bytes: &[u8]) -> Option<Advert> {
    let record: NodeRecord = read("node", node.as_str(), bytes)?;
    Some(Advert {
        node: node.clone(),
        incarnation: Incarnation(record.incarnation),
        slots: record.slots,
        zone: record.zone,
    })
}

pub(super) fn load(incarnation: Incarnation, load: &Load) -> Vec<u8> {
    written(&LoadRecord {
        incarnation: incarnation.0,
        load: load.clone(),
    })
}

/// The load, if that life has published it.
pub(super) fn load_of(incarnation: Incarnation, bytes: &[u8]) -> Option<Load> {
    let record: LoadRecord = read("load", "of a node", bytes)?;
    (record.incarnation == incarnation.0).then_some(record.load)
}

/// The configuration: null when there is none, nothing when it is no JSON.
pub(super) fn config_of(key: &str, listing: &Listing) -> Option<Arc<serde_json::Value>> {
    let Some(entry) = listing.entries.get(key) else {
        return Some(Arc::default());
    };
    match serde_json::from_slice(&entry.value) {
        Ok(config) => Some(Arc::new(config)),
        Err(error) => {
            tracing::warn!(%error, "the configuration in etcd is unreadable: the last one stands");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(entries: &[(&str, &[u8])]) -> Listing {
        let mut listing = Listing::default();
        for (created, (key, value)) in entries.iter().enumerate() {
            let entry = Entry {
                value: value.to_vec(),
                created: i64::try_from(created).unwrap(),
            };
            listing.entries.insert((*key).to_owned(), entry);
        }
        listing
    }

    #[test]
    fn hostile_entries_hide_nobody_and_elect_nobody() {
        let long = vec![b' '; RECORD_BYTES_MAX + 1];
        let keys = Keys::under("/a/");
        let good = advert(&Advert {
            node: NodeId::new("good"),
            incarnation: Incarnation(3),
            slots: 2,
            zone: String::new(),
        });
        let nodes = super::super::nodes::nodes_of(
            &keys,
            &listing(&[
                ("/a/nodes/bad", b"\xff\xfe"),
                ("/a/nodes/deep/er/still", &good),
                ("/a/nodes/good", &good),
                ("/a/nodes/good/load", b"{\"incarnation\":2,\"load\":{}}"),
                ("/a/nodes/list", b"[]"),
                ("/a/nodes/long", &long),
            ]),
        );
        assert_eq!(nodes.keys().collect::<Vec<_>>(), [&NodeId::new("good")]);
        assert_eq!(nodes[&NodeId::new("good")].load, None);

        let m1 = candidate(&Candidate {
            name: "m1".to_owned(),
            address: "http://m1".to_owned(),
        });
        let listed = listing(&[("/a/leader/0", b"nonsense"), ("/a/leader/1", &m1)]);
        let leader = super::super::election::leader_of(&listed).flatten();
        assert_eq!(leader.map(|leader| leader.name).as_deref(), Some("m1"));
    }

    #[test]
    fn a_configuration_that_is_no_json_leaves_the_last_one_standing() {
        let none = config_of("/a/config", &listing(&[]));
        assert_eq!(none.as_deref(), Some(&serde_json::Value::Null));
        assert!(config_of("/a/config", &listing(&[("/a/config", b"{")])).is_none());
    }

    #[test]
    fn names_that_would_reach_into_other_keys_are_refused() {
        let keys = Keys::under("/a");
        assert!(keys.node(&NodeId::new("n1/load")).is_err());
        assert!(keys.node(&NodeId::new("")).is_err());
        assert_eq!(keys.node(&NodeId::new("n1")).unwrap(), "/a/nodes/n1");
        assert_eq!(keys.lease_in(&keys.leader(0x1f)), Some(0x1f));
        for odd in ["/a/leader/", "/a/leader/x", "/b/leader/1"] {
            assert_eq!(keys.lease_in(odd), None, "{odd}");
        }
    }
}
