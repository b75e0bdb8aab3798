//! What a refusal of a gateway means for the one who typed the command.
//!
//! Comes in: problem details (RFC 9457), or what somebody in between answered, or nothing. Goes out:
//! what, where, what to do next, and an exit code. It must never show a token.

use std::time::Duration;

use assay_answers::Problem;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};

use super::super::port::{Refusal, Why};
use super::super::{coded, no_server};
use super::call::{Ask, Failed, retry_after};
use super::{Http, words_of};
use crate::exit::Exit;

/// Lines of diagnostics that are shown.
const LINES_MAX: usize = 20;

/// Why an attempt has no good answer.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) failed: Failed,
    /// When it may work.
    pub(super) after: Option<Duration>,
    /// Whether another attempt would be as vain: nothing about it passes by itself.
    pub(super) hopeless: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Nobody answered: why, and what to do.
    Nobody(String),
    /// The API refused.
    Problem(Box<Problem>),
    /// Something that is not the API answered.
    Stranger(String),
}

/// An error of our own making.
pub(super) fn broken(http: &Http, why: &str) -> Refusal {
    Refusal {
        why: Why::Other,
        after: None,
        error: coded(Exit::Usage, format!("{}: {why}", http.address)),
    }
}

/// An answer that makes no sense.
pub(super) fn unreadable(http: &Http, why: &str) -> Refusal {
    let at = &http.address;
    Refusal {
        why: Why::Other,
        after: None,
        error: no_server(format!(
            "the answer of {at} cannot be read: {why}\n  \
             it may be of another version; compare: assay version, assay doctor"
        )),
    }
}

impl Refused {
    fn nobody(failed: Failed, hopeless: bool, said: String) -> Self {
        Self {
            failed,
            after: None,
            hopeless,
            what: What::Nobody(said),
        }
    }

    /// The time is over.
    pub(super) fn silent(http: &Http) -> Self {
        let said = format!(
            "{} did not answer in time\n  \
             allow more: ASSAY_CLIENT__TIMEOUT_S=60, or look at it: assay doctor",
            http.address
        );
        Self::nobody(Failed::Lost, true, said)
    }

    /// The question was not sent, or its answer did not come.
    pub(super) fn unreached(http: &Http, error: &reqwest::Error) -> Self {
        let why = words_of(error);
        let at = &http.address;
        let certificate = why.contains("certificate") || why.contains("UnknownIssuer");
        let remedy = if certificate {
            "the authority that signs it is not known here: server.ca = \"FILE\" names one"
        } else {
            "see that it is the address of a gateway, and that it runs: server.url, or --server URL"
        };
        let failed = if error.is_connect() {
            Failed::Unsent
        } else {
            Failed::Lost
        };
        let said = format!("no gateway answers at {at}: {why}\n  {remedy}");
        Self::nobody(failed, certificate, said)
    }

    /// The answer broke off.
    pub(super) fn cut(http: &Http, why: &str) -> Self {
        let said = format!(
            "the answer of {} broke off: {why}\n  ask again, or look at it: assay doctor",
            http.address
        );
        Self::nobody(Failed::Lost, false, said)
    }

    /// What came is no good answer.
    pub(super) fn answered(
        http: &Http,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or("nothing");
        let after = retry_after(headers);
        let problem: Option<Problem> = kind
            .starts_with("application/problem+json")
            .then(|| serde_json::from_slice(body).ok())
            .flatten();
        match problem {
            Some(problem) => {
                let ms = problem.retry_after_ms.map(Duration::from_millis);
                let unsure = problem.slug() == "unconfirmed";
                let code = status.as_u16();
                Self {
                    failed: match unsure {
                        true => Failed::Unsure(code),
                        false => Failed::Refused(code),
                    },
                    after: ms.or(after),
                    hopeless: false,
                    what: What::Problem(Box::new(problem)),
                }
            }
            // A balancer or a proxy in between does not know what the gateway did.
            None => Self {
                failed: Failed::Unsure(status.as_u16()),
                after,
                hopeless: false,
                what: What::Stranger(format!(
                    "{} does not answer as the API of Assay does: {status}, {kind}\n  \
                     see that it is the address of a gateway: server.url, or --server URL",
                    http.address
                )),
            },
        }
    }

