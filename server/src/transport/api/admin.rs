//! `/api/admin`: what an operator sees and does, and who is one.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidewire_protocol::handshake::server::Request;

use super::rooms::bad_name;
use super::{Call, Problem, Response, Target};
use crate::ids::{ConnId, NodeName, UserName};
use crate::metrics::Status;
use crate::recorder::COLUMNS;

/// Names and connections in a list, if the address does not say.
const LIMIT_DEFAULT: usize = 100;

/// ... and at most: one list is one answer.
const LIMIT_MAX: usize = 1_000;

/// The latest time that JavaScript's numbers tell exactly, in milliseconds.
const SINCE_MAX: u64 = (1 << 53) - 1;

/// The longest text that is searched for, as a name.
const SEARCH_BYTES_MAX: usize = crate::ids::NAME_BYTES_MAX;

/// Headers of proxies: who comes through one is not here, whatever its address says.
const FORWARDED: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

/// What an operator asks for. Some of it other nodes are asked for, too.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    /// Why connections ended, and what is known of those that are open.
    Why(Subject),
    /// Numbers, and samples behind a time.
    #[serde(skip)]
    Overview { since: u64 },
    /// Connections that are open.
    Connections(List),
    /// Rooms that somebody is in, on any node: each knows that.
    #[serde(skip)]
    Rooms(List),
    /// Users that are here.
    Users(List),
    /// Close all connections of a user.
    Disconnect(UserName),
    /// Stop the server as SIGTERM does.
    #[serde(skip)]
    Drain,
}

/// Which connections are meant.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// Of the node with this name, or of the one that is asked.
    Connection(Option<NodeName>, ConnId),
    User(UserName),
    /// Port 0 stands for any.
    Address(SocketAddr),
}

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct List {
    /// What names have in them.
    pub(crate) search: String,
    pub(crate) limit: usize,
}

// ---- who may ----

/// Whether an address is an operator's.
pub(super) fn is_operators(path: &str) -> bool {
    path.strip_prefix("/api/admin")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Checks that a request may operate the server. Without authentication that is who sits at this machine: it comes from a
/// loopback address, straight, and knows the server by such a name (a page that had its own name point here does not), and if
/// it comes from a page, then from ours.
///
/// # Errors
/// It may not, and this says why.
pub(super) fn may_operate(request: &Request<'_>, peer: IpAddr) -> Result<(), Problem> {
    let refused = |why: &str| {
        let message = format!("Only an operator may do that, at the machine itself: {why}.");
        Err(Problem::new(403, "not_an_operator", message))
    };
    let has = |name: &&str| request.values(name).next().is_some();
    if !peer.is_loopback() {
        return refused("this request comes from elsewhere");
    }
    // Proxies that say nothing of themselves often speak HTTP/1.0, as nginx does where nobody says otherwise.
    if FORWARDED.iter().any(has) || request.minor_version == 0 {
        return refused("this request comes through a proxy");
    }
    let host = request.single("host").ok().flatten().unwrap_or_default();
    if !is_loopback_name(host) {
        return refused("name it as localhost, 127.0.0.1 or [::1]");
    }
    let origin = request.single("origin").unwrap_or(Some(""));
    let is_ours = |origin: &str| {
        let host_of = origin.split_once("://").map(|(_, host)| host);
        host_of.is_some_and(|origin| origin.eq_ignore_ascii_case(host))
    };
    let site = request.single("sec-fetch-site").unwrap_or(Some(""));
    if !origin.is_none_or(is_ours) || !matches!(site, None | Some("same-origin" | "none")) {
        return refused("this request comes from a page that is not the server's");
    }
    Ok(())
}

/// Whether the value of `Host` is a name that only this machine has for itself.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let bracketed = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let is_loopback = |name: &str| name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    name.eq_ignore_ascii_case("localhost") || is_loopback(bracketed.unwrap_or(name))
}

// ---- what is asked for ----

fn operation(operation: Operation) -> Result<Call, Problem> {
    Ok(Call::Operate(operation))
}

