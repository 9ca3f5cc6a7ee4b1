//! Frames that break RFC 6455: the right close code in a close frame, then the end of the connection, nothing of
//! the bad message delivered, and the connection beside it unaffected.

use tidewire_tests::frame::{Frame, opcode};
use tidewire_tests::wire::End;
use tidewire_tests::{Client, Message, Server, wait_until};

/// What is sent to `/echo`, and the close code it earns. `37fa213d` is the masking key.
const BAD: &[(&str, &str, u16)] = &[
    // Masks (§5.1).
    ("an unmasked text frame", "810548656c6c6f", 1002),
    ("an unmasked empty frame", "8100", 1002),
    ("an unmasked ping", "8900", 1002),
    ("an unmasked close frame", "880203e8", 1002),
    // Reserved bits (§5.2), on every kind of frame.
    ("RSV1 on text", "c18137fa213d4f", 1002),
    ("RSV2 on text", "a18137fa213d4f", 1002),
    ("RSV3 on text", "918137fa213d4f", 1002),
    ("all RSV bits on binary", "f28137fa213d4f", 1002),
    ("RSV1 on a ping", "c98037fa213d", 1002),
    ("RSV1 on a close frame", "c88037fa213d", 1002),
    (
        "RSV1 on a continuation",
        "018137fa213d4fc08137fa213d4f",
        1002,
    ),
    // Reserved opcodes (§5.2).
    ("opcode 3", "838037fa213d", 1002),
    ("opcode 4", "848037fa213d", 1002),
    ("opcode 5", "858037fa213d", 1002),
    ("opcode 6", "868037fa213d", 1002),
    ("opcode 7", "878037fa213d", 1002),
    ("opcode 11", "8b8037fa213d", 1002),
    ("opcode 12", "8c8037fa213d", 1002),
    ("opcode 13", "8d8037fa213d", 1002),
    ("opcode 14", "8e8037fa213d", 1002),
    ("opcode 15", "8f8037fa213d", 1002),
    (
        "opcode 3 with a payload that never comes",
        "83ff000000000000ffff37fa213d",
        1002,
    ),
    // Lengths (§5.2).
    (
        "5 bytes announced in 16 bits",
        "81fe000537fa213d7f9f4d5158",
        1002,
    ),
    ("125 bytes announced in 16 bits", "82fe007d37fa213d", 1002),
    (
        "5 bytes announced in 64 bits",
        "81ff000000000000000537fa213d7f9f4d5158",
        1002,
    ),
    (
        "65535 bytes announced in 64 bits",
        "82ff000000000000ffff37fa213d",
        1002,
    ),
    (
        "a length with its top bit set",
        "82ff800000000000000037fa213d",
        1002,
    ),
    (
        "a length with all bits set",
        "82ffffffffffffffffff37fa213d",
        1002,
    ),
    (
        "the largest legal length",
        "82ff7fffffffffffffff37fa213d",
        1009,
    ),
    ("64 MiB and one byte", "82ff000000000400000137fa213d", 1009),
    (
        "a length that overflows the sum",
        "028137fa213d5680ff7fffffffffffffff37fa213d",
        1009,
    ),
    // Control frames (§5.5).
    ("a ping of 126 bytes", "89fe007e37fa213d", 1002),
    ("a pong of 126 bytes", "8afe007e37fa213d", 1002),
    ("a close frame of 126 bytes", "88fe007e37fa213d", 1002),
    (
        "a ping with a 64-bit length",
        "89ff000000000001000037fa213d",
        1002,
    ),
    (
        "a short ping with a 16-bit length",
        "89fe000537fa213d7f9f4d5158",
        1002,
    ),
    ("a fragmented ping", "098037fa213d", 1002),
    ("a fragmented pong", "0a8037fa213d", 1002),
    ("a fragmented close frame", "088037fa213d", 1002),
    // Fragments (§5.4).
    ("a continuation of nothing", "808137fa213d4f", 1002),
    (
        "an unfinished continuation of nothing",
        "008137fa213d4f",
        1002,
    ),
    (
        "text within a fragmented text",
        "018137fa213d4f818137fa213d4f",
        1002,
    ),
    (
        "binary within a fragmented text",
        "018137fa213d4f828137fa213d4f",
        1002,
    ),
];

