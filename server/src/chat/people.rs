//! Who is connected: the connections of each user, and the one connection of each session.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::followers::Followers;
use crate::ids::{ConnId, Session, UserName};

/// Everybody.
#[derive(Debug)]
pub(super) struct People {
    everyone: Followers,
    users: HashMap<UserName, Followers, foldhash::fast::RandomState>,
    sessions: HashMap<(UserName, Session), ConnId, foldhash::fast::RandomState>,
    random: StdRng,
}

impl People {
    /// Nobody yet; `seed` names guests and sessions.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            everyone: Followers::default(),
            users: HashMap::default(),
            sessions: HashMap::default(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// All connections.
    pub(super) fn everyone(&self) -> &[ConnId] {
        self.everyone.as_slice()
    }

    /// The connections of a user.
    pub(super) fn connections_of(&self, user: &UserName) -> &[ConnId] {
        self.users
            .get(user.as_str())
            .map_or(&[], Followers::as_slice)
    }

    /// Makes the connection one of the user's, and the session's only one; returns the one that had the session.
    pub(super) fn insert(
        &mut self,
        conn: ConnId,
        user: &UserName,
        session: &Session,
    ) -> Option<ConnId> {
        self.everyone.insert(conn);
        self.users.entry(user.clone()).or_default().insert(conn);
        self.sessions
            .insert((user.clone(), session.clone()), conn)
            .filter(|older| *older != conn)
    }

    /// Whether the session is this connection's, and not a newer one's.
    pub(super) fn has_session(&self, conn: ConnId, user: &UserName, session: &Session) -> bool {
        self.sessions.get(&(user.clone(), session.clone())) == Some(&conn)
    }

    /// Takes the connection out; the session stays with a newer one that has it.
    pub(super) fn remove(&mut self, conn: ConnId, user: &UserName, session: &Session) {
        self.everyone.remove(conn);
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

    /// A guest's name. It follows from the session, so that who comes back with its session is the same guest; if
    /// somebody else goes by that name, another one.
    pub(super) fn guest(&mut self, session: &Session) -> UserName {
        let mut number = fingerprint(session.as_str()) >> 32;
        loop {
            if let Ok(user) = UserName::new(&format!("guest-{number:08x}")) {
                let is_free = !self.users.contains_key(user.as_str());
                let key = (user, session.clone());
                if is_free || self.sessions.contains_key(&key) {
                    return key.0;
                }
            }
            number = u64::from(self.random.random::<u32>());
        }
    }

    /// A session that nobody guesses.
    pub(super) fn random_session(&mut self) -> Session {
        loop {
            if let Ok(session) = Session::new(&format!("{:032x}", self.random.random::<u128>())) {
                return session;
            }
        }
    }
}

/// FNV-1a: the same in each run, and nothing that a secret hangs on.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
