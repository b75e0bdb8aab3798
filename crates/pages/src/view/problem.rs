//! Refusals as pages: what happened, and what to do next.

use askama::Template;
use assay_answers::Problem;

use super::Body;
use crate::frame::{Cx, Frame, Section};
use crate::request::{FORM_MOST, Unread};

#[derive(Template)]
#[template(path = "problem.html")]
struct Page {
    frame: Frame,
    problem: Problem,
    next: &'static str,
}

/// A problem that pages find themselves.
#[must_use]
pub fn of(status: u16, slug: &str, title: &str, detail: &str) -> Problem {
    Problem {
        kind: format!("/problems/{slug}"),
        title: title.to_owned(),
        status,
        detail: detail.to_owned(),
        instance: None,
        limit: None,
        retry_after_ms: None,
        diagnostics: Vec::new(),
        etag: None,
        trace_id: None,
    }
}

/// There is no such page.
#[must_use]
pub fn no_page(path: &str) -> Problem {
    of(
        404,
        "not-found",
        "There is no such page",
        &format!("Nothing is at {path}."),
    )
}

/// What a page needs is not part of this server.
#[must_use]
pub fn absent(what: &str, instead: &str) -> Problem {
    of(
        501,
        "not-offered",
        "This server does not offer that",
        &format!("{what} {instead}"),
    )
}

/// A request that could not be read.
#[must_use]
pub fn unread(why: Unread) -> Problem {
    match why {
        Unread::Malformed => of(
            400,
            "malformed",
            "The request cannot be read",
            "A part of its path, query or form is not well encoded.",
        ),
        Unread::TooLong => Problem {
            limit: Some(FORM_MOST as u64),
            ..of(
                413,
                "too-large",
                "The form is too long",
                "Send at most 2 MiB.",
            )
        },
        Unread::OtherKind => of(
            415,
            "unsupported-media-type",
            "The form is of another kind",
            "Pages send application/x-www-form-urlencoded; programs use the API.",
        ),
        Unread::OtherOrigin => of(
            403,
            "other-origin",
            "The form comes from another site",
            "Only pages of this server may change something. Open the page here and send it again.",
        ),
    }
}

/// The page of a problem.
///
/// # Errors
/// None but those of rendering.
pub fn page(cx: &Cx<'_>, problem: Problem) -> Body {
    let next = match problem.status {
        401 => "Sign in, then open the page again. A program sends a bearer token.",
        403 => "Ask an operator of this cluster for the right to do this.",
        404 => "It may have another name, be retired, or belong to an owner you are not.",
        409 | 412 => {
            "Somebody changed it in the meantime. Load the page again, and look at what is there now."
        }
        413 | 415 | 422 | 400 => "Mend what is said above, and send it again.",
        429 => {
            "You ask more often than your share allows. Wait a moment, then load the page again."
        }
        501 => "",
        503 => {
            "The page works again as soon as the store or the leader answers; load it again in a moment."
        }
        _ => {
            "Load the page again. If it stays, give the operator the time and the path of this page."
        }
    };
    let mut frame = Frame::new(cx, problem.title.clone(), Section::Overview);
    frame.notice = None;
    super::render(&Page {
        frame,
        problem,
        next,
    })
}
