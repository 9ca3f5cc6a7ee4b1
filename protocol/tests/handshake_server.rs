//! The server's half of the opening handshake (RFC 6455 §4.2, RFC 9112): what is accepted, what is refused and with which
//! answer.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Instant;

use tidewire_protocol::handshake::head::{HeadError, HeadLimits, HeadReader};
use tidewire_protocol::handshake::server::{
    HeaderStorage, MalformedRequest, Refusal, Request, Upgrade,
};
use tidewire_protocol::handshake::{header, is_valid_key};
use tidewire_protocol::{Config, Connection, Event, Message};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const GOOD: [&str; 5] = [
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

fn head(request_line: &str, headers: &[&str]) -> Vec<u8> {
    let mut head = format!("{request_line}\r\n");
    for header in headers {
        head += header;
        head += "\r\n";
    }
    head += "\r\n";
    head.into_bytes()
}

fn get(headers: &[&str]) -> Vec<u8> {
    head("GET /chat HTTP/1.1", headers)
}

/// The good request with one header replaced (or, by an empty string, left out).
fn good_but(name: &str, line: &str) -> Vec<u8> {
    let headers = GOOD.map(|good| if good.starts_with(name) { line } else { good });
    let headers: Vec<&str> = headers
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect();
    get(&headers)
}

/// The good request with a header more.
fn good_and(line: &str) -> Vec<u8> {
    get(&[&GOOD[..], &[line]].concat())
}

fn parse(head: &[u8]) -> Result<(), MalformedRequest> {
    Request::parse(head, &mut HeaderStorage::default()).map(|_| ())
}

/// The 101 response, or the refusal.
fn answer(head: &[u8], supported: &[&str]) -> Result<String, Refusal> {
    let mut storage = HeaderStorage::default();
    let request = Request::parse(head, &mut storage).expect("the request is well-formed");
    let upgrade = Upgrade::from_request(&request)?;
    let mut response = Vec::new();
    upgrade.accept(upgrade.choose_protocol(supported), None, &mut response);
    Ok(String::from_utf8(response).unwrap())
}

fn refusal(head: &[u8]) -> Option<Refusal> {
    answer(head, &[]).err()
}

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

// ---- accepted ----

/// [6455-4.2.2-1, 6455-4.2.2-10]
#[test]
fn a_good_request_is_accepted() {
    assert_eq!(answer(&get(&GOOD), &[]).as_deref(), Ok(ACCEPTED));
}

#[test]
fn names_and_keywords_are_compared_without_case() {
    let request = get(&[
        "hOST: x",
        "UPGRADE: WebSocket",
        "connection: keep-alive, UPGRADE",
        "sec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==",
        "SEC-WEBSOCKET-VERSION: 13",
    ]);
    assert_eq!(answer(&request, &[]).as_deref(), Ok(ACCEPTED));
}

#[test]
fn spaces_around_values_do_not_count() {
    let request = get(&[
        "Host:x",
        "Upgrade:\t websocket \t",
        "Connection:Upgrade ",
        "Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==  ",
        "Sec-WebSocket-Version: 13 ",
    ]);
    assert_eq!(answer(&request, &[]).as_deref(), Ok(ACCEPTED));
}

#[test]
fn another_protocol_beside_websocket_in_upgrade_does_not_matter() {
    for line in ["Upgrade: websocket, h2c", "Upgrade: h2c,websocket"] {
        assert_eq!(
            answer(&good_but("Upgrade", line), &[]).as_deref(),
            Ok(ACCEPTED)
        );
    }
}

#[test]
fn connection_may_come_in_several_headers() {
    let request = [&GOOD[..], &["Connection: keep-alive"]].concat();
    assert_eq!(answer(&get(&request), &[]).as_deref(), Ok(ACCEPTED));
}

#[test]
fn an_empty_body_is_no_body() {
    assert_eq!(refusal(&good_and("Content-Length: 0")), None);
}

/// §4.1 gives this key as an example, although its last character has bits that no 16 bytes set.
#[test]
fn the_key_of_the_rfcs_own_example_is_taken() {
    assert!(is_valid_key("AQIDBAUGBwgJCgsMDQ4PEC=="));
}

// ---- refused, each with its status, header and text ----

/// [6455-4.2.2-4, 6455-4.4-1, 6455-10.7-3]
#[test]
fn each_refusal_has_its_status_header_and_sentence() {
    type Answer = (u16, &'static [(&'static str, &'static str)], &'static str);
    let cases: [(Refusal, Answer); 8] = [
        (
            Refusal::Method,
            (
                405,
                &[("Allow", "GET")],
                "A WebSocket handshake is a GET request.",
            ),
        ),
        (
            Refusal::HttpVersion,
            (400, &[], "A WebSocket handshake needs HTTP/1.1."),
        ),
        (
            Refusal::NoUpgrade,
            (
                426,
                &[("Upgrade", "websocket")],
                "This address speaks WebSocket: send \"Upgrade: websocket\" and \"Connection: Upgrade\".",
            ),
        ),
        (
            Refusal::Version,
            (
                426,
                &[("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")],
                "Only version 13 of the WebSocket protocol is spoken here.",
            ),
        ),
        (
            Refusal::Key,
            (
                400,
                &[],
                "Sec-WebSocket-Key must be there once, with 16 bytes in base64.",
            ),
        ),
        (
            Refusal::Protocols,
            (400, &[], "Sec-WebSocket-Protocol must be a list of tokens."),
        ),
        (
            Refusal::Extensions,
            (
                400,
                &[],
                "Sec-WebSocket-Extensions does not follow the grammar of RFC 6455, section 9.1.",
            ),
        ),
        (
            Refusal::Body,
            (400, &[], "A WebSocket handshake has no body."),
        ),
    ];
    for (refusal, (status, headers, text)) in cases {
        assert_eq!(refusal.status(), status);
        assert_eq!(refusal.headers(), headers);
        assert_eq!(refusal.header(), headers.first().copied());
        assert_eq!(refusal.to_string(), text);
    }
}

/// [6455-4.2.1-1]
#[test]
fn another_method_than_get_is_refused() {
    for method in ["POST", "HEAD", "OPTIONS", "CONNECT", "get"] {
        let request = head(&format!("{method} /chat HTTP/1.1"), &GOOD);
        assert_eq!(refusal(&request), Some(Refusal::Method), "{method}");
    }
}

/// [6455-4.2.1-1]
#[test]
fn http_1_0_is_refused() {
    let request = head("GET /chat HTTP/1.0", &GOOD);
    assert_eq!(refusal(&request), Some(Refusal::HttpVersion));
}

/// [6455-4.2.1-1]
#[test]
fn no_upgrade_or_another_is_refused() {
    for (name, line) in [
        ("Upgrade", ""),
        ("Upgrade", "Upgrade:"),
        ("Upgrade", "Upgrade: h2c"),
        ("Upgrade", "Upgrade: websocket2"),
        ("Upgrade", "Upgrade: websocket;q=1"),
        ("Connection", ""),
        ("Connection", "Connection: close"),
        ("Connection", "Connection: Upgraded"),
    ] {
        let request = good_but(name, line);
        assert_eq!(refusal(&request), Some(Refusal::NoUpgrade), "{line:?}");
    }
}

/// [6455-4.2.1-1, 6455-4.2.2-4]
#[test]
fn a_version_that_is_not_13_once_is_refused() {
    for version in ["8", "0", "1337", "013", "13.0", "13, 8", "thirteen", ""] {
        let line = format!("Sec-WebSocket-Version: {version}");
        let request = good_but("Sec-WebSocket-Version", &line);
        assert_eq!(refusal(&request), Some(Refusal::Version), "{version:?}");
    }
    let missing = good_but("Sec-WebSocket-Version", "");
    assert_eq!(refusal(&missing), Some(Refusal::Version));
    let doubled = good_and("Sec-WebSocket-Version: 13");
    assert_eq!(refusal(&doubled), Some(Refusal::Version));
}

/// [6455-4.2.1-1]
#[test]
fn a_key_that_is_not_16_bytes_in_base64_once_is_refused() {
    for key in [
        "",
        "AAAAAAAAAAAAAAAAAAAA",     // 15 bytes
        "AAAAAAAAAAAAAAAAAAAAAAA=", // 17 bytes
        "AAAAAAAAAAAAAAAAAAAAAA",   // 16 bytes without padding
        "__________________ogoQ==", // base64url
        "not base64 at all!!!!!!==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        "d\u{e9}hlIHNhbXBsZSBub25jZQ==",
    ] {
        let line = format!("Sec-WebSocket-Key: {key}");
        let request = good_but("Sec-WebSocket-Key", &line);
        assert_eq!(refusal(&request), Some(Refusal::Key), "{key:?}");
    }
    assert_eq!(
        refusal(&good_but("Sec-WebSocket-Key", "")),
        Some(Refusal::Key)
    );
    assert_eq!(
        refusal(&good_and(&format!("Sec-WebSocket-Key: {KEY}"))),
        Some(Refusal::Key)
    );
}

#[test]
fn a_body_or_the_chance_of_one_is_refused() {
    for line in [
        "Content-Length: 5",
        "Content-Length: +5",
        "Content-Length: +0",
        "Content-Length: -0",
        "Content-Length: 5,5",
        "Content-Length: 0,0",
        "Content-Length: 0x0",
        "Content-Length:",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity",
        "Content-Length: 0\r\nContent-Length: 0",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
    ] {
        assert_eq!(refusal(&good_and(line)), Some(Refusal::Body), "{line:?}");
    }
}

/// [6455-4.2.1-1, 6455-8.1-1, 6455-9.1-1]
#[test]
fn offered_extensions_are_told_in_their_order() {
    let head = good_and("Sec-WebSocket-Extensions: a; b=1\r\nSec-WebSocket-Extensions: c");
    let mut storage = HeaderStorage::default();
    let request = Request::parse(&head, &mut storage).unwrap();
    let upgrade = Upgrade::from_request(&request).unwrap();
    let names = upgrade.extensions().iter().map(|extension| extension.name);
    assert!(names.eq(["a", "c"]));
}

#[test]
fn a_malformed_extension_list_is_refused() {
    for value in [
        "",
        ";",
        "a b",
        "a; b=\"",
        "permessage-deflate; =1",
        "\u{e9}",
    ] {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        assert_eq!(
            refusal(&good_and(&line)),
            Some(Refusal::Extensions),
            "{value:?}"
        );
    }
}

/// [6455-8.1-1]
#[test]
fn lists_that_are_not_utf8_are_refused() {
    for (name, expected) in [
        ("Sec-WebSocket-Extensions", Refusal::Extensions),
        ("Sec-WebSocket-Protocol", Refusal::Protocols),
    ] {
        let mut request = good_and(&format!("{name}: x"));
        let value = request.len() - 5;
        assert_eq!(request[value], b'x');
        request[value] = 0xff;
        assert_eq!(refusal(&request), Some(expected));
    }
}

// ---- extensions ----

/// [6455-9-1]
#[test]
fn extensions_are_read_and_none_is_answered() {
    for value in [
        "permessage-deflate; client_max_window_bits",
        "foo; bar=\"baz\", permessage-deflate; server_max_window_bits=\"10\"",
        "constructor, __proto__",
    ] {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        assert_eq!(
            answer(&good_and(&line), &[]).as_deref(),
            Ok(ACCEPTED),
            "{value:?}"
        );
    }
}

/// "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the 'token'
/// ABNF" (§9.1). [6455-4.3-1, 6455-9.1-2]
#[test]
fn quoted_extension_values_are_unescaped() {
    let value_of = |list: &str| {
        let found = header::extensions(list).ok()?;
        let value = found.first()?.parameters.first()?.value.clone()?;
        Some(value.into_owned())
    };
    assert_eq!(value_of("x; y=\"10\"").as_deref(), Some("10"));
    assert_eq!(value_of("x; y=\"1\\0\"").as_deref(), Some("10"));
    assert_eq!(value_of("x; y=\"\\1\\0\" ; z").as_deref(), Some("10"));
    for not_a_token in [
        "x; y=\"\"",
        "x; y=\"a b\"",
        "x; y=\"a\\ b\"",
        "x; y=\"a\\\"\"",
        "x; y=\"a\\",
        "x; y=\"a,b\"",
    ] {
        assert_eq!(value_of(not_a_token), None, "{not_a_token}");
    }
}

#[test]
fn two_thousand_offers_are_read() {
    let value = "a,".repeat(2000);
    assert_eq!(
        header::extensions(&value).map(|found| found.len()),
        Ok(2000)
    );
}

// ---- subprotocols ----

/// [6455-4.2.2-6, 6455-4.2.2-7]
#[test]
fn the_servers_first_subprotocol_that_the_client_asks_for_is_chosen() {
    let request = good_and("Sec-WebSocket-Protocol: chat, superchat");
    let with = |protocol: &str| {
        ACCEPTED.replace(
            "xOo=\r\n",
            &format!("xOo=\r\nSec-WebSocket-Protocol: {protocol}\r\n"),
        )
    };
    assert_eq!(
        answer(&request, &["superchat", "chat"]),
        Ok(with("superchat"))
    );
    assert_eq!(answer(&request, &["mqtt", "chat"]), Ok(with("chat")));
    assert_eq!(answer(&request, &["Chat"]).as_deref(), Ok(ACCEPTED));
    assert_eq!(answer(&request, &[]).as_deref(), Ok(ACCEPTED));
    assert_eq!(answer(&get(&GOOD), &["chat"]).as_deref(), Ok(ACCEPTED));
}

#[test]
fn subprotocols_of_several_headers_are_one_list() {
    let request = get(&[
        &GOOD[..],
        &["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b,c"],
    ]
    .concat());
    let mut storage = HeaderStorage::default();
    let request = Request::parse(&request, &mut storage).unwrap();
    let upgrade = Upgrade::from_request(&request).unwrap();
    assert_eq!(upgrade.protocols(), ["a", "b", "c"]);
}

/// [6455-4.2.1-1]
#[test]
fn a_subprotocol_that_is_no_token_is_refused() {
    let spaces = format!("b{}x", " ".repeat(6000));
    for value in ["a b", "chat/1", "(a)", "\u{e9}", &spaces] {
        let line = format!("Sec-WebSocket-Protocol: {value}");
        assert_eq!(
            refusal(&good_and(&line)),
            Some(Refusal::Protocols),
            "{value:?}"
        );
    }
}

// ---- heads that another parser might read in another way ----

/// [6455-10.7-1]
#[test]
fn heads_that_could_be_read_in_two_ways_are_malformed() {
    for lines in [
        "Host: x\r\nFolded: a\r\n b", // obs-fold
        "Host: x\r\n Folded: a",      // a first line that begins with a space
        "Host: x\r\nName : value",    // a space before the colon
        "Host: x\r\nName\t: value",
        "Host: x\r\n: value", // no name
        "Host: x\r\nNoColon",
        "Host: x\r\nName: a\0b", // NUL
        "Host: x\r\nName: a\rb", // CR
        "Host: x\r\nName: a\x7fb",
        "Host: x\r\nNa\u{e9}me: value",
        "Host: x\r\nNa me: value",
        "Host: x\r\nHost: x", // two hosts
        "Accept: */*",        // no host
        "Host: a, b",
        "Host: a b",
        "Host: a/b",
        "Host: user@a",
        "Host: a#b",
        "Host: a?b",
        "Host: a\\b",
        "Host: a\tb",
        "Host: \u{e9}",
    ] {
        let request = format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
        assert_eq!(
            parse(request.as_bytes()),
            Err(MalformedRequest),
            "{lines:?}"
        );
    }
    assert_eq!(
        parse(b"GET / HTTP/1.1\r\nHost: x\r\nName: a\xffb\r\n\r\n"),
        Ok(()),
        "obs-text is legal in values"
    );
}

#[test]
fn only_http_1_0_may_leave_the_host_out() {
    assert_eq!(parse(b"GET / HTTP/1.0\r\n\r\n"), Ok(()));
    assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n"), Err(MalformedRequest));
}

#[test]
fn request_lines_that_are_not_http_1_are_malformed() {
    for line in [
        "GET /",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/2.0",
        "GET / HTTP/1.2",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        " GET / HTTP/1.1",
        "G@T\0 / HTTP/1.1",
        "GET chat HTTP/1.1",
        "GET http://other/ HTTP/1.1",
        "GET http://x@x/ HTTP/1.1",
        "GET ftp://x/ HTTP/1.1",
        "GET x:80 HTTP/1.1",
    ] {
        assert_eq!(
            parse(&head(line, &["Host: x"])),
            Err(MalformedRequest),
            "{line:?}"
        );
    }
}

#[test]
fn bytes_behind_the_head_are_not_part_of_it() {
    assert_eq!(
        parse(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
        Err(MalformedRequest)
    );
}

/// The target may be "an absolute http/https URI" for the same host (§4.1).
#[test]
fn path_and_query_are_those_of_the_target_in_either_form() {
    for (target, expected) in [
        ("/chat", ("/chat", "")),
        ("/chat?a=b", ("/chat", "a=b")),
        ("/chat?a?b", ("/chat", "a?b")),
        ("/?", ("/", "")),
        ("//x/y", ("//x/y", "")),
        ("http://x", ("/", "")),
        ("http://x/chat?a=b", ("/chat", "a=b")),
        ("http://x?a=b", ("/", "a=b")),
        ("HTTP://X/chat", ("/chat", "")),
        ("https://x/chat", ("/chat", "")),
        ("*", ("*", "")),
    ] {
        let head = head(&format!("GET {target} HTTP/1.1"), &["Host: x"]);
        let mut storage = HeaderStorage::default();
        let request = Request::parse(&head, &mut storage).unwrap();
        assert_eq!(request.path_and_query(), Ok(expected), "{target}");
    }
}

#[test]
fn a_malformed_request_is_an_error_with_a_sentence() {
    let error: Box<dyn std::error::Error> = Box::new(MalformedRequest);
    assert_eq!(error.to_string(), "malformed HTTP request");
    let error: Box<dyn std::error::Error> = Box::new(header::MalformedExtensions);
    assert_eq!(error.to_string(), "malformed list of extensions");
}

#[test]
fn keep_alive_follows_version_and_header() {
    let wants = |version: &str, header: &str| {
        let head = head(&format!("GET / HTTP/{version}"), &["Host: x", header]);
        let mut storage = HeaderStorage::default();
        Request::parse(&head, &mut storage)
            .unwrap()
            .wants_keep_alive()
    };
    assert!(wants("1.1", "X: y"));
    assert!(!wants("1.1", "Connection: Close"));
    assert!(!wants("1.1", "Connection: foo, close"));
    assert!(!wants("1.0", "X: y"));
    assert!(wants("1.0", "Connection: keep-alive"));
}

// ---- from the transport ----

#[test]
fn one_byte_at_a_time_gives_the_same_head_and_keeps_the_frames_behind_it() {
    let frame = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let request = get(&GOOD);
    let stream = [&request[..], frame].concat();
    for size in [1, 2, 3, 7, 100, stream.len()] {
        let (mut reader, mut head, mut behind) = (HeadReader::default(), None, Vec::new());
        for piece in stream.clone().chunks_mut(size) {
            let mut input = piece;
            if head.is_none() {
                head = reader
                    .handle_input(&mut input)
                    .unwrap()
                    .map(std::borrow::Cow::into_owned);
            }
            behind.extend_from_slice(input);
        }
        assert_eq!(head.as_ref(), Some(&request));
        assert_eq!(behind, frame);
        let mut connection = Connection::server(Arc::new(Config::default()), Instant::now());
        let event = connection.handle_input(&mut &mut behind[..], Instant::now());
        assert_eq!(event, Some(Event::Message(Message::text("Hello"))));
    }
}

#[test]
fn pipelined_requests_are_read_one_after_the_other() {
    let mut stream = [get(&GOOD), head("GET /second HTTP/1.1", &["Host: x"])].concat();
    let mut input = &mut stream[..];
    let mut reader = HeadReader::default();
    let first = reader
        .handle_input(&mut input)
        .unwrap()
        .unwrap()
        .into_owned();
    let second = reader
        .handle_input(&mut input)
        .unwrap()
        .unwrap()
        .into_owned();
    assert_eq!(first, get(&GOOD));
    assert_eq!(second, head("GET /second HTTP/1.1", &["Host: x"]));
    assert!(input.is_empty());
}

#[test]
fn a_head_that_was_refused_stays_refused() {
    let mut reader = HeadReader::default();
    let mut feed = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        reader
            .handle_input(&mut &mut bytes[..])
            .map(|head| head.is_some())
    };
    assert_eq!(feed(b"GET / HTTP/1.1\r\n"), Ok(false));
    let headers = "a: b\r\n".repeat(101);
    assert_eq!(feed(headers.as_bytes()), Err(HeadError::TooManyHeaders));
    assert_eq!(feed(b"\r\n"), Err(HeadError::TooManyHeaders));
    assert_eq!(
        feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        Err(HeadError::TooManyHeaders)
    );
}

#[test]
fn a_head_that_was_refused_whole_stays_refused() {
    let mut reader = HeadReader::default();
    let mut bad = b"GET / HTTP/1.1\nHost: x\n\n".to_vec();
    assert_eq!(
        reader.handle_input(&mut &mut bad[..]),
        Err(HeadError::Malformed)
    );
    let mut good = get(&GOOD);
    assert_eq!(
        reader.handle_input(&mut &mut good[..]),
        Err(HeadError::Malformed)
    );
}

#[test]
fn a_head_without_limits_is_possible() {
    let limits = HeadLimits {
        start_line_bytes_max: usize::MAX,
        header_line_bytes_max: usize::MAX,
        head_bytes_max: usize::MAX,
        headers_max: usize::MAX,
    };
    let mut reader = HeadReader::new(limits);
    let request = good_and(&format!("X: {}", "y".repeat(100_000)));
    let mut whole = None;
    for piece in request.clone().chunks_mut(999) {
        let mut input = piece;
        whole = reader
            .handle_input(&mut input)
            .unwrap()
            .map(std::borrow::Cow::into_owned);
    }
    assert_eq!(whole, Some(request));
}

#[test]
fn twenty_megabytes_of_header_are_refused_after_sixteen_kibibytes() {
    let mut reader = HeadReader::default();
    let mut start = b"GET / HTTP/1.1\r\n".to_vec();
    assert_eq!(reader.handle_input(&mut &mut start[..]), Ok(None));
    let mut taken = start.len();
    let mut line = [&b"h: "[..], &[b'v'; 1000], b"\r\n"].concat();
    let error = loop {
        match reader.handle_input(&mut &mut line[..]) {
            Ok(head) => assert_eq!(head, None),
            Err(error) => break error,
        }
        taken += line.len();
    };
    assert_eq!(error, HeadError::TooLarge);
    assert!(taken <= 16 << 10, "{taken} bytes were taken");
}

#[test]
fn the_response_leaves_in_front_of_the_first_message() {
    let mut server = Connection::server(Arc::new(Config::default()), Instant::now());
    server.queue_handshake(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    server.send(&Message::text("Hello")).unwrap();
    let mut slices = [std::io::IoSlice::new(&[]); 4];
    assert_eq!(server.poll_transmit(&mut slices), 1);
    let expected = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05Hello";
    assert_eq!(&*slices[0], expected);
}
