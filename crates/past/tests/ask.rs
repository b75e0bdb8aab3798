//! Answers made of what somebody typed: exactly what is meant, or words that say what to write.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod story;

use std::sync::Arc;

use assay_model::feedback::{Answered, FeedbackId, FeedbackKind, FeedbackScope};
use assay_model::metric::{Metric, MetricKey};
use assay_model::partition::PartitionKey;
use assay_past::{Draft, Misfit};
use jiff::Timestamp;
use story::{Story, day};
use uuid::Uuid;

fn draft(kind: FeedbackKind, from: &str) -> Draft {
    Draft {
        id: FeedbackId(Uuid::from_u128(1)),
        kind,
        metric: None,
        column: None,
        from: from.to_owned(),
        to: None,
        by: "ada".to_owned(),
        reason: "so it is".to_owned(),
    }
}

fn settle(story: &Story, draft: &Draft) -> Result<Answered, Misfit> {
    draft.settle(&story.dataset, &story.known, Timestamp::UNIX_EPOCH)
}

fn refused(story: &Story, draft: &Draft, words: &[&str]) {
    let why = settle(story, draft).unwrap_err().to_string();
    for word in words {
        assert!(why.contains(word), "`{word}` is not in: {why}");
    }
}

/// Twenty days of two regions.
fn of_regions() -> Story {
    let mut story = Story::of(20);
    let mut other = story.known.partitions.clone();
    let here = story.known.partitions.iter_mut();
    let here = here.map(|partition| (partition, "eu"));
    let there = other.iter_mut().map(|partition| (partition, "us"));
    for (partition, region) in here.chain(there) {
        let partition = Arc::make_mut(partition);
        partition.series = format!("region={region}");
        partition.key = PartitionKey(format!("{region}/{}", partition.key));
        partition.order = format!("{}/{region}", partition.order);
    }
    story.known.partitions.extend(other);
    story
}

#[test]
fn a_partition_is_named_by_its_key_or_by_a_day_that_it_alone_is_of() {
    let story = Story::of(20);
    let key = day(7).key;
    let mark = draft(FeedbackKind::MarkAsNormal, key.as_str());
    let answer = settle(&story, &mark).unwrap();
    assert_eq!((&answer.from, &answer.to), (&key, &None));
    assert_eq!(answer.series.as_deref(), Some(""));
    let two = of_regions();
    refused(&two, &mark, &["2 partitions are of", "eu/", "us/"]);
    let named = draft(FeedbackKind::MarkAsNormal, &format!("us/{key}"));
    let answer = settle(&two, &named).unwrap();
    assert_eq!(answer.series.as_deref(), Some("region=us"));
    for wrong in ["2030-01-01", "yesterday", ""] {
        let mark = draft(FeedbackKind::MarkAsNormal, wrong);
        refused(&story, &mark, &["has no partition", "the newest are"]);
    }
    let nothing = Story::of(0);
    refused(&nothing, &mark, &["nothing is known", "assay check"]);
}

#[test]
fn days_are_of_all_series_and_keys_of_one() {
    let story = of_regions();
    let mut window = draft(FeedbackKind::ExcludeWindow, day(3).key.as_str());
    window.to = Some(day(5).key.to_string());
    assert_eq!(settle(&story, &window).unwrap().series, None);
    window.from = format!("eu/{}", day(3).key);
    let answer = settle(&story, &window).unwrap();
    assert_eq!(answer.series.as_deref(), Some("region=eu"));
    window.to = Some(format!("us/{}", day(5).key));
    refused(&story, &window, &["two series"]);
}

#[test]
fn a_window_has_its_earlier_end_first_and_something_in_it() {
    let story = Story::of(20);
    let mut window = draft(FeedbackKind::ExcludeWindow, day(5).key.as_str());
    let one = settle(&story, &window).unwrap();
    assert_eq!(one.to, Some(one.from));
    window.to = Some(day(3).key.to_string());
    refused(
        &story,
        &window,
        &["no partition lies between", "comes first"],
    );
    // In order, with nothing in it.
    window.from = "2099-01-01".to_owned();
    window.to = Some("2099-01-02".to_owned());
    refused(
        &story,
        &window,
        &["has no partition between", "the newest are"],
    );
    let ahead = draft(FeedbackKind::TrainAsNewNormal, "2099-01-01");
    refused(&story, &ahead, &["or later", "the newest are"]);
    let mut normal = draft(FeedbackKind::TrainAsNewNormal, day(5).key.as_str());
    normal.to = Some(day(6).key.to_string());
    refused(&story, &normal, &["no end", "exclude a window"]);
}

#[test]
fn a_metric_is_named_as_it_is_shown_or_by_a_check() {
    let story = Story::of(20);
    let scope = |metric: &str, column: Option<&str>| {
        let mut mark = draft(FeedbackKind::MarkAsNormal, day(7).key.as_str());
        mark.metric = Some(metric.to_owned());
        mark.column = column.map(str::to_owned);
        settle(&story, &mark).map(|answer| answer.scope)
    };
    let sum = FeedbackScope::Metric(MetricKey::column(Metric::Sum, "amount"));
    assert_eq!(scope("sum(amount)", None), Ok(sum.clone()));
    assert_eq!(scope("sum", Some("amount")), Ok(sum.clone()));
    assert_eq!(scope("profile:sum(amount)", None), Ok(sum.clone()));
    assert_eq!(scope("rule", None), Ok(sum));
    let rows = FeedbackScope::Metric(MetricKey::table(Metric::RowCount));
    assert_eq!(scope("rowCount", None), Ok(rows));
    for (metric, column) in [("sum", None), ("rowcount", None), ("sum", Some("city"))] {
        let why = scope(metric, column).unwrap_err().to_string();
        assert!(why.contains("assay metric list orders"), "{why}");
    }
    let mut column = draft(FeedbackKind::MarkAsNormal, day(7).key.as_str());
    column.column = Some("city".to_owned());
    let answer = settle(&story, &column).unwrap();
    assert_eq!(answer.scope, FeedbackScope::Column("city".to_owned()));
    column.column = Some("town".to_owned());
    refused(&story, &column, &["a column `town`"]);
}

#[test]
fn who_and_why_are_asked_for() {
    let story = Story::of(20);
    let good = draft(FeedbackKind::MarkAsNormal, day(7).key.as_str());
    let nobody = Draft {
        by: " ".to_owned(),
        ..good.clone()
    };
    refused(&story, &nobody, &["nobody is named"]);
    let idle = Draft {
        reason: String::new(),
        ..good.clone()
    };
    refused(&story, &idle, &["no reason is given"]);
    let long = Draft {
        reason: "x".repeat(1001),
        ..good
    };
    refused(&story, &long, &["1001 bytes", "1000"]);
}
