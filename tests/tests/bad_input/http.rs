//! Bad HTTP: handshakes and requests that break one rule each, and bodies of the API that are no message.

use tidewire_tests::Dice;
use tidewire_tests::bystanders::{EVIL, ROOM};
use tidewire_tests::websocket::handshake_request;

use crate::chat;
use crate::frames::printable;
use crate::visit::{Expected, Kind, Visit};

/// Where a WebSocket lives.
const TARGETS: &[&str] = &["/ws", "/chat", "/echo", "/relay?room=r"];

/// A handshake with one fault, and what a smuggler would put behind it.
pub(crate) fn handshake(dice: &mut Dice) -> Visit {
    let good = handshake_request(dice.pick(TARGETS), "");
    let (request, statuses): (String, &[u16]) = match dice.below(14) {
        0 => {
            let version = dice.below(2000) + 14;
            (
                good.replace("Version: 13", &format!("Version: {version}")),
                &[426],
            )
        }
        1 => (good.replace("Sec-WebSocket-Version: 13\r\n", ""), &[426]),
        2 => {
            let key: String = (0..dice.below(22)).map(|_| 'A').collect();
            (good.replace("dGhlIHNhbXBsZSBub25jZQ==", &key), &[400])
        }
        3 => {
            let another = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
            (
                good.replacen("\r\n\r\n", &format!("\r\n{another}"), 1),
                &[400],
            )
        }
        4 => (
            good.replace("Connection: Upgrade", "Connection: close"),
            &[400, 426],
        ),
        5 => (good.replace("Upgrade: websocket", "Upgrade: h2c"), &[426]),
        6 => (good.replace("HTTP/1.1", "HTTP/1.0"), &[400, 426, 505]),
        7 => {
            let method = dice.pick(&["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"]);
            (good.replacen("GET", method, 1), &[400, 405, 501])
        }
        8 => {
            let name = printable(dice, 40).replace(|c: char| !c.is_ascii_alphanumeric(), "");
            (handshake_request(&format!("/no-{name}"), ""), &[404])
        }
        9 => (good.replace("Host: localhost\r\n", ""), &[400]),
        10 => {
            let count = dice.between(97, 400);
            (with(&good, &"X: v\r\n".repeat(count)), &[431])
        }
        11 => {
            let long = "v".repeat(dice.between(8300, 30_000));
            (with(&good, &format!("X-Long: {long}\r\n")), &[431])
        }
        12 => {
            let long = "q".repeat(dice.between(8300, 30_000));
            (handshake_request(&format!("/ws?{long}"), ""), &[414])
        }
        _ => {
            let name = dice.pick(&["%00", "%ff", "%0a", "", "n%C2%85"]);
            let long = "n".repeat(dice.between(129, 2000));
            let name = if name.is_empty() { long.as_str() } else { name };
            (handshake_request(&format!("/ws?userId={name}"), ""), &[400])
        }
    };
    refused(dice, Kind::Handshake, request, statuses)
}

