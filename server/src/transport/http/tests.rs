//! The connection's states, on virtual time.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::*;
use crate::metrics::Board;
use crate::transport::cors::Cors;

/// A connection, a clock, and what the server around it knows.
struct Peer {
    http: Http,
    config: HttpConfig,
    status: Status,
    date: Date,
    now: Instant,
}

impl Peer {
    fn new() -> Self {
        let config = HttpConfig {
            request_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            deflate: None,
            file_bytes_max: 1 << 20,
            proxies: std::sync::Arc::default(),
            addresses: None,
            cors: Cors::default(),
            keys: None,
            protocols: crate::transport::dialect::Protocols::default(),
            socket_io: crate::transport::socket_io::Settings {
                ping_interval: Duration::from_secs(30),
                ping_timeout: Duration::from_secs(10),
                payload_bytes_max: 1 << 16,
                connect_time: Duration::from_secs(10),
                names: crate::transport::socket_io::Dictionary::new(&[]),
                recovers: true,
            },
            is_tls: false,
        };
        let status = Status::up(10, 0, Board::quiet(1));
        let now = Instant::now();
        Self {
            http: Http::new(&config, false, now),
            config,
            status,
            date: Date::new(0),
            now,
        }
    }

    /// Runs `f` with the connection and the turn.
    fn with<R>(&mut self, f: impl FnOnce(&mut Http, Turn<'_>) -> R) -> R {
        let turn = Turn {
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            config: &self.config,
            status: &self.status,
            date: &self.date,
            now: self.now,
            unix_ms: 0,
        };
        f(&mut self.http, turn)
    }

    /// The events that these bytes lead to, a word each.
    fn receive(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        let mut events = Vec::new();
        while let Some(event) = self.with(|http, turn| http.handle_input(&mut input, turn)) {
            events.push(match event {
                Event::Upgrade(_) => "upgrade".to_owned(),
                Event::Call(Call::Upload(upload)) => format!("upload {}", upload.0.size),
                Event::Call(Call::Rooms(_)) => "rooms".to_owned(),
                Event::Call(Call::Publish(publish)) => format!("publish {}", publish.content),
                Event::Call(call) => panic!("{call:?}"),
                Event::Body(bytes) => format!("body {}", bytes.len()),
                Event::BodyEnd => "end".to_owned(),
            });
        }
        events
    }

    fn respond(&mut self, status: u16) {
        let response = Response::problem(status, "x", "X.");
        self.with(|http, turn| http.respond(&response, turn));
    }

    /// The status lines of what was sent since the last call; all of it is taken.
    fn sent(&mut self) -> Vec<u16> {
        let text = String::from_utf8(self.http.unsent().to_vec()).unwrap();
        let sent = self.http.unsent_bytes();
        self.http.transmitted(sent);
        let lines = text.split("HTTP/1.1 ").skip(1);
        lines.map(|line| line[..3].parse().unwrap()).collect()
    }

    /// Hands over what was put aside, as the loop does when all is sent.
    fn resume(&mut self) -> Vec<String> {
        let stash = self.http.take_stash();
        stash.map_or_else(Vec::new, |stash| self.receive(&stash))
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.with(|http, turn| http.handle_timeout(turn));
    }

    /// Seconds until the deadline.
    fn left(&self) -> u64 {
        (self.http.deadline() - self.now).as_secs()
    }
}

const NOTHING: [u16; 0] = [];
const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
const ROOMS: &str = "GET /api/rooms HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(target: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

fn publish(content: &str) -> Vec<u8> {
    let body = format!("{{\"content\":{content}}}");
    post("/api/rooms/r/messages", "", &body)
}

#[test]
fn a_head_that_begins_behind_another_has_no_more_time_than_the_first() {
    let mut peer = Peer::new();
    peer.receive(b"GET");
    assert_eq!(peer.left(), 10);
    peer.receive(format!("{}GET", &HEALTH[3..]).as_bytes());
    assert_eq!(peer.left(), 10);
    assert_eq!(peer.sent(), [200]);
}

#[test]
fn a_json_body_is_the_same_in_any_pieces() {
    let bytes = [publish("[1,2]"), HEALTH.into()].concat();
    for size in 1..bytes.len() {
        let mut peer = Peer::new();
        let mut events = Vec::new();
        for piece in bytes.chunks(size) {
            events.extend(peer.receive(piece));
            while peer.http.is_paused() && !events.is_empty() {
                peer.respond(200);
                events.extend(peer.resume());
            }
        }
        peer.respond(200);
        assert_eq!(events, ["publish [1,2]"], "in pieces of {size}");
        assert_eq!(peer.sent(), [200, 200], "in pieces of {size}");
    }
}

#[test]
fn a_body_that_is_passed_on_ends_where_it_was_announced_to() {
    let bytes = [post("/api/files", "", &"x".repeat(300)), HEALTH.into()].concat();
    for size in 1..bytes.len() {
        let mut peer = Peer::new();
        let mut passed_on = 0;
        let mut words = Vec::new();
        for piece in bytes.chunks(size) {
            for event in peer.receive(piece) {
                match event.strip_prefix("body ") {
                    Some(bytes) => passed_on += bytes.parse::<usize>().unwrap(),
                    None => words.push(event),
                }
            }
        }
        assert_eq!(
            (passed_on, words),
            (300, vec!["upload 300".to_owned(), "end".to_owned()])
        );
        assert_eq!(peer.sent(), NOTHING, "nothing overtakes the answer");
        peer.respond(201);
        peer.resume();
        assert_eq!(peer.sent(), [201, 200], "in pieces of {size}");
    }
}

#[test]
fn a_body_of_no_bytes_is_whole_at_once() {
    let mut peer = Peer::new();
    assert_eq!(
        peer.receive(&post("/api/files", "", "")),
        ["upload 0", "end"]
    );
    let mut peer = Peer::new();
    assert_eq!(
        peer.receive(&post("/api/rooms/r/messages", "", "")),
        [""; 0]
    );
    assert_eq!(peer.sent(), [400]);
    assert_eq!(peer.http.transport(), Transport::Keep);
}

#[test]
fn while_too_much_is_in_flight_no_more_is_passed_on_or_read() {
    let mut peer = Peer::new();
    let body = "x".repeat(200 << 10);
    let bytes = post("/api/files", "", &body);
    let (first, rest) = bytes.split_at(140 << 10);
    let events = peer.receive(first);
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(peer.http.is_paused());
    assert_eq!(peer.receive(rest), [""; 0]);
    assert_eq!(peer.resume(), [""; 0]);
    peer.http.body_taken(140 << 10);
    assert_eq!(peer.resume().last().unwrap(), "end");
    assert!(!peer.http.is_paused());
}

#[test]
fn answers_come_in_the_order_of_requests_however_late_they_are() {
    let mut peer = Peer::new();
    let burst = [ROOMS, HEALTH, ROOMS, HEALTH].concat();
    assert_eq!(peer.receive(burst.as_bytes()), ["rooms"]);
    assert_eq!(peer.sent(), NOTHING);
    assert!(peer.http.is_paused());
    assert_eq!(peer.resume(), [""; 0], "it is not time");
    peer.respond(500);
    assert_eq!(peer.sent(), [500]);
    assert_eq!(peer.resume(), ["rooms"]);
    assert_eq!(peer.sent(), [200]);
    peer.respond(500);
    peer.resume();
    assert_eq!(peer.sent(), [500, 200]);
    assert_eq!(peer.http.transport(), Transport::Keep);
}

#[test]
fn what_is_not_answered_in_time_is_504_and_a_later_answer_is_nobodys() {
    let mut peer = Peer::new();
    peer.receive(ROOMS.as_bytes());
    peer.pass(29);
    assert!(peer.http.is_calling());
    peer.pass(1);
    assert!(!peer.http.is_calling());
    peer.respond(200);
    assert_eq!(peer.sent(), [504]);
    assert_eq!(peer.http.transport(), Transport::HalfClose);
}

#[test]
fn a_body_has_a_base_and_a_time_for_its_length() {
    let mut peer = Peer::new();
    let head = "POST /api/files HTTP/1.1\r\nHost: a\r\nContent-Length: 163840\r\n\r\n";
    peer.receive(head.as_bytes());
    assert_eq!(peer.left(), 10 + 10);
    peer.pass(19);
    // A byte now and then does not prolong it.
    peer.receive(b"x");
    assert_eq!(peer.left(), 1);
    peer.pass(1);
    assert_eq!(peer.sent(), [408]);
    assert!(!peer.http.is_calling());
    assert_eq!(peer.http.transport(), Transport::HalfClose);
}

#[test]
fn one_hundred_continue_is_for_a_body_that_is_taken_and_has_not_begun() {
    let expecting = "Expect: 100-continue\r\n";
    let sent = |bytes: &[u8]| {
        let mut peer = Peer::new();
        peer.receive(bytes);
        peer.sent()
    };
    let head = |length: u64, version: u8| {
        format!(
            "POST /api/files HTTP/1.{version}\r\nHost: a\r\nContent-Length: {length}\r\n{expecting}\r\n"
        )
        .into_bytes()
    };
    assert_eq!(sent(&head(5, 1)), [100]);
    assert_eq!(sent(&head(5, 0)), NOTHING, "HTTP/1.0 knows nothing of it");
    assert_eq!(sent(&head(0, 1)), NOTHING, "there is nothing to wait for");
    assert_eq!(sent(&head((1 << 20) + 1, 1)), [413]);
    assert_eq!(
        sent(&post("/api/files", expecting, "x")),
        NOTHING,
        "it has come already"
    );
    assert_eq!(sent(&post("/api/nowhere", expecting, "")), [404]);
    assert_eq!(
        sent(&post("/api/files", "Expect: a miracle\r\n", "")),
        [417]
    );
}

#[test]
fn what_is_behind_a_body_that_was_not_read_is_no_request() {
    let chunked = "POST /api/files HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let both = chunked.replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\n");
    let old = chunked.replace("1.1", "1.0");
    let none = "POST /api/files HTTP/1.1\r\nHost: a\r\n\r\n";
    let large = "POST /api/files HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n";
    let nowhere = "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    let get = "GET /api/rooms HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    for (head, status) in [
        (chunked, 411),
        (&both, 400),
        (&old, 400),
        (none, 411),
        (large, 413),
        (nowhere, 404),
        (get, 413),
    ] {
        let mut peer = Peer::new();
        peer.receive(format!("{head}{HEALTH}").as_bytes());
        assert_eq!(peer.sent(), [status], "{head}");
        assert_eq!(peer.http.transport(), Transport::HalfClose, "{head}");
    }
}

