//! Signing in and out: a form that works without a script, and who somebody is.
//!
//! Comes in: why nobody is let in, and where they wanted to go. Goes out: pages. They must never show
//! a credential, or lead to another site.

use askama::Template;
use assay_answers::{Problem, Reader, Role};
use http::StatusCode;
use jiff::Timestamp;

use super::Body;
use crate::frame::{Cx, Frame, Section};
use crate::html::part;
use crate::reply::{self, Reply};
use crate::request::{Asked, Door};
use crate::view::problem;

/// Where the form is, and where it is sent.
const PATH: &str = "/session";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    build: String,
    why: &'a str,
    action: String,
}

#[derive(Template)]
#[template(path = "session.html")]
struct Session {
    frame: Frame,
    runs_it: bool,
    owners: Vec<String>,
    reads: Vec<String>,
    writes: bool,
}

/// Who somebody is, or the form.
///
/// # Errors
/// None but those of rendering.
pub fn page(cx: &Cx<'_>) -> Body {
    if cx.asked.door == Door::Nobody {
        return form("", cx.asked.q("to").unwrap_or("/"));
    }
    super::render(&Session {
        frame: Frame::new(cx, "Who you are", Section::Settings).crumb("Settings", "/settings"),
        runs_it: cx.who.role == Role::Operator,
        owners: cx.who.owners.clone(),
        reads: cx.who.reads.clone(),
        writes: cx.who.writes,
    })
}

/// The form, which leads to `to` of this server.
fn form(why: &str, to: &str) -> Body {
    let action = match to {
        "/" => PATH.to_owned(),
        to => format!("{PATH}?to={}", part(to)),
    };
    let build = reply::build();
    super::render(&SignIn { build, why, action })
}

/// A refusal of what stands before the pages, as a page: for whoever is not known the form, which
/// leads to `to` (a path with its query). It is not told who asks.
pub fn refusal(problem: Problem, to: &str, now: Timestamp) -> Reply {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = if status == StatusCode::UNAUTHORIZED {
        form(&problem.detail, to)
    } else {
        unnamed(problem, now)
    };
    let body = body.unwrap_or_else(|problem| crate::html::escaped(&problem.to_string()));
    reply::html(status, body)
}

fn unnamed(problem: Problem, now: Timestamp) -> Body {
    let asked = Asked::nothing();
    let who = Reader {
        id: String::new(),
        role: Role::Anonymous,
        owners: Vec::new(),
        reads: Vec::new(),
        writes: false,
    };
    let cx = Cx {
        asked: &asked,
        who: &who,
        now,
        away: false,
    };
    problem::page(&cx, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, to: &str) -> String {
        let problem = problem::of(status, "x", "No", "the <token> is not known");
        let reply = refusal(problem, to, Timestamp::UNIX_EPOCH);
        assert_eq!(reply.status().as_u16(), status);
        assert!(reply.headers().contains_key("content-security-policy"));
        String::from_utf8(reply.into_body().to_vec()).unwrap()
    }

    #[test]
    fn whoever_is_not_known_gets_a_form_without_a_script_that_leads_back() {
        let page = refused(401, "/incidents/inc_1?a=b&c=\"d");
        assert!(
            !page.contains("<script") && !page.contains("http"),
            "{page}"
        );
        let action =
            r#"method="post" action="/session?to=%2Fincidents%2Finc_1%3Fa%3Db%26c%3D%22d""#;
        assert!(page.contains(action), "{page}");
        assert!(page.contains("the &lt;token&gt; is not known"), "{page}");
        assert!(refused(401, "/").contains(r#"action="/session""#));
    }

    #[test]
    fn other_refusals_are_pages_that_name_nobody() {
        let page = refused(429, "/");
        assert!(
            page.contains("What to do next") && !page.contains("nonymous"),
            "{page}"
        );
        assert!(!page.contains("Sign in"));
    }
}
