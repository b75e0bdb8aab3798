//! Every page that a link leads to: strict markup, no dead link, no name that bursts it, and footers
//! that name calls and commands which exist.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

mod common;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use common::get;
use common::state::World;
use common::world::Names;
use scraper::{ElementRef, Html, Selector};

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

/// Elements that must have a name for those who do not see them.
fn named(page: &Html, of: ElementRef<'_>) -> bool {
    let value = of.value();
    let by_for = value.id().is_some_and(|id| {
        all(page, "label")
            .iter()
            .any(|label| label.value().attr("for") == Some(id))
    });
    let within = of
        .ancestors()
        .filter_map(ElementRef::wrap)
        .any(|a| a.value().name() == "label");
    by_for || within || value.attr("aria-label").is_some()
}

/// What is wrong with the markup of a page.
fn wrong(page: &Html) -> Vec<String> {
    let mut wrong: Vec<String> = page.errors.iter().map(ToString::to_string).collect();
    let mut ids = BTreeSet::new();
    for element in page
        .root_element()
        .descendants()
        .filter_map(ElementRef::wrap)
    {
        let value = element.value();
        for (name, text) in value.attrs() {
            if name.starts_with("on")
                || name == "style"
                || text.trim_start().starts_with("javascript:")
            {
                wrong.push(format!(
                    "<{} {name}> runs or styles within the page",
                    value.name()
                ));
            }
        }
        if let Some(id) = value.id()
            && !ids.insert(id.to_owned())
        {
            wrong.push(format!("two elements are #{id}"));
        }
    }
    for refers in ["aria-labelledby", "for"] {
        for element in all(page, &format!("[{refers}]")) {
            let id = element.value().attr(refers).unwrap();
            if !ids.contains(id) {
                wrong.push(format!("{refers}={id} is nowhere"));
            }
        }
    }
    for control in all(page, "input:not([type=hidden]), select, textarea") {
        if !named(page, control) {
            wrong.push(format!("no label: {}", control.html()));
        }
    }
    for svg in all(page, "svg") {
        let value = svg.value();
        let hidden = value.attr("aria-hidden") == Some("true");
        let image = value.attr("role") == Some("img")
            && value.attr("aria-label").is_some_and(|l| !l.is_empty());
        if hidden == image {
            wrong.push(format!(
                "a drawing is neither hidden nor named: {}",
                &svg.html()[..80]
            ));
        }
    }
    for link in all(page, "a, button") {
        let says = link.text().any(|t| !t.trim().is_empty())
            || link.value().attr("aria-label").is_some()
            || !link
                .select(&Selector::parse("svg[aria-label], title").unwrap())
                .collect::<Vec<_>>()
                .is_empty();
        if !says {
            wrong.push(format!("a link without words: {}", link.html()));
        }
    }
    for (selector, count) in [
        ("h1", 1),
        ("main", 1),
        ("title", 1),
        ("body > header", 1),
        ("footer", 1),
        ("html[lang]", 1),
        ("script", 1),
        ("script[src]", 1),
        ("style", 0),
        ("iframe", 0),
        ("img", 0),
    ] {
        // The titles of drawings are no titles of the page.
        let found = all(
            page,
            if selector == "title" {
                "head > title"
            } else {
                selector
            },
        )
        .len();
        if found != count {
            wrong.push(format!("{found} × {selector}, not {count}"));
        }
    }
    wrong.extend(
        all(page, "th:not([scope])")
            .iter()
            .map(|th| format!("no scope: {}", th.html())),
    );
    wrong.extend(
        all(page, "nav:not([aria-label])")
            .iter()
            .map(|nav| format!("no name: {}", nav.html())),
    );
    wrong.extend(
        all(
            page,
            "section:not([aria-label]):not([aria-labelledby]):not(.card)",
        )
        .iter()
        .map(|s| format!("no name: {}", s.html())),
    );
    wrong
}

/// What a crawl found.
#[derive(Default)]
struct Crawl {
    pages: BTreeMap<String, BTreeSet<String>>,
    wrong: Vec<String>,
    calls: BTreeSet<String>,
    commands: BTreeSet<String>,
}

