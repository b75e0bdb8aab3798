//! Authorities of tests, and certificates of every kind.

use assay_proto::link::{Identity, PeerRole, Tls, TlsFiles};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

/// When a certificate holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Today,
    Expired,
    NotYet,
}

/// An authority.
pub struct Authority {
    /// Its certificate.
    pub ca: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem();
        Self {
            ca,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate and its key.
    fn issue(&self, role: PeerRole, name: &str, holds: Holds) -> (String, String) {
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let uri = Identity::uri(role, name);
        let uri = SanType::URI(uri.as_str().try_into().unwrap());
        params.subject_alt_names.push(uri);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let day = date_time_ymd;
        (params.not_before, params.not_after) = match holds {
            Holds::Today => (day(2020, 1, 1), day(2200, 1, 1)),
            Holds::Expired => (day(2020, 1, 1), day(2020, 1, 2)),
            Holds::NotYet => (day(2199, 1, 1), day(2200, 1, 1)),
        };
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    /// One end that shows a certificate of ours and believes us.
    pub fn tls(&self, role: PeerRole, name: &str) -> Tls {
        self.tls_with(role, name, Holds::Today, &self.ca)
    }

    /// The same, believing `ca`.
    pub fn tls_with(&self, role: PeerRole, name: &str, holds: Holds, ca: &str) -> Tls {
        let folder = tempfile::tempdir().unwrap();
        let at = |file: &str| folder.path().join(file);
        let files = TlsFiles {
            ca: at("ca"),
            cert: at("cert"),
            key: at("key"),
        };
        let (cert, key) = self.issue(role, name, holds);
        std::fs::write(&files.ca, ca).unwrap();
        std::fs::write(&files.cert, cert).unwrap();
        std::fs::write(&files.key, key).unwrap();
        let tls = Tls::load(files).unwrap();
        // Only read again when they change.
        drop(folder);
        tls
    }

    /// Writes all three files anew.
    pub fn write(&self, files: &TlsFiles, role: PeerRole, name: &str) {
        let (cert, key) = self.issue(role, name, Holds::Today);
        std::fs::write(&files.ca, &self.ca).unwrap();
        std::fs::write(&files.key, key).unwrap();
        std::fs::write(&files.cert, cert).unwrap();
    }
}
