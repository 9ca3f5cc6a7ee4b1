//! What each command does.

use std::borrow::Cow;
use std::mem;

use serde_json::value::RawValue;

use super::{Hub, HubConfig};
use crate::chat::command::{Command, Refused, Request, Testament};
use crate::chat::effect::{Append, Audience, Effect, Except, Reading};
use crate::chat::event::Event;
use crate::chat::member::{Joined, KeptSession};
use crate::chat::parked::Place;
use crate::chat::wills::Will;
use crate::clock::Now;
use crate::ids::{Arrival, ConnId, LogName, NameError, RoomName, Session, UserName};
use crate::log::{BadPosition, Part};

/// Messages in an answer to `history` that says no number.
pub const HISTORY_DEFAULT: u64 = 100;

/// Messages in an answer to `history` at most.
pub const HISTORY_MAX: u64 = 1000;

/// What is to go into a log.
struct Said {
    content: Box<RawValue>,
    seq: Option<Box<RawValue>>,
    id: Option<Box<RawValue>>,
    comes_back: bool,
}

impl Said {
    /// Takes it out of a request, without a copy if it is the request's own.
    fn take<'a>(
        content: &mut Cow<'a, RawValue>,
        seq: &mut Option<Cow<'a, RawValue>>,
        id: &mut Option<Cow<'a, RawValue>>,
    ) -> Self {
        Self {
            content: mem::replace(content, Cow::Borrowed(RawValue::NULL)).into_owned(),
            seq: seq.take().map(Cow::into_owned),
            id: id.take().map(Cow::into_owned),
            comes_back: false,
        }
    }

    /// Its sender gets it as others do, if so.
    fn coming_back(self, comes_back: bool) -> Self {
        Self { comes_back, ..self }
    }
}

impl Hub {
    /// Does what is asked. What goes into a log is taken out of the request, as the last thing that can be refused.
    pub(super) fn handle(
        &mut self,
        conn: ConnId,
        request: &mut Request<'_>,
        arrived: &dyn Fn() -> Arrival,
        now: Now,
    ) -> Result<(), Refused> {
        let Request { command, id } = request;
        match command {
            Command::Hello {
                user,
                session,
                token,
            } => {
                let said = (user.as_deref(), session.as_deref(), token.as_deref());
                self.introduce(conn, said, arrived, id.as_deref(), now)
            }
            Command::JoinRoom { room, since } => {
                self.join(conn, room, since.as_deref(), id.as_deref())
            }
            Command::LeaveRoom { room } => self.leave(conn, room, id.as_deref()),
            Command::RoomMsg { room, content, seq } => {
                let log = self.room_of(conn, room.as_deref())?.log();
                self.publish(conn, log, || Said::take(content, seq, id))
            }
            Command::PrivateMsg {
                to_user,
                content,
                seq,
            } => {
                let user = UserName::new(to_user).map_err(|error| bad_name("toUser", error))?;
                self.append(conn, user.log(), Said::take(content, seq, id));
                Ok(())
            }
            Command::Broadcast { content, seq } => {
                let log = LogName::broadcast();
                self.publish(conn, log, || Said::take(content, seq, id))
            }
            Command::Publish {
                log,
                content,
                seq,
                comes_back,
            } => {
                let log = LogName::new(log).map_err(|error| bad_name("roomId", error))?;
                let said = || Said::take(content, seq, id).coming_back(*comes_back);
                self.publish(conn, log, said)
            }
            Command::Follow { log, since } => {
                let log = self.own_log(conn, log)?;
                self.follow_log(conn, log, since.as_deref());
                Ok(())
            }
            Command::Unfollow { log } => {
                let log = self.own_log(conn, log)?;
                self.effects.push(Effect::Unfollow(conn, log));
                Ok(())
            }
            Command::Will(testament) => self.will(conn, testament.take()),
            Command::Typing { room } => self.typing(conn, room),
            Command::History {
                room,
                since,
                before,
                limit,
            } => {
                let part = part_of(since.as_deref(), before.as_deref())?;
                self.history(conn, room, part, *limit, id.as_deref())
            }
            Command::Presence { room } => self.presence(conn, room, id.as_deref()),
            Command::Heartbeat => {
                self.heartbeat(conn, id.take().map(Cow::into_owned), now);
                Ok(())
            }
        }
    }

    /// Takes what a `hello` says of user, session and token, the token first: it tells which names are one's own.
    fn introduce(
        &mut self,
        conn: ConnId,
        (user, session, token): (Option<&str>, Option<&str>, Option<&str>),
        arrived: &dyn Fn() -> Arrival,
        id: Option<&RawValue>,
        now: Now,
    ) -> Result<(), Refused> {
        let fresh = self.fresh_token(conn, token, now)?;
        let names = names(user, session)?;
        self.own_name(conn, names.0.clone())?;
        if let Some(identity) = fresh {
            self.renew(conn, identity);
        }
        self.hello(conn, names, arrived, id, now)
    }

