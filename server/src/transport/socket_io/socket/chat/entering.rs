//! How a client comes in: what it connects with, who it is then, and when it is answered.

use serde::Deserialize;
use serde_json::json;

use super::{Asked, Chat, RESUME_TIME, Resuming, State, json_number};
use crate::auth::Access;
use crate::chat::{Command, Event, Joiner, Refused, Request};
use crate::clock::Now;
use crate::ids::{BROADCAST_LOG, LogName, Session, UserName};
use crate::transport::dialect::Out;
use crate::transport::socket_io::engine::Line;
use crate::transport::socket_io::socket::packet::{Kind, MAIN, head};
use crate::transport::socket_io::socket::recovery;

/// What a client connects with.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    #[serde(default)]
    pid: Option<String>,
    #[serde(default)]
    offset: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    token: Option<String>,
}

impl Chat {
    pub(super) fn connect(&mut self, data: &str, now: Now, out: &mut Out) -> Result<(), Refused> {
        let data = if data.is_empty() { "{}" } else { data };
        let credentials: Credentials = serde_json::from_str(data).map_err(|_| Refused {
            code: "bad_field",
            message: "userId, session, token, pid and offset are texts.".to_owned(),
        })?;
        let mut joiner = self.joiner.clone();
        if let Some(user) = said(credentials.user_id) {
            joiner.user = Some(UserName::new(&user).map_err(|error| bad_name("userId", error))?);
        }
        joiner.user = joiner.access.person(joiner.user).map_err(forbidden)?;
        if let Some(session) = said(credentials.session) {
            let session = Session::new(&session).map_err(|error| bad_name("session", error))?;
            joiner.session = Some(session);
        }
        match (&joiner.access, said(credentials.token)) {
            (Access::Awaited, None) => {
                return Err(Refused {
                    code: "unauthorized",
                    message: "Show a token: io(url, { auth: { token } }).".to_owned(),
                });
            }
            (_, token) => joiner.token = token.map(String::into_boxed_str),
        }
        let resuming = self.resume(&mut joiner, credentials.pid, credentials.offset);
        self.until = resuming.is_some().then(|| now.instant + RESUME_TIME);
        self.state = State::Entering(resuming);
        out.begin(joiner);
        Ok(())
    }

    /// Makes who comes back who it was: always in its session, which the keys of its messages belong to, and in its rooms where it says
    /// where it was there.
    fn resume(
        &self,
        joiner: &mut Joiner,
        pid: Option<String>,
        offset: Option<String>,
    ) -> Option<Resuming> {
        let pid = pid.filter(|_| self.recovers)?;
        joiner.session = Some(recovery::session_of(&pid)?);
        let offset = offset?;
        let positions = recovery::positions_of(&offset)?;
        let rooms: Vec<_> = positions
            .iter()
            .filter_map(|(log, _)| recovery::room_of(log))
            .collect();
        for room in &rooms {
            if !joiner.rooms.contains(room) {
                joiner.rooms.push(room.clone());
            }
        }
        joiner.since = Some(offset);
        Some(Resuming {
            pid,
            positions,
            rooms,
            is_whole: true,
        })
    }

    pub(super) fn entering(
        &mut self,
        event: &Event,
        resuming: Option<Resuming>,
        line: &mut Line,
        out: &mut Out,
    ) {
        if let Event::Error { code, message, .. } = event {
            return refuse_to_connect(code, message, line, out);
        }
        let Event::Welcome { session, user, .. } = event else {
            self.state = State::Entering(resuming);
            return;
        };
        (self.session, self.user) = (Some(session.clone()), Some(user.clone()));
        if let Some(resuming) = &resuming {
            // An offset names all that it follows, also before all of that has come.
            self.progress.go_on(&resuming.positions, &user.log());
        }
        match resuming {
            Some(resuming) if !resuming.rooms.is_empty() => {
                self.state = State::Resuming(resuming);
            }
            resuming => self.connected(resuming.as_ref(), line, out),
        }
        self.hear(event, line, out);
    }

    pub(super) fn resuming(
        &mut self,
        event: &Event,
        mut resuming: Resuming,
        line: &mut Line,
        out: &mut Out,
    ) {
        if let Event::Joined {
            room_id, recovered, ..
        } = event
        {
            resuming.rooms.retain(|room| room != room_id);
            resuming.is_whole &= *recovered;
        } else if let Event::Gap { .. } = event {
            resuming.is_whole = false;
        } else if let Event::Error { id: None, .. } = event {
            // A room that it may not join any more: which, it is told in a sentence.
            resuming.is_whole = false;
            resuming.rooms.clear();
        }
        let is_known = resuming.rooms.is_empty();
        if is_known {
            self.connected(Some(&resuming), line, out);
        } else {
            self.state = State::Resuming(resuming);
        }
        self.hear(event, line, out);
    }

    /// Answers CONNECT.
    pub(super) fn connected(
        &mut self,
        resuming: Option<&Resuming>,
        line: &mut Line,
        out: &mut Out,
    ) {
        self.state = State::In;
        self.until = None;
        let mut answer = json!({ "sid": self.life });
        if let Some(session) = self.session.as_ref().filter(|_| self.recovers) {
            let whole = resuming.filter(|resuming| resuming.is_whole);
            let pid = whole.map(|resuming| resuming.pid.clone());
            let pid = pid.unwrap_or_else(|| recovery::pid(session, &self.life));
            answer["pid"] = pid.into();
        }
        let head = head(Kind::Connect, 0, MAIN, None);
        line.send_text(format!("{head}{answer}"), out);
        self.look_for_broadcasts(out);
    }

    /// Where connections can be recovered, the offset is to tell where the broadcasts are, before the first comes.
    fn look_for_broadcasts(&mut self, out: &mut Out) {
        if !self.recovers || self.progress.knows(&LogName::broadcast()) {
            return;
        }
        let number = self.next_number();
        self.asked.insert(number, Asked::Broadcasts);
        let command = Command::History {
            room: BROADCAST_LOG.into(),
            since: None,
            before: None,
            limit: Some(1),
        };
        let id = Some(json_number(number));
        out.ask(Request { command, id }, 0);
    }
}

pub(super) fn refuse_to_connect(code: &str, message: &str, line: &mut Line, out: &mut Out) {
    let error = json!({ "message": message, "data": { "code": code } });
    let head = head(Kind::ConnectError, 0, MAIN, None);
    line.send_text(format!("{head}{error}"), out);
}

/// A field that was left empty says nothing.
fn said(field: Option<String>) -> Option<String> {
    field.filter(|text| !text.is_empty())
}

fn bad_name(field: &str, error: crate::ids::NameError) -> Refused {
    Refused {
        code: "bad_name",
        message: format!("\"{field}\" {error}."),
    }
}

fn forbidden(forbidden: crate::auth::Forbidden) -> Refused {
    Refused {
        code: "forbidden",
        message: forbidden.to_string(),
    }
}
