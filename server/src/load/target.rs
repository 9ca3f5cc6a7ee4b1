//! Where a run's connections go: the server's address, and the path of each connection.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::error::BenchError;
use super::options::Scenario;
use super::plan::Plan;
use crate::client::{Address, Tls, Trust};

/// How long one address may take to answer.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Listeners that are one user: a few less than a user may have connections.
const USER_CONNECTIONS: usize = 1000;

/// A server's WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The value of `Host`.
    pub(super) host: String,
    address: Address,
    path: String,
    /// The address' own query.
    query: Option<String>,
    /// Unlike any other run's, so that its rooms are.
    id: String,
}

impl Target {
    /// Reads the plan's address; an address without a path gets the one of the scenario.
    pub(super) fn new(plan: &Plan, id: u32) -> Result<Self, BenchError> {
        if plan.url.contains('#') {
            return Err(BenchError::Fragment);
        }
        let (base, query) = match plan.url.split_once('?') {
            Some((base, query)) => (base, Some(query.to_owned())),
            None => (plan.url.as_str(), None),
        };
        let address = Address::parse(base).map_err(BenchError::Address)?;
        let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
        let path = rest.find('/').map(|at| &rest[at..]);
        // Who writes ws://HOST/ means that WebSocket; who writes http://HOST/ means the server.
        let path =
            path.filter(|path| *path != "/" || matches!(scheme, "ws" | "wss") || query.is_some());
        let path = match (path, &query, plan.scenario) {
            (Some(path), _, _) => path.to_owned(),
            // A query without a path is one for `/`, as for a browser.
            (None, Some(_), _) => "/".to_owned(),
            (None, None, Scenario::Echo | Scenario::Connect) => "/echo".to_owned(),
            (None, None, Scenario::Fanout) if plan.chat => "/ws".to_owned(),
            (None, None, Scenario::Fanout) => "/relay".to_owned(),
            (None, None, Scenario::Idle) => "/ws".to_owned(),
        };
        Ok(Self {
            host: address.host.clone(),
            address,
            path,
            query,
            id: format!("{id:08x}"),
        })
    }

    /// Where all connections begin.
    pub(super) fn url(&self) -> String {
        let query = self.query.as_deref();
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        let scheme = if self.address.is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}{}{query}", self.host, self.path)
    }

    /// What is spoken there, if that is TLS.
    pub(super) fn tls(&self, trust: &Trust) -> Result<Option<Tls>, BenchError> {
        Tls::new(&self.address, trust).map_err(BenchError::Trust)
    }

    /// The name of a room.
    pub(super) fn room(&self, room: usize) -> String {
        format!("bench-{}-{room}", self.id)
    }

    /// Path and query of a connection.
    pub(super) fn path(&self, plan: &Plan, number: usize) -> String {
        let own = self.query.clone();
        let room = plan.room(number);
        let room = (plan.scenario == Scenario::Fanout).then(|| format!("room={}", self.room(room)));
        let user = self.user(plan, number);
        let user = user.map(|user| format!("userId={user}"));
        let query: Vec<_> = [own, user, room].into_iter().flatten().collect();
        match &query[..] {
            [] => self.path.clone(),
            query => format!("{}?{}", self.path, query.join("&")),
        }
    }

    /// The name of a connection in the chat; with a token it is the token's.
    fn user(&self, plan: &Plan, number: usize) -> Option<String> {
        let id = Some(&self.id).filter(|_| plan.chat && plan.token.is_none())?;
        // Who speaks is somebody, since a server limits what a user says.
        if plan.senders().contains(&number) {
            return Some(format!("bench-{id}-{number}"));
        }
        // Those that listen are few users with many connections: else a room has to be told of each that comes, which would be
        // a load of its own.
        let (room, crowd) = (plan.room(number), number / plan.rooms / USER_CONNECTIONS);
        Some(format!("bench-{id}-room-{room}-{crowd}"))
    }

    /// Finds the address that answers: `localhost` may have two, of which a server listens on one. Waits for it.
    pub(super) fn find(&self) -> Result<SocketAddr, BenchError> {
        let found = self
            .address
            .resolve_all()
            .map_err(|error| BenchError::Name(self.host.clone(), error))?;
        let nowhere = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let mut failed = BenchError::Name(self.host.clone(), nowhere);
        for address in found {
            match TcpStream::connect_timeout(&address, CONNECT_MAX) {
                Ok(_) => return Ok(address),
                Err(error) => failed = BenchError::Connect(address, error),
            }
        }
        Err(failed)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::load::Options;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn plan(words: &[&str]) -> Plan {
        let words = [&["bench"], words].concat();
        Plan::new(Cli::parse_from(words).options).unwrap()
    }

    fn path(words: &[&str]) -> String {
        let plan = plan(words);
        Target::new(&plan, 0xab).unwrap().path(&plan, 1)
    }

    #[test]
    fn the_scenario_has_a_path_where_the_address_has_none() {
        assert_eq!(path(&["a:1"]), "/echo");
        assert_eq!(path(&["http://a:1/", "-s", "idle"]), "/ws");
        assert_eq!(path(&["a", "-s", "fanout"]), "/relay?room=bench-000000ab-0");
        assert_eq!(
            path(&["a", "-s", "fanout", "--chat"]),
            "/ws?userId=bench-000000ab-room-0-0&room=bench-000000ab-0"
        );
    }

    #[test]
    fn each_speaker_is_a_user_and_listeners_are_few_of_each_room() {
        let words = ["a", "-s", "fanout", "--chat", "-c", "4004", "--rooms", "2"];
        let speakers = ["--publishers", "2"];
        let plan = plan(&[&words[..], &speakers].concat());
        let target = Target::new(&plan, 0xab).unwrap();
        let user = |number| target.user(&plan, number).unwrap();
        let users = [0, 1, 2, 3, 4, 1999, 2000, 4003].map(user);
        let expected = [
            "0", "1", "2", "3", "room-0-0", "room-1-0", "room-0-1", "room-1-2",
        ];
        assert_eq!(users, expected.map(|name| format!("bench-000000ab-{name}")));
    }

    #[test]
    fn with_a_token_everybody_is_its_user() {
        let words = ["a", "-s", "fanout", "--chat", "--token", "x.y.z"];
        assert_eq!(path(&words), "/ws?room=bench-000000ab-0");
    }

    #[test]
    fn a_path_and_a_query_of_the_address_are_kept() {
        assert_eq!(path(&["ws://a/x/"]), "/x/");
        assert_eq!(path(&["ws://a/"]), "/");
        assert_eq!(path(&["ws://a?k=1"]), "/?k=1");
        assert_eq!(path(&["ws://a/?k=1"]), "/?k=1");
        assert_eq!(
            path(&["ws://a/r?k=1", "-s", "fanout"]),
            "/r?k=1&room=bench-000000ab-0"
        );
    }

    #[test]
    fn what_is_no_address_is_told() {
        for url in ["ftp://a", "ws://", "ws://a/#x", "ws://a:x/y?z"] {
            assert!(Target::new(&plan(&[url]), 0).is_err(), "{url}");
        }
    }
}
