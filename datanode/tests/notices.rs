//! People are told by real messages: of what broke, once, whoever hangs, fails or dies meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::sync::Arc;
use std::time::Duration;

use assay_keys::LocalKeys;
use assay_manager::{ManagerHandle, NoticeParts};
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{Dataset, Subscriber};
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey};
use assay_model::notice::{Cause, Delivery, DeliveryState};
use assay_model::run::{RunState, Selection, Trigger};
use assay_model::source::Location;
use assay_notify::channels::Channels;
use assay_notify::settings::Settings;
use assay_proto::link::Door;
use assay_proto::v1;
use assay_proto::v1::change_cause_request::Wish;
use assay_proto::v1::notice_service_client::NoticeServiceClient;
use assay_store::notices::{AlertFilter, CauseFilter, DeliveryFilter, NoticeStore};
use assay_test_servers::receiver::{Behaviour, Heard, Receiver};
use cluster::{Cluster, TestNode, within};
use serde_json::Value;

/// Data that only its rows hold, and that nobody is told.
const CANARY: &str = "777123";

struct World {
    cluster: Cluster,
    manager: ManagerHandle,
    settings: String,
    _node: TestNode,
}

fn tell(cluster: &Cluster, manager: &ManagerHandle, settings: &str) {
    let settings = Settings::parse(settings).unwrap();
    let origin = settings.origin();
    let keys = LocalKeys::put_there_for("tests", "ASSAY_NOTIFY_", None);
    let channels = Channels::new(settings, Arc::new(keys)).unwrap();
    manager.tell(NoticeParts {
        store: Arc::new(cluster.sqlite.clone()),
        carrier: Arc::new(channels),
        origin,
    });
}

impl World {
    async fn new(receivers: &[&Receiver]) -> Self {
        let cluster = Cluster::new().await;
        let manager = cluster.manager("m1");
        let node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
        within("leadership", manager.leads()).await;
        let urls: Vec<String> = receivers.iter().map(|r| format!("{:?}", r.url())).collect();
        let settings = format!("[webhook]\nallow = [{}]\n", urls.join(", "));
        tell(&cluster, &manager, &settings);
        Self {
            cluster,
            manager,
            settings,
            _node: node,
        }
    }

    /// A day of `rows` rows, one of them with a value to be kept.
    fn write(&self, day: u32, rows: u32) {
        let mut text = String::from("id,amount\n");
        for row in 0..rows {
            text.push_str(&format!("{row},{CANARY}{}\n", row % 10 + day));
        }
        let name = format!("orders_2026-10-{day:02}.csv");
        std::fs::write(self.cluster.folder.path().join(name), text).unwrap();
    }

    async fn run(&self, dataset: &Dataset, trigger: Trigger) -> RunState {
        let selection = Selection::default();
        let submitted = self
            .manager
            .submit(dataset.clone(), trigger, selection, None);
        let run = submitted.await.unwrap().run;
        within("the end", self.manager.wait(run))
            .await
            .unwrap()
            .state
    }

    async fn causes(&self) -> Vec<Cause> {
        let filter = CauseFilter {
            limit: 100,
            ..CauseFilter::default()
        };
        self.cluster.sqlite.causes(&filter).await.unwrap()
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter {
            limit: 100,
            ..DeliveryFilter::default()
        };
        self.cluster.sqlite.deliveries(&filter).await.unwrap()
    }

