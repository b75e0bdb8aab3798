//! Servers that speak as Postgres does until they do not: each ends in an error, soon and in bounds.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use assay_model::dataset::Layout;
use assay_scan::{ErrorClass, ScanError};

use super::table::{Home, context, list, measure, trusted};

/// What is said in place of an answer, again and again; `false` when nobody hears it.
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

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

fn filled() -> Home {
    let home = Home::new();
    home.sql("CREATE TABLE t (id int, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 2000) n");
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
    let honest = list(&dataset, &trusted()).unwrap();
    home.database.port = liar(home.database.port, needle, say);
    dataset.source.location = home.dataset().source.location;
    match list(&dataset, &trusted()) {
        Err(error) => error,
        Ok(_) => measure(&dataset, &honest, &trusted()).unwrap_err(),
    }
}

fn notices(to: &mut TcpStream, _: u32) -> std::io::Result<()> {
    to.write_all(&message(b'N', b"Mbusy\0\0").repeat(100))
}

#[test]
fn words_and_rows_without_an_end_are_given_up() {
    let begun = Instant::now();
    for needle in ["set_config", "pg_attribute", "GROUP BY 1", "COPY (SELECT"] {
        let told = ends(needle, notices).to_string();
        assert!(told.contains("words without an end"), "{needle}: {told}");
    }
    let rows: Say = |to, _| {
        let cell = |text: &str| [&[0, 0, 0, text.len() as u8], text.as_bytes()].concat();
        let row = [&[0, 7][..], &cell("1").repeat(7)].concat();
        to.write_all(&message(b'D', &row).repeat(100))
    };
    let told = ends("pg_attribute", rows).to_string();
    assert!(told.contains("an answer without an end"), "{told}");
    let groups: Say = |to, number| {
        let cell = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
        let key = number.to_string();
        let cells = [cell(&key), cell("1"), cell("5"), vec![255; 4]].concat();
        to.write_all(&message(b'D', &[&[0, 4][..], &cells].concat()))
    };
    let told = ends("GROUP BY 1", groups).to_string();
    assert!(told.contains("more than 100000 values"), "{told}");
    assert!(begun.elapsed() < Duration::from_secs(120));
}

#[test]
fn one_row_without_an_end_is_given_up() {
    let endless: Say = |to, number| {
        if number == 0 {
            let header = [b"PGCOPY\n\xff\r\n\0", &[0; 8][..]].concat();
            to.write_all(&message(b'd', &header))?;
            let row = [&2i16.to_be_bytes()[..], &i32::MAX.to_be_bytes()].concat();
            to.write_all(&message(b'd', &row))?;
        }
        to.write_all(&message(b'd', &[0; 60_000]))
    };
    let told = ends("COPY (SELECT", endless).to_string();
    assert!(
        told.contains("a row goes on beyond 16777216 bytes"),
        "{told}"
    );
    let long: Say = |to, _| to.write_all(b"d\x7f\xff\xff\xff");
    let told = ends("COPY (SELECT", long).to_string();
    assert!(told.contains("2147483647 bytes, more than"), "{told}");
}

#[test]
fn a_stopped_task_does_not_wait_for_a_server_that_trickles() {
    let mut home = filled();
    let trickle: Say = |to, _| {
        std::thread::sleep(Duration::from_millis(5));
        to.write_all(&message(b'N', b"Mbusy\0\0"))
    };
    home.database.port = liar(home.database.port, "pg_attribute", trickle);
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

/// What a login comes to with a server that says this, whatever it is told.
fn login(says: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> ScanError {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut home = Home::new();
    home.database.port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut heard = vec![0; 4096];
            while let Ok(length @ 1..) = client.read(&mut heard) {
                if client.write_all(&says(&heard[..length])).is_err() {
                    break;
                }
            }
        }
    });
    list(&home.dataset(), &context("reader:hunter2")).unwrap_err()
}

#[test]
fn a_server_that_cannot_prove_itself_learns_no_password_and_costs_no_time() {
    let scram = || message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let goes_on = |heard: &[u8], rest: &str| {
        let text = String::from_utf8_lossy(heard);
        let nonce = text.rsplit(",r=").next().unwrap();
        let body = [&b"\0\0\0\x0b"[..], format!("r={nonce}{rest}").as_bytes()].concat();
        message(b'R', &body)
    };
    let begun = Instant::now();
    let error = login(move |heard| {
        if heard.starts_with(b"p") {
            goes_on(heard, "x,s=c2FsdA==,i=4000000000")
        } else {
            scram()
        }
    });
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert!(error.to_string().contains("4000000000 rounds"), "{error}");
    let error = login(move |heard| match heard {
        [b'p', ..] => message(b'R', &[0, 0, 0, 3]),
        _ => scram(),
    });
    assert!(error.to_string().contains("out of order"), "{error}");
    let error = login(move |heard| match heard {
        [b'p', ..] => message(b'R', &[0, 0, 0, 0]),
        _ => scram(),
    });
    assert!(error.to_string().contains("has not shown"), "{error}");
    let error = login(|_| message(b'E', b"C28P01\0Mno hunter2 here\0\0"));
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}
