//! A walk over the pages of `assay dev` with a real browser, on the data of the demonstration: from the
//! overview to the check that failed and to what explains it, every link and every call of a footer, a
//! run that moves by itself, an answer whose backtest is shown before it is kept.
//!
//! With `ASSAY_SCREENSHOTS=FOLDER` every kind of page is also written there as a picture.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod web;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use assay_test_servers::browser::Browser;
use common::{Place, Running};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use web::Site;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The day of the story's end that is so many days back, as its partition is called. It ends
/// yesterday: of a story that ended earlier, the days since would be missing.
fn day_before_last(back: i64) -> String {
    static LAST: OnceLock<Date> = OnceLock::new();
    let yesterday = || Timestamp::now().to_zoned(TimeZone::UTC).date() - 1.day();
    let last = *LAST.get_or_init(yesterday);
    (last - back.days()).to_string()
}

/// The day of which half of the rows are gone.
fn halved() -> String {
    day_before_last(34)
}

/// The demonstration, told once for all tests.
fn demo() -> &'static Place {
    static TOLD: OnceLock<Place> = OnceLock::new();
    TOLD.get_or_init(|| {
        let place = Place::new();
        let begun = Instant::now();
        let told = place.assay(&[
            "demo",
            "--dir",
            "shop",
            "--until",
            &day_before_last(0),
            "--rows-per-day",
            "4000",
        ]);
        println!("the demonstration took {:?}", begun.elapsed());
        told.ended(0);
        place
    })
}

/// `assay dev` on a copy of the demonstration.
struct Shop {
    site: Site,
    origin: String,
    dev: Running,
    _place: Place,
}

