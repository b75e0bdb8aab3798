//! Who is at the other end of a connection, by the certificate that it showed.
//!
//! Comes in: a certificate that the authority has signed. Goes out: a role and a name. It must
//! never take a name from anything but the certificate.

use std::net::SocketAddr;

use tokio_rustls::rustls::pki_types::CertificateDer;

/// What our identities begin with, as URIs among a certificate's names.
pub const URI_PREFIX: &str = "spiffe://assay/";

/// What a process of the cluster may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerRole {
    /// Leads, or may come to lead.
    Manager,
    /// Runs tasks.
    Node,
    /// Asks and wishes: people and their tools.
    Client,
    /// Asks for the runs that are due, and for nothing else.
    Emitter,
}

impl PeerRole {
    /// The word in the identity.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Node => "node",
            Self::Client => "client",
            Self::Emitter => "emitter",
        }
    }
}

/// A role and a name, vouched for by the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The role.
    pub role: PeerRole,
    /// The name: of a node, its id; of a fleet of nodes that share a certificate, what their ids
    /// begin with and a `*`.
    pub name: String,
}

impl Identity {
    /// The identity as the URI of a certificate.
    #[must_use]
    pub fn uri(role: PeerRole, name: &str) -> String {
        format!("{URI_PREFIX}{}/{name}", role.word())
    }

    /// Whether this is the identity of `name`, or of the fleet that it belongs to.
    #[must_use]
    pub fn vouches_for(&self, name: &str) -> bool {
        if self.name == name {
            return true;
        }
        let fleet = (self.role == PeerRole::Node)
            .then(|| self.name.strip_suffix('*'))
            .flatten();
        // A `*` alone would be every node of every fleet.
        fleet.is_some_and(|prefix| {
            !prefix.is_empty() && name.len() > prefix.len() && name.starts_with(prefix)
        })
    }

    /// Reads an identity.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let (role, name) = uri.strip_prefix(URI_PREFIX)?.split_once('/')?;
        let known = [
            PeerRole::Manager,
            PeerRole::Node,
            PeerRole::Client,
            PeerRole::Emitter,
        ];
        let role = known.into_iter().find(|known| known.word() == role)?;
        (!name.is_empty()).then(|| Self {
            role,
            name: name.to_owned(),
        })
    }

    /// The one identity of a certificate; `None` when it names none of ours, or several.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let read = webpki::EndEntityCert::try_from(certificate).ok()?;
        let mut found = read.valid_uri_names().filter_map(Self::parse);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} `{}`", self.role.word(), self.name)
    }
}

/// How the other end of a connection is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// It is of this process.
    Local,
    /// It came over TCP without TLS: whoever it says it is.
    Unproven {
        /// Where from.
        address: SocketAddr,
    },
    /// It came over TLS.
    Proven {
        /// Where from.
        address: SocketAddr,
        /// Who; `None` when its certificate names no identity of ours.
        identity: Option<Identity>,
    },
}

impl Peer {
    /// Where it came from over the network.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Local => None,
            Self::Unproven { address } | Self::Proven { address, .. } => Some(*address),
        }
    }

    /// Whether it has proven to be of `role`, and may thus do no more than that.
    #[must_use]
    pub fn is_only(&self, role: PeerRole) -> bool {
        matches!(self, Self::Proven { identity: Some(identity), .. } if identity.role == role)
    }

    /// Checks that the peer may act in `role`; as `name`, when one is given.
    ///
    /// # Errors
    /// Why not, in words for people.
    pub fn may_act(&self, roles: &[PeerRole], name: Option<&str>) -> Result<(), String> {
        let identity = match self {
            Self::Local | Self::Unproven { .. } => return Ok(()),
            Self::Proven { identity, .. } => identity,
        };
        let Some(identity) = identity else {
            return Err(format!(
                "the certificate names no identity {URI_PREFIX}ROLE/NAME"
            ));
        };
        if !roles.contains(&identity.role) {
            return Err(format!(
                "the certificate is of {identity}, which may not do this"
            ));
        }
        match name {
            Some(name) if !identity.vouches_for(name) => {
                Err(format!("the certificate is of {identity}, not of `{name}`"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back_and_others_are_not_ours() {
        let uri = Identity::uri(PeerRole::Node, "node-1");
        assert_eq!(uri, "spiffe://assay/node/node-1");
        let identity = Identity::parse(&uri).unwrap();
        assert_eq!(
            (identity.role, identity.name.as_str()),
            (PeerRole::Node, "node-1")
        );
        for other in [
            "spiffe://assay/node/",
            "spiffe://assay/king/a",
            "spiffe://other/node/a",
            "node-1",
        ] {
            assert_eq!(Identity::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_peer_acts_in_its_role_and_under_its_name_only() {
        let peer = Peer::Proven {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            identity: Identity::parse("spiffe://assay/node/a"),
        };
        let node = [PeerRole::Node];
        assert_eq!(peer.may_act(&node, Some("a")), Ok(()));
        assert!(peer.may_act(&node, Some("b")).unwrap_err().contains("`b`"));
        assert!(peer.may_act(&[PeerRole::Client], None).is_err());
        let fleet = |named: &str| Identity::parse(named).unwrap();
        let staging = fleet("spiffe://assay/node/staging-*");
        assert!(staging.vouches_for("staging-10-1-2-3"));
        for other in ["staging-", "staging", "production-1", ""] {
            assert!(!staging.vouches_for(other), "{other}");
        }
        assert!(!fleet("spiffe://assay/node/*").vouches_for("a"));
        assert!(!fleet("spiffe://assay/client/a*").vouches_for("ab"));
        let nameless = Peer::Proven {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            identity: None,
        };
        assert!(nameless.may_act(&node, Some("a")).is_err());
    }
}
