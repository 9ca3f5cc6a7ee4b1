//! What HTTP and WebSockets have in common, seen from the socket.

use std::io::IoSlice;
use std::time::Instant;

use tidewire_protocol::Transport;

use super::State;
use crate::transport::{HttpConfig, Turn};

impl State {
    pub(super) fn poll_transmit<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Http(http) => http.poll_transmit(slices),
            Self::WebSocket(web_socket) => web_socket.connection.poll_transmit(slices),
        }
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        match self {
            Self::Http(http) => http.unsent_bytes(),
            Self::WebSocket(web_socket) => web_socket.connection.unsent_bytes(),
        }
    }

    pub(super) fn transmitted(&mut self, bytes: usize) {
        match self {
            Self::Http(http) => http.transmitted(bytes),
            Self::WebSocket(web_socket) => web_socket.connection.transmitted(bytes),
        }
    }

    pub(super) fn handle_progress(&mut self, now: Instant) {
        match self {
            // A request has a total time.
            Self::Http(_) => {}
            Self::WebSocket(web_socket) => web_socket.connection.handle_progress(now),
        }
    }

    pub(in crate::net) fn handle_eof(&mut self, http_config: &HttpConfig, now: Instant) {
        match self {
            Self::Http(http) => http.handle_eof(http_config, now),
            Self::WebSocket(web_socket) => web_socket.connection.handle_eof(now),
        }
    }

    pub(in crate::net) fn handle_timeout(&mut self, turn: Turn<'_>) {
        match self {
            Self::Http(http) => http.handle_timeout(turn),
            Self::WebSocket(web_socket) => web_socket.connection.handle_timeout(turn.now),
        }
    }

    pub(in crate::net) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Http(http) => Some(http.deadline()),
            Self::WebSocket(web_socket) => web_socket.connection.poll_timeout(),
        }
    }

    pub(in crate::net) fn transport(&self) -> Transport {
        match self {
            Self::Http(http) => http.transport(),
            Self::WebSocket(web_socket) => web_socket.connection.transport(),
        }
    }
}
