//! Listings.

use assay_scan::error::ScanError;

use crate::{bucket, list, open, read};

#[test]
fn odd_names_are_read_back_as_the_same_object_or_told_as_refused() {
    let bucket = bucket();
    let odd = [
        "plain.csv",
        "two  spaces.csv",
        "ends in space ",
        " begins with space",
        "über/straße.csv",
        "日本/データ.csv",
        "emoji-🚕.csv",
        "dt=2024-01-01/a.csv",
        "a#b.csv",
        "a%2Fb.csv",
        "a%b.csv",
        "a?b=c&d.csv",
        "a+b.csv",
        "a&amp;b.csv",
        "<a>\"b'.csv",
        "a\\b.csv",
        "...",
        "a..b",
        "~tilde*star.csv",
        "a:b@c!d$e,f;g=h(i)[j]{k}|l^m`n",
        "/begins-with-slash",
        "a//b.csv",
        "a/./b.csv",
        "a/../b.csv",
        "a/b/../../../c.csv",
    ];
    for name in odd {
        bucket.put(&format!("in/{name}"), name.as_bytes());
    }
    bucket.put("in/folder/", b"");
    bucket.put("in/", b"");
    bucket.put("outside.csv", b"no");
    bucket.put("inside-by-name-only.csv", b"no");
    let objects = open(&bucket, "in/");
    let (found, refused) = list(objects.as_ref());
    for object in &found {
        let bytes = read(objects.as_ref(), object).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), object.path);
        assert!(object.etag.is_some() && object.size == object.path.len() as u64);
    }
    for error in &refused {
        assert!(matches!(error, ScanError::Refused { .. }), "{error}");
    }
    let told: Vec<String> = refused.iter().map(ToString::to_string).collect();
    for name in odd {
        let is_found = found.iter().any(|object| object.path == name);
        let is_told = told
            .iter()
            .any(|text| text.contains(&format!("/in/{name}\"")));
        assert!(is_found != is_told, "{name}: {is_found} {is_told} {told:?}");
    }
    assert_eq!(found.len() + refused.len(), odd.len());
    assert_eq!(refused.len(), 5, "{told:?}");
    let names: Vec<&str> = found.iter().map(|object| object.path.as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn thousands_of_objects_come_page_by_page_in_the_order_of_their_names() {
    let bucket = bucket();
    for number in 0..2_345 {
        bucket.put(&format!("many/part-{number:05}"), b"x");
    }
    let objects = open(&bucket, "many");
    let names: Vec<String> = objects.list("").map(|item| item.unwrap().path).collect();
    let wanted: Vec<String> = (0..2_345)
        .map(|number| format!("part-{number:05}"))
        .collect();
    assert_eq!(names, wanted);
    assert_eq!(objects.list("").take(3).count(), 3, "it may be left early");
}

#[test]
fn a_location_is_one_object_a_prefix_or_a_pattern() {
    let bucket = bucket();
    for name in ["d/a.csv", "d/a.csv.bak", "d/sub/b.csv", "d2/c.csv"] {
        bucket.put(name, b"x");
    }
    let paths = |path: &str, below: &str| {
        let objects = open(&bucket, path);
        let listed = objects.list(below).map(|item| item.unwrap().path);
        listed.collect::<Vec<_>>()
    };
    assert_eq!(paths("d/a.csv", ""), ["a.csv"]);
    assert_eq!(open(&bucket, "d/a.csv").single(), Some("a.csv"));
    assert_eq!(paths("d", ""), ["a.csv", "a.csv.bak", "sub/b.csv"]);
    assert_eq!(paths("d/", "sub"), ["sub/b.csv"]);
    assert_eq!(paths("d/", "sub/"), ["sub/b.csv"]);
    let all = open(&bucket, "d/{x}.csv");
    assert_eq!(all.pattern(), Some("{x}.csv"));
    assert_eq!(all.root(), format!("s3://{}/d/", bucket.name));
    assert_eq!(paths("", "").len(), 4);
    assert_eq!(paths("nothing/here", ""), [""; 0]);
}
