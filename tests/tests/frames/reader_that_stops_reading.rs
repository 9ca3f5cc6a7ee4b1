//! A peer that does not read costs a cursor, not memory: in the chat it is closed as slow, at the echo it is not
//! read from either, and over HTTP it has only so much time.

use std::io::Write as _;

use serde_json::Value;
use tidewire_tests::frame::{Frame, opcode};
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, Message, Server, shared_log, wait_until};

/// What the process may grow by for one peer that does not read, whatever it is sent. Its outbox (256 KiB), the
/// ring of its room (1 MiB) and the allocator's slack fit in many times.
const GROWTH_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A message of the fan-out.
const CONTENT_BYTES: usize = 32 * 1024;

/// Enough to pass the kernel's buffers (4 MiB and more on loopback), the ring and any backlog: 64 MiB.
const MESSAGES: u64 = 2048;

/// Reads until the close, and checks that messages come without a hole; returns the last offset, the close code and
/// its reason.
fn read_to_the_close(chatter: &mut Chatter) -> (u64, Option<u16>, String) {
    let mut last = 0;
    loop {
        match chatter.client.read_message() {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                assert_ne!(message["type"], "gap", "{message}");
                if message["type"] == "room_msg" {
                    assert_eq!(message["offset"], last + 1, "no hole before the close");
                    last += 1;
                }
            }
            Message::Close(code, reason) => return (last, code, reason),
            other @ (Message::Binary(_) | Message::End(_)) => {
                panic!("after {last} messages: {other:?}")
            }
        }
    }
}

#[test]
fn a_chat_member_that_stops_reading_is_closed_as_slow_and_the_others_miss_nothing() {
    // The close frame must wait for the reader to come back, so the wait for it is long here.
    let server = Server::start_with(&[
        "--messages-per-second",
        "0",
        "--close-timeout",
        "60s",
        "--lag-max",
        "1s",
        "--history-entries",
        "64",
    ]);
    let mut stalled = Chatter::over(Client::open_over(
        Wire::open_narrow(server.address()),
        "/ws?userId=stalled&room=lobby",
    ));
    let mut reader = Chatter::enter(&server, "reader", "lobby");
    let mut speaker = Chatter::enter(&server, "speaker", "lobby");
    let content = "x".repeat(CONTENT_BYTES);
    let before = server.usage();
    let mut most = 0;
    for seq in 1..=MESSAGES {
        let ack = speaker.say_acked("lobby", &content, seq);
        assert_eq!(ack["offset"], seq, "{ack}");
        assert_eq!(
            reader.hear_of("room_msg")["offset"],
            seq,
            "the good reader gets every message"
        );
        if seq % 64 == 0 {
            most = most.max(server.usage().resident_bytes);
        }
    }
    let growth = most.saturating_sub(before.resident_bytes);
    assert!(
        growth < GROWTH_BYTES_MAX,
        "{MESSAGES} messages of {CONTENT_BYTES} bytes made the server grow by {growth} bytes"
    );
    wait_until("it is noted as slow", || server.health().slow == 1);

    // Now it reads again: what it had been sent without a hole, and then that it was too slow, and where to go on.
    let (last, code, reason) = read_to_the_close(&mut stalled);
    assert_eq!(code, Some(4008), "closed as slow");
    assert!(
        last < MESSAGES - 64,
        "a reader that stalled over 64 MiB cannot have got them all"
    );
    let position = reason
        .split("since=")
        .nth(1)
        .expect("the reason has a position");
    assert!(
        position.ends_with(&format!("-{last}")),
        "{reason}, not {last}"
    );

    // It comes back there, and is told of what is not kept any more.
    let mut back = Chatter::connect(
        &server,
        &format!("userId=stalled&room=lobby&since={position}"),
    );
    let gap = back.hear_of("gap");
    assert_eq!(
        (&gap["from"], &gap["reason"]),
        (&position.into(), &"expired".into()),
        "{gap}"
    );
    let first = back.hear_of("room_msg")["offset"]
        .as_u64()
        .expect("an offset");
    // Redis keeps some more than it is told, to have them for who is a little late.
    let more = if shared_log::is_wanted() { 512 } else { 0 };
    let oldest = MESSAGES - 63;
    assert!((oldest - more..=oldest).contains(&first), "{gap}");
    assert!(
        gap["to"]
            .as_str()
            .is_some_and(|to| to.ends_with(&format!("-{}", first - 1))),
        "{gap}"
    );
    assert_eq!(back.hear_of("joined")["recovered"], false);
    reader.client.expect_alive();
}

