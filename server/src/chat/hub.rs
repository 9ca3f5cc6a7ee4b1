//! The hub: every connection that chats, every room, and what each command leads to.

use std::collections::HashMap;
use std::mem;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::value::RawValue;

use super::command::{BadCommand, Command, Request};
use super::event::Event;
use super::followers::Followers;
use super::room::Room;
use crate::clock::Now;
use crate::ids::{ConnId, LogName, NameError, RoomName, Session, UserName};
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
            messages: Rate { per_second: 100.0, burst: 200.0 },
            rooms_per_connection_max: 128,
            bad_messages_max: 10,
            members_told_max: 1000,
        }
    }
}

/// What a connection says of itself in its address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joiner {
    /// The name; a guest without.
    pub user: Option<UserName>,
    /// The session; a random one without.
    pub session: Option<Session>,
    /// Rooms to join at once; the first is where messages without a type go.
    pub rooms: Vec<RoomName>,
    /// The position behind which those rooms' messages are missing.
    pub since: Option<String>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Send a text to one connection.
    Send(ConnId, String),
    /// Send a text to many.
    Announce {
        /// Who follows.
        to: Audience,
        /// Whom to leave out.
        except: Option<ConnId>,
        /// The JSON text.
        text: String,
    },
    /// Give a message its place, and call [`Hub::appended`] or [`Hub::not_appended`].
    Append(Append),
    /// Find a room's head, and call [`Hub::followed`].
    Follow(Follow),
    /// Close a connection.
    Close(ConnId, Parting),
}

/// A group of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Those in a room.
    Room(RoomName),
    /// Those of a user.
    User(UserName),
    /// All that chat.
    Everyone,
}

impl Audience {
    fn log(&self) -> LogName {
        match self {
            Self::Room(room) => room.log(),
            Self::User(user) => user.log(),
            Self::Everyone => LogName::broadcast(),
        }
    }
}

/// A message on its way into a log.
#[derive(Debug)]
pub struct Append {
    /// The log.
    pub log: LogName,
    to: Audience,
    conn: ConnId,
    from: UserName,
    content: Box<RawValue>,
    seq: Option<Box<RawValue>>,
    id: Option<Box<RawValue>>,
}

/// A cursor to be placed in a room's log.
#[derive(Debug)]
pub struct Follow {
    /// The log.
    pub log: LogName,
    conn: ConnId,
    room: RoomName,
    since: Option<String>,
    id: Option<Box<RawValue>>,
}

/// Why the chat ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// A newer connection has its session.
    Replaced,
    /// It sent too many messages in a row that are no command.
    BadMessages,
}

/// The state of the chat.
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    members: HashMap<ConnId, Member, foldhash::fast::RandomState>,
    rooms: HashMap<RoomName, Room, foldhash::fast::RandomState>,
    users: HashMap<UserName, Followers, foldhash::fast::RandomState>,
    sessions: HashMap<(UserName, Session), ConnId, foldhash::fast::RandomState>,
    everyone: Followers,
    random: StdRng,
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

/// A command that is understood but not followed.
type Refused = BadCommand;

impl Hub {
    /// An empty chat; `seed` names guests and sessions.
    #[must_use]
    pub fn new(config: HubConfig, seed: u64) -> Self {
        Self {
            config,
            members: HashMap::default(),
            rooms: HashMap::default(),
            users: HashMap::default(),
            sessions: HashMap::default(),
            everyone: Followers::default(),
            random: StdRng::seed_from_u64(seed),
            effects: Vec::new(),
        }
    }

