//! The commands over the HTTP API: they say what they say to a manager by gRPC, byte for byte, and
//! what a gateway refuses is told with what to do next.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod gateway;
#[path = "by_http/people.rs"]
mod people;

use std::time::Duration;

use common::{Definition, Place, Running, Said};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// One cluster that is reached by two ways.
struct Both {
    place: Place,
    dev: Running,
    grpc: String,
    http: String,
}

/// What stands in a line of the log after `name`, up to a blank.
fn told(place: &Place, name: &str) -> String {
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    let line = log.lines().find_map(|line| line.trim().strip_prefix(name));
    let mut words = line
        .unwrap_or_else(|| panic!("{name} is not told:\n{log}"))
        .split_whitespace();
    words.next().unwrap().to_owned()
}

fn definition(place: &Place) -> Definition {
    Definition::new("orders", place.path("data"), "csv")
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 3, severity: warning }")
        .check("{ id: enough, metric: rowCount, mustBeGreaterThan: 1 }")
        .set("assayLimits", "{ learned: true }")
}

impl Both {
    /// A cluster on twelve days, of which one fails and one cannot be read; its runs have ended.
    async fn new() -> Self {
        let place = Place::new();
        for day in 1..=12 {
            let mut text = String::from("id,amount,note\n");
            let rows = if day == 5 { 1 } else { 3 + day % 4 };
            for row in 0..rows {
                let note = if row == 2 { "" } else { "ok" };
                text.push_str(&format!(
                    "{row},{}.{:02},{note}\n",
                    day * 7 + row,
                    row * 37 % 100
                ));
            }
            if day == 8 {
                text.push_str("9\n");
            }
            place.write(&format!("data/date=2026-01-{day:02}.csv"), text);
        }
        place.write("datasets/orders.odcs.yaml", definition(&place).text());
        place.write("events/date=2026-01-01.csv", "id\n1\n");
        place.write("events/notes.csv", "of no partition\n");
        let events = Definition::new("events", place.path("events"), "csv")
            .set("assayRun", "{ schedule: '15 3 * * *' }");
        place.write("datasets/events.odcs.yaml", events.text());
        Self::on(place, 2).await
    }

    /// A cluster on what lies in a place, whose first runs have ended.
    async fn on(place: Place, runs: usize) -> Self {
        let dev = [
            "dev",
            "--grpc-port",
            "0",
            "--port",
            "0",
            "--nodes",
            "1",
            "--poll-s",
            "3600",
        ];
        let dev = Running::start(place.command(&dev), &place.path("log"));
        place.settled(runs, PATIENCE).await;
        let (grpc, http) = (told(&place, "gRPC "), told(&place, "HTTP API "));
        Self {
            place,
            dev,
            grpc,
            http,
        }
    }

    fn by(&self, way: (&str, &str), args: &[&str]) -> Said {
        let mut command = self.place.command(args);
        command.args(["--time-format", "iso"]).env(way.0, way.1);
        // As a gateway of one's own machine calls whoever asks.
        command.env("ASSAY_USER", "local");
        let mut said = Said::of(&command.output().unwrap());
        let gateway = self.http.trim_end_matches("/api/v1");
        for text in [&mut said.out, &mut said.err] {
            for address in [gateway, &self.grpc] {
                *text = text.replace(
                    &format!("http://{}", address.trim_start_matches("http://")),
                    "SERVER",
                );
            }
        }
        said
    }

    fn by_grpc(&self, args: &[&str]) -> Said {
        self.by(("ASSAY_SERVER", self.grpc.as_str()), args)
    }

    fn by_http(&self, args: &[&str]) -> Said {
        self.by(("ASSAY_SERVER__URL", self.http.as_str()), args)
    }

    /// Both ways say the same, and end alike; `blur` takes out what differs from one moment to the
    /// next.
    #[track_caller]
    fn alike(&self, args: &[&str], blur: fn(&str) -> String) -> Said {
        let (grpc, http) = (self.by_grpc(args), self.by_http(args));
        assert_eq!(blur(&http.out), blur(&grpc.out), "{args:?}\n{}", http.err);
        assert_eq!(http.code, grpc.code, "{args:?}\n{}\n{}", http.err, grpc.err);
        http
    }

    /// The same in every form of output.
    #[track_caller]
    fn everywhere(&self, args: &[&str], code: i32) {
        for form in ["text", "json", "jsonl", "none"] {
            let said = self.alike(&[args, &["-o", form]].concat(), str::to_owned);
            let said = said.ended(code);
            let is_empty = said.out.is_empty();
            assert_eq!(
                is_empty,
                form == "none" || code == 2,
                "{args:?} {form}: {}",
                said.out
            );
        }
    }
}

