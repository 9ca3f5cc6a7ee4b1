//! Why connections end: one list, whose labels are those of the metric, of the API and of docs/WHY.md.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tidewire_protocol::{CloseCode, Closed, Error, Initiator, LimitError};

/// Makes [`EndCause`] of a list: a variant each, with its label and its meaning, which is also what an operator reads.
macro_rules! causes {
    ($(#[doc = $meaning:literal] $variant:ident = $label:literal,)+) => {
        /// Why a connection ended. The labels are for good: dashboards are built on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[repr(u8)]
        pub(crate) enum EndCause {
            $(#[doc = $meaning] #[serde(rename = $label)] $variant,)+
        }

        impl EndCause {
            /// All of them, in the order of their numbers.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable word for it.
            pub(crate) const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }

            /// A sentence for people.
            pub(crate) fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning.trim_ascii(),)+
                }
            }
        }
    };
}

causes! {
    /// The client closed with a Close frame, or said goodbye in MQTT, Engine.IO or Socket.IO.
    ClientClose = "client_close",
    /// The client's end of the TCP connection ended without a Close frame.
    ClientEof = "client_eof",
    /// The client's end reset the TCP connection.
    ClientReset = "client_reset",
    /// TCP gave the client up: what was sent to it was not acknowledged for too long.
    Unreachable = "unreachable",
    /// The client sent nothing, and did not answer a ping.
    HeartbeatLost = "heartbeat_lost",
    /// The client did not read fast enough.
    Slow = "slow",
    /// The client broke a rule of the WebSocket protocol.
    ProtocolError = "protocol_error",
    /// The client sent a message, or a frame, over the limit.
    MessageTooBig = "message_too_big",
    /// The client sent too many messages in a row that are no command.
    BadMessages = "bad_messages",
    /// The client broke another rule of this server: the reason of the Close frame names it.
    Policy = "policy",
    /// A newer connection has the session.
    Replaced = "replaced",
    /// An operator disconnected the user.
    Kicked = "kicked",
    /// The server was told to stop.
    Drain = "drain",
    /// The client's token expired, and no new one came.
    TokenExpired = "token_expired",
    /// The client's address had too many connections, or opened them too fast.
    RateLimited = "rate_limited",
    /// The user had as many connections as it may have.
    UserFull = "user_full",
    /// The server ran short of memory.
    MemoryShed = "memory_shed",
    /// The TLS handshake failed, or a TLS record was wrong.
    TlsFailed = "tls_failed",
    /// The client did not send a whole request in time.
    HandshakeTimeout = "handshake_timeout",
    /// The request was no HTTP, or asked for a WebSocket that it could not have.
    HandshakeRefused = "handshake_refused",
    /// All connections were taken, or memory was short.
    Overload = "overload",
    /// Something failed in the server.
    ServerError = "server_error",
    /// An HTTP connection that had its answers, or asked for nothing.
    HttpDone = "http_done",
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl EndCause {
    /// Why a server closes with this code.
    pub(crate) const fn of_code(code: CloseCode) -> Self {
        match code.get() {
            // The goodbye in words of another language was answered.
            1000 => Self::ClientClose,
            1001 | 1012 => Self::Drain,
            1002 | 1003 | 1007 => Self::ProtocolError,
            1009 => Self::MessageTooBig,
            1013 => Self::MemoryShed,
            4001 => Self::TokenExpired,
            4003 => Self::Replaced,
            4008 => Self::Slow,
            4009 => Self::HeartbeatLost,
            1011 => Self::ServerError,
            _ => Self::Policy,
        }
    }

    /// Why a WebSocket ended whose end the server did not decide before.
    pub(crate) fn of_closed(closed: &Closed) -> Self {
        match (closed.initiator, closed.error) {
            (Initiator::Peer, _) => Self::ClientClose,
            (Initiator::Transport, _) => Self::ClientEof,
            (Initiator::Local, Some(Error::PongTimeout(_))) => Self::HeartbeatLost,
            (
                Initiator::Local,
                Some(Error::Limit(LimitError::FrameBytes { .. } | LimitError::MessageBytes { .. })),
            ) => Self::MessageTooBig,
            (
                Initiator::Local,
                Some(Error::Limit(LimitError::Fragments { .. }) | Error::Peer(_)),
            ) => Self::ProtocolError,
            (Initiator::Local, None) => closed
                .sent
                .as_ref()
                .and_then(|frame| frame.code)
                .map_or(Self::ServerError, Self::of_code),
        }
    }

    /// Why a socket failed.
    pub(crate) const fn of_error(error: ErrorKind) -> Self {
        let is_gone = matches!(
            error,
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
        );
        if is_gone {
            Self::Unreachable
        } else {
            Self::ClientReset
        }
    }

    /// Whether it is an end before anything was agreed on, of which an attacker can make as many as it likes.
    pub(crate) const fn is_before_the_beginning(self) -> bool {
        matches!(
            self,
            Self::TlsFailed
                | Self::HandshakeTimeout
                | Self::HandshakeRefused
                | Self::RateLimited
                | Self::Overload
        )
    }

    /// Who ended it.
    pub(crate) const fn first(self) -> First {
        match self {
            Self::ClientClose | Self::ClientEof | Self::ClientReset | Self::HttpDone => {
                First::Client
            }
            Self::Unreachable => First::Network,
            Self::HeartbeatLost | Self::Slow | Self::ProtocolError | Self::MessageTooBig => {
                First::Server
            }
            Self::BadMessages | Self::Policy | Self::Replaced | Self::Kicked | Self::Drain => {
                First::Server
            }
            Self::TokenExpired | Self::RateLimited | Self::UserFull | Self::MemoryShed => {
                First::Server
            }
            Self::TlsFailed => First::Server,
            Self::HandshakeTimeout | Self::HandshakeRefused | Self::Overload => First::Server,
            Self::ServerError => First::Server,
        }
    }
}

/// Who ended a connection: by a Close frame, by ending TCP, or by giving up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum First {
    /// The client, or something between that ended its connection.
    Client,
    /// This server.
    Server,
    /// Neither: TCP gave up.
    Network,
}

