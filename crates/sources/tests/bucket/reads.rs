//! Reads, pinned to what was listed.

use assay_scan::error::ErrorClass;
use assay_test_servers::ministack;

use crate::proxy::{Act, Proxy};
use crate::{access, bucket, list, open, place, read, source};

fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(length);
    bytes
}

#[test]
fn an_object_that_is_replaced_or_deleted_in_mid_scan_has_changed() {
    let bucket = bucket();
    let old = bytes(3 << 20);
    for name in ["a", "b", "c"] {
        bucket.put(name, &old);
    }
    let objects = open(&bucket, "");
    let (listed, _) = list(objects.as_ref());
    let readers: Vec<_> = listed.iter().map(|o| objects.open(o).unwrap()).collect();
    let mut buffer = vec![0; 1000];
    for reader in &readers {
        reader.read_exact_at(0, &mut buffer).unwrap();
        assert_eq!(buffer, old[..1000]);
    }
    let mut new = old.clone();
    new[2 << 20] ^= 1;
    bucket.put("a", &new);
    bucket.delete("b");
    bucket.put("c", &old[..1 << 20]);
    for reader in &readers {
        let error = reader.read_exact_at(2 << 20, &mut buffer).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Changed, "{error}");
        assert!(error.to_string().contains(reader.path()), "{error}");
    }
    // The next listing shows the new versions, and they are read.
    let (again, _) = list(objects.as_ref());
    assert_eq!(again.len(), 2);
    assert_ne!(again[0].etag, listed[0].etag);
    assert_eq!(read(objects.as_ref(), &again[0]).unwrap(), new);
    let stale = read(objects.as_ref(), &listed[0]).unwrap_err();
    assert_eq!(stale.class(), ErrorClass::Changed, "{stale}");
}

#[test]
fn an_object_without_bytes_is_looked_at_for_whether_it_is_still_the_one() {
    let bucket = bucket();
    bucket.put("empty.csv", b"");
    let objects = open(&bucket, "");
    let (listed, _) = list(objects.as_ref());
    assert_eq!(read(objects.as_ref(), &listed[0]).unwrap(), b"");
    bucket.put("empty.csv", b"x");
    let error = read(objects.as_ref(), &listed[0]).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Changed, "{error}");
}

#[test]
fn reads_in_any_order_and_of_any_length_give_the_bytes_that_are_there() {
    let bucket = bucket();
    let all = bytes(5 * (1 << 20) + 17);
    bucket.put("a", &all);
    for memory in [0, 4 << 20, 64 << 20] {
        let wanted = source(place(&bucket.name, "a", &ministack::shared().url()));
        let objects = assay_sources::reach(access())
            .objects(&wanted, memory)
            .unwrap();
        let (listed, _) = list(objects.as_ref());
        let reader = objects.open(&listed[0]).unwrap();
        let check = |offset: usize, length: usize| {
            let mut buffer = vec![0; length];
            reader.read_exact_at(offset as u64, &mut buffer).unwrap();
            assert!(buffer == all[offset..offset + length], "{offset} {length}");
        };
        check(all.len() - 8, 8);
        check(all.len() - 4000, 3992);
        for block in 0..20 {
            check(block * (256 << 10), 256 << 10);
        }
        check(0, all.len());
        check(all.len(), 0);
        let mut seed = 7u64;
        for _ in 0..60 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let offset = usize::try_from(seed >> 33).unwrap() % all.len();
            let length = usize::try_from(seed >> 40).unwrap() % (all.len() - offset).min(400_000);
            check(offset, length);
        }
        let mut over = [0; 2];
        let error = reader
            .read_exact_at(all.len() as u64 - 1, &mut over)
            .unwrap_err();
        assert_eq!(error.class(), ErrorClass::Changed);
    }
}

#[test]
fn blocks_that_follow_one_another_cost_few_requests() {
    let bucket = bucket();
    let all = bytes(24 << 20);
    bucket.put("a", &all);
    let proxy = Proxy::before(ministack::shared().port(), |_, _| Act::Forward);
    let objects = crate::open_at(&bucket.name, "a", &proxy.url()).unwrap();
    let (listed, _) = list(objects.as_ref());
    let before = proxy.requests();
    let reader = objects.open(&listed[0]).unwrap();
    let mut buffer = vec![0; 256 << 10];
    for block in 0..96 {
        let at = block * buffer.len();
        reader.read_exact_at(at as u64, &mut buffer).unwrap();
        assert!(buffer[..] == all[at..at + buffer.len()]);
    }
    let made = proxy.requests() - before;
    assert!(made <= 10, "{made} requests for 96 blocks");
}
