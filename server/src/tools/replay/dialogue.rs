//! What two ends said to each other: requests and answers over HTTP, then a handshake, then frames.

use std::collections::VecDeque;
use std::time::Instant;

use tidewire_protocol::handshake::client::{Handshake, HandshakeError};
use tidewire_protocol::handshake::head::HeadReader;
use tidewire_protocol::handshake::server::{HeaderStorage, Request, Upgrade};
use tidewire_protocol::{DeflateAgreement, Side};

use super::frames::{Frames, State};
use super::told::{Told, name};

/// Frames that a client sends before its handshake is answered, in bytes that are kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Requests that wait for their answers.
const REQUESTS_MAX: usize = 1000;

/// A connection, as far as it is known.
pub(super) struct Dialogue {
    phase: Phase,
    /// Its handshake is made up: what was said before is missing.
    is_from_the_middle: bool,
    now: Instant,
}

enum Phase {
    Http(Box<Http>),
    WebSocket(Box<[Frames; 2]>),
    /// Nothing of it is looked at, for a reason that is known.
    Opaque(&'static str),
}

/// While it speaks HTTP.
struct Http {
    client: Half,
    server: Half,
    asked: VecDeque<Asked>,
    /// What the client said behind a handshake that is not answered yet.
    kept: Vec<u8>,
    answered: u64,
}

/// One side of HTTP: its heads, and what is left of a body.
#[derive(Default)]
struct Half {
    reader: HeadReader,
    body_left: u64,
}

/// A request that waits for its answer.
enum Asked {
    Plain {
        is_head: bool,
    },
    Upgrade(Box<Handshake>),
    /// A handshake that is none.
    Refusable,
}

/// How a connection is judged.
pub(super) struct Verdict {
    pub(super) words: String,
    pub(super) is_broken: bool,
}

impl Dialogue {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Http(Box::new(Http {
                client: Half::default(),
                server: Half::default(),
                asked: VecDeque::new(),
                kept: Vec::new(),
                answered: 0,
            })),
            is_from_the_middle: false,
            now,
        }
    }

    /// Its handshake was made up by who captured it.
    pub(super) const fn note_made_up(&mut self) {
        self.is_from_the_middle = true;
    }

    /// The capture has a hole: what follows cannot be read.
    pub(super) fn give_up(&mut self, why: &'static str) {
        self.phase = Phase::Opaque(why);
    }

    /// Takes what one side said.
    pub(super) fn take(&mut self, sender: Side, bytes: &[u8], told: &mut Vec<Told>) {
        match (&mut self.phase, sender) {
            (Phase::Opaque(_), _) => {}
            (Phase::WebSocket(both), _) => frames_of(both, sender).take(bytes, told),
            (Phase::Http(http), Side::Client) => {
                if let Err(why) = http.request(bytes, told) {
                    self.phase = Phase::Opaque(why);
                }
            }
            (Phase::Http(http), Side::Server) => match http.answer(bytes, told) {
                Ok(None) => {}
                Ok(Some(Opened { deflate, frames })) => {
                    let kept = std::mem::take(&mut http.kept);
                    self.open(deflate);
                    self.take(Side::Client, &kept, told);
                    self.take(Side::Server, &frames, told);
                }
                Err(why) => self.phase = Phase::Opaque(why),
            },
        }
    }

    fn open(&mut self, deflate: Option<DeflateAgreement>) {
        let mut sides =
            [Side::Client, Side::Server].map(|side| Frames::new(side, deflate, true, self.now));
        if let (true, Some(agreement)) = (self.is_from_the_middle, deflate) {
            let [client, server] = &mut sides;
            if !agreement.client_no_context_takeover {
                client.read_headers_only();
            }
            if !agreement.server_no_context_takeover {
                server.read_headers_only();
            }
        }
        self.phase = Phase::WebSocket(Box::new(sides));
    }

    /// What is to be said of the whole.
    pub(super) fn verdict(&self) -> Verdict {
        let good = |words: &str| Verdict {
            words: words.to_owned(),
            is_broken: false,
        };
        match &self.phase {
            Phase::Opaque(why @ (HANDSHAKE_BROKEN | ANSWER_BROKEN)) => Verdict {
                is_broken: true,
                ..good(why)
            },
            Phase::Opaque(why) => good(why),
            Phase::Http(http) => match http.answered {
                0 => good("nothing was answered"),
                answered => good(&format!("HTTP, {answered} answers")),
            },
            Phase::WebSocket(both) => judge(both),
        }
    }
}

