//! Fan-out: publishers, who are followers too, speak in one room. Every message is followed to every follower, so that
//! what is lost, doubled, late or out of order is seen.

pub(crate) mod flights;
pub(crate) mod message;

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use self::flights::Flights;
use self::message::{Messages, Next};
use crate::dialect::Dialect;
use crate::frame::{self, Header};
use crate::histogram::Histogram;
use crate::net::{self, Poll};
use crate::schedule::{Due, Schedule};
use crate::window::{Load, Times, Window};
use crate::{Target, meter};

/// When nothing has come for this long, what the server says to who enters is over.
const SETTLED: u64 = 300_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    times: Times,
    /// Connections in the room
    #[arg(long, default_value_t = 1000)]
    followers: usize,
    /// How many of them speak
    #[arg(long, default_value_t = 1)]
    publishers: usize,
    /// Bytes of what a message says
    #[arg(long, default_value_t = 125)]
    bytes: usize,
    /// Closed loop: messages of each publisher in flight until the last follower has them
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Open loop: messages a second of all publishers together
    #[arg(long)]
    rate: Option<f64>,
    /// What is sent, with `{}` for what it says and `{len}` for its length, where the server wants more than that
    #[arg(long, default_value = "{}")]
    template: String,
    #[command(flatten)]
    dialect: Dialect,
    /// Publishers are no followers, and come in by this path
    #[arg(long, conflicts_with = "without_sender")]
    publish_path: Option<String>,
    /// Frames are pieces of a stream: the server puts several messages into one, or one into several
    #[arg(long)]
    stream: bool,
    /// A publisher does not get its own messages
    #[arg(long)]
    without_sender: bool,
}

struct Connection {
    socket: OwnedFd,
    /// A part of a frame.
    part: Vec<u8>,
    /// What frames brought that is no whole message yet, where they are pieces of a stream.
    stream: Vec<u8>,
    /// The number of the next message of each publisher.
    expected: Vec<u32>,
}

struct Publisher {
    /// The number of its connection.
    connection: usize,
    flights: Flights,
    /// What is on its way into the socket.
    unsent: Vec<u8>,
    is_full: bool,
}

struct Fanout {
    messages: Messages,
    poll: Poll,
    connections: Vec<Connection>,
    publishers: Vec<Publisher>,
    is_stream: bool,
    depth: usize,
    /// None in a closed loop.
    schedule: Option<Schedule>,
    room: Room,
}

/// What is counted while frames are read.
struct Room {
    /// Messages at followers, and messages that all have.
    delivered: u64,
    complete: u64,
    /// Frames that carry no message: acknowledgements, who comes and goes.
    other: u64,
    each: Histogram,
    last: Histogram,
}

pub(crate) fn run(options: &Options) -> Result<Value> {
    ensure!(
        (1..=options.followers.min(100)).contains(&options.publishers) && options.depth > 0,
        "1 to 100 followers are publishers"
    );
    ensure!(options.followers > 1, "a room of one");
    drop(net::open_first(&options.target)?);
    let mut fanout = Fanout::connect(options)?;
    let mut buffer = vec![0; net::BUFFER];
    fanout.settle(&mut buffer)?;
    fanout.schedule = options.rate.map(Schedule::new);
    let window = Window::run(options.target.pid, &options.times, &mut fanout)?;
    let room = fanout.room;
    let more = json!({
        "complete": room.complete,
        "deliveries_each": options.followers - usize::from(options.without_sender),
        "other": room.other,
        "latency_us": room.last.to_json(),
        "latency_each_us": room.each.to_json(),
    });
    window.close(room.delivered, more)
}

impl Load for Fanout {
    /// A message to 9,000 is a tenth of a second's work: halves of it would be seen in the figure.
    fn counts(&self) -> (u64, u64) {
        (self.room.delivered, self.room.complete)
    }

    fn forget(&mut self) {
        self.room.forget();
    }

    fn turn(&mut self, buffer: &mut [u8]) -> Result<()> {
        let wait = self.say_what_is_due();
        self.send()?;
        self.read(wait, buffer).map(drop)
    }
}

impl Fanout {
    fn connect(options: &Options) -> Result<Self> {
        let mut fanout = Self {
            messages: Messages::new(options.bytes, &options.template, options.dialect.opcode())?,
            poll: Poll::new()?,
            connections: Vec::with_capacity(options.followers + options.publishers),
            publishers: Vec::with_capacity(options.publishers),
            is_stream: options.stream,
            depth: options.depth,
            schedule: None,
            room: Room {
                delivered: 0,
                complete: 0,
                other: 0,
                each: Histogram::new(),
                last: Histogram::new(),
            },
        };
        for _ in 0..options.followers {
            fanout.open(options, &options.target.path)?;
            let last = fanout.connections.last().context("it was just opened")?;
            options.dialect.greet(&last.socket)?;
        }
        for number in 0..options.publishers {
            if let Some(path) = &options.publish_path {
                fanout.open(options, path)?;
            }
            let own = options.publish_path.is_some();
            fanout.publishers.push(Publisher {
                connection: if own {
                    options.followers + number
                } else {
                    number
                },
                flights: Flights::new(options.followers - usize::from(options.without_sender)),
                unsent: Vec::new(),
                is_full: false,
            });
        }
        Ok(fanout)
    }

    fn open(&mut self, options: &Options, path: &str) -> Result<()> {
        let number = self.connections.len();
        let (socket, part) = net::open_at(&options.target, path, number, false)
            .with_context(|| format!("connection {number}"))?;
        self.poll.add(&socket, number, false)?;
        self.connections.push(Connection {
            socket,
            part,
            stream: Vec::new(),
            expected: vec![0; options.publishers],
        });
        Ok(())
    }

