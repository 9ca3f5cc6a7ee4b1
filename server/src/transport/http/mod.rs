//! A connection while it speaks HTTP/1.1: requests in, responses out, until one of them is a WebSocket handshake.
//!
//! Pure: bytes and the [`Turn`] in, bytes and events out. A request has a total time, not one that each byte prolongs.
//!
//! ```text
//!            head            JSON body whole
//!  Reading ───────► Collecting ─────────────┐
//!   ▲ │ │                                   ▼     respond     body left to send
//!   │ │ ├───────────── Call ────────────► Waiting ─────────┬────────► Sending ─┐
//!   │ │ │   Call, Body …                    ▲              │                   │
//!   │ │ └───────────► Receiving ────────────┘              │ all is said       │
//!   │ │                        BodyEnd                     │                   │
//!   └─│────────────────────────────────────────────────────┴───────────────────┘
//!     └─► Closing ─► Done:  from everywhere, when a response is the last one; from Streaming, which an endless
//!                           response leads to, when it ends
//! ```
//!
//! While a call waits, no further request is looked at: answers come in the order of requests.

mod body;
mod calls;
mod config;
mod exchange;
mod outcome;
mod outgoing;

use std::mem;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tidewire_protocol::handshake::head::{HeadLimits, HeadReader};
use tidewire_protocol::handshake::server::{HeaderStorage, Request};
use tidewire_protocol::{DeflateAgreement, Transport};

use self::body::{Collecting, Receiving};
pub(crate) use self::config::HttpConfig;
use self::exchange::Exchange;
use self::outcome::Outcome;
use super::api::Call;
use super::client::Gate;
use super::date::Date;
use super::response::Response;
use super::routes::{Endpoint, Route, route};
use crate::auth::Access;
use crate::metrics::Status;

/// Unsent bytes above which no further request is answered: pipelined requests for pages must not fill the memory.
const OUT_BYTES_HIGH: usize = 64 << 10;

/// Bytes read and thrown away after the last response, so that no reset destroys it on its way ...
const LINGER_BYTES_MAX: u64 = 1 << 20;

/// ... and of a body that was announced and refused: its sender reads the refusal only once it has sent all of it.
const REFUSED_BODY_BYTES_MAX: u64 = 64 << 20;

/// Between two signs of life in a stream in which nothing else is said: less than the minute after which proxies give up.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What all connections are to know in a turn of the loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    /// Where the connection comes from.
    pub(crate) peer: IpAddr,
    pub(crate) config: &'a HttpConfig,
    pub(crate) status: &'a Status,
    pub(crate) date: &'a Date,
    pub(crate) now: Instant,
    /// The same moment in milliseconds since 1970, which is what tokens are about.
    pub(crate) unix_ms: u64,
}

/// What a connection leads to.
#[derive(Debug)]
pub(crate) enum Event {
    /// A handshake was accepted: [`unsent`](Http::unsent) is to go out first, and what is left of the input are frames.
    Upgrade(Accepted),
    /// Something is to be carried out, and answered by [`respond`](Http::respond).
    Call(Call),
    /// The next bytes of the body that the call takes; [`body_taken`](Http::body_taken) says that they are dealt with.
    Body(Vec<u8>),
    /// The body is whole.
    BodyEnd,
}

/// A handshake that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Where it leads.
    pub(crate) endpoint: Endpoint,
    /// The subprotocol that was agreed on.
    pub(crate) protocol: Option<&'static str>,
    /// By what token.
    pub(crate) access: Access,
    /// What was agreed on about permessage-deflate.
    pub(crate) deflate: Option<DeflateAgreement>,
}

/// The state of the connection.
#[derive(Debug)]
pub(crate) struct Http {
    reader: HeadReader,
    out: Vec<u8>,
    sent: usize,
    /// What came behind a request that is not answered yet, or while too much was unsent: one read at most.
    stash: Vec<u8>,
    phase: Phase,
    /// What the request in hand wants of its response.
    exchange: Exchange,
    outcome: Outcome,
    deadline: Instant,
    /// Requests that were refused for their token and are not counted yet.
    unauthorized: u32,
    /// The peer has ended its half.
    eof: bool,
    /// All connections are taken: this one hears so, and nothing else.
    overloaded: bool,
    /// Whose it is, and whether that one is let in.
    pub(crate) gate: Gate,
}

