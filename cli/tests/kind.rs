//! What goes wrong is told on one screen: what, where and what to do next; with the documented exit
//! code, and without the program's insides. Nothing is lost by it: a good run works afterwards.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Definition, Place, Running, Said, shared};

/// The definition of two good days in `data`.
fn good(place: &Place) -> Definition {
    for day in [1, 2] {
        let name = format!("data/date=2026-01-0{day}.csv");
        place.write(&name, format!("id,amount\n1,{day}.5\n2,3.5\n"));
    }
    Definition::new("orders", place.path("data"), "csv")
}

/// Checks `text`, which is not a good definition, and a good one after it.
fn refused(text: &str, words: &[&str]) {
    let place = Place::new();
    let good = good(&place).text();
    place.write("orders.yaml", text);
    let mut all = vec!["orders.yaml"];
    all.extend(words);
    place.assay(&["check", "orders.yaml"]).ended(3).kind(&all);
    place.write("orders.yaml", good);
    place.assay(&["check", "orders.yaml"]).ended(0).kind(&[]);
}

/// Checks good data, then the same with `name` holding `bytes`, then good data again: the bad day is
/// an error that names the file, the good day stands, and the good file is found good.
fn unreadable(name: &str, bytes: &[u8], words: &[&str]) -> Said {
    let place = Place::new();
    let definition = good(&place);
    place.write("orders.yaml", definition.text());
    place.assay(&["check", "orders.yaml"]).ended(0);
    let path = place.write(&format!("data/{name}"), bytes);
    let said = place.assay(&["check", "orders.yaml"]).ended(4);
    let mut all = vec![
        name,
        "have the file written again",
        "2026-01-02",
        "exit code 4",
    ];
    all.extend(words);
    let said = said.kind(&all);
    assert!(
        !said.out.contains("2026-01-01"),
        "the good day stands: {}",
        said.out
    );
    std::fs::write(path, "id,amount\n1,2.5\n2,4.5\n").unwrap();
    place.assay(&["check", "orders.yaml"]).ended(0).kind(&[]);
    said
}

#[test]
fn what_is_not_yaml_is_told_with_its_place() {
    refused(
        "id: [1\nb: {",
        &["ASY001", "not YAML", ":2:", "indentation"],
    );
}

#[test]
fn an_unknown_key_is_told_with_the_one_that_was_meant() {
    let place = Place::new();
    let text = good(&place).text().replace("    quality:", "    qualty:");
    refused(&text, &["unknown key `qualty`", "did you mean `quality`"]);
}

#[test]
fn an_unknown_metric_is_told_with_the_one_that_was_meant() {
    let place = Place::new();
    let text = good(&place)
        .check("{ id: x, metric: rowCuont, mustBe: 1 }")
        .text();
    refused(
        &text,
        &["unknown metric `rowCuont`", "did you mean `rowCount`"],
    );
}

#[test]
fn two_operators_in_one_rule_are_told_with_what_to_write_instead() {
    let place = Place::new();
    let rule = "{ id: x, metric: rowCount, mustBe: 1, mustBeLessThan: 5 }";
    let text = good(&place).check(rule).text();
    refused(&text, &["2 operators", "mustBeBetween", ":12:"]);
}

#[test]
fn a_column_that_the_data_lacks_is_told_with_those_it_has() {
    let place = Place::new();
    let mut definition = good(&place);
    let rule = "{ id: known, metric: nullValues, mustBe: 0 }";
    definition.columns = vec![format!("{{ name: customer, quality: [{rule}] }}")];
    place.write("orders.yaml", definition.text());
    place.assay(&["check", "orders.yaml"]).ended(4).kind(&[
        "no column `customer`",
        "it has amount, id",
        "known",
    ]);
    place.write("orders.yaml", good(&place).text());
    place.assay(&["check", "orders.yaml", "--rescan"]).ended(0);
}

