//! Copies of partitions in our own storage: where it is, and what an evaluation does with it.
//!
//! In: tasks of datasets whose definition says `mode: ingest`. Out: what lets a measurement write to
//! storage; and before a partition is judged, its publication, so that readers never see a version
//! whose verdict nobody is about to know. It must never publish what was not measured whole, and
//! never leave a partition without a verdict because its copy cannot be shown.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use assay_model::partition::PartitionKey;
use assay_model::task::{AttemptOutcome, EvaluateSpec, TaskFailure};
use assay_scan::reach::{Access, MakeReach};
use assay_scan::storage::{Publication, StorageAt, is_ingested};
use assay_scan::{ErrorClass, ScanContext, ScanError};
use async_trait::async_trait;

use super::access::KeyError;
use super::{TaskJob, compute, failure, scan_failure};

/// The port to what logs in to storage: its password may hold for a while only.
#[async_trait]
pub trait StorageLogin: fmt::Debug + Send + Sync {
    /// Where storage is, with what lets a connection in at this moment.
    ///
    /// # Errors
    /// See [`KeyError`].
    async fn at(&self) -> Result<StorageAt, KeyError>;
}

#[async_trait]
impl StorageLogin for StorageAt {
    async fn at(&self) -> Result<StorageAt, KeyError> {
        Ok(self.clone())
    }
}

/// Our own storage, as the tasks of a node use it.
#[derive(Debug, Clone)]
pub struct Copies {
    login: Arc<dyn StorageLogin>,
    make: MakeReach,
    owner: String,
}

impl Copies {
    /// Storage that is logged in to by `login`; `make` makes the way there. `owner` names the store
    /// that this node works for: what another one stores there is never replaced.
    #[must_use]
    pub fn new(login: Arc<dyn StorageLogin>, make: MakeReach, owner: impl Into<String>) -> Self {
        Self {
            login,
            make,
            owner: owner.into(),
        }
    }

    async fn at(&self) -> Result<StorageAt, TaskFailure> {
        let at = self.login.at().await.map(|at| StorageAt {
            owner: self.owner.clone(),
            ..at
        });
        at.map_err(|error| {
            let outcome = match error {
                KeyError::NotToBeHad(_) => AttemptOutcome::Permanent,
                KeyError::Away(_) => AttemptOutcome::DependencyDown,
            };
            failure(outcome, format!("storage: cannot log in: {error}"))
        })
    }

    async fn context(&self, stop: &Arc<AtomicBool>) -> Result<ScanContext, TaskFailure> {
        let access = Access {
            storage: Some(self.at().await?),
            // Nothing is read but storage.
            allowed: Some(Vec::new()),
            ..Access::default()
        };
        Ok(ScanContext {
            reach: Some((self.make)(access)),
            cancelled: Arc::clone(stop),
            ..ScanContext::default()
        })
    }
}

/// The refusal of a dataset that is ingested, where there is no storage.
fn without_storage(job: &TaskJob) -> TaskFailure {
    failure(
        AttemptOutcome::Permanent,
        format!(
            "{}: it says `mode: ingest`, and there is no Postgres to store copies in; set \
             `[ingest] url` (ASSAY_INGEST_URL on a data node, ASSAY_INGEST__URL of `assay`), or \
             write `mode: in-place` under assayStorage",
            job.dataset.id
        ),
    )
}

/// Refuses a task of a dataset that is ingested, where there is no storage.
pub(super) fn known(copies: Option<&Copies>, job: &TaskJob) -> Result<(), TaskFailure> {
    match is_ingested(&job.dataset) && copies.is_none() {
        true => Err(without_storage(job)),
        false => Ok(()),
    }
}

/// What a measurement may reach, with storage if it writes there.
pub(super) async fn with_storage(
    copies: Option<&Copies>,
    job: &TaskJob,
    access: Option<Access>,
) -> Result<Option<Access>, TaskFailure> {
    if !is_ingested(&job.dataset) {
        return Ok(access);
    }
    let Some(copies) = copies else {
        return Err(without_storage(job));
    };
    let files_only = || Access {
        allowed: Some(Vec::new()),
        ..Access::default()
    };
    let mut access = access.unwrap_or_else(files_only);
    access.storage = Some(copies.at().await?);
    Ok(Some(access))
}

/// Why a copy cannot be shown, or be taken away, however often it is tried.
pub(super) type Refused = String;

/// What storage came to: what another attempt cannot mend is no failure of the task but a part of
/// its verdict.
fn settled<T>(done: Result<T, ScanError>) -> Result<Result<T, Refused>, TaskFailure> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(error) if error.is_cancelled() => Err(scan_failure(&error)),
        Err(error) => match error.class() {
            ErrorClass::Permanent | ErrorClass::Changed => Ok(Err(error.to_string())),
            ErrorClass::Retryable | ErrorClass::Away => Err(scan_failure(&error)),
        },
    }
}

/// Shows a version that was measured whole to readers. `gone`: the dataset's partitions that are.
pub(super) async fn publish(
    copies: Option<&Copies>,
    job: &TaskJob,
    spec: &EvaluateSpec,
    gone: Vec<PartitionKey>,
    stop: &Arc<AtomicBool>,
) -> Result<Result<(), Refused>, TaskFailure> {
    if !is_ingested(&job.dataset) || spec.copies.is_empty() {
        return Ok(Ok(()));
    }
    let Some(copies) = copies else {
        return Ok(Err(without_storage(job).message));
    };
    let context = match copies.context(stop).await {
        Err(failed) if failed.outcome == AttemptOutcome::Permanent => {
            return Ok(Err(failed.message));
        }
        context => context?,
    };
    let publication = Publication {
        dataset: job.dataset.id.clone(),
        partition: spec.partition.clone(),
        version: spec.version.clone(),
        cuts: spec.copies.clone(),
        retention_days: job.dataset.storage.retention_days,
        gone,
        now: job.now,
    };
    let published = compute(move || {
        let reach = context.reach("storage")?;
        reach.storage()?.publish(&publication, &context)
    });
    let published = match settled(published.await?)? {
        Ok(published) => published,
        Err(refused) => return Ok(Err(refused)),
    };
    tracing::info!(
        partition = %spec.partition.key,
        rows = published.rows,
        tables = published.tables,
        too_old = published.too_old,
        dropped = published.dropped,
        "the stored copy is published"
    );
    Ok(Ok(()))
}

/// Drops the copy of a partition that was taken away.
pub(super) async fn remove(
    copies: Option<&Copies>,
    job: &TaskJob,
    spec: &EvaluateSpec,
    stop: &Arc<AtomicBool>,
) -> Result<Result<(), Refused>, TaskFailure> {
    if !is_ingested(&job.dataset) {
        return Ok(Ok(()));
    }
    let Some(copies) = copies else {
        return Ok(Err(without_storage(job).message));
    };
    let context = match copies.context(stop).await {
        Err(failed) if failed.outcome == AttemptOutcome::Permanent => {
            return Ok(Err(failed.message));
        }
        context => context?,
    };
    let (dataset, key) = (job.dataset.id.clone(), spec.partition.key.clone());
    let now = job.now;
    let removed = compute(move || {
        let reach = context.reach("storage")?;
        reach.storage()?.remove(&dataset, &key, now, &context)
    });
    settled(removed.await?)
}
