//! MQTT over WebSocket, byte by byte: the handshake, packets and messages, acknowledgements, sessions over workers, and the
//! end. Sessions over restarts are in `mqtt_sessions`, real clients in `mqtt_clients`.

use tidewire_tests::http::{self, HttpConnection};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, Directory, Issuer, Launch, Message, Server, wait_until};

/// A client that opened a WebSocket as those that speak MQTT do.
#[track_caller]
pub(super) fn open(server: &Server) -> Client {
    let headers = "Sec-WebSocket-Protocol: mqtt\r\n";
    let mut connection = HttpConnection {
        wire: Wire::open(server.address()),
    };
    let request = handshake_request("/mqtt", headers);
    connection.wire.send(request.as_bytes());
    let response = connection.response();
    assert_eq!(response.status, 101, "{response:?}");
    assert_eq!(response.header("sec-websocket-protocol"), Some("mqtt"));
    Client::upgraded(connection.wire)
}

/// A packet.
pub(super) fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u8::try_from(body.len()).expect("short packets only");
    assert!(length < 128, "short packets only");
    [&[first, length], body.as_slice()].concat()
}

pub(super) fn text(text: &str) -> Vec<u8> {
    [&[0, text.len() as u8], text.as_bytes()].concat()
}

/// CONNECT of MQTT 5, with a session that lasts an hour.
pub(super) fn connect(client: &str, user: &str) -> Vec<u8> {
    let expiry = b"\x05\x11\0\0\x0e\x10";
    let head = b"\0\x04MQTT\x05\x80\0\0";
    packet(0x10, &[head, expiry, &text(client), &text(user)])
}

/// A client that was let in, and whether its session was there.
#[track_caller]
pub(super) fn enter(server: &Server, client: &str, user: &str) -> (Client, bool) {
    let mut socket = open(server);
    socket.send_binary(&connect(client, user));
    let connack = socket.expect_binary();
    assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:x?}");
    (socket, connack[2] == 1)
}

pub(super) fn subscribe(topic: &str, qos: u8) -> Vec<u8> {
    packet(0x82, &[b"\0\x01\0", &text(topic), &[qos]])
}

fn publish(first: u8, topic: &str, id: u8, payload: &str) -> Vec<u8> {
    packet(first, &[&text(topic), &[0, id, 0], payload.as_bytes()])
}

/// Subscribes, and reads up to SUBACK.
#[track_caller]
pub(super) fn follow(socket: &mut Client, topic: &str, qos: u8) {
    socket.send_binary(&subscribe(topic, qos));
    assert_eq!(socket.expect_binary(), [0x90, 4, 0, 1, 0, qos]);
}

/// Publishes at QoS 1, and reads PUBACK.
#[track_caller]
pub(super) fn say(socket: &mut Client, topic: &str, payload: &str) {
    socket.send_binary(&publish(0x32, topic, 7, payload));
    assert_eq!(socket.expect_binary(), [0x40, 2, 0, 7]);
}

/// Reads a message of QoS 1: its payload, its identifier, and whether it is said to come again.
#[track_caller]
pub(super) fn hear(socket: &mut Client, topic: &str) -> (String, [u8; 2], bool) {
    let packet = socket.expect_binary();
    assert_eq!(packet[0] & 0xF6, 0x32, "{packet:x?}");
    let behind = 4 + topic.len();
    assert_eq!(&packet[4..behind], topic.as_bytes());
    let payload = String::from_utf8(packet[behind + 3..].to_vec()).expect("text");
    (
        payload,
        [packet[behind], packet[behind + 1]],
        packet[0] & 8 != 0,
    )
}

/// Acknowledges a message, and waits until the server has read that: nothing else comes meanwhile but messages that came before.
#[track_caller]
pub(super) fn acknowledge(socket: &mut Client, id: [u8; 2]) {
    socket.send_binary(&[0x40, 2, id[0], id[1]]);
    socket.send_binary(b"\xc0\0");
    assert_eq!(socket.expect_binary(), [0xD0, 0]);
}

