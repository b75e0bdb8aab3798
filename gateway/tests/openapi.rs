//! The document that is committed is the one that is served.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let document = assay_gateway::api::openapi::document();
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os("ASSAY_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == text,
        "{} is of another version: ASSAY_BLESS=1 cargo test -p assay-gateway --test openapi",
        file.display()
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_refusal_is_a_problem() {
    let document = assay_gateway::api::openapi::document();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1) {
        let target = reference.split('"').next().unwrap();
        let pointer = target.strip_prefix('#').unwrap();
        assert!(
            document.pointer(pointer).is_some_and(|s| s.is_object()),
            "{target}"
        );
    }
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (verb, operation) in operations.as_object().unwrap() {
            let names = operation["parameters"].as_array().unwrap().iter();
            let in_path = names.filter(|p| p["in"] == "path").count();
            assert_eq!(in_path, path.matches('{').count(), "{verb} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                if status.as_str() >= "400" {
                    let content = response["content"].as_object().unwrap();
                    assert!(
                        content.contains_key("application/problem+json"),
                        "{verb} {path}"
                    );
                }
            }
        }
    }
}
