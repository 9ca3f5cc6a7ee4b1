//! One client that sends all it can does not take the others' share.

use std::io::{self, ErrorKind, Write as _};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidewire_tests::http::get;
use tidewire_tests::{Chatter, Client, Frame, Server};

#[test]
fn others_are_served_while_clients_flood_the_server() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _done_at_last = SetAtLast(&done);
        let floods = [
            Frame::binary("").encode().repeat(10_000),
            Frame::ping("ping").encode().repeat(10_000),
            Frame::pong("pong").encode().repeat(10_000),
            Frame::binary(vec![0; 1024 * 1024]).encode(),
            [
                Frame::text("a").unfinished().encode(),
                Frame::continuation("").encode(),
            ]
            .concat()
            .repeat(5_000),
        ];
        for flood in floods {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                pour(&Client::open(server.address(), "/echo"), &flood, done);
            });
        }
        for seq in 1..=200 {
            alice.say_acked("lobby", "through the flood", seq);
            assert_eq!(bob.hear_of("room_msg")["offset"], seq);
            if seq % 20 == 0 {
                Client::open(server.address(), "/echo").close();
                assert_eq!(get(server.address(), "/health").status, 200);
            }
        }
    });
    alice.client.expect_alive();
}

#[test]
fn a_chat_client_that_floods_is_limited_and_the_room_is_served() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (server, done) = (&server, &done);
        let _done_at_last = SetAtLast(done);
        scope.spawn(move || {
            let flooder = Chatter::enter(server, "flooder", "lobby");
            let typing = Frame::text(r#"{"type":"typing","roomId":"lobby"}"#).encode();
            pour(&flooder.client, &typing.repeat(100), done);
        });
        // The default rate of one connection is 100 messages a second with a burst of 200: these fit in it.
        for seq in 1..=100 {
            alice.say_acked("lobby", "hello", seq);
            assert_eq!(bob.hear_of("room_msg")["content"], "hello");
        }
    });
}

/// Sends `flood` over and over and reads what comes back, until `done` or until the server closes.
fn pour(client: &Client, flood: &[u8], done: &AtomicBool) {
    let mut stream = client.wire.stream();
    // A server that does not read us must not keep us from seeing that we are done.
    stream
        .set_write_timeout(Some(Duration::from_millis(100)))
        .expect("a write timeout");
    std::thread::scope(|scope| {
        // Ends with the connection, which the writer shuts down.
        scope.spawn(|| io::copy(&mut client.wire.stream(), &mut io::sink()));
        let mut at = 0;
        while !done.load(Ordering::Relaxed) {
            match stream.write(&flood[at..]) {
                Ok(count) => at = (at + count) % flood.len(),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                // Closed by a limit of the server's, which is its right.
                Err(_) => break,
            }
        }
        // Fails when the server has closed already, which is as well.
        let _ = stream.shutdown(Shutdown::Both);
    });
}

/// Sets its flag when it is dropped, also by a panic: the scope would wait for its threads for ever otherwise.
struct SetAtLast<'a>(&'a AtomicBool);

impl Drop for SetAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
