//! The good clients beside the bad ones: one who says something and waits for its ack, one who follows by WebSocket and one by
//! an event stream, checking that everything comes, once and in order. A fault of theirs is a panic.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chat::Chatter;
use crate::http_chat::StreamChatter;
use crate::server::Server;

/// The room they are in. Nobody else is welcome to speak there.
pub const ROOM: &str = "bystanders";

/// What nobody is to hear: put it into every bad message.
pub const EVIL: &str = "evil";

/// Between an ack and the next message.
const PAUSE: Duration = Duration::from_millis(20);

/// What went well.
#[derive(Clone, Debug, Default)]
pub struct Calm {
    /// Messages that were acknowledged and heard by both followers.
    pub messages: u64,
    /// From sending each of them to its ack, in order of length.
    pub latencies: Vec<Duration>,
}

impl Calm {
    /// The latency that so many of a hundred did not pass.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let at = self.latencies.len() * percent / 100;
        self.latencies
            .get(at.min(last))
            .copied()
            .unwrap_or_default()
    }
}

/// Runs `trouble` while the good clients chat, and returns its result with what they saw.
///
/// # Panics
///
/// When one of them sees an error, a hole, a double or something that none of them said; or when `trouble` panics.
#[track_caller]
pub fn beside<T>(server: &Server, trouble: impl FnOnce() -> T) -> (T, Calm) {
    beside_in(ROOM, server, trouble)
}

/// The same in another room, in which nobody has said anything.
///
/// # Panics
///
/// As [`beside`].
#[track_caller]
pub fn beside_in<T>(room: &str, server: &Server, trouble: impl FnOnce() -> T) -> (T, Calm) {
    let (over, said) = (AtomicBool::new(false), AtomicU64::new(0));
    let query = |user: &str| {
        let room = room.replace(" ", "%20");
        format!("userId={user}&session={user}-{room}&room={room}")
    };
    let alice = Chatter::enter(server, "good-alice", room);
    let bob = Chatter::enter(server, "good-bob", room);
    let mut carol = StreamChatter::connect(server, &query("good-carol"));
    carol.hear_of("joined");
    thread::scope(|scope| {
        let (over, said) = (&over, &said);
        // Set also by a panic: the scope would wait for its threads for ever otherwise.
        let at_last = SetAtLast(over);
        let speaker = scope.spawn(move || speak(alice, room, over, said));
        let followers = [
            scope.spawn(move || follow(bob, over, said)),
            scope.spawn(move || follow_stream(carol, over, said)),
        ];
        let result = trouble();
        drop(at_last);
        let calm = ours(speaker.join());
        for follower in followers {
            assert_eq!(ours(follower.join()), calm.messages, "all that was said");
        }
        (result, calm)
    })
}

fn ours<T>(result: thread::Result<T>) -> T {
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Says numbers until it is over, and one more, which is the last.
fn speak(mut alice: Chatter, room: &str, over: &AtomicBool, said: &AtomicU64) -> Calm {
    let mut latencies = Vec::new();
    loop {
        let is_last = over.load(Ordering::Acquire);
        let number = said.load(Ordering::Relaxed) + 1;
        let began = Instant::now();
        let ack = alice.say_acked(room, &content(number, is_last), number);
        latencies.push(began.elapsed());
        assert_eq!(ack["offset"], number, "nobody else spoke here: {ack}");
        said.store(number, Ordering::Relaxed);
        if is_last {
            alice.client.close();
            latencies.sort_unstable();
            return Calm {
                messages: number,
                latencies,
            };
        }
        thread::sleep(PAUSE);
    }
}

fn follow(mut bob: Chatter, over: &AtomicBool, said: &AtomicU64) -> u64 {
    let heard = hear_all(|| bob.hear(), over, said);
    bob.client.close();
    heard
}

fn follow_stream(mut carol: StreamChatter, over: &AtomicBool, said: &AtomicU64) -> u64 {
    hear_all(|| carol.hear(), over, said)
}

/// Hears every number once, in order, up to the last; returns it.
fn hear_all(mut hear: impl FnMut() -> Value, over: &AtomicBool, said: &AtomicU64) -> u64 {
    let mut heard = 0;
    loop {
        let message = hear();
        assert!(!message.to_string().contains(EVIL), "{message}");
        if message["type"] != "room_msg" {
            assert!(
                ["system", "joined"].contains(&message["type"].as_str().unwrap_or_default()),
                "{message}"
            );
            continue;
        }
        heard += 1;
        assert_eq!(message["offset"], heard, "in order, once: {message}");
        let is_last = message["content"] == content(heard, true);
        assert!(
            is_last || message["content"] == content(heard, false),
            "{message}"
        );
        if is_last {
            // Nobody is ahead of the one who speaks, but for the message whose ack is on its way.
            assert!(over.load(Ordering::Acquire), "{message}");
            assert!(heard <= said.load(Ordering::Relaxed) + 1, "{message}");
            return heard;
        }
    }
}

fn content(number: u64, is_last: bool) -> String {
    let word = if is_last { "last" } else { "number" };
    format!("{word} {number}")
}

/// Sets its flag when it is dropped.
struct SetAtLast<'a>(&'a AtomicBool);

impl Drop for SetAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
