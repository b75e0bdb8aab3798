//! What is asked for: documents as one wants them, and words that nobody has heard of.

use std::time::{Duration, Instant};

use http::header::{ACCEPT, AGE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderValue, StatusCode};

use crate::scene::{POINTS, Scene, served};

const DOCUMENT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: shop\nversion: 1.0.0\n\
    status: active\nservers:\n  - { server: here, type: local, path: /data, format: csv }\n\
    schema:\n  - name: shop\n    properties:\n      - { name: id, logicalType: integer }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_document_tells_its_age_and_that_it_is_another_one_for_others() {
    let scene = Scene::new().await;
    scene.define("shop.odcs.yaml", DOCUMENT);
    let served = served(&scene, scene.gateway()).await;
    let path = "/api/v1/datasets/shop/definition";
    let ask = async |name: &str, value: &HeaderValue| served.ask_with(path, name, value).await.0;
    let (yaml, json) = ("application/yaml", "application/json");
    let [yaml, json] = [yaml, json].map(HeaderValue::from_static);
    for kind in [&yaml, &json] {
        let answer = ask(ACCEPT.as_str(), kind).await;
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        assert_eq!(answer.headers()["content-type"], kind);
        assert_eq!(answer.headers()[VARY], "accept");
        assert!(!answer.headers().contains_key("assay-stale"), "{answer:?}");
    }
    let tag = ask(ACCEPT.as_str(), &json).await.headers()[ETAG].clone();
    let unchanged = ask(IF_NONE_MATCH.as_str(), &tag).await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(unchanged.headers()[VARY], "accept");
    assert!(!unchanged.headers().contains_key("assay-stale"));
    scene.lose_definitions();
    for (name, value) in [(ACCEPT, &yaml), (ACCEPT, &json), (IF_NONE_MATCH, &tag)] {
        let begun = Instant::now();
        let answer = loop {
            let answer = ask(name.as_str(), value).await;
            assert!(begun.elapsed() < Duration::from_secs(10), "{answer:?}");
            if answer.headers().contains_key("assay-stale") {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let wanted = match name == IF_NONE_MATCH {
            true => StatusCode::NOT_MODIFIED,
            false => StatusCode::OK,
        };
        assert_eq!(answer.status(), wanted);
        assert_eq!(answer.headers()[AGE], answer.headers()["assay-stale"]);
        assert_eq!(answer.headers()[VARY], "accept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_not_there_is_not_kept_and_not_asked_for() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let served = served(&scene, scene.gateway()).await;
    assert_eq!(served.points().await, 1);
    let ask = async |column: &str, last: u32| {
        let path = format!("/api/v1/datasets/orders/history?column={column}&last={last}");
        let (answer, json) = served.ask(&path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{json}");
        assert!(answer.headers().contains_key(ETAG), "{answer:?}");
        assert!(json["asOf"].is_string(), "{json}");
        json["items"].as_array().unwrap().len()
    };
    let all = served.ask("/api/v1/datasets/orders/history?last=7").await.1;
    assert!(!all["items"].as_array().unwrap().is_empty(), "{all}");
    assert_eq!(ask("nobody", 7).await, 0);
    let misses = || scene.value("assay_gateway_reads_total", &[("outcome", "miss")]);
    let before = misses();
    for n in 0..100 {
        assert_eq!(ask(&format!("nobody{n}"), 7).await, 0);
    }
    // Besides listings, which hold for seconds only.
    let more = misses() - before;
    assert!(more <= 6.0, "{more} reads for columns that are not there");
    let (_, json) = served.ask(POINTS).await;
    assert_eq!(json["points"].as_array().unwrap().len(), 1);
}
