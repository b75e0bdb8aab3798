//! Rows of a partition in pieces of about the wanted size.
//!
//! In: marked pieces of a table, in their order. Out: ranges that cover every row once, whatever the
//! database cuts a table by. Pure.

use jiff::Timestamp;

use super::marks::Mark;

/// Some rows of one table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    pub(crate) mark: Mark,
    pub(crate) modified: Option<Timestamp>,
}

/// What so many of a table's rows take of its bytes.
pub(crate) fn share(bytes: u64, of: u64, rows: u64) -> u64 {
    let share = u128::from(bytes) * u128::from(of) / u128::from(rows.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Pieces put together to ranges of about the wanted size that cover every block.
pub(crate) fn merged(
    pieces: &[(u64, Part)],
    target: u64,
    share: impl Fn(u64) -> u64,
) -> Vec<(u64, Option<u64>, Part)> {
    let mut ranges: Vec<(u64, Option<u64>, Part)> = Vec::new();
    for (block, piece) in pieces {
        match ranges.last_mut() {
            Some((_, _, part)) if share(part.mark.rows + piece.mark.rows) <= target => {
                part.mark.add(&piece.mark);
                part.modified = part.modified.max(piece.modified);
            }
            last => {
                let first = match last {
                    None => 0,
                    Some((_, end, _)) => {
                        *end = Some(*block);
                        *block
                    }
                };
                ranges.push((first, None, piece.clone()));
            }
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_block_once() {
        let part = |rows| Part {
            mark: Mark::of_rows(rows),
            modified: None,
        };
        let pieces = [(0, part(4)), (8, part(4)), (16, part(9)), (40, part(1))];
        let ranges = merged(&pieces, 10, |rows| rows);
        let spans: Vec<_> = ranges
            .iter()
            .map(|(a, b, p)| (*a, *b, p.mark.rows))
            .collect();
        assert_eq!(spans, [(0, Some(16), 8), (16, None, 10)]);
    }
}
