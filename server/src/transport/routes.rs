//! Where each address leads: to a page, to an answer, or to a WebSocket.

use tidewire_protocol::handshake::server::{Request, Upgrade};

use super::api::{self, Call, JsonParser, Target};
use super::dialect::Protocol;
use super::http::Turn;
use super::response::{Response, overloaded};
use super::{assets, auth, cors, mqtt, query, socket_io};
use crate::auth::{Access, Forbidden, Right};
use crate::chat::Joiner;
use crate::ids::{NameError, RoomName, Session, UserName};
use crate::metrics::CONTENT_TYPE;

/// The relay's room when the address names none.
const DEFAULT_ROOM: &str = "default";

/// What is behind a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Every message comes back.
    Echo,
    /// Every message goes to the others in the room.
    Relay {
        room: RoomName,
        /// ... and to the sender, too.
        include_sender: bool,
    },
    /// The chat.
    Chat(Joiner),
    /// The chat as MQTT.
    Mqtt(Joiner),
    /// A session of Engine.IO.
    Engine(Box<socket_io::Entrance>),
}

/// What to do about a request.
#[derive(Debug)]
pub(super) enum Route<'h> {
    Respond(Response),
    Accept {
        upgrade: Upgrade<'h>,
        protocol: Option<&'static str>,
        endpoint: Endpoint,
        access: Access,
    },
    /// To be carried out and then answered.
    Call(Call),
    /// A JSON body is to be read first, and then parsed.
    Collect {
        bytes: u64,
        parse: JsonParser,
        target: Target,
    },
    /// To be carried out with a body that is passed on as it comes.
    Receive {
        bytes: u64,
        call: Call,
    },
}

/// Decides. An overloaded server answers everybody the same.
pub(super) fn route<'h>(request: &Request<'h>, overloaded: bool, turn: Turn<'_>) -> Route<'h> {
    let Ok((path, query)) = request.path_and_query() else {
        return Route::Respond(Response::malformed());
    };
    if api::is_api(path) {
        return api::route(request, path, query, turn, overloaded);
    }
    if socket_io::is_address(path, turn.config.protocols) {
        return socket_io::route(request, path, query, overloaded, turn);
    }
    if let Some(response) = refuse(request, overloaded) {
        return Route::Respond(response.closing());
    }
    let endpoint = match path {
        "/" if Upgrade::is_asked_by(request) => joiner(query).map(Endpoint::Chat),
        "/ws" | "/chat" => joiner(query).map(Endpoint::Chat),
        "/echo" => Ok(Endpoint::Echo),
        "/relay" => relay(query),
        "/mqtt" if turn.config.protocols.speaks(Protocol::Mqtt) => mqtt_client(query),
        _ => return Route::Respond(page(request, path, turn)),
    };
    let upgrade = match Upgrade::from_request(request) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return Route::Respond(Response::refusal(refusal)),
    };
    if !turn.config.cors.may_change(request, turn.config.is_tls) {
        return Route::Respond(Response::sentence(403, cors::REFUSED).closing());
    }
    let access = match auth::access(request, query, turn) {
        // A `hello` or a CONNECT may bring one.
        Err(auth::Unauthorized::NoToken)
            if matches!(endpoint, Ok(Endpoint::Chat(_) | Endpoint::Mqtt(_))) =>
        {
            Access::Awaited
        }
        Err(unauthorized) => return Route::Respond(unauthorized.response()),
        Ok(access) => access,
    };
    match endpoint.and_then(|endpoint| endpoint.permitted(&access)) {
        Ok(endpoint) => accept(upgrade, endpoint, access, turn),
        Err(refused) => Route::Respond(refused.response()),
    }
}

