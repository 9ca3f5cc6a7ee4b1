//! What can go wrong, in three families: the peer broke a rule, a limit was passed, the caller misused the API.
//!
//! [`Error::close_code`] is the one place where an error becomes a number on the wire.

use std::fmt;

use crate::close::CloseCode;

/// Why a connection was failed (RFC 6455 §7.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The peer broke a rule of RFC 6455.
    Peer(PeerError),
    /// The peer passed one of our limits.
    Limit(LimitError),
    /// The peer sent nothing for a whole [`ping_interval`](crate::Config::ping_interval) and did not answer the
    /// ping either; carries the code that [`Config::pong_timeout_code`](crate::Config::pong_timeout_code) chose.
    PongTimeout(CloseCode),
}

impl Error {
    /// The close code that tells the peer about this error (RFC 6455 §7.4.1).
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            // "1007 indicates that an endpoint is terminating the connection because it has received data within
            // a message that was not consistent with the type of the message" (§7.4.1).
            Self::Peer(PeerError::InvalidUtf8 | PeerError::CorruptDeflate) => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::Peer(_) => CloseCode::PROTOCOL_ERROR,
            // "1009 [...] because it has received a message that is too big for it to process" (§7.4.1).
            Self::Limit(LimitError::FrameBytes { .. } | LimitError::MessageBytes { .. }) => {
                CloseCode::MESSAGE_TOO_BIG
            }
            Self::Limit(LimitError::Fragments { .. }) => CloseCode::POLICY_VIOLATION,
            Self::PongTimeout(code) => *code,
        }
    }
}

/// A rule of RFC 6455 that the peer broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerError {
    /// A reserved bit is set and no extension gives it a meaning (§5.2).
    ReservedBits,
    /// An opcode of the reserved ranges 3-7 or 11-15 (§5.2).
    ReservedOpcode(u8),
    /// A frame from a client without a mask (§5.1).
    UnmaskedFrame,
    /// A frame from a server with a mask (§5.1).
    MaskedFrame,
    /// A length that is not in its shortest form (§5.2).
    NonMinimalLength,
    /// A 64-bit length with its most significant bit set (§5.2).
    LengthTopBit,
    /// A control frame with FIN clear (§5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes (§5.5).
    ControlTooLong,
    /// A continuation frame, but no message to continue (§5.4).
    NothingToContinue,
    /// A new text or binary frame in the middle of a fragmented message (§5.4).
    UnfinishedMessage,
    /// Text or a close reason that is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message that is not DEFLATE (RFC 7692 §7.2.2).
    CorruptDeflate,
    /// A close frame with a payload of one byte (§5.5.1).
    TruncatedCloseCode,
    /// A close code that must not appear in a frame (§7.4).
    InvalidCloseCode(u16),
}

/// A limit of [`Config`](crate::Config) that the peer passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitError {
    /// A frame announces more payload than `frame_bytes_max`.
    FrameBytes {
        /// The limit in bytes.
        max: u64,
    },
    /// The frames of a message add up to more than `message_bytes_max`.
    MessageBytes {
        /// The limit in bytes.
        max: u64,
    },
    /// A message has more frames than `fragments_max`, empty ones included.
    Fragments {
        /// The limit in frames.
        max: u32,
    },
}

/// What the caller did wrong; nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misuse {
    /// The connection is closing or closed: "the application MUST NOT send any more data frames after sending a
    /// Close frame" (§5.5.1).
    Closed,
    /// A message between the fragments of another: "MUST NOT be interleaved" (§5.4).
    UnfinishedMessage,
    /// A fragment of text in a binary message, or the other way round (§5.4).
    OtherKind,
    /// A ping, pong or close reason does not fit in a control frame (§5.5).
    ControlTooLong,
    /// This side may not send this close code (§7.4.1).
    CloseCodeNotSendable(CloseCode),
}

impl From<PeerError> for Error {
    fn from(error: PeerError) -> Self {
        Self::Peer(error)
    }
}

impl From<LimitError> for Error {
    fn from(error: LimitError) -> Self {
        Self::Limit(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(error) => error.fmt(f),
            Self::Limit(error) => error.fmt(f),
            Self::PongTimeout(_) => f.write_str("no answer to a ping"),
        }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("reserved bit set without an extension"),
            Self::ReservedOpcode(opcode) => write!(f, "reserved opcode {opcode}"),
            Self::UnmaskedFrame => f.write_str("frame from a client is not masked"),
            Self::MaskedFrame => f.write_str("frame from a server is masked"),
            Self::NonMinimalLength => f.write_str("length not in its shortest form"),
            Self::LengthTopBit => f.write_str("64-bit length with its top bit set"),
            Self::FragmentedControl => f.write_str("fragmented control frame"),
            Self::ControlTooLong => f.write_str("control frame of more than 125 bytes"),
            Self::NothingToContinue => f.write_str("continuation without a message"),
            Self::UnfinishedMessage => f.write_str("new message inside a fragmented one"),
            Self::InvalidUtf8 => f.write_str("invalid UTF-8"),
            Self::CorruptDeflate => f.write_str("corrupt compressed data"),
            Self::TruncatedCloseCode => f.write_str("close payload of one byte"),
            Self::InvalidCloseCode(code) => write!(f, "close code {code} must not be sent"),
        }
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameBytes { max } => write!(f, "frame over the limit of {max} bytes"),
            Self::MessageBytes { max } => write!(f, "message over the limit of {max} bytes"),
            Self::Fragments { max } => write!(f, "message in more than {max} fragments"),
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("connection is closing or closed"),
            Self::UnfinishedMessage => f.write_str("another message is not finished"),
            Self::OtherKind => f.write_str("fragment of another kind than its message"),
            Self::ControlTooLong => f.write_str("control payload of more than 125 bytes"),
            Self::CloseCodeNotSendable(code) => {
                write!(f, "close code {code} is not for this side to send")
            }
        }
    }
}

impl std::error::Error for Error {}
impl std::error::Error for PeerError {}
impl std::error::Error for LimitError {}
impl std::error::Error for Misuse {}
