//! JSON Web Tokens of an identity provider, verified with ring.
//!
//! Comes in: a token, the provider's keys, what is expected, and the time. Goes out: claims, or a
//! refusal. It must never let the token choose how it is verified: the key says the algorithm, and
//! only RS256, ES256 and EdDSA are taken; `none`, shared secrets and keys that the token brings itself
//! are not. It knows no clock.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of a token, at most.
pub const TOKEN_MAX: usize = 16 << 10;
/// Keys of a provider, at most.
const KEYS_MAX: usize = 64;

/// The public half of a key, and with it the one algorithm that it verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    /// RS256: the modulus and the exponent; ring refuses less than 2048 bits.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// ES256: a point of P-256, uncompressed.
    Ec(Vec<u8>),
    /// EdDSA: Ed25519.
    Ed(Vec<u8>),
}

/// A key of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub kid: Option<String>,
    public: Public,
}

impl Key {
    /// The name of the algorithm that it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self.public {
            Public::Rsa { .. } => "RS256",
            Public::Ec(_) => "ES256",
            Public::Ed(_) => "EdDSA",
        }
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.public {
            Public::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            Public::Ec(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Public::Ed(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }
}

/// What is expected of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The issuer, to the letter.
    pub issuer: String,
    /// One of the audiences.
    pub audience: String,
    /// How far clocks may lie apart, in seconds.
    pub leeway: u64,
}

/// The claims of a verified token.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Claims(pub BTreeMap<String, Value>);

/// Why a token is not taken. The words tell its holder what is wrong, and nothing that helps to
/// forge one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no token, or one of an algorithm that is not taken.
    #[error("the token is not a JWT signed with RS256, ES256 or EdDSA")]
    Malformed,
    /// It was signed by a key that the provider does not show.
    #[error("the token was signed by a key that the identity provider does not show")]
    UnknownKey,
    /// The signature is not that of its key.
    #[error("the token's signature does not hold")]
    Signature,
    /// A claim is not as expected: which one.
    #[error("the token's claim `{0}` is not as expected here")]
    Claim(&'static str),
    /// It has ended.
    #[error("the token has expired; log in again")]
    Expired,
}

/// What a token says of its own signature. Whatever else it says (`jwk`, `jku`, `x5c`) is not looked
/// at.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood: none is.
    crit: Option<Value>,
    /// Encrypted or compressed tokens are not taken.
    enc: Option<Value>,
    zip: Option<Value>,
}

/// A token in its parts, of which nothing is verified yet.
#[derive(Debug)]
pub struct Unverified<'a> {
    header: Header,
    claims: &'a str,
    message: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// The parts of a token.
    ///
    /// # Errors
    /// [`Refused::Malformed`].
    pub fn of(token: &'a str) -> Result<Self, Refused> {
        let malformed = || Refused::Malformed;
        if token.len() > TOKEN_MAX {
            return Err(Refused::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = message.split_once('.').ok_or_else(malformed)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| malformed())?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| malformed())?;
        let plain = header.crit.is_none() && header.enc.is_none() && header.zip.is_none();
        if !plain || claims.contains('.') {
            return Err(Refused::Malformed);
        }
        Ok(Self {
            claims,
            message: message.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?,
            header,
        })
    }

    /// The id of the key that it says it was signed by.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Its claims, once its signature holds by one of `keys` and the claims are as expected at `now`,
    /// in seconds since 1970.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, keys: &[Key], expected: &Expected, now: i64) -> Result<Claims, Refused> {
        if !["RS256", "ES256", "EdDSA"].contains(&self.header.alg.as_str()) {
            return Err(Refused::Malformed);
        }
        let fit = keys.iter().filter(|key| key.algorithm() == self.header.alg);
        let candidates: Vec<&Key> = match &self.header.kid {
            Some(kid) => fit.filter(|key| key.kid.as_ref() == Some(kid)).collect(),
            None => fit.collect(),
        };
        match candidates.as_slice() {
            [] => return Err(Refused::UnknownKey),
            // A token that names no key is taken where there is no choice.
            [_, _, ..] if self.header.kid.is_none() => return Err(Refused::UnknownKey),
            keys => {
                let signed = keys
                    .iter()
                    .any(|key| key.signed(self.message, &self.signature));
                if !signed {
                    return Err(Refused::Signature);
                }
            }
        }
        let claims = URL_SAFE_NO_PAD.decode(self.claims);
        let claims = claims.map_err(|_| Refused::Malformed)?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| Refused::Malformed)?;
        claims.hold(expected, now)?;
        Ok(claims)
    }
}

