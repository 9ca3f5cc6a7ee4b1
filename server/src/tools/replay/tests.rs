//! Replays of files that were made here: what our own captures say, what others' do, and what is broken in whatever way.

use std::sync::Arc;

use proptest::prelude::*;
use tidewire_protocol::{Config, Connection, DeflateAgreement, DeflateConfig, Message};

use super::*;
use crate::capture::{Direction, Opening, Place, Record, Scribe, Upgraded, pcapng};
use crate::clock::Now;
use crate::ids::ConnId;

const CONN: ConnId = ConnId {
    index: 1,
    generation: 1,
};

const REQUEST: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const RESPONSE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// "Hello" masked, and a Close with 1000, from the client.
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xe8";

fn begin(opening: Opening) -> Record {
    let place = Place {
        client: "127.0.0.1:5000".parse().unwrap(),
        server: "127.0.0.1:8080".parse().unwrap(),
        opening,
    };
    Record::Begin {
        conn: CONN,
        time: 1,
        place: Box::new(place),
    }
}

fn data(direction: Direction, bytes: &[u8]) -> Record {
    Record::Data {
        conn: CONN,
        time: 2_000_000_001,
        direction,
        bytes: bytes.to_vec(),
        notes: vec![(0, "user alice".into())],
    }
}

fn said(bytes: &[u8]) -> Record {
    data(Direction::In, bytes)
}

fn answered(bytes: &[u8]) -> Record {
    data(Direction::Out, bytes)
}

fn file(records: &[Record]) -> Vec<u8> {
    let (mut scribe, mut file) = (Scribe::default(), Vec::new());
    pcapng::begin(&mut file, "a test");
    for record in records {
        scribe.write(record, &mut file);
    }
    scribe.finish(3, "", &mut file, u64::MAX);
    file
}

/// What is printed, and whether all is well.
fn replay(file: &[u8]) -> (String, bool) {
    let mut out = Vec::new();
    let mut replaying = Replaying::new(Printer::new(&mut out, false), Now::read().instant);
    let ended = file::read(file, |packet| replaying.take(&packet));
    let is_well = replaying.finish().unwrap() && ended.is_ok();
    (String::from_utf8(out).unwrap(), is_well)
}

/// Without numbers and times.
fn lines(told: &str) -> Vec<&str> {
    told.lines().map(|line| line[16..].trim()).collect()
}

fn conversation(frames: &[Record]) -> (String, bool) {
    let opening = [begin(Opening::Whole), said(REQUEST), answered(RESPONSE)];
    replay(&file(&[&opening[..], frames].concat()))
}

