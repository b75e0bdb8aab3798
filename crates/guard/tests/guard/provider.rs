//! An identity provider of a test: keys that sign, and a real HTTP server that shows them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use assay_guard::serve::connection;
use assay_guard::settings::LimitSettings;
use axum::Router;
use axum::routing::get;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// Base64 of URLs, without padding.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut bits = [0_u8; 3];
        bits[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for digit in 0..=group.len() {
            let at = (bits >> (18 - 6 * digit)) & 63;
            text.push(char::from(DIGITS[usize::try_from(at).unwrap()]));
        }
    }
    text
}

impl Signer {
    pub fn rsa() -> Self {
        // A key of this test alone; ring makes none.
        let key = include_bytes!("rsa_test_key.der");
        Self::Rsa(RsaKeyPair::from_der(key).unwrap())
    }

    pub fn ec() -> Self {
        let (random, by) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(by, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(by, key.as_ref(), &random).unwrap())
    }

    pub fn ed() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    /// Its public half, as a provider shows it.
    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
                       "n": base64(&public.n), "e": base64(&public.e)})
            }
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "kid": kid, "crv": "P-256", "x": base64(x), "y": base64(y)})
            }
            Self::Ed(key) => {
                let x = key.public_key().as_ref();
                json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": base64(x)})
            }
        }
    }

    /// A token with this head and these claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let (bytes, random) = (message.as_bytes(), SystemRandom::new());
        let signature = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", base64(&signature))
    }

    /// A token of this key with these claims.
    pub fn token(&self, kid: &str, claims: &Value) -> String {
        self.sign(
            &json!({"alg": self.algorithm(), "kid": kid, "typ": "JWT"}),
            claims,
        )
    }
}

/// A server that shows keys and counts how often it was asked.
pub struct Provider {
    pub address: SocketAddr,
    pub asked: Arc<AtomicU32>,
    keys: Arc<Mutex<Vec<Value>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Provider {
    pub async fn start(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keys = Arc::new(Mutex::new(keys));
        let asked = Arc::new(AtomicU32::new(0));
        let (shown, counted) = (Arc::clone(&keys), Arc::clone(&asked));
        let document = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let document = json!({ "keys": *shown.lock().unwrap() }).to_string();
            async move { document }
        };
        let discovery = json!({"issuer": format!("http://{address}"),
                               "jwks_uri": format!("http://{address}/keys")});
        let discovery = discovery.to_string();
        let router = Router::new().route("/keys", get(document)).route(
            "/.well-known/openid-configuration",
            get(move || async move { discovery }),
        );
        let task = tokio::spawn(async move {
            let (_open, closed) = tokio::sync::watch::channel(());
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let (router, closed) = (router.clone(), closed.clone());
                tokio::spawn(async move {
                    let limits = LimitSettings::default();
                    connection(stream, peer, router, &limits, closed).await;
                });
            }
        });
        Self {
            address,
            asked,
            keys,
            task,
        }
    }

    pub fn show(&self, keys: Vec<Value>) {
        *self.keys.lock().unwrap() = keys;
    }

    pub fn stop(&self) {
        self.task.abort();
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Claims of somebody of these groups, as they should be.
    pub fn claims(&self, groups: &[&str]) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({"iss": self.issuer(), "aud": "assay", "sub": "u1", "iat": now, "nbf": now,
               "exp": now + 300, "groups": groups})
    }

    /// Settings of a gateway that takes its tokens.
    pub fn settings(&self) -> String {
        format!(
            "[identity]\nmode = 'credentials'\n[identity.oidc]\nissuer = '{}'\naudience = 'assay'\n\
             leeway_seconds = 5\nrefetch_seconds = 1\nowners_claim = 'teams'\n\
             roles = {{ admins = ['operator'], data = ['subscriber:*'], pay = ['owner:payments'] }}\n",
            self.issuer()
        )
    }
}
