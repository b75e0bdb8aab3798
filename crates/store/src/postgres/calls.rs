//! The calls of the protocol's writes, each one statement.
//!
//! Comes in: calls, and a connection. Goes out: an answer for each. It must never leave a transaction
//! open: every statement commits by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::change::Answer;
use assay_model::dataset::Dataset;
use assay_model::feedback::{Answered, FeedbackId, Withdrawal};
use assay_model::ids::{AttemptToken, DatasetId, Epoch, Incarnation};
use assay_model::node::Node;
use assay_model::notice::Delivery;
use jiff::Timestamp;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::changes::Commit;
use super::outputs::Prepared;
use super::rows::{Cells, spelt};
use super::{audit, errors, feedback, fleet, moves, notices, sql};
use crate::audit::{AuditEntry, AuditRecord};
use crate::definitions::Definitions;
use crate::error::StoreError;
use crate::port::Started;
use crate::values::{corrupt, int, micros};

/// Partitions of a measurement that still shares its statement with others.
const FEW_PARTS: usize = 16;

/// A definition that is ready to be written.
pub(super) struct Definition {
    pub(super) digest: String,
    pub(super) dataset_id: String,
    pub(super) version: String,
    pub(super) tenant: Option<String>,
    pub(super) body: String,
    pub(super) dataset: Arc<Dataset>,
}

/// What can be asked of a lane.
pub(super) enum Call {
    MintEpoch(String),
    PutDefinition(Definition),
    Commit(Epoch, Commit),
    Register(Epoch, Node),
    Sent(Epoch, Vec<String>, Timestamp),
    /// What people are told, as rows.
    Settle(Epoch, String),
    /// From, until (microseconds), how many.
    Claim(Epoch, i64, i64, u32),
    KeepFeedback(Epoch, Box<Answered>),
    WithdrawFeedback(Epoch, DatasetId, FeedbackId, Withdrawal),
    BeginTelling(Epoch, String),
    MovesTold(Epoch, String, u64),
    /// The number of its first task, and the page.
    KeepPlanPage(AttemptToken, u32, String),
    /// How the fleet is, as rows.
    NoteFleet(Epoch, String),
    Start(AttemptToken, Timestamp),
    Complete(AttemptToken, Prepared, Timestamp),
    Audit(Box<AuditRecord>),
}

impl Call {
    /// Whether it may share a statement with others of its kind.
    pub(super) fn is_batch(&self) -> bool {
        match self {
            Self::Start(..) => true,
            Self::Complete(_, Prepared::Measured(parts), _) => parts.len() <= FEW_PARTS,
            _ => false,
        }
    }

    /// Whether a repeat changes nothing, and says so.
    pub(super) const fn is_repeatable(&self) -> bool {
        matches!(
            self,
            Self::Start(..)
                | Self::KeepPlanPage(..)
                | Self::Complete(..)
                | Self::PutDefinition(_)
                | Self::Sent(..)
                | Self::Audit(_)
                | Self::KeepFeedback(..)
                | Self::WithdrawFeedback(..)
                | Self::BeginTelling(..)
                | Self::MovesTold(..)
                | Self::NoteFleet(..)
        )
    }
}

/// What a call answers.
pub(super) enum Reply {
    Done,
    Epoch(Epoch),
    Answers(Vec<Answer>),
    Answer(Answer),
    Incarnation(Incarnation),
    Started(Option<Box<Started>>),
    Count(u64),
    Deliveries(Vec<Delivery>),
    Audited(Box<AuditEntry>),
    Answered(Option<Box<Answered>>),
}

/// Why nothing was answered.
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

type Replies = Vec<Result<Reply, StoreError>>;

/// Makes calls: several starts, several completions of measurements, or one of another kind.
pub(super) async fn make(
    connection: &mut PgConnection,
    list: &[Call],
    definitions: &Definitions,
) -> Result<Replies, Stop> {
    match list {
        [Call::Start(..), ..] => start(connection, list, definitions).await,
        [Call::Complete(_, Prepared::Measured(_), _), ..] => measured(connection, list).await,
        [call @ (Call::KeepFeedback(..) | Call::WithdrawFeedback(..))] => {
            let reply = feedback::make(connection, call).await?;
            Ok(vec![reply])
        }
        [call @ (Call::BeginTelling(..) | Call::MovesTold(..))] => {
            let reply = moves::make(connection, call).await?;
            Ok(vec![reply])
        }
        [one] => {
            let reply = alone(connection, one, definitions).await?;
            Ok(vec![reply])
        }
        _ => Err(Stop::Store(StoreError::Refused {
            what: "call",
            detail: "calls of different kinds at once".to_owned(),
        })),
    }
}