impl Claims {
    fn hold(&self, expected: &Expected, now: i64) -> Result<(), Refused> {
        let leeway = i64::try_from(expected.leeway).unwrap_or(i64::MAX);
        if self.text("iss") != Some(&expected.issuer) {
            return Err(Refused::Claim("iss"));
        }
        let meant = match self.0.get("aud") {
            Some(Value::String(one)) => *one == expected.audience,
            Some(Value::Array(list)) => list
                .iter()
                .any(|of| of.as_str() == Some(&expected.audience)),
            _ => false,
        };
        if !meant {
            return Err(Refused::Claim("aud"));
        }
        let ends = self.seconds("exp")?.ok_or(Refused::Claim("exp"))?;
        if ends.saturating_add(leeway) <= now {
            return Err(Refused::Expired);
        }
        if self
            .seconds("nbf")?
            .is_some_and(|begins| begins > now.saturating_add(leeway))
        {
            return Err(Refused::Claim("nbf"));
        }
        Ok(())
    }

    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A claim that is an instant, which may have a fraction; one that is there must be one.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast of a double saturates"
    )]
    fn seconds(&self, name: &'static str) -> Result<Option<i64>, Refused> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_i64()
                .or_else(|| {
                    value
                        .as_f64()
                        .filter(|n| n.is_finite())
                        .map(|n| n.floor() as i64)
                })
                .map(Some)
                .ok_or(Refused::Claim(name)),
        }
    }
}

/// A key as a provider shows it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a JWKS document. Those that are not for signatures that we take are left out.
///
/// # Errors
/// In words for people: it is no such document, or has none that can be used.
pub fn keys(document: &[u8]) -> Result<Vec<Key>, String> {
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<Value>,
    }
    let document: Document =
        serde_json::from_slice(document).map_err(|e| format!("it is no JWKS document: {e}"))?;
    let listed = document.keys.into_iter().take(KEYS_MAX);
    let keys: Vec<Key> = listed
        .filter_map(|value| key(serde_json::from_value(value).ok()?))
        .collect();
    if keys.is_empty() {
        return Err("it has no key for RS256, ES256 or EdDSA".to_owned());
    }
    Ok(keys)
}

