//! The bounds of messages and the deadlines of calls: one place for both ends.

use std::time::Duration;

/// The largest message that is taken in, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// The largest message of a node that is taken in, in bytes: a node that holds [`HELD_MAX`] attempts
/// fits, and what a smaller message decodes to cannot fill a manager's memory.
pub const NODE_MESSAGE_BYTES_MAX: usize = 512 << 10;
/// The largest answer of a read that a client takes in, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The longest name or key, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;
/// The longest name of a node, in bytes.
pub const NODE_NAME_BYTES_MAX: usize = 256;
/// The longest text for people, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 10;
/// The largest definition, in bytes of JSON.
pub const DEFINITION_BYTES_MAX: usize = 2 << 20;
/// Attempts that one node may hold.
pub const HELD_MAX: usize = 4096;
/// Partition keys that a selection may name.
pub const KEYS_MAX: usize = 10_000;
/// Slots that one node may offer.
pub const SLOTS_MAX: u32 = 1024;
/// Streams of one connection.
pub const STREAMS_MAX: u32 = 256;
/// The largest header list of a request, in bytes.
pub const HEADER_BYTES_MAX: u32 = 16 << 10;

/// The deadline of a unary call.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A call whose answer has not begun after so long is ended, whatever deadline its caller has set:
/// half a request must not be waited for without end.
pub const SERVED_WITHIN: Duration = Duration::from_secs(15);
/// The deadline of opening a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two pings of a connection.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);
/// A ping without an answer for so long breaks the connection.
pub const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections that one manager serves at a time.
pub const CONNECTIONS_MAX: usize = 1024;
/// Calls of one connection that are answered at a time; more wait.
pub const CALLS_PER_CONNECTION_MAX: usize = 128;
/// How long a connection may take until it is secured.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is asked to end after so long, so that certificates are looked at again; calls on
/// it are finished.
pub const CONNECTION_AGE_MAX: Duration = Duration::from_secs(3600);
