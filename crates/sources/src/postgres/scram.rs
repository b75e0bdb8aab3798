//! SCRAM-SHA-256 (RFC 5802, RFC 7677): logging in without showing the password.
//!
//! In: the password and what the server says. Out: what is answered, and whether the server knows
//! the password, too. Channel binding is not used; the connection is verified by TLS.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The most rounds that a server may ask for: a hostile one would keep us busy for hours.
const MOST_ROUNDS: u32 = 1_000_000;

/// A login under way.
pub(super) struct Scram {
    password: Vec<u8>,
    nonce: String,
    /// What the server must prove at the end.
    proof: Option<[u8; 32]>,
    done: bool,
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().into())
}

/// PBKDF2 with one block of output.
fn salted(password: &[u8], salt: &[u8], rounds: u32) -> Option<[u8; 32]> {
    let keyed = Hmac::<Sha256>::new_from_slice(password).ok()?;
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&1u32.to_be_bytes());
    let mut round: [u8; 32] = first.finalize().into_bytes().into();
    let mut sum = round;
    for _ in 1..rounds {
        let mut mac = keyed.clone();
        mac.update(&round);
        round = mac.finalize().into_bytes().into();
        for (sum, byte) in sum.iter_mut().zip(round) {
            *sum ^= byte;
        }
    }
    Some(sum)
}

impl Scram {
    /// Begins a login; `nonce` is fresh and printable.
    pub(super) fn new(password: &str, nonce: String) -> Self {
        let prepared = stringprep::saslprep(password);
        let password = prepared.map_or_else(|_| password.to_owned(), std::borrow::Cow::into_owned);
        Self {
            password: password.into_bytes(),
            nonce,
            proof: None,
            done: false,
        }
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// The first message to the server.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.bare())
    }

    /// The answer to the server's first message.
    pub(super) fn answer(&mut self, server: &str) -> Result<String, &'static str> {
        const BROKEN: &str = "the server's part of the login breaks the rules of SCRAM";
        let part = |name: &str| {
            let mut parts = server.split(',');
            parts.find_map(|part| part.strip_prefix(name)).ok_or(BROKEN)
        };
        let nonce = part("r=")?;
        let salt = BASE64.decode(part("s=")?).map_err(|_| BROKEN)?;
        let rounds: u32 = part("i=")?.parse().map_err(|_| BROKEN)?;
        let theirs = nonce.strip_prefix(self.nonce.as_str());
        if theirs.is_none_or(str::is_empty) || !(1..=MOST_ROUNDS).contains(&rounds) {
            return Err(BROKEN);
        }
        let salted = salted(&self.password, &salt, rounds).ok_or(BROKEN)?;
        let client_key = hmac(&salted, &[b"Client Key"]).ok_or(BROKEN)?;
        let server_key = hmac(&salted, &[b"Server Key"]).ok_or(BROKEN)?;
        let stored: [u8; 32] = Sha256::digest(client_key).into();
        let without = format!("c=biws,r={nonce}");
        let signed = format!("{},{server},{without}", self.bare());
        let signature = hmac(&stored, &[signed.as_bytes()]).ok_or(BROKEN)?;
        self.proof = hmac(&server_key, &[signed.as_bytes()]);
        let mut proof = client_key;
        for (byte, other) in proof.iter_mut().zip(signature) {
            *byte ^= other;
        }
        Ok(format!("{without},p={}", BASE64.encode(proof)))
    }

    /// Whether the login has come to its end, with the server's proof.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the server shows that it knows the password.
    pub(super) fn is_proven(&mut self, server: &str) -> bool {
        let shown = server
            .strip_prefix("v=")
            .and_then(|text| BASE64.decode(text.trim_end()).ok());
        self.done = match (shown, self.proof) {
            (Some(shown), Some(proof)) => shown == proof,
            _ => false,
        };
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_breaks_the_rules_or_knows_no_password_is_found_out() {
        let begun = || Scram::new("pencil", "abc".to_owned());
        for server in [
            "",
            "r=abc,s=c2FsdA==,i=4096",
            "r=xyz1,s=c2FsdA==,i=4096",
            "r=abcd,s=!,i=4096",
            "r=abcd,s=c2FsdA==,i=0",
            "r=abcd,s=c2FsdA==,i=4000000000",
        ] {
            assert!(begun().answer(server).is_err(), "{server}");
        }
        let mut scram = begun();
        assert!(!scram.is_proven("v="));
        scram.answer("r=abcd,s=c2FsdA==,i=4096").unwrap();
        assert!(!scram.is_proven("v=AAAA"));
    }

    #[test]
    fn the_example_of_the_standard_comes_out() {
        // RFC 7677, 3: there the user is named in the message, which Postgres leaves empty; so the
        // salted password alone is compared, with its known value from the proof of that example.
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = salted(b"pencil", &salt, 4096).unwrap();
        let server_key = hmac(&salted, &[b"Server Key"]).unwrap();
        let signed = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                      r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                      s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                      c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = hmac(&server_key, &[signed.as_bytes()]).unwrap();
        assert_eq!(
            BASE64.encode(signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }
}