/// A refused epoch, named; all else as it is.
pub(super) fn fenced(epoch: Epoch) -> impl Fn(sqlx::Error) -> Stop {
    move |error| match error.as_database_error().and_then(|e| e.code()) {
        Some(code) if code == errors::FENCED_EPOCH => {
            Stop::Store(StoreError::FencedEpoch { epoch: epoch.0 })
        }
        _ => Stop::Sql(error),
    }
}

async fn alone(
    connection: &mut PgConnection,
    call: &Call,
    definitions: &Definitions,
) -> Result<Result<Reply, StoreError>, Stop> {
    Ok(Ok(match call {
        Call::MintEpoch(holder) => {
            let epoch: i64 = sqlx::query_scalar("SELECT mint_epoch($1)")
                .bind(spelt(holder).into_owned())
                .fetch_one(connection)
                .await?;
            Reply::Epoch(Epoch(epoch.unsigned_abs()))
        }
        Call::PutDefinition(new) => {
            put_definition(connection, new).await?;
            definitions.put(&new.digest, Arc::clone(&new.dataset));
            Reply::Done
        }
        Call::Commit(epoch, commit) => {
            let answers: Vec<String> =
                sqlx::query_scalar("SELECT commit_changes($1, $2::text::jsonb, $3, $4)")
                    .bind(int(epoch.0))
                    .bind(&commit.changes)
                    .bind(&commit.runs)
                    .bind(&commit.nos)
                    .fetch_one(connection)
                    .await
                    .map_err(fenced(*epoch))?;
            let answers: Result<Vec<Answer>, _> = answers.iter().map(|a| a.parse()).collect();
            Reply::Answers(answers.map_err(|e| corrupt("answer", e))?)
        }
        Call::Register(epoch, node) => {
            let registered = register(connection, *epoch, node).await;
            Reply::Incarnation(registered.map_err(fenced(*epoch))?)
        }
        Call::Sent(epoch, keys, at) => {
            let marked = mark_sent(connection, *epoch, keys, *at).await;
            Reply::Count(marked.map_err(fenced(*epoch))?)
        }
        Call::Settle(epoch, rows) => {
            let settled = notices::settle(connection, *epoch, rows).await;
            settled.map(|()| Reply::Done).map_err(fenced(*epoch))?
        }
        Call::NoteFleet(epoch, rows) => {
            let noted = fleet::note(connection, *epoch, rows).await;
            noted.map(|()| Reply::Done).map_err(fenced(*epoch))?
        }
        Call::Claim(epoch, at, until, limit) => {
            let claimed = notices::claim(connection, *epoch, (*at, *until), *limit).await;
            Reply::Deliveries(notices::deliveries(&claimed.map_err(fenced(*epoch))?)?)
        }
        Call::Audit(record) => Reply::Audited(Box::new(audit::append(connection, record).await?)),
        Call::KeepPlanPage(token, first, body) => {
            keep_plan_page(connection, token, *first, body).await?;
            Reply::Done
        }
        Call::Complete(token, output, at) => {
            let answer = complete(connection, token, output, *at).await?;
            return Ok(answered(token, output, &answer));
        }
        Call::Start(..)
        | Call::KeepFeedback(..)
        | Call::WithdrawFeedback(..)
        | Call::BeginTelling(..)
        | Call::MovesTold(..) => {
            return Err(Stop::Store(StoreError::Refused {
                what: "call",
                detail: "it is not made alone".to_owned(),
            }));
        }
    }))
}

