//! Reading rooms over HTTP: Server-Sent Events (`/sse`), long-poll (`/poll`) and history.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tidewire_protocol::handshake::server::Request;

use super::rooms::{bad_name, room};
use super::{Call, Problem, Response, Target, chat};
use crate::auth::Access;
use crate::chat::{HISTORY_DEFAULT, HISTORY_MAX, as_followers_see_them, not_read, part_of};
use crate::ids::{BROADCAST_LOG, LogName, RoomName, UserName};
use crate::log::{Entry, Gap, Page, Part, Position, Positions, StoreError};

/// Rooms that one request follows, as one WebSocket connection.
pub(super) const ROOMS_MAX: usize = 128;

/// How long a poll waits that does not say.
pub(super) const POLL_SECONDS_DEFAULT: u64 = 30;

/// How long it waits at most.
pub(super) const POLL_SECONDS_MAX: u64 = 60;

/// When an `EventSource` is to come back, in milliseconds, after its stream has ended.
const RETRY_MILLIS: u32 = 2000;

/// Which rooms to read, and from where on.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// Each once, at least one.
    pub(crate) logs: Vec<LogName>,
    /// The client's position or positions.
    pub(crate) since: Option<String>,
    /// By what token.
    pub(crate) access: Access,
}

/// A part of a room's log.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) log: LogName,
    pub(crate) part: Part,
    pub(crate) limit: usize,
}

/// How far a reader has come in each room that it follows.
#[derive(Debug)]
pub(crate) struct Progress(Vec<(LogName, Option<Position>)>);

/// `/sse`: `Last-Event-ID` knows better than the address, which stays the same when an `EventSource` comes back.
pub(super) fn events(target: &Target, request: &Request<'_>) -> Result<Call, Problem> {
    if let Some(joiner) = chat::joiner(target)? {
        return Ok(Call::ChatEvents(joiner));
    }
    let mut subscription = Subscription::of(target)?;
    if let Ok(Some(last)) = request.single("last-event-id")
        && !last.is_empty()
    {
        subscription.since = Some(last.to_owned());
    }
    Ok(Call::Events(subscription))
}

/// `/poll`.
pub(super) fn poll(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    let seconds = match target.value("timeout") {
        None | Some("") => POLL_SECONDS_DEFAULT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| (1..=POLL_SECONDS_MAX).contains(seconds))
            .ok_or_else(|| bad_field("\"timeout\" is 1 to 60, in seconds."))?,
    };
    let time = Duration::from_secs(seconds);
    match chat::joiner(target)? {
        Some(joiner) => Ok(Call::ChatPoll(joiner, time)),
        None => Ok(Call::Poll(Subscription::of(target)?, time)),
    }
}

/// `/api/rooms/{room}/messages`.
pub(super) fn history(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    history_of(room(target)?.log(), target)
}

/// `/api/users/{user}/messages`: nobody else's.
pub(super) fn private_history(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    let user = UserName::new(&target.name).map_err(|error| bad_name("The user", error))?;
    let reader = target.value("userId").filter(|name| !name.is_empty());
    let reader = reader.map(UserName::new).transpose();
    let reader = reader.map_err(|error| bad_name("\"userId\"", error))?;
    let reader = target.access.person(reader)?;
    let call = history_of(user.log(), target)?;
    if reader.as_ref() != Some(&user) {
        let message = "These are the private messages of somebody else.";
        return Err(Problem::new(403, "forbidden", message));
    }
    Ok(call)
}

/// `/api/broadcast`.
pub(super) fn broadcasts(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    history_of(LogName::broadcast(), target)
}

fn history_of(log: LogName, target: &Target) -> Result<Call, Problem> {
    let (since, before) = (target.value("since"), target.value("before"));
    let part = part_of(since, before.filter(|before| !before.is_empty()))
        .map_err(|refused| Problem::new(400, refused.code, refused.message))?;
    let limit = match target.value("limit") {
        None | Some("") => HISTORY_DEFAULT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=HISTORY_MAX).contains(limit))
            .ok_or_else(|| bad_field("\"limit\" is 1 to 1000."))?,
    };
    let limit = limit as usize;
    Ok(Call::History(History { log, part, limit }))
}

