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
    for holder in &wanted {
        let cert = issue(&issuer, holder, args)?;
        let (role, name) = (holder.word, &holder.name);
        out.push_str(&format!(
            "created   {} for {role} `{name}`\n",
            cert.display()
        ));
        items.push(json!({"role": role, "name": name, "cert": cert, "days": args.days}));
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

/// Whom a certificate is for.
struct Holder {
    /// What it is: begins the names of its files.
    word: &'static str,
    name: String,
    /// The identity in the cluster; members and clients of etcd have none there.
    role: Option<PeerRole>,
    /// Names that it is reached by, as a server.
    hosts: Vec<String>,
}

impl Holder {
    fn of(role: PeerRole, name: &str, hosts: &[String]) -> Self {
        Self {
            word: role.word(),
            name: name.to_owned(),
            role: Some(role),
            // Only managers are servers: nothing else may stand in for one.
            hosts: match role {
                PeerRole::Manager => hosts.to_vec(),
                _ => Vec::new(),
            },
        }
    }

    fn is_server(&self) -> bool {
        self.role == Some(PeerRole::Manager) || !self.hosts.is_empty()
    }

    /// What the names of its files begin with.
    fn stem(&self) -> String {
        format!("{}-{}", self.word, self.name.replace('*', "fleet"))
    }
}

/// Whom certificates are for: those that are named, or one of each kind.
fn wanted(args: &CertsArgs) -> Result<Vec<Holder>> {
    let mut wanted: Vec<Holder> = Vec::new();
    for (role, names) in [
        (PeerRole::Manager, &args.managers),
        (PeerRole::Node, &args.nodes),
        (PeerRole::Client, &args.clients),
        (PeerRole::Emitter, &args.emitters),
    ] {
        let holders = names.iter().map(|name| Holder::of(role, name, &args.hosts));
        wanted.extend(holders);
    }
    let of_etcd = |word, name: &str, hosts: &[String]| Holder {
        word,
        name: name.to_owned(),
        role: None,
        hosts: hosts.to_vec(),
    };
    let members = args.etcd_members.iter();
    wanted.extend(members.map(|(name, hosts)| of_etcd("etcd", name, hosts)));
    let clients = args.etcd_clients.iter();
    wanted.extend(clients.map(|name| of_etcd("etcd-client", name, &[])));
    if wanted.is_empty() {
        let usual = [
            (PeerRole::Manager, "manager-1"),
            (PeerRole::Node, "node-1"),
            (PeerRole::Client, "operator"),
        ];
        wanted.extend(usual.map(|(role, name)| Holder::of(role, name, &args.hosts)));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let strange = wanted.iter().find(|holder| {
        // What the ids of a fleet begin with, and a `*`.
        let name = match holder.role {
            Some(PeerRole::Node) => holder.name.strip_suffix('*').unwrap_or(&holder.name),
            _ => &holder.name,
        };
        name.is_empty() || name.starts_with('.') || !name.chars().all(plain)
    });
    match strange {
        Some(Holder { word, name, .. }) => Err(coded(
            Exit::Usage,
            format!(
                "the {word} `{name}`: a name in a certificate has letters, digits, `-`, `_` and `.`; \
                 that of a fleet of nodes ends in `*`"
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
fn issue(issuer: &Issuer<'static, KeyPair>, holder: &Holder, args: &CertsArgs) -> Result<PathBuf> {
    let mut params = CertificateParams::new(holder.hosts.clone())?;
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, &holder.name);
    params.distinguished_name = called;
    if let Some(role) = holder.role {
        let uri = Identity::uri(role, &holder.name);
        let uri = SanType::URI(uri.as_str().try_into()?);
        params.subject_alt_names.push(uri);
    }
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if holder.is_server() {
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    (params.not_before, params.not_after) = (day!(-1), day!(i64::from(args.days)));
    let pair = KeyPair::generate()?;
    let (made, key) = (params.signed_by(&pair, issuer)?.pem(), pair.serialize_pem());
    let stem = holder.stem();
    let cert = args.out.join(format!("{stem}.pem"));
    // The key first: who reloads on a new certificate finds the key that belongs to it.
    write(&args.out.join(format!("{stem}-key.pem")), &key, 0o600)?;
    write(&cert, &made, 0o644)?;
    if args.bundles {
        let ca = std::fs::read_to_string(args.out.join("ca.pem"))?;
        let bundle = json!({"ca": ca, "cert": made, "key": key}).to_string();
        write(&args.out.join(format!("{stem}.json")), &bundle, 0o600)?;
    }
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
