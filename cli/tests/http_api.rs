//! The HTTP API of `assay dev`: every answer is as its document says, and says what the command says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod web;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{Definition, Place, Running};
use serde_json::{Value, json};
use web::{Answer, Schema, Site};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn definition(place: &Place) -> Definition {
    Definition::new("orders", place.path("data"), "csv")
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 1, severity: warning }")
}

/// A cluster on two days, of which one warns; its runs have ended.
async fn cluster(place: &Place) -> (Running, Site) {
    place.write("data/date=2026-01-01.csv", "id,amount\n1,1.5\n2,3.5\n");
    place.write("data/date=2026-01-02.csv", "id,amount\n1,2.5\n");
    place.write("datasets/orders.odcs.yaml", definition(place).text());
    let dev = ["dev", "--grpc-port", "0", "--poll-s", "3600"];
    let dev = Running::start(place.command(&dev), &place.path("log"));
    place.settled(2, PATIENCE).await;
    let site = Site::of_log(&place.path("log"));
    (dev, site)
}

/// Waits until `look` gives something.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The real parts of paths.
fn filled(path: &str, run: &str) -> String {
    let parts = [
        ("{dataset}", "orders"),
        ("{check}", "many"),
        ("{metric}", "rowCount"),
        ("{revision}", "1"),
        ("{run}", run),
        ("{no}", "0"),
        ("{node}", "node-1"),
        ("{schema}", "Problem.json"),
        ("{slug}", "not-found"),
    ];
    let fill = |path: String, (name, value): &(&str, &str)| path.replace(name, value);
    parts.iter().fold(path.to_owned(), fill)
}

#[tokio::test]
async fn every_answer_is_as_the_document_says() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    let document = site.get("/api/v1/openapi.json").ok();
    let schema = Schema::of(&document);
    let run = site.get("/api/v1/runs?limit=1").ok()["items"][0]["id"].clone();
    let run = run.as_str().unwrap().to_owned();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(operation) = operations.get("get") else {
            continue;
        };
        let path = filled(path, &run);
        if path.ends_with("/events") {
            continue;
        }
        let answer = site.get(&path);
        let unmade = ["{incident}", "{feedback}", "{subscription}", "{delivery}"];
        let expected = if unmade.iter().any(|part| path.contains(part)) {
            404
        } else {
            200
        };
        assert_eq!(answer.status, expected, "{path}: {}", answer.text());
        schema.check(&operation["responses"], &answer, &path);
        asked += 1;
        // What is not known is refused everywhere.
        let refused = site.get(&format!("{path}?nonsense=1"));
        assert_eq!(refused.problem(400), "unknown-parameter", "{path}");
        schema.check(&operation["responses"], &refused, &path);
    }
    assert!(asked > 25, "{asked} paths");
    dev.kill();
}

#[tokio::test]
async fn where_it_listens_and_what_is_set_is_told_as_it_is() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    let grpc = log
        .lines()
        .find_map(|line| line.trim().strip_prefix("gRPC"));
    let grpc = grpc.unwrap().trim().to_owned();
    let cluster = site.get("/api/v1/cluster").ok();
    let managers = &cluster["managers"];
    assert_eq!(
        managers[0]["address"],
        format!("http://{grpc}"),
        "{managers}"
    );
    let status = place.assay(&["cluster", "status"]).ended(0).out;
    assert!(status.contains(&format!("at http://{grpc},")), "{status}");
    let doctor = place.assay(&["doctor", "-o", "json"]).json().to_string();
    assert!(
        doctor.contains(&format!("{grpc}, the manager of this")),
        "{doctor}"
    );
    let settings = site.get("/settings").text();
    let port = grpc.rsplit(':').next().unwrap();
    for shown in ["dev.grpc_port", port, "flag --grpc-port", "store.data_dir"] {
        assert!(settings.contains(shown), "{shown}: {settings}");
    }
    dev.kill();
}

/// `expected` is in `found`, field by field; what only the API has is left alone.
#[track_caller]
fn same(found: &Value, expected: &Value, of: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected {
                let spelt = web::camel(name);
                let there = found.get(&spelt).unwrap_or(&Value::Null);
                same(there, value, &format!("{of}.{spelt}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{of}");
            for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
                same(found, expected, &format!("{of}[{n}]"));
            }
        }
        _ => assert_eq!(found, expected, "{of}"),
    }
}

