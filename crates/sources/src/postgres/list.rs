//! The partitions of a table and the ranges they are measured in.
//!
//! In: a session in its transaction, the table's shape and the dataset. Out: every partition with
//! its version and its ranges. One pass over the table groups its rows by the key and marks each
//! group; a second one, over the large groups only, marks their blocks, so that they can be cut.

use std::collections::BTreeMap;

use assay_model::partition::{ObjectRef, Partition, PartitionVersion};
use assay_scan::discover::decide::{Seen, Told};
use assay_scan::discover::keys::{Key, MOST_PARTITIONS};
use assay_scan::error::{Place, ScanError};
use jiff::Timestamp;

use super::marks::{Mark, Marking};
use super::session::{Row, literal};
use super::shape::Relation;
use super::{AtWork, bounds};
use crate::table::cut::{Part, merged, share};
use crate::table::range::{KeyIs, Range};

/// Bytes of a block.
const BLOCK: u64 = 8192;
/// Pieces that the blocks of a range of the wanted size are marked in.
const PIECES: u64 = 8;
/// Memory of a marked piece, about; and the pieces that any task takes.
const PIECE_BYTES: u64 = 128;
const PIECES_LEAST: u64 = 500_000;
/// Groups that are asked for by their values at a time.
const AT_A_TIME: usize = 500;

/// The rows of one table with one value of the key.
struct Group {
    relation: usize,
    key: KeyIs,
    part: Part,
}

/// A partition that is being put together.
struct Gathered {
    key: Key,
    whole: Part,
    objects: Vec<ObjectRef>,
}

fn cell(row: &Row, at: usize) -> Option<&str> {
    row.get(at).and_then(Option::as_deref)
}

