//! Failures on the way: what is tried again, what is told, and who asks.

use std::time::{Duration, Instant};

use assay_model::source::Bucket;
use assay_scan::error::{ErrorClass, ScanError};
use assay_scan::reach::{Access, Secret};
use assay_test_servers::ministack;

use crate::proxy::{Act, Proxy};
use crate::{MEMORY, access, bucket, list, open_at, place, read, source};

const SLOW_DOWN: &str = "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";

fn ministack() -> u16 {
    ministack::shared().port()
}

/// The first error of a listing.
fn refusal(bucket: &str, endpoint: &str) -> ScanError {
    let objects = open_at(bucket, "", endpoint);
    match objects {
        Err(error) => error,
        Ok(objects) => list(objects.as_ref()).1.remove(0),
    }
}

#[test]
fn what_passes_is_tried_again_within_a_bound() {
    let bucket = bucket();
    bucket.put("a.csv", b"hello");
    let proxy = Proxy::before(ministack(), |number, _| match number {
        0 | 1 => Act::Answer(503, SLOW_DOWN.to_owned()),
        2 => Act::Close,
        4 => Act::Answer(500, String::new()),
        _ => Act::Forward,
    });
    let objects = open_at(&bucket.name, "", &proxy.url()).unwrap();
    let (listed, _) = list(objects.as_ref());
    assert_eq!(proxy.requests(), 4);
    assert_eq!(read(objects.as_ref(), &listed[0]).unwrap(), b"hello");
    assert_eq!(proxy.requests(), 6);
}

#[test]
fn a_service_that_stays_away_is_told_so_and_not_taken_for_a_fault_of_the_data() {
    let bucket = bucket();
    let proxy = Proxy::before(ministack(), |_, _| Act::Answer(503, SLOW_DOWN.to_owned()));
    let error = refusal(&bucket.name, &proxy.url());
    assert_eq!(error.class(), ErrorClass::Away, "{error}");
    assert!(
        error
            .to_string()
            .contains("503 (SlowDown: Reduce your rate)"),
        "{error}"
    );
    assert_eq!(proxy.requests(), 6);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = refusal(&bucket.name, &format!("http://{nobody}"));
    assert_eq!(error.class(), ErrorClass::Away, "{error}");
}

#[test]
fn an_answer_that_does_not_come_is_given_up_and_asked_for_again() {
    let bucket = bucket();
    bucket.put("a.csv", b"hello");
    let proxy = Proxy::before(ministack(), |number, _| match number {
        0 => Act::Stall(Duration::from_secs(60)),
        _ => Act::Forward,
    });
    let objects = open_at(&bucket.name, "", &proxy.url()).unwrap();
    assert_eq!(list(objects.as_ref()).0.len(), 1);
    assert_eq!(proxy.requests(), 2);
}

#[test]
fn bytes_that_break_off_are_asked_for_again_and_then_the_service_counts_as_away() {
    let bucket = bucket();
    bucket.put("a.csv", &[b'x'; 10_000]);
    let proxy = Proxy::before(ministack(), |number, _| match number {
        1 => Act::Cut,
        _ => Act::Forward,
    });
    let objects = open_at(&bucket.name, "", &proxy.url()).unwrap();
    let (listed, _) = list(objects.as_ref());
    assert_eq!(read(objects.as_ref(), &listed[0]).unwrap().len(), 10_000);
    assert_eq!(proxy.requests(), 3);
    for listing in [false, true] {
        let proxy = Proxy::before(ministack(), move |number, _| match number {
            0 if !listing => Act::Forward,
            _ => Act::Cut,
        });
        let begun = Instant::now();
        let error = match open_at(&bucket.name, "", &proxy.url()) {
            Err(error) => error,
            Ok(objects) => match list(objects.as_ref()) {
                (listed, refused) if refused.is_empty() => {
                    read(objects.as_ref(), &listed[0]).unwrap_err()
                }
                (_, mut refused) => refused.remove(0),
            },
        };
        assert_eq!(error.class(), ErrorClass::Away, "{error}");
        assert!(proxy.requests() > 2, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(120));
    }
}