#[test]
fn a_member_that_pauses_goes_on_from_the_log_without_a_hole() {
    let server = Server::start_with(&["--messages-per-second", "0", "--lag-max", "10m"]);
    let mut pausing = Chatter::over(Client::open_over(
        Wire::open_narrow(server.address()),
        "/ws?userId=pausing&room=lobby",
    ));
    let mut speaker = Chatter::enter(&server, "speaker", "lobby");
    let content = "x".repeat(CONTENT_BYTES);
    // Far more than its outbox and the ring hold.
    for seq in 1..=MESSAGES / 4 {
        speaker.say_acked("lobby", &content, seq);
    }
    for offset in 1..=MESSAGES / 4 {
        let heard = pausing.hear_of("room_msg");
        assert_eq!(heard["offset"], offset);
    }
    // It is at the head again, and gets what comes.
    speaker.say_acked("lobby", "now", 0);
    assert_eq!(pausing.hear_of("room_msg")["content"], "now");
    assert_eq!(server.health().slow, 0);
}

#[test]
fn a_stalled_member_is_closed_even_if_it_never_reads_again() {
    let server = Server::start_with(&[
        "--messages-per-second",
        "0",
        "--close-timeout",
        "1s",
        "--lag-max",
        "1s",
    ]);
    let before = server.usage().descriptors;
    let stalled = Chatter::over(Client::open_over(
        Wire::open_narrow(server.address()),
        "/ws?userId=stalled&room=lobby",
    ));
    let mut speaker = Chatter::enter(&server, "speaker", "lobby");
    let content = "x".repeat(CONTENT_BYTES);
    for seq in 1..=MESSAGES / 4 {
        speaker.say_acked("lobby", &content, seq);
    }
    // The speaker's is one more than before.
    wait_until("the descriptor of the stalled member is free", || {
        server.usage().descriptors <= before + 1
    });
    drop(stalled);
    speaker.client.expect_alive();
}

#[test]
fn an_http_client_that_does_not_read_its_responses_is_dropped_in_time() {
    // More than the kernel's buffers take, so that the server still holds some of it.
    const REQUESTS: usize = 500;
    let server = Server::start_with(&[
        "--keep-alive",
        "5s",
        "--handshake-timeout",
        "5s",
        "--close-timeout",
        "1s",
    ]);
    let before = server.usage().descriptors;
    let mut wire = Wire::open_narrow(server.address());
    wire.send(&b"GET /client.js HTTP/1.1\r\nHost: test\r\n\r\n".repeat(REQUESTS));
    wait_until("the connection is there", || {
        server.usage().descriptors > before
    });
    wait_until("its descriptor is free", || {
        server.usage().descriptors <= before
    });
}

