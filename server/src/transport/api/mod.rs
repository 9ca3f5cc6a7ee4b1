//! The addresses of the API: which there are, what each takes, and what a request to one asks for.
//!
//! A request becomes a [`Call`], whose parameters are checked; the worker carries it out and answers it, at once or later.
//! A new one is a variant of `Call`, a function that reads it from a [`Target`], a row in [`RESOURCES`], and an arm in the
//! worker.

pub(crate) mod admin;
mod capture;
mod chat;
mod files;
mod found;
mod openapi;
mod permit;
mod readers;
mod rooms;

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tidewire_protocol::handshake::server::Request;

pub(crate) use admin::{Operation, Subject};
pub(crate) use capture::{CaptureRequest, capture_stream};
pub(crate) use chat::{chat_polled, done};
pub(crate) use files::{Download, Upload, file_problem, uploaded};
pub(crate) use found::{Found, WHY_MAX, of_connections, of_users};
pub(crate) use readers::{
    History, Progress, Subscription, event_stream, history_page, polled, server_sent_event,
    server_sent_position, server_sent_retry,
};
pub(crate) use rooms::{Publish, members, published, rooms};

use super::auth;
use super::cors;
use super::dialect::{Knock, Sid};
use super::http::{HttpConfig, Turn};
use super::query;
use super::response::{OVERLOADED, Response};
use super::routes::Route;
use super::socket_io;
use crate::auth::Access;
use crate::chat::Joiner;
use crate::ids::{RoomName, UserName};

/// The largest JSON body: a message of 64 KiB, as over WebSocket, and what is around it.
const JSON_BYTES_MAX: u64 = (64 << 10) + (1 << 10);

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Call {
    /// The rooms that somebody is in, as far as who asks may know of them.
    Rooms(Access),
    /// Who is in a room.
    Presence(RoomName),
    /// Append to a log.
    Publish(Publish),
    /// Read a part of a log.
    History(History),
    /// Follow rooms in an event stream.
    Events(Subscription),
    /// Wait for something in rooms, but not longer than this.
    Poll(Subscription, Duration),
    /// Chat, and get what there is to hear in an event stream.
    ChatEvents(Joiner),
    /// Chat, and wait for something to hear, but not longer than this.
    ChatPoll(Joiner, Duration),
    /// Capture what passes over connections.
    Capture(Box<CaptureRequest>),
    /// Tell the others in a room that this user is typing.
    Typing(RoomName, UserName),
    /// Something that only an operator may ask for.
    Operate(Operation),
    /// Keep a file, whose bytes follow.
    Upload(Upload),
    /// Send a file, or a part of it.
    Download(Download),
    /// Begin a session that is polled.
    Open(Box<socket_io::Entrance>),
    /// Want something of one.
    Knock(Sid, Knock),
}

/// Why a request asks for nothing that can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: u16,
    /// A stable word.
    pub(super) code: &'static str,
    /// A sentence.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn into_response(self) -> Response {
        let response = Response::problem(self.status, self.code, self.message);
        match self.status {
            // Who left the length out may have meant a body all the same: what follows is not to be read as a request.
            411 => response.closing(),
            _ => response,
        }
    }
}

/// What an address says, decoded; it outlives the head, for a body that comes later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// What stands where the resource has `{}`.
    pub(super) name: String,
    /// The pairs of the query, without its token.
    pub(super) query: Vec<(String, String)>,
    /// On what ground it is asked for.
    pub(super) access: Access,
}

impl Target {
    /// The first value of this name in the query.
    fn value(&self, name: &'static str) -> Option<&str> {
        self.values(name).next()
    }

    fn values(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let pairs = self.query.iter();
        pairs
            .filter(move |pair| pair.0 == name)
            .map(|pair| pair.1.as_str())
    }
}

/// Reads a call from an address and a JSON body.
pub(super) type JsonParser = fn(&Target, &[u8]) -> Result<Call, Problem>;

/// The call that an address and its body ask for, if who asks may make it.
pub(super) fn call_from_body(
    parse: JsonParser,
    target: &Target,
    body: &[u8],
) -> Result<Call, Problem> {
    permit::permit(parse(target, body)?, &target.access)
}

