//! The hub: every connection that chats, every room, and what each command leads to.

mod afar;
mod commands;
mod following;
mod leaving;
mod looking;
mod rates;
mod telling;
mod tokens;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use looking::Somebody;

pub use commands::{HISTORY_DEFAULT, HISTORY_MAX, part_of};
use commands::{bad_name, too_many_rooms};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use self::rates::Spending;
pub use self::rates::Tally;
use super::auth::Tokens;
use super::cluster::Cluster;
use super::command::{BadCommand, Refused, Request};
use super::conn_set::ConnSet;
use super::effect::{Audience, Effect, Follow, Joiner, Parting, named};
use super::event::Event;
use super::lingering::Lingering;
use super::member::{Joined, KeptSession, Member};
use super::parked::{Parked, Place};
use super::people::People;
use super::room::Rooms;
use super::wills::Wills;
use crate::auth::{Keys, Right};
use crate::clock::Now;
use crate::ids::{Arrival, BROADCAST_LOG, ConnId, LogName, NodeName, RoomName, Session, UserName};
use crate::limit::{Allowance, Rate, Spent};
use crate::log::Positions;

/// Limits and times of the chat.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// What `welcome` says about the heartbeat, in seconds: the server's ping interval.
    pub heartbeat_seconds: u64,
    /// Messages that a connection may send. Default 100 a second, 200 at once.
    pub messages: Rate,
    /// Bytes of them. Default none.
    pub bytes: Rate,
    /// What all connections of a user may send, and what is published over HTTP in its name. Default no limit.
    pub user: Allowance,
    /// Connections that a user may have at once; 0 means no limit. Default 128.
    pub connections_per_user_max: usize,
    /// Places in rooms that a user's connections may have together; 0 means no limit. Default 1,024.
    pub rooms_per_user_max: usize,
    /// Rooms that a connection may be in. Default 128, as Centrifugo.
    pub rooms_per_connection_max: usize,
    /// Messages in a row that are no command before the connection is closed. Default 10.
    pub bad_messages_max: u8,
    /// Members up to which a room tells of each join and leave, and how many `joined` and `presence` name at most:
    /// telling everybody of everybody grows with the square of the room. Default 1,000.
    pub members_told_max: usize,
    /// How long who polls is expected back before the others hear that it left. Default 10 s: several times what a telephone
    /// takes to ask again.
    pub linger: Duration,
    /// What tokens are checked with; `None` lets everybody do everything.
    pub keys: Option<Arc<Keys>>,
    /// What this node is called, where logs are shared with others. It stays so while the server runs. Default none: it is alone.
    pub node: Option<NodeName>,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            heartbeat_seconds: 30,
            messages: Rate {
                per_second: 100.0,
                burst: 200.0,
            },
            bytes: Rate::NONE,
            user: Allowance::NONE,
            connections_per_user_max: 128,
            rooms_per_user_max: 1024,
            rooms_per_connection_max: 128,
            bad_messages_max: 10,
            members_told_max: 1000,
            linger: Duration::from_secs(10),
            keys: None,
            node: None,
        }
    }
}

/// Some of the connections that chat.
#[derive(Debug, Clone, Copy)]
pub struct Crowd<'a> {
    people: &'a People,
    who: Option<&'a ConnSet>,
}

impl<'a> Crowd<'a> {
    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = &'a ConnId> {
        let indexes = self.who.into_iter().flat_map(ConnSet::iter);
        indexes.filter_map(move |index| Some(&self.people.at(index)?.conn))
    }
}

/// The state of the chat.
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    people: People,
    rooms: Rooms,
    parked: Parked,
    lingering: Lingering,
    tokens: Tokens,
    wills: Wills,
    /// Where the sessions of connections were before, until those say `hello`.
    earlier: HashMap<ConnId, Vec<Place>, foldhash::fast::RandomState>,
    /// Messages in a row that were no command, of those whose last was none.
    bad_messages: HashMap<ConnId, u8, foldhash::fast::RandomState>,
    effects: Vec<Effect>,
    /// What users have sent of late.
    spending: Spending,
    tally: Tally,
    /// When the first connection came.
    start: Option<Instant>,
    /// The other nodes, if there may be any.
    cluster: Option<Box<Cluster>>,
    /// On how many of them each user is, and how many of these are here, too.
    elsewhere: HashMap<UserName, u32, foldhash::fast::RandomState>,
    users_here_too: usize,
}

impl Hub {
    /// An empty chat; `seed` names guests and sessions.
    #[must_use]
    pub fn new(config: HubConfig, seed: u64) -> Self {
        let mut people = People::new(seed);
        let cluster = config.node.clone().map(|name| {
            // The seed itself would give away the sessions that follow from it.
            let life = people.random_number();
            Box::new(Cluster::new(name, life))
        });
        Self {
            tokens: Tokens::new(config.keys.clone()),
            config,
            people,
            rooms: Rooms::default(),
            parked: Parked::default(),
            lingering: Lingering::default(),
            wills: Wills::default(),
            earlier: HashMap::default(),
            bad_messages: HashMap::default(),
            effects: Vec::new(),
            spending: Spending::default(),
            tally: Tally::default(),
            start: None,
            cluster,
            elsewhere: HashMap::default(),
            users_here_too: 0,
        }
    }

