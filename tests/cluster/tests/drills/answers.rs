//! Answering back, on a cluster of processes over Postgres and embedded over SQLite: the same
//! backtest, and the same verdicts afterwards.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use assay_cluster_tests::data;
use assay_cluster_tests::embedded::Embedded;
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_model::dataset::Dataset;
use assay_proto::link::unary;
use assay_proto::v1;
use assay_proto::v1::feedback_service_client::FeedbackServiceClient;
use assay_store::dump::dump_final;
use assay_store::{PostgresOptions, PostgresStore};
use tonic::transport::Channel;

use crate::drill;
use crate::usual::texts;

const LIMIT: Duration = Duration::from_secs(60);
/// Days, of which there are enough before the jump that limits are steady.
const DAYS: i64 = 60;
/// The day since when there are many more rows.
const JUMP: i64 = 56;

fn day(number: i64) -> String {
    (jiff::civil::date(2026, 1, 1) + jiff::Span::new().days(number - 1)).to_string()
}

fn write(folder: &Path) {
    for number in 1..=DAYS {
        let place = folder.join(format!("dt={}", day(number)));
        std::fs::create_dir_all(&place).unwrap();
        let many = if number < JUMP { 200 } else { 800 };
        let mut text = String::from("id,amount,note\n");
        for id in 0..many + number * 7 % 17 {
            let amount = (id * 37 + number * 11) % 500;
            writeln!(text, "{id},{amount}.5,n{}", id % 13).unwrap();
        }
        std::fs::write(place.join("a.csv"), text).unwrap();
    }
}

/// A cluster, and the same in this process.
struct Both {
    cluster: Cluster,
    embedded: Embedded,
    dataset: Dataset,
}

impl Both {
    async fn run(&self, key: &str) {
        let id = self.cluster.client.submit(&self.dataset, key, LIMIT).await;
        let theirs = self.cluster.ended(&id.unwrap(), LIMIT).await;
        let ours = self.embedded.run(&self.dataset, key).await;
        assert_eq!(theirs, ours.to_string(), "{key}");
    }

    /// What each has found out is the same.
    async fn agree(&self, when: &str) {
        let options = PostgresOptions::new(self.cluster.database.url.clone());
        let store = PostgresStore::connect(options).await.unwrap();
        let theirs = dump_final(&store).await.unwrap();
        let ours = self.embedded.dump().await;
        for (theirs, ours) in theirs.lines().zip(ours.lines()) {
            assert_eq!(theirs, ours, "{when}");
        }
        assert_eq!(theirs.lines().count(), ours.lines().count(), "{when}");
    }

    /// The channels of both.
    async fn ways(&self) -> [FeedbackServiceClient<Channel>; 2] {
        let (theirs, _) = self.cluster.client.leader(LIMIT).await.unwrap();
        let ours = self.embedded.door().open().await.unwrap();
        [theirs, ours].map(FeedbackServiceClient::new)
    }
}

/// The same of both, but for the instant.
fn same(mut told: Vec<v1::FeedbackResponse>) -> v1::FeedbackResponse {
    for told in &mut told {
        let feedback = told.feedback.as_mut().unwrap();
        assert!(feedback.at.is_some(), "{feedback:?}");
        feedback.at = None;
        feedback.withdrawn_at = None;
        // A cluster knows its clients by name, too.
        assert!(feedback.by.starts_with("ada"), "{feedback:?}");
        feedback.by.clear();
    }
    assert_eq!(told[0], told[1]);
    told.remove(0)
}

fn keep() -> v1::KeepFeedbackRequest {
    v1::KeepFeedbackRequest {
        id: format!("fb_{:032x}", 7),
        draft: Some(v1::FeedbackDraft {
            dataset: "answered".to_owned(),
            kind: "train_as_new_normal".to_owned(),
            from: day(JUMP),
            reason: "a second shop \u{1F600}".to_owned(),
            by: "ada".to_owned(),
            ..v1::FeedbackDraft::default()
        }),
        last: 31,
    }
}

/// The verdicts in force of the last day, as the cluster's database has them.
async fn newest(cluster: &Cluster) -> Vec<String> {
    let query = format!(
        "SELECT revision || ' ' || fail FROM verdict \
         WHERE partition LIKE '%{}' AND NOT superseded",
        day(DAYS)
    );
    texts(cluster, &query).await
}

drill!(
    an_answer_means_the_same_on_a_cluster_and_embedded,
    async |name| {
        let drill = Drill::begin(name).await;
        let folder = drill.folder().join("answered");
        write(&folder);
        let both = Both {
            cluster: Cluster::start(&drill, Plan::default()).await,
            embedded: Embedded::start().await,
            dataset: data::dataset(&folder, "answered", 1 << 20),
        };
        both.run("first").await;
        both.agree("before anything was answered").await;
        let [_, failed] = &counts(&newest(&both.cluster).await)[..] else {
            panic!("one verdict is in force");
        };
        assert!(*failed > 0, "the new level alarms");
        let mut told = Vec::new();
        for way in &mut both.ways().await {
            let kept = way.keep(unary(keep())).await.unwrap().into_inner();
            // A repeat is the same answer.
            let again = way.keep(unary(keep())).await.unwrap().into_inner();
            assert_eq!(again, kept);
            told.push(kept);
        }
        let told = same(told).backtest.unwrap();
        assert_eq!(told.partitions, 31);
        let (before, after) = (told.before.unwrap(), told.after.unwrap());
        assert!(
            before.partitions.len() > after.partitions.len(),
            "{before:?}"
        );
        both.run("second").await;
        both.agree("with the answer").await;
        let [revision, failed] = &counts(&newest(&both.cluster).await)[..] else {
            panic!("one verdict is in force");
        };
        assert_eq!((*revision, *failed), (2, 0));
        let mut told = Vec::new();
        for way in &mut both.ways().await {
            let request = v1::WithdrawFeedbackRequest {
                dataset: "answered".to_owned(),
                id: keep().id,
                reason: "it was closed again".to_owned(),
                by: "grace".to_owned(),
                last: 31,
            };
            told.push(way.withdraw(unary(request)).await.unwrap().into_inner());
        }
        for told in &mut told {
            let feedback = told.feedback.as_mut().unwrap();
            assert!(feedback.withdrawn_by.starts_with("grace"), "{feedback:?}");
            feedback.withdrawn_by.clear();
        }
        same(told);
        both.run("third").await;
        both.agree("without the answer again").await;
        let [revision, failed] = &counts(&newest(&both.cluster).await)[..] else {
            panic!("one verdict is in force");
        };
        assert_eq!(*revision, 3);
        assert!(*failed > 0, "the new level alarms again");
        // Of the days before, no verdict was issued anew.
        let others = format!(
            "SELECT max(revision)::text FROM verdict WHERE partition NOT LIKE '%{}'",
            day(DAYS)
        );
        assert_eq!(texts(&both.cluster, &others).await, ["1"]);
    }
);

/// Revision and failures of the one verdict.
fn counts(rows: &[String]) -> Vec<u32> {
    let [row] = rows else { return Vec::new() };
    let numbers = row.split(' ').map(|n| n.parse::<u32>().unwrap());
    numbers.take(2).collect()
}
