//! Asks the managers for runs, over gRPC.
//!
//! Comes in: the addresses of the managers, this end's identity, and a run. Goes out: the run, begun
//! or there already. The call itself finds the leader: whoever does not lead says who does. It must
//! never take a lost answer for a run, and needs no other right than to submit what is due.

use std::time::Duration;

use assay_model::dataset::Dataset;
use assay_proto::convert::{selection_of, time_of};
use assay_proto::link::{EXISTING_RUN_HEADER, NoLeader, Tls, ask_leader, why};
use assay_proto::v1;
use assay_proto::v1::run_service_client::RunServiceClient;
use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::emit::{EmitError, Emitted, Emitter};
use crate::look::{Emission, Key};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);
/// How long a leader is looked for: an election takes less.
const SEARCH: Duration = Duration::from_secs(10);
/// Between two calls over the same connection after one that broke.
const PAUSE: Duration = Duration::from_millis(100);

/// The managers of a cluster.
pub struct Managers {
    addresses: Vec<String>,
    tls: Option<Tls>,
    // The connection to whoever led last; held for a moment, never across a call.
    leader: Mutex<Option<Channel>>,
}

impl Managers {
    /// The managers at `addresses` (`https://HOST:PORT`, or `http://` without `tls`).
    #[must_use]
    pub fn at(addresses: Vec<String>, tls: Option<Tls>) -> Self {
        Self {
            addresses,
            tls,
            leader: Mutex::new(None),
        }
    }

    /// Asks whoever led last; one more time over the same connection when it broke underway.
    async fn ask_last(&self, asked: &v1::SubmitRequest) -> Option<Result<Emitted, EmitError>> {
        let channel = self.leader.lock().await.clone()?;
        for attempt in 0..2 {
            match submit(channel.clone(), asked.clone()).await {
                Ok(emitted) => return Some(Ok(emitted)),
                Err(status) if is_of_this_run(&status) => return Some(Err(refused(&status))),
                Err(status) if status.code() == Code::Unavailable && attempt == 0 => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_) => break,
            }
        }
        *self.leader.lock().await = None;
        None
    }

    async fn ask(&self, asked: v1::SubmitRequest) -> Result<Emitted, EmitError> {
        if let Some(answer) = self.ask_last(&asked).await {
            return answer;
        }
        let question = |channel| submit(channel, asked.clone());
        let until = Instant::now() + SEARCH;
        let led = ask_leader(&self.addresses, self.tls.as_ref(), until, question).await;
        match led {
            Ok(led) => {
                *self.leader.lock().await = Some(led.channel);
                Ok(led.answer)
            }
            Err(NoLeader::Refused(status)) => Err(refused(&status)),
            Err(nobody @ NoLeader::Nobody(_)) => Err(EmitError::Away(nobody.to_string())),
        }
    }
}

async fn submit(channel: Channel, asked: v1::SubmitRequest) -> Result<Emitted, Status> {
    let mut request = tonic::Request::new(asked);
    request.set_timeout(CALL);
    let mut client = RunServiceClient::new(channel);
    match client.submit(request).await {
        Ok(answer) if answer.get_ref().existed => Ok(Emitted::Existed),
        Ok(_) => Ok(Emitted::Begun),
        // The owner has changed how far back it looks since: the run is there all the same.
        Err(status) if status.metadata().contains_key(EXISTING_RUN_HEADER) => Ok(Emitted::Existed),
        Err(status) => Err(status),
    }
}

/// Whether a refusal is about this run, so that others may be taken.
fn is_of_this_run(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::NotFound | Code::OutOfRange | Code::DataLoss
    )
}

fn refused(status: &Status) -> EmitError {
    let text = format!("the manager refuses: {}", why(status));
    if is_of_this_run(status) {
        EmitError::Refused(text)
    } else {
        EmitError::Away(text)
    }
}

#[async_trait]
impl Emitter for Managers {
    async fn emit(&self, dataset: &Dataset, emission: &Emission) -> Result<Emitted, EmitError> {
        let json = serde_json::to_string(dataset)
            .map_err(|error| EmitError::Refused(format!("its definition: {error}")))?;
        let (slot, idempotency_key) = match &emission.key {
            Key::Slot(slot) => (Some(time_of(*slot)), String::new()),
            Key::Text(key) => (None, key.clone()),
        };
        self.ask(v1::SubmitRequest {
            what: Some(v1::submit_request::What::DefinitionJson(json)),
            trigger: emission.trigger.to_string(),
            selection: Some(selection_of(&emission.selection)),
            idempotency_key,
            slot,
        })
        .await
    }
}
