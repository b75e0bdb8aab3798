//! From the parts of a key to a [`Partition`]: identity, order and data time.
//!
//! In: the key's values in the order of the definition and the dataset's zone. Out: the canonical
//! key, its order and the stretch of data time it covers, with the zone's clock changes. Values
//! read from a column ([`KeyCutter`]) and from paths become partitions by the same rules.

use assay_model::dataset::{Cadence, KeyKind, Partitioning};
use assay_model::partition::{Partition, PartitionKey};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::value::{Unit, Value, parse_time};
use crate::clock;
use crate::error::{Place, ScanError};

/// Separates the parts of an order; below every printable character, so that a shorter text
/// sorts before a longer one that begins with it.
const PART_END: char = '\u{1}';

/// Partitions that the rows of one part of an object may be told apart into. Each has states of its
/// own: a column of ever new values is no key, and would fill the memory.
pub const MOST_PARTITIONS: usize = 100_000;

/// The zone of a dataset's data time.
///
/// # Errors
/// [`ScanError::Definition`] when no such zone is known.
pub fn zone(partitions: &Partitioning) -> Result<TimeZone, ScanError> {
    clock::zone(&partitions.time_zone).ok_or_else(|| ScanError::Definition {
        path: "the dataset".to_owned(),
        place: Place::file(),
        what: format!("the time zone {:?} is not known", partitions.time_zone),
        remedy: "set assayPartitions.timeZone to an IANA name such as Europe/Berlin".to_owned(),
    })
}

/// A key with its values still typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The values, in the order of the definition.
    pub values: Vec<Value>,
    /// The partition that they name.
    pub partition: Partition,
    /// Where its data time begins on the wall clock and how long it is, when it has one.
    pub span: Option<(DateTime, Unit)>,
}

/// Makes keys of values.
#[derive(Debug, Clone)]
pub struct KeyMaker {
    names: Vec<String>,
    zone: TimeZone,
    cadence: Option<Cadence>,
    /// Which parts move from one partition of a series to the next.
    moving: Vec<bool>,
}

/// Which parts of a key move: those that are times, wherever they stand; without one the only whole
/// number; else the last part, since folders lead from the coarse to the fine. A key of one part
/// moves in any case. The kinds decide and not the values, so that a NULL date stays in its series.
fn moving(kinds: &[KeyKind]) -> Vec<bool> {
    let is = |of: fn(KeyKind) -> bool| kinds.iter().map(|k| of(*k)).collect::<Vec<bool>>();
    let times = is(|kind| !matches!(kind, KeyKind::Integer | KeyKind::Text));
    if times.contains(&true) {
        return times;
    }
    let numbers = is(|kind| kind == KeyKind::Integer);
    if numbers.iter().filter(|number| **number).count() == 1 {
        return numbers;
    }
    (1..=kinds.len()).map(|n| n == kinds.len()).collect()
}

impl KeyMaker {
    /// A maker for keys with these parts. A declared weekly or monthly cadence lengthens the data
    /// time of keys that are days.
    #[must_use]
    pub fn new(names: Vec<String>, zone: TimeZone, cadence: Option<Cadence>) -> Self {
        Self {
            names,
            zone,
            cadence,
            moving: Vec::new(),
        }
    }

    /// The same maker, told the kinds of the parts: the partitions of its keys belong to series.
    #[must_use]
    pub fn with_kinds(mut self, kinds: &[KeyKind]) -> Self {
        self.moving = moving(kinds);
        self
    }

    /// The key of `values`, one for each name.
    ///
    /// # Errors
    /// What is wrong when the parts name no day of the calendar (30 February).
    pub fn key(&self, values: Vec<Value>) -> Result<Key, String> {
        let span = self.span(&values)?;
        let instant = |at: DateTime| self.zone.to_timestamp(at).ok();
        let start = span.and_then(|(start, _)| instant(start));
        let end = span
            .and_then(|(start, unit)| unit.after(start))
            .and_then(instant);
        let order = values.iter().map(Value::order).collect::<Vec<_>>();
        let partition = Partition {
            order: order.join(&PART_END.to_string()),
            key: PartitionKey(self.spelling(&values)),
            date: span.map(|(start, _)| start.date()),
            start,
            end,
            series: self.series(&values),
        };
        Ok(Key {
            values,
            partition,
            span,
        })
    }

