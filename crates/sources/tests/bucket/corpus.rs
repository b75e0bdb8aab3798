//! Hostile places and options: each is refused with a reason, and nothing is connected to.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use assay_model::dataset::{Location, Source};
use assay_model::source::{Bucket, BucketStore, Database, DatabaseKind, VersionBy};
use assay_scan::error::ErrorClass;
use assay_scan::reach::{Access, Secret};
use assay_sources::policy::Policy;

use crate::{MEMORY, place, source};

/// A listener that counts who comes.
struct Trap {
    port: u16,
    met: Arc<AtomicUsize>,
}

impl Trap {
    fn set() -> Self {
        // Any address of the machine: every spelling of loopback leads here.
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let met: Arc<AtomicUsize> = Arc::default();
        let count = met.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, met }
    }
}

const PATHS: &[&str] = &[
    "",
    "/",
    "//",
    "..",
    ".",
    "../x",
    "yellow/..",
    "yellow/../green",
    "yellow/./x",
    "yellow//x",
    "/yellow",
    "yellow/\0",
    "yellow/\u{7f}",
    "yellow/a\nb",
    "yellow/%2e%2e/x",
    "yellow/%2E%2E/",
    "yellow/%2f..",
    "yellow/%252e%252e/x",
    "yellow/%00",
    "yellow/%5c..",
    "yellow\\..\\green",
    "yellow/\u{2024}\u{2024}/x",
    "yellow/\u{ff0e}\u{ff0e}/x",
    "yellow/\u{3002}\u{3002}/x",
    "yellow/\u{2025}/x",
    "yellow/\u{2215}x",
    "yellow/\u{ff0f}x",
    "yellow/\u{ff3c}x",
    "yellow/\u{fe52}x",
    "yellow/\u{2044}x",
    "yello",
    "yellow2/x",
    "Yellow/x",
    "green/x",
    "*",
    "{x}/yellow",
    "yello*/x",
    "[y]ellow/x",
    "?ellow/x",
    "green/../yellow/x",
    "yellow/\u{85}",
    " yellow/x",
    "yellow /x",
    "yellow/a\tb",
    "yellow/%0a",
    "yellow/x/../../green",
];

const HOSTS: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.0x1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fd00:ec2::254]",
    "169.254.169.254",
    "169.254.170.2",
    "[::ffff:169.254.169.254]",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "100.100.100.200",
    "metadata.google.internal",
    "10.0.0.1",
    "192.168.0.1",
    "172.16.0.1",
    "[fc00::1]",
    "user@127.0.0.1",
    "user:word@127.0.0.1",
    "allowed.example@127.0.0.1",
    "127.0.0.1\\@allowed.example",
    "127.0.0.1#@allowed.example",
    "127.0.0.1?x=allowed.example",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "127.0.0.1%00.allowed.example",
    "127.0.0.1 .allowed.example",
    "allowed.example.127.0.0.1",
    "127.0.0.1:80",
    "[127.0.0.1]",
    "",
    "-",
    "..",
    "a..b",
    "xn--",
    "localtest.me",
    "allowed.example%2f@127.0.0.1",
];

const SERVICES: &[&str] = &[
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1/",
    "//127.0.0.1/",
    "javascript:x",
    "HTTP://127.0.0.1/",
    "http:/127.0.0.1/",
    "http:127.0.0.1",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:+80/",
    "https://allowed.example/path",
    "https://allowed.example/?x=y",
    "https://allowed.example:444",
    "http://allowed.example",
    "https://allowed.example.",
    "https://not-allowed.example",
    "https://sub.allowed.example",
    "unix:///var/run/docker.sock",
    "",
];

/// Addresses of the machine, of its network, and where machines hand out their credentials.
const TARGETS: &[[u8; 4]] = &[
    [127, 0, 0, 1],
    [127, 0, 0, 53],
    [169, 254, 169, 254],
    [169, 254, 170, 2],
    [100, 100, 100, 200],
    [192, 0, 0, 192],
    [168, 63, 129, 16],
    [0, 0, 0, 0],
    [10, 0, 0, 1],
    [192, 168, 1, 1],
];

/// Those of them that nobody ever reaches.
fn is_never([a, b, ..]: [u8; 4]) -> bool {
    !matches!((a, b), (127, _) | (10, _) | (192, 168))
}

