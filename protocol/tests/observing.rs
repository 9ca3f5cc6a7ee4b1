//! Looking on at a connection of others: checking a handshake that somebody else sent, and joining in the middle.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Instant;

use tidewire_protocol::handshake::client::{Handshake, HandshakeError, Target};
use tidewire_protocol::handshake::header::extensions;
use tidewire_protocol::handshake::server::{HeaderStorage, Request, Upgrade};
use tidewire_protocol::{Config, Connection, DeflateAgreement, DeflateConfig};

/// The request of a client that offers permessage-deflate and two subprotocols.
fn request() -> Vec<u8> {
    let target = Target {
        host: "a",
        path: "/",
        protocols: &["chat", "superchat"],
        deflate: Some(&DeflateConfig::default()),
        ..Target::default()
    };
    let mut request = Vec::new();
    Handshake::start(&target, *b"the sample nonce", &mut request).unwrap();
    request
}

#[test]
fn a_response_is_checked_as_the_client_that_asked_has_to() {
    let request = request();
    let mut storage = HeaderStorage::default();
    let upgrade = Upgrade::from_request(&Request::parse(&request, &mut storage).unwrap()).unwrap();
    assert_eq!(upgrade.key(), "dGhlIHNhbXBsZSBub25jZQ==");
    let check = |protocol, extensions| {
        let mut response = Vec::new();
        upgrade.accept(protocol, extensions, &mut response);
        Handshake::observe(&upgrade).handle_input(&mut &mut response[..])
    };
    let agreed = check(Some("chat"), Some("permessage-deflate")).unwrap();
    let agreed = agreed.unwrap();
    assert_eq!(agreed.protocol.as_deref(), Some("chat"));
    let takeover = agreed
        .deflate
        .map(|deflate| !deflate.server_no_context_takeover && !deflate.client_no_context_takeover);
    assert_eq!(
        takeover,
        Some(true),
        "what the answer does not forbid is allowed"
    );
    assert_eq!(check(None, None).unwrap().unwrap().deflate, None);
    assert_eq!(
        check(Some("other"), None),
        Err(HandshakeError::UnaskedProtocol)
    );
    assert_eq!(
        check(None, Some("x-other")),
        Err(HandshakeError::Extensions)
    );
    let mut response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
        .to_vec();
    let refused = Handshake::observe(&upgrade).handle_input(&mut &mut response[..]);
    assert_eq!(refused, Err(HandshakeError::Accept));
}

#[test]
fn a_connection_tells_when_the_next_byte_begins_a_message() {
    let mut connection = Connection::server(Arc::new(Config::default()), Instant::now());
    // A fragment, a ping between, and the end; the key is zero.
    let bytes = b"\x01\x82\0\0\0\0He\x89\x81\0\0\0\0!\x80\x83\0\0\0\0llo";
    assert!(connection.is_between_messages());
    for (index, byte) in bytes.iter().enumerate() {
        let mut input = &mut [*byte][..];
        while connection
            .handle_input(&mut input, Instant::now())
            .is_some()
        {}
        assert_eq!(
            connection.is_between_messages(),
            index + 1 == bytes.len(),
            "{index}"
        );
    }
}

#[test]
fn what_was_agreed_on_about_compression_can_be_answered_again() {
    for server_no_context_takeover in [false, true] {
        for client_no_context_takeover in [false, true] {
            for server_max_window_bits in [9, 15] {
                let agreement = DeflateAgreement {
                    server_no_context_takeover,
                    client_no_context_takeover,
                    server_max_window_bits,
                    client_max_window_bits: 15,
                };
                let mut connection =
                    Connection::server(Arc::new(Config::default()), Instant::now());
                assert_eq!(connection.deflate(), None);
                connection.enable_deflate(&DeflateConfig::default(), agreement);
                assert_eq!(connection.deflate(), Some(agreement));
                let answer = agreement.to_answer();
                let widest = DeflateConfig {
                    server_context_takeover: true,
                    client_context_takeover: true,
                    ..DeflateConfig::default()
                };
                let checked = widest.check_response(&extensions(&answer).unwrap());
                assert_eq!(checked, Ok(Some(agreement)), "{answer}");
            }
        }
    }
}
