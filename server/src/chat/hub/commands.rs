//! What each command does.

use serde_json::value::RawValue;

use super::Hub;
use crate::chat::command::{Command, Refused, Request};
use crate::chat::effect::{Append, Audience, Effect};
use crate::chat::event::Event;
use crate::clock::Now;
use crate::ids::{ConnId, NameError, RoomName, Session, UserName};

impl Hub {
    pub(super) fn handle(
        &mut self,
        conn: ConnId,
        request: &Request<'_>,
        now: Now,
    ) -> Result<(), Refused> {
        let id = request.id;
        match &request.command {
            Command::Hello { user, session } => {
                self.hello(conn, user.as_deref(), session.as_deref(), id, now)
            }
            Command::JoinRoom { room, since } => self.join(conn, room, since.as_deref(), id),
            Command::LeaveRoom { room } => self.leave(conn, room, id),
            Command::RoomMsg { room, content, seq } => {
                let to = Audience::Room(self.room_of(conn, room.as_deref())?);
                self.append(conn, to, content, *seq, id);
                Ok(())
            }
            Command::PrivateMsg {
                to_user,
                content,
                seq,
            } => {
                let to = Audience::User(self.connected_user(to_user)?);
                self.append(conn, to, content, *seq, id);
                Ok(())
            }
            Command::Broadcast { content, seq } => {
                self.append(conn, Audience::Everyone, content, *seq, id);
                Ok(())
            }
            Command::Typing { room } => self.typing(conn, room),
            Command::Presence { room } => {
                let room = RoomName::new(room).map_err(|error| bad_name("roomId", error))?;
                let members = self.members_of(room.as_str());
                let text = Event::Presence {
                    room_id: room.as_str(),
                    members,
                    id,
                }
                .to_text();
                self.effects.push(Effect::Send(conn, text));
                Ok(())
            }
            Command::Heartbeat => {
                self.send(
                    conn,
                    &Event::Heartbeat {
                        time: now.unix_ms,
                        id,
                    },
                );
                Ok(())
            }
        }
    }

    fn hello(
        &mut self,
        conn: ConnId,
        user: Option<&str>,
        session: Option<&str>,
        id: Option<&RawValue>,
        now: Now,
    ) -> Result<(), Refused> {
        let Some(member) = self.members.get(&conn) else {
            return Ok(());
        };
        let (old_user, old_session) = (member.user.clone(), member.session.clone());
        let rooms = member.rooms.clone();
        let user = match user {
            Some(name) => UserName::new(name).map_err(|error| bad_name("user", error))?,
            None => old_user.clone(),
        };
        let session = match session {
            Some(name) => Session::new(name).map_err(|error| bad_name("session", error))?,
            None => old_session.clone(),
        };
        if (&user, &session) != (&old_user, &old_session) {
            for room in rooms.iter().filter(|_| user != old_user) {
                self.leave_room_as(conn, room, &old_user);
                self.enter_room_as(conn, room, &user);
            }
            self.people.remove(conn, &old_user, &old_session);
            if let Some(member) = self.members.get_mut(&conn) {
                (member.user, member.session) = (user.clone(), session.clone());
            }
            self.take_identity(conn, &user, &session);
        }
        self.welcome(conn, id, now);
        Ok(())
    }

    fn join(
        &mut self,
        conn: ConnId,
        room: &str,
        since: Option<&str>,
        id: Option<&RawValue>,
    ) -> Result<(), Refused> {
        let room = RoomName::new(room).map_err(|error| bad_name("roomId", error))?;
        let Some(member) = self.members.get(&conn) else {
            return Ok(());
        };
        if member.rooms.len() >= self.config.rooms_per_connection_max
            && !member.rooms.contains(&room)
        {
            return Err(too_many_rooms(self.config.rooms_per_connection_max));
        }
        self.enter(
            conn,
            &room,
            since.map(str::to_owned),
            id.map(ToOwned::to_owned),
        );
        Ok(())
    }

    fn leave(&mut self, conn: ConnId, room: &str, id: Option<&RawValue>) -> Result<(), Refused> {
        let room = self.room_of(conn, Some(room))?;
        let Some(member) = self.members.get_mut(&conn) else {
            return Ok(());
        };
        member.rooms.retain(|joined| *joined != room);
        let user = member.user.clone();
        self.leave_room_as(conn, &room, &user);
        self.send(
            conn,
            &Event::Left {
                room_id: room.as_str(),
                id,
            },
        );
        Ok(())
    }

    fn typing(&mut self, conn: ConnId, room: &str) -> Result<(), Refused> {
        let room = self.room_of(conn, Some(room))?;
        let Some(member) = self.members.get(&conn) else {
            return Ok(());
        };
        let text = Event::Typing {
            room_id: room.as_str(),
            user: member.user.as_str(),
        }
        .to_text();
        self.effects.push(Effect::Announce {
            to: Audience::Room(room),
            except: Some(conn),
            text,
        });
        Ok(())
    }

    fn append(
        &mut self,
        conn: ConnId,
        to: Audience,
        content: &RawValue,
        seq: Option<&RawValue>,
        id: Option<&RawValue>,
    ) {
        let Some(member) = self.members.get(&conn) else {
            return;
        };
        self.effects.push(Effect::Append(Append {
            log: to.log(),
            to,
            conn,
            from: member.user.clone(),
            session: member.session.clone(),
            content: content.to_owned(),
            seq: seq.map(ToOwned::to_owned),
            id: id.map(ToOwned::to_owned),
        }));
    }

    pub(super) fn refuse(&mut self, conn: ConnId, request: &Request<'_>, refused: &Refused) {
        let seq = match &request.command {
            Command::RoomMsg { seq, .. }
            | Command::PrivateMsg { seq, .. }
            | Command::Broadcast { seq, .. } => *seq,
            Command::Hello { .. }
            | Command::JoinRoom { .. }
            | Command::LeaveRoom { .. }
            | Command::Typing { .. }
            | Command::Presence { .. }
            | Command::Heartbeat => None,
        };
        self.send_error(conn, refused, seq, request.id);
    }
}

/// A name in a field is none.
pub(super) fn bad_name(field: &str, error: NameError) -> Refused {
    Refused {
        code: "bad_name",
        message: format!("\"{field}\" {error}."),
    }
}

/// A connection wants to be in more rooms than it can.
pub(super) fn too_many_rooms(max: usize) -> Refused {
    let message = format!("A connection can be in {max} rooms at most.");
    Refused {
        code: "too_many_rooms",
        message,
    }
}
