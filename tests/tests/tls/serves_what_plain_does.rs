//! `wss://` and `https://`: the chat, the page, the API, files and large messages, for our own clients and for those of others.

use tidewire_tests::http::{get, send};
use tidewire_tests::script::Script;
use tidewire_tests::wire::End;
use tidewire_tests::{Chatter, Client, Identity, Launch, Message, Server, wait_until};

fn start() -> (Identity, Server) {
    let identity = Identity::shared();
    let server = Launch::default().tls(&identity).start();
    (identity, server)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn people_chat_over_wss() {
    let (_, server) = start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    for seq in 1..=100 {
        let content = "x".repeat(seq as usize * 300);
        let ack = alice.say_acked("lobby", &content, seq);
        assert_eq!(ack["offset"], seq);
        assert_eq!(bob.hear_of("room_msg")["content"], content);
    }
    bob.client.close();
    let counted = get(server.address(), "/health").json();
    assert_eq!(counted["tls_handshakes"], 3, "{counted}");
    assert_eq!(counted["tls_failures"], 0, "{counted}");
}

#[test]
fn the_page_and_the_api_are_there_over_https() {
    let (_, server) = start();
    let page = get(server.address(), "/");
    assert!(page.text().contains("<!doctype html>"), "{page:?}");
    let body = br#"{"content":"by https","from":"alice"}"#;
    let headers = "Content-Type: application/json\r\n";
    let target = "/api/rooms/lobby/messages";
    let published = send(server.address(), "POST", target, headers, body);
    assert_eq!(published.json()["offset"], 1, "{published:?}");
    let history = get(server.address(), &format!("{target}?since=")).json();
    assert_eq!(history["messages"][0]["content"], "by https", "{history}");
}

#[test]
fn a_file_of_many_records_comes_back_as_it_was_sent() {
    let (_, server) = start();
    let bytes = pattern(5 << 20);
    let headers = "Content-Type: image/png\r\n";
    let sent = send(server.address(), "POST", "/api/files", headers, &bytes);
    assert_eq!(sent.status, 201, "{sent:?}");
    let json = sent.json();
    let url = json["url"].as_str().expect("an address");
    assert!(get(server.address(), url).body == bytes);
}

#[test]
fn messages_of_every_size_come_back_as_they_were_sent() {
    let (_, server) = start();
    let mut client = Client::open(server.address(), "/echo");
    for size in [0, 1, 125, 16_383, 16_384, 16_385, 65_536, 1 << 20, 9 << 20] {
        let bytes = pattern(size);
        client.send_binary(&bytes);
        assert!(client.expect_binary() == bytes, "{size} bytes");
    }
    client.close();
}

#[test]
fn an_end_is_said_in_tls_too() {
    let (_, server) = start();
    let mut client = Client::open(server.address(), "/echo");
    client.send(&tidewire_tests::Frame::close(1000, "bye"));
    client.expect_close(1000);
    // Without close_notify this is `End::Cut`.
    assert_eq!(client.read_message(), Message::End(End::Closed));
    // Who goes without a word is gone, and nothing else.
    drop(Client::open(server.address(), "/echo"));
    wait_until("only who asks is there", || {
        server.health().connections == 1
    });
}

#[test]
fn node_is_served() {
    let (identity, server) = start();
    let url = server.websocket_url("/echo");
    Script::node_trusting(&identity.certificate(), "echo_ws.mjs", &[&url]).finish();
}

#[test]
fn python_is_served() {
    let (identity, server) = start();
    let url = server.websocket_url("/echo");
    let certificate = identity.certificate();
    Script::python_trusting(&certificate, "echo_websockets.py", &[&url]).finish();
}
