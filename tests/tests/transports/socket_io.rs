//! Socket.IO v5 over raw connections: packets, namespaces, acks and attachments, as the official suite has them, and what the chat makes of
//! them. What a library does with it is in `socket_io_clients.rs`.

use serde_json::{Value, json};
use tidewire_tests::websocket::Message;
use tidewire_tests::{Chatter, Client, Issuer, Launch, Server, http};

const WEB_SOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

fn echo() -> Server {
    let options = ["--protocols", "conformance", "--heartbeat", "30s"];
    Launch::default().arguments(&options).start()
}

/// A session over a WebSocket, before CONNECT.
fn open(server: &Server) -> Client {
    let mut client = Client::open(server.address(), WEB_SOCKET);
    assert!(client.expect_text().starts_with("0{"));
    client
}

fn expect_over(client: &mut Client) {
    while !matches!(client.read_message(), Message::Close(..) | Message::End(_)) {}
}

/// What a packet carries behind `head`.
fn carried(text: &str, head: &str) -> Value {
    let data = text.strip_prefix(head);
    let data = data.unwrap_or_else(|| panic!("{head} was due, but this came: {text}"));
    serde_json::from_str(data).expect("JSON")
}

/// A client in a namespace of the echo.
fn connected(server: &Server) -> Client {
    let mut client = open(server);
    client.send_text("40");
    assert!(carried(&client.expect_text(), "40")["sid"].is_string());
    assert_eq!(client.expect_text(), r#"42["auth",{}]"#);
    client
}

// ---- the protocol ----

#[test]
fn namespaces_are_connected_to_with_or_without_a_payload() {
    let server = echo();
    for (connect, head, auth) in [
        ("40", "40", r#"42["auth",{}]"#),
        (
            r#"40{"token":"123"}"#,
            "40",
            r#"42["auth",{"token":"123"}]"#,
        ),
        ("40/custom,", "40/custom,", r#"42/custom,["auth",{}]"#),
        ("40/custom", "40/custom,", r#"42/custom,["auth",{}]"#),
        (
            r#"40/custom,{"a":1}"#,
            "40/custom,",
            r#"42/custom,["auth",{"a":1}]"#,
        ),
    ] {
        let mut client = open(&server);
        client.send_text(connect);
        let answer = carried(&client.expect_text(), head);
        assert_eq!(
            answer.as_object().map(|answer| answer.keys().count()),
            Some(1)
        );
        assert!(answer["sid"].is_string());
        assert_eq!(client.expect_text(), auth);
    }
    let mut client = open(&server);
    client.send_text("40/random");
    assert_eq!(
        client.expect_text(),
        r#"44/random,{"message":"Invalid namespace"}"#
    );
}

#[test]
fn who_leaves_a_namespace_is_still_in_the_other() {
    let server = echo();
    let mut client = connected(&server);
    client.send_text("40/custom");
    client.expect_text();
    client.expect_text();
    client.send_text("41/custom");
    client.send_text(r#"42["message","to the main one"]"#);
    assert_eq!(
        client.expect_text(),
        r#"42["message-back","to the main one"]"#
    );
}

#[test]
fn events_and_acks_come_back_with_their_attachments() {
    let server = echo();
    let mut client = connected(&server);
    client.send_text(r#"42["message",1,"2",{"3":[true]}]"#);
    assert_eq!(
        client.expect_text(),
        r#"42["message-back",1,"2",{"3":[true]}]"#
    );
    client.send_text(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#);
    assert_eq!(client.expect_text(), r#"43456[1,"2",{"3":[false]}]"#);
    let two = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    for (sent, answer) in [
        (
            format!(r#"452-["message",{two}]"#),
            format!(r#"452-["message-back",{two}]"#),
        ),
        (
            format!(r#"452-789["message-with-ack",{two}]"#),
            format!("462-789[{two}]"),
        ),
    ] {
        client.send_text(&sent);
        client.send_binary(&[1, 2, 3]);
        client.send_binary(&[4, 5, 6]);
        assert_eq!(client.expect_text(), answer);
        assert_eq!(client.expect_binary(), [1, 2, 3]);
        assert_eq!(client.expect_binary(), [4, 5, 6]);
    }
}

#[test]
fn what_is_no_packet_ends_it() {
    let server = echo();
    for text in [
        "4abc",
        "42{}",
        "42[]",
        r#"42abc["message-with-ack",1]"#,
        r#"45-["message"]"#,
        "43[]",
    ] {
        let mut client = connected(&server);
        client.send_text(text);
        expect_over(&mut client);
    }
    let mut client = connected(&server);
    client.send_text(r#"451-["message",{"_placeholder":true,"num":0}]"#);
    client.send_text(r#"42["message",1]"#);
    expect_over(&mut client);
    for text in ["4abc", r#"42["message",1]"#] {
        let mut client = open(&server);
        client.send_text(text);
        expect_over(&mut client);
    }
}

#[test]
fn who_connects_to_nothing_is_let_go() {
    for protocol in ["conformance", "socket.io"] {
        let options = ["--protocols", protocol, "--handshake-timeout", "2s"];
        let server = Launch::default().arguments(&options).start();
        expect_over(&mut open(&server));
    }
}

// ---- the chat ----

/// A client of the chat, welcomed; and the answer to its CONNECT.
fn enter(server: &Server, auth: &Value) -> (Client, Value) {
    let mut client = open(server);
    client.send_text(&format!("40{auth}"));
    let answer = carried(&client.expect_text(), "40");
    assert_eq!(carried(&client.expect_text(), "42")[0], "welcome");
    (client, answer)
}

/// The arguments of the next event of this name.
fn event(client: &mut Client, name: &str) -> Vec<Value> {
    loop {
        let text = client.expect_text();
        if let Some(list) = text.strip_prefix("42") {
            let list: Vec<Value> = serde_json::from_str(list).expect("a list");
            if list[0] == name {
                return list[1..].to_vec();
            }
        }
    }
}

/// What the ack of this number carries.
fn ack(client: &mut Client, id: u32) -> Value {
    let head = format!("43{id}[");
    loop {
        let text = client.expect_text();
        if text.starts_with(&head) {
            return carried(&text, &head[..head.len() - 1])[0].clone();
        }
    }
}

#[test]
fn a_message_is_acknowledged_with_its_place_and_comes_to_all_as_it_was() {
    let server = Launch::default().start();
    let mut json = Chatter::enter(&server, "bob", "r");
    let (mut ada, answer) = enter(&server, &json!({"userId": "ada"}));
    assert!(answer["sid"].is_string() && answer["pid"].is_string());
    ada.send_text(r#"421["join","r"]"#);
    assert_eq!(ack(&mut ada, 1)["members"], json!(["ada", "bob"]));
    ada.send_text(r#"422["msg","r",{"a":1.50}]"#);
    let told = ack(&mut ada, 2);
    assert_eq!((&told["room"], &told["offset"]), (&json!("r"), &json!(1)));
    let own = event(&mut ada, "msg");
    let epoch = own[0]["epoch"].as_str().expect("an epoch");
    assert_eq!(
        (&own[0]["from"], &own[0]["offset"]),
        (&json!("ada"), &json!(1))
    );
    let offset = own[1].as_str().expect("an offset");
    assert!(
        offset.split(',').any(|pair| pair == format!("r:{epoch}-1")),
        "{offset}"
    );
    let heard = loop {
        let text = json.hear_text();
        if text.contains("room_msg") {
            break text;
        }
    };
    assert!(heard.contains(r#""content":{"a":1.50}"#), "{heard}");
}

#[test]
fn an_offset_names_all_logs_and_brings_back_to_all_rooms_exactly_behind_it() {
    let server = Launch::default().start();
    let (mut bob, _) = enter(&server, &json!({"userId": "bob"}));
    let (mut ada, answer) = enter(&server, &json!({"userId": "ada"}));
    for (id, room) in [(1, "a"), (2, "b,c")] {
        for client in [&mut ada, &mut bob] {
            client.send_text(&format!(r#"42{id}["join","{room}"]"#));
            ack(client, id);
        }
    }
    for (id, room) in [(3, "a"), (4, "b,c"), (5, "a"), (6, "b,c")] {
        bob.send_text(&format!(r#"42{id}["msg","{room}",{id}]"#));
        ack(&mut bob, id);
    }
    let seen: Vec<_> = (0..4).map(|_| event(&mut ada, "msg")).collect();
    let contents = |seen: &[Vec<Value>]| {
        seen.iter()
            .map(|args| args[0]["content"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(contents(&seen), [3, 4, 5, 6]);
    ada.close();
    // It may come back behind any of them, to any server that has the logs.
    for (last, missed) in [(1, vec![5, 6]), (2, vec![6]), (3, vec![])] {
        let mut again = open(&server);
        let auth = json!({"userId": "ada", "pid": answer["pid"], "offset": seen[last][1]});
        again.send_text(&format!("40{auth}"));
        let mut replayed = Vec::new();
        let answered = loop {
            let text = again.expect_text();
            if text.starts_with("40") {
                break carried(&text, "40");
            }
            let list: Vec<Value> = serde_json::from_str(&text[2..]).expect("a list");
            if list[0] == "msg" {
                replayed.push(list[1]["content"].clone());
            }
        };
        replayed.sort_by_key(Value::as_u64);
        assert_eq!(replayed, missed, "behind {}", seen[last][0]);
        assert_eq!(answered["pid"], answer["pid"], "it is recovered");
        again.send_text(r#"421["presence","b,c"]"#);
        assert_eq!(ack(&mut again, 1)["members"], json!(["ada", "bob"]));
        again.close();
    }
}

#[test]
fn an_offset_that_was_not_given_recovers_nothing() {
    let server = Launch::default().start();
    let (_, answer) = enter(&server, &json!({}));
    for auth in [
        json!({"pid": answer["pid"]}),
        json!({"pid": answer["pid"], "offset": "-"}),
        json!({"pid": answer["pid"], "offset": "bob"}),
        json!({"pid": "x", "offset": "a:00000001-1"}),
    ] {
        let (_, other) = enter(&server, &auth);
        assert!(
            other["pid"].is_string() && other["pid"] != auth["pid"],
            "{auth}: {other}"
        );
    }
    let without = Launch::default()
        .arguments(&["--socketio-recovery", "false"])
        .start();
    let (mut ada, answer) = enter(&without, &json!({"pid": "x.y", "offset": "a:00000001-1"}));
    assert_eq!(
        answer.as_object().map(serde_json::Map::len),
        Some(1),
        "{answer}"
    );
    ada.send_text(r#"421["join","a"]"#);
    ack(&mut ada, 1);
    ada.send_text(r#"42["msg","a",1]"#);
    assert_eq!(event(&mut ada, "msg").len(), 1, "no offset");
}

#[test]
fn who_has_no_good_token_or_name_is_refused_and_may_try_again() {
    let server = Launch::default().start();
    let mut client = open(&server);
    for auth in [
        r#"{"userId":7}"#.to_owned(),
        json!({"userId": "x".repeat(129)}).to_string(),
    ] {
        client.send_text(&format!("40{auth}"));
        let refused = carried(&client.expect_text(), "44");
        assert!(refused["message"].is_string() && refused["data"]["code"].is_string());
    }
    client.send_text("40");
    assert!(client.expect_text().starts_with("40{"));
}

#[test]
fn who_polls_hears_why_its_token_is_refused() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let open = http::get(server.address(), POLLING);
    let open = carried(open.text(), "0");
    let session = format!("{POLLING}&sid={}", open["sid"].as_str().expect("a sid"));
    // Nobody polls just then: what is to be said waits for who does.
    let token = br#"40{"token":"nonsense"}"#;
    let taken = http::send(server.address(), "POST", &session, "", token);
    assert_eq!((taken.status, taken.text()), (200, "ok"));
    let told = http::get(server.address(), &session);
    let (refused, end) = told.text().split_once('\x1e').expect("two packets");
    let code = &carried(refused, "44")["data"]["code"];
    assert_eq!((code, end), (&json!("unauthorized"), "1"));
    assert_eq!(http::get(server.address(), &session).status, 400);
}

#[test]
fn a_newer_connection_of_a_session_takes_the_place_of_the_older() {
    let server = Launch::default().start();
    let who = json!({"userId": "ada", "session": "s"});
    let (mut older, _) = enter(&server, &who);
    let (mut newer, _) = enter(&server, &who);
    let told = event(&mut older, "error");
    assert_eq!(told[0]["closeCode"], 4003, "{told:?}");
    // So that the library does not come back by itself.
    assert_eq!(older.expect_text(), "41");
    expect_over(&mut older);
    newer.send_text(r#"421["presence","r"]"#);
    assert_eq!(ack(&mut newer, 1)["members"], json!([]));
}

#[test]
fn who_does_not_poll_is_not_waited_for_with_all_there_is() {
    let server = Launch::default()
        .arguments(&["--messages-per-second", "0"])
        .start();
    let mut polled = Polled::enter(&server, "ada");
    polled.post(r#"421["join","r"]"#);
    polled.until("431[");
    let (mut bob, _) = enter(&server, &json!({"userId": "bob"}));
    bob.send_text(r#"421["join","r"]"#);
    ack(&mut bob, 1);
    let content = "x".repeat(10_000);
    for id in 2..52 {
        bob.send_text(&format!(r#"42{id}["msg","r","{content}"]"#));
        ack(&mut bob, id);
    }
    // Far more than is kept for a poll: the others wait in the log, and come one poll after the other, none twice.
    let mut offsets = Vec::new();
    while offsets.last() != Some(&50) {
        let payload = polled.get();
        assert!(payload.len() < 200_000, "{}", payload.len());
        for packet in payload
            .split('\x1e')
            .filter(|packet| packet.starts_with(r#"42["msg""#))
        {
            let list: Value = serde_json::from_str(&packet[2..]).expect("a list");
            offsets.push(list[1]["offset"].as_u64().expect("an offset"));
        }
    }
    assert_eq!(offsets, (1..=50).collect::<Vec<_>>());
}

#[test]
fn a_polled_session_chats_too() {
    let server = Launch::default().start();
    let mut ada = Polled::enter(&server, "ada");
    ada.post(r#"421["join","r"]"#);
    ada.until("431[");
    let mut json = Chatter::enter(&server, "bob", "r");
    json.say("r", "hello ada");
    assert!(ada.until("hello ada").contains(r#""from":"bob""#));
    ada.post("422[\"msg\",\"r\",\"one\"]\x1e423[\"msg\",\"r\",\"two\"]");
    assert!(ada.until("433[").contains(r#""offset":3"#));
    ada.post("41");
    assert_eq!(json.hear_of("system")["event"], "leave");
}

/// A client that polls.
struct Polled<'s> {
    server: &'s Server,
    session: String,
}

impl<'s> Polled<'s> {
    fn enter(server: &'s Server, user: &str) -> Self {
        let open = http::get(server.address(), POLLING);
        let open = carried(open.text(), "0");
        let session = format!("{POLLING}&sid={}", open["sid"].as_str().expect("a sid"));
        let mut polled = Self { server, session };
        polled.post(&format!("40{}", json!({"userId": user})));
        polled.until("40{");
        polled
    }

    fn post(&mut self, body: &str) {
        let address = self.server.address();
        let response = http::send(address, "POST", &self.session, "", body.as_bytes());
        assert_eq!((response.status, response.text()), (200, "ok"));
    }

    fn get(&mut self) -> String {
        let response = http::get(self.server.address(), &self.session);
        assert_eq!(response.status, 200, "{response:?}");
        response.text().to_owned()
    }

    /// Polls until something comes in which this is.
    fn until(&mut self, part: &str) -> String {
        loop {
            let payload = self.get();
            if payload.contains(part) {
                return payload;
            }
        }
    }
}
