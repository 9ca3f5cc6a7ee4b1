//! Signals that end the server, as events of the loop.

use std::io;

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use tidewire_protocol::CloseCode;

/// Who asked the server to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A service manager (SIGTERM): the service comes back.
    Terminate,
    /// Somebody at the keyboard (SIGINT): it goes away.
    Interrupt,
}

impl Stop {
    /// What clients are told.
    pub(super) const fn close_code(self) -> CloseCode {
        match self {
            Self::Terminate => CloseCode::SERVICE_RESTART,
            Self::Interrupt => CloseCode::GOING_AWAY,
        }
    }
}

/// The signals that stop the server.
pub(super) struct Shutdown {
    signals: Signals,
}

impl Shutdown {
    pub(super) fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        registry.register(&mut signals, token, Interest::READABLE)?;
        Ok(Self { signals })
    }

    /// The signals that came since the last call.
    pub(super) fn pending(&mut self) -> Vec<Stop> {
        let stop = |signal| {
            if signal == SIGINT {
                Stop::Interrupt
            } else {
                Stop::Terminate
            }
        };
        self.signals.pending().map(stop).collect()
    }
}