/// Text that is not UTF-8 (§8.1). `true`: wrong before the message ends, so the answer may not wait for its end.
const BAD_UTF8: &[(&str, &[u8], bool)] = &[
    ("a lone continuation byte", b"\x80", true),
    ("a byte that never occurs", b"ab\xffcd", true),
    ("an overlong slash", b"\xc0\xaf", true),
    ("an overlong slash in three bytes", b"\xe0\x80\xaf", true),
    ("a surrogate", b"\xed\xa0\x80", true),
    ("a character beyond U+10FFFF", b"\xf4\x90\x80\x80", true),
    ("a character cut short by another", b"\xe2\x82A", true),
    ("a character cut off by the end", b"Hello \xe2\x82", false),
];

/// Payloads of close frames that break §5.5.1, §7.4 or §8.1.
const BAD_CLOSES: &[(&str, &[u8], u16)] = &[
    ("one byte", b"\x03", 1002),
    ("code 0", b"\x00\x00", 1002),
    ("code 999", b"\x03\xe7", 1002),
    ("code 1004", b"\x03\xec", 1002),
    ("code 1005", b"\x03\xed", 1002),
    ("code 1006", b"\x03\xee", 1002),
    ("code 1015", b"\x03\xf7", 1002),
    ("code 1016", b"\x03\xf8", 1002),
    ("code 1100", b"\x04\x4c", 1002),
    ("code 2000", b"\x07\xd0", 1002),
    ("code 2999", b"\x0b\xb7", 1002),
    ("code 5000", b"\x13\x88", 1002),
    ("code 65535", b"\xff\xff", 1002),
    ("a reason that is not UTF-8", b"\x03\xe8bye \xff", 1007),
    ("a reason cut within a character", b"\x03\xe8\xe2\x82", 1007),
];

/// [6455-7.1.7-2, 6455-10.7-2]
#[test]
fn bad_frames_earn_their_close_code_and_end_the_connection() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut neighbour = Client::open(server.address(), "/echo");
    for &(name, hex, code) in BAD {
        println!("{name}");
        expect_failure(&server, &bytes(hex), code);
        neighbour.send_text(name);
        assert_eq!(
            neighbour.expect_text(),
            name,
            "the connection beside is unaffected"
        );
    }
}

#[test]
fn bad_frames_are_bad_however_they_are_cut() {
    let server = Server::start();
    for &(name, hex, code) in BAD {
        println!("{name}");
        let mut client = Client::open(server.address(), "/echo");
        for byte in bytes(hex) {
            // The server may have seen enough before the last byte.
            let _ = client.wire.try_send(&[byte]);
        }
        expect_close_and_end(client, code);
    }
}

#[test]
fn text_that_is_not_utf_8_earns_1007() {
    let server = Server::start();
    for &(name, text, at_once) in BAD_UTF8 {
        println!("{name}");
        expect_failure(&server, &Frame::text(text).encode(), 1007);
        // The same bytes cut into two fragments, at every place.
        for cut in 0..=text.len() {
            let pieces = [
                Frame::text(&text[..cut]).unfinished(),
                Frame::continuation(&text[cut..]),
            ];
            expect_failure(&server, &pieces.map(|frame| frame.encode()).concat(), 1007);
        }
        if at_once {
            // Nothing follows, and still the server answers: a wrong byte fails before the message ends.
            expect_failure(&server, &Frame::text(text).unfinished().encode(), 1007);
            let whole = Frame::text([text, &[b'x'; 1000]].concat()).encode();
            expect_failure(&server, &whole[..8 + text.len()], 1007);
        }
    }
}

#[test]
fn bad_close_frames_earn_1002_or_1007() {
    let server = Server::start();
    for &(name, payload, code) in BAD_CLOSES {
        println!("{name}");
        expect_failure(&server, &Frame::new(opcode::CLOSE, payload).encode(), code);
    }
}

