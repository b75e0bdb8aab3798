//! What forms do: a wish to the API, then a redirect to the page that shows it; refusals are pages.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

mod common;

use assay_pages::Pages;
use assay_pages::seams::Seams;
use bytes::Bytes;
use common::state::World;
use common::world::{INCIDENT, LIVE_RUN, Names, RUN};
use common::{answer, get, post};
use http::Request;

/// Sends a form; gives where it leads, and what was wished.
async fn sent(path: &str, form: &str) -> (u16, String, Vec<String>) {
    let world = World::new(Names::usual());
    let (status, headers, _) = post(&world.pages(), path, form).await;
    let to = headers
        .get("location")
        .map_or_else(String::new, |to| to.to_str().unwrap().to_owned());
    let wishes = world.wishes.lock().unwrap().clone();
    (status, to, wishes)
}

#[tokio::test]
async fn each_button_is_one_wish_and_leads_to_what_shows_it() {
    let cases = [
        (
            "/datasets/orders/runs".to_owned(),
            "key=k1",
            format!("/runs/{LIVE_RUN}?done=run"),
            "start orders days=None backfill=false key=k1".to_owned(),
        ),
        (
            "/datasets/orders/backfill".to_owned(),
            "days=90&key=k2",
            "/datasets/orders/backfill?done=run".to_owned(),
            "start orders days=Some(90) backfill=true key=k2".to_owned(),
        ),
        (
            "/datasets/orders/backfill".to_owned(),
            "days=&key=k3",
            "/datasets/orders/backfill?done=run".to_owned(),
            "start orders days=None backfill=true key=k3".to_owned(),
        ),
        (
            format!("/runs/{RUN}/cancel"),
            "reason=wrong+day",
            format!("/runs/{RUN}?done=cancelled"),
            format!("cancel {RUN}: wrong day"),
        ),
        (
            format!("/runs/{RUN}/retry"),
            "",
            format!("/runs/{RUN}?done=retried"),
            format!("retry {RUN}"),
        ),
        (
            format!("/incidents/{INCIDENT}/mute"),
            "hours=168",
            format!("/incidents/{INCIDENT}?done=muted"),
            format!("incident {INCIDENT} Mute {{ hours: 168 }}"),
        ),
        (
            format!("/incidents/{INCIDENT}/acknowledge"),
            "",
            format!("/incidents/{INCIDENT}?done=acknowledged"),
            format!("incident {INCIDENT} Acknowledge"),
        ),
        (
            format!("/incidents/{INCIDENT}/resolve"),
            "",
            format!("/incidents/{INCIDENT}?done=resolved"),
            format!("incident {INCIDENT} Resolve"),
        ),
        (
            format!("/incidents/{INCIDENT}/note"),
            "text=the+loader%0D%0Awas+off+",
            format!("/incidents/{INCIDENT}?done=noted"),
            format!("incident {INCIDENT} Note {{ text: \"the loader\\nwas off\" }}"),
        ),
        (
            "/nodes/node-1/drain".to_owned(),
            "",
            "/nodes/node-1?done=drained".to_owned(),
            "drain node-1: asked for on the node's page".to_owned(),
        ),
        (
            "/nodes/node-3/uncordon".to_owned(),
            "",
            "/nodes/node-3?done=uncordoned".to_owned(),
            "uncordon node-3".to_owned(),
        ),
        (
            "/cluster/scale".to_owned(),
            "min=2&max=8",
            "/cluster?done=scaled".to_owned(),
            "scale 2..8".to_owned(),
        ),
        (
            "/subscriptions/sub_1/test".to_owned(),
            "",
            "/subscriptions?done=tested".to_owned(),
            "test sub_1".to_owned(),
        ),
        (
            "/subscriptions/sub_1/again".to_owned(),
            "id=dlv_dead",
            "/subscriptions/sub_1?done=again".to_owned(),
            "again dlv_dead to sub_1".to_owned(),
        ),
        (
            "/datasets/orders/checks/email_format/answer".to_owned(),
            "saying=exclude_window&from=2026-11-11&to=2026-11-14&why=outage&key=k4",
            "/datasets/orders/checks/email_format?done=kept".to_owned(),
            "keep exclude_window 2026-11-11..2026-11-14 key=k4".to_owned(),
        ),
        (
            "/datasets/orders/checks/email_format/withdraw".to_owned(),
            "id=fb_1&why=+none+",
            "/datasets/orders/checks/email_format?done=withdrawn".to_owned(),
            "withdraw fb_1 of orders: none".to_owned(),
        ),
    ];
    for (path, form, to, wish) in cases {
        let (status, location, wishes) = sent(&path, form).await;
        assert_eq!((status, location), (303, to), "{path}");
        assert_eq!(wishes, [wish], "{path}");
        let after = get(
            &World::new(Names::usual()).pages(),
            &sent(&path, form).await.1,
        )
        .await;
        assert_eq!(after.0, 200, "{path}");
        assert!(
            after.2.contains("class=\"banner good\""),
            "{path}: the page does not say what was done"
        );
    }
}