#[derive(Debug)]
enum Phase {
    /// Waiting for a request, or in the middle of its head.
    Reading,
    /// In the middle of a body that is parsed when it is whole.
    Collecting(Box<Collecting>),
    /// In the middle of a body that is passed on.
    Receiving(Receiving),
    /// A call is being carried out.
    Waiting,
    /// In the middle of a response whose body comes in pieces.
    Sending {
        left: u64,
        goes_on: bool,
    },
    /// In the middle of a response that ends with the connection.
    Streaming {
        /// It says something now and then.
        beats: bool,
    },
    /// The last response is on its way.
    Closing {
        linger_bytes: u64,
    },
    Done,
}

/// Whether there is more to do with the input, or an event for the caller, or nothing.
type Step = ControlFlow<Option<Event>>;

impl Http {
    /// A connection that was just made.
    pub(crate) fn new(config: &HttpConfig, overloaded: bool, now: Instant) -> Self {
        Self {
            reader: HeadReader::new(HeadLimits::default()),
            out: Vec::new(),
            sent: 0,
            stash: Vec::new(),
            phase: Phase::Reading,
            exchange: Exchange::default(),
            outcome: Outcome::default(),
            deadline: now + config.request_timeout,
            unauthorized: 0,
            eof: false,
            overloaded,
            gate: Gate::default(),
        }
    }

    // ---- in ----

    /// Takes bytes and answers requests; call it with the rest of the input until there are no more events.
    pub(crate) fn handle_input(&mut self, input: &mut &mut [u8], turn: Turn<'_>) -> Option<Event> {
        loop {
            if let ControlFlow::Break(event) = self.step(input, turn) {
                return event;
            }
        }
    }

    fn step(&mut self, input: &mut &mut [u8], turn: Turn<'_>) -> Step {
        match &mut self.phase {
            Phase::Reading if self.out.len() - self.sent <= OUT_BYTES_HIGH => {
                self.read_head(input, turn)
            }
            Phase::Reading | Phase::Waiting | Phase::Sending { .. } => self.put_aside(input),
            Phase::Collecting(collecting) => {
                if !collecting.take(input) {
                    return ControlFlow::Break(None);
                }
                let parsed = collecting.parse();
                self.exchange.body_is_read();
                match parsed {
                    Ok(call) => self.wait_for(call, turn),
                    Err(problem) => self.deliver(&problem.into_response(), turn),
                }
            }
            Phase::Receiving(receiving) if receiving.is_whole() => {
                self.exchange.body_is_read();
                self.wait(turn);
                ControlFlow::Break(Some(Event::BodyEnd))
            }
            Phase::Receiving(receiving) => match receiving.take(input) {
                None => self.put_aside(input),
                bytes => ControlFlow::Break(bytes.map(Event::Body)),
            },
            // Nothing that comes now is a request.
            Phase::Streaming { .. } | Phase::Closing { .. } | Phase::Done => self.throw_away(input),
        }
    }

    fn read_head(&mut self, input: &mut &mut [u8], turn: Turn<'_>) -> Step {
        let was_idle = !self.reader.has_begun();
        match self.reader.handle_input(input) {
            Ok(Some(head)) => {
                self.deadline = turn.now + turn.config.keep_alive;
                let body_has_begun = !input.is_empty();
                self.answer(&head, body_has_begun, turn)
            }
            Ok(None) => {
                if was_idle && self.reader.has_begun() {
                    self.deadline = self.deadline.min(turn.now + turn.config.request_timeout);
                }
                ControlFlow::Break(None)
            }
            Err(error) => {
                self.outcome.is_refused = true;
                self.deliver(&Response::bad_head(error).closing(), turn)
            }
        }
    }

