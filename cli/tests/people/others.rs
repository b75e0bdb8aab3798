//! Another owner's objects: every method of the document answers as if they were not there.
//!
//! A real cluster, asked through a gateway with its guard in the mode of credentials.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_gateway::{ByRole, Gateway, GuardSettings, Managers, Mode, Parts, Seams, Way, anonymous};
use assay_guard::principal::Scope;
use assay_guard::tokens::{TokenFile, mint};
use assay_proto::link::Door;
use assay_registry::FolderRegistry;
use assay_store::{OpenOptions, SqliteStore};
use assay_telemetry::Telemetry;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::common::{Definition, Place, Running};
use super::web::{Answer, Site};
use super::{JSON, until};

/// What may be a secret in an address.
const CANARY: &str = "CANARY-77ab";

fn definition(place: &Place, id: &str, owner: &str) -> String {
    let rule = "{ id: many, metric: rowCount, mustBeGreaterThan: 5, severity: error }";
    let definition = Definition::new(id, place.path(&format!("data/{id}")), "csv").check(rule);
    definition.text() + &format!("team:\n  name: {owner}\n")
}

/// A cluster of two owners behind a gateway that asks for tokens.
struct Scene {
    place: Place,
    dev: Running,
    site: Site,
    tokens: BTreeMap<&'static str, String>,
}

impl Scene {
    async fn new() -> Self {
        let place = Place::new();
        for (id, owner) in [("orders", "sales"), ("wages", "finance")] {
            let rows = format!("data/{id}/date=2026-01-01.csv");
            place.write(&rows, "id,amount\n1,1.5\n");
            let file = format!("datasets/{id}.odcs.yaml");
            place.write(&file, definition(&place, id, owner));
        }
        let dev = ["dev", "--grpc-port", "0", "--poll-s", "3600"];
        let dev = Running::start(place.command(&dev), &place.path("log"));
        place.settled(2, Duration::from_secs(60)).await;
        let tokens = tokens(&place);
        let site = serve(&place).await;
        Self {
            place,
            dev,
            site,
            tokens,
        }
    }

    /// What `who` is answered; nobody in particular brings no token.
    fn asked(&self, who: &str, method: &str, path: &str, body: &str) -> Answer {
        let bearer = self.tokens.get(who).map(|token| format!("Bearer {token}"));
        let mut headers = Vec::new();
        if !body.is_empty() {
            headers.push(JSON);
        }
        if let Some(bearer) = &bearer {
            headers.push(("authorization", bearer.as_str()));
        }
        self.site.send(method, path, &headers, body.as_bytes())
    }

    fn operator(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.asked("operator", method, path, &body.to_string());
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer.json()
    }

    fn get(&self, who: &str, path: &str) -> Value {
        self.asked(who, "GET", path, "").ok()
    }
}

fn tokens(place: &Place) -> BTreeMap<&'static str, String> {
    let now = Timestamp::now();
    let expires = now + SignedDuration::from_hours(1);
    let mut file = TokenFile::default();
    let mut texts = BTreeMap::new();
    for (name, role, scope) in [
        ("operator", "operator", Scope::Write),
        ("sales", "owner:sales", Scope::Write),
        ("finance", "owner:finance", Scope::Write),
        ("looks", "owner:sales", Scope::Read),
        ("told", "subscriber:sales", Scope::Write),
    ] {
        let roles = vec![role.parse().unwrap()];
        let (text, token) = mint(name, roles, scope, now, expires).unwrap();
        file.token.push(token);
        texts.insert(name, text);
    }
    file.write(&place.path("tokens.toml")).unwrap();
    texts
}

/// A gateway beside the program, over its store and its managers.
async fn serve(place: &Place) -> Site {
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    let line = log.lines().find(|line| line.contains("gRPC")).unwrap();
    let grpc = line.split_whitespace().nth(1).unwrap();
    let grpc = grpc.trim_start_matches("http://");
    let clock = Arc::new(Timestamp::now);
    let folder = place.path("datasets");
    let registry = FolderRegistry::open(&folder, &folder, clock).unwrap();
    let store = place.store().await;
    let gateway = Gateway::new(Parts {
        store: Arc::new(store.clone()),
        notices: Arc::new(store.clone()),
        news: Arc::new(store),
        registry: Arc::new(registry),
        managers: Managers::new(Way::One(Door::Tcp(format!("http://{grpc}")))),
        rights: Arc::new(ByRole),
        nobody: anonymous(),
        now: Arc::new(Timestamp::now),
        telemetry: Telemetry::default(),
        mode: Mode::Cluster,
    });
    let settings: GuardSettings = toml::from_str(&format!(
        "[identity]\nmode = \"credentials\"\ntokens = \"{}\"\n\
         [quotas]\nprincipal = {{ per_second = 10000, burst = 10000 }}\n\
         anonymous = {{ per_second = 10000, burst = 10000 }}\n",
        place.path("tokens.toml").display()
    ))
    .unwrap();
    let audit = SqliteStore::open(place.path("audit.sqlite"), OpenOptions::default());
    let audit = Arc::new(audit.await.unwrap());
    let gateway = gateway.paged(Seams::default()).guarded(settings, audit);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = Site::at(&listener.local_addr().unwrap().to_string());
    tokio::spawn(gateway.unwrap().serve(listener, std::future::pending()));
    site
}

