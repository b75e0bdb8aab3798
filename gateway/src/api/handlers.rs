//! What each endpoint does: a few lines from a request to the API and back.
//!
//! Comes in: a request that was let through its checks. Goes out: a response, or a problem. It must
//! never decide anything: the API does.

use assay_answers::cluster::Scale;
use assay_answers::facts::{
    DatasetsQuery, Deeds as _, IncidentsQuery, Match, PointsQuery, ResultsQuery, RunsQuery,
};
use assay_answers::node::Drain;
use assay_answers::overview::Me;
use assay_answers::run::{CancelRun, StartRun};
use assay_answers::schema::Book;
use assay_answers::{Problem, Role, Told};
use axum::response::Response;
use http::header::{IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::de::DeserializeOwned;

use super::endpoint::Ask;
use super::{Api, badge, events, reply};
use crate::problem::{BAD_BODY, BAD_PARAMETER, KINDS, NOT_ACCEPTABLE, no};

/// What editors hold a dataset file against: the schema of the Open Data Contract Standard v3.1.0, as
/// the Bitol project publishes it under the Apache License 2.0.
const DATASET_FILE: &str = include_str!("../../schema/odcs-v3.1.0.json");

/// What an endpoint gives.
pub(super) type Gives = Result<Response, Problem>;

/// The JSON of a body; nothing at all is an empty object.
pub(super) fn body<T: DeserializeOwned>(ask: &Ask) -> Result<T, Problem> {
    let bytes: &[u8] = if ask.body.is_empty() {
        b"{}"
    } else {
        &ask.body
    };
    serde_json::from_slice(bytes).map_err(|error| BAD_BODY.because(error.to_string()))
}

/// The key of a request; empty where it has none.
pub(super) fn key(ask: &Ask) -> &str {
    let key = ask.headers.get(crate::repeats::KEY);
    key.and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn text(ask: &Ask) -> Result<&str, Problem> {
    let wrong =
        |e: std::str::Utf8Error| BAD_BODY.because(format!("the document is not UTF-8: {e}"));
    std::str::from_utf8(&ask.body).map_err(wrong)
}

pub(super) fn number(ask: &Ask, name: &str) -> Result<u64, Problem> {
    let value = ask.part(name);
    let wrong = || {
        let value = crate::problem::shown(value);
        BAD_PARAMETER.because(format!("`{name}`: `{value}` is not a whole number"))
    };
    value.parse().map_err(|_| wrong())
}

pub(super) async fn version(api: Api, _: Ask) -> Gives {
    reply::told(&api.version_of_build())
}

pub(super) async fn me(api: Api, ask: Ask) -> Gives {
    let who = ask.who;
    let me = Me {
        role: word_of(who.role).to_owned(),
        id: who.id,
        owners: who.owners,
        reads: who.reads,
        writes: who.writes,
    };
    reply::told(&Told::fresh(me, (api.parts.now)()))
}

const fn word_of(role: Role) -> &'static str {
    match role {
        Role::Anonymous => "anonymous",
        Role::Subscriber => "subscriber",
        Role::Owner => "owner",
        Role::Operator => "operator",
    }
}

pub(super) async fn status(api: Api, ask: Ask) -> Gives {
    reply::told(&api.overview_of(&ask.who).await?)
}

pub(super) async fn datasets(api: Api, ask: Ask) -> Gives {
    let query = DatasetsQuery {
        search: ask.query.text("search"),
        tag: ask.query.text("tag"),
        owner: ask.query.text("owner"),
        health: ask.query.text("health"),
        sort: ask.query.text("sort"),
        cut: ask.query.cut(),
    };
    reply::told(&api.dataset_list(&ask.who, &query).await?)
}

pub(super) async fn validate(api: Api, ask: Ask) -> Gives {
    let found = api.validate(&ask.who, text(&ask)?).await?;
    reply::json(StatusCode::OK, &found)
}

/// What must hold of a definition, by the headers of a request.
fn condition(ask: &Ask) -> Result<Match, Problem> {
    let (seen, absent) = (
        reply::tags(&ask.headers, IF_MATCH),
        reply::tags(&ask.headers, IF_NONE_MATCH),
    );
    match (seen.as_slice(), absent.as_slice()) {
        ([], []) => Ok(Match::Any),
        ([], [star]) if star == "*" => Ok(Match::Absent),
        ([digest], []) if digest != "*" => Ok(Match::Digest(digest.clone())),
        _ => {
            let what = "send one ETag as `If-Match`, or `If-None-Match: *` for a new dataset";
            Err(BAD_PARAMETER.because(what))
        }
    }
}

pub(super) async fn apply(api: Api, ask: Ask) -> Gives {
    let (condition, dry_run) = (condition(&ask)?, ask.query.flag("dryRun"));
    let dataset = ask.part("dataset");
    let applied = api
        .apply(&ask.who, dataset, text(&ask)?, &condition, dry_run)
        .await?;
    let created = applied.done == "created" && !dry_run;
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let response = reply::json(status, &applied)?;
    Ok(match dry_run {
        true => response,
        false => reply::with_etag(response, &applied.digest),
    })
}

pub(super) async fn retire(api: Api, ask: Ask) -> Gives {
    let applied = api
        .retire(&ask.who, ask.part("dataset"), &condition(&ask)?)
        .await?;
    let response = reply::json(StatusCode::OK, &applied)?;
    Ok(reply::with_etag(response, &applied.digest))
}

pub(super) async fn dataset(api: Api, ask: Ask) -> Gives {
    let found = api.dataset_detail(&ask.who, ask.part("dataset")).await?;
    // Its tag is that of its document, which a change has to name.
    let response = reply::of_type(StatusCode::OK, reply::JSON, found.json.clone());
    let response = reply::aged(response, found.stale_s);
    Ok(reply::with_etag(response, &found.it.row.digest))
}

fn document(ask: &Ask, told: &Told<assay_answers::definition::Definition>) -> Gives {
    let yaml = reply::wants_yaml(&ask.headers).ok_or_else(|| {
        NOT_ACCEPTABLE.because("a definition is told as application/json or application/yaml")
    })?;
    let digest = &told.it.digest;
    let known = reply::tags(&ask.headers, IF_NONE_MATCH);
    let has_it = known.iter().any(|tag| tag == "*" || tag == digest);
    let response = match (has_it, yaml) {
        (true, true) => reply::unchanged(reply::YAML),
        (true, false) => reply::unchanged(reply::JSON),
        (false, true) => reply::of_type(StatusCode::OK, reply::YAML, told.it.text.clone()),
        (false, false) => reply::json(StatusCode::OK, told)?,
    };
    let response = reply::aged(reply::by_accept(response), told.stale_s);
    Ok(reply::with_etag(response, digest))
}

pub(super) async fn definition(api: Api, ask: Ask) -> Gives {
    let told = api.definition_of(&ask.who, ask.part("dataset")).await?;
    document(&ask, &told)
}

pub(super) async fn versions(api: Api, ask: Ask) -> Gives {
    reply::told(&api.version_list(&ask.who, ask.part("dataset")).await?)
}

pub(super) async fn version_text(api: Api, ask: Ask) -> Gives {
    let number = number(&ask, "revision")?;
    let told = api
        .version_text(&ask.who, ask.part("dataset"), number)
        .await?;
    document(&ask, &told)
}

pub(super) async fn diff(api: Api, ask: Ask) -> Gives {
    let from = number(&ask, "revision")?;
    let to = ask.query.number("to");
    let told = api
        .version_diff(&ask.who, ask.part("dataset"), from, to)
        .await?;
    reply::told(&told)
}

pub(super) async fn start_run(api: Api, ask: Ask) -> Gives {
    let what: StartRun = body(&ask)?;
    let started = api
        .start_run(&ask.who, ask.part("dataset"), &what, key(&ask))
        .await?;
    let mut response = reply::json(StatusCode::ACCEPTED, &started)?;
    if let Ok(at) = HeaderValue::from_str(&format!("/api/v1/runs/{}", started.run_id)) {
        response.headers_mut().insert(LOCATION, at);
    }
    Ok(response)
}

pub(super) async fn checks(api: Api, ask: Ask) -> Gives {
    let found = api.check_rows(&ask.who, ask.part("dataset")).await?;
    Ok(reply::found(found, &ask.headers))
}

pub(super) async fn check(api: Api, ask: Ask) -> Gives {
    let (dataset, check) = (ask.part("dataset"), ask.part("check"));
    reply::told(&api.check_row(&ask.who, dataset, check).await?)
}

pub(super) async fn results(api: Api, ask: Ask) -> Gives {
    let query = ResultsQuery {
        from: ask.query.text("from"),
        to: ask.query.text("to"),
        outcome: ask.query.text("outcome"),
        superseded: ask.query.flag("superseded"),
        cut: ask.query.cut(),
    };
    let (dataset, check) = (ask.part("dataset"), ask.part("check"));
    reply::told(&api.result_list(&ask.who, dataset, check, &query).await?)
}

pub(super) async fn metrics(api: Api, ask: Ask) -> Gives {
    let column = ask.query.text("column");
    let (dataset, cut) = (ask.part("dataset"), ask.query.cut());
    let told = api
        .metric_list(&ask.who, dataset, column.as_deref(), &cut)
        .await?;
    reply::told(&told)
}

pub(super) async fn points(api: Api, ask: Ask) -> Gives {
    let query = PointsQuery {
        column: ask.query.text("column"),
        series: ask.query.text("series"),
        from: ask.query.text("from"),
        to: ask.query.text("to"),
        max_points: ask
            .query
            .number("maxPoints")
            .and_then(|n| u32::try_from(n).ok()),
    };
    let (dataset, metric) = (ask.part("dataset"), ask.part("metric"));
    let found = api.point_list(&ask.who, dataset, metric, &query).await?;
    Ok(reply::found(found, &ask.headers))
}

pub(super) async fn history(api: Api, ask: Ask) -> Gives {
    let (metric, column) = (ask.query.text("metric"), ask.query.text("column"));
    let last = ask.query.number("last").and_then(|n| u32::try_from(n).ok());
    let (dataset, who) = (ask.part("dataset"), &ask.who);
    let found = api
        .history_of(who, dataset, metric.as_deref(), column.as_deref(), last)
        .await?;
    Ok(reply::found(found, &ask.headers))
}

pub(super) async fn partitions(api: Api, ask: Ask) -> Gives {
    let (dataset, cut) = (ask.part("dataset"), ask.query.cut());
    reply::told(&api.partition_list(&ask.who, dataset, &cut).await?)
}

pub(super) async fn badge(api: Api, ask: Ask) -> Gives {
    let dataset = ask.part("dataset");
    let known = api
        .permitted(&ask.who, crate::rights::Action::Read, dataset)
        .await?;
    let (row, _) = api.row(&known).await?;
    Ok(reply::of_type(
        StatusCode::OK,
        "image/svg+xml",
        badge::svg(&row),
    ))
}

pub(super) async fn runs(api: Api, ask: Ask) -> Gives {
    let query = RunsQuery {
        dataset: ask.query.text("dataset"),
        state: ask.query.text("state"),
        cut: ask.query.cut(),
    };
    reply::told(&api.run_list(&ask.who, &query).await?)
}

pub(super) async fn run(api: Api, ask: Ask) -> Gives {
    reply::told(&api.run_detail(&ask.who, ask.part("run")).await?)
}

pub(super) async fn tasks(api: Api, ask: Ask) -> Gives {
    let (run, cut) = (ask.part("run"), ask.query.cut());
    reply::told(&api.task_list(&ask.who, run, &cut).await?)
}

pub(super) async fn run_results(api: Api, ask: Ask) -> Gives {
    let (partition, cut) = (ask.query.text("partition"), ask.query.cut());
    let (run, who) = (ask.part("run"), &ask.who);
    reply::told(
        &api.run_results(who, run, partition.as_deref(), &cut)
            .await?,
    )
}

pub(super) async fn run_standing(api: Api, ask: Ask) -> Gives {
    reply::told(&api.run_standing(&ask.who, ask.part("run")).await?)
}

pub(super) async fn task(api: Api, ask: Ask) -> Gives {
    let wanted = number(&ask, "no")?;
    let wanted = u32::try_from(wanted).map_err(|_| no("task", ask.part("no")))?;
    reply::told(&api.task_of(&ask.who, ask.part("run"), wanted).await?)
}

pub(super) async fn run_events(api: Api, ask: Ask) -> Gives {
    let run = ask.part("run").to_owned();
    events::of_run(api, ask.who, &run, &ask.headers).await
}

pub(super) async fn events(api: Api, ask: Ask) -> Gives {
    events::of_all(api, ask.who, &ask.headers).await
}

pub(super) async fn cancel(api: Api, ask: Ask) -> Gives {
    let CancelRun { reason } = body(&ask)?;
    let done = api.cancel_run(&ask.who, ask.part("run"), &reason).await?;
    reply::json(StatusCode::ACCEPTED, &done)
}

pub(super) async fn retry(api: Api, ask: Ask) -> Gives {
    let done = api.retry_run(&ask.who, ask.part("run")).await?;
    reply::json(StatusCode::ACCEPTED, &done)
}

pub(super) async fn incidents(api: Api, ask: Ask) -> Gives {
    let query = IncidentsQuery {
        dataset: ask.query.text("dataset"),
        status: ask.query.text("status"),
        severity: ask.query.text("severity"),
        cut: ask.query.cut(),
    };
    reply::told(&api.incident_list(&ask.who, &query).await?)
}

pub(super) async fn incident(api: Api, ask: Ask) -> Gives {
    reply::told(&api.incident_of(&ask.who, ask.part("incident")).await?)
}

pub(super) async fn nodes(api: Api, ask: Ask) -> Gives {
    reply::told(&api.node_list(&ask.who).await?)
}

pub(super) async fn node(api: Api, ask: Ask) -> Gives {
    reply::told(&api.node_detail(&ask.who, ask.part("node")).await?)
}

pub(super) async fn drain(api: Api, ask: Ask) -> Gives {
    let Drain { reason } = body(&ask)?;
    let done = api.drain_node(&ask.who, ask.part("node"), &reason).await?;
    reply::json(StatusCode::ACCEPTED, &done)
}

pub(super) async fn uncordon(api: Api, ask: Ask) -> Gives {
    let done = api.uncordon_node(&ask.who, ask.part("node")).await?;
    reply::json(StatusCode::ACCEPTED, &done)
}

pub(super) async fn cluster(api: Api, ask: Ask) -> Gives {
    reply::told(&api.cluster_of(&ask.who).await?)
}

pub(super) async fn cluster_history(api: Api, ask: Ask) -> Gives {
    reply::told(&api.fleet_of(&ask.who).await?)
}

pub(super) async fn cluster_usage(api: Api, ask: Ask) -> Gives {
    reply::told(&api.usage_of(&ask.who).await?)
}

pub(super) async fn scale(api: Api, ask: Ask) -> Gives {
    let bounds: Scale = body(&ask)?;
    let set = api.scale(&ask.who, bounds).await?;
    reply::json(StatusCode::ACCEPTED, &set)
}

pub(super) async fn openapi(_: Api, _: Ask) -> Gives {
    reply::json(StatusCode::OK, &super::openapi::document())
}

pub(super) async fn schema(_: Api, ask: Ask) -> Gives {
    let name = ask.part("schema");
    if name == "dataset.json" {
        return Ok(reply::of_type(StatusCode::OK, reply::JSON, DATASET_FILE));
    }
    let wanted = name.strip_suffix(".json").unwrap_or(name);
    if let Some(event) = assay_notify::schema::of(wanted) {
        return reply::json(StatusCode::OK, &event);
    }
    let mut book = Book::default();
    super::openapi::describe(&mut book);
    let components = book.components();
    if components.get(wanted).is_none() {
        return Err(no("schema", name));
    }
    let schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{wanted}"),
        "components": { "schemas": components },
    });
    reply::json(StatusCode::OK, &schema)
}

pub(super) async fn livez(_: Api, _: Ask) -> Gives {
    let body = "alive\n";
    Ok(reply::of_type(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        body,
    ))
}

pub(super) async fn readyz(api: Api, _: Ask) -> Gives {
    api.ready()?;
    let body = "ready\n";
    Ok(reply::of_type(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        body,
    ))
}

pub(super) async fn telemetry(api: Api, ask: Ask) -> Gives {
    api.may_cluster(&ask.who, crate::rights::Action::Look)?;
    let text = api.parts.telemetry.render();
    Ok(reply::of_type(
        StatusCode::OK,
        "text/plain; version=0.0.4",
        text,
    ))
}

pub(super) async fn problem_page(_: Api, ask: Ask) -> Gives {
    let slug = ask.part("slug");
    let kind = KINDS.iter().find(|kind| kind.slug == slug);
    let kind = kind.ok_or_else(|| no("kind of problem", slug))?;
    let text = format!("{} ({})\n\n{}\n", kind.title, kind.status, kind.about);
    Ok(reply::of_type(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        text,
    ))
}