async fn mark_sent(
    connection: &mut PgConnection,
    epoch: Epoch,
    keys: &[String],
    at: Timestamp,
) -> Result<u64, sqlx::Error> {
    let keys: Vec<String> = keys.iter().map(|key| spelt(key).into_owned()).collect();
    let count: i64 = sqlx::query_scalar("SELECT mark_sent($1, $2, $3)")
        .bind(int(epoch.0))
        .bind(keys)
        .bind(micros(at))
        .fetch_one(connection)
        .await?;
    Ok(count.unsigned_abs())
}

async fn register(
    connection: &mut PgConnection,
    epoch: Epoch,
    node: &Node,
) -> Result<Incarnation, sqlx::Error> {
    let incarnation: i64 = sqlx::query_scalar("SELECT register_node($1, $2, $3, $4, $5)")
        .bind(int(epoch.0))
        .bind(spelt(node.id.as_str()).into_owned())
        .bind(i64::from(node.slots))
        .bind(int(node.memory_bytes))
        .bind(spelt(&node.zone).into_owned())
        .fetch_one(connection)
        .await?;
    Ok(Incarnation(incarnation.unsigned_abs()))
}

async fn put_definition(connection: &mut PgConnection, new: &Definition) -> Result<(), Stop> {
    sqlx::query("SELECT put_definition($1, $2, $3, $4, $5::text::json)")
        .bind(&new.digest)
        .bind(&new.dataset_id)
        .bind(spelt(&new.version).into_owned())
        .bind(new.tenant.as_deref().map(|t| spelt(t).into_owned()))
        .bind(&new.body)
        .execute(connection)
        .await?;
    Ok(())
}

/// What an answer of the database to a completion means.
fn answered(token: &AttemptToken, output: &Prepared, answer: &str) -> Result<Reply, StoreError> {
    if answer.starts_with("is to ") {
        return Err(StoreError::Refused {
            what: "result",
            detail: format!("{} {answer}, not to {}", token.task, output.kind()),
        });
    }
    let answer: Answer = answer.parse().map_err(|e| corrupt("answer", e))?;
    Ok(Reply::Answer(answer))
}

/// Keeps a page of a plan. That its attempt is fenced is told when it is completed.
async fn keep_plan_page(
    connection: &mut PgConnection,
    token: &AttemptToken,
    first: u32,
    body: &str,
) -> Result<(), Stop> {
    sqlx::query("SELECT keep_plan_page($1, $2, $3, $4, $5, $6::text::json)")
        .bind(token.task.run.0)
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(token.nonce)
        .bind(i64::from(first))
        .bind(body)
        .execute(connection)
        .await?;
    Ok(())
}

/// The completion of a discovery or an evaluation.
async fn complete(
    connection: &mut PgConnection,
    token: &AttemptToken,
    output: &Prepared,
    at: Timestamp,
) -> Result<String, Stop> {
    let query = match output {
        Prepared::Discovered { .. } => {
            "SELECT complete_discovery($1, $2, $3, $4, $5, $6::text::json, $7::text::jsonb)"
        }
        _ => "SELECT complete_evaluation($1, $2, $3, $4, $5, $6::text::jsonb)",
    };
    let query = sqlx::query_scalar(query)
        .bind(token.task.run.0)
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(token.nonce)
        .bind(micros(at));
    let query = match output {
        Prepared::Discovered { plan, sightings } => query.bind(plan).bind(sightings),
        Prepared::Evaluated(whole) => query.bind(whole),
        Prepared::Measured(_) => query,
    };
    Ok(query.fetch_one(connection).await?)
}

/// The tokens of calls, as arrays.
#[derive(Default)]
struct Tokens {
    runs: Vec<Uuid>,
    nos: Vec<i64>,
    attempts: Vec<i64>,
    nonces: Vec<Uuid>,
    ats: Vec<i64>,
}

impl Tokens {
    fn push(&mut self, token: &AttemptToken, at: Timestamp) {
        self.runs.push(token.task.run.0);
        self.nos.push(i64::from(token.task.no));
        self.attempts.push(i64::from(token.attempt));
        self.nonces.push(token.nonce);
        self.ats.push(micros(at));
    }
}

