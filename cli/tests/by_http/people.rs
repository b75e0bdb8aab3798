//! What people do, over both ways: incidents, who is told of them, answers to the judge.

use std::time::Instant;

use assay_test_servers::receiver::{Behaviour, Receiver};
use serde_json::Value;

use super::common::{Definition, Place, Said};
use super::{Both, PATIENCE, numbers};

/// What may be a secret in an address.
const CANARY: &str = "CANARY-77d0";
/// The forms of output that hold something.
const FORMS: [&str; 3] = ["text", "json", "jsonl"];

fn day(at: u32) -> String {
    let days = i64::from(at);
    (jiff::civil::date(2026, 1, 5) + jiff::Span::new().days(days)).to_string()
}

/// Two datasets of a day with too few rows, and one of days of which there are more since the day 29;
/// `receiver` may be told.
async fn cluster(receiver: &Receiver) -> Both {
    let place = Place::new();
    for at in 0..32 {
        let rows = if at < 29 { 100 } else { 400 } + (at * 7919 % 11);
        let lines: String = (0..rows).map(|row| format!("{row},{at}.5\n")).collect();
        let file = format!("orders/date={}.csv", day(at));
        place.write(&file, format!("id,amount\n{lines}"));
    }
    let orders = Definition::new("orders", place.path("orders"), "csv")
        .set("assayProfile", "{ columns: none }")
        .check("{ id: usual, type: custom, engine: assay, implementation: { metric: rowCount, learned: true } }");
    place.write("datasets/orders.odcs.yaml", orders.text());
    for (id, severity) in [("slips", "error"), ("returns", "warning")] {
        place.write(&format!("{id}/date=2026-01-01.csv"), "id,amount\n1,1.5\n");
        let rule =
            format!("{{ id: many, metric: rowCount, mustBeGreaterThan: 1, severity: {severity} }}");
        let definition = Definition::new(id, place.path(id), "csv").check(&rule);
        place.write(&format!("datasets/{id}.odcs.yaml"), definition.text());
    }
    let allow = format!("[webhook]\nallow = [\"{}\"]\n", receiver.url());
    place.write("notify.toml", allow);
    place.write("assay.toml", "[notify]\nfile = \"notify.toml\"\n");
    Both::on(place, 3).await
}

/// A receiver that takes what comes, but for what is sent to `/dead`.
fn receiver() -> Receiver {
    Receiver::start(|request, _| match request.line.contains("/dead") {
        true => Behaviour::Status(410),
        false => Behaviour::Status(200),
    })
}

/// Each id of what is made anew as its kind.
fn ids(text: &str) -> String {
    let mut out = text.to_owned();
    for kind in ["sub_", "dlv_", "fb_"] {
        let parts: Vec<&str> = out.split(kind).collect();
        let bare = |part: &&str| {
            let hex = part.bytes().take_while(u8::is_ascii_hexdigit).count();
            if hex == 32 {
                part[32..].to_owned()
            } else {
                (*part).to_owned()
            }
        };
        let rest: Vec<String> = parts.iter().map(bare).collect();
        out = rest.join(kind);
    }
    out
}

/// What is made anew by each way: ids and times differ.
fn anew(text: &str) -> String {
    numbers(&ids(text))
}

impl Both {
    /// Both ways come to say the same in every form: a gateway may tell what was so a second ago.
    #[track_caller]
    fn soon(&self, args: &[&str]) -> Said {
        let mut last = None;
        for form in FORMS {
            let args = [args, &["-o", form]].concat();
            let deadline = Instant::now() + PATIENCE;
            last = Some(loop {
                let (grpc, http) = (self.by_grpc(&args), self.by_http(&args));
                if (&http.out, &http.err, http.code) == (&grpc.out, &grpc.err, grpc.code) {
                    assert!(!http.all().contains(CANARY), "{args:?}\n{}", http.all());
                    break http.ended(0);
                }
                assert!(
                    Instant::now() < deadline,
                    "{args:?}\n{}\n{}",
                    http.all(),
                    grpc.all()
                );
            });
        }
        last.unwrap()
    }

