//! One session on one transport after another: the newest connection has it, nobody sees it come or go, and what is said
//! meanwhile comes once and in order.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use tidewire_tests::http::{get, send};
use tidewire_tests::http_chat::code_and_reason;
use tidewire_tests::{Chatter, Frame, PollChatter, Server, StreamChatter};

const ADA: &str = "userId=ada&session=s";

/// A connection of ada's, on any transport.
enum Ada {
    Socket(Chatter),
    Stream(StreamChatter),
    Poll { poll: PollChatter, is_asked: bool },
}

impl Ada {
    /// Connects, and goes on behind this offset of the lobby.
    fn connect(server: &Server, transport: usize, epoch: &str, offset: u64) -> Self {
        let query = format!("{ADA}&room=lobby");
        let since = format!("lobby:{epoch}-{offset}");
        match transport % 3 {
            0 => Self::Socket(Chatter::connect(server, &format!("{query}&since={since}"))),
            1 => Self::Stream(StreamChatter::connect(
                server,
                &format!("{query}&since={since}"),
            )),
            _ => {
                let mut poll = PollChatter::new(server, &query);
                poll.position = Some(since);
                poll.ask(60);
                let is_asked = true;
                Self::Poll { poll, is_asked }
            }
        }
    }

    /// What comes next: one message, or those of an answer. Behind that nothing is on its way to the server.
    fn hear(&mut self) -> Vec<Value> {
        match self {
            Self::Socket(socket) => vec![socket.hear()],
            Self::Stream(stream) => vec![stream.hear()],
            Self::Poll { poll, is_asked } => {
                if !mem::take(is_asked) {
                    poll.ask(60);
                }
                poll.answer()
            }
        }
    }

    /// Waits for the end that a newer connection brings.
    fn expect_replaced(mut self) {
        let close = match &mut self {
            Self::Socket(socket) => {
                assert_eq!(socket.hear_close(), Some(4003));
                return socket.client.send(&Frame::close(4003, ""));
            }
            Self::Stream(stream) => stream.hear_close(),
            Self::Poll { poll, .. } => {
                let messages = poll.answer();
                code_and_reason(messages.last().expect("some"))
            }
        };
        assert_eq!(close.0, 4003, "{close:?}");
    }
}

#[test]
fn a_newer_connection_replaces_the_older_on_any_transport_and_nobody_sees_it() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let joined = bob.join("lobby");
    let (epoch, _) = joined["position"]
        .as_str()
        .and_then(|at| at.split_once('-'))
        .expect("a position");
    let mut older = Ada::connect(&server, 0, epoch, 0);
    assert_eq!(bob.hear_of("system")["event"], "join");
    // From each to each, three times.
    for transport in [0, 1, 1, 2, 2, 0, 2, 1, 0].repeat(3) {
        let newer = Ada::connect(&server, transport, epoch, 0);
        older.expect_replaced();
        older = newer;
        let present = get(server.address(), "/api/rooms/lobby/presence").json();
        assert_eq!(present["members"], json!(["ada", "bob"]));
    }
    assert_eq!(bob.everything_until_heartbeat(), [] as [Value; 0]);
}

#[test]
fn who_went_before_it_was_heard_takes_the_session_from_nobody() {
    let server = Server::start();
    let mut stream = StreamChatter::connect(&server, &format!("{ADA}&room=lobby"));
    let mut gone = PollChatter::new(&server, &format!("{ADA}&room=lobby"));
    gone.http.request("GET", "/health", "");
    assert_eq!(gone.http.response().status, 200, "it is accepted");
    // The server stands still, so that it finds the question and the end together.
    server.hold_still();
    let position = "lobby:00000000-7";
    let target = format!("/poll?{}&since={position}", gone.query);
    gone.http.request("GET", &target, "");
    gone.http.wire.finish_sending();
    server.signal("CONT");
    let answer = gone.http.response().json();
    assert_eq!(answer, json!({"messages": [], "position": position}));
    let (target, body) = ("/api/rooms/lobby/messages", br#"{"content":"still here"}"#);
    let published = send(server.address(), "POST", target, "", body);
    assert_eq!(published.status, 200, "{published:?}");
    assert_eq!(stream.hear_of("room_msg")["content"], "still here");
}

#[test]
fn changing_transports_while_others_publish_loses_nothing_and_doubles_nothing() {
    const CHANGES: usize = 60;
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let first = bob.say_acked("lobby", "1", 1);
    let epoch = first["epoch"].as_str().expect("an epoch").to_owned();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (server, stop) = (&server, &stop);
        let publisher = scope.spawn(move || {
            let mut seq = 1;
            while !stop.load(Ordering::Relaxed) {
                seq += 1;
                bob.say_acked("lobby", "x", seq);
            }
            bob.say_acked("lobby", "end", seq + 1);
            // Who is there to the end hears of nobody leaving.
            (seq + 1, bob)
        });
        let reader = scope.spawn(move || {
            // Also where this panics: else the publisher would go on for ever.
            let _stop = StopAtTheEnd(stop);
            read_and_change(server, &epoch, stop, CHANGES)
        });
        let newest = reader.join().expect("the reader");
        let (said, _bob) = publisher.join().expect("the publisher");
        assert_eq!(newest, said);
    });
}

struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads some messages, goes on over another transport, and so on to the end; returns the last offset.
fn read_and_change(server: &Server, epoch: &str, stop: &AtomicBool, changes: usize) -> u64 {
    let mut newest = 1;
    for change in 0.. {
        stop.fetch_or(change >= changes, Ordering::Relaxed);
        let mut ada = Ada::connect(server, change, epoch, newest);
        let enough = newest + 20;
        while newest < enough {
            let mut is_over = false;
            for message in ada.hear() {
                let kind = message["type"].as_str().expect("a type");
                if kind == "room_msg" {
                    newest += 1;
                    assert_eq!(message["offset"], newest, "change {change}: {message}");
                    is_over = message["content"] == "end";
                } else {
                    assert!(
                        matches!(kind, "welcome" | "joined"),
                        "change {change}: {message}"
                    );
                }
            }
            if is_over {
                return newest;
            }
        }
    }
    newest
}
