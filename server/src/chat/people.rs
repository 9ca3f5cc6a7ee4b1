//! Who is connected: the members, the users that they are, and the one connection of each session.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use hashbrown::HashTable;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::conn_set::ConnSet;
use super::effect::Except;
use super::member::{Member, SessionKey};
use crate::ids::{ConnId, Session, UserName};

/// Everybody. The tables hold indexes of members, whose names are not written down twice.
#[derive(Debug)]
pub(super) struct People {
    /// By the connection's index.
    members: Vec<Option<Member>>,
    /// One connection of each user.
    users: HashTable<u32>,
    /// All connections of the users that have several.
    several: HashMap<UserName, ConnSet, foldhash::fast::RandomState>,
    /// The connection of each session: the newest that came with it.
    sessions: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    random: StdRng,
}

impl People {
    /// Nobody yet; `seed` names guests and sessions.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            members: Vec::new(),
            users: HashTable::new(),
            several: HashMap::default(),
            sessions: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// How many users there are.
    pub(super) fn users_len(&self) -> usize {
        self.users.len()
    }

    // ---- members ----

    /// Adds a member, which has no identity yet.
    pub(super) fn insert(&mut self, member: Member) {
        let index = member.conn.index as usize;
        if index >= self.members.len() {
            self.members.resize_with(index + 1, || None);
        }
        self.members[index] = Some(member);
    }

    /// Takes a member out, whose identity was [taken](Self::remove_identity) from it.
    pub(super) fn remove(&mut self, conn: ConnId) {
        if self.get(conn).is_some() {
            self.members[conn.index as usize] = None;
        }
        while matches!(self.members.last(), Some(None)) {
            self.members.pop();
        }
    }

    /// The member of a connection.
    pub(super) fn get(&self, conn: ConnId) -> Option<&Member> {
        let member = self.at(conn.index)?;
        (member.conn == conn).then_some(member)
    }

    /// The same, to be changed; its names only while it has no identity.
    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Member> {
        let member = self.members.get_mut(conn.index as usize)?;
        member.as_mut().filter(|member| member.conn == conn)
    }

