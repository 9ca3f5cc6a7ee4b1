//! Sockets that do not wait, and the epoll set that they are in. Level-triggered: the load reads once an event.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::Target;
use crate::frame::{self, Offer};

/// What one read takes at most.
pub(crate) const BUFFER: usize = 512 << 10;

/// How long the server has to begin to listen, and to answer a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stays on one processor from here on.
pub(crate) fn pin(cpu: Option<usize>) -> Result<()> {
    if let Some(cpu) = cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).with_context(|| format!("there is no processor {cpu}"))?;
    }
    Ok(())
}

/// Begins to connect from the `number`th source address.
pub(crate) fn connect(target: &Target, number: usize) -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        None,
    )
    .context("no socket: is the limit on open files high enough?")?;
    set_tcp_nodelay(&socket, true)?;
    let last = 2 + (number % usize::from(target.sources)) as u8;
    rustix::net::bind(
        &socket,
        &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0),
    )?;
    match rustix::net::connect(&socket, &target.address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Connects and shakes hands, one step after the other; returns what came behind the handshake, too.
pub(crate) fn open(target: &Target, number: usize, deflate: bool) -> Result<(OwnedFd, Vec<u8>)> {
    let offer = Offer {
        deflate,
        subprotocol: None,
    };
    open_at(target, &target.path, number, offer)
}

/// Connects and sends a request, whose answer is not waited for.
pub(crate) fn ask(target: &Target, number: usize, request: &[u8]) -> Result<OwnedFd> {
    let socket = connect(target, number)?;
    wait_until(&socket, PollFlags::OUT)?;
    ensure!(
        send(&socket, request).context("not connected")? == request.len(),
        "the request does not fit into an empty socket"
    );
    Ok(socket)
}

/// Connects and shakes hands at this path of the server.
pub(crate) fn open_at(
    target: &Target,
    path: &str,
    number: usize,
    offer: Offer,
) -> Result<(OwnedFd, Vec<u8>)> {
    let socket = ask(target, number, &frame::upgrade(path, offer))?;
    let rest = accepted(&socket, offer)?;
    Ok((socket, rest))
}

/// Waits for the answer to a handshake, and returns what came behind it.
pub(crate) fn accepted(socket: &OwnedFd, offer: Offer) -> Result<Vec<u8>> {
    let (mut response, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        wait_until(socket, PollFlags::IN)?;
        match receive(socket, &mut buffer)? {
            Some(0) => bail!("closed in the handshake"),
            Some(received) => response.extend_from_slice(&buffer[..received]),
            None => {}
        }
        if let Some(end) = frame::accepted(&response, offer)? {
            response.drain(..end);
            return Ok(response);
        }
    }
}

/// The same, but waits for a server that is only starting.
pub(crate) fn open_first(target: &Target) -> Result<(OwnedFd, Vec<u8>)> {
    open_first_at(target, &target.path, Offer::default())
}

/// The same at this path.
pub(crate) fn open_first_at(
    target: &Target,
    path: &str,
    offer: Offer,
) -> Result<(OwnedFd, Vec<u8>)> {
    let mut tries = PATIENCE.as_millis() / 20;
    loop {
        match open_at(target, path, 0, offer) {
            Err(_) if tries > 0 => std::thread::sleep(Duration::from_millis(20)),
            result => return result.context("the server does not answer"),
        }
        tries -= 1;
    }
}

fn wait_until(socket: &OwnedFd, flags: PollFlags) -> Result<()> {
    let timeout = Timespec::try_from(PATIENCE)?;
    let mut entry = [PollFd::new(socket, flags)];
    ensure!(poll(&mut entry, Some(&timeout))? == 1, "no answer in time");
    Ok(())
}

/// How many bytes the socket took: 0 when it is full.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8]) -> Result<usize> {
    match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN) => Ok(0),
        result => result.context("writing"),
    }
}

/// Answers a ping.
pub(crate) fn pong(socket: impl AsFd, payload: &[u8]) -> Result<()> {
    let mut pong = Vec::new();
    frame::push(&mut pong, frame::PONG, false, payload, frame::key(3));
    let sent = send(socket, &pong)?;
    ensure!(sent == pong.len(), "an empty socket is full");
    Ok(())
}

/// How many bytes came: none when there is nothing, 0 at the end.
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Option<usize>> {
    match rustix::net::recv(socket, buffer, RecvFlags::empty()) {
        Ok((received, _)) => Ok(Some(received)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error).context("reading"),
    }
}

/// Who is ready, by numbers that the caller gives.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// A connection that is ready.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) number: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Poll {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(1024),
        })
    }

    pub(crate) fn add(&self, socket: impl AsFd, number: usize, writing: bool) -> Result<()> {
        let data = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, socket, data, interest(writing)).context("epoll")
    }

    pub(crate) fn change(&self, socket: impl AsFd, number: usize, writing: bool) -> Result<()> {
        let data = EventData::new_u64(number as u64);
        epoll::modify(&self.epoll, socket, data, interest(writing)).context("epoll")
    }

    pub(crate) fn remove(&self, socket: impl AsFd) -> Result<()> {
        epoll::delete(&self.epoll, socket).context("epoll")
    }

    /// Waits at most so many nanoseconds, and returns how many are ready.
    pub(crate) fn wait(&mut self, nanoseconds: u64) -> Result<usize> {
        let timeout = Timespec::try_from(Duration::from_nanos(nanoseconds))?;
        self.events.clear();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, room, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(self.events.len()),
            Err(error) => Err(error).context("epoll"),
        }
    }

    pub(crate) fn ready(&self, index: usize) -> Ready {
        let event = self.events[index];
        let flags = event.flags;
        Ready {
            number: event.data.u64() as usize,
            // An error or the end is found by reading.
            readable: flags != EventFlags::OUT,
            writable: flags.contains(EventFlags::OUT),
        }
    }
}

fn interest(writing: bool) -> EventFlags {
    match writing {
        true => EventFlags::IN | EventFlags::OUT,
        false => EventFlags::IN,
    }
}
