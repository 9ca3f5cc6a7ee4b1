//! Many rooms of the chat, with two in each: what one says the other gets. Always as many messages are in flight, in one
//! room after the other, so that only the number of rooms changes.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::fanout::flights::Flights;
use crate::fanout::message::Messages;
use crate::frame::{self, Header};
use crate::net::{self, Poll};
use crate::window::{Load, Times, Window};
use crate::{Target, meter};

/// When nothing has come for this long, all have heard who came.
const SETTLED: u64 = 300_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    times: Times,
    #[arg(long, default_value_t = 10)]
    rooms: usize,
    /// Rooms are shared out among so many pairs of connections: a connection may be in 128 of the chat
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    pairs: u8,
    /// Messages in flight, of all together
    #[arg(long, default_value_t = 10)]
    depth: usize,
    /// Bytes of what a message says
    #[arg(long, default_value_t = 125)]
    bytes: usize,
}

struct Connection {
    socket: OwnedFd,
    part: Vec<u8>,
}

struct Rooms {
    poll: Poll,
    messages: Messages,
    /// Speaker, listener, speaker, listener.
    connections: Vec<Connection>,
    /// What each pair has in flight.
    flights: Vec<Flights>,
    /// What stands before a message's content, for each room.
    heads: Vec<Vec<u8>>,
    next: usize,
    joined: usize,
    answered: u64,
}

pub(crate) fn run(options: &Options) -> Result<Value> {
    ensure!(options.rooms > 0 && options.depth > 0, "nothing to do");
    drop(net::open_first(&options.target)?);
    let mut rooms = Rooms::connect(options)?;
    let mut buffer = vec![0; 64 << 10];
    rooms.join(options, &mut buffer)?;
    for _ in 0..options.depth {
        rooms.say()?;
    }
    let window = Window::run(options.target.pid, &options.times, &mut rooms)?;
    window.close(rooms.answered, json!({ "rooms": options.rooms }))
}

impl Load for Rooms {
    fn counts(&self) -> (u64, u64) {
        (self.answered, self.answered)
    }

    fn forget(&mut self) {
        self.answered = 0;
    }

    fn turn(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.read(1_000_000_000, buffer).map(drop)
    }
}

impl Rooms {
    fn connect(options: &Options) -> Result<Self> {
        let pairs = usize::from(options.pairs).min(options.rooms);
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for number in 0..2 * pairs {
            let (socket, part) = net::open(&options.target, number, false)
                .with_context(|| format!("connection {number}"))?;
            poll.add(&socket, number, false)?;
            connections.push(Connection { socket, part });
        }
        let head = |room| {
            let text = format!("{{\"type\":\"room_msg\",\"roomId\":\"r{room}\",\"content\":\"");
            text.into_bytes()
        };
        Ok(Self {
            poll,
            messages: Messages::new(options.bytes, (Vec::new(), b"\"}".to_vec()), frame::TEXT)?,
            connections,
            flights: (0..pairs).map(|_| Flights::new(1)).collect(),
            heads: (0..options.rooms).map(head).collect(),
            next: 0,
            joined: 0,
            answered: 0,
        })
    }

    /// Both of a pair enter its rooms.
    fn join(&mut self, options: &Options, buffer: &mut [u8]) -> Result<()> {
        for room in 0..options.rooms {
            let pair = room % self.flights.len();
            let text = format!("{{\"type\":\"join_room\",\"roomId\":\"r{room}\"}}");
            let mut request = Vec::new();
            let key = frame::key(room as u64);
            frame::push(&mut request, frame::TEXT, false, text.as_bytes(), key);
            for connection in &self.connections[2 * pair..2 * pair + 2] {
                let sent = net::send(&connection.socket, &request)?;
                ensure!(sent == request.len(), "an empty socket is full");
            }
            self.read(0, buffer)?;
        }
        while self.read(SETTLED, buffer)? > 0 {}
        let wanted = 2 * options.rooms;
        ensure!(self.joined == wanted, "{} of {wanted} joined", self.joined);
        Ok(())
    }

    /// A message in the next room.
    fn say(&mut self) -> Result<()> {
        let room = self.next % self.heads.len();
        self.next += 1;
        let pair = room % self.flights.len();
        let sequence = self.flights[pair].begin(meter::now());
        let mut message = Vec::with_capacity(512);
        self.messages
            .push_as(&mut message, &self.heads[room], pair, sequence);
        let sent = net::send(&self.connections[2 * pair].socket, &message)?;
        ensure!(sent == message.len(), "a socket with few messages is full");
        Ok(())
    }

    /// Reads from all who are ready, and returns how many they are.
    fn read(&mut self, wait: u64, buffer: &mut [u8]) -> Result<usize> {
        let count = self.poll.wait(wait)?;
        for index in 0..count {
            let number = self.poll.ready(index).number;
            let connection = &mut self.connections[number];
            let Some(received) = net::receive(&connection.socket, buffer)? else {
                continue;
            };
            ensure!(received > 0, "the server closed connection {number}");
            let mut bytes = std::mem::take(&mut connection.part);
            bytes.extend_from_slice(&buffer[..received]);
            let used = self.frames(number, &bytes)?;
            bytes.drain(..used);
            self.connections[number].part = bytes;
        }
        Ok(count)
    }

    fn frames(&mut self, number: usize, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        while let Some(header) = Header::parse(&bytes[used..])?
            && let Some(payload) = bytes[used + header.len..].get(..header.payload)
        {
            used += header.len + header.payload;
            if header.opcode == frame::PING {
                // The chat asks so what has arrived.
                net::pong(&self.connections[number].socket, payload)?;
                continue;
            }
            ensure!(
                header.fin && header.opcode == frame::TEXT,
                "no whole message, but {header:?}: {}",
                String::from_utf8_lossy(payload)
            );
            let Some((pair, sequence)) = self.messages.find(payload)? else {
                let is_joined = memchr::memmem::find(payload, b"\"type\":\"joined\"").is_some();
                self.joined += usize::from(is_joined);
                continue;
            };
            ensure!(
                number == 2 * pair + 1,
                "a message of pair {pair} at connection {number}"
            );
            let landed = self.flights[pair].land(sequence);
            landed.context("a message that was not sent, or twice")?;
            self.answered += 1;
            self.say()?;
        }
        Ok(used)
    }
}
