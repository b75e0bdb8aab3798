//! Answering back on the real program: what is kept changes what the newest partition is judged by,
//! nothing else, and nothing that was said before.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use assay_store::MetricStore as _;
use assay_store::port::ResultFilter;
use common::{Definition, Place};
use serde_json::Value;

/// The day so many days after the first.
fn day(at: u32) -> String {
    let days = i64::from(at);
    (jiff::civil::date(2026, 1, 5) + jiff::Span::new().days(days)).to_string()
}

/// Days of orders with so many rows each.
fn orders(place: &Place, days: u32, rows: impl Fn(u32) -> u32) -> Definition {
    for at in 0..days {
        // Moves a little from day to day, without an order that could be learned.
        let rows = rows(at) + (at * at * 7919 % 101 % 11);
        let lines: String = (0..rows).map(|row| format!("{row},{at}.5\n")).collect();
        place.write(
            &format!("data/date={}.csv", day(at)),
            format!("id,amount\n{lines}"),
        );
    }
    let definition = Definition::new("orders", place.path("data"), "csv")
        .set("assayProfile", "{ columns: none }")
        .check("{ id: usual, type: custom, engine: assay, implementation: { metric: rowCount, learned: true } }");
    place.write("orders.yaml", definition.text());
    definition
}

fn check(place: &Place) -> Value {
    let args = ["check", "orders.yaml", "-o", "json"];
    let said = place.assay(&args);
    assert!([0, 1].contains(&said.code), "{}", said.all());
    said.json()
}

/// What became of the learned check on the row count of a day, in this look.
fn outcome(json: &Value, at: u32) -> Option<String> {
    let items = json["items"].as_array().unwrap();
    let of = |item: &&Value| item["check"] == "usual" && item["partition"] == day(at);
    Some(items.iter().find(of)?["outcome"].as_str()?.to_owned())
}

fn feedback(place: &Place, args: &[&str]) -> Value {
    let all = [&["feedback"], args, &["-o", "json"]].concat();
    place.assay(&all).ended(0).json()["items"][0].clone()
}

fn alerted(told: &Value, when: &str) -> Vec<String> {
    let keys = told["backtest"][when]["partitions"].as_array().unwrap();
    keys.iter()
        .map(|k| k.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_new_normal_is_what_the_newest_partition_is_judged_by() {
    let place = Place::new();
    // Every other day has four times as many: each is an alarm that stays alone, and teaches nothing.
    let is_fair = |at: u32| at >= 40 && at % 2 == 1;
    orders(&place, 60, |at| if is_fair(at) { 400 } else { 100 });
    let before = check(&place);
    assert_eq!(outcome(&before, 59).as_deref(), Some("fail"), "{before:#}");
    let args = [
        "train-as-new-normal",
        "orders",
        &day(40),
        "--metric",
        "rowCount",
        "--reason",
        "a fair every other day",
        "--by",
        "ada",
    ];
    // A look keeps nothing, and says what it would change.
    let looked = feedback(&place, &[&args[..], &["--preview"]].concat());
    assert_eq!(looked["kept"], false);
    let late: Vec<String> = (40..60).filter(|at| is_fair(*at)).map(day).collect();
    assert_eq!(alerted(&looked, "before"), late, "{looked:#}");
    assert_eq!(alerted(&looked, "after"), Vec::<String>::new());
    assert_eq!(outcome(&check(&place), 59).as_deref(), Some("fail"));
    let kept = feedback(&place, &args);
    assert_eq!(kept["backtest"], looked["backtest"]);
    assert_eq!(kept["feedback"]["by"], "ada");
    assert_eq!(kept["feedback"]["reason"], "a fair every other day");
    let after = check(&place);
    assert_eq!(outcome(&after, 59).as_deref(), Some("pass"), "{after:#}");
    // Earlier verdicts stay as they were.
    assert_eq!(after["summary"]["partitions"], 1, "{}", after["summary"]);
    let id = kept["feedback"]["id"].as_str().unwrap();
    feedback(
        &place,
        &["withdraw", "orders", id, "--reason", "it is over"],
    );
    let again = check(&place);
    assert_eq!(outcome(&again, 59).as_deref(), Some("fail"), "{again:#}");
    let listed = feedback(&place, &["list", "orders"]);
    assert_eq!(listed["inForce"], false);
    assert_eq!(listed["withdrawn"]["reason"], "it is over");
}

#[tokio::test]
async fn an_excluded_window_and_a_marked_alarm_change_later_verdicts_alone() {
    let place = Place::new();
    // Days of a campaign: so many rows that limits embrace what comes after.
    let rows = |at| if at == 40 { 260 } else { 100 };
    orders(&place, 60, rows);
    let before = check(&place);
    assert_eq!(outcome(&before, 59).as_deref(), Some("pass"), "{before:#}");
    let store = place.store().await;
    let id = assay_model::ids::DatasetId::new("orders").unwrap();
    let of_40 = || async {
        let filter = ResultFilter {
            partition: Some(assay_model::partition::PartitionKey(day(40))),
            superseded: true,
            limit: 100,
            ..ResultFilter::default()
        };
        let rows = store.results(&id, &filter).await.unwrap();
        let of = rows
            .iter()
            .filter(|row| row.result.check.as_str() == "usual");
        of.map(|row| (row.judged_at, row.result.outcome))
            .collect::<Vec<_>>()
    };
    let said = of_40().await;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].1.as_str(), "fail");
    let learned = |json: &Value| -> u64 {
        let items = json["items"].as_array().unwrap();
        let of = |item: &&Value| item["check"] == "usual" && item["partition"] == day(59);
        let spans = &items.iter().find(of).unwrap()["limits"]["learned_from"];
        let spans = spans.as_array().unwrap().iter();
        spans.map(|span| span["partitions"].as_u64().unwrap()).sum()
    };
    assert_eq!(learned(&before), 58, "all but the alarm");
    let mark = feedback(
        &place,
        &[
            "mark-as-normal",
            "orders",
            &day(40),
            "--metric",
            "usual",
            "--reason",
            "a campaign",
        ],
    );
    assert_eq!(alerted(&mark, "before"), [day(40)]);
    let marked = &mark["backtest"]["after"]["alerts"][0];
    assert_eq!(marked["markedAsNormal"], true, "{marked:#}");
    let after = check(&place);
    assert_eq!(learned(&after), 59, "{after:#}");
    let window = [
        "exclude-window",
        "orders",
        &day(39),
        &day(44),
        "--reason",
        "a campaign and its wake",
    ];
    let window = feedback(&place, &window);
    assert_eq!(window["backtest"]["after"]["excluded"], 6, "{window:#}");
    let after = check(&place);
    assert_eq!(learned(&after), 53, "{after:#}");
    // A second look has nothing new to judge.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    check(&place);
    let look = place.assay(&["check", "orders.yaml"]);
    assert!(look.out.contains("nothing new"), "{}", look.all());
    assert_eq!(of_40().await, said);
}
