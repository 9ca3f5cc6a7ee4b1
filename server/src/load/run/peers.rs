//! The connections of a run, by number: who is ready, who has something to write, who is under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event as Readiness;
use mio::{Registry, Token};
use tidewire_protocol::handshake::client::Target as Request;
use tidewire_protocol::{CloseCode, Config, DeflateConfig, Event, Message};

use super::messages::Messages;
use super::{BUFFER_BYTES, Clock};
use crate::client::{End, Endpoint, Heard, Socket, Tls};
use crate::load::content::Stamp;
use crate::load::error::BenchError;
use crate::load::options::Scenario;
use crate::load::plan::Plan;
use crate::load::target::Target;

/// A server that says nothing for so long is asked whether it is there: rarer than servers ask us.
const PING_INTERVAL: Duration = Duration::from_secs(60);

/// What all connections together may have unsent. A server that does not read must not fill our memory.
const UNSENT_BYTES_MAX: usize = 64 << 20;

/// A connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) socket: Socket,
    /// When it was to be opened.
    due: u64,
    /// When that was begun.
    begun_at: u64,
    pub(super) is_open: bool,
    /// The handshake is done, and where a room is to be entered, that too.
    is_ready: bool,
    pub(super) is_closing: bool,
    /// It is in the list of those that are ready, or have something to write.
    is_listed: bool,
    is_dirty: bool,
    /// How many messages were queued since the last write, and when the first was due.
    queued: u64,
    queued_due: u64,
}

/// What a connection has said in one reading.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Messages of ours, with their lengths.
    pub(super) stamps: Vec<(Stamp, usize)>,
    pub(super) unexpected: u64,
    pub(super) pings: u64,
    /// What the chat refused.
    pub(super) refused: Vec<String>,
    has_joined: bool,
}

/// All connections.
pub(super) struct Peers<'a> {
    plan: &'a Plan,
    to: SocketAddr,
    tls: Option<Tls>,
    target: &'a Target,
    /// The value of `Authorization`.
    bearer: Option<String>,
    config: Arc<Config>,
    deflate: Option<DeflateConfig>,
    peers: Vec<Option<Peer>>,
    /// Numbers that are free again, where connections come and go.
    free: Vec<usize>,
    begun: usize,
    /// Not ready yet.
    under_way: usize,
    count: usize,
    open: usize,
    /// How many were open when they were closed.
    open_at_the_end: usize,
    ready: Vec<usize>,
    dirty: Vec<usize>,
    buffer: Vec<u8>,
    pub(super) said: Said,
    unsent_bytes_max: usize,
    /// Members of each room that are open.
    members: Vec<usize>,
}

impl<'a> Peers<'a> {
    pub(super) fn new(plan: &'a Plan, target: &'a Target) -> Result<Self, BenchError> {
        let message_bytes_max = 64 << 20;
        Ok(Self {
            plan,
            tls: target.tls(&plan.trust)?,
            to: target.find()?,
            target,
            bearer: plan.token.as_ref().map(|token| format!("Bearer {token}")),
            config: Arc::new(Config {
                frame_bytes_max: message_bytes_max,
                message_bytes_max,
                ping_interval: Some(PING_INTERVAL),
                ..Config::default()
            }),
            deflate: plan.deflate.then(DeflateConfig::default),
            peers: Vec::new(),
            free: Vec::new(),
            begun: 0,
            under_way: 0,
            count: 0,
            open: 0,
            open_at_the_end: 0,
            ready: Vec::new(),
            dirty: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            said: Said::default(),
            unsent_bytes_max: UNSENT_BYTES_MAX / plan.connections,
            members: vec![0; plan.rooms],
        })
    }

    // ---- who there is ----

    pub(super) fn url(&self) -> String {
        self.target.url()
    }

    /// How many were begun.
    pub(super) const fn begun(&self) -> usize {
        self.begun
    }

    /// How many are not ready yet.
    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many there are, in whatever state.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// How many are open.
    pub(super) const fn open(&self) -> usize {
        self.open
    }

    /// How many were still open when they were closed by us.
    pub(super) const fn open_at_the_end(&self) -> usize {
        self.open_at_the_end
    }

    /// Open members of a room.
    pub(super) fn members(&self, room: usize) -> usize {
        self.members[room]
    }

    /// When one was to be opened, and when that was begun.
    pub(super) fn times(&self, number: usize) -> Option<(u64, u64)> {
        let peer = self.peers.get(number)?.as_ref()?;
        Some((peer.due, peer.begun_at))
    }

