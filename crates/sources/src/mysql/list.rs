//! The partitions of a table and the ranges they are measured in.
//!
//! In: a session in its transaction, the table's shape and the dataset. Out: every partition with its
//! version and its ranges. One pass over the table groups its rows by the key and marks each group; a
//! second one, over the large groups only, marks stretches of their primary keys, so that they can be
//! cut.

use std::collections::BTreeMap;

use assay_model::partition::{ObjectRef, Partition, PartitionVersion};
use assay_scan::discover::decide::{Seen, Told};
use assay_scan::discover::keys::{Key, MOST_PARTITIONS};
use assay_scan::error::{Place, ScanError};
use jiff::Timestamp;

use super::AtWork;
use super::session::{Texts, name};
use super::types::{Column, Reading};
use crate::table::cut::{Part, merged, share};
use crate::table::range::{KeyIs, Range};

/// The least that a range of rows is taken to have.
const LEAST: u64 = 8192;
/// Pieces that a range of the wanted size is marked in.
const PIECES: u64 = 8;
/// Pieces of the groups that are cut at a time, at most.
const MOST_PIECES: u64 = 500_000;
/// Groups that are asked for by their values at a time.
const AT_A_TIME: usize = 500;
/// What whole numbers with a sign are moved by, so that they begin at 0.
const SIGNED: i128 = 1 << 63;

/// The rows with one value of the key.
struct Group {
    key: KeyIs,
    part: Part,
}

/// A partition that is being put together.
struct Gathered {
    key: Key,
    whole: Part,
    objects: Vec<ObjectRef>,
}

fn cell(row: &Texts, at: usize) -> Option<&str> {
    row.get(at).and_then(Option::as_deref)
}

