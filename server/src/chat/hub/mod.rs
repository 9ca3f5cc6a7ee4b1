//! The hub: every connection that chats, every room, and what each command leads to.

mod commands;

use std::collections::HashMap;

use commands::{bad_name, too_many_rooms};
use serde_json::value::RawValue;

use super::command::{BadCommand, Refused, Request};
use super::effect::{Append, Audience, Effect, Follow, Joiner, Parting};
use super::event::Event;
use super::people::People;
use super::room::Rooms;
use crate::clock::Now;
use crate::ids::{ConnId, RoomName, Session, UserName};
use crate::limit::{Rate, TokenBucket};
use crate::log::Position;

/// Limits and times of the chat.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// What `welcome` says about the heartbeat, in seconds: the server's ping interval.
    pub heartbeat_seconds: u64,
    /// Messages that a connection may send. Default 100 a second, 200 at once.
    pub messages: Rate,
    /// Rooms that a connection may be in. Default 128, as Centrifugo.
    pub rooms_per_connection_max: usize,
    /// Messages in a row that are no command before the connection is closed. Default 10.
    pub bad_messages_max: u8,
    /// Members up to which a room tells of each join and leave, and how many `joined` and `presence` name at most:
    /// telling everybody of everybody grows with the square of the room. Default 1,000.
    pub members_told_max: usize,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            heartbeat_seconds: 30,
            messages: Rate {
                per_second: 100.0,
                burst: 200.0,
            },
            rooms_per_connection_max: 128,
            bad_messages_max: 10,
            members_told_max: 1000,
        }
    }
}

/// The state of the chat.
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    members: HashMap<ConnId, Member, foldhash::fast::RandomState>,
    rooms: Rooms,
    people: People,
    effects: Vec<Effect>,
}

#[derive(Debug)]
struct Member {
    user: UserName,
    session: Session,
    /// The room of the address.
    home: Option<RoomName>,
    rooms: Vec<RoomName>,
    bad_messages: u8,
    bucket: TokenBucket,
}

impl Hub {
    /// An empty chat; `seed` names guests and sessions.
    #[must_use]
    pub fn new(config: HubConfig, seed: u64) -> Self {
        Self {
            config,
            members: HashMap::default(),
            rooms: Rooms::default(),
            people: People::new(seed),
            effects: Vec::new(),
        }
    }

    /// Moves the effects since the last call, in order, behind those in `effects`.
    pub fn take_effects(&mut self, effects: &mut Vec<Effect>) {
        effects.append(&mut self.effects);
    }

    /// The connections of an audience.
    #[must_use]
    pub fn audience(&self, audience: &Audience) -> &[ConnId] {
        match audience {
            Audience::Room(room) => self.rooms.followers(room),
            Audience::User(user) => self.people.connections_of(user),
            Audience::Everyone => self.people.everyone(),
        }
    }

    /// The rooms that somebody is in and how many users each has: the `max` with the most, largest first.
    #[must_use]
    pub fn rooms(&self, max: usize) -> Vec<(&str, usize)> {
        self.rooms.largest(max)
    }

    /// The names of the users in a room, sorted: [`HubConfig::members_told_max`] at most, and none in an unknown room.
    #[must_use]
    pub fn members(&self, room: &RoomName) -> Vec<&str> {
        self.members_of(room.as_str())
    }

    /// Who says something without being connected: a guest, in a session of its own, unless it says who it is.
    pub fn author(
        &mut self,
        user: Option<UserName>,
        session: Option<Session>,
    ) -> (UserName, Session) {
        let user = user.unwrap_or_else(|| self.people.guest());
        let session = session.unwrap_or_else(|| self.people.random_session());
        (user, session)
    }

    /// A connection has come: it is welcomed and joins the rooms of its address.
    pub fn connect(&mut self, conn: ConnId, joiner: Joiner, now: Now) {
        let user = joiner.user.unwrap_or_else(|| self.people.guest());
        let session = joiner
            .session
            .unwrap_or_else(|| self.people.random_session());
        let member = Member {
            user: user.clone(),
            session: session.clone(),
            home: joiner.rooms.first().cloned(),
            rooms: Vec::new(),
            bad_messages: 0,
            bucket: TokenBucket::full(self.config.messages, now.instant),
        };
        self.members.insert(conn, member);
        self.take_identity(conn, &user, &session);
        self.welcome(conn, None, now);
        let max = self.config.rooms_per_connection_max;
        for room in joiner.rooms.iter().take(max) {
            self.enter(conn, room, joiner.since.clone(), None);
        }
        if joiner.rooms.len() > max {
            self.send_error(conn, &too_many_rooms(max), None, None);
        }
    }