/// Follows every link from `/`, each page once; without `ranges`, not into each range of each chart.
async fn crawl(
    world: &Arc<World>,
    ranges: bool,
    check: impl Fn(&str, &str) -> Vec<String>,
) -> Crawl {
    let pages = world.pages();
    let mut found = Crawl::default();
    let mut anchors: Vec<(String, String, String)> = Vec::new();
    let mut queue = VecDeque::from([("/".to_owned(), String::new())]);
    let mut seen = BTreeSet::from(["/".to_owned()]);
    while let Some((path, from)) = queue.pop_front() {
        let (status, headers, text) = get(&pages, &path).await;
        if status != 200 {
            found
                .wrong
                .push(format!("{path}, linked by {from}: {status}"));
            continue;
        }
        if !headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
        {
            continue;
        }
        found.wrong.extend(
            check(&path, &text)
                .into_iter()
                .map(|w| format!("{path}: {w}")),
        );
        let page = Html::parse_document(&text);
        found
            .wrong
            .extend(wrong(&page).into_iter().map(|w| format!("{path}: {w}")));
        found.pages.insert(
            path.clone(),
            all(&page, "[id]")
                .iter()
                .filter_map(|e| e.value().id())
                .map(str::to_owned)
                .collect(),
        );
        found.commands.extend(
            all(&page, "code.cli")
                .iter()
                .map(|c| c.text().collect::<String>()),
        );
        for link in all(&page, "a[href], form[method=get]") {
            let to = link
                .value()
                .attr("href")
                .or(link.value().attr("action"))
                .unwrap();
            let (target, anchor) = to.split_once('#').unwrap_or((to, ""));
            let target = if target.is_empty() {
                path.as_str()
            } else {
                target
            };
            if !target.starts_with('/') || target.starts_with("//") {
                found.wrong.push(format!("{path}: a link leaves: {to}"));
            } else if target.starts_with("/api/v1/") || target == "/metrics" {
                found.calls.insert(target.to_owned());
            } else {
                if !anchor.is_empty() {
                    anchors.push((path.clone(), target.to_owned(), anchor.to_owned()));
                }
                // A form is sent with what is in it; of the answer, only its page is looked at.
                let is_range = ["last=", "zero=", "format="]
                    .iter()
                    .any(|r| target.contains(r));
                let wanted = ranges || !is_range;
                if link.value().name() == "a" && wanted && seen.insert(target.to_owned()) {
                    queue.push_back((target.to_owned(), path.clone()));
                }
            }
        }
        assert!(seen.len() < 3000, "the crawl does not end");
    }
    for (from, target, anchor) in anchors {
        let is = found
            .pages
            .get(&target)
            .is_some_and(|ids| ids.contains(&anchor));
        if !is {
            found
                .wrong
                .push(format!("{from}: {target}#{anchor} is nowhere"));
        }
    }
    found
}

fn nothing(_: &str, _: &str) -> Vec<String> {
    Vec::new()
}