#[test]
fn a_conversation_is_told_frame_by_frame() {
    let frames = [
        said(&[HELLO, CLOSE].concat()),
        answered(b"\x82\x03\x01\x02\xff"),
        answered(b"\x89\x01p\x88\x02\x03\xe8"),
    ];
    let (told, is_well) = conversation(&frames);
    assert!(is_well);
    let told = lines(&told);
    let expected = [
        "127.0.0.1:5000 → 127.0.0.1:8080",
        "(connection c-1-1)",
        "(user alice)",
        "client  GET /ws",
        "(user alice)",
        "server  101, a WebSocket",
        "(user alice)",
        "client  text, 5 bytes, FIN, masked",
        "client    \"Hello\"",
        "client  close, 2 bytes, FIN, masked",
        "client    closes with 1000 \"\"",
        "(user alice)",
        "server  binary, 3 bytes, FIN",
        "server    3 bytes: 0102ff",
        "(user alice)",
        "server  ping, 1 bytes, FIN",
        "server    ping 70",
        "server  close, 2 bytes, FIN",
        "server    closes with 1000 \"\"",
        "= closed in order with 1000",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_breaks_the_protocol_is_told_with_its_section() {
    for (frames, what) in [
        (
            said(b"\x81\x01a"),
            "BREAKS RFC 6455 §5.1: frame from a client is not masked, close code 1002",
        ),
        (
            answered(b"\x81\x85aaaa12345"),
            "BREAKS RFC 6455 §5.1: frame from a server is masked, close code 1002",
        ),
        (
            answered(b"\x83\0"),
            "BREAKS RFC 6455 §5.2: reserved opcode 3, close code 1002",
        ),
        (
            answered(b"\x81\x01\xff"),
            "BREAKS RFC 6455 §8.1: invalid UTF-8, close code 1007",
        ),
        (
            answered(b"\xc1\x01a"),
            "BREAKS RFC 6455 §5.2: reserved bit set without an extension, close code 1002",
        ),
        (
            answered(b"\x80\0"),
            "BREAKS RFC 6455 §5.4: continuation without a message, close code 1002",
        ),
    ] {
        let (told, is_well) = conversation(&[frames]);
        assert!(
            told.contains(what) && told.contains("= broken by the "),
            "{told}"
        );
        assert!(!is_well);
    }
}

#[test]
fn a_handshake_that_is_answered_wrongly_breaks_it_and_one_that_is_refused_does_not() {
    let opened = |answer: &[u8]| {
        replay(&file(&[
            begin(Opening::Whole),
            said(REQUEST),
            answered(answer),
        ]))
    };
    let wrong = String::from_utf8_lossy(RESPONSE).replace("s3p", "xxx");
    let (told, is_well) = opened(wrong.as_bytes());
    assert!(told.contains("BREAKS RFC 6455 §4.1") && !is_well, "{told}");
    let (told, is_well) = opened(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    assert!(
        told.contains("= the handshake was refused") && is_well,
        "{told}"
    );
    let bad = String::from_utf8_lossy(REQUEST).replace("Version: 13", "Version: 12");
    let (told, is_well) = replay(&file(&[
        begin(Opening::Whole),
        said(bad.as_bytes()),
        answered(RESPONSE),
    ]));
    assert!(told.contains("this is no handshake") && !is_well, "{told}");
}

#[test]
fn http_is_told_in_the_order_of_its_answers_and_bodies_are_passed_over() {
    let requests =
        b"POST /api/rooms/a/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET / HTT\
        HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/\
        HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end";
    let (told, is_well) = replay(&file(&[
        begin(Opening::Whole),
        said(requests),
        answered(answers),
    ]));
    let told: Vec<_> = lines(&told)
        .into_iter()
        .filter(|line| !line.starts_with('('))
        .collect();
    let expected = [
        "127.0.0.1:5000 → 127.0.0.1:8080",
        "client  POST /api/rooms/a/messages",
        "client  HEAD /x",
        "client  GET /y",
        "server  200",
        "server  404",
        "server  200",
        "= HTTP, 3 answers",
    ];
    assert_eq!(told, expected);
    assert!(is_well);
}

/// A text of the server as it is compressed after `before`.
fn compressed(agreement: DeflateAgreement, before: &[&str], text: &str) -> Vec<u8> {
    let now = Now::read().instant;
    let mut server = Connection::server(Arc::new(Config::default()), now);
    let config = DeflateConfig {
        compress_bytes_min: 1,
        ..DeflateConfig::default()
    };
    server.enable_deflate(&config, agreement);
    for text in before {
        server.send(&Message::text(text)).unwrap();
        server.transmitted(server.unsent_bytes());
    }
    server.send(&Message::text(text)).unwrap();
    let mut slices = [io::IoSlice::new(&[]); 4];
    let filled = server.poll_transmit(&mut slices);
    slices[..filled]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect()
}

#[test]
fn compressed_messages_are_read_also_from_the_middle_where_they_stand_alone() {
    for takes_over in [false, true] {
        let agreement = DeflateAgreement {
            server_no_context_takeover: !takes_over,
            client_no_context_takeover: true,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        let text = "ahoy ahoy ahoy ahoy, said the sailor";
        let opening = Opening::Middle {
            why: "opened before".into(),
            web_socket: Some(Upgraded {
                path: "/ws".to_owned(),
                deflate: Some(agreement),
            }),
        };
        let records = [
            begin(opening),
            answered(&compressed(agreement, &[text], text)),
        ];
        let (told, is_well) = replay(&file(&records));
        assert!(is_well, "{told}");
        assert_eq!(told.contains(text), !takes_over, "{told}");
        assert_eq!(told.contains("they cannot be read"), takes_over, "{told}");
        assert!(told.contains("FIN, compressed"), "{told}");
    }
}

#[test]
fn every_line_of_json_is_an_object_that_names_its_connection_and_event() {
    let mut out = Vec::new();
    let mut replaying = Replaying::new(Printer::new(&mut out, true), Now::read().instant);
    let records = [
        begin(Opening::Whole),
        said(REQUEST),
        answered(RESPONSE),
        said(HELLO),
    ];
    file::read(&file(&records)[..], |packet| replaying.take(&packet)).unwrap();
    replaying.finish().unwrap();
    let lines = String::from_utf8(out).unwrap();
    let events: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        events
            .iter()
            .all(|event| event["connection"] == 1 && event["event"].is_string())
    );
    let text = events
        .iter()
        .find(|event| event["event"] == "text")
        .unwrap();
    assert_eq!(
        (&text["text"], &text["time"]),
        (&"Hello".into(), &2.0.into())
    );
    let last = events.last().unwrap();
    assert_eq!(last["verdict"], "ended without a Close frame (1006)");
}

proptest! {
    /// Every packet may be cut anywhere: what is made of them is the same.
    #[test]
    fn how_bytes_are_packed_does_not_matter(cuts in prop::collection::vec(1_usize..40, 1..30)) {
        let all = [REQUEST, HELLO, HELLO, CLOSE].concat();
        let mut records = vec![begin(Opening::Whole)];
        let mut rest = &all[..];
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            records.push(said(piece));
            rest = behind;
        }
        records.extend([said(rest), answered(RESPONSE), answered(b"\x88\x02\x03\xe8")]);
        let (told, is_well) = replay(&file(&records));
        prop_assert!(is_well);
        prop_assert_eq!(told.matches("\"Hello\"").count(), 2);
        prop_assert!(told.contains("= closed in order with 1000"));
    }

    /// Files that are damaged, cut or nonsense end in words, not in a panic.
    #[test]
    fn garbage_is_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        end in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let frames = [said(HELLO), answered(b"\x81\x02hi\x89\0"), said(CLOSE)];
        let opening = [begin(Opening::Whole), said(REQUEST), answered(RESPONSE)];
        let mut file = file(&[&opening[..], &frames].concat());
        for (place, value) in changes {
            let place = place.index(file.len());
            file[place] = value;
        }
        if is_cut {
            file.truncate(end.index(file.len()));
        }
        replay(&file);
    }

    #[test]
    fn bytes_of_any_kind_on_a_connection_are_survived(
        client in prop::collection::vec(any::<u8>(), 0..200),
        server in prop::collection::vec(any::<u8>(), 0..200),
        opens in any::<bool>(),
    ) {
        let mut records = vec![begin(Opening::Whole)];
        if opens {
            records.extend([said(REQUEST), answered(RESPONSE)]);
        }
        records.extend([said(&client), answered(&server)]);
        let (told, _) = replay(&file(&records));
        prop_assert!(told.lines().last().is_some_and(|line| line.contains("= ")));
    }
}
