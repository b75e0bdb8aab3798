//! The members of the etcd cluster, and the one way to call them.
//!
//! Comes in: a call that may be repeated, because it is idempotent or guarded. Goes out: its answer
//! from the first member that gives one before the deadline. It must never repeat what a member
//! has refused for good, nor stay with a member that does not answer.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{
    Client, ConnectOptions, Error, GetOptions, KeyValue, LeaseGrantOptions, Txn, WatchOptions,
    WatchStream,
};
use tokio::time::{Instant, sleep, timeout};

use super::options::EtcdOptions;
use super::renewal::{Doors, Renewal};
use crate::port::CoordinationError;

/// etcd refuses pings that come faster than every 5 s.
const PING: Duration = Duration::from_secs(6);
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two rounds over all members.
const PAUSE: Duration = Duration::from_millis(100);
/// gRPC's codes, by their numbers.
mod code {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const FAILED_PRECONDITION: i32 = 9;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// Whether etcd says that what was named does not exist (a lease, as a rule).
pub(super) fn is_not_found(error: &Error) -> bool {
    has_code(error, code::NOT_FOUND)
}

fn has_code(error: &Error, code: i32) -> bool {
    matches!(error, Error::GRpcStatus(status) if i32::from(status.code()) == code)
}

/// Whether the same call, repeated, would be refused again.
fn is_final(error: &Error) -> bool {
    match error {
        Error::GRpcStatus(status) => [
            code::INVALID_ARGUMENT,
            code::NOT_FOUND,
            code::PERMISSION_DENIED,
            code::FAILED_PRECONDITION,
            code::OUT_OF_RANGE,
            code::UNIMPLEMENTED,
            code::UNAUTHENTICATED,
        ]
        .contains(&i32::from(status.code())),
        Error::InvalidArgs(_) | Error::InvalidUri(_) => true,
        _ => false,
    }
}

/// Says the causes too: a transport error by itself says nothing.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = match error.downcast_ref::<Error>() {
        Some(Error::GRpcStatus(status)) => std::error::Error::source(status),
        _ => error.source(),
    };
    while let Some(present) = cause {
        let more = present.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = present.source();
    }
    text
}

/// One client per member, so that a call goes to a member of our choice.
pub(super) struct Members {
    doors: Renewal,
    preferred: AtomicUsize,
    request_timeout: Duration,
    call_deadline: Duration,
}

impl Members {
    pub(super) async fn open(options: &EtcdOptions) -> Result<Self, CoordinationError> {
        let connect = ConnectOptions::new()
            .with_connect_timeout(options.dial_timeout)
            .with_keep_alive(PING, PING_TIMEOUT)
            .with_keep_alive_while_idle(false)
            .with_require_leader(true);
        if options.endpoints.is_empty() {
            let none = "no endpoint of etcd is configured".to_owned();
            return Err(CoordinationError::Refused(none));
        }
        let doors = Doors {
            endpoints: options.endpoints.clone(),
            connect,
            tls: options.tls.clone(),
        };
        Ok(Self {
            doors: Renewal::open(doors).await?,
            preferred: AtomicUsize::new(0),
            request_timeout: options.request_timeout,
            call_deadline: options.call_deadline,
        })
    }