impl AtWork<'_> {
    /// Every partition, in the order of the keys.
    pub(super) fn partitions(&mut self) -> Result<Vec<Seen>, ScanError> {
        let groups = self.groups()?;
        let rows: u64 = groups.iter().map(|group| group.part.mark.rows).sum();
        let ranges = self.ranges(&groups, rows)?;
        let mut found: BTreeMap<(String, String), Gathered> = BTreeMap::new();
        for (group, objects) in groups.into_iter().zip(ranges) {
            let key = match (self.key, &group.key) {
                (Some(column), KeyIs::Text(text)) => column.key(Some(text))?,
                (Some(column), _) => column.key(None)?,
                (None, _) => Key {
                    values: Vec::new(),
                    partition: Partition::all(),
                    span: None,
                },
            };
            let place = (key.partition.order.clone(), key.partition.key.0.clone());
            let gathered = found.entry(place).or_insert_with(|| Gathered {
                key,
                whole: Part::default(),
                objects: Vec::new(),
            });
            gathered.whole.mark.add(&group.part.mark);
            gathered.objects.extend(objects);
        }
        let signature = self.shape.signature;
        let seen = |gathered: Gathered| Seen {
            told: Some(Told {
                version: PartitionVersion::of_mark(&gathered.whole.mark.text(signature)),
                // The database does not keep when a row was changed.
                modified: None,
            }),
            key: gathered.key,
            objects: gathered.objects,
            marked: false,
        };
        Ok(found.into_values().map(seen).collect())
    }

    fn part(&self, row: &Texts, at: usize) -> Result<Part, ScanError> {
        let mark = self
            .marking
            .read(cell(row, at), cell(row, at + 1), self.address)?;
        Ok(Part {
            mark,
            modified: None,
        })
    }

    /// The key that a row tells.
    fn key_of(&self, row: &Texts) -> KeyIs {
        match cell(row, 0) {
            _ if self.key.is_none() => KeyIs::Any,
            None => KeyIs::Null,
            Some(text) => KeyIs::Text(text.to_owned()),
        }
    }

    /// The groups of the table. A table that no column divides is one group, even without rows.
    fn groups(&mut self) -> Result<Vec<Group>, ScanError> {
        let (group, by) = match self.key {
            Some(key) => (key.expression(), " GROUP BY 1"),
            None => ("NULL", ""),
        };
        let statement = format!(
            "SELECT {group}, {} FROM {}{by}",
            self.marking.aggregates(),
            self.shape.from(),
        );
        let mut rows = Vec::new();
        let (mut left, address) = (self.context.memory_bytes, self.address);
        self.session.each_text(&statement, |row| {
            let bytes = cell(&row, 0).map_or(0, str::len) as u64;
            rows.push(row);
            match left.checked_sub(bytes) {
                Some(more) if rows.len() <= MOST_PARTITIONS => left = more,
                _ => return Err(too_many(address)),
            }
            Ok(())
        })?;
        let group = |row: &Texts| {
            Ok(Group {
                key: self.key_of(row),
                part: self.part(row, 1)?,
            })
        };
        let mut groups = rows.iter().map(group).collect::<Result<Vec<_>, _>>()?;
        groups.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(groups)
    }

    /// The ranges of each group: one, or several of a group that is larger than wanted.
    fn ranges(&mut self, groups: &[Group], rows: u64) -> Result<Vec<Vec<ObjectRef>>, ScanError> {
        let target = self.dataset.scan.target_bytes.max(LEAST);
        let bytes = self.shape.bytes;
        let share = |of: u64| share(bytes, of, rows);
        let large: Vec<&KeyIs> = groups
            .iter()
            .filter(|group| share(group.part.mark.rows) > target)
            .map(|group| &group.key)
            .collect();
        let mut cut: BTreeMap<KeyIs, Vec<(u64, Part)>> = BTreeMap::new();
        if let (Some(number), true) = (self.shape.number.clone(), self.marking.adds_up()) {
            for some in large.chunks(AT_A_TIME) {
                self.pieces(&number, some, target, &mut cut)?;
            }
        }
        let table = self.shape.path();
        let signature = self.shape.signature;
        let one = |group: &Group| {
            let range = |blocks, part: &Part| ObjectRef {
                path: Range {
                    table: table.clone(),
                    blocks,
                    key: group.key.clone(),
                }
                .path(),
                size: share(part.mark.rows),
                modified: Timestamp::UNIX_EPOCH,
                etag: Some(part.mark.text(signature)),
            };
            match cut.get(&group.key) {
                None => vec![range(None, &group.part)],
                Some(pieces) => merged(pieces, target, share)
                    .into_iter()
                    .map(|(first, last, part)| range(Some((first, last)), &part))
                    .collect(),
            }
        };
        Ok(groups.iter().map(one).collect())
    }

    /// Marks stretches of the primary keys of large groups, some groups at a time.
    fn pieces(
        &mut self,
        number: &Column,
        keys: &[&KeyIs],
        target: u64,
        into: &mut BTreeMap<KeyIs, Vec<(u64, Part)>>,
    ) -> Result<(), ScanError> {
        let (group, condition) = match self.key {
            None => ("NULL", "TRUE".to_owned()),
            Some(key) => {
                let all: Vec<String> = keys.iter().map(|is| key.condition(is)).collect();
                (key.expression(), format!("({})", all.join(" OR ")))
            }
        };
        let (from, column) = (self.shape.from(), name(&number.name));
        let ends = format!("SELECT MIN({column}), MAX({column}) FROM {from} WHERE {condition}");
        let ends = self.session.rows(&ends)?;
        let end = |at: usize| ends.first().and_then(|row| cell(row, at)?.parse().ok());
        let (Some(low), Some(high)) = (end(0), end(1)) else {
            return Ok(());
        };
        let step = step(low, high, self.shape.bytes, target);
        let statement = format!(
            "SELECT {group}, (CAST({column} AS DECIMAL(20,0)) - {low}) DIV {step}, {} FROM {from} \
             WHERE {condition} GROUP BY 1, 2 ORDER BY 2",
            self.marking.aggregates(),
        );
        let mut rows = Vec::new();
        let address = self.address;
        self.session.each_text(&statement, |row| {
            rows.push(row);
            match rows.len() as u64 <= MOST_PIECES {
                true => Ok(()),
                false => Err(scattered(address)),
            }
        })?;
        for row in &rows {
            let piece = cell(row, 1).and_then(|text| text.parse::<i128>().ok());
            let begins = piece.map(|piece| low + piece * step + moved(number));
            let begins = begins.and_then(|at| u64::try_from(at).ok());
            let begins = begins.ok_or_else(|| {
                ScanError::corrupt(address, Place::file(), "its pieces are no numbers")
            })?;
            let part = self.part(row, 2)?;
            into.entry(self.key_of(row))
                .or_default()
                .push((begins, part));
        }
        Ok(())
    }
}

