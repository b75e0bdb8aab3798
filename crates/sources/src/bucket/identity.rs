//! Who asks an object store, and with what.
//!
//! In: the secret that a definition refers to, the role that it names, and what this machine is
//! given. Out: credentials for the requests. A role is taken on with a policy of the session that
//! leaves it one prefix of one bucket, whatever else the role may do. Secrets and what is got for
//! them stay in memory, and no error shows one.

use std::sync::Arc;
use std::time::Duration;

use assay_model::source::Bucket;
use assay_scan::reach::Secret;
use async_trait::async_trait;
use jiff::Timestamp;
use object_store::CredentialProvider;
use object_store::StaticCredentialProvider;
use object_store::aws::{AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpRequestBody};

use super::names;

/// How long a role is taken on for, and how long before its end it is taken on anew.
const SESSION_SECONDS: u64 = 3600;
const RENEWED_BEFORE: Duration = Duration::from_secs(300);
/// Requests for a role in all, and the pause after the first.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// What a key of S3 is called that the source's own reference names.
pub(crate) const GIVEN_KEY: &str = "the given key";

/// A role that was not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoIdentity {
    /// It may pass.
    #[error("{0}")]
    Away(String),
    /// It is refused.
    #[error("{0}")]
    Refused(String),
}

impl From<NoIdentity> for object_store::Error {
    fn from(none: NoIdentity) -> Self {
        Self::Generic {
            store: "STS",
            source: Box::new(none),
        }
    }
}

/// What a secret says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nobody in particular: a bucket that is open to all.
    Anonymous,
    /// A key of S3, its secret, and the token of a session.
    Key {
        /// Its id.
        id: String,
        /// Its secret.
        secret: String,
        /// The token of a session.
        token: Option<String>,
    },
}

/// Reads a secret for S3: `anonymous`, `KEY_ID:SECRET`, `KEY_ID:SECRET:TOKEN`, or an object of JSON
/// as the AWS tools write it.
///
/// # Errors
/// A sentence that says what is missing, without what is there.
pub(crate) fn given(secret: &Secret) -> Result<Given, String> {
    let text = secret.reveal().trim();
    if text.eq_ignore_ascii_case("anonymous") {
        return Ok(Given::Anonymous);
    }
    let expected = "it is no key of S3: write KEY_ID:SECRET, KEY_ID:SECRET:TOKEN, or JSON with \
                    access_key_id and secret_access_key";
    let (id, key, token) = if text.starts_with('{') {
        let read: serde_json::Value =
            serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned())?;
        let read = read.get("Credentials").unwrap_or(&read);
        let of = |names: &[&str]| {
            let found = names.iter().find_map(|name| read.get(*name)?.as_str());
            found.unwrap_or_default().trim().to_owned()
        };
        (
            of(&["access_key_id", "aws_access_key_id", "AccessKeyId"]),
            of(&[
                "secret_access_key",
                "aws_secret_access_key",
                "SecretAccessKey",
            ]),
            of(&[
                "session_token",
                "aws_session_token",
                "SessionToken",
                "token",
            ]),
        )
    } else {
        let mut parts = text.splitn(3, ':').map(str::trim);
        let mut next = || parts.next().unwrap_or_default().to_owned();
        (next(), next(), next())
    };
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
    if id.is_empty() || key.is_empty() || ![&id, &key, &token].into_iter().all(|t| plain(t)) {
        return Err(expected.to_owned());
    }
    Ok(Given::Key {
        id,
        secret: key,
        token: Some(token).filter(|token| !token.is_empty()),
    })
}

/// Always the same credential.
pub(crate) fn of_key(id: String, secret: String, token: Option<String>) -> AwsCredentialProvider {
    Arc::new(StaticCredentialProvider::new(AwsCredential {
        key_id: id,
        secret_key: secret,
        token,
    }))
}

/// A role, taken on for one prefix of one bucket.
pub(crate) struct Assumed {
    /// Who takes it on.
    pub by: AwsCredentialProvider,
    /// The way to the service.
    pub client: HttpClient,
    /// Its address.
    pub service: String,
    /// Its region.
    pub region: String,
    /// The body of the request.
    pub request: String,
    /// What is held, and until when.
    pub held: tokio::sync::Mutex<Option<(Arc<AwsCredential>, Timestamp)>>,
}

impl std::fmt::Debug for Assumed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assumed")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// The request that takes on the bucket's role for what lies below `root`.
pub(crate) fn request(
    bucket: &Bucket,
    role: &str,
    root: &str,
    external_id: Option<&str>,
) -> String {
    let mut fields = vec![
        ("Action", "AssumeRole".to_owned()),
        ("Version", "2011-06-15".to_owned()),
        ("RoleArn", role.to_owned()),
        ("RoleSessionName", "assay".to_owned()),
        ("DurationSeconds", SESSION_SECONDS.to_string()),
        ("Policy", session_policy(&bucket.name, role, root)),
    ];
    if let Some(id) = external_id {
        fields.push(("ExternalId", id.to_owned()));
    }
    let quoted = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", quote(value)));
    quoted.collect::<Vec<_>>().join("&")
}

