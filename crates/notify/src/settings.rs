//! What the operator allows and names: the file of notifications.
//!
//! Comes in: TOML. Goes out: settings, or an error that names the line. Secrets stand in it by
//! reference only. Nothing in it is needed: without the file, webhooks on public addresses are
//! reached, and nothing else.

use std::collections::BTreeMap;

use assay_model::dataset::Credential;
use serde::Deserialize;

use crate::channels::address::Entry;
use crate::event::Origin;

/// The settings of notifications.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What this cluster calls itself in messages.
    #[serde(default)]
    pub cluster: Cluster,
    /// Webhooks, those of Slack among them.
    #[serde(default)]
    pub webhook: Webhook,
    /// Slack.
    #[serde(default)]
    pub slack: Slack,
    /// Mail; absent: none is sent.
    #[serde(default)]
    pub email: Option<Email>,
    /// SNS and Lambda.
    #[serde(default)]
    pub aws: Aws,
}

/// What this cluster calls itself in messages.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Its name (`staging`).
    #[serde(default)]
    pub name: Option<String>,
    /// The address of its pages, for links.
    #[serde(default)]
    pub pages: Option<String>,
    /// What types of events begin with.
    #[serde(default)]
    pub type_prefix: Option<String>,
}

/// What webhooks may reach.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Machines that may be reached (`hooks.acme.example`, `*.acme.example`,
    /// `http://10.0.0.7:9000`); empty: every public one, by HTTPS. One of a private network, and
    /// one without HTTPS, is reached only if it is named itself.
    #[serde(default)]
    pub allow: Vec<Entry>,
}

/// Channels of Slack.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// The address of each channel's incoming webhook, which is a secret, by reference.
    #[serde(default)]
    pub channels: BTreeMap<String, Credential>,
}

/// How the connection to the server of mail is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// From the first byte.
    Tls,
    /// After a greeting.
    #[default]
    Starttls,
    /// Not at all: for a server on this very machine.
    None,
}

/// Mail.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The server.
    pub host: String,
    /// Its port; absent: the usual one.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is secured.
    #[serde(default)]
    pub security: Security,
    /// Whom mails are from.
    pub from: String,
    /// Who logs in; absent: nobody.
    #[serde(default)]
    pub user: Option<String>,
    /// The password, by reference.
    #[serde(default)]
    pub password: Option<Credential>,
    /// Domains that mails may go to; empty: any.
    #[serde(default)]
    pub domains: Vec<String>,
}

/// SNS and Lambda.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// What ARNs of topics and functions must begin with; empty: none is reached, for they are
    /// reached as this program, and not as whoever subscribes.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// Settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSettings(String);

impl Settings {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`BadSettings`] with the line and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        let settings: Self = toml::from_str(text).map_err(|e| BadSettings(e.to_string()))?;
        let on_this_machine = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "::1");
        if let Some(email) = &settings.email
            && email.security == Security::None
            && email.password.is_some()
            && !on_this_machine(&email.host)
        {
            return Err(BadSettings(format!(
                "[email] would send its password to {} without TLS: set `security` to `tls` or \
                 `starttls`",
                email.host
            )));
        }
        Ok(settings)
    }

    /// What this cluster calls itself.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let usual = Origin::default();
        let pages = self.cluster.pages.as_ref();
        Origin {
            cluster: self.cluster.name.clone().unwrap_or(usual.cluster),
            pages: pages.map(|pages| pages.trim_end_matches('/').to_owned()),
            prefix: self.cluster.type_prefix.clone().unwrap_or(usual.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_what_is_unknown_in_it_is_named() {
        let settings = Settings::parse(
            "[cluster]\nname = \"staging\"\npages = \"https://assay.example/\"\n\
             [webhook]\nallow = [\"*.acme.example\", \"http://127.0.0.1:9000\"]\n\
             [slack.channels]\n\"#orders\" = \"env:SLACK_ORDERS\"\n\
             [email]\nhost = \"smtp.acme.example\"\nfrom = \"assay@acme.example\"\n\
             password = \"file:smtp\"\n",
        )
        .unwrap();
        assert_eq!(settings.webhook.allow.len(), 2);
        assert_eq!(
            settings.origin().pages.as_deref(),
            Some("https://assay.example")
        );
        assert_eq!(settings.email.unwrap().security, Security::Starttls);
        let wrong = Settings::parse("[webhook]\nalow = []\n").unwrap_err();
        assert!(wrong.to_string().contains("alow"), "{wrong}");
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
    }

    #[test]
    fn a_secret_itself_is_refused_and_not_repeated() {
        let text = "[slack.channels]\n\"#orders\" = \"https://hooks.slack.com/services/CANARY\"\n";
        let wrong = Settings::parse(text).unwrap_err().to_string();
        assert!(wrong.contains("not a reference"), "{wrong}");
    }

    #[test]
    fn no_password_goes_over_a_network_in_the_open() {
        let text = "[email]\nhost = \"smtp.acme.example\"\nfrom = \"a@b.example\"\n\
                    security = \"none\"\npassword = \"env:SMTP\"\n";
        assert!(Settings::parse(text).is_err());
        let text = text.replace("smtp.acme.example", "127.0.0.1");
        assert!(Settings::parse(&text).is_ok());
    }
}