    /// Says who one is. Who names a session that was here before is in its rooms again, behind what had arrived.
    fn hello(
        &mut self,
        conn: ConnId,
        (user, session): (Option<UserName>, Option<Session>),
        arrived: &dyn Fn() -> Arrival,
        id: Option<&RawValue>,
        now: Now,
    ) -> Result<(), Refused> {
        let Some(member) = self.people.get(conn) else {
            return Ok(());
        };
        let (old_user, old_session) = (member.user.clone(), member.session.get());
        let says_who = user.is_some() || session.is_some();
        let user = user.unwrap_or_else(|| old_user.clone());
        let session = session.unwrap_or_else(|| old_session.clone());
        // Who only shows a fresh token stays where it is.
        if user != old_user {
            self.check_connections(&user, &session)?;
        }
        let mut places = Vec::new();
        if says_who {
            places = self.earlier.remove(&conn).unwrap_or_default();
            if let Some(member) = self.people.get_mut(conn) {
                member.arrived = arrived();
            }
            self.tell_has_said(conn);
        }
        let is_another = (&user, &session) != (&old_user, &old_session);
        if is_another {
            if user != old_user {
                self.rename_in_rooms(conn, &old_user, &user);
            }
            self.people.remove_identity(conn);
            self.tell_gone(&old_user);
            if let Some(member) = self.people.get_mut(conn) {
                (member.user, member.session) = (user.clone(), KeptSession::new(session));
            }
            let Some(earlier) = self.take_identity(conn, now) else {
                self.be_replaced(conn, id, now);
                return Ok(());
            };
            places = earlier;
        }
        self.welcome(conn, id, now);
        if user != old_user {
            self.effects.push(Effect::Unfollow(conn, old_user.log()));
            self.follow_personal(conn, &user, None);
        }
        self.enter_again(conn, places);
        self.end_lingering(conn);
        if is_another {
            self.tell_here(&user);
            self.claim(conn, true, now);
        }
        Ok(())
    }

    fn rename_in_rooms(&mut self, conn: ConnId, old: &UserName, new: &UserName) {
        let joined = self.people.get(conn).map(|member| member.rooms.clone());
        for Joined { room, .. } in joined.unwrap_or_default() {
            self.leave_room_as(conn, &room, old);
            self.enter_room_as(conn, &room, new);
        }
    }

    /// Enters the rooms where the session was, apart from those where the connection is.
    pub(super) fn enter_again(&mut self, conn: ConnId, places: Vec<Place>) {
        for (room, position) in places {
            let member = self.people.get(conn);
            let is_elsewhere = member.is_some_and(|member| !member.is_in(&room));
            if is_elsewhere
                && self.rooms_left(conn) > 0
                && let Err(refused) = self.enter(conn, &room, Some(&position.to_string()), None)
            {
                self.send_error(conn, refused, None, None);
            }
        }
    }

    fn join(
        &mut self,
        conn: ConnId,
        room: &str,
        since: Option<&str>,
        id: Option<&RawValue>,
    ) -> Result<(), Refused> {
        let room = RoomName::new(room).map_err(|error| bad_name("roomId", error))?;
        let Some(member) = self.people.get(conn) else {
            return Ok(());
        };
        if !member.is_in(&room) && self.rooms_left(conn) == 0 {
            self.tally.rooms_refused += 1;
            return Err(too_many_rooms(&self.config));
        }
        self.enter(conn, &room, since, id.map(ToOwned::to_owned))
    }

    fn leave(&mut self, conn: ConnId, room: &str, id: Option<&RawValue>) -> Result<(), Refused> {
        let room = self.room_of(conn, Some(room))?;
        self.quit(conn, &room);
        let left = Event::Left {
            room_id: room,
            id: id.map(ToOwned::to_owned),
        };
        self.send(conn, left);
        Ok(())
    }

    /// Every room's log, one's own private messages, and the broadcasts can be read.
    fn history(
        &mut self,
        conn: ConnId,
        room: &str,
        part: Part,
        limit: Option<u64>,
        id: Option<&RawValue>,
    ) -> Result<(), Refused> {
        let log = LogName::new(room).map_err(|error| bad_name("roomId", error))?;
        let own = self
            .people
            .get(conn)
            .is_some_and(|member| room.strip_prefix('@') == Some(member.user.as_str()));
        if room.starts_with('@') && !own {
            return Err(Refused {
                code: "forbidden",
                message: "These are the private messages of somebody else.".to_owned(),
            });
        }
        self.tokens.access(conn).allow_reading(&log)?;
        let limit = limit.unwrap_or(HISTORY_DEFAULT).clamp(1, HISTORY_MAX);
        self.effects.push(Effect::Read(Reading {
            log,
            part,
            limit: limit as usize,
            conn,
            id: id.map(ToOwned::to_owned),
        }));
        Ok(())
    }

