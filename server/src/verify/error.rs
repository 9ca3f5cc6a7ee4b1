//! Why a run ends without a verdict.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::client::{BadAddress, TrustError};

/// Why there is no verdict.
#[derive(Debug)]
pub enum VerifyError {
    /// The address is none.
    Address(BadAddress),
    /// TLS is to be spoken, and nobody is trusted.
    Trust(TrustError),
    /// The system refused something.
    Io(&'static str, io::Error),
    /// The server was silent for too long, before there was anything to judge; and what the last connection said.
    Silent(&'static str, Duration, Option<String>),
    /// The server does not let us do what it is to be verified by.
    Denied {
        /// The server's sentence.
        message: String,
        /// Whether a token was shown.
        has_token: bool,
    },
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Trust(error) => error.fmt(f),
            Self::Io(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Silent(what, time, why) => {
                write!(f, "the server did not {what} for {} s", time.as_secs())?;
                why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::Denied { message, has_token } => {
                let advice = if *has_token {
                    "The token has to let its user join, publish and read in rooms verify-*, with a connection for each client."
                } else {
                    "Name a token with TIDEWIRE_TOKEN or --token."
                };
                write!(
                    f,
                    "the server does not let itself be verified: {message} {advice}"
                )
            }
        }
    }
}

impl std::error::Error for VerifyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => Some(error),
            Self::Trust(error) => Some(error),
            Self::Io(_, error) => Some(error),
            Self::Silent(..) | Self::Denied { .. } => None,
        }
    }
}