#[test]
fn a_refused_body_is_thrown_away_and_no_more_than_that() {
    for (target, bytes, thrown_away) in [
        ("/api/files", 10 << 20, (10 << 20) + LINGER_BYTES_MAX),
        ("/health", 5, 5 + LINGER_BYTES_MAX),
        (
            "/api/files",
            u64::MAX,
            REFUSED_BODY_BYTES_MAX + LINGER_BYTES_MAX,
        ),
    ] {
        let mut peer = Peer::new();
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n");
        peer.receive(head.as_bytes());
        assert_eq!(peer.sent(), [413]);
        peer.receive(&vec![b'x'; thrown_away as usize]);
        assert_eq!(
            peer.http.transport(),
            Transport::HalfClose,
            "{target} {bytes}"
        );
        peer.receive(b"x");
        assert_eq!(peer.http.transport(), Transport::Drop, "{target} {bytes}");
    }
}

#[test]
fn a_failure_in_the_middle_of_a_body_ends_the_connection() {
    let mut peer = Peer::new();
    let bytes = post("/api/files", "", &"x".repeat(1000));
    peer.receive(&bytes[..500]);
    peer.respond(507);
    assert_eq!(peer.receive(&bytes[500..]), [""; 0]);
    assert_eq!(peer.sent(), [507]);
    assert_eq!(peer.http.transport(), Transport::HalfClose);
}

