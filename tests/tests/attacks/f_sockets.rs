//! F: the event loop, sockets and the operating system.

use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;
use tidewire_tests::{Client, Frame, Launch, wait_until};

use crate::{under_attack, under_attack_as};

/// [F4]
#[test]
fn peers_that_never_finish_closing_are_let_go() {
    let launch = Launch::default().arguments(&["--close-timeout", "1s"]);
    under_attack_as(&launch, |server| {
        let open = || Client::open(server.address(), "/echo");
        let idle = server.health().connections;
        let mut held: Vec<Client> = Vec::new();
        for _ in 0..50 {
            // Close without the end of TCP; an end of TCP without close; a bad frame and nothing more; a close frame that is cut.
            let [mut closed, mut finished, mut bad, mut cut] = [open(), open(), open(), open()];
            closed.send(&Frame::close(1000, ""));
            finished.wire.finish_sending();
            bad.send(&Frame::text("x").unmasked());
            cut.wire.send(&Frame::close(1000, "bye").encode()[..5]);
            cut.wire.finish_sending();
            held.extend([closed, finished, bad, cut]);
        }
        wait_until("all are let go, although none of us has closed", || {
            server.health().connections <= idle
        });
        drop(held);
    });
}

/// [F9]
#[test]
fn writing_to_peers_that_are_gone_ends_nobody() {
    under_attack(|server| {
        for _ in 0..200 {
            let mut client = Client::open(server.address(), "/echo");
            client
                .wire
                .send(&Frame::binary(vec![0; 10_000]).encode().repeat(20));
            SockRef::from(client.wire.stream())
                .set_linger(Some(Duration::ZERO))
                .expect("a reset instead of an end");
        }
        // The signal itself, as a host may have it on.
        server.signal("PIPE");
        Client::open(server.address(), "/echo").expect_alive();
    });
}

/// [F8]
#[test]
fn connections_that_take_the_places_of_others_get_none_of_theirs() {
    under_attack(|server| {
        for round in 0..300 {
            // The server has the end of one and the beginning of the next in the same turns.
            let mut leaving = Client::open(server.address(), "/echo");
            leaving.wire.send(
                &Frame::text(format!("of {round}, who left"))
                    .encode()
                    .repeat(20),
            );
            let _ = leaving.wire.stream().shutdown(Shutdown::Both);
            drop(leaving);
            let mut coming = Client::open(server.address(), "/echo");
            let own = format!("of {round}, who came");
            coming.send_text(&own);
            assert_eq!(coming.expect_text(), own);
        }
    });
}
