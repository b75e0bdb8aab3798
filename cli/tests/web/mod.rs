//! A client of the HTTP API for tests, and a check of answers against its document.
//!
//! Comes in: requests. Goes out: whole answers. The check knows the keywords that our document has,
//! and fails on any other.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// The header of a dataset file.
pub const YAML: (&str, &str) = ("content-type", "application/yaml");

/// Where the API is.
pub struct Site {
    address: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Site {
    /// The one at `address`.
    pub fn at(address: &str) -> Self {
        Self {
            address: address.to_owned(),
        }
    }

    /// The one whose address a program has written to its log.
    #[track_caller]
    pub fn of_log(log: &Path) -> Self {
        let log = std::fs::read_to_string(log).unwrap();
        let line = log.lines().find(|line| line.contains("HTTP API")).unwrap();
        let address = line.split("http://").nth(1).unwrap();
        Self::at(address.split('/').next().unwrap())
    }

    /// Where it is, as host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks for a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// Sends a request, and reads its answer to the end.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!(
            "content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        ));
        stream.write_all(head.as_bytes()).unwrap();
        // A body that is too large may be refused before it was sent.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        // After a refusal the rest may be cut off; what came is the answer.
        let _ = stream.read_to_end(&mut answer);
        Answer::read(&answer)
    }
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut body = bytes[end + 4..].to_vec();
        if headers
            .get("transfer-encoding")
            .is_some_and(|e| e == "chunked")
        {
            body = unchunked(&body);
        }
        Self {
            status,
            headers,
            body,
        }
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// All headers, by their names in small letters.
    pub const fn headers(&self) -> &BTreeMap<String, String> {
        &self.headers
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The JSON of a good answer.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// The kind of a problem.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        let kind = problem["type"].as_str().unwrap();
        kind.rsplit('/').next().unwrap().to_owned()
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
    body
}

/// The events of a stream: their ids and data.
#[track_caller]
pub fn events(answer: &Answer) -> Vec<(String, Value)> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let text = answer.text();
    let events = text.split("\n\n").filter(|event| event.starts_with("id: "));
    events
        .map(|event| {
            let field = |name: &str| {
                let mut lines = event.lines();
                lines.find_map(|line| line.strip_prefix(name)).unwrap()
            };
            let data = serde_json::from_str(field("data: ")).unwrap();
            (field("id: ").to_owned(), data)
        })
        .collect()
}

/// `model_version` as the API spells it.
pub fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap().to_owned();
    for word in words {
        out.push_str(&word[..1].to_uppercase());
        out.push_str(&word[1..]);
    }
    out
}

/// The schemas of a document.
pub struct Schema {
    components: Value,
}

impl Schema {
    /// Those of `document`.
    pub fn of(document: &Value) -> Self {
        Self {
            components: document["components"]["schemas"].clone(),
        }
    }

    /// Checks an answer against the responses of its operation.
    #[track_caller]
    pub fn check(&self, responses: &Value, answer: &Answer, path: &str) {
        let response = &responses[answer.status.to_string()];
        assert!(
            response.is_object(),
            "{path}: {} is not documented",
            answer.status
        );
        let kind = answer.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap();
        let content = &response["content"][kind];
        assert!(content.is_object(), "{path}: `{kind}` is not documented");
        if kind.ends_with("json")
            && let Err(why) = self.fits(&content["schema"], &answer.json(), "$")
        {
            panic!("{path}: {why}");
        }
    }

    fn fits(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (keyword, rule) in schema.as_object().ok_or("a schema is no object")? {
            self.keeps(keyword, rule, schema, value)
                .map_err(|why| {
                    if why.starts_with('$') {
                        why
                    } else {
                        format!("{at}: {why}")
                    }
                })
                .map_err(|why| why.replace("$.", &format!("{at}.")))?;
        }
        Ok(())
    }

    fn keeps(
        &self,
        keyword: &str,
        rule: &Value,
        schema: &Value,
        value: &Value,
    ) -> Result<(), String> {
        let all = || rule.as_array().into_iter().flatten();
        let fitting = || {
            all()
                .filter(|one| self.fits(one, value, "$").is_ok())
                .count()
        };
        let good = match keyword {
            "$ref" => {
                let name = rule
                    .as_str()
                    .and_then(|r| r.rsplit('/').next())
                    .ok_or("no name")?;
                return self.fits(&self.components[name], value, "$");
            }
            "allOf" => return all().try_for_each(|one| self.fits(one, value, "$")),
            "anyOf" => fitting() > 0,
            "oneOf" => fitting() == 1,
            "const" => rule == value,
            "enum" => all().any(|one| one == value),
            "type" => match rule.as_str() {
                Some("object") => value.is_object(),
                Some("array") => value.is_array(),
                Some("string") => value.is_string(),
                Some("integer") => value.is_u64() || value.is_i64(),
                Some("number") => value.is_number(),
                Some("boolean") => value.is_boolean(),
                Some("null") => value.is_null(),
                _ => return Err(format!("the type {rule} is not known")),
            },
            "required" => all().all(|name| value.get(name.as_str().unwrap_or_default()).is_some()),
            "properties" => {
                for (name, inner) in rule.as_object().ok_or("no properties")? {
                    if let Some(value) = value.get(name) {
                        self.fits(inner, value, &format!("$.{name}"))?;
                    }
                }
                true
            }
            "items" => {
                let items = value.as_array().into_iter().flatten();
                items
                    .enumerate()
                    .try_for_each(|(n, item)| self.fits(rule, item, &format!("$.{n}")))?;
                true
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object();
                let mut others = value.as_object().into_iter().flatten();
                match rule {
                    Value::Bool(false) => {
                        others.all(|(name, _)| known.is_some_and(|k| k.contains_key(name)))
                    }
                    rule => return others.try_for_each(|(_, value)| self.fits(rule, value, "$")),
                }
            }
            "minimum" => value.as_f64() >= rule.as_f64(),
            "maximum" => value.as_f64() <= rule.as_f64(),
            "description" | "format" | "maxLength" => true,
            other => return Err(format!("the keyword `{other}` is not known")),
        };
        if good {
            return Ok(());
        }
        Err(format!("{keyword} {rule} does not hold of {value}"))
    }
}
