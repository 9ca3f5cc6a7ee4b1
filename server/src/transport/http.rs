//! A connection while it speaks HTTP/1.1: requests in, responses out, until one of them is a WebSocket handshake.
//!
//! Pure: bytes and `now` in, bytes out. A request has a total time, not one that each byte prolongs.

use std::io::IoSlice;
use std::mem;
use std::time::{Duration, Instant};

use tidewire_protocol::handshake::head::{HeadLimits, HeadReader};
use tidewire_protocol::handshake::server::{HeaderStorage, Request};
use tidewire_protocol::{DeflateAgreement, DeflateConfig, Transport};

use super::response::{Response, overloaded};
use super::routes::{Endpoint, Route, route};
use crate::metrics::Status;

/// Unsent bytes above which no further request is answered: pipelined requests for pages must not fill the memory.
const OUT_BYTES_HIGH: usize = 64 << 10;

/// Bytes read and thrown away after the last response, so that no reset destroys it on its way.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// Times of an HTTP connection.
#[derive(Debug, Clone)]
pub(crate) struct HttpConfig {
    /// From the connection, or the first byte of a further request, to the end of its head.
    pub(crate) request_timeout: Duration,
    /// Between requests.
    pub(crate) keep_alive: Duration,
    /// For the peer to take the last response and end the connection.
    pub(crate) close_timeout: Duration,
    /// How messages are compressed; `None` declines every offer.
    pub(crate) deflate: Option<DeflateConfig>,
}

/// A handshake that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Where it leads.
    pub(crate) endpoint: Endpoint,
    /// What was agreed on about permessage-deflate.
    pub(crate) deflate: Option<DeflateAgreement>,
}

/// The state of the connection.
#[derive(Debug)]
pub(crate) struct Http {
    reader: HeadReader,
    out: Vec<u8>,
    sent: usize,
    /// What came behind a request while too much was unsent.
    stash: Vec<u8>,
    phase: Phase,
    deadline: Instant,
    /// All connections are taken: this one hears so, and nothing else.
    overloaded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for a request, or in the middle of one.
    Reading,
    /// The last response is on its way.
    Closing {
        lingered_bytes: usize,
        eof: bool,
    },
    Done,
}

impl Http {
    /// A connection that was just made.
    pub(crate) fn new(config: &HttpConfig, overloaded: bool, now: Instant) -> Self {
        Self {
            reader: HeadReader::new(HeadLimits::default()),
            out: Vec::new(),
            sent: 0,
            stash: Vec::new(),
            phase: Phase::Reading,
            deadline: now + config.request_timeout,
            overloaded,
        }
    }

    /// Takes bytes and answers requests; returns where a handshake leads. Then [`unsent`](Self::unsent) is to go
    /// out first, and what is left in `input` are frames.
    pub(crate) fn handle_input(
        &mut self,
        input: &mut &mut [u8],
        config: &HttpConfig,
        status: &Status,
        now: Instant,
    ) -> Option<Accepted> {
        let mut was_idle = !self.reader.has_begun();
        loop {
            match self.phase {
                Phase::Reading if self.unsent_bytes() > OUT_BYTES_HIGH => {
                    let rest = mem::take(input);
                    self.stash.extend_from_slice(rest);
                    return None;
                }
                Phase::Reading => {}
                Phase::Closing { .. } | Phase::Done => {
                    self.throw_away(input);
                    return None;
                }
            }
            match self.reader.handle_input(input) {
                Ok(None) => break,
                Ok(Some(head)) => {
                    was_idle = true;
                    self.deadline = now + config.keep_alive;
                    if let Some(accepted) = self.answer(&head, config, status, now) {
                        return Some(accepted);
                    }
                }
                Err(error) => self.respond_last(&Response::bad_head(error), false, config, now),
            }
        }
        if was_idle && self.reader.has_begun() && self.deadline > now + config.request_timeout {
            self.deadline = now + config.request_timeout;
        }
        None
    }

    /// Goes on with requests that waited for unsent bytes to leave.
    pub(crate) fn resume(
        &mut self,
        config: &HttpConfig,
        status: &Status,
        now: Instant,
    ) -> Option<(Accepted, Vec<u8>)> {
        if self.stash.is_empty() || self.unsent_bytes() > OUT_BYTES_HIGH {
            return None;
        }
        let mut stash = mem::take(&mut self.stash);
        let mut input = &mut stash[..];
        let accepted = self.handle_input(&mut input, config, status, now)?;
        let behind = input.to_vec();
        Some((accepted, behind))
    }

    /// Whether no more is to be read before unsent bytes have left.
    pub(crate) const fn is_paused(&self) -> bool {
        !self.stash.is_empty()
    }

