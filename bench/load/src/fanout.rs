//! Fan-out: publishers, who are followers too, speak in one room. Every message is followed to every follower, so that
//! what is lost, doubled, late or out of order is seen.

pub(crate) mod flights;
mod inbox;
pub(crate) mod message;

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use self::flights::Flights;
use self::inbox::{Found, Inbox};
use self::message::Messages;
use crate::dialect::{Dialect, Speech, http};
use crate::frame;
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
    /// Publishers are no followers, and come in by this path; one of them, where what they hear there is not to be counted
    #[arg(long, conflicts_with = "without_sender")]
    publish_path: Option<String>,
    /// A publisher does not get its own messages
    #[arg(long)]
    without_sender: bool,
}

struct Connection {
    socket: OwnedFd,
    inbox: Inbox,
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
    /// Where polls go to.
    path: String,
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
    /// What came over the connections, whatever it was.
    bytes: u64,
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
    ensure!(
        !options.dialect.is_http() || options.publish_path.is_some(),
        "who follows over HTTP does not publish: --publish-path"
    );
    let (first, offer) = match &options.publish_path {
        Some(path) if options.dialect.is_http() => (path, options.dialect.offer(false)),
        _ => (&options.target.path, options.dialect.offer(false)),
    };
    drop(net::open_first_at(&options.target, first, offer)?);
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
        "bytes_each": room.bytes as f64 / room.delivered.max(1) as f64,
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
        let envelope = options.dialect.envelope(&options.template, options.bytes)?;
        let mut fanout = Self {
            messages: Messages::new(options.bytes, envelope, options.dialect.opcode())?,
            poll: Poll::new()?,
            connections: Vec::with_capacity(options.followers + options.publishers),
            publishers: Vec::with_capacity(options.publishers),
            path: options.target.path.clone(),
            depth: options.depth,
            schedule: None,
            room: Room {
                delivered: 0,
                complete: 0,
                bytes: 0,
                other: 0,
                each: Histogram::new(),
                last: Histogram::new(),
            },
        };
        for _ in 0..options.followers {
            fanout.follow(options)?;
        }
        if !options.dialect.is_http() {
            fanout.shake_hands(options)?;
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

    /// A connection over WebSocket.
    fn open(&mut self, options: &Options, path: &str) -> Result<()> {
        let number = self.connections.len();
        let offer = options.dialect.offer(false);
        let (socket, part) = net::open_at(&options.target, path, number, offer)
            .with_context(|| format!("connection {number}"))?;
        let speech = match options.dialect.is_http() {
            true => Speech::Plain,
            false => options.dialect.speak,
        };
        self.add(options, socket, Inbox::new(speech, part))
    }

    /// A follower that has asked for its handshake, its stream or its poll: a server that answers them turn by turn is not waited for.
    fn follow(&mut self, options: &Options) -> Result<()> {
        let number = self.connections.len();
        let path = &options.target.path;
        let request = match options.dialect.is_http() {
            true => http::request(path),
            false => frame::upgrade(path, options.dialect.offer(false)),
        };
        let socket = net::ask(&options.target, number, &request)
            .with_context(|| format!("connection {number}"))?;
        let inbox = Inbox::new(options.dialect.speak, Vec::new());
        self.add(options, socket, inbox)
    }

    /// Waits until all who asked for a handshake have it, and says what is to be said first.
    fn shake_hands(&mut self, options: &Options) -> Result<()> {
        let offer = options.dialect.offer(false);
        for (number, connection) in self.connections.iter_mut().enumerate() {
            let rest = net::accepted(&connection.socket, offer)
                .with_context(|| format!("connection {number}"))?;
            connection.inbox = Inbox::new(options.dialect.speak, rest);
            options.dialect.greet(&connection.socket, number)?;
        }
        Ok(())
    }

    fn add(&mut self, options: &Options, socket: OwnedFd, inbox: Inbox) -> Result<()> {
        self.poll.add(&socket, self.connections.len(), false)?;
        self.connections.push(Connection {
            socket,
            inbox,
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
            self.room.bytes += received as u64;
            self.take(ready.number, &buffer[..received])?;
        }
        Ok(count)
    }

    fn take(&mut self, number: usize, bytes: &[u8]) -> Result<()> {
        let now = meter::now();
        let Connection {
            socket,
            inbox,
            expected,
        } = &mut self.connections[number];
        let (publishers, room, path) = (&mut self.publishers, &mut self.room, &self.path);
        let mut found = |found| match found {
            Found::Message {
                publisher,
                sequence,
            } => {
                expect(expected, publisher, sequence)
                    .with_context(|| format!("connection {number}"))?;
                let flights = &mut publishers[publisher].flights;
                let landed = flights
                    .land(sequence)
                    .context("a message that was not sent")?;
                room.count(now.saturating_sub(landed.since), landed.is_last);
                Ok(())
            }
            Found::Other => {
                room.other += 1;
                Ok(())
            }
            Found::Answered(position) => {
                let request = http::request(&http::poll_on(path, &position));
                let sent = net::send(&*socket, &request)?;
                ensure!(sent == request.len(), "an empty socket is full");
                Ok(())
            }
        };
        inbox.take(bytes, &mut self.messages, &mut found)
    }
}

/// Notes that a follower has a publisher's message: the next one.
fn expect(expected: &mut [u32], publisher: usize, sequence: u32) -> Result<()> {
    let next = expected.get_mut(publisher).context("a message of nobody")?;
    ensure!(
        sequence == *next,
        "message {sequence} of publisher {publisher}, not {next}"
    );
    *next += 1;
    Ok(())
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
        self.bytes = 0;
        self.each.clear();
        self.last.clear();
    }
}
