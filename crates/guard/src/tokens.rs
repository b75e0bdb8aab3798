//! Bearer tokens: shown once when they are made, kept as hashes in a file.
//!
//! Comes in: the file, again whenever it is replaced, and what requests bring. Goes out: principals,
//! or a refusal. It must never keep or print a token's secret, take one past its expiry, or tell by
//! its time how much of a guess was right. A file that cannot be read leaves the last good one in
//! force, and says so.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use assay_files::Seen;
use assay_telemetry::repeat::Repeat;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::principal::{Grant, Kind, Principal, Scope};

/// What every token begins with, so that scanners for leaked secrets find it.
pub const PREFIX: &str = "assay_";
/// Hexadecimal digits of an id, and of a secret.
const ID: usize = 12;
const SECRET: usize = 64;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Its id: `tok_` and hexadecimal digits.
    pub id: String,
    /// What it is for, in the words of whoever made it.
    pub name: String,
    /// `sha256:` and the hash of its secret.
    pub hash: String,
    /// What its holder may do.
    pub roles: Vec<Grant>,
    /// What it may be used for.
    #[serde(default)]
    pub scope: Scope,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFile {
    /// Every token.
    #[serde(default)]
    pub token: Vec<Token>,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none like it.
    #[error("the token is not known here")]
    Unknown,
    /// It has ended.
    #[error("the token has expired; make a new one with `assay token new`")]
    Expired,
}

/// A new token of these roles: its text, to be shown once, and what is kept.
///
/// # Errors
/// When the system gives no random numbers.
pub fn mint(
    name: &str,
    roles: Vec<Grant>,
    scope: Scope,
    created: Timestamp,
    expires: Timestamp,
) -> Result<(String, Token), String> {
    let mut random = [0_u8; (ID + SECRET) / 2];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| "the system gives no random numbers".to_owned())?;
    let (id, secret) = random.split_at(ID / 2);
    let (id, secret) = (hex(id), hex(secret));
    let token = Token {
        id: format!("tok_{id}"),
        name: name.to_owned(),
        hash: hashed(&secret),
        roles,
        scope,
        created,
        expires,
    };
    Ok((format!("{PREFIX}{id}_{secret}"), token))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    let pairs = bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]);
    pairs.collect()
}

/// A secret has 256 random bits: one round of a hash is enough.
fn hashed(secret: &str) -> String {
    let hash = digest(&SHA256, secret.as_bytes());
    format!("sha256:{}", hex(hash.as_ref()))
}

impl TokenFile {
    /// Reads a file; one that is not there has no tokens.
    ///
    /// # Errors
    /// In words for people: it cannot be read, or holds what it must not.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = match assay_files::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        let text = String::from_utf8(text).map_err(|_| format!("{} is no text", path.display()))?;
        let file: Self = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        file.look()
            .map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(file)
    }

    fn look(&self) -> Result<(), String> {
        let mut ids = std::collections::BTreeSet::new();
        for token in &self.token {
            let plain = |text: &str, digits: usize| {
                text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
            };
            if !token
                .id
                .strip_prefix("tok_")
                .is_some_and(|id| plain(id, ID))
            {
                return Err(format!("`{}` is no id of a token", token.id));
            }
            if !token
                .hash
                .strip_prefix("sha256:")
                .is_some_and(|h| plain(h, SECRET))
            {
                return Err(format!("the hash of {} is not one of ours", token.id));
            }
            if !ids.insert(&token.id) {
                return Err(format!("{} is there twice", token.id));
            }
        }
        Ok(())
    }

    /// Writes the file, for its owner alone to read, in one step.
    ///
    /// # Errors
    /// In words for people, when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let text = toml::to_string_pretty(self).map_err(|e| e.to_string())?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let written = || -> std::io::Result<()> {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, path)
        };
        written().map_err(|e| format!("{} cannot be written: {e}", path.display()))
    }
}

/// The tokens in force.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    seen: Seen<1>,
    known: Arc<BTreeMap<String, Entry>>,
    failing: Repeat,
}

/// A token, ready to be compared.
#[derive(Debug)]
struct Entry {
    hash: String,
    expires: Timestamp,
    principal: Principal,
}

impl Tokens {
    /// The tokens of a file, which is read again whenever it is replaced.
    ///
    /// # Errors
    /// In words for people, when it cannot be read.
    pub fn open(path: PathBuf) -> Result<Self, String> {
        let seen = Seen::of([&path]);
        let known = Arc::new(entries(TokenFile::read(&path)?));
        Ok(Self {
            path,
            held: Mutex::new(Held {
                seen,
                known,
                failing: Repeat::default(),
            }),
        })
    }