    fn get(&mut self, number: usize) -> Option<&mut Peer> {
        self.peers.get_mut(number)?.as_mut()
    }

    // ---- coming and going ----

    /// Begins to connect.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn begin(
        &mut self,
        registry: &Registry,
        due: u64,
        clock: &Clock,
    ) -> Result<(), std::io::Error> {
        // Only where connections come and go, numbers do; else they tell the room and who speaks.
        let number = self.free.pop().unwrap_or(self.peers.len());
        if number == self.peers.len() {
            self.peers.push(None);
        }
        self.begun += 1;
        let bearer = self.bearer.as_deref();
        let bearer = bearer.map(|bearer| ("Authorization", bearer));
        let request = Request {
            host: &self.target.host,
            path: &self.target.path(self.plan, number),
            deflate: self.deflate.as_ref(),
            headers: bearer.as_slice(),
            ..Request::default()
        };
        let config = Arc::clone(&self.config);
        let tls = self.tls.as_ref();
        let to = Endpoint { to: self.to, tls };
        let socket = Socket::open(to, &request, registry, Token(number), config, clock.instant);
        let socket = socket.inspect_err(|_| self.give_back(number))?;
        self.peers[number] = Some(Peer {
            socket,
            due,
            begun_at: clock.now,
            is_open: false,
            is_ready: false,
            is_closing: false,
            is_listed: false,
            is_dirty: false,
            queued: 0,
            queued_due: 0,
        });
        self.under_way += 1;
        self.count += 1;
        Ok(())
    }

    fn give_back(&mut self, number: usize) {
        if self.plan.scenario == Scenario::Connect {
            self.free.push(number);
        }
    }

    /// Takes a connection away that has ended.
    pub(super) fn remove(&mut self, number: usize) -> Option<Peer> {
        let peer = self.peers.get_mut(number)?.take()?;
        self.count -= 1;
        if peer.is_open {
            self.open -= 1;
            self.members[self.plan.room(number)] -= 1;
        }
        if !peer.is_ready {
            self.under_way -= 1;
        }
        self.give_back(number);
        Some(peer)
    }

    /// Begins to close one.
    pub(super) fn close(&mut self, number: usize, clock: &Clock) {
        if let Some(peer) = self.get(number) {
            peer.is_closing = true;
            peer.socket.close(CloseCode::NORMAL, "", clock.instant);
            self.touch(number);
        }
    }

    /// Begins to close all.
    pub(super) fn close_all(&mut self, clock: &Clock) {
        self.open_at_the_end = self.open;
        for number in 0..self.peers.len() {
            match self.peers[number].as_ref().map(|peer| peer.is_open) {
                Some(true) => self.close(number, clock),
                Some(false) => drop(self.remove(number)),
                None => {}
            }
        }
    }

    // ---- reading ----

    /// Notes what the poll said of a connection.
    pub(super) fn note(&mut self, number: usize, event: &Readiness) {
        let Some(peer) = self.peers.get_mut(number).and_then(Option::as_mut) else {
            return;
        };
        peer.socket.note_event(event);
        if !std::mem::replace(&mut peer.is_listed, true) {
            self.ready.push(number);
        }
    }

    /// Whether somebody has more to be read, or to be written.
    pub(super) const fn has_leftovers(&self) -> bool {
        !self.ready.is_empty() || !self.dirty.is_empty()
    }

    /// Those that are ready; who is so once more is to be listed again.
    pub(super) fn take_ready(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.ready)
    }

    /// Reads from one, and writes what it had to write; what it said is in `said`.
    pub(super) fn pump(
        &mut self,
        number: usize,
        clock: &mut Clock,
        messages: &Messages,
    ) -> Result<(), End> {
        self.said.clear();
        let Some(peer) = self.peers.get_mut(number).and_then(Option::as_mut) else {
            return Ok(());
        };
        let said = &mut self.said;
        let outcome =
            peer.socket
                .pump_events(&mut self.buffer, BUFFER_BYTES, clock.instant, |event| {
                    said.note(event, messages)
                });
        // What was read is here now, and not when the turn began.
        clock.tick();
        peer.is_listed = outcome.is_ok() && peer.socket.is_readable();
        if peer.is_listed {
            self.ready.push(number);
        }
        outcome
    }

    /// Whether the handshake was just done.
    pub(super) fn take_opened(&mut self, number: usize) -> bool {
        let (is_chat, has_joined) = (self.plan.chat, self.said.has_joined);
        let room = self.plan.room(number);
        let Some(peer) = self.get(number) else {
            return false;
        };
        let is_opened = !peer.is_open && !peer.is_closing && peer.socket.is_open();
        peer.is_open |= is_opened;
        let is_ready = !peer.is_ready && peer.is_open && (!is_chat || has_joined);
        peer.is_ready |= is_ready;
        self.under_way -= usize::from(is_ready);
        if is_opened {
            self.open += 1;
            self.members[room] += 1;
        }
        is_opened
    }

    // ---- writing ----

    /// Queues a message that was due then.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub(super) fn queue(
        &mut self,
        number: usize,
        message: &Message<'_>,
        due: u64,
    ) -> Result<(), &'static str> {
        let (unsent_bytes_max, bytes) = (self.unsent_bytes_max, message.payload().len());
        // A message above its connection's share may be sent where all together have room for it.
        let has_room = bytes <= unsent_bytes_max || self.unsent_bytes() + bytes <= UNSENT_BYTES_MAX;
        let Some(peer) = self.get(number).filter(|peer| peer.socket.is_open()) else {
            return Err("not sent: its connection is lost");
        };
        if peer.socket.unsent_bytes() > unsent_bytes_max || !has_room {
            return Err("not sent: the server does not read what was sent before");
        }
        peer.socket.send_message(message);
        if peer.queued == 0 {
            peer.queued_due = due;
        }
        peer.queued += 1;
        self.touch(number);
        Ok(())
    }

    fn unsent_bytes(&self) -> usize {
        let peers = self.peers.iter().flatten();
        peers.map(|peer| peer.socket.unsent_bytes()).sum()
    }

    fn touch(&mut self, number: usize) {
        if let Some(peer) = self.get(number)
            && !std::mem::replace(&mut peer.is_dirty, true)
        {
            self.dirty.push(number);
        }
    }

    /// Those that have something to write.
    pub(super) fn take_dirty(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.dirty)
    }

    /// How many messages are written next, and since when the first is due.
    pub(super) fn take_queued(&mut self, number: usize) -> Option<(u64, u64)> {
        let peer = self.get(number)?;
        peer.is_dirty = false;
        let count = std::mem::take(&mut peer.queued);
        (count > 0).then_some((peer.queued_due, count))
    }

    /// Writes what the socket takes, and does what is overdue.
    pub(super) fn flush(&mut self, number: usize, clock: &Clock) -> Result<(), End> {
        match self.peers.get_mut(number).and_then(Option::as_mut) {
            Some(peer) => peer.socket.pump_events(&mut [], 0, clock.instant, |_| {}),
            None => Ok(()),
        }
    }

    /// Those with something to do now even if nothing comes: handshakes and closings that take too long, pings.
    pub(super) fn overdue(&self, now: Instant) -> Vec<usize> {
        let is_due = |peer: &Peer| peer.socket.poll_timeout().is_some_and(|due| due <= now);
        let peers = self.peers.iter().enumerate();
        peers
            .filter(|(_, peer)| peer.as_ref().is_some_and(is_due))
            .map(|(number, _)| number)
            .collect()
    }
}

impl Said {
    fn clear(&mut self) {
        self.stamps.clear();
        self.refused.clear();
        (self.unexpected, self.pings, self.has_joined) = (0, 0, false);
    }

    fn note(&mut self, event: &Event<'_>, messages: &Messages) {
        match event {
            Event::Message(message) => match messages.find(message) {
                Some(stamp) => self.stamps.push((stamp, message.payload().len())),
                None => self.note_other(message, messages.is_chat()),
            },
            Event::Ping(_) => self.pings += 1,
            // Pieces were not asked for, and the end is told otherwise.
            Event::Pong(_) | Event::Piece(_) | Event::Closed(_) => {}
        }
    }

    /// A message that is none of ours.
    fn note_other(&mut self, message: &Message<'_>, is_chat: bool) {
        let heard = match message {
            Message::Text(text) if is_chat => Heard::parse(text),
            Message::Text(_) | Message::Binary(_) => None,
        };
        match heard {
            Some(Heard::Joined { .. }) => self.has_joined = true,
            Some(Heard::Error { code, .. }) => self.refused.push(format!("refused: {code}")),
            Some(_) => {}
            None => self.unexpected += 1,
        }
    }
}