    /// A connection is gone.
    pub fn disconnect(&mut self, conn: ConnId) {
        let Some(member) = self.members.remove(&conn) else {
            return;
        };
        for room in &member.rooms {
            self.leave_room_as(conn, room, &member.user);
        }
        self.people.remove(conn, &member.user, &member.session);
    }

    /// A connection says something.
    pub fn handle_text(&mut self, conn: ConnId, text: &str, now: Now) {
        let Some(member) = self.members.get_mut(&conn) else {
            return;
        };
        let request = match Request::parse(text) {
            Ok(request) => request,
            Err(error) => return self.bad_message(conn, &error),
        };
        member.bad_messages = 0;
        if !member.bucket.take(self.config.messages, now.instant) {
            let refused = Refused {
                code: "rate_limited",
                message: "Too many messages: this one was dropped.".to_owned(),
            };
            return self.refuse(conn, &request, &refused);
        }
        if let Err(refused) = self.handle(conn, &request, now) {
            self.refuse(conn, &request, &refused);
        }
    }

    /// The message has its place: its sender hears so, its followers hear it.
    pub fn appended(&mut self, append: &Append, position: &Position, now: Now) {
        let (epoch, offset) = (position.epoch, position.offset);
        let (from, content, time) = (append.from.as_str(), &*append.content, now.unix_ms);
        let event = match &append.to {
            Audience::Room(room) => Event::RoomMsg {
                room_id: room.as_str(),
                offset,
                epoch,
                from,
                content,
                time,
            },
            Audience::User(_) => Event::PrivateMsg {
                from,
                content,
                time,
                offset,
                epoch,
            },
            Audience::Everyone => Event::Broadcast {
                from,
                content,
                time,
                offset,
                epoch,
            },
        };
        let text = event.to_text();
        if let Some(seq) = append.seq.as_deref() {
            let room_id = append.log.as_str();
            let id = append.id.as_deref();
            self.send(
                append.conn,
                &Event::Ack {
                    seq,
                    room_id,
                    offset,
                    epoch,
                    time,
                    id,
                },
            );
        }
        // The ack is the sender's copy; who writes to oneself has no other.
        let except = match &append.to {
            Audience::Room(_) | Audience::Everyone => Some(append.conn),
            Audience::User(_) => None,
        };
        self.effects.push(Effect::Announce {
            to: append.to.clone(),
            except,
            text,
        });
    }

    /// The message found no place.
    pub fn not_appended(&mut self, append: &Append) {
        let refused = Refused {
            code: "storage_full",
            message: "There is no room for another log: the message was not kept.".to_owned(),
        };
        let (seq, id) = (append.seq.as_deref(), append.id.as_deref());
        self.send_error(append.conn, &refused, seq, id);
    }

    /// The cursor is at the head: the connection hears where that is and who is there.
    pub fn followed(&mut self, follow: &Follow, head: &Position) {
        let position = head.to_string();
        let recovered = follow
            .since
            .as_ref()
            .is_some_and(|since| is_at_head(since, head));
        let room_id = follow.room.as_str();
        if let Some(since) = follow.since.as_deref().filter(|_| !recovered) {
            // Nothing is kept, so that whatever came after `since` is missing, and the client is told.
            self.send(
                follow.conn,
                &Event::Gap {
                    room_id,
                    from: since,
                    to: &position,
                    reason: "not_kept",
                },
            );
        }
        let members = self.members_of(room_id);
        let id = follow.id.as_deref();
        let text = Event::Joined {
            room_id,
            position: &position,
            recovered,
            members,
            id,
        }
        .to_text();
        self.effects.push(Effect::Send(follow.conn, text));
    }

    // ---- rooms ----

    /// The room that is meant, if the connection is in it.
    fn room_of(&self, conn: ConnId, room: Option<&str>) -> Result<RoomName, Refused> {
        let joined = self
            .members
            .get(&conn)
            .map_or(&[][..], |member| &member.rooms);
        let home = || {
            self.members
                .get(&conn)
                .and_then(|member| member.home.as_ref())
        };
        let found = match room {
            Some(name) => joined.iter().find(|room| room.as_str() == name),
            None => home().filter(|home| joined.contains(home)),
        };
        let message = || match room {
            Some(name) => format!("You are not in the room {name:?}: join it first."),
            None => "The address names no room that you are in: add ?room=NAME to it.".to_owned(),
        };
        found.cloned().ok_or_else(|| match room.map(RoomName::new) {
            Some(Err(error)) => bad_name("roomId", error),
            Some(Ok(_)) | None => Refused {
                code: "not_in_room",
                message: message(),
            },
        })
    }