#[test]
fn a_handshake_without_the_subprotocol_is_refused_with_a_sentence() {
    let server = Server::start();
    let refused = Client::try_open(server.address(), "/mqtt").expect_err("no subprotocol");
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("\"mqtt\""), "{}", refused.text());
    let server = Server::start_with(&["--protocols", "json"]);
    let refused = Client::try_open(server.address(), "/mqtt").expect_err("it is off");
    assert_eq!(refused.status, 404);
}

#[test]
fn packets_share_and_span_messages() {
    let server = Server::start();
    let mut chatter = Chatter::enter(&server, "ada", "lobby");
    let mut socket = open(&server);
    let bytes = [
        connect("c", "bob"),
        subscribe("lobby", 0),
        publish(0x32, "lobby", 1, "one"),
        publish(0x32, "lobby", 2, "two"),
    ]
    .concat();
    for piece in bytes.chunks(7) {
        socket.send_binary(piece);
    }
    for content in ["one", "two"] {
        assert_eq!(chatter.hear_of("room_msg")["content"], content);
    }
    assert_eq!(socket.expect_binary()[0], 0x20);
}

#[test]
fn a_text_is_not_mqtt() {
    let server = Server::start();
    let mut socket = open(&server);
    socket.send_text("hello");
    socket.expect_close(1003);
    let mut socket = open(&server);
    socket.send_binary(b"\xc0\0");
    assert_eq!(socket.expect_close(1008), "the first packet is no CONNECT");
}

#[test]
fn a_session_is_gone_on_with_at_any_worker() {
    let server = Server::start_with(&["--workers", "3", "--messages-per-second", "0"]);
    let (mut socket, present) = enter(&server, "c", "bob");
    assert!(!present);
    follow(&mut socket, "news", 1);
    let (mut author, _) = enter(&server, "a", "ada");
    let mut said: usize = 0;
    for _ in 0..8 {
        for _ in 0..3 {
            said += 1;
            say(&mut author, "news", &said.to_string());
        }
        let heard: Vec<_> = (0..3).map(|_| hear(&mut socket, "news")).collect();
        for (index, (payload, _, again)) in heard.iter().enumerate() {
            assert_eq!((payload, *again), (&(said - 2 + index).to_string(), false));
        }
        acknowledge(&mut socket, heard[0].1);
        drop(socket);
        let (next, present) = enter(&server, "c", "bob");
        assert!(present);
        socket = next;
        for (payload, id, _) in &heard[1..] {
            assert_eq!(hear(&mut socket, "news"), (payload.clone(), *id, true));
        }
        for (_, id, _) in &heard[1..] {
            acknowledge(&mut socket, *id);
        }
    }
}

#[test]
fn a_wildcard_finds_rooms_that_begin_at_any_worker() {
    let server = Server::start_with(&["--workers", "3", "--messages-per-second", "0"]);
    let enter_as = |number: usize| enter(&server, &format!("c{number}"), "bob").0;
    let mut followers: Vec<Client> = (0..6).map(enter_as).collect();
    for follower in &mut followers {
        follow(follower, "home/+", 1);
        // The answer comes behind the rooms that there are.
        follower.expect_alive();
    }
    for room in ["home/a", "home/b", "home/c"] {
        let mut author = enter_as(9);
        say(&mut author, room, "first");
        say(&mut author, room, "second");
        for follower in &mut followers {
            let heard = [hear(follower, room), hear(follower, room)];
            for ((payload, id, again), content) in heard.iter().zip(["first", "second"]) {
                assert_eq!((payload.as_str(), *again), (content, false));
                acknowledge(follower, *id);
            }
        }
    }
}

#[test]
fn who_comes_with_the_same_client_id_takes_over() {
    let server = Server::start_with(&["--workers", "2"]);
    let (mut older, _) = enter(&server, "c", "bob");
    let (_newer, present) = enter(&server, "c", "bob");
    assert!(present);
    let goodbye = older.expect_binary();
    assert_eq!((goodbye[0], goodbye[2]), (0xE0, 0x8E));
    older.expect_close(4003);
}

