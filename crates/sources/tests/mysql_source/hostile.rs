//! Servers that speak as MySQL does until they do not: each ends in an error, soon and in bounds.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use assay_model::dataset::Layout;
use assay_scan::{ErrorClass, ScanError};

use super::table::{Home, trusted};
use crate::common::{context, list, measure};

/// What is said in place of an answer, again and again, with the number of the next packet.
type Say = fn(&mut TcpStream, u32) -> std::io::Result<()>;

/// A server on loopback that passes on to the real one until a statement has `needle` in it.
fn liar(upstream: u16, needle: &'static str, say: Say) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || pass(client, upstream, needle, say));
        }
    });
    port
}

fn pass(mut client: TcpStream, upstream: u16, needle: &str, say: Say) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream))?;
    let (mut back, mut to) = (server.try_clone()?, client.try_clone()?);
    let answers = std::thread::spawn(move || std::io::copy(&mut back, &mut to));
    let mut bytes = vec![0; 64 << 10];
    loop {
        let length = client.read(&mut bytes)?;
        let said = &bytes[..length];
        if length > 0 && said.windows(needle.len()).any(|w| w == needle.as_bytes()) {
            server.shutdown(std::net::Shutdown::Both)?;
            let _ = answers.join();
            let mut number = 0;
            loop {
                say(&mut client, number)?;
                number += 1;
            }
        }
        if length == 0 {
            return server.shutdown(std::net::Shutdown::Both);
        }
        server.write_all(said)?;
    }
}

/// A packet; the first answer to a command has the number 1.
fn packet(number: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = body.len().to_le_bytes()[..3].to_vec();
    bytes.push(number as u8);
    bytes.extend_from_slice(body);
    bytes
}

fn filled() -> Home {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (id int, v varchar(20)); \
         INSERT INTO t SELECT seq, CONCAT('v', seq) FROM seq_1_to_2000",
    );
    home
}

/// What the listing, and the measurement of an honest listing, come to.
fn ends(needle: &'static str, say: Say) -> ScanError {
    let mut home = filled();
    let mut dataset = home.dataset();
    dataset.partitions.layout = Layout::Column {
        column: "id".to_owned(),
        granularity: None,
    };
    dataset.run.timeout_s = 20;
    let honest = list(&dataset, &trusted()).unwrap();
    home.database.port = liar(home.database.port, needle, say);
    dataset.source.location = home.dataset().source.location;
    match list(&dataset, &trusted()) {
        Err(error) => error,
        Ok(_) => measure(&dataset, &honest, &trusted()).unwrap_err(),
    }
}

/// The description of a column of this kind.
fn column(kind: u8) -> Vec<u8> {
    let mut body = vec![0; 6];
    body.extend_from_slice(&[0x0c, 63, 0, 0, 1, 0, 0, kind, 0, 0, 0, 0, 0]);
    body
}

/// A prepared statement of one column, executed, whose rows are these.
fn rows(to: &mut TcpStream, number: u32, kind: u8, row: &[u8]) -> std::io::Result<()> {
    if number == 0 {
        to.write_all(&packet(1, &[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]))?;
        to.write_all(&packet(2, &column(kind)))?;
        to.write_all(&packet(3, &[0xfe, 0, 0, 0, 0]))?;
        // The command that has it executed.
        let mut heard = [0; 64];
        let _ = to.read(&mut heard)?;
        to.write_all(&packet(1, &[1]))?;
        to.write_all(&packet(2, &column(kind)))?;
        to.write_all(&packet(3, &[0xfe, 0, 0, 0, 0]))?;
    }
    to.write_all(&packet(4 + number, row))
}

