//! Alterations of bytes that were good.

use proptest::prelude::*;
use proptest::sample::Index;

/// One alteration.
#[derive(Debug, Clone)]
pub enum Change {
    Nothing,
    /// Another byte.
    Byte(Index, u8),
    /// One bit.
    Bit(Index, u8),
    /// The rest is gone.
    Cut(Index),
    /// A piece is gone.
    Gone(Index, u8),
    /// A piece is there again, many times.
    Again(Index, u8, u8),
    /// Bytes that were not there.
    More(Index, Vec<u8>),
    /// The rest is that of another one.
    Grafted(Index, Index, Index),
}

/// Some alterations, one after the other.
pub fn changes() -> impl Strategy<Value = Vec<Change>> {
    let odd = prop::sample::select(vec![0_u8, 1, 2, 0x7F, 0x80, 0xFF, 0x0A, 0x12]);
    let one = prop_oneof![
        Just(Change::Nothing),
        (any::<Index>(), prop_oneof![odd, any::<u8>()])
            .prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, len)| Change::Gone(at, len)),
        (any::<Index>(), any::<u8>(), any::<u8>())
            .prop_map(|(at, len, n)| Change::Again(at, len, n)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..12))
            .prop_map(|(at, b)| Change::More(at, b)),
        (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(a, b, c)| Change::Grafted(a, b, c)),
    ];
    prop::collection::vec(one, 1..6)
}

/// The one at `which`, altered.
pub fn changed(all: &[Vec<u8>], which: usize, changes: &[Change]) -> Vec<u8> {
    let mut bytes = all[which].clone();
    for change in changes {
        apply(&mut bytes, all, change);
    }
    bytes
}

fn apply(bytes: &mut Vec<u8>, all: &[Vec<u8>], change: &Change) {
    if bytes.is_empty() {
        return;
    }
    let end = |at: usize, len: u8, all: usize| (at + usize::from(len) + 1).min(all);
    match change {
        Change::Nothing => {}
        Change::Byte(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Change::Bit(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Change::Gone(at, len) => {
            let at = at.index(bytes.len());
            bytes.drain(at..end(at, *len, bytes.len()));
        }
        Change::Again(at, len, times) => {
            let at = at.index(bytes.len());
            let piece = bytes[at..end(at, *len, bytes.len())].repeat(usize::from(*times));
            bytes.splice(at..at, piece);
        }
        Change::More(at, more) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, more.iter().copied());
        }
        Change::Grafted(at, other, from) => {
            let other = &all[other.index(all.len())];
            bytes.truncate(at.index(bytes.len()));
            bytes.extend(&other[from.index(other.len().max(1)).min(other.len())..]);
        }
    }
}
