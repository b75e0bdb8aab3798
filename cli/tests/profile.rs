//! Profiles of settings, and what a build without AWS says of a shared registry.

#![allow(clippy::unwrap_used)]

mod common;

use common::Place;

const FILE: &str = "[dev]\npoll_s = 3\n\n[profile.staging]\n\
                    registry.url = \"dynamodb://assay-staging?region=eu-west-1\"\n\
                    client.server = \"https://manager.staging\"\n";

/// The value and the source of a setting.
fn setting(place: &Place, args: &[&str], key: &str) -> (String, String) {
    let args = [args, &["config", "view", "--sources", "-o", "json"]].concat();
    let json = place.assay(&args).ended(0).json();
    let rows = json["items"].as_array().unwrap();
    let row = rows.iter().find(|row| row["key"] == key).unwrap();
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    (text("value"), text("source"))
}

#[test]
fn a_profile_is_in_force_for_a_command_or_until_another_is_chosen() {
    let place = Place::new();
    place.write("assay.toml", FILE);
    let server = "https://manager.staging".to_owned();
    assert_eq!(setting(&place, &[], "client.server").0, "");
    let (value, source) = setting(&place, &["--profile", "staging"], "client.server");
    assert_eq!(value, server);
    assert_eq!(source, "profile staging in assay.toml");
    assert_eq!(
        setting(&place, &["--profile", "staging"], "dev.poll_s").1,
        "assay.toml"
    );

    place.assay(&["config", "use", "staging"]).ended(0);
    assert_eq!(setting(&place, &[], "client.server").0, server);
    let said = place.assay(&["config", "view"]).ended(0);
    assert!(said.out.starts_with("profile staging ("), "{}", said.out);
    place.assay(&["config", "use"]).ended(0);
    assert_eq!(setting(&place, &[], "client.server").0, "");
}

#[test]
fn a_profile_that_no_file_has_is_refused_and_can_be_left() {
    let place = Place::new();
    place.write("assay.toml", FILE);
    for args in [
        ["--profile", "prod", "config", "view"].as_slice(),
        &["config", "use", "prod"],
    ] {
        let said = place.assay(args).ended(2);
        assert!(said.err.contains("they have staging"), "{}", said.err);
    }
    place.assay(&["config", "use", "staging"]).ended(0);
    place.write("assay.toml", "");
    let said = place.assay(&["dataset", "list"]).ended(2);
    assert!(said.err.contains("assay config use"), "{}", said.err);
    place.assay(&["config", "use"]).ended(0);
    place.assay(&["config", "view"]).ended(0);
}

#[test]
fn a_folder_keeps_no_versions_and_retires_all_the_same() {
    let place = Place::new();
    let text = assay_registry::conformance::document("orders", "");
    place.write("orders.yaml", text);
    place
        .assay(&["dataset", "apply", "-f", "orders.yaml"])
        .ended(0);
    let said = place.assay(&["dataset", "history", "orders"]).ended(2);
    assert!(said.err.contains("registry.url"), "{}", said.err);
    let said = place
        .assay(&["dataset", "apply", "--take-over", "-f", "orders.yaml"])
        .ended(2);
    assert!(said.err.contains("shared registry"), "{}", said.err);
    place.assay(&["dataset", "retire", "orders"]).ended(0);
    let said = place.assay(&["dataset", "get", "orders"]).ended(0);
    assert!(said.out.contains("status: retired"), "{}", said.out);
}

#[cfg(not(feature = "cloud"))]
#[test]
fn a_build_without_aws_names_the_one_that_has_it_and_never_takes_a_folder_instead() {
    let place = Place::new();
    place.write("assay.toml", FILE);
    place.write(
        "orders.yaml",
        assay_registry::conformance::document("orders", ""),
    );
    for args in [
        ["dataset", "list"].as_slice(),
        &["dataset", "get", "orders"],
        &["dataset", "apply", "-f", "orders.yaml"],
        &["dataset", "history", "orders"],
        &["dataset", "retire", "orders"],
    ] {
        let args = [["--profile", "staging"].as_slice(), args].concat();
        let said = place.assay(&args).ended(2);
        assert!(said.err.contains("--features cloud"), "{}", said.err);
        assert!(
            said.err.contains("assay-staging in eu-west-1"),
            "{}",
            said.err
        );
    }
    assert!(!place.path("datasets").exists());
    // What a flag says is done.
    place
        .assay(&[
            "--profile",
            "staging",
            "dataset",
            "apply",
            "-f",
            "orders.yaml",
            "--dir",
            "d",
        ])
        .ended(0);
}
