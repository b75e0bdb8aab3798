//! Whether a process that was connected is gone.
//!
//! Comes in: the address of a port that was open for as long as the process lived. Goes out: whether
//! it refuses connections. It must never take silence for a refusal: who is stopped or cut off may
//! come back.

use std::io::ErrorKind::ConnectionRefused;
use std::time::Duration;

use tokio::net::{TcpStream, ToSocketAddrs};

/// How long a knock may take.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// Whether a port refuses connections, twice in a row: sockets of a dying process close one after
/// the other.
pub(crate) async fn refuses(address: impl ToSocketAddrs + Clone) -> bool {
    for pause_ms in [20, 150] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let knock = tokio::time::timeout(PROBE_TIMEOUT, TcpStream::connect(address.clone())).await;
        if !matches!(knock, Ok(Err(error)) if error.kind() == ConnectionRefused) {
            return false;
        }
    }
    true
}
