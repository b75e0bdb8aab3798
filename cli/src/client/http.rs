//! A cluster as a gateway tells of it, by the HTTP API.
//!
//! Comes in: an address, a token by reference. Goes out: answers that were read whole, or refusals
//! with what to do next. It must never send a token in the clear over a network, follow a redirect
//! with it, or show it; and never repeat a wish that may have been carried out, unless a repeat does
//! no harm.

mod asks;
mod call;
mod events;
mod look;
mod people;
mod problem;
mod words;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use assay_keys::{Keys as _, LocalKeys};
use assay_model::dataset::Credential;
use reqwest::{Certificate, Url, redirect};

use super::port::{Refusal, Why};
use super::way::API;
use super::{coded, timeout_of};
use crate::context::Context;
use crate::exit::{Exit, OrExit};
use crate::show::Screen;

pub use look::Look;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// A gateway. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where it is, without the path of the API.
    address: String,
    base: Url,
    client: reqwest::Client,
    token: Option<Credential>,
    /// How long a question may take, with its repeats.
    budget: Duration,
    /// The trace that all requests of this command belong to.
    trace: String,
    screen: Screen,
    /// What was told to people once.
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Http {
    /// The gateway at `address`; nothing is asked yet.
    ///
    /// # Errors
    /// When the settings cannot work.
    pub fn new(address: &str, cx: &Context) -> Result<Self> {
        let base = base_of(address).or_exit(Exit::Usage)?;
        let token = cx.settings.text("server.token");
        let token: Option<Credential> = token
            .map(str::parse)
            .transpose()
            .map_err(|error| coded(Exit::Usage, format!("server.token is {error}")))?;
        let near = is_loopback(&base);
        if token.is_some() && base.scheme() == "http" && !near {
            let why = format!(
                "{base}: a token is not sent over a network in the clear\n  write https://"
            );
            return Err(coded(Exit::Usage, why));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_keepalive(Duration::from_secs(30));
        if near {
            builder = builder.no_proxy();
        }
        if let Some(file) = cx.settings.text("server.ca") {
            builder = builder.tls_built_in_root_certs(false);
            for one in authority(file).or_exit(Exit::Usage)? {
                builder = builder.add_root_certificate(one);
            }
        }
        let client = builder.build();
        let client = client.map_err(|error| coded(Exit::Usage, words_of(&error)))?;
        Ok(Self {
            address: base.as_str().trim_end_matches('/').to_owned(),
            base,
            client,
            token,
            budget: timeout_of(cx)?,
            trace: format!("{:032x}", uuid::Uuid::new_v4().as_u128()),
            screen: cx.screen,
            told: Arc::default(),
        })
    }

    /// How the token is named, if one is.
    pub fn token_name(&self) -> Option<String> {
        self.token.as_ref().map(ToString::to_string)
    }

    /// The address of a path of the API, each part as it is spelt.
    fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty();
            parts.extend(API.split('/').filter(|part| !part.is_empty()));
            parts.extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The token, read anew: its file may have been replaced.
    async fn bearer(&self) -> Result<Option<String>, Refusal> {
        let Some(reference) = &self.token else {
            return Ok(None);
        };
        let secret = LocalKeys::of_user().secret(reference).await;
        let secret = secret.map_err(|error| Refusal {
            why: Why::Other,
            after: None,
            error: coded(Exit::Usage, format!("server.token: {error}")),
        })?;
        Ok(Some(secret.reveal().trim().to_owned()))
    }

    /// Tells people something once.
    fn note(&self, line: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(line.to_owned()) {
            self.screen.note(line);
        }
    }
}

/// Where the API of a gateway begins, without its own path.
fn base_of(address: &str) -> Result<Url> {
    let plain = address.trim().trim_end_matches('/');
    let plain = plain.strip_suffix(API).unwrap_or(plain);
    let form = "write it as https://HOST";
    let url = Url::parse(plain).map_err(|why| {
        anyhow::anyhow!("server.url is no address of a gateway ({why})\n  {form}")
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        anyhow::bail!("server.url is no address of a gateway\n  {form}");
    }
    if !url.username().is_empty() || url.password().is_some() {
        anyhow::bail!(
            "server.url holds a credential: name where the token is kept instead\n  \
             server.token = \"env:NAME\" or \"file:PATH\""
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        anyhow::bail!("server.url has more than an address: {form}");
    }
    Ok(url)
}

/// Whether an address is on this machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// The certificates of the authority that signs the gateway's.
fn authority(file: &str) -> Result<Vec<Certificate>> {
    let pem = assay_files::read(Path::new(file));
    let pem = pem.map_err(|why| anyhow::anyhow!("server.ca: {file}: {why}"))?;
    let certificates = Certificate::from_pem_bundle(&pem);
    let certificates = certificates.map_err(|why| anyhow::anyhow!("server.ca: {file}: {why}"))?;
    if certificates.is_empty() {
        anyhow::bail!("server.ca: {file} holds no certificate (PEM)");
    }
    Ok(certificates)
}

/// An error of the client with its causes, without the address that people know anyway.
fn words_of(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !words.iter().any(|known: &String| known.contains(&said)) {
            words.push(said);
        }
        cause = error.source();
    }
    match words.last() {
        // The outer ones say only that something went wrong.
        Some(last) => last.clone(),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None => "the connection broke".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_with_or_without_the_path_of_the_api() {
        for address in [
            "https://assay.example",
            "https://assay.example/",
            "https://assay.example/api/v1/",
        ] {
            assert_eq!(base_of(address).unwrap().as_str(), "https://assay.example/");
        }
        for wrong in [
            "assay.example",
            "ftp://assay.example",
            "https://",
            "https://me:secret@assay.example",
            "https://assay.example/?token=secret",
        ] {
            let error = base_of(wrong).unwrap_err().to_string();
            assert!(error.contains("server.url"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_on_this_machine_is_known() {
        for (address, near) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("http://10.0.0.1:8080", false),
            ("http://127.0.0.1.example", false),
        ] {
            assert_eq!(is_loopback(&base_of(address).unwrap()), near, "{address}");
        }
    }
}
