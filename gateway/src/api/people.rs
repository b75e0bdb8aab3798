//! The endpoints of what people do.
//!
//! Comes in: a request that was let through its checks. Goes out: a response, or a problem. It must
//! never decide anything: the API does.

use assay_answers::feedback::{FeedbackDraft, WithdrawFeedback, WithdrawalPreview};
use assay_answers::incident::{IncidentChange, NoteDraft};
use assay_answers::notice::{Delivery, SubscriptionDraft};
use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::endpoint::Ask;
use super::handlers::{Gives, body, key};
use super::{Api, reply};
use crate::people::Turn;

fn at(mut response: Response, path: &str) -> Response {
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

pub(super) async fn preview(api: Api, ask: Ask) -> Gives {
    let draft: FeedbackDraft = body(&ask)?;
    let told = api
        .preview_feedback(&ask.who, ask.part("dataset"), &draft)
        .await?;
    reply::json(StatusCode::OK, &told)
}

pub(super) async fn keep(api: Api, ask: Ask) -> Gives {
    let draft: FeedbackDraft = body(&ask)?;
    let told = api
        .keep_feedback(&ask.who, ask.part("dataset"), &draft, key(&ask))
        .await?;
    let (dataset, id) = (&told.feedback.dataset, &told.feedback.id);
    let path = format!("/api/v1/datasets/{dataset}/feedback/{id}");
    Ok(at(reply::json(StatusCode::CREATED, &told)?, &path))
}

pub(super) async fn feedback(api: Api, ask: Ask) -> Gives {
    let (dataset, cut) = (ask.part("dataset"), ask.query.cut());
    reply::told(&api.feedback_list(&ask.who, dataset, &cut).await?)
}

pub(super) async fn feedback_of(api: Api, ask: Ask) -> Gives {
    let (dataset, feedback) = (ask.part("dataset"), ask.part("feedback"));
    reply::told(&api.feedback_of(&ask.who, dataset, feedback).await?)
}

pub(super) async fn withdraw(api: Api, ask: Ask) -> Gives {
    let how: WithdrawFeedback = body(&ask)?;
    let (dataset, feedback) = (ask.part("dataset"), ask.part("feedback"));
    let told = api
        .withdraw_feedback(&ask.who, dataset, feedback, &how)
        .await?;
    reply::json(StatusCode::OK, &told)
}

pub(super) async fn preview_withdrawal(api: Api, ask: Ask) -> Gives {
    let how: WithdrawalPreview = body(&ask)?;
    let (dataset, feedback) = (ask.part("dataset"), ask.part("feedback"));
    let told = api
        .preview_withdrawal(&ask.who, dataset, feedback, &how)
        .await?;
    reply::json(StatusCode::OK, &told)
}

pub(super) async fn change_incident(api: Api, ask: Ask) -> Gives {
    let change: IncidentChange = body(&ask)?;
    let incident = ask.part("incident");
    let changed = api.change_incident(&ask.who, incident, &change).await?;
    reply::json(StatusCode::OK, &changed)
}

pub(super) async fn note_incident(api: Api, ask: Ask) -> Gives {
    let note: NoteDraft = body(&ask)?;
    let incident = ask.part("incident");
    let noted = api.note_incident(&ask.who, incident, &note).await?;
    reply::json(StatusCode::CREATED, &noted)
}

pub(super) async fn subscriptions(api: Api, ask: Ask) -> Gives {
    let (dataset, cut) = (ask.query.text("dataset"), ask.query.cut());
    let removed = ask.query.flag("removed");
    let told = api
        .subscription_list(&ask.who, dataset.as_deref(), removed, &cut)
        .await?;
    reply::told(&told)
}

pub(super) async fn subscription(api: Api, ask: Ask) -> Gives {
    let subscription = ask.part("subscription");
    reply::told(&api.subscription_of(&ask.who, subscription).await?)
}

pub(super) async fn subscribe(api: Api, ask: Ask) -> Gives {
    let draft: SubscriptionDraft = body(&ask)?;
    let made = api.subscribe(&ask.who, &draft, key(&ask)).await?;
    let path = format!("/api/v1/subscriptions/{}", made.id);
    Ok(at(reply::json(StatusCode::CREATED, &made)?, &path))
}

async fn turn(api: Api, ask: Ask, turn: Turn) -> Gives {
    let subscription = ask.part("subscription");
    let turned = api.turn_subscription(&ask.who, subscription, turn).await?;
    reply::json(StatusCode::OK, &turned)
}

pub(super) async fn pause(api: Api, ask: Ask) -> Gives {
    turn(api, ask, Turn::Pause).await
}

pub(super) async fn resume(api: Api, ask: Ask) -> Gives {
    turn(api, ask, Turn::Resume).await
}

pub(super) async fn unsubscribe(api: Api, ask: Ask) -> Gives {
    turn(api, ask, Turn::Remove).await
}

/// A message that is on its way: where it will be found.
fn sent(delivery: &Delivery) -> Gives {
    let (subscription, id) = (&delivery.subscription, &delivery.id);
    let path = format!("/api/v1/subscriptions/{subscription}/deliveries/{id}");
    Ok(at(reply::json(StatusCode::ACCEPTED, delivery)?, &path))
}

pub(super) async fn test(api: Api, ask: Ask) -> Gives {
    let subscription = ask.part("subscription");
    sent(&api.test_subscription(&ask.who, subscription).await?)
}

pub(super) async fn deliveries(api: Api, ask: Ask) -> Gives {
    let (state, cut) = (ask.query.text("state"), ask.query.cut());
    let subscription = ask.part("subscription");
    let told = api
        .delivery_list(&ask.who, subscription, state.as_deref(), &cut)
        .await?;
    reply::told(&told)
}

pub(super) async fn all_deliveries(api: Api, ask: Ask) -> Gives {
    let (state, cut) = (ask.query.text("state"), ask.query.cut());
    let told = api.all_deliveries(&ask.who, state.as_deref(), &cut).await?;
    reply::told(&told)
}

pub(super) async fn any_delivery(api: Api, ask: Ask) -> Gives {
    let delivery = ask.part("delivery");
    reply::told(&api.any_delivery(&ask.who, delivery).await?)
}

pub(super) async fn delivery(api: Api, ask: Ask) -> Gives {
    let (subscription, delivery) = (ask.part("subscription"), ask.part("delivery"));
    let told = api.delivery_of(&ask.who, subscription, delivery).await?;
    reply::told(&told)
}

pub(super) async fn again(api: Api, ask: Ask) -> Gives {
    let (subscription, delivery) = (ask.part("subscription"), ask.part("delivery"));
    sent(&api.send_again(&ask.who, subscription, delivery).await?)
}