/// An address in every spelling that some program takes for it.
fn spellings([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let whole = u32::from_be_bytes([a, b, c, d]);
    let (high, low) = (whole >> 16, whole & 0xffff);
    let dotted = format!("{a}.{b}.{c}.{d}");
    let wide: String = dotted
        .chars()
        .map(|digit| char::from_u32(u32::from(digit) + 0xfee0).unwrap())
        .collect();
    vec![
        format!("{whole}"),
        format!("0{whole:o}"),
        format!("{whole:#x}"),
        format!("0X{whole:X}"),
        format!("{a}.{}", whole & 0xff_ffff),
        format!("{a}.{b}.{low}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("{a}.{b}.{c}.{d:#x}"),
        format!("0x{a:02x}.{}", whole & 0xff_ffff),
        format!("{dotted}."),
        format!("[::ffff:{dotted}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:04x}:{low:04x}]"),
        format!("[::{dotted}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[::ffff:{dotted}%25eth0]"),
        dotted.replace('.', "%2e"),
        dotted.replace('.', "\u{3002}"),
        dotted.replace('.', "\u{ff0e}"),
        wide,
        format!("user@{dotted}"),
        format!("allowed.example@{dotted}"),
        format!("{dotted}%00.allowed.example"),
        format!("{dotted}#.allowed.example"),
        format!("{dotted}\\.allowed.example"),
        format!(" {dotted}"),
        dotted,
    ]
}

fn endpoints(port: u16) -> Vec<String> {
    let spelt = HOSTS.iter().map(|host| format!("http://{host}:{port}"));
    let targets = TARGETS.iter().flat_map(|target| spellings(*target));
    let combined = targets.flat_map(|host| {
        [
            format!("http://{host}:{port}"),
            format!("https://{host}:{port}/"),
            format!("http://{host}"),
        ]
    });
    spelt
        .chain(combined)
        .chain(SERVICES.iter().map(|s| (*s).to_owned()))
        .collect()
}

const NAMES: &[&str] = &[
    "",
    "t",
    "TRIPS",
    "trips.",
    ".trips",
    "trips..x",
    "trips/x",
    "trips%2f",
    "trips\0",
    "127.0.0.1",
    "trips@x",
    "trips:80",
    "trips#",
    "trips?",
    "-trips",
    "trips-",
    "tr_ips",
    "trïps",
    "trips ",
    "other",
    "trips2",
    "arn:aws:s3:::trips",
];

const REGIONS: &[&str] = &[
    "",
    "eu-west-1.evil.example",
    "eu-west-1/",
    "x@127.0.0.1",
    "eu west",
    "EU-WEST-1",
    "a#",
    "a?",
    "127.0.0.1:80/",
    "../x",
    "\0",
    "eu-west-1\r\nhost: x",
];

const ROLES: &[&str] = &[
    "",
    "reads",
    "arn:aws:iam::1:role/x",
    "arn:aws:s3:::trips",
    "arn:aws:iam::123456789012:user/x",
    "arn:aws:iam::123456789012:role/",
    "arn:aws:iam::123456789012:role/a b",
    "arn:evil:iam::123456789012:role/x",
];

const EXTERNAL_IDS: &[&str] = &["", "x", "a b", "a&Action=GetUser", "a\n"];

const ACCOUNTS: &[&str] = &[
    "",
    "lake.evil.example",
    "lake/",
    "LAKE",
    "lake@127.0.0.1",
    "lake:80",
];

/// Every hostile location, for a node that may read `s3://trips/yellow/`.
fn locations(port: u16) -> Vec<Location> {
    let plain = || Bucket {
        endpoint: None,
        ..place("trips", "yellow/x", "")
    };
    let mut all: Vec<Bucket> = Vec::new();
    let mut with = |texts: &[&str], set: fn(&mut Bucket, String)| {
        all.extend(texts.iter().map(|text| {
            let mut bucket = plain();
            set(&mut bucket, (*text).to_owned());
            bucket
        }));
    };
    with(PATHS, |bucket, path| bucket.path = path);
    with(NAMES, |bucket, name| bucket.name = name);
    with(REGIONS, |bucket, region| bucket.region = Some(region));
    with(ROLES, |bucket, role| bucket.role = Some(role));
    with(EXTERNAL_IDS, |bucket, id| bucket.external_id = Some(id));
    with(ACCOUNTS, |bucket, account| bucket.account = Some(account));
    all.extend(endpoints(port).into_iter().map(|endpoint| Bucket {
        endpoint: Some(endpoint),
        ..plain()
    }));
    for store in [BucketStore::Gcs, BucketStore::Azure] {
        all.push(Bucket { store, ..plain() });
    }
    let databases = endpoints(port).into_iter().filter_map(|endpoint| {
        let host = endpoint.strip_prefix("http://")?;
        let host = host.strip_suffix(&format!(":{port}")).unwrap_or(host);
        Some(Location::Database(Database {
            kind: DatabaseKind::Postgres,
            host: host.to_owned(),
            port,
            database: "shop".to_owned(),
            schema: "public".to_owned(),
            table: "orders".to_owned(),
            version: VersionBy::default(),
        }))
    });
    all.into_iter()
        .map(Location::Bucket)
        .chain(databases)
        .collect()
}

fn cluster() -> Access {
    let places = [
        "s3://trips/yellow/",
        "s3://trips/yellow/ at https://allowed.example",
        "postgres://db.example:5432/shop",
    ];
    Access {
        secrets: [("env:KEY".to_owned(), Secret::new("test:test"))].into(),
        allowed: Some(places.iter().map(|place| (*place).to_owned()).collect()),
        ..Access::default()
    }
}

#[test]
fn every_hostile_place_is_refused_with_a_reason_and_nothing_is_connected_to() {
    let trap = Trap::set();
    let locations = locations(trap.port);
    assert!(locations.len() >= 1_500, "{}", locations.len());
    let policy = Policy::new(&cluster()).unwrap();
    let reach = assay_sources::reach(cluster());
    for location in &locations {
        let refused = policy.check(location);
        let error = refused
            .map(|_| format!("{location:?}"))
            .expect_err("leave was given");
        assert_eq!(error.class(), ErrorClass::Permanent);
        let text = error.to_string();
        let (_, reason) = text
            .split_once("refused: ")
            .unwrap_or_else(|| panic!("{text}"));
        assert!(reason.len() > 20 && reason.contains("; "), "{text}");
        if let Location::Bucket(bucket) = location {
            let wanted: Source = source(bucket.clone());
            assert!(reach.objects(&wanted, MEMORY).is_err(), "{location:?}");
        }
    }
    assert_eq!(trap.met.load(Ordering::SeqCst), 0);
}

#[test]
fn an_address_of_credentials_is_refused_to_everyone_in_every_spelling() {
    let user = Policy::new(&Access::default()).unwrap();
    let listed = Policy::new(&cluster()).unwrap();
    let never = TARGETS.iter().filter(|target| is_never(**target));
    for host in never.flat_map(|target| spellings(*target)) {
        for policy in [&user, &listed] {
            let found = policy.addresses(&host, 80);
            let told = found.err().unwrap_or_else(|| panic!("leave for {host}"));
            // Told by its spelling or its address: nothing that would have to be looked up.
            assert_eq!(told.class(), ErrorClass::Permanent, "{host}: {told}");
        }
    }
}

#[test]
fn addresses_of_credentials_are_refused_to_the_user_too() {
    let reach = assay_sources::reach(crate::access());
    for host in [
        "169.254.169.254",
        "169.254.170.2",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "2852039166",
        "0xa9fea9fe",
        "0.0.0.0",
    ] {
        let wanted = source(place("trips", "yellow/", &format!("http://{host}:80")));
        let error = match reach.objects(&wanted, MEMORY) {
            Err(error) => error,
            Ok(objects) => crate::list(objects.as_ref()).1.remove(0),
        };
        assert_eq!(error.class(), ErrorClass::Permanent, "{host}: {error}");
    }
}

#[test]
fn an_allowed_service_leads_nowhere_else() {
    let trap = Trap::set();
    let to = format!("http://127.0.0.1:{}/trips/", trap.port);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let _ = write!(
                connection,
                "HTTP/1.1 307 Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
        }
    });
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut access = cluster();
    if let Some(allowed) = &mut access.allowed {
        allowed.push(format!("s3://trips/yellow/ at {endpoint}"));
    }
    let wanted = source(place("trips", "yellow/", &endpoint));
    let objects = assay_sources::reach(access)
        .objects(&wanted, MEMORY)
        .unwrap();
    let error = crate::list(objects.as_ref()).1.remove(0);
    assert_eq!(error.class(), ErrorClass::Permanent, "{error}");
    assert_eq!(trap.met.load(Ordering::SeqCst), 0);
}
