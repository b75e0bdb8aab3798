//! Limits as they are lived with: one bad day does not make the next one normal, and a level that
//! moved for good is not alarmed for ever.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fmt::Write as _;

use common::{Definition, Place};
use jiff::ToSpan as _;
use jiff::civil::date;

/// Days of the story.
const DAYS: i64 = 90;

/// A fixed sequence between 0 and 1 that looks drawn.
fn noise(day: i64) -> f64 {
    (day as f64 * 0.618_033_988_75).fract()
}

/// The day's partition, as it is called.
fn name(day: i64) -> String {
    (date(2026, 8, 1) + day.days()).to_string()
}

/// So many rows, give or take `spread` of them.
fn about(rows: f64, spread: f64, day: i64) -> f64 {
    rows * (1.0 - spread + 2.0 * spread * noise(day))
}

/// A story of days that have so many rows, and every sixth `mail` missing on some.
fn story(place: &Place, rows: impl Fn(i64) -> f64, without_mail: &[i64]) {
    for day in 0..DAYS {
        let mut text = String::from("id,mail\n");
        for row in 0..rows(day) as i64 {
            let gone = without_mail.contains(&day) && row % 6 == 0;
            let mail = if gone { "" } else { "somebody@example.org" };
            writeln!(text, "{row},{mail}").unwrap();
        }
        place.write(&format!("data/date={}.csv", name(day)), text);
    }
    let mut definition = Definition::new("orders", place.path("data"), "csv");
    // As it is by default: every metric of the profile, and what is learned of it.
    definition.settings.clear();
    definition.quality.clear();
    place.write("orders.yaml", definition.text());
    place.assay(&["check", "orders.yaml"]).ended(1);
}

/// The days whose value left its limits.
fn alarmed(place: &Place, metric: &[&str]) -> Vec<String> {
    let asked = [
        &["metric", "history", "orders"],
        metric,
        &["--last", "90", "-o", "json"],
    ];
    let told = place.assay(&asked.concat()).ended(0).json();
    let points = told["items"][0]["points"].as_array().unwrap();
    let broken = |outcome: &str| matches!(outcome, "fail" | "warn");
    points
        .iter()
        .filter(|point| point["outcome"].as_str().is_some_and(broken))
        .map(|point| point["partition"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_was_never_null_is_alarmed_each_time_it_is() {
    let place = Place::new();
    let days = [40, 60, 75];
    story(&place, |day| about(600.0, 0.02, day), &days);
    let alarms = alarmed(&place, &["nullPercent", "--column", "mail"]);
    assert_eq!(alarms, days.map(name));
}

#[test]
fn half_a_day_is_alarmed_each_time_it_is_lost_also_where_days_differ_much() {
    let days = [45, 60, 75];
    for spread in [0.02, 0.15] {
        let place = Place::new();
        let rows = |day| about(if days.contains(&day) { 300.0 } else { 600.0 }, spread, day);
        story(&place, rows, &[]);
        assert_eq!(alarmed(&place, &["rowCount"]), days.map(name), "{spread}");
    }
}

#[test]
fn a_level_that_moves_for_good_is_followed() {
    let place = Place::new();
    let rows = |day| about(if day < 50 { 600.0 } else { 900.0 }, 0.02, day);
    story(&place, rows, &[]);
    let alarms = alarmed(&place, &["rowCount"]);
    assert!(alarms.contains(&name(50)), "{alarms:?}");
    let late: Vec<&String> = alarms.iter().filter(|day| **day > name(70)).collect();
    assert!(late.is_empty() && alarms.len() < 20, "{alarms:?}");
}