impl Shop {
    fn open() -> Self {
        let place = Place::new();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(demo().path("shop"))
            .arg(place.path("shop"))
            .status()
            .unwrap();
        assert!(copied.success());
        let dev = [
            "dev",
            "--dir",
            "shop",
            "--data-dir",
            "shop/.assay",
            "--grpc-port",
            "0",
            "--nodes",
            "2",
            "--poll-s",
            "3600",
        ];
        let dev = Running::start(place.command(&dev), &place.path("log"));
        let begun = Instant::now();
        let up = || {
            std::fs::read_to_string(place.path("log"))
                .unwrap()
                .contains("HTTP API")
        };
        while !up() {
            assert!(begun.elapsed() < PATIENCE, "assay dev does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        let site = Site::of_log(&place.path("log"));
        let shop = Self {
            origin: format!("http://{}", site.address()),
            site,
            dev,
            _place: place,
        };
        // What changed while nobody looked is looked at first.
        let begun = Instant::now();
        while shop.runs("active") > 0 || shop.nodes() < 2 {
            assert!(begun.elapsed() < PATIENCE, "the cluster does not settle");
            std::thread::sleep(Duration::from_millis(100));
        }
        shop
    }

    fn runs(&self, state: &str) -> usize {
        let runs = self.site.get(&format!("/api/v1/runs?state={state}")).ok();
        runs["items"].as_array().unwrap().len()
    }

    fn nodes(&self) -> usize {
        let nodes = self.site.get("/api/v1/nodes");
        if nodes.status != 200 {
            return 0;
        }
        let nodes = nodes.json()["items"].as_array().unwrap().clone();
        nodes.iter().filter(|node| node["state"] == "live").count()
    }

    fn browse(&self, path: &str) -> Browser {
        let mut browser = Browser::start();
        browser.look(1280, false);
        browser.open(&format!("{}{path}", self.origin));
        browser
    }
}

fn text(browser: &mut Browser, selector: &str) -> String {
    let selector = json!(selector);
    let told = browser.value(&format!(
        "document.querySelector({selector})?.innerText ?? ''"
    ));
    told.as_str().unwrap().to_owned()
}

/// Follows the first link under `selector` whose words hold `words`.
#[track_caller]
fn follow(browser: &mut Browser, selector: &str, words: &str) {
    let mark = format!(
        "(() => {{ const a = [...document.querySelectorAll({})].find((a) => a.innerText.includes({})); a?.setAttribute('data-followed', ''); return !!a; }})()",
        json!(selector),
        json!(words)
    );
    assert_eq!(browser.value(&mark), json!(true), "no link says {words}");
    browser.click("[data-followed]");
}

#[test]
fn from_the_overview_to_the_check_that_failed_and_what_explains_it() {
    let shop = Shop::open();
    let mut browser = shop.browse("/");
    let open = shop.site.get("/api/v1/incidents?status=open").ok();
    let open = open["items"].as_array().unwrap().len();
    let told = text(&mut browser, "main");
    assert!(told.contains(&format!("{open} open incidents")), "{told}");
    assert!(told.contains("1 dataset: 1 not evaluated;"), "{told}");
    // The overview shows the newest of them, which of several at once is left open.
    follow(
        &mut browser,
        "a[href='/incidents?status=open']",
        "All open incidents",
    );
    // An open incident says in a sentence what is wrong, and with which file.
    follow(
        &mut browser,
        "a[href^='/incidents/inc_']",
        "could not be evaluated",
    );
    let told = text(&mut browser, "main");
    assert!(
        told.contains("it does not end as a Parquet file does"),
        "{told}"
    );
    // What others should know of it is noted on its page, and shown with who and when.
    browser.value("document.querySelector('#note').value = 'the producer\\nwrites it again'");
    browser.click("form[action$='/note'] button");
    let told = text(&mut browser, "[aria-labelledby=story]");
    assert!(
        told.contains("noted by local") && told.contains("the producer\nwrites it again"),
        "{told}"
    );
    follow(&mut browser, "a[href='/datasets/orders']", "orders");
    // It is in order by its newest partition, and says what is open all the same.
    let told = text(&mut browser, "main");
    assert!(
        told.contains(&format!("{open} incidents are open all the same")),
        "{told}"
    );
    // Why it is not healthy although its newest partition is stands in its first line.
    let line = format!(
        "71 of 72 checks pass in {}; 1 was skipped; not all of it could be evaluated",
        day_before_last(0)
    );
    assert!(told.contains(&line), "{told}");
    browser.click("nav a[href='/datasets/orders/checks']");
    follow(&mut browser, "td.title a", "profile:rowCount");
    // The chart: the day of which half is gone failed, the one that could not be read is a cross,
    // the one that never came is no point of a line.
    for (class, count) in [("o-fail", 2), ("o-error", 1), ("o-missing", 1)] {
        let drawn = format!("document.querySelectorAll('.chart-wide path.dot.{class}').length");
        assert_eq!(browser.value(&drawn), json!(count), "{class}");
    }
    let row = browser.value(&format!(
        "[...document.querySelectorAll('tbody tr')].find((r) => r.innerText.includes('{}')).innerText",
        halved()
    ));
    let row = row.as_str().unwrap();
    for words in ["fail", "between", "partitions"] {
        assert!(row.contains(words), "{row}");
    }
    // The point under the pointer says it, too.
    browser.value("(() => { const d = document.querySelector('.chart-wide path.dot.o-fail').getBoundingClientRect(); document.querySelector('.chart-wide').dispatchEvent(new PointerEvent('pointermove', { clientX: d.left + 2, clientY: d.top, bubbles: true })); })()");
    let tip = text(&mut browser, ".chart-wide .tip");
    assert!(tip.contains(&halved()) && tip.contains("fail"), "{tip}");
    assert_eq!(browser.complaints(&shop.origin), Vec::<String>::new());
}

/// The kind of a page: its path without what varies, with the names of its query.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let fixed = |n: usize, part: &str| match n {
        0 => true,
        1 => parts[0] == "api",
        2 => true,
        3 => false,
        _ => part.chars().all(|c| c.is_ascii_alphabetic()),
    };
    let path: Vec<&str> = parts
        .iter()
        .enumerate()
        .map(|(n, part)| if fixed(n, part) { part } else { "-" })
        .collect();
    let names: BTreeSet<&str> = query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .filter(|name| !name.is_empty())
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    let mut kind = path.join("_");
    for name in names {
        kind.push('+');
        kind.push_str(name);
    }
    if kind.is_empty() {
        "overview".to_owned()
    } else {
        kind
    }
}