/// How many connections ended for which cause, of all workers together: the metric. An end is rare, so that one list is enough.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndCounts(Arc<[AtomicU64; EndCause::ALL.len()]>);

impl EndCounts {
    pub(crate) fn count(&self, cause: EndCause) {
        if let Some(count) = self.0.get(cause as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each cause and its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (EndCause, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        EndCause::ALL.iter().copied().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_protocol::{CloseFrame, PeerError};

    fn closed(initiator: Initiator, sent: Option<u16>, error: Option<Error>) -> Closed {
        let sent = sent.map(|code| CloseFrame::new(CloseCode::new(code).unwrap(), ""));
        Closed {
            initiator,
            sent,
            received: None,
            error,
        }
    }

    #[test]
    fn who_closed_and_how_decides() {
        let code = CloseCode::new(4009).unwrap();
        let too_big = LimitError::MessageBytes { max: 1 };
        for (initiator, sent, error, cause) in [
            (Initiator::Peer, Some(1000), None, EndCause::ClientClose),
            (Initiator::Transport, None, None, EndCause::ClientEof),
            (
                Initiator::Local,
                Some(4009),
                Some(Error::PongTimeout(code)),
                EndCause::HeartbeatLost,
            ),
            (
                Initiator::Local,
                Some(1009),
                Some(too_big.into()),
                EndCause::MessageTooBig,
            ),
            (
                Initiator::Local,
                Some(1002),
                Some(PeerError::UnmaskedFrame.into()),
                EndCause::ProtocolError,
            ),
            (Initiator::Local, Some(1000), None, EndCause::ClientClose),
            (Initiator::Local, Some(1012), None, EndCause::Drain),
            (Initiator::Local, Some(4003), None, EndCause::Replaced),
            (Initiator::Local, Some(1008), None, EndCause::Policy),
            (Initiator::Local, None, None, EndCause::ServerError),
        ] {
            assert_eq!(EndCause::of_closed(&closed(initiator, sent, error)), cause);
        }
        assert_eq!(
            EndCause::of_error(ErrorKind::ConnectionReset),
            EndCause::ClientReset
        );
        assert_eq!(
            EndCause::of_error(ErrorKind::TimedOut),
            EndCause::Unreachable
        );
    }

    #[test]
    fn a_number_is_the_place_in_the_list_and_a_label_is_one_word() {
        for (number, cause) in EndCause::ALL.iter().enumerate() {
            assert_eq!(*cause as usize, number);
            let label = cause.label();
            assert!(
                label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            );
            assert_eq!(
                serde_json::to_string(cause).unwrap(),
                format!("\"{label}\"")
            );
        }
        let counts = EndCounts::default();
        counts.count(EndCause::HttpDone);
        let last = counts.iter().last();
        assert_eq!(last, Some((EndCause::HttpDone, 1)));
    }

    #[test]
    fn every_cause_is_documented() {
        let page = include_str!("../../../docs/WHY.md");
        for cause in EndCause::ALL {
            let row = format!("| `{}` | {}", cause.label(), cause.meaning());
            assert!(page.contains(&row), "docs/WHY.md lacks {row:?}");
        }
    }
}
