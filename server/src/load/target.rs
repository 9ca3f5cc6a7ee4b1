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

    /// Path and query of a connection of this room.
    pub(super) fn path(&self, plan: &Plan, room: usize) -> String {
        let own = self.query.clone();
        let room = (plan.scenario == Scenario::Fanout).then(|| format!("room={}", self.room(room)));
        // One user with many connections: nobody has to be told of who comes and goes, which would be a load of its own.
        let user = plan.chat.then(|| format!("userId=bench-{}", self.id));
        let query: Vec<_> = [own, user, room].into_iter().flatten().collect();
        match &query[..] {
            [] => self.path.clone(),
            query => format!("{}?{}", self.path, query.join("&")),
        }
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
        assert_eq!(path(&["a", "-s", "fanout"]), "/relay?room=bench-000000ab-1");
        assert_eq!(
            path(&["a", "-s", "fanout", "--chat"]),
            "/ws?userId=bench-000000ab&room=bench-000000ab-1"
        );
    }

    #[test]
    fn a_path_and_a_query_of_the_address_are_kept() {
        assert_eq!(path(&["ws://a/x/"]), "/x/");
        assert_eq!(path(&["ws://a/"]), "/");
        assert_eq!(path(&["ws://a?k=1"]), "/?k=1");
        assert_eq!(path(&["ws://a/?k=1"]), "/?k=1");
        assert_eq!(
            path(&["ws://a/r?k=1", "-s", "fanout"]),
            "/r?k=1&room=bench-000000ab-1"
        );
    }

    #[test]
    fn what_is_no_address_is_told() {
        for url in ["ftp://a", "ws://", "ws://a/#x", "ws://a:x/y?z"] {
            assert!(Target::new(&plan(&[url]), 0).is_err(), "{url}");
        }
    }
}
