//! What the commands ask of a cluster, whichever way it is reached.
//!
//! Comes in: questions and wishes as the wire contract words them. Goes out: answers in the same
//! words, or a refusal that knows its exit code. There are two ways: a manager by gRPC, a gateway by
//! its HTTP API. A command must never know which one it goes.

mod people;

use std::sync::Arc;
use std::time::Duration;

use assay_model::dataset::Dataset;
use assay_model::ids::RunId;
use assay_proto::v1;
use async_trait::async_trait;

pub use people::{Answers, Notices};

/// What every question gives.
pub type Answer<T> = Result<T, Refusal>;

/// Why there is no answer.
#[derive(Debug)]
pub struct Refusal {
    /// Its kind.
    pub why: Why,
    /// When it may work, where that was said.
    pub after: Option<Duration>,
    /// The same for people, with its exit code.
    pub error: anyhow::Error,
}

/// Kinds of refusals, as far as a command goes on differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is no such thing.
    NotFound,
    /// It may work a little later, or elsewhere.
    Passing,
    /// Anything else.
    Other,
}

impl From<Refusal> for anyhow::Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// Something that was told of a run.
#[derive(Debug)]
pub struct Heard {
    /// The event; `None` is a sign of life.
    pub event: Option<v1::RunEvent>,
    /// What to say to hear what follows, where there is such a thing.
    pub mark: Option<String>,
}

/// What happens to a run, until it ends.
#[async_trait]
pub trait Events: Send {
    /// What happens next; `None` when the stream is over.
    async fn next(&mut self) -> Answer<Option<Heard>>;
}

/// What becomes of one definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// There was none.
    Created,
    /// There was another.
    Changed,
    /// It was there.
    Unchanged,
}

impl Done {
    /// For people and programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A definition that is to be put.
#[derive(Debug)]
pub struct Put<'a> {
    /// What it defines.
    pub dataset: &'a Dataset,
    /// Its document.
    pub text: &'a str,
    /// The digest of what is defined there, as the list of datasets has it.
    pub there: Option<&'a str>,
    /// Whether to say what would be done, and do nothing.
    pub dry_run: bool,
}

/// A cluster.
#[async_trait]
pub trait Cluster: Notices + Answers + Send + Sync {
    /// Where it is.
    fn address(&self) -> &str;

    /// What is done while nobody answers, in words.
    fn search(&self) -> &'static str;

    /// Whether definitions are kept as documents: they have to mean the same wherever they are read.
    fn keeps_documents(&self) -> bool;

    /// The same cluster, looked for again: another one may answer for it since.
    async fn again(&self) -> Answer<Arc<dyn Cluster>>;

    /// How it stands.
    async fn status(&self) -> Answer<v1::StatusResponse>;

    /// The last changes of the wanted number of nodes, newest first.
    async fn scale_events(&self) -> Answer<Vec<v1::ScaleEvent>>;

    /// Has a node finish and leave.
    async fn drain(&self, node: &str, reason: &str) -> Answer<()>;

    /// Has a node take tasks again.
    async fn uncordon(&self, node: &str) -> Answer<()>;

    /// Sets the bounds of the fleet.
    async fn scale(&self, min: u32, max: u32) -> Answer<()>;

    /// The datasets that are defined.
    async fn datasets(&self) -> Answer<Vec<v1::DatasetSummary>>;

    /// One definition.
    async fn definition(&self, dataset: &str) -> Answer<v1::GetDefinitionResponse>;

    /// Puts a definition.
    async fn put(&self, what: Put<'_>) -> Answer<Done>;

    /// Runs with what they have come to, newest first.
    async fn runs(&self, which: v1::ListRunsRequest) -> Answer<Vec<v1::Run>>;

    /// One run with its tasks.
    async fn run(&self, run: RunId) -> Answer<v1::GetRunResponse>;

    /// Starts a run.
    async fn start(&self, wish: v1::SubmitRequest) -> Answer<v1::SubmitResponse>;

    /// Stops a run.
    async fn cancel(&self, run: RunId, reason: &str) -> Answer<()>;

    /// Has what did not succeed in a run tried again.
    async fn retry(&self, run: RunId) -> Answer<()>;

    /// What happens to a run, after what `mark` stands for.
    async fn watch(&self, run: RunId, mark: Option<&str>) -> Answer<Box<dyn Events>>;

    /// Results of a run.
    async fn results(&self, which: &v1::ResultsRequest) -> Answer<Vec<v1::Result>>;

    /// What the look of a run answers for.
    async fn standing(&self, which: v1::StandingRequest) -> Answer<v1::StandingResponse>;

    /// Values of metrics over the last partitions.
    async fn history(&self, which: v1::HistoryRequest) -> Answer<Vec<v1::MetricSeries>>;
}