    fn spelling(&self, values: &[Value]) -> String {
        match values {
            [] => PartitionKey::all().0,
            [only] => only.canonical(),
            several => join(self.names.iter().zip(several)),
        }
    }

    /// The parts that do not move, spelt as in the key.
    fn series(&self, values: &[Value]) -> String {
        let parts = self.names.iter().zip(values).zip(&self.moving);
        join(parts.filter(|(_, moves)| !**moves).map(|(part, _)| part))
    }

    fn span(&self, values: &[Value]) -> Result<Option<(DateTime, Unit)>, String> {
        let (mut year, mut month, mut day, mut hour) = (None, None, None, None);
        let mut whole = None;
        for value in values {
            match value {
                Value::Time { start, unit, .. } => whole = whole.or(Some((*start, *unit))),
                Value::Year(y) => year = Some(*y),
                Value::Month(m) => month = Some(*m),
                Value::Day(d) => day = Some(*d),
                Value::Hour(h) => hour = Some(*h),
                Value::Null | Value::Integer(_) | Value::Text(_) => {}
            }
        }
        let (start, unit) = match (whole, year) {
            (Some((start, Unit::Day)), _) if hour.is_some() => (start, Unit::Day),
            (Some((start, unit)), _) => return Ok(Some((start, self.lengthened(unit)))),
            (None, Some(year)) => {
                let unit = match (month, day) {
                    (None, _) => Unit::Year,
                    (_, None) => Unit::Month,
                    _ => Unit::Day,
                };
                let day = if month.is_some() { day.unwrap_or(1) } else { 1 };
                let date = Date::new(year, month.unwrap_or(1), day)
                    .map_err(|_| format!("{} is no day of the calendar", self.spelling(values)))?;
                (date.at(0, 0, 0, 0), unit)
            }
            (None, None) => return Ok(None),
        };
        match hour {
            Some(hour) if unit == Unit::Day => {
                Ok(Some((start.date().at(hour, 0, 0, 0), Unit::Hour)))
            }
            _ => Ok(Some((start, self.lengthened(unit)))),
        }
    }

    fn lengthened(&self, unit: Unit) -> Unit {
        match (unit, self.cadence) {
            (Unit::Day, Some(Cadence::Weekly)) => Unit::Week,
            (Unit::Day, Some(Cadence::Monthly)) => Unit::Month,
            _ => unit,
        }
    }

    /// The values of the key whose data time begins at `start`, in the series of `like`; `None`
    /// for a calendar that `like` does not speak.
    #[must_use]
    pub fn sibling(&self, like: &Key, start: DateTime) -> Option<Key> {
        let values = like.values.iter().map(|value| match value {
            Value::Time { unit, iso_week, .. } => Value::Time {
                start,
                unit: *unit,
                iso_week: *iso_week,
            },
            Value::Year(_) => Value::Year(start.year()),
            Value::Month(_) => Value::Month(start.month()),
            Value::Day(_) => Value::Day(start.day()),
            Value::Hour(_) => Value::Hour(start.hour()),
            other => other.clone(),
        });
        // A day written apart from its hour keeps midnight.
        let hours_apart = like.values.iter().any(|v| matches!(v, Value::Hour(_)));
        let values = values.map(|value| match value {
            Value::Time {
                start,
                unit: Unit::Day,
                iso_week,
            } if hours_apart => Value::Time {
                start: start.date().at(0, 0, 0, 0),
                unit: Unit::Day,
                iso_week,
            },
            other => other,
        });
        self.key(values.collect()).ok()
    }

    /// The zone of the data time.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

/// Parts of a key, with their names.
fn join<'a>(parts: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let part = |(name, value): (&String, &Value)| {
        let text = value.canonical().replace('%', "%25").replace('/', "%2F");
        format!("{name}={text}")
    };
    parts.map(part).collect::<Vec<_>>().join("/")
}

