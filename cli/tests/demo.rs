//! The demonstration finds what is planted and nothing else, whatever weekday it ends on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Place;
use jiff::ToSpan as _;
use jiff::civil::date;

#[test]
fn nothing_is_flagged_that_was_not_planted_whatever_weekday_it_ends_on() {
    for back in 0..7 {
        let last = date(2026, 11, 20) - back.days();
        let place = Place::new();
        let last = last.to_string();
        let args = ["demo", "--until", &last, "--rows-per-day", "4000"];
        let told = place.assay(&args).ended(0).out;
        assert!(
            told.contains("Nothing was flagged that was not planted"),
            "{told}"
        );
        assert_eq!(told.matches("  planted: ").count(), 8, "{told}");
    }
}
