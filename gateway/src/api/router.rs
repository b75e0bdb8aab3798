//! From a request to its endpoint: the path, the method, the parameters, the body, the key.
//!
//! Comes in: HTTP. Goes out: an endpoint's answer, or a problem for everything that is wrong before
//! it is asked. It must never hand on a parameter that was not checked, or answer an error with
//! anything but a problem.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_answers::{Problem, Reader};
use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::Method;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use xxhash_rust::xxh3::Xxh3;

use super::endpoint::{Ask, Body, Endpoint};
use super::openapi::BODY_MAX;
use super::params::Query;
use super::{Api, list, reply};
use crate::problem::{
    BAD_BODY, BAD_PARAMETER, METHOD_NOT_ALLOWED, NOT_FOUND, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE,
    shown,
};
use crate::repeats::{KEY, KEY_MAX};

/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(15);

/// Which endpoint has answered: a layer outside finds it among the extensions of the response.
#[derive(Debug, Clone, Copy)]
pub struct Route(pub &'static str);

/// The endpoints whose paths differ in method or verb only.
struct Group {
    api: Api,
    endpoints: Vec<&'static Endpoint>,
}

/// The router of the API.
pub fn router(api: &Api) -> Router {
    let mut groups: BTreeMap<&str, Vec<&'static Endpoint>> = BTreeMap::new();
    for endpoint in list::endpoints() {
        groups.entry(endpoint.split().0).or_default().push(endpoint);
    }
    let mut router = Router::new();
    for (path, endpoints) in groups {
        let group = Arc::new(Group {
            api: api.clone(),
            endpoints,
        });
        router = router.route(path, any(answer).with_state(group));
    }
    router.fallback(nothing)
}

/// There is nothing at this path.
pub(crate) async fn nothing(request: Request) -> Response {
    let path = request.uri().path();
    let mut problem = NOT_FOUND.because(format!("nothing is at {}", shown(path)));
    problem.instance = Some(shown(path));
    reply::problem(&problem)
}

async fn answer(
    State(group): State<Arc<Group>>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let instance = shown(request.uri().path());
    let trace = trace_of(request.headers());
    let head = request.method() == Method::HEAD;
    let (route, answered) = match params {
        Ok(params) => group.dispatch(&params, request).await,
        Err(_) => {
            let what = "a part of the path is not UTF-8";
            let route = group.endpoints.first().map_or("", |e| e.path);
            (route, Err(BAD_PARAMETER.because(what).into()))
        }
    };
    let mut response = answered.unwrap_or_else(|refused| {
        let Refused { mut problem, allow } = *refused;
        problem.instance = Some(instance);
        problem.trace_id = trace;
        let mut response = reply::problem(&problem);
        if let Some(allow) = allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    });
    response.extensions_mut().insert(Route(route));
    if head {
        *response.body_mut() = HttpBody::empty();
    }
    response
}

/// The trace that a request belongs to, by `traceparent`.
fn trace_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let trace = value.split('-').nth(1)?;
    let hex = trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| trace.to_owned())
}

/// A refusal, with the methods that are taken.
struct Refused {
    problem: Problem,
    allow: Option<String>,
}

impl From<Problem> for Box<Refused> {
    fn from(problem: Problem) -> Self {
        Self::new(Refused {
            problem,
            allow: None,
        })
    }
}