/// Tells the partition of a row by the value of its key column.
///
/// Discovery and measurement cut by this one type, so that they cannot disagree. Times with an
/// offset are brought to the dataset's zone, times without one are in it already. NULL is a
/// partition of its own ([`super::value::NULL_KEY`]).
#[derive(Debug, Clone)]
pub struct KeyCutter {
    maker: KeyMaker,
    kind: Option<KeyKind>,
    granularity: Option<Cadence>,
}

impl KeyCutter {
    /// The cutter of a dataset that is partitioned by a column.
    ///
    /// # Errors
    /// [`ScanError::Definition`] for an unknown zone.
    pub fn new(
        column: &str,
        granularity: Option<Cadence>,
        partitions: &Partitioning,
    ) -> Result<Self, ScanError> {
        let maker = KeyMaker::new(vec![column.to_owned()], zone(partitions)?, None);
        let kind = partitions.keys.first().map(|key| key.kind);
        Ok(Self {
            maker,
            kind,
            granularity,
        })
    }

    /// The zone that times are cut in.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        self.maker.zone()
    }

    /// The partition of rows whose key is NULL.
    ///
    /// # Errors
    /// Never for this value; the type is shared with the other readers.
    pub fn null(&self) -> Result<Key, String> {
        self.maker.key(vec![Value::Null])
    }

    /// The partition of a whole-number key (not a time).
    ///
    /// # Errors
    /// When times are to be cut and a plain number is no time.
    pub fn integer(&self, value: i64) -> Result<Key, String> {
        match self.granularity {
            None if self.kind == Some(KeyKind::Date) => self.text(&value.to_string()),
            None => self.maker.key(vec![Value::Integer(value)]),
            Some(unit) => Err(format!("{value} is no time that could be cut {unit}")),
        }
    }

    /// The partition of a time of the wall clock in the dataset's zone.
    ///
    /// # Errors
    /// When it lies outside the calendar.
    pub fn civil(&self, value: DateTime) -> Result<Key, String> {
        let date = value.date();
        let (start, unit) = match self.granularity.unwrap_or(Cadence::Daily) {
            Cadence::Hourly => (date.at(value.hour(), 0, 0, 0), Unit::Hour),
            Cadence::Daily => (date.at(0, 0, 0, 0), Unit::Day),
            Cadence::Weekly => {
                let back = i64::from(date.weekday().to_monday_zero_offset());
                let monday = date.checked_sub(jiff::Span::new().days(back));
                let monday = monday.map_err(|_| format!("{value} is at the calendar's end"))?;
                (monday.at(0, 0, 0, 0), Unit::Week)
            }
            Cadence::Monthly => (date.first_of_month().at(0, 0, 0, 0), Unit::Month),
        };
        self.maker.key(vec![Value::time(start, unit)])
    }

    /// The partition of a key that is written as text.
    ///
    /// # Errors
    /// The value and the form that was expected, when times are to be cut and this is none, or
    /// when the declared kind of the key is another.
    pub fn text(&self, raw: &str) -> Result<Key, String> {
        if self.granularity.is_some() {
            let time = parse_datetime(raw, &self.maker.zone).ok_or_else(|| {
                format!("{raw:?} is no date or time such as 2026-11-20 or 2026-11-20T05:30:00Z")
            })?;
            return self.civil(time);
        }
        let kind = self.kind.unwrap_or_else(|| {
            let integer = raw.parse::<i64>().is_ok_and(|n| n.to_string() == raw);
            match parse_time(raw) {
                Some(_) if !integer => KeyKind::Date,
                _ if integer => KeyKind::Integer,
                _ => KeyKind::Text,
            }
        });
        let value = Value::parse(kind, raw).map_err(|form| format!("{raw:?} is not {form}"))?;
        self.maker.key(vec![value])
    }
}

