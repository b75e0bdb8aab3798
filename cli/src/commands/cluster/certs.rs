//! `assay cluster certs`: an authority, and what it vouches for.
//!
//! Comes in: names. Goes out: PEM files: `ca.pem`, and for each name a certificate and a key. An
//! authority that is in the folder signs again, so that certificates can be renewed one by one. It
//! must never write a key that others may read, or replace the authority.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use assay_proto::link::{Identity, PeerRole};
use jiff::{Span, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::{Value, json};

use crate::args::CertsArgs;
use crate::client::coded;
use crate::context::Context;
use crate::exit::Exit;

/// What the authority is called.
const AUTHORITY: &str = "Assay development authority";
/// Days that the authority holds.
const AUTHORITY_DAYS: u32 = 3650;

/// Midnight so many days from today.
macro_rules! day {
    ($days:expr) => {{
        let at = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let at = at.checked_add(Span::new().try_days($days)?)?;
        date_time_ymd(
            i32::from(at.year()),
            u8::try_from(at.month())?,
            u8::try_from(at.day())?,
        )
    }};
}

/// Runs the command.
pub fn run(args: &CertsArgs, cx: &Context) -> Result<Exit> {
    let wanted = wanted(args)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot create {}", args.out.display()))?;
    let (issuer, is_new) = authority(&args.out)?;
    let mut out = String::new();
    let word = if is_new { "created" } else { "used" };
    out.push_str(&format!(
        "{word:<8}  {}\n",
        args.out.join("ca.pem").display()
    ));
    let mut items: Vec<Value> = Vec::new();
    for (role, name) in &wanted {
        let cert = issue(&issuer, *role, name, args)?;
        out.push_str(&format!(
            "created   {} for {} `{name}`\n",
            cert.display(),
            role.word()
        ));
        items.push(json!({"role": role.word(), "name": name, "cert": cert, "days": args.days}));
    }
    cx.screen.text(&out)?;
    cx.screen.note(&format!(
        "{} signs for the whole cluster: keep it off the machines that run it",
        args.out.join("ca-key.pem").display()
    ));
    let summary = json!({"ca": args.out.join("ca.pem"), "newAuthority": is_new});
    cx.screen
        .items("CertificateList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

/// Whom certificates are for: those that are named, or one of each kind.
fn wanted(args: &CertsArgs) -> Result<Vec<(PeerRole, String)>> {
    let mut wanted: Vec<(PeerRole, String)> = Vec::new();
    for (role, names) in [
        (PeerRole::Manager, &args.managers),
        (PeerRole::Node, &args.nodes),
        (PeerRole::Client, &args.clients),
        (PeerRole::Emitter, &args.emitters),
    ] {
        wanted.extend(names.iter().map(|name| (role, name.clone())));
    }
    if wanted.is_empty() {
        wanted.push((PeerRole::Manager, "manager-1".to_owned()));
        wanted.push((PeerRole::Node, "node-1".to_owned()));
        wanted.push((PeerRole::Client, "operator".to_owned()));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let strange = wanted
        .iter()
        .find(|(_, name)| name.is_empty() || name.starts_with('.') || !name.chars().all(plain));
    match strange {
        Some((role, name)) => Err(coded(
            Exit::Usage,
            format!(
                "the {} `{name}`: a name in a certificate has letters, digits, `-`, `_` and `.`",
                role.word()
            ),
        )),
        None => Ok(wanted),
    }
}

/// The authority of the folder, made if there is none.
fn authority(folder: &Path) -> Result<(Issuer<'static, KeyPair>, bool)> {
    let (cert, key) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
    let mut params = CertificateParams::default();
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, AUTHORITY);
    params.distinguished_name = called;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if cert.exists() {
        let text = std::fs::read_to_string(&key).with_context(|| {
            format!(
                "{} is there, but its key cannot be read: {}\n  \
                 bring the key back, or take another folder",
                cert.display(),
                key.display()
            )
        })?;
        let pair = KeyPair::from_pem(&text)
            .with_context(|| format!("{} is no key that can sign", key.display()))?;
        return Ok((Issuer::new(params, pair), false));
    }
    (params.not_before, params.not_after) = (day!(-1), day!(i64::from(AUTHORITY_DAYS)));
    let pair = KeyPair::generate()?;
    let made = params.self_signed(&pair)?;
    write(&key, &pair.serialize_pem(), 0o600)?;
    write(&cert, &made.pem(), 0o644)?;
    Ok((Issuer::new(params, pair), true))
}

/// Writes one certificate and its key; gives the path of the former.
fn issue(
    issuer: &Issuer<'static, KeyPair>,
    role: PeerRole,
    name: &str,
    args: &CertsArgs,
) -> Result<PathBuf> {
    let hosts = match role {
        // Only managers are servers: nothing else may stand in for one.
        PeerRole::Manager => args.hosts.clone(),
        PeerRole::Node | PeerRole::Client | PeerRole::Emitter => Vec::new(),
    };
    let mut params = CertificateParams::new(hosts)?;
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    params.distinguished_name = called;
    let uri = Identity::uri(role, name);
    params
        .subject_alt_names
        .push(SanType::URI(uri.as_str().try_into()?));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if role == PeerRole::Manager {
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    (params.not_before, params.not_after) = (day!(-1), day!(i64::from(args.days)));
    let pair = KeyPair::generate()?;
    let made = params.signed_by(&pair, issuer)?;
    let stem = format!("{}-{name}", role.word());
    let cert = args.out.join(format!("{stem}.pem"));
    // The key first: who reloads on a new certificate finds the key that belongs to it.
    write(
        &args.out.join(format!("{stem}-key.pem")),
        &pair.serialize_pem(),
        0o600,
    )?;
    write(&cert, &made.pem(), 0o644)?;
    Ok(cert)
}

/// Writes a whole file in one step, so that nobody reads half of one.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let beside = path.with_extension("new");
    let written = || -> std::io::Result<()> {
        // One that an earlier command left has other rights.
        let _ = std::fs::remove_file(&beside);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}
