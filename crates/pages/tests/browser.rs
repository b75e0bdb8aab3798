//! Pages in a real browser: nothing is wider than a telephone, nothing is fetched from elsewhere,
//! nothing fails, in light and in dark; a run moves by itself; an answer is shown before it is kept;
//! a page whose store is away says so and recovers.
//!
//! With `ASSAY_SCREENSHOTS=FOLDER` every page is also written there as a picture.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

mod common;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use assay_test_servers::browser::Browser;
use common::state::World;
use common::world::{INCIDENT, LIVE_RUN, Names, RUN};
use serde_json::json;

/// A server in a runtime of its own.
struct Here {
    _runtime: tokio::runtime::Runtime,
    origin: String,
}

fn here(world: &Arc<World>) -> Here {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let address: SocketAddr = runtime.block_on(common::server::serve(Arc::clone(world)));
    Here {
        _runtime: runtime,
        origin: format!("http://{address}"),
    }
}

/// Every kind of page, by the name of its picture.
fn every_page() -> Vec<(&'static str, String)> {
    let own = |text: &str| text.to_owned();
    vec![
        ("overview", own("/")),
        ("datasets", own("/datasets")),
        ("datasets-none", own("/datasets?search=nothing")),
        ("dataset", own("/datasets/orders")),
        ("dataset-new", own("/datasets/events")),
        ("dataset-learning", own("/datasets/payments")),
        ("checks", own("/datasets/orders/checks")),
        ("check", own("/datasets/orders/checks/email_format")),
        (
            "answer",
            own(
                "/datasets/orders/checks/email_format/answer?saying=mark_as_normal&from=2026-11-11&why=sale",
            ),
        ),
        ("metrics", own("/datasets/orders/metrics")),
        ("metric", own("/datasets/orders/metrics/rowCount")),
        ("metric-series", own("/datasets/orders/metrics/byteCount")),
        ("partitions", own("/datasets/orders/partitions")),
        ("definition", own("/datasets/orders/definition")),
        ("definition-diff", own("/datasets/orders/definition?from=1")),
        ("backfill", own("/datasets/orders/backfill")),
        ("register", own("/register")),
        ("register-change", own("/register?dataset=orders")),
        ("runs", own("/runs")),
        ("run", format!("/runs/{RUN}")),
        ("run-live", format!("/runs/{LIVE_RUN}")),
        ("tasks", format!("/runs/{RUN}/tasks")),
        ("task", format!("/runs/{RUN}/tasks/7")),
        ("incidents", own("/incidents")),
        ("incident", format!("/incidents/{INCIDENT}")),
        ("nodes", own("/nodes")),
        ("node", own("/nodes/node-1")),
        ("cluster", own("/cluster")),
        ("subscriptions", own("/subscriptions?dataset=orders")),
        ("settings", own("/settings")),
        ("about", own("/about")),
        ("api", own("/api/docs")),
        ("no-page", own("/datasets/unknown")),
    ]
}

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("ASSAY_SCREENSHOTS")?);
    std::fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

