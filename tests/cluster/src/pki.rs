//! Certificates for the processes of a drill, which can be replaced while they run.
//!
//! Comes in: authorities, and names. Goes out: the three files of each process below the drill's
//! folder, as `--tls-ca`, `--tls-cert` and `--tls-key` take them. A file that is replaced is never
//! seen half written.

use std::path::{Path, PathBuf};

use assay_proto::link::{Identity, PeerRole, TlsFiles};

pub use assay_test_servers::pki::{Authority, Holds};

/// A certificate and its key of an identity of the cluster.
#[must_use]
pub fn identity(
    authority: &Authority,
    role: PeerRole,
    name: &str,
    holds: Holds,
) -> (String, String) {
    authority.issue(name, Some(&Identity::uri(role, name)), holds)
}

/// The files of all processes of a drill, each in a folder of its own.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Below `folder`.
    #[must_use]
    pub fn below(folder: &Path) -> Self {
        Self {
            folder: folder.join("tls"),
        }
    }

    /// Where the files of `name` lie.
    #[must_use]
    pub fn of(&self, name: &str) -> TlsFiles {
        let at = |file: &str| self.folder.join(name).join(file);
        TlsFiles {
            ca: at("ca.pem"),
            cert: at("cert.pem"),
            key: at("key.pem"),
        }
    }

    /// Gives `name` another certificate and key.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn show(&self, name: &str, (cert, key): &(String, String)) {
        let files = self.of(name);
        replace(&files.key, key);
        replace(&files.cert, cert);
    }

    /// Has `name` believe these authorities from here on.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn believe(&self, name: &str, authorities: &[&Authority]) {
        let bundle: Vec<&str> = authorities.iter().map(|a| a.ca.as_str()).collect();
        replace(&self.of(name).ca, &bundle.concat());
    }
}

/// Replaces a file as those who rotate secrets do: written aside, and renamed.
fn replace(path: &Path, text: &str) {
    let folder = path.parent().expect("it lies in a folder");
    std::fs::create_dir_all(folder).expect("a folder");
    let aside = path.with_extension("new");
    std::fs::write(&aside, text).expect("a file");
    std::fs::rename(&aside, path).expect("the same folder");
}
