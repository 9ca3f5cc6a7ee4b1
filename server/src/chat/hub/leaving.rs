//! Who goes: for good, or to come back in a moment, as who polls does.

use std::mem;
use std::time::Instant;

use super::Hub;
use crate::chat::effect::{Append, Effect};
use crate::chat::member::Joined;
use crate::chat::room::Change;
use crate::chat::wills::Orphan;
use crate::clock::{Now, earlier};
use crate::ids::{ConnId, LogName, RoomName, UserName};

impl Hub {
    /// A connection is gone.
    pub fn disconnect(&mut self, conn: ConnId, now: Now) {
        self.remove(conn, false, now);
    }

    /// A connection is gone, and its session comes back with another: for the others it stays where it was until then, or
    /// until [`HubConfig::linger`](super::HubConfig::linger) is over.
    pub fn linger(&mut self, conn: ConnId, now: Now) {
        self.remove(conn, true, now);
        self.let_leave(now.instant);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let cluster = self.cluster.as_ref();
        let cluster = cluster.and_then(|cluster| cluster.poll_timeout());
        // Asked in every turn, and nearly always there is none.
        earlier(self.lingering.until(), earlier(self.wills.until(), cluster))
    }

    /// Who was expected back and did not come leaves; and other nodes are to hear of this one.
    pub fn handle_timeout(&mut self, now: Now) {
        self.let_leave(now.instant);
        while let Some(orphan) = self.wills.take_due(now.instant) {
            self.execute(orphan);
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.handle_timeout(now.instant);
        }
    }

    /// Somebody who is heard over HTTP is typing: the others in the room are told.
    pub fn typing_in(&mut self, room: RoomName, user: &UserName) {
        self.tell_typing(&room, user);
        self.announce_typing(room, user);
    }

    fn remove(&mut self, conn: ConnId, is_expected: bool, now: Now) {
        // Who was replaced is there with its newer connection.
        let has_session = self.people.has_session(conn);
        let is_expected = is_expected && has_session;
        self.tokens.forget(conn);
        self.bad_messages.remove(&conn);
        let Some(member) = self.people.get_mut(conn) else {
            return;
        };
        let places = member.places();
        let rooms = mem::take(&mut member.rooms);
        let (user, session) = (member.user.clone(), member.session.get());
        self.earlier.remove(&conn);
        let will = self
            .wills
            .ended(conn, user.clone(), session.clone(), now.instant);
        if let Some(orphan) = will {
            self.execute(orphan);
        }
        for Joined { room, .. } in &rooms {
            self.effects.push(Effect::Unfollow(conn, room.log()));
            if is_expected {
                self.rooms.unfollow(room, conn);
            } else {
                self.leave_room_as(conn, room, &user);
            }
        }
        for log in [user.log(), LogName::broadcast()] {
            self.effects.push(Effect::Unfollow(conn, log));
        }
        if has_session {
            self.parked.park(&user, &session, places, now.instant);
        }
        self.people.remove_identity(conn);
        self.people.remove(conn);
        self.tell_gone(&user);
        if let Some(cluster) = &mut self.cluster {
            cluster.forget(conn);
        }
        if is_expected && !rooms.is_empty() {
            let rooms = rooms.into_iter().map(|joined| joined.room).collect();
            let until = now.instant + self.config.linger;
            self.lingering.add(user, &session, rooms, until);
        }
    }

    /// Publishes a will.
    fn execute(&mut self, orphan: Orphan) {
        let Orphan {
            conn,
            user,
            session,
            will,
        } = orphan;
        self.effects.push(Effect::Append(Append {
            log: will.log,
            conn,
            comes_back: false,
            from: user,
            session,
            content: will.content,
            seq: None,
            id: None,
        }));
    }

    /// The connection is in a room no more.
    pub(super) fn quit(&mut self, conn: ConnId, room: &RoomName) {
        let Some(member) = self.people.get_mut(conn) else {
            return;
        };
        member.rooms.retain(|joined| joined.room != *room);
        let user = member.user.clone();
        self.effects.push(Effect::Unfollow(conn, room.log()));
        self.leave_room_as(conn, room, &user);
    }

    pub(super) fn leave_room_as(&mut self, conn: ConnId, room: &RoomName, user: &UserName) {
        let change = self.rooms.leave(room, conn, user);
        self.tell_who_left(room, Some(conn), user, change);
    }

    /// The session of a connection was expected back, perhaps, and is here: it has left the rooms that it has not entered again.
    pub(super) fn end_lingering(&mut self, conn: ConnId) {
        if let Some(member) = self.people.get(conn) {
            let user = member.user.clone();
            let rooms = self.lingering.take(&user, &member.session.get());
            self.leave_without_connection(&user, &rooms);
        }
    }

    fn let_leave(&mut self, now: Instant) {
        while let Some((user, rooms)) = self.lingering.next_to_leave(now) {
            self.leave_without_connection(&user, &rooms);
        }
    }

    pub(super) fn leave_without_connection(&mut self, user: &UserName, rooms: &[RoomName]) {
        for room in rooms {
            let change = self.rooms.let_go(room, user);
            self.tell_who_left(room, None, user, change);
        }
    }

    fn tell_who_left(
        &mut self,
        room: &RoomName,
        conn: Option<ConnId>,
        user: &UserName,
        change: Change,
    ) {
        if change.here {
            self.tell_left(room, user);
        }
        if change.anywhere {
            self.announce_system(room, conn, user, "leave");
        }
    }
}
