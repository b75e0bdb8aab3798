//! Times without a zone: what instant a reading of the dataset's wall clock is.
//!
//! In: nanoseconds since 1970-01-01T00:00 on the wall clock, and the zone of the clock. Out: the
//! instant in UTC; and zones by name. A reading that the clock shows twice is the first of the two;
//! one that it skips counts on from before the skip, as in texts without an offset. It decides from
//! what it is given and from the machine's zones alone.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The zone of a name. UTC, which most datasets keep, is known without a look into the machine's
/// folder of zones: the first look reads the whole of it.
pub fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    TimeZone::get(name).ok()
}

/// Nanoseconds since 1970-01-01 UTC of a wall clock reading; `None` outside the calendar.
pub fn instant(wall_nanos: i128, zone: &TimeZone) -> Option<i128> {
    let reading = Timestamp::from_nanosecond(wall_nanos).ok()?;
    let reading = TimeZone::UTC.to_datetime(reading);
    let instant = zone.to_timestamp(reading).ok()?;
    Some(instant.as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_those_of_the_folder() {
        for name in ["UTC", "Europe/Berlin", "utc", "Etc/UTC", "Nowhere/Else", ""] {
            assert_eq!(zone(name), TimeZone::get(name).ok(), "{name}");
        }
    }

    #[test]
    fn a_reading_is_the_instant_at_which_the_clock_of_the_zone_shows_it() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        let nine_hours = 9 * 3_600_000_000_000;
        assert_eq!(instant(nine_hours, &tokyo), Some(0));
        assert_eq!(instant(0, &TimeZone::UTC), Some(0));
        assert_eq!(instant(i128::from(i64::MAX) * 1_000_000, &tokyo), None);
    }
}
