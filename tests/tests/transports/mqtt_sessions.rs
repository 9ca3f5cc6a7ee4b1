//! Sessions of MQTT that outlive the process: over a kill, over a stop, and at another node; byte by byte, and by MQTT.js.

use tidewire_tests::script::Script;
use tidewire_tests::{Chatter, Client, Directory, Launch, Nodes, Redis, Server, http};

use super::mqtt::{acknowledge, connect, enter, follow, hear, open, packet, say, subscribe, text};

/// CONNECT of MQTT 5 that begins anew, with a session that lasts an hour.
fn connect_anew(client: &str, user: &str) -> Vec<u8> {
    let head = b"\0\x04MQTT\x05\x82\0\0\x05\x11\0\0\x0e\x10";
    packet(0x10, &[head, &text(client), &text(user)])
}

fn launch(data: &Directory) -> Launch {
    Launch::default()
        .data(data.path())
        .arguments(&["--messages-per-second", "0"])
}

/// Messages of QoS 1 up to the one with this payload, each acknowledged: what they say, and whether they are said to come again.
#[track_caller]
fn hear_up_to(socket: &mut Client, topic: &str, last: &str) -> Vec<(String, bool)> {
    let mut heard = Vec::new();
    while heard.last().is_none_or(|(payload, _)| payload != last) {
        let (payload, id, again) = hear(socket, topic);
        // Nothing else is waited for: what comes may be behind the next message.
        socket.send_binary(&[0x40, 2, id[0], id[1]]);
        heard.push((payload, again));
    }
    heard
}

/// What was heard of the numbers from `first` to `last`, in order and without a hole; those before may have come again.
#[track_caller]
fn assert_whole(heard: &[(String, bool)], first: usize, last: usize) {
    let numbers: Vec<usize> = heard
        .iter()
        .map(|(payload, _)| payload.parse().expect("a number"))
        .collect();
    let begin = *numbers.first().expect("something came");
    assert!(begin <= first, "{numbers:?}");
    let expected: Vec<usize> = (begin..=last).collect();
    assert_eq!(numbers, expected);
}

fn publish_over_http(server: &Server, room: &str, content: usize) {
    let body = format!("{{\"content\":{content}}}");
    let target = format!("/api/rooms/{room}/messages");
    let response = http::send(server.address(), "POST", &target, "", body.as_bytes());
    assert_eq!(response.status, 200, "{response:?}");
}

#[test]
fn a_session_outlives_a_kill() {
    let data = Directory::new();
    let mut server = launch(&data).start();
    for round in 0..3 {
        let said = round * 4;
        let (mut socket, present) = enter(&server, "c", "bob");
        assert_eq!(present, round > 0);
        if round == 0 {
            follow(&mut socket, "news", 1);
        }
        let (mut author, _) = enter(&server, "a", "ada");
        for number in [said + 1, said + 2] {
            say(&mut author, "news", &number.to_string());
        }
        let heard = hear_up_to(&mut socket, "news", &(said + 2).to_string());
        assert_whole(&heard, said.max(1), said + 2);
        server.kill();
        server = launch(&data).start();
        for number in [said + 3, said + 4] {
            publish_over_http(&server, "news", number);
        }
    }
    let (mut socket, present) = enter(&server, "c", "bob");
    assert!(present);
    assert_whole(&hear_up_to(&mut socket, "news", "12"), 11, 12);
}

#[test]
fn what_was_answered_by_suback_and_unsuback_is_so_after_a_kill() {
    let data = Directory::new();
    let mut server = launch(&data).start();
    let (mut socket, _) = enter(&server, "c", "bob");
    follow(&mut socket, "left", 1);
    follow(&mut socket, "kept", 1);
    socket.send_binary(&packet(0xA2, &[b"\0\x05\0", &text("left")]));
    assert_eq!(socket.expect_binary(), [0xB0, 4, 0, 5, 0, 0]);
    server.kill();
    let server = launch(&data).start();
    publish_over_http(&server, "left", 1);
    publish_over_http(&server, "kept", 2);
    let (mut socket, present) = enter(&server, "c", "bob");
    assert!(present);
    let (payload, id, again) = hear(&mut socket, "kept");
    assert_eq!((payload.as_str(), again), ("2", false));
    acknowledge(&mut socket, id);
    // Another client has another session, and so has another user.
    assert!(!enter(&server, "d", "bob").1);
    assert!(!enter(&server, "c", "eve").1);
}

