//! The chat over HTTP, where it is more than reading rooms: who comes with a session is one of the chat's connections, and
//! what a WebSocket says is a call.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::readers::{check_count_of_rooms, raw};
use super::rooms::{bad_name, fields, room};
use super::{Call, Problem, Response, Target};
use crate::chat::Joiner;
use crate::ids::{Arrival, BROADCAST_LOG, RoomName, Session, UserName};

/// Who is to chat, as `/sse` and `/poll` are asked; `None` without a session: who names none only reads.
pub(super) fn joiner(target: &Target) -> Result<Option<Joiner>, Problem> {
    // A form that was left empty says nothing.
    let said = |name| target.value(name).filter(|value| !value.is_empty());
    let Some(session) = said("session") else {
        return Ok(None);
    };
    let session = Session::new(session).map_err(|error| bad_name("\"session\"", error))?;
    let user = said("userId").map(UserName::new).transpose();
    let user = user.map_err(|error| bad_name("\"userId\"", error))?;
    let user = target.access.person(user)?;
    check_count_of_rooms(target)?;
    let mut rooms = Vec::new();
    // Everybody in the chat hears the broadcasts.
    for name in target.values("room").filter(|name| *name != BROADCAST_LOG) {
        let room = RoomName::new(name).map_err(|error| bad_name("\"room\"", error))?;
        if !rooms.contains(&room) {
            rooms.push(room);
        }
    }
    Ok(Some(Joiner {
        user,
        session: Some(session),
        rooms,
        since: target.value("since").map(str::to_owned),
        access: target.access.clone(),
        token: None,
        chooses: false,
        // Who carries the call out knows that.
        arrived: Arrival::default(),
    }))
}

/// `/api/rooms/{room}/typing`.
pub(super) fn typing(target: &Target, body: &[u8]) -> Result<Call, Problem> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow, default)]
        from: Option<Cow<'a, str>>,
    }
    let room = room(target)?;
    let Fields { from } = fields(body)?;
    let from = from.as_deref().map(UserName::new).transpose();
    let from = from.map_err(|error| bad_name("\"from\"", error))?;
    let nobody = || Problem::new(400, "missing_field", "Say who is typing, as \"from\".");
    let from = target.access.speaker(from)?.ok_or_else(nobody)?;
    Ok(Call::Typing(room, from))
}

/// The answer to a call that leads to nothing that could be shown.
pub(crate) fn done() -> Response {
    Response::empty(204)
}

/// The answer to [`Call::ChatPoll`]: JSON texts, and the positions behind them.
pub(crate) fn chat_polled(texts: &[String], position: &str) -> Response {
    #[derive(Serialize)]
    struct Polled<'a> {
        messages: Vec<&'a RawValue>,
        position: &'a str,
    }
    let messages = raw(texts);
    Response::value(200, &Polled { messages, position })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::HubConfig;

    fn asked(query: &[(&str, &str)]) -> Result<Option<Joiner>, &'static str> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let target = Target {
            name: String::new(),
            query: query.iter().map(pair).collect(),
            ..Target::default()
        };
        joiner(&target).map_err(|problem| problem.code)
    }

    #[test]
    fn who_names_a_session_chats() {
        assert_eq!(asked(&[("room", "a"), ("userId", "ada")]), Ok(None));
        assert_eq!(asked(&[("session", "")]), Ok(None));
        let rooms = [("room", "a"), ("room", "*"), ("room", "a"), ("room", "b")];
        let query = [&rooms[..], &[("session", "s"), ("userId", "")]].concat();
        let joiner = asked(&query).unwrap().unwrap();
        let names: Vec<&str> = joiner.rooms.iter().map(RoomName::as_str).collect();
        assert_eq!((names, joiner.user), (vec!["a", "b"], None));
        for (query, code) in [
            ([("session", "s"), ("room", "@ada")], "bad_name"),
            ([("session", "s"), ("room", "")], "bad_name"),
            ([("session", "s"), ("userId", "\n")], "bad_name"),
            ([("session", "\n"), ("userId", "ada")], "bad_name"),
        ] {
            assert_eq!(asked(&query), Err(code), "{query:?}");
        }
        let many = [&[("room", "a"); 129][..], &[("session", "s")]].concat();
        assert_eq!(asked(&many), Err("too_many_rooms"));
    }

    #[test]
    fn all_rooms_that_may_be_named_are_joined() {
        let max = HubConfig::default().rooms_per_connection_max;
        assert_eq!(
            max,
            super::super::readers::ROOMS_MAX,
            "a poll waits for them"
        );
    }

    #[test]
    fn who_names_a_place_in_each_room_goes_on() {
        for (since, goes_on) in [
            (None, false),
            (Some(""), false),
            (Some("00000001-7"), true),
            (Some("a:00000001-7"), false),
            (Some("a:00000001-7,b:"), false),
            (Some("a:00000001-7,b:00000001-0"), true),
        ] {
            let mut query = vec![("session", "s"), ("room", "a"), ("room", "b")];
            query.extend(since.map(|since| ("since", since)));
            let joiner = asked(&query).unwrap().unwrap();
            assert_eq!(joiner.goes_on(), goes_on, "{since:?}");
        }
    }

    #[test]
    fn who_is_typing_says_who_it_is() {
        let target = Target {
            name: "a".to_owned(),
            ..Target::default()
        };
        let Ok(Call::Typing(room, user)) = typing(&target, br#"{"from":"ada","x":1}"#) else {
            panic!()
        };
        assert_eq!((room.as_str(), user.as_str()), ("a", "ada"));
        for (body, code) in [
            ("", "bad_json"),
            ("[]", "bad_field"),
            ("{}", "missing_field"),
            (r#"{"from":1}"#, "bad_field"),
            (r#"{"from":""}"#, "bad_name"),
        ] {
            let problem = typing(&target, body.as_bytes()).unwrap_err();
            assert_eq!(problem.code, code, "{body}");
        }
    }
}