#[test]
fn a_client_that_asks_much_at_once_and_reads_late_gets_all_answers_and_costs_no_memory() {
    const MEMBERS: usize = 300;
    const QUESTIONS: u64 = 1000;
    let server = Server::start_with(&["--messages-per-second", "0"]);
    // Each answer has some 30 KB.
    let name = "n".repeat(100);
    let members: Vec<Chatter> = (0..MEMBERS)
        .map(|number| Chatter::connect(&server, &format!("userId={name}{number}&room=lobby")))
        .collect();
    let mut asker = Chatter::over(Client::open_over(
        Wire::open_narrow(server.address()),
        "/ws?userId=asker",
    ));
    let before = server.usage().resident_bytes;
    let questions: Vec<u8> = (0..QUESTIONS)
        .map(|id| format!(r#"{{"type":"presence","roomId":"lobby","id":{id}}}"#))
        .flat_map(|question| Frame::text(question).encode())
        .collect();
    asker.client.wire.send(&questions);
    let mut most = 0;
    for id in 0..QUESTIONS {
        assert_eq!(asker.expect("presence")["id"], id);
        if id % 100 == 0 {
            most = most.max(server.usage().resident_bytes);
        }
    }
    let growth = most.saturating_sub(before);
    assert!(
        growth < GROWTH_BYTES_MAX,
        "{QUESTIONS} questions made the server grow by {growth} bytes"
    );
    drop(members);
}

#[test]
fn an_echo_client_that_does_not_read_is_not_read_from_and_loses_nothing() {
    const MESSAGE_BYTES: usize = 64 * 1024;
    const SENT_BYTES_MAX: usize = 512 * 1024 * 1024;
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut neighbour = Client::open(server.address(), "/echo");
    let before = server.usage().resident_bytes;
    let mut client = Client::open_over(Wire::open_narrow(server.address()), "/echo");

    let message = |number: u64| {
        Frame::binary([number.to_be_bytes().as_slice(), &vec![7; MESSAGE_BYTES - 8]].concat())
    };
    let mut number = 0;
    let mut sent_bytes = 0;
    let unsent = loop {
        let frame = message(number).encode();
        // Taking nothing for a while is the backpressure that we want to see.
        let written = client.wire.send_until_it_stalls(&frame);
        sent_bytes += written;
        number += 1;
        if written < frame.len() {
            break frame[written..].to_vec();
        }
        assert!(
            sent_bytes < SENT_BYTES_MAX,
            "the server took {sent_bytes} bytes from a client that reads nothing"
        );
    };
    let growth = server.usage().resident_bytes.saturating_sub(before);
    assert!(
        growth < GROWTH_BYTES_MAX,
        "the server grew by {growth} bytes"
    );
    neighbour.expect_alive();

    // Reading again sets everything in motion: the rest of the last frame goes out, every echo comes back.
    let writer = client.wire.stream().try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            (&writer)
                .write_all(&unsent)
                .expect("the server reads again");
        });
        for expected in 0..number {
            let echo = client.expect_frame();
            assert_eq!(
                (echo.opcode, echo.payload.len()),
                (opcode::BINARY, MESSAGE_BYTES)
            );
            assert_eq!(
                echo.payload[..8],
                expected.to_be_bytes(),
                "echoes keep their order"
            );
        }
    });
    client.expect_alive();
}

#[test]
fn a_client_that_sends_pings_and_never_reads_costs_no_memory() {
    const BURST: usize = 10_000;
    let server = Server::start();
    let before = server.usage().resident_bytes;
    let client = Client::open_over(Wire::open_narrow(server.address()), "/echo");
    let burst = Frame::ping(vec![b'p'; 125]).encode().repeat(BURST);
    // A million pings, or fewer if the server stops reading from us or closes: all are bounds.
    for _ in 0..100 {
        if client.wire.send_until_it_stalls(&burst) < burst.len() {
            break;
        }
    }
    let growth = server.usage().resident_bytes.saturating_sub(before);
    assert!(
        growth < GROWTH_BYTES_MAX,
        "the server grew by {growth} bytes for pongs that nobody reads"
    );
    Client::open(server.address(), "/echo").close();
}

#[test]
fn a_client_that_asks_for_much_history_at_once_and_reads_late_gets_all_of_it_and_costs_no_memory() {
    const QUESTIONS: u64 = 300;
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut speaker = Chatter::enter(&server, "speaker", "lobby");
    let content = "x".repeat(CONTENT_BYTES);
    for seq in 1..=8 {
        speaker.say_acked("lobby", &content, seq);
    }
    let mut asker = Chatter::over(Client::open_over(
        Wire::open_narrow(server.address()),
        "/ws?userId=asker",
    ));
    let before = server.usage().resident_bytes;
    for id in 1..=QUESTIONS {
        asker.send(&serde_json::json!({"type": "history", "roomId": "lobby", "id": id}));
    }
    // The server has read what it wants to.
    speaker.say_acked("lobby", "now", 9);
    let growth = server.usage().resident_bytes.saturating_sub(before);
    assert!(
        growth < GROWTH_BYTES_MAX,
        "{QUESTIONS} answers of 256 KiB made the server grow by {growth} bytes"
    );
    for id in 1..=QUESTIONS {
        let answer = asker.hear_of("history");
        assert_eq!(answer["id"], id, "in order, and each");
        assert!(
            answer["messages"]
                .as_array()
                .is_some_and(|list| list.len() >= 7)
        );
    }
}
