//! What the function is told: environment variables.
//!
//! Comes in: the environment. Goes out: settings that have been checked. It must never reach a
//! manager of another machine without TLS, unless it is told so.

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The table of definitions.
    pub table: String,
    /// The managers' addresses, with their scheme.
    pub managers: Vec<String>,
    /// The name that managers' certificates are checked for, instead of their address.
    pub server_name: Option<String>,
    /// The secret that holds this function's identity.
    pub secret: Option<String>,
    /// What is logged.
    pub log: String,
}

impl Settings {
    /// The settings of an environment.
    ///
    /// # Errors
    /// What is missing or wrong, and what to do.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let text = |name: &str| {
            let value = variable(name)?;
            let value = value.trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        let secret = text("ASSAY_TLS_SECRET");
        let insecure = text("ASSAY_INSECURE").is_some_and(|word| word == "true" || word == "1");
        let named = text("ASSAY_MANAGERS")
            .ok_or("ASSAY_MANAGERS is not set: name the managers, https://HOST:8081,…")?;
        let mut managers = Vec::new();
        for name in named.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            managers.push(address(name, secret.is_some(), insecure)?);
        }
        if managers.is_empty() {
            return Err("ASSAY_MANAGERS names no manager".to_owned());
        }
        Ok(Self {
            table: text("ASSAY_REGISTRY_TABLE")
                .ok_or("ASSAY_REGISTRY_TABLE is not set: name the table of definitions")?,
            managers,
            server_name: text("ASSAY_TLS_SERVER_NAME"),
            secret,
            log: text("ASSAY_LOG").unwrap_or_else(|| "info".to_owned()),
        })
    }
}

fn address(name: &str, secured: bool, insecure: bool) -> Result<String, String> {
    let (scheme, rest) = match name.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None if secured => ("https", name),
        None => ("http", name),
    };
    let rest = rest.trim_end_matches('/');
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    let is_here = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
    match (scheme, secured) {
        ("https", false) => Err(format!(
            "{name} needs a certificate: name the secret that holds one in ASSAY_TLS_SECRET"
        )),
        ("http", true) => Err(format!("{name} is not secured: write https://")),
        ("http", false) if !is_here && !insecure => Err(format!(
            "{name} is another machine and not secured: set ASSAY_TLS_SECRET, or say \
             ASSAY_INSECURE=true in a closed network"
        )),
        ("http" | "https", _) => Ok(format!("{scheme}://{rest}")),
        _ => Err(format!(
            "{name} is no address of a manager: https://HOST:8081"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::of(|name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_table_and_a_manager_are_needed() {
        let table = ("ASSAY_REGISTRY_TABLE", "datasets");
        assert!(of(&[table]).unwrap_err().contains("ASSAY_MANAGERS"));
        let manager = ("ASSAY_MANAGERS", "127.0.0.1:8081, http://localhost:8082/");
        assert!(of(&[manager]).unwrap_err().contains("ASSAY_REGISTRY_TABLE"));
        let settings = of(&[table, manager]).unwrap();
        assert_eq!(
            settings.managers,
            ["http://127.0.0.1:8081", "http://localhost:8082"]
        );
    }

    #[test]
    fn other_machines_are_reached_by_tls_or_on_an_explicit_word() {
        let table = ("ASSAY_REGISTRY_TABLE", "datasets");
        let other = ("ASSAY_MANAGERS", "manager.internal:8081");
        let secret = ("ASSAY_TLS_SECRET", "arn:aws:secretsmanager:x");
        assert!(
            of(&[table, other])
                .unwrap_err()
                .contains("ASSAY_TLS_SECRET")
        );
        assert!(of(&[table, other, ("ASSAY_INSECURE", "true")]).is_ok());
        let settings = of(&[table, other, secret]).unwrap();
        assert_eq!(settings.managers, ["https://manager.internal:8081"]);
        let plain = ("ASSAY_MANAGERS", "http://manager.internal:8081");
        assert!(of(&[table, plain, secret]).unwrap_err().contains("https"));
        let tls = ("ASSAY_MANAGERS", "https://manager.internal:8081");
        assert!(of(&[table, tls]).unwrap_err().contains("certificate"));
        assert!(of(&[table, ("ASSAY_MANAGERS", "ftp://x:1")]).is_err());
    }
}