    /// Answers one request, whose head is whole, or sees what has to come or to be done first.
    fn answer(&mut self, head: &[u8], body_has_begun: bool, turn: Turn<'_>) -> Step {
        let mut storage = HeaderStorage::default();
        let Ok(request) = Request::parse(head, &mut storage) else {
            self.outcome.is_refused = true;
            return self.deliver(&Response::malformed().closing(), turn);
        };
        self.exchange = Exchange::of(&request, turn.config);
        if let Some(refusal) = self.gate.check(&request, turn) {
            return self.deliver(&refusal, turn);
        }
        match route(&request, self.overloaded, turn) {
            Route::Accept {
                upgrade,
                protocol,
                endpoint,
                access,
            } => {
                let offers = upgrade.extensions();
                let config = turn.config.deflate.as_ref();
                let deflate = config.and_then(|config| config.accept(offers));
                let answer = deflate.as_ref().map(|(_, answer)| answer.as_str());
                upgrade.accept(protocol, answer, &mut self.out);
                let deflate = deflate.map(|(agreement, _)| agreement);
                ControlFlow::Break(Some(Event::Upgrade(Accepted {
                    endpoint,
                    protocol,
                    access,
                    deflate,
                })))
            }
            Route::Respond(response) => self.deliver(&response, turn),
            Route::Call(call) => self.wait_for(call, turn),
            Route::Collect {
                bytes,
                parse,
                target,
            } => {
                self.await_body(bytes, body_has_begun, turn);
                self.phase = Phase::Collecting(Box::new(Collecting::new(bytes, parse, target)));
                ControlFlow::Continue(())
            }
            Route::Receive { bytes, call } => {
                self.await_body(bytes, body_has_begun, turn);
                self.phase = Phase::Receiving(Receiving::new(bytes));
                ControlFlow::Break(Some(Event::Call(call)))
            }
        }
    }

