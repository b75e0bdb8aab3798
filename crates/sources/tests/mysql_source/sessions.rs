//! Sessions: how they log in, what they are refused, and that they leave nothing behind.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use assay_model::dataset::Credential;
use assay_scan::{ErrorClass, ScanError};
use assay_test_servers::mariadb::MariaDb;
use assay_test_servers::pki::{Authority, Holds};

use super::table::{Home, trusted};
use crate::common::{context, list, measure};

fn filled() -> Home {
    let home = Home::new();
    fill(&home);
    home
}

fn fill(home: &Home) {
    home.sql(
        "CREATE TABLE t (id int PRIMARY KEY, v varchar(20)); \
         INSERT INTO t SELECT seq, CONCAT('v', seq) FROM seq_1_to_2000",
    );
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn permanent(error: &ScanError, said: &str) {
    assert_eq!(error.class(), ErrorClass::Permanent, "{error}");
    let told = error.to_string();
    assert!(told.contains(said), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

fn own(settings: &[&str]) -> Home {
    let server: &'static MariaDb = Box::leak(Box::new(MariaDb::start(settings)));
    let home = Home::at(server);
    fill(&home);
    home
}

#[test]
fn what_is_not_there_is_refused_with_what_is_near() {
    let mut home = filled();
    home.sql("CREATE TABLE trips (id int)");
    home.database.table = "trip".to_owned();
    permanent(
        &list(&home.dataset(), &trusted()).unwrap_err(),
        "perhaps trips is meant",
    );
    home.database.table = "t`; DROP TABLE t; --".to_owned();
    permanent(
        &list(&home.dataset(), &trusted()).unwrap_err(),
        "there is no table",
    );
    home.database.table = "t".to_owned();
    home.database.database = "nowhere".to_owned();
    permanent(&list(&home.dataset(), &trusted()).unwrap_err(), "nowhere");
}

#[test]
fn names_of_tables_and_columns_that_are_odd_are_read() {
    let mut home = Home::new();
    home.sql(
        "CREATE TABLE `a``b \"c\".?=#'\\` (`x``; y` int, `ä'\"` date); \
         INSERT INTO `a``b \"c\".?=#'\\` VALUES (1, '2024-01-01'), (2, '2024-01-02')",
    );
    home.database.table = "a`b \"c\".?=#'\\".to_owned();
    let mut dataset = home.dataset();
    dataset.partitions.layout = assay_model::dataset::Layout::Column {
        column: "ä'\"".to_owned(),
        granularity: None,
    };
    let plan = list(&dataset, &trusted()).unwrap();
    assert_eq!(measure(&dataset, &plan, &trusted()).unwrap().len(), 2);
}

#[test]
fn a_table_that_shows_one_reader_several_states_is_refused_and_a_view_is_read() {
    let mut home = filled();
    home.sql(
        "CREATE TABLE old (id int) ENGINE=MyISAM; CREATE VIEW v AS SELECT id FROM t WHERE id < 10",
    );
    home.database.table = "old".to_owned();
    permanent(&list(&home.dataset(), &trusted()).unwrap_err(), "MyISAM");
    home.database.table = "v".to_owned();
    let dataset = home.dataset();
    let plan = list(&dataset, &trusted()).unwrap();
    let states = measure(&dataset, &plan, &trusted()).unwrap();
    assert_eq!(states.values().next().unwrap().rows, 9);
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

#[test]
fn a_user_logs_in_by_password_and_sees_what_it_may() {
    let home = own(&[]);
    let name = &home.database.database;
    home.sql(&format!(
        "CREATE USER reader IDENTIFIED BY 'p:w ä'; GRANT SELECT ON {name}.t TO reader; \
         CREATE USER blind IDENTIFIED BY 'x'; CREATE DATABASE other; GRANT ALL ON other.* TO blind; \
         CREATE USER half IDENTIFIED BY 'x'; GRANT SELECT (id) ON {name}.t TO half; \
         CREATE USER socket IDENTIFIED VIA unix_socket"
    ));
    let dataset = home.dataset();
    let listed = |secret: &str| list(&dataset, &context(secret));
    permanent(&listed("reader:hunter2").unwrap_err(), "1045");
    permanent(&listed("nobody:hunter2").unwrap_err(), "env:ASSAY_SOURCE_T");
    permanent(&listed("blind:x").unwrap_err(), "1044");
    permanent(&listed("half:x").unwrap_err(), "SELECT on the table");
    permanent(&listed("socket:x").unwrap_err(), "env:ASSAY_SOURCE_T");
    for secret in ["reader:p:w ä", "mysql://reader:p%3Aw%20%C3%A4@else/where"] {
        let plan = listed(secret).unwrap();
        assert_eq!(measure(&dataset, &plan, &context(secret)).unwrap().len(), 1);
    }
}

#[test]
fn a_certificate_is_verified_against_the_name() {
    let authority = Authority::new("ours");
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.issue_for(&["localhost"], "db", None, Holds::Today);
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let files = (put("cert.pem", &certificate), put("key.pem", &key));
    // The server is another user.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut home = own(&[
        &format!("ssl-cert={}", files.0),
        &format!("ssl-key={}", files.1),
    ]);
    let secret = |ca: &str| {
        let pem = ca.replace('\n', "\\n");
        format!(r#"{{"username": "safe", "password": "x", "ca": "{pem}"}}"#)
    };
    home.sql(&format!(
        "CREATE USER safe IDENTIFIED BY 'x' REQUIRE SSL; GRANT SELECT ON {}.* TO safe",
        home.database.database
    ));
    let right = context(&secret(&authority.ca));
    permanent(
        &list(&home.dataset(), &right).unwrap_err(),
        "certificate is refused",
    );
    home.database.host = "localhost".to_owned();
    assert!(list(&home.dataset(), &right).is_ok());
    let others = context(&secret(&Authority::new("theirs").ca));
    permanent(
        &list(&home.dataset(), &others).unwrap_err(),
        "certificate is refused",
    );
    permanent(
        &list(&home.dataset(), &context("safe:x")).unwrap_err(),
        "1045",
    );
    let plain = filled();
    let asked = list(&plain.dataset(), &right).unwrap_err();
    permanent(&asked, "offers no encrypted connection");
}

#[test]
fn a_session_may_only_read_and_is_one_of_few() {
    let home = own(&[]);
    home.sql("CREATE TABLE w (id int)");
    // What would write is refused by the session itself.
    home.sql(
        "DELIMITER //\n\
         CREATE FUNCTION grow() RETURNS int MODIFIES SQL DATA \
         BEGIN INSERT INTO w VALUES (1); RETURN 1; END //",
    );
    let mut sly = Home {
        server: home.server,
        database: home.database.clone(),
    };
    home.sql("CREATE VIEW sly AS SELECT id, grow() AS g FROM t WHERE id < 3");
    sly.database.table = "sly".to_owned();
    let error = list(&sly.dataset(), &trusted()).unwrap_err();
    assert!(error.to_string().contains("READ ONLY"), "{error}");
    assert_eq!(home.sql("SELECT COUNT(*) FROM w"), "0");
    // Others at work leave it no place; it waits for its turn, and is stopped while it does.
    let name = "assay source";
    let locks = (1..=4).map(|n| format!("GET_LOCK('{name} {n}', 0)"));
    let locks: Vec<String> = locks.collect();
    let hold = format!("SELECT {}, SLEEP(5)", locks.join(", "));
    let (server, database) = (home.server, home.database.database.clone());
    let holding = std::thread::spawn(move || server.sql(&database, &hold));
    until("the places are taken", || {
        home.sql(&format!("SELECT IS_FREE_LOCK('{name} 4')")) == "0"
    });
    let context = trusted();
    let stop = context.cancelled.clone();
    let dataset = home.dataset();
    let asked = std::thread::spawn(move || list(&dataset, &context));
    std::thread::sleep(Duration::from_millis(400));
    assert!(!asked.is_finished());
    stop.store(true, Ordering::Relaxed);
    assert!(asked.join().unwrap().unwrap_err().is_cancelled());
    holding.join().unwrap();
    assert!(list(&home.dataset(), &trusted()).is_ok());
}

#[test]
fn a_statement_ends_with_its_time_or_its_task() {
    let mut home = own(&[]);
    home.sql("CREATE VIEW slow AS SELECT id, SLEEP(0.2) AS s FROM t");
    home.database.table = "slow".to_owned();
    let mut dataset = home.dataset();
    dataset.run.timeout_s = 1;
    let error = list(&dataset, &trusted()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retryable, "{error}");
    let at_work = || {
        home.sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%slow%' AND INFO NOT LIKE '%PROCESSLIST%'")
    };
    until("the statement has ended", || at_work() == "0");
    let context = trusted();
    let stop = context.cancelled.clone();
    let dataset = home.dataset();
    let asked = std::thread::spawn(move || list(&dataset, &context));
    until("the statement runs", || at_work() == "1");
    stop.store(true, Ordering::Relaxed);
    assert!(asked.join().unwrap().unwrap_err().is_cancelled());
    until("the statement has ended", || at_work() == "0");
}

#[test]
fn settings_of_the_server_change_nothing() {
    let usual = filled();
    let odd = own(&[
        "sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT",
        "max-sort-length=64",
        "collation-server=utf8mb4_general_ci",
        "transaction-isolation=READ-UNCOMMITTED",
    ]);
    odd.sql("SET GLOBAL sql_select_limit = 3, GLOBAL sql_auto_is_null = 1, GLOBAL div_precision_increment = 0");
    let of = |home: &Home| {
        let mut dataset = home.dataset();
        dataset.source.location = home.dataset().source.location;
        let plan = list(&dataset, &trusted()).unwrap();
        measure(&dataset, &plan, &trusted()).unwrap()
    };
    let (usual, odd) = (of(&usual), of(&odd));
    for (key, state) in &usual {
        crate::common::assert_same(state, &odd[key]);
    }
}
