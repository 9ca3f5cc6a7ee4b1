//! What an address asks for: `/socket.io/?EIO=4&transport=polling&sid=…` and its like, and how a request is refused, in the form that
//! Engine.IO has for it: `{"code":…,"message":…}`.

use serde_json::json;
use tidewire_protocol::handshake::server::{Request, Upgrade};

use super::Settings;
use crate::auth::Access;
use crate::chat::Joiner;
use crate::transport::api::{Call, Problem, Target, body_bytes};
use crate::transport::dialect::{Answer, Knock, Protocol, Protocols, Refusal, Sid};
use crate::transport::http::Turn;
use crate::transport::response::{Response, overloaded};
use crate::transport::routes::{Endpoint, Route, joiner};
use crate::transport::{auth, cors, query};

/// What every address takes.
const METHODS: &str = "GET, POST, OPTIONS";

/// Where somebody comes in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entrance {
    /// What for.
    pub(crate) purpose: Purpose,
    /// The session that is to be taken over; a new one without.
    pub(crate) sid: Option<Sid>,
}

/// What a session is to be for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The chat.
    Chat(Joiner),
    /// The suite of Engine.IO.
    EngineEcho,
    /// The suite of Socket.IO.
    SocketEcho,
}

impl Purpose {
    /// What a session for it goes by.
    pub(crate) const fn settings(&self, settings: Settings) -> Settings {
        match self {
            Self::Chat(_) => settings,
            Self::EngineEcho | Self::SocketEcho => settings.for_echoes(),
        }
    }

    /// By what token it is asked for.
    pub(crate) const fn access(&self) -> &Access {
        match self {
            Self::Chat(joiner) => &joiner.access,
            Self::EngineEcho | Self::SocketEcho => &Access::Open,
        }
    }
}

/// What is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Chat,
    EngineEcho,
    SocketEcho,
}

fn place(path: &str, protocols: Protocols) -> Option<Place> {
    let echoes = protocols.speaks(Protocol::Conformance);
    match path {
        "/engine.io" | "/engine.io/" if echoes => Some(Place::EngineEcho),
        "/socket.io" | "/socket.io/" if echoes => Some(Place::SocketEcho),
        "/socket.io" | "/socket.io/" if protocols.speaks(Protocol::SocketIo) => Some(Place::Chat),
        _ => None,
    }
}

/// Whether something is there.
pub(in crate::transport) fn is_address(path: &str, protocols: Protocols) -> bool {
    place(path, protocols).is_some()
}

/// What the query says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    version: String,
    transport: String,
    sid: Option<String>,
    /// For pages of twenty years ago: a script is asked for.
    is_jsonp: bool,
}

impl Asked {
    fn read(query: &str) -> Result<Self, Refusal> {
        let mut asked = Self::default();
        for pair in query::pairs(query) {
            let not_utf8 = |query::NotUtf8| Refusal::BadRequest("The query is not UTF-8.");
            let (name, value) = pair.map_err(not_utf8)?;
            match name.as_ref() {
                "EIO" => asked.version = value.into_owned(),
                "transport" => asked.transport = value.into_owned(),
                "sid" => asked.sid = Some(value.into_owned()),
                "j" => asked.is_jsonp = true,
                _ => {}
            }
        }
        Ok(asked)
    }
}

/// What a request to one of the addresses leads to.
pub(in crate::transport) fn route<'h>(
    request: &Request<'h>,
    path: &str,
    query: &str,
    is_overloaded: bool,
    turn: Turn<'_>,
) -> Route<'h> {
    if is_overloaded {
        return Route::Respond(overloaded().closing());
    }
    if request.method == "OPTIONS" {
        return Route::Respond(cors::options(request, METHODS.to_owned()));
    }
    let Some(place) = place(path, turn.config.protocols) else {
        return Route::Respond(refused(Refusal::BadRequest("There is nothing here.")));
    };
    find(request, query, place, turn).unwrap_or_else(Route::Respond)
}