#[tokio::test]
async fn the_api_says_what_the_command_says() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    let said = |args: &[&str]| place.assay(args).ended(0).json();
    let runs = said(&["run", "list", "-o", "json"]);
    let told = site.get("/api/v1/runs").ok();
    same(&told["items"], &runs["items"], "runs");
    let id = runs["items"][0]["id"].as_str().unwrap();
    let run = said(&["run", "get", id, "-o", "json"]);
    let tasks = site.get(&format!("/api/v1/runs/{id}/tasks")).ok();
    same(&tasks["items"], &run["items"][0]["tasks"], "tasks");
    let datasets = said(&["dataset", "list", "-o", "json"]);
    let told = site.get("/api/v1/datasets").ok();
    let mut expected = datasets["items"].clone();
    // The command names the file as it was given to it.
    expected[0].as_object_mut().unwrap().remove("file");
    same(&told["items"], &expected, "datasets");
    let history = said(&["metric", "history", "orders", "rowCount", "-o", "json"]);
    let points = site
        .get("/api/v1/datasets/orders/metrics/rowCount/points")
        .ok();
    let expected = history["items"][0]["points"].as_array().unwrap();
    assert_eq!(points["points"].as_array().unwrap().len(), expected.len());
    for (told, said) in points["points"].as_array().unwrap().iter().zip(expected) {
        for field in [
            "partition",
            "version",
            "status",
            "value",
            "outcome",
            "alsoExpected",
        ] {
            assert_eq!(told[field], said[field], "{field}");
        }
        for bound in ["lower", "upper", "model"] {
            assert_eq!(told[bound], said["limits"][bound], "{bound}");
        }
    }
    let nodes = said(&["node", "list", "-o", "json"]);
    let told = site.get("/api/v1/nodes").ok();
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|node| node["id"].to_string()).collect()
    };
    assert_eq!(names(&told), names(&nodes));
    let file = place.write(
        "bad.yaml",
        "apiVersion: v3.1.0\nkind: DataContract\nid: x\n",
    );
    let bad = place.assay(&["dataset", "validate", file.to_str().unwrap(), "-o", "json"]);
    let bad = bad.ended(3).json();
    let text = std::fs::read(&file).unwrap();
    let told = site
        .send("POST", "/api/v1/datasets:validate", &[web::YAML], &text)
        .ok();
    let codes = |list: &Value| -> Vec<(Value, Value)> {
        let list = list.as_array().unwrap().iter();
        list.map(|d| (d["code"].clone(), d["line"].clone()))
            .collect()
    };
    let expected = codes(&bad["items"]);
    assert!(!expected.is_empty(), "{bad:#}");
    assert_eq!(codes(&told["diagnostics"]), expected);
    dev.kill();
}

#[tokio::test]
async fn what_is_wrong_is_a_problem_with_its_kind() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    let big = vec![b'a'; (1 << 20) + 1];
    let json = ("content-type", "application/json");
    let cases: &[(Answer, u16, &str)] = &[
        (site.get("/api/v1/nothing"), 404, "not-found"),
        (site.get("/api/v1/datasets/none"), 404, "not-found"),
        (site.get("/api/v1/datasets/a%20b"), 404, "not-found"),
        (site.get("/api/v1/runs/run_1"), 404, "not-found"),
        (site.get("/api/v1/datasets?limit=0"), 400, "bad-parameter"),
        (site.get("/api/v1/datasets?cursor=x"), 400, "bad-cursor"),
        (site.get("/api/v1/runs?state=happy"), 400, "bad-parameter"),
        (
            site.send("PATCH", "/api/v1/datasets", &[], b""),
            405,
            "method-not-allowed",
        ),
        (
            site.send("DELETE", "/api/v1/runs", &[], b""),
            405,
            "method-not-allowed",
        ),
        (
            site.send("POST", "/api/v1/datasets:validate", &[web::YAML], &big),
            413,
            "too-large",
        ),
        (
            site.send("POST", "/api/v1/datasets/orders/runs", &[web::YAML], b"{}"),
            415,
            "unsupported-media-type",
        ),
        (
            site.send(
                "POST",
                "/api/v1/datasets/orders/runs",
                &[json],
                b"{\"partitoin\":1}",
            ),
            422,
            "bad-body",
        ),
        (
            site.send(
                "PUT",
                "/api/v1/datasets/orders",
                &[web::YAML],
                b"id: orders\n",
            ),
            422,
            "invalid-definition",
        ),
        (
            site.send(
                "PUT",
                "/api/v1/datasets/other",
                &[web::YAML],
                definition(&place).text().as_bytes(),
            ),
            422,
            "bad-body",
        ),
        (
            site.send(
                "GET",
                "/api/v1/datasets/orders/definition",
                &[("accept", "image/png")],
                b"",
            ),
            406,
            "not-acceptable",
        ),
        (
            site.send(
                "POST",
                "/api/v1/cluster:scale",
                &[json],
                b"{\"min\":5,\"max\":1}",
            ),
            422,
            "bad-body",
        ),
        (
            site.send("POST", "/api/v1/nodes/none:drain", &[json], b"{}"),
            404,
            "not-found",
        ),
    ];
    for (answer, status, slug) in cases {
        assert_eq!(answer.problem(*status), *slug);
    }
    let allow = site.send("DELETE", "/api/v1/runs", &[], b"");
    assert_eq!(allow.header("allow"), Some("GET, HEAD"));
    let head = site.send("HEAD", "/api/v1/datasets", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    dev.kill();
}