impl AtWork<'_> {
    /// Every partition, in the order of the keys.
    pub(super) fn partitions(&mut self, now: Timestamp) -> Result<Vec<Seen>, ScanError> {
        let kept = "SELECT current_setting('track_commit_timestamp', true)";
        let kept = self.session.rows(kept)?;
        let kept = kept.first().and_then(|row| cell(row, 0)) == Some("on");
        let marking = self.marking.clone().with_commit_times(kept);
        let mut listing = AtWork {
            session: self.session,
            marking: &marking,
            ..*self
        };
        listing.listed(now)
    }

    fn listed(&mut self, now: Timestamp) -> Result<Vec<Seen>, ScanError> {
        let mut found: BTreeMap<(String, String), Gathered> = BTreeMap::new();
        // The key of each relation that is a partition itself.
        let own: Vec<Option<Key>> = match self.key {
            None => self.whole_keys()?.into_iter().map(Some).collect(),
            Some(_) => vec![None; self.shape.relations.len()],
        };
        for (at, own) in own.iter().enumerate() {
            self.context.check(self.address)?;
            let groups = self.groups(at)?;
            let rows: u64 = groups.iter().map(|group| group.part.mark.rows).sum();
            let ranges = self.ranges(&groups, rows)?;
            for (group, objects) in groups.into_iter().zip(ranges) {
                let key = match (self.key, &group.key, own) {
                    (_, _, Some(own)) => own.clone(),
                    (Some(column), KeyIs::Text(text), None) => column.key(Some(text))?,
                    (Some(column), _, None) => column.key(None)?,
                    // A relation without a key column is a partition itself.
                    (None, _, None) => continue,
                };
                if self.key.is_none() && self.is_yet_to_come(&key, &group.part.mark, now) {
                    continue;
                }
                let place = (key.partition.order.clone(), key.partition.key.0.clone());
                let gathered = found.entry(place).or_insert_with(|| Gathered {
                    key,
                    whole: Part::default(),
                    objects: Vec::new(),
                });
                gathered.whole.mark.add(&group.part.mark);
                gathered.whole.modified = gathered.whole.modified.max(group.part.modified);
                gathered.objects.extend(objects);
            }
            if found.len() > MOST_PARTITIONS {
                return Err(too_many(self.address));
            }
        }
        Ok(found.into_values().map(|one| self.seen(one)).collect())
    }

    /// The key of each table where no column tells the partitions apart.
    fn whole_keys(&self) -> Result<Vec<Key>, ScanError> {
        if self.shape.divided
            && !matches!(
                self.dataset.partitions.layout,
                assay_model::dataset::Layout::Single
            )
        {
            return bounds::keys(self.dataset, &self.shape.relations);
        }
        let all = Key {
            values: Vec::new(),
            partition: Partition::all(),
            span: None,
        };
        Ok(vec![all; self.shape.relations.len()])
    }

    /// Whether this is a part that was made for rows that are to come, or for those that fit
    /// nowhere else, and has none.
    fn is_yet_to_come(&self, key: &Key, mark: &Mark, now: Timestamp) -> bool {
        let begins = key.partition.start;
        let waits =
            begins.is_some_and(|start| start > now) || key.partition.key.as_str() == "default";
        mark.rows == 0 && self.shape.divided && waits
    }

    fn seen(&self, gathered: Gathered) -> Seen {
        let Gathered {
            key,
            whole,
            objects,
        } = gathered;
        Seen {
            told: Some(Told {
                version: PartitionVersion::of_mark(&whole.mark.text(self.shape.signature)),
                modified: whole.modified,
            }),
            key,
            objects,
            marked: false,
        }
    }

    /// The groups of one table. A table that no column divides is one group, even without rows.
    fn groups(&mut self, at: usize) -> Result<Vec<Group>, ScanError> {
        let relation = &self.shape.relations[at];
        let (group, by) = match self.key {
            Some(key) => (key.expression(), " GROUP BY 1"),
            None => ("NULL::text".to_owned(), ""),
        };
        let statement = format!(
            "SELECT {group}, {}, {} FROM {}{by}",
            self.marking.aggregates(),
            self.marking.modified(),
            from(relation),
        );
        let (marking, keyed, address) = (self.marking, self.key.is_some(), self.address);
        let mut groups = Vec::new();
        let mut left = self.context.memory_bytes;
        self.session.each_row(&statement, |row| {
            let key = match cell(&row, 0) {
                _ if !keyed => KeyIs::Any,
                None => KeyIs::Null,
                Some(text) => KeyIs::Text(text.to_owned()),
            };
            let bytes = cell(&row, 0).map_or(0, str::len) as u64;
            let part = read_part(marking, &row, 1).ok_or_else(|| unread(address))?;
            groups.push(Group {
                relation: at,
                key,
                part,
            });
            match left.checked_sub(bytes) {
                Some(more) if groups.len() <= MOST_PARTITIONS => left = more,
                _ => return Err(too_many(address)),
            }
            Ok(())
        })?;
        groups.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(groups)
    }

    /// The ranges of each group: one, or several of a group that is larger than wanted.
    fn ranges(&mut self, groups: &[Group], rows: u64) -> Result<Vec<Vec<ObjectRef>>, ScanError> {
        let target = self.dataset.scan.target_bytes.max(BLOCK);
        let Some(first) = groups.first() else {
            return Ok(Vec::new());
        };
        let relation = &self.shape.relations[first.relation];
        let share = |of: u64| share(relation.bytes, of, rows);
        let is_large = |group: &Group| {
            relation.blocks && self.marking.adds_up() && share(group.part.mark.rows) > target
        };
        let large: Vec<usize> = (0..groups.len())
            .filter(|at| is_large(&groups[*at]))
            .collect();
        let mut cut: BTreeMap<KeyIs, Vec<(u64, Part)>> = BTreeMap::new();
        for some in large.chunks(AT_A_TIME) {
            let keys: Vec<&KeyIs> = some.iter().map(|at| &groups[*at].key).collect();
            self.pieces(relation, &keys, target, &mut cut)?;
        }
        let table = relation.quoted();
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
                modified: part.modified.unwrap_or(Timestamp::UNIX_EPOCH),
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

    /// Marks the blocks of large groups, some at a time.
    fn pieces(
        &mut self,
        relation: &Relation,
        keys: &[&KeyIs],
        target: u64,
        into: &mut BTreeMap<KeyIs, Vec<(u64, Part)>>,
    ) -> Result<(), ScanError> {
        let step = (target / BLOCK / PIECES).max(1);
        let (group, condition) = match self.key {
            None => ("NULL::text".to_owned(), "true".to_owned()),
            Some(key) => {
                let all: Vec<String> = keys.iter().map(|is| key.condition(is)).collect();
                (key.expression(), format!("({})", all.join(" OR ")))
            }
        };
        let statement = format!(
            "SELECT {group}, (t.ctid::text::point)[0]::int8 / {step}, {}, {} FROM {} \
             WHERE {condition} GROUP BY 1, 2 ORDER BY 2",
            self.marking.aggregates(),
            self.marking.modified(),
            from(relation),
        );
        let (marking, keyed, address) = (self.marking, self.key.is_some(), self.address);
        let most = (self.context.memory_bytes / PIECE_BYTES).max(PIECES_LEAST);
        let mut pieces: u64 = into.values().map(|some| some.len() as u64).sum();
        self.session.each_row(&statement, |row| {
            let key = match cell(&row, 0) {
                _ if !keyed => KeyIs::Any,
                None => KeyIs::Null,
                Some(text) => KeyIs::Text(text.to_owned()),
            };
            let piece = cell(&row, 1).and_then(|text| text.parse::<u64>().ok());
            let block = piece.and_then(|piece| piece.checked_mul(step));
            let part = read_part(marking, &row, 2);
            let (block, part) = block.zip(part).ok_or_else(|| unread(address))?;
            into.entry(key).or_default().push((block, part));
            pieces += 1;
            if pieces > most {
                return Err(scattered(address, most));
            }
            Ok(())
        })
    }
}