fn assert_right(found: &Crawl) {
    assert!(
        found.wrong.is_empty(),
        "{}",
        found
            .wrong
            .iter()
            .take(30)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[tokio::test]
async fn every_link_leads_to_a_page_of_strict_markup() {
    let found = crawl(&World::new(Names::usual()), true, nothing).await;
    assert_right(&found);
    assert!(found.pages.len() > 60, "{} pages", found.pages.len());
    for kind in [
        "/",
        "/datasets",
        "/register",
        "/runs",
        "/incidents",
        "/nodes",
        "/cluster",
        "/subscriptions",
        "/settings",
        "/about",
        "/api/docs",
    ] {
        assert!(found.pages.contains_key(kind), "nothing leads to {kind}");
    }
}

#[tokio::test]
async fn a_world_without_anything_says_why_and_what_to_do() {
    let found = crawl(&World::empty(), true, |path, text| {
        let page = Html::parse_document(text);
        let empty = all(&page, ".empty");
        let silent = empty
            .iter()
            .filter(|e| e.text().collect::<String>().trim().len() < 5);
        silent
            .map(|_| format!("{path}: an empty view without a word"))
            .collect()
    })
    .await;
    assert_right(&found);
}

/// What a hostile text must never become.
fn harmless(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for bad in [
        "<script>alert",
        "<img src=x",
        "\" onmouseover=",
        "\u{202e}",
        "\u{2066}",
        "\u{0}",
    ] {
        if text.contains(bad) {
            wrong.push(format!("{bad:?} stands there as it is"));
        }
    }
    wrong
}

#[tokio::test]
async fn hostile_names_are_text_and_every_link_to_them_holds() {
    let texts = [
        "<script>alert('x')</script><img src=x onerror=alert(1)>",
        "\"' onmouseover=\"alert(1)\" x='",
        "gro\u{202e}txt.exe\u{2066}\u{200b}\u{0}",
        "../../etc/passwd?x=1&y=2#z%2e%2e",
        "{{ 7*7 }}{% raw %} ${x} `y` \\",
        "Ärger 日本語 🙂 a\tb",
        ".",
    ];
    for text in texts {
        let world = World::new(Names::all(text));
        let found = crawl(&world, false, |_, page| {
            // A form holds what it was given, to send it back: only there may marks stand as they are.
            let shown = Html::parse_document(page);
            let inputs: Vec<String> = all(&shown, "input[value], button[data-copy]")
                .iter()
                .map(|i| i.html())
                .collect();
            let mut rest = page.to_owned();
            for value in all(&shown, "input[value]")
                .iter()
                .filter_map(|i| i.value().attr("value"))
            {
                rest = rest.replace(&assay_pages::html::verbatim(value).0, "");
            }
            assert!(
                inputs
                    .iter()
                    .all(|i| !i.contains("<script>alert('x')</script>\""))
            );
            harmless(&rest)
        })
        .await;
        assert!(
            found.wrong.is_empty(),
            "{text:?}:\n{}",
            found
                .wrong
                .iter()
                .take(12)
                .cloned()
                .collect::<Vec<_>>()
                .join("\n")
        );
        assert!(
            found.pages.len() > 40,
            "{text:?}: {} pages",
            found.pages.len()
        );
    }
}

#[tokio::test]
async fn names_of_ten_thousand_characters_are_cut_and_pages_stay_small() {
    let long = "x".repeat(10_000);
    let world = World::new(Names {
        dataset: "orders".to_owned(),
        ..Names::all(&long)
    });
    let pages = world.pages();
    for path in [
        "/",
        "/datasets",
        "/datasets/orders",
        "/datasets/orders/checks",
        "/incidents",
        "/runs",
        "/datasets/orders/metrics",
    ] {
        let (status, _, text) = get(&pages, path).await;
        assert_eq!(status, 200, "{path}");
        let page = Html::parse_document(&text);
        let shown: String = all(&page, "body")[0].text().collect();
        let longest = shown.split_whitespace().map(str::len).max().unwrap();
        assert!(longest < 700, "{path}: a word of {longest}");
    }
}

/// The routes of the API that footers name, as templates.
const CALLS: [&str; 26] = [
    "/status",
    "/version",
    "/openapi.json",
    "/schemas/dataset.json",
    "/datasets",
    "/datasets/*",
    "/datasets/*/checks",
    "/datasets/*/checks/*/results",
    "/datasets/*/metrics",
    "/datasets/*/metrics/*/points",
    "/datasets/*/partitions",
    "/datasets/*/definition",
    "/datasets/*/versions",
    "/datasets/*/versions/*",
    "/datasets/*/versions/*/diff",
    "/runs",
    "/runs/*",
    "/runs/*/tasks",
    "/runs/*/tasks/*",
    "/incidents",
    "/incidents/*",
    "/nodes",
    "/nodes/*",
    "/cluster",
    "/subscriptions",
    "/subscriptions/*/deliveries",
];

#[tokio::test]
async fn footers_name_calls_of_the_api_and_commands_that_exist() {
    let found = crawl(&World::new(Names::usual()), true, nothing).await;
    for call in &found.calls {
        let path = call.split('?').next().unwrap();
        if path == "/metrics" {
            continue;
        }
        let parts: Vec<&str> = path.trim_start_matches("/api/v1/").split('/').collect();
        let like = |template: &&str| {
            let of: Vec<&str> = template.trim_start_matches('/').split('/').collect();
            of.len() == parts.len() && of.iter().zip(&parts).all(|(a, b)| *a == "*" || a == b)
        };
        assert!(CALLS.iter().any(like), "{call} is no route of the API");
    }
    assert!(found.commands.len() > 15, "{:?}", found.commands);
    let commands = commands();
    for command in &found.commands {
        let words: Vec<&str> = command.split_whitespace().take(3).collect();
        assert_eq!(words[0], "assay", "{command}");
        let verbs = commands.get(words[1]);
        let verbs = verbs.unwrap_or_else(|| panic!("{command}: no such command"));
        let is = verbs.is_empty() || words.get(2).is_some_and(|verb| verbs.contains(*verb));
        assert!(is, "{command}: only {verbs:?}");
    }
}

/// The nouns of the command with their verbs, read from where the command line is defined.
fn commands() -> BTreeMap<String, BTreeSet<String>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cli/src");
    let mut text = String::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let variants = |name: &str| -> Vec<(String, String)> {
        let Some(at) = text.find(&format!("pub enum {name} {{")) else {
            return Vec::new();
        };
        let body = &text[at..];
        let body = &body[..body.find("\n}").unwrap()];
        let lines = body.lines().filter(|l| {
            l.starts_with("    ") && l.as_bytes().get(4).is_some_and(u8::is_ascii_uppercase)
        });
        lines
            .map(|l| {
                let l = l.trim();
                let end = l
                    .find(|c: char| !c.is_ascii_alphanumeric())
                    .unwrap_or(l.len());
                let inner = l[end..]
                    .trim_matches(|c: char| !c.is_ascii_alphanumeric())
                    .to_owned();
                (l[..end].to_lowercase(), inner)
            })
            .collect()
    };
    let nouns = variants("Command");
    assert!(nouns.len() > 8, "{nouns:?}");
    nouns
        .into_iter()
        .map(|(noun, inner)| {
            let verbs = if inner.ends_with("Command") {
                variants(&inner)
            } else {
                Vec::new()
            };
            (noun, verbs.into_iter().map(|(verb, _)| verb).collect())
        })
        .collect()
}