/// Takes a handshake, in the first subprotocol it asks for that is spoken there.
fn accept<'h>(
    upgrade: Upgrade<'h>,
    endpoint: Endpoint,
    access: Access,
    turn: Turn<'_>,
) -> Route<'h> {
    let supported: &[&str] = match &endpoint {
        Endpoint::Chat(_) => turn.config.protocols.of_the_chat(),
        Endpoint::Mqtt(_) => &[mqtt::PROTOCOL],
        Endpoint::Echo | Endpoint::Relay { .. } | Endpoint::Engine(_) => &[],
    };
    let protocol = upgrade.choose_protocol(supported);
    // Most clients give up a handshake that does not name the subprotocol, and say less about why.
    if matches!(endpoint, Endpoint::Mqtt(_)) && protocol.is_none() {
        let sentence = "This address speaks MQTT: ask for the subprotocol \"mqtt\".";
        return Route::Respond(Response::sentence(400, sentence).closing());
    }
    Route::Accept {
        protocol,
        upgrade,
        endpoint,
        access,
    }
}

/// Who comes, as whoever has this access.
fn admitted(mut joiner: Joiner, access: &Access) -> Result<Joiner, Refused> {
    joiner.user = access.person(joiner.user)?;
    joiner.access = access.clone();
    Ok(joiner)
}

/// Why an address leads to no WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    BadAddress(String),
    Forbidden(String),
}

impl Refused {
    fn not_utf8() -> Self {
        Self::BadAddress("The query is not UTF-8.".to_owned())
    }

    /// Why, in a sentence.
    pub(super) fn told(&self) -> &str {
        let (Self::BadAddress(sentence) | Self::Forbidden(sentence)) = self;
        sentence
    }

    fn response(self) -> Response {
        match self {
            Self::BadAddress(sentence) => Response::sentence(400, sentence),
            Self::Forbidden(sentence) => Response::sentence(403, sentence).closing(),
        }
    }
}

impl From<Forbidden> for Refused {
    fn from(forbidden: Forbidden) -> Self {
        Self::Forbidden(forbidden.to_string())
    }
}

impl Endpoint {
    /// The endpoint as whoever has this access may have it.
    fn permitted(self, access: &Access) -> Result<Self, Refused> {
        match self {
            // Who comes to a session was looked at where its address was.
            Self::Echo | Self::Engine(_) => Ok(self),
            // Nothing is kept there that could be read.
            Self::Relay { ref room, .. } => {
                access.allow(Right::Join, room.as_str())?;
                access.allow(Right::Publish, room.as_str())?;
                Ok(self)
            }
            // The hub looks at each room.
            Self::Chat(joiner) => admitted(joiner, access).map(Self::Chat),
            Self::Mqtt(joiner) => admitted(joiner, access).map(Self::Mqtt),
        }
    }
}

/// What no page is asked about: none takes a body, and an overloaded server answers nothing else.
fn refuse(request: &Request<'_>, is_overloaded: bool) -> Option<Response> {
    if is_overloaded {
        return Some(overloaded());
    }
    match request.body_bytes() {
        Ok(0) => None,
        Ok(_) => Some(Response::sentence(413, "This address takes no body.")),
        Err(_) => Some(Response::sentence(
            400,
            "The length of the body is not certain: give one Content-Length and no Transfer-Encoding.",
        )),
    }
}

fn page(request: &Request<'_>, path: &str, turn: Turn<'_>) -> Response {
    let response = match (assets::find(path), path) {
        (Some(asset), _) => Response::asset(asset),
        (None, "/health") => Response::json(turn.status.to_json()),
        (None, "/ready") => ready(turn),
        (None, "/metrics") if may_scrape(request) => {
            Response::text(CONTENT_TYPE, turn.status.to_metrics(turn.now))
        }
        // "If the requested service is not available, the server MUST send an appropriate HTTP error code" (RFC 6455
        // §4.2.2). [6455-4.2.2-5]
        (None, _) => return Response::sentence(404, "There is nothing at this address."),
    };
    match request.method {
        "GET" | "HEAD" => response,
        _ => Response::sentence(405, "This address is only read: use GET or HEAD.")
            .with_header("Allow", "GET, HEAD"),
    }
}

