//! Reason codes (MQTT 5.0 §2.4), the return codes that 3.1.1 has for some of them, and which of them an error of the chat is.

use tidewire_protocol::CloseCode;

/// Why something was done or not. The names are the standard's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reason {
    Success = 0x00,
    NoSubscriptionExisted = 0x11,
    UnspecifiedError = 0x80,
    MalformedPacket = 0x81,
    ProtocolError = 0x82,
    UnsupportedProtocolVersion = 0x84,
    ClientIdentifierNotValid = 0x85,
    BadUserNameOrPassword = 0x86,
    NotAuthorized = 0x87,
    ServerUnavailable = 0x88,
    ServerShuttingDown = 0x8B,
    BadAuthenticationMethod = 0x8C,
    KeepAliveTimeout = 0x8D,
    SessionTakenOver = 0x8E,
    TopicFilterInvalid = 0x8F,
    TopicNameInvalid = 0x90,
    PacketIdentifierNotFound = 0x92,
    ReceiveMaximumExceeded = 0x93,
    TopicAliasInvalid = 0x94,
    PacketTooLarge = 0x95,
    QuotaExceeded = 0x97,
    PayloadFormatInvalid = 0x99,
    SharedSubscriptionsNotSupported = 0x9E,
}

impl Reason {
    /// The byte on the wire.
    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    /// What 3.1.1 answers a CONNECT by (§3.2.2.3); it knows five refusals.
    pub(super) const fn return_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized | Self::BadAuthenticationMethod => 5,
            Self::NoSubscriptionExisted
            | Self::UnspecifiedError
            | Self::MalformedPacket
            | Self::ProtocolError
            | Self::ServerUnavailable
            | Self::ServerShuttingDown
            | Self::KeepAliveTimeout
            | Self::SessionTakenOver
            | Self::TopicFilterInvalid
            | Self::TopicNameInvalid
            | Self::PacketIdentifierNotFound
            | Self::ReceiveMaximumExceeded
            | Self::TopicAliasInvalid
            | Self::PacketTooLarge
            | Self::QuotaExceeded
            | Self::PayloadFormatInvalid
            | Self::SharedSubscriptionsNotSupported => 3,
        }
    }

    /// What an error of the chat is, by its code.
    pub(super) fn of_error(code: &str) -> Self {
        match code {
            "unauthorized" | "forbidden" => Self::NotAuthorized,
            "rate_limited" | "too_many_rooms" | "too_many_connections" | "storage_full" => {
                Self::QuotaExceeded
            }
            "bad_name" => Self::TopicNameInvalid,
            "unavailable" => Self::ServerUnavailable,
            _ => Self::UnspecifiedError,
        }
    }

    /// Why the server ends a connection, by the code with which it closes the WebSocket.
    pub(super) const fn of_closing(code: CloseCode) -> Self {
        match code.get() {
            1001 | 1012 => Self::ServerShuttingDown,
            1003 => Self::ProtocolError,
            1008 | 4001 => Self::NotAuthorized,
            1009 => Self::PacketTooLarge,
            1013 | 4008 => Self::QuotaExceeded,
            4003 => Self::SessionTakenOver,
            4009 => Self::KeepAliveTimeout,
            _ => Self::UnspecifiedError,
        }
    }
}

/// A packet that ends its connection: what is wrong with it, as a sentence's end without a full stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) reason: Reason,
    pub(super) why: &'static str,
}

/// It cannot be read.
pub(super) const fn malformed(why: &'static str) -> Bad {
    let reason = Reason::MalformedPacket;
    Bad { reason, why }
}

/// It can be read, and is not allowed.
pub(super) const fn forbidden(why: &'static str) -> Bad {
    let reason = Reason::ProtocolError;
    Bad { reason, why }
}
