//! A room's members: its connections, and how many of them each user has.

use std::collections::BTreeMap;

use super::followers::Followers;
use crate::ids::{ConnId, UserName};

/// Who is in a room.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) followers: Followers,
    /// Connections of each user, in the order of names: that is how members are listed.
    users: BTreeMap<UserName, u32>,
}

impl Room {
    /// Adds a connection of a user; `true` if it is the user's first here.
    pub(super) fn enter(&mut self, conn: ConnId, user: &UserName) -> bool {
        self.followers.insert(conn);
        let connections = self.users.entry(user.clone()).or_insert(0);
        *connections += 1;
        *connections == 1
    }

    /// Takes a connection of a user out; `true` if it was the user's last here.
    pub(super) fn leave(&mut self, conn: ConnId, user: &UserName) -> bool {
        self.followers.remove(conn);
        match self.users.get_mut(user) {
            Some(connections) if *connections > 1 => {
                *connections -= 1;
                false
            }
            Some(_) => {
                self.users.remove(user);
                true
            }
            None => false,
        }
    }

    /// The users' names, sorted.
    pub(super) fn members(&self) -> Vec<&str> {
        self.users.keys().map(UserName::as_str).collect()
    }
}
