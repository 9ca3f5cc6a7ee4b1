//! From bytes to the chat and back: what a connection said is handled, what follows from it is queued on connections.

use std::sync::Arc;

use tidewire_protocol::{CloseCode, Connection, Error, Event as Heard, Message};

use super::Worker;
use super::chat::Chat;
use super::delivery::OUTBOX_BYTES_HIGH;
use super::mail::Mail;
use super::readers::held_bytes;
use crate::chat::{Audience, Effect, Event, Except, Joiner, Parting, Request};
use crate::ids::{ConnId, RoomName};
use crate::limit::Spent;
use crate::net::conn::{App, RelayPlace, State, WebSocket};
use crate::recorder::EndCause;
use crate::transport::dialect::{Dialect, Encoding, Told};
use crate::transport::mqtt::{Limits, Mqtt, Sessions};
use crate::transport::socket_io::Purpose;
use crate::transport::{Accepted, Endpoint, protobuf};

/// What is announced in a room, and not kept, has about so many bytes.
const TOLD_BYTES: usize = 128;

/// 4003: a newer connection has the session.
const REPLACED: u16 = 4003;
/// 4008: does not read fast enough.
const SLOW: u16 = 4008;

impl Worker {
    /// Goes on with requests or messages that waited until answers had left.
    pub(super) fn resume(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id).filter(|conn| conn.can_resume()) else {
            return;
        };
        match &mut conn.state {
            State::Http(http) => {
                let Some(mut stash) = http.take_stash() else {
                    return;
                };
                self.handle_http(id, &mut stash);
            }
            State::WebSocket(_) => {
                let mut stash = conn.take_stash();
                self.handle_web_socket(id, &mut stash);
                self.relay();
            }
        }
        self.mark_dirty(id);
    }

    /// The connection speaks WebSocket from now on; `input` holds the frames that came behind the handshake.
    pub(super) fn upgrade(&mut self, id: ConnId, accepted: Accepted, input: &mut [u8]) {
        if let Some(owner) = self.owner_of_session(&accepted) {
            return self.send_on(id, owner, accepted, input);
        }
        let Accepted {
            endpoint,
            protocol,
            access,
            deflate,
        } = accepted;
        let session = match &endpoint {
            Endpoint::Engine(entrance) => Some(self.engine_for(id, entrance)),
            Endpoint::Echo | Endpoint::Relay { .. } | Endpoint::Chat(_) | Endpoint::Mqtt(_) => None,
        };
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let State::Http(http) = &conn.state else {
            return;
        };
        let (config, app) = match &endpoint {
            Endpoint::Echo => (&self.web_sockets.echo, App::Echo),
            Endpoint::Relay {
                room,
                include_sender,
            } => {
                let place = RelayPlace {
                    room: room.clone(),
                    include_sender: *include_sender,
                    spent: Spent::nothing(&self.relay_limit, self.clock.since_start()),
                    is_held: false,
                };
                (&self.web_sockets.relay, App::Relay(Box::new(place)))
            }
            Endpoint::Chat(..) => (
                &self.web_sockets.chat,
                App::Chat(Dialect::of_the_chat(protocol)),
            ),
            Endpoint::Engine(entrance) => {
                let config = match entrance.purpose {
                    Purpose::Chat(_) => &self.web_sockets.chat,
                    Purpose::EngineEcho | Purpose::SocketEcho => &self.web_sockets.conformance,
                };
                let app = session.map_or(App::Gone, |session| {
                    App::Chat(Dialect::Session(Box::new(session)))
                });
                (config, app)
            }
            Endpoint::Mqtt(joiner) => {
                let config = &self.web_sockets.chat;
                let session = mqtt_session(joiner, config, &self.mqtt);
                (config, App::Chat(session))
            }
        };
        let mut connection = Connection::server(config.clone(), self.now.instant);
        connection.queue_handshake(http.unsent());
        if let (Some(config), Some(agreement)) = (&self.http.deflate, deflate) {
            connection.enable_deflate(config, agreement);
        }
        self.recording.begin(&mut connection);
        conn.state = State::WebSocket(WebSocket::new(connection, app));
        self.count_socket(id, &endpoint);
        self.hold_token(id, &access);
        self.begin(id, endpoint);
        if let Some(drain) = self.closing_for() {
            self.close_for_stop(id, drain);
        }
        self.handle_web_socket(id, input);
    }

    /// Who has just got a WebSocket is there.
    fn begin(&mut self, id: ConnId, endpoint: Endpoint) {
        match endpoint {
            Endpoint::Echo => {}
            Endpoint::Relay { room, .. } => {
                self.relay.enter(&room, id);
                self.retap(id);
            }
            Endpoint::Chat(joiner) => self.begin_chat(id, joiner),
            Endpoint::Mqtt(_) | Endpoint::Engine(_) => {
                self.with_session(id, |session, now, out| session.opened(now, out));
            }
        }
    }

    // ---- WebSocket ----

    pub(super) fn handle_web_socket(&mut self, id: ConnId, bytes: &mut [u8]) {
        let (mut input, mut id) = (bytes, id);
        let now = self.now.instant;
        loop {
            // What comes behind an upgrade is for who has the socket now.
            id = self.moved_to.take().unwrap_or(id);
            let Some(conn) = self.table.get_mut(id) else {
                return;
            };
            match conn.next_event(&mut input, now) {
                None => return conn.stash(input),
                Some(Heard::Message(message)) => self.handle_message(id, &message),
                Some(Heard::Pong(payload)) => {
                    let payload = payload.to_vec();
                    self.handle_pong(id, &payload);
                }
                // Messages are put together here, so that there are no pieces.
                Some(Heard::Ping(_) | Heard::Piece(_)) => {}
                Some(Heard::Closed(closed)) => {
                    self.count_closed(&closed);
                    self.note_closed(id, closed);
                    self.handle_end(id);
                }
            }
        }
    }

    fn handle_message(&mut self, id: ConnId, message: &Message<'_>) {
        self.status.own.messages_received += 1;
        let Some(web_socket) = self.web_socket(id) else {
            return;
        };
        match (&web_socket.app, message) {
            (App::Relay(place), _) => {
                let (room, include_sender) = (place.room.clone(), place.include_sender);
                self.pass_on(id, room, include_sender, message);
                self.hold_back(id, message.payload().len());
            }
            (App::Chat(Dialect::Json), Message::Text(text)) => {
                self.hear(id, Request::parse(text), text.len());
            }
            (App::Chat(Dialect::Json), Message::Binary(_)) => {
                self.close(id, CloseCode::UNSUPPORTED_DATA, "the chat speaks text");
            }
            (App::Chat(Dialect::Protobuf), Message::Binary(bytes)) => {
                self.hear(id, protobuf::parse(bytes), bytes.len());
            }
            (App::Chat(Dialect::Protobuf), Message::Text(_)) => {
                let reason = "the chat speaks binary messages here";
                self.close(id, CloseCode::UNSUPPORTED_DATA, reason);
            }
            (App::Chat(Dialect::Session(_)), _) => {
                self.with_session(id, |session, now, out| session.message(message, now, out));
            }
            (App::Echo | App::Gone, _) => {}
        }
    }

    /// After a change that came without input (the end of the transport, a timeout): tells of an end, if it was one.
    pub(super) fn after_silent_change(&mut self, id: ConnId) {
        self.forget_call_if_over(id);
        let Some(web_socket) = self.web_socket(id) else {
            return;
        };
        let Some(Heard::Closed(closed)) = web_socket.connection.poll_event() else {
            return;
        };
        let is_unanswered = matches!(closed.error, Some(Error::PongTimeout(_)));
        self.count_closed(&closed);
        self.note_closed(id, closed);
        self.handle_end(id);
        if is_unanswered {
            // It is told, should it read again; but its part in closing is not waited for: who answers no ping has none.
            self.flush(id);
            self.kill(id);
        }
    }

    /// The connection has ended: the others hear of it.
    fn handle_end(&mut self, id: ConnId) {
        let Some(web_socket) = self.web_socket(id) else {
            return;
        };
        let app = std::mem::replace(&mut web_socket.app, App::Gone);
        self.count_socket_gone(&app);
        match app {
            App::Relay(place) => self.relay.leave(&place.room, id),
            App::Chat(dialect) => {
                let parting = if let Dialect::Session(mut session) = dialect {
                    session.ended(self.now);
                    self.look_no_more(id);
                    if let Some(memo) = session.last_memo() {
                        self.keep_memo(id, memo);
                    }
                    session.parting()
                } else {
                    None
                };
                self.end_chat(id);
                if let Some((sid, knock)) = parting {
                    self.knock(id, sid, knock);
                }
            }
            App::Echo | App::Gone => {}
        }
    }

    // ---- effects ----

    /// Does what the hub decided, and what follows from that; or has it done by whose connection it is about.
    pub(super) fn run_effects(&mut self) {
        loop {
            let Chat::Here(hub) = &mut self.chat else {
                return;
            };
            let mut effects = std::mem::take(&mut self.effects);
            hub.take_effects(&mut effects);
            if effects.is_empty() {
                self.effects = effects;
                return;
            }
            for effect in effects.drain(..) {
                match effect.conn() {
                    Some(conn) if !self.peers.is_ours(conn) => {
                        if let Effect::Close(..) = effect {
                            // What it still says is not heard, as here.
                            self.note_parting(conn);
                            if let Chat::Here(hub) = &mut self.chat {
                                hub.disconnect(conn, self.now);
                            }
                        }
                        self.peers.post_to_owner(conn, Mail::Effect(effect));
                    }
                    Some(_) | None => self.run_effect(effect),
                }
            }
            self.effects = effects;
        }
    }

    pub(super) fn run_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Send(to, event) => self.say(to, event),
            Effect::Joined {
                conn,
                ticket,
                event,
            } => self.joined(conn, ticket, event),
            Effect::Announce { to, except, event } => self.tell(&to, &except, event),
            Effect::Append(append) => self.append(append),
            Effect::Follow(follow) => {
                if self.note_following(follow.conn, &follow.log) {
                    self.say_held_back(follow.conn, &follow.log);
                    self.follow(follow);
                }
            }
            Effect::Unfollow(conn, log) => {
                if self.note_unfollowing(conn, &log) {
                    self.say_held_back(conn, &log);
                    self.feeds.unfollow(conn, &log);
                    self.retap(conn);
                }
            }
            Effect::Read(reading) => self.read_history(Box::new(reading)),
            Effect::Close(conn, Parting::Replaced) => {
                self.close(
                    conn,
                    private_code(REPLACED),
                    "a newer connection has this session",
                );
            }
            Effect::Close(conn, Parting::TooMany) => {
                self.blame(conn, EndCause::UserFull);
                self.close(
                    conn,
                    CloseCode::TRY_AGAIN_LATER,
                    "the user has too many connections",
                );
            }
            Effect::Authorized(conn, identity) => self.authorized(conn, &identity),
            Effect::Close(conn, Parting::Unauthorized) => {
                let reason = "the token is not accepted";
                self.close(conn, CloseCode::POLICY_VIOLATION, reason);
            }
            Effect::Close(conn, Parting::BadMessages) => {
                self.blame_if_open(conn, EndCause::BadMessages);
                self.close(
                    conn,
                    CloseCode::POLICY_VIOLATION,
                    "too many messages that are no command",
                );
            }
        }
    }

    /// Tells a connection, if it is there.
    pub(super) fn say(&mut self, to: ConnId, event: Event) {
        let Some(conn) = self.table.get_mut(to) else {
            return;
        };
        match &conn.state {
            State::Http(_) => return self.say_to_reader(to, &event.to_text()),
            State::WebSocket(web_socket) => match &web_socket.app {
                App::Chat(Dialect::Json) => conn.send(Message::text(&event.to_text())),
                App::Chat(Dialect::Protobuf) => {
                    conn.send(Message::binary(&protobuf::event(&event)));
                }
                App::Chat(Dialect::Session(_)) => {
                    self.with_session(to, |session, now, out| session.told(&event, now, out));
                }
                App::Echo | App::Relay(_) | App::Gone => {}
            },
        }
        self.mark_dirty(to);
    }

    /// Tells what is not kept, here and wherever else somebody is in the room. Who is behind has enough to read, and is not told.
    fn tell(&mut self, to: &Audience, except: &Except, event: Event) {
        let Chat::Here(hub) = &self.chat else {
            return;
        };
        // While the server stops everybody leaves, which all would be told of all.
        if self.is_stopping() {
            return;
        }
        let (told, Audience::Room(room)) = (Arc::new(Told::new(event)), to);
        // A list of its own, because queueing marks connections of this worker.
        let (mut ours, mut workers) = (Vec::new(), 0);
        let audience = hub.audience(to).iter();
        for &follower in audience.filter(|follower| !except.contains(follower)) {
            if self.peers.is_ours(follower) {
                ours.push(follower);
            } else {
                workers |= 1 << self.peers.lane().owner(follower);
            }
        }
        let mail = || Mail::Told(room.clone(), except.clone(), Arc::clone(&told));
        self.peers.post_unless_full(workers, TOLD_BYTES, mail);
        self.tell_these(&ours, except, &told);
    }

    /// Tells those in a room what home says.
    pub(super) fn tell_followers(&mut self, room: &RoomName, except: &Except, told: &Told) {
        let followers = self.feeds.followers(&room.log());
        self.tell_these(&followers, except, told);
    }

    fn tell_these(&mut self, followers: &[ConnId], except: &Except, told: &Told) {
        self.told_bytes += TOLD_BYTES * followers.len();
        for &follower in followers {
            if !except.contains(&follower) {
                self.tell_if_room(follower, told);
            }
        }
    }

    fn tell_if_room(&mut self, to: ConnId, told: &Told) {
        let Some(conn) = self.table.get_mut(to) else {
            return;
        };
        if conn.unsent_bytes() + held_bytes(&self.readers, to, conn) > OUTBOX_BYTES_HIGH {
            return;
        }
        match &mut conn.state {
            State::WebSocket(web_socket) => {
                if let Some(encoding) = web_socket.encoding() {
                    // Refused while closing: then nobody waits for it.
                    let _ = web_socket.connection.send_prepared(told.prepared(encoding));
                } else {
                    let event = &told.event;
                    self.with_session(to, |session, now, out| session.told(event, now, out));
                }
                self.mark_dirty(to);
            }
            State::Http(_) => {
                // It was a text when it was prepared.
                let json = told.prepared(Encoding::Json);
                let text = str::from_utf8(json.payload()).unwrap_or_default();
                self.say_to_reader(to, text);
            }
        }
    }

    pub(super) fn close_slow(&mut self, id: ConnId, reason: &str) {
        self.close(id, private_code(SLOW), reason);
    }

    /// Closes a connection of the chat or the relay, and tells the others at once: what it still says is not heard.
    pub(super) fn close(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        self.blame_if_open(id, EndCause::of_code(code));
        if self.web_socket(id).is_none() {
            return self.close_reader(id, code, reason);
        }
        self.say_last(id, code, reason);
        self.close_silently(id, code, reason);
    }

    /// Closes a WebSocket, and tells the others.
    pub(super) fn close_silently(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        self.blame_if_open(id, EndCause::of_code(code));
        let now = self.now.instant;
        let Some(web_socket) = self.web_socket(id) else {
            return;
        };
        // One that is closing already goes on closing.
        let _ = web_socket.connection.close(code, reason, now);
        self.mark_dirty(id);
        self.handle_end(id);
        if self
            .table
            .get(id)
            .is_some_and(|conn| conn.stream.is_nowhere())
        {
            // There is no peer whose part in closing could be waited for.
            self.kill(id);
        }
    }

    pub(super) fn web_socket(&mut self, id: ConnId) -> Option<&mut WebSocket> {
        match &mut self.table.get_mut(id)?.state {
            State::WebSocket(web_socket) => Some(web_socket),
            State::Http(_) => None,
        }
    }
}

/// What speaks MQTT with who came with this; a packet may have as much as a message.
fn mqtt_session(
    joiner: &Joiner,
    config: &tidewire_protocol::Config,
    sessions: &Arc<Sessions>,
) -> Dialect {
    let limits = Limits {
        packet_bytes_max: config.message_bytes_max as usize,
    };
    let mqtt = Mqtt::new(joiner.clone(), Arc::clone(sessions), limits);
    Dialect::Session(Box::new(Box::new(mqtt)))
}

/// A code of the range for applications.
pub(super) fn private_code(code: u16) -> CloseCode {
    CloseCode::new(code).unwrap_or(CloseCode::POLICY_VIOLATION)
}
