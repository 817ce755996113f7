//! A reader that refuses endless stanzas.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read since the last whole stanza.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicUsize>);

impl Meter {
    /// A whole stanza was read.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Reads through, and fails once more than `bound` bytes came without a whole stanza.
#[derive(Debug)]
pub struct Bounded<Io> {
    inner: Io,
    meter: Meter,
    bound: usize,
}

impl<Io> Bounded<Io> {
    /// Watches `inner`.
    pub fn new(inner: Io, bound: usize) -> (Self, Meter) {
        let meter = Meter::default();
        (
            Self {
                inner,
                meter: meter.clone(),
                bound,
            },
            meter,
        )
    }

    fn check(&self) -> io::Result<()> {
        if self.meter.0.load(Ordering::Relaxed) > self.bound {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server sent a stanza that is too large",
            ));
        }
        Ok(())
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Bounded<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.meter
            .0
            .fetch_add(buffer.filled().len().saturating_sub(before), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncBufRead + Unpin> AsyncBufRead for Bounded<Io> {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.check()?;
        Pin::new(&mut self.get_mut().inner).poll_fill_buf(context)
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.meter.0.fetch_add(amount, Ordering::Relaxed);
        Pin::new(&mut self.inner).consume(amount);
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Bounded<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
