//! Sessions: how they log in, what they are refused, and that they leave nothing behind.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use assay_model::dataset::Credential;
use assay_scan::{ErrorClass, ScanError};
use assay_test_servers::pki::{Authority, Holds};
use assay_test_servers::postgres::{Options, Postgres};

use super::table::{Home, context, list, measure, trusted};

fn filled() -> Home {
    let home = Home::new();
    home.sql("CREATE TABLE t (id int, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 2000) n");
    home
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn at_work(home: &Home) -> String {
    home.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'assay source' \
         AND state <> 'idle' AND datname = current_database()",
    )
}

fn permanent(error: &ScanError, said: &str) {
    assert_eq!(error.class(), ErrorClass::Permanent, "{error}");
    let told = error.to_string();
    assert!(told.contains(said), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn what_is_not_there_is_refused_with_what_is_near() {
    let mut home = filled();
    home.database.table = "tt".to_owned();
    permanent(
        &list(&home.dataset(), &trusted()).unwrap_err(),
        "perhaps public.t is meant",
    );
    home.database.table = "t\"; DROP TABLE t; --".to_owned();
    permanent(
        &list(&home.dataset(), &trusted()).unwrap_err(),
        "there is no table",
    );
    home.database.table = "t".to_owned();
    home.database.database = "nowhere".to_owned();
    permanent(&list(&home.dataset(), &trusted()).unwrap_err(), "nowhere");
    assert_eq!(home.sql("SELECT count(*) FROM t"), "2000");
}

#[test]
fn nothing_is_read_without_a_secret_and_a_bad_one_is_not_shown() {
    let home = filled();
    let mut dataset = home.dataset();
    permanent(
        &list(&dataset, &context("hunter2")).unwrap_err(),
        "env:ASSAY_SOURCE_T",
    );
    dataset.source.credential = Some(Credential::Env("ASSAY_SOURCE_OTHER".to_owned()));
    permanent(
        &list(&dataset, &trusted()).unwrap_err(),
        "env:ASSAY_SOURCE_OTHER",
    );
    dataset.source.credential = None;
    permanent(&list(&dataset, &trusted()).unwrap_err(), "credentialRef");
}

/// Replaces the rules by which the server lets clients in.
fn let_in_by(server: &Postgres, url: &str, rules: &[&str]) {
    // A line break in a value would be written as two characters.
    let rules = rules.join("@");
    let write = format!("COPY (SELECT '{rules}') TO PROGRAM 'tr @ \"\\n\" > pg_hba.conf'");
    server.sql(url, &write);
    server.sql(url, "SELECT pg_reload_conf()");
}

#[test]
fn a_role_logs_in_by_password_and_may_only_read() {
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(Options::default())));
    let home = Home::at(server, server.create_database());
    home.sql(
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1); \
         SET password_encryption = 'scram-sha-256'; CREATE ROLE strong LOGIN PASSWORD 'p:w ä'; \
         SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'p:w'; \
         GRANT SELECT ON t TO strong, old; CREATE ROLE blind LOGIN PASSWORD 'x'",
    );
    let rules = [
        "host all strong 127.0.0.1/32 scram-sha-256",
        "host all old 127.0.0.1/32 md5",
        "host all blind 127.0.0.1/32 password",
        "host all postgres 127.0.0.1/32 trust",
    ];
    let_in_by(server, &home.url, &rules);
    let dataset = home.dataset();
    let listed = |secret: &str| list(&dataset, &context(secret));
    until("the rules hold", || listed("strong:hunter2").is_err());
    permanent(&listed("strong:hunter2").unwrap_err(), "28P01");
    permanent(&listed("old:hunter2").unwrap_err(), "28P01");
    permanent(&listed("nobody:hunter2").unwrap_err(), "env:ASSAY_SOURCE_T");
    permanent(&listed("blind:x").unwrap_err(), "SELECT on the table");
    for secret in ["strong:p:w ä", "old:p:w", "postgres://old:p%3Aw@else/where"] {
        let plan = listed(secret).unwrap();
        assert_eq!(measure(&dataset, &plan, &context(secret)).unwrap().len(), 1);
    }
}

#[test]
fn a_certificate_is_verified_against_the_name() {
    let authority = Authority::new("ours");
    let (certificate, key) = authority.issue_for(&["localhost"], "db", None, Holds::Today);
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start(Options::default())));
    let mut home = Home::at(server, server.create_database());
    home.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    for (name, pem) in [("server.crt", &certificate), ("server.key", &key)] {
        let write = format!(
            "COPY (SELECT '{}') TO PROGRAM 'umask 077; cat | sed \"s/@/\\n/g\" > {name}'",
            pem.replace('\n', "@")
        );
        home.sql(&write);
    }
    home.sql("ALTER SYSTEM SET ssl = on");
    home.sql("SELECT pg_reload_conf()");
    until("it speaks TLS", || home.sql("SHOW ssl") == "on");
    let secret = |ca: &str| {
        serde_json::json!({"username": "postgres", "password": "hunter2", "ca": ca}).to_string()
    };
    let ours = secret(&authority.ca);
    home.database.host = "localhost".to_owned();
    list(&home.dataset(), &context(&ours)).unwrap();
    let other = Authority::new("other");
    permanent(
        &list(&home.dataset(), &context(&secret(&other.ca))).unwrap_err(),
        "certificate is refused",
    );
    home.database.host = "127.0.0.1".to_owned();
    permanent(
        &list(&home.dataset(), &context(&ours)).unwrap_err(),
        "certificate is refused",
    );
    permanent(
        &list(&home.dataset(), &context(&secret("none")))
            .err()
            .unwrap_or_else(|| panic!("let in")),
        "certificate",
    );
}

