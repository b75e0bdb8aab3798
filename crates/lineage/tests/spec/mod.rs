//! The schemas of OpenLineage, held against events.
//!
//! Comes in: an event. Goes out: what of it breaks a schema. It must never pass over a keyword that it
//! does not know: it panics then.

use std::collections::BTreeMap;

use serde_json::Value;

const FILES: [&str; 9] = [
    include_str!("OpenLineage.json"),
    include_str!("DataQualityAssertionsDatasetFacet.json"),
    include_str!("DataQualityMetricsInputDatasetFacet.json"),
    include_str!("TestRunFacet.json"),
    include_str!("SchemaDatasetFacet.json"),
    include_str!("ErrorMessageRunFacet.json"),
    include_str!("JobTypeJobFacet.json"),
    include_str!("NominalTimeRunFacet.json"),
    include_str!("ProcessingEngineRunFacet.json"),
];

/// What of an event, or of a facet in it, breaks its schema.
pub fn faults(event: &Value) -> Vec<String> {
    let mut files = BTreeMap::new();
    for text in FILES {
        let file: Value = serde_json::from_str(text).unwrap();
        files.insert(file["$id"].as_str().unwrap().to_owned(), file);
    }
    let mut schemas = Schemas {
        files,
        faults: Vec::new(),
    };
    let of_event = event["schemaURL"].as_str().unwrap().to_owned();
    schemas.held(&of_event, event, "event");
    let input = &event["inputs"][0];
    let facets = [
        &event["run"]["facets"],
        &event["job"]["facets"],
        &input["facets"],
        &input["inputFacets"],
    ];
    let mut seen = 0;
    for (name, facet) in facets.iter().filter_map(|f| f.as_object()).flatten() {
        let at = facet["_schemaURL"].as_str().unwrap().to_owned();
        // The file describes an object that has the facet under its name.
        let holder = serde_json::json!({ name.as_str(): facet });
        schemas.held(&at, &holder, name);
        let file = &schemas.files[&at];
        assert!(
            file["properties"][name].is_object(),
            "{name} is no name of {at}"
        );
        seen += 1;
    }
    assert!(seen >= 2, "an event has facets");
    schemas.faults
}

struct Schemas {
    files: BTreeMap<String, Value>,
    faults: Vec<String>,
}

impl Schemas {
    /// Holds a value against the schema at an address.
    fn held(&mut self, at: &str, value: &Value, place: &str) {
        let (file, pointer) = at.split_once('#').unwrap_or((at, ""));
        let whole = self.files.get(file);
        let whole = whole.unwrap_or_else(|| panic!("{file} is not among the schemas"));
        let schema = whole.pointer(pointer).unwrap().clone();
        self.check(file, &schema, value, place);
    }

    /// Whether a value keeps to a schema, without noting what is wrong.
    fn keeps(&mut self, file: &str, schema: &Value, value: &Value) -> bool {
        let before = self.faults.len();
        self.check(file, schema, value, "");
        let keeps = self.faults.len() == before;
        self.faults.truncate(before);
        keeps
    }

    fn wrong(&mut self, place: &str, what: &str) {
        self.faults.push(format!("{place}: {what}"));
    }

    fn check(&mut self, file: &str, schema: &Value, value: &Value, place: &str) {
        let Value::Object(rules) = schema else {
            assert_eq!(
                schema,
                &Value::Bool(true),
                "{place}: a schema of another kind"
            );
            return;
        };
        for (keyword, rule) in rules {
            match keyword.as_str() {
                "$ref" => {
                    let at = rule.as_str().unwrap();
                    let at = match at.strip_prefix('#') {
                        Some(pointer) => format!("{file}#{pointer}"),
                        None => at.to_owned(),
                    };
                    self.held(&at, value, place);
                }
                "type" if !is_of(value, rule.as_str().unwrap()) => {
                    self.wrong(place, &format!("{value} is no {rule}"));
                }
                "enum" if !rule.as_array().unwrap().contains(value) => {
                    self.wrong(place, &format!("{value} is none of {rule}"));
                }
                "required" => {
                    for name in rule.as_array().unwrap() {
                        if value.get(name.as_str().unwrap()).is_none() {
                            self.wrong(place, &format!("{name} is absent"));
                        }
                    }
                }
                "minimum" if value.as_f64() < rule.as_f64() => self.wrong(place, "too small"),
                "properties" => {
                    for (name, of) in rule.as_object().unwrap() {
                        if let Some(inner) = value.get(name) {
                            self.check(file, of, inner, &format!("{place}.{name}"));
                        }
                    }
                }
                "additionalProperties" => {
                    let named = rules.get("properties").and_then(Value::as_object);
                    for (name, inner) in value.as_object().into_iter().flatten() {
                        if named.is_none_or(|named| !named.contains_key(name)) {
                            self.check(file, rule, inner, &format!("{place}.{name}"));
                        }
                    }
                }
                "items" => {
                    for (at, inner) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(file, rule, inner, &format!("{place}[{at}]"));
                    }
                }
                "allOf" => {
                    for of in rule.as_array().unwrap() {
                        self.check(file, of, value, place);
                    }
                }
                "anyOf" | "oneOf" => {
                    let all = rule.as_array().unwrap();
                    let kept = all.iter().filter(|of| self.keeps(file, of, value)).count();
                    if kept == 0 || (keyword == "oneOf" && kept > 1) {
                        self.wrong(place, &format!("it keeps to {kept} of {keyword}"));
                    }
                }
                "not" => {
                    if self.keeps(file, rule, value) {
                        self.wrong(place, "it is what it must not be");
                    }
                }
                "format" => self.format(rule.as_str().unwrap(), value, place),
                "type" | "enum" | "minimum" | "description" | "example" | "$schema" | "$id"
                | "$defs" => {}
                other => panic!("{place}: the keyword {other} is not known here"),
            }
        }
    }

    fn format(&mut self, format: &str, value: &Value, place: &str) {
        let Some(text) = value.as_str() else { return };
        let good = match format {
            "uuid" => uuid::Uuid::try_parse(text).is_ok(),
            "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
            "uri" => text.contains("://") && !text.contains(char::is_whitespace),
            other => panic!("{place}: the format {other} is not known here"),
        };
        if !good {
            self.wrong(place, &format!("{text} is no {format}"));
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the type {other} is not known here"),
    }
}
