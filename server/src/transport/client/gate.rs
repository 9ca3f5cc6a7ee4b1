//! The gate of a connection that speaks HTTP: whose it is, as far as requests say so, and what it is told where it is not let
//! in. A proxy sends many clients' requests over one connection, so that this is looked at with each.

use std::net::IpAddr;
use std::time::Duration;

use tidewire_protocol::handshake::server::Request;

use super::Proxies;
use crate::limit::{Pass, Refused};
use crate::transport::http::Turn;
use crate::transport::response::Response;

/// Addresses that are answered also while memory is short: who watches a server is to see why others are turned away.
const WATCHED: &[&str] = &["/health", "/ready", "/metrics"];

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// Its address has too many, or comes too fast.
    Address(Refused),
    /// The server is short of memory.
    Memory,
}

/// Who speaks, and whether it is let in.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The trusted proxy that the connection comes from: its requests say whose they are.
    proxy: Option<IpAddr>,
    /// What every request is told; nothing if it is let in.
    pub(crate) turned_away: Option<TurnedAway>,
    /// Whose the requests are now.
    client: Option<IpAddr>,
    /// Somebody else's than before, with its right to be here; to be taken by the loop.
    news: Option<(IpAddr, Option<Pass>)>,
    /// The last request was turned away for its client's address; to be taken by the loop.
    refused: Option<Refused>,
}

impl Gate {
    /// The gate of a connection, which may come from a trusted proxy.
    pub(crate) fn of(proxy: Option<IpAddr>) -> Self {
        Self {
            proxy,
            ..Self::default()
        }
    }

    /// What the request is told if it is not let in.
    pub(crate) fn check(&mut self, request: &Request<'_>, turn: Turn<'_>) -> Option<Response> {
        if let Some(turned_away) = self.turned_away {
            let path = request.path_and_query().map_or("", |(path, _)| path);
            let is_let_pass = turned_away == TurnedAway::Memory && WATCHED.contains(&path);
            return (!is_let_pass).then(|| turned_away.response());
        }
        let (proxies, addresses) = (&turn.config.proxies, turn.config.addresses.as_ref()?);
        let client = self.next_client(request, proxies)?;
        match addresses.enter(client, turn.now) {
            Ok(pass) => {
                (self.client, self.news) = (Some(client), Some((client, pass)));
                None
            }
            Err(refused) => {
                self.refused = Some(refused);
                Some(TurnedAway::Address(refused).response())
            }
        }
    }

    /// The client of a request that comes through a proxy, if the one before had another.
    fn next_client(&self, request: &Request<'_>, proxies: &Proxies) -> Option<IpAddr> {
        let client = proxies.client(self.proxy?, request);
        (self.client != Some(client)).then_some(client)
    }

    /// Whose the connection is from now on, and its right to be that.
    pub(crate) fn take_news(&mut self) -> Option<(IpAddr, Option<Pass>)> {
        self.news.take()
    }

    /// Why a request was turned away.
    pub(crate) fn take_refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }
}

impl TurnedAway {
    /// What the client is told.
    pub(crate) fn response(self) -> Response {
        match self {
            Self::Memory => Response::problem(
                503,
                "overloaded",
                "The server is short of memory: try again in some seconds.",
            ),
            Self::Address(Refused::Full) => too_many(
                "too_many_connections",
                "Your address has as many connections as it may: close one, or try again later.",
                Duration::from_secs(5),
            ),
            Self::Address(Refused::TooFast(wait)) => too_many(
                "rate_limited",
                "Your address connects too fast: try again later.",
                wait,
            ),
        }
        .closing()
    }
}

/// 429, and when to try again, in whole seconds (RFC 9110 §10.2.3).
pub(crate) fn too_many(code: &'static str, message: &str, wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Response::problem(429, code, message).with_header("Retry-After", seconds.max(1).to_string())
}