fn unread(address: &str) -> ScanError {
    ScanError::corrupt(address, Place::file(), "its marks are no numbers")
}

fn too_many(address: &str) -> ScanError {
    ScanError::Definition {
        path: address.to_owned(),
        place: Place::file(),
        what: format!("the key column has more than {MOST_PARTITIONS} values, or very long ones"),
        remedy: "cut times by a `granularity`, or name another column".to_owned(),
    }
}

fn scattered(address: &str, most: u64) -> ScanError {
    ScanError::Definition {
        path: address.to_owned(),
        place: Place::file(),
        what: format!("the rows of its keys lie scattered over more than {most} pieces"),
        remedy: "raise `targetBytes` under assayScan, or order the table by its key (CLUSTER)"
            .to_owned(),
    }
}

/// A table for a statement, without the tables that inherit from it where it holds rows itself.
pub(super) fn from(relation: &Relation) -> String {
    let only = if relation.blocks { "ONLY " } else { "" };
    format!("{only}{} AS t", relation.quoted())
}

fn read_part(marking: &Marking, row: &Row, at: usize) -> Option<Part> {
    let mark = marking.read(cell(row, at), cell(row, at + 1))?;
    let seconds: Option<f64> = cell(row, at + 2).and_then(|text| text.parse().ok());
    let micros = seconds.map(|seconds| (seconds * 1e6).round() as i64);
    let modified = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    Some(Part { mark, modified })
}

/// The condition of a range's blocks.
pub(super) fn blocks(range: &Range) -> String {
    match range.blocks {
        None => "true".to_owned(),
        Some((first, None)) => format!("t.ctid >= {}::tid", literal(&format!("({first},0)"))),
        Some((first, Some(last))) => format!(
            "t.ctid >= {}::tid AND t.ctid < {}::tid",
            literal(&format!("({first},0)")),
            literal(&format!("({last},0)"))
        ),
    }
}
