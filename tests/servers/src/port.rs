//! Ports of loopback.
//!
//! Goes out: ports that nobody listens on. It must never give the same one twice, or one that the
//! system may hand to an outgoing connection before its server has taken it.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that systems take for outgoing connections, and above those of services.
const FIRST: u32 = 12_000;
const LAST: u32 = 31_999;

static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A port that is free at this moment and is given once by this process. Processes begin in different
/// places.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free() -> u16 {
    let all = LAST - FIRST + 1;
    let begin = std::process::id().wrapping_mul(997) % all;
    for _ in 0..all {
        let at = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (begin + at) % all;
        let port = u16::try_from(port).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("loopback has no free port between {FIRST} and {LAST}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let many: BTreeSet<u16> = (0..300).map(|_| free()).collect();
        assert_eq!(many.len(), 300);
        assert!(many.iter().all(|port| *port < 32_000));
    }
}