#[test]
fn over_a_stop_nothing_comes_twice_and_what_was_not_acknowledged_has_its_identifier() {
    let data = Directory::new();
    let mut server = launch(&data).arguments(&["--workers", "2"]).start();
    let (mut socket, _) = enter(&server, "c", "bob");
    follow(&mut socket, "news", 1);
    for number in 1..=3 {
        publish_over_http(&server, "news", number);
    }
    let heard: Vec<_> = (0..3).map(|_| hear(&mut socket, "news")).collect();
    for (_, id, _) in [&heard[0], &heard[2]] {
        acknowledge(&mut socket, *id);
    }
    server.signal("TERM");
    assert_eq!(socket.expect_binary()[0], 0xE0);
    socket.expect_close(1012);
    drop(socket);
    assert!(server.wait_for_exit().success());
    let server = launch(&data).start();
    publish_over_http(&server, "news", 4);
    let (mut socket, present) = enter(&server, "c", "bob");
    assert!(present);
    assert_eq!(
        hear(&mut socket, "news"),
        ("2".to_owned(), heard[1].1, true)
    );
    let (payload, _, again) = hear(&mut socket, "news");
    assert_eq!((payload.as_str(), again), ("4", false));
}

#[test]
fn a_room_that_begins_while_the_server_is_away_is_found_by_a_wildcard() {
    let data = Directory::new();
    let mut server = launch(&data).start();
    publish_over_http(&server, "home%2Fold", 1);
    let (mut socket, _) = enter(&server, "c", "bob");
    // The answer and the retained message come in any order.
    socket.send_binary(&subscribe("home/#", 1));
    let (mut answers, mut retained) = (0, 0);
    while answers + retained < 2 {
        match socket.expect_binary().as_slice() {
            [0x90, ..] => answers += 1,
            [0x33, .., b'1'] => retained += 1,
            other => panic!("{other:x?}"),
        }
    }
    assert_eq!((answers, retained), (1, 1));
    acknowledge(&mut socket, [0, 1]);
    server.signal("TERM");
    assert_eq!(socket.expect_binary()[0], 0xE0);
    drop(socket);
    server.wait_for_exit();
    let server = launch(&data).start();
    publish_over_http(&server, "home%2Fnew", 2);
    let (mut socket, present) = enter(&server, "c", "bob");
    assert!(present);
    let (payload, id, _) = hear(&mut socket, "home/new");
    assert_eq!(payload, "2");
    acknowledge(&mut socket, id);
    publish_over_http(&server, "home%2Fold", 3);
    assert_eq!(hear(&mut socket, "home/old").0, "3");
}

#[test]
fn who_begins_anew_has_forgotten_its_session_for_good() {
    let data = Directory::new();
    let mut server = launch(&data).start();
    let (mut socket, _) = enter(&server, "c", "bob");
    follow(&mut socket, "news", 1);
    drop(socket);
    let mut socket = open(&server);
    socket.send_binary(&connect_anew("c", "bob"));
    let connack = socket.expect_binary();
    assert_eq!((connack[0], connack[2], connack[3]), (0x20, 0, 0));
    server.kill();
    let server = launch(&data).start();
    let (mut socket, _) = enter(&server, "c", "bob");
    publish_over_http(&server, "news", 1);
    socket.send_binary(b"\xc0\0");
    assert_eq!(socket.expect_binary(), [0xD0, 0], "it follows nothing");
}

