//! What a worker sees of itself: the canary that it sends and hears, gauges that are not worth counting in each turn, and warnings.
//!
//! The canary is a message on the way of all others: home appends it to a log of its own, the log's thread saves it, every worker
//! hears of it in its inbox, puts it into its ring and delivers it to who follows. Here that is nobody's connection but the
//! worker: a place in the table that no connection has.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::value::to_raw_value;
use tidewire_protocol::{CloseCode, Closed, Initiator};

use super::Worker;
use super::chat::Chat;
use super::delivery::Context;
use super::mail::HOME;
use super::stopping::Stopping;
use crate::chat::Follow;
use crate::clock::Now;
use crate::ids::{ConnId, LogName, Session, UserName};
use crate::limit::Level;
use crate::log::{AppendError, Draft, Entry, Placed, Request, StoreError};
use crate::logging::Samples;
use crate::metrics::{Failure, STARTING};
use crate::net::conn::{App, Peer};
use crate::net::traffic;
use crate::transport::Endpoint;
use crate::transport::dialect::Protocol;

/// Between canaries until the first has come back to every worker.
const FIRST_INTERVAL: Duration = Duration::from_millis(50);

/// What a worker keeps for that.
#[derive(Debug)]
pub(super) struct Observer {
    /// The follower of the canary's log, and of the nodes'.
    follower: ConnId,
    /// Another node goes by our name.
    pub(super) namesakes: Samples,
    interval: Duration,
    /// When home sends the next; the others only hear them.
    next_at: Option<Instant>,
    /// One is on its way to the log and has no answer.
    is_asked: bool,
    /// What was last said of it.
    is_red: bool,
    refused: Samples,
    slow: Samples,
    not_proxied: Samples,
    /// What waits for connections whose sockets are full.
    unsent: HashMap<ConnId, usize, foldhash::fast::RandomState>,
}

impl Observer {
    /// Of the worker with this number, whose follower has the given place.
    pub(super) fn new(worker: usize, follower: ConnId, interval: Duration, now: Now) -> Self {
        Self {
            follower,
            namesakes: Samples::new(now),
            interval,
            next_at: (worker == HOME).then_some(now.instant),
            is_asked: false,
            // It is so until the first has come back.
            is_red: true,
            refused: Samples::new(now),
            slow: Samples::new(now),
            not_proxied: Samples::new(now),
            unsent: HashMap::default(),
        }
    }

    /// The place of the worker's own follower.
    pub(super) const fn follower(&self) -> ConnId {
        self.follower
    }

    /// So many bytes were left when a connection was written to: nearly always none.
    #[inline]
    pub(super) fn note_unsent(&mut self, id: ConnId, bytes: usize) {
        if bytes > 0 {
            self.unsent.insert(id, bytes);
        } else if !self.unsent.is_empty() {
            self.unsent.remove(&id);
        }
    }
}

impl Worker {
    // ---- the canary ----

    /// Follows the canary's log, before anything else happens.
    pub(super) fn follow_canary(&mut self) {
        let follower = self.observer.follower;
        let follow = Follow::new(follower, LogName::canary(), None);
        self.follow_unseen(Box::new(follow));
    }

    /// Whether a follower is the worker itself. It has room for all there is: what it missed while it began is in the ring.
    pub(super) fn is_own_follower(&self, id: ConnId) -> bool {
        id == self.observer.follower
    }

    /// When home sends the next canary; a server that stops sends none.
    pub(super) fn canary_at(&self) -> Option<Instant> {
        let is_running = matches!(self.stopping, Stopping::No);
        self.observer.next_at.filter(|_| is_running)
    }

    /// Sends one if it is time, and none before the log has answered the last: a disk that hangs is to have one waiting.
    pub(super) fn send_canary_if_due(&mut self) {
        let now = self.now;
        if self.canary_at().is_none_or(|at| at > now.instant) {
            return;
        }
        self.worked = true;
        // Who has just begun need not wait for long to be ready.
        let is_first = self.observer.is_red && self.status.readiness(now.instant).is_starting();
        let interval = self.observer.interval;
        let pause = if is_first {
            interval.min(FIRST_INTERVAL)
        } else {
            interval
        };
        self.observer.next_at = Some(now.instant + pause);
        self.tell_readiness();
        self.note_gauges();
        if !std::mem::replace(&mut self.observer.is_asked, true) {
            let sent_at = self.status.uptime(now.instant).as_nanos() as u64;
            let draft = Draft {
                log: LogName::canary(),
                from: UserName::server(),
                session: Session::http(),
                seq: None,
                // A number has no way to fail.
                content: to_raw_value(&sent_at).unwrap_or_default(),
                time: now.unix_ms,
            };
            let asked = self.asked(Context::Canary);
            self.ask(Request::Append(draft, asked));
        }
    }