    fn enter(
        &mut self,
        conn: ConnId,
        room: &RoomName,
        since: Option<String>,
        id: Option<Box<RawValue>>,
    ) {
        let Some(member) = self.members.get_mut(&conn) else {
            return;
        };
        // Joining again only moves the cursor.
        if !member.rooms.contains(room) {
            member.rooms.push(room.clone());
            let user = member.user.clone();
            self.enter_room_as(conn, room, &user);
        }
        self.effects.push(Effect::Follow(Follow {
            log: room.log(),
            conn,
            room: room.clone(),
            since,
            id,
        }));
    }

    fn enter_room_as(&mut self, conn: ConnId, room: &RoomName, user: &UserName) {
        if self.rooms.enter(room, conn, user) {
            self.announce_system(room, conn, user, "join", &format!("{user} joined."));
        }
    }

    fn leave_room_as(&mut self, conn: ConnId, room: &RoomName, user: &UserName) {
        if self.rooms.leave(room, conn, user) {
            self.announce_system(room, conn, user, "leave", &format!("{user} left."));
        }
    }

    fn announce_system(
        &mut self,
        room: &RoomName,
        conn: ConnId,
        user: &UserName,
        event: &str,
        content: &str,
    ) {
        if self.rooms.followers(room).len() <= self.config.members_told_max {
            let (room_id, user) = (room.as_str(), user.as_str());
            let text = Event::System {
                room_id,
                event,
                user,
                content,
            }
            .to_text();
            let to = Audience::Room(room.clone());
            self.effects.push(Effect::Announce {
                to,
                except: Some(conn),
                text,
            });
        }
    }

    fn members_of(&self, room: &str) -> Vec<&str> {
        self.rooms.members(room, self.config.members_told_max)
    }

    fn connected_user(&self, name: &str) -> Result<UserName, Refused> {
        let user = UserName::new(name).map_err(|error| bad_name("toUser", error))?;
        if !self.people.connections_of(&user).is_empty() {
            return Ok(user);
        }
        let message =
            format!("{user} is not connected, and this server keeps no messages for later.");
        Err(Refused {
            code: "user_offline",
            message,
        })
    }

    /// Makes the connection one of the user's, and the session's only one.
    fn take_identity(&mut self, conn: ConnId, user: &UserName, session: &Session) {
        if let Some(older) = self.people.insert(conn, user, session) {
            self.effects.push(Effect::Close(older, Parting::Replaced));
        }
    }

    // ---- answers ----

    fn welcome(&mut self, conn: ConnId, id: Option<&RawValue>, now: Now) {
        let Some(member) = self.members.get(&conn) else {
            return;
        };
        let (session, user) = (member.session.as_str(), member.user.as_str());
        let msg = format!("Welcome, {user}.");
        let heartbeat = self.config.heartbeat_seconds;
        let time = now.unix_ms;
        let text = Event::Welcome {
            session,
            user,
            msg: &msg,
            heartbeat,
            time,
            id,
        }
        .to_text();
        self.effects.push(Effect::Send(conn, text));
    }

    fn bad_message(&mut self, conn: ConnId, bad: &BadCommand<'_>) {
        self.send_error(conn, &bad.refused, bad.seq, bad.id);
        let Some(member) = self.members.get_mut(&conn) else {
            return;
        };
        member.bad_messages += 1;
        if member.bad_messages >= self.config.bad_messages_max {
            self.effects.push(Effect::Close(conn, Parting::BadMessages));
        }
    }

    fn send_error(
        &mut self,
        conn: ConnId,
        refused: &Refused,
        seq: Option<&RawValue>,
        id: Option<&RawValue>,
    ) {
        let (code, message) = (refused.code, refused.message.as_str());
        self.send(
            conn,
            &Event::Error {
                code,
                message,
                seq,
                id,
            },
        );
    }

    fn send(&mut self, conn: ConnId, event: &Event<'_>) {
        self.effects.push(Effect::Send(conn, event.to_text()));
    }
}

/// Whether nothing came after `since`; empty means from the oldest kept entry.
fn is_at_head(since: &str, head: &Position) -> bool {
    since == head.to_string() || (since.is_empty() && head.offset == 0)
}