const HANDSHAKE_BROKEN: &str = "the handshake breaks the protocol";
const ANSWER_BROKEN: &str = "the server opened a WebSocket that was not asked for in order";

fn frames_of(both: &mut [Frames; 2], sender: Side) -> &mut Frames {
    let [client, server] = both;
    match sender {
        Side::Client => client,
        Side::Server => server,
    }
}

fn judge(both: &[Frames; 2]) -> Verdict {
    let [client, server] = both;
    let states = [client.state(), server.state()];
    let broken = [Side::Client, Side::Server].into_iter().zip(states);
    let broken: Vec<_> = broken
        .filter(|(_, state)| *state == State::Broken)
        .map(|(side, _)| name(side))
        .collect();
    let words = match states {
        _ if !broken.is_empty() => format!("broken by the {}", broken.join(" and the ")),
        [State::Closed(Some(code)), State::Closed(_)]
        | [State::Closed(None), State::Closed(Some(code))] => {
            format!("closed in order with {code}")
        }
        [State::Closed(None), State::Closed(None)] => "closed in order".to_owned(),
        [State::Closed(_), _] => "closed by the client, without an answer".to_owned(),
        [_, State::Closed(_)] => "closed by the server, without an answer".to_owned(),
        _ if client.is_in_a_frame() || server.is_in_a_frame() => {
            "ended in the middle of a frame".to_owned()
        }
        _ => "ended without a Close frame (1006)".to_owned(),
    };
    Verdict {
        words,
        is_broken: !broken.is_empty(),
    }
}

/// A handshake that is done.
struct Opened {
    deflate: Option<DeflateAgreement>,
    /// What came behind it.
    frames: Vec<u8>,
}

/// Why nothing more is looked at.
type Stop = &'static str;

impl Http {
    fn request(&mut self, bytes: &[u8], told: &mut Vec<Told>) -> Result<(), Stop> {
        if matches!(
            self.asked.back(),
            Some(Asked::Upgrade(_) | Asked::Refusable)
        ) {
            if self.kept.len() + bytes.len() > KEPT_BYTES_MAX {
                return Err("too much was said before the handshake was answered");
            }
            self.kept.extend_from_slice(bytes);
            return Ok(());
        }
        let mut bytes = bytes.to_vec();
        let mut input = self.client.behind_body(&mut bytes);
        while !input.is_empty() {
            let head = self.client.reader.handle_input(&mut input);
            let Some(head) = head.map_err(|_| "the client does not speak HTTP")? else {
                return Ok(());
            };
            let mut storage = HeaderStorage::default();
            let request = Request::parse(&head, &mut storage);
            let request = request.map_err(|_| "the client does not speak HTTP")?;
            told.push(Told::Request {
                method: request.method.to_owned(),
                target: request.target.to_owned(),
            });
            let asked = ask(&request, told);
            let is_last = matches!(asked, Asked::Upgrade(_) | Asked::Refusable);
            self.asked.push_back(asked);
            if self.asked.len() > REQUESTS_MAX {
                return Err("too many requests wait for an answer");
            }
            let body = request.body_bytes();
            self.client.body_left = body.map_err(|_| "a body of a length that is not told")?;
            drop(head);
            if is_last {
                let rest = input.to_vec();
                return self.request(&rest, told);
            }
            input = self.client.behind_body(input);
        }
        Ok(())
    }

