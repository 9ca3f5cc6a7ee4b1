//! A transport in memory: an endless stream of prepared bytes to read, and a sink that takes every write at once.
//!
//! A read copies, as the kernel does, and gives no more than one arrival. A write only looks at where its bytes are: the
//! copy that the kernel would make is the same for everybody and not the codec's. So is the price of a system call, which
//! makes this kind to those who write each message by itself.

use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// One end of a connection whose other end is a recording.
pub(crate) struct Transport {
    bytes: Vec<u8>,
    /// How many bytes arrive at once.
    arrival: usize,
    position: usize,
    /// Where what has arrived ends.
    arrival_end: usize,
    written: Rc<Cell<u64>>,
}

impl Transport {
    /// Reads give `bytes` over and over, at most `arrival` of them at once.
    pub(crate) fn repeating(bytes: Vec<u8>, arrival: usize) -> Self {
        let arrival_end = arrival.min(bytes.len());
        Self {
            bytes,
            arrival,
            position: 0,
            arrival_end,
            written: Rc::default(),
        }
    }

    /// Nothing to read.
    pub(crate) fn write_only() -> Self {
        Self::repeating(Vec::new(), 1)
    }

    /// A place that tells how many bytes were written so far, also once somebody owns the transport.
    pub(crate) fn written(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.written)
    }

    /// What a read finds.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> usize {
        let arrived = self.arrived(out.len());
        out[..arrived.len()].copy_from_slice(arrived);
        let len = arrived.len();
        self.take(len);
        len
    }

    fn arrived(&self, len_max: usize) -> &[u8] {
        let arrived = &self.bytes[self.position..self.arrival_end];
        &arrived[..arrived.len().min(len_max)]
    }

    fn take(&mut self, len: usize) {
        self.position += len;
        if self.position == self.bytes.len() {
            self.position = 0;
            self.arrival_end = 0;
        }
        if self.position == self.arrival_end {
            self.arrival_end = (self.arrival_end + self.arrival).min(self.bytes.len());
        }
    }

    /// Takes one slice.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        let len = black_box(bytes).len();
        self.written.set(self.written.get() + len as u64);
        len
    }

    /// Takes several slices.
    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> usize {
        slices.iter().map(|slice| self.write(slice)).sum()
    }
}

impl io::Read for Transport {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(Self::read(self, out))
    }
}

impl io::Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(Self::write(self, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(Self::write_vectored(self, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tokio::io::AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let arrived = self.arrived(out.remaining());
        out.put_slice(arrived);
        let len = arrived.len();
        self.take(len);
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write(bytes)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write_vectored(slices)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl futures::io::AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.read(out)))
    }
}

impl futures::io::AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write(bytes)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write_vectored(slices)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Runs a future that never waits.
pub(crate) fn complete<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(std::task::Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a transport in memory is always ready"),
    }
}