    /// Waits until all messages were delivered, and there are `count` of them.
    async fn delivered(&self, count: usize) -> Vec<Delivery> {
        let all = async {
            loop {
                let found = self.deliveries().await;
                let done = |d: &Delivery| d.state == DeliveryState::Delivered;
                if found.len() == count && found.iter().all(done) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within("the deliveries", all).await
    }

    async fn client(&self) -> NoticeServiceClient<tonic::transport::Channel> {
        let door = Door::Local(self.manager.doorway());
        NoticeServiceClient::new(door.open().await.unwrap())
    }

    async fn subscribe(&self, subscription: v1::Subscription) -> v1::Subscription {
        let request = v1::AddSubscriptionRequest {
            subscription: Some(subscription),
            by: "ada".to_owned(),
        };
        let made = self.client().await.add_subscription(request).await.unwrap();
        made.into_inner().subscription.unwrap()
    }

    async fn wish(&self, id: &str, wish: Wish) -> Result<v1::Cause, tonic::Status> {
        let request = v1::ChangeCauseRequest {
            id: id.to_owned(),
            by: "ada".to_owned(),
            wish: Some(wish),
        };
        let changed = self.client().await.change_cause(request).await?;
        Ok(changed.into_inner().cause.unwrap())
    }
}

fn webhook(receiver: &Receiver) -> v1::Subscription {
    v1::Subscription {
        channel: "webhook".to_owned(),
        target: receiver.url(),
        ..Default::default()
    }
}

fn check(id: &str, expect: Expectation) -> Check {
    Check {
        id: CheckId::new(id),
        metric: MetricKey::table(Metric::RowCount),
        expect,
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

/// The dataset, each day of which has at least 100 rows and fewer than a million; nothing else is
/// judged of it.
fn dataset(cluster: &Cluster, channels: &[&Receiver]) -> Dataset {
    let mut dataset = cluster.dataset();
    dataset.checks = vec![
        check(
            "enough",
            Expectation::MustBeGreaterOrEqualTo(Bound::from(100)),
        ),
        check("many", Expectation::MustBeGreaterOrEqualTo(Bound::from(50))),
    ];
    dataset.limits.learned = false;
    dataset.subscribers = channels
        .iter()
        .map(|receiver| Subscriber {
            channel: "a receiver".to_owned(),
            tool: "webhook".to_owned(),
            url: Some(receiver.url()),
        })
        .collect();
    dataset
}

fn event(heard: &Heard) -> Value {
    serde_json::from_str(&heard.body).unwrap()
}

fn kinds(receiver: &Receiver) -> Vec<String> {
    let heard = receiver.heard();
    heard
        .iter()
        .map(|h| event(h)["type"].as_str().unwrap().to_owned())
        .collect()
}

async fn heard(receiver: &Receiver, count: usize) -> Vec<Heard> {
    let come = async {
        loop {
            let heard = receiver.heard();
            if heard.len() >= count {
                return heard;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the messages", come).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_broken_checks_of_one_cause_are_one_message_without_values_of_rows() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let world = World::new(&[&receiver]).await;
    let dataset = dataset(&world.cluster, &[&receiver]);
    world.write(1, 200);
    world.run(&dataset, Trigger::Backfill).await;
    world.write(2, 10);
    world.run(&dataset, Trigger::Arrival).await;
    let told = world.delivered(1).await;
    assert_eq!(kinds(&receiver), ["assay.incident.opened.v1"]);
    let heard = receiver.heard();
    let event = event(&heard[0]);
    assert_eq!(event["id"], told[0].id.simple().to_string());
    assert_eq!(event["data"]["incident"]["groupKey"], "orders/coverage/");
    let checks = event["data"]["incident"]["failingChecks"]
        .as_array()
        .unwrap();
    assert_eq!(checks.len(), 2, "{event:#}");
    assert!(!heard[0].body.contains(CANARY), "{}", heard[0].body);
    // It is mended: the message waits for its hour, and is owed.
    world.write(3, 210);
    world.run(&dataset, Trigger::Arrival).await;
    let over = async {
        loop {
            let cause = world.causes().await.remove(0);
            if !cause.is_open() {
                return cause;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let cause = within("the end of the incident", over).await;
    assert!(cause.wake_at.is_some(), "{cause:?}");
    assert_eq!(receiver.heard().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_is_told_to_nobody_and_finished_partitions_to_who_asked() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let world = World::new(&[&receiver]).await;
    let dataset = dataset(&world.cluster, &[]);
    world.manager.register(dataset.clone()).await.unwrap();
    let finished = v1::Subscription {
        events: vec!["finished".to_owned(), "opened".to_owned()],
        dataset: "orders".to_owned(),
        ..webhook(&receiver)
    };
    world.subscribe(finished).await;
    for day in 1..=3 {
        world.write(day, if day == 1 { 10 } else { 200 });
    }
    world.run(&dataset, Trigger::Backfill).await;
    world.write(4, 300);
    world.run(&dataset, Trigger::Arrival).await;
    // The newest day of the past, and the live one.
    let heard = heard(&receiver, 2).await;
    let mut partitions: Vec<String> = heard
        .iter()
        .map(|h| event(h)["data"]["partition"].as_str().unwrap().to_owned())
        .collect();
    partitions.sort();
    assert_eq!(partitions, ["2026-10-03", "2026-10-04"]);
    assert!(
        kinds(&receiver)
            .iter()
            .all(|k| k == "assay.partition.finished.v1")
    );
    let event = event(&heard[1]);
    assert_eq!(event["data"]["counts"]["fail"], 0, "{event:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_is_tried_again_and_one_that_hangs_delays_no_other() {
    let failing = Receiver::start(|_, before| match before {
        0 | 1 => Behaviour::Status(500),
        _ => Behaviour::Status(200),
    });
    let hanging = Receiver::start(|_, _| Behaviour::Hang);
    let slow = Receiver::start(|_, _| Behaviour::Slow(Duration::from_secs(2), 200));
    let good = Receiver::start(|_, _| Behaviour::Status(200));
    let all = [&failing, &hanging, &slow, &good];
    let world = World::new(&all).await;
    let dataset = dataset(&world.cluster, &all);
    world.write(1, 10);
    let begun = std::time::Instant::now();
    world.run(&dataset, Trigger::Manual).await;
    heard(&good, 1).await;
    let after = begun.elapsed();
    assert!(after < Duration::from_secs(8), "{after:?}");
    let failed = heard(&failing, 3).await;
    let ids: Vec<&String> = failed.iter().map(|h| &h.head["webhook-id"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(failed.iter().all(|h| h.body == failed[0].body));
    let states = async {
        loop {
            let found = world.deliveries().await;
            let delivered = found.iter().filter(|d| d.state == DeliveryState::Delivered);
            if delivered.count() == 3 {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = within("the deliveries", states).await;
    assert_eq!(found.len(), 4);
    let tried: Vec<u32> = found.iter().map(|d| d.attempts).collect();
    assert!(tried.contains(&3), "{tried:?}");
    let waits = found
        .iter()
        .find(|d| d.state == DeliveryState::Pending)
        .unwrap();
    assert!(waits.next_at.is_some());
    assert_eq!((good.heard().len(), slow.heard().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_leader_sends_what_a_killed_one_had_in_its_hands_under_the_same_id() {
    let receiver = Receiver::start(|_, before| match before {
        0 => Behaviour::Slow(Duration::from_secs(4), 200),
        _ => Behaviour::Status(200),
    });
    let world = World::new(&[&receiver]).await;
    let second = world.cluster.manager("m2");
    tell(&world.cluster, &second, &world.settings);
    let dataset = dataset(&world.cluster, &[&receiver]);
    world.write(1, 10);
    world.run(&dataset, Trigger::Manual).await;
    heard(&receiver, 1).await;
    // In the middle of the first attempt.
    world.manager.kill().await;
    within("the next leader", second.leads()).await;
    let heard = heard(&receiver, 2).await;
    assert_eq!(heard[0].head["webhook-id"], heard[1].head["webhook-id"]);
    let told = world.delivered(1).await;
    assert_eq!(told[0].attempts, 2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(receiver.heard().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_evaluated_is_told_to_operators_and_not_to_the_owner() {
    let (owner, operator) = (
        Receiver::start(|_, _| Behaviour::Status(200)),
        Receiver::start(|_, _| Behaviour::Status(200)),
    );
    let world = World::new(&[&owner, &operator]).await;
    let dataset = dataset(&world.cluster, &[&owner]);
    world.manager.register(dataset.clone()).await.unwrap();
    let operators = v1::Subscription {
        operator: true,
        ..webhook(&operator)
    };
    world.subscribe(operators).await;
    let broken = world.cluster.folder.path().join("orders_2026-10-01.csv");
    std::fs::write(broken, "id,amount\n1,2,3\n\"4").unwrap();
    world.run(&dataset, Trigger::Manual).await;
    let told = heard(&operator, 1).await;
    let event = event(&told[0]);
    assert_eq!(
        event["data"]["check"]["dimension"], "evaluation",
        "{event:#}"
    );
    world.delivered(1).await;
    assert_eq!(owner.heard().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_acknowledge_mute_and_resolve_and_what_breaks_again_opens_again() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let world = World::new(&[&receiver]).await;
    let dataset = dataset(&world.cluster, &[]);
    world.write(1, 10);
    world.run(&dataset, Trigger::Manual).await;
    let opened = async {
        loop {
            if let Some(cause) = world.causes().await.pop()
                && cause.members.len() == 2
            {
                return cause;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let cause = within("the incident", opened).await;
    let id = cause.shown();
    let told = world.wish(&id, Wish::Acknowledge(true)).await.unwrap();
    assert_eq!(
        (told.status.as_str(), told.acknowledged_by.as_str()),
        ("acknowledged", "ada")
    );
    let until = assay_proto::convert::time_of(jiff::Timestamp::now());
    let refused = world.wish(&id, Wish::MuteUntil(until)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    let told = world.wish(&id, Wish::Resolve(true)).await.unwrap();
    assert_eq!(
        (told.status.as_str(), told.resolved_by.as_str()),
        ("resolved", "ada")
    );
    let open = world
        .cluster
        .metrics
        .incidents(None, true, 10)
        .await
        .unwrap();
    assert_eq!(open, []);
    // The next bad day is another occurrence of the same thing, told to who subscribes by now.
    world.subscribe(webhook(&receiver)).await;
    world.write(2, 10);
    world.run(&dataset, Trigger::Arrival).await;
    let told = heard(&receiver, 1).await;
    let event = event(&told[0]);
    assert_eq!(event["data"]["incident"]["id"], id.as_str());
    assert_eq!(event["data"]["incident"]["occurrence"], 2, "{event:#}");
    let asked = v1::GetCauseRequest { id };
    let whole = world
        .client()
        .await
        .get_cause(asked)
        .await
        .unwrap()
        .into_inner();
    let kinds: Vec<&str> = whole.events.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["opened", "acknowledged", "resolved", "opened"]);
    assert_eq!(whole.events[1].by, "ada");
    assert_eq!(whole.incidents.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_cannot_be_reached_is_refused_with_what_to_do() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let world = World::new(&[&receiver]).await;
    let ask = async |subscription: v1::Subscription| {
        let request = v1::AddSubscriptionRequest {
            subscription: Some(subscription),
            by: "ada".to_owned(),
        };
        let asked = world.client().await.add_subscription(request).await;
        asked.unwrap_err().message().to_owned()
    };
    let at = |target: &str| v1::Subscription {
        target: target.to_owned(),
        ..webhook(&receiver)
    };
    let metadata = ask(at("http://169.254.169.254/latest/meta-data")).await;
    assert!(metadata.contains("[webhook] allow"), "{metadata}");
    let secret = v1::Subscription {
        secret: "whsec_CANARYSECRET".to_owned(),
        ..webhook(&receiver)
    };
    let told = ask(secret).await;
    assert!(
        told.contains("not a reference") && !told.contains("CANARYSECRET"),
        "{told}"
    );
    let nobody = v1::Subscription {
        dataset: "nobody".to_owned(),
        ..webhook(&receiver)
    };
    assert!(ask(nobody).await.contains("no dataset"));
    assert_eq!(receiver.heard().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_under_a_chosen_id_is_one_however_often_it_is_asked_for() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let world = World::new(&[&receiver]).await;
    let id = format!("sub_{:032x}", 7);
    let chosen = || v1::Subscription {
        id: id.clone(),
        ..webhook(&receiver)
    };
    let first = world.subscribe(chosen()).await;
    assert_eq!(first.id, id);
    assert_eq!(world.subscribe(chosen()).await, first);
    // Another one under the same id is refused, and changes nothing.
    let request = v1::AddSubscriptionRequest {
        subscription: Some(v1::Subscription {
            severity: "error".to_owned(),
            ..chosen()
        }),
        by: "ada".to_owned(),
    };
    let refused = world.client().await.add_subscription(request).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::FailedPrecondition);
    let kept = world.cluster.sqlite.subscriptions(None).await.unwrap();
    let kept: Vec<_> = kept.iter().map(|s| (s.id, s.severity)).collect();
    assert_eq!(kept, [(uuid::Uuid::from_u128(7), Severity::Warning)]);
    let nameless = world.subscribe(webhook(&receiver)).await;
    assert_ne!(nameless.id, id);
}

/// The dataset, whose folder is not there: no run of it can be evaluated.
fn nowhere(cluster: &Cluster, channels: &[&Receiver]) -> Dataset {
    let mut dataset = dataset(cluster, channels);
    let path = cluster.folder.path().join(format!("away-{CANARY}"));
    dataset.source.location = Location::Local {
        path: path.to_str().unwrap().to_owned(),
    };
    dataset.run.retries = 0;
    dataset
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_could_not_be_evaluated_is_told_to_operators_once_an_hour() {
    let (operators, others) = (
        Receiver::start(|_, _| Behaviour::Status(200)),
        Receiver::start(|_, _| Behaviour::Status(200)),
    );
    let world = World::new(&[&operators, &others]).await;
    let nowhere = nowhere(&world.cluster, &[&others]);
    world.manager.register(nowhere.clone()).await.unwrap();
    let subscription = v1::Subscription {
        operator: true,
        ..webhook(&operators)
    };
    world.subscribe(subscription).await;
    let state = world.run(&nowhere, Trigger::Schedule).await;
    assert_eq!(state, RunState::Failed);
    let first = heard(&operators, 1).await.remove(0);
    let told = event(&first);
    assert_eq!(told["type"], "assay.run.failed.v1");
    assert_eq!(told["data"]["dataset"]["id"], "orders");
    assert_eq!(told["data"]["run"]["state"], "failed");
    assert_eq!(told["id"], first.head["webhook-id"]);
    // Why is in words of an error, which may hold what rows hold.
    assert!(!first.body.contains(CANARY), "{}", first.body);
    // Again within the hour: it waits, and what comes after it is told at its time.
    world.run(&nowhere, Trigger::Schedule).await;
    let alert = async |waiting: u32| loop {
        let filter = AlertFilter {
            limit: 10,
            ..AlertFilter::default()
        };
        let found = world.cluster.sqlite.alerts(&filter).await.unwrap();
        if found.len() == 1 && found[0].waiting == waiting {
            return found[0].clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let waits = within("the second failure", alert(1)).await;
    assert!(waits.wake_at > waits.told_at, "{waits:?}");
    // A run that is evaluated ends it: what waited is told no more.
    world.write(1, 200);
    let back = dataset(&world.cluster, &[&others]);
    assert_eq!(
        world.run(&back, Trigger::Schedule).await,
        RunState::Succeeded
    );
    let over = within("the end", alert(0)).await;
    assert_eq!(over.wake_at, None);
    assert_eq!((operators.heard().len(), others.heard().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_node_is_told_to_operators_who_asked() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let world = World::new(&[&receiver]).await;
    let subscription = v1::Subscription {
        operator: true,
        events: vec!["node_lost".to_owned()],
        ..webhook(&receiver)
    };
    world.subscribe(subscription).await;
    let doors = vec![Door::Local(world.manager.doorway())];
    let lost = world.cluster.node("n2", doors);
    let joined = async {
        while world.manager.view().await.unwrap().nodes.len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the second node", joined).await;
    lost.handle.kill().await;
    let told = event(&heard(&receiver, 1).await[0]);
    assert_eq!(told["type"], "assay.node.lost.v1");
    assert_eq!(told["subject"], "nodes/n2");
    assert_eq!(told["data"]["node"]["incarnation"], 1);
}
