//! The audit log: who asked for which change, and what came of it, in a chain of hashes.
//!
//! Comes in: records. Goes out: entries with their place in the chain, and whether the chain is
//! whole. It must never change an entry, leave out one, or call a chain whole whose entries are not
//! the ones that were written. Whoever may rewrite the database as a whole can make another chain:
//! a head that is kept elsewhere tells that, too.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::StoreError;
use crate::values::micros;

/// The hash before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Entries that are read at a time when the chain is verified.
const PAGE: u32 = 1_000;

/// What is told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditStage {
    /// It was asked for; written before anything is done.
    Asked,
    /// It was carried out.
    Done,
    /// It was not, or not known to be.
    Failed,
}

impl AuditStage {
    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for AuditStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for AuditStage {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "asked" => Ok(Self::Asked),
            "done" => Ok(Self::Done),
            "failed" => Ok(Self::Failed),
            _ => Err(format!("`{word}` is no stage of a change")),
        }
    }
}

/// What is written down of a change at one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The request: the same for all stages of one change.
    pub request: Uuid,
    /// The stage.
    pub stage: AuditStage,
    /// Who asked: the id of a principal, never a secret.
    pub who: String,
    /// What it may do, in words.
    pub rights: String,
    /// What was asked for: a method and a route.
    pub action: String,
    /// What it is done to: the path.
    pub object: String,
    /// More about it; a JSON object.
    pub detail: String,
}

impl AuditRecord {
    /// The record with texts that every store keeps to the letter: bounded, without control
    /// characters.
    #[must_use]
    pub fn plain(mut self) -> Self {
        for (text, most) in [
            (&mut self.who, 200),
            (&mut self.rights, 500),
            (&mut self.action, 200),
            (&mut self.object, 500),
            (&mut self.detail, 2_000),
        ] {
            let fits = text.chars().count() <= most;
            if !fits || text.contains(strange) {
                *text = text
                    .chars()
                    .take(most)
                    .map(|c| if strange(c) { '\u{FFFD}' } else { c })
                    .collect();
            }
        }
        for text in [&mut self.who, &mut self.action] {
            if text.is_empty() {
                "?".clone_into(text);
            }
        }
        self
    }
}

/// What no text of a record has: controls, and the sign that adapters spell NUL with.
fn strange(c: char) -> bool {
    c.is_control() || c == '\u{FFFF}'
}

/// A written entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place, from 1 without a gap.
    pub seq: u64,
    /// When it was written, by the clock of the store.
    pub at: Timestamp,
    /// What was told.
    #[serde(flatten)]
    pub record: AuditRecord,
    /// The hash of the entry before.
    pub previous: String,
    /// Its own.
    pub hash: String,
}

impl AuditEntry {
    /// The hash that its words and the hash before make, in hexadecimal.
    #[must_use]
    pub fn expected_hash(&self) -> String {
        chain(&self.previous, self.seq, self.at, &self.record)
    }
}

/// The hash of an entry: SHA-256 of the hash before it and of its words, each with its length.
pub(crate) fn chain(previous: &str, seq: u64, at: Timestamp, record: &AuditRecord) -> String {
    let mut text = previous.to_owned();
    let (seq, at, request) = (
        seq.to_string(),
        micros(at).to_string(),
        record.request.to_string(),
    );
    for word in [
        seq.as_str(),
        &at,
        &request,
        record.stage.word(),
        &record.who,
        &record.rights,
        &record.action,
        &record.object,
        &record.detail,
    ] {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}:{word},", word.len());
    }
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// How many entries there are.
    pub seq: u64,
    /// The hash of the last one.
    pub hash: String,
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for AuditHead {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no head of a chain: write NUMBER:HASH, as was printed");
        let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
        let plain = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        let seq = seq.parse().map_err(|_| wrong())?;
        plain
            .then(|| Self {
                seq,
                hash: hash.to_ascii_lowercase(),
            })
            .ok_or_else(wrong)
    }
}