#[test]
fn what_came_before_a_bad_frame_is_delivered_and_what_comes_behind_is_not() {
    let server = Server::start();
    let mut client = Client::open(server.address(), "/echo");
    let packet = [
        Frame::text("good").encode(),
        Frame::ping("also good").encode(),
        Frame::text("bad").unmasked().encode(),
        Frame::text("too late").encode(),
        Frame::ping("too late").encode(),
    ];
    client.wire.send(&packet.concat());
    assert_eq!(client.expect_frame(), Frame::text("good").unmasked());
    assert_eq!(client.expect_frame(), Frame::pong("also good").unmasked());
    expect_close_and_end(client, 1002);
}

#[test]
fn a_message_that_has_ended_cannot_be_continued() {
    let server = Server::start();
    let mut client = Client::open(server.address(), "/echo");
    let packet = [
        Frame::text("Hel").unfinished(),
        Frame::continuation("lo"),
        Frame::continuation("!"),
    ];
    client
        .wire
        .send(&packet.map(|frame| frame.encode()).concat());
    assert_eq!(client.expect_text(), "Hello");
    expect_close_and_end(client, 1002);
}

#[test]
fn a_bad_frame_in_a_fragmented_message_delivers_nothing_of_it() {
    let server = Server::start();
    let mut client = Client::open(server.address(), "/echo");
    client.send(&Frame::text("first half, ").unfinished());
    client.wire.send(
        &bytes("808537fa213d")
            .into_iter()
            .chain(*b"\x7f\x9f\x4d\x51\x58")
            .collect::<Vec<_>>(),
    );
    assert_eq!(
        client.expect_text(),
        "first half, Hello",
        "the good case, for comparison"
    );
    client.send(&Frame::text("first half, ").unfinished());
    client.send(&Frame::continuation("second half").with_rsv(4));
    expect_close_and_end(client, 1002);
}

#[test]
fn a_close_frame_is_answered_even_within_a_fragmented_message() {
    let server = Server::start();
    let mut client = Client::open(server.address(), "/echo");
    client.send(&Frame::text("never finished").unfinished());
    client.send(&Frame::close(1000, "changed my mind"));
    expect_close_and_end(client, 1000);
}

#[test]
fn nothing_is_answered_after_a_close_frame() {
    let server = Server::start();
    let mut client = Client::open(server.address(), "/echo");
    let packet = [
        Frame::close(4321, "bye"),
        Frame::text("one more thing"),
        Frame::ping("hello?"),
    ];
    client
        .wire
        .send(&packet.map(|frame| frame.encode()).concat());
    expect_close_and_end(client, 4321);
}

#[test]
fn the_close_frame_is_readable_even_with_200_kb_behind_the_bad_frame() {
    let server = Server::start();
    for (frame, code) in [
        (bytes("83ff000000000400000037fa213d"), 1002),
        (bytes("82ff7fffffffffffffff37fa213d"), 1009),
    ] {
        let mut client = Client::open(server.address(), "/echo");
        client.wire.send(&frame);
        // Closing a socket with unread data in it sends a reset, which destroys our close frame on its way on
        // some systems, and fails these writes on all. So the server reads on for a while.
        client.wire.send(&vec![0x55; 200_000]);
        client.expect_close(code);
        let end = client.wire.receive_to_end();
        assert_eq!(end, End::Closed);
    }
}

#[test]
fn a_peer_that_never_stops_sending_behind_a_bad_frame_is_cut_off() {
    let server = Server::start_with(&["--close-timeout", "1s"]);
    let before = server.usage();
    let mut client = Client::open(server.address(), "/echo");
    client.wire.send(&bytes("83ff000000000400000037fa213d"));
    let chunk = [0x55; 64 * 1024];
    let cut_off = (0..100_000).any(|_| client.wire.try_send(&chunk).is_err());
    assert!(
        cut_off,
        "the server has read more than 6 GB behind a bad frame"
    );
    wait_until("its descriptor is free", || {
        server.usage().descriptors <= before.descriptors
    });
    assert!(server.usage().resident_bytes < before.resident_bytes + 8 * 1024 * 1024);
}

