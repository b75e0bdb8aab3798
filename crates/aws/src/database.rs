//! What RDS takes for a password: a request to connect, signed by whoever AWS takes this process for.
//!
//! Comes in: a configuration, and who logs in where. Goes out: a token, and for how long connections
//! may be made with it. Nothing is sent for it but what the identity itself may need. It must never
//! print a token: whoever has one may log in.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;

/// For how long connections may be made with a token (RDS takes no longer one).
pub const TOKEN_HOLDS: Duration = Duration::from_secs(15 * 60);

/// Who logs in where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The server's name: the one of RDS, not another that leads to it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The role, which has `rds_iam`.
    pub user: String,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum NoToken {
    /// The process has no identity.
    #[error(
        "this process has no identity of AWS that a token could be signed with: {0}; give its task a role, or set a profile"
    )]
    Identity(String),
    /// The region is not known.
    #[error("no AWS region is known: set AWS_REGION to the database's")]
    Region,
    /// The request cannot be signed.
    #[error("the token cannot be signed: {0}")]
    Signature(String),
}

/// A token by the identity of this moment.
///
/// # Errors
/// [`NoToken`].
pub async fn database_token(config: &SdkConfig, login: &Login) -> Result<String, NoToken> {
    let provider = config
        .credentials_provider()
        .ok_or_else(|| NoToken::Identity("nothing provides one".to_owned()))?;
    let region = config.region().ok_or(NoToken::Region)?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| NoToken::Identity(causes(&error)))?;
    signed(credentials, region.as_ref(), login, SystemTime::now())
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(present) = cause {
        let _ = write!(text, ": {present}");
        cause = present.source();
    }
    text
}

/// A token that is signed at `at`.
fn signed(
    credentials: Credentials,
    region: &str,
    login: &Login,
    at: SystemTime,
) -> Result<String, NoToken> {
    let failed = |error: &dyn std::error::Error| NoToken::Signature(causes(error));
    let Login { host, port, user } = login;
    let place = format!("{host}:{port}/?Action=connect&DBUser={}", encoded(user));
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(TOKEN_HOLDS);
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("rds-db")
        .time(at)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let url = format!("https://{place}");
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| failed(&error))?;
    let (told, _) = sign(request, &parameters)
        .map_err(|error| failed(&error))?
        .into_parts();
    let mut token = place;
    for (name, value) in told.params() {
        let _ = write!(token, "&{name}={}", encoded(value));
    }
    Ok(token)
}

/// A value of a query, as signatures of AWS have them: all but letters, digits and `-._~` in hexadecimal.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use std::collections::BTreeSet;

    use super::*;

    fn login() -> Login {
        Login {
            host: "store.abc.eu-west-1.rds.amazonaws.com".to_owned(),
            port: 5432,
            user: "assay".to_owned(),
        }
    }

    /// 2026-11-21T12:00:00Z.
    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400)
    }

    #[test]
    fn a_token_is_the_one_that_the_sdk_of_another_language_makes() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let session = "a/token+with=signs".to_owned();
        let credentials = Credentials::new("AKIDEXAMPLE", secret, Some(session), None, "a test");
        let token = signed(credentials, "eu-west-1", &login(), noon()).unwrap();
        // By botocore's generate_db_auth_token at the same instant.
        let theirs = "store.abc.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=assay\
            &X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIDEXAMPLE%2F20261121%2Feu-west-1%2Frds-db%2Faws4_request\
            &X-Amz-Date=20261121T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
            &X-Amz-Security-Token=a%2Ftoken%2Bwith%3Dsigns\
            &X-Amz-Signature=514e341f0a15cc21c89ee418ddcfeaae26e421a1ce4877d61160659b79a46d47";
        let parts = |token: &str| -> BTreeSet<String> {
            let (_, query) = token.split_once('?').unwrap();
            query.split('&').map(str::to_owned).collect()
        };
        assert_eq!(parts(&token), parts(theirs));
        assert_eq!(
            token.split_once('?').unwrap().0,
            theirs.split_once('?').unwrap().0
        );
    }

    #[test]
    fn another_user_or_another_time_gives_another_token() {
        let of = |user: &str, at| {
            let credentials = Credentials::new("A", "B", None, None, "a test");
            let login = Login {
                user: user.to_owned(),
                ..login()
            };
            signed(credentials, "eu-west-1", &login, at).unwrap()
        };
        let first = of("assay", noon());
        assert_eq!(first, of("assay", noon()));
        assert_ne!(first, of("assay", noon() + Duration::from_secs(1)));
        assert!(of("a b&c", noon()).contains("DBUser=a%20b%26c&"));
    }
}
