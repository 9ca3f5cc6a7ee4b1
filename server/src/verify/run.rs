//! One run: the clients, the checker that hears everything they hear, and the four parts of a run.
//!
//! ```text
//!   Load ──all sent and acknowledged──▶ Settle ──everybody has everything──▶ Read ──all pages──▶ Done
//! ```

mod parts;
mod servers;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use tidewire_protocol::Config;

use self::servers::{Server, servers};
use super::checker::Checker;
use super::error::VerifyError;
use super::load::{Load, Publisher};
use super::options::Options;
use super::report::{Counts, table, verdict};
use super::stamp::Stamp;
use crate::client::{Begin, Chat, Content, Entry, Identity, News};
use crate::clock::Now;
use crate::log::Position;
use crate::progress::Progress;
use crate::tools::terminal::Palette;

/// Bytes that a client reads in a turn.
const BUDGET: usize = 256 << 10;

/// Bytes that a slow client reads every [`SLOW_EVERY`].
const SLOW_BUDGET: usize = 4 << 10;

/// How often a slow client reads.
const SLOW_EVERY: Duration = Duration::from_millis(100);

/// The longest wait between two tries to connect: a server that comes back is to be found soon.
const RETRY_MAX: Duration = Duration::from_millis(500);

/// The longest that the loop waits for anything.
const TURN_MAX: Duration = Duration::from_millis(50);

/// How often a line of progress is written where there is no terminal for a bar.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A half-open connection is given up after twice this.
const PING_INTERVAL: Duration = Duration::from_secs(3);

/// Loads the server and prints what was found; whether it is clean.
///
/// # Errors
/// There is nothing to judge: no such server, or its history cannot be read.
pub fn run(options: &Options) -> Result<bool, VerifyError> {
    let seed = options.seed.unwrap_or_else(rand::random);
    let mut run = Run::new(options, seed)?;
    run.turn_until(Part::Done)?;
    run.progress.clear();
    let took = run.loaded.unwrap_or(run.now).duration_since(run.begin);
    let found = run.checker.finish();
    let is_clean = found.total() == 0;
    let palette = Palette::of_stdout();
    let word = if is_clean {
        palette.success("clean")
    } else {
        palette.warning("NOT CLEAN")
    };
    // Who reads it may stop, as `head` does; the exit code says it, too.
    let _ = writeln!(
        io::stdout(),
        "tidewire verify {}: {word} (seed {seed})\n{}{}",
        options.urls.join(" "),
        table(&run.counts, took, &found),
        verdict(&run.counts, &found)
    );
    Ok(is_clean)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Load,
    Settle,
    Read,
    Done,
}

struct Run<'a> {
    options: &'a Options,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    now: Instant,
    part: Part,
    /// Unlike any other run's, so that rooms and numbers are.
    id: String,
    rooms: Vec<String>,
    servers: Vec<Server>,
    clients: Vec<Client>,
    publishers: Vec<Publisher>,
    load: Load,
    checker: Checker,
    counts: Counts,
    progress: Progress,
    begin: Instant,
    loaded: Option<Instant>,
    heard_at: Instant,
    /// The room whose history is being read, and from where on.
    reading: (usize, Option<Position>),
    /// Who everybody is, where a token says so.
    caller: Option<String>,
    /// What the last socket that ended said of it.
    lost: Option<String>,
    /// What the server does not let us do.
    denied: Option<String>,
}

struct Client {
    chat: Chat,
    /// The rooms that it is in, by its own numbers for them.
    rooms: Vec<u16>,
    /// Which of the servers it is at.
    server: usize,
    /// Since when it has lost its server, until it is shown a room again.
    away_since: Option<Instant>,
    /// When it reads again, if it is a slow one.
    slow: Option<Instant>,
}

impl<'a> Run<'a> {
    fn new(options: &'a Options, seed: u64) -> Result<Self, VerifyError> {
        let poll = Poll::new().map_err(|error| VerifyError::Io("wait for sockets", error))?;
        let id = format!("{:08x}", rand::random::<u32>());
        let rooms: Vec<_> = (0..options.rooms)
            .map(|room| format!("verify-{id}-{room}"))
            .collect();
        let now = Now::read().instant;
        let clients = options.publishers + options.subscribers + options.slow;
        let mut run = Self {
            options,
            poll,
            events: Events::with_capacity(1024),
            buffer: vec![0; 64 << 10],
            now,
            part: Part::Load,
            id,
            rooms,
            servers: servers(options)?,
            clients: Vec::new(),
            publishers: (0..options.publishers)
                .map(|_| Publisher::new(options.window))
                .collect(),
            load: Load::new(options, seed, usize::from(clients), now),
            checker: Checker::new(
                options.publishers,
                clients + 1,
                options.rooms,
                options.history_entries,
            )
            .allow_gaps(options.allow_gaps),
            counts: Counts::default(),
            progress: Progress::new(Some(LINE_EVERY)),
            begin: now,
            loaded: None,
            heard_at: now,
            reading: (0, None),
            caller: None,
            lost: None,
            denied: None,
        };
        for index in 0..clients {
            let is_slow = index >= options.publishers + options.subscribers;
            run.add_client(index, is_slow, seed)?;
        }
        Ok(run)
    }

