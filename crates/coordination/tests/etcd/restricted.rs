//! etcd that knows who asks: the coordinator with a certificate that may do nothing beyond its own
//! prefix, made so by the very script that members' machines are given.

use std::path::{Path, PathBuf};
use std::process::Command;

use assay_coordination::conformance as suite;
use assay_coordination::{EtcdCoordinator, EtcdTls};
use assay_test_servers::etcd::{self, Etcd};
use assay_test_servers::pki::{Authority, Holds};

use super::{TIMES, options};

/// The script.
const RESTRICT: &str = "../../infra/modules/coordination/files/etcd-restrict";

/// A certificate in a folder of its own, as a member has it.
fn sign(authority: &Authority, parent: &Path, name: &str) -> PathBuf {
    let folder = parent.join(name);
    std::fs::create_dir(&folder).unwrap();
    let (certificate, key) = authority.issue(name, None, Holds::Today);
    for (file, text) in [
        ("ca.pem", &authority.ca),
        ("cert.pem", &certificate),
        ("key.pem", &key),
    ] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_held_to_its_prefix_does_all_that_a_cluster_needs_and_no_more() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::new("etcd's");
    let member = sign(&authority, place.path(), "a");
    let etcd = Etcd::start(etcd::EtcdOptions {
        members: 3,
        tls: Some(etcd::EtcdTls {
            ca: member.join("ca.pem"),
            certificate: member.join("cert.pem"),
            key: member.join("key.pem"),
        }),
        ..etcd::EtcdOptions::default()
    });
    let connect = async |name: &str, prefix: &str| {
        let folder = place.path().join(name);
        let mut options = options(etcd.endpoints());
        options.prefix = prefix.to_owned();
        options.tls = Some(EtcdTls {
            ca: folder.join("ca.pem"),
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        });
        EtcdCoordinator::connect(options).await.unwrap()
    };
    sign(&authority, place.path(), "cluster");
    sign(&authority, place.path(), "somebody");
    let settings = place.path().join("member.env");
    let text = format!("ENDPOINT={}\nPREFIX=/ours\n", etcd.endpoints()[0]);
    std::fs::write(&settings, text).unwrap();
    let done = Command::new("bash")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(RESTRICT))
        .env("ETCD_SETTINGS", &settings)
        .env("ETCD_TLS", &member)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "etcdctl is needed: {said}");

    let ours = connect("cluster", "/ours").await;
    ours.check().await.unwrap();
    suite::a_resignation_hands_over_at_once(&ours).await;
    suite::a_node_is_seen_until_its_lease_ends(&ours, TIMES).await;
    suite::load_is_seen_and_refused_from_a_life_that_is_over(&ours).await;
    suite::a_configuration_reaches_those_who_watch(&ours).await;

    // Beside its prefix, and without a user, there is nothing.
    for (name, prefix) in [
        ("cluster", "/oursandmore"),
        ("somebody", "/ours"),
        ("a", "/ours"),
    ] {
        let refused = connect(name, prefix).await.check().await;
        let why = refused.expect_err(name).to_string();
        let known = why.contains("permission denied") || why.contains("user name not found");
        assert!(known, "{name}: {why}");
    }
}
