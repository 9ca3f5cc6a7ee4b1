//! The worker's way to the hub: it is here, or another worker has it and is told what happens.

use std::collections::HashMap;
use std::time::Instant;

use smallvec::SmallVec;

use super::Worker;
use super::mail::{Mail, Said, Spoken};
use crate::auth::Access;
use crate::chat::{Follow, Hub, Joiner, Request};
use crate::clock::Now;
use crate::ids::{Arrival, ConnId, LogName, RoomName, UserName};
use crate::log::Position;
use crate::net::receipt::Progress;
use crate::transport::dialect::{Parsed, owned};
use crate::transport::{Publish, done, members, rooms};

/// Rooms that are listed, the largest first.
const ROOMS_LISTED_MAX: usize = 1000;

/// What a message weighs on its way to another worker beside its text.
const MAIL_BYTES: usize = 256;

/// What the answers to a message may have: they all come before it is known that they are too much.
const ANSWER_BYTES: u32 = 2 << 10;
const LONG_ANSWER_BYTES: u32 = 128 << 10;

/// Where the hub is.
#[derive(Debug)]
pub(super) enum Chat {
    /// Here.
    Here(Box<Hub>),
    /// At home. What each connection that chats follows is noted: it is to follow nothing any more at once when it ends.
    There(HashMap<ConnId, SmallVec<[LogName; 3]>, foldhash::fast::RandomState>),
}

impl Chat {
    /// When something is due.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        match self {
            Self::Here(hub) => hub.poll_timeout(),
            Self::There(_) => None,
        }
    }
}

impl Worker {
    // ---- what a client does ----

    /// A connection, whose request was just read, chats from now on.
    pub(super) fn begin_chat(&mut self, id: ConnId, mut joiner: Joiner) {
        joiner.arrived = self.peers.arrivals().next();
        match &mut self.chat {
            Chat::Here(hub) => {
                hub.connect(id, joiner, self.now);
                self.run_effects();
            }
            Chat::There(following) => {
                following.insert(id, SmallVec::new());
                self.peers.tell_home(Said::Connected(id, joiner));
            }
        }
    }

    /// It says something, which was so many bytes long.
    pub(super) fn hear(&mut self, id: ConnId, parsed: Parsed<'_>, bytes: usize) {
        let is_free = matches!(&parsed, Ok(request) if request.command.is_free());
        if !is_free && let Err(wait) = self.spend_of_address(id, bytes) {
            return self.refuse_to_hear(id, parsed, bytes, wait);
        }
        match &mut self.chat {
            Chat::Here(hub) => {
                let arrivals = self.peers.arrivals();
                hub.hear(id, parsed, bytes, &|| arrivals.next(), self.now);
                self.run_effects();
            }
            Chat::There(_) => {
                let asks_for_much = |request: &Request<'_>| request.command.asks_for_much();
                // A `hello` is among those.
                let (answer, arrived) = if parsed.as_ref().is_ok_and(asks_for_much) {
                    (LONG_ANSWER_BYTES, self.peers.arrivals().next())
                } else {
                    (ANSWER_BYTES, Arrival::default())
                };
                let weight = weight(bytes) + answer;
                let spoken = Box::new(Spoken {
                    parsed: owned(parsed),
                    bytes,
                    weight,
                });
                self.peers.tell_home(Said::Spoken(id, spoken, arrived));
                self.wait_more(id, weight);
            }
        }
    }

    /// It chats no more.
    pub(super) fn end_chat(&mut self, id: ConnId) {
        self.part(id, Hub::disconnect, Said::Gone);
    }

    /// It chats no more, and its session comes back in a moment.
    pub(super) fn linger(&mut self, id: ConnId) {
        self.part(id, Hub::linger, Said::Lingers);
    }

    fn part(&mut self, id: ConnId, how: fn(&mut Hub, ConnId, Now), said: fn(ConnId) -> Said) {
        self.note_parting(id);
        match &mut self.chat {
            Chat::Here(hub) => {
                how(hub, id, self.now);
                self.run_effects();
            }
            Chat::There(following) => {
                // Before its place in the table is another's.
                for log in following.remove(&id).unwrap_or_default() {
                    self.feeds.unfollow(id, &log);
                }
                self.peers.tell_home(said(id));
            }
        }
    }

    /// It is at the head of a log for the first time.
    pub(super) fn note_at_head(&mut self, follow: Box<Follow>, position: Position, whole: bool) {
        match &mut self.chat {
            Chat::Here(hub) => hub.followed(&follow, position, whole),
            Chat::There(_) if follow.is_joining() => {
                self.peers.tell_home(Said::AtHead(follow, position, whole));
            }
            Chat::There(_) => {}
        }
    }

    /// What it was given has arrived.
    pub(super) fn note_arrived(&mut self, id: ConnId, progress: Progress) {
        match &mut self.chat {
            Chat::Here(hub) => {
                for (log, position) in &progress {
                    hub.confirmed(id, log, *position);
                }
            }
            Chat::There(_) => self.peers.tell_home(Said::Arrived(id, progress)),
        }
    }

    /// The logs that it follows.
    pub(super) fn logs_of(&self, id: ConnId) -> Vec<LogName> {
        match &self.chat {
            Chat::Here(hub) => hub.logs_of(id).collect(),
            Chat::There(following) => following
                .get(&id)
                .map_or_else(Vec::new, |logs| logs.to_vec()),
        }
    }