#[test]
fn an_answer_without_an_end_is_given_up() {
    let page = "<?xml version=\"1.0\"?><ListBucketResult><Name>trips</Name>";
    let piece = "<Contents><Key>a</Key></Contents>".repeat(2000);
    let proxy = Proxy::before(ministack(), move |_, _| Act::Endless(page, piece.clone()));
    let error = refusal("trips", &proxy.url());
    assert_eq!(error.class(), ErrorClass::Permanent, "{error}");
    assert!(
        error.to_string().contains("more than was asked for"),
        "{error}"
    );
}

#[test]
fn a_stopped_task_does_not_wait_for_a_bucket() {
    let proxy = Proxy::before(ministack(), |_, _| Act::Stall(Duration::from_secs(60)));
    let source = source(place("trips", "", &proxy.url()));
    let context = assay_scan::ScanContext::default();
    let stop = context.cancelled.clone();
    let objects = assay_sources::reach(access())
        .objects_for(&source, &context)
        .unwrap();
    let begun = Instant::now();
    let asked = std::thread::spawn(move || list(objects.as_ref()).1.remove(0));
    std::thread::sleep(Duration::from_millis(300));
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = asked.join().unwrap();
    assert!(error.is_cancelled(), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_listing_that_only_goes_on_has_an_end() {
    let page = |number: usize| {
        format!(
            "<?xml version=\"1.0\"?><ListBucketResult><Name>trips</Name><IsTruncated>true</IsTruncated>\
             <NextContinuationToken>t{number}</NextContinuationToken></ListBucketResult>"
        )
    };
    let proxy = Proxy::before(ministack(), move |number, _| Act::Answer(200, page(number)));
    let error = refusal("trips", &proxy.url());
    assert!(
        error
            .to_string()
            .contains("pages of its listing in a row are empty"),
        "{error}"
    );
}

#[test]
fn a_permanent_refusal_names_the_bucket_the_action_and_what_to_grant() {
    let bucket = bucket();
    bucket.put("in/a.csv", b"hello");
    let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let proxy = Proxy::before(ministack(), |number, _| match number {
        1 => Act::Forward,
        _ => Act::Answer(403, denied.to_owned()),
    });
    let error = refusal(&bucket.name, &proxy.url());
    assert_eq!(error.class(), ErrorClass::Permanent);
    let name = &bucket.name;
    assert_eq!(
        error.to_string(),
        format!(
            "s3://{name}/: the given key may not list s3://{name} there (AccessDenied: Access \
             Denied); grant it s3:ListBucket on arn:aws:s3:::{name}, for the prefix *"
        )
    );
    let objects = open_at(name, "in/", &proxy.url()).unwrap();
    let (listed, _) = list(objects.as_ref());
    let error = read(objects.as_ref(), &listed[0]).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permanent);
    let text = error.to_string();
    let wanted = format!("grant it s3:GetObject on arn:aws:s3:::{name}/in*");
    assert!(
        text.contains(&wanted) && text.contains("in/a.csv"),
        "{text}"
    );
}

#[test]
fn a_wrong_bucket_and_a_wrong_region_are_named() {
    let url = ministack::shared().url();
    let error = refusal("no-such-bucket-here", &url);
    assert_eq!(error.class(), ErrorClass::Permanent);
    let text = error.to_string();
    assert!(
        text.contains("there is no bucket s3://no-such-bucket-here"),
        "{text}"
    );
    let moved = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message>\
                 <Region>eu-central-1</Region></Error>";
    let proxy = Proxy::before(ministack(), move |_, _| Act::Answer(400, moved.to_owned()));
    let text = refusal("trips", &proxy.url()).to_string();
    assert!(text.contains("`region: eu-central-1`"), "{text}");
}

#[test]
fn no_error_shows_a_secret() {
    let secrets = ["AKIACANARY0001", "canary-secret", "canary-token"];
    let given = format!("{}:{}:{}", secrets[0], secrets[1], secrets[2]);
    let answers = [
        (
            403,
            "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>",
        ),
        (
            403,
            "<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>",
        ),
        (
            400,
            "<Error><Code>ExpiredToken</Code><Message>no</Message></Error>",
        ),
        (200, "no XML"),
        (503, ""),
    ];
    for (status, body) in answers {
        let proxy = Proxy::before(ministack(), move |_, _| {
            Act::Answer(status, body.to_owned())
        });
        let access = Access {
            secrets: [("env:KEY".to_owned(), Secret::new(given.clone()))].into(),
            ..Access::default()
        };
        let reach = assay_sources::reach(access);
        let wanted = source(place("trips", "", &proxy.url()));
        let objects = reach.objects(&wanted, MEMORY).unwrap();
        let error = list(objects.as_ref()).1.remove(0);
        let told = format!("{error} {error:?} {reach:?} {objects:?}");
        for secret in secrets {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

fn with_role(endpoint: &str, bucket: &str) -> Bucket {
    Bucket {
        role: Some("arn:aws:iam::123456789012:role/reads".to_owned()),
        external_id: Some("assay-7".to_owned()),
        ..place(bucket, "yellow/2024/", endpoint)
    }
}

#[test]
fn a_role_is_taken_on_for_its_prefix_and_asked_with() {
    let bucket = bucket();
    bucket.put("yellow/2024/a.csv", b"hello");
    let answer = "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
                  <AccessKeyId>ASIATAKEN</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                  <SessionToken>token-of-session</SessionToken>\
                  <Expiration>2099-01-01T00:00:00Z</Expiration>\
                  </Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let proxy = Proxy::before(ministack(), move |number, request| match number {
        0 => Act::Answer(503, SLOW_DOWN.to_owned()),
        _ if request.starts_with("POST / ") => Act::Answer(200, answer.to_owned()),
        _ => Act::Forward,
    });
    let wanted = source(with_role(&proxy.url(), &bucket.name));
    let objects = assay_sources::reach(access())
        .objects(&wanted, MEMORY)
        .unwrap();
    let (listed, _) = list(objects.as_ref());
    assert_eq!(read(objects.as_ref(), &listed[0]).unwrap(), b"hello");
    let seen = proxy.seen();
    let (asked, used): (Vec<_>, Vec<_>) = seen.iter().partition(|r| r.starts_with("POST / "));
    assert_eq!(
        asked.len(),
        2,
        "asked again after the refusal, and then held"
    );
    let body = asked[1].split_once("\r\n\r\n").unwrap().1;
    for part in [
        "Action=AssumeRole",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Freads",
        "ExternalId=assay-7",
        "yellow%2F2024%2F%2A",
    ] {
        assert!(body.contains(part), "{part} {body}");
    }
    assert!(asked[1].contains("Credential=test/"));
    assert!(used.len() >= 2);
    for request in used {
        assert!(request.contains("Credential=ASIATAKEN/"), "{request}");
        assert!(
            request.contains("x-amz-security-token: token-of-session"),
            "{request}"
        );
    }
}

#[test]
fn a_role_that_does_not_trust_the_caller_is_a_permanent_refusal() {
    let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message>\
                  </Error></ErrorResponse>";
    let proxy = Proxy::before(ministack(), move |_, _| Act::Answer(403, denied.to_owned()));
    let wanted = source(with_role(&proxy.url(), "trips"));
    let objects = assay_sources::reach(access())
        .objects(&wanted, MEMORY)
        .unwrap();
    let error = list(objects.as_ref()).1.remove(0);
    assert_eq!(error.class(), ErrorClass::Permanent, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("AccessDenied: not you") && text.contains("external id"),
        "{text}"
    );
    assert_eq!(proxy.requests(), 1);
}