    /// Goes by another configuration from now on; what a client was told of the old one stays true until it connects again.
    pub fn reconfigure(&mut self, config: HubConfig) {
        self.tokens.change_keys(config.keys.clone());
        self.config = config;
    }

    /// Moves the effects since the last call, in order, behind those in `effects`.
    pub fn take_effects(&mut self, effects: &mut Vec<Effect>) {
        effects.append(&mut self.effects);
    }

    /// The connections of an audience.
    #[must_use]
    pub fn audience(&self, audience: &Audience) -> Crowd<'_> {
        let Audience::Room(room) = audience;
        Crowd {
            people: &self.people,
            who: self.rooms.followers(room),
        }
    }

    /// How many rooms somebody is in.
    #[must_use]
    pub fn rooms_len(&self) -> usize {
        self.rooms.len()
    }

    /// How many users there are, on all nodes.
    #[must_use]
    pub fn users_len(&self) -> usize {
        self.people.users_len() + self.elsewhere.len() - self.users_here_too
    }

    /// The rooms that somebody is in and how many users each has: the `max` with the most, largest first.
    #[must_use]
    pub fn rooms(&self, max: usize) -> Vec<(&str, usize)> {
        self.rooms.largest(max, |_| true)
    }

    /// The names of the users in a room, sorted: [`HubConfig::members_told_max`] at most, and none in an unknown room.
    #[must_use]
    pub fn members(&self, room: &RoomName) -> Vec<&str> {
        let max = self.config.members_told_max;
        let members = self.rooms.members(room.as_str(), max);
        members.map(UserName::as_str).collect()
    }

    /// Who says something without being connected: a guest, in a session of its own, unless it says who it is. A user who
    /// names no session is always in the same, so that a request that is sent again is known by its `seq`.
    pub fn author(
        &mut self,
        user: Option<UserName>,
        session: Option<Session>,
    ) -> (UserName, Session) {
        let session = match (&user, session) {
            (_, Some(session)) => session,
            (Some(_), None) => Session::http(),
            (None, None) => self.people.random_session(),
        };
        let user = user.unwrap_or_else(|| self.people.guest(&session));
        (user, session)
    }

    /// A connection has come: it is welcomed and joins the rooms of its address, unless a token is to be shown first.
    pub fn connect(&mut self, conn: ConnId, mut joiner: Joiner, now: Now) {
        if let Some(token) = joiner.token.take() {
            return self.connect_with(conn, joiner, &token, now);
        }
        let Some(joiner) = self.tokens.admit(conn, joiner) else {
            return self.ask_for_token(conn);
        };
        let names_session = joiner.session.is_some();
        let session = joiner
            .session
            .unwrap_or_else(|| self.people.random_session());
        let user = joiner.user.unwrap_or_else(|| self.people.guest(&session));
        if let Err(refused) = self.check_connections(&user, &session) {
            self.send_error(conn, refused, None, None);
            return self.effects.push(Effect::Close(conn, Parting::TooMany));
        }
        let since_start = self.since_start(now);
        self.people.insert(Member {
            conn,
            user: user.clone(),
            session: KeptSession::new(session),
            arrived: joiner.arrived,
            home: joiner.rooms.first().map(|home| self.rooms.known(home)),
            rooms: SmallVec::new(),
            spent: Spent::nothing(&self.config.connection(), since_start),
        });
        let Some(earlier) = self.take_identity(conn, now) else {
            return self.be_replaced(conn, None, now);
        };
        if !earlier.is_empty() && !joiner.chooses {
            self.earlier.insert(conn, earlier);
        }
        self.welcome(conn, None, now);
        let since = joiner.since.as_deref();
        if !joiner.chooses {
            self.follow_personal(conn, &user, since);
            self.follow_log(conn, LogName::broadcast(), named(since, BROADCAST_LOG));
        }
        let max = self.rooms_left(conn);
        for room in joiner.rooms.iter().take(max) {
            let since = since.and_then(|since| Positions::new(since).of(room.as_str()));
            if let Err(refused) = self.enter(conn, room, since, None) {
                self.send_error(conn, refused, None, None);
            }
        }
        if joiner.rooms.len() > max {
            self.tally.rooms_refused += 1;
            self.send_error(conn, too_many_rooms(&self.config), None, None);
        }
        self.end_lingering(conn);
        if let Some(member) = self.people.get(conn) {
            self.wills.came_back(&user, &member.session.get());
        }
        self.tell_here(&user);
        if names_session {
            self.claim(conn, false, now);
        }
    }

    /// The time since the first connection came.
    fn since_start(&mut self, now: Now) -> Duration {
        let start = *self.start.get_or_insert(now.instant);
        now.instant.saturating_duration_since(start)
    }

    /// A connection says something as JSON. If that is a `hello`, `arrived` tells when it was read.
    pub fn handle_text(
        &mut self,
        conn: ConnId,
        text: &str,
        arrived: &dyn Fn() -> Arrival,
        now: Now,
    ) {
        self.hear(conn, Request::parse(text), text.len(), arrived, now);
    }

    /// The same, of what was `bytes` long in any dialect.
    pub fn hear(
        &mut self,
        conn: ConnId,
        parsed: Result<Request<'_>, BadCommand<'_>>,
        bytes: usize,
        arrived: &dyn Fn() -> Arrival,
        now: Now,
    ) {
        let since_start = self.since_start(now);
        if self.people.get(conn).is_none() {
            if self.tokens.is_awaited(conn) {
                self.let_in(conn, parsed, arrived, now);
            }
            return;
        }
        let mut request = match parsed {
            Ok(request) => request,
            Err(bad) => return self.bad_message(conn, bad),
        };
        self.bad_messages.remove(&conn);
        if let Err(wait) = self.spend(conn, &request, bytes, since_start) {
            return self.refuse_for_now(conn, request, wait);
        }
        if let Err(refused) = self.handle(conn, &mut request, arrived, now) {
            self.refuse(conn, request, refused);
        }
    }

    // ---- rooms ----

    /// The room that is meant, if the connection is in it.
    fn room_of(&self, conn: ConnId, room: Option<&str>) -> Result<RoomName, Refused> {
        let member = self.people.get(conn);
        let joined = member.map_or(&[][..], |member| &member.rooms);
        let home = || member?.home.as_ref();
        let mut joined = joined.iter().map(|joined| &joined.room);
        let found = match room {
            Some(name) => joined.find(|room| room.as_str() == name),
            None => home().filter(|home| joined.any(|room| room == *home)),
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
        since: Option<&str>,
        id: Option<Box<RawValue>>,
    ) -> Result<(), Refused> {
        let access = self.tokens.access(conn);
        access.allow(Right::Join, room.as_str())?;
        let may_read = access.has(Right::Read, room.as_str());
        let Some(member) = self.people.get_mut(conn) else {
            return Ok(());
        };
        // Joining again only moves the cursor.
        if !member.is_in(room) {
            member.rooms.push(Joined::new(self.rooms.known(room)));
            let user = member.user.clone();
            self.enter_room_as(conn, room, &user);
        }
        let (since, denied_since) = if may_read {
            (since, None)
        } else {
            (None, since)
        };
        self.effects.push(Effect::Follow(Box::new(Follow {
            room: Some(room.clone()),
            denied_since: denied_since.map(str::to_owned),
            id,
            ..Follow::new(conn, room.log(), since)
        })));
        Ok(())
    }

    /// Private messages go on behind what the user has seen, unless the client knows better.
    pub(super) fn follow_personal(&mut self, conn: ConnId, user: &UserName, since: Option<&str>) {
        let log = user.log();
        let since = named(since, log.as_str());
        self.follow_log(conn, log, since);
    }

    fn follow_log(&mut self, conn: ConnId, log: LogName, since: Option<&str>) {
        let follow = Follow::new(conn, log, since);
        self.effects.push(Effect::Follow(Box::new(follow)));
    }

    fn enter_room_as(&mut self, conn: ConnId, room: &RoomName, user: &UserName) {
        let change = self.rooms.enter(room, conn, user);
        if change.here {
            self.tell_entered(room, user);
        }
        if change.anywhere {
            self.announce_system(room, Some(conn), user, "join");
        }
    }

    fn announce_system(
        &mut self,
        room: &RoomName,
        conn: Option<ConnId>,
        user: &UserName,
        event: &'static str,
    ) {
        let followers = self.rooms.followers(room).map_or(0, ConnSet::len);
        if followers <= self.config.members_told_max {
            let verb = if event == "join" { "joined" } else { "left" };
            let event = Event::System {
                room_id: room.clone(),
                event,
                user: user.clone(),
                content: format!("{user} {verb}."),
            };
            let to = Audience::Room(room.clone());
            let except = conn.into_iter().collect();
            self.effects.push(Effect::Announce { to, except, event });
        }
    }

    fn members_of(&self, room: &str) -> Vec<UserName> {
        let max = self.config.members_told_max;
        self.rooms.members(room, max).cloned().collect()
    }

    /// Makes the connection one of its user's, and its session's only one. Returns where the session was; `None` if the session has
    /// a newer one, which was only heard of before: then this one has to [go](Self::be_replaced).
    fn take_identity(&mut self, conn: ConnId, now: Now) -> Option<Vec<Place>> {
        match self.people.add_identity(conn) {
            Some(loser) if loser == conn => None,
            Some(older) => {
                self.effects.push(Effect::Close(older, Parting::Replaced));
                let older = self.people.get(older);
                Some(older.map_or_else(Vec::new, Member::places))
            }
            None => {
                let Member { user, session, .. } = self.people.get(conn)?;
                Some(self.parked.take(user, &session.get(), now.instant))
            }
        }
    }

    /// Ends a connection as if it had been heard of before the newer one: it is welcomed, and then its session is taken over.
    fn be_replaced(&mut self, conn: ConnId, id: Option<&RawValue>, now: Now) {
        self.welcome(conn, id, now);
        self.effects.push(Effect::Close(conn, Parting::Replaced));
    }
}
