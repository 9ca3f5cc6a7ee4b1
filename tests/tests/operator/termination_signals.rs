//! SIGTERM and SIGINT: everything in flight is answered, every WebSocket is told, the process exits with 0.

use serde_json::json;
use tidewire_tests::http::HttpConnection;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, Frame, Launch, Message, Server, wait_until};

#[test]
fn sigterm_closes_every_websocket_with_1012_and_exits_with_0() {
    let mut server = Server::start();
    let mut clients: Vec<Client> = ["/echo", "/relay?room=r", "/ws?userId=alice&room=lobby", "/"]
        .iter()
        .cycle()
        .take(40)
        .map(|target| Client::open(server.address(), target))
        .collect();
    let mut kept_alive = HttpConnection::open(server.address());
    kept_alive.request("GET", "/health", "");
    kept_alive.response();
    server.signal("TERM");
    for client in &mut clients {
        assert_eq!(close_code(client), Some(1012));
        client.send(&Frame::close(1012, ""));
        client.expect_end();
    }
    drop(clients);
    kept_alive.expect_end();
    let status = server.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn sigint_closes_with_1001_or_1012_and_exits_with_0() {
    let mut server = Server::start();
    let mut clients: Vec<Client> = (0..10)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    server.signal("INT");
    for client in &mut clients {
        let code = close_code(client);
        assert!(matches!(code, Some(1001 | 1012)), "{code:?}");
        client.send(&Frame::close(1001, ""));
        client.expect_end();
    }
    drop(clients);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn what_was_sent_before_sigterm_is_answered_before_the_close() {
    const MESSAGES: u64 = 150;
    let mut server = Server::start_with(&["--messages-per-second", "0"]);
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let burst: Vec<u8> = (1..=MESSAGES)
        .flat_map(|seq| {
            let message =
                json!({"type": "room_msg", "roomId": "lobby", "content": seq, "seq": seq});
            Frame::text(message.to_string()).encode()
        })
        .collect();
    // The server stands still while both arrive, so that it finds them together, the messages in its receive
    // buffer (on loopback, that is where `write` puts them) and the signal.
    server.hold_still();
    alice.client.wire.send(&burst);
    server.signal("TERM");
    server.signal("CONT");
    for seq in 1..=MESSAGES {
        let ack = alice.hear_of("ack");
        assert_eq!((&ack["seq"], &ack["offset"]), (&json!(seq), &json!(seq)));
    }
    assert_eq!(alice.hear_close(), Some(1012));
    alice.client.send(&Frame::close(1012, ""));
    // Acked means kept: bob was shown all of it before he was told to go.
    for seq in 1..=MESSAGES {
        assert_eq!(bob.hear_of("room_msg")["offset"], seq);
    }
    assert_eq!(bob.hear_close(), Some(1012));
    bob.client.send(&Frame::close(1012, ""));
    drop((alice, bob));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_peer_that_does_not_answer_the_close_does_not_hold_up_the_exit() {
    let mut server = Server::start_with(&["--close-timeout", "1s"]);
    let _silent = Client::open(server.address(), "/echo");
    let _half_done = {
        let mut connection = HttpConnection::open(server.address());
        connection.wire.send(b"GET /ws HTTP/1.1\r\nHo");
        connection
    };
    let mut stalled = Client::open_over(Wire::open_narrow(server.address()), "/echo");
    // Its echoes fill every buffer on the way, so that not even the close frame gets out.
    stalled.send_binary(&vec![0; 16 * 1024 * 1024]);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn new_connections_are_not_taken_while_the_server_drains() {
    let mut server = Server::start_with(&["--close-timeout", "60s"]);
    let mut last = Client::open(server.address(), "/echo");
    server.signal("TERM");
    // It has begun to drain when the first close frame is here, and waits for our answer.
    last.expect_close(1012);
    wait_until("a new connection is refused", || {
        Wire::open_from([127, 0, 0, 1].into(), server.address()).is_err()
    });
    assert_eq!(
        server.exit_status(),
        None,
        "the last client has not answered yet"
    );
    last.send(&Frame::close(1012, ""));
    last.expect_end();
    drop(last);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_server_that_ended_can_be_started_again_on_its_port_at_once() {
    let mut server = Server::start();
    let port = server.address().port();
    for _ in 0..3 {
        // The server closes first, so its end of these connections lingers in TIME_WAIT.
        let mut client = Client::open(server.address(), "/echo");
        server.signal("TERM");
        client.expect_close(1012);
        client.send(&Frame::close(1012, ""));
        client.expect_end();
        drop(client);
        server.wait_for_exit();
        server = Launch::default().on_port(port).start();
    }
    Client::open(server.address(), "/echo").close();
}

/// Reads until the close frame, past the messages that came before it.
#[track_caller]
fn close_code(client: &mut Client) -> Option<u16> {
    loop {
        match client.read_message() {
            Message::Text(_) | Message::Binary(_) => {}
            Message::Close(code, _) => return code,
            Message::End(end) => panic!("the connection ended ({end:?}) without a close frame"),
        }
    }
}

#[test]
fn who_does_not_take_its_answers_does_not_hold_up_the_exit() {
    const MEMBERS: usize = 100;
    let mut server =
        Server::start_with(&["--messages-per-second", "0", "--close-timeout", "500ms"]);
    let name = "n".repeat(100);
    let members: Vec<Chatter> = (0..MEMBERS)
        .map(|number| Chatter::connect(&server, &format!("userId={name}{number}&room=lobby")))
        .collect();
    let mut asker = Chatter::over(Client::open_over(
        Wire::open_narrow(server.address()),
        "/ws?userId=asker",
    ));
    // Each answer has some 11 KB: more than the kernel and the server hold. Some of it is read, so that it has just become
    // possible to write a little more.
    for id in 0..300 {
        asker.send(&json!({"type": "presence", "roomId": "lobby", "id": id}));
    }
    for id in 0..8 {
        assert_eq!(asker.hear_of("presence")["id"], id);
    }
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    drop((asker, members));
}

#[test]
fn what_was_published_over_http_before_sigterm_is_shown_before_the_close() {
    let mut server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut publisher = HttpConnection::open(server.address());
    // A connection that nobody has accepted yet is not the server's.
    publisher.request("GET", "/health", "");
    assert_eq!(publisher.response().status, 200);
    server.hold_still();
    let body = br#"{"from":"alice","content":"the last word"}"#;
    publisher.request_with_body("POST", "/api/rooms/lobby/messages", "", body);
    server.signal("TERM");
    server.signal("CONT");
    assert_eq!(publisher.response().json()["offset"], 1);
    assert_eq!(bob.hear_of("room_msg")["content"], "the last word");
    assert_eq!(bob.hear_close(), Some(1012));
    bob.client.send(&Frame::close(1012, ""));
    drop(bob);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}
