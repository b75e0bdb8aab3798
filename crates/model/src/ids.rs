//! Identifiers: what names a thing, how it is spelt, and what is refused as a name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is none of the words of a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}")]
pub struct UnknownWord {
    /// The vocabulary that was asked.
    pub kind: &'static str,
    /// The text that was given.
    pub text: String,
}

/// An identifier that is not spelt as its kind demands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {rule}")]
pub struct InvalidId {
    /// The kind of identifier.
    pub kind: &'static str,
    /// The text that was given.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// The stable name of a dataset: 1 to 128 characters of `[A-Za-z0-9_-]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetId(String);

impl DatasetId {
    /// Takes `text` as a dataset's name.
    ///
    /// # Errors
    /// [`InvalidId`] when it is empty, longer than 128 characters or has other characters.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if plain && (1..=128).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(InvalidId {
                kind: "dataset id",
                text,
                rule: "use 1 to 128 of the characters A-Z a-z 0-9 _ -",
            })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DatasetId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::new(text)
    }
}

impl From<DatasetId> for String {
    fn from(id: DatasetId) -> String {
        id.0
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// Takes `text` as it is.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_id!(
    /// The name of a check within its dataset; the key of its results and incidents.
    CheckId
);
text_id!(
    /// The name of a data node, unique in its cluster and kept over restarts.
    NodeId
);

/// A run: one execution of a dataset's checks. Shown as `run_` and 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(pub Uuid);

/// The name space of run ids that are derived from a dataset and a slot.
const RUN_NAMESPACE: Uuid = Uuid::from_u128(0x6173_7361_792d_7275_6e2d_736c_6f74_0001);

impl RunId {
    /// The id of the run of `dataset` for the scheduled instant `slot`: the same for every
    /// emission, however late or often repeated.
    #[must_use]
    pub fn of_slot(dataset: &DatasetId, slot: jiff::Timestamp) -> Self {
        Self::of_key(dataset, &format!("slot|{slot}"))
    }

    /// The id of a run that a caller started under an idempotency key.
    #[must_use]
    pub fn of_key(dataset: &DatasetId, key: &str) -> Self {
        Self(Uuid::new_v5(
            &RUN_NAMESPACE,
            format!("{dataset}|{key}").as_bytes(),
        ))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run_{}", self.0.simple())
    }
}

impl FromStr for RunId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix("run_")
            .and_then(|hex| Uuid::try_parse(hex).ok())
            .map(Self)
            .ok_or_else(|| InvalidId {
                kind: "run id",
                text: text.to_owned(),
                rule: "a run id is `run_` and 32 hex digits",
            })
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> String {
        id.to_string()
    }
}

/// A task of a run, by its place in the plan. Shown as `run_…/7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The run that the task belongs to.
    pub run: RunId,
    /// Its number in the run's plan; 0 is the discovery.
    pub no: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.no)
    }
}

/// The fence of a leader's writes: minted by the store, strictly growing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Which life of a node: bumped each time the node registers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// The fence of a node's writes: task, attempt and a nonce that no restore can repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptToken {
    /// The task that is attempted.
    pub task: TaskId,
    /// 1 for the first attempt; for order.
    pub attempt: u32,
    /// Unique for ever; for safety.
    pub nonce: Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_id_refuses_what_a_path_or_a_url_would_misread() {
        for bad in ["", "a b", "a/b", "..", "ä", &"x".repeat(129)] {
            assert!(DatasetId::new(bad).is_err(), "{bad}");
        }
        assert!(DatasetId::new("orders_2-eu").is_ok());
    }

    #[test]
    fn a_slot_always_gives_the_same_run() {
        let orders = DatasetId::new("orders").unwrap();
        let slot = "2026-11-20T15:15:00Z".parse().unwrap();
        assert_eq!(RunId::of_slot(&orders, slot), RunId::of_slot(&orders, slot));
        let text = RunId::of_slot(&orders, slot).to_string();
        assert_eq!(text.parse::<RunId>().unwrap().to_string(), text);
    }
}
