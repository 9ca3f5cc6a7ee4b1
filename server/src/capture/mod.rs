//! Captures for Wireshark: what passes over connections, without TLS, as the packets of a TCP that never was, in a pcapng file.
//! Pure: records in, bytes out. Where records come from and who takes the bytes is `net::capture`; reading such files is
//! `tools::replay`.
//!
//! A stream in the file never has a hole: what comes behind bytes that were lost, or behind a time that was none of the
//! capture's business, is another stream, with a handshake that is made up. So whoever dissects it is never out of step.

mod filter;
mod packets;
pub(crate) mod pcapng;
mod scribe;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use tidewire_protocol::DeflateAgreement;

pub(crate) use filter::{Filter, Fit};
pub(crate) use scribe::Scribe;

use crate::ids::ConnId;

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client to the server.
    In,
    /// From the server to the client.
    Out,
}

/// A remark about the byte at this place of a record.
pub(crate) type Note = (usize, Arc<str>);

/// What happened on a connection. Times are nanoseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    /// What follows is this connection's.
    Begin {
        conn: ConnId,
        time: u64,
        place: Box<Place>,
    },
    /// It carried bytes.
    Data {
        conn: ConnId,
        time: u64,
        direction: Direction,
        bytes: Vec<u8>,
        notes: Vec<Note>,
    },
    /// It ended, or what follows is not for the capture.
    End {
        conn: ConnId,
        time: u64,
        why: Cow<'static, str>,
    },
}

/// Between whom a connection is, and what of it was missed.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) opening: Opening,
}

/// How the record of a connection begins.
#[derive(Debug, Clone)]
pub(crate) enum Opening {
    /// With its first byte.
    Whole,
    /// Later, for this reason. A WebSocket gets a handshake that is made up.
    Middle {
        why: Cow<'static, str>,
        web_socket: Option<Upgraded>,
    },
}

/// A WebSocket whose handshake was missed.
#[derive(Debug, Clone)]
pub(crate) struct Upgraded {
    /// Where it leads, as the address that asks for it.
    pub(crate) path: String,
    pub(crate) deflate: Option<DeflateAgreement>,
}

impl Record {
    /// What it takes while it waits.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Begin { .. } => size_of::<Place>(),
                Self::Data { bytes, .. } => bytes.len(),
                Self::End { .. } => 0,
            }
    }

    /// Whose it is.
    pub(crate) const fn conn(&self) -> ConnId {
        match self {
            Self::Begin { conn, .. } | Self::Data { conn, .. } | Self::End { conn, .. } => *conn,
        }
    }

    /// The bytes of a connection that it has.
    pub(crate) fn payload_bytes(&self) -> u64 {
        match self {
            Self::Data { bytes, .. } => bytes.len() as u64,
            Self::Begin { .. } | Self::End { .. } => 0,
        }
    }
}