fn find<'h>(
    request: &Request<'h>,
    query: &str,
    place: Place,
    turn: Turn<'_>,
) -> Result<Route<'h>, Response> {
    // Also for a poll: who follows may be a member for others to see.
    if !turn.config.cors.may_change(request, turn.config.is_tls) {
        return Err(refused(Refusal::Forbidden).closing());
    }
    let asked = Asked::read(query).map_err(refused)?;
    check(&asked)?;
    let sid = match &asked.sid {
        None => None,
        Some(sid) => Some(Sid::parse(sid).ok_or_else(|| refused(Refusal::UnknownSession))?),
    };
    let is_upgrade = Upgrade::is_asked_by(request);
    match (asked.transport.as_str(), sid) {
        ("websocket", sid) => {
            if !is_upgrade {
                let why = "The transport is websocket, and the request is no handshake of one.";
                return Err(refused(Refusal::BadRequest(why)));
            }
            let upgrade = Upgrade::from_request(request);
            let upgrade = upgrade.map_err(Response::refusal)?;
            let purpose = purpose(request, query, place, turn)?;
            Ok(Route::Accept {
                upgrade,
                protocol: None,
                access: purpose.access().clone(),
                endpoint: Endpoint::Engine(Box::new(Entrance { purpose, sid })),
            })
        }
        _ if is_upgrade => {
            let why = "The transport is polling, and the request a handshake of a WebSocket.";
            Err(refused(Refusal::BadRequest(why)).closing())
        }
        (_, Some(sid)) => knock(request, sid, place, turn),
        (_, None) if request.method != "GET" => Err(refused(Refusal::BadHandshakeMethod).closing()),
        (_, None) => {
            no_body(request)?;
            let purpose = purpose(request, query, place, turn)?;
            let entrance = Entrance { purpose, sid: None };
            Ok(Route::Call(Call::Open(Box::new(entrance))))
        }
    }
}

fn check(asked: &Asked) -> Result<(), Response> {
    if asked.is_jsonp {
        let why = "Polling by scripts (JSONP) is not spoken here: allow the page's origin instead.";
        return Err(refused(Refusal::BadRequest(why)));
    }
    if asked.version != "4" {
        return Err(refused(Refusal::UnsupportedVersion));
    }
    if !matches!(asked.transport.as_str(), "polling" | "websocket") {
        return Err(refused(Refusal::UnknownTransport));
    }
    Ok(())
}

/// A request of a session that is polled.
fn knock<'h>(
    request: &Request<'h>,
    sid: Sid,
    place: Place,
    turn: Turn<'_>,
) -> Result<Route<'h>, Response> {
    match request.method {
        "GET" => {
            no_body(request)?;
            Ok(Route::Call(Call::Knock(sid, Knock::Poll)))
        }
        "POST" => {
            let settings = turn.config.socket_io;
            let settings = match place {
                Place::Chat => settings,
                Place::EngineEcho | Place::SocketEcho => settings.for_echoes(),
            };
            let bytes = body_bytes(request, settings.payload_bytes_max);
            let target = Target {
                name: sid.to_string(),
                query: Vec::new(),
                // Its name is what it is known by.
                access: Access::Open,
            };
            Ok(Route::Collect {
                bytes: bytes.map_err(|problem| problem_with_body(&problem))?,
                parse: post,
                target,
            })
        }
        _ => Err(refused(Refusal::BadRequest("This address takes GET and POST.")).closing()),
    }
}

/// A payload: what is in it is the session's business.
fn post(target: &Target, body: &[u8]) -> Result<Call, Problem> {
    let sid = Sid::parse(&target.name);
    let unknown = || Problem::new(400, "unknown_session", "Session ID unknown");
    Ok(Call::Knock(
        sid.ok_or_else(unknown)?,
        Knock::Post(body.to_vec()),
    ))
}

