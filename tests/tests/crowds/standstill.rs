//! Somebody stands still: a server that was stopped for longer than any heartbeat blames none of its clients for it, and
//! clients that are stopped are given up. `cargo xtask chaos halfopen` does it with more of them, for longer.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_tests::crowd::{Heard, Member};
use tidewire_tests::launch::binary;
use tidewire_tests::server::signal;
use tidewire_tests::wait::{PATIENCE, number_from};
use tidewire_tests::{Chatter, Server, wait_until};

/// Time enough for who is held up, and not for who stands still.
const TIMES: &[&str] = &[
    "--heartbeat",
    "1s",
    "--pong-wait",
    "8s",
    "--close-timeout",
    "1s",
];

/// Lets all do what they do for a while, and returns what they heard in it.
fn attend(crowd: &mut [Member], time: Duration) -> Vec<Heard> {
    let until = Instant::now() + time;
    let mut heard = Vec::new();
    while Instant::now() < until {
        heard.extend(crowd.iter_mut().flat_map(Member::poll));
        sleep(Duration::from_millis(20));
    }
    heard
}

/// Attends to all until so many have heard something.
#[track_caller]
fn attend_until(crowd: &mut [Member], what: &str, count: usize, is_it: fn(&Heard) -> bool) {
    let until = Instant::now() + PATIENCE;
    let mut found = 0;
    while found < count {
        assert!(Instant::now() < until, "{what}: {found} of {count}");
        for heard in attend(crowd, Duration::from_millis(50)) {
            assert!(
                !matches!(heard, Heard::Ended(_) | Heard::Refused(_)),
                "{heard:?}"
            );
            found += usize::from(is_it(&heard));
        }
    }
}

#[test]
fn a_server_that_was_stopped_drops_none_of_its_clients() {
    // More than one look at the kernel's events tells of.
    let clients = number_from("TIDEWIRE_CLIENTS", 1500);
    let stopped = Duration::from_secs(number_from("TIDEWIRE_STOPPED_SECONDS", 12) as u64);
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit of descriptors");
    // Time for the pongs of thousands that one thread has, and less than the server is stopped for.
    let times = ["--heartbeat", "1s", "--pong-wait", "10s"];
    let server = Server::start_with(&times);
    let mut crowd: Vec<Member> = Vec::new();
    for number in 0..clients {
        // Rooms are small: a thousand tell each other a million times that they have come.
        let target = format!("/ws?room=r{}", number / 50);
        let member = Member::open(number, server.address(), &target);
        crowd.push(member.expect("a connection"));
        if number % 200 == 199 {
            // Those that are here are asked whether they live meanwhile.
            let heard = attend(&mut crowd, Duration::from_millis(1));
            assert!(!heard.iter().any(|heard| matches!(heard, Heard::Ended(_))));
        }
    }
    // Some are being asked whether they live when it stops.
    attend(&mut crowd, Duration::from_millis(2500));
    server.hold_still();
    attend(&mut crowd, stopped);
    server.signal("CONT");
    let heard = attend(&mut crowd, Duration::from_secs(5));
    let ended = heard
        .iter()
        .filter(|heard| matches!(heard, Heard::Ended(_)));
    assert_eq!(
        ended.count(),
        0,
        "of {clients} that answered all that they were asked"
    );
    let mut speaker = Chatter::connect(&server, "userId=speaker");
    speaker.send(&json!({"type": "broadcast", "content": "and on"}));
    attend_until(
        &mut crowd,
        "have heard it",
        clients,
        |heard| matches!(heard, Heard::Text(text) if text.contains("and on")),
    );
    println!("{clients} clients, server stopped for {stopped:?}: none dropped, all served");
}

#[test]
fn clients_that_are_stopped_are_given_up_and_the_others_stay() {
    let server = Server::start_with(TIMES);
    let url = format!("ws://{}", server.address());
    let mut tails: Vec<_> = (0..3)
        .map(|_| {
            let mut command = std::process::Command::new(binary());
            command.args(["tail", "--room", "lobby", &url]);
            command.stdout(std::process::Stdio::null());
            command.spawn().expect("tidewire tail")
        })
        .collect();
    // They and the one that asks.
    wait_until("all have come", || server.health().connections >= 4);
    signal(tails[0].id(), "STOP");
    signal(tails[1].id(), "STOP");
    wait_until("both are gone", || server.health().connections <= 2);
    // As long again as who stands still has: who asks, and the third.
    sleep(Duration::from_secs(10));
    wait_until("the third is there", || server.count("chat_sockets") == 1);
    assert_eq!(server.count("closed_4009"), 2, "it never went");
    for tail in &mut tails {
        let _ = tail.kill();
        let _ = tail.wait();
    }
}
