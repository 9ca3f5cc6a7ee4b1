//! SIGTERM with many clients: they go in batches, each with its time to come back at, while the others are served; and however
//! clients behave, the process ends with 0 in the time it was given.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tidewire_tests::http::HttpConnection;
use tidewire_tests::http_chat::kinds;
use tidewire_tests::launch::binary;
use tidewire_tests::verify::KEEPS_ALL;
use tidewire_tests::wire::Wire;
use tidewire_tests::{
    Chatter, Client, Directory, EventStream, Frame, Launch, Message, PollChatter, Server,
    StreamChatter, wait_until,
};

/// The longest time that a server sends clients away for, in milliseconds.
const AWAY_MAX: u64 = 60_000;

/// Reads to the Close frame, and returns its code and the `reconnect` that came before it.
#[track_caller]
fn called_back(client: &mut Client) -> (Option<u16>, Option<u64>) {
    let mut after = None;
    loop {
        match client.read_message() {
            Message::Text(text) => {
                assert_eq!(after, None, "nothing comes behind it: {text}");
                let message: Value = serde_json::from_str(&text).expect("JSON");
                if message["type"] == "reconnect" {
                    after = message["after"].as_u64();
                }
            }
            Message::Binary(_) => {}
            Message::Close(code, _) => return (code, after),
            Message::End(end) => panic!("the connection ended ({end:?}) without a close frame"),
        }
    }
}

#[test]
fn hints_to_come_back_are_spread_over_500_clients() {
    let mut server = Server::start();
    let mut clients: Vec<Client> = (0..500)
        .map(|number| {
            Client::open(
                server.address(),
                &format!("/ws?userId=u{number}&room=lobby"),
            )
        })
        .collect();
    server.signal("TERM");
    let mut hints: Vec<u64> = clients
        .iter_mut()
        .map(|client| {
            let (code, after) = called_back(client);
            assert_eq!(code, Some(1012));
            client.send(&Frame::close(1012, ""));
            after.expect("each is told when to come back")
        })
        .collect();
    drop(clients);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    // They are counted from when each was told, in batches; so only the shape can be judged, not each place in it.
    hints.sort_unstable();
    assert!(hints[499] <= AWAY_MAX, "{hints:?}");
    let mut different = hints.clone();
    different.dedup();
    assert!(different.len() > 50, "all at once: {hints:?}");
    let span = hints[499] - hints[0];
    let crowded = hints
        .windows(100)
        .any(|part| part[99] - part[0] < span / 20);
    assert!(
        span > 0 && !crowded,
        "a fifth in a twentieth of the time: {hints:?}"
    );
}

