//! The ends of tokens: whoever has shown one is told when it is about to end, and closed when it has, unless a fresh one came.
//! Each worker sees to its own connections; what tokens grant is the hub's and the API's business.

use tidewire_protocol::CloseCode;

use super::Worker;
use super::dispatch::private_code;
use super::readers::Reader;
use crate::auth::{Access, Due, Identity};
use crate::chat::Event;
use crate::ids::ConnId;
use crate::net::conn::{App, State};
use crate::transport::server_sent_event;

/// 4001: the token has ended.
const EXPIRED: u16 = 4001;

const EXPIRED_REASON: &str = "the token has expired";

impl Worker {
    /// Notes by what token a connection does what takes time.
    pub(super) fn hold_token(&mut self, id: ConnId, access: &Access) {
        match access {
            Access::Open => {}
            Access::Of(identity) => self.authorized(id, identity),
            Access::Awaited => {
                let until = self.now.instant + self.http.request_timeout;
                self.expiries.wait_for(id, until);
            }
        }
    }

    /// A connection has shown a token.
    pub(super) fn authorized(&mut self, id: ConnId, identity: &Identity) {
        // It may have gone before home heard so.
        if self.table.get_mut(id).is_some() {
            self.expiries.hold(id, identity, self.now);
        }
    }

    pub(super) fn expire_tokens(&mut self) {
        while let Some((id, due)) = self.expiries.take_due(self.now) {
            self.worked = true;
            match due {
                Due::Notice { seconds } => self.tell_of_end(id, seconds),
                Due::End => {
                    self.status.own.tokens_expired += 1;
                    self.end_for_token(id);
                }
                Due::NoToken => {
                    let reason = "no token came in time";
                    self.close(id, CloseCode::POLICY_VIOLATION, reason);
                }
            }
        }
    }

    /// Only the chat has a word for it.
    fn tell_of_end(&mut self, id: ConnId, seconds: u64) {
        let chats = match self.table.get_mut(id).map(|conn| &conn.state) {
            Some(State::WebSocket(web_socket)) => matches!(web_socket.app, App::Chat(_)),
            Some(State::Http(_)) => matches!(self.readers.get(&id), Some(Reader::Chat(_))),
            None => false,
        };
        if chats {
            self.say(id, Event::TokenExpiring { seconds });
        }
    }

    fn end_for_token(&mut self, id: ConnId) {
        let code = private_code(EXPIRED);
        match self.readers.get(&id) {
            None => self.close(id, code, EXPIRED_REASON),
            Some(Reader::Chat(_)) => {
                self.end_reader(id, code, EXPIRED_REASON);
                self.end_chat(id);
            }
            // It is answered with what there is, and refused when it asks again.
            Some(Reader::Rooms(_)) if self.is_poll(id) => self.hurry_poll(id),
            Some(Reader::Rooms(_)) => {
                let event =
                    server_sent_event(None, &Event::close(EXPIRED, EXPIRED_REASON).to_text());
                self.with_http(id, |http, _| http.push(&event));
                self.forget_reader(id);
                self.with_http(id, |http, turn| http.end_stream(turn));
                self.mark_dirty(id);
            }
        }
    }
}