/// A date or a time as text, on the wall clock of `zone`.
#[must_use]
pub fn parse_datetime(raw: &str, zone: &TimeZone) -> Option<DateTime> {
    if let Ok(instant) = raw.parse::<Timestamp>() {
        return Some(zone.to_datetime(instant));
    }
    if let Ok(time) = raw.parse::<DateTime>() {
        return Some(time);
    }
    match parse_time(raw) {
        Some(Value::Time { start, .. }) => Some(start),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker(zone: &str, names: &[&str]) -> KeyMaker {
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        KeyMaker::new(names, TimeZone::get(zone).unwrap(), None)
    }

    #[test]
    fn a_day_covers_23_or_25_hours_where_the_clock_changes() {
        let maker = maker("Europe/Berlin", &["dt"]);
        for (day, hours) in [("2024-03-31", 23), ("2024-10-27", 25), ("2024-06-01", 24)] {
            let key = maker.key(vec![parse_time(day).unwrap()]).unwrap();
            let (start, end) = (key.partition.start.unwrap(), key.partition.end.unwrap());
            assert_eq!(end.as_second() - start.as_second(), hours * 3600, "{day}");
        }
    }

    #[test]
    fn several_parts_make_one_day_and_a_spelling_with_their_names() {
        let maker = maker("UTC", &["year", "month", "day"]);
        let values = vec![Value::Year(2024), Value::Month(2), Value::Day(9)];
        let key = maker.key(values).unwrap().partition;
        assert_eq!(key.key.as_str(), "year=2024/month=02/day=09");
        assert_eq!(key.date, Some(jiff::civil::date(2024, 2, 9)));
        assert!(
            maker
                .key(vec![Value::Year(2024), Value::Month(2), Value::Day(30)])
                .is_err()
        );
    }

    #[test]
    fn an_instant_is_cut_in_the_zone_of_the_dataset() {
        let partitions = Partitioning {
            time_zone: "America/New_York".to_owned(),
            ..Partitioning::default()
        };
        let cutter = KeyCutter::new("ts", Some(Cadence::Daily), &partitions).unwrap();
        let key = cutter.text("2024-01-02T03:00:00Z").unwrap();
        assert_eq!(key.partition.key.as_str(), "2024-01-01");
        assert_eq!(
            cutter
                .text("2024-01-02 03:00:00")
                .unwrap()
                .partition
                .key
                .as_str(),
            "2024-01-02"
        );
        assert!(cutter.text("soon").is_err());
    }

    #[test]
    fn a_series_is_what_does_not_move_in_time() {
        use KeyKind::{Date, Day, Integer, Month, Text, Year};
        let text = |t: &str| Value::Text(t.to_owned());
        let day = || parse_time("2024-02-09").unwrap();
        let (number, ym) = (Value::Integer(7), [Value::Year(2024), Value::Month(2)]);
        let [year, month] = ym;
        type Parts<'a> = &'a [(&'a str, KeyKind)];
        let cases: [(Parts<'_>, Vec<Value>, &str); 8] = [
            (&[("dt", Date)], vec![day()], ""),
            (&[("file", Text)], vec![text("a")], ""),
            (
                &[("dt", Date), ("region", Text)],
                vec![day(), text("e/u")],
                "region=e%2Fu",
            ),
            (
                &[("region", Text), ("dt", Date), ("shop", Integer)],
                vec![text("eu"), day(), number.clone()],
                "region=eu/shop=7",
            ),
            (
                &[("year", Year), ("month", Month), ("region", Text)],
                vec![year, month, text("eu")],
                "region=eu",
            ),
            (
                &[("batch", Integer), ("region", Text)],
                vec![number, text("eu")],
                "region=eu",
            ),
            (
                &[("region", Text), ("file", Text)],
                vec![text("eu"), text("a")],
                "region=eu",
            ),
            (
                &[("day", Day), ("region", Text)],
                vec![Value::Null, text("eu")],
                "region=eu",
            ),
        ];
        for (spec, values, series) in cases {
            let names: Vec<&str> = spec.iter().map(|(name, _)| *name).collect();
            let kinds: Vec<KeyKind> = spec.iter().map(|(_, kind)| *kind).collect();
            let maker = maker("UTC", &names).with_kinds(&kinds);
            assert_eq!(maker.key(values).unwrap().partition.series, series);
        }
    }
}
