//! Incidents and subscriptions: over the API and on pages the same as by the command.

use std::time::Duration;

use assay_test_servers::receiver::{Behaviour, Receiver};
use serde_json::{Value, json};

use super::common::{Definition, Place, Running};
use super::web::{Answer, Schema, Site};
use super::{FORM, JSON, until};

/// What may be a secret in an address.
const CANARY: &str = "CANARY-31c9";

struct Scene {
    place: Place,
    dev: Running,
    site: Site,
    document: Value,
}

impl Scene {
    /// A cluster on a day with too few rows, that may tell `receiver`.
    async fn new(receiver: &Receiver) -> Self {
        let place = Place::new();
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
        let document = site.get("/api/v1/openapi.json").ok();
        Self {
            place,
            dev,
            site,
            document,
        }
    }

    /// Sends JSON; the answer is as the document says of `operation`.
    fn send(&self, operation: (&str, &str), path: &str, body: &Value) -> Answer {
        let (method, of) = operation;
        let path = format!("/api/v1/{path}");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self.site.send(method, &path, &[JSON], body.as_bytes());
        let of = format!("/api/v1/{of}");
        let responses = &self.document["paths"][&of][method.to_lowercase()]["responses"];
        Schema::of(&self.document).check(responses, &answer, &path);
        answer
    }

    fn said(&self, args: &[&str]) -> Value {
        self.place.assay(args).ended(0).json()
    }

    fn incident(&self) -> String {
        until("an incident", || {
            let open = self.site.get("/api/v1/incidents?status=open").ok();
            open["items"][0]["id"].as_str().map(str::to_owned)
        })
    }
}

#[tokio::test]
async fn an_incident_is_taken_muted_assigned_and_resolved_over_the_api_and_its_page() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let scene = Scene::new(&receiver).await;
    let id = scene.incident();
    let listed = scene.site.get("/api/v1/incidents?dataset=orders").ok();
    let commands = scene.said(&["incident", "list", "--all", "-o", "json"]);
    assert_eq!(listed["items"], commands["items"]);
    assert_eq!(
        scene.site.get("/api/v1/status").ok()["incidents"]["error"],
        1
    );
    let operation = ("PATCH", "incidents/{incident}");
    let path = format!("incidents/{id}");
    let change = |body: Value| scene.send(operation, &path, &body);
    let taken = change(json!({ "acknowledge": true })).ok();
    assert_eq!(
        (&taken["status"], &taken["acknowledgedBy"]),
        (&json!("acknowledged"), &json!("local"))
    );
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let muted = change(json!({ "muteUntil": soon })).ok();
    assert!(muted["mutedUntil"].is_string(), "{muted:#}");
    assert_eq!(
        change(json!({ "unmute": true })).ok()["mutedUntil"],
        Value::Null
    );
    assert_eq!(change(json!({ "assign": "bob" })).ok()["assignee"], "bob");
    // Nothing is half understood, and nobody acts in another's name.
    for (body, status, slug) in [
        (json!({}), 422, "bad-body"),
        (
            json!({ "acknowledge": true, "resolve": true }),
            422,
            "bad-body",
        ),
        (json!({ "acknowledge": true, "by": "ada" }), 422, "bad-body"),
        (
            json!({ "muteUntil": "2020-01-01T00:00:00Z" }),
            409,
            "conflict",
        ),
    ] {
        assert_eq!(change(body).problem(status), slug);
    }
    // A note says what others should know, with who and when; a repeat is one note.
    let said = "the loader was off\n<b>since 3</b>";
    let operation = ("POST", "incidents/{incident}/notes");
    for _ in 0..2 {
        let noted = scene.send(
            operation,
            &format!("{path}/notes"),
            &json!({ "text": said }),
        );
        assert_eq!(noted.status, 201, "{}", noted.text());
    }
    for bad in [
        json!({ "text": " " }),
        json!({ "text": "a\u{1b}[2J" }),
        json!({}),
    ] {
        let refused = scene.send(operation, &format!("{path}/notes"), &bad);
        assert_eq!(refused.problem(422), "bad-body");
    }
    let noted = || {
        let one = scene.site.get(&format!("/api/v1/{path}")).ok();
        let events = one["events"].as_array().unwrap().clone();
        let noted = events.into_iter().filter(|event| event["kind"] == "noted");
        noted.collect::<Vec<Value>>()
    };
    assert_eq!(noted().len(), 1, "{:?}", noted());
    assert_eq!(
        (&noted()[0]["by"], &noted()[0]["detail"]),
        (&json!("local"), &json!(said))
    );
    // The page does the same.
    let page = format!("/incidents/{id}");
    let sent = scene.site.send(
        "POST",
        &format!("{page}/note"),
        &[FORM],
        b"text=by+hand%0D%0Atwice",
    );
    assert_eq!(sent.status, 303, "{}", sent.text());
    assert_eq!(noted()[1]["detail"], "by hand\ntwice");
    let shown = scene.site.get(&page).text();
    assert!(
        shown.contains("&lt;b&gt;since 3&lt;/b&gt;") && !shown.contains("<b>since"),
        "{shown}"
    );
    let muted = scene
        .site
        .send("POST", &format!("{page}/mute"), &[FORM], b"hours=168");
    assert_eq!(muted.status, 303, "{}", muted.text());
    let shown = scene.site.get(&page).text();
    assert!(
        shown.contains("Muted until") && shown.contains("bob"),
        "{shown}"
    );
    let one = scene.site.get(&format!("/api/v1/{path}")).ok();
    let by_command = scene.said(&["incident", "get", &id, "-o", "json"]);
    assert_eq!(one["events"], by_command["items"][0]["events"]);
    assert_eq!(one["checks"][0]["check"], "many");
    // A chart leads to it by the broken check.
    let points = scene
        .site
        .get("/api/v1/datasets/orders/metrics/rowCount/points")
        .ok();
    let window = points["incidents"][0]["id"].as_str().unwrap();
    let led = scene.site.get(&format!("/api/v1/incidents/{window}")).ok();
    assert_eq!(led["id"], id.as_str());
    let resolve = format!("{page}/resolve");
    let resolved = scene.site.send("POST", &resolve, &[FORM], b"");
    assert_eq!(resolved.status, 303, "{}", resolved.text());
    let one = scene.site.get(&format!("/api/v1/{path}")).ok();
    assert_eq!(
        (&one["status"], &one["resolvedBy"]),
        (&json!("resolved"), &json!("local"))
    );
    // A repeat of what stands is answered as the first one was, and is no event.
    let again = change(json!({ "resolve": true }));
    assert_eq!(again.status, 200, "{}", again.text());
    let still = scene.site.get(&format!("/api/v1/{path}")).ok();
    assert_eq!(still["events"], one["events"]);
    scene.dev.kill();
}