/// What a method of a resource takes.
enum Take {
    /// No body, and the answer is always the same.
    Known(fn() -> Response),
    /// No body.
    Nothing(fn(&Target, &Request<'_>) -> Result<Call, Problem>),
    /// A JSON body of at most [`JSON_BYTES_MAX`] bytes, which is read before the call is.
    Json(JsonParser),
    /// A body of so many bytes, and at most [`HttpConfig::file_bytes_max`], which follows the call piece by piece.
    Stream(fn(&Target, &Request<'_>, u64) -> Result<Call, Problem>),
}

struct Resource {
    /// `{}` stands for one segment.
    path: &'static str,
    /// GET answers HEAD, too.
    methods: &'static [(&'static str, Take)],
}

const RESOURCES: &[Resource] = &[
    Resource {
        path: "/api/rooms",
        methods: &[("GET", Take::Nothing(rooms::list))],
    },
    Resource {
        path: "/api/rooms/{}/presence",
        methods: &[("GET", Take::Nothing(rooms::presence))],
    },
    Resource {
        path: "/api/rooms/{}/messages",
        methods: &[
            ("GET", Take::Nothing(readers::history)),
            ("POST", Take::Json(rooms::publish)),
        ],
    },
    Resource {
        path: "/api/rooms/{}/typing",
        methods: &[("POST", Take::Json(chat::typing))],
    },
    Resource {
        path: "/api/users/{}/messages",
        methods: &[
            ("GET", Take::Nothing(readers::private_history)),
            ("POST", Take::Json(rooms::publish_to_user)),
        ],
    },
    Resource {
        path: "/api/broadcast",
        methods: &[
            ("GET", Take::Nothing(readers::broadcasts)),
            ("POST", Take::Json(rooms::broadcast)),
        ],
    },
    Resource {
        path: "/sse",
        methods: &[("GET", Take::Nothing(readers::events))],
    },
    Resource {
        path: "/poll",
        methods: &[("GET", Take::Nothing(readers::poll))],
    },
    Resource {
        path: "/api/files",
        methods: &[("POST", Take::Stream(files::upload))],
    },
    Resource {
        path: "/files/{}",
        methods: &[("GET", Take::Nothing(files::download))],
    },
    Resource {
        path: "/api/admin/why",
        methods: &[("GET", Take::Nothing(admin::why))],
    },
    Resource {
        path: "/api/admin/overview",
        methods: &[("GET", Take::Nothing(admin::overview))],
    },
    Resource {
        path: "/api/admin/connections",
        methods: &[("GET", Take::Nothing(admin::list_connections))],
    },
    Resource {
        path: "/api/admin/rooms",
        methods: &[("GET", Take::Nothing(admin::list_rooms))],
    },
    Resource {
        path: "/api/admin/users",
        methods: &[("GET", Take::Nothing(admin::list_users))],
    },
    Resource {
        path: "/api/admin/users/{}/disconnect",
        methods: &[("POST", Take::Nothing(admin::disconnect))],
    },
    Resource {
        path: "/api/admin/drain",
        methods: &[("POST", Take::Nothing(admin::drain))],
    },
    Resource {
        path: "/api/admin/capture",
        methods: &[("GET", Take::Nothing(capture::capture))],
    },
    Resource {
        path: "/api/openapi.json",
        methods: &[("GET", Take::Known(openapi::description))],
    },
];

/// What is there for everybody: a file for who knows its address, which nobody guesses; and what the API is like.
const OPEN: &[&str] = &["/files/{}", "/api/openapi.json"];

/// What a page of another origin may not even ask for: it would be seen doing that.
const FOLLOWING: &[&str] = &["/sse", "/poll"];

/// Trees of addresses that answer in JSON, errors included, and that pages of other origins may be allowed to use.
const TREES: &[&str] = &["/api", "/files", "/sse", "/poll"];

/// Whether the path is in one of the API's trees, something there or not.
pub(super) fn is_api(path: &str) -> bool {
    TREES.iter().any(|tree| {
        path.strip_prefix(tree)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// What a request to one of the API's trees leads to.
pub(super) fn route(
    request: &Request<'_>,
    path: &str,
    query: &str,
    turn: Turn<'_>,
    overloaded: bool,
) -> Route<'static> {
    if overloaded {
        let response = Response::problem(503, "overloaded", OVERLOADED);
        return Route::Respond(response.closing());
    }
    find(request, path, query, turn).unwrap_or_else(Route::Respond)
}

fn find(
    request: &Request<'_>,
    path: &str,
    query: &str,
    turn: Turn<'_>,
) -> Result<Route<'static>, Response> {
    let config = turn.config;
    // With tokens, one says who operates the server.
    if admin::is_operators(path) && config.keys.is_none() {
        admin::may_operate(request, turn.peer).map_err(Problem::into_response)?;
    }
    let found = RESOURCES
        .iter()
        .find_map(|resource| Some((resource, parameter(resource.path, path)?)));
    let Some((resource, parameter)) = found else {
        let nothing = Problem::new(404, "not_found", "There is nothing at this address.");
        return Err(nothing.into_response());
    };
    if request.method == "OPTIONS" {
        return Err(cors::options(request, resource.allow()));
    }
    let method = match request.method {
        "HEAD" => "GET",
        method => method,
    };
    let Some((_, take)) = resource.methods.iter().find(|(name, _)| *name == method) else {
        let message = format!("This address takes {}.", resource.allow());
        return Err(Response::problem(405, "method_not_allowed", message)
            .with_header("Allow", resource.allow()));
    };
    // Who follows rooms may be a member of them for others to see.
    let changes = method != "GET" || FOLLOWING.contains(&resource.path);
    if changes && !config.cors.may_change(request, config.is_tls) {
        return Err(Response::problem(403, "origin_not_allowed", cors::REFUSED));
    }
    let access = if OPEN.contains(&resource.path) {
        Access::Open
    } else {
        auth::access(request, query, turn).map_err(auth::Unauthorized::problem)?
    };
    target(parameter, query, access)
        .and_then(|target| take.read(target, request, config))
        .map_err(Problem::into_response)
}

impl Resource {
    /// The value of Allow.
    fn allow(&self) -> String {
        let mut names = Vec::new();
        for (name, _) in self.methods {
            names.push(*name);
            if *name == "GET" {
                names.push("HEAD");
            }
        }
        names.push("OPTIONS");
        names.join(", ")
    }
}

impl Take {
    fn read(
        &self,
        target: Target,
        request: &Request<'_>,
        config: &HttpConfig,
    ) -> Result<Route<'static>, Problem> {
        match self {
            Self::Known(answer) => {
                no_body(request)?;
                Ok(Route::Respond(answer()))
            }
            Self::Nothing(read) => {
                no_body(request)?;
                let call = read(&target, request)?;
                permit::permit(call, &target.access).map(Route::Call)
            }
            Self::Json(parse) => Ok(Route::Collect {
                bytes: body_bytes(request, JSON_BYTES_MAX)?,
                parse: *parse,
                target,
            }),
            Self::Stream(read) => {
                let bytes = body_bytes(request, config.file_bytes_max)?;
                let call = permit::permit(read(&target, request, bytes)?, &target.access)?;
                Ok(Route::Receive { bytes, call })
            }
        }
    }
}

/// The segment that stands where `pattern` has `{}`, and nothing where it has none; `None` if the path is another.
fn parameter<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let (before, behind) = pattern.split_once("{}").unwrap_or((pattern, ""));
    let segment = path.strip_prefix(before)?.strip_suffix(behind)?;
    let fits = if pattern.contains("{}") {
        !segment.is_empty() && !segment.contains('/')
    } else {
        segment.is_empty()
    };
    fits.then_some(segment)
}

/// Decodes; in a path `+` is a plus sign.
fn target(parameter: &str, query: &str, access: Access) -> Result<Target, Problem> {
    let not_utf8 = || Problem::new(400, "bad_address", "The address is not UTF-8.");
    let name = percent_decode_str(parameter)
        .decode_utf8()
        .map_err(|_| not_utf8())?;
    let is_token =
        |pair: &Result<(Cow<'_, str>, _), _>| matches!(pair, Ok((name, _)) if name == "token");
    let pairs = query::pairs(query)
        .filter(|pair| !is_token(pair))
        .map(|pair| pair.map(|(a, b)| (a.into_owned(), b.into_owned())));
    Ok(Target {
        name: name.into_owned(),
        query: pairs.collect::<Result<_, _>>().map_err(|_| not_utf8())?,
        access,
    })
}

/// Checks that no body comes where none belongs.
fn no_body(request: &Request<'_>) -> Result<(), Problem> {
    match request.body_bytes() {
        Ok(0) => Ok(()),
        Ok(_) => Err(Problem::new(
            413,
            "too_large",
            "This address takes no body.",
        )),
        Err(_) => Err(uncertain_body()),
    }
}

/// The length of a body that is to come, checked before a byte of it is read.
pub(super) fn body_bytes(request: &Request<'_>, max: u64) -> Result<u64, Problem> {
    let has = |name| request.values(name).next().is_some();
    // "A server MAY reject a request that contains a message body but not a Content-Length by responding with 411" (RFC
    // 9112 §6.3). With both, or in HTTP/1.0, it is more than a missing length.
    if !has("content-length") && (!has("transfer-encoding") || request.minor_version > 0) {
        let message = "Give the length of the body as Content-Length; no transfer coding is taken.";
        return Err(Problem::new(411, "length_required", message));
    }
    let bytes = request.body_bytes().map_err(|_| uncertain_body())?;
    if bytes > max {
        let message = format!("The body may have at most {max} bytes.");
        return Err(Problem::new(413, "too_large", message));
    }
    let expects = request.values("expect").collect::<Vec<_>>();
    if !expects
        .iter()
        .all(|value| value.eq_ignore_ascii_case(b"100-continue"))
    {
        let message = "Only \"Expect: 100-continue\" is understood.";
        return Err(Problem::new(417, "expectation_failed", message));
    }
    Ok(bytes)
}

fn uncertain_body() -> Problem {
    let message =
        "The length of the body is not certain: give one Content-Length and no Transfer-Encoding.";
    Problem::new(400, "bad_request", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_one_segment() {
        let pattern = "/api/rooms/{}/presence";
        assert_eq!(parameter(pattern, "/api/rooms/a/presence"), Some("a"));
        assert_eq!(
            parameter(pattern, "/api/rooms/a%2Fb/presence"),
            Some("a%2Fb")
        );
        for path in [
            "/api/rooms//presence",
            "/api/rooms/presence",
            "/api/rooms/a/b/presence",
            "/api/rooms/a/presence/",
            "/api/rooms/a",
            "/API/rooms/a/presence",
        ] {
            assert_eq!(parameter(pattern, path), None, "{path}");
        }
        assert_eq!(parameter("/api/rooms", "/api/rooms"), Some(""));
        assert_eq!(parameter("/api/rooms", "/api/rooms/"), None);
        assert_eq!(parameter("/api/rooms", "/api/roomsx"), None);
    }

    #[test]
    fn a_path_is_decoded_with_its_plus_signs() {
        let expected = Target {
            name: "a/b+ü".to_owned(),
            query: vec![("x".to_owned(), "1 2".to_owned())],
            access: Access::Open,
        };
        let target = |parameter, query| target(parameter, query, Access::Open);
        assert_eq!(target("a%2Fb+%C3%BC", "x=1+2&token=t"), Ok(expected));
        assert!(target("%ff", "").is_err());
        assert!(target("a", "x=%ff").is_err());
    }

    #[test]
    fn a_tree_ends_at_a_slash() {
        for path in ["/api", "/api/", "/api/x", "/files/1", "/sse", "/poll"] {
            assert!(is_api(path), "{path}");
        }
        for path in ["/", "/apix", "/filesystem", "/x/api", "/ws"] {
            assert!(!is_api(path), "{path}");
        }
    }
}
