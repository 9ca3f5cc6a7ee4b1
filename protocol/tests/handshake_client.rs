//! The client's half of the opening handshake (RFC 6455 §4.1): the request that is sent, and every check of the response.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Instant;

use tidewire_protocol::handshake::client::{
    Handshake, HandshakeError, InvalidTarget, Response, Target, random_nonce,
};
use tidewire_protocol::handshake::head::{HeadError, HeadReader};
use tidewire_protocol::handshake::server::{HeaderStorage, Request, Upgrade};
use tidewire_protocol::{Config, Connection, DeflateConfig, Event, Message};

/// The nonce of §1.3: its key is `dGhlIHNhbXBsZSBub25jZQ==`.
const NONCE: [u8; 16] = *b"the sample nonce";

const TARGET: Target<'_> = Target {
    deflate: None,
    host: "server.example.com",
    path: "/chat",
    protocols: &[],
    origin: None,
    headers: &[],
};

const GOOD: [&str; 4] = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

fn response(lines: &[&str]) -> Vec<u8> {
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

fn good_but(start: &str, line: &str) -> Vec<u8> {
    let lines = GOOD.map(|good| if good.starts_with(start) { line } else { good });
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    response(&lines)
}

fn good_and(line: &str) -> Vec<u8> {
    response(&[&GOOD[..], &[line]].concat())
}

/// What a client that asked for these subprotocols makes of the response.
fn check_with(protocols: &[&str], response: &[u8]) -> Result<Option<Response>, HandshakeError> {
    let target = Target {
        deflate: None,
        protocols,
        ..TARGET
    };
    let mut handshake = Handshake::start(&target, NONCE, &mut Vec::new()).unwrap();
    handshake.handle_input(&mut &mut response.to_vec()[..])
}

fn check(response: &[u8]) -> Result<Option<Response>, HandshakeError> {
    check_with(&[], response)
}

fn agreed(protocol: Option<&str>) -> Result<Option<Response>, HandshakeError> {
    Ok(Some(Response {
        deflate: None,
        protocol: protocol.map(str::to_owned),
    }))
}

// ---- the request ----

/// [6455-4.1-17, 6455-4.1-19, 6455-4.1-20, 6455-4.1-21, 6455-4.1-22, 6455-4.1-23, 6455-4.1-24, 6455-4.1-25]
/// [6455-4.1-27, 6455-4.1-28, 6455-4.1-29]
#[test]
fn the_request_has_what_was_asked_for_in_this_order() {
    let target = Target {
        deflate: None,
        host: "example.com:8080",
        path: "/chat?room=a",
        protocols: &["chat", "superchat"],
        origin: Some("http://example.com"),
        headers: &[("Authorization", "Bearer abc"), ("User-Agent", "früh/1.0")],
    };
    let mut request = Vec::new();
    Handshake::start(&target, NONCE, &mut request).unwrap();
    let expected = "GET /chat?room=a HTTP/1.1\r\nHost: example.com:8080\r\nUpgrade: websocket\r\n\
                    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n\
                    Sec-WebSocket-Protocol: chat, superchat\r\nAuthorization: Bearer abc\r\n\
                    User-Agent: früh/1.0\r\n\r\n";
    assert_eq!(String::from_utf8(request).unwrap(), expected);
}

/// [6455-4.1-2, 6455-4.1-3, 6455-4.1-30, 6455-4.1-31]
#[test]
fn a_target_cannot_break_out_of_its_place() {
    let targets = [
        Target { host: "", ..TARGET },
        Target {
            host: "a b",
            ..TARGET
        },
        Target {
            host: "a\r\nX: y",
            ..TARGET
        },
        Target {
            host: "a/b",
            ..TARGET
        },
        Target {
            host: "user@a",
            ..TARGET
        },
        Target { path: "", ..TARGET },
        Target {
            path: "/a#fragment",
            ..TARGET
        },
        Target {
            path: "chat",
            ..TARGET
        },
        Target {
            path: "/a b",
            ..TARGET
        },
        Target {
            path: "/a\r\nX: y",
            ..TARGET
        },
        Target {
            path: "/\u{e9}",
            ..TARGET
        },
        Target {
            origin: Some("x\r\n"),
            ..TARGET
        },
        Target {
            origin: Some("x\0"),
            ..TARGET
        },
        Target {
            protocols: &["a b"],
            ..TARGET
        },
        Target {
            protocols: &["a,b"],
            ..TARGET
        },
        Target {
            protocols: &[""],
            ..TARGET
        },
        Target {
            protocols: &["a", "b", "a"],
            ..TARGET
        },
        Target {
            headers: &[("", "x")],
            ..TARGET
        },
        Target {
            headers: &[("A:", "x")],
            ..TARGET
        },
        Target {
            headers: &[("A", "x\nB: y")],
            ..TARGET
        },
        Target {
            headers: &[("A", "x\x7f")],
            ..TARGET
        },
    ];
    for target in targets {
        let mut out = Vec::new();
        let refused = Handshake::start(&target, NONCE, &mut out).err();
        assert_eq!(refused, Some(InvalidTarget), "{target:?}");
        assert_eq!(out, b"", "{target:?}");
    }
}

/// [6455-4.1-26]
#[test]
fn nonces_differ() {
    assert_ne!(random_nonce(), random_nonce());
}

/// [7692-5-1]
#[test]
fn a_client_that_compresses_offers_it() {
    let deflate = DeflateConfig::default();
    let target = Target {
        deflate: Some(&deflate),
        ..TARGET
    };
    let mut request = Vec::new();
    Handshake::start(&target, NONCE, &mut request).unwrap();
    let request = String::from_utf8(request).unwrap();
    let line = format!("Sec-WebSocket-Extensions: {}", deflate.offer());
    assert_eq!(request.lines().filter(|&sent| sent == line).count(), 1);
    assert!(line.contains("permessage-deflate"), "{line}");
}

// ---- the response ----

#[test]
fn a_good_response_opens_the_connection() {
    assert_eq!(check(&response(&GOOD)), agreed(None));
}

#[test]
fn names_and_keywords_are_compared_without_case() {
    let answer = response(&[
        "HTTP/1.1 101 Welcome",
        "UPGRADE: WebSocket",
        "connection: keep-alive, upgrade",
        "sec-websocket-accept:\ts3pPLMBiTxaQ9kYGzzhZRbK+xOo= ",
    ]);
    assert_eq!(check(&answer), agreed(None));
}

/// [6455-4.1-33, 6455-4.1-39]
#[test]
fn another_status_than_101_is_told() {
    for status in [100, 200, 301, 401, 404, 426, 503] {
        let line = format!("HTTP/1.1 {status} Something");
        assert_eq!(
            check(&good_but("HTTP", &line)),
            Err(HandshakeError::Status(status))
        );
    }
}

/// [6455-4.1-33, 6455-4.1-39]
#[test]
fn what_is_no_http_1_1_response_is_malformed() {
    for line in [
        "HTTP/1.0 101 Switching Protocols",
        "HTTP/2 101 Switching Protocols",
        "HTTP/1.1 1010 Switching Protocols",
        "HTTP/1.1",
        "GET / HTTP/1.1",
    ] {
        assert_eq!(
            check(&good_but("HTTP", line)),
            Err(HandshakeError::Malformed),
            "{line}"
        );
    }
    for line in ["Folded: a\r\n b", "Name : x", "Name: a\0b", "NoColon"] {
        assert_eq!(
            check(&good_and(line)),
            Err(HandshakeError::Malformed),
            "{line:?}"
        );
    }
    assert_eq!(
        check(b"\x16\x03\x01"),
        Err(HandshakeError::Head(HeadError::Malformed))
    );
}

/// "If the response lacks an |Upgrade| header field or the |Upgrade| header field contains a value that is not an ASCII
/// case-insensitive match for the value "websocket"". [6455-4.1-34]
#[test]
fn upgrade_must_be_websocket_and_nothing_else() {
    for line in [
        "",
        "Upgrade:",
        "Upgrade: h2c",
        "Upgrade: websocket, h2c",
        "Upgrade: websocket\r\nUpgrade: websocket",
    ] {
        assert_eq!(
            check(&good_but("Upgrade", line)),
            Err(HandshakeError::Upgrade),
            "{line:?}"
        );
    }
}

/// [6455-4.1-35]
#[test]
fn connection_must_list_upgrade() {
    for line in [
        "",
        "Connection:",
        "Connection: close",
        "Connection: Upgraded",
    ] {
        assert_eq!(
            check(&good_but("Connection", line)),
            Err(HandshakeError::Connection),
            "{line:?}"
        );
    }
}

/// [6455-4.1-36]
#[test]
fn the_accept_key_must_be_there_once_and_fit() {
    let good = GOOD[3];
    for line in [
        "",
        "Sec-WebSocket-Accept:",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
        "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=",
        "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==",
        &format!("{good}\r\n{good}"),
    ] {
        assert_eq!(
            check(&good_but("Sec-WebSocket-Accept", line)),
            Err(HandshakeError::Accept),
            "{line:?}"
        );
    }
}

/// [6455-4.1-37, 6455-5.8-1]
#[test]
fn an_extension_that_was_not_asked_for_fails() {
    for value in ["permessage-deflate", "x; y=z", ";", "\u{e9}"] {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        assert_eq!(
            check(&good_and(&line)),
            Err(HandshakeError::UnaskedExtension),
            "{value:?}"
        );
    }
    let unreadable = [&response(&GOOD)[..], b""].concat();
    let unreadable = [
        &unreadable[..unreadable.len() - 2],
        b"Sec-WebSocket-Extensions: \xff\r\n\r\n",
    ]
    .concat();
    assert_eq!(check(&unreadable), Err(HandshakeError::UnaskedExtension));
}

/// [6455-9.1-1, 6455-9.1-5, 7692-7-2]
#[test]
fn an_extension_that_was_offered_is_used_only_if_the_server_says_so() {
    let offer = DeflateConfig::default();
    let answer = |lines: &str| {
        let target = Target {
            deflate: Some(&offer),
            ..TARGET
        };
        let mut handshake = Handshake::start(&target, NONCE, &mut Vec::new()).unwrap();
        handshake.handle_input(&mut &mut good_and(lines)[..])
    };
    let accepted =
        answer("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover");
    assert!(accepted.unwrap().unwrap().deflate.is_some());
    let declined = answer("Server: x");
    assert_eq!(declined.unwrap().unwrap().deflate, None);
    for bad in [
        "x",
        "permessage-deflate, x",
        "permessage-deflate; x",
        "permessage-deflate; server_no_context_takeover; =",
        "",
    ] {
        let refused = answer(&format!("Sec-WebSocket-Extensions: {bad}"));
        assert_eq!(refused, Err(HandshakeError::Extensions), "{bad:?}");
    }
}

/// [6455-4.1-38]
#[test]
fn the_subprotocol_must_be_one_that_was_asked_for() {
    let asked = ["chat", "superchat"];
    let answer = |value: &str| {
        let line = format!("Sec-WebSocket-Protocol: {value}");
        check_with(&asked, &good_and(&line))
    };
    assert_eq!(answer("superchat"), agreed(Some("superchat")));
    assert_eq!(check_with(&asked, &response(&GOOD)), agreed(None));
    for value in ["mqtt", "Chat", "chat, superchat", "\u{e9}"] {
        assert_eq!(
            answer(value),
            Err(HandshakeError::UnaskedProtocol),
            "{value:?}"
        );
    }
    let twice = good_and("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat");
    assert_eq!(
        check_with(&asked, &twice),
        Err(HandshakeError::UnaskedProtocol)
    );
    assert_eq!(
        check(&good_and("Sec-WebSocket-Protocol: chat")),
        Err(HandshakeError::UnaskedProtocol)
    );
}

// ---- from the transport ----

#[test]
fn one_byte_at_a_time_gives_the_same_and_keeps_the_frames_behind_it() {
    let stream = [&response(&GOOD)[..], b"\x81\x05Hello"].concat();
    for size in [1, 2, 3, 7, 100, stream.len()] {
        let mut handshake = Handshake::start(&TARGET, NONCE, &mut Vec::new()).unwrap();
        let (mut agreed, mut behind) = (None, Vec::new());
        for piece in stream.clone().chunks_mut(size) {
            let mut input = piece;
            if agreed.is_none() {
                agreed = handshake.handle_input(&mut input).unwrap();
            }
            behind.extend_from_slice(input);
        }
        assert_eq!(
            agreed,
            Some(Response {
                deflate: None,
                protocol: None
            })
        );
        assert_eq!(behind, b"\x81\x05Hello");
        let mut connection = Connection::client(Arc::new(Config::default()), Instant::now());
        let event = connection.handle_input(&mut &mut behind[..], Instant::now());
        assert_eq!(event, Some(Event::Message(Message::text("Hello"))));
    }
}

/// [6455-4.1-32]
#[test]
fn until_the_response_is_whole_there_is_nothing_but_the_request() {
    let mut sent = Vec::new();
    let mut handshake = Handshake::start(&TARGET, NONCE, &mut sent).unwrap();
    assert!(sent.ends_with(b"\r\n\r\n"), "no byte behind the request");
    let mut response = response(&GOOD);
    let (last, most) = response.split_last_mut().unwrap();
    for byte in most.chunks_mut(1) {
        let mut input = byte;
        assert_eq!(handshake.handle_input(&mut input), Ok(None));
    }
    let mut input = std::slice::from_mut(last);
    assert_eq!(handshake.handle_input(&mut input), agreed(None));
}

/// [6455-7.2.1-1]
#[test]
fn a_handshake_that_failed_stays_failed() {
    let mut handshake = Handshake::start(&TARGET, NONCE, &mut Vec::new()).unwrap();
    let mut bytes = [response(&["HTTP/1.1 401 Unauthorized"]), response(&GOOD)].concat();
    let mut input = &mut bytes[..];
    let failed = Err(HandshakeError::Status(401));
    assert_eq!(handshake.handle_input(&mut input), failed);
    assert_eq!(handshake.handle_input(&mut input), failed);
}

#[test]
fn a_response_without_end_is_refused_at_the_limit() {
    let mut handshake = Handshake::start(&TARGET, NONCE, &mut Vec::new()).unwrap();
    let mut endless = [GOOD[0].as_bytes(), b"\r\n", &b"X: y\r\n".repeat(101)].concat();
    assert_eq!(
        handshake.handle_input(&mut &mut endless[..]),
        Err(HandshakeError::Head(HeadError::TooManyHeaders))
    );
}

/// [6455-4.1-1, 6455-4.1-17, 6455-4.1-18]
#[test]
fn our_client_and_our_server_agree() {
    let target = Target {
        deflate: None,
        protocols: &["b", "a"],
        ..TARGET
    };
    let mut bytes = Vec::new();
    let mut handshake = Handshake::start(&target, random_nonce(), &mut bytes).unwrap();

    let mut input = &mut bytes[..];
    let head = HeadReader::default()
        .handle_input(&mut input)
        .unwrap()
        .unwrap();
    let mut storage = HeaderStorage::default();
    let request = Request::parse(&head, &mut storage).unwrap();
    let upgrade = Upgrade::from_request(&request).unwrap();
    let mut answer = Vec::new();
    upgrade.accept(upgrade.choose_protocol(&["a", "b"]), None, &mut answer);

    assert_eq!(
        handshake.handle_input(&mut &mut answer[..]),
        agreed(Some("a"))
    );
}

#[test]
fn every_error_is_a_sentence() {
    let sentences = [
        (HandshakeError::Malformed, "malformed HTTP response"),
        (
            HandshakeError::Status(503),
            "the server answered with status 503 instead of 101",
        ),
        (
            HandshakeError::Head(HeadError::TooLarge),
            "HTTP head too large",
        ),
    ];
    for (error, sentence) in sentences {
        let error: Box<dyn std::error::Error> = Box::new(error);
        assert_eq!(error.to_string(), sentence);
    }
}
