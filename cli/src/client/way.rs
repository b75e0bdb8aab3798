//! Which way a command goes to its cluster: by the HTTP API, or to a manager by gRPC.
//!
//! Comes in: the settings. Goes out: a cluster to ask. What an address is told by its looks and by
//! what is named beside it, never by trying: it must never send a token where it was not meant to go.

use std::sync::Arc;

use anyhow::{Result, bail};

use super::http::Http;
use super::port::Cluster;
use super::{Client, coded};
use crate::config::Settings;
use crate::context::Context;
use crate::exit::{Exit, OrExit as _};

/// Where the HTTP API begins at a gateway.
pub const API: &str = "/api/v1";

/// The settings that an address of `--server` sets: that of a gateway, and those of managers.
const KEYS: [&str; 2] = ["server.url", "client.server"];

/// Takes `--server`: it says which way is gone, whatever other settings say.
pub fn named(settings: &mut Settings, address: &str) -> Result<()> {
    let flag = "flag --server";
    let [http, grpc] = if is_gateway(address, settings.text("client.tls_cert").is_some()) {
        [address, ""]
    } else {
        ["", address]
    };
    settings.set(KEYS[0], http.to_owned(), flag)?;
    settings.set(KEYS[1], grpc.to_owned(), flag)
}

/// Whether an address of `--server` is one of a gateway: what names the API, and `https://` when no
/// certificate is named that a manager would know this end by.
fn is_gateway(address: &str, certificate: bool) -> bool {
    let plain = address.trim_end_matches('/');
    let schemed = plain.starts_with("https://") || plain.starts_with("http://");
    let one = !plain.contains(',');
    one && schemed && (plain.ends_with(API) || (plain.starts_with("https://") && !certificate))
}

/// Whether the settings name a cluster rather than a folder of this machine.
pub fn is_elsewhere(cx: &Context) -> bool {
    KEYS.iter().any(|key| cx.settings.text(key).is_some())
}

/// The gateway that the settings name, if they do.
pub fn gateway(cx: &Context) -> Result<Option<Http>> {
    let Some(address) = cx.settings.text(KEYS[0]) else {
        return Ok(None);
    };
    trusted(&cx.settings).or_exit(Exit::Usage)?;
    Http::new(address, cx).map(Some)
}

/// A folder may come from anybody (a clone, an archive): its settings file neither says what is sent
/// as a token, nor whose word for a gateway is good, nor where a token goes that others name.
fn trusted(settings: &Settings) -> Result<()> {
    for key in ["server.token", "server.ca"] {
        if settings.is_of_folder(key) {
            bail!(
                "{key} is not taken from ./assay.toml, which came with the folder\n  \
                 write it in your own settings (assay config path), in the environment, or name the \
                 file: --config assay.toml"
            );
        }
    }
    if settings.text("server.token").is_some() && settings.is_of_folder(KEYS[0]) {
        bail!(
            "your token is not sent to the gateway that ./assay.toml names, which came with the folder\n  \
             name the gateway yourself: --server URL, server.url in your own settings, or \
             --config assay.toml"
        );
    }
    Ok(())
}

/// The cluster that is named, or the one that runs on the data folder.
pub async fn connect(cx: &Context) -> Result<Arc<dyn Cluster>> {
    match gateway(cx)? {
        Some(http) => Ok(Arc::new(http)),
        None => Ok(Arc::new(Client::connect(cx).await?)),
    }
}

/// The same; `None` when none is named and none runs on the data folder.
pub async fn find(cx: &Context) -> Result<Option<Arc<dyn Cluster>>> {
    if let Some(http) = gateway(cx)? {
        return Ok(Some(Arc::new(http)));
    }
    let found = Client::find(cx).await?;
    Ok(found.map(|client| Arc::new(client) as Arc<dyn Cluster>))
}

/// Refuses what the HTTP API does not have when only a gateway is named: what runs on this machine
/// is not what was meant.
pub fn only_managers(cx: &Context) -> Result<()> {
    match (cx.settings.text(KEYS[0]), cx.settings.text(KEYS[1])) {
        (Some(url), None) => Err(coded(
            Exit::Usage,
            format!(
                "this command speaks to a manager, and {url} is a gateway\n  \
                 name a manager with your certificate: --server https://HOST:8081 --tls-ca FILE \
                 --tls-cert FILE --tls-key FILE"
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_neither_names_a_token_nor_where_it_goes() {
        let own = |text: &str, named: bool| Settings::of_own(text, named);
        let evil = "[server]\nurl = 'https://evil.example'\n";
        let mut settings = own(evil, false);
        assert!(trusted(&settings).is_ok(), "nothing is sent");
        settings
            .set("server.token", "env:TOKEN".to_owned(), "environment")
            .unwrap();
        assert!(trusted(&settings).is_err());
        settings
            .set(
                "server.url",
                "https://assay.example".to_owned(),
                "flag --server",
            )
            .unwrap();
        assert!(trusted(&settings).is_ok());
        let leaks = format!("{evil}token = 'env:AWS_SECRET_ACCESS_KEY'\n");
        assert!(trusted(&own(&leaks, false)).is_err());
        assert!(trusted(&own(&leaks, true)).is_ok(), "it was named");
        let profiles = "[profile.far]\nserver.ca = 'evil.pem'\n";
        let mut settings = own(profiles, false);
        settings
            .set(
                "server.ca",
                "evil.pem".to_owned(),
                "profile far in assay.toml",
            )
            .unwrap();
        assert!(trusted(&settings).is_err());
    }

    #[test]
    fn an_address_is_told_by_its_looks_and_by_the_certificate_beside_it() {
        for (address, certificate, gateway) in [
            ("https://assay.example", false, true),
            ("https://assay.example/", false, true),
            ("https://manager:8081", true, false),
            ("https://assay.example/api/v1", true, true),
            ("http://127.0.0.1:8080/api/v1", false, true),
            ("http://127.0.0.1:8080/api/v1/", false, true),
            ("http://127.0.0.1:8081", false, false),
            ("127.0.0.1:8081", false, false),
            ("127.0.0.1:8081,127.0.0.1:8082", false, false),
            ("https://a:8081,https://b:8081", false, false),
        ] {
            assert_eq!(is_gateway(address, certificate), gateway, "{address}");
        }
    }
}