    /// The principal of a token's text.
    ///
    /// # Errors
    /// [`Refused`], in the same time for an id that is known and one that is not.
    pub fn check(&self, text: &str, now: Timestamp) -> Result<Principal, Refused> {
        // No hash is this text, so that nothing equals it.
        const NONE: &str =
            "sha256:----------------------------------------------------------------";
        let known = self.known();
        let (id, secret) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .unwrap_or(("", text));
        let entry = known.get(&format!("tok_{id}"));
        let hash = entry.map_or(NONE, |entry| entry.hash.as_str());
        let equal: bool = hashed(secret).as_bytes().ct_eq(hash.as_bytes()).into();
        match entry {
            Some(entry) if equal && entry.expires > now => Ok(entry.principal.clone()),
            Some(_) if equal => Err(Refused::Expired),
            _ => Err(Refused::Unknown),
        }
    }

    /// The tokens, of the newest file that could be read.
    fn known(&self) -> Arc<BTreeMap<String, Entry>> {
        // What is held is whole between two statements.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.seen.changed([&self.path]) {
            match TokenFile::read(&self.path) {
                Ok(file) => {
                    held.known = Arc::new(entries(file));
                    held.failing.ends();
                    tracing::info!(
                        tokens = held.known.len(),
                        "the file of tokens was read again"
                    );
                }
                Err(error) => {
                    if let Some(told) = held.failing.fails() {
                        tracing::error!("the tokens of before stay in force: {error}{told}");
                    }
                }
            }
        }
        Arc::clone(&held.known)
    }
}

fn entries(file: TokenFile) -> BTreeMap<String, Entry> {
    let entry = |token: Token| {
        let principal = Principal::new(&token.id, Kind::Token, token.roles, token.scope);
        let entry = Entry {
            hash: token.hash,
            expires: token.expires,
            principal,
        };
        (token.id, entry)
    };
    file.token.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn minted(roles: &[&str], expires: i64) -> (String, Token) {
        let roles = roles.iter().map(|word| word.parse().unwrap()).collect();
        mint("ci", roles, Scope::Write, at(0), at(expires)).unwrap()
    }

    fn file(tokens: &[&Token]) -> TokenFile {
        TokenFile {
            token: tokens.iter().map(|token| (*token).clone()).collect(),
        }
    }

    #[test]
    fn a_token_is_taken_until_it_ends_and_no_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let (text, token) = minted(&["owner:payments"], 100);
        let (other, _) = minted(&["operator"], 100);
        file(&[&token]).write(&path).unwrap();
        let kept = std::fs::read_to_string(&path).unwrap();
        let secret = text.rsplit_once('_').unwrap().1;
        assert!(!kept.contains(secret), "the secret is kept");
        let tokens = Tokens::open(path).unwrap();
        let principal = tokens.check(&text, at(99)).unwrap();
        assert_eq!(&*principal.id, token.id);
        assert!(principal.owns("payments") && !principal.owns("sales"));
        assert_eq!(tokens.check(&text, at(100)), Err(Refused::Expired));
        let mut near = text.clone();
        let last = if near.pop() == Some('0') { '1' } else { '0' };
        near.push(last);
        let hash = format!("{PREFIX}{}_{}", &token.id[4..], &token.hash);
        for wrong in [
            near.as_str(),
            &other,
            "",
            "assay_",
            "assay__",
            PREFIX,
            &hash,
            secret,
        ] {
            assert_eq!(tokens.check(wrong, at(1)), Err(Refused::Unknown), "{wrong}");
        }
        assert!(!format!("{tokens:?}").contains(secret));
    }

    #[test]
    fn a_file_that_is_replaced_is_read_again_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let tokens = Tokens::open(path.clone()).unwrap();
        let (text, token) = minted(&["subscriber:*"], 100);
        assert_eq!(tokens.check(&text, at(1)), Err(Refused::Unknown));
        let pause = || std::thread::sleep(Duration::from_millis(600));
        file(&[&token]).write(&path).unwrap();
        pause();
        assert!(tokens.check(&text, at(1)).is_ok(), "it was made");
        std::fs::write(&path, "[[token]]\nid = 7").unwrap();
        pause();
        assert!(tokens.check(&text, at(1)).is_ok(), "the file is broken");
        file(&[]).write(&path).unwrap();
        pause();
        assert_eq!(
            tokens.check(&text, at(1)),
            Err(Refused::Unknown),
            "it was revoked"
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        file(&[&minted(&[], 1).1]).write(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_holds_what_it_must_not_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let (_, token) = minted(&["operator"], 1);
        let mut plain = token.clone();
        plain.hash = "secret".to_owned();
        let mut strange = token.clone();
        strange.id = "me".to_owned();
        for bad in [file(&[&token, &token]), file(&[&plain]), file(&[&strange])] {
            bad.write(&path).unwrap();
            assert!(TokenFile::read(&path).is_err());
        }
        std::fs::write(&path, "[[tokens]]").unwrap();
        assert!(TokenFile::read(&path).is_err());
    }
}
