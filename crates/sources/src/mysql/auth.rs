//! Answers to a server that asks for a password.
//!
//! In: the way to log in that the server names, the bytes that it has made up, and the password. Out:
//! what is answered. Pure. The password itself is only ever an answer over an encrypted connection.

use ring::digest::{Algorithm, Context, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `mysql_native_password`.
    Native,
    /// `caching_sha2_password`.
    CachingSha2,
    /// `mysql_clear_password`, `sha256_password`: the password itself.
    Itself,
}

impl Way {
    /// The way of this name, if it is known here.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"mysql_native_password" => Some(Self::Native),
            b"caching_sha2_password" => Some(Self::CachingSha2),
            b"mysql_clear_password" | b"sha256_password" => Some(Self::Itself),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::Itself => "mysql_clear_password",
        }
    }

    /// The first answer; `None` where it would be the password itself on a connection that others
    /// can read.
    pub(super) fn answer(
        self,
        password: &str,
        made_up: &[u8],
        is_encrypted: bool,
    ) -> Option<Vec<u8>> {
        let made_up = made_up.strip_suffix(b"\0").unwrap_or(made_up);
        match self {
            Self::Itself if is_encrypted => Some(itself(password)),
            Self::Itself => None,
            _ if password.is_empty() => Some(Vec::new()),
            Self::Native => {
                let (own, twice) = twice(&SHA1_FOR_LEGACY_USE_ONLY, password);
                let mixed = hash(&SHA1_FOR_LEGACY_USE_ONLY, &[made_up, twice.as_ref()]);
                Some(xor(own.as_ref(), mixed.as_ref()))
            }
            Self::CachingSha2 => {
                let (own, twice) = twice(&SHA256, password);
                let mixed = hash(&SHA256, &[twice.as_ref(), made_up]);
                Some(xor(own.as_ref(), mixed.as_ref()))
            }
        }
    }
}

/// The password as it is sent itself.
pub(super) fn itself(password: &str) -> Vec<u8> {
    [password.as_bytes(), b"\0"].concat()
}

fn hash(by: &'static Algorithm, parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(by);
    for part in parts {
        context.update(part);
    }
    context.finish()
}

/// The hash of a password, and the hash of that.
fn twice(by: &'static Algorithm, password: &str) -> (Digest, Digest) {
    let once = hash(by, &[password.as_bytes()]);
    let twice = hash(by, &[once.as_ref()]);
    (once, twice)
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(a, b)| a ^ b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_answers_are_those_of_the_protocol() {
        let made_up = b"0123456789abcdefghij\0";
        let of = |way: Way| hex(&way.answer("hunter2", made_up, false).unwrap());
        assert_eq!(of(Way::Native), NATIVE);
        assert_eq!(of(Way::CachingSha2), CACHING);
        assert_eq!(Way::Native.answer("", made_up, false), Some(Vec::new()));
    }

    #[test]
    fn the_password_itself_is_told_only_where_nobody_else_reads() {
        assert_eq!(Way::Itself.answer("hunter2", b"", false), None);
        let told = Way::Itself.answer("hunter2", b"", true);
        assert_eq!(told.as_deref(), Some(&b"hunter2\0"[..]));
        assert_eq!(Way::named(b"mysql_old_password"), None);
    }

    // Computed by Python's hashlib.
    const NATIVE: &str = "91dbd90edc75e47da9a48a9defc85dcf99fa4fc4";
    const CACHING: &str = "5bfbc73796cdaa80adfd00eb26e332ac9861333244584e69dea530bbf4414abd";
}
