//! Durations, sizes, schedules and time zones as they are written in a dataset file.
//!
//! In: a text. Out: seconds, bytes, or the reason why it is neither.

use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;

/// Seconds of a duration such as `20m`, `1h30m`, `2d`. A day has 24 hours.
///
/// # Errors
/// What is wrong with the text.
pub fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a duration");
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = unit_seconds(&rest[..letters]).ok_or_else(wrong)?;
        rest = rest[letters..].trim_start();
        total = count
            .checked_mul(unit)
            .and_then(|s| total.checked_add(s))
            .ok_or_else(wrong)?;
    }
    Ok(total)
}

/// Seconds of a unit of time that always has the same length.
#[must_use]
pub fn unit_seconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hr" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    })
}

/// Bytes of a size such as `128MiB`, `64MB` or `1000000`.
///
/// # Errors
/// What is wrong with the text.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size");
    let text_ = text.trim();
    let digits = text_
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text_.len());
    let count: u64 = text_[..digits].parse().map_err(|_| wrong())?;
    let unit: u64 = match text_[digits..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    count.checked_mul(unit).ok_or_else(wrong)
}

/// Checks a schedule: five-field cron (or `@daily` and its like) that comes at least once.
///
/// # Errors
/// What is wrong with it, for people.
pub fn schedule(text: &str) -> Result<(), String> {
    let fields = text.split_whitespace().count();
    if !text.trim_start().starts_with('@') && fields != 5 {
        return Err(format!("`{text}` has {fields} fields, cron has five"));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let cron: Cron = parser
        .parse(text)
        .map_err(|e| format!("`{text}` is not a schedule: {e}"))?;
    // Leap years are at most eight years apart; a schedule that comes, comes within them.
    let from = jiff::civil::date(2024, 1, 1).at(0, 0, 0, 0);
    cron.find_next_occurrence(&from, true)
        .map(|_| ())
        .map_err(|_| format!("`{text}` never comes"))
}

/// Checks the name of a time zone.
///
/// # Errors
/// The zone that was probably meant, if any.
pub fn zone(name: &str) -> Result<(), Option<String>> {
    // A name is looked up, so that a POSIX rule or an offset is not taken for one.
    if name.is_ascii() && TimeZone::get(name).is_ok() {
        return Ok(());
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|n| n.as_str().to_owned())
        .collect();
    Err(crate::suggest::closest(name, known.iter().map(String::as_str)).map(str::to_owned))
}

/// Checks a regular expression.
///
/// # Errors
/// What is wrong with it.
pub fn pattern(text: &str) -> Result<(), String> {
    regex::Regex::from_str(text).map(|_| ()).map_err(|error| {
        let all = error.to_string();
        all.lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units_and_nothing_else() {
        assert_eq!(seconds("20m"), Ok(1200));
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(seconds("2 d"), Ok(172_800));
        for bad in ["", "20", "m", "1y", "-1s", "99999999999999999999s", "1h 30"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(bytes("128MiB"), Ok(128 << 20));
        assert!(bytes("lots").is_err());
    }

    #[test]
    fn a_schedule_has_five_fields_and_comes() {
        assert_eq!(schedule("15 * * * *"), Ok(()));
        assert_eq!(schedule("0 0 29 2 *"), Ok(()));
        assert_eq!(schedule("@daily"), Ok(()));
        assert!(schedule("* * * * * *").unwrap_err().contains("6 fields"));
        assert!(schedule("61 * * * *").is_err());
        assert!(schedule("0 0 30 2 *").unwrap_err().contains("never comes"));
    }

    #[test]
    fn a_zone_is_in_the_database_or_has_a_suggestion() {
        assert_eq!(zone("Europe/Berlin"), Ok(()));
        assert_eq!(zone("UTC"), Ok(()));
        assert_eq!(zone("Europe/Berln"), Err(Some("Europe/Berlin".to_owned())));
        assert_eq!(zone("Mars/Phobos"), Err(None));
    }
}