/// Each number as `#`: loads and ages differ from one moment to the next.
fn numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' | '.' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            // A number that is shorter is followed by more blanks.
            ' ' | '-' if out.ends_with(' ') => {}
            '-' => out.push(' '),
            c => out.push(c),
        }
    }
    out.replace("# ms", "# s")
        .replace("# KiB", "# MiB")
        .replace("# GiB", "# MiB")
}

#[tokio::test]
async fn every_command_says_the_same_over_both_ways() {
    let both = Both::new().await;
    both.by_grpc(&["run", "start", "events", "--wait"]);
    let runs = both.place.runs().await;
    let id = |dataset: &str| {
        let of = runs
            .iter()
            .rev()
            .find(|run| run.dataset.as_str() == dataset);
        of.unwrap().id.to_string()
    };
    let (orders, events) = (id("orders"), id("events"));
    for args in [
        &["run", "list"][..],
        &["run", "list", "--dataset", "orders", "--limit", "1"],
        &["run", "get", &orders],
        &["run", "get", &orders[4..20]],
        &["run", "get", &events],
        &["metric", "list", "orders"],
        &["metric", "list", "ord", "--column", "amount"],
        &["metric", "history", "orders", "rowCount"],
        &["metric", "history", "orders", "mean(amount)", "--last", "4"],
        &[
            "metric", "history", "orders", "quantile", "--column", "amount",
        ],
        &["dataset", "list"],
        &["dataset", "get", "orders"],
        &["dataset", "get", "eve"],
    ] {
        both.everywhere(args, 0);
    }
    // The day that could not be read is among the values, as the chart has it.
    let history = both.by_http(&["metric", "history", "orders", "rowCount"]);
    let history = history.ended(0).out;
    let unread = history.lines().find(|line| line.contains("2026-01-08"));
    let words = unread
        .unwrap_or_else(|| panic!("{history}"))
        .split_whitespace();
    assert_eq!(
        words.filter(|word| *word == "error").count(),
        2,
        "{history}"
    );
    // What could not be read has the last word, over both ways.
    both.everywhere(&["run", "watch", &orders], 4);
    let unknown = "run_00000000000000000000000000000001";
    for args in [
        &["run", "get", unknown][..],
        &["run", "cancel", &orders],
        &["run", "watch", unknown],
        &["metric", "list", "nothing"],
        &["metric", "history", "orders", "max(nothing)"],
        &["dataset", "get", "nothing"],
        &["node", "get", "nobody"],
        &["node", "drain", "nobody"],
        &["run", "start", "nothing"],
    ] {
        both.everywhere(args, 2);
    }
    both.alike(&["run", "list", "--active"], str::to_owned)
        .ended(0);
    both.alike(&["node", "list"], numbers).ended(0);
    both.alike(&["node", "get", "node-1"], numbers).ended(0);
    both.alike(&["node", "get", "node-1", "-o", "json"], numbers)
        .ended(0);
    both.alike(&["cluster", "status"], numbers).ended(0);
    both.alike(&["cluster", "events"], numbers).ended(0);
    both.alike(&["cluster", "status", "-o", "json"], numbers)
        .ended(0);
    both.dev.kill();
}

