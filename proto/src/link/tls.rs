//! Mutual TLS: what both ends show and whom they believe, from files that may change.
//!
//! Comes in: the paths of three PEM files, variables that hold their texts (`env:NAME`), or the texts.
//! Goes out: the configurations of rustls for servers and clients. New files are taken up by the next connection, and open ones go on. It must never
//! accept a peer without a certificate of the authority, or go on with half of a changed set: files
//! that cannot be read or do not fit one another leave the present ones in force.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assay_files::Seen;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, crypto, version,
};

use super::peer::{Identity, PeerRole};
use super::validity::not_after;

/// What is spoken inside.
const ALPN: &[u8] = b"h2";
/// Both ends are ours.
const VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// The files of one end, in PEM; `env:NAME` is a variable that holds the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that peers are signed by.
    pub ca: PathBuf,
    /// This end's certificate, with its chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A file of TLS that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read, or is no PEM of this kind.
    #[error("the TLS file {path} cannot be used: {detail}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The files do not fit one another.
    #[error("the TLS files do not fit one another ({cert}): {detail}")]
    Misfit {
        /// The certificate.
        cert: PathBuf,
        /// What rustls says.
        detail: String,
    },
    /// No certificate can be for this name.
    #[error(
        "`{0}` is no name of a server: use one that its certificate holds, such as manager.internal"
    )]
    Name(String),
    /// The certificate is not of the process that shows it.
    #[error(
        "the certificate {cert} is {is}, and this process is {needed}: give it one of its own (assay cluster certs makes some)"
    )]
    NotOurs {
        /// The certificate.
        cert: PathBuf,
        /// Whose it is.
        is: String,
        /// Who shows it.
        needed: String,
    },
}

/// Keeps the configurations of files that may change. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Tls {
    inner: Arc<Inner>,
    expected: Option<ServerName<'static>>,
}

#[derive(Debug)]
struct Inner {
    // None: texts, which do not change.
    files: Option<TlsFiles>,
    // Held while three small files are read, at most twice a second.
    present: Mutex<Present>,
}

#[derive(Debug)]
struct Present {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    shown: Shown,
    /// The files that were last tried, whether they could be used or not; none of texts.
    seen: Option<Seen<3>>,
    loads: u64,
}

/// What this end shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Who it is; `None` when the certificate names none of ours.
    pub identity: Option<Identity>,
    /// The last moment that the certificate holds, where it can be read.
    pub not_after: Option<jiff::Timestamp>,
}

