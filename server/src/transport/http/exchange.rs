//! What a request wants of its response, kept while the answer is on its way.

use tidewire_protocol::handshake::server::Request;

use super::HttpConfig;
use crate::transport::api;
use crate::transport::date::Date;
use crate::transport::response::{Header, Manner};
use crate::transport::socket_io;

/// A browser that came once by TLS comes by nothing else for a year (RFC 6797 §6.1).
const HSTS: &str = "max-age=31536000";

/// One request and its response. By default the last of its connection, as after a head that nobody can read.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) head_only: bool,
    pub(super) expects_continue: bool,
    /// The bytes of a body that was announced and not read: what follows is no request. `None` if they are not known.
    unread_bytes: Option<u64>,
    keep_alive: bool,
    pub(super) asked_to_upgrade: bool,
    headers: Vec<Header>,
}

impl Exchange {
    pub(super) fn of(request: &Request<'_>, config: &HttpConfig) -> Self {
        // Who asked for another protocol and did not get it may go on in that protocol, and be passed on by a proxy that
        // thinks so, too: what follows is not to be read as HTTP. "The server MUST simply _Close the WebSocket
        // Connection_" (RFC 6455 §7.2.2). [6455-7.2.2-1]
        let asked_to_upgrade = request.values("upgrade").next().is_some();
        let is_api = request.path_and_query().is_ok_and(|(path, _)| {
            api::is_api(path) || socket_io::is_address(path, config.protocols)
        });
        let mut headers = if is_api {
            config.cors.headers(request)
        } else {
            Vec::new()
        };
        if config.is_tls {
            headers.push(("Strict-Transport-Security", HSTS.into()));
        }
        Self {
            head_only: request.method == "HEAD",
            // "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation" (RFC
            // 9110 §10.1.1).
            expects_continue: request.minor_version > 0 && request.lists("expect", "100-continue"),
            unread_bytes: request.body_bytes().ok(),
            keep_alive: request.wants_keep_alive() && !asked_to_upgrade,
            asked_to_upgrade,
            headers,
        }
    }

    /// Whether a further request may follow.
    pub(super) const fn goes_on(&self) -> bool {
        self.keep_alive && matches!(self.unread_bytes, Some(0))
    }

    pub(super) const fn body_is_read(&mut self) {
        self.unread_bytes = Some(0);
    }

    /// What is known of a body that still comes.
    pub(super) fn unread_bytes(&self) -> u64 {
        self.unread_bytes.unwrap_or_default()
    }

    pub(super) fn manner<'a>(&'a self, keep_alive: bool, date: &'a Date) -> Manner<'a> {
        Manner {
            keep_alive,
            head_only: self.head_only,
            headers: &self.headers,
            date,
        }
    }
}