#[test]
fn announced_lengths_allocate_nothing() {
    let server = Server::start();
    let before = server.usage().resident_bytes;
    let mut clients: Vec<Client> = (0..200)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    for client in &mut clients {
        // 64 MiB announced, and not a byte of it sent.
        client.wire.send(&bytes("82ff000000000400000037fa213d"));
    }
    for client in &mut clients {
        client.wire.send(&[0; 10]);
    }
    // An answer to the newest shows that the older ones have been read.
    Client::open(server.address(), "/echo").close();
    let growth = server.usage().resident_bytes.saturating_sub(before);
    assert!(
        growth < 200 * 40 * 1024,
        "200 announcements of 64 MiB made the server grow by {growth} bytes"
    );
}

#[test]
fn a_thousand_bad_connections_leave_nothing_behind() {
    let server = Server::start();
    let mut neighbour = Client::open(server.address(), "/echo");
    let before = server.usage();
    for number in 0..1000 {
        let (name, hex, code) = BAD[number % BAD.len()];
        println!("{name}");
        expect_failure(&server, &bytes(hex), code);
    }
    neighbour.expect_alive();
    wait_until("all descriptors are free again", || {
        server.usage().descriptors <= before.descriptors
    });
    let growth = server
        .usage()
        .resident_bytes
        .saturating_sub(before.resident_bytes);
    assert!(
        growth < 8 * 1024 * 1024,
        "a thousand bad connections made the server grow by {growth} bytes"
    );
}

#[test]
fn a_peer_that_closes_and_never_ends_its_tcp_connection_is_ended() {
    let server = Server::start_with(&["--close-timeout", "1s"]);
    let before = server.usage().descriptors;
    let mut clients: Vec<Client> = (0..20)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    for client in &mut clients {
        client.send(&Frame::close(1000, ""));
    }
    // Their ends stay open here, and the server's do not wait for them for ever.
    wait_until("all descriptors are free again", || {
        server.usage().descriptors <= before
    });
    drop(clients);
}

#[test]
fn a_peer_that_ends_its_tcp_connection_without_a_close_frame_is_let_go() {
    let server = Server::start();
    let before = server.usage().descriptors;
    for _ in 0..20 {
        let mut client = Client::open(server.address(), "/echo");
        // FIN, and our end stays open for reading.
        client.wire.finish_sending();
        let mut client = client;
        // "1006 is a reserved value and MUST NOT be set as a status code in a Close control frame" (§7.4.1).
        match client.read_message() {
            Message::Close(code, _) => assert_ne!(code, Some(1006)),
            Message::End(end) => assert_eq!(end, End::Closed),
            other @ (Message::Text(_) | Message::Binary(_)) => panic!("{other:?}"),
        }
    }
    wait_until("all descriptors are free again", || {
        server.usage().descriptors <= before
    });
}

/// Sends `packet` over a connection of its own and expects nothing but the close frame and the end.
#[track_caller]
fn expect_failure(server: &Server, packet: &[u8], code: u16) {
    let mut client = Client::open(server.address(), "/echo");
    client.wire.send(packet);
    expect_close_and_end(client, code);
}

/// Expects a close frame with this code and the end of the connection, without answering the one or the other.
#[track_caller]
fn expect_close_and_end(mut client: Client, code: u16) {
    client.expect_close(code);
    // The server says that it is done (FIN), and needs nothing more from us for that.
    let end = client.wire.receive_to_end();
    assert!(
        client.wire.inbox.is_empty(),
        "something came behind the close frame: {:?}",
        client.wire.inbox
    );
    assert_eq!(end, End::Closed, "the connection ends in order");
}

/// The bytes that `hex` spells.
fn bytes(hex: &str) -> Vec<u8> {
    let digit = |position: usize| {
        hex.get(position..position + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    (0..hex.len())
        .step_by(2)
        .map(|position| digit(position).expect("hexadecimal digits"))
        .collect()
}
