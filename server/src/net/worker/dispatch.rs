//! From bytes to the chat and back: what a connection said is handled, what follows from it is queued on connections.

use tidewire_protocol::{CloseCode, Connection, Event, Message, Prepared};

use super::Worker;
use super::chat::Chat;
use super::delivery::OUTBOX_BYTES_HIGH;
use super::mail::Mail;
use super::readers::held_bytes;
use crate::chat::{Audience, Effect, Except, Parting};
use crate::ids::{ConnId, RoomName};
use crate::net::conn::{App, RelayPlace, State, WebSocket};
use crate::transport::{Accepted, Endpoint};

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
        let Accepted { endpoint, deflate } = accepted;
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
                };
                (&self.web_sockets.relay, App::Relay(Box::new(place)))
            }
            Endpoint::Chat(_) => (&self.web_sockets.chat, App::Chat),
        };
        let mut connection = Connection::server(config.clone(), self.now.instant);
        connection.queue_handshake(http.unsent());
        if let (Some(config), Some(agreement)) = (&self.http.deflate, deflate) {
            connection.enable_deflate(config, agreement);
        }
        conn.state = State::WebSocket(WebSocket::new(connection, app));
        match endpoint {
            Endpoint::Echo => {}
            Endpoint::Relay { room, .. } => {
                self.relay.enter(&room, id);
                self.retap(id);
            }
            Endpoint::Chat(joiner) => self.begin_chat(id, joiner),
        }
        if let Some(stop) = self.closing_for() {
            self.close_for_stop(id, stop);
        }
        self.handle_web_socket(id, input);
    }

    // ---- WebSocket ----

    pub(super) fn handle_web_socket(&mut self, id: ConnId, bytes: &mut [u8]) {
        let mut input = bytes;
        let now = self.now.instant;
        loop {
            let Some(conn) = self.table.get_mut(id) else {
                return;
            };
            match conn.next_event(&mut input, now) {
                None => return conn.stash(input),
                Some(Event::Message(message)) => self.handle_message(id, &message),
                Some(Event::Pong(payload)) => {
                    let payload = payload.to_vec();
                    self.handle_pong(id, &payload);
                }
                // Messages are put together here, so that there are no pieces.
                Some(Event::Ping(_) | Event::Piece(_)) => {}
                Some(Event::Closed(_)) => self.handle_end(id),
            }
        }
    }

    fn handle_message(&mut self, id: ConnId, message: &Message<'_>) {
        let Some(web_socket) = self.web_socket(id) else {
            return;
        };
        match (&web_socket.app, message) {
            (App::Relay(place), _) => {
                let place = RelayPlace::clone(place);
                self.pass_on(id, &place, message);
            }
            (App::Chat, Message::Text(text)) => self.hear(id, text),
            (App::Chat, Message::Binary(_)) => {
                self.close(id, CloseCode::UNSUPPORTED_DATA, "the chat speaks text");
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
        if matches!(web_socket.connection.poll_event(), Some(Event::Closed(_))) {
            self.handle_end(id);
        }
    }

    /// The connection has ended: the others hear of it.
    fn handle_end(&mut self, id: ConnId) {
        let Some(web_socket) = self.web_socket(id) else {
            return;
        };
        match std::mem::replace(&mut web_socket.app, App::Gone) {
            App::Relay(place) => self.relay.leave(&place.room, id),
            App::Chat => self.end_chat(id),
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
                        if let (Effect::Close(..), Chat::Here(hub)) = (&effect, &mut self.chat) {
                            // What it still says is not heard, as here.
                            hub.disconnect(conn, self.now);
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
            Effect::Send(to, text) => self.say(to, &text),
            Effect::Joined { conn, ticket, text } => self.joined(conn, ticket, &text),
            Effect::Announce { to, except, text } => self.tell(&to, &except, &text),
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
            Effect::Close(conn, Parting::BadMessages) => {
                self.close(
                    conn,
                    CloseCode::POLICY_VIOLATION,
                    "too many messages that are no command",
                );
            }
        }
    }

    /// Sends a text, if the connection is there.
    pub(super) fn say(&mut self, to: ConnId, text: &str) {
        let Some(conn) = self.table.get_mut(to) else {
            return;
        };
        if let State::Http(_) = conn.state {
            return self.say_to_reader(to, text);
        }
        conn.send_text(text);
        self.mark_dirty(to);
    }

    /// Tells what is not kept, here and wherever else somebody is in the room. Who is behind has enough to read, and is not told.
    fn tell(&mut self, to: &Audience, except: &Except, text: &str) {
        let Chat::Here(hub) = &self.chat else {
            return;
        };
        let (prepared, Audience::Room(room)) = (Prepared::new(&Message::text(text)), to);
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
        let told = || Mail::Told(room.clone(), except.clone(), prepared.clone());
        let bytes = prepared.frame().len();
        self.peers.post_unless_full(workers, bytes, told);
        self.tell_these(&ours, except, &prepared);
    }

    /// Tells those in a room what home says.
    pub(super) fn tell_followers(&mut self, room: &RoomName, except: &Except, prepared: &Prepared) {
        let followers = self.feeds.followers(&room.log());
        self.tell_these(&followers, except, prepared);
    }

    fn tell_these(&mut self, followers: &[ConnId], except: &Except, prepared: &Prepared) {
        self.told_bytes += prepared.frame().len() * followers.len();
        for &follower in followers {
            if !except.contains(&follower) {
                self.send_prepared_if_room(follower, prepared);
            }
        }
    }

    fn send_prepared_if_room(&mut self, to: ConnId, prepared: &Prepared) {
        let Some(conn) = self.table.get_mut(to) else {
            return;
        };
        if conn.unsent_bytes() + held_bytes(&self.readers, to, conn) > OUTBOX_BYTES_HIGH {
            return;
        }
        match &mut conn.state {
            State::WebSocket(web_socket) => {
                // Refused while closing: then nobody waits for it.
                let _ = web_socket.connection.send_prepared(prepared);
                self.mark_dirty(to);
            }
            State::Http(_) => {
                // It was a text when it was prepared.
                let text = str::from_utf8(prepared.payload()).unwrap_or_default();
                self.say_to_reader(to, text);
            }
        }
    }

    pub(super) fn close_slow(&mut self, id: ConnId, reason: &str) {
        self.close(id, private_code(SLOW), reason);
    }

    /// Closes a connection of the chat or the relay, and tells the others at once: what it still says is not heard.
    pub(super) fn close(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        let now = self.now.instant;
        let Some(web_socket) = self.web_socket(id) else {
            return self.close_reader(id, code, reason);
        };
        // One that is closing already goes on closing.
        let _ = web_socket.connection.close(code, reason, now);
        self.mark_dirty(id);
        self.handle_end(id);
    }

    pub(super) fn web_socket(&mut self, id: ConnId) -> Option<&mut WebSocket> {
        match &mut self.table.get_mut(id)?.state {
            State::WebSocket(web_socket) => Some(web_socket),
            State::Http(_) => None,
        }
    }
}

/// A code of the range for applications.
fn private_code(code: u16) -> CloseCode {
    CloseCode::new(code).unwrap_or(CloseCode::POLICY_VIOLATION)
}
