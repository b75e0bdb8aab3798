//! Lanes: a few connections that serve one kind of caller.
//!
//! Comes in: calls of many callers. Goes out: one answer per call, after the server has confirmed its
//! statement. A lane's workers own their connections: a caller that goes away in the middle leaves a
//! call that is served or was never begun, and no connection in an unknown state. Calls of nodes that
//! wait at the same time share a statement. It must never call a lost answer a failure: a call of a
//! node is put again on a fresh connection, since a repeat is told; one of a leader is answered as
//! unknown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::access::Access;
use super::calls::{Call, Reply};
use super::{calls, errors};
use crate::definitions::Definitions;
use crate::error::StoreError;

/// Calls that may wait for a lane before callers wait to hand theirs in.
const QUEUE: usize = 1024;

/// Most calls that one worker takes at a time.
const BATCH: usize = 48;

/// How often a statement that lost a race for locks is put again.
const RACES: u32 = 4;

/// A connection that was idle for longer is asked whether it still is one.
const IDLE: Duration = Duration::from_secs(5);

/// A call, and whom to tell.
struct Job {
    call: Call,
    answer: oneshot::Sender<Result<Reply, StoreError>>,
}

/// What all workers know.
pub(super) struct Shared {
    pub(super) place: String,
    /// What connections that write are made with, but for what lets them in.
    pub(super) connect: PgConnectOptions,
    pub(super) access: Access,
    /// How long connecting may take.
    pub(super) connect_timeout: Duration,
    /// How long a statement may take before its connection is given up: longer than the server's own
    /// time-out, for a server that does not answer at all.
    pub(super) patience: Duration,
    pub(super) definitions: Definitions,
}

/// Some connections and their queue.
pub(super) struct Lane {
    /// Absent when it is closed.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    workers: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Lane {
    /// A lane of `width` connections, which are made when they are needed.
    pub(super) fn new(shared: &Arc<Shared>, width: u32) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let workers = (0..width.max(1)).map(|_| {
            let worker = Worker {
                shared: Arc::clone(shared),
                connection: None,
                used: Instant::now(),
            };
            tokio::spawn(worker.work(Arc::clone(&queue)))
        });
        Self {
            workers: Mutex::new(workers.collect()),
            jobs: Mutex::new(Some(jobs)),
        }
    }

    /// Has `call` made and waits for its answer.
    pub(super) async fn ask(&self, call: Call) -> Result<Reply, StoreError> {
        let closed = || StoreError::Unavailable("its connections are closed".into());
        let jobs = self.jobs.lock().await.clone().ok_or_else(closed)?;
        let (answer, reply) = oneshot::channel();
        jobs.send(Job { call, answer })
            .await
            .map_err(|_| closed())?;
        drop(jobs);
        match reply.await {
            Ok(reply) => reply,
            // The worker went away with the call in its hands.
            Err(_) => Err(StoreError::Unknown("its connections are closed".into())),
        }
    }
}

impl Lane {
    /// Answers what waits, then closes the connections.
    pub(super) async fn close(&self) {
        drop(self.jobs.lock().await.take());
        for worker in std::mem::take(&mut *self.workers.lock().await) {
            // A worker does not panic.
            let _ = worker.await;
        }
    }
}

/// One connection of a lane.
struct Worker {
    shared: Arc<Shared>,
    connection: Option<PgConnection>,
    used: Instant,
}

