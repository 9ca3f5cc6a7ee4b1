//! What is a command, what is none, and what an answer to that can still carry.

use super::*;

fn code_of(text: &str) -> &'static str {
    Request::parse(text).unwrap_err().refused.code
}

#[test]
fn content_keeps_its_bytes() {
    let text = r#"{"type":"room_msg","roomId":"r\u0041","content": { "n" : 1.0e5,"s":"\u00e9" } ,"seq":7,"id":[1]}"#;
    let request = Request::parse(text).unwrap();
    assert_eq!(request.id.unwrap().get(), "[1]");
    let Command::RoomMsg {
        room: Some(room),
        content,
        seq: Some(seq),
    } = request.command
    else {
        panic!()
    };
    assert_eq!(
        (room.as_ref(), content.get(), seq.get()),
        ("rA", r#"{ "n" : 1.0e5,"s":"\u00e9" }"#, "7")
    );
}

#[test]
fn null_is_a_content() {
    let request = Request::parse(r#"{"type":"broadcast","content":null}"#).unwrap();
    assert!(
        matches!(request.command, Command::Broadcast { content, .. } if content.get() == "null")
    );
}

#[test]
fn seq_and_data_alone_are_a_message_to_the_room_of_the_address() {
    let request = Request::parse(r#"{"seq":1,"data":"x"}"#).unwrap();
    assert!(
        matches!(request.command, Command::RoomMsg { room: None, content, .. } if content.get() == "\"x\"")
    );
}

#[test]
fn a_command_without_a_field_still_has_its_seq_and_id() {
    let bad = Request::parse(r#"{"type":"room_msg","seq":12,"id":"q"}"#).unwrap_err();
    assert_eq!(
        (bad.seq.unwrap().get(), bad.id.unwrap().get()),
        ("12", "\"q\"")
    );
}

#[test]
fn a_field_of_a_wrong_type_does_not_hide_seq_and_id() {
    let bad = Request::parse(r#"{"type":"room_msg","roomId":7,"seq":12,"id":"q"}"#).unwrap_err();
    assert_eq!(bad.refused.code, "bad_field");
    let marks = |bad: &BadCommand<'_>| {
        (
            bad.seq.as_ref().map(|seq| seq.get().to_owned()),
            bad.id.as_ref().map(|id| id.get().to_owned()),
        )
    };
    let known = (Some("12".to_owned()), Some("\"q\"".to_owned()));
    assert_eq!(marks(&bad), known);
    for text in ["[1,2]", r#"{"id":1,"seq":2"#, r#"{"id":1} x"#, "7"] {
        assert_eq!(marks(&Request::parse(text).unwrap_err()), (None, None));
    }
}

#[test]
fn null_is_an_id() {
    let request = Request::parse(r#"{"type":"heartbeat","id":null}"#).unwrap();
    assert_eq!(request.id.unwrap().get(), "null");
}

#[test]
fn what_is_no_command_has_a_code() {
    for text in ["", "x", "{", "{\"type\":\"heartbeat\"} x", "\u{0}"] {
        assert_eq!(code_of(text), "bad_json", "{text:?}");
    }
    for text in [
        "[]",
        "7",
        "\"x\"",
        r#"{"type":7}"#,
        r#"{"type":"join_room","roomId":{}}"#,
    ] {
        assert_eq!(code_of(text), "bad_field", "{text:?}");
    }
    for seq in [
        "{}",
        "[1]",
        "true",
        &format!("\"{}\"", "x".repeat(129)),
        &format!("\"{}\"", r"\u00e9".repeat(65)),
        &"1".repeat(129),
    ] {
        assert_eq!(
            code_of(&format!(
                r#"{{"type":"broadcast","content":1,"seq":{seq}}}"#
            )),
            "bad_field",
            "{seq}"
        );
    }
    assert_eq!(code_of(r#"{"type":"dance"}"#), "unknown_type");
    for text in [
        "{}",
        r#"{"seq":1}"#,
        r#"{"data":1}"#,
        r#"{"type":"room_msg","roomId":"r"}"#,
        r#"{"type":"private_msg","content":1}"#,
    ] {
        assert_eq!(code_of(text), "missing_field", "{text:?}");
    }
}

#[test]
fn a_field_of_a_wrong_type_is_named_and_told_what_it_is() {
    for (text, message) in [
        (r#"{"type":7}"#, r#""type" is a string."#),
        (
            r#"{"type":"join_room","roomId":{}}"#,
            r#""roomId" is a string."#,
        ),
        (
            r#"{"type":"history","roomId":"r","limit":-1}"#,
            r#""limit" is a whole number."#,
        ),
        (
            r#"{"type":"history","since":null,"roomId":"r","limit":"5"}"#,
            r#""limit" is a whole number."#,
        ),
    ] {
        let refused = Request::parse(text).unwrap_err().refused;
        assert_eq!(
            (refused.code, refused.message.as_str()),
            ("bad_field", message)
        );
    }
}

#[test]
fn a_seq_is_as_long_as_its_string_however_that_is_written() {
    for seq in [
        "-1.5e3".to_owned(),
        format!("\"{}\"", "x".repeat(128)),
        format!("\"{}\"", r"\u00e9".repeat(64)),
        format!("\"{}\"", r"\u0001".repeat(128)),
    ] {
        let text = format!(r#"{{"type":"broadcast","content":1,"seq":{seq}}}"#);
        assert!(Request::parse(&text).is_ok(), "{seq}");
    }
}