    fn add_client(&mut self, index: u16, is_slow: bool, seed: u64) -> Result<(), VerifyError> {
        let place = usize::from(index) % self.servers.len();
        let server = &self.servers[place];
        let token = self.options.bearer.token();
        let identity = Identity {
            user: token.is_none().then(|| user(index)),
            // Messages are told apart by user, session and number, and with a token there is one user.
            session: format!("verify-{}-{index}", self.id),
            // Of a file, with the end of its line.
            token: token.map(str::to_owned),
            address: server.address.clone(),
            to: server.to.clone(),
            tls: server.tls.clone(),
        };
        let config = Arc::new(Config {
            ping_interval: Some(PING_INTERVAL),
            pong_wait: PING_INTERVAL,
            ..Config::default()
        });
        let token = Token(usize::from(index));
        let seed = seed ^ u64::from(index) << 32;
        let mut chat = Chat::new(identity, token, config, RETRY_MAX, seed);
        // Who comes at the end is in all of them.
        let rooms = if index < self.newcomer() {
            self.options.rooms_of(index)
        } else {
            (0..self.options.rooms).collect()
        };
        for room in &rooms {
            chat.follow(&self.rooms[usize::from(*room)], Begin::Oldest);
            if index <= self.newcomer() {
                self.checker.expects(index, *room);
            }
        }
        chat.resume_in_turns();
        chat.read_slowly(is_slow);
        let slow = is_slow.then_some(self.now);
        self.clients.push(Client {
            chat,
            rooms,
            server: place,
            away_since: None,
            slow,
        });
        Ok(())
    }

    fn turn_until(&mut self, part: Part) -> Result<(), VerifyError> {
        while self.part < part {
            self.turn()?;
        }
        Ok(())
    }