    /// The log has taken the canary, or not.
    pub(super) fn canary_placed(&mut self, result: &Result<Placed, AppendError>) {
        self.observer.is_asked = false;
        let failure = match result {
            Ok(placed) => {
                if let Placed::New(entry) = placed {
                    self.announce(entry, None);
                }
                Failure::None
            }
            Err(AppendError::Store(StoreError::Full)) => Failure::StorageFull,
            Err(AppendError::Store(StoreError::Failed(_)) | AppendError::LogsFull) => {
                Failure::StorageFailed
            }
            Err(AppendError::Store(StoreError::Unavailable)) => Failure::Unavailable,
        };
        self.status.board.readiness.placed(failure);
        self.tell_readiness();
    }

    /// An entry came for the worker itself: a canary, or what nodes tell each other.
    pub(super) fn hear_own_log(&mut self, entry: &Entry) {
        if entry.draft.log == LogName::canary() {
            self.canary_came(entry);
        } else {
            self.hear_node(entry);
        }
    }

    fn canary_came(&mut self, entry: &Entry) {
        let at = self.status.uptime(self.now.instant);
        let sent_at = entry.draft.content.get().parse().map(Duration::from_nanos);
        let latency = at.saturating_sub(sent_at.unwrap_or(at));
        let readiness = &self.status.board.readiness;
        readiness.heard(self.status.worker, at, latency);
        self.status.durations.canary.add(latency);
        if self.peers.number() != HOME {
            self.note_gauges();
        }
        self.tell_readiness();
    }

    /// Memory became short, or is no longer; home is told.
    pub(super) fn note_memory(&mut self, level: Level) {
        let is_short = level > Level::Enough;
        self.status.own.memory_short += u64::from(is_short);
        self.status.board.readiness.memory_is_short(is_short);
        self.tell_readiness();
    }

    /// Logs a change, at home.
    fn tell_readiness(&mut self) {
        if self.peers.number() != HOME {
            return;
        }
        let answer = self.status.readiness(self.now.instant);
        if answer.is_ready() != self.observer.is_red {
            return;
        }
        match answer.reason() {
            // At the start nothing is wrong yet.
            Some(STARTING) => {}
            Some(reason) => {
                self.observer.is_red = true;
                tracing::error!(
                    event = "canary_red",
                    reason,
                    "not ready: {}",
                    answer.message().unwrap_or_default()
                );
            }
            None => {
                self.observer.is_red = false;
                tracing::info!(
                    event = "canary_green",
                    "ready: messages come back from the log, and there is room for who comes"
                );
            }
        }
    }

    // ---- counting ----

