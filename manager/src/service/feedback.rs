//! What people answer back to the judge: looked at by a backtest, kept, listed, withdrawn.
//!
//! Comes in: drafts of people. Goes out: answers as they are kept, each with what the judge would
//! have alerted on without and with it. It must never keep an answer that names nothing, or tell of
//! a backtest that another answer was kept by.

use std::sync::Arc;

use assay_model::dataset::Dataset;
use assay_model::feedback::{Answered, Backtest, FeedbackId, FeedbackKind, Withdrawal};
use assay_model::ids::DatasetId;
use assay_model::partition::Partition;
use assay_past::backtest::{LAST, LAST_MAX, SERIES_MAX};
use assay_past::known::{BREACHES_MAX, INCIDENTS_MAX, PAST_MAX};
use assay_past::line::just_after;
use assay_past::{Change, Draft, Known, backtest};
use assay_proto::convert;
use assay_proto::link::Peer;
use assay_proto::v1;
use assay_proto::v1::feedback_service_server::FeedbackService;
use assay_proto::v1::preview_feedback_request::What;
use assay_store::StoreError;
use assay_store::feedback::READ_MAX;
use jiff::Timestamp;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{ASKERS, bound, only, peer, store_status};
use crate::handle::Shared;

/// Partitions in whose history a metric is looked for by its name.
const NAMES_FROM: u32 = 60;

/// The service.
pub(crate) struct Answers {
    shared: Arc<Shared>,
}

/// What answers of a dataset rest on.
struct Ground {
    dataset: Dataset,
    /// What is known besides the histories of its series.
    known: Known,
    /// The partitions that have data, in key order.
    measured: Vec<Partition>,
}

/// What is asked about.
enum Asked {
    Keep(Answered),
    Withdraw(Answered),
}

impl Asked {
    fn answer(&self) -> &Answered {
        match self {
            Self::Keep(answer) | Self::Withdraw(answer) => answer,
        }
    }
}

impl Answers {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// What is known of a dataset besides the histories of its series.
    async fn ground(&self, id: &DatasetId) -> Result<Ground, Status> {
        let dataset = self.shared.definition(id.clone()).await?;
        let metrics = &self.shared.parts.metrics;
        let (ledger, answered, history) = tokio::try_join!(
            metrics.ledger(id),
            metrics.feedback(id, READ_MAX),
            metrics.history(id, None, NAMES_FROM),
        )
        .map_err(|error| store_status(&error))?;
        let measured = ledger.iter().filter(|e| e.version.is_content());
        let measured = measured.map(|e| e.partition.clone()).collect();
        let partitions = ledger.into_iter().map(|e| Arc::new(e.partition));
        let known = Known {
            partitions: partitions.collect(),
            answered,
            history,
            ..Known::default()
        };
        Ok(Ground {
            dataset,
            known,
            measured,
        })
    }

    /// What would have been alerted on without and with an answer.
    async fn backtest(&self, ground: Ground, asked: Asked, last: u32) -> Result<Backtest, Status> {
        let last = bound(last, LAST, LAST_MAX);
        let newest = newest(&ground.measured, asked.answer().series.as_deref());
        let left_out = newest.len().saturating_sub(SERIES_MAX);
        let mut series = Vec::new();
        for partition in newest.iter().take(SERIES_MAX) {
            let known = self.known(&ground, partition, last).await;
            series.push(known.map_err(|error| store_status(&error))?);
        }
        let told = tokio::task::spawn_blocking(move || {
            let change = match &asked {
                Asked::Keep(answer) => Change::Keep(answer),
                Asked::Withdraw(answer) => Change::Withdraw(answer.id),
            };
            backtest(&ground.dataset, &series, change, last)
        });
        let mut told = told
            .await
            .map_err(|error| Status::internal(format!("the backtest ended: {error}")))?;
        told.series_left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
        Ok(told)
    }