#[test]
fn packets_that_no_server_sends_are_errors() {
    let begun = Instant::now();
    let cases: [(&'static str, Say, &str); 8] = [
        (
            "START TRANS",
            |to, n| to.write_all(&packet(1 + n, &[0xfb, b'/', b'e'])),
            "does not speak",
        ),
        (
            "TABLE_TYPE",
            |to, n| to.write_all(&packet(1 + n, &[])),
            "does not speak as MySQL",
        ),
        (
            "TABLE_TYPE",
            |to, n| to.write_all(&packet(9 + n, &[0])),
            "out of their order",
        ),
        (
            "TABLE_TYPE",
            |to, _| to.write_all(b"\xff\xff\xff\x01"),
            "bytes, more than",
        ),
        (
            "TABLE_TYPE",
            |to, n| to.write_all(&packet(1 + n, &[0, 1, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0])),
            "a column that it does not describe",
        ),
        (
            // A file of this machine in place of rows.
            "TABLE_TYPE",
            |to, n| {
                if n == 0 {
                    to.write_all(&packet(1, &[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]))?;
                    to.write_all(&packet(2, &column(8)))?;
                    to.write_all(&packet(3, &[0xfe, 0, 0, 0, 0]))?;
                    let _ = to.read(&mut [0; 64])?;
                }
                to.write_all(&packet(1 + n, b"\xfb/etc/passwd"))
            },
            "a file of this machine",
        ),
        (
            "GROUP BY 1",
            |to, n| rows(to, n, 8, &[0, 0, 1]),
            "does not have the values",
        ),
        (
            "GROUP BY 1",
            |to, n| rows(to, n, 77, &[0, 0, 1]),
            "does not have the values",
        ),
    ];
    for (needle, say, said) in cases {
        let told = ends(needle, say);
        assert_eq!(told.class(), ErrorClass::Permanent, "{told}");
        assert!(told.to_string().contains(said), "{needle}: {told}");
    }
    assert!(begun.elapsed() < Duration::from_secs(120));
}

#[test]
fn rows_without_an_end_are_given_up() {
    let endless: Say = |to, n| rows(to, n, 253, b"\0\0\x01x");
    let told = ends("TABLE_TYPE", endless).to_string();
    assert!(told.contains("an answer without an end"), "{told}");
    let groups: Say = |to, n| {
        let text = n.to_string();
        rows(
            to,
            n,
            253,
            &[&[0, 0, text.len() as u8], text.as_bytes()].concat(),
        )
    };
    let told = ends("GROUP BY 1", groups).to_string();
    assert!(told.contains("more than 100000 values"), "{told}");
    // Values of the column that nobody can hold, one packet after the other.
    let long: Say = |to, n| {
        let mut bytes = vec![0; 0xff_ff_ff];
        bytes[2] = 0xfe;
        rows(to, n, 253, &bytes)
    };
    let told = ends("FROM `", long).to_string();
    assert!(told.contains("bytes, more than"), "{told}");
}

#[test]
fn a_stopped_task_does_not_wait_for_a_server_that_trickles() {
    let mut home = filled();
    let trickle: Say = |to, n| {
        std::thread::sleep(Duration::from_millis(5));
        rows(to, n, 253, b"\0\0\x01x")
    };
    home.database.port = liar(home.database.port, "TABLE_TYPE", trickle);
    let dataset = home.dataset();
    let context = trusted();
    let stop = context.cancelled.clone();
    let asked = std::thread::spawn(move || list(&dataset, &context));
    std::thread::sleep(Duration::from_millis(500));
    let stopped = Instant::now();
    stop.store(true, Ordering::Relaxed);
    let told = asked.join().unwrap().unwrap_err();
    assert!(told.is_cancelled(), "{told}");
    assert!(stopped.elapsed() < Duration::from_secs(30));
}

/// What a login comes to with a server that greets so, and says this whatever it is told.
fn login(greets: Vec<u8>, says: impl Fn(u32, &[u8]) -> Vec<u8> + Send + 'static) -> ScanError {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut home = Home::new();
    home.database.port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(&greets);
            let (mut heard, mut number) = (vec![0; 4096], 2);
            while let Ok(length @ 1..) = client.read(&mut heard) {
                if client.write_all(&says(number, &heard[..length])).is_err() {
                    break;
                }
                number += 2;
            }
        }
    });
    list(&home.dataset(), &context("reader:hunter2")).unwrap_err()
}

fn greeting(way: &str) -> Vec<u8> {
    let mut body = b"\x0a8.4.0\0\x07\0\0\x0001234567\0".to_vec();
    body.extend_from_slice(&[0xfe, 0xf7, 45, 2, 0, 0xff, 0x81, 21]);
    body.extend_from_slice(&[0; 10]);
    body.extend_from_slice(b"89abcdefghij\0");
    body.extend_from_slice(way.as_bytes());
    body.push(0);
    packet(0, &body)
}

#[test]
fn a_server_learns_no_password_where_others_could_read_it() {
    let begun = Instant::now();
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let all = heard.clone();
    let note = move |bytes: &[u8]| all.lock().unwrap().extend_from_slice(bytes);
    // It asks for the password itself, in each of the ways there are.
    let ways: [(&str, &[u8]); 3] = [
        ("caching_sha2_password", b"\x01\x04"),
        ("mysql_native_password", b"\xfemysql_clear_password\0"),
        ("sha256_password", b"\xfesha256_password\0x"),
    ];
    for (way, asks) in ways {
        let (asks, note) = (asks.to_vec(), note.clone());
        let error = login(greeting(way), move |number, bytes| {
            note(bytes);
            packet(number, &asks)
        });
        let told = error.to_string();
        assert!(told.contains("others could read"), "{way}: {told}");
    }
    let error = login(greeting("mysql_native_password"), |number, _| {
        packet(number, b"\xff\x15\x04#28000no hunter2 here")
    });
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let error = login(greeting("mysql_native_password"), |number, _| {
        packet(number, b"\xfeauth_gssapi_client\0x")
    });
    assert!(error.to_string().contains("auth_gssapi_client"), "{error}");
    let error = login(packet(0, b"\x0a5.0\0"), |_, _| Vec::new());
    assert!(error.to_string().contains("greets as no server"), "{error}");
    let error = login(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), |_, _| Vec::new());
    assert!(
        error.to_string().contains("does not speak as MySQL"),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(90));
    let heard = heard.lock().unwrap();
    assert!(!heard.windows(7).any(|part| part == b"hunter2"));
}

#[test]
fn the_way_of_mysql_8_is_answered_with_a_hash_and_goes_on_where_the_server_knows_it() {
    // Of the password `hunter2` and what the greeting has made up, by Python's hashlib.
    let hash = [
        0x5b, 0xfb, 0xc7, 0x37, 0x96, 0xcd, 0xaa, 0x80, 0xad, 0xfd, 0x00, 0xeb, 0x26, 0xe3, 0x32,
        0xac, 0x98, 0x61, 0x33, 0x32, 0x44, 0x58, 0x4e, 0x69, 0xde, 0xa5, 0x30, 0xbb, 0xf4, 0x41,
        0x4a, 0xbd,
    ];
    let error = login(greeting("caching_sha2_password"), move |number, heard| {
        let is_right = heard.windows(hash.len()).any(|part| part == hash);
        match (number, is_right) {
            (2, true) => [packet(2, &[1, 3]), packet(3, &[0, 0, 0, 2, 0, 0, 0])].concat(),
            (2, false) => packet(2, b"\xff\x15\x04#28000another hash"),
            _ => packet(1, b"\xff\x10\x04#42000this is what comes next"),
        }
    });
    let told = error.to_string();
    assert!(told.contains("this is what comes next (1040)"), "{told}");
    assert_eq!(error.class(), ErrorClass::Away);
}
