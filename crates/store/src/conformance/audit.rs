//! What every audit log promises. A case must never look behind the port.
//!
//! An adapter runs all cases with [`audit_suite!`](crate::audit_suite).

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::audit::{Audit, AuditHead, AuditRecord, AuditStage, Chain, GENESIS, verify};

/// Makes one `#[tokio::test]` per case. `$open` is an async function that gives an empty log and
/// something to be kept while it is used: `async fn() -> (Arc<dyn Audit>, Guard)`.
#[macro_export]
macro_rules! audit_suite {
    ($open:expr) => {
        $crate::audit_suite! { @cases $open;
            an_empty_chain_is_whole,
            entries_follow_one_another,
            a_repeat_of_a_stage_changes_nothing,
            texts_are_hashed_as_they_are_kept,
            many_at_once_make_one_chain,
            pages_go_both_ways,
            a_head_that_was_kept_must_be_in_the_chain,
        }
    };
    (@cases $open:expr; $($case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (audit, _keep) = $open().await;
                $crate::conformance::audit::$case(audit).await;
            }
        )+
    };
}

/// A record of request `n`.
#[must_use]
pub fn record(n: u128, stage: AuditStage) -> AuditRecord {
    AuditRecord {
        request: Uuid::from_u128(n),
        stage,
        who: format!("tok_{n}"),
        rights: "owner:payments".to_owned(),
        action: "POST /api/v1/runs/{id}".to_owned(),
        object: format!("/api/v1/runs/{n}:cancel"),
        detail: format!("{{\"n\":{n}}}"),
    }
}

/// Appends `count` records, of requests from 1 on.
///
/// # Panics
/// When the log does not take one.
pub async fn fill(audit: &dyn Audit, count: u128) {
    for n in 1..=count {
        let entry = audit.append(&record(n, AuditStage::Asked)).await;
        assert_eq!(u128::from(entry.expect("it is taken").seq), n);
    }
}

async fn whole(audit: &dyn Audit) -> AuditHead {
    match verify(audit, None).await.expect("it can be read") {
        Chain::Whole(head) => head,
        broken @ Chain::Broken { .. } => panic!("{broken:?}"),
    }
}

/// A log that nothing was written to has a head.
pub async fn an_empty_chain_is_whole(audit: Arc<dyn Audit>) {
    let head = whole(audit.as_ref()).await;
    assert_eq!((head.seq, head.hash.as_str()), (0, GENESIS));
    assert_eq!(audit.before(None, 10).await.expect("read"), []);
}

/// Each entry carries the hash before it, and its own is that of its words.
pub async fn entries_follow_one_another(audit: Arc<dyn Audit>) {
    let asked = audit.append(&record(1, AuditStage::Asked)).await;
    let asked = asked.expect("taken");
    let done = audit.append(&record(1, AuditStage::Done)).await;
    let done = done.expect("taken");
    assert_eq!((asked.seq, asked.previous.as_str()), (1, GENESIS));
    assert_eq!((done.seq, &done.previous), (2, &asked.hash));
    assert_eq!(done.hash, done.expected_hash());
    assert!(done.at >= asked.at);
    let read = audit.after(0, 10).await.expect("read");
    assert_eq!(read, [asked, done.clone()]);
    let head = whole(audit.as_ref()).await;
    assert_eq!((head.seq, head.hash), (2, done.hash));
}

/// A stage is written once, even when the answer to the first attempt was lost.
pub async fn a_repeat_of_a_stage_changes_nothing(audit: Arc<dyn Audit>) {
    let first = audit.append(&record(1, AuditStage::Asked)).await;
    let mut other = record(1, AuditStage::Asked);
    other.detail = "another".to_owned();
    let again = audit.append(&other).await.expect("answered");
    assert_eq!(first.expect("taken"), again);
    assert_eq!(whole(audit.as_ref()).await.seq, 1);
}

/// Long, strange and empty texts come back so that the hash holds.
pub async fn texts_are_hashed_as_they_are_kept(audit: Arc<dyn Audit>) {
    let strange = AuditRecord {
        who: String::new(),
        rights: "'; DROP TABLE audit_log; --".to_owned(),
        object: "a\0b\u{FFFF}c\n\u{1F600}é".to_owned(),
        detail: "x".repeat(10_000),
        ..record(1, AuditStage::Failed)
    };
    let entry = audit.append(&strange).await.expect("taken");
    assert_eq!(entry.record, strange.plain());
    assert_eq!(audit.after(0, 1).await.expect("read"), [entry]);
    assert_eq!(whole(audit.as_ref()).await.seq, 1);
}

/// Writers at once get places without a gap.
pub async fn many_at_once_make_one_chain(audit: Arc<dyn Audit>) {
    let writers: Vec<_> = (1..=40)
        .map(|n| {
            let audit = Arc::clone(&audit);
            tokio::spawn(async move { audit.append(&record(n, AuditStage::Asked)).await })
        })
        .collect();
    let mut places = BTreeSet::new();
    for writer in writers {
        let entry = writer.await.expect("no panic").expect("taken");
        places.insert(entry.seq);
    }
    assert_eq!(places, (1..=40).collect());
    assert_eq!(whole(audit.as_ref()).await.seq, 40);
}

/// From the first on, and from the last back.
pub async fn pages_go_both_ways(audit: Arc<dyn Audit>) {
    fill(audit.as_ref(), 7).await;
    let places = |entries: Vec<crate::AuditEntry>| -> Vec<u64> {
        entries.iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(places(audit.after(2, 3).await.expect("read")), [3, 4, 5]);
    assert!(audit.after(7, 3).await.expect("read").is_empty());
    assert_eq!(places(audit.before(None, 2).await.expect("read")), [7, 6]);
    assert_eq!(
        places(audit.before(Some(3), 9).await.expect("read")),
        [2, 1]
    );
}

/// A head tells a chain that was made anew, or cut, from the one that it was seen in.
pub async fn a_head_that_was_kept_must_be_in_the_chain(audit: Arc<dyn Audit>) {
    fill(audit.as_ref(), 3).await;
    let kept = whole(audit.as_ref()).await;
    let more = audit.append(&record(9, AuditStage::Asked)).await;
    assert_eq!(more.expect("taken").seq, 4);
    let check = async |known: &AuditHead| verify(audit.as_ref(), Some(known)).await.expect("read");
    assert!(matches!(check(&kept).await, Chain::Whole(_)));
    let other = AuditHead {
        seq: 2,
        ..kept.clone()
    };
    assert!(matches!(check(&other).await, Chain::Broken { seq: 2, .. }));
    let longer = AuditHead { seq: 9, ..kept };
    assert!(matches!(check(&longer).await, Chain::Broken { seq: 5, .. }));
}
