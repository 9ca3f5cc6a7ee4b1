//! Which logs a connection follows and how far it has come: rooms that are joined, receipts.

use super::Hub;
use crate::chat::command::Refused;
use crate::chat::effect::{Effect, Follow};
use crate::chat::event::Event;
use crate::chat::member::Member;
use crate::ids::{ConnId, LogName};
use crate::log::Position;

impl Hub {
    /// The connection has been shown everything up to `position`, the head: who joined a room hears so, and who is there.
    /// `whole` tells that nothing was missing.
    pub fn followed(&mut self, follow: &Follow, position: Position, whole: bool) {
        let Some(room) = &follow.room else {
            return;
        };
        // Another worker may say so of who has left meanwhile.
        let member = self.people.get(follow.conn);
        if !member.is_some_and(|member| member.is_in(room)) {
            return;
        }
        self.confirmed(follow.conn, &follow.log, position);
        self.tell_what_was_denied(follow, position);
        let event = Event::Joined {
            room_id: room.clone(),
            position,
            recovered: follow.with_since && whole && follow.denied_since.is_none(),
            members: self.members_of(room.as_str()),
            id: follow.id.clone(),
        };
        let Follow { conn, ticket, .. } = *follow;
        self.effects.push(Effect::Joined {
            conn,
            ticket,
            event,
        });
    }

    /// Who wanted to hear what was said before, and may not, is told what it missed, unless that is nothing.
    fn tell_what_was_denied(&mut self, follow: &Follow, to: Position) {
        let Some(from) = &follow.denied_since else {
            return;
        };
        if *from != to.to_string() {
            let gap = Event::Gap {
                room_id: follow.log.clone(),
                from: from.clone(),
                to,
                reason: "forbidden",
                id: None,
            };
            self.send(follow.conn, gap);
        }
    }

    /// What the connection was given of a log up to `position` has arrived, or it never asked for what was before that.
    pub fn confirmed(&mut self, conn: ConnId, log: &LogName, position: Position) {
        if let Some(member) = self.people.get_mut(conn)
            && let Some(joined) = member
                .rooms
                .iter_mut()
                .find(|joined| joined.room.as_str() == log.as_str())
        {
            joined.set_arrived(position);
        }
    }

    /// The log of this name, if it is one that a connection follows without being in a room.
    pub(super) fn own_log(&self, conn: ConnId, name: &str) -> Result<LogName, Refused> {
        let own = self.people.get(conn).map(|member| member.user.log());
        let mut logs = own.into_iter().chain([LogName::broadcast()]);
        logs.find(|log| log.as_str() == name)
            .ok_or_else(|| Refused {
                code: "forbidden",
                message: "Only one's own private messages and the broadcasts are followed so."
                    .to_owned(),
            })
    }

    /// The logs that a connection follows.
    pub fn logs_of(&self, conn: ConnId) -> impl Iterator<Item = LogName> {
        let rooms = |member: &Member| {
            let rooms = member.rooms.iter().map(|joined| joined.room.log());
            rooms
                .chain([member.user.log(), LogName::broadcast()])
                .collect()
        };
        self.people
            .get(conn)
            .map_or_else(Vec::new, rooms)
            .into_iter()
    }
}