impl Tls {
    /// Reads the files, and checks that they fit one another.
    ///
    /// # Errors
    /// [`TlsError`] naming the file.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = Seen::of(files.all());
        let ends = read(&files)?.ends()?;
        Ok(Self::with(Some((files, seen)), ends))
    }

    /// What a peer shows and believes by three PEM texts, which stay as they are.
    ///
    /// # Errors
    /// [`TlsError`] naming the text.
    pub fn of_pem(ca: &str, cert: &str, key: &str) -> Result<Self, TlsError> {
        let named = |path: &str| Path::new(path).to_owned();
        let pem = Pem {
            ca: certificates(&named("ca"), ca.as_bytes())?,
            chain: certificates(&named("cert"), cert.as_bytes())?,
            key: private_key(&named("key"), key.as_bytes())?,
            names: TlsFiles {
                ca: named("ca"),
                cert: named("cert"),
                key: named("key"),
            },
        };
        Ok(Self::with(None, pem.ends()?))
    }

    fn with(files: Option<(TlsFiles, Seen<3>)>, ends: Ends) -> Self {
        let (files, seen) = files.unzip();
        let present = Present {
            server: ends.server,
            client: ends.client,
            shown: ends.shown,
            seen,
            loads: 1,
        };
        Self {
            inner: Arc::new(Inner {
                files,
                present: Mutex::new(present),
            }),
            expected: None,
        }
    }

    /// The same; but the certificates of managers are checked for `name`, whatever address they are
    /// reached at.
    ///
    /// # Errors
    /// [`TlsError::Name`] when no certificate can be for such a name.
    pub fn expecting(mut self, name: &str) -> Result<Self, TlsError> {
        let expected = ServerName::try_from(name.to_owned());
        self.expected = Some(expected.map_err(|_| TlsError::Name(name.to_owned()))?);
        Ok(self)
    }

    /// The name that certificates of managers are checked for, if it is not their address.
    #[must_use]
    pub fn expected(&self) -> Option<ServerName<'static>> {
        self.expected.clone()
    }

    /// Checks that the certificate is of `role`, and of `name` when one is given: whoever shows one
    /// of another is refused by all, and says so better itself.
    ///
    /// # Errors
    /// [`TlsError`] naming the certificate.
    pub fn is_of(&self, role: PeerRole, name: Option<&str>) -> Result<(), TlsError> {
        let identity = self.up_to_date().shown.identity.clone();
        let fits = identity
            .as_ref()
            .is_some_and(|is| is.role == role && name.is_none_or(|name| is.vouches_for(name)));
        if fits {
            return Ok(());
        }
        Err(TlsError::NotOurs {
            cert: self.inner.names().cert,
            is: identity.map_or_else(|| "of nobody here".to_owned(), |is| format!("of {is}")),
            needed: match name {
                Some(name) => format!("{} `{name}`", role.word()),
                None => format!("a {}", role.word()),
            },
        })
    }

    /// Who this end is to others at this moment, and until when.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.up_to_date().shown.clone()
    }

    /// What this end shows as a server, at this moment.
    #[must_use]
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.up_to_date().server)
    }

    /// What this end shows as a client, at this moment.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.up_to_date().client)
    }

    /// How often files were taken up, the first time included.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.up_to_date().loads
    }

    fn up_to_date(&self) -> MutexGuard<'_, Present> {
        // A panic while it is held leaves the configurations whole.
        let present = self.inner.present.lock();
        let mut present = present.unwrap_or_else(PoisonError::into_inner);
        let (Some(files), Some(seen)) = (&self.inner.files, &mut present.seen) else {
            return present;
        };
        if !seen.changed(files.all()) {
            return present;
        }
        match read(files).and_then(Pem::ends) {
            Ok(ends) => {
                tracing::info!(cert = %files.cert.display(), "new TLS files are in force");
                present.server = ends.server;
                present.client = ends.client;
                present.shown = ends.shown;
                present.loads += 1;
            }
            Err(error) => {
                tracing::error!(%error, "changed TLS files are not taken up; the ones before stay in force");
            }
        }
        present
    }
}

impl TlsFiles {
    fn all(&self) -> [&Path; 3] {
        [&self.ca, &self.cert, &self.key]
    }
}

/// What three PEM texts hold.
struct Pem {
    ca: Vec<CertificateDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// What the texts are called in errors.
    names: TlsFiles,
}

/// What one end shows and believes.
struct Ends {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    shown: Shown,
}

fn read(files: &TlsFiles) -> Result<Pem, TlsError> {
    let text =
        |path: &Path| assay_files::read(path).map_err(|error| unusable(path, error.to_string()));
    Ok(Pem {
        ca: certificates(&files.ca, &text(&files.ca)?)?,
        chain: certificates(&files.cert, &text(&files.cert)?)?,
        key: private_key(&files.key, &text(&files.key)?)?,
        names: files.clone(),
    })
}

impl Inner {
    fn names(&self) -> TlsFiles {
        self.files.clone().unwrap_or_else(|| TlsFiles {
            ca: "ca".into(),
            cert: "cert".into(),
            key: "key".into(),
        })
    }
}

impl Pem {
    fn ends(self) -> Result<Ends, TlsError> {
        let misfit = |detail: String| TlsError::Misfit {
            cert: self.names.cert.clone(),
            detail,
        };
        let shown = Shown {
            identity: self.chain.first().and_then(Identity::of),
            not_after: self.chain.first().and_then(not_after),
        };
        let mut roots = RootCertStore::empty();
        for root in self.ca {
            roots
                .add(root)
                .map_err(|error| unusable(&self.names.ca, error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|error| misfit(error.to_string()))?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(VERSIONS)
            .map_err(|error| misfit(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| misfit(error.to_string()))?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would outlive the authority that it was accepted under.
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(|error| misfit(error.to_string()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain, self.key)
            .map_err(|error| misfit(error.to_string()))?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Ends {
            server: Arc::new(server),
            client: Arc::new(client),
            shown,
        })
    }
}

fn unusable(path: &Path, detail: String) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        detail,
    }
}

fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| unusable(path, error.to_string()))?;
    if found.is_empty() {
        return Err(unusable(path, "no certificate in it".to_owned()));
    }
    Ok(found)
}

fn private_key(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text)
        .map_err(|error| unusable(path, format!("no private key in it: {error}")))
}

/// An error of the handshake as one of the connection.
pub(super) fn refused(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("TLS: {error}"))
}
