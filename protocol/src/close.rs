//! Close codes and the payload of the Close frame (RFC 6455 §5.5.1 and §7.4).

use std::fmt;

use crate::Side;
use crate::error::{Misuse, PeerError};
use crate::frame::CONTROL_PAYLOAD_MAX;

/// The longest reason that fits beside a code in a control frame, in bytes.
pub const REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_MAX - 2;

/// A close code that may appear in a Close frame.
///
/// The codes that exist only inside a program (1005, 1006, 1015) and the unassigned ones cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server is going down, or a browser left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a type of data that this endpoint does not accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: data that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message that breaks a policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message that is too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client needed an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition on the sender's side.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code with this number, or `None` where the number must not appear in a Close frame.
    ///
    /// Legal are 1000 to 1003 and 1007 to 1014 (defined, or registered with IANA), 3000 to 3999 (libraries and
    /// frameworks) and 4000 to 4999 (applications).
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            // "1004 Reserved." and "1005 [1006, 1015] is a reserved value and MUST NOT be set as a status code in
            // a Close control frame by an endpoint" (§7.4.1). [6455-7.4.1-1, 6455-7.4.1-2, 6455-7.4.1-4]
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether this side may send the code: 1010 is the client's alone.
    #[must_use]
    pub const fn may_be_sent_by(self, side: Side) -> bool {
        // "1010 indicates that an endpoint (client) is terminating the connection [...] Note that this status code
        // is not used by the server, because it can fail the WebSocket handshake instead" (§7.4.1).
        !matches!((self, side), (Self::MANDATORY_EXTENSION, Side::Server))
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a Close frame says: a code and a reason, or nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloseFrame {
    /// The code; `None` when the frame is empty (which an API may show as 1005).
    pub code: Option<CloseCode>,
    /// The reason, for people who read logs; at most [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
}

impl CloseFrame {
    /// A frame with a code and a reason.
    #[must_use]
    pub fn new(code: CloseCode, reason: &str) -> Self {
        Self {
            code: Some(code),
            reason: reason.to_owned(),
        }
    }

    /// Reads the payload of a Close frame.
    ///
    /// # Errors
    /// A payload of one byte, a code that must not be sent, or a reason that is not UTF-8.
    pub fn decode(payload: &[u8]) -> Result<Self, PeerError> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            // "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer" (§5.5.1).
            // [6455-5.5.1-1]
            return if payload.is_empty() {
                Ok(Self::default())
            } else {
                Err(PeerError::TruncatedCloseCode)
            };
        };
        let code = u16::from_be_bytes(*code);
        let code = CloseCode::new(code).ok_or(PeerError::InvalidCloseCode(code))?;
        // "Following the 2-byte integer, the body MAY contain UTF-8-encoded data" (§5.5.1).
        let reason = str::from_utf8(reason).map_err(|_| PeerError::InvalidUtf8)?;
        Ok(Self::new(code, reason))
    }

    /// Appends the payload of a Close frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(code) = self.code {
            // [6455-5.5.1-1]
            out.extend_from_slice(&code.0.to_be_bytes());
            out.extend_from_slice(self.reason.as_bytes());
        }
    }

    /// Checks that `side` may send this frame.
    ///
    /// # Errors
    /// A code that is the other side's, or a reason of more than [`REASON_BYTES_MAX`] bytes.
    pub(crate) fn check_sendable_by(&self, side: Side) -> Result<(), Misuse> {
        match self.code {
            Some(code) if !code.may_be_sent_by(side) => Err(Misuse::CloseCodeNotSendable(code)),
            // [6455-5.5-1]
            _ if self.reason.len() > REASON_BYTES_MAX => Err(Misuse::ControlTooLong),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [6455-7.4.1-1, 6455-7.4.1-2, 6455-7.4.1-4]
    #[test]
    fn only_defined_registered_and_private_codes_exist() {
        let legal: Vec<u16> = (0..=u16::MAX)
            .filter(|&code| CloseCode::new(code).is_some())
            .collect();
        let expected: Vec<u16> = (1000..=1003)
            .chain(1007..=1014)
            .chain(3000..=4999)
            .collect();
        assert_eq!(legal, expected);
    }

    #[test]
    fn a_server_does_not_send_1010() {
        let frame = CloseFrame::new(CloseCode::MANDATORY_EXTENSION, "");
        assert_eq!(frame.check_sendable_by(Side::Client), Ok(()));
        let refused = Err(Misuse::CloseCodeNotSendable(CloseCode::MANDATORY_EXTENSION));
        assert_eq!(frame.check_sendable_by(Side::Server), refused);
    }

    #[test]
    fn an_empty_payload_is_a_close_without_code() {
        assert_eq!(CloseFrame::decode(b""), Ok(CloseFrame::default()));
    }

    /// [6455-5.5.1-1]
    #[test]
    fn a_payload_of_one_byte_is_refused() {
        assert_eq!(CloseFrame::decode(&[3]), Err(PeerError::TruncatedCloseCode));
    }

    /// [6455-7.4.1-1, 6455-7.4.1-2, 6455-7.4.1-4]
    #[test]
    fn a_code_that_must_not_be_sent_is_refused() {
        for code in [
            0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ] {
            assert_eq!(
                CloseFrame::decode(&code.to_be_bytes()),
                Err(PeerError::InvalidCloseCode(code))
            );
        }
    }

    #[test]
    fn a_reason_that_is_not_utf8_is_refused() {
        assert_eq!(
            CloseFrame::decode(b"\x03\xe8\xff"),
            Err(PeerError::InvalidUtf8)
        );
    }

    /// [6455-5.5.1-1]
    #[test]
    fn what_is_encoded_is_decoded() {
        let frame = CloseFrame::new(CloseCode::NORMAL, "bye: früh");
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        assert_eq!(CloseFrame::decode(&bytes), Ok(frame));
    }

    /// [6455-5.5-1]
    #[test]
    fn a_code_is_shown_as_its_number() {
        assert_eq!(CloseCode::GOING_AWAY.to_string(), "1001");
    }

    #[test]
    fn a_reason_of_124_bytes_is_too_long() {
        let fits = CloseFrame::new(CloseCode::NORMAL, &"r".repeat(123));
        let over = CloseFrame::new(CloseCode::NORMAL, &"r".repeat(124));
        assert_eq!(fits.check_sendable_by(Side::Server), Ok(()));
        assert_eq!(
            over.check_sendable_by(Side::Server),
            Err(Misuse::ControlTooLong)
        );
    }
}
