//! Limits and times of HTTP connections.

use std::sync::Arc;
use std::time::Duration;

use tidewire_protocol::DeflateConfig;

use crate::auth::Keys;
use crate::limit::Addresses;
use crate::transport::client::Proxies;
use crate::transport::cors::Cors;
use crate::transport::dialect::Protocols;
use crate::transport::socket_io;

/// The slowest that a body may come or be taken, in bytes a second, over its whole length: what a telephone does on a bad
/// day, and thirty times what Apache asks for (`RequestReadTimeout`, 500).
const BODY_BYTES_PER_SECOND_MIN: u64 = 16 << 10;

/// Limits and times of an HTTP connection.
#[derive(Debug, Clone)]
pub(crate) struct HttpConfig {
    /// From the connection, or the first byte of a further request, to the end of its head; and what a body has beside
    /// the time for its length.
    pub(crate) request_timeout: Duration,
    /// Between requests.
    pub(crate) keep_alive: Duration,
    /// For the peer to take the last response and end the connection.
    pub(crate) close_timeout: Duration,
    /// For the server to carry out a call.
    pub(crate) call_timeout: Duration,
    /// How messages are compressed; `None` declines every offer.
    pub(crate) deflate: Option<DeflateConfig>,
    /// The largest file that is kept.
    pub(crate) file_bytes_max: u64,
    /// The pages that may use the API.
    pub(crate) cors: Cors,
    /// The proxies that say whose a request is.
    pub(crate) proxies: Arc<Proxies>,
    /// What the addresses have that requests come from; nobody counts without.
    pub(crate) addresses: Option<Addresses>,
    /// What tokens are checked with; `None` asks for none.
    pub(crate) keys: Option<Arc<Keys>>,
    /// What the chat is spoken in.
    pub(crate) protocols: Protocols,
    /// What its sessions go by in Socket.IO.
    pub(crate) socket_io: socket_io::Settings,
    /// Connections are TLS all the way to here, so that browsers may be told never to come without.
    pub(crate) is_tls: bool,
}

impl HttpConfig {
    /// The time for a body of this length, in either direction.
    pub(super) fn body_time(&self, bytes: u64) -> Duration {
        let millis = bytes.saturating_mul(1000) / BODY_BYTES_PER_SECOND_MIN;
        self.request_timeout + Duration::from_millis(millis)
    }
}
