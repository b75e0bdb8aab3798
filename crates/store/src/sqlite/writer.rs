//! The writer: one task that owns the writing connection.
//!
//! Comes in: requests of any number of callers. Goes out: one answer per request, after the commit
//! that holds its writes. Requests that wait at the same time share a transaction (group commit).
//! It must never answer before the commit, and never keep half of a request: when a request of a
//! batch fails, the batch is rolled back and each of its requests runs alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use assay_model::change::{Answer, Change};
use assay_model::feedback::{Answered, FeedbackId, Withdrawal};
use assay_model::ids::{AttemptToken, DatasetId, Epoch, Incarnation, RunId};
use assay_model::node::Node;
use assay_model::notice::Delivery;
use assay_model::unfinished::{RunRows, TasksHeld};
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::outputs::Prepared;
use super::{Definitions, attempts, audit, changes, errors, feedback, fleet, jobs, moves, notices};
use crate::audit::{AuditEntry, AuditRecord};
use crate::error::StoreError;
use crate::news::Teller;
use crate::port::{Started, Unfinished};

/// Requests that may wait for the writer before callers wait to hand theirs in.
pub(super) const QUEUE: usize = 1024;

/// Most requests that share a transaction.
const BATCH: usize = 64;

/// A request: what to do, and whom to tell.
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) answer: oneshot::Sender<Result<Reply, StoreError>>,
}

/// What can be asked of the writer.
pub(super) enum Operation {
    MintEpoch(String),
    Load(Epoch, TasksHeld),
    LoadRun(RunId, usize),
    PutDefinition(jobs::Definition),
    Commit(Epoch, Vec<Change>),
    Register(Epoch, Node),
    Start(AttemptToken, Timestamp),
    Complete(AttemptToken, Box<Prepared>, Timestamp),
    Sent(Epoch, Vec<String>, Timestamp),
    Settle(Epoch, String),
    Claim(Epoch, notices::Claim),
    Audit(AuditRecord),
    KeepFeedback(Epoch, Box<Answered>),
    WithdrawFeedback(Epoch, DatasetId, FeedbackId, Withdrawal),
    BeginTelling(Epoch, String),
    MovesTold(Epoch, String, u64),
    NoteFleet(Epoch, String),
}

/// What the writer answers.
pub(super) enum Reply {
    Done,
    Epoch(Epoch),
    Unfinished(Box<Unfinished>),
    Run(Option<Box<RunRows>>),
    Answers(Vec<Answer>),
    Answer(Answer),
    Incarnation(Incarnation),
    Started(Option<Box<Started>>),
    Count(u64),
    Deliveries(Vec<Delivery>),
    Audited(Box<AuditEntry>),
    Answered(Option<Box<Answered>>),
}

/// Why a request could not be carried out; whatever it wrote is rolled back.
pub(super) enum Stop {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a request works with: the open transaction.
pub(super) struct Tx<'c> {
    pub(super) connection: &'c mut SqliteConnection,
    /// The epoch in force. Nobody else can mint one while the transaction is open.
    pub(super) epoch: Epoch,
    pub(super) definitions: &'c Definitions,
    /// Datasets of which partitions or verdicts were written, to be told of after the commit.
    pub(super) told: Vec<DatasetId>,
}

impl Tx<'_> {
    /// Refuses an epoch that is not the one in force.
    pub(super) fn fence(&self, epoch: Epoch) -> Result<(), Stop> {
        if epoch == self.epoch {
            Ok(())
        } else {
            Err(Stop::Store(StoreError::FencedEpoch { epoch: epoch.0 }))
        }
    }
}

/// Queries of several statements that share numbered parameters.
///
/// SQLite counts the parameters of a statement by the greatest number in it. For each number that
/// the statement leaves out, sqlx 0.9 moves on by one argument, over all statements of the text; when
/// it comes to the end of the arguments, it stops binding, and *leaves the rest NULL without a
/// word*. Arguments that nobody asks for keep it from the end.
pub(super) trait Padded {
    /// The query with enough arguments that no parameter is left out.
    fn padded(self) -> Self;
}

/// More than the numbers that all statements of one of our texts leave out; a test counts them.
pub(super) const PADDING: usize = 48;

impl Padded for sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    fn padded(mut self) -> Self {
        for _ in 0..PADDING {
            self = self.bind(None::<i64>);
        }
        self
    }
}

