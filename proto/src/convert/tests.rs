//! Round trips, and messages that break the contract.

use assay_model::ids::{AttemptToken, CheckId, DatasetId, NodeId, RunId, TaskId};
use assay_model::incident::{Incident, IncidentStatus};
use assay_model::metric::{Metric, MetricKey, MetricValue};
use assay_model::node::{Load, Node, NodeState, Progress};
use assay_model::outcome::{HeldBack, Limits, Outcome, OutcomeCounts, Span};
use assay_model::partition::{Partition, PartitionKey};
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use jiff::Timestamp;
use proptest::prelude::*;
use prost::Message;
use uuid::Uuid;

use super::*;
use crate::v1;

fn instant() -> impl Strategy<Value = Timestamp> {
    (-377_705_023_201_i64..253_402_207_200, 0_i32..1_000_000_000)
        .prop_filter_map("in the calendar", |(s, n)| Timestamp::new(s, n).ok())
}

fn some_token() -> impl Strategy<Value = AttemptToken> {
    (any::<u128>(), any::<u32>(), any::<u32>(), any::<u128>()).prop_map(|(run, no, attempt, n)| {
        AttemptToken {
            task: TaskId {
                run: RunId(Uuid::from_u128(run)),
                no,
            },
            attempt,
            nonce: Uuid::from_u128(n),
        }
    })
}

fn some_run() -> impl Strategy<Value = Run> {
    (
        any::<u128>(),
        "[a-z]{1,20}",
        proptest::sample::select(RunState::ALL),
        proptest::sample::select(Trigger::ALL),
        instant(),
        proptest::option::of(instant()),
        proptest::option::of("[a-z ]{1,30}"),
        proptest::collection::vec("[0-9-]{1,10}", 0..5),
    )
        .prop_map(|(id, name, state, trigger, at, maybe, reason, keys)| Run {
            id: RunId(Uuid::from_u128(id)),
            dataset: DatasetId::new(name).unwrap(),
            definition: "0f".to_owned(),
            trigger,
            slot: maybe,
            priority: Priority::Live,
            selection: Selection {
                keys,
                last_days: None,
                rescan: true,
            },
            retries: 2,
            task_timeout_ms: 1,
            state,
            reason,
            created_at: at,
            started_at: maybe,
            finished_at: None,
            deadline_at: at,
            planned_tasks: 7,
        })
}