    /// Does what is due at the turn's time.
    pub(super) fn expire_chat(&mut self) {
        if let Chat::Here(hub) = &mut self.chat
            && hub.poll_timeout().is_some_and(|at| at <= self.now.instant)
        {
            self.worked = true;
            hub.handle_timeout(self.now);
            self.run_effects();
        }
    }

    // ---- calls ----

    /// Tells those in a room that somebody who is heard over HTTP is typing.
    pub(super) fn tell_typing(&mut self, id: ConnId, room: RoomName, user: UserName) {
        match &mut self.chat {
            Chat::Here(hub) => {
                hub.typing_in(room, &user);
                self.run_effects();
                self.answer(id, done());
            }
            Chat::There(_) => self.peers.tell_home(Said::Typing(id, room, user)),
        }
    }

    /// Answers which rooms there are.
    pub(super) fn list_rooms(&mut self, id: ConnId, access: Access) {
        match &self.chat {
            Chat::Here(hub) => {
                let response = rooms(hub.rooms_for(&access, ROOMS_LISTED_MAX));
                self.answer(id, response);
            }
            Chat::There(_) => self.peers.tell_home(Said::Rooms(id, access)),
        }
    }

    /// Answers who is in a room.
    pub(super) fn list_members(&mut self, id: ConnId, room: RoomName) {
        match &self.chat {
            Chat::Here(hub) => {
                let response = members(&room, &hub.members(&room));
                self.answer(id, response);
            }
            Chat::There(_) => self.peers.tell_home(Said::Members(id, room)),
        }
    }

    /// Finds out who publishes, and does it.
    pub(super) fn name_author(&mut self, id: ConnId, mut publish: Publish) {
        match &mut self.chat {
            Chat::Here(hub) => {
                let is_named = publish.from.is_some();
                let (from, session) = hub.author(publish.from.take(), publish.session.take());
                // A guest is a new one each time.
                let bytes = publish.content.get().len();
                if is_named && let Err(wait) = hub.spend_as(&from, bytes, self.now) {
                    return self.refuse_author(id, wait);
                }
                (publish.from, publish.session) = (Some(from), Some(session));
                if self.peers.is_ours(id) {
                    self.publish(id, publish);
                } else {
                    self.peers.post_to_owner(id, Mail::Publish(id, publish));
                }
            }
            Chat::There(_) => self.peers.tell_home(Said::Publish(id, publish)),
        }
    }

    /// Answers a call of this worker's connection or of another's.
    pub(super) fn answer(&mut self, id: ConnId, response: crate::transport::Response) {
        if self.peers.is_ours(id) {
            self.respond(id, &response);
        } else {
            self.peers.post_to_owner(id, Mail::Respond(id, response));
        }
    }

    // ---- at home: what the others' clients do ----

    /// Does for another worker's client what is done for one of ours.
    pub(super) fn hear_from_afar(&mut self, said: Said) {
        match said {
            Said::Connected(conn, joiner) => {
                if let Chat::Here(hub) = &mut self.chat {
                    hub.connect(conn, joiner, self.now);
                }
                self.run_effects();
            }
            Said::Spoken(conn, spoken, arrived) => {
                let Spoken {
                    parsed,
                    bytes,
                    weight,
                } = *spoken;
                if let Chat::Here(hub) = &mut self.chat {
                    hub.hear(conn, parsed, bytes, &|| arrived, self.now);
                }
                self.run_effects();
                // Behind what follows from it, so that who waits for the one waits for the other.
                self.peers.taken(conn, weight);
            }
            Said::TooMuch(conn, parsed, bytes, wait) => {
                self.refuse_to_hear(conn, *parsed, 0, wait);
                self.peers.taken(conn, bytes);
            }
            Said::Gone(conn) => self.end_chat(conn),
            Said::Lingers(conn) => self.linger(conn),
            Said::Typing(conn, room, user) => self.tell_typing(conn, room, user),
            Said::AtHead(follow, position, whole) => {
                self.note_at_head(follow, position, whole);
                self.run_effects();
            }
            Said::Arrived(conn, progress) => self.note_arrived(conn, progress),
            Said::Publish(conn, publish) => self.name_author(conn, publish),
            Said::Rooms(conn, access) => self.list_rooms(conn, access),
            Said::Members(conn, room) => self.list_members(conn, room),
            Said::Operate(conn, operation) => self.operate(conn, operation),
        }
    }

    // ---- away: what the hub wants ----

    /// Notes that a connection is to follow a log; `false` if it has ended, which the hub did not know yet.
    pub(super) fn note_following(&mut self, id: ConnId, log: &LogName) -> bool {
        let Chat::There(following) = &mut self.chat else {
            return true;
        };
        let Some(logs) = following.get_mut(&id) else {
            return false;
        };
        if !logs.contains(log) {
            logs.push(log.clone());
        }
        true
    }

    /// Notes that it follows a log no more; `false` if it did not.
    pub(super) fn note_unfollowing(&mut self, id: ConnId, log: &LogName) -> bool {
        let Chat::There(following) = &mut self.chat else {
            return true;
        };
        following.get_mut(&id).is_some_and(|logs| {
            let place = logs.iter().position(|followed| followed == log);
            place.map(|place| logs.swap_remove(place)).is_some()
        })
    }
}

/// What a message weighs on its way to another worker.
pub(super) const fn weight(bytes: usize) -> u32 {
    // No message of the chat or the relay has 4 GiB.
    (bytes + MAIL_BYTES) as u32
}