    /// Entries were handed to those at the head, `sent` times one of them.
    pub(super) fn count_delivered<'e>(
        &mut self,
        sent: usize,
        entries: impl Iterator<Item = &'e Entry>,
    ) {
        self.status.own.messages_sent += sent as u64;
        for entry in entries {
            let took = self.now.unix_ms.saturating_sub(entry.draft.time);
            self.status
                .durations
                .delivery
                .add(Duration::from_millis(took));
        }
    }

    /// A WebSocket of some kind has come.
    pub(super) fn count_socket(&mut self, id: ConnId, endpoint: &Endpoint) {
        let own = &mut self.status.own;
        let (counter, kind) = match endpoint {
            Endpoint::Chat(_) => (&mut own.chat_sockets, "chat"),
            Endpoint::Mqtt(_) => (&mut own.mqtt_sockets, "mqtt"),
            Endpoint::Engine(_) => (&mut own.socket_io_sessions, "socket.io"),
            Endpoint::Echo => (&mut own.echo_sockets, "echo"),
            Endpoint::Relay { .. } => (&mut own.relay_sockets, "relay"),
        };
        *counter += 1;
        if let Some(conn) = self.table.get_mut(id) {
            tracing::debug!(event = "websocket_opened", peer = %conn.peer, kind, "a WebSocket has come");
        }
    }

    /// It is one no more.
    pub(super) fn count_socket_gone(&mut self, app: &App) {
        let own = &mut self.status.own;
        let counter = match app {
            App::Chat(_) if app.speaks(Protocol::Mqtt) => &mut own.mqtt_sockets,
            App::Chat(_) if app.speaks(Protocol::SocketIo) => &mut own.socket_io_sessions,
            App::Chat(_) => &mut own.chat_sockets,
            App::Echo => &mut own.echo_sockets,
            App::Relay(_) => &mut own.relay_sockets,
            App::Gone => return,
        };
        *counter = counter.saturating_sub(1);
    }

    /// A WebSocket's closing is known: by the code of who closed first.
    pub(super) fn count_closed(&mut self, closed: &Closed) {
        let code = match (closed.initiator, &closed.sent) {
            (Initiator::Local, Some(sent)) => sent.code.map_or(closed.code(), CloseCode::get),
            (Initiator::Local | Initiator::Peer | Initiator::Transport, _) => closed.code(),
        };
        self.status.own.count_close(code);
    }

    /// Somebody reads over HTTP.
    pub(super) const fn count_reader(&mut self, is_poll: bool) {
        *self.reader_counter(is_poll) += 1;
    }

    /// It does no more.
    pub(super) const fn count_reader_gone(&mut self, is_poll: bool) {
        let counter = self.reader_counter(is_poll);
        *counter = counter.saturating_sub(1);
    }

    const fn reader_counter(&mut self, is_poll: bool) -> &mut u64 {
        let own = &mut self.status.own;
        if is_poll {
            &mut own.polls
        } else {
            &mut own.streams
        }
    }

    /// What takes a walk through tables.
    fn note_gauges(&mut self) {
        let now = self.now.instant;
        let own = &mut self.status.own;
        let lag = self
            .feeds
            .behind_since()
            .map(|since| now.saturating_duration_since(since));
        own.lag = lag.unwrap_or_default().as_nanos() as u64;
        own.unsent_bytes = self.observer.unsent.values().sum::<usize>() as u64;
        if let Chat::Here(hub) = &self.chat {
            own.rooms = hub.rooms_len() as u64;
            own.users = hub.users_len() as u64;
        }
    }

    /// The end of a turn.
    pub(super) fn count(&mut self) {
        let own = &mut self.status.own;
        own.turns += 1;
        own.idle_turns += u64::from(!self.worked);
        own.connections = self.table.len() as u64;
        self.status.durations.turn.add(self.clock.since_read());
        // Who is alone counts the rest when somebody asks.
        if self.peers.others() > 0 {
            self.take_stock();
            self.status.publish();
        }
    }

    /// Takes over what is counted elsewhere: for the other workers, and before somebody is told.
    pub(super) fn take_stock(&mut self) {
        let own = &mut self.status.own;
        own.behind = self.feeds.behind() as u64;
        let (read, written) = traffic::take();
        own.bytes_received += read;
        own.bytes_sent += written;
        self.count_refusals();
    }

    // ---- warnings ----

    /// A connection is turned away.
    pub(super) fn tell_refused(&mut self, peer: Option<SocketAddr>) {
        self.status.own.refused += 1;
        if let Some(suppressed) = self.observer.refused.take(self.now) {
            let peer = peer.map_or_else(|| "?".to_owned(), |peer| Peer::from(peer).to_string());
            let max = self.status.connections_max;
            tracing::warn!(
                event = "refused",
                peer,
                connections_max = max,
                suppressed,
                "a connection is turned away, because all are taken"
            );
        }
    }

    /// A proxy did not say whose its connection is: each one of a health check that knows nothing of it.
    pub(super) fn tell_not_proxied(&mut self, ip: IpAddr) {
        self.status.own.not_proxied += 1;
        if let Some(suppressed) = self.observer.not_proxied.take(self.now) {
            tracing::warn!(
                event = "not_proxied",
                peer = %ip,
                suppressed,
                "A trusted proxy did not begin its connection with a PROXY protocol header."
            );
        }
    }

    /// A connection is closed as slow.
    pub(super) fn tell_slow(&mut self, id: ConnId) {
        self.status.own.slow += 1;
        if let Some(suppressed) = self.observer.slow.take(self.now) {
            let peer = self.table.get_mut(id).map(|conn| conn.peer);
            let peer = peer.map_or_else(|| "?".to_owned(), |peer| peer.to_string());
            tracing::warn!(
                event = "slow",
                peer,
                suppressed,
                "a client is closed, because it reads too slowly"
            );
        }
    }
}