#[tokio::test]
async fn a_subscription_is_made_tested_paused_and_removed_and_its_address_is_never_shown() {
    let receiver = Receiver::start(|request, _| match request.line.contains("/dead") {
        true => Behaviour::Status(410),
        false => Behaviour::Status(200),
    });
    let scene = Scene::new(&receiver).await;
    // What is broken by then is told to nobody who subscribes later.
    scene.incident();
    let (list, one) = ("subscriptions", "subscriptions/{subscription}");
    let hook = |way: &str| {
        json!({
            "channel": "webhook", "target": format!("{}/{way}/{CANARY}", receiver.url()),
            "dataset": "orders",
        })
    };
    let made = scene.send(("POST", list), list, &hook("hook"));
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let place = format!("/api/v1/subscriptions/{id}");
    assert_eq!(made.header("location"), Some(place.as_str()));
    assert_eq!(made.json()["target"], format!("{}/…", receiver.url()));
    assert_eq!(made.json()["createdBy"], "local");
    let verb = |id: &str, verb: &str| {
        let operation = format!("{one}:{verb}");
        let path = format!("subscriptions/{id}:{verb}");
        scene.send(("POST", &operation), &path, &Value::Null)
    };
    let test = |id: &str, ends: &str| {
        let sent = verb(id, "test");
        assert_eq!(sent.status, 202, "{}", sent.text());
        let at = sent.header("location").unwrap().to_owned();
        until(ends, || {
            let found = scene.site.get(&at).ok();
            (found["state"] == ends).then_some(found)
        })
    };
    test(&id, "delivered");
    assert!(receiver.heard()[0].line.contains(CANARY));
    assert_eq!(verb(&id, "pause").ok()["pausedBy"], "local");
    assert_eq!(verb(&id, "test").problem(409), "conflict");
    assert_eq!(verb(&id, "resume").ok()["pausedBy"], Value::Null);
    // What is given up is seen, and sent again under the same id.
    let dead = scene.send(("POST", list), list, &hook("dead")).json();
    let dead = dead["id"].as_str().unwrap().to_owned();
    let given_up = test(&dead, "dead");
    let path = format!("subscriptions/{dead}/deliveries?state=dead");
    let operation = ("GET", "subscriptions/{subscription}/deliveries");
    let deliveries = scene.send(operation, &path, &Value::Null).ok();
    let by_command = scene.said(&[
        "subscribe",
        "deliveries",
        &dead,
        "--state",
        "dead",
        "-o",
        "json",
    ]);
    assert_eq!(deliveries["items"], by_command["items"]);
    assert_eq!(deliveries["items"][0], given_up_without_age(given_up));
    let delivery = deliveries["items"][0]["id"].as_str().unwrap();
    let again = format!("subscriptions/{dead}/deliveries/{delivery}:again");
    let operation = "subscriptions/{subscription}/deliveries/{delivery}:again";
    let before = receiver.heard().len();
    let sent = scene.send(("POST", operation), &again, &Value::Null);
    assert_eq!(sent.status, 202, "{}", sent.text());
    until("it is heard again", || {
        (receiver.heard().len() > before).then_some(())
    });
    // The list, and the page with the same.
    let listed = scene.site.get("/api/v1/subscriptions").ok();
    let of_dead = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["id"] == dead.as_str());
    assert_eq!(of_dead.unwrap()["mine"], true);
    // A list is not asked of the leader for each who looks.
    let kept = || {
        let text = scene.site.get("/metrics").text();
        let series = "assay_gateway_reads_total{outcome=\"hit\"} ";
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.unwrap_or("0").parse::<f64>().unwrap()
    };
    let before = kept();
    for _ in 0..40 {
        scene.site.get("/api/v1/subscriptions").ok();
    }
    assert!(
        kept() - before >= 20.0,
        "{} of 40 were kept",
        kept() - before
    );
    let page = scene.site.get("/subscriptions").text();
    assert!(page.contains("webhook") && page.contains("mine"), "{page}");
    // What was given up has a page, too, from which it is sent again.
    let of_dead = format!("/subscriptions/{dead}");
    test(&dead, "dead");
    let messages = scene.site.get(&of_dead).text();
    assert!(messages.contains("Send again"), "{messages}");
    assert!(!messages.contains(CANARY), "{messages}");
    let form = format!("id={delivery}");
    let again = scene.site.send(
        "POST",
        &format!("{of_dead}/again"),
        &[FORM],
        form.as_bytes(),
    );
    assert_eq!(again.status, 303, "{}", again.text());
    let form = scene
        .site
        .send("POST", &format!("/subscriptions/{id}/test"), &[FORM], b"");
    assert_eq!(form.status, 303, "{}", form.text());
    let shown = [
        made.text(),
        listed.to_string(),
        deliveries.to_string(),
        scene.site.get(&place).text(),
        page,
    ];
    for text in shown {
        assert!(!text.contains(CANARY), "{text}");
    }
    let gone = scene.send(
        ("DELETE", one),
        &format!("subscriptions/{id}"),
        &Value::Null,
    );
    assert!(gone.ok()["removedAt"].is_string());
    assert_eq!(scene.site.get(&place).problem(404), "not-found");
    assert_eq!(verb(&id, "test").problem(404), "not-found");
    scene.dev.kill();
}

