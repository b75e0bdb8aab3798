//! Names that are markup: through the API as they are, and on pages as text.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::common::{Definition, Place, Running};
use super::web::{Answer, Site};
use super::{day, until};

/// What would run if it were markup; it has no `/`, which names of files cannot have.
const SCRIPT: &str = "<script>alert(1)";
/// The same, of an attribute.
const IMAGE: &str = "x\"><img src=x onerror=alert(1)>";

/// Markup of ours never says this; escaped, it is said otherwise.
fn is_markup(text: &str) -> bool {
    text.contains("<script>alert") || text.contains("<img src=x") || text.contains("x\"><img")
}

/// The paths that a page leads to.
fn links(page: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for piece in page.split("href=\"").skip(1) {
        let path = piece.split('"').next().unwrap_or_default();
        let path = path.split('#').next().unwrap_or_default();
        if path.starts_with('/') && !path.starts_with("//") {
            paths.push(path.replace("&amp;", "&"));
        }
    }
    paths
}

async fn cluster(place: &Place) -> (Running, Site) {
    for (at, region) in [(0, SCRIPT), (1, SCRIPT), (0, IMAGE)] {
        let file = format!("data/date={}/region={region}/a.csv", day(at));
        place.write(&file, format!("id,{SCRIPT}\n1,1.5\n"));
    }
    let definition = Definition::new("orders", place.path("data"), "csv").check(&format!(
        "{{ id: many, metric: rowCount, mustBeGreaterThan: 5, severity: error, name: '{IMAGE}' }}"
    ));
    let text = definition
        .text()
        .replace("id: orders\n", &format!("id: orders\nname: '{SCRIPT}'\n"));
    let text = text + &format!("team:\n  name: '{IMAGE}'\n");
    place.write("datasets/orders.odcs.yaml", text);
    let dev = ["dev", "--grpc-port", "0", "--poll-s", "3600"];
    let dev = Running::start(place.command(&dev), &place.path("log"));
    place.settled(1, Duration::from_secs(60)).await;
    let site = Site::of_log(&place.path("log"));
    (dev, site)
}

#[tokio::test]
async fn names_that_are_markup_are_text_on_every_page_and_whole_in_the_api() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    until("an incident", || {
        let open = site.get("/api/v1/incidents").ok();
        open["items"][0]["id"].as_str().map(str::to_owned)
    });
    let whole = |path: &str, name: &str| {
        let answer = site.get(path);
        let kind = answer.header("content-type").map(str::to_owned);
        assert_eq!(kind.as_deref(), Some("application/json"), "{path}");
        let text = answer.ok().to_string();
        let name = Value::String(name.to_owned()).to_string();
        let name = name.trim_matches('"');
        assert!(text.contains(name), "{path}: {text}");
    };
    whole("/api/v1/datasets/orders", SCRIPT);
    whole("/api/v1/datasets/orders", IMAGE);
    whole("/api/v1/datasets/orders/partitions", IMAGE);
    whole("/api/v1/datasets/orders/metrics", SCRIPT);
    // Every page that is led to from the first.
    let (mut seen, mut next) = (BTreeSet::new(), VecDeque::from(["/".to_owned()]));
    let mut named = 0;
    while let Some(path) = next.pop_front() {
        if seen.len() > 150 || !seen.insert(path.clone()) {
            continue;
        }
        let streams = path.ends_with("/events") || path.starts_with("/assets");
        if streams {
            continue;
        }
        let page: Answer = site.get(&path);
        let kind = page.header("content-type").unwrap_or_default().to_owned();
        if !kind.starts_with("text/html") && !kind.starts_with("image/svg") {
            continue;
        }
        let text = page.text();
        assert!(page.status < 500, "{path}: {text}");
        assert!(!is_markup(&text), "{path}: {text}");
        named += usize::from(text.contains("alert(1)"));
        next.extend(links(&text));
    }
    assert!(
        seen.len() > 20 && named > 5,
        "{named} of {} pages",
        seen.len()
    );
    // What was asked for is told as text, too.
    for path in [
        "/datasets/%3Cscript%3Ealert(1)",
        "/datasets?search=%3Cscript%3Ealert(1)",
    ] {
        assert!(!is_markup(&site.get(path).text()), "{path}");
    }
    dev.kill();
}