    /// The effects since the last call, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        mem::take(&mut self.effects)
    }

    /// The connections of an audience.
    #[must_use]
    pub fn audience(&self, audience: &Audience) -> &[ConnId] {
        match audience {
            Audience::Room(room) => {
                self.rooms.get(room.as_str()).map_or(&[], |room| room.followers.as_slice())
            }
            Audience::User(user) => self.users.get(user.as_str()).map_or(&[], Followers::as_slice),
            Audience::Everyone => self.everyone.as_slice(),
        }
    }

    /// A connection has come: it is welcomed and joins the rooms of its address.
    pub fn connect(&mut self, conn: ConnId, joiner: Joiner, now: Now) {
        let user = joiner.user.unwrap_or_else(|| self.guest());
        let session = joiner.session.unwrap_or_else(|| self.random_session());
        let member = Member {
            user: user.clone(),
            session: session.clone(),
            home: joiner.rooms.first().cloned(),
            rooms: Vec::new(),
            bad_messages: 0,
            bucket: TokenBucket::full(self.config.messages, now.instant),
        };
        self.members.insert(conn, member);
        self.everyone.insert(conn);
        self.take_identity(conn, &user, &session);
        self.welcome(conn, None, now);
        for room in joiner.rooms {
            self.enter(conn, &room, joiner.since.clone(), None);
        }
    }

    /// A connection is gone.
    pub fn disconnect(&mut self, conn: ConnId) {
        let Some(member) = self.members.remove(&conn) else { return };
        self.everyone.remove(conn);
        for room in &member.rooms {
            self.leave_room_as(conn, room, &member.user);
        }
        self.drop_identity(conn, &member.user, &member.session);
    }

    /// A connection says something.
    pub fn handle_text(&mut self, conn: ConnId, text: &str, now: Now) {
        let Some(member) = self.members.get_mut(&conn) else { return };
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
        let (epoch, offset) = (position.epoch.as_str(), position.offset);
        let (from, content, time) = (append.from.as_str(), &*append.content, now.unix_ms);
        let event = match &append.to {
            Audience::Room(room) => {
                Event::RoomMsg { room_id: room.as_str(), offset, epoch, from, content, time }
            }
            Audience::User(_) => Event::PrivateMsg { from, content, time, offset, epoch },
            Audience::Everyone => Event::Broadcast { from, content, time, offset, epoch },
        };
        let text = event.to_text();
        if let Some(seq) = append.seq.as_deref() {
            let room_id = append.log.as_str();
            let id = append.id.as_deref();
            self.send(append.conn, &Event::Ack { seq, room_id, offset, epoch, time, id });
        }
        // The ack is the sender's copy; who writes to oneself has no other.
        let except = match &append.to {
            Audience::Room(_) | Audience::Everyone => Some(append.conn),
            Audience::User(_) => None,
        };
        self.effects.push(Effect::Announce { to: append.to.clone(), except, text });
    }

    /// The message found no place.
    pub fn not_appended(&mut self, append: &Append) {
        let (seq, id) = (append.seq.as_deref(), append.id.as_deref());
        let message = "There is no room for another log: the message was not kept.";
        self.send(append.conn, &Event::Error { code: "storage_full", message, seq, id });
    }

    /// The cursor is at the head: the connection hears where that is and who is there.
    pub fn followed(&mut self, follow: &Follow, head: &Position) {
        let position = head.to_string();
        let recovered = follow.since.as_ref().is_some_and(|since| is_at_head(since, head));
        let room_id = follow.room.as_str();
        if let Some(since) = follow.since.as_deref().filter(|_| !recovered) {
            // Nothing is kept, so that whatever came after `since` is missing, and the client is told.
            self.send(follow.conn, &Event::Gap { room_id, from: since, to: &position, reason: "not_kept" });
        }
        let members = self.members_of(room_id);
        let id = follow.id.as_deref();
        let text = Event::Joined { room_id, position: &position, recovered, members, id }.to_text();
        self.effects.push(Effect::Send(follow.conn, text));
    }

    // ---- commands ----

    fn handle(&mut self, conn: ConnId, request: &Request<'_>, now: Now) -> Result<(), Refused> {
        let id = request.id;
        match &request.command {
            Command::Hello { user, session } => self.hello(conn, user.as_deref(), session.as_deref(), id, now),
            Command::JoinRoom { room, since } => self.join(conn, room, since.as_deref(), id),
            Command::LeaveRoom { room } => self.leave(conn, room, id),
            Command::RoomMsg { room, content, seq } => {
                let to = Audience::Room(self.room_of(conn, room.as_deref())?);
                self.append(conn, to, content, *seq, id);
                Ok(())
            }
            Command::PrivateMsg { to_user, content, seq } => {
                let to = Audience::User(self.connected_user(to_user)?);
                self.append(conn, to, content, *seq, id);
                Ok(())
            }
            Command::Broadcast { content, seq } => {
                self.append(conn, Audience::Everyone, content, *seq, id);
                Ok(())
            }
            Command::Typing { room } => self.typing(conn, room),
            Command::Presence { room } => {
                let room = RoomName::new(room).map_err(|error| bad_name("roomId", error))?;
                let members = self.members_of(room.as_str());
                let text = Event::Presence { room_id: room.as_str(), members, id }.to_text();
                self.effects.push(Effect::Send(conn, text));
                Ok(())
            }
            Command::Heartbeat => {
                self.send(conn, &Event::Heartbeat { time: now.unix_ms, id });
                Ok(())
            }
        }
    }

    fn hello(
        &mut self,
        conn: ConnId,
        user: Option<&str>,
        session: Option<&str>,
        id: Option<&RawValue>,
        now: Now,
    ) -> Result<(), Refused> {
        let Some(member) = self.members.get(&conn) else { return Ok(()) };
        let (old_user, old_session) = (member.user.clone(), member.session.clone());
        let rooms = member.rooms.clone();
        let user = match user {
            Some(name) => UserName::new(name).map_err(|error| bad_name("user", error))?,
            None => old_user.clone(),
        };
        let session = match session {
            Some(name) => Session::new(name).map_err(|error| bad_name("session", error))?,
            None => old_session.clone(),
        };
        if (&user, &session) != (&old_user, &old_session) {
            for room in rooms.iter().filter(|_| user != old_user) {
                self.leave_room_as(conn, room, &old_user);
                self.enter_room_as(conn, room, &user);
            }
            self.drop_identity(conn, &old_user, &old_session);
            if let Some(member) = self.members.get_mut(&conn) {
                (member.user, member.session) = (user.clone(), session.clone());
            }
            self.take_identity(conn, &user, &session);
        }
        self.welcome(conn, id, now);
        Ok(())
    }

    fn join(
        &mut self,
        conn: ConnId,
        room: &str,
        since: Option<&str>,
        id: Option<&RawValue>,
    ) -> Result<(), Refused> {
        let room = RoomName::new(room).map_err(|error| bad_name("roomId", error))?;
        let Some(member) = self.members.get(&conn) else { return Ok(()) };
        if member.rooms.len() >= self.config.rooms_per_connection_max && !member.rooms.contains(&room) {
            let max = self.config.rooms_per_connection_max;
            let message = format!("A connection can be in {max} rooms at most.");
            return Err(Refused { code: "too_many_rooms", message });
        }
        self.enter(conn, &room, since.map(str::to_owned), id.map(ToOwned::to_owned));
        Ok(())
    }

    fn leave(&mut self, conn: ConnId, room: &str, id: Option<&RawValue>) -> Result<(), Refused> {
        let room = self.room_of(conn, Some(room))?;
        let Some(member) = self.members.get_mut(&conn) else { return Ok(()) };
        member.rooms.retain(|joined| *joined != room);
        let user = member.user.clone();
        self.leave_room_as(conn, &room, &user);
        self.send(conn, &Event::Left { room_id: room.as_str(), id });
        Ok(())
    }

    fn typing(&mut self, conn: ConnId, room: &str) -> Result<(), Refused> {
        let room = self.room_of(conn, Some(room))?;
        let Some(member) = self.members.get(&conn) else { return Ok(()) };
        let text = Event::Typing { room_id: room.as_str(), user: member.user.as_str() }.to_text();
        self.effects.push(Effect::Announce { to: Audience::Room(room), except: Some(conn), text });
        Ok(())
    }

    fn append(
        &mut self,
        conn: ConnId,
        to: Audience,
        content: &RawValue,
        seq: Option<&RawValue>,
        id: Option<&RawValue>,
    ) {
        let Some(member) = self.members.get(&conn) else { return };
        self.effects.push(Effect::Append(Append {
            log: to.log(),
            to,
            conn,
            from: member.user.clone(),
            content: content.to_owned(),
            seq: seq.map(ToOwned::to_owned),
            id: id.map(ToOwned::to_owned),
        }));
    }

    // ---- rooms ----

    /// The room that is meant, if the connection is in it.
    fn room_of(&self, conn: ConnId, room: Option<&str>) -> Result<RoomName, Refused> {
        let joined = self.members.get(&conn).map_or(&[][..], |member| &member.rooms);
        let home = || self.members.get(&conn).and_then(|member| member.home.as_ref());
        let found = match room {
            Some(name) => joined.iter().find(|room| room.as_str() == name),
            None => home().filter(|home| joined.contains(home)),
        };
        let message = || match room {
            Some(name) => format!("You are not in the room {name:?}: join it first."),
            None => "The address names no room that you are in: add ?room=NAME to it.".to_owned(),
        };
        found.cloned().ok_or_else(|| Refused { code: "not_in_room", message: message() })
    }

    fn enter(&mut self, conn: ConnId, room: &RoomName, since: Option<String>, id: Option<Box<RawValue>>) {
        let Some(member) = self.members.get_mut(&conn) else { return };
        // Joining again only moves the cursor.
        if !member.rooms.contains(room) {
            member.rooms.push(room.clone());
            let user = member.user.clone();
            self.enter_room_as(conn, room, &user);
        }
        self.effects.push(Effect::Follow(Follow { log: room.log(), conn, room: room.clone(), since, id }));
    }

    fn enter_room_as(&mut self, conn: ConnId, room: &RoomName, user: &UserName) {
        let first = self.rooms.entry(room.clone()).or_default().enter(conn, user);
        if first {
            self.announce_system(room, conn, user, "join", &format!("{user} joined."));
        }
    }

    fn leave_room_as(&mut self, conn: ConnId, name: &RoomName, user: &UserName) {
        let Some(room) = self.rooms.get_mut(name.as_str()) else { return };
        let last = room.leave(conn, user);
        if room.followers.is_empty() {
            self.rooms.remove(name.as_str());
        } else if last {
            self.announce_system(name, conn, user, "leave", &format!("{user} left."));
        }
    }

    fn announce_system(&mut self, room: &RoomName, conn: ConnId, user: &UserName, event: &str, content: &str) {
        let to = Audience::Room(room.clone());
        let others = self.audience(&to).len();
        if others <= self.config.members_told_max {
            let (room_id, user) = (room.as_str(), user.as_str());
            let text = Event::System { room_id, event, user, content }.to_text();
            self.effects.push(Effect::Announce { to, except: Some(conn), text });
        }
    }

    fn members_of(&self, room: &str) -> Vec<&str> {
        let mut members = self.rooms.get(room).map_or_else(Vec::new, Room::members);
        members.truncate(self.config.members_told_max);
        members
    }

    // ---- users and sessions ----

    fn connected_user(&self, name: &str) -> Result<UserName, Refused> {
        let user = UserName::new(name).map_err(|error| bad_name("toUser", error))?;
        if self.users.contains_key(user.as_str()) {
            return Ok(user);
        }
        let message = format!("{user} is not connected, and this server keeps no messages for later.");
        Err(Refused { code: "user_offline", message })
    }

    /// Makes the connection one of the user's and the session's only one.
    fn take_identity(&mut self, conn: ConnId, user: &UserName, session: &Session) {
        self.users.entry(user.clone()).or_default().insert(conn);
        if let Some(older) = self.sessions.insert((user.clone(), session.clone()), conn)
            && older != conn
        {
            self.effects.push(Effect::Close(older, Parting::Replaced));
        }
    }

    fn drop_identity(&mut self, conn: ConnId, user: &UserName, session: &Session) {
        if let Some(connections) = self.users.get_mut(user.as_str()) {
            connections.remove(conn);
            if connections.is_empty() {
                self.users.remove(user.as_str());
            }
        }
        let key = (user.clone(), session.clone());
        if self.sessions.get(&key) == Some(&conn) {
            self.sessions.remove(&key);
        }
    }

    fn guest(&mut self) -> UserName {
        loop {
            let name = format!("guest-{:06x}", self.random.random::<u32>() >> 8);
            if let (false, Ok(user)) = (self.users.contains_key(name.as_str()), UserName::new(&name)) {
                return user;
            }
        }
    }

    fn random_session(&mut self) -> Session {
        loop {
            if let Ok(session) = Session::new(&format!("{:032x}", self.random.random::<u128>())) {
                return session;
            }
        }
    }

    // ---- answers ----

    fn welcome(&mut self, conn: ConnId, id: Option<&RawValue>, now: Now) {
        let Some(member) = self.members.get(&conn) else { return };
        let (session, user) = (member.session.as_str(), member.user.as_str());
        let msg = format!("Welcome, {user}.");
        let heartbeat = self.config.heartbeat_seconds;
        let time = now.unix_ms;
        let text = Event::Welcome { session, user, msg: &msg, heartbeat, time, id }.to_text();
        self.effects.push(Effect::Send(conn, text));
    }

    fn bad_message(&mut self, conn: ConnId, error: &BadCommand) {
        let text = Event::Error { code: error.code, message: &error.message, seq: None, id: None }.to_text();
        self.effects.push(Effect::Send(conn, text));
        let Some(member) = self.members.get_mut(&conn) else { return };
        member.bad_messages += 1;
        if member.bad_messages >= self.config.bad_messages_max {
            self.effects.push(Effect::Close(conn, Parting::BadMessages));
        }
    }

    fn refuse(&mut self, conn: ConnId, request: &Request<'_>, refused: &Refused) {
        let seq = match &request.command {
            Command::RoomMsg { seq, .. } | Command::PrivateMsg { seq, .. } | Command::Broadcast { seq, .. } => *seq,
            Command::Hello { .. }
            | Command::JoinRoom { .. }
            | Command::LeaveRoom { .. }
            | Command::Typing { .. }
            | Command::Presence { .. }
            | Command::Heartbeat => None,
        };
        let (code, message) = (refused.code, refused.message.as_str());
        self.send(conn, &Event::Error { code, message, seq, id: request.id });
    }

    fn send(&mut self, conn: ConnId, event: &Event<'_>) {
        self.effects.push(Effect::Send(conn, event.to_text()));
    }
}

fn bad_name(field: &str, error: NameError) -> Refused {
    Refused { code: "bad_name", message: format!("\"{field}\" {error}.") }
}

/// Whether nothing came after `since`; empty means from the oldest kept entry.
fn is_at_head(since: &str, head: &Position) -> bool {
    since == head.to_string() || (since.is_empty() && head.offset == 0)
}
