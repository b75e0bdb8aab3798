//! The flags of `assay cluster certs`.

use std::path::PathBuf;

use clap::Args;

/// `assay cluster certs`
#[derive(Debug, Args)]
pub struct CertsArgs {
    /// Folder to write to; an authority that is there signs again.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Names and addresses by which managers are reached (repeatable).
    #[arg(long = "host", value_name = "HOST", default_values = ["localhost", "127.0.0.1"])]
    pub hosts: Vec<String>,
    /// Managers, by name (repeatable).
    #[arg(long = "manager", value_name = "NAME")]
    pub managers: Vec<String>,
    /// Data nodes, by id (repeatable); `staging-*` is for every node whose id begins so, in
    /// node-staging-fleet.pem.
    #[arg(long = "node", value_name = "ID")]
    pub nodes: Vec<String>,
    /// People and programs that ask (repeatable).
    #[arg(long = "client", value_name = "NAME")]
    pub clients: Vec<String>,
    /// Programs that ask for the runs that are due, such as the scheduled function (repeatable).
    #[arg(long = "emitter", value_name = "NAME")]
    pub emitters: Vec<String>,
    /// Members of etcd, each with the names it is reached by: `a=etcd-a.internal,localhost`
    /// (repeatable). Whoever etcd believes may write to it: give it an authority of its own, in
    /// another folder.
    #[arg(long = "etcd-member", value_name = "NAME=HOST[,HOST]", value_parser = parse_member)]
    pub etcd_members: Vec<(String, Vec<String>)>,
    /// Programs that call etcd (repeatable).
    #[arg(long = "etcd-client", value_name = "NAME")]
    pub etcd_clients: Vec<String>,
    /// Write each as one JSON object, too, as Secrets Manager is given it: {"ca","cert","key"}.
    #[arg(long)]
    pub bundles: bool,
    /// Days that certificates hold; the authority's holds ten years.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
}

/// Reads `a=etcd-a.internal,localhost`.
fn parse_member(text: &str) -> Result<(String, Vec<String>), String> {
    let bad = || format!("`{text}` is not like a=etcd-a.internal,localhost");
    let (name, hosts) = text.split_once('=').ok_or_else(bad)?;
    let hosts: Vec<String> = hosts
        .split(',')
        .map(|host| host.trim().to_owned())
        .collect();
    if hosts.iter().any(String::is_empty) {
        return Err(bad());
    }
    Ok((name.to_owned(), hosts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_a_name_and_is_reached_by_at_least_one() {
        let (name, hosts) = parse_member("a=etcd-a.internal, localhost").unwrap();
        assert_eq!((name.as_str(), hosts.len()), ("a", 2));
        for bad in ["a", "a=", "a=x,,y"] {
            assert!(parse_member(bad).is_err(), "{bad}");
        }
    }
}