fn bad_field(message: &str) -> Problem {
    Problem::new(400, "bad_field", message)
}

pub(super) fn check_count_of_rooms(target: &Target) -> Result<(), Problem> {
    // Also those that are named again: the limit is one that a client can count by itself.
    if target.values("room").count() > ROOMS_MAX {
        let message = format!("One request follows {ROOMS_MAX} rooms at most.");
        return Err(Problem::new(400, "too_many_rooms", message));
    }
    Ok(())
}

impl Subscription {
    fn of(target: &Target) -> Result<Self, Problem> {
        check_count_of_rooms(target)?;
        let mut logs = Vec::new();
        for name in target.values("room") {
            let log = if name == BROADCAST_LOG {
                LogName::broadcast()
            } else {
                let room = RoomName::new(name).map_err(|error| bad_name("\"room\"", error))?;
                room.log()
            };
            if !logs.contains(&log) {
                logs.push(log);
            }
        }
        if logs.is_empty() {
            let message = "Say which room: add ?room=NAME to the address.";
            return Err(Problem::new(400, "missing_field", message));
        }
        let since = target.value("since").map(str::to_owned);
        let access = target.access.clone();
        Ok(Self {
            logs,
            since,
            access,
        })
    }
}

impl Progress {
    /// Unknown in all of them.
    pub(crate) fn new(logs: Vec<LogName>) -> Self {
        Self(logs.into_iter().map(|log| (log, None)).collect())
    }

    /// The logs.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &LogName> {
        self.0.iter().map(|(log, _)| log)
    }

    /// There is one more, if it is not there already.
    pub(crate) fn add(&mut self, log: &LogName) {
        if !self.logs().any(|known| known == log) {
            self.0.push((log.clone(), None));
        }
    }

    /// In how many of them it is known.
    pub(crate) fn known(&self) -> usize {
        self.0.iter().filter(|(_, at)| at.is_some()).count()
    }

    /// Pairs of those where it is known, or where the client said it in `since`.
    pub(crate) fn pairs(&self, since: Option<&str>) -> String {
        let said = |log: &LogName| Positions::new(since?).of(log.as_str())?.parse().ok();
        let known = |(log, at): &'_ (LogName, Option<Position>)| {
            Some((log.clone(), at.or_else(|| said(log))?))
        };
        let known: Vec<(LogName, Position)> = self.0.iter().filter_map(known).collect();
        Positions::encode(known.iter().map(|(log, at)| (log.as_str(), *at)))
    }

    /// It has come so far.
    pub(crate) fn set(&mut self, log: &LogName, position: Position) {
        if let Some((_, at)) = self.0.iter_mut().find(|(name, _)| name == log) {
            *at = Some(position);
        }
    }

    /// The token for the client: of one room its position alone, of several their names, too. `None` before it is known in
    /// all of them: who came back with a part would miss what is in the others.
    pub(crate) fn token(&self) -> Option<String> {
        if let [(_, at)] = &self.0[..] {
            return at.map(|at| at.to_string());
        }
        let known = |(log, at): &'_ (LogName, Option<Position>)| Some((log.clone(), (*at)?));
        let known = self.0.iter().map(known).collect::<Option<Vec<_>>>()?;
        let pairs = known.iter().map(|(log, at)| (log.as_str(), *at));
        Some(Positions::encode(pairs))
    }
}

/// The head of an event stream, and what an `EventSource` is told first.
pub(crate) fn event_stream() -> Response {
    let first = format!("retry: {RETRY_MILLIS}\n\n");
    Response::event_stream("text/event-stream; charset=utf-8", first.into_bytes())
        .with_header("Cache-Control", "no-store")
        // nginx would keep events back until it has many.
        .with_header("X-Accel-Buffering", "no")
}

/// After how many milliseconds an `EventSource` is to come back, from now on.
pub(crate) fn server_sent_retry(millis: u64) -> Vec<u8> {
    format!("retry: {millis}\n\n").into_bytes()
}

/// One event: a JSON text, and the position behind it, if there is one.
pub(crate) fn server_sent_event(id: Option<&str>, text: &str) -> Vec<u8> {
    let mut event = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    // A JSON text may have line breaks between its values; each line is one of its own in an event.
    for line in text.split(['\n', '\r']) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event.into_bytes()
}