/// How a transaction ended that was not committed.
enum Broken {
    /// Nothing was written; each request may be tried alone.
    Before(StoreError),
    /// The commit was not confirmed.
    Doubtful(StoreError),
}

/// The owner of the writing connection.
pub(super) struct Writer {
    connection: Arc<Mutex<SqliteConnection>>,
    place: String,
    definitions: Definitions,
    full: Arc<AtomicBool>,
    teller: Teller,
}

impl Writer {
    pub(super) fn new(
        connection: Arc<Mutex<SqliteConnection>>,
        place: String,
        definitions: Definitions,
        full: Arc<AtomicBool>,
        teller: Teller,
    ) -> Self {
        Self {
            connection,
            place,
            definitions,
            full,
            teller,
        }
    }

    /// Serves requests until no more can come.
    pub(super) async fn work(self, mut requests: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        while requests.recv_many(&mut batch, BATCH).await > 0 {
            self.serve(std::mem::take(&mut batch)).await;
        }
        // A file has no other owner of the connection; closing it writes the log back.
        if let Ok(connection) = Arc::try_unwrap(self.connection)
            && let Err(error) = connection.into_inner().close().await
        {
            tracing::warn!(place = self.place, %error, "the store was not closed cleanly");
        }
    }

    async fn serve(&self, batch: Vec<Request>) {
        let mut connection = self.connection.lock().await;
        match self.transact(&mut connection, &batch).await {
            Ok(replies) => answer(batch, replies),
            Err(Broken::Before(error)) if batch.len() == 1 => answer(batch, vec![Err(error)]),
            Err(Broken::Before(_)) => {
                for request in batch {
                    let alone = vec![request];
                    let replies = match self.transact(&mut connection, &alone).await {
                        Ok(replies) => replies,
                        Err(Broken::Before(error) | Broken::Doubtful(error)) => vec![Err(error)],
                    };
                    answer(alone, replies);
                }
            }
            Err(Broken::Doubtful(error)) => {
                let text = error.to_string();
                let doubt = || Err(StoreError::Unknown(text.clone().into()));
                let replies = batch.iter().map(|_| doubt()).collect();
                answer(batch, replies);
            }
        }
    }

    /// Runs the requests of `batch` in one transaction, and remembers whether there was space.
    async fn transact(
        &self,
        connection: &mut SqliteConnection,
        batch: &[Request],
    ) -> Result<Vec<Result<Reply, StoreError>>, Broken> {
        let result = self.try_transact(connection, batch).await;
        match &result {
            Ok(_) => self.full.store(false, Ordering::Relaxed),
            Err(Broken::Before(error @ StoreError::Full { .. })) => {
                // Callers try again; people are told once, until something could be written.
                if !self.full.swap(true, Ordering::Relaxed) {
                    tracing::error!("{error}; what waits is written as soon as there is space");
                }
            }
            Err(_) => {}
        }
        result
    }

    async fn try_transact(
        &self,
        connection: &mut SqliteConnection,
        batch: &[Request],
    ) -> Result<Vec<Result<Reply, StoreError>>, Broken> {
        match self.apply_all(connection, batch).await {
            Ok((replies, told)) => match sqlx::query("COMMIT").execute(&mut *connection).await {
                Ok(_) => {
                    for dataset in told {
                        self.teller.tell(dataset);
                    }
                    Ok(replies)
                }
                Err(error) => {
                    // What may have been committed is told of: a word too many does no harm.
                    for dataset in told {
                        self.teller.tell(dataset);
                    }
                    roll_back(connection).await;
                    let error = errors::of_commit(&self.place, error);
                    Err(if error.is_certainly_not_applied() {
                        Broken::Before(error)
                    } else {
                        Broken::Doubtful(error)
                    })
                }
            },
            Err(stop) => {
                roll_back(connection).await;
                Err(Broken::Before(match stop {
                    Stop::Sql(error) => errors::of_statement(&self.place, error),
                    Stop::Store(error) => error,
                }))
            }
        }
    }