/// The port of the audit log. There is nothing that changes or removes.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Writes the next entry, in one transaction; a repeat of a request's stage answers the entry
    /// that is there.
    async fn append(&self, record: &AuditRecord) -> Result<AuditEntry, StoreError>;

    /// The entries after place `seq`, oldest first, at most `limit`.
    async fn after(&self, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// The entries before place `seq` (the last ones when it is `None`), newest first, at most
    /// `limit`.
    async fn before(&self, seq: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// Where the chain ends, as the store remembers it apart from the entries.
    async fn head(&self) -> Result<AuditHead, StoreError>;
}

/// What became of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Every entry is as it was written. With its head, to be kept elsewhere.
    Whole(AuditHead),
    /// It is not, from this place on.
    Broken {
        /// The first place that is not as it was.
        seq: u64,
        /// What is wrong there.
        why: String,
    },
}

/// Reads the whole chain and recomputes it; `known` is a head that was seen earlier and kept
/// elsewhere, and must still be in it.
///
/// # Errors
/// When the store cannot be read.
pub async fn verify(audit: &dyn Audit, known: Option<&AuditHead>) -> Result<Chain, StoreError> {
    let head = audit.head().await?;
    let mut end = AuditHead {
        seq: 0,
        hash: GENESIS.to_owned(),
    };
    let broken = |seq: u64, why: &str| Chain::Broken {
        seq,
        why: why.to_owned(),
    };
    // What is written meanwhile lies after the head that was read first.
    while end.seq < head.seq {
        let page = audit.after(end.seq, PAGE).await?;
        if page.is_empty() {
            return Ok(broken(end.seq + 1, "the last entries are gone"));
        }
        for entry in page.into_iter().take_while(|e| e.seq <= head.seq) {
            if let Some(why) = fault(&end, &entry, known) {
                return Ok(broken(end.seq + 1, why));
            }
            end = AuditHead {
                seq: entry.seq,
                hash: entry.hash,
            };
        }
    }
    if end != head {
        return Ok(broken(
            head.seq,
            "the last entry is not the one that was written last",
        ));
    }
    if end.seq == 0 && !audit.after(0, 1).await?.is_empty() && audit.head().await?.seq == 0 {
        return Ok(broken(1, "there are entries, and the head knows of none"));
    }
    if known.is_some_and(|known| known.seq > end.seq) {
        return Ok(broken(end.seq + 1, "the chain is shorter than it was"));
    }
    Ok(Chain::Whole(end))
}

/// What is wrong with the entry that comes after `end`.
fn fault(end: &AuditHead, entry: &AuditEntry, known: Option<&AuditHead>) -> Option<&'static str> {
    if entry.seq != end.seq + 1 {
        return Some("an entry is gone");
    }
    if entry.previous != end.hash {
        return Some("it does not follow the entry before it");
    }
    if entry.expected_hash() != entry.hash {
        return Some("its words are not those that were written");
    }
    let known = known.filter(|known| known.seq == entry.seq)?;
    (known.hash != entry.hash).then_some("it is not the entry that was seen here earlier")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuditRecord {
        AuditRecord {
            request: Uuid::from_u128(7),
            stage: AuditStage::Asked,
            who: "tok_a".to_owned(),
            rights: "operator".to_owned(),
            action: "POST /api/v1/nodes/{id}".to_owned(),
            object: "/api/v1/nodes/a:drain".to_owned(),
            detail: "{}".to_owned(),
        }
    }

    #[test]
    fn words_cannot_move_from_one_field_to_the_next() {
        let at = Timestamp::UNIX_EPOCH;
        let (mut one, mut other) = (record(), record());
        (one.who, one.rights) = ("ab".to_owned(), "c".to_owned());
        (other.who, other.rights) = ("a".to_owned(), "bc".to_owned());
        assert_ne!(chain(GENESIS, 1, at, &one), chain(GENESIS, 1, at, &other));
    }

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let head = AuditHead {
            seq: 12,
            hash: "ab".repeat(32),
        };
        assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in ["", "12", "x:00", "12:zz", &format!("12:{}", "g".repeat(64))] {
            assert!(wrong.parse::<AuditHead>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_are_bounded_and_plain() {
        let mut strange = record();
        strange.who = String::new();
        strange.object = "a\0b\n\u{FFFF}".to_owned();
        strange.detail = "é".repeat(5_000);
        let plain = strange.plain();
        assert_eq!(plain.who, "?");
        assert_eq!(plain.object, "a\u{FFFD}b\u{FFFD}\u{FFFD}");
        assert_eq!(plain.detail.chars().count(), 2_000);
        assert_eq!(plain.clone().plain(), plain);
    }
}
