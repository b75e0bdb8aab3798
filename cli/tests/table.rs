//! Data in a table, as an owner meets it: a first definition, verdicts, what the doctor finds, and a
//! password that is nowhere to be found afterwards.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use assay_test_servers::postgres::{Options, Postgres};
use common::{Place, Said};

/// The passwords: the right one, and one that is refused.
const MARKS: [&str; 2] = ["canary-7f3a-right", "canary-7f3a-wrong"];

/// A server that asks for the password of `reader`, with the table `orders`.
struct Shop {
    server: Postgres,
    url: String,
}

impl Shop {
    fn open() -> Self {
        let server = Postgres::start(Options::default());
        let url = server.create_database();
        let this = Self { server, url };
        this.sql(&format!(
            "CREATE TABLE orders (id int, price numeric); CREATE TABLE hidden (id int); \
             INSERT INTO orders SELECT n, n / 4.0 FROM generate_series(1, 500) n; \
             CREATE ROLE reader LOGIN PASSWORD '{}'; GRANT SELECT ON orders TO reader",
            MARKS[0]
        ));
        let rules = "host all reader 127.0.0.1/32 scram-sha-256@host all all 127.0.0.1/32 trust";
        let write = format!("COPY (SELECT '{rules}') TO PROGRAM 'tr @ \"\\n\" > pg_hba.conf'");
        this.sql(&write);
        this.sql("SELECT pg_reload_conf()");
        this
    }

    fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.url, statements)
    }

    fn address(&self, table: &str) -> String {
        let (_, place) = self.url.rsplit_once('@').unwrap();
        let place = place.split('?').next().unwrap();
        format!("postgres://{place}/public.{table}")
    }
}

/// Runs the program, which must show no password, whatever it says.
fn assay(place: &Place, args: &[&str]) -> Said {
    let mut command = place.command(args);
    for (name, mark) in ["SHOP_LOGIN", "SHOP_WRONG"].iter().zip(MARKS) {
        command.env(name, format!("reader:{mark}"));
    }
    let said = Said::of(&command.output().unwrap());
    assert!(!said.all().contains("canary"), "{}", said.all());
    said
}

fn init(place: &Place, shop: &Shop, table: &str, credential: &str, file: &str) -> Said {
    let address = shop.address(table);
    let args = [
        "dataset",
        "init",
        &address,
        "--credential",
        credential,
        "-f",
        file,
    ];
    assay(place, &args)
}

/// Files below a folder that hold one of the passwords, in whatever way they are written.
fn telling(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            telling(&path, found);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let holds = |mark: &str| {
            bytes
                .windows(mark.len())
                .any(|part| part == mark.as_bytes())
        };
        if MARKS.iter().any(|mark| holds(mark)) {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn the_doctor_looks_whether_a_table_is_there_and_may_be_read() {
    let (place, shop) = (Place::new(), Shop::open());
    let begun = Instant::now();
    // The rules hold a moment after they are reloaded.
    while init(&place, &shop, "orders", "env:SHOP_WRONG", "wrong.yaml").code == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::fs::remove_file(place.path("wrong.yaml")).unwrap();
    }
    place.write("assay.toml", "[registry]\ndir = \"registry\"\n");
    std::fs::create_dir(place.path("registry")).unwrap();
    init(
        &place,
        &shop,
        "orders",
        "env:SHOP_LOGIN",
        "registry/orders.yaml",
    )
    .ended(0);
    let good = assay(&place, &["doctor"]);
    assert!(good.all().contains("1 of 1 are there"), "{}", good.all());
    let text = std::fs::read_to_string(place.path("registry/orders.yaml")).unwrap();
    for (from, to, told) in [
        ("env:SHOP_LOGIN", "env:SHOP_WRONG", "28P01"),
        ("env:SHOP_LOGIN", "env:SHOP_UNSET", "SHOP_UNSET is not set"),
        ("orders", "nowhere", "there is no table"),
        ("orders", "hidden", "SELECT on the table"),
    ] {
        place.write("registry/orders.yaml", text.replace(from, to));
        let said = assay(&place, &["doctor"]);
        assert!(said.all().contains(told), "{to}: {}", said.all());
    }
}

#[test]
fn a_password_is_nowhere_after_runs_that_succeed_and_that_fail() {
    let (place, shop) = (Place::new(), Shop::open());
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("login");
    std::fs::write(&file, format!("reader:{}", MARKS[0])).unwrap();
    let by_file = format!("file:{}", file.display());
    for (credential, name) in [("env:SHOP_LOGIN", "a.yaml"), (&by_file, "b.yaml")] {
        init(&place, &shop, "orders", credential, name).ended(0);
        for output in ["text", "json"] {
            assay(&place, &["check", name, "-o", output]).ended(0);
        }
        assay(&place, &["dataset", "validate", name]).ended(0);
    }
    let text = std::fs::read_to_string(place.path("a.yaml")).unwrap();
    for (name, text) in [
        ("c.yaml", text.replace("env:SHOP_LOGIN", "env:SHOP_WRONG")),
        ("d.yaml", text.replace("orders", "hidden")),
    ] {
        place.write(name, text);
        for output in ["text", "json"] {
            let said = assay(&place, &["check", name, "-o", output]);
            assert_ne!(said.code, 0, "{}", said.all());
        }
    }
    for args in [
        &["run", "list", "-o", "json"][..],
        &["run", "list"],
        &["dataset", "list"],
    ] {
        assay(&place, args);
    }
    // A secret in the place of its name is not repeated either.
    place.write("e.yaml", text.replace("env:SHOP_LOGIN", MARKS[0]));
    for output in ["text", "json"] {
        let said = assay(&place, &["dataset", "validate", "e.yaml", "-o", output]);
        assert_ne!(said.code, 0, "{}", said.all());
    }
    std::fs::remove_file(place.path("e.yaml")).unwrap();
    let mut found = Vec::new();
    telling(&place.path("."), &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert!(place.path(".assay/assay.sqlite").exists());
}