#[tokio::test]
async fn wishes_are_carried_by_http_and_repeats_of_a_key_are_one_run() {
    let both = Both::new().await;
    let place = &both.place;
    place.write("more/date=2026-02-01.csv", "id\n1\n2\n");
    let more = Definition::new("more", place.path("more"), "csv");
    let file = place.write("more.odcs.yaml", more.text());
    let file = file.to_str().unwrap();
    let dry = both.alike(
        &["dataset", "apply", "-f", file, "--dry-run"],
        str::to_owned,
    );
    assert!(dry.ended(0).out.contains("created"));
    let apply = || both.by_http(&["dataset", "apply", "-f", file]).ended(0).out;
    assert!(apply().starts_with("created    more 1.0.0"));
    assert!(apply().starts_with("unchanged  more 1.0.0"));
    // A gateway keeps the document: one that means another folder there is refused here.
    let near = more
        .text()
        .replace(&place.path("more").display().to_string(), "more");
    let near = place.write("near.odcs.yaml", near);
    let near = both.by_http(&["dataset", "apply", "-f", near.to_str().unwrap()]);
    near.ended(3).kind(&["write its path in full"]);
    // The rule is another one: both ways say that it would change.
    place.write(
        "more.odcs.yaml",
        more.check("{ id: two, metric: rowCount, mustBe: 2 }")
            .text(),
    );
    let dry = both
        .by_http(&["dataset", "apply", "-f", file, "--dry-run"])
        .ended(0);
    assert!(dry.out.starts_with("changed    more"), "{}", dry.out);
    assert!(apply().starts_with("changed    more"));

    let start = ["run", "start", "more", "--idempotency-key", "monday"];
    let first = both.by_http(&start).ended(0);
    assert!(first.out.starts_with("started"), "{}", first.out);
    let again = both.by_http(&start).ended(0);
    assert_eq!(again.out.replace("known  ", "started"), first.out);
    let wait = [
        "run",
        "start",
        "more",
        "--rescan",
        "--partition",
        "date=2026-02-01",
        "--watch",
        "-o",
        "json",
    ];
    let said = both.by_http(&wait).ended(0);
    assert!(said.err.contains("succeeded"), "{}", said.err);
    let other = both.by_grpc(&wait).ended(0).json();
    let mine = said.json();
    let (mine, theirs) = (&mine["items"][0], &other["items"][0]);
    for field in [
        "counts",
        "partitions",
        "trigger",
        "selection",
        "state",
        "unchanged",
        "taskStates",
    ] {
        assert_eq!(mine[field], theirs[field], "{field}");
    }
    assert_eq!(
        mine["counts"]["planned"],
        mine["results"].as_array().unwrap().len()
    );

    both.alike(&["cluster", "scale", "--nodes", "1..2"], str::to_owned)
        .ended(0);
    let history = both.by_http(&["dataset", "history", "more"]).ended(0);
    assert!(history.out.contains("1.0.0"), "{}", history.out);
    let retired = both.by_http(&["dataset", "retire", "more"]).ended(0);
    assert!(
        retired.out.starts_with("retired    more 1.0.0"),
        "{}",
        retired.out
    );
    let listed = both.by_http(&["dataset", "list"]).ended(0);
    let line = listed.out.lines().find(|line| line.contains("more"));
    assert!(
        line.is_some_and(|line| line.contains("retired")),
        "{}",
        listed.out
    );
    both.by_http(&["dataset", "retire", "nothing"]).ended(2);
    let drain = ["node", "drain", "node-1", "--reason", "a test"];
    assert!(
        both.by_http(&drain)
            .ended(0)
            .out
            .starts_with("draining  node-1")
    );
    both.dev.kill();
}

#[tokio::test]
async fn only_the_gateway_that_is_named_is_asked() {
    let both = Both::new().await;
    // Nobody is there: the manager of this folder is not taken in its place.
    let nowhere = ("ASSAY_SERVER__URL", "http://127.0.0.1:1");
    both.by(nowhere, &["run", "list"])
        .ended(5)
        .kind(&["no gateway answers", "server.url"]);
    both.by(nowhere, &["doctor"])
        .ended(4)
        .kind(&["no gateway answers"]);
    // A port that speaks something else.
    let grpc = format!("http://{}", both.grpc.trim_start_matches("http://"));
    both.by(("ASSAY_SERVER__URL", grpc.as_str()), &["run", "list"])
        .ended(5)
        .kind(&["gateway"]);
    // What a manager alone answers says so.
    both.by_http(&["schedule", "tick"])
        .ended(2)
        .kind(&["a manager", "--server"]);
    // By the flag, the address that `assay dev` prints is that of the API.
    let flag = both
        .place
        .assay(&["--server", &both.http, "run", "list", "-o", "json"]);
    assert!(flag.ended(0).json()["items"].as_array().unwrap().len() > 1);
    let doctor = both.by_http(&["doctor"]).ended(0);
    let doctor = doctor.kind(&["server", "embedded", "clock skew", "token", "is operator"]);
    assert!(doctor.out.contains("1 node (1 live)"), "{}", doctor.out);
    // A token goes over no network in the clear, and is never shown.
    let mut command = both.place.command(&["run", "list"]);
    command
        .env("ASSAY_SERVER__URL", "http://192.0.2.1")
        .env("ASSAY_SERVER__TOKEN", "env:SECRET");
    let said = Said::of(&command.env("SECRET", "hunter2").output().unwrap());
    said.ended(2).kind(&["https://"]);
    let mut command = both.place.command(&["config", "view"]);
    let said = Said::of(
        &command
            .env("ASSAY_SERVER__TOKEN", "hunter2")
            .output()
            .unwrap(),
    );
    let said = said.ended(2).kind(&["ASSAY_SERVER__TOKEN", "env:NAME"]);
    assert!(!said.all().contains("hunter2"), "{}", said.all());
    both.dev.kill();
}
