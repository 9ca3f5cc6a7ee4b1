//! Other nodes: what this one tells them, and what becomes of what they tell. Who joins and leaves a room is said on each node to
//! those who are there, once for all nodes.

use std::time::Instant;

use serde_json::Value;

use super::Hub;
use crate::chat::cluster::{Change, Claim, Cluster, Outgoing, Places, Remarks, Snapshot, Tag};
use crate::chat::effect::{Audience, Effect, Except, Parting};
use crate::chat::event::Event;
use crate::clock::Now;
use crate::ids::{ConnId, NodeName, RoomName, Session, UserName};

impl Hub {
    // ---- the log of the nodes ----

    /// Whether there are other nodes, or may be.
    #[must_use]
    pub const fn is_in_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    /// The session in which this process tells the others: the keys of its notes are its own.
    #[must_use]
    pub fn cluster_session(&self) -> Option<Session> {
        let life = self.cluster.as_ref()?.life();
        Some(Session::random(u128::from(life)))
    }

    /// How many other nodes are heard.
    #[must_use]
    pub fn other_nodes(&self) -> usize {
        self.cluster.as_ref().map_or(0, |cluster| cluster.others())
    }

    /// The nodes' log is followed from here on: for the first time, or something of it was missed.
    pub fn begin_to_hear_nodes(&mut self, now: Now) {
        if let Some(cluster) = &mut self.cluster {
            cluster.begin(now.instant);
        }
    }

