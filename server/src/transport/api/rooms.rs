//! `/api/rooms`: who is where, and what is said there.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tidewire_protocol::handshake::server::Request;

use super::{Call, Problem, Response, Target};
use crate::chat::{check_seq, not_kept};
use crate::ids::{LogName, NameError, RoomName, Session, UserName};
use crate::log::{AppendError, Epoch, Placed};

/// Something to be appended to a room's log.
#[derive(Debug)]
pub(crate) struct Publish {
    /// A room's, a user's or the broadcast's.
    pub(crate) log: LogName,
    /// Who says it; the server names somebody if nobody is named.
    pub(crate) from: Option<UserName>,
    pub(crate) session: Option<Session>,
    pub(crate) seq: Option<Box<RawValue>>,
    pub(crate) content: Box<RawValue>,
}

pub(super) fn list(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    Ok(Call::Rooms(target.access.clone()))
}

pub(super) fn presence(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    room(target).map(Call::Presence)
}

/// The body of a publication; what else it has is ignored.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(default, deserialize_with = "even_null")]
    content: Option<Box<RawValue>>,
    #[serde(borrow, default)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    session: Option<Cow<'a, str>>,
    #[serde(default)]
    seq: Option<Box<RawValue>>,
}

/// `null` is a content like any other, not an absent one.
fn even_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

pub(super) fn publish(target: &Target, body: &[u8]) -> Result<Call, Problem> {
    publish_into(room(target)?.log(), target, body)
}

pub(super) fn publish_to_user(target: &Target, body: &[u8]) -> Result<Call, Problem> {
    let user = UserName::new(&target.name).map_err(|error| bad_name("The user", error))?;
    publish_into(user.log(), target, body)
}

pub(super) fn broadcast(target: &Target, body: &[u8]) -> Result<Call, Problem> {
    publish_into(LogName::broadcast(), target, body)
}

fn publish_into(log: LogName, target: &Target, body: &[u8]) -> Result<Call, Problem> {
    let fields: Fields<'_> = fields(body)?;
    let content = fields
        .content
        .ok_or_else(|| Problem::new(400, "missing_field", "A message needs \"content\"."))?;
    check_seq(fields.seq.as_deref())
        .map_err(|refused| Problem::new(400, refused.code, refused.message))?;
    let from = fields.from.as_deref().map(UserName::new).transpose();
    let session = fields.session.as_deref().map(Session::new).transpose();
    let from = from.map_err(|error| bad_name("\"from\"", error))?;
    Ok(Call::Publish(Publish {
        log,
        from: target.access.speaker(from)?,
        session: session.map_err(|error| bad_name("\"session\"", error))?,
        seq: fields.seq,
        content,
    }))
}

/// Reads the fields of a body, which is an object.
pub(super) fn fields<'a, F: Deserialize<'a>>(body: &'a [u8]) -> Result<F, Problem> {
    let fields = serde_json::from_slice(body).map_err(|error| {
        let code = if error.is_data() {
            "bad_field"
        } else {
            "bad_json"
        };
        // It quotes a string that stands where none belongs, however long.
        let shown: String = error.to_string().chars().take(100).collect();
        let message = format!("The body is not a JSON object with the right fields: {shown}.");
        Problem::new(400, code, message)
    })?;
    // serde would take an array for an object without its names.
    if body.trim_ascii_start().starts_with(b"{") {
        Ok(fields)
    } else {
        let message = "The body is not a JSON object.";
        Err(Problem::new(400, "bad_field", message))
    }
}

pub(super) fn room(target: &Target) -> Result<RoomName, Problem> {
    RoomName::new(&target.name).map_err(|error| bad_name("The room", error))
}

pub(super) fn bad_name(what: &str, error: NameError) -> Problem {
    Problem::new(400, "bad_name", format!("{what} {error}."))
}

/// The answer to [`Call::Rooms`]: names and numbers of users.
pub(crate) fn rooms<'a>(rooms: impl IntoIterator<Item = (&'a str, usize)>) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Room<'a> {
        room_id: &'a str,
        members: usize,
    }
    let rooms = rooms.into_iter();
    let rooms: Vec<_> = rooms
        .map(|(room_id, members)| Room { room_id, members })
        .collect();
    Response::value(200, &serde_json::json!({ "rooms": rooms }))
}

/// The answer to [`Call::Publish`]: the place of the message, or of the first one with its key.
pub(crate) fn published(log: &LogName, result: &Result<Placed, AppendError>) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Published<'a> {
        room_id: &'a str,
        offset: u64,
        epoch: Epoch,
        dup: bool,
    }
    match result {
        Ok(placed) => Response::value(
            200,
            &Published {
                room_id: log.as_str(),
                offset: placed.position().offset,
                epoch: placed.position().epoch,
                dup: matches!(placed, Placed::Duplicate { .. }),
            },
        ),
        Err(error) => {
            let refused = not_kept(error);
            let status = match refused.code {
                "storage_full" => 507,
                "unavailable" => 503,
                _ => 500,
            };
            Response::problem(status, refused.code, refused.message)
        }
    }
}

/// The answer to [`Call::Presence`].
pub(crate) fn members(room: &RoomName, members: &[&str]) -> Response {
    let answer = serde_json::json!({"roomId": room.as_str(), "members": members});
    Response::value(200, &answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Publish, &'static str> {
        let target = Target {
            name: "room".to_owned(),
            ..Target::default()
        };
        match publish(&target, body.as_bytes()) {
            Ok(Call::Publish(publish)) => Ok(publish),
            Ok(call) => panic!("{call:?}"),
            Err(problem) => Err(problem.code),
        }
    }

    #[test]
    fn content_keeps_its_bytes() {
        let body = r#"{"content": { "n" : 1.0e5 } ,"from":"\u00e4","session":"s","seq":"7","x":1}"#;
        let publish = parse(body).unwrap();
        assert_eq!(publish.content.get(), r#"{ "n" : 1.0e5 }"#);
        assert_eq!(publish.seq.unwrap().get(), "\"7\"");
        assert_eq!(publish.from.unwrap().as_str(), "ä");
        assert_eq!(publish.session.unwrap().as_str(), "s");
        assert_eq!(publish.log.as_str(), "room");
        let bare = parse(r#"{"content":null}"#).unwrap();
        assert_eq!(bare.content.get(), "null");
        assert!(bare.from.is_none() && bare.session.is_none() && bare.seq.is_none());
    }

    #[test]
    fn what_is_no_message_is_told_by_a_code() {
        let long = format!(r#"{{"content":1,"seq":"{}"}}"#, "x".repeat(129));
        for (body, code) in [
            ("", "bad_json"),
            ("{", "bad_json"),
            ("{\"content\":1}x", "bad_json"),
            ("[1]", "bad_field"),
            ("{}", "missing_field"),
            (r#"{"content":1,"from":2}"#, "bad_field"),
            (r#"{"content":1,"from":""}"#, "bad_name"),
            (r#"{"content":1,"session":"\n"}"#, "bad_name"),
            (r#"{"content":1,"seq":[]}"#, "bad_field"),
            (&long, "bad_field"),
        ] {
            assert_eq!(parse(body).err(), Some(code), "{body}");
        }
        let target = Target {
            name: "@bob".to_owned(),
            ..Target::default()
        };
        assert_eq!(publish(&target, b"{}").unwrap_err().code, "bad_name");
    }
}