/// Opens every page in both widths and both themes, and tells what is wrong with it.
fn walk(world: &Arc<World>, pages: &[(&str, String)], prefix: &str) {
    let here = here(world);
    let mut browser = Browser::start();
    let folder = folder();
    let mut wrong = Vec::new();
    for (name, path) in pages {
        for (width, dark) in [(1280, false), (360, false), (1280, true), (360, true)] {
            browser.look(width, dark);
            browser.open(&format!("{}{path}", here.origin));
            let wide = browser
                .value("document.documentElement.scrollWidth")
                .as_u64()
                .unwrap();
            if wide > u64::from(width) {
                let first = browser.value(
                    "(() => { const w = document.documentElement.clientWidth; const e = [...document.querySelectorAll('main *')].find(e => e.getBoundingClientRect().right > w + 1 && !e.closest('.scroll,.doc,.tabs')); return e ? e.outerHTML.slice(0, 160) : '?'; })()",
                );
                wrong.push(format!("{name} at {width}: {wide} wide, by {first}"));
            }
            let ground = browser.value("getComputedStyle(document.body).backgroundColor");
            let expected = if dark {
                "rgb(15, 19, 26)"
            } else {
                "rgb(244, 245, 248)"
            };
            if ground != json!(expected) {
                wrong.push(format!("{name}: the ground is {ground}, dark: {dark}"));
            }
            let expected_404 = *name == "no-page";
            let said = browser.complaints(&here.origin);
            let said = said
                .into_iter()
                .filter(|s| !(expected_404 && s.contains("404")));
            wrong.extend(said.map(|s| format!("{name} at {width}: {s}")));
            if let Some(folder) = &folder {
                let theme = if dark { "dark" } else { "light" };
                let form = if width > 1000 { "wide" } else { "narrow" };
                let file = folder.join(format!("{prefix}{name}-{form}-{theme}.png"));
                std::fs::write(file, browser.picture()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_fits_fails_nowhere_and_asks_nobody_else() {
    walk(&World::new(Names::usual()), &every_page(), "");
}

#[test]
fn pages_of_a_world_without_anything_fit_too() {
    let pages = [
        ("overview", "/".to_owned()),
        ("datasets", "/datasets".to_owned()),
        ("runs", "/runs".to_owned()),
        ("incidents", "/incidents".to_owned()),
        ("nodes", "/nodes".to_owned()),
        ("subscriptions", "/subscriptions".to_owned()),
    ];
    walk(&World::empty(), &pages, "empty-");
}

#[test]
fn names_of_ten_thousand_characters_do_not_burst_a_page() {
    let names = Names {
        dataset: "orders".to_owned(),
        ..Names::all(&"W".repeat(10_000))
    };
    let pages: Vec<_> = every_page()
        .into_iter()
        .filter(|(name, _)| !matches!(*name, "check" | "answer"))
        .collect();
    walk(&World::new(names), &pages, "long-");
}

#[test]
fn from_the_overview_to_the_check_that_fails_and_an_answer_to_it() {
    let world = World::new(Names::usual());
    let here = here(&world);
    let mut browser = Browser::start();
    browser.look(1280, false);
    browser.open(&format!("{}/", here.origin));
    browser.click("a.counter[href='/datasets?health=failing']");
    browser.click("td.title a[href='/datasets/orders']");
    browser.click("td.title a[href='/datasets/orders/checks/email_format']");
    assert_eq!(
        browser.value("document.querySelectorAll('.chart-wide path.dot.o-fail').length > 0"),
        json!(true)
    );
    // The tip of the nearest point says its value.
    browser.value("(() => { const d = document.querySelector('.chart-wide path.dot.o-fail').getBoundingClientRect(); document.querySelector('.chart-wide').dispatchEvent(new PointerEvent('pointermove', { clientX: d.left + 2, clientY: d.top, bubbles: true })); })()");
    let tip = browser.value("document.querySelector('.chart-wide .tip').textContent");
    assert!(tip.as_str().unwrap().contains("fail"), "{tip}");
    browser.value("document.querySelector('textarea[name=why]').value = 'a sale'");
    browser.click("#answer ~ form button");
    let backtest =
        browser.value("document.querySelector('#backtest').closest('section').innerText");
    assert!(
        backtest.as_str().unwrap().contains("would no longer alert"),
        "{backtest}"
    );
    assert!(
        world.wishes.lock().unwrap().is_empty(),
        "nothing is kept before it is wished"
    );
    browser.click("form[method=post] button.main");
    let notice = browser.value("document.querySelector('.banner.good').innerText");
    assert!(notice.as_str().unwrap().contains("is kept"), "{notice}");
    let wishes = world.wishes.lock().unwrap().clone();
    assert!(
        wishes.len() == 1 && wishes[0].starts_with("keep mark_as_normal 2026-11-14.."),
        "{wishes:?}"
    );
    assert_eq!(browser.complaints(&here.origin), Vec::<String>::new());
}

#[test]
fn a_live_run_moves_without_being_loaded_again() {
    let world = World::new(Names::usual());
    let here = here(&world);
    let mut browser = Browser::start();
    browser.look(1280, false);
    browser.open(&format!("{}/runs/{LIVE_RUN}", here.origin));
    browser.value("window.same = true");
    let before = browser.value("document.querySelector('#bar').textContent");
    browser.until("document.querySelector('#bar').textContent.startsWith('100 %')");
    assert_ne!(
        before,
        browser.value("document.querySelector('#bar').textContent")
    );
    // It has ended: the page says so, offers no stop, and asks no more.
    browser.until("document.querySelector('h1').textContent.includes('succeeded')");
    browser.until("!document.querySelector('form[action$=cancel]')");
    assert_eq!(
        browser.value("window.same"),
        json!(true),
        "the page was loaded again"
    );
    assert_eq!(browser.complaints(&here.origin), Vec::<String>::new());
}

#[test]
fn a_page_whose_store_is_away_says_so_and_recovers_by_itself() {
    let world = World::new(Names::usual());
    let here = here(&world);
    let mut browser = Browser::start();
    browser.look(1280, false);
    browser.open(&format!("{}/nodes", here.origin));
    world.away.store(true, Ordering::SeqCst);
    browser.until(
        "document.querySelector('.banner.warned')?.innerText.includes('3 min 10 s') === true",
    );
    if let Some(folder) = folder() {
        std::fs::write(folder.join("degraded-wide-light.png"), browser.picture()).unwrap();
    }
    world.away.store(false, Ordering::SeqCst);
    browser.until("!document.querySelector('.banner.warned')");
    assert_eq!(browser.complaints(&here.origin), Vec::<String>::new());
}

#[test]
fn a_file_with_a_mistake_is_shown_with_it_in_place() {
    let world = World::new(Names::usual());
    let here = here(&world);
    let mut browser = Browser::start();
    browser.look(1280, false);
    browser.open(&format!("{}/register", here.origin));
    browser.value("document.querySelector('#text').value = 'id: refunds\\nversion: 1.0.0\\nschema:\\n  - mustBeLessThen: 1\\n'");
    browser.click("button[value=register]");
    let wrong = browser.value("document.querySelector('#W4 + li').innerText");
    assert!(
        wrong.as_str().unwrap().contains("mustBeLessThen"),
        "{wrong}"
    );
    if let Some(folder) = folder() {
        std::fs::write(
            folder.join("register-wrong-wide-light.png"),
            browser.picture(),
        )
        .unwrap();
    }
    browser.value("(() => { const t = document.querySelector('#text'); t.value = t.value.replace('Then', 'Than'); })()");
    browser.click("button[value=check]");
    let tried = browser.value("document.querySelector('#found').innerText");
    assert_eq!(tried, json!("The file is valid"));
    browser.click("button[value=register]");
    let at = browser.value("location.pathname + location.search");
    assert_eq!(at, json!("/datasets/refunds?done=registered"));
    let wishes = world.wishes.lock().unwrap().clone();
    assert_eq!(
        wishes,
        [
            "apply refunds dry_run=true lines=4",
            "apply refunds dry_run=false lines=4"
        ]
    );
}
