//! Accepting, also when there is nothing left to accept with.
//!
//! mio is edge-triggered: after `accept` failed for want of a descriptor, no event comes when one is free again. So the
//! listener remembers that it has work, and holds a descriptor in reserve: giving it up is enough to take one connection
//! from the queue and tell it why it cannot stay.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// What the kernel takes of a connection beyond what it can send at once. Left to itself it takes 1.4 MB for a peer that reads
/// nothing, and 4 MB for one that read fast before; with this, some 150 KiB. A peer that reads gets what its window has room
/// for, in large writes, which a buffer of a fixed size would cut.
const NOTSENT_BYTES: u32 = 128 << 10;

/// How long to leave the queue alone when not even the reserve helps.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    /// There may be connections in the queue.
    ready: bool,
    reserve: Option<File>,
    retry_at: Option<Instant>,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Accepted {
    /// A connection, and whose.
    Stream(TcpStream, SocketAddr),
    /// A connection that can only be told to come back, and then closed: its descriptor is the reserve.
    OnReserve(TcpStream),
    /// The queue is empty, or left alone for now.
    Nothing,
}

/// With whom an address is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    None,
    /// With those that come.
    First,
    /// With those that are there.
    Next,
}

impl Listener {
    /// Listens for a worker each: the kernel deals connections out among them.
    pub(super) fn bind_all(address: SocketAddr, workers: usize) -> io::Result<Vec<Self>> {
        if workers < 2 {
            return Ok(vec![Self::bind(address, Sharing::None)?]);
        }
        let first = Self::bind(address, Sharing::First)?;
        // The first may have been given a free port.
        let address = first.local_address()?;
        let others = (1..workers).map(|_| Self::bind(address, Sharing::Next));
        std::iter::once(Ok(first)).chain(others).collect()
    }

    /// Binds and listens.
    fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Accepted sockets inherit both from the listening one, which saves two system calls for each.
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_notsent_lowat(NOTSENT_BYTES)?;
        // The first shares only what it has: another process' address is taken, whether that shares it or not.
        if sharing == Sharing::Next {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        if sharing == Sharing::First {
            socket.set_reuse_port(true)?;
        }
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into());
        Ok(Self {
            socket,
            ready: false,
            reserve: open_reserve(),
            retry_at: None,
        })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// An event said that there are connections.
    pub(super) const fn set_ready(&mut self) {
        self.ready = true;
    }

    /// Whether [`accept`](Self::accept) may have something at `now`.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.ready && self.retry_at.is_none_or(|at| at <= now)
    }

    /// When a queue that was left alone is to be looked at again.
    pub(super) const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// A descriptor was freed: no need to wait longer.
    pub(super) const fn descriptor_freed(&mut self) {
        self.retry_at = None;
    }

    /// Takes the next connection from the queue.
    pub(super) fn accept(&mut self, now: Instant) -> Accepted {
        self.retry_at = None;
        loop {
            match self.socket.accept() {
                Ok((stream, peer)) => return Accepted::Stream(stream, peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready = false;
                    return Accepted::Nothing;
                }
                // The peer gave up while it waited.
                Err(error) if is_passing(error.kind()) => {}
                Err(_) => return self.accept_on_reserve(now),
            }
        }
    }

    /// After EMFILE and the like: gives up the reserve for one connection. The caller closes it before it goes on, and
    /// calls [`restore_reserve`](Self::restore_reserve).
    fn accept_on_reserve(&mut self, now: Instant) -> Accepted {
        self.retry_at = Some(now + RETRY_AFTER);
        if self.reserve.take().is_none() {
            self.reserve = open_reserve();
            return Accepted::Nothing;
        }
        match self.socket.accept() {
            Ok((stream, _)) => Accepted::OnReserve(stream),
            Err(error) => {
                self.reserve = open_reserve();
                if error.kind() == ErrorKind::WouldBlock {
                    (self.ready, self.retry_at) = (false, None);
                }
                // Else it is not for want of a descriptor, and not tried again at once.
                Accepted::Nothing
            }
        }
    }

    pub(super) fn restore_reserve(&mut self) {
        self.reserve = open_reserve();
        if self.reserve.is_some() {
            // The next in the queue can be told, too.
            self.retry_at = None;
        }
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::Interrupted)
}

fn open_reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_cannot_be_accepted_from_is_left_alone_for_a_while() {
        let mut listener =
            Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Sharing::None).unwrap();
        // One that does not listen any more: accepting fails, and not for want of descriptors.
        let socket = socket2::SockRef::from(&listener.socket);
        socket.shutdown(std::net::Shutdown::Read).unwrap();
        let now = Instant::now();
        listener.set_ready();
        assert!(matches!(listener.accept(now), Accepted::Nothing));
        assert!(!listener.is_ready(now), "it would be tried in each turn");
        assert!(listener.is_ready(now + RETRY_AFTER));
    }

    #[test]
    fn an_address_is_shared_among_workers_and_with_nobody_else() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut listeners = Listener::bind_all(any, 3).unwrap();
        let address = listeners[0].local_address().unwrap();
        assert!(
            listeners
                .iter()
                .all(|listener| listener.local_address().unwrap() == address)
        );
        for workers in [1, 2] {
            let taken = Listener::bind_all(address, workers).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        }
        let clients: Vec<_> = (0..90)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let accepted = listeners.iter_mut().map(|listener| {
            let accept = || matches!(listener.accept(Instant::now()), Accepted::Stream(..));
            std::iter::repeat_with(accept)
                .take_while(|accepted| *accepted)
                .count()
        });
        let accepted: Vec<_> = accepted.collect();
        assert_eq!(accepted.iter().sum::<usize>(), clients.len());
        assert!(!accepted.contains(&0), "{accepted:?}: one gets nothing");
    }

    #[test]
    fn accepted_sockets_inherit_the_options() {
        let mut listener =
            Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Sharing::None).unwrap();
        let client = std::net::TcpStream::connect(listener.local_address().unwrap()).unwrap();
        let accepted = loop {
            match listener.accept(Instant::now()) {
                Accepted::Stream(stream, _) => break stream,
                Accepted::Nothing => std::thread::yield_now(),
                Accepted::OnReserve(_) => panic!("out of descriptors"),
            }
        };
        let socket = socket2::SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), NOTSENT_BYTES);
        drop(client);
    }
}
