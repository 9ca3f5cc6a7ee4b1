//! Why a run ends without figures.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::client::{BadAddress, TrustError};

/// Why there is nothing to tell.
#[derive(Debug)]
pub enum BenchError {
    /// The address is none.
    Address(BadAddress),
    /// TLS is to be spoken, and nobody is trusted.
    Trust(TrustError),
    /// The address has a fragment, which a WebSocket cannot have (RFC 6455 §3).
    Fragment,
    /// The name of the server leads nowhere.
    Name(String, io::Error),
    /// Nobody answers there.
    Connect(SocketAddr, io::Error),
    /// The first connection failed, and so would the others.
    Refused {
        /// Where it was made to.
        url: String,
        /// What happened to it.
        why: String,
    },
    /// More connections than the limit on open files allows.
    Files {
        /// How many were asked for.
        connections: usize,
        /// Open files that takes.
        needed: u64,
        /// What the system allows.
        limit: u64,
    },
    /// The picture cannot be written.
    Picture(PathBuf, String),
    /// The system refused something.
    Io(&'static str, io::Error),
}

impl BenchError {
    pub(super) fn picture(path: &Path, error: &dyn std::error::Error) -> Self {
        Self::Picture(path.to_owned(), error.to_string())
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Trust(error) => error.fmt(f),
            Self::Fragment => f.write_str("leave out of the address what begins with #"),
            Self::Name(host, error) => write!(f, "cannot find {host}: {error}"),
            Self::Connect(address, error) => write!(
                f,
                "cannot connect to {address}: {error}; is the server running there?"
            ),
            Self::Refused { url, why } => write!(f, "no WebSocket at {url}: {why}"),
            Self::Files {
                connections,
                needed,
                limit,
            } => write!(
                f,
                "{connections} connections need {needed} open files and the limit is {limit}: raise it with \
                 `ulimit -n {needed}`, or ask for fewer with --connections"
            ),
            Self::Picture(path, error) => {
                write!(f, "cannot write the picture {}: {error}", path.display())
            }
            Self::Io(what, error) => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for BenchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => Some(error),
            Self::Trust(error) => Some(error),
            Self::Name(_, error) | Self::Connect(_, error) | Self::Io(_, error) => Some(error),
            Self::Fragment | Self::Refused { .. } | Self::Files { .. } | Self::Picture(..) => None,
        }
    }
}
