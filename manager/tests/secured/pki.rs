//! Certificates of the processes of a cluster, loaded or written to files.

use assay_proto::link::{Identity, PeerRole, Tls, TlsFiles};
pub use assay_test_servers::pki::{Authority, Holds};

/// What an authority gives to processes of a cluster.
pub trait Vouches {
    /// One end that shows a certificate of this authority and believes it.
    fn tls(&self, role: PeerRole, name: &str) -> Tls;

    /// The same, believing `ca`.
    fn tls_with(&self, role: PeerRole, name: &str, holds: Holds, ca: &str) -> Tls;

    /// Writes all three files anew.
    fn write(&self, files: &TlsFiles, role: PeerRole, name: &str);
}

fn write(files: &TlsFiles, ca: &str, (cert, key): (String, String)) {
    std::fs::write(&files.ca, ca).unwrap();
    std::fs::write(&files.key, key).unwrap();
    std::fs::write(&files.cert, cert).unwrap();
}

impl Vouches for Authority {
    fn tls(&self, role: PeerRole, name: &str) -> Tls {
        self.tls_with(role, name, Holds::Today, &self.ca)
    }

    fn tls_with(&self, role: PeerRole, name: &str, holds: Holds, ca: &str) -> Tls {
        let folder = tempfile::tempdir().unwrap();
        let at = |file: &str| folder.path().join(file);
        let files = TlsFiles {
            ca: at("ca"),
            cert: at("cert"),
            key: at("key"),
        };
        let uri = Identity::uri(role, name);
        write(&files, ca, self.issue(name, Some(&uri), holds));
        let tls = Tls::load(files).unwrap();
        // Only read again when they change.
        drop(folder);
        tls
    }

    fn write(&self, files: &TlsFiles, role: PeerRole, name: &str) {
        let uri = Identity::uri(role, name);
        write(files, &self.ca, self.issue(name, Some(&uri), Holds::Today));
    }
}
