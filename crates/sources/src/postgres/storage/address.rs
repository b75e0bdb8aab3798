//! The address of storage, taken apart.
//!
//! In: `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`. Out: a
//! [`StorageAt`], or what is wrong with the address, without a part of it that may be secret.

use assay_scan::reach::Secret;
use assay_scan::storage::StorageAt;

use crate::login::decoded;

/// Takes an address apart. `sslmode=disable` says that the network is trusted; otherwise a
/// connection to another machine is encrypted, and its certificate verified against the
/// authorities in the file `sslrootcert`, or those that this machine trusts.
///
/// # Errors
/// What is wrong with it, for people.
pub fn storage_at(url: &str) -> Result<StorageAt, String> {
    const FORM: &str = "it is not like postgres://user:password@host:5432/database";
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| url.trim().strip_prefix(scheme))
        .ok_or(FORM)?;
    let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').ok_or(FORM)?;
    let (login, machine) = authority.rsplit_once('@').ok_or(FORM)?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (host, port) = match machine.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (
            host,
            port.parse()
                .map_err(|_| "its port is no number".to_owned())?,
        ),
        _ => (machine, 5432),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if user.is_empty() || host.is_empty() || database.is_empty() {
        return Err(FORM.to_owned());
    }
    let mut at = StorageAt {
        host: host.to_owned(),
        port,
        database: decoded(database).map_err(|_| FORM)?,
        user: decoded(user).map_err(|_| FORM)?,
        password: Secret::new(decoded(password).map_err(|_| FORM)?),
        ca: None,
        plain: false,
        owner: String::new(),
    };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "sslmode" => at.plain = value == "disable",
            "sslrootcert" => {
                let path = decoded(value).map_err(|_| FORM)?;
                let text = std::fs::read_to_string(&path);
                at.ca = Some(text.map_err(|error| format!("cannot read {path}: {error}"))?);
            }
            "password" => at.password = Secret::new(decoded(value).map_err(|_| FORM)?),
            "host" => return Err("its server must be a machine's name, no socket".to_owned()),
            _ => {}
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let at = storage_at("postgres://us%40er:p%3Aw@db.example:6432/copies?sslmode=disable");
        let at = at.unwrap();
        assert_eq!(
            (at.host.as_str(), at.port, at.database.as_str()),
            ("db.example", 6432, "copies")
        );
        assert_eq!(
            (at.user.as_str(), at.password.reveal(), at.plain),
            ("us@er", "p:w", true)
        );
        assert_eq!(at.address(), "postgres://db.example:6432/copies");
        let at = storage_at("postgresql://u@[::1]/d").unwrap();
        assert_eq!(
            (at.host.as_str(), at.port, at.password.reveal()),
            ("::1", 5432, "")
        );
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for url in [
            "hunter2",
            "mysql://a:hunter2@h/d",
            "postgres://a:hunter2@h",
            "postgres://a:hunter2@h:x/d",
            "postgres://:hunter2@h/d",
            "postgres://a:hunter2@h/d?host=/tmp",
        ] {
            assert!(!storage_at(url).unwrap_err().contains("hunter2"), "{url}");
        }
    }
}