/// A position with nothing to show: it sets the last event's id, and no event is dispatched.
pub(crate) fn server_sent_position(id: &str) -> Vec<u8> {
    format!("id: {id}\n\n").into_bytes()
}

/// Messages as they are in answers; what is missing between them only where something is.
#[derive(Serialize)]
struct Messages<'a> {
    messages: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<&'a RawValue>,
    position: &'a str,
}

/// The answer to [`Call::Poll`]; both lists are JSON texts.
pub(crate) fn polled(messages: &[String], gaps: &[String], position: &str) -> Response {
    Response::value(
        200,
        &Messages {
            messages: raw(messages),
            gaps: raw(gaps),
            position,
        },
    )
}

pub(super) fn raw(texts: &[String]) -> Vec<&RawValue> {
    // They are JSON: we wrote them.
    let parse = |text| serde_json::from_str(text).ok();
    texts.iter().filter_map(|text| parse(text)).collect()
}

/// The answer to [`Call::History`].
pub(crate) fn history_page(part: Part, page: &Result<Page, StoreError>) -> Response {
    #[derive(Serialize)]
    struct Answer<'a> {
        #[serde(serialize_with = "as_followers_see_them")]
        messages: &'a [Arc<Entry>],
        position: Position,
        more: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        gap: Option<Missing>,
    }
    #[derive(Serialize)]
    struct Missing {
        from: Position,
        to: Position,
        reason: &'static str,
    }
    let missing = |gap: &Gap| Missing {
        from: gap.from,
        to: gap.to,
        reason: gap.reason.as_str(),
    };
    match page {
        Ok(page) => Response::value(
            200,
            &Answer {
                messages: &page.entries,
                position: page.next,
                more: part.has_more(page),
                gap: page.gap.as_ref().map(missing),
            },
        ),
        Err(error) => {
            let refused = not_read(error);
            Response::problem(500, refused.code, refused.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    fn target(query: &[(&str, &str)]) -> Target {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Target {
            name: "r".to_owned(),
            query: query.iter().map(pair).collect(),
            ..Target::default()
        }
    }

    #[test]
    fn rooms_are_named_once_and_not_those_of_users() {
        let rooms = [("room", "a"), ("room", "b"), ("room", "a"), ("room", "*")];
        let subscription = Subscription::of(&target(&rooms)).unwrap();
        let names: Vec<&str> = subscription.logs.iter().map(LogName::as_str).collect();
        assert_eq!(names, ["a", "b", "*"]);
        let refused = |query: &[(&str, &str)]| Subscription::of(&target(query)).unwrap_err().code;
        assert_eq!(refused(&[]), "missing_field");
        assert_eq!(refused(&[("room", "@bob")]), "bad_name");
        assert_eq!(refused(&[("room", "")]), "bad_name");
        let names: Vec<String> = (0..129).map(|number| number.to_string()).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| ("room", name.as_str())).collect();
        assert_eq!(refused(&many), "too_many_rooms");
        assert_eq!(refused(&[("room", "a"); 129]), "too_many_rooms");
        assert!(Subscription::of(&target(&many[..128])).is_ok());
    }

    #[test]
    fn the_token_of_one_room_is_its_position_and_that_of_several_names_them() {
        let position = Position {
            epoch: Epoch::new(1),
            offset: 7,
        };
        let log = |name| LogName::new(name).unwrap();
        let mut one = Progress::new(vec![log("a")]);
        assert_eq!(one.token(), None);
        one.set(&log("a"), position);
        assert_eq!(one.token().as_deref(), Some("00000001-7"));
        let mut two = Progress::new(vec![log("a"), log("b,")]);
        two.set(&log("b,"), position);
        assert_eq!(two.token(), None, "the other room would be missed");
        two.set(&log("a"), position);
        assert_eq!(two.token().as_deref(), Some("a:00000001-7,b%2C:00000001-7"));
    }

    #[test]
    fn an_event_has_a_line_for_each_line_of_its_text() {
        let text = String::from_utf8(server_sent_event(Some("1-2"), "{\n\"a\":\r1}")).unwrap();
        assert_eq!(text, "id: 1-2\ndata: {\ndata: \"a\":\ndata: 1}\n\n");
    }
}
