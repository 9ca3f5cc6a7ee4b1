//! What a message of MQTT 5 says beside its payload, and whoever gets it is to be told as it came (§3.3.2.3). A content has it in front,
//! since an entry of a log has nothing else that a sender may choose:
//!
//! ```json
//! {"$mqtt":{"contentType":"text/plain","responseTopic":"answers","correlationData":"<base64>","userProperties":[["a","b"]]},"content":"hi"}
//! ```
//!
//! Whoever speaks JSON sees just that, and may say it. A message that says nothing of it is its payload alone, and so is one that has no
//! more than Payload Format Indicator or its own number: they are not worth it that everybody else sees a plain text so.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::properties::{Properties, SEQ};
use super::topic::is_plain;

/// What a content that has it begins with.
const BEGIN: &str = r#"{"$mqtt":"#;

/// Those properties; each is left out that a message does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct About<'a> {
    /// The payload is UTF-8, as its sender says: Payload Format Indicator.
    #[serde(
        rename = "payloadFormatIndicator",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub(super) is_text: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) response_topic: Option<Cow<'a, str>>,
    #[serde(default, with = "bytes", skip_serializing_if = "Option::is_none")]
    pub(super) correlation_data: Option<Vec<u8>>,
    /// Names and values, in their order.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub(super) user_properties: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// A content that has it in front.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described<'a> {
    #[serde(rename = "$mqtt", borrow)]
    about: About<'a>,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl<'a> About<'a> {
    /// What the properties of a message say that is worth to be kept.
    pub(super) fn of(properties: &Properties<'a>) -> Option<Self> {
        let user = &properties.user;
        let is_worth_it = properties.content_type.is_some()
            || properties.response_topic.is_some()
            || properties.correlation_data.is_some()
            || user.iter().any(|(name, _)| *name != SEQ);
        let owned = |(name, value): &(&'a str, &'a str)| ((*name).into(), (*value).into());
        is_worth_it.then(|| Self {
            is_text: properties.is_text,
            content_type: properties.content_type.map(Cow::Borrowed),
            response_topic: properties.response_topic.map(Cow::Borrowed),
            correlation_data: properties.correlation_data.map(<[u8]>::to_vec),
            user_properties: user.iter().map(owned).collect(),
        })
    }

    /// The content that has it in front.
    pub(super) fn in_front_of(self, content: &RawValue) -> Box<RawValue> {
        let described = Described {
            about: self,
            content,
        };
        // Texts, and what is JSON, have no way to fail.
        to_raw_value(&described).unwrap_or_else(|_| content.to_owned())
    }

    /// Whether a client may be told so: other senders may write what they like, and no packet has a text over 65,535 bytes.
    fn fits(&self) -> bool {
        let is_text = |text: &str| text.len() <= usize::from(u16::MAX) && !text.contains('\0');
        let is_topic = |topic: &str| is_text(topic) && is_plain(topic);
        let data = self.correlation_data.as_deref().unwrap_or_default();
        let mut user = self.user_properties.iter();
        self.content_type.as_deref().is_none_or(is_text)
            && self.response_topic.as_deref().is_none_or(is_topic)
            && data.len() <= usize::from(u16::MAX)
            && user.all(|(name, value)| is_text(name) && is_text(value))
    }
}

/// Takes a content apart into what is said of it, if something is, and what it is.
pub(super) fn split(content: &RawValue) -> (About<'_>, &RawValue) {
    if !content.get().starts_with(BEGIN) {
        return (About::default(), content);
    }
    match serde_json::from_str(content.get()) {
        Ok(Described { about, content }) if about.fits() => (about, content),
        Ok(_) | Err(_) => (About::default(), content),
    }
}

/// Whether a content is one that [`split`] takes apart.
pub(super) fn is_described(content: &RawValue) -> bool {
    let (_, inside) = split(content);
    inside.get().len() != content.get().len()
}

/// Correlation Data, as base64.
mod bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes.as_deref().unwrap_or_default()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Some).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn everything() -> Properties<'static> {
        Properties {
            is_text: true,
            content_type: Some("text/plain"),
            response_topic: Some("answers"),
            correlation_data: Some(&[0, 255]),
            user: vec![("b", "1"), ("a", "ü\""), ("b", "2")],
            ..Properties::default()
        }
    }

    #[test]
    fn what_is_said_of_a_payload_comes_back() {
        let about = About::of(&everything()).unwrap();
        let content = about.clone().in_front_of(&raw(r#""hi""#));
        let expected = r#"{"$mqtt":{"payloadFormatIndicator":true,"contentType":"text/plain","responseTopic":"answers","correlationData":"AP8=","userProperties":[["b","1"],["a","ü\""],["b","2"]]},"content":"hi"}"#;
        assert_eq!(content.get(), expected);
        let (back, inside) = split(&content);
        assert_eq!((back, inside.get()), (about, r#""hi""#));
        assert!(is_described(&content));
    }

    #[test]
    fn what_everybody_says_is_not_worth_it() {
        let plain = Properties {
            is_text: true,
            user: vec![(SEQ, "7")],
            ..Properties::default()
        };
        assert_eq!(About::of(&plain), None);
        assert_eq!(About::of(&Properties::default()), None);
    }

    #[test]
    fn other_contents_are_what_they_are() {
        let long = format!(
            r#"{{"$mqtt":{{"contentType":"{}"}},"content":1}}"#,
            "x".repeat(65_536)
        );
        for json in [
            r#""hi""#,
            r#"{"$mqtt":{}}"#,
            r#"{"$mqtt":{"contentType":1},"content":1}"#,
            r#"{"$mqtt":{"other":1},"content":1}"#,
            r#"{"$mqtt":{},"content":1,"more":1}"#,
            r#"{"$mqtt":{"correlationData":"?"},"content":1}"#,
            r#"{"$mqtt":{"responseTopic":"a/+"},"content":1}"#,
            r#"{"$mqtt":{"userProperties":[["a","\u0000"]]},"content":1}"#,
            &long,
        ] {
            let content = raw(json);
            let (about, inside) = split(&content);
            assert_eq!((about, inside.get()), (About::default(), json));
            assert!(!is_described(&content), "{json}");
        }
        let said_in_json = raw(r#"{"$mqtt": {"contentType": "a"}, "content": [1]}"#);
        assert_eq!(split(&said_in_json).1.get(), "[1]");
    }
}
