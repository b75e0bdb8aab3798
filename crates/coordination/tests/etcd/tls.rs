//! TLS with certificates on both sides.

use std::path::{Path, PathBuf};

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
