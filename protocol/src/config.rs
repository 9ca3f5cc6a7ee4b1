//! What a connection allows and how long it waits.

use std::time::Duration;

use crate::close::CloseCode;

/// How messages are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Each as one [`Event::Message`](crate::Event::Message), put together in memory if need be.
    #[default]
    Whole,
    /// One that does not lie whole in the input as [`Event::Piece`](crate::Event::Piece)s, as they come: for messages larger
    /// than what one wants in memory. The limits still hold; raise `message_bytes_max` with it.
    Pieces,
}

/// Limits and times of a connection. Share one between connections: `Arc<Config>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The most payload bytes that one frame may announce. Default 1 MiB, as `message_bytes_max`: a frame cannot be
    /// larger than its message.
    pub frame_bytes_max: u64,
    /// The most payload bytes of a message, over all its fragments. Default 1 MiB, as python `websockets`.
    pub message_bytes_max: u64,
    /// The most frames of a message; empty ones count, and 0 allows one as 1 does. Default 131,072: the Autobahn testsuite sends 65,536.
    pub fragments_max: u32,
    /// Whether messages are put together or handed over in pieces. Default: put together.
    pub delivery: Delivery,
    /// The time without a byte from the peer after which a ping is sent; `None` sends none. Default 30 s: below the
    /// 60 s after which common proxies drop an idle connection.
    pub ping_interval: Option<Duration>,
    /// The time that a ping may go without any byte from the peer. Default 10 s.
    pub pong_wait: Duration,
    /// The close code for a peer that did not answer a ping. Default 1011, as python `websockets`.
    pub pong_timeout_code: CloseCode,
    /// The time for the peer's part in closing: its Close frame, and then its end of the transport. Default 5 s.
    pub close_timeout: Duration,
    /// The most bytes read and thrown away while the peer is given time to read our Close frame. Default 1 MiB.
    pub linger_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            frame_bytes_max: 1 << 20,
            message_bytes_max: 1 << 20,
            fragments_max: 131_072,
            delivery: Delivery::Whole,
            ping_interval: Some(Duration::from_secs(30)),
            pong_wait: Duration::from_secs(10),
            pong_timeout_code: CloseCode::INTERNAL_ERROR,
            close_timeout: Duration::from_secs(5),
            linger_bytes_max: 1 << 20,
        }
    }
}