    /// Calls members in turn, beginning with the one that answered last, until one answers, one
    /// refuses for good, or the deadline has passed. The inner error is a refusal.
    pub(super) async fn try_call<T, F>(
        &self,
        call: impl Fn(Client) -> F,
    ) -> Result<Result<T, Error>, CoordinationError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let until = Instant::now() + self.call_deadline;
        let mut failures = 0_usize;
        loop {
            let present = self.preferred.load(Ordering::Relaxed);
            let clients = self.doors.clients().await;
            let client = clients[present % clients.len()].clone();
            let why = match timeout(self.request_timeout, call(client)).await {
                Ok(Ok(answer)) => return Ok(Ok(answer)),
                Ok(Err(error)) if is_final(&error) => return Ok(Err(error)),
                Ok(Err(error)) => told(&error),
                Err(_) => format!("no answer within {:?}", self.request_timeout),
            };
            self.leave(present);
            failures += 1;
            if Instant::now() >= until {
                return Err(CoordinationError::Unavailable(why));
            }
            if failures.is_multiple_of(clients.len()) {
                sleep(PAUSE).await;
            }
        }
    }

    /// As [`Members::try_call`]; a refusal is an error like any other.
    pub(super) async fn call<T, F>(
        &self,
        call: impl Fn(Client) -> F,
    ) -> Result<T, CoordinationError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let answer = self.try_call(call).await?;
        answer.map_err(|error| CoordinationError::Refused(told(&error)))
    }

    /// Prefers another member from here on, unless somebody else has already turned away.
    fn leave(&self, member: usize) {
        let next = member.wrapping_add(1);
        let (relaxed, preferred) = (Ordering::Relaxed, &self.preferred);
        let _ = preferred.compare_exchange(member, next, relaxed, relaxed);
    }

    /// Turns away from the present member: a stream to it has broken.
    pub(super) fn turn(&self) {
        self.leave(self.preferred.load(Ordering::Relaxed));
    }

    /// One key, by a linearisable read.
    pub(super) async fn get(&self, key: &str) -> Result<Option<KeyValue>, CoordinationError> {
        let mut answer = self
            .call(|mut client| async move { client.get(key, None).await })
            .await?;
        Ok(answer.take_kvs().pop())
    }

    /// Every key under a prefix, by a linearisable read, with the revision that it is of.
    pub(super) async fn list(
        &self,
        prefix: &str,
    ) -> Result<(Vec<KeyValue>, i64), CoordinationError> {
        let options = GetOptions::new().with_prefix();
        let mut answer = self
            .call(|mut client| {
                let options = options.clone();
                async move { client.get(prefix, Some(options)).await }
            })
            .await?;
        let revision = answer
            .header()
            .map_or(0, etcd_client::ResponseHeader::revision);
        Ok((answer.take_kvs(), revision))
    }

    /// Writes a key that belongs to no lease.
    pub(super) async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), CoordinationError> {
        self.call(|mut client| {
            let value = value.clone();
            async move { client.put(key, value, None).await.map(drop) }
        })
        .await
    }

    /// A guarded write. The inner error is a refusal.
    pub(super) async fn txn(&self, txn: &Txn) -> Result<Result<bool, Error>, CoordinationError> {
        self.try_call(|mut client| {
            let txn = txn.clone();
            async move { client.txn(txn).await.map(|answer| answer.succeeded()) }
        })
        .await
    }

    /// Watches every key under a prefix from `revision` on.
    pub(super) async fn watch(
        &self,
        prefix: &str,
        revision: i64,
    ) -> Result<WatchStream, CoordinationError> {
        let options = WatchOptions::new().with_prefix();
        let options = options.with_start_revision(revision);
        self.call(|mut client| {
            let options = options.clone();
            async move { client.watch(prefix, Some(options)).await }
        })
        .await
    }

    /// Watches one key from the present on.
    pub(super) async fn watch_one(&self, key: &str) -> Result<WatchStream, CoordinationError> {
        self.call(|mut client| async move { client.watch(key, None).await })
            .await
    }

    /// Grants a lease under an id of our choice, so that a repeat grants no second one.
    pub(super) async fn grant(&self, id: i64, seconds: i64) -> Result<(), CoordinationError> {
        self.call(|mut client| async move {
            let options = LeaseGrantOptions::new().with_id(id);
            match client.lease_grant(seconds, Some(options)).await {
                // An earlier attempt was carried out and its answer lost.
                Err(error) if has_code(&error, code::FAILED_PRECONDITION) => Ok(()),
                granted => granted.map(drop),
            }
        })
        .await
    }

    /// Keeps a lease alive; says when the acknowledged request was sent, or `None` when etcd says
    /// that there is no such lease.
    pub(super) async fn keep_alive(&self, id: i64) -> Result<Option<Instant>, CoordinationError> {
        self.call(|mut client| async move {
            let sent_at = Instant::now();
            match client.lease_keep_alive(id).await {
                Ok(_) => Ok(Some(sent_at)),
                Err(Error::LeaseKeepAliveError(_)) => Ok(None),
                Err(error) if is_not_found(&error) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Ends a lease at once; one that is gone is no error.
    pub(super) async fn revoke(&self, id: i64) -> Result<(), CoordinationError> {
        self.call(|mut client| async move {
            match client.lease_revoke(id).await {
                Err(error) if is_not_found(&error) => Ok(()),
                revoked => revoked.map(drop),
            }
        })
        .await
    }
}