/// A request with one fault, and what a smuggler would put behind it.
pub(crate) fn request(dice: &mut Dice) -> Visit {
    let messages = format!("/api/rooms/{ROOM}/messages");
    let target = dice.pick(&["/health", "/api/rooms", messages.as_str(), "/ws"]);
    let get = |headers: &str| format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
    let post = |headers: &str| format!("POST {messages} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let (request, statuses): (String, &[u16]) = match dice.below(12) {
        0 => (get(dice.pick(AMBIGUOUS)), &[400]),
        1 => (post(dice.pick(BAD_LENGTHS)), &[400]),
        2 => (post("Transfer-Encoding: chunked\r\n"), &[411]),
        3 => (
            post(&format!(
                "Content-Length: {}\r\n",
                dice.between(66_561, 1 << 40)
            )),
            &[413],
        ),
        4 => (post("Content-Length: 2\r\nExpect: 200-maybe\r\n"), &[417]),
        5 => (get("Host: a\r\nContent-Length: 5\r\n"), &[400, 413]),
        6 => {
            let line = printable(dice, 60).replace('\r', "");
            (format!("{line}\r\nHost: a\r\n\r\n"), &[400])
        }
        7 => {
            let noise = dice.bytes(40);
            let noise: String = noise.iter().map(|byte| char::from(byte | 0x80)).collect();
            (format!("{noise}\r\n\r\n"), &[400])
        }
        // The greetings of TLS and of SSH, and the preface of HTTP/2.
        8 => {
            let other = dice.pick(&[
                "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n",
                "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            ]);
            (other.to_owned(), &[400])
        }
        9 => ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[400, 505]),
        10 => (get("Host: a\r\n: no name\r\n"), &[400]),
        _ => (get("Host: a\r\nX-A: b\u{1}c\r\n"), &[400]),
    };
    refused(dice, Kind::Http, request, statuses)
}

/// Headers that frame a message ambiguously or illegally.
const AMBIGUOUS: &[&str] = &[
    "",
    "Host: a\r\nHost: b\r\n",
    "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Host: a\r\nTransfer-Encoding: xchunked\r\n",
    "Host: a\r\nTransfer-Encoding:\r\n chunked\r\n",
    "Host: a\r\nContent-Length : 5\r\n",
    "Host: a\r\nX-A: b\rc\r\n",
    "Host: a\nX-A: b\r\n",
    " Host: a\r\n",
    "Host: a\r\nX-A: b\0c\r\n",
];

const BAD_LENGTHS: &[&str] = &[
    "Content-Length: +5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length: 5,5\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length:\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
];

fn with(request: &str, headers: &str) -> String {
    request.replacen("\r\n\r\n", &format!("\r\n{headers}\r\n"), 1)
}

fn refused(dice: &mut Dice, kind: Kind, request: String, statuses: &'static [u16]) -> Visit {
    let mut bytes = request.into_bytes();
    match dice.below(3) {
        0 => {}
        1 => bytes.extend(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"),
        _ => {
            let count = dice.below(200);
            bytes.extend(dice.bytes(count));
        }
    }
    Visit {
        kind,
        inputs: 1,
        bytes,
        expected: Expected::Refusal(statuses),
    }
}

/// Calls that make no sense, one behind the other on one connection, which goes on.
pub(crate) fn bodies(dice: &mut Dice) -> Visit {
    let inputs = dice.between(1, 8);
    let bytes = (0..inputs).flat_map(|_| call(dice).into_bytes()).collect();
    Visit {
        kind: Kind::ApiBody,
        inputs: inputs as u64,
        bytes,
        expected: Expected::Answers(&[400, 403, 404, 405]),
    }
}

fn call(dice: &mut Dice) -> String {
    const MESSAGE: &str = r#"{"content":"evil"}"#;
    let messages = format!("/api/rooms/{ROOM}/messages");
    match dice.below(9) {
        0 => post(&messages, "", &chat::no_json(dice)),
        1 => post(&messages, "", &format!(r#"{{"from":"{EVIL}"}}"#)),
        2 => {
            let from = chat::no_name(dice);
            let body = format!(r#"{{"content":"{EVIL}","from":{from}}}"#);
            post(&messages, "", &body)
        }
        3 => {
            let seq = dice.pick(&["{}", "[1]", "true", "null,\"seq\":1"]);
            let body = format!(r#"{{"content":"{EVIL}","seq":{seq},"session":{seq}}}"#);
            post(&messages, "", &body)
        }
        4 => {
            let room = dice.pick(&["%40good-bob", "%00", "%ff", "*", "", "%0d%0a"]);
            post(&format!("/api/rooms/{room}/messages"), "", MESSAGE)
        }
        5 => {
            let origin = format!("Origin: https://{EVIL}.example\r\n");
            post(&messages, &origin, MESSAGE)
        }
        6 => {
            let since = dice.pick(&["-1", "x", "1-", "18446744073709551616-1", "%00", "a:1-1,b"]);
            get(&format!("{messages}?since={since}"))
        }
        7 => get(&format!("/files/{}", dice.pick(NO_FILES))),
        _ => get(dice.pick(NOWHERE)),
    }
}

const NO_FILES: &[&str] = &[
    "..%2f..%2fetc%2fpasswd",
    "0",
    "%00",
    "00000000000000000000000000000000",
];

const NOWHERE: &[&str] = &[
    "/api",
    "/api/users/good-bob/messages",
    "/admin.php",
    "/.git/config",
    "/api/rooms/%",
];

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn post(target: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}