/// What the session may do: read and list below `root`, and have that decrypted by S3.
fn session_policy(bucket: &str, role: &str, root: &str) -> String {
    let partition = role.split(':').nth(1).unwrap_or("aws");
    let arn = format!("arn:{partition}:s3:::{bucket}");
    let (objects, prefixes) = if root.is_empty() {
        (vec![format!("{arn}/*")], vec!["*".to_owned()])
    } else {
        (
            vec![format!("{arn}/{root}"), format!("{arn}/{root}/*")],
            vec![root.to_owned(), format!("{root}/*")],
        )
    };
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": objects},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn,
             "Condition": {"StringLike": {"s3:prefix": prefixes}}},
            {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
             "Condition": {"StringLike": {"kms:ViaService": "s3.*"}}},
        ],
    })
    .to_string()
}

fn quote(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

impl Assumed {
    async fn take_on(&self) -> Result<(Arc<AwsCredential>, Timestamp), object_store::Error> {
        let by = self.by.get_credential().await?;
        let mut pause = PAUSE;
        for attempt in 1.. {
            let error = match self.ask(&by).await {
                Ok(held) => return Ok(held),
                Err(error) => error,
            };
            if matches!(error, NoIdentity::Refused(_)) || attempt == ATTEMPTS {
                return Err(error.into());
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the attempts are bounded")
    }

    async fn ask(&self, by: &AwsCredential) -> Result<(Arc<AwsCredential>, Timestamp), NoIdentity> {
        let asked =
            |what: String| format!("the role is not to be had from {}: {what}", self.service);
        let mut request = ::http::Request::post(&self.service)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(HttpRequestBody::from(self.request.clone()))
            .map_err(|error| NoIdentity::Refused(asked(error.to_string())))?;
        AwsAuthorizer::new(by, "sts", &self.region).authorize(&mut request, None);
        let answer = self.client.execute(request).await.map_err(|error| {
            let mut told = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(one) = cause {
                told = format!("{told}: {one}");
                cause = one.source();
            }
            NoIdentity::Away(asked(told))
        })?;
        let status = answer.status();
        let body = answer.into_body().bytes().await;
        let body = body.map_err(|error| NoIdentity::Away(asked(error.to_string())))?;
        let text = String::from_utf8_lossy(&body);
        let of = |name: &str| names::element(&text, name);
        if !status.is_success() {
            let code = of("Code").unwrap_or_default();
            let told = asked(format!(
                "it answers {status} {code}: {}",
                of("Message").unwrap_or_default()
            ));
            let passes = status.is_server_error()
                || status.as_u16() == 429
                || code.starts_with("Throttl")
                || code.starts_with("ExpiredToken");
            return Err(if passes {
                NoIdentity::Away(told)
            } else {
                NoIdentity::Refused(told)
            });
        }
        let (Some(id), Some(secret), Some(token)) =
            (of("AccessKeyId"), of("SecretAccessKey"), of("SessionToken"))
        else {
            return Err(NoIdentity::Away(asked(
                "its answer has no credentials".to_owned(),
            )));
        };
        let until = of("Expiration").and_then(|text| text.parse::<Timestamp>().ok());
        let until = until.unwrap_or_else(|| Timestamp::now() + RENEWED_BEFORE * 2);
        let credential = AwsCredential {
            key_id: id,
            secret_key: secret,
            token: Some(token),
        };
        Ok((Arc::new(credential), until))
    }
}

#[async_trait]
impl CredentialProvider for Assumed {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut held = self.held.lock().await;
        if let Some((credential, until)) = held.as_ref()
            && Timestamp::now() + RENEWED_BEFORE < *until
        {
            return Ok(credential.clone());
        }
        let (credential, until) = self.take_on().await?;
        *held = Some((credential.clone(), until));
        Ok(credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_each_of_its_spellings_and_never_shown() {
        let key = |text: &str| match given(&Secret::new(text)) {
            Ok(Given::Key { id, secret, token }) => (id, secret, token),
            _ => panic!("no key"),
        };
        let wanted = ("AKIA".to_owned(), "s/e+c".to_owned(), None);
        assert_eq!(key("AKIA:s/e+c\n"), wanted);
        assert_eq!(
            key(r#"{"access_key_id":"AKIA","secret_access_key":"s/e+c"}"#),
            wanted
        );
        let with_token =
            key(r#"{"Credentials":{"AccessKeyId":"A","SecretAccessKey":"s","SessionToken":"t"}}"#);
        assert_eq!(with_token.2.as_deref(), Some("t"));
        assert_eq!(key("A:s:t").2.as_deref(), Some("t"));
        assert!(given(&Secret::new("anonymous")) == Ok(Given::Anonymous));
        for bad in [
            "canary",
            "canary:",
            ":canary",
            "{canary",
            r#"{"x":"canary"}"#,
            "a:ca nary",
        ] {
            let told = given(&Secret::new(bad)).err().unwrap();
            assert!(!told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn a_session_may_read_its_prefix_and_nothing_else() {
        let policy = session_policy(
            "trips",
            "arn:aws-cn:iam::123456789012:role/r",
            "yellow/2024",
        );
        let read: serde_json::Value = serde_json::from_str(&policy).unwrap();
        let statement = &read["Statement"];
        assert_eq!(
            statement[0]["Resource"],
            serde_json::json!([
                "arn:aws-cn:s3:::trips/yellow/2024",
                "arn:aws-cn:s3:::trips/yellow/2024/*"
            ])
        );
        assert_eq!(
            statement[1]["Condition"]["StringLike"]["s3:prefix"],
            serde_json::json!(["yellow/2024", "yellow/2024/*"])
        );
        assert_eq!(quote("a b/ü"), "a%20b%2F%C3%BC");
    }
}
