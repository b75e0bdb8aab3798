//! The way to the manager that leads.
//!
//! Comes in: questions and wishes as calls of the wire. Goes out: the leader's answers. It must never
//! repeat a wish whose answer was lost, unless a repeat does no harm.

mod people;

use std::sync::Arc;
use std::time::Duration;

use assay_answers::Problem;
use assay_proto::limits::ANSWER_BYTES_MAX;
use assay_proto::link::{Door, NoLeader, Tls, ask_leader, leader_of};
use assay_proto::v1;
use assay_proto::v1::cluster_service_client::ClusterServiceClient;
use assay_proto::v1::run_service_client::RunServiceClient;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::problem::{NO_LEADER, UNCONFIRMED, of_status, of_wish};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);
/// How long a leader is looked for.
const SEARCH: Duration = Duration::from_secs(2);

/// Where the managers are.
#[derive(Debug, Clone)]
pub enum Way {
    /// One, that always leads: in this process, or named by its door.
    One(Door),
    /// Several of which one leads, and what is shown to them.
    Several {
        /// Their addresses.
        addresses: Vec<String>,
        /// What is shown to them, with TLS.
        tls: Option<Tls>,
    },
}

/// The way to the managers. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Managers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    way: Way,
    // Held while a leader is looked for, so that all wait for the same search.
    channel: Mutex<Option<Channel>>,
}

/// What is asked of the leader, by what a repeat of it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// A question: nothing is done by it.
    Question,
    /// A wish that is one, however often it comes.
    Harmless,
    /// A wish that is carried out each time.
    Harmful,
}

impl Sort {
    fn meaning(self, refusal: &Status) -> Problem {
        match self {
            Self::Question => of_status(refusal),
            Self::Harmless | Self::Harmful => of_wish(refusal),
        }
    }
}

/// What two attempts mean, neither of which has an answer: the second not having reached anybody
/// says nothing of the first.
fn both(first: Problem, again: Problem) -> Problem {
    let lost = first.slug() == UNCONFIRMED.slug;
    match again.slug() == NO_LEADER.slug && lost {
        true => first,
        false => again,
    }
}

/// A call with its deadline.
fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL);
    request
}