    /// Answers one request, whose head is whole.
    fn answer(
        &mut self,
        head: &[u8],
        config: &HttpConfig,
        status: &Status,
        now: Instant,
    ) -> Option<Accepted> {
        let mut storage = HeaderStorage::default();
        let Ok(request) = Request::parse(head, &mut storage) else {
            self.respond_last(&Response::malformed(), false, config, now);
            return None;
        };
        let head_only = request.method == "HEAD";
        if let Some(response) = self.refuse(&request) {
            self.respond_last(&response, head_only, config, now);
            return None;
        }
        match route(&request, status) {
            Route::Accept {
                upgrade,
                protocol,
                endpoint,
            } => {
                let offers = upgrade.extensions();
                let deflate = config
                    .deflate
                    .as_ref()
                    .and_then(|config| config.accept(offers));
                let answer = deflate.as_ref().map(|(_, answer)| answer.as_str());
                upgrade.accept(protocol, answer, &mut self.out);
                let deflate = deflate.map(|(agreement, _)| agreement);
                Some(Accepted { endpoint, deflate })
            }
            Route::Respond(response) => {
                // Who asked for another protocol and did not get it may go on in that protocol, and be passed on by
                // a proxy that thinks so, too: what follows is not to be read as HTTP. "The server MUST simply _Close the
                // WebSocket Connection_" (RFC 6455 §7.2.2). [6455-7.2.2-1]
                let asked_to_upgrade = request.values("upgrade").next().is_some();
                let goes_on = request.wants_keep_alive() && !asked_to_upgrade && !response.closes;
                if goes_on && status.status == "up" {
                    response.encode(true, head_only, &mut self.out);
                } else {
                    self.respond_last(&response, head_only, config, now);
                }
                None
            }
        }
    }

    /// What no address is asked about: no address takes a body, and an overloaded server answers nothing else.
    fn refuse(&self, request: &Request<'_>) -> Option<Response> {
        if self.overloaded {
            return Some(overloaded());
        }
        match request.body_bytes() {
            Ok(0) => None,
            Ok(_) => Some(Response::sentence(413, "No address here takes a body.")),
            Err(_) => Some(Response::sentence(
                400,
                "The length of the body is not certain: give one Content-Length and no Transfer-Encoding.",
            )),
        }
    }

    fn respond_last(
        &mut self,
        response: &Response,
        head_only: bool,
        config: &HttpConfig,
        now: Instant,
    ) {
        response.encode(false, head_only, &mut self.out);
        self.close(config, now);
    }

    fn close(&mut self, config: &HttpConfig, now: Instant) {
        self.phase = Phase::Closing {
            lingered_bytes: 0,
            eof: false,
        };
        self.deadline = now + config.close_timeout;
        self.stash = Vec::new();
    }

    fn throw_away(&mut self, input: &mut &mut [u8]) {
        let bytes = mem::take(input).len();
        if let Phase::Closing { lingered_bytes, .. } = &mut self.phase {
            *lingered_bytes += bytes;
            if *lingered_bytes > LINGER_BYTES_MAX {
                self.abandon();
            }
        }
    }

    /// The peer ended its half.
    pub(crate) fn handle_eof(&mut self, config: &HttpConfig, now: Instant) {
        if self.phase == Phase::Reading {
            self.close(config, now);
        }
        if let Phase::Closing { eof, .. } = &mut self.phase {
            *eof = true;
        }
    }

    /// Does what is due at `now`.
    pub(crate) fn handle_timeout(&mut self, config: &HttpConfig, now: Instant) {
        if now < self.deadline {
            return;
        }
        if self.phase == Phase::Reading && self.reader.has_begun() && self.unsent_bytes() == 0 {
            let response = Response::sentence(408, "The request took too long to arrive.");
            self.respond_last(&response, false, config, now);
        } else {
            self.abandon();
        }
    }

    /// Gives up on the socket: what it does not take is not waited for.
    fn abandon(&mut self) {
        self.phase = Phase::Done;
        (self.out, self.sent) = (Vec::new(), 0);
        self.stash = Vec::new();
    }

    /// The server stops: an idle connection ends now, a busy one after its response.
    pub(crate) fn drain(&mut self, config: &HttpConfig, now: Instant) {
        if self.phase == Phase::Reading && !self.reader.has_begun() {
            self.close(config, now);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What to do with the socket once all is sent.
    pub(crate) const fn transport(&self) -> Transport {
        match self.phase {
            Phase::Reading => Transport::Keep,
            Phase::Closing { eof: false, .. } => Transport::HalfClose,
            Phase::Closing { eof: true, .. } | Phase::Done => Transport::Drop,
        }
    }

    /// The next unsent bytes; returns how many slices there are.
    pub(crate) fn poll_transmit<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match slices.first_mut() {
            Some(slice) if self.unsent_bytes() > 0 => {
                *slice = IoSlice::new(&self.out[self.sent..]);
                1
            }
            _ => 0,
        }
    }

    /// The socket took the next `bytes` bytes.
    pub(crate) fn transmitted(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent == self.out.len() {
            (self.out, self.sent) = (Vec::new(), 0);
        }
    }

    /// Bytes queued and not sent.
    pub(crate) const fn unsent_bytes(&self) -> usize {
        self.out.len() - self.sent
    }

    /// What is still to be sent when the connection speaks HTTP no more.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_begins_behind_another_has_no_more_time_than_the_first() {
        let config = HttpConfig {
            deflate: None,
            request_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
        };
        let status = Status {
            status: "up",
            ..Status::default()
        };
        let now = Instant::now();
        let mut http = Http::new(&config, false, now);
        let mut receive = |bytes: &[u8], now| {
            let mut bytes = bytes.to_vec();
            assert!(
                http.handle_input(&mut &mut bytes[..], &config, &status, now)
                    .is_none()
            );
            http.deadline()
        };
        let up = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(receive(b"GET", now), now + config.request_timeout);
        let rest = format!("{}GET", &up[3..]);
        assert_eq!(receive(rest.as_bytes(), now), now + config.request_timeout);
    }
}
