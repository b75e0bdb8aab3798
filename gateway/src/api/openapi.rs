//! The OpenAPI 3.1 document, made from the list of endpoints.

use assay_answers::Problem;
use assay_answers::schema::Book;
use serde_json::{Map, Value, json};

use super::endpoint::{Body, Endpoint, Gives};
use super::list::endpoints;
use super::reply::{JSON, PROBLEM, YAML};
use crate::problem as p;
use crate::repeats::KEY_MAX;

/// Bytes of a body.
pub const BODY_MAX: usize = 1 << 20;

/// What every path may answer.
const ALWAYS: &[p::Kind] = &[
    p::BAD_PARAMETER,
    p::UNKNOWN_PARAMETER,
    p::UNAUTHORIZED,
    p::METHOD_NOT_ALLOWED,
    p::RATE_LIMITED,
    p::INTERNAL,
    p::DAMAGED,
    p::OVERLOADED,
    p::DRAINING,
];
/// What every path with a body may answer, too.
const WITH_BODY: &[p::Kind] = &[p::TOO_LARGE, p::UNSUPPORTED_MEDIA_TYPE, p::BAD_BODY];

/// Writes every schema of the API into a book.
pub(super) fn describe(book: &mut Book) {
    book.of::<Problem>();
    for endpoint in endpoints() {
        if let Body::Json(schema) = endpoint.body {
            schema(book);
        }
        match endpoint.gives {
            Gives::Told(schema)
            | Gives::Kept(schema)
            | Gives::Json(_, schema)
            | Gives::Definition(schema)
            | Gives::Events(schema) => {
                schema(book);
            }
            Gives::Plain(_) => {}
        }
    }
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut book = Book::default();
    book.of::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints() {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        let verb = endpoint.verb().as_str().to_lowercase();
        path[verb] = operation(endpoint, &mut book);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Assay",
            "version": "v1",
            "description": "Definitions, runs, results, metrics and incidents of a data-quality cluster. Every error is a problem (RFC 9457); every parameter that is not known is an error.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": book.components(),
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(endpoint: &Endpoint, book: &mut Book) -> Value {
    let mut operation = json!({
        "operationId": endpoint.name,
        "summary": endpoint.about,
        "parameters": parameters(endpoint),
        "responses": responses(endpoint, book),
    });
    match endpoint.body {
        Body::None => {}
        Body::Json(schema) => {
            operation["requestBody"] = json!({
                "required": false, "content": { JSON: { "schema": schema(book) } },
            });
        }
        Body::Document => {
            // Whatever is sent is read as a document, and what it lacks is said.
            let document = json!({ "schema": {} });
            operation["requestBody"] = json!({
                "required": true,
                "description": "A dataset file of the Open Data Contract Standard.",
                "content": { YAML: document, JSON: document },
            });
        }
    }
    operation
}

fn header(name: &str, about: &str) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": about,
            "schema": { "type": "string" } })
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let mut all: Vec<Value> = endpoint
        .parts()
        .into_iter()
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    all.extend(endpoint.query.iter().map(|param| {
        json!({ "name": param.name, "in": "query", "required": false,
                "description": param.about, "schema": param.schema() })
    }));
    if endpoint.verb() == http::Method::POST {
        let about = "Repeats under one key are one request.";
        let mut key = header("Idempotency-Key", about);
        key["schema"] = json!({
            "type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[\t -~]+$",
        });
        all.push(key);
    }
    if matches!(endpoint.name, "apply" | "retire") {
        all.push(header(
            "If-Match",
            "The ETag of the version that is changed.",
        ));
        all.push(header("If-None-Match", "`*`: only if nothing is there."));
    }
    if matches!(endpoint.gives, Gives::Definition(_) | Gives::Kept(_)) {
        let about = "Answer 304 when it still has this ETag.";
        all.push(header("If-None-Match", about));
    }
    if matches!(endpoint.gives, Gives::Events(_)) {
        all.push(header(
            "Last-Event-ID",
            "The id of the last event that was seen.",
        ));
    }
    all
}

/// The schema of an answer with the instant that it was read at.
fn told(schema: &Value) -> Value {
    let as_of = json!({ "type": "string", "format": "date-time",
        "description": "When the answer was read from where it is kept." });
    json!({ "allOf": [schema, { "type": "object", "required": ["asOf"],
        "properties": { "asOf": as_of } }] })
}

fn stale() -> Value {
    json!({
        "assay-stale": { "description": "Seconds since the answer could last be confirmed, where that is not so now: what keeps it does not answer, or not in time.",
            "schema": { "type": "integer" } },
    })
}

fn unchanged() -> Value {
    json!({ "description": "It still has this ETag.", "headers": stale() })
}

fn responses(endpoint: &Endpoint, book: &mut Book) -> Value {
    let mut all: Map<String, Value> = Map::new();
    let good = |kind: &str, schema: Value| json!({ "description": "Done.", "content": { kind: { "schema": schema } } });
    match endpoint.gives {
        Gives::Told(schema) | Gives::Kept(schema) => {
            let schema = told(&schema(book));
            let mut answer = good(JSON, schema);
            answer["headers"] = stale();
            all.insert("200".to_owned(), answer);
            if matches!(endpoint.gives, Gives::Kept(_)) {
                all.insert("304".to_owned(), unchanged());
            }
        }
        Gives::Json(status, schema) => {
            all.insert(status.to_string(), good(JSON, schema(book)));
            if endpoint.name == "apply" {
                all.insert("201".to_owned(), good(JSON, schema(book)));
            }
        }
        Gives::Definition(schema) => {
            let mut answer = good(JSON, told(&schema(book)));
            answer["content"][YAML] = json!({ "schema": { "type": "string" } });
            answer["headers"] = stale();
            all.insert("200".to_owned(), answer);
            all.insert("304".to_owned(), unchanged());
        }
        Gives::Events(schema) => {
            let answer = json!({
                "description": "Events; the data of each is JSON.",
                "content": { "text/event-stream": {
                    "schema": { "type": "string" }, "x-event-data": schema(book) } },
            });
            all.insert("200".to_owned(), answer);
        }
        Gives::Plain(kind) => {
            let schema = if kind == JSON {
                json!({})
            } else {
                json!({ "type": "string" })
            };
            all.insert("200".to_owned(), good(kind, schema));
        }
    }
    let takes = !matches!(endpoint.body, Body::None);
    let with_body = WITH_BODY.iter().filter(|_| takes);
    for kind in endpoint.refuses.iter().chain(ALWAYS).chain(with_body) {
        refusal(&mut all, kind, book);
    }
    Value::Object(all)
}

/// Adds a refusal; several of one status share its entry.
fn refusal(all: &mut Map<String, Value>, kind: &p::Kind, book: &mut Book) {
    let says = format!("`{}`: {}.", kind.slug, kind.title);
    let entry = all.entry(kind.status.to_string()).or_insert_with(
        || json!({ "description": "", "content": { PROBLEM: { "schema": book.of::<Problem>() } } }),
    );
    let before = entry["description"].as_str().unwrap_or_default();
    if !before.contains(&says) {
        entry["description"] = Value::String(format!("{before} {says}").trim().to_owned());
    }
}