impl Worker {
    async fn work(mut self, queue: Arc<Mutex<mpsc::Receiver<Job>>>) {
        loop {
            let batch = take(&mut *queue.lock().await).await;
            if batch.is_empty() {
                break;
            }
            let (starts, rest): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .partition(|job| matches!(job.call, Call::Start(..)));
            let (measures, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|job| job.call.is_batch());
            self.serve(starts).await;
            self.serve(measures).await;
            for job in others {
                self.serve(vec![job]).await;
            }
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "a connection was not closed cleanly");
        }
    }

    /// Makes calls of one kind in one statement; each alone when they fail together.
    async fn serve(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let (list, answers): (Vec<Call>, Vec<_>) =
            jobs.into_iter().map(|job| (job.call, job.answer)).unzip();
        let replies = match self.put(&list).await {
            Ok(replies) => replies,
            Err(StoreError::Unknown(error)) => {
                let text = error.to_string();
                let doubt = || Err(StoreError::Unknown(text.clone().into()));
                list.iter().map(|_| doubt()).collect()
            }
            Err(error) if list.len() == 1 => vec![Err(error)],
            Err(_) => {
                let mut replies = Vec::with_capacity(list.len());
                for call in &list {
                    let alone = self.put(std::slice::from_ref(call)).await;
                    replies.push(alone.and_then(|mut replies| {
                        replies.pop().unwrap_or_else(|| {
                            Err(StoreError::Unknown("the server gave no answer".into()))
                        })
                    }));
                }
                replies
            }
        };
        for (answer, reply) in answers.into_iter().zip(replies) {
            // A caller that has gone away is not an error.
            let _ = answer.send(reply);
        }
    }

    /// Puts calls to the server, again after a lost race, and once more after a lost connection if a
    /// repeat does no harm.
    async fn put(&mut self, list: &[Call]) -> Result<Vec<Result<Reply, StoreError>>, StoreError> {
        let repeatable = list.iter().all(Call::is_repeatable);
        let mut lost = None;
        let mut races = 0;
        loop {
            let connection = match self.connected().await {
                Ok(connection) => connection,
                // The first try may have been committed.
                Err(error) => return Err(lost.unwrap_or(error)),
            };
            let shared = connection.1;
            let made = tokio::time::timeout(
                shared.patience,
                calls::make(connection.0, list, &shared.definitions),
            );
            let error = match made.await {
                Ok(Ok(replies)) => {
                    self.used = Instant::now();
                    return Ok(replies);
                }
                Ok(Err(calls::Stop::Store(error))) => return Err(error),
                Ok(Err(calls::Stop::Sql(error))) => {
                    if !errors::leaves_connection(&error) {
                        self.connection = None;
                    }
                    if errors::is_lost_race(&error) && races < RACES {
                        races += 1;
                        continue;
                    }
                    errors::of_write(&self.shared.place, error)
                }
                Err(_) => {
                    self.connection = None;
                    StoreError::Unknown("the server does not answer".into())
                }
            };
            match error {
                error @ StoreError::Unknown(_) if repeatable && lost.is_none() => {
                    lost = Some(error);
                }
                error => return Err(error),
            }
        }
    }

    /// The connection, a new one if there is none that works.
    async fn connected(&mut self) -> Result<(&mut PgConnection, &Shared), StoreError> {
        let shared = &*self.shared;
        if let Some(connection) = &mut self.connection
            && self.used.elapsed() > IDLE
        {
            let alive = tokio::time::timeout(shared.connect_timeout, connection.ping()).await;
            if !matches!(alive, Ok(Ok(()))) {
                self.connection = None;
            }
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => shared.connect().await?,
        };
        Ok((self.connection.insert(connection), shared))
    }
}

impl Shared {
    /// A new connection that writes.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let access = &self.access;
        access
            .connect(&self.place, &self.connect, self.connect_timeout)
            .await
    }
}

/// A new connection, within `limit`.
pub(super) async fn connect(
    place: &str,
    options: &PgConnectOptions,
    limit: Duration,
) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(limit, PgConnection::connect_with(options)).await {
        Ok(connected) => connected.map_err(|error| errors::of_connect(place, error)),
        Err(_) => Err(StoreError::Unavailable(
            format!("{place} does not answer").into(),
        )),
    }
}

/// The calls that one worker makes next: what waits, up to the first that needs a statement of its
/// own. Nothing when no call can come any more.
async fn take(queue: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut batch = Vec::new();
    let Some(first) = queue.recv().await else {
        return batch;
    };
    batch.push(first);
    while batch.len() < BATCH
        && batch.last().is_some_and(|job| job.call.is_batch())
        && let Ok(next) = queue.try_recv()
    {
        batch.push(next);
    }
    batch
}