pub(super) fn why(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    let subject = |name| target.value(name).filter(|value| !value.is_empty());
    let bad = |message: &str| Problem::new(400, "bad_field", message);
    let subject = match (subject("connection"), subject("user"), subject("address")) {
        (Some(connection), None, None) => {
            let bad = || bad("\"connection\" looks like c-5-17, or node/c-5-17.");
            let (node, id) = parse_connection(connection).ok_or_else(bad)?;
            Subject::Connection(node, id)
        }
        (None, Some(user), None) => {
            Subject::User(UserName::new(user).map_err(|error| bad_name("\"user\"", error))?)
        }
        (None, None, Some(address)) => Subject::Address(
            parse_address(address)
                .ok_or_else(|| bad("\"address\" looks like 192.0.2.7 or 192.0.2.7:4711."))?,
        ),
        _ => return Err(bad("Name one of \"connection\", \"user\" and \"address\".")),
    };
    operation(Operation::Why(subject))
}

/// Reads what a connection is called, perhaps with its node.
pub(crate) fn parse_connection(text: &str) -> Option<(Option<NodeName>, ConnId)> {
    match text.split_once('/') {
        Some((node, id)) => Some((Some(NodeName::new(node).ok()?), id.parse().ok()?)),
        None => Some((None, text.parse().ok()?)),
    }
}

/// Reads an address with or without a port.
pub(crate) fn parse_address(text: &str) -> Option<SocketAddr> {
    let alone = |text: &str| text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 0));
    let address = text.parse().ok().or_else(|| alone(text))?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

pub(super) fn overview(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    let since = target.value("since").map_or(Some(0), |text| {
        let since = text.parse().ok();
        since.filter(|since| *since <= SINCE_MAX)
    });
    let bad = || Problem::new(400, "bad_field", "\"since\" is a time in milliseconds.");
    let since = since.ok_or_else(bad)?;
    operation(Operation::Overview { since })
}

pub(super) fn list_connections(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    operation(Operation::Connections(list(target)?))
}

pub(super) fn list_rooms(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    operation(Operation::Rooms(list(target)?))
}

pub(super) fn list_users(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    operation(Operation::Users(list(target)?))
}

fn list(target: &Target) -> Result<List, Problem> {
    let bad = |message: String| Problem::new(400, "bad_field", message);
    let limit = match target.value("limit").map(str::parse) {
        None => LIMIT_DEFAULT,
        Some(Ok(limit @ 1..=LIMIT_MAX)) => limit,
        Some(_) => return Err(bad(format!("\"limit\" is from 1 to {LIMIT_MAX}."))),
    };
    let search = target.value("search").unwrap_or_default();
    if search.len() > SEARCH_BYTES_MAX {
        return Err(bad(format!(
            "\"search\" has at most {SEARCH_BYTES_MAX} bytes."
        )));
    }
    let search = search.to_owned();
    Ok(List { search, limit })
}

pub(super) fn disconnect(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    let user = UserName::new(&target.name).map_err(|error| bad_name("The user", error))?;
    operation(Operation::Disconnect(user))
}

pub(super) fn drain(_: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    operation(Operation::Drain)
}

// ---- answers ----

/// The answer to [`Operation::Overview`].
pub(crate) struct Overview<'a> {
    pub(crate) status: &'a Status,
    pub(crate) started_at: u64,
    pub(crate) now: u64,
    pub(crate) recorder: bool,
    /// What this server is called, and how many there are with it.
    pub(crate) node: Option<(&'a NodeName, usize)>,
    pub(crate) samples: Vec<[serde_json::Value; COLUMNS.len()]>,
}

impl Overview<'_> {
    pub(crate) fn to_response(&self) -> Response {
        let ended = self.status.ends.iter().map(
            |(cause, count)| json!({"cause": cause, "meaning": cause.meaning(), "count": count}),
        );
        let mut answer = json!({
            "status": self.status.status,
            "version": env!("CARGO_PKG_VERSION"),
            "workers": self.status.workers(),
            "startedAt": self.started_at,
            "now": self.now,
            "recorder": self.recorder,
            "connectionsMax": self.status.connections_max,
            "counters": self.status.sum(),
            "ended": ended.collect::<Vec<_>>(),
            "columns": COLUMNS,
            "samples": self.samples,
        });
        if let Some((name, nodes)) = self.node {
            answer["node"] = json!(name);
            answer["nodes"] = json!(nodes);
        }
        Response::value(200, &answer)
    }
}

/// The answer to [`Operation::Rooms`].
pub(crate) fn rooms_found(rooms: &[(&str, usize)]) -> Response {
    super::rooms(rooms.iter().copied())
}