/// The parts of paths that are somebody's, as they are of the owner `finance`.
struct Theirs(BTreeMap<&'static str, String>);

impl Theirs {
    /// Makes all that can be made of the dataset `wages`.
    fn made(scene: &Scene) -> Self {
        let of = |list: &str| {
            until(list, || {
                let found = scene.get("operator", list);
                found["items"][0]["id"].as_str().map(str::to_owned)
            })
        };
        let run = of("/api/v1/runs?dataset=wages");
        let incident = of("/api/v1/incidents?dataset=wages");
        let window = json!({
            "kind": "exclude_window", "from": "2026-01-01", "to": "2026-01-01", "reason": "closed",
        });
        let kept = scene.operator("POST", "/api/v1/datasets/wages/feedback", &window);
        let hook = json!({
            "channel": "webhook", "target": format!("https://hooks.example/{CANARY}"),
            "dataset": "wages",
        });
        let made = scene.operator("POST", "/api/v1/subscriptions", &hook);
        let subscription = made["id"].as_str().unwrap().to_owned();
        let test = format!("/api/v1/subscriptions/{subscription}:test");
        let sent = scene.operator("POST", &test, &json!({}));
        let text = |of: &Value| of.as_str().unwrap().to_owned();
        Self(BTreeMap::from([
            ("dataset", "wages".to_owned()),
            ("run", run),
            ("incident", incident),
            ("feedback", text(&kept["feedback"]["id"])),
            ("subscription", subscription),
            ("delivery", text(&sent["id"])),
        ]))
    }

    /// A name as long as that of `part`, of nothing.
    fn missing(&self, part: &str) -> String {
        let there = &self.0[part];
        let (head, last) = there.split_at(there.len() - 1);
        let other = match last {
            "a" => "b",
            _ => "a",
        };
        format!("{head}{other}")
    }

    /// A path with what is theirs in it, but for `changed`.
    fn path(&self, path: &str, changed: &[(&str, &str)]) -> String {
        let mut path = path.to_owned();
        for (part, name) in changed {
            path = path.replace(&format!("{{{part}}}"), name);
        }
        for (part, name) in &self.0 {
            path = path.replace(&format!("{{{part}}}"), name);
        }
        for (part, name) in [
            ("check", "many"),
            ("metric", "rowCount"),
            ("revision", "1"),
            ("no", "0"),
        ] {
            path = path.replace(&format!("{{{part}}}"), name);
        }
        path
    }
}

/// A good body for each operation that takes one.
fn body(scene: &Scene, operation: &str, dataset: &str) -> String {
    let body = match operation {
        "apply" => return definition(&scene.place, dataset, "finance"),
        "previewFeedback" | "keepFeedback" => json!({
            "kind": "mark_as_normal", "from": "2026-01-01", "reason": "a sale",
        }),
        "withdrawFeedback" => json!({ "reason": "it was none" }),
        "previewWithdrawal" => json!({ "last": 7 }),
        "changeIncident" => json!({ "acknowledge": true }),
        "noteIncident" => json!({ "text": "the loader was off" }),
        "startRun" | "cancelRun" => json!({}),
        other => panic!("the operation {other} takes a body: give it one here"),
    };
    body.to_string()
}

/// A page says when it was made.
fn timeless(text: &str) -> String {
    let Some((head, rest)) = text.split_once("data-now=\"") else {
        return text.to_owned();
    };
    let rest = rest.split_once('"').map_or("", |(_, rest)| rest);
    format!("{head}{rest}")
}

/// Whether two answers are the same but for what was asked for.
fn same(one: &Answer, two: &Answer, names: (&str, &str)) -> Result<(), String> {
    let bare = |answer: &Answer, name: &str| {
        let mut headers = answer.headers().clone();
        headers.remove("date");
        // Of what is compared itself, but for the instant of a page.
        headers.remove("content-length");
        (
            answer.status,
            headers,
            timeless(&answer.text()).replace(name, "NAME"),
        )
    };
    let (one, two) = (bare(one, names.0), bare(two, names.1));
    if one == two {
        return Ok(());
    }
    Err(format!("{one:?}\n{two:?}"))
}

/// Asks for `path` of theirs, and of nothing; `status` is what the owner of others is answered.
fn alike(
    scene: &Scene,
    method: &str,
    paths: (&str, &str),
    names: (&str, &str),
    body: (&str, &str),
) {
    for who in ["sales", "told", "looks", "nobody"] {
        let theirs = scene.asked(who, method, paths.0, body.0);
        let nothing = scene.asked(who, method, paths.1, body.1);
        if let Err(why) = same(&theirs, &nothing, names) {
            panic!("{who}: {method} {}\n{why}", paths.0);
        }
        let changes = method != "GET" && method != "HEAD";
        let expected = match who {
            "nobody" => 401,
            "looks" if changes => 403,
            "told" if changes && theirs.status == 403 => 403,
            // What may be made is refused for whose it is.
            "sales" if method == "PUT" => 403,
            _ => 404,
        };
        assert_eq!(theirs.status, expected, "{who}: {method} {}", paths.0);
        assert!(!theirs.text().contains(CANARY));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_is_answered_as_what_is_not_there() {
    let scene = Scene::new().await;
    let theirs = Theirs::made(&scene);
    let mine = json!({
        "channel": "webhook", "target": "https://hooks.example/mine", "dataset": "orders",
    });
    let mine = scene.asked("sales", "POST", "/api/v1/subscriptions", &mine.to_string());
    assert_eq!(mine.status, 201, "{}", mine.text());
    let mine = mine.json()["id"].as_str().unwrap().to_owned();
    let document = scene.site.get("/api/v1/openapi.json").ok();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let first = path
            .split('{')
            .nth(1)
            .and_then(|rest| rest.split('}').next());
        let Some(first) = first.filter(|part| theirs.0.contains_key(part)) else {
            continue;
        };
        let missing = theirs.missing(first);
        let names = (theirs.0[first].as_str(), missing.as_str());
        for (method, operation) in operations.as_object().unwrap() {
            let takes = operation["requestBody"].is_object();
            let id = operation["operationId"].as_str().unwrap();
            let bodies = [names.0, names.1].map(|name| match takes {
                true => body(&scene, id, name),
                false => String::new(),
            });
            let method = method.to_uppercase();
            let paths = (
                theirs.path(path, &[]),
                theirs.path(path, &[(first, &missing)]),
            );
            let paths = (paths.0.as_str(), paths.1.as_str());
            alike(&scene, &method, paths, names, (&bodies[0], &bodies[1]));
            asked += 1;
            // What is theirs is not reached by way of what is mine.
            for (parent, own, child) in [
                ("dataset", "orders", "feedback"),
                ("subscription", mine.as_str(), "delivery"),
            ] {
                if first != parent || !path.contains(&format!("{{{child}}}")) {
                    continue;
                }
                let (there, none) = (&theirs.0[child], theirs.missing(child));
                let way = theirs.path(path, &[(parent, own)]);
                let nowhere = theirs.path(path, &[(parent, own), (child, &none)]);
                let one = scene.asked("sales", &method, &way, &bodies[0]);
                let two = scene.asked("sales", &method, &nowhere, &bodies[0]);
                assert_eq!(one.status, 404, "{way}: {}", one.text());
                same(&one, &two, (there, &none)).unwrap();
            }
        }
    }
    assert!(asked > 35, "{asked} operations");
    for list in ["runs", "incidents", "subscriptions"] {
        let path = |name: &str| format!("/api/v1/{list}?dataset={name}");
        let paths = (path("wages"), path("wagea"));
        let paths = (paths.0.as_str(), paths.1.as_str());
        alike(&scene, "GET", paths, ("wages", "wagea"), ("", ""));
        let seen = scene.get("sales", &format!("/api/v1/{list}"));
        for item in seen["items"].as_array().unwrap() {
            assert_eq!(item["dataset"], "orders", "{item:#}");
        }
    }
    // Of all messages, too, each sees what is to those that they may see.
    let messages = |who: &str| {
        let listed = scene.get(who, "/api/v1/deliveries");
        let to = listed["items"].as_array().unwrap().iter();
        to.map(|one| one["subscription"].clone())
            .collect::<Vec<_>>()
    };
    let (seen, not) = (json!(theirs.0["subscription"]), json!(mine));
    assert!(messages("finance").contains(&seen));
    assert!(!messages("finance").contains(&not));
    assert!(messages("operator").contains(&seen));
    assert!(!messages("sales").contains(&seen));
    scene.dev.kill();
}

/// Who may be told of a dataset may add a note to its incidents, in their own name, and change nothing
/// else of them.
fn notes(scene: &Scene) {
    let id = until("/api/v1/incidents?dataset=orders", || {
        let found = scene.get("operator", "/api/v1/incidents?dataset=orders");
        found["items"][0]["id"].as_str().map(str::to_owned)
    });
    let path = format!("/api/v1/incidents/{id}");
    let note = json!({ "text": "the loader was off" }).to_string();
    for (who, status) in [
        ("told", 201),
        ("sales", 201),
        ("finance", 404),
        ("looks", 403),
        ("nobody", 401),
    ] {
        let answer = scene.asked(who, "POST", &format!("{path}/notes"), &note);
        assert_eq!(answer.status, status, "{who}: {}", answer.text());
    }
    let change = scene.asked("told", "PATCH", &path, r#"{"acknowledge":true}"#);
    assert_eq!(change.problem(403), "forbidden");
    let events = scene.get("told", &path)["events"].clone();
    let noted = events.as_array().unwrap().iter();
    let noted: Vec<(&Value, &Value)> = noted
        .filter(|event| event["kind"] == "noted")
        .map(|event| (&event["by"], &event["detail"]))
        .collect();
    let text = json!("the loader was off");
    // In the name of the credential that was shown.
    let name = |who: &str| scene.get(who, "/api/v1/me")["id"].clone();
    let (told, sales) = (name("told"), name("sales"));
    assert_ne!(told, sales);
    assert_eq!(noted, [(&told, &text), (&sales, &text)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_has_no_page_and_who_subscribes_is_bounded() {
    let scene = Scene::new().await;
    let theirs = Theirs::made(&scene);
    for (part, below) in [
        ("dataset", "/datasets/{dataset}"),
        ("dataset", "/datasets/{dataset}/checks/many"),
        ("dataset", "/datasets/{dataset}/metrics/rowCount"),
        ("dataset", "/datasets/{dataset}/definition"),
        ("run", "/runs/{run}"),
        ("incident", "/incidents/{incident}"),
    ] {
        let missing = theirs.missing(part);
        let paths = (
            theirs.path(below, &[]),
            theirs.path(below, &[(part, &missing)]),
        );
        let one = scene.asked("sales", "GET", &paths.0, "");
        let two = scene.asked("sales", "GET", &paths.1, "");
        assert_eq!(one.status, 404, "{}", paths.0);
        same(&one, &two, (&theirs.0[part], &missing)).unwrap();
    }
    notes(&scene);
    let add = |who: &str, body: Value| {
        scene.asked(who, "POST", "/api/v1/subscriptions", &body.to_string())
    };
    let hook = |more: Value| {
        let mut body = json!({ "channel": "webhook", "target": "https://hooks.example/x" });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    // All datasets, and secrets, are the operators' to name.
    assert_eq!(add("sales", hook(json!({}))).problem(403), "forbidden");
    let signed = hook(json!({ "dataset": "orders", "secret": "env:ASSAY_NOTIFY_X" }));
    assert_eq!(add("sales", signed).problem(403), "forbidden");
    let other = add("sales", hook(json!({ "dataset": "wages" })));
    assert_eq!(other.problem(404), "not-found");
    assert_eq!(add("operator", hook(json!({}))).status, 201);
    // Who only reads of a dataset sees what they made, and the owner sees it, too.
    let told = add("told", hook(json!({ "dataset": "orders" })));
    assert_eq!(told.status, 201, "{}", told.text());
    let id = told.json()["id"].as_str().unwrap().to_owned();
    let ids = |who: &str| {
        let listed = scene.get(who, "/api/v1/subscriptions");
        let items = listed["items"].as_array().unwrap().iter();
        items
            .map(|one| (one["id"].clone(), one["mine"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("told"), [(json!(id), json!(true))]);
    assert_eq!(ids("sales"), [(json!(id), json!(false))]);
    assert_eq!(ids("finance").len(), 1);
    assert_eq!(ids("operator").len(), 3);
    let theirs = add("sales", hook(json!({ "dataset": "orders" })));
    let theirs = theirs.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/subscriptions/{theirs}");
    assert_eq!(
        scene.asked("told", "GET", &path, "").problem(404),
        "not-found"
    );
    assert_eq!(scene.asked("looks", "GET", &path, "").status, 200);
    assert_eq!(scene.asked("looks", "DELETE", &path, "").status, 403);
    assert_eq!(scene.asked("sales", "DELETE", &path, "").status, 200);
    assert_eq!(scene.asked("sales", "GET", &path, "").status, 404);
    scene.dev.kill();
}
