//! The endpoints of what people do.
//!
//! Comes in: a request that was let through its checks. Goes out: a response, or a problem. It must
//! never decide anything: the API does.

use assay_answers::feedback::{FeedbackDraft, WithdrawFeedback};
use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::endpoint::Ask;
use super::handlers::{Gives, body, key};
use super::{Api, reply};

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
