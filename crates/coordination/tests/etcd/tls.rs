//! TLS with certificates on both sides.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use assay_coordination::conformance as suite;
use assay_coordination::{CoordinationError, EtcdCoordinator, EtcdTls};
use assay_test_servers::etcd::{self, Etcd};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::options;

struct Authority {
    file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { file, issuer }
    }

    /// The files of a certificate and its key.
    fn sign(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = ["crt", "key"].map(|ending| folder.join(format!("{name}.{ending}")));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        let [certificate, key] = files;
        (certificate, key)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_of_its_authority_etcd_is_open_and_closed_to_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let strange = Authority::new(folder.path(), "strange");
    let (certificate, key) = ours.sign(folder.path(), "server");
    let etcd = Etcd::start(etcd::EtcdOptions {
        members: 3,
        tls: Some(etcd::EtcdTls {
            ca: ours.file.clone(),
            certificate,
            key,
        }),
        ..etcd::EtcdOptions::default()
    });
    let connect = async |authority: &Authority, name: &str| {
        let (certificate, key) = authority.sign(folder.path(), name);
        let mut options = options(etcd.endpoints());
        options.tls = Some(EtcdTls {
            ca: ours.file.clone(),
            certificate,
            key,
        });
        EtcdCoordinator::connect(options).await.unwrap()
    };

    let known = connect(&ours, "known").await;
    known.check().await.unwrap();
    suite::a_resignation_hands_over_at_once(&known).await;

    let stranger = connect(&strange, "stranger").await;
    let refused = stranger.check().await;
    assert!(
        matches!(refused, Err(CoordinationError::Unavailable(_))),
        "{refused:?}"
    );

    let mut bare = options(etcd.endpoints());
    for endpoint in &mut bare.endpoints {
        *endpoint = endpoint.replace("https", "http");
    }
    let bare = EtcdCoordinator::connect(bare).await.unwrap();
    assert!(bare.check().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (certificate, key) = ours.sign(folder.path(), "client");
    let good = EtcdTls {
        ca: ours.file.clone(),
        certificate,
        key,
    };
    let connect = async |tls: EtcdTls| {
        let mut options = options(vec!["https://127.0.0.1:1".to_owned()]);
        options.tls = Some(tls);
        let error = EtcdCoordinator::connect(options).await.err().unwrap();
        assert!(matches!(error, CoordinationError::Refused(_)), "{error}");
        error.to_string()
    };
    let absent = EtcdTls {
        key: folder.path().join("absent.key"),
        ..good.clone()
    };
    assert!(connect(absent).await.contains("absent.key"));
    let nonsense = folder.path().join("nonsense.key");
    std::fs::write(&nonsense, "no key").unwrap();
    let broken = EtcdTls {
        key: nonsense,
        ..good
    };
    connect(broken).await;
}

/// Calls until one is answered, as long as a renewal of files may take to be seen.
async fn answers(coordinator: &EtcdCoordinator) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if coordinator.check().await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_files_are_shown_and_believed_without_a_restart_and_half_of_them_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |file: &str| folder.path().join(file);
    let old = Authority::new(folder.path(), "old");
    let new = Authority::new(folder.path(), "new");
    let put = |from: &Path, to: &str| std::fs::copy(from, at(to)).map(drop).unwrap();
    let believe = |to: &str, authorities: &[&Authority]| {
        let texts = authorities
            .iter()
            .map(|a| std::fs::read_to_string(&a.file).unwrap());
        std::fs::write(at(to), texts.collect::<String>()).unwrap();
    };
    let show = |authority: &Authority, to: &str| {
        let (certificate, key) = authority.sign(folder.path(), &format!("signed-for-{to}"));
        put(&certificate, &format!("{to}-cert.pem"));
        put(&key, &format!("{to}-key.pem"));
    };
    show(&old, "server");
    believe("server-ca.pem", &[&old]);
    let mut etcd = Etcd::start(etcd::EtcdOptions {
        members: 1,
        tls: Some(etcd::EtcdTls {
            ca: at("server-ca.pem"),
            certificate: at("server-cert.pem"),
            key: at("server-key.pem"),
        }),
        ..etcd::EtcdOptions::default()
    });
    show(&old, "client");
    believe("client-ca.pem", &[&old]);
    let mut options = options(etcd.endpoints());
    options.tls = Some(EtcdTls {
        ca: at("client-ca.pem"),
        certificate: at("client-cert.pem"),
        key: at("client-key.pem"),
    });
    let coordinator = EtcdCoordinator::connect(options).await.unwrap();
    coordinator.check().await.unwrap();

    // A certificate without its key is not taken up.
    let (certificate, _) = new.sign(folder.path(), "half");
    put(&certificate, "client-cert.pem");
    tokio::time::sleep(Duration::from_millis(700)).await;
    coordinator.check().await.unwrap();
    etcd.kill(0);
    etcd.restart(0);
    etcd.await_ready();
    assert!(answers(&coordinator).await, "the old set is in force");

    // The client has all of the new set, and etcd is of the new authority only.
    show(&new, "client");
    believe("client-ca.pem", &[&old, &new]);
    coordinator.check().await.unwrap();
    show(&new, "server");
    believe("server-ca.pem", &[&new]);
    etcd.kill(0);
    etcd.restart(0);
    etcd.await_ready();
    assert!(answers(&coordinator).await, "the new set is in force");
    believe("client-ca.pem", &[&new]);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(answers(&coordinator).await);
    suite::a_resignation_hands_over_at_once(&coordinator).await;
}
