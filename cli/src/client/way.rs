//! Which way a command goes to its cluster: by the HTTP API, or to a manager by gRPC.
//!
//! Comes in: the settings. Goes out: a cluster to ask. What an address is told by its looks and by
//! what is named beside it, never by trying: it must never send a token where it was not meant to go.

use std::sync::Arc;

use anyhow::Result;

use super::http::Http;
use super::port::Cluster;
use super::{Client, coded};
use crate::config::Settings;
use crate::context::Context;
use crate::exit::Exit;

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
    let address = cx.settings.text(KEYS[0]);
    address.map(|address| Http::new(address, cx)).transpose()
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