proptest! {
    #[test]
    fn a_token_survives_the_wire(value in some_token()) {
        prop_assert_eq!(token(Some(token_of(&value))).unwrap(), value);
    }

    #[test]
    fn an_instant_survives_the_wire(value in instant()) {
        prop_assert_eq!(time("t", Some(time_of(value))).unwrap(), value);
    }

    #[test]
    fn a_run_survives_the_wire(value in some_run()) {
        let bytes = run_of(&value).encode_to_vec();
        let back = v1::Run::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(run(back).unwrap(), value);
    }

    #[test]
    fn a_heartbeat_survives_the_wire(cpu in 0.0..=1.0_f64, mem in any::<u64>(), t in some_token()) {
        let load = Load {
            cpu,
            memory_bytes: mem,
            read_bytes_per_s: 5,
            running: vec![Progress { task: t.task, attempt: t.attempt, rows: mem, bytes: 1 }],
        };
        let kind = v1::node_message::Kind::Heartbeat(load_of(&load));
        let said = node_says(v1::NodeMessage { kind: Some(kind) }).unwrap();
        prop_assert_eq!(said, NodeSays::Heartbeat(load));
    }

    #[test]
    fn a_value_survives_the_wire(whole in any::<i128>(), float in -1e300..1e300_f64, t in "[a-z]{0,9}") {
        for v in [
            MetricValue::Null,
            MetricValue::integer(whole),
            MetricValue::Exact(format!("{whole}.50")),
            MetricValue::Float(float),
            MetricValue::Text(t.clone()),
        ] {
            prop_assert_eq!(value(value_of(&v)).unwrap(), v);
        }
    }

    #[test]
    fn a_partition_an_incident_and_limits_survive_the_wire(
        at in instant(),
        text in "[a-z0-9=/-]{1,40}",
        lower in proptest::option::of(-1e9..1e9_f64),
    ) {
        let p = Partition {
            order: text.clone(),
            key: PartitionKey(text.clone()),
            date: Some("2026-11-20".parse().unwrap()),
            start: Some(at),
            end: None,
            series: "region=eu".to_owned(),
        };
        prop_assert_eq!(&partition(Some(partition_of(&p))).unwrap(), &p);
        let l = Limits { lower, model: text.clone(), learned_from: vec![Span::one(text.clone())], held_back: vec![HeldBack { partition: text.clone(), by: CheckId::new(text.clone()) }], ..Limits::default() };
        prop_assert_eq!(limits(limits_of(&l)).unwrap(), l);
        let k = MetricKey::quantile(text.clone(), 0.5);
        prop_assert_eq!(key(Some(key_of(&k))).unwrap(), k);
        let i = Incident {
            id: Uuid::from_u128(9),
            dataset: DatasetId::new("orders").unwrap(),
            check: assay_model::ids::CheckId::new("c"),
            column: String::new(),
            severity: assay_model::check::Severity::Error,
            status: IncidentStatus::Open,
            series: "region=eu".to_owned(),
            first_partition: p.key.clone(),
            last_partition: p.key,
            partitions: 3,
            message: text,
            opened_at: at,
            updated_at: at,
            resolved_at: None,
        };
        prop_assert_eq!(incident(incident_of(&i)).unwrap(), i);
    }

    #[test]
    fn no_bytes_make_a_decoder_or_a_check_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(message) = v1::NodeMessage::decode(bytes.as_slice()) {
            let _ = node_says(message);
        }
        if let Ok(message) = v1::Run::decode(bytes.as_slice()) {
            let _ = run(message);
        }
        if let Ok(message) = v1::LedgerEntry::decode(bytes.as_slice()) {
            let _ = ledger_entry(message);
        }
        if let Ok(message) = v1::Result::decode(bytes.as_slice()) {
            let _ = check_result(message);
        }
    }
}

fn hello(slots: u32) -> v1::Hello {
    let node = Node {
        id: NodeId::new("node-1"),
        incarnation: assay_model::ids::Incarnation(0),
        state: NodeState::Registering,
        slots,
        memory_bytes: 1,
        zone: String::new(),
    };
    hello_of(&node, &[], assay_model::ids::Epoch(3), 0)
}

fn says(kind: v1::node_message::Kind) -> Result<NodeSays, WireError> {
    node_says(v1::NodeMessage { kind: Some(kind) })
}

#[test]
fn a_hello_outside_of_the_bounds_is_refused() {
    use v1::node_message::Kind;
    assert!(says(Kind::Hello(hello(4))).is_ok());
    assert!(says(Kind::Hello(hello(0))).is_err());
    assert!(says(Kind::Hello(hello(u32::MAX))).is_err());
    let mut nameless = hello(4);
    nameless.node = String::new();
    assert!(says(Kind::Hello(nameless)).is_err());
    let mut forged = hello(4);
    forged.node = "node\n1".to_owned();
    assert!(says(Kind::Hello(forged)).is_err());
    for name in ["a/b".to_owned(), "n".repeat(257)] {
        let mut elsewhere = hello(4);
        elsewhere.node = name;
        assert!(says(Kind::Hello(elsewhere)).is_err());
    }
    let mut greedy = hello(4);
    greedy.held = vec![v1::AttemptToken::default(); crate::limits::HELD_MAX + 1];
    assert!(matches!(
        says(Kind::Hello(greedy)),
        Err(WireError::TooMany { field: "held", .. })
    ));
}

#[test]
fn a_load_that_is_not_a_number_is_refused() {
    let beat = v1::Heartbeat {
        cpu: f64::NAN,
        ..v1::Heartbeat::default()
    };
    assert!(says(v1::node_message::Kind::Heartbeat(beat)).is_err());
}

