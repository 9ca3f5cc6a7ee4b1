//! Bad messages of the chat: JSON that is none, of the wrong shape, or not allowed; and what ends a connection at once.

use tidewire_tests::Dice;
use tidewire_tests::bystanders::{EVIL, ROOM};
use tidewire_tests::frame::Frame;
use tidewire_tests::websocket::handshake_request;

use crate::frames::printable;
use crate::visit::{Expected, Kind, Visit};

/// Messages in a row that are no command, of which the last one closes.
const TOO_MANY: usize = 10;

type Codes = &'static [&'static str];

/// Some bad texts, each of which earns an error.
pub(crate) fn texts(dice: &mut Dice) -> Visit {
    let count = dice.between(1, TOO_MANY - 1);
    let mut bytes = handshake_request("/ws", "").into_bytes();
    let mut codes = Vec::new();
    for _ in 0..count {
        let (text, code) = text(dice);
        bytes.extend(Frame::text(text).with_key(dice.key()).encode());
        codes.push(code);
    }
    Visit {
        kind: Kind::ChatText,
        inputs: count as u64,
        bytes,
        expected: Expected::Errors { codes, close: None },
    }
}

/// What closes the connection: ten bad texts in a row, binary, too much, no text.
pub(crate) fn last_words(dice: &mut Dice) -> Visit {
    let (frames, codes, close) = match dice.below(4) {
        0 => {
            let bad: Vec<_> = (0..TOO_MANY + dice.below(20))
                .flat_map(|_| Frame::text(no_json(dice)).encode())
                .collect();
            (bad, vec![&["bad_json"][..]; TOO_MANY], 1008)
        }
        1 => {
            let count = dice.below(300);
            (Frame::binary(dice.bytes(count)).encode(), Vec::new(), 1003)
        }
        2 => {
            let long = " ".repeat(dice.between((64 << 10) + 1, 200 << 10));
            (Frame::text(long).encode(), Vec::new(), 1009)
        }
        _ => {
            let message = format!(r#"{{"type":"room_msg","roomId":"{ROOM}","content":"{EVIL}"#);
            let text = [
                message.as_bytes(),
                &[dice.between(0x80, 0xbf) as u8],
                br#""}"#,
            ]
            .concat();
            (Frame::text(text).encode(), Vec::new(), 1007)
        }
    };
    Visit {
        kind: Kind::ChatMessage,
        inputs: codes.len().max(1) as u64,
        bytes: [handshake_request("/ws", "").into_bytes(), frames].concat(),
        expected: Expected::Errors {
            codes,
            close: Some(close),
        },
    }
}

/// A text that is no command, or none that this client may give; and the codes of the errors that it may earn.
fn text(dice: &mut Dice) -> (String, Codes) {
    const OF_WRONG_TYPE: Codes = &["bad_field", "bad_json", "missing_field"];
    match dice.below(10) {
        0 => (no_json(dice), &["bad_json"]),
        1 => no_object(dice),
        2 => {
            let word = printable(dice, 30).replace(['"', '\\'], "_");
            (format!(r#"{{"type":"{word}?"}}"#), &["unknown_type"])
        }
        3 => {
            let value = no_string(dice);
            let text = format!(r#"{{"type":{value},"roomId":"{ROOM}"}}"#);
            (text, OF_WRONG_TYPE)
        }
        4 => {
            let kind = dice.pick(KINDS);
            let text = format!(r#"{{"type":"{kind}","Content":"{EVIL}"}}"#);
            (text, &["missing_field"])
        }
        5 => {
            let value = no_string(dice);
            (said_in(&value, ""), OF_WRONG_TYPE)
        }
        6 => badly_named(dice),
        7 => {
            let seq = format!(r#","seq":{}"#, dice.next());
            (said_in(&format!("\"{ROOM}\""), &seq), &["not_in_room"])
        }
        8 => {
            let twice = format!(r#""x","roomId":"{ROOM}""#);
            (said_in(&twice, ""), &["bad_field", "bad_json"])
        }
        _ => {
            let (room, since, codes): (_, _, Codes) = dice.pick(&[
                ("@good-alice", "", &["forbidden"][..]),
                (ROOM, "1-2-3", &["bad_position"]),
            ]);
            let text = format!(r#"{{"type":"history","roomId":"{room}","since":"{since}"}}"#);
            (text, codes)
        }
    }
}

/// What needs more than its type.
const KINDS: &[&str] = &[
    "join_room",
    "leave_room",
    "room_msg",
    "private_msg",
    "broadcast",
    "typing",
    "presence",
    "history",
];

/// A message to a room whose JSON value this is, with some more fields.
fn said_in(room: &str, more: &str) -> String {
    format!(r#"{{"type":"room_msg","roomId":{room},"content":"{EVIL}"{more}}}"#)
}

fn no_object(dice: &mut Dice) -> (String, Codes) {
    const OTHERS: &[&str] = &[
        "42",
        "null",
        "true",
        "\"text\"",
        "[\"heartbeat\"]",
        "-0.0e-9",
    ];
    if dice.once_in(4) {
        let deep = "[".repeat(dice.between(1, 30_000));
        return (deep, &["bad_field", "bad_json"]);
    }
    (dice.pick(OTHERS).to_owned(), &["bad_field"])
}

fn badly_named(dice: &mut Dice) -> (String, Codes) {
    let name = no_name(dice);
    let (kind, field) = dice.pick(&[
        ("join_room", "roomId"),
        ("private_msg", "toUser"),
        ("hello", "user"),
    ]);
    let text = format!(r#"{{"type":"{kind}","{field}":{name},"content":"{EVIL}"}}"#);
    (text, &["bad_name", "bad_json"])
}

/// A text that is not JSON.
pub(crate) fn no_json(dice: &mut Dice) -> String {
    let message = format!(r#"{{"type":"room_msg","roomId":"{ROOM}","content":"{EVIL}"}}"#);
    match dice.below(7) {
        0 => message[..dice.between(1, message.len() - 1)].to_owned(),
        1 => format!("{message} {message}"),
        2 => String::new(),
        3 => message.replacen(':', "\0", 1),
        4 => " \n".repeat(dice.below(30_000)),
        5 => format!(
            r#"{{"type":"hello","user":"\u{:04x}"}}"#,
            dice.between(0xd800, 0xdbff)
        ),
        _ => format!("?{}", printable(dice, 200)),
    }
}

/// A JSON value that is no string.
fn no_string(dice: &mut Dice) -> String {
    let depth = dice.between(1, 10_000);
    match dice.below(8) {
        0 => dice.next().to_string(),
        1 => "null".to_owned(),
        2 => "[]".to_owned(),
        3 => "{}".to_owned(),
        4 => "true".to_owned(),
        5 => "1e400".to_owned(),
        6 => format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
        _ => format!("{}1{}", r#"{"a":"#.repeat(depth / 4), "}".repeat(depth / 4)),
    }
}

/// A JSON string that nobody and no room can be called.
pub(crate) fn no_name(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => r#""""#.to_owned(),
        1 => format!(r#""{}""#, "n".repeat(dice.between(129, 5000))),
        2 => format!(r#""a\u00{:02x}b""#, dice.below(0x20)),
        _ => r#""\u007f""#.to_owned(),
    }
}
