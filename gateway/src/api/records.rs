//! The endpoints of what is on record of a run, and of what is shown elsewhere.
//!
//! Comes in: a request that was let through its checks. Goes out: a response, or a problem. It must
//! never decide anything: the API does.

use assay_answers::facts::PointsQuery;
use assay_pages::picture;
use http::StatusCode;

use super::endpoint::Ask;
use super::handlers::{Gives, number};
use super::{Api, reply};
use crate::problem::no;

/// Points of a picture, at most: more are closer than a dot is wide.
const DRAWN: u32 = 400;
/// What a picture shows when nothing is asked for.
const USUAL: &str = "rowCount";

pub(super) async fn task_log(api: Api, ask: Ask) -> Gives {
    let wanted = number(&ask, "no")?;
    let wanted = u32::try_from(wanted).map_err(|_| no("task", ask.part("no")))?;
    reply::told(&api.task_log(&ask.who, ask.part("run"), wanted).await?)
}

pub(super) async fn lineage(api: Api, ask: Ask) -> Gives {
    let namespace = ask.query.text("namespace");
    let (event, stale_s) = api
        .lineage_of(&ask.who, ask.part("run"), namespace.as_deref())
        .await?;
    Ok(reply::aged(reply::json(StatusCode::OK, &event)?, stale_s))
}

pub(super) async fn chart(api: Api, ask: Ask) -> Gives {
    let query = PointsQuery {
        column: ask.query.text("column"),
        series: ask.query.text("series"),
        from: ask.query.text("from"),
        to: ask.query.text("to"),
        max_points: Some(DRAWN),
    };
    let metric = ask.query.text("metric");
    let metric = metric.as_deref().unwrap_or(USUAL);
    let dataset = ask.part("dataset");
    let found = api.point_list(&ask.who, dataset, metric, &query).await?;
    let told = found.told();
    let drawn = picture::chart(&told.it);
    let response = reply::of_type(StatusCode::OK, "image/svg+xml", drawn);
    Ok(reply::aged(response, told.stale_s))
}
