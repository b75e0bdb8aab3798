//! Definitions and the agenda in DynamoDB.
//!
//! ```text
//! <table>            id ─ document (zstd), digest, revision, owner, …      one item a dataset
//!                    due_shard, due_at ─ index `due`, of what is ever due  (sparse, keys only)
//!                    #owner/<name> ─ allow: where this owner's data may come from
//! <table>-versions   id, revision ─ every document that was ever put
//! ```
//!
//! Comes in: documents, and what ticks have made of them. Goes out: definitions, and the entries whose
//! time has come, by reading what is due and not the table. Every change is conditional, so that none
//! is lost; an answer that is lost is asked for again. It must never take an item that somebody edited
//! into nonsense for a definition, panic on it, or let it hide the others.

mod batch;
mod definitions;
mod due;
mod fields;
mod history;
mod item;
mod mark;
mod schema;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use assay_aws::{SdkConfig, trouble};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::ConsumedCapacity;

use crate::port::{Clock, RegistryError};

pub use crate::port::Revision;
/// The SDK whose configuration a registry is opened with, for programs that look at its items.
pub use aws_sdk_dynamodb as sdk;
pub use schema::create_tables;

/// Parts of the index of what is due, so that no single one takes all writes of a busy minute.
pub const SHARDS: u64 = 8;

/// Bytes of the largest item that is kept; DynamoDB refuses more than 409,600.
pub const ITEM_BYTES_MAX: usize = 380 * 1024;

/// Which table, and whose changes these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The table of definitions; `<table>-versions` holds the earlier ones.
    pub table: String,
    /// Who makes changes, as the table is to remember it.
    pub by: Option<String>,
}

/// A registry, and its agenda, in DynamoDB.
#[derive(Clone)]
pub struct DynamoRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    table: String,
    region: String,
    by: Option<String>,
    clock: Clock,
    used: Used,
}

/// What was used so far, in thousandths of a capacity unit.
#[derive(Default)]
struct Used {
    requests: AtomicU64,
    items: AtomicU64,
    milli_units: AtomicU64,
}

/// What a registry has cost since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Calls of DynamoDB that read.
    pub requests: u64,
    /// Items that were read.
    pub items: u64,
    /// Read capacity units, as DynamoDB counts them.
    pub read_units: f64,
}

impl DynamoRegistry {
    /// A registry in the table of `place`, with the identity and the region of `config`
    /// ([`assay_aws::config`]). Nothing is asked until something is needed.
    #[must_use]
    pub fn open(config: &SdkConfig, place: Place, clock: Clock) -> Self {
        let region = config.region().map(ToString::to_string);
        Self {
            inner: Arc::new(Inner {
                client: Client::new(config),
                table: place.table,
                region: region.unwrap_or_default(),
                by: place.by,
                clock,
                used: Used::default(),
            }),
        }
    }

    /// What has been read so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.inner.used.usage()
    }

    /// Where definitions are kept, for people.
    #[must_use]
    pub fn place(&self) -> String {
        self.inner.place()
    }
}

impl Used {
    fn usage(&self) -> Usage {
        let milli = self.milli_units.load(Ordering::Relaxed);
        Usage {
            requests: self.requests.load(Ordering::Relaxed),
            items: self.items.load(Ordering::Relaxed),
            read_units: std::time::Duration::from_millis(milli).as_secs_f64(),
        }
    }

    /// Counts one call that has read `items`.
    fn count<'a>(&self, items: usize, capacity: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        let units: f64 = capacity
            .into_iter()
            .filter_map(ConsumedCapacity::capacity_units)
            .sum();
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
        let milli = Duration::try_from_secs_f64(units).unwrap_or_default();
        let milli = u64::try_from(milli.as_millis()).unwrap_or(u64::MAX);
        self.milli_units.fetch_add(milli, Ordering::Relaxed);
    }
}

impl Inner {
    fn place(&self) -> String {
        format!("the table {} in {}", self.table, self.region)
    }

    fn versions(&self) -> String {
        format!("{}-versions", self.table)
    }

    /// Where an item is kept.
    fn origin(&self, key: &str) -> String {
        format!("dynamodb://{}/{key}", self.table)
    }

    /// The error of a call that failed.
    fn failed<E>(&self, error: &SdkError<E, HttpResponse>, does: Does) -> RegistryError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.failed_at(&self.table, error, does)
    }

    /// The same of a call that was about one of the tables alone.
    fn failed_at<E>(
        &self,
        table: &str,
        error: &SdkError<E, HttpResponse>,
        does: Does,
    ) -> RegistryError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let trouble = trouble(error);
        RegistryError::Unavailable {
            place: format!("the table {table} in {}", self.region),
            remedy: trouble.remedy(&format!("the table {table}")),
            passing: trouble.is_passing(),
            unchanged: does == Does::Read || trouble.nothing_happened(),
            reason: trouble.to_string(),
        }
    }

    /// The error of what stayed throttled however often it was tried.
    fn throttled(&self, what: &str) -> RegistryError {
        RegistryError::Unavailable {
            place: self.place(),
            reason: format!("{what} was throttled however often it was tried"),
            remedy: "try later; if it stays so, look at the table's limits".to_owned(),
            passing: true,
            unchanged: true,
        }
    }
}

/// Whether a call may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Read,
    Write,
}

/// A text that nobody else draws.
fn token() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The pause before the attempt `no` (from 1): doubles from 25 ms to a second, and is drawn between
/// half of that and all of it, so that those who collided do not meet again.
async fn pause(no: u32) {
    let most = 25_u64.saturating_mul(1 << no.min(6)).min(1000);
    let drawn = uuid::Uuid::new_v4().as_u128() % u128::from(most / 2 + 1);
    let millis = most / 2 + u64::try_from(drawn).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