#[test]
fn a_response_in_pieces_is_whole_before_the_next_request_is_read() {
    let mut peer = Peer::new();
    peer.receive([ROOMS, HEALTH].concat().as_bytes());
    let response = Response::stream(200, "text/plain", 100 << 10);
    peer.with(|http, turn| http.respond(&response, turn));
    assert!(peer.http.wants_body());
    peer.with(|http, turn| http.send_body(vec![b'x'; 70 << 10], turn));
    assert!(!peer.http.wants_body(), "enough is unsent");
    assert_eq!(peer.sent(), [200]);
    assert!(peer.http.wants_body());
    assert_eq!(peer.resume(), [""; 0]);
    peer.with(|http, turn| http.send_body(vec![b'x'; 30 << 10], turn));
    assert!(!peer.http.wants_body() && !peer.http.is_calling());
    peer.sent();
    peer.resume();
    assert_eq!(peer.sent(), [200]);
}

#[test]
fn a_head_only_response_in_pieces_has_none() {
    let mut peer = Peer::new();
    peer.receive(b"HEAD /api/rooms HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = Response::stream(200, "text/plain", 100);
    peer.with(|http, turn| http.respond(&response, turn));
    assert!(!peer.http.wants_body());
    assert_eq!(peer.http.transport(), Transport::Keep);
}

#[test]
fn who_has_ended_its_half_still_gets_the_answer_and_then_the_end() {
    let mut peer = Peer::new();
    peer.receive(ROOMS.as_bytes());
    let (config, now) = (peer.config.clone(), peer.now);
    peer.http.handle_eof(&config, now);
    assert_eq!(peer.http.transport(), Transport::Keep);
    peer.respond(200);
    assert_eq!(peer.sent(), [200]);
    assert_eq!(peer.http.transport(), Transport::Drop);
}

#[test]
fn a_body_that_was_cut_off_is_nobodys() {
    for target in ["/api/files", "/api/rooms/r/messages"] {
        let mut peer = Peer::new();
        let bytes = post(target, "", "{}");
        peer.receive(&bytes[..bytes.len() - 1]);
        let (config, now) = (peer.config.clone(), peer.now);
        peer.http.handle_eof(&config, now);
        assert!(!peer.http.is_calling());
        assert_eq!(peer.sent(), NOTHING);
        assert_eq!(peer.http.transport(), Transport::Drop);
    }
}

#[test]
fn draining_waits_for_the_answer_and_then_ends() {
    let mut peer = Peer::new();
    peer.receive(ROOMS.as_bytes());
    peer.status.status = "draining";
    let (config, now) = (peer.config.clone(), peer.now);
    peer.http.drain(&config, now);
    assert_eq!(peer.http.transport(), Transport::Keep);
    peer.respond(200);
    assert_eq!(peer.sent(), [200]);
    assert_eq!(peer.http.transport(), Transport::HalfClose);
}