impl Group {
    async fn dispatch(
        &self,
        params: &RawPathParams,
        request: Request,
    ) -> (&'static str, Result<Response, Box<Refused>>) {
        let mut path: Vec<(String, String)> = params
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        // A verb is the end of the last part of a path.
        let verb = path.last().and_then(|(_, value)| {
            let (_, verb) = value.rsplit_once(':')?;
            let known = self.endpoints.iter().map(|e| e.split().1);
            known
                .into_iter()
                .find(|known| known.strip_prefix(':') == Some(verb))
        });
        let verb = verb.unwrap_or("");
        if let Some((_, value)) = path.last_mut() {
            value.truncate(value.len() - verb.len());
        }
        let here = self.endpoints.iter().filter(|e| e.split().1 == verb);
        let here: Vec<&&Endpoint> = here.collect();
        let asked = match *request.method() {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        let Some(endpoint) = here.iter().find(|e| e.verb() == asked) else {
            let route = here.first().map_or("", |e| e.path);
            return (route, Err(not_allowed(&here, request.method())));
        };
        let route = endpoint.path;
        (route, self.run(endpoint, path, request).await)
    }

    async fn run(
        &self,
        endpoint: &'static Endpoint,
        values: Vec<(String, String)>,
        request: Request,
    ) -> Result<Response, Box<Refused>> {
        let api = &self.api;
        let (parts, body) = request.into_parts();
        let query_text = parts.uri.query().unwrap_or_default().to_owned();
        let query = Query::read(&query_text, endpoint.query)?;
        let who = parts.extensions.get::<Reader>();
        let who = who.unwrap_or(&api.parts.nobody).clone();
        let names = endpoint.parts().into_iter();
        let path = names.zip(values.into_iter().map(|(_, value)| value));
        let path: Vec<(&'static str, String)> = path.collect();
        if path
            .iter()
            .any(|(_, value)| value.chars().any(char::is_control))
        {
            let what = "a part of the path holds a control character";
            return Err(BAD_PARAMETER.because(what).into());
        }
        let body = read_body(endpoint, &parts.headers, body).await?;
        let key = idempotency_key(endpoint, &parts.headers)?;
        let ask = Ask {
            who,
            path,
            query,
            headers: parts.headers,
            body,
        };
        let Some(key) = key else {
            return Ok((endpoint.act)(api.clone(), ask).await?);
        };
        let mut content = Xxh3::new();
        content.update(&ask.body);
        content.update(query_text.as_bytes());
        let place = parts.uri.path();
        let key = format!("{}\u{0}{place}\u{0}{key}", ask.who.id);
        let work = (endpoint.act)(api.clone(), ask);
        Ok(api.repeats.once(key, content.digest(), work).await?)
    }
}

fn not_allowed(here: &[&&Endpoint], asked: &Method) -> Box<Refused> {
    let mut takes: Vec<String> = here.iter().map(|e| e.verb().to_string()).collect();
    if takes.iter().any(|verb| verb == "GET") {
        takes.push("HEAD".to_owned());
    }
    let allow = takes.join(", ");
    let what = format!("this path takes {allow}, not {}", shown(asked.as_str()));
    Box::new(Refused {
        problem: METHOD_NOT_ALLOWED.because(what),
        allow: Some(allow),
    })
}

/// The key of a request that changes something.
fn idempotency_key(endpoint: &Endpoint, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    if endpoint.verb() != Method::POST {
        return Ok(None);
    }
    let Some(value) = headers.get(KEY) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > KEY_MAX {
        let what = format!("`Idempotency-Key`: 1 to {KEY_MAX} printable ASCII characters");
        return Err(BAD_PARAMETER.because(what));
    }
    Ok(Some(text.to_owned()))
}

/// Whether a body may be of this type.
fn is_taken(body: Body, kind: &str) -> bool {
    let json = kind == reply::JSON || kind.ends_with("+json");
    match body {
        Body::None => true,
        Body::Json(_) => json,
        Body::Document => {
            json || matches!(
                kind,
                reply::YAML | "application/x-yaml" | "text/yaml" | "text/x-yaml" | "text/plain"
            )
        }
    }
}

async fn read_body(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    body: HttpBody,
) -> Result<Bytes, Problem> {
    let too_large = || Problem {
        limit: Some(BODY_MAX as u64),
        ..TOO_LARGE.because(format!("the body has more than {BODY_MAX} bytes"))
    };
    let read = Limited::new(body, BODY_MAX).collect();
    let read = tokio::time::timeout(BODY_WITHIN, read).await;
    let body = match read {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(error)) => return Err(BAD_BODY.because(error.to_string())),
        Err(_) => {
            let what = format!("the body did not come within {} s", BODY_WITHIN.as_secs());
            return Err(BAD_BODY.because(what));
        }
    };
    if body.is_empty() {
        return match endpoint.body {
            Body::Document => Err(BAD_BODY.because("the dataset file is the body: it is empty")),
            Body::None | Body::Json(_) => Ok(body),
        };
    }
    if matches!(endpoint.body, Body::None) {
        // What is sent to a path that takes nothing must not be believed to have counted.
        let empty = body.iter().all(u8::is_ascii_whitespace) || &*body == b"{}";
        let what = "this path takes no body";
        return if empty {
            Ok(Bytes::new())
        } else {
            Err(BAD_BODY.because(what))
        };
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    if !is_taken(endpoint.body, &kind) {
        let takes = match endpoint.body {
            Body::Document => "application/yaml, text/yaml or application/json",
            _ => "application/json",
        };
        let what = format!("the body is `{}`: send {takes}", shown(&kind));
        return Err(UNSUPPORTED_MEDIA_TYPE.because(what));
    }
    Ok(body)
}