/// What a new session is for, and who comes.
fn purpose(
    request: &Request<'_>,
    query: &str,
    place: Place,
    turn: Turn<'_>,
) -> Result<Purpose, Response> {
    match place {
        Place::EngineEcho => return Ok(Purpose::EngineEcho),
        Place::SocketEcho => return Ok(Purpose::SocketEcho),
        Place::Chat => {}
    }
    let access = match auth::access(request, query, turn) {
        // It may be shown in what the client connects to the namespace with.
        Err(auth::Unauthorized::NoToken) => Access::Awaited,
        Err(unauthorized @ auth::Unauthorized::Bad(_)) => return Err(unauthorized.response()),
        Ok(access) => access,
    };
    let bad = |why: String| answer(400, 3, &why);
    let mut joiner = joiner(query).map_err(|refused| bad(refused.told().to_owned()))?;
    let person = access.person(joiner.user);
    joiner.user = person.map_err(|forbidden| answer(403, 4, &forbidden.to_string()))?;
    joiner.access = access;
    Ok(Purpose::Chat(joiner))
}

fn no_body(request: &Request<'_>) -> Result<(), Response> {
    match request.body_bytes() {
        Ok(0) => Ok(()),
        Ok(_) | Err(_) => Err(refused(Refusal::BadRequest("A GET has no body here.")).closing()),
    }
}

fn problem_with_body(problem: &Problem) -> Response {
    // What follows is not to be read as a request.
    answer(problem.status, 3, &problem.message).closing()
}

// ---- answers ----

/// What a request is answered.
pub(crate) fn response(answer: &Answer) -> Response {
    match answer {
        Answer::Payload(payload) => plain(payload),
        Answer::Taken => plain("ok"),
        Answer::Refused(refusal) => refused(*refusal),
    }
}

fn plain(text: &str) -> Response {
    Response::text("text/plain; charset=UTF-8", text.to_owned())
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::UnknownTransport => answer(400, 0, "Transport unknown"),
        Refusal::UnknownSession => answer(400, 1, "Session ID unknown"),
        Refusal::BadHandshakeMethod => answer(400, 2, "Bad handshake method"),
        Refusal::BadRequest(why) => answer(400, 3, why),
        Refusal::Forbidden => answer(403, 4, cors::REFUSED),
        Refusal::UnsupportedVersion => answer(400, 5, "Unsupported protocol version"),
    }
}

fn answer(status: u16, code: u8, message: &str) -> Response {
    Response::value(status, &json!({ "code": code, "message": message }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_there_where_they_are_spoken() {
        let of = |protocols: &[Protocol]| protocols.iter().copied().collect::<Protocols>();
        let chat = of(&[Protocol::SocketIo]);
        assert_eq!(place("/socket.io/", chat), Some(Place::Chat));
        assert_eq!(place("/socket.io", chat), Some(Place::Chat));
        assert_eq!(place("/engine.io/", chat), None);
        assert_eq!(place("/socket.io/x", chat), None);
        assert!(!is_address("/socket.io/", of(&[Protocol::Protobuf])));
        let echoes = of(&[Protocol::SocketIo, Protocol::Conformance]);
        assert_eq!(place("/socket.io/", echoes), Some(Place::SocketEcho));
        assert_eq!(place("/engine.io/", echoes), Some(Place::EngineEcho));
    }

    #[test]
    fn what_is_not_spoken_is_refused_by_its_number() {
        let code = |query: &str| {
            let asked = Asked::read(query).unwrap();
            let response = check(&asked).err()?;
            Some(response.status())
        };
        assert_eq!(code("EIO=4&transport=polling&t=abc&x=y"), None);
        assert_eq!(code("EIO=4&transport=websocket&sid=x"), None);
        for query in [
            "",
            "EIO=3&transport=polling",
            "EIO=abc&transport=polling",
            "transport=polling",
            "EIO=4",
            "EIO=4&transport=webtransport",
            "EIO=4&transport=polling&j=0",
        ] {
            assert_eq!(code(query), Some(400), "{query}");
        }
        assert!(Asked::read("EIO=%ff").is_err());
    }
}