    /// What is known of the series of `newest`, that partition included.
    async fn known(
        &self,
        ground: &Ground,
        newest: &Partition,
        last: u32,
    ) -> Result<Known, StoreError> {
        let metrics = &self.shared.parts.metrics;
        let id = &ground.dataset.id;
        let (after, series) = (just_after(newest), newest.series.as_str());
        let (history, verdicts, breaches, open) = tokio::try_join!(
            metrics.history(id, Some(&after), PAST_MAX + last),
            metrics.verdicts(id, Some(series), PAST_MAX + last),
            metrics.breaches(id, series, BREACHES_MAX),
            metrics.incidents(Some(id), true, INCIDENTS_MAX),
        )?;
        Ok(Known {
            history,
            verdicts,
            breaches,
            open,
            ..ground.known.clone()
        })
    }

    /// The answer that a draft is; what has not come is no value that could be normal.
    fn settled(&self, draft: &Draft, ground: &Ground) -> Result<Answered, Status> {
        let answer = draft.settle(&ground.dataset, &ground.known, self.now());
        let answer = answer.map_err(|why| Status::invalid_argument(why.to_string()))?;
        let mut measured = ground.measured.iter();
        let is_mark = answer.kind == FeedbackKind::MarkAsNormal;
        if is_mark && !measured.any(|partition| partition.key == answer.from) {
            return Err(Status::invalid_argument(format!(
                "partition `{}` of {} has no data: nothing of it could teach, and there is nothing \
                 to mark as normal",
                answer.from, answer.dataset
            )));
        }
        Ok(answer)
    }

    /// An answer of a dataset that is on record.
    fn on_record(ground: &Ground, id: FeedbackId) -> Result<Answered, Status> {
        let dataset = &ground.dataset.id;
        let found = ground.known.answered.iter().find(|answer| answer.id == id);
        found.cloned().ok_or_else(|| {
            Status::not_found(format!(
                "{dataset} has no feedback {id}; see: assay feedback list {dataset}"
            ))
        })
    }

    fn now(&self) -> Timestamp {
        (self.shared.parts.now)()
    }
}

/// The newest partition of each series with values, of all or of one.
fn newest<'a>(measured: &'a [Partition], series: Option<&str>) -> Vec<&'a Partition> {
    let mut newest: std::collections::BTreeMap<&str, &Partition> =
        std::collections::BTreeMap::new();
    for partition in measured {
        if series.is_none_or(|series| partition.series == series) {
            let known = newest.entry(&partition.series).or_insert(partition);
            if partition.order > known.order {
                *known = partition;
            }
        }
    }
    newest.into_values().collect()
}

/// Who answers: as the caller says, with the name of its certificate where that is another.
fn by(peer: &Peer, said: String) -> Result<String, Status> {
    let said = convert::opt_text("by", said)?;
    let proven = match peer {
        Peer::Proven {
            identity: Some(identity),
            ..
        } => Some(identity.name.clone()),
        _ => None,
    };
    match (said, proven) {
        (Some(said), Some(proven)) if said != proven => Ok(format!("{said} (by {proven})")),
        (Some(said), _) => Ok(said),
        (None, Some(proven)) => Ok(proven),
        (None, None) => Err(Status::invalid_argument(
            "nobody is named who answers: fill in `by`",
        )),
    }
}

/// A draft for the model.
fn draft(
    id: FeedbackId,
    wire: v1::FeedbackDraft,
    peer: &Peer,
) -> Result<(DatasetId, Draft), Status> {
    let dataset = convert::dataset_id(wire.dataset)?;
    let draft = Draft {
        id,
        kind: convert::word("kind", wire.kind)?,
        metric: convert::opt_text("metric", wire.metric)?,
        column: convert::opt_text("column", wire.column)?,
        from: convert::name("from", wire.from)?,
        to: convert::opt_text("to", wire.to)?,
        by: by(peer, wire.by)?,
        reason: convert::text("reason", wire.reason)?,
    };
    Ok((dataset, draft))
}

fn response(answer: &Answered, told: &Backtest) -> Response<v1::FeedbackResponse> {
    Response::new(v1::FeedbackResponse {
        feedback: Some(convert::feedback_of(answer)),
        backtest: Some(convert::backtest_of(told)),
    })
}

