//! What is promised of word of commits.

use std::sync::Arc;
use std::time::Duration;

use assay_model::ids::DatasetId;
use assay_model::outcome::Outcome;
use assay_model::output::TaskOutput;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::Store;
use super::fixtures::{Bench, at, evaluation, measured, ok};

const D20: &str = "2026-11-20";
/// How long a word may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long silence is listened to.
const SILENCE: Duration = Duration::from_millis(300);

async fn word(news: &mut Receiver<DatasetId>) -> DatasetId {
    match timeout(PATIENCE, news.recv()).await {
        Ok(Some(dataset)) => dataset,
        other => panic!("no word of a commit: {other:?}"),
    }
}

/// Takes what has been said so far.
async fn drained(news: &mut Receiver<DatasetId>) {
    while let Ok(heard) = timeout(SILENCE, news.recv()).await {
        assert!(heard.is_some(), "the stream has ended");
    }
}

/// A discovery and a verdict are each told to everybody who follows, once they can be read.
pub async fn what_changes_what_is_known_of_partitions_is_told(store: Arc<dyn Store>) {
    let bench = Bench::new(Arc::clone(&store)).await;
    let mut first = ok(store.follow().await);
    let mut second = ok(store.follow().await);
    let run = bench.planned("a", &[(D20, "v1")]).await;
    for news in [&mut first, &mut second] {
        assert_eq!(word(news).await, *bench.id());
        drained(news).await;
    }
    bench.finish(run, 1, &measured(D20, b"state")).await;
    let judged = evaluation(D20, "v1", 10, Outcome::Pass);
    bench
        .finish(run, 2, &TaskOutput::Evaluated(Box::new(judged)))
        .await;
    for news in [&mut first, &mut second] {
        assert_eq!(word(news).await, *bench.id());
        assert_eq!(ok(store.verdicts(bench.id(), None, 9).await).len(), 1);
    }
}

/// What was refused, and what was only measured, is not told.
pub async fn what_is_not_committed_is_not_told(store: Arc<dyn Store>) {
    let bench = Bench::new(Arc::clone(&store)).await;
    let run = bench.planned("a", &[(D20, "v1")]).await;
    let mut news = ok(store.follow().await);
    drained(&mut news).await;
    bench.finish(run, 1, &measured(D20, b"state")).await;
    let token = bench.assign(run, 2, 1).await;
    let mut wrong = evaluation(D20, "v1", 10, Outcome::Pass);
    wrong.counts.planned = 2;
    let wrong = TaskOutput::Evaluated(Box::new(wrong));
    assert!(store.complete(&token, &wrong, at(3)).await.is_err());
    assert!(timeout(SILENCE, news.recv()).await.is_err());
}
