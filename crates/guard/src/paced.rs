//! A connection whose client has to take what it asked for.
//!
//! Comes in: a stream, and how long nothing may be taken of an answer. Goes out: the same stream,
//! which breaks off when that is over. It must never cut a client that is slow and takes something, or
//! one that nothing is to be sent to.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream that is written to at a pace.
#[derive(Debug)]
pub(crate) struct Paced<S> {
    stream: S,
    most: Duration,
    /// Since something was to be written that was not taken.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    /// `stream`, broken off when nothing of what is written is taken for longer than `most`.
    pub(crate) const fn new(stream: S, most: Duration) -> Self {
        Self {
            stream,
            most,
            stuck: None,
        }
    }

    /// What a write has come to, as long as the client takes something.
    fn pace<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let most = self.most;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(most)));
        ready!(stuck.as_mut().poll(cx));
        let why = "the client does not take its answer";
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, why)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, from);
        self.pace(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, from);
        self.pace(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.pace(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.pace(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn who_takes_a_little_is_waited_for_and_who_takes_nothing_is_cut() {
        let (server, mut client) = duplex(10);
        let most = Duration::from_millis(200);
        let mut server = Paced::new(server, most);
        // It takes a piece now and then, for longer than the bound in all.
        let takes = tokio::spawn(async move {
            let mut piece = [0; 10];
            for _ in 0..6 {
                sleep(most / 4).await;
                client.read_exact(&mut piece).await.unwrap();
            }
            client
        });
        server.write_all(&[0; 60]).await.unwrap();
        let client = takes.await.unwrap();
        server.write_all(&[0; 10]).await.unwrap();
        let cut = server.write_all(&[0; 10]).await.unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::TimedOut);
        drop(client);
    }
}
