//! The loop: one thread, one epoll set, one buffer.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_reuseaddr, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketAddrV4, SocketFlags, SocketType, accept_with, bind};

use crate::connection::Connection;

/// The token of the listener: no descriptor has this number.
const LISTENER: u64 = u64::MAX;

const NON_BLOCKING: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// What is done with bytes.
pub(crate) trait Work {
    /// Takes what a connection read; false ends it.
    fn read(&mut self, peers: &mut Peers, token: usize, bytes: &[u8]) -> bool;
    /// Writes what waits for the socket; false while it takes no more.
    fn write(&self, connection: &mut Connection) -> bool;
    /// All events of a turn have been looked at.
    fn turn_ends(&mut self, peers: &mut Peers);
}

/// The connections by the numbers of their descriptors.
pub(crate) struct Peers {
    epoll: OwnedFd,
    is_edge: bool,
    pub(crate) all: Vec<Option<Box<Connection>>>,
}

/// Serves for ever.
pub(crate) fn run(
    port: u16,
    is_edge: bool,
    buffer: usize,
    mut work: impl Work,
) -> Result<(), Errno> {
    let listener = listen(port)?;
    let mut peers = Peers {
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        is_edge,
        all: Vec::new(),
    };
    let token = EventData::new_u64(LISTENER);
    epoll::add(&peers.epoll, &listener, token, EventFlags::IN)?;
    let mut buffer = vec![0; buffer];
    let mut events = Vec::with_capacity(1024);
    loop {
        events.clear();
        epoll::wait(
            &peers.epoll,
            rustix::buffer::spare_capacity(&mut events),
            None,
        )?;
        for event in &events {
            let (token, flags) = (event.data.u64(), event.flags);
            if token == LISTENER {
                peers.accept(&listener)?;
            } else {
                peers.serve(token as usize, flags, &mut buffer, &mut work)?;
            }
        }
        work.turn_ends(&mut peers);
    }
}

fn listen(port: u16) -> Result<OwnedFd, Errno> {
    let listener =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, NON_BLOCKING, None)?;
    set_socket_reuseaddr(&listener, true)?;
    bind(&listener, &SocketAddrV4::new([127, 0, 0, 1].into(), port))?;
    rustix::net::listen(&listener, 4096)?;
    Ok(listener)
}

impl Peers {
    fn accept(&mut self, listener: &OwnedFd) -> Result<(), Errno> {
        while let Ok(socket) = accept_with(listener, NON_BLOCKING) {
            set_tcp_nodelay(&socket, true)?;
            let token = socket.as_raw_fd() as usize;
            let data = EventData::new_u64(token as u64);
            epoll::add(&self.epoll, &socket, data, self.interest(false))?;
            if self.all.len() <= token {
                self.all.resize_with(token + 1, || None);
            }
            self.all[token] = Some(Box::new(Connection::new(socket)));
        }
        Ok(())
    }

    fn interest(&self, writing: bool) -> EventFlags {
        match (self.is_edge, writing) {
            (true, _) => EventFlags::IN | EventFlags::OUT | EventFlags::ET,
            (false, true) => EventFlags::IN | EventFlags::OUT,
            (false, false) => EventFlags::IN,
        }
    }

    /// Remembers whether the socket is full; level-triggered, only who is full hears that it no longer is.
    pub(crate) fn set_full(&mut self, token: usize, is_full: bool) {
        let interest = self.interest(is_full);
        let Some(connection) = &mut self.all[token] else {
            return;
        };
        if connection.is_full == is_full {
            return;
        }
        connection.is_full = is_full;
        if !self.is_edge {
            let data = EventData::new_u64(token as u64);
            let changed = epoll::modify(&self.epoll, connection.socket.as_fd(), data, interest);
            changed.expect("the socket is in the set");
        }
    }

    fn serve(
        &mut self,
        token: usize,
        flags: EventFlags,
        buffer: &mut [u8],
        work: &mut impl Work,
    ) -> Result<(), Errno> {
        if let Some(connection) = &mut self.all[token]
            && connection.is_full
            && flags.contains(EventFlags::OUT)
            && work.write(connection)
        {
            self.set_full(token, false);
        }
        if flags == EventFlags::OUT {
            return Ok(());
        }
        loop {
            let Some(connection) = &mut self.all[token] else {
                return Ok(());
            };
            let received = match connection.receive(buffer) {
                Err(Errno::AGAIN) => return Ok(()),
                Ok(0) | Err(_) => {
                    self.all[token] = None;
                    return Ok(());
                }
                Ok(received) => received,
            };
            if !connection.is_open {
                connection.shake_hands(&buffer[..received]);
            } else if !work.read(self, token, &buffer[..received]) {
                self.all[token] = None;
            }
            // A short read means that the socket is empty.
            if !self.is_edge || received < buffer.len() {
                return Ok(());
            }
        }
    }
}
