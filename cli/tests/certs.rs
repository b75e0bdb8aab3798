//! Certificates that `assay cluster certs` makes, as those who use them read them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use assay_proto::link::{PeerRole, Tls, TlsFiles};
use common::Place;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

fn files(folder: &Path, stem: &str) -> TlsFiles {
    TlsFiles {
        ca: folder.join("ca.pem"),
        cert: folder.join(format!("{stem}.pem")),
        key: folder.join(format!("{stem}-key.pem")),
    }
}

#[test]
fn certificates_are_of_whom_they_are_asked_for_and_hold_for_as_long() {
    let place = Place::new();
    let folder = place.path("certs");
    let arguments = "cluster certs --out certs --manager m-1 --host manager.internal --node staging-* \
                     --client ann --days 30";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    place.assay(&arguments).ended(0);
    let manager = Tls::load(files(&folder, "manager-m-1")).unwrap();
    manager.is_of(PeerRole::Manager, Some("m-1")).unwrap();
    let fleet = Tls::load(files(&folder, "node-staging-fleet")).unwrap();
    fleet
        .is_of(PeerRole::Node, Some("staging-10-1-2-3"))
        .unwrap();
    assert!(fleet.is_of(PeerRole::Node, Some("production-1")).is_err());
    let shown = Tls::load(files(&folder, "client-ann")).unwrap().shown();
    assert_eq!(shown.identity.unwrap().name, "ann");
    let left = shown.not_after.unwrap().duration_since(Timestamp::now());
    assert!(left > SignedDuration::from_hours(28 * 24), "{left}");
    assert!(left < SignedDuration::from_hours(31 * 24), "{left}");
}

#[test]
fn members_of_etcd_are_given_certificates_of_no_identity_in_the_cluster() {
    let place = Place::new();
    let folder = place.path("etcd");
    let arguments = "cluster certs --out etcd --etcd-member a=etcd-a.internal,localhost \
                     --etcd-client cluster --bundles";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    place.assay(&arguments).ended(0);
    for stem in ["etcd-a", "etcd-client-cluster"] {
        let tls = Tls::load(files(&folder, stem)).unwrap();
        assert_eq!(tls.shown().identity, None, "{stem}");
        let bundle = folder.join(format!("{stem}.json"));
        let mode = std::fs::metadata(&bundle).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{stem}: others may read the key");
        let bundle: Value = serde_json::from_slice(&std::fs::read(bundle).unwrap()).unwrap();
        for (part, file) in [("ca", "ca.pem"), ("cert", &format!("{stem}.pem"))] {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            assert_eq!(bundle[part], text, "{stem}");
        }
        assert!(bundle["key"].as_str().unwrap().contains("PRIVATE KEY"));
    }
}

#[test]
fn a_name_that_no_certificate_should_hold_is_refused() {
    let place = Place::new();
    for wanted in [
        "--client=a*",
        "--node=*",
        "--manager=../m",
        "--etcd-member=a",
    ] {
        let said = place.assay(&["cluster", "certs", "--out", "certs", wanted]);
        said.ended(2);
    }
}