fn ready(turn: Turn<'_>) -> Response {
    let answer = turn.status.readiness(turn.now);
    Response::value(if answer.is_ready() { 200 } else { 503 }, &answer)
}

/// Whether the sender of a request may see the server's numbers: whoever may see `/health`, since they name nobody.
const fn may_scrape(_request: &Request<'_>) -> bool {
    true
}

/// `userId`, `session`, `room` (repeatable) and `since` of a chat address.
pub(super) fn joiner(query: &str) -> Result<Joiner, Refused> {
    let mut joiner = Joiner::default();
    for pair in query::pairs(query) {
        let (name, value) = pair.map_err(|query::NotUtf8| Refused::not_utf8())?;
        let named =
            |error: NameError| Refused::BadAddress(format!("\"{name}\" in the address {error}."));
        match name.as_ref() {
            // A form that was left empty says nothing; but an empty `since` means from the beginning.
            "userId" | "session" | "room" if value.is_empty() => {}
            "userId" => joiner.user = Some(UserName::new(&value).map_err(named)?),
            "session" => joiner.session = Some(Session::new(&value).map_err(named)?),
            "since" => joiner.since = Some(value.into_owned()),
            "room" => {
                let room = RoomName::new(&value).map_err(named)?;
                if !joiner.rooms.contains(&room) {
                    joiner.rooms.push(room);
                }
            }
            _ => {}
        }
    }
    Ok(joiner)
}

/// `userId` of an MQTT address; all else its CONNECT says.
fn mqtt_client(query: &str) -> Result<Endpoint, Refused> {
    let Joiner { user, .. } = joiner(query)?;
    let joiner = Joiner {
        user,
        ..Joiner::default()
    };
    Ok(Endpoint::Mqtt(joiner))
}

/// `room` and `self` of a relay address.
fn relay(query: &str) -> Result<Endpoint, Refused> {
    let (mut room, mut include_sender) = (DEFAULT_ROOM.to_owned(), false);
    for pair in query::pairs(query) {
        let (name, value) = pair.map_err(|query::NotUtf8| Refused::not_utf8())?;
        match name.as_ref() {
            "room" => room = value.into_owned(),
            "self" => include_sender = value == "true",
            _ => {}
        }
    }
    let room = RoomName::new(&room)
        .map_err(|error| Refused::BadAddress(format!("\"room\" in the address {error}.")))?;
    Ok(Endpoint::Relay {
        room,
        include_sender,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_address_says_who_and_where() {
        let Ok(joiner) = joiner("userId=J%C3%BCrgen&room=a&room=b&room=a&since=1-2&session=s&x=y")
        else {
            panic!()
        };
        assert_eq!(joiner.user.unwrap().as_str(), "Jürgen");
        assert_eq!(
            joiner
                .rooms
                .iter()
                .map(RoomName::as_str)
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(
            (
                joiner.since.unwrap().as_str(),
                joiner.session.unwrap().as_str()
            ),
            ("1-2", "s")
        );
    }

    #[test]
    fn what_is_left_empty_is_not_said() {
        assert_eq!(joiner("userId=&room=&session="), Ok(Joiner::default()));
    }

    #[test]
    fn a_bad_name_in_an_address_is_told() {
        let long = format!("userId={}", "x".repeat(129));
        let told = "\"userId\" in the address is longer than 128 bytes.";
        assert_eq!(joiner(&long), Err(Refused::BadAddress(told.to_owned())));
        let Err(Refused::BadAddress(told)) = joiner("room=%40bob") else {
            panic!()
        };
        assert!(told.starts_with("\"room\" "), "{told}");
        assert_eq!(joiner("userId=%ff"), Err(Refused::not_utf8()));
    }

    #[test]
    fn a_relay_address_has_a_default_room() {
        let relay_to = |name, include_sender| {
            Ok(Endpoint::Relay {
                room: RoomName::new(name).unwrap(),
                include_sender,
            })
        };
        assert_eq!(relay(""), relay_to("default", false));
        assert_eq!(relay("room=b&self=true"), relay_to("b", true));
    }
}