    /// Reads what there is to read before the first message.
    fn settle(&mut self, buffer: &mut [u8]) -> Result<()> {
        while self.read(SETTLED, buffer)? > 0 {}
        ensure!(self.room.delivered == 0, "a message before the first");
        Ok(())
    }

    /// Returns how long it is until the next is due.
    fn say_what_is_due(&mut self) -> u64 {
        let now = meter::now();
        while let Some(schedule) = &mut self.schedule {
            match schedule.next(now) {
                Due::In(nanoseconds) => return nanoseconds,
                Due::Now { number, since } => self.say(number % self.publishers.len(), since),
            }
        }
        self.fill(now);
        1_000_000_000
    }

    /// Closed loop: as many messages as may be in flight.
    fn fill(&mut self, now: u64) {
        for number in 0..self.publishers.len() {
            while self.publishers[number].flights.len() < self.depth {
                self.say(number, now);
            }
        }
    }

    fn say(&mut self, number: usize, since: u64) {
        let publisher = &mut self.publishers[number];
        let sequence = publisher.flights.begin(since);
        self.messages.push(&mut publisher.unsent, number, sequence);
    }

    fn send(&mut self) -> Result<()> {
        for publisher in &mut self.publishers {
            if publisher.unsent.is_empty() {
                continue;
            }
            let number = publisher.connection;
            let socket = &self.connections[number].socket;
            let sent = net::send(socket, &publisher.unsent)?;
            publisher.unsent.drain(..sent);
            let is_full = !publisher.unsent.is_empty();
            if is_full != publisher.is_full {
                publisher.is_full = is_full;
                self.poll.change(socket, number, is_full)?;
            }
        }
        Ok(())
    }

    /// Reads from all who are ready, and returns how many they are.
    fn read(&mut self, wait: u64, buffer: &mut [u8]) -> Result<usize> {
        let count = self.poll.wait(wait)?;
        for index in 0..count {
            let ready = self.poll.ready(index);
            if !ready.readable {
                continue;
            }
            let connection = &mut self.connections[ready.number];
            let Some(received) = net::receive(&connection.socket, buffer)? else {
                continue;
            };
            ensure!(
                received > 0,
                "the server closed connection {}",
                ready.number
            );
            self.take(ready.number, &buffer[..received])?;
        }
        Ok(count)
    }

    fn take(&mut self, number: usize, bytes: &[u8]) -> Result<()> {
        let now = meter::now();
        let mut part = std::mem::take(&mut self.connections[number].part);
        if part.is_empty() {
            let used = self.frames(number, bytes, now)?;
            part.extend_from_slice(&bytes[used..]);
        } else {
            part.extend_from_slice(bytes);
            let used = self.frames(number, &part, now)?;
            part.drain(..used);
        }
        self.connections[number].part = part;
        Ok(())
    }

    /// Takes whole frames, and returns how long they are together.
    fn frames(&mut self, number: usize, bytes: &[u8], now: u64) -> Result<usize> {
        let mut rest = bytes;
        while let Some(header) = Header::parse(rest)?
            && let Some(payload) = rest.get(header.len..header.len + header.payload)
        {
            rest = &rest[header.len + header.payload..];
            ensure!(
                (header.fin || self.is_stream) && !header.compressed,
                "a frame that is no whole message"
            );
            ensure!(
                matches!(
                    header.opcode,
                    frame::CONTINUATION | frame::TEXT | frame::BINARY | frame::PING | frame::PONG
                ),
                "the server closes: {}",
                String::from_utf8_lossy(payload)
            );
            if self.is_stream {
                self.piece(number, payload, now)?;
                continue;
            }
            match self.messages.find(payload)? {
                Some((publisher, sequence)) => self.landed(number, publisher, sequence, now)?,
                None => self.room.other += 1,
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// Takes a piece of a stream.
    fn piece(&mut self, number: usize, piece: &[u8], now: u64) -> Result<()> {
        let mut stream = std::mem::take(&mut self.connections[number].stream);
        stream.extend_from_slice(piece);
        let mut used = 0;
        loop {
            match self.messages.next(&stream[used..])? {
                Next::Awaited(from) => break used += from,
                Next::Message {
                    publisher,
                    sequence,
                    end,
                } => {
                    used += end;
                    self.landed(number, publisher, sequence, now)?;
                }
            }
        }
        stream.drain(..used);
        self.connections[number].stream = stream;
        Ok(())
    }

    /// A follower has a message.
    fn landed(&mut self, number: usize, publisher: usize, sequence: u32, now: u64) -> Result<()> {
        let connection = &mut self.connections[number];
        let expected = connection
            .expected
            .get_mut(publisher)
            .context("a message of nobody")?;
        ensure!(
            sequence == *expected,
            "connection {number}: message {sequence} of publisher {publisher}, not {expected}"
        );
        *expected += 1;
        let flights = &mut self.publishers[publisher].flights;
        let landed = flights
            .land(sequence)
            .context("a message that was not sent")?;
        self.room
            .count(now.saturating_sub(landed.since), landed.is_last);
        Ok(())
    }
}

impl Room {
    fn count(&mut self, latency: u64, is_last: bool) {
        self.delivered += 1;
        self.each.add(latency);
        if is_last {
            self.complete += 1;
            self.last.add(latency);
        }
    }

    fn forget(&mut self) {
        (self.delivered, self.complete, self.other) = (0, 0, 0);
        self.each.clear();
        self.last.clear();
    }
}
