//! From a path to its page.
//!
//! One list of arms for reading and one for changing: a path that is in neither is a page that says
//! so. A change ends in a redirect to the page that shows it, so that loading it again repeats nothing.

use assay_answers::{Problem, Reader};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use jiff::Timestamp;

use crate::Pages;
use crate::frame::Cx;
use crate::reply::{self, Reply};
use crate::request::Asked;
use crate::view::{self, Body};

/// The first parts of the paths of pages.
pub(crate) const FIRST: [&str; 13] = [
    "",
    "about",
    "assets",
    "cluster",
    "datasets",
    "favicon.ico",
    "incidents",
    "nodes",
    "register",
    "runs",
    "session",
    "settings",
    "subscriptions",
];

pub(crate) async fn respond(
    pages: &Pages,
    request: &Request<Bytes>,
    who: &Reader,
    now: Timestamp,
) -> Reply {
    let asked = Asked::read(request);
    let nothing = Asked::nothing();
    let away = pages.facts.store_is_away();
    let cx = |asked| Cx {
        asked,
        who,
        now,
        away,
    };
    let asked = match &asked {
        Ok(asked) => asked,
        Err(why) => return refused(&cx(&nothing), view::problem::unread(*why)),
    };
    let cx = cx(asked);
    let parts: Vec<&str> = asked.parts.iter().map(String::as_str).collect();
    if asked.method == Method::POST {
        return match change(pages, &cx, &parts).await {
            Ok(Next::To(path)) => reply::see_other(&path),
            Ok(Next::Page(body)) => reply::html(StatusCode::OK, body),
            Err(problem) => refused(&cx, problem),
        };
    }
    if asked.method != Method::GET && asked.method != Method::HEAD {
        let problem = view::problem::of(
            405,
            "method-not-allowed",
            "Pages are read and sent",
            "Use GET or POST; programs use the API.",
        );
        let mut reply = refused(&cx, problem);
        reply.headers_mut().insert(
            header::ALLOW,
            header::HeaderValue::from_static("GET, HEAD, POST"),
        );
        return reply;
    }
    if let Some(reply) = file(pages, &cx, &parts).await {
        return reply.unwrap_or_else(|problem| refused(&cx, problem));
    }
    match page(pages, &cx, &parts).await {
        Ok(body) => reply::html(StatusCode::OK, body),
        Err(problem) => refused(&cx, problem),
    }
}

/// What follows a change.
enum Next {
    To(String),
    Page(String),
}

/// A refusal as a page of its status.
fn refused(cx: &Cx<'_>, problem: Problem) -> Reply {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let after = problem.retry_after_ms;
    let body =
        view::problem::page(cx, problem).unwrap_or_else(|p| crate::html::escaped(&p.to_string()));
    let mut reply = reply::html(status, body);
    if let Some(ms) = after {
        let seconds = header::HeaderValue::from(ms.div_ceil(1000));
        reply.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    reply
}

/// Answers that are no pages: files of the program, and points as CSV.
async fn file(pages: &Pages, cx: &Cx<'_>, parts: &[&str]) -> Option<Result<Reply, Problem>> {
    let missing = || view::problem::no_page(&cx.asked.path);
    match parts {
        ["favicon.ico"] => Some(reply::asset("", "assay.svg").ok_or_else(missing)),
        ["assets", build, name] => Some(reply::asset(build, name).ok_or_else(missing)),
        ["datasets", dataset, "metrics", metric] if cx.asked.q("format") == Some("csv") => {
            let csv = view::metric::csv(pages, cx, dataset, metric).await;
            Some(csv.map(|csv| reply::csv(csv, dataset)))
        }
        _ => None,
    }
}

async fn page(pages: &Pages, cx: &Cx<'_>, parts: &[&str]) -> Body {
    match parts {
        [] => view::overview::page(pages, cx).await,
        ["datasets", below @ ..] => dataset(pages, cx, below).await,
        ["register"] => view::register::page(pages, cx).await,
        ["runs"] => view::runs::page(pages, cx).await,
        ["runs", run] => view::run::page(pages, cx, run).await,
        ["runs", run, "tasks"] => view::run::tasks(pages, cx, run).await,
        ["runs", run, "tasks", no] => view::run::task(pages, cx, run, no).await,
        ["incidents"] => view::incidents::list(pages, cx).await,
        ["incidents", incident] => view::incidents::page(pages, cx, incident).await,
        ["nodes"] => view::nodes::list(pages, cx).await,
        ["nodes", node] => view::nodes::page(pages, cx, node).await,
        ["cluster"] => view::cluster::page(pages, cx).await,
        ["subscriptions"] => view::subscriptions::page(pages, cx).await,
        ["session"] => view::session::page(cx),
        ["subscriptions", id] => view::subscriptions::messages(pages, cx, id).await,
        ["settings"] => view::settings::page(pages, cx),
        ["about"] => view::settings::about(pages, cx).await,
        ["api", "docs"] => view::api::page(pages, cx),
        _ => Err(view::problem::no_page(&cx.asked.path)),
    }
}

async fn dataset(pages: &Pages, cx: &Cx<'_>, parts: &[&str]) -> Body {
    match parts {
        [] => view::datasets::page(pages, cx).await,
        [id] => view::dataset::page(pages, cx, id).await,
        [id, "checks"] => view::checks::page(pages, cx, id).await,
        [id, "checks", check] => view::check::page(pages, cx, id, check).await,
        [id, "checks", check, "answer"] => view::answer::preview(pages, cx, id, check).await,
        [id, "metrics"] => view::metrics::page(pages, cx, id).await,
        [id, "metrics", metric] => view::metric::page(pages, cx, id, metric).await,
        [id, "partitions"] => view::partitions::page(pages, cx, id).await,
        [id, "definition"] => view::definition::page(pages, cx, id).await,
        [id, "backfill"] => view::backfill::page(pages, cx, id).await,
        _ => Err(view::problem::no_page(&cx.asked.path)),
    }
}

async fn change(pages: &Pages, cx: &Cx<'_>, parts: &[&str]) -> Result<Next, Problem> {
    let to = match parts {
        ["register"] => {
            return view::register::send(pages, cx)
                .await
                .map(|sent| match sent {
                    view::register::Sent::Page(body) => Next::Page(body),
                    view::register::Sent::To(path) => Next::To(path),
                });
        }
        ["datasets", id, "runs"] => view::dataset::start(pages, cx, id).await,
        ["datasets", id, "backfill"] => view::backfill::start(pages, cx, id).await,
        ["datasets", id, "checks", check, "answer"] => {
            view::answer::keep(pages, cx, id, check).await
        }
        ["datasets", id, "checks", check, "withdraw"] => {
            view::answer::withdraw(pages, cx, id, check).await
        }
        ["runs", run, "cancel"] => view::run::cancel(pages, cx, run).await,
        ["runs", run, "retry"] => view::run::retry(pages, cx, run).await,
        ["incidents", incident, verb] => view::incidents::change(pages, cx, incident, verb).await,
        ["nodes", node, verb] => view::nodes::change(pages, cx, node, verb).await,
        ["cluster", "scale"] => view::cluster::scale(pages, cx).await,
        ["subscriptions", id, "test"] => view::subscriptions::test(pages, cx, id).await,
        ["subscriptions", id, "again"] => view::subscriptions::again(pages, cx, id).await,
        _ => Err(view::problem::no_page(&cx.asked.path)),
    };
    to.map(Next::To)
}
