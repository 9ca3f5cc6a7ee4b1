//! What a server allows and how long it waits: every number that an operator may turn, with its default.

mod auth;
mod capture;
mod drain;
mod file;
pub mod limits;
mod logs;
mod observe;
mod protocols;
mod recorder;
mod reload;
mod rooms;
mod settings;
mod show;
mod tls;
pub(crate) mod values;
mod veil;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tidewire_protocol::{CloseCode, Config as WebSocketConfig, DeflateConfig};

pub use auth::AuthOptions;
pub use capture::CaptureOptions;
pub use drain::Drain;
pub(crate) use file::ConfigFile;
pub use file::Problem;
pub use limits::LimitOptions;
pub use logs::{LogOptions, LogUrl, SentinelLogin};
pub use observe::Observe;
pub use protocols::ProtocolOptions;
pub use recorder::{RecorderOptions, Switch};
pub use reload::Change;
pub use settings::{Setting, Settings, Source, TOKEN_SECRET_VARIABLE, Unusable, unknown_variables};
pub(crate) use settings::{list, with_defaults};
pub use show::default_file;
pub(crate) use tls::KEYLOG_FROM_ENVIRONMENT;
pub use tls::TlsOptions;
pub use veil::veiled_text;

use crate::auth::Keys;
use crate::chat::HubConfig;
use crate::ids::NodeName;
use crate::log::Rules;
pub use crate::transport::{BadOrigin, Origin};
use crate::transport::{Cors, HttpConfig, socket_io};

/// 4009: no answer to a ping.
pub(crate) const HEARTBEAT_LOST: u16 = 4009;

/// The time for an answer that needs the disk: far more than a healthy one takes, and less than the minute after which
/// proxies give up.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest message of the chat, in bytes.
const CHAT_BYTES_MAX: u64 = 64 << 10;

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// Threads that serve, 1 to 64, each with connections of its own. Default 1.
    pub workers: usize,
    /// The most connections at once; `None` takes what the limit on open files allows.
    pub connections_max: Option<usize>,
    /// The time without a byte from a peer after which it is pinged. Default 30 s.
    pub heartbeat: Duration,
    /// The time for the answer. Default 10 s.
    pub pong_wait: Duration,
    /// The time for a whole request head. Default 10 s.
    pub handshake_timeout: Duration,
    /// The time that an HTTP connection may be idle between requests. Default 60 s.
    pub keep_alive: Duration,
    /// The time for the peer's part in closing. Default 5 s.
    pub close_timeout: Duration,
    /// How the server leaves.
    pub drain: Drain,
    /// Messages a second that a chat connection may send; twice as many at once; 0 means no limit. Default 100.
    pub messages_per_second: u32,
    /// What holds for which room: how long messages are kept, and what becomes of slow readers.
    pub rules: Arc<Rules>,
    /// How long a connection may be behind in a room before it is closed as slow. Default 30 s.
    pub lag_max: Duration,
    /// Where messages and files are kept; `None` keeps them as long as the process runs. Default `./tidewire-data`.
    pub data: Option<PathBuf>,
    /// Where messages are kept that several nodes share; then `data` is for files. Default nowhere.
    pub logs: LogOptions,
    /// The largest file that may be uploaded, in bytes. Default 16 MiB.
    pub file_bytes_max: u64,
    /// What all files may have together, in bytes. Default 1 GiB: strangers may upload, and the logs need the disk, too.
    pub files_bytes_max: u64,
    /// The origins whose pages may use the API. Default none: only our own pages may.
    pub cors_origins: Vec<Origin>,
    /// Which tokens are accepted. Default none: whoever reaches the server may do everything.
    pub auth: AuthOptions,
    /// Whether messages are compressed for clients that ask for it. Default on.
    pub compression: Compression,
    /// What the chat is spoken in. Default everything.
    pub protocols: ProtocolOptions,
    /// Certificate and key, if TLS is spoken. Default none.
    pub tls: TlsOptions,
    /// What users and addresses may do, what memory there is, and which proxies are believed.
    pub limits: LimitOptions,
    /// Logs and the canary.
    pub observe: Observe,
    /// What is recorded of connections.
    pub recorder: RecorderOptions,
    /// What is captured for Wireshark from the start. Default nothing.
    pub capture: CaptureOptions,
}

/// How messages are compressed (RFC 7692).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// Not at all.
    Off,
    /// Each message by itself: no memory a connection, and a broadcast is compressed once.
    On,
    /// With what was sent before, in both directions: better for small messages, at some 350 KB a connection.
    Context,
}

