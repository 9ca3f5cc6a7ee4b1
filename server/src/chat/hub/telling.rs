//! What the hub tells one connection: that it is welcome, and what is wrong.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::Hub;
use crate::chat::answers::error_event;
use crate::chat::command::{BadCommand, Refused};
use crate::chat::effect::{Effect, Parting};
use crate::chat::event::Event;
use crate::clock::Now;
use crate::ids::ConnId;

impl Hub {
    pub(super) fn welcome(&mut self, conn: ConnId, id: Option<&RawValue>, now: Now) {
        let Some(member) = self.people.get(conn) else {
            return;
        };
        let user = member.user.clone();
        let welcome = Event::Welcome {
            session: member.session.get(),
            msg: format!("Welcome, {user}."),
            user,
            connection: conn,
            heartbeat: self.config.heartbeat_seconds,
            time: now.unix_ms,
            id: id.map(ToOwned::to_owned),
        };
        self.send(conn, welcome);
    }

    pub(super) fn bad_message(&mut self, conn: ConnId, bad: BadCommand<'_>) {
        let BadCommand { refused, seq, id } = bad;
        let (seq, id) = (seq.map(Cow::into_owned), id.map(Cow::into_owned));
        self.send_error(conn, refused, seq, id);
        self.count_bad_message(conn);
    }

    pub(super) fn count_bad_message(&mut self, conn: ConnId) {
        let in_a_row = self.bad_messages.entry(conn).or_insert(0);
        *in_a_row = in_a_row.saturating_add(1);
        if *in_a_row >= self.config.bad_messages_max {
            self.effects.push(Effect::Close(conn, Parting::BadMessages));
        }
    }

    pub(super) fn send_error(
        &mut self,
        conn: ConnId,
        refused: Refused,
        seq: Option<Box<RawValue>>,
        id: Option<Box<RawValue>>,
    ) {
        self.send(conn, error_event(refused, seq, id));
    }

    pub(super) fn send(&mut self, conn: ConnId, event: Event) {
        self.effects.push(Effect::Send(conn, event));
    }
}
