//! Transcripts of sessions that echo: what a session is told, and what it wants done.

use std::time::{Duration, Instant};

use tidewire_protocol::{CloseCode, Message};

use super::*;
use crate::transport::dialect::Act;
use crate::transport::socket_io::Dictionary;

const SECRET: u128 = 7;

fn conn(index: u32) -> ConnId {
    let generation = 1;
    ConnId { index, generation }
}

/// The session's own place, and those of connections that want something of it.
const OWN: u32 = 0;
const A: u32 = 1;
const B: u32 = 2;

struct Scene {
    engine: Engine,
    start: Instant,
    now: Now,
}

impl Scene {
    fn new(make: impl FnOnce(Sid, Settings, Now) -> Engine) -> Self {
        let settings = Settings {
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(10),
            payload_bytes_max: 1000,
            connect_time: Duration::from_secs(10),
            names: Dictionary::new(&[]),
            recovers: true,
        };
        let start = Instant::now();
        let now = Now {
            instant: start,
            unix_ms: 0,
        };
        let engine = make(Sid::new(conn(OWN), SECRET), settings, now);
        Self { engine, start, now }
    }

    fn polled() -> Self {
        let mut scene = Self::new(|sid, settings, now| {
            Engine::polled_by(conn(A), sid, settings, App::Echo, now)
        });
        scene.tell(|engine, now, out| engine.opened(now, out));
        let opened = scene.flush();
        assert!(opened.starts_with("A: 0{\"sid\":"), "{opened}");
        scene
    }

    fn over_web_socket() -> Self {
        let mut scene =
            Self::new(|sid, settings, now| Engine::over_web_socket(sid, settings, App::Echo, now));
        let opened = scene.tell(|engine, now, out| engine.opened(now, out));
        assert!(opened.contains("\"upgrades\":[]"), "{opened}");
        scene
    }

    fn after(&mut self, seconds: u64) -> String {
        self.now.instant = self.start + Duration::from_secs(seconds);
        self.tell(|engine, now, out| engine.timeout(now, out))
    }

    fn tell(&mut self, tell: impl FnOnce(&mut Engine, Now, &mut Out)) -> String {
        let mut out = Out::default();
        tell(&mut self.engine, self.now, &mut out);
        shown(&mut out)
    }

    fn knock(&mut self, from: u32, knock: &Knock) -> String {
        let sid = Sid::new(conn(OWN), SECRET);
        let mut was_heard = true;
        let told = self.tell(|engine, now, out| {
            was_heard = engine.knock(conn(from), sid, knock, now, out);
        });
        if was_heard { told } else { "nobody".to_owned() }
    }

    fn post(&mut self, from: u32, payload: &str) -> String {
        self.knock(from, &Knock::Post(payload.as_bytes().to_vec()))
    }

    fn flush(&mut self) -> String {
        self.tell(|engine, _, out| engine.flush(false, out))
    }

    fn message(&mut self, text: &str) -> String {
        self.tell(|engine, now, out| engine.message(&Message::text(text), now, out))
    }
}

/// Acts in one line.
fn shown(out: &mut Out) -> String {
    let name = |conn: ConnId| match conn.index {
        A => "A",
        B => "B",
        _ => "?",
    };
    let acts = out.drain().map(|act| match act {
        Act::SendText(text) => text,
        Act::SendBinary(bytes) => format!("{bytes:?}"),
        Act::Answer(conn, Answer::Payload(payload)) => format!("{}: {payload}", name(conn)),
        Act::Answer(conn, Answer::Taken) => format!("{}: ok", name(conn)),
        Act::Answer(conn, Answer::Refused(_)) => format!("{}: refused", name(conn)),
        Act::Leave(_, payload) => format!("left {payload}"),
        Act::Knock(conn, knock) => format!("{knock:?} to {}", name(conn)),
        Act::TakeSocket(conn) => format!("take the socket of {}", name(conn)),
        Act::Close(code, _) => format!("close {}", code.get()),
        other => format!("{other:?}"),
    });
    acts.collect::<Vec<_>>().join(", ")
}

#[test]
fn what_waits_is_one_payload_and_a_post_is_answered_when_there_is_room() {
    let mut scene = Scene::polled();
    assert_eq!(scene.post(B, "4a\x1ebAQI=\x1e4b"), "");
    let full = scene.tell(|engine, _, out| engine.flush(true, out));
    assert_eq!(full, "", "so much is on its way to the log");
    assert_eq!(scene.flush(), "B: ok");
    assert_eq!(scene.knock(A, &Knock::Poll), "");
    assert_eq!(scene.flush(), "A: 4a\x1ebAQI=\x1e4b");
    assert_eq!(scene.flush(), "", "a poll waits for something");
}

#[test]
fn one_poll_and_one_post_at_a_time() {
    let mut scene = Scene::polled();
    scene.knock(A, &Knock::Poll);
    assert_eq!(scene.knock(B, &Knock::Poll), "B: refused, A: 1, close 1002");
    assert_eq!(scene.knock(A, &Knock::Poll), "nobody");
    let mut scene = Scene::polled();
    scene.post(A, "4a");
    assert_eq!(scene.post(B, "4b"), "B: refused, A: ok, close 1002");
}

