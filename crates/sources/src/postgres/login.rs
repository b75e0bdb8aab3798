//! The secret that logs in to a database, taken apart.
//!
//! In: the secret's text. Out: user, password and how the connection is made safe. The text is
//! `user:password`, an address `postgres://user:password@…` (of which only that part and `sslmode`
//! count), or a JSON object with `username` and `password`, as RDS keeps it in Secrets Manager. The
//! object may have `ca` (certificates in PEM that the server's is signed by) and `tls: "off"`.
//! It must never put a part of the text into an error.

use assay_scan::reach::Secret;
use serde::Deserialize;

/// What logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Secret,
    /// Certificates of the authority, in PEM, instead of the machine's.
    pub(super) ca: Option<String>,
    /// Whether the connection may be one that others can read.
    pub(super) plain: bool,
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
const FORM: &str = "the secret is none of `user:password`, `postgres://user:password@…` and a JSON \
                    object with `username` and `password`";

/// A name and a password that can be sent: neither ends before its end.
fn whole(user: &str, password: &str) -> Result<(), &'static str> {
    if user.is_empty() || user.contains('\0') || password.contains('\0') {
        return Err(FORM);
    }
    Ok(())
}

impl Login {
    /// Takes a secret apart.
    pub(super) fn parse(secret: &Secret) -> Result<Self, &'static str> {
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
                (pair, options.split('&').any(|one| one == "sslmode=disable"))
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

/// A text with `%XX` in it.
pub(super) fn decoded(text: &str) -> Result<String, &'static str> {
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
