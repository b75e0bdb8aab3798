//! A store that is far away: a wire to it on which everything takes its time.
//!
//! Comes in: the address of a server, and how long each way takes. Goes out: an address that leads
//! there. It must never change what is sent, or its order.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A wire to `to`; it lasts as long as this program.
pub fn wire(to: SocketAddr, takes: Duration) -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("a socket");
    // On a thread of its own: whoever measures waits for a process that it starts.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a socket");
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(to).await else {
                    continue;
                };
                for stream in [&near, &far] {
                    stream.set_nodelay(true).expect("a socket");
                }
                let ((from_near, to_near), (from_far, to_far)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(carry(from_near, to_far, takes));
                tokio::spawn(carry(from_far, to_near, takes));
            }
        });
    });
    address
}

/// Carries all that comes, each piece so much later, until one end is closed.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, takes: Duration) {
    let (send, mut pieces) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reads = async move {
        let mut piece = vec![0; 65_536];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            let due = Instant::now() + takes;
            if send.send((due, piece[..n].to_vec())).is_err() {
                break;
            }
        }
    };
    let writes = async move {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(reads, writes);
}