/// What a page leads to.
fn links(page: &str) -> Vec<String> {
    page.split(" href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|link| link.replace("&amp;", "&"))
        .map(|link| link.split('#').next().unwrap().to_owned())
        .filter(|link| link.starts_with('/') && !link.starts_with("/assets/"))
        .collect()
}

/// Pages of a kind that are looked at.
const EACH: usize = 4;

/// Every page that links lead to from the overview, a few of each kind: its path by its kind.
fn crawl(site: &Site) -> BTreeMap<String, Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut queue = VecDeque::from([("/".to_owned(), "nowhere".to_owned())]);
    let mut wrong = Vec::new();
    while let Some((path, from)) = queue.pop_front() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let of_kind = kinds.entry(kind(&path)).or_default();
        if of_kind.len() >= EACH {
            continue;
        }
        of_kind.push(path.clone());
        let mut answer = site.get(&path);
        // On a machine that is busy a first read may take longer than it is waited for: the answer
        // says when to ask again.
        for _ in 0..10 {
            if answer.status != 503 || answer.header("retry-after").is_none() {
                break;
            }
            std::thread::sleep(Duration::from_secs(1));
            answer = site.get(&path);
        }
        if answer.status != 200 {
            let said: String = answer.text().chars().take(300).collect();
            wrong.push(format!(
                "{path}, linked by {from}: {} {said}",
                answer.status
            ));
            continue;
        }
        let is_page = answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"));
        if is_page {
            let found = links(&answer.text());
            queue.extend(found.into_iter().map(|link| (link, path.clone())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    kinds
}

#[test]
fn every_link_and_every_call_of_a_footer_is_there_and_every_page_fits() {
    let shop = Shop::open();
    let kinds = crawl(&shop.site);
    let calls = kinds
        .keys()
        .filter(|kind| kind.starts_with("api_v1"))
        .count();
    println!("{} kinds of pages, {calls} of calls", kinds.len() - calls);
    assert!(kinds.len() > 40 && calls > 15, "{kinds:#?}");
    let folder = std::env::var_os("ASSAY_SCREENSHOTS").map(PathBuf::from);
    let mut browser = Browser::start();
    let mut wrong = Vec::new();
    for (kind, paths) in &kinds {
        let plain =
            kind.starts_with("api_v1") || kind.starts_with("metrics") || kind.contains("format");
        if plain {
            continue;
        }
        for (width, dark) in [(1280, false), (360, false), (1280, true), (360, true)] {
            browser.look(width, dark);
            browser.open(&format!("{}{}", shop.origin, paths[0]));
            let wide = browser.value("document.documentElement.scrollWidth");
            if wide.as_u64().unwrap() > u64::from(width) {
                wrong.push(format!("{} at {width}: {wide} wide", paths[0]));
            }
            let said = browser.complaints(&shop.origin);
            wrong.extend(said.iter().map(|s| format!("{} at {width}: {s}", paths[0])));
            if let Some(folder) = &folder {
                let theme = if dark { "dark" } else { "light" };
                let form = if width > 1000 { "wide" } else { "narrow" };
                let file = folder.join(format!("real-{kind}-{form}-{theme}.png"));
                std::fs::create_dir_all(folder).unwrap();
                std::fs::write(file, browser.picture()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_run_that_is_started_on_its_page_moves_by_itself() {
    let shop = Shop::open();
    let mut browser = shop.browse("/datasets/orders/backfill");
    browser.value("document.querySelector('input[name=rescan]').checked = true");
    let slowed = shop.dev.slowed();
    browser.click("form[method=post] button.main");
    // The list is at most a second old.
    let begun = Instant::now();
    let run = loop {
        let runs = shop.site.get("/api/v1/runs?state=active").ok();
        if let Some(run) = runs["items"][0]["id"].as_str() {
            break run.to_owned();
        }
        assert!(begun.elapsed() < PATIENCE, "no run is at work");
    };
    let link = format!("[data-part=progress] h3 a[href='/runs/{run}']");
    browser.until(&format!("document.querySelector({}) !== null", json!(link)));
    browser.click(&link);
    browser.value("window.same = true");
    let (mut seen, mut guesses) = (BTreeSet::new(), BTreeSet::new());
    let begun = Instant::now();
    while !text(&mut browser, "[data-part=state]").contains("partial") {
        assert!(begun.elapsed() < PATIENCE, "it does not end: {seen:?}");
        seen.insert(text(&mut browser, "#bar"));
        let told = text(&mut browser, "[aria-labelledby=bar] header");
        guesses.extend(told.contains(" left;").then_some(told));
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(slowed);
    println!("{seen:?}\n{guesses:?}\nended after {:?}", begun.elapsed());
    assert!(seen.len() > 3, "{seen:?}");
    assert!(!guesses.is_empty(), "it never said how much time is left");
    // It has ended: it says why, and offers no stop.
    browser.until("document.querySelector('form[action$=cancel]') === null");
    let log = text(&mut browser, "[aria-labelledby=log]");
    assert!(
        log.contains("failed for good") && log.contains(&day_before_last(10)),
        "{log}"
    );
    // A day that is broken altogether breaks every check: a few are shown, and where the others are.
    let results = text(&mut browser, "[aria-labelledby=results]");
    let empty = format!("Partition {}", day_before_last(14));
    for words in [empty.as_str(), "more of this partition:"] {
        assert!(results.contains(words), "{results}");
    }
    assert!(results.matches("profile:").count() < 60, "{results}");
    assert_eq!(
        browser.value("window.same"),
        json!(true),
        "it was loaded again"
    );
    assert_eq!(browser.complaints(&shop.origin), Vec::<String>::new());
}

/// Pastes a text where a file is registered.
fn paste(browser: &mut Browser, file: &str) {
    let file = json!(file);
    browser.value(&format!("document.querySelector('#text').value = {file}"));
}

#[test]
fn a_dataset_is_registered_by_pasting_its_file_and_is_judged() {
    let shop = Shop::open();
    let mut browser = shop.browse("/");
    browser.click("a.button.main[href='/register']");
    let file = |operator: &str| {
        format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: copies\nversion: 1.0.0\n\
             status: active\nservers:\n  \
             - {{ server: files, type: local, path: ./orders, format: parquet }}\n\
             schema:\n  - name: orders\n    quality:\n      \
             - {{ id: some, metric: rowCount, {operator}: 0 }}\n"
        )
    };
    paste(&mut browser, &file("mustBeGreaterThen"));
    browser.click("button[value=check]");
    let found = text(&mut browser, "[aria-labelledby=found]");
    assert!(
        found.contains("not valid yet") && found.contains("mustBeGreaterThan"),
        "{found}"
    );
    paste(&mut browser, &file("mustBeGreaterThan"));
    browser.click("button[value=check]");
    let found = text(&mut browser, "[aria-labelledby=found]");
    assert!(found.contains("would create the dataset"), "{found}");
    let known = || shop.site.get("/api/v1/datasets/copies").status;
    assert_eq!(known(), 404, "it is registered before that is wished");
    browser.click("button[value=register]");
    let told = text(&mut browser, "main");
    assert!(told.contains("The definition is registered."), "{told}");
    assert_eq!(known(), 200);
    browser.click("form[action='/datasets/copies/runs'] button.main");
    // One partition of the copy cannot be read either: the others are judged all the same.
    browser.until("document.querySelector('[data-part=state]').innerText.includes('partial')");
    browser.click("h1 a[href='/datasets/copies']");
    let words = text(&mut browser, "[data-part=words]");
    let passing = format!("checks pass in {}", day_before_last(0));
    assert!(words.contains(&passing), "{words}");
    assert_eq!(browser.complaints(&shop.origin), Vec::<String>::new());
}

#[test]
fn a_verdict_is_answered_after_its_backtest_was_shown() {
    let shop = Shop::open();
    let kept = || shop.site.get("/api/v1/datasets/orders/feedback").ok();
    let mut browser = shop.browse("/datasets/orders/checks/profile:rowCount");
    browser.value(&format!(
        "(() => {{ document.querySelector('#answer ~ form input[name=from]').value = '{}'; document.querySelector('#answer ~ form textarea[name=why]').value = 'a strike'; }})()",
        halved()
    ));
    browser.click("#answer ~ form button");
    let told = text(&mut browser, "section[aria-labelledby=backtest]");
    assert!(told.contains(&halved()), "{told}");
    assert_eq!(kept()["total"], 0, "it is kept before it is wished");
    browser.click("form[method=post] button.main");
    let told = text(&mut browser, ".banner.good");
    assert!(told.contains("is kept"), "{told}");
    let answer = &kept()["items"][0];
    assert_eq!(answer["kind"], "mark_as_normal", "{answer:#}");
    assert_eq!(answer["reason"], "a strike");
    assert_eq!(answer["by"], "local");
    // It is taken back with a reason, and stays on record.
    browser.value(
        "document.querySelector('form[action$=withdraw] input[name=why]').value = 'it was a fault'",
    );
    browser.click("form[action$=withdraw] button");
    let told = text(&mut browser, ".banner.good");
    assert!(told.contains("withdrawn"), "{told}");
    assert_eq!(kept()["items"][0]["inForce"], false);
    assert_eq!(browser.complaints(&shop.origin), Vec::<String>::new());
}