fn key(jwk: Jwk) -> Option<Key> {
    let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
    let coordinate = |text: &Option<String>| bytes(text).filter(|bytes| bytes.len() == 32);
    let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", None) => Public::Rsa {
            n: bytes(&jwk.n)?,
            e: bytes(&jwk.e)?,
        },
        ("EC", Some("P-256")) => {
            let mut point = vec![4];
            point.extend(coordinate(&jwk.x)?);
            point.extend(coordinate(&jwk.y)?);
            Public::Ec(point)
        }
        ("OKP", Some("Ed25519")) => Public::Ed(coordinate(&jwk.x)?),
        _ => return None,
    };
    let key = Key {
        kid: jwk.kid,
        public,
    };
    let fits = jwk.alg.is_none_or(|alg| alg == key.algorithm());
    let signs = jwk.r#use.is_none_or(|of| of == "sig");
    (fits && signs).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        Expected {
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
            leeway: 60,
        }
    }

    fn at(claims: &str, now: i64) -> Result<(), Refused> {
        let claims: Claims = serde_json::from_str(claims).unwrap();
        claims.hold(&expected(), now)
    }

    #[test]
    fn claims_hold_from_their_beginning_to_their_end_give_or_take_the_leeway() {
        let claims = r#"{"iss":"i","aud":["x","a"],"nbf":1000,"exp":2000.5}"#;
        for (now, held) in [
            (939, Err(Refused::Claim("nbf"))),
            (940, Ok(())),
            (1500, Ok(())),
            (2059, Ok(())),
            (2060, Err(Refused::Expired)),
            (i64::MAX, Err(Refused::Expired)),
        ] {
            assert_eq!(at(claims, now), held, "{now}");
        }
        for (claims, refused) in [
            (r#"{"iss":"j","aud":"a","exp":9}"#, Refused::Claim("iss")),
            (r#"{"iss":["i"],"aud":"a","exp":9}"#, Refused::Claim("iss")),
            (r#"{"aud":"a","exp":9}"#, Refused::Claim("iss")),
            (r#"{"iss":"i","aud":"b","exp":9}"#, Refused::Claim("aud")),
            (
                r#"{"iss":"i","aud":{"a":1},"exp":9}"#,
                Refused::Claim("aud"),
            ),
            (r#"{"iss":"i","exp":9}"#, Refused::Claim("aud")),
            (r#"{"iss":"i","aud":"a"}"#, Refused::Claim("exp")),
            (r#"{"iss":"i","aud":"a","exp":"9"}"#, Refused::Claim("exp")),
            (r#"{"iss":"i","aud":"a","exp":null}"#, Refused::Claim("exp")),
            (
                r#"{"iss":"i","aud":"a","exp":9,"nbf":"x"}"#,
                Refused::Claim("nbf"),
            ),
        ] {
            assert_eq!(at(claims, 0), Err(refused), "{claims}");
        }
    }

    #[test]
    fn only_keys_for_signatures_that_are_taken_are_read() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let all = format!(
            r#"{{"keys":[
                {{"kty":"OKP","crv":"Ed25519","kid":"1","x":"{x}"}},
                {{"kty":"EC","crv":"P-256","kid":"2","x":"{x}","y":"{x}"}},
                {{"kty":"RSA","kid":"3","n":"{x}","e":"AQAB","use":"sig","alg":"RS256"}},
                {{"kty":"RSA","kid":"no","n":"{x}","e":"AQAB","use":"enc"}},
                {{"kty":"RSA","kid":"no","n":"{x}","e":"AQAB","alg":"PS256"}},
                {{"kty":"EC","crv":"P-384","kid":"no","x":"{x}","y":"{x}"}},
                {{"kty":"EC","crv":"P-256","kid":"no","x":"AQAB","y":"{x}"}},
                {{"kty":"OKP","crv":"X25519","kid":"no","x":"{x}"}},
                {{"kty":"oct","kid":"no","k":"{x}"}},
                {{"kty":"RSA","kid":"no","n":"+/=","e":"AQAB"}},
                7, {{}}]}}"#
        );
        let found = keys(all.as_bytes()).unwrap();
        let kids: Vec<_> = found.iter().filter_map(|key| key.kid.as_deref()).collect();
        assert_eq!(kids, ["1", "2", "3"]);
        for none in [
            "",
            "{}",
            "[]",
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kty":"oct"}]}"#,
        ] {
            assert!(keys(none.as_bytes()).is_err(), "{none}");
        }
    }

    #[test]
    fn what_is_no_token_is_malformed_and_nothing_panics() {
        for text in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "e30.e30.",
            "e30.e30.e30",
            "\u{1F600}.a.b",
        ] {
            let parts = Unverified::of(text);
            assert!(parts.is_err(), "{text}");
        }
        let long = format!("{}.e30.e30", "a".repeat(TOKEN_MAX));
        assert!(Unverified::of(&long).is_err());
    }
}
