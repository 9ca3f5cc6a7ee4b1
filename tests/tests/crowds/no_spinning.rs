//! The event loop sleeps when there is nothing to do, and a turn that it makes has something to do.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tidewire_tests::http::HttpConnection;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, Frame, Server};

#[test]
fn an_idle_server_with_idle_connections_makes_no_turns() {
    let server = Server::start();
    let _idle: Vec<Client> = (0..200)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    let _chatting: Vec<Chatter> = (0..20)
        .map(|number| Chatter::enter(&server, &format!("user{number}"), "lobby"))
        .collect();
    let _half_done: Vec<HttpConnection> = (0..20)
        .map(|_| {
            let mut connection = HttpConnection::open(server.address());
            connection.wire.send(b"GET /ws HTTP/1.1\r\nHo");
            connection
        })
        .collect();
    let before = (server.health(), server.usage().cpu, Instant::now());
    // This is the one thing that can only be seen by letting time pass: nothing happens in it.
    sleep(Duration::from_secs(3));
    let after = (server.health(), server.usage().cpu);
    // Asking costs a few turns itself: accept, read, close.
    let turns = after.0.turns - before.0.turns;
    let time = before.2.elapsed();
    let seconds = time.as_secs_f64();
    assert!(
        (turns as f64) < 10.0 * seconds,
        "{turns} turns in {time:?} of idleness"
    );
    let cpu = after.1 - before.1;
    assert!(
        cpu.as_secs_f64() <= seconds / 60.0,
        "{cpu:?} of processor time in {time:?} of idleness"
    );
}

#[test]
fn turns_that_do_nothing_stay_rare_under_load() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut speaker = Chatter::enter(server, &format!("user{number}"), "lobby");
                for seq in 1..=300 {
                    speaker.say_acked("lobby", "hello", seq);
                }
            });
            scope.spawn(move || {
                for _ in 0..100 {
                    let mut client = Client::open(server.address(), "/echo");
                    client.send_binary(&[1; 100_000]);
                    client.expect_binary();
                    client.close();
                }
            });
        }
    });
    assert_few_idle_turns(&server);
}

#[test]
fn connections_in_every_odd_state_cause_no_turns() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    // One that has filled its outbox and waits for WRITABLE, and is not read from either.
    let mut stalled = Client::open_over(Wire::open_narrow(server.address()), "/echo");
    stalled.send_binary(&vec![0; 8 * 1024 * 1024]);
    // One that has sent half a frame, one that has said that it sends nothing more, one that is gone with
    // unread data on our side (a reset).
    let mut half_frame = Client::open(server.address(), "/echo");
    half_frame
        .wire
        .send(&Frame::text("half of this").encode()[..9]);
    let mut half_closed = Client::open(server.address(), "/echo");
    half_closed.wire.finish_sending();
    let mut reset = Client::open(server.address(), "/echo");
    reset.send_binary(&[0; 100_000]);
    drop(reset);

    let before = (server.health(), server.usage().cpu);
    sleep(Duration::from_secs(2));
    let after = (server.health(), server.usage().cpu);
    let turns = after.0.turns - before.0.turns;
    // The states settle within the first moments, and close timers may run meanwhile.
    assert!(
        turns < 200,
        "{turns} turns in two seconds in which nobody did anything"
    );
    assert!(
        after.1 - before.1 < Duration::from_millis(200),
        "{before:?} {after:?}"
    );
    assert_few_idle_turns(&server);
}

#[track_caller]
fn assert_few_idle_turns(server: &Server) {
    let health = server.health();
    assert!(
        health.idle_turns <= 20 + health.turns / 100,
        "turns that did nothing: {health:?}"
    );
}
