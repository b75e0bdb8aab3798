//! The fleet over a day, drawn as steps.
//!
//! Comes in: samples, the present. Goes out: two charts. It must never draw a line over a time that
//! nothing is known of, or hide a peak between two places.

use askama::filters::Safe;
use assay_answers::fleet::FleetSample;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::chart::lines::{self, Line};
use crate::chart::{Size, Unit};
use crate::html::Markup;

/// Minutes of a place.
const MINUTES: i64 = 5;
/// Places: a day.
const PLACES: usize = 288;

/// The samples of each place, the last of which is at present.
fn places(samples: &[FleetSample], now: Timestamp) -> Vec<Vec<&FleetSample>> {
    let mut places = vec![Vec::new(); PLACES];
    for sample in samples {
        let ago = now.duration_since(sample.at).as_secs().max(0) / (60 * MINUTES);
        let place = usize::try_from(ago)
            .ok()
            .and_then(|ago| (PLACES - 1).checked_sub(ago));
        if let Some(place) = place.and_then(|place| places.get_mut(place)) {
            place.push(sample);
        }
    }
    places
}

fn line(
    name: &str,
    places: &[Vec<&FleetSample>],
    of: impl Fn(&[&FleetSample]) -> Option<u64>,
) -> Line {
    #[expect(clippy::cast_precision_loss, reason = "counts of nodes and tasks")]
    let values = places.iter().map(|place| of(place).map(|n| n as f64));
    Line {
        name: name.to_owned(),
        values: values.collect(),
    }
}

fn drawn(title: &str, labels: &[String], lines: &[Line]) -> Markup {
    let draw = |size: Size| {
        let size = Size {
            height: 180.0,
            ..size
        };
        lines::svg(title, labels, lines, Unit::Number, true, size).0
    };
    Safe(format!(
        "<div class=\"chart-wide\">{}</div><div class=\"chart-narrow\">{}</div>{}",
        draw(Size::WIDE),
        draw(Size::NARROW),
        lines::legend(lines).0
    ))
}

/// Nodes, and tasks, over the day that ends now; `None` where there is no sample of it.
pub(super) fn charts(samples: &[FleetSample], now: Timestamp) -> Option<(Markup, Markup)> {
    let places = places(samples, now);
    if places.iter().all(Vec::is_empty) {
        return None;
    }
    let most = |of: fn(&FleetSample) -> u64| {
        move |place: &[&FleetSample]| place.iter().map(|sample| of(sample)).max()
    };
    let least = |place: &[&FleetSample]| place.iter().map(|s| u64::from(s.ready)).min();
    let labels: Vec<String> = (0..PLACES)
        .map(|place| {
            let ago = i64::try_from(PLACES - 1 - place).unwrap_or(0) * MINUTES * 60;
            let at = Timestamp::from_second(now.as_second() - ago).unwrap_or(now);
            at.to_zoned(TimeZone::UTC).strftime("%H:%M UTC").to_string()
        })
        .collect();
    let nodes = [
        line(
            "wanted, most of each 5 minutes",
            &places,
            most(|s| u64::from(s.desired)),
        ),
        line("ready, least of each 5 minutes", &places, least),
    ];
    let tasks = [
        line(
            "queued, most of each 5 minutes",
            &places,
            most(|s| s.queued),
        ),
        line(
            "at work, most of each 5 minutes",
            &places,
            most(|s| s.running),
        ),
    ];
    Some((
        drawn("Nodes over the last day", &labels, &nodes),
        drawn("Tasks over the last day", &labels, &tasks),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(minutes_ago: i64, ready: u32, queued: u64) -> FleetSample {
        FleetSample {
            at: Timestamp::from_second(1_700_000_000 - 60 * minutes_ago).unwrap(),
            desired: 2,
            ready,
            queued,
            running: 1,
        }
    }

    #[test]
    fn a_peak_and_a_dip_within_a_place_are_kept_and_a_gap_stays_one() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let samples = [
            sample(3000, 9, 9),
            sample(12, 2, 0),
            sample(3, 1, 70),
            sample(1, 2, 0),
        ];
        let places = places(&samples, now);
        assert_eq!(places.iter().map(Vec::len).sum::<usize>(), 3);
        assert_eq!(places[PLACES - 1].len(), 2);
        assert!(places[PLACES - 2].is_empty());
        let ready = line("", &places, |p| p.iter().map(|s| u64::from(s.ready)).min());
        assert_eq!(ready.values[PLACES - 3..], [Some(2.0), None, Some(1.0)]);
        let queued = line("", &places, |p| p.iter().map(|s| s.queued).max());
        assert_eq!(queued.values[PLACES - 1], Some(70.0));
        let (nodes, tasks) = charts(&samples, now).unwrap();
        assert!(nodes.0.contains("wanted") && tasks.0.contains("queued"));
        assert!(charts(&samples[..1], now).is_none());
        // A clock that is behind draws it at present.
        assert!(charts(&[sample(-5, 1, 1)], now).is_some());
    }
}