fn given_up_without_age(mut delivery: Value) -> Value {
    delivery.as_object_mut().unwrap().remove("asOf");
    delivery
}

#[tokio::test]
async fn what_is_no_subscription_is_refused_and_a_key_makes_one() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let scene = Scene::new(&receiver).await;
    let list = "subscriptions";
    let add = |body: Value| scene.send(("POST", list), list, &body);
    for (body, status, slug) in [
        (json!({}), 422, "bad-body"),
        (
            json!({ "channel": "pigeon", "target": "roof" }),
            422,
            "bad-body",
        ),
        (
            json!({ "channel": "slack", "target": "#orders", "createdBy": "ada" }),
            422,
            "bad-body",
        ),
        (
            json!({ "channel": "webhook", "target": "http://169.254.169.254/" }),
            409,
            "conflict",
        ),
        (
            json!({ "channel": "webhook", "target": receiver.url(), "secret": CANARY }),
            422,
            "bad-body",
        ),
        (
            json!({ "channel": "webhook", "target": receiver.url(), "dataset": "none" }),
            404,
            "not-found",
        ),
    ] {
        let refused = add(body);
        assert!(!refused.text().contains(CANARY), "{}", refused.text());
        assert_eq!(refused.problem(status), slug);
    }
    let body = json!({ "channel": "webhook", "target": receiver.url() }).to_string();
    let keyed = [JSON, ("idempotency-key", "k-1")];
    let path = "/api/v1/subscriptions";
    let first = scene
        .site
        .send("POST", path, &keyed, body.as_bytes())
        .json();
    let again = scene
        .site
        .send("POST", path, &keyed, body.as_bytes())
        .json();
    assert_eq!(first, again);
    assert_eq!(scene.site.get(path).ok()["total"], 1);
    scene.dev.kill();
}