#[test]
fn logs_of_sessions_are_no_rooms() {
    let data = Directory::new();
    let server = launch(&data).start();
    let (mut socket, _) = enter(&server, "c", "bob");
    follow(&mut socket, "news", 1);
    server.wait_for_count("mqtt_sessions_saved", 1);
    for filter in ["#", "$mqtt/#"] {
        let (mut other, _) = enter(&server, "d", "eve");
        follow(&mut other, filter, 1);
        other.expect_alive();
    }
    let mut other = open(&server);
    other.send_binary(&connect("e", "eve"));
    other.expect_binary();
    other.send_binary(&subscribe("$mqtt/0123456789abcdef0123456789abcdef", 1));
    let refused = other.expect_binary();
    assert_eq!(refused, [0x90, 4, 0, 1, 0, 0x8F], "{refused:x?}");
    let mut chatter = Chatter::connect(&server, "userId=eve");
    for kind in ["join_room", "history", "room_msg"] {
        chatter.send(
            &serde_json::json!({"type": kind, "roomId": "$mqtt/1", "content": 1, "since": ""}),
        );
        assert_eq!(chatter.hear_of("error")["code"], "bad_name", "{kind}");
    }
    let page = http::get(server.address(), "/api/rooms/%24mqtt%2F1/messages");
    assert_eq!(page.status, 400, "{page:?}");
    let rooms = http::get(server.address(), "/api/rooms").json();
    assert!(!rooms.to_string().contains("$mqtt"), "{rooms}");
}

#[test]
fn a_session_is_gone_on_with_at_another_node() {
    let redis = Redis::start();
    let mut nodes = Nodes::on(&redis.url(), 2, &["--messages-per-second", "0"]);
    let (mut socket, present) = enter(nodes.node(0), "c", "bob");
    assert!(!present);
    follow(&mut socket, "news", 1);
    let mut said = 0;
    for round in 0..4 {
        let (here, there) = (round % 2, (round + 1) % 2);
        let first = said + 1;
        said += 2;
        for number in first..=said {
            publish_over_http(nodes.node(here), "news", number);
        }
        let heard = hear_up_to(&mut socket, "news", &said.to_string());
        assert_whole(&heard, first, said);
        nodes.kill(here);
        said += 2;
        for number in said - 1..=said {
            publish_over_http(nodes.node(there), "news", number);
        }
        let present;
        (socket, present) = enter(nodes.node(there), "c", "bob");
        assert!(present, "round {round}");
        let heard = hear_up_to(&mut socket, "news", &said.to_string());
        assert_whole(&heard, said - 1, said);
        nodes.come_back(here);
    }
    // Back where it was, which knows an older state of it by itself.
    drop(socket);
    nodes.drain(0);
    nodes.come_back(0);
    publish_over_http(nodes.node(1), "news", said + 1);
    let (mut socket, present) = enter(nodes.node(0), "c", "bob");
    assert!(present);
    let heard = hear_up_to(&mut socket, "news", &(said + 1).to_string());
    assert_eq!(heard.len(), 1, "its connection had ended: {heard:?}");
}

#[test]
fn without_its_log_nobody_is_told_that_there_is_no_session() {
    let mut redis = Redis::start();
    let nodes = Nodes::on(&redis.url(), 1, &["--log-timeout", "500ms"]);
    let (mut socket, _) = enter(nodes.node(0), "c", "bob");
    follow(&mut socket, "news", 1);
    drop(socket);
    redis.kill();
    let mut socket = open(nodes.node(0));
    socket.send_binary(&connect("c", "bob"));
    let refused = socket.expect_binary();
    assert_eq!((refused[0], refused[3]), (0x20, 0x88), "{refused:x?}");
    socket.expect_close(1008);
    redis.come_back();
    let (_, present) = enter(nodes.node(0), "c", "bob");
    assert!(present);
}

#[test]
fn mqtt_js_goes_on_after_a_kill() {
    let data = Directory::new();
    for version in ["4", "5"] {
        let mut server = launch(&data).plain().start();
        let address = server.address();
        let url = format!("ws://{address}");
        let room = format!("news-{version}");
        let mut script = Script::node("mqtt_session.mjs", &[&url, version, &room]);
        script.expect_line("subscribed");
        publish_over_http(&server, &room, 1);
        script.expect_line("heard 1");
        server.kill();
        let again = launch(&data).plain().on_port(address.port());
        server = again.start();
        publish_over_http(&server, &room, 2);
        publish_over_http(&server, &room, 3);
        script.expect_line("heard 2");
        script.expect_line("heard 3");
        script.finish();
    }
}
