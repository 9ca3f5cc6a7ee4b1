//! Bytes as a content: in the log, and for whoever speaks JSON, they are the object `{"$binary":"<base64>"}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

const BEGIN: &str = r#"{"$binary":""#;
const END: &str = r#""}"#;

/// The content that bytes are.
#[must_use]
pub fn content_of(bytes: &[u8]) -> Box<RawValue> {
    let mut text = String::with_capacity(BEGIN.len() + bytes.len().div_ceil(3) * 4 + END.len());
    text.push_str(BEGIN);
    STANDARD.encode_string(bytes, &mut text);
    text.push_str(END);
    // base64 has nothing that JSON would escape.
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The bytes that a content is, if it is such an object, written just so.
#[must_use]
pub fn bytes_of(content: &RawValue) -> Option<Vec<u8>> {
    let text = content.get().strip_prefix(BEGIN)?.strip_suffix(END)?;
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_in(json: &str) -> Option<Vec<u8>> {
        bytes_of(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn bytes_come_back() {
        for bytes in [&b""[..], b"\0", b"\xff\xfe", b"abc", &[7; 1000]] {
            let content = content_of(bytes);
            assert!(serde_json::from_str::<serde_json::Value>(content.get()).is_ok());
            assert_eq!(bytes_of(&content).as_deref(), Some(bytes));
        }
        assert_eq!(content_of(b"\x01\x02").get(), r#"{"$binary":"AQI="}"#);
    }

    #[test]
    fn only_the_marker_alone_is_bytes() {
        for json in [
            r#""AQI=""#,
            r#"{"$binary":"AQI"}"#,
            r#"{"$binary":"A\u0051I="}"#,
            r#"{"$binary":"AQI=","type":"image/png"}"#,
            r#"{"$binary":7}"#,
        ] {
            assert_eq!(bytes_in(json), None, "{json}");
        }
    }
}