    async fn apply_all(
        &self,
        connection: &mut SqliteConnection,
        batch: &[Request],
    ) -> Result<(Vec<Result<Reply, StoreError>>, Vec<DatasetId>), Stop> {
        // One text: each costs a way to the connection's thread and back.
        let begin = "BEGIN IMMEDIATE; SELECT epoch FROM leader_epoch";
        let epoch: i64 = sqlx::query_scalar(begin)
            .fetch_one(&mut *connection)
            .await?;
        let mut tx = Tx {
            connection,
            epoch: Epoch(epoch.unsigned_abs()),
            definitions: &self.definitions,
            told: Vec::new(),
        };
        let mut replies = Vec::with_capacity(batch.len());
        for request in batch {
            // The epoch is looked at before anything is written, so a fenced request leaves the
            // others of its batch standing.
            match apply(&mut tx, &request.operation).await {
                Ok(reply) => replies.push(Ok(reply)),
                Err(Stop::Store(error @ StoreError::FencedEpoch { .. })) => {
                    replies.push(Err(error));
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok((replies, tx.told))
    }
}

/// Ends the open transaction, if there still is one, without a trace.
async fn roll_back(connection: &mut SqliteConnection) {
    // SQLite ends a transaction by itself on some errors; there is nothing to roll back then.
    if let Err(error) = sqlx::query("ROLLBACK").execute(connection).await {
        tracing::debug!(%error, "nothing to roll back");
    }
}

/// Tells each caller; one that has gone away is not an error.
fn answer(batch: Vec<Request>, replies: Vec<Result<Reply, StoreError>>) {
    for (request, reply) in batch.into_iter().zip(replies) {
        let _ = request.answer.send(reply);
    }
}

async fn apply(tx: &mut Tx<'_>, operation: &Operation) -> Result<Reply, Stop> {
    match operation {
        Operation::MintEpoch(holder) => jobs::mint(tx, holder).await.map(Reply::Epoch),
        Operation::LoadRun(run, most) => jobs::load_run(tx, *run, *most).await.map(Reply::Run),
        Operation::Load(epoch, held) => {
            tx.fence(*epoch)?;
            Ok(Reply::Unfinished(Box::new(jobs::load(tx, *held).await?)))
        }
        Operation::PutDefinition(definition) => {
            jobs::put_definition(tx, definition).await?;
            Ok(Reply::Done)
        }
        Operation::Commit(epoch, changes) => {
            tx.fence(*epoch)?;
            let mut answers = Vec::with_capacity(changes.len());
            for change in changes {
                answers.push(changes::apply(tx, change).await?);
            }
            Ok(Reply::Answers(answers))
        }
        Operation::Register(epoch, node) => {
            tx.fence(*epoch)?;
            attempts::register(tx, node).await.map(Reply::Incarnation)
        }
        Operation::Start(token, at) => attempts::start(tx, token, *at)
            .await
            .map(|started| Reply::Started(started.map(Box::new))),
        Operation::Complete(token, output, at) => attempts::complete(tx, token, output, *at)
            .await
            .map(Reply::Answer),
        Operation::Sent(epoch, keys, at) => {
            tx.fence(*epoch)?;
            jobs::sent(tx, keys, *at).await.map(Reply::Count)
        }
        Operation::Settle(epoch, rows) => {
            tx.fence(*epoch)?;
            notices::settle(tx, rows).await.map(|()| Reply::Done)
        }
        Operation::Claim(epoch, claim) => {
            tx.fence(*epoch)?;
            notices::claim(tx, *epoch, claim)
                .await
                .map(Reply::Deliveries)
        }
        Operation::Audit(record) => {
            let entry = audit::append(tx, record).await?;
            Ok(Reply::Audited(Box::new(entry)))
        }
        Operation::KeepFeedback(epoch, new) => {
            tx.fence(*epoch)?;
            let kept = feedback::keep(tx, new).await?;
            Ok(Reply::Answered(Some(Box::new(kept))))
        }
        Operation::WithdrawFeedback(epoch, dataset, id, how) => {
            tx.fence(*epoch)?;
            let found = feedback::withdraw(tx, dataset, *id, how).await?;
            Ok(Reply::Answered(found.map(Box::new)))
        }
        Operation::BeginTelling(epoch, listener) => {
            tx.fence(*epoch)?;
            moves::begin(tx, listener).await.map(Reply::Count)
        }
        Operation::MovesTold(epoch, listener, seq) => {
            tx.fence(*epoch)?;
            moves::told(tx, listener, *seq).await?;
            Ok(Reply::Done)
        }
        Operation::NoteFleet(epoch, rows) => fleet::note(tx, *epoch, rows).await,
    }
}