#[test]
fn who_knows_the_place_and_not_the_secret_finds_nobody() {
    let mut scene = Scene::polled();
    let sid = Sid::new(conn(OWN), SECRET + 1);
    let mut out = Out::default();
    for knock in [
        Knock::Poll,
        Knock::Post(b"1".to_vec()),
        Knock::Come,
        Knock::Probe,
        Knock::Upgrade,
        Knock::Gone,
    ] {
        assert!(
            !scene
                .engine
                .knock(conn(A), sid, &knock, scene.now, &mut out)
        );
        assert!(out.is_empty());
    }
    assert_eq!(scene.knock(A, &Knock::Poll), "");
}

#[test]
fn a_web_socket_takes_over_what_waits() {
    let mut scene = Scene::polled();
    scene.knock(A, &Knock::Poll);
    assert_eq!(
        scene.knock(B, &Knock::Upgrade),
        "nobody",
        "it did not probe"
    );
    assert_eq!(scene.knock(B, &Knock::Probe), "A: 6, Granted to B");
    assert_eq!(scene.knock(A, &Knock::Probe), "nobody", "one at a time");
    scene.knock(A, &Knock::Poll);
    assert_eq!(scene.flush(), "A: 6", "polls do not wait meanwhile");
    scene.post(A, "4a\x1ebAQI=");
    assert_eq!(
        scene.knock(B, &Knock::Upgrade),
        "take the socket of B, A: ok, 4a, [1, 2]"
    );
    assert_eq!(scene.message("4b"), "4b");
    for knock in [Knock::Come, Knock::Probe, Knock::Upgrade] {
        assert_eq!(scene.knock(A, &knock), "nobody", "{knock:?}");
    }
    assert_eq!(scene.knock(A, &Knock::Poll), "A: refused");
    assert_eq!(scene.post(A, "4a"), "A: refused");
    assert_eq!(scene.message("1"), "close 1000");
}

#[test]
fn a_web_socket_that_leaves_is_forgotten() {
    let mut scene = Scene::polled();
    scene.knock(B, &Knock::Probe);
    assert_eq!(scene.knock(B, &Knock::Gone), "");
    assert_eq!(scene.knock(B, &Knock::Upgrade), "nobody");
    scene.knock(A, &Knock::Poll);
    assert_eq!(scene.flush(), "", "polls wait again");
    assert_eq!(scene.knock(A, &Knock::Gone), "close 1001");
}

#[test]
fn nobody_who_does_not_answer_stays() {
    let mut scene = Scene::polled();
    scene.knock(A, &Knock::Poll);
    assert_eq!(
        scene.engine.poll_timeout(),
        Some(scene.start + Duration::from_secs(30))
    );
    scene.after(30);
    assert_eq!(scene.flush(), "A: 2");
    scene.post(B, "3");
    scene.flush();
    assert_eq!(scene.after(59), "");
    scene.after(60);
    // Nobody looked: who comes after its time finds nobody.
    scene.now.instant = scene.start + Duration::from_secs(71);
    assert_eq!(scene.knock(A, &Knock::Poll), "nobody");
    let mut scene = Scene::over_web_socket();
    assert_eq!(scene.after(30), "2");
    assert_eq!(scene.after(40), "close 4009");
    assert_eq!(
        (scene.after(90), scene.engine.poll_timeout()),
        (String::new(), None)
    );
}

#[test]
fn the_last_word_goes_to_who_polls() {
    let mut scene = Scene::polled();
    scene.post(B, "4a");
    scene.flush();
    scene.knock(A, &Knock::Poll);
    let last = scene.tell(|engine, _, out| {
        engine.closing(CloseCode::SERVICE_RESTART, "the server stops", out);
    });
    assert_eq!(last, "A: 4a\x1e1");
    assert_eq!(scene.knock(A, &Knock::Poll), "nobody");
    let mut scene = Scene::polled();
    scene.post(B, "4a");
    let left = scene.tell(|engine, _, out| {
        engine.closing(CloseCode::POLICY_VIOLATION, "no", out);
    });
    assert_eq!(left, "B: ok, left 4a\x1e1", "nobody polls just then");
    let mut scene = Scene::polled();
    scene.knock(A, &Knock::Poll);
    assert_eq!(scene.post(B, "1\x1e4a"), "B: ok, A: 6, close 1000");
}

#[test]
fn what_nobody_fetches_is_bounded() {
    let mut scene = Scene::polled();
    let payload = format!("4{}", "x".repeat(900));
    let mut ended = String::new();
    let mut had_room = 0;
    while ended.is_empty() {
        had_room += usize::from(scene.engine.has_room());
        ended = scene.post(B, &payload);
        scene.flush();
        assert!(scene.engine.held_bytes() <= (1 << 20) + 1000);
    }
    assert!(
        (60..80).contains(&had_room),
        "entries come up to 64 KiB: {had_room}"
    );
    assert_eq!(ended, "B: ok, close 1008");
    assert_eq!(scene.engine.held_bytes(), 0);
}
