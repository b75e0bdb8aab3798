//! Requests over a connection that stays open.
//!
//! Comes in: paths. Goes out: status, head and body of each answer. It must never take a part of an
//! answer for the whole.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A connection.
pub struct Asker {
    address: SocketAddr,
    stream: TcpStream,
    read: Vec<u8>,
    /// What is read into: made once, since a generator of load shares its core with the store.
    piece: Vec<u8>,
}

impl Asker {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            address,
            stream,
            read: Vec::new(),
            piece: vec![0; 65_536],
        })
    }

    /// Asks for `path`, as the holder of `token`.
    pub async fn get(&mut self, path: &str, token: Option<&str>) -> Result<Answer> {
        let authorization = token.map_or_else(String::new, |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        let host = self.address;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{authorization}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let head = loop {
            if let Some(at) = self.read.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let text = String::from_utf8_lossy(&self.read[..head]).to_ascii_lowercase();
        let broken = || Error::new(ErrorKind::InvalidData, text.clone());
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let (status, length): (u16, usize) = status.zip(length).ok_or_else(broken)?;
        while self.read.len() < head + length {
            self.more().await?;
        }
        let body = self.read[head..head + length].to_vec();
        self.read.drain(..head + length);
        Ok(Answer { status, body })
    }

    async fn more(&mut self) -> Result<()> {
        match self.stream.read(&mut self.piece).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            n => {
                self.read.extend_from_slice(&self.piece[..n]);
                Ok(())
            }
        }
    }
}