    /// One turn of the loop.
    fn turn(&mut self) -> Result<(), VerifyError> {
        let wait = self.wait();
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(VerifyError::Io("wait for sockets", error));
            }
            Ok(()) | Err(_) => {}
        }
        self.now = Now::read().instant;
        for event in &self.events {
            if let Some(client) = self.clients.get_mut(event.token().0) {
                client
                    .chat
                    .note_ready(event.is_readable(), event.is_writable());
            }
        }
        for index in 0..self.clients.len() {
            self.pump(index);
            self.hear(index);
        }
        if self.part == Part::Load {
            self.send();
            self.cut();
        }
        if let Some(message) = self.denied.take() {
            let has_token = self.options.bearer.token().is_some();
            return Err(VerifyError::Denied { message, has_token });
        }
        self.go_on()?;
        self.show();
        Ok(())
    }

    fn wait(&self) -> Duration {
        let is_ready = |client: &Client| client.slow.is_none() && client.chat.is_readable();
        if self.clients.iter().any(is_ready) {
            return Duration::ZERO;
        }
        let due = self
            .clients
            .iter()
            .filter_map(|client| client.chat.poll_timeout())
            .min();
        let paced = if self.options.rate.is_some() {
            TURN_MAX / 10
        } else {
            TURN_MAX
        };
        due.map_or(paced, |due| {
            due.saturating_duration_since(self.now).min(paced)
        })
    }

    fn pump(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let budget = match &mut client.slow {
            None => BUDGET,
            Some(at) if *at <= self.now => {
                *at = self.now + SLOW_EVERY;
                SLOW_BUDGET
            }
            Some(_) => 0,
        };
        let registry = self.poll.registry();
        client
            .chat
            .pump(registry, &mut self.buffer, budget, self.now);
    }

    // ---- what comes ----

    fn hear(&mut self, index: usize) {
        while let Some(news) = self.clients[index].chat.poll_news() {
            // A server that cannot be reached says nothing, however often it is tried.
            if !matches!(news, News::Lost(_)) {
                self.heard_at = self.now;
            }
            self.take(index, news);
        }
    }

    fn take(&mut self, index: usize, news: News) {
        let follower = index as u16;
        let global = |room: usize| self.clients[index].rooms[room];
        match news {
            News::Opened { user } => self.opened(follower, user),
            News::Following(room, since) => self.checker.following(follower, global(room), since),
            News::Lost(end) => self.lost(index, end.reason),
            News::Joined { room, position, .. } => {
                let room = global(room);
                self.checker.joined(follower, room, position);
                self.is_back(index);
            }
            News::Entry(room, entry) => {
                self.counts.deliveries += 1;
                let (room, stamp) = (global(room), self.stamp(&entry));
                self.checker
                    .delivered(follower, room, entry.position, stamp);
            }
            News::Gap {
                room,
                from,
                to,
                reason,
            } => self.gap(follower, global(room), &from, to, &reason),
            News::Ack {
                seq,
                room,
                position,
                dup,
            } => {
                self.acknowledged(follower, seq, &room, position, dup);
            }
            News::Refused { code, message, .. } | News::Denied { code, message }
                if is_for_good(&code) =>
            {
                self.denied = Some(message);
            }
            News::Refused { seq, .. } => self.refused(index, seq),
            News::History {
                room,
                entries,
                position,
                more,
            } => {
                self.page(room, &entries, position, more);
            }
            News::Nonsense(what) => self.checker.nonsense(follower, &what),
            News::Denied { message, .. } => self.checker.nonsense(follower, &message),
            // Others may be on the server, and write to everybody.
            News::Personal(_)
            | News::PersonalGap { .. }
            | News::Came(..)
            | News::Left(..)
            | News::Presence(..) => {}
        }
    }

    fn refused(&mut self, index: usize, seq: u64) {
        self.counts.refused += 1;
        self.checker.refused(index as u16, seq);
        if let Some(publisher) = self.publishers.get_mut(index) {
            publisher.refused(seq, self.now);
        }
    }

    /// It comes back to the next server, once this one was not found at any of its addresses.
    fn lost(&mut self, index: usize, reason: String) {
        self.counts.reconnects += 1;
        self.lost = Some(reason);
        // Also the tries that fail are told as losses.
        self.clients[index].away_since.get_or_insert(self.now);
        if self.servers.len() > 1 && !self.clients[index].chat.has_other_addresses() {
            let client = &mut self.clients[index];
            client.server = (client.server + 1) % self.servers.len();
            let server = &self.servers[client.server];
            let (address, to) = (server.address.clone(), server.to.clone());
            client.chat.move_to(address, to, server.tls.clone());
        }
    }

    fn gap(&mut self, follower: u16, room: u16, from: &str, to: Position, reason: &str) {
        self.counts.gaps += 1;
        if follower == self.reader() {
            self.checker.history_gap(room, from, to, reason);
        } else {
            self.checker.gap(follower, room, from, to, reason);
        }
    }

    fn opened(&mut self, follower: u16, user: String) {
        self.caller = self.options.bearer.token().map(|_| user);
        if follower == self.reader() {
            return self.ask_history();
        }
        self.checker.opened(follower);
        if let Some(publisher) = self.publishers.get_mut(usize::from(follower)) {
            publisher.opened();
        }
    }

    fn acknowledged(&mut self, follower: u16, seq: u64, room: &str, at: Position, dup: bool) {
        let Some(room) = self.rooms.iter().position(|name| name == room) else {
            return self
                .checker
                .nonsense(follower, &format!("an ack for the room {room}"));
        };
        self.checker.ack(follower, seq, room as u16, at, dup);
        self.counts.dups += u64::from(dup);
        let publisher = self.publishers.get_mut(usize::from(follower));
        if let Some(latency) = publisher.and_then(|publisher| publisher.acknowledged(seq, self.now))
        {
            self.counts.acks += 1;
            self.counts.latencies.add(latency.as_nanos() as u64, 1);
        }
    }

    /// Which message an entry is; none where its sender is not who the message says.
    fn stamp(&self, entry: &Entry) -> Option<Stamp> {
        let Content::Text(text) = &entry.content else {
            return None;
        };
        let is_from = |publisher| match &self.caller {
            None => user(publisher) == entry.from,
            Some(caller) => *caller == entry.from,
        };
        Stamp::read(&self.id, text).filter(|stamp| is_from(stamp.publisher))
    }

    // ---- what goes ----

    /// Every publisher in turn sends one message, as long as anybody may.
    fn send(&mut self) {
        for index in 0..self.publishers.len() {
            let refused = self.publishers[index].take_refused(self.now);
            refused
                .into_iter()
                .for_each(|seq| self.clients[index].chat.resend(seq));
        }
        let mut went = true;
        while went {
            went = false;
            for index in 0..self.publishers.len() {
                let Client { chat, rooms, .. } = &mut self.clients[index];
                if !chat.is_open() || !self.publishers[index].has_room(chat.pending()) {
                    continue;
                }
                let Some(room) = self.load.next_room(self.now, rooms.len()) else {
                    break;
                };
                went = true;
                let number = self.publishers[index].send(self.now);
                let bytes = usize::from(self.options.bytes);
                let (stamp, text) = Stamp::write(&self.id, index as u16, number, bytes);
                self.checker.intent(stamp, rooms[room]);
                chat.say(room, u64::from(number), &text);
                self.counts.sent += 1;
            }
        }
        let registry = self.poll.registry();
        for client in self.clients.iter_mut().take(self.publishers.len()) {
            client.chat.pump(registry, &mut self.buffer, 0, self.now);
        }
    }

    fn cut(&mut self) {
        for (index, client) in self.clients.iter_mut().enumerate() {
            if let Some(how) = self.load.cut(index, self.now) {
                client.chat.cut(how, self.now);
            }
        }
    }
}

/// Whether a refusal stays one, however often it is tried.
fn is_for_good(code: &str) -> bool {
    matches!(
        code,
        "forbidden" | "unauthorized" | "too_many_connections" | "too_many_rooms"
    )
}

fn user(index: u16) -> String {
    format!("verify-{index}")
}