#[tokio::test]
async fn of_two_changes_of_one_version_one_is_made() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    let path = "/api/v1/datasets/orders";
    let yaml = [web::YAML, ("accept", "application/yaml")];
    let there = site.send("GET", &format!("{path}/definition"), &yaml, b"");
    assert_eq!(there.text(), definition(&place).text());
    let tag = there.header("etag").unwrap().to_owned();
    let text = |least: u32| {
        let rule = format!("{{ id: least, metric: rowCount, mustBeGreaterThan: {least} }}");
        definition(&place).check(&rule).text()
    };
    // Without the version that is changed, nothing is.
    let blind = site.send("PUT", path, &[web::YAML], text(0).as_bytes());
    assert_eq!(blind.problem(428), "precondition-required");
    let tried = site.send(
        "PUT",
        &format!("{path}?dryRun"),
        &[web::YAML],
        text(0).as_bytes(),
    );
    let tried = tried.ok();
    assert_eq!(tried["done"], "changed");
    assert_eq!(tried["diff"]["checksAdded"], json!(["least"]));
    assert_eq!(
        site.get(&format!("{path}/definition")).ok()["text"],
        definition(&place).text()
    );
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let put = |least: u32| {
            let (site, tag) = (&site, &tag);
            let body = text(least);
            scope.spawn(move || {
                let headers = [web::YAML, ("if-match", tag.as_str())];
                site.send("PUT", path, &headers, body.as_bytes())
            })
        };
        let all: Vec<_> = (1..5).map(put).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let made: Vec<&Answer> = answers.iter().filter(|a| a.status == 200).collect();
    let statuses: Vec<u16> = answers.iter().map(|a| a.status).collect();
    assert_eq!(made.len(), 1, "{statuses:?}");
    for refused in answers.iter().filter(|a| a.status != 200) {
        assert_eq!(refused.problem(412), "precondition-failed");
    }
    let now = site.get(&format!("{path}/definition"));
    assert_eq!(now.header("etag"), made[0].header("etag"));
    let known = [("if-none-match", now.header("etag").unwrap())];
    let same = site.send("GET", &format!("{path}/definition"), &known, b"");
    assert_eq!((same.status, same.body.len()), (304, 0));
    dev.kill();
}

#[tokio::test]
async fn a_run_is_started_once_a_key_followed_and_seen_at_once() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    let strip = || {
        let checks = site.get("/api/v1/datasets/orders/checks").ok();
        let of = checks["items"].as_array().unwrap().iter();
        let rows = of.clone().find(|c| c["id"] == "rows").cloned();
        rows.unwrap()["strip"].as_array().unwrap().len()
    };
    assert_eq!(strip(), 2);
    place.write("data/date=2026-01-03.csv", "id,amount\n1,1.5\n");
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k-1"),
    ];
    let start = |body: &[u8]| site.send("POST", "/api/v1/datasets/orders/runs", &headers, body);
    let first = start(b"{}");
    assert_eq!(first.status, 202, "{}", first.text());
    let run = first.json()["runId"].as_str().unwrap().to_owned();
    assert_eq!(
        first.header("location"),
        Some(format!("/api/v1/runs/{run}").as_str())
    );
    let again = start(b"{}");
    assert_eq!(again.json()["runId"], run.as_str());
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(
        start(b"{\"rescan\":true}").problem(422),
        "idempotency-key-reused"
    );
    let path = format!("/api/v1/runs/{run}/events");
    let seen = web::events(&site.send("GET", &path, &[], b""));
    let (_, last) = seen.last().unwrap();
    assert_eq!(
        (last["kind"].as_str(), last["state"].as_str()),
        (Some("run"), Some("succeeded"))
    );
    assert_eq!(last["segments"]["done"], 3, "{last:#}");
    // As soon as the run has ended, its verdicts are seen.
    assert_eq!(strip(), 3);
    // Whoever comes back is told of what has moved since, and how it stands.
    let (id, _) = &seen[0];
    let back = web::events(&site.send("GET", &path, &[("last-event-id", id)], b""));
    let tasks: BTreeSet<u64> = back
        .iter()
        .filter(|(_, data)| data["kind"] == "task")
        .map(|(_, data)| data["task"]["no"].as_u64().unwrap())
        .collect();
    assert_eq!(tasks, BTreeSet::from([0, 1, 2]));
    assert_eq!(&back.last().unwrap().1["state"], "succeeded");
    let retry = site.send("POST", &format!("/api/v1/runs/{run}:retry"), &[], b"");
    assert_eq!(retry.problem(409), "conflict");
    until("the overview knows the run", || {
        let status = site.get("/api/v1/status").ok();
        let runs = status["runs"].as_array()?.iter();
        runs.clone()
            .any(|square| square["id"] == run.as_str())
            .then_some(())
    });
    dev.kill();
}

#[tokio::test]
async fn a_taken_port_names_what_to_try() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    place
        .assay(&["dev", "--grpc-port", "0", "--port", &port])
        .ended(4)
        .kind(&[&port, "is the port in use?", "--port 0", "--headless"]);
}
