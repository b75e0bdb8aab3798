//! Authorities of tests, and certificates of every kind.
//!
//! Comes in: names, and when a certificate shall hold. Goes out: PEM. It must never be used outside
//! of tests: the keys are written where whoever calls wants them.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

/// When a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Today,
    /// It did.
    Expired,
    /// It will.
    NotYet,
}

/// An authority.
#[derive(Debug)]
pub struct Authority {
    /// Its own certificate, in PEM.
    pub ca: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, called `name`.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        let mut called = DistinguishedName::new();
        called.push(DnType::CommonName, name);
        params.distinguished_name = called;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&key).expect("a certificate").pem();
        Self {
            ca,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate and its key, in PEM, for a process of this machine called `name`, with the
    /// identity `uri`, if there is one.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn issue(&self, name: &str, uri: Option<&str>, holds: Holds) -> (String, String) {
        self.issue_for(&["localhost", "127.0.0.1"], name, uri, holds)
    }

    /// The same, for a machine with other names.
    ///
    /// # Panics
    /// As [`Authority::issue`], and when a name is none.
    #[must_use]
    pub fn issue_for(
        &self,
        machine: &[&str],
        name: &str,
        uri: Option<&str>,
        holds: Holds,
    ) -> (String, String) {
        let names: Vec<String> = machine.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        let mut called = DistinguishedName::new();
        // Postgres takes the user's name from it.
        called.push(DnType::CommonName, name);
        params.distinguished_name = called;
        if let Some(uri) = uri {
            let uri = uri.try_into().expect("a good name");
            params.subject_alt_names.push(SanType::URI(uri));
        }
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
        let key = KeyPair::generate().expect("a key");
        let cert = params
            .signed_by(&key, &self.issuer)
            .expect("a good certificate");
        (cert.pem(), key.serialize_pem())
    }
}