    fn await_body(&mut self, bytes: u64, has_begun: bool, turn: Turn<'_>) {
        self.deadline = turn.now + turn.config.body_time(bytes);
        // "A server MAY omit sending a 100 (Continue) response if it has already received some or all of the content for
        // the corresponding request" (RFC 9110 §10.1.1).
        if self.exchange.expects_continue && bytes > 0 && !has_begun {
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    fn wait_for(&mut self, call: Call, turn: Turn<'_>) -> Step {
        self.wait(turn);
        ControlFlow::Break(Some(Event::Call(call)))
    }

    fn wait(&mut self, turn: Turn<'_>) {
        self.phase = Phase::Waiting;
        self.deadline = turn.now + turn.config.call_timeout;
    }

    fn put_aside(&mut self, input: &mut &mut [u8]) -> Step {
        let rest = mem::take(input);
        self.stash.extend_from_slice(rest);
        ControlFlow::Break(None)
    }

    fn throw_away(&mut self, input: &mut &mut [u8]) -> Step {
        let bytes = mem::take(input).len() as u64;
        if let Phase::Closing { linger_bytes } = &mut self.phase {
            match linger_bytes.checked_sub(bytes) {
                Some(left) => *linger_bytes = left,
                None => self.abandon(),
            }
        }
        ControlFlow::Break(None)
    }

    /// What was put aside, if the time for it has come: to be handed to [`handle_input`](Self::handle_input).
    pub(crate) fn take_stash(&mut self) -> Option<Vec<u8>> {
        let is_time = match &self.phase {
            Phase::Reading => self.unsent_bytes() <= OUT_BYTES_HIGH,
            Phase::Receiving(receiving) => !receiving.is_full(),
            Phase::Waiting | Phase::Sending { .. } => false,
            Phase::Collecting(_)
            | Phase::Streaming { .. }
            | Phase::Closing { .. }
            | Phase::Done => false,
        };
        (is_time && !self.stash.is_empty()).then(|| mem::take(&mut self.stash))
    }

    /// Whether the socket is not to be read for now.
    pub(crate) fn is_paused(&self) -> bool {
        let is_full = matches!(&self.phase, Phase::Receiving(receiving) if receiving.is_full());
        is_full || !self.stash.is_empty()
    }

    /// Whether a body is coming that is passed on: it is worth larger reads.
    pub(crate) const fn is_receiving(&self) -> bool {
        matches!(self.phase, Phase::Receiving(_))
    }

    // ---- out ----

    /// Encodes the response to the request in hand.
    fn deliver(&mut self, response: &Response, turn: Turn<'_>) -> Step {
        let exchange = mem::take(&mut self.exchange);
        self.unauthorized += u32::from(response.is_unauthorized());
        let goes_on =
            exchange.goes_on() && !response.closes && !self.eof && turn.status.status == "up";
        let (asked, is_stream) = (exchange.asked_to_upgrade, response.endless().is_some());
        self.outcome.answered(response.status(), asked, is_stream);
        response.encode(exchange.manner(goes_on, turn.date), &mut self.out);
        match (response.stream_bytes(), response.endless()) {
            (_, Some(beats)) if !exchange.head_only => {
                self.phase = Phase::Streaming { beats };
                self.deadline = turn.now + HEARTBEAT;
            }
            (left, None) if left > 0 && !exchange.head_only => {
                self.phase = Phase::Sending { left, goes_on };
                self.deadline = turn.now + turn.config.body_time(left);
            }
            _ => self.after_response(goes_on, turn),
        }
        if let Phase::Closing { linger_bytes } = &mut self.phase {
            *linger_bytes += exchange.unread_bytes().min(REFUSED_BODY_BYTES_MAX);
        }
        ControlFlow::Continue(())
    }

    fn after_response(&mut self, goes_on: bool, turn: Turn<'_>) {
        if goes_on && !self.eof {
            self.phase = Phase::Reading;
            self.deadline = turn.now + turn.config.keep_alive;
        } else {
            self.close(turn.config, turn.now);
        }
    }

    fn close(&mut self, config: &HttpConfig, now: Instant) {
        self.phase = Phase::Closing {
            linger_bytes: LINGER_BYTES_MAX,
        };
        self.deadline = now + config.close_timeout;
        self.stash = Vec::new();
    }

    /// Gives up on the socket: what it does not take is not waited for.
    pub(crate) fn abandon(&mut self) {
        self.phase = Phase::Done;
        (self.out, self.sent) = (Vec::new(), 0);
        self.stash = Vec::new();
    }

    // ---- the end ----

    /// The peer ended its half. Who has asked something still gets the answer.
    pub(crate) fn handle_eof(&mut self, config: &HttpConfig, now: Instant) {
        self.eof = true;
        match self.phase {
            Phase::Reading | Phase::Collecting(_) | Phase::Receiving(_) => self.close(config, now),
            // Nobody reads what would come.
            Phase::Streaming { .. } => self.abandon(),
            Phase::Waiting | Phase::Sending { .. } | Phase::Closing { .. } | Phase::Done => {}
        }
    }

    /// Does what is due at the turn's time.
    pub(crate) fn handle_timeout(&mut self, turn: Turn<'_>) {
        if turn.now < self.deadline {
            return;
        }
        let is_request = matches!(
            self.phase,
            Phase::Reading | Phase::Collecting(_) | Phase::Receiving(_)
        );
        self.outcome.is_late |= is_request && self.outcome.status == 0;
        let response = match self.phase {
            Phase::Streaming { beats } => {
                self.deadline = turn.now + HEARTBEAT;
                if beats {
                    self.push(b": heartbeat\n\n");
                }
                return;
            }
            Phase::Reading if self.reader.has_begun() && self.unsent_bytes() == 0 => {
                Response::sentence(408, "The request took too long to arrive.")
            }
            Phase::Collecting(_) | Phase::Receiving(_) => {
                Response::problem(408, "timeout", "The body took too long to arrive.")
            }
            Phase::Waiting => Response::problem(504, "timeout", "The answer took too long."),
            Phase::Reading | Phase::Sending { .. } | Phase::Closing { .. } | Phase::Done => {
                return self.abandon();
            }
        };
        let _ = self.deliver(&response.closing(), turn);
    }

    /// The server stops: an idle connection ends now, a busy one after its response.
    pub(crate) fn drain(&mut self, config: &HttpConfig, now: Instant) {
        let is_idle = match self.phase {
            Phase::Reading => !self.reader.has_begun(),
            Phase::Streaming { .. } => true,
            Phase::Collecting(_)
            | Phase::Receiving(_)
            | Phase::Waiting
            | Phase::Sending { .. }
            | Phase::Closing { .. }
            | Phase::Done => false,
        };
        if is_idle {
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
            Phase::Closing { .. } if !self.eof => Transport::HalfClose,
            Phase::Closing { .. } | Phase::Done => Transport::Drop,
            Phase::Reading | Phase::Collecting(_) | Phase::Receiving(_) => Transport::Keep,
            Phase::Waiting | Phase::Sending { .. } | Phase::Streaming { .. } => Transport::Keep,
        }
    }
}

#[cfg(test)]
mod tests;
