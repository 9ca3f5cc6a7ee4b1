//! The examples of RFC 6455, byte for byte: frames of §5.7 received and sent by both sides, the handshake of §1.3.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Scenario, binary, ping, pong, text};
use tidewire_protocol::frame::{Decoded, Header, Opcode, Rules};
use tidewire_protocol::handshake::client::{Handshake, Response, Target};
use tidewire_protocol::handshake::head::HeadReader;
use tidewire_protocol::handshake::server::{HeaderStorage, Request, Upgrade};
use tidewire_protocol::{Message, Side};

const UNMASKED_TEXT: &[u8] = &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
const MASKED_TEXT: &[u8] = &[
    0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
];
const FIRST_FRAGMENT: &[u8] = &[0x01, 0x03, 0x48, 0x65, 0x6c];
const LAST_FRAGMENT: &[u8] = &[0x80, 0x02, 0x6c, 0x6f];
const UNMASKED_PING: &[u8] = &[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
const MASKED_PONG: &[u8] = &[
    0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
];
const HEADER_OF_256: &[u8] = &[0x82, 0x7e, 0x01, 0x00];
const HEADER_OF_64_KIB: &[u8] = &[0x82, 0x7f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00];

/// [6455-6.1-4, 6455-6.1-5, 6455-6.1-6]
#[test]
fn a_single_frame_unmasked_text_message() {
    assert_eq!(Scenario::client().receive(UNMASKED_TEXT), [text("Hello")]);
    let mut server = Scenario::server();
    server.connection.send(&Message::text("Hello")).unwrap();
    assert_eq!(server.flush(), UNMASKED_TEXT);
}

/// [6455-5.1-1]
#[test]
fn a_single_frame_masked_text_message() {
    assert_eq!(Scenario::server().receive(MASKED_TEXT), [text("Hello")]);
    let mut client = Scenario::client();
    client.connection.send(&Message::text("Hello")).unwrap();
    assert_eq!(client.flush(), MASKED_TEXT);
}

#[test]
fn a_fragmented_unmasked_text_message() {
    let mut client = Scenario::client();
    assert_eq!(client.receive(FIRST_FRAGMENT), []);
    assert_eq!(client.receive(LAST_FRAGMENT), [text("Hello")]);
}

#[test]
fn an_unmasked_ping_request_and_its_masked_response() {
    let mut client = Scenario::client();
    assert_eq!(client.receive(UNMASKED_PING), [ping(b"Hello")]);
    assert_eq!(client.flush(), MASKED_PONG);

    let mut server = Scenario::server();
    server.connection.ping(b"Hello").unwrap();
    assert_eq!(server.flush(), UNMASKED_PING);
    assert_eq!(server.receive(MASKED_PONG), [pong(b"Hello")]);
}

#[test]
fn binary_messages_of_256_bytes_and_of_64_kib() {
    for (header, length) in [(HEADER_OF_256, 256), (HEADER_OF_64_KIB, 65536)] {
        let payload = vec![0x5a; length];
        let bytes = [header, &payload].concat();
        assert_eq!(Scenario::client().receive(&bytes), [binary(&payload)]);
        let mut server = Scenario::server();
        server.connection.send(&Message::binary(&payload)).unwrap();
        assert_eq!(server.flush(), bytes);
    }
}

#[test]
fn the_header_decoder_reads_the_examples() {
    let cases = [
        (UNMASKED_TEXT, Side::Server, true, Opcode::Text, 5, 2),
        (MASKED_TEXT, Side::Client, true, Opcode::Text, 5, 6),
        (FIRST_FRAGMENT, Side::Server, false, Opcode::Text, 3, 2),
        (
            LAST_FRAGMENT,
            Side::Server,
            true,
            Opcode::Continuation,
            2,
            2,
        ),
        (UNMASKED_PING, Side::Server, true, Opcode::Ping, 5, 2),
        (MASKED_PONG, Side::Client, true, Opcode::Pong, 5, 6),
        (HEADER_OF_256, Side::Server, true, Opcode::Binary, 256, 4),
        (
            HEADER_OF_64_KIB,
            Side::Server,
            true,
            Opcode::Binary,
            65536,
            10,
        ),
    ];
    for (bytes, sender, fin, opcode, length, used) in cases {
        let rules = Rules {
            sender,
            reserved_bits_allowed: 0,
        };
        let header = Header {
            fin,
            reserved_bits: 0,
            opcode,
            mask: (sender == Side::Client).then_some(common::KEY),
            length,
        };
        assert_eq!(
            Header::decode(bytes, rules),
            Ok(Decoded::Complete { header, used })
        );
        let mut encoded = Vec::new();
        header.encode(&mut encoded);
        assert_eq!(encoded, bytes[..used]);
    }
}

/// The request and the response of §1.3, with its own choice of a subprotocol.
#[test]
fn the_opening_handshake() {
    let request = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
                   Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

    let mut bytes = request.as_bytes().to_vec();
    let mut input = &mut bytes[..];
    let head = HeadReader::default()
        .handle_input(&mut input)
        .unwrap()
        .unwrap();
    let mut storage = HeaderStorage::default();
    let upgrade = Upgrade::from_request(&Request::parse(&head, &mut storage).unwrap()).unwrap();
    assert_eq!(upgrade.protocols(), ["chat", "superchat"]);
    let mut answer = Vec::new();
    upgrade.accept(upgrade.choose_protocol(&["chat"]), None, &mut answer);
    assert_eq!(String::from_utf8(answer).unwrap(), response);

    let target = Target {
        deflate: None,
        host: "server.example.com",
        path: "/chat",
        protocols: &["chat", "superchat"],
        origin: Some("http://example.com"),
        headers: &[],
    };
    let mut sent = Vec::new();
    let mut handshake = Handshake::start(&target, *b"the sample nonce", &mut sent).unwrap();
    // The order of header fields "is not important" (§1.3): the lines are the same.
    let lines = |request: &str| {
        let mut lines: Vec<String> = request.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(str::from_utf8(&sent).unwrap()), lines(request));
    assert_eq!(
        handshake.handle_input(&mut &mut response.as_bytes().to_vec()[..]),
        Ok(Some(Response {
            deflate: None,
            protocol: Some("chat".to_owned())
        }))
    );
}