#[test]
fn a_node_may_not_report_what_only_a_leader_decides() {
    for word in [
        "ok",
        "node_lost",
        "orphaned",
        "dispatch_lost",
        "nonsense",
        "",
    ] {
        assert!(failure(word.to_owned(), String::new()).is_err(), "{word}");
    }
    assert!(failure("retryable".to_owned(), "é".repeat(20_000)).is_ok());
}

#[test]
fn counts_that_do_not_add_up_are_refused() {
    let mut good = OutcomeCounts::default();
    good.add(Outcome::Pass, 3);
    let mut wire = counts_of(&good);
    assert_eq!(counts(wire).unwrap(), good);
    wire.planned = 4;
    assert!(counts(wire).is_err());
    wire.fail = u64::MAX;
    assert!(counts(wire).is_err());
}

#[test]
fn a_metric_of_another_vocabulary_is_refused() {
    let mut wire = key_of(&MetricKey::table(Metric::RowCount));
    wire.metric = "rowcount".to_owned();
    assert!(key(Some(wire)).is_err());
    assert!(key(None).is_err());
}

#[test]
fn a_kind_of_message_that_is_yet_to_come_is_told_from_a_broken_one() {
    // Field 200, with two bytes.
    let newer = v1::NodeMessage::decode(&[0xc2, 0x0c, 2, 8, 1][..]).unwrap();
    assert_eq!(node_says(newer).unwrap(), NodeSays::Unknown);
}

#[test]
fn an_answer_and_its_backtest_read_back_as_they_were() {
    use assay_model::feedback::{
        Alert, Alerts, Answered, Backtest, FeedbackId, FeedbackKind, FeedbackScope, Withdrawal,
    };
    let at = Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
    let key = MetricKey::quantile("amount", 0.5);
    let scopes = [
        FeedbackScope::Dataset,
        FeedbackScope::Column("amount".to_owned()),
        FeedbackScope::Metric(key.clone()),
    ];
    for (kind, scope) in FeedbackKind::ALL.iter().zip(scopes) {
        let window = *kind == FeedbackKind::ExcludeWindow;
        let answer = Answered {
            id: FeedbackId(Uuid::from_u128(7)),
            dataset: DatasetId::new("orders").unwrap(),
            kind: *kind,
            scope,
            series: window.then(|| "region=eu".to_owned()),
            from: PartitionKey("2026-11-20".to_owned()),
            to: window.then(|| PartitionKey("2026-11-21".to_owned())),
            by: "ada".to_owned(),
            at,
            reason: "a holiday".to_owned(),
            withdrawn: window.then(|| Withdrawal {
                by: "grace".to_owned(),
                at,
                reason: "it was none".to_owned(),
            }),
        };
        assert_eq!(feedback(Some(feedback_of(&answer))).unwrap(), answer);
    }
    let alert = Alert {
        partition: PartitionKey("2026-11-20".to_owned()),
        check: CheckId::new("profile:sum(amount)"),
        metric: key,
        outcome: Outcome::Fail,
        value: MetricValue::Exact("12345678901234567890.5".to_owned()),
        lower: None,
        expected: Some(1.5),
        upper: Some(2.5),
        marked_as_normal: true,
    };
    let told = Backtest {
        partitions: 90,
        first: Some(PartitionKey("a".to_owned())),
        last: Some(PartitionKey("z".to_owned())),
        series: 1,
        series_left_out: 2,
        before: Alerts {
            judged: 80,
            learning: 8,
            excluded: 2,
            partitions: vec![alert.partition.clone()],
            alerts: vec![alert],
            elsewhere: 3,
        },
        after: Alerts::default(),
    };
    assert_eq!(backtest(Some(backtest_of(&told))).unwrap(), told);
    assert!(backtest(None).is_err());
    assert!(feedback(Some(v1::Feedback::default())).is_err());
}
