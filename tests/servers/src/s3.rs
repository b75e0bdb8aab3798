//! Objects in a stand-in for S3: put and taken away by plain requests.
//!
//! Comes in: an address, names and bytes. Goes out: nothing. A name is sent byte for byte as it is,
//! percent-encoded: clients of S3 would tidy the odd ones. The stand-in asks nobody who they are.

use std::io::{Read, Write};
use std::net::TcpStream;

/// A bucket.
#[derive(Debug, Clone)]
pub struct TestBucket {
    port: u16,
    /// Its name.
    pub name: String,
}

impl TestBucket {
    /// Makes a bucket in the stand-in at `port`.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn create(port: u16, name: &str) -> Self {
        let this = Self {
            port,
            name: name.to_owned(),
        };
        this.ask("PUT", "", &[]);
        this
    }

    /// Puts an object.
    ///
    /// # Panics
    /// When it is refused.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.ask("PUT", &format!("/{key}"), bytes);
    }

    /// Takes an object away.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete(&self, key: &str) {
        self.ask("DELETE", &format!("/{key}"), &[]);
    }

    /// Puts every file below `folder`, named by its path below it, under `prefix`.
    ///
    /// # Panics
    /// When one cannot be read or put.
    pub fn put_folder(&self, folder: &std::path::Path, prefix: &str) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let key = format!("{prefix}{name}");
            if path.is_dir() {
                self.put_folder(&path, &format!("{key}/"));
            } else {
                self.put(&key, &std::fs::read(&path).expect("a file"));
            }
        }
    }

    fn ask(&self, method: &str, below: &str, body: &[u8]) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        let head = format!(
            "{method} /{}{} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            self.name,
            quoted(below),
            self.port,
            body.len()
        );
        connection.write_all(head.as_bytes()).expect("a request");
        connection.write_all(body).expect("a request");
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer);
        let fine = ["200", "204"]
            .iter()
            .any(|status| answer.starts_with(&format!("HTTP/1.1 {status}")));
        assert!(fine, "{method} {below}: {answer}");
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
