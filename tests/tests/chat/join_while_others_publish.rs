//! Joining a room in which others publish as fast as they can: at the seam between what was missed and what comes there is
//! no hole and no double, wherever in the log the reader begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidewire_tests::{Chatter, Launch, Server};

/// `cargo xtask chaos join` asks for more.
const JOINS: u64 = 2000;

/// How far behind the newest that it saw a reader joins: around the size of a page, which is that of the ring.
const BACK: [u64; 8] = [0, 1, 7, 40, 255, 256, 257, 300];

/// What is read behind the seam.
const LIVE: u64 = 8;

const PUBLISHERS: usize = 2;
const READERS: u64 = 2;

/// What a publisher has under way.
const WINDOW: u64 = 16;

#[test]
fn no_hole_and_no_double_at_the_seam() {
    let joins = match std::env::var("TIDEWIRE_JOINS") {
        Ok(text) => text.parse().expect("TIDEWIRE_JOINS is a number"),
        Err(_) => JOINS,
    };
    let server = Launch::default()
        .arguments(&["--history-entries", "1000000", "--messages-per-second", "0"])
        .start();
    let stop = AtomicBool::new(false);
    let done = Arc::new(AtomicU64::new(0));
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (server, stop) = (&server, &stop);
            scope.spawn(move || publish(server, publisher, stop));
        }
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                let (server, done) = (&server, Arc::clone(&done));
                scope.spawn(move || join_often(server, reader, joins / READERS, &done))
            })
            .collect();
        show_progress(&done, joins, || {
            readers.iter().all(|reader| reader.is_finished())
        });
        // Also where a reader panicked: else the publishers would go on for ever.
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            if let Err(panic) = reader.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    assert_eq!(done.load(Ordering::Relaxed), joins / READERS * READERS);
}

/// Says its numbers in order, with a bounded number of them under way.
fn publish(server: &Server, publisher: usize, stop: &AtomicBool) {
    let mut chatter = Chatter::connect(server, &format!("userId=publisher-{publisher}"));
    chatter.join("busy");
    let (mut sent, mut acked) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        while sent < acked + WINDOW {
            sent += 1;
            chatter.send(&json!({"type": "room_msg", "roomId": "busy", "content": [publisher, sent], "seq": sent}));
        }
        acked = chatter.hear_of("ack")["seq"].as_u64().expect("a number");
    }
}

/// Joins, reads across the seam, and joins again: on the same connection, or on another one.
fn join_often(server: &Server, reader: u64, joins: u64, done: &AtomicU64) {
    let connect = || Chatter::connect(server, &format!("userId=reader-{reader}"));
    let mut chatter = connect();
    let joined = chatter.join("busy");
    let (epoch, mut newest) = position(&joined["position"]);
    chatter.send(&json!({"type": "leave_room", "roomId": "busy"}));
    chatter.hear_of("left");
    for join in 0..joins {
        if join % 4 == 3 {
            chatter = connect();
        }
        let back = BACK[(join + reader) as usize % BACK.len()];
        let since = newest.saturating_sub(back);
        chatter.send(
            &json!({"type": "join_room", "roomId": "busy", "since": format!("{epoch}-{since}")}),
        );
        newest = read_across(&mut chatter, since);
        chatter.send(&json!({"type": "leave_room", "roomId": "busy"}));
        chatter.hear_of("left");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads what was missed, `joined`, and some of what comes; returns the newest offset.
fn read_across(chatter: &mut Chatter, since: u64) -> u64 {
    let mut newest = since;
    let mut numbers = [None; PUBLISHERS];
    let mut live = None;
    loop {
        let message = chatter.hear();
        match message["type"].as_str() {
            Some("room_msg") => {
                assert_eq!(
                    message["offset"],
                    newest + 1,
                    "behind {newest}, since {since}: {message}"
                );
                newest += 1;
                check_content(&message["content"], &mut numbers);
                live = live.map(|live| live + 1);
            }
            Some("joined") => {
                assert_eq!(live, None, "it is said once: {message}");
                assert_eq!(message["recovered"], true, "{message}");
                assert_eq!(position(&message["position"]).1, newest, "{message}");
                live = Some(0);
            }
            Some("system") => {}
            _ => panic!("neither an entry nor joined: {message}"),
        }
        if live.is_some_and(|live| live >= LIVE) {
            return newest;
        }
    }
}

/// Where no place is missing, no message of anybody is.
fn check_content(content: &Value, numbers: &mut [Option<u64>; PUBLISHERS]) {
    let publisher = content[0].as_u64().expect("a publisher") as usize;
    let number = content[1].as_u64();
    if let Some(before) = numbers[publisher] {
        assert_eq!(number, Some(before + 1), "of publisher {publisher}");
    }
    numbers[publisher] = number;
}

fn show_progress(done: &AtomicU64, joins: u64, is_over: impl Fn() -> bool) {
    let mut shown = Instant::now();
    while !is_over() {
        thread::sleep(Duration::from_millis(20));
        if shown.elapsed() > Duration::from_secs(2) {
            shown = Instant::now();
            eprintln!("{} of {joins} joins", done.load(Ordering::Relaxed));
        }
    }
}

fn position(token: &Value) -> (String, u64) {
    let (epoch, offset) = token
        .as_str()
        .and_then(|token| token.split_once('-'))
        .expect("a position");
    (epoch.to_owned(), offset.parse().expect("an offset"))
}