    /// What the command says by gRPC as JSON, once `is_so` holds of it.
    #[track_caller]
    fn until(&self, args: &[&str], is_so: impl Fn(&Value) -> bool) -> Value {
        let args = [args, &["-o", "json"]].concat();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let json = self.by_grpc(&args).ended(0).json();
            if is_so(&json) {
                return json;
            }
            assert!(Instant::now() < deadline, "{args:?} {json:#}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// The incident of a dataset, once it is there.
    fn incident(&self, dataset: &str) -> String {
        let args = ["incident", "list", "--dataset", dataset];
        let found = self.until(&args, |json| json["items"][0]["id"].is_string());
        found["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The only item of what is said by HTTP.
    #[track_caller]
    fn item(&self, args: &[&str], code: i32) -> Value {
        let args = [args, &["-o", "json"]].concat();
        self.by_http(&args).ended(code).json()["items"][0].clone()
    }
}

#[tokio::test]
async fn incidents_are_seen_and_handled_alike() {
    let receiver = receiver();
    let both = cluster(&receiver).await;
    let (slips, returns) = (both.incident("slips"), both.incident("returns"));
    for args in [
        &["incident", "list"][..],
        &["incident", "list", "--all"],
        &["incident", "list", "--dataset", "slips"],
        &["incident", "list", "--limit", "1"],
        &["incident", "get", &slips],
        &["incident", "get", &slips[..16]],
    ] {
        both.soon(args);
    }
    // Each wish by HTTP does what it says, and wished again it is as it was, by both ways.
    let wishes: [(&[&str], &str, &str); 4] = [
        (&["ack"], "acknowledgedBy", "local"),
        (&["assign", "bob"], "assignee", "bob"),
        (&["assign", ""], "assignee", ""),
        (&["assign", "ada"], "assignee", "ada"),
    ];
    for (wish, field, value) in wishes {
        let args = [&["incident", wish[0], &slips], &wish[1..]].concat();
        let done = both.item(&args, 0);
        assert_eq!(done[field].as_str().unwrap_or_default(), value, "{done:#}");
        let stands = both.by_grpc(&["incident", "get", &slips, "-o", "json"]);
        let stands = &stands.ended(0).json()["items"][0];
        assert_eq!(stands[field], done[field], "{stands:#}");
        both.soon(&args);
    }
    let mute = ["incident", "mute", &slips, "--for", "7d"];
    assert!(both.item(&mute, 0)["mutedUntil"].is_string());
    both.alike(&mute, numbers).ended(0);
    let unmute = ["incident", "mute", &slips, "--off"];
    assert!(both.item(&unmute, 0)["mutedUntil"].is_null());
    both.soon(&unmute);
    let note = [
        "incident",
        "note",
        &slips,
        "the loader was off\nuntil three",
    ];
    both.item(&note, 0);
    both.soon(&note);
    both.soon(&["incident", "get", &slips]);
    let whole = both.item(&["incident", "get", &slips], 0);
    let kinds: Vec<&str> = whole["events"]
        .as_array()
        .unwrap_or_else(|| panic!("{whole:#}"))
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    let (assigned, muted) = (["assigned"; 3], ["muted"; 3]);
    let told = [
        &["opened", "acknowledged"],
        &assigned[..],
        &muted,
        &["unmuted", "noted"],
    ];
    assert_eq!(kinds, told.concat());
    assert_eq!(whole["events"][9]["by"], "local");
    let resolve = ["incident", "resolve", &returns];
    assert_eq!(both.item(&resolve, 0)["resolvedBy"], "local");
    both.soon(&resolve);
    both.soon(&["incident", "list"]);
    both.soon(&["incident", "list", "--all"]);
    for args in [
        &["incident", "get", "inc_nothing"][..],
        &["incident", "get", "inc_"],
        &["incident", "ack", "nothing"],
        &["incident", "ack", &returns],
        &["incident", "note", &slips, " "],
        &["incident", "mute", &slips, "--for", "400d"],
        &["incident", "list", "--dataset", "nothing"],
    ] {
        both.everywhere(args, 2);
    }
    both.by_http(&["incident", "ack", &returns])
        .ended(2)
        .kind(&["is resolved", "nothing to acknowledge"]);
    both.dev.kill();
}

#[tokio::test]
async fn subscriptions_and_their_messages_are_alike() {
    let receiver = receiver();
    let both = cluster(&receiver).await;
    // What is broken by then is told to nobody who subscribes later.
    for dataset in ["orders", "slips", "returns"] {
        both.incident(dataset);
    }
    let target = |way: &str| format!("{}/{way}/{CANARY}", receiver.url());
    let (hook, dead) = (target("hook"), target("dead"));
    let narrow = [
        "subscribe",
        "add",
        &hook,
        "--dataset",
        "slips",
        "--severity",
        "error",
        "--column",
        "amount",
        "--dimension",
        "volume",
        "--event",
        "opened",
    ];
    let add = both.alike(&[&narrow[..], &["-o", "json"]].concat(), anew);
    let add = add.ended(0).json();
    assert_eq!(add["items"][0]["createdBy"], "local", "{add:#}");
    let id = add["items"][0]["id"].as_str().unwrap().to_owned();
    let secret = format!("file:{}", both.place.write("key", CANARY).display());
    let operators = ["subscribe", "add", &hook, "--operator", "--secret", &secret];
    both.alike(&operators, anew).ended(0);
    let given_up = both.item(&["subscribe", "add", &dead], 0);
    let given_up = given_up["id"].as_str().unwrap().to_owned();
    both.soon(&["subscribe", "list"]);
    both.soon(&["subscribe", "list", "--dataset", "returns"]);
    // A test is waited for by both ways.
    for form in FORMS {
        let test = ["subscribe", "test", &id, "-o", form];
        both.alike(&test, anew).ended(0);
        let test = ["subscribe", "test", &given_up, "-o", form];
        both.alike(&test, anew).ended(4);
    }
    assert!(receiver.heard().len() >= 12, "{}", receiver.heard().len());
    both.by_http(&["subscribe", "test", &id, "--no-wait"])
        .ended(0);
    let pending = ["subscribe", "deliveries", "--state", "pending"];
    both.until(&pending, |json| json["summary"]["deliveries"] == 0);
    // Paused, nothing is sent.
    assert_eq!(
        both.item(&["subscribe", "pause", &id], 0)["pausedBy"],
        "local"
    );
    both.soon(&["subscribe", "pause", &id]);
    both.everywhere(&["subscribe", "test", &id], 2);
    assert!(both.item(&["subscribe", "resume", &id], 0)["pausedBy"].is_null());
    both.soon(&["subscribe", "resume", &id]);
    messages(&both, &receiver, &given_up);
    // One that was removed is not there, and what it was sent is.
    let removed = both.item(&["subscribe", "remove", &given_up], 0);
    assert!(removed["removedAt"].is_string(), "{removed:#}");
    both.soon(&["subscribe", "list"]);
    let all = both.soon(&["subscribe", "list", "--all"]).out;
    assert!(all.contains(&given_up), "{all}");
    let listed = both.soon(&["subscribe", "deliveries"]).out;
    assert!(listed.contains(&given_up), "{listed}");
    refused(&both, &hook, &given_up);
    both.dev.kill();
}

/// Messages are listed alike, and sent again.
fn messages(both: &Both, receiver: &Receiver, given_up: &str) {
    for args in [
        &["subscribe", "deliveries"][..],
        &["subscribe", "deliveries", given_up],
        &["subscribe", "deliveries", "--state", "dead"],
        &["subscribe", "deliveries", given_up, "--state", "delivered"],
        &["subscribe", "deliveries", "--limit", "2"],
    ] {
        both.soon(args);
    }
    let dead = ["subscribe", "deliveries", given_up, "--state", "dead"];
    let listed = both.until(&dead, |json| json["summary"]["deliveries"] == 6);
    let one = listed["items"][0]["id"].as_str().unwrap();
    let again = ["subscribe", "deliveries", "--again", one];
    let mut said = Vec::new();
    for way in [Both::by_http, Both::by_grpc] {
        let before = receiver.heard().len();
        said.push(way(both, &again).ended(0).out);
        both.until(&dead, |json| json["summary"]["deliveries"] == 6);
        assert_eq!(receiver.heard().len(), before + 1);
    }
    assert_eq!(said[0], said[1]);
    assert!(said[0].starts_with("sent again  dlv_"), "{said:?}");
}

/// What is refused is refused alike.
fn refused(both: &Both, hook: &str, removed: &str) {
    let none = format!("dlv_{}", "0".repeat(32));
    for args in [
        &["subscribe", "list", "--dataset", "nothing"][..],
        &["subscribe", "pause", removed],
        &["subscribe", "pause", "sub_"],
        &["subscribe", "test", "sub_nothing"],
        &["subscribe", "deliveries", "sub_nothing"],
        &["subscribe", "deliveries", "--state", "lost"],
        &["subscribe", "deliveries", "--again", &none],
        &["subscribe", "deliveries", "--again", "nothing"],
        &["subscribe", "add", "somewhere"],
        &["subscribe", "add", "http://169.254.169.254/"],
        &["subscribe", "add", hook, "--channel", "pigeon"],
        &["subscribe", "add", hook, "--severity", "grave"],
        &["subscribe", "add", hook, "--event", "never"],
        &["subscribe", "add", hook, "--event", "node_lost"],
        &["subscribe", "add", hook, "--dataset", "nothing"],
        &["subscribe", "add", hook, "--secret", CANARY],
        &[
            "subscribe",
            "add",
            hook,
            "--secret",
            "env:ASSAY_NOT_SET_HERE",
        ],
    ] {
        both.everywhere(args, 2);
        assert!(!both.by_http(args).all().contains(CANARY), "{args:?}");
    }
}

fn json<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &["-o", "json"]].concat()
}

/// What was said of an answer, without what each has for itself.
fn bare(said: &Said) -> Value {
    let mut item = said.json()["items"][0].clone();
    for field in ["id", "at"] {
        let taken = item["feedback"][field].take();
        assert!(taken.is_string(), "{item:#}");
    }
    let withdrawn = &mut item["feedback"]["withdrawn"];
    if withdrawn.is_object() {
        assert!(withdrawn["at"].take().is_string());
    }
    item
}

#[tokio::test]
async fn answers_to_the_judge_are_alike() {
    let receiver = receiver();
    let both = cluster(&receiver).await;
    let from = day(24);
    let normal = [
        "feedback",
        "train-as-new-normal",
        "orders",
        &from,
        "--metric",
        "rowCount",
        "--reason",
        "a second shop",
    ];
    let look = [&normal[..], &["--preview"]].concat();
    both.alike(&look, str::to_owned).ended(0);
    let looked = (both.by_grpc(&json(&look)), both.by_http(&json(&look)));
    assert_eq!(bare(&looked.0), bare(&looked.1));
    let alerts = &looked.1.json()["items"][0]["backtest"]["before"]["alerts"];
    assert!(alerts[0]["upper"].is_f64(), "{alerts:#}");
    both.soon(&["feedback", "list", "orders"]);
    // Kept and taken back by one way, then by the other: each time the same is told.
    let mut kept = Vec::new();
    for way in [Both::by_grpc, Both::by_http] {
        let keep = way(&both, &json(&normal)).ended(0);
        let id = keep.json()["items"][0]["feedback"]["id"].clone();
        let id = id.as_str().unwrap().to_owned();
        both.soon(&["feedback", "list", "orders"]);
        let gone = [
            "feedback",
            "withdraw",
            "orders",
            &id,
            "--reason",
            "it was closed again",
        ];
        both.soon(&[&gone[..], &["--preview"]].concat());
        let withdrawn = way(&both, &json(&gone)).ended(0);
        let again = way(&both, &gone).ended(0);
        kept.push((bare(&keep), bare(&withdrawn), ids(&again.out)));
    }
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[1].0["feedback"]["by"], "local");
    assert_eq!(kept[1].1["feedback"]["withdrawn"]["by"], "local");
    // A whole dataset, a check.
    let (first, last) = (day(2), day(4));
    let window = ["exclude-window", "orders", &first, &last];
    let check = ["mark-as-normal", "orders", &from, "--metric", "usual"];
    for answer in [&window[..], &check] {
        let args = [
            &["feedback"],
            answer,
            &["--reason", "a sale", "--last", "20"],
        ]
        .concat();
        both.by_http(&args).ended(0);
        both.by_grpc(&[&args[..], &["--preview"]].concat()).ended(0);
    }
    both.soon(&["feedback", "list", "orders"]);
    let some = both.soon(&["feedback", "list", "orders", "--limit", "1"]);
    assert!(some.err.contains("there are more"), "{}", some.err);
    let none = format!("fb_{}", "0".repeat(32));
    for args in [
        &["feedback", "list", "nothing"][..],
        &["feedback", "withdraw", "orders", "fb_", "--reason", "why"],
        &["feedback", "withdraw", "orders", &none, "--reason", "why"],
        &[
            "feedback",
            "mark-as-normal",
            "nothing",
            &from,
            "--reason",
            "why",
        ],
        &[
            "feedback",
            "mark-as-normal",
            "orders",
            "2030-01-01",
            "--reason",
            "why",
        ],
        &[
            "feedback",
            "mark-as-normal",
            "orders",
            &from,
            "--metric",
            "nothing",
            "--preview",
        ],
        &[
            "feedback",
            "mark-as-normal",
            "orders",
            &from,
            "--reason",
            " ",
        ],
    ] {
        both.everywhere(args, 2);
    }
    // A token says who answers, and nobody else does.
    let by = [&normal[..], &["--by", "ada"]].concat();
    both.by_http(&by).ended(2).kind(&["--by", "leave it out"]);
    both.by_grpc(&by).ended(0);
    both.dev.kill();
}
