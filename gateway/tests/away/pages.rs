//! Pages of a gateway on a real Postgres, in a real browser: what is known is shown with its age while
//! the store is away, and is in force again as soon as it is back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_gateway::{GuardSettings, Seams};
use assay_test_servers::browser::Browser;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::block_in_place;

use crate::scene::Scene;

/// Pages that were looked at before the store went away.
const KNOWN: [&str; 5] = [
    "/",
    "/datasets",
    "/datasets/orders",
    "/datasets/orders/checks",
    "/runs",
];

/// Asks for a page as the open one would: its status and its text.
fn fetch(browser: &mut Browser, path: &str) -> (u64, String) {
    let ask = format!(
        "fetch({}).then(async (r) => [r.status, await r.text()])",
        json!(path)
    );
    let told = browser.value(&ask);
    (
        told[0].as_u64().unwrap(),
        told[1].as_str().unwrap().to_owned(),
    )
}

fn is_old(page: &str) -> bool {
    page.contains("banner warned")
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_say_how_old_they_are_while_the_store_is_away_and_recover_by_themselves() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let gateway = scene.gateway().paged(Seams::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let audit = Arc::new(scene.store.clone());
    let gateway = gateway.guarded(GuardSettings::default(), audit).unwrap();
    tokio::spawn(gateway.serve(listener, async move { drop(stopped.await) }));
    let mut browser = block_in_place(|| {
        let mut browser = Browser::start();
        browser.look(1280, false);
        for path in KNOWN.iter().rev() {
            browser.open(&format!("{origin}{path}"));
            let (status, page) = fetch(&mut browser, path);
            assert_eq!(status, 200, "{path}");
            assert!(!is_old(&page), "{path}: {page}");
        }
        assert_eq!(browser.complaints(&origin), Vec::<String>::new());
        // The overview stays open.
        browser.value("window.same = true");
        browser
    });

    scene.server.stop();
    block_in_place(|| {
        browser.until("document.querySelector('.banner.warned') !== null");
        let said = browser.value("document.querySelector('.banner.warned').innerText");
        assert!(said.as_str().unwrap().contains("what was known"), "{said}");
        for path in KNOWN {
            let (status, page) = fetch(&mut browser, path);
            assert_eq!(status, 200, "{path}");
            assert!(is_old(&page), "{path} does not say that it is old");
        }
        // What was never asked for is not made up, and nothing is promised that cannot be done.
        let (status, page) = fetch(
            &mut browser,
            "/datasets/orders/metrics/rowCount?from=2026-01-01",
        );
        assert_eq!(status, 503, "{page}");
        let wish = "fetch('/datasets/orders/runs', { method: 'POST', body: new URLSearchParams({ key: 'k' }) }).then((r) => r.status)";
        assert_eq!(browser.value(wish), json!(503));
    });

    scene.server.restart();
    let back = Instant::now();
    block_in_place(|| {
        for path in KNOWN {
            while is_old(&fetch(&mut browser, path).1) {
                let waited = back.elapsed();
                assert!(
                    waited < Duration::from_secs(3),
                    "{path} is old after {waited:?}"
                );
            }
        }
        println!("in force again {:?} after the return", back.elapsed());
        browser.until("document.querySelector('.banner.warned') === null");
        assert_eq!(
            browser.value("window.same"),
            json!(true),
            "it was loaded again"
        );
    });
    drop(stop);
}
