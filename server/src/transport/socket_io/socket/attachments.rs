//! Bytes in contents: in the log, and for whoever speaks JSON, `{"$binary":"<base64>"}`, at any depth; in packets of Socket.IO a
//! placeholder, and an attachment behind the packet.
//!
//! Both are found by their text, written without a space, as everybody writes them. Such a text cannot be inside a string: a quote in
//! a string has a backslash before it, and behind a string that ends with the first quote of it there is no name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::packet::ATTACHMENTS_MAX;

/// How bytes begin and end in a content.
const BYTES_BEGIN: &str = r#"{"$binary":""#;
const BYTES_END: &str = r#""}"#;

/// The two ways to write a placeholder; its number stands between.
const PLACEHOLDERS: [(&str, &str); 2] = [
    (r#"{"_placeholder":true,"num":"#, "}"),
    (r#"{"num":"#, r#","_placeholder":true}"#),
];

/// A placeholder whose attachment is not there, or more of them than attachments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoAttachment;

/// Whether a content may have bytes in it.
#[must_use]
pub(crate) fn has_binary(content: &RawValue) -> bool {
    content.get().contains(BYTES_BEGIN)
}

/// Text with placeholders, and the attachments, for JSON with bytes: the first [`ATTACHMENTS_MAX`] of them, since clients refuse more;
/// the others stay what they are.
pub(super) fn take_out(json: &str) -> (String, Vec<Vec<u8>>) {
    let (mut text, mut attachments) = (String::with_capacity(json.len()), Vec::new());
    let mut rest = json;
    while attachments.len() < ATTACHMENTS_MAX
        && let Some((before, behind)) = rest.split_once(BYTES_BEGIN)
    {
        text.push_str(before);
        let found = behind.split_once(BYTES_END);
        let bytes = found.and_then(|(base64, _)| STANDARD.decode(base64).ok());
        if let (Some((_, after)), Some(bytes)) = (found, bytes) {
            let (begin, end) = PLACEHOLDERS[0];
            text.push_str(&format!("{begin}{}{end}", attachments.len()));
            attachments.push(bytes);
            rest = after;
        } else {
            text.push_str(BYTES_BEGIN);
            rest = behind;
        }
    }
    text.push_str(rest);
    (text, attachments)
}

/// JSON with bytes, for text with placeholders. There are no more of these than attachments, as every client writes it: otherwise a
/// short packet could name one long attachment a thousand times.
pub(super) fn put_in(text: &str, attachments: &[Vec<u8>]) -> Result<String, NoAttachment> {
    if attachments.is_empty() {
        return Ok(text.to_owned());
    }
    let mut json = String::with_capacity(text.len());
    let (mut rest, mut left) = (text, attachments.len());
    while let Some((before, number, after)) = next_placeholder(rest) {
        left = left.checked_sub(1).ok_or(NoAttachment)?;
        let bytes = attachments.get(number).ok_or(NoAttachment)?;
        json.push_str(before);
        json.push_str(BYTES_BEGIN);
        STANDARD.encode_string(bytes, &mut json);
        json.push_str(BYTES_END);
        rest = after;
    }
    json.push_str(rest);
    Ok(json)
}

/// What is before the first placeholder, its number, and what is behind it.
fn next_placeholder(text: &str) -> Option<(&str, usize, &str)> {
    let mut from = 0;
    loop {
        let (at, (begin, end)) = PLACEHOLDERS
            .iter()
            .filter_map(|form| Some((text.get(from..)?.find(form.0)? + from, *form)))
            .min_by_key(|(at, _)| *at)?;
        let behind = text.get(at + begin.len()..)?;
        let digits = behind.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = behind.split_at(digits);
        if let (Ok(number), Some(after)) = (number.parse(), behind.strip_prefix(end)) {
            return Some((text.get(..at)?, number, after));
        }
        from = at + begin.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_attachments_and_come_back() {
        let json = r#"["msg",{"a":[{"$binary":"AQI="},1],"b":{"$binary":""}}]"#;
        let (text, attachments) = take_out(json);
        let expected =
            r#"["msg",{"a":[{"_placeholder":true,"num":0},1],"b":{"_placeholder":true,"num":1}}]"#;
        assert_eq!(
            (text.as_str(), &attachments[..]),
            (expected, &[vec![1, 2], vec![]][..])
        );
        assert_eq!(put_in(&text, &attachments).as_deref(), Ok(json));
        let other = text.replace(
            r#"{"_placeholder":true,"num":1}"#,
            r#"{"num":1,"_placeholder":true}"#,
        );
        assert_eq!(put_in(&other, &attachments).as_deref(), Ok(json));
    }

    #[test]
    fn what_only_looks_like_bytes_stays() {
        for json in [
            r#"{"$binary":"AQI"}"#,
            r#"{"$binary":"A\u0051I="}"#,
            r#"{"$binary":"AQI=","type":"image/png"}"#,
            r#"{"$binary":7}"#,
            r#"{"text":"{\"$binary\":\"AQI=\"}"}"#,
            r#"{"$binary":""#,
        ] {
            assert_eq!(take_out(json), (json.to_owned(), Vec::new()), "{json}");
        }
        let one = [vec![7]];
        for text in [
            r#"{"_placeholder":true,"num":-1}"#,
            r#"{"_placeholder":true,"num":0,"x":1}"#,
            r#"{"num":0}"#,
            r#"{"a":"{\"_placeholder\":true,\"num\":0}"}"#,
        ] {
            assert_eq!(put_in(text, &one).as_deref(), Ok(text));
        }
        let mixed = r#"[{"num":5},{"_placeholder":true,"num":0}]"#;
        assert_eq!(
            put_in(mixed, &one).as_deref(),
            Ok(r#"[{"num":5},{"$binary":"Bw=="}]"#)
        );
        assert_eq!(
            put_in(r#"[{"_placeholder":true,"num":1}]"#, &one),
            Err(NoAttachment)
        );
    }

    #[test]
    fn an_attachment_is_not_named_again_and_again() {
        let long = vec![0; 30_000];
        let text = format!("[{}1]", r#"{"_placeholder":true,"num":0},"#.repeat(1_000));
        assert_eq!(put_in(&text, &[long]), Err(NoAttachment));
    }

    #[test]
    fn there_are_no_more_attachments_than_clients_take() {
        let json = format!("[{}1]", r#"{"$binary":""},"#.repeat(ATTACHMENTS_MAX + 1));
        let (text, attachments) = take_out(&json);
        assert_eq!(attachments.len(), ATTACHMENTS_MAX);
        assert_eq!(text.matches(BYTES_BEGIN).count(), 1);
        assert_eq!(put_in(&text, &attachments), Ok(json));
    }
}