    /// What it means.
    pub(super) fn meaning(self, http: &Http, ask: &Ask<'_>) -> Refusal {
        let (after, failed) = (self.after, self.failed);
        let passing = |status| matches!(status, 429 | 502 | 503 | 504);
        let why = match failed {
            Failed::Unsent | Failed::Lost => Why::Passing,
            Failed::Refused(404) => Why::NotFound,
            Failed::Refused(status) | Failed::Unsure(status) if passing(status) => Why::Passing,
            Failed::Refused(_) | Failed::Unsure(_) => Why::Other,
        };
        let unsure = matches!(failed, Failed::Lost | Failed::Unsure(500..))
            && ask.method != reqwest::Method::GET;
        let error = match self.what {
            What::Nobody(said) | What::Stranger(said) if unsure => no_server(format!(
                "{said}\n  whether it was done is not known: look at how it stands"
            )),
            What::Nobody(said) | What::Stranger(said) => no_server(said),
            What::Problem(problem) => {
                let token = http.token_name();
                let of = Of {
                    at: &http.address,
                    token: token.as_deref(),
                    trace: &http.trace,
                };
                explained(&of, &problem, after)
            }
        };
        Refusal { why, after, error }
    }
}

/// Where a problem is from, and what was shown there.
struct Of<'a> {
    at: &'a str,
    /// How the token is named, if one is.
    token: Option<&'a str>,
    trace: &'a str,
}

/// A problem in the form of the command's errors.
fn explained(of: &Of<'_>, problem: &Problem, after: Option<Duration>) -> anyhow::Error {
    let (at, detail) = (of.at, plain(&problem.detail));
    let soon = after.map_or_else(String::new, |after| {
        format!(
            "\n  try again in {} s",
            after.as_millis().div_ceil(1000).max(1)
        )
    });
    match problem.status {
        401 => no_server(unknown(of, &detail)),
        403 => no_server(format!(
            "{at} refuses: {detail}\n  \
             who you are there: assay doctor; an operator makes a token that may: assay token new"
        )),
        404 | 405 => coded(Exit::Usage, detail),
        409 => coded(Exit::Usage, detail),
        412 | 428 => coded(
            Exit::NotEvaluated,
            format!(
                "{detail}; nothing was changed\n  \
                 look at what is there: assay dataset get ID; then apply again"
            ),
        ),
        422 if !problem.diagnostics.is_empty() => coded(Exit::Invalid, invalid(problem)),
        400..=422 => coded(
            Exit::Usage,
            format!("{at} cannot take this: {}: {detail}", plain(&problem.title)),
        ),
        429 => no_server(format!("{at} refuses for now: {detail}{soon}")),
        503 if problem.slug() == "unconfirmed" => no_server(format!(
            "{at}: whether it was done is not known: {detail}\n  look at how it stands, then again"
        )),
        503 => no_server(format!(
            "{at} cannot answer: {}: {detail}{soon}",
            plain(&problem.title)
        )),
        status => {
            let trace = problem.trace_id.as_deref().unwrap_or(of.trace);
            no_server(format!(
                "{at} has failed ({status}, {}): {detail}\n  an operator finds it by trace {}",
                plain(&problem.title),
                plain(trace)
            ))
        }
    }
}

/// Nobody is known by what was shown.
fn unknown(of: &Of<'_>, detail: &str) -> String {
    let at = of.at;
    match of.token {
        None => format!(
            "{at} wants to know who asks, and no token is named\n  \
             name where yours is kept: server.token = \"env:NAME\" or \"file:PATH\" (in assay.toml; \
             or ASSAY_SERVER__TOKEN)"
        ),
        Some(name) => format!(
            "{at} does not take the token of {name}: {detail}\n  \
             ask an operator for another: assay token new"
        ),
    }
}