#[tonic::async_trait]
impl FeedbackService for Answers {
    async fn preview(
        &self,
        request: Request<v1::PreviewFeedbackRequest>,
    ) -> Result<Response<v1::FeedbackResponse>, Status> {
        only(&request, ASKERS)?;
        self.shared.seats.seat()?;
        let peer = peer(&request).clone();
        let request = request.into_inner();
        let (ground, asked) = match convert::present("what", request.what)? {
            What::Draft(wire) => {
                let (id, draft) = draft(FeedbackId(Uuid::nil()), wire, &peer)?;
                let ground = self.ground(&id).await?;
                let answer = self.settled(&draft, &ground)?;
                (ground, Asked::Keep(answer))
            }
            What::Withdrawal(wire) => {
                let id = convert::dataset_id(wire.dataset)?;
                let ground = self.ground(&id).await?;
                let id = convert::feedback_id(wire.id)?;
                let answer = Self::on_record(&ground, id)?;
                (ground, Asked::Withdraw(answer))
            }
        };
        let answer = asked.answer().clone();
        let told = self.backtest(ground, asked, request.last).await?;
        Ok(response(&answer, &told))
    }

    async fn keep(
        &self,
        request: Request<v1::KeepFeedbackRequest>,
    ) -> Result<Response<v1::FeedbackResponse>, Status> {
        only(&request, ASKERS)?;
        let seat = self.shared.seats.seat()?;
        let peer = peer(&request).clone();
        let request = request.into_inner();
        let id = convert::feedback_id(request.id)?;
        let (name, draft) = draft(id, convert::present("draft", request.draft)?, &peer)?;
        let mut ground = self.ground(&name).await?;
        let answer = self.settled(&draft, &ground)?;
        let metrics = &self.shared.parts.metrics;
        let kept = metrics.keep_feedback(seat.epoch, &answer).await;
        let kept = kept.map_err(|error| store_status(&error))?;
        tracing::info!(dataset = %name, by = kept.by, ?peer, id = %kept.id, answer = %kept, "somebody answered back");
        // Of a repeat, too, what it changed is told.
        ground.known.answered.retain(|other| other.id != kept.id);
        let asked = Asked::Keep(kept.clone());
        let told = self.backtest(ground, asked, request.last).await?;
        Ok(response(&kept, &told))
    }

    async fn list(
        &self,
        request: Request<v1::ListFeedbackRequest>,
    ) -> Result<Response<v1::ListFeedbackResponse>, Status> {
        only(&request, ASKERS)?;
        self.shared.seats.seat()?;
        let request = request.into_inner();
        let dataset = convert::dataset_id(request.dataset)?;
        self.shared.definition(dataset.clone()).await?;
        let limit = bound(request.limit, 100, READ_MAX);
        let metrics = &self.shared.parts.metrics;
        let found = metrics.feedback(&dataset, limit.saturating_add(1)).await;
        let mut found = found.map_err(|error| store_status(&error))?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        Ok(Response::new(v1::ListFeedbackResponse {
            feedback: found.iter().map(convert::feedback_of).collect(),
            more,
        }))
    }

    async fn withdraw(
        &self,
        request: Request<v1::WithdrawFeedbackRequest>,
    ) -> Result<Response<v1::FeedbackResponse>, Status> {
        only(&request, ASKERS)?;
        let seat = self.shared.seats.seat()?;
        let peer = peer(&request).clone();
        let request = request.into_inner();
        let name = convert::dataset_id(request.dataset)?;
        let id = convert::feedback_id(request.id)?;
        let how = Withdrawal {
            by: by(&peer, request.by)?,
            at: self.now(),
            reason: convert::text("reason", request.reason)?,
        };
        assay_past::ask::reason(&how.reason).map_err(Status::invalid_argument)?;
        let mut ground = self.ground(&name).await?;
        let answer = Self::on_record(&ground, id)?;
        let metrics = &self.shared.parts.metrics;
        let withdrawn = metrics.withdraw_feedback(seat.epoch, &name, id, &how).await;
        let withdrawn = withdrawn.map_err(|error| store_status(&error))?;
        let withdrawn = withdrawn.ok_or_else(|| Status::not_found("it is not there any more"))?;
        tracing::info!(dataset = %name, by = how.by, ?peer, %id, "somebody took an answer back");
        // As it was until now, so that a repeat tells the same.
        let answered = ground.known.answered.iter_mut();
        for known in answered.filter(|known| known.id == id) {
            known.withdrawn = None;
        }
        let asked = Asked::Withdraw(answer);
        let told = self.backtest(ground, asked, request.last).await?;
        Ok(response(&withdrawn, &told))
    }
}
