//! The API's own document as a page.

use askama::Template;
use serde_json::Value;

use super::Body;
use crate::Pages;
use crate::frame::{Cx, Frame, Section};

struct Parameter {
    name: String,
    place: String,
    required: bool,
    about: String,
}

struct Answer {
    status: String,
    about: String,
}

impl Answer {
    /// Whether it is no good answer.
    fn refuses(&self) -> bool {
        self.status.starts_with(['4', '5'])
    }
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    about: String,
    parameters: Vec<Parameter>,
    answers: Vec<Answer>,
}

struct Group {
    name: String,
    anchor: String,
    operations: Vec<Operation>,
}

#[derive(Template)]
#[template(path = "api.html")]
struct Page {
    frame: Frame,
    title: String,
    version: String,
    about: String,
    groups: Vec<Group>,
    count: usize,
}

fn text(of: &Value, key: &str) -> String {
    of.get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        // Marks of Markdown: the page shows plain words.
        .replace('`', "")
}

/// A part of the document, or what it refers to within it.
fn resolved<'a>(document: &'a Value, of: &'a Value) -> &'a Value {
    let target = of
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|r| r.strip_prefix('#'));
    target
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(of)
}

fn operation(document: &Value, path: &str, method: &str, of: &Value, number: usize) -> Operation {
    let parameters = of
        .get("parameters")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let answers = of
        .get("responses")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    Operation {
        id: format!("op{number}"),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(of, "summary"),
        about: text(of, "description"),
        parameters: parameters
            .map(|p| resolved(document, p))
            .map(|p| Parameter {
                name: text(p, "name"),
                place: text(p, "in"),
                required: p.get("required").and_then(Value::as_bool).unwrap_or(false),
                about: text(p, "description"),
            })
            .collect(),
        answers: answers
            .map(|(status, answer)| Answer {
                status: status.clone(),
                about: text(resolved(document, answer), "description"),
            })
            .collect(),
    }
}

/// The operations of a document by their first tag, or by the first part of their path.
fn groups(document: &Value) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let paths = document
        .get("paths")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let mut number = 0;
    for (path, of) in paths {
        for method in ["get", "put", "post", "patch", "delete"] {
            let Some(of) = of.get(method) else { continue };
            number += 1;
            let tag = of.pointer("/tags/0").and_then(Value::as_str);
            let first = path.trim_start_matches("/api/v1").trim_start_matches('/');
            let first = first.split(['/', ':', '{']).next().unwrap_or_default();
            let name = tag
                .unwrap_or(if first.is_empty() { "other" } else { first })
                .to_owned();
            let made = operation(document, path, method, of, number);
            match groups.iter_mut().find(|g| g.name == name) {
                Some(group) => group.operations.push(made),
                None => groups.push(Group {
                    anchor: format!("g{}", groups.len()),
                    name,
                    operations: vec![made],
                }),
            }
        }
    }
    groups
}

/// The page.
///
/// # Errors
/// None but those of rendering.
pub fn page(pages: &Pages, cx: &Cx<'_>) -> Body {
    let document = pages.facts.openapi();
    let info = document.get("info").unwrap_or(&Value::Null);
    let groups = groups(&document);
    super::render(&Page {
        frame: Frame::new(cx, "API", Section::Api).same("/api/v1/openapi.json", ""),
        title: text(info, "title"),
        version: text(info, "version"),
        about: text(info, "description"),
        count: groups.iter().map(|g| g.operations.len()).sum(),
        groups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_grouped_and_references_followed() {
        let document = serde_json::json!({
            "paths": {
                "/api/v1/datasets": { "get": {
                    "summary": "List", "parameters": [{ "$ref": "#/components/parameters/Limit" }],
                    "responses": { "200": { "description": "The list" } } } },
                "/api/v1/datasets/{id}": { "get": { "tags": ["datasets"] }, "x-other": {} },
                "/livez": { "get": {} }
            },
            "components": { "parameters": { "Limit": { "name": "limit", "in": "query" } } }
        });
        let groups = groups(&document);
        assert_eq!(
            groups.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(),
            ["datasets", "livez"]
        );
        assert_eq!(groups[0].operations[0].parameters[0].name, "limit");
        assert!(super::groups(&Value::Null).is_empty());
    }
}