#[test]
fn a_retry_is_kept_once() {
    let server = Server::start();
    let (mut socket, _) = enter(&server, "c", "bob");
    let message = publish(0x34, "lobby", 9, "once");
    for _ in 0..3 {
        socket.send_binary(&message);
        assert_eq!(socket.expect_binary(), [0x50, 2, 0, 9]);
    }
    drop(socket);
    let (mut socket, present) = enter(&server, "c", "bob");
    assert!(present);
    socket.send_binary(&publish(0x3C, "lobby", 9, "once"));
    assert_eq!(socket.expect_binary(), [0x50, 2, 0, 9]);
    socket.send_binary(b"\x62\x02\0\x09");
    assert_eq!(socket.expect_binary(), [0x70, 2, 0, 9]);
    let history = http::get(server.address(), "/api/rooms/lobby/messages?since=").json();
    assert_eq!(history["messages"].as_array().map(Vec::len), Some(1));
}

#[test]
fn private_messages_wait_for_who_subscribes() {
    let server = Server::start();
    let mut ada = Chatter::connect(&server, "userId=ada");
    let private =
        serde_json::json!({"type": "private_msg", "toUser": "bob", "content": "psst", "seq": 1});
    ada.send(&private);
    ada.hear_of("ack");
    // Who does not subscribe gets nothing, and nothing counts as arrived.
    let (mut socket, _) = enter(&server, "c", "bob");
    socket.send_binary(b"\xc0\0");
    assert_eq!(socket.expect_binary(), [0xD0, 0]);
    socket.expect_alive();
    drop(socket);
    let (mut socket, _) = enter(&server, "d", "bob");
    follow(&mut socket, "@bob", 1);
    let (payload, id, _) = hear(&mut socket, "@bob");
    assert_eq!(payload, "psst");
    socket.send_binary(&[0x40, 2, id[0], id[1]]);
    ada.send(
        &serde_json::json!({"type": "private_msg", "toUser": "bob", "content": "again", "seq": 2}),
    );
    assert_eq!(hear(&mut socket, "@bob").0, "again");
    drop(socket);
    // What was acknowledged has arrived, for his other clients, too.
    let (mut socket, _) = enter(&server, "e", "bob");
    follow(&mut socket, "@bob", 1);
    assert_eq!(hear(&mut socket, "@bob").0, "again");
}

#[test]
fn a_restart_loses_no_message_and_numbers_are_others() {
    let directory = Directory::new();
    let launch = Launch::default().data(directory.path());
    let mut server = launch.start();
    let (mut socket, _) = enter(&server, "c", "bob");
    say(&mut socket, "lobby", "kept");
    server.kill();
    let server = launch.start();
    let (mut socket, present) = enter(&server, "c", "bob");
    assert!(!present, "there was nothing in it");
    // The numbers of its messages are others than before.
    say(&mut socket, "lobby", "kept, too");
    socket.send_binary(&subscribe("lobby", 0));
    let retained = socket.expect_binary();
    assert!(
        retained[0] == 0x31 && retained.ends_with(b"kept, too"),
        "{retained:x?}"
    );
}

#[test]
fn a_server_that_stops_says_so_last() {
    let mut server = Server::start();
    let (mut socket, _) = enter(&server, "c", "bob");
    server.signal("TERM");
    let goodbye = socket.expect_binary();
    assert_eq!((goodbye[0], goodbye[2]), (0xE0, 0x8B), "{goodbye:x?}");
    socket.expect_close(1012);
    drop(socket);
    assert!(server.wait_for_exit().success());
}

#[test]
fn it_is_counted_and_shown_as_mqtt() {
    let server = Server::start();
    let (socket, _) = enter(&server, "c", "bob");
    let is_counted = |count: u8| {
        let metrics = http::get(server.address(), "/metrics");
        let line = format!("tidewire_connections_by_kind{{kind=\"mqtt\"}} {count}\n");
        metrics.text().contains(&line)
    };
    wait_until("it is counted", || is_counted(1));
    drop(socket);
    wait_until("it is gone", || is_counted(0));
}

#[test]
fn who_shows_no_good_token_is_not_let_in() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let mut socket = open(&server);
    socket.send_binary(&connect("c", "bob"));
    let refused = socket.expect_binary();
    assert_eq!((refused[0], refused[3]), (0x20, 0x87), "{refused:x?}");
    let Message::Close(Some(1008), _) = socket.read_message() else {
        panic!("it is not closed")
    };
}