/// What is wrong with a definition, as the gateway reads it.
fn invalid(problem: &Problem) -> String {
    let mut out = plain(&problem.detail);
    for one in problem.diagnostics.iter().take(LINES_MAX) {
        let hint = one
            .hint
            .as_deref()
            .map_or_else(String::new, |hint| format!("; {}", plain(hint)));
        out.push_str(&format!(
            "\n  {}:{}  {} {}: {}{hint}",
            one.line,
            one.column,
            plain(&one.level),
            plain(&one.code),
            plain(&one.message)
        ));
    }
    if problem.diagnostics.len() > LINES_MAX {
        let more = problem.diagnostics.len() - LINES_MAX;
        out.push_str(&format!("\n  and {more} more"));
    }
    out
}

/// A text of the other end without what would move a terminal's cursor.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;

    fn problem(status: u16, slug: &str) -> Problem {
        let text = format!(
            r#"{{"type":"/problems/{slug}","title":"T","status":{status},"detail":"the \u001bdetail","more":1}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn said(status: u16, slug: &str, token: Option<&str>) -> (Exit, String) {
        let of = Of {
            at: "https://g",
            token,
            trace: "4bf9",
        };
        let after = Some(Duration::from_millis(1730));
        let error = explained(&of, &problem(status, slug), after);
        (exit::of(&error), error.to_string())
    }

    #[test]
    fn each_refusal_has_its_exit_code_and_says_what_to_do_next() {
        for (status, slug, code, word) in [
            (400, "bad-parameter", Exit::Usage, "cannot take this"),
            (401, "unauthorized", Exit::NoServer, "server.token"),
            (403, "forbidden", Exit::NoServer, "assay doctor"),
            (404, "not-found", Exit::Usage, "the  detail"),
            (409, "conflict", Exit::Usage, "the  detail"),
            (
                412,
                "precondition-failed",
                Exit::NotEvaluated,
                "apply again",
            ),
            (
                422,
                "idempotency-key-reused",
                Exit::Usage,
                "cannot take this",
            ),
            (
                428,
                "precondition-required",
                Exit::NotEvaluated,
                "apply again",
            ),
            (429, "rate-limited", Exit::NoServer, "try again in 2 s"),
            (500, "internal", Exit::NoServer, "trace 4bf9"),
            (503, "store-away", Exit::NoServer, "try again in 2 s"),
            (503, "unconfirmed", Exit::NoServer, "not known"),
        ] {
            let (exit, text) = said(status, slug, None);
            assert_eq!(exit, code, "{status}: {text}");
            assert!(text.contains(word), "{status}: {text}");
            // What the other end says moves no cursor.
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
        let (_, text) = said(401, "unauthorized", Some("env:ASSAY_TOKEN"));
        assert!(text.contains("token of env:ASSAY_TOKEN"), "{text}");
    }

    #[test]
    fn an_invalid_definition_is_told_line_by_line() {
        let mut problem = problem(422, "invalid-definition");
        problem.diagnostics = vec![assay_answers::problem::Diagnostic {
            code: "ASY014".to_owned(),
            level: "error".to_owned(),
            file: "definition".to_owned(),
            line: 41,
            column: 13,
            path: String::new(),
            message: "unknown operator".to_owned(),
            hint: Some("mustBeLessThan".to_owned()),
        }];
        let of = Of {
            at: "https://g",
            token: None,
            trace: "4bf9",
        };
        let error = explained(&of, &problem, None);
        assert_eq!(exit::of(&error), Exit::Invalid);
        let text = error.to_string();
        assert!(
            text.contains("41:13  error ASY014: unknown operator; mustBeLessThan"),
            "{text}"
        );
    }
}
