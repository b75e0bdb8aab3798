//! Lists in parts.
//!
//! Comes in: a whole list and where a part of it begins. Goes out: the part, and what leads to the
//! next one. It must never leave items out without a cursor that leads to them.

use assay_answers::facts::Cut;
use assay_answers::{List, Problem};
use xxhash_rust::xxh3::xxh3_64;

use crate::problem::{BAD_CURSOR, BAD_PARAMETER};

/// Items of a part when nobody says how many.
const USUAL: u32 = 100;
/// The most items of a part.
pub(crate) const MOST: u32 = 1000;

/// The part of `items` that `cut` asks for. `name` tells items apart: a cursor is the digest of the
/// last item's name, so that what is added before it shifts nothing.
pub(crate) fn page<T>(
    items: Vec<T>,
    cut: &Cut,
    name: impl Fn(&T) -> String,
) -> Result<List<T>, Problem> {
    let limit = limit_of(cut)?;
    let total = items.len() as u64;
    let mark = |item: &T| format!("{:016x}", xxh3_64(name(item).as_bytes()));
    let start = match &cut.cursor {
        None => 0,
        Some(cursor) => {
            let at = items.iter().position(|item| mark(item) == *cursor);
            let why = "the item that it stood at is not in this list any more";
            at.ok_or_else(|| BAD_CURSOR.because(why))? + 1
        }
    };
    let more = items.len() > start + limit;
    let items: Vec<T> = items.into_iter().skip(start).take(limit).collect();
    let next_cursor = items.last().filter(|_| more).map(mark);
    Ok(List {
        items,
        next_cursor,
        total: Some(total),
    })
}

/// The same of items that are kept: only those of the part are copied.
pub(crate) fn page_of<'a, T: Clone + 'a>(
    items: impl IntoIterator<Item = &'a T>,
    cut: &Cut,
    name: impl Fn(&T) -> String,
) -> Result<List<T>, Problem> {
    let part = page(items.into_iter().collect(), cut, |item: &&T| name(item))?;
    Ok(List {
        items: part.items.into_iter().cloned().collect(),
        next_cursor: part.next_cursor,
        total: part.total,
    })
}

/// How many items a part may have.
pub(crate) fn limit_of(cut: &Cut) -> Result<usize, Problem> {
    match cut.limit.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit as usize),
        limit => Err(BAD_PARAMETER.because(format!("`limit` is {limit}: use 1 to {MOST}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_items_of_a_part_are_copied() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static COPIES: AtomicUsize = AtomicUsize::new(0);
        struct Item(u32);
        impl Clone for Item {
            fn clone(&self) -> Self {
                COPIES.fetch_add(1, Ordering::SeqCst);
                Self(self.0)
            }
        }
        let all: Vec<Item> = (0..1000).map(Item).collect();
        let name = |item: &Item| item.0.to_string();
        let mut cut = Cut {
            limit: Some(10),
            cursor: None,
        };
        cut.cursor = page_of(&all, &cut, name).unwrap().next_cursor;
        let part = page_of(&all, &cut, name).unwrap();
        let seen: Vec<u32> = part.items.iter().map(|item| item.0).collect();
        assert_eq!(seen, (10..20).collect::<Vec<_>>());
        assert_eq!(part.total, Some(1000));
        assert_eq!(COPIES.load(Ordering::SeqCst), 20);
    }

    #[test]
    fn parts_make_the_whole_and_a_lost_place_is_told() {
        let all: Vec<u32> = (0..25).collect();
        let mut cut = Cut {
            limit: Some(10),
            cursor: None,
        };
        let mut seen = Vec::new();
        loop {
            let part = page(all.clone(), &cut, ToString::to_string).unwrap();
            assert_eq!(part.total, Some(25));
            seen.extend(part.items);
            cut.cursor = part.next_cursor;
            if cut.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
        cut.cursor = Some("nowhere".to_owned());
        assert!(page(all.clone(), &cut, ToString::to_string).is_err());
        cut.limit = Some(0);
        assert!(limit_of(&cut).is_err());
    }
}
