//! Whose objects are told of.

use std::sync::Arc;

use assay_answers::{Reader, Role};
use assay_gateway::{ByRole, Gateway};
use http::StatusCode;
use serde_json::Value;

use crate::scene::{CHECKS, POINTS, Scene, served};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_object_is_answered_as_one_that_does_not_exist() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let stranger = Reader {
        id: "stranger".to_owned(),
        role: Role::Owner,
        owners: vec!["somebody".to_owned()],
        reads: Vec::new(),
        writes: true,
    };
    let gateway = Gateway::new(scene.parts(Arc::new(ByRole), stranger));
    let operator = served(&scene, scene.gateway()).await;
    let served = served(&scene, gateway).await;
    let (_, runs) = operator.ask("/api/v1/runs").await;
    let run = runs["items"][0]["id"].as_str().unwrap();
    let strange = format!("run_{:032x}", 1);
    let pairs = [
        (CHECKS.to_owned(), CHECKS.replace("orders", "nothing")),
        (POINTS.to_owned(), POINTS.replace("orders", "nothing")),
        (
            format!("/api/v1/runs/{run}"),
            format!("/api/v1/runs/{strange}"),
        ),
        (
            format!("/api/v1/runs/{run}/tasks"),
            format!("/api/v1/runs/{strange}/tasks"),
        ),
        (
            format!("/api/v1/runs/{run}/events"),
            format!("/api/v1/runs/{strange}/events"),
        ),
        (
            "/api/v1/datasets/orders".to_owned(),
            "/api/v1/datasets/nothing".to_owned(),
        ),
        (
            "/api/v1/datasets/orders/versions".to_owned(),
            "/api/v1/datasets/nothing/versions".to_owned(),
        ),
    ];
    for (theirs, none) in pairs {
        let (first, mut one) = served.ask(&theirs).await;
        let (second, mut other) = served.ask(&none).await;
        assert_eq!(first.status(), StatusCode::NOT_FOUND, "{theirs}");
        assert_eq!(second.status(), StatusCode::NOT_FOUND, "{none}");
        for problem in [&mut one, &mut other] {
            let fields = problem.as_object_mut().unwrap();
            fields.remove("instance");
            let told = fields["detail"].as_str().unwrap().to_owned();
            let plain = told.replace(run, "ID").replace(&strange, "ID");
            let plain = plain.replace("orders", "ID").replace("nothing", "ID");
            fields.insert("detail".to_owned(), Value::String(plain));
        }
        assert_eq!(one, other, "{theirs}");
    }
    for list in ["/api/v1/datasets", "/api/v1/runs", "/api/v1/incidents"] {
        let (_, json) = served.ask(list).await;
        assert_eq!(json["items"], serde_json::json!([]), "{list}");
        assert_eq!(json["total"].as_u64().unwrap_or(0), 0);
    }
}