/// The answer to [`Operation::Drain`].
pub(crate) fn draining() -> Response {
    Response::value(200, &json!({"status": "draining"}))
}

/// Too many questions wait for other workers.
pub(crate) fn busy() -> Response {
    let message = "Too many questions of operators wait for an answer: ask again.";
    Response::problem(503, "busy", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Access;
    use tidewire_protocol::handshake::server::HeaderStorage;

    fn asked(version: u8, headers: &str, peer: &str) -> bool {
        let head = format!("GET /api/admin/overview HTTP/1.{version}\r\n{headers}\r\n");
        let mut storage = HeaderStorage::default();
        // One that is malformed is answered before anybody asks.
        Request::parse(head.as_bytes(), &mut storage)
            .is_ok_and(|request| may_operate(&request, peer.parse().unwrap()).is_ok())
    }

    #[test]
    fn who_sits_at_the_machine_may_operate_it() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
        ] {
            let headers = format!("Host: {host}\r\nOrigin: http://{host}\r\n");
            assert!(asked(1, &headers, "127.0.0.1"), "{host}");
        }
        assert!(asked(
            1,
            "Host: localhost\r\nSec-Fetch-Site: none\r\n",
            "::1"
        ));
    }

    #[test]
    fn nobody_else_may() {
        let host = "Host: localhost:8080\r\n";
        assert!(!asked(1, host, "192.0.2.1"), "from elsewhere");
        assert!(!asked(0, host, "127.0.0.1"), "through an old proxy");
        for (headers, why) in [
            (
                "Host: evil.example:8080\r\n",
                "a name that was made to point here",
            ),
            ("Host: localhost.evil.example\r\n", "a longer name"),
            ("Host: 127.0.0.1.evil.example\r\n", "a longer address"),
            ("Host: [::1\r\n", "half an address"),
            ("Host: localhost:x\r\n", "no port"),
            ("Host: localhost\r\nX-Forwarded-For: 1.2.3.4\r\n", "a proxy"),
            ("Host: localhost\r\nForwarded: for=1.2.3.4\r\n", "a proxy"),
            ("Host: localhost\r\nVia: 1.1 x\r\n", "a proxy"),
            (
                "Host: localhost\r\nOrigin: http://evil.example\r\n",
                "a page",
            ),
            (
                "Host: localhost\r\nOrigin: http://localhost:81\r\n",
                "a port",
            ),
            (
                "Host: localhost\r\nOrigin: null\r\n",
                "a page without an origin",
            ),
            (
                "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
                "an image",
            ),
            (
                "Host: localhost\r\nSec-Fetch-Site: same-site\r\n",
                "a neighbour",
            ),
            ("Host: a\r\nHost: localhost\r\n", "two names"),
            ("", "no name"),
        ] {
            assert!(!asked(1, headers, "127.0.0.1"), "{why}: {headers}");
        }
    }

    #[test]
    fn an_address_may_have_a_port() {
        for (text, address) in [
            ("192.0.2.7", "192.0.2.7:0"),
            ("192.0.2.7:4711", "192.0.2.7:4711"),
            ("::1", "[::1]:0"),
            ("[::1]:80", "[::1]:80"),
            ("::ffff:192.0.2.7", "192.0.2.7:0"),
        ] {
            assert_eq!(parse_address(text), address.parse().ok(), "{text}");
        }
        assert_eq!(parse_address("192.0.2"), None);
    }

    #[test]
    fn one_subject_is_named() {
        let why_of = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let target = Target {
                name: String::new(),
                query: pairs
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
                access: Access::Open,
            };
            let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            let mut storage = HeaderStorage::default();
            let request = Request::parse(head, &mut storage).unwrap();
            why(&target, &request).is_ok()
        };
        assert!(why_of(&[("connection", "c-1-2"), ("user", "")]));
        assert!(why_of(&[("connection", "eu-1/c-1-2")]));
        assert!(why_of(&[("user", "alice")]) && why_of(&[("address", "::1")]));
        for pairs in [
            &[][..],
            &[("connection", "1-2")],
            &[("connection", "a b/c-1-2")],
            &[("address", "here")],
            &[("user", "a"), ("address", "::1")],
            &[("user", "\n")],
        ] {
            assert!(!why_of(pairs), "{pairs:?}");
        }
    }
}
