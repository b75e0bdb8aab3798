//! SCRAM-SHA-256 (RFC 5802, RFC 7677): logging in without showing the password.
//!
//! In: the password and what the server says. Out: what is answered, and whether the server knows
//! the password, too. The arithmetic is `postgres-protocol`'s; what a server may ask for is judged
//! here before. Channel binding is not used; the connection is verified by TLS.

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

/// The most rounds of hashing that a server may ask for: a hostile one would keep us busy for hours.
/// It is the bound of `postgres-protocol`, too.
const MOST_ROUNDS: u32 = 100_000;
const BROKEN: &str = "the server's part of the login breaks the rules of SCRAM";

/// A login under way.
pub(super) struct Scram {
    begun: ScramSha256,
    first: String,
    done: bool,
}

impl Scram {
    /// Begins a login.
    pub(super) fn new(password: &str) -> Self {
        let begun = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let first = String::from_utf8_lossy(begun.message()).into_owned();
        Self {
            begun,
            first,
            done: false,
        }
    }

    /// The first message to the server.
    pub(super) fn first(&self) -> &str {
        &self.first
    }

    /// The answer to the server's first message.
    pub(super) fn answer(&mut self, server: &[u8]) -> Result<Vec<u8>, String> {
        let text = std::str::from_utf8(server).map_err(|_| BROKEN)?;
        let part = |name: &str| text.split(',').find_map(|part| part.strip_prefix(name));
        let rounds: u32 = part("i=").and_then(|n| n.parse().ok()).ok_or(BROKEN)?;
        if rounds == 0 {
            return Err(BROKEN.to_owned());
        }
        if rounds > MOST_ROUNDS {
            return Err(format!(
                "the server asks for {rounds} rounds of hashing to log in, more than {MOST_ROUNDS} \
                 (`scram_iterations` when the role's password was set)"
            ));
        }
        // A nonce has no comma, and may have all else.
        let own = self.first.rsplit(",r=").next().unwrap_or_default();
        let theirs = part("r=").and_then(|nonce| nonce.strip_prefix(own));
        if theirs.is_none_or(str::is_empty) {
            return Err(BROKEN.to_owned());
        }
        self.begun
            .update(server)
            .map_err(|error| format!("{BROKEN}: {error}"))?;
        Ok(self.begun.message().to_vec())
    }

    /// Whether the login has come to its end, with the server's proof.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the server shows that it knows the password.
    pub(super) fn is_proven(&mut self, server: &[u8]) -> bool {
        self.done = self.begun.finish(server).is_ok();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server says that goes on with our part of the nonce.
    fn says(scram: &Scram, rest: &str) -> Vec<u8> {
        let own = scram.first().rsplit(",r=").next().unwrap();
        format!("r={own}{rest}").into_bytes()
    }

    #[test]
    fn a_server_that_breaks_the_rules_or_knows_no_password_is_found_out() {
        for server in ["", "r=xyz1,s=c2FsdA==,i=4096", "r=,s=c2FsdA==,i=1"] {
            let mut begun = Scram::new("pencil");
            assert!(begun.answer(server.as_bytes()).is_err(), "{server}");
        }
        for rest in [
            ",s=c2FsdA==,i=4096",
            "d,s=!,i=4096",
            "d,s=c2FsdA==,i=0",
            "d,s=c2FsdA==,i=-1",
            "d,s=c2FsdA==,i=99999999999",
            "d,s=c2FsdA==,i=4096,x=y",
            "d,i=4096",
        ] {
            let mut begun = Scram::new("pencil");
            let server = says(&begun, rest);
            assert!(begun.answer(&server).is_err(), "{rest}");
        }
        let mut scram = Scram::new("pencil");
        assert!(!scram.is_proven(b"v="));
        let mut scram = Scram::new("pencil");
        let server = says(&scram, "d,s=c2FsdA==,i=4096");
        scram.answer(&server).unwrap();
        assert!(!scram.is_proven(b"v=AAAA"));
        assert!(!scram.is_done());
    }

    #[test]
    fn a_server_that_asks_for_hours_of_hashing_is_told_so_at_once() {
        let mut scram = Scram::new("pencil");
        let server = says(&scram, "d,s=c2FsdA==,i=4000000000");
        let told = scram.answer(&server).unwrap_err();
        assert!(told.contains("4000000000 rounds"), "{told}");
        let mut scram = Scram::new("pencil");
        let server = says(&scram, "d,s=c2FsdA==,i=100000");
        assert!(scram.answer(&server).is_ok());
    }
}
