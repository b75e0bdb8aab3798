//! What an address of the network is.
//!
//! In: an address, perhaps one of IPv6 that stands for one of IPv4. Out: whether it is public, of
//! this machine, of a private network, or one that nothing of a dataset may ever reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reached by anyone.
    Public,
    /// Of the machine itself.
    Loopback,
    /// Of a private network.
    Private,
    /// Never to be reached; says what it is.
    Never(&'static str),
}

const LINK: &str = "a link-local address, where machines hand out their credentials";
const METADATA: &str = "an address where machines hand out their credentials";
const NOWHERE: &str = "no address of one machine";

/// What an address is.
#[must_use]
pub fn kind(ip: IpAddr) -> Kind {
    match ip {
        IpAddr::V4(v4) => kind_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => kind_v4(v4),
            None => kind_v6(v6),
        },
    }
}

fn kind_v4(ip: Ipv4Addr) -> Kind {
    let [a, b, c, d] = ip.octets();
    match (a, b) {
        (0, _) | (224.., _) => Kind::Never(NOWHERE),
        (127, _) => Kind::Loopback,
        (169, 254) => Kind::Never(LINK),
        // The metadata services of other clouds.
        (100, 100) if (c, d) == (100, 200) => Kind::Never(METADATA),
        (192, 0) if (c, d) == (0, 192) => Kind::Never(METADATA),
        (168, 63) if (c, d) == (129, 16) => Kind::Never(METADATA),
        (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) | (198, 18 | 19) => Kind::Private,
        (192, 0) if c == 0 => Kind::Private,
        _ => Kind::Public,
    }
}

fn kind_v6(ip: Ipv6Addr) -> Kind {
    let parts = ip.segments();
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Never(NOWHERE),
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, _] => Kind::Never(METADATA),
        [0xfd20, 0x00ce, 0, 0, 0, 0, 0, _] => Kind::Never(METADATA),
        [first, ..] if first & 0xffc0 == 0xfe80 => Kind::Never(LINK),
        [first, ..] if first & 0xff00 == 0xff00 => Kind::Never(NOWHERE),
        [first, ..] if first & 0xfe00 == 0xfc00 => Kind::Private,
        // Site-local addresses of old.
        [first, ..] if first & 0xffc0 == 0xfec0 => Kind::Private,
        _ => Kind::Public,
    }
}

/// The address of IPv4 that one of IPv6 leads to: mapped, compatible, translated (NAT64) or
/// tunnelled (6to4).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0 | 0xffff, 0 | 0xffff, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, 1, _, _, _, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}
