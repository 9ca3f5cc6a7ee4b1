//! Payloads and contents. A content is a JSON value; a payload is any bytes, and comes back to who speaks MQTT as the bytes that it was:
//!
//! | payload | content |
//! |---|---|
//! | JSON, apart from a string, from what is in the last row, and from what [`about`](super::about) has | the same bytes |
//! | any other UTF-8 | a JSON string of it |
//! | other bytes | `{"$binary":"<base64>"}`, as in Protobuf |

use std::borrow::Cow;

use serde_json::value::{RawValue, to_raw_value};

use super::about::{About, is_described};
use crate::transport::protobuf::binary;

/// The content that a payload is, behind what its sender says of it.
pub(super) fn content_of(payload: &[u8], about: Option<About<'_>>) -> Box<RawValue> {
    let content = alone(payload);
    match about {
        Some(about) => about.in_front_of(&content),
        None => content,
    }
}

fn alone(payload: &[u8]) -> Box<RawValue> {
    let Ok(text) = str::from_utf8(payload) else {
        return binary::content_of(payload);
    };
    as_json(text).unwrap_or_else(|| {
        // A string has no way to fail.
        to_raw_value(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
    })
}

/// The text as the JSON value that it is, if it comes back as the same bytes.
fn as_json(text: &str) -> Option<Box<RawValue>> {
    if text.starts_with('"') {
        return None;
    }
    let content: &RawValue = serde_json::from_str(text).ok()?;
    // Space around it would be lost, and what looks like something else would become that.
    let is_whole = content.get().len() == text.len()
        && binary::bytes_of(content).is_none()
        && !is_described(content);
    is_whole.then(|| content.to_owned())
}

/// The payload that a content is, of which nothing is said.
pub(super) fn payload_of(content: &RawValue) -> Cow<'_, [u8]> {
    let json = content.get();
    if let Some(inside) = json.strip_prefix('"') {
        match inside.strip_suffix('"') {
            Some(plain) if !plain.contains('\\') => return Cow::Borrowed(plain.as_bytes()),
            Some(_) | None => {}
        }
        if let Ok(text) = serde_json::from_str::<String>(json) {
            return Cow::Owned(text.into_bytes());
        }
    } else if let Some(bytes) = binary::bytes_of(content) {
        return Cow::Owned(bytes);
    }
    Cow::Borrowed(json.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_payload_is_a_content() {
        let table: [(&[u8], &str); 12] = [
            (
                br#"{"$mqtt":{},"content":1}"#,
                r#""{\"$mqtt\":{},\"content\":1}""#,
            ),
            (b"", r#""""#),
            (b"hello", r#""hello""#),
            (b"42", "42"),
            (b"-", r#""-""#),
            (b" 42", r#"" 42""#),
            (br#"{"a": 1}"#, r#"{"a": 1}"#),
            (br#""hello""#, r#""\"hello\"""#),
            (b"a\0b", r#""a\u0000b""#),
            (b"\xff\x00", r#"{"$binary":"/wA="}"#),
            (br#"{"$binary":"/wA="}"#, r#""{\"$binary\":\"/wA=\"}""#),
            ("ü".as_bytes(), r#""ü""#),
        ];
        for (payload, content) in table {
            assert_eq!(content_of(payload, None).get(), content);
        }
    }

    #[test]
    fn a_content_of_who_speaks_json_is_a_payload() {
        let table: [(&str, &[u8]); 5] = [
            (r#""hi""#, b"hi"),
            (r#""\u00fc""#, "ü".as_bytes()),
            (r#"{"text":"hi"}"#, br#"{"text":"hi"}"#),
            (r#""\ud800""#, br#""\ud800""#),
            ("null", b"null"),
        ];
        for (content, payload) in table {
            let content = RawValue::from_string(content.to_owned()).unwrap();
            assert_eq!(payload_of(&content), payload);
        }
    }

    proptest! {
        #[test]
        fn every_payload_comes_back(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let content = content_of(&payload, None);
            prop_assert_eq!(&*payload_of(&content), &payload[..]);
        }

        #[test]
        fn every_text_comes_back(text in r#"[ \\"{}\[\]:,0-9a-cA$nt\x00\n]{0,24}|\{"\$binary":"[A-Za-z0-9+/=]{0,8}"\}"#) {
            let content = content_of(text.as_bytes(), None);
            prop_assert_eq!(&*payload_of(&content), text.as_bytes());
        }
    }
}