    /// All members.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flatten()
    }

    /// The member with this index.
    pub(super) fn at(&self, index: u32) -> Option<&Member> {
        self.members.get(index as usize)?.as_ref()
    }

    // ---- users and sessions ----

    /// Makes a member one of its user's connections, and its session's only one if no other came with it later. Returns which of
    /// two has to go: the one that had the session, or the member itself.
    pub(super) fn add_identity(&mut self, conn: ConnId) -> Option<ConnId> {
        let index = conn.index;
        let user = self.get(conn)?.user.clone();
        let (members, hasher) = (&self.members, &self.hasher);
        match self
            .users
            .find(hasher.hash_one(Some(&user)), is_user(members, &user))
        {
            Some(&other) => {
                let connections = self.several.entry(user).or_default();
                connections.insert(other);
                connections.insert(index);
            }
            None => {
                let hash = |index: &u32| hasher.hash_one(user_of(members, *index));
                self.users.insert_unique(hash(&index), index, hash);
            }
        }
        let (members, hasher) = (&self.members, &self.hasher);
        let key = key_of(members, index);
        let hash = |index: &u32| hasher.hash_one(key_of(members, *index));
        let has_key = |other: &u32| key_of(members, *other) == key;
        match self.sessions.find_mut(hash(&index), has_key) {
            Some(holder) if came_later(members, *holder, index) => Some(conn),
            Some(holder) => {
                let older = std::mem::replace(holder, index);
                self.at(older).map(|older| older.conn)
            }
            None => {
                self.sessions.insert_unique(hash(&index), index, hash);
                None
            }
        }
    }

    /// Whether the session is this member's, and not a newer one's.
    pub(super) fn has_session(&self, conn: ConnId) -> bool {
        let key = key_of(&self.members, conn.index);
        let is_it = |index: &u32| *index == conn.index;
        let hash = self.hasher.hash_one(key);
        self.get(conn).is_some() && self.sessions.find(hash, is_it).is_some()
    }

    /// Takes its session from a member, which is somebody else's now.
    pub(super) fn let_session_go(&mut self, conn: ConnId) {
        if self.get(conn).is_none() {
            return;
        }
        let hash = self.hasher.hash_one(key_of(&self.members, conn.index));
        if let Ok(found) = self.sessions.find_entry(hash, |other| *other == conn.index) {
            found.remove();
        }
    }

    /// Takes its identity from a member; the session stays with a newer one that has it.
    pub(super) fn remove_identity(&mut self, conn: ConnId) {
        let index = conn.index;
        let Some(user) = self.get(conn).map(|member| member.user.clone()) else {
            return;
        };
        self.let_session_go(conn);
        let hash = self.hasher.hash_one(Some(&user));
        let is_it = is_user(&self.members, &user);
        let Ok(mut found) = self.users.find_entry(hash, is_it) else {
            return;
        };
        let Some(connections) = self.several.get_mut(&user) else {
            found.remove();
            return;
        };
        connections.remove(index);
        if let Some(other) = connections.iter().next() {
            *found.get_mut() = other;
        }
        if connections.len() == 1 {
            self.several.remove(&user);
        }
    }

    /// All connections of a user.
    pub(super) fn connections(&self, user: &UserName) -> Except {
        if let Some(connections) = self.several.get(user) {
            let members = connections.iter().filter_map(|index| self.at(index));
            return members.map(|member| member.conn).collect();
        }
        let hash = self.hasher.hash_one(Some(user));
        let index = self.users.find(hash, is_user(&self.members, user));
        let member = index.and_then(|index| self.at(*index));
        member.map(|member| member.conn).into_iter().collect()
    }

    /// How many they are.
    pub(super) fn connection_count(&self, user: &UserName) -> usize {
        match self.several.get(user) {
            Some(connections) => connections.len(),
            None => usize::from(self.is_connected(user)),
        }
    }

    /// The rooms that a user's connections are in, each counted.
    pub(super) fn room_count(&self, user: &UserName) -> usize {
        let connections = self.connections(user);
        let members = connections.iter().filter_map(|conn| self.get(*conn));
        members.map(|member| member.rooms.len()).sum()
    }

    /// All users, each once.
    pub(super) fn users(&self) -> impl Iterator<Item = &UserName> {
        let users = self.users.iter();
        users.filter_map(|index| user_of(&self.members, *index))
    }

    pub(super) fn is_connected(&self, user: &UserName) -> bool {
        let hash = self.hasher.hash_one(Some(user));
        self.users
            .find(hash, is_user(&self.members, user))
            .is_some()
    }

    pub(super) fn has_connected(&self, user: &UserName, session: &Session) -> bool {
        let key = Some((user, SessionKey::of(session)));
        let has_key = |index: &u32| key_of(&self.members, *index) == key;
        self.sessions
            .find(self.hasher.hash_one(key), has_key)
            .is_some()
    }

    /// A guest's name. It follows from the session, so that who comes back with its session is the same guest; if
    /// somebody else goes by that name, another one.
    pub(super) fn guest(&mut self, session: &Session) -> UserName {
        let mut number = fingerprint(session.as_str()) >> 32;
        loop {
            if let Ok(user) = UserName::new(&format!("guest-{number:08x}"))
                && (!self.is_connected(&user) || self.has_connected(&user, session))
            {
                return user;
            }
            number = u64::from(self.random.random::<u32>());
        }
    }

    /// A number from which no other follows.
    pub(super) fn random_number(&mut self) -> u64 {
        self.random.random()
    }

    /// A session that nobody guesses.
    pub(super) fn random_session(&mut self) -> Session {
        Session::random(self.random.random())
    }
}

fn user_of(members: &[Option<Member>], index: u32) -> Option<&UserName> {
    let member = members.get(index as usize)?.as_ref()?;
    Some(&member.user)
}

/// What a session is known by.
fn key_of(members: &[Option<Member>], index: u32) -> Option<(&UserName, SessionKey<'_>)> {
    let member = members.get(index as usize)?.as_ref()?;
    Some((&member.user, member.session.key()))
}

fn came_later(members: &[Option<Member>], one: u32, other: u32) -> bool {
    let arrived = |index: u32| Some(members.get(index as usize)?.as_ref()?.arrived);
    arrived(one) > arrived(other)
}

fn is_user<'a>(members: &'a [Option<Member>], user: &'a UserName) -> impl Fn(&u32) -> bool + 'a {
    move |index| user_of(members, *index) == Some(user)
}

/// FNV-1a: the same in each run, and nothing that a secret hangs on.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