/// Assigned → running, for many attempts.
async fn start(
    connection: &mut PgConnection,
    list: &[Call],
    definitions: &Definitions,
) -> Result<Replies, Stop> {
    let mut tokens = Tokens::default();
    for call in list {
        if let Call::Start(token, at) = call {
            tokens.push(token, *at);
        }
    }
    let rows = sqlx::query(
        "SELECT v.*, clock_timestamp() AS present FROM start_attempts($1, $2, $3, $4, $5) v",
    )
    .bind(&tokens.runs)
    .bind(&tokens.nos)
    .bind(&tokens.attempts)
    .bind(&tokens.nonces)
    .bind(&tokens.ats)
    .fetch_all(&mut *connection)
    .await?;
    let mut begun = BTreeMap::new();
    for row in &rows {
        let cells = Cells { row, what: "task" };
        let (run, task, at) = (cells.run()?, cells.task()?, cells.time("present")?);
        let twin = task.twin.as_ref().map(|twin| twin.nonce);
        for nonce in task.nonce.into_iter().chain(twin) {
            let key = (task.id, task.attempt, nonce);
            begun.insert(key, (run.clone(), task.clone(), at));
        }
    }
    let needed = begun.values().map(|(run, ..)| run.definition.as_str());
    read_definitions(connection, needed, definitions).await?;
    let replies = list.iter().map(|call| {
        let Call::Start(token, _) = call else {
            return Ok(Reply::Started(None));
        };
        let found = begun.get(&(token.task, token.attempt, token.nonce));
        let Some((run, task, at)) = found.cloned() else {
            return Ok(Reply::Started(None));
        };
        let dataset = definitions
            .get(&run.definition)
            .ok_or_else(|| corrupt("definition", format!("{} is not there", run.definition)))?;
        Ok(Reply::Started(Some(Box::new(Started {
            run,
            task,
            dataset,
            at,
        }))))
    });
    Ok(replies.collect())
}

/// Reads the definitions that are not known yet.
async fn read_definitions(
    connection: &mut PgConnection,
    digests: impl Iterator<Item = &str>,
    definitions: &Definitions,
) -> Result<(), Stop> {
    let mut unknown: Vec<String> = digests
        .filter(|digest| definitions.get(digest).is_none())
        .map(str::to_owned)
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(sql::DEFINITIONS_BY_DIGEST)
        .bind(unknown)
        .fetch_all(connection)
        .await?;
    for row in rows {
        let (digest, text): (String, String) = (row.try_get("digest")?, row.try_get("body")?);
        let dataset: Dataset = serde_json::from_str(&text).map_err(|e| corrupt("definition", e))?;
        definitions.put(&digest, Arc::new(dataset));
    }
    Ok(())
}

/// Assigned or running → succeeded, for many measurements.
async fn measured(connection: &mut PgConnection, list: &[Call]) -> Result<Replies, Stop> {
    let mut tokens = Tokens::default();
    let mut items: Vec<i64> = Vec::new();
    let mut partitions: Vec<String> = Vec::new();
    let mut rows: Vec<i64> = Vec::new();
    let mut payloads: Vec<&[u8]> = Vec::new();
    for (item, call) in (1_i64..).zip(list) {
        let Call::Complete(token, Prepared::Measured(parts), at) = call else {
            continue;
        };
        tokens.push(token, *at);
        for part in parts {
            items.push(item);
            partitions.push(spelt(part.partition.as_str()).into_owned());
            rows.push(int(part.rows));
            payloads.push(&part.state);
        }
    }
    let answers: Vec<String> =
        sqlx::query_scalar("SELECT complete_measures($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(&tokens.runs)
            .bind(&tokens.nos)
            .bind(&tokens.attempts)
            .bind(&tokens.nonces)
            .bind(&tokens.ats)
            .bind(&items)
            .bind(&partitions)
            .bind(&rows)
            .bind(&payloads)
            .fetch_one(connection)
            .await?;
    if answers.len() != list.len() {
        let detail = format!("{} answers to {} calls", answers.len(), list.len());
        return Err(Stop::Store(StoreError::Unknown(detail.into())));
    }
    let replies = list.iter().zip(answers).map(|(call, answer)| match call {
        Call::Complete(token, output, _) => answered(token, output, &answer),
        _ => Err(StoreError::Unknown("another question was answered".into())),
    });
    Ok(replies.collect())
}
