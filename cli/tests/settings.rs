//! Settings that cannot be meant are told before anything is done.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, Said};

fn with(name: &str, value: &str, args: &[&str]) -> Said {
    let place = Place::new();
    let mut command = place.command(args);
    Said::of(&command.env(name, value).output().unwrap())
}

#[test]
fn a_value_of_the_wrong_kind_is_a_wrong_command_line_whatever_the_command() {
    for args in [["config", "view"], ["node", "list"], ["doctor", "-q"]] {
        let said = with("ASSAY_DEV__GRPC_PORT", "http", &args).ended(2);
        for word in ["ASSAY_DEV__GRPC_PORT", "`http`", "dev.grpc_port"] {
            assert!(said.err.contains(word), "{}", said.err);
        }
    }
    let place = Place::new();
    place.write("assay.toml", "[dev]\nnodes = \"4..1\"\n");
    let said = place.assay(&["config", "view"]).ended(2);
    assert!(said.err.contains("assay.toml"), "{}", said.err);
    with("ASSAY_DEV__GRPC_PORT", "9001", &["config", "view"]).ended(0);
}

#[test]
fn a_misspelt_variable_is_told_and_one_of_others_is_not() {
    let said = with("ASSAY_OUPUT", "json", &["config", "view"]).ended(0);
    let meant = "did you mean ASSAY_OUTPUT?";
    assert!(said.err.contains(meant), "{}", said.err);
    for other in ["ASSAY_SHARED", "ASSAY_BENCH_FAULTS", "ASSAY_LEAD"] {
        let said = with(other, "x", &["config", "view"]).ended(0);
        assert!(!said.err.contains(other), "{}", said.err);
    }
}