#[test]
fn a_folder_without_files_and_one_that_is_not_there_are_told_with_their_path() {
    let place = Place::new();
    for (name, word) in [("empty", "no csv file"), ("nowhere", "No such file")] {
        if name == "empty" {
            std::fs::create_dir(place.path(name)).unwrap();
        }
        let definition = Definition::new("orders", place.path(name), "csv");
        place.write("orders.yaml", definition.text());
        place.assay(&["check", "orders.yaml"]).ended(4).kind(&[
            name,
            word,
            "`servers`",
            "nothing was evaluated",
        ]);
    }
    place.write("orders.yaml", good(&place).text());
    place.assay(&["check", "orders.yaml"]).ended(0).kind(&[]);
}

#[test]
fn rows_of_uneven_length_are_told_with_their_line() {
    let text = b"id,amount\n1,2.5\n1,2,3\n";
    unreadable(
        "date=2026-01-02.csv",
        text,
        &["line 3", "3 fields, 2 are expected"],
    );
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_line() {
    let text = b"id,amount\n1,2.5\n2,\xff\xfe\n";
    unreadable("date=2026-01-02.csv", text, &["line 3", "0xff", "UTF-8"]);
}

#[test]
fn a_file_of_zero_bytes_is_not_an_empty_partition() {
    unreadable("date=2026-01-02.csv", b"", &["empty", "header"]);
}

#[test]
fn a_file_of_another_format_is_told() {
    let parquet = shared().join("nycflights13/flights_parquet/date=2013-01-01.parquet");
    let bytes = std::fs::read(parquet).unwrap();
    unreadable("date=2026-01-02.csv", &bytes, &["UTF-8"]);
}

/// Checks a folder with the one Parquet file `bytes`.
fn parquet(name: &str, bytes: &[u8]) -> Said {
    let place = Place::new();
    place.write(&format!("data/{name}"), bytes);
    let definition = Definition::new("orders", place.path("data"), "parquet");
    place.write("orders.yaml", definition.text());
    place.assay(&["check", "orders.yaml"])
}

#[test]
fn parquet_files_that_are_cut_or_of_another_format_are_told() {
    let file = shared().join("nycflights13/flights_parquet/date=2013-01-01.parquet");
    let whole = std::fs::read(file).unwrap();
    parquet("a.parquet", &whole).ended(0).kind(&[]);
    let remedy = "have the file written again";
    for (bytes, word) in [
        (&whole[..20_000], "PAR1"),
        (&whole[..0], "0 bytes are too few"),
        (b"id,amount\n1,2.5\n2,3.5\n".as_slice(), "PAR1"),
    ] {
        let said = parquet("a.parquet", bytes).ended(4);
        said.kind(&["a.parquet", word, remedy, "exit code 4"]);
    }
}

#[test]
fn parquet_files_known_to_be_bad_are_told_one_by_one() {
    let mut bad = 0;
    for entry in std::fs::read_dir(shared().join("parquet-testing/bad_data")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_none_or(|e| e != "parquet") {
            continue;
        }
        let said = parquet(&name, &std::fs::read(&path).unwrap());
        // Two other engines read this one, too, and agree on what is in it.
        if name == "ARROW-GH-43605.parquet" {
            said.ended(0).kind(&["21 186 rows"]);
            continue;
        }
        said.ended(4).kind(&[&name, "have the file written again"]);
        bad += 1;
    }
    assert_eq!(bad, 7);
}

#[test]
fn a_key_that_is_no_date_is_told_with_what_one_looks_like() {
    let place = Place::new();
    let template = "{ template: 'date={date}.csv', keys: [{ name: date, type: date }] }";
    let definition = good(&place).set("assayPartitions", template);
    place.write("orders.yaml", definition.text());
    place.assay(&["check", "orders.yaml"]).ended(0);
    let bad = place.write("data/date=2026-01-0x.csv", "id,amount\n1,2\n");
    place.assay(&["check", "orders.yaml"]).ended(4).kind(&[
        "date=2026-01-0x.csv",
        "2026-01-0x",
        "a date such as",
        "rename",
    ]);
    std::fs::remove_file(bad).unwrap();
    place
        .assay(&["check", "orders.yaml"])
        .ended(0)
        .kind(&["nothing new"]);
}

#[test]
fn a_schema_that_changes_between_partitions_is_bad_data_with_the_column_named() {
    let place = Place::new();
    place.write("orders.yaml", good(&place).text());
    place.assay(&["check", "orders.yaml"]).ended(0);
    let third = place.write("data/date=2026-01-03.csv", "id,amount,note\n1,2,a\n");
    place
        .assay(&["check", "orders.yaml"])
        .ended(1)
        .kind(&["2026-01-03", "column `note` is new"]);
    std::fs::write(third, "id,amount\n1,2.5\n2,3.0\n").unwrap();
    place.assay(&["check", "orders.yaml"]).ended(0).kind(&[]);
}

#[test]
fn a_port_in_use_is_told_with_another() {
    let place = Place::new();
    std::fs::create_dir(place.path("datasets")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    place.assay(&["dev", "--grpc-port", &port]).ended(4).kind(&[
        &format!("127.0.0.1:{port}"),
        "in use",
        "--grpc-port 0",
    ]);
    place.write("orders.yaml", good(&place).text());
    place.assay(&["check", "orders.yaml"]).ended(0).kind(&[]);
}

#[tokio::test]
async fn a_second_cluster_on_a_data_folder_is_told_who_the_first_is() {
    let place = Place::new();
    place.write("datasets/orders.odcs.yaml", good(&place).text());
    let args = ["dev", "--grpc-port", "0"];
    let first = Running::start(place.command(&args), &place.path("log"));
    place.settled(2, Duration::from_secs(30)).await;
    let pid = format!("pid {}", first.0.id());
    place.assay(&args).ended(4).kind(&[
        ".assay",
        "in use",
        &pid,
        "http://127.0.0.1:",
        "--data-dir",
    ]);
    first.kill();
    let runs = place.runs().await;
    assert!(
        runs.iter().all(|run| run.state.to_string() == "succeeded"),
        "{runs:#?}"
    );
}

/// A file system of so many KiB, as long as it lives.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, kib: u32) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={kib}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(at);
        assert!(
            mount.status().is_ok_and(|status| status.success()),
            "a small file system cannot be mounted: this test needs to run as root, with mount(8)"
        );
        Self(at)
    }

    fn grow(&self, kib: u32) {
        let options = format!("remount,size={kib}k");
        let mut mount = Command::new("mount");
        mount.args(["-o", &options]).arg(self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // What is still mounted keeps the folder from being removed, which is then seen.
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_the_check_goes_on_where_it_was_when_there_is_space() {
    let place = Place::new();
    let weather = shared().join("nycflights13/weather_v2015_csv");
    let definition = Definition::new("weather", weather, "csv").set(
        "assayProfile",
        "{ metrics: [nullCount, sum], judged: false }",
    );
    place.write("weather.yaml", definition.text());
    let at = place.path("disk");
    let disk = SmallDisk::mount(&at, 64);
    let args = ["check", "weather.yaml", "--data-dir", "disk"];
    let words = ["disk", "free some space", "--data-dir"];
    let said = place.assay(&args).ended(4).kind(&words);
    assert!(said.err.contains("full"), "{}", said.err);
    // Enough to begin, too little to end.
    disk.grow(1500);
    place.assay(&args).ended(4).kind(&words);
    disk.grow(200_000);
    let said = place.assay(&args).ended(0).kind(&[]);
    assert!(!said.out.contains("error"), "{}", said.out);
    let args = ["check", "weather.yaml", "--data-dir", "disk", "--rescan"];
    place
        .assay(&args)
        .ended(0)
        .kind(&["364 partitions judged, 26 130 rows"]);
}