/// How far the numbers of a piece reach, where all of them from `low` to `high` take `bytes`.
fn step(low: i128, high: i128, bytes: u64, target: u64) -> i128 {
    let pieces = i128::from((bytes / (target / PIECES).max(1)).clamp(1, MOST_PIECES / 4));
    ((high - low) / pieces).max(1)
}

/// What the numbers of a column are moved by, so that they begin at 0.
const fn moved(number: &Column) -> i128 {
    match number.reading {
        Reading::UInt8 | Reading::UInt16 | Reading::UInt32 | Reading::UInt64 => 0,
        _ => SIGNED,
    }
}

/// The condition of a range's stretch of primary keys.
pub(super) fn stretch(range: &Range, number: Option<&Column>) -> Option<String> {
    let Some((first, last)) = range.blocks else {
        return Some("TRUE".to_owned());
    };
    let number = number?;
    let column = name(&number.name);
    let at = |block: u64| i128::from(block) - moved(number);
    let mut conditions = Vec::new();
    if first > 0 {
        conditions.push(format!("{column} >= {}", at(first)));
    }
    if let Some(last) = last {
        conditions.push(format!("{column} < {}", at(last)));
    }
    Some(match conditions.is_empty() {
        true => "TRUE".to_owned(),
        false => conditions.join(" AND "),
    })
}

fn too_many(address: &str) -> ScanError {
    ScanError::Definition {
        path: address.to_owned(),
        place: Place::file(),
        what: format!("the key column has more than {MOST_PARTITIONS} values, or very long ones"),
        remedy: "cut times by a `granularity`, or name another column".to_owned(),
    }
}

fn scattered(address: &str) -> ScanError {
    ScanError::Definition {
        path: address.to_owned(),
        place: Place::file(),
        what: format!("the rows of its keys lie scattered over more than {MOST_PIECES} pieces"),
        remedy: "raise `targetBytes` under assayScan".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_keys_meet_and_leave_nothing_out() {
        let column = |reading| Column {
            name: "id".to_owned(),
            reading,
            called: String::new(),
            nullable: false,
            by_text: false,
        };
        let of = |blocks, reading| {
            let range = Range {
                table: String::new(),
                blocks,
                key: KeyIs::Any,
            };
            stretch(&range, Some(&column(reading))).unwrap()
        };
        let zero = SIGNED as u64;
        assert_eq!(of(None, Reading::Int32), "TRUE");
        assert_eq!(of(Some((0, None)), Reading::Int32), "TRUE");
        assert_eq!(of(Some((0, Some(zero - 5))), Reading::Int32), "`id` < -5");
        assert_eq!(
            of(Some((zero - 5, Some(zero + 7))), Reading::Int64),
            "`id` >= -5 AND `id` < 7"
        );
        assert_eq!(of(Some((9, None)), Reading::UInt64), "`id` >= 9");
        assert_eq!(step(-5, 1_000_000, 100 << 20, 8 << 20), 10_000);
        assert_eq!(step(1, 2, u64::MAX, 1), 1);
        assert!(step(i128::from(i64::MIN), i128::from(u64::MAX), 0, 8192) > 0);
    }
}
