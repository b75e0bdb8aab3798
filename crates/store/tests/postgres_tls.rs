//! TLS towards Postgres: whom the store believes, what it shows, and files that are replaced while it
//! is open.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use assay_store::port::{MetricStore as _, RunFilter};
use assay_store::postgres::{PostgresOptions, PostgresStore};
use assay_store::{JobStore as _, StoreError};
use assay_test_servers::pki::{Authority, Holds};
use assay_test_servers::postgres::{Options, Postgres};

/// A server that speaks TLS with all who come over the network.
struct Secured {
    server: Postgres,
    url: String,
    folder: tempfile::TempDir,
    old: Authority,
    new: Authority,
}

impl Secured {
    fn start() -> Self {
        let this = Self {
            server: Postgres::start(Options::default()),
            url: String::new(),
            folder: tempfile::tempdir().unwrap(),
            old: Authority::new("the old authority"),
            new: Authority::new("the new authority"),
        };
        let url = this.server.create_database();
        // The server's user reads its files here.
        std::fs::set_permissions(this.folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        this.serves(&this.old.issue("server", None, Holds::Today));
        this.write("server-ca.pem", &this.old.ca, true);
        let at = |file: &str| this.at(file).display().to_string();
        for (name, value) in [
            ("ssl_cert_file", at("server.pem")),
            ("ssl_key_file", at("server-key.pem")),
            ("ssl_ca_file", at("server-ca.pem")),
            ("ssl", "on".to_owned()),
        ] {
            this.sql(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        }
        let hba = this.sql("SHOW hba_file");
        // In its own database, this test speaks in the clear.
        let rules = "host postgres all 127.0.0.1/32 trust\n\
                     hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n";
        std::fs::write(hba.trim(), rules).unwrap();
        this.renew();
        Self { url, ..this }
    }

    fn at(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str, of_the_server: bool) {
        let aside = self.at(&format!("{file}.new"));
        std::fs::write(&aside, text).unwrap();
        std::fs::set_permissions(&aside, PermissionsExt::from_mode(0o600)).unwrap();
        if of_the_server {
            let id = self.server.id().unwrap();
            let owner = std::fs::metadata(Path::new("/proc").join(id.to_string())).unwrap();
            chown(&aside, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        std::fs::rename(aside, self.at(file)).unwrap();
    }

    fn serves(&self, (cert, key): &(String, String)) {
        self.write("server.pem", cert, true);
        self.write("server-key.pem", key, true);
    }

    /// The client shows a certificate of `authority`, and believes `bundle`.
    fn client(&self, authority: &Authority, bundle: &[&Authority]) {
        let (cert, key) = authority.issue("assay", None, Holds::Today);
        self.write("client.pem", &cert, false);
        self.write("client-key.pem", &key, false);
        let bundle: String = bundle.iter().map(|a| a.ca.as_str()).collect();
        self.write("ca.pem", &bundle, false);
    }

    /// Done by an operator.
    fn sql(&self, statement: &str) -> String {
        self.server.sql(&self.server.url(), statement)
    }

    /// The server reads its files again, and every connection is made anew.
    fn renew(&self) {
        self.sql("SELECT pg_reload_conf()");
        std::thread::sleep(Duration::from_millis(300));
        self.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
    }

    fn options(&self) -> PostgresOptions {
        let at = |file: &str| self.at(file).display().to_string();
        PostgresOptions::new(format!(
            "{}?sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
            self.url,
            at("ca.pem"),
            at("client.pem"),
            at("client-key.pem"),
        ))
    }

    async fn open(&self) -> Result<PostgresStore, StoreError> {
        PostgresStore::connect(self.options()).await
    }

    /// Why the store cannot be opened.
    async fn refusal(&self) -> String {
        let Err(why) = self.open().await else {
            panic!("it was let in");
        };
        why.to_string()
    }
}

/// A read and a write are answered, after so many tries as broken connections need.
async fn works(store: &PostgresStore) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        let read = store
            .runs(&RunFilter {
                limit: 1,
                ..RunFilter::default()
            })
            .await;
        let write = store.mint_epoch("a test").await;
        if read.is_ok() && write.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_server_that_is_meant_is_believed_and_only_a_known_client_let_in() {
    let secured = Secured::start();
    let (old, new) = (&secured.old, &secured.new);
    secured.client(old, &[old]);
    let store = secured.open().await.unwrap();
    assert!(works(&store).await);
    let ciphers =
        secured.sql("SELECT count(*) FROM pg_stat_ssl WHERE ssl AND client_dn LIKE '%assay%'");
    assert_ne!(ciphers.trim(), "0", "it speaks TLS and shows who it is");
    drop(store);

    secured.client(old, &[new]);
    let why = secured.refusal().await;
    assert!(why.contains("UnknownIssuer"), "{why}");
    secured.client(new, &[old]);
    let why = secured.refusal().await;
    assert!(
        why.contains("certificate") || why.contains("UnknownCA"),
        "{why}"
    );
    secured.client(old, &[old]);
    secured.serves(&old.issue("server", None, Holds::Expired));
    secured.renew();
    let why = secured.refusal().await;
    assert!(why.contains("xpired"), "{why}");
    secured.serves(&old.issue_for(&["another.example"], "server", None, Holds::Today));
    secured.renew();
    let why = secured.refusal().await;
    assert!(
        why.contains("not valid for name") || why.contains("NotValidForName"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_files_are_shown_and_believed_by_the_next_connection_of_an_open_store() {
    let secured = Secured::start();
    let (old, new) = (&secured.old, &secured.new);
    secured.client(old, &[old]);
    let store = secured.open().await.unwrap();
    assert!(works(&store).await);
    // Both authorities are believed by both ends, then the new one alone.
    secured.client(new, &[old, new]);
    secured.write("server-ca.pem", &format!("{}{}", old.ca, new.ca), true);
    secured.renew();
    assert!(works(&store).await, "the client shows its new certificate");
    secured.serves(&new.issue("server", None, Holds::Today));
    secured.write("server-ca.pem", &new.ca, true);
    secured.renew();
    assert!(works(&store).await, "the server shows its new certificate");
    secured.client(new, &[new]);
    secured.renew();
    assert!(works(&store).await);
    secured.client(old, &[new]);
    secured.renew();
    assert!(
        secured.open().await.is_err(),
        "the old authority is not believed any more"
    );
}
