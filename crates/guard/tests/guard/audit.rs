//! Every change is written down, by whom and with what end; none is made that cannot be.

use assay_guard::principal::Scope;
use assay_store::audit::{Audit as _, Chain, verify};
use assay_store::{AuditEntry, AuditStage, OpenOptions, SqliteStore};

use crate::stage::{Stage, client, json, tokens};

async fn entries(stage: &Stage) -> Vec<AuditEntry> {
    assert!(matches!(
        verify(&stage.store, None).await.unwrap(),
        Chain::Whole(_)
    ));
    stage.store.after(0, 100).await.unwrap()
}

#[tokio::test]
async fn a_change_is_written_down_before_and_after_and_a_read_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let texts = tokens(
        &path,
        &[
            (&["owner:payments"], Scope::Write),
            (&["operator"], Scope::Write),
        ],
    );
    let text = format!(
        "[identity]\nmode = 'credentials'\ntokens = '{}'",
        path.display()
    );
    let stage = Stage::start(&text).await;
    let owner = &texts[0];
    stage.ask("GET", "/api/v1/datasets/orders", owner).await;
    stage.ask("POST", "/api/v1/nodes/n1:drain", owner).await;
    // What only operators read is a read as well.
    let series = stage.ask("GET", "/metrics", &texts[1]).await;
    assert_eq!(series.status(), 200);
    assert_eq!(
        entries(&stage).await,
        [],
        "neither a read nor what was refused at the door"
    );
    stage
        .ask("PUT", "/api/v1/datasets/orders?dryRun=false", owner)
        .await;
    stage.ask("DELETE", "/api/v1/datasets/leads", owner).await;
    stage.ask("POST", "/api/v1/nodes/n1:drain", &texts[1]).await;
    let entries = entries(&stage).await;
    let told: Vec<(&str, &str, AuditStage)> = entries
        .iter()
        .map(|e| {
            (
                e.record.action.as_str(),
                e.record.object.as_str(),
                e.record.stage,
            )
        })
        .collect();
    let (put, orders) = ("PUT /api/v1/datasets/{id}", "/api/v1/datasets/orders");
    let (delete, leads) = ("DELETE /api/v1/datasets/{id}", "/api/v1/datasets/leads");
    let (drain, node) = ("POST /api/v1/nodes/{id}", "/api/v1/nodes/n1:drain");
    assert_eq!(
        told,
        [
            (put, orders, AuditStage::Asked),
            (put, orders, AuditStage::Done),
            (delete, leads, AuditStage::Asked),
            (delete, leads, AuditStage::Failed),
            (drain, node, AuditStage::Asked),
            (drain, node, AuditStage::Done),
        ]
    );
    assert_eq!(entries[0].record.request, entries[1].record.request);
    assert_ne!(entries[0].record.request, entries[2].record.request);
    assert!(entries[0].record.who.starts_with("tok_"));
    assert_eq!(entries[0].record.rights, "owner:payments");
    assert_eq!(entries[4].record.rights, "operator");
    assert!(entries[0].record.detail.contains("dryRun=false"));
    assert_eq!(entries[3].record.detail, "{\"status\":404}");
    let all = format!("{entries:?}");
    for text in &texts {
        assert!(
            !all.contains(text.rsplit_once('_').unwrap().1),
            "a secret is written down"
        );
    }
}

#[tokio::test]
async fn no_change_is_made_that_cannot_be_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assay.db");
    let store = SqliteStore::open(&path, OpenOptions::default())
        .await
        .unwrap();
    let stage = Stage::at("", "127.0.0.1:0", store.clone()).await;
    store.close().await;
    let refused = client()
        .put(stage.url("/api/v1/datasets/orders"))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(json(refused).await["type"], "/problems/audit-unavailable");
    assert_eq!(
        stage.get("/api/v1/datasets/orders").await.status(),
        200,
        "reads go on"
    );
}

#[tokio::test]
async fn a_handler_that_fails_is_written_down_as_failed() {
    let stage = Stage::start("").await;
    let failed = client()
        .post(stage.url("/api/v1/runs/run_1:cancel"))
        .send()
        .await
        .unwrap();
    assert_eq!(failed.status(), 500);
    let entries = entries(&stage).await;
    let problem = json(failed).await;
    let request = entries[0].record.request.to_string();
    assert!(
        problem["detail"].as_str().unwrap().contains(&request),
        "{problem}"
    );
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1].record.stage, AuditStage::Failed);
}
