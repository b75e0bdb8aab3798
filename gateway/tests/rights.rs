//! Who may do what people do: whoever may not is told so before a manager is asked, and nobody is
//! told of another's dataset.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use assay_answers::{Reader, Role};
use assay_gateway::{Api, ByRole, Managers, Mode, Parts, Way, anonymous};
use assay_model::dataset::Dataset;
use assay_proto::link::Door;
use assay_registry::FolderRegistry;
use assay_store::conformance::fixtures::dataset;
use assay_store::{JobStore as _, MetricStore as _, OpenOptions, SqliteStore};
use assay_telemetry::Telemetry;
use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// A dataset of the owner `sales`.
const ORDERS: &str = "apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
servers:
  - { server: local, type: local, path: data, format: csv }
schema:
  - name: orders
    quality:
      - { id: rows, metric: rowCount, mustBeGreaterThan: 0 }
team:
  name: sales
";

struct Scene {
    router: Router,
    store: SqliteStore,
    folder: tempfile::TempDir,
}

impl Scene {
    /// The API over a store and a registry of its own, whose managers are away.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("orders.odcs.yaml"), ORDERS).unwrap();
        let clock = Arc::new(jiff::Timestamp::now);
        let registry = FolderRegistry::open(folder.path(), folder.path(), clock).unwrap();
        let store = folder.path().join("assay.sqlite");
        let store = SqliteStore::open(store, OpenOptions::default());
        let store = store.await.unwrap();
        let nowhere = Door::Tcp("http://127.0.0.1:1".to_owned());
        let api = Api::new(Parts {
            store: Arc::new(store.clone()),
            notices: Arc::new(store.clone()),
            news: Arc::new(store.clone()),
            registry: Arc::new(registry),
            managers: Managers::new(Way::One(nowhere)),
            rights: Arc::new(ByRole),
            nobody: anonymous(),
            now: Arc::new(jiff::Timestamp::now),
            telemetry: Telemetry::default(),
            mode: Mode::Cluster,
        });
        Self {
            router: assay_gateway::api::router::router(&api),
            store,
            folder,
        }
    }

    /// The status and the kind of problem of a request that `who` makes.
    async fn asked(&self, who: &Reader, method: &str, path: &str, body: &str) -> (u16, String) {
        let kind = match method {
            "PUT" => "application/yaml",
            _ => "application/json",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/{path}"))
            .header("content-type", kind)
            .body(Body::from(body.to_owned()))
            .unwrap();
        request.extensions_mut().insert(who.clone());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let json: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let kind = json["type"].as_str().unwrap_or_default();
        let slug = kind.rsplit('/').next().unwrap_or_default();
        (status, slug.to_owned())
    }
}

fn reader(role: Role, owners: &[&str], reads: &[&str], writes: bool) -> Reader {
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Reader {
        id: "tok_1".to_owned(),
        role,
        owners: all(owners),
        reads: all(reads),
        writes,
    }
}

const DRAFT: &str = r#"{"kind":"mark_as_normal","from":"2026-01-01","reason":"a sale"}"#;
const WHY: &str = r#"{"reason":"it was none"}"#;

/// Asks for every change of `paths` as everybody; `dataset` is put into them.
async fn everybody(scene: &Scene, paths: &[(&str, &str)]) {
    let sales = reader(Role::Owner, &["sales"], &[], true);
    let finance = reader(Role::Owner, &["finance"], &[], true);
    let told = reader(Role::Subscriber, &[], &["sales"], true);
    let looks = reader(Role::Owner, &["sales"], &[], false);
    for (path, body) in paths {
        let (orders, none) = (
            path.replace("DATASET", "orders"),
            path.replace("DATASET", "none"),
        );
        for (who, expected) in [
            (&sales, (503, "no-leader")),
            (&finance, (404, "not-found")),
            (&told, (403, "forbidden")),
            (&looks, (403, "forbidden")),
            (&anonymous(), (404, "not-found")),
        ] {
            let (status, slug) = scene.asked(who, "POST", &orders, body).await;
            assert_eq!((status, slug.as_str()), expected, "{path} {who:?}");
            let (status, slug) = scene.asked(who, "POST", &none, body).await;
            assert_eq!(
                (status, slug.as_str()),
                (404, "not-found"),
                "{path} {who:?}"
            );
        }
    }
}

#[tokio::test]
async fn owners_answer_back_for_what_is_theirs_and_nobody_else_does() {
    let scene = Scene::new().await;
    let withdraw = format!("datasets/DATASET/feedback/fb_{}:withdraw", "0".repeat(32));
    let look = withdraw.replace(":withdraw", ":preview");
    let paths = [
        ("datasets/DATASET/feedback:preview", DRAFT),
        ("datasets/DATASET/feedback", DRAFT),
        (withdraw.as_str(), WHY),
        (look.as_str(), "{}"),
    ];
    everybody(&scene, &paths).await;
    let told = reader(Role::Subscriber, &[], &["sales"], false);
    let list = "datasets/orders/feedback";
    assert_eq!(scene.asked(&told, "GET", list, "").await.0, 200);
    let finance = reader(Role::Owner, &["finance"], &[], true);
    assert_eq!(scene.asked(&finance, "GET", list, "").await.0, 404);
}

#[tokio::test]
async fn what_only_the_store_remembers_is_not_taken_over_by_another_owner() {
    let scene = Scene::new().await;
    let wages = Dataset {
        owner: Some("finance".to_owned()),
        ..dataset("wages")
    };
    scene.store.put_definition(&wages).await.unwrap();
    let document = |id: &str, owner: &str| {
        let text = ORDERS.replace("orders", id);
        text.replace("name: sales", &format!("name: {owner}"))
    };
    let sales = reader(Role::Owner, &["sales"], &[], true);
    let theirs = document("wages", "sales");
    for path in ["datasets/wages?dryRun=true", "datasets/wages"] {
        let (status, slug) = scene.asked(&sales, "PUT", path, &theirs).await;
        assert_eq!((status, slug.as_str()), (404, "not-found"), "{path}");
    }
    let files = || std::fs::read_dir(scene.folder.path()).unwrap();
    let documents = files().filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".odcs.yaml")
    });
    assert_eq!(documents.count(), 1);
    let kept = scene.store.definition(&wages.id).await.unwrap().unwrap();
    assert_eq!(kept.owner.as_deref(), Some("finance"));
    // Whose it is gives it a document, and what nobody has is there for the taking.
    let finance = reader(Role::Owner, &["finance"], &[], true);
    let own = document("wages", "finance");
    let (status, slug) = scene.asked(&finance, "PUT", "datasets/wages", &own).await;
    assert_eq!((status, slug.as_str()), (201, ""));
    let fresh = document("refunds", "sales");
    let (status, slug) = scene.asked(&sales, "PUT", "datasets/refunds", &fresh).await;
    assert_eq!((status, slug.as_str()), (201, ""));
}
