//! Relay: what one says is unmasked once, and the same bytes are written to everybody.

use std::mem;

use crate::connection::Connection;
use crate::frame::{self, Request};
use crate::server::{Peers, Work};

/// Frames that are to be written to all.
pub(crate) struct Relay {
    /// Written when they come, not when the turn ends.
    at_once: bool,
    frames: Vec<u8>,
}

impl Relay {
    pub(crate) const fn new(at_once: bool) -> Self {
        Self {
            at_once,
            frames: Vec::new(),
        }
    }

    /// Takes the complete frames from the front of `bytes` and returns how long they were, or nothing for a close frame.
    fn take(&mut self, bytes: &[u8], peers: &mut Peers) -> Option<usize> {
        let mut rest = bytes;
        while let Some(request) = Request::parse(rest)
            && rest.len() >= request.len()
        {
            if request.first == frame::CLOSE {
                return None;
            }
            self.unmask(request, &rest[..request.len()]);
            if self.at_once {
                self.turn_ends(peers);
            }
            rest = &rest[request.len()..];
        }
        Some(bytes.len() - rest.len())
    }

    fn unmask(&mut self, request: Request, frame: &[u8]) {
        frame::push_header(&mut self.frames, request.first, request.payload);
        let (header, payload) = frame.split_at(request.header);
        let key = &header[header.len() - 4..];
        let begin = self.frames.len();
        self.frames.extend_from_slice(payload);
        for chunk in self.frames[begin..].chunks_mut(4) {
            chunk
                .iter_mut()
                .zip(key)
                .for_each(|(byte, key)| *byte ^= key);
        }
    }
}

impl Work for Relay {
    fn read(&mut self, peers: &mut Peers, token: usize, bytes: &[u8]) -> bool {
        let Some(connection) = &mut peers.all[token] else {
            return true;
        };
        let mut part = mem::take(&mut connection.part);
        let taken = if part.is_empty() {
            let taken = self.take(bytes, peers);
            taken.inspect(|taken| part.extend_from_slice(&bytes[*taken..]))
        } else {
            part.extend_from_slice(bytes);
            let taken = self.take(&part, peers);
            taken.inspect(|taken| drop(part.drain(..*taken)))
        };
        if let Some(connection) = &mut peers.all[token] {
            connection.part = part;
            if taken.is_none() {
                connection.say_goodbye();
            }
        }
        taken.is_some()
    }

    fn write(&self, connection: &mut Connection) -> bool {
        while !connection.unsent.is_empty() {
            let sent = connection.send(&connection.unsent);
            if sent == 0 {
                return false;
            }
            connection.unsent.drain(..sent);
        }
        true
    }

    fn turn_ends(&mut self, peers: &mut Peers) {
        if self.frames.is_empty() {
            return;
        }
        for token in 0..peers.all.len() {
            let Some(connection) = &mut peers.all[token] else {
                continue;
            };
            if connection.is_full {
                connection.unsent.extend_from_slice(&self.frames);
            } else if connection.is_open {
                let sent = connection.send(&self.frames);
                if sent < self.frames.len() {
                    connection.unsent.extend_from_slice(&self.frames[sent..]);
                    peers.set_full(token, true);
                }
            }
        }
        self.frames.clear();
    }
}
