//! The served API against its own document: schemathesis asks what the document allows, and what it
//! does not, and judges every answer by it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use assay_test_servers::receiver::{Behaviour, Receiver};
use serde_json::{Value, json};

use super::common::{Definition, Place, Running};
use super::web::Site;
use super::{JSON, until};

/// Names the program where it is not where `make tools` puts it.
const PROGRAM: &str = "ASSAY_SCHEMATHESIS";

/// What an answer must be: no failure of the server, and nothing that the document does not say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,\
                      negative_data_rejection,unsupported_method,allow_header_conformance";

fn program() -> PathBuf {
    let named = std::env::var_os(PROGRAM).map(PathBuf::from);
    let home = std::env::var_os("HOME").unwrap_or_default();
    let usual = Path::new(&home).join(".cache/assay/tools/schemathesis/bin/schemathesis");
    let path = named.unwrap_or(usual);
    assert!(
        path.is_file(),
        "schemathesis is not at {}: run `make tools`, or name it with {PROGRAM}",
        path.display()
    );
    path
}

/// A cluster of which there is one of everything that a path can name.
async fn cluster(place: &Place, receiver: &Receiver) -> (Running, Site) {
    place.write("data/date=2026-01-01.csv", "id,amount\n1,1.5\n");
    let definition = Definition::new("orders", place.path("data"), "csv")
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 1, severity: error }");
    place.write("datasets/orders.odcs.yaml", definition.text());
    let allow = format!("[webhook]\nallow = [\"{}\"]\n", receiver.url());
    place.write("notify.toml", allow);
    place.write("assay.toml", "[notify]\nfile = \"notify.toml\"\n");
    let dev = ["dev", "--grpc-port", "0", "--poll-s", "3600"];
    let dev = Running::start(place.command(&dev), &place.path("log"));
    place.settled(1, Duration::from_secs(60)).await;
    let site = Site::of_log(&place.path("log"));
    (dev, site)
}

fn made(site: &Site, path: &str, body: &Value) -> Value {
    let answer = site.send("POST", path, &[JSON], body.to_string().as_bytes());
    assert!(answer.status < 300, "{path}: {}", answer.text());
    answer.json()
}

/// The real parts of paths: what is invented finds nothing everywhere.
fn parts(site: &Site, receiver: &Receiver) -> String {
    let newest = |list: &str| {
        until(list, || {
            let found = site.get(list).ok();
            found["items"][0]["id"].as_str().map(str::to_owned)
        })
    };
    let (run, incident) = (newest("/api/v1/runs"), newest("/api/v1/incidents"));
    let window = json!({
        "kind": "exclude_window", "from": "2026-01-01", "to": "2026-01-01", "reason": "closed",
    });
    let kept = made(site, "/api/v1/datasets/orders/feedback", &window);
    let hook = json!({ "channel": "webhook", "target": receiver.url(), "dataset": "orders" });
    let subscription = made(site, "/api/v1/subscriptions", &hook)["id"].clone();
    let id = subscription.as_str().unwrap();
    let test = format!("/api/v1/subscriptions/{id}:test");
    let delivery = made(site, &test, &json!({}))["id"].clone();
    let mut config = "[parameters]\n".to_owned();
    for (name, value) in [
        ("dataset", json!("orders")),
        ("check", json!("many")),
        ("metric", json!("rowCount")),
        ("revision", json!("1")),
        ("run", json!(run)),
        ("no", json!("0")),
        ("node", json!("node-1")),
        ("incident", json!(incident)),
        ("feedback", kept["feedback"]["id"].clone()),
        ("subscription", subscription),
        ("delivery", delivery),
        ("schema", json!("Problem.json")),
        ("slug", json!("not-found")),
    ] {
        config.push_str(&format!("\"path.{name}\" = {value}\n"));
    }
    config
}

/// Asks everything; what was said, and whether all was well.
fn ask(place: &Place, site: &Site, config: &str) -> Result<String, String> {
    let folder = place.path("asked");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("schemathesis.toml"), config).unwrap();
    let document = format!("http://{}/api/v1/openapi.json", site.address());
    let output = Command::new(program())
        .args(["run", document.as_str(), "--checks", CHECKS])
        .args(["--seed", "1", "--phases", "coverage,fuzzing"])
        .args(["--max-examples", "4", "--workers", "1", "--no-shrink"])
        .args(["--continue-on-failure", "--request-timeout", "15"])
        .args(["--warnings", "off", "--no-color"])
        // A stream does not end while the cluster lives.
        .args(["--exclude-path-regex", "/events$"])
        .current_dir(&folder)
        .env("HOME", &folder)
        .env("COLUMNS", "200")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said + &String::from_utf8_lossy(&output.stderr))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_whatever_may_be_asked_is_documented_and_none_is_a_failure() {
    let place = Place::new();
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let (dev, site) = cluster(&place, &receiver).await;
    let config = parts(&site, &receiver);
    match ask(&place, &site, &config) {
        Ok(said) => assert!(said.contains("No issues found"), "{said}"),
        Err(said) => panic!("{said}"),
    }
    // It still serves.
    assert_eq!(site.get("/livez").status, 200);
    dev.kill();
}
