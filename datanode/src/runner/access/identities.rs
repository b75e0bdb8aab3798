//! Who object stores are asked as, resolved by the node.
//!
//! In: a source without a secret of its own, or with a role. Out: credentials that end soon, for one
//! task: the process of the task has no variable, file or address from which it could get others.
//! They are kept for a while, so that the tasks of a dataset ask once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use assay_model::dataset::{Location, Source};
use assay_model::task::TaskFailure;
use assay_scan::reach::{Access, Identity, Resolve, Secret};

use crate::runner::scan_failure;

/// How long credentials of a role, which hold for an hour, are kept.
const KEPT_OF_ROLE: Duration = Duration::from_secs(300);
/// How long those of the machine are, which may hold for minutes.
const KEPT_OF_MACHINE: Duration = Duration::from_secs(60);
/// The most that are kept.
const KEPT_MAX: usize = 1000;

/// What was resolved, and for which secret.
struct Kept {
    used: Option<Secret>,
    identity: Identity,
    since: Instant,
}

/// The place of one identity: locked while it is asked for, so that tasks that start together ask
/// once, and those of others do not wait.
type Held = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// What resolves identities, and those that it has resolved.
#[derive(Clone)]
pub struct Identities {
    resolve: Resolve,
    kept: Arc<Mutex<BTreeMap<String, Held>>>,
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identities(…)")
    }
}

impl Identities {
    /// Identities that `resolve` tells.
    #[must_use]
    pub fn new(resolve: Resolve) -> Self {
        Self {
            resolve,
            kept: Arc::default(),
        }
    }

    /// Who a source is read as.
    ///
    /// # Errors
    /// When it cannot be told: permanent, unless whoever tells it does not answer.
    pub(super) async fn of(
        &self,
        source: &Source,
        access: &Access,
    ) -> Result<Identity, TaskFailure> {
        let Location::Bucket(bucket) = &source.location else {
            return Ok(Identity::Nobody);
        };
        let credential = source.credential.as_ref();
        let secret = credential.and_then(|credential| access.secret(credential));
        if secret.is_some() && bucket.role.is_none() {
            return Ok(Identity::Nobody);
        }
        let (name, time) = match &bucket.role {
            Some(role) => (
                format!("{} {role} {bucket:?}", bucket.address()),
                KEPT_OF_ROLE,
            ),
            None => (bucket.store.to_string(), KEPT_OF_MACHINE),
        };
        let held = self.held(name);
        let mut held = held.lock().await;
        if let Some(one) = held.as_ref()
            && one.since.elapsed() < time
            && one.used.as_ref() == secret
        {
            return Ok(one.identity.clone());
        }
        let resolved = (self.resolve)(source, access).await;
        let resolved = resolved.map_err(|error| scan_failure(&error))?;
        let identity = resolved.map_or(Identity::Nobody, Identity::Given);
        *held = Some(Kept {
            used: secret.cloned(),
            identity: identity.clone(),
            since: Instant::now(),
        });
        Ok(identity)
    }

    fn held(&self, name: String) -> Held {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.entry(name).or_default().clone()
    }
}