impl Compression {
    fn deflate(self) -> Option<DeflateConfig> {
        let takeover = self == Self::Context;
        (self != Self::Off).then(|| DeflateConfig {
            server_context_takeover: takeover,
            client_context_takeover: takeover,
            ..DeflateConfig::default()
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 1,
            connections_max: None,
            heartbeat: Duration::from_secs(30),
            pong_wait: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
            drain: Drain::default(),
            messages_per_second: 100,
            rules: Arc::default(),
            lag_max: Duration::from_secs(30),
            data: Some(PathBuf::from("./tidewire-data")),
            logs: LogOptions::default(),
            file_bytes_max: 16 << 20,
            files_bytes_max: 1 << 30,
            cors_origins: Vec::new(),
            auth: AuthOptions::default(),
            compression: Compression::On,
            protocols: ProtocolOptions::default(),
            tls: TlsOptions::default(),
            limits: LimitOptions::default(),
            observe: Observe::default(),
            recorder: RecorderOptions::default(),
            capture: CaptureOptions::default(),
        }
    }
}

/// The limits of each kind of WebSocket, shared by all its connections.
#[derive(Debug)]
pub(crate) struct WebSocketConfigs {
    /// 64 KiB a message, in 1,024 fragments at most.
    pub(crate) chat: Arc<WebSocketConfig>,
    /// As the suites of Engine.IO and Socket.IO expect it: 1,000,000 bytes a message.
    pub(crate) conformance: Arc<WebSocketConfig>,
    /// Nothing is sent and nothing expected, because there is no socket: sessions that are polled.
    pub(crate) polled: Arc<WebSocketConfig>,
    /// 1 MiB a message, in 1,024 fragments at most.
    pub(crate) relay: Arc<WebSocketConfig>,
    /// 64 MiB a message, in 131,072 fragments at most: what the Autobahn testsuite needs, and room.
    pub(crate) echo: Arc<WebSocketConfig>,
}

impl Config {
    pub(crate) fn web_sockets(&self) -> WebSocketConfigs {
        let of = |message_bytes_max, fragments_max| {
            Arc::new(WebSocketConfig {
                frame_bytes_max: message_bytes_max,
                message_bytes_max,
                fragments_max,
                ping_interval: Some(self.heartbeat),
                pong_wait: self.pong_wait,
                pong_timeout_code: CloseCode::new(HEARTBEAT_LOST)
                    .unwrap_or(CloseCode::INTERNAL_ERROR),
                close_timeout: self.close_timeout,
                ..WebSocketConfig::default()
            })
        };
        WebSocketConfigs {
            chat: of(CHAT_BYTES_MAX, 1024),
            conformance: of(socket_io::ECHO_BYTES_MAX as u64, 1024),
            polled: Arc::new(WebSocketConfig {
                ping_interval: None,
                ..WebSocketConfig::default()
            }),
            relay: of(1 << 20, 1024),
            echo: of(64 << 20, 131_072),
        }
    }

    /// What this server is called among those that share its logs, if it shares them.
    fn node(&self) -> Option<NodeName> {
        let name = self.logs.log.as_ref().and(self.logs.node.as_ref());
        name.cloned()
    }

    /// Where messages are kept, without a password.
    #[must_use]
    pub fn where_logs_are(&self) -> String {
        let data = self.data.as_ref();
        match &self.logs.log {
            Some(url) => url.to_string(),
            None => data.map_or_else(|| "memory".to_owned(), |data| data.display().to_string()),
        }
    }

    pub(crate) fn http(&self, keys: Option<Arc<Keys>>) -> HttpConfig {
        HttpConfig {
            request_timeout: self.handshake_timeout,
            keep_alive: self.keep_alive,
            close_timeout: self.close_timeout,
            call_timeout: CALL_TIMEOUT,
            deflate: self.compression.deflate(),
            file_bytes_max: self.file_bytes_max,
            cors: Cors::new(&self.cors_origins),
            proxies: Arc::new(self.limits.proxies()),
            addresses: None,
            keys,
            protocols: self.protocols.all(),
            socket_io: socket_io::Settings {
                ping_interval: self.heartbeat,
                ping_timeout: self.pong_wait,
                payload_bytes_max: CHAT_BYTES_MAX,
                connect_time: self.handshake_timeout,
                names: self.protocols.dictionary(),
                recovers: self.protocols.socketio_recovery,
            },
            is_tls: self.tls.is_on(),
        }
    }

    pub(crate) fn hub(&self, keys: Option<Arc<Keys>>) -> HubConfig {
        let connection = self.limits.connection(self.messages_per_second);
        HubConfig {
            heartbeat_seconds: self.heartbeat.as_secs().max(1),
            messages: connection.messages,
            bytes: connection.bytes,
            user: self.limits.user(self.messages_per_second),
            connections_per_user_max: self.limits.user_connections as usize,
            rooms_per_user_max: self.limits.user_rooms as usize,
            keys,
            node: self.node(),
            ..HubConfig::default()
        }
    }
}
