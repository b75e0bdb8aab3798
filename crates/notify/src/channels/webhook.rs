//! Webhooks: a CloudEvent in JSON, signed as Standard Webhooks are.
//!
//! Comes in: a delivery. Goes out: a request whose `webhook-id` is the event's id, the same at every
//! attempt, and whose signature covers id, time and body. It must never send the secret itself.

use assay_keys::Secret;
use assay_model::notice::{Delivery, Subscription};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;

use super::{Channels, Failure};

/// What keys of Standard Webhooks begin with; the rest is base64.
const KEY_PREFIX: &str = "whsec_";

fn key(secret: &Secret) -> Result<hmac::Key, Failure> {
    let bytes = match secret.reveal().strip_prefix(KEY_PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| {
            Failure::passing("the secret begins with whsec_ and goes on with what is no base64")
        })?,
        None => secret.reveal().as_bytes().to_vec(),
    };
    if bytes.is_empty() {
        return Err(Failure::passing("the secret is empty"));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The value of `webhook-signature`.
fn signature(key: &hmac::Key, id: &str, at: i64, body: &str) -> String {
    let signed = hmac::sign(key, format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(signed.as_ref()))
}

pub(super) async fn carry(
    channels: &Channels,
    to: &Subscription,
    delivery: &Delivery,
) -> Result<(), Failure> {
    let body = delivery.event.to_string();
    let id = delivery.id.simple().to_string();
    let at = Timestamp::now().as_second();
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        // Digits, hexadecimals and base64: always a value of a header.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("webhook-id", &id);
    put("webhook-timestamp", &at.to_string());
    if let Some(credential) = &to.secret {
        let secret = channels.secret(credential).await?;
        put(
            "webhook-signature",
            &signature(&key(&secret)?, &id, at, &body),
        );
    }
    let kind = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    channels.http.post(&to.target, headers, body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        // From the reference of Standard Webhooks.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = signature(
            &key(&secret).unwrap(),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_cannot_be_one_is_refused_without_being_quoted() {
        for wrong in ["whsec_", "whsec_not/base 64!", ""] {
            let told = key(&Secret::new(wrong)).unwrap_err().to_string();
            assert!(!told.contains("not/base"), "{told}");
        }
        assert!(key(&Secret::new("plain")).is_ok());
    }
}
