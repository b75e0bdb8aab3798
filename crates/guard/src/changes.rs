//! A change: written down before it is made, carried to its end, and written down again.
//!
//! Comes in: a request for a change with a place of its own, and the handlers. Goes out: their answer.
//! It must never make a change that could not be written down first, or leave one in the middle
//! because the client went away.

use std::sync::Arc;

use assay_store::{Audit, AuditRecord, AuditStage, StoreError};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;

use crate::problem::{Kind, Problem};
use crate::queue::Place;

/// How long a client is told to wait when a change cannot be written down.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Makes a change that `record` tells of, if it can be written down.
pub(crate) async fn make(
    audit: Arc<dyn Audit>,
    mut record: AuditRecord,
    request: Request,
    next: Next,
    place: Place,
) -> Result<Response, Problem> {
    if let Err(error) = audit.append(&record).await {
        return Err(not_written(&error));
    }
    // The handler goes on when its client goes away: what was asked for gets an end.
    let made = tokio::spawn(async move {
        let _place = place;
        next.run(request).await
    });
    let made = made.await;
    let status = made.as_ref().map_or(500, |answer| answer.status().as_u16());
    record.stage = if (200..400).contains(&status) {
        AuditStage::Done
    } else {
        AuditStage::Failed
    };
    record.detail = json!({ "status": status }).to_string();
    if let Err(error) = audit.append(&record).await {
        // What was asked for is on record; that it was done must not be told as undone.
        tracing::error!(
            request = %record.request, status, %error,
            "the end of a change could not be written to the audit log"
        );
    }
    made.map_err(|error| {
        tracing::error!(request = %record.request, %error, "a handler of a change failed");
        Problem::new(
            Kind::Internal,
            format!(
                "the change may have been made in part; look before you ask again, and tell the \
                 operator of request {}",
                record.request
            ),
        )
    })
}

fn not_written(error: &StoreError) -> Problem {
    tracing::error!(%error, "a change is refused: the audit log cannot be written");
    Problem::new(
        Kind::AuditUnavailable,
        "no change is made that cannot be written to the audit log, and the store does not answer; \
         nothing was changed, ask again",
    )
    .retry_after(AGAIN)
}
