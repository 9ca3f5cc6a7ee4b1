//! A server of several workers that was stopped and goes on: each worker takes the pause for another time, by what it waited for
//! when it came, and what they share must not suffer from that.

use std::thread::sleep;
use std::time::Duration;

use tidewire_tests::http::{HttpConnection, get};
use tidewire_tests::{Client, Frame, Server, wait_until};

/// So many that each worker has some.
const CLIENTS: usize = 32;

/// Longer than three canaries, after which a server is not ready.
const STOPPED: Duration = Duration::from_secs(5);

/// A server of two workers that has just been stopped for a while.
fn stopped_for_a_while(arguments: &[&str]) -> (Server, Vec<HttpConnection>) {
    let server = Server::start_with(&[&["--workers", "2"], arguments].concat());
    let mut askers: Vec<_> = (0..CLIENTS)
        .map(|_| HttpConnection::open(server.address()))
        .collect();
    for asker in &mut askers {
        wait_until("it is ready", || is_ready(asker));
    }
    server.signal("STOP");
    sleep(STOPPED);
    server.signal("CONT");
    (server, askers)
}

fn is_ready(asker: &mut HttpConnection) -> bool {
    asker.request("GET", "/ready", "");
    asker.response().status == 200
}

#[test]
fn every_worker_is_ready_again() {
    let (_server, mut askers) = stopped_for_a_while(&["--canary", "1s"]);
    for asker in &mut askers {
        wait_until("it is ready again", || is_ready(asker));
    }
}

#[test]
fn every_worker_gives_its_clients_the_same_time_to_end() {
    let (mut server, askers) = stopped_for_a_while(&["--canary", "1s", "--drain", "5s"]);
    drop(askers);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    server.signal("TERM");
    for client in &mut clients {
        client.expect_close(1012);
        client.send(&Frame::close(1012, ""));
        client.expect_end();
    }
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let log = server.log();
    assert!(!log.contains("did not end in time"), "{log}");
}

#[test]
fn the_pause_is_no_part_of_the_turns_behind_it() {
    let (server, mut askers) = stopped_for_a_while(&["--canary", "1s"]);
    for asker in &mut askers {
        wait_until("it is ready again", || is_ready(asker));
    }
    let metrics = get(server.address(), "/metrics");
    let metrics = String::from_utf8(metrics.body).expect("text");
    let sum = metrics.lines().find_map(|line| {
        let sum = line.strip_prefix("tidewire_turn_seconds_sum ")?;
        sum.parse::<f64>().ok()
    });
    // The turn that each worker was stopped in may have it; each answer since then took a turn of its own.
    let sum = sum.expect("a sum of durations");
    assert!(sum < 4.0 * STOPPED.as_secs_f64(), "{sum} s in turns");
}