#[test]
fn while_many_go_in_batches_the_others_are_served_and_nobody_new_comes() {
    // What has not filled its queue is taken for 1,000 connections a second: these take 6 s.
    let mut server = Server::start_with(&["--workers", "1"]);
    let mut crowd: Vec<Client> = (0..6_000)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut kept_alive = HttpConnection::open(server.address());
    kept_alive.request("GET", "/health", "");
    assert!(!kept_alive.response().announces_close());
    server.signal("TERM");
    assert_eq!(
        called_back(&mut crowd[0]),
        (Some(1012), None),
        "an echo has no protocol for it"
    );
    // Those who came last go last.
    alice.say_acked("lobby", "are you still here?", 1);
    assert_eq!(bob.hear_of("room_msg")["content"], "are you still here?");
    kept_alive.request("GET", "/health", "");
    let health = kept_alive.response();
    assert_eq!(health.json()["status"], "draining");
    assert!(health.announces_close());
    assert!(Wire::open_from([127, 0, 0, 1].into(), server.address()).is_err());
    for client in &mut crowd {
        // The server is not kept waiting.
        client.send(&Frame::close(1012, ""));
    }
    for client in &mut crowd[1..] {
        assert_eq!(called_back(client), (Some(1012), None));
    }
    for chatter in [&mut alice, &mut bob] {
        let (code, after) = called_back(&mut chatter.client);
        assert_eq!(code, Some(1012));
        assert!(after.is_some_and(|after| after <= AWAY_MAX), "{after:?}");
        chatter.client.send(&Frame::close(1012, ""));
    }
    drop((crowd, alice, bob));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn event_streams_and_polls_are_told_when_to_come_back() {
    let mut server = Server::start();
    let mut room = EventStream::open(server.address(), "/sse?room=lobby", "");
    let mut chatter = StreamChatter::connect(&server, "session=s1&userId=bob&room=lobby");
    let mut poller = PollChatter::new(&server, "session=s2&userId=carol&room=lobby");
    poller.poll();
    let mut older = StreamChatter::connect(&server, "session=s2&userId=carol&room=lobby");
    poller.ask(60);
    // The poll has taken its place, so that it has arrived.
    older.hear_close();
    server.signal("TERM");
    let reconnect = chatter.hear_of("reconnect");
    let after = reconnect["after"].as_u64().expect("a time");
    assert_eq!(chatter.hear_close().0, 1012);
    assert_eq!(chatter.stream.retry, after, "in both ways");
    while room.event_if_any().is_ok() {}
    assert!(
        room.retry < AWAY_MAX && room.retry != 2000,
        "{}",
        room.retry
    );
    let answer = poller.answer();
    let kinds = kinds(&answer);
    assert!(kinds.ends_with(&["reconnect", "close"]), "{kinds:?}");
    drop((room, chatter, poller, older));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn what_does_not_end_in_time_is_named_and_cut() {
    let mut server = Server::start_with(&["--close-timeout", "1h", "--drain", "2s"]);
    let silent = Client::open(server.address(), "/echo");
    let port = silent
        .wire
        .stream()
        .local_addr()
        .expect("its address")
        .port();
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let told = format!("127.0.0.1 port {port} (WebSocket");
    wait_until("it is named", || server.log().contains(&told));
}

#[test]
fn a_second_sigterm_is_quick_also_where_all_are_let_go_in_an_hour() {
    let times = ["--close-timeout", "1h", "--drain", "1d"];
    let mut server = Launch::default().arguments(&times).start();
    // None of them answers.
    let mut crowd: Vec<Client> = (0..600)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    server.signal("TERM");
    assert_eq!(called_back(&mut crowd[0]).0, Some(1012));
    assert_eq!(server.exit_status(), None);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    for client in &mut crowd[1..] {
        assert_eq!(called_back(client).0, Some(1012), "it was not cut");
    }
}

#[test]
fn a_drain_loses_nothing_of_what_is_said_meanwhile() {
    let directory = Directory::new();
    let launch = Launch::default()
        .data(directory.path())
        .arguments(&["--messages-per-second", "0"]);
    let mut server = launch.start();
    let mut crowd: Vec<Client> = (0..600)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    let mut alice = Chatter::connect(&server, "userId=alice&session=a&room=lobby");
    // She sends on whatever happens: what is not acknowledged when she is closed is hers to say again.
    let mut acked = 0;
    let mut sent = 0;
    server.signal("TERM");
    loop {
        sent += 1;
        let text = json!({"type": "room_msg", "roomId": "lobby", "content": sent, "seq": sent});
        alice.send(&text);
        match alice.client.read_message() {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                if message["type"] == "ack" {
                    assert_eq!(message["seq"], acked + 1);
                    acked += 1;
                }
            }
            Message::Close(code, _) => break assert_eq!(code, Some(1012)),
            Message::Binary(_) => panic!("a binary message"),
            Message::End(end) => panic!("it ended ({end:?}) without a close frame"),
        }
    }
    for client in &mut crowd {
        client.send(&Frame::close(1012, ""));
    }
    drop((crowd, alice));
    assert_eq!(server.wait_for_exit().code(), Some(0));

    let server = launch.start();
    let mut alice = Chatter::connect(&server, "userId=alice&session=a");
    alice.join("lobby");
    for seq in 1..=sent {
        let text = json!({"type": "room_msg", "roomId": "lobby", "content": seq, "seq": seq});
        alice.send(&text);
        let ack = alice.hear_of("ack");
        assert_eq!(ack["seq"], seq, "{ack}");
        let is_known = ack["dup"] == true;
        assert!(
            is_known || seq > acked,
            "{seq} of {acked} acknowledged is lost"
        );
        assert_eq!(ack["offset"], seq, "once, and in order");
    }
}

#[test]
fn three_drains_under_load_lose_and_double_nothing() {
    let directory = Directory::new();
    let launch = Launch::default()
        .data(directory.path())
        .arguments(&KEEPS_ALL);
    let mut server = launch.start();
    let address = server.address();
    // As many as are let go in batches; each message goes to all of them.
    let mut verify = Command::new(binary())
        .args(["verify", &format!("ws://{address}"), "--subscribers", "260"])
        .args(["--until-eof", "--rate", "40", "--rooms", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    for drain in 1..=3 {
        wait_until("enough are there", || server.health().connections > 257);
        server.signal("TERM");
        let status = server.wait_for_exit();
        assert_eq!(status.code(), Some(0), "drain {drain}");
        assert!(!server.log().contains("closed_over_ms=0"), "in batches");
        server = launch.clone().on_port(address.port()).start();
    }
    drop(verify.stdin.take());
    // It gives up by itself when it hears nothing for 30 s.
    let output = verify.wait_with_output().expect("its output");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let came_back = text.lines().find(|line| line.contains("reconnects"));
    let count = came_back.and_then(|line| line.split_whitespace().last());
    let count = count.and_then(|count| count.replace(',', "").parse().ok());
    assert!(count.is_some_and(|count: u32| count > 3 * 257), "{text}");
}