#[test]
fn a_stopped_task_leaves_no_statement_at_work() {
    let mut home = filled();
    home.database.version = assay_model::source::VersionBy::Checksum;
    home.sql("CREATE VIEW slow AS SELECT id, v, pg_sleep(0.2)::text AS s FROM t");
    home.database.table = "slow".to_owned();
    let dataset = home.dataset();
    let context = trusted();
    let stop = context.cancelled.clone();
    let asked = std::thread::spawn(move || list(&dataset, &context));
    until("it works", || at_work(&home) == "1");
    stop.store(true, Ordering::Relaxed);
    let told = asked.join().unwrap().unwrap_err();
    assert!(told.is_cancelled(), "{told}");
    until("it is gone", || at_work(&home) == "0");
}

#[test]
fn a_statement_has_its_time_and_a_lost_connection_is_not_the_works_fault() {
    let mut home = filled();
    home.database.version = assay_model::source::VersionBy::Checksum;
    home.sql("CREATE VIEW slow AS SELECT id, v, pg_sleep(0.2)::text AS s FROM t");
    home.database.table = "slow".to_owned();
    let mut dataset = home.dataset();
    dataset.run.timeout_s = 1;
    let told = list(&dataset, &trusted()).unwrap_err();
    assert_eq!(told.class(), ErrorClass::Retryable, "{told}");
    assert!(told.to_string().contains("57014"), "{told}");
    dataset.run.timeout_s = 600;
    let asked = std::thread::spawn(move || list(&dataset, &trusted()));
    until("it works", || at_work(&home) == "1");
    home.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'assay source' AND datname = current_database()");
    assert_eq!(asked.join().unwrap().unwrap_err().class(), ErrorClass::Away);
    home.database.port = 1;
    assert_eq!(
        list(&home.dataset(), &trusted()).unwrap_err().class(),
        ErrorClass::Away
    );
}

#[test]
fn a_machine_has_few_sessions_at_work_at_a_time() {
    let mut home = filled();
    home.database.version = assay_model::source::VersionBy::Checksum;
    home.sql("CREATE VIEW slow AS SELECT id, v, pg_sleep(0.05)::text AS s FROM t WHERE id <= 20");
    home.database.table = "slow".to_owned();
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let dataset = home.dataset();
            std::thread::spawn(move || list(&dataset, &trusted()).map(drop))
        })
        .collect();
    let mut most = 0;
    let working = || {
        home.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'assay source' AND datname = current_database() AND query LIKE '%slow%' AND state = 'active'")
    };
    while tasks.iter().any(|task| !task.is_finished()) {
        most = most.max(working().parse::<u32>().unwrap());
    }
    for task in tasks {
        task.join().unwrap().unwrap();
    }
    assert!((1..=4).contains(&most), "{most}");
}

/// Holds as many of the places of this machine as are asked for, until `released` has rows.
fn hold(home: &Home, places: u32) -> std::thread::JoinHandle<String> {
    home.sql("CREATE TABLE IF NOT EXISTS released(); TRUNCATE released");
    let (server, url) = (home.server, home.url.clone());
    let held = format!(
        "SELECT pg_advisory_lock(hashtext('assay source/' || session_user || '/' || \
         coalesce(inet_client_addr()::text, 'here')), p) FROM generate_series(1, {places}) p; \
         DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM released) LOOP PERFORM pg_sleep(0.05); \
         END LOOP; END $$"
    );
    let holder = std::thread::spawn(move || server.sql(&url, &held));
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database \
                 = (SELECT oid FROM pg_database WHERE datname = current_database())";
    until("held", || home.sql(locks) == places.to_string());
    holder
}

#[test]
fn a_task_waits_while_all_places_of_its_machine_are_taken() {
    let home = filled();
    let dataset = home.dataset();
    let release = |holder: std::thread::JoinHandle<String>| {
        home.sql("INSERT INTO released DEFAULT VALUES");
        holder.join().unwrap();
    };
    let three = hold(&home, 3);
    list(&dataset, &trusted()).unwrap();
    release(three);
    let all = hold(&home, 4);
    let asked = std::thread::spawn(move || list(&dataset, &trusted()).map(drop));
    std::thread::sleep(Duration::from_millis(700));
    assert!(!asked.is_finished(), "it waits for its turn");
    release(all);
    asked.join().unwrap().unwrap();
}