    fn presence(&mut self, conn: ConnId, room: &str, id: Option<&RawValue>) -> Result<(), Refused> {
        let room = RoomName::new(room).map_err(|error| bad_name("roomId", error))?;
        let access = self.tokens.access(conn);
        access.allow_presence(room.as_str())?;
        let presence = Event::Presence {
            members: self.members_of(room.as_str()),
            room_id: room,
            id: id.map(ToOwned::to_owned),
        };
        self.send(conn, presence);
        Ok(())
    }

    fn typing(&mut self, conn: ConnId, room: &str) -> Result<(), Refused> {
        let room = self.room_of(conn, Some(room))?;
        let access = self.tokens.access(conn);
        access.allow_writing(&room.log())?;
        let Some(member) = self.people.get(conn) else {
            return Ok(());
        };
        let user = member.user.clone();
        self.tell_typing(&room, &user);
        let event = Event::Typing {
            room_id: room.clone(),
            user,
        };
        self.effects.push(Effect::Announce {
            to: Audience::Room(room),
            except: Except::from([conn]),
            event,
        });
        Ok(())
    }

    fn heartbeat(&mut self, conn: ConnId, id: Option<Box<RawValue>>, now: Now) {
        let time = now.unix_ms;
        self.send(conn, Event::Heartbeat { time, id });
    }

    /// Appends to a log that the connection may write.
    fn publish(
        &mut self,
        conn: ConnId,
        log: LogName,
        said: impl FnOnce() -> Said,
    ) -> Result<(), Refused> {
        self.tokens.access(conn).allow_writing(&log)?;
        self.append(conn, log, said());
        Ok(())
    }

    fn append(&mut self, conn: ConnId, log: LogName, said: Said) {
        let Some(member) = self.people.get_mut(conn) else {
            return;
        };
        self.effects.push(Effect::Append(Append {
            // Who writes to itself has no other copy.
            comes_back: said.comes_back || log.as_str().starts_with('@'),
            log,
            conn,
            from: member.user.clone(),
            session: member.session.keep_text(),
            content: said.content,
            seq: said.seq,
            id: said.id,
        }));
    }

    /// What may not be published now is not published later.
    fn will(&mut self, conn: ConnId, testament: Option<Testament<'_>>) -> Result<(), Refused> {
        let will = testament.map(|testament| {
            let log = LogName::new(&testament.log).map_err(|error| bad_name("roomId", error))?;
            self.tokens.access(conn).allow_writing(&log)?;
            Ok::<_, Refused>(Will {
                log,
                content: testament.content.into_owned(),
                delay: testament.delay,
            })
        });
        self.wills.set(conn, will.transpose()?);
        Ok(())
    }

    pub(super) fn refuse(&mut self, conn: ConnId, request: Request<'_>, refused: Refused) {
        let seq = request.command.seq().map(ToOwned::to_owned);
        self.send_error(conn, refused, seq, request.id.map(Cow::into_owned));
    }
}

/// What of a log is asked for: behind `since`, before `before`, or the newest.
///
/// # Errors
/// One of them is no position, or both are given.
pub fn part_of(since: Option<&str>, before: Option<&str>) -> Result<Part, Refused> {
    let bad = |field: &str| Refused {
        code: "bad_position",
        message: format!("\"{field}\" {BadPosition}."),
    };
    match (since, before) {
        (Some(_), Some(_)) => Err(Refused {
            code: "bad_field",
            message: "History is read from \"since\" on or back from \"before\", not both."
                .to_owned(),
        }),
        (Some(since), None) => since.parse().map(Part::Since).map_err(|_| bad("since")),
        (None, Some(before)) => {
            let position = before.parse().map_err(|_| bad("before"))?;
            Ok(Part::Before(Some(position)))
        }
        (None, None) => Ok(Part::Before(None)),
    }
}

/// The names that a `hello` says.
pub(super) fn names(
    user: Option<&str>,
    session: Option<&str>,
) -> Result<(Option<UserName>, Option<Session>), Refused> {
    let user = user.map(UserName::new).transpose();
    let session = session.map(Session::new).transpose();
    Ok((
        user.map_err(|error| bad_name("user", error))?,
        session.map_err(|error| bad_name("session", error))?,
    ))
}

/// A name in a field is none.
pub(super) fn bad_name(field: &str, error: NameError) -> Refused {
    Refused {
        code: "bad_name",
        message: format!("\"{field}\" {error}."),
    }
}

/// A connection wants to be in more rooms than it can, or all of its user's do.
pub(super) fn too_many_rooms(config: &HubConfig) -> Refused {
    let max = config.rooms_per_connection_max;
    let message = match config.rooms_per_user_max {
        0 => format!("A connection can be in {max} rooms at most."),
        all => format!("A connection can be in {max} rooms at most, and all of a user in {all}."),
    };
    Refused {
        code: "too_many_rooms",
        message,
    }
}