#[tokio::test]
async fn a_form_that_is_sent_twice_is_one_run() {
    let world = World::new(Names::usual());
    let pages = world.pages();
    let (_, _, page) = get(&pages, "/datasets/orders").await;
    let key = page
        .split("name=\"key\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let form = format!("key={}", assay_pages::html::part(key));
    post(&pages, "/datasets/orders/runs", &form).await;
    let (_, headers, _) = post(&pages, "/datasets/orders/runs", &form).await;
    assert!(
        headers["location"]
            .to_str()
            .unwrap()
            .ends_with("done=run-existed")
    );
}

#[tokio::test]
async fn what_is_wrong_in_a_form_is_said_and_nothing_is_wished() {
    for (path, form, status, says) in [
        (
            "/datasets/orders/backfill",
            "days=-1",
            422,
            "number of days",
        ),
        ("/cluster/scale", "min=9&max=2", 422, "smaller first"),
        ("/incidents/inc_1/mute", "hours=0", 422, "1 to 8760"),
        ("/register", "text=+", 422, "Paste"),
        ("/datasets/unknown/runs", "key=k", 404, "another owner"),
        ("/runs/x/explode", "", 404, "Nothing is at"),
        (
            "/datasets/orders/checks/email_format/answer",
            "saying=exclude_window&from=a&why=b",
            422,
            "last partition",
        ),
    ] {
        let world = World::new(Names::usual());
        let (got, _, page) = post(&world.pages(), path, form).await;
        assert_eq!(got, status, "{path}");
        assert!(page.contains(says), "{path}: {page}");
        assert!(world.wishes.lock().unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let world = World::new(Names::usual());
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ] {
        let request = Request::post("/cluster/scale")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("host", "assay.example")
            .header(name, value)
            .body(Bytes::from_static(b"min=0&max=1"))
            .unwrap();
        assert_eq!(answer(&world.pages(), request).await.0, 403, "{name}");
    }
    assert!(world.wishes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_only_reads_says_so_and_offers_nothing_else() {
    let world = World::new(Names::usual());
    let pages = Pages::new(world.clone(), None, Seams::default());
    for path in [
        "/datasets/orders",
        "/datasets/orders/checks/email_format",
        "/datasets/orders/backfill",
        "/runs",
        "/nodes/node-1",
        "/cluster",
        "/subscriptions",
        "/settings",
    ] {
        let (status, _, page) = get(&pages, path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!page.contains("method=\"post\""), "{path} offers a change");
    }
    for path in [
        "/datasets/orders/runs",
        "/subscriptions/s/test",
        "/incidents/i/resolve",
    ] {
        let (status, _, page) = post(&pages, path, "").await;
        assert_eq!(status, 501, "{path}");
        assert!(page.contains("does not offer"), "{path}");
    }
}

#[tokio::test]
async fn pages_are_read_and_sent_and_nothing_else() {
    let world = World::new(Names::usual());
    let request = Request::delete("/datasets/orders")
        .body(Bytes::new())
        .unwrap();
    let (status, headers, _) = answer(&world.pages(), request).await;
    assert_eq!(
        (status, headers["allow"].to_str().unwrap()),
        (405, "GET, HEAD, POST")
    );
    let request = Request::get("/datasets/%ff").body(Bytes::new()).unwrap();
    assert_eq!(answer(&world.pages(), request).await.0, 400);
    assert!(Pages::owns("/") && Pages::owns("/runs/x") && Pages::owns("/api/docs"));
    assert!(!Pages::owns("/api/v1/runs") && !Pages::owns("/metrics") && !Pages::owns("/livez"));
}

#[tokio::test]
async fn points_are_to_be_had_as_csv_whole_and_harmless() {
    let world = World::new(Names {
        key: "=cmd|' /C calc'!A0".to_owned(),
        ..Names::usual()
    });
    let (status, headers, csv) = get(
        &world.pages(),
        "/datasets/orders/metrics/rowCount?format=csv",
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(csv.lines().count(), 91);
    assert!(csv.lines().all(|line| !line.starts_with(['=', '+', '@'])));
}

#[tokio::test]
async fn what_was_known_is_shown_with_its_age() {
    let world = World::new(Names::usual());
    world.away.store(true, std::sync::atomic::Ordering::SeqCst);
    for path in [
        "/",
        "/datasets",
        "/datasets/orders",
        "/runs",
        "/nodes",
        "/cluster",
        "/incidents",
    ] {
        let (status, _, page) = get(&world.pages(), path).await;
        assert_eq!(status, 200, "{path}");
        assert!(page.contains("what was known 3 min 10 s ago"), "{path}");
        assert!(page.contains("changes are refused"), "{path}");
    }
    // One that is only late is not said to be away.
    world.away.store(false, std::sync::atomic::Ordering::SeqCst);
    world.late.store(true, std::sync::atomic::Ordering::SeqCst);
    let (_, _, page) = get(&world.pages(), "/datasets/orders").await;
    assert!(page.contains("what was known 3 min 10 s ago: a newer answer is late"));
    assert!(!page.contains("does not answer") && !page.contains("are refused"));
}

#[tokio::test]
async fn nothing_but_what_passed_is_green() {
    let world = World::new(Names::usual());
    let (_, _, page) = get(&world.pages(), "/datasets?health=not_evaluated").await;
    let table = page
        .split("<tbody>")
        .nth(1)
        .unwrap()
        .split("</tbody>")
        .next()
        .unwrap();
    assert!(
        table.contains("not evaluated") && !table.contains("o-pass") && !table.contains("s-good"),
        "{table}"
    );
    let (_, _, page) = get(&world.pages(), "/datasets/payments").await;
    let head = page
        .split("data-part=\"health\"")
        .nth(1)
        .unwrap()
        .split("</h1>")
        .next()
        .unwrap();
    assert!(
        head.contains("o-learning") && !head.contains("o-pass"),
        "{head}"
    );
    let (_, _, page) = get(&world.pages(), "/runs").await;
    let rows: Vec<&str> = page
        .split("<tr>")
        .filter(|r| r.contains("s-good"))
        .collect();
    for row in &rows {
        for not_passed in ["o-fail", "o-error", "o-missing", "o-learning", "o-warn"] {
            assert!(!row.contains(not_passed), "{row}");
        }
    }
    assert!(page.contains("the data did not pass every check"), "{page}");
}