    /// A note is in the nodes' log: another's, or one of ours.
    pub fn hear_node(&mut self, content: &str, now: Now) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        let mut changes = Vec::new();
        cluster.hear(content, now.instant, &mut changes);
        for change in changes {
            self.apply(change, now);
        }
    }

    /// What is to be appended to the nodes' log, if the last is there.
    pub fn next_note(&mut self, now: Now) -> Option<Outgoing> {
        let owes_state = |cluster: &Cluster| cluster.owes_state(now.instant);
        if self.cluster.as_deref().is_some_and(owes_state) {
            let all = self.snapshot();
            if let Some(cluster) = &mut self.cluster {
                cluster.tell_state(all, now.instant);
            }
        }
        self.cluster.as_mut()?.next_note(now.instant)
    }

    /// The note has its place, or has none.
    pub fn note_placed(&mut self, is_placed: bool, now: Now) {
        if let Some(cluster) = &mut self.cluster {
            cluster.placed(is_placed, now.instant);
        }
    }

    /// This node stops: for the others all who are here have gone.
    pub fn leave_cluster(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.leave();
        }
    }

    /// Whether the others have been told all there was to tell.
    #[must_use]
    pub fn has_told_nodes(&self) -> bool {
        self.cluster
            .as_ref()
            .is_none_or(|cluster| cluster.is_told())
    }

    /// What is worth a line in the server's own log.
    pub fn take_remarks(&mut self) -> Remarks {
        let cluster = self.cluster.as_mut();
        cluster.map_or_else(Remarks::default, |cluster| cluster.take_remarks())
    }

    /// All that is on this node.
    fn snapshot(&self) -> Snapshot {
        let places = self.rooms.places_here();
        Snapshot {
            here: self.people.users().cloned().collect(),
            places: places
                .map(|(room, user)| (room.clone(), user.clone()))
                .collect(),
        }
    }

    // ---- what happens here ----

    pub(super) fn tell_entered(&mut self, room: &RoomName, user: &UserName) {
        if let Some(cluster) = &mut self.cluster {
            cluster.enter(room, user);
        }
    }

    pub(super) fn tell_left(&mut self, room: &RoomName, user: &UserName) {
        if let Some(cluster) = &mut self.cluster {
            cluster.quit(room, user);
        }
    }

    /// A user has a connection more.
    pub(super) fn tell_here(&mut self, user: &UserName) {
        if let Some(cluster) = &mut self.cluster
            && self.people.connection_count(user) == 1
        {
            self.users_here_too += usize::from(self.elsewhere.contains_key(user));
            cluster.here(user);
        }
    }

    /// It has one less.
    pub(super) fn tell_gone(&mut self, user: &UserName) {
        if let Some(cluster) = &mut self.cluster
            && !self.people.is_connected(user)
        {
            self.users_here_too -= usize::from(self.elsewhere.contains_key(user));
            cluster.gone(user);
        }
    }

    pub(super) fn tell_typing(&mut self, room: &RoomName, user: &UserName) {
        if let Some(cluster) = &mut self.cluster {
            cluster.typing(room, user);
        }
    }

    /// What this node is called, if there are others or may be.
    #[must_use]
    pub fn node_name(&self) -> Option<&NodeName> {
        self.cluster.as_ref().map(|cluster| cluster.name())
    }

    /// What the other nodes are called that are heard.
    pub fn node_names(&self) -> impl Iterator<Item = &NodeName> {
        let cluster = self.cluster.as_ref();
        cluster.into_iter().flat_map(|cluster| cluster.names())
    }

    /// Asks all other nodes what an operator wants to know. They [are told](Remarks::asked), and [so is this one](Remarks::found).
    pub fn ask_nodes(&mut self, number: u32, question: Value) {
        if let Some(cluster) = &mut self.cluster {
            cluster.ask(number, question);
        }
    }

    /// Answers a node that asked.
    pub fn answer_node(&mut self, to: &NodeName, number: u32, items: Vec<Value>) {
        if let Some(cluster) = &mut self.cluster {
            cluster.answer(to, number, items);
        }
    }

    /// A connection names its session, which may be known elsewhere. `has_said` tells that it wants to be where that was.
    pub(super) fn claim(&mut self, conn: ConnId, has_said: bool, now: Now) {
        if let Some(cluster) = &mut self.cluster
            && let Some(member) = self.people.get(conn)
        {
            let tag = Tag::of(&member.user, &member.session.get());
            cluster.claim(conn, &member.user, tag, has_said, now.instant);
        }
    }

    /// A connection that has named its session wants to be where that was.
    pub(super) fn tell_has_said(&mut self, conn: ConnId) {
        if let Some(cluster) = &mut self.cluster {
            cluster.has_said(conn);
        }
    }

    // ---- what happens elsewhere ----

    fn apply(&mut self, change: Change, now: Now) {
        match change {
            Change::Entered(room, user) => {
                if self.rooms.enter_elsewhere(room.clone(), user.clone()) {
                    self.announce_system(&room, None, &user, "join");
                }
            }
            Change::Left(room, user) => {
                if self.rooms.leave_elsewhere(&room, &user) {
                    self.announce_system(&room, None, &user, "leave");
                }
            }
            Change::Here(user) => self.count_in(user),
            Change::Gone(user) => self.count_out(&user),
            Change::Claimed(by, claim) => self.give_up_session(by, &claim, now),
            Change::Was(places) => self.go_where_it_was(places),
            Change::Settled(tag, user) => {
                if !self.has_newer_claim(tag) {
                    let rooms = self.lingering.take_tagged(tag);
                    self.leave_without_connection(&user, &rooms);
                }
            }
            Change::Typing(room, user) => self.announce_typing(room, &user),
            Change::Asked(node, number, question) => {
                if let Some(cluster) = &mut self.cluster {
                    cluster.remarks().asked.push((node, number, question));
                }
            }
            Change::Found(node, number, is_all, items) => {
                if let Some(cluster) = &mut self.cluster {
                    cluster.remarks().found.push((node, number, is_all, items));
                }
            }
        }
    }

    fn count_in(&mut self, user: UserName) {
        let is_here = self.people.is_connected(&user);
        let nodes = self.elsewhere.entry(user).or_insert(0);
        *nodes += 1;
        self.users_here_too += usize::from(*nodes == 1 && is_here);
    }

    fn count_out(&mut self, user: &UserName) {
        if let Some(nodes) = self.elsewhere.get_mut(user) {
            *nodes -= 1;
            if *nodes == 0 {
                self.elsewhere.remove(user);
                self.users_here_too -= usize::from(self.people.is_connected(user));
            }
        }
    }

    /// Tells those in a room who are on this node, apart from the user itself.
    pub(super) fn announce_typing(&mut self, room: RoomName, user: &UserName) {
        let event = Event::Typing {
            room_id: room.clone(),
            user: user.clone(),
        };
        self.effects.push(Effect::Announce {
            to: Audience::Room(room),
            except: self.people.connections(user),
            event,
        });
    }

    // ---- sessions that move ----

    fn has_newer_claim(&self, tag: Tag) -> bool {
        let cluster = self.cluster.as_ref();
        cluster.is_some_and(|cluster| cluster.has_newer_claim(tag))
    }

    /// A session has a connection on another node: here it has none any more, and the other is told where it was. If that one is
    /// about to enter its rooms again, it stays in them until then: for the others it never was away.
    fn give_up_session(&mut self, by: NodeName, claim: &Claim, now: Now) {
        let Claim { user, tag, waits } = claim;
        if self.has_newer_claim(*tag) {
            return;
        }
        let places = match self.connection_of(user, *tag) {
            Some(conn) => Some(self.be_replaced_afar(conn, *waits, now.instant)),
            None => {
                let places = self.parked.take_tagged(*tag, now.instant);
                let is_held = *waits && self.lingering.has(*tag);
                (is_held || !places.is_empty()).then_some(places)
            }
        };
        if !waits {
            let rooms = self.lingering.take_tagged(*tag);
            self.leave_without_connection(user, &rooms);
        }
        if let (Some(places), Some(cluster)) = (places, &mut self.cluster) {
            cluster.answer_claim(Places {
                to: by,
                user: user.clone(),
                tag: *tag,
                places,
            });
        }
    }

    /// The connection that has a session.
    fn connection_of(&self, user: &UserName, tag: Tag) -> Option<ConnId> {
        let connections: Except = self.people.connections(user);
        let has_it = |conn: &ConnId| {
            let member = self.people.get(*conn);
            member.is_some_and(|member| Tag::of(user, &member.session.get()) == tag)
                && self.people.has_session(*conn)
        };
        connections.into_iter().find(has_it)
    }

    fn be_replaced_afar(
        &mut self,
        conn: ConnId,
        is_held: bool,
        now: Instant,
    ) -> Vec<crate::chat::parked::Place> {
        let Some(member) = self.people.get(conn) else {
            return Vec::new();
        };
        let (user, session, places) = (member.user.clone(), member.session.get(), member.places());
        let rooms = member.rooms.iter().map(|joined| joined.room.clone());
        let rooms: Vec<RoomName> = rooms.collect();
        if is_held && !rooms.is_empty() {
            for room in &rooms {
                self.rooms.hold(room, &user);
            }
            let until = now + self.config.linger;
            self.lingering.add(user, &session, rooms, until);
        }
        self.people.let_session_go(conn);
        self.effects.push(Effect::Close(conn, Parting::Replaced));
        places
    }

    /// Another node tells where a session was that a connection of this one has claimed.
    fn go_where_it_was(&mut self, was: Places) {
        let Some(conn) = self.connection_of(&was.user, was.tag) else {
            return;
        };
        let waits = |cluster: &Cluster| cluster.waits(conn, was.tag);
        match self.cluster.as_deref().and_then(waits) {
            Some(true) => {
                self.enter_again(conn, was.places);
                if let Some(cluster) = &mut self.cluster {
                    cluster.settled(was.tag, &was.user);
                }
            }
            Some(false) => self.earlier.entry(conn).or_default().extend(was.places),
            None => {}
        }
    }
}
