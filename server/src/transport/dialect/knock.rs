//! A session that is not bound to one connection: requests over HTTP, which may come on any connection and at any worker, knock at
//! it by its name, and a WebSocket may take it over.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::ConnId;

/// Bytes of a name's secret.
const SECRET_BYTES: usize = 16;

/// Bytes of a name: the connection's two numbers, and the secret.
const SID_BYTES: usize = 8 + SECRET_BYTES;

/// What such a session is called: the place that it has among connections, which tells its worker, and a secret that only its
/// client knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sid {
    /// Its place.
    pub conn: ConnId,
    secret: u128,
}

impl Sid {
    /// The name of the session at a place.
    #[must_use]
    pub const fn new(conn: ConnId, secret: u128) -> Self {
        Self { conn, secret }
    }

    /// Reads what [`Display`](fmt::Display) writes; `None` for everything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let bytes = <[u8; SID_BYTES]>::try_from(bytes).ok()?;
        let (index, rest) = bytes.split_first_chunk::<4>()?;
        let (generation, secret) = rest.split_first_chunk::<4>()?;
        let conn = ConnId {
            index: u32::from_be_bytes(*index),
            generation: u32::from_be_bytes(*generation),
        };
        let secret = u128::from_be_bytes(*secret.first_chunk::<SECRET_BYTES>()?);
        Some(Self { conn, secret })
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; SID_BYTES];
        let numbers = [self.conn.index, self.conn.generation];
        let parts = numbers.iter().flat_map(|number| number.to_be_bytes());
        let parts = parts.chain(self.secret.to_be_bytes());
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = part;
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who knows the secret is the client.
        write!(f, "Sid({})", self.conn)
    }
}

/// What a connection wants of a session that is not its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Knock {
    /// What there is for its client: now, or when there is something.
    Poll,
    /// To tell it what its client says.
    Post(Vec<u8>),
    /// Nothing any more: it went before it was answered.
    Gone,
    /// To know whether it is one that can be taken over.
    Come,
    /// To know whether it may take the session over.
    Probe,
    /// It may: this goes from the session to the connection.
    Granted,
    /// To take it over.
    Upgrade,
}

/// What a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What there is.
    Payload(String),
    /// What it told is taken.
    Taken,
    /// It is refused.
    Refused(Refusal),
}

/// Why a request is refused: the errors of Engine.IO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such transport.
    UnknownTransport,
    /// There is no such session.
    UnknownSession,
    /// A session does not begin so.
    BadHandshakeMethod,
    /// It makes no sense; a sentence says why.
    BadRequest(&'static str),
    /// It may not be asked for from there.
    Forbidden,
    /// The protocol is spoken in another version.
    UnsupportedVersion,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_nothing_else_is_one() {
        let conn = ConnId {
            index: 7,
            generation: u32::MAX,
        };
        let sid = Sid::new(conn, 1 << 100);
        let text = sid.to_string();
        assert_eq!((text.len(), Sid::parse(&text)), (32, Some(sid)));
        assert!(!format!("{sid:?}").contains(&text));
        for text in ["", "abc", &text[1..], &format!("{text}A"), &"+".repeat(32)] {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
    }
}
