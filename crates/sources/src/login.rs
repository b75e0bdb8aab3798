//! The secret that logs in to a database, taken apart.
//!
//! In: the secret's text. Out: user, password and how the connection is made safe. The text is
//! `user:password`, an address `postgres://user:password@…` or `mysql://user:password@…` (of which
//! only that part and `sslmode=disable` or `ssl-mode=DISABLED` count), or a JSON object with `username` and `password`, as RDS keeps it in Secrets Manager. The
//! object may have `ca` (certificates in PEM that the server's is signed by) and `tls: "off"`.
//! It must never put a part of the text into an error.

use assay_model::dataset::Source;
use assay_scan::error::{Place, ScanError};
use assay_scan::reach::{Access, Secret};
use serde::Deserialize;

/// What logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
    /// Certificates of the authority, in PEM, instead of the machine's.
    pub(crate) ca: Option<String>,
    /// Whether the connection may be one that others can read.
    pub(crate) plain: bool,
}

#[derive(Deserialize)]
struct Json {
    #[serde(alias = "user")]
    username: String,
    password: String,
    #[serde(default)]
    ca: Option<String>,
    #[serde(default)]
    tls: Option<String>,
}

/// What is wrong with a secret.
const FORM: &str = "the secret is none of `user:password`, an address such as \
                    `postgres://user:password@…`, and a JSON object with `username` and `password`";

/// A name and a password that can be sent: neither ends before its end.
fn whole(user: &str, password: &str) -> Result<(), &'static str> {
    if user.is_empty() || user.contains('\0') || password.contains('\0') {
        return Err(FORM);
    }
    Ok(())
}

impl Login {
    /// Takes a secret apart.
    pub(crate) fn parse(secret: &Secret) -> Result<Self, &'static str> {
        let text = secret.reveal().trim();
        if text.starts_with('{') {
            let json: Json = serde_json::from_str(text).map_err(|_| FORM)?;
            whole(&json.username, &json.password)?;
            return Ok(Self {
                user: json.username,
                password: Secret::new(json.password),
                ca: json.ca,
                plain: json.tls.as_deref() == Some("off"),
            });
        }
        let address = ["postgres://", "postgresql://", "mysql://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        let (pair, plain) = match address {
            Some(rest) => {
                let place = rest.split(['/', '?']).next().unwrap_or(rest);
                let (pair, _) = place.rsplit_once('@').ok_or(FORM)?;
                let options = rest.rsplit_once('@').map_or("", |(_, behind)| behind);
                let options = options.split_once('?').map_or("", |(_, options)| options);
                let is_off = |one: &str| matches!(one, "sslmode=disable" | "ssl-mode=DISABLED");
                (pair, options.split('&').any(is_off))
            }
            None => (text, false),
        };
        let (user, password) = pair.split_once(':').ok_or(FORM)?;
        let (user, password) = if address.is_some() {
            (decoded(user)?, decoded(password)?)
        } else {
            (user.to_owned(), password.to_owned())
        };
        whole(&user, &password)?;
        Ok(Self {
            user,
            password: Secret::new(password),
            ca: None,
            plain,
        })
    }
}

/// What logs in to the database of a source, by its reference, which is told with it; `place` is what
/// errors call the database.
///
/// # Errors
/// [`ScanError::Definition`] when nothing is named, is not to be had, or is no login.
pub(crate) fn of_source(
    source: &Source,
    access: &Access,
    place: &str,
) -> Result<(String, Login), ScanError> {
    let wrong = |what: String, remedy: &str| ScanError::Definition {
        path: place.to_owned(),
        place: Place::file(),
        what,
        remedy: remedy.to_owned(),
    };
    let Some(credential) = &source.credential else {
        return Err(wrong(
            "nothing is named that logs in there".to_owned(),
            "under the server's customProperties, write `credentialRef: env:NAME`, \
             `file:path` or `aws-sm:name`",
        ));
    };
    let Some(secret) = access.secret(credential) else {
        return Err(wrong(
            format!("{credential} is not to be had here"),
            "make it known to the node that reads the source",
        ));
    };
    let login = Login::parse(secret)
        .map_err(|what| wrong(format!("{credential}: {what}"), "correct the secret"))?;
    Ok((credential.to_string(), login))
}

/// A text with `%XX` in it.
pub(crate) fn decoded(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        let byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
        bytes.push(byte.ok_or(FORM)?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| FORM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Login, &'static str> {
        Login::parse(&Secret::new(text))
    }

    #[test]
    fn a_secret_is_read_in_each_of_its_three_forms() {
        for text in [
            "reader:p:w/@%",
            "postgres://reader:p%3Aw%2F%40%25@db:5432/shop",
            r#"{"username":"reader","password":"p:w/@%","engine":"postgres","port":5432}"#,
        ] {
            let login = parse(text).unwrap();
            assert_eq!((login.user.as_str(), login.plain), ("reader", false));
            assert_eq!(login.password.reveal(), "p:w/@%");
        }
        assert!(parse("postgres://a:b@h/d?sslmode=disable").unwrap().plain);
        assert!(parse("mysql://a:b@h/d?ssl-mode=DISABLED").unwrap().plain);
        assert!(
            parse(r#"{"username":"a","password":"b","tls":"off"}"#)
                .unwrap()
                .plain
        );
    }

    #[test]
    fn a_secret_of_no_form_is_refused_without_being_shown() {
        for text in [
            "hunter2",
            "{hunter2",
            "postgres://hunter2",
            ":hunter2",
            "postgres://a:%zz@h",
        ] {
            assert!(!parse(text).unwrap_err().contains("hunter2"));
        }
        assert!(!format!("{:?}", parse("a:hunter2")).contains("hunter2"));
    }
}