impl Managers {
    /// The managers of `way`; nothing is asked yet.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self {
            inner: Arc::new(Inner {
                way,
                channel: Mutex::new(None),
            }),
        }
    }

    async fn channel(&self) -> Result<Channel, Problem> {
        let mut kept = self.inner.channel.lock().await;
        if let Some(channel) = &*kept {
            return Ok(channel.clone());
        }
        let channel = match &self.inner.way {
            Way::One(door) => tokio::time::timeout(SEARCH, door.open())
                .await
                .map_err(|_| NO_LEADER.because(format!("{door} does not answer")))?
                .map_err(|error| {
                    let why = assay_proto::link::causes(&error);
                    NO_LEADER.because(format!("no manager answers at {door}: {why}"))
                })?,
            Way::Several { addresses, tls } => {
                let until = Instant::now() + SEARCH;
                let status = |channel| async move {
                    ClusterServiceClient::new(channel)
                        .status(call(v1::StatusRequest {}))
                        .await
                };
                let search = ask_leader(addresses, tls.as_ref(), until, status);
                match tokio::time::timeout(SEARCH * 2, search).await {
                    Ok(Ok(led)) => led.channel,
                    Ok(Err(NoLeader::Refused(status))) => return Err(of_status(&status)),
                    Ok(Err(error)) => return Err(NO_LEADER.because(error.to_string())),
                    Err(_) => return Err(NO_LEADER.because("no manager answers")),
                }
            }
        };
        *kept = Some(channel.clone());
        Ok(channel)
    }

    /// Asks the leader; once more where another one leads by now, or when a repeat does no harm.
    async fn ask<T, F, A>(&self, sort: Sort, question: F) -> Result<T, Problem>
    where
        F: Fn(Channel) -> A,
        A: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let refusal = match question(self.channel().await?).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(refusal) => refusal,
        };
        let elsewhere = leader_of(&refusal).is_some();
        let broken = matches!(
            refusal.code(),
            Code::Unavailable
                | Code::Unknown
                | Code::Cancelled
                | Code::Internal
                | Code::DeadlineExceeded
        );
        if elsewhere || broken {
            *self.inner.channel.lock().await = None;
        }
        if !elsewhere && (!broken || sort == Sort::Harmful) {
            return Err(Box::pin(self.meaning(sort, &refusal)).await);
        }
        let first = sort.meaning(&refusal);
        let again = match self.channel().await {
            Ok(channel) => match question(channel).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(refusal) => Box::pin(self.meaning(sort, &refusal)).await,
            },
            Err(problem) => problem,
        };
        Err(both(first, again))
    }

    /// What a refusal means: one of somebody who does not lead says nothing of the wish.
    async fn meaning(&self, sort: Sort, refusal: &Status) -> Problem {
        let problem = sort.meaning(refusal);
        if refusal.code() != Code::FailedPrecondition {
            return problem;
        }
        let Ok(channel) = self.channel().await else {
            return NO_LEADER.because(problem.detail);
        };
        let mut leader = ClusterServiceClient::new(channel);
        match leader.status(call(v1::StatusRequest {})).await {
            Ok(_) => problem,
            Err(_) => {
                *self.inner.channel.lock().await = None;
                NO_LEADER.because(problem.detail)
            }
        }
    }

    /// How the cluster stands.
    ///
    /// # Errors
    /// [`Problem`]; so for the others.
    pub async fn status(&self) -> Result<v1::StatusResponse, Problem> {
        self.ask(Sort::Question, |channel| async move {
            cluster(channel).status(call(v1::StatusRequest {})).await
        })
        .await
    }

    /// A run with its tasks, and why they wait.
    pub async fn run(&self, run_id: &str) -> Result<v1::GetRunResponse, Problem> {
        self.ask(Sort::Question, |channel| {
            let run_id = run_id.to_owned();
            async move { runs(channel).get(call(v1::GetRunRequest { run_id })).await }
        })
        .await
    }

    /// Starts a run; with a key, a repeat is the same run.
    pub async fn submit(&self, wish: v1::SubmitRequest) -> Result<v1::SubmitResponse, Problem> {
        let sort = match wish.idempotency_key.is_empty() {
            true => Sort::Harmful,
            false => Sort::Harmless,
        };
        self.ask(sort, |channel| {
            let wish = wish.clone();
            async move { runs(channel).submit(call(wish)).await }
        })
        .await
    }

    /// Stops a run.
    pub async fn cancel(&self, run_id: &str, reason: &str) -> Result<(), Problem> {
        let wish = v1::CancelRequest {
            run_id: run_id.to_owned(),
            reason: reason.to_owned(),
        };
        self.ask(Sort::Harmless, |channel| {
            let wish = wish.clone();
            async move { runs(channel).cancel(call(wish)).await }
        })
        .await
        .map(|_| ())
    }

    /// Makes the tasks of a run that did not succeed ready again.
    pub async fn retry(&self, run_id: &str) -> Result<(), Problem> {
        self.ask(Sort::Harmful, |channel| {
            let run_id = run_id.to_owned();
            async move { runs(channel).retry(call(v1::RetryRequest { run_id })).await }
        })
        .await
        .map(|_| ())
    }

    /// Lets a node finish and leave.
    pub async fn drain(&self, node: &str, reason: &str) -> Result<(), Problem> {
        let wish = v1::DrainNodeRequest {
            node: node.to_owned(),
            reason: reason.to_owned(),
        };
        self.ask(Sort::Harmless, |channel| {
            let wish = wish.clone();
            async move { cluster(channel).drain_node(call(wish)).await }
        })
        .await
        .map(|_| ())
    }

    /// Lets a node take tasks again.
    pub async fn uncordon(&self, node: &str) -> Result<(), Problem> {
        self.ask(Sort::Harmless, |channel| {
            let node = node.to_owned();
            async move {
                let wish = v1::UncordonNodeRequest { node };
                cluster(channel).uncordon_node(call(wish)).await
            }
        })
        .await
        .map(|_| ())
    }

    /// Sets the bounds of the fleet.
    pub async fn scale(&self, min: u32, max: u32) -> Result<(), Problem> {
        self.ask(Sort::Harmless, |channel| async move {
            cluster(channel)
                .scale(call(v1::ScaleRequest { min, max }))
                .await
        })
        .await
        .map(|_| ())
    }
}

fn cluster(channel: Channel) -> ClusterServiceClient<Channel> {
    ClusterServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

fn runs(channel: Channel) -> RunServiceClient<Channel> {
    RunServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_attempt_that_reaches_nobody_says_nothing_of_the_first() {
        let (lost, nobody) = (
            || UNCONFIRMED.because("lost"),
            || NO_LEADER.because("nobody"),
        );
        assert_eq!(both(lost(), nobody()).slug(), "unconfirmed");
        assert_eq!(both(nobody(), nobody()).slug(), "no-leader");
        assert_eq!(both(nobody(), lost()).slug(), "unconfirmed");
        let refused = of_wish(&Status::not_found("no such run"));
        assert_eq!(both(lost(), refused).slug(), "not-found");
    }
}
