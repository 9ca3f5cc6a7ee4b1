//! Who shows a token to the hub: to be let in, or to stay. What a token that came with the address grants, the hub is told.

use std::sync::Arc;

use super::Hub;
use crate::auth::{Access, Identity, Right};
use crate::chat::command::{BadCommand, Command, Refused, Request};
use crate::chat::effect::{Effect, Joiner, Parting};
use crate::chat::event::Event;
use crate::clock::Now;
use crate::ids::{Arrival, ConnId, RoomName, Session, UserName};

impl Hub {
    /// Rooms that somebody is in and that `access` may know of, as [`rooms`](Self::rooms) lists them.
    #[must_use]
    pub fn rooms_for(&self, access: &Access, max: usize) -> Vec<(&str, usize)> {
        self.rooms
            .largest(max, |room| access.allow_presence(room).is_ok())
    }

    /// A connection came without a token, which this server asks for: it is told so, and may say `hello` with one.
    pub(super) fn ask_for_token(&mut self, conn: ConnId) {
        self.send_error(conn, no_token(), None, None);
    }

    /// Who has shown no token says something: it can only be a `hello` with one.
    pub(super) fn let_in(
        &mut self,
        conn: ConnId,
        parsed: Result<Request<'_>, BadCommand<'_>>,
        arrived: &dyn Fn() -> Arrival,
        now: Now,
    ) {
        let request = match parsed {
            Ok(request) => request,
            Err(bad) => return self.bad_message(conn, bad),
        };
        let Command::Hello {
            user,
            session,
            token: Some(token),
        } = &request.command
        else {
            self.refuse(conn, request, no_token());
            return self.count_bad_message(conn);
        };
        let names = (user.as_deref(), session.as_deref());
        let entered = self.enter_with(conn, names, token, arrived, now);
        if let Err(refused) = entered {
            self.refuse(conn, request, refused);
            let parting = Parting::Unauthorized;
            self.effects.push(Effect::Close(conn, parting));
        }
    }

    /// A connection came with a token that nobody has looked at yet.
    pub(super) fn connect_with(&mut self, conn: ConnId, joiner: Joiner, token: &str, now: Now) {
        let (user, session, arrived) =
            (joiner.user.clone(), joiner.session.clone(), joiner.arrived);
        if let Some(joiner) = self.tokens.admit(conn, joiner) {
            return self.connect(conn, joiner, now);
        }
        let names = (
            user.as_ref().map(UserName::as_str),
            session.as_ref().map(Session::as_str),
        );
        if let Err(refused) = self.enter_with(conn, names, token, &|| arrived, now) {
            self.send_error(conn, refused, None, None);
            let parting = Parting::Unauthorized;
            self.effects.push(Effect::Close(conn, parting));
        }
    }

    fn enter_with(
        &mut self,
        conn: ConnId,
        (user, session): (Option<&str>, Option<&str>),
        token: &str,
        arrived: &dyn Fn() -> Arrival,
        now: Now,
    ) -> Result<(), Refused> {
        let Some(identity) = self.tokens.verify(token, now)? else {
            return Ok(());
        };
        let access = Access::Of(Arc::clone(&identity));
        let says_who = user.is_some() || session.is_some();
        let (user, session) = super::commands::names(user, session)?;
        let user = access.person(user)?;
        let Some(mut joiner) = self.tokens.take_awaited(conn) else {
            return Ok(());
        };
        access.person(joiner.user)?;
        (joiner.user, joiner.access) = (user, access);
        if session.is_some() {
            (joiner.session, joiner.arrived) = (session, arrived());
        }
        self.bad_messages.remove(&conn);
        self.effects.push(Effect::Authorized(conn, identity));
        self.connect(conn, joiner, now);
        if says_who {
            let places = self.earlier.remove(&conn).unwrap_or_default();
            self.tell_has_said(conn);
            self.enter_again(conn, places);
        }
        Ok(())
    }

    /// A connection that is in shows a fresh token: what it grants holds from now on.
    pub(super) fn renew(&mut self, conn: ConnId, identity: Arc<Identity>) {
        self.tokens.renew(conn, Arc::clone(&identity));
        self.effects.push(Effect::Authorized(conn, identity));
        let Some(member) = self.people.get(conn) else {
            return;
        };
        let rooms = member.rooms.iter().map(|joined| joined.room.clone());
        let rooms: Vec<RoomName> = rooms.collect();
        for room in rooms {
            if let Err(forbidden) = self.tokens.access(conn).allow(Right::Join, room.as_str()) {
                self.send_error(conn, forbidden.into(), None, None);
                self.leave_at_once(conn, &room);
            }
        }
    }

    fn leave_at_once(&mut self, conn: ConnId, room: &RoomName) {
        self.quit(conn, room);
        let room_id = room.clone();
        self.send(conn, Event::Left { room_id, id: None });
    }

    /// Checks the token of a `hello` from who is in: it is the same user's.
    pub(super) fn fresh_token(
        &self,
        conn: ConnId,
        token: Option<&str>,
        now: Now,
    ) -> Result<Option<Arc<Identity>>, Refused> {
        let Some(token) = token else {
            return Ok(None);
        };
        let Some(identity) = self.tokens.verify(token, now)? else {
            return Ok(None);
        };
        self.own_name(conn, Some(identity.user().clone()))?;
        Ok(Some(identity))
    }

    /// Checks that a connection goes by the name that its token has.
    pub(super) fn own_name(&self, conn: ConnId, name: Option<UserName>) -> Result<(), Refused> {
        let access = self.tokens.access(conn);
        access.person(name).map(drop).map_err(Refused::from)
    }
}

fn no_token() -> Refused {
    Refused {
        code: "unauthorized",
        message: "This server asks for a token: say hello with one, as \"token\".".to_owned(),
    }
}