    fn answer(&mut self, bytes: &[u8], told: &mut Vec<Told>) -> Result<Option<Opened>, Stop> {
        let mut bytes = bytes.to_vec();
        let mut input = self.server.behind_body(&mut bytes);
        while !input.is_empty() {
            if let Some(Asked::Upgrade(handshake)) = self.asked.front_mut() {
                match handshake.handle_input(&mut input) {
                    Ok(None) => return Ok(None),
                    Ok(Some(response)) => {
                        told.push(Told::Handshake {
                            protocol: response.protocol,
                            deflate: response.deflate.map(DeflateAgreement::to_answer),
                        });
                        return Ok(Some(Opened {
                            deflate: response.deflate,
                            frames: input.to_vec(),
                        }));
                    }
                    Err(HandshakeError::Status(status)) => {
                        told.push(Told::Response { status });
                        return Err("the handshake was refused");
                    }
                    Err(error) => return Err(broken_handshake(&error, told)),
                }
            }
            let head = self.server.reader.handle_input(&mut input);
            let Some(head) = head.map_err(|_| "the server does not speak HTTP")? else {
                return Ok(None);
            };
            let answer = Answer::parse(&head).ok_or("the server does not speak HTTP")?;
            let status = answer.status;
            told.push(Told::Response { status });
            drop(head);
            match (status, self.asked.front()) {
                (101, _) => return Err(ANSWER_BROKEN),
                (100..200, _) => continue,
                (_, Some(Asked::Refusable)) => return Err("the handshake was refused"),
                (_, asked) => {
                    let is_head = matches!(asked, Some(Asked::Plain { is_head: true }));
                    let has_none = is_head || matches!(status, 204 | 304);
                    let bytes = if has_none { Some(0) } else { answer.body_bytes };
                    self.server.body_left = bytes.unwrap_or(u64::MAX);
                }
            }
            self.asked.pop_front();
            self.answered += 1;
            input = self.server.behind_body(input);
        }
        Ok(None)
    }
}

fn ask(request: &Request<'_>, told: &mut Vec<Told>) -> Asked {
    if !Upgrade::is_asked_by(request) {
        let is_head = request.method == "HEAD";
        return Asked::Plain { is_head };
    }
    match Upgrade::from_request(request) {
        Ok(upgrade) => Asked::Upgrade(Box::new(Handshake::observe(&upgrade))),
        Err(refusal) => {
            let text = format!("this is no handshake (RFC 6455 §4.2.1): {refusal}");
            told.push(Told::Note { text });
            Asked::Refusable
        }
    }
}

fn broken_handshake(error: &HandshakeError, told: &mut Vec<Told>) -> Stop {
    told.push(Told::Error {
        from: name(Side::Server),
        what: error.to_string(),
        section: "RFC 6455 §4.1",
        close_code: None,
    });
    HANDSHAKE_BROKEN
}

impl Half {
    /// What is behind the body that is on its way.
    fn behind_body<'b>(&mut self, bytes: &'b mut [u8]) -> &'b mut [u8] {
        let length = bytes.len();
        let there = usize::try_from(self.body_left).unwrap_or(usize::MAX);
        let there = there.min(length);
        if self.body_left != u64::MAX {
            self.body_left -= there as u64;
        }
        bytes.split_at_mut(there).1
    }
}

/// What an answer's head says of its body.
struct Answer {
    status: u16,
    /// None: it ends with the connection, or in a way that is not looked at.
    body_bytes: Option<u64>,
}

impl Answer {
    fn parse(head: &[u8]) -> Option<Self> {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_it = name.eq_ignore_ascii_case("content-length");
            is_it.then(|| value.trim().parse().ok())
        });
        Some(Self {
            status: status.parse().ok()?,
            body_bytes: length.flatten(),
        })
    }
}
